#include "round.h"
#include "watch.h"

#include <inttypes.h>

#include <libsync/crypto.h>
#include <libsync/time.h>

enum { FIRST_BACKOFF_MS = 5000 };

/* When the next round is. */
struct schedule {
	int64_t interval_ms, debounce_ms;
	int64_t backoff_ms; /* 0: the last round went well, so an edit may bring the next one forward */
	int64_t due_us;
	int64_t known;      /* edits that the last round left unpushed: only more than these are new */
};

/* ±10 %, so that sites that began together do not come together. */
static int64_t jittered(int64_t ms)
{
	uint32_t spread = ms / 5 < UINT32_MAX ? (uint32_t)(ms / 5) : UINT32_MAX - 1;

	return ms - ms / 10 + sync_random_below(spread + 1);
}

static void plan_next(struct schedule *s)
{
	s->backoff_ms = 0;
	s->due_us = sync_tick_us() + 1000 * jittered(s->interval_ms);
}

/* Twice as long each time, up to the interval; what central asks for is kept to. */
static void plan_retry(struct schedule *s, unsigned retry_after_s)
{
	int64_t ms = s->backoff_ms ? s->backoff_ms * 2 : FIRST_BACKOFF_MS;

	s->backoff_ms = ms < s->interval_ms ? ms : s->interval_ms;
	ms = jittered(s->backoff_ms);
	if (ms < 1000 * (int64_t)retry_after_s)
		ms = 1000 * (int64_t)retry_after_s;
	s->due_us = sync_tick_us() + 1000 * ms;
}

static int64_t left_ms(const struct schedule *s)
{
	int64_t us = s->due_us - sync_tick_us();

	return us > 0 ? us / 1000 + 1 : 0;
}

/* Our own commits change the files as well, and so do edits that are not captured: only unpushed edits count. */
static enum sync_status edited(struct session *s, struct schedule *plan, bool *ret, struct sync_error *err)
{
	int64_t unpushed;

	TRY(sync_unpushed(s->site.db, &unpushed, err));
	*ret = unpushed > plan->known;
	if (unpushed < plan->known)
		plan->known = unpushed;
	return SYNC_OK;
}

/* Until the next round is due, an edit was made, or a signal came. */
static enum sync_status wait_for_round(struct session *s, struct schedule *plan, struct watch *w, struct sync_error *err)
{
	bool edit = false;

	if (!plan->backoff_ms)
		TRY(edited(s, plan, &edit, err));
	while (!edit && !remote_stop && left_ms(plan) > 0) {
		if (!watch_wait(w, left_ms(plan)))
			continue;
		if (plan->backoff_ms)
			continue;
		(void)wait_ms(plan->debounce_ms, NULL);
		watch_drain(w);
		TRY(edited(s, plan, &edit, err));
	}
	return SYNC_OK;
}

static void log_round(const struct session *s, const struct sync_report *r)
{
	bool moved = r->pushed > 0 || r->pulled > 0;

	sync_log(moved ? SYNC_LOG_INFO : SYNC_LOG_DEBUG, "round ok",
	         "site=%s pushed=%" PRId64 " pulled=%" PRId64 " unpushed=%" PRId64 " more=%" PRId64 " waiting=%" PRId64
	         " waiting_at_central=%" PRId64 " refused=%" PRId64 " out=%" PRId64 " in=%" PRId64 " ms=%" PRId64,
	         s->link.name, r->pushed, r->pulled, r->unpushed, r->more, r->waiting, r->waiting_at_central, r->refused, r->bytes_out, r->bytes_in,
	         r->ms);
}

/* What troubles the file was told when it began. */
static void retry_later(struct session *s, struct schedule *plan, const struct sync_error *err)
{
	bool told = sync_guard_code(&s->site.guard) == err->status;

	plan_retry(plan, err->retry_after_s);
	sync_log(told ? SYNC_LOG_DEBUG : SYNC_LOG_WARNING, "round failed", "site=%s code=%s again_in_ms=%" PRId64 " text=%s", s->link.name,
	         sync_status_name(err->status), left_ms(plan), err->text);
}

/* Of failures only damage ends this: what central says today, such as that it does not know a token, it may have mended tomorrow. */
static void go_round(struct session *s, struct schedule *plan)
{
	struct sync_report r;
	struct sync_error err = { 0 };
	enum sync_status status = session_round(s, &r, &err);

	plan->known = r.unpushed;
	if (status == SYNC_OK) {
		log_round(s, &r);
		plan_next(plan);
	} else if (!remote_stop) {
		retry_later(s, plan, &err);
	}
}

/* Once a week, after a round, when nobody waits for anything. */
static void look_after(struct session *s)
{
	struct sync_error err = { 0 };

	if (sync_guard_code(&s->site.guard) == SYNC_OK && site_check_weekly(&s->site, &err) != SYNC_OK)
		(void)sync_guard_saw(&s->site.guard, &err);
}

static bool goes_on(struct session *s)
{
	return !remote_stop && sync_guard_code(&s->site.guard) != SYNC_ECORRUPT;
}

static void wait_failed(struct session *s, struct schedule *plan, const struct sync_error *err)
{
	(void)sync_guard_saw(&s->site.guard, err);
	retry_later(s, plan, err);
}

static enum sync_status run(struct session *s, const struct remote_settings *settings, struct watch *w, struct sync_error *err)
{
	struct schedule plan = { .interval_ms = settings->interval_ms, .debounce_ms = settings->debounce_ms };
	struct sync_error seen = { 0 };

	sync_log(SYNC_LOG_INFO, "running", "site=%s url=%s", s->link.name, settings->url ? settings->url : s->link.url);
	while (goes_on(s)) {
		watch_drain(w);
		go_round(s, &plan);
		look_after(s);
		while (goes_on(s) && wait_for_round(s, &plan, w, &seen) != SYNC_OK)
			wait_failed(s, &plan, &seen);
	}
	sync_log(SYNC_LOG_INFO, "stopped", "site=%s", s->link.name);
	return sync_guard_code(&s->site.guard) == SYNC_ECORRUPT ? sync_guard_fail(&s->site.guard, err) : SYNC_OK;
}

enum sync_status cmd_run(const struct sync_call *call, struct sync_error *err)
{
	defer(session_close) struct session s = { 0 };
	defer(watch_close) struct watch w = { .fd = -1 };

	remote_catch_signals();
	TRY(session_open(&s, call, err));
	if (watch_open(&w, s.site.file, err) != SYNC_OK)
		sync_log(SYNC_LOG_WARNING, "not watching", "text=%s", err->text);
	return run(&s, call->settings, &w, err);
}

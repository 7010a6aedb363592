#include "round.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include <libsync/time.h>

enum { STEP_MS = 100 };

static const char authority[] = "ca-file"; /* in sync_meta */

static void show_progress(void *ctx, const char *what, int64_t done, int64_t total)
{
	sync_progress_show(ctx, what, done, total);
}

void session_options(struct session *s)
{
	s->options = (struct sync_options){ .progress = show_progress, .ctx = &s->progress, .stop = &remote_stop };
}

/* A setting wins over what was kept. */
static enum sync_status find_authority(struct session *s, const struct remote_settings *settings, struct sync_error *err)
{
	defer(sync_buf_clear) struct sync_buf kept = { .max = sizeof s->ca_file - 1 };
	const char *file = settings->ca_file;
	bool found = false;

	if (!file)
		TRY(sync_meta_get(s->site.db, authority, &kept, &found, err));
	if (found)
		file = kept.data;
	snprintf(s->ca_file, sizeof s->ca_file, "%s", file ? file : "");
	return SYNC_OK;
}

enum sync_status session_keep_authority(struct session *s, const struct remote_settings *settings, struct sync_error *err)
{
	defer(freep) char *path = NULL;

	if (!settings->ca_file)
		return SYNC_OK;
	path = realpath(settings->ca_file, NULL); /* a service starts in another folder */
	if (!path)
		return sync_fail(err, SYNC_EIO, "--ca-file %s: %m", settings->ca_file);
	return sync_meta_put(s->site.db, authority, sync_view_of(path), err);
}

enum sync_status session_connect(struct session *s, const struct remote_settings *settings, const char *token, struct sync_error *err)
{
	const char *url = settings->url ? settings->url : s->link.url;

	if (!url[0])
		return sync_fail(err, SYNC_EUSAGE, "site '%s' was made from a bundle and has no address of central: --url names it", s->link.name);
	TRY(find_authority(s, settings, err));
	return link_http_open(&s->http, settings, url, s->ca_file[0] ? s->ca_file : NULL, token, err);
}

enum sync_status session_open(struct session *ret, const struct sync_call *call, struct sync_error *err)
{
	TRY(site_open(&ret->site, call, false, true, err));
	TRY(sync_link_get(ret->site.db, &ret->link, err));
	if (!ret->link.operational)
		return sync_fail(err, SYNC_EBUSY, "the first load of site '%s' is not over: remote init goes on with it", ret->link.name);
	session_options(ret);
	return session_connect(ret, call->settings, ret->link.token, err);
}

void session_close(struct session *s)
{
	sync_progress_end(&s->progress);
	link_http_close(&s->http);
	site_close(&s->site);
}

static bool failed_before(struct session *s)
{
	struct sync_exchanged last;
	struct sync_error ignored;
	bool found = false;

	return sync_exchanged_last(s->site.db, 0, &last, &found, &ignored) == SYNC_OK && found && last.code != SYNC_OK;
}

/* What it could not keep is no reason to fail: the round itself went as it went. */
static void keep(struct session *s, const struct sync_report *r, int64_t at_us, const struct sync_error *err)
{
	struct sync_exchanged x = { .at_us = at_us, .ms = r->ms, .pushed = r->pushed, .pulled = r->pulled, .bytes_in = r->bytes_in,
		                    .bytes_out = r->bytes_out, .code = err->status };
	struct sync_error ignored;

	if (err->status == SYNC_OK && r->pushed == 0 && r->pulled == 0 && !failed_before(s))
		return;
	snprintf(x.text, sizeof x.text, "%.*s", (int)sizeof x.text - 1, err->text);
	(void)sync_exchanged_put(s->site.db, &x, 1, &ignored);
}

/* While nothing can be written no round is made: what it fetches would be fetched in vain, over a link that somebody pays for. */
static enum sync_status try_to_write(struct session *s, struct sync_error *err)
{
	enum sync_status code = sync_guard_code(&s->site.guard);

	if (code == SYNC_ECORRUPT)
		return sync_guard_fail(&s->site.guard, err);
	return code == SYNC_OK ? SYNC_OK : sync_db_probe(s->site.db, err);
}

/* A failure that central told is its own. */
static void watch_over(struct session *s, const struct sync_error *seen)
{
	if (seen->status == SYNC_OK)
		sync_guard_well(&s->site.guard);
	else if (seen->status != s->http.told)
		(void)sync_guard_saw(&s->site.guard, seen);
}

/* Edits are as old as they say, by this clock. */
static void compare_clocks(struct session *s)
{
	int64_t ahead_s = s->http.dated_s - s->http.date_s;
	struct sync_error ignored;
	bool changed = false;
	char text[64];

	if (!s->http.date_s || sync_clock_note(s->site.db, ahead_s, &changed, &ignored) != SYNC_OK || !changed)
		return;
	if (sync_clock_is_off(ahead_s)) {
		sync_clock_text(text, ahead_s);
		sync_log(SYNC_LOG_WARNING, "clock wrong", "ahead_s=%" PRId64 " text=%s", ahead_s, text);
	} else {
		sync_log(SYNC_LOG_NOTICE, "clock right", "ahead_s=%" PRId64, ahead_s);
	}
}

/* Whoever reads that the link is down is to know that no person has to do anything. */
static void reassure(const struct session *s, struct sync_error *seen)
{
	static const char loaded[] = "nothing is lost, remote run tries again by itself";
	static const char loading[] = "nothing is lost, remote init goes on from here when it is repeated";

	if (seen->status == SYNC_ENET)
		(void)sync_fail(seen, SYNC_ENET, "%s: %s", seen->text, s->link.operational ? loaded : loading);
}

enum sync_status session_round(struct session *s, struct sync_report *ret, struct sync_error *err)
{
	int64_t at_us = sync_now_us();
	struct sync_error seen = { 0 };

	*ret = (struct sync_report){ 0 };
	s->http.told = SYNC_OK;
	seen.status = try_to_write(s, &seen);
	if (seen.status == SYNC_OK)
		seen.status = sync_round(s->site.db, &s->http.transport, &s->options, ret, &seen);
	sync_progress_end(&s->progress);
	reassure(s, &seen);
	watch_over(s, &seen);
	if (seen.status == SYNC_OK)
		compare_clocks(s);
	if (sync_guard_code(&s->site.guard) == SYNC_OK)
		keep(s, ret, at_us, &seen);
	if (err)
		*err = seen;
	return seen.status;
}

enum sync_status wait_ms(int64_t ms, struct sync_error *err)
{
	for (; ms > 0 && !remote_stop; ms -= STEP_MS) {
		int64_t step = ms < STEP_MS ? ms : STEP_MS;

		nanosleep(&(struct timespec){ .tv_nsec = step * 1000000 }, NULL);
	}
	return remote_stop ? sync_fail(err, SYNC_EBUSY, "stopped by a signal") : SYNC_OK;
}

void report_json(struct sync_buf *b, const struct sync_report *r, const struct session *s)
{
	const struct {
		const char *key;
		int64_t n;
	} rows[] = { { "requests", r->requests }, { "pushed", r->pushed }, { "pulled", r->pulled }, { "integrated", r->integrated },
		     { "waiting", r->waiting }, { "waiting_at_central", r->waiting_at_central }, { "refused", r->refused },
		     { "unpushed", r->unpushed }, { "more", r->more }, { "bytes_out", r->bytes_out }, { "bytes_in", r->bytes_in }, { "http_bytes_out", s->http.sent_bytes },
		     { "http_bytes_in", s->http.read_bytes }, { "ms", r->ms } };

	for (size_t i = 0; i < COUNT(rows); i++)
		sync_show_int(b, rows[i].key, rows[i].n);
}

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include <libsync/site.h>
#include <libsync/time.h>

#include "remote.h"

enum { MAX_REPORT = 64 << 20, SHOWN = 50 /* records, to people */ };

/* What a status tells besides the link. */
struct gathered {
	int64_t unpushed;
	struct sync_exchanged last;
	bool exchanged;
	int64_t checked_us;
	struct sync_trouble troubles[3];
	size_t n_troubles;
};

static enum sync_status add_clock(struct sync_db *db, struct gathered *g, struct sync_error *err)
{
	struct sync_trouble *t = &g->troubles[g->n_troubles];
	struct sync_clock clock;
	char text[64];

	TRY(sync_clock_get(db, &clock, err));
	if (!clock.ahead_s)
		return SYNC_OK;
	sync_clock_text(text, clock.ahead_s);
	*t = (struct sync_trouble){ .name = "clock", .since_us = clock.since_us };
	snprintf(t->text, sizeof t->text, "this machine's clock is %s: set it (timedatectl set-ntp true), applications date records by it", text);
	g->n_troubles++;
	return SYNC_OK;
}

static enum sync_status gather(const struct site *site, struct gathered *g, struct sync_error *err)
{
	TRY(sync_unpushed(site->db, &g->unpushed, err));
	TRY(sync_db_checked(site->db, &g->checked_us, err));
	g->n_troubles = site_troubles(site, g->troubles);
	TRY(add_clock(site->db, g, err));
	return sync_exchanged_last(site->db, 0, &g->last, &g->exchanged, err);
}

static enum sync_status verdict_json(void *ctx, const struct sync_value *v, size_t n, struct sync_error *err)
{
	static const char *const keys[] = { "kind", "entity", "record_id", "code", "field", "text" };
	struct sync_buf *b = ctx;

	(void)n;
	sync_show_open(b, NULL, '{');
	for (size_t i = 0; i < COUNT(keys); i++)
		sync_show_text(b, keys[i], v[i].kind == SYNC_STRING ? v[i].s : (struct sync_view){ 0 });
	sync_show_time(b, "since", v[6].i);
	sync_show_close(b, '}');
	return sync_buf_check(b, err);
}

/* An edit that central keeps until what it needs arrives; any other verdict says that it was not taken. */
static bool is_kept(const struct sync_value *v)
{
	return sync_view_is(v[0].s, "waiting");
}

static enum sync_status kept_json(void *ctx, const struct sync_value *v, size_t n, struct sync_error *err)
{
	return is_kept(v) ? verdict_json(ctx, v, n, err) : SYNC_OK;
}

static enum sync_status refused_json(void *ctx, const struct sync_value *v, size_t n, struct sync_error *err)
{
	return is_kept(v) ? SYNC_OK : verdict_json(ctx, v, n, err);
}

/* What central said last comes first: without its leave the rest does not matter. */
static const char *state_of(const struct sync_link *l, const struct gathered *g)
{
	enum sync_status last = g->exchanged ? g->last.code : SYNC_OK;

	if (last == SYNC_EREVOKED || last == SYNC_EUNAUTHORIZED || last == SYNC_ECOPIED)
		return sync_status_name(last);
	if (l->loss != SYNC_LOSS_NONE)
		return "healing";
	return l->operational ? "ok" : "loading";
}

static enum sync_status status_json(struct sync_db *db, const struct sync_link *l, const struct gathered *g, struct sync_buf *b,
                                    struct sync_error *err)
{
	sync_show_open(b, NULL, '{');
	sync_show_bool(b, "ok", true);
	sync_show_text(b, "version", sync_view_of(SYNC_VERSION));
	sync_show_int(b, "schema", SYNC_SCHEMA_VERSION);
	sync_show_text(b, "site", sync_view_of(l->name));
	sync_show_int(b, "site_id", l->site_id);
	sync_show_text(b, "branch", sync_view_of(l->branch));
	sync_show_text(b, "url", sync_view_of(l->url));
	sync_show_text(b, "state", sync_view_of(state_of(l, g)));
	sync_show_time(b, "checked", g->checked_us);
	sync_trouble_list(b, g->troubles, g->n_troubles);
	sync_show_int(b, "load_done", l->load_done);
	sync_show_int(b, "load_total", l->load_total);
	sync_show_int(b, "unpushed", g->unpushed);
	sync_show_int(b, "more", l->more);
	sync_show_int(b, "pushed_upto", l->out.seq);
	sync_show_int(b, "integrated_upto", l->integrated);
	if (g->exchanged)
		sync_exchanged_json(b, &g->last);
	else
		sync_show_null(b, "last_exchange");
	sync_show_open(b, "waiting", '[');
	TRY(sync_inbox_each(db, sync_inbox_json, b, err));
	sync_show_close(b, ']');
	sync_show_open(b, "waiting_at_central", '[');
	TRY(sync_verdict_each(db, kept_json, b, err));
	sync_show_close(b, ']');
	sync_show_open(b, "refused", '[');
	TRY(sync_verdict_each(db, refused_json, b, err));
	sync_show_close(b, ']');
	sync_show_close(b, '}');
	return SYNC_OK;
}

/* At most SHOWN lines; all are counted. */
struct shown {
	struct sync_buf lines;
	int64_t n;
};

static enum sync_status inbox_text(void *ctx, const struct sync_value *v, size_t n, struct sync_error *err)
{
	struct shown *s = ctx;
	size_t from = s->lines.len;

	(void)n;
	if (s->n++ >= SHOWN)
		return SYNC_OK;
	sync_buf_addf(&s->lines, "  %.*s %.*s: %.*s: %.*s", SYNC_VIEW(v[1].s), SYNC_VIEW(v[2].s), SYNC_VIEW(v[3].s), SYNC_VIEW(v[7].s));
	sync_show_plain(&s->lines, from);
	sync_buf_add_char(&s->lines, '\n');
	return sync_buf_check(&s->lines, err);
}

struct verdicts {
	struct shown kept, refused;
};

static enum sync_status verdict_text(void *ctx, const struct sync_value *v, size_t n, struct sync_error *err)
{
	struct verdicts *verdicts = ctx;
	struct shown *s = is_kept(v) ? &verdicts->kept : &verdicts->refused;
	size_t from = s->lines.len;

	(void)n;
	if (s->n++ >= SHOWN)
		return SYNC_OK;
	sync_buf_addf(&s->lines, "  %.*s: %.*s %.*s: %.*s: %.*s", SYNC_VIEW(v[0].s), SYNC_VIEW(v[1].s), SYNC_VIEW(v[2].s), SYNC_VIEW(v[3].s),
	              SYNC_VIEW(v[5].s));
	sync_show_plain(&s->lines, from);
	sync_buf_add_char(&s->lines, '\n');
	return sync_buf_check(&s->lines, err);
}

/* "1 edit that central did not take" and which */
static void add_shown(struct sync_buf *b, struct shown *s, const char *what, const char *how)
{
	sync_buf_addf(b, "%" PRId64 " %s%s %s\n", s->n, what, plural(s->n), how);
	sync_buf_add_view(b, sync_buf_view(&s->lines));
	if (s->n > SHOWN)
		sync_buf_addf(b, "  and %" PRId64 " more: --json shows all\n", s->n - SHOWN);
	sync_buf_clear(&s->lines);
}

static void exchanged_text(struct sync_buf *b, const struct gathered *g)
{
	char at[21];

	if (!g->exchanged) {
		sync_buf_add_text(b, "exchange  none with records yet\n");
		return;
	}
	sync_time_text(at, g->last.at_us);
	if (g->last.code != SYNC_OK)
		sync_buf_addf(b, "exchange  %s, failed: %s: %s\n", at, sync_status_name(g->last.code), g->last.text);
	else
		sync_buf_addf(b, "exchange  %s, %" PRId64 " pushed, %" PRId64 " pulled, %" PRId64 " bytes sent, %" PRId64 " received, %" PRId64
		              " ms\n", at, g->last.pushed, g->last.pulled, g->last.bytes_out, g->last.bytes_in, g->last.ms);
}

static enum sync_status status_text(struct sync_db *db, const struct sync_link *l, const struct gathered *g, struct sync_buf *b,
                                    struct sync_error *err)
{
	struct shown inbox = { .lines.max = MAX_REPORT };
	struct verdicts verdicts = { .kept.lines.max = MAX_REPORT, .refused.lines.max = MAX_REPORT };
	enum sync_status status;

	sync_buf_addf(b, "site      %s (%" PRId64 ") of %s, %s\n", l->name, l->site_id, l->url[0] ? l->url : "a central without address", state_of(l, g));
	sync_buf_addf(b, "version   %s, schema %d, branch %s\n", SYNC_VERSION, SYNC_SCHEMA_VERSION, l->branch);
	for (size_t i = 0; i < g->n_troubles; i++)
		sync_trouble_text(b, &g->troubles[i]);
	if (!l->operational)
		sync_buf_addf(b, "load      %" PRId64 " of %" PRId64 " record%s: remote init goes on\n", l->load_done, l->load_total, plural(l->load_total));
	exchanged_text(b, g);
	sync_buf_addf(b, "pending   %" PRId64 " edit%s to central, %" PRId64 " record%s from it\n", g->unpushed, plural(g->unpushed), l->more,
	              plural(l->more));
	status = sync_inbox_each(db, inbox_text, &inbox, err);
	if (status == SYNC_OK)
		status = sync_verdict_each(db, verdict_text, &verdicts, err);
	add_shown(b, &inbox, "record", "waiting here for something to arrive");
	add_shown(b, &verdicts.kept, "edit", "waiting at central for something to arrive");
	add_shown(b, &verdicts.refused, "edit", "that central did not take");
	b->len -= b->len > 0; /* what prints it ends the last line */
	return status;
}

enum sync_status cmd_status(const struct sync_call *call, struct sync_error *err)
{
	defer(site_close) struct site site = { 0 };
	defer(sync_buf_clear) struct sync_buf b = { .max = MAX_REPORT };
	struct gathered g = { 0 };
	struct sync_link link;

	TRY(site_open(&site, call, false, false, err));
	TRY(sync_link_get(site.db, &link, err));
	TRY(gather(&site, &g, err));
	TRY((call->json ? status_json : status_text)(site.db, &link, &g, &b, err));
	return sync_show_print(&b, err);
}

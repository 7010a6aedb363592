#include "round.h"

#include <inttypes.h>
#include <string.h>

#include <libsync/time.h>

enum { MOST_LISTED = 100, MOST_REPORT = 1 << 20 };

/* Differences as they are found; the first of them are listed. */
struct listing {
	struct sync_buf b;
	bool json;
	int64_t n;
};

static void clear_listing(struct listing *l)
{
	sync_buf_clear(&l->b);
}

static const char *in_words(const struct sync_difference *d)
{
	const struct {
		const char *fate, *words;
	} rows[] = {
		{ "sent", "central's version is sent" },
		{ "yours", "this site's version is pushed again" },
		{ "moving", "what changed it is on its way" },
		{ "waits", "it waits: status tells for what" },
	};

	for (size_t i = 0; i < COUNT(rows); i++)
		if (d->fate && !strcmp(d->fate, rows[i].fate))
			return rows[i].words;
	return "left as it is";
}

static void add_json(struct sync_buf *b, const struct sync_difference *d)
{
	sync_show_open(b, NULL, '{');
	sync_show_text(b, "entity", sync_view_of(d->entity->name));
	sync_show_text(b, "id", d->id);
	sync_show_text(b, "kind", sync_view_of(d->kind));
	if (d->fate)
		sync_show_text(b, "fate", sync_view_of(d->fate));
	sync_show_close(b, '}');
}

static enum sync_status list(void *ctx, const struct sync_difference *d, struct sync_error *err)
{
	struct listing *l = ctx;

	if (l->n++ >= MOST_LISTED)
		return SYNC_OK;
	if (l->json)
		add_json(&l->b, d);
	else
		sync_buf_addf(&l->b, "%s %.*s %s: %s\n", d->entity->name, SYNC_VIEW(d->id),
		              !strcmp(d->kind, "differs") ? "differs" : !strcmp(d->kind, "extra") ? "is here only" : "is missing here",
		              in_words(d));
	return sync_buf_check(&l->b, err);
}

static int64_t count(const struct sync_compared *v)
{
	return v->missing + v->extra + v->differs;
}

static void report_as_json(struct sync_buf *b, const struct session *s, const struct sync_compared *first, const struct sync_compared *last,
                           const struct sync_report *r)
{
	const struct {
		const char *key;
		int64_t n;
	} rows[] = { { "entities", last->entities }, { "records", last->records }, { "missing", first->missing }, { "extra", first->extra },
		     { "differs", first->differs }, { "sent", first->sent }, { "yours", first->yours }, { "moving", first->moving },
		     { "waits", first->waits }, { "remaining", count(last) } };
	char at[21];

	sync_time_text(at, sync_now_us());
	sync_show_bool(b, "ok", count(last) == 0);
	sync_show_bool(b, "equal", count(last) == 0);
	sync_show_text(b, "site", sync_view_of(s->link.name));
	sync_show_text(b, "at", sync_view_of(at));
	sync_show_text(b, "digest", sync_view_of(last->sum));
	for (size_t i = 0; i < COUNT(rows); i++)
		sync_show_int(b, rows[i].key, rows[i].n);
	report_json(b, r, s);
}

/* The line that can be put on record. */
static void report_as_text(struct sync_buf *b, const struct session *s, const struct sync_compared *first, const struct sync_compared *last)
{
	char at[21];

	sync_time_text(at, sync_now_us());
	if (count(first) > MOST_LISTED)
		sync_buf_addf(b, "and %" PRId64 " more\n", count(first) - MOST_LISTED);
	sync_buf_addf(b, "%s: site '%s' at %s, %" PRId64 " records of %" PRId64 " entities, digest %s, %" PRId64 " difference%s found, %" PRId64 " left",
	              count(last) ? "not equal" : "equal", s->link.name, at, last->records, last->entities, last->sum, count(first),
	              plural(count(first)), count(last));
}

static enum sync_status print_report(const struct session *s, struct listing *l, const struct sync_compared *first,
                                     const struct sync_compared *last, const struct sync_report *r, struct sync_error *err)
{
	defer(sync_buf_clear) struct sync_buf b = { .max = MOST_REPORT };

	if (l->json) {
		sync_show_open(&b, NULL, '{');
		report_as_json(&b, s, first, last, r);
		sync_show_open(&b, "differences", '[');
		sync_buf_add_view(&b, sync_buf_view(&l->b));
		sync_show_close(&b, ']');
		sync_show_close(&b, '}');
	} else {
		sync_buf_add_view(&b, sync_buf_view(&l->b));
		report_as_text(&b, s, first, last);
	}
	return sync_show_print(&b, err);
}

enum sync_status cmd_verify(const struct sync_call *call, struct sync_error *err)
{
	const struct remote_settings *settings = call->settings;
	defer(session_close) struct session s = { 0 };
	defer(clear_listing) struct listing l = { .b.max = MOST_REPORT, .json = call->json };
	const struct sync_entity *only = NULL;
	struct sync_compared first, last;
	struct sync_report total = { 0 };

	if (call->n_args)
		TRY(sync_entity_named(call->args[0], &only, err));
	remote_catch_signals();
	TRY(session_open(&s, call, err));
	TRY(sync_verify(s.site.db, &s.http.transport, &s.options, only, !settings->dry_run, list, &l, &first, &last, &total, err));
	sync_progress_end(&s.progress);
	TRY(print_report(&s, &l, &first, &last, &total, err));
	if (count(&last) == 0)
		return SYNC_OK;
	return sync_fail(err, SYNC_EINCOMPLETE, "%" PRId64 " difference%s left: %s", count(&last), plural(count(&last)),
	                 count(&last) <= first.waits ? "what waits is different until it goes on; remote status tells for what"
	                                             : "repeat it when both sides are at rest");
}

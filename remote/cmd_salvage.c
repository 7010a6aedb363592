#include "round.h"

#include <inttypes.h>

#include <libsync/bundle.h>

enum { MOST_LISTED = 100, MOST_REPORT = 1 << 20 };

/* Edits that are lost, as they are found; the first of them are listed. */
struct listing {
	struct sync_buf b;
	bool json;
	int64_t n;
};

static void clear_listing(struct listing *l)
{
	sync_buf_clear(&l->b);
}

static void add_json(struct sync_buf *b, struct sync_view entity, struct sync_view id, const char *why)
{
	sync_show_open(b, NULL, '{');
	sync_show_text(b, "entity", entity);
	sync_show_text(b, "id", id);
	sync_show_text(b, "text", sync_view_of(why));
	sync_show_close(b, '}');
}

static enum sync_status list(void *ctx, struct sync_view entity, struct sync_view id, const char *why, struct sync_error *err)
{
	struct listing *l = ctx;
	size_t from = l->b.len;

	if (l->n++ >= MOST_LISTED)
		return SYNC_OK;
	if (l->json) {
		add_json(&l->b, entity, id, why);
	} else {
		sync_buf_addf(&l->b, "lost: %.*s %.*s: %s", SYNC_VIEW(entity), SYNC_VIEW(id), why);
		sync_show_plain(&l->b, from);
		sync_buf_add_char(&l->b, '\n');
	}
	return sync_buf_check(&l->b, err);
}

static void report_as_json(struct sync_buf *b, const struct listing *l, const struct sync_salvaged *x, bool ok)
{
	sync_show_open(b, NULL, '{');
	sync_show_bool(b, "ok", ok);
	sync_bundled_json(b, &x->bundle);
	sync_show_int(b, "lost", x->lost);
	sync_show_bool(b, "incomplete", x->incomplete);
	sync_show_open(b, "unreadable", '[');
	sync_buf_add_view(b, sync_buf_view(&l->b));
	sync_show_close(b, ']');
	sync_show_close(b, '}');
}

static void report_as_text(struct sync_buf *b, const struct listing *l, const struct sync_salvaged *x, const char *file)
{
	sync_buf_add_view(b, sync_buf_view(&l->b));
	if (l->n > MOST_LISTED)
		sync_buf_addf(b, "and %" PRId64 " more\n", l->n - MOST_LISTED);
	sync_buf_addf(b, "%" PRId64 " edit%s of site '%s' in %s, %" PRId64 " bytes: central accept takes them", x->bundle.records,
	              plural(x->bundle.records), x->bundle.site, file, x->bundle.bytes);
}

static enum sync_status check_complete(const struct sync_salvaged *x, struct sync_error *err)
{
	if (x->incomplete)
		return sync_fail(err, SYNC_EINCOMPLETE,
		                 "%" PRId64 " edit%s known to be lost, and there may have been others: what names the edits is damaged as well",
		                 x->lost, x->lost == 1 ? " is" : "s are");
	return x->lost == 0 ? SYNC_OK
	                    : sync_fail(err, SYNC_EINCOMPLETE, "%" PRId64 " edit%s lost, all others are in the bundle", x->lost,
	                                x->lost == 1 ? " is" : "s are");
}

enum sync_status cmd_salvage(const struct sync_call *call, struct sync_error *err)
{
	const char *file = call->args[0];
	defer(sync_buf_clear) struct sync_buf b = { .max = 2 * MOST_REPORT };
	defer(session_close) struct session s = { 0 };
	defer(clear_listing) struct listing l = { .b.max = MOST_REPORT, .json = call->json };
	struct sync_salvaged x;
	struct sync_error left;
	enum sync_status complete;

	remote_catch_signals();
	TRY(site_hold(&s.site, call, err));
	session_options(&s);
	TRY(sync_salvage(s.site.file, file, &s.options, list, &l, &x, err));
	sync_progress_end(&s.progress);
	complete = check_complete(&x, &left);
	if (call->json)
		report_as_json(&b, &l, &x, complete == SYNC_OK);
	else
		report_as_text(&b, &l, &x, file);
	TRY(sync_show_print(&b, err));
	return complete == SYNC_OK ? SYNC_OK : sync_fail(err, left.status, "%s", left.text);
}

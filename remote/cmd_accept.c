#include "round.h"

#include <inttypes.h>

#include <libsync/bundle.h>

static void report_text(struct sync_buf *b, const struct sync_bundled *x, const struct sync_report *r)
{
	if (x->known == x->messages)
		sync_buf_addf(b, "nothing new: everything in this bundle, made at %s, is here", x->made_at);
	else
		sync_buf_addf(b, "%" PRId64 " record%s taken, made at %s; %" PRId64 " waiting here, %" PRId64 " edit%s not at central as far as it said",
		              r->pulled, plural(r->pulled), x->made_at, r->waiting, r->unpushed, plural(r->unpushed));
}

enum sync_status cmd_accept(const struct sync_call *call, struct sync_error *err)
{
	defer(sync_buf_clear) struct sync_buf b = { .max = 4096 };
	defer(session_close) struct session s = { 0 };
	struct sync_report report = { 0 };
	struct sync_bundled done;

	remote_catch_signals();
	TRY(site_open(&s.site, call, false, true, err));
	session_options(&s);
	TRY(sync_bundle_take(s.site.db, call->args[0], &s.options, &done, &report, err));
	sync_progress_end(&s.progress);
	if (call->json) {
		sync_show_open(&b, NULL, '{');
		sync_show_bool(&b, "ok", true);
		sync_bundled_json(&b, &done);
		report_json(&b, &report, &s);
		sync_show_close(&b, '}');
	} else {
		report_text(&b, &done, &report);
	}
	return sync_show_print(&b, err);
}

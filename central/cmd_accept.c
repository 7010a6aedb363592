#include "central.h"
#include "report.h"

#include <inttypes.h>

#include <libsync/bundle.h>

static void report_text(struct sync_buf *b, const struct sync_bundled *x)
{
	if (x->known == x->messages)
		sync_buf_addf(b, "done before: everything in this bundle of site '%s', made at %s, is here", x->site, x->made_at);
	else
		sync_buf_addf(b, "taken from site '%s': %" PRId64 " record%s, made at %s", x->site, x->records, plural(x->records), x->made_at);
	if (x->known > 0 && x->known < x->messages)
		sync_buf_addf(b, ", of which %" PRId64 " of %" PRId64 " messages were here before", x->known, x->messages);
}

enum sync_status cmd_accept(const struct sync_call *call, struct sync_error *err)
{
	const struct central_settings *s = call->settings;
	defer(sync_buf_clear) struct sync_buf b = { .max = MAX_REPORT };
	defer(sync_db_closep) struct sync_db *db = NULL;
	struct sync_bundled done;

	TRY(central_edit(&db, call, false, err));
	TRY(sync_bundle_accept(db, call->args[0], s->waiting_max, &done, err));
	if (call->json) {
		sync_show_open(&b, NULL, '{');
		sync_show_bool(&b, "ok", true);
		sync_bundled_json(&b, &done);
		sync_show_close(&b, '}');
	} else {
		report_text(&b, &done);
	}
	return sync_show_print(&b, err);
}

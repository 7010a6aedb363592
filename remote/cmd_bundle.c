#include "remote.h"

#include <inttypes.h>

#include <libsync/bundle.h>

static void report_text(struct sync_buf *b, const struct sync_bundled *x, const char *file)
{
	if (x->records > 0)
		sync_buf_addf(b, "%" PRId64 " edit%s in %s, %" PRId64 " bytes", x->records, plural(x->records), file, x->bytes);
	else
		sync_buf_addf(b, "no edits: %s tells central what this site holds, %" PRId64 " bytes", file, x->bytes);
}

enum sync_status cmd_bundle(const struct sync_call *call, struct sync_error *err)
{
	defer(sync_buf_clear) struct sync_buf b = { .max = 4096 };
	defer(site_close) struct site site = { .lock = -1 };
	struct sync_bundled done;

	TRY(site_open(&site, call, false, true, err));
	TRY(sync_bundle_pack(site.db, call->args[0], &done, err));
	if (call->json) {
		sync_show_open(&b, NULL, '{');
		sync_show_bool(&b, "ok", true);
		sync_bundled_json(&b, &done);
		sync_show_close(&b, '}');
	} else {
		report_text(&b, &done, call->args[0]);
	}
	return sync_show_print(&b, err);
}

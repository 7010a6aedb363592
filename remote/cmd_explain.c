#include <libsync/explain.h>

#include "remote.h"

enum { MAX_REPORT = 16 << 20 };

enum sync_status cmd_explain(const struct sync_call *call, struct sync_error *err)
{
	defer(site_close) struct site site = { 0 };
	defer(sync_explanation_clear) struct sync_explanation x = { 0 };
	defer(sync_buf_clear) struct sync_buf b = { .max = MAX_REPORT };

	TRY(site_open(&site, call, false, false, err));
	TRY(sync_explain(site.db, call->args[0], call->args[1], NULL, &x, err));
	(call->json ? sync_explanation_json : sync_explanation_text)(&b, &x);
	return sync_show_print(&b, err);
}

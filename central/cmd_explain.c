#include "central.h"
#include "report.h"

#include <libsync/explain.h>

enum sync_status cmd_explain(const struct sync_call *call, struct sync_error *err)
{
	const struct central_settings *s = call->settings;
	defer(sync_db_closep) struct sync_db *db = NULL;
	defer(sync_explanation_clear) struct sync_explanation x = { 0 };
	defer(sync_buf_clear) struct sync_buf b = { .max = MAX_REPORT };

	TRY(central_open(&db, call, false, err));
	TRY(sync_explain(db, call->args[0], call->args[1], s->site, &x, err));
	(call->json ? sync_explanation_json : sync_explanation_text)(&b, &x);
	return sync_show_print(&b, err);
}

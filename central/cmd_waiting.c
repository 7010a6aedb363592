#include "central.h"
#include "report.h"
#include "table.h"

#include <errno.h>

const char decided_accepted[] = "accepted: it goes to its sites with their next exchange";
const char decided_discarded[] = "discarded";

static enum sync_status row_text(void *ctx, const struct sync_waiting *w, struct sync_error *err)
{
	struct table *t = ctx;

	(void)err;
	table_int(t, w->id);
	table_text(t, w->kind);
	waiting_cells(t, w);
	return SYNC_OK;
}

static enum sync_status list_json(struct sync_db *db, struct sync_buf *b, struct sync_error *err)
{
	sync_show_open(b, NULL, '{');
	sync_show_bool(b, "ok", true);
	sync_show_open(b, "waiting", '[');
	TRY(sync_waiting_each(db, waiting_json, b, err));
	sync_show_close(b, ']');
	sync_show_close(b, '}');
	return SYNC_OK;
}

static enum sync_status list_text(struct sync_db *db, struct sync_buf *b, struct sync_error *err)
{
	static const char *const heads[] = { "ID", "KIND", "SITE", "ENTITY", "RECORD", "CODE", "SINCE", "WHY", NULL };
	defer(table_clear) struct table t;

	table_open(&t, heads);
	TRY(sync_waiting_each(db, row_text, &t, err));
	table_write(&t, b);
	return SYNC_OK;
}

enum sync_status cmd_waiting_list(const struct sync_call *call, struct sync_error *err)
{
	defer(sync_db_closep) struct sync_db *db = NULL;
	defer(sync_buf_clear) struct sync_buf b = { .max = MAX_REPORT };

	TRY(central_open(&db, call, false, err));
	TRY((call->json ? list_json : list_text)(db, &b, err));
	return sync_show_print(&b, err);
}

static enum sync_status read_id(const char *text, const char *list, int64_t *ret, struct sync_error *err)
{
	char *end;

	errno = 0;
	*ret = strtoll(text, &end, 10);
	if (errno || *end || end == text || *ret <= 0)
		return sync_fail(err, SYNC_EUSAGE, "'%s' is no number of central %s list", text, list);
	return SYNC_OK;
}

enum sync_status decide_each(const struct sync_call *call, const char *list, decide_fn *how, const char *what, struct sync_error *err)
{
	defer(sync_db_closep) struct sync_db *db = NULL;
	int64_t id;

	for (size_t i = 0; i < call->n_args; i++)
		TRY(read_id(call->args[i], list, &id, err));
	TRY(central_edit(&db, call, false, err));
	for (size_t i = 0; i < call->n_args; i++) {
		TRY(read_id(call->args[i], list, &id, err));
		TRY(how(db, id, err));
		TRY(report_done("id", call->args[i], what, call->json, err));
	}
	return SYNC_OK;
}

enum sync_status cmd_waiting_accept(const struct sync_call *call, struct sync_error *err)
{
	return decide_each(call, "waiting", sync_waiting_accept, decided_accepted, err);
}

enum sync_status cmd_waiting_discard(const struct sync_call *call, struct sync_error *err)
{
	return decide_each(call, "waiting", sync_waiting_discard, decided_discarded, err);
}

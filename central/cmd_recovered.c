#include "central.h"
#include "report.h"
#include "table.h"

#include <errno.h>
#include <inttypes.h>

static enum sync_status row_text(void *ctx, const struct sync_waiting *w, struct sync_error *err)
{
	struct table *t = ctx;

	(void)err;
	table_int(t, w->id);
	table_text(t, w->site);
	table_text(t, w->entity);
	table_text(t, w->record_id);
	table_text(t, w->code);
	table_time(t, w->at_us);
	table_text(t, w->text);
	return SYNC_OK;
}

static enum sync_status list_json(struct sync_db *db, struct sync_buf *b, struct sync_error *err)
{
	sync_show_open(b, NULL, '{');
	sync_show_bool(b, "ok", true);
	sync_show_open(b, "recovered", '[');
	TRY(sync_recovered_each(db, waiting_json, b, err));
	sync_show_close(b, ']');
	sync_show_close(b, '}');
	return SYNC_OK;
}

static enum sync_status list_text(struct sync_db *db, struct sync_buf *b, struct sync_error *err)
{
	static const char *const heads[] = { "ID", "FROM SITE", "ENTITY", "RECORD", "CODE", "SINCE", "WHY", NULL };
	defer(table_clear) struct table t;

	table_open(&t, heads);
	TRY(sync_recovered_each(db, row_text, &t, err));
	table_write(&t, b);
	return SYNC_OK;
}

/* What central has by itself again, because its site has pushed it, is nobody's business any more. */
enum sync_status cmd_recovered_list(const struct sync_call *call, struct sync_error *err)
{
	defer(sync_db_closep) struct sync_db *db = NULL;
	defer(sync_buf_clear) struct sync_buf b = { .max = MAX_REPORT };
	struct sync_recovered r;

	TRY(central_open(&db, call, false, err));
	TRY(sync_recovered_settle(db, &r, err));
	TRY((call->json ? list_json : list_text)(db, &b, err));
	return sync_show_print(&b, err);
}

static enum sync_status print_accepted(const struct sync_recovered *r, bool json, struct sync_error *err)
{
	defer(sync_buf_clear) struct sync_buf b = { .max = MAX_REPORT };

	if (json) {
		sync_show_open(&b, NULL, '{');
		sync_show_bool(&b, "ok", true);
		sync_show_int(&b, "accepted", r->accepted);
		sync_show_int(&b, "equal", r->equal);
		sync_show_int(&b, "left", r->left);
		sync_show_close(&b, '}');
	} else {
		sync_buf_addf(&b, "%" PRId64 " accepted, %" PRId64 " central had again by itself, %" PRId64 " left", r->accepted, r->equal,
		              r->left);
		if (r->left)
			sync_buf_add_text(&b, ": central recovered list shows them");
	}
	return sync_show_print(&b, err);
}

static enum sync_status accept_all(const struct sync_call *call, struct sync_error *err)
{
	defer(sync_db_closep) struct sync_db *db = NULL;
	struct sync_recovered r;

	TRY(central_open(&db, call, false, err));
	TRY(sync_recovered_accept(db, &r, err));
	return print_accepted(&r, call->json, err);
}

static enum sync_status read_id(const char *text, int64_t *ret, struct sync_error *err)
{
	char *end;

	errno = 0;
	*ret = strtoll(text, &end, 10);
	if (errno || *end || end == text || *ret <= 0)
		return sync_fail(err, SYNC_EUSAGE, "'%s' is no number of central recovered list", text);
	return SYNC_OK;
}

/* All of them or those before the first that is impossible. */
static enum sync_status decide(const struct sync_call *call, enum sync_status (*how)(struct sync_db *db, int64_t id, struct sync_error *err),
                               const char *what, struct sync_error *err)
{
	defer(sync_db_closep) struct sync_db *db = NULL;
	int64_t id;

	for (size_t i = 0; i < call->n_args; i++)
		TRY(read_id(call->args[i], &id, err));
	TRY(central_open(&db, call, false, err));
	for (size_t i = 0; i < call->n_args; i++) {
		TRY(read_id(call->args[i], &id, err));
		TRY(how(db, id, err));
		TRY(report_done("id", call->args[i], what, call->json, err));
	}
	return SYNC_OK;
}

enum sync_status cmd_recovered_accept(const struct sync_call *call, struct sync_error *err)
{
	const struct central_settings *s = call->settings;

	if (s->all == (call->n_args > 0))
		return sync_fail(err, SYNC_EUSAGE, "name what to accept by its numbers in central recovered list, or say --all");
	return s->all ? accept_all(call, err) : decide(call, sync_waiting_accept, "accepted: it goes to its sites with their next exchange", err);
}

enum sync_status cmd_recovered_discard(const struct sync_call *call, struct sync_error *err)
{
	return decide(call, sync_waiting_discard, "discarded", err);
}

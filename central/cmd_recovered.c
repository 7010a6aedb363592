#include "central.h"
#include "report.h"
#include "table.h"

#include <inttypes.h>

static enum sync_status row_text(void *ctx, const struct sync_waiting *w, struct sync_error *err)
{
	struct table *t = ctx;

	(void)err;
	table_int(t, w->id);
	waiting_cells(t, w);
	return SYNC_OK;
}

/* A page of the list. */
struct listing {
	struct sync_db *db;
	int64_t after, limit, n, last;
	enum sync_status (*row)(void *ctx, const struct sync_waiting *w, struct sync_error *err);
	void *ctx;
};

static enum sync_status list_row(void *ctx, const struct sync_waiting *w, struct sync_error *err)
{
	struct listing *l = ctx;

	l->n++;
	l->last = w->id;
	return l->row(l->ctx, w, err);
}

static enum sync_status list_json(struct listing l, struct sync_buf *b, struct sync_error *err)
{
	l.row = waiting_json;
	l.ctx = b;
	sync_show_open(b, NULL, '{');
	sync_show_bool(b, "ok", true);
	sync_show_open(b, "recovered", '[');
	TRY(sync_recovered_each(l.db, l.after, l.limit, list_row, &l, err));
	sync_show_close(b, ']');
	sync_show_bool(b, "more", l.n == l.limit);
	sync_show_close(b, '}');
	return SYNC_OK;
}

static enum sync_status list_text(struct listing l, struct sync_buf *b, struct sync_error *err)
{
	static const char *const heads[] = { "ID", "FROM SITE", "ENTITY", "RECORD", "CODE", "SINCE", "WHY", NULL };
	defer(table_clear) struct table t;

	l.row = row_text;
	l.ctx = &t;
	table_open(&t, heads);
	TRY(sync_recovered_each(l.db, l.after, l.limit, list_row, &l, err));
	table_write(&t, b);
	if (l.n == l.limit)
		sync_buf_addf(b, "what follows: central recovered list --after %" PRId64 "\n", l.last);
	return SYNC_OK;
}

/* What central has by itself again, because its site has pushed it, is nobody's business any more. */
enum sync_status cmd_recovered_list(const struct sync_call *call, struct sync_error *err)
{
	const struct central_settings *s = call->settings;
	defer(sync_db_closep) struct sync_db *db = NULL;
	defer(sync_buf_clear) struct sync_buf b = { .max = MAX_REPORT };
	struct listing l = { .after = s->after, .limit = s->limit };
	struct sync_recovered r;

	TRY(central_open(&db, call, false, err));
	if (s->after == 0)
		TRY(sync_recovered_settle(db, &r, err));
	l.db = db;
	TRY((call->json ? list_json : list_text)(l, &b, err));
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

	TRY(central_edit(&db, call, false, err));
	TRY(sync_recovered_accept_all(db, &r, err));
	return print_accepted(&r, call->json, err);
}

static enum sync_status check_what(const struct sync_call *call, const char *what, struct sync_error *err)
{
	const struct central_settings *s = call->settings;

	if (s->all == (call->n_args > 0))
		return sync_fail(err, SYNC_EUSAGE, "name what to %s by its numbers in central recovered list, or say --all", what);
	return SYNC_OK;
}

enum sync_status cmd_recovered_accept(const struct sync_call *call, struct sync_error *err)
{
	const struct central_settings *s = call->settings;

	TRY(check_what(call, "accept", err));
	return s->all ? accept_all(call, err) : decide_each(call, "recovered", sync_recovered_accept, decided_accepted, err);
}

static enum sync_status discard_all(const struct sync_call *call, struct sync_error *err)
{
	defer(sync_db_closep) struct sync_db *db = NULL;
	defer(sync_buf_clear) struct sync_buf b = { .max = MAX_REPORT };
	int64_t n;

	TRY(central_edit(&db, call, false, err));
	TRY(sync_recovered_discard_all(db, &n, err));
	if (call->json) {
		sync_show_open(&b, NULL, '{');
		sync_show_bool(&b, "ok", true);
		sync_show_int(&b, "discarded", n);
		sync_show_close(&b, '}');
	} else {
		sync_buf_addf(&b, "%" PRId64 " discarded", n);
	}
	return sync_show_print(&b, err);
}

enum sync_status cmd_recovered_discard(const struct sync_call *call, struct sync_error *err)
{
	const struct central_settings *s = call->settings;

	TRY(check_what(call, "discard", err));
	return s->all ? discard_all(call, err) : decide_each(call, "recovered", sync_recovered_discard, decided_discarded, err);
}

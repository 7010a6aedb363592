#include <libsync/site.h>

#include <stdlib.h>

#include <libsync/exchange.h>
#include <libsync/records.h>

#include "base/internal.h"
#include "exchange/pending.h"

enum { PAGE = 500, MAX_LINE = 32 << 20 };

/* Pages of what is pending, without sending it: what was shown counts as sent. */
struct show {
	struct sync_db *db;
	sync_write_fn *out;
	void *ctx;
	struct sync_pending pending;
	struct sync_seqs shown;
	struct sync_arena arena;
	struct sync_buf line;
};

static void clear_show(struct show *s)
{
	sync_pending_clear(&s->pending);
	sync_seqs_clear(&s->shown);
	sync_arena_clear(&s->arena);
	sync_buf_clear(&s->line);
}

static enum sync_status show_change(struct show *s, const struct sync_change *c, struct sync_error *err)
{
	struct sync_record r = { .entity = c->entity, .name = c->name, .id = c->id, .action = c->action, .root = c->root, .age_ms = -1 };

	sync_arena_reset(&s->arena);
	if (c->entity && c->action == SYNC_PUT)
		TRY(sync_records_get(s->db, c->entity, c->name, &c->id, 1, &s->arena, &r, err));
	if (c->action == SYNC_PUT && !r.values)
		return SYNC_OK;
	r.seq = c->seq;
	r.base = c->base;
	sync_buf_reset(&s->line);
	sync_record_write(&s->line, &r);
	TRY(sync_buf_check(&s->line, err));
	return s->out(s->ctx, s->line.data, s->line.len, err);
}

static enum sync_status show_page(struct show *s, int64_t *after, bool *ret_more, struct sync_error *err)
{
	TRY(sync_pending_read(&s->pending, s->db, *after, PAGE, &s->shown, err));
	for (size_t i = 0; i < s->pending.n; i++) {
		TRY(show_change(s, &s->pending.row[i], err));
		TRY(sync_seqs_add(&s->shown, s->pending.row[i].seq, err));
	}
	*ret_more = s->pending.n > 0 && !s->pending.all;
	return sync_pending_upto(&s->pending, s->pending.n, *after, &s->shown, after, err);
}

enum sync_status sync_unpushed_each(struct sync_db *db, sync_write_fn *out, void *ctx, struct sync_error *err)
{
	defer(clear_show) struct show s = { .db = db, .out = out, .ctx = ctx, .line = { .max = MAX_LINE } };
	enum sync_status status;
	struct sync_link link;
	bool more = true;

	TRY(sync_link_get(db, &link, err));
	TRY(sync_db_begin(db, false, err));
	do
		status = show_page(&s, &link.out.seq, &more, err);
	while (status == SYNC_OK && more);
	sync_db_rollback(db);
	return status;
}

#include "exchange/collect.h"

#include <libsync/records.h>

#include "base/internal.h"
#include "db/inbox.h"
#include "exchange/batch.h"

enum { MAX_EXTRA = 16 << 20 };

/* what replaces an older edit of the same record */

static bool lacks_field(const struct sync_record *newer, const struct sync_record *older)
{
	for (size_t i = 0; i < newer->entity->n_fields; i++)
		if (newer->values[i].kind == SYNC_ABSENT && older->values[i].kind != SYNC_ABSENT)
			return true;
	return false;
}

static enum sync_status merge_extra(struct sync_arena *arena, struct sync_record *r, struct sync_view older,
				    struct sync_error *err)
{
	defer(sync_buf_clear) struct sync_buf both = { .max = MAX_EXTRA };
	struct sync_value text;

	sync_json_merge(&both, older, r->extra);
	TRY(sync_buf_check(&both, err));
	text = sync_string(sync_buf_view(&both));
	return sync_keep_text(arena, &text, &r->extra, err);
}

/* Fields that the newer put does not mention are unchanged, so they are those of the older one, which was never applied. */
static enum sync_status keep_fields(struct sync_lot *lot, struct sync_item *item, const struct sync_record *older,
				    struct sync_error *err)
{
	const struct sync_record *newer = item->r;
	struct sync_record *r;

	if (!newer->values || !older->values || newer->fault || older->fault ||
	    (!lacks_field(newer, older) && !older->extra.len))
		return SYNC_OK;
	r = sync_arena_get(lot->arena, sizeof *r);
	if (!r)
		return sync_fail(err, SYNC_ENOMEM, "merging two edits of a record");
	*r = *newer;
	r->values = sync_arena_get(lot->arena, r->entity->n_fields * sizeof *r->values);
	if (!r->values)
		return sync_fail(err, SYNC_ENOMEM, "merging two edits of a record");
	for (size_t i = 0; i < r->entity->n_fields; i++)
		r->values[i] = newer->values[i].kind == SYNC_ABSENT ? older->values[i] : newer->values[i];
	if (older->extra.len)
		TRY(merge_extra(lot->arena, r, older->extra, err));
	item->r = r;
	item->line = (struct sync_view){ 0 };
	return SYNC_OK;
}

/* filling a lot */

enum sync_status sync_collect_arrived(struct sync_lot *lot, const struct sync_record *r, const struct sync_view *lines,
				      size_t n, size_t *ret_fits, struct sync_error *err)
{
	size_t start = 0, first = 0; /* of the present group: in r, and in the lot */
	struct sync_item *item;
	bool new;

	for (size_t i = 0; i < n; i++) {
		size_t n_groups = lot->n_groups;
		bool begins = i == 0 || !sync_record_together(&r[i - 1], &r[i]);

		if (begins) {
			start = i;
			first = lot->n;
		}
		TRY(sync_lot_add(lot, &r[i], lines[i], lot->in->now_us, &item, &new, err));
		if ((begins && lot->n_groups == n_groups) || (!new && item < lot->items + first)) {
			*ret_fits = start;
			return SYNC_OK;
		}
		if (!new) {
			const struct sync_record *older = item->r;

			item->r = &r[i];
			item->line = lines[i];
			TRY(keep_fields(lot, item, older, err));
		}
	}
	*ret_fits = n;
	return SYNC_OK;
}

static enum sync_status keep_view(struct sync_arena *arena, struct sync_view v, struct sync_view *ret, struct sync_error *err)
{
	const struct sync_value text = sync_string(v);

	return sync_keep_text(arena, &text, ret, err);
}

/* A row of the inbox, which has been taken out: into the lot, unless a newer edit of the record is there. */
static enum sync_status join_row(void *ctx, const struct sync_inbox_row *row, struct sync_error *err)
{
	struct sync_collect *c = ctx;
	struct sync_lot *lot = c->lot;
	struct sync_record *r = sync_arena_get(lot->arena, sizeof *r);
	struct sync_view line, code, root_entity, root_id;
	struct sync_item *item;
	bool new;

	if (!r)
		return sync_fail(err, SYNC_ENOMEM, "a record out of the inbox");
	TRY(keep_view(lot->arena, row->frame, &line, err));
	TRY(keep_view(lot->arena, row->code, &code, err));
	TRY(sync_record_read(r, lot->arena, line, &sync_default_limits, err));
	TRY(sync_lot_add(lot, r, line, row->received_us, &item, &new, err));
	item->was_code = code.data;
	item->was_seq = row->seq;
	item->waited = new;
	if (new)
		return SYNC_OK;
	item->was = r;
	item->was_line = line;
	sync_root_of(item->r, &root_entity, &root_id);
	if (!sync_view_eq(row->root_id, root_id)) /* the rest of that group may have waited for this record only */
		TRY(c->freed(c->ctx, row, err));
	return keep_fields(lot, item, r, err);
}

enum sync_status sync_collect_roots(struct sync_collect *c, const struct sync_view *roots, size_t n, struct sync_error *err)
{
	return sync_inbox_take_roots(c->lot->db, c->lot->in->source, roots, n, join_row, c, err);
}

static enum sync_status take_roots(struct sync_collect *c, struct sync_error *err)
{
	struct sync_lot *lot = c->lot;
	struct sync_view *roots = sync_arena_get(lot->arena, (lot->n_groups + 1) * sizeof *roots), entity;

	if (!roots)
		return sync_fail(err, SYNC_ENOMEM, "%zu groups", lot->n_groups);
	for (size_t i = 0; i < lot->n; i++)
		sync_root_of(lot->items[i].r, &entity, &roots[lot->items[i].group]);
	return sync_collect_roots(c, roots, lot->n_groups, err);
}

/* Older edits that wait as parts of other groups. Unknown entities have one run, but names of their own. */
static enum sync_status take_older(struct sync_collect *c, struct sync_error *err)
{
	struct sync_lot *lot = c->lot;
	struct sync_run run = { 0 };
	struct sync_view *ids;
	size_t n;

	while (sync_lot_next(lot, &run)) {
		TRY(sync_run_select(lot, &run, sync_item_any, &ids, &n, err));
		for (size_t i = 0, len; i < n; i += len) {
			struct sync_view name = run.items[i]->r->name;

			for (len = 1; i + len < n && sync_view_eq(run.items[i + len]->r->name, name);)
				len++;
			TRY(sync_inbox_take(lot->db, lot->in->source, name, ids + i, len, join_row, c, err));
		}
	}
	return SYNC_OK;
}

enum sync_status sync_collect_waiting(struct sync_collect *c, struct sync_error *err)
{
	TRY(sync_lot_sort(c->lot, err));
	TRY(take_older(c, err));
	return take_roots(c, err);
}

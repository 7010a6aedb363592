#include "exchange/lot.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <libsync/records.h>

#include "base/internal.h"

enum { MAX_SQL = 4096, MAX_IDS = 64 << 20, MAX_FRAME = 64 << 20 };

static enum sync_status make_room(struct sync_lot *lot, size_t cap, struct sync_error *err)
{
	struct sync_item *items = sync_arena_get(lot->arena, cap * sizeof *items);
	enum sync_fate *fates = sync_arena_get(lot->arena, cap * sizeof *fates);

	if (!items || !fates)
		return sync_fail(err, SYNC_ENOMEM, "integrating %zu records", cap);
	if (lot->n) {
		memcpy(items, lot->items, lot->n * sizeof *items);
		memcpy(fates, lot->fates, lot->n_groups * sizeof *fates);
	}
	lot->items = items;
	lot->fates = fates;
	lot->cap = cap;
	return SYNC_OK;
}

enum sync_status sync_lot_open(struct sync_lot *ret, struct sync_db *db, const struct sync_intake *in, struct sync_arena *arena,
                               size_t n, struct sync_error *err)
{
	*ret = (struct sync_lot){ .db = db, .in = in, .arena = arena };
	ret->index.arena = ret->roots.arena = arena;
	return make_room(ret, n + 8, err);
}

void sync_root_of(const struct sync_record *r, struct sync_view *ret_entity, struct sync_view *ret_id)
{
	const struct sync_entity *root = r->entity ? sync_entity_root(r->entity) : NULL;
	bool child = root && root != r->entity && r->root.len;

	*ret_entity = child ? sync_view_of(root->name) : r->name;
	*ret_id = r->root.len ? r->root : r->id;
}

static enum sync_status find_group(struct sync_lot *lot, const struct sync_record *r, uint32_t *ret, struct sync_error *err)
{
	struct sync_view entity, id;
	uint32_t *group;

	sync_root_of(r, &entity, &id);
	TRY(sync_set_add(&lot->roots, entity, id, (uint32_t)lot->n_groups, &group, err));
	if (*group == lot->n_groups)
		lot->fates[lot->n_groups++] = SYNC_OPEN;
	*ret = *group;
	return SYNC_OK;
}

enum sync_status sync_lot_add(struct sync_lot *lot, const struct sync_record *r, struct sync_view line, int64_t received_us,
                              struct sync_item **ret, bool *ret_new, struct sync_error *err)
{
	struct sync_item item = { .r = r, .line = line, .received_us = received_us };
	uint32_t *at;

	if (lot->n == lot->cap)
		TRY(make_room(lot, lot->cap * 2, err));
	TRY(sync_set_add(&lot->index, r->name, r->id, (uint32_t)lot->n, &at, err));
	*ret_new = *at == lot->n;
	*ret = &lot->items[*at];
	if (!*ret_new)
		return SYNC_OK;
	TRY(find_group(lot, r, &item.group, err));
	lot->items[lot->n++] = item;
	return SYNC_OK;
}

/* Runs are short of a hundred, and what arrives is in order already: counting beats sorting. */
enum sync_status sync_lot_sort(struct sync_lot *lot, struct sync_error *err)
{
	size_t n_entities, at = 0;
	const struct sync_entity *last = NULL;
	size_t order = 0;

	sync_entities(&n_entities);
	uint32_t *orders = sync_arena_get(lot->arena, (lot->n + 1) * sizeof *orders);
	size_t *starts = sync_arena_get(lot->arena, (n_entities + 1) * sizeof *starts);
	lot->sorted = sync_arena_get(lot->arena, (lot->n + 1) * sizeof(*lot->sorted));
	if (!orders || !starts || !lot->sorted)
		return sync_fail(err, SYNC_ENOMEM, "sorting %zu records", lot->n);
	memset(starts, 0, (n_entities + 1) * sizeof *starts);
	for (size_t i = 0; i < lot->n; i++) {
		const struct sync_entity *e = lot->items[i].r->entity;

		if (!e)
			order = n_entities;
		else if (e != last)
			order = sync_entity_order(e);
		last = e;
		orders[i] = (uint32_t)order;
		starts[order]++;
	}
	for (size_t k = 0; k <= n_entities; k++) {
		size_t count = starts[k];

		starts[k] = at;
		at += count;
	}
	for (size_t i = 0; i < lot->n; i++)
		lot->sorted[starts[orders[i]]++] = &lot->items[i];
	return SYNC_OK;
}

/* What this build does not know goes by its name. */
static bool is_alike(const struct sync_record *a, const struct sync_record *b)
{
	return a->entity == b->entity && (a->entity || sync_view_eq(a->name, b->name));
}

bool sync_lot_next(const struct sync_lot *lot, struct sync_run *run)
{
	struct sync_item **end = lot->sorted + lot->n;

	run->items = run->items ? run->items + run->n : lot->sorted;
	if (run->items == end)
		return false;
	run->e = run->items[0]->r->entity;
	for (run->n = 1; run->items + run->n < end && is_alike(run->items[run->n]->r, run->items[0]->r);)
		run->n++;
	return true;
}

struct sync_item *sync_lot_find(const struct sync_lot *lot, struct sync_view entity, struct sync_view id)
{
	uint32_t *at = sync_set_find(&lot->index, entity, id);

	return at ? &lot->items[*at] : NULL;
}

void sync_item_fail(struct sync_lot *lot, struct sync_item *item, enum sync_fate fate, struct sync_reason why)
{
	enum sync_fate *group = &lot->fates[item->group];

	if (*group == SYNC_OPEN)
		lot->failures++;
	if (*group < fate)
		*group = fate;
	if (item->fate < fate) {
		item->fate = fate;
		item->why = why;
	}
}

enum sync_status sync_larger(struct sync_arena *arena, void **array, size_t n, size_t *cap, size_t size, struct sync_error *err)
{
	size_t more = *cap ? *cap * 2 : 256;
	void *to;

	if (n < *cap)
		return SYNC_OK;
	to = sync_arena_get(arena, more * size);
	if (!to)
		return sync_fail(err, SYNC_ENOMEM, "a list of %zu records", more);
	if (n)
		memcpy(to, *array, n * size);
	*array = to;
	*cap = more;
	return SYNC_OK;
}

/* As long as it has to be: a text that is cut may end in half a character, which PostgreSQL refuses. */
const char *sync_say(struct sync_arena *arena, const char *format, ...)
{
	va_list args, again;
	char *text = NULL;
	int len;

	va_start(args, format);
	va_copy(again, args);
	len = vsnprintf(NULL, 0, format, args);
	if (len >= 0)
		text = sync_arena_get(arena, (size_t)len + 1);
	if (text)
		vsnprintf(text, (size_t)len + 1, format, again);
	va_end(again);
	va_end(args);
	return text ? text : "out of memory";
}

enum sync_status sync_keep_text(struct sync_arena *arena, const struct sync_value *v, struct sync_view *ret,
                                struct sync_error *err)
{
	*ret = (struct sync_view){ 0 };
	if (v->kind != SYNC_STRING)
		return SYNC_OK;
	*ret = sync_arena_copy(arena, v->s);
	return ret->data ? SYNC_OK : sync_fail(err, SYNC_ENOMEM, "keeping a text of %zu bytes", v->s.len);
}

enum sync_status sync_run_ids(struct sync_db *db, const char *head, const struct sync_view *ids, size_t n, const char *tail,
                              const struct sync_value *v, size_t n_v, sync_row_fn *fn, void *ctx, struct sync_error *err)
{
	enum { MOST = 6 };
	defer(sync_buf_clear) struct sync_buf sql = { .max = MAX_SQL }, list = { .max = MAX_IDS };
	struct sync_value all[1 + MOST];

	if (!n)
		return SYNC_OK;
	sync_buf_addf(&sql, "%s %s%s", head, sync_db_dialect(db)->in_list, tail);
	sync_ids_json(&list, ids, n);
	TRY(sync_buf_check(&sql, err));
	TRY(sync_buf_check(&list, err));
	all[0] = sync_string(sync_buf_view(&list));
	for (size_t i = 0; i < n_v && i < MOST; i++)
		all[1 + i] = v[i];
	return sync_db_run_text(db, sql.data, all, 1 + n_v, fn, ctx, err);
}

bool sync_item_any(const struct sync_lot *lot, const struct sync_item *item)
{
	(void)lot, (void)item;
	return true;
}

enum sync_status sync_run_select(const struct sync_lot *lot, const struct sync_run *run, sync_item_fn *fn,
                                 struct sync_view **ret, size_t *ret_n, struct sync_error *err)
{
	struct sync_view *ids = sync_arena_get(lot->arena, run->n * sizeof *ids);
	size_t n = 0;

	if (!ids)
		return sync_fail(err, SYNC_ENOMEM, "a list of %zu ids", run->n);
	for (size_t i = 0; i < run->n; i++)
		if (fn(lot, run->items[i]))
			ids[n++] = run->items[i]->r->id;
	*ret = ids;
	*ret_n = n;
	return SYNC_OK;
}

enum sync_status sync_frame_of(struct sync_arena *arena, const struct sync_record *r, struct sync_view *ret,
                               struct sync_error *err)
{
	defer(sync_buf_clear) struct sync_buf frame = { .max = MAX_FRAME };
	struct sync_value text;

	sync_record_write(&frame, r);
	TRY(sync_buf_check(&frame, err));
	text = sync_string(sync_buf_view(&frame));
	return sync_keep_text(arena, &text, ret, err);
}

enum sync_status sync_item_frame(const struct sync_lot *lot, const struct sync_item *item, struct sync_view *ret,
                                 struct sync_error *err)
{
	if (!item->line.len)
		return sync_frame_of(lot->arena, item->r, ret, err);
	*ret = item->line;
	return SYNC_OK;
}

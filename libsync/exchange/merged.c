#include "exchange/lot.h"

#include <libsync/records.h>

#include "base/internal.h"
#include "exchange/altered.h"

/*
 * What an edit does not mention stays as central has it: its site does not know the field, and has not had central's value of it, or
 * it would have sent that along. Its own edit is never sent to it, so what became of the record is.
 */

static bool lacks_any(const struct sync_record *r)
{
	for (size_t i = 1; i < r->entity->n_fields; i++)
		if (r->values[i].kind == SYNC_ABSENT && !r->entity->fields[i].local)
			return true;
	return false;
}

static bool is_put(const struct sync_lot *lot, const struct sync_item *item)
{
	return sync_item_applies(lot, item) && item->r->values;
}

static bool is_lacking(const struct sync_lot *lot, const struct sync_item *item)
{
	return is_put(lot, item) && lacks_any(item->r);
}

/* Something that who knows the field would not have anyway. */
static bool is_more(const struct sync_field *f, const struct sync_value *stored)
{
	const struct sync_value fallback = sync_field_fallback(f);

	return !f->local && stored->kind != SYNC_NULL && !sync_value_same(stored, &fallback);
}

static bool has_more(const struct sync_record *stored, const struct sync_record *r)
{
	for (size_t i = 1; stored->values && i < r->entity->n_fields; i++)
		if (r->values[i].kind == SYNC_ABSENT && is_more(&r->entity->fields[i], &stored->values[i]))
			return true;
	return sync_json_changes(r->extra, stored->extra);
}

/* Whether central keeps anything of this entity that this build does not know. */
static enum sync_status any_extra(struct sync_db *db, const struct sync_entity *e, bool *ret, struct sync_error *err)
{
	static const char any[] = "SELECT 1 FROM sync_extra WHERE entity = $1 LIMIT 1";
	int64_t some;

	TRY(sync_db_number(db, any, SYNC_ARGS(sync_text(e->name)), 0, &some, err));
	*ret = some != 0;
	return SYNC_OK;
}

static enum sync_status look_at(struct sync_lot *lot, const struct sync_run *run, struct sync_error *err)
{
	struct sync_record *stored;
	struct sync_view *ids;
	bool extra;
	size_t n;

	TRY(any_extra(lot->db, run->e, &extra, err));
	TRY(sync_run_select(lot, run, extra ? is_put : is_lacking, &ids, &n, err));
	if (!n)
		return SYNC_OK;
	stored = sync_arena_get(lot->arena, n * sizeof *stored);
	if (!stored)
		return sync_fail(err, SYNC_ENOMEM, "what became of %zu edits", n);
	TRY(sync_records_get(lot->db, run->e, sync_view_of(run->e->name), ids, n, lot->arena, stored, err));
	for (size_t i = 0; i < n; i++) {
		struct sync_item *item = sync_lot_find(lot, stored[i].name, stored[i].id);

		item->merged = has_more(&stored[i], item->r);
	}
	return SYNC_OK;
}

enum sync_status sync_find_merged(struct sync_lot *lot, struct sync_error *err)
{
	struct sync_run run = { 0 };

	while (sync_lot_next(lot, &run))
		if (run.e)
			TRY(look_at(lot, &run, err));
	return SYNC_OK;
}

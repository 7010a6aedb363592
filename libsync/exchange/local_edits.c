#include "exchange/lot.h"

#include <string.h>

#include "base/internal.h"

/* A site: what comes from central meets edits that were made here. */

static bool waited_for_edit(const struct sync_item *item)
{
	return item->waited && (!strcmp(item->was_code, "local_edit") || !strcmp(item->was_code, "waiting_edit"));
}

/*
 * This site's own edit of a record that came from central. While central has not integrated it, central's version waits. Then
 * that version is out of date: central has decided by what it has of both, and sends what won if it is not ours. The same goes
 * for an edit that was made, and integrated at central, while the record waited here for something else. A drop stays due.
 */
static enum sync_status take_local_edit(void *ctx, const struct sync_value *v, size_t n, struct sync_error *err)
{
	static const struct sync_reason of_edit = {
		.code = "local_edit", .text = "an edit made here is not integrated at central yet"
	};
	struct sync_lot *lot = ctx;
	struct sync_item *item = sync_lot_find(lot, v[0].s, v[1].s);

	(void)n, (void)err;
	if (!item)
		return SYNC_OK;
	if (v[2].i > lot->in->integrated)
		sync_item_fail(lot, item, SYNC_WAITS, of_edit);
	else if (item->r->action != SYNC_DROP && (waited_for_edit(item) || (item->waited && v[3].i >= item->received_us)))
		item->merit = SYNC_REPEATS;
	return SYNC_OK;
}

static bool any_waited(const struct sync_lot *lot)
{
	size_t i = 0;

	while (i < lot->n && !lot->items[i].waited)
		i++;
	return i < lot->n;
}

static enum sync_status check_edits(struct sync_lot *lot, struct sync_error *err)
{
	static const char any[] = "SELECT 1 FROM sync_changelog WHERE seq > $1 LIMIT 1";
	struct sync_run run = { 0 };
	struct sync_view *ids;
	int64_t pending;
	size_t n;

	TRY(sync_db_number(lot->db, any, SYNC_ARGS(sync_int(lot->in->integrated)), 0, &pending, err));
	if (!pending && !any_waited(lot))
		return SYNC_OK;
	while (sync_lot_next(lot, &run)) {
		if (!run.e)
			continue;
		TRY(sync_run_select(lot, &run, sync_item_any, &ids, &n, err));
		TRY(sync_run_ids(lot->db, "SELECT entity, record_id, seq, at_us FROM sync_changelog WHERE record_id", ids, n,
		                 " AND entity = $2", SYNC_ARGS(sync_text(run.e->name)), take_local_edit, lot, err));
	}
	return SYNC_OK;
}

/* edits that wait at central */

/* What is deleted or dropped goes all the same: nothing of it is left that could be half. */
static void hold_group(struct sync_lot *lot, uint32_t group, struct sync_reason why)
{
	for (size_t i = 0; i < lot->n; i++)
		if (lot->items[i].group == group && lot->items[i].r->action == SYNC_PUT)
			sync_item_fail(lot, &lot->items[i], SYNC_WAITS, why);
}

/* An edit, of which the changelog knows the group, also when it is a delete. */
static enum sync_status take_waiting_edit(void *ctx, const struct sync_value *v, size_t n, struct sync_error *err)
{
	struct sync_lot *lot = ctx;
	const struct sync_entity *e = sync_entity_find(v[0].s);
	const struct sync_record edited = {
		.entity = e, .name = v[0].s, .id = v[1].s, .root = v[2].kind == SYNC_STRING ? v[2].s : (struct sync_view){ 0 }
	};
	struct sync_reason why = { .code = "waiting_edit", .text = "an edit of its group that was made here waits at central" };
	struct sync_view entity, id;
	const uint32_t *group;

	(void)n;
	sync_root_of(&edited, &entity, &id);
	group = sync_set_find(&lot->roots, entity, id);
	if (!group)
		return SYNC_OK;
	TRY(sync_keep_text(lot->arena, &v[0], &why.needs_entity, err));
	TRY(sync_keep_text(lot->arena, &v[1], &why.needs_id, err));
	hold_group(lot, *group, why);
	return SYNC_OK;
}

/*
 * Central counts an edit as integrated when it waits there. Until it goes on, central's versions of the records of its group are
 * older than it, or do not know of it: applied, they would leave half of each.
 */
static enum sync_status check_waiting_edits(struct sync_lot *lot, struct sync_error *err)
{
	static const char waiting[] =
		"SELECT DISTINCT v.entity, v.record_id, c.root_id FROM sync_verdict v"
		"    LEFT JOIN sync_changelog c ON c.entity = v.entity AND c.record_id = v.record_id"
		"    WHERE v.site_id = 0 AND v.kind = 'waiting'";

	return sync_db_run(lot->db, waiting, SYNC_NOARGS, take_waiting_edit, lot, err);
}

enum sync_status sync_check_local_edits(struct sync_lot *lot, struct sync_error *err)
{
	TRY(check_edits(lot, err));
	return check_waiting_edits(lot, err);
}

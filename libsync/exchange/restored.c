#include <string.h>

#include <libsync/records.h>

#include "base/internal.h"
#include "exchange/altered.h"
#include "exchange/lot.h"

/*
 * A site that was restored pushes, in a new branch, what it has not pushed by what it knows. Meanwhile central may have got, and
 * routed, later edits of the same records, which the site lost:
 *   edits that had been confirmed before are older than those and do not count; central's version goes back to the site
 *   others win, as any edit of that site would, and what they replace is kept for a person
 */

struct overtaking {
	struct sync_lot *lot;
	struct sync_fork fork; /* of the sender's branch; upto 0: there is none to consider */
	int64_t above;         /* what came before it has a seq upto this, and waits here since */
};

static enum sync_status take_fork(void *ctx, const struct sync_value *v, size_t n, struct sync_error *err)
{
	struct overtaking *o = ctx;

	(void)n, (void)err;
	o->fork = (struct sync_fork){ .sure = v[0].i, .upto = v[1].i, .all_seq = v[2].i, .own_seq = v[3].i };
	o->above = v[4].i;
	return SYNC_OK;
}

/* Whatever changed the record is later than an edit that was confirmed before; of others only the site's own counts as lost. */
static enum sync_status take_later(void *ctx, const struct sync_value *v, size_t n, struct sync_error *err)
{
	struct overtaking *o = ctx;
	struct sync_item *item = sync_lot_find(o->lot, v[0].s, v[1].s);

	(void)n, (void)err;
	if (!item || item->r->seq <= o->above || item->r->seq > o->fork.upto || !sync_item_applies(o->lot, item))
		return SYNC_OK;
	if (item->r->seq <= o->fork.sure)
		item->merit = SYNC_OVERTAKEN;
	else if (v[2].i == o->lot->in->source)
		item->replaces = true;
	return SYNC_OK;
}

static enum sync_status find_later(struct overtaking *o, const struct sync_run *run, int64_t site, int64_t above,
				   struct sync_error *err)
{
	struct sync_view *ids;
	size_t n;

	TRY(sync_run_select(o->lot, run, sync_item_applies, &ids, &n, err));
	return sync_run_ids(o->lot->db, "SELECT entity, record_id, source FROM sync_outbox WHERE record_id", ids, n,
			    " AND entity = $2 AND site_id = $3 AND seq > $4",
			    SYNC_ARGS(sync_text(run->e->name), sync_int(site), sync_int(above)), take_later, o, err);
}

enum sync_status sync_find_overtaken(struct sync_lot *lot, struct sync_error *err)
{
	static const char fork[] = "SELECT fork_sure, fork_upto, fork_all, fork_own, fork_above FROM sync_site WHERE site_id = $1";
	struct overtaking o = { .lot = lot };
	struct sync_run run = { 0 };

	TRY(sync_db_run(lot->db, fork, SYNC_ARGS(sync_int(lot->in->source)), take_fork, &o, err));
	while (o.fork.upto > 0 && sync_lot_next(lot, &run)) {
		if (!run.e)
			continue;
		TRY(find_later(&o, &run, 0, o.fork.all_seq, err));
		TRY(find_later(&o, &run, lot->in->source, o.fork.own_seq, err));
	}
	return SYNC_OK;
}

/* What of those that win has a conflict copy already is not kept twice. */
static bool replaces(const struct sync_lot *lot, const struct sync_item *item)
{
	return sync_item_applies(lot, item) && item->replaces && item->merit != SYNC_WINS;
}

static enum sync_status keep_run(struct sync_lot *lot, const struct sync_run *run, struct sync_error *err)
{
	static const struct sync_reason restored = {
		.code = "restored", .text = "a later edit of this site, which it lost when it was restored, was replaced by an older one"
	};
	struct sync_question *questions;
	struct sync_record *stored;
	struct sync_view *ids;
	size_t n, kept = 0;

	TRY(sync_run_select(lot, run, replaces, &ids, &n, err));
	if (!n || SYNC_FAULT(replaced_not_kept))
		return SYNC_OK;
	questions = sync_arena_get(lot->arena, n * sizeof *questions);
	stored = sync_arena_get(lot->arena, n * sizeof *stored);
	if (!stored || !questions)
		return sync_fail(err, SYNC_ENOMEM, "%zu conflicts", n);
	TRY(sync_records_get(lot->db, run->e, (struct sync_view){ 0 }, ids, n, lot->arena, stored, err));
	for (size_t i = 0; i < n; i++) {
		const struct sync_record *r = sync_lot_find(lot, stored[i].name, stored[i].id)->r;

		if (!sync_record_differs(r, &stored[i]))
			continue;
		if (!stored[i].values) {
			stored[i].action = SYNC_DELETE;
			stored[i].root = r->root;
		}
		questions[kept] = (struct sync_question){
			.kind = "conflict", .site = lot->in->source, .r = &stored[i], .why = &restored
		};
		TRY(sync_frame_of(lot->arena, &stored[i], &questions[kept++].frame, err));
	}
	return sync_waiting_put(lot, questions, kept, err);
}

enum sync_status sync_keep_replaced(struct sync_lot *lot, struct sync_error *err)
{
	struct sync_run run = { 0 };

	while (sync_lot_next(lot, &run))
		if (run.e)
			TRY(keep_run(lot, &run, err));
	return SYNC_OK;
}

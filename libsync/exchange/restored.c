#include <string.h>

#include <libsync/records.h>

#include "base/internal.h"
#include "db/outbox.h"
#include "exchange/altered.h"
#include "exchange/lot.h"
#include "exchange/recovered.h"
#include "exchange/route.h"

/*
 * A site that was restored pushes, in a new branch, what it edits by what it knows, until it has caught up. Meanwhile central may
 * have got, and routed, later edits of the same records, of the site itself, which lost them, or of others:
 *   edits that had been confirmed before are older than those and do not count; central's version goes back to the site
 *   others win, as any edit of that site would, and what they replace is kept for a person
 *   but of a group they carry only what was edited, which is of another state of it than what central has of the rest: if they say
 *   anything else, they are kept for a person, all of them, and the group stays as central has it
 * What is later is told by the outbox. What only goes up, or is of an entity that this build does not know, has no rows there: of
 * that, whatever central has otherwise may be later.
 */

struct overtaking {
	struct sync_lot *lot;
	struct sync_fork fork;   /* of the sender's branch; upto 0: there is none to consider */
	int64_t above;           /* what came before it has a seq upto this, and waits here since */
	int64_t routed;          /* what is routed above this of the sender is of the branch itself */
	int64_t held;            /* of the stream that is looked at: the sender had what is upto here */
	struct family *families; /* per group */
};

/* A group with edits that had not been confirmed; root NULL: it is none. */
struct family {
	const struct sync_entity *root;
	struct sync_view id;
	bool asked, later; /* central has later edits of it */
};

static enum sync_status take_fork(void *ctx, const struct sync_value *v, size_t n, struct sync_error *err)
{
	struct overtaking *o = ctx;

	(void)n, (void)err;
	o->fork = (struct sync_fork){ .sure = v[0].i, .upto = v[1].i, .all_seq = v[2].i, .own_seq = v[3].i };
	o->above = v[4].i;
	o->routed = v[5].i;
	return SYNC_OK;
}

static bool is_unaware(const struct overtaking *o, const struct sync_item *item)
{
	return item->r->seq > o->above && item->r->seq <= o->fork.upto;
}

static bool is_moved(const struct overtaking *o, const struct sync_item *item)
{
	return is_unaware(o, item) && sync_item_applies(o->lot, item);
}

static bool was_confirmed(const struct overtaking *o, const struct sync_item *item)
{
	return item->r->seq > o->above && item->r->seq <= o->fork.sure;
}

/* It waited here since before the branch: of which other branch it was, and what that did not know, is forgotten. */
static bool has_waited(const struct overtaking *o, const struct sync_item *item)
{
	return item->waited && item->r->seq <= o->above;
}

static bool may_replace(const struct overtaking *o, const struct sync_item *item)
{
	return (is_unaware(o, item) || has_waited(o, item)) && sync_item_applies(o->lot, item);
}

/* An edit from before the branch, which waited here and which this one replaces; or NULL. The site never gets it back. */
static const struct sync_record *waiting_before(const struct overtaking *o, const struct sync_item *item)
{
	return item->was_seq <= o->above && item->r->seq > o->above ? item->was : NULL;
}

/* The edit was made on top of what central has. */
static bool knows(const struct sync_item *item)
{
	return item->current && sync_view_eq(item->r->base, item->current->version);
}

/* The sender made it in its present branch. */
static bool is_own(const struct overtaking *o, int64_t source, int64_t seq)
{
	return source == o->lot->in->source && seq > o->routed;
}

static void replace(const struct overtaking *o, struct sync_item *item, int64_t source)
{
	item->replaces = true;
	item->replaced_of = source < 0 ? o->lot->in->source : source;
}

/* Columns: entity, record_id, source, seq. */
static enum sync_status take_later(void *ctx, const struct sync_value *v, size_t n, struct sync_error *err)
{
	struct overtaking *o = ctx;
	struct sync_item *item = sync_lot_find(o->lot, v[0].s, v[1].s);

	(void)n, (void)err;
	if (!item || !may_replace(o, item) || (v[3].i <= o->held && !has_waited(o, item)))
		return SYNC_OK;
	if (was_confirmed(o, item))
		item->merit = SYNC_OVERTAKEN;
	else if (!is_own(o, v[2].i, v[3].i) && !knows(item))
		replace(o, item, v[2].i);
	return SYNC_OK;
}

static enum sync_status find_later(struct overtaking *o, const struct sync_run *run, int64_t site, int64_t held,
				   struct sync_error *err)
{
	struct sync_view *ids;
	size_t n;

	o->held = held;
	TRY(sync_run_select(o->lot, run, sync_item_applies, &ids, &n, err));
	return sync_run_ids(o->lot->db, "SELECT entity, record_id, source, seq FROM sync_outbox WHERE record_id", ids, n,
			    " AND entity = $2 AND site_id = $3", SYNC_ARGS(sync_text(run->e->name), sync_int(site)), take_later, o,
			    err);
}

/* Nothing of it goes back to the site. */
static void doubt(struct overtaking *o, const struct sync_run *run)
{
	for (size_t i = 0; i < run->n; i++) {
		struct sync_item *item = run->items[i];

		if ((run->e && !item->exists) || !may_replace(o, item))
			continue;
		if (was_confirmed(o, item))
			item->merit = SYNC_REPEATS;
		else
			replace(o, item, o->lot->in->source);
	}
}

/* groups */

/* Of what any site edits, conflicts are decided record by record. What waits since before is later, too. */
static void find_family(struct overtaking *o, const struct sync_item *item)
{
	struct family *f = &o->families[item->group];
	struct sync_view entity;

	f->later |= item->r->seq <= o->above || waiting_before(o, item);
	if (!item->r->entity || !sync_entity_grouped(item->r->entity) || !is_moved(o, item) || was_confirmed(o, item))
		return;
	f->root = sync_entity_root(item->r->entity);
	f->root = f->root->owner == SYNC_OWNER_ANY ? NULL : f->root;
	sync_root_of(item->r, &entity, &f->id);
}

static enum sync_status find_families(struct overtaking *o, struct sync_error *err)
{
	const struct sync_lot *lot = o->lot;

	o->families = sync_arena_get(lot->arena, (lot->n_groups + 1) * sizeof *o->families);
	if (!o->families)
		return sync_fail(err, SYNC_ENOMEM, "%zu groups", lot->n_groups);
	memset(o->families, 0, lot->n_groups * sizeof *o->families);
	for (size_t i = 0; i < lot->n; i++)
		find_family(o, &lot->items[i]);
	return SYNC_OK;
}

/* Families of one root entity. */
struct asking {
	const struct overtaking *o;
	struct family **families;
	struct sync_view *ids;
	size_t n;
};

static enum sync_status take_member(void *ctx, const struct sync_outbox_row *row, struct sync_error *err)
{
	const struct asking *a = ctx;

	(void)err;
	a->families[row->key]->later |= !is_own(a->o, row->source, row->seq);
	return SYNC_OK;
}

static enum sync_status ask_alike(struct asking *a, const struct sync_entity *root, struct sync_error *err)
{
	const struct overtaking *o = a->o;
	const struct sync_outbox_groups groups = { .root = root, .ids = a->ids, .n = a->n };

	TRY(sync_outbox_members(o->lot->db, 0, o->fork.all_seq, &groups, INT64_MAX, take_member, a, err));
	return sync_outbox_members(o->lot->db, o->lot->in->source, o->fork.own_seq, &groups, INT64_MAX, take_member, a, err);
}

static enum sync_status ask_families(struct overtaking *o, struct sync_error *err)
{
	const size_t all = o->lot->n_groups;
	struct asking a = { .o = o };

	a.families = sync_arena_get(o->lot->arena, (all + 1) * sizeof(*a.families));
	a.ids = sync_arena_get(o->lot->arena, (all + 1) * sizeof *a.ids);
	if (!a.families || !a.ids)
		return sync_fail(err, SYNC_ENOMEM, "%zu groups", all);
	for (size_t i = 0; i < all; i++) {
		const struct sync_entity *root = o->families[i].root;

		if (!root || o->families[i].asked)
			continue;
		a.n = 0;
		for (size_t k = i; k < all; k++) {
			if (o->families[k].root != root)
				continue;
			o->families[k].asked = true;
			a.ids[a.n] = o->families[k].id;
			a.families[a.n++] = &o->families[k];
		}
		TRY(ask_alike(&a, root, err));
	}
	return SYNC_OK;
}

static bool is_parted(const struct overtaking *o, const struct sync_item *item)
{
	const struct family *f = &o->families[item->group];

	return f->root && f->later;
}

/* Whatever came of a group of which central has later edits is compared with those. */
static enum sync_status judge_families(struct overtaking *o, struct sync_error *err)
{
	TRY(find_families(o, err));
	TRY(ask_families(o, err));
	for (size_t i = 0; i < o->lot->n; i++) {
		struct sync_item *item = &o->lot->items[i];

		if (is_parted(o, item) && is_moved(o, item))
			replace(o, item, o->lot->in->source);
	}
	return SYNC_OK;
}

/* comparing */

static bool replaces(const struct sync_lot *lot, const struct sync_item *item)
{
	return sync_item_applies(lot, item) && item->replaces;
}

/* What central has of them. */
static enum sync_status read_stored(struct sync_lot *lot, const struct sync_run *run, sync_item_fn *which, struct sync_record **ret,
				    size_t *ret_n, struct sync_error *err)
{
	struct sync_record *stored;
	struct sync_view *ids;

	TRY(sync_run_select(lot, run, which, &ids, ret_n, err));
	stored = sync_arena_get(lot->arena, (*ret_n + 1) * sizeof *stored);
	if (!stored)
		return sync_fail(err, SYNC_ENOMEM, "%zu conflicts", *ret_n);
	*ret = stored;
	if (*ret_n == 0)
		return SYNC_OK;
	return sync_records_get(lot->db, run->e, run->items[0]->r->name, ids, *ret_n, lot->arena, stored, err);
}

/* The same content replaces nothing; anything else does not go into another state of its group. */
static enum sync_status compare(struct overtaking *o, const struct sync_run *run, struct sync_error *err)
{
	static const struct sync_reason overtaken = {
		.code = "restored", .text = "this site was restored, and central has a later state of the group, of which it did not know"
	};
	struct sync_record *stored;
	size_t n;

	TRY(read_stored(o->lot, run, replaces, &stored, &n, err));
	for (size_t i = 0; i < n; i++) {
		struct sync_item *item = sync_lot_find(o->lot, stored[i].name, stored[i].id);
		const struct sync_record *waiting = waiting_before(o, item);

		item->replaces = (run->e || item->exists) && !sync_offer_same(item->r, waiting ? waiting : &stored[i]);
		if (item->replaces && is_parted(o, item))
			sync_item_fail(o->lot, item, SYNC_REFUSED, overtaken);
	}
	return SYNC_OK;
}

/* What waited would be known to nobody any more, whatever becomes of the edit that takes its place. */
static enum sync_status keep_waiting(struct overtaking *o, struct sync_error *err)
{
	static const struct sync_reason replaced = {
		.code = "restored", .text = "this edit waited, and was replaced by an older one of its site, which was restored"
	};

	for (size_t i = 0; i < o->lot->n; i++) {
		const struct sync_item *item = &o->lot->items[i];
		const struct sync_record *waiting = waiting_before(o, item);
		const struct sync_question kept = {
			.kind = "conflict", .site = o->lot->in->source, .r = waiting, .frame = item->was_line, .why = &replaced
		};

		if (waiting && sync_record_differs(item->r, waiting))
			TRY(sync_waiting_put(o->lot, &kept, 1, err));
	}
	return SYNC_OK;
}

static enum sync_status find_later_of_all(struct overtaking *o, struct sync_error *err)
{
	struct sync_lot *lot = o->lot;
	struct sync_run run = { 0 };

	while (sync_lot_next(lot, &run)) {
		if (run.e) {
			TRY(find_later(o, &run, 0, o->fork.all_seq, err));
			TRY(find_later(o, &run, lot->in->source, o->fork.own_seq, err));
		}
		if (!run.e || !sync_route_down(run.e))
			doubt(o, &run);
	}
	return SYNC_OK;
}

/* The last fork stays noted for ever. */
static bool is_concerned(const struct overtaking *o, const struct sync_item *item)
{
	return is_unaware(o, item) || has_waited(o, item) || waiting_before(o, item);
}

static bool any_concerned(const struct overtaking *o)
{
	size_t i = 0;

	while (i < o->lot->n && !is_concerned(o, &o->lot->items[i]))
		i++;
	return i < o->lot->n;
}

enum sync_status sync_find_overtaken(struct sync_lot *lot, struct sync_error *err)
{
	static const char fork[] =
	    "SELECT fork_sure, fork_upto, fork_all, fork_own, fork_above, fork_routed FROM sync_site WHERE site_id = $1";
	struct overtaking o = { .lot = lot };
	struct sync_run run = { 0 };

	TRY(sync_db_run(lot->db, fork, SYNC_ARGS(sync_int(lot->in->source)), take_fork, &o, err));
	if (!any_concerned(&o))
		return SYNC_OK;
	TRY(find_later_of_all(&o, err));
	TRY(keep_waiting(&o, err));
	TRY(judge_families(&o, err));
	while (sync_lot_next(lot, &run))
		TRY(compare(&o, &run, err));
	return SYNC_OK;
}

/* keeping */

/* What of those that win has a conflict copy already is not kept twice. */
static bool is_kept(const struct sync_lot *lot, const struct sync_item *item)
{
	return replaces(lot, item) && item->merit != SYNC_WINS;
}

static enum sync_status keep_run(struct sync_lot *lot, const struct sync_run *run, struct sync_error *err)
{
	static const struct sync_reason restored = {
		.code = "restored", .text = "a later edit was replaced by an older one of a site that was restored and did not know of it"
	};
	struct sync_question *questions;
	struct sync_record *stored;
	size_t n;

	TRY(read_stored(lot, run, is_kept, &stored, &n, err));
	if (n == 0)
		return SYNC_OK;
	questions = sync_arena_get(lot->arena, n * sizeof *questions);
	if (!questions)
		return sync_fail(err, SYNC_ENOMEM, "%zu conflicts", n);
	for (size_t i = 0; i < n; i++) {
		const struct sync_item *item = sync_lot_find(lot, stored[i].name, stored[i].id);

		if (!sync_record_exists(&stored[i])) {
			stored[i].action = SYNC_DELETE;
			stored[i].root = item->r->root;
		}
		questions[i] = (struct sync_question){
			.kind = "conflict", .site = item->replaced_of, .r = &stored[i], .why = &restored
		};
		TRY(sync_frame_of(lot->arena, &stored[i], &questions[i].frame, err));
	}
	return sync_waiting_put(lot, questions, SYNC_FAULT(replaced_not_kept) ? 0 : n, err);
}

enum sync_status sync_keep_replaced(struct sync_lot *lot, struct sync_error *err)
{
	struct sync_run run = { 0 };

	while (sync_lot_next(lot, &run))
		TRY(keep_run(lot, &run, err));
	return SYNC_OK;
}

/* deletes */

static bool deletes_nothing(const struct sync_lot *lot, const struct sync_item *item)
{
	return sync_item_applies(lot, item) && item->r->entity && item->r->action == SYNC_DELETE && !item->exists;
}

/*
 * A record that was made and deleted between two pushes: no trigger fires for it here, and a copy of the site that is older may
 * have it.
 */
enum sync_status sync_keep_deletes(struct sync_lot *lot, struct sync_error *err)
{
	const struct sync_record **r = sync_arena_get(lot->arena, (lot->n + 1) * sizeof(*r));
	size_t n = 0;

	if (!r)
		return sync_fail(err, SYNC_ENOMEM, "deletes of %zu records", lot->n);
	for (size_t i = 0; i < lot->n; i++)
		if (deletes_nothing(lot, &lot->items[i]))
			r[n++] = lot->items[i].r;
	return sync_queue_deletes(lot->db, lot->in->source, r, n, err);
}

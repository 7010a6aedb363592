#include "exchange/lot.h"

#include <inttypes.h>

#include "base/internal.h"

/*
 * Central takes back the whole of a group that it refuses: its site gets central's versions, or drops. What the site changes of the
 * group before it has them builds on what it is to lose. Taken alone, such an edit would be half of a group (invariant 5): an
 * invoice that moves to a store of the site, without the lines that were refused before.
 *
 *   push 1   invoice, line 1     refused; both are to be dropped
 *   push 2   invoice             was made before the drops were applied: refused, too, unless line 1 comes with it
 *
 * Whether they were is told by the position in the request, and by its saying that nothing received waits at the site. A person
 * sees all that is refused, and what they have decided about holds nothing up.
 *
 * So it is with a group of which sites have offered what central lost (recovered.c): what the site edits of it is not offered, and
 * would come without the rest.
 */

/* A record that waits for a person, of a group that comes without it. */
struct earlier {
	struct sync_view entity, id;
	uint32_t group;
};

struct search {
	struct sync_lot *lot;
	struct earlier *found;
	size_t n, cap;
};

static enum sync_status take_earlier(void *ctx, const struct sync_value *v, size_t n, struct sync_error *err)
{
	struct search *s = ctx;
	const uint32_t *group = sync_set_find(&s->lot->roots, v[2].s, v[3].s);
	struct earlier *e;

	(void)n;
	if (!group || s->lot->fates[*group] == SYNC_REFUSED || sync_lot_find(s->lot, v[0].s, v[1].s))
		return SYNC_OK;
	TRY(sync_larger(s->lot->arena, (void **)&s->found, s->n, &s->cap, sizeof *s->found, err));
	e = &s->found[s->n++];
	e->group = *group;
	TRY(sync_keep_text(s->lot->arena, &v[0], &e->entity, err));
	return sync_keep_text(s->lot->arena, &v[1], &e->id, err);
}

/* Of what comes out of the inbox nobody remembers what its site had when it sent it. */
static bool is_of_now(const struct sync_lot *lot, uint32_t group)
{
	for (size_t i = 0; i < lot->n; i++)
		if (lot->items[i].group == group && lot->items[i].waited)
			return false;
	return lot->in->at != NULL;
}

/* Whether the site had what central sent it instead when it made its edits. */
static enum sync_status was_heard(const struct sync_lot *lot, const struct earlier *e, bool *ret, struct sync_error *err)
{
	static const char ahead[] =
		"SELECT (SELECT count(*) FROM sync_changelog WHERE action = 'R' AND source = $1 AND entity = $2 AND record_id = $3)"
		"    + (SELECT count(*) FROM sync_outbox WHERE site_id = $4 AND entity = $5 AND record_id = $6 AND seq > $7)";
	const struct sync_value site = sync_int(lot->in->source), entity = sync_string(e->entity), id = sync_string(e->id);
	int64_t n = 1;

	if (is_of_now(lot, e->group))
		TRY(sync_db_number(lot->db, ahead, SYNC_ARGS(site, entity, id, site, entity, id, sync_int(lot->in->at->own.seq)), 0,
		                   &n, err));
	*ret = n == 0;
	return SYNC_OK;
}

static void refuse(struct sync_lot *lot, const struct earlier *e)
{
	const struct sync_reason why = {
		.code = "incomplete",
		.text = sync_say(lot->arena,
		                 "%.*s '%.*s' of its group was refused, or offered as lost, and its site did not know yet that it is "
		                 "to be without it: the group is not whole, so decide about both", SYNC_VIEW(e->entity), SYNC_VIEW(e->id)),
	};

	for (size_t i = 0; i < lot->n; i++)
		if (lot->items[i].group == e->group)
			sync_item_fail(lot, &lot->items[i], SYNC_REFUSED, why);
}

#define SELECT_EARLIER "SELECT entity, record_id, root_entity, root_id FROM sync_waiting WHERE "

static enum sync_status find_refused(struct search *s, struct sync_error *err)
{
	static const char open[] = SELECT_EARLIER "site_id = $1 AND done_us IS NULL AND kind = 'quarantine' ORDER BY id";

	return sync_db_run(s->lot->db, open, SYNC_ARGS(sync_int(s->lot->in->source)), take_earlier, s, err);
}

/* Whoever offered it: of what several sites have, the first one's is kept. */
static enum sync_status find_offered(struct search *s, const struct sync_run *run, struct sync_error *err)
{
	struct sync_view *roots = sync_arena_get(s->lot->arena, run->n * sizeof *roots), entity;

	if (!roots)
		return sync_fail(err, SYNC_ENOMEM, "the groups of %zu records", run->n);
	for (size_t i = 0; i < run->n; i++)
		sync_root_of(run->items[i]->r, &entity, &roots[i]);
	return sync_run_ids(s->lot->db, SELECT_EARLIER "root_id", roots, run->n,
	                    " AND root_entity = $2 AND kind = 'recovered' AND done_us IS NULL ORDER BY id",
	                    SYNC_ARGS(sync_text(sync_entity_root(run->e)->name)), take_earlier, s, err);
}

static enum sync_status find_all_offered(struct search *s, struct sync_error *err)
{
	static const char any[] = "SELECT 1 FROM sync_waiting WHERE kind = 'recovered' AND done_us IS NULL LIMIT 1";
	struct sync_run run = { 0 };
	int64_t some;

	TRY(sync_db_number(s->lot->db, any, SYNC_NOARGS, 0, &some, err));
	while (some && sync_lot_next(s->lot, &run))
		if (run.e && sync_entity_grouped(run.e))
			TRY(find_offered(s, &run, err));
	return SYNC_OK;
}

enum sync_status sync_check_refused(struct sync_lot *lot, struct sync_error *err)
{
	struct search s = { .lot = lot };
	bool heard;

	if (SYNC_FAULT(refused_forgotten))
		return SYNC_OK;
	TRY(find_refused(&s, err));
	TRY(find_all_offered(&s, err));
	for (size_t i = 0; i < s.n; i++) {
		if (lot->fates[s.found[i].group] == SYNC_REFUSED)
			continue;
		TRY(was_heard(lot, &s.found[i], &heard, err));
		if (!heard)
			refuse(lot, &s.found[i]);
	}
	return SYNC_OK;
}

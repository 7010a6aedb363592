#include "exchange/pull_members.h"

#include <stdlib.h>
#include <string.h>

#include "base/internal.h"
#include "exchange/router.h"

/*
 * Each look-up gives its first rows in order. What comes behind the last row of one that was cut short is not known, so it is
 * left out, whichever look-up found it: whole units stay, or the beginning of a single one.
 */

void sync_members_clear(struct sync_members *s)
{
	sync_arena_clear(&s->arena);
	free(s->m);
}

enum sync_status sync_pull_keep(struct sync_arena *arena, const struct sync_outbox_row *from, struct sync_outbox_row *to,
				struct sync_error *err)
{
	*to = *from;
	TRY(sync_arena_keep(arena, from->id, &to->id, err));
	return sync_arena_keep(arena, from->root, &to->root, err);
}

/* Order of a record in its unit, as sync_outbox_members() has it. */
static int compare(const struct sync_entity *a, struct sync_view a_id, const struct sync_entity *b, struct sync_view b_id)
{
	if (!a->parent != !b->parent)
		return a->parent ? 1 : -1;
	return a != b ? strcmp(a->name, b->name) : sync_view_cmp(a_id, b_id);
}

static int by_record(const struct sync_member *a, const struct sync_member *b)
{
	if (a->unit != b->unit)
		return a->unit < b->unit ? -1 : 1;
	return compare(a->row.entity, a->row.id, b->row.entity, b->row.id);
}

/* Of rows for one record the one with the higher seq comes first. */
static int by_row(const void *a, const void *b)
{
	const struct sync_member *x = a, *y = b;
	int order = by_record(x, y);

	return order ? order : (y->row.seq > x->row.seq) - (y->row.seq < x->row.seq);
}

static enum sync_status add(struct sync_members *s, const struct sync_outbox_row *row, size_t unit, struct sync_error *err)
{
	if (s->n == s->cap) {
		size_t cap = s->cap ? 2 * s->cap : SYNC_PULL_ROWS;
		struct sync_member *more = realloc(s->m, cap * sizeof *more);

		if (!more)
			return sync_fail(err, SYNC_ENOMEM, "%zu rows of groups", cap);
		s->m = more;
		s->cap = cap;
	}
	s->m[s->n++] = (struct sync_member){ .row = *row, .unit = unit };
	return SYNC_OK;
}

/* One look-up. */
struct finding {
	struct sync_members *s;
	const size_t *unit; /* of each key */
	int64_t rows;
};

static enum sync_status take_row(void *ctx, const struct sync_outbox_row *row, struct sync_error *err)
{
	struct finding *f = ctx;
	struct sync_outbox_row kept;

	f->rows++;
	TRY(sync_pull_keep(&f->s->arena, row, &kept, err));
	return add(f->s, &kept, f->unit[row->key], err);
}

static enum sync_status find(struct sync_members *s, const struct sync_pending_rows *p, int64_t stream, int64_t seq,
			     const struct sync_outbox_groups *g, const size_t *unit, struct sync_error *err)
{
	struct finding f = { s, unit, 0 };
	const struct sync_member *last;

	TRY(sync_outbox_members(p->db, stream, seq, g, p->most, take_row, &f, err));
	if (f.rows < p->most)
		return SYNC_OK;
	last = &s->m[s->n - 1];
	if (!s->cut || by_record(last, &s->last) < 0)
		s->last = *last;
	s->cut = true;
	return SYNC_OK;
}

/* Of the units whose root is of this entity. */
static enum sync_status find_groups(struct sync_members *s, const struct sync_pending_rows *p, const struct sync_unit *units,
				    size_t from, size_t end, const struct sync_entity *root, struct sync_error *err)
{
	struct sync_view ids[SYNC_PULL_ROWS];
	size_t unit[SYNC_PULL_ROWS];
	struct sync_outbox_groups g = { .root = root, .ids = ids };

	for (size_t i = from; i < end; i++) {
		if (units[i].root != root)
			continue;
		ids[g.n] = units[i].id;
		unit[g.n++] = i;
	}
	if (!g.n)
		return SYNC_OK;
	if (unit[0] == from && p->after) {
		g.after = p->after;
		g.after_id = p->after_id;
	}
	TRY(find(s, p, SYNC_EVERYBODY, p->all_seq, &g, unit, err));
	return find(s, p, p->site, p->own_seq, &g, unit, err);
}

static bool is_behind(const struct sync_pending_rows *p, const struct sync_outbox_row *row)
{
	return !p->after || compare(row->entity, row->id, p->after, p->after_id) > 0;
}

static void leave_out(struct sync_members *s, size_t from, size_t *end)
{
	if (!s->cut)
		return;
	while (by_record(&s->m[s->n - 1], &s->last) > 0)
		s->n--;
	if (s->last.unit == from) {
		*end = from + 1;
		return;
	}
	while (s->n && s->m[s->n - 1].unit == s->last.unit)
		s->n--;
	*end = s->last.unit;
	s->cut = false;
}

/* One row per record, and which are of which unit. */
static void settle(struct sync_members *s, struct sync_unit *units)
{
	size_t n = 0;

	for (size_t i = 0; i < s->n; i++) {
		struct sync_unit *unit = &units[s->m[i].unit];

		if (n && by_record(&s->m[i], &s->m[n - 1]) == 0)
			continue;
		if (!unit->n++)
			unit->first = n;
		s->m[n++] = s->m[i];
	}
	s->n = n;
}

enum sync_status sync_members_gather(struct sync_members *s, const struct sync_pending_rows *p, struct sync_unit *units,
				     size_t from, size_t *end, const struct sync_outbox_row *row, const size_t *unit, size_t n,
				     struct sync_error *err)
{
	size_t n_entities;
	const struct sync_entity *const *entities = sync_entities(&n_entities);

	sync_arena_reset(&s->arena);
	s->n = 0;
	s->cut = false;
	for (size_t i = 0; i < n; i++)
		if (unit[i] >= from && unit[i] < *end && row[i].entity && (unit[i] > from || is_behind(p, &row[i])))
			TRY(add(s, &row[i], unit[i], err));
	for (size_t i = 0; i < n_entities; i++)
		if (!entities[i]->parent && sync_entity_grouped(entities[i]) && !SYNC_FAULT(group_cut))
			TRY(find_groups(s, p, units, from, *end, entities[i], err));
	if (s->n)
		qsort(s->m, s->n, sizeof *s->m, by_row);
	leave_out(s, from, end);
	for (size_t i = from; i < *end; i++)
		units[i].n = 0;
	settle(s, units);
	return SYNC_OK;
}

#include "exchange/router.h"

#include <string.h>

#include <libsync/time.h>

#include "base/internal.h"
#include "codec/json.h"
#include "db/keys.h"
#include "exchange/extra.h"
#include "exchange/version.h"
#include "exchange/lot.h"

enum {
	STEP_ROWS = 10000,  /* of the queue, per transaction */
	SLICE_ITEMS = 1000, /* children looked at together */
	MAX_SQL = 8192,
};

/* the routing transaction */

enum sync_status sync_router_open(struct sync_router *r, struct sync_db *db, struct sync_error *err)
{
	struct sync_checkpoint newest;

	TRY(sync_routing_newest(db, &newest, err));
	*r = (struct sync_router){
		.db = db, .before = newest.seq, .ordinal = newest.ordinal, .out = { .db = db, .seq = newest.seq }
	};
	return SYNC_OK;
}

enum sync_status sync_router_end(struct sync_router *r, struct sync_error *err)
{
	TRY(sync_outbox_flush(&r->out, err));
	TRY(sync_jobs_put(r->db, r->effects, r->n_effects, err));
	if (r->out.seq == r->before)
		return SYNC_OK;
	return sync_routing_put(r->db, r->out.seq, r->ordinal + 1, sync_now_us(), err);
}

void sync_router_close(struct sync_router *r)
{
	sync_outbox_clear(&r->out);
	sync_arena_clear(&r->kept);
	free(r->effects);
}

enum sync_status sync_router_affect(struct sync_router *r, const char *kind, const char *entity, struct sync_view key,
				    const struct sync_sites *sites, struct sync_error *err)
{
	struct sync_effect *effect;

	if (r->n_effects == r->cap_effects) {
		size_t cap = r->cap_effects ? 2 * r->cap_effects : 64;
		struct sync_effect *more = realloc(r->effects, cap * sizeof *more);

		if (!more)
			return sync_fail(err, SYNC_ENOMEM, "%zu effects of one step", cap);
		r->effects = more;
		r->cap_effects = cap;
	}
	effect = &r->effects[r->n_effects];
	*effect = (struct sync_effect){ .kind = kind, .entity = entity };
	TRY(sync_arena_keep(&r->kept, key, &effect->key, err));
	for (size_t i = 0; i < sites->n; i++)
		TRY(sync_sites_add(&r->kept, &effect->sites, sites->site[i], err));
	r->n_effects++;
	return SYNC_OK;
}

/* where items go */

/* Items of one entity, out of all of a batch. */
struct kin {
	const struct sync_entity *entity;
	struct sync_routed **item;
	struct sync_view *ids;
	size_t n;
};

static bool needs_values(const struct sync_routed *item)
{
	return item->cause != SYNC_CHANGED;
}

static bool needs_holders(const struct sync_routed *item)
{
	return item->cause == SYNC_AFFECTED || (item->cause == SYNC_CHANGED && item->moved);
}

/* The id of its group's root record; of a child that is gone, as it was last known. */
static void set_root(struct sync_routed *item)
{
	const struct sync_entity *e = item->entity;
	const struct sync_value *values = item->now ? item->now : item->before;
	int slot = e->parent ? sync_route_slot(e, e->parent) : -1;

	if (!e->parent && sync_entity_grouped(e))
		item->root = item->id;
	else if (slot >= 0 && values && values[slot].kind == SYNC_STRING)
		item->root = values[slot].s;
}

/* Those that pass, gathered for one look-up. */
static void gather(const struct kin *kin, bool (*wanted)(const struct sync_routed *item), struct kin *ret)
{
	ret->entity = kin->entity;
	ret->n = 0;
	for (size_t i = 0; i < kin->n; i++) {
		if (!wanted(kin->item[i]))
			continue;
		ret->item[ret->n] = kin->item[i];
		ret->ids[ret->n++] = kin->item[i]->id;
	}
}

static enum sync_status find_values(struct sync_router *r, const struct kin *some, struct sync_arena *arena,
				    struct sync_error *err)
{
	const struct sync_value **values;

	TRY(sync_arena_zeros(arena, some->n, sizeof *values, &values, err));
	TRY(sync_route_values(r->db, some->entity, some->ids, some->n, arena, values, err));
	for (size_t i = 0; i < some->n; i++)
		some->item[i]->now = values[i];
	return SYNC_OK;
}

struct holders {
	const struct kin *kin;
	struct sync_arena *arena;
};

static enum sync_status take_holder(void *ctx, const struct sync_value *v, size_t n, struct sync_error *err)
{
	const struct holders *h = ctx;

	(void)n;
	return sync_sites_add(h->arena, &h->kin->item[v[0].i]->held, v[1].i, err);
}

static enum sync_status find_holders(struct sync_router *r, const struct kin *some, struct sync_arena *arena,
				     struct sync_error *err)
{
	struct holders holders = { some, arena };

	TRY(sync_outbox_holders(r->db, some->entity, some->ids, some->n, take_holder, &holders, err));
	for (size_t i = 0; i < some->n; i++)
		sync_sites_sort(&some->item[i]->held);
	return SYNC_OK;
}

static enum sync_status find_sites(struct sync_router *r, const struct kin *kin, struct sync_arena *arena,
				   struct sync_error *err)
{
	const struct sync_value **values;
	struct sync_sites *sites;

	TRY(sync_arena_zeros(arena, kin->n, sizeof *values, &values, err));
	TRY(sync_arena_zeros(arena, kin->n, sizeof *sites, &sites, err));
	for (size_t i = 0; i < kin->n; i++)
		values[i] = kin->item[i]->now;
	TRY(sync_route_sites(r->db, kin->entity, values, kin->n, arena, sites, err));
	for (size_t i = 0; i < kin->n; i++)
		kin->item[i]->due = sites[i];
	return SYNC_OK;
}

static enum sync_status find_out(struct sync_router *r, const struct kin *kin, struct sync_arena *arena, struct sync_error *err)
{
	struct kin some = { 0 };

	TRY(sync_arena_zeros(arena, kin->n, sizeof *some.item, &some.item, err));
	TRY(sync_arena_zeros(arena, kin->n, sizeof *some.ids, &some.ids, err));
	gather(kin, needs_values, &some);
	TRY(find_values(r, &some, arena, err));
	gather(kin, needs_holders, &some);
	TRY(find_holders(r, &some, arena, err));
	TRY(find_sites(r, kin, arena, err));
	for (size_t i = 0; i < kin->n; i++)
		set_root(kin->item[i]);
	return SYNC_OK;
}

static int by_entity(const void *a, const void *b)
{
	const struct sync_routed *x = *(struct sync_routed *const *)a, *y = *(struct sync_routed *const *)b;

	if (x->entity != y->entity)
		return x->entity < y->entity ? -1 : 1;
	return (x > y) - (x < y);
}

static enum sync_status find_all_out(struct sync_router *r, struct sync_routed **sorted, size_t n, struct sync_arena *arena,
				     struct sync_error *err)
{
	size_t end;

	qsort(sorted, n, sizeof *sorted, by_entity);
	for (size_t i = 0; i < n; i = end) {
		for (end = i + 1; end < n && sorted[end]->entity == sorted[i]->entity; end++)
			;
		TRY(find_out(r, &(struct kin){ .entity = sorted[i]->entity, .item = sorted + i, .n = end - i }, arena, err));
	}
	return SYNC_OK;
}

/* outbox rows */

static enum sync_status put_row(struct sync_router *r, const struct sync_routed *item, int64_t site, enum sync_action action,
				int64_t source, struct sync_error *err)
{
	struct sync_outbox_row row = {
		.site_id = site,
		.entity = item->entity,
		.id = item->id,
		.action = action,
		.source = source,
		.root = item->root,
	};

	return sync_outbox_add(&r->out, &row, err);
}

/* Whoever no longer should have it, even the one whose edit says so, is told. */
static enum sync_status put_losses(struct sync_router *r, const struct sync_routed *item, struct sync_error *err)
{
	for (size_t i = 0; i < item->held.n; i++)
		if (!sync_sites_have(&item->due, item->held.site[i]))
			TRY(put_row(r, item, item->held.site[i], SYNC_DROP, SYNC_NOBODY, err));
	return SYNC_OK;
}

static enum sync_status put_changed(struct sync_router *r, const struct sync_routed *item, struct sync_error *err)
{
	if (item->gone) {
		for (size_t i = 0; i < item->held.n; i++)
			TRY(put_row(r, item, item->held.site[i], SYNC_DELETE, item->site, err));
		return SYNC_OK;
	}
	for (size_t i = 0; i < item->due.n; i++)
		TRY(put_row(r, item, item->due.site[i], SYNC_PUT, item->site, err));
	return put_losses(r, item, err);
}

static enum sync_status put_affected(struct sync_router *r, const struct sync_routed *item, struct sync_error *err)
{
	for (size_t i = 0; i < item->due.n; i++)
		if (!sync_sites_have(&item->held, item->due.site[i]))
			TRY(put_row(r, item, item->due.site[i], SYNC_PUT, SYNC_NOBODY, err));
	return put_losses(r, item, err);
}

/* A put only where it is due: so the row keeps telling who holds the record. */
static enum sync_status put_resent(struct sync_router *r, const struct sync_routed *item, struct sync_error *err)
{
	bool due = sync_sites_have(&item->due, SYNC_EVERYBODY) || sync_sites_have(&item->due, item->site);

	return put_row(r, item, item->site, due ? SYNC_PUT : SYNC_DROP, SYNC_NOBODY, err);
}

static enum sync_status put_rows(struct sync_router *r, const struct sync_routed *item, struct sync_error *err)
{
	switch (item->cause) {
	case SYNC_CHANGED:
		return put_changed(r, item, err);
	case SYNC_AFFECTED:
		return put_affected(r, item, err);
	case SYNC_RESENT:
		return put_resent(r, item, err);
	}
	return SYNC_OK;
}

/* Which group each item belongs to, numbered as they first appear. */
struct ranked {
	struct sync_routed *item;
	uint32_t rank;
};

static int by_rank(const void *a, const void *b)
{
	const struct ranked *x = a, *y = b;

	if (x->rank != y->rank)
		return x->rank < y->rank ? -1 : 1;
	return (x->item > y->item) - (x->item < y->item);
}

static enum sync_status rank(struct sync_routed *items, size_t n, struct sync_arena *arena, struct ranked *ret,
			     struct sync_error *err)
{
	struct sync_set groups = { .arena = arena };

	for (size_t i = 0; i < n; i++) {
		struct sync_routed *item = &items[i];
		const struct sync_entity *root = item->root.data ? sync_entity_root(item->entity) : item->entity;
		uint32_t *found;

		TRY(sync_set_add(&groups, sync_view_of(root->name), item->root.data ? item->root : item->id, (uint32_t)i,
				 &found, err));
		ret[i] = (struct ranked){ item, *found };
	}
	return SYNC_OK;
}

/* Rows of one group stand together, so that a reader finds it whole. */
static enum sync_status put_items(struct sync_router *r, struct sync_routed *items, size_t n, struct sync_arena *arena,
				  struct sync_error *err)
{
	struct ranked *ranked;

	TRY(sync_arena_zeros(arena, n, sizeof *ranked, &ranked, err));
	TRY(rank(items, n, arena, ranked, err));
	qsort(ranked, n, sizeof *ranked, by_rank);
	for (size_t i = 0; i < n; i++)
		TRY(put_rows(r, ranked[i].item, err));
	return sync_outbox_flush(&r->out, err); /* the rows borrow from the items */
}

/* children */

static bool other_sites(const struct sync_routed *item)
{
	if (item->cause == SYNC_RESENT || (item->cause == SYNC_CHANGED && !item->moved && item->before))
		return false;
	return item->due.n != item->held.n ||
	       (item->due.n && memcmp(item->due.site, item->held.site, item->due.n * sizeof(int64_t)));
}

struct children {
	const struct sync_entity *entity;
	const struct sync_set *except;
	struct sync_arena *arena;
	struct sync_routed *item;
	size_t n, cap;
};

static enum sync_status take_child(void *ctx, const struct sync_value *v, size_t n, struct sync_error *err)
{
	struct children *c = ctx;

	(void)n;
	if (c->except && sync_set_find(c->except, sync_view_of(c->entity->name), v[0].s))
		return SYNC_OK;
	if (c->n == c->cap) {
		struct sync_routed *more;

		c->cap = c->cap ? 2 * c->cap : 256;
		TRY(sync_arena_zeros(c->arena, c->cap, sizeof *more, &more, err));
		if (c->n)
			memcpy(more, c->item, c->n * sizeof *more);
		c->item = more;
	}
	c->item[c->n] = (struct sync_routed){ .entity = c->entity, .cause = SYNC_AFFECTED };
	return sync_arena_keep(c->arena, v[0].s, &c->item[c->n++].id, err);
}

static enum sync_status route_children(struct sync_router *r, const struct sync_entity *child, const char *field,
				       const struct sync_view *parents, size_t n, const struct sync_set *except,
				       struct sync_error *err)
{
	defer(sync_arena_clear) struct sync_arena found = { 0 }, slice = { 0 };
	defer(sync_buf_clear) struct sync_buf sql = { .max = MAX_SQL };
	struct children c = { .entity = child, .except = except, .arena = &found };

	sync_buf_addf(&sql, "SELECT t.id FROM %s CROSS JOIN \"%s\" t WHERE t.\"%s\" = k.value", sync_keys_sql(r->db),
		      child->name, field);
	TRY(sync_keys_run(r->db, &sql, parents, n, NULL, 0, take_child, &c, err));
	for (size_t i = 0; i < c.n; i += SLICE_ITEMS) {
		TRY(sync_router_route(r, c.item + i, c.n - i < SLICE_ITEMS ? c.n - i : SLICE_ITEMS, except, &slice, err));
		sync_arena_reset(&slice);
	}
	return SYNC_OK;
}

/* All children, by every route, of these records of one entity. */
static enum sync_status route_all_children(struct sync_router *r, const struct sync_entity *parent, const struct sync_view *ids,
					   size_t n, const struct sync_set *except, struct sync_error *err)
{
	size_t n_entities;
	const struct sync_entity *const *entities = sync_entities(&n_entities);

	for (size_t i = 0; n && i < n_entities; i++)
		for (const struct sync_route *route = entities[i]->routes; route->kind; route++) {
			int field = route->kind == SYNC_ROUTE_PARENT ? sync_field_find(entities[i], sync_view_of(route->field))
								     : -1;

			if (field >= 0 && sync_field_target(&entities[i]->fields[field]) == parent)
				TRY(route_children(r, entities[i], route->field, ids, n, except, err));
		}
	return SYNC_OK;
}

static enum sync_status follow_children(struct sync_router *r, struct sync_routed *const *sorted, size_t n,
					const struct sync_set *except, struct sync_arena *arena, struct sync_error *err)
{
	struct sync_view *ids;
	size_t end, n_ids;

	TRY(sync_arena_zeros(arena, n, sizeof *ids, &ids, err));
	for (size_t i = 0; i < n; i = end) {
		n_ids = 0;
		for (end = i; end < n && sorted[end]->entity == sorted[i]->entity; end++)
			if (other_sites(sorted[end]))
				ids[n_ids++] = sorted[end]->id;
		TRY(route_all_children(r, sorted[i]->entity, ids, n_ids, except, err));
	}
	return SYNC_OK;
}

enum sync_status sync_router_route(struct sync_router *r, struct sync_routed *items, size_t n, const struct sync_set *except,
				   struct sync_arena *arena, struct sync_error *err)
{
	struct sync_routed **sorted;

	TRY(sync_arena_zeros(arena, n, sizeof *sorted, &sorted, err));
	for (size_t i = 0; i < n; i++)
		sorted[i] = &items[i];
	TRY(find_all_out(r, sorted, n, arena, err));
	TRY(put_items(r, items, n, arena, err));
	return follow_children(r, sorted, n, except, arena, err);
}

/* the queue */

/* One row of the queue. */
struct queued {
	int64_t seq;
	const struct sync_entity *entity;
	struct sync_view id;
	char action; /* P, D; R: send it to source again */
	int64_t source, at_us;
	struct sync_view before, now; /* JSON arrays of routing values, or empty */
};

struct queue {
	struct sync_arena *arena;
	struct queued *row;
	size_t n, cap;
	size_t taken; /* also rows of entities that are not known */
};

static enum sync_status take_queued(void *ctx, const struct sync_value *v, size_t n, struct sync_error *err)
{
	struct queue *q = ctx;
	struct queued *row;

	(void)n;
	TRY(sync_larger(q->arena, (void **)&q->row, q->n, &q->cap, sizeof *row, err));
	row = &q->row[q->n];
	q->taken++;
	*row = (struct queued){
		.seq = v[0].i, .entity = sync_entity_find(v[1].s), .action = v[3].s.data[0], .source = v[4].i, .at_us = v[7].i
	};
	if (!row->entity)
		return SYNC_OK; /* it is routed when a build that knows it opens the database */
	TRY(sync_arena_keep(q->arena, v[2].s, &row->id, err));
	if (v[5].kind == SYNC_STRING)
		TRY(sync_arena_keep(q->arena, v[5].s, &row->before, err));
	if (v[6].kind == SYNC_STRING)
		TRY(sync_arena_keep(q->arena, v[6].s, &row->now, err));
	q->n++;
	return SYNC_OK;
}

static int by_seq(const void *a, const void *b)
{
	const struct queued *x = a, *y = b;

	return (x->seq > y->seq) - (x->seq < y->seq);
}

#define FIRST   "(SELECT seq FROM sync_changelog ORDER BY seq LIMIT $1)"
#define COLUMNS "    RETURNING seq, entity, record_id, action, source, old, new, at_us"

/*
 * Exactly what is visible goes: rows that are committed later may have lower numbers. With IN, PostgreSQL would go through the
 * whole table, most of which was deleted a moment ago; SQLite has no ANY.
 */
static enum sync_status take_queue(struct sync_db *db, int64_t limit, struct queue *q, struct sync_error *err)
{
	static const char take[] = "DELETE FROM sync_changelog WHERE seq IN " FIRST COLUMNS;
	static const char take_any[] = "DELETE FROM sync_changelog WHERE seq = ANY (ARRAY" FIRST ")" COLUMNS;

	TRY(sync_db_run(db, sync_db_dialect(db)->postgres ? take_any : take, SYNC_ARGS(sync_int(limit)), take_queued, q, err));
	if (q->n)
		qsort(q->row, q->n, sizeof *q->row, by_seq);
	return SYNC_OK;
}

/* ["text", null, …]; *ret is NULL when the text is not that. */
static enum sync_status read_values(struct sync_view text, const struct sync_entity *e, struct sync_arena *arena,
				    const struct sync_value **ret, struct sync_error *err)
{
	size_t n = sync_route_fields(e)->n, i = 0;
	struct sync_json json, member;
	struct sync_value *values;

	*ret = NULL;
	if (!text.len || sync_json_parse(&json, text, 1, NULL) != SYNC_OK)
		return SYNC_OK;
	TRY(sync_arena_zeros(arena, n, sizeof *values, &values, err));
	for (bool more = sync_json_first(&member, &json); more && i < n; more = sync_json_next(&member), i++) {
		values[i] = sync_null();
		if (member.type != SYNC_JSON_TEXT)
			continue;
		values[i].kind = SYNC_STRING;
		TRY(sync_arena_keep(arena, member.text, &values[i].s, err));
	}
	*ret = i == n ? values : NULL;
	return SYNC_OK;
}

/* Items of a step: what changed, each record once, and what is sent again. */
struct step {
	struct sync_arena *arena;
	struct sync_set changed; /* which item a record is */
	struct sync_routed *item;
	struct sync_view *first; /* per item: routing values as text before its first change */
	const struct queued **last; /* per item: its last change */
	size_t n;
};

static enum sync_status add_change(struct step *s, const struct queued *row, struct sync_error *err)
{
	uint32_t *found;
	struct sync_routed *item;

	TRY(sync_set_add(&s->changed, sync_view_of(row->entity->name), row->id, (uint32_t)s->n, &found, err));
	item = &s->item[*found];
	if (*found == s->n) {
		*item = (struct sync_routed){ .entity = row->entity, .id = row->id, .cause = SYNC_CHANGED };
		s->first[s->n++] = row->before;
	}
	item->site = row->source;
	item->gone = row->action == 'D';
	item->moved |= item->gone || (row->before.len && !sync_view_eq(row->before, row->now));
	s->last[*found] = row;
	return SYNC_OK;
}

static void add_resend(struct step *s, const struct queued *row)
{
	s->item[s->n++] =
	    (struct sync_routed){ .entity = row->entity, .id = row->id, .cause = SYNC_RESENT, .site = row->source };
}

static enum sync_status read_items(struct step *s, struct sync_error *err)
{
	for (size_t i = 0; i < s->n; i++) {
		struct sync_routed *item = &s->item[i];

		if (item->cause != SYNC_CHANGED)
			continue;
		TRY(read_values(s->first[i], item->entity, s->arena, &item->before, err));
		if (!item->gone)
			TRY(read_values(s->last[i]->now, item->entity, s->arena, &item->now, err));
	}
	return SYNC_OK;
}

static enum sync_status make_items(struct step *s, const struct queue *q, struct sync_error *err)
{
	s->changed.arena = s->arena;
	TRY(sync_arena_zeros(s->arena, q->n, sizeof *s->item, &s->item, err));
	TRY(sync_arena_zeros(s->arena, q->n, sizeof *s->first, &s->first, err));
	TRY(sync_arena_zeros(s->arena, q->n, sizeof *s->last, &s->last, err));
	for (size_t i = 0; i < q->n; i++) {
		if (q->row[i].action == 'R')
			add_resend(s, &q->row[i]);
		else
			TRY(add_change(s, &q->row[i], err));
	}
	return read_items(s, err);
}

static enum sync_status forget_extra(struct sync_router *r, const struct step *s, struct sync_error *err)
{
	struct sync_gone *gone;
	size_t n = 0;

	TRY(sync_arena_zeros(s->arena, s->n, sizeof *gone, &gone, err));
	for (size_t i = 0; i < s->n; i++)
		if (s->item[i].gone)
			gone[n++] = (struct sync_gone){ s->item[i].entity, s->item[i].id };
	return sync_extra_forget(r->db, gone, n, err);
}

/* Whether any site may edit the record, or might before. */
static bool is_anybodys(const struct sync_routed *item)
{
	const struct sync_entity *e = item->entity;
	const struct sync_when *w = &e->owner_when;

	if (e->owner != SYNC_OWNER_ANY)
		return false;
	return !w->field || w->refers_field || sync_route_slot(e, w->field) < 0 || (!item->before && !item->now) ||
	       sync_route_holds(w, e, item->before) || sync_route_holds(w, e, item->now);
}

/* Central's own edits; those of sites have brought their versions. */
static enum sync_status make_versions(struct sync_router *r, const struct step *s, struct sync_error *err)
{
	struct sync_own_edit *edits;
	size_t n = 0;

	TRY(sync_arena_zeros(s->arena, s->n, sizeof *edits, &edits, err));
	for (size_t i = 0; i < s->n; i++) {
		const struct sync_routed *item = &s->item[i];

		if (item->cause == SYNC_CHANGED && item->site == 0 && is_anybodys(item))
			edits[n++] = (struct sync_own_edit){ item->entity, item->id, s->last[i]->seq, s->last[i]->at_us, item->gone };
	}
	return sync_own_versions(r->db, edits, n, err);
}

static enum sync_status route_queue(struct sync_router *r, const struct queue *q, struct sync_error *err)
{
	struct step s = { .arena = q->arena };

	TRY(make_items(&s, q, err));
	TRY(forget_extra(r, &s, err));
	TRY(make_versions(r, &s, err));
	for (size_t i = 0; i < s.n; i++)
		if (s.item[i].cause == SYNC_CHANGED)
			TRY(sync_router_follow(r, &s.item[i], err));
	TRY(sync_router_route(r, s.item, s.n, &s.changed, s.arena, err));
	for (size_t i = 0; i < s.n; i++)
		if (s.item[i].cause == SYNC_CHANGED)
			TRY(sync_router_consider(r, &s.item[i], err));
	return SYNC_OK;
}

static enum sync_status step(struct sync_router *r, int64_t limit, bool *ret_more, struct sync_error *err)
{
	defer(sync_arena_clear) struct sync_arena arena = { 0 };
	struct queue q = { .arena = &arena };

	TRY(take_queue(r->db, limit, &q, err));
	TRY(route_queue(r, &q, err));
	TRY(sync_router_end(r, err));
	*ret_more = q.taken == (size_t)limit;
	return SYNC_OK;
}

enum sync_status sync_route_step(struct sync_db *db, int64_t limit, bool *ret_more, struct sync_error *err)
{
	defer(sync_router_close) struct sync_router r = { 0 };

	TRY(sync_router_open(&r, db, err));
	return step(&r, limit, ret_more, err);
}

#define ROUTER "1819504238" /* "lsyn" */

enum sync_status sync_route_lock(struct sync_db *db, bool *ret, struct sync_error *err)
{
	static const char try[] = "SELECT pg_try_advisory_xact_lock(" ROUTER ")";
	int64_t got = 1;

	if (sync_db_dialect(db)->postgres)
		TRY(sync_db_number(db, try, SYNC_NOARGS, 0, &got, err));
	*ret = got != 0;
	return SYNC_OK;
}

/* One transaction; whoever finds another routing leaves it to that one. */
static enum sync_status route_some(struct sync_db *db, bool *ret_mine, struct sync_error *err)
{
	bool more;

	TRY(sync_route_lock(db, ret_mine, err));
	return *ret_mine ? sync_route_step(db, STEP_ROWS, &more, err) : SYNC_OK;
}

/* By the number, so that the index passes over what is gone; PostgreSQL would read all of the table that is not yet vacuumed. */
enum sync_status sync_route_queued(struct sync_db *db, bool *ret, struct sync_error *err)
{
	static const char any[] = "SELECT 1 FROM sync_changelog ORDER BY seq LIMIT 1";
	int64_t some;

	TRY(sync_db_number(db, any, SYNC_NOARGS, 0, &some, err));
	*ret = some != 0;
	return SYNC_OK;
}

/*
 * The queue is looked at again after the lock is given up: whoever committed before that and could not have the lock has left
 * its rows to us.
 */
enum sync_status sync_route(struct sync_db *db, struct sync_error *err)
{
	bool mine = true, rows;

	TRY(sync_route_queued(db, &rows, err));
	while (rows && mine) {
		enum sync_status status;

		TRY(sync_db_begin(db, true, err));
		status = route_some(db, &mine, err);
		if (status != SYNC_OK || !mine) {
			sync_db_rollback(db);
			return status;
		}
		TRY(sync_db_commit(db, err));
		TRY(sync_route_queued(db, &rows, err));
	}
	return SYNC_OK;
}

static enum sync_status route_in_turn(struct sync_db *db, bool *ret_more, struct sync_error *err)
{
	static const char wait[] = "SELECT 1 FROM pg_advisory_xact_lock(" ROUTER ")";

	if (sync_db_dialect(db)->postgres)
		TRY(sync_db_run(db, wait, SYNC_NOARGS, NULL, NULL, err));
	return sync_route_step(db, STEP_ROWS, ret_more, err);
}

/* A step that finds less than it may take has taken all that was committed before; what came meanwhile is left to it as above. */
enum sync_status sync_route_all(struct sync_db *db, struct sync_error *err)
{
	bool more;

	TRY(sync_route_queued(db, &more, err));
	while (more) {
		TRY(sync_db_begin(db, true, err));
		TRY(sync_db_finish(db, route_in_turn(db, &more, err), err));
	}
	return sync_route(db, err);
}

#include "exchange/router.h"

#include <assert.h>
#include <string.h>

#include <libsync/time.h>

#include "base/internal.h"
#include "db/keys.h"
#include "exchange/option.h"

enum {
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
	for (size_t i = 0; sync_option_list[i].name; i++) {
		assert(i < SYNC_MAX_OPTIONS);
		TRY(sync_option_value(db, sync_option_list[i].name, &r->chosen[i], err));
	}
	return SYNC_OK;
}

bool sync_router_follows(const struct sync_router *r, const struct sync_entity *e, const struct sync_route *route)
{
	return sync_route_counts(route, e->option ? r->chosen[sync_option_find(e->option) - sync_option_list] : NULL);
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

/* Whether a route leads from records of the parent to those of e. */
static bool leads_from(const struct sync_entity *parent, const struct sync_entity *e, const struct sync_route *route)
{
	int field = route->kind == SYNC_ROUTE_PARENT ? sync_field_find(e, sync_view_of(route->field)) : -1;

	return field >= 0 && sync_field_target(&e->fields[field]) == parent;
}

/* Whether other records go where those of this entity go. */
static bool leads_anywhere(const struct sync_router *r, const struct sync_entity *parent)
{
	size_t n;
	const struct sync_entity *const *entities = sync_entities(&n);

	for (size_t i = 0; i < n; i++)
		for (const struct sync_route *route = entities[i]->routes; route->kind; route++)
			if (leads_from(parent, entities[i], route) && sync_router_follows(r, entities[i], route))
				return true;
	return false;
}

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

/* Those that pass, NULL: all, gathered for one look-up. */
static void gather(const struct kin *kin, bool (*wanted)(const struct sync_routed *item), struct kin *ret)
{
	ret->entity = kin->entity;
	ret->n = 0;
	for (size_t i = 0; i < kin->n; i++) {
		if (wanted && !wanted(kin->item[i]))
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
	struct sync_routed *item = h->kin->item[v[0].i];

	(void)n;
	if (sync_view_is(v[2].s, "P"))
		return sync_sites_add(h->arena, &item->held, v[1].i, err);
	item->told = item->told || (item->cause == SYNC_CHANGED && v[1].i == item->site);
	return SYNC_OK;
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
	bool leads = leads_anywhere(r, kin->entity);
	struct kin some = { 0 };

	for (size_t i = 0; i < kin->n; i++)
		kin->item[i]->leads = leads;
	TRY(sync_arena_zeros(arena, kin->n, sizeof *some.item, &some.item, err));
	TRY(sync_arena_zeros(arena, kin->n, sizeof *some.ids, &some.ids, err));
	gather(kin, needs_values, &some);
	TRY(find_values(r, &some, arena, err));
	gather(kin, NULL, &some);
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
		if (!sync_sites_have(&item->due, item->held.site[i]) && !SYNC_FAULT(loser_not_told))
			TRY(put_row(r, item, item->held.site[i], SYNC_DROP, SYNC_NOBODY, err));
	return SYNC_OK;
}

/* What only goes up stays where it was made. */
bool sync_route_down(const struct sync_entity *e)
{
	return e->routes[0].kind != SYNC_ROUTE_UP || e->routes[1].kind;
}

static bool have(const struct sync_sites *s, int64_t site)
{
	return sync_sites_have(s, SYNC_EVERYBODY) || sync_sites_have(s, site);
}

/* Whose edit it is has the record, though it may never have been due there: a patient that no join shows to it any more. */
static enum sync_status put_back(struct sync_router *r, const struct sync_routed *item, struct sync_error *err)
{
	bool stays = item->site <= 0 || !sync_route_down(item->entity) || have(&item->due, item->site);

	if (stays || sync_sites_have(&item->held, item->site))
		return SYNC_OK;
	return put_row(r, item, item->site, SYNC_DROP, SYNC_NOBODY, err);
}

/*
 * Whose edit it is has what it made, unless it was told to drop the record: it drops it once the edit is here, so it gets it
 * again.
 */
static enum sync_status put_due(struct sync_router *r, const struct sync_routed *item, struct sync_error *err)
{
	for (size_t i = 0; i < item->due.n; i++) {
		int64_t site = item->due.site[i];
		bool drops = item->told && site == item->site && !SYNC_FAULT(drop_meets_edit);

		TRY(put_row(r, item, site, SYNC_PUT, drops ? SYNC_NOBODY : item->site, err));
	}
	if (item->told && sync_sites_have(&item->due, SYNC_EVERYBODY))
		return put_row(r, item, item->site, SYNC_PUT, SYNC_NOBODY, err);
	return SYNC_OK;
}

/* Also whose delete it is, though it held nothing that central knew of: an older copy of its database may have the record. */
static enum sync_status put_deletes(struct sync_router *r, const struct sync_routed *item, struct sync_error *err)
{
	for (size_t i = 0; i < item->held.n; i++)
		TRY(put_row(r, item, item->held.site[i], SYNC_DELETE, item->site, err));
	if (item->site <= 0 || have(&item->held, item->site))
		return SYNC_OK;
	return put_row(r, item, item->site, SYNC_DELETE, item->site, err);
}

static enum sync_status put_changed(struct sync_router *r, const struct sync_routed *item, struct sync_error *err)
{
	if (item->gone)
		return put_deletes(r, item, err);
	TRY(put_due(r, item, err));
	TRY(put_back(r, item, err));
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
	bool due = have(&item->due, item->site);

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
	if (!item->leads || SYNC_FAULT(children_forgotten))
		return false;
	if (item->cause == SYNC_RESENT) /* to one site, which a job that is pending would have told */
		return have(&item->due, item->site) != have(&item->held, item->site);
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

	sync_buf_addf(&sql, "SELECT t.id FROM %s", sync_keys_sql(r->db));
	sync_keys_look(&sql, r->db, child->name, "t", "t.\"%s\" = k.value", field);
	TRY(sync_keys_run(r->db, &sql, parents, n, NULL, 0, take_child, &c, err));
	for (size_t i = 0; i < c.n; i += SLICE_ITEMS) {
		TRY(sync_router_route(r, c.item + i, c.n - i < SLICE_ITEMS ? c.n - i : SLICE_ITEMS, NULL, &slice, err));
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
		for (const struct sync_route *route = entities[i]->routes; route->kind; route++)
			if (leads_from(parent, entities[i], route) && sync_router_follows(r, entities[i], route))
				TRY(route_children(r, entities[i], route->field, ids, n, except, err));
	return SYNC_OK;
}

/* Nobody can have had its children before. That no values of before were kept does not say so: SQLite's REPLACE looks like an insert. */
static bool is_new(const struct sync_routed *item)
{
	return item->cause == SYNC_CHANGED && !item->moved && !item->before && !item->held.n;
}

/*
 * Children that are routed anyway are found to be due to whoever gains them; who loses them is known by their parent alone, so
 * only those of new parents are not looked at again.
 */
static enum sync_status follow_some(struct sync_router *r, struct sync_routed *const *sorted, size_t n, bool new,
				    const struct sync_set *except, struct sync_view *ids, struct sync_error *err)
{
	size_t n_ids = 0;

	for (size_t i = 0; i < n; i++)
		if (other_sites(sorted[i]) && is_new(sorted[i]) == new)
			ids[n_ids++] = sorted[i]->id;
	return route_all_children(r, sorted[0]->entity, ids, n_ids, except, err);
}

static enum sync_status follow_children(struct sync_router *r, struct sync_routed *const *sorted, size_t n,
					const struct sync_set *except, struct sync_arena *arena, struct sync_error *err)
{
	struct sync_view *ids;
	size_t end;

	TRY(sync_arena_zeros(arena, n, sizeof *ids, &ids, err));
	for (size_t i = 0; i < n; i = end) {
		for (end = i; end < n && sorted[end]->entity == sorted[i]->entity; end++)
			;
		TRY(follow_some(r, sorted + i, end - i, true, except, ids, err));
		TRY(follow_some(r, sorted + i, end - i, false, NULL, ids, err));
	}
	return SYNC_OK;
}

/* The items alone; *ret_sorted is where follow_children() finds them. */
static enum sync_status route_items(struct sync_router *r, struct sync_routed *items, size_t n, struct sync_arena *arena,
				    struct sync_routed ***ret_sorted, struct sync_error *err)
{
	struct sync_routed **sorted;

	TRY(sync_arena_zeros(arena, n, sizeof *sorted, &sorted, err));
	for (size_t i = 0; i < n; i++)
		sorted[i] = &items[i];
	TRY(find_all_out(r, sorted, n, arena, err));
	r->routed += (int64_t)n;
	*ret_sorted = sorted;
	return put_items(r, items, n, arena, err);
}

enum sync_status sync_router_route(struct sync_router *r, struct sync_routed *items, size_t n, const struct sync_set *except,
				   struct sync_arena *arena, struct sync_error *err)
{
	struct sync_routed **sorted;

	TRY(route_items(r, items, n, arena, &sorted, err));
	return follow_children(r, sorted, n, except, arena, err);
}

enum sync_status sync_router_route_alone(struct sync_router *r, struct sync_routed *items, size_t n, struct sync_arena *arena,
					 struct sync_error *err)
{
	struct sync_routed **sorted;

	return route_items(r, items, n, arena, &sorted, err);
}

#include <libsync/entity.h>

#include <assert.h>
#include <pthread.h>
#include <string.h>

#include "base/internal.h"
#include "schema/declared.h"

/* Whether e has to be integrated after another of the set: a hard reference or its group's root. Itself does not count. */
static bool waits_for(const struct sync_entity *e, const struct sync_field *f)
{
	bool hard = f->refers && !f->soft;
	bool root = e->parent && !strcmp(e->parent, f->name);

	return (hard || root) && strcmp(f->refers, e->name) != 0;
}

/* Place in by_name, or c->n. */
static size_t find_index(const struct sync_catalogue *c, struct sync_view name)
{
	size_t low = 0, high = c->n;

	while (low < high) {
		size_t middle = low + (high - low) / 2;
		int order = sync_view_cmp(name, sync_view_of(c->by_name[middle]->name));

		if (order == 0)
			return middle;
		if (order < 0)
			high = middle;
		else
			low = middle + 1;
	}
	return c->n;
}

static bool is_ready(const struct sync_catalogue *c, const struct sync_entity *e, const bool *placed)
{
	for (size_t i = 0; i < e->n_fields; i++) {
		size_t target;

		if (!waits_for(e, &e->fields[i]))
			continue;
		target = find_index(c, sync_view_of(e->fields[i].refers));
		if (target < c->n && !placed[target])
			return false;
	}
	return true;
}

/* Each time the first by name of those whose targets are all placed. */
static void order_entities(struct sync_catalogue *c)
{
	bool placed[SYNC_MAX_ENTITIES] = { false };
	bool found = true;

	while (found) {
		found = false;
		for (size_t i = 0; i < c->n && !found; i++) {
			if (placed[i] || !is_ready(c, c->by_name[i], placed))
				continue;
			c->ordered[c->n_ordered++] = c->by_name[i];
			placed[i] = found = true;
		}
	}
}

static int by_name(const void *a, const void *b)
{
	return strcmp((*(const struct sync_entity *const *)a)->name, (*(const struct sync_entity *const *)b)->name);
}

void sync_catalogue_fill(struct sync_catalogue *ret, const struct sync_entity *const *declared)
{
	memset(ret, 0, sizeof *ret);
	for (; declared[ret->n]; ret->n++) {
		assert(ret->n < SYNC_MAX_ENTITIES);
		ret->by_name[ret->n] = declared[ret->n];
	}
	qsort(ret->by_name, ret->n, sizeof ret->by_name[0], by_name);
	order_entities(ret);
}

const struct sync_entity *sync_catalogue_find(const struct sync_catalogue *c, struct sync_view name)
{
	size_t i = find_index(c, name);

	return i < c->n ? c->by_name[i] : NULL;
}

static struct sync_catalogue ours;
static _Thread_local struct sync_catalogue *used; /* NULL: ours */

void sync_catalogue_use(struct sync_catalogue *c)
{
	used = c;
	if (!c || c->routed)
		return;
	for (size_t i = 0; i < c->n_ordered; i++)
		c->routing[i].n = sync_entity_routing(c->ordered[i], c->routing[i].field);
	c->routed = true;
}

static void fill_ours(void)
{
	sync_catalogue_fill(&ours, sync_declared);
	sync_catalogue_use(&ours);
	sync_catalogue_use(NULL);
}

const struct sync_catalogue *sync_catalogue(void)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;

	if (used)
		return used;
	pthread_once(&once, fill_ours);
	return &ours;
}

const struct sync_entity *const *sync_entities(size_t *ret_n)
{
	const struct sync_catalogue *c = sync_catalogue();

	*ret_n = c->n_ordered;
	return c->ordered;
}

const struct sync_entity *sync_entity_find(struct sync_view name)
{
	return sync_catalogue_find(sync_catalogue(), name);
}

size_t sync_entity_order(const struct sync_entity *e)
{
	const struct sync_catalogue *c = sync_catalogue();
	size_t i = 0;

	while (i < c->n_ordered && c->ordered[i] != e)
		i++;
	return i;
}

int sync_field_find(const struct sync_entity *e, struct sync_view name)
{
	for (size_t i = 0; i < e->n_fields; i++)
		if (sync_view_is(name, e->fields[i].name))
			return (int)i;
	return -1;
}

const struct sync_entity *sync_field_target(const struct sync_field *f)
{
	return f->refers ? sync_entity_find(sync_view_of(f->refers)) : NULL;
}

static const struct sync_field *field_named(const struct sync_entity *e, const char *name)
{
	int i = sync_field_find(e, sync_view_of(name));

	return i < 0 ? NULL : &e->fields[i];
}

/* What a field of that name refers to; NULL when there is none. */
static const struct sync_entity *target_named(const struct sync_entity *e, const char *name)
{
	const struct sync_field *f = name ? field_named(e, name) : NULL;

	return f ? sync_field_target(f) : NULL;
}

const struct sync_entity *sync_entity_root(const struct sync_entity *e)
{
	return e->parent ? target_named(e, e->parent) : e;
}

bool sync_entity_grouped(const struct sync_entity *e)
{
	const struct sync_catalogue *c = sync_catalogue();

	if (e->parent)
		return true;
	for (size_t i = 0; i < c->n; i++)
		if (c->by_name[i]->parent && sync_entity_root(c->by_name[i]) == e)
			return true;
	return false;
}

const char *sync_route_join_store(const struct sync_route *r)
{
	return r->join_store ? r->join_store : "store_id";
}

/* Whatever it says, and whatever is chosen. */
static bool goes_everywhere(const struct sync_entity *e)
{
	for (const struct sync_route *r = e->routes; r->kind; r++)
		if (r->kind == SYNC_ROUTE_CENTRAL && !r->when.field && !r->chosen)
			return true;
	return false;
}

/* The routes that decide for e: its root's when it goes where the root goes and nowhere else. */
static const struct sync_route *deciding_routes(const struct sync_entity **e)
{
	const struct sync_route *r = (*e)->routes;

	if (!(*e)->parent || r[0].kind != SYNC_ROUTE_PARENT || r[1].kind || strcmp(r[0].field, (*e)->parent) != 0)
		return r;
	*e = sync_entity_root(*e);
	return (*e)->routes;
}

static bool goes_by_store_only(const struct sync_entity *e)
{
	const struct sync_route *r = deciding_routes(&e);

	return r[0].kind == SYNC_ROUTE_STORE && !r[1].kind;
}

/* Whether the owning store's site always has it. */
static bool goes_by_store(const struct sync_entity *e)
{
	for (const struct sync_route *r = deciding_routes(&e); r->kind; r++)
		if (r->kind == SYNC_ROUTE_STORE && !r->when.field && !r->chosen && field_named(e, r->field)->required)
			return true;
	return false;
}

bool sync_field_hard_at_site(const struct sync_entity *e, const struct sync_field *f)
{
	const struct sync_entity *target = sync_field_target(f);

	if (!target || f->soft)
		return false;
	if (goes_everywhere(target) || (e->parent && !strcmp(e->parent, f->name)))
		return true;
	return goes_by_store_only(e) && goes_by_store(target);
}

/* Marks of fields, by index. */
struct marks {
	const struct sync_entity *e;
	bool marked[SYNC_MAX_FIELDS];
};

static void mark(struct marks *m, const char *name)
{
	int i = name ? sync_field_find(m->e, sync_view_of(name)) : -1;

	if (i >= 0)
		m->marked[i] = true;
}

/* What the route r of the entity `of` reads in records of m->e: its own fields, and what it follows into other entities. */
static void mark_route(struct marks *m, const struct sync_entity *of, const struct sync_route *r)
{
	const struct sync_entity *target = target_named(of, r->field);

	if (of == m->e) {
		mark(m, r->field);
		mark(m, r->when.field);
	}
	if (r->when.refers_field && target_named(of, r->when.field) == m->e)
		mark(m, r->when.refers_field);
	if (r->kind == SYNC_ROUTE_THROUGH && !strcmp(r->join, m->e->name)) {
		mark(m, r->join_key);
		mark(m, sync_route_join_store(r));
	}
	if (r->kind == SYNC_ROUTE_STORE && target == m->e) { /* stores: where they are active, and whose they are */
		mark(m, "site_id");
		mark(m, "name_id");
	}
}

size_t sync_entity_routing(const struct sync_entity *e, size_t ret[static SYNC_MAX_FIELDS])
{
	const struct sync_catalogue *c = sync_catalogue();
	struct marks m = { .e = e };
	size_t n = 0;

	mark(&m, e->parent);
	for (size_t i = 0; i < c->n; i++)
		for (const struct sync_route *r = c->by_name[i]->routes; r->kind; r++)
			mark_route(&m, c->by_name[i], r);
	for (size_t i = 0; i < e->n_fields; i++)
		if (m.marked[i])
			ret[n++] = i;
	return n;
}

bool sync_when_holds(const struct sync_when *w, const struct sync_entity *e, const struct sync_value *values)
{
	const struct sync_value *v;
	int i;

	if (!w->field)
		return true;
	i = sync_field_find(e, sync_view_of(w->field));
	if (w->refers_field || i < 0)
		return false;
	v = &values[i];
	if (!w->value)
		return (v->kind == SYNC_NULL || v->kind == SYNC_ABSENT) != w->not;
	return (v->kind == SYNC_STRING && sync_view_is(v->s, w->value)) != w->not;
}

enum sync_status sync_entities_check(struct sync_error *err)
{
	return sync_catalogue_check(sync_catalogue(), err);
}

#include "exchange/owner.h"

#include <assert.h>
#include <string.h>

#include "base/internal.h"

/* kinds */

static struct sync_deciding deciding(struct sync_owning *k, const char *name)
{
	int i = name ? sync_field_find(k->e, sync_view_of(name)) : -1;
	size_t at = 0;

	if (i < 0)
		return (struct sync_deciding){ .field = -1 };
	while (at < k->n_read && k->read[at] != (size_t)i)
		at++;
	assert(at < COUNT(k->read));
	if (at == k->n_read)
		k->read[k->n_read++] = (size_t)i;
	return (struct sync_deciding){ i, sync_field_target(&k->e->fields[i]) };
}

/* Conditions of other entities may be on a field of this one. */
static void add_conditions(struct sync_owning *k)
{
	size_t n;
	const struct sync_entity *const *all = sync_entities(&n);

	for (size_t i = 0; i < n; i++) {
		const struct sync_when *w = &all[i]->owner_when;
		int field = w->refers_field ? sync_field_find(all[i], sync_view_of(w->field)) : -1;

		if (field >= 0 && sync_field_target(&all[i]->fields[field]) == k->e)
			(void)deciding(k, w->refers_field);
	}
}

static void fill_kind(struct sync_owning *k, const struct sync_entity *e)
{
	*k = (struct sync_owning){ .e = e, .when_field = -1 };
	k->owner = deciding(k, e->owner == SYNC_OWNER_STORE ? e->owner_field : NULL);
	k->parent = deciding(k, e->parent);
	k->grants = deciding(k, e->creator_grants);
	k->when = deciding(k, e->owner_when.field);
	if (!e->owner_when.refers_field)
		k->when.target = NULL;
	else if (k->when.target)
		k->when_field = sync_field_find(k->when.target, sync_view_of(e->owner_when.refers_field));
	add_conditions(k);
}

static enum sync_status kind_of(struct sync_owners *o, const struct sync_entity *e, const struct sync_owning **ret,
                                struct sync_error *err)
{
	struct sync_owning **at = &o->kinds, *k;

	while (*at && (*at)->e != e)
		at = &(*at)->next;
	k = *at;
	if (k) {
		*at = k->next;
	} else {
		k = sync_arena_get(o->lot->arena, sizeof *k);
		if (!k)
			return sync_fail(err, SYNC_ENOMEM, "who owns records of %s", e->name);
		fill_kind(k, e);
	}
	k->next = o->kinds;
	*ret = o->kinds = k;
	return SYNC_OK;
}

/* facts */

static enum sync_status want(struct sync_owners *o, const struct sync_entity *e, struct sync_view id, struct sync_error *err)
{
	struct sync_view name = sync_view_of(e->name);
	const struct sync_owning *kind;
	uint32_t *at;
	void *facts;

	TRY(sync_set_add(&o->known, name, id, (uint32_t)o->n, &at, err));
	if (*at < o->n)
		return SYNC_OK;
	facts = o->facts;
	TRY(kind_of(o, e, &kind, err));
	TRY(sync_larger(o->lot->arena, &facts, o->n, &o->cap, sizeof *o->facts, err));
	o->facts = facts;
	o->facts[o->n++] = (struct sync_fact){ .kind = kind, .id = id, .item = sync_lot_find(o->lot, name, id) };
	return SYNC_OK;
}

struct sync_fact *sync_fact_of(const struct sync_owners *o, const struct sync_entity *e, struct sync_view id)
{
	uint32_t *at = sync_set_find(&o->known, sync_view_of(e->name), id);

	return at ? &o->facts[*at] : NULL;
}

/* Rows of one entity being read. */
struct reading {
	struct sync_owners *o;
	const struct sync_owning *kind;
};

static enum sync_status take_fact(void *ctx, const struct sync_value *v, size_t n, struct sync_error *err)
{
	const struct reading *reading = ctx;
	const struct sync_owning *k = reading->kind;
	struct sync_arena *arena = reading->o->lot->arena;
	struct sync_fact *fact = sync_fact_of(reading->o, k->e, v[0].s);
	struct sync_value *values;

	(void)n;
	if (!fact)
		return SYNC_OK;
	values = sync_arena_get(arena, k->e->n_fields * sizeof *values);
	if (!values)
		return sync_fail(err, SYNC_ENOMEM, "who owns a record of %s", k->e->name);
	memset(values, 0, k->e->n_fields * sizeof *values);
	for (size_t i = 0; i < k->n_read; i++) {
		struct sync_value *to = &values[k->read[i]];

		*to = v[1 + i];
		if (to->kind == SYNC_STRING)
			TRY(sync_keep_text(arena, &v[1 + i], &to->s, err));
	}
	fact->stored = values;
	if (fact->item)
		fact->item->exists = true;
	return SYNC_OK;
}

static enum sync_status read_entity(struct sync_owners *o, const struct sync_owning *k, const struct sync_view *ids, size_t n,
                                    const char *tail, struct sync_error *err)
{
	struct reading reading = { o, k };
	defer(sync_buf_clear) struct sync_buf head = { .max = 1024 };

	sync_buf_add_text(&head, "SELECT id");
	for (size_t i = 0; i < k->n_read; i++)
		sync_buf_addf(&head, ", \"%s\"", k->e->fields[k->read[i]].name);
	sync_buf_addf(&head, " FROM \"%s\" WHERE id", k->e->name);
	TRY(sync_buf_check(&head, err));
	return sync_run_ids(o->lot->db, head.data, ids, n, tail, SYNC_NOARGS, take_fact, &reading, err);
}

enum sync_status sync_fact_ids(const struct sync_owners *o, size_t from, sync_fact_fn *fn, struct sync_view **ret,
                               size_t *ret_n, struct sync_error *err)
{
	struct sync_view *ids = sync_arena_get(o->lot->arena, (o->n - from) * sizeof *ids);
	const struct sync_owning *kind = o->facts[from].kind;
	size_t n = 0;

	if (!ids)
		return sync_fail(err, SYNC_ENOMEM, "a list of %zu ids", o->n - from);
	for (size_t i = from; i < o->n; i++)
		if (o->facts[i].kind == kind && fn(&o->facts[i]))
			ids[n++] = o->facts[i].id;
	*ret = ids;
	*ret_n = n;
	return SYNC_OK;
}

static bool is_unread(const struct sync_fact *fact)
{
	return !fact->read;
}

static enum sync_status read_facts(struct sync_owners *o, const char *tail, struct sync_error *err)
{
	struct sync_view *ids;
	size_t n;

	for (size_t i = 0; i < o->n; i++) {
		const struct sync_owning *kind = o->facts[i].kind;

		if (o->facts[i].read)
			continue;
		TRY(sync_fact_ids(o, i, is_unread, &ids, &n, err));
		TRY(read_entity(o, kind, ids, n, tail, err));
		for (size_t k = i; k < o->n; k++)
			if (o->facts[k].kind == kind)
				o->facts[k].read = true;
	}
	return SYNC_OK;
}

/* A field as the put would leave it. */
static const struct sync_value *after(const struct sync_fact *fact, int field)
{
	static const struct sync_value nothing = { .kind = SYNC_NULL };
	const struct sync_record *r = fact->item->r;

	if (r->values[field].kind != SYNC_ABSENT)
		return &r->values[field];
	return fact->stored ? &fact->stored[field] : &nothing;
}

/* Whether the lot changes the record, as far as is known; what is refused changes nothing. */
static bool is_put(const struct sync_owners *o, const struct sync_fact *fact)
{
	return fact->item && fact->item->r->action == SYNC_PUT && fact->item->r->values && sync_item_open(o->lot, fact->item);
}

const struct sync_value *sync_fact_field(const struct sync_owners *o, const struct sync_fact *fact, int field, bool now)
{
	if (now && is_put(o, fact))
		return after(fact, field);
	return fact->stored ? &fact->stored[field] : NULL;
}

static enum sync_status want_target(struct sync_owners *o, size_t at, struct sync_deciding d, bool now, struct sync_error *err)
{
	const struct sync_value *v = d.target ? sync_fact_field(o, &o->facts[at], d.field, now) : NULL;

	return v && v->kind == SYNC_STRING ? want(o, d.target, v->s, err) : SYNC_OK;
}

static enum sync_status want_targets(struct sync_owners *o, size_t from, struct sync_error *err)
{
	for (size_t i = from, n = o->n; i < n; i++) {
		const struct sync_owning *k = o->facts[i].kind;

		for (int now = 0; now < 2; now++) {
			TRY(want_target(o, i, k->parent, now, err));
			TRY(want_target(o, i, k->when, now, err));
			TRY(want_target(o, i, k->grants, now, err));
		}
	}
	return SYNC_OK;
}

/* What the lot may change is held, in one order: nobody changes it between judgement and commit. */
static enum sync_status gather(struct sync_owners *o, struct sync_error *err)
{
	enum { DEPTH = 3 }; /* a child, its parent, and what its parent's condition refers to */
	const char *held = sync_say(o->lot->arena, " ORDER BY id%s", sync_db_dialect(o->lot->db)->for_change);
	struct sync_run run = { 0 };
	size_t from = 0;

	while (sync_lot_next(o->lot, &run))
		for (size_t i = 0; run.e && i < run.n; i++)
			if (run.e->owner != SYNC_OWNER_CENTRAL && sync_item_owned(o->lot, run.items[i]))
				TRY(want(o, run.e, run.items[i]->r->id, err));
	TRY(read_facts(o, held, err));
	for (int depth = 0; depth < DEPTH && from < o->n; depth++) {
		size_t end = o->n;

		TRY(want_targets(o, from, err));
		TRY(read_facts(o, "", err));
		from = end;
	}
	return SYNC_OK;
}

struct sync_ownership sync_owner_unknown(const struct sync_fact *fact, struct sync_deciding d, struct sync_view id)
{
	const struct sync_field *field = &fact->kind->e->fields[d.field];

	return (struct sync_ownership){ .whose = SYNC_UNKNOWN, .entity = d.target, .id = id, .field = field };
}

const struct sync_fact *sync_fact_target(const struct sync_owners *o, const struct sync_fact *fact, struct sync_deciding d,
                                         bool now, struct sync_view *ret_id)
{
	const struct sync_value *v = sync_fact_field(o, fact, d.field, now);
	const struct sync_fact *target;

	*ret_id = (struct sync_view){ 0 };
	if (!v || v->kind != SYNC_STRING)
		return NULL;
	*ret_id = v->s;
	target = sync_fact_of(o, d.target, v->s);
	return target && (target->stored || (now && is_put(o, target))) ? target : NULL;
}

/* As sync_when_holds(), but through references too; *ret_missing is set when what it refers to does not exist. */
static bool condition(const struct sync_owners *o, const struct sync_fact *fact, bool now, struct sync_ownership *ret_missing)
{
	const struct sync_owning *k = fact->kind;
	const struct sync_when *w = &k->e->owner_when;
	const struct sync_value *v;
	struct sync_view id;

	if (k->when.target) {
		const struct sync_fact *target = sync_fact_target(o, fact, k->when, now, &id);

		if (!target && id.len) {
			*ret_missing = sync_owner_unknown(fact, k->when, id);
			return false;
		}
		v = target ? sync_fact_field(o, target, k->when_field, now) : NULL;
	} else {
		v = sync_fact_field(o, fact, k->when.field, now);
	}
	if (!w->value)
		return (!v || v->kind == SYNC_NULL || v->kind == SYNC_ABSENT) != w->not;
	return (v && v->kind == SYNC_STRING && sync_view_is(v->s, w->value)) != w->not;
}

struct sync_ownership sync_owner_of(const struct sync_owners *o, const struct sync_fact *fact, bool now)
{
	const struct sync_owning *k = fact->kind;
	struct sync_ownership missing = { .whose = SYNC_CENTRALS };
	const struct sync_value *v;
	const struct sync_fact *parent;
	struct sync_view id;

	if (k->e->owner == SYNC_OWNER_CENTRAL || (k->when.field >= 0 && !condition(o, fact, now, &missing)))
		return missing;
	if (k->e->owner == SYNC_OWNER_ANY)
		return (struct sync_ownership){ .whose = SYNC_ANYBODYS };
	if (k->owner.field < 0 && k->parent.field >= 0) {
		parent = sync_fact_target(o, fact, k->parent, now, &id);
		return parent ? sync_owner_of(o, parent, now) : sync_owner_unknown(fact, k->parent, id);
	}
	v = k->owner.field >= 0 ? sync_fact_field(o, fact, k->owner.field, now) : NULL;
	if (!v || v->kind != SYNC_STRING)
		return (struct sync_ownership){ .whose = SYNC_NOBODYS };
	return (struct sync_ownership){ .whose = SYNC_A_STORES, .store = v->s };
}

/* stores */

static const struct sync_view store_kind = { "store", 5 };

static enum sync_status take_store(void *ctx, const struct sync_value *v, size_t n, struct sync_error *err)
{
	struct sync_owners *o = ctx;
	uint32_t *at = sync_set_find(&o->stores, store_kind, v[0].s);

	(void)n, (void)err;
	if (at)
		o->sites[*at] = v[1].i;
	return SYNC_OK;
}

static enum sync_status add_store(struct sync_owners *o, const struct sync_ownership *owner, struct sync_view *ids,
                                  struct sync_error *err)
{
	uint32_t n = (uint32_t)o->stores.n, *at;

	if (owner->whose != SYNC_A_STORES)
		return SYNC_OK;
	TRY(sync_set_add(&o->stores, store_kind, owner->store, n, &at, err));
	if (*at == n)
		ids[n] = owner->store;
	return SYNC_OK;
}

/* Where the stores that own anything here are active. */
static enum sync_status find_stores(struct sync_owners *o, struct sync_error *err)
{
	struct sync_view *ids = sync_arena_get(o->lot->arena, (2 * o->n + 1) * sizeof *ids);

	if (!ids)
		return sync_fail(err, SYNC_ENOMEM, "the stores of %zu records", o->n);
	for (size_t i = 0; i < o->n; i++) {
		const struct sync_fact *fact = &o->facts[i];
		struct sync_ownership before = sync_owner_of(o, fact, false), now = sync_owner_of(o, fact, true);

		TRY(add_store(o, &before, ids, err));
		TRY(add_store(o, &now, ids, err));
	}
	o->sites = sync_arena_get(o->lot->arena, (o->stores.n + 1) * sizeof *o->sites);
	if (!o->sites)
		return sync_fail(err, SYNC_ENOMEM, "the sites of %zu stores", o->stores.n);
	memset(o->sites, 0, (o->stores.n + 1) * sizeof *o->sites);
	return sync_run_ids(o->lot->db, "SELECT store_id, site_id FROM sync_store WHERE store_id", ids, o->stores.n, "",
	                    SYNC_NOARGS, take_store, o, err);
}

int64_t sync_owner_site(const struct sync_owners *o, struct sync_view store)
{
	const uint32_t *at = sync_set_find(&o->stores, store_kind, store);

	return at ? o->sites[*at] : 0;
}

enum sync_status sync_owners_open(struct sync_owners *ret, struct sync_lot *lot, struct sync_error *err)
{
	*ret = (struct sync_owners){ .lot = lot };
	ret->known.arena = ret->stores.arena = lot->arena;
	TRY(gather(ret, err));
	return find_stores(ret, err);
}

#include <assert.h>
#include <string.h>

#include <libsync/records.h>

#include "base/internal.h"
#include "exchange/lot.h"
#include "exchange/route.h"

/*
 * What a site may do at central (design.md section 7, "Who may do what").
 *
 * The sender must own what is stored and what it makes of it, each through the parent that it has. An owner is found by a few
 * fields of a record, of its parent, and of what its owner_when refers to; all of these are "facts", read in a handful of
 * statements for the whole lot. Whatever else a decision needs of the database is a "question", asked for the lot as well.
 *
 * A record of a store that names none belongs to nobody: a site may create it, and may change it as long as it names none and
 * came from no other site.
 */

/* A field that decides, and what it refers to. */
struct deciding {
	int field;                       /* -1: the entity has none */
	const struct sync_entity *target; /* NULL: it refers to nothing */
};

/* How the owner of an entity's records is found. */
struct kind {
	const struct sync_entity *e;
	struct deciding owner, parent, grants;
	struct deciding when; /* target only when the condition is on a field of that */
	int when_field;       /* that field */
	size_t read[8];       /* all fields to be read, each once: also those that conditions of other entities are on */
	size_t n_read;
	struct kind *next;
};

/* What decides about one record, in the lot or not. */
struct fact {
	const struct kind *kind;
	struct sync_view id;
	const struct sync_value *stored; /* only the fields that decide are set; NULL: there is no such record */
	struct sync_item *item;          /* of the lot, or NULL */
	bool read;
	bool asked; /* whether the site sees it; the answer is: */
	bool seen;
	bool found; /* what another question looked for is there: a grant, another site */
};

enum question {
	SEES,       /* the record is visible at the site */
	MAY_SHOW,   /* the site may make it visible to its stores: it sees or created it, or has a grant */
	ITS_OWN,    /* a record without a store came from no other site */
};

struct asked {
	enum question question;
	struct sync_item *item;
	uint32_t fact;
};

struct rights {
	struct sync_lot *lot;
	struct kind *kinds;     /* the last used first */
	struct sync_set known;  /* (entity, id): fact */
	struct fact *facts;
	size_t n, cap;
	struct sync_set stores; /* ("store", id): index into sites */
	int64_t *sites;
	struct asked *asked;
	size_t n_asked, cap_asked;
};

/* kinds */

static struct deciding deciding(struct kind *k, const char *name)
{
	int i = name ? sync_field_find(k->e, sync_view_of(name)) : -1;
	size_t at = 0;

	if (i < 0)
		return (struct deciding){ .field = -1 };
	while (at < k->n_read && k->read[at] != (size_t)i)
		at++;
	assert(at < COUNT(k->read));
	if (at == k->n_read)
		k->read[k->n_read++] = (size_t)i;
	return (struct deciding){ i, sync_field_target(&k->e->fields[i]) };
}

/* Conditions of other entities may be on a field of this one. */
static void add_conditions(struct kind *k)
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

static void fill_kind(struct kind *k, const struct sync_entity *e)
{
	*k = (struct kind){ .e = e, .when_field = -1 };
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

static enum sync_status kind_of(struct rights *rights, const struct sync_entity *e, const struct kind **ret, struct sync_error *err)
{
	struct kind **at = &rights->kinds, *k;

	while (*at && (*at)->e != e)
		at = &(*at)->next;
	k = *at;
	if (k) {
		*at = k->next;
	} else {
		k = sync_arena_get(rights->lot->arena, sizeof *k);
		if (!k)
			return sync_fail(err, SYNC_ENOMEM, "who owns records of %s", e->name);
		fill_kind(k, e);
	}
	k->next = rights->kinds;
	*ret = rights->kinds = k;
	return SYNC_OK;
}

/* facts */

static enum sync_status larger(struct sync_arena *arena, void **array, size_t n, size_t *cap, size_t size, struct sync_error *err)
{
	size_t more = *cap ? *cap * 2 : 256;
	void *to;

	if (n < *cap)
		return SYNC_OK;
	to = sync_arena_get(arena, more * size);
	if (!to)
		return sync_fail(err, SYNC_ENOMEM, "the rights on %zu records", n);
	if (n)
		memcpy(to, *array, n * size);
	*array = to;
	*cap = more;
	return SYNC_OK;
}

static enum sync_status want(struct rights *rights, const struct sync_entity *e, struct sync_view id, struct sync_error *err)
{
	struct sync_view name = sync_view_of(e->name);
	const struct kind *kind;
	uint32_t *at;
	void *facts;

	TRY(sync_set_add(&rights->known, name, id, (uint32_t)rights->n, &at, err));
	if (*at < rights->n)
		return SYNC_OK;
	facts = rights->facts;
	TRY(kind_of(rights, e, &kind, err));
	TRY(larger(rights->lot->arena, &facts, rights->n, &rights->cap, sizeof *rights->facts, err));
	rights->facts = facts;
	rights->facts[rights->n++] = (struct fact){ .kind = kind, .id = id, .item = sync_lot_find(rights->lot, name, id) };
	return SYNC_OK;
}

static struct fact *fact_of(const struct rights *rights, const struct sync_entity *e, struct sync_view id)
{
	uint32_t *at = sync_set_find(&rights->known, sync_view_of(e->name), id);

	return at ? &rights->facts[*at] : NULL;
}

/* Rows of one entity being read. */
struct reading {
	struct rights *rights;
	const struct kind *kind;
};

static enum sync_status take_fact(void *ctx, const struct sync_value *v, size_t n, struct sync_error *err)
{
	const struct reading *reading = ctx;
	const struct kind *k = reading->kind;
	struct sync_arena *arena = reading->rights->lot->arena;
	struct fact *fact = fact_of(reading->rights, k->e, v[0].s);
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

static enum sync_status read_entity(struct rights *rights, const struct kind *k, const struct sync_view *ids, size_t n,
                                    struct sync_error *err)
{
	struct reading reading = { rights, k };
	defer(sync_buf_clear) struct sync_buf head = { .max = 1024 };

	sync_buf_add_text(&head, "SELECT id");
	for (size_t i = 0; i < k->n_read; i++)
		sync_buf_addf(&head, ", \"%s\"", k->e->fields[k->read[i]].name);
	sync_buf_addf(&head, " FROM \"%s\" WHERE id IN", k->e->name);
	TRY(sync_buf_check(&head, err));
	return sync_run_ids(rights->lot->db, head.data, ids, n, "", SYNC_NOARGS, take_fact, &reading, err);
}

/* Ids of the facts of from's entity, from there on, for which fn says so; in the arena. */
typedef bool fact_fn(const struct fact *fact);
static enum sync_status facts_like(const struct rights *rights, size_t from, fact_fn *fn, struct sync_view **ret, size_t *ret_n,
                                   struct sync_error *err)
{
	struct sync_view *ids = sync_arena_get(rights->lot->arena, (rights->n - from) * sizeof *ids);
	const struct kind *kind = rights->facts[from].kind;
	size_t n = 0;

	if (!ids)
		return sync_fail(err, SYNC_ENOMEM, "a list of %zu ids", rights->n - from);
	for (size_t i = from; i < rights->n; i++)
		if (rights->facts[i].kind == kind && fn(&rights->facts[i]))
			ids[n++] = rights->facts[i].id;
	*ret = ids;
	*ret_n = n;
	return SYNC_OK;
}

static bool is_unread(const struct fact *fact)
{
	return !fact->read;
}

static enum sync_status read_facts(struct rights *rights, struct sync_error *err)
{
	struct sync_view *ids;
	size_t n;

	for (size_t i = 0; i < rights->n; i++) {
		const struct kind *kind = rights->facts[i].kind;

		if (rights->facts[i].read)
			continue;
		TRY(facts_like(rights, i, is_unread, &ids, &n, err));
		TRY(read_entity(rights, kind, ids, n, err));
		for (size_t k = i; k < rights->n; k++)
			if (rights->facts[k].kind == kind)
				rights->facts[k].read = true;
	}
	return SYNC_OK;
}

/* A field as the put would leave it. */
static const struct sync_value *after(const struct fact *fact, int field)
{
	static const struct sync_value nothing = { .kind = SYNC_NULL };
	const struct sync_record *r = fact->item->r;

	if (r->values[field].kind != SYNC_ABSENT)
		return &r->values[field];
	return fact->stored ? &fact->stored[field] : &nothing;
}

/* Whether the lot changes the record, as far as is known; what is refused changes nothing. */
static bool is_put(const struct rights *rights, const struct fact *fact)
{
	return fact->item && fact->item->r->action == SYNC_PUT && fact->item->r->values && sync_item_open(rights->lot, fact->item);
}

/* A field as it is, or as the lot would leave it; NULL: there is no such record. */
static const struct sync_value *field_of(const struct rights *rights, const struct fact *fact, int field, bool now)
{
	if (now && is_put(rights, fact))
		return after(fact, field);
	return fact->stored ? &fact->stored[field] : NULL;
}

static enum sync_status want_target(struct rights *rights, size_t at, struct deciding d, bool now, struct sync_error *err)
{
	const struct sync_value *v = d.target ? field_of(rights, &rights->facts[at], d.field, now) : NULL;

	return v && v->kind == SYNC_STRING ? want(rights, d.target, v->s, err) : SYNC_OK;
}

static enum sync_status want_targets(struct rights *rights, size_t from, struct sync_error *err)
{
	for (size_t i = from, n = rights->n; i < n; i++) {
		const struct kind *k = rights->facts[i].kind;

		for (int now = 0; now < 2; now++) {
			TRY(want_target(rights, i, k->parent, now, err));
			TRY(want_target(rights, i, k->when, now, err));
			TRY(want_target(rights, i, k->grants, now, err));
		}
	}
	return SYNC_OK;
}

static enum sync_status gather(struct rights *rights, struct sync_error *err)
{
	enum { DEPTH = 3 }; /* a child, its parent, and what its parent's condition refers to */
	struct sync_run run = { 0 };
	size_t from = 0;

	while (sync_lot_next(rights->lot, &run))
		for (size_t i = 0; run.e && i < run.n; i++)
			if (run.e->owner != SYNC_OWNER_CENTRAL && sync_item_open(rights->lot, run.items[i]))
				TRY(want(rights, run.e, run.items[i]->r->id, err));
	TRY(read_facts(rights, err));
	for (int depth = 0; depth < DEPTH && from < rights->n; depth++) {
		size_t end = rights->n;

		TRY(want_targets(rights, from, err));
		TRY(read_facts(rights, err));
		from = end;
	}
	return SYNC_OK;
}

/* owners */

enum whose { CENTRALS, A_STORES, NOBODYS, ANYBODYS, UNKNOWN };

struct owner {
	enum whose whose;
	struct sync_view store;            /* A_STORES */
	const struct sync_entity *entity;  /* UNKNOWN: what would tell, but does not exist */
	struct sync_view id;
	const struct sync_field *field;
};

static struct owner unknown(const struct fact *fact, struct deciding d, struct sync_view id)
{
	return (struct owner){ .whose = UNKNOWN, .entity = d.target, .id = id, .field = &fact->kind->e->fields[d.field] };
}

/* The record that a field names, or NULL when there is none; *ret_id: its id, also then. */
static const struct fact *target_of(const struct rights *rights, const struct fact *fact, struct deciding d, bool now,
                                    struct sync_view *ret_id)
{
	const struct sync_value *v = field_of(rights, fact, d.field, now);
	const struct fact *target;

	*ret_id = (struct sync_view){ 0 };
	if (!v || v->kind != SYNC_STRING)
		return NULL;
	*ret_id = v->s;
	target = fact_of(rights, d.target, v->s);
	return target && (target->stored || (now && is_put(rights, target))) ? target : NULL;
}

/* As sync_when_holds(), but through references too; *ret_missing is set when what it refers to does not exist. */
static bool condition(const struct rights *rights, const struct fact *fact, bool now, struct owner *ret_missing)
{
	const struct kind *k = fact->kind;
	const struct sync_when *w = &k->e->owner_when;
	const struct sync_value *v;
	struct sync_view id;

	if (k->when.target) {
		const struct fact *target = target_of(rights, fact, k->when, now, &id);

		if (!target && id.len) {
			*ret_missing = unknown(fact, k->when, id);
			return false;
		}
		v = target ? field_of(rights, target, k->when_field, now) : NULL;
	} else {
		v = field_of(rights, fact, k->when.field, now);
	}
	if (!w->value)
		return (!v || v->kind == SYNC_NULL || v->kind == SYNC_ABSENT) != w->not;
	return (v && v->kind == SYNC_STRING && sync_view_is(v->s, w->value)) != w->not;
}

/* Whose a record is, as stored or as the lot would leave it. */
static struct owner owner_of(const struct rights *rights, const struct fact *fact, bool now)
{
	const struct kind *k = fact->kind;
	struct owner missing = { .whose = CENTRALS };
	const struct sync_value *v;
	const struct fact *parent;
	struct sync_view id;

	if (k->e->owner == SYNC_OWNER_CENTRAL || (k->when.field >= 0 && !condition(rights, fact, now, &missing)))
		return missing;
	if (k->e->owner == SYNC_OWNER_ANY)
		return (struct owner){ .whose = ANYBODYS };
	if (k->owner.field < 0 && k->parent.field >= 0) {
		parent = target_of(rights, fact, k->parent, now, &id);
		return parent ? owner_of(rights, parent, now) : unknown(fact, k->parent, id);
	}
	v = k->owner.field >= 0 ? field_of(rights, fact, k->owner.field, now) : NULL;
	if (!v || v->kind != SYNC_STRING)
		return (struct owner){ .whose = NOBODYS };
	return (struct owner){ .whose = A_STORES, .store = v->s };
}

/* stores */

static const struct sync_view store_kind = { "store", 5 };

static enum sync_status take_store(void *ctx, const struct sync_value *v, size_t n, struct sync_error *err)
{
	struct rights *rights = ctx;
	uint32_t *at = sync_set_find(&rights->stores, store_kind, v[0].s);

	(void)n, (void)err;
	if (at)
		rights->sites[*at] = v[1].i;
	return SYNC_OK;
}

static enum sync_status add_store(struct rights *rights, const struct owner *owner, struct sync_view *ids, struct sync_error *err)
{
	uint32_t n = (uint32_t)rights->stores.n, *at;

	if (owner->whose != A_STORES)
		return SYNC_OK;
	TRY(sync_set_add(&rights->stores, store_kind, owner->store, n, &at, err));
	if (*at == n)
		ids[n] = owner->store;
	return SYNC_OK;
}

/* Where the stores that own anything here are active. */
static enum sync_status find_stores(struct rights *rights, struct sync_error *err)
{
	struct sync_view *ids = sync_arena_get(rights->lot->arena, (2 * rights->n + 1) * sizeof *ids);

	if (!ids)
		return sync_fail(err, SYNC_ENOMEM, "the stores of %zu records", rights->n);
	for (size_t i = 0; i < rights->n; i++) {
		const struct fact *fact = &rights->facts[i];
		struct owner before = owner_of(rights, fact, false), now = owner_of(rights, fact, true);

		TRY(add_store(rights, &before, ids, err));
		TRY(add_store(rights, &now, ids, err));
	}
	rights->sites = sync_arena_get(rights->lot->arena, (rights->stores.n + 1) * sizeof *rights->sites);
	if (!rights->sites)
		return sync_fail(err, SYNC_ENOMEM, "the sites of %zu stores", rights->stores.n);
	memset(rights->sites, 0, (rights->stores.n + 1) * sizeof *rights->sites);
	return sync_run_ids(rights->lot->db, "SELECT store_id, site_id FROM sync_store WHERE store_id IN", ids, rights->stores.n, "",
	                    SYNC_NOARGS, take_store, rights, err);
}

static int64_t site_of(const struct rights *rights, struct sync_view store)
{
	const uint32_t *at = sync_set_find(&rights->stores, store_kind, store);

	return at ? rights->sites[*at] : 0;
}

/* decisions */

static void refuse(const struct rights *rights, struct sync_item *item, const char *code, const char *field, const char *text)
{
	sync_item_fail(rights->lot, item, SYNC_REFUSED, (struct sync_reason){ .code = code, .field = field, .text = text });
}

static void wait_for(const struct rights *rights, struct sync_item *item, const struct owner *owner)
{
	struct sync_arena *arena = rights->lot->arena;

	sync_item_fail(rights->lot, item, SYNC_WAITS,
	               (struct sync_reason){ "missing_reference", owner->field->name, sync_view_of(owner->entity->name), owner->id,
	                                     sync_say(arena, "%s names %s '%.*s', which has not arrived", owner->field->name,
	                                              owner->entity->name, SYNC_VIEW(owner->id)) });
}

static enum sync_status ask(struct rights *rights, enum question question, struct sync_item *item, const struct fact *about,
                            struct sync_error *err)
{
	void *asked = rights->asked;

	TRY(larger(rights->lot->arena, &asked, rights->n_asked, &rights->cap_asked, sizeof *rights->asked, err));
	rights->asked = asked;
	rights->asked[rights->n_asked++] = (struct asked){ question, item, (uint32_t)(about - rights->facts) };
	return SYNC_OK;
}

/* One version of a record; which is said in the text. */
static enum sync_status decide(struct rights *rights, struct sync_item *item, const struct fact *fact, bool now, struct sync_error *err)
{
	const struct sync_intake *in = rights->lot->in;
	const struct owner owner = owner_of(rights, fact, now);
	const char *which = now ? "" : "as central has it, ";
	struct sync_arena *arena = rights->lot->arena;
	const struct sync_entity *e = fact->kind->e;

	switch (owner.whose) {
	case CENTRALS:
		refuse(rights, item, "not_owner", e->owner_when.field, sync_say(arena, "%sthis %s is edited at central only", which, e->name));
		break;
	case A_STORES:
		if (site_of(rights, owner.store) != in->source)
			refuse(rights, item, "not_owner", e->owner_field,
			       sync_say(arena, "%sthis %s belongs to store '%.*s', which is not active at this site", which, e->name,
			                SYNC_VIEW(owner.store)));
		break;
	case NOBODYS:
		if (now && fact->stored && owner_of(rights, fact, false).whose != NOBODYS)
			refuse(rights, item, "not_owner", e->owner_field, sync_say(arena, "this %s cannot leave its store", e->name));
		else if (!now)
			return ask(rights, ITS_OWN, item, fact, err);
		break;
	case ANYBODYS:
		if (!now)
			return ask(rights, SEES, item, fact, err);
		break;
	case UNKNOWN:
		wait_for(rights, item, &owner);
		break;
	}
	return SYNC_OK;
}

/* A child of a record that any site edits is a part of it. */
static enum sync_status decide_parent(struct rights *rights, struct sync_item *item, const struct fact *fact, struct sync_error *err)
{
	const struct kind *k = fact->kind;
	const struct fact *parent;
	struct sync_view id;

	if (k->e->owner != SYNC_OWNER_ANY || k->parent.field < 0)
		return SYNC_OK;
	parent = target_of(rights, fact, k->parent, true, &id);
	return parent && parent->stored ? ask(rights, SEES, item, parent, err) : SYNC_OK;
}

/* A join that makes something visible, unless it does so already. */
static enum sync_status decide_grant(struct rights *rights, struct sync_item *item, const struct fact *fact, struct sync_error *err)
{
	const struct deciding grants = fact->kind->grants;
	const struct sync_value *before;
	const struct fact *target;
	struct sync_view id;

	if (grants.field < 0)
		return SYNC_OK;
	before = field_of(rights, fact, grants.field, false);
	target = target_of(rights, fact, grants, true, &id);
	if (before && before->kind == SYNC_STRING && sync_view_eq(before->s, id))
		return SYNC_OK;
	if (target && target->stored)
		return ask(rights, MAY_SHOW, item, target, err);
	if (!target && id.len) {
		const struct owner missing = unknown(fact, grants, id);

		wait_for(rights, item, &missing);
	}
	return SYNC_OK;
}

static enum sync_status decide_put(struct rights *rights, struct sync_item *item, const struct fact *fact, struct sync_error *err)
{
	TRY(decide(rights, item, fact, true, err));
	TRY(decide_parent(rights, item, fact, err));
	if (!fact->stored && item->current) /* deleted meanwhile: only who had it may bring it back */
		TRY(ask(rights, SEES, item, fact, err));
	return decide_grant(rights, item, fact, err);
}

static enum sync_status decide_item(struct rights *rights, struct sync_item *item, struct sync_error *err)
{
	const struct sync_entity *e = item->r->entity;
	const struct fact *fact;

	if (item->r->action == SYNC_DROP) {
		refuse(rights, item, "drop", NULL, "a site deletes a record or keeps it; what is dropped, central decides");
		return SYNC_OK;
	}
	if (!e)
		return SYNC_OK;
	if (e->owner == SYNC_OWNER_CENTRAL) {
		refuse(rights, item, "not_owner", NULL, sync_say(rights->lot->arena, "%s is edited at central only", e->name));
		return SYNC_OK;
	}
	fact = fact_of(rights, e, item->r->id);
	if (fact->stored)
		TRY(decide(rights, item, fact, false, err));
	return item->r->action == SYNC_PUT ? decide_put(rights, item, fact, err) : SYNC_OK;
}

/* questions */

static bool is_asked(const struct fact *fact)
{
	return fact->asked && !fact->seen;
}

static bool is_asked_and_stored(const struct fact *fact)
{
	return is_asked(fact) && fact->stored;
}

static bool is_asked_and_gone(const struct fact *fact)
{
	return is_asked(fact) && !fact->stored;
}

static enum sync_status take_seen(void *ctx, const struct sync_value *v, size_t n, struct sync_error *err)
{
	const struct reading *reading = ctx;
	struct fact *fact = fact_of(reading->rights, reading->kind->e, v[0].s);

	(void)n, (void)err;
	if (fact)
		fact->seen = true;
	return SYNC_OK;
}

static enum sync_status see_due(struct rights *rights, const struct sync_entity *e, const struct sync_view *ids, size_t n,
                                struct sync_error *err)
{
	struct sync_arena *arena = rights->lot->arena;
	struct sync_record *r = sync_arena_get(arena, n * sizeof *r);
	bool *due = sync_arena_get(arena, n * sizeof *due);

	if (!n)
		return SYNC_OK;
	if (!r || !due)
		return sync_fail(err, SYNC_ENOMEM, "where %zu records of %s go", n, e->name);
	TRY(sync_records_get(rights->lot->db, e, (struct sync_view){ 0 }, ids, n, arena, r, err));
	TRY(sync_route_due(rights->lot->db, rights->lot->in->source, r, n, arena, due, err));
	for (size_t i = 0; i < n; i++)
		if (due[i])
			fact_of(rights, e, ids[i])->seen = true;
	return SYNC_OK;
}

/* Visible is what the site created, what routing gives it now and, of deleted records, what routing once gave it. */
static enum sync_status see(struct rights *rights, size_t from, struct sync_error *err)
{
	const struct sync_value source = sync_int(rights->lot->in->source);
	struct reading reading = { rights, rights->facts[from].kind };
	const struct sync_value name = sync_text(reading.kind->e->name);
	struct sync_view *ids;
	size_t n;

	TRY(facts_like(rights, from, is_asked, &ids, &n, err));
	TRY(sync_run_ids(rights->lot->db, "SELECT record_id FROM sync_version WHERE record_id IN", ids, n,
	                 " AND entity = $2 AND creator = $3", SYNC_ARGS(name, source), take_seen, &reading, err));
	TRY(facts_like(rights, from, is_asked_and_gone, &ids, &n, err));
	TRY(sync_run_ids(rights->lot->db, "SELECT record_id FROM sync_outbox WHERE record_id IN", ids, n,
	                 " AND entity = $2 AND site_id IN (0, $3)", SYNC_ARGS(name, source), take_seen, &reading, err));
	TRY(facts_like(rights, from, is_asked_and_stored, &ids, &n, err));
	return see_due(rights, reading.kind->e, ids, n, err);
}

static enum sync_status see_all(struct rights *rights, struct sync_error *err)
{
	for (size_t i = 0; i < rights->n_asked; i++)
		if (rights->asked[i].question != ITS_OWN)
			rights->facts[rights->asked[i].fact].asked = true;
	for (size_t i = 0; i < rights->n; i++) {
		const struct kind *kind = rights->facts[i].kind;

		if (!rights->facts[i].asked)
			continue;
		TRY(see(rights, i, err));
		for (size_t k = i; k < rights->n; k++)
			if (rights->facts[k].kind == kind)
				rights->facts[k].asked = false;
	}
	return SYNC_OK;
}

static bool same_kind(const struct rights *rights, const struct asked *a, const struct asked *b)
{
	return a->question == b->question && rights->facts[a->fact].kind == rights->facts[b->fact].kind;
}

/* Ids of what all questions like this one are about. */
static enum sync_status asked_ids(const struct rights *rights, const struct asked *like, struct sync_view **ret, size_t *ret_n,
                                  struct sync_error *err)
{
	struct sync_view *ids = sync_arena_get(rights->lot->arena, rights->n_asked * sizeof *ids);
	size_t n = 0;

	if (!ids)
		return sync_fail(err, SYNC_ENOMEM, "a list of %zu ids", rights->n_asked);
	for (size_t i = 0; i < rights->n_asked; i++)
		if (same_kind(rights, &rights->asked[i], like))
			ids[n++] = rights->facts[rights->asked[i].fact].id;
	*ret = ids;
	*ret_n = n;
	return SYNC_OK;
}

static enum sync_status take_found(void *ctx, const struct sync_value *v, size_t n, struct sync_error *err)
{
	const struct reading *reading = ctx;
	struct fact *fact = fact_of(reading->rights, reading->kind->e, v[0].s);

	(void)n, (void)err;
	if (fact)
		fact->found = true;
	return SYNC_OK;
}

/* A grant for what it may show; for what it may change, that it came from another site. */
static enum sync_status look_up(struct rights *rights, const struct asked *like, struct sync_error *err)
{
	struct reading reading = { rights, rights->facts[like->fact].kind };
	const struct sync_value name = sync_text(reading.kind->e->name), source = sync_int(rights->lot->in->source);
	struct sync_view *ids;
	size_t n;

	TRY(asked_ids(rights, like, &ids, &n, err));
	if (like->question == MAY_SHOW)
		return sync_run_ids(rights->lot->db, "SELECT record_id FROM sync_grant WHERE record_id IN", ids, n,
		                    " AND entity = $2 AND site_id = $3", SYNC_ARGS(name, source), take_found, &reading, err);
	return sync_run_ids(rights->lot->db, "SELECT record_id FROM sync_outbox WHERE record_id IN", ids, n,
	                    " AND entity = $2 AND site_id IN (0, $3) AND source <> $4", SYNC_ARGS(name, source, source), take_found,
	                    &reading, err);
}

static enum sync_status look_up_all(struct rights *rights, struct sync_error *err)
{
	for (size_t i = 0; i < rights->n_asked; i++) {
		bool first = rights->asked[i].question != SEES;

		for (size_t k = 0; k < i && first; k++)
			first = !same_kind(rights, &rights->asked[k], &rights->asked[i]);
		if (first)
			TRY(look_up(rights, &rights->asked[i], err));
	}
	return SYNC_OK;
}

static void answer(struct rights *rights, const struct asked *asked)
{
	const struct fact *fact = &rights->facts[asked->fact];
	struct sync_item *item = asked->item;
	struct sync_arena *arena = rights->lot->arena;
	const struct sync_entity *e = fact->kind->e;
	const char *name = e->name;

	switch (asked->question) {
	case SEES:
		if (!fact->seen)
			refuse(rights, item, "not_visible", NULL,
			       sync_say(arena, "%s '%.*s' is not visible at this site", name, SYNC_VIEW(fact->id)));
		break;
	case MAY_SHOW:
		if (!fact->seen && !fact->found)
			refuse(rights, item, "needs_grant", item->r->entity->creator_grants,
			       sync_say(arena, "%s '%.*s' was made elsewhere: central has to grant that this site sees it", name,
			                SYNC_VIEW(fact->id)));
		break;
	case ITS_OWN:
		if (fact->found)
			refuse(rights, item, "not_owner", e->owner_field,
			       sync_say(arena, "this %s belongs to no store and comes from another site", name));
		break;
	}
}

enum sync_status sync_check_rights(struct sync_lot *lot, struct sync_error *err)
{
	struct rights rights = { .lot = lot };
	struct sync_run run = { 0 };

	rights.known.arena = rights.stores.arena = lot->arena;
	TRY(gather(&rights, err));
	TRY(find_stores(&rights, err));
	while (sync_lot_next(lot, &run))
		for (size_t i = 0; i < run.n; i++)
			if (sync_item_open(lot, run.items[i]))
				TRY(decide_item(&rights, run.items[i], err));
	if (!rights.n_asked)
		return SYNC_OK;
	TRY(see_all(&rights, err));
	TRY(look_up_all(&rights, err));
	for (size_t i = 0; i < rights.n_asked; i++)
		answer(&rights, &rights.asked[i]);
	return SYNC_OK;
}

#include "exchange/router.h"

#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "base/internal.h"
#include "db/keys.h"
#include "exchange/option.h"
#include "exchange/lot.h"
#include "exchange/trail.h"

enum { MAX_SQL = 8192 };
static const int64_t all_sites = -1;

enum sync_status sync_arena_keep(struct sync_arena *a, struct sync_view v, struct sync_view *ret, struct sync_error *err)
{
	struct sync_view kept = sync_arena_copy(a, v);

	if (!kept.data && v.data)
		return sync_fail(err, SYNC_ENOMEM, "a text of %zu bytes", v.len);
	*ret = kept;
	return SYNC_OK;
}

/* sets of sites */

/* There is room for the next power of two of n. */
enum sync_status sync_sites_add(struct sync_arena *a, struct sync_sites *s, int64_t site, struct sync_error *err)
{
	if ((s->n & (s->n - 1)) == 0) {
		int64_t *more;

		TRY(sync_arena_zeros(a, s->n ? 2 * s->n : 1, sizeof *more, &more, err));
		if (s->n)
			memcpy(more, s->site, s->n * sizeof *more);
		s->site = more;
	}
	s->site[s->n++] = site;
	return SYNC_OK;
}

static int by_number(const void *a, const void *b)
{
	int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;

	return (x > y) - (x < y);
}

void sync_sites_sort(struct sync_sites *s)
{
	size_t n = 0;

	if (s->n < 2)
		return;
	qsort(s->site, s->n, sizeof s->site[0], by_number);
	for (size_t i = 0; i < s->n; i++)
		if (!n || s->site[n - 1] != s->site[i])
			s->site[n++] = s->site[i];
	s->n = n;
}

bool sync_sites_have(const struct sync_sites *s, int64_t site)
{
	return s->n && bsearch(&site, s->site, s->n, sizeof site, by_number);
}

/* routing values */

const struct sync_routing *sync_route_fields(const struct sync_entity *e)
{
	return &sync_catalogue()->routing[sync_entity_order(e)];
}

int sync_route_slot(const struct sync_entity *e, const char *field)
{
	const struct sync_routing *routing = sync_route_fields(e);

	for (size_t i = 0; i < routing->n; i++)
		if (!strcmp(e->fields[routing->field[i]].name, field))
			return (int)i;
	return -1;
}

bool sync_route_holds(const struct sync_when *w, const struct sync_entity *e, const struct sync_value *values)
{
	const struct sync_routing *routing = sync_route_fields(e);
	struct sync_value all[SYNC_MAX_FIELDS] = { 0 };

	if (!values)
		return false;
	for (size_t i = 0; i < routing->n; i++)
		all[routing->field[i]] = values[i];
	return sync_when_holds(w, e, all);
}

struct fetch {
	struct sync_arena *arena;
	const struct sync_value **ret;
};

static enum sync_status take_values(void *ctx, const struct sync_value *v, size_t n, struct sync_error *err)
{
	struct fetch *f = ctx;
	struct sync_value *values;

	TRY(sync_arena_zeros(f->arena, n - 1, sizeof *values, &values, err));
	for (size_t i = 1; i < n; i++) {
		values[i - 1] = v[i];
		if (v[i].kind == SYNC_STRING)
			TRY(sync_arena_keep(f->arena, v[i].s, &values[i - 1].s, err));
	}
	f->ret[v[0].i] = values;
	return SYNC_OK;
}

enum sync_status sync_route_values(struct sync_db *db, const struct sync_entity *e, const struct sync_view *ids, size_t n,
				   struct sync_arena *arena, const struct sync_value **ret, struct sync_error *err)
{
	defer(sync_buf_clear) struct sync_buf sql = { .max = MAX_SQL };
	const struct sync_routing *routing = sync_route_fields(e);
	struct fetch fetch = { arena, ret };

	memset(ret, 0, n * sizeof *ret);
	sync_buf_add_text(&sql, "SELECT k.key");
	for (size_t i = 0; i < routing->n; i++)
		sync_buf_addf(&sql, ", CAST(t.\"%s\" AS text)", e->fields[routing->field[i]].name);
	sync_buf_addf(&sql, " FROM %s", sync_keys_sql(db));
	sync_keys_look(&sql, db, e->name, "t", "t.id = k.value");
	return sync_keys_run(db, &sql, ids, n, NULL, 0, take_values, &fetch, err);
}

/* following routes */

/* Records of one entity whose routes are being followed. */
struct batch {
	struct sync_db *db;
	struct sync_arena *arena;
	const struct sync_entity *e;
	const struct sync_value *const *values; /* routing values of each; NULL: it goes nowhere */
	size_t n;
	int64_t only;    /* the site that is asked about, or all_sites */
	bool *everybody; /* goes to every site: nothing more to ask */
	struct sync_sites *ret;
	struct sync_trail *trail; /* of a batch of one: what was looked at; NULL: nobody asks why */
};

/* The route that is followed now. */
static struct sync_followed *last_step(const struct batch *b)
{
	return &b->trail->step[b->trail->n - 1];
}

static enum sync_status begin_step(const struct batch *b, const struct sync_route *r, const bool *wanted, struct sync_error *err)
{
	struct sync_trail *t = b->trail;

	if (!t)
		return SYNC_OK;
	TRY(sync_larger(b->arena, (void **)&t->step, t->n, &t->cap, sizeof *t->step, err));
	t->step[t->n++] = (struct sync_followed){ .e = b->e, .route = r, .depth = t->depth, .applies = wanted[0] };
	return SYNC_OK;
}

static enum sync_status add_hit(const struct batch *b, const struct sync_value *v, struct sync_error *err)
{
	struct sync_followed *step = last_step(b);
	struct sync_hit *hit;

	TRY(sync_larger(b->arena, (void **)&step->hit, step->n, &step->cap, sizeof *hit, err));
	hit = &step->hit[step->n];
	*hit = (struct sync_hit){ .site = v[1].i };
	TRY(sync_arena_keep(b->arena, v[2].s, &hit->store, err));
	if (v[3].kind == SYNC_STRING)
		TRY(sync_arena_keep(b->arena, v[3].s, &hit->join, err));
	step->n++;
	return SYNC_OK;
}

/* Values of a field among the records, each once, and which of them each record has. */
struct keys {
	struct sync_set set;
	struct sync_view *value;
	size_t n;
	uint32_t *of; /* NO_KEY: none */
};
enum { NO_KEY = UINT32_MAX };

static enum sync_status find_keys(const struct batch *b, const char *field, const bool *wanted, struct keys *ret,
				  struct sync_error *err)
{
	int slot = sync_route_slot(b->e, field);

	*ret = (struct keys){ .set.arena = b->arena };
	TRY(sync_arena_zeros(b->arena, b->n, sizeof *ret->value, &ret->value, err));
	TRY(sync_arena_zeros(b->arena, b->n, sizeof *ret->of, &ret->of, err));
	for (size_t i = 0; i < b->n; i++) {
		const struct sync_value *v = wanted[i] && b->values[i] && slot >= 0 ? &b->values[i][slot] : NULL;
		uint32_t *key;

		ret->of[i] = NO_KEY;
		if (!v || v->kind != SYNC_STRING)
			continue;
		TRY(sync_set_add(&ret->set, (struct sync_view){ 0 }, v->s, (uint32_t)ret->n, &key, err));
		if (*key == ret->n)
			ret->value[ret->n++] = v->s;
		ret->of[i] = *key;
	}
	return SYNC_OK;
}

/* Sites per key. */
struct found {
	const struct batch *batch;
	struct sync_sites *sites;
};

static enum sync_status take_site(void *ctx, const struct sync_value *v, size_t n, struct sync_error *err)
{
	struct found *found = ctx;

	(void)n;
	if (found->batch->trail)
		TRY(add_hit(found->batch, v, err));
	return sync_sites_add(found->batch->arena, &found->sites[v[0].i], v[1].i, err);
}

static enum sync_status spread(struct batch *b, const struct keys *keys, const struct sync_sites *found, struct sync_error *err)
{
	for (size_t i = 0; i < b->n; i++) {
		const struct sync_sites *s = keys->of[i] == NO_KEY ? NULL : &found[keys->of[i]];

		for (size_t k = 0; s && k < s->n; k++)
			TRY(sync_sites_add(b->arena, &b->ret[i], s->site[k], err));
	}
	return SYNC_OK;
}

/* A join names a store, or the name that stores have. */
static void add_join(struct sync_buf *sql, const struct sync_db *db, const struct sync_route *r)
{
	const struct sync_entity *join = sync_entity_find(sync_view_of(r->join));
	const char *to = sync_route_join_store(r);
	const struct sync_field *f = &join->fields[sync_field_find(join, sync_view_of(to))];

	sync_keys_look(sql, db, r->join, "j", "j.\"%s\" = k.value", r->join_key);
	if (!strcmp(f->refers, "store")) {
		sync_keys_look(sql, db, "sync_store", "s", "s.store_id = j.\"%s\"", to);
	} else {
		sync_keys_look(sql, db, "store", "t", "t.name_id = j.\"%s\"", to);
		sync_keys_look(sql, db, "sync_store", "s", "s.store_id = t.id");
	}
}

/* The active stores that keys lead to stand as s; with $2 not negative, only those of one site. */
static enum sync_status follow_to_stores(struct batch *b, const struct sync_route *r, const struct keys *keys,
					 struct sync_sites *found, struct sync_error *err)
{
	defer(sync_buf_clear) struct sync_buf sql = { .max = MAX_SQL };
	const char *why = !b->trail ? "" : r->kind == SYNC_ROUTE_THROUGH ? ", s.store_id, j.id" : ", s.store_id, NULL";
	struct found f = { b, found };

	sync_buf_addf(&sql, "SELECT k.key, s.site_id%s FROM %s", why, sync_keys_sql(b->db));
	if (r->kind == SYNC_ROUTE_STORE) {
		sync_keys_look(&sql, b->db, "sync_store", "s", "s.store_id = k.value");
	} else if (r->kind == SYNC_ROUTE_TRANSFER) {
		sync_keys_look(&sql, b->db, "store", "t", "t.name_id = k.value");
		sync_keys_look(&sql, b->db, "sync_store", "s", "s.store_id = t.id");
	} else {
		add_join(&sql, b->db, r);
	}
	sync_buf_add_text(&sql, " WHERE s.site_id > 0 AND (CAST($2 AS bigint) < 0 OR s.site_id = $2)");
	return sync_keys_run(b->db, &sql, keys->value, keys->n, (const struct sync_value[]){ sync_int(b->only) }, 1, take_site,
			     &f, err);
}

static enum sync_status evaluate(struct batch *b, struct sync_error *err);

static enum sync_status follow_to_parents(struct batch *b, const struct sync_route *r, const struct keys *keys,
					  struct sync_sites *found, struct sync_error *err)
{
	const struct sync_entity *parent = sync_field_target(&b->e->fields[sync_field_find(b->e, sync_view_of(r->field))]);
	const struct sync_value **values;

	TRY(sync_arena_zeros(b->arena, keys->n, sizeof *values, &values, err));
	TRY(sync_route_values(b->db, parent, keys->value, keys->n, b->arena, values, err));
	if (b->trail)
		b->trail->depth++;
	TRY(evaluate(&(struct batch){ .db = b->db,
				      .arena = b->arena,
				      .e = parent,
				      .values = values,
				      .n = keys->n,
				      .only = b->only,
				      .ret = found,
				      .trail = b->trail },
		     err));
	if (b->trail)
		b->trail->depth--;
	return SYNC_OK;
}

static enum sync_status follow(struct batch *b, const struct sync_route *r, const bool *wanted, struct sync_error *err)
{
	struct sync_sites *found;
	struct keys keys;

	TRY(find_keys(b, r->field, wanted, &keys, err));
	if (!keys.n)
		return SYNC_OK;
	if (b->trail)
		last_step(b)->value = keys.value[0];
	TRY(sync_arena_zeros(b->arena, keys.n, sizeof *found, &found, err));
	if (r->kind == SYNC_ROUTE_PARENT)
		TRY(follow_to_parents(b, r, &keys, found, err));
	else
		TRY(follow_to_stores(b, r, &keys, found, err));
	return spread(b, &keys, found, err);
}

/* conditions */

void sync_route_test(struct sync_buf *sql, const struct sync_when *w, const char *column, int number)
{
	if (!w->value)
		sync_buf_addf(sql, "%s IS %sNULL", column, w->not ? "NOT " : "");
	else if (w->not )
		sync_buf_addf(sql, "(%s IS NULL OR %s <> $%d)", column, column, number);
	else
		sync_buf_addf(sql, "%s = $%d", column, number);
}

static enum sync_status take_key(void *ctx, const struct sync_value *v, size_t n, struct sync_error *err)
{
	bool *holds = ctx;

	(void)n, (void)err;
	holds[v[0].i] = true;
	return SYNC_OK;
}

/* Whether what each record refers to is as the condition says; where it is not there, it is not. */
static enum sync_status test_referred(struct batch *b, const struct sync_when *w, bool *wanted, struct sync_error *err)
{
	const struct sync_entity *target = sync_field_target(&b->e->fields[sync_field_find(b->e, sync_view_of(w->field))]);
	defer(sync_buf_clear) struct sync_buf sql = { .max = MAX_SQL };
	char column[SYNC_MAX_ID];
	struct keys keys;
	bool *holds;

	TRY(find_keys(b, w->field, wanted, &keys, err));
	TRY(sync_arena_zeros(b->arena, keys.n, sizeof *holds, &holds, err));
	snprintf(column, sizeof column, "t.\"%s\"", w->refers_field);
	sync_buf_addf(&sql, "SELECT k.key FROM %s", sync_keys_sql(b->db));
	sync_keys_look(&sql, b->db, target->name, "t", "t.id = k.value");
	sync_buf_add_text(&sql, " WHERE ");
	sync_route_test(&sql, w, column, 2);
	TRY(sync_keys_run(b->db, &sql, keys.value, keys.n, (const struct sync_value[]){ sync_text(w->value) }, w->value ? 1 : 0,
			  take_key, holds, err));
	for (size_t i = 0; i < b->n; i++)
		wanted[i] = wanted[i] && keys.of[i] != NO_KEY && holds[keys.of[i]];
	return SYNC_OK;
}

/* To which records a route applies. */
static enum sync_status test(struct batch *b, const struct sync_when *w, bool *ret, struct sync_error *err)
{
	bool any = false;

	for (size_t i = 0; i < b->n; i++) {
		ret[i] = b->values[i] && !b->everybody[i] &&
			 (!w->field || w->refers_field || sync_route_holds(w, b->e, b->values[i]));
		any |= ret[i];
	}
	return w->refers_field && any ? test_referred(b, w, ret, err) : SYNC_OK;
}

static enum sync_status evaluate_route(struct batch *b, const struct sync_route *r, struct sync_error *err)
{
	bool *wanted;

	TRY(sync_arena_zeros(b->arena, b->n, sizeof *wanted, &wanted, err));
	TRY(test(b, &r->when, wanted, err));
	TRY(begin_step(b, r, wanted, err));
	switch (r->kind) {
	case SYNC_ROUTE_CENTRAL:
		for (size_t i = 0; i < b->n; i++) {
			if (!wanted[i])
				continue;
			b->everybody[i] = true;
			b->ret[i].n = 0;
			TRY(sync_sites_add(b->arena, &b->ret[i], SYNC_EVERYBODY, err));
		}
		return SYNC_OK;
	case SYNC_ROUTE_STORE:
	case SYNC_ROUTE_TRANSFER:
	case SYNC_ROUTE_THROUGH:
	case SYNC_ROUTE_PARENT:
		return follow(b, r, wanted, err);
	case SYNC_ROUTE_UP:
	case SYNC_ROUTE_NONE:
		break;
	}
	return SYNC_OK;
}

/* What goes to everybody is found first, because it needs no statement. */
static enum sync_status evaluate(struct batch *b, struct sync_error *err)
{
	const char *chosen;

	TRY(sync_option_value(b->db, b->e->option, &chosen, err));
	TRY(sync_arena_zeros(b->arena, b->n, sizeof *b->everybody, &b->everybody, err));
	for (const struct sync_route *r = b->e->routes; r->kind; r++)
		if (r->kind == SYNC_ROUTE_CENTRAL && sync_route_counts(r, chosen))
			TRY(evaluate_route(b, r, err));
	for (const struct sync_route *r = b->e->routes; r->kind; r++)
		if (r->kind != SYNC_ROUTE_CENTRAL && sync_route_counts(r, chosen))
			TRY(evaluate_route(b, r, err));
	for (size_t i = 0; i < b->n; i++)
		sync_sites_sort(&b->ret[i]);
	return SYNC_OK;
}

enum sync_status sync_route_sites(struct sync_db *db, const struct sync_entity *e, const struct sync_value *const *values,
				  size_t n, struct sync_arena *arena, struct sync_sites *ret, struct sync_error *err)
{
	memset(ret, 0, n * sizeof *ret);
	return evaluate(
	    &(struct batch){ .db = db, .arena = arena, .e = e, .values = values, .n = n, .only = all_sites, .ret = ret }, err);
}

enum sync_status sync_route_trail(struct sync_db *db, const struct sync_entity *e, struct sync_view id, struct sync_arena *arena,
				  struct sync_sites *ret, struct sync_trail *ret_trail, bool *ret_exists, struct sync_error *err)
{
	const struct sync_value *values;

	*ret = (struct sync_sites){ 0 };
	*ret_trail = (struct sync_trail){ 0 };
	TRY(sync_route_values(db, e, &id, 1, arena, &values, err));
	*ret_exists = values != NULL;
	return evaluate(
	    &(struct batch){
		.db = db, .arena = arena, .e = e, .values = &values, .n = 1, .only = all_sites, .ret = ret, .trail = ret_trail },
	    err);
}

/* whole records */

/* Routing values out of all values; NULL where there is no record. */
static enum sync_status pick_values(const struct sync_entity *e, const struct sync_record *r, size_t n,
				    struct sync_arena *arena, const struct sync_value **ret, struct sync_error *err)
{
	const struct sync_routing *routing = sync_route_fields(e);
	struct sync_value *values;

	TRY(sync_arena_zeros(arena, n * routing->n, sizeof *values, &values, err));
	for (size_t i = 0; i < n; i++) {
		ret[i] = r[i].values ? values + i * routing->n : NULL;
		for (size_t k = 0; r[i].values && k < routing->n; k++)
			values[i * routing->n + k] = r[i].values[routing->field[k]];
	}
	return SYNC_OK;
}

static enum sync_status due_alike(struct sync_db *db, int64_t site, const struct sync_record *r, size_t n,
				  struct sync_arena *arena, bool *ret, struct sync_error *err)
{
	const struct sync_entity *e = r->entity;
	const struct sync_value **values;
	struct sync_sites *sites;

	TRY(sync_arena_zeros(arena, n, sizeof *values, &values, err));
	TRY(sync_arena_zeros(arena, n, sizeof *sites, &sites, err));
	TRY(pick_values(e, r, n, arena, values, err));
	TRY(evaluate(&(struct batch){ .db = db, .arena = arena, .e = e, .values = values, .n = n, .only = site, .ret = sites },
		     err));
	for (size_t i = 0; i < n; i++)
		ret[i] = sites[i].n > 0;
	return SYNC_OK;
}

enum sync_status sync_route_due(struct sync_db *db, int64_t site, const struct sync_record *r, size_t n,
				struct sync_arena *arena, bool *ret, struct sync_error *err)
{
	size_t end;

	memset(ret, 0, n * sizeof *ret);
	for (size_t i = 0; i < n; i = end) {
		for (end = i + 1; end < n && r[end].entity == r[i].entity; end++)
			;
		if (r[i].entity)
			TRY(due_alike(db, site, r + i, end - i, arena, ret + i, err));
	}
	return SYNC_OK;
}

static enum sync_status take_owner(void *ctx, const struct sync_value *v, size_t n, struct sync_error *err)
{
	int64_t *owners = ctx;

	(void)n, (void)err;
	owners[v[0].i] = v[1].i;
	return SYNC_OK;
}

enum sync_status sync_route_owners(struct sync_db *db, const struct sync_entity *e, const struct sync_record *r, size_t n,
				   struct sync_arena *arena, int64_t *ret, struct sync_error *err)
{
	const char *field = e->owner_field ? e->owner_field : e->parent;
	int slot = field ? sync_field_find(e, sync_view_of(field)) : -1;
	defer(sync_buf_clear) struct sync_buf sql = { .max = MAX_SQL };
	struct sync_view *keys;

	memset(ret, 0, n * sizeof *ret);
	if (e->owner != SYNC_OWNER_STORE || slot < 0)
		return SYNC_OK;
	TRY(sync_arena_zeros(arena, n, sizeof *keys, &keys, err));
	for (size_t i = 0; i < n; i++)
		if (r[i].values && r[i].values[slot].kind == SYNC_STRING)
			keys[i] = r[i].values[slot].s;
	sync_buf_addf(&sql, "SELECT k.key, s.site_id FROM %s", sync_keys_sql(db));
	if (e->owner_field) {
		sync_keys_look(&sql, db, "sync_store", "s", "s.store_id = k.value");
	} else {
		sync_keys_look(&sql, db, sync_entity_root(e)->name, "p", "p.id = k.value");
		sync_keys_look(&sql, db, "sync_store", "s", "s.store_id = p.\"%s\"", sync_entity_root(e)->owner_field);
	}
	return sync_keys_run(db, &sql, keys, n, NULL, 0, take_owner, ret, err);
}

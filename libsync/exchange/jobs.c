#include "exchange/router.h"

#include <stdio.h>
#include <string.h>

#include <libsync/records.h>

#include "base/internal.h"
#include "codec/json.h"
#include "db/keys.h"

/*
 * A job brings records to whom they are due after something that they depend on has changed. It goes through the entities that
 * depend on its kind, one step each, in chunks; each record found is routed as it is then, so nothing is lost by an
 * interruption and nothing is sent that a site has already.
 */

enum {
	JOB_KEYS = 64, /* of one job; a store has one of its own, for it may have many records */
	MAX_STEP = SYNC_MAX_ID,
	MAX_SQL = 4096,
	MAX_JSON = 1 << 20, /* keys are JOB_KEYS ids at most, each byte 6 when escaped */
	CHUNK_ROWS = 1000,
};

/* starting */

static int by_kind(const void *a, const void *b)
{
	const struct sync_effect *x = a, *y = b;
	int order = strcmp(x->kind, y->kind);

	if (!order)
		order = strcmp(x->entity, y->entity);
	return order ? order : sync_view_cmp(x->key, y->key);
}

static bool same_job(const struct sync_effect *a, const struct sync_effect *b)
{
	return !strcmp(a->kind, b->kind) && !strcmp(a->entity, b->entity) && strcmp(a->kind, "store") != 0;
}

/* One job for effects of one kind; the same key may be there several times. */
static enum sync_status put_job(struct sync_db *db, const struct sync_effect *effects, size_t n, struct sync_error *err)
{
	static const char put[] =
	    "INSERT INTO sync_job(entity, keys, kind, sites, step, last_id, done) VALUES ($1, $2, $3, $4, '', '', 0)";
	defer(sync_buf_clear) struct sync_buf keys = { .max = MAX_JSON }, list = { .max = MAX_JSON };
	defer(sync_arena_clear) struct sync_arena arena = { 0 };
	struct sync_view key[JOB_KEYS];
	struct sync_sites sites = { 0 };
	size_t n_keys = 0;

	for (size_t i = 0; i < n; i++) {
		if (!n_keys || !sync_view_eq(key[n_keys - 1], effects[i].key))
			key[n_keys++] = effects[i].key;
		for (size_t k = 0; k < effects[i].sites.n; k++)
			TRY(sync_sites_add(&arena, &sites, effects[i].sites.site[k], err));
	}
	sync_sites_sort(&sites);
	sync_ids_json(&keys, key, n_keys);
	for (size_t i = 0; i < sites.n; i++)
		sync_buf_addf(&list, "%s%lld", i ? "," : "[", (long long)sites.site[i]);
	sync_buf_add_char(&list, ']');
	TRY(sync_buf_check(&keys, err));
	TRY(sync_buf_check(&list, err));
	return sync_db_run(db, put,
			   SYNC_ARGS(sync_text(effects->entity), sync_string(sync_buf_view(&keys)), sync_text(effects->kind),
				     sync_string(sync_buf_view(&list))),
			   NULL, NULL, err);
}

enum sync_status sync_jobs_put(struct sync_db *db, struct sync_effect *effects, size_t n, struct sync_error *err)
{
	size_t end;

	if (n)
		qsort(effects, n, sizeof *effects, by_kind);
	for (size_t i = 0; i < n && !SYNC_FAULT(no_jobs); i = end) {
		for (end = i + 1; end < n && end - i < JOB_KEYS && same_job(&effects[i], &effects[end]); end++)
			;
		TRY(put_job(db, effects + i, end - i, err));
	}
	return SYNC_OK;
}

/* what has effects */

static bool is_join(const struct sync_entity *e, const struct sync_route *r)
{
	return r->kind == SYNC_ROUTE_THROUGH && !strcmp(r->join, e->name);
}

/* The field by which any entity finds this join, or NULL. */
static const char *join_key(const struct sync_router *r, const struct sync_entity *e)
{
	size_t n;
	const struct sync_entity *const *entities = sync_entities(&n);

	for (size_t i = 0; i < n; i++)
		for (const struct sync_route *route = entities[i]->routes; route->kind; route++)
			if (is_join(e, route) && sync_router_follows(r, entities[i], route))
				return route->join_key;
	return NULL;
}

/* What a join names at the sites of its stores: those that have it or are to have it. */
static enum sync_status affect_through(struct sync_router *r, const struct sync_routed *item, const char *key,
				       const struct sync_value *values, struct sync_error *err)
{
	int slot = sync_route_slot(item->entity, key);

	if (!values || slot < 0 || values[slot].kind != SYNC_STRING)
		return SYNC_OK;
	if (item->due.n)
		TRY(sync_router_affect(r, "through", item->entity->name, values[slot].s, &item->due, err));
	if (item->held.n)
		TRY(sync_router_affect(r, "through", item->entity->name, values[slot].s, &item->held, err));
	return SYNC_OK;
}

/* The entity whose field the route's condition looks at, or NULL. */
static const struct sync_entity *looked_at(const struct sync_entity *e, const struct sync_route *r)
{
	int field = r->when.refers_field ? sync_field_find(e, sync_view_of(r->when.field)) : -1;

	return field < 0 ? NULL : sync_field_target(&e->fields[field]);
}

/* Whether a condition that another entity's route has on this record became true or false. */
static bool turned(const struct sync_routed *item)
{
	size_t n;
	const struct sync_entity *const *entities = sync_entities(&n);

	for (size_t i = 0; i < n; i++)
		for (const struct sync_route *r = entities[i]->routes; r->kind; r++) {
			struct sync_when own = { .field = r->when.refers_field, .value = r->when.value, .not = r->when.not };

			if (looked_at(entities[i], r) == item->entity && sync_route_holds(&own, item->entity, item->before) !=
									     sync_route_holds(&own, item->entity, item->now))
				return true;
		}
	return false;
}

enum sync_status sync_router_consider(struct sync_router *r, const struct sync_routed *item, struct sync_error *err)
{
	struct sync_sites any = { .site = (int64_t[]){ SYNC_EVERYBODY }, .n = 1 };
	const char *key;

	if (item->before && !item->moved)
		return SYNC_OK;
	key = join_key(r, item->entity);
	if (key) {
		TRY(affect_through(r, item, key, item->before, err));
		TRY(affect_through(r, item, key, item->now, err));
	}
	return turned(item) ? sync_router_affect(r, "condition", item->entity->name, item->id, &any, err) : SYNC_OK;
}

/* running */

struct job {
	struct sync_arena *arena;
	bool found;
	int64_t id;
	struct sync_view entity, keys, kind, step, last_id;
};

static enum sync_status take_job(void *ctx, const struct sync_value *v, size_t n, struct sync_error *err)
{
	struct job *job = ctx;

	(void)n;
	job->found = true;
	job->id = v[0].i;
	TRY(sync_arena_keep(job->arena, v[1].s, &job->entity, err));
	TRY(sync_arena_keep(job->arena, v[2].s, &job->keys, err));
	TRY(sync_arena_keep(job->arena, v[3].s, &job->kind, err));
	TRY(sync_arena_keep(job->arena, v[4].s, &job->step, err));
	return sync_arena_keep(job->arena, v[5].s, &job->last_id, err);
}

static enum sync_status find_job(struct sync_db *db, struct job *ret, struct sync_error *err)
{
	static const char oldest[] = "SELECT id, entity, keys, kind, step, last_id FROM sync_job ORDER BY id LIMIT 1";

	return sync_db_run(db, oldest, SYNC_NOARGS, take_job, ret, err);
}

/* Records of an entity that depend on the keys: they name them in a field, and the condition lets the route apply. */
struct edge {
	const struct sync_entity *entity;
	const struct sync_route *route;
	const char *field;            /* NULL: all of them do */
	const struct sync_when *when; /* NULL: any */
};

/* Whether routes of e are chosen by an option, or lead from records whose routes are. */
static bool is_chosen_by(const struct sync_entity *e, struct sync_view option)
{
	if (e->option && sync_view_is(option, e->option))
		return true;
	for (const struct sync_route *r = e->routes; r->kind; r++)
		if (r->kind == SYNC_ROUTE_PARENT &&
		    is_chosen_by(sync_field_target(&e->fields[sync_field_find(e, sync_view_of(r->field))]), option))
			return true;
	return false;
}

/* What is chosen plays no part in it, for it may change before the job is over. */
static bool is_edge(const struct job *job, const struct sync_entity *e, const struct sync_route *r, struct edge *ret)
{
	*ret = (struct edge){ e, r, r->field, &r->when };
	if (sync_view_is(job->kind, "store"))
		return r->kind == SYNC_ROUTE_STORE;
	if (sync_view_is(job->kind, "transfer"))
		return r->kind == SYNC_ROUTE_TRANSFER;
	if (sync_view_is(job->kind, "through"))
		return r->kind == SYNC_ROUTE_THROUGH && sync_view_is(job->entity, r->join);
	*ret = (struct edge){ e, r, NULL, NULL };
	if (sync_view_is(job->kind, "option"))
		return r == e->routes && is_chosen_by(e, job->entity);
	ret->field = r->when.field;
	return looked_at(e, r) && sync_view_is(job->entity, looked_at(e, r)->name);
}

/* The edge after a route's, in integration order, or the first one; false: there is none. */
static bool next_edge(const struct job *job, const struct sync_route *after, struct edge *ret)
{
	size_t n;
	const struct sync_entity *const *entities = sync_entities(&n);
	bool passed = !after;

	for (size_t i = 0; i < n; i++)
		for (const struct sync_route *r = entities[i]->routes; r->kind; r++) {
			if (passed && is_edge(job, entities[i], r, ret))
				return true;
			passed |= r == after;
		}
	return false;
}

/* "invoice 1": by the second route of invoices. A number alone would mean another one to a program with other entities. */
static void name_step(char ret[static MAX_STEP], const struct edge *edge)
{
	(void)snprintf(ret, MAX_STEP, "%s %td", edge->entity->name, edge->route - edge->entity->routes);
}

/* Where the job goes on: at its beginning also when what it was at is gone. */
static bool find_edge(struct job *job, struct edge *ret)
{
	char step[MAX_STEP];

	for (bool more = next_edge(job, NULL, ret); more; more = next_edge(job, ret->route, ret)) {
		name_step(step, ret);
		if (sync_view_is(job->step, step))
			return true;
	}
	job->last_id = (struct sync_view){ 0 };
	return next_edge(job, NULL, ret);
}

/* The condition's value, if it has one, is $3. */
static void add_condition(struct sync_buf *sql, const struct edge *edge)
{
	const struct sync_when *w = edge->when;
	char column[SYNC_MAX_ID];

	if (!w || !w->field)
		return;
	sync_buf_add_text(sql, " AND ");
	snprintf(column, sizeof column, w->refers_field ? "c.\"%s\"" : "t.\"%s\"",
		 w->refers_field ? w->refers_field : w->field);
	if (w->refers_field)
		sync_buf_addf(
		    sql, "EXISTS (SELECT 1 FROM \"%s\" c WHERE c.id = t.\"%s\" AND ",
		    sync_field_target(&edge->entity->fields[sync_field_find(edge->entity, sync_view_of(w->field))])->name,
		    w->field);
	sync_route_test(sql, w, column, 3);
	if (w->refers_field)
		sync_buf_add_char(sql, ')');
}

/* Items found in a chunk. */
struct chunk {
	const struct sync_entity *entity;
	struct sync_arena *arena;
	struct sync_routed *item;
	size_t n;
};

static enum sync_status take_item(void *ctx, const struct sync_value *v, size_t n, struct sync_error *err)
{
	struct chunk *c = ctx;

	(void)n;
	c->item[c->n] = (struct sync_routed){ .entity = c->entity, .cause = SYNC_AFFECTED };
	return sync_arena_keep(c->arena, v[0].s, &c->item[c->n++].id, err);
}

static enum sync_status find_chunk(struct sync_db *db, const struct job *job, const struct edge *edge, int64_t limit,
				   struct chunk *ret, struct sync_error *err)
{
	defer(sync_buf_clear) struct sync_buf sql = { .max = MAX_SQL };
	struct sync_value v[4];
	size_t n = 0;

	TRY(sync_arena_zeros(ret->arena, (size_t)limit, sizeof *ret->item, &ret->item, err));
	sync_buf_addf(&sql, "SELECT t.id FROM \"%s\" t WHERE ", edge->entity->name);
	if (edge->field) {
		if (sync_view_is(job->kind, "store")) /* one, so that an index may give them in their order */
			sync_buf_addf(&sql, "t.\"%s\" = (SELECT k.value FROM %s LIMIT 1) AND ", edge->field, sync_keys_sql(db));
		else
			sync_buf_addf(&sql, "t.\"%s\" %s AND ", edge->field, sync_db_dialect(db)->in_list);
		v[n++] = sync_string(job->keys);
	}
	v[n++] = sync_string(job->last_id);
	sync_buf_addf(&sql, "t.id > $%zu", n);
	add_condition(&sql, edge);
	if (edge->when && edge->when->field && edge->when->value)
		v[n++] = sync_text(edge->when->value);
	v[n++] = sync_int(limit);
	sync_buf_addf(&sql, " ORDER BY t.id LIMIT $%zu", n);
	TRY(sync_buf_check(&sql, err));
	return sync_db_run_text(db, sql.data, v, n, take_item, ret, err);
}

/* The joins of a store, or of its name, have effects of their own. */
static enum sync_status affect_joins(struct sync_router *r, const struct chunk *c, struct sync_error *err)
{
	const char *key = join_key(r, c->entity);

	for (size_t i = 0; key && i < c->n; i++)
		TRY(affect_through(r, &c->item[i], key, c->item[i].now, err));
	return SYNC_OK;
}

static enum sync_status end_job(struct sync_db *db, const struct job *job, struct sync_error *err)
{
	static const char end[] = "DELETE FROM sync_job WHERE id = $1";

	return sync_db_run(db, end, SYNC_ARGS(sync_int(job->id)), NULL, NULL, err);
}

/* The edge is done with unless the chunk is as long as it may be; the job with its last edge. */
static enum sync_status note_progress(struct sync_db *db, const struct job *job, const struct chunk *c, struct edge *edge,
				      bool edge_done, struct sync_error *err)
{
	static const char note[] = "UPDATE sync_job SET step = $1, last_id = $2, done = done + $3 WHERE id = $4";
	struct sync_view last = edge_done ? ((struct sync_view){ 0 }) : c->item[c->n - 1].id;
	char step[MAX_STEP];

	if (edge_done && !next_edge(job, edge->route, edge))
		return end_job(db, job, err);
	name_step(step, edge);
	return sync_db_run(db, note, SYNC_ARGS(sync_text(step), sync_string(last), sync_int((int64_t)c->n), sync_int(job->id)), NULL,
			   NULL, err);
}

/* What an option chooses has an edge for each entity; what else leads to other sites takes children along. */
static enum sync_status route_chunk(struct sync_router *r, const struct job *job, const struct chunk *c, struct sync_error *err)
{
	if (sync_view_is(job->kind, "option"))
		return sync_router_route_alone(r, c->item, c->n, c->arena, err);
	TRY(sync_router_route(r, c->item, c->n, NULL, c->arena, err));
	return sync_view_is(job->kind, "store") || sync_view_is(job->kind, "transfer") ? affect_joins(r, c, err) : SYNC_OK;
}

/* A chunk of the oldest job; *ret_more false: there is no job. */
static enum sync_status run_chunk(struct sync_router *r, int64_t limit, bool *ret_more, struct sync_error *err)
{
	defer(sync_arena_clear) struct sync_arena arena = { 0 };
	struct chunk c = { .arena = &arena };
	struct job job = { .arena = &arena };
	struct edge edge;

	TRY(find_job(r->db, &job, err));
	*ret_more = job.found;
	if (!job.found)
		return SYNC_OK;
	if (!find_edge(&job, &edge))
		return end_job(r->db, &job, err);
	c.entity = edge.entity;
	TRY(find_chunk(r->db, &job, &edge, limit, &c, err));
	TRY(route_chunk(r, &job, &c, err));
	return note_progress(r->db, &job, &c, &edge, (int64_t)c.n < limit, err);
}

static enum sync_status run_jobs(struct sync_db *db, int64_t limit, struct sync_error *err)
{
	defer(sync_router_close) struct sync_router r = { 0 };
	int64_t left = limit;

	TRY(sync_router_open(&r, db, err));
	for (bool more = true; more && left > 0; left--) {
		int64_t before = r.routed;

		TRY(run_chunk(&r, left < CHUNK_ROWS ? left : CHUNK_ROWS, &more, err));
		left -= r.routed - before;
	}
	return sync_router_end(&r, err);
}

static enum sync_status run_locked(struct sync_db *db, int64_t limit, bool *ret_mine, struct sync_error *err)
{
	TRY(sync_route_lock(db, ret_mine, err));
	return *ret_mine ? run_jobs(db, limit, err) : SYNC_OK;
}

static enum sync_status any_job(struct sync_db *db, bool *ret, struct sync_error *err)
{
	static const char any[] = "SELECT 1 FROM sync_job LIMIT 1";
	int64_t some;

	TRY(sync_db_number(db, any, SYNC_NOARGS, 0, &some, err));
	*ret = some != 0;
	return SYNC_OK;
}

enum sync_status sync_route_job(struct sync_db *db, int64_t limit, bool *ret_more, struct sync_error *err)
{
	enum sync_status status;
	bool mine, some;

	*ret_more = false;
	TRY(any_job(db, &some, err));
	if (!some)
		return SYNC_OK;
	TRY(sync_db_begin(db, true, err));
	status = run_locked(db, limit, &mine, err);
	if (status != SYNC_OK || !mine) {
		sync_db_rollback(db);
		return status;
	}
	TRY(sync_db_commit(db, err));
	return any_job(db, ret_more, err);
}

/* whom jobs concern */

struct concern {
	int64_t site;
	bool found;
};

static enum sync_status look_for_site(void *ctx, const struct sync_value *v, size_t n, struct sync_error *err)
{
	struct concern *c = ctx;
	struct sync_json list, member;

	(void)n;
	TRY(sync_json_parse(&list, v[0].s, 1, err));
	for (bool more = sync_json_first(&member, &list); more; more = sync_json_next(&member))
		c->found |= member.number == 0 || member.number == (double)c->site;
	return SYNC_OK;
}

enum sync_status sync_route_busy(struct sync_db *db, int64_t site, bool *ret, struct sync_error *err)
{
	static const char all[] = "SELECT DISTINCT sites FROM sync_job";
	struct concern c = { .site = site };

	TRY(sync_db_run(db, all, SYNC_NOARGS, look_for_site, &c, err));
	*ret = c.found;
	return SYNC_OK;
}

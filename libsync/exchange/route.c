#include "exchange/router.h"

#include "base/internal.h"
#include "codec/json.h"
#include "exchange/extra.h"
#include "exchange/lot.h"
#include "exchange/version.h"

enum { STEP_ROWS = 10000 /* of the queue, per transaction */ };

/* the queue */

/* One row of the queue. */
struct queued {
	int64_t seq;
	const struct sync_entity *entity; /* NULL: this build does not know it */
	struct sync_view name, id;
	char action; /* P, D; R: send it to source again */
	int64_t source, at_us;
	struct sync_view before, now; /* JSON arrays of routing values, or empty */
};

struct queue {
	struct sync_arena *arena;
	struct queued *row;
	size_t n, cap;
};

static enum sync_status take_queued(void *ctx, const struct sync_value *v, size_t n, struct sync_error *err)
{
	struct queue *q = ctx;
	struct queued *row;

	(void)n;
	TRY(sync_larger(q->arena, (void **)&q->row, q->n, &q->cap, sizeof *row, err));
	row = &q->row[q->n];
	*row = (struct queued){
		.seq = v[0].i, .entity = sync_entity_find(v[1].s), .action = v[3].s.data[0], .source = v[4].i, .at_us = v[7].i
	};
	TRY(sync_arena_keep(q->arena, v[1].s, &row->name, err));
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

static struct sync_value text_or_null(struct sync_view v)
{
	return v.data ? sync_string(v) : sync_null();
}

static enum sync_status put_back(struct sync_db *db, const struct queued *row, struct sync_error *err)
{
	static const char put[] = "INSERT INTO sync_changelog(seq, entity, record_id, action, source, at_us, old, new)"
				  "    VALUES ($1, $2, $3, $4, $5, $6, $7, $8)";

	return sync_db_run(db, put,
			   SYNC_ARGS(sync_int(row->seq), sync_string(row->name), sync_string(row->id),
				     sync_string((struct sync_view){ &row->action, 1 }), sync_int(row->source), sync_int(row->at_us),
				     text_or_null(row->before), text_or_null(row->now)),
			   NULL, NULL, err);
}

/*
 * While central is updated one process after another, one of the older build finds rows of an entity that only the newer build
 * declares: that one routes them.
 */
static enum sync_status leave_unknown(struct sync_db *db, struct queue *q, struct sync_error *err)
{
	size_t n = 0;

	for (size_t i = 0; i < q->n; i++) {
		if (q->row[i].entity)
			q->row[n++] = q->row[i];
		else
			TRY(put_back(db, &q->row[i], err));
	}
	q->n = n;
	return SYNC_OK;
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
	TRY(leave_unknown(db, q, err));
	if (q->n)
		qsort(q->row, q->n, sizeof *q->row, by_seq);
	return SYNC_OK;
}

/* ["text", null, …], as many as routes read; *ret is NULL when the text is not that. */
static enum sync_status read_values(struct sync_view text, const struct sync_entity *e, struct sync_arena *arena,
				    const struct sync_value **ret, struct sync_error *err)
{
	size_t n = sync_route_fields(e)->n, i = 0;
	struct sync_json json, member;
	struct sync_value *values;
	bool more;

	*ret = NULL;
	if (!text.len || sync_json_parse(&json, text, 1, NULL) != SYNC_OK)
		return SYNC_OK;
	TRY(sync_arena_zeros(arena, n, sizeof *values, &values, err));
	for (more = sync_json_first(&member, &json); more && i < n; more = sync_json_next(&member), i++) {
		values[i] = sync_null();
		if (member.type != SYNC_JSON_TEXT)
			continue;
		values[i].kind = SYNC_STRING;
		TRY(sync_arena_keep(arena, member.text, &values[i].s, err));
	}
	*ret = i == n && !more ? values : NULL;
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

/* Whose edit it is stays who made it last: what nobody did only fills in what was unknown. */
static enum sync_status add_change(struct step *s, const struct queued *row, struct sync_error *err)
{
	uint32_t *found;
	struct sync_routed *item;

	TRY(sync_set_add(&s->changed, sync_view_of(row->entity->name), row->id, (uint32_t)s->n, &found, err));
	item = &s->item[*found];
	if (*found == s->n) {
		*item = (struct sync_routed){ .entity = row->entity, .id = row->id, .cause = SYNC_CHANGED, .site = row->source };
		s->first[s->n++] = row->before;
	}
	if (row->source != SYNC_NOBODY)
		item->site = row->source;
	item->gone = row->action == 'D';
	item->moved |= item->gone || (row->before.len && !sync_view_eq(row->before, row->now));
	item->root = item->gone ? row->now : (struct sync_view){ 0 };
	s->last[*found] = row;
	return SYNC_OK;
}

/* Of which group it is there, the row says: central need not have it. */
static void add_resend(struct step *s, const struct queued *row)
{
	s->item[s->n++] = (struct sync_routed){ .entity = row->entity, .id = row->id, .cause = SYNC_RESENT, .site = row->source,
		                                .root = row->now.len ? row->now : (struct sync_view){ 0 } };
}

/* The triggers of another build may have kept other values than routes read now; then the record itself is asked. */
static enum sync_status read_now(struct sync_db *db, struct step *s, size_t i, struct sync_error *err)
{
	struct sync_routed *item = &s->item[i];

	TRY(read_values(s->last[i]->now, item->entity, s->arena, &item->now, err));
	return item->now ? SYNC_OK : sync_route_values(db, item->entity, &item->id, 1, s->arena, &item->now, err);
}

static enum sync_status read_items(struct sync_db *db, struct step *s, struct sync_error *err)
{
	for (size_t i = 0; i < s->n; i++) {
		struct sync_routed *item = &s->item[i];

		if (item->cause != SYNC_CHANGED)
			continue;
		TRY(read_values(s->first[i], item->entity, s->arena, &item->before, err));
		if (!item->gone)
			TRY(read_now(db, s, i, err));
	}
	return SYNC_OK;
}

static enum sync_status make_items(struct sync_db *db, struct step *s, const struct queue *q, struct sync_error *err)
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
	return read_items(db, s, err);
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

	TRY(make_items(r->db, &s, q, err));
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

/* *ret_routed: rows of the queue. */
static enum sync_status step(struct sync_db *db, int64_t limit, size_t *ret_routed, struct sync_error *err)
{
	defer(sync_router_close) struct sync_router r = { 0 };
	defer(sync_arena_clear) struct sync_arena arena = { 0 };
	struct queue q = { .arena = &arena };

	TRY(sync_router_open(&r, db, err));
	TRY(take_queue(db, limit, &q, err));
	TRY(route_queue(&r, &q, err));
	TRY(sync_router_end(&r, err));
	*ret_routed = q.n;
	return SYNC_OK;
}

enum sync_status sync_route_step(struct sync_db *db, int64_t limit, bool *ret_more, struct sync_error *err)
{
	size_t routed;

	TRY(step(db, limit, &routed, err));
	*ret_more = routed == (size_t)limit;
	return SYNC_OK;
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

enum sync_status sync_route_wait(struct sync_db *db, struct sync_error *err)
{
	static const char wait[] = "SELECT 1 FROM pg_advisory_xact_lock(" ROUTER ")";

	return sync_db_dialect(db)->postgres ? sync_db_run(db, wait, SYNC_NOARGS, NULL, NULL, err) : SYNC_OK;
}

/* One transaction; whoever finds another routing, or only what a newer build can route, leaves it to that one. */
static enum sync_status route_some(struct sync_db *db, bool *ret_any, struct sync_error *err)
{
	size_t routed = 0;
	bool mine;

	TRY(sync_route_lock(db, &mine, err));
	if (mine)
		TRY(step(db, STEP_ROWS, &routed, err));
	*ret_any = routed > 0;
	return SYNC_OK;
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
	bool any = true, rows;

	TRY(sync_route_queued(db, &rows, err));
	while (rows && any) {
		enum sync_status status;

		TRY(sync_db_begin(db, true, err));
		status = route_some(db, &any, err);
		if (status != SYNC_OK || !any) {
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
	TRY(sync_route_wait(db, err));
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

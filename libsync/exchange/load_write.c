#include "exchange/router.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include <libsync/records.h>

#include "base/internal.h"
#include "exchange/option.h"

/*
 * Entity by entity in integration order, first everybody's rows, then the site's own, each by id. The token is the digit of the
 * stream with the entity's name, and the id of the last record; it is the site's to keep and nobody's to understand.
 */
enum { PAGE_ROWS = 500, MAX_SQL = 8192, RETRY_S = 2 };

struct load {
	struct sync_db *db;
	int64_t site;
	size_t want;
	struct sync_writer *w;
	const struct sync_entity *e; /* whose records are being written */
	const struct sync_route *central; /* by which they go to everybody for what they say themselves, or NULL */
	bool own;                    /* of the site's stream */
	char id[SYNC_MAX_ID + 1];    /* of the last record looked at */
	int64_t rows;                /* looked at in this page */
	int64_t done;                /* in the whole load */
	bool full;
};

static void pass(struct load *l, struct sync_view id)
{
	snprintf(l->id, sizeof l->id, "%.*s", SYNC_VIEW(id));
	l->rows++;
	l->done++;
}

/* A site that loads has nothing that a null would have to replace. */
static void write_record(struct load *l, struct sync_record *r)
{
	for (size_t i = 0; i < r->entity->n_fields; i++)
		if (r->values[i].kind == SYNC_NULL)
			r->values[i].kind = SYNC_ABSENT;
	sync_writer_record(l->w, r);
	l->full = sync_writer_size(l->w) >= l->want;
}

/* straight from the rows: what goes to everybody by what the record itself says */

static enum sync_status find_central(struct load *l, struct sync_error *err)
{
	const struct sync_route *r = l->e->routes;
	const char *chosen;

	TRY(sync_option_value(l->db, l->e->option, &chosen, err));
	while (r->kind && (r->kind != SYNC_ROUTE_CENTRAL || r->when.refers_field || !sync_route_counts(r, chosen)))
		r++;
	l->central = r->kind ? r : NULL;
	return SYNC_OK;
}

static void set_root(struct sync_record *r)
{
	const char *parent = r->entity->parent;
	const struct sync_value *v = parent ? &r->values[sync_field_find(r->entity, sync_view_of(parent))] : NULL;

	r->root = v && v->kind == SYNC_STRING ? v->s : r->id;
}

/* Columns: the fields that travel, then the version and unknown fields, null where the entity has none. */
static enum sync_status take_record(void *ctx, const struct sync_value *v, size_t n, struct sync_error *err)
{
	struct load *l = ctx;
	struct sync_value values[SYNC_MAX_FIELDS];
	struct sync_record r = { .entity = l->e,
				 .name = sync_view_of(l->e->name),
				 .id = v[0].s,
				 .action = SYNC_PUT,
				 .age_ms = -1,
				 .values = values };
	size_t column = 0;

	(void)err;
	if (l->full)
		return SYNC_OK;
	for (size_t i = 0; i < l->e->n_fields; i++)
		values[i] = l->e->fields[i].local ? ((struct sync_value){ .kind = SYNC_ABSENT }) : v[column++];
	if (v[n - 2].kind == SYNC_STRING)
		r.version = v[n - 2].s;
	if (v[n - 1].kind == SYNC_STRING)
		r.extra = v[n - 1].s;
	set_root(&r);
	pass(l, r.id);
	if (sync_when_holds(&l->central->when, l->e, values))
		write_record(l, &r);
	return SYNC_OK;
}

static enum sync_status has_extra(struct sync_db *db, const struct sync_entity *e, bool *ret, struct sync_error *err)
{
	static const char any[] = "SELECT 1 FROM sync_extra WHERE entity = $1 LIMIT 1";
	int64_t some;

	TRY(sync_db_number(db, any, SYNC_ARGS(sync_text(e->name)), 0, &some, err));
	*ret = some != 0;
	return SYNC_OK;
}

static void add_columns(struct sync_buf *sql, const struct sync_entity *e)
{
	sync_buf_add_text(sql, "SELECT t.id");
	for (size_t i = 1; i < e->n_fields; i++)
		if (!e->fields[i].local)
			sync_buf_addf(sql, ", t.\"%s\"", e->fields[i].name);
}

static enum sync_status write_central(struct load *l, struct sync_error *err)
{
	defer(sync_buf_clear) struct sync_buf sql = { .max = MAX_SQL };
	const char *name = l->e->name;
	bool version = l->e->owner == SYNC_OWNER_ANY, extra;

	TRY(has_extra(l->db, l->e, &extra, err));
	add_columns(&sql, l->e);
	sync_buf_addf(&sql, ", %s, %s FROM sync_outbox o CROSS JOIN \"%s\" t", version ? "v.version" : "NULL",
		      extra ? "x.data" : "NULL", name);
	if (version)
		sync_buf_addf(&sql, " LEFT JOIN sync_version v ON v.entity = '%s' AND v.record_id = t.id", name);
	if (extra)
		sync_buf_addf(&sql, " LEFT JOIN sync_extra x ON x.entity = '%s' AND x.record_id = t.id", name);
	sync_buf_addf(&sql,
		      " WHERE o.site_id = 0 AND o.entity = '%s' AND o.action = 'P' AND o.record_id > $1 AND t.id = o.record_id"
		      " ORDER BY o.record_id LIMIT $2",
		      name);
	TRY(sync_buf_check(&sql, err));
	return sync_db_run_text(l->db, sql.data, (const struct sync_value[]){ sync_text(l->id), sync_int(PAGE_ROWS) }, 2,
				take_record, l, err);
}

/* the others: evaluated again, as at every reading */

struct ids {
	struct sync_arena arena;
	struct sync_view id[PAGE_ROWS];
	size_t n;
};

static void clear_ids(struct ids *ids)
{
	sync_arena_clear(&ids->arena);
}

static enum sync_status take_id(void *ctx, const struct sync_value *v, size_t n, struct sync_error *err)
{
	struct ids *ids = ctx;

	(void)n;
	return sync_arena_keep(&ids->arena, v[0].s, &ids->id[ids->n++], err);
}

enum sync_status sync_load_worked_out(struct sync_db *db, int64_t site, struct sync_error *err)
{
	bool busy;

	TRY(sync_route_busy(db, site, &busy, err));
	if (!busy)
		return SYNC_OK;
	sync_fail(err, SYNC_EBUSY, "what this site is to receive is still being worked out: come again in %d seconds", RETRY_S);
	if (err)
		err->retry_after_s = RETRY_S;
	return SYNC_EBUSY;
}

static enum sync_status write_due(struct load *l, struct sync_error *err)
{
	static const char find[] =
	    "SELECT record_id FROM sync_outbox"
	    "    WHERE site_id = $1 AND entity = $2 AND action = 'P' AND record_id > $3 ORDER BY record_id LIMIT $4";
	defer(clear_ids) struct ids ids = { 0 };
	struct sync_record *records;
	bool due[PAGE_ROWS];

	TRY(sync_db_run(l->db, find,
			SYNC_ARGS(sync_int(l->own ? l->site : SYNC_EVERYBODY), sync_text(l->e->name), sync_text(l->id),
				  sync_int(PAGE_ROWS)),
			take_id, &ids, err));
	if (!ids.n)
		return SYNC_OK;
	TRY(sync_arena_zeros(&ids.arena, ids.n, sizeof *records, &records, err));
	TRY(sync_records_get(l->db, l->e, sync_view_of(l->e->name), ids.id, ids.n, &ids.arena, records, err));
	TRY(sync_route_due(l->db, l->site, records, ids.n, &ids.arena, due, err));
	for (size_t i = 0; i < ids.n && !l->full; i++) {
		if (!due[i] && records[i].values) /* passed over, it would count as held when it becomes due again */
			TRY(sync_load_worked_out(l->db, l->site, err));
		pass(l, ids.id[i]);
		if (due[i])
			write_record(l, &records[i]);
	}
	return SYNC_OK;
}

/* A page of rows; *ret_last when no more follow in this stream of this entity. */
static enum sync_status write_page(struct load *l, bool *ret_last, struct sync_error *err)
{
	l->rows = 0;
	TRY(find_central(l, err));
	if (!l->own && l->central)
		TRY(write_central(l, err));
	else
		TRY(write_due(l, err));
	*ret_last = !l->full && l->rows < PAGE_ROWS;
	return SYNC_OK;
}

/* the token */

static enum sync_status read_token(struct load *l, const struct sync_load *token, size_t *ret_entity, struct sync_error *err)
{
	size_t n;
	const struct sync_entity *const *entities = sync_entities(&n);
	const struct sync_entity *e = token->entity[0] ? sync_entity_find(sync_view_of(token->entity + 1)) : entities[0];

	if (!e || (token->entity[0] && token->entity[0] != '0' && token->entity[0] != '1'))
		return sync_fail(err, SYNC_EBADREQUEST, "no first load goes on from '%s'", token->entity);
	*ret_entity = sync_entity_order(e);
	l->own = token->entity[0] == '1';
	l->done = token->done > 0 && token->done <= token->total ? token->done : 0;
	snprintf(l->id, sizeof l->id, "%s", token->id);
	return SYNC_OK;
}

static void write_token(const struct load *l, bool active, struct sync_load *ret)
{
	ret->active = active;
	ret->done = l->done;
	ret->entity[0] = ret->id[0] = '\0';
	if (!active)
		return;
	snprintf(ret->entity, sizeof ret->entity, "%d%s", l->own, l->e->name);
	snprintf(ret->id, sizeof ret->id, "%s", l->id);
}

/* Pulls go on from where the load began, but what the pages have is of then to now: the place is known by what was routed last. */
static enum sync_status name_place(struct sync_db *db, struct sync_position *at, struct sync_error *err)
{
	struct sync_checkpoint newest;

	TRY(sync_routing_newest(db, &newest, err));
	if (at->all.seq > 0)
		memcpy(at->all.id, newest.id, sizeof at->all.id);
	if (at->own.seq > 0)
		memcpy(at->own.id, newest.id, sizeof at->own.id);
	return SYNC_OK;
}

enum sync_status sync_load_write(struct sync_db *db, int64_t site, const struct sync_load *load, size_t want,
				 struct sync_writer *w, struct sync_end *ret, struct sync_error *err)
{
	struct load l = { .db = db, .site = site, .want = want, .w = w };
	size_t i, n;
	const struct sync_entity *const *entities = sync_entities(&n);

	TRY(read_token(&l, load, &i, err));
	while (i < n && !l.full) {
		bool last;

		l.e = entities[i];
		TRY(write_page(&l, &last, err));
		if (!last)
			continue;
		l.id[0] = '\0';
		i += l.own;
		l.own = !l.own;
	}
	ret->load = *load;
	TRY(name_place(db, &ret->load.at, err));
	ret->at = ret->load.at;
	write_token(&l, l.full, &ret->load);
	return SYNC_OK;
}

enum sync_status sync_load_total(struct sync_db *db, int64_t site, int64_t *ret, struct sync_error *err)
{
	static const char count[] = "SELECT (SELECT count(*) FROM sync_outbox WHERE site_id = 0 AND action = 'P')"
				    "    + (SELECT count(*) FROM sync_outbox WHERE site_id = $1 AND action = 'P')";

	return sync_db_number(db, count, SYNC_ARGS(sync_int(site)), 0, ret, err);
}

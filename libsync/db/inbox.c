#include "db/inbox.h"

#include <inttypes.h>
#include <string.h>

#include <libsync/records.h>

#include "base/internal.h"

enum { MAX_SQL = 2048, MAX_IDS = 64 << 20 };

#define ALL_COLUMNS "source, entity, record_id, root_id, seq, frame, code, field, needs_entity, needs_id, text, received_us"
#define KEY_COLUMNS "i.source, i.entity, i.record_id, i.root_id"

/* Gives rows of either list of columns to fn. */
struct rows {
	sync_inbox_fn *fn;
	void *ctx;
	int64_t n;
};

static struct sync_view text_of(const struct sync_value *v)
{
	return v->kind == SYNC_STRING ? v->s : (struct sync_view){ 0 };
}

static enum sync_status give_all(void *ctx, const struct sync_value *v, size_t n, struct sync_error *err)
{
	struct rows *rows = ctx;
	const struct sync_inbox_row row = {
		.source = v[0].i, .entity = text_of(&v[1]), .record_id = text_of(&v[2]), .root_id = text_of(&v[3]),
		.seq = v[4].i, .frame = text_of(&v[5]), .code = text_of(&v[6]), .field = text_of(&v[7]),
		.needs_entity = text_of(&v[8]), .needs_id = text_of(&v[9]), .text = text_of(&v[10]), .received_us = v[11].i,
	};

	(void)n;
	rows->n++;
	return rows->fn(rows->ctx, &row, err);
}

static enum sync_status give_key(void *ctx, const struct sync_value *v, size_t n, struct sync_error *err)
{
	struct rows *rows = ctx;
	const struct sync_inbox_row row = {
		.source = v[0].i, .entity = text_of(&v[1]), .record_id = text_of(&v[2]), .root_id = text_of(&v[3]),
	};

	(void)n;
	rows->n++;
	return rows->fn(rows->ctx, &row, err);
}

enum sync_status sync_inbox_any(struct sync_db *db, bool *ret, struct sync_error *err)
{
	static const char any[] = "SELECT 1 FROM sync_inbox LIMIT 1";
	int64_t some;

	TRY(sync_db_number(db, any, SYNC_NOARGS, 0, &some, err));
	*ret = some != 0;
	return SYNC_OK;
}

static struct sync_value optional(struct sync_view v)
{
	return v.len ? sync_string(v) : sync_null();
}

enum sync_status sync_inbox_put(struct sync_db *db, const struct sync_inbox_row *rows, size_t n, struct sync_error *err)
{
	static const char *const columns[] = { "source", "entity",   "record_id",    "root_id",  "seq",  "frame",
		                               "code",   "field",    "needs_entity", "needs_id", "text", "received_us" };
	static const enum sync_type types[] = { SYNC_BIGINT, SYNC_TEXT, SYNC_TEXT, SYNC_TEXT, SYNC_BIGINT, SYNC_TEXT,
		                                SYNC_TEXT,   SYNC_TEXT, SYNC_TEXT, SYNC_TEXT, SYNC_TEXT,   SYNC_BIGINT };
	static const struct sync_table table = { "sync_inbox", columns, types, COUNT(columns), 3, false };
	defer(freep) struct sync_value *v = NULL;
	size_t at = 0;

	if (!n)
		return SYNC_OK;
	v = malloc(n * COUNT(columns) * sizeof *v);
	if (!v)
		return sync_fail(err, SYNC_ENOMEM, "%zu records for the inbox", n);
	for (size_t i = 0; i < n; i++) {
		v[at++] = sync_int(rows[i].source);
		v[at++] = sync_string(rows[i].entity);
		v[at++] = sync_string(rows[i].record_id);
		v[at++] = sync_string(rows[i].root_id);
		v[at++] = sync_int(rows[i].seq);
		v[at++] = sync_string(rows[i].frame);
		v[at++] = sync_string(rows[i].code);
		v[at++] = optional(rows[i].field);
		v[at++] = optional(rows[i].needs_entity);
		v[at++] = optional(rows[i].needs_id);
		v[at++] = sync_string(rows[i].text);
		v[at++] = sync_int(rows[i].received_us);
	}
	return sync_db_put_many(db, &table, v, n, err);
}

/* head, the ids as $1, tail with $2 and so on. */
static enum sync_status with_ids(struct sync_db *db, const char *head, const struct sync_view *ids, size_t n, const char *tail,
                                 const struct sync_value *more, size_t n_more, sync_row_fn *fn, struct rows *rows,
                                 struct sync_error *err)
{
	defer(sync_buf_clear) struct sync_buf sql = { .max = MAX_SQL }, list = { .max = MAX_IDS };
	struct sync_value v[3];

	if (!n)
		return SYNC_OK;
	sync_buf_addf(&sql, "%s %s%s", head, sync_db_dialect(db)->in_list, tail);
	sync_ids_json(&list, ids, n);
	TRY(sync_buf_check(&sql, err));
	TRY(sync_buf_check(&list, err));
	v[0] = sync_string(sync_buf_view(&list));
	memcpy(v + 1, more, n_more * sizeof *more);
	return sync_db_run_text(db, sql.data, v, 1 + n_more, fn, rows, err);
}

enum sync_status sync_inbox_take_roots(struct sync_db *db, int64_t source, const struct sync_view *roots, size_t n,
                                       sync_inbox_fn *fn, void *ctx, struct sync_error *err)
{
	return with_ids(db, "DELETE FROM sync_inbox WHERE root_id", roots, n, " AND source = $2 RETURNING " ALL_COLUMNS,
	                SYNC_ARGS(sync_int(source)), give_all, &(struct rows){ fn, ctx, 0 }, err);
}

enum sync_status sync_inbox_take(struct sync_db *db, int64_t source, struct sync_view entity, const struct sync_view *ids,
                                 size_t n, sync_inbox_fn *fn, void *ctx, struct sync_error *err)
{
	return with_ids(db, "DELETE FROM sync_inbox WHERE record_id", ids, n,
	                " AND source = $2 AND entity = $3 RETURNING " ALL_COLUMNS,
	                SYNC_ARGS(sync_int(source), sync_string(entity)), give_all, &(struct rows){ fn, ctx, 0 }, err);
}

enum sync_status sync_inbox_waiting_for(struct sync_db *db, struct sync_view entity, const struct sync_view *ids, size_t n,
                                        sync_inbox_fn *fn, void *ctx, struct sync_error *err)
{
	return with_ids(db, "SELECT " KEY_COLUMNS " FROM sync_inbox i WHERE i.needs_id", ids, n, " AND i.needs_entity = $2",
	                SYNC_ARGS(sync_string(entity)), give_key, &(struct rows){ fn, ctx, 0 }, err);
}

/* What waits for which entity and, when a reference holds it back, for which of its fields. */
struct need {
	const struct sync_entity *e;
	const struct sync_field *f; /* NULL: for a record to come */
};

struct needs {
	struct need *need;
	size_t n, cap;
};

static void clear_needs(struct needs *needs)
{
	free(needs->need);
}

static enum sync_status add_need(void *ctx, const struct sync_value *v, size_t n, struct sync_error *err)
{
	struct needs *needs = ctx;
	struct need need = { .e = sync_entity_find(v[0].s) };
	int field;

	(void)n;
	if (!need.e)
		return SYNC_OK;
	if (v[1].kind == SYNC_STRING) {
		field = sync_field_find(need.e, v[1].s);
		if (field < 0)
			return SYNC_OK;
		need.f = &need.e->fields[field];
	}
	if (needs->n == needs->cap) {
		size_t cap = needs->cap ? needs->cap * 2 : 16;
		struct need *larger = realloc(needs->need, cap * sizeof *larger);

		if (!larger)
			return sync_fail(err, SYNC_ENOMEM, "%zu kinds of what is waited for", cap);
		needs->need = larger;
		needs->cap = cap;
	}
	needs->need[needs->n++] = need;
	return SYNC_OK;
}

static enum sync_status show_ready(struct sync_db *db, const struct need *need, int64_t limit, struct rows *rows,
                                   struct sync_error *err)
{
	defer(sync_buf_clear) struct sync_buf sql = { .max = MAX_SQL };

	sync_buf_add_text(&sql, "SELECT " KEY_COLUMNS " FROM sync_inbox i WHERE i.needs_entity = $1 AND ");
	if (need->f)
		sync_buf_addf(&sql, "i.code = 'referenced' AND i.field = $2 AND NOT EXISTS"
		                    " (SELECT 1 FROM \"%s\" t WHERE t.id = i.needs_id AND t.\"%s\" = i.record_id) LIMIT $3",
		              need->e->name, need->f->name);
	else
		sync_buf_addf(&sql, "i.code NOT IN ('referenced', 'waiting_edit') AND EXISTS (SELECT 1 FROM \"%s\" t WHERE t.id = i.needs_id) LIMIT $2",
		              need->e->name);
	TRY(sync_buf_check(&sql, err));
	if (need->f)
		return sync_db_run_text(db, sql.data,
		                        SYNC_ARGS(sync_text(need->e->name), sync_text(need->f->name), sync_int(limit)), give_key, rows,
		                        err);
	return sync_db_run_text(db, sql.data, SYNC_ARGS(sync_text(need->e->name), sync_int(limit)), give_key, rows, err);
}

enum sync_status sync_inbox_ready(struct sync_db *db, int64_t limit, sync_inbox_fn *fn, void *ctx, bool *ret_more,
                                  struct sync_error *err)
{
	static const char kinds[] =
		"SELECT DISTINCT needs_entity, CASE WHEN code = 'referenced' THEN field END FROM sync_inbox"
		"    WHERE needs_entity IS NOT NULL AND code <> 'waiting_edit'";
	defer(clear_needs) struct needs needs = { 0 };
	struct rows rows = { fn, ctx, 0 };

	TRY(sync_db_run(db, kinds, SYNC_NOARGS, add_need, &needs, err));
	for (size_t i = 0; i < needs.n && rows.n < limit; i++)
		TRY(show_ready(db, &needs.need[i], limit - rows.n, &rows, err));
	*ret_more = rows.n >= limit;
	return SYNC_OK;
}

enum sync_status sync_inbox_settled(struct sync_db *db, int64_t integrated, sync_inbox_fn *fn, void *ctx,
                                    struct sync_error *err)
{
	static const char settled[] =
		"SELECT " KEY_COLUMNS " FROM sync_inbox i WHERE i.code = 'adopted' OR i.code = 'local_edit' AND NOT EXISTS"
		"    (SELECT 1 FROM sync_changelog c WHERE c.entity = i.entity AND c.record_id = i.record_id AND c.seq > $1)"
		"    OR i.code = 'waiting_edit' AND NOT EXISTS (SELECT 1 FROM sync_verdict v WHERE v.site_id = 0 AND v.kind = 'waiting'"
		"        AND v.entity = i.needs_entity AND v.record_id = i.needs_id)";

	return sync_db_run(db, settled, SYNC_ARGS(sync_int(integrated)), give_key, &(struct rows){ fn, ctx, 0 }, err);
}

#include <libsync/site.h>

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include <libsync/records.h>

#include "base/internal.h"
#include "exchange/lot.h"
#include "exchange/route.h"
#include "exchange/rows.h"

enum {
	BATCH = 1000,          /* records put at once */
	BATCH_BYTES = 8 << 20, /* or as soon as they take this much memory */
	SLOTS = 4096,          /* of the table of a batch's ids: a power of two, well above BATCH */
};

struct import {
	struct sync_db *db;
	const struct sync_entity *e;
	struct sync_rows rows;
	struct sync_arena arena; /* what the batch borrows */
	struct sync_record r[BATCH];
	int64_t line[BATCH];     /* where each stands in the file */
	size_t n;
	uint16_t slots[SLOTS];   /* index of a record plus one, by the hash of its id */
	int64_t done;
};

static void close_import(struct import **in)
{
	if (!*in)
		return;
	sync_rows_close(&(*in)->rows);
	sync_arena_clear(&(*in)->arena);
	free(*in);
}

/* The slot of an id: taken by the record of that id, or free. */
static uint16_t *slot_of(struct import *in, struct sync_view id)
{
	uint32_t hash = 2166136261u;
	size_t at;

	for (size_t i = 0; i < id.len; i++)
		hash = (hash ^ (unsigned char)id.data[i]) * 16777619u;
	for (at = hash % SLOTS; in->slots[at]; at = (at + 1) % SLOTS)
		if (sync_view_eq(in->r[in->slots[at] - 1].id, id))
			break;
	return &in->slots[at];
}

static enum sync_status stands_twice(const struct import *in, struct sync_view id, int64_t line, int64_t first,
                                     struct sync_error *err)
{
	return sync_fail(err, SYNC_EINVALID, "line %" PRId64 ": %s '%.*s' stands in line %" PRId64 " too: which one counts?", line,
	                 in->e->name, SYNC_VIEW(id), first);
}

static enum sync_status add(struct import *in, const struct sync_record *r, struct sync_error *err)
{
	uint16_t *slot = slot_of(in, r->id);

	if (*slot)
		return stands_twice(in, r->id, in->rows.line, in->line[*slot - 1u], err);
	in->line[in->n] = in->rows.line;
	in->r[in->n++] = *r;
	*slot = (uint16_t)in->n;
	return SYNC_OK;
}

/* The ids of earlier batches are in a table that goes with the transaction, so that no memory grows with the file. */
static enum sync_status begin_ids(struct sync_db *db, struct sync_error *err)
{
	return sync_db_script(db,
	                      sync_db_dialect(db)->postgres ?
	                              "CREATE TEMP TABLE sync_imported (id text PRIMARY KEY, line bigint NOT NULL) ON COMMIT DROP" :
	                              "CREATE TABLE sync_imported (id text PRIMARY KEY NOT NULL, line bigint NOT NULL) WITHOUT ROWID",
	                      err);
}

static enum sync_status end_ids(struct sync_db *db, struct sync_error *err)
{
	return sync_db_dialect(db)->postgres ? SYNC_OK : sync_db_script(db, "DROP TABLE sync_imported", err);
}

static enum sync_status take_twice(void *ctx, const struct sync_value *v, size_t n, struct sync_error *err)
{
	struct import *in = ctx;
	uint16_t *slot = slot_of(in, v[0].s);

	(void)n;
	return *slot ? stands_twice(in, v[0].s, in->line[*slot - 1u], v[1].i, err) : SYNC_OK;
}

static enum sync_status check_ids(struct import *in, struct sync_error *err)
{
	static const char *const columns[] = { "id", "line" };
	static const enum sync_type types[] = { SYNC_TEXT, SYNC_BIGINT };
	static const struct sync_table imported = { "sync_imported", columns, types, COUNT(columns), 1, true };
	struct sync_value values[BATCH][COUNT(columns)];
	struct sync_view ids[BATCH];

	for (size_t i = 0; i < in->n; i++) {
		ids[i] = in->r[i].id;
		values[i][0] = sync_string(in->r[i].id);
		values[i][1] = sync_int(in->line[i]);
	}
	TRY(sync_run_ids(in->db, "SELECT id, line FROM sync_imported WHERE id", ids, in->n, "", SYNC_NOARGS, take_twice, in, err));
	return sync_db_put_many(in->db, &imported, values[0], in->n, err);
}

/* A required field that the record lacks, which is all right when the record exists and keeps its value. */
static const struct sync_field *missing_field(const struct sync_record *r)
{
	for (size_t i = 1; i < r->entity->n_fields; i++) {
		const struct sync_field *f = &r->entity->fields[i];

		if (f->required && !f->fallback && !f->local && r->values[i].kind == SYNC_ABSENT)
			return f;
	}
	return NULL;
}

static enum sync_status check_complete(struct import *in, struct sync_error *err)
{
	struct sync_view ids[BATCH];
	size_t at[BATCH], n = 0;
	bool exist[BATCH];

	for (size_t i = 0; i < in->n; i++) {
		if (!missing_field(&in->r[i]))
			continue;
		ids[n] = in->r[i].id;
		at[n++] = i;
	}
	TRY(sync_records_exist(in->db, in->e, ids, n, exist, err));
	for (size_t i = 0; i < n; i++)
		if (!exist[i])
			return sync_fail(err, SYNC_EINVALID, "line %" PRId64 ": %s.%s is missing, and %s '%.*s' is new", in->line[at[i]],
			                 in->e->name, missing_field(&in->r[at[i]])->name, in->e->name, SYNC_VIEW(ids[i]));
	return SYNC_OK;
}

static int by_view(const void *a, const void *b)
{
	return sync_view_cmp(*(const struct sync_view *)a, *(const struct sync_view *)b);
}

/* What the batch names in field f, each id once. */
static size_t named_ids(const struct import *in, size_t f, struct sync_view ret[static BATCH])
{
	size_t n = 0, unique = 0;

	for (size_t i = 0; i < in->n; i++)
		if (in->r[i].values[f].kind == SYNC_STRING)
			ret[n++] = in->r[i].values[f].s;
	qsort(ret, n, sizeof *ret, by_view);
	for (size_t i = 0; i < n; i++)
		if (i == 0 || !sync_view_eq(ret[i], ret[unique - 1]))
			ret[unique++] = ret[i];
	return unique;
}

/* The first line of the batch whose field f names something that is not there. */
static enum sync_status dangling(const struct import *in, size_t f, const struct sync_view *ids, const bool *exist, size_t n,
                                 struct sync_error *err)
{
	for (size_t i = 0; i < in->n; i++) {
		const struct sync_value *v = &in->r[i].values[f];
		const struct sync_view *id = v->kind == SYNC_STRING ? bsearch(&v->s, ids, n, sizeof *ids, by_view) : NULL;

		if (id && !exist[id - ids])
			return sync_fail(err, SYNC_EINVALID, "line %" PRId64 ": %s.%s names %s '%.*s', which does not exist", in->line[i],
			                 in->e->name, in->e->fields[f].name, in->e->fields[f].refers, SYNC_VIEW(*id));
	}
	return SYNC_OK;
}

/* No entity refers to itself but softly, so all that a batch must name is in the database before it. */
static enum sync_status check_references(struct import *in, struct sync_error *err)
{
	struct sync_view ids[BATCH];
	bool exist[BATCH];

	for (size_t f = 1; f < in->e->n_fields; f++) {
		const struct sync_entity *target = sync_field_target(&in->e->fields[f]);
		size_t n = target && !in->e->fields[f].soft ? named_ids(in, f, ids) : 0;

		if (n == 0)
			continue;
		TRY(sync_records_exist(in->db, target, ids, n, exist, err));
		TRY(dangling(in, f, ids, exist, n, err));
	}
	return SYNC_OK;
}

/* where stores are */

static bool is_store(const struct import *in)
{
	return !strcmp(in->e->name, "store");
}

static enum sync_status take_place(void *ctx, const struct sync_value *v, size_t n, struct sync_error *err)
{
	struct import *in = ctx;
	size_t i = *slot_of(in, v[0].s) - 1u;
	const struct sync_value *said = &in->r[i].values[sync_field_find(in->e, sync_view_of("site_id"))];

	(void)n;
	if (said->kind != SYNC_INT || said->i == v[1].i)
		return SYNC_OK;
	return sync_fail(err, SYNC_EINVALID,
	                 "line %" PRId64 ": store.site_id is %" PRId64 ", and store '%.*s' is at site '%.*s' (%" PRId64 "): central store move "
	                 "takes it from there; leave the field out",
	                 in->line[i], said->i, SYNC_VIEW(v[0].s), SYNC_VIEW(v[2].s), v[1].i);
}

/* A file is older than the last move: it takes no store away from a site. */
static enum sync_status check_moves(struct import *in, struct sync_error *err)
{
	static const char placed[] = "SELECT t.id, t.site_id, s.name FROM store t JOIN sync_site s ON s.site_id = t.site_id WHERE t.id";
	struct sync_view ids[BATCH];

	for (size_t i = 0; i < in->n; i++)
		ids[i] = in->r[i].id;
	return sync_run_ids(in->db, placed, ids, in->n, "", SYNC_NOARGS, take_place, in, err);
}

static enum sync_status take_stray(void *ctx, const struct sync_value *v, size_t n, struct sync_error *err)
{
	(void)ctx, (void)n;
	return sync_fail(err, SYNC_EINVALID,
	                 "line %" PRId64 ": store.site_id is %" PRId64 ", and there is no such site: central site add NAME --store %.*s places it; "
	                 "say 0 or leave the field out",
	                 v[0].i, v[1].i, SYNC_VIEW(v[2].s));
}

/* In the end, of all that was imported. */
static enum sync_status check_sites(const struct import *in, struct sync_error *err)
{
	static const char stray[] = "SELECT i.line, t.site_id, t.id FROM sync_imported i JOIN store t ON t.id = i.id"
				    "    LEFT JOIN sync_site s ON s.site_id = t.site_id"
				    "    WHERE t.site_id <> 0 AND s.site_id IS NULL ORDER BY i.line LIMIT 1";

	return is_store(in) ? sync_db_run(in->db, stray, SYNC_NOARGS, take_stray, NULL, err) : SYNC_OK;
}

static enum sync_status flush(struct import *in, struct sync_error *err)
{
	const struct sync_record *r[BATCH];

	for (size_t i = 0; i < in->n; i++)
		r[i] = &in->r[i];
	TRY(check_ids(in, err));
	TRY(check_complete(in, err));
	TRY(check_references(in, err));
	if (is_store(in))
		TRY(check_moves(in, err));
	TRY(sync_records_put(in->db, in->e, r, in->n, err));
	in->done += (int64_t)in->n;
	in->n = 0;
	memset(in->slots, 0, sizeof in->slots);
	sync_arena_reset(&in->arena);
	return SYNC_OK;
}

static enum sync_status import_rows(struct import *in, struct sync_error *err)
{
	struct sync_record r;
	bool found = true;

	for (;;) {
		TRY(sync_rows_next(&in->rows, &in->arena, &r, &found, err));
		if (!found)
			return flush(in, err);
		TRY(add(in, &r, err));
		if (in->n == BATCH || in->arena.used > BATCH_BYTES)
			TRY(flush(in, err));
	}
}

enum sync_status sync_import(struct sync_db *db, const struct sync_entity *e, enum sync_format format, sync_read_fn *fn, void *ctx,
                             int64_t *ret_records, struct sync_error *err)
{
	defer(close_import) struct import *in = calloc(1, sizeof *in);
	enum sync_status status;

	if (!in)
		return sync_fail(err, SYNC_ENOMEM, "importing %s", e->name);
	in->db = db;
	in->e = e;
	TRY(sync_rows_open(&in->rows, e, format, fn, ctx, err));
	TRY(sync_db_begin(db, true, err));
	status = begin_ids(db, err);
	if (status == SYNC_OK)
		status = import_rows(in, err);
	if (status == SYNC_OK)
		status = check_sites(in, err);
	if (status == SYNC_OK)
		status = end_ids(db, err);
	if (status != SYNC_OK) {
		sync_db_rollback(db);
		return status;
	}
	TRY(sync_db_commit(db, err));
	*ret_records = in->done;
	return sync_route(db, err);
}

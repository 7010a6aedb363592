#include "db/postgres.h"

#include <stdio.h>
#include <string.h>

#include "base/internal.h"
#include "db/binary.h"

/* Arrays for few rows; COPY to a temporary table, and from there, for many. */

enum {
	COPY_BYTES = 1 << 16, /* handed to libpq at a time */
	UNNEST_ROWS = 128,    /* up to here arrays are quicker than a COPY, which takes more statements */
};

#define UNIQUE_VIOLATION "23505"

/* What is kept for one table and set of columns; the key is the address of its statement for few rows. */
struct batch {
	struct sync_statement base;
	char few[16];       /* prepared: inserts from arrays; empty when not yet prepared */
	char move[16];      /* prepared: inserts from the temporary table; empty when not yet prepared */
	char temporary[40]; /* name of the table; empty when not yet made */
	uint64_t undone;    /* when it was made: a later rollback may have taken it away */
	uint64_t filled;    /* by the transaction of this number, which empties it at its end */
};

static void write_insert(struct sync_buf *b, const struct sync_table *t)
{
	sync_buf_addf(b, "INSERT INTO \"%s\"(", t->name);
	sync_sql_columns(b, t);
	sync_buf_add_text(b, ") SELECT ");
	sync_sql_columns(b, t);
}

static void write_few(struct sync_buf *b, const struct sync_table *t)
{
	write_insert(b, t);
	sync_buf_add_text(b, " FROM unnest(");
	for (size_t i = 0; i < t->n_columns; i++)
		sync_buf_addf(b, "%s$%zu", i ? ", " : "", i + 1);
	sync_buf_add_text(b, ") AS rows(");
	sync_sql_columns(b, t);
	sync_buf_add_char(b, ')');
	sync_sql_conflict(b, t);
}

static void write_move(struct sync_buf *b, const struct sync_table *t, const char *temporary)
{
	write_insert(b, t);
	sync_buf_addf(b, " FROM %s", temporary);
	sync_sql_conflict(b, t);
}

static void write_temporary(struct sync_buf *b, const struct sync_table *t, const char *temporary)
{
	sync_buf_addf(b, "CREATE TEMPORARY TABLE IF NOT EXISTS %s (", temporary);
	for (size_t i = 0; i < t->n_columns; i++)
		sync_buf_addf(b, "%s\"%s\" %s", i ? ", " : "", t->columns[i], sync_postgres.sql->types[t->types[i]]);
	sync_buf_add_text(b, ") ON COMMIT DELETE ROWS");
}

static enum sync_status set_arrays(struct sync_pg *db, struct sync_pg_parameters *p, const struct sync_table *t,
                                   const struct sync_value *v, size_t rows, const struct sync_shadows *s,
                                   struct sync_error *err)
{
	size_t starts[SYNC_MAX_COLUMNS + 1];

	sync_buf_reset(&db->parameters);
	for (size_t i = 0; i < t->n_columns; i++) {
		starts[i] = db->parameters.len;
		TRY(sync_array_add(&db->parameters, t, i, v, rows, s, err));
	}
	starts[t->n_columns] = db->parameters.len;
	TRY(sync_buf_check(&db->parameters, err));
	for (size_t i = 0; i < t->n_columns; i++) {
		p->values[i] = db->parameters.data + starts[i];
		p->lengths[i] = (int)(starts[i + 1] - starts[i]);
		p->formats[i] = 1;
	}
	return SYNC_OK;
}

static enum sync_status put_few(struct sync_pg *db, struct batch *batch, const struct sync_table *t,
                                const struct sync_value *v, size_t rows, const struct sync_shadows *s, struct sync_error *err)
{
	struct sync_pg_parameters p;

	if (!*batch->few) {
		Oid arrays[SYNC_MAX_COLUMNS];
		for (size_t i = 0; i < t->n_columns; i++)
			arrays[i] = sync_array_oid(t->types[i]);
		TRY(sync_pg_prepare(db, batch->few, batch->base.sql, (int)t->n_columns, arrays, err));
	}
	TRY(set_arrays(db, &p, t, v, rows, s, err));
	defer(sync_pg_clear_result) PGresult *result =
		PQexecPrepared(db->conn, batch->few, (int)t->n_columns, p.values, p.lengths, p.formats, 0);
	return sync_pg_check(db, result, err);
}

static enum sync_status send_copy(struct sync_pg *db, struct sync_error *err)
{
	TRY(sync_buf_check(&db->parameters, err));
	if (PQputCopyData(db->conn, db->parameters.data, (int)db->parameters.len) != 1)
		return sync_pg_fail(db, NULL, err);
	sync_buf_reset(&db->parameters);
	return SYNC_OK;
}

static enum sync_status copy_rows(struct sync_pg *db, const struct sync_table *t, const struct sync_value *v, size_t rows,
                                  const struct sync_shadows *s, struct sync_error *err)
{
	struct sync_buf *b = &db->parameters;

	sync_buf_reset(b);
	sync_copy_begin(b);
	for (size_t row = 0; row < rows; row++) {
		if (sync_shadowed(s, row))
			continue;
		TRY(sync_copy_add(b, t, v + row * t->n_columns, err));
		if (b->len >= COPY_BYTES)
			TRY(send_copy(db, err));
	}
	sync_copy_end(b);
	return send_copy(db, err);
}

/* Ends a COPY, with a reason if it is given up, and takes all its results. */
static enum sync_status end_copy(struct sync_pg *db, const char *reason, struct sync_error *err)
{
	enum sync_status status = SYNC_OK;
	int sent = PQputCopyEnd(db->conn, reason);

	for (PGresult *result; (result = PQgetResult(db->conn)) != NULL; PQclear(result))
		if (status == SYNC_OK)
			status = sync_pg_check(db, result, err);
	return sent == 1 ? status : sync_pg_fail(db, NULL, err);
}

static enum sync_status copy(struct sync_pg *db, const struct batch *batch, const struct sync_table *t,
                             const struct sync_value *v, size_t rows, const struct sync_shadows *s, struct sync_error *err)
{
	char sql[100];

	(void)snprintf(sql, sizeof(sql), "COPY %s FROM STDIN (FORMAT binary)", batch->temporary);
	defer(sync_pg_clear_result) PGresult *result = PQexec(db->conn, sql);
	if (PQresultStatus(result) != PGRES_COPY_IN)
		return sync_pg_fail(db, result, err);
	enum sync_status status = copy_rows(db, t, v, rows, s, err);
	if (status == SYNC_OK)
		return end_copy(db, NULL, err);
	(void)end_copy(db, "given up", NULL);
	return status;
}

/* The batch's temporary table is there and empty. */
static enum sync_status make_room(struct sync_pg *db, struct batch *batch, const struct sync_table *t,
                                  struct sync_error *err)
{
	char truncate[60];

	if (!*batch->temporary)
		(void)snprintf(batch->temporary, sizeof(batch->temporary), "pg_temp.sync_batch_%u", ++db->last);
	else if (batch->undone == db->undone && batch->filled != db->began)
		return SYNC_OK;
	else if (batch->undone == db->undone) {
		(void)snprintf(truncate, sizeof(truncate), "TRUNCATE %s", batch->temporary);
		return sync_pg_execute(db, truncate, err);
	}
	sync_buf_reset(&db->sql);
	write_temporary(&db->sql, t, batch->temporary);
	TRY(sync_buf_check(&db->sql, err));
	TRY(sync_pg_execute(db, db->sql.data, err));
	batch->undone = db->undone;
	return SYNC_OK;
}

static enum sync_status put_copy(struct sync_pg *db, struct batch *batch, const struct sync_table *t,
                                 const struct sync_value *v, size_t rows, const struct sync_shadows *s, struct sync_error *err)
{
	TRY(make_room(db, batch, t, err));
	if (!*batch->move) {
		sync_buf_reset(&db->sql);
		write_move(&db->sql, t, batch->temporary);
		TRY(sync_buf_check(&db->sql, err));
		TRY(sync_pg_prepare(db, batch->move, db->sql.data, 0, NULL, err));
	}
	batch->filled = db->began;
	TRY(copy(db, batch, t, v, rows, s, err));
	defer(sync_pg_clear_result) PGresult *result = PQexecPrepared(db->conn, batch->move, 0, NULL, NULL, NULL, 0);
	return sync_pg_check(db, result, err);
}

static enum sync_status find_batch(struct sync_pg *db, const char *sql, struct batch **ret, struct sync_error *err)
{
	struct batch *batch = (struct batch *)sync_statement_find(&db->batches, sql);

	if (!batch) {
		batch = calloc(1, sizeof(*batch));
		if (!batch)
			return sync_fail(err, SYNC_ENOMEM, "%s: preparing a batch", db->name);
		batch->base.sql = sql;
		sync_statement_add(&db->batches, &batch->base);
	}
	*ret = batch;
	return SYNC_OK;
}

enum sync_status sync_pg_put_many(struct sync_db *base, const struct sync_table *t, const struct sync_value *v, size_t rows,
                                  struct sync_error *err)
{
	struct sync_pg *db = sync_pg(base);
	defer(sync_unuse_text) struct sync_kept *kept = NULL;
	defer(sync_shadows_clear) struct sync_shadows shadows = { 0 };
	struct batch *batch = NULL;

	sync_buf_reset(&db->sql);
	write_few(&db->sql, t);
	TRY(sync_buf_check(&db->sql, err));
	TRY(sync_use_text(base, db->sql.data, &kept, err));
	TRY(find_batch(db, kept->sql, &batch, err));
	TRY(sync_shadows_find(&shadows, t, v, rows, err));
	enum sync_status status = rows <= UNNEST_ROWS ? put_few(db, batch, t, v, rows, &shadows, err) :
	                                                put_copy(db, batch, t, v, rows, &shadows, err);
	if (status != SYNC_OK)
		base->failed = true;
	if (status == SYNC_EDB && t->fresh && !strcmp(db->state, UNIQUE_VIOLATION))
		return sync_fail(err, SYNC_EBUSY, "%s: another transaction has put a row of %s meanwhile", db->name, t->name);
	return status;
}

void sync_pg_forget_batch(struct sync_pg *db, const char *sql)
{
	defer(freep) struct batch *batch = (struct batch *)sync_statement_take(&db->batches, sql);

	if (!batch)
		return;
	if (*batch->few)
		sync_pg_discard(db, "DEALLOCATE", batch->few);
	if (*batch->move)
		sync_pg_discard(db, "DEALLOCATE", batch->move);
	if (*batch->temporary)
		sync_pg_discard(db, "DROP TABLE IF EXISTS", batch->temporary);
}

#include "db/postgres.h"

#include <stdio.h>
#include <string.h>

#include "base/internal.h"
#include "db/binary.h"

/* statements */

struct statement {
	struct sync_statement base;
	char name[16];
	char sql[]; /* as it was prepared */
};

enum sync_status sync_pg_prepare(struct sync_pg *db, char ret[static 16], const char *sql, int n, const Oid *types,
                                 struct sync_error *err)
{
	char name[16];

	(void)snprintf(name, sizeof(name), "s%u", ++db->last);
	defer(sync_pg_clear_result) PGresult *result = PQprepare(db->conn, name, sql, n, types);
	TRY(sync_pg_check(db, result, err));
	memcpy(ret, name, sizeof(name));
	return SYNC_OK;
}

void sync_pg_discard(struct sync_pg *db, const char *how, const char *what)
{
	char sql[80];

	(void)snprintf(sql, sizeof(sql), "%s %s", how, what);
	PQclear(PQexec(db->conn, sql));
}

/* The name of the statement kept for sql. */
static enum sync_status start(struct sync_pg *db, const char *sql, const char **ret, struct sync_error *err)
{
	struct statement *s = (struct statement *)sync_statement_find(&db->statements, sql);
	size_t size = strlen(sql) + 1;

	if (s && strcmp(s->sql, sql) != 0) { /* another text was there */
		sync_pg_forget_statement(db, sql);
		s = NULL;
	}
	if (!s) {
		defer(freep) struct statement *made = calloc(1, sizeof(*made) + size);
		if (!made)
			return sync_fail(err, SYNC_ENOMEM, "%s: preparing a statement", db->name);
		TRY(sync_pg_prepare(db, made->name, sql, 0, NULL, err));
		made->base.sql = sql;
		memcpy(made->sql, sql, size);
		s = steal(made);
		sync_statement_add(&db->statements, &s->base);
	}
	*ret = s->name;
	return SYNC_OK;
}

static enum sync_status storable(struct sync_pg *db, struct sync_view text, struct sync_error *err)
{
	enum sync_status status = sync_storable(text, err);

	if (status != SYNC_OK)
		db->base.failed = true;
	return status;
}

/* Append a value's text to db->parameters. */
static enum sync_status add_parameter(struct sync_pg *db, const struct sync_value *v, struct sync_error *err)
{
	switch (v->kind) {
	case SYNC_ABSENT:
	case SYNC_NULL:
	case SYNC_BLOB:
		return SYNC_OK;
	case SYNC_INT:
		sync_buf_addf(&db->parameters, "%lld", (long long)v->i);
		break;
	case SYNC_DOUBLE:
		sync_buf_addf(&db->parameters, "%.17g", v->d);
		break;
	case SYNC_STRING:
		TRY(storable(db, v->s, err));
		sync_buf_add_view(&db->parameters, v->s);
		break;
	}
	sync_buf_add_char(&db->parameters, '\0');
	return SYNC_OK;
}

/* All are text but for blobs. */
static enum sync_status set_parameters(struct sync_pg *db, struct sync_pg_parameters *p, const struct sync_value *v, size_t n,
                                       struct sync_error *err)
{
	size_t starts[SYNC_MAX_COLUMNS];

	if (n > SYNC_MAX_COLUMNS)
		return sync_pg_refuse(db, err, SYNC_EDB, "%zu values for one statement; the limit is %d", n, SYNC_MAX_COLUMNS);
	sync_buf_reset(&db->parameters);
	for (size_t i = 0; i < n; i++) {
		starts[i] = db->parameters.len;
		TRY(add_parameter(db, &v[i], err));
	}
	TRY(sync_buf_check(&db->parameters, err));
	for (size_t i = 0; i < n; i++) {
		bool blob = v[i].kind == SYNC_BLOB;
		bool text = v[i].kind == SYNC_INT || v[i].kind == SYNC_DOUBLE || v[i].kind == SYNC_STRING;
		p->values[i] = text ? db->parameters.data + starts[i] : blob ? v[i].s.len ? v[i].s.data : "" : NULL;
		p->lengths[i] = blob ? (int)v[i].s.len : 0;
		p->formats[i] = blob;
	}
	return SYNC_OK;
}

/* rows */

enum { OID_BOOL = 16, OID_BYTEA = 17, OID_INT8 = 20, OID_INT2 = 21, OID_INT4 = 23, OID_OID = 26,
       OID_FLOAT4 = 700, OID_FLOAT8 = 701, OID_NUMERIC = 1700 };

static unsigned hex_digit(char c)
{
	return (unsigned)(c <= '9' ? c - '0' : c - 'a' + 10);
}

/* "\x6869" becomes "hi", in its place. */
static struct sync_value read_blob(char *text, size_t len)
{
	size_t n = 0;

	for (size_t i = 2; i + 1 < len; i += 2)
		text[n++] = (char)(hex_digit(text[i]) << 4 | hex_digit(text[i + 1]));
	return sync_blob((struct sync_view){ text, n });
}

static struct sync_value read_double(const char *text)
{
	return (struct sync_value){ .kind = SYNC_DOUBLE, .d = strtod(text, NULL) };
}

/* A sum of whole numbers is numeric. */
static struct sync_value read_numeric(const char *text)
{
	char *end;
	long long i = strtoll(text, &end, 10);

	return *end ? read_double(text) : sync_int(i);
}

static struct sync_value read_value(const PGresult *result, int row, int column)
{
	char *text = PQgetvalue(result, row, column);

	if (PQgetisnull(result, row, column))
		return sync_null();
	switch (PQftype(result, column)) {
	case OID_BOOL:
		return sync_int(*text == 't');
	case OID_INT8:
	case OID_INT2:
	case OID_INT4:
	case OID_OID:
		return sync_int(strtoll(text, NULL, 10));
	case OID_FLOAT4:
	case OID_FLOAT8:
		return read_double(text);
	case OID_NUMERIC:
		return read_numeric(text);
	case OID_BYTEA:
		return read_blob(text, (size_t)PQgetlength(result, row, column));
	default:
		return sync_string((struct sync_view){ text, (size_t)PQgetlength(result, row, column) });
	}
}

static enum sync_status give_rows(struct sync_pg *db, const PGresult *result, sync_row_fn *fn, void *ctx,
                                  struct sync_error *err)
{
	struct sync_value values[SYNC_MAX_COLUMNS];
	int columns = PQnfields(result);

	if (columns > SYNC_MAX_COLUMNS)
		return sync_pg_refuse(db, err, SYNC_EDB, "%d columns; the limit is %d", columns, SYNC_MAX_COLUMNS);
	for (int row = 0; row < PQntuples(result); row++) {
		for (int i = 0; i < columns; i++)
			values[i] = read_value(result, row, i);
		TRY(fn(ctx, values, (size_t)columns, err));
	}
	return SYNC_OK;
}

/* The whole result is in memory before the first row is given: so fn may run other statements, and callers ask for pages. */
enum sync_status sync_pg_run(struct sync_db *base, const char *sql, const struct sync_value *v, size_t n, sync_row_fn *fn,
                             void *ctx, struct sync_error *err)
{
	struct sync_pg *db = sync_pg(base);
	struct sync_pg_parameters p;
	const char *name;

	TRY(sync_pg_connected(db, err));
	TRY(start(db, sql, &name, err));
	TRY(set_parameters(db, &p, v, n, err));
	defer(sync_pg_clear_result) PGresult *result =
		PQexecPrepared(db->conn, name, (int)n, p.values, p.lengths, p.formats, 0);
	TRY(sync_pg_check(db, result, err));
	return fn ? give_rows(db, result, fn, ctx, err) : SYNC_OK;
}

void sync_pg_forget_statement(struct sync_pg *db, const char *sql)
{
	defer(freep) struct statement *s = (struct statement *)sync_statement_take(&db->statements, sql);

	if (s)
		sync_pg_discard(db, "DEALLOCATE", s->name);
}

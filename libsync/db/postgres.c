#include "db/driver.h"

#include <assert.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <libpq-fe.h>

#include "base/internal.h"
#include "db/binary.h"

enum {
	OLDEST_SERVER = 150000,    /* as PQserverVersion() tells it */
	MAX_PARAMETERS = 1 << 28,  /* bytes of one statement's */
	COPY_BYTES = 1 << 16,      /* handed to libpq at a time */
	UNNEST_ROWS = 128,         /* up to here arrays are quicker than a COPY, which takes more statements */
	MAX_NAME = 160,
};

struct postgres_db {
	struct sync_db base;
	PGconn *conn;
	char name[MAX_NAME]; /* for error texts */
	bool writing;        /* the open transaction may write */
	unsigned last;       /* number in the newest name of a statement or temporary table */
	uint64_t began;      /* transactions so far */
	uint64_t undone;     /* of them rolled back: with each, a temporary table made in it is gone */
	struct sync_statements statements;
	struct sync_statements batches;
	struct sync_buf parameters;
	struct sync_buf sql;
};

struct statement {
	struct sync_statement base;
	char name[16];
};

/* What is kept for one table and set of columns; the key is the address of its statement for few rows. */
struct batch {
	struct sync_statement base;
	char few[16];       /* prepared: inserts from arrays; empty when not yet prepared */
	char move[16];      /* prepared: inserts from the temporary table; empty when not yet prepared */
	char temporary[40]; /* name of the table; empty when not yet made */
	uint64_t undone;    /* when it was made: a later rollback may have taken it away */
	uint64_t filled;    /* by the transaction of this number, which empties it at its end */
};

static struct postgres_db *pg(struct sync_db *db)
{
	return (struct postgres_db *)db;
}

static void clear_result(PGresult **result)
{
	PQclear(*result);
}

/* errors */

/* By SQLSTATE, of which the first characters count; the first that fits. */
static const struct failure {
	const char *state;
	enum sync_status status;
	const char *advice;
} failures[] = {
	{ "40", SYNC_EBUSY, ": another transaction was first" },
	{ "55P03", SYNC_EBUSY, ": another transaction has not let go of it" },
	{ "57014", SYNC_EBUSY, ": the server's time limit" },
	{ "53300", SYNC_EBUSY, ": raise max_connections, or run fewer programs" },
	{ "53100", SYNC_EFULL, ": free some space on the server; nothing is lost" },
	{ "53200", SYNC_ENOMEM, ": on the server" },
	{ "58", SYNC_EIO, ": check the server's disk" },
	{ "57P", SYNC_ENET, "" },
	{ "XX001", SYNC_EWRONGDB, ": restore it from a backup" },
	{ "XX002", SYNC_EWRONGDB, ": restore it from a backup, or reindex" },
	{ "22021", SYNC_EINVALID, "" },
	{ "", SYNC_EDB, "" },
};

static const struct failure *find_failure(const char *state)
{
	const struct failure *f = failures;

	while (strncmp(f->state, state, strlen(f->state)) != 0)
		f++;
	return f;
}

/* libpq's text on one line. */
static void flatten(char *ret, size_t size, const char *text)
{
	size_t n = 0;

	for (; *text && n + 1 < size; text++)
		if (*text != '\n' || text[1])
			ret[n++] = *text == '\n' || *text == '\t' ? ' ' : *text;
	ret[n] = '\0';
}

/* What the server or libpq last reported; result may be NULL. */
static enum sync_status fail_db(struct postgres_db *db, const PGresult *result, struct sync_error *err)
{
	const char *state = PQresultErrorField(result, PG_DIAG_SQLSTATE);
	const char *primary = PQresultErrorField(result, PG_DIAG_MESSAGE_PRIMARY);
	const struct failure *f = find_failure(state ? state : "");
	char text[300];

	db->base.failed = true;
	flatten(text, sizeof(text), primary ? primary : PQerrorMessage(db->conn));
	if (PQstatus(db->conn) == CONNECTION_BAD)
		return sync_fail(err, SYNC_ENET, "%s: %s", db->name, text);
	return sync_fail(err, f->status, "%s: %s%s", db->name, text, f->advice);
}

/* What this file refuses itself. */
__attribute__((format(printf, 4, 5)))
static enum sync_status refuse(struct postgres_db *db, struct sync_error *err, enum sync_status status, const char *format, ...)
{
	char text[300];
	va_list args;

	db->base.failed = true;
	va_start(args, format);
	(void)vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	return sync_fail(err, status, "%s: %s", db->name, text);
}

static enum sync_status check(struct postgres_db *db, const PGresult *result, struct sync_error *err)
{
	ExecStatusType status = PQresultStatus(result);

	return status == PGRES_COMMAND_OK || status == PGRES_TUPLES_OK ? SYNC_OK : fail_db(db, result, err);
}

static enum sync_status execute(struct postgres_db *db, const char *sql, struct sync_error *err)
{
	defer(clear_result) PGresult *result = PQexec(db->conn, sql);

	return check(db, result, err);
}

/* connection */

static const char session[] =
	"SET standard_conforming_strings = on;"
	"SET bytea_output = hex;"
	"SET extra_float_digits = 1;" /* doubles come back as they went */
	"SET jit = off;"              /* costs more than our short statements */
	/* what is acknowledged survives a power cut; standbys are the administrator's choice */
	"SELECT set_config('synchronous_commit', 'on', false) WHERE current_setting('synchronous_commit') = 'off'";

static void drop_kept(struct postgres_db *db)
{
	for (struct sync_statement *s; (s = sync_statement_take_any(&db->statements)) != NULL;)
		free(s);
	for (struct sync_statement *s; (s = sync_statement_take_any(&db->batches)) != NULL;)
		free(s);
}

static void ignore_notice(void *ctx, const PGresult *notice)
{
	(void)ctx;
	(void)notice;
}

/* What every new connection must be and have. */
static enum sync_status settle(struct postgres_db *db, struct sync_error *err)
{
	const char *encoding = PQparameterStatus(db->conn, "server_encoding");
	int version = PQserverVersion(db->conn);

	(void)PQsetNoticeReceiver(db->conn, ignore_notice, NULL);
	if (version < OLDEST_SERVER)
		return refuse(db, err, SYNC_EWRONGDB, "the server is PostgreSQL %d; %d or newer is needed", version / 10000,
		              OLDEST_SERVER / 10000);
	if (!encoding || strcmp(encoding, "UTF8") != 0)
		return refuse(db, err, SYNC_EWRONGDB, "its encoding is %s; create the database with ENCODING 'UTF8'",
		              encoding ? encoding : "unknown");
	return execute(db, session, err);
}

/* Outside a transaction a lost connection is made anew; nothing that was prepared in the old one is left. */
static enum sync_status reconnect(struct postgres_db *db, struct sync_error *err)
{
	drop_kept(db);
	PQreset(db->conn);
	if (PQstatus(db->conn) != CONNECTION_OK)
		return fail_db(db, NULL, err);
	return settle(db, err);
}

/* What can be read while nothing was asked for is a notice, or the end: the server was restarted since the last use. */
static bool hung_up(struct postgres_db *db)
{
	struct pollfd fd = { .fd = PQsocket(db->conn), .events = POLLIN };

	while (PQstatus(db->conn) == CONNECTION_OK && poll(&fd, 1, 0) > 0)
		if (!PQconsumeInput(db->conn))
			return true;
	return PQstatus(db->conn) != CONNECTION_OK;
}

/* Nothing was sent yet, so that a statement outside a transaction does not fail with the connection before. */
static enum sync_status connected(struct postgres_db *db, struct sync_error *err)
{
	if (db->base.in_transaction || !hung_up(db))
		return SYNC_OK;
	return reconnect(db, err);
}

/* statements */

static enum sync_status prepare(struct postgres_db *db, char ret[static 16], const char *sql, int n, const Oid *types,
                                struct sync_error *err)
{
	char name[16];

	(void)snprintf(name, sizeof(name), "s%u", ++db->last);
	defer(clear_result) PGresult *result = PQprepare(db->conn, name, sql, n, types);
	TRY(check(db, result, err));
	memcpy(ret, name, sizeof(name));
	return SYNC_OK;
}

static void discard(struct postgres_db *db, const char *how, const char *what)
{
	char sql[80];

	(void)snprintf(sql, sizeof(sql), "%s %s", how, what);
	PQclear(PQexec(db->conn, sql));
}

/* The name of the statement kept for sql. */
static enum sync_status start(struct postgres_db *db, const char *sql, const char **ret, struct sync_error *err)
{
	struct statement *s = (struct statement *)sync_statement_find(&db->statements, sql);

	if (!s) {
		defer(freep) struct statement *made = calloc(1, sizeof(*made));
		if (!made)
			return sync_fail(err, SYNC_ENOMEM, "%s: preparing a statement", db->name);
		TRY(prepare(db, made->name, sql, 0, NULL, err));
		made->base.sql = sql;
		s = steal(made);
		sync_statement_add(&db->statements, &s->base);
	}
	*ret = s->name;
	return SYNC_OK;
}

/* Parameters as libpq takes them: all are text but for blobs. */
struct parameters {
	const char *values[SYNC_MAX_COLUMNS];
	int lengths[SYNC_MAX_COLUMNS];
	int formats[SYNC_MAX_COLUMNS];
};

static enum sync_status storable(struct postgres_db *db, struct sync_view text, struct sync_error *err)
{
	enum sync_status status = sync_storable(text, err);

	if (status != SYNC_OK)
		db->base.failed = true;
	return status;
}

/* Append a value's text to db->parameters. */
static enum sync_status add_parameter(struct postgres_db *db, const struct sync_value *v, struct sync_error *err)
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

static enum sync_status set_parameters(struct postgres_db *db, struct parameters *p, const struct sync_value *v, size_t n,
                                       struct sync_error *err)
{
	size_t starts[SYNC_MAX_COLUMNS];

	if (n > SYNC_MAX_COLUMNS)
		return refuse(db, err, SYNC_EDB, "%zu values for one statement; the limit is %d", n, SYNC_MAX_COLUMNS);
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

static enum sync_status give_rows(struct postgres_db *db, const PGresult *result, sync_row_fn *fn, void *ctx,
                                  struct sync_error *err)
{
	struct sync_value values[SYNC_MAX_COLUMNS];
	int columns = PQnfields(result);

	if (columns > SYNC_MAX_COLUMNS)
		return refuse(db, err, SYNC_EDB, "%d columns; the limit is %d", columns, SYNC_MAX_COLUMNS);
	for (int row = 0; row < PQntuples(result); row++) {
		for (int i = 0; i < columns; i++)
			values[i] = read_value(result, row, i);
		TRY(fn(ctx, values, (size_t)columns, err));
	}
	return SYNC_OK;
}

/* The whole result is in memory before the first row is given: so fn may run other statements, and callers ask for pages. */
static enum sync_status run(struct sync_db *base, const char *sql, const struct sync_value *v, size_t n, sync_row_fn *fn,
                            void *ctx, struct sync_error *err)
{
	struct postgres_db *db = pg(base);
	struct parameters p;
	const char *name;

	TRY(connected(db, err));
	TRY(start(db, sql, &name, err));
	TRY(set_parameters(db, &p, v, n, err));
	defer(clear_result) PGresult *result =
		PQexecPrepared(db->conn, name, (int)n, p.values, p.lengths, p.formats, 0);
	TRY(check(db, result, err));
	return fn ? give_rows(db, result, fn, ctx, err) : SYNC_OK;
}

static enum sync_status script(struct sync_db *base, const char *sql, struct sync_error *err)
{
	TRY(connected(pg(base), err));
	return execute(pg(base), sql, err);
}

/* batches: arrays for few rows; COPY to a temporary table, and from there, for many */

static const struct sync_dialect dialect = {
	.postgres = true,
	.in_list = "(SELECT value FROM json_array_elements_text($1) AS list(value))",
	.types = {
		[SYNC_ID] = "text", [SYNC_TEXT] = "text", [SYNC_ENUM] = "text", [SYNC_JSON] = "text", [SYNC_DATE] = "text",
		[SYNC_TIME] = "text", [SYNC_BOOLEAN] = "boolean", [SYNC_INTEGER] = "integer", [SYNC_BIGINT] = "bigint",
		[SYNC_REAL] = "double precision",
	},
	.for_update = " FOR UPDATE",
	.for_share = " FOR KEY SHARE",
	.serial = "bigint GENERATED BY DEFAULT AS IDENTITY PRIMARY KEY",
	.blob = "bytea",
	.clustered = "",
	.lock = "SELECT pg_advisory_xact_lock(7815264982316548974)", /* any number that is ours */
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
		sync_buf_addf(b, "%s$%zu::%s[]", i ? ", " : "", i + 1, dialect.types[t->types[i]]);
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
		sync_buf_addf(b, "%s\"%s\" %s", i ? ", " : "", t->columns[i], dialect.types[t->types[i]]);
	sync_buf_add_text(b, ") ON COMMIT DELETE ROWS");
}

static enum sync_status set_arrays(struct postgres_db *db, struct parameters *p, const struct sync_table *t,
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

static enum sync_status put_few(struct postgres_db *db, struct batch *batch, const struct sync_table *t,
                                const struct sync_value *v, size_t rows, const struct sync_shadows *s, struct sync_error *err)
{
	struct parameters p;

	if (!*batch->few) {
		Oid arrays[SYNC_MAX_COLUMNS];
		for (size_t i = 0; i < t->n_columns; i++)
			arrays[i] = sync_array_oid(t->types[i]);
		TRY(prepare(db, batch->few, batch->base.sql, (int)t->n_columns, arrays, err));
	}
	TRY(set_arrays(db, &p, t, v, rows, s, err));
	defer(clear_result) PGresult *result =
		PQexecPrepared(db->conn, batch->few, (int)t->n_columns, p.values, p.lengths, p.formats, 0);
	return check(db, result, err);
}

static enum sync_status send_copy(struct postgres_db *db, struct sync_error *err)
{
	TRY(sync_buf_check(&db->parameters, err));
	if (PQputCopyData(db->conn, db->parameters.data, (int)db->parameters.len) != 1)
		return fail_db(db, NULL, err);
	sync_buf_reset(&db->parameters);
	return SYNC_OK;
}

static enum sync_status copy_rows(struct postgres_db *db, const struct sync_table *t, const struct sync_value *v, size_t rows,
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
static enum sync_status end_copy(struct postgres_db *db, const char *reason, struct sync_error *err)
{
	enum sync_status status = SYNC_OK;
	int sent = PQputCopyEnd(db->conn, reason);

	for (PGresult *result; (result = PQgetResult(db->conn)) != NULL; PQclear(result))
		if (status == SYNC_OK)
			status = check(db, result, err);
	return sent == 1 ? status : fail_db(db, NULL, err);
}

static enum sync_status copy(struct postgres_db *db, const struct batch *batch, const struct sync_table *t,
                             const struct sync_value *v, size_t rows, const struct sync_shadows *s, struct sync_error *err)
{
	char sql[100];

	(void)snprintf(sql, sizeof(sql), "COPY %s FROM STDIN (FORMAT binary)", batch->temporary);
	defer(clear_result) PGresult *result = PQexec(db->conn, sql);
	if (PQresultStatus(result) != PGRES_COPY_IN)
		return fail_db(db, result, err);
	enum sync_status status = copy_rows(db, t, v, rows, s, err);
	if (status == SYNC_OK)
		return end_copy(db, NULL, err);
	(void)end_copy(db, "given up", NULL);
	return status;
}

/* The batch's temporary table is there and empty. */
static enum sync_status make_room(struct postgres_db *db, struct batch *batch, const struct sync_table *t,
                                  struct sync_error *err)
{
	char truncate[60];

	if (!*batch->temporary)
		(void)snprintf(batch->temporary, sizeof(batch->temporary), "pg_temp.sync_batch_%u", ++db->last);
	else if (batch->undone == db->undone && batch->filled != db->began)
		return SYNC_OK;
	else if (batch->undone == db->undone) {
		(void)snprintf(truncate, sizeof(truncate), "TRUNCATE %s", batch->temporary);
		return execute(db, truncate, err);
	}
	sync_buf_reset(&db->sql);
	write_temporary(&db->sql, t, batch->temporary);
	TRY(sync_buf_check(&db->sql, err));
	TRY(execute(db, db->sql.data, err));
	batch->undone = db->undone;
	return SYNC_OK;
}

static enum sync_status put_copy(struct postgres_db *db, struct batch *batch, const struct sync_table *t,
                                 const struct sync_value *v, size_t rows, const struct sync_shadows *s, struct sync_error *err)
{
	TRY(make_room(db, batch, t, err));
	if (!*batch->move) {
		sync_buf_reset(&db->sql);
		write_move(&db->sql, t, batch->temporary);
		TRY(sync_buf_check(&db->sql, err));
		TRY(prepare(db, batch->move, db->sql.data, 0, NULL, err));
	}
	batch->filled = db->began;
	TRY(copy(db, batch, t, v, rows, s, err));
	defer(clear_result) PGresult *result = PQexecPrepared(db->conn, batch->move, 0, NULL, NULL, NULL, 0);
	return check(db, result, err);
}

static enum sync_status find_batch(struct postgres_db *db, const char *sql, struct batch **ret, struct sync_error *err)
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

static enum sync_status put_many(struct sync_db *base, const struct sync_table *t, const struct sync_value *v, size_t rows,
                                 struct sync_error *err)
{
	struct postgres_db *db = pg(base);
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
	return status;
}

/* In a failed transaction the server does nothing more: what is kept there stays until the connection ends. */
static void forget(struct sync_db *base, const char *sql)
{
	struct postgres_db *db = pg(base);
	defer(freep) struct statement *s = (struct statement *)sync_statement_take(&db->statements, sql);
	defer(freep) struct batch *batch = (struct batch *)sync_statement_take(&db->batches, sql);

	if (s)
		discard(db, "DEALLOCATE", s->name);
	if (batch && *batch->few)
		discard(db, "DEALLOCATE", batch->few);
	if (batch && *batch->move)
		discard(db, "DEALLOCATE", batch->move);
	if (batch && *batch->temporary)
		discard(db, "DROP TABLE IF EXISTS", batch->temporary);
}

/* transactions */

static enum sync_status begin(struct sync_db *base, bool write, struct sync_error *err)
{
	static const char begin_write[] = "BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE";
	static const char begin_read[] = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY; SELECT 1"; /* takes the snapshot */
	struct postgres_db *db = pg(base);
	const char *sql = write ? begin_write : begin_read;

	TRY(connected(db, err));
	enum sync_status status = execute(db, sql, err);
	if (PQstatus(db->conn) == CONNECTION_BAD) {
		/* the server was restarted since the last use; nothing is lost by trying again */
		TRY(reconnect(db, err));
		status = execute(db, sql, err);
	}
	db->writing = write;
	db->began++;
	return status;
}

/* COMMIT of a transaction that has failed succeeds as a ROLLBACK. */
static enum sync_status commit(struct postgres_db *db, struct sync_error *err)
{
	defer(clear_result) PGresult *result = PQexec(db->conn, "COMMIT");

	if (PQstatus(db->conn) == CONNECTION_BAD)
		return refuse(db, err, SYNC_ENET, "the connection is lost: whether the transaction was kept is unknown");
	TRY(check(db, result, err));
	if (strcmp(PQcmdStatus(result), "COMMIT") != 0)
		return refuse(db, err, SYNC_EDB, "the server rolled the transaction back");
	return SYNC_OK;
}

static enum sync_status end(struct sync_db *base, bool keep, struct sync_error *err)
{
	struct postgres_db *db = pg(base);
	enum sync_status status = keep ? commit(db, err) : SYNC_OK;

	if (keep && status == SYNC_OK)
		return SYNC_OK;
	if (PQtransactionStatus(db->conn) != PQTRANS_IDLE)
		PQclear(PQexec(db->conn, "ROLLBACK"));
	if (db->writing)
		db->undone++;
	return status;
}

static enum sync_status catalog(struct sync_db *base, sync_row_fn *fn, void *ctx, struct sync_error *err)
{
	static const char list_all[] =
		"WITH ours AS ("
		"    SELECT c.oid, c.relname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace"
		"        WHERE n.nspname = current_schema() AND c.relkind IN ('r', 'p'))"
		"SELECT 0, o.relname, a.attname FROM ours o JOIN pg_attribute a ON a.attrelid = o.oid"
		"    WHERE a.attnum > 0 AND NOT a.attisdropped"
		" UNION ALL "
		"SELECT 1, o.relname, t.tgname FROM ours o JOIN pg_trigger t ON t.tgrelid = o.oid"
		"    WHERE NOT t.tgisinternal";

	static_assert(SYNC_HAS_COLUMN == 0 && SYNC_HAS_TRIGGER == 1, "as in the statement");
	return run(base, list_all, SYNC_NOARGS, fn, ctx, err);
}

/* opening */

static void close_db(struct sync_db *base)
{
	struct postgres_db *db = pg(base);

	drop_kept(db);
	PQfinish(db->conn);
	sync_buf_clear(&db->parameters);
	sync_buf_clear(&db->sql);
	free(db);
}

static void close_dbp(struct postgres_db **db)
{
	if (*db)
		close_db(&(*db)->base);
}

/* libpq's own text about a malformed string may quote a part of a password. */
static enum sync_status check_conninfo(const char *conninfo, struct sync_error *err)
{
	PQconninfoOption *options = PQconninfoParse(conninfo, NULL);

	if (!options)
		return sync_fail(err, SYNC_EUSAGE, "the PostgreSQL connection is malformed: it is like "
		                 "postgres:host=… dbname=… user=…, or postgres://user@host/dbname");
	PQconninfoFree(options);
	return SYNC_OK;
}

static enum sync_status connect_db(struct postgres_db *db, const char *conninfo, struct sync_error *err)
{
	/* what stands before dbname is what conninfo may override; a peer that is gone is noticed within a minute */
	static const char *const words[] = { "connect_timeout", "keepalives_idle", "keepalives_interval", "keepalives_count",
		                             "tcp_user_timeout", "fallback_application_name", "dbname", "client_encoding",
		                             NULL };
	const char *const values[] = { "10", "20", "10", "3", "30000", "libsync", conninfo, "UTF8", NULL };

	static_assert(COUNT(words) == COUNT(values), "one value per word");
	db->conn = PQconnectdbParams(words, values, 1);
	if (!db->conn)
		return sync_fail(err, SYNC_ENOMEM, "connecting to PostgreSQL");
	(void)snprintf(db->name, sizeof(db->name), "PostgreSQL database %.60s at %.60s", PQdb(db->conn) ? PQdb(db->conn) : "?",
	               PQhost(db->conn) ? PQhost(db->conn) : "?");
	if (PQstatus(db->conn) == CONNECTION_OK)
		return settle(db, err);
	return fail_db(db, NULL, err);
}

/* A database of the server exists or does not: create has no say in it. rest is what follows "postgres:". */
static enum sync_status open_db(struct sync_db **ret, const char *rest, bool create, struct sync_error *err)
{
	defer(close_dbp) struct postgres_db *db = calloc(1, sizeof(*db));
	defer(sync_buf_clear) struct sync_buf conninfo = { .max = 4096 };

	(void)create;
	if (!db)
		return sync_fail(err, SYNC_ENOMEM, "connecting to PostgreSQL");
	db->parameters.max = MAX_PARAMETERS;
	db->sql.max = SYNC_MAX_SQL;
	sync_buf_addf(&conninfo, "%s%s", strncmp(rest, "//", 2) ? "" : "postgresql:", rest);
	TRY(sync_buf_check(&conninfo, err));
	TRY(check_conninfo(conninfo.data, err));
	TRY(connect_db(db, conninfo.data, err));
	*ret = &steal(db)->base;
	return SYNC_OK;
}

const struct sync_db_ops sync_postgres = {
	.scheme = "postgres",
	.sql = &dialect,
	.open = open_db,
	.close = close_db,
	.run = run,
	.forget = forget,
	.script = script,
	.put_many = put_many,
	.begin = begin,
	.end = end,
	.catalog = catalog,
};

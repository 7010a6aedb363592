#include "floor.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <libpq-fe.h>
#include <sqlite3.h>

#include <libsync/db.h>
#include <libsync/ddl.h>
#include <libsync/entity.h>
#include <libsync/time.h>

#include "base/internal.h"

/* All rows of one table in memory. */
struct table {
	const struct sync_entity *e;
	sqlite3_value **cells;
	size_t n, cap;
	int columns;
};

static void close_db(sqlite3 **db)
{
	sqlite3_close(*db);
}

static void end_statement(sqlite3_stmt **s)
{
	sqlite3_finalize(*s);
}

static enum sync_status lite(sqlite3 *db, int code, struct sync_error *err)
{
	return code == SQLITE_OK || code == SQLITE_DONE ? SYNC_OK : sync_fail(err, SYNC_EDB, "%s", sqlite3_errmsg(db));
}

static enum sync_status open_lite(sqlite3 **ret, const char *path, struct sync_error *err)
{
	TRY(lite(*ret, sqlite3_open(path, ret), err));
	return lite(*ret, sqlite3_exec(*ret, "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; PRAGMA cache_size=-8192; PRAGMA temp_store=MEMORY",
	                               NULL, NULL, NULL), err);
}

static enum sync_status read_table(struct table *t, sqlite3 *db, const struct sync_entity *e, struct sync_error *err)
{
	defer(end_statement) sqlite3_stmt *s = NULL;
	char sql[128];

	snprintf(sql, sizeof(sql), "SELECT * FROM %s", e->name);
	TRY(lite(db, sqlite3_prepare_v2(db, sql, -1, &s, NULL), err));
	*t = (struct table){ .e = e, .columns = sqlite3_column_count(s) };
	while (sqlite3_step(s) == SQLITE_ROW) {
		if (t->n == t->cap) {
			t->cap = t->cap ? t->cap * 2 : 1024;
			t->cells = realloc(t->cells, t->cap * (size_t)t->columns * sizeof(*t->cells));
			if (!t->cells)
				return sync_fail(err, SYNC_ENOMEM, "%zu rows of %s", t->cap, e->name);
		}
		for (int i = 0; i < t->columns; i++)
			t->cells[t->n * (size_t)t->columns + (size_t)i] = sqlite3_value_dup(sqlite3_column_value(s, i));
		t->n++;
	}
	return SYNC_OK;
}

/* INSERT … ON CONFLICT (id) DO UPDATE SET every other column, in the order of SELECT *. */
static enum sync_status prepare_upsert(sqlite3_stmt **ret, sqlite3 *db, const struct table *t, struct sync_error *err)
{
	defer(sync_buf_clear) struct sync_buf sql = { .max = 65536 };
	defer(end_statement) sqlite3_stmt *names = NULL;
	char text[128];

	snprintf(text, sizeof(text), "SELECT * FROM %s", t->e->name);
	TRY(lite(db, sqlite3_prepare_v2(db, text, -1, &names, NULL), err));
	sync_buf_addf(&sql, "INSERT INTO %s(", t->e->name);
	for (int i = 0; i < t->columns; i++)
		sync_buf_addf(&sql, "%s%s", i ? "," : "", sqlite3_column_name(names, i));
	sync_buf_add_text(&sql, ") VALUES (");
	for (int i = 0; i < t->columns; i++)
		sync_buf_add_text(&sql, i ? ",?" : "?");
	sync_buf_add_text(&sql, ") ON CONFLICT(id) DO UPDATE SET ");
	for (int i = 1; i < t->columns; i++)
		sync_buf_addf(&sql, "%s%s=excluded.%s", i > 1 ? "," : "", sqlite3_column_name(names, i), sqlite3_column_name(names, i));
	return lite(db, sqlite3_prepare_v2(db, sql.data, -1, ret, NULL), err);
}

static enum sync_status upsert(sqlite3 *db, const struct table *t, sqlite3_stmt *log, struct sync_error *err)
{
	defer(end_statement) sqlite3_stmt *s = NULL;

	TRY(prepare_upsert(&s, db, t, err));
	for (size_t r = 0; r < t->n; r++) {
		for (int i = 0; i < t->columns; i++)
			sqlite3_bind_value(s, i + 1, t->cells[r * (size_t)t->columns + (size_t)i]);
		TRY(lite(db, sqlite3_step(s), err));
		sqlite3_reset(s);
		if (!log)
			continue;
		sqlite3_bind_text(log, 1, t->e->name, -1, SQLITE_STATIC);
		sqlite3_bind_value(log, 2, t->cells[r * (size_t)t->columns]);
		TRY(lite(db, sqlite3_step(log), err));
		sqlite3_reset(log);
	}
	return SYNC_OK;
}

static enum sync_status make_tables(sqlite3 *db, struct sync_error *err)
{
	size_t n;
	const struct sync_entity *const *e = sync_entities(&n);

	for (size_t i = 0; i < n; i++) {
		defer(sync_buf_clear) struct sync_buf sql = { .max = 1 << 20 };

		sync_ddl_table(&sql, e[i], sync_sqlite.sql);
		TRY(lite(db, sqlite3_exec(db, sql.data, NULL, NULL, NULL), err));
	}
	return SYNC_OK;
}

enum sync_status floor_load(const char *site, const char *out, double *ret_s, struct sync_error *err)
{
	defer(close_db) sqlite3 *from = NULL, *to = NULL;
	size_t n;
	const struct sync_entity *const *e = sync_entities(&n);
	defer(freep) struct table *tables = calloc(n, sizeof(*tables));
	int64_t start;

	TRY(open_lite(&from, site, err));
	TRY(open_lite(&to, out, err));
	TRY(make_tables(to, err));
	for (size_t i = 0; i < n; i++)
		TRY(read_table(&tables[i], from, e[i], err));
	start = sync_tick_us();
	TRY(lite(to, sqlite3_exec(to, "BEGIN IMMEDIATE", NULL, NULL, NULL), err));
	for (size_t i = 0; i < n; i++)
		if (tables[i].n)
			TRY(upsert(to, &tables[i], NULL, err));
	TRY(lite(to, sqlite3_exec(to, "COMMIT", NULL, NULL, NULL), err));
	*ret_s = (double)(sync_tick_us() - start) / 1e6;
	return SYNC_OK;
}

/* The file is a copy of central's before the push: its own capture is taken off. */
static enum sync_status drop_triggers(sqlite3 *db, struct sync_error *err)
{
	const struct sync_entity *e = sync_entity_find(sync_view_of("invoice_line"));
	defer(sync_buf_clear) struct sync_buf sql = { .max = 65536 };

	sync_ddl_drop_triggers(&sql, e, sync_sqlite.sql);
	return lite(db, sqlite3_exec(db, sql.data, NULL, NULL, NULL), err);
}

enum sync_status floor_take_sqlite(const char *site, const char *central, double *ret_s, struct sync_error *err)
{
	defer(close_db) sqlite3 *from = NULL, *to = NULL;
	defer(end_statement) sqlite3_stmt *log = NULL;
	struct table lines;
	int64_t start;

	TRY(open_lite(&from, site, err));
	TRY(open_lite(&to, central, err));
	TRY(drop_triggers(to, err));
	TRY(read_table(&lines, from, sync_entity_find(sync_view_of("invoice_line")), err));
	TRY(lite(to, sqlite3_exec(to, "CREATE TABLE floor_log(seq INTEGER PRIMARY KEY AUTOINCREMENT, entity TEXT, record_id TEXT)", NULL, NULL, NULL), err));
	start = sync_tick_us();
	TRY(lite(to, sqlite3_exec(to, "BEGIN IMMEDIATE", NULL, NULL, NULL), err));
	TRY(lite(to, sqlite3_prepare_v2(to, "INSERT INTO floor_log(entity, record_id) VALUES (?,?)", -1, &log, NULL), err));
	TRY(upsert(to, &lines, log, err));
	TRY(lite(to, sqlite3_exec(to, "COMMIT", NULL, NULL, NULL), err));
	*ret_s = (double)(sync_tick_us() - start) / 1e6;
	return SYNC_OK;
}

static void finish(PGconn **c)
{
	PQfinish(*c);
}

static enum sync_status pg(PGconn *c, const char *sql, struct sync_error *err)
{
	PGresult *r = PQexec(c, sql);
	bool ok = PQresultStatus(r) == PGRES_COMMAND_OK || PQresultStatus(r) == PGRES_TUPLES_OK || PQresultStatus(r) == PGRES_COPY_IN;

	PQclear(r);
	return ok ? SYNC_OK : sync_fail(err, SYNC_EDB, "%s", PQerrorMessage(c));
}

static void copy_row(struct sync_buf *b, const struct table *t, size_t row)
{
	for (int i = 0; i < t->columns; i++) {
		sqlite3_value *v = t->cells[row * (size_t)t->columns + (size_t)i];
		const char *text = (const char *)sqlite3_value_text(v);

		if (i)
			sync_buf_add_char(b, '\t');
		if (!text)
			sync_buf_add_text(b, "\\N");
		for (; text && *text; text++) {
			if (*text == '\\')
				sync_buf_add_char(b, '\\');
			sync_buf_add_char(b, *text);
		}
	}
	sync_buf_add_char(b, '\n');
}

static enum sync_status copy_lines(PGconn *c, const struct table *t, struct sync_error *err)
{
	defer(sync_buf_clear) struct sync_buf b = { .max = 1 << 20 };

	TRY(pg(c, "COPY floor_in FROM STDIN", err));
	for (size_t r = 0; r < t->n; r++) {
		copy_row(&b, t, r);
		if (b.len > 60000 || r + 1 == t->n) {
			if (PQputCopyData(c, b.data, (int)b.len) != 1)
				return sync_fail(err, SYNC_EDB, "%s", PQerrorMessage(c));
			sync_buf_reset(&b);
		}
	}
	if (PQputCopyEnd(c, NULL) != 1)
		return sync_fail(err, SYNC_EDB, "%s", PQerrorMessage(c));
	for (PGresult *r; (r = PQgetResult(c)) != NULL; PQclear(r))
		if (PQresultStatus(r) != PGRES_COMMAND_OK)
			return sync_fail(err, SYNC_EDB, "%s", PQerrorMessage(c));
	return SYNC_OK;
}

enum sync_status floor_take_postgres(const char *site, const char *conninfo, double *ret_s, struct sync_error *err)
{
	const struct sync_entity *e = sync_entity_find(sync_view_of("invoice_line"));
	defer(close_db) sqlite3 *from = NULL;
	defer(finish) PGconn *c = PQconnectdb(conninfo);
	defer(sync_buf_clear) struct sync_buf drop = { .max = 65536 }, upsert_sql = { .max = 65536 };
	struct table lines;
	int64_t start;

	if (PQstatus(c) != CONNECTION_OK)
		return sync_fail(err, SYNC_EDB, "%s", PQerrorMessage(c));
	TRY(open_lite(&from, site, err));
	TRY(read_table(&lines, from, e, err));
	sync_ddl_drop_triggers(&drop, e, sync_postgres.sql);
	TRY(pg(c, drop.data, err));
	TRY(pg(c, "CREATE TABLE floor_log(seq bigserial PRIMARY KEY, entity text, record_id text)", err));
	sync_buf_add_text(&upsert_sql, "INSERT INTO invoice_line SELECT * FROM floor_in ON CONFLICT (id) DO UPDATE SET ");
	for (size_t i = 1; i < e->n_fields; i++)
		sync_buf_addf(&upsert_sql, "%s%s=excluded.%s", i > 1 ? "," : "", e->fields[i].name, e->fields[i].name);
	start = sync_tick_us();
	TRY(pg(c, "BEGIN", err));
	TRY(pg(c, "CREATE TEMP TABLE floor_in (LIKE invoice_line) ON COMMIT DROP", err));
	TRY(copy_lines(c, &lines, err));
	TRY(pg(c, upsert_sql.data, err));
	TRY(pg(c, "INSERT INTO floor_log(entity, record_id) SELECT 'invoice_line', id FROM floor_in", err));
	TRY(pg(c, "COMMIT", err));
	*ret_s = (double)(sync_tick_us() - start) / 1e6;
	return SYNC_OK;
}

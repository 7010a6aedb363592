#include "db/driver.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <sqlite3.h>

#include "base/internal.h"

/*
 * A commit that finds this many pages of 4 KiB in the write-ahead log also copies them to the database, and whoever wants to
 * write meanwhile waits. 2 MiB of scattered pages stay below 100 ms on a slow flash disk (design.md, invariant 9).
 */
#define CHECKPOINT_PAGES "512"
/* Where nobody waits the log may grow to 64 MiB before it is copied: pages that change again and again are copied once. */
static const char short_log[] = "PRAGMA wal_autocheckpoint = " CHECKPOINT_PAGES;
static const char long_log[] = "PRAGMA wal_autocheckpoint = 16384";
/*
 * At central whoever writes, one at a time, has a cache for it, and gives it back with the transaction. A first load appends,
 * and needs less than what comes after it.
 */
static const char large_cache[] = "PRAGMA cache_size = -32768"; /* KiB */
static const char usual_cache[] = "PRAGMA cache_size = -8192";
static const char small_cache[] = "PRAGMA cache_size = -4096";
/* How long a statement waits for another program's transaction; at central all writers stand in this queue. */
enum { BUSY_MS = 30000 };

struct sqlite_db {
	struct sync_db base;
	sqlite3 *handle;
	char *path;
	bool reading; /* the open transaction may not write */
	bool writing; /* one that writes is open */
	enum sync_use use;
	struct sync_statements statements;
	struct sync_buf sql; /* where the SQL of a batch is made */
};

struct statement {
	struct sync_statement base;
	sqlite3_stmt *stmt;
	bool running;
};

static struct sqlite_db *lite(struct sync_db *db)
{
	return (struct sqlite_db *)db;
}

/* errors */

static const struct failure {
	int code; /* extended ones are looked for first */
	enum sync_status status;
	const char *advice;
} failures[] = {
	{ SQLITE_IOERR_CORRUPTFS, SYNC_ECORRUPT, ": the disk's own check failed; keep the file as it is, restore it from a backup to another disk" },
	{ SQLITE_FULL, SYNC_EDISKFULL, ": free some space; nothing is lost" },
	{ SQLITE_BUSY, SYNC_EBUSY, ": another program has not let go of it" },
	{ SQLITE_LOCKED, SYNC_EBUSY, ": another statement has not let go of it" },
	{ SQLITE_INTERRUPT, SYNC_EBUSY, ": stopped on request" },
	{ SQLITE_IOERR, SYNC_EIO, ": the disk refuses; look into the kernel's log, and copy the file while it can be read" },
	{ SQLITE_READONLY, SYNC_EREADONLY, ": check the permissions of the file, its -wal, its -shm and its folder, and that its disk is not mounted read-only" },
	{ SQLITE_CANTOPEN, SYNC_EIO, ": check the path and the permissions of the folder" },
	{ SQLITE_CORRUPT, SYNC_ECORRUPT, ": it is damaged; let nothing write to it, keep it as it is, and restore it from a backup" },
	{ SQLITE_NOTADB, SYNC_ECORRUPT, ": its beginning is damaged, or it is another file; keep it as it is, name another or restore a backup" },
	{ SQLITE_NOMEM, SYNC_ENOMEM, "" },
	{ SQLITE_ERROR, SYNC_EDB, "" },
};

static const struct failure *failure_of_code(int code)
{
	for (size_t i = 0; i < COUNT(failures); i++)
		if (failures[i].code == code)
			return &failures[i];
	return NULL;
}

/*
 * A failed call of the system is told only as "disk I/O error" or "unable to open": its errno tells the two that have a name.
 * SQLite does not keep that of a commit, but has made no call since that failed in another way.
 */
static int code_of_cause(int code, sqlite3 *handle)
{
	int kept = sqlite3_system_errno(handle);

	switch (sync_status_of_errno(kept ? kept : errno)) {
	case SYNC_EDISKFULL:
		return SQLITE_FULL;
	case SYNC_EREADONLY:
		return SQLITE_READONLY;
	default:
		return code;
	}
}

static const struct failure *find_failure(sqlite3 *handle)
{
	int extended = sqlite3_extended_errcode(handle);
	int code = extended & 0xff;
	const struct failure *f = failure_of_code(extended);

	if (!f && (code == SQLITE_IOERR || code == SQLITE_CANTOPEN))
		code = code_of_cause(code, handle);
	f = f ? f : failure_of_code(code);
	return f ? f : &failures[COUNT(failures) - 1];
}

/* What is read from a damaged file cannot be trusted, so nothing that follows from it is written, by the last one to close it neither. */
static void write_no_more(struct sqlite_db *db)
{
	(void)sqlite3_exec(db->handle, "PRAGMA query_only = ON", NULL, NULL, NULL);
	(void)sqlite3_db_config(db->handle, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, NULL);
}

/* What SQLite last reported. */
static enum sync_status fail_db(struct sqlite_db *db, struct sync_error *err)
{
	const struct failure *f = find_failure(db->handle);

	db->base.failed = true;
	(void)sync_fail(err, f->status, "%s: %s%s", db->path, sqlite3_errmsg(db->handle), f->advice);
	if (f->status == SYNC_ECORRUPT)
		write_no_more(db);
	return f->status;
}

/* What this file refuses itself. */
static enum sync_status refuse(struct sqlite_db *db, const char *what, const char *sql, struct sync_error *err)
{
	db->base.failed = true;
	return sync_fail(err, SYNC_EDB, "%s: %s: %.200s", db->path, what, sql);
}

/* values */

/* Borrows text and blobs; every parameter is bound anew before the statement runs again. */
static int bind_value(sqlite3_stmt *stmt, int i, const struct sync_value *v)
{
	switch (v->kind) {
	case SYNC_ABSENT:
	case SYNC_NULL:
		return sqlite3_bind_null(stmt, i);
	case SYNC_INT:
		return sqlite3_bind_int64(stmt, i, v->i);
	case SYNC_DOUBLE:
		return sqlite3_bind_double(stmt, i, v->d);
	case SYNC_STRING:
		return sqlite3_bind_text64(stmt, i, v->s.len ? v->s.data : "", v->s.len, SQLITE_STATIC, SQLITE_UTF8);
	case SYNC_BLOB:
		return sqlite3_bind_blob64(stmt, i, v->s.len ? v->s.data : "", v->s.len, SQLITE_STATIC);
	}
	return SQLITE_MISUSE;
}

static enum sync_status bind_all(struct sqlite_db *db, sqlite3_stmt *stmt, const struct sync_value *v, size_t n,
                                 struct sync_error *err)
{
	for (size_t i = 0; i < n; i++)
		if (bind_value(stmt, (int)i + 1, &v[i]) != SQLITE_OK)
			return fail_db(db, err);
	return SYNC_OK;
}

static struct sync_view column_bytes(sqlite3_stmt *stmt, int i, const void *data)
{
	return (struct sync_view){ data, (size_t)sqlite3_column_bytes(stmt, i) };
}

static struct sync_value column_value(sqlite3_stmt *stmt, int i)
{
	switch (sqlite3_column_type(stmt, i)) {
	case SQLITE_INTEGER:
		return sync_int(sqlite3_column_int64(stmt, i));
	case SQLITE_FLOAT:
		return (struct sync_value){ .kind = SYNC_DOUBLE, .d = sqlite3_column_double(stmt, i) };
	case SQLITE_TEXT:
		return sync_string(column_bytes(stmt, i, sqlite3_column_text(stmt, i)));
	case SQLITE_BLOB:
		return sync_blob(column_bytes(stmt, i, sqlite3_column_blob(stmt, i)));
	default:
		return sync_null();
	}
}

/* statements */

/* The n-th parameter to appear is called $n. */
static bool numbered_in_order(sqlite3_stmt *stmt)
{
	char name[16];

	for (int i = 1; i <= sqlite3_bind_parameter_count(stmt); i++) {
		(void)snprintf(name, sizeof(name), "$%d", i);
		const char *got = sqlite3_bind_parameter_name(stmt, i);
		if (!got || strcmp(got, name) != 0)
			return false;
	}
	return true;
}

static void free_statement(struct statement *s)
{
	if (!s)
		return;
	sqlite3_finalize(s->stmt);
	free(s);
}

static void free_statementp(struct statement **s)
{
	free_statement(*s);
}

static enum sync_status prepare(struct sqlite_db *db, const char *sql, struct statement **ret, struct sync_error *err)
{
	defer(free_statementp) struct statement *s = calloc(1, sizeof(*s));

	if (!s)
		return sync_fail(err, SYNC_ENOMEM, "%s: preparing a statement", db->path);
	if (sqlite3_prepare_v3(db->handle, sql, -1, SQLITE_PREPARE_PERSISTENT, &s->stmt, NULL) != SQLITE_OK)
		return fail_db(db, err);
	if (!s->stmt)
		return refuse(db, "an empty statement", sql, err);
	if (!numbered_in_order(s->stmt))
		return refuse(db, "parameters are not numbered in the order in which they appear", sql, err);
	if (sqlite3_column_count(s->stmt) > SYNC_MAX_COLUMNS)
		return refuse(db, "too many columns", sql, err);
	s->base.sql = sql;
	*ret = steal(s);
	return SYNC_OK;
}

/* The statement kept for sql; when that one is running already, or is of another text that was there, one that ends with its use. */
static enum sync_status start(struct sqlite_db *db, const char *sql, struct statement **ret, struct sync_error *err)
{
	struct statement *s = (struct statement *)sync_statement_find(&db->statements, sql);

	if (!s) {
		TRY(prepare(db, sql, &s, err));
		sync_statement_add(&db->statements, &s->base);
	} else if (s->running || strcmp(sqlite3_sql(s->stmt), sql) != 0) {
		TRY(prepare(db, sql, &s, err));
		s->base.sql = NULL;
	}
	s->running = true;
	*ret = s;
	return SYNC_OK;
}

static void stop(struct statement **running)
{
	struct statement *s = *running;

	if (!s)
		return;
	(void)sqlite3_reset(s->stmt); /* repeats the failure that step has reported */
	s->running = false;
	if (!s->base.sql)
		free_statement(s);
}

static void forget(struct sync_db *base, const char *sql)
{
	free_statement((struct statement *)sync_statement_take(&lite(base)->statements, sql));
}

/* SQLite goes on after a failure, each statement for itself if the transaction is gone; PostgreSQL does not. */
static enum sync_status check_transaction(struct sqlite_db *db, const char *sql, struct sync_error *err)
{
	if (!db->base.in_transaction || !db->base.failed)
		return SYNC_OK;
	return refuse(db, "an earlier statement of the transaction failed", sql, err);
}

static enum sync_status check_use(struct sqlite_db *db, sqlite3_stmt *stmt, size_t n, struct sync_error *err)
{
	TRY(check_transaction(db, sqlite3_sql(stmt), err));
	if ((size_t)sqlite3_bind_parameter_count(stmt) != n)
		return refuse(db, "another number of values was given than the statement takes", sqlite3_sql(stmt), err);
	if (db->reading && !sqlite3_stmt_readonly(stmt))
		return refuse(db, "a transaction that only reads cannot write", sqlite3_sql(stmt), err);
	return SYNC_OK;
}

static enum sync_status give_row(sqlite3_stmt *stmt, sync_row_fn *fn, void *ctx, struct sync_error *err)
{
	struct sync_value row[SYNC_MAX_COLUMNS];
	int n = sqlite3_column_count(stmt);

	for (int i = 0; i < n; i++)
		row[i] = column_value(stmt, i);
	return fn(ctx, row, (size_t)n, err);
}

static enum sync_status run(struct sync_db *base, const char *sql, const struct sync_value *v, size_t n, sync_row_fn *fn,
                            void *ctx, struct sync_error *err)
{
	struct sqlite_db *db = lite(base);
	defer(stop) struct statement *s = NULL;
	int got;

	TRY(start(db, sql, &s, err));
	TRY(check_use(db, s->stmt, n, err));
	TRY(bind_all(db, s->stmt, v, n, err));
	while ((got = sqlite3_step(s->stmt)) == SQLITE_ROW)
		if (fn)
			TRY(give_row(s->stmt, fn, ctx, err));
	return got == SQLITE_DONE ? SYNC_OK : fail_db(db, err);
}

static enum sync_status script(struct sync_db *base, const char *sql, struct sync_error *err)
{
	struct sqlite_db *db = lite(base);

	TRY(check_transaction(db, sql, err));
	if (db->reading)
		return refuse(db, "a transaction that only reads cannot run a script", sql, err);
	return sqlite3_exec(db->handle, sql, NULL, NULL, NULL) == SQLITE_OK ? SYNC_OK : fail_db(db, err);
}

/* batches */

static void write_upsert(struct sync_buf *b, const struct sync_table *t)
{
	sync_buf_addf(b, "INSERT INTO \"%s\"(", t->name);
	sync_sql_columns(b, t);
	sync_buf_add_text(b, ") VALUES (");
	for (size_t i = 1; i <= t->n_columns; i++)
		sync_buf_addf(b, "%s$%zu", i > 1 ? ", " : "", i);
	sync_buf_add_char(b, ')');
	sync_sql_conflict(b, t);
}

static enum sync_status put_rows(struct sqlite_db *db, const struct sync_table *t, sqlite3_stmt *stmt,
                                 const struct sync_value *v, size_t rows, struct sync_error *err)
{
	TRY(check_use(db, stmt, t->n_columns, err));
	for (size_t i = 0; i < rows; i++) {
		TRY(bind_all(db, stmt, v + i * t->n_columns, t->n_columns, err));
		if (sqlite3_step(stmt) != SQLITE_DONE)
			return fail_db(db, err);
		(void)sqlite3_reset(stmt);
	}
	return SYNC_OK;
}

static enum sync_status put_many(struct sync_db *base, const struct sync_table *t, const struct sync_value *v, size_t rows,
                                 struct sync_error *err)
{
	struct sqlite_db *db = lite(base);
	defer(sync_unuse_text) struct sync_kept *kept = NULL;
	defer(stop) struct statement *s = NULL;

	sync_buf_reset(&db->sql);
	write_upsert(&db->sql, t);
	TRY(sync_buf_check(&db->sql, err));
	TRY(sync_use_text(base, db->sql.data, &kept, err));
	TRY(start(db, kept->sql, &s, err));
	return put_rows(db, t, s->stmt, v, rows, err);
}

/* transactions */

static enum sync_status begin(struct sync_db *base, bool write, struct sync_error *err)
{
	static const char begin_write[] = "BEGIN IMMEDIATE";
	static const char begin_read[] = "BEGIN";
	static const char take_snapshot[] = "SELECT 1 FROM sqlite_schema LIMIT 1";
	struct sqlite_db *db = lite(base);

	if (write) {
		TRY(run(base, begin_write, SYNC_NOARGS, NULL, NULL, err));
		db->writing = true;
		if (db->use == SYNC_USE_SERVER)
			(void)sqlite3_exec(db->handle, large_cache, NULL, NULL, NULL);
		return SYNC_OK;
	}
	TRY(run(base, begin_read, SYNC_NOARGS, NULL, NULL, err));
	enum sync_status status = run(base, take_snapshot, SYNC_NOARGS, NULL, NULL, err);
	if (status == SYNC_OK)
		db->reading = true;
	else
		(void)sqlite3_exec(db->handle, "ROLLBACK", NULL, NULL, NULL);
	return status;
}

static enum sync_status end(struct sync_db *base, bool commit, struct sync_error *err)
{
	static const char keep_all[] = "COMMIT";
	static const char forget_all[] = "ROLLBACK";
	struct sqlite_db *db = lite(base);
	enum sync_status status = SYNC_OK;

	db->reading = false;
	if (commit)
		status = run(base, keep_all, SYNC_NOARGS, NULL, NULL, err);
	/* a full disk or a failed write may have ended the transaction already, or may not */
	if (!sqlite3_get_autocommit(db->handle))
		(void)run(base, forget_all, SYNC_NOARGS, NULL, NULL, NULL);
	if (db->writing && db->use == SYNC_USE_SERVER)
		(void)sqlite3_exec(db->handle, small_cache, NULL, NULL, NULL);
	db->writing = false;
	return status;
}

/* Which syncs it first. Nobody waits for it; where it fails, the next writer finds the same. */
static void copy_log(const struct sqlite_db *db)
{
	(void)sqlite3_wal_checkpoint_v2(db->handle, NULL, SQLITE_CHECKPOINT_PASSIVE, NULL, NULL);
}

/* After a load its long log is copied, so that no application has to. */
static enum sync_status set_use(struct sync_db *base, enum sync_use use, struct sync_error *err)
{
	struct sqlite_db *db = lite(base);

	TRY(script(base, use == SYNC_USE_SHARED ? short_log : long_log, err));
	TRY(script(base, use == SYNC_USE_LOAD ? small_cache : usual_cache, err));
	(void)sqlite3_db_config(db->handle, SQLITE_DBCONFIG_ENABLE_TRIGGER, use != SYNC_USE_LOAD, NULL);
	if (db->use == SYNC_USE_LOAD && use != SYNC_USE_LOAD)
		copy_log(db);
	db->use = use;
	return SYNC_OK;
}

static enum sync_status catalog(struct sync_db *base, sync_row_fn *fn, void *ctx, struct sync_error *err)
{
	/* a table without a root page is virtual */
	static const char list_all[] =
		"SELECT 0, t.name, c.name FROM sqlite_schema t, pragma_table_info(t.name) c"
		"    WHERE t.type = 'table' AND t.rootpage > 0"
		" UNION ALL "
		"SELECT 1, tbl_name, name FROM sqlite_schema WHERE type = 'trigger'";

	static_assert(SYNC_HAS_COLUMN == 0 && SYNC_HAS_TRIGGER == 1, "as in the statement");
	return run(base, list_all, SYNC_NOARGS, fn, ctx, err);
}

/* checking */

struct checking {
	struct sqlite_db *db;
	sync_stop_fn *stops;
	void *ctx;
};

static int is_stopped(void *ctx)
{
	const struct checking *c = ctx;

	return c->stops && c->stops(c->ctx);
}

static enum sync_status take_finding(void *ctx, const struct sync_value *v, size_t n, struct sync_error *err)
{
	enum { FINDING = 200 /* bytes to tell */ };
	const struct checking *c = ctx;

	(void)n;
	if (sync_view_is(v[0].s, "ok"))
		return SYNC_OK;
	return sync_fail(err, SYNC_ECORRUPT, "%s: %.*s%s", c->db->path, (int)(v[0].s.len < FINDING ? v[0].s.len : FINDING), v[0].s.data,
	                 failure_of_code(SQLITE_CORRUPT)->advice);
}

/* Of the file as it was when it began: whoever writes meanwhile does not wait, but the log is not begun anew until it is over. */
static enum sync_status check(struct sync_db *base, sync_stop_fn *stops, void *ctx, struct sync_error *err)
{
	static const char first_finding[] = "PRAGMA quick_check(1)";
	enum { STEPS = 100000 /* of SQLite's machine: milliseconds */ };
	struct checking c = { lite(base), stops, ctx };
	enum sync_status status;

	sqlite3_progress_handler(c.db->handle, STEPS, is_stopped, &c);
	status = run(base, first_finding, SYNC_NOARGS, take_finding, &c, err);
	sqlite3_progress_handler(c.db->handle, 0, NULL, NULL);
	if (status == SYNC_ECORRUPT)
		write_no_more(c.db);
	return status;
}

/* opening */

static void close_db(struct sync_db *base)
{
	struct sqlite_db *db = lite(base);

	for (struct sync_statement *s; (s = sync_statement_take_any(&db->statements)) != NULL;)
		free_statement((struct statement *)s);
	(void)sqlite3_close(db->handle);
	sync_buf_clear(&db->sql);
	free(db->path);
	free(db);
}

static void close_dbp(struct sqlite_db **db)
{
	if (*db)
		close_db(&(*db)->base);
}

static enum sync_status check_path(const char *path, bool create, struct sync_error *err)
{
	struct stat st;

	if (!*path)
		return sync_fail(err, SYNC_EUSAGE, "a SQLite database is named by its file: sqlite:FILE");
	if (!create && (stat(path, &st) != 0 ? errno == ENOENT : S_ISREG(st.st_mode) && st.st_size == 0))
		return sync_fail(err, SYNC_ENOTFOUND, "%s: there is no database", path);
	return SYNC_OK;
}

void sync_sqlite_alone(void)
{
	(void)sqlite3_config(SQLITE_CONFIG_MEMSTATUS, 0);
}

/*
 * SQLite would let everybody read a new file, and gives its log the mode that the file has. Only a file that is really new is
 * touched: closing one that this process has open already would end SQLite's locks. What goes wrong, SQLite finds as well.
 */
static void make_file(const char *path)
{
	int fd = strcmp(path, ":memory:") ? open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0660) : -1;

	if (fd >= 0)
		close(fd);
}

static enum sync_status open_db(struct sync_db **ret, const char *path, bool create, struct sync_error *err)
{
	static const char settings[] =
		"PRAGMA synchronous = FULL;" /* what is acknowledged survives a power cut */
		"PRAGMA foreign_keys = OFF;" /* the integrator checks references */
		"PRAGMA temp_store = MEMORY;"
		"PRAGMA mmap_size = 0;"      /* a failing disk is an error, not a signal */
		"PRAGMA journal_size_limit = 16777216";
	int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX | (create ? SQLITE_OPEN_CREATE : 0);
	defer(close_dbp) struct sqlite_db *db = NULL;

	TRY(check_path(path, create, err));
	db = calloc(1, sizeof(*db));
	if (!db)
		return sync_fail(err, SYNC_ENOMEM, "opening %s", path);
	db->sql.max = SYNC_MAX_SQL;
	db->path = strdup(path);
	if (!db->path)
		return sync_fail(err, SYNC_ENOMEM, "opening %s", path);
	if (create)
		make_file(path);
	if (sqlite3_open_v2(path, &db->handle, flags, NULL) != SQLITE_OK)
		return fail_db(db, err);
	(void)sqlite3_busy_timeout(db->handle, BUSY_MS);
	TRY(script(&db->base, SYNC_FAULT(no_sync) ? "PRAGMA synchronous = OFF" : settings, err));
	TRY(script(&db->base, usual_cache, err));
	copy_log(db); /* of a process that died in its COMMIT, it may have what a power cut would take back */
	*ret = &steal(db)->base;
	return SYNC_OK;
}

static const struct sync_dialect dialect = {
	.postgres = false,
	.in_list = "IN (SELECT value FROM json_each($1))",
	.types = {
		[SYNC_ID] = "text", [SYNC_TEXT] = "text", [SYNC_ENUM] = "text", [SYNC_JSON] = "text", [SYNC_DATE] = "text",
		[SYNC_TIME] = "text", [SYNC_BOOLEAN] = "integer", [SYNC_INTEGER] = "integer", [SYNC_BIGINT] = "integer",
		[SYNC_REAL] = "real",
	},
	.for_update = "",
	.for_change = "",
	.for_share = "",
	.serial = "integer PRIMARY KEY AUTOINCREMENT",
	.blob = "blob",
	.clustered = "WITHOUT ROWID",
	.queue = "",
	.updated = "",
	.mode = "PRAGMA journal_mode = WAL",
	.stamp = "PRAGMA application_id = 0x6c73796e", /* "lsyn" */
};

const struct sync_db_ops sync_sqlite = {
	.scheme = "sqlite",
	.sql = &dialect,
	.open = open_db,
	.close = close_db,
	.run = run,
	.forget = forget,
	.script = script,
	.put_many = put_many,
	.begin = begin,
	.end = end,
	.use = set_use,
	.catalog = catalog,
	.check = check,
};

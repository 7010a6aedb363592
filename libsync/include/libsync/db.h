/** A database behind one small interface. A handle belongs to one thread. */
#ifndef LIBSYNC_DB_H
#define LIBSYNC_DB_H

#include <libsync/buf.h>
#include <libsync/entity.h>
#include <libsync/error.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct sync_db;

/** Sees one row: n values, borrowed until it returns. Anything but SYNC_OK ends the statement and is passed up. */
typedef enum sync_status sync_row_fn(void *ctx, const struct sync_value *v, size_t n, struct sync_error *err);

/** Whether what is under way is to end. */
typedef bool sync_stop_fn(void *ctx);

/** The words that the two dialects spell differently; the rest of SQL is shared. */
struct sync_dialect {
	bool postgres;
	const char *in_list;      /* of a JSON array of texts in $1: IN (SELECT value FROM json_each($1)) */
	const char *types[10];    /* column type by enum sync_type; that of ids is compared and ordered by bytes: @id */
	const char *for_update;   /* " FOR UPDATE" or "" */
	const char *for_change;   /* " FOR NO KEY UPDATE" or "": the same, but whoever only refers to such a row does not wait */
	const char *for_share;    /* " FOR KEY SHARE" or "": whoever would delete such a row waits */
	const char *serial;       /* @serial in tables.sql: a primary key that numbers itself and is never reused */
	const char *blob;         /* @blob: column type of bytes */
	const char *clustered;    /* @clustered: the rows live in the primary key's index */
	const char *queue;        /* @queue: rows go as fast as they come, so what they leave behind is cleared early */
	const char *updated;      /* @updated: rows are changed in place, so pages keep room for that */
	const char *mode;         /* script that brings a database that is ours into its mode, outside a transaction; or NULL */
	const char *stamp;        /* script that marks a new database as ours for other programs; or NULL */
	const char *lock;         /* statement by which one process at a time brings a database up to date; or NULL */
};

/** A table and the columns a batch has; the first n_key of them are the primary key. 0: the table numbers its rows itself. */
struct sync_table {
	const char *name;
	const char *const *columns;
	const enum sync_type *types; /* per column */
	size_t n_columns;
	size_t n_key;
	bool keep;  /* an existing row stays as it is (ON CONFLICT DO NOTHING) */
	bool fresh; /* no row was there when the caller looked: one that has come since fails the batch, in PostgreSQL with SYNC_EBUSY */
};

/**
 * What a database has, as sync_db_ops.catalog tells it: (SYNC_HAS_…, table, name of the column or trigger). SYNC_HAS_ID is told,
 * besides, of a column that has the type of ids; by PostgreSQL only, for in SQLite texts are compared by bytes.
 */
enum sync_has { SYNC_HAS_COLUMN, SYNC_HAS_TRIGGER, SYNC_HAS_ID };

/** What a handle is for; a site's is SYNC_USE_SHARED and central's SYNC_USE_SERVER unless something else is said. */
enum sync_use {
	SYNC_USE_SHARED,  /* an application works on the same file: short transactions, a short log */
	SYNC_USE_LOAD, /* first load: large transactions, and what this handle writes fires no trigger, an application's neither */
	SYNC_USE_SERVER, /* large transactions all over the tables, one at a time */
};

/**
 * What a driver does. One statement at a time; it knows nothing of sync. Transactions are kept by db.c: begin is called when
 * none is open, end when one is.
 */
struct sync_db_ops {
	const char *scheme;             /* "sqlite": what stands before ':' in a database's URL */
	const struct sync_dialect *sql;
	enum sync_status (*open)(struct sync_db **ret, const char *rest, bool create, struct sync_error *err);
	void (*close)(struct sync_db *db);
	/* Run one statement; v holds $1, $2 …; fn (may be NULL) sees each row, and may itself run other statements. The
	   statement is kept prepared by the address of sql, which lives until forget() or close. */
	enum sync_status (*run)(struct sync_db *db, const char *sql, const struct sync_value *v, size_t n,
	                        sync_row_fn *fn, void *ctx, struct sync_error *err);
	/* What is kept for this address is not needed any more. */
	void (*forget)(struct sync_db *db, const char *sql);
	/* Run several statements without parameters or rows: DDL. */
	enum sync_status (*script)(struct sync_db *db, const char *sql, struct sync_error *err);
	/* Upsert rows × t->n_columns values: prepared upserts in SQLite; arrays, or COPY and upsert, in PostgreSQL. */
	enum sync_status (*put_many)(struct sync_db *db, const struct sync_table *t, const struct sync_value *v, size_t rows,
	                             struct sync_error *err);
	/* What the handle is for; NULL where it makes no difference. */
	enum sync_status (*use)(struct sync_db *db, enum sync_use use, struct sync_error *err);
	enum sync_status (*begin)(struct sync_db *db, bool write, struct sync_error *err);
	/* Ends begin(): keep or forget all. No transaction is open afterwards, whatever is returned. */
	enum sync_status (*end)(struct sync_db *db, bool commit, struct sync_error *err);
	/* Every column of every table, every trigger, and which columns may hold ids: rows of (enum sync_has, table, name). */
	enum sync_status (*catalog)(struct sync_db *db, sync_row_fn *fn, void *ctx, struct sync_error *err);
	/* Read all of it: SYNC_ECORRUPT when it is damaged. NULL where the database looks after itself. */
	enum sync_status (*check)(struct sync_db *db, sync_stop_fn *stop, void *ctx, struct sync_error *err);
};

/** The drivers. A program names those it wants; what is not named is not linked. */
extern const struct sync_db_ops sync_sqlite, sync_postgres;
/** For a program that uses SQLite through libsync alone, before its first database: SQLite does not count its memory, which takes
 *  a lock at every allocation. */
void sync_sqlite_alone(void);

/** Which of the two sorts of database this is. */
enum sync_role { SYNC_SITE, SYNC_CENTRAL };

/**
 * Open a database, and bring it up to this build: our tables, entity tables, triggers; what it kept as unknown becomes
 * ordinary.
 *
 * @param ret      yours to close; untouched on failure
 * @param url      "sqlite:FILE" or "postgres:CONNINFO"; a bare path is a SQLite file
 * @param drivers  NULL-ended list
 * @param role     a database of the other role is refused
 * @param create   whether a new or empty database becomes ours; without it, a missing one is SYNC_ENOTFOUND
 * @retval SYNC_ECORRUPT  the file is damaged or no database: nothing was changed
 * @retval SYNC_EWRONGDB  of another kind or role, or made by a newer version: the text says which
 */
enum sync_status sync_db_open(struct sync_db **ret, const char *url, const struct sync_db_ops *const *drivers,
                              enum sync_role role, bool create, struct sync_error *err);
/** Another handle on the same database, without the work of sync_db_open(): for a server's threads. */
enum sync_status sync_db_clone(struct sync_db **ret, const struct sync_db *db, struct sync_error *err);
/** Roll back what is open, and close. NULL does nothing. */
void sync_db_close(struct sync_db *db);
/** For defer(). */
void sync_db_closep(struct sync_db **db);
/** The URL as given; a password in it is replaced by "***". */
const char *sync_db_url(const struct sync_db *db);
/** Its dialect. */
const struct sync_dialect *sync_db_dialect(const struct sync_db *db);
/** Its role. */
enum sync_role sync_db_role(const struct sync_db *db);

/**
 * Begin a transaction: with write, locks are taken at once where the database has one writer; without, it is one snapshot and
 * whatever would write fails. A statement that fails (not a row function's failure) leaves nothing to do but roll back.
 */
enum sync_status sync_db_begin(struct sync_db *db, bool write, struct sync_error *err);
/** Keep all since begin; durable when it returns SYNC_OK. A failure leaves no transaction open. */
enum sync_status sync_db_commit(struct sync_db *db, struct sync_error *err);
/** End a transaction by how it went: commit after SYNC_OK, else roll back and pass status on. */
enum sync_status sync_db_finish(struct sync_db *db, enum sync_status status, struct sync_error *err);
/** Forget all since begin; no transaction open: does nothing. */
void sync_db_rollback(struct sync_db *db);
/** Whether a transaction is open. */
bool sync_db_in_transaction(const struct sync_db *db);

/**
 * Run one statement.
 *
 * @param sql  a static string: its address names the prepared statement. $1, $2 … appear in rising order
 * @param v    n values, as many as sql takes; SYNC_ABSENT is null; borrowed until it returns
 * @param fn   sees each row; may be NULL; may run other statements on db, this one included
 * @retval SYNC_EBUSY     locked for too long, or another transaction was first: roll back and repeat
 * @retval SYNC_EDISKFULL the disk is full
 * @retval SYNC_EREADONLY the file or its disk cannot be written
 * @retval SYNC_EIO       the disk refused
 * @retval SYNC_ECORRUPT  the file is damaged or no database: this handle writes nothing more
 * @retval SYNC_ENET      the connection is lost; the next begin makes a new one
 * @retval SYNC_EINVALID  a value that this database cannot hold: a NUL character in a text
 * @retval SYNC_EDB       anything else
 */
enum sync_status sync_db_run(struct sync_db *db, const char *sql, const struct sync_value *v, size_t n, sync_row_fn *fn,
                             void *ctx, struct sync_error *err);
/** The same for SQL made at run time; the last few hundred are kept prepared by their text. */
enum sync_status sync_db_run_text(struct sync_db *db, const char *sql, const struct sync_value *v, size_t n,
                                  sync_row_fn *fn, void *ctx, struct sync_error *err);
/** Several statements without parameters or rows. */
enum sync_status sync_db_script(struct sync_db *db, const char *sql, struct sync_error *err);
/**
 * Upsert many rows, or insert them where the batch has no key: all of them or, on failure, none, in the open transaction or in
 * one of its own.
 *
 * @param v  rows × t->n_columns values, row by row, of kinds that suit t->types; of a repeated key the last row counts
 *           (with t->keep the first)
 */
enum sync_status sync_db_put_many(struct sync_db *db, const struct sync_table *t, const struct sync_value *v, size_t rows,
                                  struct sync_error *err);
/** One number from the first row's first column; fallback when there is no row or it is null. */
enum sync_status sync_db_number(struct sync_db *db, const char *sql, const struct sync_value *v, size_t n, int64_t fallback,
                                int64_t *ret, struct sync_error *err);
/** One text from the first row's first column, appended to ret; *ret_found tells whether there was one. */
enum sync_status sync_db_text(struct sync_db *db, const char *sql, const struct sync_value *v, size_t n, struct sync_buf *ret,
                              bool *ret_found, struct sync_error *err);

/** Values for parameters. */
static inline struct sync_value sync_int(int64_t i)
{
	return (struct sync_value){ .kind = SYNC_INT, .i = i };
}
static inline struct sync_value sync_string(struct sync_view s)
{
	return (struct sync_value){ .kind = SYNC_STRING, .s = s };
}
static inline struct sync_value sync_text(const char *s)
{
	return s ? sync_string(sync_view_of(s)) : (struct sync_value){ .kind = SYNC_NULL };
}
static inline struct sync_value sync_blob(struct sync_view s)
{
	return (struct sync_value){ .kind = SYNC_BLOB, .s = s };
}
static inline struct sync_value sync_null(void)
{
	return (struct sync_value){ .kind = SYNC_NULL };
}
/** Parameters and their count, for sync_db_run(): ARGS(sync_int(1), sync_text("x")), or NOARGS. */
#define SYNC_ARGS(...)                                 \
	(const struct sync_value[]){ __VA_ARGS__ },    \
		sizeof((const struct sync_value[]){ __VA_ARGS__ }) / sizeof(struct sync_value)
/** No parameters. */
#define SYNC_NOARGS NULL, 0

/** Days: unless they were set; at most. */
enum { SYNC_KEEP_DAYS = 90, SYNC_KEEP_MOST = 36500 };
/** For how many days central keeps tombstones and what is settled. A site that is away for longer shows all that it holds when it
 *  comes back. */
enum sync_status sync_keep_get(struct sync_db *db, int64_t *ret_days, struct sync_error *err);
/** Set it. @retval SYNC_EINVALID  not 1 to SYNC_KEEP_MOST */
enum sync_status sync_keep_put(struct sync_db *db, int64_t days, struct sync_error *err);

/**
 * Central: take away what more than most_dead routed rows have left behind in the queue, and let the planner know that they are in
 * the outbox now. PostgreSQL only, for SQLite leaves nothing
 * behind; outside a transaction. Several processes may call it at any time.
 */
enum sync_status sync_queue_vacuum(struct sync_db *db, int64_t most_dead, struct sync_error *err);

/**
 * Read the whole database, and note when that was: outside a transaction. PostgreSQL looks after itself, nothing is done.
 *
 * @param stop  asked now and then; may be NULL
 * @retval SYNC_ECORRUPT  it is damaged: nothing was noted, and nothing is to be written any more
 * @retval SYNC_EBUSY     stopped
 */
enum sync_status sync_db_check(struct sync_db *db, sync_stop_fn *stop, void *ctx, struct sync_error *err);
/** The same when a week has gone by since the last one; a database that was never checked is new, and its week begins. */
enum sync_status sync_db_check_weekly(struct sync_db *db, sync_stop_fn *stop, void *ctx, struct sync_error *err);
/** When it was last checked, or made; 0: never. */
enum sync_status sync_db_checked(struct sync_db *db, int64_t *ret_us, struct sync_error *err);
/** Whether the database can be written: a row is. */
enum sync_status sync_db_probe(struct sync_db *db, struct sync_error *err);

/** Settings of this database that are ours: sync_meta. */
enum sync_status sync_meta_get(struct sync_db *db, const char *key, struct sync_buf *ret, bool *ret_found,
                               struct sync_error *err);
/** Set one, instead of what it was. */
enum sync_status sync_meta_put(struct sync_db *db, const char *key, struct sync_view value, struct sync_error *err);

/** Say what the handle is for from now on; outside a transaction. */
enum sync_status sync_db_use(struct sync_db *db, enum sync_use use, struct sync_error *err);

#endif

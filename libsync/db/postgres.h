/** What the files of the PostgreSQL driver share. They alone know libpq. */
#ifndef SYNC_POSTGRES_H
#define SYNC_POSTGRES_H

#include <libpq-fe.h>

#include "db/driver.h"

struct sync_pg {
	struct sync_db base;
	PGconn *conn;
	char name[160];  /* for error texts */
	char state[6];   /* SQLSTATE of the newest failure */
	bool writing;    /* the open transaction may write */
	unsigned last;   /* number in the newest name of a statement or temporary table */
	uint64_t began;  /* transactions so far */
	uint64_t undone; /* of them rolled back: with each, a temporary table made in it is gone */
	struct sync_statements statements;
	struct sync_statements batches;
	struct sync_buf parameters;
	struct sync_buf sql;
};

static inline struct sync_pg *sync_pg(struct sync_db *db)
{
	return (struct sync_pg *)db;
}

/** For defer(). */
static inline void sync_pg_clear_result(PGresult **result)
{
	PQclear(*result);
}

/* postgres_error.c: each marks the open transaction as failed */

/** What the server or libpq last reported; result may be NULL. */
enum sync_status sync_pg_fail(struct sync_pg *db, const PGresult *result, struct sync_error *err);
/** What the driver refuses itself. */
__attribute__((format(printf, 4, 5)))
enum sync_status sync_pg_refuse(struct sync_pg *db, struct sync_error *err, enum sync_status status, const char *format, ...);
/** SYNC_OK for a result that is none of a failure. */
enum sync_status sync_pg_check(struct sync_pg *db, const PGresult *result, struct sync_error *err);
/** Run statements without parameters; what they yield is dropped. */
enum sync_status sync_pg_execute(struct sync_pg *db, const char *sql, struct sync_error *err);

/* postgres.c */

/** Outside a transaction: a connection that was lost since the last use is made anew. */
enum sync_status sync_pg_connected(struct sync_pg *db, struct sync_error *err);

/* postgres_run.c */

/** Parameters as libpq takes them. */
struct sync_pg_parameters {
	const char *values[SYNC_MAX_COLUMNS];
	int lengths[SYNC_MAX_COLUMNS];
	int formats[SYNC_MAX_COLUMNS]; /* 0 text, 1 binary */
};

/** Prepare a statement under a new name. */
enum sync_status sync_pg_prepare(struct sync_pg *db, char ret[static 16], const char *sql, int n, const Oid *types,
                                 struct sync_error *err);
/** Run "HOW WHAT" whatever comes of it: in a failed transaction nothing does. */
void sync_pg_discard(struct sync_pg *db, const char *how, const char *what);
/** sync_db_ops.run */
enum sync_status sync_pg_run(struct sync_db *base, const char *sql, const struct sync_value *v, size_t n, sync_row_fn *fn,
                             void *ctx, struct sync_error *err);
/** Of what run keeps prepared: the statement at this address, in the server too. */
void sync_pg_forget_statement(struct sync_pg *db, const char *sql);

/* postgres_batch.c */

/** sync_db_ops.put_many */
enum sync_status sync_pg_put_many(struct sync_db *base, const struct sync_table *t, const struct sync_value *v, size_t rows,
                                  struct sync_error *err);
/** Of what put_many keeps: what belongs to the statement at this address, in the server too. */
void sync_pg_forget_batch(struct sync_pg *db, const char *sql);

#endif

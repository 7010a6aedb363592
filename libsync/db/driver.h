/** What drivers share: the base of every handle, statements kept by address, and the SQL of a batch. */
#ifndef SYNC_DRIVER_H
#define SYNC_DRIVER_H

#include <libsync/db.h>

#include "db/beside.h"

enum {
	SYNC_KEPT_TEXTS = 256,     /* SQL made at run time that a handle keeps prepared */
	SYNC_MAX_SQL = 1 << 20,    /* bytes of one statement */
	SYNC_MAX_COLUMNS = 128,    /* of one row or batch */
};

/** SQL made at run time, at an address that names it for the driver until it is evicted. */
struct sync_kept {
	char *sql;
	uint64_t hash;
	uint64_t used;    /* when, in uses of any text: the oldest is evicted */
	unsigned running; /* uses that have not ended; never evicted meanwhile */
};

/** The base of a handle; a driver embeds it first. The driver's open() allocates it zeroed, its close() frees it. */
struct sync_db {
	const struct sync_db_ops *ops;
	char *rest; /* the URL after its scheme; may hold a password */
	char *url;  /* for people */
	enum sync_role role;
	bool in_transaction;
	bool failed; /* set by the driver: a statement of the open transaction failed, only a rollback is left */
	struct {
		char *path; /* NULL: there is no such file */
		sync_beside_fn *write;
		struct sync_buf lines; /* of the open transaction */
	} beside;
	uint64_t uses;
	struct sync_kept kept[SYNC_KEPT_TEXTS];
};

/** Open without bringing up to date; role is the caller's to set. */
enum sync_status sync_db_connect(struct sync_db **ret, const char *url, const struct sync_db_ops *const *drivers, bool create,
                                 struct sync_error *err);

/** Keep a text: *ret borrows it, at an address that stays the same while it is kept; end the use with sync_unuse_text(). */
enum sync_status sync_use_text(struct sync_db *db, const char *sql, struct sync_kept **ret, struct sync_error *err);
void sync_unuse_text(struct sync_kept **kept);

/** One prepared statement; a driver embeds it first. */
struct sync_statement {
	const char *sql; /* whose address is the key */
	struct sync_statement *next;
};

/** Statements by address. */
struct sync_statements {
	struct sync_statement *heads[256];
};

struct sync_statement *sync_statement_find(const struct sync_statements *all, const char *sql);
void sync_statement_add(struct sync_statements *all, struct sync_statement *s);
/** Take it out; NULL when there is none. */
struct sync_statement *sync_statement_take(struct sync_statements *all, const char *sql);
/** Take any out; NULL when there are no more. */
struct sync_statement *sync_statement_take_any(struct sync_statements *all);

/** The columns of a batch, quoted, with commas. */
void sync_sql_columns(struct sync_buf *b, const struct sync_table *t);
/** Its ON CONFLICT clause, if it has a key. */
void sync_sql_conflict(struct sync_buf *b, const struct sync_table *t);

/** What a later format of our own tables changes; sections as in tables.sql, which always has the newest format. */
struct sync_migration {
	int format;
	const char *sql;
};
/** In rising order, ended by format 0. Tests put their own list here. */
extern const struct sync_migration *sync_migrations;

#endif

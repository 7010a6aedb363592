/** Fresh databases for tests, on each driver. Without a server, what needs PostgreSQL is skipped: see with_postgres. */
#ifndef SYNC_TESTDB_H
#define SYNC_TESTDB_H

#include "test.h"
#include <libsync/db.h>

enum testdb_kind { TESTDB_SQLITE, TESTDB_POSTGRES };

/** One database of a test. */
struct testdb {
	enum testdb_kind kind;
	char url[512];
	struct sync_db *db; /* closed by testdb_drop(); NULL when not open */
};

/** Both drivers, for sync_db_open(). */
extern const struct sync_db_ops *const testdb_drivers[];

/** A new, empty database, not opened; skips the test when there is no server for it. */
void testdb_make(struct testdb *t, enum testdb_kind kind);
/** Open it as sync_db_open() does, and create what it lacks; the test fails when that fails. */
void testdb_open(struct testdb *t, enum sync_role role);
/** A database with the content of another, which nobody has open: a backup. */
void testdb_copy(struct testdb *to, const struct testdb *from);
/** Put a backup in the place of a database that nobody has open; the backup stays. */
void testdb_restore(struct testdb *t, const struct testdb *from);
/** Close what is open, and remove the database; does nothing to a zeroed struct. */
void testdb_drop(struct testdb *t);

/** Run SQL that must work: statements behind one another. */
void run_sql(struct sync_db *db, const char *sql);
/** The first number of a query; -1 without a row. @param sql  lives on, as a literal does */
int64_t number_of(struct sync_db *db, const char *sql);

/**
 * A test once per driver: in the list of tests, TESTDB_BOTH(keeps_what_it_is_given). Each run starts with a new, empty
 * database; the test's first line is struct testdb *t = testdb_of(state).
 */
#define TESTDB_BOTH(test) TESTDB_ON(test, TESTDB_SQLITE, "SQLite"), TESTDB_ON(test, TESTDB_POSTGRES, "PostgreSQL")
#define TESTDB_ON(test, kind, name) \
	{ #test " on " name, test, testdb_setup, testdb_teardown, (void *)&testdb_kinds[kind] }
extern const enum testdb_kind testdb_kinds[];
int testdb_setup(void **state);
int testdb_teardown(void **state);
/** The test's database; skips the test when there is no server for it. */
struct testdb *testdb_of(void **state);

#endif

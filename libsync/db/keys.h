/** Looking up many keys with one statement, and telling which of them a row is for. Inner header. */
#ifndef SYNC_KEYS_H
#define SYNC_KEYS_H

#include <libsync/db.h>

/** What stands after FROM for the table k(key, value) of a JSON array of texts in $1: the texts and their places from 0 on. */
const char *sync_keys_sql(const struct sync_db *db);
/**
 * Append the look-up of rows of another table for each row so far, whatever the planner thinks: rows on the left are gone through,
 * those on the right found by an index.
 *
 * @param table  followed by its alias: "name", "t"
 * @param on     an expression, formatted
 */
void sync_keys_look(struct sync_buf *sql, const struct sync_db *db, const char *table, const char *alias, const char *on, ...)
	__attribute__((format(printf, 5, 6)));

/** Run a statement made at run time with keys as $1 and n_more values as $2 and so on. */
enum sync_status sync_keys_run(struct sync_db *db, const struct sync_buf *sql, const struct sync_view *keys, size_t n,
			       const struct sync_value *more, size_t n_more, sync_row_fn *fn, void *ctx,
			       struct sync_error *err);

#endif

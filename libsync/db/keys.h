/** Looking up many keys with one statement, and telling which of them a row is for. Inner header. */
#ifndef SYNC_KEYS_H
#define SYNC_KEYS_H

#include <libsync/db.h>

/**
 * What stands after FROM for the table k(key, value) of a JSON array of texts in $1: the texts and their places from 0 on.
 * Followed by CROSS JOIN and WHERE, SQLite goes through the keys and looks the rest up.
 */
const char *sync_keys_sql(const struct sync_db *db);

/** Run a statement made at run time with keys as $1 and n_more values as $2 and so on. */
enum sync_status sync_keys_run(struct sync_db *db, const struct sync_buf *sql, const struct sync_view *keys, size_t n,
			       const struct sync_value *more, size_t n_more, sync_row_fn *fn, void *ctx,
			       struct sync_error *err);

#endif

/** Lines that are kept in a file besides the database: durable there before the change that they tell of is committed. Inner header. */
#ifndef SYNC_BESIDE_H
#define SYNC_BESIDE_H

#include <libsync/db.h>

/** Writes lines to the file, durably; in the transaction that is about to be committed. */
typedef enum sync_status sync_beside_fn(struct sync_db *db, const char *path, struct sync_view lines, struct sync_error *err);

/** From now on there is such a file, for this handle and for those that are cloned from it. */
enum sync_status sync_beside_set(struct sync_db *db, const char *path, sync_beside_fn *write, struct sync_error *err);
/** Its path; NULL: there is none. */
const char *sync_beside_path(const struct sync_db *db);
/** Lines of the open transaction, each with its end; nothing where there is no file. They go with a rollback. */
enum sync_status sync_beside_add(struct sync_db *db, struct sync_view lines, struct sync_error *err);

/** For db.c: write what was added; forget it; the same file for a clone; free all. */
enum sync_status sync_beside_write(struct sync_db *db, struct sync_error *err);
void sync_beside_forget(struct sync_db *db);
enum sync_status sync_beside_copy(struct sync_db *to, const struct sync_db *from, struct sync_error *err);
void sync_beside_clear(struct sync_db *db);

#endif

/**
 * What can be read of a SQLite file that is damaged, page by page: SQLite itself gives up at the first bad page, and without its
 * schema at once. Nothing is written, not even a copy, since the disk may be what damages it. Inner header of the db.
 */
#ifndef SYNC_WRECK_H
#define SYNC_WRECK_H

#include <libsync/db.h>

struct sync_wreck;

/** Hears now and then how many pages have been read, some of them again; anything but SYNC_OK ends it and is passed up. */
typedef enum sync_status sync_wreck_watch_fn(void *ctx, int64_t pages, struct sync_error *err);

/**
 * Open a file with its log.
 *
 * @param watch  may be NULL
 * @retval SYNC_ENOTFOUND  it is not there, or empty
 * @retval SYNC_ECORRUPT   nothing of it is a SQLite database
 */
enum sync_status sync_wreck_open(struct sync_wreck **ret, const char *path, sync_wreck_watch_fn *watch, void *ctx, struct sync_error *err);
/** For defer(). */
void sync_wreck_closep(struct sync_wreck **w);
/** Whether commits that were durable may be missing, because the log is damaged. */
bool sync_wreck_log_damaged(const struct sync_wreck *w);
/** The text that made a table; NULL: it was not found. */
const char *sync_wreck_sql(const struct sync_wreck *w, const char *table);

/**
 * Every row that can be read of a table or an index. The values are in the order of the file, where a whole number may stand for
 * a real one, and columns that were added later may be missing.
 *
 * @param ret_whole  all of it was read; also of what is not in a schema that was read as a whole
 */
enum sync_status sync_wreck_each(struct sync_wreck *w, const char *name, sync_row_fn *fn, void *ctx, bool *ret_whole,
                                 struct sync_error *err);
/**
 * Every row of pages that nothing leads to, of whatever table: what led to them is damaged. Nothing when the list of unused pages
 * is damaged, since those have rows that are older.
 */
enum sync_status sync_wreck_each_stray(struct sync_wreck *w, sync_row_fn *fn, void *ctx, struct sync_error *err);

#endif

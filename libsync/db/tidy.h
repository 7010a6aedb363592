/** What central forgets in time, so that its disk is bounded. Inner header. */
#ifndef SYNC_TIDY_H
#define SYNC_TIDY_H

#include <libsync/db.h>
#include <libsync/frame.h>

/**
 * Forget what was kept for long enough, in the caller's transaction: tombstones that all who need them have passed, routing
 * transactions that nobody can name, what is settled. A site that was away for longer holds nothing back any more; it has lapsed.
 */
enum sync_status sync_tidy(struct sync_db *db, const struct sync_checkpoint *newest, int64_t now_us, struct sync_error *err);

/** The seq upto which tombstones may have been forgotten; 0: none have. */
enum sync_status sync_tidy_upto(struct sync_db *db, int64_t now_us, int64_t *ret, struct sync_error *err);
/** The seq upto which routing transactions may have been forgotten; 0: none have. */
enum sync_status sync_tidy_thinned(struct sync_db *db, int64_t now_us, int64_t *ret, struct sync_error *err);

#endif

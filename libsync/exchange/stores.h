/** Where a store is active, inside a transaction of the caller. Inner header of the exchange. */
#ifndef SYNC_STORES_H
#define SYNC_STORES_H

#include <libsync/db.h>

/**
 * Make a store that is active nowhere active at a site.
 *
 * @retval SYNC_ENOTFOUND  no such store
 * @retval SYNC_EINVALID   it is active at another site
 */
enum sync_status sync_store_give(struct sync_db *db, const char *store_id, int64_t site_id, struct sync_error *err);

/** Carry out all moves away from a site that holds nothing any more. */
enum sync_status sync_store_let_go(struct sync_db *db, int64_t site_id, struct sync_error *err);

/**
 * Carry out the moves away from a site that has nothing left to push and has stored the notice of them.
 *
 * @param unpushed      what it last said that it still has to push, with what is spooled of it
 * @param verdict_seen  the highest verdict that it has stored
 */
enum sync_status sync_store_settle(struct sync_db *db, int64_t site_id, int64_t unpushed, int64_t verdict_seen, struct sync_error *err);

#endif

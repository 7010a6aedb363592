/** Where a store is active, inside a transaction of the caller. Inner header of the exchange. */
#ifndef SYNC_STORES_H
#define SYNC_STORES_H

#include <libsync/db.h>

/** What came of a move; 0: nowhere. */
struct sync_move {
	int64_t from, to; /* where the store was, and is from now on; the caller starts what follows from it */
	bool waits;       /* for the site that has it, which is told */
};

/**
 * A store should be at a site, or nowhere (0): it is from now on, or once the site that has it has pushed everything. Wherever the
 * wish comes from, it is carried out here.
 *
 * @param force  do not wait: what the site that has it still pushes of the store will be quarantined
 */
enum sync_status sync_store_place(struct sync_db *db, struct sync_view store_id, int64_t site_id, bool force, struct sync_move *ret,
                                  struct sync_error *err);
/** There is no such store any more. */
enum sync_status sync_store_close(struct sync_db *db, struct sync_view store_id, struct sync_move *ret, struct sync_error *err);

/** A store is where the registry says (registry.h), whatever the database had; 0: nowhere. In the caller's transaction. */
enum sync_status sync_store_recall(struct sync_db *db, struct sync_view store_id, int64_t site_id, int64_t revision,
                                   struct sync_error *err);

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
 * Carry out the moves away from a site, if by its row in sync_site it has nothing left to push, none of it is spooled, and it has
 * stored the notice of them. Cheap when none waits.
 */
enum sync_status sync_store_settle(struct sync_db *db, int64_t site_id, struct sync_error *err);

#endif

/** Groups, or records that are of none, of which something has changed and is not routed yet. Inner header of pull_write.c. */
#ifndef SYNC_PULL_QUEUE_H
#define SYNC_PULL_QUEUE_H

#include <libsync/db.h>

#include "exchange/set.h"

/** Zeroed but for the set's arena it is ready. */
struct sync_unrouted {
	struct sync_set groups; /* (root's entity, root's id); a record of no group is its own root */
	bool all;               /* too many to be told apart */
};

/**
 * Find what is in the queue in this snapshot: by its rows' old and new parents, since a change may move a record from one group
 * to another. Costs one look-up when the queue is empty.
 */
enum sync_status sync_unrouted_read(struct sync_unrouted *u, struct sync_db *db, struct sync_error *err);
/** Whether a group is among them, or may be. */
bool sync_unrouted_has(const struct sync_unrouted *u, const struct sync_entity *root, struct sync_view id);

#endif

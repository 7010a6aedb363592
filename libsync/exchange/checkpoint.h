/** The kept checkpoints of pushes, at the site that made them and at central. Inner header of the exchange. */
#ifndef SYNC_CHECKPOINT_H
#define SYNC_CHECKPOINT_H

#include <libsync/db.h>
#include <libsync/frame.h>

/**
 * Keep one, in the caller's transaction, and thin the list: at ordinal N, n stays if C * 2^(trailing zero bits of n) >= N - n.
 * The list is looked through every 16 ordinals, so a few more than these may be there.
 *
 * @param peer      site; 0 is central
 * @param previous  ordinal of the one kept before
 * @see design.md, section 9
 */
enum sync_status sync_checkpoint_put(struct sync_db *db, int64_t peer, const struct sync_checkpoint *c, int64_t previous,
				     struct sync_error *err);

/** The kept one of that id. */
enum sync_status sync_checkpoint_find(struct sync_db *db, int64_t peer, const char *id, struct sync_checkpoint *ret,
				      bool *ret_found, struct sync_error *err);

#endif

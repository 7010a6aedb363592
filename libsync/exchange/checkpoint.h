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

/** Whether the rule keeps an ordinal while another is the newest; one that it does not keep may be gone, and is not lost. */
bool sync_checkpoint_kept(int64_t ordinal, int64_t newest);

/** The kept one of that id. */
enum sync_status sync_checkpoint_find(struct sync_db *db, int64_t peer, const char *id, struct sync_checkpoint *ret,
				      bool *ret_found, struct sync_error *err);

/** The newest SYNC_INQUIRY_MAX kept ones, newest first, in an arena. */
enum sync_status sync_checkpoint_list(struct sync_db *db, int64_t peer, struct sync_arena *arena, const struct sync_checkpoint **ret,
				      size_t *ret_n, struct sync_error *err);

/** Central: whether a site has left this one, and gone on elsewhere. */
enum sync_status sync_checkpoint_abandoned(struct sync_db *db, int64_t peer, const char *id, bool *ret, struct sync_error *err);

/** Central: a site has left all above an ordinal. */
enum sync_status sync_checkpoint_abandon(struct sync_db *db, int64_t peer, int64_t ordinal, struct sync_error *err);

#endif

/** A site and central whose histories have parted: central's half. Inner header of the exchange. */
#ifndef SYNC_PARTED_H
#define SYNC_PARTED_H

#include "exchange/peer.h"

/** What of a question central knows. In the snapshot of the answer; writes nothing. @param loss  of the request that asks */
enum sync_status sync_parted_answer(struct sync_db *db, const struct sync_peer *p, const struct sync_header *h, int loss,
				    struct sync_common *ret, struct sync_error *err);

/**
 * A push of a branch that is new here says where that began; in its transaction, before its records are read. p has the branch
 * afterwards.
 *
 * @param ret_copied  the branch began where the site had left before: the database has two copies. That is written, and is to be
 *                    committed; nothing else of the push is
 */
enum sync_status sync_parted_branch(struct sync_db *db, struct sync_peer *p, const struct sync_header *h, bool *ret_copied,
				    struct sync_error *err);

/**
 * Whether a request shows that its site is in a branch that is new here, and has nothing to push that would say so: what is spooled
 * may be parts of a group that the site does not go on with, and while anything is, it is sent nothing. sync_parted_leave() keeps
 * those for a person.
 */
bool sync_parted_leaves(const struct sync_peer *p, const struct sync_header *h);
enum sync_status sync_parted_leave(struct sync_db *db, const struct sync_peer *p, struct sync_error *err);

/** A message of offers was taken, in its transaction. @param offered  the messages before it, as it says itself */
enum sync_status sync_parted_offered(struct sync_db *db, int64_t site_id, const struct sync_checkpoint *offered,
				     struct sync_error *err);

#endif

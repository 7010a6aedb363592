/** A push, from both sides. Inner header of the exchange. */
#ifndef SYNC_PUSH_H
#define SYNC_PUSH_H

#include <libsync/exchange.h>

#include "exchange/batch.h"
#include "exchange/peer.h"
#include "exchange/pending.h"

/** An edit that cannot be sent as it is. */
struct sync_unsendable {
	size_t row; /* in pending */
	struct sync_fault why;
};

/** A site's pushes of one round. */
struct sync_push {
	const struct sync_options *o;
	struct sync_seqs sent; /* above out.upto, at central since earlier in the round */
	double record_bytes;   /* of a compressed record, as the last message had them */
	/* a group that goes in parts: how many of its rows, as they were, central has */
	size_t part_done, part_rows;
	int64_t part_newest;
	/* the message on its way */
	struct sync_pending pending;
	size_t from, to; /* its rows in pending; to is 0 when it carries none */
	bool part;
	struct sync_checkpoint made;
	struct sync_unsendable *bad;
	size_t n_bad, cap_bad;
};
/** Zeroed but for o it is ready. */
void sync_push_clear(struct sync_push *p);

/**
 * Write a request with what is to be pushed, as much as suits the link, and commit its checkpoint.
 *
 * @param db    of a site, outside any transaction
 * @param link  made and unanswered are set
 * @param h     what is common to all requests; made, part, cont, unpushed and held are set
 * @param want  bytes that suit the link
 * @param ret   the message, borrowed from w
 */
enum sync_status sync_push_write(struct sync_push *p, struct sync_db *db, struct sync_link *link, struct sync_header *h,
				 struct sync_writer *w, size_t want, struct sync_view *ret, struct sync_error *err);

/** Central has stored it: keep in the transaction that says so which edits could not be sent. */
enum sync_status sync_push_settle(struct sync_push *p, struct sync_db *db, struct sync_error *err);
/** That transaction is committed: the next message goes on from here. */
enum sync_status sync_push_done(struct sync_push *p, struct sync_error *err);
/** Let next go on behind the message of p, as if central had stored it; no group goes on behind that one. */
enum sync_status sync_push_follow(struct sync_push *next, const struct sync_push *p, struct sync_error *err);
/** How many records it carried. */
int64_t sync_push_records(const struct sync_push *p);

/** What central did with a push. */
struct sync_taken {
	int64_t records;
	bool refused; /* base is not the newest stored checkpoint: nothing was read */
	bool spooled;
	bool copied;  /* as of sync_parted_branch(): committed, and nothing else */
};
/**
 * Central's part: store and integrate a request that carries records, in one transaction, under the lock of its site.
 *
 * @param db      outside any transaction
 * @param b       memory that is used again and again
 * @param reader  behind the header h
 * @param body    the whole message
 * @param seen    may be NULL
 * @param waiting_max  as of sync_server_bound()
 * @param follows  the stored checkpoint that counts instead of the base, see server.h; or NULL
 * @retval SYNC_EBADFRAME  nothing was kept
 * @retval SYNC_EFULL      nothing was kept: what it would leave waiting has no room
 */
enum sync_status sync_push_take(struct sync_db *db, int64_t site_id, const struct sync_header *h, struct sync_reader *reader,
				struct sync_view body, struct sync_batch *b, struct sync_seen *seen, int64_t waiting_max,
				const struct sync_checkpoint *follows, struct sync_taken *ret, struct sync_error *err);

/** Central with one writer routes in the transaction that integrates; several steps at most, the rest is left to sync_route().
 */
enum sync_status sync_route_within(struct sync_db *db, struct sync_error *err);

#endif

/** Messages too large for one transaction: kept whole, integrated slice by slice. Inner header of the exchange. */
#ifndef SYNC_SPOOL_H
#define SYNC_SPOOL_H

#include "exchange/integrate.h"

/** Whether a message is followed by more of its last group; sync_spool.part. */
enum sync_spool_part {
	SYNC_SPOOL_WHOLE,
	SYNC_SPOOL_BEGINS, /* it goes on in the next message, or in the one after that … */
	SYNC_SPOOL_WITHIN, /* and nothing else is left of this one */
};

/**
 * Keep a message and when it came, in the caller's transaction.
 *
 * @param n        rises per source and never comes again, or who still works on a message that is gone takes this for it
 * @param records  that it carries
 * @param upto     of it
 * @param part     of its last group
 */
enum sync_status sync_spool_put(struct sync_db *db, int64_t source, int64_t n, struct sync_view body, int64_t records,
                                int64_t upto, enum sync_spool_part part, struct sync_error *err);
/** Forget the parts of a group whose rest never came: its sender begins it again. In the caller's transaction. */
enum sync_status sync_spool_drop_parts(struct sync_db *db, int64_t source, struct sync_error *err);
/**
 * Central: put them to a person instead, when their sender has lost them: they exist nowhere else. The parts stay; in the caller's
 * transaction.
 */
enum sync_status sync_spool_quarantine_parts(struct sync_db *db, int64_t source, struct sync_error *err);
/** A number for messages that have none of their own: central's answers. In the transaction that puts the message. */
enum sync_status sync_spool_number(struct sync_db *db, int64_t *ret, struct sync_error *err);
/** Whether anything of this source is spooled. */
enum sync_status sync_spool_pending(struct sync_db *db, int64_t source, bool *ret, struct sync_error *err);

/**
 * Called in each slice's transaction before its commit.
 *
 * @param upto      of the newest message that the slice completes
 * @param finished  whether it completes any
 */
typedef enum sync_status sync_slice_fn(void *ctx, struct sync_db *db, int64_t upto, bool finished, struct sync_error *err);

/**
 * Integrate the oldest spooled messages of a source, in transactions of about slice_us with pauses as long between two, cut only
 * between groups; a message whose last group goes on in the next waits for it. After a crash it goes on where it was.
 *
 * @param db        outside any transaction
 * @param in        its now_us does not count: a message was received when it was kept
 * @param o         slice_us, pause, stop, progress; may be NULL
 * @param slice     may be NULL
 * @param most      records after which to return at the latest (0: until there are none)
 * @param ret       what was committed is added to it, also on failure
 * @param ret_more  whether there is more that can go on
 * @retval SYNC_EBUSY  o->stop was set
 */
enum sync_status sync_spool_drain(struct sync_db *db, const struct sync_intake *in, const struct sync_options *o, int64_t most,
                                  sync_slice_fn *slice, void *ctx, struct sync_outcome *ret, bool *ret_more, struct sync_error *err);

#endif

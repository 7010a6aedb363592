/** A site offers what it received and central has lost. Inner header of the exchange. */
#ifndef SYNC_OFFER_H
#define SYNC_OFFER_H

#include <libsync/exchange.h>

#include "exchange/talk.h"

/** In sync_link.offer besides enum sync_loss: what the tables hold may be lost, for the log does not reach back. */
enum { SYNC_OFFER_REST = 4 };

/**
 * Begin: from now on the site does nothing but offer, until all is acknowledged. In the caller's transaction.
 *
 * @param link   with the place that is held, of which link->lost will tell
 * @param loss   enum sync_loss
 * @param after  what is in the log behind this row is offered
 * @param whole  the log has all that was received since the loss; else whatever the tables hold may be lost
 */
enum sync_status sync_offer_begin(struct sync_db *db, struct sync_link *link, int loss, int64_t after, bool whole, struct sync_error *err);

/**
 * A step while link->loss is set: collect more, or send some and have them acknowledged. After the last one, which has nothing
 * left to offer, it is cleared.
 *
 * @param ret_parted  central has lost history again: nothing was acknowledged
 */
enum sync_status sync_offer_step(struct sync_db *db, struct sync_link *link, struct sync_talk *talk, bool *ret_parted,
				 struct sync_error *err);

/**
 * All that central had to send has come from one that has the offers: they are forgotten. Until then they are kept, for central
 * may be restored again, and has lost them then. In the caller's transaction.
 */
enum sync_status sync_offer_end(struct sync_db *db, struct sync_link *link, struct sync_error *err);

#endif

/** A site and central whose histories have parted find back together: the site's half. Inner header of the exchange. */
#ifndef SYNC_HEAL_H
#define SYNC_HEAL_H

#include <libsync/exchange.h>

/**
 * Whether an answer tells that the histories have parted, which sync_heal_apply() is for. They have not when an answer was lost.
 *
 * @retval SYNC_EBADFRAME  central's checkpoint is one of this site's, but says something else of it
 */
enum sync_status sync_heal_needed(struct sync_db *db, const struct sync_link *link, const struct sync_header *answer, bool *ret,
				  struct sync_error *err);

/** Write the question what both have in common. @param ret  the message, borrowed from w */
enum sync_status sync_heal_ask(struct sync_db *db, const struct sync_link *link, struct sync_writer *w, struct sync_view *ret,
			       struct sync_error *err);

/**
 * Act on its answer, in one transaction: go back with the pushes, begin a new branch, go back with the pulls and offer what
 * was received since, as the case may be. Nothing if there is nothing to do.
 *
 * @param link  afterwards of after
 * @see design.md, section 9
 */
enum sync_status sync_heal_apply(struct sync_db *db, struct sync_link *link, const struct sync_header *answer,
				 struct sync_error *err);

/**
 * What a first load has brought so far is of a history that central has lost, or too old (enum sync_loss): no more pages, but
 * offers, and then all that there is by pulls. In a transaction of its own.
 */
enum sync_status sync_heal_load(struct sync_db *db, int loss, struct sync_error *err);

#endif

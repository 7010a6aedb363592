/** The site's side of an answer. Inner header of the exchange. */
#ifndef SYNC_PULL_H
#define SYNC_PULL_H

#include <libsync/exchange.h>

#include "exchange/batch.h"
#include "exchange/integrate.h"
#include "exchange/push.h"

/** An answer that was read to its end. */
struct sync_answer {
	struct sync_header h;
	bool spool; /* too many records for one transaction, or a part of a group */
};

/**
 * Read it.
 *
 * @param most  records that one transaction takes
 * @retval SYNC_EBADFRAME  nothing may be believed of it
 */
enum sync_status sync_answer_read(struct sync_answer *ret, struct sync_batch *b, struct sync_view body, size_t most,
				  struct sync_error *err);

/** What an answer did. */
struct sync_applied {
	int64_t pushed; /* records that central says it has, of the push at hand */
	struct sync_outcome outcome;
	bool leave; /* a store is to be let go: central waits for the next request */
	bool parted; /* the histories have: nothing was believed */
};

/**
 * Believe it: central's checkpoint of this site, verdicts, records and positions, in one transaction, or none if nothing
 * changed.
 *
 * @param link   of before; afterwards of after
 * @param asked  the request's header
 * @param push   what the request carried, if anything
 */
enum sync_status sync_answer_apply(const struct sync_answer *a, struct sync_batch *b, struct sync_view body, struct sync_db *db,
				   struct sync_link *link, const struct sync_header *asked, struct sync_push *push,
				   struct sync_applied *ret, struct sync_error *err);

#endif

/** What goes into a lot: records that arrive, and what waits of the same groups. Inner header of the exchange. */
#ifndef SYNC_COLLECT_H
#define SYNC_COLLECT_H

#include "db/inbox.h"
#include "exchange/lot.h"

/** A lot being filled out of the inbox. */
struct sync_collect {
	struct sync_lot *lot;
	sync_inbox_fn *freed; /* told of a group that stays in the inbox, but without a record that the lot replaces */
	void *ctx;
};

/**
 * Put the records that arrive into a lot, which is empty. Of two edits of one record in one group the later counts.
 *
 * @param ret_fits  how many of them are whole groups before the first group, or record, that comes a second time. Less than n:
 *                  the lot is to be filled anew with these only.
 */
enum sync_status sync_collect_arrived(struct sync_lot *lot, const struct sync_record *r, const struct sync_view *lines,
                                      size_t n, size_t *ret_fits, struct sync_error *err);
/** Take what waits of the lot's groups out of the inbox and into the lot; what waits of its records is replaced by them. */
enum sync_status sync_collect_waiting(struct sync_collect *c, struct sync_error *err);
/** Take these groups out of the inbox and into the lot. */
enum sync_status sync_collect_roots(struct sync_collect *c, const struct sync_view *roots, size_t n, struct sync_error *err);

#endif

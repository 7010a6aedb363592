/** Central takes what sites offer after it lost history, for a person to decide about. Inner header of the exchange. */
#ifndef SYNC_RECOVERED_H
#define SYNC_RECOVERED_H

#include "exchange/batch.h"
#include "exchange/peer.h"

/** Whether central has what is offered: the same content, or for a delete nothing. */
bool sync_offer_same(const struct sync_record *offered, const struct sync_record *stored);

/**
 * A request of offers: what central has as well is passed over; of the rest the site is sent central's version, and what central
 * lost is kept (kind recovered). In a transaction of its own.
 *
 * @param b         memory that is used again and again
 * @param reader    behind the header h
 * @param seen      may be NULL
 * @param waiting_max  as of sync_server_bound()
 * @param ret_took  false: the place that the offers are of is not known here, and nothing was read
 * @retval SYNC_EBADFRAME  nothing was kept
 * @retval SYNC_EFULL      the site has offered too much
 */
enum sync_status sync_offer_take(struct sync_db *db, int64_t site_id, const struct sync_header *h, struct sync_reader *reader,
				 struct sync_batch *b, struct sync_seen *seen, int64_t waiting_max, bool *ret_took,
				 struct sync_error *err);

#endif

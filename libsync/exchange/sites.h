/** A site begins anew. Inner header of the exchange. */
#ifndef SYNC_SITES_H
#define SYNC_SITES_H

#include <libsync/db.h>

/**
 * Forget what a site's installation did and holds: positions, checkpoints, verdicts, what is spooled; moves that waited for it are
 * carried out. Its name, its secret and its number stay. In the caller's transaction.
 */
enum sync_status sync_site_forget(struct sync_db *db, int64_t site_id, struct sync_error *err);

#endif

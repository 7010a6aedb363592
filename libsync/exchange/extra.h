/** Unknown fields of records that an application deletes: no trigger takes them along. Inner header of the exchange. */
#ifndef SYNC_EXTRA_H
#define SYNC_EXTRA_H

#include <libsync/db.h>

/** A record whose delete is pushed or routed. */
struct sync_gone {
	const struct sync_entity *entity;
	struct sync_view id;
};

/**
 * Forget the unknown fields of those of n records that do not exist, or a record made later with the same id would have them;
 * in the caller's write transaction.
 *
 * @param gone  is put into order
 */
enum sync_status sync_extra_forget(struct sync_db *db, struct sync_gone *gone, size_t n, struct sync_error *err);

#endif

/** Fields that this build does not know, where records_put() does not keep them. Inner header of the exchange. */
#ifndef SYNC_EXTRA_H
#define SYNC_EXTRA_H

#include <libsync/db.h>
#include <libsync/frame.h>

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

/**
 * Central: of what r has beyond this build's fields, and the stored record has not, say that it is null there. Whoever is to undo r
 * may know those fields, and what is absent would stay as r has it. In the caller's write transaction.
 */
enum sync_status sync_extra_deny(struct sync_db *db, const struct sync_record *r, struct sync_error *err);

#endif

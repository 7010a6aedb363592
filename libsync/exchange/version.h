/** Versions of records that any site may edit, at central and at a site. Inner header of the exchange. */
#ifndef SYNC_VERSION_H
#define SYNC_VERSION_H

#include <libsync/db.h>
#include <libsync/frame.h>

/** A row of sync_version: the edit that made a record what it is. */
struct sync_version {
	struct sync_view entity, id;
	struct sync_view version, base;
	int64_t edited_us, received_us;
	int64_t creator;
	bool deleted;
};

/** These are the present ones. */
enum sync_status sync_versions_put(struct sync_db *db, const struct sync_version *v, size_t n, struct sync_error *err);
/** Central has had these: the same edit, when it comes again, is told by them. */
enum sync_status sync_versions_had(struct sync_db *db, const struct sync_version *v, size_t n, int64_t at_us,
                                   struct sync_error *err);

/** A record that central itself has changed or deleted: the last row of the queue about it. */
struct sync_own_edit {
	const struct sync_entity *entity;
	struct sync_view id;
	int64_t seq, at_us;
	bool gone;
};

/**
 * Make the versions "0.RANDOM.SEQ" of n edits, each record once, in the caller's transaction: a site that has not seen them edits
 * something else, and central notices. Whoever created a record stays its creator.
 *
 * @param edits  is put into order
 */
enum sync_status sync_own_versions(struct sync_db *db, struct sync_own_edit *edits, size_t n, struct sync_error *err);

#endif

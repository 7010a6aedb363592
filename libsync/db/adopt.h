/** What a database kept as unknown becomes ordinary once this build knows it (design.md, invariant 8). */
#ifndef SYNC_ADOPT_H
#define SYNC_ADOPT_H

#include <libsync/db.h>

/**
 * Move what sync_extra has of an entity into its table; fields that are still unknown stay. What does not fit waits in the
 * inbox with its reason. In the open transaction.
 *
 * @param whole  the entity was unknown, so that sync_extra has complete records; else it has fields of records in the table
 */
enum sync_status sync_adopt(struct sync_db *db, const struct sync_entity *e, bool whole, struct sync_error *err);

#endif

/** What an application's own triggers made of records before they were stored. Inner header of the exchange. */
#ifndef SYNC_ALTERED_H
#define SYNC_ALTERED_H

#include <libsync/db.h>
#include <libsync/frame.h>

/** Whether both say the same in the database, as numbers of either kind may. */
bool sync_value_same(const struct sync_value *a, const struct sync_value *b);
/** Whether there is such a record where it was read; of an entity that this build does not know, by what is kept of it. */
bool sync_record_exists(const struct sync_record *r);
/** Whether a record says anything else of its fields, unknown ones included, than what is stored (a delete: whether anything is). */
bool sync_record_differs(const struct sync_record *r, const struct sync_record *stored);

/**
 * PostgreSQL, at central, after records of a site were applied: what is stored otherwise than it was sent is an edit made here.
 * In SQLite no trigger can alter a row before it is stored.
 */
enum sync_status sync_altered_queue(struct sync_db *db, int64_t source, const struct sync_record *const *r, size_t n,
                                    struct sync_error *err);

#endif

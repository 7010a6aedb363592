/** A database that fails at the n-th call: for n = 0, 1, 2 … until nothing fails, what must hold is checked each time. */
#ifndef SYNC_FAULTY_DB_H
#define SYNC_FAULTY_DB_H

#include <libsync/db.h>

/**
 * A driver that does what inner does, but for one call. One such driver exists at a time.
 *
 *	for (long n = 0; ; n++) {
 *		const struct sync_db_ops *drivers[] = { faulty_db(&sync_sqlite), NULL };
 *		… open a new database with drivers …
 *		faulty_db_arm(n);
 *		status = … what is tested …;
 *		if (!faulty_db_disarm())
 *			break;
 *		… status is a failure, and the invariants hold …
 *	}
 */
const struct sync_db_ops *faulty_db(const struct sync_db_ops *inner);
/** Let the n-th call from now on, counted from 0, fail with SYNC_EIO; a commit that fails keeps nothing. */
void faulty_db_arm(long n);
/** Fail no more; whether the failure has happened. */
bool faulty_db_disarm(void);

#endif

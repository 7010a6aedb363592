#include <libsync/db.h>

#include "base/internal.h"

/*
 * What was routed stands in the outbox, whose statistics are as old as it was small: until they are made anew the planner reads
 * all of it for a few rows.
 *
 * Every look at the queue passes the rows that were routed since its last vacuum, and each pull has one look. What is dead is
 * counted by the server, so it does not matter which process routed. SKIP_LOCKED: one that finds another at it, or an
 * autovacuum, has nothing left to do.
 */
enum sync_status sync_queue_vacuum(struct sync_db *db, int64_t most_dead, struct sync_error *err)
{
	static const char count_dead[] =
		"SELECT n_dead_tup FROM pg_stat_user_tables WHERE schemaname = current_schema() AND relname = 'sync_changelog'";
	int64_t dead;

	if (!sync_db_dialect(db)->postgres)
		return SYNC_OK;
	TRY(sync_db_number(db, count_dead, SYNC_NOARGS, 0, &dead, err));
	if (dead <= most_dead)
		return SYNC_OK;
	TRY(sync_db_script(db, "ANALYZE (SKIP_LOCKED) sync_outbox", err));
	return sync_db_script(db, "VACUUM (SKIP_LOCKED) sync_changelog", err);
}

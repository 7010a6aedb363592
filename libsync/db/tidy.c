#include "db/tidy.h"

#include <inttypes.h>
#include <stdio.h>

#include "base/internal.h"

enum { KEEP_CLOSE = 64 }; /* C of design.md section 9 */

static const int64_t day_us = INT64_C(24) * 3600 * 1000000;
static const int64_t leap_us = INT64_C(7) * 24 * 3600 * 1000000, step_us = INT64_C(3600) * 1000000;
static const char keep_key[] = "keep_days", tidy_key[] = "tidy_us";

enum sync_status sync_keep_get(struct sync_db *db, int64_t *ret_days, struct sync_error *err)
{
	static const char find[] = "SELECT CAST(value AS bigint) FROM sync_meta WHERE key = $1";

	return sync_db_number(db, find, SYNC_ARGS(sync_text(keep_key)), SYNC_KEEP_DAYS, ret_days, err);
}

enum sync_status sync_keep_put(struct sync_db *db, int64_t days, struct sync_error *err)
{
	char text[24];

	if (days < 1 || days > SYNC_KEEP_MOST)
		return sync_fail(err, SYNC_EINVALID, "deletes are kept for 1 to %d days, not for %" PRId64, SYNC_KEEP_MOST,
				 days);
	(void)snprintf(text, sizeof text, "%" PRId64, days);
	return sync_meta_put(db, keep_key, sync_view_of(text), err);
}

/* What counts at a site that is neither loading nor revoked nor lapsed: it goes on from where it is. */
#define GOES_ON "s.loaded = 1 AND s.revoked_us IS NULL AND s.lapsed_us IS NULL"

/* It may have passed nothing of what is about to be forgotten: all that it holds is compared before it goes on. */
static enum sync_status lapse(struct sync_db *db, int64_t before_us, int64_t now_us, struct sync_error *err)
{
	static const char mark[] = "UPDATE sync_site SET lapsed_us = $1 WHERE loaded = 1 AND revoked_us IS NULL AND lapsed_us IS NULL"
				   "    AND coalesce(last_seen_us, created_us) < $2";

	return sync_db_run(db, mark, SYNC_ARGS(sync_int(now_us), sync_int(before_us)), NULL, NULL, err);
}

/* By the time, in whose order routing transactions are numbered. */
static enum sync_status routed_before(struct sync_db *db, int64_t before_us, int64_t *ret, struct sync_error *err)
{
	static const char last[] = "SELECT seq FROM sync_routing WHERE at_us < $1 ORDER BY at_us DESC, seq DESC LIMIT 1";

	return sync_db_number(db, last, SYNC_ARGS(sync_int(before_us)), 0, ret, err);
}

/*
 * The time by which things grow old. It follows the clock, but when that leaps by more than a week - it was set wrong, or central
 * was off - it goes on by an hour per call: nothing is forgotten, and no site lapses, because of a clock.
 */
static enum sync_status tidy_time(struct sync_db *db, int64_t now_us, int64_t *ret, struct sync_error *err)
{
	static const char find[] = "SELECT CAST(value AS bigint) FROM sync_meta WHERE key = $1";
	int64_t last_us;

	TRY(sync_db_number(db, find, SYNC_ARGS(sync_text(tidy_key)), now_us, &last_us, err));
	*ret = now_us - last_us > leap_us ? last_us + step_us : now_us;
	return SYNC_OK;
}

static enum sync_status keep_tidy_time(struct sync_db *db, int64_t at_us, struct sync_error *err)
{
	char text[24];

	(void)snprintf(text, sizeof text, "%" PRId64, at_us);
	return sync_meta_put(db, tidy_key, sync_view_of(text), err);
}

enum sync_status sync_tidy_upto(struct sync_db *db, int64_t now_us, int64_t *ret, struct sync_error *err)
{
	int64_t days, at_us;

	TRY(sync_keep_get(db, &days, err));
	TRY(tidy_time(db, now_us, &at_us, err));
	return routed_before(db, at_us - days * day_us, ret, err);
}

enum sync_status sync_tidy_thinned(struct sync_db *db, int64_t now_us, int64_t *ret, struct sync_error *err)
{
	int64_t days, at_us;

	TRY(sync_keep_get(db, &days, err));
	TRY(tidy_time(db, now_us, &at_us, err));
	return routed_before(db, at_us - 2 * days * day_us, ret, err);
}

/*
 * A site that is yet to load needs none: it is given what there is. A range of sites and +seq: by the index of tombstones, since
 * the others lead through all rows.
 */
static enum sync_status bury(struct sync_db *db, int64_t before_us, struct sync_error *err)
{
	static const char own[] =
	    "DELETE FROM sync_outbox WHERE site_id > 0 AND action <> 'P' AND +seq <= $1"
	    "    AND seq <= (SELECT CASE WHEN " GOES_ON " THEN s.own_seq ELSE $2 END"
	    "                    FROM sync_site s WHERE s.site_id = sync_outbox.site_id)";
	static const char everybody[] = "DELETE FROM sync_outbox WHERE site_id <= 0 AND action <> 'P' AND +seq <= $1"
					"    AND +seq <= (SELECT coalesce(min(s.all_seq), $2) FROM sync_site s WHERE " GOES_ON ")";
	int64_t upto;

	TRY(routed_before(db, before_us, &upto, err));
	if (!upto)
		return SYNC_OK;
	TRY(sync_db_run(db, own, SYNC_ARGS(sync_int(upto), sync_int(upto)), NULL, NULL, err));
	return sync_db_run(db, everybody, SYNC_ARGS(sync_int(upto), sync_int(upto)), NULL, NULL, err);
}

/*
 * A site may name the position that it named last, or one that it was given when it was last here: that was routed since it was
 * here before, so it is no older than twice the time after which a site lapses. The ordinal's lowest bit is 2 to the power of its
 * trailing zero bits.
 */
static enum sync_status thin(struct sync_db *db, const struct sync_checkpoint *newest, int64_t before_us,
			     struct sync_error *err)
{
	static const char forget[] =
	    "DELETE FROM sync_routing WHERE at_us < $1 AND (ordinal & -ordinal) * $2 < $3 - ordinal AND id NOT IN ("
	    "    SELECT s.all_id FROM sync_site s WHERE " GOES_ON
	    "    UNION ALL"
	    "    SELECT s.own_id FROM sync_site s WHERE " GOES_ON
	    ")";

	return sync_db_run(db, forget, SYNC_ARGS(sync_int(before_us), sync_int(KEEP_CLOSE), sync_int(newest->ordinal)), NULL,
			   NULL, err);
}

/* What was settled before then. A verdict that its site has stored is settled by a later one on the record. */
static enum sync_status forget(struct sync_db *db, int64_t before_us, struct sync_error *err)
{
	static const char *const settled[] = {
		"DELETE FROM sync_verdict WHERE site_id > 0 AND kind <> 'leave' AND EXISTS ("
		"    SELECT 1 FROM sync_verdict w JOIN sync_site s ON s.site_id = w.site_id"
		"        WHERE w.entity = sync_verdict.entity AND w.record_id = sync_verdict.record_id"
		"        AND w.site_id = sync_verdict.site_id AND w.n <= s.verdict_seen AND w.at_us < $1 AND w.kind <> 'leave'"
		"        AND (w.n > sync_verdict.n OR (w.n = sync_verdict.n AND w.kind = 'resolved')))",
		"DELETE FROM sync_seen WHERE at_us < $1",
		"DELETE FROM sync_waiting WHERE done_us < $1",
		"DELETE FROM sync_version WHERE deleted = 1 AND received_us < $1",
	};

	for (size_t i = 0; i < COUNT(settled); i++)
		TRY(sync_db_run(db, settled[i], SYNC_ARGS(sync_int(before_us)), NULL, NULL, err));
	return SYNC_OK;
}

enum sync_status sync_tidy(struct sync_db *db, const struct sync_checkpoint *newest, int64_t now_us, struct sync_error *err)
{
	int64_t days, keep_us, at_us;

	TRY(sync_keep_get(db, &days, err));
	TRY(tidy_time(db, now_us, &at_us, err));
	keep_us = days * day_us;
	TRY(lapse(db, at_us - keep_us, now_us, err));
	TRY(bury(db, at_us - keep_us, err));
	TRY(forget(db, at_us - keep_us, err));
	TRY(thin(db, newest, at_us - 2 * keep_us, err));
	return keep_tidy_time(db, at_us, err);
}

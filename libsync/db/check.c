#include <libsync/db.h>

#include <inttypes.h>
#include <stdio.h>

#include <libsync/time.h>

#include "base/internal.h"
#include "db/driver.h"

static const int64_t week_us = INT64_C(7) * 24 * 3600 * 1000000;
static const char checked_key[] = "checked_us";

static enum sync_status put_time(struct sync_db *db, const char *key, struct sync_error *err)
{
	char text[24];

	(void)snprintf(text, sizeof text, "%" PRId64, sync_now_us());
	return sync_meta_put(db, key, sync_view_of(text), err);
}

enum sync_status sync_db_checked(struct sync_db *db, int64_t *ret_us, struct sync_error *err)
{
	static const char find[] = "SELECT CAST(value AS bigint) FROM sync_meta WHERE key = $1";

	return sync_db_number(db, find, SYNC_ARGS(sync_text(checked_key)), 0, ret_us, err);
}

enum sync_status sync_db_check(struct sync_db *db, sync_stop_fn *stop, void *ctx, struct sync_error *err)
{
	if (!db->ops->check)
		return SYNC_OK;
	TRY(db->ops->check(db, stop, ctx, err));
	return put_time(db, checked_key, err);
}

/* A time that is still to come is of a clock that was wrong. */
enum sync_status sync_db_check_weekly(struct sync_db *db, sync_stop_fn *stop, void *ctx, struct sync_error *err)
{
	int64_t checked_us, now_us = sync_now_us();

	if (!db->ops->check)
		return SYNC_OK;
	TRY(sync_db_checked(db, &checked_us, err));
	if (!checked_us)
		return put_time(db, checked_key, err);
	return checked_us <= now_us && now_us - checked_us < week_us ? SYNC_OK : sync_db_check(db, stop, ctx, err);
}

enum sync_status sync_db_probe(struct sync_db *db, struct sync_error *err)
{
	return put_time(db, "probed_us", err);
}

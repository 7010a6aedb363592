#include <libsync/exchange.h>

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include <libsync/time.h>

#include "base/internal.h"

enum { HOUR_S = 3600, DAY_S = 24 * HOUR_S };

static const char clock_key[] = "clock"; /* since_us ' ' ahead_s; empty: it is right */

bool sync_clock_is_off(int64_t ahead_s)
{
	return ahead_s > HOUR_S || ahead_s < -HOUR_S;
}

enum sync_status sync_clock_get(struct sync_db *db, struct sync_clock *ret, struct sync_error *err)
{
	defer(sync_buf_clear) struct sync_buf text = { .max = 64 };
	bool found;

	*ret = (struct sync_clock){ 0 };
	TRY(sync_meta_get(db, clock_key, &text, &found, err));
	if (found && sscanf(text.data, "%" SCNd64 " %" SCNd64, &ret->since_us, &ret->ahead_s) < 2)
		*ret = (struct sync_clock){ 0 };
	return SYNC_OK;
}

static enum sync_status put(struct sync_db *db, const struct sync_clock *c, struct sync_error *err)
{
	char text[64] = "";

	if (sync_clock_is_off(c->ahead_s))
		snprintf(text, sizeof text, "%" PRId64 " %" PRId64, c->since_us, c->ahead_s);
	return sync_meta_put(db, clock_key, sync_view_of(text), err);
}

/* A clock that goes on being as wrong as it was is no news, and nothing is written. */
enum sync_status sync_clock_note(struct sync_db *db, int64_t ahead_s, bool *ret_changed, struct sync_error *err)
{
	struct sync_clock kept, c = { .ahead_s = ahead_s };
	bool off = sync_clock_is_off(ahead_s);

	TRY(sync_clock_get(db, &kept, err));
	*ret_changed = off != sync_clock_is_off(kept.ahead_s) || (off && sync_clock_is_off(ahead_s - kept.ahead_s));
	if (!*ret_changed)
		return SYNC_OK;
	c.since_us = kept.since_us ? kept.since_us : sync_now_us() - ahead_s * 1000000;
	return put(db, &c, err);
}

void sync_clock_text(char ret[static 64], int64_t ahead_s)
{
	int64_t s = llabs(ahead_s);
	const char *way = ahead_s > 0 ? "ahead of" : "behind";

	if (s >= DAY_S)
		snprintf(ret, 64, "%" PRId64 " day%s %" PRId64 " h %s central's", s / DAY_S, plural(s / DAY_S), s % DAY_S / HOUR_S, way);
	else
		snprintf(ret, 64, "%" PRId64 " h %" PRId64 " min %s central's", s / HOUR_S, s % HOUR_S / 60, way);
}

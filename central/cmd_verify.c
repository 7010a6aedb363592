#include "central.h"
#include "report.h"

#include <inttypes.h>
#include <time.h>

#include <libsync/site.h>
#include <libsync/time.h>

enum { POLL_MS = 200 };

/* Wait until the site has reported since it was asked, at most so long. */
static enum sync_status wait_for(struct sync_db *db, int64_t site_id, int64_t wait_ms, struct sync_verified *ret, struct sync_error *err)
{
	int64_t until_us = sync_tick_us() + wait_ms * 1000;

	for (;;) {
		TRY(sync_verified_get(db, site_id, ret, err));
		if (ret->at_us >= ret->asked_us || sync_tick_us() >= until_us)
			return SYNC_OK;
		nanosleep(&(struct timespec){ .tv_nsec = POLL_MS * 1000000 }, NULL);
	}
}

static void report_json(struct sync_buf *b, const char *site, const struct sync_verified *v, bool answered)
{
	sync_show_open(b, NULL, '{');
	sync_show_bool(b, "ok", answered && v->unequal == 0);
	sync_show_text(b, "site", sync_view_of(site));
	sync_show_time(b, "asked", v->asked_us);
	sync_show_time(b, "at", v->at_us);
	sync_show_bool(b, "answered", answered);
	sync_show_bool(b, "equal", v->at_us && v->unequal == 0);
	sync_show_int(b, "entities", v->entities);
	sync_show_int(b, "records", v->records);
	sync_show_int(b, "unequal", v->unequal);
	sync_show_text(b, "digest", sync_view_of(v->digest));
	sync_show_close(b, '}');
}

static void report_text(struct sync_buf *b, const char *site, const struct sync_verified *v, bool answered)
{
	char at[21];

	sync_time_text(at, v->at_us);
	if (!v->at_us)
		sync_buf_addf(b, "never verified: site '%s'", site);
	else
		sync_buf_addf(b, "%s: site '%s' at %s, %" PRId64 " records of %" PRId64 " entities, digest %s",
		              v->unequal ? "not equal" : "equal", site, at, v->records, v->entities, v->digest);
	if (v->unequal)
		sync_buf_addf(b, ", differences left in %" PRId64 " entit%s", v->unequal, v->unequal == 1 ? "y" : "ies");
	if (!answered)
		sync_buf_add_text(b, "\nasked: the site verifies after its next exchange; central verify --wait 10m waits for it");
}

enum sync_status cmd_verify(const struct sync_call *call, struct sync_error *err)
{
	const struct central_settings *s = call->settings;
	defer(sync_db_closep) struct sync_db *db = NULL;
	defer(sync_buf_clear) struct sync_buf b = { .max = MAX_REPORT };
	struct sync_verified v;
	struct sync_site site;
	bool answered;

	TRY(central_open(&db, call, false, err));
	TRY(sync_site_find(db, call->args[0], &site, err));
	if (site.revoked || !site.loaded)
		return sync_fail(err, SYNC_EINVALID, "site '%s' is %s: there is nothing to verify", site.name, site_state(&site));
	TRY(sync_verify_ask(db, site.site_id, err));
	TRY(wait_for(db, site.site_id, s->wait_ms, &v, err));
	answered = v.at_us >= v.asked_us;
	(call->json ? report_json : report_text)(&b, site.name, &v, answered);
	TRY(sync_show_print(&b, err));
	if (answered && v.unequal)
		return sync_fail(err, SYNC_EINCOMPLETE, "differences are left in %" PRId64 " entit%s: remote verify at the site lists them", v.unequal,
		                 v.unequal == 1 ? "y" : "ies");
	return answered || !s->wait_ms ? SYNC_OK
	                               : sync_fail(err, SYNC_EINCOMPLETE, "site '%s' has not answered yet; it was last seen as central site show tells", site.name);
}

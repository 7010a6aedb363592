#include "central.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include <libsync/log.h>
#include <libsync/site.h>

/* Beside a SQLite file unless a file is named; PostgreSQL is on another machine, perhaps, and has no such place: NULL. */
static enum sync_status path_of(const struct central_settings *s, struct sync_buf *ret, struct sync_error *err)
{
	const char *file = strncmp(s->database, "sqlite:", 7) == 0 ? s->database + 7 : s->database;
	defer(freep) char *real = realpath(file, NULL); /* whatever links lead to it, it has one registry */

	if (s->registry)
		sync_buf_add_text(ret, s->registry);
	else if (strncmp(s->database, "postgres:", 9) != 0)
		sync_buf_addf(ret, "%s.sites", real ? real : file);
	return sync_buf_check(ret, err);
}

static void tell(const char *path, const struct sync_registry_report *r)
{
	if (r->sites + r->stores > 0)
		sync_log(SYNC_LOG_INFO, "registrations restored",
		         "sites=%" PRId64 " stores=%" PRId64 " registry=%s text=%s", r->sites, r->stores, path,
		         "the database was restored from an older backup");
	if (r->later > 0)
		sync_log(SYNC_LOG_INFO, "registrations wait", "sites=%" PRId64 " text=%s", r->later, "until what they pushed is integrated");
	if (r->warning[0])
		sync_log(SYNC_LOG_WARNING, "registry", "text=%s", r->warning);
}

/* A file that was damaged is written again only if it is whole: it was restored, then. */
static enum sync_status check_damaged(struct sync_db *db, const char *url, struct sync_error *err)
{
	struct sync_trouble troubles[2];

	if (central_troubles(url, troubles) == 0 || troubles[0].code != SYNC_ECORRUPT)
		return SYNC_OK;
	return sync_db_check(db, NULL, NULL, err);
}

enum sync_status central_edit(struct sync_db **ret, const struct sync_call *call, bool create, struct sync_error *err)
{
	defer(sync_buf_clear) struct sync_buf path = { .max = 4096 };
	defer(sync_db_closep) struct sync_db *db = NULL;
	const struct central_settings *s = call->settings;
	struct sync_registry_report report;

	TRY(central_open(&db, call, create, err));
	TRY(check_damaged(db, s->database, err));
	TRY(path_of(s, &path, err));
	if (path.len) {
		TRY(sync_registry_open(db, path.data, &report, err));
		tell(path.data, &report);
	}
	*ret = steal(db);
	return SYNC_OK;
}

void central_warn_of_no_registry(const struct central_settings *s)
{
	if (!s->registry && strncmp(s->database, "postgres:", 9) == 0)
		sync_log(SYNC_LOG_WARNING, "no registry", "text=%s",
		         "the setting registry names no file: a site that registers after a backup is locked out when that is restored");
}

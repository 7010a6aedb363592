#include "central.h"
#include "report.h"

#include <stdio.h>

#include <libsync/site.h>

struct wanted {
	const char *store_id;
	bool found;
};

static enum sync_status look(void *ctx, const struct sync_value *v, size_t n, struct sync_error *err)
{
	struct wanted *w = ctx;

	(void)n, (void)err;
	w->found = w->found || (sync_view_is(v[0].s, w->store_id) && v[3].i == 0);
	return SYNC_OK;
}

/* At the site already, and not about to leave. */
static enum sync_status is_there(struct sync_db *db, const char *store_id, const char *site, bool *ret, struct sync_error *err)
{
	struct wanted w = { .store_id = store_id };
	struct sync_site s;

	TRY(sync_site_find(db, site, &s, err));
	TRY(sync_site_stores(db, s.site_id, look, &w, err));
	*ret = w.found;
	return SYNC_OK;
}

enum sync_status cmd_store_move(const struct sync_call *call, struct sync_error *err)
{
	const struct central_settings *s = call->settings;
	defer(sync_db_closep) struct sync_db *db = NULL;
	char text[300];
	bool there, done;

	TRY(central_edit(&db, call, false, err));
	TRY(is_there(db, call->args[0], call->args[1], &there, err));
	if (there) {
		snprintf(text, sizeof text, "nothing to do: the store is at site '%s' already", call->args[1]);
		return report_done("state", "there", text, call->json, err);
	}
	TRY(sync_store_move(db, call->args[0], call->args[1], s->force, &done, err));
	snprintf(text, sizeof text,
	         done ? "moved: site '%s' gets its records with its next exchange" :
	                "waits: the store moves to site '%s' once its old site has pushed everything and confirmed",
	         call->args[1]);
	return report_done("state", done ? "moved" : "waits", text, call->json, err);
}

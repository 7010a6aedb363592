#include "central.h"
#include "report.h"

#include <stdio.h>

#include <libsync/site.h>

enum sync_status cmd_store_move(const struct sync_call *call, struct sync_error *err)
{
	const struct central_settings *s = call->settings;
	defer(sync_db_closep) struct sync_db *db = NULL;
	char text[300];
	bool done;

	TRY(central_open(&db, call, false, err));
	TRY(sync_store_move(db, call->args[0], call->args[1], s->force, &done, err));
	snprintf(text, sizeof text,
	         done ? "moved: site '%s' gets its records with its next exchange" :
	                "waits: the store moves to site '%s' once its old site has pushed everything and confirmed",
	         call->args[1]);
	return report_done("state", done ? "moved" : "waits", text, call->json, err);
}

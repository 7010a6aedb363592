#include "schema/declared.h"

static const struct sync_field fields[] = {
	{ "id",          SYNC_ID,   .required = true },
	{ "code",        SYNC_TEXT, .required = true },
	{ "version",     SYNC_TEXT, .required = true },
	{ "entry_point", SYNC_TEXT, .required = true },
	{ "types",       SYNC_JSON, .required = true },
	{ "files",       SYNC_JSON, .required = true },
};

const struct sync_entity sync_frontend_plugin = {
	.name = "frontend_plugin", FIELDS(fields),
	.about = "A plug-in that runs in the browser.",
	.owner = SYNC_OWNER_CENTRAL,
	.routes = { { SYNC_ROUTE_CENTRAL } },
};

#include "schema/declared.h"

static const char *const variant_types[] = { "BOA_JS", NULL };

static const struct sync_field fields[] = {
	{ "id",            SYNC_ID,   .required = true },
	{ "code",          SYNC_TEXT, .required = true },
	{ "version",       SYNC_TEXT, .required = true },
	{ "bundle_base64", SYNC_TEXT, .required = true },
	{ "types",         SYNC_JSON, .required = true },
	{ "variant_type",  SYNC_ENUM, .required = true, .values = variant_types },
};

const struct sync_entity sync_backend_plugin = {
	.name = "backend_plugin", FIELDS(fields),
	.about = "A plug-in that runs in the server of a site.",
	.owner = SYNC_OWNER_CENTRAL,
	.routes = { { SYNC_ROUTE_CENTRAL } },
};

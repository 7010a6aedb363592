#include "schema/declared.h"

static const struct sync_field fields[] = {
	{ "id",       SYNC_ID,   .required = true },
	{ "key",      SYNC_TEXT, .required = true },
	{ "value",    SYNC_JSON, .required = true },
	{ "store_id", SYNC_ID,   .refers = "store" },
};

const struct sync_entity sync_preference = {
	.name = "preference", FIELDS(fields),
	.about = "A setting of one store, or of all when it names none.",
	.owner = SYNC_OWNER_CENTRAL,
	.routes = { { SYNC_ROUTE_STORE, "store_id" }, { SYNC_ROUTE_CENTRAL, .when = { "store_id", .value = NULL } } },
};

#include "schema/declared.h"

static const struct sync_field fields[] = {
	{ "id",                SYNC_ID,   .required = true },
	{ "store_id",          SYNC_ID,   .refers = "store" },
	{ "plugin_code",       SYNC_TEXT, .required = true },
	{ "related_record_id", SYNC_TEXT },
	{ "data_identifier",   SYNC_TEXT, .required = true },
	{ "data",              SYNC_TEXT, .required = true },
};

const struct sync_entity sync_plugin_data = {
	.name = "plugin_data", FIELDS(fields),
	.about = "Data that a plug-in keeps, for one store or for all.",
	.owner = SYNC_OWNER_STORE, .owner_field = "store_id",
	.owner_when = { "store_id", .value = NULL, .not = true },
	.routes = { { SYNC_ROUTE_STORE, "store_id" }, { SYNC_ROUTE_CENTRAL, .when = { "store_id", .value = NULL } } },
};

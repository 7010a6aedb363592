#include "schema/declared.h"

static const struct sync_field fields[] = {
	{ "id",               SYNC_ID,      .required = true, .legacy = { "ID", "str" } },
	{ "name",             SYNC_TEXT,    .required = true, .legacy = { "Description", "str" } },
	{ "code",             SYNC_TEXT,    .required = true, .legacy = { "code", "str" } },
	{ "on_hold",          SYNC_BOOLEAN, .required = true, .legacy = { "hold", "bool" } },
	{ "store_id",         SYNC_ID,      .required = true, .refers = "store", .legacy = { "store_ID", "str" } },
	{ "location_type_id", SYNC_ID,      .refers = "location_type", .legacy = { "type_ID", "str0" } },
	{ "volume",           SYNC_REAL,    .required = true, .legacy = { "Volume", "num" } },
};

const struct sync_entity sync_location = {
	.name = "location", .legacy = "Location", FIELDS(fields),
	.about = "A place within a store where stock is kept.",
	.owner = SYNC_OWNER_STORE, .owner_field = "store_id",
	.routes = { { SYNC_ROUTE_STORE, "store_id" } },
};

#include "schema/declared.h"

static const struct sync_field fields[] = {
	{ "id",              SYNC_ID,   .required = true, .legacy = { "ID", "str" } },
	{ "name",            SYNC_TEXT, .required = true, .legacy = { "Description", "str" } },
	{ "min_temperature", SYNC_REAL, .required = true, .legacy = { "Temperature_min", "num" } },
	{ "max_temperature", SYNC_REAL, .required = true, .legacy = { "Temperature_max", "num" } },
};

const struct sync_entity sync_location_type = {
	.name = "location_type", .legacy = "Location_type", FIELDS(fields),
	.about = "A kind of location and the temperatures that it keeps.",
	.owner = SYNC_OWNER_CENTRAL,
	.routes = { { SYNC_ROUTE_CENTRAL } },
};

#include "schema/declared.h"

static const struct sync_field fields[] = {
	{ "id",                    SYNC_ID,   .required = true, .legacy = { "ID", "str" } },
	{ "temperature",           SYNC_REAL, .required = true, .legacy = { "temperature", "num" } },
	{ "sensor_id",             SYNC_ID,   .required = true, .refers = "sensor", .legacy = { "sensor_ID", "str" } },
	{ "location_id",           SYNC_ID,   .refers = "location", .legacy = { "location_ID", "str0" } },
	{ "store_id",              SYNC_ID,   .required = true, .refers = "store", .legacy = { "store_ID", "str" } },
	{ "datetime",              SYNC_TIME, .required = true, .legacy = { "om_datetime", "dtm0" } },
	{ "temperature_breach_id", SYNC_ID,   .refers = "temperature_breach", .legacy = { "temperature_breach_ID", "str0" } },
};

const struct sync_entity sync_temperature_log = {
	.name = "temperature_log", .legacy = "temperature_log", FIELDS(fields),
	.about = "One reading of a sensor.",
	.owner = SYNC_OWNER_STORE, .owner_field = "store_id",
	.routes = { { SYNC_ROUTE_STORE, "store_id" } },
};

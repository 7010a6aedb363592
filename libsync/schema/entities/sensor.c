#include "schema/declared.h"

static const char *const types[] = { "BLUE_MAESTRO", "LAIRD", "BERLINGER", "LOG_TAG", NULL };

static const struct sync_field fields[] = {
	{ "id",                       SYNC_ID,      .required = true, .legacy = { "ID", "str" } },
	{ "name",                     SYNC_TEXT,    .required = true, .legacy = { "name", "str" } },
	{ "serial",                   SYNC_TEXT,    .required = true, .legacy = { "macAddress", "rule" } },
	{ "location_id",              SYNC_ID,      .refers = "location", .legacy = { "locationID", "str0" } },
	{ "store_id",                 SYNC_ID,      .required = true, .refers = "store", .legacy = { "storeID", "str" } },
	{ "battery_level",            SYNC_INTEGER,                   .legacy = { "batteryLevel", "intn" } },
	{ "log_interval",             SYNC_INTEGER,                   .legacy = { "logInterval", "intn" } },
	{ "is_active",                SYNC_BOOLEAN, .required = true, .legacy = { "is_active", "bool" } },
	{ "last_connection_datetime", SYNC_TIME,                      .legacy = { "om_last_connection_datetime", "dtm0" } },
	{ "type",                     SYNC_ENUM,    .required = true, .values = types, .legacy = { "macAddress", "rule" } },
};

const struct sync_entity sync_sensor = {
	.name = "sensor", .legacy = "sensor", FIELDS(fields),
	.about = "A temperature sensor.",
	.owner = SYNC_OWNER_STORE, .owner_field = "store_id",
	.routes = { { SYNC_ROUTE_STORE, "store_id" } },
};

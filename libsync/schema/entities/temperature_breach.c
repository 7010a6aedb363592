#include "schema/declared.h"

static const char *const types[] = {
	"COLD_CONSECUTIVE", "COLD_CUMULATIVE", "HOT_CONSECUTIVE", "HOT_CUMULATIVE", "EXCURSION", NULL,
};

static const struct sync_field fields[] = {
	{ "id",                              SYNC_ID,      .required = true, .legacy = { "ID", "str" } },
	{ "duration_milliseconds",           SYNC_INTEGER, .required = true, .legacy = { "duration", "int" } },
	{ "type",                            SYNC_ENUM,    .required = true, .values = types, .legacy = { "type", "enum" } },
	{ "sensor_id",                       SYNC_ID,      .required = true, .refers = "sensor",
	  .legacy = { "sensor_ID", "str" } },
	{ "location_id",                     SYNC_ID,      .refers = "location", .legacy = { "location_ID", "str0" } },
	{ "store_id",                        SYNC_ID,      .required = true, .refers = "store",
	  .legacy = { "store_ID", "str" } },
	{ "start_datetime",                  SYNC_TIME,    .required = true, .legacy = { "om_start_datetime", "dtm0" } },
	{ "end_datetime",                    SYNC_TIME,                      .legacy = { "om_end_datetime", "dtm0" } },
	{ "unacknowledged",                  SYNC_BOOLEAN, .required = true, .legacy = { "acknowledged", "boolinv" } },
	{ "threshold_minimum",               SYNC_REAL,    .required = true,
	  .legacy = { "threshold_minimum_temperature", "num" } },
	{ "threshold_maximum",               SYNC_REAL,    .required = true,
	  .legacy = { "threshold_maximum_temperature", "num" } },
	{ "threshold_duration_milliseconds", SYNC_INTEGER, .required = true, .legacy = { "threshold_duration", "int" } },
	{ "comment",                         SYNC_TEXT,                      .legacy = { "om_comment", "str0" } },
};

const struct sync_entity sync_temperature_breach = {
	.name = "temperature_breach", .legacy = "temperature_breach", FIELDS(fields),
	.about = "A time during which a sensor was outside its limits.",
	.owner = SYNC_OWNER_STORE, .owner_field = "store_id",
	.routes = { { SYNC_ROUTE_STORE, "store_id" } },
};

#include "schema/declared.h"

static const struct sync_field fields[] = {
	{ "id",                       SYNC_ID,      .required = true, .legacy = { "ID", "str" } },
	{ "name",                     SYNC_TEXT,    .required = true, .legacy = { "name", "str" } },
	{ "program_id",               SYNC_ID,      .required = true, .refers = "program", .legacy = { "program_id", "str" } },
	{ "demographic_id",           SYNC_ID,      .refers = "demographic", .legacy = { "demographic_id", "strn" } },
	{ "coverage_rate",            SYNC_REAL,    .required = true, .legacy = { "coverage_rate", "num" } },
	{ "use_in_gaps_calculations", SYNC_BOOLEAN, .required = true },
	{ "wastage_rate",             SYNC_REAL,    .required = true, .legacy = { "wastage_rate", "num" } },
	{ "deleted_datetime",         SYNC_TIME,                      .legacy = { "deleted_datetime", "rfcn" } },
	{ "can_skip_dose",            SYNC_BOOLEAN, .required = true },
};

const struct sync_entity sync_vaccine_course = {
	.name = "vaccine_course", .legacy = "om_vaccine_course", FIELDS(fields),
	.about = "A course of doses for a demographic within a program.",
	.owner = SYNC_OWNER_CENTRAL,
	.routes = { { SYNC_ROUTE_CENTRAL } },
};

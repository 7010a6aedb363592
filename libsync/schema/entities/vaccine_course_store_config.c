#include "schema/declared.h"

static const struct sync_field fields[] = {
	{ "id",                SYNC_ID,   .required = true },
	{ "vaccine_course_id", SYNC_ID,   .required = true, .refers = "vaccine_course" },
	{ "store_id",          SYNC_ID,   .required = true, .refers = "store" },
	{ "wastage_rate",      SYNC_REAL },
	{ "coverage_rate",     SYNC_REAL },
};

const struct sync_entity sync_vaccine_course_store_config = {
	.name = "vaccine_course_store_config", FIELDS(fields),
	.about = "What one store sets for a vaccine course: coverage and wastage.",
	.owner = SYNC_OWNER_CENTRAL,
	.routes = { { SYNC_ROUTE_CENTRAL } },
};

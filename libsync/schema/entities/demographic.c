#include "schema/declared.h"

static const struct sync_field fields[] = {
	{ "id",                    SYNC_ID,   .required = true },
	{ "name",                  SYNC_TEXT, .required = true },
	{ "population_percentage", SYNC_REAL, .required = true },
};

const struct sync_entity sync_demographic = {
	.name = "demographic", FIELDS(fields),
	.about = "A group of the population, with its share of the whole.",
	.owner = SYNC_OWNER_CENTRAL,
	.routes = { { SYNC_ROUTE_CENTRAL } },
};

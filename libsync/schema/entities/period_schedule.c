#include "schema/declared.h"

static const struct sync_field fields[] = {
	{ "id",   SYNC_ID,   .required = true, .legacy = { "ID", "str" } },
	{ "name", SYNC_TEXT, .required = true, .legacy = { "name", "str" } },
};

const struct sync_entity sync_period_schedule = {
	.name = "period_schedule", .legacy = "periodSchedule", FIELDS(fields),
	.about = "A schedule, such as monthly, that periods belong to.",
	.owner = SYNC_OWNER_CENTRAL,
	.routes = { { SYNC_ROUTE_CENTRAL } },
};

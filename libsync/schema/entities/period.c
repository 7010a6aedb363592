#include "schema/declared.h"

static const struct sync_field fields[] = {
	{ "id",                 SYNC_ID,   .required = true, .legacy = { "ID", "str" } },
	{ "period_schedule_id", SYNC_ID,   .required = true, .refers = "period_schedule",
	  .legacy = { "periodScheduleID", "str" } },
	{ "name",               SYNC_TEXT, .required = true, .legacy = { "name", "str" } },
	{ "start_date",         SYNC_DATE, .required = true, .legacy = { "startDate", "date" } },
	{ "end_date",           SYNC_DATE, .required = true, .legacy = { "endDate", "date" } },
};

const struct sync_entity sync_period = {
	.name = "period", .legacy = "period", FIELDS(fields),
	.about = "A reporting period.",
	.owner = SYNC_OWNER_CENTRAL,
	.routes = { { SYNC_ROUTE_CENTRAL } },
};

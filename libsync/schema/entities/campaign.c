#include "schema/declared.h"

static const struct sync_field fields[] = {
	{ "id",               SYNC_ID,   .required = true },
	{ "name",             SYNC_TEXT, .required = true },
	{ "start_date",       SYNC_DATE },
	{ "end_date",         SYNC_DATE },
	{ "deleted_datetime", SYNC_TIME },
};

const struct sync_entity sync_campaign = {
	.name = "campaign", FIELDS(fields),
	.about = "A campaign, such as a vaccination drive, that stock can be set aside for.",
	.owner = SYNC_OWNER_CENTRAL,
	.routes = { { SYNC_ROUTE_CENTRAL } },
};

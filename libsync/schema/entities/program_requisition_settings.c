#include "schema/declared.h"

static const struct sync_field fields[] = {
	{ "id",                 SYNC_ID, .required = true, .legacy = { "ID + name_tag.id", "derived" } },
	{ "name_tag_id",        SYNC_ID, .required = true, .refers = "name_tag",
	  .legacy = { "programSettings.storeTags.<tag name>", "lookup" } },
	{ "program_id",         SYNC_ID, .required = true, .refers = "program", .legacy = { "ID", "str" } },
	{ "period_schedule_id", SYNC_ID, .required = true, .refers = "period_schedule",
	  .legacy = { "programSettings.storeTags.<tag name>.periodScheduleName", "lookup" } },
};

const struct sync_entity sync_program_requisition_settings = {
	.name = "program_requisition_settings", .legacy = "list_master", FIELDS(fields),
	.about = "How stores with a given tag order for a program.",
	.owner = SYNC_OWNER_CENTRAL,
	.routes = { { SYNC_ROUTE_CENTRAL } },
};

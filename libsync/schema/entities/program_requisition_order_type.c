#include "schema/declared.h"

static const struct sync_field fields[] = {
	{ "id",                              SYNC_ID,      .required = true, .legacy = { "settings id + name", "derived" } },
	{ "program_requisition_settings_id", SYNC_ID,      .required = true, .refers = "program_requisition_settings",
	  .legacy = { .codec = "derived" } },
	{ "name",                            SYNC_TEXT,    .required = true,
	  .legacy = { "programSettings.storeTags.<tag name>.orderTypes[].name", "str" } },
	{ "threshold_mos",                   SYNC_REAL,    .required = true,
	  .legacy = { "programSettings.storeTags.<tag name>.orderTypes[].thresholdMOS", "num" } },
	{ "max_mos",                         SYNC_REAL,    .required = true,
	  .legacy = { "programSettings.storeTags.<tag name>.orderTypes[].maxMOS", "num" } },
	{ "max_order_per_period",            SYNC_INTEGER, .required = true,
	  .legacy = { "programSettings.storeTags.<tag name>.orderTypes[].maxOrdersPerPeriod", "int" } },
	{ "is_emergency",                    SYNC_BOOLEAN, .required = true,
	  .legacy = { "programSettings.storeTags.<tag name>.orderTypes[].isEmergency", "bool" } },
	{ "max_items_in_emergency_order",    SYNC_INTEGER, .required = true,
	  .legacy = { "programSettings.storeTags.<tag name>.orderTypes[].maxEmergencyOrders", "int_or_text" } },
};

const struct sync_entity sync_program_requisition_order_type = {
	.name = "program_requisition_order_type", .legacy = "list_master", FIELDS(fields),
	.about = "A kind of order that a program allows, with its limits.",
	.owner = SYNC_OWNER_CENTRAL,
	.routes = { { SYNC_ROUTE_CENTRAL } },
};

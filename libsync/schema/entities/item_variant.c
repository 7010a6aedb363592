#include "schema/declared.h"

static const struct sync_field fields[] = {
	{ "id",               SYNC_ID,   .required = true },
	{ "name",             SYNC_TEXT, .required = true },
	{ "item_id",          SYNC_ID,   .required = true, .refers = "item" },
	{ "location_type_id", SYNC_ID,   .refers = "location_type" },
	{ "deleted_datetime", SYNC_TIME },
	{ "vvm_type",         SYNC_TEXT },
	{ "created_datetime", SYNC_TIME, .required = true },
	{ "created_by",       SYNC_ID,   .refers = "user_account", .soft = true },
	{ "manufacturer_id",  SYNC_ID,   .refers = "name" },
};

const struct sync_entity sync_item_variant = {
	.name = "item_variant", FIELDS(fields),
	.about = "A variant of an item by manufacturer, storage and vial monitor type.",
	.owner = SYNC_OWNER_CENTRAL,
	.routes = { { SYNC_ROUTE_CENTRAL } },
};

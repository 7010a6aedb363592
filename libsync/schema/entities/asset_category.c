#include "schema/declared.h"

static const struct sync_field fields[] = {
	{ "id",             SYNC_ID,   .required = true },
	{ "name",           SYNC_TEXT, .required = true },
	{ "asset_class_id", SYNC_ID,   .required = true, .refers = "asset_class" },
};

const struct sync_entity sync_asset_category = {
	.name = "asset_category", FIELDS(fields),
	.about = "A category of equipment within an asset class.",
	.owner = SYNC_OWNER_CENTRAL,
	.routes = { { SYNC_ROUTE_CENTRAL } },
};

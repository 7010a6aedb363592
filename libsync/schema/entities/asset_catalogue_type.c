#include "schema/declared.h"

static const struct sync_field fields[] = {
	{ "id",                SYNC_ID,   .required = true },
	{ "name",              SYNC_TEXT, .required = true },
	{ "asset_category_id", SYNC_ID,   .required = true, .refers = "asset_category" },
};

const struct sync_entity sync_asset_catalogue_type = {
	.name = "asset_catalogue_type", FIELDS(fields),
	.about = "A type of equipment within an asset category.",
	.owner = SYNC_OWNER_CENTRAL,
	.routes = { { SYNC_ROUTE_CENTRAL } },
};

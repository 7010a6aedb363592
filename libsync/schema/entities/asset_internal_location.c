#include "schema/declared.h"

static const struct sync_field fields[] = {
	{ "id",          SYNC_ID, .required = true },
	{ "asset_id",    SYNC_ID, .required = true, .refers = "asset" },
	{ "location_id", SYNC_ID, .required = true, .refers = "location", .soft = true },
};

/* Goes where the asset goes, and where the location goes: the store that keeps another store's asset sees it too. */
const struct sync_entity sync_asset_internal_location = {
	.name = "asset_internal_location", FIELDS(fields),
	.about = "Which storage location an asset holds.",
	.owner = SYNC_OWNER_ANY, .parent = "asset_id",
	.routes = { { SYNC_ROUTE_PARENT, "asset_id" }, { SYNC_ROUTE_PARENT, "location_id" } },
};

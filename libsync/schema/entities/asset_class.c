#include "schema/declared.h"

static const struct sync_field fields[] = {
	{ "id",   SYNC_ID,   .required = true },
	{ "name", SYNC_TEXT, .required = true },
};

const struct sync_entity sync_asset_class = {
	.name = "asset_class", FIELDS(fields),
	.about = "The coarsest division of equipment, such as cold chain equipment.",
	.owner = SYNC_OWNER_CENTRAL,
	.routes = { { SYNC_ROUTE_CENTRAL } },
};

#include "schema/declared.h"

static const struct sync_field fields[] = {
	{ "id",             SYNC_ID,   .required = true, .legacy = { "ID", "str" } },
	{ "item_id",        SYNC_ID,   .required = true, .refers = "item", .legacy = { "item_ID", "str" } },
	{ "master_list_id", SYNC_ID,   .required = true, .refers = "master_list", .legacy = { "item_master_ID", "str" } },
	{ "price_per_unit", SYNC_REAL,                   .legacy = { "price", "numn" } },
};

const struct sync_entity sync_master_list_line = {
	.name = "master_list_line", .legacy = "list_master_line", FIELDS(fields),
	.about = "An item on a master list.",
	.owner = SYNC_OWNER_CENTRAL,
	.option = "master-lists",
	.routes = { { SYNC_ROUTE_CENTRAL, .chosen = "everywhere" }, { SYNC_ROUTE_PARENT, "master_list_id", .chosen = "joined" } },
};

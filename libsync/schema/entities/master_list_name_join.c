#include "schema/declared.h"

static const struct sync_field fields[] = {
	{ "id",             SYNC_ID, .required = true, .legacy = { "ID", "str" } },
	{ "master_list_id", SYNC_ID, .required = true, .refers = "master_list", .legacy = { "list_master_ID", "str" } },
	{ "name_id",        SYNC_ID, .required = true, .refers = "name", .legacy = { "name_ID", "str" } },
};

const struct sync_entity sync_master_list_name_join = {
	.name = "master_list_name_join", .legacy = "list_master_name_join", FIELDS(fields),
	.about = "Gives a master list to a name.",
	.owner = SYNC_OWNER_CENTRAL,
	.option = "master-lists",
	.routes = { { SYNC_ROUTE_CENTRAL, .chosen = "everywhere" }, { SYNC_ROUTE_TRANSFER, "name_id", .chosen = "joined" } },
};

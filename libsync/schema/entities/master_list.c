#include "schema/declared.h"

static const struct sync_field fields[] = {
	{ "id",                    SYNC_ID,      .required = true, .legacy = { "ID", "str" } },
	{ "name",                  SYNC_TEXT,    .required = true, .legacy = { "description", "str" } },
	{ "code",                  SYNC_TEXT,    .required = true, .legacy = { "code", "str" } },
	{ "description",           SYNC_TEXT,    .required = true, .legacy = { "note", "str" } },
	{ "is_active",             SYNC_BOOLEAN, .required = true, .legacy = { "inactive", "boolinvn" } },
	{ "is_default_price_list", SYNC_BOOLEAN, .required = true, .legacy = { "is_default_price_list", "booln" } },
	{ "discount_percentage",   SYNC_REAL,                      .legacy = { "discount_percentage", "numn" } },
};

const struct sync_entity sync_master_list = {
	.name = "master_list", .legacy = "list_master", FIELDS(fields),
	.about = "A list of items, for ordering, for a program or as a price list.",
	.owner = SYNC_OWNER_CENTRAL,
	.option = "master-lists",
	.routes = { { SYNC_ROUTE_CENTRAL, .chosen = "everywhere" },
	            { SYNC_ROUTE_THROUGH, "id", "master_list_name_join", "master_list_id", .join_store = "name_id", .chosen = "joined" } },
};

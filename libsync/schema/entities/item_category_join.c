#include "schema/declared.h"

static const struct sync_field fields[] = {
	{ "id",               SYNC_ID,   .required = true, .legacy = { "ID + \"-\" + category_ID", "derived" } },
	{ "item_id",          SYNC_ID,   .required = true, .refers = "item", .legacy = { "ID", "str" } },
	{ "category_id",      SYNC_ID,   .required = true, .refers = "category", .legacy = { "category_ID", "str0" } },
	{ "deleted_datetime", SYNC_TIME,                   .legacy = { .codec = "const" } },
};

const struct sync_entity sync_item_category_join = {
	.name = "item_category_join", .legacy = "item", FIELDS(fields),
	.about = "Puts an item into a category.",
	.owner = SYNC_OWNER_CENTRAL,
	.routes = { { SYNC_ROUTE_CENTRAL } },
};

#include "schema/declared.h"

static const struct sync_field fields[] = {
	{ "id",         SYNC_ID,     .required = true, .legacy = { "ID", "str" } },
	{ "item_id",    SYNC_ID,     .required = true, .refers = "item", .legacy = { "item_ID", "str" } },
	{ "directions", SYNC_TEXT,   .required = true, .legacy = { "directions", "str" } },
	{ "priority",   SYNC_BIGINT, .required = true, .legacy = { "priority", "int" } },
};

const struct sync_entity sync_item_direction = {
	.name = "item_direction", .legacy = "item_direction", FIELDS(fields),
	.about = "A ready-made direction for the use of an item.",
	.owner = SYNC_OWNER_CENTRAL,
	.routes = { { SYNC_ROUTE_CENTRAL } },
};

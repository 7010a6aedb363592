#include "schema/declared.h"

static const struct sync_field fields[] = {
	{ "id",         SYNC_ID,      .required = true, .legacy = { "ID", "str" } },
	{ "item_id",    SYNC_ID,      .required = true, .refers = "item", .legacy = { "item_ID", "str" } },
	{ "warning_id", SYNC_ID,      .required = true, .refers = "warning", .legacy = { "warning_ID", "str" } },
	{ "priority",   SYNC_BOOLEAN, .required = true, .legacy = { "priority", "bool" } },
};

const struct sync_entity sync_item_warning_join = {
	.name = "item_warning_join", .legacy = "item_warning_link", FIELDS(fields),
	.about = "Attaches a warning to an item.",
	.owner = SYNC_OWNER_CENTRAL,
	.routes = { { SYNC_ROUTE_CENTRAL } },
};

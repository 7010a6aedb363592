#include "schema/declared.h"

static const struct sync_field fields[] = {
	{ "id",               SYNC_ID,   .required = true, .legacy = { "ID", "str" } },
	{ "name",             SYNC_TEXT, .required = true, .legacy = { "Description", "str" } },
	{ "description",      SYNC_TEXT,                   .legacy = { "Description", "str" } },
	{ "parent_id",        SYNC_ID,   .refers = "category", .soft = true, .legacy = { "parent_ID", "str0" } },
	{ "deleted_datetime", SYNC_TIME,                   .legacy = { .codec = "const" } },
};

const struct sync_entity sync_category = {
	.name = "category", .legacy = "item_category", FIELDS(fields),
	.about = "A node of the tree of item categories.",
	.owner = SYNC_OWNER_CENTRAL,
	.routes = { { SYNC_ROUTE_CENTRAL } },
};

#include "schema/declared.h"

static const struct sync_field fields[] = {
	{ "id",   SYNC_ID,   .required = true, .legacy = { "ID", "str" } },
	{ "name", SYNC_TEXT, .required = true, .legacy = { "description", "str" } },
};

const struct sync_entity sync_context = {
	.name = "context", .legacy = "list_master", FIELDS(fields),
	.about = "What a document, a permission or a program belongs to.",
	.owner = SYNC_OWNER_CENTRAL,
	.routes = { { SYNC_ROUTE_CENTRAL } },
};

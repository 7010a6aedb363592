#include "schema/declared.h"

static const struct sync_field fields[] = {
	{ "id",          SYNC_ID,      .required = true, .legacy = { "ID", "str" } },
	{ "name",        SYNC_TEXT,    .required = true, .legacy = { "units", "str" } },
	{ "description", SYNC_TEXT,                      .legacy = { "comment", "str" } },
	{ "index",       SYNC_INTEGER, .required = true, .legacy = { "order_number", "int" } },
	{ "is_active",   SYNC_BOOLEAN, .required = true, .legacy = { .codec = "const" } },
};

const struct sync_entity sync_unit = {
	.name = "unit", .legacy = "unit", FIELDS(fields),
	.about = "A unit that items are counted in.",
	.owner = SYNC_OWNER_CENTRAL,
	.routes = { { SYNC_ROUTE_CENTRAL } },
};

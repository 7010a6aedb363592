#include "schema/declared.h"

static const char *const value_types[] = { "STRING", "BOOLEAN", "INTEGER", "FLOAT", "DATE", NULL };

static const struct sync_field fields[] = {
	{ "id",             SYNC_ID,   .required = true },
	{ "key",            SYNC_TEXT, .required = true },
	{ "name",           SYNC_TEXT, .required = true },
	{ "value_type",     SYNC_ENUM, .required = true, .values = value_types },
	{ "allowed_values", SYNC_TEXT },
};

const struct sync_entity sync_property = {
	.name = "property", FIELDS(fields),
	.about = "A property that can be attached to names, and the values it may take.",
	.owner = SYNC_OWNER_CENTRAL,
	.routes = { { SYNC_ROUTE_CENTRAL } },
};

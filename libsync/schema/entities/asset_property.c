#include "schema/declared.h"

static const char *const value_types[] = { "STRING", "BOOLEAN", "INTEGER", "FLOAT", "DATE", NULL };

static const struct sync_field fields[] = {
	{ "id",                SYNC_ID,   .required = true },
	{ "key",               SYNC_TEXT, .required = true },
	{ "name",              SYNC_TEXT, .required = true },
	{ "asset_class_id",    SYNC_ID,   .refers = "asset_class", .soft = true },
	{ "asset_category_id", SYNC_ID,   .refers = "asset_category", .soft = true },
	{ "asset_type_id",     SYNC_ID,   .refers = "asset_catalogue_type", .soft = true },
	{ "value_type",        SYNC_ENUM, .required = true, .values = value_types },
	{ "allowed_values",    SYNC_TEXT },
};

const struct sync_entity sync_asset_property = {
	.name = "asset_property", FIELDS(fields),
	.about = "A property that assets of a class, category or type have.",
	.owner = SYNC_OWNER_CENTRAL,
	.routes = { { SYNC_ROUTE_CENTRAL } },
};

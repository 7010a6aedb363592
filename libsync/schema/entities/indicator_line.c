#include "schema/declared.h"

static const char *const value_types[] = { "STRING", "NUMBER", NULL };

static const struct sync_field fields[] = {
	{ "id",                   SYNC_ID,      .required = true, .legacy = { "ID", "str" } },
	{ "program_indicator_id", SYNC_ID,      .required = true, .refers = "program_indicator",
	  .legacy = { "indicator_ID", "str" } },
	{ "line_number",          SYNC_INTEGER, .required = true, .legacy = { "index", "int" } },
	{ "description",          SYNC_TEXT,    .required = true, .legacy = { "description", "str" } },
	{ "code",                 SYNC_TEXT,    .required = true, .legacy = { "code", "str" } },
	{ "value_type",           SYNC_ENUM,    .values = value_types, .legacy = { "value_type", "enum" } },
	{ "default_value",        SYNC_TEXT,    .required = true, .legacy = { "default_value", "str" } },
	{ "is_required",          SYNC_BOOLEAN, .required = true, .legacy = { "is_required", "bool" } },
	{ "is_active",            SYNC_BOOLEAN, .required = true, .legacy = { "is_active", "bool" } },
};

const struct sync_entity sync_indicator_line = {
	.name = "indicator_line", .legacy = "indicator_attribute", FIELDS(fields),
	.about = "A row of a program indicator.",
	.owner = SYNC_OWNER_CENTRAL,
	.routes = { { SYNC_ROUTE_CENTRAL } },
};

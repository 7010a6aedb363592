#include "schema/declared.h"

static const struct sync_field fields[] = {
	{ "id",          SYNC_ID,   .required = true, .legacy = { "ID", "str" } },
	{ "type",        SYNC_TEXT, .required = true, .legacy = { "type", "str" } },
	{ "json_schema", SYNC_JSON, .required = true, .legacy = { "json_schema", "jsons_in" } },
	{ "ui_schema",   SYNC_JSON, .required = true, .legacy = { "ui_schema", "jsons_in" } },
};

const struct sync_entity sync_form_schema = {
	.name = "form_schema", .legacy = "form_schema", FIELDS(fields),
	.about = "The JSON schema of a form and how the form is laid out.",
	.owner = SYNC_OWNER_CENTRAL,
	.routes = { { SYNC_ROUTE_CENTRAL } },
};

#include "schema/declared.h"

static const struct sync_field fields[] = {
	{ "id",        SYNC_ID,   .required = true, .legacy = { "ID", "str" } },
	{ "text",      SYNC_TEXT, .required = true, .legacy = { "abbreviation", "str" } },
	{ "expansion", SYNC_TEXT, .required = true, .legacy = { "expansion", "str" } },
};

const struct sync_entity sync_abbreviation = {
	.name = "abbreviation", .legacy = "abbreviation", FIELDS(fields),
	.about = "A short form that prescribers type and what it expands to in directions for use.",
	.owner = SYNC_OWNER_CENTRAL,
	.routes = { { SYNC_ROUTE_CENTRAL } },
};

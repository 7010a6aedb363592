#include "schema/declared.h"

static const struct sync_field fields[] = {
	{ "id",   SYNC_ID,   .required = true, .legacy = { "ID", "str" } },
	{ "name", SYNC_TEXT, .required = true, .legacy = { "description", "str" } },
};

const struct sync_entity sync_name_tag = {
	.name = "name_tag", .legacy = "name_tag", FIELDS(fields),
	.about = "A tag that groups names, for program settings among others.",
	.owner = SYNC_OWNER_CENTRAL,
	.routes = { { SYNC_ROUTE_CENTRAL } },
};

#include "schema/declared.h"

static const struct sync_field fields[] = {
	{ "id",          SYNC_ID, .required = true, .legacy = { "ID", "str" } },
	{ "name_tag_id", SYNC_ID, .required = true, .refers = "name_tag", .legacy = { "name_tag_ID", "str" } },
	{ "name_id",     SYNC_ID, .required = true, .refers = "name", .legacy = { "name_ID", "str" } },
};

const struct sync_entity sync_name_tag_join = {
	.name = "name_tag_join", .legacy = "name_tag_join", FIELDS(fields),
	.about = "Puts a tag on a name.",
	.owner = SYNC_OWNER_CENTRAL,
	.routes = { { SYNC_ROUTE_CENTRAL } },
};

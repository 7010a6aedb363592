#include "schema/declared.h"

static const struct sync_field fields[] = {
	{ "id",           SYNC_ID,   .required = true, .legacy = { "ID", "str" } },
	{ "warning_text", SYNC_TEXT, .required = true, .legacy = { "warning_text", "str" } },
	{ "code",         SYNC_TEXT, .required = true, .legacy = { "code", "str" } },
};

const struct sync_entity sync_warning = {
	.name = "warning", .legacy = "warning", FIELDS(fields),
	.about = "A warning that can be attached to items.",
	.owner = SYNC_OWNER_CENTRAL,
	.routes = { { SYNC_ROUTE_CENTRAL } },
};

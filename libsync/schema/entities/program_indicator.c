#include "schema/declared.h"

static const struct sync_field fields[] = {
	{ "id",         SYNC_ID,      .required = true, .legacy = { "ID", "str" } },
	{ "program_id", SYNC_ID,      .required = true, .refers = "program", .legacy = { "program_ID", "str" } },
	{ "code",       SYNC_TEXT,                      .legacy = { "code", "str0" } },
	{ "is_active",  SYNC_BOOLEAN, .required = true, .legacy = { "is_active", "bool" } },
};

const struct sync_entity sync_program_indicator = {
	.name = "program_indicator", .legacy = "program_indicator", FIELDS(fields),
	.about = "A table that customers fill in for a program along with their requisitions.",
	.owner = SYNC_OWNER_CENTRAL,
	.routes = { { SYNC_ROUTE_CENTRAL } },
};

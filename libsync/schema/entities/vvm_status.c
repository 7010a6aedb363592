#include "schema/declared.h"

static const struct sync_field fields[] = {
	{ "id",          SYNC_ID,      .required = true, .legacy = { "ID", "str" } },
	{ "description", SYNC_TEXT,    .required = true, .legacy = { "description", "str" } },
	{ "code",        SYNC_TEXT,    .required = true, .legacy = { "code", "str" } },
	{ "priority",    SYNC_INTEGER, .required = true, .legacy = { "level", "int" } },
	{ "is_active",   SYNC_BOOLEAN, .required = true, .legacy = { "is_active", "bool" } },
	{ "unusable",    SYNC_BOOLEAN, .required = true, .legacy = { "unusable", "bool" } },
	{ "reason_id",   SYNC_ID,      .refers = "reason_option", .soft = true, .legacy = { "option_id", "str0" } },
};

const struct sync_entity sync_vvm_status = {
	.name = "vvm_status", .legacy = "vaccine_vial_monitor_status", FIELDS(fields),
	.about = "A stage of a vaccine vial monitor.",
	.owner = SYNC_OWNER_CENTRAL,
	.routes = { { SYNC_ROUTE_CENTRAL } },
};

#include "schema/declared.h"

static const char *const types[] = {
	"POSITIVE_INVENTORY_ADJUSTMENT", "NEGATIVE_INVENTORY_ADJUSTMENT", "OPEN_VIAL_WASTAGE", "CLOSED_VIAL_WASTAGE",
	"RETURN_REASON", "REQUISITION_LINE_VARIANCE", NULL,
};

static const struct sync_field fields[] = {
	{ "id",        SYNC_ID,      .required = true, .legacy = { "ID", "str" } },
	{ "type",      SYNC_ENUM,    .required = true, .values = types, .legacy = { "type", "enum" } },
	{ "is_active", SYNC_BOOLEAN, .required = true, .legacy = { "isActive", "bool" } },
	{ "reason",    SYNC_TEXT,    .required = true, .legacy = { "title", "str" } },
};

const struct sync_entity sync_reason_option = {
	.name = "reason_option", .legacy = "options", FIELDS(fields),
	.about = "A reason that may be given for an adjustment, a return, wastage or a variance.",
	.owner = SYNC_OWNER_CENTRAL,
	.routes = { { SYNC_ROUTE_CENTRAL } },
};

#include "schema/declared.h"

static const struct sync_field fields[] = {
	{ "id",               SYNC_ID,   .required = true, .legacy = { "ID", "str" } },
	{ "method",           SYNC_TEXT, .required = true, .legacy = { "method", "str" } },
	{ "deleted_datetime", SYNC_TIME,                   .legacy = { "isActive", "rule" } },
};

const struct sync_entity sync_shipping_method = {
	.name = "shipping_method", .legacy = "ship_method", FIELDS(fields),
	.about = "A way of shipping.",
	.owner = SYNC_OWNER_CENTRAL,
	.routes = { { SYNC_ROUTE_CENTRAL } },
};

#include "schema/declared.h"

static const struct sync_field fields[] = {
	{ "id",                 SYNC_ID,   .required = true },
	{ "item_quantity",      SYNC_REAL, .required = true },
	{ "ancillary_quantity", SYNC_REAL, .required = true },
	{ "deleted_datetime",   SYNC_TIME },
	{ "item_id",            SYNC_ID,   .required = true, .refers = "item" },
	{ "ancillary_item_id",  SYNC_ID,   .required = true, .refers = "item" },
};

const struct sync_entity sync_ancillary_item = {
	.name = "ancillary_item", FIELDS(fields),
	.about = "How much of one item is used up along with another, such as syringes with a vaccine.",
	.owner = SYNC_OWNER_CENTRAL,
	.routes = { { SYNC_ROUTE_CENTRAL } },
};

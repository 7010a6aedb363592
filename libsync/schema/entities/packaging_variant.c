#include "schema/declared.h"

static const struct sync_field fields[] = {
	{ "id",               SYNC_ID,      .required = true },
	{ "name",             SYNC_TEXT,    .required = true },
	{ "item_variant_id",  SYNC_ID,      .required = true, .refers = "item_variant" },
	{ "packaging_level",  SYNC_INTEGER, .required = true },
	{ "pack_size",        SYNC_REAL },
	{ "volume_per_unit",  SYNC_REAL },
	{ "deleted_datetime", SYNC_TIME },
};

const struct sync_entity sync_packaging_variant = {
	.name = "packaging_variant", FIELDS(fields),
	.about = "One level of packaging of an item variant.",
	.owner = SYNC_OWNER_CENTRAL,
	.routes = { { SYNC_ROUTE_CENTRAL } },
};

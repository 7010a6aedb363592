#include "schema/declared.h"

static const struct sync_field fields[] = {
	{ "id",                      SYNC_ID,   .required = true },
	{ "sub_catalogue",           SYNC_TEXT, .required = true },
	{ "asset_category_id",       SYNC_ID,   .required = true, .refers = "asset_category" },
	{ "asset_class_id",          SYNC_ID,   .required = true, .refers = "asset_class" },
	{ "code",                    SYNC_TEXT, .required = true },
	{ "manufacturer",            SYNC_TEXT },
	{ "model",                   SYNC_TEXT, .required = true },
	{ "asset_catalogue_type_id", SYNC_ID,   .required = true, .refers = "asset_catalogue_type" },
	{ "properties",              SYNC_JSON },
	{ "deleted_datetime",        SYNC_TIME },
};

const struct sync_entity sync_asset_catalogue_item = {
	.name = "asset_catalogue_item", FIELDS(fields),
	.about = "A model of equipment that a facility may own, as the catalogue lists it.",
	.owner = SYNC_OWNER_CENTRAL,
	.routes = { { SYNC_ROUTE_CENTRAL } },
};

#include "schema/declared.h"

static const struct sync_field fields[] = {
	{ "id",                      SYNC_ID,      .required = true },
	{ "notes",                   SYNC_TEXT },
	{ "asset_number",            SYNC_TEXT },
	{ "asset_category_id",       SYNC_ID,      .refers = "asset_category" },
	{ "asset_class_id",          SYNC_ID,      .refers = "asset_class" },
	{ "asset_catalogue_type_id", SYNC_ID,      .refers = "asset_catalogue_type" },
	{ "store_id",                SYNC_ID,      .refers = "store" },
	{ "serial_number",           SYNC_TEXT },
	{ "asset_catalogue_item_id", SYNC_ID,      .refers = "asset_catalogue_item" },
	{ "installation_date",       SYNC_DATE },
	{ "replacement_date",        SYNC_DATE },
	{ "created_datetime",        SYNC_TIME,    .required = true },
	{ "modified_datetime",       SYNC_TIME,    .required = true },
	{ "deleted_datetime",        SYNC_TIME },
	{ "properties",              SYNC_JSON },
	{ "donor_name_id",           SYNC_ID,      .refers = "name" },
	{ "warranty_start",          SYNC_DATE },
	{ "warranty_end",            SYNC_DATE },
	{ "needs_replacement",       SYNC_BOOLEAN },
	{ "locked_fields_json",      SYNC_JSON },
};

/* Any: the store's site and central both edit it, so an edit may meet another one and a conflict must be seen. */
const struct sync_entity sync_asset = {
	.name = "asset", FIELDS(fields),
	.about = "One piece of equipment, such as a refrigerator, with its place in the catalogue and its warranty.",
	.owner = SYNC_OWNER_ANY,
	.routes = { { SYNC_ROUTE_STORE, "store_id" } },
};

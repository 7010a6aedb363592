#include "schema/declared.h"

static const struct sync_field fields[] = {
	{ "id",                        SYNC_ID,      .required = true, .legacy = { "ID", "str" } },
	{ "item_id",                   SYNC_ID,      .required = true, .refers = "item", .legacy = { "item_ID", "str" } },
	{ "store_id",                  SYNC_ID,      .required = true, .refers = "store", .legacy = { "store_ID", "str" } },
	{ "location_id",               SYNC_ID,      .refers = "location", .legacy = { "location_ID", "str0" } },
	{ "batch",                     SYNC_TEXT,                      .legacy = { "batch", "str0" } },
	{ "pack_size",                 SYNC_REAL,    .required = true, .legacy = { "pack_size", "num" } },
	{ "cost_price_per_pack",       SYNC_REAL,    .required = true, .legacy = { "cost_price", "num" } },
	{ "sell_price_per_pack",       SYNC_REAL,    .required = true, .legacy = { "sell_price", "num" } },
	{ "available_number_of_packs", SYNC_REAL,    .required = true, .legacy = { "available", "num" } },
	{ "total_number_of_packs",     SYNC_REAL,    .required = true, .legacy = { "quantity", "num" } },
	{ "expiry_date",               SYNC_DATE,                      .legacy = { "expiry_date", "date0t" } },
	{ "on_hold",                   SYNC_BOOLEAN, .required = true, .legacy = { "hold", "bool" } },
	{ "note",                      SYNC_TEXT,                      .legacy = { "note", "str0" } },
	{ "barcode_id",                SYNC_ID,      .refers = "barcode", .legacy = { "barcodeID", "str0" } },
	{ "item_variant_id",           SYNC_ID,      .refers = "item_variant", .legacy = { "om_item_variant_id", "str0" } },
	{ "vvm_status_id",             SYNC_ID,      .refers = "vvm_status", .legacy = { "vvm_status_id", "str0" } },
	{ "campaign_id",               SYNC_ID,      .refers = "campaign", .legacy = { "oms_fields.campaign_id", "str0" } },
	{ "program_id",                SYNC_ID,      .refers = "program", .legacy = { "oms_fields.program_id", "str0" } },
	{ "total_volume",              SYNC_REAL,    .required = true, .legacy = { "total_volume", "num" } },
	{ "volume_per_pack",           SYNC_REAL,    .required = true, .legacy = { "volume_per_pack", "num" } },
	{ "manufacture_date",          SYNC_DATE,                      .legacy = { "oms_fields.manufacture_date", "daten" } },
	{ "supplier_id",               SYNC_ID,      .refers = "name", .legacy = { "name_ID", "str0" } },
	{ "donor_id",                  SYNC_ID,      .refers = "name", .legacy = { "donor_id", "str0" } },
	{ "manufacturer_id",           SYNC_ID,      .refers = "name", .legacy = { "manufacturer_ID", "str0" } },
};

const struct sync_entity sync_stock_line = {
	.name = "stock_line", .legacy = "item_line", FIELDS(fields),
	.about = "A batch of an item held by a store.",
	.owner = SYNC_OWNER_STORE, .owner_field = "store_id",
	.routes = { { SYNC_ROUTE_STORE, "store_id" } },
};

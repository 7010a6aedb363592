#include "schema/declared.h"

static const struct sync_field fields[] = {
	{ "id",                       SYNC_ID,   .required = true, .legacy = { "ID", "str" } },
	{ "stocktake_id",             SYNC_ID,   .required = true, .refers = "stocktake",
	  .legacy = { "stock_take_ID", "str" } },
	{ "stock_line_id",            SYNC_ID,   .refers = "stock_line", .legacy = { "item_line_ID", "str0" } },
	{ "location_id",              SYNC_ID,   .refers = "location", .legacy = { "location_id", "str0" } },
	{ "comment",                  SYNC_TEXT,                   .legacy = { "comment", "str0" } },
	{ "snapshot_number_of_packs", SYNC_REAL, .required = true, .legacy = { "snapshot_qty", "num" } },
	{ "counted_number_of_packs",  SYNC_REAL,                   .legacy = { "stock_take_qty", "rule" } },
	{ "item_id",                  SYNC_ID,   .required = true, .refers = "item", .legacy = { "item_ID", "str" } },
	{ "item_name",                SYNC_TEXT, .required = true, .legacy = { "item_name", "str" } },
	{ "batch",                    SYNC_TEXT,                   .legacy = { "Batch", "str0" } },
	{ "expiry_date",              SYNC_DATE,                   .legacy = { "expiry", "date0t" } },
	{ "manufacture_date",         SYNC_DATE,                   .legacy = { "oms_fields.manufacture_date", "daten" } },
	{ "pack_size",                SYNC_REAL,                   .legacy = { "snapshot_packsize", "num" } },
	{ "cost_price_per_pack",      SYNC_REAL,                   .legacy = { "cost_price", "num" } },
	{ "sell_price_per_pack",      SYNC_REAL,                   .legacy = { "sell_price", "num" } },
	{ "note",                     SYNC_TEXT,                   .legacy = { "om_note", "strn" } },
	{ "item_variant_id",          SYNC_ID,   .refers = "item_variant", .legacy = { "om_item_variant_id", "str0" } },
	{ "reason_option_id",         SYNC_ID,   .refers = "reason_option", .legacy = { "optionID", "str0" } },
	{ "vvm_status_id",            SYNC_ID,   .refers = "vvm_status", .soft = true,
	  .legacy = { "vaccine_vial_monitor_status_ID", "str0" } },
	{ "volume_per_pack",          SYNC_REAL, .required = true, .legacy = { "volume_per_pack", "num" } },
	{ "campaign_id",              SYNC_ID,   .refers = "campaign", .legacy = { "oms_fields.campaign_id", "str0" } },
	{ "program_id",               SYNC_ID,   .refers = "program", .legacy = { "oms_fields.program_id", "str0" } },
	{ "donor_id",                 SYNC_ID,   .refers = "name", .soft = true, .legacy = { "donor_ID", "str0" } },
	{ "manufacturer_id",          SYNC_ID,   .refers = "name", .legacy = { "manufacturer_ID", "str0" } },
};

const struct sync_entity sync_stocktake_line = {
	.name = "stocktake_line", .legacy = "Stock_take_lines", FIELDS(fields),
	.about = "One batch within a stocktake: what the books said and what was counted.",
	.owner = SYNC_OWNER_STORE, .parent = "stocktake_id",
	.routes = { { SYNC_ROUTE_PARENT, "stocktake_id" } },
};

#include "schema/declared.h"

static const char *const types[] = { "STOCK_IN", "STOCK_OUT", "UNALLOCATED_STOCK", "SERVICE", NULL };

static const char *const statuses[] = { "PENDING", "PASSED", "REJECTED", NULL };

static const struct sync_field fields[] = {
	{ "id",                                SYNC_ID,   .required = true, .legacy = { "ID", "str" } },
	{ "invoice_id",                        SYNC_ID,   .required = true, .refers = "invoice",
	  .legacy = { "transaction_ID", "str" } },
	{ "item_id",                           SYNC_ID,   .required = true, .refers = "item", .legacy = { "item_ID", "str" } },
	{ "item_name",                         SYNC_TEXT, .required = true, .legacy = { "item_name", "str" } },
	{ "item_code",                         SYNC_TEXT, .required = true, .legacy = { "om_item_code", "strn" } },
	{ "stock_line_id",                     SYNC_ID,   .refers = "stock_line", .legacy = { "item_line_ID", "str0" } },
	{ "location_id",                       SYNC_ID,   .refers = "location", .legacy = { "location_ID", "str0" } },
	{ "batch",                             SYNC_TEXT,                   .legacy = { "batch", "str0" } },
	{ "expiry_date",                       SYNC_DATE,                   .legacy = { "expiry_date", "date0t" } },
	{ "pack_size",                         SYNC_REAL, .required = true, .legacy = { "pack_size", "num" } },
	{ "cost_price_per_pack",               SYNC_REAL, .required = true, .legacy = { "cost_price", "num" } },
	{ "sell_price_per_pack",               SYNC_REAL, .required = true, .legacy = { "sell_price", "num" } },
	{ "total_before_tax",                  SYNC_REAL, .required = true, .legacy = { "om_total_before_tax", "numn" } },
	{ "total_after_tax",                   SYNC_REAL, .required = true, .legacy = { "om_total_after_tax", "numn" } },
	{ "tax_percentage",                    SYNC_REAL,                   .legacy = { "om_tax", "numn" } },
	{ "type",                              SYNC_ENUM, .required = true, .values = types, .legacy = { "type", "enum" } },
	{ "number_of_packs",                   SYNC_REAL, .required = true, .legacy = { "quantity", "num" } },
	{ "prescribed_quantity",               SYNC_REAL,                   .legacy = { "prescribedQuantity", "numn" } },
	{ "note",                              SYNC_TEXT,                   .legacy = { "note", "str0" } },
	{ "foreign_currency_price_before_tax", SYNC_REAL,                   .legacy = { "foreign_currency_price", "numn" } },
	{ "item_variant_id",                   SYNC_ID,   .refers = "item_variant",
	  .legacy = { "om_item_variant_id", "str0" } },
	{ "linked_invoice_id",                 SYNC_ID,   .refers = "invoice", .soft = true,
	  .legacy = { "linked_transact_id", "str0" } },
	{ "vvm_status_id",                     SYNC_ID,   .refers = "vvm_status",
	  .legacy = { "vaccine_vial_monitor_status_ID", "str0" } },
	{ "reason_option_id",                  SYNC_ID,   .refers = "reason_option", .legacy = { "optionID", "str0" } },
	{ "campaign_id",                       SYNC_ID,   .refers = "campaign",
	  .legacy = { "oms_fields.campaign_id", "str0" } },
	{ "program_id",                        SYNC_ID,   .refers = "program", .legacy = { "oms_fields.program_id", "str0" } },
	{ "shipped_number_of_packs",           SYNC_REAL,                   .legacy = { "sentQuantity", "numn" } },
	{ "volume_per_pack",                   SYNC_REAL, .required = true, .legacy = { "volume_per_pack", "num" } },
	{ "shipped_pack_size",                 SYNC_REAL,                   .legacy = { "sent_pack_size", "numn" } },
	{ "status",                            SYNC_ENUM, .values = statuses, .legacy = { "oms_fields.status", "enumn" } },
	{ "manufacture_date",                  SYNC_DATE,
	  .legacy = { "oms_fields.manufacture_date", "daten" } },
	{ "purchase_order_line_id",            SYNC_ID,   .refers = "purchase_order_line",
	  .legacy = { "oms_fields.purchase_order_line_id", "strn" } },
	{ "donor_id",                          SYNC_ID,   .refers = "name", .legacy = { "donor_id", "str0" } },
	{ "manufacturer_id",                   SYNC_ID,   .refers = "name", .legacy = { "manufacturer_ID", "str0" } },
};

const struct sync_entity sync_invoice_line = {
	.name = "invoice_line", .legacy = "trans_line", FIELDS(fields),
	.about = "One line of an invoice: an item, its batch and the packs that move.",
	.owner = SYNC_OWNER_STORE, .parent = "invoice_id",
	.routes = { { SYNC_ROUTE_PARENT, "invoice_id" } },
};

#include "schema/declared.h"

static const char *const statuses[] = { "NEW", "SENT", "CLOSED", NULL };

static const struct sync_field fields[] = {
	{ "id",                             SYNC_ID,     .required = true, .legacy = { "ID", "str" } },
	{ "store_id",                       SYNC_ID,     .required = true, .refers = "store", .legacy = { "store_ID", "str" } },
	{ "purchase_order_id",              SYNC_ID,     .required = true, .refers = "purchase_order",
	  .legacy = { "purchase_order_ID", "str" } },
	{ "line_number",                    SYNC_BIGINT, .required = true, .legacy = { "line_number", "int" } },
	{ "item_id",                        SYNC_ID,     .required = true, .refers = "item", .legacy = { "item_ID", "str" } },
	{ "item_name",                      SYNC_TEXT,   .required = true, .legacy = { "item_name", "str" } },
	{ "requested_pack_size",            SYNC_REAL,   .required = true, .legacy = { "packsize_ordered", "num" } },
	{ "requested_number_of_units",      SYNC_REAL,   .required = true, .legacy = { "quan_original_order", "num" } },
	{ "adjusted_number_of_units",       SYNC_REAL,                     .legacy = { "quan_adjusted_order", "num0" } },
	{ "requested_delivery_date",        SYNC_DATE,                     .legacy = { "delivery_date_requested", "date0t" } },
	{ "expected_delivery_date",         SYNC_DATE,                     .legacy = { "delivery_date_expected", "date0t" } },
	{ "stock_on_hand_in_units",         SYNC_REAL,   .required = true, .legacy = { "snapshot_quantity", "num" } },
	{ "supplier_item_code",             SYNC_TEXT,                     .legacy = { "supplier_item_code", "str0" } },
	{ "price_per_pack_before_discount", SYNC_REAL,   .required = true,
	  .legacy = { "price_per_pack_before_discount", "num" } },
	{ "price_per_pack_after_discount",  SYNC_REAL,   .required = true,
	  .legacy = { "price_expected_after_discount", "num" } },
	{ "comment",                        SYNC_TEXT,                     .legacy = { "comment", "str0" } },
	{ "note",                           SYNC_TEXT,                     .legacy = { "note", "str0" } },
	{ "unit",                           SYNC_TEXT,                     .legacy = { "pack_units", "str0" } },
	{ "status",                         SYNC_ENUM,   .required = true, .values = statuses,
	  .legacy = { "oms_fields.status", "enum" } },
	{ "manufacturer_id",                SYNC_ID,     .refers = "name", .legacy = { "manufacturer_ID", "str0" } },
};

const struct sync_entity sync_purchase_order_line = {
	.name = "purchase_order_line", .legacy = "purchase_order_line", FIELDS(fields),
	.about = "One item of a purchase order.",
	.owner = SYNC_OWNER_STORE, .parent = "purchase_order_id",
	.routes = { { SYNC_ROUTE_PARENT, "purchase_order_id" } },
};

#include "schema/declared.h"

static const struct sync_field fields[] = {
	{ "id",               SYNC_ID,   .required = true, .legacy = { "ID", "str" } },
	{ "status_id",        SYNC_ID,   .required = true, .refers = "vvm_status", .soft = true,
	  .legacy = { "status_ID", "str" } },
	{ "created_datetime", SYNC_TIME, .required = true, .legacy = { "date + time", "datet+time" } },
	{ "stock_line_id",    SYNC_ID,   .required = true, .refers = "stock_line", .legacy = { "item_line_ID", "str" } },
	{ "comment",          SYNC_TEXT,                   .legacy = { "comment", "str0" } },
	{ "created_by",       SYNC_ID,   .required = true, .refers = "user_account", .soft = true,
	  .legacy = { "user_ID", "str" } },
	{ "invoice_line_id",  SYNC_ID,   .refers = "invoice_line", .legacy = { "trans_line_ID", "str0" } },
	{ "store_id",         SYNC_ID,   .required = true, .refers = "store", .legacy = { "store_ID", "str" } },
};

const struct sync_entity sync_vvm_status_log = {
	.name = "vvm_status_log", .legacy = "vaccine_vial_monitor_status_log", FIELDS(fields),
	.about = "A reading of the vial monitor of a batch of stock.",
	.owner = SYNC_OWNER_STORE, .owner_field = "store_id",
	.routes = { { SYNC_ROUTE_STORE, "store_id" } },
};

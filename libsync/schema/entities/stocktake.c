#include "schema/declared.h"

static const char *const statuses[] = { "NEW", "FINALISED", NULL };

static const struct sync_field fields[] = {
	{ "id",                     SYNC_ID,      .required = true, .legacy = { "ID", "str" } },
	{ "store_id",               SYNC_ID,      .required = true, .refers = "store", .legacy = { "store_ID", "str" } },
	{ "user_id",                SYNC_ID,      .required = true, .refers = "user_account", .soft = true,
	  .legacy = { "created_by_ID", "str" } },
	{ "stocktake_number",       SYNC_BIGINT,  .required = true, .legacy = { "serial_number", "int" } },
	{ "comment",                SYNC_TEXT,                      .legacy = { "comment", "str0" } },
	{ "description",            SYNC_TEXT,                      .legacy = { "Description", "str0" } },
	{ "status",                 SYNC_ENUM,    .required = true, .values = statuses, .legacy = { "status", "enum" } },
	{ "created_datetime",       SYNC_TIME,    .required = true, .legacy = { "om_created_datetime", "dtm0" } },
	{ "stocktake_date",         SYNC_DATE,                      .legacy = { "stock_take_date", "date0t" } },
	{ "finalised_datetime",     SYNC_TIME,                      .legacy = { "om_finalised_datetime", "dtm0" } },
	{ "inventory_addition_id",  SYNC_ID,      .refers = "invoice", .legacy = { "invad_additions_ID", "str0" } },
	{ "inventory_reduction_id", SYNC_ID,      .refers = "invoice", .legacy = { "invad_reductions_ID", "str0" } },
	{ "is_locked",              SYNC_BOOLEAN, .required = true, .legacy = { "Locked", "bool" } },
	{ "program_id",             SYNC_ID,      .refers = "program", .legacy = { "programID", "str0" } },
	{ "counted_by",             SYNC_TEXT,                      .legacy = { "om_counted_by", "str0" } },
	{ "verified_by",            SYNC_TEXT,                      .legacy = { "om_verified_by", "str0" } },
	{ "is_initial_stocktake",   SYNC_BOOLEAN, .required = true, .legacy = { "om_is_initial_stocktake", "bool" } },
};

const struct sync_entity sync_stocktake = {
	.name = "stocktake", .legacy = "Stock_take", FIELDS(fields),
	.about = "A count of stock.",
	.owner = SYNC_OWNER_STORE, .owner_field = "store_id",
	.routes = { { SYNC_ROUTE_STORE, "store_id" } },
};

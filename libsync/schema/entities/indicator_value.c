#include "schema/declared.h"

static const struct sync_field fields[] = {
	{ "id",                  SYNC_ID,   .required = true, .legacy = { "ID", "str" } },
	{ "store_id",            SYNC_ID,   .required = true, .refers = "store", .legacy = { "store_ID", "str" } },
	{ "period_id",           SYNC_ID,   .required = true, .refers = "period", .legacy = { "period_ID", "str" } },
	{ "indicator_line_id",   SYNC_ID,   .required = true, .refers = "indicator_line", .legacy = { "row_ID", "str" } },
	{ "indicator_column_id", SYNC_ID,   .required = true, .refers = "indicator_column", .legacy = { "column_ID", "str" } },
	{ "value",               SYNC_TEXT, .required = true, .legacy = { "value", "str" } },
	{ "customer_name_id",    SYNC_ID,   .required = true, .refers = "name", .legacy = { "facility_ID", "lookup" } },
};

const struct sync_entity sync_indicator_value = {
	.name = "indicator_value", .legacy = "indicator_value", FIELDS(fields),
	.about = "What a customer reported for one cell of an indicator in one period.",
	.owner = SYNC_OWNER_STORE, .owner_field = "store_id",
	.routes = { { SYNC_ROUTE_STORE, "store_id" }, { SYNC_ROUTE_TRANSFER, "customer_name_id" } },
};

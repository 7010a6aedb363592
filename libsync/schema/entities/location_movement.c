#include "schema/declared.h"

static const struct sync_field fields[] = {
	{ "id",             SYNC_ID,   .required = true, .legacy = { "ID", "str" } },
	{ "store_id",       SYNC_ID,   .required = true, .refers = "store", .legacy = { "store_ID", "str" } },
	{ "stock_line_id",  SYNC_ID,   .required = true, .refers = "stock_line", .legacy = { "item_line_ID", "str" } },
	{ "location_id",    SYNC_ID,   .refers = "location", .legacy = { "location_ID", "str0" } },
	{ "enter_datetime", SYNC_TIME,                   .legacy = { "enter_date + enter_time", "date0t+time" } },
	{ "exit_datetime",  SYNC_TIME,                   .legacy = { "exit_date + exit_time", "date0t+time" } },
};

const struct sync_entity sync_location_movement = {
	.name = "location_movement", .legacy = "location_movement", FIELDS(fields),
	.about = "When a batch of stock entered and left a location.",
	.owner = SYNC_OWNER_STORE, .owner_field = "store_id",
	.routes = { { SYNC_ROUTE_STORE, "store_id" } },
};

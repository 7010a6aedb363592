#include "schema/declared.h"

static const struct sync_field fields[] = {
	{ "id",                          SYNC_ID,      .required = true, .legacy = { "ID", "str" } },
	{ "item_id",                     SYNC_ID,      .required = true, .refers = "item", .legacy = { "item_ID", "str" } },
	{ "store_id",                    SYNC_ID,      .required = true, .refers = "store", .legacy = { "store_ID", "str" } },
	{ "default_sell_price_per_pack", SYNC_REAL,    .required = true, .legacy = { "default_price", "num" } },
	{ "ignore_for_orders",           SYNC_BOOLEAN, .required = true, .legacy = { "ignore_for_orders", "bool" } },
	{ "margin",                      SYNC_REAL,    .required = true, .legacy = { "margin", "num" } },
	{ "default_location_id",         SYNC_ID,      .refers = "location", .legacy = { "default_location_ID", "str0" } },
};

const struct sync_entity sync_item_store_join = {
	.name = "item_store_join", .legacy = "item_store_join", FIELDS(fields),
	.about = "What one store sets for an item: price, margin and default location.",
	.owner = SYNC_OWNER_CENTRAL,
	.routes = { { SYNC_ROUTE_STORE, "store_id" } },
};

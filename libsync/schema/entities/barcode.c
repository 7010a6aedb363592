#include "schema/declared.h"

static const struct sync_field fields[] = {
	{ "id",              SYNC_ID,   .required = true, .legacy = { "ID", "str" } },
	{ "gtin",            SYNC_TEXT, .required = true, .legacy = { "barcode", "str" } },
	{ "item_id",         SYNC_ID,   .required = true, .refers = "item", .legacy = { "itemID", "str" } },
	{ "pack_size",       SYNC_REAL,                   .legacy = { "packSize", "numn" } },
	{ "parent_id",       SYNC_ID,   .refers = "barcode", .soft = true, .legacy = { "parentID", "str0" } },
	{ "manufacturer_id", SYNC_ID,   .refers = "name", .legacy = { "manufacturerID", "str0" } },
};

const struct sync_entity sync_barcode = {
	.name = "barcode", .legacy = "barcode", FIELDS(fields),
	.about = "What a barcode on a package stands for: the item, its pack size and its manufacturer.",
	.owner = SYNC_OWNER_ANY,
	.routes = { { SYNC_ROUTE_CENTRAL } },
};

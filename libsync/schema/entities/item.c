#include "schema/declared.h"

static const char *const ven_categories[] = { "V", "E", "N", "NOT_ASSIGNED", NULL };

static const char *const types[] = { "STOCK", "SERVICE", "NON_STOCK", NULL };

static const struct sync_field fields[] = {
	{ "id",                          SYNC_ID,      .required = true, .legacy = { "ID", "str" } },
	{ "name",                        SYNC_TEXT,    .required = true, .legacy = { "item_name", "str" } },
	{ "code",                        SYNC_TEXT,    .required = true, .legacy = { "code", "str" } },
	{ "unit_id",                     SYNC_ID,      .refers = "unit", .legacy = { "unit_ID", "str0" } },
	{ "strength",                    SYNC_TEXT,                      .legacy = { "strength", "str0" } },
	{ "ven_category",                SYNC_ENUM,    .required = true, .values = ven_categories,
	  .legacy = { "VEN_category", "enum" } },
	{ "default_pack_size",           SYNC_REAL,    .required = true, .legacy = { "default_pack_size", "num" } },
	{ "type",                        SYNC_ENUM,    .required = true, .values = types, .legacy = { "type_of", "enum" } },
	{ "legacy_record",               SYNC_JSON,    .required = true, .legacy = { .codec = "whole" } },
	{ "is_active",                   SYNC_BOOLEAN, .required = true, .legacy = { .codec = "const" } },
	{ "is_vaccine",                  SYNC_BOOLEAN, .required = true, .legacy = { "is_vaccine", "bool" } },
	{ "vaccine_doses",               SYNC_INTEGER, .required = true, .legacy = { "doses", "int" } },
	{ "restricted_location_type_id", SYNC_ID,      .refers = "location_type",
	  .legacy = { "restricted_location_type_ID", "str0" } },
	{ "volume_per_pack",             SYNC_REAL,    .required = true, .legacy = { "volume_per_pack", "num" } },
	{ "universal_code",              SYNC_TEXT,                      .legacy = { "universalcodes_code", "str0" } },
};

const struct sync_entity sync_item = {
	.name = "item", .legacy = "item", FIELDS(fields),
	.about = "A product that can be stocked, ordered and issued.",
	.owner = SYNC_OWNER_CENTRAL,
	.routes = { { SYNC_ROUTE_CENTRAL } },
};

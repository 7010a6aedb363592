#include "schema/declared.h"

static const char *const store_modes[] = { "STORE", "DISPENSARY", NULL };

static const struct sync_field fields[] = {
	{ "id",           SYNC_ID,      .required = true, .legacy = { "ID", "str" } },
	{ "code",         SYNC_TEXT,    .required = true, .legacy = { "code", "str" } },
	{ "site_id",      SYNC_INTEGER, .required = true, .fallback = "0", .legacy = { "sync_id_remote_site", "int" } },
	{ "logo",         SYNC_TEXT,                      .legacy = { "logo", "str0" } },
	{ "store_mode",   SYNC_ENUM,    .required = true, .values = store_modes, .legacy = { "store_mode", "enum" } },
	{ "created_date", SYNC_DATE,                      .legacy = { "created_date", "date0" } },
	{ "is_disabled",  SYNC_BOOLEAN, .required = true, .legacy = { "disabled", "bool" } },
	{ "name_id",      SYNC_ID,      .required = true, .refers = "name", .legacy = { "name_ID", "str" } },
};

const struct sync_entity sync_store = {
	.name = "store", .legacy = "store", FIELDS(fields),
	.about = "A business unit; its site_id says where it is active.",
	.owner = SYNC_OWNER_CENTRAL,
	.routes = { { SYNC_ROUTE_CENTRAL } },
};

#include "schema/declared.h"

static const struct sync_field fields[] = {
	{ "id",               SYNC_ID,      .required = true, .legacy = { "ID", "str" } },
	{ "master_list_id",   SYNC_ID,      .refers = "master_list", .legacy = { "ID", "str" } },
	{ "name",             SYNC_TEXT,    .required = true, .legacy = { "description", "str" } },
	{ "context_id",       SYNC_ID,      .required = true, .refers = "context", .legacy = { "ID", "str" } },
	{ "is_immunisation",  SYNC_BOOLEAN, .required = true, .legacy = { "is_immunisation", "booln" } },
	{ "elmis_code",       SYNC_TEXT,                      .legacy = { "programSettings.elmisCode", "str0" } },
	{ "deleted_datetime", SYNC_TIME,                      .legacy = { "inactive", "rule" } },
};

const struct sync_entity sync_program = {
	.name = "program", .legacy = "list_master", FIELDS(fields),
	.about = "A health program, such as immunisation.",
	.owner = SYNC_OWNER_CENTRAL,
	.routes = { { SYNC_ROUTE_CENTRAL } },
};

#include "schema/declared.h"

static const char *const statuses[] = { "ACTIVE", "DELETED", NULL };

static const struct sync_field fields[] = {
	{ "id",             SYNC_ID,   .required = true, .legacy = { "ID", "str" } },
	{ "name",           SYNC_TEXT, .required = true, .legacy = { "name", "str" } },
	{ "parent_ids",     SYNC_JSON, .required = true, .legacy = { "parent_IDs", "jsons" } },
	{ "user_id",        SYNC_ID,   .required = true, .refers = "user_account", .soft = true,
	  .legacy = { "user_ID", "str" } },
	{ "datetime",       SYNC_TIME, .required = true, .legacy = { "datetime", "dtm" } },
	{ "type",           SYNC_TEXT, .required = true, .legacy = { "type", "str" } },
	{ "data",           SYNC_JSON, .required = true, .legacy = { "data", "json_in_jsons_out" } },
	{ "form_schema_id", SYNC_ID,   .refers = "form_schema", .legacy = { "form_schema_ID", "str0" } },
	{ "status",         SYNC_ENUM, .required = true, .values = statuses, .legacy = { "status", "enum" } },
	{ "context_id",     SYNC_ID,   .required = true, .refers = "context", .legacy = { "context_ID", "str" } },
	{ "owner_name_id",  SYNC_ID,   .refers = "name", .legacy = { "owner_name_ID", "str0" } },
};

const struct sync_entity sync_document = {
	.name = "document", .legacy = "om_document", FIELDS(fields),
	.about = "One version of a document about a patient; a new version is a new record.",
	.owner = SYNC_OWNER_ANY,
	.routes = { { SYNC_ROUTE_THROUGH, "owner_name_id", "name_store_join", "name_id" } },
};

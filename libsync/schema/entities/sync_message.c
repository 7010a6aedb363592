#include "schema/declared.h"

static const char *const statuses[] = { "NEW", "PROCESSED", NULL };

static const struct sync_field fields[] = {
	{ "id",               SYNC_ID,   .required = true, .legacy = { "ID", "str" } },
	{ "to_store_id",      SYNC_ID,   .refers = "store", .legacy = { "toStoreID", "str0" } },
	{ "from_store_id",    SYNC_ID,   .refers = "store", .legacy = { "fromStoreID", "str0" } },
	{ "body",             SYNC_JSON, .required = true, .legacy = { "body", "jsons_in" } },
	{ "created_datetime", SYNC_TIME, .required = true, .legacy = { "createdDate + createdTime", "date+time" } },
	{ "status",           SYNC_ENUM, .required = true, .values = statuses, .legacy = { "status", "enum" } },
	{ "type",             SYNC_TEXT, .required = true, .legacy = { "type", "enum_open" } },
	{ "error_message",    SYNC_TEXT,                   .legacy = { "error_message", "str0" } },
};

/* Any: the sender writes it and the receiver changes its status. */
const struct sync_entity sync_sync_message = {
	.name = "sync_message", .legacy = "message", FIELDS(fields),
	.about = "A request from one store to another, which the receiver marks as processed.",
	.owner = SYNC_OWNER_ANY,
	.routes = { { SYNC_ROUTE_STORE, "to_store_id" }, { SYNC_ROUTE_STORE, "from_store_id" } },
};

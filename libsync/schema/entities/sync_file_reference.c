#include "schema/declared.h"

static const char *const directions[] = { "UPLOAD", "DOWNLOAD", NULL };

static const char *const statuses[] = { "NEW", "IN_PROGRESS", "ERROR", "DONE", "PERMANENT_FAILURE", NULL };

static const struct sync_field fields[] = {
	{ "id",               SYNC_ID,      .required = true },
	{ "table_name",       SYNC_TEXT,    .required = true },
	{ "record_id",        SYNC_TEXT,    .required = true },
	{ "file_name",        SYNC_TEXT,    .required = true },
	{ "mime_type",        SYNC_TEXT },
	{ "uploaded_bytes",   SYNC_INTEGER, .required = true, .fallback = "0", .local = true },
	{ "downloaded_bytes", SYNC_INTEGER, .required = true, .fallback = "0", .local = true },
	{ "total_bytes",      SYNC_INTEGER, .required = true },
	{ "retries",          SYNC_INTEGER, .required = true, .fallback = "0", .local = true },
	{ "retry_at",         SYNC_TIME,    .local = true },
	{ "direction",        SYNC_ENUM,    .required = true, .values = directions, .fallback = "'DOWNLOAD'", .local = true },
	{ "status",           SYNC_ENUM,    .required = true, .values = statuses, .fallback = "'NEW'", .local = true },
	{ "error",            SYNC_TEXT,    .local = true },
	{ "created_datetime", SYNC_TIME,    .required = true },
	{ "deleted_datetime", SYNC_TIME },
};

const struct sync_entity sync_sync_file_reference = {
	.name = "sync_file_reference", FIELDS(fields),
	.about = "A file that belongs to a record; the content travels apart from it.",
	.owner = SYNC_OWNER_ANY,
	.routes = { { SYNC_ROUTE_CENTRAL } },
};

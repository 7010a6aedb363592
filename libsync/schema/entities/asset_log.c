#include "schema/declared.h"

static const char *const statuses[] = {
	"NOT_IN_USE", "FUNCTIONING", "FUNCTIONING_BUT_NEEDS_ATTENTION", "NOT_FUNCTIONING", "DECOMMISSIONED",
	"UNSERVICEABLE", NULL,
};

static const char *const types[] = { "STATUS_UPDATE", "TEMPERATURE_MAPPING", NULL };

static const struct sync_field fields[] = {
	{ "id",               SYNC_ID,   .required = true },
	{ "asset_id",         SYNC_ID,   .required = true, .refers = "asset" },
	{ "user_id",          SYNC_ID,   .required = true, .refers = "user_account", .soft = true },
	{ "status",           SYNC_ENUM, .values = statuses },
	{ "comment",          SYNC_TEXT },
	{ "type",             SYNC_ENUM, .values = types },
	{ "reason_id",        SYNC_ID,   .refers = "asset_log_reason" },
	{ "log_datetime",     SYNC_TIME, .required = true },
	{ "created_datetime", SYNC_TIME, .required = true },
};

const struct sync_entity sync_asset_log = {
	.name = "asset_log", FIELDS(fields),
	.about = "A change of an asset's working status, or an observation made on it.",
	.owner = SYNC_OWNER_ANY, .parent = "asset_id",
	.routes = { { SYNC_ROUTE_PARENT, "asset_id" } },
};

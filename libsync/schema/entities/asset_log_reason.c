#include "schema/declared.h"

static const char *const asset_log_statuses[] = {
	"NOT_IN_USE", "FUNCTIONING", "FUNCTIONING_BUT_NEEDS_ATTENTION", "NOT_FUNCTIONING", "DECOMMISSIONED",
	"UNSERVICEABLE", NULL,
};

static const struct sync_field fields[] = {
	{ "id",                SYNC_ID,      .required = true },
	{ "asset_log_status",  SYNC_ENUM,    .required = true, .values = asset_log_statuses },
	{ "reason",            SYNC_TEXT,    .required = true },
	{ "deleted_datetime",  SYNC_TIME },
	{ "comments_required", SYNC_BOOLEAN, .required = true },
};

const struct sync_entity sync_asset_log_reason = {
	.name = "asset_log_reason", FIELDS(fields),
	.about = "A reason that may be given for a working status of an asset.",
	.owner = SYNC_OWNER_CENTRAL,
	.routes = { { SYNC_ROUTE_CENTRAL } },
};

#include "schema/declared.h"

static const char *const types[] = {
	"PROCESSOR_ERROR", "LEDGER_FIX_ERROR", "LEDGER_FIX", "MIGRATION", "SERVER_STATUS", "SYNC_TRANSLATION_FK_ERROR",
	NULL,
};

static const struct sync_field fields[] = {
	{ "id",           SYNC_ID,      .required = true },
	{ "type",         SYNC_ENUM,    .required = true, .values = types },
	{ "sync_site_id", SYNC_INTEGER },
	{ "datetime",     SYNC_TIME,    .required = true },
	{ "message",      SYNC_TEXT },
	{ "is_error",     SYNC_BOOLEAN, .required = true },
};

const struct sync_entity sync_system_log = {
	.name = "system_log", FIELDS(fields),
	.about = "Something that a site's own program did or ran into.",
	.owner = SYNC_OWNER_ANY,
	.routes = { { SYNC_ROUTE_UP } },
};

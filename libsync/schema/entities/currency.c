#include "schema/declared.h"

static const struct sync_field fields[] = {
	{ "id",               SYNC_ID,      .required = true, .legacy = { "ID", "str" } },
	{ "rate",             SYNC_REAL,    .required = true, .legacy = { "rate", "num" } },
	{ "code",             SYNC_TEXT,    .required = true, .legacy = { "currency", "str" } },
	{ "is_home_currency", SYNC_BOOLEAN, .required = true, .legacy = { "is_home_currency", "bool" } },
	{ "date_updated",     SYNC_DATE,                      .legacy = { "date_updated", "date0" } },
	{ "is_active",        SYNC_BOOLEAN, .required = true, .legacy = { .codec = "kept" } },
};

const struct sync_entity sync_currency = {
	.name = "currency", .legacy = "currency", FIELDS(fields),
	.about = "A currency and its rate against the home currency.",
	.owner = SYNC_OWNER_CENTRAL,
	.routes = { { SYNC_ROUTE_CENTRAL } },
};

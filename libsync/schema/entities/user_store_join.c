#include "schema/declared.h"

static const struct sync_field fields[] = {
	{ "id",         SYNC_ID,      .required = true },
	{ "user_id",    SYNC_ID,      .required = true, .refers = "user_account" },
	{ "store_id",   SYNC_ID,      .required = true, .refers = "store" },
	{ "is_default", SYNC_BOOLEAN, .required = true },
};

const struct sync_entity sync_user_store_join = {
	.name = "user_store_join", FIELDS(fields),
	.about = "A store that a user may log in to.",
	.owner = SYNC_OWNER_CENTRAL,
	.routes = { { SYNC_ROUTE_STORE, "store_id" } },
};

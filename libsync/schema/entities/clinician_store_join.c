#include "schema/declared.h"

static const struct sync_field fields[] = {
	{ "id",           SYNC_ID, .required = true, .legacy = { "ID", "str" } },
	{ "store_id",     SYNC_ID, .required = true, .refers = "store", .legacy = { "store_ID", "str" } },
	{ "clinician_id", SYNC_ID, .required = true, .refers = "clinician", .legacy = { "prescriber_ID", "str" } },
};

const struct sync_entity sync_clinician_store_join = {
	.name = "clinician_store_join", .legacy = "clinician_store_join", FIELDS(fields),
	.about = "Makes a clinician visible to a store.",
	.owner = SYNC_OWNER_STORE, .owner_field = "store_id", .creator_grants = "clinician_id",
	.routes = { { SYNC_ROUTE_STORE, "store_id" } },
};

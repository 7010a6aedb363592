#include "schema/declared.h"

static const struct sync_field fields[] = {
	{ "id",               SYNC_ID,      .required = true, .legacy = { "ID", "str" } },
	{ "store_id",         SYNC_ID,      .required = true, .refers = "store", .legacy = { "store_ID", "str" } },
	{ "name_is_customer", SYNC_BOOLEAN, .required = true, .legacy = { "om_name_is_customer", "booln" } },
	{ "name_is_supplier", SYNC_BOOLEAN, .required = true, .legacy = { "om_name_is_supplier", "booln" } },
	{ "name_id",          SYNC_ID,      .required = true, .refers = "name", .legacy = { "name_ID", "str" } },
};

/* A site makes patients visible to its stores; which other names a store sees is central's to say. */
const struct sync_entity sync_name_store_join = {
	.name = "name_store_join", .legacy = "name_store_join", FIELDS(fields),
	.about = "Makes a name visible to a store; for a patient it decides where all of the patient's data goes.",
	.owner = SYNC_OWNER_STORE, .owner_field = "store_id",
	.owner_when = { "name_id", .refers_field = "type", .value = "PATIENT" },
	.creator_grants = "name_id",
	.routes = { { SYNC_ROUTE_STORE, "store_id" } },
};

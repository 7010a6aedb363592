#include "schema/declared.h"

static const struct sync_field fields[] = {
	{ "id",                         SYNC_ID,      .required = true, .legacy = { "ID", "str" } },
	{ "provider_name",              SYNC_TEXT,    .required = true, .legacy = { "providerName", "str" } },
	{ "is_active",                  SYNC_BOOLEAN, .required = true, .legacy = { "isActive", "bool" } },
	{ "prescription_validity_days", SYNC_INTEGER,                   .legacy = { "prescriptionValidityDays", "intn" } },
	{ "comment",                    SYNC_TEXT,                      .legacy = { "comment", "strn" } },
};

const struct sync_entity sync_insurance_provider = {
	.name = "insurance_provider", .legacy = "insuranceProvider", FIELDS(fields),
	.about = "An organisation that insures patients.",
	.owner = SYNC_OWNER_CENTRAL,
	.routes = { { SYNC_ROUTE_CENTRAL } },
};

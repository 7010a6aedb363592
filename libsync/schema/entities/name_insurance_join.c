#include "schema/declared.h"

static const char *const policy_types[] = { "PERSONAL", "BUSINESS", NULL };

static const struct sync_field fields[] = {
	{ "id",                    SYNC_ID,      .required = true, .legacy = { "ID", "str" } },
	{ "insurance_provider_id", SYNC_ID,      .required = true, .refers = "insurance_provider",
	  .legacy = { "insuranceProviderID", "str" } },
	{ "policy_number_person",  SYNC_TEXT,                      .legacy = { "policyNumberPerson", "str0" } },
	{ "policy_number_family",  SYNC_TEXT,                      .legacy = { "policyNumberFamily", "str0" } },
	{ "policy_number",         SYNC_TEXT,    .required = true, .legacy = { "policyNumberFull", "str" } },
	{ "policy_type",           SYNC_ENUM,    .required = true, .values = policy_types, .legacy = { "type", "enum" } },
	{ "discount_percentage",   SYNC_REAL,    .required = true, .legacy = { "discountRate", "num" } },
	{ "expiry_date",           SYNC_DATE,    .required = true, .legacy = { "expiryDate", "date" } },
	{ "is_active",             SYNC_BOOLEAN, .required = true, .legacy = { "isActive", "bool" } },
	{ "entered_by_id",         SYNC_ID,      .refers = "user_account", .soft = true, .legacy = { "enteredByID", "str0" } },
	{ "name_of_insured",       SYNC_TEXT,                      .legacy = { "oms_fields.name_of_insured", "str0" } },
	{ "name_id",               SYNC_ID,      .required = true, .refers = "name", .legacy = { "nameID", "str" } },
};

const struct sync_entity sync_name_insurance_join = {
	.name = "name_insurance_join", .legacy = "nameInsuranceJoin", FIELDS(fields),
	.about = "An insurance policy of a patient.",
	.owner = SYNC_OWNER_ANY,
	.routes = { { SYNC_ROUTE_THROUGH, "name_id", "name_store_join", "name_id" } },
};

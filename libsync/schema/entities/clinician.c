#include "schema/declared.h"

static const char *const genders[] = {
	"FEMALE", "MALE", "TRANSGENDER", "TRANSGENDER_MALE", "TRANSGENDER_MALE_HORMONE", "TRANSGENDER_MALE_SURGICAL",
	"TRANSGENDER_FEMALE", "TRANSGENDER_FEMALE_HORMONE", "TRANSGENDER_FEMALE_SURGICAL", "UNKNOWN", "NON_BINARY",
	NULL,
};

static const struct sync_field fields[] = {
	{ "id",         SYNC_ID,      .required = true, .legacy = { "ID", "str" } },
	{ "code",       SYNC_TEXT,    .required = true, .legacy = { "code", "str" } },
	{ "last_name",  SYNC_TEXT,    .required = true, .legacy = { "last_name", "str" } },
	{ "initials",   SYNC_TEXT,    .required = true, .legacy = { "initials", "str" } },
	{ "first_name", SYNC_TEXT,                      .legacy = { "first_name", "str0" } },
	{ "address1",   SYNC_TEXT,                      .legacy = { "address1", "str0" } },
	{ "address2",   SYNC_TEXT,                      .legacy = { "address2", "str0" } },
	{ "phone",      SYNC_TEXT,                      .legacy = { "phone", "str0" } },
	{ "mobile",     SYNC_TEXT,                      .legacy = { "mobile", "str0" } },
	{ "email",      SYNC_TEXT,                      .legacy = { "email", "str0" } },
	{ "gender",     SYNC_ENUM,    .values = genders, .legacy = { "oms_fields.gender", "enum0" } },
	{ "is_active",  SYNC_BOOLEAN, .required = true, .legacy = { "active", "bool" } },
	{ "store_id",   SYNC_ID,      .refers = "store", .legacy = { "store_ID", "str0" } },
};

/* Visibility is the join's alone: store_id only says where the clinician works. */
const struct sync_entity sync_clinician = {
	.name = "clinician", .legacy = "clinician", FIELDS(fields),
	.about = "A person who prescribes or vaccinates.",
	.owner = SYNC_OWNER_ANY,
	.routes = { { SYNC_ROUTE_THROUGH, "id", "clinician_store_join", "clinician_id" } },
};

#include "schema/declared.h"

static const struct sync_field fields[] = {
	{ "id",          SYNC_ID,   .required = true, .legacy = { "ID", "str" } },
	{ "code",        SYNC_TEXT, .required = true, .legacy = { "ICD_CODE", "str" } },
	{ "description", SYNC_TEXT, .required = true, .legacy = { "ICD_DESCRIPTION", "str" } },
	{ "notes",       SYNC_TEXT,                   .legacy = { "NOTES", "strn" } },
	{ "valid_till",  SYNC_DATE,                   .legacy = { "VALID_TILL", "date0" } },
};

const struct sync_entity sync_diagnosis = {
	.name = "diagnosis", .legacy = "diagnosis", FIELDS(fields),
	.about = "A coded diagnosis that a prescription may name.",
	.owner = SYNC_OWNER_CENTRAL,
	.routes = { { SYNC_ROUTE_CENTRAL } },
};

#include "schema/declared.h"

static const char *const categories[] = {
	"PATIENT", "PROGRAM_ENROLMENT", "ENCOUNTER", "CONTACT_TRACE", "CUSTOM", NULL,
};

static const struct sync_field fields[] = {
	{ "id",             SYNC_ID,   .required = true, .legacy = { "ID", "str" } },
	{ "category",       SYNC_ENUM, .required = true, .values = categories, .legacy = { "category", "enum" } },
	{ "document_type",  SYNC_TEXT, .required = true, .legacy = { "document_type", "str" } },
	{ "context_id",     SYNC_ID,   .required = true, .refers = "context", .legacy = { "context_ID", "str" } },
	{ "name",           SYNC_TEXT,                   .legacy = { "name", "strn" } },
	{ "form_schema_id", SYNC_ID,   .refers = "form_schema", .legacy = { "form_schema_ID", "str0" } },
	{ "config",         SYNC_JSON,                   .legacy = { "config", "jsons_in" } },
};

const struct sync_entity sync_document_registry = {
	.name = "document_registry", .legacy = "om_document_registry", FIELDS(fields),
	.about = "A type of document: its category, its form and how it is shown.",
	.owner = SYNC_OWNER_CENTRAL,
	.routes = { { SYNC_ROUTE_CENTRAL } },
};

#include "schema/declared.h"

static const char *const statuses[] = { "PENDING", "VISITED", "CANCELLED", "DELETED", NULL };

static const struct sync_field fields[] = {
	{ "id",               SYNC_ID,   .required = true, .legacy = { "ID", "str" } },
	{ "document_type",    SYNC_TEXT, .required = true, .legacy = { "document_type", "str" } },
	{ "document_name",    SYNC_TEXT, .required = true, .legacy = { "document_name", "str" } },
	{ "program_id",       SYNC_ID,   .required = true, .refers = "program", .legacy = { "program_ID", "str" } },
	{ "created_datetime", SYNC_TIME, .required = true, .legacy = { "created_datetime", "rfc" } },
	{ "start_datetime",   SYNC_TIME, .required = true, .legacy = { "start_datetime", "rfc" } },
	{ "end_datetime",     SYNC_TIME,                   .legacy = { "end_datetime", "rfcn" } },
	{ "status",           SYNC_ENUM, .values = statuses, .legacy = { "status", "enumn" } },
	{ "clinician_id",     SYNC_ID,   .refers = "clinician", .soft = true, .legacy = { "prescriber_ID", "strn" } },
	{ "store_id",         SYNC_ID,   .refers = "store", .soft = true, .legacy = { "store_ID", "strn" } },
	{ "patient_id",       SYNC_ID,   .required = true, .refers = "name", .legacy = { "name_ID", "str" } },
};

const struct sync_entity sync_encounter = {
	.name = "encounter", .legacy = "om_encounter", FIELDS(fields),
	.about = "A visit of a patient within a program.",
	.owner = SYNC_OWNER_ANY,
	.routes = { { SYNC_ROUTE_THROUGH, "patient_id", "name_store_join", "name_id" } },
};

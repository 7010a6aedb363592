#include "schema/declared.h"

static const struct sync_field fields[] = {
	{ "id",                   SYNC_ID,   .required = true },
	{ "document_type",        SYNC_TEXT, .required = true },
	{ "document_name",        SYNC_TEXT, .required = true },
	{ "program_id",           SYNC_ID,   .required = true, .refers = "program" },
	{ "enrolment_datetime",   SYNC_TIME, .required = true },
	{ "program_enrolment_id", SYNC_TEXT },
	{ "status",               SYNC_TEXT },
	{ "store_id",             SYNC_ID,   .refers = "store" },
	{ "patient_id",           SYNC_ID,   .required = true, .refers = "name" },
};

const struct sync_entity sync_program_enrolment = {
	.name = "program_enrolment", FIELDS(fields),
	.about = "A patient's enrolment in a program.",
	.owner = SYNC_OWNER_ANY,
	.routes = { { SYNC_ROUTE_THROUGH, "patient_id", "name_store_join", "name_id" } },
};

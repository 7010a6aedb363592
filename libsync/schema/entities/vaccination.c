#include "schema/declared.h"

static const struct sync_field fields[] = {
	{ "id",                     SYNC_ID,      .required = true, .legacy = { "ID", "str" } },
	{ "store_id",               SYNC_ID,      .required = true, .refers = "store", .soft = true,
	  .legacy = { "store_ID", "str" } },
	{ "given_store_id",         SYNC_ID,      .refers = "store", .soft = true, .legacy = { "given_store_ID", "strn" } },
	{ "program_enrolment_id",   SYNC_ID,      .required = true, .refers = "program_enrolment", .soft = true,
	  .legacy = { "program_enrolment_ID", "strn" } },
	{ "encounter_id",           SYNC_ID,      .required = true, .refers = "encounter", .soft = true,
	  .legacy = { "encounter_ID", "strn" } },
	{ "user_id",                SYNC_ID,      .required = true, .refers = "user_account", .soft = true,
	  .legacy = { "user_ID", "str" } },
	{ "vaccine_course_dose_id", SYNC_ID,      .required = true, .refers = "vaccine_course_dose",
	  .legacy = { "vaccine_course_dose_ID", "str" } },
	{ "created_datetime",       SYNC_TIME,    .required = true, .legacy = { "created_datetime", "rfc" } },
	{ "facility_free_text",     SYNC_TEXT },
	{ "invoice_id",             SYNC_ID,      .refers = "invoice", .soft = true, .legacy = { "transact_ID", "strn" } },
	{ "stock_line_id",          SYNC_ID,      .refers = "stock_line", .soft = true, .legacy = { "item_line_ID", "strn" } },
	{ "item_id",                SYNC_ID,      .refers = "item", .soft = true, .legacy = { "item_ID", "strn" } },
	{ "clinician_id",           SYNC_ID,      .refers = "clinician", .soft = true, .legacy = { "prescriber_ID", "strn" } },
	{ "vaccination_date",       SYNC_DATE,    .required = true, .legacy = { "vaccination_date", "date" } },
	{ "given",                  SYNC_BOOLEAN, .required = true, .legacy = { "given", "bool" } },
	{ "not_given_reason",       SYNC_TEXT,                      .legacy = { "not_given_reason", "strn" } },
	{ "comment",                SYNC_TEXT,                      .legacy = { "comment", "strn" } },
	{ "patient_id",             SYNC_ID,      .required = true, .refers = "name", .soft = true,
	  .legacy = { "name_ID", "str" } },
	{ "facility_name_id",       SYNC_ID,      .refers = "name", .soft = true, .legacy = { "facility_ID", "strn" } },
};

const struct sync_entity sync_vaccination = {
	.name = "vaccination", .legacy = "om_vaccination", FIELDS(fields),
	.about = "A dose given to a patient, or the reason why it was not given.",
	.owner = SYNC_OWNER_ANY,
	.routes = { { SYNC_ROUTE_THROUGH, "patient_id", "name_store_join", "name_id" } },
};

#include "schema/declared.h"

static const struct sync_field fields[] = {
	{ "id",                SYNC_ID,      .required = true, .legacy = { "ID", "str" } },
	{ "vaccine_course_id", SYNC_ID,      .required = true, .refers = "vaccine_course",
	  .legacy = { "vaccine_course_ID", "str" } },
	{ "label",             SYNC_TEXT,    .required = true, .legacy = { "label", "str" } },
	{ "min_age",           SYNC_REAL,    .required = true, .legacy = { "min_age", "num" } },
	{ "max_age",           SYNC_REAL,    .required = true, .legacy = { "max_age", "num" } },
	{ "custom_age_label",  SYNC_TEXT,                      .legacy = { "custom_age_label", "strn" } },
	{ "min_interval_days", SYNC_INTEGER, .required = true, .legacy = { "min_interval_days", "int" } },
	{ "deleted_datetime",  SYNC_TIME,                      .legacy = { "deleted_datetime", "rfcn" } },
};

const struct sync_entity sync_vaccine_course_dose = {
	.name = "vaccine_course_dose", .legacy = "om_vaccine_course_dose", FIELDS(fields),
	.about = "One dose of a vaccine course and the ages that it is for.",
	.owner = SYNC_OWNER_CENTRAL,
	.routes = { { SYNC_ROUTE_CENTRAL } },
};

#include "schema/declared.h"

static const struct sync_field fields[] = {
	{ "id",                SYNC_ID,   .required = true, .legacy = { "ID", "str" } },
	{ "vaccine_course_id", SYNC_ID,   .required = true, .refers = "vaccine_course",
	  .legacy = { "vaccine_course_ID", "str" } },
	{ "item_id",           SYNC_ID,   .required = true, .refers = "item", .legacy = { "item_ID", "str" } },
	{ "deleted_datetime",  SYNC_TIME,                   .legacy = { "deleted_datetime", "rfcn" } },
};

const struct sync_entity sync_vaccine_course_item = {
	.name = "vaccine_course_item", .legacy = "om_vaccine_course_item", FIELDS(fields),
	.about = "An item that can be given in a vaccine course.",
	.owner = SYNC_OWNER_CENTRAL,
	.routes = { { SYNC_ROUTE_CENTRAL } },
};

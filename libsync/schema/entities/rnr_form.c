#include "schema/declared.h"

static const char *const statuses[] = { "DRAFT", "FINALISED", NULL };

static const struct sync_field fields[] = {
	{ "id",                    SYNC_ID,   .required = true },
	{ "store_id",              SYNC_ID,   .required = true, .refers = "store" },
	{ "period_id",             SYNC_ID,   .required = true, .refers = "period" },
	{ "program_id",            SYNC_ID,   .required = true, .refers = "program" },
	{ "created_datetime",      SYNC_TIME, .required = true },
	{ "finalised_datetime",    SYNC_TIME },
	{ "status",                SYNC_ENUM, .required = true, .values = statuses },
	{ "linked_requisition_id", SYNC_ID,   .refers = "requisition", .soft = true },
	{ "their_reference",       SYNC_TEXT },
	{ "comment",               SYNC_TEXT },
	{ "name_id",               SYNC_ID,   .required = true, .refers = "name" },
};

const struct sync_entity sync_rnr_form = {
	.name = "rnr_form", FIELDS(fields),
	.about = "A report and requisition form of a program for one period.",
	.owner = SYNC_OWNER_STORE, .owner_field = "store_id",
	.routes = { { SYNC_ROUTE_STORE, "store_id" } },
};

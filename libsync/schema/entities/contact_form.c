#include "schema/declared.h"

static const char *const contact_types[] = { "FEEDBACK", "SUPPORT", NULL };

static const struct sync_field fields[] = {
	{ "id",               SYNC_ID,   .required = true },
	{ "reply_email",      SYNC_TEXT, .required = true },
	{ "body",             SYNC_TEXT, .required = true },
	{ "created_datetime", SYNC_TIME, .required = true },
	{ "user_id",          SYNC_ID,   .required = true, .refers = "user_account", .soft = true },
	{ "username",         SYNC_TEXT, .required = true },
	{ "store_id",         SYNC_ID,   .required = true, .refers = "store" },
	{ "contact_type",     SYNC_ENUM, .required = true, .values = contact_types },
};

const struct sync_entity sync_contact_form = {
	.name = "contact_form", FIELDS(fields),
	.about = "Feedback or a call for help that a user wrote.",
	.owner = SYNC_OWNER_STORE, .owner_field = "store_id",
	.routes = { { SYNC_ROUTE_UP } },
};

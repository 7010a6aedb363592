#include "schema/declared.h"

static const struct sync_field fields[] = {
	{ "id",         SYNC_ID,   .required = true, .legacy = { "ID", "str" } },
	{ "first_name", SYNC_TEXT, .required = true, .legacy = { "first", "str" } },
	{ "position",   SYNC_TEXT,                   .legacy = { "position", "str0" } },
	{ "comment",    SYNC_TEXT,                   .legacy = { "comment", "str0" } },
	{ "last_name",  SYNC_TEXT, .required = true, .legacy = { "last", "str" } },
	{ "phone",      SYNC_TEXT,                   .legacy = { "phone", "str0" } },
	{ "email",      SYNC_TEXT,                   .legacy = { "email", "str0" } },
	{ "category_1", SYNC_TEXT,                   .legacy = { "category", "str0" } },
	{ "category_2", SYNC_TEXT,                   .legacy = { "category2", "str0" } },
	{ "category_3", SYNC_TEXT,                   .legacy = { "category3", "str0" } },
	{ "address_1",  SYNC_TEXT,                   .legacy = { "address1", "str0" } },
	{ "address_2",  SYNC_TEXT,                   .legacy = { "address2", "str0" } },
	{ "country",    SYNC_TEXT,                   .legacy = { "country", "str0" } },
	{ "name_id",    SYNC_ID,   .required = true, .refers = "name", .legacy = { "name_ID", "str" } },
};

const struct sync_entity sync_contact = {
	.name = "contact", .legacy = "contact", FIELDS(fields),
	.about = "A person to turn to at a name.",
	.owner = SYNC_OWNER_CENTRAL,
	.routes = { { SYNC_ROUTE_CENTRAL } },
};

#include "schema/declared.h"

static const char *const languages[] = {
	"ENGLISH", "FRENCH", "SPANISH", "LAOS", "KHMER", "PORTUGUESE", "RUSSIAN", "TETUM", NULL,
};

static const struct sync_field fields[] = {
	{ "id",                   SYNC_ID,      .required = true,                                  .legacy = { "ID", "str" } },
	{ "username",             SYNC_TEXT,    .required = true,
	  .legacy = { "name", "str" } },
	{ "hashed_password",      SYNC_TEXT,    .required = true, .fallback = "''", .local = true,
	  .legacy = { .codec = "kept" } },
	{ "email",                SYNC_TEXT,   
	  .legacy = { "e_mail", "str0" } },
	{ "language",             SYNC_ENUM,    .required = true, .values = languages,
	  .legacy = { "Language", "enum_int" } },
	{ "first_name",           SYNC_TEXT,   
	  .legacy = { "first_name", "str0" } },
	{ "last_name",            SYNC_TEXT,   
	  .legacy = { "last_name", "str0" } },
	{ "phone_number",         SYNC_TEXT,   
	  .legacy = { "phone1", "str0" } },
	{ "job_title",            SYNC_TEXT,   
	  .legacy = { "job_title", "str0" } },
	{ "last_successful_sync", SYNC_TIME,    .local = true,
	  .legacy = { .codec = "kept" } },
	{ "is_active",            SYNC_BOOLEAN, .required = true,
	  .legacy = { "active", "bool" } },
};

const struct sync_entity sync_user_account = {
	.name = "user_account", .legacy = "user", FIELDS(fields),
	.about = "A person who may log in.",
	.owner = SYNC_OWNER_CENTRAL,
	.routes = { { SYNC_ROUTE_CENTRAL } },
};

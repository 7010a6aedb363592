#include "schema/declared.h"

static const char *const types[] = {
	"FACILITY", "PATIENT", "BUILD", "INVAD", "REPACK", "STORE", "OTHERS", NULL,
};

static const char *const genders[] = {
	"FEMALE", "MALE", "TRANSGENDER", "TRANSGENDER_MALE", "TRANSGENDER_MALE_HORMONE", "TRANSGENDER_MALE_SURGICAL",
	"TRANSGENDER_FEMALE", "TRANSGENDER_FEMALE_HORMONE", "TRANSGENDER_FEMALE_SURGICAL", "UNKNOWN", "NON_BINARY",
	NULL,
};

static const struct sync_field fields[] = {
	{ "id",                     SYNC_ID,      .required = true, .legacy = { "ID", "str" } },
	{ "name",                   SYNC_TEXT,    .required = true, .legacy = { "name", "str" } },
	{ "code",                   SYNC_TEXT,    .required = true, .legacy = { "code", "str" } },
	{ "type",                   SYNC_ENUM,    .required = true, .values = types, .legacy = { "type", "enum" } },
	{ "is_customer",            SYNC_BOOLEAN, .required = true, .legacy = { "customer", "bool" } },
	{ "is_supplier",            SYNC_BOOLEAN, .required = true, .legacy = { "supplier", "bool" } },
	{ "supplying_store_id",     SYNC_ID,      .refers = "store", .soft = true, .legacy = { "supplying_store_id", "str0" } },
	{ "first_name",             SYNC_TEXT,                      .legacy = { "first", "str0" } },
	{ "last_name",              SYNC_TEXT,                      .legacy = { "last", "str0" } },
	{ "gender",                 SYNC_ENUM,    .values = genders, .legacy = { "om_gender", "enum0" } },
	{ "date_of_birth",          SYNC_DATE,                      .legacy = { "date_of_birth", "date0t" } },
	{ "phone",                  SYNC_TEXT,                      .legacy = { "phone", "str0" } },
	{ "charge_code",            SYNC_TEXT,                      .legacy = { "charge code", "str0" } },
	{ "comment",                SYNC_TEXT,                      .legacy = { "comment", "str0" } },
	{ "country",                SYNC_TEXT,                      .legacy = { "country", "str0" } },
	{ "address1",               SYNC_TEXT,                      .legacy = { "bill_address1", "str0" } },
	{ "address2",               SYNC_TEXT,                      .legacy = { "bill_address2", "str0" } },
	{ "email",                  SYNC_TEXT,                      .legacy = { "email", "str0" } },
	{ "website",                SYNC_TEXT,                      .legacy = { "url", "str0" } },
	{ "is_manufacturer",        SYNC_BOOLEAN, .required = true, .legacy = { "manufacturer", "bool" } },
	{ "is_donor",               SYNC_BOOLEAN, .required = true, .legacy = { "donor", "bool" } },
	{ "on_hold",                SYNC_BOOLEAN, .required = true, .legacy = { "hold", "bool" } },
	{ "next_of_kin_id",         SYNC_ID,      .refers = "name", .soft = true, .legacy = { "NEXT_OF_KIN_ID", "str0" } },
	{ "next_of_kin_name",       SYNC_TEXT,                      .legacy = { "next_of_kin_relative", "str0" } },
	{ "created_datetime",       SYNC_TIME,                      .legacy = { "om_created_datetime", "dtm0" } },
	{ "is_deceased",            SYNC_BOOLEAN, .required = true, .legacy = { "isDeceased", "bool" } },
	{ "national_health_number", SYNC_TEXT,                      .legacy = { "national_health_number", "str0" } },
	{ "date_of_death",          SYNC_DATE,                      .legacy = { "om_date_of_death", "date0t" } },
	{ "custom_data",            SYNC_JSON,                      .legacy = { "custom_data", "jsons_in" } },
	{ "deleted_datetime",       SYNC_TIME,                      .legacy = { .codec = "const" } },
	{ "hsh_code",               SYNC_TEXT,                      .legacy = { "HSH_code", "str0" } },
	{ "hsh_name",               SYNC_TEXT,                      .legacy = { "HSH_name", "str0" } },
	{ "margin",                 SYNC_REAL,                      .legacy = { "margin", "numn" } },
	{ "freight_factor",         SYNC_REAL,                      .legacy = { "freightfac", "numn" } },
	{ "currency_id",            SYNC_ID,      .refers = "currency", .legacy = { "currency_ID", "str0" } },
	{ "properties",             SYNC_JSON },
};

/* Patients are registered and edited wherever they are seen; all other names are central's. */
const struct sync_entity sync_name = {
	.name = "name", .legacy = "name", FIELDS(fields),
	.about = "Anybody stock or care goes to or comes from: facilities, stores, suppliers, donors and patients.",
	.owner = SYNC_OWNER_ANY, .owner_when = { "type", .value = "PATIENT" },
	.routes = {
		{ SYNC_ROUTE_CENTRAL, .when = { "type", .value = "PATIENT", .not = true } },
		{ SYNC_ROUTE_THROUGH, "id", "name_store_join", "name_id", .when = { "type", .value = "PATIENT" } },
	},
};

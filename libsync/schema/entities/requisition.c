#include "schema/declared.h"

static const char *const types[] = { "REQUEST", "RESPONSE", "IMPREST", "STOCK_HISTORY", NULL };

static const char *const statuses[] = { "DRAFT", "NEW", "SENT", "FINALISED", NULL };

static const char *const approval_statuses[] = {
	"NONE", "APPROVED", "PENDING", "DENIED", "AUTO_APPROVED", "APPROVED_BY_ANOTHER", "DENIED_BY_ANOTHER", NULL,
};

static const struct sync_field fields[] = {
	{ "id",                          SYNC_ID,      .required = true, .legacy = { "ID", "str" } },
	{ "requisition_number",          SYNC_BIGINT,  .required = true, .legacy = { "serial_number", "int" } },
	{ "store_id",                    SYNC_ID,      .required = true, .refers = "store", .legacy = { "store_ID", "str" } },
	{ "user_id",                     SYNC_ID,      .refers = "user_account", .soft = true,
	  .legacy = { "user_ID", "str0" } },
	{ "type",                        SYNC_ENUM,    .required = true, .values = types, .legacy = { "type", "enum" } },
	{ "status",                      SYNC_ENUM,    .required = true, .values = statuses,
	  .legacy = { "om_status", "enum0" } },
	{ "created_datetime",            SYNC_TIME,    .required = true, .legacy = { "om_created_datetime", "dtm0" } },
	{ "sent_datetime",               SYNC_TIME,                      .legacy = { "om_sent_datetime", "dtm0" } },
	{ "finalised_datetime",          SYNC_TIME,                      .legacy = { "om_finalised_datetime", "dtm0" } },
	{ "expected_delivery_date",      SYNC_DATE,                      .legacy = { "om_expected_delivery_date", "date0t" } },
	{ "colour",                      SYNC_TEXT,                      .legacy = { "om_colour", "str0" } },
	{ "comment",                     SYNC_TEXT,                      .legacy = { "comment", "str0" } },
	{ "their_reference",             SYNC_TEXT,                      .legacy = { "requester_reference", "str0" } },
	{ "max_months_of_stock",         SYNC_REAL,    .required = true, .legacy = { "om_max_months_of_stock", "numn" } },
	{ "min_months_of_stock",         SYNC_REAL,    .required = true, .legacy = { "thresholdMOS", "num" } },
	{ "approval_status",             SYNC_ENUM,    .values = approval_statuses,
	  .legacy = { "authorisationStatus", "enum0" } },
	{ "linked_requisition_id",       SYNC_ID,      .refers = "requisition", .soft = true,
	  .legacy = { "linked_requisition_id", "str0" } },
	{ "program_id",                  SYNC_ID,      .refers = "program", .soft = true, .legacy = { "programID", "str0" } },
	{ "period_id",                   SYNC_ID,      .refers = "period", .legacy = { "periodID", "str0" } },
	{ "order_type",                  SYNC_TEXT,                      .legacy = { "orderType", "str0" } },
	{ "is_emergency",                SYNC_BOOLEAN, .required = true, .legacy = { "is_emergency", "bool" } },
	{ "created_from_requisition_id", SYNC_ID,      .refers = "requisition", .soft = true,
	  .legacy = { "oms_fields.created_from_requisition_id", "strn" } },
	{ "name_id",                     SYNC_ID,      .required = true, .refers = "name", .legacy = { "name_ID", "str" } },
	{ "destination_customer_id",     SYNC_ID,      .refers = "name",
	  .legacy = { "oms_fields.original_customer_id", "strn" } },
};

const struct sync_entity sync_requisition = {
	.name = "requisition", .legacy = "requisition", FIELDS(fields),
	.about = "A request for stock, or the response to one.",
	.owner = SYNC_OWNER_STORE, .owner_field = "store_id",
	.routes = { { SYNC_ROUTE_STORE, "store_id" }, { SYNC_ROUTE_TRANSFER, "name_id" } },
};

#include "schema/declared.h"

static const char *const contexts[] = {
	"ASSET", "INBOUND_SHIPMENT", "OUTBOUND_SHIPMENT", "REQUISITION", "STOCKTAKE", "RESOURCE", "PATIENT",
	"DISPENSARY", "REPACK", "OUTBOUND_RETURN", "INBOUND_RETURN", "REPORT", "PRESCRIPTION", "INTERNAL_ORDER",
	"PURCHASE_ORDER", "SUPPLIER_RETURN", "CUSTOMER_RETURN", NULL,
};

static const struct sync_field fields[] = {
	{ "id",                    SYNC_ID,      .required = true },
	{ "name",                  SYNC_TEXT,    .required = true },
	{ "template",              SYNC_TEXT,    .required = true },
	{ "context",               SYNC_ENUM,    .required = true, .values = contexts },
	{ "comment",               SYNC_TEXT },
	{ "sub_context",           SYNC_TEXT },
	{ "argument_schema_id",    SYNC_ID,      .refers = "form_schema" },
	{ "is_custom",             SYNC_BOOLEAN, .required = true },
	{ "version",               SYNC_TEXT,    .required = true },
	{ "code",                  SYNC_TEXT,    .required = true },
	{ "is_active",             SYNC_BOOLEAN, .required = true },
	{ "excel_template_buffer", SYNC_JSON },
};

const struct sync_entity sync_report = {
	.name = "report", FIELDS(fields),
	.about = "A report or print form: its template and its arguments.",
	.owner = SYNC_OWNER_CENTRAL,
	.routes = { { SYNC_ROUTE_CENTRAL } },
};

#include "schema/declared.h"

static const char *const permissions[] = {
	"SERVER_ADMIN", "STORE_ACCESS", "LOCATION_MUTATE", "SENSOR_MUTATE", "SENSOR_QUERY", "TEMPERATURE_BREACH_QUERY",
	"TEMPERATURE_LOG_QUERY", "STOCK_LINE_QUERY", "STOCK_LINE_MUTATE", "CREATE_REPACK", "STOCKTAKE_QUERY",
	"STOCKTAKE_MUTATE", "INVENTORY_ADJUSTMENT_MUTATE", "REQUISITION_QUERY", "REQUISITION_MUTATE",
	"REQUISITION_SEND", "REQUISITION_CREATE_OUTBOUND_SHIPMENT", "RNR_FORM_QUERY", "RNR_FORM_MUTATE",
	"OUTBOUND_SHIPMENT_QUERY", "OUTBOUND_SHIPMENT_MUTATE", "INBOUND_SHIPMENT_QUERY", "INBOUND_SHIPMENT_MUTATE",
	"INBOUND_SHIPMENT_VERIFY", "SUPPLIER_RETURN_QUERY", "SUPPLIER_RETURN_MUTATE", "CUSTOMER_RETURN_QUERY",
	"CUSTOMER_RETURN_MUTATE", "PRESCRIPTION_QUERY", "PRESCRIPTION_MUTATE", "CANCEL_FINALISED_INVOICES",
	"PURCHASE_ORDER_QUERY", "PURCHASE_ORDER_MUTATE", "PURCHASE_ORDER_AUTHORISE", "PURCHASE_ORDER_FINALISE",
	"INBOUND_SHIPMENT_EXTERNAL_QUERY", "INBOUND_SHIPMENT_EXTERNAL_MUTATE", "INBOUND_SHIPMENT_EXTERNAL_VERIFY",
	"INBOUND_SHIPMENT_EXTERNAL_AUTHORISE", "REPORT", "LOG_QUERY", "ITEM_MUTATE",
	"ITEM_NAMES_CODES_AND_UNITS_MUTATE", "PATIENT_QUERY", "PATIENT_MUTATE", "DOCUMENT_QUERY", "DOCUMENT_MUTATE",
	"COLD_CHAIN_API", "ASSET_QUERY", "ASSET_MUTATE", "ASSET_MUTATE_VIA_DATA_MATRIX", "ASSET_CATALOGUE_ITEM_MUTATE",
	"ASSET_STATUS_MUTATE", "NAME_PROPERTIES_MUTATE", "EDIT_CENTRAL_DATA", "VIEW_AND_EDIT_VVM_STATUS",
	"MUTATE_CLINICIAN", NULL,
};

static const struct sync_field fields[] = {
	{ "id",         SYNC_ID,   .required = true, .legacy = { "ID", "str" } },
	{ "user_id",    SYNC_ID,   .required = true, .refers = "user_account", .soft = true, .legacy = { "user_ID", "str" } },
	{ "store_id",   SYNC_ID,   .refers = "store", .legacy = { "store_ID", "str0" } },
	{ "permission", SYNC_ENUM, .required = true, .values = permissions, .legacy = { "permission", "enum" } },
	{ "context_id", SYNC_ID,   .refers = "context", .legacy = { "context_ID", "str0" } },
};

const struct sync_entity sync_user_permission = {
	.name = "user_permission", .legacy = "om_user_permission", FIELDS(fields),
	.about = "A right of a user, at one store and within one context.",
	.owner = SYNC_OWNER_CENTRAL,
	.routes = { { SYNC_ROUTE_STORE, "store_id" } },
};

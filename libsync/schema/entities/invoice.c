#include "schema/declared.h"

static const char *const types[] = {
	"OUTBOUND_SHIPMENT", "INBOUND_SHIPMENT", "PRESCRIPTION", "INVENTORY_ADDITION", "INVENTORY_REDUCTION", "REPACK",
	"SUPPLIER_RETURN", "CUSTOMER_RETURN", NULL,
};

static const char *const statuses[] = {
	"NEW", "ALLOCATED", "PICKED", "SHIPPED", "RECEIVED", "DELIVERED", "VERIFIED", "CANCELLED", NULL,
};

static const struct sync_field fields[] = {
	{ "id",                            SYNC_ID,      .required = true, .legacy = { "ID", "str" } },
	{ "name_store_id",                 SYNC_ID,      .refers = "store", .legacy = { .codec = "lookup" } },
	{ "store_id",                      SYNC_ID,      .required = true, .refers = "store", .legacy = { "store_ID", "str" } },
	{ "user_id",                       SYNC_ID,      .refers = "user_account", .soft = true,
	  .legacy = { "user_ID", "str0" } },
	{ "invoice_number",                SYNC_BIGINT,  .required = true, .legacy = { "invoice_num", "int" } },
	{ "type",                          SYNC_ENUM,    .required = true, .values = types, .legacy = { "om_type", "enum0" } },
	{ "status",                        SYNC_ENUM,    .required = true, .values = statuses,
	  .legacy = { "om_status", "enum0" } },
	{ "on_hold",                       SYNC_BOOLEAN, .required = true, .legacy = { "hold", "bool" } },
	{ "comment",                       SYNC_TEXT,                      .legacy = { "comment", "str0" } },
	{ "their_reference",               SYNC_TEXT,                      .legacy = { "their_ref", "str0" } },
	{ "transport_reference",           SYNC_TEXT,                      .legacy = { "om_transport_reference", "str0" } },
	{ "created_datetime",              SYNC_TIME,    .required = true, .legacy = { "om_created_datetime", "dtm0" } },
	{ "allocated_datetime",            SYNC_TIME,                      .legacy = { "om_allocated_datetime", "dtm0" } },
	{ "picked_datetime",               SYNC_TIME,                      .legacy = { "om_picked_datetime", "dtm0" } },
	{ "shipped_datetime",              SYNC_TIME,                      .legacy = { "om_shipped_datetime", "dtm0" } },
	{ "delivered_datetime",            SYNC_TIME,                      .legacy = { "om_delivered_datetime", "dtm0" } },
	{ "received_datetime",             SYNC_TIME,                      .legacy = { "om_delivered_datetime", "dtm0" } },
	{ "verified_datetime",             SYNC_TIME,                      .legacy = { "om_verified_datetime", "dtm0" } },
	{ "cancelled_datetime",            SYNC_TIME,                      .legacy = { "om_cancelled_datetime", "dtm0" } },
	{ "colour",                        SYNC_TEXT,                      .legacy = { "om_colour", "str0" } },
	{ "requisition_id",                SYNC_ID,      .refers = "requisition", .soft = true,
	  .legacy = { "requisition_ID", "str0" } },
	{ "linked_invoice_id",             SYNC_ID,      .refers = "invoice", .soft = true,
	  .legacy = { "linked_transaction_id", "str0" } },
	{ "tax_percentage",                SYNC_REAL,                      .legacy = { "tax_rate", "numn" } },
	{ "currency_id",                   SYNC_ID,      .refers = "currency", .legacy = { "currency_ID", "str0" } },
	{ "currency_rate",                 SYNC_REAL,    .required = true, .legacy = { "currency_rate", "num" } },
	{ "clinician_id",                  SYNC_ID,      .refers = "clinician", .legacy = { "prescriber_ID", "str0" } },
	{ "original_shipment_id",          SYNC_ID,      .refers = "invoice", .soft = true,
	  .legacy = { "om_original_shipment_id", "str0" } },
	{ "backdated_datetime",            SYNC_TIME,                      .legacy = { "om_backdated_datetime", "dtm0" } },
	{ "diagnosis_id",                  SYNC_ID,      .refers = "diagnosis", .legacy = { "diagnosis_ID", "str0" } },
	{ "program_id",                    SYNC_ID,      .refers = "program", .legacy = { "programID", "str0" } },
	{ "name_insurance_join_id",        SYNC_ID,      .refers = "name_insurance_join",
	  .legacy = { "nameInsuranceJoinID", "str0" } },
	{ "insurance_discount_amount",     SYNC_REAL,                      .legacy = { "insuranceDiscountAmount", "num0" } },
	{ "insurance_discount_percentage", SYNC_REAL,                      .legacy = { "insuranceDiscountRate", "num0" } },
	{ "is_cancellation",               SYNC_BOOLEAN, .required = true, .legacy = { "is_cancellation", "bool" } },
	{ "expected_delivery_date",        SYNC_DATE,                      .legacy = { "arrival_date_estimated", "date0t" } },
	{ "purchase_order_id",             SYNC_ID,      .refers = "purchase_order", .legacy = { "original_PO_ID", "str0" } },
	{ "shipping_method_id",            SYNC_ID,      .refers = "shipping_method", .legacy = { "ship_method_ID", "str0" } },
	{ "charges_local_currency",        SYNC_REAL,    .required = true,
	  .legacy = { "oms_fields.charges_local_currency", "num" } },
	{ "charges_foreign_currency",      SYNC_REAL,    .required = true,
	  .legacy = { "oms_fields.charges_foreign_currency", "num" } },
	{ "name_id",                       SYNC_ID,      .required = true, .refers = "name", .legacy = { "name_ID", "str" } },
	{ "default_donor_id",              SYNC_ID,      .refers = "name", .legacy = { "donor_default_id", "str0" } },
};

const struct sync_entity sync_invoice = {
	.name = "invoice", .legacy = "transact", FIELDS(fields),
	.about = "A document that moves stock: a shipment, return, prescription, stock adjustment or repack.",
	.owner = SYNC_OWNER_STORE, .owner_field = "store_id",
	.routes = {
		{ SYNC_ROUTE_STORE, "store_id" },
		{ SYNC_ROUTE_TRANSFER, "name_id" },
		{ SYNC_ROUTE_THROUGH, "name_id", "name_store_join", "name_id",
		  .when = { "name_id", .refers_field = "type", .value = "PATIENT" } },
	},
};

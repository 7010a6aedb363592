#include "schema/declared.h"

static const char *const low_stocks[] = { "OK", "BELOW_HALF", "BELOW_QUARTER", NULL };

static const struct sync_field fields[] = {
	{ "id",                                  SYNC_ID,      .required = true },
	{ "rnr_form_id",                         SYNC_ID,      .required = true, .refers = "rnr_form" },
	{ "item_id",                             SYNC_ID,      .required = true, .refers = "item" },
	{ "requisition_line_id",                 SYNC_ID,      .refers = "requisition_line", .soft = true },
	{ "previous_monthly_consumption_values", SYNC_TEXT,    .required = true },
	{ "average_monthly_consumption",         SYNC_REAL,    .required = true },
	{ "initial_balance",                     SYNC_REAL,    .required = true },
	{ "snapshot_quantity_received",          SYNC_REAL,    .required = true },
	{ "snapshot_quantity_consumed",          SYNC_REAL,    .required = true },
	{ "snapshot_adjustments",                SYNC_REAL,    .required = true },
	{ "entered_quantity_received",           SYNC_REAL },
	{ "entered_quantity_consumed",           SYNC_REAL },
	{ "entered_losses",                      SYNC_REAL },
	{ "entered_adjustments",                 SYNC_REAL },
	{ "adjusted_quantity_consumed",          SYNC_REAL,    .required = true },
	{ "stock_out_duration",                  SYNC_INTEGER, .required = true },
	{ "final_balance",                       SYNC_REAL,    .required = true },
	{ "minimum_quantity",                    SYNC_REAL,    .required = true },
	{ "maximum_quantity",                    SYNC_REAL,    .required = true },
	{ "expiry_date",                         SYNC_DATE },
	{ "calculated_requested_quantity",       SYNC_REAL,    .required = true },
	{ "entered_requested_quantity",          SYNC_REAL },
	{ "low_stock",                           SYNC_ENUM,    .required = true, .values = low_stocks },
	{ "comment",                             SYNC_TEXT },
	{ "confirmed",                           SYNC_BOOLEAN, .required = true },
};

const struct sync_entity sync_rnr_form_line = {
	.name = "rnr_form_line", FIELDS(fields),
	.about = "One item of a report and requisition form.",
	.owner = SYNC_OWNER_STORE, .parent = "rnr_form_id",
	.routes = { { SYNC_ROUTE_PARENT, "rnr_form_id" } },
};

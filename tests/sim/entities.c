#include "entities.h"

#include "base/internal.h"

/*
 * The entities of the simulated country: one of each kind that the real declarations have, with few fields, so that a run is
 * mostly spent exchanging. This table takes the place of the generated one. "note" holds the tag of the edit that made the
 * present content; an invoice's total is the sum of the tags of its lines. What is of schema version 2 an older build does not
 * know: "mark", which holds the tag of the last edit that was made where it is known, "level", its last digit, and memos.
 */

enum { OLDER = 1, NEWER = 2 };

#define MARKS                                 \
	{ "mark", SYNC_TEXT, .since = NEWER }, \
	{ "level", SYNC_INTEGER, .required = true, .since = NEWER, .fallback = "7" },

static const char *const name_types[] = { "STORE", "PATIENT", NULL };

static const struct sync_field unit_fields[] = {
	{ "id", SYNC_ID, .required = true },
	{ "note", SYNC_TEXT, .required = true },
	MARKS
};

static const struct sync_entity unit = {
	.name = "unit",
	FIELDS(unit_fields),
	.about = "Central's, everywhere.",
	.owner = SYNC_OWNER_CENTRAL,
	.routes = { { SYNC_ROUTE_CENTRAL } },
};

static const struct sync_field name_fields[] = {
	{ "id", SYNC_ID, .required = true },
	{ "note", SYNC_TEXT, .required = true },
	{ "type", SYNC_ENUM, .required = true, .values = name_types },
	MARKS
};

static const struct sync_entity name = {
	.name = "name", FIELDS(name_fields),
	.about = "A store's, everywhere; a patient's, where a join shows it, and anybody's who sees it.",
	.owner = SYNC_OWNER_ANY, .owner_when = { "type", .value = "PATIENT" },
	.routes = {
		{ SYNC_ROUTE_CENTRAL, .when = { "type", .value = "PATIENT", .not = true } },
		{ SYNC_ROUTE_THROUGH, "id", "name_store_join", "name_id", .when = { "type", .value = "PATIENT" } },
	},
};

static const struct sync_field store_fields[] = {
	{ "id", SYNC_ID, .required = true },
	{ "note", SYNC_TEXT, .required = true },
	{ "site_id", SYNC_INTEGER, .required = true },
	{ "name_id", SYNC_ID, .required = true, .refers = "name" },
};

static const struct sync_entity store = {
	.name = "store",
	FIELDS(store_fields),
	.about = "A business unit.",
	.owner = SYNC_OWNER_CENTRAL,
	.routes = { { SYNC_ROUTE_CENTRAL } },
};

static const struct sync_field name_store_join_fields[] = {
	{ "id", SYNC_ID, .required = true },
	{ "note", SYNC_TEXT, .required = true },
	{ "store_id", SYNC_ID, .required = true, .refers = "store" },
	{ "name_id", SYNC_ID, .required = true, .refers = "name" },
};

static const struct sync_entity name_store_join = {
	.name = "name_store_join",
	FIELDS(name_store_join_fields),
	.about = "Shows a name to a store.",
	.owner = SYNC_OWNER_STORE,
	.owner_field = "store_id",
	.owner_when = { "name_id", .refers_field = "type", .value = "PATIENT" },
	.creator_grants = "name_id",
	.routes = { { SYNC_ROUTE_STORE, "store_id" } },
};

static const struct sync_field visit_fields[] = {
	{ "id", SYNC_ID, .required = true },
	{ "note", SYNC_TEXT, .required = true },
	{ "patient_id", SYNC_ID, .required = true, .refers = "name" },
};

static const struct sync_entity visit = {
	.name = "visit",
	FIELDS(visit_fields),
	.about = "Anybody's who sees its patient.",
	.owner = SYNC_OWNER_ANY,
	.routes = { { SYNC_ROUTE_THROUGH, "patient_id", "name_store_join", "name_id" } },
};

static const struct sync_field barcode_fields[] = {
	{ "id", SYNC_ID, .required = true },
	{ "note", SYNC_TEXT, .required = true },
	{ "unit_id", SYNC_ID, .refers = "unit" },
	MARKS
};

static const struct sync_entity barcode = {
	.name = "barcode",
	FIELDS(barcode_fields),
	.about = "Anybody's, everywhere.",
	.owner = SYNC_OWNER_ANY,
	.routes = { { SYNC_ROUTE_CENTRAL } },
};

static const struct sync_field setting_fields[] = {
	{ "id", SYNC_ID, .required = true },
	{ "note", SYNC_TEXT, .required = true },
	{ "store_id", SYNC_ID, .refers = "store" },
};

static const struct sync_entity setting = {
	.name = "setting", FIELDS(setting_fields),
	.about = "Central's, everywhere or for one store.",
	.owner = SYNC_OWNER_CENTRAL,
	.routes = {
		{ SYNC_ROUTE_CENTRAL, .when = { "store_id" } },
		{ SYNC_ROUTE_STORE, "store_id" },
	},
};

static const struct sync_field location_fields[] = {
	{ "id", SYNC_ID, .required = true },
	{ "note", SYNC_TEXT, .required = true },
	{ "store_id", SYNC_ID, .required = true, .refers = "store" },
	MARKS
};

static const struct sync_entity location = {
	.name = "location",
	FIELDS(location_fields),
	.about = "A store's.",
	.owner = SYNC_OWNER_STORE,
	.owner_field = "store_id",
	.routes = { { SYNC_ROUTE_STORE, "store_id" } },
};

static const struct sync_field record_fields[] = {
	{ "id", SYNC_ID, .required = true },
	{ "note", SYNC_TEXT, .required = true },
	{ "store_id", SYNC_ID, .required = true, .refers = "store" },
};

static const struct sync_entity record = {
	.name = "log",
	FIELDS(record_fields),
	.about = "A store's, for central only.",
	.owner = SYNC_OWNER_STORE,
	.owner_field = "store_id",
	.routes = { { SYNC_ROUTE_UP } },
};

static const struct sync_field memo_fields[] = {
	{ "id", SYNC_ID, .required = true },
	{ "note", SYNC_TEXT, .required = true },
	{ "store_id", SYNC_ID, .required = true, .refers = "store" },
};

static const struct sync_entity memo = {
	.name = "memo",
	FIELDS(memo_fields),
	.about = "A store's.",
	.owner = SYNC_OWNER_STORE,
	.owner_field = "store_id",
	.routes = { { SYNC_ROUTE_STORE, "store_id" } },
	.since = NEWER,
};

static const struct sync_field invoice_fields[] = {
	{ "id", SYNC_ID, .required = true },
	{ "note", SYNC_TEXT, .required = true },
	{ "store_id", SYNC_ID, .required = true, .refers = "store" },
	{ "name_id", SYNC_ID, .required = true, .refers = "name" },
	{ "total", SYNC_BIGINT, .required = true },
	MARKS
};

static const struct sync_entity invoice = {
	.name = "invoice", FIELDS(invoice_fields),
	.about = "A store's, and seen by the store or the patient that it is for.",
	.owner = SYNC_OWNER_STORE, .owner_field = "store_id",
	.routes = {
		{ SYNC_ROUTE_STORE, "store_id" },
		{ SYNC_ROUTE_TRANSFER, "name_id" },
		{ SYNC_ROUTE_THROUGH, "name_id", "name_store_join", "name_id",
		  .when = { "name_id", .refers_field = "type", .value = "PATIENT" } },
	},
};

static const struct sync_field invoice_line_fields[] = {
	{ "id", SYNC_ID, .required = true },
	{ "note", SYNC_TEXT, .required = true },
	{ "invoice_id", SYNC_ID, .required = true, .refers = "invoice" },
	{ "unit_id", SYNC_ID, .required = true, .refers = "unit" },
	{ "location_id", SYNC_ID, .refers = "location" },
	MARKS
};

static const struct sync_entity invoice_line = {
	.name = "invoice_line",
	FIELDS(invoice_line_fields),
	.about = "Part of an invoice.",
	.owner = SYNC_OWNER_STORE,
	.parent = "invoice_id",
	.routes = { { SYNC_ROUTE_PARENT, "invoice_id" } },
};

const struct sync_entity *const sync_declared[] = {
	&barcode, &invoice, &invoice_line, &location, &memo, &record, &name, &name_store_join, &setting, &store, &unit, &visit, NULL,
};

static struct sync_catalogue newer, older;

/* Fields that came later stand last. */
static struct sync_entity as_it_was(const struct sync_entity *e)
{
	struct sync_entity was = *e;

	while (was.n_fields > 0 && was.fields[was.n_fields - 1].since > OLDER)
		was.n_fields--;
	return was;
}

void entities_prepare(void)
{
	static struct sync_entity was[COUNT(sync_declared)];
	static const struct sync_entity *declared[COUNT(sync_declared)];
	size_t n = 0;

	for (const struct sync_entity *const *e = sync_declared; *e; e++) {
		if ((*e)->since > OLDER)
			continue;
		was[n] = as_it_was(*e);
		declared[n] = &was[n];
		n++;
	}
	sync_catalogue_fill(&older, declared);
	sync_catalogue_fill(&newer, sync_declared);
}

void entities_use(bool of_older)
{
	sync_catalogue_use(of_older ? &older : &newer);
}

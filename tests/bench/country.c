#include "country.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <libsync/ddl.h>

#include "base/internal.h"
#include "exchange/route.h"

enum { BATCH = 2000, LISTS = 60, ITEMS = 7358, NAMES = 32753, STORES = 1289, LIST_LINES = 43443, LIST_JOINS = 5252,
       ABBREVIATIONS = 2328, ITEM_STORES = 1438 };

uint64_t draw(struct draw *d)
{
	d->state ^= d->state << 13;
	d->state ^= d->state >> 7;
	d->state ^= d->state << 17;
	return d->state * UINT64_C(0x2545f4914f6cdd1d);
}

uint64_t draw_below(struct draw *d, uint64_t n)
{
	return draw(d) % n;
}

static struct draw draw_from(uint64_t seed)
{
	struct draw d = { seed * UINT64_C(0x9e3779b97f4a7c15) + 1 };

	for (int i = 0; i < 8; i++)
		(void)draw(&d);
	return d;
}

void draw_uuid(struct draw *d, char ret[static 37])
{
	uint64_t a = draw(d), b = draw(d);

	snprintf(ret, 37, "%08x-%04x-4%03x-%04x-%012llx", (unsigned)(a >> 32), (unsigned)(a >> 16 & 0xffff), (unsigned)(a & 0xfff),
	         (unsigned)(0x8000 | (b >> 48 & 0x3fff)), (unsigned long long)(b & 0xffffffffffff));
}

/* The k-th of n ids in rising order: random within its slice, so that a table of millions is filled from left to right. */
static void draw_uuid_of(struct draw *d, int64_t k, int64_t n, char ret[static 37])
{
	uint64_t slice = (UINT64_C(1) << 32) / (uint64_t)n;
	char head[9];

	draw_uuid(d, ret);
	snprintf(head, sizeof(head), "%08x", (unsigned)((uint64_t)k * slice + draw_below(d, slice)));
	memcpy(ret, head, 8);
}

static const char *pick(struct draw *d, const char *const *words)
{
	size_t n = 0;

	while (words[n])
		n++;
	return words[draw_below(d, n)];
}

static const char *const places[] = {
	"Kamunga", "Belako", "Sorondi", "Matete", "Lumba", "Nakuri", "Tiboro", "Ekwanda", "Mazira", "Ogoli", "Penduka", "Rusasa", "Haluma",
	"Vikoro", "Chasimba", "Dolema", "Fanjala", "Gorume", "Ibenga", "Jalibo", "Kisenyi", "Loranda", "Mbalewa", "Nyagoro", "Okaviri", NULL,
};
static const char *const kinds[] = { "Health Post", "Health Centre", "District Hospital", "Dispensary", "Clinic", "Maternity",
	                             "Mission Hospital", "Regional Warehouse", NULL };
static const char *const drugs[] = {
	"Amoxicillin", "Paracetamol", "Artemether/Lumefantrine", "Ibuprofen", "Metronidazole", "Ciprofloxacin", "Oxytocin", "Zinc sulfate",
	"Ferrous sulfate + folic acid", "Mebendazole", "Salbutamol", "Ceftriaxone", "Diazepam", "Furosemide", "Glibenclamide", "Metformin",
	"Amlodipine", "Hydrochlorothiazide", "Doxycycline", "Fluconazole", "Gentamicin", "Insulin, soluble", "Ketamine", "Lidocaine",
	"Magnesium sulfate", "Morphine", "Omeprazole", "Prednisolone", "Quinine", "Rifampicin/Isoniazid", "Tetracycline", "Vitamin A", NULL,
};
static const char *const forms[] = { "tablet", "capsule", "syrup", "injection", "suspension", "cream", "eye drops", "suppository", NULL };

/* What a row has before set(): a plain value where one is required. */
static struct sync_value plain(const struct sync_field *f)
{
	if (!f->required)
		return sync_null();
	switch (f->type) {
	case SYNC_BOOLEAN:
	case SYNC_INTEGER:
	case SYNC_BIGINT:
		return sync_int(0);
	case SYNC_REAL:
		return (struct sync_value){ .kind = SYNC_DOUBLE, .d = 0 };
	case SYNC_ENUM:
		return sync_text(f->values[0]);
	case SYNC_DATE:
		return sync_text("2026-01-31");
	case SYNC_TIME:
		return sync_text("2026-01-31T08:00:00");
	case SYNC_JSON:
		return sync_text("{}");
	case SYNC_ID:
	case SYNC_TEXT:
		return sync_text("-");
	}
	return sync_null();
}

enum sync_status rows_open(struct rows *r, struct sync_db *db, const char *entity, struct sync_error *err)
{
	const uint64_t all[2] = { UINT64_MAX, UINT64_MAX };

	*r = (struct rows){ .db = db, .e = sync_entity_find(sync_view_of(entity)) };
	sync_ddl_batch(&r->table, r->e, all, r->columns, r->types);
	r->values = malloc(BATCH * r->table.n_columns * sizeof(*r->values));
	return r->values ? SYNC_OK : sync_fail(err, SYNC_ENOMEM, "rows of %s", entity);
}

static struct sync_value *cell(struct rows *r, const char *field)
{
	for (size_t i = 0; i < r->table.n_columns; i++)
		if (!strcmp(r->columns[i], field))
			return &r->values[(r->n - 1) * r->table.n_columns + i];
	fprintf(stderr, "no field %s in %s\n", field, r->e->name);
	abort();
}

static enum sync_status flush(struct rows *r, struct sync_error *err)
{
	if (r->n)
		TRY(sync_db_put_many(r->db, &r->table, r->values, r->n, err));
	r->n = 0;
	sync_arena_reset(&r->arena);
	return SYNC_OK;
}

enum sync_status rows_next(struct rows *r, const char *id, struct sync_error *err)
{
	if (r->n == BATCH)
		TRY(flush(r, err));
	r->n++;
	r->total++;
	for (size_t i = 0; i < r->e->n_fields; i++)
		if (!r->e->fields[i].local)
			*cell(r, r->e->fields[i].name) = plain(&r->e->fields[i]);
	set_text(r, "id", "%s", id);
	return SYNC_OK;
}

void set_text(struct rows *r, const char *field, const char *format, ...)
{
	char text[512];
	va_list args;
	int len;

	va_start(args, format);
	len = vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	*cell(r, field) = sync_string(sync_arena_copy(&r->arena, (struct sync_view){ text, (size_t)len }));
}

void set_int(struct rows *r, const char *field, int64_t i)
{
	*cell(r, field) = sync_int(i);
}

void set_real(struct rows *r, const char *field, double d)
{
	*cell(r, field) = (struct sync_value){ .kind = SYNC_DOUBLE, .d = d };
}

enum sync_status rows_close(struct rows *r, struct sync_error *err)
{
	enum sync_status status = flush(r, err);

	free(r->values);
	sync_arena_clear(&r->arena);
	return status;
}

typedef char uuid[37];

static uuid *draw_ids(struct draw *d, size_t n)
{
	uuid *ids = malloc(n * sizeof(*ids));

	for (size_t i = 0; ids && i < n; i++)
		draw_uuid(d, ids[i]);
	return ids;
}

static void draw_time(struct draw *d, char ret[static 20])
{
	snprintf(ret, 20, "20%02u-%02u-%02uT%02u:%02u:%02u", (unsigned)(15 + draw_below(d, 11)), (unsigned)(1 + draw_below(d, 12)),
	         (unsigned)(1 + draw_below(d, 28)), (unsigned)draw_below(d, 24), (unsigned)draw_below(d, 60), (unsigned)draw_below(d, 60));
}

static enum sync_status make_names(struct sync_db *db, struct draw *d, uuid *ids, struct sync_error *err)
{
	struct rows r;
	char at[20];

	TRY(rows_open(&r, db, "name", err));
	for (size_t i = 0; i < NAMES; i++) {
		TRY(rows_next(&r, ids[i], err));
		draw_time(d, at);
		set_text(&r, "name", "%s %s %u", pick(d, places), pick(d, kinds), (unsigned)draw_below(d, 400));
		set_text(&r, "code", "F%05zu", i);
		set_text(&r, "type", "%s", i < STORES ? "STORE" : "FACILITY");
		set_int(&r, "is_customer", draw_below(d, 10) > 0);
		set_int(&r, "is_supplier", draw_below(d, 20) == 0);
		set_text(&r, "created_datetime", "%s", at);
		if (draw_below(d, 3) == 0)
			set_text(&r, "phone", "+%u %07u", (unsigned)(200 + draw_below(d, 90)), (unsigned)draw_below(d, 10000000));
		if (draw_below(d, 3) == 0)
			set_text(&r, "address1", "%s district", pick(d, places));
		if (draw_below(d, 4) == 0)
			set_text(&r, "country", "%s", "Sorondia");
	}
	return rows_close(&r, err);
}

static enum sync_status make_stores(struct sync_db *db, uuid *ids, uuid *names, struct sync_error *err)
{
	struct rows r;

	TRY(rows_open(&r, db, "store", err));
	for (size_t i = 0; i < STORES; i++) {
		TRY(rows_next(&r, ids[i], err));
		set_text(&r, "code", "S%04zu", i);
		set_text(&r, "name_id", "%s", names[i]);
		set_text(&r, "created_date", "2019-%02zu-01", i % 12 + 1);
	}
	return rows_close(&r, err);
}

static enum sync_status make_items(struct sync_db *db, struct draw *d, uuid *ids, size_t n, const char *prefix, struct sync_error *err)
{
	struct rows r;

	TRY(rows_open(&r, db, "item", err));
	for (size_t i = 0; i < n; i++) {
		TRY(rows_next(&r, ids[i], err));
		set_text(&r, "name", "%s %s %umg", pick(d, drugs), pick(d, forms), (unsigned)(5 * (1 + draw_below(d, 200))));
		set_text(&r, "code", "%s%05zu", prefix, i);
		set_real(&r, "default_pack_size", (double)(1 + draw_below(d, 10) * 10));
		set_int(&r, "is_active", draw_below(d, 20) > 0);
		if (draw_below(d, 2))
			set_text(&r, "strength", "%umg", (unsigned)(5 * (1 + draw_below(d, 200))));
		set_real(&r, "volume_per_pack", (double)draw_below(d, 10000) / 1e6);
	}
	return rows_close(&r, err);
}

static enum sync_status make_lists(struct sync_db *db, struct draw *d, uuid *lists, uuid *items, uuid *names, struct sync_error *err)
{
	struct rows r;
	uuid id;

	TRY(rows_open(&r, db, "master_list", err));
	for (size_t i = 0; i < LISTS; i++) {
		TRY(rows_next(&r, lists[i], err));
		set_text(&r, "name", "%s list %zu", pick(d, kinds), i);
		set_text(&r, "code", "L%03zu", i);
		set_int(&r, "is_active", 1);
	}
	TRY(rows_close(&r, err));
	TRY(rows_open(&r, db, "master_list_line", err));
	for (size_t i = 0; i < LIST_LINES; i++) {
		draw_uuid(d, id);
		TRY(rows_next(&r, id, err));
		set_text(&r, "item_id", "%s", items[draw_below(d, ITEMS)]);
		set_text(&r, "master_list_id", "%s", lists[draw_below(d, LISTS)]);
		if (draw_below(d, 4) == 0)
			set_real(&r, "price_per_unit", (double)draw_below(d, 10000) / 100);
	}
	TRY(rows_close(&r, err));
	TRY(rows_open(&r, db, "master_list_name_join", err));
	for (size_t i = 0; i < LIST_JOINS; i++) {
		draw_uuid(d, id);
		TRY(rows_next(&r, id, err));
		set_text(&r, "master_list_id", "%s", lists[draw_below(d, LISTS)]);
		set_text(&r, "name_id", "%s", names[draw_below(d, NAMES)]);
	}
	return rows_close(&r, err);
}

static enum sync_status make_rest(struct sync_db *db, struct draw *d, uuid *items, const char *store, struct sync_error *err)
{
	struct rows r;
	uuid id;

	TRY(rows_open(&r, db, "abbreviation", err));
	for (size_t i = 0; i < ABBREVIATIONS; i++) {
		draw_uuid(d, id);
		TRY(rows_next(&r, id, err));
		set_text(&r, "text", "%c%zu", (int)('a' + draw_below(d, 26)), i);
		set_text(&r, "expansion", "take %u %s %u times a day", (unsigned)(1 + draw_below(d, 3)), pick(d, forms), (unsigned)(1 + draw_below(d, 4)));
	}
	TRY(rows_close(&r, err));
	TRY(rows_open(&r, db, "item_store_join", err));
	for (size_t i = 0; i < ITEM_STORES; i++) {
		draw_uuid(d, id);
		TRY(rows_next(&r, id, err));
		set_text(&r, "item_id", "%s", items[draw_below(d, ITEMS)]);
		set_text(&r, "store_id", "%s", store);
		set_real(&r, "default_sell_price_per_pack", (double)draw_below(d, 10000) / 100);
	}
	return rows_close(&r, err);
}

enum sync_status country_make(struct sync_db *db, uint64_t seed, int64_t *ret_records, struct sync_error *err)
{
	struct draw d = draw_from(seed);
	defer(freep) uuid *names = draw_ids(&d, NAMES);
	defer(freep) uuid *stores = draw_ids(&d, STORES);
	defer(freep) uuid *items = draw_ids(&d, ITEMS);
	defer(freep) uuid *lists = draw_ids(&d, LISTS);

	if (!names || !stores || !items || !lists)
		return sync_fail(err, SYNC_ENOMEM, "ids of a country");
	TRY(sync_db_begin(db, true, err));
	TRY(make_names(db, &d, names, err));
	TRY(make_stores(db, stores, names, err));
	TRY(make_items(db, &d, items, ITEMS, "I", err));
	TRY(make_lists(db, &d, lists, items, names, err));
	TRY(make_rest(db, &d, items, stores[0], err));
	TRY(sync_db_commit(db, err));
	*ret_records = NAMES + STORES + ITEMS + LIST_LINES + LIST_JOINS + ABBREVIATIONS + ITEM_STORES;
	return SYNC_OK;
}

enum sync_status country_grow(struct sync_db *db, uint64_t seed, int64_t n, struct sync_error *err)
{
	struct draw d = draw_from(seed);

	for (int64_t done = 0; done < n;) {
		size_t some = n - done < 50000 ? (size_t)(n - done) : 50000;
		defer(freep) uuid *ids = draw_ids(&d, some);

		if (!ids)
			return sync_fail(err, SYNC_ENOMEM, "ids of %zu items", some);
		TRY(sync_db_begin(db, true, err));
		TRY(make_items(db, &d, ids, some, "G", err));
		TRY(sync_db_commit(db, err));
		done += (int64_t)some;
	}
	return SYNC_OK;
}

enum sync_status country_others(struct sync_db *db, uint64_t seed, const char *store, int64_t n, struct sync_error *err)
{
	enum { STEP = 100000 };
	struct draw d = draw_from(seed);
	struct rows r;
	uuid id;

	for (int64_t done = 0; done < n; done += STEP) {
		TRY(sync_db_begin(db, true, err));
		TRY(rows_open(&r, db, "location", err));
		for (int64_t i = 0; i < STEP && done + i < n; i++) {
			draw_uuid_of(&d, done + i, n, id);
			TRY(rows_next(&r, id, err));
			set_text(&r, "store_id", "%s", store);
			set_text(&r, "code", "%lld", (long long)(done + i));
		}
		TRY(rows_close(&r, err));
		TRY(sync_db_commit(db, err));
		TRY(sync_route(db, err));
	}
	return SYNC_OK;
}

/* Ids that a statement yields. */
struct ids {
	uuid *id;
	size_t n, cap;
};

static enum sync_status take_id(void *ctx, const struct sync_value *v, size_t n, struct sync_error *err)
{
	struct ids *ids = ctx;

	(void)n;
	if (ids->n == ids->cap) {
		size_t cap = ids->cap ? ids->cap * 2 : 1024;
		uuid *more = realloc(ids->id, cap * sizeof(*more));

		if (!more)
			return sync_fail(err, SYNC_ENOMEM, "%zu ids", cap);
		ids->id = more;
		ids->cap = cap;
	}
	snprintf(ids->id[ids->n++], sizeof(uuid), "%.*s", SYNC_VIEW(v[0].s));
	return SYNC_OK;
}

static void ids_clear(struct ids *ids)
{
	free(ids->id);
}

enum sync_status country_invoices(struct sync_db *db, uint64_t seed, int64_t n_invoices, struct sync_error *err)
{
	static const char store[] = "SELECT store_id FROM item_store_join LIMIT 1";
	static const char name[] = "SELECT id FROM name WHERE type = 'FACILITY' LIMIT 1";
	struct draw d = draw_from(seed);
	defer(sync_buf_clear) struct sync_buf store_id = { .max = 255 }, name_id = { .max = 255 };
	struct rows r;
	uuid id;
	bool found;

	TRY(sync_db_text(db, store, SYNC_NOARGS, &store_id, &found, err));
	TRY(sync_db_text(db, name, SYNC_NOARGS, &name_id, &found, err));
	TRY(sync_db_begin(db, true, err));
	TRY(rows_open(&r, db, "invoice", err));
	for (int64_t i = 0; i < n_invoices; i++) {
		draw_uuid(&d, id);
		TRY(rows_next(&r, id, err));
		set_text(&r, "store_id", "%s", store_id.data);
		set_text(&r, "name_id", "%s", name_id.data);
		set_int(&r, "invoice_number", i + 1);
	}
	TRY(rows_close(&r, err));
	return sync_db_commit(db, err);
}

enum sync_status country_lines(struct sync_db *db, uint64_t seed, int64_t n_lines, struct sync_error *err)
{
	static const char get_invoices[] = "SELECT id FROM invoice";
	static const char get_items[] = "SELECT id FROM item";
	struct draw d = draw_from(seed);
	defer(ids_clear) struct ids invoices = { 0 }, items = { 0 };
	struct rows r;
	uuid id;

	TRY(sync_db_run(db, get_invoices, SYNC_NOARGS, take_id, &invoices, err));
	TRY(sync_db_run(db, get_items, SYNC_NOARGS, take_id, &items, err));
	if (!invoices.n || !items.n)
		return sync_fail(err, SYNC_ENOTFOUND, "this site has %zu invoices and %zu items", invoices.n, items.n);
	TRY(sync_db_begin(db, true, err));
	TRY(rows_open(&r, db, "invoice_line", err));
	for (int64_t i = 0; i < n_lines; i++) {
		draw_uuid(&d, id);
		TRY(rows_next(&r, id, err));
		set_text(&r, "invoice_id", "%s", invoices.id[(size_t)i % invoices.n]);
		set_text(&r, "item_id", "%s", items.id[draw_below(&d, items.n)]);
		set_text(&r, "item_name", "%s %s", pick(&d, drugs), pick(&d, forms));
		set_text(&r, "item_code", "I%05u", (unsigned)draw_below(&d, ITEMS));
		set_text(&r, "batch", "B%u", (unsigned)draw_below(&d, 100000));
		set_text(&r, "expiry_date", "20%02u-%02u-28", (unsigned)(26 + draw_below(&d, 4)), (unsigned)(1 + draw_below(&d, 12)));
		set_real(&r, "pack_size", (double)(1 + draw_below(&d, 10) * 10));
		set_real(&r, "cost_price_per_pack", (double)draw_below(&d, 100000) / 100);
		set_real(&r, "sell_price_per_pack", (double)draw_below(&d, 100000) / 100);
		set_real(&r, "number_of_packs", (double)(1 + draw_below(&d, 500)));
		set_text(&r, "type", "%s", draw_below(&d, 2) ? "STOCK_OUT" : "STOCK_IN");
	}
	TRY(rows_close(&r, err));
	return sync_db_commit(db, err);
}

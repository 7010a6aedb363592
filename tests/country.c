#include "country.h"

#include <stdarg.h>

#include <libsync/crypto.h>
#include <libsync/site.h>

/* One country at a time is paused for. */
static struct country *waiting;

static void work_meanwhile(int64_t us)
{
	(void)us;
	for (size_t i = 0; waiting && i < waiting->n; i++)
		loopback_work(&waiting->site[i].line);
}

void run(struct sync_db *db, const char *format, ...)
{
	char sql[4096];
	va_list args;

	va_start(args, format);
	vsnprintf(sql, sizeof sql, format, args);
	va_end(args);
	assert_ok(sync_db_run_text(db, sql, SYNC_NOARGS, NULL, NULL, err));
}

static enum sync_status take_number(void *ctx, const struct sync_value *v, size_t n, struct sync_error *err)
{
	(void)n, (void)err;
	*(int64_t *)ctx = v[0].kind == SYNC_INT ? v[0].i : 0;
	return SYNC_OK;
}

int64_t number(struct sync_db *db, const char *format, ...)
{
	char sql[4096];
	int64_t got = 0;
	va_list args;

	va_start(args, format);
	vsnprintf(sql, sizeof sql, format, args);
	va_end(args);
	assert_ok(sync_db_run_text(db, sql, SYNC_NOARGS, take_number, &got, err));
	return got;
}

static const char *yes(struct sync_db *db)
{
	return sync_db_dialect(db)->postgres ? "true" : "1";
}

static const char *no(struct sync_db *db)
{
	return sync_db_dialect(db)->postgres ? "false" : "0";
}

static void put_basics(struct sync_db *db, size_t stores)
{
	run(db, "INSERT INTO unit(id, name, \"index\", is_active) VALUES ('unit1', 'dose', 1, %s)", yes(db));
	run(db,
	    "INSERT INTO item(id, name, code, unit_id, ven_category, default_pack_size, type, legacy_record, is_active, "
	    "is_vaccine,"
	    " vaccine_doses, volume_per_pack) VALUES ('item1', 'BCG', 'bcg', 'unit1', 'V', 20, 'STOCK', '{}', %s, %s, 20, 0)",
	    yes(db), yes(db));
	for (size_t i = 1; i <= stores; i++) {
		run(db,
		    "INSERT INTO name(id, name, code, type, is_customer, is_supplier, is_manufacturer, is_donor, on_hold, "
		    "is_deceased)"
		    " VALUES ('name%zu', 'Health post %zu', 'hp%zu', 'STORE', %s, %s, %s, %s, %s, %s)",
		    i, i, i, yes(db), no(db), no(db), no(db), no(db), no(db));
		run(db,
		    "INSERT INTO store(id, code, site_id, store_mode, is_disabled, name_id)"
		    " VALUES ('store%zu', 'hp%zu', 0, 'STORE', %s, 'name%zu')",
		    i, i, no(db), i);
	}
}

static void open_site(struct country *c, size_t i)
{
	struct country_site *s = &c->site[i];
	char name[32], store[32], secret[30], token[44], installation[37];
	const char *stores[] = { store };
	int64_t id, registered;

	snprintf(name, sizeof name, "post%zu", i + 1);
	snprintf(store, sizeof store, "store%zu", i + 1);
	sync_random_uuid(installation);
	assert_ok(sync_site_add(c->central->db, name, stores, 1, secret, &id, err));
	assert_ok(sync_site_register(c->central->db, sync_view_of(name), sync_view_of(secret), sync_view_of(installation),
				     sync_view_of("0"), token, &registered, err));
	testdb_make(&s->db, TESTDB_SQLITE);
	testdb_open(&s->db, SYNC_SITE);
	assert_ok(sync_link_put(s->db.db, id, name, "loopback", token, installation, err));
	loopback_open(&s->line, c->central->db, id);
}

void country_open(struct country *c, struct testdb *central, size_t n)
{
	*c = (struct country){ .central = central, .n = n, .o.pause = work_meanwhile };
	assert_ok(sync_crypto_init(err));
	if (!central->db)
		testdb_open(central, SYNC_CENTRAL);
	put_basics(central->db, n);
	for (size_t i = 0; i < n; i++)
		open_site(c, i);
	waiting = c;
	loopback_work(&c->site[0].line);
}

void country_close(struct country *c)
{
	waiting = NULL;
	for (size_t i = 0; i < c->n; i++) {
		loopback_close(&c->site[i].line);
		testdb_drop(&c->site[i].db);
	}
}

static void reopen(struct testdb *t, const struct sync_db_ops *const *drivers, enum sync_role role)
{
	sync_db_close(t->db);
	t->db = NULL;
	assert_ok(sync_db_open(&t->db, t->url, drivers, role, false, err));
}

void country_reopen_site(struct country *c, size_t site, const struct sync_db_ops *const *drivers)
{
	reopen(&c->site[site].db, drivers, SYNC_SITE);
}

void country_reopen_central(struct country *c, const struct sync_db_ops *const *drivers)
{
	int64_t ids[COUNTRY_SITES];

	for (size_t i = 0; i < c->n; i++) {
		ids[i] = c->site[i].line.site_id;
		loopback_close(&c->site[i].line);
	}
	reopen(c->central, drivers, SYNC_CENTRAL);
	for (size_t i = 0; i < c->n; i++)
		loopback_open(&c->site[i].line, c->central->db, ids[i]);
}

void country_load(struct country *c, size_t site)
{
	struct country_site *s = &c->site[site];

	assert_ok(sync_load_run(s->db.db, &s->line.transport, &c->o, &s->report, err));
}

enum sync_status country_round(struct country *c, size_t site)
{
	struct country_site *s = &c->site[site];

	s->err = (struct sync_error){ 0 };
	return sync_round(s->db.db, &s->line.transport, &c->o, &s->report, &s->err);
}

void country_settle(struct country *c)
{
	int64_t moved = 1;

	for (int rounds = 0; moved > 0; rounds++) {
		assert_true(rounds < 20);
		moved = 0;
		for (size_t i = 0; i < c->n; i++) {
			if (country_round(c, i) != SYNC_OK)
				fail_msg("site %zu: %s: %s", i + 1, sync_status_name(c->site[i].err.status),
					 c->site[i].err.text);
			moved += c->site[i].report.pushed + c->site[i].report.pulled;
		}
		loopback_work(&c->site[0].line);
	}
}

void put_location(struct sync_db *db, const char *id, int store, const char *name)
{
	run(db,
	    "INSERT INTO location(id, name, code, on_hold, store_id, volume) VALUES ('%s', '%s', '%s', %s, 'store%d', 1)"
	    " ON CONFLICT (id) DO UPDATE SET name = excluded.name",
	    id, name, id, no(db), store);
}

void put_stocktake(struct sync_db *db, const char *id, int store, int n)
{
	assert_ok(sync_db_begin(db, true, err));
	run(db,
	    "INSERT INTO stocktake(id, store_id, user_id, stocktake_number, status, created_datetime, is_locked, "
	    "is_initial_stocktake)"
	    " VALUES ('%s', 'store%d', 'somebody', 1, 'NEW', '2026-11-24T10:00:00', %s, %s)"
	    " ON CONFLICT (id) DO UPDATE SET stocktake_number = stocktake.stocktake_number + 1",
	    id, store, no(db), no(db));
	for (int i = 1; i <= n; i++)
		run(db,
		    "INSERT INTO stocktake_line(id, stocktake_id, snapshot_number_of_packs, item_id, item_name, "
		    "volume_per_pack)"
		    " VALUES ('%s-%d', '%s', %d, 'item1', 'BCG', 0)"
		    " ON CONFLICT (id) DO UPDATE SET snapshot_number_of_packs = stocktake_line.snapshot_number_of_packs + 1",
		    id, i, id, i);
	assert_ok(sync_db_commit(db, err));
}

void put_barcode(struct sync_db *db, const char *id, const char *gtin)
{
	run(db,
	    "INSERT INTO barcode(id, gtin, item_id) VALUES ('%s', '%s', 'item1') ON CONFLICT (id) DO UPDATE SET gtin = "
	    "excluded.gtin",
	    id, gtin);
}

void country_tidy(struct country *c)
{
	static int n;

	run(c->central->db, "UPDATE sync_routing SET at_us = 0");
	run(c->central->db,
	    "UPDATE sync_routing SET ordinal = (ordinal / 1024 + 1) * 1024 - 1 WHERE seq = (SELECT max(seq) FROM sync_routing)");
	run(c->central->db, "UPDATE unit SET name = 'tidy %d' WHERE id = 'unit1'", n++);
	loopback_work(&c->site[0].line);
}

/* Each row as one line, in the order of id. */
struct lines {
	struct sync_buf text;
	const struct sync_entity *e;
};

static enum sync_status take_line(void *ctx, const struct sync_value *v, size_t n, struct sync_error *err)
{
	struct lines *lines = ctx;

	for (size_t i = 0; i < n; i++) {
		sync_buf_addf(&lines->text, "%s%s=", i ? " " : "", lines->e->fields[i].name);
		switch (v[i].kind) {
		case SYNC_INT:
			sync_buf_addf(&lines->text, "%lld", (long long)v[i].i);
			break;
		case SYNC_DOUBLE:
			sync_buf_addf(&lines->text, "%.17g", v[i].d);
			break;
		case SYNC_STRING:
		case SYNC_BLOB:
			sync_buf_addf(&lines->text, "'%.*s'", SYNC_VIEW(v[i].s));
			break;
		case SYNC_NULL:
		case SYNC_ABSENT:
			sync_buf_add_text(&lines->text, "null");
			break;
		}
	}
	sync_buf_add_char(&lines->text, '\n');
	return sync_buf_check(&lines->text, err);
}

static void read_lines(struct lines *lines, struct sync_db *db, const char *where)
{
	defer(sync_buf_clear) struct sync_buf sql = { .max = 8192 };

	for (size_t i = 0; i < lines->e->n_fields; i++)
		sync_buf_addf(&sql, "%s\"%s\"", i ? ", " : "SELECT ", lines->e->fields[i].name);
	sync_buf_addf(&sql, " FROM \"%s\" %s%s ORDER BY id", lines->e->name, where ? "WHERE " : "", where ? where : "");
	assert_ok(sync_db_run_text(db, sql.data, SYNC_NOARGS, take_line, lines, err));
}

void assert_same(struct sync_db *a, struct sync_db *b, const char *entity, const char *where)
{
	struct lines x = { .text.max = 1 << 26, .e = sync_entity_find(sync_view_of(entity)) }, y = x;

	read_lines(&x, a, where);
	read_lines(&y, b, where);
	if (!sync_view_eq(sync_buf_view(&x.text), sync_buf_view(&y.text)))
		fail_msg("%s differs:\n%s---\n%s", entity, x.text.data ? x.text.data : "", y.text.data ? y.text.data : "");
	sync_buf_clear(&x.text);
	sync_buf_clear(&y.text);
}

void assert_converged(struct country *c, size_t site)
{
	static const char *const everywhere[] = { "unit", "item", "name", "store", "barcode" };
	static const char *const of_store[] = { "location", "stocktake" };
	struct sync_db *central = c->central->db, *db = c->site[site].db.db;
	char where[120];

	for (size_t i = 0; i < COUNT(everywhere); i++)
		assert_same(central, db, everywhere[i], NULL);
	snprintf(where, sizeof where, "store_id = 'store%zu'", site + 1);
	for (size_t i = 0; i < COUNT(of_store); i++)
		assert_same(central, db, of_store[i], where);
	snprintf(where, sizeof where, "stocktake_id IN (SELECT id FROM stocktake WHERE store_id = 'store%zu')", site + 1);
	assert_same(central, db, "stocktake_line", where);
	assert_int_equal(0, number(db, "SELECT count(*) FROM sync_mark"));
}

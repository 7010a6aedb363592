#include "country.h"

#include "db/driver.h"

/* Ids are compared and ordered by their bytes, whatever the database's own collation is (testdb.c makes one that differs). */

enum { UNITS = 4000 };

/* People sort a letter beside its capital, and look at '-' last; the names hardly compress: a load of several pages. */
static void put_units(struct sync_db *db)
{
	static const char *const letters[] = { "b", "A", "_", "a", "-", "B", "\u00e4", "z" };
	uint32_t x = 1;

	assert_ok(sync_db_begin(db, true, err));
	for (int i = 0; i < UNITS; i++) {
		char name[65];

		for (size_t k = 0; k < sizeof(name) - 1; k += 8) {
			x = x * 1664525 + 1013904223;
			snprintf(name + k, sizeof(name) - k, "%08x", x);
		}
		run(db, "INSERT INTO unit(id, name, \"index\", is_active) VALUES ('%s%s%05d', '%s', 1, %s)", letters[i % 8],
		    letters[i / 8 % 8], i, name, sync_db_dialect(db)->postgres ? "true" : "1");
	}
	assert_ok(sync_db_commit(db, err));
}

struct loading {
	struct country *c;
	int pages; /* that ended among the units */
};

/* What the site has of them so far are central's first, in the order that the site's SQLite has. */
static void check_page(void *ctx, const char *what, int64_t done, int64_t total)
{
	struct loading *loading = ctx;
	struct sync_db *site = loading->c->site[0].db.db, *central = loading->c->central->db;
	defer(sync_buf_clear) struct sync_buf last = { .max = 100 };
	bool found;
	int64_t n = number(site, "SELECT count(*) FROM unit WHERE id <> 'unit1'");

	(void)done, (void)total;
	if (strcmp(what, "load") != 0 || n == 0 || n == UNITS)
		return;
	loading->pages++;
	assert_ok(sync_db_text(site, "SELECT max(id) FROM unit WHERE id <> 'unit1'", SYNC_NOARGS, &last, &found, err));
	assert_int_equal(n, number(central, "SELECT count(*) FROM unit WHERE id <> 'unit1' AND id <= '%s'", last.data));
}

static void pages_of_a_first_load_follow_the_order_of_bytes(void **state)
{
	struct country c;
	struct loading loading = { &c, 0 };
	struct country_site *s = &c.site[0];

	country_open(&c, testdb_of(state), 1);
	put_units(c.central->db);
	loopback_work(&s->line);
	c.o.message_min = c.o.message_max = 1; /* central's smallest page */
	c.o.progress = check_page;
	c.o.ctx = &loading;
	assert_ok(sync_load_run(s->db.db, &s->line.transport, &c.o, &s->report, err));
	assert_true(loading.pages >= 2);
	assert_same(c.central->db, s->db.db, "unit", "true");
	country_close(&c);
}

static enum sync_status take_pair(void *ctx, const struct sync_value *v, size_t n, struct sync_error *err)
{
	(void)ctx, (void)n, (void)err;
	if (v[1].kind == SYNC_STRING)
		assert_true(sync_view_cmp(v[0].s, v[1].s) > 0);
	return SYNC_OK;
}

/* A range is read by the index, whose order is that of the query. */
static void ids_and_references_are_ordered_by_bytes_in_every_table(void **state)
{
	struct testdb *t = testdb_of(state);
	defer(sync_buf_clear) struct sync_buf sql = { .max = 1000 };
	size_t n;
	const struct sync_entity *const *all = sync_entities(&n);

	testdb_open(t, SYNC_CENTRAL);
	put_units(t->db);
	assert_ok(sync_db_run(t->db, "SELECT id, lag(id) OVER (ORDER BY id) FROM unit ORDER BY id", SYNC_NOARGS, take_pair, NULL, err));
	assert_ok(sync_db_run(t->db,
			      "SELECT c.record_id, lag(c.record_id) OVER (ORDER BY c.record_id)"
			      "    FROM sync_changelog c JOIN unit t ON t.id = c.record_id ORDER BY c.record_id",
			      SYNC_NOARGS, take_pair, NULL, err));
	for (size_t i = 0; t->kind == TESTDB_POSTGRES && i < n; i++)
		for (size_t k = 0; k < all[i]->n_fields; k++)
			if (all[i]->fields[k].type == SYNC_ID)
				assert_int_equal(1, number(t->db, "SELECT count(*) FROM pg_attribute"
								  " WHERE attrelid = '\"%s\"'::regclass AND attname = '%.63s'"
								  " AND attcollation = 'pg_catalog.\"C\"'::regcollation",
							   all[i]->name, all[i]->fields[k].name));
}

/* tables that an application has made */

#define UNIT_OF(type) \
	"CREATE TABLE unit(id " type " PRIMARY KEY, name text NOT NULL, \"index\" integer NOT NULL, is_active boolean NOT NULL)"

static void make_tables(struct testdb *t, const char *sql)
{
	assert_ok(sync_db_connect(&t->db, t->url, testdb_drivers, true, err));
	assert_ok(sync_db_script(t->db, sql, err));
	sync_db_close(steal(t->db));
}

static void ids_of_an_applications_table_are_made_such(void **state)
{
	struct testdb *t = testdb_of(state);

	make_tables(t, UNIT_OF("text COLLATE \"en-US-x-icu\"") "; INSERT INTO unit VALUES ('a', '', 1, true), ('B', '', 1, true)");
	testdb_open(t, SYNC_CENTRAL);
	assert_int_equal(1, number(t->db, "SELECT count(*) FROM unit WHERE id < 'a'"));

	/* an application rebuilds its table later */
	run(t->db, "ALTER TABLE unit ALTER COLUMN id TYPE varchar(36) COLLATE \"en-US-x-icu\"");
	assert_int_equal(0, number(t->db, "SELECT count(*) FROM unit WHERE id < 'a'"));
	sync_db_close(steal(t->db));
	testdb_open(t, SYNC_CENTRAL);
	assert_int_equal(1, number(t->db, "SELECT count(*) FROM unit WHERE id < 'a'"));
	assert_int_equal(2, number(t->db, "SELECT count(*) FROM unit"));
}

static void uuids_of_an_applications_table_become_texts(void **state)
{
	struct testdb *t = testdb_of(state);

	make_tables(t, UNIT_OF("uuid DEFAULT gen_random_uuid()") "; INSERT INTO unit VALUES"
		       " ('6F9619FF-8B86-D011-B42D-00CF4FC964FF', '', 1, true)");
	testdb_open(t, SYNC_CENTRAL);
	assert_int_equal(1, number(t->db, "SELECT count(*) FROM unit WHERE id = '6f9619ff-8b86-d011-b42d-00cf4fc964ff'"));
	run(t->db, "INSERT INTO unit(name, \"index\", is_active) VALUES ('', 1, true)");
	assert_int_equal(2, number(t->db, "SELECT count(*) FROM unit WHERE length(id) = 36"));
}

static void what_cannot_be_made_such_is_refused_with_the_reason(void **state)
{
	struct testdb *t = testdb_of(state);
	struct sync_error e = { 0 };

	make_tables(t, UNIT_OF("text") "; CREATE VIEW units AS SELECT id FROM unit");
	assert_int_equal(SYNC_EDB, sync_db_open(&t->db, t->url, testdb_drivers, SYNC_CENTRAL, true, &e));
	assert_non_null(strstr(e.text, "table unit"));
	assert_non_null(strstr(e.text, "used by a view"));
	assert_non_null(strstr(e.text, "drop what depends on"));
	assert_ok(sync_db_connect(&t->db, t->url, testdb_drivers, true, err));
	assert_int_equal(0, number(t->db, "SELECT count(*) FROM pg_class WHERE relname = 'sync_meta'"));
	run(t->db, "DROP VIEW units");
	sync_db_close(steal(t->db));
	testdb_open(t, SYNC_CENTRAL);
}

#define ON_POSTGRES(test) TESTDB_ON(test, TESTDB_POSTGRES, "PostgreSQL")

int main(void)
{
	const struct CMUnitTest tests[] = {
		TESTDB_BOTH(pages_of_a_first_load_follow_the_order_of_bytes),
		TESTDB_BOTH(ids_and_references_are_ordered_by_bytes_in_every_table),
		ON_POSTGRES(ids_of_an_applications_table_are_made_such),
		ON_POSTGRES(uuids_of_an_applications_table_become_texts),
		ON_POSTGRES(what_cannot_be_made_such_is_refused_with_the_reason),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

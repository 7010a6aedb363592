#include "country.h"

#include <libsync/site.h>

#include "faulty_db.h"

enum { UNITS = 4000 };

static struct sync_db *site_db(const struct country *c)
{
	return c->site[0].db.db;
}

/* Names that hardly compress: a load of several pages. */
static void put_units(struct sync_db *db, int n)
{
	assert_ok(sync_db_begin(db, true, err));
	for (int i = 0; i < n; i++)
		run(db,
		    "INSERT INTO unit(id, name, \"index\", is_active) VALUES ('u%05d', '%08x%08x%08x%08x%08x%08x%08x%08x', %d, "
		    "%s)",
		    i, (unsigned)(i + 1) * 2654435761u, (unsigned)(i + 7) * 2246822519u, (unsigned)(i + 3) * 3266489917u,
		    (unsigned)(i + 5) * 668265263u, (unsigned)(i + 11) * 374761393u, (unsigned)(i + 13) * 2654435769u,
		    (unsigned)(i + 17) * 1103515245u, (unsigned)(i + 19) * 1664525u, i,
		    sync_db_dialect(db)->postgres ? "true" : "1");
	assert_ok(sync_db_commit(db, err));
}

/* One site whose load has several pages. */
static void open_large(struct country *c, void **state)
{
	country_open(c, testdb_of(state), 1);
	put_units(c->central->db, UNITS);
	put_barcode(c->central->db, "b1", "123");
	put_location(c->central->db, "l1", 1, "Fridge");
	put_stocktake(c->central->db, "t1", 1, 3);
	loopback_work(&c->site[0].line);
	c->o.message_min = c->o.message_max = 1; /* central's smallest page */
}

static enum sync_status load(struct country *c)
{
	struct country_site *s = &c->site[0];

	s->err = (struct sync_error){ 0 };
	return sync_load_run(s->db.db, &s->line.transport, &c->o, &s->report, &s->err);
}

struct progress {
	int64_t done, total;
	int calls;
};

static void note_progress(void *ctx, const char *what, int64_t done, int64_t total)
{
	struct progress *p = ctx;

	if (strcmp(what, "load") != 0)
		return;
	assert_true(done >= p->done);
	*p = (struct progress){ done, total, p->calls + 1 };
}

static void everything_that_is_routed_to_a_site_is_loaded(void **state)
{
	struct progress progress = { 0 };
	struct sync_link link;
	struct country c;

	open_large(&c, state);
	c.o.progress = note_progress;
	c.o.ctx = &progress;
	assert_int_equal(SYNC_OK, load(&c));
	assert_converged(&c, 0);
	assert_true(progress.calls > 2);
	assert_int_equal(UNITS + 10,
			 progress.total); /* a unit, an item, a name, a store, a barcode, a location, a stocktake and 3 lines */
	assert_int_equal(progress.total, progress.done);
	assert_int_equal(progress.total, c.site[0].report.pulled);
	assert_int_equal(progress.total, c.site[0].report.integrated);
	assert_int_equal(0, c.site[0].report.dangling);
	assert_ok(sync_link_get(site_db(&c), &link, err));
	assert_true(link.operational);
	assert_int_equal(progress.total, link.load_done);
	assert_int_equal(0, number(site_db(&c), "SELECT count(*) FROM sync_changelog"));
	assert_int_equal(number(c.central->db, "SELECT count(*) FROM sync_version WHERE entity = 'barcode'"),
			 number(site_db(&c), "SELECT count(*) FROM sync_version WHERE entity = 'barcode'"));
	put_location(site_db(&c), "l1", 1, "captured");
	assert_int_equal(1, number(site_db(&c), "SELECT count(*) FROM sync_changelog"));
	country_settle(&c);
	assert_int_equal(1, number(c.central->db, "SELECT loaded FROM sync_site"));
	assert_converged(&c, 0);
	country_close(&c);
}

static void a_load_cut_at_any_page_goes_on_from_there(void **state)
{
	struct country c;
	int64_t messages = 0, done = 0;

	open_large(&c, state);
	for (int fault = LOOPBACK_CUT_ANSWER; messages < 12; messages++) {
		int64_t now;

		loopback_arm(&c.site[0].line, (enum loopback_fault)fault, 2, 1000);
		if (load(&c) == SYNC_OK)
			break;
		fault = fault == LOOPBACK_CUT_ANSWER ? LOOPBACK_LOSE_ANSWER : LOOPBACK_CUT_ANSWER;
		now = number(site_db(&c), "SELECT load_done FROM sync_link");
		assert_true(now > done);
		done = now;
	}
	assert_true(messages >= 2 && messages < 12);
	assert_converged(&c, 0);
	country_close(&c);
}

static void a_round_of_a_site_that_is_not_loaded_loads_it(void **state)
{
	struct country c;

	country_open(&c, testdb_of(state), 1);
	assert_int_equal(SYNC_OK, country_round(&c, 0));
	assert_converged(&c, 0);
	country_close(&c);
}

static struct country *changing;

static void change(void *ctx, const char *what, int64_t done, int64_t total)
{
	(void)ctx, (void)done, (void)total;
	if (strcmp(what, "load") != 0)
		return;
	run(changing->central->db, "UPDATE unit SET name = 'changed' WHERE id IN ('u00000', 'u03999')");
	run(changing->central->db, "DELETE FROM unit WHERE id IN ('u00001', 'u03998')");
	put_stocktake(changing->central->db, "t1", 1, 4);
}

static void what_changes_during_a_load_is_there_after_it(void **state)
{
	struct country c;

	open_large(&c, state);
	changing = &c;
	c.o.progress = change;
	assert_int_equal(SYNC_OK, load(&c));
	c.o.progress = NULL;
	assert_converged(&c, 0);
	assert_int_equal(0, number(site_db(&c), "SELECT count(*) FROM sync_changelog"));
	country_close(&c);
}

/* The last page brings the last of the units. */
static void edit_here(void *ctx, const char *what, int64_t done, int64_t total)
{
	static const char named[] = "SELECT count(*) FROM unit WHERE id = 'u03999' AND name = 'edited here'";
	defer(sync_db_closep) struct sync_db *application = NULL;
	struct sync_db *db = site_db(changing);

	if (strcmp(what, "load") != 0)
		return;
	if (number(db, "SELECT count(*) FROM sync_changelog") == 0) {
		assert_int_equal(0, number(db, "SELECT count(*) FROM unit WHERE id = 'u03999'"));
		assert_ok(sync_db_clone(&application, db, err));
		run(application, "INSERT INTO unit(id, name, \"index\", is_active) VALUES ('u03999', 'edited here', 1, 1)");
	}
	assert_int_equal(1, number(db, named));
	*(bool *)ctx = done == total;
}

/* Central, which alone edits units, undoes it afterwards: as it would any edit. */
static void a_page_does_not_undo_an_edit_made_meanwhile(void **state)
{
	bool all = false;
	struct country c;

	open_large(&c, state);
	changing = &c;
	c.o.progress = edit_here;
	c.o.ctx = &all;
	assert_int_equal(SYNC_OK, load(&c));
	assert_true(all);
	c.o.progress = NULL;
	country_settle(&c);
	assert_int_equal(1, number(c.central->db, "SELECT count(*) FROM sync_waiting WHERE record_id = 'u03999'"));
	assert_converged(&c, 0);
	country_close(&c);
}

static void a_load_waits_for_the_jobs_of_its_site(void **state)
{
	struct country c;

	country_open(&c, testdb_of(state), 1);
	run(c.central->db, "INSERT INTO sync_job(entity, keys, kind, sites, step, last_id, done)"
			   " VALUES ('store', '[\"store1\"]', 'store', '[1]', '', '', 0)");
	assert_int_equal(SYNC_EBUSY, load(&c));
	assert_int_equal(2, c.site[0].err.retry_after_s);
	loopback_work(&c.site[0].line);
	assert_int_equal(SYNC_OK, load(&c));
	assert_converged(&c, 0);
	country_close(&c);
}

/* What its pages brought may have been deleted since, and the delete forgotten. */
static void a_load_that_rests_for_longer_than_deletes_are_kept_keeps_nothing_that_is_gone(void **state)
{
	struct country c;

	open_large(&c, state);
	loopback_arm(&c.site[0].line, LOOPBACK_LOSE_ANSWER, 3, 0);
	assert_int_equal(SYNC_ENET, load(&c));
	assert_true(number(site_db(&c), "SELECT count(*) FROM unit WHERE id = 'u00001'"));
	run(c.central->db, "DELETE FROM unit WHERE id = 'u00001'");
	loopback_work(&c.site[0].line);
	country_tidy(&c);
	assert_int_equal(0, number(c.central->db, "SELECT count(*) FROM sync_outbox WHERE record_id = 'u00001'"));
	assert_int_equal(SYNC_OK, load(&c));
	assert_converged(&c, 0);
	assert_int_equal(0, number(c.central->db, "SELECT count(*) FROM sync_waiting"));
	country_close(&c);
}

static void a_failure_of_the_sites_database_during_a_load_is_survived(void **state)
{
	const struct sync_db_ops *drivers[] = { faulty_db(&sync_sqlite), NULL };
	struct country c;
	bool failed = true;

	country_open(&c, testdb_of(state), 1);
	put_barcode(c.central->db, "b1", "123");
	put_stocktake(c.central->db, "t1", 1, 3);
	loopback_work(&c.site[0].line);
	/* most of the calls make triggers, one like the other */
	for (long n = 0; failed; n += n < 25 ? 1 : 37) {
		enum sync_status status;

		testdb_drop(&c.site[0].db);
		testdb_make(&c.site[0].db, TESTDB_SQLITE);
		testdb_open(&c.site[0].db, SYNC_SITE);
		assert_ok(sync_link_put(site_db(&c), 1, "post1", "loopback", "token", "0123456789abcdef", err));
		country_reopen_site(&c, 0, drivers);
		faulty_db_arm(n);
		status = load(&c);
		failed = faulty_db_disarm();
		if (!failed)
			assert_int_equal(SYNC_OK, status);
		country_reopen_site(&c, 0, testdb_drivers);
		if (load(&c) != SYNC_OK)
			fail_msg("call %ld: %s", n, c.site[0].err.text);
		assert_converged(&c, 0);
		put_location(site_db(&c), "l1", 1, "captured");
		assert_int_equal(1, number(site_db(&c), "SELECT count(*) FROM sync_changelog"));
	}
	country_close(&c);
}

static void references_that_dangle_after_a_load_are_counted(void **state)
{
	struct country c;

	open_large(&c, state);
	c.o.message_max = 0;
	assert_ok(sync_server_flush(c.central->db, err));
	run(c.central->db, "DELETE FROM item WHERE id = 'item1'"); /* the lines of the stocktake still name it */
	assert_int_equal(SYNC_OK, load(&c));
	assert_true(c.site[0].report.dangling >= 3);
	country_close(&c);
}

#define ON_SQLITE(test) TESTDB_ON(test, TESTDB_SQLITE, "SQLite")

int main(void)
{
	const struct CMUnitTest tests[] = {
		TESTDB_BOTH(everything_that_is_routed_to_a_site_is_loaded),
		TESTDB_BOTH(a_load_cut_at_any_page_goes_on_from_there),
		TESTDB_BOTH(a_round_of_a_site_that_is_not_loaded_loads_it),
		TESTDB_BOTH(what_changes_during_a_load_is_there_after_it),
		TESTDB_BOTH(a_page_does_not_undo_an_edit_made_meanwhile),
		TESTDB_BOTH(a_load_waits_for_the_jobs_of_its_site),
		TESTDB_BOTH(a_load_that_rests_for_longer_than_deletes_are_kept_keeps_nothing_that_is_gone),
		ON_SQLITE(a_failure_of_the_sites_database_during_a_load_is_survived),
		ON_SQLITE(references_that_dangle_after_a_load_are_counted),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

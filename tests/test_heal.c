#include "country.h"

#include <unistd.h>

#include <libsync/bundle.h>
#include <libsync/site.h>

#include "db/driver.h"
#include "exchange/peer.h"
#include "faulty_db.h"

enum { SITES = 2 };

/* A country whose sites are loaded, and backups of it. */
struct ill {
	struct country c;
	struct testdb backup[4]; /* any of them, by whom it is of */
	size_t n;
};

static struct sync_db *central(const struct ill *x)
{
	return x->c.central->db;
}

static struct sync_db *site(const struct ill *x, size_t i)
{
	return x->c.site[i].db.db;
}

static void begin(struct ill *x, void **state, size_t n)
{
	*x = (struct ill){ 0 };
	country_open(&x->c, testdb_of(state), n);
	for (size_t i = 0; i < n; i++)
		country_load(&x->c, i);
	put_location(site(x, 0), "l1", 1, "before");
	put_barcode(site(x, 0), "b1", "before");
	country_settle(&x->c);
}

static void end(struct ill *x)
{
	for (size_t i = 0; i < x->n; i++)
		testdb_drop(&x->backup[i]);
	country_close(&x->c);
}

/* A restore is not noticed by a process that goes on: nobody has the database open meanwhile. */
static void close_central(struct ill *x)
{
	assert_ok(sync_server_flush(central(x), err));
	for (size_t i = 0; i < x->c.n; i++)
		loopback_close(&x->c.site[i].line);
	sync_db_close(x->c.central->db);
	x->c.central->db = NULL;
}

static void open_central(struct ill *x)
{
	testdb_open(x->c.central, SYNC_CENTRAL);
	for (size_t i = 0; i < x->c.n; i++)
		loopback_open(&x->c.site[i].line, central(x), (int64_t)i + 1);
}

static size_t save_central(struct ill *x)
{
	close_central(x);
	testdb_copy(&x->backup[x->n], x->c.central);
	open_central(x);
	return x->n++;
}

static void restore_central(struct ill *x, size_t backup)
{
	close_central(x);
	testdb_restore(x->c.central, &x->backup[backup]);
	open_central(x);
}

static void close_site(struct ill *x, size_t i)
{
	sync_db_close(x->c.site[i].db.db);
	x->c.site[i].db.db = NULL;
}

static size_t save_site(struct ill *x, size_t i)
{
	close_site(x, i);
	testdb_copy(&x->backup[x->n], &x->c.site[i].db);
	testdb_open(&x->c.site[i].db, SYNC_SITE);
	return x->n++;
}

static void restore_site(struct ill *x, size_t i, size_t backup)
{
	close_site(x, i);
	testdb_restore(&x->c.site[i].db, &x->backup[backup]);
	testdb_open(&x->c.site[i].db, SYNC_SITE);
}

static void assert_healed(struct ill *x)
{
	country_settle(&x->c);
	for (size_t i = 0; i < x->c.n; i++) {
		assert_converged(&x->c, i);
		assert_int_equal(0, number(site(x, i), "SELECT echo + offer FROM sync_link"));
		assert_int_equal(0, number(site(x, i), "SELECT count(*) FROM sync_offer"));
		assert_int_equal(0, x->c.site[i].report.unpushed);
	}
}

static void assert_recovered(struct ill *x, const char *entity, const char *id, const char *code)
{
	if (!number(central(x), "SELECT count(*) FROM sync_waiting WHERE kind = 'recovered' AND done_us IS NULL AND entity = '%s'"
			       " AND record_id = '%s' AND code = '%s'", entity, id, code))
		fail_msg("%s %s is not offered as %s", entity, id, code);
}

static struct sync_recovered accept_all(struct ill *x)
{
	struct sync_recovered r;

	assert_ok(sync_recovered_accept_all(central(x), &r, err));
	loopback_work(&x->c.site[0].line);
	return r;
}

static int64_t open_offers(struct ill *x)
{
	return number(central(x), "SELECT count(*) FROM sync_waiting WHERE kind = 'recovered' AND done_us IS NULL");
}

static void put_unit(struct sync_db *db, const char *id, const char *name)
{
	run(db, "INSERT INTO unit(id, name, \"index\", is_active) VALUES ('%s', '%s', 1, %s) ON CONFLICT (id) DO UPDATE SET name = excluded.name",
	    id, name, sync_db_dialect(db)->postgres ? "true" : "1");
}

/* Over the thinned list of pushes, and with nothing to do with the record at hand. */
static void push_often(struct ill *x, int times)
{
	for (int i = 0; i < times; i++) {
		put_location(site(x, 0), "often", 1, i % 2 ? "odd" : "even");
		assert_int_equal(SYNC_OK, country_round(&x->c, 0));
	}
}

/* central is restored */

static void what_a_restored_central_lost_comes_back(void **state)
{
	struct ill x;
	size_t old;
	struct sync_recovered r;

	begin(&x, state, SITES);
	old = save_central(&x);
	put_unit(central(&x), "unit1", "lost");
	put_unit(central(&x), "unit2", "lost too");
	put_location(site(&x, 0), "l1", 1, "after");
	put_location(site(&x, 1), "l2", 2, "after");
	put_stocktake(site(&x, 0), "t1", 1, 3);
	run(site(&x, 0), "DELETE FROM barcode");
	country_settle(&x.c);
	restore_central(&x, old);
	assert_int_equal(1, number(central(&x), "SELECT count(*) FROM location"));

	assert_healed(&x);
	assert_int_equal(2, number(central(&x), "SELECT count(*) FROM location WHERE name = 'after'"));
	assert_int_equal(3, number(central(&x), "SELECT count(*) FROM stocktake_line"));
	assert_int_equal(0, number(central(&x), "SELECT count(*) FROM barcode"));
	assert_recovered(&x, "unit", "unit1", "older");
	assert_recovered(&x, "unit", "unit2", "missing");
	assert_int_equal(0, number(site(&x, 0), "SELECT count(*) FROM unit WHERE name LIKE 'lost%%'"));
	assert_int_equal(2, number(central(&x), "SELECT count(*) FROM sync_site WHERE healed_us IS NOT NULL"));

	r = accept_all(&x);
	assert_int_equal(2, r.accepted);
	assert_int_equal(0, r.left);
	assert_healed(&x);
	assert_int_equal(2, number(site(&x, 1), "SELECT count(*) FROM unit WHERE name LIKE 'lost%%'"));
	assert_int_equal(0, open_offers(&x));
	end(&x);
}

/* One site comes back only after the other, and central, have worked for long; numbers are given again to other things. */
static void a_restore_that_is_noticed_late_loses_nothing(void **state)
{
	struct ill x;
	struct sync_recovered r;
	size_t old;

	begin(&x, state, SITES);
	old = save_central(&x);
	for (int i = 0; i < 5; i++) {
		put_location(site(&x, 0), "l1", 1, i % 2 ? "a" : "b");
		put_unit(central(&x), "unit1", i % 2 ? "c" : "d");
		put_unit(central(&x), "unit2", "lost");
		run(site(&x, 0), "UPDATE item SET name = 'refused %d'", i);
		assert_int_equal(SYNC_OK, country_round(&x.c, 0));
		assert_int_equal(SYNC_OK, country_round(&x.c, 0));
	}
	restore_central(&x, old);
	for (int i = 0; i < 30; i++) {
		put_location(site(&x, 1), "l2", 2, i % 2 ? "e" : "f");
		put_unit(central(&x), "unit1", i % 2 ? "g" : "new");
		put_unit(central(&x), "unit3", "new");
		assert_int_equal(SYNC_OK, country_round(&x.c, 1));
	}
	put_location(site(&x, 0), "l9", 1, "made meanwhile");
	assert_healed(&x);
	assert_int_equal(1, number(central(&x), "SELECT count(*) FROM location WHERE name = 'b'"));
	assert_int_equal(1, number(central(&x), "SELECT count(*) FROM location WHERE id = 'l9'"));
	assert_recovered(&x, "unit", "unit1", "changed");
	assert_recovered(&x, "unit", "unit2", "missing");
	assert_int_equal(1, number(site(&x, 0), "SELECT count(*) FROM sync_verdict WHERE kind = 'refused' AND n > 0"));

	r = accept_all(&x);
	assert_int_equal(1, r.accepted);
	assert_int_equal(1, r.left);
	assert_healed(&x);
	assert_int_equal(1, number(site(&x, 1), "SELECT count(*) FROM unit WHERE id = 'unit2'"));
	assert_int_equal(0, number(site(&x, 1), "SELECT count(*) FROM unit WHERE id = 'unit1' AND name = 'd'"));
	end(&x);
}

static void a_delete_that_central_lost_is_offered(void **state)
{
	struct ill x;
	size_t old;

	begin(&x, state, 1);
	put_unit(central(&x), "unit2", "to be deleted");
	country_settle(&x.c);
	old = save_central(&x);
	run(central(&x), "DELETE FROM unit WHERE id = 'unit2'");
	country_settle(&x.c);
	restore_central(&x, old);
	assert_healed(&x);
	assert_int_equal(1, number(site(&x, 0), "SELECT count(*) FROM unit WHERE id = 'unit2'"));
	assert_recovered(&x, "unit", "unit2", "deleted");
	assert_int_equal(1, accept_all(&x).accepted);
	assert_healed(&x);
	assert_int_equal(0, number(site(&x, 0), "SELECT count(*) FROM unit WHERE id = 'unit2'"));
	end(&x);
}

/* Central has no record that it could be a delete of, until the site that made it pushes it again. */
static void a_lost_delete_of_a_lost_record_is_offered(void **state)
{
	struct ill x;
	size_t old;

	begin(&x, state, SITES);
	old = save_central(&x);
	put_barcode(site(&x, 1), "b2", "to be deleted");
	country_settle(&x.c);
	run(central(&x), "DELETE FROM barcode WHERE id = 'b2'");
	loopback_work(&x.c.site[0].line);
	assert_int_equal(SYNC_OK, country_round(&x.c, 0));
	restore_central(&x, old);
	assert_int_equal(SYNC_OK, country_round(&x.c, 0));
	assert_recovered(&x, "barcode", "b2", "deleted");
	assert_healed(&x);
	assert_int_equal(1, number(site(&x, 0), "SELECT count(*) FROM barcode WHERE id = 'b2'"));
	assert_recovered(&x, "barcode", "b2", "deleted");
	end(&x);
}

static void a_delete_that_central_knows_is_not_offered(void **state)
{
	struct ill x;
	size_t old;

	begin(&x, state, 1);
	put_unit(central(&x), "unit2", "to be deleted");
	country_settle(&x.c);
	run(central(&x), "DELETE FROM unit WHERE id = 'unit2'");
	loopback_work(&x.c.site[0].line);
	old = save_central(&x);
	put_unit(central(&x), "unit3", "lost");
	country_settle(&x.c);
	restore_central(&x, old);
	assert_healed(&x);
	assert_recovered(&x, "unit", "unit3", "missing");
	assert_int_equal(1, open_offers(&x));
	end(&x);
}

/* Only the join, which is lost, made it the site's. */
static void what_is_offered_goes_where_it_is_not_due_although_central_has_it_so(void **state)
{
	struct ill x;
	size_t old;

	begin(&x, state, SITES);
	run(central(&x), "INSERT INTO name(id, name, code, type, is_customer, is_supplier, is_manufacturer, is_donor, on_hold, is_deceased)"
			 " VALUES ('p1', 'Patient', 'p1', 'PATIENT', false, false, false, false, false, false)");
	country_settle(&x.c);
	old = save_central(&x);
	run(central(&x), "INSERT INTO name_store_join(id, store_id, name_id, name_is_customer, name_is_supplier)"
			 " VALUES ('j1', 'store1', 'p1', false, false)");
	country_settle(&x.c);
	assert_int_equal(1, number(site(&x, 0), "SELECT count(*) FROM name WHERE id = 'p1'"));
	restore_central(&x, old);
	country_settle(&x.c);
	assert_int_equal(0, number(site(&x, 0), "SELECT count(*) FROM name WHERE id = 'p1'"));
	assert_recovered(&x, "name_store_join", "j1", "missing");
	assert_int_equal(1, open_offers(&x));
	end(&x);
}

/* Whoever comes first does not know that the other will push its own records again. */
static void what_its_site_pushes_again_needs_nobody(void **state)
{
	struct ill x;
	struct sync_recovered r;
	size_t old;

	begin(&x, state, SITES);
	old = save_central(&x);
	put_barcode(site(&x, 0), "b1", "after");
	put_barcode(site(&x, 0), "b2", "after");
	country_settle(&x.c);
	restore_central(&x, old);
	assert_int_equal(SYNC_OK, country_round(&x.c, 1));
	assert_recovered(&x, "barcode", "b1", "older");
	assert_recovered(&x, "barcode", "b2", "missing");
	assert_healed(&x);
	assert_ok(sync_recovered_settle(central(&x), &r, err));
	assert_int_equal(2, r.equal);
	assert_int_equal(0, r.left);
	assert_int_equal(2, number(site(&x, 1), "SELECT count(*) FROM barcode WHERE gtin = 'after'"));
	end(&x);
}

static void the_latest_version_that_a_site_has_is_the_one_to_accept(void **state)
{
	struct ill x;
	size_t old;

	begin(&x, state, SITES);
	old = save_central(&x);
	put_unit(central(&x), "unit2", "first");
	put_unit(central(&x), "unit3", "same");
	assert_int_equal(SYNC_OK, country_round(&x.c, 0));
	put_unit(central(&x), "unit2", "second");
	assert_int_equal(SYNC_OK, country_round(&x.c, 1));
	restore_central(&x, old);
	assert_int_equal(SYNC_OK, country_round(&x.c, 1));
	assert_int_equal(SYNC_OK, country_round(&x.c, 0));
	assert_int_equal(3, open_offers(&x)); /* unit3 is offered twice, and kept once */
	assert_int_equal(2, accept_all(&x).accepted);
	assert_int_equal(0, open_offers(&x));
	assert_healed(&x);
	assert_int_equal(1, number(site(&x, 0), "SELECT count(*) FROM unit WHERE id = 'unit2' AND name = 'second'"));
	end(&x);
}

static void where_the_log_does_not_reach_everything_is_offered(void **state)
{
	struct ill x;
	size_t old;

	begin(&x, state, 1);
	old = save_central(&x);
	put_unit(central(&x), "unit1", "lost");
	put_unit(central(&x), "unit2", "lost too");
	put_location(site(&x, 0), "l2", 1, "after");
	country_settle(&x.c);
	run(site(&x, 0), "DELETE FROM sync_pulled");
	restore_central(&x, old);
	assert_healed(&x);
	assert_recovered(&x, "unit", "unit1", "older");
	assert_recovered(&x, "unit", "unit2", "missing");
	assert_int_equal(2, open_offers(&x));
	assert_int_equal(2, number(central(&x), "SELECT count(*) FROM location"));
	assert_int_equal(2, accept_all(&x).accepted);
	assert_healed(&x);
	restore_central(&x, old); /* once more, with a log that begins at the beginning */
	assert_healed(&x);
	assert_int_equal(2, open_offers(&x));
	end(&x);
}

static void a_first_load_from_a_central_that_was_restored_begins_anew(void **state)
{
	struct ill x = { 0 };
	size_t old;

	country_open(&x.c, testdb_of(state), 1);
	x.c.o.message_max = x.c.o.message_min = 1;
	old = save_central(&x);
	for (int i = 0; i < 3000; i++)
		put_unit(central(&x), (char[]){ 'u', (char)('a' + i / 100), (char)('a' + i / 10 % 10), (char)('a' + i % 10), 0 }, "lost");
	loopback_work(&x.c.site[0].line);
	loopback_arm(&x.c.site[0].line, LOOPBACK_LOSE_ANSWER, 2, 0);
	assert_int_equal(SYNC_ENET, sync_load_run(site(&x, 0), &x.c.site[0].line.transport, &x.c.o, &x.c.site[0].report, NULL));
	assert_true(number(site(&x, 0), "SELECT count(*) FROM unit") > 100);
	restore_central(&x, old);
	country_load(&x.c, 0);
	assert_healed(&x);
	assert_true(open_offers(&x) > 100);
	end(&x);
}

/* The edit made again has the number that the lost one had. */
static void an_edit_on_top_of_a_lost_one_is_in_conflict_with_what_is_in_its_place(void **state)
{
	struct ill x;
	size_t old;

	begin(&x, state, 1);
	old = save_central(&x);
	put_barcode(central(&x), "b1", "lost");
	country_settle(&x.c);
	put_barcode(site(&x, 0), "b1", "on top");
	restore_central(&x, old);
	put_barcode(central(&x), "b1", "made again");
	loopback_work(&x.c.site[0].line);
	assert_healed(&x);
	assert_int_equal(1, number(central(&x), "SELECT count(*) FROM sync_waiting WHERE kind = 'conflict'"));
	end(&x);
}

/* That a push was refused tells nothing of when its edits were made. */
static void an_edit_that_is_pushed_again_is_as_old_as_it_is(void **state)
{
	struct ill x;
	size_t old;

	begin(&x, state, SITES);
	old = save_central(&x);
	x.c.o.chunk_max = 1;
	put_barcode(site(&x, 0), "b1", "early");
	put_location(site(&x, 0), "l2", 1, "new");
	put_location(site(&x, 0), "l3", 1, "new");
	loopback_arm(&x.c.site[0].line, LOOPBACK_LOSE_REQUEST, 3, 0);
	assert_int_equal(SYNC_ENET, country_round(&x.c, 0));
	restore_central(&x, old);
	put_barcode(site(&x, 1), "b1", "late");
	assert_int_equal(SYNC_OK, country_round(&x.c, 1));
	assert_healed(&x);
	assert_int_equal(1, number(central(&x), "SELECT count(*) FROM barcode WHERE gtin = 'late'"));
	assert_int_equal(1, number(central(&x), "SELECT count(*) FROM sync_waiting WHERE kind = 'conflict' AND frame LIKE '%%early%%'"));
	end(&x);
}

/* What was decided about one loss says nothing of the next one. */
static void what_a_person_accepted_once_and_central_lost_again_is_offered_again(void **state)
{
	struct ill x;
	size_t old;

	begin(&x, state, 1);
	put_unit(central(&x), "unit2", "to be deleted");
	country_settle(&x.c);
	old = save_central(&x);
	run(central(&x), "DELETE FROM unit WHERE id = 'unit2'");
	country_settle(&x.c);
	restore_central(&x, old);
	assert_healed(&x);
	assert_int_equal(1, accept_all(&x).accepted);
	put_unit(central(&x), "unit2", "there again");
	assert_healed(&x);
	old = save_central(&x);
	run(central(&x), "DELETE FROM unit WHERE id = 'unit2'");
	country_settle(&x.c);
	restore_central(&x, old);
	assert_healed(&x);
	assert_recovered(&x, "unit", "unit2", "deleted");
	end(&x);
}

/* What a process remembers of its sites goes beyond what its database has by then, as after a failover to a standby that lags. */
static void a_restore_under_a_process_that_goes_on_is_noticed(void **state)
{
	struct sync_seen *remembered;
	struct ill x;
	size_t old;

	begin(&x, state, 1);
	remembered = sync_seen_open(sync_db_url(central(&x)));
	old = save_central(&x);
	put_unit(central(&x), "unit2", "lost");
	country_settle(&x.c);
	restore_central(&x, old);
	assert_healed(&x);
	assert_recovered(&x, "unit", "unit2", "missing");
	sync_seen_release(remembered);
	end(&x);
}

/* A join of a patient that this site may not make visible by itself. */
static void what_waits_for_a_grant_is_not_taken_from_a_site_that_lapsed(void **state)
{
	struct ill x;

	begin(&x, state, SITES);
	run(site(&x, 0), "INSERT INTO name(id, name, code, type, is_customer, is_supplier, is_manufacturer, is_donor, on_hold, is_deceased)"
			 " VALUES ('p1', 'Patient', 'p1', 'PATIENT', 0, 0, 0, 0, 0, 0)");
	country_settle(&x.c);
	assert_int_equal(1, number(central(&x), "SELECT count(*) FROM name WHERE id = 'p1'"));
	run(site(&x, 1), "INSERT INTO name_store_join(id, store_id, name_id, name_is_customer, name_is_supplier)"
			 " VALUES ('j1', 'store2', 'p1', 0, 0)");
	country_settle(&x.c);
	assert_int_equal(1, number(central(&x), "SELECT count(*) FROM sync_waiting WHERE kind = 'grant' AND done_us IS NULL"));
	run(central(&x), "UPDATE sync_site SET lapsed_us = 1 WHERE site_id = 2");
	country_settle(&x.c);
	assert_int_equal(0, number(central(&x), "SELECT count(*) FROM sync_site WHERE lapsed_us IS NOT NULL"));
	assert_int_equal(1, number(site(&x, 1), "SELECT count(*) FROM name_store_join WHERE id = 'j1'"));
	assert_ok(sync_waiting_accept(central(&x), number(central(&x), "SELECT id FROM sync_waiting WHERE kind = 'grant'"), err));
	loopback_work(&x.c.site[0].line);
	country_settle(&x.c);
	assert_int_equal(1, number(site(&x, 1), "SELECT count(*) FROM name_store_join WHERE id = 'j1'"));
	assert_int_equal(1, number(site(&x, 1), "SELECT count(*) FROM name WHERE id = 'p1'"));
	end(&x);
}

/* A later build may know the field. */
static void a_lost_change_of_a_field_that_nobody_knows_is_offered(void **state)
{
	struct ill x;
	size_t old;

	begin(&x, state, 1);
	old = save_central(&x);
	run(central(&x), "INSERT INTO sync_extra(entity, record_id, data) VALUES ('unit', 'unit1', '{\"colour\": \"red\"}')");
	run(central(&x), "UPDATE unit SET name = name");
	country_settle(&x.c);
	assert_int_equal(1, number(site(&x, 0), "SELECT count(*) FROM sync_extra WHERE record_id = 'unit1'"));
	restore_central(&x, old);
	assert_healed(&x);
	assert_recovered(&x, "unit", "unit1", "older");
	assert_int_equal(1, accept_all(&x).accepted);
	assert_int_equal(1, number(central(&x), "SELECT count(*) FROM sync_extra WHERE record_id = 'unit1' AND data LIKE '%%red%%'"));
	end(&x);
}

/* The same numbers were given twice: nobody can say which of the two is the latest. */
static void versions_of_two_lost_histories_are_left_to_a_person(void **state)
{
	struct sync_recovered r;
	struct ill x;
	size_t old;

	begin(&x, state, SITES);
	old = save_central(&x);
	for (int i = 0; i < 9; i++)
		put_unit(central(&x), "unit2", i % 2 ? "x" : "of the first");
	country_settle(&x.c);
	restore_central(&x, old);
	assert_int_equal(SYNC_OK, country_round(&x.c, 1));
	put_unit(central(&x), "unit2", "of the second");
	assert_int_equal(SYNC_OK, country_round(&x.c, 1));
	restore_central(&x, old);
	assert_healed(&x);
	assert_int_equal(2, open_offers(&x));
	r = accept_all(&x);
	assert_int_equal(0, r.accepted);
	assert_int_equal(2, r.left);
	assert_ok(sync_recovered_discard(central(&x), number(central(&x), "SELECT id FROM sync_waiting WHERE frame LIKE '%%first%%'"), err));
	assert_int_equal(1, accept_all(&x).accepted);
	end(&x);
}

static void versions_of_which_no_site_knows_the_time_are_left_to_a_person(void **state)
{
	struct sync_recovered r;
	struct ill x;
	size_t old;

	begin(&x, state, SITES);
	old = save_central(&x);
	put_unit(central(&x), "unit2", "first");
	assert_int_equal(SYNC_OK, country_round(&x.c, 0));
	put_unit(central(&x), "unit2", "second");
	assert_int_equal(SYNC_OK, country_round(&x.c, 1));
	run(site(&x, 0), "DELETE FROM sync_pulled");
	run(site(&x, 1), "DELETE FROM sync_pulled");
	restore_central(&x, old);
	assert_healed(&x);
	r = accept_all(&x);
	assert_int_equal(0, r.accepted);
	assert_int_equal(2, r.left);
	end(&x);
}

/* Which one site has of before, and another of after it was something else. */
static void content_that_came_back_counts_as_late_as_it_was_last(void **state)
{
	struct ill x;
	size_t old;

	begin(&x, state, SITES + 1);
	old = save_central(&x);
	for (size_t i = 0; i < SITES + 1; i++) {
		put_unit(central(&x), "unit2", i % 2 ? "b" : "a");
		assert_int_equal(SYNC_OK, country_round(&x.c, i));
	}
	restore_central(&x, old);
	assert_healed(&x);
	assert_int_equal(2, open_offers(&x));
	assert_int_equal(1, accept_all(&x).accepted);
	assert_int_equal(0, open_offers(&x));
	assert_int_equal(1, number(central(&x), "SELECT count(*) FROM unit WHERE id = 'unit2' AND name = 'a'"));
	end(&x);
}

static void put_other_item(struct sync_db *db)
{
	run(db, "INSERT INTO item(id, name, code, unit_id, ven_category, default_pack_size, type, legacy_record, is_active, is_vaccine,"
		"    vaccine_doses, volume_per_pack) SELECT 'item2', name, 'two', unit_id, ven_category, default_pack_size, type,"
		"    legacy_record, is_active, is_vaccine, vaccine_doses, volume_per_pack FROM item WHERE id = 'item1'");
}

static void a_group_is_accepted_whole_or_not_at_all(void **state)
{
	struct sync_recovered r;
	struct ill x;
	size_t old;

	begin(&x, state, 1);
	old = save_central(&x);
	put_other_item(central(&x));
	put_stocktake(central(&x), "t8", 1, 2);
	put_stocktake(central(&x), "t9", 1, 3);
	run(central(&x), "UPDATE stocktake_line SET item_id = 'item2' WHERE id = 't9-2'");
	country_settle(&x.c);
	restore_central(&x, old);
	assert_healed(&x);
	assert_int_equal(8, open_offers(&x));
	assert_ok(sync_recovered_discard(central(&x), number(central(&x), "SELECT id FROM sync_waiting WHERE record_id = 'item2'"), err));
	r = accept_all(&x);
	assert_int_equal(3, r.accepted);
	assert_int_equal(4, r.left);
	assert_int_equal(1, number(central(&x), "SELECT count(*) FROM stocktake"));
	assert_int_equal(2, number(central(&x), "SELECT count(*) FROM stocktake_line"));
	put_other_item(central(&x));
	assert_int_equal(4, accept_all(&x).accepted);
	assert_healed(&x);
	assert_int_equal(5, number(site(&x, 0), "SELECT count(*) FROM stocktake_line"));
	end(&x);
}

/* The site has changed one record of it and offers the others. */
static void a_group_of_which_the_rest_is_offered_waits_as_a_whole(void **state)
{
	static const char refused[] = "SELECT id FROM sync_waiting WHERE kind = 'quarantine' AND code = 'incomplete' AND done_us IS NULL";
	struct ill x;
	size_t old;

	begin(&x, state, 1);
	put_stocktake(central(&x), "t1", 1, 1);
	country_settle(&x.c);
	old = save_central(&x);
	put_stocktake(central(&x), "t1", 1, 3);
	country_settle(&x.c);
	put_stocktake(site(&x, 0), "t1", 1, 0);
	restore_central(&x, old);
	assert_healed(&x);
	assert_int_equal(1, number(central(&x), "SELECT stocktake_number FROM stocktake"));
	assert_int_equal(1, number(central(&x), "SELECT count(*) FROM stocktake_line"));
	assert_int_equal(0, accept_all(&x).accepted);
	assert_int_equal(3, open_offers(&x));
	assert_ok(sync_waiting_accept(central(&x), number(central(&x), refused), err));
	assert_int_equal(3, accept_all(&x).accepted);
	assert_healed(&x);
	assert_int_equal(3, number(site(&x, 0), "SELECT stocktake_number FROM stocktake"));
	assert_int_equal(3, number(site(&x, 0), "SELECT count(*) FROM stocktake_line"));
	end(&x);
}

/* It was registered in what central lost, or held nothing before. */
static void what_a_site_without_any_common_place_offers_is_not_taken_for_changed(void **state)
{
	struct ill x;
	size_t old;

	begin(&x, state, 1);
	put_unit(central(&x), "unit1", "before");
	country_settle(&x.c);
	old = save_central(&x);
	put_unit(central(&x), "unit1", "lost");
	country_settle(&x.c);
	run(site(&x, 0), "DELETE FROM sync_pulled");
	restore_central(&x, old);
	run(central(&x), "UPDATE sync_site SET all_seq = 0, all_id = '', own_seq = 0, own_id = '',"
			 "    created_us = (SELECT max(at_us) + 1 FROM sync_routing)");
	assert_healed(&x);
	assert_recovered(&x, "unit", "unit1", "older");
	assert_int_equal(1, accept_all(&x).accepted);
	end(&x);
}

static void what_a_site_says_that_central_lost_is_kept_only_if_it_did(void **state)
{
	struct sync_recovery seen;
	struct ill x;

	begin(&x, state, 1);
	put_unit(central(&x), "unit1", "newer");
	run(site(&x, 0), "INSERT INTO sync_offer(entity, record_id, action, seq) VALUES ('unit', 'unit1', 'P', 2)");
	run(site(&x, 0), "UPDATE sync_link SET offer = 1, offered_id = '0123456789abcdef', offer_lost_seq = all_seq, offer_lost_id = all_id");
	assert_healed(&x);
	assert_int_equal(0, open_offers(&x));
	assert_ok(sync_recovered_count(central(&x), &seen, err));
	assert_int_equal(0, seen.seen_us);
	end(&x);
}

static void a_loss_is_over_when_all_sites_were_there_and_nothing_is_open(void **state)
{
	struct sync_recovery seen;
	struct ill x;
	size_t old;

	begin(&x, state, SITES);
	old = save_central(&x);
	put_unit(central(&x), "unit2", "lost");
	country_settle(&x.c);
	restore_central(&x, old);
	assert_int_equal(SYNC_OK, country_round(&x.c, 0));
	assert_ok(sync_server_flush(central(&x), err));
	assert_ok(sync_recovered_count(central(&x), &seen, err));
	assert_true(seen.seen_us > 0);
	assert_int_equal(1, seen.sites);
	assert_int_equal(1, seen.missing);
	assert_int_equal(1, seen.open);
	assert_healed(&x);
	assert_int_equal(1, accept_all(&x).accepted);
	assert_ok(sync_server_flush(central(&x), err));
	assert_ok(sync_recovered_count(central(&x), &seen, err));
	assert_int_equal(0, seen.seen_us);
	end(&x);
}

static enum sync_status count_row(void *ctx, const struct sync_waiting *w, struct sync_error *error)
{
	int64_t *last = ctx;

	(void)error;
	assert_true(w->id > *last);
	*last = w->id;
	return SYNC_OK;
}

static void offers_are_listed_page_by_page_and_discarded_by_their_own_numbers(void **state)
{
	struct sync_error seen = { 0 };
	int64_t first = 0, second, n;
	struct ill x;
	size_t old;

	begin(&x, state, 1);
	old = save_central(&x);
	put_unit(central(&x), "unit2", "lost");
	put_unit(central(&x), "unit3", "lost");
	put_unit(central(&x), "unit4", "lost");
	country_settle(&x.c);
	restore_central(&x, old);
	assert_healed(&x);
	assert_ok(sync_recovered_each(central(&x), 0, 1, count_row, &first, err));
	second = first;
	assert_ok(sync_recovered_each(central(&x), first, 1, count_row, &second, err));
	assert_true(second > first);
	assert_int_equal(SYNC_ENOTFOUND, sync_waiting_discard(central(&x), first, &seen));
	assert_non_null(strstr(seen.text, "central waiting list"));
	assert_ok(sync_recovered_discard(central(&x), first, err));
	assert_int_equal(SYNC_ENOTFOUND, sync_recovered_discard(central(&x), second + 100, &seen));
	assert_non_null(strstr(seen.text, "central recovered list"));
	assert_ok(sync_recovered_discard_all(central(&x), &n, err));
	assert_int_equal(2, n);
	assert_int_equal(0, open_offers(&x));
	end(&x);
}

static void what_a_site_may_offer_is_bounded(void **state)
{
	struct ill x;
	size_t old;

	begin(&x, state, 1);
	old = save_central(&x);
	for (int i = 0; i < 120; i++)
		put_unit(central(&x), (char[]){ 'u', (char)('a' + i / 10), (char)('a' + i % 10), 0 }, "lost");
	country_settle(&x.c);
	restore_central(&x, old);
	assert_healed(&x);
	put_unit(central(&x), "unit2", "to be deleted");
	country_settle(&x.c);
	old = save_central(&x);
	run(central(&x), "DELETE FROM unit WHERE id = 'unit2'");
	country_settle(&x.c);
	restore_central(&x, old);
	sync_server_bound(x.c.site[0].line.server, 1);
	assert_int_equal(SYNC_EFULL, country_round(&x.c, 0));
	assert_ok(sync_recovered_discard_all(central(&x), &(int64_t){ 0 }, err));
	assert_healed(&x);
	assert_recovered(&x, "unit", "unit2", "deleted");
	end(&x);
}

/* a site is restored */

static void what_a_restored_site_lost_comes_back(void **state)
{
	struct ill x;
	size_t old;

	begin(&x, state, SITES);
	put_location(site(&x, 0), "gone", 1, "before");
	country_settle(&x.c);
	old = save_site(&x, 0);
	put_location(site(&x, 0), "l1", 1, "after");
	put_location(site(&x, 0), "l2", 1, "after");
	put_stocktake(site(&x, 0), "t1", 1, 3);
	run(site(&x, 0), "DELETE FROM location WHERE id = 'gone'");
	put_unit(central(&x), "unit1", "after");
	country_settle(&x.c);
	restore_site(&x, 0, old);
	assert_healed(&x);
	assert_int_equal(2, number(site(&x, 0), "SELECT count(*) FROM location WHERE name = 'after'"));
	assert_int_equal(0, number(site(&x, 0), "SELECT count(*) FROM location WHERE id = 'gone'"));
	assert_int_equal(3, number(site(&x, 0), "SELECT count(*) FROM stocktake_line"));
	assert_int_equal(0, number(central(&x), "SELECT count(*) FROM sync_waiting"));
	put_location(site(&x, 0), "l3", 1, "later");
	assert_healed(&x);
	end(&x);
}

/* The third message is the first that asks for what was lost; what central said before is not all that it has to give. */
static void an_old_answer_does_not_end_the_catching_up(void **state)
{
	struct ill x;
	size_t old;

	begin(&x, state, 1);
	old = save_site(&x, 0);
	put_location(site(&x, 0), "l2", 1, "after");
	country_settle(&x.c);
	restore_site(&x, 0, old);
	loopback_arm(&x.c.site[0].line, LOOPBACK_OLD_ANSWER, 3, 0);
	(void)country_round(&x.c, 0);
	assert_healed(&x);
	assert_int_equal(1, number(site(&x, 0), "SELECT count(*) FROM location WHERE name = 'after'"));
	end(&x);
}

static void a_site_that_lost_all_that_it_ever_pushed_goes_on(void **state)
{
	struct ill x = { 0 };
	size_t old;

	country_open(&x.c, testdb_of(state), 1);
	country_load(&x.c, 0);
	old = save_site(&x, 0);
	put_location(site(&x, 0), "l1", 1, "lost");
	put_stocktake(site(&x, 0), "t1", 1, 3);
	country_settle(&x.c);
	restore_site(&x, 0, old);
	assert_healed(&x);
	put_location(site(&x, 0), "l2", 1, "later");
	assert_healed(&x);
	assert_int_equal(2, number(central(&x), "SELECT count(*) FROM location"));
	end(&x);
}

static void an_edit_made_before_the_site_caught_up_wins_and_what_it_replaces_is_kept(void **state)
{
	struct ill x;
	size_t old;

	begin(&x, state, SITES);
	old = save_site(&x, 0);
	put_location(site(&x, 0), "l1", 1, "lost");
	put_location(site(&x, 0), "l2", 1, "lost");
	put_barcode(site(&x, 0), "b1", "lost");
	country_settle(&x.c);
	restore_site(&x, 0, old);
	put_location(site(&x, 0), "l1", 1, "edited");
	put_location(site(&x, 0), "l2", 1, "lost"); /* the same again */
	put_location(site(&x, 0), "l3", 1, "new");
	put_barcode(site(&x, 0), "b1", "edited");
	assert_healed(&x);
	assert_int_equal(1, number(central(&x), "SELECT count(*) FROM location WHERE name = 'edited'"));
	assert_int_equal(1, number(central(&x), "SELECT count(*) FROM barcode WHERE gtin = 'edited'"));
	assert_int_equal(2, number(central(&x), "SELECT count(*) FROM sync_waiting WHERE kind = 'conflict' AND code = 'restored'"));
	assert_int_equal(2, number(central(&x), "SELECT count(*) FROM sync_waiting WHERE frame LIKE '%%lost%%'"));
	end(&x);
}

static int64_t kept(struct ill *x, const char *kind)
{
	return number(central(x), "SELECT count(*) FROM sync_waiting WHERE kind = '%s' AND code = 'restored' AND done_us IS NULL", kind);
}

/* A round in which the site begins a branch, but whose first push, or its answer, is lost. */
static void begin_branch(struct ill *x, enum loopback_fault fault)
{
	put_location(site(x, 0), "l8", 1, "new");
	loopback_arm(&x->c.site[0].line, fault, 3, 0);
	assert_int_equal(SYNC_ENET, country_round(&x->c, 0));
	assert_int_equal(1, number(site(x, 0), "SELECT echo FROM sync_link"));
}

static void what_is_edited_until_the_site_has_caught_up_replaces_nothing_silently(void **state)
{
	struct ill x;
	size_t old;

	begin(&x, state, 1);
	old = save_site(&x, 0);
	put_location(site(&x, 0), "l1", 1, "lost");
	put_barcode(site(&x, 0), "b1", "lost");
	country_settle(&x.c);
	restore_site(&x, 0, old);
	begin_branch(&x, LOOPBACK_LOSE_REQUEST);
	put_location(site(&x, 0), "l1", 1, "edited");
	put_barcode(site(&x, 0), "b1", "edited");
	assert_healed(&x);
	assert_int_equal(1, number(central(&x), "SELECT count(*) FROM location WHERE id = 'l1' AND name = 'edited'"));
	assert_int_equal(1, number(central(&x), "SELECT count(*) FROM barcode WHERE gtin = 'edited'"));
	assert_int_equal(2, kept(&x, "conflict"));
	put_location(site(&x, 0), "l1", 1, "later");
	put_barcode(site(&x, 0), "b1", "later");
	assert_healed(&x);
	assert_int_equal(2, kept(&x, "conflict"));
	end(&x);
}

/* An application that edits while an answer is on its way. */
static struct ill *busy;
static enum sync_status (*finish_line)(void *ctx, struct sync_buf *ret, struct sync_error *err);

static enum sync_status edit_and_finish(void *ctx, struct sync_buf *ret, struct sync_error *err)
{
	if (number(site(busy, 0), "SELECT echo FROM sync_link") == 1) {
		put_location(site(busy, 0), "l1", 1, "meanwhile");
		put_barcode(site(busy, 0), "b1", "meanwhile");
	}
	return finish_line(ctx, ret, err);
}

/* It is edited again before it goes, and then has a number above all that there was when the site had caught up. */
static void what_is_edited_while_the_site_catches_up_replaces_nothing_silently(void **state)
{
	struct sync_transport *t;
	struct ill x;
	size_t old;

	begin(&x, state, 1);
	old = save_site(&x, 0);
	put_location(site(&x, 0), "l1", 1, "lost");
	put_barcode(site(&x, 0), "b1", "lost");
	country_settle(&x.c);
	restore_site(&x, 0, old);
	t = &x.c.site[0].line.transport;
	busy = &x;
	finish_line = t->finish;
	t->finish = edit_and_finish;
	assert_int_equal(SYNC_OK, country_round(&x.c, 0));
	t->finish = finish_line;
	assert_int_equal(0, number(site(&x, 0), "SELECT echo FROM sync_link"));
	assert_int_equal(2, number(site(&x, 0), "SELECT count(*) FROM sync_changelog, sync_link WHERE seq > out_upto"));
	put_location(site(&x, 0), "l1", 1, "again");
	put_barcode(site(&x, 0), "b1", "again");
	assert_healed(&x);
	assert_int_equal(1, number(central(&x), "SELECT count(*) FROM location WHERE name = 'again'"));
	assert_int_equal(1, number(central(&x), "SELECT count(*) FROM barcode WHERE gtin = 'again'"));
	assert_int_equal(2, kept(&x, "conflict"));
	put_barcode(site(&x, 0), "b1", "later");
	assert_healed(&x);
	assert_int_equal(2, kept(&x, "conflict"));
	end(&x);
}

/* The place that it comes to by its first load says nothing of what it knew before. */
static void what_was_edited_before_the_first_load_replaces_nothing_silently(void **state)
{
	struct ill x = { 0 };
	size_t old;

	country_open(&x.c, testdb_of(state), 1);
	put_barcode(site(&x, 0), "b1", "early");
	old = save_site(&x, 0);
	put_barcode(site(&x, 0), "b1", "lost");
	country_load(&x.c, 0);
	country_settle(&x.c);
	restore_site(&x, 0, old);
	country_load(&x.c, 0);
	assert_healed(&x);
	assert_int_equal(1, number(central(&x), "SELECT count(*) FROM barcode WHERE gtin = 'early'"));
	assert_int_equal(1, kept(&x, "conflict"));
	end(&x);
}

static void what_a_site_edits_again_before_it_has_caught_up_is_no_conflict(void **state)
{
	struct ill x;
	size_t old;

	begin(&x, state, 1);
	old = save_site(&x, 0);
	put_location(site(&x, 0), "l2", 1, "lost");
	country_settle(&x.c);
	restore_site(&x, 0, old);
	put_stocktake(site(&x, 0), "t1", 1, 3);
	put_location(site(&x, 0), "l1", 1, "edited");
	begin_branch(&x, LOOPBACK_LOSE_ANSWER);
	put_location(site(&x, 0), "l1", 1, "again");
	put_stocktake(site(&x, 0), "t1", 1, 3);
	assert_healed(&x);
	assert_int_equal(1, number(central(&x), "SELECT count(*) FROM location WHERE id = 'l1' AND name = 'again'"));
	assert_int_equal(1, number(central(&x), "SELECT count(*) FROM stocktake WHERE stocktake_number = 2"));
	assert_int_equal(0, number(central(&x), "SELECT count(*) FROM sync_waiting"));
	end(&x);
}

/* Made and deleted between two pushes: central never had the record. */
static void a_lost_delete_of_what_central_never_had_is_kept(void **state)
{
	struct ill x;
	size_t old;

	begin(&x, state, 1);
	put_location(site(&x, 0), "l2", 1, "unpushed");
	put_stocktake(site(&x, 0), "t1", 1, 2);
	old = save_site(&x, 0);
	run(site(&x, 0), "DELETE FROM location WHERE id = 'l2'");
	run(site(&x, 0), "DELETE FROM stocktake_line");
	run(site(&x, 0), "DELETE FROM stocktake");
	country_settle(&x.c);
	restore_site(&x, 0, old);
	assert_healed(&x);
	assert_int_equal(1, number(central(&x), "SELECT count(*) FROM location WHERE id = 'l2'"));
	assert_int_equal(1, number(central(&x), "SELECT count(*) FROM sync_waiting WHERE kind = 'conflict' AND code = 'restored'"
					       " AND record_id = 'l2' AND frame LIKE '%%\"a\":\"D\"%%'"));
	assert_int_equal(0, number(central(&x), "SELECT count(*) FROM stocktake"));
	assert_int_equal(3, number(central(&x), "SELECT count(*) FROM sync_waiting WHERE kind = 'quarantine'"));
	end(&x);
}

static void put_contact(struct sync_db *db, const char *id, const char *body)
{
	run(db,
	    "INSERT INTO contact_form(id, reply_email, body, created_datetime, user_id, username, store_id, contact_type)"
	    "    VALUES ('%s', 'a@b', '%s', '2026-11-24T10:00:00', 'somebody', 'somebody', 'store1', 'SUPPORT')"
	    " ON CONFLICT (id) DO UPDATE SET body = excluded.body",
	    id, body);
}

/* Nothing of it is in the outbox. */
static void what_goes_to_nobody_is_not_replaced_silently(void **state)
{
	struct ill x;
	size_t old;

	begin(&x, state, 1);
	put_contact(site(&x, 0), "c1", "before");
	country_settle(&x.c);
	put_contact(site(&x, 0), "c2", "the same");
	put_contact(site(&x, 0), "c3", "unpushed");
	old = save_site(&x, 0);
	put_contact(site(&x, 0), "c1", "lost");
	country_settle(&x.c);
	run(site(&x, 0), "DELETE FROM contact_form WHERE id = 'c3'");
	country_settle(&x.c);
	restore_site(&x, 0, old);
	put_contact(site(&x, 0), "c1", "edited");
	put_contact(site(&x, 0), "c4", "new");
	assert_healed(&x);
	assert_int_equal(1, number(central(&x), "SELECT count(*) FROM contact_form WHERE id = 'c1' AND body = 'edited'"));
	assert_int_equal(1, number(central(&x), "SELECT count(*) FROM sync_waiting WHERE record_id = 'c1' AND frame LIKE '%%lost%%'"));
	assert_int_equal(1, number(central(&x), "SELECT count(*) FROM sync_waiting WHERE record_id = 'c3'"));
	assert_int_equal(2, kept(&x, "conflict"));
	end(&x);
}

/* Central knew the edit when it deleted the record; the site has lost that it ever pushed it. */
static void what_others_did_meanwhile_is_not_replaced_silently(void **state)
{
	struct ill x;
	size_t old;

	begin(&x, state, 1);
	put_location(site(&x, 0), "l2", 1, "unpushed");
	put_location(site(&x, 0), "l3", 1, "unpushed");
	old = save_site(&x, 0);
	country_settle(&x.c);
	run(central(&x), "DELETE FROM location WHERE id = 'l2'");
	put_location(central(&x), "l3", 1, "by central");
	country_settle(&x.c);
	restore_site(&x, 0, old);
	assert_healed(&x);
	assert_int_equal(2, number(central(&x), "SELECT count(*) FROM location WHERE name = 'unpushed'"));
	assert_int_equal(2, kept(&x, "conflict"));
	assert_int_equal(2, number(central(&x), "SELECT count(*) FROM sync_waiting WHERE site_id = 0"));
	end(&x);
}

/* Of the group that was edited the site pushes one line; another one is of the lost history. */
static void a_group_that_has_two_histories_is_not_mixed(void **state)
{
	struct ill x;
	size_t old;

	begin(&x, state, 1);
	put_stocktake(site(&x, 0), "t1", 1, 3);
	put_stocktake(site(&x, 0), "t2", 1, 3);
	country_settle(&x.c);
	put_stocktake(site(&x, 0), "t3", 1, 3);
	old = save_site(&x, 0);
	run(site(&x, 0), "UPDATE stocktake_line SET item_name = 'lost' WHERE id = 't1-1'");
	run(site(&x, 0), "DELETE FROM stocktake_line WHERE id = 't1-2'");
	country_settle(&x.c);
	restore_site(&x, 0, old);
	run(site(&x, 0), "UPDATE stocktake_line SET item_name = 'edited' WHERE id IN ('t1-3', 't2-3')");
	assert_healed(&x);
	assert_int_equal(1, kept(&x, "quarantine"));
	assert_int_equal(1, number(central(&x), "SELECT count(*) FROM sync_waiting"));
	assert_int_equal(1, number(site(&x, 0), "SELECT count(*) FROM stocktake_line WHERE item_name = 'edited'"));
	assert_int_equal(2, number(site(&x, 0), "SELECT count(*) FROM stocktake_line WHERE stocktake_id = 't1'"));
	run(site(&x, 0), "UPDATE stocktake_line SET item_name = 'edited' WHERE id = 't1-3'");
	assert_healed(&x);
	assert_int_equal(2, number(central(&x), "SELECT count(*) FROM stocktake_line WHERE item_name = 'edited'"));
	end(&x);
}

/* The image knows checkpoints that central has forgotten, by the rule: it pushes again what had been confirmed. */
static void what_was_confirmed_before_does_not_come_back_over_what_was_lost(void **state)
{
	struct ill x;
	size_t old;

	begin(&x, state, 1);
	put_location(site(&x, 0), "l1", 1, "confirmed");
	country_settle(&x.c);
	old = save_site(&x, 0);
	for (int i = 0; i < 200; i++) {
		put_location(site(&x, 0), "l1", 1, i % 2 ? "lost" : "x");
		assert_int_equal(SYNC_OK, country_round(&x.c, 0));
	}
	restore_site(&x, 0, old);
	put_location(site(&x, 0), "l2", 1, "new");
	assert_healed(&x);
	assert_int_equal(1, number(site(&x, 0), "SELECT count(*) FROM location WHERE id = 'l1' AND name = 'lost'"));
	assert_int_equal(1, number(central(&x), "SELECT count(*) FROM location WHERE id = 'l2'"));
	assert_int_equal(0, number(central(&x), "SELECT count(*) FROM sync_waiting"));
	end(&x);
}

/* More than were lost: numbers go beyond those that central has seen. */
static void edits_made_before_the_first_contact_may_be_many(void **state)
{
	struct ill x;
	size_t old;

	begin(&x, state, 1);
	old = save_site(&x, 0);
	put_location(site(&x, 0), "lost", 1, "lost");
	country_settle(&x.c);
	restore_site(&x, 0, old);
	x.c.o.chunk_max = 7;
	for (int i = 0; i < 40; i++)
		put_location(site(&x, 0), (char[]){ 'n', (char)('a' + i / 10), (char)('a' + i % 10), 0 }, 1, "new");
	assert_healed(&x);
	assert_int_equal(42, number(central(&x), "SELECT count(*) FROM location"));
	assert_int_equal(42, number(site(&x, 0), "SELECT count(*) FROM location"));
	end(&x);
}

/* It was acknowledged before the branch began, and nothing that the site lost is later. */
static void what_waits_since_before_the_restore_is_taken_when_it_is_possible(void **state)
{
	struct ill x;
	size_t old = 0;

	begin(&x, state, 1);
	run(site(&x, 0), "UPDATE location SET location_type_id = 'lt1' WHERE id = 'l1'");
	country_settle(&x.c);
	assert_int_equal(1, number(central(&x), "SELECT count(*) FROM sync_inbox WHERE record_id = 'l1'"));
	for (int i = 0; i < 270; i++) {
		if (i == 71)
			old = save_site(&x, 0);
		put_location(site(&x, 0), "l2", 1, i % 2 ? "x" : "y");
		assert_int_equal(SYNC_OK, country_round(&x.c, 0));
	}
	restore_site(&x, 0, old);
	put_location(site(&x, 0), "l3", 1, "new");
	country_settle(&x.c);
	assert_true(number(central(&x), "SELECT fork_sure FROM sync_site") > 0);
	run(central(&x), "UPDATE location SET name = 'by central' WHERE id = 'l1'");
	country_settle(&x.c);
	run(central(&x), "INSERT INTO location_type(id, name, min_temperature, max_temperature) VALUES ('lt1', 'cold', 2, 8)");
	country_settle(&x.c);
	country_settle(&x.c);
	assert_int_equal(1, number(central(&x), "SELECT count(*) FROM location WHERE id = 'l1' AND location_type_id = 'lt1'"));
	end(&x);
}

/* In the inbox an edit takes the place of the one before. */
static void what_waits_is_not_replaced_silently_by_what_is_older(void **state)
{
	struct ill x;
	size_t old;

	begin(&x, state, 1);
	put_location(site(&x, 0), "l2", 1, "unpushed");
	put_location(site(&x, 0), "l3", 1, "unpushed");
	put_stocktake(site(&x, 0), "t1", 1, 2);
	old = save_site(&x, 0);
	run(site(&x, 0), "UPDATE location SET name = 'lost', location_type_id = 'lt1' WHERE id = 'l2'");
	run(site(&x, 0), "UPDATE location SET location_type_id = 'lt1' WHERE id = 'l3'");
	run(site(&x, 0), "DELETE FROM stocktake_line WHERE id = 't1-2'");
	run(site(&x, 0), "UPDATE stocktake_line SET location_id = 'l2' WHERE id = 't1-1'");
	country_settle(&x.c);
	assert_int_equal(4, number(central(&x), "SELECT count(*) FROM sync_inbox WHERE record_id <> 't1-2'"));
	restore_site(&x, 0, old);
	assert_healed(&x);
	assert_int_equal(2, number(central(&x), "SELECT count(*) FROM location WHERE name = 'unpushed'"));
	assert_int_equal(1, number(central(&x), "SELECT count(*) FROM sync_waiting WHERE record_id = 'l2' AND frame LIKE '%%lost%%'"));
	assert_int_equal(1, number(central(&x), "SELECT count(*) FROM sync_waiting WHERE record_id = 't1-1' AND kind = 'conflict'"));
	assert_int_equal(0, number(central(&x), "SELECT count(*) FROM sync_inbox"));
	end(&x);
}

/* Not even by what the site edits once it has caught up: what waits at central is not what it gets back. */
static void what_waits_is_not_replaced_silently_by_what_does_not_know_it(void **state)
{
	struct ill x;
	size_t old;

	begin(&x, state, 1);
	old = save_site(&x, 0);
	run(site(&x, 0), "UPDATE location SET name = 'lost', location_type_id = 'lt1' WHERE id = 'l1'");
	country_settle(&x.c);
	restore_site(&x, 0, old);
	assert_healed(&x);
	put_location(site(&x, 0), "l1", 1, "later");
	assert_healed(&x);
	assert_int_equal(1, number(central(&x), "SELECT count(*) FROM location WHERE name = 'later'"));
	assert_int_equal(1, number(central(&x), "SELECT count(*) FROM sync_waiting WHERE record_id = 'l1' AND frame LIKE '%%lost%%'"));
	end(&x);
}

/* It is of a branch that was left since: that the site knows better by then does not make the edit later. */
static void what_waits_since_an_earlier_branch_replaces_nothing_silently(void **state)
{
	struct sync_link link;
	struct ill x;
	size_t early, late;

	begin(&x, state, 1);
	run(site(&x, 0), "UPDATE location SET name = 'early', location_type_id = 'lt1' WHERE id = 'l1'");
	early = save_site(&x, 0);
	run(site(&x, 0), "UPDATE location SET name = 'later', location_type_id = NULL WHERE id = 'l1'");
	country_settle(&x.c);
	late = save_site(&x, 0);
	restore_site(&x, 0, early);
	country_settle(&x.c);
	assert_int_equal(1, number(central(&x), "SELECT count(*) FROM sync_inbox WHERE record_id = 'l1'"));
	restore_site(&x, 0, late);
	put_location(site(&x, 0), "l2", 1, "new");
	assert_int_equal(SYNC_ECOPIED, country_round(&x.c, 0)); /* so it looks, and a person knows better */
	assert_ok(sync_link_get(site(&x, 0), &link, err));
	assert_ok(sync_site_keep(central(&x), "post1", link.branch, err));
	country_settle(&x.c);
	run(central(&x), "INSERT INTO location_type(id, name, min_temperature, max_temperature) VALUES ('lt1', 'cold', 2, 8)");
	country_settle(&x.c);
	country_settle(&x.c);
	assert_int_equal(1, number(central(&x), "SELECT count(*) FROM location WHERE id = 'l1' AND name = 'early'"));
	assert_int_equal(1, number(central(&x), "SELECT count(*) FROM sync_waiting WHERE record_id = 'l1' AND frame LIKE '%%later%%'"));
	end(&x);
}

/* Acknowledged, and nowhere else any more. */
static void parts_of_a_group_that_a_restored_site_has_lost_wait_for_a_person(void **state)
{
	struct ill x;
	size_t old;

	begin(&x, state, 1);
	old = save_site(&x, 0);
	x.c.o.chunk_max = 2;
	put_stocktake(site(&x, 0), "t1", 1, 5);
	loopback_arm(&x.c.site[0].line, LOOPBACK_LOSE_REQUEST, 3, 0);
	assert_int_equal(SYNC_ENET, country_round(&x.c, 0));
	assert_int_equal(2, number(central(&x), "SELECT count(*) FROM sync_spool"));
	restore_site(&x, 0, old);
	assert_healed(&x);
	assert_int_equal(0, number(central(&x), "SELECT count(*) FROM sync_spool"));
	assert_int_equal(4, number(central(&x), "SELECT count(*) FROM sync_waiting WHERE kind = 'quarantine' AND code = 'restored'"));
	assert_ok(sync_waiting_accept(central(&x), number(central(&x), "SELECT id FROM sync_waiting WHERE entity = 'stocktake'"), err));
	assert_healed(&x);
	assert_int_equal(1, number(site(&x, 0), "SELECT count(*) FROM stocktake"));
	end(&x);
}

/* both, and several times */

static void both_may_be_restored_several_times(void **state)
{
	struct ill x;
	size_t old_central, old_site;

	begin(&x, state, SITES);
	old_central = save_central(&x);
	put_location(site(&x, 0), "l2", 1, "between");
	put_unit(central(&x), "unit2", "between");
	country_settle(&x.c);
	old_site = save_site(&x, 0);
	for (int i = 0; i < 4; i++) {
		char name[20];

		(void)snprintf(name, sizeof name, "round %d", i);
		put_location(site(&x, 0), "l3", 1, name);
		put_location(site(&x, 1), "l4", 2, name);
		put_unit(central(&x), "unit1", name);
		country_settle(&x.c);
		if (i != 1)
			restore_central(&x, old_central);
		if (i != 2)
			restore_site(&x, 0, old_site);
		put_location(site(&x, 0), "l5", 1, name);
		assert_healed(&x);
		assert_int_equal(1, number(central(&x), "SELECT count(*) FROM location WHERE id = 'l2'"));
		assert_int_equal(1, number(central(&x), "SELECT count(*) FROM location WHERE id = 'l4' AND name = '%s'", name));
		assert_int_equal(1, number(central(&x), "SELECT count(*) FROM location WHERE id = 'l5' AND name = '%s'", name));
	}
	end(&x);
}

static void a_lost_answer_is_told_from_a_restored_site(void **state)
{
	struct ill x;

	begin(&x, state, 1);
	run(site(&x, 0), "CREATE TABLE was AS SELECT branch FROM sync_link");
	put_location(site(&x, 0), "l1", 1, "after");
	loopback_arm(&x.c.site[0].line, LOOPBACK_LOSE_ANSWER, 1, 0);
	assert_int_equal(SYNC_ENET, country_round(&x.c, 0));
	assert_healed(&x);
	assert_int_equal(1, number(site(&x, 0), "SELECT count(*) FROM was JOIN sync_link l ON l.branch = was.branch"));
	end(&x);
}

/* copies */

static enum sync_status round_of(struct ill *x, const char *text)
{
	enum sync_status status = country_round(&x->c, 0);

	if (status != SYNC_OK && !strstr(x->c.site[0].err.text, text))
		fail_msg("'%s' is not in '%s'", text, x->c.site[0].err.text);
	return status;
}

/* The database of the site is that of one copy, or that of the other. */
static void swap(struct ill *x, size_t other)
{
	struct testdb present = { 0 };

	close_site(x, 0);
	testdb_copy(&present, &x->c.site[0].db);
	testdb_restore(&x->c.site[0].db, &x->backup[other]);
	testdb_restore(&x->backup[other], &present);
	testdb_drop(&present);
	testdb_open(&x->c.site[0].db, SYNC_SITE);
}

static void a_copy_is_found_and_one_of_the_two_is_chosen(void **state)
{
	struct ill x;
	char branch[SYNC_BRANCH + 1];
	struct sync_link link;
	struct sync_site s;
	size_t other;
	struct sync_error seen;

	begin(&x, state, 1);
	other = save_site(&x, 0);
	put_location(site(&x, 0), "a1", 1, "of a");
	country_settle(&x.c);
	swap(&x, other);
	put_location(site(&x, 0), "b1", 1, "of b");
	country_settle(&x.c);
	swap(&x, other);
	put_location(site(&x, 0), "a2", 1, "of a");
	assert_int_equal(SYNC_ECOPIED, round_of(&x, "two copies of this site's database are in use"));
	assert_int_equal(1, number(site(&x, 0), "SELECT count(*) FROM sync_changelog WHERE record_id = 'a2'"));
	assert_ok(sync_link_get(site(&x, 0), &link, err));
	memcpy(branch, link.branch, sizeof branch);
	swap(&x, other);
	put_location(site(&x, 0), "b2", 1, "of b");
	assert_int_equal(SYNC_ECOPIED, round_of(&x, "central site keep NAME BRANCH"));
	assert_ok(sync_site_find(central(&x), "post1", &s, err));
	assert_true(s.copied);
	assert_int_equal(SYNC_EINVALID, sync_site_keep(central(&x), "post1", "ffffffff", &seen));
	assert_ok(sync_site_keep(central(&x), "post1", branch, err));
	assert_ok(sync_site_find(central(&x), "post1", &s, err));
	assert_false(s.copied);
	assert_int_equal(SYNC_ECOPIED, round_of(&x, "was stopped at central"));
	swap(&x, other);
	assert_healed(&x);
	assert_int_equal(1, number(central(&x), "SELECT count(*) FROM location WHERE id = 'a2'"));
	assert_int_equal(1, number(site(&x, 0), "SELECT count(*) FROM location WHERE id = 'b1'"));
	assert_int_equal(SYNC_EINVALID, sync_site_keep(central(&x), "post1", branch, &seen));
	end(&x);
}

/* Which the alarm about the other copy came before. */
static void the_copy_that_lives_on_may_be_restored_like_any_site(void **state)
{
	struct ill x;
	char branch[SYNC_BRANCH + 1];
	struct sync_link link;
	size_t other, old;

	begin(&x, state, 1);
	other = save_site(&x, 0);
	put_location(site(&x, 0), "a1", 1, "of a");
	country_settle(&x.c);
	swap(&x, other);
	put_location(site(&x, 0), "b1", 1, "of b");
	country_settle(&x.c);
	assert_ok(sync_link_get(site(&x, 0), &link, err));
	memcpy(branch, link.branch, sizeof branch);
	old = save_site(&x, 0);
	put_location(site(&x, 0), "b2", 1, "of b");
	country_settle(&x.c);
	swap(&x, other);
	put_location(site(&x, 0), "a2", 1, "of a");
	assert_int_equal(SYNC_ECOPIED, round_of(&x, "two copies"));
	assert_ok(sync_site_keep(central(&x), "post1", branch, err));
	restore_site(&x, 0, old);
	put_location(site(&x, 0), "b3", 1, "of b");
	assert_healed(&x);
	assert_int_equal(1, number(site(&x, 0), "SELECT count(*) FROM location WHERE id = 'b2'"));
	end(&x);
}

static void work_and_reset(struct ill *x, size_t image)
{
	for (int night = 0; night < 5; night++) {
		for (int i = 0; i < 3; i++) {
			put_location(site(x, 0), (char[]){ 'n', (char)('0' + night), (char)('0' + i), 0 }, 1, "work");
			assert_healed(x);
		}
		restore_site(x, 0, image);
	}
	assert_healed(x);
}

static void a_nightly_reset_to_one_image_is_no_copy(void **state)
{
	struct ill x;
	size_t image;

	begin(&x, state, 1);
	image = save_site(&x, 0);
	work_and_reset(&x, image);
	assert_int_equal(16, number(site(&x, 0), "SELECT count(*) FROM location"));
	end(&x);
}

/* The image has pushes that central lost, and central some that are in no image. */
static void a_nightly_reset_while_central_is_restored_is_no_copy(void **state)
{
	struct ill x;
	size_t image, older, newer;

	begin(&x, state, 1);
	older = save_central(&x);
	push_often(&x, 2);
	image = save_site(&x, 0);
	push_often(&x, 2);
	newer = save_central(&x);
	restore_central(&x, older);
	restore_site(&x, 0, image);
	work_and_reset(&x, image);
	restore_central(&x, newer);
	work_and_reset(&x, image);
	restore_central(&x, older);
	work_and_reset(&x, image);
	end(&x);
}

/* faults */

struct edits {
	size_t old_central, old_site;
};

static struct edits fall_ill(struct ill *x)
{
	struct edits e = { .old_central = save_central(x) };

	put_unit(central(x), "unit2", "lost");
	put_location(site(x, 0), "l2", 1, "lost");
	country_settle(&x->c);
	e.old_site = save_site(x, 0);
	put_location(site(x, 0), "l3", 1, "lost");
	country_settle(&x->c);
	return e;
}

static void both_fall(struct ill *x, const struct edits *e)
{
	restore_central(x, e->old_central);
	restore_site(x, 0, e->old_site);
	put_location(site(x, 0), "l4", 1, "new");
}

static void assert_whole(struct ill *x)
{
	loopback_arm(&x->c.site[0].line, LOOPBACK_NONE, 1, 0);
	assert_healed(x);
	assert_int_equal(3, number(central(x), "SELECT count(*) FROM location"));
	assert_int_equal(1, open_offers(x));
	assert_recovered(x, "unit", "unit2", "missing");
}

static void faults_while_healing_do_no_harm(void **state)
{
	static const enum loopback_fault faults[] = { LOOPBACK_LOSE_REQUEST, LOOPBACK_LOSE_ANSWER, LOOPBACK_REPEAT,
						      LOOPBACK_DELAY,        LOOPBACK_OLD_ANSWER };
	struct edits e;
	struct ill x;

	begin(&x, state, 1);
	e = fall_ill(&x);
	for (size_t f = 0; f < COUNT(faults); f++) {
		for (int nth = 1; nth <= 5; nth++) {
			both_fall(&x, &e);
			loopback_arm(&x.c.site[0].line, faults[f], nth, 0);
			(void)country_round(&x.c, 0);
			if (faults[f] == LOOPBACK_DELAY)
				(void)country_round(&x.c, 0);
			if (faults[f] == LOOPBACK_DELAY && x.c.site[0].line.delayed.len)
				(void)loopback_deliver(&x.c.site[0].line);
			assert_whole(&x);
		}
	}
	end(&x);
}

/* The answer to the last offer comes again, to the request that pulls what central sends because of the offers. */
static void no_answer_from_before_says_that_all_is_there_that_central_sent_again(void **state)
{
	struct ill x;
	size_t old;

	begin(&x, state, 1);
	put_unit(central(&x), "unit2", "before");
	country_settle(&x.c);
	old = save_central(&x);
	put_unit(central(&x), "unit2", "lost");
	country_settle(&x.c);
	restore_central(&x, old);
	loopback_arm(&x.c.site[0].line, LOOPBACK_OLD_ANSWER, 5, 0);
	assert_int_equal(SYNC_EBADFRAME, country_round(&x.c, 0));
	assert_int_equal(1, number(site(&x, 0), "SELECT count(*) FROM sync_offer WHERE record_id = 'unit2'"));
	restore_central(&x, old);
	assert_healed(&x);
	assert_recovered(&x, "unit", "unit2", "older");
	end(&x);
}

/* The answer to the question comes again, to the request that pulls what the site lost. */
static void no_answer_from_before_says_that_a_restored_site_has_caught_up(void **state)
{
	struct ill x;
	size_t old;

	begin(&x, state, 1);
	old = save_site(&x, 0);
	put_location(site(&x, 0), "l2", 1, "lost");
	country_settle(&x.c);
	restore_site(&x, 0, old);
	loopback_arm(&x.c.site[0].line, LOOPBACK_OLD_ANSWER, 3, 0);
	assert_int_equal(SYNC_EBADFRAME, country_round(&x.c, 0));
	assert_int_equal(1, number(site(&x, 0), "SELECT echo FROM sync_link"));
	assert_healed(&x);
	assert_int_equal(1, number(site(&x, 0), "SELECT count(*) FROM location WHERE id = 'l2'"));
	end(&x);
}

static bool cut_round(struct ill *x, enum loopback_fault fault, int nth, size_t cut)
{
	struct loopback *line = &x->c.site[0].line;

	loopback_arm(line, fault, nth, cut);
	(void)country_round(&x->c, 0);
	return cut >= (fault == LOOPBACK_CUT_REQUEST ? line->request_bytes : line->answer_bytes);
}

/* The first request, the question, and the offers, for which healing has to have begun. */
static void healing_cut_at_any_byte_goes_on(void **state)
{
	static const enum loopback_fault faults[] = { LOOPBACK_CUT_REQUEST, LOOPBACK_CUT_ANSWER };
	struct edits e;
	struct ill x;

	begin(&x, state, 1);
	e = fall_ill(&x);
	for (size_t f = 0; f < COUNT(faults); f++) {
		for (int nth = 1; nth <= 3; nth++) {
			size_t cut = 0;

			both_fall(&x, &e);
			if (nth == 3)
				(void)cut_round(&x, LOOPBACK_LOSE_REQUEST, 3, 0);
			while (!cut_round(&x, faults[f], nth == 3 ? 1 : nth, cut))
				cut++;
			assert_in_range(cut, 60, 1000);
			assert_whole(&x);
		}
	}
	end(&x);
}

static void a_failure_of_the_sites_database_while_healing_is_survived(void **state)
{
	const struct sync_db_ops *drivers[] = { faulty_db(&sync_sqlite), NULL };
	struct edits e;
	struct ill x;
	bool failed = true;

	begin(&x, state, 1);
	e = fall_ill(&x);
	for (long n = 0; failed; n += 3) {
		both_fall(&x, &e);
		country_reopen_site(&x.c, 0, drivers);
		faulty_db_arm(n);
		(void)country_round(&x.c, 0);
		failed = faulty_db_disarm();
		country_reopen_site(&x.c, 0, testdb_drivers);
		assert_whole(&x);
	}
	end(&x);
}

/* the site's changelog, when central has changed the record since */

static void what_was_made_again_elsewhere_is_not_deleted_again(void **state)
{
	struct ill x;
	size_t old;

	begin(&x, state, 1);
	old = save_central(&x);
	run(site(&x, 0), "DELETE FROM location WHERE id = 'l1'");
	country_settle(&x.c);
	put_location(central(&x), "l1", 1, "made again");
	country_settle(&x.c);
	restore_central(&x, old);
	assert_healed(&x);
	assert_int_equal(1, number(central(&x), "SELECT count(*) FROM location WHERE id = 'l1' AND name = 'made again'"));
	end(&x);
}

static void a_restored_site_does_not_delete_what_was_made_again(void **state)
{
	struct ill x;
	size_t old;

	begin(&x, state, 1);
	run(site(&x, 0), "DELETE FROM location WHERE id = 'l1'");
	country_settle(&x.c);
	put_location(central(&x), "l1", 1, "made again");
	country_settle(&x.c);
	old = save_site(&x, 0);
	push_often(&x, 200);
	restore_site(&x, 0, old);
	put_location(site(&x, 0), "l2", 1, "new");
	assert_healed(&x);
	assert_int_equal(1, number(central(&x), "SELECT count(*) FROM location WHERE id = 'l1'"));
	assert_int_equal(1, number(site(&x, 0), "SELECT count(*) FROM location WHERE id = 'l2'"));
	end(&x);
}

static void what_was_deleted_elsewhere_is_not_put_again(void **state)
{
	struct ill x;
	size_t old;

	begin(&x, state, 1);
	old = save_central(&x);
	put_location(site(&x, 0), "l1", 1, "edited");
	country_settle(&x.c);
	run(central(&x), "DELETE FROM location WHERE id = 'l1'");
	country_settle(&x.c);
	restore_central(&x, old);
	assert_healed(&x);
	assert_int_equal(0, number(site(&x, 0), "SELECT count(*) FROM location WHERE id = 'l1'"));
	assert_int_equal(0, number(site(&x, 0), "SELECT count(*) FROM sync_verdict"));
	end(&x);
}

/* Where central has not changed its mind, the site gets the record back; its edit went with it. */
static void what_was_taken_from_the_site_is_neither_put_nor_deleted_again(void **state)
{
	struct ill x;
	size_t old;

	begin(&x, state, SITES);
	old = save_central(&x);
	put_location(site(&x, 0), "l1", 1, "edited");
	country_settle(&x.c);
	run(central(&x), "UPDATE location SET store_id = 'store2' WHERE id = 'l1'");
	country_settle(&x.c);
	assert_int_equal(0, number(site(&x, 0), "SELECT count(*) FROM location WHERE id = 'l1'"));
	assert_int_equal(0, number(site(&x, 0), "SELECT count(*) FROM sync_changelog WHERE record_id = 'l1'"));
	put_location(site(&x, 0), "l2", 1, "new");
	country_settle(&x.c);
	restore_central(&x, old);
	assert_healed(&x);
	assert_int_equal(1, number(site(&x, 0), "SELECT count(*) FROM location WHERE id = 'l1' AND name = 'before'"));
	assert_int_equal(1, number(central(&x), "SELECT count(*) FROM location WHERE id = 'l2'"));
	assert_int_equal(0, number(site(&x, 0), "SELECT count(*) FROM sync_verdict"));
	assert_recovered(&x, "location", "l1", "older");
	end(&x);
}

/* What waited is sent back once it is taken, and what is then not there is only taken away. */
static void what_a_site_deleted_itself_is_deleted_again(void **state)
{
	struct ill x;
	size_t old;

	begin(&x, state, 1);
	put_stocktake(site(&x, 0), "t1", 1, 3);
	country_settle(&x.c);
	old = save_central(&x);
	run(site(&x, 0), "UPDATE stocktake_line SET item_name = 'waits', location_id = 'l7' WHERE id = 't1-1'");
	run(site(&x, 0), "DELETE FROM stocktake_line WHERE id = 't1-2'");
	country_settle(&x.c);
	assert_int_equal(1, number(central(&x), "SELECT count(*) FROM sync_inbox WHERE record_id = 't1-2'"));
	put_location(site(&x, 0), "l7", 1, "arrives");
	country_settle(&x.c);
	assert_int_equal(0, number(central(&x), "SELECT count(*) FROM stocktake_line WHERE id = 't1-2'"));
	restore_central(&x, old);
	assert_healed(&x);
	assert_int_equal(0, number(site(&x, 0), "SELECT count(*) FROM stocktake_line WHERE id = 't1-2'"));
	assert_int_equal(0, number(central(&x), "SELECT count(*) FROM stocktake_line WHERE id = 't1-2'"));
	end(&x);
}

/* Nothing but the log, or a comparison, tells central that the site has not got the record any more. */
static void what_was_taken_from_the_site_comes_back(bool forgotten, void **state)
{
	struct ill x;
	size_t old;

	begin(&x, state, SITES);
	put_location(central(&x), "l7", 1, "moved");
	put_location(central(&x), "l8", 1, "deleted");
	country_settle(&x.c);
	put_location(site(&x, 0), "l2", 1, "place");
	country_settle(&x.c);
	old = save_central(&x);
	run(central(&x), "UPDATE location SET store_id = 'store2' WHERE id = 'l7'");
	run(central(&x), "DELETE FROM location WHERE id = 'l8'");
	country_settle(&x.c);
	assert_int_equal(0, number(site(&x, 0), "SELECT count(*) FROM location WHERE id IN ('l7', 'l8')"));
	if (forgotten)
		run(site(&x, 0), "UPDATE sync_pulled SET ids = NULL, records = 0");
	restore_central(&x, old);
	assert_healed(&x);
	assert_int_equal(2, number(site(&x, 0), "SELECT count(*) FROM location WHERE id IN ('l7', 'l8')"));
	end(&x);
}

static void what_a_restored_central_had_taken_from_a_site_comes_back(void **state)
{
	what_was_taken_from_the_site_comes_back(false, state);
}

static void what_went_from_a_site_beyond_its_log_comes_back(void **state)
{
	what_was_taken_from_the_site_comes_back(true, state);
}

/* The number of an edit whose record was dropped is the newest of all. */
static void numbers_are_given_above_what_was_dropped(void **state)
{
	struct ill x;

	begin(&x, state, SITES);
	run(central(&x), "UPDATE location SET store_id = 'store2' WHERE id = 'l1'");
	run(site(&x, 0), "DELETE FROM sync_changelog WHERE record_id = 'b1'");
	country_settle(&x.c);
	put_location(site(&x, 0), "l2", 1, "new");
	assert_healed(&x);
	assert_int_equal(1, number(central(&x), "SELECT count(*) FROM location WHERE id = 'l2'"));
	end(&x);
}

/* Also where nothing had to be moved: what has such a number counts as one of before the branch. */
static void numbers_of_a_branch_are_above_all_that_central_has_seen(void **state)
{
	struct ill x;
	size_t old;

	begin(&x, state, 1);
	old = save_site(&x, 0);
	x.c.o.chunk_max = 2;
	put_stocktake(site(&x, 0), "t1", 1, 5);
	loopback_arm(&x.c.site[0].line, LOOPBACK_LOSE_REQUEST, 3, 0);
	assert_int_equal(SYNC_ENET, country_round(&x.c, 0));
	restore_site(&x, 0, old);
	assert_int_equal(SYNC_OK, country_round(&x.c, 0));
	put_location(site(&x, 0), "l2", 1, "new");
	assert_true(number(site(&x, 0), "SELECT seq FROM sync_changelog WHERE record_id = 'l2'") >
		    number(central(&x), "SELECT in_highest FROM sync_site"));
	assert_healed(&x);
	end(&x);
}

/* several restores of central */

/* Central is restored for the second time before it gets the offers, the last of them, or the request that pulls. */
static void central_may_be_restored_again_before_the_site_pulls(void **state)
{
	struct ill x;
	size_t older, newer;

	begin(&x, state, 1);
	put_unit(central(&x), "unit2", "before");
	country_settle(&x.c);
	older = save_central(&x);
	put_unit(central(&x), "unit4", "lost");
	country_settle(&x.c);
	newer = save_central(&x);
	put_unit(central(&x), "unit2", "lost");
	put_unit(central(&x), "unit3", "lost");
	country_settle(&x.c);
	for (int i = 0; i < 6; i++) {
		restore_central(&x, older);
		loopback_arm(&x.c.site[0].line, LOOPBACK_LOSE_REQUEST, 3 + i / 2, 0);
		assert_int_equal(SYNC_ENET, country_round(&x.c, 0));
		restore_central(&x, i % 2 ? older : newer);
		loopback_arm(&x.c.site[0].line, LOOPBACK_NONE, 1, 0);
		assert_healed(&x);
		assert_recovered(&x, "unit", "unit2", "older");
		assert_recovered(&x, "unit", "unit3", "missing");
		assert_int_equal(i % 2 ? 3 : 2, accept_all(&x).accepted);
		assert_healed(&x);
		assert_int_equal(3, number(site(&x, 0), "SELECT count(*) FROM unit WHERE name = 'lost'"));
	}
	end(&x);
}

/* A file that central has written since it was restored fits the place that both know. */
static void news_in_a_file_wait_until_the_site_has_offered(void **state)
{
	char folder[] = "/tmp/test_heal.XXXXXX", path[40];
	struct sync_bundled done;
	struct sync_error seen = { 0 };
	struct ill x;
	size_t old;

	begin(&x, state, 1);
	old = save_central(&x);
	put_unit(central(&x), "unit2", "lost");
	country_settle(&x.c);
	restore_central(&x, old);
	loopback_arm(&x.c.site[0].line, LOOPBACK_LOSE_REQUEST, 3, 0);
	assert_int_equal(SYNC_ENET, country_round(&x.c, 0));
	put_unit(central(&x), "unit2", "new");
	loopback_work(&x.c.site[0].line);
	assert_non_null(mkdtemp(folder));
	(void)snprintf(path, sizeof path, "%s/news", folder);
	assert_ok(sync_bundle_give(central(&x), "post1", path, NULL, &done, err));
	assert_int_equal(SYNC_EBUSY, sync_bundle_take(site(&x, 0), path, &x.c.o, &done, &x.c.site[0].report, &seen));
	assert_non_null(strstr(seen.text, "exchange over the network first"));
	assert_int_equal(0, unlink(path) + rmdir(folder));
	loopback_arm(&x.c.site[0].line, LOOPBACK_NONE, 1, 0);
	assert_healed(&x);
	assert_recovered(&x, "unit", "unit2", "changed");
	end(&x);
}

/* Its row had moved up in the history that is lost, behind what the site was given; central has it where it was. */
static void what_was_passed_because_it_had_moved_comes_when_the_move_is_lost(void **state)
{
	struct ill x;
	size_t old;

	begin(&x, state, 1);
	for (int i = 0; i < 6; i++)
		put_unit(central(&x), (char[]){ 'u', (char)('0' + i), 0 }, "before");
	loopback_work(&x.c.site[0].line);
	old = save_central(&x);
	sync_server_chunk(x.c.site[0].line.server, 2);
	loopback_arm(&x.c.site[0].line, LOOPBACK_LOSE_REQUEST, 2, 0);
	assert_int_equal(SYNC_ENET, country_round(&x.c, 0));
	put_unit(central(&x), "u2", "after");
	loopback_work(&x.c.site[0].line);
	loopback_arm(&x.c.site[0].line, LOOPBACK_LOSE_REQUEST, 2, 0);
	assert_int_equal(SYNC_ENET, country_round(&x.c, 0));
	assert_int_equal(0, number(site(&x, 0), "SELECT count(*) FROM unit WHERE id = 'u2'"));
	assert_int_equal(1, number(site(&x, 0), "SELECT count(*) FROM unit WHERE id = 'u4'"));
	restore_central(&x, old);
	loopback_arm(&x.c.site[0].line, LOOPBACK_NONE, 1, 0);
	assert_healed(&x);
	assert_int_equal(1, number(site(&x, 0), "SELECT count(*) FROM unit WHERE id = 'u2' AND name = 'before'"));
	end(&x);
}

/* A group that went whole at first goes in parts: their numbers rise, the edits that they reach do not. */
static void an_older_push_may_reach_further(void **state)
{
	struct ill x;
	size_t older, newer;

	begin(&x, state, 1);
	older = save_central(&x);
	put_stocktake(site(&x, 0), "t1", 1, 6);
	country_settle(&x.c);
	newer = save_central(&x);
	restore_central(&x, older);
	x.c.o.chunk_max = 1;
	loopback_arm(&x.c.site[0].line, LOOPBACK_LOSE_REQUEST, 6, 0);
	assert_int_equal(SYNC_ENET, country_round(&x.c, 0));
	restore_central(&x, newer);
	loopback_arm(&x.c.site[0].line, LOOPBACK_NONE, 1, 0);
	assert_healed(&x);
	assert_int_equal(6, number(central(&x), "SELECT count(*) FROM stocktake_line"));
	end(&x);
}

/* What is pushed again is as central had changed it; a central that finds back the first push has the number, and not that. */
static void what_is_pushed_again_is_another_edit(void **state)
{
	struct ill x;
	size_t older, newer;

	begin(&x, state, 1);
	older = save_central(&x);
	put_barcode(site(&x, 0), "b2", "of the site");
	country_settle(&x.c);
	newer = save_central(&x);
	put_barcode(central(&x), "b2", "of central");
	country_settle(&x.c);
	restore_central(&x, older);
	assert_healed(&x);
	restore_central(&x, newer);
	assert_healed(&x);
	assert_int_equal(1, number(central(&x), "SELECT count(*) FROM barcode WHERE id = 'b2' AND gtin = 'of central'"));
	end(&x);
}

/* The site has what had won over its own edit; a central that finds that edit back has lost what it lost to. */
static void what_won_in_a_lost_history_does_not_replace_the_loser_silently(void **state)
{
	struct ill x;
	size_t older, newer;

	begin(&x, state, 1);
	older = save_central(&x);
	put_barcode(central(&x), "b1", "of both");
	country_settle(&x.c);
	put_barcode(site(&x, 0), "b1", "of the site");
	country_settle(&x.c);
	newer = save_central(&x);
	restore_central(&x, older);
	put_barcode(central(&x), "b1", "of central");
	loopback_work(&x.c.site[0].line);
	assert_healed(&x);
	assert_int_equal(1, number(site(&x, 0), "SELECT count(*) FROM barcode WHERE gtin = 'of central'"));
	restore_central(&x, newer);
	assert_healed(&x);
	assert_int_equal(1, number(central(&x), "SELECT count(*) FROM barcode WHERE gtin = 'of central'"));
	assert_int_equal(1, number(central(&x), "SELECT count(*) FROM sync_waiting WHERE kind = 'conflict' AND frame LIKE '%%of the site%%'"));
	end(&x);
}

/* Central never had these lines, and yet they go with the others of their group. */
static void what_is_taken_from_a_site_goes_with_its_group(void **state)
{
	struct ill x;
	size_t old;

	begin(&x, state, 1);
	old = save_central(&x);
	put_stocktake(central(&x), "t1", 1, 3);
	country_settle(&x.c);
	restore_central(&x, old);
	put_stocktake(central(&x), "t1", 1, 1);
	assert_healed(&x);
	assert_int_equal(1, number(site(&x, 0), "SELECT count(*) FROM stocktake_line"));
	assert_int_equal(2, number(central(&x), "SELECT count(*) FROM sync_outbox WHERE action = 'X' AND entity = 'stocktake_line' AND root_id = 't1'"));
	end(&x);
}

static void what_is_yet_to_be_replaced_is_offered_again(void **state)
{
	struct ill x;
	size_t old;

	begin(&x, state, 1);
	for (int i = 0; i < 9; i++)
		put_unit(central(&x), (char[]){ 'u', (char)('0' + i), 0 }, "before");
	country_settle(&x.c);
	old = save_central(&x);
	run(central(&x), "UPDATE unit SET name = 'lost'");
	country_settle(&x.c);
	restore_central(&x, old);
	sync_server_chunk(x.c.site[0].line.server, 2);
	loopback_arm(&x.c.site[0].line, LOOPBACK_LOSE_REQUEST, 6, 0);
	assert_int_equal(SYNC_ENET, country_round(&x.c, 0));
	assert_true(number(site(&x, 0), "SELECT count(*) FROM unit WHERE name = 'before'") > 0);
	assert_true(number(site(&x, 0), "SELECT count(*) FROM unit WHERE name = 'lost'") > 0);
	restore_central(&x, old);
	loopback_arm(&x.c.site[0].line, LOOPBACK_NONE, 1, 0);
	assert_healed(&x);
	assert_true(open_offers(&x) > 0);
	end(&x);
}

/* As after an answer to an offer, when central is restored once more: nobody else may have it by then. */
static void what_waits_to_be_dropped_is_offered_as_long_as_it_is_there(void **state)
{
	struct ill x;
	size_t old;

	begin(&x, state, 1);
	old = save_central(&x);
	put_unit(central(&x), "unit9", "lost");
	country_settle(&x.c);
	run(site(&x, 0), "INSERT INTO sync_inbox(source, entity, record_id, root_id, seq, frame, code, text, received_us) VALUES"
			 " (0, 'unit', 'unit9', 'unit9', 99, '{\"e\":\"unit\",\"i\":\"unit9\",\"a\":\"X\",\"q\":\"99\"}',"
			 "  'referenced', '', 1)");
	restore_central(&x, old);
	assert_healed(&x);
	assert_recovered(&x, "unit", "unit9", "missing");
	end(&x);
}

/* The deletes that it may have missed are no reason not to keep what central lost. */
static void a_loss_found_while_old_records_are_offered_is_kept(void **state)
{
	struct ill x;
	size_t old;

	begin(&x, state, 1);
	old = save_central(&x);
	put_unit(central(&x), "unit2", "lost");
	country_settle(&x.c);
	run(central(&x), "UPDATE sync_site SET lapsed_us = 1");
	loopback_arm(&x.c.site[0].line, LOOPBACK_LOSE_REQUEST, 3, 0);
	assert_int_equal(SYNC_ENET, country_round(&x.c, 0));
	assert_true(number(site(&x, 0), "SELECT count(*) FROM sync_offer WHERE seq = 0") > 0);
	run(site(&x, 0), "DELETE FROM sync_pulled");
	restore_central(&x, old);
	loopback_arm(&x.c.site[0].line, LOOPBACK_NONE, 1, 0);
	assert_healed(&x);
	assert_recovered(&x, "unit", "unit2", "missing");
	end(&x);
}

static void a_site_that_lapsed_is_waited_for_once_all_is_offered(void **state)
{
	struct ill x;

	begin(&x, state, 1);
	run(central(&x), "UPDATE sync_site SET lapsed_us = 1");
	loopback_arm(&x.c.site[0].line, LOOPBACK_LOSE_REQUEST, 4, 0);
	assert_int_equal(SYNC_ENET, country_round(&x.c, 0));
	assert_int_equal(1, number(central(&x), "SELECT count(*) FROM sync_site WHERE lapsed_us IS NOT NULL"));
	loopback_arm(&x.c.site[0].line, LOOPBACK_NONE, 1, 0);
	assert_healed(&x);
	assert_int_equal(0, number(central(&x), "SELECT count(*) FROM sync_site WHERE lapsed_us IS NOT NULL"));
	end(&x);
}

/* branches */

/* A central of another branch has lost the edits of this one: that it had confirmed them says nothing any more. */
static void edits_that_central_lost_are_not_older_than_what_it_has(void **state)
{
	struct ill x;
	size_t image, old;

	begin(&x, state, 1);
	image = save_site(&x, 0);
	put_location(site(&x, 0), "l1", 1, "of the first branch");
	country_settle(&x.c);
	old = save_central(&x);
	push_often(&x, 3);
	restore_site(&x, 0, image);
	assert_healed(&x);
	put_location(site(&x, 0), "l1", 1, "of the second branch");
	country_settle(&x.c);
	push_often(&x, 12);
	restore_central(&x, old);
	assert_healed(&x);
	assert_int_equal(1, number(central(&x), "SELECT count(*) FROM location WHERE id = 'l1' AND name = 'of the second branch'"));
	assert_int_equal(1, number(central(&x), "SELECT count(*) FROM sync_waiting WHERE code = 'restored' AND frame LIKE '%%first branch%%'"));
	end(&x);
}

static void no_version_is_named_twice_when_both_are_restored(void **state)
{
	struct ill x;
	size_t old_central, old_site;

	begin(&x, state, SITES);
	old_central = save_central(&x);
	put_barcode(site(&x, 0), "b2", "between");
	country_settle(&x.c);
	old_site = save_site(&x, 0);
	put_barcode(site(&x, 0), "b1", "lost");
	country_settle(&x.c);
	run(site(&x, 1), "CREATE TABLE was AS SELECT version FROM sync_version WHERE record_id = 'b1'");
	restore_central(&x, old_central);
	restore_site(&x, 0, old_site);
	put_barcode(site(&x, 0), "b1", "another");
	assert_healed(&x);
	assert_int_equal(1, number(site(&x, 1), "SELECT count(*) FROM barcode WHERE id = 'b1' AND gtin = 'another'"));
	assert_int_equal(0, number(site(&x, 1), "SELECT count(*) FROM was JOIN sync_version v ON v.version = was.version"));
	end(&x);
}

#define ON_SQLITE(test) TESTDB_ON(test, TESTDB_SQLITE, "SQLite")

int main(void)
{
	const struct CMUnitTest tests[] = {
		TESTDB_BOTH(what_a_restored_central_lost_comes_back),
		TESTDB_BOTH(a_restore_that_is_noticed_late_loses_nothing),
		TESTDB_BOTH(a_delete_that_central_lost_is_offered),
		TESTDB_BOTH(a_lost_delete_of_a_lost_record_is_offered),
		TESTDB_BOTH(a_delete_that_central_knows_is_not_offered),
		TESTDB_BOTH(what_is_offered_goes_where_it_is_not_due_although_central_has_it_so),
		TESTDB_BOTH(what_its_site_pushes_again_needs_nobody),
		TESTDB_BOTH(the_latest_version_that_a_site_has_is_the_one_to_accept),
		TESTDB_BOTH(where_the_log_does_not_reach_everything_is_offered),
		ON_SQLITE(a_first_load_from_a_central_that_was_restored_begins_anew),
		TESTDB_BOTH(an_edit_on_top_of_a_lost_one_is_in_conflict_with_what_is_in_its_place),
		TESTDB_BOTH(an_edit_that_is_pushed_again_is_as_old_as_it_is),
		TESTDB_BOTH(what_a_person_accepted_once_and_central_lost_again_is_offered_again),
		TESTDB_BOTH(a_restore_under_a_process_that_goes_on_is_noticed),
		TESTDB_BOTH(what_waits_for_a_grant_is_not_taken_from_a_site_that_lapsed),
		TESTDB_BOTH(a_lost_change_of_a_field_that_nobody_knows_is_offered),
		TESTDB_BOTH(versions_of_two_lost_histories_are_left_to_a_person),
		TESTDB_BOTH(versions_of_which_no_site_knows_the_time_are_left_to_a_person),
		TESTDB_BOTH(content_that_came_back_counts_as_late_as_it_was_last),
		TESTDB_BOTH(a_group_is_accepted_whole_or_not_at_all),
		TESTDB_BOTH(a_group_of_which_the_rest_is_offered_waits_as_a_whole),
		TESTDB_BOTH(what_a_site_without_any_common_place_offers_is_not_taken_for_changed),
		TESTDB_BOTH(what_a_site_says_that_central_lost_is_kept_only_if_it_did),
		TESTDB_BOTH(a_loss_is_over_when_all_sites_were_there_and_nothing_is_open),
		TESTDB_BOTH(offers_are_listed_page_by_page_and_discarded_by_their_own_numbers),
		TESTDB_BOTH(what_a_site_may_offer_is_bounded),
		TESTDB_BOTH(what_a_restored_site_lost_comes_back),
		TESTDB_BOTH(an_old_answer_does_not_end_the_catching_up),
		TESTDB_BOTH(a_site_that_lost_all_that_it_ever_pushed_goes_on),
		TESTDB_BOTH(an_edit_made_before_the_site_caught_up_wins_and_what_it_replaces_is_kept),
		TESTDB_BOTH(what_is_edited_until_the_site_has_caught_up_replaces_nothing_silently),
		TESTDB_BOTH(what_is_edited_while_the_site_catches_up_replaces_nothing_silently),
		TESTDB_BOTH(what_was_edited_before_the_first_load_replaces_nothing_silently),
		TESTDB_BOTH(what_a_site_edits_again_before_it_has_caught_up_is_no_conflict),
		TESTDB_BOTH(a_lost_delete_of_what_central_never_had_is_kept),
		TESTDB_BOTH(what_goes_to_nobody_is_not_replaced_silently),
		TESTDB_BOTH(what_others_did_meanwhile_is_not_replaced_silently),
		TESTDB_BOTH(a_group_that_has_two_histories_is_not_mixed),
		TESTDB_BOTH(what_was_confirmed_before_does_not_come_back_over_what_was_lost),
		TESTDB_BOTH(edits_made_before_the_first_contact_may_be_many),
		TESTDB_BOTH(what_waits_since_before_the_restore_is_taken_when_it_is_possible),
		TESTDB_BOTH(what_waits_is_not_replaced_silently_by_what_is_older),
		TESTDB_BOTH(what_waits_is_not_replaced_silently_by_what_does_not_know_it),
		TESTDB_BOTH(what_waits_since_an_earlier_branch_replaces_nothing_silently),
		TESTDB_BOTH(parts_of_a_group_that_a_restored_site_has_lost_wait_for_a_person),
		TESTDB_BOTH(both_may_be_restored_several_times),
		TESTDB_BOTH(a_lost_answer_is_told_from_a_restored_site),
		TESTDB_BOTH(a_copy_is_found_and_one_of_the_two_is_chosen),
		TESTDB_BOTH(the_copy_that_lives_on_may_be_restored_like_any_site),
		TESTDB_BOTH(a_nightly_reset_to_one_image_is_no_copy),
		TESTDB_BOTH(a_nightly_reset_while_central_is_restored_is_no_copy),
		TESTDB_BOTH(faults_while_healing_do_no_harm),
		ON_SQLITE(healing_cut_at_any_byte_goes_on),
		ON_SQLITE(a_failure_of_the_sites_database_while_healing_is_survived),
		TESTDB_BOTH(what_was_made_again_elsewhere_is_not_deleted_again),
		TESTDB_BOTH(a_restored_site_does_not_delete_what_was_made_again),
		TESTDB_BOTH(what_was_deleted_elsewhere_is_not_put_again),
		TESTDB_BOTH(what_was_taken_from_the_site_is_neither_put_nor_deleted_again),
		TESTDB_BOTH(what_a_site_deleted_itself_is_deleted_again),
		TESTDB_BOTH(what_a_restored_central_had_taken_from_a_site_comes_back),
		TESTDB_BOTH(what_went_from_a_site_beyond_its_log_comes_back),
		TESTDB_BOTH(central_may_be_restored_again_before_the_site_pulls),
		TESTDB_BOTH(what_was_passed_because_it_had_moved_comes_when_the_move_is_lost),
		TESTDB_BOTH(an_older_push_may_reach_further),
		TESTDB_BOTH(what_is_pushed_again_is_another_edit),
		TESTDB_BOTH(what_won_in_a_lost_history_does_not_replace_the_loser_silently),
		TESTDB_BOTH(what_is_taken_from_a_site_goes_with_its_group),
		TESTDB_BOTH(what_is_yet_to_be_replaced_is_offered_again),
		TESTDB_BOTH(what_waits_to_be_dropped_is_offered_as_long_as_it_is_there),
		TESTDB_BOTH(a_loss_found_while_old_records_are_offered_is_kept),
		TESTDB_BOTH(a_site_that_lapsed_is_waited_for_once_all_is_offered),
		TESTDB_BOTH(no_answer_from_before_says_that_all_is_there_that_central_sent_again),
		TESTDB_BOTH(no_answer_from_before_says_that_a_restored_site_has_caught_up),
		TESTDB_BOTH(news_in_a_file_wait_until_the_site_has_offered),
		TESTDB_BOTH(edits_that_central_lost_are_not_older_than_what_it_has),
		TESTDB_BOTH(no_version_is_named_twice_when_both_are_restored),
		TESTDB_BOTH(numbers_are_given_above_what_was_dropped),
		TESTDB_BOTH(numbers_of_a_branch_are_above_all_that_central_has_seen),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

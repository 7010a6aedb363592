#include "country.h"

#include <libsync/crypto.h>
#include <libsync/site.h>

static struct sync_db *site_db(const struct country *c)
{
	return c->site[0].db.db;
}

/* A site that holds what it should. */
static void open_settled(struct country *c, void **state)
{
	country_open(c, testdb_of(state), 2);
	country_load(c, 0);
	country_load(c, 1);
	put_location(site_db(c), "l1", 1, "Fridge");
	put_stocktake(site_db(c), "t1", 1, 3);
	put_barcode(site_db(c), "b1", "123");
	country_settle(c);
}

/* Run SQL at the site that no trigger captures, as when an application or a broken disk changed a row behind our back. */
static void behind(struct country *c, const char *entity, const char *id, const char *sql)
{
	run(site_db(c), "INSERT INTO sync_mark(entity, record_id, source) VALUES ('%s', '%s', 0)", entity, id);
	run(site_db(c), "%s", sql);
	run(site_db(c), "DELETE FROM sync_mark");
}

/* The last difference seen, and how many. */
struct seen {
	char entity[64], id[64], kind[16], fate[16];
	int n;
};

static enum sync_status see(void *ctx, const struct sync_difference *d, struct sync_error *err)
{
	struct seen *s = ctx;

	(void)err;
	s->n++;
	snprintf(s->entity, sizeof s->entity, "%s", d->entity->name);
	snprintf(s->id, sizeof s->id, "%.*s", SYNC_VIEW(d->id));
	snprintf(s->kind, sizeof s->kind, "%s", d->kind);
	snprintf(s->fate, sizeof s->fate, "%s", d->fate ? d->fate : "");
	return SYNC_OK;
}

static struct sync_compared verify(struct country *c, bool repair, struct seen *seen, struct sync_report *report)
{
	struct sync_compared v;

	*seen = (struct seen){ 0 };
	*report = (struct sync_report){ 0 };
	assert_ok(sync_compare(site_db(c), &c->site[0].line.transport, &c->o, NULL, repair, see, seen, &v, report, err));
	assert_int_equal(seen->n, v.missing + v.extra + v.differs);
	return v;
}

static void assert_equal(struct country *c)
{
	struct sync_report report;
	struct seen seen;

	verify(c, false, &seen, &report);
	if (seen.n)
		fail_msg("%d differences, the last: %s %s %s", seen.n, seen.entity, seen.id, seen.kind);
}

static void assert_seen(const struct seen *s, const char *entity, const char *id, const char *kind, const char *fate)
{
	assert_int_equal(1, s->n);
	assert_string_equal(entity, s->entity);
	assert_string_equal(id, s->id);
	assert_string_equal(kind, s->kind);
	assert_string_equal(fate, s->fate);
}

/* One difference of this kind is found, gets this fate, and is gone after a round. */
static void assert_repaired(struct country *c, const char *entity, const char *id, const char *kind, const char *fate)
{
	struct sync_report report;
	struct seen seen;

	verify(c, true, &seen, &report);
	assert_seen(&seen, entity, id, kind, fate);
	country_settle(c);
	assert_equal(c);
	assert_converged(c, 0);
}

static void both_sides_are_equal_after_a_round(void **state)
{
	struct sync_compared v;
	struct sync_report report;
	struct seen seen;
	struct country c;

	open_settled(&c, state);
	v = verify(&c, false, &seen, &report);
	assert_int_equal(0, seen.n);
	assert_int_equal(1, report.requests);
	assert_true(v.records > 10 && v.entities > 50);
	assert_int_equal(32, strlen(v.sum));
	country_close(&c);
}

static void an_altered_record_of_central_is_sent_again(void **state)
{
	struct country c;

	open_settled(&c, state);
	behind(&c, "item", "item1", "UPDATE item SET name = 'spoiled' WHERE id = 'item1'");
	assert_repaired(&c, "item", "item1", "differs", "sent");
	assert_int_equal(1, number(site_db(&c), "SELECT count(*) FROM item WHERE name = 'BCG'"));
	country_close(&c);
}

static void a_lost_record_is_sent_again_whoever_made_it(void **state)
{
	struct country c;

	open_settled(&c, state);
	behind(&c, "item", "item1", "DELETE FROM item WHERE id = 'item1'");
	assert_repaired(&c, "item", "item1", "missing", "sent");
	behind(&c, "location", "l1", "DELETE FROM location WHERE id = 'l1'");
	assert_repaired(&c, "location", "l1", "missing", "sent");
	country_close(&c);
}

static void an_edit_of_its_own_that_nothing_captured_is_pushed(void **state)
{
	struct country c;

	open_settled(&c, state);
	behind(&c, "location", "l1", "UPDATE location SET name = 'Freezer' WHERE id = 'l1'");
	assert_repaired(&c, "location", "l1", "differs", "yours");
	assert_int_equal(1, number(c.central->db, "SELECT count(*) FROM location WHERE name = 'Freezer'"));
	behind(&c, "location", "l2",
	       "INSERT INTO location(id, name, code, on_hold, store_id, volume) VALUES ('l2', 'Shelf', 'l2', 0, 'store1', 1)");
	assert_repaired(&c, "location", "l2", "extra", "yours");
	assert_int_equal(2, number(c.central->db, "SELECT count(*) FROM location"));
	country_close(&c);
}

static void what_a_site_may_not_hold_is_judged_and_dropped(void **state)
{
	struct country c;

	open_settled(&c, state);
	behind(&c, "unit", "unit2", "INSERT INTO unit(id, name, \"index\", is_active) VALUES ('unit2', 'box', 2, 1)");
	assert_repaired(&c, "unit", "unit2", "extra", "yours");
	assert_int_equal(0, number(site_db(&c), "SELECT count(*) FROM unit WHERE id = 'unit2'"));
	assert_int_equal(1, number(c.central->db, "SELECT count(*) FROM sync_waiting WHERE record_id = 'unit2'"));
	run(c.central->db, "DELETE FROM sync_waiting");
	country_close(&c);
}

static void what_central_deleted_is_deleted(void **state)
{
	struct country c;

	open_settled(&c, state);
	run(c.central->db, "DELETE FROM barcode");
	country_settle(&c);
	behind(&c, "barcode", "b1", "INSERT INTO barcode(id, gtin, item_id) VALUES ('b1', '123', 'item1')");
	assert_repaired(&c, "barcode", "b1", "extra", "sent");
	country_close(&c);
}

static void what_is_on_its_way_is_no_difference_to_repair(void **state)
{
	struct sync_compared v;
	struct sync_report report;
	struct seen seen;
	struct country c;

	open_settled(&c, state);
	run(c.central->db, "UPDATE unit SET name = 'vial'");
	v = verify(&c, true, &seen, &report);
	assert_seen(&seen, "unit", "unit1", "differs", "moving");
	assert_int_equal(0, v.sent);
	country_settle(&c);
	put_location(site_db(&c), "l9", 1, "New");
	verify(&c, true, &seen, &report);
	assert_seen(&seen, "location", "l9", "extra", "moving");
	country_settle(&c);
	assert_equal(&c);
	country_close(&c);
}

/* A second push of it would be a second question to the same person. */
static void what_a_person_has_still_to_grant_waits(void **state)
{
	struct sync_report report;
	struct seen seen;
	struct country c;

	open_settled(&c, state);
	run(c.central->db, "INSERT INTO name(id, name, code, type, is_customer, is_supplier, is_manufacturer, is_donor, on_hold, is_deceased)"
			   " SELECT 'p', 'Awa', 'p', 'PATIENT', is_customer, is_supplier, is_manufacturer, is_donor, on_hold, is_deceased"
			   " FROM name WHERE id = 'name1'");
	run(site_db(&c), "INSERT INTO name_store_join(id, name_id, store_id, name_is_customer, name_is_supplier)"
			 " VALUES ('j', 'p', 'store1', 1, 0)");
	country_settle(&c);
	assert_int_equal(1, number(c.central->db, "SELECT count(*) FROM sync_waiting WHERE kind = 'grant'"));
	verify(&c, true, &seen, &report);
	assert_seen(&seen, "name_store_join", "j", "extra", "waits");
	country_settle(&c);
	assert_int_equal(1, number(c.central->db, "SELECT count(*) FROM sync_waiting"));
	assert_int_equal(1, number(site_db(&c), "SELECT count(*) FROM name_store_join WHERE id = 'j'"));
	country_close(&c);
}

static void put_units(struct sync_db *db, int n)
{
	run(db,
	    "WITH RECURSIVE c(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM c WHERE i < %d)"
	    " INSERT INTO unit(id, name, \"index\", is_active) SELECT 'u' || (i * 7919), 'unit ' || i, i, %s FROM c",
	    n, sync_db_dialect(db)->postgres ? "true" : "1");
}

static void one_difference_among_many_records_costs_little(void **state)
{
	struct sync_report report;
	struct seen seen;
	struct country c;

	open_settled(&c, state);
	put_units(c.central->db, 5000);
	country_settle(&c);
	behind(&c, "unit", "u7919", "UPDATE unit SET \"index\" = 0 WHERE id = 'u7919'");
	verify(&c, false, &seen, &report);
	assert_seen(&seen, "unit", "u7919", "differs", "");
	assert_true(report.requests <= 5);
	assert_true(report.bytes_in + report.bytes_out < 8192);
	country_close(&c);
}

static void any_number_of_differences_is_repaired(void **state)
{
	struct sync_report report;
	struct seen seen;
	struct country c;

	open_settled(&c, state);
	put_units(c.central->db, 3000);
	country_settle(&c);
	run(site_db(&c), "INSERT INTO sync_mark(entity, record_id, source) SELECT 'unit', id, 0 FROM unit WHERE \"index\" %% 2 = 0");
	run(site_db(&c), "DELETE FROM unit WHERE \"index\" %% 2 = 0");
	verify(&c, true, &seen, &report);
	assert_int_equal(1500, seen.n);
	country_settle(&c);
	assert_equal(&c);
	country_close(&c);
}

static void a_cut_anywhere_leaves_both_sides_as_they_were(void **state)
{
	struct sync_compared v;
	struct sync_report report = { 0 };
	struct country c;

	open_settled(&c, state);
	behind(&c, "item", "item1", "UPDATE item SET name = 'spoiled' WHERE id = 'item1'");
	for (int64_t nth = 1; nth <= 3; nth++) {
		for (size_t cut = 0; cut < 400; cut += 29) {
			loopback_arm(&c.site[0].line, cut % 2 ? LOOPBACK_CUT_ANSWER : LOOPBACK_CUT_REQUEST, nth, cut);
			(void)sync_compare(site_db(&c), &c.site[0].line.transport, &c.o, NULL, true, NULL, NULL, &v, &report, NULL);
			loopback_arm(&c.site[0].line, LOOPBACK_NONE, 0, 0);
		}
	}
	country_settle(&c);
	assert_equal(&c);
	assert_converged(&c, 0);
	country_close(&c);
}

/* A message that a hostile site might send. */
static void assert_refused(struct country *c, enum sync_verify_step step, const struct sync_range *r, size_t n, enum sync_status status)
{
	struct sync_header h = { .protocol = 1, .schema = 1, .site = c->site[0].line.site_id, .branch = "00000000", .verify = (int)step };
	struct sync_end end = { 0 };
	struct sync_writer *w = NULL;
	struct sync_view message, answer;
	struct sync_served served;
	struct sync_error why = { 0 };

	assert_ok(sync_writer_new(&w, NULL, 3, 1 << 20, err));
	sync_writer_begin(w, &h, true);
	for (size_t i = 0; i < n; i++)
		sync_writer_range(w, &r[i]);
	assert_ok(sync_writer_end(w, &end, &message, err));
	assert_int_equal(status, sync_server_answer(c->site[0].line.server, h.site, message, &answer, &served, &why));
	sync_writer_free(w);
}

static void a_verification_that_central_asks_for_follows_the_next_round(void **state)
{
	struct sync_verified v;
	struct sync_compared held;
	struct sync_report report;
	struct seen seen;
	struct country c;

	open_settled(&c, state);
	assert_ok(sync_verified_get(c.central->db, c.site[0].line.site_id, &v, err));
	assert_int_equal(0, v.asked_us + v.at_us);
	behind(&c, "item", "item1", "UPDATE item SET name = 'spoiled' WHERE id = 'item1'");
	assert_ok(sync_verify_ask(c.central->db, c.site[0].line.site_id, err));
	assert_ok(sync_verify_ask(c.central->db, c.site[0].line.site_id, err));
	assert_int_equal(1, number(c.central->db, "SELECT count(*) FROM sync_verdict WHERE kind = 'verify'"));
	assert_int_equal(SYNC_OK, country_round(&c, 0));
	assert_int_equal(0, c.site[0].report.refused);
	held = verify(&c, false, &seen, &report);
	assert_int_equal(0, seen.n);
	assert_ok(sync_verified_get(c.central->db, c.site[0].line.site_id, &v, err));
	assert_true(v.at_us >= v.asked_us);
	assert_int_equal(held.records, v.records);
	assert_int_equal(held.entities, v.entities);
	assert_int_equal(0, v.unequal);
	assert_string_equal(held.sum, v.digest);
	assert_int_equal(SYNC_OK, country_round(&c, 0));
	assert_int_equal(1, c.site[0].report.requests);
	country_close(&c);
}

static void requests_that_no_site_makes_are_refused(void **state)
{
	struct sync_range many[300];
	struct country c;

	open_settled(&c, state);
	for (size_t i = 0; i < 300; i++)
		many[i] = (struct sync_range){ .name = sync_view_of("unit") };
	assert_refused(&c, SYNC_VERIFY_COMPARE, many, 300, SYNC_ETOOBIG);
	assert_refused(&c, SYNC_VERIFY_REPAIR, many, 1, SYNC_EBADFRAME);
	many[0] = many[1] = (struct sync_range){ .name = sync_view_of("unit"), .to = sync_view_of("unit1"), .kind = "differs" };
	assert_refused(&c, SYNC_VERIFY_REPAIR, many, 2, SYNC_EBADFRAME);
	many[0].name = sync_view_of("no_such");
	assert_refused(&c, SYNC_VERIFY_REPAIR, many, 1, SYNC_EBADFRAME);
	assert_refused(&c, SYNC_VERIFY_COMPARE, many, 1, SYNC_OK);
	assert_refused(&c, 4, many, 0, SYNC_EBADFRAME);
	country_close(&c);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TESTDB_BOTH(both_sides_are_equal_after_a_round),
		TESTDB_BOTH(an_altered_record_of_central_is_sent_again),
		TESTDB_BOTH(a_lost_record_is_sent_again_whoever_made_it),
		TESTDB_BOTH(an_edit_of_its_own_that_nothing_captured_is_pushed),
		TESTDB_BOTH(what_a_site_may_not_hold_is_judged_and_dropped),
		TESTDB_BOTH(what_central_deleted_is_deleted),
		TESTDB_BOTH(what_is_on_its_way_is_no_difference_to_repair),
		TESTDB_BOTH(what_a_person_has_still_to_grant_waits),
		TESTDB_BOTH(one_difference_among_many_records_costs_little),
		TESTDB_BOTH(any_number_of_differences_is_repaired),
		TESTDB_BOTH(a_cut_anywhere_leaves_both_sides_as_they_were),
		TESTDB_BOTH(a_verification_that_central_asks_for_follows_the_next_round),
		TESTDB_BOTH(requests_that_no_site_makes_are_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

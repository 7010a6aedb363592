#include "country.h"

#include <libsync/crypto.h>
#include <libsync/explain.h>
#include <libsync/site.h>

/* What is told of a record, by central and by a site. Site post1 has store1, whose name is name1, and so on. */

static void open_country(struct country *c, void **state, size_t n)
{
	country_open(c, testdb_of(state), n);
	for (size_t i = 0; i < n; i++)
		country_load(c, i);
}

static void tell(struct sync_db *db, const char *entity, const char *id, struct sync_explanation *ret)
{
	*ret = (struct sync_explanation){ 0 };
	if (sync_db_role(db) == SYNC_CENTRAL)
		assert_ok(sync_server_flush(db, err));
	assert_ok(sync_explain(db, entity, id, NULL, ret, err));
}

static const struct sync_told *find(const struct sync_explanation *x, const char *what)
{
	for (size_t i = 0; i < x->n_told; i++)
		if (!strcmp(x->told[i].what, what))
			return &x->told[i];
	fail_msg("nothing is told of %s %s being %s", x->entity, x->record_id, what);
	return NULL;
}

static const struct sync_told *last(const struct sync_explanation *x, const char *what)
{
	const struct sync_told *found = find(x, what);

	for (const struct sync_told *t = found; t < x->told + x->n_told; t++)
		if (!strcmp(t->what, what))
			found = t;
	return found;
}

static const struct sync_holder *holder(const struct sync_explanation *x, const char *site)
{
	for (size_t i = 0; i < x->n_holders; i++)
		if (!strcmp(x->holder[i].site, site))
			return &x->holder[i];
	fail_msg("nothing is told of site %s", site);
	return NULL;
}

static void assert_holder(const struct sync_explanation *x, const char *site, const char *state, const char *why)
{
	const struct sync_holder *h = holder(x, site);

	assert_string_equal(state, h->state);
	assert_string_equal(why, h->why);
}

/* A requisition of store1 to the name of store2. */
static void put_requisition(struct sync_db *db, const char *id)
{
	run(db,
	    "INSERT INTO requisition(id, requisition_number, store_id, type, status, created_datetime, max_months_of_stock,"
	    " min_months_of_stock, is_emergency, name_id) VALUES ('%s', 1, 'store1', 'REQUEST', 'SENT', '2026-01-31T12:00:00', 3, 1, 0,"
	    " 'name2')", id);
}

static void the_way_of_a_record_is_told_from_store_to_store(void **state)
{
	defer(country_close) struct country c;
	struct sync_explanation x;

	open_country(&c, state, 3);
	put_requisition(c.site[0].db.db, "r1");
	tell(c.site[0].db.db, "requisition", "r1", &x);
	assert_string_equal("present", x.state);
	assert_string_equal("last edited here", find(&x, "written")->text);
	assert_string_equal("post1", find(&x, "written")->site);
	assert_string_equal("not at central yet: goes with the next exchange", x.told[x.n_told - 1].text);
	sync_explanation_clear(&x);

	assert_int_equal(SYNC_OK, country_round(&c, 0));
	tell(c.site[0].db.db, "requisition", "r1", &x);
	assert_string_equal("is at central, which has looked at it", find(&x, "pushed")->text);
	sync_explanation_clear(&x);

	tell(c.central->db, "requisition", "r1", &x);
	assert_string_equal("post1", find(&x, "written")->site);
	assert_string_equal("routed to 2 sites", find(&x, "routed")->text);
	assert_true(find(&x, "routed")->at_us > 0);
	assert_holder(&x, "post1", "has", "store store1 'Health post 1' (requisition.store_id) is active there");
	assert_holder(&x, "post2", "coming",
	              "name name2 (requisition.name_id) is that of store store2 'Health post 2', which is active there");
	assert_holder(&x, "post3", "no",
	              "store store1 'Health post 1' (requisition.store_id) is active at site 'post1'; "
	              "name name2 (requisition.name_id) is that of store store2 'Health post 2', which is active at site 'post2'");
	sync_explanation_clear(&x);

	country_settle(&c);
	assert_int_equal(SYNC_OK, country_round(&c, 1));
	tell(c.central->db, "requisition", "r1", &x);
	assert_string_equal("has", holder(&x, "post2")->state);
	sync_explanation_clear(&x);
	tell(c.site[1].db.db, "requisition", "r1", &x);
	assert_string_equal("came from central, and was not edited here", find(&x, "received")->text);
	sync_explanation_clear(&x);
}

static void a_child_goes_as_its_parent_and_that_is_told(void **state)
{
	defer(country_close) struct country c;
	struct sync_explanation x;

	open_country(&c, state, 2);
	put_stocktake(c.site[0].db.db, "t1", 1, 1);
	country_settle(&c);
	tell(c.central->db, "stocktake_line", "t1-1", &x);
	assert_holder(&x, "post1", "has",
	              "goes as its stocktake t1 (stocktake_line.stocktake_id): store store1 'Health post 1' (stocktake.store_id) is active there");
	assert_holder(&x, "post2", "no",
	              "goes as its stocktake t1 (stocktake_line.stocktake_id): store store1 'Health post 1' (stocktake.store_id) is active at site "
	              "'post1'");
	sync_explanation_clear(&x);
}

static void the_join_that_shows_a_patient_is_named(void **state)
{
	defer(country_close) struct country c;
	struct sync_explanation x;

	open_country(&c, state, 2);
	run(c.site[0].db.db, "INSERT INTO name(id, name, code, type, is_customer, is_supplier, is_manufacturer, is_donor, on_hold, is_deceased)"
	                     " VALUES ('p', 'Patient', 'p', 'PATIENT', 0, 0, 0, 0, 0, 0)");
	run(c.site[0].db.db, "INSERT INTO name_store_join(id, name_id, store_id, name_is_customer, name_is_supplier)"
	                     " VALUES ('j', 'p', 'store1', 1, 0)");
	country_settle(&c);
	tell(c.central->db, "name", "p", &x);
	assert_holder(&x, "post1", "has", "name_store_join j ties name p to store store1 'Health post 1', which is active there");
	assert_holder(&x, "post2", "no", "no name_store_join ties name p to a store of this site");
	assert_string_equal("post1", find(&x, "written")->site);
	assert_true(find(&x, "written")->at_us > 0);
	assert_string_equal("received and applied at central", find(&x, "received")->text);
	sync_explanation_clear(&x);
}

static void what_goes_to_every_site_is_told_so(void **state)
{
	defer(country_close) struct country c;
	struct sync_explanation x;

	open_country(&c, state, 1);
	tell(c.central->db, "item", "item1", &x);
	assert_string_equal("routed to every site", find(&x, "routed")->text);
	assert_holder(&x, "post1", "has", "every site gets this item");
	sync_explanation_clear(&x);
}

static void a_refused_edit_is_told_on_both_sides(void **state)
{
	defer(country_close) struct country c;
	struct sync_explanation x;

	open_country(&c, state, 2);
	put_location(c.site[1].db.db, "l", 1, "not theirs");
	assert_int_equal(SYNC_OK, country_round(&c, 1));
	tell(c.central->db, "location", "l", &x);
	assert_string_equal("absent", x.state);
	assert_non_null(strstr(find(&x, "decision")->text, "an edit that the site may not make was kept apart"));
	assert_non_null(strstr(find(&x, "decision")->text, "central waiting accept 1, or discard"));
	assert_string_equal("post2", find(&x, "decision")->site);
	assert_holder(&x, "post2", "waits", "");
	assert_holder(&x, "post1", "no", "");
	assert_non_null(strstr(find(&x, "verdict")->text, "told: refused"));
	sync_explanation_clear(&x);

	(void)country_round(&c, 1);
	tell(c.site[1].db.db, "location", "l", &x);
	assert_non_null(strstr(find(&x, "verdict")->text, "central said: refused: "));
	sync_explanation_clear(&x);

	assert_ok(sync_waiting_discard(c.central->db, 1, err));
	tell(c.central->db, "location", "l", &x);
	assert_string_equal("a person discarded what site 'post2' had sent", last(&x, "decision")->text);
	sync_explanation_clear(&x);
}

static void what_waits_and_what_is_waited_for_tell_of_each_other(void **state)
{
	defer(country_close) struct country c;
	struct sync_explanation x;

	open_country(&c, state, 1);
	run(c.site[0].db.db, "INSERT INTO location(id, name, code, on_hold, store_id, volume, location_type_id)"
	                     " VALUES ('l', 'Shelf', 'l', 0, 'store1', 0, 'lost')");
	(void)country_round(&c, 0);
	tell(c.central->db, "location", "l", &x);
	assert_string_equal("absent", x.state);
	assert_string_equal("missing_reference", find(&x, "waits")->code);
	assert_non_null(strstr(find(&x, "waits")->text, "it waits for location_type lost"));
	assert_holder(&x, "post1", "waits", "");
	sync_explanation_clear(&x);
	tell(c.central->db, "location_type", "lost", &x);
	assert_string_equal("absent", x.state);
	assert_string_equal("1 other record waits for it", find(&x, "needed")->text);
	sync_explanation_clear(&x);
}

static void a_deleted_record_is_told_as_long_as_its_tombstone_stands(void **state)
{
	defer(country_close) struct country c;
	struct sync_explanation x;

	open_country(&c, state, 2);
	put_location(c.site[0].db.db, "l", 1, "shelf");
	country_settle(&c);
	run(c.site[0].db.db, "DELETE FROM location WHERE id = 'l'");
	country_settle(&c);
	tell(c.central->db, "location", "l", &x);
	assert_string_equal("deleted", x.state);
	assert_holder(&x, "post1", "deleted", "");
	assert_holder(&x, "post2", "no", "");
	sync_explanation_clear(&x);
	tell(c.site[0].db.db, "location", "l", &x);
	assert_string_equal("deleted", x.state);
	sync_explanation_clear(&x);
}

static void the_exchanges_of_a_records_way_are_found_in_the_log(void **state)
{
	defer(country_close) struct country c;
	struct sync_explanation x;
	struct sync_exchanged log[2] = { 0 };

	open_country(&c, state, 2);
	put_requisition(c.site[0].db.db, "r1");
	country_settle(&c);
	tell(c.central->db, "requisition", "r1", &x);
	log[0] = (struct sync_exchanged){ .site_id = 1, .at_us = find(&x, "routed")->at_us - 1000, .pushed = 7 };
	log[1] = (struct sync_exchanged){ .site_id = 2, .at_us = find(&x, "routed")->at_us + 5000000, .pulled = 1 };
	sync_explanation_clear(&x);
	assert_ok(sync_exchanged_put(c.central->db, log, 2, err));
	tell(c.central->db, "requisition", "r1", &x);
	assert_string_equal("reached central with an exchange that pushed 7 records", find(&x, "pushed")->text);
	assert_int_equal(log[0].at_us, find(&x, "pushed")->at_us);
	assert_int_equal(log[1].at_us, holder(&x, "post2")->pulled_us);
	assert_string_equal("post2", find(&x, "pulled")->site);
	assert_string_equal("pulled", x.told[x.n_told - 1].what);
	sync_explanation_clear(&x);
}

static void a_move_is_told_of_the_site_that_loses_and_of_the_one_that_gains(void **state)
{
	defer(country_close) struct country c;
	struct sync_explanation x;
	bool done;

	open_country(&c, state, 2);
	put_location(c.site[0].db.db, "l", 1, "shelf");
	country_settle(&c);
	assert_ok(sync_store_move(c.central->db, "store1", "post2", true, &done, err));
	tell(c.central->db, "location", "l", &x);
	assert_string_equal("leaving", holder(&x, "post1")->state);
	assert_string_equal("coming", holder(&x, "post2")->state);
	sync_explanation_clear(&x);
	country_settle(&c);
	(void)country_round(&c, 0);
	(void)country_round(&c, 1);
	tell(c.central->db, "location", "l", &x);
	assert_string_equal("dropped", holder(&x, "post1")->state);
	assert_string_equal("has", holder(&x, "post2")->state);
	sync_explanation_clear(&x);
}

static void expect_failure(enum sync_status status, struct sync_db *db, const char *entity, const char *id, const char *site, const char *text)
{
	defer(sync_explanation_clear) struct sync_explanation x = { 0 };
	struct sync_error seen = { 0 };

	assert_int_equal(status, sync_explain(db, entity, id, site, &x, &seen));
	assert_string_equal(text, seen.text);
}

static void expect_none(struct sync_db *db, const char *entity, const char *id, const char *site, const char *text)
{
	expect_failure(SYNC_ENOTFOUND, db, entity, id, site, text);
}

static void of_a_store_it_is_told_where_it_is_active(void **state)
{
	defer(country_close) struct country c;
	struct sync_explanation x;
	bool done;

	open_country(&c, state, 2);
	tell(c.central->db, "store", "store1", &x);
	assert_string_equal("is active at site 'post1'", find(&x, "active")->text);
	sync_explanation_clear(&x);
	assert_ok(sync_store_move(c.central->db, "store1", "post2", false, &done, err));
	tell(c.central->db, "store", "store1", &x);
	assert_string_equal("is active at site 'post1', and waits to move to site 'post2'", find(&x, "active")->text);
	sync_explanation_clear(&x);
}

static void what_is_unknown_is_said_so_with_what_was_probably_meant(void **state)
{
	defer(country_close) struct country c;

	open_country(&c, state, 1);
	put_location(c.central->db, "abc-1", 1, "shelf");
	expect_failure(SYNC_EUSAGE, c.central->db, "locaton", "x", NULL, "no entity is called 'locaton': is it location?");
	expect_none(c.central->db, "invoice", "abc-1", NULL, "nothing was ever seen here of invoice 'abc-1'; of that id there is: location");
	expect_none(c.central->db, "location", "abc", NULL, "nothing was ever seen here of location 'abc'; ids that begin so are: abc-1");
	expect_none(c.central->db, "location", "q", NULL,
	            "nothing was ever seen here of location 'q'; a site that has not pushed it yet may have it");
	expect_none(c.central->db, "location", "abc-1", "Nowhere", "no site is called 'Nowhere': central site list shows all");
	expect_none(c.site[0].db.db, "location", "q", NULL,
	            "nothing was ever seen here of location 'q': at central, central explain location q --site 'post1' tells whether it comes "
	            "here and why (0 records still to come)");
}

static void only_the_site_that_is_asked_for_is_told_of(void **state)
{
	defer(country_close) struct country c;
	defer(sync_explanation_clear) struct sync_explanation x = { 0 };

	open_country(&c, state, 3);
	put_location(c.site[0].db.db, "l", 1, "shelf");
	country_settle(&c);
	assert_ok(sync_explain(c.central->db, "location", "l", "post3", &x, err));
	assert_int_equal(1, x.n_holders);
	assert_holder(&x, "post3", "no", "store store1 'Health post 1' (location.store_id) is active at site 'post1'");
}

static void control_characters_do_not_reach_a_terminal(void **state)
{
	defer(country_close) struct country c;
	defer(sync_buf_clear) struct sync_buf b = { .max = 1 << 20 };
	struct sync_explanation x;

	open_country(&c, state, 1);
	put_location(c.central->db, "l\033[2J", 1, "shelf");
	tell(c.central->db, "location", "l\033[2J", &x);
	sync_explanation_text(&b, &x);
	assert_null(memchr(b.data, '\033', b.len));
	sync_buf_reset(&b);
	sync_explanation_json(&b, &x);
	assert_null(memchr(b.data, '\033', b.len));
	assert_memory_equal("{\"ok\":true,\"entity\":\"location\",", b.data, 31);
	sync_explanation_clear(&x);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TESTDB_BOTH(the_way_of_a_record_is_told_from_store_to_store),
		TESTDB_BOTH(a_child_goes_as_its_parent_and_that_is_told),
		TESTDB_BOTH(the_join_that_shows_a_patient_is_named),
		TESTDB_BOTH(what_goes_to_every_site_is_told_so),
		TESTDB_BOTH(a_refused_edit_is_told_on_both_sides),
		TESTDB_BOTH(what_waits_and_what_is_waited_for_tell_of_each_other),
		TESTDB_BOTH(a_deleted_record_is_told_as_long_as_its_tombstone_stands),
		TESTDB_BOTH(the_exchanges_of_a_records_way_are_found_in_the_log),
		TESTDB_BOTH(a_move_is_told_of_the_site_that_loses_and_of_the_one_that_gains),
		TESTDB_BOTH(of_a_store_it_is_told_where_it_is_active),
		TESTDB_BOTH(what_is_unknown_is_said_so_with_what_was_probably_meant),
		TESTDB_BOTH(only_the_site_that_is_asked_for_is_told_of),
		TESTDB_BOTH(control_characters_do_not_reach_a_terminal),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

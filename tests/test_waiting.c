#include "country.h"

#include <libsync/crypto.h>
#include <libsync/frame.h>
#include <libsync/site.h>

#include "exchange/route.h"

/* What waits for a person at central, and what status shows of waiting and refused records. */

/* Site 1, "Post", with store s1 whose name is n1; patient p1, whom central made. */
static struct sync_db *central(void **state)
{
	struct testdb *t = testdb_of(state);
	const char *store = "s1";
	char secret[30];
	int64_t site_id;

	testdb_open(t, SYNC_CENTRAL);
	run(t->db, "INSERT INTO name(id, name, code, type, is_customer, is_supplier, is_manufacturer, is_donor, on_hold, is_deceased) VALUES"
	           " ('n1', 'Post', 'P', 'STORE', true, true, false, false, false, false),"
	           " ('p1', 'Awa', 'A', 'PATIENT', false, false, false, false, false, false)");
	run(t->db, "INSERT INTO store(id, code, site_id, store_mode, is_disabled, name_id) VALUES ('s1', 'P', 0, 'STORE', false, 'n1')");
	assert_ok(sync_site_add(t->db, "Post", &store, 1, secret, &site_id, err));
	return t->db;
}

static int64_t wait_for_person(struct sync_db *db, const char *kind, const char *frame)
{
	static const char put[] =
		"INSERT INTO sync_waiting(kind, site_id, entity, record_id, seq, frame, code, field, text, at_us)"
		"    VALUES ($1, 1, 'x', 'y', 4, $2, 'not_owner', 'store_id', 'may not', 5) RETURNING id";
	int64_t id = 0;

	assert_ok(sync_db_number(db, put, SYNC_ARGS(sync_text(kind), sync_text(frame)), 0, &id, err));
	return id;
}

static const char currency[] =
	"{\"e\":\"currency\",\"i\":\"c1\",\"a\":\"P\",\"q\":\"4\",\"d\":{\"rate\":1,\"code\":\"x\",\"is_home_currency\":true,\"is_active\":true}}";

static enum sync_status count_waiting(void *ctx, const struct sync_waiting *w, struct sync_error *err)
{
	(void)err;
	assert_string_equal("Post", w->site);
	assert_string_equal("not_owner", w->code);
	assert_string_equal("store_id", w->field);
	assert_int_equal(5, w->at_us);
	*(int64_t *)ctx = w->id;
	return SYNC_OK;
}

static void what_is_open_is_told_with_its_site_and_reason(void **state)
{
	struct sync_db *db = central(state);
	int64_t id = wait_for_person(db, "quarantine", currency), seen = 0;

	assert_ok(sync_waiting_each(db, count_waiting, &seen, err));
	assert_int_equal(id, seen);
	run(db, "UPDATE sync_waiting SET done_us = 1");
	seen = 0;
	assert_ok(sync_waiting_each(db, count_waiting, &seen, err));
	assert_int_equal(0, seen);
}

static void an_accepted_edit_becomes_centrals_own_and_the_site_is_told(void **state)
{
	struct sync_db *db = central(state);
	int64_t id = wait_for_person(db, "quarantine", currency);
	struct sync_error seen;

	assert_ok(sync_waiting_accept(db, id, err));
	assert_int_equal(1, number(db, "SELECT count(*) FROM currency WHERE id = 'c1' AND rate = 1"));
	assert_int_equal(1, number(db, "SELECT count(*) FROM sync_outbox WHERE site_id = 0 AND record_id = 'c1' AND source = 0"));
	assert_int_equal(1, number(db, "SELECT count(*) FROM sync_verdict WHERE site_id = 1 AND kind = 'resolved' AND record_id = 'c1' AND code = 'accepted'"));
	assert_int_equal(1, number(db, "SELECT count(*) FROM sync_waiting WHERE done_us IS NOT NULL AND verdict = 'accepted'"));
	assert_int_equal(SYNC_EINVALID, sync_waiting_accept(db, id, &seen));
	assert_non_null(strstr(seen.text, "has been decided before"));
	assert_int_equal(SYNC_ENOTFOUND, sync_waiting_accept(db, id + 1, NULL));
}

static void an_edit_that_is_still_impossible_stays_open(void **state)
{
	static const struct {
		const char *frame, *text;
	} cases[] = {
		{ "{\"e\":\"currency\",\"i\":\"c1\",\"a\":\"P\",\"q\":\"4\",\"d\":{\"rate\":\"much\"}}", "still impossible: currency.rate" },
		{ "{\"e\":\"currency\",\"i\":\"c1\",\"a\":\"P\",\"q\":\"4\",\"d\":{\"rate\":1}}", "currency.code is required, and missing" },
		{ "{\"e\":\"store\",\"i\":\"s9\",\"a\":\"P\",\"q\":\"4\",\"d\":{\"code\":\"S\",\"site_id\":1,\"store_mode\":\"STORE\",\"is_disabled\":false,"
		  "\"name_id\":\"n9\"}}", "name_id names name 'n9', which does not exist" },
		{ "{\"e\":\"name\",\"i\":\"n1\",\"a\":\"D\",\"q\":\"4\"}", "name_id of store 's1' still names it: that has to go first" },
		{ "{\"e\":\"name\",\"i\":\"p1\",\"a\":\"X\",\"q\":\"4\"}", "discard it" },
	};
	struct sync_db *db = central(state);

	for (size_t i = 0; i < COUNT(cases); i++) {
		int64_t id = wait_for_person(db, "quarantine", cases[i].frame);
		struct sync_error seen;

		assert_int_equal(SYNC_EINVALID, sync_waiting_accept(db, id, &seen));
		if (!strstr(seen.text, cases[i].text))
			fail_msg("'%s' is not in '%s'", cases[i].text, seen.text);
	}
	assert_int_equal(COUNT(cases), number(db, "SELECT count(*) FROM sync_waiting WHERE done_us IS NULL"));
	assert_int_equal(0, number(db, "SELECT count(*) FROM sync_verdict"));
}

static void a_discarded_edit_changes_nothing_and_the_site_is_told(void **state)
{
	struct sync_db *db = central(state);
	int64_t id = wait_for_person(db, "conflict", currency);

	assert_ok(sync_waiting_discard(db, id, err));
	assert_int_equal(0, number(db, "SELECT count(*) FROM currency"));
	assert_int_equal(1, number(db, "SELECT count(*) FROM sync_verdict WHERE site_id = 1 AND kind = 'resolved' AND code = 'discarded'"));
	assert_int_equal(1, number(db, "SELECT count(*) FROM sync_waiting WHERE verdict = 'discarded'"));
}

static void an_accepted_delete_deletes(void **state)
{
	struct sync_db *db = central(state);
	int64_t id = wait_for_person(db, "quarantine", "{\"e\":\"currency\",\"i\":\"c1\",\"a\":\"D\",\"q\":\"4\"}");

	run(db, "INSERT INTO currency(id, rate, code, is_home_currency, is_active) VALUES ('c1', 1, 'x', true, true)");
	assert_ok(sync_waiting_accept(db, id, err));
	assert_int_equal(0, number(db, "SELECT count(*) FROM currency"));
}

static void an_edit_of_central_that_lost_is_accepted_as_a_new_version(void **state)
{
	struct sync_db *db = central(state);
	int64_t id = wait_for_person(db, "conflict", "{\"e\":\"name\",\"i\":\"p1\",\"a\":\"P\",\"q\":\"4\",\"d\":{\"name\":\"Awa S.\"}}");
	int64_t other = wait_for_person(db, "conflict", currency);

	run(db, "UPDATE sync_waiting SET site_id = 0");
	assert_ok(sync_route(db, err));
	run(db, "UPDATE sync_version SET version = 'old'");
	assert_ok(sync_waiting_accept(db, id, err));
	assert_ok(sync_waiting_discard(db, other, err));
	assert_int_equal(1, number(db, "SELECT count(*) FROM name WHERE id = 'p1' AND name = 'Awa S.'"));
	assert_int_equal(1, number(db, "SELECT count(*) FROM sync_version WHERE record_id = 'p1' AND version LIKE '0.%%' AND creator = 0"));
	assert_int_equal(0, number(db, "SELECT count(*) FROM sync_verdict"));
}

static void a_grant_is_recorded_and_lets_the_join_in(void **state)
{
	static const char join[] =
		"{\"e\":\"name_store_join\",\"i\":\"j1\",\"a\":\"P\",\"q\":\"4\",\"d\":{\"store_id\":\"s1\",\"name_is_customer\":true,"
		"\"name_is_supplier\":false,\"name_id\":\"p1\"}}";
	struct sync_db *db = central(state);
	int64_t id = wait_for_person(db, "grant", join);

	assert_ok(sync_waiting_accept(db, id, err));
	assert_int_equal(1, number(db, "SELECT count(*) FROM sync_grant WHERE site_id = 1 AND entity = 'name' AND record_id = 'p1'"));
	assert_int_equal(1, number(db, "SELECT count(*) FROM name_store_join WHERE id = 'j1' AND name_id = 'p1'"));
	assert_int_equal(0, number(db, "SELECT count(*) FROM sync_waiting WHERE done_us IS NULL"));
}

static void every_grant_stays_on_record_whether_given_or_not(void **state)
{
	static const char join[] =
		"{\"e\":\"name_store_join\",\"i\":\"j%d\",\"a\":\"P\",\"q\":\"4\",\"d\":{\"store_id\":\"s1\",\"name_is_customer\":true,"
		"\"name_is_supplier\":false,\"name_id\":\"p1\"}}";
	struct sync_db *db = central(state);
	char frame[300];
	int64_t given, refused;

	(void)snprintf(frame, sizeof frame, join, 1);
	refused = wait_for_person(db, "grant", frame);
	(void)snprintf(frame, sizeof frame, join, 2);
	given = wait_for_person(db, "grant", frame);
	assert_ok(sync_waiting_discard(db, refused, err));
	assert_int_equal(0, number(db, "SELECT count(*) FROM sync_grant"));
	assert_ok(sync_waiting_accept(db, given, err));
	assert_int_equal(1, number(db, "SELECT count(*) FROM sync_waiting WHERE kind = 'grant' AND site_id = 1 AND frame LIKE '%%j1%%'"
	                               "    AND verdict = 'discarded' AND done_us > 0"));
	assert_int_equal(1, number(db, "SELECT count(*) FROM sync_waiting WHERE kind = 'grant' AND site_id = 1 AND frame LIKE '%%j2%%'"
	                               "    AND verdict = 'accepted' AND done_us > 0"));
	assert_int_equal(1, number(db, "SELECT count(*) FROM sync_grant WHERE site_id = 1 AND record_id = 'p1' AND at_us > 0"));
	run(db, "DELETE FROM name_store_join");
	assert_ok(sync_route(db, err));
	assert_int_equal(2, number(db, "SELECT count(*) FROM sync_waiting"));
}

static void a_grant_for_what_makes_nothing_visible_is_refused(void **state)
{
	struct sync_db *db = central(state);
	int64_t id = wait_for_person(db, "grant", currency);
	struct sync_error seen;

	assert_int_equal(SYNC_EINVALID, sync_waiting_accept(db, id, &seen));
	assert_string_equal("currency 'c1' makes nothing visible", seen.text);
	assert_int_equal(0, number(db, "SELECT count(*) FROM sync_grant"));
}

static enum sync_status take_row(void *ctx, const struct sync_value *v, size_t n, struct sync_error *err)
{
	struct sync_buf *b = ctx;

	for (size_t i = 0; i < n; i++)
		if (v[i].kind == SYNC_STRING)
			sync_buf_addf(b, "%.*s ", SYNC_VIEW(v[i].s));
	sync_buf_add_char(b, '\n');
	return sync_buf_check(b, err);
}

static void a_site_tells_what_waits_and_what_was_not_taken(void **state)
{
	defer(sync_buf_clear) struct sync_buf inbox = { .max = 1000 }, verdicts = { .max = 1000 };
	struct testdb *t = testdb_of(state);

	testdb_open(t, SYNC_SITE);
	run(t->db, "INSERT INTO sync_inbox(source, entity, record_id, root_id, seq, frame, code, field, needs_entity, needs_id, text, received_us)"
	           " VALUES (0, 'invoice_line', 'l1', 'i1', 1, '{}', 'missing_reference', 'item_id', 'item', 'x', 'no item x', 7)");
	run(t->db, "INSERT INTO sync_verdict(site_id, n, kind, entity, record_id, seq, code, field, text, at_us) VALUES"
	           " (0, 1, 'refused', 'item', 'a', 1, 'not_owner', NULL, 'may not', 7), (0, 2, 'leave', 'store', 's', 0, 'store_moves', NULL, '', 7)");
	assert_ok(sync_inbox_each(t->db, take_row, &inbox, err));
	assert_string_equal("invoice_line l1 missing_reference item_id item x no item x \n", inbox.data);
	assert_ok(sync_verdict_each(t->db, take_row, &verdicts, err));
	assert_string_equal("refused item a not_owner may not \n", verdicts.data);
}

/* What one site can make wait. */

static void open_bounded(struct country *c, void **state, int64_t most)
{
	country_open(c, testdb_of(state), 1);
	country_load(c, 0);
	sync_server_bound(c->site[0].line.server, most);
}

static void assert_full(struct country *c, const char *text)
{
	assert_int_equal(SYNC_EFULL, country_round(c, 0));
	if (!strstr(c->site[0].err.text, text))
		fail_msg("'%s' is not in '%s'", text, c->site[0].err.text);
}

/* What only central may edit. */
static void put_unit(struct sync_db *site, int n)
{
	run(site, "INSERT INTO unit(id, name, \"index\", is_active) VALUES ('mine%d', 'box', 1, 1)", n);
}

/* A stocktake with one line, which names an item. */
static void put_count(struct sync_db *site, const char *id, const char *item)
{
	put_stocktake(site, id, 1, 1);
	run(site, "UPDATE stocktake_line SET item_id = '%s' WHERE id = '%s-1'", item, id);
}

static int64_t open_questions(struct country *c)
{
	return number(c->central->db, "SELECT count(*) FROM sync_waiting WHERE done_us IS NULL");
}

static void what_would_leave_too_much_for_a_person_stays_at_its_site(void **state)
{
	struct country c;
	struct sync_db *site;

	open_bounded(&c, state, 2);
	site = c.site[0].db.db;
	put_unit(site, 1);
	put_unit(site, 2);
	assert_int_equal(SYNC_OK, country_round(&c, 0));
	assert_int_equal(2, open_questions(&c));
	put_unit(site, 3);
	put_location(site, "l1", 1, "Fridge");
	assert_full(&c, "more than 2 edits of this site would wait for a person at central (waiting-max): central waiting list");
	assert_int_equal(2, open_questions(&c));
	assert_int_equal(0, number(c.central->db, "SELECT count(*) FROM location"));
	assert_int_equal(1, number(site, "SELECT count(*) FROM unit WHERE id = 'mine3'"));
	/* central's edits arrive all the same */
	run(c.central->db, "UPDATE item SET name = 'OPV'");
	assert_full(&c, "more than 2 edits");
	assert_int_equal(1, number(site, "SELECT count(*) FROM item WHERE name = 'OPV'"));
	/* a person decides, and all of it is taken */
	assert_ok(sync_waiting_discard(c.central->db, number(c.central->db, "SELECT min(id) FROM sync_waiting"), err));
	assert_int_equal(SYNC_OK, country_round(&c, 0));
	assert_int_equal(2, open_questions(&c));
	assert_int_equal(1, number(c.central->db, "SELECT count(*) FROM location WHERE id = 'l1'"));
	assert_int_equal(0, number(c.central->db, "SELECT count(*) FROM unit WHERE id LIKE 'mine%%'"));
	country_close(&c);
}

static void what_adds_nothing_is_taken_however_much_waits(void **state)
{
	struct country c;
	struct sync_db *site;

	open_bounded(&c, state, 0);
	site = c.site[0].db.db;
	put_unit(site, 1);
	put_count(site, "t1", "ghost");
	put_count(site, "t2", "ghost");
	assert_int_equal(SYNC_OK, country_round(&c, 0));
	assert_int_equal(4, number(c.central->db, "SELECT count(*) FROM sync_inbox"));
	sync_server_bound(c.site[0].line.server, 1);
	put_location(site, "l1", 1, "Fridge");
	assert_int_equal(SYNC_OK, country_round(&c, 0));
	run(site, "UPDATE stocktake SET description = 'again' WHERE id = 't1'");
	assert_int_equal(SYNC_OK, country_round(&c, 0));
	assert_int_equal(4, number(c.central->db, "SELECT count(*) FROM sync_inbox"));
	run(site, "UPDATE stocktake_line SET item_id = 'item1'");
	country_settle(&c);
	assert_int_equal(0, number(c.central->db, "SELECT count(*) FROM sync_inbox"));
	assert_int_equal(2, number(c.central->db, "SELECT count(*) FROM stocktake_line"));
	country_close(&c);
}

static void what_would_wait_for_too_long_stays_at_its_site_until_it_is_corrected(void **state)
{
	struct country c;
	struct sync_db *site;

	open_bounded(&c, state, 2);
	site = c.site[0].db.db;
	put_count(site, "t1", "ghost");
	assert_int_equal(SYNC_OK, country_round(&c, 0));
	put_count(site, "t2", "ghost");
	assert_full(&c, "more than 2 records of this site would wait at central for something to arrive (waiting-max): central status");
	assert_int_equal(2, number(c.central->db, "SELECT count(*) FROM sync_inbox"));
	run(site, "UPDATE stocktake_line SET item_id = 'item1' WHERE id = 't2-1'");
	assert_int_equal(SYNC_OK, country_round(&c, 0));
	assert_int_equal(1, number(c.central->db, "SELECT count(*) FROM stocktake_line WHERE id = 't2-1'"));
	country_close(&c);
}

static void what_waits_for_the_rest_of_what_its_site_sends_is_taken(void **state)
{
	struct country c;
	struct sync_db *site;
	char id[8];

	open_bounded(&c, state, 2);
	c.o.chunk_max = 2;
	site = c.site[0].db.db;
	for (int i = 1; i <= 4; i++) {
		snprintf(id, sizeof id, "t%d", i);
		put_count(site, id, "item1");
	}
	run(site, "UPDATE stocktake_line SET location_id = 'l1'");
	put_location(site, "l1", 1, "Fridge");
	assert_int_equal(SYNC_OK, country_round(&c, 0));
	assert_true(c.site[0].report.requests > 4);
	assert_int_equal(0, number(c.central->db, "SELECT count(*) FROM sync_inbox"));
	assert_int_equal(4, number(c.central->db, "SELECT count(*) FROM stocktake_line WHERE location_id = 'l1'"));
	country_close(&c);
}

static void a_group_that_comes_in_parts_has_no_room_either_while_there_is_too_much(void **state)
{
	struct country c;
	struct sync_db *site;

	open_bounded(&c, state, 0);
	c.o.chunk_max = 2;
	site = c.site[0].db.db;
	put_unit(site, 1);
	put_unit(site, 2);
	assert_int_equal(SYNC_OK, country_round(&c, 0));
	sync_server_bound(c.site[0].line.server, 1);
	put_stocktake(site, "t1", 1, 4);
	assert_full(&c, "more than 1 edit of");
	assert_int_equal(0, number(c.central->db, "SELECT count(*) FROM sync_spool"));
	assert_ok(sync_waiting_discard(c.central->db, number(c.central->db, "SELECT min(id) FROM sync_waiting"), err));
	country_settle(&c);
	assert_int_equal(4, number(c.central->db, "SELECT count(*) FROM stocktake_line"));
	country_close(&c);
}

static void rows_are_counted_by_site_and_kind_and_up_to_a_limit(void **state)
{
	struct country c;
	struct sync_db *site;
	int64_t arriving, deciding;

	open_bounded(&c, state, 0);
	site = c.site[0].db.db;
	for (int i = 0; i < 5; i++)
		put_unit(site, i);
	put_count(site, "t1", "ghost");
	assert_int_equal(SYNC_OK, country_round(&c, 0));
	assert_ok(sync_waiting_count(c.central->db, c.site[0].line.site_id, 100, &arriving, &deciding, err));
	assert_int_equal(2, arriving);
	assert_int_equal(5, deciding);
	assert_ok(sync_waiting_count(c.central->db, c.site[0].line.site_id, 1, &arriving, &deciding, err));
	assert_int_equal(2, arriving + deciding);
	assert_ok(sync_waiting_count(c.central->db, 99, 100, &arriving, &deciding, err));
	assert_int_equal(0, arriving + deciding);
	country_close(&c);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TESTDB_BOTH(what_is_open_is_told_with_its_site_and_reason),
		TESTDB_BOTH(an_accepted_edit_becomes_centrals_own_and_the_site_is_told),
		TESTDB_BOTH(an_edit_that_is_still_impossible_stays_open),
		TESTDB_BOTH(a_discarded_edit_changes_nothing_and_the_site_is_told),
		TESTDB_BOTH(an_accepted_delete_deletes),
		TESTDB_BOTH(an_edit_of_central_that_lost_is_accepted_as_a_new_version),
		TESTDB_BOTH(a_grant_is_recorded_and_lets_the_join_in),
		TESTDB_BOTH(every_grant_stays_on_record_whether_given_or_not),
		TESTDB_BOTH(a_grant_for_what_makes_nothing_visible_is_refused),
		TESTDB_BOTH(what_would_leave_too_much_for_a_person_stays_at_its_site),
		TESTDB_BOTH(what_adds_nothing_is_taken_however_much_waits),
		TESTDB_BOTH(what_would_wait_for_too_long_stays_at_its_site_until_it_is_corrected),
		TESTDB_BOTH(what_waits_for_the_rest_of_what_its_site_sends_is_taken),
		TESTDB_BOTH(a_group_that_comes_in_parts_has_no_room_either_while_there_is_too_much),
		TESTDB_BOTH(rows_are_counted_by_site_and_kind_and_up_to_a_limit),
		TESTDB_ON(a_site_tells_what_waits_and_what_was_not_taken, TESTDB_SQLITE, "SQLite"),
	};
	struct sync_error err;

	if (sync_crypto_init(&err) != SYNC_OK)
		return 1;
	return cmocka_run_group_tests(tests, NULL, NULL);
}

#include "integrating.h"

#include "exchange/route.h"

static void the_later_of_two_edits_wins_and_the_other_is_kept(void **state)
{
	struct sync_db *db = central(state);
	struct sync_outcome o;
	struct edit edit;

	make_visible(db);
	run_sql(db, "DELETE FROM sync_changelog");
	/* site 8 made version 8.0a0b0c0d.1 and edits on; that base is central's version, so there is no conflict */
	edit = patient("of eight", "8.0a0b0c0d.2", "8.0a0b0c0d.1", 30);
	assert_int_equal(0, receive(db, from(8), &edit, 1).conflicts);
	/* site 7 did not know of it, and was earlier */
	edit = patient("of seven", "7.0a0b0c0d.1", "8.0a0b0c0d.1", 40);
	o = receive(db, from(7), &edit, 1);
	assert_int_equal(1, o.conflicts);
	assert_int_equal(0, o.applied);
	assert_int_equal(1, number_of(db, "SELECT count(*) FROM name WHERE name = 'of eight'"));
	assert_int_equal(1, number_of(db, "SELECT count(*) FROM sync_waiting WHERE kind = 'conflict' AND site_id = 7 AND frame LIKE '%of seven%'"));
	assert_int_equal(1, number_of(db, "SELECT count(*) FROM sync_verdict WHERE kind = 'conflict' AND site_id = 7"));
	assert_int_equal(1, number_of(db, "SELECT count(*) FROM sync_changelog WHERE action = 'R' AND source = 7"));
	/* sent again it is a repeat */
	o = receive(db, from(7), &edit, 1);
	assert_int_equal(0, o.conflicts + o.applied);
	assert_int_equal(1, number_of(db, "SELECT count(*) FROM sync_waiting"));
	/* a later one wins, and central's is kept */
	edit = patient("of seven, later", "7.0a0b0c0d.2", "8.0a0b0c0d.1", 20);
	o = receive(db, from(7), &edit, 1);
	assert_int_equal(1, o.conflicts);
	assert_int_equal(1, o.applied);
	assert_int_equal(1, number_of(db, "SELECT count(*) FROM name WHERE name = 'of seven, later'"));
	assert_int_equal(1, number_of(db, "SELECT count(*) FROM sync_waiting WHERE kind = 'conflict' AND site_id = 8 AND frame LIKE '%of eight%'"));
	assert_int_equal(1, number_of(db, "SELECT count(*) FROM sync_verdict WHERE kind = 'resolved' AND site_id = 7"));
	assert_int_equal(1, number_of(db, "SELECT count(*) FROM sync_version WHERE record_id = 'p8' AND version = '7.0a0b0c0d.2' AND creator = 8"));
	/* an edit goes on from its own site's version as long as that has received nothing else since */
	edit = patient("of seven, again", "7.0a0b0c0d.3", "8.0a0b0c0d.1", 50);
	assert_int_equal(0, receive(db, from(7), &edit, 1).conflicts);
	assert_int_equal(1, number_of(db, "SELECT count(*) FROM name WHERE name = 'of seven, again'"));
	edit = patient("of seven, by what central lost", "7.0a0b0c0d.4", "8.0a0b0c0d.3", 10);
	assert_int_equal(1, receive(db, from(7), &edit, 1).conflicts);
	assert_int_equal(1, number_of(db, "SELECT count(*) FROM sync_waiting WHERE kind = 'conflict' AND site_id = 7 AND frame LIKE '%of seven, again%'"));
}

static struct edit gtin(const char *value, int64_t seq, const char *base)
{
	return (struct edit){ SYNC_PUT, "barcode", "b1", { "gtin", value }, .seq = seq, .base = base, .age_ms = 60000 };
}

/* An edit made at central by plain SQL, routed meanwhile or not, is no version that a site has seen. */
static void what_central_itself_has_edited_is_not_overwritten_unseen(void **state)
{
	struct sync_db *db = central(state);
	struct edit edit = gtin("of eight", 1, NULL);

	assert_int_equal(1, receive(db, from(8), &edit, 1).applied);
	for (int routed = 0; routed < 2; routed++) {
		run_sql(db, "UPDATE barcode SET gtin = 'of central'");
		if (routed)
			assert_ok(sync_route(db, err));
		edit = gtin("of seven", 1 + routed, "8.0a0b0c0d.1");
		assert_int_equal(1, receive(db, from(7), &edit, 1).conflicts);
		assert_int_equal(1, number_of(db, "SELECT count(*) FROM barcode WHERE gtin = 'of central'"));
		assert_int_equal(1 + routed, number_of(db, "SELECT count(*) FROM sync_waiting WHERE kind = 'conflict' AND site_id = 7"));
	}
	/* a later edit wins, and central's is kept */
	run_sql(db, "UPDATE sync_version SET edited_us = 1");
	edit = gtin("of seven again", 3, "8.0a0b0c0d.1");
	assert_int_equal(1, receive(db, from(7), &edit, 1).applied);
	assert_int_equal(1, number_of(db, "SELECT count(*) FROM sync_waiting WHERE kind = 'conflict' AND site_id = 0 AND frame LIKE '%of central%'"));
	assert_int_equal(1, number_of(db, "SELECT count(*) FROM sync_version WHERE record_id = 'b1' AND creator = 8 AND version LIKE '7.%'"));
	/* whoever has seen central's version edits that */
	run_sql(db, "UPDATE barcode SET gtin = 'of central'; DELETE FROM sync_waiting");
	assert_ok(sync_route(db, err));
	run_sql(db, "UPDATE sync_version SET version = '0.x.1' WHERE record_id = 'b1' AND version LIKE '0.%'");
	edit = gtin("of seven at last", 4, "0.x.1");
	assert_int_equal(0, receive(db, from(7), &edit, 1).conflicts);
	assert_int_equal(1, number_of(db, "SELECT count(*) FROM barcode WHERE gtin = 'of seven at last'"));
}

static void a_delete_takes_part_in_conflicts(void **state)
{
	struct sync_db *db = central(state);
	struct edit edit;

	run_sql(db, "DELETE FROM name_store_join; INSERT INTO sync_outbox(site_id, entity, record_id, seq, action, source)"
	        " VALUES (7, 'name', 'p8', 1, 'D', 8)");
	RECEIVE(db, from(8), { SYNC_DELETE, "name", "p8", .seq = 9, .version = "8.0a0b0c0d.9", .base = "8.0a0b0c0d.1", .age_ms = 10 * 60000 });
	assert_int_equal(1, number_of(db, "SELECT count(*) FROM sync_version WHERE deleted = 1"));
	assert_int_equal(0, number_of(db, "SELECT count(*) FROM name WHERE id = 'p8'"));
	edit = patient("earlier", "7.0a0b0c0d.1", "8.0a0b0c0d.1", 20);
	receive(db, from(7), &edit, 1);
	assert_int_equal(0, number_of(db, "SELECT count(*) FROM name WHERE id = 'p8'"));
	edit = patient("later", "7.0a0b0c0d.2", "8.0a0b0c0d.1", 5);
	receive(db, from(7), &edit, 1);
	assert_int_equal(1, number_of(db, "SELECT count(*) FROM name WHERE name = 'later'"));
	assert_int_equal(2, number_of(db, "SELECT count(*) FROM sync_waiting WHERE kind = 'conflict'"));
	assert_int_equal(1, number_of(db, "SELECT count(*) FROM sync_waiting WHERE site_id = 8 AND frame LIKE '%\"a\":\"D\"%'"));
}

static void a_wrong_clock_wins_nothing(void **state)
{
	struct sync_db *db = central(state);
	struct sync_intake in = from(7);
	struct edit edit;

	make_visible(db);
	edit = patient("of eight", "8.0a0b0c0d.2", "8.0a0b0c0d.1", 0);
	receive(db, from(8), &edit, 1);
	/* a clock a year ahead makes ages that cannot be: at the most the edit was made when it came */
	in.now_us = US(NOW) - 1;
	edit = patient("of next year", "7.0a0b0c0d.1", "8.0a0b0c0d.1", 0);
	receive(db, in, &edit, 1);
	assert_int_equal(1, number_of(db, "SELECT count(*) FROM name WHERE name = 'of eight'"));
	/* a clock that was set forward meanwhile makes the edit seem old: it is no older than the last exchange */
	in.now_us = US(NOW) + 1000;
	in.last_seen_us = US(NOW) + 500;
	edit = patient("of last year", "7.0a0b0c0d.2", "8.0a0b0c0d.1", 365 * 24 * 60);
	receive(db, in, &edit, 1);
	assert_int_equal(1, number_of(db, "SELECT count(*) FROM name WHERE name = 'of last year'"));
	assert_int_equal(1, number_of(db, "SELECT count(*) FROM sync_version WHERE record_id = 'p8' AND edited_us = 60000000500"));
	/* nobody speaks for another site */
	edit = patient("forged", "8.0a0b0c0d.5", "7.0a0b0c0d.2", 0);
	receive(db, in, &edit, 1);
	assert_int_equal(0, number_of(db, "SELECT count(*) FROM sync_version WHERE version = '8.0a0b0c0d.5'"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TESTDB_BOTH(the_later_of_two_edits_wins_and_the_other_is_kept),
		TESTDB_BOTH(what_central_itself_has_edited_is_not_overwritten_unseen),
		TESTDB_BOTH(a_delete_takes_part_in_conflicts),
		TESTDB_BOTH(a_wrong_clock_wins_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

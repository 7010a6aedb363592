#include "integrating.h"

static void what_is_unknown_survives(void **state)
{
	static const char *const lines[] = {
		"{\"e\":\"novelty\",\"i\":\"x1\",\"a\":\"P\",\"q\":\"1\",\"r\":\"root\",\"d\":{\"size\":3}}",
		"{\"e\":\"location\",\"i\":\"o1\",\"a\":\"P\",\"q\":\"2\",\"d\":{\"name\":\"n\",\"code\":\"c\",\"on_hold\":false,\"store_id\":\"s1\","
		"\"volume\":1,\"colour\":\"red\"}}",
	};
	struct sync_db *db = central(state);
	defer(clear_message) struct message m = { 0 };
	struct sync_outcome o = { 0 };
	struct sync_intake in = from(7);

	for (size_t i = 0; i < COUNT(lines); i++)
		add_line(&m, lines[i]);
	assert_ok(take(db, &in, &m, &o, err));
	assert_int_equal(2, o.applied);
	assert_int_equal(1, number_of(db, "SELECT count(*) FROM sync_extra WHERE entity = 'novelty' AND record_id = 'x1' AND root_id = 'root'"
	                               " AND data = '{\"size\":3}'"));
	assert_int_equal(1, number_of(db, "SELECT count(*) FROM sync_extra WHERE entity = 'location' AND data = '{\"colour\":\"red\"}'"));
	RECEIVE(db, from(7), { SYNC_PUT, "location", "o1", { "code", "d" }, .seq = 3 }); /* of an older build: absent is unchanged */
	assert_int_equal(1, number_of(db, "SELECT count(*) FROM sync_extra WHERE entity = 'location'"));
	m.n = 0;
	add_line(&m, "{\"e\":\"novelty\",\"i\":\"x1\",\"a\":\"D\",\"q\":\"4\"}");
	assert_ok(take(db, &in, &m, &o, err));
	assert_int_equal(1, number_of(db, "SELECT count(*) FROM sync_extra WHERE entity = 'novelty' AND data = '' AND source = 7"));
	m.n = 0;
	add_line(&m, "{\"e\":\"novelty\",\"i\":\"x1\",\"a\":\"P\",\"q\":\"5\",\"d\":{\"size\":4}}");
	assert_ok(take(db, &in, &m, &o, err));
	assert_int_equal(1, number_of(db, "SELECT count(*) FROM sync_extra WHERE entity = 'novelty' AND data = '{\"size\":4}' AND source = 7"));
}

static void what_is_unknown_is_changed_by_who_brought_it(void **state)
{
	struct sync_db *db = central(state);
	defer(clear_message) struct message m = { 0 };
	struct sync_outcome o = { 0 };
	struct sync_intake seven = from(7), eight = from(8);

	add_line(&m, "{\"e\":\"novelty\",\"i\":\"x1\",\"a\":\"P\",\"q\":\"1\",\"d\":{\"size\":3}}");
	assert_ok(take(db, &seven, &m, &o, err));
	assert_ok(take(db, &eight, &m, &o, err));
	assert_int_equal(1, o.refused);
	m.n = 0;
	add_line(&m, "{\"e\":\"novelty\",\"i\":\"x1\",\"a\":\"D\",\"q\":\"2\"}");
	assert_ok(take(db, &eight, &m, &o, err));
	assert_int_equal(2, o.refused);
	assert_int_equal(2, number_of(db, "SELECT count(*) FROM sync_waiting WHERE site_id = 8 AND code = 'not_owner'"));
	assert_int_equal(1, number_of(db, "SELECT count(*) FROM sync_extra WHERE record_id = 'x1' AND source = 7"));
	assert_ok(take(db, &seven, &m, &o, err));
	assert_int_equal(1, number_of(db, "SELECT count(*) FROM sync_extra WHERE record_id = 'x1' AND source = 7 AND data = ''"));
}

/* Nobody is told of it, so it may be later than whatever a site pushes that was restored and does not know it. */
static void what_is_unknown_is_not_replaced_silently_by_a_site_that_was_restored(void **state)
{
	static const char *const later[] = {
		"{\"e\":\"novelty\",\"i\":\"x1\",\"a\":\"P\",\"q\":\"1\",\"d\":{\"size\":3}}",
		"{\"e\":\"oddity\",\"i\":\"x1\",\"a\":\"P\",\"q\":\"2\",\"d\":{\"size\":4}}",
		"{\"e\":\"novelty\",\"i\":\"x2\",\"a\":\"P\",\"q\":\"3\",\"d\":{\"size\":5}}",
		"{\"e\":\"novelty\",\"i\":\"x4\",\"a\":\"D\",\"q\":\"4\"}",
	};
	static const char *const moved[] = {
		"{\"e\":\"novelty\",\"i\":\"x1\",\"a\":\"P\",\"q\":\"5\",\"d\":{\"size\":1}}", /* was confirmed before */
		"{\"e\":\"oddity\",\"i\":\"x1\",\"a\":\"P\",\"q\":\"6\",\"d\":{\"size\":1}}",
		"{\"e\":\"novelty\",\"i\":\"x2\",\"a\":\"P\",\"q\":\"7\",\"d\":{\"size\":5}}", /* the same */
		"{\"e\":\"novelty\",\"i\":\"x3\",\"a\":\"P\",\"q\":\"8\",\"d\":{\"size\":1}}", /* new */
		"{\"e\":\"novelty\",\"i\":\"x4\",\"a\":\"P\",\"q\":\"9\",\"d\":{\"size\":1}}", /* deleted later */
	};
	struct sync_db *db = central(state);
	defer(clear_message) struct message m = { 0 };
	struct sync_outcome o = { 0 };
	struct sync_intake in = from(7);

	for (size_t i = 0; i < COUNT(later); i++)
		add_line(&m, later[i]);
	assert_ok(take(db, &in, &m, &o, err));
	run_sql(db, "UPDATE sync_site SET fork_above = 4, fork_sure = 5, fork_upto = 9 WHERE site_id = 7");
	m.n = 0;
	for (size_t i = 0; i < COUNT(moved); i++)
		add_line(&m, moved[i]);
	assert_ok(take(db, &in, &m, &o, err));
	assert_int_equal(1, number_of(db, "SELECT count(*) FROM sync_extra WHERE entity = 'novelty' AND data = '{\"size\":3}'"));
	assert_int_equal(1, number_of(db, "SELECT count(*) FROM sync_extra WHERE entity = 'oddity' AND data = '{\"size\":1}'"));
	assert_int_equal(1, number_of(db, "SELECT count(*) FROM sync_waiting WHERE entity = 'oddity' AND kind = 'conflict'"
	                               " AND code = 'restored' AND frame LIKE '%\"size\":4%'"));
	assert_int_equal(1, number_of(db, "SELECT count(*) FROM sync_waiting WHERE record_id = 'x4' AND kind = 'conflict'"
	                               " AND code = 'restored' AND frame LIKE '%\"a\":\"D\"%'"));
	assert_int_equal(2, number_of(db, "SELECT count(*) FROM sync_waiting"));
	assert_int_equal(5, number_of(db, "SELECT count(*) FROM sync_extra"));
}

/* As after an update that brings the entity. */
static void what_was_unknown_is_judged_when_it_is_adopted(void **state)
{
	struct sync_db *db = central(state);

	run_sql(db, "INSERT INTO sync_inbox(source, entity, record_id, root_id, seq, frame, code, text, received_us) VALUES"
	        " (7, 'abbreviation', 'a1', 'a1', 0, '{\"e\":\"abbreviation\",\"i\":\"a1\",\"a\":\"P\",\"d\":{\"text\":\"x\",\"expansion\":\"y\"}}',"
	        "  'adopted', '', 1)");
	retry(db);
	assert_int_equal(0, number_of(db, "SELECT count(*) FROM sync_inbox"));
	assert_int_equal(0, number_of(db, "SELECT count(*) FROM abbreviation"));
	assert_int_equal(1, number_of(db, "SELECT count(*) FROM sync_waiting WHERE site_id = 7 AND code = 'not_owner'"));
}

/* The site knows a field more than central, and keeps what it wrote there unless it is told otherwise. */
static void a_refused_edit_is_undone_in_fields_that_central_does_not_know(void **state)
{
	static const char line[] =
		"{\"e\":\"item\",\"i\":\"i1\",\"a\":\"P\",\"q\":\"1\",\"d\":{\"code\":\"mine\",\"colour\":\"red\",\"size\":3}}";
	struct sync_db *db = central(state);
	defer(clear_message) struct message m = { 0 };
	struct sync_intake in = from(7);
	struct sync_outcome o = { 0 };

	run_sql(db, "INSERT INTO sync_extra(entity, record_id, data) VALUES ('item', 'i1', '{\"size\":1}')");
	add_line(&m, line);
	assert_ok(take(db, &in, &m, &o, err));
	assert_int_equal(1, o.refused);
	assert_int_equal(1, number_of(db, "SELECT count(*) FROM sync_extra WHERE entity = 'item' AND data = '{\"colour\":null,\"size\":1}'"));
	assert_int_equal(1, number_of(db, "SELECT count(*) FROM sync_waiting WHERE frame LIKE '%\"colour\":\"red\"%'"));
}

static void nothing_is_kept_of_a_refused_record_that_central_does_not_have(void **state)
{
	struct sync_db *db = central(state);
	defer(clear_message) struct message m = { 0 };
	struct sync_intake in = from(7);
	struct sync_outcome o = { 0 };

	add_line(&m, "{\"e\":\"item\",\"i\":\"i9\",\"a\":\"P\",\"q\":\"1\",\"d\":{\"code\":\"mine\",\"colour\":\"red\"}}");
	assert_ok(take(db, &in, &m, &o, err));
	assert_int_equal(1, o.refused);
	assert_int_equal(0, number_of(db, "SELECT count(*) FROM sync_extra"));
}

/* An older site's edit, as it does not know the name of the barcode's maker: that stays as it was in the version that lost. */
static void who_knows_less_of_a_record_gets_what_became_of_it(void **state)
{
	struct sync_db *db = central(state);

	RECEIVE(db, from(8), { SYNC_PUT, "barcode", "b1", { "gtin", "1", "parent_id", "x" }, .seq = 1, .version = "8.0a0b0c0d.1", .age_ms = 60000 });
	run_sql(db, "DELETE FROM sync_changelog");
	RECEIVE(db, from(7), { SYNC_PUT, "barcode", "b1", { "gtin", "2" }, .seq = 1, .version = "7.0a0b0c0d.1", .base = "0.older" });
	assert_int_equal(1, number_of(db, "SELECT count(*) FROM barcode WHERE gtin = '2' AND parent_id = 'x'"));
	assert_int_equal(1, number_of(db, "SELECT count(*) FROM sync_changelog WHERE action = 'R' AND source = 7 AND record_id = 'b1'"));
	/* until it has that, and sends it along */
	run_sql(db, "DELETE FROM sync_changelog");
	RECEIVE(db, from(7), { SYNC_PUT, "barcode", "b1", { "gtin", "3" }, .seq = 2, .version = "7.0a0b0c0d.2", .base = "0.older" });
	assert_int_equal(1, number_of(db, "SELECT count(*) FROM sync_changelog WHERE action = 'R'"));
	run_sql(db, "DELETE FROM sync_changelog");
	RECEIVE(db, from(7), { SYNC_PUT, "barcode", "b1", { "gtin", "4", "parent_id", "x" }, .seq = 3, .version = "7.0a0b0c0d.3", .base = "0.older" });
	assert_int_equal(0, number_of(db, "SELECT count(*) FROM sync_changelog WHERE action = 'R'"));
}

static void that_holds_for_what_central_does_not_know_either(void **state)
{
	static const char line[] = "{\"e\":\"location\",\"i\":\"o1\",\"a\":\"P\",\"q\":\"3\",\"d\":{\"name\":\"n\",\"code\":\"c\","
	                           "\"on_hold\":false,\"store_id\":\"s1\",\"volume\":1,\"colour\":\"red\"}}";
	struct sync_db *db = central(state);
	defer(clear_message) struct message m = { 0 };
	struct sync_intake in = from(7);
	struct sync_outcome o = { 0 };

	RECEIVE(db, in, { SYNC_PUT, "location", "o1", .seq = 1 });
	run_sql(db, "INSERT INTO sync_extra(entity, record_id, data) VALUES ('location', 'o1', '{\"colour\":\"blue\",\"size\":1}')");
	RECEIVE(db, in, { SYNC_PUT, "location", "o1", .seq = 2 });
	assert_int_equal(1, number_of(db, "SELECT count(*) FROM sync_changelog WHERE action = 'R' AND source = 7 AND record_id = 'o1'"));
	run_sql(db, "UPDATE sync_extra SET data = '{\"colour\":\"blue\"}'; DELETE FROM sync_changelog");
	add_line(&m, line);
	assert_ok(take(db, &in, &m, &o, err));
	assert_int_equal(1, o.applied);
	assert_int_equal(0, number_of(db, "SELECT count(*) FROM sync_changelog WHERE action = 'R'"));
	assert_int_equal(1, number_of(db, "SELECT count(*) FROM sync_extra WHERE data = '{\"colour\":\"red\"}'"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TESTDB_BOTH(what_is_unknown_survives),
		TESTDB_BOTH(what_is_unknown_is_changed_by_who_brought_it),
		TESTDB_BOTH(what_is_unknown_is_not_replaced_silently_by_a_site_that_was_restored),
		TESTDB_BOTH(what_was_unknown_is_judged_when_it_is_adopted),
		TESTDB_BOTH(a_refused_edit_is_undone_in_fields_that_central_does_not_know),
		TESTDB_BOTH(nothing_is_kept_of_a_refused_record_that_central_does_not_have),
		TESTDB_BOTH(that_holds_for_what_central_does_not_know_either),
		TESTDB_BOTH(who_knows_less_of_a_record_gets_what_became_of_it),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

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
	assert_int_equal(0, number_of(db, "SELECT count(*) FROM sync_extra WHERE entity = 'novelty'"));
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
	assert_int_equal(0, number_of(db, "SELECT count(*) FROM sync_extra"));
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

int main(void)
{
	const struct CMUnitTest tests[] = {
		TESTDB_BOTH(what_is_unknown_survives),
		TESTDB_BOTH(what_is_unknown_is_changed_by_who_brought_it),
		TESTDB_BOTH(what_was_unknown_is_judged_when_it_is_adopted),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

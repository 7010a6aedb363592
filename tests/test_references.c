#include "integrating.h"

static void what_is_still_named_is_not_deleted(void **state)
{
	struct sync_db *db = central(state);
	struct sync_outcome o;

	RECEIVE(db, from(7), { SYNC_PUT, "location", "o1", .seq = 1 }, { SYNC_PUT, "location", "o2", .seq = 2 },
	        { SYNC_PUT, "stock_line", "k1", { "location_id", "o1" }, .seq = 3 }, { SYNC_PUT, "stock_line", "k2", { "location_id", "o1" }, .seq = 4 });
	o = RECEIVE(db, from(7), { SYNC_DELETE, "location", "o1", .seq = 5 });
	assert_int_equal(1, o.waiting);
	assert_int_equal(1, number_of(db, "SELECT count(*) FROM sync_inbox WHERE code = 'referenced' AND needs_entity = 'stock_line'"
	                               " AND field = 'location_id'"));
	assert_int_equal(2, number_of(db, "SELECT count(*) FROM location"));
	/* one goes elsewhere, one goes away, and with the last of them the location */
	RECEIVE(db, from(7), { SYNC_PUT, "stock_line", "k1", { "location_id", "o2" }, .seq = 6 });
	assert_int_equal(2, number_of(db, "SELECT count(*) FROM location"));
	RECEIVE(db, from(7), { SYNC_DELETE, "stock_line", "k2", .seq = 7 });
	assert_int_equal(1, number_of(db, "SELECT count(*) FROM location"));
	assert_int_equal(0, number_of(db, "SELECT count(*) FROM sync_inbox"));
	/* all in one message, and a put that names what goes */
	o = RECEIVE(db, from(7), { SYNC_DELETE, "location", "o2", .seq = 8 }, { SYNC_DELETE, "stock_line", "k1", .seq = 9 },
	            { SYNC_PUT, "stock_line", "k3", { "location_id", "o2" }, .seq = 10 });
	assert_int_equal(2, o.applied);
	assert_int_equal(1, o.waiting);
	assert_int_equal(0, number_of(db, "SELECT count(*) FROM location"));
	assert_int_equal(1, number_of(db, "SELECT count(*) FROM sync_inbox WHERE code = 'missing_reference' AND needs_id = 'o2'"));
}

/* What one failure takes with it: groups that name records of a group that waits. */
static void groups_that_name_what_waits_wait_too(void **state)
{
	struct sync_db *db = central(state);
	struct sync_outcome o = RECEIVE(db, from(7), { SYNC_PUT, "location_movement", "m1", { "stock_line_id", "k1" }, .seq = 1 },
	                                { SYNC_PUT, "stock_line", "k1", { "location_id", "o1" }, .seq = 2 },
	                                { SYNC_PUT, "location", "o1", { "location_type_id", "cold" }, .seq = 3 },
	                                { SYNC_PUT, "location", "o2", .seq = 4 });

	assert_int_equal(1, o.applied);
	assert_int_equal(3, o.waiting);
	RECEIVE(db, from(0), { SYNC_PUT, "location_type", "cold" });
	assert_int_equal(1, number_of(db, "SELECT count(*) FROM location_movement"));
	assert_int_equal(0, number_of(db, "SELECT count(*) FROM sync_inbox"));
}

/* An edit that is integrated by a process of its own, while another transaction is open; fails when it would wait for that. */
static enum sync_status integrate_beside(struct sync_db *other, int64_t source, const struct edit *edit)
{
	defer(clear_message) struct message m = { 0 };
	struct sync_intake in = from(source);
	struct sync_outcome outcome = { 0 };

	run_sql(other, "SET lock_timeout = '1ms'");
	add_edit(&m, edit);
	return take(other, &in, &m, &outcome, NULL);
}

static void what_another_transaction_comes_to_name_is_not_deleted(void **state)
{
	static const struct edit names = { SYNC_PUT, "location", "o8", { "location_type_id", "cold", "store_id", "s2" }, .seq = 1 };
	static const struct edit deletes = { SYNC_DELETE, "location_type", "cold", .seq = 2 };
	struct sync_db *db = central(state);
	defer(sync_db_closep) struct sync_db *other = NULL;
	const struct edit *const orders[][2] = { { &names, &deletes }, { &deletes, &names } };

	assert_ok(sync_db_clone(&other, db, err));
	for (size_t i = 0; i < COUNT(orders); i++) {
		bool named = orders[i][0] == &names;
		defer(clear_message) struct message m = { 0 };
		struct sync_intake in = from(named ? 8 : 0);
		struct sync_outcome outcome = { 0 };

		RECEIVE(db, from(0), { SYNC_PUT, "location_type", "cold" });
		add_edit(&m, orders[i][0]);
		assert_ok(sync_db_begin(db, true, err));
		assert_ok(sync_integrate(db, &in, m.r, m.lines, m.n, &outcome, err));
		assert_int_equal(SYNC_EBUSY, integrate_beside(other, named ? 0 : 8, orders[i][1]));
		sync_db_rollback(db);
	}
}

static void a_drop_that_is_still_named_is_held_back(void **state)
{
	struct sync_db *db = site(state);
	struct sync_outcome o;

	RECEIVE(db, from(0), { SYNC_PUT, "stocktake", "t1" }, { SYNC_PUT, "stocktake_line", "l1", { "stocktake_id", "t1" } },
	        { SYNC_PUT, "location", "o1" });
	o = RECEIVE(db, from(0), { SYNC_DROP, "stocktake", "t1" }, { SYNC_DROP, "location", "o1" });
	assert_int_equal(1, o.waiting);
	assert_int_equal(1, o.applied);
	assert_int_equal(1, number_of(db, "SELECT count(*) FROM stocktake"));
	assert_int_equal(1, number_of(db, "SELECT count(*) FROM sync_inbox WHERE code = 'referenced'"));
	retry(db);
	assert_int_equal(1, number_of(db, "SELECT count(*) FROM stocktake"));
	run_sql(db, "DELETE FROM stocktake_line"); /* an application does */
	retry(db);
	assert_int_equal(0, number_of(db, "SELECT count(*) FROM stocktake"));
	assert_int_equal(0, number_of(db, "SELECT count(*) FROM sync_inbox"));
}

static void a_reference_that_need_not_be_here_may_dangle(void **state)
{
	struct sync_db *db = site(state);
	struct sync_outcome o = RECEIVE(db, from(0), { SYNC_PUT, "stock_line", "k1", { "supplier_id", "unseen" } },
	                                { SYNC_PUT, "stock_line", "k2", { "item_id", "unseen" } });

	assert_int_equal(0, o.refused);
	assert_int_equal(1, number_of(db, "SELECT count(*) FROM stock_line WHERE id = 'k1' OR supplier_id = 'unseen'") +
	                            number_of(db, "SELECT count(*) FROM sync_inbox WHERE record_id = 'k1'"));
	assert_int_equal(1, number_of(db, "SELECT count(*) FROM sync_inbox WHERE record_id = 'k2' AND needs_entity = 'item'"));
	RECEIVE(db, from(0), { SYNC_PUT, "item", "unseen" });
	assert_int_equal(1, number_of(db, "SELECT count(*) FROM stock_line WHERE id = 'k2'"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TESTDB_BOTH(what_is_still_named_is_not_deleted),
		TESTDB_BOTH(groups_that_name_what_waits_wait_too),
		TESTDB_ON(what_another_transaction_comes_to_name_is_not_deleted, TESTDB_POSTGRES, "PostgreSQL"),
		TESTDB_ON(a_drop_that_is_still_named_is_held_back, TESTDB_SQLITE, "SQLite"),
		TESTDB_ON(a_reference_that_need_not_be_here_may_dangle, TESTDB_SQLITE, "SQLite"),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

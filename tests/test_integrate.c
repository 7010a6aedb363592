#include "integrating.h"

#include "faulty_db.h"

static void an_edit_of_an_own_store_is_applied_and_captured_with_its_source(void **state)
{
	struct sync_db *db = central(state);
	struct sync_outcome o = RECEIVE(db, from(7), { SYNC_PUT, "stocktake", "t1", { "description", "first" }, .seq = 1 },
	                                { SYNC_PUT, "stocktake_line", "l1", { "stocktake_id", "t1" }, .seq = 2 },
	                                { SYNC_PUT, "location", "o1", .seq = 3 });

	assert_int_equal(3, o.applied);
	assert_int_equal(0, o.waiting + o.refused + o.conflicts);
	assert_int_equal(3, number_of(db, "SELECT count(*) FROM sync_changelog WHERE source = 7 AND action = 'P'"));
	assert_int_equal(3, number_of(db, "SELECT count(*) FROM sync_changelog"));
	assert_int_equal(0, number_of(db, "SELECT count(*) FROM sync_verdict"));

	o = RECEIVE(db, from(7), { SYNC_DELETE, "stocktake", "t1", .seq = 4 },
	            { SYNC_DELETE, "stocktake_line", "l1", .root = "t1", .seq = 5 });
	assert_int_equal(2, o.applied);
	assert_int_equal(0, number_of(db, "SELECT count(*) FROM stocktake_line"));
	assert_int_equal(2, number_of(db, "SELECT count(*) FROM sync_changelog WHERE source = 7 AND action = 'D'"));
	run_sql(db, "UPDATE location SET code = 'by hand'");
	assert_int_equal(1, number_of(db, "SELECT count(*) FROM sync_changelog WHERE source = 0"));
	assert_clean(db);
}

static void a_bad_line_makes_its_group_wait_and_no_other(void **state)
{
	struct sync_db *db = central(state);
	struct sync_outcome o =
		RECEIVE(db, from(7), { SYNC_PUT, "stocktake", "t1", .seq = 1 }, { SYNC_PUT, "stocktake_line", "l1", { "stocktake_id", "t1" }, .seq = 2 },
	                { SYNC_PUT, "stocktake", "t2", .seq = 3 }, { SYNC_PUT, "stocktake_line", "l2", { "stocktake_id", "t2" }, .seq = 4 },
	                { SYNC_PUT, "stocktake_line", "l3", { "stocktake_id", "t2", "snapshot_number_of_packs", "" }, .seq = 5 },
	                { SYNC_PUT, "stocktake", "t3", .seq = 6 });

	assert_int_equal(3, o.applied);
	assert_int_equal(3, o.waiting);
	assert_int_equal(2, number_of(db, "SELECT count(*) FROM stocktake WHERE id IN ('t1', 't3')"));
	assert_int_equal(0, number_of(db, "SELECT count(*) FROM stocktake WHERE id = 't2'"));
	assert_int_equal(1, number_of(db, "SELECT count(*) FROM stocktake_line"));
	assert_int_equal(2, number_of(db, "SELECT count(*) FROM sync_inbox WHERE code = 'group' AND root_id = 't2' AND source = 7"));
	assert_int_equal(1, number_of(db, "SELECT count(*) FROM sync_inbox WHERE record_id = 'l3' AND field = 'snapshot_number_of_packs'"));
	assert_int_equal(1, number_of(db, "SELECT count(*) FROM sync_verdict WHERE kind = 'waiting' AND record_id = 'l3' AND seq = 5 AND n = 1"));
	assert_int_equal(1, number_of(db, "SELECT count(*) FROM sync_verdict"));

	/* the line is put right: the group goes on with what waits of it, and the site learns that all is well */
	o = RECEIVE(db, from(7), { SYNC_PUT, "stocktake_line", "l3", { "stocktake_id", "t2" }, .seq = 7 });
	assert_int_equal(3, o.applied);
	assert_int_equal(3, number_of(db, "SELECT count(*) FROM stocktake_line"));
	assert_int_equal(0, number_of(db, "SELECT count(*) FROM sync_inbox"));
	assert_int_equal(1, number_of(db, "SELECT count(*) FROM sync_verdict WHERE kind = 'resolved' AND record_id = 'l3' AND seq = 7 AND n = 2"));
	assert_clean(db);
}

/* All orders of four groups, of which each but the first names the one before. */
static void whatever_order_they_come_in_what_waits_is_integrated(void **state)
{
	static const struct edit edits[] = {
		{ SYNC_PUT, "location", "o1", .seq = 1 },
		{ SYNC_PUT, "stock_line", "k1", { "location_id", "o1" }, .seq = 2 },
		{ SYNC_PUT, "location_movement", "m1", { "stock_line_id", "k1" }, .seq = 3 },
		{ SYNC_PUT, "stocktake_line", "l1", { "stocktake_id", "t1", "stock_line_id", "k1" }, .seq = 4 },
		{ SYNC_PUT, "stocktake", "t1", .seq = 5 },
	};
	struct sync_db *db = central(state);

	for (unsigned order = 0; order < 120; order++) {
		bool sent[5] = { false };
		int64_t applied = 0, waiting = 0;

		for (unsigned left = 5, rest = order; left > 0; rest /= left, left--) {
			unsigned at = rest % left, k = 0;

			for (;; k++)
				if (!sent[k] && at-- == 0)
					break;
			sent[k] = true;
			struct sync_outcome o = receive(db, from(7), &edits[k], 1);
			applied += o.applied;
			waiting += o.waiting;
		}
		assert_int_equal(5, applied);
		assert_int_equal(0, number_of(db, "SELECT count(*) FROM sync_inbox"));
		assert_int_equal(2, number_of(db, "SELECT count(*) FROM location_movement, stocktake_line, stocktake, stock_line, location") +
		                            number_of(db, "SELECT count(*) FROM stocktake"));
		assert_int_equal(number_of(db, "SELECT count(*) FROM sync_verdict WHERE kind = 'waiting'") > 0, waiting > 0);
		assert_int_equal(0, number_of(db, "SELECT count(*) FROM sync_verdict v WHERE kind = 'waiting' AND NOT EXISTS"
		                               " (SELECT 1 FROM sync_verdict r WHERE r.kind = 'resolved' AND r.record_id = v.record_id AND r.n > v.n)"));
		run_sql(db, "DELETE FROM location_movement; DELETE FROM stocktake_line; DELETE FROM stocktake; DELETE FROM stock_line;"
		        " DELETE FROM location; DELETE FROM sync_verdict; DELETE FROM sync_changelog");
	}
}

static void the_reason_names_what_is_missing_and_anybody_may_bring_it(void **state)
{
	struct sync_db *db = central(state);

	RECEIVE(db, from(7), { SYNC_PUT, "location", "o1", { "location_type_id", "cold" }, .seq = 1 });
	RECEIVE(db, from(8), { SYNC_PUT, "location", "o2", { "location_type_id", "cold", "store_id", "s2" }, .seq = 1 });
	assert_int_equal(2, number_of(db, "SELECT count(*) FROM sync_inbox WHERE code = 'missing_reference' AND field = 'location_type_id'"
	                               " AND needs_entity = 'location_type' AND needs_id = 'cold'"));
	RECEIVE(db, from(0), { SYNC_PUT, "location_type", "cold" });
	assert_int_equal(2, number_of(db, "SELECT count(*) FROM location"));
	assert_int_equal(1, number_of(db, "SELECT count(*) FROM sync_changelog WHERE record_id = 'o1' AND action = 'P' AND source = 7"));
	assert_int_equal(1, number_of(db, "SELECT count(*) FROM sync_changelog WHERE record_id = 'o2' AND action = 'P' AND source = 8"));
	assert_int_equal(2, number_of(db, "SELECT count(*) FROM sync_verdict WHERE kind = 'resolved'"));

	/* what nobody told the integrator of is found later */
	RECEIVE(db, from(7), { SYNC_PUT, "location", "o3", { "location_type_id", "hot" }, .seq = 2 });
	run_sql(db, "INSERT INTO location_type(id, name, min_temperature, max_temperature) VALUES ('hot', 'Hot', 1, 2)");
	retry(db);
	assert_int_equal(3, number_of(db, "SELECT count(*) FROM location"));
	assert_int_equal(0, number_of(db, "SELECT count(*) FROM sync_inbox"));
	assert_clean(db);
}

static void what_waited_goes_back_to_its_sender_when_it_is_applied(void **state)
{
	struct sync_db *db = central(state);

	RECEIVE(db, from(7), { SYNC_PUT, "location", "o1", { "location_type_id", "cold" }, .seq = 1 },
	        { SYNC_PUT, "location", "o2", .seq = 2 });
	assert_int_equal(0, number_of(db, "SELECT count(*) FROM sync_changelog WHERE action = 'R'"));
	RECEIVE(db, from(0), { SYNC_PUT, "location_type", "cold" });
	assert_int_equal(1, number_of(db, "SELECT count(*) FROM sync_changelog WHERE action = 'R'"));
	assert_int_equal(1, number_of(db, "SELECT count(*) FROM sync_changelog r JOIN sync_changelog p ON p.record_id = r.record_id"
	                               " WHERE r.action = 'R' AND r.source = 7 AND r.record_id = 'o1' AND p.action = 'P' AND p.seq < r.seq"));
	assert_clean(db);
}

static void what_is_received_again_changes_nothing(void **state)
{
	static const struct edit edits[] = {
		{ SYNC_PUT, "name", "p7", { "type", "PATIENT" }, .seq = 1, .version = "7.0a0b0c0d.1" },
		{ SYNC_PUT, "name_store_join", "j7", { "name_id", "p7" }, .seq = 2 },
		{ SYNC_PUT, "stocktake", "t1", .seq = 3 },
		{ SYNC_PUT, "stocktake_line", "l1", { "stocktake_id", "t1", "location_id", "late" }, .seq = 4 },
		{ SYNC_PUT, "location", "o8", { "store_id", "s2" }, .seq = 5 },
	};
	struct sync_db *db = central(state);

	for (int i = 0; i < 3; i++) {
		receive(db, from(7), edits, COUNT(edits));
		assert_int_equal(2, number_of(db, "SELECT count(*) FROM name WHERE type = 'PATIENT'"));
		assert_int_equal(2, number_of(db, "SELECT count(*) FROM name_store_join"));
		assert_int_equal(2, number_of(db, "SELECT count(*) FROM sync_inbox"));
		assert_int_equal(1, number_of(db, "SELECT count(*) FROM sync_waiting"));
		assert_int_equal(1, number_of(db, "SELECT count(*) FROM sync_seen WHERE record_id = 'p7'"));
		assert_int_equal(1, number_of(db, "SELECT count(*) FROM sync_verdict WHERE kind = 'waiting'"));
		assert_int_equal(1, number_of(db, "SELECT count(*) FROM sync_changelog WHERE record_id = 'p7'"));
	}
	/* a group that comes twice in one message, and a record that does */
	RECEIVE(db, from(7), { SYNC_PUT, "location", "o1", { "code", "one" }, .seq = 6 }, { SYNC_PUT, "location", "o2", .seq = 7 },
	        { SYNC_PUT, "location", "o1", { "code", "two" }, .seq = 8 });
	assert_int_equal(1, number_of(db, "SELECT count(*) FROM location WHERE id = 'o1' AND code = 'two'"));
}

static void only_a_record_that_exists_may_omit_a_required_field(void **state)
{
	struct sync_db *db = central(state);
	struct sync_outcome o = RECEIVE(db, from(7), { SYNC_PUT, "location", "o1", { "store_id", "s1", "code", "new" }, .seq = 1, .bare = true });

	assert_int_equal(1, o.waiting);
	assert_int_equal(1, number_of(db, "SELECT count(*) FROM sync_inbox WHERE code = 'missing_field' AND field = 'name' AND needs_id = 'o1'"));
	/* what it lacked comes: together they are the record */
	RECEIVE(db, from(7), { SYNC_PUT, "location", "o1", { "name", "Fridge", "on_hold", "0", "volume", "2", "store_id", "s1" }, .seq = 2, .bare = true });
	assert_int_equal(1, number_of(db, "SELECT count(*) FROM location WHERE code = 'new' AND name = 'Fridge'"));
	assert_int_equal(0, number_of(db, "SELECT count(*) FROM sync_inbox"));
	o = RECEIVE(db, from(7), { SYNC_PUT, "location", "o1", { "code", "newer" }, .seq = 3, .bare = true });
	assert_int_equal(1, o.applied);
	assert_int_equal(1, number_of(db, "SELECT count(*) FROM location WHERE code = 'newer' AND name = 'Fridge'"));
}

/* Of several processes on one server, none waits for another because of what waits. */
static void a_group_of_a_site_that_is_busy_is_left_for_later(void **state)
{
	struct sync_db *db = central(state);
	defer(sync_db_closep) struct sync_db *other = NULL;

	RECEIVE(db, from(8), { SYNC_PUT, "location", "o8", { "location_type_id", "cold", "store_id", "s2" }, .seq = 1 });
	assert_ok(sync_db_clone(&other, db, err));
	assert_ok(sync_db_begin(other, true, err));
	assert_int_equal(8, number_of(other, "UPDATE sync_site SET unpushed = 0 WHERE site_id = 8 RETURNING site_id"));
	RECEIVE(db, from(0), { SYNC_PUT, "location_type", "cold" });
	retry(db);
	assert_int_equal(1, number_of(db, "SELECT count(*) FROM sync_inbox"));
	assert_ok(sync_db_commit(other, err));
	retry(db);
	assert_int_equal(1, number_of(db, "SELECT count(*) FROM location"));
	assert_int_equal(0, number_of(db, "SELECT count(*) FROM sync_inbox"));
}

static void what_a_trigger_alters_before_it_is_stored_is_an_edit(void **state)
{
	struct sync_db *db = central(state);

	RECEIVE(db, from(7), { SYNC_PUT, "location", "o4", .seq = 1 });
	run_sql(db, "CREATE FUNCTION loud() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN"
	        "    IF TG_OP = 'DELETE' OR NEW.code = 'no' THEN RETURN NULL; END IF;"
	        "    NEW.code := upper(NEW.code); RETURN NEW; END $$;"
	        "CREATE TRIGGER loud BEFORE INSERT OR UPDATE OR DELETE ON location FOR EACH ROW EXECUTE FUNCTION loud();"
	        "DELETE FROM sync_changelog");
	RECEIVE(db, from(7), { SYNC_PUT, "location", "o1", { "code", "soft" }, .seq = 2 },
	        { SYNC_PUT, "location", "o2", { "code", "LOUD", "volume", "2.5" }, .seq = 3 },
	        { SYNC_PUT, "location", "o3", { "code", "no" }, .seq = 4 }, { SYNC_PUT, "stocktake", "t1", .seq = 5 },
	        { SYNC_DELETE, "location", "o4", .seq = 6 });
	assert_int_equal(3, number_of(db, "SELECT count(*) FROM sync_changelog WHERE source = 7 AND action = 'P'"));
	assert_int_equal(2, number_of(db, "SELECT count(*) FROM sync_changelog WHERE source = 0 AND action = 'P' AND record_id IN ('o1', 'o4')"));
	assert_int_equal(1, number_of(db, "SELECT count(*) FROM sync_changelog WHERE source = 7 AND action = 'R' AND record_id = 'o3'"));
	assert_int_equal(6, number_of(db, "SELECT count(*) FROM sync_changelog"));
	assert_int_equal(1, number_of(db, "SELECT count(*) FROM sync_changelog a JOIN sync_changelog b ON a.record_id = b.record_id AND a.seq < b.seq"
	                               "    WHERE a.record_id = 'o1' AND a.source = 7 AND b.source = 0 AND a.new = b.new"));
}

/* whatever call of the database fails */

static void check_failure(struct sync_db *db, const struct message *m, const struct sync_intake *in, long n, bool *ret_failed)
{
	struct sync_outcome o = { 0 };
	enum sync_status status;
	struct sync_error seen;

	faulty_db_arm(n);
	status = take(db, in, m, &o, &seen);
	*ret_failed = faulty_db_disarm();
	if (!*ret_failed) {
		assert_int_equal(SYNC_OK, status);
		return;
	}
	assert_int_equal(SYNC_EIO, status);
	assert_false(sync_db_in_transaction(db));
	assert_int_equal(1, number_of(db, "SELECT count(*) FROM sync_inbox WHERE record_id = 'o2'"));
	assert_int_equal(1, number_of(db, "SELECT count(*) FROM sync_inbox"));
	assert_int_equal(0, number_of(db, "SELECT count(*) FROM stocktake") + number_of(db, "SELECT count(*) FROM location"));
	assert_int_equal(0, number_of(db, "SELECT count(*) FROM sync_waiting") + number_of(db, "SELECT count(*) FROM sync_changelog"));
	assert_int_equal(1, number_of(db, "SELECT count(*) FROM sync_verdict"));
	assert_clean(db);
}

static void a_failure_anywhere_keeps_all_or_nothing(void **state)
{
	struct testdb *t = testdb_of(state);
	const struct sync_db_ops *drivers[] = { faulty_db(t->kind == TESTDB_SQLITE ? &sync_sqlite : &sync_postgres), NULL };
	defer(clear_message) struct message m = { 0 };
	struct sync_intake in = from(7);
	bool failed = true;

	assert_ok(sync_db_open(&t->db, t->url, drivers, SYNC_CENTRAL, true, err));
	make_central(t->db);
	RECEIVE(t->db, from(7), { SYNC_PUT, "location", "o2", { "location_type_id", "cold" }, .seq = 1 });
	run_sql(t->db, "INSERT INTO location_type(id, name, min_temperature, max_temperature) VALUES ('cold', 'Cold', 2, 8);"
	           " DELETE FROM sync_changelog");
	add_edit(&m, &(struct edit){ SYNC_PUT, "location", "o2", { "location_type_id", "cold" }, .seq = 2 });
	add_edit(&m, &(struct edit){ SYNC_PUT, "stocktake", "t1", .seq = 3 });
	add_edit(&m, &(struct edit){ SYNC_PUT, "stocktake_line", "l1", { "stocktake_id", "t1" }, .seq = 4 });
	add_edit(&m, &(struct edit){ SYNC_PUT, "location", "o9", { "store_id", "s2" }, .seq = 5 });
	add_edit(&m, &(struct edit){ SYNC_PUT, "location", "o4", { "location_type_id", "hot" }, .seq = 6 });
	add_edit(&m, &(struct edit){ SYNC_PUT, "name", "p7", { "type", "PATIENT" }, .seq = 7 });
	add_edit(&m, &(struct edit){ SYNC_PUT, "name_store_join", "j7", { "name_id", "p7" }, .seq = 8 });
	for (long n = 0; failed; n++)
		check_failure(t->db, &m, &in, n, &failed);
	assert_int_equal(1, number_of(t->db, "SELECT count(*) FROM stocktake_line"));
	assert_int_equal(1, number_of(t->db, "SELECT count(*) FROM location"));
	assert_int_equal(1, number_of(t->db, "SELECT count(*) FROM sync_inbox WHERE record_id = 'o4'"));
	assert_int_equal(1, number_of(t->db, "SELECT count(*) FROM sync_waiting"));
	sync_db_close(t->db);
	t->db = NULL;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TESTDB_BOTH(an_edit_of_an_own_store_is_applied_and_captured_with_its_source),
		TESTDB_BOTH(a_bad_line_makes_its_group_wait_and_no_other),
		TESTDB_BOTH(whatever_order_they_come_in_what_waits_is_integrated),
		TESTDB_BOTH(the_reason_names_what_is_missing_and_anybody_may_bring_it),
		TESTDB_BOTH(what_waited_goes_back_to_its_sender_when_it_is_applied),
		TESTDB_BOTH(what_is_received_again_changes_nothing),
		TESTDB_BOTH(only_a_record_that_exists_may_omit_a_required_field),
		TESTDB_ON(what_a_trigger_alters_before_it_is_stored_is_an_edit, TESTDB_POSTGRES, "PostgreSQL"),
		TESTDB_ON(a_group_of_a_site_that_is_busy_is_left_for_later, TESTDB_POSTGRES, "PostgreSQL"),
		TESTDB_BOTH(a_failure_anywhere_keeps_all_or_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

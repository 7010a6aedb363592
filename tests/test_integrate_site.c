#include "integrating.h"

static void integrated(struct sync_db *db, int64_t upto)
{
	assert_ok(sync_db_run_text(db, "UPDATE sync_link SET out_integrated = $1", SYNC_ARGS(sync_int(upto)), NULL, NULL, err));
}

static void what_was_pulled_is_not_captured_but_what_triggers_do_about_it_is(void **state)
{
	struct sync_db *db = site(state);

	run_sql(db, "CREATE TRIGGER app AFTER INSERT ON stocktake BEGIN UPDATE item SET code = 'counted' WHERE id = 'i1'; END");
	RECEIVE(db, from(0), { SYNC_PUT, "stocktake", "t1" }, { SYNC_PUT, "stocktake_line", "l1", { "stocktake_id", "t1" } });
	assert_int_equal(1, number_of(db, "SELECT count(*) FROM sync_changelog"));
	assert_int_equal(1, number_of(db, "SELECT count(*) FROM sync_changelog WHERE entity = 'item' AND record_id = 'i1'"));
	run_sql(db, "UPDATE stocktake SET description = 'mine'");
	assert_int_equal(1, number_of(db, "SELECT count(*) FROM sync_changelog WHERE entity = 'stocktake'"));
	RECEIVE(db, from(0), { SYNC_DROP, "stocktake_line", "l1", .root = "t1" }, { SYNC_DELETE, "location", "never was here" });
	assert_int_equal(2, number_of(db, "SELECT count(*) FROM sync_changelog"));
	assert_clean(db);
}

static void an_own_edit_is_safe_until_central_has_it(void **state)
{
	struct sync_db *db = site(state);
	struct sync_intake in = from(0);
	struct sync_outcome o;

	RECEIVE(db, in, { SYNC_PUT, "stocktake", "t1", { "description", "old" } }, { SYNC_PUT, "location", "o1" });
	run_sql(db, "UPDATE stocktake SET description = 'mine'"); /* seq 1 */
	run_sql(db, "UPDATE location SET code = 'mine'");         /* seq 2 */
	o = RECEIVE(db, in, { SYNC_PUT, "stocktake", "t1", { "description", "theirs" } },
	            { SYNC_PUT, "stocktake_line", "l1", { "stocktake_id", "t1" } }, { SYNC_DROP, "location", "o1" });
	assert_int_equal(3, o.waiting);
	assert_int_equal(2, number_of(db, "SELECT count(*) FROM sync_inbox WHERE code = 'local_edit'"));
	retry(db);
	assert_int_equal(1, number_of(db, "SELECT count(*) FROM stocktake WHERE description = 'mine'"));
	integrated(db, 1); /* by what central had of both it took ours; the line that came along is integrated */
	retry(db);
	assert_int_equal(1, number_of(db, "SELECT count(*) FROM stocktake WHERE description = 'mine'"));
	assert_int_equal(1, number_of(db, "SELECT count(*) FROM stocktake_line"));
	assert_int_equal(1, number_of(db, "SELECT count(*) FROM location"));
	integrated(db, 2); /* the location is no longer this site's all the same */
	retry(db);
	assert_int_equal(0, number_of(db, "SELECT count(*) FROM location"));
	assert_int_equal(0, number_of(db, "SELECT count(*) FROM sync_inbox"));
	in.integrated = 2;
	RECEIVE(db, in, { SYNC_PUT, "stocktake", "t1", { "description", "theirs at last" } });
	assert_int_equal(1, number_of(db, "SELECT count(*) FROM stocktake WHERE description = 'theirs at last'"));
	assert_int_equal(1, number_of(db, "SELECT count(*) FROM sync_changelog")); /* what was dropped is no edit of the site's any more */
}

static void what_waited_does_not_undo_an_edit_made_meanwhile(void **state)
{
	struct sync_db *db = site(state);

	RECEIVE(db, from(0), { SYNC_PUT, "location", "o1", { "code", "old" } });
	RECEIVE(db, from(0), { SYNC_PUT, "location", "o1", { "code", "theirs", "location_type_id", "cold" } });
	run_sql(db, "UPDATE location SET code = 'mine'");
	integrated(db, 1);
	struct sync_intake in = from(0);
	in.integrated = 1;
	RECEIVE(db, in, { SYNC_PUT, "location_type", "cold" });
	assert_int_equal(1, number_of(db, "SELECT count(*) FROM location WHERE code = 'mine'"));
	assert_int_equal(0, number_of(db, "SELECT count(*) FROM sync_inbox"));
}

/* Central has an older version of the group, since the site's newest waits there. */
static void a_group_of_which_an_edit_waits_at_central_stays_as_it_is_here(void **state)
{
	struct sync_db *db = site(state);
	struct sync_intake in = from(0);

	RECEIVE(db, in, { SYNC_PUT, "stocktake", "t1", { "description", "old" } });
	run_sql(db, "UPDATE stocktake SET description = 'mine'"); /* seq 1 */
	RECEIVE(db, in, { SYNC_PUT, "stocktake_line", "l1", { "stocktake_id", "t1" } });
	run_sql(db, "UPDATE stocktake_line SET comment = 'mine'"); /* seq 2 */
	in.integrated = 2;
	integrated(db, 2);
	run_sql(db, "INSERT INTO sync_verdict(site_id, n, kind, entity, record_id, seq, code, text, at_us)"
	            " VALUES (0, 1, 'waiting', 'stocktake_line', 'l1', 2, 'missing_reference', '', 0)");
	RECEIVE(db, in, { SYNC_PUT, "stocktake", "t1", { "description", "older" } }, { SYNC_PUT, "location", "o1" },
	        { SYNC_PUT, "stocktake", "t2" });
	assert_int_equal(1, number_of(db, "SELECT count(*) FROM stocktake WHERE description = 'mine'"));
	assert_int_equal(1, number_of(db, "SELECT count(*) FROM stocktake WHERE id = 't2'"));
	assert_int_equal(1, number_of(db, "SELECT count(*) FROM location"));
	retry(db);
	assert_int_equal(1, number_of(db, "SELECT count(*) FROM sync_inbox WHERE code = 'waiting_edit' AND needs_id = 'l1'"));

	run_sql(db, "DELETE FROM sync_verdict"); /* it goes on there: what central has decided comes anew */
	retry(db);
	assert_int_equal(0, number_of(db, "SELECT count(*) FROM sync_inbox"));
	assert_int_equal(1, number_of(db, "SELECT count(*) FROM stocktake WHERE description = 'mine'"));
	RECEIVE(db, in, { SYNC_PUT, "stocktake", "t1", { "description", "decided" } });
	assert_int_equal(1, number_of(db, "SELECT count(*) FROM stocktake WHERE description = 'decided'"));
}

static void what_is_deleted_here_stays_so_while_that_waits_at_central(void **state)
{
	struct sync_db *db = site(state);
	struct sync_intake in = from(0);

	RECEIVE(db, in, { SYNC_PUT, "location", "o1", { "code", "old" } });
	run_sql(db, "DELETE FROM location"); /* seq 1 */
	in.integrated = 1;
	integrated(db, 1);
	run_sql(db, "INSERT INTO sync_verdict(site_id, n, kind, entity, record_id, seq, code, text, at_us)"
	            " VALUES (0, 1, 'waiting', 'location', 'o1', 1, 'referenced', '', 0)");
	RECEIVE(db, in, { SYNC_PUT, "location", "o1", { "code", "old" } });
	assert_int_equal(0, number_of(db, "SELECT count(*) FROM location"));
	assert_int_equal(1, number_of(db, "SELECT count(*) FROM sync_inbox WHERE code = 'waiting_edit'"));
}

static void a_group_of_which_an_edit_waits_at_central_can_be_deleted(void **state)
{
	struct sync_db *db = site(state);
	struct sync_intake in = from(0);

	RECEIVE(db, in, { SYNC_PUT, "stocktake", "t1" }, { SYNC_PUT, "stocktake_line", "l1", { "stocktake_id", "t1" } });
	run_sql(db, "INSERT INTO sync_verdict(site_id, n, kind, entity, record_id, seq, code, text, at_us)"
	            " VALUES (0, 1, 'waiting', 'stocktake_line', 'l1', 2, 'missing_reference', '', 0)");
	RECEIVE(db, in, { SYNC_DROP, "stocktake_line", "l1", .root = "t1" }, { SYNC_DROP, "stocktake", "t1" });
	assert_int_equal(0, number_of(db, "SELECT (SELECT count(*) FROM stocktake) + (SELECT count(*) FROM stocktake_line)"));
}

static void the_version_of_what_was_pulled_is_the_base_of_the_next_edit(void **state)
{
	struct sync_db *db = site(state);
	struct sync_intake in = from(0);

	RECEIVE(db, in, { SYNC_PUT, "barcode", "b1", .version = "8.0a0b0c0d.1" });
	run_sql(db, "UPDATE barcode SET gtin = 'mine'"); /* seq 1 */
	run_sql(db, "UPDATE barcode SET gtin = 'mine again'"); /* seq 2 */
	assert_int_equal(1, number_of(db, "SELECT count(*) FROM sync_changelog WHERE base = '8.0a0b0c0d.1'"));
	in.integrated = 2;
	RECEIVE(db, in, { SYNC_PUT, "barcode", "b1", .version = "8.0a0b0c0d.2" });
	assert_int_equal(1, number_of(db, "SELECT count(*) FROM sync_changelog WHERE base IS NULL"));
	run_sql(db, "UPDATE barcode SET gtin = 'mine anew'");
	assert_int_equal(1, number_of(db, "SELECT count(*) FROM sync_changelog WHERE base = '8.0a0b0c0d.2' AND seq = 3"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TESTDB_ON(what_was_pulled_is_not_captured_but_what_triggers_do_about_it_is, TESTDB_SQLITE, "SQLite"),
		TESTDB_ON(an_own_edit_is_safe_until_central_has_it, TESTDB_SQLITE, "SQLite"),
		TESTDB_ON(a_group_of_which_an_edit_waits_at_central_stays_as_it_is_here, TESTDB_SQLITE, "SQLite"),
		TESTDB_ON(what_is_deleted_here_stays_so_while_that_waits_at_central, TESTDB_SQLITE, "SQLite"),
		TESTDB_ON(a_group_of_which_an_edit_waits_at_central_can_be_deleted, TESTDB_SQLITE, "SQLite"),
		TESTDB_ON(what_waited_does_not_undo_an_edit_made_meanwhile, TESTDB_SQLITE, "SQLite"),
		TESTDB_ON(the_version_of_what_was_pulled_is_the_base_of_the_next_edit, TESTDB_SQLITE, "SQLite"),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

#include "routing.h"

#include "exchange/integrate.h"
#include "exchange/stores.h"

/* Site 1 with store s1 of name n1, site 2 with store s2 of name n2; routed. */
static struct sync_db *country(void **state)
{
	struct testdb *t = testdb_of(state);

	testdb_open(t, SYNC_CENTRAL);
	add_store(t->db, 1, "s1", "n1");
	add_store(t->db, 2, "s2", "n2");
	settle(t->db);
	return t->db;
}

static void central_records_go_to_everybody_once(void **state)
{
	struct sync_db *db = country(state);
	int64_t before = newest_seq(db);

	PUT(db, "item", "i1");
	settle(db);
	assert_outbox(db, 0, before, "P item i1");
	assert_outbox(db, 1, before, "");
	assert_outbox(db, 2, before, "");
}

static void store_records_go_to_the_stores_site(void **state)
{
	struct sync_db *db = country(state);
	int64_t before = newest_seq(db);

	PUT(db, "location", "l1", "store_id", "s1");
	PUT(db, "location", "l2", "store_id", "s2");
	PUT(db, "location", "l3", "store_id", "nowhere");
	settle(db);
	assert_outbox(db, 0, before, "");
	assert_outbox(db, 1, before, "P location l1");
	assert_outbox(db, 2, before, "P location l2");
}

static void transfers_go_to_the_other_partys_site_with_their_lines(void **state)
{
	struct sync_db *db = country(state);
	int64_t before = newest_seq(db);

	PUT(db, "invoice", "v1", "store_id", "s1", "name_id", "n2");
	PUT(db, "invoice_line", "v1a", "invoice_id", "v1");
	settle(db);
	assert_outbox(db, 1, before, "P invoice v1, P invoice_line v1a");
	assert_outbox(db, 2, before, "P invoice v1, P invoice_line v1a");
}

static void conditions_decide_between_routes(void **state)
{
	struct sync_db *db = country(state);
	int64_t before = newest_seq(db);

	PUT(db, "preference", "p0", "store_id", "");
	PUT(db, "preference", "p1", "store_id", "s1");
	settle(db);
	assert_outbox(db, 0, before, "P preference p0");
	assert_outbox(db, 1, before, "P preference p1");
	before = newest_seq(db);
	PUT(db, "preference", "p1", "store_id", "");
	settle(db);
	assert_outbox(db, 0, before, "P preference p1");
	assert_outbox(db, 1, before, "X preference p1");
}

static void records_that_go_up_come_back_to_nobody(void **state)
{
	struct sync_db *db = country(state);
	int64_t before = newest_seq(db);

	PUT(db, "system_log", "y1");
	settle(db);
	assert_int_equal(before, newest_seq(db));
	assert_int_equal(0, number_of(db, "SELECT count(*) FROM sync_changelog"));
}

static void both_ends_of_a_message_between_stores_get_it(void **state)
{
	struct sync_db *db = country(state);
	int64_t before = newest_seq(db);

	PUT(db, "sync_message", "m1", "from_store_id", "s1", "to_store_id", "s2");
	settle(db);
	assert_outbox(db, 1, before, "P sync_message m1");
	assert_outbox(db, 2, before, "P sync_message m1");
}

static void a_child_goes_wherever_any_of_its_parents_goes(void **state)
{
	struct sync_db *db = country(state);
	int64_t before = newest_seq(db);

	PUT(db, "asset", "a1", "store_id", "s1");
	PUT(db, "location", "l2", "store_id", "s2");
	PUT(db, "asset_internal_location", "al", "asset_id", "a1", "location_id", "l2");
	settle(db);
	assert_outbox(db, 1, before, "P asset a1, P asset_internal_location al");
	assert_outbox(db, 2, before, "P asset_internal_location al, P location l2");
}

static void a_join_added_brings_a_patients_data_and_a_join_removed_takes_it(void **state)
{
	struct sync_db *db = country(state);
	int64_t before = newest_seq(db);

	PUT(db, "name", "pat", "type", "PATIENT");
	PUT(db, "encounter", "e1", "patient_id", "pat");
	PUT(db, "invoice", "rx", "store_id", "s1", "name_id", "pat");
	PUT(db, "invoice_line", "rxa", "invoice_id", "rx");
	settle(db);
	assert_outbox(db, 2, before, "");
	before = newest_seq(db);
	PUT(db, "name_store_join", "j2", "name_id", "pat", "store_id", "s2");
	settle(db);
	assert_outbox(db, 2, before, "P encounter e1, P invoice rx, P invoice_line rxa, P name pat, P name_store_join j2");
	assert_outbox(db, 1, before, "");
	before = newest_seq(db);
	del(db, "name_store_join", "j2");
	settle(db);
	assert_outbox(db, 2, before, "X encounter e1, X invoice rx, X invoice_line rxa, X name pat, D name_store_join j2");
}

static void a_join_changed_moves_what_it_makes_visible(void **state)
{
	struct sync_db *db = country(state);
	int64_t before;

	PUT(db, "clinician", "c1");
	PUT(db, "clinician_store_join", "j", "clinician_id", "c1", "store_id", "s1");
	settle(db);
	before = newest_seq(db);
	PUT(db, "clinician_store_join", "j", "store_id", "s2");
	settle(db);
	assert_outbox(db, 1, before, "X clinician c1, X clinician_store_join j");
	assert_outbox(db, 2, before, "P clinician c1, P clinician_store_join j");
}

static void a_name_that_becomes_a_patient_leaves_those_who_may_not_see_it(void **state)
{
	struct sync_db *db = country(state);
	int64_t before;

	PUT(db, "name", "x", "type", "FACILITY");
	PUT(db, "name_store_join", "j2", "name_id", "x", "store_id", "s2");
	PUT(db, "invoice", "v", "store_id", "s1", "name_id", "x");
	PUT(db, "invoice_line", "va", "invoice_id", "v");
	settle(db);
	before = newest_seq(db);
	PUT(db, "name", "x", "type", "PATIENT");
	settle(db);
	assert_outbox(db, 0, before, "X name x");
	assert_outbox(db, 1, before, "");
	assert_outbox(db, 2, before, "P invoice v, P invoice_line va, P name x");
	before = newest_seq(db);
	PUT(db, "name", "x", "type", "FACILITY");
	settle(db);
	assert_outbox(db, 0, before, "P name x");
	assert_outbox(db, 2, before, "X invoice v, X invoice_line va, X name x");
}

static void a_record_whose_store_changes_moves_with_its_children(void **state)
{
	struct sync_db *db = country(state);
	int64_t before;

	PUT(db, "stocktake", "t", "store_id", "s1");
	PUT(db, "stocktake_line", "ta", "stocktake_id", "t");
	PUT(db, "stocktake_line", "tb", "stocktake_id", "t");
	settle(db);
	before = newest_seq(db);
	PUT(db, "stocktake", "t", "store_id", "s2");
	settle(db);
	assert_outbox(db, 1, before, "X stocktake t, X stocktake_line ta, X stocktake_line tb");
	assert_outbox(db, 2, before, "P stocktake t, P stocktake_line ta, P stocktake_line tb");
}

static void a_record_of_which_nobody_knows_where_it_was_leaves_whoever_held_it(void **state)
{
	struct sync_db *db = country(state);
	int64_t above;

	PUT(db, "location", "o1", "store_id", "s1");
	settle(db);
	above = newest_seq(db);
	PUT(db, "location", "o1", "store_id", "s2");
	run_sql(db, "UPDATE sync_changelog SET old = '[]'");
	settle(db);
	assert_outbox(db, 1, above, "X location o1");
	assert_outbox(db, 2, above, "P location o1");
}

/* As when central was updated before it had routed what its old triggers kept. */
static void what_other_triggers_kept_is_routed_by_what_the_record_says_now(void **state)
{
	struct sync_db *db = country(state);
	int64_t before;

	PUT(db, "location", "l", "store_id", "s1", "name", "a");
	PUT(db, "location", "gone", "store_id", "s1");
	settle(db);
	before = newest_seq(db);
	PUT(db, "location", "l", "name", "b");
	PUT(db, "location", "gone", "name", "b");
	add_site(db, 3);
	PUT(db, "store", "s3", "site_id", "3", "name_id", "n3");
	run_sql(db, "UPDATE sync_changelog SET old = '[\"of\", \"another\", \"build\"]', new = '[\"of\", \"another\", \"build\"]'");
	del(db, "location", "gone");
	settle(db);
	assert_outbox(db, 1, before, "D location gone, P location l");
	assert_int_equal(3, number_of(db, "SELECT site_id FROM sync_store WHERE store_id = 's3'"));
}

/* As when one process of central is of the build before, and another has brought the database up. */
static void what_only_a_newer_build_knows_stays_in_the_queue_for_it(void **state)
{
	static const char left[] = "SELECT count(*) FROM sync_changelog WHERE seq = 1000 AND entity = 'entity_of_tomorrow' AND record_id = 't1'"
				   "    AND action = 'P' AND source = 2 AND at_us = 7 AND old IS NULL AND new = '[\"s1\"]'";
	struct sync_db *db = country(state);
	int64_t before = newest_seq(db);

	run_sql(db, "INSERT INTO sync_changelog(seq, entity, record_id, action, source, at_us, new)"
		    "    VALUES (1000, 'entity_of_tomorrow', 't1', 'P', 2, 7, '[\"s1\"]')");
	PUT(db, "item", "i");
	settle(db);
	assert_outbox(db, 0, before, "P item i");
	assert_int_equal(1, number_of(db, left));
	before = number_of(db, "SELECT count(*) FROM sync_routing");
	assert_ok(sync_route(db, err));
	assert_ok(sync_route_all(db, err));
	assert_int_equal(1, number_of(db, left));
	assert_int_equal(1, number_of(db, "SELECT count(*) FROM sync_changelog"));
	assert_int_equal(before, number_of(db, "SELECT count(*) FROM sync_routing"));
}

/* Ids are as long as they may be, and each byte of them takes six in JSON. */
static void as_many_joins_as_a_job_takes_may_name_the_longest_ids(void **state)
{
	struct sync_db *db = country(state);
	char id[SYNC_MAX_ID + 1], join[20];

	for (int i = 0; i < 70; i++) {
		memset(id, 1, SYNC_MAX_ID);
		id[SYNC_MAX_ID] = '\0';
		for (int k = 0; k < 7; k++)
			id[k] = i >> k & 1 ? 2 : 3;
		snprintf(join, sizeof join, "j%d", i);
		PUT(db, "name_store_join", join, "name_id", id, "store_id", "s1");
	}
	PUT(db, "name", id, "type", "PATIENT");
	assert_ok(sync_route(db, err));
	assert_int_equal(2, number_of(db, "SELECT count(*) FROM sync_job WHERE kind = 'through'"));
	settle(db);
	assert_int_equal(1, number_of(db, "SELECT count(*) FROM sync_outbox WHERE site_id = 1 AND entity = 'name'"));
}

static void a_child_that_changes_its_parent_follows_it(void **state)
{
	struct sync_db *db = country(state);
	int64_t before;

	PUT(db, "stocktake", "t1", "store_id", "s1");
	PUT(db, "stocktake", "t2", "store_id", "s2");
	PUT(db, "stocktake_line", "a", "stocktake_id", "t1");
	settle(db);
	before = newest_seq(db);
	PUT(db, "stocktake_line", "a", "stocktake_id", "t2");
	settle(db);
	assert_outbox(db, 1, before, "X stocktake_line a");
	assert_outbox(db, 2, before, "P stocktake_line a");
	assert_int_equal(2, number_of(db, "SELECT count(*) FROM sync_outbox WHERE record_id = 'a' AND root_id = 't2'"));
}

static void a_child_that_came_before_its_parent_goes_with_it(void **state)
{
	struct sync_db *db = country(state);
	int64_t before = newest_seq(db);

	PUT(db, "stocktake_line", "a", "stocktake_id", "t");
	settle(db);
	assert_outbox(db, 1, before, "");
	PUT(db, "stocktake", "t", "store_id", "s1");
	settle(db);
	assert_outbox(db, 1, before, "P stocktake t, P stocktake_line a");
}

static void deletes_reach_whoever_holds_the_record(void **state)
{
	struct sync_db *db = country(state);
	int64_t before;

	PUT(db, "invoice", "v", "store_id", "s1", "name_id", "n2");
	PUT(db, "invoice_line", "va", "invoice_id", "v");
	PUT(db, "item", "i");
	settle(db);
	before = newest_seq(db);
	del(db, "invoice", "v");
	del(db, "item", "i");
	assert_ok(sync_route(db, err));
	del(db, "invoice_line", "va"); /* taken from its holders already, with what it was part of */
	settle(db);
	assert_outbox(db, 0, before, "D item i");
	assert_outbox(db, 1, before, "D invoice v, X invoice_line va");
	assert_outbox(db, 2, before, "D invoice v, X invoice_line va");
}

static void unknown_fields_of_a_deleted_record_are_forgotten(void **state)
{
	struct sync_db *db = country(state);

	PUT(db, "item", "i8");
	PUT(db, "item", "i9");
	run_sql(db, "INSERT INTO sync_extra(entity, record_id, data) VALUES ('item', 'i8', '{\"later\":1}'), ('item', 'i9', '{\"later\":1}'),"
		    "    ('barcode', 'i8', '{\"later\":1}')");
	settle(db);
	del(db, "item", "i8");
	del(db, "item", "i9");
	PUT(db, "item", "i9"); /* it exists, so it keeps them */
	settle(db);
	assert_int_equal(0, number_of(db, "SELECT count(*) FROM sync_extra WHERE entity = 'item' AND record_id = 'i8'"));
	assert_int_equal(2, number_of(db, "SELECT count(*) FROM sync_extra"));
}

static void centrals_own_edits_of_what_any_site_edits_are_versions(void **state)
{
	struct sync_db *db = country(state);

	PUT(db, "barcode", "b1", "gtin", "1", "item_id", "i1");
	PUT(db, "name", "p9", "type", "PATIENT");
	PUT(db, "name", "n9", "type", "FACILITY"); /* central's alone */
	settle(db);
	assert_int_equal(2, number_of(db, "SELECT count(*) FROM sync_version WHERE record_id IN ('b1', 'p9') AND creator = 0 AND deleted = 0"
					  "    AND edited_us > 0 AND received_us >= edited_us AND version LIKE '0.%.%'"));
	assert_int_equal(0, number_of(db, "SELECT count(*) FROM sync_version WHERE record_id = 'n9'"));
	run_sql(db, "UPDATE sync_version SET creator = 2, version = 'old'");
	PUT(db, "barcode", "b1", "gtin", "2", "item_id", "i1");
	PUT(db, "barcode", "b1", "gtin", "3", "item_id", "i1");
	settle(db);
	assert_int_equal(1, number_of(db, "SELECT count(*) FROM sync_version WHERE record_id = 'b1' AND creator = 2 AND version LIKE '0.%'"));
	assert_int_equal(2, number_of(db, "SELECT count(*) FROM sync_seen WHERE record_id = 'b1'")); /* one per routing */
	del(db, "barcode", "b1");
	settle(db);
	assert_int_equal(1, number_of(db, "SELECT count(*) FROM sync_version WHERE record_id = 'b1' AND creator = 2 AND deleted = 1"));
	assert_int_equal(3, number_of(db, "SELECT count(*) FROM sync_seen WHERE record_id = 'b1'"));
	run_sql(db, "DELETE FROM sync_version");
	PUT(db, "barcode", "b1", "gtin", "4", "item_id", "i1");
	made_by(db, 1); /* the integrator has its version */
	settle(db);
	assert_int_equal(0, number_of(db, "SELECT count(*) FROM sync_version"));
}

/* What was unknown becomes a column: all get it, but it is no version, and hides none. */
static void what_nobody_edited_is_no_version(void **state)
{
	struct sync_db *db = country(state);
	int64_t before;

	PUT(db, "barcode", "b1", "gtin", "1", "item_id", "i1");
	settle(db);
	run_sql(db, "DELETE FROM sync_version");
	before = newest_seq(db);
	PUT(db, "barcode", "b1", "gtin", "1", "item_id", "i1");
	made_by(db, -1);
	settle(db);
	assert_outbox(db, 0, before, "P barcode b1");
	assert_int_equal(1, number_of(db, "SELECT count(*) FROM sync_outbox WHERE record_id = 'b1' AND source = -1"));
	assert_int_equal(0, number_of(db, "SELECT count(*) FROM sync_version"));
	PUT(db, "barcode", "b1", "gtin", "2", "item_id", "i1");
	run_sql(db, "INSERT INTO sync_changelog(entity, record_id, action, source, at_us, old, new)"
	        "    SELECT entity, record_id, action, -1, at_us, old, new FROM sync_changelog");
	settle(db);
	assert_int_equal(1, number_of(db, "SELECT count(*) FROM sync_version WHERE record_id = 'b1' AND version LIKE '0.%'"));
}

static void what_its_maker_may_not_have_is_taken_back(void **state)
{
	struct sync_db *db = country(state);
	int64_t before = newest_seq(db);

	PUT(db, "location", "l1", "store_id", "s2");
	PUT(db, "system_log", "y1");
	made_by(db, 1);
	settle(db);
	assert_outbox(db, 1, before, "X location l1");
	assert_outbox(db, 2, before, "P location l1");
}

static void lines_that_change_with_an_invoice_that_moves_leave_whoever_loses_it(void **state)
{
	struct sync_db *db = country(state);
	int64_t before;

	PUT(db, "invoice", "v1", "store_id", "s1", "name_id", "n2");
	PUT(db, "invoice_line", "v1a", "invoice_id", "v1");
	settle(db);
	before = newest_seq(db);
	run_sql(db, "UPDATE invoice_line SET note = 'changed'");
	run_sql(db, "UPDATE invoice SET name_id = 'n1'");
	settle(db);
	assert_outbox(db, 1, before, "P invoice v1, P invoice_line v1a");
	assert_outbox(db, 2, before, "X invoice v1, X invoice_line v1a");
}

static void an_invoice_that_changes_before_a_job_has_come_to_it_goes_with_its_lines(void **state)
{
	struct sync_db *db = country(state);
	int64_t before;

	PUT(db, "name", "n3", "type", "STORE");
	PUT(db, "store", "s3", "site_id", "0", "name_id", "n3");
	PUT(db, "invoice", "v1", "store_id", "s1", "name_id", "n3");
	PUT(db, "invoice_line", "v1a", "invoice_id", "v1");
	settle(db);
	before = newest_seq(db);
	run_sql(db, "UPDATE store SET site_id = 2 WHERE id = 's3'");
	assert_ok(sync_route(db, err));
	run_sql(db, "UPDATE invoice SET comment = 'changed'");
	assert_ok(sync_route(db, err));
	assert_int_equal(1, number_of(db, "SELECT count(*) FROM sync_job WHERE kind = 'transfer'"));
	assert_outbox(db, 2, before, "P invoice v1, P invoice_line v1a");
}

static void what_changes_while_nobody_is_to_have_it_is_no_longer_held(void **state)
{
	struct sync_db *db = country(state);
	int64_t before;

	PUT(db, "name", "x", "type", "PATIENT");
	PUT(db, "name_store_join", "j", "name_id", "x", "store_id", "s1");
	settle(db);
	before = newest_seq(db);
	run_sql(db, "UPDATE name SET comment = 'changed' WHERE id = 'x'");
	del(db, "name_store_join", "j");
	assert_ok(sync_route(db, err));
	PUT(db, "name_store_join", "k", "name_id", "x", "store_id", "s1");
	settle(db);
	assert_outbox(db, 1, before, "P name x, D name_store_join j, P name_store_join k");
}

static void a_group_is_deleted_whole(void **state)
{
	struct sync_db *db = country(state);
	int64_t before;

	PUT(db, "invoice", "v", "store_id", "s1", "name_id", "n2");
	PUT(db, "invoice_line", "va", "invoice_id", "v");
	settle(db);
	before = newest_seq(db);
	del(db, "invoice", "v");
	del(db, "invoice_line", "va");
	settle(db);
	assert_outbox(db, 1, before, "D invoice v, D invoice_line va");
	assert_outbox(db, 2, before, "D invoice v, D invoice_line va");
	assert_int_equal(4, number_of(db, "SELECT count(*) FROM sync_outbox WHERE root_id = 'v'"));
}

static void a_record_deleted_with_the_join_that_routed_it_is_deleted_there(void **state)
{
	struct sync_db *db = country(state);
	int64_t before;

	PUT(db, "name", "pat", "type", "PATIENT");
	PUT(db, "name_store_join", "j", "name_id", "pat", "store_id", "s2");
	PUT(db, "encounter", "e", "patient_id", "pat");
	settle(db);
	before = newest_seq(db);
	del(db, "name_store_join", "j");
	del(db, "encounter", "e");
	del(db, "name", "pat");
	settle(db);
	assert_outbox(db, 2, before, "D encounter e, D name pat, D name_store_join j");
}

static void a_new_store_gets_what_was_there_before_it(void **state)
{
	struct sync_db *db = country(state);
	int64_t before;

	add_site(db, 3);
	PUT(db, "stocktake", "t", "store_id", "s3");
	PUT(db, "stocktake_line", "ta", "stocktake_id", "t");
	PUT(db, "requisition", "r", "store_id", "s1", "name_id", "n3");
	PUT(db, "name", "pat", "type", "PATIENT");
	PUT(db, "name_store_join", "j", "name_id", "pat", "store_id", "s3");
	PUT(db, "encounter", "e", "patient_id", "pat");
	settle(db);
	before = newest_seq(db);
	PUT(db, "store", "s3", "site_id", "3", "name_id", "n3");
	settle(db);
	assert_outbox(db, 3, before,
		      "P encounter e, P name pat, P name_store_join j, P requisition r, P stocktake t, P stocktake_line ta");
}

static void a_store_at_a_site_that_does_not_exist_is_nowhere(void **state)
{
	struct sync_db *db = country(state);

	PUT(db, "store", "s9", "site_id", "9", "name_id", "n1");
	settle(db);
	assert_int_equal(0, number_of(db, "SELECT site_id FROM sync_store WHERE store_id = 's9'"));
}

static void another_name_of_a_store_changes_its_transfers(void **state)
{
	struct sync_db *db = country(state);
	int64_t before;

	PUT(db, "requisition", "r", "store_id", "s1", "name_id", "n2");
	PUT(db, "requisition", "q", "store_id", "s1", "name_id", "n4");
	settle(db);
	before = newest_seq(db);
	PUT(db, "store", "s2", "name_id", "n4");
	settle(db);
	assert_outbox(db, 2, before, "P requisition q, X requisition r");
}

static void say_site_1(struct sync_db *db, int64_t verdict_seen, int64_t unpushed)
{
	char sql[120];

	snprintf(sql, sizeof sql, "UPDATE sync_site SET verdict_seen = %" PRId64 ", unpushed = %" PRId64 " WHERE site_id = 1",
		 verdict_seen, unpushed);
	run_sql(db, sql);
	assert_ok(sync_db_begin(db, true, err));
	assert_ok(sync_store_settle(db, 1, err));
	assert_ok(sync_db_commit(db, err));
	settle(db);
}

static void a_store_moves_when_its_old_site_has_pushed_all_and_knows(void **state)
{
	struct sync_db *db = country(state);
	int64_t before;

	PUT(db, "location", "l", "store_id", "s1");
	PUT(db, "requisition", "r", "store_id", "s2", "name_id", "n1");
	settle(db);
	before = newest_seq(db);
	PUT(db, "store", "s1", "site_id", "2");
	settle(db);
	assert_int_equal(1, number_of(db, "SELECT site_id FROM sync_store WHERE store_id = 's1'"));
	assert_int_equal(1, number_of(db, "SELECT count(*) FROM sync_verdict WHERE site_id = 1 AND kind = 'leave' AND record_id = 's1'"
					  "    AND text LIKE 'the store moves to site ''site 2'' once %'"));
	assert_outbox(db, 1, before, "");
	say_site_1(db, 0, 0);
	assert_outbox(db, 1, before, "");
	say_site_1(db, 1, 5);
	assert_outbox(db, 1, before, "");
	say_site_1(db, 1, 0);
	assert_int_equal(2, number_of(db, "SELECT site_id FROM sync_store WHERE store_id = 's1'"));
	assert_outbox(db, 1, before, "X location l, X requisition r");
	assert_outbox(db, 2, before, "P location l");
}

static void a_move_that_is_taken_back_does_not_happen(void **state)
{
	struct sync_db *db = country(state);

	PUT(db, "store", "s1", "site_id", "2");
	settle(db);
	PUT(db, "store", "s1", "site_id", "1");
	settle(db);
	say_site_1(db, 1, 0);
	assert_int_equal(1, number_of(db, "SELECT site_id FROM sync_store WHERE store_id = 's1'"));
}

static void a_site_that_was_never_registered_is_not_waited_for(void **state)
{
	struct sync_db *db = country(state);

	run_sql(db, "UPDATE sync_site SET installation = NULL WHERE site_id = 1");
	PUT(db, "store", "s1", "site_id", "2");
	settle(db);
	assert_int_equal(2, number_of(db, "SELECT site_id FROM sync_store WHERE store_id = 's1'"));
}

static void a_deleted_store_takes_its_records_from_its_site(void **state)
{
	struct sync_db *db = country(state);
	int64_t before;

	PUT(db, "location", "l", "store_id", "s1");
	settle(db);
	before = newest_seq(db);
	del(db, "store", "s1");
	settle(db);
	assert_outbox(db, 1, before, "X location l");
	assert_int_equal(0, number_of(db, "SELECT count(*) FROM sync_store WHERE store_id = 's1' AND site_id > 0"));
}

/* What a store's job gives to its new site, in one go and with a stop after each record. */
static void a_job_that_is_interrupted_after_each_chunk_does_the_same(void **state)
{
	struct sync_db *db = country(state);
	int64_t before, n;
	char id[20];

	for (int i = 0; i < 7; i++) {
		snprintf(id, sizeof id, "t%d", i);
		PUT(db, "stocktake", id, "store_id", "s1");
		PUT(db, "stocktake_line", id, "stocktake_id", id);
		PUT(db, "name", id, "type", "PATIENT");
		PUT(db, "name_store_join", id, "name_id", id, "store_id", "s1");
		PUT(db, "encounter", id, "patient_id", id);
	}
	settle(db);
	n = number_of(db, "SELECT count(*) FROM sync_outbox WHERE site_id = 1 AND action = 'P'");
	run_sql(db, "UPDATE sync_site SET installation = NULL WHERE site_id = 1");
	before = newest_seq(db);
	PUT(db, "store", "s1", "site_id", "2");
	assert_ok(sync_route(db, err));
	for (bool more = true; more;) {
		assert_ok(sync_route_job(db, 1, &more, err));
		sync_db_close(((struct testdb *)*state)->db);
		((struct testdb *)*state)->db = NULL;
		testdb_open(*state, SYNC_CENTRAL);
		db = ((struct testdb *)*state)->db;
	}
	assert_true(before < newest_seq(db));
	assert_int_equal(35, n);
	assert_int_equal(n, number_of(db, "SELECT count(*) FROM sync_outbox WHERE site_id = 1 AND action = 'X'"));
	assert_int_equal(n, number_of(db, "SELECT count(*) FROM sync_outbox WHERE site_id = 2 AND action = 'P'"));
	assert_int_equal(0, number_of(db, "SELECT count(*) FROM sync_job"));
}

static enum sync_status take_plan(void *ctx, const struct sync_value *v, size_t n, struct sync_error *err)
{
	assert_int_equal(n, 4);
	sync_buf_add_view(ctx, v[3].s);
	sync_buf_add_char(ctx, '\n');
	return sync_buf_check(ctx, err);
}

/* As jobs.c has them. */
static void a_chunk_of_a_job_is_found_without_going_through_the_rest(void **state)
{
	static const char *const chunks[] = {
		"EXPLAIN QUERY PLAN SELECT t.id FROM \"location\" t WHERE t.\"store_id\" = (SELECT value FROM json_each('[\"s1\"]'))"
		"    AND t.id > 'a' ORDER BY t.id LIMIT 10",
		"EXPLAIN QUERY PLAN SELECT t.id FROM \"invoice\" t WHERE t.\"store_id\" = (SELECT value FROM json_each('[\"s1\"]'))"
		"    AND t.id > 'a' ORDER BY t.id LIMIT 10",
	};
	struct sync_db *db = country(state);

	for (size_t i = 0; i < COUNT(chunks); i++) {
		defer(sync_buf_clear) struct sync_buf plan = { .max = 4096 };

		assert_ok(sync_db_run_text(db, chunks[i], SYNC_NOARGS, take_plan, &plan, err));
		assert_null(strstr(plan.data, "TEMP B-TREE"));
		assert_non_null(strstr(plan.data, "store_id=? AND id>?"));
	}
}

static void a_first_load_waits_only_for_jobs_of_its_site(void **state)
{
	struct sync_db *db = country(state);
	bool busy, more;

	assert_ok(sync_route_busy(db, 1, &busy, err));
	assert_false(busy);
	add_site(db, 13);
	PUT(db, "store", "s3", "site_id", "13", "name_id", "n3");
	assert_ok(sync_route(db, err));
	assert_ok(sync_route_busy(db, 13, &busy, err));
	assert_true(busy);
	assert_ok(sync_route_busy(db, 1, &busy, err));
	assert_false(busy);
	assert_ok(sync_route_job(db, 10000, &more, err));
	assert_false(more);
	assert_ok(sync_route_busy(db, 13, &busy, err));
	assert_false(busy);
}

static void the_rows_of_a_group_changed_together_stand_together(void **state)
{
	static const char spread[] =
	    "SELECT max(seq) - min(seq) FROM sync_outbox WHERE site_id = 1 AND root_id = 'v1' AND seq > 0";
	struct sync_db *db = country(state);

	PUT(db, "invoice", "v1", "store_id", "s1");
	PUT(db, "invoice", "v2", "store_id", "s1");
	PUT(db, "item", "i");
	PUT(db, "invoice_line", "v2a", "invoice_id", "v2");
	PUT(db, "invoice_line", "v1a", "invoice_id", "v1");
	settle(db);
	assert_int_equal(1, number_of(db, spread));
}

static void what_is_sent_again_is_nobodys_echo(void **state)
{
	static const char sources[] =
	    "SELECT count(*) FROM sync_outbox WHERE site_id = 2 AND source = -1 AND ((record_id = 'l1' AND action = 'X')"
	    "    OR (record_id = 'l2' AND action = 'P') OR (record_id = 'none' AND action = 'X'))";
	struct sync_db *db = country(state);
	const struct sync_view ids[] = { sync_view_of("l1"), sync_view_of("l2"), sync_view_of("none") };

	PUT(db, "location", "l1", "store_id", "s1");
	PUT(db, "location", "l2", "store_id", "s2");
	made_by(db, 2);
	settle(db);
	assert_ok(sync_resend(db, 2, sync_view_of("location"), ids, 3, err));
	settle(db);
	assert_int_equal(3, number_of(db, sources));
}

/* The site holds the drop back until its edit is here, and drops the record then. */
static void an_edit_that_makes_due_what_its_site_was_told_to_drop_is_sent_back(void **state)
{
	static const char back[] = "SELECT count(*) FROM sync_outbox WHERE site_id = 2 AND record_id = 'l' AND action = 'P' AND source = -1";
	struct sync_db *db = country(state);

	PUT(db, "location", "l", "store_id", "s2");
	made_by(db, 2);
	settle(db);
	PUT(db, "location", "l", "store_id", "s1");
	settle(db);
	assert_int_equal(1, number_of(db, "SELECT count(*) FROM sync_outbox WHERE site_id = 2 AND record_id = 'l' AND action = 'X'"));
	PUT(db, "location", "l", "store_id", "s2");
	made_by(db, 2);
	settle(db);
	assert_int_equal(1, number_of(db, back));
	PUT(db, "location", "l", "store_id", "s2", "code", "again");
	made_by(db, 2);
	settle(db);
	assert_int_equal(0, number_of(db, back));
}

/* A job that is pending would find nothing to do any more: what the row says, it takes for done. */
static void children_follow_a_record_whose_loss_is_told_before_the_job_comes_to_it(void **state)
{
	struct sync_db *db = country(state);
	const struct sync_view ids[] = { sync_view_of("v") };

	PUT(db, "invoice", "v", "store_id", "s1");
	PUT(db, "item", "i");
	PUT(db, "invoice_line", "va", "invoice_id", "v");
	settle(db);
	run_sql(db, "UPDATE sync_site SET installation = NULL WHERE site_id = 1");
	run_sql(db, "UPDATE store SET site_id = 2 WHERE id = 's1'");
	assert_ok(sync_route(db, err));
	assert_true(number_of(db, "SELECT count(*) FROM sync_job") > 0);
	assert_ok(sync_resend(db, 1, sync_view_of("invoice"), ids, 1, err));
	settle(db);
	assert_int_equal(2, number_of(db, "SELECT count(*) FROM sync_outbox WHERE site_id = 1 AND record_id IN ('v', 'va') AND action = 'X'"));
	assert_int_equal(2, number_of(db, "SELECT count(*) FROM sync_outbox WHERE site_id = 2 AND record_id IN ('v', 'va') AND action = 'P'"));
}

/* SQLite: REPLACE looks like an insert. */
static void who_held_a_record_that_is_replaced_is_told_before_the_job_comes_to_it(void **state)
{
	struct sync_db *db = country(state);

	PUT(db, "location", "l", "store_id", "s1");
	settle(db);
	run_sql(db, "UPDATE sync_site SET installation = NULL WHERE site_id = 1");
	run_sql(db, "UPDATE store SET site_id = 2 WHERE id = 's1'");
	assert_ok(sync_route(db, err));
	run_sql(db, "INSERT OR REPLACE INTO location(id, name, code, on_hold, store_id, volume) VALUES ('l', 'x', 'x', 0, 's1', 0)");
	settle(db);
	assert_int_equal(1, number_of(db, "SELECT count(*) FROM sync_outbox WHERE site_id = 1 AND record_id = 'l' AND action = 'X'"));
	assert_int_equal(1, number_of(db, "SELECT count(*) FROM sync_outbox WHERE site_id = 2 AND record_id = 'l' AND action = 'P'"));
}

static void what_central_never_had_stays_in_its_group_when_its_site_is_to_drop_it(void **state)
{
	struct sync_db *db = country(state);
	const struct sync_record line = { .entity = sync_entity_find(sync_view_of("invoice_line")), .name = sync_view_of("invoice_line"),
		                          .id = sync_view_of("new"), .root = sync_view_of("v"), .action = SYNC_PUT };
	const struct sync_record *const records[] = { &line };

	assert_ok(sync_resend_records(db, 1, records, 1, err));
	settle(db);
	assert_int_equal(1, number_of(db, "SELECT count(*) FROM sync_outbox WHERE site_id = 1 AND record_id = 'new' AND action = 'X'"
	                                  " AND root_id = 'v'"));
}

static void nothing_is_numbered_when_nobody_is_to_hear_of_it(void **state)
{
	struct sync_db *db = country(state);
	int64_t before = number_of(db, "SELECT count(*) FROM sync_routing");

	PUT(db, "location", "l", "store_id", "nowhere");
	settle(db);
	assert_int_equal(before, number_of(db, "SELECT count(*) FROM sync_routing"));
}

static void passed_tombstones_are_forgotten(void **state)
{
	struct sync_db *db = country(state);

	PUT(db, "item", "i");
	PUT(db, "location", "l1", "store_id", "s1");
	PUT(db, "location", "l2", "store_id", "s2");
	settle(db);
	del(db, "item", "i");
	del(db, "location", "l1");
	del(db, "location", "l2");
	settle(db);
	run_sql(
	    db,
	    "UPDATE sync_routing SET at_us = 0, ordinal = 1023 WHERE seq = (SELECT max(seq) FROM sync_routing);"
	    "UPDATE sync_routing SET at_us = 0, ordinal = 1 WHERE ordinal < 1023 AND seq = (SELECT min(seq) FROM sync_routing);"
	    "UPDATE sync_site SET own_seq = 1000 WHERE site_id = 1");
	PUT(db, "item", "k");
	settle(db);
	assert_int_equal(1, number_of(db, "SELECT count(*) FROM sync_routing WHERE ordinal = 1023"));
	assert_int_equal(0, number_of(db, "SELECT count(*) FROM sync_outbox WHERE record_id = 'l1'"));
	assert_int_equal(1, number_of(db, "SELECT count(*) FROM sync_outbox WHERE record_id = 'l2'"));
	assert_int_equal(1, number_of(db, "SELECT count(*) FROM sync_outbox WHERE record_id = 'i'"));
}

/* The next routing transaction tidies up; those before it are as old as they can be. */
static void tidy(struct sync_db *db, const char *item)
{
	run_sql(db, "UPDATE sync_routing SET at_us = 0;"
		    "UPDATE sync_routing SET ordinal = (ordinal / 1024 + 1) * 1024 - 1 WHERE seq = (SELECT max(seq) FROM sync_routing)");
	PUT(db, "item", item);
	settle(db);
}

static void a_position_that_a_site_may_name_stays_known(void **state)
{
	static const char first[] = "SELECT count(*) FROM sync_routing WHERE ordinal = 1";
	struct sync_db *db = country(state);

	PUT(db, "item", "h");
	settle(db);
	run_sql(db, "UPDATE sync_site SET all_seq = 1, all_id = (SELECT id FROM sync_routing WHERE ordinal = 1)");
	tidy(db, "i");
	assert_int_equal(1, number_of(db, first));
	run_sql(db, "UPDATE sync_site SET all_seq = 1000, all_id = '' WHERE site_id = 1");
	tidy(db, "k");
	assert_int_equal(1, number_of(db, first));
	run_sql(db, "UPDATE sync_site SET revoked_us = 1 WHERE site_id <> 1");
	tidy(db, "l");
	assert_int_equal(0, number_of(db, first));
	assert_int_equal(1, number_of(db, "SELECT count(*) FROM sync_routing WHERE ordinal = 3072"));
}

/* Central's data changes, the site's own does not for years. */
static void a_stream_that_stands_still_keeps_only_its_own_position_known(void **state)
{
	struct sync_db *db = country(state);

	for (int i = 0; i < 4; i++) {
		PUT(db, "item", "h");
		settle(db);
	}
	run_sql(db, "UPDATE sync_site SET (all_seq, all_id) = (SELECT seq, id FROM sync_routing ORDER BY seq DESC LIMIT 1),"
		    "    (own_seq, own_id) = (SELECT seq, id FROM sync_routing WHERE ordinal = 3)");
	tidy(db, "i");
	assert_int_equal(0, number_of(db, "SELECT count(*) FROM sync_routing WHERE ordinal IN (1, 2, 4)"));
	assert_int_equal(1, number_of(db, "SELECT count(*) FROM sync_routing WHERE ordinal = 3"));
}

static void a_site_that_is_away_for_longer_than_deletes_are_kept_holds_nothing_back(void **state)
{
	static const char lapsed[] = "SELECT count(*) FROM sync_site WHERE lapsed_us IS NOT NULL";
	struct sync_db *db = country(state);
	char sql[200];

	PUT(db, "item", "g");
	settle(db);
	del(db, "item", "g");
	settle(db);
	snprintf(sql, sizeof sql, "UPDATE sync_site SET all_seq = %" PRId64 ", own_seq = %" PRId64 " WHERE site_id = 1", newest_seq(db),
		 newest_seq(db));
	run_sql(db, sql);
	snprintf(sql, sizeof sql, "UPDATE sync_site SET last_seen_us = %" PRId64 " WHERE site_id = 2",
		 sync_now_us() - INT64_C(10) * 24 * 3600 * 1000000);
	run_sql(db, sql);
	tidy(db, "i");
	assert_int_equal(0, number_of(db, lapsed));
	assert_int_equal(1, number_of(db, "SELECT count(*) FROM sync_outbox WHERE record_id = 'g'"));

	assert_ok(sync_keep_put(db, 9, err));
	tidy(db, "k");
	assert_int_equal(1, number_of(db, lapsed));
	assert_int_equal(2, number_of(db, "SELECT site_id FROM sync_site WHERE lapsed_us IS NOT NULL"));
	assert_int_equal(0, number_of(db, "SELECT count(*) FROM sync_outbox WHERE record_id = 'g'"));
	assert_int_equal(0, number_of(db, "SELECT count(*) FROM sync_routing WHERE ordinal = 1"));
}

static void deletes_are_kept_for_a_time_that_can_be(void **state)
{
	struct sync_db *db = country(state);
	int64_t days;

	assert_ok(sync_keep_get(db, &days, err));
	assert_int_equal(SYNC_KEEP_DAYS, days);
	assert_int_equal(SYNC_EINVALID, sync_keep_put(db, 0, NULL));
	assert_int_equal(SYNC_EINVALID, sync_keep_put(db, SYNC_KEEP_MOST + 1, NULL));
	assert_ok(sync_keep_put(db, SYNC_KEEP_MOST, err));
	assert_ok(sync_keep_get(db, &days, err));
	assert_int_equal(SYNC_KEEP_MOST, days);
	tidy(db, "i");
}

/* Site 1 has stored verdicts upto 5. */
static void what_was_settled_long_ago_is_forgotten(void **state)
{
	struct sync_db *db = country(state);

	run_sql(db,
		"UPDATE sync_site SET verdict = 6, verdict_seen = 5 WHERE site_id = 1;"
		"INSERT INTO sync_verdict(site_id, n, kind, entity, record_id, seq, code, text, at_us) VALUES"
		"    (1, 1, 'refused', 'item', 'a', 1, 'x', 'x', 0), (1, 2, 'resolved', 'item', 'a', 2, 'x', 'x', 0),"
		"    (1, 3, 'refused', 'item', 'b', 3, 'x', 'x', 0), (1, 4, 'waiting', 'item', 'c', 4, 'x', 'x', 0),"
		"    (1, 5, 'refused', 'item', 'c', 5, 'x', 'x', 0), (1, 6, 'resolved', 'item', 'b', 6, 'x', 'x', 0);"
		"INSERT INTO sync_seen(entity, record_id, version, at_us) VALUES ('barcode', 'a', '1', 0), ('barcode', 'b', '1', 9000000000000000);"
		"INSERT INTO sync_waiting(kind, site_id, entity, record_id, seq, frame, code, text, at_us, done_us) VALUES"
		"    ('quarantine', 1, 'item', 'a', 1, '', 'x', 'x', 0, 0), ('quarantine', 1, 'item', 'b', 1, '', 'x', 'x', 0, NULL);"
		"INSERT INTO sync_version(entity, record_id, version, edited_us, received_us, creator, deleted) VALUES"
		"    ('barcode', 'a', '1', 0, 0, 1, 1), ('barcode', 'b', '1', 0, 0, 1, 0)");
	tidy(db, "i");
	assert_int_equal(3, number_of(db, "SELECT count(*) FROM sync_verdict"));
	assert_int_equal(3, number_of(db, "SELECT count(*) FROM sync_verdict WHERE n IN (3, 5, 6)"));
	assert_int_equal(1, number_of(db, "SELECT count(*) FROM sync_seen"));
	assert_int_equal(1, number_of(db, "SELECT count(*) FROM sync_waiting WHERE record_id = 'b'"));
	assert_int_equal(1, number_of(db, "SELECT count(*) FROM sync_version WHERE record_id = 'b'"));
}

/* A transaction that began first and commits last. */
static void a_change_committed_late_is_routed_late_and_not_lost(void **state)
{
	struct sync_db *db = country(state);
	defer(sync_db_closep) struct sync_db *other = NULL;
	int64_t before = newest_seq(db);

	if (!sync_db_dialect(db)->postgres)
		skip(); /* one writer at a time: nothing can be late */
	assert_ok(sync_db_clone(&other, db, err));
	assert_ok(sync_db_begin(other, true, err));
	PUT(other, "item", "late");
	PUT(db, "item", "early");
	settle(db);
	assert_outbox(db, 0, before, "P item early");
	assert_ok(sync_db_commit(other, err));
	before = newest_seq(db);
	settle(db);
	assert_outbox(db, 0, before, "P item late");
}

static void only_one_process_routes_at_a_time(void **state)
{
	struct sync_db *db = country(state);
	defer(sync_db_closep) struct sync_db *other = NULL;
	int64_t before = newest_seq(db);
	bool mine;

	if (!sync_db_dialect(db)->postgres)
		skip(); /* one writer at a time */
	assert_ok(sync_db_clone(&other, db, err));
	PUT(db, "item", "i");
	assert_ok(sync_db_begin(other, true, err));
	assert_ok(sync_route_lock(other, &mine, err));
	assert_true(mine);
	assert_ok(sync_route(db, err));
	assert_outbox(db, 0, before, "");
	sync_db_rollback(other);
	assert_ok(sync_route(db, err));
	assert_outbox(db, 0, before, "P item i");
}

static void owners_are_found_through_the_parent(void **state)
{
	struct sync_db *db = country(state);
	const struct sync_entity *line = sync_entity_find(sync_view_of("stocktake_line"));
	defer(sync_arena_clear) struct sync_arena arena = { 0 };
	struct sync_value values[2][SYNC_MAX_FIELDS] = { 0 };
	struct sync_record r[2] = { { .entity = line, .values = values[0] }, { .entity = line, .values = values[1] } };
	int parent = sync_field_find(line, sync_view_of("stocktake_id"));
	int64_t owners[2];

	PUT(db, "stocktake", "t", "store_id", "s2");
	values[0][parent] = sync_text("t");
	values[1][parent] = sync_text("missing");
	assert_ok(sync_route_owners(db, line, r, 2, &arena, owners, err));
	assert_int_equal(2, owners[0]);
	assert_int_equal(0, owners[1]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TESTDB_BOTH(central_records_go_to_everybody_once),
		TESTDB_BOTH(store_records_go_to_the_stores_site),
		TESTDB_BOTH(transfers_go_to_the_other_partys_site_with_their_lines),
		TESTDB_BOTH(conditions_decide_between_routes),
		TESTDB_BOTH(records_that_go_up_come_back_to_nobody),
		TESTDB_BOTH(both_ends_of_a_message_between_stores_get_it),
		TESTDB_BOTH(a_child_goes_wherever_any_of_its_parents_goes),
		TESTDB_BOTH(a_join_added_brings_a_patients_data_and_a_join_removed_takes_it),
		TESTDB_BOTH(a_join_changed_moves_what_it_makes_visible),
		TESTDB_BOTH(a_name_that_becomes_a_patient_leaves_those_who_may_not_see_it),
		TESTDB_BOTH(a_record_whose_store_changes_moves_with_its_children),
		TESTDB_BOTH(a_record_of_which_nobody_knows_where_it_was_leaves_whoever_held_it),
		TESTDB_BOTH(what_other_triggers_kept_is_routed_by_what_the_record_says_now),
		TESTDB_BOTH(what_only_a_newer_build_knows_stays_in_the_queue_for_it),
		TESTDB_BOTH(as_many_joins_as_a_job_takes_may_name_the_longest_ids),
		TESTDB_BOTH(a_child_that_changes_its_parent_follows_it),
		TESTDB_BOTH(a_child_that_came_before_its_parent_goes_with_it),
		TESTDB_BOTH(deletes_reach_whoever_holds_the_record),
		TESTDB_BOTH(unknown_fields_of_a_deleted_record_are_forgotten),
		TESTDB_BOTH(centrals_own_edits_of_what_any_site_edits_are_versions),
		TESTDB_BOTH(what_nobody_edited_is_no_version),
		TESTDB_BOTH(what_its_maker_may_not_have_is_taken_back),
		TESTDB_BOTH(lines_that_change_with_an_invoice_that_moves_leave_whoever_loses_it),
		TESTDB_BOTH(an_invoice_that_changes_before_a_job_has_come_to_it_goes_with_its_lines),
		TESTDB_BOTH(what_changes_while_nobody_is_to_have_it_is_no_longer_held),
		TESTDB_BOTH(a_group_is_deleted_whole),
		TESTDB_BOTH(a_record_deleted_with_the_join_that_routed_it_is_deleted_there),
		TESTDB_BOTH(a_new_store_gets_what_was_there_before_it),
		TESTDB_BOTH(a_store_at_a_site_that_does_not_exist_is_nowhere),
		TESTDB_BOTH(another_name_of_a_store_changes_its_transfers),
		TESTDB_BOTH(a_store_moves_when_its_old_site_has_pushed_all_and_knows),
		TESTDB_BOTH(a_move_that_is_taken_back_does_not_happen),
		TESTDB_BOTH(a_site_that_was_never_registered_is_not_waited_for),
		TESTDB_BOTH(a_deleted_store_takes_its_records_from_its_site),
		TESTDB_BOTH(a_job_that_is_interrupted_after_each_chunk_does_the_same),
		TESTDB_ON(a_chunk_of_a_job_is_found_without_going_through_the_rest, TESTDB_SQLITE, "SQLite"),
		TESTDB_BOTH(a_first_load_waits_only_for_jobs_of_its_site),
		TESTDB_BOTH(the_rows_of_a_group_changed_together_stand_together),
		TESTDB_BOTH(what_is_sent_again_is_nobodys_echo),
		TESTDB_BOTH(an_edit_that_makes_due_what_its_site_was_told_to_drop_is_sent_back),
		TESTDB_BOTH(children_follow_a_record_whose_loss_is_told_before_the_job_comes_to_it),
		TESTDB_ON(who_held_a_record_that_is_replaced_is_told_before_the_job_comes_to_it, TESTDB_SQLITE, "SQLite"),
		TESTDB_BOTH(what_central_never_had_stays_in_its_group_when_its_site_is_to_drop_it),
		TESTDB_BOTH(nothing_is_numbered_when_nobody_is_to_hear_of_it),
		TESTDB_BOTH(passed_tombstones_are_forgotten),
		TESTDB_BOTH(a_position_that_a_site_may_name_stays_known),
		TESTDB_BOTH(a_stream_that_stands_still_keeps_only_its_own_position_known),
		TESTDB_BOTH(a_site_that_is_away_for_longer_than_deletes_are_kept_holds_nothing_back),
		TESTDB_BOTH(deletes_are_kept_for_a_time_that_can_be),
		TESTDB_BOTH(what_was_settled_long_ago_is_forgotten),
		TESTDB_BOTH(a_change_committed_late_is_routed_late_and_not_lost),
		TESTDB_BOTH(only_one_process_routes_at_a_time),
		TESTDB_BOTH(owners_are_found_through_the_parent),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

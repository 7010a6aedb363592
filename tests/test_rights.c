#include "integrating.h"

static void a_record_of_another_store_is_quarantined_and_leaves_no_trace(void **state)
{
	struct sync_db *db = central(state);
	struct sync_outcome o;

	RECEIVE(db, from(8), { SYNC_PUT, "location", "o8", { "store_id", "s2", "code", "eight" }, .seq = 1 });
	run_sql(db, "DELETE FROM sync_changelog");
	o = RECEIVE(db, from(7), { SYNC_PUT, "location", "o8", { "store_id", "s1" }, .seq = 1 },  /* takes it */
	            { SYNC_PUT, "location", "o9", { "store_id", "s2" }, .seq = 2 },             /* gives it */
	            { SYNC_DELETE, "location", "o8", .seq = 3 });
	assert_int_equal(3, o.refused);
	assert_int_equal(0, o.applied + o.waiting);
	assert_int_equal(1, number_of(db, "SELECT count(*) FROM location"));
	assert_int_equal(1, number_of(db, "SELECT count(*) FROM location WHERE id = 'o8' AND code = 'eight' AND store_id = 's2'"));
	assert_int_equal(0, number_of(db, "SELECT count(*) FROM sync_inbox"));
	assert_int_equal(3, number_of(db, "SELECT count(*) FROM sync_waiting WHERE kind = 'quarantine' AND site_id = 7 AND code = 'not_owner'"
	                               " AND done_us IS NULL"));
	assert_int_equal(3, number_of(db, "SELECT count(*) FROM sync_verdict WHERE site_id = 7 AND kind = 'refused' AND code = 'not_owner'"));
	assert_int_equal(3, number_of(db, "SELECT verdict FROM sync_site WHERE site_id = 7"));
	assert_int_equal(3, number_of(db, "SELECT count(*) FROM sync_changelog WHERE action = 'R' AND source = 7"));
	assert_int_equal(3, number_of(db, "SELECT count(*) FROM sync_changelog"));

	/* the same edit again is not shown to a person twice */
	RECEIVE(db, from(7), { SYNC_PUT, "location", "o9", { "store_id", "s2" }, .seq = 2 });
	assert_int_equal(3, number_of(db, "SELECT count(*) FROM sync_waiting"));
	assert_clean(db);
}

static void a_line_belongs_to_whom_its_invoice_belongs_before_and_after(void **state)
{
	struct sync_db *db = central(state);
	struct sync_outcome o;

	RECEIVE(db, from(8), { SYNC_PUT, "stocktake", "t8", { "store_id", "s2" }, .seq = 1 },
	        { SYNC_PUT, "stocktake_line", "l8", { "stocktake_id", "t8" }, .seq = 2 });
	RECEIVE(db, from(7), { SYNC_PUT, "stocktake", "t7", .seq = 1 }, { SYNC_PUT, "stocktake_line", "l7", { "stocktake_id", "t7" }, .seq = 2 });
	o = RECEIVE(db, from(7), { SYNC_PUT, "stocktake_line", "l8", { "stocktake_id", "t7" }, .seq = 3 });
	assert_int_equal(1, o.refused);
	o = RECEIVE(db, from(7), { SYNC_PUT, "stocktake_line", "l7", { "stocktake_id", "t8" }, .seq = 4 });
	assert_int_equal(1, o.refused);
	o = RECEIVE(db, from(7), { SYNC_DELETE, "stocktake_line", "l8", .root = "t7", .seq = 5 });
	assert_int_equal(1, o.refused);
	/* an own line does not carry another's invoice along, and a group is refused as a whole */
	o = RECEIVE(db, from(7), { SYNC_PUT, "stocktake", "t8", { "store_id", "s1" }, .seq = 6 },
	            { SYNC_PUT, "stocktake_line", "l9", { "stocktake_id", "t8" }, .seq = 7 });
	assert_int_equal(2, o.refused);
	assert_int_equal(1, number_of(db, "SELECT count(*) FROM sync_verdict WHERE record_id = 'l9' AND kind = 'refused' AND code = 'group'"));
	assert_int_equal(2, number_of(db, "SELECT count(*) FROM stocktake_line"));
	assert_int_equal(1, number_of(db, "SELECT count(*) FROM stocktake_line WHERE id = 'l8' AND stocktake_id = 't8'"));
	/* between its own, also with an invoice that comes along, a line may move */
	o = RECEIVE(db, from(7), { SYNC_PUT, "stocktake", "t6", { "store_id", "s3" }, .seq = 8 },
	            { SYNC_PUT, "stocktake_line", "l7", { "stocktake_id", "t6" }, .seq = 9 });
	assert_int_equal(2, o.applied);
}

static void central_alone_edits_what_is_central_and_drops(void **state)
{
	struct sync_db *db = central(state);
	struct sync_outcome o = RECEIVE(db, from(7), { SYNC_PUT, "item", "i1", { "code", "mine" }, .seq = 1 },
	                                { SYNC_PUT, "name", "n1", { "type", "STORE" }, .seq = 3 }, { SYNC_DELETE, "item", "i1", .seq = 2 },
	                                { SYNC_PUT, "name", "n9", { "type", "FACILITY" }, .seq = 4 }, { SYNC_DROP, "stocktake", "t9", .seq = 5 },
	                                { SYNC_PUT, "name_store_join", "j9", { "name_id", "n1", "store_id", "s1" }, .seq = 6 });

	assert_int_equal(6, o.refused);
	assert_int_equal(1, number_of(db, "SELECT count(*) FROM item WHERE code = 'x'"));
	assert_int_equal(1, number_of(db, "SELECT count(*) FROM name WHERE id = 'n1'"));
	assert_int_equal(1, number_of(db, "SELECT count(*) FROM sync_waiting WHERE code = 'drop'"));
}

static struct sync_outcome receive_lines(struct sync_db *db, const char *const *lines, size_t n)
{
	defer(clear_message) struct message m = { 0 };
	struct sync_intake in = from(7);
	struct sync_outcome outcome = { 0 };

	for (size_t i = 0; i < n; i++)
		add_line(&m, lines[i]);
	assert_ok(take(db, &in, &m, &outcome, err));
	return outcome;
}

static void what_a_site_may_never_write_is_refused_even_if_malformed(void **state)
{
	static const char *const never[] = {
		"{\"e\":\"item\",\"i\":\"i1\",\"a\":\"P\",\"q\":\"1\",\"d\":{\"name\":5}}",
		"{\"e\":\"location\",\"i\":\"o8\",\"a\":\"P\",\"q\":\"2\",\"d\":{\"name\":5}}",
		"{\"e\":\"name\",\"i\":\"p8\",\"a\":\"P\",\"q\":\"3\",\"d\":{\"name\":5}}",
	};
	static const char *const own[] = { "{\"e\":\"location\",\"i\":\"o7\",\"a\":\"P\",\"q\":\"4\",\"d\":{\"name\":5,\"store_id\":\"s1\"}}" };
	struct sync_db *db = central(state);
	struct sync_outcome o;

	RECEIVE(db, from(8), { SYNC_PUT, "location", "o8", { "store_id", "s2" }, .seq = 3 });
	RECEIVE(db, from(7), { SYNC_PUT, "location", "o7", .seq = 1 });
	run_sql(db, "DELETE FROM sync_changelog");
	o = receive_lines(db, never, COUNT(never));
	assert_int_equal(3, o.refused);
	assert_int_equal(0, o.waiting);
	assert_int_equal(2, number_of(db, "SELECT count(*) FROM sync_waiting WHERE kind = 'quarantine' AND code = 'not_owner' AND frame LIKE '%:5}}'"));
	assert_int_equal(1, number_of(db, "SELECT count(*) FROM sync_waiting WHERE kind = 'quarantine' AND code = 'not_visible' AND record_id = 'p8'"));
	assert_int_equal(3, number_of(db, "SELECT count(*) FROM sync_verdict WHERE kind = 'refused' AND site_id = 7"));
	assert_int_equal(3, number_of(db, "SELECT count(*) FROM sync_changelog WHERE action = 'R' AND source = 7"));
	/* what it may write waits to be put right */
	o = receive_lines(db, own, COUNT(own));
	assert_int_equal(1, o.waiting);
	assert_int_equal(0, o.refused);
	assert_int_equal(1, number_of(db, "SELECT count(*) FROM sync_inbox WHERE record_id = 'o7' AND code = 'wrong_type' AND field = 'name'"));
	assert_int_equal(1, number_of(db, "SELECT count(*) FROM sync_inbox"));
}

/* What site 7 sends when it has had its own stream upto there. */
static struct sync_intake having(const struct sync_position *at)
{
	struct sync_intake in = from(7);

	in.at = at;
	return in;
}

/* A stocktake with a line of a store that is not site 7's any more. */
static void refuse_group(struct sync_db *db, const struct sync_position *at)
{
	struct sync_outcome o = RECEIVE(db, having(at), { SYNC_PUT, "stocktake", "t1", { "store_id", "s2" }, .seq = 1 },
	                                { SYNC_PUT, "stocktake_line", "l1", { "stocktake_id", "t1" }, .seq = 2 });

	assert_int_equal(2, o.refused);
}

static void what_builds_on_a_refused_group_is_refused_with_it(void **state)
{
	static const struct sync_position start;
	struct sync_db *db = central(state);
	struct sync_outcome o;

	refuse_group(db, &start);
	o = RECEIVE(db, having(&start), { SYNC_PUT, "stocktake", "t1", .seq = 3 },
	            { SYNC_PUT, "stocktake_line", "l2", { "stocktake_id", "t1" }, .seq = 4 });
	assert_int_equal(2, o.refused);
	assert_int_equal(0, number_of(db, "SELECT count(*) FROM stocktake"));
	assert_int_equal(2, number_of(db, "SELECT count(*) FROM sync_waiting WHERE kind = 'quarantine' AND code = 'incomplete'"
	                               " AND root_entity = 'stocktake' AND root_id = 't1' AND text LIKE 'stocktake_line ''l1'' of its group%'"));
	assert_int_equal(2, number_of(db, "SELECT count(*) FROM sync_verdict WHERE kind = 'refused' AND code = 'incomplete'"));
	/* whole it is taken, another site's groups are no matter, nor are others of the site */
	o = RECEIVE(db, having(&start), { SYNC_PUT, "stocktake", "t1", .seq = 5 },
	            { SYNC_PUT, "stocktake_line", "l1", { "stocktake_id", "t1" }, .seq = 6 },
	            { SYNC_PUT, "stocktake_line", "l2", { "stocktake_id", "t1" }, .seq = 7 }, { SYNC_PUT, "stocktake", "t2", .seq = 8 });
	assert_int_equal(4, o.applied);
}

static void a_group_is_taken_when_its_site_has_what_was_sent_instead(void **state)
{
	static const struct sync_position before = { .own.seq = 49 }, after = { .own.seq = 50 };
	struct sync_db *db = central(state);
	const struct edit edit = { SYNC_PUT, "stocktake", "t1", .seq = 3 };

	refuse_group(db, &before);
	assert_int_equal(1, receive(db, having(&after), &edit, 1).refused); /* it was not sent yet */
	run_sql(db, "DELETE FROM sync_changelog;"
	        "INSERT INTO sync_outbox(site_id, entity, record_id, seq, action, source, root_id)"
	        "    VALUES (7, 'stocktake_line', 'l1', 50, 'X', -1, 't1')");
	assert_int_equal(1, receive(db, having(&before), &edit, 1).refused);
	assert_int_equal(1, receive(db, having(NULL), &edit, 1).refused); /* the site has it, but something waits there */
	assert_int_equal(1, receive(db, having(&after), &edit, 1).applied);
}

static void what_a_person_has_decided_holds_no_group_back(void **state)
{
	static const struct sync_position start;
	struct sync_db *db = central(state);

	refuse_group(db, &start);
	run_sql(db, "UPDATE sync_waiting SET done_us = 1, verdict = 'discarded'");
	assert_int_equal(1, RECEIVE(db, having(&start), { SYNC_PUT, "stocktake", "t1", .seq = 3 }).applied);
}

static void a_record_of_no_store_is_whose_who_made_it(void **state)
{
	struct sync_db *db = central(state);
	struct sync_outcome o;

	o = RECEIVE(db, from(7), { SYNC_PUT, "activity_log", "a1", .seq = 1 }, { SYNC_PUT, "activity_log", "a2", { "store_id", "s1" }, .seq = 2 });
	assert_int_equal(2, o.applied);
	o = RECEIVE(db, from(7), { SYNC_PUT, "activity_log", "a1", { "changed_to", "y" }, .seq = 3 });
	assert_int_equal(1, o.applied);
	o = RECEIVE(db, from(7), { SYNC_PUT, "activity_log", "a2", { "store_id", "" }, .seq = 4 });
	assert_int_equal(1, o.refused);
	run_sql(db, "INSERT INTO sync_outbox(site_id, entity, record_id, seq, action, source) VALUES (0, 'activity_log', 'a1', 1, 'P', 8)");
	o = RECEIVE(db, from(7), { SYNC_PUT, "activity_log", "a1", { "changed_to", "z" }, .seq = 5 });
	assert_int_equal(1, o.refused);
	o = RECEIVE(db, from(7), { SYNC_PUT, "plugin_data", "d1", .seq = 6 }); /* for all stores: central's */
	assert_int_equal(1, o.refused);
}

static void a_patient_is_edited_where_it_is_visible(void **state)
{
	struct sync_db *db = central(state);
	struct edit edit = patient("of seven", "7.0a0b0c0d.1", "8.0a0b0c0d.1", 0);

	assert_int_equal(1, receive(db, from(7), &edit, 1).refused);
	assert_int_equal(1, number_of(db, "SELECT count(*) FROM sync_waiting WHERE code = 'not_visible'"));
	make_visible(db);
	edit.seq++;
	assert_int_equal(1, receive(db, from(7), &edit, 1).applied);
	edit = (struct edit){ SYNC_PUT, "name", "p8", { "type", "FACILITY" }, .seq = 200, .base = "7.0a0b0c0d.1" };
	assert_int_equal(1, receive(db, from(7), &edit, 1).refused); /* no patient any more: central's */
}

static void a_site_shows_itself_what_it_made_or_was_granted(void **state)
{
	struct sync_db *db = central(state);
	struct sync_outcome o = RECEIVE(db, from(7), { SYNC_PUT, "name", "p7", { "type", "PATIENT" }, .seq = 1 },
	                                { SYNC_PUT, "name_store_join", "j1", { "name_id", "p7" }, .seq = 2 },
	                                { SYNC_PUT, "name_store_join", "j2", { "name_id", "p7", "store_id", "s3" }, .seq = 3 },
	                                { SYNC_PUT, "name_store_join", "j3", { "name_id", "p8" }, .seq = 4 },
	                                { SYNC_PUT, "name_store_join", "j4", { "name_id", "nobody" }, .seq = 5 });

	assert_int_equal(3, o.applied);
	assert_int_equal(1, o.refused);
	assert_int_equal(1, o.waiting);
	assert_int_equal(1, number_of(db, "SELECT count(*) FROM sync_waiting WHERE kind = 'grant' AND code = 'needs_grant' AND record_id = 'j3'"));
	assert_int_equal(1, number_of(db, "SELECT count(*) FROM sync_verdict WHERE kind = 'waiting' AND code = 'needs_grant' AND record_id = 'j3'"));
	assert_int_equal(0, number_of(db, "SELECT count(*) FROM sync_changelog WHERE action = 'R'"));
	assert_int_equal(0, number_of(db, "SELECT count(*) FROM name_store_join WHERE name_id = 'p8' AND store_id = 's1'"));

	run_sql(db, "INSERT INTO sync_grant(site_id, entity, record_id, at_us) VALUES (7, 'name', 'p8', 0)");
	o = RECEIVE(db, from(7), { SYNC_PUT, "name_store_join", "j3", { "name_id", "p8" }, .seq = 4 });
	assert_int_equal(1, o.applied);
	/* once visible, a further join shows nothing new */
	run_sql(db, "DELETE FROM sync_grant");
	o = RECEIVE(db, from(7), { SYNC_PUT, "name_store_join", "j5", { "name_id", "p8", "store_id", "s3" }, .seq = 6 });
	assert_int_equal(1, o.applied);
}

static struct edit join_of(int n, int64_t seq, char id[static 16])
{
	(void)snprintf(id, 16, "ask%d", n);
	return (struct edit){ SYNC_PUT, "name_store_join", id, { "name_id", "p8" }, .seq = seq };
}

static void a_site_asks_for_so_many_grants_and_no_more(void **state)
{
	enum { MOST_GRANTS = 200 };
	struct sync_db *db = central(state);
	char id[16];

	for (int i = 0; i < MOST_GRANTS; i++) {
		struct edit edit = join_of(i, i + 1, id);

		receive(db, from(7), &edit, 1);
	}
	assert_int_equal(MOST_GRANTS, number_of(db, "SELECT count(*) FROM sync_waiting WHERE kind = 'grant' AND code = 'needs_grant'"));
	assert_int_equal(0, number_of(db, "SELECT count(*) FROM sync_verdict WHERE kind = 'refused'"));
	struct edit edits[] = { join_of(0, 1, id), { SYNC_PUT, "name_store_join", "more", { "name_id", "p8" }, .seq = 900 } };
	receive(db, from(7), edits, 2); /* one is asked again, one is new */
	assert_int_equal(MOST_GRANTS, number_of(db, "SELECT count(*) FROM sync_waiting WHERE kind = 'grant'"));
	assert_int_equal(1, number_of(db, "SELECT count(*) FROM sync_waiting WHERE kind = 'quarantine' AND code = 'too_many_grants' AND record_id = 'more'"));
	assert_int_equal(1, number_of(db, "SELECT count(*) FROM sync_verdict WHERE kind = 'refused' AND code = 'too_many_grants'"));
	assert_int_equal(1, number_of(db, "SELECT count(*) FROM sync_changelog WHERE action = 'R' AND source = 7 AND record_id = 'more'"));
	/* one decided, one more may ask */
	run_sql(db, "UPDATE sync_waiting SET done_us = 1, verdict = 'discarded' WHERE record_id = 'ask5'");
	edits[1].id = "another";
	receive(db, from(7), &edits[1], 1);
	assert_int_equal(MOST_GRANTS, number_of(db, "SELECT count(*) FROM sync_waiting WHERE kind = 'grant' AND done_us IS NULL"));
	assert_int_equal(1, number_of(db, "SELECT count(*) FROM sync_verdict WHERE kind = 'refused'"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TESTDB_BOTH(a_record_of_another_store_is_quarantined_and_leaves_no_trace),
		TESTDB_BOTH(a_line_belongs_to_whom_its_invoice_belongs_before_and_after),
		TESTDB_BOTH(central_alone_edits_what_is_central_and_drops),
		TESTDB_BOTH(what_a_site_may_never_write_is_refused_even_if_malformed),
		TESTDB_BOTH(what_builds_on_a_refused_group_is_refused_with_it),
		TESTDB_BOTH(a_group_is_taken_when_its_site_has_what_was_sent_instead),
		TESTDB_BOTH(what_a_person_has_decided_holds_no_group_back),
		TESTDB_BOTH(a_record_of_no_store_is_whose_who_made_it),
		TESTDB_BOTH(a_patient_is_edited_where_it_is_visible),
		TESTDB_BOTH(a_site_shows_itself_what_it_made_or_was_granted),
		TESTDB_BOTH(a_site_asks_for_so_many_grants_and_no_more),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

#include "country.h"

#include <inttypes.h>
#include <pthread.h>

#include "exchange/checkpoint.h"
#include "exchange/pending.h"
#include "faulty_db.h"

/* A country with one loaded site. */
static void open_one(struct country *c, void **state)
{
	country_open(c, testdb_of(state), 1);
	country_load(c, 0);
}

static struct sync_db *site_db(const struct country *c)
{
	return c->site[0].db.db;
}

/* An edit of each sort: a record alone, a group, a record that anybody may edit. */
static void edit(struct country *c, int n)
{
	char text[32];

	snprintf(text, sizeof text, "edit %d", n);
	put_location(site_db(c), "l1", 1, text);
	put_stocktake(site_db(c), "t1", 1, 2);
	put_barcode(site_db(c), "b1", text);
}

/* Invariants 1 and 5: what central confirmed is in its file, and a group is there as a whole or not at all. */
static void assert_acknowledged(struct country *c)
{
	struct sync_db *central = c->central->db;
	int64_t upto = number(site_db(c), "SELECT out_upto FROM sync_link");
	int64_t edits = number(site_db(c), "SELECT stocktake_number FROM stocktake WHERE id = 't1'");
	int64_t seq = number(site_db(c), "SELECT seq FROM sync_changelog WHERE record_id = 't1'");
	int64_t there = number(central, "SELECT coalesce(max(stocktake_number), 0) FROM stocktake WHERE id = 't1'");

	if (seq <= upto)
		assert_int_equal(edits, there);
	assert_int_equal(there ? 2 : 0, number(central, "SELECT count(*) FROM stocktake_line WHERE stocktake_id = 't1'"));
	if (there) /* the first line had 1, and one more with each edit */
		assert_int_equal(there, number(central, "SELECT CAST(snapshot_number_of_packs AS integer) FROM stocktake_line"
							" WHERE id = 't1-1'"));
}

static void assert_recovers(struct country *c)
{
	assert_acknowledged(c);
	if (country_round(c, 0) != SYNC_OK)
		fail_msg("%s", c->site[0].err.text);
	assert_acknowledged(c);
	assert_int_equal(0, c->site[0].report.unpushed);
	assert_int_equal(0, c->site[0].report.refused);
	assert_converged(c, 0);
}

static void a_request_cut_at_any_byte_changes_nothing(void **state)
{
	struct country c;
	struct loopback *line = &c.site[0].line;
	bool whole = false;
	size_t cut;

	open_one(&c, state);
	for (cut = 0; !whole; cut++) {
		int64_t before = number(c.central->db, "SELECT in_ordinal FROM sync_site");

		edit(&c, (int)cut);
		loopback_arm(line, LOOPBACK_CUT_REQUEST, 1, cut);
		assert_int_equal(SYNC_ENET, country_round(&c, 0));
		whole = cut >= line->request_bytes;
		assert_int_equal(whole ? SYNC_OK : SYNC_EBADFRAME, line->answered);
		assert_int_equal(before + whole, number(c.central->db, "SELECT in_ordinal FROM sync_site"));
		assert_recovers(&c);
	}
	assert_true(cut > 300);
	country_close(&c);
}

static void an_answer_cut_at_any_byte_is_recognised(void **state)
{
	struct country c;
	struct loopback *line = &c.site[0].line;
	bool whole = false;
	size_t cut;

	open_one(&c, state);
	for (cut = 0; !whole; cut++) {
		enum sync_status status;

		edit(&c, (int)cut);
		loopback_arm(line, LOOPBACK_CUT_ANSWER, 1, cut);
		status = country_round(&c, 0);
		whole = cut >= line->answer_bytes;
		assert_int_equal(whole ? SYNC_OK : SYNC_EBADFRAME, status);
		assert_int_equal(!whole, number(site_db(&c), "SELECT unanswered FROM sync_link"));
		assert_recovers(&c);
	}
	assert_true(cut > 80);
	country_close(&c);
}

static void lost_repeated_and_late_messages_do_no_harm(void **state)
{
	static const enum loopback_fault faults[] = { LOOPBACK_LOSE_REQUEST, LOOPBACK_LOSE_ANSWER, LOOPBACK_REPEAT,
						      LOOPBACK_DELAY, LOOPBACK_OLD_ANSWER };
	struct country c;

	open_one(&c, state);
	for (int n = 0; n < 10; n++) {
		enum loopback_fault fault = faults[n % (int)COUNT(faults)];

		edit(&c, n);
		loopback_arm(&c.site[0].line, fault, 1, 0);
		(void)country_round(&c, 0);
		if (fault == LOOPBACK_DELAY && n % 2)
			assert_int_equal(SYNC_OK, loopback_deliver(&c.site[0].line)); /* it is the first to arrive */
		assert_recovers(&c);
		if (fault == LOOPBACK_DELAY)
			assert_int_equal(SYNC_OK, loopback_deliver(&c.site[0].line));
		assert_recovers(&c);
	}
	country_close(&c);
}

static void a_late_request_is_refused(void **state)
{
	struct country c;
	struct loopback *line = &c.site[0].line;
	int64_t ordinal;

	open_one(&c, state);
	put_location(site_db(&c), "l1", 1, "old");
	loopback_arm(line, LOOPBACK_DELAY, 1, 0);
	assert_int_equal(SYNC_ENET, country_round(&c, 0));
	put_location(site_db(&c), "l1", 1, "new");
	assert_int_equal(SYNC_OK, country_round(&c, 0));
	ordinal = number(c.central->db, "SELECT in_ordinal FROM sync_site");
	assert_int_equal(SYNC_OK, loopback_deliver(line));
	assert_int_equal(ordinal, number(c.central->db, "SELECT in_ordinal FROM sync_site"));
	assert_int_equal(1, number(c.central->db, "SELECT count(*) FROM location WHERE name = 'new'"));
	assert_recovers(&c);
	country_close(&c);
}

static void many_unanswered_edits_ask_first(void **state)
{
	struct country c;
	struct loopback *line = &c.site[0].line;

	open_one(&c, state);
	for (int i = 0; i < 150; i++) {
		char id[16];

		snprintf(id, sizeof id, "l%d", i);
		put_location(site_db(&c), id, 1, "x");
	}
	loopback_arm(line, LOOPBACK_LOSE_ANSWER, 1, 0);
	assert_int_equal(SYNC_ENET, country_round(&c, 0));
	loopback_arm(line, LOOPBACK_LOSE_ANSWER, 1, 0);
	assert_int_equal(SYNC_ENET, country_round(&c, 0));
	assert_true(line->request_bytes < 400);
	assert_int_equal(SYNC_OK, country_round(&c, 0));
	assert_int_equal(0, c.site[0].report.pushed);
	assert_int_equal(0, c.site[0].report.unpushed);
	assert_converged(&c, 0);
	country_close(&c);
}

static void unanswered_checkpoints_stay_few_while_the_line_is_down(void **state)
{
	struct country c;

	open_one(&c, state);
	edit(&c, 1);
	loopback_arm(&c.site[0].line, LOOPBACK_LOSE_ANSWER, 1, 0);
	assert_int_equal(SYNC_ENET, country_round(&c, 0));
	for (int i = 0; i < 100; i++) {
		loopback_arm(&c.site[0].line, LOOPBACK_LOSE_REQUEST, 1, 0);
		assert_int_equal(SYNC_ENET, country_round(&c, 0));
	}
	assert_true(number(site_db(&c), "SELECT made_ordinal FROM sync_link") <= 20);
	assert_recovers(&c);
	country_close(&c);
}

static void single_records_travel_one_by_one(void **state)
{
	struct country c;

	open_one(&c, state);
	c.o.chunk_max = 1;
	put_location(site_db(&c), "l1", 1, "a");
	put_location(site_db(&c), "l2", 1, "b");
	put_location(site_db(&c), "l3", 1, "c");
	assert_int_equal(SYNC_OK, country_round(&c, 0));
	assert_int_equal(3, c.site[0].report.requests);
	assert_int_equal(3, c.site[0].report.pushed);
	assert_converged(&c, 0);
	country_close(&c);
}

static void a_group_larger_than_a_message_travels_in_parts(void **state)
{
	struct country c;

	open_one(&c, state);
	c.o.chunk_max = 1;
	put_stocktake(site_db(&c), "t1", 1, 5);
	put_location(site_db(&c), "l1", 1, "after it");
	assert_int_equal(SYNC_OK, country_round(&c, 0));
	assert_int_equal(7, c.site[0].report.pushed);
	loopback_work(&c.site[0].line);
	assert_int_equal(SYNC_OK, country_round(&c, 0));
	assert_converged(&c, 0);
	assert_int_equal(5, number(c.central->db, "SELECT count(*) FROM stocktake_line"));
	assert_int_equal(0, number(c.central->db, "SELECT spooled FROM sync_site"));
	country_close(&c);
}

/* After each part the line goes dead once: the group starts again, and what came of it before is dropped. */
static void a_group_cut_between_its_parts_starts_again(void **state)
{
	struct country c;

	open_one(&c, state);
	c.o.chunk_max = 1;
	for (int part = 1; part <= 3; part++) {
		for (int lost = 0; lost < 2; lost++) {
			put_stocktake(site_db(&c), "t1", 1, 2);
			loopback_arm(&c.site[0].line, lost ? LOOPBACK_LOSE_ANSWER : LOOPBACK_LOSE_REQUEST, part, 0);
			assert_int_equal(SYNC_ENET, country_round(&c, 0));
			loopback_work(&c.site[0].line);
			assert_acknowledged(&c);
			assert_int_equal(SYNC_OK, country_round(&c, 0));
			loopback_work(&c.site[0].line);
			assert_recovers(&c);
			assert_int_equal(0, number(c.central->db, "SELECT count(*) FROM sync_spool"));
		}
	}
	country_close(&c);
}

static void a_group_of_too_many_bytes_travels_in_parts(void **state)
{
	struct country c;

	open_one(&c, state);
	c.o.message_min = 1024;
	c.o.message_max = 8192;
	put_stocktake(site_db(&c), "t1", 1, 500);
	run(site_db(&c), "UPDATE stocktake_line SET comment = hex(randomblob(60))");
	put_location(site_db(&c), "l1", 1, "after it");
	assert_int_equal(SYNC_OK, country_round(&c, 0));
	assert_true(c.site[0].report.requests > 3);
	assert_int_equal(502, c.site[0].report.pushed);
	loopback_work(&c.site[0].line);
	assert_int_equal(SYNC_OK, country_round(&c, 0));
	assert_converged(&c, 0);
	country_close(&c);
}

/* A server of its own, with a database handle of its own, that answers what was delayed. */
struct clerk {
	pthread_t thread;
	struct sync_db *db;
	struct sync_server *server;
	int64_t site_id;
	struct sync_view body;
	enum sync_status status;
	struct sync_served served;
};

static void *answer(void *ctx)
{
	struct clerk *k = ctx;
	struct sync_view ret;

	k->status = sync_server_answer(k->server, k->site_id, k->body, &ret, &k->served, NULL);
	return NULL;
}

static void of_two_requests_at_once_one_is_taken(void **state)
{
	struct country c;
	struct loopback *line = &c.site[0].line;
	struct clerk clerks[2] = { 0 };

	open_one(&c, state);
	for (size_t i = 0; i < COUNT(clerks); i++) {
		assert_ok(sync_db_clone(&clerks[i].db, c.central->db, err));
		assert_ok(sync_server_new(&clerks[i].server, clerks[i].db, err));
		clerks[i].site_id = line->site_id;
	}
	for (int n = 0; n < 20; n++) {
		int64_t before = number(c.central->db, "SELECT in_ordinal FROM sync_site");

		edit(&c, n);
		loopback_arm(line, LOOPBACK_DELAY, 1, 0);
		assert_int_equal(SYNC_ENET, country_round(&c, 0));
		for (size_t i = 0; i < COUNT(clerks); i++) {
			clerks[i].body = sync_buf_view(&line->delayed);
			assert_int_equal(0, pthread_create(&clerks[i].thread, NULL, answer, &clerks[i]));
		}
		for (size_t i = 0; i < COUNT(clerks); i++) {
			assert_int_equal(0, pthread_join(clerks[i].thread, NULL));
			assert_int_equal(SYNC_OK, clerks[i].status);
		}
		assert_int_equal(1, clerks[0].served.wrote + clerks[1].served.wrote);
		assert_true(number(c.central->db, "SELECT in_ordinal FROM sync_site") > before);
		assert_recovers(&c);
	}
	for (size_t i = 0; i < COUNT(clerks); i++) {
		sync_server_free(clerks[i].server);
		sync_db_close(clerks[i].db);
	}
	country_close(&c);
}

static struct country *editing; /* by the transport below, between two parts */
static int64_t edit_before;

static enum sync_status edit_and_start(void *ctx, struct sync_view body, struct sync_error *err)
{
	struct loopback *line = &editing->site[0].line;

	(void)ctx;
	if (--edit_before == 0)
		put_stocktake(site_db(editing), "t1", 1, 2);
	return line->transport.start(line, body, err);
}

static enum sync_status just_finish(void *ctx, struct sync_buf *ret, struct sync_error *err)
{
	(void)ctx;
	return editing->site[0].line.transport.finish(&editing->site[0].line, ret, err);
}

static void a_group_changed_between_its_parts_starts_again(void **state)
{
	static const struct sync_transport transport = { edit_and_start, just_finish, NULL };
	struct country c;

	open_one(&c, state);
	editing = &c;
	c.o.chunk_max = 1;
	for (int part = 1; part <= 3; part++) {
		put_stocktake(site_db(&c), "t1", 1, 2);
		edit_before = part;
		assert_ok(sync_round(site_db(&c), &transport, &c.o, &c.site[0].report, err));
		loopback_work(&c.site[0].line);
		assert_recovers(&c);
	}
	country_close(&c);
}

/* What failed keeps nothing, on either side, wherever it fails. */
static void a_failure_of_the_sites_database_at_any_call_is_survived(void **state)
{
	struct country c;
	const struct sync_db_ops *drivers[] = { faulty_db(&sync_sqlite), NULL };
	bool failed = true;

	open_one(&c, state);
	for (long n = 0; failed; n++) {
		enum sync_status status;

		edit(&c, (int)n);
		country_reopen_site(&c, 0, drivers);
		faulty_db_arm(n);
		status = country_round(&c, 0);
		failed = faulty_db_disarm();
		if (!failed)
			assert_int_equal(SYNC_OK, status);
		country_reopen_site(&c, 0, testdb_drivers);
		assert_recovers(&c);
	}
	country_close(&c);
}

static void a_failure_of_centrals_database_at_any_call_is_survived(void **state)
{
	struct country c;
	struct testdb *central = testdb_of(state);
	const struct sync_db_ops *drivers[] = { faulty_db(central->kind == TESTDB_SQLITE ? &sync_sqlite : &sync_postgres),
						NULL };
	bool failed = true;

	open_one(&c, state);
	for (long n = 0; failed; n++) {
		edit(&c, (int)n);
		country_reopen_central(&c, drivers);
		faulty_db_arm(n);
		(void)country_round(&c, 0);
		failed = faulty_db_disarm();
		country_reopen_central(&c, testdb_drivers);
		assert_recovers(&c);
	}
	country_close(&c);
}

static void an_edit_that_cannot_be_sent_is_shown_until_it_is_corrected(void **state)
{
	struct country c;

	open_one(&c, state);
	put_location(site_db(&c), "l1", 1, "good");
	run(site_db(&c), "INSERT INTO location(id, name, code, on_hold, store_id, volume)"
			 " VALUES ('l2', CAST(x'ff' AS text), 'x', 0, 'store1', 1)");
	assert_int_equal(SYNC_OK, country_round(&c, 0));
	assert_int_equal(1, c.site[0].report.pushed);
	assert_int_equal(1, c.site[0].report.refused);
	assert_int_equal(0, c.site[0].report.unpushed);
	assert_int_equal(
	    1, number(site_db(&c), "SELECT count(*) FROM sync_verdict WHERE record_id = 'l2' AND code = 'bad_value'"));
	put_location(site_db(&c), "l2", 1, "corrected");
	assert_recovers(&c);
	country_close(&c);
}

/* Central could not put it into an index. */
static void an_id_that_is_too_long_stays_at_its_site(void **state)
{
	struct country c;

	open_one(&c, state);
	run(site_db(&c), "INSERT INTO location(id, name, code, on_hold, store_id, volume)"
			 " VALUES (hex(randomblob(5000)), 'x', 'x', 0, 'store1', 1)");
	put_stocktake(site_db(&c), "t1", 1, 1);
	run(site_db(&c), "UPDATE stocktake_line SET stocktake_id = hex(randomblob(5000))");
	assert_int_equal(SYNC_OK, country_round(&c, 0));
	assert_int_equal(1, c.site[0].report.refused);
	assert_int_equal(1, c.site[0].report.waiting_at_central); /* the line: its stocktake cannot come */
	assert_int_equal(0, c.site[0].report.unpushed);
	run(site_db(&c), "DELETE FROM stocktake_line");
	assert_int_equal(SYNC_OK, country_round(&c, 0));
	assert_int_equal(2, number(site_db(&c), "SELECT count(*) FROM sync_verdict WHERE kind = 'refused' AND code = 'bad_value'"));
	assert_int_equal(1, number(c.central->db, "SELECT count(*) FROM stocktake"));
	country_close(&c);
}

static void unknown_fields_go_with_the_record_that_an_application_deletes(void **state)
{
	defer(country_close) struct country c;

	open_one(&c, state);
	put_location(site_db(&c), "l1", 1, "goes");
	put_location(site_db(&c), "l2", 1, "goes and comes again");
	put_location(site_db(&c), "l3", 1, "stays");
	run(site_db(&c), "INSERT INTO sync_extra(entity, record_id, data) VALUES ('location', 'l1', '{\"later\":1}'),"
			 "    ('location', 'l2', '{\"later\":2}'), ('location', 'l3', '{\"later\":3}')");
	assert_int_equal(SYNC_OK, country_round(&c, 0));
	assert_int_equal(3, number(c.central->db, "SELECT count(*) FROM sync_extra"));
	run(site_db(&c), "DELETE FROM location WHERE id IN ('l1', 'l2')");
	put_location(site_db(&c), "l2", 1, "here again");
	assert_int_equal(SYNC_OK, country_round(&c, 0));
	assert_int_equal(0, number(site_db(&c), "SELECT count(*) FROM sync_extra WHERE record_id = 'l1'"));
	assert_int_equal(2, number(site_db(&c), "SELECT count(*) FROM sync_extra"));
	assert_int_equal(0, number(c.central->db, "SELECT count(*) FROM sync_extra WHERE record_id = 'l1'"));
	put_location(site_db(&c), "l1", 1, "another");
	assert_int_equal(SYNC_OK, country_round(&c, 0));
	assert_int_equal(0, number(c.central->db, "SELECT count(*) FROM sync_extra WHERE record_id = 'l1'"));
	assert_converged(&c, 0);
}

/* Sends a hand-made header with one record, or none. */
static enum sync_status send(struct country *c, const struct sync_header *h, bool record)
{
	struct sync_record r = { .entity = sync_entity_find(sync_view_of("location")),
				 .name = sync_view_of("location"),
				 .id = sync_view_of("l1"),
				 .action = SYNC_DELETE,
				 .seq = 1,
				 .age_ms = -1 };
	defer(sync_writer_freep) struct sync_writer *w = NULL;
	struct sync_served served;
	struct sync_end end = { 0 };
	struct sync_view body, answer;

	assert_ok(sync_writer_new(&w, NULL, 3, 1 << 20, err));
	sync_writer_begin(w, h, true);
	if (record)
		sync_writer_record(w, &r);
	assert_ok(sync_writer_end(w, &end, &body, err));
	return sync_server_answer(c->site[0].line.server, c->site[0].line.site_id, body, &answer, &served, &c->site[0].err);
}

static void a_request_that_cannot_be_is_refused_and_changes_nothing(void **state)
{
	struct country c;
	struct sync_link link;
	struct sync_header good;
	static const struct {
		const char *text;
		int64_t site, ordinal, seq;
		const char *branch, *id;
		bool cont;
		enum sync_status status;
	} bad[] = {
		{ "is of site 99, its token is site 1's", 99, 5, 9, "01234567", "aaaaaaaaaaaaaaaa", false, SYNC_EBADREQUEST },
		{ "has no branch", 1, 5, 9, "", "aaaaaaaaaaaaaaaa", false, SYNC_EBADFRAME },
		{ "has no id", 1, 5, 9, "01234567", "", false, SYNC_EBADFRAME },
		{ "1 upto 9 does not follow 1", 1, 1, 9, "01234567", "aaaaaaaaaaaaaaaa", false, SYNC_EBADFRAME },
		{ "5 upto 0 does not follow 1", 1, 5, 0, "01234567", "aaaaaaaaaaaaaaaa", false, SYNC_EBADFRAME },
		{ "that no request before it began", 1, 5, 9, "01234567", "aaaaaaaaaaaaaaaa", true, SYNC_EBADFRAME },
		{ "records without a checkpoint", 1, 0, 0, "01234567", "", false, SYNC_EBADFRAME },
	};

	open_one(&c, state);
	put_location(site_db(&c), "l1", 1, "here");
	assert_int_equal(SYNC_OK, country_round(&c, 0));
	assert_ok(sync_link_get(site_db(&c), &link, err));
	good = (struct sync_header){ .protocol = 1, .schema = 1, .program = "0", .site = 1, .base = link.out, .at = link.at };
	for (size_t i = 0; i < COUNT(bad); i++) {
		struct sync_header h = good;

		h.site = bad[i].site;
		h.cont = bad[i].cont;
		h.made = (struct sync_checkpoint){ .ordinal = bad[i].ordinal, .seq = bad[i].seq };
		memcpy(h.branch, bad[i].branch, strlen(bad[i].branch) + 1);
		memcpy(h.made.id, bad[i].id, strlen(bad[i].id) + 1);
		assert_int_equal(bad[i].status, send(&c, &h, true));
		if (!strstr(c.site[0].err.text, bad[i].text))
			fail_msg("'%s' is not in '%s'", bad[i].text, c.site[0].err.text);
	}
	assert_int_equal(1, number(c.central->db, "SELECT count(*) FROM location"));
	assert_recovers(&c);
	country_close(&c);
}

/* what is pending */

/* Of the last request. */
static bool says_held(const struct country *c)
{
	defer(sync_reader_freep) struct sync_reader *reader = NULL;
	struct sync_header h;

	assert_ok(sync_reader_new(&reader, sync_buf_view(&c->site[0].line.request), &sync_default_limits, err));
	assert_ok(sync_reader_header(reader, &h, true, err));
	return h.held;
}

static void a_push_says_whether_something_that_came_waits_for_what_was_done_here(void **state)
{
	static const struct {
		const char *code;
		bool held;
	} codes[] = { { "local_edit", true }, { "waiting_edit", true }, { "referenced", true }, { "missing_reference", false } };
	struct country c;

	open_one(&c, state);
	for (size_t i = 0; i < COUNT(codes); i++) {
		run(site_db(&c), "DELETE FROM sync_inbox");
		run(site_db(&c), "INSERT INTO sync_inbox(source, entity, record_id, root_id, seq, frame, code, text, received_us)"
				 "    VALUES (0, 'stocktake', 't', 't', 1, '', '%s', '', 0)", codes[i].code);
		edit(&c, (int)i);
		loopback_arm(&c.site[0].line, LOOPBACK_LOSE_REQUEST, 1, 0);
		assert_int_equal(SYNC_ENET, country_round(&c, 0));
		assert_int_equal(codes[i].held, says_held(&c));
	}
	country_close(&c);
}

static void site_with(struct country *c, void **state, const char *edits)
{
	open_one(c, state);
	assert_ok(sync_db_script(site_db(c), edits, err));
}

/* The ids of what would be sent, with a bar between clusters. */
static void assert_pending(struct country *c, size_t most, const struct sync_seqs *sent, const char *expected)
{
	struct sync_pending p = { 0 };
	char got[400] = "";
	size_t cluster = 0;

	assert_ok(sync_db_begin(site_db(c), false, err));
	assert_ok(sync_pending_read(&p, site_db(c), 0, most, sent, err));
	sync_db_rollback(site_db(c));
	for (size_t i = 0; i < p.n; i++) {
		size_t len = strlen(got);

		snprintf(got + len, sizeof got - len, "%s%s%.*s", i ? " " : "", p.row[i].action == SYNC_DELETE ? "-" : "",
			 SYNC_VIEW(p.row[i].id));
		if (i + 1 == p.end[cluster]) {
			strcat(got, " |");
			cluster++;
		}
	}
	assert_string_equal(expected, got);
	sync_pending_clear(&p);
}

#define TAKE(id)                                                                                              \
	"INSERT INTO stocktake(id, store_id, user_id, stocktake_number, status, created_datetime, is_locked," \
	" is_initial_stocktake) VALUES ('" id "', 'store1', 'x', 1, 'NEW', '2026-11-24T10:00:00', 0, 0);"
#define LINE(id, take)                                                                                                \
	"INSERT INTO stocktake_line(id, stocktake_id, snapshot_number_of_packs, item_id, item_name, volume_per_pack)" \
	" VALUES ('" id "', '" take "', 1, 'item1', 'BCG', 0);"

static void groups_are_sent_whole_and_in_order(void **state)
{
	static const struct sync_seqs none = { 0 };
	struct country c;

	site_with(&c, state, LINE("a1", "a") TAKE("b") TAKE("a") LINE("b1", "b") LINE("a2", "a"));
	assert_pending(&c, 100, &none, "a a1 a2 | b b1 |");
	assert_pending(&c, 4, &none, "a a1 a2 |");
	assert_pending(&c, 1, &none, "a a1 a2 |");
	country_close(&c);
}

static void a_record_that_moved_takes_both_groups_with_it(void **state)
{
	static const struct sync_seqs none = { 0 };
	struct country c;

	site_with(&c, state, TAKE("a") LINE("a1", "a") LINE("a2", "a") TAKE("b") LINE("b1", "b"));
	assert_ok(sync_db_script(site_db(&c), "UPDATE stocktake_line SET stocktake_id = 'b' WHERE id = 'a1'", err));
	assert_pending(&c, 2, &none, "a a2 b b1 a1 |");
	country_close(&c);
}

static void deletes_come_last_and_children_first(void **state)
{
	static const struct sync_seqs none = { 0 };
	struct country c;

	site_with(&c, state,
		  TAKE("a") LINE("a1", "a") LINE("a2", "a") TAKE("b") LINE(
		      "b1", "b") "DELETE FROM stocktake WHERE id = 'a'; DELETE FROM stocktake_line WHERE stocktake_id = 'a';"
				 "DELETE FROM stocktake_line WHERE id = 'b1';");
	assert_pending(&c, 100, &none, "b -b1 | -a1 -a2 -a |");
	country_close(&c);
}

static void upto_stops_at_the_first_change_that_is_missing(void **state)
{
	static const struct sync_seqs none = { 0 };
	struct sync_pending p = { 0 };
	struct country c;
	int64_t upto, first;

	site_with(&c, state, TAKE("a") TAKE("b") LINE("a1", "a") LINE("b1", "b"));
	first = number(site_db(&c), "SELECT min(seq) FROM sync_changelog");
	assert_ok(sync_pending_read(&p, site_db(&c), 0, 2, &none, err));
	assert_false(p.all);
	assert_ok(sync_pending_upto(&p, p.n, 0, &none, &upto, err));
	assert_int_equal(first, upto);
	assert_ok(sync_pending_read(&p, site_db(&c), 0, 4, &none, err));
	assert_true(p.all);
	assert_ok(sync_pending_upto(&p, p.n, 0, &none, &upto, err));
	assert_int_equal(first + 3, upto);
	sync_pending_clear(&p);
	country_close(&c);
}

static void what_was_sent_out_of_order_is_not_sent_again(void **state)
{
	struct country c;

	site_with(&c, state, TAKE("a") TAKE("b") TAKE("c") LINE("a1", "a") LINE("b1", "b") LINE("c1", "c") LINE("a2", "a"));
	c.o.chunk_max = 3;
	assert_int_equal(SYNC_OK, country_round(&c, 0));
	assert_int_equal(7, c.site[0].report.pushed);
	assert_int_equal(3, c.site[0].report.requests);
	assert_converged(&c, 0);
	country_close(&c);
}

/* checkpoints */

static void checkpoints_thin_by_the_rule(void **state)
{
	struct testdb *t = testdb_of(state);
	int64_t previous = 0, kept = 0;

	testdb_open(t, SYNC_CENTRAL);
	assert_ok(sync_db_begin(t->db, true, err));
	for (int64_t n = 1; n <= 2000; n++) {
		struct sync_checkpoint c = { .ordinal = n, .seq = n };

		snprintf(c.id, sizeof c.id, "%016" PRIx64, (uint64_t)n);
		assert_ok(sync_checkpoint_put(t->db, 7, &c, previous, err));
		previous = n;
	}
	assert_ok(sync_db_commit(t->db, err));
	for (int64_t n = 1; n <= 2000; n++) {
		bool must = 64 * (n & -n) >= 2000 - n;
		bool found;
		struct sync_checkpoint c;
		char id[SYNC_CHECKPOINT_ID + 1];

		snprintf(id, sizeof id, "%016" PRIx64, (uint64_t)n);
		assert_ok(sync_checkpoint_find(t->db, 7, id, &c, &found, err));
		assert_int_equal(must, found);
		kept += found;
	}
	assert_true(kept < 400);
}

#define ON_SQLITE(test) TESTDB_ON(test, TESTDB_SQLITE, "SQLite")

int main(void)
{
	const struct CMUnitTest tests[] = {
		TESTDB_BOTH(a_request_cut_at_any_byte_changes_nothing),
		TESTDB_BOTH(an_answer_cut_at_any_byte_is_recognised),
		TESTDB_BOTH(lost_repeated_and_late_messages_do_no_harm),
		TESTDB_BOTH(a_late_request_is_refused),
		ON_SQLITE(many_unanswered_edits_ask_first),
		ON_SQLITE(unanswered_checkpoints_stay_few_while_the_line_is_down),
		TESTDB_BOTH(single_records_travel_one_by_one),
		TESTDB_BOTH(a_group_larger_than_a_message_travels_in_parts),
		TESTDB_BOTH(a_group_cut_between_its_parts_starts_again),
		TESTDB_BOTH(a_group_changed_between_its_parts_starts_again),
		TESTDB_BOTH(a_group_of_too_many_bytes_travels_in_parts),
		TESTDB_BOTH(of_two_requests_at_once_one_is_taken),
		ON_SQLITE(a_failure_of_the_sites_database_at_any_call_is_survived),
		TESTDB_BOTH(a_failure_of_centrals_database_at_any_call_is_survived),
		TESTDB_BOTH(an_id_that_is_too_long_stays_at_its_site),
		TESTDB_BOTH(unknown_fields_go_with_the_record_that_an_application_deletes),
		ON_SQLITE(an_edit_that_cannot_be_sent_is_shown_until_it_is_corrected),
		TESTDB_BOTH(a_request_that_cannot_be_is_refused_and_changes_nothing),
		ON_SQLITE(a_push_says_whether_something_that_came_waits_for_what_was_done_here),
		ON_SQLITE(groups_are_sent_whole_and_in_order),
		ON_SQLITE(a_record_that_moved_takes_both_groups_with_it),
		ON_SQLITE(deletes_come_last_and_children_first),
		ON_SQLITE(upto_stops_at_the_first_change_that_is_missing),
		ON_SQLITE(what_was_sent_out_of_order_is_not_sent_again),
		TESTDB_BOTH(checkpoints_thin_by_the_rule),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

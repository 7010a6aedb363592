#include "country.h"

#include <libsync/site.h>
#include <libsync/time.h>

#include "faulty_db.h"

static struct sync_db *site_db(const struct country *c, size_t i)
{
	return c->site[i].db.db;
}

/* A country whose sites are all loaded. */
static void open_loaded(struct country *c, void **state, size_t n)
{
	country_open(c, testdb_of(state), n);
	for (size_t i = 0; i < n; i++)
		country_load(c, i);
}

static void assert_fails(struct country *c, size_t site, enum sync_status status, const char *text)
{
	assert_int_equal(status, country_round(c, site));
	if (!strstr(c->site[site].err.text, text))
		fail_msg("'%s' is not in '%s'", text, c->site[site].err.text);
}

static void a_round_of_a_few_edits_is_one_request(void **state)
{
	struct country c;

	open_loaded(&c, state, 1);
	put_location(site_db(&c, 0), "l1", 1, "Fridge");
	put_stocktake(site_db(&c, 0), "t1", 1, 3);
	put_barcode(site_db(&c, 0), "b1", "123");
	run(c.central->db, "UPDATE unit SET name = 'vial'");
	assert_int_equal(SYNC_OK, country_round(&c, 0));
	assert_int_equal(1, c.site[0].report.requests);
	assert_int_equal(6, c.site[0].report.pushed);
	assert_int_equal(1, c.site[0].report.pulled);
	assert_int_equal(1, c.site[0].report.integrated);
	assert_int_equal(0, c.site[0].report.unpushed + c.site[0].report.waiting + c.site[0].report.refused +
				c.site[0].report.more);
	assert_converged(&c, 0);
	country_close(&c);
}

/* Rises with every change, on PostgreSQL with every transaction that makes one. */
static int64_t writes(struct sync_db *db)
{
	if (sync_db_dialect(db)->postgres)
		return number(db, "SELECT CAST(CAST(pg_snapshot_xmax(pg_current_snapshot()) AS text) AS bigint)");
	return number(db, "SELECT total_changes()");
}

static void an_empty_round_writes_nothing_on_either_side(void **state)
{
	struct country c;
	int64_t at_site, at_central;

	open_loaded(&c, state, 1);
	put_location(site_db(&c, 0), "l1", 1, "Fridge");
	country_settle(&c);
	at_site = writes(site_db(&c, 0));
	at_central = writes(c.central->db);
	for (int i = 0; i < 3; i++) {
		assert_int_equal(SYNC_OK, country_round(&c, 0));
		assert_int_equal(1, c.site[0].report.requests);
	}
	assert_int_equal(at_site, writes(site_db(&c, 0)));
	assert_int_equal(at_central, writes(c.central->db));
	country_close(&c);
}

static int64_t test_clock_us;

static int64_t test_clock(void)
{
	return test_clock_us;
}

static void when_a_site_was_seen_is_written_by_the_flush(void **state)
{
	struct country c;

	open_loaded(&c, state, 1);
	country_settle(&c);
	test_clock_us = sync_now_us() + 3600000000;
	sync_set_clock(test_clock);
	assert_int_equal(SYNC_OK, country_round(&c, 0));
	assert_true(number(c.central->db, "SELECT last_seen_us FROM sync_site") < test_clock_us);
	assert_ok(sync_server_flush(c.central->db, err));
	assert_int_equal(test_clock_us, number(c.central->db, "SELECT last_seen_us FROM sync_site"));
	assert_int_equal(number(site_db(&c, 0), "SELECT all_seq FROM sync_link"),
			 number(c.central->db, "SELECT all_seq FROM sync_site"));
	sync_set_clock(NULL);
	country_close(&c);
}

static void two_sites_that_edit_the_same_record_converge(void **state)
{
	struct country c;

	open_loaded(&c, state, 2);
	put_barcode(site_db(&c, 0), "b1", "first");
	country_settle(&c);
	for (int n = 0; n < 4; n++) {
		put_barcode(site_db(&c, 0), "b1", n % 2 ? "one" : "two");
		put_barcode(site_db(&c, 1), "b1", n % 2 ? "three" : "four");
		put_location(site_db(&c, 1), "l2", 2, n % 2 ? "x" : "y");
		country_settle(&c);
		assert_converged(&c, 0);
		assert_converged(&c, 1);
	}
	country_close(&c);
}

static void what_a_site_may_not_edit_comes_back_with_a_verdict(void **state)
{
	struct country c;

	open_loaded(&c, state, 1);
	run(site_db(&c, 0), "UPDATE unit SET name = 'mine'");
	country_settle(&c);
	assert_int_equal(1, c.site[0].report.refused);
	assert_int_equal(
	    1, number(site_db(&c, 0), "SELECT count(*) FROM sync_verdict WHERE kind = 'refused' AND record_id = 'unit1'"));
	assert_converged(&c, 0);
	country_close(&c);
}

static void verdicts_come_in_numbers_that_are_bounded(void **state)
{
	struct country c;

	open_loaded(&c, state, 1);
	for (int i = 0; i < 600; i++)
		run(site_db(&c, 0), "INSERT INTO unit(id, name, \"index\", is_active) VALUES ('u%d', 'x', 1, 1)", i);
	loopback_arm(&c.site[0].line, LOOPBACK_LOSE_REQUEST, 2, 0);
	assert_int_equal(SYNC_ENET, country_round(&c, 0));
	assert_int_equal(500, number(site_db(&c, 0), "SELECT count(*) FROM sync_verdict"));
	assert_int_equal(601, number(site_db(&c, 0), "SELECT count(*) FROM unit")); /* records come behind all verdicts */
	country_settle(&c);
	assert_int_equal(600, c.site[0].report.refused);
	assert_converged(&c, 0);
	country_close(&c);
}

static void a_pull_cut_at_any_byte_changes_nothing(void **state)
{
	struct country c;
	struct loopback *line = &c.site[0].line;
	bool whole = false;
	size_t cut;

	open_loaded(&c, state, 1);
	for (cut = 0; !whole; cut++) {
		int64_t before = number(site_db(&c, 0), "SELECT all_seq FROM sync_link");
		enum sync_status status;

		run(c.central->db, "UPDATE unit SET name = 'edit %zu'", cut);
		run(c.central->db, "UPDATE item SET name = 'edit %zu'", cut);
		loopback_arm(line, LOOPBACK_CUT_ANSWER, 1, cut);
		status = country_round(&c, 0);
		whole = cut >= line->answer_bytes;
		assert_int_equal(whole ? SYNC_OK : SYNC_EBADFRAME, status);
		if (!whole)
			assert_int_equal(before, number(site_db(&c, 0), "SELECT all_seq FROM sync_link"));
		assert_int_equal(SYNC_OK, country_round(&c, 0));
		assert_converged(&c, 0);
	}
	assert_true(cut > 150);
	country_close(&c);
}

static void faults_of_a_pull_do_no_harm(void **state)
{
	static const enum loopback_fault faults[] = { LOOPBACK_LOSE_REQUEST, LOOPBACK_LOSE_ANSWER, LOOPBACK_REPEAT,
						      LOOPBACK_DELAY,        LOOPBACK_OLD_ANSWER,  LOOPBACK_CUT_REQUEST };
	struct country c;

	open_loaded(&c, state, 1);
	for (size_t i = 0; i < COUNT(faults); i++) {
		run(c.central->db, "UPDATE unit SET name = 'edit %zu'", i);
		loopback_arm(&c.site[0].line, faults[i], 1, 20);
		(void)country_round(&c, 0);
		run(c.central->db, "UPDATE item SET name = 'edit %zu'", i);
		assert_int_equal(SYNC_OK, country_round(&c, 0));
		if (faults[i] == LOOPBACK_DELAY)
			assert_int_equal(SYNC_OK, loopback_deliver(&c.site[0].line));
		assert_int_equal(SYNC_OK, country_round(&c, 0));
		assert_converged(&c, 0);
	}
	country_close(&c);
}

/* Not even when another one has come meanwhile: what it brings is older than what is there. */
static void an_answer_that_comes_again_later_changes_nothing(void **state)
{
	defer(sync_buf_clear) struct sync_buf old = { .max = 1 << 20 };
	struct country c;
	struct loopback *line = &c.site[0].line;

	open_loaded(&c, state, 1);
	run(c.central->db, "UPDATE unit SET name = 'old'");
	assert_int_equal(SYNC_OK, country_round(&c, 0));
	sync_buf_add_view(&old, sync_buf_view(&line->answer));
	run(c.central->db, "UPDATE unit SET name = 'new'");
	assert_int_equal(SYNC_OK, country_round(&c, 0));
	sync_buf_reset(&line->answer);
	sync_buf_add_view(&line->answer, sync_buf_view(&old));
	loopback_arm(line, LOOPBACK_OLD_ANSWER, 1, 0);
	(void)country_round(&c, 0);
	assert_converged(&c, 0);
	country_close(&c);
}

static void put_units(struct sync_db *db, int from, int to)
{
	assert_ok(sync_db_begin(db, true, err));
	for (int i = from; i < to; i++)
		run(db, "INSERT INTO unit(id, name, \"index\", is_active) VALUES ('u%d', 'name', %d, %s)", i, i,
		    sync_db_dialect(db)->postgres ? "true" : "1");
	assert_ok(sync_db_commit(db, err));
}

static void a_large_pull_is_spooled_and_integrated_in_slices(void **state)
{
	static const char spooled[] = "SELECT CAST(value AS bigint) FROM sync_meta WHERE key = 'spooled'";
	int64_t numbered;
	struct country c;

	open_loaded(&c, state, 1);
	put_units(c.central->db, 0, 3000);
	assert_int_equal(SYNC_OK, country_round(&c, 0));
	assert_int_equal(3000, c.site[0].report.pulled);
	assert_int_equal(3000, c.site[0].report.integrated);
	assert_int_equal(0, c.site[0].report.more);
	assert_int_equal(0, number(site_db(&c, 0), "SELECT count(*) FROM sync_spool"));
	assert_converged(&c, 0);
	numbered = number(site_db(&c, 0), spooled);
	put_units(c.central->db, 3000, 6000);
	assert_int_equal(SYNC_OK, country_round(&c, 0));
	assert_true(number(site_db(&c, 0), spooled) > numbered);
	country_close(&c);
}

/* A message that is kept for later, in which a stocktake of a site's store is in parts. */
static void spool_part(struct country *c, size_t site, const char *id)
{
	const struct sync_options o = { .pause = c->o.pause, .chunk_max = 2 };
	struct country_site *s = &c->site[site];

	put_stocktake(s->db.db, id, (int)site + 1, 3);
	loopback_arm(&s->line, LOOPBACK_LOSE_REQUEST, 2, 0);
	assert_int_equal(SYNC_ENET, sync_round(s->db.db, &s->line.transport, &o, &s->report, NULL));
}

static void what_fails_in_the_background_does_not_stop_the_rest(void **state)
{
	struct sync_error seen;
	struct country c;
	bool more;

	open_loaded(&c, state, 2);
	spool_part(&c, 0, "t1");
	spool_part(&c, 1, "t2");
	assert_int_equal(2, number(c.central->db, "SELECT count(*) FROM sync_site WHERE spooled = 1"));
	assert_int_equal(2, number(c.central->db,
				   "SELECT count(*) FROM sync_spool p JOIN sync_site s ON s.site_id = p.source AND s.in_ordinal = p.n"));
	run(c.central->db, "UPDATE sync_spool SET body = %s WHERE source = %d",
	    sync_db_dialect(c.central->db)->postgres ? "decode('00', 'hex')" : "x'00'", (int)c.site[0].line.site_id);
	run(c.central->db, "UPDATE unit SET name = 'vial'");
	run(c.central->db, "UPDATE store SET name_id = 'name1' WHERE id = 'store2'");
	assert_int_equal(SYNC_EBADFRAME, sync_server_work(c.site[0].line.server, &more, &seen));
	assert_int_equal(1, number(c.central->db, "SELECT count(*) FROM sync_spool WHERE part = 2"));
	assert_int_equal(0, number(c.central->db, "SELECT count(*) FROM sync_changelog"));
	while (more)
		(void)sync_server_work(c.site[0].line.server, &more, &seen);
	assert_int_equal(0, number(c.central->db, "SELECT count(*) FROM sync_job"));
	country_close(&c);
}

static void a_request_that_routes_says_that_jobs_were_left(void **state)
{
	struct country c;

	open_loaded(&c, state, 1);
	country_settle(&c);
	assert_int_equal(SYNC_OK, country_round(&c, 0));
	assert_false(c.site[0].line.served.jobs);
	run(c.central->db, "INSERT INTO store(id, code, site_id, store_mode, is_disabled, name_id)"
			   " SELECT 'another', 'a', site_id, store_mode, is_disabled, name_id FROM store WHERE id = 'store1'");
	assert_int_equal(SYNC_OK, country_round(&c, 0));
	assert_true(c.site[0].line.served.jobs);
	country_close(&c);
}

static void a_failure_of_the_sites_database_during_a_pull_is_survived(void **state)
{
	const struct sync_db_ops *drivers[] = { faulty_db(&sync_sqlite), NULL };
	struct country c;
	bool failed = true;

	open_loaded(&c, state, 1);
	for (long n = 0; failed; n++) {
		int from = (int)n * 600;

		put_units(c.central->db, from, from + 600); /* more than one transaction takes */
		country_reopen_site(&c, 0, drivers);
		faulty_db_arm(n);
		(void)country_round(&c, 0);
		failed = faulty_db_disarm();
		country_reopen_site(&c, 0, testdb_drivers);
		assert_int_equal(SYNC_OK, country_round(&c, 0));
		assert_int_equal(from + 601, number(site_db(&c, 0), "SELECT count(*) FROM unit"));
	}
	assert_converged(&c, 0);
	country_close(&c);
}

/* pushes of several messages */

/* A line at whose other end something happens while the site waits for an answer. */
struct busy {
	struct country *c;
	void (*meanwhile)(struct country *c, int64_t message);
};

static enum sync_status start_busy(void *ctx, struct sync_view body, struct sync_error *err)
{
	struct loopback *line = &((struct busy *)ctx)->c->site[0].line;

	return line->transport.start(line, body, err);
}

static enum sync_status finish_busy(void *ctx, struct sync_buf *ret, struct sync_error *err)
{
	struct busy *b = ctx;
	struct loopback *line = &b->c->site[0].line;

	b->meanwhile(b->c, line->messages);
	return line->transport.finish(line, ret, err);
}

/* Messages are counted from this round on. */
static void busy_round(struct country *c, void (*meanwhile)(struct country *c, int64_t message))
{
	struct busy b = { c, meanwhile };
	const struct sync_transport transport = { start_busy, finish_busy, &b };

	c->site[0].line.messages = 0;
	assert_ok(sync_round(site_db(c, 0), &transport, &c->o, &c->site[0].report, err));
}

/* One record is one message. */
static void open_slow(struct country *c, void **state)
{
	open_loaded(c, state, 1);
	c->o.chunk_max = 1;
}

static void put_locations(struct country *c, int n, const char *name)
{
	for (int i = 1; i <= n; i++) {
		char id[16];

		snprintf(id, sizeof id, "l%d", i);
		put_location(site_db(c, 0), id, 1, name);
	}
}

static void who_has_more_to_push_is_answered_before_all_is_routed(void **state)
{
	static const char queued[] = "SELECT count(*) FROM sync_changelog";
	struct country c;
	struct loopback *line = &c.site[0].line;

	open_slow(&c, state);
	put_locations(&c, 3, "a");
	loopback_arm(line, LOOPBACK_LOSE_REQUEST, 2, 0);
	assert_int_equal(SYNC_ENET, country_round(&c, 0));
	assert_int_equal(sync_db_dialect(c.central->db)->postgres, number(c.central->db, queued));
	assert_true(line->served.jobs);
	loopback_work(line);
	assert_int_equal(0, number(c.central->db, queued));
	assert_int_equal(SYNC_OK, country_round(&c, 0));
	assert_int_equal(0, number(c.central->db, queued));
	country_close(&c);
}

static void assert_all_arrives(struct country *c)
{
	if (country_round(c, 0) != SYNC_OK)
		fail_msg("%s", c->site[0].err.text);
	assert_int_equal(0, c->site[0].report.unpushed);
	assert_int_equal(0, c->site[0].report.refused);
	assert_converged(c, 0);
}

static void expect_one_ahead(struct country *c, int64_t message)
{
	int64_t made = number(site_db(c, 0), "SELECT made_ordinal FROM sync_link");

	assert_int_equal(message < 4 ? message + 1 : message, made);
	assert_int_equal(1, number(site_db(c, 0), "SELECT unanswered FROM sync_link"));
}

static void the_next_push_is_written_while_central_works_on_one(void **state)
{
	struct country c;

	open_slow(&c, state);
	put_locations(&c, 4, "Fridge");
	busy_round(&c, expect_one_ahead);
	assert_int_equal(4, c.site[0].report.requests);
	assert_int_equal(4, c.site[0].report.pushed);
	assert_int_equal(0, c.site[0].report.unpushed);
	assert_int_equal(0, number(site_db(&c, 0), "SELECT unanswered FROM sync_link"));
	assert_int_equal(4, number(c.central->db, "SELECT in_ordinal FROM sync_site"));
	assert_converged(&c, 0);
	country_close(&c);
}

static void edit_meanwhile(struct country *c, int64_t message)
{
	if (message < 6)
		put_locations(c, 3, message % 2 ? "odd" : "even");
}

static void edits_made_while_a_push_waits_follow_it(void **state)
{
	struct country c;

	open_slow(&c, state);
	put_locations(&c, 3, "first");
	busy_round(&c, edit_meanwhile);
	assert_converged(&c, 0);
	assert_int_equal(3, number(c.central->db, "SELECT count(*) FROM location WHERE name = 'odd'"));
	country_close(&c);
}

static void change_unit_meanwhile(struct country *c, int64_t message)
{
	if (message == 2)
		run(c->central->db, "UPDATE unit SET name = 'vial'");
}

static void what_changes_at_central_during_a_push_is_pulled_once(void **state)
{
	struct country c;

	open_slow(&c, state);
	put_locations(&c, 5, "Fridge");
	busy_round(&c, change_unit_meanwhile);
	assert_int_equal(5, c.site[0].report.requests);
	assert_int_equal(5, c.site[0].report.pushed);
	assert_int_equal(1, c.site[0].report.pulled);
	assert_converged(&c, 0);
	country_close(&c);
}

static void faults_in_a_row_of_pushes_do_no_harm(void **state)
{
	static const enum loopback_fault faults[] = { LOOPBACK_LOSE_REQUEST, LOOPBACK_LOSE_ANSWER, LOOPBACK_REPEAT,
						      LOOPBACK_DELAY,        LOOPBACK_OLD_ANSWER,  LOOPBACK_CUT_REQUEST };
	struct country c;

	open_slow(&c, state);
	for (int n = 0; n < 4 * (int)COUNT(faults); n++) {
		enum loopback_fault fault = faults[n / 4];
		char name[16];

		snprintf(name, sizeof name, "edit %d", n);
		put_locations(&c, 4, name);
		put_barcode(site_db(&c, 0), "b1", name);
		loopback_arm(&c.site[0].line, fault, n % 4 + 1, 20);
		(void)country_round(&c, 0);
		put_locations(&c, 2, "later");
		assert_all_arrives(&c);
		if (fault == LOOPBACK_DELAY)
			assert_int_equal(SYNC_OK, loopback_deliver(&c.site[0].line));
		assert_all_arrives(&c);
	}
	country_close(&c);
}

static void a_row_of_pushes_cut_at_any_byte_goes_on(void **state)
{
	static const enum loopback_fault faults[] = { LOOPBACK_CUT_REQUEST, LOOPBACK_CUT_ANSWER };
	struct country c;
	struct loopback *line = &c.site[0].line;

	open_slow(&c, state);
	for (size_t f = 0; f < COUNT(faults); f++) {
		bool whole = false;

		for (size_t cut = 0; !whole; cut++) {
			char name[32];

			snprintf(name, sizeof name, "%zu of %zu", cut, f);
			put_locations(&c, 3, name);
			loopback_arm(line, faults[f], 2, cut);
			(void)country_round(&c, 0);
			whole = cut >= (faults[f] == LOOPBACK_CUT_ANSWER ? line->answer_bytes : line->request_bytes);
			assert_all_arrives(&c);
		}
	}
	country_close(&c);
}

static void a_failure_of_the_sites_database_in_a_row_of_pushes_is_survived(void **state)
{
	const struct sync_db_ops *drivers[] = { faulty_db(&sync_sqlite), NULL };
	struct country c;
	bool failed = true;

	open_slow(&c, state);
	for (long n = 0; failed; n++) {
		char name[32];

		snprintf(name, sizeof name, "edit %ld", n);
		put_locations(&c, 3, name);
		country_reopen_site(&c, 0, drivers);
		faulty_db_arm(n);
		(void)country_round(&c, 0);
		failed = faulty_db_disarm();
		country_reopen_site(&c, 0, testdb_drivers);
		assert_all_arrives(&c);
	}
	country_close(&c);
}

/* stores that move */

static void a_store_moves_once_its_site_has_pushed_everything(void **state)
{
	struct country c;
	bool done;

	open_loaded(&c, state, 2);
	put_location(site_db(&c, 0), "l1", 1, "Fridge");
	country_settle(&c);
	assert_ok(sync_store_move(c.central->db, "store1", "post2", false, &done, err));
	assert_false(done);
	put_location(site_db(&c, 0), "l2", 1, "Freezer");
	country_settle(&c);
	assert_int_equal(2, number(c.central->db, "SELECT site_id FROM sync_store WHERE store_id = 'store1'"));
	assert_int_equal(2, number(site_db(&c, 1), "SELECT count(*) FROM location"));
	assert_int_equal(0, number(site_db(&c, 0), "SELECT count(*) FROM location"));
	assert_int_equal(0, number(site_db(&c, 0), "SELECT count(*) FROM sync_verdict"));
	country_close(&c);
}

static void a_site_that_is_reset_begins_anew(void **state)
{
	struct country c;
	char secret[30], token[44];
	int64_t id;

	open_loaded(&c, state, 1);
	run(site_db(&c, 0), "UPDATE unit SET name = 'mine'"); /* leaves a verdict */
	put_location(site_db(&c, 0), "l1", 1, "Fridge");
	country_settle(&c);
	assert_ok(sync_site_reset(c.central->db, "post1", secret, err));
	assert_ok(sync_site_register(c.central->db, sync_view_of("post1"), sync_view_of(secret),
				     sync_view_of("0123456789abcdef"), sync_view_of("0"), token, &id, err));
	testdb_drop(&c.site[0].db);
	testdb_make(&c.site[0].db, TESTDB_SQLITE);
	testdb_open(&c.site[0].db, SYNC_SITE);
	assert_ok(sync_link_put(site_db(&c, 0), id, "post1", "loopback", token, "0123456789abcdef", err));
	loopback_work(&c.site[0].line);
	country_load(&c, 0);
	assert_converged(&c, 0);
	put_location(site_db(&c, 0), "l1", 1, "New fridge");
	country_settle(&c);
	assert_converged(&c, 0);
	country_close(&c);
}

/* A delete that it would have needed is forgotten, so all that it holds is compared. */
static void a_site_that_was_away_for_too_long_brings_its_edits_and_loses_what_is_gone(void **state)
{
	struct country c;

	open_loaded(&c, state, 2);
	run(c.central->db, "DELETE FROM item");
	country_tidy(&c);
	assert_int_equal(1, number(c.central->db, "SELECT count(*) FROM sync_outbox WHERE entity = 'item'"));
	for (int i = 0; i < 2; i++) /* what the first brings, the second says */
		assert_int_equal(SYNC_OK, country_round(&c, 1));
	assert_ok(sync_server_flush(c.central->db, err));
	run(c.central->db, "UPDATE sync_site SET last_seen_us = 1 WHERE site_id = 1");
	country_tidy(&c);
	assert_int_equal(0, number(c.central->db, "SELECT count(*) FROM sync_outbox WHERE entity = 'item'"));

	put_location(site_db(&c, 0), "l1", 1, "Fridge");
	country_settle(&c);
	assert_int_equal(0, number(site_db(&c, 0), "SELECT count(*) FROM item"));
	assert_int_equal(1, number(c.central->db, "SELECT count(*) FROM location"));
	assert_int_equal(0, number(c.central->db, "SELECT count(*) FROM sync_waiting"));
	assert_int_equal(0, number(c.central->db, "SELECT count(*) FROM sync_site WHERE lapsed_us IS NOT NULL"));
	assert_converged(&c, 0);
	country_close(&c);
}

/* The clock of central's machine is a year ahead for a while: nobody lapses, and nothing is forgotten. */
static void a_clock_that_leaps_makes_nobody_lapse(void **state)
{
	struct country c;

	open_loaded(&c, state, 2);
	country_tidy(&c);
	run(c.central->db, "DELETE FROM item");
	country_settle(&c);
	assert_ok(sync_server_flush(c.central->db, err));
	test_clock_us = sync_now_us() + INT64_C(365) * 86400 * 1000000;
	sync_set_clock(test_clock);
	for (int i = 0; i < 3; i++) {
		run(c.central->db, "UPDATE sync_routing SET ordinal = (ordinal / 1024 + 1) * 1024 - 1"
				   "    WHERE seq = (SELECT max(seq) FROM sync_routing)");
		run(c.central->db, "UPDATE unit SET name = 'leap %d'", i);
		loopback_work(&c.site[0].line);
	}
	assert_int_equal(0, number(c.central->db, "SELECT count(*) FROM sync_site WHERE lapsed_us IS NOT NULL"));
	assert_int_equal(1, number(c.central->db, "SELECT count(*) FROM sync_outbox WHERE entity = 'item'"));
	sync_set_clock(NULL);
	assert_int_equal(SYNC_OK, country_round(&c, 1));
	country_close(&c);
}

/* the rest */

struct deaf {
	struct loopback *line;
	int refused;
};

static enum sync_status start_deaf(void *ctx, struct sync_view body, struct sync_error *err)
{
	struct deaf *d = ctx;

	return d->line->transport.start(d->line, body, err);
}

/* The two lowest bits of the byte behind zstd's magic number tell whether a dictionary is named. */
static enum sync_status finish_deaf(void *ctx, struct sync_buf *ret, struct sync_error *err)
{
	struct deaf *d = ctx;

	if (d->line->request.data[4] & 3) {
		d->refused++;
		return sync_fail(err, SYNC_EDICTIONARY, "which dictionary?");
	}
	return d->line->transport.finish(d->line, ret, err);
}

static void another_dictionary_at_central_costs_one_request(void **state)
{
	struct country c;
	struct deaf deaf = { &c.site[0].line, 0 };
	const struct sync_transport transport = { start_deaf, finish_deaf, &deaf };

	country_open(&c, testdb_of(state), 1);
	assert_ok(sync_load_run(site_db(&c, 0), &transport, &c.o, &c.site[0].report, err));
	assert_int_equal(2, deaf.refused); /* the load, and the round after it */
	put_location(site_db(&c, 0), "l1", 1, "Fridge");
	assert_ok(sync_round(site_db(&c, 0), &transport, &c.o, &c.site[0].report, err));
	assert_int_equal(3, deaf.refused);
	assert_int_equal(0, c.site[0].report.unpushed);
	assert_converged(&c, 0);
	country_close(&c);
}

static void a_round_ends_when_it_is_asked_to(void **state)
{
	static const volatile sig_atomic_t now = 1;
	struct country c;

	open_loaded(&c, state, 1);
	c.o.stop = &now;
	assert_fails(&c, 0, SYNC_EBUSY, "asked to stop");
	country_close(&c);
}

static void a_database_is_one_site_of_one_central(void **state)
{
	struct country c;
	struct sync_link link;
	struct sync_error seen = { 0 };

	country_open(&c, testdb_of(state), 1);
	assert_ok(sync_link_get(site_db(&c, 0), &link, err));
	assert_false(link.operational);
	assert_ok(sync_link_put(site_db(&c, 0), 1, "post1", "loopback", "another token", link.installation, err));
	assert_ok(sync_link_get(site_db(&c, 0), &link, err));
	assert_string_equal("another token", link.token);
	assert_int_equal(SYNC_ETAKEN,
			 sync_link_put(site_db(&c, 0), 1, "post1", "elsewhere", "token", link.installation, &seen));
	assert_non_null(strstr(seen.text, "is site 'post1' of loopback: use another file for site 'post1' of elsewhere"));
	assert_int_equal(SYNC_ETAKEN, sync_link_put(site_db(&c, 0), 2, "post2", "loopback", "token", link.installation, &seen));
	assert_int_equal(SYNC_EINVALID, sync_link_put(site_db(&c, 0), 1, "", "loopback", "token", link.installation, &seen));
	country_close(&c);
}

#define ON_SQLITE(test) TESTDB_ON(test, TESTDB_SQLITE, "SQLite")

int main(void)
{
	const struct CMUnitTest tests[] = {
		TESTDB_BOTH(a_round_of_a_few_edits_is_one_request),
		TESTDB_BOTH(an_empty_round_writes_nothing_on_either_side),
		TESTDB_BOTH(who_has_more_to_push_is_answered_before_all_is_routed),
		TESTDB_BOTH(when_a_site_was_seen_is_written_by_the_flush),
		TESTDB_BOTH(two_sites_that_edit_the_same_record_converge),
		TESTDB_BOTH(what_a_site_may_not_edit_comes_back_with_a_verdict),
		ON_SQLITE(verdicts_come_in_numbers_that_are_bounded),
		TESTDB_BOTH(a_pull_cut_at_any_byte_changes_nothing),
		TESTDB_BOTH(faults_of_a_pull_do_no_harm),
		TESTDB_BOTH(an_answer_that_comes_again_later_changes_nothing),
		TESTDB_BOTH(a_large_pull_is_spooled_and_integrated_in_slices),
		TESTDB_BOTH(what_fails_in_the_background_does_not_stop_the_rest),
		TESTDB_BOTH(a_request_that_routes_says_that_jobs_were_left),
		ON_SQLITE(a_failure_of_the_sites_database_during_a_pull_is_survived),
		TESTDB_BOTH(the_next_push_is_written_while_central_works_on_one),
		TESTDB_BOTH(edits_made_while_a_push_waits_follow_it),
		TESTDB_BOTH(what_changes_at_central_during_a_push_is_pulled_once),
		TESTDB_BOTH(faults_in_a_row_of_pushes_do_no_harm),
		ON_SQLITE(a_row_of_pushes_cut_at_any_byte_goes_on),
		ON_SQLITE(a_failure_of_the_sites_database_in_a_row_of_pushes_is_survived),
		TESTDB_BOTH(a_store_moves_once_its_site_has_pushed_everything),
		TESTDB_BOTH(a_site_that_is_reset_begins_anew),
		TESTDB_BOTH(a_clock_that_leaps_makes_nobody_lapse),
		TESTDB_BOTH(a_site_that_was_away_for_too_long_brings_its_edits_and_loses_what_is_gone),
		ON_SQLITE(another_dictionary_at_central_costs_one_request),
		ON_SQLITE(a_round_ends_when_it_is_asked_to),
		ON_SQLITE(a_database_is_one_site_of_one_central),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

#include "country.h"

#include "exchange/route.h"
#include "faulty_db.h"

/* Groups larger than an answer: central gives a record of them at a time, and the site waits for the last one. */

enum { LINES = 3 };

static struct sync_db *site_db(const struct country *c)
{
	return c->site[0].db.db;
}

/* Central's answers have one record each, from now on. */
static void make_small(struct country *c)
{
	sync_server_chunk(c->site[0].line.server, 1);
}

static void open_one(struct country *c, void **state)
{
	country_open(c, testdb_of(state), 1);
	country_load(c, 0);
	make_small(c);
}

static int64_t has_lines(const struct country *c, const char *id)
{
	return number(site_db(c), "SELECT count(*) FROM stocktake_line WHERE stocktake_id = '%s'", id);
}

/* Invariant 5: all of a group is there as it was at one moment. The first line has as many edits as the group. */
static void assert_whole(struct country *c)
{
	int64_t edits = number(site_db(c), "SELECT stocktake_number FROM stocktake WHERE id = 't1'");

	if (!edits) {
		assert_int_equal(0, has_lines(c, "t1"));
		return;
	}
	assert_true(has_lines(c, "t1") >= LINES);
	assert_int_equal(edits, number(site_db(c), "SELECT CAST(snapshot_number_of_packs AS integer) FROM stocktake_line"
						   " WHERE id = 't1-1'"));
}

static void assert_arrives(struct country *c)
{
	assert_whole(c);
	if (country_round(c, 0) != SYNC_OK)
		fail_msg("%s", c->site[0].err.text);
	assert_whole(c);
	assert_int_equal(0, c->site[0].report.more);
	assert_int_equal(0, number(site_db(c), "SELECT count(*) FROM sync_spool"));
	assert_int_equal(0, number(site_db(c), "SELECT count(*) FROM sync_link WHERE rest <> ''"));
	assert_converged(c, 0);
}

static void a_group_is_integrated_when_its_last_part_has_come(void **state)
{
	struct country c;

	open_one(&c, state);
	put_stocktake(c.central->db, "t1", 1, LINES);
	put_location(c.central->db, "l1", 1, "after it");
	for (int part = 1; part <= LINES; part++) {
		int64_t own = number(site_db(&c), "SELECT own_seq FROM sync_link");

		loopback_arm(&c.site[0].line, LOOPBACK_LOSE_ANSWER, 2, 0);
		assert_int_equal(SYNC_ENET, country_round(&c, 0));
		assert_int_equal(0, number(site_db(&c), "SELECT count(*) FROM stocktake"));
		assert_int_equal(part, number(site_db(&c), "SELECT count(*) FROM sync_spool WHERE part = 2"));
		assert_int_equal(own, number(site_db(&c), "SELECT own_seq FROM sync_link"));
	}
	assert_arrives(&c);
	assert_int_equal(LINES, has_lines(&c, "t1"));
	country_close(&c);
}

static void groups_in_parts_follow_each_other_within_a_round(void **state)
{
	struct country c;

	open_one(&c, state);
	put_location(c.central->db, "l1", 1, "before them");
	put_stocktake(c.central->db, "t1", 1, LINES);
	put_stocktake(c.central->db, "t2", 1, LINES);
	assert_arrives(&c);
	assert_int_equal(LINES, has_lines(&c, "t2"));
	assert_int_equal(3 + 2 * LINES, c.site[0].report.pulled);
	assert_int_equal(3 + 2 * LINES, c.site[0].report.integrated);
	country_close(&c);
}

static void parts_cut_at_any_byte_are_asked_for_again(void **state)
{
	struct country c;
	struct loopback *line = &c.site[0].line;

	open_one(&c, state);
	put_stocktake(c.central->db, "t1", 1, LINES);
	for (int part = 0; part <= LINES; part++) {
		size_t cut = 0;

		do {
			loopback_arm(line, LOOPBACK_CUT_END, 1, ++cut);
			assert_int_equal(SYNC_EBADFRAME, country_round(&c, 0));
			assert_int_equal(part, number(site_db(&c), "SELECT count(*) FROM sync_spool"));
		} while (cut < line->answer_bytes);
		assert_true(cut > 100);
		assert_int_equal(0, number(site_db(&c), "SELECT count(*) FROM stocktake"));
		loopback_arm(line, part < LINES ? LOOPBACK_LOSE_REQUEST : LOOPBACK_NONE, 2, 0);
		assert_int_equal(part < LINES ? SYNC_ENET : SYNC_OK, country_round(&c, 0));
	}
	assert_arrives(&c);
	assert_int_equal(LINES, has_lines(&c, "t1"));
	country_close(&c);
}

static void lost_repeated_and_late_parts_do_no_harm(void **state)
{
	static const enum loopback_fault faults[] = { LOOPBACK_LOSE_REQUEST, LOOPBACK_LOSE_ANSWER, LOOPBACK_REPEAT,
						      LOOPBACK_DELAY,        LOOPBACK_OLD_ANSWER,  LOOPBACK_CUT_REQUEST };
	struct country c;

	open_one(&c, state);
	for (size_t f = 0; f < COUNT(faults); f++) {
		for (int part = 1; part <= 2 + LINES; part++) {
			put_stocktake(c.central->db, "t1", 1, LINES);
			put_location(c.central->db, "l1", 1, part % 2 ? "odd" : "even");
			loopback_arm(&c.site[0].line, faults[f], part, 20);
			(void)country_round(&c, 0);
			assert_whole(&c);
			if (faults[f] == LOOPBACK_DELAY)
				assert_int_equal(SYNC_OK, loopback_deliver(&c.site[0].line));
			assert_arrives(&c);
		}
	}
	country_close(&c);
}

/* Something happens at central before a site's n-th message. */
static struct {
	struct country *c;
	int64_t before;
	void (*change)(struct country *c);
} meanwhile;

static enum sync_status change_and_start(void *ctx, struct sync_view body, struct sync_error *err)
{
	struct loopback *line = &meanwhile.c->site[0].line;

	(void)ctx;
	if (--meanwhile.before == 0)
		meanwhile.change(meanwhile.c);
	return line->transport.start(line, body, err);
}

static enum sync_status just_finish(void *ctx, struct sync_buf *ret, struct sync_error *err)
{
	struct loopback *line = &meanwhile.c->site[0].line;

	(void)ctx;
	return line->transport.finish(line, ret, err);
}

static void edit_all(struct country *c)
{
	put_stocktake(c->central->db, "t1", 1, LINES);
}

static void add_line(struct country *c)
{
	put_stocktake(c->central->db, "t1", 1, LINES + 1);
}

static void delete_line(struct country *c)
{
	run(c->central->db, "DELETE FROM stocktake_line WHERE id = 't1-%d'", LINES + 1);
}

static void delete_all(struct country *c)
{
	assert_ok(sync_db_begin(c->central->db, true, err));
	run(c->central->db, "DELETE FROM stocktake_line WHERE stocktake_id = 't1'");
	run(c->central->db, "DELETE FROM stocktake WHERE id = 't1'");
	assert_ok(sync_db_commit(c->central->db, err));
}

static void give_away(struct country *c)
{
	run(c->central->db, "UPDATE stocktake SET store_id = 'store2' WHERE id = 't1'");
}

/* The site's own edits of a group that it is receiving. */
static void edit_at_site(struct country *c)
{
	run(site_db(c), "UPDATE stocktake_line SET comment = 'mine' WHERE id = 't1-2'");
	put_location(site_db(c), "l2", 1, "mine");
}

static void a_group_that_changes_between_two_parts_begins_again(void **state)
{
	static const struct sync_transport transport = { change_and_start, just_finish, NULL };
	static void (*const changes[])(struct country * c) = { edit_all, add_line, delete_line, delete_all, give_away };
	struct country c;

	open_one(&c, state);
	for (size_t i = 0; i < COUNT(changes); i++) {
		for (int part = 2; part <= 2 + LINES; part++) {
			put_stocktake(c.central->db, "t1", 1, LINES);
			run(c.central->db, "UPDATE stocktake SET store_id = 'store1'");
			meanwhile.c = &c;
			meanwhile.before = part;
			meanwhile.change = changes[i];
			assert_ok(sync_round(site_db(&c), &transport, &c.o, &c.site[0].report, err));
			loopback_work(&c.site[0].line);
			assert_arrives(&c);
		}
	}
	country_close(&c);
}

static void a_site_edits_a_group_of_which_it_has_a_part(void **state)
{
	static const struct sync_transport transport = { change_and_start, just_finish, NULL };
	struct country c;

	open_one(&c, state);
	put_stocktake(c.central->db, "t1", 1, LINES);
	assert_arrives(&c);
	for (int part = 2; part <= 1 + LINES; part++) {
		put_stocktake(c.central->db, "t1", 1, LINES);
		meanwhile.c = &c;
		meanwhile.before = part;
		meanwhile.change = edit_at_site;
		assert_ok(sync_round(site_db(&c), &transport, &c.o, &c.site[0].report, err));
		loopback_work(&c.site[0].line);
		assert_arrives(&c);
	}
	country_close(&c);
}

static void a_failure_of_the_sites_database_between_parts_is_survived(void **state)
{
	const struct sync_db_ops *drivers[] = { faulty_db(&sync_sqlite), NULL };
	struct country c;
	bool failed = true;

	open_one(&c, state);
	for (long n = 0; failed; n += 3) {
		put_stocktake(c.central->db, "t1", 1, LINES);
		country_reopen_site(&c, 0, drivers);
		faulty_db_arm(n);
		(void)country_round(&c, 0);
		failed = faulty_db_disarm();
		country_reopen_site(&c, 0, testdb_drivers);
		assert_arrives(&c);
	}
	country_close(&c);
}

static void a_failure_of_centrals_database_between_parts_is_survived(void **state)
{
	struct testdb *central = testdb_of(state);
	const struct sync_db_ops *drivers[] = { faulty_db(central->kind == TESTDB_SQLITE ? &sync_sqlite : &sync_postgres),
						NULL };
	const long step = central->kind == TESTDB_SQLITE ? 3 : 7; /* a server is slow to open */
	struct country c;
	bool failed = true;

	open_one(&c, state);
	for (long n = 0; failed; n += step) {
		put_stocktake(c.central->db, "t1", 1, LINES);
		country_reopen_central(&c, drivers);
		make_small(&c);
		faulty_db_arm(n);
		(void)country_round(&c, 0);
		failed = faulty_db_disarm();
		country_reopen_central(&c, testdb_drivers);
		make_small(&c);
		assert_arrives(&c);
	}
	country_close(&c);
}

static void a_group_of_too_many_bytes_goes_in_parts(void **state)
{
	struct country c;

	open_one(&c, state);
	sync_server_chunk(c.site[0].line.server, 100000);
	c.o.message_min = 1024;
	c.o.message_max = 8192;
	put_stocktake(c.central->db, "t1", 1, 3000);
	run(c.central->db,
	    sync_db_dialect(c.central->db)->postgres
		? "UPDATE stocktake_line SET comment = md5(id) || md5(id || 'x') || md5(id || 'y') || md5(id || 'z')"
		: "UPDATE stocktake_line SET comment = hex(randomblob(64))");
	assert_arrives(&c);
	assert_true(c.site[0].report.requests > 1);
	assert_int_equal(3001, c.site[0].report.pulled);
	country_close(&c);
}

/* another process that routes */

static int pauses;

static void only_count(int64_t us)
{
	(void)us;
	pauses++;
}

/* Routing keeps the lock for as long as it likes: the site asks again with pauses, and gets the rest in a later round. */
static void a_group_that_another_process_is_routing_comes_whole(void **state)
{
	struct country c;
	struct sync_db *other;
	bool mine;

	open_one(&c, state);
	sync_server_chunk(c.site[0].line.server, 1000);
	put_stocktake(c.central->db, "t1", 1, LINES);
	assert_arrives(&c);
	run(c.central->db, "UPDATE stocktake SET stocktake_number = 2");
	loopback_work(&c.site[0].line);
	assert_ok(sync_db_clone(&other, c.central->db, err));
	assert_ok(sync_db_begin(other, true, err));
	assert_ok(sync_route_lock(other, &mine, err));
	assert_true(mine);
	run(c.central->db, "UPDATE stocktake_line SET snapshot_number_of_packs = 2");
	c.o.pause = only_count;
	assert_int_equal(SYNC_OK, country_round(&c, 0));
	assert_int_equal(1, c.site[0].report.more);
	assert_int_equal(0, c.site[0].report.pulled);
	assert_int_equal(pauses + 1, c.site[0].report.requests);
	assert_whole(&c);
	sync_db_close(other);
	assert_arrives(&c);
	country_close(&c);
}

static void a_first_load_ends_when_a_group_in_parts_has_come(void **state)
{
	struct country c;

	country_open(&c, testdb_of(state), 1);
	make_small(&c);
	put_stocktake(c.central->db, "t1", 1, LINES);
	country_load(&c, 0);
	assert_whole(&c);
	assert_int_equal(LINES, has_lines(&c, "t1"));
	country_close(&c);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TESTDB_BOTH(a_group_is_integrated_when_its_last_part_has_come),
		TESTDB_BOTH(groups_in_parts_follow_each_other_within_a_round),
		TESTDB_BOTH(parts_cut_at_any_byte_are_asked_for_again),
		TESTDB_BOTH(lost_repeated_and_late_parts_do_no_harm),
		TESTDB_BOTH(a_group_that_changes_between_two_parts_begins_again),
		TESTDB_BOTH(a_site_edits_a_group_of_which_it_has_a_part),
		TESTDB_ON(a_failure_of_the_sites_database_between_parts_is_survived, TESTDB_SQLITE, "SQLite"),
		TESTDB_BOTH(a_failure_of_centrals_database_between_parts_is_survived),
		TESTDB_BOTH(a_group_of_too_many_bytes_goes_in_parts),
		TESTDB_BOTH(a_first_load_ends_when_a_group_in_parts_has_come),
		TESTDB_ON(a_group_that_another_process_is_routing_comes_whole, TESTDB_POSTGRES, "PostgreSQL"),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <libsync/exchange.h>
#include <libsync/time.h>
#include <libsync/trouble.h>

#include "testdb.h"

/* What is wrong with a file, a disk or a clock has a name, is kept, and is over when it is over. */

static int64_t now_us = INT64_C(1790000000000000);

static int64_t our_clock(void)
{
	return now_us;
}

static const int64_t hour_us = INT64_C(3600000000);

static const char *file_of(const struct testdb *t)
{
	return t->url + strlen("sqlite:");
}

/* A database of a few hundred pages, closed, so that all of it is in one file. */
static void make_large(struct testdb *t)
{
	testdb_open(t, SYNC_SITE);
	run_sql(t->db, "CREATE TABLE filler(id integer PRIMARY KEY, data blob); CREATE INDEX filler_data ON filler(data);"
	               "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 500)"
	               "    INSERT INTO filler SELECT i, randomblob(900) FROM n;"
	               "DELETE FROM filler WHERE id > 300");
	sync_db_close(t->db);
	t->db = NULL;
}

static enum sync_status open_again(struct testdb *t, struct sync_error *err)
{
	return sync_db_open(&t->db, t->url, testdb_drivers, SYNC_SITE, false, err);
}

static void overwrite(const struct testdb *t, int64_t at, size_t len)
{
	int fd = open(file_of(t), O_WRONLY | O_CLOEXEC);
	char bytes[65536];

	memset(bytes, 0xa5, sizeof bytes);
	assert_true(fd >= 0 && len <= sizeof bytes);
	assert_int_equal(len, pwrite(fd, bytes, len, at));
	close(fd);
}

static void a_file_whose_beginning_is_overwritten_is_corrupt_when_it_is_opened(void **state)
{
	struct testdb *t = testdb_of(state);
	struct sync_error e = { 0 };

	make_large(t);
	overwrite(t, 0, 100);
	assert_int_equal(SYNC_ECORRUPT, open_again(t, &e));
	assert_non_null(strstr(e.text, file_of(t)));
	assert_non_null(strstr(e.text, "restore a backup"));
	assert_null(t->db);
}

static void a_schema_that_is_overwritten_is_corrupt_when_it_is_opened(void **state)
{
	struct testdb *t = testdb_of(state);
	struct sync_error e = { 0 };

	make_large(t);
	overwrite(t, 100, 3000);
	assert_int_equal(SYNC_ECORRUPT, open_again(t, &e));
	assert_non_null(strstr(e.text, file_of(t)));
}

static void damage_anywhere_is_found_by_reading_all_of_it(void **state)
{
	struct testdb *t = testdb_of(state);
	struct sync_error e = { 0 };
	int64_t root, checked_us;

	make_large(t);
	assert_ok(open_again(t, err));
	assert_ok(sync_db_check(t->db, NULL, NULL, err));
	assert_ok(sync_db_checked(t->db, &checked_us, err));
	assert_int_equal(now_us, checked_us);
	root = number_of(t->db, "SELECT rootpage FROM sqlite_schema WHERE name = 'sync_changelog_seq'");
	sync_db_close(t->db);
	t->db = NULL;
	overwrite(t, (root - 1) * 4096, 4096);
	assert_ok(open_again(t, err));
	now_us += hour_us;
	assert_int_equal(SYNC_ECORRUPT, sync_db_check(t->db, NULL, NULL, &e));
	assert_non_null(strstr(e.text, file_of(t)));
	assert_non_null(strstr(e.text, "restore it from a backup"));
	assert_ok(sync_db_checked(t->db, &checked_us, err));
	assert_int_equal(now_us - hour_us, checked_us);
	assert_int_equal(SYNC_EREADONLY, sync_db_probe(t->db, &e)); /* nothing more is written */
}

static void damage_among_unused_pages_is_found_too(void **state)
{
	struct testdb *t = testdb_of(state);
	struct sync_error e = { 0 };
	unsigned char trunk[4];
	int fd;

	make_large(t);
	fd = open(file_of(t), O_RDONLY | O_CLOEXEC);
	assert_int_equal(4, pread(fd, trunk, 4, 32));
	close(fd);
	overwrite(t, ((int64_t)(trunk[2] << 8 | trunk[3]) - 1) * 4096, 4096);
	assert_ok(open_again(t, err));
	assert_int_equal(SYNC_ECORRUPT, sync_db_check(t->db, NULL, NULL, &e));
}

static bool at_once(void *ctx)
{
	++*(int *)ctx;
	return true;
}

static void a_check_ends_when_it_is_asked_to(void **state)
{
	struct testdb *t = testdb_of(state);
	struct sync_error e = { 0 };
	int asked = 0;

	testdb_open(t, SYNC_SITE);
	run_sql(t->db, "CREATE TABLE filler(id integer PRIMARY KEY, n integer NOT NULL);"
	               "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 100000)"
	               "    INSERT INTO filler SELECT i, i FROM n");
	assert_int_equal(SYNC_EBUSY, sync_db_check(t->db, at_once, &asked, &e));
	assert_int_equal(1, asked);
	assert_ok(sync_db_check(t->db, NULL, NULL, err));
}

static void a_check_is_due_a_week_after_the_last(void **state)
{
	struct testdb *t = testdb_of(state);
	int64_t first_us = now_us, checked_us;

	testdb_open(t, SYNC_SITE);
	assert_ok(sync_db_checked(t->db, &checked_us, err));
	assert_int_equal(0, checked_us);
	assert_ok(sync_db_check_weekly(t->db, NULL, NULL, err));
	now_us += 24 * 6 * hour_us;
	assert_ok(sync_db_check_weekly(t->db, NULL, NULL, err));
	assert_ok(sync_db_checked(t->db, &checked_us, err));
	assert_int_equal(first_us, checked_us);
	now_us += 24 * hour_us;
	assert_ok(sync_db_check_weekly(t->db, NULL, NULL, err));
	assert_ok(sync_db_checked(t->db, &checked_us, err));
	assert_int_equal(now_us, checked_us);
	now_us -= hour_us; /* the clock was set */
	assert_ok(sync_db_check_weekly(t->db, NULL, NULL, err));
	assert_ok(sync_db_checked(t->db, &checked_us, err));
	assert_int_equal(now_us, checked_us);
}

/* the guard */

static int temporary(void)
{
	char path[] = "/tmp/sync-trouble.XXXXXX";
	int fd = mkstemp(path);

	assert_true(fd >= 0);
	(void)unlink(path);
	return fd;
}

static struct sync_error failure(enum sync_status status, const char *text)
{
	struct sync_error e;

	(void)sync_fail(&e, status, "%s", text);
	return e;
}

static void a_trouble_outlives_the_process_and_is_over_when_something_is_written(void **state)
{
	struct sync_error full = failure(SYNC_EDISKFULL, "a.db: full: free some space");
	struct sync_guard g, next;
	struct stat before, after;
	int fd = temporary();

	(void)state;
	sync_guard_open(&g, fd);
	assert_int_equal(SYNC_OK, sync_guard_code(&g));
	assert_int_equal(0, fstat(fd, &before));
	assert_true(sync_guard_saw(&g, &full));
	now_us += hour_us;
	assert_true(sync_guard_saw(&g, &full));
	assert_int_equal(0, fstat(fd, &after));
	assert_int_equal(before.st_size, after.st_size);
	sync_guard_open(&next, fd);
	assert_int_equal(SYNC_EDISKFULL, next.now.code);
	assert_int_equal(now_us - hour_us, next.now.since_us);
	assert_string_equal(full.text, next.now.text);
	sync_guard_well(&next);
	sync_guard_open(&g, fd);
	assert_int_equal(SYNC_OK, sync_guard_code(&g));
	close(fd);
}

static void damage_hides_what_is_seen_after_it(void **state)
{
	struct sync_error damage = failure(SYNC_ECORRUPT, "a.db: damaged"), full = failure(SYNC_EDISKFULL, "a.db: full");
	struct sync_error busy = failure(SYNC_EBUSY, "a.db: busy"), e;
	struct sync_guard g;

	(void)state;
	sync_guard_open(&g, -1);
	assert_false(sync_guard_saw(&g, &busy));
	assert_int_equal(SYNC_OK, sync_guard_fail(&g, &e));
	assert_true(sync_guard_saw(&g, &full));
	assert_true(sync_guard_saw(&g, &damage));
	assert_true(sync_guard_saw(&g, &full));
	assert_int_equal(SYNC_ECORRUPT, sync_guard_fail(&g, &e));
	assert_string_equal("a.db: damaged", e.text);
}

static void what_is_no_trouble_in_a_lock_file_is_passed_over(void **state)
{
	static const char *const contents[] = { "corrupt", "corrupt 17", "busy 17 text", "17 corrupt text", "\n\n\n", "corrupt x text" };
	struct sync_guard g;

	(void)state;
	for (size_t i = 0; i < COUNT(contents); i++) {
		int fd = temporary();

		assert_int_equal(strlen(contents[i]), write(fd, contents[i], strlen(contents[i])));
		sync_guard_open(&g, fd);
		assert_int_equal(i == 1 ? SYNC_ECORRUPT : SYNC_OK, sync_guard_code(&g));
		close(fd);
	}
}

/* clocks */

static void a_clock_that_is_wrong_by_more_than_an_hour_is_told_once(void **state)
{
	static const struct {
		int64_t ahead_s;
		bool changed;
		int64_t kept_s;
	} steps[] = { { 3600, false, 0 }, { -3601, true, -3601 }, { -3700, false, -3601 }, { -90000, true, -90000 }, { 20, true, 0 }, { 0, false, 0 } };
	struct testdb *t = testdb_of(state);
	struct sync_clock clock;

	testdb_open(t, SYNC_SITE);
	for (size_t i = 0; i < COUNT(steps); i++) {
		bool changed = !steps[i].changed;

		assert_ok(sync_clock_note(t->db, steps[i].ahead_s, &changed, err));
		assert_int_equal(steps[i].changed, changed);
		assert_ok(sync_clock_get(t->db, &clock, err));
		assert_int_equal(steps[i].kept_s, clock.ahead_s);
		assert_int_equal(steps[i].kept_s ? now_us + INT64_C(3601000000) : 0, clock.since_us);
	}
}

static void how_wrong_a_clock_is_is_told_in_words(void **state)
{
	char text[64];

	(void)state;
	sync_clock_text(text, 3660);
	assert_string_equal("1 h 1 min ahead of central's", text);
	sync_clock_text(text, -90000);
	assert_string_equal("1 day 1 h behind central's", text);
	sync_clock_text(text, INT64_MIN + 1);
	assert_non_null(strstr(text, "behind central's"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TESTDB_ON(a_file_whose_beginning_is_overwritten_is_corrupt_when_it_is_opened, TESTDB_SQLITE, "SQLite"),
		TESTDB_ON(a_schema_that_is_overwritten_is_corrupt_when_it_is_opened, TESTDB_SQLITE, "SQLite"),
		TESTDB_ON(damage_anywhere_is_found_by_reading_all_of_it, TESTDB_SQLITE, "SQLite"),
		TESTDB_ON(damage_among_unused_pages_is_found_too, TESTDB_SQLITE, "SQLite"),
		TESTDB_ON(a_check_ends_when_it_is_asked_to, TESTDB_SQLITE, "SQLite"),
		TESTDB_ON(a_check_is_due_a_week_after_the_last, TESTDB_SQLITE, "SQLite"),
		cmocka_unit_test(a_trouble_outlives_the_process_and_is_over_when_something_is_written),
		cmocka_unit_test(damage_hides_what_is_seen_after_it),
		cmocka_unit_test(what_is_no_trouble_in_a_lock_file_is_passed_over),
		TESTDB_ON(a_clock_that_is_wrong_by_more_than_an_hour_is_told_once, TESTDB_SQLITE, "SQLite"),
		cmocka_unit_test(how_wrong_a_clock_is_is_told_in_words),
	};

	sync_set_clock(our_clock);
	return cmocka_run_group_tests(tests, NULL, NULL);
}

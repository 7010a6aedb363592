#include <libsync/log.h>

#include <fcntl.h>
#include <inttypes.h>
#include <sys/stat.h>
#include <unistd.h>

#include <libsync/time.h>
#include "test.h"

/* stderr is a file while a case runs. */
static int kept = -1;
static FILE *file;
static char line[8192];

static int64_t noon(void)
{
	return INT64_C(1769860800000000);
}

static int catch_stderr(void **state)
{
	(void)state;
	fflush(stderr);
	file = tmpfile();
	kept = dup(STDERR_FILENO);
	sync_set_clock(noon);
	unsetenv("JOURNAL_STREAM");
	return !file || dup2(fileno(file), STDERR_FILENO) < 0;
}

static int release_stderr(void **state)
{
	(void)state;
	sync_set_clock(NULL);
	sync_log_until(SYNC_LOG_INFO);
	dup2(kept, STDERR_FILENO);
	fclose(file);
	return close(kept);
}

static const char *logged(void)
{
	size_t n;

	rewind(file);
	n = fread(line, 1, sizeof line - 1, file);
	line[n] = '\0';
	return line;
}

static void a_line_has_time_level_event_and_fields(void **state)
{
	(void)state;
	sync_log(SYNC_LOG_INFO, "push ok", "site=%d sent=%zu ms=%" PRId64, 7, (size_t)120, (int64_t)84);
	assert_string_equal("2026-01-31T12:00:00Z info push ok site=7 sent=120 ms=84\n", logged());
}

static void an_event_may_have_no_fields(void **state)
{
	(void)state;
	sync_log(SYNC_LOG_WARNING, "stopped", "%s", "");
	sync_log(SYNC_LOG_ERROR, "gone", "n=%u", 0U);
	assert_string_equal("2026-01-31T12:00:00Z warning stopped \"\"\n2026-01-31T12:00:00Z error gone n=0\n", logged());
}

static void values_are_quoted_where_they_need_it(void **state)
{
	(void)state;
	sync_log(SYNC_LOG_INFO, "e", "a=%s b=%s c=%s d=%s e=%.*s f=%s", "plain/é", "two words", "x=\"1\"", "\x1b[2J\n", 3,
		 "cut off", "");
	assert_string_equal(
	    "2026-01-31T12:00:00Z info e a=plain/é b=\"two words\" c=\"x=\\\"1\\\"\" d=\"\\x1b[2J\\x0a\" e=cut f=\"\"\n",
	    logged());
}

static void every_known_conversion_is_written_as_printf_does(void **state)
{
	char expected[300];

	(void)state;
	sync_log(SYNC_LOG_INFO, "e", "%d %i %u %x %ld %lu %lld %llu %zd %jd %c %% %g %f %.1f", -1, 2, 3U, 255U, -4L, 5UL, -6LL,
		 7ULL, (ssize_t)-8, (intmax_t)9, 'c', 0.25, 1.5, 2.25);
	snprintf(expected, sizeof expected,
		 "2026-01-31T12:00:00Z info e %d %i %u %x %ld %lu %lld %llu %zd %jd %c %% %g %f %.1f\n", -1, 2, 3U, 255U, -4L,
		 5UL, -6LL, 7ULL, (ssize_t)-8, (intmax_t)9, 'c', 0.25, 1.5, 2.25);
	assert_string_equal(expected, logged());
}

static void the_journal_gets_a_level_and_no_time(void **state)
{
	char stream[100];
	struct stat st;

	(void)state;
	assert_int_equal(0, fstat(STDERR_FILENO, &st));
	snprintf(stream, sizeof stream, "%ju:%ju", (uintmax_t)st.st_dev, (uintmax_t)st.st_ino);
	setenv("JOURNAL_STREAM", stream, 1);
	sync_log(SYNC_LOG_INFO, "push ok", "site=%d", 7);
	setenv("JOURNAL_STREAM", "1:1", 1);
	sync_log(SYNC_LOG_INFO, "elsewhere", "n=%d", 1);
	assert_string_equal("<6>push ok site=7\n2026-01-31T12:00:00Z info elsewhere n=1\n", logged());
}

static void less_urgent_lines_can_be_left_out(void **state)
{
	(void)state;
	sync_log(SYNC_LOG_DEBUG, "unseen", "n=%d", 1);
	sync_log_until(SYNC_LOG_ERROR);
	sync_log(SYNC_LOG_WARNING, "unseen", "n=%d", 2);
	sync_log_until(SYNC_LOG_DEBUG);
	sync_log(SYNC_LOG_DEBUG, "seen", "n=%d", 3);
	assert_string_equal("2026-01-31T12:00:00Z debug seen n=3\n", logged());
}

static void a_progress_bar_needs_a_terminal(void **state)
{
	struct sync_progress p = { 0 };

	(void)state;
	sync_progress_show(&p, "first load", 1, 2);
	sync_progress_end(&p);
	assert_string_equal("", logged());
}

static void a_terminal_sees_count_share_and_total(void **state)
{
	static const char expected[] = "\rfirst load [##########..........]  50 % 1,000 of 2,000\033[K\n";
	struct sync_progress p = { 0 };
	int master = posix_openpt(O_RDWR | O_NOCTTY), terminal;
	char shown[300];
	ssize_t n;

	(void)state;
	if (master < 0 || grantpt(master) || unlockpt(master))
		skip();
	terminal = open(ptsname(master), O_RDWR | O_NOCTTY);
	if (terminal < 0)
		skip();
	dup2(terminal, STDERR_FILENO);
	sync_progress_show(&p, "first load", 1000, 2000);
	sync_progress_show(&p, "first load", 1001, 2000); /* too soon */
	sync_progress_end(&p);
	n = read(master, shown, sizeof shown - 1);
	close(terminal);
	close(master);
	assert_true(n > (ssize_t)sizeof expected - 3);
	assert_memory_equal(expected, shown, sizeof expected - 2);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, catch_stderr, release_stderr)

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(a_line_has_time_level_event_and_fields), CASE(an_event_may_have_no_fields),
		CASE(values_are_quoted_where_they_need_it),   CASE(every_known_conversion_is_written_as_printf_does),
		CASE(the_journal_gets_a_level_and_no_time),   CASE(less_urgent_lines_can_be_left_out),
		CASE(a_progress_bar_needs_a_terminal),        CASE(a_terminal_sees_count_share_and_total),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

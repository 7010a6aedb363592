#include <libsync/time.h>

#include <time.h>

#include "test.h"

static int64_t a_moment(void)
{
	return INT64_C(1769860800123456);
}

static int forget_clock(void **state)
{
	(void)state;
	sync_set_clock(NULL);
	return 0;
}

static void the_wall_clock_tells_this_age(void **state)
{
	int64_t now_us = sync_now_us();

	(void)state;
	assert_true(now_us / 1000000 - (int64_t)time(NULL) <= 1);
	assert_true((int64_t)time(NULL) - now_us / 1000000 <= 1);
}

static void ticks_never_go_back(void **state)
{
	int64_t before = sync_tick_us();

	(void)state;
	for (int i = 0; i < 1000; i++) {
		int64_t now = sync_tick_us();

		assert_true(now >= before);
		before = now;
	}
}

static void a_test_owns_both_clocks(void **state)
{
	(void)state;
	sync_set_clock(a_moment);
	assert_true(sync_now_us() == a_moment());
	assert_true(sync_tick_us() == a_moment());
	sync_set_clock(NULL);
	assert_true(sync_now_us() != a_moment());
}

static void times_are_written_in_utc(void **state)
{
	static const struct {
		int64_t at_us;
		const char *text;
	} cases[] = {
		{ 0, "1970-01-01T00:00:00Z" },
		{ INT64_C(1769860800123456), "2026-01-31T12:00:00Z" },
		{ INT64_C(1709164799999999), "2024-02-28T23:59:59Z" },
		{ INT64_C(1709164800000000), "2024-02-29T00:00:00Z" },
		{ -1, "1970-01-01T00:00:00Z" },
		{ INT64_MIN, "1970-01-01T00:00:00Z" },
		{ INT64_C(253402300799999999), "9999-12-31T23:59:59Z" },
		{ INT64_MAX, "9999-12-31T23:59:59Z" },
	};
	char text[21];

	(void)state;
	setenv("TZ", "Asia/Kathmandu", 1);
	tzset();
	for (size_t i = 0; i < COUNT(cases); i++) {
		sync_time_text(text, cases[i].at_us);
		assert_string_equal(cases[i].text, text);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_wall_clock_tells_this_age),
		cmocka_unit_test(ticks_never_go_back),
		cmocka_unit_test_teardown(a_test_owns_both_clocks, forget_clock),
		cmocka_unit_test(times_are_written_in_utc),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

#include <libsync/error.h>

#include "test.h"

static enum sync_status fails(struct sync_error *err)
{
	return sync_fail(err, SYNC_EBUSY, "%d of %d threads are taken", 8, 8);
}

static enum sync_status passes_on(struct sync_error *err)
{
	TRY(fails(err));
	return SYNC_OK;
}

static void a_failure_carries_its_status_and_text(void **state)
{
	struct sync_error seen = { .retry_after_s = 5 };

	(void)state;
	assert_int_equal(SYNC_EBUSY, passes_on(&seen));
	assert_int_equal(SYNC_EBUSY, seen.status);
	assert_int_equal(0, seen.retry_after_s);
	assert_string_equal("8 of 8 threads are taken", seen.text);
}

static void nobody_need_listen(void **state)
{
	(void)state;
	assert_int_equal(SYNC_EBUSY, passes_on(NULL));
}

static void a_text_may_be_made_of_the_one_before(void **state)
{
	struct sync_error seen = { 0 };

	(void)state;
	fails(&seen);
	sync_fail(&seen, SYNC_EBUSY, "site 7: %s", seen.text);
	assert_string_equal("site 7: 8 of 8 threads are taken", seen.text);
}

static void a_text_is_one_line(void **state)
{
	struct sync_error seen = { 0 };

	(void)state;
	sync_fail(&seen, SYNC_EDB, "%s", "ERROR:\tno table\nLINE 1: SELECT\n\n");
	assert_string_equal("ERROR: no table LINE 1: SELECT", seen.text);
}

static void a_long_text_is_cut_between_characters(void **state)
{
	static const char *const characters[] = { "x", "\xc3\xa9", "\xe2\x82\xac", "\xf0\x9f\x98\x80" };
	struct sync_error seen = { 0 };

	(void)state;
	for (size_t c = 0; c < COUNT(characters); c++) {
		for (size_t before = 0; before < 4; before++) {
			defer(sync_buf_clear) struct sync_buf text = { .max = 4000 };
			size_t len = strlen(characters[c]), room = sizeof seen.text - 1 - before;

			sync_buf_addf(&text, "%.*s", (int)before, "abc");
			while (text.len < 600)
				sync_buf_add_text(&text, characters[c]);
			sync_fail(&seen, SYNC_EIO, "%s", text.data);
			assert_int_equal(before + room / len * len, strlen(seen.text));
			assert_memory_equal(text.data, seen.text, strlen(seen.text));
		}
	}
}

static void every_code_has_one_name_that_leads_back(void **state)
{
	static const enum sync_status all[] = {
#define X(code, name, http, retry, text) SYNC_##code,
		SYNC_ERRORS(X)
#undef X
	};

	(void)state;
	for (size_t i = 0; i < COUNT(all); i++) {
		assert_int_equal(all[i], sync_status_of_name(sync_status_name(all[i])));
		assert_true(sync_status_http(all[i]) >= 400);
		assert_true(strlen(sync_status_text(all[i])) > 3);
	}
	assert_int_equal(SYNC_OK, sync_status_of_name("ok"));
	assert_int_equal(200, sync_status_http(SYNC_OK));
}

static void what_a_newer_build_says_is_a_failure_all_the_same(void **state)
{
	(void)state;
	assert_int_equal(SYNC_EIO, sync_status_of_name("emoji"));
	assert_string_equal("io", sync_status_name((enum sync_status)999));
}

static void only_what_passes_by_itself_is_tried_again(void **state)
{
	(void)state;
	assert_true(sync_status_retry(SYNC_ENET));
	assert_true(sync_status_retry(SYNC_EBUSY));
	assert_false(sync_status_retry(SYNC_ETLS));
	assert_false(sync_status_retry(SYNC_EREVOKED));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_failure_carries_its_status_and_text),
		cmocka_unit_test(nobody_need_listen),
		cmocka_unit_test(a_text_may_be_made_of_the_one_before),
		cmocka_unit_test(a_text_is_one_line),
		cmocka_unit_test(a_long_text_is_cut_between_characters),
		cmocka_unit_test(every_code_has_one_name_that_leads_back),
		cmocka_unit_test(what_a_newer_build_says_is_a_failure_all_the_same),
		cmocka_unit_test(only_what_passes_by_itself_is_tried_again),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

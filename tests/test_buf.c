#include <libsync/buf.h>

#include "test.h"

static void views_compare_like_texts(void **state)
{
	const struct sync_view empty = { 0 };

	(void)state;
	assert_true(sync_view_is(sync_view_of("abc"), "abc"));
	assert_false(sync_view_is(sync_view_of("abc"), "abd"));
	assert_false(sync_view_is(sync_view_of("abc"), "ab"));
	assert_true(sync_view_eq(empty, sync_view_of("")));
	assert_true(sync_view_eq(sync_view_of(NULL), empty));
	assert_true(sync_view_cmp(sync_view_of("a"), sync_view_of("b")) < 0);
	assert_true(sync_view_cmp(sync_view_of("b"), sync_view_of("a")) > 0);
	assert_true(sync_view_cmp(sync_view_of("a"), sync_view_of("aa")) < 0);
	assert_true(sync_view_cmp(sync_view_of("aa"), sync_view_of("a")) > 0);
	assert_true(sync_view_cmp(empty, sync_view_of("a")) < 0);
	assert_int_equal(0, sync_view_cmp(empty, sync_view_of("")));
	assert_true(sync_view_cmp(sync_view_of("\x7f"), sync_view_of("\xc3")) < 0);
}

static void what_is_appended_stays_in_order_and_terminated(void **state)
{
	defer(sync_buf_clear) struct sync_buf b = { .max = 1000 };

	(void)state;
	sync_buf_add_text(&b, "one");
	sync_buf_add_char(&b, ' ');
	sync_buf_add_view(&b, sync_view_of("two"));
	sync_buf_addf(&b, " %d", 3);
	sync_buf_add(&b, "\0four", 5);
	assert_int_equal(SYNC_OK, b.status);
	assert_memory_equal("one two 3\0four", b.data, 15);
	assert_int_equal(14, b.len);
	assert_true(sync_view_eq(sync_buf_view(&b), (struct sync_view){ "one two 3\0four", 14 }));
}

static void appending_nothing_makes_an_empty_text(void **state)
{
	defer(sync_buf_clear) struct sync_buf b = { 0 };

	(void)state;
	sync_buf_add(&b, NULL, 0);
	assert_int_equal(SYNC_OK, b.status);
	assert_string_equal("", b.data);
}

static void a_buffer_holds_its_maximum_and_not_a_byte_more(void **state)
{
	(void)state;
	for (size_t max = 0; max < 300; max++) {
		defer(sync_buf_clear) struct sync_buf b = { .max = max };

		for (size_t i = 0; i < max; i++)
			sync_buf_add_char(&b, 'x');
		assert_int_equal(SYNC_OK, b.status);
		sync_buf_add_char(&b, 'x');
		assert_int_equal(SYNC_ETOOBIG, b.status);
		assert_int_equal(max, b.len);
		assert_true(b.cap <= max + 1);
	}
}

static void the_first_failure_sticks(void **state)
{
	defer(sync_buf_clear) struct sync_buf b = { .max = 4 };
	struct sync_error seen = { 0 };

	(void)state;
	sync_buf_add_text(&b, "abc");
	sync_buf_add_text(&b, "de");
	sync_buf_add_text(&b, "f");
	sync_buf_addf(&b, "%d", 1);
	assert_string_equal("abc", b.data);
	assert_null(sync_buf_room(&b, 1));
	assert_int_equal(SYNC_ETOOBIG, sync_buf_check(&b, &seen));
	assert_string_equal("too big after 3 bytes", seen.text);
	sync_buf_reset(&b);
	assert_string_equal("", b.data);
	sync_buf_add_text(&b, "wxyz");
	assert_string_equal("wxyz", b.data);
}

static void a_length_that_would_overflow_is_too_big(void **state)
{
	defer(sync_buf_clear) struct sync_buf b = { .max = SIZE_MAX };

	(void)state;
	sync_buf_add_text(&b, "abc");
	assert_null(sync_buf_room(&b, SIZE_MAX - 2));
	assert_int_equal(SYNC_ETOOBIG, b.status);
	sync_buf_reset(&b);
	assert_null(sync_buf_room(&b, SIZE_MAX));
	assert_int_equal(SYNC_ETOOBIG, b.status);
}

static void room_is_writable_up_to_its_last_byte(void **state)
{
	defer(sync_buf_clear) struct sync_buf b = { .max = 5000 };
	char *to = sync_buf_room(&b, 5000);

	(void)state;
	assert_non_null(to);
	memset(to, 'x', 5000);
	b.len = 5000;
	sync_buf_add(&b, "", 0);
	assert_int_equal(5000, strlen(b.data));
}

static void a_cleared_buffer_can_be_used_again(void **state)
{
	struct sync_buf b = { .max = 10 };

	(void)state;
	sync_buf_add_text(&b, "first");
	sync_buf_clear(&b);
	assert_null(b.data);
	assert_int_equal(10, b.max);
	sync_buf_add_text(&b, "second");
	assert_string_equal("second", b.data);
	sync_buf_clear(&b);
	sync_buf_clear(&b);
	sync_buf_clear(NULL);
}

static void an_arena_keeps_all_it_gave_until_the_end(void **state)
{
	defer(sync_arena_clear) struct sync_arena a = { 0 };
	struct sync_view copies[2000];
	char text[20];

	(void)state;
	for (size_t i = 0; i < COUNT(copies); i++) {
		snprintf(text, sizeof text, "copy %zu", i);
		copies[i] = sync_arena_copy(&a, sync_view_of(text));
	}
	for (size_t i = 0; i < COUNT(copies); i++) {
		snprintf(text, sizeof text, "copy %zu", i);
		assert_string_equal(text, copies[i].data);
		assert_int_equal(strlen(text), copies[i].len);
	}
}

static void an_arena_aligns_and_takes_any_size(void **state)
{
	defer(sync_arena_clear) struct sync_arena a = { 0 };

	(void)state;
	for (size_t len = 0; len < 3000000; len = len * 3 + 1) {
		char *got = sync_arena_get(&a, len);

		assert_non_null(got);
		assert_int_equal(0, (uintptr_t)got % _Alignof(max_align_t));
		memset(got, 'x', len);
	}
	assert_true(a.used > 3000000);
	assert_null(sync_arena_get(&a, SIZE_MAX));
	assert_null(sync_arena_copy(&a, (struct sync_view){ "", SIZE_MAX }).data);
}

static void a_reset_arena_starts_from_nothing(void **state)
{
	defer(sync_arena_clear) struct sync_arena a = { 0 };

	(void)state;
	sync_arena_reset(&a);
	for (int i = 0; i < 100; i++) {
		for (int n = 0; n < 100; n++)
			assert_non_null(sync_arena_get(&a, 1000));
		sync_arena_reset(&a);
		assert_int_equal(0, a.used);
	}
	sync_arena_clear(&a);
	assert_string_equal("again", sync_arena_copy(&a, sync_view_of("again")).data);
	sync_arena_clear(NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(views_compare_like_texts),
		cmocka_unit_test(what_is_appended_stays_in_order_and_terminated),
		cmocka_unit_test(appending_nothing_makes_an_empty_text),
		cmocka_unit_test(a_buffer_holds_its_maximum_and_not_a_byte_more),
		cmocka_unit_test(the_first_failure_sticks),
		cmocka_unit_test(a_length_that_would_overflow_is_too_big),
		cmocka_unit_test(room_is_writable_up_to_its_last_byte),
		cmocka_unit_test(a_cleared_buffer_can_be_used_again),
		cmocka_unit_test(an_arena_keeps_all_it_gave_until_the_end),
		cmocka_unit_test(an_arena_aligns_and_takes_any_size),
		cmocka_unit_test(a_reset_arena_starts_from_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

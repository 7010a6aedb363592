#include "codec/json.h"

#include <libsync/frame.h>

#include <math.h>
#include <pthread.h>

#include "test.h"

static enum sync_status parse(const char *text, struct sync_error *err)
{
	struct sync_json json;

	return sync_json_parse(&json, sync_view_of(text), 4, err);
}

static void well_formed_text_is_read(void **state)
{
	static const char *const good[] = {
		"{}",
		"[]",
		"null",
		"true",
		"false",
		"0",
		"-0",
		"0.5",
		"-1e10",
		"1E+2",
		"\"\"",
		"{\"a\":1,\"b\":[1,2,{}]}",
		"{ \"a\" : [ ] }",
		"\"\\u00e9\\ud83d\\ude00\"",
		"\"\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80\"",
		"\"\\\"\\\\\\/\\b\\f\\n\\r\\t\"",
		"[[[[1]]]]",
		"\"\x7f\"",
	};

	(void)state;
	for (size_t i = 0; i < COUNT(good); i++)
		assert_ok(parse(good[i], err));
}

static void what_is_not_strict_json_is_refused(void **state)
{
	static const struct {
		const char *text, *says;
	} bad[] = {
		{ "", "not JSON" },
		{ " ", "not JSON" },
		{ "{", "not JSON" },
		{ "{\"a\":}", "not JSON" },
		{ "{\"a\" 1}", "not JSON" },
		{ "{\"a\":1,}", "not JSON" },
		{ "[1,]", "not JSON" },
		{ "[1 2]", "not JSON" },
		{ "{,}", "not JSON" },
		{ "tru", "not JSON" },
		{ "nulll", "text after" },
		{ "truefalse", "text after" },
		{ "{}}", "text after" },
		{ "{} {}", "text after" },
		{ "1 x", "text after" },
		{ "01", "number" },
		{ "-", "number" },
		{ "+1", "begins nothing" },
		{ ".5", "begins nothing" },
		{ "1.", "number" },
		{ "1e", "number" },
		{ "1.5.5", "number" },
		{ "1-2", "number" },
		{ "0x10", "text after" },
		{ "NaN", "begins nothing" },
		{ "'a'", "begins nothing" },
		{ "\"a", "without end" },
		{ "\"a\\", "without end" },
		{ "\"a\\\"", "without end" },
		{ "\"\\u12\"", "escape" },
		{ "\"\\u12zz\"", "escape" },
		{ "\"\\x41\"", "not JSON" },
		{ "\"\\u0000\"", "U+0000" },
		{ "\"\\ud800\"", "not JSON" },
		{ "\"\\ud800x\"", "not JSON" },
		{ "\"\\udc00\"", "not JSON" },
		{ "\"\\ud800\\ud800\"", "not JSON" },
		{ "\"a\tb\"", "control" },
		{ "\"a\nb\"", "control" },
		{ "{\t}", "control" },
		{ "[1]\n", "control" },
		{ "\xef\xbb\xbf{}", "begins nothing" },
		{ "\"\xff\"", "UTF-8" },
		{ "\"\xc3\"", "UTF-8" },
		{ "\"\xc0\x80\"", "UTF-8" },
		{ "\"\xe0\x80\x80\"", "UTF-8" },
		{ "\"\xed\xa0\x80\"", "UTF-8" },
		{ "\"\xf4\x90\x80\x80\"", "UTF-8" },
		{ "\"\xf0\x9f\x98\"", "UTF-8" },
		{ "[[[[[1]]]]]", "too deep" },
		{ "1234567890123456789012345678901234567890123456789012345678901234", "too long" },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(bad); i++) {
		struct sync_error err = { 0 };

		if (parse(bad[i].text, &err) != SYNC_EBADFRAME || !strstr(err.text, bad[i].says))
			fail_msg("%s: %s: %s", bad[i].text, sync_status_name(err.status), err.text);
	}
}

static void a_raw_nul_is_refused(void **state)
{
	struct sync_json json;

	(void)state;
	assert_int_equal(SYNC_EBADFRAME, sync_json_parse(&json, (struct sync_view){ "\"a\0b\"", 5 }, 4, NULL));
	assert_int_equal(SYNC_EBADFRAME, sync_json_parse(&json, (struct sync_view){ "1\0", 2 }, 4, NULL));
}

static void the_number_of_values_is_bounded(void **state)
{
	defer(sync_buf_clear) struct sync_buf b = { .max = 1 << 20 };
	struct sync_error seen = { 0 };

	(void)state;
	sync_buf_add_char(&b, '[');
	for (int i = 1; i < SYNC_JSON_TOKENS; i++)
		sync_buf_add_text(&b, i > 1 ? ",0" : "0");
	sync_buf_add_char(&b, ']');
	assert_ok(parse(b.data, err));
	b.data[b.len - 1] = ',';
	sync_buf_add_text(&b, "0]");
	assert_int_equal(SYNC_EBADFRAME, parse(b.data, &seen));
	assert_non_null(strstr(seen.text, "too many values"));
}

static void members_are_walked_in_order_with_their_values(void **state)
{
	struct sync_json top, m;

	(void)state;
	assert_ok(
	    sync_json_parse(&top, sync_view_of("{\"a\":\"x\\n\",\"b\":1.5,\"c\":true,\"d\":null,\"e\":{},\"f\":[]}"), 4, err));
	assert_true(sync_json_first(&m, &top));
	assert_true(sync_view_is(m.name, "a") && sync_view_is(m.text, "x\n"));
	assert_true(sync_json_next(&m) && m.type == SYNC_JSON_NUMBER && m.number == 1.5);
	assert_true(sync_json_next(&m) && m.type == SYNC_JSON_BOOLEAN && m.number == 1);
	assert_true(sync_json_next(&m) && m.type == SYNC_JSON_NULL);
	assert_true(sync_json_next(&m) && m.type == SYNC_JSON_OBJECT && sync_view_is(m.name, "e"));
	assert_true(sync_json_next(&m) && m.type == SYNC_JSON_ARRAY);
	assert_false(sync_json_next(&m));
}

static void raw_members_are_cut_where_they_end(void **state)
{
	static const char *const values[] = { "1", "\"}\\\",\"", "{\"x\":[1,{}],\"}\":\"]\"}", "[ ]", "true", "-0.10e+5" };
	struct sync_view rest = sync_view_of(
	    "{ \"a\":1, \"b\" : \"}\\\",\",\"c\":{\"x\":[1,{}],\"}\":\"]\"},\"d\":[ ],\"e\":true , \"f\":-0.10e+5 }");
	struct sync_json_raw raw;
	size_t n = 0;

	(void)state;
	assert_true(sync_view_is(sync_json_raw_value(rest, 2), values[2]));
	while (sync_json_raw_next(&raw, &rest)) {
		assert_true(n < COUNT(values) && sync_view_is(raw.value, values[n]));
		n++;
	}
	assert_int_equal(COUNT(values), n);
}

static void merging_replaces_members_and_keeps_their_text(void **state)
{
	static const struct {
		const char *older, *newer, *merged;
	} cases[] = {
		{ "", "", "{}" },
		{ "{}", "{ }", "{}" },
		{ "{\"a\":1.0}", "", "{\"a\":1.0}" },
		{ "", "{\"a\":[1, 2]}", "{\"a\":[1, 2]}" },
		{ "{\"a\":1,\"b\":\"}\",\"c\":{}}", "{\"c\":2.50, \"a\":null,\"z\":0}",
		  "{\"b\":\"}\",\"c\":2.50,\"a\":null,\"z\":0}" },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		defer(sync_buf_clear) struct sync_buf b = { .max = 1000 };

		sync_json_merge(&b, sync_view_of(cases[i].older), sync_view_of(cases[i].newer));
		assert_string_equal(cases[i].merged, b.data);
	}
}

static void text_reads_back_as_it_was_written(void **state)
{
	defer(sync_buf_clear) struct sync_buf b = { .max = 1000 };
	const char *text = "\x01\x1f \"\\/\b\f\n\r\t\x7f \xc3\xa9 \xe2\x82\xac \xf0\x9f\x98\x80";
	struct sync_json json;

	(void)state;
	assert_true(sync_json_write_text(&b, sync_view_of(text)));
	assert_ok(sync_json_parse(&json, sync_buf_view(&b), 1, err));
	assert_true(sync_view_is(json.text, text));
}

static void what_json_cannot_carry_is_replaced_and_told(void **state)
{
	defer(sync_buf_clear) struct sync_buf b = { .max = 1000 };

	(void)state;
	assert_false(sync_json_write_text(&b, (struct sync_view){ "a\0b\xff", 4 }));
	assert_string_equal("\"a\xef\xbf\xbd"
			    "b\xef\xbf\xbd\"",
			    b.data);
	sync_buf_reset(&b);
	assert_true(sync_json_write_text(&b, (struct sync_view){ 0 }));
	assert_string_equal("\"\"", b.data);
}

static void numbers_are_written_with_few_digits(void **state)
{
	static const struct {
		double d;
		const char *text;
	} cases[] = {
		{ 0, "0" },
		{ -0.0, "-0" },
		{ 1, "1" },
		{ -1, "-1" },
		{ 0.1, "0.1" },
		{ -0.5, "-0.5" },
		{ 12.25, "12.25" },
		{ 0.000001, "0.000001" },
		{ 1.000001, "1.000001" },
		{ 123456789.125, "123456789.125" },
		{ 1e9, "1000000000" },
		{ 0.30000000000000004, "0.30000000000000004" },
		{ 1.0 / 3, "0.3333333333333333" },
		{ 5e-324, "4.94065645841247e-324" },
		{ 9007199254740993.0, "9007199254740992" },
		{ 1e300, "1e+300" },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		defer(sync_buf_clear) struct sync_buf b = { .max = 100 };

		sync_json_write_real(&b, cases[i].d);
		assert_string_equal(cases[i].text, b.data);
	}
}

static void every_double_reads_back_as_itself(void **state)
{
	defer(sync_buf_clear) struct sync_buf b = { .max = 100 };
	uint64_t bits = 88172645463325252u;

	(void)state;
	for (int i = 0; i < 200000; i++) {
		double d, got;

		bits ^= bits << 13;
		bits ^= bits >> 7;
		bits ^= bits << 17;
		memcpy(&d, &bits, sizeof d);
		if (i % 2)
			d = (double)(int64_t)(bits % 100000000) / 10000 * (i % 4 == 1 ? 1 : -1.1);
		if (!isfinite(d))
			continue;
		sync_buf_reset(&b);
		sync_json_write_real(&b, d);
		got = strtod(b.data, NULL);
		assert_memory_equal(&d, &got, sizeof d);
	}
}

static void integers_of_64_bits_are_decimal_text(void **state)
{
	static const char *const bad[] = { "",
					   "-",
					   "+1",
					   "01",
					   "-0",
					   "00",
					   "1 ",
					   " 1",
					   "1.0",
					   "1e3",
					   "9223372036854775808",
					   "-9223372036854775809",
					   "99999999999999999999999" };
	int64_t i = 7;

	(void)state;
	assert_true(sync_json_int64(&i, sync_view_of("9223372036854775807")) && i == INT64_MAX);
	assert_true(sync_json_int64(&i, sync_view_of("-9223372036854775808")) && i == INT64_MIN);
	assert_true(sync_json_int64(&i, sync_view_of("9007199254740993")) && i == 9007199254740993);
	assert_true(sync_json_int64(&i, sync_view_of("0")) && i == 0);
	for (size_t n = 0; n < COUNT(bad); n++)
		assert_false(sync_json_int64(&i, sync_view_of(bad[n])));
}

static void *parse_often(void *text)
{
	for (int i = 0; i < 2000; i++) {
		struct sync_json top, m;

		if (sync_json_parse(&top, sync_view_of(text), 4, NULL) != SYNC_OK || !sync_json_first(&m, &top) ||
		    !sync_view_is(m.text, "one"))
			return text;
	}
	return NULL;
}

static void threads_do_not_share_what_they_parse(void **state)
{
	pthread_t threads[4];
	void *failed;

	(void)state;
	for (size_t i = 0; i < COUNT(threads); i++)
		assert_int_equal(0, pthread_create(&threads[i], NULL, parse_often, "{\"a\":\"one\",\"b\":[1,2,3]}"));
	for (size_t i = 0; i < COUNT(threads); i++) {
		pthread_join(threads[i], &failed);
		assert_null(failed);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(well_formed_text_is_read),
		cmocka_unit_test(what_is_not_strict_json_is_refused),
		cmocka_unit_test(a_raw_nul_is_refused),
		cmocka_unit_test(the_number_of_values_is_bounded),
		cmocka_unit_test(members_are_walked_in_order_with_their_values),
		cmocka_unit_test(raw_members_are_cut_where_they_end),
		cmocka_unit_test(merging_replaces_members_and_keeps_their_text),
		cmocka_unit_test(text_reads_back_as_it_was_written),
		cmocka_unit_test(what_json_cannot_carry_is_replaced_and_told),
		cmocka_unit_test(numbers_are_written_with_few_digits),
		cmocka_unit_test(every_double_reads_back_as_itself),
		cmocka_unit_test(integers_of_64_bits_are_decimal_text),
		cmocka_unit_test(threads_do_not_share_what_they_parse),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

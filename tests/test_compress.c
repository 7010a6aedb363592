#include <libsync/compress.h>

#include "test.h"

static struct sync_dictionary *dictionary(const char *text, const char *sample)
{
	struct sync_view samples[] = { sync_view_of(sample), sync_view_of(sample) };
	struct sync_dictionary *d = NULL;

	assert_ok(sync_dictionary_new(&d, sync_view_of(text), samples, COUNT(samples), 3, err));
	return d;
}

static void compress(struct sync_buf *out, const struct sync_dictionary *d, struct sync_view v)
{
	defer(sync_compressor_freep) struct sync_compressor *c = NULL;

	assert_ok(sync_compressor_new(&c, d, 3, err));
	sync_compressor_reset(c, out);
	sync_compressor_add(c, v);
	assert_ok(sync_compressor_end(c, err));
}

static enum sync_status decompress(struct sync_buf *out, const struct sync_dictionary *const *all, struct sync_view in,
				   size_t max, struct sync_error *err)
{
	defer(sync_decompressor_freep) struct sync_decompressor *d = NULL;
	char piece[1000];
	size_t len;

	TRY(sync_decompressor_new(&d, all, in, max, err));
	do {
		TRY(sync_decompressor_read(d, piece, sizeof piece, &len, err));
		sync_buf_add(out, piece, len);
	} while (len > 0);
	return SYNC_OK;
}

/* Lines that differ a little: some 50 bytes each. */
static void write_lines(struct sync_buf *b, unsigned n)
{
	for (unsigned i = 0; i < n; i++)
		sync_buf_addf(b, "{\"e\":\"invoice\",\"i\":\"%08x\",\"a\":\"P\",\"q\":\"%u\"}\n", i * 2654435761U, i);
}

static void what_was_compressed_comes_back(void **state)
{
	defer(sync_buf_clear) struct sync_buf lines = { .max = 4 << 20 }, packed = { .max = 4 << 20 }, got = { .max = 4 << 20 };

	(void)state;
	write_lines(&lines, 20000);
	compress(&packed, NULL, sync_buf_view(&lines));
	assert_true(packed.len < lines.len / 3);
	assert_ok(decompress(&got, NULL, sync_buf_view(&packed), lines.len, err));
	assert_true(sync_view_eq(sync_buf_view(&lines), sync_buf_view(&got)));
}

static void nothing_compresses_to_a_frame_of_nothing(void **state)
{
	defer(sync_buf_clear) struct sync_buf packed = { .max = 100 }, got = { .max = 100 };

	(void)state;
	compress(&packed, NULL, sync_view_of(""));
	assert_true(packed.len > 0);
	assert_ok(decompress(&got, NULL, sync_buf_view(&packed), 0, err));
	assert_int_equal(0, got.len);
}

static void a_compressor_can_be_used_again(void **state)
{
	defer(sync_compressor_freep) struct sync_compressor *c = NULL;
	defer(sync_buf_clear) struct sync_buf cut = { .max = 1000 }, packed = { .max = 1000 }, got = { .max = 1000 };

	(void)state;
	assert_ok(sync_compressor_new(&c, NULL, 3, err));
	sync_compressor_reset(c, &cut);
	sync_compressor_add(c, sync_view_of("never ended"));
	sync_compressor_reset(c, &packed);
	sync_compressor_add(c, sync_view_of("ended"));
	assert_ok(sync_compressor_end(c, err));
	assert_ok(decompress(&got, NULL, sync_buf_view(&packed), 100, err));
	assert_string_equal("ended", got.data);
}

static void a_flush_shows_the_size_so_far(void **state)
{
	defer(sync_compressor_freep) struct sync_compressor *c = NULL;
	defer(sync_buf_clear) struct sync_buf packed = { .max = 1000 }, got = { .max = 1000 };
	size_t len;

	(void)state;
	assert_ok(sync_compressor_new(&c, NULL, 3, err));
	sync_compressor_reset(c, &packed);
	sync_compressor_add(c, sync_view_of("first "));
	sync_compressor_flush(c);
	len = packed.len;
	assert_true(len > 6);
	sync_compressor_add(c, sync_view_of("second"));
	assert_ok(sync_compressor_end(c, err));
	assert_true(packed.len > len);
	assert_ok(decompress(&got, NULL, sync_buf_view(&packed), 100, err));
	assert_string_equal("first second", got.data);
}

static void output_beyond_the_buffers_maximum_is_refused(void **state)
{
	defer(sync_compressor_freep) struct sync_compressor *c = NULL;
	defer(sync_buf_clear) struct sync_buf lines = { .max = 4 << 20 }, packed = { .max = 500 };
	struct sync_error seen = { 0 };

	(void)state;
	write_lines(&lines, 20000);
	assert_ok(sync_compressor_new(&c, NULL, 3, err));
	sync_compressor_reset(c, &packed);
	sync_compressor_add(c, sync_buf_view(&lines));
	assert_int_equal(SYNC_ETOOBIG, sync_compressor_end(c, &seen));
	assert_true(packed.len <= packed.max);
}

static void every_cut_is_refused(void **state)
{
	defer(sync_buf_clear) struct sync_buf lines = { .max = 1 << 20 }, packed = { .max = 1 << 20 }, got = { .max = 1 << 20 };
	struct sync_error seen = { 0 };

	(void)state;
	write_lines(&lines, 100);
	compress(&packed, NULL, sync_buf_view(&lines));
	for (size_t n = 0; n < packed.len; n++) {
		sync_buf_reset(&got);
		assert_int_equal(SYNC_EBADFRAME,
				 decompress(&got, NULL, (struct sync_view){ packed.data, n }, lines.len, &seen));
	}
}

static void bytes_after_the_end_are_refused(void **state)
{
	defer(sync_buf_clear) struct sync_buf packed = { .max = 1000 }, got = { .max = 1000 };
	struct sync_error seen = { 0 };

	(void)state;
	compress(&packed, NULL, sync_view_of("one"));
	sync_buf_add_char(&packed, '\n');
	assert_int_equal(SYNC_EBADFRAME, decompress(&got, NULL, sync_buf_view(&packed), 100, &seen));
	assert_string_equal("1 bytes after the end of the zstd frame", seen.text);
}

static void what_is_not_zstd_is_refused(void **state)
{
	defer(sync_buf_clear) struct sync_buf got = { .max = 100 };
	struct sync_error seen = { 0 };

	(void)state;
	assert_int_equal(SYNC_EBADFRAME, decompress(&got, NULL, sync_view_of("{\"v\":1}\n"), 100, &seen));
	assert_string_equal("8 bytes that do not begin with a zstd header", seen.text);
}

static void a_bomb_stops_at_the_limit(void **state)
{
	defer(sync_buf_clear) struct sync_buf zeros = { .max = 8 << 20 }, packed = { .max = 8 << 20 }, got = { .max = 8 << 20 };
	struct sync_error seen = { 0 };

	(void)state;
	memset(sync_buf_room(&zeros, 8 << 20), 0, 8 << 20);
	zeros.len = 8 << 20;
	compress(&packed, NULL, sync_buf_view(&zeros));
	assert_true(packed.len < 2000);
	assert_int_equal(SYNC_ETOOBIG, decompress(&got, NULL, sync_buf_view(&packed), (8 << 20) - 1, &seen));
	assert_true(got.len < 8 << 20);
	sync_buf_reset(&got);
	assert_ok(decompress(&got, NULL, sync_buf_view(&packed), 8 << 20, err));
}

static void a_frame_that_announces_too_much_is_refused_at_once(void **state)
{
	/* magic, single segment with 8 bytes of size, 2^40 bytes */
	static const char announces[] = "\x28\xb5\x2f\xfd\xe0\0\0\0\0\0\x01\0\0\x01\0\0";
	defer(sync_buf_clear) struct sync_buf got = { .max = 100 };
	struct sync_error seen = { 0 };
	struct sync_view in = { announces, sizeof announces - 1 };

	(void)state;
	assert_int_equal(SYNC_ETOOBIG, decompress(&got, NULL, in, 1 << 20, &seen));
	assert_string_equal("announces 1099511627776 bytes, allowed are 1048576", seen.text);
}

static void a_frame_that_wants_a_large_window_is_refused(void **state)
{
	/* magic, no size, a window of 2^23 bytes, one empty last block */
	static const char wants[] = "\x28\xb5\x2f\xfd\x00\x68\x01\0\0";
	defer(sync_buf_clear) struct sync_buf got = { .max = 100 };
	struct sync_error seen = { 0 };
	struct sync_view in = { wants, sizeof wants - 1 };

	(void)state;
	assert_int_equal(SYNC_ETOOBIG, decompress(&got, NULL, in, 1 << 20, &seen));
	assert_string_equal("needs a window of more than 4194304 bytes", seen.text);
}

static void no_level_makes_a_frame_that_we_refuse(void **state)
{
	defer(sync_buf_clear) struct sync_buf packed = { .max = 1000 }, got = { .max = 1000 };

	(void)state;
	for (int level = 1; level <= 19; level++) {
		defer(sync_compressor_freep) struct sync_compressor *c = NULL;

		sync_buf_reset(&packed);
		sync_buf_reset(&got);
		assert_ok(sync_compressor_new(&c, NULL, level, err));
		sync_compressor_reset(c, &packed);
		sync_compressor_add(c, sync_view_of("level"));
		assert_ok(sync_compressor_end(c, err));
		assert_ok(decompress(&got, NULL, sync_buf_view(&packed), 100, err));
		assert_string_equal("level", got.data);
	}
}

static const char text[] =
    "{\"e\":\"invoice\",\"i\":\"\",\"a\":\"P\",\"q\":\"\",\"d\":{\"name_id\":\"\",\"store_id\":\"\",\"on_hold\":false}}\n";
static const char message[] =
    "{\"e\":\"invoice\",\"i\":\"77\",\"a\":\"P\",\"q\":\"12\",\"d\":{\"name_id\":\"5\",\"store_id\":\"6\",\"on_hold\":true}}\n";

static void a_dictionary_makes_small_messages_smaller(void **state)
{
	struct sync_dictionary *d = dictionary(text, message);
	const struct sync_dictionary *const all[] = { d, NULL };
	defer(sync_buf_clear) struct sync_buf plain = { .max = 1000 }, packed = { .max = 1000 }, got = { .max = 1000 };

	(void)state;
	compress(&plain, NULL, sync_view_of(message));
	compress(&packed, d, sync_view_of(message));
	assert_true(packed.len < plain.len * 2 / 3);
	assert_ok(decompress(&got, all, sync_buf_view(&packed), 1000, err));
	assert_string_equal(message, got.data);
	sync_dictionary_free(d);
}

static void equal_text_makes_equal_dictionaries(void **state)
{
	struct sync_dictionary *a = dictionary(text, message), *b = dictionary(text, message);
	struct sync_dictionary *other_text = dictionary(message, message), *other_sample = dictionary(text, text);
	const struct sync_dictionary *const all[] = { other_text, b, NULL };
	defer(sync_buf_clear) struct sync_buf packed = { .max = 1000 }, got = { .max = 1000 };

	(void)state;
	assert_true(sync_dictionary_id(a) >= 1U << 15 && sync_dictionary_id(a) < 1U << 31);
	assert_int_equal(sync_dictionary_id(a), sync_dictionary_id(b));
	assert_int_not_equal(sync_dictionary_id(a), sync_dictionary_id(other_text));
	assert_int_not_equal(sync_dictionary_id(a), sync_dictionary_id(other_sample));
	compress(&packed, a, sync_view_of(message));
	assert_ok(decompress(&got, all, sync_buf_view(&packed), 1000, err));
	assert_string_equal(message, got.data);
	sync_dictionary_free(a);
	sync_dictionary_free(b);
	sync_dictionary_free(other_text);
	sync_dictionary_free(other_sample);
}

static void a_dictionary_needs_no_samples(void **state)
{
	struct sync_dictionary *d = NULL;

	(void)state;
	assert_ok(sync_dictionary_new(&d, sync_view_of(text), NULL, 0, 3, err));
	sync_dictionary_free(d);
}

static void an_unknown_dictionary_is_named(void **state)
{
	struct sync_dictionary *d = dictionary(text, message), *other = dictionary(message, message);
	const struct sync_dictionary *const all[] = { other, NULL };
	defer(sync_buf_clear) struct sync_buf packed = { .max = 1000 }, got = { .max = 1000 };
	struct sync_error seen = { 0 };
	char id[16];

	(void)state;
	snprintf(id, sizeof id, "%u", sync_dictionary_id(d));
	compress(&packed, d, sync_view_of(message));
	assert_int_equal(SYNC_EDICTIONARY, decompress(&got, all, sync_buf_view(&packed), 1000, &seen));
	assert_non_null(strstr(seen.text, id));
	assert_int_equal(SYNC_EDICTIONARY, decompress(&got, NULL, sync_buf_view(&packed), 1000, &seen));
	sync_dictionary_free(d);
	sync_dictionary_free(other);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_was_compressed_comes_back),
		cmocka_unit_test(nothing_compresses_to_a_frame_of_nothing),
		cmocka_unit_test(a_compressor_can_be_used_again),
		cmocka_unit_test(a_flush_shows_the_size_so_far),
		cmocka_unit_test(output_beyond_the_buffers_maximum_is_refused),
		cmocka_unit_test(every_cut_is_refused),
		cmocka_unit_test(bytes_after_the_end_are_refused),
		cmocka_unit_test(what_is_not_zstd_is_refused),
		cmocka_unit_test(a_bomb_stops_at_the_limit),
		cmocka_unit_test(a_frame_that_announces_too_much_is_refused_at_once),
		cmocka_unit_test(a_frame_that_wants_a_large_window_is_refused),
		cmocka_unit_test(no_level_makes_a_frame_that_we_refuse),
		cmocka_unit_test(a_dictionary_makes_small_messages_smaller),
		cmocka_unit_test(equal_text_makes_equal_dictionaries),
		cmocka_unit_test(a_dictionary_needs_no_samples),
		cmocka_unit_test(an_unknown_dictionary_is_named),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

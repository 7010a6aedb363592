#include <libsync/frame.h>

#include <libsync/crypto.h>

#include "test.h"

/* Everything that a reader found in a message. */
struct found {
	struct sync_header header;
	struct sync_end end;
	int64_t verdicts, records;
	struct sync_record last;
	struct sync_arena arena;
};

static void found_clear(struct found *f)
{
	sync_arena_clear(&f->arena);
}

static enum sync_status read_message(struct found *f, struct sync_view body, const struct sync_limits *limits, bool request,
				     struct sync_error *err)
{
	defer(sync_reader_freep) struct sync_reader *r = NULL;
	enum sync_frame kind = SYNC_FRAME_RECORD;
	struct sync_verdict verdict;
	struct sync_view line;

	TRY(sync_reader_new(&r, body, limits, err));
	TRY(sync_reader_header(r, &f->header, request, err));
	while (kind != SYNC_FRAME_END) {
		TRY(sync_reader_next(r, &f->arena, &kind, &f->last, &verdict, &f->end, &line, err));
		f->verdicts += kind == SYNC_FRAME_VERDICT;
		f->records += kind == SYNC_FRAME_RECORD;
	}
	return SYNC_OK;
}

static enum sync_status read_request(struct sync_view body, struct sync_error *err)
{
	defer(found_clear) struct found f = { 0 };

	return read_message(&f, body, &sync_default_limits, true, err);
}

static struct sync_view copy(struct sync_arena *arena, struct sync_view v)
{
	v = sync_arena_copy(arena, v);
	assert_non_null(v.data);
	return v;
}

/* The bytes of a compressed message as plain text. */
static struct sync_view plain(struct sync_arena *arena, struct sync_view body)
{
	const struct sync_dictionary *all[] = { sync_schema_dictionary(), NULL };
	defer(sync_decompressor_freep) struct sync_decompressor *d = NULL;
	defer(sync_buf_clear) struct sync_buf text = { .max = 1 << 24 };
	char piece[4096];
	size_t len;

	assert_ok(sync_decompressor_new(&d, all, body, 1 << 24, err));
	do {
		assert_ok(sync_decompressor_read(d, piece, sizeof piece, &len, err));
		sync_buf_add(&text, piece, len);
	} while (len > 0);
	return copy(arena, sync_buf_view(&text));
}

static const struct sync_header a_request = {
	.protocol = 1,
	.schema = 1,
	.program = "0.1.0",
	.site = 7,
	.branch = "01234567",
	.base = { 3, 120, "00112233445566aa" },
	.made = { 4, 122, "ffeeddccbbaa9988" },
	.at = { .all = { 0, 9007199254740993, "aaaaaaaaaaaaaaaa" }, .own = { 0, 55, "bbbbbbbbbbbbbbbb" } },
	.verdict = 2,
	.unpushed = 10,
	.want = 65536,
	.part = true,
	.cont = true,
	.rest = "a place",
};

static const struct sync_header an_answer = {
	.protocol = 1,
	.schema = 1,
	.program = "0.1.0",
	.site = 7,
	.stored = { 4, 122, "ffeeddccbbaa9988" },
	.integrated = 120,
	.highest = 122,
	.verdict = 3,
	.refused = true,
	.load = { .at = { .own = { 0, 9, "cccccccccccccccc" } },
		  .entity = "item",
		  .id = "i1",
		  .total = 100,
		  .done = 50,
		  .active = true },
};

static const struct sync_verdict a_verdict = {
	.n = 3,
	.kind = "refused",
	.entity = { "invoice", 7 },
	.id = { "i1", 2 },
	.seq = 120,
	.code = { "bad_value", 9 },
	.field = { "status", 6 },
	.text = { "no \"such\" status", 16 },
};

static struct sync_record a_delete(void)
{
	return (struct sync_record){
		.entity = sync_entity_find(sync_view_of("invoice_line")),
		.name = { "invoice_line", 12 },
		.id = { "l1", 2 },
		.action = SYNC_DELETE,
		.seq = 121,
		.root = { "i1", 2 },
		.age_ms = -1,
	};
}

/* A verdict, a delete and a record of an unknown entity; compressed. */
static struct sync_view write_request(struct sync_arena *arena)
{
	defer(sync_writer_freep) struct sync_writer *w = NULL;
	struct sync_record r = a_delete();
	struct sync_end end = { .at = a_request.at, .more = 9, .from = "here", .rest = "there" };
	struct sync_view body;

	assert_ok(sync_writer_new(&w, sync_schema_dictionary(), 3, 1 << 20, err));
	sync_writer_begin(w, &a_request, true);
	sync_writer_verdict(w, &a_verdict);
	sync_writer_record(w, &r);
	r = (struct sync_record){ .name = sync_view_of("not_yet_known"),
				  .id = sync_view_of("x"),
				  .action = SYNC_PUT,
				  .seq = 122,
				  .age_ms = 5,
				  .extra = sync_view_of("{\"a\":1}") };
	sync_writer_record(w, &r);
	assert_int_equal(2, sync_writer_records(w));
	assert_ok(sync_writer_end(w, &end, &body, err));
	assert_int_equal(2, end.records);
	return copy(arena, body);
}

static void messages_look_as_documented(void **state)
{
	static const char lines[] =
	    "{\"p\":1,\"s\":1,\"v\":\"0.1.0\",\"i\":\"7\",\"b\":\"01234567\",\"c\":\"3.120.00112233445566aa\",\"m\":\"4.122."
	    "ffeeddccbbaa9988\","
	    "\"a\":\"9007199254740993.aaaaaaaaaaaaaaaa\",\"o\":\"55.bbbbbbbbbbbbbbbb\",\"x\":\"a place\",\"u\":\"10\",\"w\":\"65536\",\"n\":"
	    "\"2\",\"t\":true,\"k\":true}\n"
	    "{\"v\":\"3\",\"k\":\"refused\",\"e\":\"invoice\",\"i\":\"i1\",\"q\":\"120\",\"c\":\"bad_value\",\"f\":\"status\","
	    "\"t\":\"no \\\"such\\\" status\"}\n"
	    "{\"e\":\"invoice_line\",\"i\":\"l1\",\"a\":\"D\",\"q\":\"121\",\"r\":\"i1\"}\n"
	    "{\"e\":\"not_yet_known\",\"i\":\"x\",\"a\":\"P\",\"q\":\"122\",\"g\":\"5\",\"d\":{\"a\":1}}\n"
	    "{\"n\":\"2\",\"a\":\"9007199254740993.aaaaaaaaaaaaaaaa\",\"o\":\"55.bbbbbbbbbbbbbbbb\",\"m\":\"9\",\"f\":\"here\",\"x\":\"there\",\"h\":\"";
	defer(sync_arena_clear) struct sync_arena arena = { 0 };
	struct sync_view text;

	(void)state;
	text = plain(&arena, write_request(&arena));
	assert_int_equal(strlen(lines) + 16 + 3, text.len);
	assert_memory_equal(lines, text.data, strlen(lines));
}

static void a_request_is_read_as_it_was_written(void **state)
{
	defer(found_clear) struct found f = { 0 };

	(void)state;
	assert_ok(read_message(&f, write_request(&f.arena), &sync_default_limits, true, err));
	assert_memory_equal(&a_request, &f.header, sizeof a_request);
	assert_int_equal(1, f.verdicts);
	assert_int_equal(2, f.records);
	assert_true(sync_view_is(f.last.name, "not_yet_known") && f.last.age_ms == 5 && f.last.seq == 122);
	assert_true(f.end.more == 9 && f.end.at.all.seq == 9007199254740993);
}

static void an_answer_is_read_as_it_was_written(void **state)
{
	defer(sync_writer_freep) struct sync_writer *w = NULL;
	defer(found_clear) struct found f = { 0 };
	struct sync_end end = { .load = an_answer.load };
	struct sync_view body;

	(void)state;
	assert_ok(sync_writer_new(&w, NULL, 3, 1 << 20, err));
	sync_writer_begin(w, &an_answer, false);
	assert_ok(sync_writer_end(w, &end, &body, err));
	assert_ok(read_message(&f, body, &sync_default_limits, false, err));
	assert_memory_equal(&an_answer, &f.header, sizeof an_answer);
	assert_memory_equal(&end, &f.end, sizeof end);
}

static const struct sync_checkpoint some_made[] = { { 4, 122, "ffeeddccbbaa9988" }, { 2, 7, "" } };
static const struct sync_position some_held[] = {
	{ { 0, 9007199254740993, "aaaaaaaaaaaaaaaa" }, { 0, 55, "bbbbbbbbbbbbbbbb" } },
	{ { 0, 3, "cccccccccccccccc" }, { 0, 0, "" } },
};

static const struct sync_header a_question = {
	.protocol = 1,
	.schema = 1,
	.site = 7,
	.branch = "01234567",
	.echo = true,
	.fork = { .common = { 3, 120, "00112233445566aa" }, .sure = 125, .upto = 130, .all_seq = 50, .own_seq = 40, .made = true },
	.inquiry = { some_made, COUNT(some_made), some_held, COUNT(some_held), true },
	.offered = { 0, 3, "ffeeddccbbaa9988" },
	.loss = SYNC_LOSS_OLD,
	.lost = { 0, 9007199254740993, "aaaaaaaaaaaaaaaa" },
};

static const struct sync_header a_settlement = {
	.protocol = 1,
	.schema = 1,
	.site = 7,
	.stored = { 4, 122, "ffeeddccbbaa9988" },
	.common = { .made = { 2, 7, "ffeeddccbbaa9988" }, .at.all = { 0, 3, "cccccccccccccccc" }, .active = true },
	.loss = SYNC_LOSS_CENTRAL,
};

/* What a reader finds in a header, while the reader is there. */
static void read_back(const struct sync_header *h, bool request, void (*check)(const struct sync_header *h))
{
	defer(sync_writer_freep) struct sync_writer *w = NULL;
	defer(sync_reader_freep) struct sync_reader *r = NULL;
	struct sync_header found;
	struct sync_end end = { 0 };
	struct sync_view body;

	assert_ok(sync_writer_new(&w, NULL, 3, 1 << 20, err));
	sync_writer_begin(w, h, request);
	assert_ok(sync_writer_end(w, &end, &body, err));
	assert_ok(sync_reader_new(&r, body, &sync_default_limits, err));
	assert_ok(sync_reader_header(r, &found, request, err));
	assert_ok(sync_reader_end(r, &end, err));
	check(&found);
}

static void check_question(const struct sync_header *h)
{
	struct sync_header same = *h;

	assert_int_equal(COUNT(some_made), h->inquiry.n_made);
	assert_int_equal(COUNT(some_held), h->inquiry.n_held);
	assert_memory_equal(some_made, h->inquiry.made, sizeof some_made);
	assert_memory_equal(some_held, h->inquiry.held, sizeof some_held);
	same.inquiry = a_question.inquiry;
	assert_memory_equal(&a_question, &same, sizeof same);
}

static void check_settlement(const struct sync_header *h)
{
	assert_memory_equal(&a_settlement, h, sizeof *h);
}

static void what_parted_histories_have_in_common_is_asked_and_answered(void **state)
{
	(void)state;
	read_back(&a_question, true, check_question);
	read_back(&a_settlement, false, check_settlement);
}

static void assert_no_list(const char *members, const char *text)
{
	static const char head[] = "{\"p\":1,\"s\":1,";
	defer(sync_reader_freep) struct sync_reader *r = NULL;
	defer(sync_buf_clear) struct sync_buf b = { .max = 1 << 20 };
	struct sync_error seen = { 0 };
	struct sync_header h;

	sync_buf_addf(&b, "%s%s}\n", head, members);
	assert_ok(sync_reader_new(&r, sync_buf_view(&b), &sync_default_limits, err));
	assert_int_equal(SYNC_EBADFRAME, sync_reader_header(r, &h, true, &seen));
	if (!strstr(seen.text, text))
		fail_msg("'%s' is not in '%s'", text, seen.text);
}

static void lists_of_a_question_are_checked(void **state)
{
	defer(sync_buf_clear) struct sync_buf many = { .max = 1 << 20 };

	(void)state;
	assert_no_list("\"q\":{\"c\":\"1.2.\"}", "is not an array");
	assert_no_list("\"q\":{\"c\":[\"1.2.\",7]}", "not a checkpoint");
	assert_no_list("\"q\":{\"c\":[\"1.2.0123456789abcde\"]}", "not a checkpoint");
	assert_no_list("\"q\":{\"c\":[\"-1.2.\"]}", "not a checkpoint");
	assert_no_list("\"q\":{\"p\":[\"1.0123456789abcdef.2.0123456789abcdef.3\"]}", "not a place");
	assert_no_list("\"q\":{\"p\":[\"1.0123456789abcdef\"]}", "not a place");
	assert_no_list("\"q\":[]", "is not an object");
	sync_buf_add_text(&many, "\"q\":{\"c\":[\"1.2.\"");
	for (int i = 0; i < SYNC_INQUIRY_MAX; i++)
		sync_buf_add_text(&many, ",\"1.2.\"");
	sync_buf_add_text(&many, "]}");
	assert_no_list(many.data, "has 2001 items, at most 2000 may be");
}

static void a_plain_message_is_read_as_well(void **state)
{
	defer(sync_arena_clear) struct sync_arena arena = { 0 };

	(void)state;
	assert_ok(read_request(plain(&arena, write_request(&arena)), err));
}

/* In memory of just that size, so that a read beyond it is seen. */
static enum sync_status read_exactly(struct sync_view body, struct sync_error *err)
{
	defer(freep) char *bytes = malloc(body.len ? body.len : 1);

	assert_non_null(bytes);
	memcpy(bytes, body.data, body.len);
	return read_request((struct sync_view){ bytes, body.len }, err);
}

static void every_cut_is_refused(void **state)
{
	defer(sync_arena_clear) struct sync_arena arena = { 0 };
	struct sync_view bodies[2];

	(void)state;
	bodies[0] = write_request(&arena);
	bodies[1] = plain(&arena, bodies[0]);
	for (size_t k = 0; k < COUNT(bodies); k++)
		for (size_t n = 0; n < bodies[k].len; n++) {
			struct sync_error err = { 0 };

			assert_int_equal(SYNC_EBADFRAME, read_exactly((struct sync_view){ bodies[k].data, n }, &err));
			assert_true(err.text[0]);
		}
}

static void every_altered_byte_is_refused(void **state)
{
	static const unsigned char masks[] = { 0x01, 0x02, 0x10, 0x20, 0x80, 0xff };
	defer(sync_arena_clear) struct sync_arena arena = { 0 };
	struct sync_view body, text;
	char *bytes;

	(void)state;
	body = write_request(&arena);
	text = plain(&arena, body);
	bytes = (char *)(uintptr_t)text.data;
	for (size_t i = 0; i < text.len; i++)
		for (size_t k = 0; k < COUNT(masks); k++) {
			bytes[i] = (char)(bytes[i] ^ masks[k]);
			if (read_request(text, NULL) != SYNC_EBADFRAME)
				fail_msg("byte %zu with mask %02x passes", i, masks[k]);
			bytes[i] = (char)(bytes[i] ^ masks[k]);
		}
	assert_ok(read_request(text, err));
}

/* Some bytes of a zstd frame mean nothing; whatever passes must mean the same. */
static void an_altered_byte_of_a_compressed_message_changes_nothing_unseen(void **state)
{
	defer(sync_arena_clear) struct sync_arena arena = { 0 };
	struct sync_view body, text;
	char *bytes;

	(void)state;
	body = write_request(&arena);
	text = plain(&arena, body);
	bytes = (char *)(uintptr_t)body.data;
	for (size_t i = 0; i < body.len; i++)
		for (unsigned bit = 0; bit < 8; bit++) {
			bytes[i] = (char)(bytes[i] ^ 1 << bit);
			if (read_request(body, NULL) == SYNC_OK)
				assert_true(sync_view_eq(text, plain(&arena, body)));
			bytes[i] = (char)(bytes[i] ^ 1 << bit);
		}
}

/* A message of these lines with the digest that fits them; count as given. */
static struct sync_view seal(struct sync_arena *arena, const char *lines, const char *end)
{
	defer(sync_buf_clear) struct sync_buf b = { .max = 1 << 20 };
	struct sync_digest digest = { 0 };

	sync_buf_add_text(&b, lines);
	sync_buf_addf(&b, "{%s,\"h\":\"", end);
	assert_ok(sync_digest_open(&digest, err));
	sync_digest_add(&digest, sync_buf_view(&b));
	sync_buf_addf(&b, "%016llx\"}\n", (unsigned long long)sync_digest_value(&digest));
	sync_digest_close(&digest);
	return copy(arena, sync_buf_view(&b));
}

#define HEADER  "{\"p\":1,\"s\":1}\n"
#define DELETE  "{\"e\":\"item\",\"i\":\"x\",\"a\":\"D\"}\n"
#define VERDICT "{\"v\":\"1\",\"k\":\"resolved\"}\n"

static void a_message_that_is_not_whole_or_not_in_order_is_refused(void **state)
{
	static const struct {
		const char *lines, *end, *says;
	} cases[] = {
		{ HEADER DELETE, "\"n\":\"2\"", "counts 2 records, there were 1" },
		{ HEADER DELETE DELETE, "\"n\":\"1\"", "counts 1 records, there were 2" },
		{ DELETE, "\"n\":\"1\"", "no header" },
		{ "", "\"n\":\"0\"", "no header" },
		{ HEADER HEADER, "\"n\":\"0\"", "neither a record" },
		{ HEADER DELETE VERDICT, "\"n\":\"1\"", "stands before records" },
		{ HEADER "\n", "\"n\":\"0\"", "neither a record" },
		{ HEADER " " DELETE, "\"n\":\"1\"", "neither a record" },
		{ "{\"p\":0,\"s\":1}\n", "\"n\":\"0\"", "protocol 0" },
		{ "{\"p\":1}\n", "\"n\":\"0\"", "no member \"s\"" },
		{ "{\"p\":1,\"s\":1.5}\n", "\"n\":\"0\"", "not a number" },
		{ "{\"p\":1,\"s\":1,\"b\":\"xyz\"}\n", "\"n\":\"0\"", "hex" },
		{ "{\"p\":1,\"s\":1,\"v\":\"a program with a version that is much too long\"}\n", "\"n\":\"0\"", "bytes" },
		{ "{\"p\":1,\"s\":1,\"c\":\"1.2\"}\n{\"x\"}\n", "\"n\":\"0\"", "neither a record" },
		{ "{\"p\":1,\"s\":1,\"c\":\"1.-2.\"}\n", "\"n\":\"0\"", "checkpoint" },
		{ "{\"p\":1,\"s\":1,\"c\":\"1.2.00112233445566a\"}\n", "\"n\":\"0\"", "checkpoint" },
		{ "{\"p\":1,\"s\":1,\"l\":{\"t\":7}}\n", "\"n\":\"0\"", "load frame" },
		{ HEADER "{\"v\":\"1\"}\n", "\"n\":\"0\"", "no member \"k\"" },
	};
	defer(sync_arena_clear) struct sync_arena arena = { 0 };

	(void)state;
	assert_ok(read_request(seal(&arena, HEADER VERDICT DELETE, "\"n\":\"1\""), err));
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct sync_error err = { 0 };

		if (read_request(seal(&arena, cases[i].lines, cases[i].end), &err) != SYNC_EBADFRAME ||
		    !strstr(err.text, cases[i].says))
			fail_msg("%s: %s: %s", cases[i].lines, sync_status_name(err.status), err.text);
	}
}

static void anything_after_the_end_is_refused(void **state)
{
	defer(sync_buf_clear) struct sync_buf b = { .max = 1000 };
	defer(sync_arena_clear) struct sync_arena arena = { 0 };
	struct sync_error seen = { 0 };

	(void)state;
	sync_buf_add_view(&b, seal(&arena, HEADER, "\"n\":\"0\""));
	assert_ok(read_request(sync_buf_view(&b), err));
	sync_buf_add_text(&b, "\n");
	assert_int_equal(SYNC_EBADFRAME, read_request(sync_buf_view(&b), &seen));
	assert_non_null(strstr(seen.text, "after the end"));
	sync_buf_reset(&b);
	sync_buf_add_view(&b, write_request(&arena));
	sync_buf_add_view(&b, write_request(&arena));
	assert_int_equal(SYNC_EBADFRAME, read_request(sync_buf_view(&b), &seen));
}

static void members_of_a_newer_protocol_are_passed_over(void **state)
{
	defer(sync_arena_clear) struct sync_arena arena = { 0 };

	(void)state;
	assert_ok(read_request(seal(&arena,
				    "{\"p\":2,\"new\":[1,{}],\"s\":9}\n"
				    "{\"e\":\"item\",\"z\":{\"a\":1},\"i\":\"x\",\"a\":\"D\"}\n",
				    "\"n\":\"1\",\"new\":7"),
			       err));
}

/* Compressed text, without dictionary. */
static struct sync_view pack(struct sync_buf *out, const struct sync_dictionary *d, const char *piece, size_t times)
{
	defer(sync_compressor_freep) struct sync_compressor *c = NULL;

	assert_ok(sync_compressor_new(&c, d, 3, err));
	sync_compressor_reset(c, out);
	for (size_t i = 0; i < times; i++)
		sync_compressor_add(c, sync_view_of(piece));
	assert_ok(sync_compressor_end(c, err));
	return sync_buf_view(out);
}

static void limits_hold_whether_compressed_or_not(void **state)
{
	static const struct sync_limits small = { .plain_bytes = 100000, .line_bytes = 1000, .records = 10, .depth = 5 };
	static const char spaces[] = "                                                                ";
	static const struct {
		const char *piece, *says;
		size_t times;
	} cases[] = {
		{ DELETE, "100000", 10000 },
		{ DELETE, "10 records", 20 },
		{ spaces, "1000 bytes", 100 },
		{ spaces, "1000", 10000 },
	};
	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++)
		for (int packed = 0; packed < 2; packed++) {
			defer(sync_buf_clear) struct sync_buf text = { .max = 1 << 20 }, out = { .max = 1 << 20 };
			defer(found_clear) struct found f = { 0 };
			struct sync_limits limits = small;
			struct sync_error err = { 0 };

			if (i == 0)
				limits.records = INT64_MAX;
			sync_buf_add_text(&text, HEADER);
			for (size_t n = 0; n < cases[i].times; n++)
				sync_buf_add_text(&text, cases[i].piece);
			if (packed)
				pack(&out, NULL, text.data, 1);
			if (read_message(&f, sync_buf_view(packed ? &out : &text), &limits, true, &err) != SYNC_ETOOBIG)
				fail_msg("case %zu: %s: %s", i, sync_status_name(err.status), err.text);
			if (i < 3 && !strstr(err.text, cases[i].says) && !strstr(err.text, "100000"))
				fail_msg("case %zu: %s", i, err.text);
		}
}

static void a_bomb_of_one_line_is_refused_before_it_is_large(void **state)
{
	defer(sync_buf_clear) struct sync_buf out = { .max = 1 << 20 };
	char *spaces = test_calloc(1, (1 << 20) + 1);

	(void)state;
	memset(spaces, ' ', 1 << 20);
	assert_int_equal(SYNC_ETOOBIG, read_request(pack(&out, NULL, spaces, 20), NULL));
	test_free(spaces);
}

static void another_dictionary_is_told_from_a_broken_message(void **state)
{
	defer(sync_buf_clear) struct sync_buf out = { .max = 1 << 20 };
	static const char text[] = "{\"p\":1,\"s\":1}\n{\"p\":1,\"s\":2}\n";
	struct sync_view samples[] = { sync_view_of(text), sync_view_of(text) };
	struct sync_dictionary *d = NULL;
	struct sync_error seen = { 0 };

	(void)state;
	assert_ok(sync_dictionary_new(&d, sync_view_of(text), samples, COUNT(samples), 3, err));
	assert_int_equal(SYNC_EDICTIONARY, read_request(pack(&out, d, HEADER, 1), &seen));
	sync_dictionary_free(d);
}

static void a_reader_tells_whether_the_dictionary_was_used(void **state)
{
	defer(sync_arena_clear) struct sync_arena arena = { 0 };
	struct sync_view bodies[2];

	(void)state;
	bodies[0] = write_request(&arena);
	bodies[1] = plain(&arena, bodies[0]);
	for (size_t i = 0; i < COUNT(bodies); i++) {
		defer(sync_reader_freep) struct sync_reader *r = NULL;

		assert_ok(sync_reader_new(&r, bodies[i], &sync_default_limits, err));
		assert_int_equal(i == 0, sync_reader_dictionary(r));
	}
}

static void skipped_records_count_and_are_checked(void **state)
{
	defer(sync_arena_clear) struct sync_arena arena = { 0 };
	defer(sync_reader_freep) struct sync_reader *r = NULL;
	struct sync_error seen = { 0 };
	struct sync_header header;
	struct sync_record record;
	struct sync_verdict verdict;
	struct sync_end end;
	struct sync_view line;
	enum sync_frame kind;

	(void)state;
	assert_ok(sync_reader_new(&r, write_request(&arena), &sync_default_limits, err));
	assert_ok(sync_reader_header(r, &header, true, err));
	assert_ok(sync_reader_skip(r, 1, err));
	assert_ok(sync_reader_next(r, &arena, &kind, &record, &verdict, &end, &line, err));
	assert_true(kind == SYNC_FRAME_RECORD && sync_view_is(record.name, "not_yet_known"));
	assert_ok(sync_reader_next(r, &arena, &kind, &record, &verdict, &end, &line, err));
	assert_true(kind == SYNC_FRAME_END && end.records == 2);
	sync_reader_free(r);
	r = NULL;
	assert_ok(sync_reader_new(&r, write_request(&arena), &sync_default_limits, err));
	assert_ok(sync_reader_header(r, &header, true, err));
	assert_int_equal(SYNC_EBADFRAME, sync_reader_skip(r, 3, &seen));
	sync_reader_free(r);
	r = NULL;
	assert_ok(sync_reader_new(&r, write_request(&arena), &sync_default_limits, err));
	assert_ok(sync_reader_header(r, &header, true, err));
	assert_ok(sync_reader_end(r, &end, err));
	assert_int_equal(2, end.records);
}

static void a_writer_is_used_again_after_a_failure(void **state)
{
	defer(sync_writer_freep) struct sync_writer *w = NULL;
	struct sync_record r = a_delete();
	struct sync_error seen = { 0 };
	struct sync_end end = { 0 };
	struct sync_view first, body;
	defer(sync_arena_clear) struct sync_arena arena = { 0 };

	(void)state;
	assert_ok(sync_writer_new(&w, NULL, 3, 250, err));
	sync_writer_begin(w, &a_request, true);
	for (int i = 0; i < 10; i++) {
		char id[40];

		sync_random_uuid(id);
		r.id = sync_view_of(id);
		sync_writer_record(w, &r);
	}
	assert_int_equal(SYNC_ETOOBIG, sync_writer_end(w, &end, &body, &seen));
	for (int i = 0; i < 2; i++) {
		sync_writer_begin(w, &an_answer, true);
		assert_ok(sync_writer_end(w, &end, &body, err));
		if (i == 0)
			first = copy(&arena, body);
	}
	assert_true(sync_view_eq(first, body));
	assert_int_equal(0, end.records);
}

static void a_round_with_nothing_to_say_is_small(void **state)
{
	defer(sync_writer_freep) struct sync_writer *w = NULL;
	const struct sync_position at = { { 0, 812345, "5d0f3a8c1b9e7246" }, { 0, 90412, "a7c41e90f2d8b653" } };
	const struct sync_checkpoint stored = { 1204, 55120, "e81c5f027b3da946" };
	const struct sync_header request = { .protocol = 1,
					     .schema = 1,
					     .program = "0.1.0",
					     .site = 1207,
					     .branch = "9b3e70d5",
					     .base = stored,
					     .at = at,
					     .verdict = 41,
					     .want = 524288 };
	const struct sync_header answer = { .protocol = 1,
					    .schema = 1,
					    .program = "0.1.0",
					    .site = 1207,
					    .stored = stored,
					    .integrated = 55120,
					    .highest = 55120,
					    .verdict = 41 };
	struct sync_end end = { 0 };
	struct sync_view body;

	(void)state;
	assert_ok(sync_writer_new(&w, sync_schema_dictionary(), 3, 1 << 20, err));
	sync_writer_begin(w, &request, true);
	assert_ok(sync_writer_end(w, &end, &body, err));
	assert_in_range(body.len, 1, 110);
	sync_writer_begin(w, &answer, false);
	end.at = at;
	assert_ok(sync_writer_end(w, &end, &body, err));
	assert_in_range(body.len, 1, 110);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(messages_look_as_documented),
		cmocka_unit_test(a_request_is_read_as_it_was_written),
		cmocka_unit_test(an_answer_is_read_as_it_was_written),
		cmocka_unit_test(what_parted_histories_have_in_common_is_asked_and_answered),
		cmocka_unit_test(lists_of_a_question_are_checked),
		cmocka_unit_test(a_plain_message_is_read_as_well),
		cmocka_unit_test(every_cut_is_refused),
		cmocka_unit_test(every_altered_byte_is_refused),
		cmocka_unit_test(an_altered_byte_of_a_compressed_message_changes_nothing_unseen),
		cmocka_unit_test(a_message_that_is_not_whole_or_not_in_order_is_refused),
		cmocka_unit_test(anything_after_the_end_is_refused),
		cmocka_unit_test(members_of_a_newer_protocol_are_passed_over),
		cmocka_unit_test(limits_hold_whether_compressed_or_not),
		cmocka_unit_test(a_bomb_of_one_line_is_refused_before_it_is_large),
		cmocka_unit_test(another_dictionary_is_told_from_a_broken_message),
		cmocka_unit_test(a_reader_tells_whether_the_dictionary_was_used),
		cmocka_unit_test(skipped_records_count_and_are_checked),
		cmocka_unit_test(a_writer_is_used_again_after_a_failure),
		cmocka_unit_test(a_round_with_nothing_to_say_is_small),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

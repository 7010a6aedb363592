#include <libsync/frame.h>

#include <math.h>

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
};

static const struct sync_header an_answer = {
	.protocol = 1,
	.schema = 1,
	.program = "0.1.0",
	.site = 7,
	.branch = "01234567",
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

/* What fits a field and is awkward: longest, other alphabets, beyond 2^53. */
static struct sync_value awkward(const struct sync_field *f, struct sync_view longest)
{
	struct sync_value v = { .kind = SYNC_STRING };

	switch (f->type) {
	case SYNC_ID:
		v.s = (struct sync_view){ longest.data, SYNC_MAX_ID };
		break;
	case SYNC_TEXT:
		v.s = f->required ? longest
				  : sync_view_of("\xe0\xb8\xa7\xe0\xb8\xb1\xe0\xb8\x84\xe0\xb8\x8b\xe0\xb8\xb5\xe0\xb8\x99 "
						 "\"\\\n\t/\x01 \xf0\x9f\x92\x89");
		break;
	case SYNC_ENUM:
		for (size_t i = 0; f->values[i]; i++)
			v.s = sync_view_of(f->values[i]);
		break;
	case SYNC_JSON:
		v.s = sync_view_of("{ \"a\": [1.50, \"\\u00e9\"] }");
		break;
	case SYNC_DATE:
		v.s = sync_view_of("2024-02-29");
		break;
	case SYNC_TIME:
		v.s = sync_view_of("2026-11-24T23:59:59.123456");
		break;
	case SYNC_BOOLEAN:
		v = (struct sync_value){ .kind = SYNC_INT, .i = 1 };
		break;
	case SYNC_INTEGER:
		v = (struct sync_value){ .kind = SYNC_INT, .i = INT32_MIN };
		break;
	case SYNC_BIGINT:
		v = (struct sync_value){ .kind = SYNC_INT, .i = 9007199254740993 };
		break;
	case SYNC_REAL:
		v = (struct sync_value){ .kind = SYNC_DOUBLE, .d = 0.1 + 0.2 };
		break;
	}
	return v;
}

enum filling { AWKWARD, NULLS, NOTHING };

static void fill(struct sync_record *r, struct sync_value *values, const struct sync_entity *e, enum filling how,
		 struct sync_view longest)
{
	*r = (struct sync_record){ .entity = e,
				   .name = sync_view_of(e->name),
				   .id = sync_view_of("id-1"),
				   .action = SYNC_PUT,
				   .seq = INT64_MAX,
				   .version = sync_view_of("7.01234567.12"),
				   .base = sync_view_of("0.89abcdef.1"),
				   .age_ms = 0,
				   .values = values };
	values[0] = (struct sync_value){ .kind = SYNC_STRING, .s = r->id };
	for (size_t i = 1; i < e->n_fields; i++)
		values[i] = how == NOTHING                           ? ((struct sync_value){ .kind = SYNC_ABSENT })
			    : how == NULLS && !e->fields[i].required ? ((struct sync_value){ .kind = SYNC_NULL })
								     : awkward(&e->fields[i], longest);
}

static bool same_value(const struct sync_value *a, const struct sync_value *b)
{
	switch (a->kind) {
	case SYNC_ABSENT:
	case SYNC_NULL:
		return b->kind == a->kind;
	case SYNC_INT:
		return b->kind == SYNC_INT && b->i == a->i;
	case SYNC_DOUBLE:
		return b->kind == SYNC_DOUBLE && b->d == a->d;
	case SYNC_STRING:
	case SYNC_BLOB:
		return b->kind == a->kind && sync_view_eq(a->s, b->s);
	}
	return false;
}

static void assert_same_record(const struct sync_record *a, const struct sync_record *b)
{
	const struct sync_value absent = { .kind = SYNC_ABSENT };

	if (b->fault)
		fail_msg("%s", b->fault->text);
	assert_ptr_equal(a->entity, b->entity);
	assert_int_equal(a->action, b->action);
	assert_true(sync_view_eq(a->name, b->name) && sync_view_eq(a->id, b->id));
	assert_true(a->seq == b->seq && a->age_ms == b->age_ms);
	assert_true(sync_view_eq(a->version, b->version) && sync_view_eq(a->base, b->base));
	for (size_t i = 0; i < a->entity->n_fields; i++) {
		const struct sync_field *f = &a->entity->fields[i];

		if (!same_value(f->local ? &absent : &a->values[i], &b->values[i]))
			fail_msg("%s.%s differs", a->entity->name, f->name);
	}
}

static void every_entity_comes_back_as_it_was_written(void **state)
{
	defer(sync_buf_clear) struct sync_buf line = { .max = 16 << 20 };
	defer(sync_arena_clear) struct sync_arena arena = { 0 };
	struct sync_view longest = { test_calloc(1, 100000), 100000 };
	struct sync_value values[SYNC_MAX_FIELDS];
	struct sync_record put, got;
	size_t n;
	const struct sync_entity *const *e = sync_entities(&n);

	(void)state;
	memset((char *)(uintptr_t)longest.data, 'x', longest.len);
	for (size_t i = 0; i < n; i++)
		for (enum filling how = AWKWARD; how <= NOTHING; how++) {
			fill(&put, values, e[i], how, longest);
			sync_buf_reset(&line);
			sync_record_write(&line, &put);
			assert_ok(sync_record_read(&got, &arena, sync_buf_view(&line), &sync_default_limits, err));
			assert_same_record(&put, &got);
			sync_arena_reset(&arena);
		}
	test_free((char *)(uintptr_t)longest.data);
}

/* Fails with a text unless the record reads as one with that fault. */
static void assert_fault(const char *line, const char *code, const char *field)
{
	defer(sync_arena_clear) struct sync_arena arena = { 0 };
	struct sync_record r;

	assert_ok(sync_record_read(&r, &arena, sync_view_of(line), &sync_default_limits, err));
	if (!r.fault || strcmp(r.fault->code, code) != 0 || strcmp(r.fault->field, field) != 0 || !strstr(r.fault->text, field))
		fail_msg("%s: %s", line, r.fault ? r.fault->text : "no fault");
}

#define LINE(fields) "{\"e\":\"invoice_line\",\"i\":\"l1\",\"a\":\"P\",\"q\":\"1\",\"d\":{" fields "}}"

static void a_wrong_field_is_a_fault_that_names_it(void **state)
{
	(void)state;
	assert_fault(LINE("\"invoice_id\":\"i1\",\"item_id\":7"), "wrong_type", "item_id");
	assert_fault(LINE("\"invoice_id\":\"i1\",\"pack_size\":\"7\""), "wrong_type", "pack_size");
	assert_fault(LINE("\"invoice_id\":\"i1\",\"pack_size\":1e999"), "bad_value", "pack_size");
	assert_fault(LINE("\"invoice_id\":\"i1\",\"type\":\"NOT_A_TYPE\""), "bad_value", "type");
	assert_fault(LINE("\"invoice_id\":\"i1\",\"type\":[\"STOCK_IN\"]"), "wrong_type", "type");
	assert_fault(LINE("\"invoice_id\":\"i1\",\"expiry_date\":\"2026-02-30\""), "bad_value", "expiry_date");
	assert_fault(LINE("\"invoice_id\":\"i1\",\"item_id\":null"), "missing_field", "item_id");
	assert_fault(LINE("\"invoice_id\":\"i1\",\"item_id\":\"\""), "bad_value", "item_id");
	assert_fault(LINE("\"invoice_id\":\"i1\",\"batch\":\"a\",\"batch\":\"b\""), "bad_value", "batch");
}

/* The first entity that has a field of the type, as a line that gives it that value. */
static void one_field(struct sync_buf *line, const struct sync_field **ret, enum sync_type type, const char *value)
{
	size_t n;
	const struct sync_entity *const *e = sync_entities(&n);

	for (size_t i = 0; i < n; i++)
		for (size_t k = 1; k < e[i]->n_fields; k++)
			if (e[i]->fields[k].type == type && !e[i]->fields[k].local) {
				*ret = &e[i]->fields[k];
				sync_buf_reset(line);
				sync_buf_addf(line, "{\"e\":\"%s\",\"i\":\"x\",\"a\":\"P\",\"d\":{\"%s\":%s}}", e[i]->name,
					      (*ret)->name, value);
				return;
			}
	*ret = NULL;
}

static void each_type_has_its_own_form_only(void **state)
{
	static const struct {
		enum sync_type type;
		const char *value, *code;
	} cases[] = {
		{ SYNC_BOOLEAN, "1", "wrong_type" },         { SYNC_BOOLEAN, "\"true\"", "wrong_type" },
		{ SYNC_INTEGER, "\"1\"", "wrong_type" },     { SYNC_INTEGER, "1.5", "bad_value" },
		{ SYNC_INTEGER, "2147483648", "bad_value" }, { SYNC_INTEGER, "1e300", "bad_value" },
		{ SYNC_BIGINT, "1", "wrong_type" },          { SYNC_BIGINT, "\"01\"", "wrong_type" },
		{ SYNC_REAL, "true", "wrong_type" },         { SYNC_BIGINT, "\"9223372036854775808\"", "wrong_type" },
		{ SYNC_JSON, "{}", "wrong_type" },           { SYNC_JSON, "\"{\"", "bad_value" },
		{ SYNC_TIME, "\"yesterday\"", "bad_value" }, { SYNC_DATE, "20260101", "wrong_type" },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		defer(sync_buf_clear) struct sync_buf line = { .max = 1000 };
		const struct sync_field *f;

		one_field(&line, &f, cases[i].type, cases[i].value);
		if (f)
			assert_fault(line.data, cases[i].code, f->name);
	}
}

static void an_id_that_is_too_long_is_neither_written_nor_read(void **state)
{
	static const char *const frames[][2] = { { "{\"e\":\"item\",\"i\":\"", "\",\"a\":\"D\"}" },
						 { "{\"e\":\"not_yet_known\",\"i\":\"", "\",\"a\":\"P\",\"d\":{}}" },
						 { "{\"e\":\"invoice_line\",\"i\":\"l1\",\"a\":\"D\",\"r\":\"", "\"}" } };
	defer(sync_arena_clear) struct sync_arena arena = { 0 };
	struct sync_record r;
	char line[1000];

	(void)state;
	for (size_t i = 0; i < COUNT(frames); i++) {
		defer(sync_buf_clear) struct sync_buf out = { .max = 1000 };

		snprintf(line, sizeof line, "%s%0*d%s", frames[i][0], SYNC_MAX_ID, 0, frames[i][1]);
		assert_ok(sync_record_read(&r, &arena, sync_view_of(line), &sync_default_limits, err));
		snprintf(line, sizeof line, "%s%0*d%s", frames[i][0], SYNC_MAX_ID + 1, 0, frames[i][1]);
		assert_int_equal(SYNC_EBADFRAME, sync_record_read(&r, &arena, sync_view_of(line), &sync_default_limits, NULL));
		*(r.root.len && !sync_view_eq(r.root, r.id) ? &r.root : &r.id) = (struct sync_view){ line, SYNC_MAX_ID + 1 };
		sync_record_write(&out, &r);
		assert_int_equal(0, out.len);
	}
}

/* A group is found by an index. */
static void a_parent_that_is_too_long_for_an_id_is_no_group(void **state)
{
	defer(sync_arena_clear) struct sync_arena arena = { 0 };
	struct sync_record r;
	char line[1000];

	(void)state;
	snprintf(line, sizeof line, "{\"e\":\"invoice_line\",\"i\":\"l1\",\"a\":\"P\",\"d\":{\"invoice_id\":\"%0*d\"}}",
		 SYNC_MAX_ID + 1, 0);
	assert_ok(sync_record_read(&r, &arena, sync_view_of(line), &sync_default_limits, err));
	assert_non_null(r.fault);
	assert_true(sync_view_is(r.root, "l1"));
}

static void an_impossible_record_frame_is_refused(void **state)
{
	static const struct {
		const char *line, *says;
	} cases[] = {
		{ "[]", "not a JSON object" },
		{ "{}", "no member \"e\"" },
		{ "{\"e\":\"item\",\"i\":\"x\"}", "no member \"a\"" },
		{ "{\"e\":\"item\",\"a\":\"D\"}", "no member \"i\"" },
		{ "{\"e\":\"item\",\"i\":\"\",\"a\":\"D\"}", "without id" },
		{ "{\"e\":\"\",\"i\":\"x\",\"a\":\"D\"}", "not the name" },
		{ "{\"e\":\"item; DROP\",\"i\":\"x\",\"a\":\"D\"}", "not the name" },
		{ "{\"e\":7,\"i\":\"x\",\"a\":\"D\"}", "not a string" },
		{ "{\"e\":\"item\",\"i\":\"x\",\"a\":\"Q\"}", "neither" },
		{ "{\"e\":\"item\",\"i\":\"x\",\"a\":\"D\",\"d\":{}}", "the action is \"D\"" },
		{ "{\"e\":\"item\",\"i\":\"x\",\"a\":\"P\"}", "without fields" },
		{ "{\"e\":\"unknown\",\"i\":\"x\",\"a\":\"P\"}", "without fields" },
		{ "{\"e\":\"item\",\"i\":\"x\",\"a\":\"P\",\"d\":[]}", "not an object" },
		{ "{\"e\":\"item\",\"i\":\"x\",\"a\":\"D\",\"q\":1}", "decimal digits" },
		{ "{\"e\":\"item\",\"i\":\"x\",\"a\":\"D\",\"q\":\"-1\"}", "decimal digits" },
		{ "{\"e\":\"item\",\"i\":\"x\",\"a\":\"D\",\"a\":\"P\"}", "twice or out of order" },
		{ "{\"i\":\"x\",\"e\":\"item\",\"a\":\"D\"}", "no member \"e\"" },
		{ "{\"e\":\"item\",\"i\":\"x\",\"a\":\"D\"} x", "text after" },
		{ "{\"e\":\"item\",\"i\":\"x\",\"a\":\"D\"", "not JSON" },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		defer(sync_arena_clear) struct sync_arena arena = { 0 };
		struct sync_error err = { 0 };
		struct sync_record r;

		if (sync_record_read(&r, &arena, sync_view_of(cases[i].line), &sync_default_limits, &err) != SYNC_EBADFRAME ||
		    !strstr(err.text, cases[i].says))
			fail_msg("%s: %s: %s", cases[i].line, sync_status_name(err.status), err.text);
	}
}

static void unknown_fields_survive_byte_for_byte(void **state)
{
	static const char unknown[] =
	    "\"future\":1.00,\"o\\u0074her\":[1, {\"a\":\"}\\\"]\"}],\"big\":12345678901234567890.5e10,\"t\":\"\\u00e9\\/\"";
	static const char line[] = LINE(
	    "\"invoice_id\":\"i1\",\"future\":1.00,\"batch\":\"b\" , \"o\\u0074her\":[1, {\"a\":\"}\\\"]\"}],"
	    "\"big\":12345678901234567890.5e10,\"t\":\"\\u00e9\\/\" ");
	defer(sync_arena_clear) struct sync_arena arena = { 0 };
	defer(sync_buf_clear) struct sync_buf again = { .max = 1000 };
	struct sync_record r;

	(void)state;
	assert_ok(sync_record_read(&r, &arena, sync_view_of(line), &sync_default_limits, err));
	assert_null(r.fault);
	assert_memory_equal("{", r.extra.data, 1);
	assert_int_equal(strlen(unknown) + 2, r.extra.len);
	assert_memory_equal(unknown, r.extra.data + 1, strlen(unknown));
	sync_record_write(&again, &r);
	assert_non_null(strstr(again.data, "\"batch\":\"b\",\"future\":1.00,"));
	assert_non_null(strstr(again.data, unknown));
}

static void unknown_entities_survive_byte_for_byte(void **state)
{
	static const char line[] = "{\"e\":\"not_yet_known\",\"i\":\"x1\",\"a\":\"P\",\"q\":\"5\",\"r\":\"root\","
				   "\"d\":{\"n\":1.000, \"o\":{ },\"s\":\"\\u0041\"}}\n";
	defer(sync_arena_clear) struct sync_arena arena = { 0 };
	defer(sync_buf_clear) struct sync_buf again = { .max = 1000 };
	struct sync_record r;

	(void)state;
	assert_ok(sync_record_read(&r, &arena, sync_view_of(line), &sync_default_limits, err));
	assert_null(r.fault);
	assert_null(r.entity);
	assert_true(sync_view_is(r.name, "not_yet_known") && sync_view_is(r.root, "root"));
	assert_true(sync_view_is(r.extra, "{\"n\":1.000, \"o\":{ },\"s\":\"\\u0041\"}"));
	sync_record_write(&again, &r);
	assert_string_equal(line, again.data);
}

static void a_child_belongs_to_the_group_of_its_parent_field(void **state)
{
	defer(sync_arena_clear) struct sync_arena arena = { 0 };
	struct sync_record r;

	(void)state;
	assert_ok(sync_record_read(&r, &arena, sync_view_of(LINE("\"invoice_id\":\"i1\"")), &sync_default_limits, err));
	assert_true(sync_view_is(r.root, "i1"));
	assert_ok(sync_record_read(&r, &arena, sync_view_of(LINE("")), &sync_default_limits, err));
	assert_true(sync_view_is(r.root, "l1"));
	assert_ok(sync_record_read(&r, &arena, sync_view_of("{\"e\":\"invoice_line\",\"i\":\"l1\",\"a\":\"X\",\"r\":\"i1\"}"),
				   &sync_default_limits, err));
	assert_true(sync_view_is(r.root, "i1"));
	assert_ok(sync_record_read(&r, &arena, sync_view_of("{\"e\":\"invoice\",\"i\":\"i1\",\"a\":\"D\",\"r\":\"lies\"}"),
				   &sync_default_limits, err));
	assert_true(sync_view_is(r.root, "i1"));
}

static void what_json_cannot_carry_is_left_out_and_is_a_fault(void **state)
{
	defer(sync_arena_clear) struct sync_arena arena = { 0 };
	defer(sync_buf_clear) struct sync_buf line = { .max = 1 << 20 };
	const struct sync_entity *e = sync_entity_find(sync_view_of("invoice_line"));
	struct sync_value values[SYNC_MAX_FIELDS];
	struct sync_record r;
	int pack = sync_field_find(e, sync_view_of("pack_size")), batch = sync_field_find(e, sync_view_of("batch"));

	(void)state;
	fill(&r, values, e, NOTHING, sync_view_of(""));
	values[pack] = (struct sync_value){ .kind = SYNC_DOUBLE, .d = INFINITY };
	values[batch] = (struct sync_value){ .kind = SYNC_STRING, .s = { "a\0b", 3 } };
	sync_record_write(&line, &r);
	assert_non_null(strstr(line.data, "\"d\":{}}\n"));
	sync_record_finish(&r, &arena);
	assert_non_null(r.fault);
	sync_buf_reset(&line);
	r.id = (struct sync_view){ "a\xff", 2 };
	sync_record_write(&line, &r);
	assert_int_equal(0, line.len);
}

static void a_record_that_no_reader_would_take_is_a_fault(void **state)
{
	defer(sync_arena_clear) struct sync_arena arena = { 0 };
	defer(sync_buf_clear) struct sync_buf extra = { .max = 1 << 20 };
	const struct sync_entity *e = sync_entity_find(sync_view_of("invoice_line"));
	struct sync_value values[SYNC_MAX_FIELDS];
	size_t len = 3 << 20;
	char *text = test_calloc(1, len);
	struct sync_record r;

	(void)state;
	fill(&r, values, e, NOTHING, sync_view_of(""));
	memset(text, 'x', len);
	values[sync_field_find(e, sync_view_of("note"))] = (struct sync_value){ .kind = SYNC_STRING, .s = { text, len } };
	sync_record_finish(&r, &arena);
	assert_null(r.fault);
	memset(text, '\x01', len);
	sync_record_finish(&r, &arena);
	assert_non_null(r.fault);
	assert_string_equal("too_big", r.fault->code);
	test_free(text);

	fill(&r, values, e, NOTHING, sync_view_of(""));
	for (int i = 0; i < 5001; i++)
		sync_buf_addf(&extra, "%c\"f%d\":0", i ? ',' : '{', i);
	sync_buf_add_char(&extra, '}');
	r.extra = sync_buf_view(&extra);
	sync_record_finish(&r, &arena);
	assert_non_null(r.fault);
	assert_string_equal("too_big", r.fault->code);
}

/* A verdict, a delete and a record of an unknown entity; compressed. */
static struct sync_view write_request(struct sync_arena *arena)
{
	defer(sync_writer_freep) struct sync_writer *w = NULL;
	struct sync_record r = a_delete();
	struct sync_end end = { .at = a_request.at, .more = 9 };
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
	    "\"a\":\"9007199254740993.aaaaaaaaaaaaaaaa\",\"o\":\"55.bbbbbbbbbbbbbbbb\",\"u\":\"10\",\"w\":\"65536\",\"n\":"
	    "\"2\",\"t\":true,\"k\":true}\n"
	    "{\"v\":\"3\",\"k\":\"refused\",\"e\":\"invoice\",\"i\":\"i1\",\"q\":\"120\",\"c\":\"bad_value\",\"f\":\"status\","
	    "\"t\":\"no \\\"such\\\" status\"}\n"
	    "{\"e\":\"invoice_line\",\"i\":\"l1\",\"a\":\"D\",\"q\":\"121\",\"r\":\"i1\"}\n"
	    "{\"e\":\"not_yet_known\",\"i\":\"x\",\"a\":\"P\",\"q\":\"122\",\"g\":\"5\",\"d\":{\"a\":1}}\n"
	    "{\"n\":\"2\",\"a\":\"9007199254740993.aaaaaaaaaaaaaaaa\",\"o\":\"55.bbbbbbbbbbbbbbbb\",\"m\":\"9\",\"h\":\"";
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

static void deep_nesting_is_refused(void **state)
{
	defer(sync_arena_clear) struct sync_arena arena = { 0 };
	char line[300];
	struct sync_error seen = { 0 };
	struct sync_record r;

	(void)state;
	/* the frame and "d" are two levels */
	snprintf(line, sizeof line, LINE("\"x\":%.*s1%.*s"), 30, "[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[", 30,
		 "]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]");
	assert_ok(sync_record_read(&r, &arena, sync_view_of(line), &sync_default_limits, err));
	snprintf(line, sizeof line, LINE("\"x\":%.*s1%.*s"), 31, "[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[", 31,
		 "]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]");
	assert_int_equal(SYNC_EBADFRAME, sync_record_read(&r, &arena, sync_view_of(line), &sync_default_limits, &seen));
	assert_non_null(strstr(seen.text, "too deep"));
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
					    .branch = "9b3e70d5",
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
		cmocka_unit_test(every_entity_comes_back_as_it_was_written),
		cmocka_unit_test(a_wrong_field_is_a_fault_that_names_it),
		cmocka_unit_test(each_type_has_its_own_form_only),
		cmocka_unit_test(an_id_that_is_too_long_is_neither_written_nor_read),
		cmocka_unit_test(a_parent_that_is_too_long_for_an_id_is_no_group),
		cmocka_unit_test(an_impossible_record_frame_is_refused),
		cmocka_unit_test(unknown_fields_survive_byte_for_byte),
		cmocka_unit_test(unknown_entities_survive_byte_for_byte),
		cmocka_unit_test(a_child_belongs_to_the_group_of_its_parent_field),
		cmocka_unit_test(what_json_cannot_carry_is_left_out_and_is_a_fault),
		cmocka_unit_test(a_record_that_no_reader_would_take_is_a_fault),
		cmocka_unit_test(messages_look_as_documented),
		cmocka_unit_test(a_request_is_read_as_it_was_written),
		cmocka_unit_test(an_answer_is_read_as_it_was_written),
		cmocka_unit_test(a_plain_message_is_read_as_well),
		cmocka_unit_test(every_cut_is_refused),
		cmocka_unit_test(every_altered_byte_is_refused),
		cmocka_unit_test(an_altered_byte_of_a_compressed_message_changes_nothing_unseen),
		cmocka_unit_test(a_message_that_is_not_whole_or_not_in_order_is_refused),
		cmocka_unit_test(anything_after_the_end_is_refused),
		cmocka_unit_test(members_of_a_newer_protocol_are_passed_over),
		cmocka_unit_test(limits_hold_whether_compressed_or_not),
		cmocka_unit_test(a_bomb_of_one_line_is_refused_before_it_is_large),
		cmocka_unit_test(deep_nesting_is_refused),
		cmocka_unit_test(another_dictionary_is_told_from_a_broken_message),
		cmocka_unit_test(a_reader_tells_whether_the_dictionary_was_used),
		cmocka_unit_test(skipped_records_count_and_are_checked),
		cmocka_unit_test(a_writer_is_used_again_after_a_failure),
		cmocka_unit_test(a_round_with_nothing_to_say_is_small),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

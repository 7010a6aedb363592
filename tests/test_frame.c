#include <libsync/frame.h>

#include <math.h>

#include "schema/declared.h"
#include "test.h"

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

/* Who does not know it can only say that it has no value there. */
static void null_in_a_later_field_is_its_fallback(void **state)
{
	static const struct sync_field fields[] = {
		{ "id", SYNC_ID, .required = true },
		{ "level", SYNC_INTEGER, .required = true, .since = 2, .fallback = "7" },
		{ "name", SYNC_TEXT, .required = true },
	};
	static const struct sync_entity later = { .name = "later", FIELDS(fields) };
	static const struct sync_entity *const declared[] = { &later, NULL };
	static struct sync_catalogue build;
	defer(sync_arena_clear) struct sync_arena arena = { 0 };
	struct sync_record r;

	(void)state;
	sync_catalogue_fill(&build, declared);
	sync_catalogue_use(&build);
	assert_ok(sync_record_read(&r, &arena, sync_view_of("{\"e\":\"later\",\"i\":\"a\",\"a\":\"P\",\"d\":{\"level\":null,\"name\":\"x\"}}"),
	                           &sync_default_limits, err));
	assert_null(r.fault);
	assert_int_equal(7, r.values[1].i);
	assert_ok(sync_record_read(&r, &arena, sync_view_of("{\"e\":\"later\",\"i\":\"a\",\"a\":\"P\",\"d\":{\"name\":null}}"),
	                           &sync_default_limits, err));
	assert_string_equal("missing_field", r.fault->code);
	sync_catalogue_use(NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_entity_comes_back_as_it_was_written),
		cmocka_unit_test(a_wrong_field_is_a_fault_that_names_it),
		cmocka_unit_test(null_in_a_later_field_is_its_fallback),
		cmocka_unit_test(each_type_has_its_own_form_only),
		cmocka_unit_test(an_id_that_is_too_long_is_neither_written_nor_read),
		cmocka_unit_test(a_parent_that_is_too_long_for_an_id_is_no_group),
		cmocka_unit_test(an_impossible_record_frame_is_refused),
		cmocka_unit_test(unknown_fields_survive_byte_for_byte),
		cmocka_unit_test(unknown_entities_survive_byte_for_byte),
		cmocka_unit_test(a_child_belongs_to_the_group_of_its_parent_field),
		cmocka_unit_test(what_json_cannot_carry_is_left_out_and_is_a_fault),
		cmocka_unit_test(a_record_that_no_reader_would_take_is_a_fault),
		cmocka_unit_test(deep_nesting_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

#include <math.h>

#include <libsync/entity.h>

#include "schema/declared.h"
#include "test.h"

static const struct sync_entity *entity(const char *name)
{
	const struct sync_entity *e = sync_entity_find(sync_view_of(name));

	assert_non_null(e);
	return e;
}

static const struct sync_field *field(const char *entity_name, const char *name)
{
	const struct sync_entity *e = entity(entity_name);
	int i = sync_field_find(e, sync_view_of(name));

	assert_true(i >= 0);
	return &e->fields[i];
}

static void the_declarations_are_complete_and_consistent(void **state)
{
	(void)state;
	assert_ok(sync_entities_check(err));
}

static void what_a_hard_reference_names_is_integrated_first(void **state)
{
	size_t n;
	const struct sync_entity *const *e = sync_entities(&n);

	(void)state;
	for (size_t i = 0; i < n; i++) {
		assert_int_equal(i, sync_entity_order(e[i]));
		for (size_t k = 0; k < e[i]->n_fields; k++) {
			const struct sync_entity *target = sync_field_target(&e[i]->fields[k]);

			if (target && target != e[i] && !e[i]->fields[k].soft)
				assert_true(sync_entity_order(target) < i);
		}
	}
	assert_null(e[n]);
}

static void every_declaration_is_found_by_its_name(void **state)
{
	size_t n, declared = 0;

	(void)state;
	for (; sync_declared[declared]; declared++)
		assert_ptr_equal(sync_declared[declared], sync_entity_find(sync_view_of(sync_declared[declared]->name)));
	sync_entities(&n);
	assert_int_equal(declared, n);
}

static void unknown_names_are_not_found(void **state)
{
	(void)state;
	assert_null(sync_entity_find(sync_view_of("invoic")));
	assert_null(sync_entity_find(sync_view_of("invoice_")));
	assert_null(sync_entity_find((struct sync_view){ 0 }));
	assert_int_equal(-1, sync_field_find(entity("unit"), sync_view_of("nam")));
	assert_int_equal(0, sync_field_find(entity("unit"), sync_view_of("id")));
}

static void of_an_entity_that_is_none_the_likely_name_is_told(void **state)
{
	const struct sync_entity *e;
	struct sync_error err;

	(void)state;
	assert_int_equal(SYNC_OK, sync_entity_named("item", &e, &err));
	assert_ptr_equal(entity("item"), e);
	assert_int_equal(SYNC_EUSAGE, sync_entity_named("itm", &e, &err));
	assert_string_equal("no entity is called 'itm': is it item?", err.text);
	assert_int_equal(SYNC_EUSAGE, sync_entity_named("quadratic", &e, &err));
	assert_string_equal("no entity is called 'quadratic': docs/entities.md lists all", err.text);
}

static void a_line_belongs_to_the_group_of_its_invoice(void **state)
{
	(void)state;
	assert_ptr_equal(entity("invoice"), sync_entity_root(entity("invoice_line")));
	assert_ptr_equal(entity("invoice"), sync_entity_root(entity("invoice")));
	assert_true(sync_entity_grouped(entity("invoice_line")));
	assert_true(sync_entity_grouped(entity("invoice")));
	assert_false(sync_entity_grouped(entity("item")));
}

static void assert_routing(const char *name, const char *expected)
{
	defer(sync_buf_clear) struct sync_buf b = { .max = 1000 };
	size_t fields[SYNC_MAX_FIELDS];
	size_t n = sync_entity_routing(entity(name), fields);

	sync_buf_add(&b, "", 0);
	for (size_t i = 0; i < n; i++)
		sync_buf_addf(&b, "%s%s", i ? " " : "", entity(name)->fields[fields[i]].name);
	assert_string_equal(expected, b.len ? b.data : "");
}

static void routing_values_are_all_that_any_route_reads(void **state)
{
	(void)state;
	assert_routing("item", "");
	assert_routing("invoice", "store_id name_id");
	assert_routing("invoice_line", "invoice_id");
	assert_routing("asset_internal_location", "asset_id location_id");
	assert_routing("preference", "store_id");
}

static void routing_values_are_also_what_other_entities_routes_read(void **state)
{
	(void)state;
	assert_routing("name", "id type");
	assert_routing("name_store_join", "store_id name_id");
	assert_routing("clinician_store_join", "store_id clinician_id");
	assert_routing("store", "site_id name_id");
	assert_routing("master_list", "id"); /* whatever is chosen: it may be chosen later */
	assert_routing("master_list_line", "master_list_id");
	assert_routing("master_list_name_join", "master_list_id name_id");
}

static bool hard(const char *entity_name, const char *name)
{
	return sync_field_hard_at_site(entity(entity_name), field(entity_name, name));
}

static void a_reference_to_what_goes_everywhere_is_hard_at_sites(void **state)
{
	(void)state;
	assert_true(hard("invoice_line", "item_id"));
	assert_true(hard("invoice", "store_id"));
	assert_true(hard("preference", "store_id"));
}

static void a_reference_to_the_root_of_the_group_is_hard_at_sites(void **state)
{
	(void)state;
	assert_true(hard("invoice_line", "invoice_id"));
	assert_true(hard("asset_log", "asset_id"));
}

static void a_reference_within_a_store_is_hard_at_its_site(void **state)
{
	(void)state;
	assert_true(hard("stock_line", "location_id"));
	assert_true(hard("stocktake_line", "stock_line_id"));
	assert_true(hard("vvm_status_log", "invoice_line_id"));
}

static void a_reference_is_soft_at_sites_where_its_target_may_not_go(void **state)
{
	(void)state;
	assert_false(hard("invoice_line", "stock_line_id")); /* the other party sees the line, not the stock */
	assert_false(hard("invoice", "name_id"));            /* a patient's name goes through a join */
	assert_false(hard("invoice", "clinician_id"));
	assert_false(hard("name_store_join", "name_id"));
}

static void what_is_declared_soft_is_soft_at_sites(void **state)
{
	(void)state;
	assert_false(hard("invoice", "user_id"));
	assert_false(hard("invoice", "comment"));
}

static void what_an_installation_may_keep_from_a_site_is_soft_there(void **state)
{
	(void)state;
	assert_false(hard("program", "master_list_id"));
	assert_false(hard("master_list_line", "master_list_id"));
	assert_false(hard("master_list_name_join", "master_list_id"));
	assert_true(hard("master_list_line", "item_id"));
}

/* Whatever is chosen: with each value there is such a route. */
static bool goes_everywhere(const struct sync_entity *e)
{
	const struct sync_option *o = e->option ? sync_option_find(e->option) : NULL;
	const struct sync_option_value *v = o ? o->values : &(struct sync_option_value){ 0 };
	bool everywhere = true;

	do {
		bool found = false;

		for (const struct sync_route *r = e->routes; r->kind; r++)
			found |= r->kind == SYNC_ROUTE_CENTRAL && !r->when.field && sync_route_counts(r, v->name);
		everywhere &= found;
	} while (v->name && (++v)->name);
	return everywhere;
}

static void a_hard_reference_at_sites_goes_where_its_record_goes(void **state)
{
	size_t n;
	const struct sync_entity *const *e = sync_entities(&n);

	(void)state;
	for (size_t i = 0; i < n; i++) {
		for (size_t k = 0; k < e[i]->n_fields; k++) {
			const struct sync_field *f = &e[i]->fields[k];
			const struct sync_entity *target = sync_field_target(f);

			if (!target || f->soft)
				assert_false(sync_field_hard_at_site(e[i], f));
			else if (goes_everywhere(target))
				assert_true(sync_field_hard_at_site(e[i], f));
			else if (goes_everywhere(e[i]))
				assert_false(sync_field_hard_at_site(e[i], f));
		}
	}
}

static const struct sync_field store_fields[] = {
	{ "id", SYNC_ID, .required = true },
	{ "site_id", SYNC_INTEGER, .required = true },
	{ "name_id", SYNC_ID },
};
#define CENTRAL { { SYNC_ROUTE_CENTRAL } }
static const struct sync_entity store = { .name = "store", .about = "A store.", FIELDS(store_fields), .routes = CENTRAL };

static const struct sync_field good_fields[] = {
	{ "id", SYNC_ID, .required = true },
	{ "store_id", SYNC_ID, .required = true, .refers = "store" },
	{ "quantity", SYNC_REAL },
	{ "other_id", SYNC_ID, .refers = "good", .soft = true },
};
static const struct sync_entity good = {
	.name = "good", .about = "A thing.", FIELDS(good_fields),
	.owner = SYNC_OWNER_STORE, .owner_field = "store_id", .routes = { { SYNC_ROUTE_STORE, "store_id" } },
};

static void assert_fault(const struct sync_entity *bad, const char *text)
{
	const struct sync_entity *const declared[] = { &store, &good, bad, NULL };
	struct sync_catalogue c;
	struct sync_error err = { 0 };

	sync_catalogue_fill(&c, declared);
	assert_int_equal(SYNC_EINVALID, sync_catalogue_check(&c, &err));
	assert_string_equal(text, err.text);
}

/* A declaration like `good` with one field more. */
static void assert_field_fault(struct sync_field f, const char *text)
{
	struct sync_field fields[COUNT(good_fields) + 1];
	struct sync_entity bad = good;

	memcpy(fields, good_fields, sizeof good_fields);
	fields[COUNT(good_fields)] = f;
	bad.name = "bad";
	bad.fields = fields;
	bad.n_fields = COUNT(fields);
	assert_fault(&bad, text);
}

static struct sync_entity bad_entity(void)
{
	struct sync_entity bad = good;

	bad.name = "bad";
	return bad;
}

static void a_faulty_field_is_named(void **state)
{
	static const char *const values[] = { "A", NULL };

	(void)state;
	assert_field_fault((struct sync_field){ "Bad", SYNC_TEXT }, "bad.Bad: a name is up to 64 of a-z, 0-9 and _");
	assert_field_fault((struct sync_field){ "quantity", SYNC_TEXT }, "bad.quantity: there is a field of that name already");
	assert_field_fault((struct sync_field){ "x_id", SYNC_ID, .refers = "nothing" },
	                   "bad.x_id: refers to nothing, which is no entity");
	assert_field_fault((struct sync_field){ "x_id", SYNC_TEXT, .refers = "store" },
	                   "bad.x_id: refers to store but is no id");
	assert_field_fault((struct sync_field){ "x_id", SYNC_ID, .soft = true }, "bad.x_id: soft, but refers to nothing");
	assert_field_fault((struct sync_field){ "kind", SYNC_ENUM }, "bad.kind: an enum has values, and nothing else has");
	assert_field_fault((struct sync_field){ "kind", SYNC_TEXT, .values = values },
	                   "bad.kind: an enum has values, and nothing else has");
	assert_field_fault((struct sync_field){ "late", SYNC_TEXT, .required = true, .local = true },
	                   "bad.late: required, so rows made without it need a fallback");
	assert_field_fault((struct sync_field){ "late", SYNC_TEXT, .since = SYNC_SCHEMA_VERSION + 1 },
	                   "bad.late: since 2, but the schema version is 1");
}

static void a_declaration_starts_with_its_id(void **state)
{
	static const struct sync_field none[] = { { "key", SYNC_ID, .required = true } };
	struct sync_entity bad = bad_entity();

	(void)state;
	bad.fields = none;
	bad.n_fields = 1;
	assert_fault(&bad, "bad: the first field is 'key', not a required id");
	bad.n_fields = 0;
	assert_fault(&bad, "bad: 0 fields; 1 to 96 are possible");
}

static void a_name_is_declared_once(void **state)
{
	struct sync_entity bad = good;

	(void)state;
	assert_fault(&bad, "good: declared twice");
}

static void a_faulty_owner_is_named(void **state)
{
	struct sync_entity bad = bad_entity();

	(void)state;
	bad.owner_field = NULL;
	assert_fault(&bad, "bad: owned by a store that neither it nor its parent names");
	bad.owner_field = "other_id";
	assert_fault(&bad, "bad.other_id: the field of an owning store does not name a store");
	bad.owner_field = "store_id";
	bad.creator_grants = "quantity";
	assert_fault(&bad, "bad.quantity: makes something visible that it does not name");
	bad.creator_grants = NULL;
	bad.owner_when = (struct sync_when){ "quantity", .value = "1" };
	assert_fault(&bad, "bad.quantity: a condition compares text, and this is none");
}

static void assert_route_fault(struct sync_route route, const char *text)
{
	struct sync_entity bad = bad_entity();

	bad.routes[0] = route;
	assert_fault(&bad, text);
}

static void a_faulty_route_is_named(void **state)
{
	(void)state;
	assert_route_fault((struct sync_route){ 0 }, "bad: no route; one that stays at central is routed up");
	assert_route_fault((struct sync_route){ SYNC_ROUTE_STORE, "shop_id" },
	                   "bad.shop_id: a route by a field that is not there, does not travel or names no record");
	assert_route_fault((struct sync_route){ SYNC_ROUTE_STORE, "quantity" },
	                   "bad.quantity: a route by a field that is not there, does not travel or names no record");
	assert_route_fault((struct sync_route){ SYNC_ROUTE_STORE, "other_id" },
	                   "bad.other_id: a route by store, but it names a good");
	assert_route_fault((struct sync_route){ SYNC_ROUTE_CENTRAL, "store_id" },
	                   "bad.store_id: a route to everybody, or to central, has no field");
	assert_route_fault((struct sync_route){ SYNC_ROUTE_THROUGH, "other_id", "join", "x" },
	                   "bad.other_id: routed through 'join', which is no entity");
	assert_route_fault((struct sync_route){ SYNC_ROUTE_THROUGH, "store_id", "good", "other_id" },
	                   "bad.store_id: routed through good, whose 'other_id' does not name a store");
	assert_route_fault((struct sync_route){ SYNC_ROUTE_THROUGH, "other_id", "good", "other_id", .join_store = "other_id" },
	                   "bad.other_id: routed through good, whose 'other_id' names no store, and no name of stores");
	assert_route_fault((struct sync_route){ SYNC_ROUTE_CENTRAL, .when = { "store_id", .refers_field = "colour" } },
	                   "bad.store_id: a condition follows it to a field 'colour' that is not there");
}

static void a_faulty_option_is_named(void **state)
{
	struct sync_entity bad = bad_entity();

	(void)state;
	bad.routes[0].chosen = "joined";
	assert_fault(&bad, "bad: a route for 'joined', which is no value of its option");
	bad.option = "colour";
	assert_fault(&bad, "bad: routed by the option 'colour', which there is not");
	bad.option = "master-lists";
	assert_fault(&bad, "bad: no route where master-lists is everywhere");
	bad.routes[0].chosen = "red";
	assert_fault(&bad, "bad: a route for 'red', which is no value of its option");
}

static void groups_are_one_level_deep(void **state)
{
	static const struct sync_field line_fields[] = {
		{ "id", SYNC_ID, .required = true },
		{ "good_id", SYNC_ID, .required = true, .refers = "good" },
	};
	static const struct sync_field part_fields[] = {
		{ "id", SYNC_ID, .required = true },
		{ "line_id", SYNC_ID, .required = true, .refers = "line" },
	};
	static const struct sync_entity line = {
		.name = "line", .about = "A line.", FIELDS(line_fields),
		.owner = SYNC_OWNER_STORE, .parent = "good_id", .routes = { { SYNC_ROUTE_PARENT, "good_id" } },
	};
	static const struct sync_entity part = {
		.name = "part", .about = "A part.", FIELDS(part_fields),
		.owner = SYNC_OWNER_STORE, .parent = "line_id", .routes = { { SYNC_ROUTE_PARENT, "line_id" } },
	};
	const struct sync_entity *const declared[] = { &store, &good, &line, &part, NULL };
	struct sync_catalogue c;
	struct sync_error err = { 0 };

	(void)state;
	sync_catalogue_fill(&c, declared);
	assert_int_equal(SYNC_EINVALID, sync_catalogue_check(&c, &err));
	assert_string_equal("part.line_id: its parent line has a parent itself", err.text);
}

static void a_circle_of_hard_references_is_shown(void **state)
{
	static const struct sync_field a_fields[] = { { "id", SYNC_ID, .required = true }, { "b_id", SYNC_ID, .refers = "b" } };
	static const struct sync_field b_fields[] = { { "id", SYNC_ID, .required = true }, { "c_id", SYNC_ID, .refers = "c" } };
	static const struct sync_field c_fields[] = { { "id", SYNC_ID, .required = true }, { "b_id", SYNC_ID, .refers = "b" } };
	static const struct sync_entity a = { .name = "a", .about = "A.", FIELDS(a_fields), .routes = CENTRAL };
	static const struct sync_entity b = { .name = "b", .about = "B.", FIELDS(b_fields), .routes = CENTRAL };
	static const struct sync_entity c = { .name = "c", .about = "C.", FIELDS(c_fields), .routes = CENTRAL };
	const struct sync_entity *const declared[] = { &a, &b, &c, NULL };
	struct sync_catalogue all;
	struct sync_error err = { 0 };

	(void)state;
	sync_catalogue_fill(&all, declared);
	assert_int_equal(0, all.n_ordered);
	assert_int_equal(SYNC_EINVALID, sync_catalogue_check(&all, &err));
	assert_non_null(strstr(err.text, "hard references go round in a circle: "));
	assert_non_null(strstr(err.text, "b.c_id > c.b_id"));
	assert_null(strstr(err.text, "a.b_id"));
}

#define TEXT(text) ((struct sync_value){ .kind = SYNC_STRING, .s = { text, sizeof(text) - 1 } })
#define INT(n)     ((struct sync_value){ .kind = SYNC_INT, .i = n })
#define REAL(n)    ((struct sync_value){ .kind = SYNC_DOUBLE, .d = n })

static const char *const colours[] = { "RED", "BLUE", NULL };
static const struct sync_entity thing = { .name = "thing" };

static void assert_takes(enum sync_type type, struct sync_value v)
{
	const struct sync_field f = { "field", type, .required = true, .values = colours };

	assert_ok(sync_value_check(&thing, &f, &v, err));
}

static void assert_refuses(enum sync_type type, struct sync_value v, const char *text)
{
	const struct sync_field f = { "field", type, .required = true, .values = colours };
	struct sync_error err = { 0 };

	assert_int_equal(SYNC_EINVALID, sync_value_check(&thing, &f, &v, &err));
	assert_string_equal(text, err.text);
}

static void null_is_for_fields_that_are_not_required(void **state)
{
	const struct sync_field optional = { "field", SYNC_TEXT };
	const struct sync_value null = { .kind = SYNC_NULL };

	(void)state;
	assert_ok(sync_value_check(&thing, &optional, &null, err));
	assert_refuses(SYNC_TEXT, null, "thing.field: null in a field that is required");
	assert_takes(SYNC_TEXT, (struct sync_value){ .kind = SYNC_ABSENT });
}

static void an_id_has_1_to_255_bytes(void **state)
{
	char longest[257];

	(void)state;
	memset(longest, 'x', sizeof longest);
	assert_takes(SYNC_ID, TEXT("A"));
	assert_takes(SYNC_ID, (struct sync_value){ .kind = SYNC_STRING, .s = { longest, 255 } });
	assert_refuses(SYNC_ID, TEXT(""), "thing.field: '' is not an id of 1 to 255 bytes");
	assert_refuses(SYNC_ID, (struct sync_value){ .kind = SYNC_STRING, .s = { longest, 256 } },
	               "thing.field: 'xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx'… is not an id of 1 to 255 bytes");
}

static void text_is_utf8_without_nul(void **state)
{
	(void)state;
	assert_takes(SYNC_TEXT, TEXT(""));
	assert_takes(SYNC_TEXT, TEXT("\x7f Ñandú ກ \xf0\x9f\x92\x89 \xf4\x8f\xbf\xbf"));
	assert_refuses(SYNC_TEXT, TEXT("a\0b"), "thing.field: byte 2 of 3, 0x00, is not UTF-8 text");
	assert_refuses(SYNC_TEXT, TEXT("\xc0\xaf"), "thing.field: byte 1 of 2, 0xc0, is not UTF-8 text");
	assert_refuses(SYNC_TEXT, TEXT("\xed\xa0\x80"), "thing.field: byte 1 of 3, 0xed, is not UTF-8 text");
	assert_refuses(SYNC_TEXT, TEXT("\xf4\x90\x80\x80"), "thing.field: byte 1 of 4, 0xf4, is not UTF-8 text");
	assert_refuses(SYNC_TEXT, TEXT("ab\xe0\xa4"), "thing.field: byte 3 of 4, 0xe0, is not UTF-8 text");
	assert_refuses(SYNC_TEXT, TEXT("\xe0\x80\xaf"), "thing.field: byte 1 of 3, 0xe0, is not UTF-8 text");
	assert_refuses(SYNC_TEXT, TEXT("\x80"), "thing.field: byte 1 of 1, 0x80, is not UTF-8 text");
}

static void an_enum_is_one_of_its_values(void **state)
{
	(void)state;
	assert_takes(SYNC_ENUM, TEXT("BLUE"));
	assert_refuses(SYNC_ENUM, TEXT("Blue"), "thing.field: 'Blue' is not one of RED, BLUE");
	assert_refuses(SYNC_ENUM, TEXT(""), "thing.field: '' is not one of RED, BLUE");
}

static void a_date_is_a_day_that_exists(void **state)
{
	static const struct sync_value wrong[] = {
		TEXT(""),           TEXT("2031-5-09"),  TEXT("2031-13-01"),  TEXT("2031-00-10"), TEXT("2031-04-31"),
		TEXT("2031-02-29"), TEXT("1900-02-29"), TEXT("2031-05-09 "), TEXT("0000-00-00"), TEXT("2031-05-09T00:00:00"),
	};

	(void)state;
	assert_takes(SYNC_DATE, TEXT("2031-05-09"));
	assert_takes(SYNC_DATE, TEXT("2028-02-29"));
	assert_takes(SYNC_DATE, TEXT("2000-02-29"));
	for (size_t i = 0; i < COUNT(wrong); i++) {
		char text[100];

		snprintf(text, sizeof text, "thing.field: '%.*s' is not a date, YYYY-MM-DD", SYNC_VIEW(wrong[i].s));
		assert_refuses(SYNC_DATE, wrong[i], text);
	}
}

static void a_time_is_a_date_and_a_time_of_day(void **state)
{
	static const struct sync_value wrong[] = {
		TEXT("2031-05-09"),           TEXT("2031-05-09 13:05:05"),   TEXT("2031-05-09T24:00:00"),
		TEXT("2031-05-09T13:60:05"),  TEXT("2031-05-09T13:05:60"),   TEXT("2031-05-09T13:05"),
		TEXT("2031-05-09T13:05:05."), TEXT("2031-05-09T13:05:05ZZ"), TEXT("2031-05-09T13:05:05+00:00"),
		TEXT("2031-02-30T13:05:05"),  TEXT("2031-05-09T13:05:05.1234567890"),
	};

	(void)state;
	assert_takes(SYNC_TIME, TEXT("2031-05-09T13:05:05"));
	assert_takes(SYNC_TIME, TEXT("2031-05-09T13:05:05Z"));
	assert_takes(SYNC_TIME, TEXT("2031-05-09T23:59:59.123456789Z"));
	for (size_t i = 0; i < COUNT(wrong); i++) {
		char text[120];

		snprintf(text, sizeof text, "thing.field: '%.*s' is not a time, YYYY-MM-DDTHH:MM:SS", SYNC_VIEW(wrong[i].s));
		assert_refuses(SYNC_TIME, wrong[i], text);
	}
}

static void json_is_exactly_one_value(void **state)
{
	static const struct sync_value right[] = {
		TEXT("null"), TEXT(" {} "), TEXT("[]"), TEXT("-0.5e+10"), TEXT("[[], {}]"), TEXT("9007199254740993"),
		TEXT("{\"a\" : [1, true, {\"b\":\"c\"}] , \"d\":null}\n"), TEXT("\"\\u00e9\\ud83d\\udc89\\n\""),
	};
	static const struct sync_value wrong[] = {
		TEXT(""),   TEXT(" "),        TEXT("nul"),   TEXT("01"),            TEXT("1."),            TEXT("+1"),
		TEXT("[1"), TEXT("[1,]"),     TEXT("{a:1}"), TEXT("{\"a\"}"),       TEXT("{} {}"),         TEXT("\"\\x\""),
		TEXT("1e"), TEXT("{\"a\":1,}"), TEXT("NaN"),   TEXT("\"\\u0000\""), TEXT("\"\\ud83d\""),   TEXT("\"\\udc89\""),
		TEXT("\""), TEXT("'a'"),
	};

	(void)state;
	for (size_t i = 0; i < COUNT(right); i++)
		assert_takes(SYNC_JSON, right[i]);
	for (size_t i = 0; i < COUNT(wrong); i++) {
		char text[100];

		snprintf(text, sizeof text, "thing.field: '%.*s' is not JSON nested at most 32 deep", SYNC_VIEW(wrong[i].s));
		assert_refuses(SYNC_JSON, wrong[i], text);
	}
	assert_refuses(SYNC_JSON, TEXT("\"\t\""), "thing.field: '\" \"' is not JSON nested at most 32 deep");
}

static void json_nests_at_most_32_deep(void **state)
{
	char deep[66];

	(void)state;
	memset(deep, '[', 33);
	memset(deep + 33, ']', 33);
	assert_takes(SYNC_JSON, (struct sync_value){ .kind = SYNC_STRING, .s = { deep + 1, 64 } });
	assert_refuses(SYNC_JSON, (struct sync_value){ .kind = SYNC_STRING, .s = { deep, 66 } },
	               "thing.field: '[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[]]]]]]]]]]]]]]]'… is not JSON nested at most 32 deep");
}

static void numbers_are_in_range(void **state)
{
	(void)state;
	assert_takes(SYNC_INTEGER, INT(INT32_MIN));
	assert_takes(SYNC_BIGINT, INT(INT64_MIN));
	assert_takes(SYNC_BIGINT, INT(9007199254740993));
	assert_takes(SYNC_BOOLEAN, INT(1));
	assert_takes(SYNC_REAL, REAL(-0.0));
	assert_refuses(SYNC_INTEGER, INT(INT64_C(2147483648)), "thing.field: 2147483648 is not a whole number of 32 bits");
	assert_refuses(SYNC_BOOLEAN, INT(2), "thing.field: 2 is not true or false");
	assert_refuses(SYNC_REAL, REAL(INFINITY), "thing.field: inf is not a finite number");
}

static void a_value_of_another_kind_is_refused(void **state)
{
	(void)state;
	assert_refuses(SYNC_TEXT, INT(5), "thing.field: 5 is not a text");
	assert_refuses(SYNC_INTEGER, REAL(1.5), "thing.field: 1.5 is not a whole number of 32 bits");
	assert_refuses(SYNC_REAL, TEXT("five"), "thing.field: a text where a finite number belongs");
	assert_refuses(SYNC_TEXT, ((struct sync_value){ .kind = SYNC_BLOB, .s = { "ab", 2 } }),
	               "thing.field: 2 bytes of binary data, not a text");
}

static void an_error_shows_whole_characters(void **state)
{
	(void)state;
	assert_refuses(SYNC_ENUM, TEXT("aຂຂຂຂຂຂຂຂຂຂຂຂຂຂຂຂຂຂຂຂ"),
	               "thing.field: 'aຂຂຂຂຂຂຂຂຂຂຂຂຂຂຂ'… is not one of RED, BLUE");
}

static void conditions_compare_a_records_own_fields(void **state)
{
	const struct sync_entity *e = entity("name");
	struct sync_value values[SYNC_MAX_FIELDS] = { { 0 } };
	const struct sync_when patient = { "type", .value = "PATIENT" };
	const struct sync_when other = { "type", .value = "PATIENT", .not = true };
	const struct sync_when no_code = { "charge_code", .value = NULL };
	const struct sync_when followed = { "currency_id", .refers_field = "code", .value = "XOF" };

	(void)state;
	values[sync_field_find(e, sync_view_of("type"))] = TEXT("PATIENT");
	assert_true(sync_when_holds(&patient, e, values));
	assert_false(sync_when_holds(&other, e, values));
	assert_true(sync_when_holds(&no_code, e, values));
	assert_true(sync_when_holds(&(struct sync_when){ 0 }, e, values));
	assert_false(sync_when_holds(&followed, e, values));
	values[sync_field_find(e, sync_view_of("type"))] = TEXT("STORE");
	assert_false(sync_when_holds(&patient, e, values));
	assert_true(sync_when_holds(&other, e, values));
}

static const char page[] = SYNC_SOURCE_DIR "/docs/entities.md";

static void write_page(const struct sync_buf *b)
{
	FILE *f = fopen(page, "w");

	assert_non_null(f);
	assert_int_equal(b->len, fwrite(b->data, 1, b->len, f));
	assert_int_equal(0, fclose(f));
}

static void docs_entities_md_is_up_to_date(void **state)
{
	defer(sync_buf_clear) struct sync_buf made = { .max = 1 << 20 }, kept = { .max = 1 << 20 };
	FILE *f;

	(void)state;
	sync_entities_document(&made);
	assert_int_equal(SYNC_OK, made.status);
	if (getenv("SYNC_UPDATE_DOCS"))
		write_page(&made);
	f = fopen(page, "r");
	assert_non_null(f);
	assert_non_null(sync_buf_room(&kept, made.len + 1));
	kept.len = fread(kept.data, 1, made.len + 1, f);
	fclose(f);
	if (!sync_view_eq(sync_buf_view(&made), sync_buf_view(&kept)))
		fail_msg("%s is stale: run this test with SYNC_UPDATE_DOCS=1", page);
}

static void rows_of_before_a_field_existed_have_its_fallback(void **state)
{
	const struct sync_field text = { "t", SYNC_TEXT, .fallback = "'a b'" }, empty = { "e", SYNC_ENUM, .fallback = "''" },
				yes = { "y", SYNC_BOOLEAN, .fallback = "true" }, no = { "n", SYNC_BOOLEAN, .fallback = "false" },
				number = { "i", SYNC_BIGINT, .fallback = "-12" }, real = { "r", SYNC_REAL, .fallback = "2.5" },
				none = { "x", SYNC_TEXT };

	(void)state;
	assert_true(sync_view_is(sync_field_fallback(&text).s, "a b"));
	assert_true(sync_view_is(sync_field_fallback(&empty).s, ""));
	assert_int_equal(1, sync_field_fallback(&yes).i);
	assert_int_equal(0, sync_field_fallback(&no).i);
	assert_int_equal(SYNC_INT, sync_field_fallback(&no).kind);
	assert_int_equal(-12, sync_field_fallback(&number).i);
	assert_true(sync_field_fallback(&real).d == 2.5);
	assert_int_equal(SYNC_NULL, sync_field_fallback(&none).kind);
}

/* As the simulator does, whose peers are of different versions. */
static void a_thread_may_work_with_other_declarations(void **state)
{
	static struct sync_catalogue others;
	const struct sync_entity *unit = entity("unit");
	const struct sync_entity *declared[] = { unit, NULL };
	size_t n;

	(void)state;
	sync_catalogue_fill(&others, declared);
	sync_catalogue_use(&others);
	sync_entities(&n);
	assert_int_equal(1, n);
	assert_null(sync_entity_find(sync_view_of("name")));
	sync_catalogue_use(NULL);
	sync_entities(&n);
	assert_true(n > 1);
	assert_ptr_equal(unit, entity("unit"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_declarations_are_complete_and_consistent),
		cmocka_unit_test(what_a_hard_reference_names_is_integrated_first),
		cmocka_unit_test(every_declaration_is_found_by_its_name),
		cmocka_unit_test(unknown_names_are_not_found),
		cmocka_unit_test(a_thread_may_work_with_other_declarations),
		cmocka_unit_test(rows_of_before_a_field_existed_have_its_fallback),
		cmocka_unit_test(of_an_entity_that_is_none_the_likely_name_is_told),
		cmocka_unit_test(a_line_belongs_to_the_group_of_its_invoice),
		cmocka_unit_test(routing_values_are_all_that_any_route_reads),
		cmocka_unit_test(routing_values_are_also_what_other_entities_routes_read),
		cmocka_unit_test(a_reference_to_what_goes_everywhere_is_hard_at_sites),
		cmocka_unit_test(a_reference_to_the_root_of_the_group_is_hard_at_sites),
		cmocka_unit_test(a_reference_within_a_store_is_hard_at_its_site),
		cmocka_unit_test(a_reference_is_soft_at_sites_where_its_target_may_not_go),
		cmocka_unit_test(what_is_declared_soft_is_soft_at_sites),
		cmocka_unit_test(what_an_installation_may_keep_from_a_site_is_soft_there),
		cmocka_unit_test(a_hard_reference_at_sites_goes_where_its_record_goes),
		cmocka_unit_test(a_faulty_field_is_named),
		cmocka_unit_test(a_declaration_starts_with_its_id),
		cmocka_unit_test(a_name_is_declared_once),
		cmocka_unit_test(a_faulty_owner_is_named),
		cmocka_unit_test(a_faulty_route_is_named),
		cmocka_unit_test(a_faulty_option_is_named),
		cmocka_unit_test(groups_are_one_level_deep),
		cmocka_unit_test(a_circle_of_hard_references_is_shown),
		cmocka_unit_test(null_is_for_fields_that_are_not_required),
		cmocka_unit_test(an_id_has_1_to_255_bytes),
		cmocka_unit_test(text_is_utf8_without_nul),
		cmocka_unit_test(an_enum_is_one_of_its_values),
		cmocka_unit_test(a_date_is_a_day_that_exists),
		cmocka_unit_test(a_time_is_a_date_and_a_time_of_day),
		cmocka_unit_test(json_is_exactly_one_value),
		cmocka_unit_test(json_nests_at_most_32_deep),
		cmocka_unit_test(numbers_are_in_range),
		cmocka_unit_test(a_value_of_another_kind_is_refused),
		cmocka_unit_test(an_error_shows_whole_characters),
		cmocka_unit_test(conditions_compare_a_records_own_fields),
		cmocka_unit_test(docs_entities_md_is_up_to_date),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

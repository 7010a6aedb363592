#include "testdb.h"

#include <inttypes.h>

#include <libsync/crypto.h>
#include <libsync/records.h>
#include <libsync/site.h>

#include "exchange/rows.h"

/* Files of records: what may stand in them, what is said of what may not, and that all or nothing is kept. */

/* A text given in pieces of a few bytes, so that every boundary is met. */
struct source {
	const char *text;
	size_t at, len, step;
};

static enum sync_status give(void *ctx, char *ret, size_t len, size_t *ret_len, struct sync_error *err)
{
	struct source *s = ctx;
	size_t n = s->len - s->at < s->step ? s->len - s->at : s->step;

	(void)err;
	n = n < len ? n : len;
	memcpy(ret, s->text + s->at, n);
	s->at += n;
	*ret_len = n;
	return SYNC_OK;
}

static enum sync_status import_text(struct sync_db *db, const char *entity, enum sync_format format, const char *text, int64_t *ret,
                                    struct sync_error *err)
{
	struct source s = { .text = text, .len = strlen(text), .step = 7 };

	return sync_import(db, sync_entity_find(sync_view_of(entity)), format, give, &s, ret, err);
}

static enum sync_status keep(void *ctx, const char *data, size_t len, struct sync_error *err)
{
	sync_buf_add(ctx, data, len);
	return sync_buf_check(ctx, err);
}

static void export_text(struct sync_db *db, const char *entity, enum sync_format format, struct sync_buf *ret)
{
	int64_t n;

	assert_ok(sync_export(db, sync_entity_find(sync_view_of(entity)), format, keep, ret, &n, err));
}

static struct sync_db *central(void **state)
{
	struct testdb *t = testdb_of(state);

	testdb_open(t, SYNC_CENTRAL);
	return t->db;
}

static int64_t number(struct sync_db *db, const char *sql)
{
	int64_t n = -1;

	assert_ok(sync_db_run_text(db, sql, SYNC_NOARGS, NULL, NULL, err));
	assert_ok(sync_db_number(db, sql, SYNC_NOARGS, -1, &n, err));
	return n;
}

#define HEAD "id,rate,code,is_home_currency,date_updated,is_active\n"

static void csv_keeps_quotes_newlines_nulls_and_empty_texts(void **state)
{
	static const char file[] = "\xef\xbb\xbf" HEAD
		"c1,1.5,\"a \"\"b\"\",\nc\",true,,1\r\n"
		"\r\n"
		"c2,-2e3,\"\",0,\"2026-01-31\",false";
	struct sync_db *db = central(state);
	int64_t n;

	assert_ok(import_text(db, "currency", SYNC_CSV, file, &n, err));
	assert_int_equal(2, n);
	assert_int_equal(1, number(db, "SELECT count(*) FROM currency WHERE id = 'c1' AND rate = 1.5 AND code = 'a \"b\",\nc'"
	                               " AND is_home_currency AND date_updated IS NULL AND is_active"));
	assert_int_equal(1, number(db, "SELECT count(*) FROM currency WHERE id = 'c2' AND rate = -2000 AND code = ''"
	                               " AND NOT is_home_currency AND date_updated = '2026-01-31' AND NOT is_active"));
}

static void json_lines_are_read_one_by_one(void **state)
{
	static const char file[] =
		"{\"id\":\"c1\",\"rate\":1.5,\"code\":\"a\\n\\u00e9\",\"is_home_currency\":true,\"date_updated\":null,\"is_active\":true}\n"
		"\n"
		"{\"id\": \"c2\", \"rate\": 2, \"code\": \"\", \"is_home_currency\": false, \"is_active\": false} \r\n";
	struct sync_db *db = central(state);
	int64_t n;

	assert_ok(import_text(db, "currency", SYNC_JSON_LINES, file, &n, err));
	assert_int_equal(2, n);
	assert_int_equal(1, number(db, "SELECT count(*) FROM currency WHERE id = 'c1' AND code = 'a\n\xc3\xa9'"));
}

static void a_bad_line_is_told_with_number_field_and_value(void **state)
{
	static const struct {
		enum sync_format format;
		const char *file, *text;
	} cases[] = {
		{ SYNC_CSV, "", "line 1: the file is empty: the first line names the columns, and one of them must be 'id'" },
		{ SYNC_CSV, "id;rate;code\nc1;1;x\n", "line 1: 'id;rate;code' is no column: are the columns separated by ';'?" },
		{ SYNC_CSV, "{\"id\":\"c1\"}\n", "line 1: it begins with '{' as JSON does: say --format json" },
		{ SYNC_JSON_LINES, HEAD "c1,1,x,true,,true\n", "line 1: it does not begin with '{' as a JSON object does: if it is CSV, say --format csv" },
		{ SYNC_JSON_LINES, "[{\"id\":\"c1\"}]\n", "line 1: it begins with '[' as an array does: write one object per line, without brackets" },
		{ SYNC_CSV, "rate,code\n1,x\n", "one of them must be 'id'" },
		{ SYNC_CSV, "id,colour\nc1,red\n", "line 1: currency has no field 'colour'" },
		{ SYNC_CSV, "id,code,id\n", "line 1: the column 'id' is there twice" },
		{ SYNC_CSV, HEAD "c1,1,x,true,,true\nc2,1,x,maybe,,true\n", "line 3: currency.is_home_currency is 'maybe', not true or false" },
		{ SYNC_CSV, HEAD "c1,\"1,5\",x,true,,true\n", "line 2: currency.rate is '1,5', not a number" },
		{ SYNC_CSV, HEAD "c1,nan,x,true,,true\n", "line 2: currency.rate is 'nan', not a number" },
		{ SYNC_CSV, HEAD "c1,1,\"x\ny\",true,,true\nc2,1,x,true,31.1.2026,true\n", "line 4: currency.date_updated" },
		{ SYNC_CSV, HEAD "c1,1,,true,,true\n", "line 2: currency.code" },
		{ SYNC_CSV, HEAD ",1,x,true,,true\n", "line 2: currency.id is missing: every record needs its own" },
		{ SYNC_CSV, HEAD "c1,1,x,true,true\n", "line 2: 5 fields, the first line names 6" },
		{ SYNC_CSV, HEAD "c1,1,\"x,true,,true\n", "line 2: a quote is not closed" },
		{ SYNC_CSV, HEAD "c1,1,x\"y,true,,true\n", "line 2: a quote inside a field that does not begin with one" },
		{ SYNC_CSV, HEAD "c1,1,\"x\"y,true,,true\n", "line 2: text after a closing quote" },
		{ SYNC_CSV, "id,rate\nc1,1\n", "line 2: currency.code is missing, and currency 'c1' is new" },
		{ SYNC_JSON_LINES, "{\"id\":\"c1\",\"rate\":\"1\"}", "line 1: currency.rate: a string 1 where a number belongs" },
		{ SYNC_JSON_LINES, "{\"id\":\"c1\",\"colour\":1}", "line 1: currency has no field 'colour'" },
		{ SYNC_JSON_LINES, "{\"id\":7}", "line 1: currency.id is not a string" },
		{ SYNC_JSON_LINES, "\n[1]\n", "line 2: not a JSON object" },
		{ SYNC_JSON_LINES, "{\"id\":\"c1\"", "line 1: not JSON" },
		{ SYNC_JSON_LINES, "{}", "line 1: currency.id is missing" },
		{ SYNC_JSON_LINES, "{\"id\":[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[", "line 1: too deep nesting" },
	};
	struct sync_db *db = central(state);

	for (size_t i = 0; i < COUNT(cases); i++) {
		struct sync_error seen = { 0 };
		int64_t n = -1;

		assert_int_equal(SYNC_EINVALID, import_text(db, "currency", cases[i].format, cases[i].file, &n, &seen));
		if (!strstr(seen.text, cases[i].text))
			fail_msg("case %zu: '%s' is not in '%s'", i, cases[i].text, seen.text);
		assert_int_equal(-1, n);
	}
	assert_int_equal(0, number(db, "SELECT count(*) FROM currency"));
	assert_int_equal(0, number(db, "SELECT count(*) FROM sync_changelog"));
}

static void nothing_is_kept_when_the_last_of_many_lines_is_bad(void **state)
{
	defer(sync_buf_clear) struct sync_buf file = { .max = 1 << 20 };
	struct sync_db *db = central(state);
	struct sync_error seen;
	int64_t n;

	sync_buf_add_text(&file, HEAD);
	for (int i = 0; i < 2500; i++)
		sync_buf_addf(&file, "c%d,1,x,true,,true\n", i);
	sync_buf_add_text(&file, "last,1,x,true,,perhaps\n");
	assert_int_equal(SYNC_EINVALID, import_text(db, "currency", SYNC_CSV, file.data, &n, &seen));
	assert_non_null(strstr(seen.text, "line 2502: currency.is_active is 'perhaps'"));
	assert_int_equal(0, number(db, "SELECT count(*) FROM currency"));
}

static void a_byte_order_mark_may_come_in_pieces(void **state)
{
	static const char file[] = "\xef\xbb\xbf" HEAD "c1,1,A,true,,1\n";
	struct source s = { .text = file, .len = strlen(file), .step = 1 };
	struct sync_db *db = central(state);
	int64_t n;

	assert_ok(sync_import(db, sync_entity_find(sync_view_of("currency")), SYNC_CSV, give, &s, &n, err));
	assert_int_equal(1, n);
}

static void a_column_that_is_missing_leaves_the_field_as_it_is(void **state)
{
	struct sync_db *db = central(state);
	int64_t n;

	assert_ok(import_text(db, "currency", SYNC_CSV, HEAD "c1,1,x,true,2026-01-31,true\n", &n, err));
	assert_ok(import_text(db, "currency", SYNC_CSV, "rate,id\n7,c1\n", &n, err));
	assert_int_equal(1, number(db, "SELECT count(*) FROM currency WHERE id = 'c1' AND rate = 7 AND code = 'x' AND date_updated = '2026-01-31'"));
}

static void an_id_that_stands_twice_is_told(void **state)
{
	static const char file[] =
		"{\"id\":\"c1\",\"rate\":1,\"code\":\"x\",\"is_home_currency\":false,\"is_active\":true}\n"
		"{\"id\":\"c1\",\"rate\":2}\n";
	defer(sync_buf_clear) struct sync_buf many = { .max = 1 << 20 };
	struct sync_db *db = central(state);
	struct sync_error seen;
	int64_t n;

	assert_int_equal(SYNC_EINVALID, import_text(db, "currency", SYNC_JSON_LINES, file, &n, &seen));
	assert_string_equal("line 2: currency 'c1' stands in line 1 too: which one counts?", seen.text);
	for (int i = 0; i < 2500; i++) /* also when the first one is batches away */
		sync_buf_addf(&many, "{\"id\":\"u%d\",\"name\":\"u\",\"index\":%d,\"is_active\":true}\n", i % 2400, i);
	assert_int_equal(SYNC_EINVALID, import_text(db, "unit", SYNC_JSON_LINES, many.data, &n, &seen));
	assert_non_null(strstr(seen.text, "stands in line "));
	assert_int_equal(0, number(db, "SELECT count(*) FROM unit") + number(db, "SELECT count(*) FROM currency"));
	sync_buf_reset(&many);
	sync_buf_add_text(&many, "{\"id\":\"u1\",\"name\":\"u\",\"index\":1,\"is_active\":true}\n");
	assert_ok(import_text(db, "unit", SYNC_JSON_LINES, many.data, &n, err));
	assert_ok(import_text(db, "unit", SYNC_JSON_LINES, many.data, &n, err));
}

static void a_reference_to_nothing_is_told(void **state)
{
	struct sync_db *db = central(state);
	struct sync_error seen;
	int64_t n;

	assert_int_equal(SYNC_EINVALID, import_text(db, "store", SYNC_CSV,
	                                            "id,code,site_id,store_mode,is_disabled,name_id\ns1,S,0,STORE,false,n1\n", &n, &seen));
	assert_string_equal("line 2: store.name_id names name 'n1', which does not exist", seen.text);
	assert_int_equal(SYNC_EINVALID, import_text(db, "store", SYNC_CSV,
	                                            "id,code,site_id,store_mode,is_disabled,name_id\ns1,S,0,SHOP,false,n1\n", &n, &seen));
	assert_non_null(strstr(seen.text, "line 2: store.store_mode"));
}

static void an_import_is_captured_as_centrals_own_edit(void **state)
{
	struct sync_db *db = central(state);
	int64_t n;

	assert_ok(import_text(db, "currency", SYNC_CSV, HEAD "c1,1,x,true,,true\n", &n, err));
	assert_int_equal(1, number(db, "SELECT count(*) FROM sync_outbox WHERE entity = 'currency' AND record_id = 'c1' AND site_id = 0 AND source = 0"));
}

static void what_is_exported_reads_back_unchanged(void **state)
{
	static const char file[] = HEAD
		"c1,0.1,\"a \"\"b\"\",\nc\",true,,true\n"
		"c2,1e-300,\"\",false,2026-01-31,false\n"
		"c3,12345678.9,\xc3\xa9\xe2\x82\xac,false,,false\n";
	static const enum sync_format formats[] = { SYNC_CSV, SYNC_JSON_LINES };
	struct sync_db *db = central(state);
	int64_t n;

	assert_ok(import_text(db, "currency", SYNC_CSV, file, &n, err));
	for (size_t i = 0; i < COUNT(formats); i++) {
		defer(sync_buf_clear) struct sync_buf first = { .max = 1 << 20 }, second = { .max = 1 << 20 };

		export_text(db, "currency", formats[i], &first);
		assert_ok(sync_db_script(db, "DELETE FROM currency", err));
		assert_ok(import_text(db, "currency", formats[i], first.data, &n, err));
		assert_int_equal(3, n);
		export_text(db, "currency", formats[i], &second);
		assert_string_equal(first.data, second.data);
		if (formats[i] == SYNC_CSV)
			assert_string_equal(file, first.data);
	}
}

static void an_export_of_many_pages_has_every_record_once(void **state)
{
	defer(sync_buf_clear) struct sync_buf file = { .max = 1 << 20 }, out = { .max = 1 << 20 };
	struct sync_db *db = central(state);
	int64_t n;
	int lines = 0;

	sync_buf_add_text(&file, HEAD);
	for (int i = 0; i < 2500; i++)
		sync_buf_addf(&file, "c%04d,1,x,true,,true\n", i);
	assert_ok(import_text(db, "currency", SYNC_CSV, file.data, &n, err));
	assert_int_equal(2500, n);
	export_text(db, "currency", SYNC_CSV, &out);
	for (const char *p = out.data; *p; p++)
		lines += *p == '\n';
	assert_int_equal(2501, lines);
}

/* Whatever other programs write into the tables. */
static void an_id_longer_than_any_that_travels_ends_no_page(void **state)
{
	struct sync_db *db = central(state);
	defer(sync_buf_clear) struct sync_buf sql = { .max = 1 << 20 }, text = { .max = 1 << 20 };
	int64_t n;

	sync_buf_add_text(&sql, "INSERT INTO unit(id, name, \"index\", is_active) VALUES");
	for (int i = 1; i < 1000; i++)
		sync_buf_addf(&sql, " ('a%d', 'x', 1, true),", i);
	sync_buf_addf(&sql, " ('b%0*d', 'x', 1, true)", SYNC_MAX_ID + 10, 0);
	assert_ok(sync_db_script(db, sql.data, err));
	assert_ok(sync_export(db, sync_entity_find(sync_view_of("unit")), SYNC_CSV, keep, &text, &n, err));
	assert_int_equal(1000, n);
}

static void an_unknown_field_is_no_part_of_an_export(void **state)
{
	defer(sync_buf_clear) struct sync_buf out = { .max = 1 << 20 };
	struct sync_db *db = central(state);
	int64_t n;

	assert_ok(import_text(db, "currency", SYNC_CSV, HEAD "c1,1,x,true,,true\n", &n, err));
	assert_ok(sync_db_script(db, "INSERT INTO sync_extra(entity, record_id, data) VALUES ('currency', 'c1', '{\"colour\":1}')", err));
	export_text(db, "currency", SYNC_JSON_LINES, &out);
	assert_string_equal("{\"id\":\"c1\",\"rate\":1,\"code\":\"x\",\"is_home_currency\":true,\"date_updated\":null,\"is_active\":true}\n", out.data);
	assert_ok(import_text(db, "currency", SYNC_JSON_LINES, out.data, &n, err));
	assert_int_equal(1, number(db, "SELECT count(*) FROM sync_extra"));
}

static void a_file_moves_no_store(void **state)
{
	static const char head[] = "id,code,name_id,store_mode,is_disabled,site_id\n";
	static const struct {
		const char *line, *text;
	} cases[] = {
		{ "s1,A,n1,STORE,false,0\n", "line 2: store.site_id is 0, and store 's1' is at site 'Post' (1): central store move takes it from there; leave the field out" },
		{ "s2,B,n1,STORE,false,9\n", "line 2: store.site_id is 9, and there is no such site: central site add NAME --store s2 places it; say 0 or leave the field out" },
		{ "s1,A,n1,STORE,false,1\ns2,B,n1,STORE,false,0\n", NULL },
	};
	struct sync_db *db = central(state);
	char secret[30];
	int64_t n;

	assert_ok(sync_crypto_init(err));
	assert_ok(sync_site_add(db, "Post", NULL, 0, secret, &n, err));
	assert_int_equal(1, n);
	assert_ok(import_text(db, "name", SYNC_CSV, "id,code,name,type,is_customer,is_supplier,is_manufacturer,is_donor,on_hold,is_deceased\n"
	                      "n1,A,A,STORE,true,true,false,false,false,false\n", &n, err));
	assert_ok(import_text(db, "store", SYNC_CSV, "id,code,name_id,store_mode,is_disabled\ns1,A,n1,STORE,false\n", &n, err));
	assert_int_equal(0, number(db, "SELECT site_id FROM store WHERE id = 's1'"));
	assert_ok(sync_db_script(db, "UPDATE store SET site_id = 1 WHERE id = 's1'", err));
	for (size_t i = 0; i < COUNT(cases); i++) {
		char file[300];
		struct sync_error seen = { 0 };

		snprintf(file, sizeof file, "%s%s", head, cases[i].line);
		assert_int_equal(cases[i].text ? SYNC_EINVALID : SYNC_OK, import_text(db, "store", SYNC_CSV, file, &n, &seen));
		assert_string_equal(cases[i].text ? cases[i].text : "", seen.text);
	}
	assert_int_equal(2, number(db, "SELECT count(*) FROM store"));
	assert_int_equal(1, number(db, "SELECT site_id FROM store WHERE id = 's1'"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TESTDB_BOTH(csv_keeps_quotes_newlines_nulls_and_empty_texts),
		TESTDB_BOTH(json_lines_are_read_one_by_one),
		TESTDB_BOTH(a_bad_line_is_told_with_number_field_and_value),
		TESTDB_BOTH(nothing_is_kept_when_the_last_of_many_lines_is_bad),
		TESTDB_BOTH(a_file_moves_no_store),
		TESTDB_BOTH(a_byte_order_mark_may_come_in_pieces),
		TESTDB_BOTH(a_column_that_is_missing_leaves_the_field_as_it_is),
		TESTDB_BOTH(an_id_that_stands_twice_is_told),
		TESTDB_BOTH(a_reference_to_nothing_is_told),
		TESTDB_BOTH(an_import_is_captured_as_centrals_own_edit),
		TESTDB_BOTH(what_is_exported_reads_back_unchanged),
		TESTDB_BOTH(an_export_of_many_pages_has_every_record_once),
		TESTDB_BOTH(an_id_longer_than_any_that_travels_ends_no_page),
		TESTDB_BOTH(an_unknown_field_is_no_part_of_an_export),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

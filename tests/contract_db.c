#include "contract_db.h"

#include <math.h>

#include "db/driver.h"
#include "db/keys.h"
#include "testdb.h"

static const char *const things_columns[] = { "id", "n", "ok", "size", "note" };
static const enum sync_type things_types[] = { SYNC_ID, SYNC_BIGINT, SYNC_BOOLEAN, SYNC_REAL, SYNC_TEXT };
static const struct sync_table things = {
	.name = "things", .columns = things_columns, .types = things_types, .n_columns = COUNT(things_columns), .n_key = 1,
};
enum { THINGS_COLUMNS = COUNT(things_columns) };

static struct sync_db *open_things(struct testdb *t)
{
	char sql[300];

	assert_ok(sync_db_connect(&t->db, t->url, testdb_drivers, true, err));
	const struct sync_dialect *d = sync_db_dialect(t->db);
	(void)snprintf(sql, sizeof(sql),
	               "CREATE TABLE things(id text PRIMARY KEY NOT NULL, n %s, ok %s, size %s, note text, data %s)",
	               d->types[SYNC_BIGINT], d->types[SYNC_BOOLEAN], d->types[SYNC_REAL], d->blob);
	assert_ok(sync_db_script(t->db, sql, err));
	return t->db;
}

static int64_t number(struct sync_db *db, const char *sql)
{
	int64_t n = 0;

	assert_ok(sync_db_number(db, sql, SYNC_NOARGS, -1, &n, err));
	return n;
}

static int64_t count_things(struct sync_db *db)
{
	return number(db, "SELECT count(*) FROM things");
}

static void put_thing(struct sync_db *db, const char *id, int64_t n)
{
	static const char put[] = "INSERT INTO things(id, n) VALUES ($1, $2)";

	assert_ok(sync_db_run(db, put, SYNC_ARGS(sync_text(id), sync_int(n)), NULL, NULL, err));
}

/* Copies a row's values; text up to 63 bytes. */
struct row {
	struct sync_value v[8];
	char text[8][64];
	size_t n;
	int rows;
};

static enum sync_status take_row(void *ctx, const struct sync_value *v, size_t n, struct sync_error *err)
{
	struct row *r = ctx;

	(void)err;
	assert_true(n <= COUNT(r->v));
	r->n = n;
	r->rows++;
	for (size_t i = 0; i < n; i++) {
		r->v[i] = v[i];
		if (v[i].kind != SYNC_STRING && v[i].kind != SYNC_BLOB)
			continue;
		assert_true(v[i].s.len < sizeof(r->text[i]));
		if (v[i].s.len)
			memcpy(r->text[i], v[i].s.data, v[i].s.len);
		r->v[i].s.data = r->text[i];
	}
	return SYNC_OK;
}

static void every_kind_of_value_comes_back_as_it_was_given(void **state)
{
	static const char put[] = "INSERT INTO things(id, n, ok, size, note, data) VALUES ($1, $2, $3, $4, $5, $6)";
	static const char get[] = "SELECT id, n, ok, size, note, data FROM things";
	static const char bytes[] = "\0\1\xff'\\x";
	struct sync_db *db = open_things(testdb_of(state));
	struct row r = { 0 };

	assert_ok(sync_db_run(db, put, SYNC_ARGS(sync_text("größe ✓ 'x' \\"), sync_int(INT64_MIN), sync_int(1),
	          ((struct sync_value){ .kind = SYNC_DOUBLE, .d = 0.1 }), sync_text(""),
	          sync_blob((struct sync_view){ bytes, sizeof(bytes) })), NULL, NULL, err));
	assert_ok(sync_db_run(db, get, SYNC_NOARGS, take_row, &r, err));
	assert_int_equal(1, r.rows);
	assert_true(r.v[0].kind == SYNC_STRING && sync_view_is(r.v[0].s, "größe ✓ 'x' \\"));
	assert_true(r.v[1].kind == SYNC_INT && r.v[1].i == INT64_MIN);
	assert_true(r.v[2].kind == SYNC_INT && r.v[2].i == 1);
	assert_true(r.v[3].kind == SYNC_DOUBLE && r.v[3].d == 0.1);
	assert_true(r.v[4].kind == SYNC_STRING && r.v[4].s.len == 0);
	assert_true(r.v[5].kind == SYNC_BLOB && r.v[5].s.len == sizeof(bytes));
	assert_memory_equal(bytes, r.v[5].s.data, sizeof(bytes));
}

static void nulls_and_absent_values_are_null(void **state)
{
	static const char put[] = "INSERT INTO things(id, n, ok, size, note, data) VALUES ('a', $1, $2, $3, $4, $5)";
	static const char get[] = "SELECT n, ok, size, note, data FROM things";
	struct sync_db *db = open_things(testdb_of(state));
	struct row r = { 0 };

	assert_ok(sync_db_run(db, put, SYNC_ARGS(sync_null(), (struct sync_value){ 0 }, sync_null(), sync_null(), sync_null()),
	                      NULL, NULL, err));
	assert_ok(sync_db_run(db, get, SYNC_NOARGS, take_row, &r, err));
	for (size_t i = 0; i < r.n; i++)
		assert_int_equal(SYNC_NULL, r.v[i].kind);
}

static void an_empty_blob_is_not_null(void **state)
{
	static const char put[] = "INSERT INTO things(id, data) VALUES ('a', $1)";
	static const char get[] = "SELECT data FROM things";
	struct sync_db *db = open_things(testdb_of(state));
	struct row r = { 0 };

	assert_ok(sync_db_run(db, put, SYNC_ARGS(sync_blob((struct sync_view){ 0 })), NULL, NULL, err));
	assert_ok(sync_db_run(db, get, SYNC_NOARGS, take_row, &r, err));
	assert_true(r.v[0].kind == SYNC_BLOB && r.v[0].s.len == 0);
}

static void sums_and_counts_are_whole_numbers(void **state)
{
	struct sync_db *db = open_things(testdb_of(state));

	put_thing(db, "a", INT64_C(1) << 60);
	put_thing(db, "b", 2);
	assert_int_equal((INT64_C(1) << 60) + 2, number(db, "SELECT sum(n) FROM things"));
	assert_int_equal(2, count_things(db));
	assert_int_equal(-1, number(db, "SELECT sum(n) FROM things WHERE id = 'none'"));
	assert_int_equal(-1, number(db, "SELECT n FROM things WHERE id = 'none'"));
}

static void the_first_text_is_appended(void **state)
{
	defer(sync_buf_clear) struct sync_buf b = { .max = 100 };
	struct sync_db *db = open_things(testdb_of(state));
	bool found;

	put_thing(db, "a", 1);
	put_thing(db, "b", 2);
	sync_buf_add_text(&b, "id ");
	assert_ok(sync_db_text(db, "SELECT id FROM things ORDER BY id", SYNC_NOARGS, &b, &found, err));
	assert_true(found);
	assert_string_equal("id a", b.data);
	assert_ok(sync_db_text(db, "SELECT note FROM things", SYNC_NOARGS, &b, &found, err));
	assert_false(found);
}

static void a_list_of_texts_is_one_parameter(void **state)
{
	struct sync_db *db = open_things(testdb_of(state));
	struct row r = { 0 };
	char sql[200];

	put_thing(db, "a", 1);
	put_thing(db, "b\"", 2);
	put_thing(db, "c", 3);
	(void)snprintf(sql, sizeof(sql), "SELECT id FROM things WHERE id %s", sync_db_dialect(db)->in_list);
	assert_ok(sync_db_run_text(db, sql, SYNC_ARGS(sync_text("[\"b\\\"\", \"c\", \"d\"]")), take_row, &r, err));
	assert_int_equal(2, r.rows);
}

/* What the plan says of going through the table. */
static enum sync_status refuse_scan(void *ctx, const struct sync_value *v, size_t n, struct sync_error *err)
{
	const struct sync_value *line = &v[n - 1];

	(void)ctx;
	if (memmem(line->s.data, line->s.len, "Seq Scan on things", 18) || memmem(line->s.data, line->s.len, "SCAN t", 6))
		return sync_fail(err, SYNC_EINVALID, "%.*s", SYNC_VIEW(line->s));
	return SYNC_OK;
}

/* Keys of a table that was empty when it was last analyzed */
static void many_keys_are_looked_up_whatever_is_known_of_the_table(void **state)
{
	static const char many[] = "WITH RECURSIVE i(n) AS (VALUES (1) UNION ALL SELECT n + 1 FROM i WHERE n < 5000)"
				   " INSERT INTO things(id, n) SELECT 't' || n, n FROM i";
	struct sync_db *db = open_things(testdb_of(state));
	const char *explain = sync_db_dialect(db)->postgres ? "EXPLAIN" : "EXPLAIN QUERY PLAN";
	defer(sync_buf_clear) struct sync_buf list = { .max = 1000 }, keys = { .max = 1000 };
	const struct sync_value one = sync_text("[\"t7\"]");

	assert_ok(sync_db_script(db, "ANALYZE", err));
	assert_ok(sync_db_script(db, many, err));
	sync_buf_addf(&list, "%s SELECT t.n FROM things t WHERE t.id %s", explain, sync_db_dialect(db)->in_list);
	assert_ok(sync_db_run_text(db, list.data, &one, 1, refuse_scan, NULL, err));
	sync_buf_addf(&keys, "%s SELECT k.key, t.n FROM %s", explain, sync_keys_sql(db));
	sync_keys_look(&keys, db, "things", "t", "t.id = k.value AND t.n > %d", 0);
	assert_ok(sync_db_run_text(db, keys.data, &one, 1, refuse_scan, NULL, err));
}

struct nested {
	struct sync_db *db;
	int depth;
	int rows;
};

static const char all_things[] = "SELECT id FROM things WHERE n >= $1 ORDER BY id";

static enum sync_status descend(void *ctx, const struct sync_value *v, size_t n, struct sync_error *err)
{
	struct nested *outer = ctx;
	struct nested inner = { outer->db, outer->depth + 1, 0 };
	char first = v[0].s.data[0];

	(void)n;
	outer->rows++;
	if (outer->depth < 3) {
		TRY(sync_db_run(outer->db, all_things, SYNC_ARGS(sync_int(outer->depth)), descend, &inner, err));
		assert_int_equal(4 - outer->depth, inner.rows);
	}
	assert_int_equal(first, v[0].s.data[0]); /* still borrowed */
	return SYNC_OK;
}

static void a_statement_runs_inside_itself(void **state)
{
	struct sync_db *db = open_things(testdb_of(state));
	struct nested top = { .db = db, .depth = 0 };

	for (int i = 0; i < 4; i++)
		put_thing(db, (const char[]){ (char)('a' + i), 0 }, i);
	assert_ok(sync_db_run(db, all_things, SYNC_ARGS(sync_int(0)), descend, &top, err));
	assert_int_equal(4, top.rows);
}

static enum sync_status stop_at_once(void *ctx, const struct sync_value *v, size_t n, struct sync_error *err)
{
	(void)v;
	(void)n;
	++*(int *)ctx;
	return sync_fail(err, SYNC_ENOTFOUND, "enough");
}

static void a_row_function_stops_the_statement_and_harms_nothing(void **state)
{
	struct sync_db *db = open_things(testdb_of(state));
	struct sync_error e = { 0 };
	int rows = 0;

	put_thing(db, "a", 1);
	put_thing(db, "b", 2);
	assert_ok(sync_db_begin(db, true, err));
	assert_int_equal(SYNC_ENOTFOUND, sync_db_run(db, all_things, SYNC_ARGS(sync_int(0)), stop_at_once, &rows, &e));
	assert_string_equal("enough", e.text);
	assert_int_equal(1, rows);
	put_thing(db, "c", 3);
	assert_ok(sync_db_commit(db, err));
	assert_int_equal(3, count_things(db));
}

static void what_is_rolled_back_is_gone_and_what_is_committed_stays(void **state)
{
	struct testdb *t = testdb_of(state);
	struct sync_db *db = open_things(t);
	defer(sync_db_closep) struct sync_db *other = NULL;

	assert_ok(sync_db_begin(db, true, err));
	put_thing(db, "a", 1);
	sync_db_rollback(db);
	assert_ok(sync_db_begin(db, true, err));
	put_thing(db, "b", 1);
	assert_ok(sync_db_clone(&other, db, err));
	assert_int_equal(0, count_things(other));
	assert_ok(sync_db_commit(db, err));
	assert_int_equal(1, count_things(other));
	sync_db_rollback(db);
	assert_false(sync_db_in_transaction(db));
}

static void closing_rolls_back(void **state)
{
	struct testdb *t = testdb_of(state);
	struct sync_db *db = open_things(t);

	assert_ok(sync_db_begin(db, true, err));
	put_thing(db, "a", 1);
	sync_db_close(db);
	t->db = NULL;
	assert_ok(sync_db_connect(&t->db, t->url, testdb_drivers, false, err));
	assert_int_equal(0, count_things(t->db));
}

static void a_reading_transaction_sees_one_moment(void **state)
{
	struct testdb *t = testdb_of(state);
	defer(sync_db_closep) struct sync_db *reader = NULL;
	struct sync_db *db = open_things(t);

	if (sync_db_dialect(db)->mode)
		assert_ok(sync_db_script(db, sync_db_dialect(db)->mode, err));
	assert_ok(sync_db_clone(&reader, db, err));
	assert_ok(sync_db_begin(reader, false, err));
	put_thing(db, "a", 1);
	assert_int_equal(0, count_things(reader));
	assert_ok(sync_db_commit(reader, err));
	assert_int_equal(1, count_things(reader));
}

static void a_reading_transaction_cannot_write(void **state)
{
	static const char put[] = "INSERT INTO things(id) VALUES ('a')";
	struct sync_db *db = open_things(testdb_of(state));

	assert_ok(sync_db_begin(db, false, err));
	assert_int_equal(SYNC_EDB, sync_db_run(db, put, SYNC_NOARGS, NULL, NULL, NULL));
	sync_db_rollback(db);
	assert_int_equal(0, count_things(db));
}

static void after_a_failed_statement_nothing_can_be_kept(void **state)
{
	static const char again[] = "INSERT INTO things(id) VALUES ('a')";
	struct sync_db *db = open_things(testdb_of(state));
	struct sync_error e = { 0 };

	assert_ok(sync_db_begin(db, true, err));
	put_thing(db, "a", 1);
	assert_int_equal(SYNC_EDB, sync_db_run(db, again, SYNC_NOARGS, NULL, NULL, &e));
	assert_int_equal(SYNC_EDB, sync_db_run(db, "INSERT INTO things(id) VALUES ('b')", SYNC_NOARGS, NULL, NULL, &e));
	assert_int_equal(SYNC_EDB, sync_db_commit(db, &e));
	assert_false(sync_db_in_transaction(db));
	assert_int_equal(0, count_things(db));
	put_thing(db, "a", 1);
	assert_int_equal(1, count_things(db));
}

static void a_wrong_statement_is_refused_with_its_reason(void **state)
{
	struct sync_db *db = open_things(testdb_of(state));
	struct sync_error e = { 0 };

	assert_int_equal(SYNC_EDB, sync_db_run(db, "SELECT * FROM no_such_table", SYNC_NOARGS, NULL, NULL, &e));
	assert_non_null(strstr(e.text, "no_such_table"));
	assert_int_equal(SYNC_EDB, sync_db_script(db, "CREATE TABLE things(id text)", &e));
	assert_non_null(strstr(e.text, "things"));
}

static void values_must_be_as_many_as_parameters(void **state)
{
	static const char get[] = "SELECT n FROM things WHERE id = $1 AND n = $2";
	struct sync_db *db = open_things(testdb_of(state));

	assert_int_equal(SYNC_EDB, sync_db_run(db, get, SYNC_ARGS(sync_text("a")), NULL, NULL, NULL));
	assert_int_equal(SYNC_EDB, sync_db_run(db, get, SYNC_ARGS(sync_text("a"), sync_int(1), sync_int(2)), NULL, NULL, NULL));
}

static void more_texts_than_are_kept_run_again_and_again(void **state)
{
	struct sync_db *db = open_things(testdb_of(state));
	char sql[100];

	for (int round = 0; round < 2; round++) {
		for (int i = 0; i < SYNC_KEPT_TEXTS + 20; i++) {
			struct row r = { 0 };
			(void)snprintf(sql, sizeof(sql), "SELECT %d + count(*) FROM things", i);
			assert_ok(sync_db_run_text(db, sql, SYNC_NOARGS, take_row, &r, err));
			assert_int_equal(i, r.v[0].i);
		}
	}
}

/* batches */

static struct sync_value *make_rows(size_t n, int64_t from)
{
	struct sync_value *v = calloc(n * THINGS_COLUMNS, sizeof(*v));
	char *ids = calloc(n, 64);

	assert_true(v && ids);
	for (size_t i = 0; i < n; i++) {
		char *id = ids + 64 * i;
		(void)snprintf(id, 64, "%08zx-0000-4000-8000-%012zx", i * 2654435761u % 4294967296u, i);
		v[i * THINGS_COLUMNS] = sync_text(id);
		v[i * THINGS_COLUMNS + 1] = sync_int(from + (int64_t)i);
		v[i * THINGS_COLUMNS + 2] = i % 3 ? sync_int(i % 3 == 1) : sync_null();
		v[i * THINGS_COLUMNS + 3] = (struct sync_value){ .kind = SYNC_DOUBLE, .d = (double)i / 7 };
		v[i * THINGS_COLUMNS + 4] = i % 5 ? sync_text("a note\twith ünicode\\") : sync_null();
	}
	return v;
}

static void free_rows(struct sync_value **v)
{
	if (*v)
		free((char *)(uintptr_t)(*v)[0].s.data);
	free(*v);
}

static void batches_of_any_size_insert_and_update(void **state)
{
	static const size_t sizes[] = { 1, 2, 8, 63, 64, 65, 1000, 3000 };
	struct sync_db *db = open_things(testdb_of(state));

	for (size_t i = 0; i < COUNT(sizes); i++) {
		defer(free_rows) struct sync_value *v = make_rows(sizes[i], (int64_t)i * 10000);
		assert_ok(sync_db_put_many(db, &things, v, sizes[i], err));
		assert_int_equal(sizes[i], count_things(db));
		assert_int_equal(i * 10000, number(db, "SELECT min(n) FROM things"));
		assert_int_equal(i * 10000 + sizes[i] - 1, number(db, "SELECT max(n) FROM things"));
	}
	assert_int_equal(1000, number(db, "SELECT count(*) FROM things WHERE ok IS NULL"));
	assert_int_equal(600, number(db, "SELECT count(*) FROM things WHERE note IS NULL"));
	assert_int_equal(1, number(db, "SELECT count(*) FROM things WHERE size = 2999 / CAST(7 AS double precision)"));
}

static void an_empty_batch_does_nothing(void **state)
{
	struct sync_db *db = open_things(testdb_of(state));

	assert_ok(sync_db_put_many(db, &things, NULL, 0, err));
	assert_int_equal(0, count_things(db));
}

static void batches_follow_each_other_in_one_transaction(void **state)
{
	struct sync_db *db = open_things(testdb_of(state));
	defer(free_rows) struct sync_value *v = make_rows(500, 0);

	for (int round = 0; round < 2; round++) {
		assert_ok(sync_db_begin(db, true, err));
		for (size_t i = 0; i < 500; i += 100)
			assert_ok(sync_db_put_many(db, &things, v + i * THINGS_COLUMNS, 100, err));
		assert_int_equal(500, count_things(db));
		if (round)
			assert_ok(sync_db_commit(db, err));
		else
			sync_db_rollback(db);
		assert_int_equal(round ? 500 : 0, count_things(db));
	}
}

static void check_repeats(struct sync_db *db, size_t rows, bool keep)
{
	defer(free_rows) struct sync_value *v = make_rows(rows, 0);
	struct sync_table t = things;

	t.keep = keep;
	for (size_t i = 0; i < rows; i++)
		v[i * THINGS_COLUMNS] = v[i % 2 * THINGS_COLUMNS];
	assert_ok(sync_db_script(db, "DELETE FROM things", err));
	assert_ok(sync_db_put_many(db, &t, v, rows, err));
	assert_int_equal(2, count_things(db));
	assert_int_equal(keep ? 0 : rows - 2, number(db, "SELECT min(n) FROM things"));
	assert_int_equal(keep ? 1 : rows - 1, number(db, "SELECT max(n) FROM things"));
}

static void of_a_repeated_key_the_last_row_counts_and_with_keep_the_first(void **state)
{
	struct sync_db *db = open_things(testdb_of(state));

	check_repeats(db, 10, false);
	check_repeats(db, 10, true);
	check_repeats(db, 200, false);
	check_repeats(db, 200, true);
}

static void a_batch_of_keys_alone_adds_what_is_missing(void **state)
{
	struct sync_db *db = open_things(testdb_of(state));
	const struct sync_table keys = {
		.name = "things", .columns = things_columns, .types = things_types, .n_columns = 1, .n_key = 1
	};

	put_thing(db, "a", 7);
	assert_ok(sync_db_put_many(db, &keys, SYNC_ARGS(sync_text("a"), sync_text("b"), sync_text("b")), err));
	assert_int_equal(2, count_things(db));
	assert_int_equal(7, number(db, "SELECT n FROM things WHERE id = 'a'"));
}

/* More rows than go as arrays. */
static void a_batch_without_a_key_is_numbered_row_by_row(void **state)
{
	static const char *const columns[] = { "n" };
	static const enum sync_type types[] = { SYNC_BIGINT };
	static const struct sync_table rows = { "numbered", columns, types, COUNT(columns), 0, false };
	defer(freep) struct sync_value *v = calloc(5000, sizeof(*v));
	struct sync_db *db = open_things(testdb_of(state));
	defer(sync_buf_clear) struct sync_buf sql = { .max = 1000 };

	sync_buf_addf(&sql, "CREATE TABLE numbered(id %s, n bigint)", sync_db_dialect(db)->serial);
	assert_ok(sync_db_script(db, sql.data, err));
	for (size_t i = 0; i < 5000; i++)
		v[i] = sync_int((int64_t)i / 2);
	assert_ok(sync_db_put_many(db, &rows, v, 3, err));
	assert_ok(sync_db_put_many(db, &rows, v, 5000, err));
	assert_int_equal(5003, number(db, "SELECT count(*) FROM numbered"));
	assert_int_equal(5003, number(db, "SELECT count(DISTINCT id) FROM numbered"));
	assert_int_equal(4, number(db, "SELECT count(*) FROM numbered WHERE n = 0"));
}

static void a_batch_leaves_other_columns_alone(void **state)
{
	static const char *const columns[] = { "id", "note" };
	static const enum sync_type types[] = { SYNC_ID, SYNC_TEXT };
	const struct sync_table notes = { .name = "things", .columns = columns, .types = types, .n_columns = 2, .n_key = 1 };
	struct sync_db *db = open_things(testdb_of(state));

	put_thing(db, "a", 7);
	assert_ok(sync_db_put_many(db, &notes, (const struct sync_value[]){ sync_text("a"), sync_text("new") }, 1, err));
	assert_int_equal(7, number(db, "SELECT n FROM things WHERE id = 'a' AND note = 'new'"));
}

static void a_failing_batch_keeps_nothing(void **state)
{
	static const size_t sizes[] = { 10, 500 };
	struct sync_db *db = open_things(testdb_of(state));

	for (size_t i = 0; i < COUNT(sizes); i++) {
		defer(free_rows) struct sync_value *v = make_rows(sizes[i], 0);
		v[(sizes[i] - 1) * THINGS_COLUMNS] = sync_null();
		assert_int_not_equal(SYNC_OK, sync_db_put_many(db, &things, v, sizes[i], NULL));
		assert_false(sync_db_in_transaction(db));
		assert_int_equal(0, count_things(db));
	}
	put_thing(db, "a", 1);
}

struct found {
	bool column, trigger;
};

static enum sync_status find(void *ctx, const struct sync_value *v, size_t n, struct sync_error *err)
{
	struct found *f = ctx;

	(void)err;
	assert_int_equal(3, n);
	if (!sync_view_is(v[1].s, "things"))
		return SYNC_OK;
	f->column |= v[0].i == SYNC_HAS_COLUMN && sync_view_is(v[2].s, "note");
	f->trigger |= v[0].i == SYNC_HAS_TRIGGER && sync_view_is(v[2].s, "things_change");
	return SYNC_OK;
}

static void a_batch_of_new_rows_fails_when_one_is_there(void **state)
{
	static const char *const columns[] = { "id", "n" };
	static const enum sync_type types[] = { SYNC_ID, SYNC_BIGINT };
	const struct sync_table fresh = { .name = "things", .columns = columns, .types = types, .n_columns = 2, .n_key = 1, .fresh = true };
	const struct sync_value first[] = { sync_text("a"), sync_int(1) };
	const struct sync_value both[] = { sync_text("b"), sync_int(2), sync_text("a"), sync_int(3) };
	struct sync_db *db = open_things(testdb_of(state));
	struct sync_error e = { 0 };

	assert_ok(sync_db_put_many(db, &fresh, first, 1, err));
	assert_int_equal(sync_db_dialect(db)->postgres ? SYNC_EBUSY : SYNC_EDB, sync_db_put_many(db, &fresh, both, 2, &e));
	assert_non_null(strstr(e.text, "things"));
	assert_int_equal(1, number(db, "SELECT sum(n) FROM things"));
}

static void the_catalog_has_columns_and_triggers(void **state)
{
	struct sync_db *db = open_things(testdb_of(state));
	struct found f = { 0 };

	assert_ok(db->ops->catalog(db, find, &f, err));
	assert_true(f.column && !f.trigger);
	if (sync_db_dialect(db)->postgres)
		assert_ok(
			sync_db_script(db,
		                       "CREATE FUNCTION nothing() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END';"
		                       "CREATE TRIGGER things_change AFTER INSERT ON things EXECUTE FUNCTION nothing()",
		                       err));
	else
		assert_ok(sync_db_script(db, "CREATE TRIGGER things_change AFTER INSERT ON things BEGIN SELECT 1; END", err));
	assert_ok(db->ops->catalog(db, find, &f, err));
	assert_true(f.column && f.trigger);
}

static void another_text_at_the_same_address_is_another_statement(void **state)
{
	struct sync_db *db = open_things(testdb_of(state));
	char sql[] = "SELECT 1";
	int64_t n;

	for (char digit = '1'; digit < '4'; digit++) {
		sql[sizeof sql - 2] = digit;
		assert_ok(sync_db_number(db, sql, SYNC_NOARGS, 0, &n, err));
		assert_int_equal(digit - '0', n);
	}
}

static void numbers_of_our_own_rise_and_are_not_reused(void **state)
{
	struct sync_db *db = open_things(testdb_of(state));
	char sql[200];

	(void)snprintf(sql, sizeof(sql), "CREATE TABLE log(seq %s, note text)", sync_db_dialect(db)->serial);
	assert_ok(sync_db_script(db, sql, err));
	assert_ok(sync_db_script(db, "INSERT INTO log(note) VALUES ('a'), ('b')", err));
	assert_ok(sync_db_script(db, "DELETE FROM log", err));
	assert_ok(sync_db_script(db, "INSERT INTO log(note) VALUES ('c')", err));
	assert_int_equal(3, number(db, "SELECT seq FROM log"));
}

int contract_db_run(void)
{
	static const struct CMUnitTest tests[] = {
		TESTDB_BOTH(every_kind_of_value_comes_back_as_it_was_given),
		TESTDB_BOTH(nulls_and_absent_values_are_null),
		TESTDB_BOTH(an_empty_blob_is_not_null),
		TESTDB_BOTH(sums_and_counts_are_whole_numbers),
		TESTDB_BOTH(the_first_text_is_appended),
		TESTDB_BOTH(a_list_of_texts_is_one_parameter),
		TESTDB_BOTH(many_keys_are_looked_up_whatever_is_known_of_the_table),
		TESTDB_BOTH(a_statement_runs_inside_itself),
		TESTDB_BOTH(a_row_function_stops_the_statement_and_harms_nothing),
		TESTDB_BOTH(what_is_rolled_back_is_gone_and_what_is_committed_stays),
		TESTDB_BOTH(closing_rolls_back),
		TESTDB_BOTH(a_reading_transaction_sees_one_moment),
		TESTDB_BOTH(a_reading_transaction_cannot_write),
		TESTDB_BOTH(after_a_failed_statement_nothing_can_be_kept),
		TESTDB_BOTH(a_wrong_statement_is_refused_with_its_reason),
		TESTDB_BOTH(values_must_be_as_many_as_parameters),
		TESTDB_BOTH(more_texts_than_are_kept_run_again_and_again),
		TESTDB_BOTH(batches_of_any_size_insert_and_update),
		TESTDB_BOTH(an_empty_batch_does_nothing),
		TESTDB_BOTH(batches_follow_each_other_in_one_transaction),
		TESTDB_BOTH(of_a_repeated_key_the_last_row_counts_and_with_keep_the_first),
		TESTDB_BOTH(a_batch_of_keys_alone_adds_what_is_missing),
		TESTDB_BOTH(a_batch_without_a_key_is_numbered_row_by_row),
		TESTDB_BOTH(a_batch_leaves_other_columns_alone),
		TESTDB_BOTH(a_failing_batch_keeps_nothing),
		TESTDB_BOTH(a_batch_of_new_rows_fails_when_one_is_there),
		TESTDB_BOTH(the_catalog_has_columns_and_triggers),
		TESTDB_BOTH(another_text_at_the_same_address_is_another_statement),
		TESTDB_BOTH(numbers_of_our_own_rise_and_are_not_reused),
	};

	return cmocka_run_group_tests_name("contract of the database drivers", tests, NULL, NULL);
}

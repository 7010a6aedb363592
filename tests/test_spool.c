#include "faulty_db.h"
#include "testdb.h"

#include <libsync/time.h>

#include "exchange/spool.h"

/* Messages of site 7, kept at central and integrated slice by slice: locations, each a group, and stocktakes of 1 + n_lines. */

enum { SITE = 7, LINES = 4, MOST_SLICES = 100 };

static struct sync_db *central(struct testdb *t, const struct sync_db_ops *const *drivers)
{
	assert_ok(sync_db_open(&t->db, t->url, drivers, SYNC_CENTRAL, true, err));
	assert_ok(sync_db_script(t->db,
	                         "INSERT INTO sync_site(site_id, name, created_us, branch, in_ordinal, in_id, in_upto, in_highest, in_integrated,"
	                         " spooled, all_seq, all_id, own_seq, own_id, verdict, verdict_seen, loaded, unpushed)"
	                         " VALUES (7, 'Seven', 0, '', 0, '', 0, 0, 0, 0, 0, '', 0, '', 0, 0, 1, 0);"
	                         "INSERT INTO sync_store(store_id, site_id, notice) VALUES ('s1', 7, 0);"
	                         "INSERT INTO store(id, code, site_id, store_mode, is_disabled, name_id) VALUES ('s1', 'S', 7, 'STORE', '0', 'n1');"
	                         "INSERT INTO item(id, name, code, ven_category, default_pack_size, type, is_active, is_vaccine, vaccine_doses,"
	                         " volume_per_pack, legacy_record) VALUES ('i1', 'Item', 'I', 'NOT_ASSIGNED', 1, 'STOCK', '1', '0', 0, 0, '{}');"
	                         "DELETE FROM sync_changelog",
	                         err));
	return t->db;
}

static int64_t number(struct sync_db *db, const char *sql)
{
	int64_t n;

	assert_ok(sync_db_number(db, sql, SYNC_NOARGS, -1, &n, err));
	return n;
}

/* A message being written. */
struct letter {
	struct sync_writer *writer;
	struct sync_arena arena;
	int64_t seq, sent;
};

static void open_letter(struct letter *l, bool part)
{
	const struct sync_header h = { .protocol = SYNC_PROTOCOL, .schema = SYNC_SCHEMA_VERSION, .site = SITE, .branch = "0a0b0c0d", .part = part };

	if (!l->writer)
		assert_ok(sync_writer_new(&l->writer, NULL, 1, 1 << 20, err));
	sync_writer_begin(l->writer, &h, true);
}

static void clear_letter(struct letter *l)
{
	sync_writer_free(l->writer);
	sync_arena_clear(&l->arena);
}

__attribute__((format(printf, 2, 3)))
static void write_line(struct letter *l, const char *format, ...)
{
	struct sync_record r;
	char line[1024];
	va_list args;

	va_start(args, format);
	(void)vsnprintf(line, sizeof line, format, args);
	va_end(args);
	assert_ok(sync_record_read(&r, &l->arena, sync_view_of(line), &sync_default_limits, err));
	r.seq = ++l->seq;
	sync_writer_record(l->writer, &r);
}

static void write_location(struct letter *l, int n)
{
	write_line(l, "{\"e\":\"location\",\"i\":\"o%d\",\"a\":\"P\",\"d\":{\"name\":\"n\",\"code\":\"c\",\"on_hold\":false,\"store_id\":\"s1\",\"volume\":1}}", n);
}

static void write_stocktake(struct letter *l, int n)
{
	write_line(l, "{\"e\":\"stocktake\",\"i\":\"t%d\",\"a\":\"P\",\"d\":{\"store_id\":\"s1\",\"user_id\":\"u\",\"stocktake_number\":\"1\","
	              "\"status\":\"NEW\",\"created_datetime\":\"2024-02-29T12:00:00\",\"is_locked\":false,\"is_initial_stocktake\":false}}", n);
}

static void write_lines(struct letter *l, int n, int from, int to)
{
	for (int i = from; i < to; i++)
		write_line(l, "{\"e\":\"stocktake_line\",\"i\":\"l%d.%d\",\"a\":\"P\",\"d\":{\"stocktake_id\":\"t%d\",\"snapshot_number_of_packs\":1,"
		              "\"item_id\":\"i1\",\"item_name\":\"Item\",\"volume_per_pack\":0}}", n, i, n);
}

static void spool(struct letter *l, struct sync_db *db, enum sync_spool_part part)
{
	struct sync_end end = { 0 };
	struct sync_view body;

	assert_ok(sync_writer_end(l->writer, &end, &body, err));
	assert_ok(sync_db_begin(db, true, err));
	assert_ok(sync_spool_put(db, SITE, ++l->sent, body, end.records, l->seq, part, err));
	assert_ok(sync_db_commit(db, err));
}

/* n stocktakes with their lines, as one message. */
static void spool_stocktakes(struct letter *l, struct sync_db *db, int first, int n)
{
	open_letter(l, false);
	for (int i = first; i < first + n; i++) {
		write_stocktake(l, i);
		write_lines(l, i, 0, LINES);
	}
	spool(l, db, SYNC_SPOOL_WHOLE);
}

/* Draining, and what was seen of it. */
struct watch {
	bool blind;                   /* looks at nothing: its own look-ups would be among the calls that fail */
	int64_t slices, finished, upto;
	int64_t records[MOST_SLICES]; /* in the tables after each slice */
	int64_t fail_at;              /* slice whose transaction fails; 0 none */
};

static enum sync_status see_slice(void *ctx, struct sync_db *db, int64_t upto, bool finished, struct sync_error *err)
{
	struct watch *w = ctx;

	w->slices++;
	if (w->slices == w->fail_at)
		return sync_fail(err, SYNC_EIO, "a power cut");
	if (finished) {
		w->finished++;
		w->upto = upto;
	}
	if (w->blind)
		return SYNC_OK;
	assert_int_equal(0, number(db, "SELECT count(*) FROM stocktake t WHERE 4 <> (SELECT count(*) FROM stocktake_line l WHERE l.stocktake_id = t.id)"));
	if (w->slices <= MOST_SLICES)
		w->records[w->slices - 1] = number(db, "SELECT count(*) FROM location") + number(db, "SELECT count(*) FROM stocktake") +
		                            number(db, "SELECT count(*) FROM stocktake_line");
	return SYNC_OK;
}

static int64_t paused_us, pauses;

static void note_pause(int64_t us)
{
	paused_us += us;
	pauses++;
}

static volatile sig_atomic_t stopped;

static enum sync_status drain(struct sync_db *db, struct watch *w, int64_t most, struct sync_outcome *ret, bool *ret_more, struct sync_error *err)
{
	const struct sync_intake in = { .source = SITE, .now_us = 1000000, .branch = "0a0b0c0d" };
	const struct sync_options o = { .slice_us = 50000, .pause = note_pause, .stop = &stopped };

	return sync_spool_drain(db, &in, &o, most, see_slice, w, ret, ret_more, err);
}

static void drain_whole(struct sync_db *db, struct watch *w)
{
	struct sync_outcome o = { 0 };
	bool more = true;

	assert_ok(drain(db, w, 0, &o, &more, err));
	assert_false(more);
}

static void messages_are_integrated_in_their_order_and_gone(void **state)
{
	struct testdb *t = testdb_of(state);
	struct sync_db *db = central(t, testdb_drivers);
	defer(clear_letter) struct letter l = { 0 };
	struct watch w = { 0 };
	bool pending;

	assert_ok(sync_spool_pending(db, SITE, &pending, err));
	assert_false(pending);
	spool_stocktakes(&l, db, 0, 30);
	spool_stocktakes(&l, db, 30, 2);
	open_letter(&l, false);
	write_line(&l, "{\"e\":\"stocktake\",\"i\":\"t31\",\"a\":\"D\"}");
	for (int i = 0; i < LINES; i++)
		write_line(&l, "{\"e\":\"stocktake_line\",\"i\":\"l31.%d\",\"a\":\"D\",\"r\":\"t31\"}", i);
	spool(&l, db, SYNC_SPOOL_WHOLE);
	assert_ok(sync_spool_pending(db, SITE, &pending, err));
	assert_true(pending);
	assert_ok(sync_spool_pending(db, 8, &pending, err));
	assert_false(pending);
	drain_whole(db, &w);
	assert_int_equal(31, number(db, "SELECT count(*) FROM stocktake"));
	assert_int_equal(3, w.finished);
	assert_int_equal(l.seq, w.upto);
	assert_int_equal(0, number(db, "SELECT count(*) FROM sync_spool"));
}

static void after_a_failure_it_goes_on_where_it_was(void **state)
{
	struct testdb *t = testdb_of(state);
	struct sync_db *db = central(t, testdb_drivers);
	defer(clear_letter) struct letter l = { 0 };
	struct sync_outcome o = { 0 };
	struct sync_error seen;
	int64_t applied = 0;
	bool more = true;

	spool_stocktakes(&l, db, 0, 60);
	for (int64_t at = 1; at < 4; at++) {
		struct watch w = { .fail_at = at };

		o.applied = 0;
		if (drain(db, &w, 0, &o, &more, &seen) == SYNC_OK)
			break;
		assert_string_equal("a power cut", seen.text);
		assert_false(sync_db_in_transaction(db));
		applied += o.applied;
		assert_int_equal(applied, number(db, "SELECT count(*) FROM sync_changelog"));
		assert_int_equal(applied, number(db, "SELECT CAST(sum(done) AS bigint) FROM sync_spool"));
	}
	drain_whole(db, &(struct watch){ 0 });
	assert_int_equal(60, number(db, "SELECT count(*) FROM stocktake"));
	assert_int_equal(60 * (1 + LINES), number(db, "SELECT count(*) FROM sync_changelog")); /* each once */
}

static void an_edit_is_as_old_as_it_was_when_its_message_came(void **state)
{
	struct testdb *t = testdb_of(state);
	struct sync_db *db = central(t, testdb_drivers);
	defer(clear_letter) struct letter l = { 0 };

	for (int i = 0; i < 2; i++) {
		open_letter(&l, false);
		write_line(&l, "{\"e\":\"barcode\",\"i\":\"b%d\",\"a\":\"P\",\"g\":\"2000\",\"d\":{\"gtin\":\"1\",\"item_id\":\"i1\"}}", i);
		spool(&l, db, SYNC_SPOOL_WHOLE);
	}
	assert_int_equal(2, number(db, "SELECT count(*) FROM sync_spool WHERE received_us > 1700000000000000"));
	assert_ok(sync_db_script(db, "UPDATE sync_spool SET received_us = n * 10000000", err));
	drain_whole(db, &(struct watch){ 0 });
	assert_int_equal(1, number(db, "SELECT count(*) FROM sync_version WHERE record_id = 'b0' AND received_us = 10000000 AND edited_us = 8000000"));
	assert_int_equal(1, number(db, "SELECT count(*) FROM sync_version WHERE record_id = 'b1' AND received_us = 20000000 AND edited_us = 18000000"));
}

static void a_group_in_parts_is_integrated_when_complete(void **state)
{
	struct testdb *t = testdb_of(state);
	struct sync_db *db = central(t, testdb_drivers);
	defer(clear_letter) struct letter l = { 0 };
	struct sync_outcome o = { 0 };
	struct watch w = { 0 };
	bool more = true;

	open_letter(&l, true);
	write_location(&l, 1);
	write_stocktake(&l, 1);
	write_lines(&l, 1, 0, 1);
	spool(&l, db, SYNC_SPOOL_BEGINS);
	drain_whole(db, &w);
	assert_int_equal(1, number(db, "SELECT count(*) FROM location"));
	assert_int_equal(0, w.finished);
	open_letter(&l, true);
	write_lines(&l, 1, 1, 2);
	spool(&l, db, SYNC_SPOOL_BEGINS);
	drain_whole(db, &w);
	drain_whole(db, &w); /* nothing to do until more arrives */
	assert_int_equal(0, number(db, "SELECT count(*) FROM stocktake"));
	assert_int_equal(2, w.slices);
	assert_int_equal(2, number(db, "SELECT count(*) FROM sync_spool"));
	open_letter(&l, false);
	write_lines(&l, 1, 2, LINES);
	write_location(&l, 2);
	spool(&l, db, SYNC_SPOOL_WHOLE);
	assert_ok(drain(db, &w, 0, &o, &more, err));
	assert_false(more);
	assert_int_equal(1, number(db, "SELECT count(*) FROM stocktake"));
	assert_int_equal(LINES, number(db, "SELECT count(*) FROM stocktake_line"));
	assert_int_equal(2, number(db, "SELECT count(*) FROM location"));
	assert_int_equal(0, number(db, "SELECT count(*) FROM sync_spool"));
	assert_int_equal(l.seq, w.upto);
}

static void what_lies_within_a_group_is_not_looked_at_before_its_end(void **state)
{
	struct testdb *t = testdb_of(state);
	struct sync_db *db = central(t, testdb_drivers);
	defer(clear_letter) struct letter l = { 0 };
	struct watch w = { 0 };

	open_letter(&l, true);
	write_stocktake(&l, 1);
	spool(&l, db, SYNC_SPOOL_BEGINS);
	drain_whole(db, &w);
	for (int i = 0; i < LINES; i++) {
		open_letter(&l, true);
		write_lines(&l, 1, i, i + 1);
		spool(&l, db, SYNC_SPOOL_WITHIN);
		drain_whole(db, &w);
	}
	assert_int_equal(1, w.slices);
	open_letter(&l, false); /* nothing was left, and that is said */
	spool(&l, db, SYNC_SPOOL_WHOLE);
	drain_whole(db, &w);
	assert_int_equal(1, number(db, "SELECT count(*) FROM stocktake"));
	assert_int_equal(LINES, number(db, "SELECT count(*) FROM stocktake_line"));
	assert_int_equal(0, number(db, "SELECT count(*) FROM sync_spool"));
}

static void a_group_that_begins_again_loses_its_parts_and_no_other(void **state)
{
	struct testdb *t = testdb_of(state);
	struct sync_db *db = central(t, testdb_drivers);
	defer(clear_letter) struct letter l = { 0 };

	open_letter(&l, true);
	write_stocktake(&l, 1);
	spool(&l, db, SYNC_SPOOL_BEGINS);
	open_letter(&l, false);
	write_lines(&l, 1, 0, LINES);
	spool(&l, db, SYNC_SPOOL_WHOLE);
	open_letter(&l, true);
	write_stocktake(&l, 2);
	spool(&l, db, SYNC_SPOOL_BEGINS);
	open_letter(&l, true);
	write_lines(&l, 2, 0, 1);
	spool(&l, db, SYNC_SPOOL_WITHIN);
	assert_ok(sync_spool_drop_parts(db, SITE + 1, err));
	assert_int_equal(4, number(db, "SELECT count(*) FROM sync_spool"));
	assert_ok(sync_spool_drop_parts(db, SITE, err));
	assert_int_equal(2, number(db, "SELECT max(n) FROM sync_spool"));
	drain_whole(db, &(struct watch){ 0 });
	assert_int_equal(1, number(db, "SELECT count(*) FROM stocktake"));
}

/* Each look at the clock takes 10 ms: so long seems each transaction to be. */
static int64_t slow_clock(void)
{
	static int64_t now_us;

	return now_us += 10000;
}

static void slices_grow_to_the_time_they_may_take_and_pause_as_long(void **state)
{
	struct testdb *t = testdb_of(state);
	struct sync_db *db = central(t, testdb_drivers);
	defer(clear_letter) struct letter l = { 0 };
	struct watch w = { 0 };

	open_letter(&l, false);
	for (int i = 0; i < 1000; i++)
		write_location(&l, i);
	spool(&l, db, SYNC_SPOOL_WHOLE);
	sync_set_clock(slow_clock);
	paused_us = pauses = 0;
	drain_whole(db, &w);
	sync_set_clock(NULL);
	assert_int_equal(4, w.slices);
	assert_int_equal(100, w.records[0]);
	assert_int_equal(300, w.records[1]);
	assert_int_equal(700, w.records[2]);
	assert_int_equal(1000, w.records[3]);
	assert_int_equal(3, pauses);
	assert_int_equal(30000, paused_us);
}

static void it_ends_when_asked_to_and_after_as_many_records_as_it_may(void **state)
{
	struct testdb *t = testdb_of(state);
	struct sync_db *db = central(t, testdb_drivers);
	defer(clear_letter) struct letter l = { 0 };
	struct sync_outcome o = { 0 };
	struct watch w = { 0 };
	struct sync_error seen;
	bool more = false;

	spool_stocktakes(&l, db, 0, 60);
	assert_ok(drain(db, &w, 1, &o, &more, err));
	assert_true(more);
	assert_int_equal(1, w.slices);
	assert_int_equal(100, o.applied);
	stopped = 1;
	assert_int_equal(SYNC_EBUSY, drain(db, &w, 0, &o, &more, &seen));
	stopped = 0;
	assert_int_equal(1, w.slices);
	drain_whole(db, &w);
	assert_int_equal(60, number(db, "SELECT count(*) FROM stocktake"));
}

static struct sync_db *hasty;

/* Between reading a slice and its transaction another process has gone on with the same message. */
static int64_t hasty_clock(void)
{
	static int64_t now_us;

	if (hasty)
		assert_ok(sync_db_script(hasty, "UPDATE sync_spool SET done = done + 1", err));
	hasty = NULL;
	return ++now_us;
}

static void what_another_process_has_done_is_not_done_again(void **state)
{
	struct testdb *t = testdb_of(state);
	struct sync_db *db = central(t, testdb_drivers);
	defer(clear_letter) struct letter l = { 0 };
	struct sync_outcome o = { 0 };
	struct watch w = { 0 };
	bool more = true;

	spool_stocktakes(&l, db, 0, 60);
	hasty = db;
	sync_set_clock(hasty_clock);
	assert_ok(drain(db, &w, 0, &o, &more, err));
	sync_set_clock(NULL);
	assert_false(more);
	assert_int_equal(0, o.applied + w.slices);
	assert_int_equal(0, number(db, "SELECT count(*) FROM sync_changelog"));
	assert_int_equal(1, number(db, "SELECT done FROM sync_spool"));
}

static void whatever_call_fails_nothing_is_lost_or_done_twice(void **state)
{
	struct testdb *t = testdb_of(state);
	const struct sync_db_ops *drivers[] = { faulty_db(t->kind == TESTDB_SQLITE ? &sync_sqlite : &sync_postgres), NULL };
	struct sync_db *db = central(t, drivers);
	defer(clear_letter) struct letter l = { 0 };
	bool failed = true;

	for (long n = 0; failed; n++) {
		struct sync_outcome o = { 0 };
		struct watch w = { .blind = true };
		bool more;

		assert_ok(sync_db_script(db, "DELETE FROM stocktake_line; DELETE FROM stocktake; DELETE FROM sync_changelog; DELETE FROM sync_spool", err));
		spool_stocktakes(&l, db, 0, 30);
		faulty_db_arm(n);
		enum sync_status status = drain(db, &w, 0, &o, &more, NULL);
		failed = faulty_db_disarm();
		assert_int_equal(failed ? SYNC_EIO : SYNC_OK, status);
		assert_int_equal(o.applied, number(db, "SELECT count(*) FROM sync_changelog"));
		drain_whole(db, &w);
		assert_int_equal(30 * (1 + LINES), number(db, "SELECT count(*) FROM sync_changelog"));
	}
	sync_db_close(t->db);
	t->db = NULL;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TESTDB_BOTH(messages_are_integrated_in_their_order_and_gone),
		TESTDB_BOTH(after_a_failure_it_goes_on_where_it_was),
		TESTDB_BOTH(an_edit_is_as_old_as_it_was_when_its_message_came),
		TESTDB_BOTH(a_group_in_parts_is_integrated_when_complete),
		TESTDB_BOTH(what_lies_within_a_group_is_not_looked_at_before_its_end),
		TESTDB_BOTH(a_group_that_begins_again_loses_its_parts_and_no_other),
		TESTDB_BOTH(slices_grow_to_the_time_they_may_take_and_pause_as_long),
		TESTDB_BOTH(it_ends_when_asked_to_and_after_as_many_records_as_it_may),
		TESTDB_BOTH(what_another_process_has_done_is_not_done_again),
		TESTDB_BOTH(whatever_call_fails_nothing_is_lost_or_done_twice),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

#include "country.h"

#include <pthread.h>
#include <stdatomic.h>

#include "db/driver.h"
#include "exchange/integrate.h"
#include "exchange/route.h"

/*
 * Two connections to one PostgreSQL, interleaved by hand: one of them stops before its commit or before some statement, another
 * goes on in a thread until it is done or waits for a lock; then the first goes on. Whatever the order is, nothing is lost.
 */

/* Where the handle whose driver is `hooked` stops, once, and what happens then. */
static struct {
	const char *before; /* part of a statement, or "COMMIT"; NULL: nowhere */
	void (*fn)(void *ctx);
	void *ctx;
} hook;

static void pass(bool here)
{
	if (!here)
		return;
	hook.before = NULL;
	hook.fn(hook.ctx);
}

static enum sync_status run_hooked(struct sync_db *db, const char *sql, const struct sync_value *v, size_t n, sync_row_fn *fn,
                                   void *ctx, struct sync_error *err)
{
	pass(hook.before && strstr(sql, hook.before));
	return sync_postgres.run(db, sql, v, n, fn, ctx, err);
}

static enum sync_status end_hooked(struct sync_db *db, bool commit, struct sync_error *err)
{
	pass(hook.before && commit && !strcmp(hook.before, "COMMIT"));
	return sync_postgres.end(db, commit, err);
}

static void nothing_meanwhile(int64_t us)
{
	(void)us;
}

/* Central, two loaded sites, and a connection for each: the first site's has the hook. */
struct race {
	struct country c;
	struct sync_db_ops hooked;
	struct sync_db *first, *second, *admin; /* first is the country's */
};

static void open_race(struct race *x, void **state)
{
	const struct sync_db_ops *drivers[] = { &x->hooked, NULL };
	struct country *c = &x->c;
	int64_t id;

	hook.before = NULL;
	x->hooked = sync_postgres;
	x->hooked.run = run_hooked;
	x->hooked.end = end_hooked;
	country_open(c, testdb_of(state), 2);
	country_reopen_central(c, drivers);
	country_load(c, 0);
	country_load(c, 1);
	c->o.pause = nothing_meanwhile;
	x->first = c->central->db;
	assert_ok(sync_db_connect(&x->second, c->central->url, testdb_drivers, false, err));
	assert_ok(sync_db_connect(&x->admin, c->central->url, testdb_drivers, false, err));
	x->second->role = x->admin->role = SYNC_CENTRAL;
	id = c->site[1].line.site_id;
	loopback_close(&c->site[1].line);
	loopback_open(&c->site[1].line, x->second, id);
}

static void close_race(struct race *x)
{
	country_close(&x->c);
	sync_db_close(x->second);
	sync_db_close(x->admin);
}

static struct sync_db *site_db(struct race *x, size_t site)
{
	return x->c.site[site].db.db;
}

/* What happens at the same time, in a thread. */
struct rival {
	struct race *x;
	enum sync_status (*act)(struct race *x);
	pthread_t thread;
	atomic_bool done;
	enum sync_status status;
};

static void *act(void *ctx)
{
	struct rival *r = ctx;

	r->status = r->act(r->x);
	r->done = true;
	return NULL;
}

static enum sync_status round_of_first(struct race *x)
{
	return country_round(&x->c, 0);
}

static enum sync_status round_of_second(struct race *x)
{
	return country_round(&x->c, 1);
}

static enum sync_status route_second(struct race *x)
{
	return sync_route(x->second, NULL);
}

/* Start it, and return when it is done or waits for a lock. */
static void start_rival(void *ctx)
{
	static const char waiting[] =
		"SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'";
	struct rival *r = ctx;

	assert_int_equal(0, pthread_create(&r->thread, NULL, act, r));
	while (!r->done && number(r->x->admin, waiting) == 0)
		;
}

static enum sync_status finish_rival(struct rival *r)
{
	pthread_join(r->thread, NULL);
	return r->status;
}

/* One of two answers, and both are right: it came after the other, or is to come again. */
static void assert_done_or_busy(enum sync_status status)
{
	assert_true(status == SYNC_OK || status == SYNC_EBUSY);
}

/* A round of the first site; before its push is committed, the rival begins. */
static void race_commit(struct race *x, enum sync_status (*act_of_rival)(struct race *x))
{
	struct rival r = { .x = x, .act = act_of_rival };

	hook.fn = start_rival;
	hook.ctx = &r;
	hook.before = "COMMIT";
	assert_int_equal(SYNC_OK, country_round(&x->c, 0));
	assert_done_or_busy(finish_rival(&r));
}

/* The first site's round, while an edit of an administrator is not committed. */
static void race_edit(struct race *x, const char *edit)
{
	struct rival r = { .x = x, .act = round_of_first };

	assert_ok(sync_db_begin(x->admin, true, err));
	run(x->admin, "%s", edit);
	start_rival(&r);
	assert_ok(sync_db_commit(x->admin, err));
	assert_done_or_busy(finish_rival(&r));
}

/* two sites */

static void a_new_record_of_two_sites_belongs_to_the_first(void **state)
{
	struct race x;

	open_race(&x, state);
	put_location(site_db(&x, 0), "l1", 1, "first");
	put_location(site_db(&x, 1), "l1", 2, "second");
	race_commit(&x, round_of_second);
	country_settle(&x.c);
	assert_int_equal(1, number(x.admin, "SELECT count(*) FROM location WHERE id = 'l1' AND store_id = 'store1' AND name = 'first'"));
	assert_int_equal(1, number(x.admin, "SELECT count(*) FROM sync_waiting WHERE record_id = 'l1' AND frame LIKE '%%second%%'"));
	close_race(&x);
}

/* Each gtin is central's or kept as the loser's. */
static void assert_conflict(struct race *x, const char *one, const char *other)
{
	static const char kept[] = "SELECT count(*) FROM sync_waiting WHERE kind = 'conflict' AND record_id = 'b1' AND frame LIKE '%%\"%s\"%%'";

	country_settle(&x->c);
	assert_int_equal(1, number(x->admin, kept, one) + number(x->admin, "SELECT count(*) FROM barcode WHERE gtin = '%s'", one));
	assert_int_equal(1, number(x->admin, kept, other) + number(x->admin, "SELECT count(*) FROM barcode WHERE gtin = '%s'", other));
	assert_converged(&x->c, 0);
	assert_converged(&x->c, 1);
}

static void of_a_new_record_that_anybody_may_edit_both_versions_are_kept(void **state)
{
	struct race x;

	open_race(&x, state);
	put_barcode(site_db(&x, 0), "b1", "first");
	put_barcode(site_db(&x, 1), "b1", "second");
	race_commit(&x, round_of_second);
	assert_conflict(&x, "first", "second");
	close_race(&x);
}

static void of_two_edits_at_once_both_are_kept(void **state)
{
	struct race x;

	open_race(&x, state);
	put_barcode(site_db(&x, 0), "b1", "old");
	country_settle(&x.c);
	put_barcode(site_db(&x, 0), "b1", "first");
	put_barcode(site_db(&x, 1), "b1", "second");
	race_commit(&x, round_of_second);
	assert_conflict(&x, "first", "second");
	close_race(&x);
}

#define NOVELTY(by) "{\"e\":\"novelty\",\"i\":\"x\",\"a\":\"P\",\"q\":\"1\",\"d\":{\"by\":\"" by "\"}}"

static enum sync_status take_unknown(struct sync_db *db, int64_t source, const char *line, struct sync_error *err)
{
	defer(sync_arena_clear) struct sync_arena arena = { 0 };
	const struct sync_intake in = { .source = source, .now_us = 1, .branch = "" };
	struct sync_view view = sync_view_of(line);
	struct sync_outcome outcome = { 0 };
	struct sync_record r;

	TRY(sync_record_read(&r, &arena, view, &sync_default_limits, err));
	return sync_integrate(db, &in, &r, &view, 1, &outcome, err);
}

static enum sync_status take_in_transaction(struct sync_db *db, int64_t source, const char *line)
{
	struct sync_error e = { 0 };

	TRY(sync_db_begin(db, true, &e));
	return sync_db_finish(db, take_unknown(db, source, line, &e), &e);
}

static enum sync_status take_second(struct race *x)
{
	return take_in_transaction(x->second, 2, NOVELTY("second"));
}

static void an_unknown_record_of_two_sites_belongs_to_the_first(void **state)
{
	static const char count[] = "SELECT count(*) FROM sync_extra WHERE source = 1 AND data = '{\"by\":\"first\"}'";
	struct race x;
	struct rival r = { .x = &x, .act = take_second };

	open_race(&x, state);
	hook.fn = start_rival;
	hook.ctx = &r;
	hook.before = "COMMIT";
	assert_int_equal(SYNC_OK, take_in_transaction(x.first, 1, NOVELTY("first")));
	assert_int_equal(SYNC_EBUSY, finish_rival(&r));
	assert_int_equal(1, number(x.admin, count));
	assert_int_equal(SYNC_OK, take_second(&x));
	assert_int_equal(1, number(x.admin, count));
	assert_int_equal(1, number(x.admin, "SELECT count(*) FROM sync_waiting WHERE record_id = 'x' AND site_id = 2"));
	close_race(&x);
}

/* an administrator's edit that is not committed */

static void an_edit_waits_for_what_decides_who_may_make_it(void **state)
{
	struct race x;

	open_race(&x, state);
	put_location(site_db(&x, 0), "l1", 1, "old");
	country_settle(&x.c);
	put_location(site_db(&x, 0), "l1", 1, "edited");
	race_edit(&x, "UPDATE location SET store_id = 'store2' WHERE id = 'l1'");
	country_settle(&x.c);
	assert_int_equal(1, number(x.admin, "SELECT count(*) FROM location WHERE id = 'l1' AND store_id = 'store2' AND name = 'old'"));
	assert_int_equal(1, number(x.admin, "SELECT count(*) FROM sync_waiting WHERE record_id = 'l1' AND frame LIKE '%%edited%%'"));
	assert_int_equal(1, number(site_db(&x, 1), "SELECT count(*) FROM location WHERE id = 'l1'"));
	close_race(&x);
}

static void an_edit_at_central_is_not_overwritten_unseen(void **state)
{
	struct race x;

	open_race(&x, state);
	put_barcode(site_db(&x, 0), "b1", "old");
	country_settle(&x.c);
	put_barcode(site_db(&x, 0), "b1", "first");
	race_edit(&x, "UPDATE barcode SET gtin = 'central' WHERE id = 'b1'");
	assert_conflict(&x, "first", "central");
	close_race(&x);
}

static void nor_is_a_record_made_at_central(void **state)
{
	struct race x;

	open_race(&x, state);
	put_barcode(site_db(&x, 0), "b1", "first");
	race_edit(&x, "INSERT INTO barcode(id, gtin, item_id) VALUES ('b1', 'central', 'item1')");
	assert_conflict(&x, "first", "central");
	close_race(&x);
}

static void what_is_deleted_at_central_meanwhile_is_put_anew(void **state)
{
	struct race x;

	open_race(&x, state);
	put_location(site_db(&x, 0), "l1", 1, "old");
	country_settle(&x.c);
	put_location(site_db(&x, 0), "l1", 1, "edited");
	race_edit(&x, "DELETE FROM location WHERE id = 'l1'");
	country_settle(&x.c);
	assert_int_equal(1, number(x.admin, "SELECT count(*) FROM location WHERE id = 'l1' AND name = 'edited'"));
	assert_converged(&x.c, 0);
	close_race(&x);
}

/* A person who went to lunch stops no thread of central for long. */
static void an_edit_that_is_never_committed_makes_others_busy(void **state)
{
	struct race x;

	open_race(&x, state);
	put_location(site_db(&x, 0), "l1", 1, "old");
	country_settle(&x.c);
	put_location(site_db(&x, 0), "l1", 1, "edited");
	assert_int_equal(20000, number(x.first, "SELECT setting::integer FROM pg_settings WHERE name = 'lock_timeout'"));
	run(x.first, "SET lock_timeout = '1ms'");
	assert_ok(sync_db_begin(x.admin, true, err));
	run(x.admin, "UPDATE location SET code = 'x' WHERE id = 'l1'");
	assert_int_equal(SYNC_EBUSY, country_round(&x.c, 0));
	assert_ok(sync_db_commit(x.admin, err));
	country_settle(&x.c);
	assert_int_equal(1, number(x.admin, "SELECT count(*) FROM location WHERE id = 'l1' AND name = 'edited'"));
	assert_converged(&x.c, 0);
	close_race(&x);
}

/* routing */

/* Central's edit is in the queue and gets its version while a site's later edit of the same record, which has won, is committed. */
static void a_version_is_that_of_the_content(void **state)
{
	struct race x;

	open_race(&x, state);
	put_barcode(site_db(&x, 0), "b1", "old");
	country_settle(&x.c);
	run(x.admin, "UPDATE barcode SET gtin = 'central' WHERE id = 'b1'");
	put_barcode(site_db(&x, 0), "b1", "first");
	race_commit(&x, route_second);
	assert_int_equal(1, number(x.admin, "SELECT count(*) FROM barcode b JOIN sync_version v ON v.record_id = b.id"
					    " WHERE (b.gtin = 'central') = (v.version LIKE '0.%%')"));
	assert_conflict(&x, "first", "central");
	close_race(&x);
}

static void so_is_the_first_version(void **state)
{
	struct race x;

	open_race(&x, state);
	run(x.admin, "INSERT INTO barcode(id, gtin, item_id) VALUES ('b1', 'central', 'item1')");
	put_barcode(site_db(&x, 0), "b1", "first");
	race_commit(&x, route_second);
	assert_int_equal(1, number(x.admin, "SELECT count(*) FROM barcode b JOIN sync_version v ON v.record_id = b.id"
					    " WHERE (b.gtin = 'central') = (v.version LIKE '0.%%')"));
	assert_conflict(&x, "first", "central");
	close_race(&x);
}

/* It leaves the queue and becomes a version between two looks of whoever judges an edit of the same record. */
static void an_edit_that_is_routed_while_another_is_judged_is_seen(void **state)
{
	static const char *const looks[] = { "FROM sync_changelog WHERE source = 0", "FROM sync_version WHERE record_id",
		                             "FROM sync_changelog WHERE record_id" };
	struct testdb *t = testdb_of(state);

	for (size_t i = 0; i < COUNT(looks); i++) {
		struct race x;
		struct rival r = { .x = &x, .act = route_second };

		open_race(&x, state);
		run(x.admin, "INSERT INTO barcode(id, gtin, item_id) VALUES ('b1', 'central', 'item1')");
		put_barcode(site_db(&x, 0), "b1", "first");
		hook.fn = start_rival;
		hook.ctx = &r;
		hook.before = looks[i];
		assert_int_equal(SYNC_OK, country_round(&x.c, 0));
		assert_null(hook.before);
		assert_int_equal(SYNC_OK, finish_rival(&r));
		assert_conflict(&x, "first", "central");
		close_race(&x);
		testdb_drop(t);
		testdb_make(t, TESTDB_POSTGRES);
	}
}

static void insert_and_route(void *ctx)
{
	struct race *x = ctx;

	run(x->admin, "INSERT INTO unit(id, name, \"index\", is_active) VALUES ('second', '', 1, true)");
	assert_ok(sync_route(x->second, err));
	assert_int_equal(1, number(x->admin, "SELECT count(*) FROM sync_changelog WHERE record_id = 'second'"));
}

static void what_the_second_of_two_routers_leaves_the_first_routes(void **state)
{
	struct race x;

	open_race(&x, state);
	run(x.admin, "INSERT INTO unit(id, name, \"index\", is_active) VALUES ('first', '', 1, true)");
	hook.fn = insert_and_route;
	hook.ctx = &x;
	hook.before = "COMMIT";
	assert_ok(sync_route(x.first, err));
	assert_null(hook.before);
	assert_int_equal(0, number(x.admin, "SELECT count(*) FROM sync_changelog"));
	country_settle(&x.c);
	assert_int_equal(2, number(site_db(&x, 0), "SELECT count(*) FROM unit WHERE id IN ('first', 'second')"));
	close_race(&x);
}

/* Invariant 6. */
static void a_late_commit_reaches_a_site_that_is_past_its_number(void **state)
{
	struct race x;

	open_race(&x, state);
	assert_ok(sync_db_begin(x.admin, true, err));
	run(x.admin, "INSERT INTO unit(id, name, \"index\", is_active) VALUES ('late', '', 1, true)");
	run(x.second, "INSERT INTO unit(id, name, \"index\", is_active) VALUES ('early', '', 1, true)");
	country_settle(&x.c);
	assert_int_equal(1, number(site_db(&x, 0), "SELECT count(*) FROM unit WHERE id IN ('early', 'late')"));
	assert_ok(sync_db_commit(x.admin, err));
	country_settle(&x.c);
	assert_int_equal(2, number(site_db(&x, 0), "SELECT count(*) FROM unit WHERE id IN ('early', 'late')"));
	assert_converged(&x.c, 0);
	close_race(&x);
}

/* deadlock */

static enum sync_status lock_first_unit(struct race *x)
{
	return sync_db_run(x->second, "UPDATE unit SET name = 'rival' WHERE id = 'a'", SYNC_NOARGS, NULL, NULL, NULL);
}

static void a_deadlock_is_busy(void **state)
{
	struct race x;
	struct rival r = { .x = &x, .act = lock_first_unit };
	struct sync_error e = { 0 };

	open_race(&x, state);
	run(x.admin, "INSERT INTO unit(id, name, \"index\", is_active) VALUES ('a', '', 1, true), ('b', '', 1, true)");
	run(x.first, "SET deadlock_timeout = '1ms'");
	run(x.second, "SET deadlock_timeout = '1h'");
	assert_ok(sync_db_begin(x.first, true, err));
	assert_ok(sync_db_begin(x.second, true, err));
	run(x.first, "UPDATE unit SET name = 'x' WHERE id = 'a'");
	run(x.second, "UPDATE unit SET name = 'y' WHERE id = 'b'");
	start_rival(&r);
	assert_int_equal(SYNC_EBUSY, sync_db_run(x.first, "UPDATE unit SET name = 'x' WHERE id = 'b'", SYNC_NOARGS, NULL, NULL, &e));
	sync_db_rollback(x.first);
	assert_int_equal(SYNC_OK, finish_rival(&r));
	assert_ok(sync_db_commit(x.second, err));
	close_race(&x);
}

#define RACE(test) TESTDB_ON(test, TESTDB_POSTGRES, "PostgreSQL") /* with SQLite one transaction writes at a time */

int main(void)
{
	const struct CMUnitTest tests[] = {
		RACE(a_new_record_of_two_sites_belongs_to_the_first),
		RACE(of_a_new_record_that_anybody_may_edit_both_versions_are_kept),
		RACE(of_two_edits_at_once_both_are_kept),
		RACE(an_unknown_record_of_two_sites_belongs_to_the_first),
		RACE(an_edit_waits_for_what_decides_who_may_make_it),
		RACE(an_edit_at_central_is_not_overwritten_unseen),
		RACE(nor_is_a_record_made_at_central),
		RACE(what_is_deleted_at_central_meanwhile_is_put_anew),
		RACE(an_edit_that_is_never_committed_makes_others_busy),
		RACE(a_version_is_that_of_the_content),
		RACE(so_is_the_first_version),
		RACE(an_edit_that_is_routed_while_another_is_judged_is_seen),
		RACE(what_the_second_of_two_routers_leaves_the_first_routes),
		RACE(a_late_commit_reaches_a_site_that_is_past_its_number),
		RACE(a_deadlock_is_busy),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

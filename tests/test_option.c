#include "country.h"
#include "routing.h"

#include <libsync/site.h>

#include "exchange/option.h"

static void choose(struct sync_db *db, const char *value)
{
	const struct sync_option *o = sync_option_find("master-lists");
	const struct sync_option_value *v = sync_option_value_find(o, sync_view_of(value));
	bool changed;

	assert_non_null(v);
	assert_ok(sync_option_set(db, o, v, &changed, err));
	assert_true(changed);
}

/* lists, lines and joins */

static void put_list(struct sync_db *db, const char *list, const char *const *lines)
{
	PUT(db, "master_list", list);
	for (; *lines; lines++)
		PUT(db, "master_list_line", *lines, "master_list_id", list, "item_id", "item1");
}
#define PUT_LIST(db, list, ...) put_list(db, list, (const char *const[]){ __VA_ARGS__, NULL })

/* "join" gives a list to a name. */
static void give(struct sync_db *db, const char *join, const char *list, const char *name)
{
	PUT(db, "master_list_name_join", join, "master_list_id", list, "name_id", name);
}

/* Lists a and b, which stores 1 and 2 have, c of both, and d of nobody. */
static void put_lists(struct sync_db *db)
{
	PUT_LIST(db, "a", "a1", "a2");
	PUT_LIST(db, "b", "b1");
	PUT_LIST(db, "c", "c1", "c2", "c3");
	PUT_LIST(db, "d", "d1");
	give(db, "ja", "a", "name1");
	give(db, "jb", "b", "name2");
	give(db, "jc1", "c", "name1");
	give(db, "jc2", "c", "name2");
}

#define ALL   "a a1 a2 b b1 c c1 c2 c3 d d1 ja jb jc1 jc2"
#define OF_1  "a a1 a2 c c1 c2 c3 ja jc1"
#define OF_2  "b b1 c c1 c2 c3 jb jc2"
#define TABLES "SELECT id FROM master_list UNION ALL SELECT id FROM master_list_line UNION ALL SELECT id FROM master_list_name_join"

static enum sync_status take_id(void *ctx, const struct sync_value *v, size_t n, struct sync_error *err)
{
	struct sync_buf *b = ctx;

	(void)n;
	sync_buf_addf(b, "%s%.*s", b->len ? " " : "", SYNC_VIEW(v[0].s));
	return sync_buf_check(b, err);
}

/* What a database has of lists, lines and joins. */
static void assert_lists(struct sync_db *db, const char *expected)
{
	static const char all[] = "SELECT id FROM (" TABLES ") lists ORDER BY id";
	defer(sync_buf_clear) struct sync_buf b = { .max = 1 << 20 };

	assert_ok(sync_db_run(db, all, SYNC_NOARGS, take_id, &b, err));
	assert_string_equal(expected, b.len ? b.data : "");
}

/* What central's outbox says that a site holds of them; 0: every site. */
static void assert_held(struct sync_db *db, int64_t site, const char *expected)
{
	static const char held[] = "SELECT record_id FROM sync_outbox WHERE site_id = $1 AND entity LIKE 'master_list%' AND action = 'P'"
				   "    ORDER BY record_id";
	defer(sync_buf_clear) struct sync_buf b = { .max = 1 << 20 };

	assert_ok(sync_db_run(db, held, SYNC_ARGS(sync_int(site)), take_id, &b, err));
	assert_string_equal(expected, b.len ? b.data : "");
}

/* Three stores at three sites, and the lists; site n has store n. */
static struct sync_db *open_country(struct country *c, void **state)
{
	country_open(c, testdb_of(state), 3);
	put_lists(c->central->db);
	return c->central->db;
}

static void load_all(struct country *c)
{
	loopback_work(&c->site[0].line);
	for (size_t i = 0; i < c->n; i++)
		country_load(c, i);
}

/* Central does its work first: nothing that a site has not asked for has begun yet. */
static void settle_country(struct country *c)
{
	loopback_work(&c->site[0].line);
	country_settle(c);
}

static void assert_sites(const struct country *c, const char *first, const char *second, const char *third)
{
	const char *const expected[] = { first, second, third };

	for (size_t i = 0; i < c->n; i++) {
		assert_lists(c->site[i].db.db, expected[i]);
		assert_int_equal(0, number(c->site[i].db.db, "SELECT count(*) FROM sync_inbox"));
		assert_int_equal(1, number(c->central->db, "SELECT loaded FROM sync_site WHERE name = 'post%zu'", i + 1));
	}
}

/* choosing */

static void the_first_value_counts_until_another_is_chosen(void **state)
{
	const struct sync_option *o = sync_option_find("master-lists");
	struct testdb *t = testdb_of(state);
	const struct sync_option_value *v;
	bool under_way, changed;

	testdb_open(t, SYNC_CENTRAL);
	assert_ok(sync_option_get(t->db, o, &v, &under_way, err));
	assert_string_equal("everywhere", v->name);
	assert_false(under_way);
	assert_ok(sync_option_set(t->db, o, v, &changed, err));
	assert_false(changed);
	assert_int_equal(0, number(t->db, "SELECT count(*) FROM sync_job"));
	choose(t->db, "joined");
	assert_ok(sync_option_get(t->db, o, &v, &under_way, err));
	assert_string_equal("joined", v->name);
	assert_true(under_way);
	settle(t->db);
	assert_ok(sync_option_get(t->db, o, &v, &under_way, err));
	assert_false(under_way);
}

static void a_value_that_this_version_does_not_know_stops_everything_that_follows_routes(void **state)
{
	struct testdb *t = testdb_of(state);
	struct sync_error seen;

	testdb_open(t, SYNC_CENTRAL);
	assert_ok(sync_meta_put(t->db, "option:master-lists", sync_view_of("by-region"), err));
	PUT(t->db, "master_list", "a");
	assert_int_equal(SYNC_EWRONGDB, sync_route(t->db, &seen));
	assert_string_equal("the option master-lists has the value 'by-region', which this version does not know: update it", seen.text);
	assert_int_equal(1, number(t->db, "SELECT count(*) FROM sync_changelog"));
}

static void what_one_process_chooses_another_goes_by(void **state)
{
	struct testdb *t = testdb_of(state);
	defer(sync_db_closep) struct sync_db *other = NULL;
	int64_t before;

	testdb_open(t, SYNC_CENTRAL);
	add_store(t->db, 1, "store1", "name1");
	PUT_LIST(t->db, "a", "a1");
	assert_ok(sync_db_clone(&other, t->db, err));
	assert_ok(sync_route(other, err));
	assert_held(t->db, 0, "a a1");
	choose(t->db, "joined");
	before = newest_seq(other);
	PUT_LIST(other, "b", "b1");
	give(other, "jb", "b", "name1");
	assert_ok(sync_route(other, err));
	assert_outbox(other, 0, before, "");
	assert_outbox(other, 1, before, "P master_list b, P master_list_line b1, P master_list_name_join jb");
}

static void nobody_routes_by_the_old_value_once_the_new_one_is_chosen(void **state)
{
	const struct sync_option *o = sync_option_find("master-lists");
	struct testdb *t = testdb_of(state);
	defer(sync_db_closep) struct sync_db *other = NULL;
	bool mine, changed;

	testdb_open(t, SYNC_CENTRAL);
	if (!sync_db_dialect(t->db)->postgres)
		skip(); /* one writer at a time */
	assert_ok(sync_db_clone(&other, t->db, err));
	assert_ok(sync_db_begin(other, true, err));
	assert_ok(sync_route_lock(other, &mine, err));
	run_sql(t->db, "SET lock_timeout = '50ms'");
	assert_int_equal(SYNC_EBUSY, sync_option_set(t->db, o, &o->values[1], &changed, NULL));
	sync_db_rollback(other);
	assert_ok(sync_option_set(t->db, o, &o->values[1], &changed, err));
	assert_true(changed);
}

/* where records go */

static void lists_go_to_every_site_by_default(void **state)
{
	struct country c;

	open_country(&c, state);
	load_all(&c);
	assert_sites(&c, ALL, ALL, ALL);
	country_close(&c);
}

static void a_site_loads_only_the_lists_that_are_its_stores(void **state)
{
	struct country c;
	struct sync_db *db = open_country(&c, state);
	int64_t total;

	choose(db, "joined");
	load_all(&c);
	assert_sites(&c, OF_1, OF_2, "");
	assert_ok(sync_load_total(db, c.site[0].line.site_id, &total, err));
	assert_int_equal(total, c.site[0].report.pulled); /* so that progress ends at its end */
	country_close(&c);
}

static void choosing_brings_what_sites_lack_and_takes_what_is_not_theirs(void **state)
{
	struct country c;
	struct sync_db *db = open_country(&c, state);

	load_all(&c);
	choose(db, "joined");
	settle_country(&c);
	assert_sites(&c, OF_1, OF_2, "");
	assert_held(db, 0, "");
	assert_int_equal(0, number(db, "SELECT count(*) FROM sync_job"));
	choose(db, "everywhere");
	settle_country(&c);
	assert_sites(&c, ALL, ALL, ALL);
	assert_held(db, 0, ALL);
	assert_held(db, c.site[0].line.site_id, "");
	country_close(&c);
}

static void a_program_stays_where_its_list_does_not(void **state)
{
	struct country c;
	struct sync_db *db = open_country(&c, state);

	PUT(db, "context", "x");
	PUT(db, "program", "p", "master_list_id", "a", "context_id", "x");
	choose(db, "joined");
	load_all(&c);
	assert_int_equal(1, number(c.site[1].db.db, "SELECT count(*) FROM program WHERE master_list_id = 'a'"));
	assert_sites(&c, OF_1, OF_2, "");
	assert_int_equal(0, c.site[1].report.dangling);
	country_close(&c);
}

static void a_join_brings_its_list_and_takes_it_again(void **state)
{
	struct country c;
	struct sync_db *db = open_country(&c, state);

	choose(db, "joined");
	load_all(&c);
	give(db, "jd", "d", "name3");
	settle_country(&c);
	assert_sites(&c, OF_1, OF_2, "d d1 jd");
	PUT(db, "master_list_line", "d2", "master_list_id", "d", "item_id", "item1");
	give(db, "jd", "d", "name2");
	settle_country(&c);
	assert_sites(&c, OF_1, "b b1 c c1 c2 c3 d d1 d2 jb jc2 jd", "");
	give(db, "jd", "b", "name2"); /* another list; b is there twice */
	settle_country(&c);
	assert_sites(&c, OF_1, OF_2 " jd", "");
	del(db, "master_list_name_join", "jb");
	settle_country(&c);
	assert_sites(&c, OF_1, "b b1 c c1 c2 c3 jc2 jd", "");
	del(db, "master_list_name_join", "jd");
	settle_country(&c);
	assert_sites(&c, OF_1, "c c1 c2 c3 jc2", "");
	del(db, "master_list_line", "c2");
	settle_country(&c);
	assert_sites(&c, "a a1 a2 c c1 c3 ja jc1", "c c1 c3 jc2", "");
	country_close(&c);
}

static void a_line_follows_the_list_that_it_is_moved_to(void **state)
{
	struct country c;
	struct sync_db *db = open_country(&c, state);

	choose(db, "joined");
	load_all(&c);
	PUT(db, "master_list_line", "a2", "master_list_id", "b", "item_id", "item1");
	settle_country(&c);
	assert_sites(&c, "a a1 c c1 c2 c3 ja jc1", "a2 b b1 c c1 c2 c3 jb jc2", "");
	country_close(&c);
}

static void joins_change_nothing_while_lists_go_everywhere(void **state)
{
	struct country c;
	struct sync_db *db = open_country(&c, state);

	load_all(&c);
	give(db, "jd", "d", "name3");
	assert_ok(sync_route(db, err));
	assert_int_equal(0, number(db, "SELECT count(*) FROM sync_job"));
	settle_country(&c);
	assert_sites(&c, ALL " jd", ALL " jd", ALL " jd");
	country_close(&c);
}

static void lists_follow_a_store_to_another_site(void **state)
{
	struct country c;
	struct sync_db *db = open_country(&c, state);
	bool done;

	choose(db, "joined");
	load_all(&c);
	assert_ok(sync_store_move(db, "store2", "post3", true, &done, err));
	settle_country(&c);
	assert_sites(&c, OF_1, "", OF_2);
	country_close(&c);
}

static void lists_follow_the_name_of_a_store(void **state)
{
	struct country c;
	struct sync_db *db = open_country(&c, state);

	choose(db, "joined");
	load_all(&c);
	run(db, "UPDATE store SET name_id = 'name2' WHERE id = 'store3'");
	settle_country(&c);
	assert_sites(&c, OF_1, OF_2, OF_2);
	run(db, "UPDATE store SET name_id = 'name1' WHERE id = 'store2'");
	settle_country(&c);
	assert_sites(&c, OF_1, OF_1, OF_2);
	country_close(&c);
}

/* while it is under way */

static void stand_still(int64_t us)
{
	(void)us;
}

/* Rounds without central's background work: its job has not begun. */
static void what_is_no_longer_due_is_not_sent_before_the_job_has_seen_it(void **state)
{
	struct country c;
	struct sync_db *db = open_country(&c, state);
	void (*work)(int64_t) = c.o.pause;

	load_all(&c);
	PUT_LIST(db, "e", "e1");
	give(db, "je", "e", "name2");
	assert_ok(sync_route(db, err));
	assert_held(db, 0, "a a1 a2 b b1 c c1 c2 c3 d d1 e e1 ja jb jc1 jc2 je");
	choose(db, "joined");
	c.o.pause = stand_still;
	assert_int_equal(SYNC_OK, country_round(&c, 2));
	assert_int_equal(SYNC_OK, country_round(&c, 1));
	c.o.pause = work;
	assert_lists(c.site[2].db.db, ALL);
	assert_lists(c.site[1].db.db, "a a1 a2 b b1 c c1 c2 c3 d d1 e e1 ja jb jc1 jc2 je"); /* they are due: everybody's row leads there */
	assert_int_equal(1, number(db, "SELECT count(*) FROM sync_job"));
	settle_country(&c);
	assert_sites(&c, OF_1, "b b1 c c1 c2 c3 e e1 jb jc2 je", "");
	country_close(&c);
}

/* A page of a first load that began before. */
static void a_load_under_way_goes_by_what_is_chosen_now(void **state)
{
	struct country c;
	struct sync_db *db = open_country(&c, state);
	defer(sync_writer_freep) struct sync_writer *w = NULL;
	struct sync_header h = { .protocol = SYNC_PROTOCOL, .schema = 1, .program = "test", .site = c.site[0].line.site_id, .branch = "01234567" };
	struct sync_load token = { .active = true, .entity = "0master_list", .id = "a" };
	struct sync_end end = { 0 };
	struct sync_error seen = { 0 };

	assert_ok(sync_route(db, err));
	choose(db, "joined");
	assert_ok(sync_writer_new(&w, NULL, 1, 1 << 24, err));
	sync_writer_begin(w, &h, false);
	assert_ok(sync_db_begin(db, false, err));
	assert_int_equal(SYNC_EBUSY, sync_load_write(db, h.site, &token, 1 << 20, w, &end, &seen)); /* its job has not begun */
	assert_true(seen.retry_after_s > 0);
	sync_db_rollback(db);
	loopback_work(&c.site[0].line);
	end = (struct sync_end){ 0 };
	sync_writer_begin(w, &h, false);
	assert_ok(sync_db_begin(db, false, err));
	assert_ok(sync_load_write(db, h.site, &token, 1 << 20, w, &end, err));
	sync_db_rollback(db);
	assert_false(end.load.active);
	/* a once more and c, which are the site's own now; lines of a and c; two joins; names, stores, a unit and an item */
	assert_int_equal(2 + 5 + 2 + 3 + 3 + 2, sync_writer_records(w));
	country_close(&c);
}

static void edits_meanwhile_end_where_they_belong(void **state)
{
	struct country c;
	struct sync_db *db = open_country(&c, state);
	bool more = true;

	load_all(&c);
	choose(db, "joined");
	for (int i = 0; more; i++) {
		char id[16];

		assert_ok(sync_route_job(db, 1, &more, err));
		if (i == 3) /* lists are done, joins are not */
			PUT(db, "master_list", "a", "name", "changed"), del(db, "master_list_name_join", "jc1");
		if (i == 5)
			give(db, "jd", "d", "name3");
		if (i < 9) {
			snprintf(id, sizeof id, "d%d", i + 2);
			PUT(db, "master_list_line", id, "master_list_id", "d", "item_id", "item1");
		}
		assert_ok(sync_route(db, err));
	}
	settle_country(&c);
	assert_sites(&c, "a a1 a2 ja", OF_2, "d d1 d10 d2 d3 d4 d5 d6 d7 d8 d9 jd");
	assert_int_equal(1, number(c.site[0].db.db, "SELECT count(*) FROM master_list WHERE name = 'changed'"));
	country_close(&c);
}

/* One record at a time, and each time central begins anew. */
static void run_interrupted(struct testdb *t, int most)
{
	bool more = true;

	for (int i = 0; more && i < most; i++) {
		assert_ok(sync_route_job(t->db, 1, &more, err));
		sync_db_close(t->db);
		t->db = NULL;
		testdb_open(t, SYNC_CENTRAL);
	}
}

static void a_restart_after_each_record_makes_no_difference(void **state)
{
	struct testdb *t = testdb_of(state);

	testdb_open(t, SYNC_CENTRAL);
	add_store(t->db, 1, "store1", "name1");
	add_store(t->db, 2, "store2", "name2");
	put_lists(t->db);
	settle(t->db);
	choose(t->db, "joined");
	run_interrupted(t, 7);
	assert_int_equal(6, number(t->db, "SELECT done FROM sync_job")); /* once it found that there is no other list */
	run_interrupted(t, 100);
	assert_held(t->db, 0, "");
	assert_held(t->db, 1, OF_1);
	assert_held(t->db, 2, OF_2);
	choose(t->db, "everywhere");
	run_interrupted(t, 9);
	choose(t->db, "joined"); /* which ends what is under way */
	assert_int_equal(1, number(t->db, "SELECT count(*) FROM sync_job WHERE done = 0"));
	run_interrupted(t, 100);
	assert_held(t->db, 0, "");
	assert_held(t->db, 1, OF_1);
	assert_held(t->db, 2, OF_2);
	choose(t->db, "everywhere");
	run_interrupted(t, 100);
	assert_held(t->db, 0, ALL);
	assert_held(t->db, 1, "");
}

/* The list goes first and its lines after it, each in transactions of as many records as a chunk may have. */
static void lines_do_not_go_in_the_transaction_of_their_list(void **state)
{
	struct testdb *t = testdb_of(state);
	bool more;

	testdb_open(t, SYNC_CENTRAL);
	add_store(t->db, 1, "store1", "name1");
	put_lists(t->db);
	settle(t->db);
	choose(t->db, "joined");
	assert_ok(sync_route_job(t->db, 4, &more, err));
	assert_true(more);
	assert_held(t->db, 1, "a c");
	assert_held(t->db, 0, "a1 a2 b1 c1 c2 c3 d1 ja jb jc1 jc2");
}

static void a_job_of_a_version_with_other_entities_goes_on_where_it_was_or_begins_anew(void **state)
{
	static const char *const steps[] = { "master_list_name_join 0", "entity_of_yesterday 0" };
	struct testdb *t = testdb_of(state);

	testdb_open(t, SYNC_CENTRAL);
	add_store(t->db, 1, "store1", "name1");
	put_lists(t->db);
	settle(t->db);
	for (size_t i = 0; i < COUNT(steps); i++) {
		choose(t->db, "joined");
		run(t->db, "UPDATE sync_job SET step = '%s', last_id = 'zzz'", steps[i]);
		settle(t->db);
		assert_held(t->db, 1, i ? OF_1 : "a1 a2 c1 c2 c3");
		choose(t->db, "everywhere");
		settle(t->db);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TESTDB_BOTH(the_first_value_counts_until_another_is_chosen),
		TESTDB_BOTH(a_value_that_this_version_does_not_know_stops_everything_that_follows_routes),
		TESTDB_BOTH(what_one_process_chooses_another_goes_by),
		TESTDB_BOTH(nobody_routes_by_the_old_value_once_the_new_one_is_chosen),
		TESTDB_BOTH(lists_go_to_every_site_by_default),
		TESTDB_BOTH(a_site_loads_only_the_lists_that_are_its_stores),
		TESTDB_BOTH(choosing_brings_what_sites_lack_and_takes_what_is_not_theirs),
		TESTDB_BOTH(a_program_stays_where_its_list_does_not),
		TESTDB_BOTH(a_join_brings_its_list_and_takes_it_again),
		TESTDB_BOTH(a_line_follows_the_list_that_it_is_moved_to),
		TESTDB_BOTH(joins_change_nothing_while_lists_go_everywhere),
		TESTDB_BOTH(lists_follow_a_store_to_another_site),
		TESTDB_BOTH(lists_follow_the_name_of_a_store),
		TESTDB_BOTH(what_is_no_longer_due_is_not_sent_before_the_job_has_seen_it),
		TESTDB_BOTH(a_load_under_way_goes_by_what_is_chosen_now),
		TESTDB_BOTH(edits_meanwhile_end_where_they_belong),
		TESTDB_BOTH(a_restart_after_each_record_makes_no_difference),
		TESTDB_BOTH(lines_do_not_go_in_the_transaction_of_their_list),
		TESTDB_BOTH(a_job_of_a_version_with_other_entities_goes_on_where_it_was_or_begins_anew),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

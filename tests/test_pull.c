#include "routing.h"

#include <libsync/frame.h>
#include <libsync/time.h>

#include "db/tidy.h"
#include "exchange/integrate.h"

/* A central with site 1 (store s1 of name n1) and site 2, and what each pull has given. */
struct pulled {
	struct sync_db *db;
	struct sync_position at; /* of site 1 */
	char rest[SYNC_REST];
	bool held;
	struct sync_end end;
	struct sync_buf text;    /* "P item i, D invoice_line a of v" */
	int64_t nulls, versions; /* fields that are null, records that have a version */
	int64_t messages;
};

static void open_central(struct pulled *p, void **state)
{
	struct testdb *t = testdb_of(state);

	testdb_open(t, SYNC_CENTRAL);
	*p = (struct pulled){ .db = t->db, .text = { .max = 1 << 20 } };
	add_store(t->db, 1, "s1", "n1");
	add_store(t->db, 2, "s2", "n2");
	settle(t->db);
}

static void clear_pulled(struct pulled *p)
{
	sync_buf_clear(&p->text);
}

static void note_record(struct pulled *p, const struct sync_record *r)
{
	sync_buf_addf(&p->text, "%s%c %.*s %.*s", p->text.len ? ", " : "", (char)r->action, SYNC_VIEW(r->name),
		      SYNC_VIEW(r->id));
	if (r->action != SYNC_PUT && r->root.len && !sync_view_eq(r->root, r->id))
		sync_buf_addf(&p->text, " of %.*s", SYNC_VIEW(r->root));
	for (size_t i = 0; r->values && i < r->entity->n_fields; i++)
		p->nulls += r->values[i].kind == SYNC_NULL;
	p->versions += r->version.len > 0;
}

static void read_answer(struct pulled *p, struct sync_view body)
{
	defer(sync_reader_freep) struct sync_reader *r = NULL;
	defer(sync_arena_clear) struct sync_arena arena = { 0 };
	struct sync_header header;
	struct sync_verdict verdict;
	struct sync_record record;
	enum sync_frame kind = SYNC_FRAME_RECORD;
	struct sync_view line;

	assert_ok(sync_reader_new(&r, body, &sync_default_limits, err));
	assert_ok(sync_reader_header(r, &header, false, err));
	while (kind != SYNC_FRAME_END) {
		assert_ok(sync_reader_next(r, &arena, &kind, &record, &verdict, &p->end, &line, err));
		if (kind == SYNC_FRAME_RECORD)
			note_record(p, &record);
	}
	p->messages++;
}

static void begin_answer(struct sync_writer **w, struct sync_db *db)
{
	static const struct sync_header header = {
		.protocol = SYNC_PROTOCOL, .schema = SYNC_SCHEMA_VERSION, .program = "test", .site = 1, .branch = "01234567"
	};

	assert_ok(sync_writer_new(w, NULL, 1, 1 << 24, err));
	sync_writer_begin(*w, &header, false);
	assert_ok(sync_db_begin(db, false, err));
}

static void end_answer(struct pulled *p, struct sync_writer *w, struct sync_end *end)
{
	struct sync_view body;

	sync_db_rollback(p->db);
	assert_ok(sync_writer_end(w, end, &body, err));
	read_answer(p, body);
}

/* One answer to site 1; its text is added to what there is. */
static void pull_some(struct pulled *p, size_t want, int64_t chunk_max)
{
	defer(sync_writer_freep) struct sync_writer *w = NULL;
	const struct sync_ask ask = { 1, &p->at, p->rest, want, chunk_max };
	struct sync_end end = { 0 };

	begin_answer(&w, p->db);
	assert_ok(sync_pull_write(p->db, &ask, w, &end, &p->held, err));
	end_answer(p, w, &end);
	p->at = p->end.at;
	memcpy(p->rest, p->end.rest, sizeof p->rest);
}

static void assert_pulled(struct pulled *p, const char *expected)
{
	sync_buf_reset(&p->text);
	pull_some(p, 1 << 20, 1000);
	assert_string_equal(expected, p->text.len ? p->text.data : "");
	assert_int_equal(0, p->end.more);
}

static void a_pull_gives_everybodys_and_the_sites_own_and_nothing_twice(void **state)
{
	defer(clear_pulled) struct pulled p;

	open_central(&p, state);
	assert_pulled(&p, "P name n1, P store s1, P name n2, P store s2");
	PUT(p.db, "location", "l1", "store_id", "s1");
	PUT(p.db, "location", "l2", "store_id", "s2");
	PUT(p.db, "item", "i");
	settle(p.db);
	assert_pulled(&p, "P location l1, P item i");
	assert_pulled(&p, "");
}

static void an_empty_pull_leaves_the_position_as_it_was(void **state)
{
	defer(clear_pulled) struct pulled p;
	struct sync_position before;

	open_central(&p, state);
	assert_pulled(&p, "P name n1, P store s1, P name n2, P store s2");
	before = p.at;
	PUT(p.db, "location", "l2", "store_id", "s2");
	settle(p.db);
	assert_pulled(&p, "");
	assert_memory_equal(&before, &p.at, sizeof before);
}

static void what_a_site_wrote_itself_is_passed_over(void **state)
{
	defer(clear_pulled) struct pulled p;

	open_central(&p, state);
	assert_pulled(&p, "P name n1, P store s1, P name n2, P store s2");
	PUT(p.db, "location", "l", "store_id", "s1");
	PUT(p.db, "barcode", "b");
	made_by(p.db, 1);
	settle(p.db);
	PUT(p.db, "item", "i");
	settle(p.db);
	assert_pulled(&p, "P item i");
}

static void what_is_sent_again_is_sent_to_who_wrote_it(void **state)
{
	const struct sync_view ids[] = { sync_view_of("l1"), sync_view_of("l2"), sync_view_of("none") };
	defer(clear_pulled) struct pulled p;

	open_central(&p, state);
	assert_pulled(&p, "P name n1, P store s1, P name n2, P store s2");
	PUT(p.db, "location", "l1", "store_id", "s1");
	PUT(p.db, "location", "l2", "store_id", "s2");
	made_by(p.db, 1);
	settle(p.db);
	assert_ok(sync_resend(p.db, 1, sync_view_of("location"), ids, 3, err));
	settle(p.db);
	assert_pulled(&p, "P location l1, X location l2, X location none");
}

static void a_group_is_sent_whole_however_little_is_wanted(void **state)
{
	defer(clear_pulled) struct pulled p;
	char id[20];

	open_central(&p, state);
	assert_pulled(&p, "P name n1, P store s1, P name n2, P store s2");
	for (int i = 0; i < 3; i++) {
		snprintf(id, sizeof id, "v%d", i);
		PUT(p.db, "invoice", id, "store_id", "s1");
		settle(p.db);
	}
	for (int i = 0; i < 6; i++) {
		char parent[20];

		snprintf(id, sizeof id, "a%d", i);
		snprintf(parent, sizeof parent, "v%d", i % 3);
		PUT(p.db, "invoice_line", id, "invoice_id", parent);
		settle(p.db);
	}
	for (int i = 0; i < 3; i++) {
		char expected[100];

		sync_buf_reset(&p.text);
		pull_some(&p, 1, 1000);
		snprintf(expected, sizeof expected, "P invoice v%d, P invoice_line a%d, P invoice_line a%d", i, i, i + 3);
		assert_string_equal(expected, p.text.data);
		assert_int_equal(i < 2 ? 8 - i : 6, p.end.more); /* rows that went ahead of their turn are counted again */
	}
}

static void rows_that_went_with_their_group_are_not_sent_again_in_that_answer(void **state)
{
	defer(clear_pulled) struct pulled p;
	const char *found;
	char id[20];

	open_central(&p, state);
	PUT(p.db, "invoice", "v", "store_id", "s1");
	settle(p.db);
	for (int i = 0; i < 1200; i++) {
		snprintf(id, sizeof id, "i%04d", i);
		PUT(p.db, "item", id);
	}
	settle(p.db);
	PUT(p.db, "invoice_line", "a", "invoice_id", "v");
	settle(p.db);
	pull_some(&p, 1 << 24, 10000);
	assert_int_equal(1206, p.end.records);
	assert_non_null(strstr(p.text.data, "P invoice v, P invoice_line a, P item i0000"));
	found = strstr(p.text.data, "P invoice_line a");
	assert_null(strstr(found + 1, "P invoice_line a"));
	assert_pulled(&p, "");
}

static void at_most_so_many_records_are_sent(void **state)
{
	defer(clear_pulled) struct pulled p;

	open_central(&p, state);
	pull_some(&p, 1 << 20, 3);
	assert_int_equal(3, p.end.records);
	assert_int_equal(1, p.end.more);
	sync_buf_reset(&p.text);
	assert_pulled(&p, "P store s2");
}

static void deletes_and_drops_of_lines_name_their_group(void **state)
{
	defer(clear_pulled) struct pulled p;

	open_central(&p, state);
	PUT(p.db, "invoice", "v", "store_id", "s1");
	PUT(p.db, "invoice_line", "a", "invoice_id", "v");
	PUT(p.db, "invoice_line", "b", "invoice_id", "v");
	settle(p.db);
	pull_some(&p, 1 << 20, 1000);
	del(p.db, "invoice_line", "a");
	settle(p.db);
	PUT(p.db, "item", "i");
	settle(p.db);
	PUT(p.db, "invoice", "v", "comment", "less");
	settle(p.db);
	assert_pulled(&p, "P invoice v, D invoice_line a of v, P item i");
	PUT(p.db, "invoice", "v", "store_id", "s2");
	settle(p.db);
	assert_pulled(&p, "X invoice v, X invoice_line b of v");
	del(p.db, "invoice", "v");
	settle(p.db);
	assert_pulled(&p, "");
}

/* Central was restored, or refused them: it does not know of which group they are, and they take more than one page of rows. */
static void drops_of_lines_that_central_does_not_know_are_sent_however_many(void **state)
{
	enum { LINES = 600 };
	defer(clear_pulled) struct pulled p;
	char id[LINES][8];
	struct sync_view ids[LINES];

	open_central(&p, state);
	pull_some(&p, 1 << 20, 1000);
	for (int i = 0; i < LINES; i++) {
		(void)snprintf(id[i], sizeof id[i], "l%d", i);
		ids[i] = sync_view_of(id[i]);
	}
	assert_ok(sync_resend(p.db, 1, sync_view_of("invoice_line"), ids, LINES, err));
	settle(p.db);
	pull_some(&p, 1 << 20, 1000);
	assert_int_equal(LINES, p.end.records);
	assert_int_equal(0, p.end.more);
}

static void assert_held(struct pulled *p, const char *expected)
{
	sync_buf_reset(&p->text);
	pull_some(p, 1 << 20, 1000);
	assert_string_equal(expected, p->text.len ? p->text.data : "");
	assert_true(p->held);
	assert_true(p->end.more > 0);
}

static void a_record_that_is_no_longer_due_is_not_sent_and_its_drop_follows(void **state)
{
	defer(clear_pulled) struct pulled p;

	open_central(&p, state);
	assert_pulled(&p, "P name n1, P store s1, P name n2, P store s2");
	PUT(p.db, "location", "l", "store_id", "s1");
	PUT(p.db, "location", "m", "store_id", "s1");
	settle(p.db);
	PUT(p.db, "location", "l", "store_id", "s2");
	del(p.db, "location", "m");
	assert_held(&p, "");
	settle(p.db);
	assert_pulled(&p, "X location l, D location m");
}

static void a_drop_of_what_is_due_again_is_a_put(void **state)
{
	defer(clear_pulled) struct pulled p;

	open_central(&p, state);
	PUT(p.db, "location", "l", "store_id", "s1");
	settle(p.db);
	pull_some(&p, 1 << 20, 1000);
	PUT(p.db, "location", "l", "store_id", "s2");
	settle(p.db);
	PUT(p.db, "location", "l", "store_id", "s1");
	assert_held(&p, "");
	settle(p.db);
	assert_pulled(&p, "P location l");
}

static void what_a_job_is_about_to_take_and_another_gives_again_arrives(void **state)
{
	defer(clear_pulled) struct pulled p;

	open_central(&p, state);
	PUT(p.db, "name", "x", "type", "PATIENT");
	PUT(p.db, "name_store_join", "j", "name_id", "x", "store_id", "s1");
	settle(p.db);
	pull_some(&p, 1 << 20, 1000);
	run_sql(p.db, "UPDATE name SET comment = 'changed' WHERE id = 'x'");
	assert_ok(sync_route(p.db, err));
	del(p.db, "name_store_join", "j");
	assert_ok(sync_route(p.db, err));
	assert_held(&p, "");
	PUT(p.db, "name_store_join", "k", "name_id", "x", "store_id", "s1");
	settle(p.db);
	assert_pulled(&p, "P name x, D name_store_join j, P name_store_join k");
}

static void what_a_job_is_about_to_give_and_another_takes_again_leaves(void **state)
{
	defer(clear_pulled) struct pulled p;

	open_central(&p, state);
	PUT(p.db, "name", "x", "type", "PATIENT");
	PUT(p.db, "name_store_join", "j", "name_id", "x", "store_id", "s1");
	settle(p.db);
	pull_some(&p, 1 << 20, 1000);
	del(p.db, "name_store_join", "j");
	settle(p.db);
	PUT(p.db, "name_store_join", "k", "name_id", "x", "store_id", "s1");
	assert_ok(sync_route(p.db, err));
	pull_some(&p, 1 << 20, 1000);
	del(p.db, "name_store_join", "k");
	settle(p.db);
	assert_pulled(&p, "X name x, D name_store_join k");
}

static void a_record_of_both_streams_is_sent_once(void **state)
{
	defer(clear_pulled) struct pulled p;

	open_central(&p, state);
	PUT(p.db, "name", "x", "type", "FACILITY");
	PUT(p.db, "name_store_join", "j", "name_id", "x", "store_id", "s1");
	settle(p.db);
	pull_some(&p, 1 << 20, 1000);
	PUT(p.db, "name", "x", "type", "PATIENT");
	settle(p.db);
	assert_pulled(&p, "P name x");
	del(p.db, "name_store_join", "j");
	settle(p.db);
	assert_pulled(&p, "D name_store_join j, X name x");
}

static void positions_are_known_by_their_routing_transactions(void **state)
{
	defer(clear_pulled) struct pulled p;
	bool known;

	open_central(&p, state);
	assert_ok(sync_pull_known(p.db, &p.at, &known, err));
	assert_true(known);
	PUT(p.db, "location", "l", "store_id", "s1");
	settle(p.db);
	pull_some(&p, 1 << 20, 1000);
	assert_true(p.at.all.seq > 0 && p.at.own.seq > p.at.all.seq);
	assert_ok(sync_pull_known(p.db, &p.at, &known, err));
	assert_true(known);
	p.at.own.id[0] = 'x';
	assert_ok(sync_pull_known(p.db, &p.at, &known, err));
	assert_false(known);
	assert_ok(sync_pull_newest(p.db, 1, &p.at, err));
	assert_ok(sync_pull_known(p.db, &p.at, &known, err));
	assert_true(known);
	p.at.all.seq = p.at.own.seq += 1000;
	assert_ok(sync_pull_known(p.db, &p.at, &known, err));
	assert_false(known);
}

/* Rows may have moved up, over the place, in any routing transaction that was seen; central may lose that one alone. */
static void a_position_before_what_is_to_come_is_known_by_the_newest_routing_transaction(void **state)
{
	defer(clear_pulled) struct pulled p;
	bool known;

	open_central(&p, state);
	PUT(p.db, "location", "l1", "store_id", "s1");
	PUT(p.db, "location", "l2", "store_id", "s1");
	settle(p.db);
	PUT(p.db, "item", "i");
	settle(p.db);
	pull_some(&p, 1 << 20, 1);
	assert_true(p.end.more > 0);
	assert_ok(sync_pull_known(p.db, &p.at, &known, err));
	assert_true(known);
	run_sql(p.db, "DELETE FROM sync_routing WHERE seq = (SELECT max(seq) FROM sync_routing)");
	assert_ok(sync_pull_known(p.db, &p.at, &known, err));
	assert_false(known);

	PUT(p.db, "location", "l2", "store_id", "s1", "name", "new");
	settle(p.db);
	pull_some(&p, 1 << 20, 1000);
	assert_int_equal(0, p.end.more);
	PUT(p.db, "location", "l9", "store_id", "s2");
	settle(p.db);
	run_sql(p.db, "DELETE FROM sync_routing WHERE seq = (SELECT max(seq) FROM sync_routing)");
	assert_ok(sync_pull_known(p.db, &p.at, &known, err));
	assert_true(known);
}

/* what is not routed yet */

/* Two invoices of site 1 with two lines each, which it has. */
static void open_with_groups(struct pulled *p, void **state)
{
	static const char *const lines[] = { "va", "vb", "wa", "wb" };

	open_central(p, state);
	PUT(p->db, "invoice", "v", "store_id", "s1");
	PUT(p->db, "invoice", "w", "store_id", "s1");
	for (size_t i = 0; i < COUNT(lines); i++)
		PUT(p->db, "invoice_line", lines[i], "invoice_id", i < 2 ? "v" : "w");
	settle(p->db);
	pull_some(p, 1 << 20, 1000);
	sync_buf_reset(&p->text);
}

static void change_root(struct sync_db *db)
{
	PUT(db, "invoice", "v", "comment", "new");
}

static void change_line(struct sync_db *db)
{
	PUT(db, "invoice_line", "vb", "note", "new");
}

static void add_line(struct sync_db *db)
{
	PUT(db, "invoice_line", "vc", "invoice_id", "v");
}

static void delete_line(struct sync_db *db)
{
	del(db, "invoice_line", "vb");
}

static void move_line_out(struct sync_db *db)
{
	PUT(db, "invoice_line", "vb", "invoice_id", "w");
}

static void move_line_in(struct sync_db *db)
{
	PUT(db, "invoice_line", "wa", "invoice_id", "v");
}

static void resend_line(struct sync_db *db)
{
	const struct sync_view id = sync_view_of("vb");

	assert_ok(sync_resend(db, 1, sync_view_of("invoice_line"), &id, 1, err));
}

static void a_group_that_is_half_routed_is_not_sent(void **state)
{
	static const struct {
		void (*change)(struct sync_db *db);
		const char *whole;
	} cases[] = {
		{ change_root, "P invoice v, P invoice_line va" },
		{ change_line, "P invoice_line va, P invoice_line vb" },
		{ add_line, "P invoice_line va, P invoice_line vc" },
		{ delete_line, "P invoice_line va, D invoice_line vb of v" },
		{ move_line_out, "P invoice_line va, P invoice_line vb" },
		{ move_line_in, "P invoice_line va, P invoice_line wa" },
		{ resend_line, "P invoice_line va, P invoice_line vb" },
	};
	defer(clear_pulled) struct pulled p;

	open_with_groups(&p, state);
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct sync_position before = p.at;

		PUT(p.db, "invoice_line", "va", "note", "half");
		settle(p.db);
		cases[i].change(p.db);
		assert_held(&p, "");
		assert_memory_equal(&before, &p.at, sizeof before);
		settle(p.db);
		assert_pulled(&p, cases[i].whole);
		PUT(p.db, "invoice_line", "vb", "invoice_id", "v");
		PUT(p.db, "invoice_line", "wa", "invoice_id", "w");
		settle(p.db);
		pull_some(&p, 1 << 20, 1000);
	}
}

static void what_comes_before_a_group_that_is_half_routed_is_sent(void **state)
{
	defer(clear_pulled) struct pulled p;

	open_with_groups(&p, state);
	PUT(p.db, "item", "i");
	PUT(p.db, "invoice", "w", "comment", "whole");
	settle(p.db);
	PUT(p.db, "invoice", "v", "comment", "half");
	settle(p.db);
	PUT(p.db, "item", "k");
	settle(p.db);
	change_line(p.db);
	assert_held(&p, "P item i, P invoice w");
	assert_held(&p, "");
	settle(p.db);
	assert_pulled(&p, "P invoice v, P invoice_line vb, P item k");
	assert_false(p.held);
}

static void groups_that_are_routed_do_not_wait_for_others(void **state)
{
	defer(clear_pulled) struct pulled p;

	open_with_groups(&p, state);
	PUT(p.db, "invoice", "w", "comment", "whole");
	PUT(p.db, "item", "i");
	settle(p.db);
	change_root(p.db);
	change_line(p.db);
	assert_pulled(&p, "P invoice w, P item i");
}

/* Its content is later than the place that the answer would name: were it lost, the site would not see that. */
static void a_record_that_is_changed_waits_until_that_is_routed(void **state)
{
	defer(clear_pulled) struct pulled p;

	open_central(&p, state);
	pull_some(&p, 1 << 20, 1000);
	PUT(p.db, "item", "i");
	settle(p.db);
	PUT(p.db, "item", "i", "name", "new");
	assert_held(&p, "");
	settle(p.db);
	assert_pulled(&p, "P item i");
}

/* Beyond what is told apart of the queue, all waits until it is shorter. */
static void a_queue_too_long_to_look_through_holds_all(void **state)
{
	static const char flood[] = "INSERT INTO sync_changelog(entity, record_id, action, source, at_us)"
				    "    SELECT 'invoice', CAST(t.n AS text), 'R', 2, 0 FROM ("
				    "    WITH RECURSIVE list(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM list WHERE n < 10001)"
				    "    SELECT n FROM list) t";
	defer(clear_pulled) struct pulled p;

	open_with_groups(&p, state);
	PUT(p.db, "item", "i");
	settle(p.db);
	PUT(p.db, "invoice", "w", "comment", "whole");
	settle(p.db);
	run_sql(p.db, flood);
	assert_held(&p, "");
	settle(p.db);
	assert_pulled(&p, "P item i, P invoice w");
}

/* groups in parts */

/* Answers of two records each, until there are no more: "P invoice v, P invoice_line va | P invoice_line vb". */
static void pull_parts(struct pulled *p, const char *expected)
{
	sync_buf_reset(&p->text);
	for (int i = 0; i < 20 && (!i || p->end.more > 0); i++) {
		if (i)
			sync_buf_add_text(&p->text, " |");
		pull_some(p, 1 << 20, 2);
	}
	assert_string_equal(expected, p->text.len ? p->text.data : "");
	assert_string_equal("", p->rest);
}

static void put_lines(struct sync_db *db, const char *invoice, int n)
{
	for (int i = 1; i <= n; i++) {
		char id[16];

		snprintf(id, sizeof id, "%s%d", invoice, i);
		PUT(db, "invoice_line", id, "invoice_id", invoice);
	}
}

static void put_group(struct sync_db *db, const char *id, int n)
{
	PUT(db, "invoice", id, "store_id", "s1");
	put_lines(db, id, n);
	settle(db);
}

static void a_group_larger_than_an_answer_goes_in_parts(void **state)
{
	defer(clear_pulled) struct pulled p;
	struct sync_position before;

	open_central(&p, state);
	pull_some(&p, 1 << 20, 1000);
	before = p.at;
	put_group(p.db, "v", 4);
	sync_buf_reset(&p.text);
	for (int i = 0; i < 2; i++) {
		pull_some(&p, 1 << 20, 2);
		assert_memory_equal(&before, &p.at, sizeof before);
		assert_int_equal(i > 0, p.end.from[0] != 0);
		assert_true(p.end.rest[0] && p.end.more > 0);
	}
	pull_some(&p, 1 << 20, 2);
	assert_true(p.end.from[0] && !p.end.rest[0]);
	assert_true(p.at.own.seq > before.own.seq);
	assert_string_equal("P invoice v, P invoice_line v1, P invoice_line v2, P invoice_line v3, P invoice_line v4", p.text.data);
	assert_pulled(&p, "");
}

static void large_groups_follow_each_other_and_small_ones(void **state)
{
	defer(clear_pulled) struct pulled p;

	open_central(&p, state);
	pull_some(&p, 1 << 20, 1000);
	PUT(p.db, "location", "l", "store_id", "s1");
	put_group(p.db, "v", 3);
	put_group(p.db, "w", 2);
	put_group(p.db, "x", 1);
	PUT(p.db, "item", "i");
	settle(p.db);
	pull_parts(&p, "P location l |, P invoice v, P invoice_line v1 |, P invoice_line v2, P invoice_line v3 |,"
		       " P invoice w, P invoice_line w1 |, P invoice_line w2 |, P invoice x, P invoice_line x1 |, P item i");
}

/* Its rows are not sent again, though they stand behind the first ones by more than a page. */
static void rows_of_a_large_group_are_passed_with_its_last_part(void **state)
{
	defer(clear_pulled) struct pulled p;

	open_central(&p, state);
	pull_some(&p, 1 << 20, 1000);
	put_group(p.db, "v", 1200);
	PUT(p.db, "item", "i");
	settle(p.db);
	for (int i = 0; i < 4; i++)
		pull_some(&p, 1 << 24, 301);
	assert_int_equal(1201 - 3 * 301, p.end.records);
	assert_int_equal(1, p.end.more);
	assert_pulled(&p, "P item i");
}

static void deletes_and_drops_go_in_parts_as_well(void **state)
{
	defer(clear_pulled) struct pulled p;

	open_central(&p, state);
	put_group(p.db, "v", 4);
	pull_some(&p, 1 << 20, 1000);
	PUT(p.db, "invoice", "v", "store_id", "s2");
	settle(p.db);
	pull_parts(&p, "X invoice v, X invoice_line v1 of v |, X invoice_line v2 of v, X invoice_line v3 of v |,"
		       " X invoice_line v4 of v");
}

/* What happens to the group v between two of its parts; it is seen when it is routed, or at once. */
struct between {
	void (*change)(struct sync_db *db);
	bool routed;
	const char *then;
};

static void grow(struct sync_db *db)
{
	PUT(db, "invoice_line", "v5", "invoice_id", "v");
}

static void change_what_was_sent(struct sync_db *db)
{
	PUT(db, "invoice_line", "v1", "note", "new");
}

static void delete_what_was_not(struct sync_db *db)
{
	del(db, "invoice_line", "v4");
}

static void give_away(struct sync_db *db)
{
	PUT(db, "invoice", "v", "store_id", "s2");
}

static void move_store(struct sync_db *db)
{
	run_sql(db, "UPDATE sync_store SET site_id = 2 WHERE store_id = 's1'");
}

static void a_group_that_changes_between_its_parts_begins_again(void **state)
{
	static const struct between cases[] = {
		{ grow, true,
		  "P invoice v, P invoice_line v1 |, P invoice_line v2, P invoice_line v3 |, P invoice_line v4, P invoice_line v5" },
		{ change_what_was_sent, true,
		  "P invoice v, P invoice_line v1 |, P invoice_line v2, P invoice_line v3 |, P invoice_line v4" },
		{ delete_what_was_not, true,
		  "P invoice v, P invoice_line v1 |, P invoice_line v2, P invoice_line v3 |, D invoice_line v4 of v" },
		{ give_away, true, "X invoice v, X invoice_line v1 of v |, X invoice_line v2 of v, X invoice_line v3 of v |, X invoice_line v4 of v" },
		{ move_store, false, "" },
	};
	defer(clear_pulled) struct pulled p;

	open_central(&p, state);
	for (size_t i = 0; i < COUNT(cases); i++) {
		run_sql(p.db, "DELETE FROM invoice_line; DELETE FROM invoice");
		settle(p.db);
		pull_some(&p, 1 << 20, 1000);
		put_group(p.db, "v", 4);
		pull_some(&p, 1 << 20, 2);
		assert_true(p.rest[0]);
		cases[i].change(p.db);
		if (cases[i].routed)
			settle(p.db);
		pull_parts(&p, cases[i].then);
	}
}

static void the_next_part_waits_for_what_is_not_routed(void **state)
{
	defer(clear_pulled) struct pulled p;
	char rest[SYNC_REST];

	open_central(&p, state);
	put_group(p.db, "v", 4);
	pull_some(&p, 1 << 20, 4);
	sync_buf_reset(&p.text);
	pull_some(&p, 1 << 20, 2);
	memcpy(rest, p.rest, sizeof rest);
	PUT(p.db, "invoice_line", "v4", "note", "new");
	pull_some(&p, 1 << 20, 2);
	assert_true(p.held);
	assert_int_equal(0, p.end.records);
	assert_string_equal(rest, p.rest);
	settle(p.db);
	pull_parts(&p, "P invoice v, P invoice_line v1 |, P invoice_line v2, P invoice_line v3 |, P invoice_line v4");
}

static void a_token_of_nothing_begins_the_group(void **state)
{
	static const char *const ends[] = { " invoice_line v1", " item v1", " invoice_line", " ", "" };
	defer(clear_pulled) struct pulled p;
	char state_of[80];

	open_central(&p, state);
	pull_some(&p, 1 << 20, 1000);
	put_group(p.db, "v", 4);
	pull_some(&p, 1 << 20, 2);
	snprintf(state_of, sizeof state_of, "%.*s", (int)strcspn(p.rest, " "), p.rest);
	for (size_t i = 0; i < COUNT(ends); i++) {
		snprintf(p.rest, sizeof p.rest, "%s%s", state_of, ends[i]);
		sync_buf_reset(&p.text);
		pull_some(&p, 1 << 20, 2);
		assert_string_equal(i ? "P invoice v, P invoice_line v1" : "P invoice_line v2, P invoice_line v3", p.text.data);
	}
	snprintf(p.rest, sizeof p.rest, "1%s invoice_line v1", state_of);
	sync_buf_reset(&p.text);
	pull_some(&p, 1 << 20, 2);
	assert_string_equal("P invoice v, P invoice_line v1", p.text.data);
}

/* first loads */

static void load_page(struct pulled *p, size_t want)
{
	defer(sync_writer_freep) struct sync_writer *w = NULL;
	struct sync_load load = p->end.load;
	struct sync_end end = { 0 };

	begin_answer(&w, p->db);
	assert_ok(sync_load_write(p->db, 1, &load, want, w, &end, err));
	end_answer(p, w, &end);
	assert_int_equal(load.total, p->end.load.total);
}

/* A whole load, from its first page on. */
static void load(struct pulled *p, size_t want)
{
	sync_buf_reset(&p->text);
	p->nulls = p->versions = p->messages = 0;
	p->end = (struct sync_end){ 0 };
	assert_ok(sync_load_total(p->db, 1, &p->end.load.total, err));
	do
		load_page(p, want);
	while (p->end.load.active);
	assert_int_equal(p->end.load.total, p->end.load.done);
}

static void a_first_load_gives_all_that_is_due_in_order(void **state)
{
	static const char expected[] =
	    "P item i, P item k, P name n1, P name n2, P name pat, P store s1, P store s2, P location l1, P name_store_join j,"
	    " P encounter e, P invoice v, P invoice_line va";
	defer(clear_pulled) struct pulled p;

	open_central(&p, state);
	PUT(p.db, "item", "i");
	PUT(p.db, "item", "k");
	PUT(p.db, "item", "gone");
	PUT(p.db, "name", "pat", "type", "PATIENT");
	PUT(p.db, "name", "other", "type", "PATIENT");
	PUT(p.db, "name_store_join", "j", "name_id", "pat", "store_id", "s1");
	PUT(p.db, "encounter", "e", "patient_id", "pat");
	PUT(p.db, "location", "l1", "store_id", "s1");
	PUT(p.db, "location", "l2", "store_id", "s2");
	PUT(p.db, "invoice", "v", "store_id", "s1");
	PUT(p.db, "invoice_line", "va", "invoice_id", "v");
	made_by(p.db, 1);
	settle(p.db);
	del(p.db, "item", "gone");
	settle(p.db);
	load(&p, 1 << 20);
	assert_int_equal(1, p.messages);
	assert_int_equal(12, p.end.load.total);
	assert_int_equal(strlen(expected), p.text.len); /* the same records */
	load(&p, 1);
	assert_int_equal(12, p.end.load.total);
	assert_int_equal(13, p.messages); /* the last one finds nothing more */
	assert_int_equal(strlen(expected), p.text.len);
	assert_true(strstr(p.text.data, "P name n1") < strstr(p.text.data, "P store s1"));
	assert_true(strstr(p.text.data, "P store s1") < strstr(p.text.data, "P invoice v"));
	assert_true(strstr(p.text.data, "P invoice v,") < strstr(p.text.data, "P invoice_line va"));
}

static void a_first_load_has_no_nulls_and_has_versions_and_unknown_fields(void **state)
{
	defer(clear_pulled) struct pulled p;

	open_central(&p, state);
	PUT(p.db, "location", "l", "store_id", "s1", "location_type_id", "");
	settle(p.db);
	run_sql(p.db, "INSERT INTO sync_version(entity, record_id, version, edited_us, received_us, creator, deleted)"
		      "    VALUES ('name', 'n1', '1.01234567.5', 0, 0, 1, 0);"
		      "INSERT INTO sync_extra(entity, record_id, data) VALUES ('name', 'n2', '{\"colour\":\"red\"}')");
	load(&p, 1 << 20);
	assert_int_equal(0, p.nulls);
	assert_int_equal(1, p.versions);
	assert_int_equal(5, p.end.load.done);
}

static void what_is_no_longer_due_is_not_loaded(void **state)
{
	defer(clear_pulled) struct pulled p;

	open_central(&p, state);
	PUT(p.db, "location", "l", "store_id", "s1");
	PUT(p.db, "name", "x", "type", "FACILITY");
	settle(p.db);
	PUT(p.db, "location", "l", "store_id", "s2");
	PUT(p.db, "name", "x", "type", "PATIENT");
	load(&p, 1 << 20);
	assert_string_equal("P name n1, P name n2, P store s1, P store s2", p.text.data);
}

static void a_load_that_goes_on_from_nowhere_is_refused(void **state)
{
	static const char *const tokens[] = { "item", "2item", "0nothing", "0", "" };
	defer(clear_pulled) struct pulled p;
	struct sync_error seen;

	open_central(&p, state);
	for (size_t i = 0; *tokens[i]; i++) {
		defer(sync_writer_freep) struct sync_writer *w = NULL;
		struct sync_load token = { .active = true };
		struct sync_end end = { 0 };

		snprintf(token.entity, sizeof token.entity, "%s", tokens[i]);
		begin_answer(&w, p.db);
		assert_int_equal(SYNC_EBADREQUEST, sync_load_write(p.db, 1, &token, 1 << 20, w, &end, &seen));
		assert_non_null(strstr(seen.text, tokens[i]));
		sync_db_rollback(p.db);
	}
}

/* how SQLite looks things up */

/* A driver that explains each statement before it runs it. */
static struct {
	struct sync_db_ops ops;
	bool on;
	struct sync_buf plans; /* one step per line */
	char *kept[64];        /* a statement's text lives as long as the handle */
	size_t n_kept;
} spy;

static enum sync_status take_plan(void *ctx, const struct sync_value *v, size_t n, struct sync_error *err)
{
	(void)ctx;
	sync_buf_addf(&spy.plans, "%.*s\n", SYNC_VIEW(v[n - 1].s));
	return sync_buf_check(&spy.plans, err);
}

static enum sync_status run_explained(struct sync_db *db, const char *sql, const struct sync_value *v, size_t n,
				      sync_row_fn *fn, void *ctx, struct sync_error *err)
{
	if (spy.on && (!strncmp(sql, "SELECT", 6) || !strncmp(sql, "DELETE", 6))) {
		char **kept = &spy.kept[spy.n_kept++];

		assert_true(spy.n_kept <= COUNT(spy.kept));
		assert_true(asprintf(kept, "EXPLAIN QUERY PLAN %s", sql) > 0);
		TRY(sync_sqlite.run(db, *kept, v, n, take_plan, NULL, err));
	}
	return sync_sqlite.run(db, sql, v, n, fn, ctx, err);
}

/* The same database, once more opened. */
static struct sync_db *start_spying(struct testdb *t)
{
	const struct sync_db_ops *const drivers[] = { &spy.ops, NULL };

	sync_db_close(t->db);
	spy.ops = sync_sqlite;
	spy.ops.run = run_explained;
	spy.plans.max = 1 << 20;
	assert_ok(sync_db_open(&t->db, t->url, drivers, SYNC_CENTRAL, false, err));
	spy.on = true;
	return t->db;
}

static void end_spying(struct testdb *t)
{
	sync_db_close(t->db);
	t->db = NULL;
	spy.on = false;
	sync_buf_clear(&spy.plans);
	while (spy.n_kept)
		free(spy.kept[--spy.n_kept]);
}

static void assert_no_plan_has(const char *words)
{
	if (strstr(spy.plans.data, words))
		fail_msg("'%s' in:\n%s", words, spy.plans.data);
}

/* A pull costs what it gives, not what there is. */
static void nothing_is_gone_through_that_is_not_sent(void **state)
{
	defer(clear_pulled) struct pulled p;
	struct testdb *t = testdb_of(state);

	open_central(&p, state);
	PUT(p.db, "invoice", "v", "store_id", "s1", "name_id", "n2");
	PUT(p.db, "invoice_line", "a", "invoice_id", "v");
	PUT(p.db, "name", "pat", "type", "PATIENT");
	PUT(p.db, "encounter", "e", "patient_id", "pat");
	PUT(p.db, "name_store_join", "j", "name_id", "pat", "store_id", "s1");
	settle(p.db);
	p.db = start_spying(t);
	pull_some(&p, 1 << 20, 1000);
	assert_int_equal(9, p.end.records);
	assert_non_null(spy.plans.data);
	assert_no_plan_has("SCAN sync_outbox"); /* of the queue the first row is looked for, and there is none */
	assert_no_plan_has("SCAN sync_routing");
	assert_no_plan_has("SCAN sync_version");
	assert_no_plan_has("SCAN sync_extra");
	assert_no_plan_has("SCAN o\n");
	assert_no_plan_has("SCAN t\n");
	assert_no_plan_has("SCAN c\n");
	assert_no_plan_has("sync_outbox USING PRIMARY KEY (site_id=?)");
	assert_no_plan_has("o USING PRIMARY KEY (site_id=?)");
	assert_no_plan_has("o USING INDEX sync_outbox_seq");
	end_spying(t);
}

/* What is forgotten costs what there are tombstones, not what there is. */
static void no_tombstone_is_looked_for_among_all_rows(void **state)
{
	const struct sync_checkpoint newest = { .seq = 1000, .ordinal = 1024 };
	defer(clear_pulled) struct pulled p;
	struct testdb *t = testdb_of(state);

	open_central(&p, state);
	PUT(p.db, "item", "i");
	settle(p.db);
	run_sql(p.db, "DELETE FROM item; UPDATE sync_routing SET at_us = 1");
	settle(p.db);
	p.db = start_spying(t);
	assert_ok(sync_tidy(p.db, &newest, sync_now_us(), err));
	assert_non_null(spy.plans.data);
	assert_no_plan_has("SCAN sync_outbox");
	assert_no_plan_has("sync_outbox USING PRIMARY KEY");
	assert_no_plan_has("sync_outbox USING INDEX sync_outbox_seq");
	end_spying(t);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TESTDB_BOTH(a_pull_gives_everybodys_and_the_sites_own_and_nothing_twice),
		TESTDB_BOTH(an_empty_pull_leaves_the_position_as_it_was),
		TESTDB_BOTH(what_a_site_wrote_itself_is_passed_over),
		TESTDB_BOTH(what_is_sent_again_is_sent_to_who_wrote_it),
		TESTDB_BOTH(a_group_is_sent_whole_however_little_is_wanted),
		TESTDB_BOTH(rows_that_went_with_their_group_are_not_sent_again_in_that_answer),
		TESTDB_BOTH(at_most_so_many_records_are_sent),
		TESTDB_BOTH(deletes_and_drops_of_lines_name_their_group),
		TESTDB_BOTH(drops_of_lines_that_central_does_not_know_are_sent_however_many),
		TESTDB_BOTH(a_record_that_is_no_longer_due_is_not_sent_and_its_drop_follows),
		TESTDB_BOTH(a_drop_of_what_is_due_again_is_a_put),
		TESTDB_BOTH(what_a_job_is_about_to_take_and_another_gives_again_arrives),
		TESTDB_BOTH(what_a_job_is_about_to_give_and_another_takes_again_leaves),
		TESTDB_BOTH(a_record_of_both_streams_is_sent_once),
		TESTDB_BOTH(positions_are_known_by_their_routing_transactions),
		TESTDB_BOTH(a_position_before_what_is_to_come_is_known_by_the_newest_routing_transaction),
		TESTDB_BOTH(a_group_that_is_half_routed_is_not_sent),
		TESTDB_BOTH(what_comes_before_a_group_that_is_half_routed_is_sent),
		TESTDB_BOTH(groups_that_are_routed_do_not_wait_for_others),
		TESTDB_BOTH(a_record_that_is_changed_waits_until_that_is_routed),
		TESTDB_BOTH(a_queue_too_long_to_look_through_holds_all),
		TESTDB_BOTH(a_group_larger_than_an_answer_goes_in_parts),
		TESTDB_BOTH(large_groups_follow_each_other_and_small_ones),
		TESTDB_BOTH(rows_of_a_large_group_are_passed_with_its_last_part),
		TESTDB_BOTH(deletes_and_drops_go_in_parts_as_well),
		TESTDB_BOTH(a_group_that_changes_between_its_parts_begins_again),
		TESTDB_BOTH(the_next_part_waits_for_what_is_not_routed),
		TESTDB_BOTH(a_token_of_nothing_begins_the_group),
		TESTDB_BOTH(a_first_load_gives_all_that_is_due_in_order),
		TESTDB_BOTH(a_first_load_has_no_nulls_and_has_versions_and_unknown_fields),
		TESTDB_BOTH(what_is_no_longer_due_is_not_loaded),
		TESTDB_BOTH(a_load_that_goes_on_from_nowhere_is_refused),
		TESTDB_ON(nothing_is_gone_through_that_is_not_sent, TESTDB_SQLITE, "SQLite"),
		TESTDB_ON(no_tombstone_is_looked_for_among_all_rows, TESTDB_SQLITE, "SQLite"),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

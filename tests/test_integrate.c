#include "faulty_db.h"
#include "testdb.h"

#include <libsync/records.h>

#include "exchange/integrate.h"
#include "exchange/route.h"

/*
 * Integration at central and at a site. Central has two sites, 7 with the stores s1 and s3 and 8 with s2; the item i1, the supplier n1
 * and the patient p8, whom site 8 made and sees.
 */

enum { MOST = 64, NOW = 1000 };
#define US(minutes) ((int64_t)(minutes) * 60 * 1000000)

/* One record frame. What `set` does not mention gets some value where the declaration requires one, unless the edit is bare. */
struct edit {
	enum sync_action action;
	const char *entity, *id;
	const char *set[13]; /* field, value, …; "" is null */
	int64_t seq;
	const char *root;    /* of deletes and drops */
	const char *version, *base;
	int64_t age_ms;
	bool bare;
};

/* Edits as a receiver has them. */
struct message {
	struct sync_arena arena;
	struct sync_record r[MOST];
	struct sync_view lines[MOST];
	size_t n;
};

static void clear_message(struct message *m)
{
	sync_arena_clear(&m->arena);
}

static const char *some_text(const struct sync_field *f)
{
	static const char *const known[][2] = { { "store", "s1" }, { "item", "i1" }, { "name", "n1" } };

	for (size_t i = 0; f->refers && i < COUNT(known); i++)
		if (!strcmp(f->refers, known[i][0]))
			return known[i][1];
	return f->type == SYNC_ENUM ? f->values[0] : f->type == SYNC_TIME ? "2024-02-29T12:00:00" : f->type == SYNC_DATE ? "2024-02-29" :
	       f->type == SYNC_JSON ? "{}" : "x";
}

static struct sync_value value_of(const struct sync_field *f, const char *text)
{
	if (!*text)
		return sync_null();
	switch (f->type) {
	case SYNC_BOOLEAN:
	case SYNC_INTEGER:
	case SYNC_BIGINT:
		return sync_int(atoll(text));
	case SYNC_REAL:
		return (struct sync_value){ .kind = SYNC_DOUBLE, .d = atof(text) };
	default:
		return sync_text(text);
	}
}

static void fill_in(struct sync_value *values, const struct sync_entity *e, const struct edit *edit)
{
	for (size_t i = 1; i < e->n_fields; i++) {
		const struct sync_field *f = &e->fields[i];

		values[i] = (struct sync_value){ .kind = SYNC_ABSENT };
		if (f->required && !edit->bare)
			values[i] = value_of(f, f->type >= SYNC_BOOLEAN ? "1" : some_text(f));
		for (size_t k = 0; edit->set[k]; k += 2)
			if (!strcmp(edit->set[k], f->name))
				values[i] = value_of(f, edit->set[k + 1]);
	}
}

static void add_edit(struct message *m, const struct edit *edit)
{
	const struct sync_entity *e = sync_entity_find(sync_view_of(edit->entity));
	struct sync_value values[SYNC_MAX_FIELDS] = { { SYNC_ABSENT } };
	struct sync_record r = {
		.entity = e, .name = sync_view_of(edit->entity), .id = sync_view_of(edit->id), .action = edit->action, .seq = edit->seq,
		.root = sync_view_of(edit->root), .version = sync_view_of(edit->version), .base = sync_view_of(edit->base),
		.age_ms = edit->age_ms,
	};
	defer(sync_buf_clear) struct sync_buf line = { .max = 1 << 20 };

	assert_non_null(e);
	if (edit->action == SYNC_PUT) {
		fill_in(values, e, edit);
		r.values = values;
	}
	sync_record_write(&line, &r);
	assert_int_equal(SYNC_OK, line.status);
	m->lines[m->n] = sync_arena_copy(&m->arena, sync_buf_view(&line));
	assert_ok(sync_record_read(&m->r[m->n], &m->arena, m->lines[m->n], &sync_default_limits, err));
	m->n++;
}

static void add_line(struct message *m, const char *line)
{
	m->lines[m->n] = sync_arena_copy(&m->arena, sync_view_of(line));
	assert_ok(sync_record_read(&m->r[m->n], &m->arena, m->lines[m->n], &sync_default_limits, err));
	m->n++;
}

static struct sync_intake from(int64_t source)
{
	return (struct sync_intake){ .source = source, .now_us = US(NOW), .branch = "0a0b0c0d" };
}

static enum sync_status take(struct sync_db *db, const struct sync_intake *in, const struct message *m, struct sync_outcome *ret,
                             struct sync_error *err)
{
	enum sync_status status;

	TRY(sync_db_begin(db, true, err));
	status = sync_integrate(db, in, m->r, m->lines, m->n, ret, err);
	if (status == SYNC_OK)
		return sync_db_commit(db, err);
	sync_db_rollback(db);
	return status;
}

static struct sync_outcome receive(struct sync_db *db, struct sync_intake in, const struct edit *edits, size_t n)
{
	defer(clear_message) struct message m = { 0 };
	struct sync_outcome outcome = { 0 };

	for (size_t i = 0; i < n; i++)
		add_edit(&m, &edits[i]);
	assert_ok(take(db, &in, &m, &outcome, err));
	return outcome;
}

#define RECEIVE(db, in, ...) \
	receive(db, in, (const struct edit[]){ __VA_ARGS__ }, COUNT(((const struct edit[]){ __VA_ARGS__ })))

static void retry(struct sync_db *db)
{
	bool more = true;

	while (more) {
		assert_ok(sync_db_begin(db, true, err));
		assert_ok(sync_integrate_waiting(db, US(NOW), 1000, &more, err));
		assert_ok(sync_db_commit(db, err));
	}
}

static void run(struct sync_db *db, const char *sql)
{
	assert_ok(sync_db_script(db, sql, err));
}

/* sql is a literal */
static int64_t number(struct sync_db *db, const char *sql)
{
	int64_t n;

	assert_ok(sync_db_number(db, sql, SYNC_NOARGS, -1, &n, err));
	return n;
}

static void make_central(struct sync_db *db)
{
	run(db, "INSERT INTO sync_site(site_id, name, created_us, branch, in_ordinal, in_id, in_upto, in_highest, in_integrated, spooled,"
	        " all_seq, all_id, own_seq, own_id, verdict, verdict_seen, loaded, unpushed)"
	        " VALUES (7, 'Seven', 0, '', 0, '', 0, 0, 0, 0, 0, '', 0, '', 0, 0, 1, 0),"
	        "        (8, 'Eight', 0, '', 0, '', 0, 0, 0, 0, 0, '', 0, '', 0, 0, 1, 0)");
	run(db, "INSERT INTO sync_store(store_id, site_id, notice) VALUES ('s1', 7, 0), ('s2', 8, 0), ('s3', 7, 0)");
	RECEIVE(db, from(0), { SYNC_PUT, "name", "n1", { "type", "STORE" } }, { SYNC_PUT, "item", "i1" }, { SYNC_PUT, "store", "s1" },
	        { SYNC_PUT, "store", "s2" }, { SYNC_PUT, "store", "s3" });
	RECEIVE(db, from(8), { SYNC_PUT, "name", "p8", { "type", "PATIENT", "name", "Awa" }, .seq = 1 },
	        { SYNC_PUT, "name_store_join", "j8", { "name_id", "p8", "store_id", "s2" }, .seq = 2 });
	run(db, "DELETE FROM sync_changelog");
	assert_int_equal(1, number(db, "SELECT count(*) FROM name_store_join"));
}

static struct sync_db *central(void **state)
{
	struct testdb *t = testdb_of(state);

	testdb_open(t, SYNC_CENTRAL);
	make_central(t->db);
	return t->db;
}

/* Nothing that was to be rolled back, taken or consumed is left. */
static void assert_clean(struct sync_db *db)
{
	assert_int_equal(0, number(db, "SELECT count(*) FROM sync_mark"));
}

static void an_edit_of_an_own_store_is_applied_and_captured_with_its_source(void **state)
{
	struct sync_db *db = central(state);
	struct sync_outcome o = RECEIVE(db, from(7), { SYNC_PUT, "stocktake", "t1", { "description", "first" }, .seq = 1 },
	                                { SYNC_PUT, "stocktake_line", "l1", { "stocktake_id", "t1" }, .seq = 2 },
	                                { SYNC_PUT, "location", "o1", .seq = 3 });

	assert_int_equal(3, o.applied);
	assert_int_equal(0, o.waiting + o.refused + o.conflicts);
	assert_int_equal(3, number(db, "SELECT count(*) FROM sync_changelog WHERE source = 7 AND action = 'P'"));
	assert_int_equal(3, number(db, "SELECT count(*) FROM sync_changelog"));
	assert_int_equal(0, number(db, "SELECT count(*) FROM sync_verdict"));

	o = RECEIVE(db, from(7), { SYNC_DELETE, "stocktake", "t1", .seq = 4 },
	            { SYNC_DELETE, "stocktake_line", "l1", .root = "t1", .seq = 5 });
	assert_int_equal(2, o.applied);
	assert_int_equal(0, number(db, "SELECT count(*) FROM stocktake_line"));
	assert_int_equal(2, number(db, "SELECT count(*) FROM sync_changelog WHERE source = 7 AND action = 'D'"));
	run(db, "UPDATE location SET code = 'by hand'");
	assert_int_equal(1, number(db, "SELECT count(*) FROM sync_changelog WHERE source = 0"));
	assert_clean(db);
}

static void a_bad_line_makes_its_group_wait_and_no_other(void **state)
{
	struct sync_db *db = central(state);
	struct sync_outcome o =
		RECEIVE(db, from(7), { SYNC_PUT, "stocktake", "t1", .seq = 1 }, { SYNC_PUT, "stocktake_line", "l1", { "stocktake_id", "t1" }, .seq = 2 },
	                { SYNC_PUT, "stocktake", "t2", .seq = 3 }, { SYNC_PUT, "stocktake_line", "l2", { "stocktake_id", "t2" }, .seq = 4 },
	                { SYNC_PUT, "stocktake_line", "l3", { "stocktake_id", "t2", "snapshot_number_of_packs", "" }, .seq = 5 },
	                { SYNC_PUT, "stocktake", "t3", .seq = 6 });

	assert_int_equal(3, o.applied);
	assert_int_equal(3, o.waiting);
	assert_int_equal(2, number(db, "SELECT count(*) FROM stocktake WHERE id IN ('t1', 't3')"));
	assert_int_equal(0, number(db, "SELECT count(*) FROM stocktake WHERE id = 't2'"));
	assert_int_equal(1, number(db, "SELECT count(*) FROM stocktake_line"));
	assert_int_equal(2, number(db, "SELECT count(*) FROM sync_inbox WHERE code = 'group' AND root_id = 't2' AND source = 7"));
	assert_int_equal(1, number(db, "SELECT count(*) FROM sync_inbox WHERE record_id = 'l3' AND field = 'snapshot_number_of_packs'"));
	assert_int_equal(1, number(db, "SELECT count(*) FROM sync_verdict WHERE kind = 'waiting' AND record_id = 'l3' AND seq = 5 AND n = 1"));
	assert_int_equal(1, number(db, "SELECT count(*) FROM sync_verdict"));

	/* the line is put right: the group goes on with what waits of it, and the site learns that all is well */
	o = RECEIVE(db, from(7), { SYNC_PUT, "stocktake_line", "l3", { "stocktake_id", "t2" }, .seq = 7 });
	assert_int_equal(3, o.applied);
	assert_int_equal(3, number(db, "SELECT count(*) FROM stocktake_line"));
	assert_int_equal(0, number(db, "SELECT count(*) FROM sync_inbox"));
	assert_int_equal(1, number(db, "SELECT count(*) FROM sync_verdict WHERE kind = 'resolved' AND record_id = 'l3' AND seq = 7 AND n = 2"));
	assert_clean(db);
}

/* All orders of four groups, of which each but the first names the one before. */
static void whatever_order_they_come_in_what_waits_is_integrated(void **state)
{
	static const struct edit edits[] = {
		{ SYNC_PUT, "location", "o1", .seq = 1 },
		{ SYNC_PUT, "stock_line", "k1", { "location_id", "o1" }, .seq = 2 },
		{ SYNC_PUT, "location_movement", "m1", { "stock_line_id", "k1" }, .seq = 3 },
		{ SYNC_PUT, "stocktake_line", "l1", { "stocktake_id", "t1", "stock_line_id", "k1" }, .seq = 4 },
		{ SYNC_PUT, "stocktake", "t1", .seq = 5 },
	};
	struct sync_db *db = central(state);

	for (unsigned order = 0; order < 120; order++) {
		bool sent[5] = { false };
		int64_t applied = 0, waiting = 0;

		for (unsigned left = 5, rest = order; left > 0; rest /= left, left--) {
			unsigned at = rest % left, k = 0;

			for (;; k++)
				if (!sent[k] && at-- == 0)
					break;
			sent[k] = true;
			struct sync_outcome o = receive(db, from(7), &edits[k], 1);
			applied += o.applied;
			waiting += o.waiting;
		}
		assert_int_equal(5, applied);
		assert_int_equal(0, number(db, "SELECT count(*) FROM sync_inbox"));
		assert_int_equal(2, number(db, "SELECT count(*) FROM location_movement, stocktake_line, stocktake, stock_line, location") +
		                            number(db, "SELECT count(*) FROM stocktake"));
		assert_int_equal(number(db, "SELECT count(*) FROM sync_verdict WHERE kind = 'waiting'") > 0, waiting > 0);
		assert_int_equal(0, number(db, "SELECT count(*) FROM sync_verdict v WHERE kind = 'waiting' AND NOT EXISTS"
		                               " (SELECT 1 FROM sync_verdict r WHERE r.kind = 'resolved' AND r.record_id = v.record_id AND r.n > v.n)"));
		run(db, "DELETE FROM location_movement; DELETE FROM stocktake_line; DELETE FROM stocktake; DELETE FROM stock_line;"
		        " DELETE FROM location; DELETE FROM sync_verdict; DELETE FROM sync_changelog");
	}
}

static void the_reason_names_what_is_missing_and_anybody_may_bring_it(void **state)
{
	struct sync_db *db = central(state);

	RECEIVE(db, from(7), { SYNC_PUT, "location", "o1", { "location_type_id", "cold" }, .seq = 1 });
	RECEIVE(db, from(8), { SYNC_PUT, "location", "o2", { "location_type_id", "cold", "store_id", "s2" }, .seq = 1 });
	assert_int_equal(2, number(db, "SELECT count(*) FROM sync_inbox WHERE code = 'missing_reference' AND field = 'location_type_id'"
	                               " AND needs_entity = 'location_type' AND needs_id = 'cold'"));
	RECEIVE(db, from(0), { SYNC_PUT, "location_type", "cold" });
	assert_int_equal(2, number(db, "SELECT count(*) FROM location"));
	assert_int_equal(1, number(db, "SELECT count(*) FROM sync_changelog WHERE record_id = 'o1' AND action = 'P' AND source = 7"));
	assert_int_equal(1, number(db, "SELECT count(*) FROM sync_changelog WHERE record_id = 'o2' AND action = 'P' AND source = 8"));
	assert_int_equal(2, number(db, "SELECT count(*) FROM sync_verdict WHERE kind = 'resolved'"));

	/* what nobody told the integrator of is found later */
	RECEIVE(db, from(7), { SYNC_PUT, "location", "o3", { "location_type_id", "hot" }, .seq = 2 });
	run(db, "INSERT INTO location_type(id, name, min_temperature, max_temperature) VALUES ('hot', 'Hot', 1, 2)");
	retry(db);
	assert_int_equal(3, number(db, "SELECT count(*) FROM location"));
	assert_int_equal(0, number(db, "SELECT count(*) FROM sync_inbox"));
	assert_clean(db);
}

static void what_waited_goes_back_to_its_sender_when_it_is_applied(void **state)
{
	struct sync_db *db = central(state);

	RECEIVE(db, from(7), { SYNC_PUT, "location", "o1", { "location_type_id", "cold" }, .seq = 1 },
	        { SYNC_PUT, "location", "o2", .seq = 2 });
	assert_int_equal(0, number(db, "SELECT count(*) FROM sync_changelog WHERE action = 'R'"));
	RECEIVE(db, from(0), { SYNC_PUT, "location_type", "cold" });
	assert_int_equal(1, number(db, "SELECT count(*) FROM sync_changelog WHERE action = 'R'"));
	assert_int_equal(1, number(db, "SELECT count(*) FROM sync_changelog r JOIN sync_changelog p ON p.record_id = r.record_id"
	                               " WHERE r.action = 'R' AND r.source = 7 AND r.record_id = 'o1' AND p.action = 'P' AND p.seq < r.seq"));
	assert_clean(db);
}

static void a_record_of_another_store_is_quarantined_and_leaves_no_trace(void **state)
{
	struct sync_db *db = central(state);
	struct sync_outcome o;

	RECEIVE(db, from(8), { SYNC_PUT, "location", "o8", { "store_id", "s2", "code", "eight" }, .seq = 1 });
	run(db, "DELETE FROM sync_changelog");
	o = RECEIVE(db, from(7), { SYNC_PUT, "location", "o8", { "store_id", "s1" }, .seq = 1 },  /* takes it */
	            { SYNC_PUT, "location", "o9", { "store_id", "s2" }, .seq = 2 },             /* gives it */
	            { SYNC_DELETE, "location", "o8", .seq = 3 });
	assert_int_equal(3, o.refused);
	assert_int_equal(0, o.applied + o.waiting);
	assert_int_equal(1, number(db, "SELECT count(*) FROM location"));
	assert_int_equal(1, number(db, "SELECT count(*) FROM location WHERE id = 'o8' AND code = 'eight' AND store_id = 's2'"));
	assert_int_equal(0, number(db, "SELECT count(*) FROM sync_inbox"));
	assert_int_equal(3, number(db, "SELECT count(*) FROM sync_waiting WHERE kind = 'quarantine' AND site_id = 7 AND code = 'not_owner'"
	                               " AND done_us IS NULL"));
	assert_int_equal(3, number(db, "SELECT count(*) FROM sync_verdict WHERE site_id = 7 AND kind = 'refused' AND code = 'not_owner'"));
	assert_int_equal(3, number(db, "SELECT verdict FROM sync_site WHERE site_id = 7"));
	assert_int_equal(3, number(db, "SELECT count(*) FROM sync_changelog WHERE action = 'R' AND source = 7 AND new IS NULL"));
	assert_int_equal(3, number(db, "SELECT count(*) FROM sync_changelog"));

	/* the same edit again is not shown to a person twice */
	RECEIVE(db, from(7), { SYNC_PUT, "location", "o9", { "store_id", "s2" }, .seq = 2 });
	assert_int_equal(3, number(db, "SELECT count(*) FROM sync_waiting"));
	assert_clean(db);
}

static void a_line_belongs_to_whom_its_invoice_belongs_before_and_after(void **state)
{
	struct sync_db *db = central(state);
	struct sync_outcome o;

	RECEIVE(db, from(8), { SYNC_PUT, "stocktake", "t8", { "store_id", "s2" }, .seq = 1 },
	        { SYNC_PUT, "stocktake_line", "l8", { "stocktake_id", "t8" }, .seq = 2 });
	RECEIVE(db, from(7), { SYNC_PUT, "stocktake", "t7", .seq = 1 }, { SYNC_PUT, "stocktake_line", "l7", { "stocktake_id", "t7" }, .seq = 2 });
	o = RECEIVE(db, from(7), { SYNC_PUT, "stocktake_line", "l8", { "stocktake_id", "t7" }, .seq = 3 });
	assert_int_equal(1, o.refused);
	o = RECEIVE(db, from(7), { SYNC_PUT, "stocktake_line", "l7", { "stocktake_id", "t8" }, .seq = 4 });
	assert_int_equal(1, o.refused);
	o = RECEIVE(db, from(7), { SYNC_DELETE, "stocktake_line", "l8", .root = "t7", .seq = 5 });
	assert_int_equal(1, o.refused);
	/* an own line does not carry another's invoice along, and a group is refused as a whole */
	o = RECEIVE(db, from(7), { SYNC_PUT, "stocktake", "t8", { "store_id", "s1" }, .seq = 6 },
	            { SYNC_PUT, "stocktake_line", "l9", { "stocktake_id", "t8" }, .seq = 7 });
	assert_int_equal(2, o.refused);
	assert_int_equal(1, number(db, "SELECT count(*) FROM sync_verdict WHERE record_id = 'l9' AND kind = 'refused' AND code = 'group'"));
	assert_int_equal(2, number(db, "SELECT count(*) FROM stocktake_line"));
	assert_int_equal(1, number(db, "SELECT count(*) FROM stocktake_line WHERE id = 'l8' AND stocktake_id = 't8'"));
	/* between its own, also with an invoice that comes along, a line may move */
	o = RECEIVE(db, from(7), { SYNC_PUT, "stocktake", "t6", { "store_id", "s3" }, .seq = 8 },
	            { SYNC_PUT, "stocktake_line", "l7", { "stocktake_id", "t6" }, .seq = 9 });
	assert_int_equal(2, o.applied);
}

static void central_alone_edits_what_is_central_and_drops(void **state)
{
	struct sync_db *db = central(state);
	struct sync_outcome o = RECEIVE(db, from(7), { SYNC_PUT, "item", "i1", { "code", "mine" }, .seq = 1 },
	                                { SYNC_PUT, "name", "n1", { "type", "STORE" }, .seq = 3 }, { SYNC_DELETE, "item", "i1", .seq = 2 },
	                                { SYNC_PUT, "name", "n9", { "type", "FACILITY" }, .seq = 4 }, { SYNC_DROP, "stocktake", "t9", .seq = 5 },
	                                { SYNC_PUT, "name_store_join", "j9", { "name_id", "n1", "store_id", "s1" }, .seq = 6 });

	assert_int_equal(6, o.refused);
	assert_int_equal(1, number(db, "SELECT count(*) FROM item WHERE code = 'x'"));
	assert_int_equal(1, number(db, "SELECT count(*) FROM name WHERE id = 'n1'"));
	assert_int_equal(1, number(db, "SELECT count(*) FROM sync_waiting WHERE code = 'drop'"));
}

static struct sync_outcome receive_lines(struct sync_db *db, const char *const *lines, size_t n)
{
	defer(clear_message) struct message m = { 0 };
	struct sync_intake in = from(7);
	struct sync_outcome outcome = { 0 };

	for (size_t i = 0; i < n; i++)
		add_line(&m, lines[i]);
	assert_ok(take(db, &in, &m, &outcome, err));
	return outcome;
}

static void what_a_site_may_never_write_is_refused_even_if_malformed(void **state)
{
	static const char *const never[] = {
		"{\"e\":\"item\",\"i\":\"i1\",\"a\":\"P\",\"q\":\"1\",\"d\":{\"name\":5}}",
		"{\"e\":\"location\",\"i\":\"o8\",\"a\":\"P\",\"q\":\"2\",\"d\":{\"name\":5}}",
		"{\"e\":\"name\",\"i\":\"p8\",\"a\":\"P\",\"q\":\"3\",\"d\":{\"name\":5}}",
	};
	static const char *const own[] = { "{\"e\":\"location\",\"i\":\"o7\",\"a\":\"P\",\"q\":\"4\",\"d\":{\"name\":5,\"store_id\":\"s1\"}}" };
	struct sync_db *db = central(state);
	struct sync_outcome o;

	RECEIVE(db, from(8), { SYNC_PUT, "location", "o8", { "store_id", "s2" }, .seq = 3 });
	RECEIVE(db, from(7), { SYNC_PUT, "location", "o7", .seq = 1 });
	run(db, "DELETE FROM sync_changelog");
	o = receive_lines(db, never, COUNT(never));
	assert_int_equal(3, o.refused);
	assert_int_equal(0, o.waiting);
	assert_int_equal(2, number(db, "SELECT count(*) FROM sync_waiting WHERE kind = 'quarantine' AND code = 'not_owner' AND frame LIKE '%:5}}'"));
	assert_int_equal(1, number(db, "SELECT count(*) FROM sync_waiting WHERE kind = 'quarantine' AND code = 'not_visible' AND record_id = 'p8'"));
	assert_int_equal(3, number(db, "SELECT count(*) FROM sync_verdict WHERE kind = 'refused' AND site_id = 7"));
	assert_int_equal(3, number(db, "SELECT count(*) FROM sync_changelog WHERE action = 'R' AND source = 7"));
	/* what it may write waits to be put right */
	o = receive_lines(db, own, COUNT(own));
	assert_int_equal(1, o.waiting);
	assert_int_equal(0, o.refused);
	assert_int_equal(1, number(db, "SELECT count(*) FROM sync_inbox WHERE record_id = 'o7' AND code = 'wrong_type' AND field = 'name'"));
	assert_int_equal(1, number(db, "SELECT count(*) FROM sync_inbox"));
}

static void a_record_of_no_store_is_whose_who_made_it(void **state)
{
	struct sync_db *db = central(state);
	struct sync_outcome o;

	o = RECEIVE(db, from(7), { SYNC_PUT, "activity_log", "a1", .seq = 1 }, { SYNC_PUT, "activity_log", "a2", { "store_id", "s1" }, .seq = 2 });
	assert_int_equal(2, o.applied);
	o = RECEIVE(db, from(7), { SYNC_PUT, "activity_log", "a1", { "changed_to", "y" }, .seq = 3 });
	assert_int_equal(1, o.applied);
	o = RECEIVE(db, from(7), { SYNC_PUT, "activity_log", "a2", { "store_id", "" }, .seq = 4 });
	assert_int_equal(1, o.refused);
	run(db, "INSERT INTO sync_outbox(site_id, entity, record_id, seq, action, source) VALUES (0, 'activity_log', 'a1', 1, 'P', 8)");
	o = RECEIVE(db, from(7), { SYNC_PUT, "activity_log", "a1", { "changed_to", "z" }, .seq = 5 });
	assert_int_equal(1, o.refused);
	o = RECEIVE(db, from(7), { SYNC_PUT, "plugin_data", "d1", .seq = 6 }); /* for all stores: central's */
	assert_int_equal(1, o.refused);
}

static void what_is_received_again_changes_nothing(void **state)
{
	static const struct edit edits[] = {
		{ SYNC_PUT, "name", "p7", { "type", "PATIENT" }, .seq = 1, .version = "7.0a0b0c0d.1" },
		{ SYNC_PUT, "name_store_join", "j7", { "name_id", "p7" }, .seq = 2 },
		{ SYNC_PUT, "stocktake", "t1", .seq = 3 },
		{ SYNC_PUT, "stocktake_line", "l1", { "stocktake_id", "t1", "location_id", "late" }, .seq = 4 },
		{ SYNC_PUT, "location", "o8", { "store_id", "s2" }, .seq = 5 },
	};
	struct sync_db *db = central(state);

	for (int i = 0; i < 3; i++) {
		receive(db, from(7), edits, COUNT(edits));
		assert_int_equal(2, number(db, "SELECT count(*) FROM name WHERE type = 'PATIENT'"));
		assert_int_equal(2, number(db, "SELECT count(*) FROM name_store_join"));
		assert_int_equal(2, number(db, "SELECT count(*) FROM sync_inbox"));
		assert_int_equal(1, number(db, "SELECT count(*) FROM sync_waiting"));
		assert_int_equal(1, number(db, "SELECT count(*) FROM sync_seen WHERE record_id = 'p7'"));
		assert_int_equal(1, number(db, "SELECT count(*) FROM sync_verdict WHERE kind = 'waiting'"));
		assert_int_equal(1, number(db, "SELECT count(*) FROM sync_changelog WHERE record_id = 'p7'"));
	}
	/* a group that comes twice in one message, and a record that does */
	RECEIVE(db, from(7), { SYNC_PUT, "location", "o1", { "code", "one" }, .seq = 6 }, { SYNC_PUT, "location", "o2", .seq = 7 },
	        { SYNC_PUT, "location", "o1", { "code", "two" }, .seq = 8 });
	assert_int_equal(1, number(db, "SELECT count(*) FROM location WHERE id = 'o1' AND code = 'two'"));
}

static void make_visible(struct sync_db *db)
{
	run(db, "INSERT INTO name_store_join(id, store_id, name_id, name_is_customer, name_is_supplier) VALUES ('j7', 's1', 'p8', '1', '0')");
}

static struct edit patient(const char *name, const char *version, const char *base, int64_t minutes)
{
	static int64_t seq = 100;

	return (struct edit){ SYNC_PUT, "name", "p8", { "type", "PATIENT", "name", name }, .seq = ++seq, .version = version, .base = base,
		              .age_ms = minutes * 60000 };
}

static void the_later_of_two_edits_wins_and_the_other_is_kept(void **state)
{
	struct sync_db *db = central(state);
	struct sync_outcome o;
	struct edit edit;

	make_visible(db);
	run(db, "DELETE FROM sync_changelog");
	/* site 8 made version 8.0a0b0c0d.1 and edits on; that base is central's version, so there is no conflict */
	edit = patient("of eight", "8.0a0b0c0d.2", "8.0a0b0c0d.1", 30);
	assert_int_equal(0, receive(db, from(8), &edit, 1).conflicts);
	/* site 7 did not know of it, and was earlier */
	edit = patient("of seven", "7.0a0b0c0d.1", "8.0a0b0c0d.1", 40);
	o = receive(db, from(7), &edit, 1);
	assert_int_equal(1, o.conflicts);
	assert_int_equal(0, o.applied);
	assert_int_equal(1, number(db, "SELECT count(*) FROM name WHERE name = 'of eight'"));
	assert_int_equal(1, number(db, "SELECT count(*) FROM sync_waiting WHERE kind = 'conflict' AND site_id = 7 AND frame LIKE '%of seven%'"));
	assert_int_equal(1, number(db, "SELECT count(*) FROM sync_verdict WHERE kind = 'conflict' AND site_id = 7"));
	assert_int_equal(1, number(db, "SELECT count(*) FROM sync_changelog WHERE action = 'R' AND source = 7"));
	/* sent again it is a repeat */
	o = receive(db, from(7), &edit, 1);
	assert_int_equal(0, o.conflicts + o.applied);
	assert_int_equal(1, number(db, "SELECT count(*) FROM sync_waiting"));
	/* a later one wins, and central's is kept */
	edit = patient("of seven, later", "7.0a0b0c0d.2", "8.0a0b0c0d.1", 20);
	o = receive(db, from(7), &edit, 1);
	assert_int_equal(1, o.conflicts);
	assert_int_equal(1, o.applied);
	assert_int_equal(1, number(db, "SELECT count(*) FROM name WHERE name = 'of seven, later'"));
	assert_int_equal(1, number(db, "SELECT count(*) FROM sync_waiting WHERE kind = 'conflict' AND site_id = 8 AND frame LIKE '%of eight%'"));
	assert_int_equal(1, number(db, "SELECT count(*) FROM sync_verdict WHERE kind = 'resolved' AND site_id = 7"));
	assert_int_equal(1, number(db, "SELECT count(*) FROM sync_version WHERE record_id = 'p8' AND version = '7.0a0b0c0d.2' AND creator = 8"));
	/* an edit goes on from its own site's version whatever its base says */
	edit = patient("of seven, again", "7.0a0b0c0d.3", "8.0a0b0c0d.1", 50);
	assert_int_equal(0, receive(db, from(7), &edit, 1).conflicts);
	assert_int_equal(1, number(db, "SELECT count(*) FROM name WHERE name = 'of seven, again'"));
}

static struct edit gtin(const char *value, int64_t seq, const char *base)
{
	return (struct edit){ SYNC_PUT, "barcode", "b1", { "gtin", value }, .seq = seq, .base = base, .age_ms = 60000 };
}

/* An edit made at central by plain SQL, routed meanwhile or not, is no version that a site has seen. */
static void what_central_itself_has_edited_is_not_overwritten_unseen(void **state)
{
	struct sync_db *db = central(state);
	struct edit edit = gtin("of eight", 1, NULL);

	assert_int_equal(1, receive(db, from(8), &edit, 1).applied);
	for (int routed = 0; routed < 2; routed++) {
		run(db, "UPDATE barcode SET gtin = 'of central'");
		if (routed)
			assert_ok(sync_route(db, err));
		edit = gtin("of seven", 1 + routed, "8.0a0b0c0d.1");
		assert_int_equal(1, receive(db, from(7), &edit, 1).conflicts);
		assert_int_equal(1, number(db, "SELECT count(*) FROM barcode WHERE gtin = 'of central'"));
		assert_int_equal(1 + routed, number(db, "SELECT count(*) FROM sync_waiting WHERE kind = 'conflict' AND site_id = 7"));
	}
	/* a later edit wins, and central's is kept */
	run(db, "UPDATE sync_version SET edited_us = 1");
	edit = gtin("of seven again", 3, "8.0a0b0c0d.1");
	assert_int_equal(1, receive(db, from(7), &edit, 1).applied);
	assert_int_equal(1, number(db, "SELECT count(*) FROM sync_waiting WHERE kind = 'conflict' AND site_id = 0 AND frame LIKE '%of central%'"));
	assert_int_equal(1, number(db, "SELECT count(*) FROM sync_version WHERE record_id = 'b1' AND creator = 8 AND version LIKE '7.%'"));
	/* whoever has seen central's version edits that */
	run(db, "UPDATE barcode SET gtin = 'of central'; DELETE FROM sync_waiting");
	assert_ok(sync_route(db, err));
	run(db, "UPDATE sync_version SET version = '0.x.1' WHERE record_id = 'b1' AND version LIKE '0.%'");
	edit = gtin("of seven at last", 4, "0.x.1");
	assert_int_equal(0, receive(db, from(7), &edit, 1).conflicts);
	assert_int_equal(1, number(db, "SELECT count(*) FROM barcode WHERE gtin = 'of seven at last'"));
}

static void a_delete_takes_part_in_conflicts(void **state)
{
	struct sync_db *db = central(state);
	struct edit edit;

	run(db, "DELETE FROM name_store_join; INSERT INTO sync_outbox(site_id, entity, record_id, seq, action, source)"
	        " VALUES (7, 'name', 'p8', 1, 'D', 8)");
	RECEIVE(db, from(8), { SYNC_DELETE, "name", "p8", .seq = 9, .version = "8.0a0b0c0d.9", .base = "8.0a0b0c0d.1", .age_ms = 10 * 60000 });
	assert_int_equal(1, number(db, "SELECT count(*) FROM sync_version WHERE deleted = 1"));
	assert_int_equal(0, number(db, "SELECT count(*) FROM name WHERE id = 'p8'"));
	edit = patient("earlier", "7.0a0b0c0d.1", "8.0a0b0c0d.1", 20);
	receive(db, from(7), &edit, 1);
	assert_int_equal(0, number(db, "SELECT count(*) FROM name WHERE id = 'p8'"));
	edit = patient("later", "7.0a0b0c0d.2", "8.0a0b0c0d.1", 5);
	receive(db, from(7), &edit, 1);
	assert_int_equal(1, number(db, "SELECT count(*) FROM name WHERE name = 'later'"));
	assert_int_equal(2, number(db, "SELECT count(*) FROM sync_waiting WHERE kind = 'conflict'"));
	assert_int_equal(1, number(db, "SELECT count(*) FROM sync_waiting WHERE site_id = 8 AND frame LIKE '%\"a\":\"D\"%'"));
}

static void a_wrong_clock_wins_nothing(void **state)
{
	struct sync_db *db = central(state);
	struct sync_intake in = from(7);
	struct edit edit;

	make_visible(db);
	edit = patient("of eight", "8.0a0b0c0d.2", "8.0a0b0c0d.1", 0);
	receive(db, from(8), &edit, 1);
	/* a clock a year ahead makes ages that cannot be: at the most the edit was made when it came */
	in.now_us = US(NOW) - 1;
	edit = patient("of next year", "7.0a0b0c0d.1", "8.0a0b0c0d.1", 0);
	receive(db, in, &edit, 1);
	assert_int_equal(1, number(db, "SELECT count(*) FROM name WHERE name = 'of eight'"));
	/* a clock that was set forward meanwhile makes the edit seem old: it is no older than the last exchange */
	in.now_us = US(NOW) + 1000;
	in.last_seen_us = US(NOW) + 500;
	edit = patient("of last year", "7.0a0b0c0d.2", "8.0a0b0c0d.1", 365 * 24 * 60);
	receive(db, in, &edit, 1);
	assert_int_equal(1, number(db, "SELECT count(*) FROM name WHERE name = 'of last year'"));
	assert_int_equal(1, number(db, "SELECT count(*) FROM sync_version WHERE record_id = 'p8' AND edited_us = 60000000500"));
	/* nobody speaks for another site */
	edit = patient("forged", "8.0a0b0c0d.5", "7.0a0b0c0d.2", 0);
	receive(db, in, &edit, 1);
	assert_int_equal(0, number(db, "SELECT count(*) FROM sync_version WHERE version = '8.0a0b0c0d.5'"));
}

static void a_patient_is_edited_where_it_is_visible(void **state)
{
	struct sync_db *db = central(state);
	struct edit edit = patient("of seven", "7.0a0b0c0d.1", "8.0a0b0c0d.1", 0);

	assert_int_equal(1, receive(db, from(7), &edit, 1).refused);
	assert_int_equal(1, number(db, "SELECT count(*) FROM sync_waiting WHERE code = 'not_visible'"));
	make_visible(db);
	edit.seq++;
	assert_int_equal(1, receive(db, from(7), &edit, 1).applied);
	edit = (struct edit){ SYNC_PUT, "name", "p8", { "type", "FACILITY" }, .seq = 200, .base = "7.0a0b0c0d.1" };
	assert_int_equal(1, receive(db, from(7), &edit, 1).refused); /* no patient any more: central's */
}

static void a_site_shows_itself_what_it_made_or_was_granted(void **state)
{
	struct sync_db *db = central(state);
	struct sync_outcome o = RECEIVE(db, from(7), { SYNC_PUT, "name", "p7", { "type", "PATIENT" }, .seq = 1 },
	                                { SYNC_PUT, "name_store_join", "j1", { "name_id", "p7" }, .seq = 2 },
	                                { SYNC_PUT, "name_store_join", "j2", { "name_id", "p7", "store_id", "s3" }, .seq = 3 },
	                                { SYNC_PUT, "name_store_join", "j3", { "name_id", "p8" }, .seq = 4 },
	                                { SYNC_PUT, "name_store_join", "j4", { "name_id", "nobody" }, .seq = 5 });

	assert_int_equal(3, o.applied);
	assert_int_equal(1, o.refused);
	assert_int_equal(1, o.waiting);
	assert_int_equal(1, number(db, "SELECT count(*) FROM sync_waiting WHERE kind = 'grant' AND code = 'needs_grant' AND record_id = 'j3'"));
	assert_int_equal(1, number(db, "SELECT count(*) FROM sync_verdict WHERE kind = 'waiting' AND code = 'needs_grant' AND record_id = 'j3'"));
	assert_int_equal(0, number(db, "SELECT count(*) FROM sync_changelog WHERE action = 'R'"));
	assert_int_equal(0, number(db, "SELECT count(*) FROM name_store_join WHERE name_id = 'p8' AND store_id = 's1'"));

	run(db, "INSERT INTO sync_grant(site_id, entity, record_id, at_us) VALUES (7, 'name', 'p8', 0)");
	o = RECEIVE(db, from(7), { SYNC_PUT, "name_store_join", "j3", { "name_id", "p8" }, .seq = 4 });
	assert_int_equal(1, o.applied);
	/* once visible, a further join shows nothing new */
	run(db, "DELETE FROM sync_grant");
	o = RECEIVE(db, from(7), { SYNC_PUT, "name_store_join", "j5", { "name_id", "p8", "store_id", "s3" }, .seq = 6 });
	assert_int_equal(1, o.applied);
}

static struct edit join_of(int n, int64_t seq, char id[static 16])
{
	(void)snprintf(id, 16, "ask%d", n);
	return (struct edit){ SYNC_PUT, "name_store_join", id, { "name_id", "p8" }, .seq = seq };
}

static void a_site_asks_for_so_many_grants_and_no_more(void **state)
{
	enum { MOST_GRANTS = 200 };
	struct sync_db *db = central(state);
	char id[16];

	for (int i = 0; i < MOST_GRANTS; i++) {
		struct edit edit = join_of(i, i + 1, id);

		receive(db, from(7), &edit, 1);
	}
	assert_int_equal(MOST_GRANTS, number(db, "SELECT count(*) FROM sync_waiting WHERE kind = 'grant' AND code = 'needs_grant'"));
	assert_int_equal(0, number(db, "SELECT count(*) FROM sync_verdict WHERE kind = 'refused'"));
	struct edit edits[] = { join_of(0, 1, id), { SYNC_PUT, "name_store_join", "more", { "name_id", "p8" }, .seq = 900 } };
	receive(db, from(7), edits, 2); /* one is asked again, one is new */
	assert_int_equal(MOST_GRANTS, number(db, "SELECT count(*) FROM sync_waiting WHERE kind = 'grant'"));
	assert_int_equal(1, number(db, "SELECT count(*) FROM sync_waiting WHERE kind = 'quarantine' AND code = 'too_many_grants' AND record_id = 'more'"));
	assert_int_equal(1, number(db, "SELECT count(*) FROM sync_verdict WHERE kind = 'refused' AND code = 'too_many_grants'"));
	assert_int_equal(1, number(db, "SELECT count(*) FROM sync_changelog WHERE action = 'R' AND source = 7 AND record_id = 'more'"));
	/* one decided, one more may ask */
	run(db, "UPDATE sync_waiting SET done_us = 1, verdict = 'discarded' WHERE record_id = 'ask5'");
	edits[1].id = "another";
	receive(db, from(7), &edits[1], 1);
	assert_int_equal(MOST_GRANTS, number(db, "SELECT count(*) FROM sync_waiting WHERE kind = 'grant' AND done_us IS NULL"));
	assert_int_equal(1, number(db, "SELECT count(*) FROM sync_verdict WHERE kind = 'refused'"));
}

static void what_is_unknown_survives(void **state)
{
	static const char *const lines[] = {
		"{\"e\":\"novelty\",\"i\":\"x1\",\"a\":\"P\",\"q\":\"1\",\"r\":\"root\",\"d\":{\"size\":3}}",
		"{\"e\":\"location\",\"i\":\"o1\",\"a\":\"P\",\"q\":\"2\",\"d\":{\"name\":\"n\",\"code\":\"c\",\"on_hold\":false,\"store_id\":\"s1\","
		"\"volume\":1,\"colour\":\"red\"}}",
	};
	struct sync_db *db = central(state);
	defer(clear_message) struct message m = { 0 };
	struct sync_outcome o = { 0 };
	struct sync_intake in = from(7);

	for (size_t i = 0; i < COUNT(lines); i++)
		add_line(&m, lines[i]);
	assert_ok(take(db, &in, &m, &o, err));
	assert_int_equal(2, o.applied);
	assert_int_equal(1, number(db, "SELECT count(*) FROM sync_extra WHERE entity = 'novelty' AND record_id = 'x1' AND root_id = 'root'"
	                               " AND data = '{\"size\":3}'"));
	assert_int_equal(1, number(db, "SELECT count(*) FROM sync_extra WHERE entity = 'location' AND data = '{\"colour\":\"red\"}'"));
	RECEIVE(db, from(7), { SYNC_PUT, "location", "o1", { "code", "d" }, .seq = 3 }); /* of an older build: absent is unchanged */
	assert_int_equal(1, number(db, "SELECT count(*) FROM sync_extra WHERE entity = 'location'"));
	m.n = 0;
	add_line(&m, "{\"e\":\"novelty\",\"i\":\"x1\",\"a\":\"D\",\"q\":\"4\"}");
	assert_ok(take(db, &in, &m, &o, err));
	assert_int_equal(0, number(db, "SELECT count(*) FROM sync_extra WHERE entity = 'novelty'"));
}

static void what_is_unknown_is_changed_by_who_brought_it(void **state)
{
	struct sync_db *db = central(state);
	defer(clear_message) struct message m = { 0 };
	struct sync_outcome o = { 0 };
	struct sync_intake seven = from(7), eight = from(8);

	add_line(&m, "{\"e\":\"novelty\",\"i\":\"x1\",\"a\":\"P\",\"q\":\"1\",\"d\":{\"size\":3}}");
	assert_ok(take(db, &seven, &m, &o, err));
	assert_ok(take(db, &eight, &m, &o, err));
	assert_int_equal(1, o.refused);
	m.n = 0;
	add_line(&m, "{\"e\":\"novelty\",\"i\":\"x1\",\"a\":\"D\",\"q\":\"2\"}");
	assert_ok(take(db, &eight, &m, &o, err));
	assert_int_equal(2, o.refused);
	assert_int_equal(2, number(db, "SELECT count(*) FROM sync_waiting WHERE site_id = 8 AND code = 'not_owner'"));
	assert_int_equal(1, number(db, "SELECT count(*) FROM sync_extra WHERE record_id = 'x1' AND source = 7"));
	assert_ok(take(db, &seven, &m, &o, err));
	assert_int_equal(0, number(db, "SELECT count(*) FROM sync_extra"));
}

/* As after an update that brings the entity. */
static void what_was_unknown_is_judged_when_it_is_adopted(void **state)
{
	struct sync_db *db = central(state);

	run(db, "INSERT INTO sync_inbox(source, entity, record_id, root_id, seq, frame, code, text, received_us) VALUES"
	        " (7, 'abbreviation', 'a1', 'a1', 0, '{\"e\":\"abbreviation\",\"i\":\"a1\",\"a\":\"P\",\"d\":{\"text\":\"x\",\"expansion\":\"y\"}}',"
	        "  'adopted', '', 1)");
	retry(db);
	assert_int_equal(0, number(db, "SELECT count(*) FROM sync_inbox"));
	assert_int_equal(0, number(db, "SELECT count(*) FROM abbreviation"));
	assert_int_equal(1, number(db, "SELECT count(*) FROM sync_waiting WHERE site_id = 7 AND code = 'not_owner'"));
}

static void only_a_record_that_exists_may_omit_a_required_field(void **state)
{
	struct sync_db *db = central(state);
	struct sync_outcome o = RECEIVE(db, from(7), { SYNC_PUT, "location", "o1", { "store_id", "s1", "code", "new" }, .seq = 1, .bare = true });

	assert_int_equal(1, o.waiting);
	assert_int_equal(1, number(db, "SELECT count(*) FROM sync_inbox WHERE code = 'missing_field' AND field = 'name' AND needs_id = 'o1'"));
	/* what it lacked comes: together they are the record */
	RECEIVE(db, from(7), { SYNC_PUT, "location", "o1", { "name", "Fridge", "on_hold", "0", "volume", "2", "store_id", "s1" }, .seq = 2, .bare = true });
	assert_int_equal(1, number(db, "SELECT count(*) FROM location WHERE code = 'new' AND name = 'Fridge'"));
	assert_int_equal(0, number(db, "SELECT count(*) FROM sync_inbox"));
	o = RECEIVE(db, from(7), { SYNC_PUT, "location", "o1", { "code", "newer" }, .seq = 3, .bare = true });
	assert_int_equal(1, o.applied);
	assert_int_equal(1, number(db, "SELECT count(*) FROM location WHERE code = 'newer' AND name = 'Fridge'"));
}

static void what_is_still_named_is_not_deleted(void **state)
{
	struct sync_db *db = central(state);
	struct sync_outcome o;

	RECEIVE(db, from(7), { SYNC_PUT, "location", "o1", .seq = 1 }, { SYNC_PUT, "location", "o2", .seq = 2 },
	        { SYNC_PUT, "stock_line", "k1", { "location_id", "o1" }, .seq = 3 }, { SYNC_PUT, "stock_line", "k2", { "location_id", "o1" }, .seq = 4 });
	o = RECEIVE(db, from(7), { SYNC_DELETE, "location", "o1", .seq = 5 });
	assert_int_equal(1, o.waiting);
	assert_int_equal(1, number(db, "SELECT count(*) FROM sync_inbox WHERE code = 'referenced' AND needs_entity = 'stock_line'"
	                               " AND field = 'location_id'"));
	assert_int_equal(2, number(db, "SELECT count(*) FROM location"));
	/* one goes elsewhere, one goes away, and with the last of them the location */
	RECEIVE(db, from(7), { SYNC_PUT, "stock_line", "k1", { "location_id", "o2" }, .seq = 6 });
	assert_int_equal(2, number(db, "SELECT count(*) FROM location"));
	RECEIVE(db, from(7), { SYNC_DELETE, "stock_line", "k2", .seq = 7 });
	assert_int_equal(1, number(db, "SELECT count(*) FROM location"));
	assert_int_equal(0, number(db, "SELECT count(*) FROM sync_inbox"));
	/* all in one message, and a put that names what goes */
	o = RECEIVE(db, from(7), { SYNC_DELETE, "location", "o2", .seq = 8 }, { SYNC_DELETE, "stock_line", "k1", .seq = 9 },
	            { SYNC_PUT, "stock_line", "k3", { "location_id", "o2" }, .seq = 10 });
	assert_int_equal(2, o.applied);
	assert_int_equal(1, o.waiting);
	assert_int_equal(0, number(db, "SELECT count(*) FROM location"));
	assert_int_equal(1, number(db, "SELECT count(*) FROM sync_inbox WHERE code = 'missing_reference' AND needs_id = 'o2'"));
}

/* What one failure takes with it: groups that name records of a group that waits. */
static void groups_that_name_what_waits_wait_too(void **state)
{
	struct sync_db *db = central(state);
	struct sync_outcome o = RECEIVE(db, from(7), { SYNC_PUT, "location_movement", "m1", { "stock_line_id", "k1" }, .seq = 1 },
	                                { SYNC_PUT, "stock_line", "k1", { "location_id", "o1" }, .seq = 2 },
	                                { SYNC_PUT, "location", "o1", { "location_type_id", "cold" }, .seq = 3 },
	                                { SYNC_PUT, "location", "o2", .seq = 4 });

	assert_int_equal(1, o.applied);
	assert_int_equal(3, o.waiting);
	RECEIVE(db, from(0), { SYNC_PUT, "location_type", "cold" });
	assert_int_equal(1, number(db, "SELECT count(*) FROM location_movement"));
	assert_int_equal(0, number(db, "SELECT count(*) FROM sync_inbox"));
}

/* An edit that is integrated by a process of its own, while another transaction is open; fails when it would wait for that. */
static enum sync_status integrate_beside(struct sync_db *other, int64_t source, const struct edit *edit)
{
	defer(clear_message) struct message m = { 0 };
	struct sync_intake in = from(source);
	struct sync_outcome outcome = { 0 };

	run(other, "SET lock_timeout = '1ms'");
	add_edit(&m, edit);
	return take(other, &in, &m, &outcome, NULL);
}

static void what_another_transaction_comes_to_name_is_not_deleted(void **state)
{
	static const struct edit names = { SYNC_PUT, "location", "o8", { "location_type_id", "cold", "store_id", "s2" }, .seq = 1 };
	static const struct edit deletes = { SYNC_DELETE, "location_type", "cold", .seq = 2 };
	struct sync_db *db = central(state);
	defer(sync_db_closep) struct sync_db *other = NULL;
	const struct edit *const orders[][2] = { { &names, &deletes }, { &deletes, &names } };

	assert_ok(sync_db_clone(&other, db, err));
	for (size_t i = 0; i < COUNT(orders); i++) {
		bool named = orders[i][0] == &names;
		defer(clear_message) struct message m = { 0 };
		struct sync_intake in = from(named ? 8 : 0);
		struct sync_outcome outcome = { 0 };

		RECEIVE(db, from(0), { SYNC_PUT, "location_type", "cold" });
		add_edit(&m, orders[i][0]);
		assert_ok(sync_db_begin(db, true, err));
		assert_ok(sync_integrate(db, &in, m.r, m.lines, m.n, &outcome, err));
		assert_int_equal(SYNC_EBUSY, integrate_beside(other, named ? 0 : 8, orders[i][1]));
		sync_db_rollback(db);
	}
}

/* Of several processes on one server, none waits for another because of what waits. */
static void a_group_of_a_site_that_is_busy_is_left_for_later(void **state)
{
	struct sync_db *db = central(state);
	defer(sync_db_closep) struct sync_db *other = NULL;

	RECEIVE(db, from(8), { SYNC_PUT, "location", "o8", { "location_type_id", "cold", "store_id", "s2" }, .seq = 1 });
	assert_ok(sync_db_clone(&other, db, err));
	assert_ok(sync_db_begin(other, true, err));
	assert_int_equal(8, number(other, "UPDATE sync_site SET unpushed = 0 WHERE site_id = 8 RETURNING site_id"));
	RECEIVE(db, from(0), { SYNC_PUT, "location_type", "cold" });
	retry(db);
	assert_int_equal(1, number(db, "SELECT count(*) FROM sync_inbox"));
	assert_ok(sync_db_commit(other, err));
	retry(db);
	assert_int_equal(1, number(db, "SELECT count(*) FROM location"));
	assert_int_equal(0, number(db, "SELECT count(*) FROM sync_inbox"));
}

static void what_a_trigger_alters_before_it_is_stored_is_an_edit(void **state)
{
	struct sync_db *db = central(state);

	RECEIVE(db, from(7), { SYNC_PUT, "location", "o4", .seq = 1 });
	run(db, "CREATE FUNCTION loud() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN"
	        "    IF TG_OP = 'DELETE' OR NEW.code = 'no' THEN RETURN NULL; END IF;"
	        "    NEW.code := upper(NEW.code); RETURN NEW; END $$;"
	        "CREATE TRIGGER loud BEFORE INSERT OR UPDATE OR DELETE ON location FOR EACH ROW EXECUTE FUNCTION loud();"
	        "DELETE FROM sync_changelog");
	RECEIVE(db, from(7), { SYNC_PUT, "location", "o1", { "code", "soft" }, .seq = 2 },
	        { SYNC_PUT, "location", "o2", { "code", "LOUD", "volume", "2.5" }, .seq = 3 },
	        { SYNC_PUT, "location", "o3", { "code", "no" }, .seq = 4 }, { SYNC_PUT, "stocktake", "t1", .seq = 5 },
	        { SYNC_DELETE, "location", "o4", .seq = 6 });
	assert_int_equal(3, number(db, "SELECT count(*) FROM sync_changelog WHERE source = 7 AND action = 'P'"));
	assert_int_equal(2, number(db, "SELECT count(*) FROM sync_changelog WHERE source = 0 AND action = 'P' AND record_id IN ('o1', 'o4')"));
	assert_int_equal(1, number(db, "SELECT count(*) FROM sync_changelog WHERE source = 7 AND action = 'R' AND record_id = 'o3'"));
	assert_int_equal(6, number(db, "SELECT count(*) FROM sync_changelog"));
	assert_int_equal(1, number(db, "SELECT count(*) FROM sync_changelog a JOIN sync_changelog b ON a.record_id = b.record_id AND a.seq < b.seq"
	                               "    WHERE a.record_id = 'o1' AND a.source = 7 AND b.source = 0 AND a.new = b.new"));
}

/* at a site */

static struct sync_db *site(void **state)
{
	struct testdb *t = testdb_of(state);

	testdb_open(t, SYNC_SITE);
	run(t->db, "INSERT INTO sync_link VALUES (1, 7, 'Seven', 'http://x', 't', 'i', '0a0b0c0d', 0, '', 0, 0, '', 0, 0, 0, 0, '', 0, '', 0, NULL, 0, 0, 0)");
	RECEIVE(t->db, from(0), { SYNC_PUT, "name", "n1", { "type", "STORE" } }, { SYNC_PUT, "item", "i1" }, { SYNC_PUT, "store", "s1" });
	assert_int_equal(0, number(t->db, "SELECT count(*) FROM sync_changelog"));
	assert_clean(t->db);
	return t->db;
}

static void integrated(struct sync_db *db, int64_t upto)
{
	assert_ok(sync_db_run_text(db, "UPDATE sync_link SET out_integrated = $1", SYNC_ARGS(sync_int(upto)), NULL, NULL, err));
}

static void what_was_pulled_is_not_captured_but_what_triggers_do_about_it_is(void **state)
{
	struct sync_db *db = site(state);

	run(db, "CREATE TRIGGER app AFTER INSERT ON stocktake BEGIN UPDATE item SET code = 'counted' WHERE id = 'i1'; END");
	RECEIVE(db, from(0), { SYNC_PUT, "stocktake", "t1" }, { SYNC_PUT, "stocktake_line", "l1", { "stocktake_id", "t1" } });
	assert_int_equal(1, number(db, "SELECT count(*) FROM sync_changelog"));
	assert_int_equal(1, number(db, "SELECT count(*) FROM sync_changelog WHERE entity = 'item' AND record_id = 'i1'"));
	run(db, "UPDATE stocktake SET description = 'mine'");
	assert_int_equal(1, number(db, "SELECT count(*) FROM sync_changelog WHERE entity = 'stocktake'"));
	RECEIVE(db, from(0), { SYNC_DROP, "stocktake_line", "l1", .root = "t1" }, { SYNC_DELETE, "location", "never was here" });
	assert_int_equal(2, number(db, "SELECT count(*) FROM sync_changelog"));
	assert_clean(db);
}

static void a_drop_that_is_still_named_is_held_back(void **state)
{
	struct sync_db *db = site(state);
	struct sync_outcome o;

	RECEIVE(db, from(0), { SYNC_PUT, "stocktake", "t1" }, { SYNC_PUT, "stocktake_line", "l1", { "stocktake_id", "t1" } },
	        { SYNC_PUT, "location", "o1" });
	o = RECEIVE(db, from(0), { SYNC_DROP, "stocktake", "t1" }, { SYNC_DROP, "location", "o1" });
	assert_int_equal(1, o.waiting);
	assert_int_equal(1, o.applied);
	assert_int_equal(1, number(db, "SELECT count(*) FROM stocktake"));
	assert_int_equal(1, number(db, "SELECT count(*) FROM sync_inbox WHERE code = 'referenced'"));
	retry(db);
	assert_int_equal(1, number(db, "SELECT count(*) FROM stocktake"));
	run(db, "DELETE FROM stocktake_line"); /* an application does */
	retry(db);
	assert_int_equal(0, number(db, "SELECT count(*) FROM stocktake"));
	assert_int_equal(0, number(db, "SELECT count(*) FROM sync_inbox"));
}

static void a_reference_that_need_not_be_here_may_dangle(void **state)
{
	struct sync_db *db = site(state);
	struct sync_outcome o = RECEIVE(db, from(0), { SYNC_PUT, "stock_line", "k1", { "supplier_id", "unseen" } },
	                                { SYNC_PUT, "stock_line", "k2", { "item_id", "unseen" } });

	assert_int_equal(0, o.refused);
	assert_int_equal(1, number(db, "SELECT count(*) FROM stock_line WHERE id = 'k1' OR supplier_id = 'unseen'") +
	                            number(db, "SELECT count(*) FROM sync_inbox WHERE record_id = 'k1'"));
	assert_int_equal(1, number(db, "SELECT count(*) FROM sync_inbox WHERE record_id = 'k2' AND needs_entity = 'item'"));
	RECEIVE(db, from(0), { SYNC_PUT, "item", "unseen" });
	assert_int_equal(1, number(db, "SELECT count(*) FROM stock_line WHERE id = 'k2'"));
}

static void an_own_edit_is_safe_until_central_has_it(void **state)
{
	struct sync_db *db = site(state);
	struct sync_intake in = from(0);
	struct sync_outcome o;

	RECEIVE(db, in, { SYNC_PUT, "stocktake", "t1", { "description", "old" } }, { SYNC_PUT, "location", "o1" });
	run(db, "UPDATE stocktake SET description = 'mine'"); /* seq 1 */
	run(db, "UPDATE location SET code = 'mine'");         /* seq 2 */
	o = RECEIVE(db, in, { SYNC_PUT, "stocktake", "t1", { "description", "theirs" } },
	            { SYNC_PUT, "stocktake_line", "l1", { "stocktake_id", "t1" } }, { SYNC_DROP, "location", "o1" });
	assert_int_equal(3, o.waiting);
	assert_int_equal(2, number(db, "SELECT count(*) FROM sync_inbox WHERE code = 'local_edit'"));
	retry(db);
	assert_int_equal(1, number(db, "SELECT count(*) FROM stocktake WHERE description = 'mine'"));
	integrated(db, 1); /* by what central had of both it took ours; the line that came along is integrated */
	retry(db);
	assert_int_equal(1, number(db, "SELECT count(*) FROM stocktake WHERE description = 'mine'"));
	assert_int_equal(1, number(db, "SELECT count(*) FROM stocktake_line"));
	assert_int_equal(1, number(db, "SELECT count(*) FROM location"));
	integrated(db, 2); /* the location is no longer this site's all the same */
	retry(db);
	assert_int_equal(0, number(db, "SELECT count(*) FROM location"));
	assert_int_equal(0, number(db, "SELECT count(*) FROM sync_inbox"));
	in.integrated = 2;
	RECEIVE(db, in, { SYNC_PUT, "stocktake", "t1", { "description", "theirs at last" } });
	assert_int_equal(1, number(db, "SELECT count(*) FROM stocktake WHERE description = 'theirs at last'"));
	assert_int_equal(2, number(db, "SELECT count(*) FROM sync_changelog"));
}

static void what_waited_does_not_undo_an_edit_made_meanwhile(void **state)
{
	struct sync_db *db = site(state);

	RECEIVE(db, from(0), { SYNC_PUT, "location", "o1", { "code", "old" } });
	RECEIVE(db, from(0), { SYNC_PUT, "location", "o1", { "code", "theirs", "location_type_id", "cold" } });
	run(db, "UPDATE location SET code = 'mine'");
	integrated(db, 1);
	struct sync_intake in = from(0);
	in.integrated = 1;
	RECEIVE(db, in, { SYNC_PUT, "location_type", "cold" });
	assert_int_equal(1, number(db, "SELECT count(*) FROM location WHERE code = 'mine'"));
	assert_int_equal(0, number(db, "SELECT count(*) FROM sync_inbox"));
}

static void the_version_of_what_was_pulled_is_the_base_of_the_next_edit(void **state)
{
	struct sync_db *db = site(state);
	struct sync_intake in = from(0);

	RECEIVE(db, in, { SYNC_PUT, "barcode", "b1", .version = "8.0a0b0c0d.1" });
	run(db, "UPDATE barcode SET gtin = 'mine'"); /* seq 1 */
	run(db, "UPDATE barcode SET gtin = 'mine again'"); /* seq 2 */
	assert_int_equal(1, number(db, "SELECT count(*) FROM sync_changelog WHERE base = '8.0a0b0c0d.1'"));
	in.integrated = 2;
	RECEIVE(db, in, { SYNC_PUT, "barcode", "b1", .version = "8.0a0b0c0d.2" });
	assert_int_equal(1, number(db, "SELECT count(*) FROM sync_changelog WHERE base IS NULL"));
	run(db, "UPDATE barcode SET gtin = 'mine anew'");
	assert_int_equal(1, number(db, "SELECT count(*) FROM sync_changelog WHERE base = '8.0a0b0c0d.2' AND seq = 3"));
}

/* whatever call of the database fails */

static void check_failure(struct sync_db *db, const struct message *m, const struct sync_intake *in, long n, bool *ret_failed)
{
	struct sync_outcome o = { 0 };
	enum sync_status status;
	struct sync_error seen;

	faulty_db_arm(n);
	status = take(db, in, m, &o, &seen);
	*ret_failed = faulty_db_disarm();
	if (!*ret_failed) {
		assert_int_equal(SYNC_OK, status);
		return;
	}
	assert_int_equal(SYNC_EIO, status);
	assert_false(sync_db_in_transaction(db));
	assert_int_equal(1, number(db, "SELECT count(*) FROM sync_inbox WHERE record_id = 'o2'"));
	assert_int_equal(1, number(db, "SELECT count(*) FROM sync_inbox"));
	assert_int_equal(0, number(db, "SELECT count(*) FROM stocktake") + number(db, "SELECT count(*) FROM location"));
	assert_int_equal(0, number(db, "SELECT count(*) FROM sync_waiting") + number(db, "SELECT count(*) FROM sync_changelog"));
	assert_int_equal(1, number(db, "SELECT count(*) FROM sync_verdict"));
	assert_clean(db);
}

static void a_failure_anywhere_keeps_all_or_nothing(void **state)
{
	struct testdb *t = testdb_of(state);
	const struct sync_db_ops *drivers[] = { faulty_db(t->kind == TESTDB_SQLITE ? &sync_sqlite : &sync_postgres), NULL };
	defer(clear_message) struct message m = { 0 };
	struct sync_intake in = from(7);
	bool failed = true;

	assert_ok(sync_db_open(&t->db, t->url, drivers, SYNC_CENTRAL, true, err));
	make_central(t->db);
	RECEIVE(t->db, from(7), { SYNC_PUT, "location", "o2", { "location_type_id", "cold" }, .seq = 1 });
	run(t->db, "INSERT INTO location_type(id, name, min_temperature, max_temperature) VALUES ('cold', 'Cold', 2, 8);"
	           " DELETE FROM sync_changelog");
	add_edit(&m, &(struct edit){ SYNC_PUT, "location", "o2", { "location_type_id", "cold" }, .seq = 2 });
	add_edit(&m, &(struct edit){ SYNC_PUT, "stocktake", "t1", .seq = 3 });
	add_edit(&m, &(struct edit){ SYNC_PUT, "stocktake_line", "l1", { "stocktake_id", "t1" }, .seq = 4 });
	add_edit(&m, &(struct edit){ SYNC_PUT, "location", "o9", { "store_id", "s2" }, .seq = 5 });
	add_edit(&m, &(struct edit){ SYNC_PUT, "location", "o4", { "location_type_id", "hot" }, .seq = 6 });
	add_edit(&m, &(struct edit){ SYNC_PUT, "name", "p7", { "type", "PATIENT" }, .seq = 7 });
	add_edit(&m, &(struct edit){ SYNC_PUT, "name_store_join", "j7", { "name_id", "p7" }, .seq = 8 });
	for (long n = 0; failed; n++)
		check_failure(t->db, &m, &in, n, &failed);
	assert_int_equal(1, number(t->db, "SELECT count(*) FROM stocktake_line"));
	assert_int_equal(1, number(t->db, "SELECT count(*) FROM location"));
	assert_int_equal(1, number(t->db, "SELECT count(*) FROM sync_inbox WHERE record_id = 'o4'"));
	assert_int_equal(1, number(t->db, "SELECT count(*) FROM sync_waiting"));
	sync_db_close(t->db);
	t->db = NULL;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TESTDB_BOTH(an_edit_of_an_own_store_is_applied_and_captured_with_its_source),
		TESTDB_BOTH(a_bad_line_makes_its_group_wait_and_no_other),
		TESTDB_BOTH(whatever_order_they_come_in_what_waits_is_integrated),
		TESTDB_BOTH(the_reason_names_what_is_missing_and_anybody_may_bring_it),
		TESTDB_BOTH(what_waited_goes_back_to_its_sender_when_it_is_applied),
		TESTDB_BOTH(a_record_of_another_store_is_quarantined_and_leaves_no_trace),
		TESTDB_BOTH(a_line_belongs_to_whom_its_invoice_belongs_before_and_after),
		TESTDB_BOTH(central_alone_edits_what_is_central_and_drops),
		TESTDB_BOTH(what_a_site_may_never_write_is_refused_even_if_malformed),
		TESTDB_BOTH(a_record_of_no_store_is_whose_who_made_it),
		TESTDB_BOTH(what_is_received_again_changes_nothing),
		TESTDB_BOTH(the_later_of_two_edits_wins_and_the_other_is_kept),
		TESTDB_BOTH(what_central_itself_has_edited_is_not_overwritten_unseen),
		TESTDB_BOTH(a_delete_takes_part_in_conflicts),
		TESTDB_BOTH(a_wrong_clock_wins_nothing),
		TESTDB_BOTH(a_patient_is_edited_where_it_is_visible),
		TESTDB_BOTH(a_site_shows_itself_what_it_made_or_was_granted),
		TESTDB_BOTH(a_site_asks_for_so_many_grants_and_no_more),
		TESTDB_BOTH(what_is_unknown_survives),
		TESTDB_BOTH(what_is_unknown_is_changed_by_who_brought_it),
		TESTDB_BOTH(what_was_unknown_is_judged_when_it_is_adopted),
		TESTDB_BOTH(only_a_record_that_exists_may_omit_a_required_field),
		TESTDB_BOTH(what_is_still_named_is_not_deleted),
		TESTDB_BOTH(groups_that_name_what_waits_wait_too),
		TESTDB_ON(what_a_trigger_alters_before_it_is_stored_is_an_edit, TESTDB_POSTGRES, "PostgreSQL"),
		TESTDB_ON(what_another_transaction_comes_to_name_is_not_deleted, TESTDB_POSTGRES, "PostgreSQL"),
		TESTDB_ON(a_group_of_a_site_that_is_busy_is_left_for_later, TESTDB_POSTGRES, "PostgreSQL"),
		TESTDB_ON(what_was_pulled_is_not_captured_but_what_triggers_do_about_it_is, TESTDB_SQLITE, "SQLite"),
		TESTDB_ON(a_drop_that_is_still_named_is_held_back, TESTDB_SQLITE, "SQLite"),
		TESTDB_ON(a_reference_that_need_not_be_here_may_dangle, TESTDB_SQLITE, "SQLite"),
		TESTDB_ON(an_own_edit_is_safe_until_central_has_it, TESTDB_SQLITE, "SQLite"),
		TESTDB_ON(what_waited_does_not_undo_an_edit_made_meanwhile, TESTDB_SQLITE, "SQLite"),
		TESTDB_ON(the_version_of_what_was_pulled_is_the_base_of_the_next_edit, TESTDB_SQLITE, "SQLite"),
		TESTDB_BOTH(a_failure_anywhere_keeps_all_or_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

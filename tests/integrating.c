#include "integrating.h"

#include <libsync/exchange.h>

void clear_message(struct message *m)
{
	sync_arena_clear(&m->arena);
}

static const char *some_text(const struct sync_field *f)
{
	static const char *const known[][2] = { { "store", "s1" }, { "item", "i1" }, { "name", "n1" } };

	for (size_t i = 0; f->refers && i < COUNT(known); i++)
		if (!strcmp(f->refers, known[i][0]))
			return known[i][1];
	return f->type == SYNC_ENUM   ? f->values[0]
	       : f->type == SYNC_TIME ? "2024-02-29T12:00:00"
	       : f->type == SYNC_DATE ? "2024-02-29"
	       : f->type == SYNC_JSON ? "{}"
				      : "x";
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

void add_edit(struct message *m, const struct edit *edit)
{
	const struct sync_entity *e = sync_entity_find(sync_view_of(edit->entity));
	struct sync_value values[SYNC_MAX_FIELDS] = { { SYNC_ABSENT } };
	struct sync_record r = {
		.entity = e,
		.name = sync_view_of(edit->entity),
		.id = sync_view_of(edit->id),
		.action = edit->action,
		.seq = edit->seq,
		.root = sync_view_of(edit->root),
		.version = sync_view_of(edit->version),
		.base = sync_view_of(edit->base),
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

void add_line(struct message *m, const char *line)
{
	m->lines[m->n] = sync_arena_copy(&m->arena, sync_view_of(line));
	assert_ok(sync_record_read(&m->r[m->n], &m->arena, m->lines[m->n], &sync_default_limits, err));
	m->n++;
}

struct sync_intake from(int64_t source)
{
	return (struct sync_intake){ .source = source, .now_us = US(NOW), .branch = "0a0b0c0d" };
}

enum sync_status take(struct sync_db *db, const struct sync_intake *in, const struct message *m, struct sync_outcome *ret,
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

struct sync_outcome receive(struct sync_db *db, struct sync_intake in, const struct edit *edits, size_t n)
{
	defer(clear_message) struct message m = { 0 };
	struct sync_outcome outcome = { 0 };

	for (size_t i = 0; i < n; i++)
		add_edit(&m, &edits[i]);
	assert_ok(take(db, &in, &m, &outcome, err));
	return outcome;
}

void retry(struct sync_db *db)
{
	bool more = true;

	while (more) {
		assert_ok(sync_db_begin(db, true, err));
		assert_ok(sync_integrate_waiting(db, US(NOW), 1000, &more, err));
		assert_ok(sync_db_commit(db, err));
	}
}

void make_central(struct sync_db *db)
{
	run_sql(db, "INSERT INTO sync_site(site_id, name, created_us, branch, in_ordinal, in_id, in_upto, in_highest, "
		    "in_integrated, spooled,"
		    " all_seq, all_id, own_seq, own_id, verdict, verdict_seen, loaded, unpushed)"
		    " VALUES (7, 'Seven', 0, '', 0, '', 0, 0, 0, 0, 0, '', 0, '', 0, 0, 1, 0),"
		    "        (8, 'Eight', 0, '', 0, '', 0, 0, 0, 0, 0, '', 0, '', 0, 0, 1, 0)");
	run_sql(db, "INSERT INTO sync_store(store_id, site_id, notice) VALUES ('s1', 7, 0), ('s2', 8, 0), ('s3', 7, 0)");
	RECEIVE(db, from(0), { SYNC_PUT, "name", "n1", { "type", "STORE" } }, { SYNC_PUT, "item", "i1" },
		{ SYNC_PUT, "store", "s1" }, { SYNC_PUT, "store", "s2" }, { SYNC_PUT, "store", "s3" });
	RECEIVE(db, from(8), { SYNC_PUT, "name", "p8", { "type", "PATIENT", "name", "Awa" }, .seq = 1 },
		{ SYNC_PUT, "name_store_join", "j8", { "name_id", "p8", "store_id", "s2" }, .seq = 2 });
	run_sql(db, "DELETE FROM sync_changelog");
	assert_int_equal(1, number_of(db, "SELECT count(*) FROM name_store_join"));
}

struct sync_db *central(void **state)
{
	struct testdb *t = testdb_of(state);

	testdb_open(t, SYNC_CENTRAL);
	make_central(t->db);
	return t->db;
}

/* Nothing that was to be rolled back, taken or consumed is left. */
void assert_clean(struct sync_db *db)
{
	assert_int_equal(0, number_of(db, "SELECT count(*) FROM sync_mark"));
}

void make_visible(struct sync_db *db)
{
	run_sql(db, "INSERT INTO name_store_join(id, store_id, name_id, name_is_customer, name_is_supplier) VALUES ('j7', "
		    "'s1', 'p8', '1', '0')");
}

struct edit patient(const char *name, const char *version, const char *base, int64_t minutes)
{
	static int64_t seq = 100;

	return (struct edit){ SYNC_PUT,     "name",
			      "p8",         { "type", "PATIENT", "name", name },
			      .seq = ++seq, .version = version,
			      .base = base, .age_ms = minutes * 60000 };
}

struct sync_db *site(void **state)
{
	struct testdb *t = testdb_of(state);

	testdb_open(t, SYNC_SITE);
	assert_ok(sync_link_put(t->db, 7, "Seven", "http://x", "t", "i", err));
	run_sql(t->db, "UPDATE sync_link SET load = NULL");
	RECEIVE(t->db, from(0), { SYNC_PUT, "name", "n1", { "type", "STORE" } }, { SYNC_PUT, "item", "i1" },
		{ SYNC_PUT, "store", "s1" });
	assert_int_equal(0, number_of(t->db, "SELECT count(*) FROM sync_changelog"));
	assert_clean(t->db);
	return t->db;
}

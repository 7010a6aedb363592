/* What the declarations promise, for every entity: nothing here knows one by name. */
#include "conformance_forge.h"
#include "conformance_sample.h"

#include <libsync/records.h>
#include <libsync/site.h>

/* Records to be sent; what they borrow lives in the arena. */
struct batch {
	struct sync_arena arena;
	struct sync_record r[1000];
	const struct made *of[1000];
	size_t n;
};

/* A country, and what it should have of the sample. */
struct scene {
	struct country c;
	struct sample s;
	struct batch b;
};

static struct sync_db *db_at(const struct scene *x, enum place place)
{
	return place == CENTRAL ? x->c.central->db : x->c.site[place - 1].db.db;
}

static void put(const struct scene *x, const struct made *m, enum place place)
{
	const struct sync_record r = sample_record(m), *one = &r;

	assert_ok(sync_records_put(db_at(x, place), m->e, &one, 1, err));
}

/* editing */

typedef void edit_fn(struct scene *x, struct made *m, enum place place);
typedef enum place where_fn(const struct scene *x, const struct made *m);

/* End the transaction at one place and begin one at another; PLACES is none. */
static void move_on(const struct scene *x, enum place *at, enum place to)
{
	if (*at == to)
		return;
	if (*at != PLACES)
		assert_ok(sync_db_commit(db_at(x, *at), err));
	if (to != PLACES)
		assert_ok(sync_db_begin(db_at(x, to), true, err));
	*at = to;
}

/* Edit all records where each is edited. */
static void edit_all(struct scene *x, edit_fn *fn, where_fn *where)
{
	enum place at = PLACES;

	for (size_t i = 0; i < x->s.n; i++) {
		move_on(x, &at, where(x, x->s.all[i]));
		fn(x, x->s.all[i], at);
	}
	move_on(x, &at, PLACES);
}

static enum place at_owner(const struct scene *x, const struct made *m)
{
	return sample_owner(&x->s, m);
}

/* What anybody may edit, central edits too, where its owner gets to see it. */
static enum place at_central(const struct scene *x, const struct made *m)
{
	bool anybodys = m->e->owner == SYNC_OWNER_ANY && sample_is_due(&x->s, m, OWNER);

	return anybodys ? CENTRAL : sample_owner(&x->s, m);
}

static void insert(struct scene *x, struct made *m, enum place place)
{
	put(x, m, place);
}

/* What was null has a value then, and the other way round. An editor that does not know a field leaves it as it is. */
static void update(struct scene *x, struct made *m, enum place place)
{
	struct sync_view extra = m->extra;

	sample_change(&x->s, m, m->content == MINIMAL ? FULL : MINIMAL);
	m->extra = (struct sync_view){ 0 };
	put(x, m, place);
	m->extra = extra;
}

/* By an editor of tomorrow, who changes nothing that this build knows. */
static void update_unknown(struct scene *x, struct made *m, enum place place)
{
	if (m->extra.len)
		m->extra = sync_view_of("{\"of_tomorrow\":null}");
	put(x, m, place);
}

static void delete(struct scene *x, struct made *m, enum place place)
{
	char sql[100];

	snprintf(sql, sizeof sql, "DELETE FROM \"%s\" WHERE id = $1", m->e->name);
	assert_ok(sync_db_run_text(db_at(x, place), sql, SYNC_ARGS(sync_string(m->id)), NULL, NULL, err));
	m->gone = true;
}

/* What names a record goes before it, everywhere. */
static void delete_all(struct scene *x)
{
	enum place at = PLACES;

	for (size_t i = x->s.n; i-- > 0;) {
		enum place place = at_owner(x, x->s.all[i]);

		if (place != at) {
			move_on(x, &at, PLACES);
			country_settle(&x->c);
		}
		move_on(x, &at, place);
		delete(x, x->s.all[i], at);
	}
	move_on(x, &at, PLACES);
	country_settle(&x->c);
}

/* comparing */

static bool same(const struct sync_value *a, const struct sync_value *b)
{
	if (a->kind != b->kind)
		return false;
	switch (a->kind) {
	case SYNC_INT:
		return a->i == b->i;
	case SYNC_DOUBLE:
		return !memcmp(&a->d, &b->d, sizeof a->d);
	case SYNC_STRING:
	case SYNC_BLOB:
		return sync_view_eq(a->s, b->s);
	case SYNC_NULL:
	case SYNC_ABSENT:
		break;
	}
	return true;
}

static void assert_content(const struct made *m, const struct sync_record *got, enum place place)
{
	for (size_t i = 0; i < m->e->n_fields; i++)
		if (!same(&m->values[i], &got->values[i]))
			fail_msg("%s.%s of '%.*s' differs at place %d", m->e->name, m->e->fields[i].name, SYNC_VIEW(m->id),
			         (int)place);
	if (!sync_view_eq(m->extra, got->extra))
		fail_msg("%s '%.*s' at place %d: unknown fields are %.*s, not %.*s", m->e->name, SYNC_VIEW(m->id), (int)place,
		         SYNC_VIEW(got->extra), SYNC_VIEW(m->extra));
}

/* The place has of the sample what it should have, and nothing else. */
static void assert_place(const struct scene *x, enum place place)
{
	defer(sync_arena_clear) struct sync_arena arena = { 0 };

	for (size_t i = 0; i < x->s.n; i++) {
		const struct made *m = x->s.all[i];
		bool expected = sample_is_at(&x->s, m, place);
		struct sync_record got;

		sync_arena_reset(&arena);
		assert_ok(sync_records_get(db_at(x, place), m->e, sync_view_of(m->e->name), &m->id, 1, &arena, &got, err));
		if (!got.values == expected)
			fail_msg("%s '%.*s' is %s place %d", m->e->name, SYNC_VIEW(m->id), expected ? "missing at" : "left at",
			         (int)place);
		if (got.values)
			assert_content(m, &got, place);
	}
}

/* Nothing waits for anything, anywhere. What waited for a later batch of the same message is resolved. */
static void assert_quiet(const struct scene *x, enum place place)
{
	assert_int_equal(0, number(db_at(x, place), "SELECT count(*) FROM sync_inbox"));
	assert_int_equal(0, number(db_at(x, place),
	                           "SELECT count(*) FROM sync_verdict v WHERE v.kind <> 'resolved' AND NOT EXISTS ("
	                           "    SELECT 1 FROM sync_verdict r WHERE r.kind = 'resolved' AND r.site_id = v.site_id AND r.n > v.n"
	                           "        AND r.entity = v.entity AND r.record_id = v.record_id)"));
	if (place == CENTRAL)
		assert_int_equal(0, number(db_at(x, place), "SELECT count(*) FROM sync_waiting"));
}

static void assert_everywhere(const struct scene *x)
{
	for (enum place place = CENTRAL; place <= x->c.n; place++) {
		assert_place(x, place);
		assert_quiet(x, place);
	}
}

/* The first so many sites have loaded. */
static struct scene *open_scene(void **state, enum place last)
{
	struct testdb *central = testdb_of(state);
	struct scene *x = calloc(1, sizeof *x);

	assert_non_null(x);
	country_open(&x->c, central, PLACES - 1);
	for (enum place place = OWNER; place <= last; place++)
		country_load(&x->c, place - 1);
	x->c.n = last;
	return x;
}

static void close_scene(struct scene *x)
{
	sync_arena_clear(&x->b.arena);
	sample_clear(&x->s);
	x->c.n = PLACES - 1;
	country_close(&x->c);
	free(x);
}

/* Records of all entities, after central's administrator has chosen. */
static void fill(struct scene *x, enum choice choice)
{
	bool changed;

	sample_fill(&x->s, choice, MINIMAL, LONGEST);
	for (const struct sync_option *o = sync_option_list; o->name; o++)
		assert_ok(sync_option_set(db_at(x, CENTRAL), o, sample_choice(&x->s, o), &changed, err));
}

static void edit_everything(void **state, enum choice choice)
{
	struct scene *x = open_scene(state, PARTNER);

	fill(x, choice);
	edit_all(x, insert, at_owner);
	country_settle(&x->c);
	assert_everywhere(x);
	edit_all(x, update, at_central);
	country_settle(&x->c);
	assert_everywhere(x);
	edit_all(x, update_unknown, at_owner);
	country_settle(&x->c);
	assert_everywhere(x);
	delete_all(x);
	assert_everywhere(x);
	close_scene(x);
}

static void edits_travel_where_the_routes_say(void **state)
{
	edit_everything(state, FIRST_VALUES);
}

static void edits_travel_where_what_is_chosen_says(void **state)
{
	edit_everything(state, LAST_VALUES);
}

static void load_everything(void **state, enum choice choice)
{
	struct scene *x = open_scene(state, BYSTANDER);

	fill(x, choice);
	edit_all(x, insert, at_owner);
	country_settle(&x->c);
	country_load(&x->c, PARTNER - 1);
	x->c.n = PARTNER;
	assert_everywhere(x);
	close_scene(x);
}

static void a_first_load_brings_what_pulls_bring(void **state)
{
	load_everything(state, FIRST_VALUES);
}

static void a_first_load_brings_what_pulls_bring_whatever_is_chosen(void **state)
{
	load_everything(state, LAST_VALUES);
}

/* Sites hold everything when another value is chosen. */
static void a_choice_changes_what_sites_hold(void **state)
{
	struct scene *x = open_scene(state, PARTNER);

	sample_fill(&x->s, LAST_VALUES, MINIMAL, FULL);
	edit_all(x, insert, at_owner);
	country_settle(&x->c);
	for (int i = 0; i < 3; i++) {
		bool changed;

		x->s.choice = i % 2 ? FIRST_VALUES : LAST_VALUES;
		for (const struct sync_option *o = sync_option_list; o->name; o++)
			assert_ok(sync_option_set(db_at(x, CENTRAL), o, sample_choice(&x->s, o), &changed, err));
		loopback_work(&x->c.site[0].line);
		country_settle(&x->c);
		assert_everywhere(x);
	}
	close_scene(x);
}

/* forged messages */

/* A record as m says, with values that may be changed. */
static struct sync_value *add(struct batch *b, const struct made *m)
{
	size_t bytes = m->e->n_fields * sizeof *m->values;
	struct sync_value *values = sync_arena_get(&b->arena, bytes);

	assert_non_null(values);
	assert_true(b->n < COUNT(b->r));
	memcpy(values, m->values, bytes);
	b->of[b->n] = m;
	b->r[b->n] = sample_record(m);
	b->r[b->n].values = values;
	b->r[b->n++].extra = (struct sync_view){ 0 };
	return values;
}

static void clear(struct batch *b)
{
	sync_arena_reset(&b->arena);
	b->n = 0;
}

/* What this place may send. */
static void add_all(struct scene *x, enum place from)
{
	clear(&x->b);
	for (size_t i = 0; i < x->s.n; i++)
		if (from == CENTRAL || sample_owner(&x->s, x->s.all[i]) == from)
			(void)add(&x->b, x->s.all[i]);
}

/* wrong values */

struct wrong {
	const char *json, *code;
};
static const char of_required[] = "missing_field"; /* a null is wrong only where none may be */

/* As they stand in a frame, by the type of the field. */
static const struct wrong wrongs[][4] = {
	[SYNC_ID] = { { "17", "wrong_type" }, { "\"\"", "bad_value" }, { "null", of_required } },
	[SYNC_TEXT] = { { "17", "wrong_type" }, { "null", of_required } },
	[SYNC_ENUM] = { { "17", "wrong_type" }, { "\"NO SUCH VALUE\"", "bad_value" }, { "null", of_required } },
	[SYNC_JSON] = { { "{}", "wrong_type" }, { "\"{\"", "bad_value" }, { "null", of_required } },
	[SYNC_DATE] = { { "17", "wrong_type" }, { "\"2026-02-29\"", "bad_value" }, { "null", of_required } },
	[SYNC_TIME] = { { "17", "wrong_type" }, { "\"2026-02-28 12:00:00\"", "bad_value" }, { "null", of_required } },
	[SYNC_BOOLEAN] = { { "\"true\"", "wrong_type" }, { "null", of_required } },
	[SYNC_INTEGER] = { { "\"17\"", "wrong_type" }, { "2147483648", "bad_value" }, { "null", of_required } },
	[SYNC_BIGINT] = { { "9007199254740993", "wrong_type" }, { "\"9223372036854775808\"", "wrong_type" }, { "null", of_required } },
	[SYNC_REAL] = { { "\"1.5\"", "wrong_type" }, { "null", of_required } },
};

/* What is wrong with a record that is sent. */
struct mistake {
	const struct sync_field *field;
	const struct wrong *wrong;
};

/* The nth mistake that can be made with an entity; false: there are not so many. */
static bool nth_mistake(const struct sync_entity *e, size_t nth, struct mistake *ret)
{
	for (size_t i = 1; i < e->n_fields; i++) {
		const struct sync_field *f = &e->fields[i];

		for (const struct wrong *w = wrongs[f->type]; w->json; w++) {
			if (f->local || (w->code == of_required && !f->required) || nth--)
				continue;
			*ret = (struct mistake){ f, w };
			return true;
		}
	}
	return false;
}

/* The frame's text of a field is what takes the place of its value. */
static void add_mistaken(struct batch *b, const struct made *m, const struct mistake *mistake)
{
	struct sync_value *values = add(b, m);
	char text[200];
	int len = snprintf(text, sizeof text, "{\"%s\":%s}", mistake->field->name, mistake->wrong->json);

	values[mistake->field - m->e->fields].kind = SYNC_ABSENT;
	b->r[b->n - 1].extra = sync_arena_copy(&b->arena, (struct sync_view){ text, (size_t)len });
}

/* The first record of each entity, with its nth mistake. */
static void add_all_mistaken(struct scene *x, size_t nth)
{
	struct mistake mistake;

	clear(&x->b);
	for (size_t i = 0; i < x->s.n; i++) {
		const struct made *m = x->s.all[i];
		size_t k = 0;

		while (x->s.all[k]->e != m->e)
			k++;
		if (k == i && nth_mistake(m->e, nth, &mistake))
			add_mistaken(&x->b, m, &mistake);
	}
}

static void assert_says(const struct sync_record *r, const struct mistake *mistake, struct sync_view code,
                        struct sync_view field)
{
	if (!sync_view_is(code, mistake->wrong->code) || !sync_view_is(field, mistake->field->name))
		fail_msg("%.*s.%s %s: %.*s of '%.*s', not %s", SYNC_VIEW(r->name), mistake->field->name, mistake->wrong->json,
		         SYNC_VIEW(code), SYNC_VIEW(field), mistake->wrong->code);
}

static bool is_centrals(const struct scene *x, const struct sync_record *r)
{
	size_t i = 0;

	while (x->s.all[i]->e != r->entity || !sync_view_eq(x->s.all[i]->id, r->id))
		i++;
	return sample_owner(&x->s, x->s.all[i]) == CENTRAL;
}

/* What the site may not write is refused whatever it says. */
static void push_mistakes(struct scene *x, size_t nth)
{
	struct batch *b = &x->b;
	struct verdicts verdicts = { 0 };
	struct mistake mistake;

	forge_push(&x->c, OWNER - 1, b->r, b->n, &verdicts);
	for (size_t i = 0; i < b->n; i++) {
		const struct sync_verdict *v = forge_verdict(&verdicts, &b->r[i]);

		assert_true(nth_mistake(b->r[i].entity, nth, &mistake));
		assert_string_equal(is_centrals(x, &b->r[i]) ? "refused" : "waiting", v->kind);
		if (!is_centrals(x, &b->r[i]))
			assert_says(&b->r[i], &mistake, v->code, v->field);
	}
	forge_clear(&verdicts);
}

struct waiting {
	const struct sync_record *r;
	struct mistake mistake;
	size_t seen;
};

static enum sync_status take_waiting(void *ctx, const struct sync_value *v, size_t n, struct sync_error *err)
{
	struct waiting *w = ctx;

	(void)n, (void)err;
	w->seen++;
	assert_says(w->r, &w->mistake, v[0].s, v[1].s);
	return SYNC_OK;
}

static void pull_mistakes(struct scene *x, size_t nth)
{
	static const char get[] = "SELECT code, field FROM sync_inbox WHERE entity = $1 AND record_id = $2";
	const struct batch *b = &x->b;

	forge_pull(&x->c, OWNER - 1, b->r, b->n);
	for (size_t i = 0; i < b->n; i++) {
		struct waiting w = { .r = &b->r[i] };

		assert_true(nth_mistake(w.r->entity, nth, &w.mistake));
		assert_ok(sync_db_run(db_at(x, OWNER), get, SYNC_ARGS(sync_string(w.r->name), sync_string(w.r->id)), take_waiting,
		                      &w, err));
		assert_int_equal(1, w.seen);
	}
}

/* Each mistake that can be made waits at the receiver, alone and with its reason, and what is right takes its place. */
static void a_wrong_value_waits_with_the_name_of_its_field(void **state)
{
	struct scene *x = open_scene(state, BYSTANDER);
	struct batch *b = &x->b;

	sample_fill(&x->s, FIRST_VALUES, MINIMAL, MINIMAL);
	edit_all(x, insert, at_owner);
	country_settle(&x->c);
	add_all_mistaken(x, 0);
	for (size_t nth = 0; b->n; add_all_mistaken(x, ++nth))
		pull_mistakes(x, nth);
	assert_place(x, OWNER);
	add_all(x, CENTRAL);
	forge_pull(&x->c, OWNER - 1, b->r, b->n);
	assert_everywhere(x);
	add_all_mistaken(x, 0);
	for (size_t nth = 0; b->n; add_all_mistaken(x, ++nth))
		push_mistakes(x, nth);
	assert_place(x, CENTRAL);
	assert_int_equal(SYNC_OK, country_round(&x->c, BYSTANDER - 1));
	assert_int_equal(0, x->c.site[BYSTANDER - 1].report.pulled);
	add_all(x, OWNER);
	forge_push(&x->c, OWNER - 1, b->r, b->n, NULL);
	assert_place(x, CENTRAL);
	close_scene(x);
}

/* what frames lack */

/* As by an editor who knows nothing of the fields that the record is free to choose. */
static void add_without_free_fields(struct batch *b, const struct made *m)
{
	struct sync_value *values = add(b, m);

	for (size_t i = 0; i < m->e->n_fields; i++)
		if (sample_is_free(m->e, &m->e->fields[i]))
			values[i].kind = SYNC_ABSENT;
}

static void add_without_nulls(struct batch *b, const struct made *m)
{
	struct sync_value *values = add(b, m);

	for (size_t i = 0; i < m->e->n_fields; i++)
		if (values[i].kind == SYNC_NULL)
			values[i].kind = SYNC_ABSENT;
}

/* Of each record that is edited there, or of all, itself and a new one like it, with as few fields as may be. */
static void add_all_lacking(struct scene *x, enum place from)
{
	size_t n = x->s.n;

	clear(&x->b);
	for (size_t i = 0; i < n; i++) {
		struct made *m = x->s.all[i];

		if (from != CENTRAL && sample_owner(&x->s, m) != from)
			continue;
		add_without_free_fields(&x->b, m);
		add_without_nulls(&x->b, sample_copy(&x->s, m));
	}
}

static void a_field_that_a_frame_lacks_stays_as_it_is_or_is_null(void **state)
{
	struct scene *x = open_scene(state, BYSTANDER);
	size_t n;

	sample_fill(&x->s, FIRST_VALUES, FULL, FULL);
	edit_all(x, insert, at_owner);
	country_settle(&x->c);
	n = x->s.n;
	add_all_lacking(x, CENTRAL);
	forge_pull(&x->c, OWNER - 1, x->b.r, x->b.n);
	assert_int_equal(x->b.n, x->c.site[OWNER - 1].report.integrated);
	assert_place(x, OWNER);
	x->s.n = n; /* central never had those copies */
	add_all_lacking(x, OWNER);
	forge_push(&x->c, OWNER - 1, x->b.r, x->b.n, NULL);
	assert_quiet(x, CENTRAL);
	assert_place(x, CENTRAL);
	assert_int_equal(SYNC_OK, country_round(&x->c, BYSTANDER - 1));
	assert_place(x, BYSTANDER);
	close_scene(x);
}

/* what nobody knows */

static void assert_kept(struct sync_db *db, const struct sync_record *r, const char *data)
{
	defer(sync_arena_clear) struct sync_arena arena = { 0 };
	struct sync_record got;

	assert_ok(sync_records_get(db, NULL, r->name, &r->id, 1, &arena, &got, err));
	assert_true(sync_view_is(got.extra, data));
	assert_true(!got.extra.len || sync_view_eq(got.root, r->root));
}

static void send(struct scene *x, enum place to, struct sync_record *r)
{
	if (to == CENTRAL)
		forge_push(&x->c, OWNER - 1, r, 1, NULL);
	else
		forge_pull(&x->c, to - 1, r, 1);
}

static void assert_survives(struct scene *x, enum place place)
{
	struct sync_record r = {
		.name = sync_view_of("entity_of_tomorrow"), .id = sync_view_of("t1"), .action = SYNC_PUT, .age_ms = -1,
		.root = sync_view_of("root1"), .extra = sync_view_of("{\"a\":1.50,\"b\":\"\\u00e9\"}"),
	};

	send(x, place, &r);
	assert_kept(db_at(x, place), &r, "{\"a\":1.50,\"b\":\"\\u00e9\"}");
	r.extra = sync_view_of("{\"b\":null,\"c\":{\"d\":[9007199254740993]}}");
	send(x, place, &r);
	assert_kept(db_at(x, place), &r, "{\"a\":1.50,\"b\":null,\"c\":{\"d\":[9007199254740993]}}");
	r.action = SYNC_DELETE;
	r.extra = (struct sync_view){ 0 };
	send(x, place, &r);
	assert_kept(db_at(x, place), &r, "");
	assert_quiet(x, place);
}

static void records_of_an_unknown_entity_survive(void **state)
{
	struct scene *x = open_scene(state, OWNER);

	assert_survives(x, OWNER);
	assert_survives(x, CENTRAL);
	close_scene(x);
}

/* All sites but the one whose pushes are forged. */
static void pull_elsewhere(struct scene *x)
{
	loopback_work(&x->c.site[0].line);
	for (enum place place = BYSTANDER; place <= PARTNER; place++)
		assert_int_equal(SYNC_OK, country_round(&x->c, place - 1));
}

/* It has been a message from one store to another all the time. */
static void learn(struct scene *x)
{
	run(db_at(x, CENTRAL), "DROP TABLE sync_message");
	run(db_at(x, CENTRAL), "DELETE FROM sync_meta WHERE key = 'triggers:sync_message'");
	run(db_at(x, CENTRAL), "UPDATE sync_extra SET entity = 'sync_message' WHERE record_id = 't1'");
	country_reopen_central(&x->c, testdb_drivers);
	loopback_work(&x->c.site[0].line);
}

/* A build that does not know an entity does not know whose records are: nobody gets them until one does. */
static void a_record_of_an_unknown_entity_waits_at_central_for_a_build_that_knows_its_routes(void **state)
{
	struct scene *x = open_scene(state, PARTNER);
	struct sync_record r = {
		.name = sync_view_of("entity_of_tomorrow"), .id = sync_view_of("t1"), .action = SYNC_PUT, .age_ms = -1, .root = sync_view_of("t1"),
		.extra = sync_view_of("{\"from_store_id\":\"store1\",\"to_store_id\":\"store3\",\"body\":\"{}\",\"status\":\"NEW\","
				      "\"created_datetime\":\"2026-01-31T12:00:00\",\"type\":\"REQUEST\",\"of_the_day_after\":1}"),
	};

	send(x, CENTRAL, &r);
	pull_elsewhere(x);
	assert_int_equal(0, number(db_at(x, CENTRAL), "SELECT count(*) FROM sync_outbox WHERE record_id = 't1'"));
	for (enum place place = BYSTANDER; place <= PARTNER; place++)
		assert_int_equal(0, number(db_at(x, place), "SELECT count(*) FROM sync_extra WHERE record_id = 't1'"));
	learn(x);
	pull_elsewhere(x);
	assert_int_equal(1, number(db_at(x, PARTNER), "SELECT count(*) FROM sync_message WHERE id = 't1' AND to_store_id = 'store3'"));
	assert_int_equal(1, number(db_at(x, PARTNER), "SELECT count(*) FROM sync_extra WHERE record_id = 't1' AND data = '{\"of_the_day_after\":1}'"));
	assert_int_equal(0, number(db_at(x, BYSTANDER), "SELECT count(*) FROM sync_message"));
	assert_quiet(x, CENTRAL);
	close_scene(x);
}

/* Its site has deleted it, and then goes on from a copy that has it: what it pushed since is of another branch. */
static void a_delete_of_what_central_does_not_know_is_told_when_it_does(void **state)
{
	struct scene *x = open_scene(state, OWNER);
	struct sync_record r = {
		.name = sync_view_of("entity_of_tomorrow"), .id = sync_view_of("t1"), .action = SYNC_DELETE, .age_ms = -1,
	};

	run(db_at(x, OWNER), "INSERT INTO sync_message(id, from_store_id, to_store_id, body, status, created_datetime, type) VALUES"
			     " ('t1', 'store1', 'store3', '{}', 'NEW', '2026-01-31T12:00:00', 'REQUEST')");
	run(db_at(x, OWNER), "DELETE FROM sync_changelog");
	send(x, CENTRAL, &r);
	assert_int_equal(SYNC_OK, country_round(&x->c, OWNER - 1));
	assert_int_equal(0, number(db_at(x, OWNER), "SELECT echo FROM sync_link"));
	assert_int_equal(1, number(db_at(x, OWNER), "SELECT count(*) FROM sync_message"));
	learn(x);
	assert_int_equal(SYNC_OK, country_round(&x->c, OWNER - 1));
	assert_int_equal(0, number(db_at(x, OWNER), "SELECT count(*) FROM sync_message"));
	assert_quiet(x, CENTRAL);
	close_scene(x);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TESTDB_BOTH(edits_travel_where_the_routes_say),
		TESTDB_BOTH(edits_travel_where_what_is_chosen_says),
		TESTDB_BOTH(a_first_load_brings_what_pulls_bring),
		TESTDB_BOTH(a_first_load_brings_what_pulls_bring_whatever_is_chosen),
		TESTDB_BOTH(a_choice_changes_what_sites_hold),
		TESTDB_BOTH(a_wrong_value_waits_with_the_name_of_its_field),
		TESTDB_BOTH(a_field_that_a_frame_lacks_stays_as_it_is_or_is_null),
		TESTDB_BOTH(records_of_an_unknown_entity_survive),
		TESTDB_BOTH(a_record_of_an_unknown_entity_waits_at_central_for_a_build_that_knows_its_routes),
		TESTDB_BOTH(a_delete_of_what_central_does_not_know_is_told_when_it_does),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

#include "conformance_sample.h"

#include <stdarg.h>

enum { LONG_TEXT = 100 * 1024, MOST = 4096 };

#define TEXT(literal) { .kind = SYNC_STRING, .s = { literal, sizeof(literal) - 1 } }
#define INT(number) { .kind = SYNC_INT, .i = (number) }
#define DOUBLE(number) { .kind = SYNC_DOUBLE, .d = (number) }

/* Quotes and escapes, combining marks, right to left, a NUL's picture, planes 1 and 2, and what sorts last. */
#define SCRIPTS \
	"'\"\\\t\n\x01 e\u0301\u0323 \u0e27\u0e31\u0e04\u0e0b\u0e35\u0e19 \u202e\u0644\u0642\u0627\u062d\u202c \u2400 " \
	"\U0001f489\U0001f9ea \U00020bb7 \U0010fffd"

static const struct sync_value choices[][CONTENTS] = {
	[SYNC_ID] = { TEXT("1"), TEXT("\U0001f489 'id\""), TEXT("nowhere") },
	[SYNC_TEXT] = { TEXT(""), TEXT(SCRIPTS), TEXT(SCRIPTS) },
	[SYNC_JSON] = { TEXT("[]"), TEXT("{\"a\": [1.50, null, \"\\ud83d\\udc89\"]}"), TEXT("{\"\U0001f489\":{\"n\":9007199254740993}}") },
	[SYNC_DATE] = { TEXT("0001-01-01"), TEXT("2024-02-29"), TEXT("9999-12-31") },
	[SYNC_TIME] = { TEXT("2026-01-31T00:00:00"), TEXT("2024-02-29T23:59:59.123456789Z"), TEXT("9999-12-31T23:59:59.9") },
	[SYNC_BOOLEAN] = { INT(0), INT(1), INT(1) },
	[SYNC_INTEGER] = { INT(0), INT(INT32_MIN), INT(INT32_MAX) },
	[SYNC_BIGINT] = { INT(9007199254740993), INT(INT64_MIN), INT(INT64_MAX) },
	[SYNC_REAL] = { DOUBLE(0.1), DOUBLE(5e-324), DOUBLE(1.7976931348623157e308) },
};

static const char unknown_fields[] = "{\"of_tomorrow\":{\"n\":[1.50,9007199254740993,\"\\u00e9\"]}}";

static bool is(const char *a, const char *b)
{
	return a && b && !strcmp(a, b);
}

static const struct sync_value *value_of(const struct made *m, const char *field)
{
	int i = sync_field_find(m->e, sync_view_of(field));

	assert_true(i >= 0);
	return &m->values[i];
}

static void *get(struct sample *s, size_t bytes)
{
	void *p = sync_arena_get(&s->arena, bytes);

	assert_non_null(p);
	return memset(p, 0, bytes);
}

__attribute__((format(printf, 2, 3)))
static struct sync_view say(struct sample *s, const char *format, ...)
{
	char text[512];
	va_list args;

	va_start(args, format);
	vsnprintf(text, sizeof text, format, args);
	va_end(args);
	return sync_arena_copy(&s->arena, sync_view_of(text));
}

static struct sync_value repeated(struct sample *s, const char *text, size_t len)
{
	char *to = get(s, len);

	for (size_t i = 0; i < len; i++)
		to[i] = text[i % strlen(text)];
	return sync_string((struct sync_view){ to, len });
}

/* making */

static struct made *make(struct sample *s, const struct sync_entity *e, struct aim aim, enum content content);

static const struct made *find(const struct sample *s, const struct sync_entity *e, const struct sync_value *id)
{
	for (size_t i = 0; id->kind == SYNC_STRING && i < s->n; i++)
		if (s->all[i]->e == e && sync_view_eq(s->all[i]->id, id->s))
			return s->all[i];
	return NULL;
}

/* Whether a route counts with what is chosen. */
static bool counts(const struct sample *s, const struct sync_entity *e, const struct sync_route *r)
{
	const struct sync_option *o = e->option ? sync_option_find(e->option) : NULL;

	return sync_route_counts(r, o ? sample_choice(s, o)->name : NULL);
}

static const struct sync_route *first_route(const struct sample *s, const struct sync_entity *e)
{
	const struct sync_route *r = e->routes;

	while (!counts(s, e, r))
		r++;
	return r;
}

/* The first record of an entity that goes this way, for others to name. */
static const struct made *first_of(struct sample *s, const struct sync_entity *e, const struct sync_route *route)
{
	for (size_t i = 0; i < s->n; i++)
		if (s->all[i]->e == e && s->all[i]->aim.route == route)
			return s->all[i];
	return make(s, e, (struct aim){ route, NULL }, MINIMAL);
}

/* The route by which a record that a join ties to a store travels itself. */
static const struct sync_route *tied_by(const struct sample *s, const struct sync_entity *e, const char *join)
{
	for (const struct sync_route *r = e->routes; r->kind; r++)
		if (r->kind == SYNC_ROUTE_THROUGH && is(r->join, join) && is(r->field, "id") && counts(s, e, r))
			return r;
	fail_msg("nothing makes a %s travel through %s", e->name, join);
	return NULL;
}

/* A store that is named without deciding anything is that of the other party. */
static struct sync_value reference(struct sample *s, const struct sync_field *f, const struct sync_route *route)
{
	const struct sync_entity *target = sync_field_target(f);

	if (is(target->name, "store"))
		return sync_text("store3");
	return sync_string(first_of(s, target, route ? route : first_route(s, target))->id);
}

/* The field on which a condition is, as it has to be. False: anything but null will do. */
static bool conditional(const struct sync_field *f, const struct sync_when *w, struct sync_value *ret)
{
	size_t i = 0;

	if (!w->value && w->not)
		return false;
	if (!w->not)
		*ret = sync_text(w->value);
	while (w->not && is(f->values[i], w->value))
		i++;
	if (w->not)
		*ret = sync_text(f->values[i]);
	return true;
}

/* What sends the record the way that it should go, and makes it its store's. False: the field has no part in that. */
static bool decided(struct sample *s, const struct made *m, const struct sync_field *f, struct sync_value *ret)
{
	const struct sync_route *r = m->aim.route;

	if (is(r->when.field, f->name) && !r->when.refers_field && conditional(f, &r->when, ret))
		return true;
	if (is(m->e->owner_field, f->name) || (r->kind == SYNC_ROUTE_STORE && is(r->field, f->name)))
		*ret = sync_text("store1");
	else if (r->kind == SYNC_ROUTE_TRANSFER && is(r->field, f->name))
		*ret = sync_text("name3");
	else if (r->kind == SYNC_ROUTE_THROUGH && is(r->field, f->name))
		*ret = reference(s, f, tied_by(s, sync_field_target(f), r->join));
	else if (is(r->field, f->name) || is(m->e->parent, f->name))
		*ret = reference(s, f, is(r->field, f->name) ? m->aim.parent : NULL);
	else if (is(f->name, "site_id")) /* a store of the sample is active nowhere */
		*ret = sync_int(0);
	else
		return false;
	return true;
}

/* The first text of a record may be long. */
static bool is_first_text(const struct sync_entity *e, const struct sync_field *f)
{
	const struct sync_field *first = e->fields;

	while (first < f && first->type != SYNC_TEXT)
		first++;
	return first == f && f->type == SYNC_TEXT;
}

static struct sync_value chosen(struct sample *s, const struct made *m, const struct sync_field *f, enum content content)
{
	size_t n = 0;

	if (!f->required && content == MINIMAL)
		return sync_null();
	if (content == LONGEST && is_first_text(m->e, f))
		return repeated(s, "ten bytes\n", LONG_TEXT);
	while (f->values && f->values[n])
		n++;
	if (f->type == SYNC_ENUM)
		return sync_text(f->values[content == MINIMAL ? 0 : n - 1]);
	return choices[f->type][content];
}

static struct sync_value first_value(struct sample *s, const struct made *m, const struct sync_field *f)
{
	struct sync_value v;

	if (f->local)
		return (struct sync_value){ .kind = SYNC_ABSENT };
	if (f == m->e->fields)
		return sync_string(m->id);
	if (decided(s, m, f, &v))
		return v;
	if (f->refers && !f->soft && (f->required || m->content != MINIMAL))
		return reference(s, f, NULL);
	return chosen(s, m, f, m->content);
}

static struct sync_view new_id(struct sample *s, const struct sync_entity *e, enum content content)
{
	struct sync_view id = say(s, "%s %zu \"\\' \U0001f489", e->name, s->n);
	struct sync_value rest;

	if (content != LONGEST)
		return content == MINIMAL ? say(s, "%zu", s->n) : id;
	rest = repeated(s, "/", SYNC_MAX_ID - id.len);
	return say(s, "%.*s%.*s", SYNC_VIEW(id), SYNC_VIEW(rest.s));
}

static void add(struct sample *s, struct made *m)
{
	assert_true(s->n < MOST);
	s->all[s->n++] = m;
}

/* What makes a record visible at its owner's store. */
static void tie(struct sample *s, const struct made *m)
{
	const struct sync_route *r = m->aim.route;
	const struct sync_entity *join = sync_entity_find(sync_view_of(r->join));
	struct made *tying = make(s, join, (struct aim){ first_route(s, join), NULL }, MINIMAL);

	tying->values[sync_field_find(join, sync_view_of(r->join_key))] = sync_string(m->id);
	tying->values[sync_field_find(join, sync_view_of(sync_route_join_store(r)))] = sync_text(r->join_store ? "name1" : "store1");
}

static struct made *make(struct sample *s, const struct sync_entity *e, struct aim aim, enum content content)
{
	struct made *m = get(s, sizeof *m);

	*m = (struct made){ .e = e, .aim = aim, .content = content, .values = get(s, e->n_fields * sizeof *m->values) };
	for (size_t i = 1; i < e->n_fields; i++)
		m->values[i] = first_value(s, m, &e->fields[i]);
	m->id = new_id(s, e, content);
	m->values[0] = sync_string(m->id);
	if (content != MINIMAL)
		m->extra = sync_view_of(unknown_fields);
	add(s, m);
	if (aim.route->kind == SYNC_ROUTE_THROUGH && is(aim.route->field, "id"))
		tie(s, m);
	return m;
}

static void make_all(struct sample *s, const struct sync_entity *e, struct aim aim, enum content first, enum content last)
{
	for (enum content content = first; content <= last; content++)
		(void)make(s, e, aim, content);
}

static void make_by(struct sample *s, const struct sync_entity *e, const struct sync_route *r, enum content first,
                    enum content last)
{
	const struct sync_entity *parent;

	if (r->kind != SYNC_ROUTE_PARENT) {
		make_all(s, e, (struct aim){ r, NULL }, first, last);
		return;
	}
	parent = sync_field_target(&e->fields[sync_field_find(e, sync_view_of(r->field))]);
	for (const struct sync_route *up = parent->routes; up->kind; up++)
		if (counts(s, parent, up))
			make_all(s, e, (struct aim){ r, up }, first, last);
}

const struct sync_option_value *sample_choice(const struct sample *s, const struct sync_option *o)
{
	const struct sync_option_value *v = o->values;

	while (s->choice == LAST_VALUES && v[1].name)
		v++;
	return v;
}

void sample_fill(struct sample *s, enum choice choice, enum content first, enum content last)
{
	size_t n;
	const struct sync_entity *const *entities = sync_entities(&n);

	*s = (struct sample){ .choice = choice };
	s->all = get(s, MOST * sizeof *s->all);
	for (size_t i = 0; i < n; i++)
		for (const struct sync_route *r = entities[i]->routes; r->kind; r++)
			if (counts(s, entities[i], r))
				make_by(s, entities[i], r, first, last);
}

void sample_clear(struct sample *s)
{
	sync_arena_clear(&s->arena);
}

bool sample_is_free(const struct sync_entity *e, const struct sync_field *f)
{
	if (f == e->fields || f->local || f->refers || is(f->name, "site_id") || is(e->owner_when.field, f->name))
		return false;
	for (const struct sync_route *r = e->routes; r->kind; r++)
		if (is(r->field, f->name) || is(r->when.field, f->name))
			return false;
	return true;
}

void sample_change(struct sample *s, struct made *m, enum content content)
{
	for (size_t i = 0; i < m->e->n_fields; i++)
		if (sample_is_free(m->e, &m->e->fields[i]))
			m->values[i] = chosen(s, m, &m->e->fields[i], content);
	m->content = content;
}

struct made *sample_copy(struct sample *s, const struct made *m)
{
	struct made *copy = get(s, sizeof *copy);
	size_t bytes = m->e->n_fields * sizeof *m->values;

	*copy = *m;
	copy->values = memcpy(get(s, bytes), m->values, bytes);
	copy->id = new_id(s, m->e, MINIMAL);
	copy->values[0] = sync_string(copy->id);
	copy->extra = (struct sync_view){ 0 };
	sample_change(s, copy, MINIMAL);
	add(s, copy);
	return copy;
}

struct sync_record sample_record(const struct made *m)
{
	return (struct sync_record){ .entity = m->e, .name = sync_view_of(m->e->name), .id = m->id, .action = SYNC_PUT, .age_ms = -1,
		                     .values = m->values, .extra = m->extra };
}

/* where it belongs */

static const struct made *named_by(const struct sample *s, const struct made *m, const char *field)
{
	const struct sync_field *f = &m->e->fields[sync_field_find(m->e, sync_view_of(field))];

	return find(s, f == m->e->fields ? m->e : sync_field_target(f), value_of(m, field));
}

static bool holds(const struct sample *s, const struct sync_when *w, const struct made *m)
{
	const struct sync_value *v;

	if (!w->field)
		return true;
	if (w->refers_field) {
		m = named_by(s, m, w->field);
		if (!m)
			return false;
	}
	v = value_of(m, w->refers_field ? w->refers_field : w->field);
	if (!w->value)
		return (v->kind == SYNC_NULL) != w->not;
	return (v->kind == SYNC_STRING && sync_view_is(v->s, w->value)) != w->not;
}

/* Whether a field holds the id of the place's store, or of its name. */
static bool names(const struct made *m, const char *field, const char *what, enum place place)
{
	const struct sync_value *v = value_of(m, field);
	char id[32];

	snprintf(id, sizeof id, "%s%d", what, (int)place);
	return v->kind == SYNC_STRING && sync_view_is(v->s, id);
}

static bool is_tied(const struct sample *s, const struct made *m, const struct sync_route *r, enum place place)
{
	const struct sync_value *id = value_of(m, r->field);

	for (size_t i = 0; id->kind == SYNC_STRING && i < s->n; i++) {
		const struct made *join = s->all[i];

		if (is(join->e->name, r->join) && !join->gone && sync_view_eq(value_of(join, r->join_key)->s, id->s) &&
		    names(join, sync_route_join_store(r), r->join_store ? "name" : "store", place))
			return true;
	}
	return false;
}

static bool leads_to(const struct sample *s, const struct made *m, const struct sync_route *r, enum place place)
{
	const struct made *parent;

	switch (r->kind) {
	case SYNC_ROUTE_CENTRAL:
		return true;
	case SYNC_ROUTE_STORE:
		return names(m, r->field, "store", place);
	case SYNC_ROUTE_TRANSFER:
		return names(m, r->field, "name", place);
	case SYNC_ROUTE_THROUGH:
		return is_tied(s, m, r, place);
	case SYNC_ROUTE_PARENT:
		parent = named_by(s, m, r->field);
		return parent && sample_is_due(s, parent, place);
	case SYNC_ROUTE_UP:
	case SYNC_ROUTE_NONE:
		break;
	}
	return false;
}

bool sample_is_due(const struct sample *s, const struct made *m, enum place place)
{
	for (const struct sync_route *r = m->e->routes; r->kind; r++)
		if (counts(s, m->e, r) && holds(s, &r->when, m) && leads_to(s, m, r, place))
			return true;
	return false;
}

enum place sample_owner(const struct sample *s, const struct made *m)
{
	if (m->e->owner == SYNC_OWNER_CENTRAL || !holds(s, &m->e->owner_when, m))
		return CENTRAL;
	if (m->e->owner == SYNC_OWNER_ANY)
		return OWNER;
	if (!m->e->owner_field)
		return sample_owner(s, named_by(s, m, m->e->parent));
	assert_true(names(m, m->e->owner_field, "store", OWNER));
	return OWNER;
}

bool sample_is_at(const struct sample *s, const struct made *m, enum place place)
{
	return !m->gone && (place == CENTRAL || sample_owner(s, m) == place || sample_is_due(s, m, place));
}

#include <string.h>

#include "base/internal.h"
#include "schema/declared.h"

/* A declaration under check, and where a fault is reported. */
struct check {
	const struct sync_catalogue *c;
	const struct sync_entity *e;
	struct sync_error *err;
};

#define FAULT(check, format, ...) sync_fail((check)->err, SYNC_EINVALID, "%s" format, (check)->e->name, ##__VA_ARGS__)

static bool is_identifier(const char *name)
{
	size_t len = strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789_");

	return len && !name[len] && len <= SYNC_MAX_NAME && (name[0] < '0' || name[0] > '9');
}

static const struct sync_field *field_named(const struct sync_entity *e, const char *name)
{
	int i = name ? sync_field_find(e, sync_view_of(name)) : -1;

	return i < 0 ? NULL : &e->fields[i];
}

static const struct sync_entity *target_of(const struct check *k, const struct sync_field *f)
{
	return f && f->refers ? sync_catalogue_find(k->c, sync_view_of(f->refers)) : NULL;
}

static bool is_text(enum sync_type type)
{
	return type == SYNC_ID || type == SYNC_TEXT || type == SYNC_ENUM;
}

static enum sync_status check_field(const struct check *k, const struct sync_field *f)
{
	if (!is_identifier(f->name))
		return FAULT(k, ".%s: a name is up to %d of a-z, 0-9 and _", f->name, SYNC_MAX_NAME);
	for (const struct sync_field *g = k->e->fields; g < f; g++)
		if (!strncmp(f->name, g->name, SYNC_MAX_NAME - 1))
			return FAULT(k, ".%s: there is a field of that name already", f->name);
	if (f->refers && f->type != SYNC_ID)
		return FAULT(k, ".%s: refers to %s but is no id", f->name, f->refers);
	if (f->refers && !target_of(k, f))
		return FAULT(k, ".%s: refers to %s, which is no entity", f->name, f->refers);
	if (f->soft && !f->refers)
		return FAULT(k, ".%s: soft, but refers to nothing", f->name);
	if ((f->type == SYNC_ENUM) != (f->values && f->values[0]))
		return FAULT(k, ".%s: an enum has values, and nothing else has", f->name);
	if (f->required && !f->fallback && (f->local || f->since > 1))
		return FAULT(k, ".%s: required, so rows made without it need a fallback", f->name);
	if (f->since > SYNC_SCHEMA_VERSION)
		return FAULT(k, ".%s: since %u, but the schema version is %d", f->name, f->since, SYNC_SCHEMA_VERSION);
	return SYNC_OK;
}

static enum sync_status check_fields(const struct check *k)
{
	const struct sync_entity *e = k->e;

	if (!e->n_fields || e->n_fields > SYNC_MAX_FIELDS)
		return FAULT(k, ": %zu fields; 1 to %d are possible", e->n_fields, SYNC_MAX_FIELDS);
	if (strcmp(e->fields[0].name, "id") != 0 || e->fields[0].type != SYNC_ID || !e->fields[0].required)
		return FAULT(k, ": the first field is '%s', not a required id", e->fields[0].name);
	for (size_t i = 0; i < e->n_fields; i++)
		TRY(check_field(k, &e->fields[i]));
	return SYNC_OK;
}

static enum sync_status check_when(const struct check *k, const struct sync_when *w)
{
	const struct sync_field *f = field_named(k->e, w->field);
	const struct sync_entity *target = target_of(k, f);
	const struct sync_field *compared = w->refers_field && target ? field_named(target, w->refers_field) : f;

	if (!w->field)
		return w->refers_field || w->value || w->not ? FAULT(k, ": a condition without a field") : SYNC_OK;
	if (!f || f->local)
		return FAULT(k, ".%s: a condition on a field that is not there or does not travel", w->field);
	if (w->refers_field && !(target && field_named(target, w->refers_field)))
		return FAULT(k, ".%s: a condition follows it to a field '%s' that is not there", w->field, w->refers_field);
	if (w->value && !is_text(compared->type))
		return FAULT(k, ".%s: a condition compares text, and this is none", w->field);
	return SYNC_OK;
}

static bool is_store(const struct sync_entity *e)
{
	return e && field_named(e, "site_id") && field_named(e, "name_id");
}

/* THROUGH: the join names what r's field names, and a store, or the name that stores have. */
static enum sync_status check_through(const struct check *k, const struct sync_route *r, const struct sync_entity *named)
{
	const struct sync_entity *join = r->join ? sync_catalogue_find(k->c, sync_view_of(r->join)) : NULL;
	const struct sync_field *key = join ? field_named(join, r->join_key) : NULL;
	const char *to = sync_route_join_store(r);
	const struct sync_entity *tied = join ? target_of(k, field_named(join, to)) : NULL;

	if (!join)
		return FAULT(k, ".%s: routed through '%s', which is no entity", r->field, r->join ? r->join : "");
	if (!key || target_of(k, key) != named)
		return FAULT(k, ".%s: routed through %s, whose '%s' does not name a %s", r->field, r->join,
		             r->join_key ? r->join_key : "", named ? named->name : "record");
	if (!is_store(tied) && !(tied && !strcmp(tied->name, "name")))
		return FAULT(k, ".%s: routed through %s, whose '%s' names no store, and no name of stores", r->field, r->join, to);
	return SYNC_OK;
}

static enum sync_status check_route(const struct check *k, const struct sync_route *r)
{
	const struct sync_field *f = field_named(k->e, r->field);
	const struct sync_entity *named = f && f == k->e->fields ? k->e : target_of(k, f);
	bool alone = r->kind == SYNC_ROUTE_CENTRAL || r->kind == SYNC_ROUTE_UP;

	TRY(check_when(k, &r->when));
	if (alone)
		return r->field ? FAULT(k, ".%s: a route to everybody, or to central, has no field", r->field) : SYNC_OK;
	if (!f || f->local || !named)
		return FAULT(k, ".%s: a route by a field that is not there, does not travel or names no record",
		             r->field ? r->field : "");
	if (r->kind == SYNC_ROUTE_STORE && !is_store(named))
		return FAULT(k, ".%s: a route by store, but it names a %s", r->field, named->name);
	if (r->kind == SYNC_ROUTE_PARENT && named == k->e)
		return FAULT(k, ".%s: a route by itself", r->field);
	return r->kind == SYNC_ROUTE_THROUGH ? check_through(k, r, named) : SYNC_OK;
}

static bool has_route(const struct sync_entity *e, const char *value)
{
	for (const struct sync_route *r = e->routes; r->kind; r++)
		if (sync_route_counts(r, value))
			return true;
	return false;
}

/* Whatever is chosen, there is a route. */
static enum sync_status check_option(const struct check *k)
{
	const struct sync_option *o = k->e->option ? sync_option_find(k->e->option) : NULL;

	if (k->e->option && !o)
		return FAULT(k, ": routed by the option '%s', which there is not", k->e->option);
	for (const struct sync_route *r = k->e->routes; r->kind; r++)
		if (r->chosen && !(o && sync_option_value_find(o, sync_view_of(r->chosen))))
			return FAULT(k, ": a route for '%s', which is no value of its option", r->chosen);
	for (size_t i = 0; o && o->values[i].name; i++)
		if (!has_route(k->e, o->values[i].name))
			return FAULT(k, ": no route where %s is %s", o->name, o->values[i].name);
	return SYNC_OK;
}

static enum sync_status check_routes(const struct check *k)
{
	size_t n = 0;

	for (; k->e->routes[n].kind; n++) {
		if (n == SYNC_MAX_ROUTES)
			return FAULT(k, ": more than %d routes", SYNC_MAX_ROUTES);
		TRY(check_route(k, &k->e->routes[n]));
	}
	return n ? check_option(k) : FAULT(k, ": no route; one that stays at central is routed up");
}

static enum sync_status check_owner(const struct check *k)
{
	const struct sync_entity *e = k->e;
	const struct sync_entity *root = target_of(k, field_named(e, e->parent));

	TRY(check_when(k, &e->owner_when));
	if (e->owner_field && (e->owner != SYNC_OWNER_STORE || !is_store(target_of(k, field_named(e, e->owner_field)))))
		return FAULT(k, ".%s: the field of an owning store does not name a store", e->owner_field);
	if (e->owner == SYNC_OWNER_STORE && !e->owner_field && !(root && root->owner == SYNC_OWNER_STORE && root->owner_field))
		return FAULT(k, ": owned by a store that neither it nor its parent names");
	if (e->creator_grants && !target_of(k, field_named(e, e->creator_grants)))
		return FAULT(k, ".%s: makes something visible that it does not name", e->creator_grants);
	return SYNC_OK;
}

/* Groups are one level deep: a root has no parent, and a child always has one. */
static enum sync_status check_parent(const struct check *k)
{
	const struct sync_field *f = field_named(k->e, k->e->parent);
	const struct sync_entity *root = target_of(k, f);

	if (!k->e->parent)
		return SYNC_OK;
	if (!root || !f->required || f->soft)
		return FAULT(k, ".%s: a parent is a required hard reference", k->e->parent);
	if (root->parent)
		return FAULT(k, ".%s: its parent %s has a parent itself", k->e->parent, root->name);
	return SYNC_OK;
}

static enum sync_status check_entity(const struct check *k)
{
	if (!is_identifier(k->e->name))
		return FAULT(k, ": a name is up to %d of a-z, 0-9 and _", SYNC_MAX_NAME);
	if (sync_catalogue_find(k->c, sync_view_of(k->e->name)) != k->e)
		return FAULT(k, ": declared twice");
	if (!k->e->about)
		return FAULT(k, ": nothing says what it is about");
	TRY(check_fields(k));
	TRY(check_parent(k));
	TRY(check_owner(k));
	return check_routes(k);
}

static bool is_ordered(const struct sync_catalogue *c, const struct sync_entity *e)
{
	for (size_t i = 0; i < c->n_ordered; i++)
		if (c->ordered[i] == e)
			return true;
	return false;
}

/* A hard reference of an entity that could not be ordered to another such: every one of them has one. */
static const struct sync_field *next_in_cycle(const struct check *k, const struct sync_entity *e)
{
	for (size_t i = 0; i < e->n_fields; i++) {
		const struct sync_field *f = &e->fields[i];
		const struct sync_entity *target = f->soft ? NULL : target_of(k, f);

		if (target && target != e && !is_ordered(k->c, target))
			return f;
	}
	return NULL;
}

/* Following n references from any of them certainly ends within the cycle, and n more go all the way round it. */
static enum sync_status report_cycle(struct check *k)
{
	defer(sync_buf_clear) struct sync_buf text = { .max = 400 };
	const struct sync_entity *first;

	for (size_t i = 0; i < k->c->n; i++)
		k->e = target_of(k, next_in_cycle(k, k->e));
	first = k->e;
	do {
		const struct sync_field *f = next_in_cycle(k, k->e);

		sync_buf_addf(&text, "%s.%s > ", k->e->name, f->name);
		k->e = target_of(k, f);
	} while (k->e != first);
	return FAULT(k, ": hard references go round in a circle: %.*s%s", SYNC_VIEW(sync_buf_view(&text)), first->name);
}

enum sync_status sync_catalogue_check(const struct sync_catalogue *c, struct sync_error *err)
{
	struct check k = { .c = c, .err = err };

	for (size_t i = 0; i < c->n; i++) {
		k.e = c->by_name[i];
		TRY(check_entity(&k));
	}
	for (size_t i = 0; i < c->n; i++) {
		k.e = c->by_name[i];
		if (!is_ordered(c, k.e))
			return report_cycle(&k);
	}
	return SYNC_OK;
}

#include <libsync/entity.h>

#include "base/internal.h"

static const char *type_name(enum sync_type type)
{
	static const char *const names[] = {
		[SYNC_ID] = "id",     [SYNC_TEXT] = "text",       [SYNC_ENUM] = "enum",       [SYNC_JSON] = "json",
		[SYNC_DATE] = "date", [SYNC_TIME] = "time",       [SYNC_BOOLEAN] = "boolean", [SYNC_INTEGER] = "integer",
		[SYNC_REAL] = "real", [SYNC_BIGINT] = "bigint",
	};

	return names[type];
}

static unsigned since(unsigned version)
{
	return version ? version : 1;
}

/* " when `name_id`'s `type` is PATIENT" */
static void add_when(struct sync_buf *b, const struct sync_when *w)
{
	if (!w->field)
		return;
	sync_buf_addf(b, " when `%s`", w->field);
	if (w->refers_field)
		sync_buf_addf(b, "'s `%s`", w->refers_field);
	sync_buf_addf(b, " is %s%s", w->not ? "not " : "", w->value ? w->value : "null");
}

static void add_owner(struct sync_buf *b, const struct sync_entity *e)
{
	switch (e->owner) {
	case SYNC_OWNER_CENTRAL:
		sync_buf_add_text(b, "central");
		break;
	case SYNC_OWNER_STORE:
		if (e->owner_field)
			sync_buf_addf(b, "the site of the store in `%s`", e->owner_field);
		else
			sync_buf_addf(b, "the owner of its `%s`", e->parent);
		break;
	case SYNC_OWNER_ANY:
		sync_buf_add_text(b, "any site that sees it");
		break;
	}
	add_when(b, &e->owner_when);
	if (e->owner_when.field)
		sync_buf_add_text(b, ", otherwise central");
}

static void add_route(struct sync_buf *b, const struct sync_entity *e, const struct sync_route *r)
{
	if (r->chosen)
		sync_buf_addf(b, "where `%s` is `%s`: ", e->option, r->chosen);
	switch (r->kind) {
	case SYNC_ROUTE_NONE:
		break;
	case SYNC_ROUTE_CENTRAL:
		sync_buf_add_text(b, "to every site");
		break;
	case SYNC_ROUTE_STORE:
		sync_buf_addf(b, "to the site of the store in `%s`", r->field);
		break;
	case SYNC_ROUTE_TRANSFER:
		sync_buf_addf(b, "to the site of the store whose name is in `%s`", r->field);
		break;
	case SYNC_ROUTE_THROUGH:
		sync_buf_addf(b, "to the sites of the stores that [%s](#%s) ties to its `%s`", r->join, r->join, r->field);
		if (r->join_store)
			sync_buf_addf(b, " by their `%s`", r->join_store);
		break;
	case SYNC_ROUTE_PARENT:
		sync_buf_addf(b, "wherever its `%s` goes", r->field);
		break;
	case SYNC_ROUTE_UP:
		sync_buf_add_text(b, "to central only");
		break;
	}
	add_when(b, &r->when);
}

static void add_routes(struct sync_buf *b, const struct sync_entity *e)
{
	for (const struct sync_route *r = e->routes; r->kind; r++) {
		sync_buf_add_text(b, r == e->routes ? "" : "; ");
		add_route(b, e, r);
	}
}

static void add_reference(struct sync_buf *b, const struct sync_entity *e, const struct sync_field *f)
{
	if (!f->refers)
		return;
	sync_buf_addf(b, "[%s](#%s)", f->refers, f->refers);
	if (f->soft)
		sync_buf_add_text(b, ", may dangle");
	else if (!sync_field_hard_at_site(e, f))
		sync_buf_add_text(b, ", may dangle at a site");
}

static void add_field(struct sync_buf *b, const struct sync_entity *e, const struct sync_field *f)
{
	sync_buf_addf(b, "| `%s` | %s | %s | ", f->name, type_name(f->type), f->required ? "yes" : "");
	add_reference(b, e, f);
	for (size_t i = 0; f->values && f->values[i]; i++)
		sync_buf_addf(b, "%s%s", i ? ", " : "", f->values[i]);
	if (f->local)
		sync_buf_addf(b, "%sstays at home", f->refers || f->values ? "; " : "");
	sync_buf_addf(b, " | %u |\n", since(f->since));
}

static void add_section(struct sync_buf *b, const struct sync_entity *e)
{
	sync_buf_addf(b, "\n## %s\n\n%s\n\n- Edited by: ", e->name, e->about);
	add_owner(b, e);
	sync_buf_add_text(b, ".\n- Travels: ");
	add_routes(b, e);
	sync_buf_add_text(b, ".\n");
	if (e->parent)
		sync_buf_addf(b, "- Changes together with: its `%s`.\n", e->parent);
	if (e->creator_grants)
		sync_buf_addf(b, "- Makes visible: what `%s` names, if the same site created it or holds a grant.\n",
		              e->creator_grants);
	if (e->legacy)
		sync_buf_addf(b, "- In the legacy server: `%s`.\n", e->legacy);
	sync_buf_addf(b, "- Since schema version: %u.\n\n", since(e->since));
	sync_buf_add_text(b, "| field | type | required | refers to, or values | since |\n|---|---|---|---|---|\n");
	for (size_t i = 0; i < e->n_fields; i++)
		add_field(b, e, &e->fields[i]);
}

static void add_options(struct sync_buf *b)
{
	sync_buf_add_text(b, "\n`central option` says what an installation has chosen, and chooses. Where nothing was, the first value counts.\n\n"
	                     "| option | decides | values |\n|---|---|---|\n");
	for (const struct sync_option *o = sync_option_list; o->name; o++) {
		sync_buf_addf(b, "| `%s` | %s | ", o->name, o->about);
		for (const struct sync_option_value *v = o->values; v->name; v++)
			sync_buf_addf(b, "%s`%s`: %s", v == o->values ? "" : "; ", v->name, v->about);
		sync_buf_add_text(b, " |\n");
	}
}

void sync_entities_document(struct sync_buf *ret)
{
	static const char head[] =
		"# Entities\n\n"
		"Made from the declarations in `libsync/schema/entities`; do not edit. `SYNC_UPDATE_DOCS=1 test_entity` makes\n"
		"it anew. Schema version %d, %zu entities, in the order in which they are integrated: what a hard reference\n"
		"names comes before what refers to it.\n\n"
		"| entity | edited by | travels |\n|---|---|---|\n";
	size_t n;
	const struct sync_entity *const *e = sync_entities(&n);

	sync_buf_addf(ret, head, SYNC_SCHEMA_VERSION, n);
	for (size_t i = 0; i < n; i++) {
		sync_buf_addf(ret, "| [%s](#%s) | ", e[i]->name, e[i]->name);
		add_owner(ret, e[i]);
		sync_buf_add_text(ret, " | ");
		add_routes(ret, e[i]);
		sync_buf_add_text(ret, " |\n");
	}
	add_options(ret);
	for (size_t i = 0; i < n; i++)
		add_section(ret, e[i]);
}

#include <libsync/ddl.h>

#include <string.h>

#include "base/internal.h"
#include "schema/declared.h"

/* name type [NOT NULL] [DEFAULT literal]; the id is the only key, so that no edit of one record can refuse another. */
static void add_column(struct sync_buf *b, const struct sync_field *f, const struct sync_dialect *sql)
{
	sync_buf_addf(b, "\"%s\" %s", f->name, sql->types[f->type]);
	if (!strcmp(f->name, "id"))
		sync_buf_add_text(b, " PRIMARY KEY");
	if (f->required)
		sync_buf_add_text(b, " NOT NULL");
	if (f->fallback)
		sync_buf_addf(b, " DEFAULT %s", f->fallback);
}

/* Whether records are looked up by this reference: to check it, to route by it, or to find a group's children. */
static bool is_looked_up(const struct sync_entity *e, const struct sync_field *f)
{
	size_t routing[SYNC_MAX_FIELDS];
	size_t n = sync_entity_routing(e, routing);

	if (!f->refers || f == e->fields)
		return false;
	for (size_t i = 0; i < n; i++)
		if (&e->fields[routing[i]] == f)
			return true;
	return !f->soft;
}

/* Whether a job goes through the records that name one thing in this field, in the order of their ids. */
static bool is_paged(const struct sync_entity *e, const struct sync_field *f)
{
	if (e->parent && !strcmp(e->parent, f->name))
		return true;
	for (const struct sync_route *r = e->routes; r->kind; r++)
		if ((r->kind == SYNC_ROUTE_STORE || r->kind == SYNC_ROUTE_TRANSFER || r->kind == SYNC_ROUTE_THROUGH) &&
		    !strcmp(r->field, f->name))
			return true;
	return false;
}

/* "entity.field" cannot be the name of another pair; with a '_' it could. */
static void add_index(struct sync_buf *b, const struct sync_entity *e, const struct sync_field *f)
{
	if (!is_looked_up(e, f))
		return;
	sync_buf_addf(b, "CREATE INDEX IF NOT EXISTS \"%s.%s\" ON \"%s\"(\"%s\"%s)", e->name, f->name, e->name, f->name,
	              is_paged(e, f) ? ", id" : "");
	if (!f->required)
		sync_buf_addf(b, " WHERE \"%s\" IS NOT NULL", f->name);
	sync_buf_add_text(b, ";\n");
}

void sync_ddl_table(struct sync_buf *ret, const struct sync_entity *e, const struct sync_dialect *sql)
{
	sync_buf_addf(ret, "CREATE TABLE IF NOT EXISTS \"%s\" (", e->name);
	for (size_t i = 0; i < e->n_fields; i++) {
		sync_buf_add_text(ret, i ? ",\n\t" : "\n\t");
		add_column(ret, &e->fields[i], sql);
	}
	sync_buf_addf(ret, "\n)%s;\n", sql->postgres ? "" : " STRICT");
	for (size_t i = 0; i < e->n_fields; i++)
		add_index(ret, e, &e->fields[i]);
}

void sync_ddl_column(struct sync_buf *ret, const struct sync_entity *e, const struct sync_field *f,
                     const struct sync_dialect *sql)
{
	sync_buf_addf(ret, "ALTER TABLE \"%s\" ADD COLUMN %s", e->name, sql->postgres ? "IF NOT EXISTS " : "");
	add_column(ret, f, sql);
	sync_buf_add_text(ret, ";\n");
	add_index(ret, e, f);
}

void sync_ddl_ids(struct sync_buf *ret, const struct sync_entity *e, const struct sync_dialect *sql)
{
	const char *separator = " ";

	sync_buf_addf(ret, "ALTER TABLE \"%s\"", e->name);
	for (size_t i = 0; i < e->n_fields; i++) {
		if (e->fields[i].type != SYNC_ID)
			continue;
		sync_buf_addf(ret, "%sALTER COLUMN \"%s\" TYPE %s", separator, e->fields[i].name, sql->types[SYNC_ID]);
		separator = ",\n\t";
	}
	sync_buf_add_text(ret, ";\n");
}

bool sync_ddl_is_column(const struct sync_field *f, struct sync_view column)
{
	size_t len = strlen(f->name);

	return column.len >= SYNC_MAX_NAME - 1 && len >= SYNC_MAX_NAME - 1 ?
	               !memcmp(column.data, f->name, SYNC_MAX_NAME - 1) :
	               sync_view_is(column, f->name);
}

void sync_ddl_batch(struct sync_table *ret, const struct sync_entity *e, const uint64_t mask[static 2],
                    const char *ret_columns[static SYNC_MAX_FIELDS], enum sync_type ret_types[static SYNC_MAX_FIELDS])
{
	size_t n = 0;

	for (size_t i = 0; i < e->n_fields; i++) {
		const struct sync_field *f = &e->fields[i];

		if (f->local || (i && !(mask[i / 64] >> i % 64 & 1)))
			continue;
		ret_columns[n] = f->name;
		ret_types[n++] = f->type;
	}
	*ret = (struct sync_table){ .name = e->name, .columns = ret_columns, .types = ret_types, .n_columns = n, .n_key = 1 };
}

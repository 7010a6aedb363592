#include <libsync/ddl.h>

#include <assert.h>
#include <stdio.h>
#include <string.h>

#include "base/internal.h"
#include "schema/capture.h"
#include "schema/declared.h"

/* Microseconds since 1970 UTC, as sync_now_us(); SQLite's clock has milliseconds. */
#define SQLITE_NOW   "CAST(round((julianday('now') - 2440587.5) * 86400000) AS integer) * 1000"
#define POSTGRES_NOW "(extract(epoch FROM clock_timestamp()) * 1000000)::bigint"

/* Which changes have a trigger of their own. */
enum event {
	ON_INSERT,
	ON_UPDATE,
	ON_DELETE,
	ON_RENAME,   /* SQLite: the id changes, which also is a delete of the old one */
	ON_REPLACE,  /* SQLite: INSERT OR REPLACE fires no delete trigger, so what it replaces is looked at before */
	ON_TRUNCATE, /* PostgreSQL: refused, for the rows that go are not seen */
	N_EVENTS
};

static const char *const event_names[N_EVENTS] = {
	[ON_INSERT] = "insert", [ON_UPDATE] = "update",   [ON_DELETE] = "delete",
	[ON_RENAME] = "rename", [ON_REPLACE] = "replace", [ON_TRUNCATE] = "truncate",
};

/* Triggers of one entity being written. */
struct capture {
	struct sync_buf *b;
	const struct sync_entity *e;
	enum sync_role role;
	size_t routing[SYNC_MAX_FIELDS]; /* fields whose old and new values central keeps */
	size_t n_routing;
};

static struct capture capture_of(struct sync_buf *b, const struct sync_entity *e, enum sync_role role)
{
	struct capture c = { .b = b, .e = e, .role = role };

	c.n_routing = sync_entity_routing(e, c.routing);
	return c;
}

/* Whether the old value of this field would be missed: a line's old invoice, and at central what routes depend on. */
static bool is_missed(const struct capture *c, const struct sync_field *f)
{
	if (f == c->e->fields)
		return false;
	if (c->role == SYNC_SITE)
		return c->e->parent && !strcmp(c->e->parent, f->name);
	for (size_t i = 0; i < c->n_routing; i++)
		if (&c->e->fields[c->routing[i]] == f)
			return true;
	return false;
}

static bool needs_replaced(const struct capture *c)
{
	for (size_t i = 0; i < c->e->n_fields; i++)
		if (is_missed(c, &c->e->fields[i]))
			return true;
	return false;
}

static bool has_event(const struct capture *c, const struct sync_dialect *sql, enum event event)
{
	switch (event) {
	case ON_INSERT:
	case ON_UPDATE:
		return true;
	case ON_DELETE:
		return !SYNC_FAULT(deletes_not_captured);
	case ON_RENAME:
		return !sql->postgres;
	case ON_REPLACE:
		return !sql->postgres && needs_replaced(c) && !SYNC_FAULT(replaced_not_captured);
	case ON_TRUNCATE:
		return sql->postgres;
	case N_EVENTS:
		break;
	}
	return false;
}

void sync_capture_routing(struct sync_buf *b, const struct sync_entity *e, const char *function, const char *row)
{
	size_t routing[SYNC_MAX_FIELDS];
	size_t n = sync_entity_routing(e, routing);

	sync_buf_addf(b, "%s(", function);
	for (size_t i = 0; i < n; i++)
		sync_buf_addf(b, "%sCAST(%s.\"%s\" AS text)", i ? ", " : "", row, e->fields[routing[i]].name);
	sync_buf_add_char(b, ')');
}

static void add_routing(const struct capture *c, const char *function, const char *row)
{
	sync_capture_routing(c->b, c->e, function, row);
}

/* The columns that travel, or those that stay in this database. */
static void add_columns(const struct capture *c, bool local, const char *prefix)
{
	const char *separator = "";

	for (size_t i = 0; i < c->e->n_fields; i++) {
		if (c->e->fields[i].local != local)
			continue;
		sync_buf_addf(c->b, "%s%s\"%s\"", separator, prefix, c->e->fields[i].name);
		separator = ", ";
	}
}

/* SQLite: the first firing for a marked record is the integrator's own write. */
static void take_mark(const struct capture *c, const char *row)
{
	sync_buf_addf(c->b, "\tDELETE FROM sync_mark WHERE entity = '%s' AND record_id = %s.id;\n", c->e->name, row);
}

void sync_capture_root(struct sync_buf *b, const struct sync_entity *e, const char *row)
{
	if (e->parent)
		sync_buf_addf(b, "%s.\"%s\"", row, e->parent);
	else if (sync_entity_grouped(e))
		sync_buf_addf(b, "%s.id", row);
	else
		sync_buf_add_text(b, "NULL");
}

/* Where the row came from, for a child that may have changed its group. */
static void add_old_root(const struct capture *c, enum event event)
{
	const char *parent = c->e->parent;

	if (parent && event == ON_UPDATE)
		sync_buf_addf(c->b, "nullif(OLD.\"%s\", NEW.\"%s\")", parent, parent);
	else if (parent && event == ON_REPLACE)
		sync_buf_addf(c->b, "(SELECT \"%s\" FROM \"%s\" WHERE id = NEW.id)", parent, c->e->name);
	else
		sync_buf_add_text(c->b, "NULL");
}

/*
 * A site keeps one row per record. The action is what is true when the trigger fires, because an application's own triggers
 * may have undone or repeated the change before. The base stays that of the first edit.
 */
static void add_site_row(const struct capture *c, enum event event, const char *row)
{
	static const char insert[] =
		"\tINSERT INTO sync_changelog(entity, record_id, seq, action, root_id, old_root_id, at_us, base)\n"
		"\tSELECT '%s', %s.id, " SYNC_NEWEST_SEQ " + 1,\n"
		"\t       CASE WHEN EXISTS (SELECT 1 FROM \"%s\" WHERE id = %s.id) THEN 'P' ELSE 'D' END,\n"
		"\t       ";
	static const char upsert[] =
		"\n"
		"\t WHERE NOT EXISTS (SELECT 1 FROM sync_mark WHERE entity = '%s' AND record_id = %s.id)\n"
		"\t    ON CONFLICT (entity, record_id) DO UPDATE\n"
		"\t   SET seq = excluded.seq, action = excluded.action, root_id = excluded.root_id,\n"
		"\t       old_root_id = coalesce(excluded.old_root_id, nullif(root_id, excluded.root_id), old_root_id),\n"
		"\t       at_us = excluded.at_us%s;\n";
	const char *name = c->e->name;
	bool any = c->e->owner == SYNC_OWNER_ANY;

	sync_buf_addf(c->b, insert, name, row, name, row);
	sync_capture_root(c->b, c->e, row);
	sync_buf_add_text(c->b, ", ");
	add_old_root(c, event);
	sync_buf_add_text(c->b, ",\n\t       " SQLITE_NOW ", ");
	if (any)
		sync_buf_addf(c->b, "(SELECT version FROM sync_version WHERE entity = '%s' AND record_id = %s.id)", name, row);
	else
		sync_buf_add_text(c->b, "NULL");
	sync_buf_addf(c->b, upsert, name, row, any ? ", base = coalesce(base, excluded.base)" : "");
}

/* Central's row: the routing values before and after, by which the router finds who gains and who loses the record. */
static void add_central_row(const struct capture *c, enum event event, const char *row)
{
	static const char insert[] =
		"\tINSERT INTO sync_changelog(entity, record_id, action, source, at_us, old, new)\n"
		"\tSELECT '%s', %s.id, '%s',\n"
		"\t       coalesce((SELECT source FROM sync_mark WHERE entity = '%s' AND record_id = %s.id), 0),\n"
		"\t       " SQLITE_NOW ",\n"
		"\t       ";
	bool gone = event == ON_DELETE || event == ON_RENAME;

	sync_buf_addf(c->b, insert, c->e->name, row, gone ? "D" : "P", c->e->name, row);
	if (event == ON_INSERT)
		sync_buf_add_text(c->b, "NULL");
	if (event == ON_UPDATE)
		sync_buf_add_text(c->b, "CASE WHEN OLD.id = NEW.id THEN ");
	if (event != ON_INSERT)
		add_routing(c, "json_array", event == ON_REPLACE ? "replaced" : "OLD");
	if (event == ON_UPDATE)
		sync_buf_add_text(c->b, " END");
	sync_buf_add_text(c->b, ", ");
	if (gone)
		sync_buf_add_text(c->b, "NULL");
	else
		add_routing(c, "json_array", "NEW");
	if (event == ON_REPLACE)
		sync_buf_addf(c->b, "\n\t  FROM \"%s\" AS replaced WHERE replaced.id = NEW.id", c->e->name);
	sync_buf_add_text(c->b, ";\n");
}

/* Whether a row differs from the one it replaces in what would be missed. */
static void add_moved(const struct capture *c)
{
	const char *separator = "(";

	for (size_t i = 0; i < c->e->n_fields; i++) {
		const struct sync_field *f = &c->e->fields[i];

		if (!is_missed(c, f))
			continue;
		sync_buf_addf(c->b, "%sreplaced.\"%s\" IS NOT NEW.\"%s\"", separator, f->name, f->name);
		separator = " OR ";
	}
	sync_buf_add_char(c->b, ')');
}

/* When the trigger fires; only columns that travel count. */
static void add_sqlite_event(const struct capture *c, enum event event)
{
	const char *name = c->e->name;

	switch (event) {
	case ON_INSERT:
		sync_buf_addf(c->b, "AFTER INSERT ON \"%s\"", name);
		break;
	case ON_UPDATE:
		sync_buf_add_text(c->b, "AFTER UPDATE OF ");
		add_columns(c, false, "");
		sync_buf_addf(c->b, " ON \"%s\"", name);
		break;
	case ON_DELETE:
		sync_buf_addf(c->b, "AFTER DELETE ON \"%s\"", name);
		break;
	case ON_RENAME:
		sync_buf_addf(c->b, "AFTER UPDATE OF id ON \"%s\" WHEN OLD.id <> NEW.id", name);
		break;
	case ON_REPLACE:
		sync_buf_addf(c->b, "BEFORE INSERT ON \"%s\"\n", name);
		sync_buf_addf(c->b, "WHEN EXISTS (SELECT 1 FROM \"%s\" AS replaced WHERE replaced.id = NEW.id AND ", name);
		add_moved(c);
		sync_buf_add_char(c->b, ')');
		break;
	case ON_TRUNCATE:
	case N_EVENTS:
		break;
	}
}

static void add_sqlite_trigger(const struct capture *c, enum event event)
{
	const char *row = event == ON_DELETE || event == ON_RENAME ? "OLD" : "NEW";

	sync_buf_addf(c->b, "DROP TRIGGER IF EXISTS sync_%s_%s;\nCREATE TRIGGER sync_%s_%s ", c->e->name, event_names[event],
	              c->e->name, event_names[event]);
	add_sqlite_event(c, event);
	sync_buf_add_text(c->b, " BEGIN\n");
	if (c->role == SYNC_SITE)
		add_site_row(c, event, row);
	else
		add_central_row(c, event, row);
	if (event != ON_REPLACE) /* the insert itself follows */
		take_mark(c, row);
	sync_buf_add_text(c->b, "END;\n");
}

/* One INSERT per statement that an application runs, for all its rows; o and n are the rows before and after. */
static void add_postgres_insert(const struct capture *c, const char *id, const char *action)
{
	static const char insert[] =
		"\t\tINSERT INTO sync_changelog(entity, record_id, action, source, at_us, old, new)\n"
		"\t\tSELECT '%s', %s, %s, origin, now_us,\n"
		"\t\t       ";

	sync_buf_addf(c->b, insert, c->e->name, id, action);
}

/* An update that changes only what stays here is not captured; one that changes nothing is, for it may bring unknown fields. */
static void add_postgres_filter(const struct capture *c)
{
	bool local = false;

	for (size_t i = 0; i < c->e->n_fields; i++)
		local |= c->e->fields[i].local;
	if (!local)
		return;
	sync_buf_add_text(c->b, "\n\t\t WHERE ROW(");
	add_columns(c, false, "o.");
	sync_buf_add_text(c->b, ") IS DISTINCT FROM ROW(");
	add_columns(c, false, "n.");
	sync_buf_add_text(c->b, ")\n\t\t    OR ROW(");
	add_columns(c, true, "o.");
	sync_buf_add_text(c->b, ") IS NOT DISTINCT FROM ROW(");
	add_columns(c, true, "n.");
	sync_buf_add_char(c->b, ')');
}

static void add_postgres_body(const struct capture *c)
{
	static const char refuse[] =
		";\n"
		"\tELSE\n"
		"\t\tRAISE EXCEPTION 'TRUNCATE of % is refused: its rows would not be captured', TG_TABLE_NAME\n"
		"\t\t\tUSING HINT = 'Use DELETE.', ERRCODE = 'feature_not_supported';\n"
		"\tEND IF;\n";

	sync_buf_add_text(c->b, "\tIF TG_OP = 'INSERT' THEN\n");
	add_postgres_insert(c, "n.id", "'P'");
	sync_buf_add_text(c->b, "NULL, ");
	add_routing(c, "json_build_array", "n");
	sync_buf_add_text(c->b, "::text\n\t\t  FROM new_rows n;\n\tELSIF TG_OP = 'DELETE' THEN\n");
	add_postgres_insert(c, "o.id", "'D'");
	add_routing(c, "json_build_array", "o");
	sync_buf_add_text(c->b, "::text, NULL\n\t\t  FROM old_rows o;\n\tELSIF TG_OP = 'UPDATE' THEN\n");
	add_postgres_insert(c, "coalesce(n.id, o.id)", "CASE WHEN n.id IS NULL THEN 'D' ELSE 'P' END");
	sync_buf_add_text(c->b, "CASE WHEN o.id IS NOT NULL THEN ");
	add_routing(c, "json_build_array", "o");
	sync_buf_add_text(c->b, "::text END,\n\t\t       CASE WHEN n.id IS NOT NULL THEN ");
	add_routing(c, "json_build_array", "n");
	sync_buf_add_text(c->b, "::text END\n\t\t  FROM old_rows o FULL JOIN new_rows n ON n.id = o.id");
	add_postgres_filter(c);
	sync_buf_add_text(c->b, refuse);
}

/*
 * The integrator names its source in a setting. It counts for its own statements only: what an application's triggers do in
 * answer fires one level deeper and is an edit made here. Whoever may write the table need not be able to write the changelog.
 */
static void add_postgres_function(const struct capture *c)
{
	static const char begin[] =
		"CREATE OR REPLACE FUNCTION sync_capture_%s() RETURNS trigger\n"
		"LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT AS $capture$\n"
		"DECLARE\n"
		"\torigin bigint := CASE WHEN pg_trigger_depth() = 1\n"
		"\t\tTHEN coalesce(nullif(current_setting('sync.source', true), '')::bigint, 0) ELSE 0 END;\n"
		"\tnow_us bigint := " POSTGRES_NOW ";\n"
		"BEGIN\n";

	sync_buf_addf(c->b, begin, c->e->name);
	add_postgres_body(c);
	sync_buf_add_text(c->b, "\tRETURN NULL;\nEND $capture$;\n");
}

static void add_postgres_trigger(const struct capture *c, enum event event)
{
	static const char *const when[N_EVENTS] = {
		[ON_INSERT] = "AFTER INSERT", [ON_UPDATE] = "AFTER UPDATE",
		[ON_DELETE] = "AFTER DELETE", [ON_TRUNCATE] = "BEFORE TRUNCATE",
	};
	static const char *const rows[N_EVENTS] = {
		[ON_INSERT] = " REFERENCING NEW TABLE AS new_rows",
		[ON_UPDATE] = " REFERENCING OLD TABLE AS old_rows NEW TABLE AS new_rows",
		[ON_DELETE] = " REFERENCING OLD TABLE AS old_rows",
		[ON_TRUNCATE] = "",
	};

	sync_buf_addf(c->b, "CREATE OR REPLACE TRIGGER sync_%s_%s %s ON \"%s\"%s\n"
	                    "\tFOR EACH STATEMENT EXECUTE FUNCTION sync_capture_%s();\n",
	              c->e->name, event_names[event], when[event], c->e->name, rows[event], c->e->name);
}

void sync_ddl_triggers(struct sync_buf *ret, const struct sync_entity *e, const struct sync_dialect *sql, enum sync_role role)
{
	struct capture c = capture_of(ret, e, role);

	assert(!sql->postgres || role == SYNC_CENTRAL);
	if (sql->postgres)
		add_postgres_function(&c);
	for (enum event event = 0; event < N_EVENTS; event++) {
		if (!has_event(&c, sql, event))
			continue;
		if (sql->postgres)
			add_postgres_trigger(&c, event);
		else
			add_sqlite_trigger(&c, event);
	}
}

bool sync_ddl_trigger_name(char ret[static SYNC_TRIGGER_NAME], const struct sync_entity *e, const struct sync_dialect *sql,
                           enum sync_role role, size_t n)
{
	struct capture c = capture_of(NULL, e, role);

	for (enum event event = 0; event < N_EVENTS; event++) {
		if (!has_event(&c, sql, event) || n--)
			continue;
		snprintf(ret, SYNC_TRIGGER_NAME, "sync_%s_%s", e->name, event_names[event]);
		return true;
	}
	return false;
}

void sync_ddl_drop_triggers(struct sync_buf *ret, const struct sync_entity *e, const struct sync_dialect *sql)
{
	for (enum event event = 0; event < N_EVENTS; event++) {
		sync_buf_addf(ret, "DROP TRIGGER IF EXISTS sync_%s_%s", e->name, event_names[event]);
		if (sql->postgres)
			sync_buf_addf(ret, " ON \"%s\"", e->name);
		sync_buf_add_text(ret, ";\n");
	}
}

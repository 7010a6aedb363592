#include <libsync/ddl.h>

#include <inttypes.h>

#include "base/internal.h"
#include "schema/capture.h"

/*
 * What was edited while a table had no triggers cannot be told from what was not, so all of it is put up again: whoever has
 * it already takes it as a repeat. Nobody knows when the edits were made either. As the oldest possible (at_us 0) they win no
 * conflict, and are kept when they lose.
 */

enum { SOME_TIME = 0 };

/* queue of central */

void sync_ddl_queue(struct sync_buf *ret, const struct sync_entity *e, const struct sync_dialect *sql, int64_t at_us)
{
	sync_buf_addf(ret,
	              "INSERT INTO sync_changelog(entity, record_id, action, source, at_us, old, new)\n"
	              "SELECT '%s', t.id, 'P', 0, %" PRId64 ", '[]', ",
	              e->name, at_us);
	sync_capture_routing(ret, e, sql->postgres ? "json_build_array" : "json_array", "t");
	sync_buf_addf(ret, "%s\n  FROM \"%s\" t", sql->postgres ? "::text" : "", e->name);
}

/* Sites hold it, as far as central knows. */
static void queue_deletes(struct sync_buf *b, const struct sync_entity *e)
{
	sync_buf_addf(b,
	              "INSERT INTO sync_changelog(entity, record_id, action, source, at_us, old, new)\n"
	              "SELECT DISTINCT o.entity, o.record_id, 'D', 0, %d, '[]', CAST(NULL AS text)\n"
	              "  FROM sync_outbox o\n"
	              " WHERE o.entity = '%s' AND o.action = 'P' AND NOT EXISTS (SELECT 1 FROM \"%s\" t WHERE t.id = o.record_id);\n",
	              SOME_TIME, e->name, e->name);
}

/* changelog of a site */

/* Whether the condition under which others than central own the row holds. */
static void add_condition(struct sync_buf *b, const struct sync_entity *e, const char *row)
{
	const struct sync_when *w = &e->owner_when;
	const char *is = w->not ? "IS NOT" : "IS";

	if (!w->field) {
		sync_buf_add_text(b, "true");
		return;
	}
	if (w->refers_field) {
		const struct sync_field *f = &e->fields[sync_field_find(e, sync_view_of(w->field))];

		sync_buf_addf(b, "(SELECT r.\"%s\" FROM \"%s\" r WHERE r.id = %s.\"%s\")", w->refers_field,
		              sync_field_target(f)->name, row, w->field);
	} else {
		sync_buf_addf(b, "%s.\"%s\"", row, w->field);
	}
	if (w->value)
		sync_buf_addf(b, " %s '%s'", is, w->value);
	else
		sync_buf_addf(b, " %s NULL", is);
}

/* Whether this site may edit the row, as far as it can tell: a record of a store is its own where that store is active. */
static void add_editable(struct sync_buf *b, const struct sync_entity *e, const char *row)
{
	add_condition(b, e, row);
	if (e->owner != SYNC_OWNER_STORE)
		return;
	if (e->owner_field) {
		sync_buf_addf(b,
		              " AND (%s.\"%s\" IS NULL OR"
		              " (SELECT s.site_id FROM store s WHERE s.id = %s.\"%s\") = (SELECT site_id FROM sync_link))",
		              row, e->owner_field, row, e->owner_field);
		return;
	}
	sync_buf_addf(b, " AND EXISTS (SELECT 1 FROM \"%s\" p WHERE p.id = %s.\"%s\" AND ", sync_entity_root(e)->name, row, e->parent);
	add_editable(b, sync_entity_root(e), "p");
	sync_buf_add_char(b, ')');
}

static void log_puts(struct sync_buf *b, const struct sync_entity *e)
{
	const char *name = e->name;

	sync_buf_addf(b,
	              "INSERT INTO sync_changelog(entity, record_id, seq, action, root_id, old_root_id, at_us, base)\n"
	              "SELECT '%s', t.id, top.seq + row_number() OVER (ORDER BY t.id), 'P', ",
	              name);
	sync_capture_root(b, e, "t");
	sync_buf_add_text(b, ", NULL,\n       ");
	/* what waits in the inbox came before the edit, as far as anybody can tell */
	sync_buf_addf(b,
	              "coalesce((SELECT received_us FROM sync_inbox WHERE source = 0 AND entity = '%s' AND record_id = t.id), %d),"
	              "\n       ",
	              name, SOME_TIME);
	if (e->owner == SYNC_OWNER_ANY)
		sync_buf_addf(b, "(SELECT version FROM sync_version WHERE entity = '%s' AND record_id = t.id)", name);
	else
		sync_buf_add_text(b, "NULL");
	sync_buf_addf(b, "\n  FROM (SELECT " SYNC_NEWEST_SEQ " AS seq) top CROSS JOIN \"%s\" t\n WHERE ", name);
	add_editable(b, e, "t");
	sync_buf_add_text(b, "\n    ON CONFLICT (entity, record_id) DO UPDATE\n"
	                     "   SET seq = excluded.seq, action = excluded.action, root_id = excluded.root_id,\n"
	                     "       old_root_id = coalesce(nullif(root_id, excluded.root_id), old_root_id),\n"
	                     "       at_us = max(at_us, excluded.at_us), base = coalesce(base, excluded.base);\n");
}

/* What was edited here and is gone. Of what was only dropped the changelog has nothing. */
static void log_deletes(struct sync_buf *b, const struct sync_entity *e)
{
	sync_buf_addf(b,
	              "INSERT INTO sync_changelog(entity, record_id, seq, action, root_id, old_root_id, at_us, base)\n"
	              "SELECT c.entity, c.record_id, top.seq + row_number() OVER (ORDER BY c.seq), 'D', c.root_id, c.old_root_id,"
	              " c.at_us, c.base\n"
	              "  FROM (SELECT " SYNC_NEWEST_SEQ " AS seq) top CROSS JOIN sync_changelog c\n"
	              " WHERE c.entity = '%s' AND c.action = 'P' AND NOT EXISTS (SELECT 1 FROM \"%s\" t WHERE t.id = c.record_id)",
	              e->name, e->name);
	sync_buf_add_text(b, "\n    ON CONFLICT (entity, record_id) DO UPDATE SET seq = excluded.seq, action = excluded.action;\n");
}

void sync_ddl_recapture(struct sync_buf *ret, const struct sync_entity *e, const struct sync_dialect *sql, enum sync_role role)
{
	if (role == SYNC_CENTRAL) {
		sync_ddl_queue(ret, e, sql, SOME_TIME);
		sync_buf_add_text(ret, ";\n");
		queue_deletes(ret, e);
	} else if (e->owner != SYNC_OWNER_CENTRAL) {
		log_puts(ret, e);
		log_deletes(ret, e);
	}
}

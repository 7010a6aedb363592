#include "exchange/altered.h"

#include <libsync/ddl.h>
#include <libsync/records.h>
#include <libsync/time.h>

#include "base/internal.h"
#include "exchange/lot.h"

enum { MAX_SQL = 4096 };

/*
 * The capture triggers see what a BEFORE ROW trigger has made of a row, but not that it is no longer what the integrator
 * wrote. Only tables that have such triggers, which are rare, are read again.
 */

struct applied {
	struct sync_db *db;
	int64_t source;
	const struct sync_record *const *r;
	size_t n;
};

bool sync_value_same(const struct sync_value *a, const struct sync_value *b)
{
	if (a->kind == SYNC_INT && b->kind == SYNC_INT)
		return a->i == b->i;
	if (a->kind == SYNC_STRING && b->kind == SYNC_STRING)
		return sync_view_eq(a->s, b->s);
	if ((a->kind == SYNC_INT || a->kind == SYNC_DOUBLE) && (b->kind == SYNC_INT || b->kind == SYNC_DOUBLE))
		return (a->kind == SYNC_INT ? (double)a->i : a->d) == (b->kind == SYNC_INT ? (double)b->i : b->d);
	return a->kind == b->kind;
}

/* What did not come is unchanged, for all that is known. */
bool sync_record_exists(const struct sync_record *r)
{
	return r->values || (!r->entity && r->extra.len > 0);
}

bool sync_record_differs(const struct sync_record *applied, const struct sync_record *stored)
{
	if (applied->action != SYNC_PUT || !stored->values)
		return (applied->action == SYNC_PUT) != (stored->values != NULL) || stored->values;
	for (size_t i = 1; i < applied->entity->n_fields; i++) {
		const struct sync_value *v = &applied->values[i];

		if (v->kind != SYNC_ABSENT && !applied->entity->fields[i].local && !sync_value_same(v, &stored->values[i]))
			return true;
	}
	return sync_json_changes(stored->extra, applied->extra);
}

static enum sync_status queue(struct sync_db *db, const struct sync_entity *e, const struct sync_view *ids, size_t n,
                              struct sync_error *err)
{
	defer(sync_buf_clear) struct sync_buf head = { .max = MAX_SQL };

	sync_ddl_queue(&head, e, sync_db_dialect(db), sync_now_us());
	sync_buf_add_text(&head, " WHERE t.id");
	TRY(sync_buf_check(&head, err));
	return sync_run_ids(db, head.data, ids, n, "", SYNC_NOARGS, NULL, NULL, err);
}

/* Records of one entity as they are stored now: the altered ones are edits, and of those that were not let in the site is told. */
static enum sync_status compare(const struct applied *a, const struct sync_record *const *r, size_t n, struct sync_error *err)
{
	defer(sync_arena_clear) struct sync_arena arena = { 0 };
	const struct sync_entity *e = r[0]->entity;
	struct sync_record *stored = sync_arena_get(&arena, n * sizeof *stored);
	struct sync_view *ids = sync_arena_get(&arena, n * sizeof *ids), *missing = sync_arena_get(&arena, n * sizeof *missing);
	size_t altered = 0, gone = 0;

	if (!stored || !ids || !missing)
		return sync_fail(err, SYNC_ENOMEM, "comparing %zu records of %s", n, e->name);
	for (size_t i = 0; i < n; i++)
		ids[i] = r[i]->id;
	TRY(sync_records_get(a->db, e, (struct sync_view){ 0 }, ids, n, &arena, stored, err));
	for (size_t i = 0; i < n; i++) {
		if (stored[i].values && sync_record_differs(r[i], &stored[i]))
			ids[altered++] = r[i]->id;
		else if (!stored[i].values && r[i]->action == SYNC_PUT)
			missing[gone++] = r[i]->id;
	}
	TRY(queue(a->db, e, ids, altered, err));
	return sync_resend(a->db, a->source, sync_view_of(e->name), missing, gone, err);
}

static enum sync_status take_table(void *ctx, const struct sync_value *v, size_t n_v, struct sync_error *err)
{
	const struct applied *a = ctx;
	const struct sync_entity *e = sync_entity_find(v[0].s);
	defer(freep) const struct sync_record **r = malloc((a->n + 1) * sizeof(*r));
	size_t n = 0;

	(void)n_v;
	if (!r)
		return sync_fail(err, SYNC_ENOMEM, "comparing %zu records", a->n);
	for (size_t i = 0; e && i < a->n; i++)
		if (a->r[i]->entity == e)
			r[n++] = a->r[i];
	return n ? compare(a, r, n, err) : SYNC_OK;
}

enum sync_status sync_altered_queue(struct sync_db *db, int64_t source, const struct sync_record *const *r, size_t n,
                                    struct sync_error *err)
{
	static const char tables[] = /* tgtype: 1 is for each row, 2 before */
		"SELECT DISTINCT CAST(c.relname AS text) FROM pg_trigger t JOIN pg_class c ON c.oid = t.tgrelid"
		"    WHERE t.tgtype & 3 = 3 AND NOT t.tgisinternal AND t.tgenabled IN ('O', 'A')"
		"    AND c.relnamespace = (SELECT oid FROM pg_namespace WHERE nspname = current_schema())";
	struct applied a = { db, source, r, n };

	return sync_db_run(db, tables, SYNC_NOARGS, take_table, &a, err);
}

#include "exchange/integrate.h"

#include <inttypes.h>
#include <stdio.h>

#include <libsync/records.h>

#include "base/internal.h"
#include "exchange/altered.h"
#include "exchange/lot.h"

/* A record and when its turn is: puts in integration order, new ones first, then deletes and drops in the reverse. */
struct step {
	const struct sync_record *r;
	size_t turn;
	bool fresh;
};

/* Sorted ids keep a table's pages together. */
static int by_turn(const void *a, const void *b)
{
	const struct step *x = a, *y = b;
	int order;

	if (x->turn != y->turn)
		return x->turn < y->turn ? -1 : 1;
	if (x->fresh != y->fresh)
		return x->fresh ? -1 : 1;
	order = x->r->entity ? 0 : sync_view_cmp(x->r->name, y->r->name);
	return order ? order : sync_view_cmp(x->r->id, y->r->id);
}

static void plan(struct step *steps, const struct sync_record *const *r, const bool *fresh, size_t n)
{
	const struct sync_entity *last = NULL;
	size_t count, order = 0;

	sync_entities(&count);
	for (size_t i = 0; i < n; i++) {
		if (!r[i]->entity)
			order = count;
		else if (r[i]->entity != last)
			order = sync_entity_order(r[i]->entity);
		last = r[i]->entity;
		steps[i] = (struct step){ r[i], r[i]->action == SYNC_PUT ? order : 2 * count + 1 - order, fresh && fresh[i] };
	}
	qsort(steps, n, sizeof *steps, by_turn);
}

static bool together(const struct step *a, const struct step *b)
{
	return a->turn == b->turn && a->fresh == b->fresh && sync_view_eq(a->r->name, b->r->name);
}

static enum sync_status delete_unknown(struct sync_db *db, struct sync_view entity, const struct sync_view *ids, size_t n,
                                       struct sync_error *err)
{
	return sync_run_ids(db, "DELETE FROM sync_extra WHERE record_id", ids, n, " AND entity = $2",
	                    SYNC_ARGS(sync_string(entity)), NULL, NULL, err);
}

/*
 * Whom a site's delete must reach is known only when the entity is: a copy of the site that is older may have the record. Until then
 * central keeps that there is none.
 */
static enum sync_status keep_unknown_deletes(struct sync_db *db, int64_t source, const struct step *steps, size_t n,
                                             struct sync_error *err)
{
	static const char *const columns[] = { "entity", "record_id", "data", "root_id", "source" };
	static const enum sync_type types[] = { SYNC_ID, SYNC_ID, SYNC_TEXT, SYNC_ID, SYNC_BIGINT };
	static const struct sync_table table = { "sync_extra", columns, types, COUNT(columns), 2, false };
	defer(freep) struct sync_value *v = malloc(n * COUNT(columns) * sizeof *v);
	size_t at = 0;

	if (!v)
		return sync_fail(err, SYNC_ENOMEM, "deleting %zu records of %.*s", n, SYNC_VIEW(steps->r->name));
	for (size_t i = 0; i < n; i++) {
		const struct sync_record *r = steps[i].r;

		v[at++] = sync_string(r->name);
		v[at++] = sync_string(r->id);
		v[at++] = sync_text("");
		v[at++] = r->root.len ? sync_string(r->root) : sync_null();
		v[at++] = sync_int(source);
	}
	return sync_db_put_many(db, &table, v, n, err);
}

static enum sync_status take_away(struct sync_db *db, int64_t source, const struct step *steps, size_t n, struct sync_error *err)
{
	const struct sync_record *first = steps->r;
	defer(freep) struct sync_view *ids = NULL;

	if (source && !first->entity)
		return keep_unknown_deletes(db, source, steps, n, err);
	ids = malloc(n * sizeof *ids);
	if (!ids)
		return sync_fail(err, SYNC_ENOMEM, "deleting %zu records of %.*s", n, SYNC_VIEW(first->name));
	for (size_t i = 0; i < n; i++)
		ids[i] = steps[i].r->id;
	if (!first->entity)
		return delete_unknown(db, first->name, ids, n, err);
	return sync_records_delete(db, first->entity, ids, n, err);
}

/* Whose they are is asked before anybody else changes them. */
static enum sync_status name_owner(struct sync_db *db, int64_t source, const struct step *steps, size_t n, struct sync_error *err)
{
	defer(freep) struct sync_view *ids = malloc(n * sizeof *ids);
	char head[100];

	if (!ids)
		return sync_fail(err, SYNC_ENOMEM, "putting %zu records of %.*s", n, SYNC_VIEW(steps->r->name));
	for (size_t i = 0; i < n; i++)
		ids[i] = steps[i].r->id;
	snprintf(head, sizeof head, "UPDATE sync_extra SET source = %" PRId64 " WHERE record_id", source);
	return sync_run_ids(db, head, ids, n, " AND entity = $2", SYNC_ARGS(sync_string(steps->r->name)), NULL, NULL, err);
}

static enum sync_status put_in(struct sync_db *db, int64_t source, const struct step *steps, size_t n, struct sync_error *err)
{
	defer(freep) const struct sync_record **r = malloc(n * sizeof(*r));

	if (!r)
		return sync_fail(err, SYNC_ENOMEM, "putting %zu records of %.*s", n, SYNC_VIEW(steps->r->name));
	for (size_t i = 0; i < n; i++)
		r[i] = steps[i].r;
	TRY(steps->fresh ? sync_records_add(db, steps->r->entity, r, n, err) : sync_records_put(db, steps->r->entity, r, n, err));
	return source && !steps->r->entity ? name_owner(db, source, steps, n, err) : SYNC_OK;
}

static enum sync_status run_steps(struct sync_db *db, int64_t source, const struct step *steps, size_t n, struct sync_error *err)
{
	for (size_t i = 0, len; i < n; i += len) {
		for (len = 1; i + len < n && together(&steps[i], &steps[i + len]);)
			len++;
		if (steps[i].r->action == SYNC_PUT)
			TRY(put_in(db, source, &steps[i], len, err));
		else
			TRY(take_away(db, source, &steps[i], len, err));
	}
	return SYNC_OK;
}

/*
 * What a site pushed it pushes again should central lose it, and then as it is by then. So the changelog is to know what became of
 * the record since: put again, deleted elsewhere, or only taken from this site, which then has nothing to push, unless it had deleted
 * it itself. Before the change, for what an application's trigger does in answer is an edit that comes later.
 */
static enum sync_status log_alike(struct sync_db *db, const struct step *steps, size_t n, enum sync_action action,
                                  struct sync_error *err)
{
	static const char put[] = "UPDATE sync_changelog SET action = 'P' WHERE action = 'D' AND record_id";
	static const char deleted[] = "UPDATE sync_changelog SET action = 'D' WHERE action = 'P' AND record_id";
	static const char dropped[] = "DELETE FROM sync_changelog WHERE action = 'P' AND record_id";
	const char *head = action == SYNC_PUT ? put : action == SYNC_DELETE ? deleted : dropped;
	defer(freep) struct sync_view *ids = malloc(n * sizeof *ids);
	size_t n_ids = 0;

	if (!ids)
		return sync_fail(err, SYNC_ENOMEM, "noting %zu records of %.*s", n, SYNC_VIEW(steps->r->name));
	for (size_t i = 0; i < n; i++)
		if (steps[i].r->action == action)
			ids[n_ids++] = steps[i].r->id;
	return sync_run_ids(db, head, ids, n_ids, " AND entity = $2", SYNC_ARGS(sync_string(steps->r->name)), NULL, NULL, err);
}

/* Most of what comes is put, and few entities have deletes. */
static enum sync_status any_deleted(struct sync_db *db, struct sync_view entity, bool *ret, struct sync_error *err)
{
	static const char any[] = "SELECT 1 FROM sync_changelog WHERE action = 'D' AND entity = $1 LIMIT 1";
	int64_t some;

	TRY(sync_db_number(db, any, SYNC_ARGS(sync_string(entity)), 0, &some, err));
	*ret = some != 0;
	return SYNC_OK;
}

static enum sync_status log_received(struct sync_db *db, const struct step *steps, size_t n, struct sync_error *err)
{
	bool deleted;

	for (size_t i = 0, len; i < n; i += len) {
		for (len = 1; i + len < n && together(&steps[i], &steps[i + len]);)
			len++;
		TRY(any_deleted(db, steps[i].r->name, &deleted, err));
		if (deleted)
			TRY(log_alike(db, &steps[i], len, SYNC_PUT, err));
		TRY(log_alike(db, &steps[i], len, SYNC_DELETE, err));
		TRY(log_alike(db, &steps[i], len, SYNC_DROP, err));
	}
	return SYNC_OK;
}

/* SQLite: the first trigger that fires for a marked record takes the mark; what an application's own triggers do has none. */
static enum sync_status mark(struct sync_db *db, int64_t source, const struct sync_record *const *r, size_t n,
                             struct sync_error *err)
{
	static const char *const columns[] = { "entity", "record_id", "source" };
	static const enum sync_type types[] = { SYNC_TEXT, SYNC_TEXT, SYNC_BIGINT };
	static const struct sync_table table = { "sync_mark", columns, types, COUNT(columns), 2, false };
	defer(freep) struct sync_value *v = malloc(n * COUNT(columns) * sizeof *v);
	size_t at = 0, rows = 0;

	if (!v)
		return sync_fail(err, SYNC_ENOMEM, "marking %zu records", n);
	for (size_t i = 0; i < n; i++) {
		if (!r[i]->entity)
			continue;
		v[at++] = sync_string(r[i]->name);
		v[at++] = sync_string(r[i]->id);
		v[at++] = sync_int(source);
		rows++;
	}
	return sync_db_put_many(db, &table, v, rows, err);
}

/* Deletes of what was not there fire no trigger. */
static enum sync_status unmark(struct sync_db *db, struct sync_error *err)
{
	static const char leftover[] = "DELETE FROM sync_mark";

	return sync_db_run(db, leftover, SYNC_NOARGS, NULL, NULL, err);
}

static enum sync_status name_source(struct sync_db *db, const char *source, struct sync_error *err)
{
	static const char set[] = "SELECT set_config('sync.source', $1, true)";

	return sync_db_run(db, set, SYNC_ARGS(sync_text(source)), NULL, NULL, err);
}

static enum sync_status run_named(struct sync_db *db, int64_t source, const struct step *steps, size_t n,
                                  struct sync_error *err)
{
	char text[24];

	snprintf(text, sizeof text, "%" PRId64, source);
	TRY(name_source(db, text, err));
	TRY(run_steps(db, source, steps, n, err));
	return name_source(db, "", err);
}

enum sync_status sync_apply(struct sync_db *db, int64_t source, const struct sync_record *const *r, const bool *fresh, size_t n,
                            struct sync_error *err)
{
	bool own = sync_db_role(db) == SYNC_CENTRAL && source == 0; /* captured as any other edit is */
	defer(freep) struct step *steps = malloc((n ? n : 1) * sizeof *steps);

	if (!steps)
		return sync_fail(err, SYNC_ENOMEM, "applying %zu records", n);
	if (!n)
		return SYNC_OK;
	plan(steps, r, fresh, n);
	if (own)
		return run_steps(db, source, steps, n, err);
	if (sync_db_dialect(db)->postgres) {
		TRY(run_named(db, source, steps, n, err));
		return sync_altered_queue(db, source, r, n, err);
	}
	if (sync_db_role(db) == SYNC_SITE)
		TRY(log_received(db, steps, n, err));
	TRY(mark(db, source, r, SYNC_FAULT(echo_not_marked) ? 0 : n, err));
	TRY(run_steps(db, source, steps, n, err));
	return unmark(db, err);
}

#include "exchange/version.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <libsync/crypto.h>
#include <libsync/time.h>

#include "base/internal.h"
#include "exchange/lot.h"

static enum sync_status put_versions(struct sync_db *db, const struct sync_version *v, size_t n, bool keep, struct sync_error *err)
{
	static const char *const columns[] = { "entity",      "record_id", "version", "edited_us",
		                               "received_us", "creator",   "deleted", "base" };
	static const enum sync_type types[] = { SYNC_TEXT,   SYNC_TEXT,   SYNC_TEXT,   SYNC_BIGINT,
		                                SYNC_BIGINT, SYNC_BIGINT, SYNC_BIGINT, SYNC_TEXT };
	const struct sync_table table = { "sync_version", columns, types, COUNT(columns), 2, .keep = keep };
	defer(freep) struct sync_value *values = malloc((n + 1) * COUNT(columns) * sizeof *values);
	size_t at = 0;

	if (!values)
		return sync_fail(err, SYNC_ENOMEM, "%zu versions", n);
	for (size_t i = 0; i < n; i++) {
		values[at++] = sync_string(v[i].entity);
		values[at++] = sync_string(v[i].id);
		values[at++] = sync_string(v[i].version);
		values[at++] = sync_int(v[i].edited_us);
		values[at++] = sync_int(v[i].received_us);
		values[at++] = sync_int(v[i].creator);
		values[at++] = sync_int(v[i].deleted);
		values[at++] = sync_string(v[i].base);
	}
	return sync_db_put_many(db, &table, values, n, err);
}

enum sync_status sync_versions_put(struct sync_db *db, const struct sync_version *v, size_t n, struct sync_error *err)
{
	return put_versions(db, v, n, false, err);
}

enum sync_status sync_versions_had(struct sync_db *db, const struct sync_version *v, size_t n, int64_t at_us,
                                   struct sync_error *err)
{
	static const char *const columns[] = { "entity", "record_id", "version", "at_us" };
	static const enum sync_type types[] = { SYNC_TEXT, SYNC_TEXT, SYNC_TEXT, SYNC_BIGINT };
	static const struct sync_table table = { "sync_seen", columns, types, COUNT(columns), 3, .keep = true };
	defer(freep) struct sync_value *values = malloc((n + 1) * COUNT(columns) * sizeof *values);
	size_t at = 0;

	if (!values)
		return sync_fail(err, SYNC_ENOMEM, "%zu versions", n);
	for (size_t i = 0; i < n; i++) {
		values[at++] = sync_string(v[i].entity);
		values[at++] = sync_string(v[i].id);
		values[at++] = sync_string(v[i].version);
		values[at++] = sync_int(at_us);
	}
	return sync_db_put_many(db, &table, values, n, err);
}

/* central's own */

/* Sequence numbers come back with a backup, for other edits; the random part does not. */
struct own_version {
	char text[SYNC_VERSION_TEXT];
	size_t prefix;
};

static void draw(struct own_version *v)
{
	char random[SYNC_BRANCH + 1];

	sync_random_hex(random, SYNC_BRANCH);
	v->prefix = (size_t)snprintf(v->text, sizeof v->text, "0.%s.", random);
}

static struct sync_view version_of(struct own_version *v, int64_t seq)
{
	int len = snprintf(v->text + v->prefix, sizeof v->text - v->prefix, "%" PRId64, seq);

	return (struct sync_view){ v->text, v->prefix + (size_t)len };
}

static int by_record(const void *a, const void *b)
{
	const struct sync_own_edit *x = a, *y = b;
	size_t order_x = sync_entity_order(x->entity), order_y = sync_entity_order(y->entity);

	return order_x != order_y ? (order_x < order_y ? -1 : 1) : sync_view_cmp(x->id, y->id);
}

/* Versions being made of edits of one entity, which are in order. */
struct making {
	struct sync_own_edit *edits;
	struct sync_version *version;
	struct sync_view *ids;
	size_t n;
};

static size_t place_of(const struct making *m, struct sync_view id)
{
	const struct sync_own_edit like = { .entity = m->edits->entity, .id = id };
	const struct sync_own_edit *edit = bsearch(&like, m->edits, m->n, sizeof like, by_record);

	return edit ? (size_t)(edit - m->edits) : m->n;
}

static enum sync_status take_creator(void *ctx, const struct sync_value *v, size_t n, struct sync_error *err)
{
	const struct making *m = ctx;
	size_t at = place_of(m, v[0].s);

	(void)n, (void)err;
	if (at < m->n)
		m->version[at].creator = v[1].i;
	return SYNC_OK;
}

/*
 * A record without a version gets this one, so that there is something to lock; then whoever decides an edit of one of them waits
 * for these versions, or these for that decision.
 */
static enum sync_status hold(struct sync_db *db, struct making *m, struct sync_error *err)
{
	static const char head[] = "SELECT record_id, creator FROM sync_version WHERE record_id";
	char tail[80];

	snprintf(tail, sizeof tail, " AND entity = $2 ORDER BY record_id%s", sync_db_dialect(db)->for_update);
	TRY(put_versions(db, m->version, m->n, true, err));
	return sync_run_ids(db, head, m->ids, m->n, tail, SYNC_ARGS(sync_text(m->edits->entity->name)), take_creator, m, err);
}

/* Another transaction was first to make this edit's version, or that of a later one, and may have judged by it since. */
static enum sync_status take_made(void *ctx, const struct sync_value *v, size_t n, struct sync_error *err)
{
	const struct making *m = ctx;
	size_t at = place_of(m, v[0].s);
	const char *point = memrchr(v[1].s.data, '.', v[1].s.len), *end = v[1].s.data + v[1].s.len;
	char seq[24];

	(void)n, (void)err;
	if (at == m->n)
		return SYNC_OK;
	snprintf(seq, sizeof seq, "%.*s", (int)(end - point - 1), point + 1);
	if (strtoll(seq, NULL, 10) >= m->edits[at].seq)
		m->version[at].version = (struct sync_view){ 0 };
	return SYNC_OK;
}

/* Leaves out those that are made already. */
static enum sync_status leave_out(struct sync_db *db, struct making *m, struct sync_error *err)
{
	size_t n = 0;

	TRY(sync_run_ids(db, "SELECT record_id, version FROM sync_seen WHERE record_id", m->ids, m->n,
	                 " AND entity = $2 AND version LIKE '0.%'", SYNC_ARGS(sync_text(m->edits->entity->name)), take_made, m, err));
	for (size_t i = 0; i < m->n; i++)
		if (m->version[i].version.data)
			m->version[n++] = m->version[i];
	m->n = n;
	return SYNC_OK;
}

static enum sync_status fill_in(struct sync_arena *arena, struct making *m, int64_t now_us, struct sync_error *err)
{
	struct own_version own;

	draw(&own);
	for (size_t i = 0; i < m->n; i++) {
		const struct sync_own_edit *edit = &m->edits[i];

		m->ids[i] = edit->id;
		m->version[i] = (struct sync_version){
			.entity = sync_view_of(edit->entity->name), .id = edit->id,
			.version = sync_arena_copy(arena, version_of(&own, edit->seq)),
			.edited_us = edit->at_us, .received_us = now_us, .deleted = edit->gone,
		};
		if (!m->version[i].version.data)
			return sync_fail(err, SYNC_ENOMEM, "%zu versions", m->n);
	}
	return SYNC_OK;
}

static enum sync_status make(struct sync_db *db, struct making *m, int64_t now_us, struct sync_error *err)
{
	TRY(hold(db, m, err));
	TRY(leave_out(db, m, err));
	TRY(sync_versions_put(db, m->version, m->n, err));
	return sync_versions_had(db, m->version, m->n, now_us, err);
}

enum sync_status sync_own_versions(struct sync_db *db, struct sync_own_edit *edits, size_t n, struct sync_error *err)
{
	defer(sync_arena_clear) struct sync_arena arena = { 0 };
	struct making all = { .edits = edits, .n = n };
	int64_t now_us = sync_now_us();

	all.version = sync_arena_get(&arena, (n + 1) * sizeof *all.version);
	all.ids = sync_arena_get(&arena, (n + 1) * sizeof *all.ids);
	if (!all.version || !all.ids)
		return sync_fail(err, SYNC_ENOMEM, "%zu versions", n);
	if (!n)
		return SYNC_OK;
	qsort(edits, n, sizeof *edits, by_record);
	TRY(fill_in(&arena, &all, now_us, err));
	for (size_t i = 0, len; i < n; i += len) {
		struct making m = { edits + i, all.version + i, all.ids + i, 0 };

		for (len = 0; i + len < n && edits[i + len].entity == edits[i].entity; len++)
			;
		m.n = len;
		TRY(make(db, &m, now_us, err));
	}
	return SYNC_OK;
}

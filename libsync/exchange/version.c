#include "exchange/version.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include <libsync/time.h>

#include "base/internal.h"
#include "exchange/lot.h"

enum sync_status sync_versions_put(struct sync_db *db, const struct sync_version *v, size_t n, struct sync_error *err)
{
	static const char *const columns[] = { "entity",      "record_id", "version", "edited_us",
		                               "received_us", "creator",   "deleted" };
	static const enum sync_type types[] = { SYNC_TEXT,   SYNC_TEXT,   SYNC_TEXT,  SYNC_BIGINT,
		                                SYNC_BIGINT, SYNC_BIGINT, SYNC_BIGINT };
	static const struct sync_table table = { "sync_version", columns, types, COUNT(columns), 2, false };
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
	}
	return sync_db_put_many(db, &table, values, n, err);
}

enum sync_status sync_versions_had(struct sync_db *db, const struct sync_version *v, size_t n, int64_t at_us,
                                   struct sync_error *err)
{
	static const char *const columns[] = { "entity", "record_id", "version", "at_us" };
	static const enum sync_type types[] = { SYNC_TEXT, SYNC_TEXT, SYNC_TEXT, SYNC_BIGINT };
	static const struct sync_table table = { "sync_seen", columns, types, COUNT(columns), 3, true };
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

enum sync_status sync_own_open(struct sync_own_version *ret, struct sync_db *db, struct sync_error *err)
{
	defer(sync_buf_clear) struct sync_buf instance = { .max = SYNC_VERSION_TEXT / 2 };
	bool found;

	TRY(sync_meta_get(db, "instance", &instance, &found, err));
	ret->prefix = (size_t)snprintf(ret->text, sizeof ret->text, "0.%.*s.", SYNC_VIEW(sync_buf_view(&instance)));
	return SYNC_OK;
}

struct sync_view sync_own_version(struct sync_own_version *v, int64_t seq)
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
	const struct sync_own_edit *edits;
	struct sync_version *version;
	size_t n;
};

static enum sync_status take_creator(void *ctx, const struct sync_value *v, size_t n, struct sync_error *err)
{
	const struct making *making = ctx;
	const struct sync_own_edit like = { .entity = making->edits->entity, .id = v[0].s };
	const struct sync_own_edit *edit = bsearch(&like, making->edits, making->n, sizeof like, by_record);

	(void)n, (void)err;
	if (edit)
		making->version[edit - making->edits].creator = v[1].i;
	return SYNC_OK;
}

/* Whoever decides an edit of one of them waits for this version, or this for that decision. */
static enum sync_status find_creators(struct sync_db *db, struct making *making, struct sync_view *ids, struct sync_error *err)
{
	static const char head[] = "SELECT record_id, creator FROM sync_version WHERE record_id IN";
	const char *tail = sync_db_dialect(db)->postgres ? " AND entity = $2 ORDER BY record_id FOR UPDATE" : " AND entity = $2";

	for (size_t i = 0; i < making->n; i++)
		ids[i] = making->edits[i].id;
	return sync_run_ids(db, head, ids, making->n, tail, SYNC_ARGS(sync_text(making->edits->entity->name)), take_creator, making,
	                    err);
}

static enum sync_status fill_in(struct sync_db *db, struct sync_arena *arena, const struct sync_own_edit *edits, size_t n,
                                int64_t now_us, struct sync_version *ret, struct sync_error *err)
{
	struct sync_own_version own;

	TRY(sync_own_open(&own, db, err));
	for (size_t i = 0; i < n; i++) {
		ret[i] = (struct sync_version){
			.entity = sync_view_of(edits[i].entity->name), .id = edits[i].id,
			.version = sync_arena_copy(arena, sync_own_version(&own, edits[i].seq)),
			.edited_us = edits[i].at_us, .received_us = now_us, .deleted = edits[i].gone,
		};
		if (!ret[i].version.data)
			return sync_fail(err, SYNC_ENOMEM, "%zu versions", n);
	}
	return SYNC_OK;
}

enum sync_status sync_own_versions(struct sync_db *db, struct sync_own_edit *edits, size_t n, struct sync_error *err)
{
	defer(sync_arena_clear) struct sync_arena arena = { 0 };
	struct sync_version *v = sync_arena_get(&arena, (n + 1) * sizeof *v);
	struct sync_view *ids = sync_arena_get(&arena, (n + 1) * sizeof *ids);
	int64_t now_us = sync_now_us();

	if (!v || !ids)
		return sync_fail(err, SYNC_ENOMEM, "%zu versions", n);
	if (!n)
		return SYNC_OK;
	qsort(edits, n, sizeof *edits, by_record);
	TRY(fill_in(db, &arena, edits, n, now_us, v, err));
	for (size_t i = 0; i < n;) {
		struct making making = { .edits = edits + i, .version = v + i };

		for (; i < n && edits[i].entity == making.edits->entity; i++)
			making.n++;
		TRY(find_creators(db, &making, ids, err));
	}
	TRY(sync_versions_put(db, v, n, err));
	return sync_versions_had(db, v, n, now_us, err);
}

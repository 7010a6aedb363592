#include "exchange/extra.h"

#include <stdlib.h>

#include <libsync/records.h>

#include "base/internal.h"
#include "codec/json.h"

enum { MAX_DATA = 16 << 20 };

static int by_entity(const void *a, const void *b)
{
	size_t x = sync_entity_order(((const struct sync_gone *)a)->entity), y = sync_entity_order(((const struct sync_gone *)b)->entity);

	return (x > y) - (x < y);
}

static void add_nulls(struct sync_buf *ret, struct sync_view object)
{
	struct sync_json_raw raw;
	char before = '{';

	for (; sync_json_raw_next(&raw, &object); before = ',')
		sync_buf_addf(ret, "%c%.*s:null", before, SYNC_VIEW(raw.name));
	sync_buf_add_char(ret, '}');
}

enum sync_status sync_extra_deny(struct sync_db *db, const struct sync_record *r, struct sync_error *err)
{
	static const char put[] =
		"INSERT INTO sync_extra(entity, record_id, data) VALUES ($1, $2, $3)"
		"    ON CONFLICT (entity, record_id) DO UPDATE SET data = excluded.data";
	defer(sync_buf_clear) struct sync_buf nulls = { .max = MAX_DATA }, data = { .max = MAX_DATA };
	defer(sync_arena_clear) struct sync_arena arena = { 0 };
	struct sync_record stored;

	if (!r->entity || !r->extra.len)
		return SYNC_OK;
	TRY(sync_records_get(db, r->entity, r->name, &r->id, 1, &arena, &stored, err));
	if (!stored.values)
		return SYNC_OK;
	add_nulls(&nulls, r->extra);
	TRY(sync_buf_check(&nulls, err));
	sync_json_merge(&data, sync_buf_view(&nulls), stored.extra);
	TRY(sync_buf_check(&data, err));
	return sync_db_run(db, put, SYNC_ARGS(sync_string(r->name), sync_string(r->id), sync_string(sync_buf_view(&data))), NULL,
	                   NULL, err);
}

enum sync_status sync_extra_forget(struct sync_db *db, struct sync_gone *gone, size_t n, struct sync_error *err)
{
	defer(freep) struct sync_view *ids = NULL;

	if (!n)
		return SYNC_OK;
	ids = malloc(n * sizeof *ids);
	if (!ids)
		return sync_fail(err, SYNC_ENOMEM, "unknown fields of %zu records that are gone", n);
	qsort(gone, n, sizeof *gone, by_entity);
	for (size_t i = 0, len; i < n; i += len) {
		for (len = 0; i + len < n && gone[i + len].entity == gone[i].entity; len++)
			ids[len] = gone[i + len].id;
		TRY(sync_records_forget(db, gone[i].entity, ids, len, err));
	}
	return SYNC_OK;
}

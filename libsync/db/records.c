#include <libsync/records.h>

#include <stdlib.h>
#include <string.h>

#include <libsync/ddl.h>

#include "base/internal.h"

enum { MAX_SQL = 16 * 1024, MAX_IDS = 64 * 1024 * 1024 };

void sync_ids_json(struct sync_buf *b, const struct sync_view *ids, size_t n)
{
	sync_buf_add_char(b, '[');
	for (size_t i = 0; i < n; i++) {
		sync_buf_add_text(b, i ? ",\"" : "\"");
		for (size_t k = 0; k < ids[i].len; k++) {
			unsigned char c = (unsigned char)ids[i].data[k];

			if (c == '"' || c == '\\')
				sync_buf_add_char(b, '\\');
			if (c < 0x20)
				sync_buf_addf(b, "\\u%04x", c);
			else
				sync_buf_add_char(b, (char)c);
		}
		sync_buf_add_char(b, '"');
	}
	sync_buf_add_char(b, ']');
}

/* The ids of one call, and which of them a row's id is: rows come in any order. */
struct lookup {
	const struct sync_view *ids;
	uint32_t *order; /* indices into ids, by id */
	size_t n;
};

static int by_id(const void *a, const void *b, void *ctx)
{
	const struct sync_view *ids = ctx;

	return sync_view_cmp(ids[*(const uint32_t *)a], ids[*(const uint32_t *)b]);
}

static enum sync_status lookup_open(struct lookup *l, const struct sync_view *ids, size_t n, struct sync_error *err)
{
	uint32_t *order = malloc((n ? n : 1) * sizeof(*order));

	if (!order)
		return sync_fail(err, SYNC_ENOMEM, "looking up %zu records", n);
	for (size_t i = 0; i < n; i++)
		order[i] = (uint32_t)i;
	qsort_r(order, n, sizeof(*order), by_id, (void *)(uintptr_t)ids);
	*l = (struct lookup){ .ids = ids, .order = order, .n = n };
	return SYNC_OK;
}

static void lookup_close(struct lookup *l)
{
	free(l->order);
}

/* The index of id, or n. */
static size_t lookup_find(const struct lookup *l, struct sync_view id)
{
	size_t low = 0, high = l->n;

	while (low < high) {
		size_t mid = low + (high - low) / 2;
		int order = sync_view_cmp(l->ids[l->order[mid]], id);

		if (order == 0)
			return l->order[mid];
		if (order < 0)
			low = mid + 1;
		else
			high = mid;
	}
	return l->n;
}

/* What a row of one of the statements below goes into. */
struct fetch {
	const struct sync_entity *e;
	struct lookup ids;
	struct sync_arena *arena;
	struct sync_record *ret;
	bool *exist;
};

static enum sync_status keep_value(struct sync_arena *arena, const struct sync_value *from, struct sync_value *to,
                                   struct sync_error *err)
{
	*to = *from;
	if (from->kind != SYNC_STRING && from->kind != SYNC_BLOB)
		return SYNC_OK;
	to->s = sync_arena_copy(arena, from->s);
	return to->s.data || !from->s.len ? SYNC_OK : sync_fail(err, SYNC_ENOMEM, "a value of %zu bytes", from->s.len);
}

/* A row of an entity's table: its travelling fields in declaration order. */
static enum sync_status take_record(void *ctx, const struct sync_value *v, size_t n, struct sync_error *err)
{
	struct fetch *f = ctx;
	size_t at = lookup_find(&f->ids, v[0].s);
	struct sync_value *values;
	size_t column = 0;

	if (at == f->ids.n)
		return SYNC_OK;
	values = sync_arena_get(f->arena, f->e->n_fields * sizeof(*values));
	if (!values)
		return sync_fail(err, SYNC_ENOMEM, "a record of %s", f->e->name);
	for (size_t i = 0; i < f->e->n_fields; i++) {
		if (f->e->fields[i].local || column >= n)
			values[i] = (struct sync_value){ .kind = SYNC_ABSENT };
		else
			TRY(keep_value(f->arena, &v[column++], &values[i], err));
	}
	f->ret[at].values = values;
	return SYNC_OK;
}

static enum sync_status take_extra(void *ctx, const struct sync_value *v, size_t n, struct sync_error *err)
{
	struct fetch *f = ctx;
	size_t at = lookup_find(&f->ids, v[0].s);
	struct sync_value kept;

	(void)n;
	if (at == f->ids.n)
		return SYNC_OK;
	TRY(keep_value(f->arena, &v[1], &kept, err));
	f->ret[at].extra = kept.s;
	if (f->e || v[2].kind != SYNC_STRING)
		return SYNC_OK;
	TRY(keep_value(f->arena, &v[2], &kept, err));
	f->ret[at].root = kept.s;
	return SYNC_OK;
}

static enum sync_status take_version(void *ctx, const struct sync_value *v, size_t n, struct sync_error *err)
{
	struct fetch *f = ctx;
	size_t at = lookup_find(&f->ids, v[0].s);
	struct sync_value kept;

	(void)n;
	if (at == f->ids.n)
		return SYNC_OK;
	TRY(keep_value(f->arena, &v[1], &kept, err));
	f->ret[at].version = kept.s;
	return SYNC_OK;
}

static enum sync_status take_exist(void *ctx, const struct sync_value *v, size_t n, struct sync_error *err)
{
	struct fetch *f = ctx;
	size_t at = lookup_find(&f->ids, v[0].s);

	(void)n, (void)err;
	if (at < f->ids.n)
		f->exist[at] = true;
	return SYNC_OK;
}

/* Run one of the statements below: $1 is the JSON array of ids, $2 (with entity) the entity's name. */
static enum sync_status each_of(struct sync_db *db, struct sync_buf *sql, const struct fetch *f, struct sync_view entity,
                                sync_row_fn *fn, struct sync_error *err)
{
	defer(sync_buf_clear) struct sync_buf list = { .max = MAX_IDS };

	sync_ids_json(&list, f->ids.ids, f->ids.n);
	TRY(sync_buf_check(&list, err));
	TRY(sync_buf_check(sql, err));
	return sync_db_run_text(db, sql->data, (const struct sync_value[]){ sync_string(sync_buf_view(&list)), sync_string(entity) },
	                        entity.len ? 2 : 1, fn, (void *)(uintptr_t)f, err);
}

static enum sync_status get_fields(struct sync_db *db, const struct fetch *f, struct sync_error *err)
{
	defer(sync_buf_clear) struct sync_buf sql = { .max = MAX_SQL };

	sync_buf_add_text(&sql, "SELECT id");
	for (size_t i = 1; i < f->e->n_fields; i++)
		if (!f->e->fields[i].local)
			sync_buf_addf(&sql, ", \"%s\"", f->e->fields[i].name);
	sync_buf_addf(&sql, " FROM \"%s\" WHERE id %s", f->e->name, sync_db_dialect(db)->in_list);
	return each_of(db, &sql, f, (struct sync_view){ 0 }, take_record, err);
}

static enum sync_status get_extra(struct sync_db *db, const struct fetch *f, struct sync_view name, struct sync_error *err)
{
	static const char any[] = "SELECT 1 FROM sync_extra WHERE entity = $1 LIMIT 1";
	defer(sync_buf_clear) struct sync_buf sql = { .max = MAX_SQL };
	int64_t some;

	TRY(sync_db_number(db, any, SYNC_ARGS(sync_string(name)), 0, &some, err));
	if (!some)
		return SYNC_OK;
	sync_buf_addf(&sql, "SELECT record_id, data, root_id FROM sync_extra WHERE record_id %s AND entity = $2",
	              sync_db_dialect(db)->in_list);
	return each_of(db, &sql, f, name, take_extra, err);
}

static enum sync_status get_versions(struct sync_db *db, const struct fetch *f, struct sync_error *err)
{
	defer(sync_buf_clear) struct sync_buf sql = { .max = MAX_SQL };

	sync_buf_addf(&sql, "SELECT record_id, version FROM sync_version WHERE record_id %s AND entity = $2",
	              sync_db_dialect(db)->in_list);
	return each_of(db, &sql, f, sync_view_of(f->e->name), take_version, err);
}

enum sync_status sync_records_get(struct sync_db *db, const struct sync_entity *e, struct sync_view name,
                                  const struct sync_view *ids, size_t n, struct sync_arena *arena, struct sync_record *ret,
                                  struct sync_error *err)
{
	struct fetch f = { .e = e, .arena = arena, .ret = ret };
	defer(lookup_close) struct lookup l = { 0 };

	if (e)
		name = sync_view_of(e->name);
	for (size_t i = 0; i < n; i++)
		ret[i] = (struct sync_record){ .entity = e, .name = name, .id = ids[i], .action = SYNC_PUT, .age_ms = -1 };
	if (!n)
		return SYNC_OK;
	TRY(lookup_open(&l, ids, n, err));
	f.ids = l;
	TRY(get_extra(db, &f, name, err));
	if (!e)
		return SYNC_OK;
	TRY(get_fields(db, &f, err));
	if (e->owner == SYNC_OWNER_ANY)
		TRY(get_versions(db, &f, err));
	for (size_t i = 0; i < n; i++)
		if (ret[i].values)
			sync_record_finish(&ret[i], arena);
	return SYNC_OK;
}

static enum sync_status find_existing(struct sync_db *db, const struct sync_entity *e, const struct sync_view *ids, size_t n,
                                      const char *lock, bool *ret, struct sync_error *err)
{
	struct fetch f = { .e = e, .exist = ret };
	defer(sync_buf_clear) struct sync_buf sql = { .max = MAX_SQL };
	defer(lookup_close) struct lookup l = { 0 };

	memset(ret, 0, n * sizeof(*ret));
	if (!n)
		return SYNC_OK;
	TRY(lookup_open(&l, ids, n, err));
	f.ids = l;
	sync_buf_addf(&sql, "SELECT id FROM \"%s\" WHERE id %s%s", e->name, sync_db_dialect(db)->in_list, lock);
	return each_of(db, &sql, &f, (struct sync_view){ 0 }, take_exist, err);
}

enum sync_status sync_records_exist(struct sync_db *db, const struct sync_entity *e, const struct sync_view *ids, size_t n,
                                    bool *ret, struct sync_error *err)
{
	return find_existing(db, e, ids, n, "", ret, err);
}

enum sync_status sync_records_hold(struct sync_db *db, const struct sync_entity *e, const struct sync_view *ids, size_t n,
                                   bool *ret, struct sync_error *err)
{
	return find_existing(db, e, ids, n, sync_db_dialect(db)->for_share, ret, err);
}

/* Bit i: the record has a value for fields[i] (id always). */
struct mask {
	uint64_t bit[2];
};

static struct mask mask_of(const struct sync_record *r)
{
	struct mask m = { 0 };

	for (size_t i = 0; i < r->entity->n_fields; i++)
		if (i == 0 || (r->values[i].kind != SYNC_ABSENT && !r->entity->fields[i].local))
			m.bit[i / 64] |= UINT64_C(1) << (i % 64);
	return m;
}

static bool has_field(const struct mask *m, size_t field)
{
	return m->bit[field / 64] >> (field % 64) & 1;
}

/* Put those of n records that have exactly the fields of the first, which is yet to be put; their masks become empty. */
static enum sync_status put_alike(struct sync_db *db, const struct sync_entity *e, const struct sync_record *const *r, size_t n,
                                  bool fresh, struct mask *masks, struct sync_value *values, struct sync_error *err)
{
	const char *columns[SYNC_MAX_FIELDS];
	enum sync_type types[SYNC_MAX_FIELDS];
	const struct mask m = masks[0];
	struct sync_table table;
	size_t rows = 0, at = 0;

	sync_ddl_batch(&table, e, m.bit, columns, types);
	table.fresh = fresh;
	for (size_t i = 0; i < n; i++) {
		if (memcmp(&masks[i], &m, sizeof m) != 0)
			continue;
		masks[i] = (struct mask){ 0 };
		rows++;
		values[at++] = sync_string(r[i]->id);
		for (size_t k = 1; k < e->n_fields; k++)
			if (has_field(&m, k))
				values[at++] = r[i]->values[k];
	}
	return sync_db_put_many(db, &table, values, rows, err);
}

static struct sync_value root_value(const struct sync_record *r)
{
	return r->entity || !r->root.len ? sync_null() : sync_string(r->root);
}

/* A whole record of an unknown entity that was not there. */
static enum sync_status add_unknown(struct sync_db *db, const struct sync_record *r, struct sync_error *err)
{
	static const char *const columns[] = { "entity", "record_id", "data", "root_id" };
	static const enum sync_type types[] = { SYNC_ID, SYNC_ID, SYNC_TEXT, SYNC_ID };
	static const struct sync_table table = { "sync_extra", columns, types, COUNT(columns), 2, .fresh = true };
	const struct sync_value values[] = { sync_string(r->name), sync_string(r->id), sync_string(r->extra), root_value(r) };

	return sync_db_put_many(db, &table, values, 1, err);
}

/* Unknown fields: those that came replace those of the same name, the others stay. */
static enum sync_status put_extra(struct sync_db *db, const struct sync_record *r, struct sync_error *err)
{
	static const char get[] = "SELECT data FROM sync_extra WHERE entity = $1 AND record_id = $2";
	static const char put[] =
		"INSERT INTO sync_extra(entity, record_id, data, root_id) VALUES ($1, $2, $3, $4)"
		"    ON CONFLICT (entity, record_id) DO UPDATE SET data = excluded.data, root_id = excluded.root_id";
	defer(sync_buf_clear) struct sync_buf old = { .max = MAX_IDS }, data = { .max = MAX_IDS };
	bool found;

	TRY(sync_db_text(db, get, SYNC_ARGS(sync_string(r->name), sync_string(r->id)), &old, &found, err));
	sync_json_merge(&data, sync_buf_view(&old), r->extra);
	TRY(sync_buf_check(&data, err));
	return sync_db_run(db, put,
	                   SYNC_ARGS(sync_string(r->name), sync_string(r->id), sync_string(sync_buf_view(&data)), root_value(r)),
	                   NULL, NULL, err);
}

static bool is_lacking(const struct sync_record *r, size_t field)
{
	const struct sync_field *f = &r->entity->fields[field];

	return f->required && !f->fallback && !f->local && r->values[field].kind == SYNC_ABSENT;
}

static bool lacks_any(const struct sync_record *r)
{
	for (size_t i = 1; i < r->entity->n_fields; i++)
		if (is_lacking(r, i))
			return true;
	return false;
}

/* A copy of a record with the required fields that it lacks as they are stored. */
static enum sync_status fill_in(const struct sync_record **r, const struct sync_record *stored, struct sync_arena *arena,
                                struct sync_error *err)
{
	size_t bytes = (*r)->entity->n_fields * sizeof(*stored->values);
	struct sync_record *copy = sync_arena_get(arena, sizeof(*copy));
	struct sync_value *values = sync_arena_get(arena, bytes);

	if (!copy || !values)
		return sync_fail(err, SYNC_ENOMEM, "putting a record of %s", (*r)->entity->name);
	*copy = **r;
	memcpy(values, copy->values, bytes);
	for (size_t i = 1; i < copy->entity->n_fields; i++)
		if (is_lacking(copy, i))
			values[i] = stored->values[i];
	copy->values = values;
	*r = copy;
	return SYNC_OK;
}

/* An upsert inserts before it meets the existing row, so it needs every required field, also those that stay as they are. */
static enum sync_status complete(struct sync_db *db, const struct sync_entity *e, const struct sync_record **r, size_t n,
                                 struct sync_arena *arena, struct sync_error *err)
{
	struct sync_view *ids = sync_arena_get(arena, n * sizeof(*ids));
	struct sync_record *stored = sync_arena_get(arena, n * sizeof(*stored));
	size_t *at = sync_arena_get(arena, n * sizeof(*at));
	size_t lacking = 0;

	if (!ids || !stored || !at)
		return sync_fail(err, SYNC_ENOMEM, "putting %zu records of %s", n, e->name);
	for (size_t i = 0; i < n; i++) {
		if (!lacks_any(r[i]))
			continue;
		ids[lacking] = r[i]->id;
		at[lacking++] = i;
	}
	TRY(sync_records_get(db, e, sync_view_of(e->name), ids, lacking, arena, stored, err));
	for (size_t i = 0; i < lacking; i++)
		if (stored[i].values)
			TRY(fill_in(&r[at[i]], &stored[i], arena, err));
	return SYNC_OK;
}

static enum sync_status put_known(struct sync_db *db, const struct sync_entity *e, const struct sync_record *const *given, size_t n,
                                  bool fresh, struct sync_error *err)
{
	defer(sync_arena_clear) struct sync_arena arena = { 0 };
	defer(freep) struct sync_value *values = malloc(n * e->n_fields * sizeof(*values));
	defer(freep) const struct sync_record **r = malloc(n * sizeof(*r));
	defer(freep) struct mask *masks = malloc(n * sizeof(*masks));

	if (!values || !r || !masks)
		return sync_fail(err, SYNC_ENOMEM, "putting %zu records of %s", n, e->name);
	memcpy(r, given, n * sizeof(*r));
	for (size_t i = 0; i < n; i++) {
		if (!lacks_any(r[i]))
			continue;
		TRY(complete(db, e, r, n, &arena, err));
		break;
	}
	for (size_t i = 0; i < n; i++)
		masks[i] = mask_of(r[i]);
	for (size_t i = 0; i < n; i++)
		if (has_field(&masks[i], 0))
			TRY(put_alike(db, e, r + i, n - i, fresh, masks + i, values, err));
	return SYNC_OK;
}

static enum sync_status put_all(struct sync_db *db, const struct sync_entity *e, const struct sync_record *const *r, size_t n,
                                bool fresh, struct sync_error *err)
{
	if (e && n)
		TRY(put_known(db, e, r, n, fresh, err));
	for (size_t i = 0; i < n; i++)
		if (r[i]->extra.len && !SYNC_FAULT(unknown_forgotten))
			TRY(fresh && !r[i]->entity ? add_unknown(db, r[i], err) : put_extra(db, r[i], err));
	return SYNC_OK;
}

enum sync_status sync_records_put(struct sync_db *db, const struct sync_entity *e, const struct sync_record *const *r, size_t n,
                                  struct sync_error *err)
{
	return put_all(db, e, r, n, false, err);
}

enum sync_status sync_records_add(struct sync_db *db, const struct sync_entity *e, const struct sync_record *const *r, size_t n,
                                  struct sync_error *err)
{
	return put_all(db, e, r, n, true, err);
}

/* DELETE with $1 the JSON array of ids. */
static enum sync_status delete_from(struct sync_db *db, const char *what, const char *where, struct sync_view entity,
                                    const struct sync_view *ids, size_t n, struct sync_error *err)
{
	const struct fetch f = { .ids = { .ids = ids, .n = n } };
	defer(sync_buf_clear) struct sync_buf sql = { .max = MAX_SQL };

	sync_buf_addf(&sql, "DELETE FROM \"%s\" %s %s%s", what, where, sync_db_dialect(db)->in_list, entity.len ? " AND entity = $2" : "");
	return each_of(db, &sql, &f, entity, NULL, err);
}

enum sync_status sync_records_delete(struct sync_db *db, const struct sync_entity *e, const struct sync_view *ids, size_t n,
                                     struct sync_error *err)
{
	if (!n)
		return SYNC_OK;
	TRY(delete_from(db, e->name, "WHERE id", (struct sync_view){ 0 }, ids, n, err));
	return delete_from(db, "sync_extra", "WHERE record_id", sync_view_of(e->name), ids, n, err);
}

/* Those of n ids, *ret_n of them into ret, that have unknown fields; nobody gives them others before the transaction ends. */
static enum sync_status find_extra(struct sync_db *db, const struct sync_entity *e, const struct sync_view *ids, size_t n, bool *has,
                                   struct sync_view *ret, size_t *ret_n, struct sync_error *err)
{
	struct fetch f = { .e = e, .exist = has };
	defer(sync_buf_clear) struct sync_buf sql = { .max = MAX_SQL };
	defer(lookup_close) struct lookup l = { 0 };

	memset(has, 0, n * sizeof(*has));
	TRY(lookup_open(&l, ids, n, err));
	f.ids = l;
	sync_buf_addf(&sql, "SELECT record_id FROM sync_extra WHERE record_id %s AND entity = $2 ORDER BY record_id%s",
	              sync_db_dialect(db)->in_list, sync_db_dialect(db)->for_update);
	TRY(each_of(db, &sql, &f, sync_view_of(e->name), take_exist, err));
	*ret_n = 0;
	for (size_t i = 0; i < n; i++)
		if (has[i])
			ret[(*ret_n)++] = ids[i];
	return SYNC_OK;
}

enum sync_status sync_records_forget(struct sync_db *db, const struct sync_entity *e, const struct sync_view *ids, size_t n,
                                     struct sync_error *err)
{
	defer(freep) bool *flags = malloc((n ? n : 1) * sizeof(*flags));
	defer(freep) struct sync_view *orphans = malloc((n ? n : 1) * sizeof(*orphans));
	size_t found, gone = 0;

	if (!flags || !orphans)
		return sync_fail(err, SYNC_ENOMEM, "unknown fields of %zu records of %s", n, e->name);
	if (!n)
		return SYNC_OK;
	TRY(find_extra(db, e, ids, n, flags, orphans, &found, err));
	TRY(sync_records_exist(db, e, orphans, found, flags, err));
	for (size_t i = 0; i < found; i++)
		if (!flags[i])
			orphans[gone++] = orphans[i];
	return gone ? delete_from(db, "sync_extra", "WHERE record_id", sync_view_of(e->name), orphans, gone, err) : SYNC_OK;
}

#include "db/adopt.h"

#include <libsync/frame.h>
#include <libsync/records.h>
#include <libsync/time.h>

#include "base/internal.h"
#include "db/driver.h"
#include "db/outbox.h"

enum {
	ADOPT_ROWS = 500, /* in memory at a time */
	FRAME_BYTES = 16 << 20,
};

/* A page of sync_extra: records of one entity, by id. */
struct page {
	struct sync_db *db;
	const struct sync_entity *e;
	bool whole; /* the entity itself was unknown, so these are complete records */
	struct sync_arena arena;
	struct sync_view ids[ADOPT_ROWS], data[ADOPT_ROWS], roots[ADOPT_ROWS];
	int64_t sources[ADOPT_ROWS]; /* central: the site whose record it is, or 0 */
	bool exist[ADOPT_ROWS];
	size_t n;
};

static void free_page(struct page **p)
{
	if (*p)
		sync_arena_clear(&(*p)->arena);
	free(*p);
}

static enum sync_status take_extra(void *ctx, const struct sync_value *v, size_t n, struct sync_error *err)
{
	struct page *p = ctx;

	(void)n;
	p->ids[p->n] = sync_arena_copy(&p->arena, v[0].s);
	p->data[p->n] = sync_arena_copy(&p->arena, v[1].s);
	p->roots[p->n] = v[2].kind == SYNC_STRING ? sync_arena_copy(&p->arena, v[2].s) : (struct sync_view){ 0 };
	p->sources[p->n] = v[3].kind == SYNC_INT ? v[3].i : 0;
	if (!p->ids[p->n].data || !p->data[p->n].data)
		return sync_fail(err, SYNC_ENOMEM, "reading unknown fields of %s", p->e->name);
	p->n++;
	return SYNC_OK;
}

/* The next page; after is the last id of the one before. */
static enum sync_status read_page(struct page *p, struct sync_buf *after, struct sync_error *err)
{
	static const char list_extra[] =
		"SELECT record_id, data, root_id, source FROM sync_extra WHERE entity = $1 AND record_id > $2"
		"    ORDER BY record_id LIMIT $3";

	sync_arena_reset(&p->arena);
	p->n = 0;
	TRY(sync_db_run(p->db, list_extra,
	                SYNC_ARGS(sync_text(p->e->name), sync_string(sync_buf_view(after)), sync_int(ADOPT_ROWS)), take_extra,
	                p, err));
	if (p->n == 0)
		return SYNC_OK;
	sync_buf_reset(after);
	sync_buf_add_view(after, p->ids[p->n - 1]);
	TRY(sync_buf_check(after, err));
	return sync_records_exist(p->db, p->e, p->ids, p->n, p->exist, err);
}

/* The frame of the i-th record, as it would have been received. */
static void write_unknown(struct sync_buf *line, const struct page *p, size_t i)
{
	const struct sync_record r = {
		.name = sync_view_of(p->e->name),
		.id = p->ids[i],
		.action = p->data[i].len ? SYNC_PUT : SYNC_DELETE,
		.root = p->roots[i],
		.extra = p->data[i],
		.age_ms = -1,
	};

	sync_record_write(line, &r);
}

/* What keeps a record out of its table, or NULL: a wrong value, or a required field that it has not. */
static const struct sync_fault *find_fault(const struct page *p, const struct sync_record *r, struct sync_fault *space)
{
	if (r->fault || !p->whole)
		return r->fault;
	for (size_t i = 0; i < r->entity->n_fields; i++) {
		const struct sync_field *f = &r->entity->fields[i];
		if (!f->required || f->fallback || f->local || r->values[i].kind != SYNC_ABSENT)
			continue;
		*space = (struct sync_fault){ "missing_field", f->name, "a required field is missing" };
		return space;
	}
	return NULL;
}

/* It waits like any received record that cannot be integrated, unless a newer one waits already. */
static enum sync_status put_inbox(const struct page *p, int64_t source, const struct sync_record *r, const struct sync_fault *fault,
                                  struct sync_view line, struct sync_error *err)
{
	static const char put[] =
		"INSERT INTO sync_inbox(source, entity, record_id, root_id, seq, frame, code, field, text, received_us)"
		"    VALUES ($1, $2, $3, $4, 0, $5, $6, $7, $8, $9)"
		"    ON CONFLICT (source, entity, record_id) DO NOTHING";

	return sync_db_run(p->db, put,
	                   SYNC_ARGS(sync_int(source), sync_string(r->name), sync_string(r->id), sync_string(r->root), sync_string(line),
	                             sync_text(fault->code), sync_text(fault->field), sync_text(fault->text),
	                             sync_int(sync_now_us())),
	                   NULL, NULL, err);
}

/*
 * Whose edit this was has been told by whoever knew the field. At central it is captured, since routes may depend on it, but as
 * nobody's: as central's own it would be a version of the record, to which edits that are on their way could lose.
 */
static enum sync_status mark_nobodys(const struct page *p, const struct sync_record *r, struct sync_error *err)
{
	static const char set[] = "SELECT set_config('sync.source', $1, true)";
	static const char put[] = "INSERT INTO sync_mark(entity, record_id, source) VALUES ($1, $2, $3)";

	if (sync_db_role(p->db) != SYNC_CENTRAL)
		return SYNC_OK;
	if (sync_db_dialect(p->db)->postgres)
		return sync_db_run(p->db, set, SYNC_ARGS(sync_text("-1")), NULL, NULL, err);
	return sync_db_run(p->db, put, SYNC_ARGS(sync_string(r->name), sync_string(r->id), sync_int(SYNC_NOBODY)), NULL, NULL, err);
}

static enum sync_status unmark(const struct page *p, struct sync_error *err)
{
	static const char set[] = "SELECT set_config('sync.source', '', true)";
	static const char drop[] = "DELETE FROM sync_mark"; /* the trigger took it, unless it had nothing to capture */

	if (sync_db_role(p->db) != SYNC_CENTRAL)
		return SYNC_OK;
	return sync_db_run(p->db, sync_db_dialect(p->db)->postgres ? set : drop, SYNC_NOARGS, NULL, NULL, err);
}

/* The fields that the record has; the row is there, so that required ones are no matter. */
static enum sync_status update_row(const struct page *p, const struct sync_record *r, struct sync_error *err)
{
	defer(sync_buf_clear) struct sync_buf sql = { .max = SYNC_MAX_SQL };
	struct sync_value v[SYNC_MAX_FIELDS + 1];
	size_t n = 0;

	sync_buf_addf(&sql, "UPDATE \"%s\" SET ", p->e->name);
	for (size_t i = 1; i < p->e->n_fields; i++) {
		if (r->values[i].kind == SYNC_ABSENT || p->e->fields[i].local)
			continue;
		v[n++] = r->values[i];
		sync_buf_addf(&sql, "%s\"%s\" = $%zu", n > 1 ? ", " : "", p->e->fields[i].name, n);
	}
	if (n == 0)
		return SYNC_OK;
	v[n++] = sync_string(r->id);
	sync_buf_addf(&sql, " WHERE id = $%zu", n);
	TRY(sync_buf_check(&sql, err));
	TRY(mark_nobodys(p, r, err));
	TRY(sync_db_run_text(p->db, sql.data, v, n, NULL, NULL, err));
	return unmark(p, err);
}

static enum sync_status insert_row(const struct page *p, const struct sync_record *r, struct sync_error *err)
{
	struct sync_record known = *r;
	const struct sync_record *one = &known;

	known.extra = (struct sync_view){ 0 };
	return sync_records_put(p->db, p->e, &one, 1, err);
}

static enum sync_status forget(const struct page *p, const struct sync_record *r, struct sync_error *err)
{
	static const char delete[] = "DELETE FROM sync_extra WHERE entity = $1 AND record_id = $2";

	return sync_db_run(p->db, delete, SYNC_ARGS(sync_string(r->name), sync_string(r->id)), NULL, NULL, err);
}

static enum sync_status keep_rest(const struct page *p, const struct sync_record *r, struct sync_error *err)
{
	static const char update[] = "UPDATE sync_extra SET data = $1, root_id = NULL, source = NULL WHERE entity = $2 AND record_id = $3";

	if (r->extra.len)
		return sync_db_run(p->db, update, SYNC_ARGS(sync_string(r->extra), sync_string(r->name), sync_string(r->id)),
		                   NULL, NULL, err);
	return forget(p, r, err);
}

static enum sync_status adopt_record(const struct page *p, size_t i, struct sync_arena *arena, struct sync_error *err)
{
	static const struct sync_fault judge = { "adopted", NULL, "its entity was unknown when it came" };
	defer(sync_buf_clear) struct sync_buf line = { .max = FRAME_BYTES };
	const struct sync_fault *fault;
	struct sync_fault missing;
	struct sync_record r;

	if (!p->whole && !p->exist[i])
		return SYNC_OK; /* the record itself waits in the inbox */
	write_unknown(&line, p, i);
	TRY(sync_buf_check(&line, err));
	TRY(sync_record_read(&r, arena, sync_buf_view(&line), &sync_default_limits, err));
	if (p->whole && p->sources[i]) { /* what its site may do is known only now */
		TRY(put_inbox(p, p->sources[i], &r, &judge, sync_buf_view(&line), err));
		return forget(p, &r, err);
	}
	fault = find_fault(p, &r, &missing);
	if (fault)
		TRY(put_inbox(p, 0, &r, fault, sync_buf_view(&line), err));
	else if (p->exist[i])
		TRY(update_row(p, &r, err));
	else
		TRY(insert_row(p, &r, err));
	return keep_rest(p, &r, err);
}

enum sync_status sync_adopt(struct sync_db *db, const struct sync_entity *e, bool whole, struct sync_error *err)
{
	defer(sync_buf_clear) struct sync_buf after = { .max = 1024 };
	defer(sync_arena_clear) struct sync_arena arena = { 0 };
	defer(free_page) struct page *p = calloc(1, sizeof(*p));

	if (!p)
		return sync_fail(err, SYNC_ENOMEM, "reading unknown fields of %s", e->name);
	p->db = db;
	p->e = e;
	p->whole = whole;
	do {
		TRY(read_page(p, &after, err));
		for (size_t i = 0; i < p->n; i++) {
			sync_arena_reset(&arena);
			TRY(adopt_record(p, i, &arena, err));
		}
	} while (p->n == ADOPT_ROWS);
	return SYNC_OK;
}

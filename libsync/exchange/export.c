#include <libsync/site.h>

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <libsync/records.h>

#include "base/internal.h"
#include "codec/fields.h"
#include "codec/json.h"

enum { PAGE = 1000, WRITE_AT = 64 << 10, MAX_TEXT = 256 << 20 };

struct export {
	struct sync_db *db;
	const struct sync_entity *e;
	enum sync_format format;
	sync_write_fn *out;
	void *ctx;
	struct sync_buf text;
	struct sync_arena arena; /* of one page */
	struct sync_view ids[PAGE];
	struct sync_record r[PAGE];
	size_t n;
	int64_t done;
};

static void clear_export(struct export *ex)
{
	sync_buf_clear(&ex->text);
	sync_arena_clear(&ex->arena);
}

static enum sync_status hand_over(struct export *ex, struct sync_error *err)
{
	TRY(sync_buf_check(&ex->text, err));
	if (ex->text.len > 0)
		TRY(ex->out(ex->ctx, ex->text.data, ex->text.len, err));
	sync_buf_reset(&ex->text);
	return SYNC_OK;
}

static bool needs_quotes(struct sync_view s)
{
	for (size_t i = 0; i < s.len; i++)
		if (strchr(",\"\r\n", s.data[i]))
			return true;
	return s.len == 0;
}

static void add_quoted(struct sync_buf *b, struct sync_view s)
{
	sync_buf_add_char(b, '"');
	for (size_t i = 0; i < s.len; i++) {
		if (s.data[i] == '"')
			sync_buf_add_char(b, '"');
		sync_buf_add_char(b, s.data[i]);
	}
	sync_buf_add_char(b, '"');
}

/* A null is an empty cell, an empty text is "". */
static void add_cell(struct sync_buf *b, const struct sync_field *f, const struct sync_value *v)
{
	switch (v->kind) {
	case SYNC_ABSENT:
	case SYNC_NULL:
	case SYNC_BLOB:
		break;
	case SYNC_INT:
		if (f->type == SYNC_BOOLEAN)
			sync_buf_add_text(b, v->i ? "true" : "false");
		else
			sync_buf_addf(b, "%" PRId64, v->i);
		break;
	case SYNC_DOUBLE:
		sync_json_write_real(b, v->d);
		break;
	case SYNC_STRING:
		if (needs_quotes(v->s))
			add_quoted(b, v->s);
		else
			sync_buf_add_view(b, v->s);
		break;
	}
}

static void add_head(struct export *ex)
{
	sync_buf_add_text(&ex->text, "id");
	for (size_t i = 1; i < ex->e->n_fields; i++)
		if (!ex->e->fields[i].local)
			sync_buf_addf(&ex->text, ",%s", ex->e->fields[i].name);
	sync_buf_add_char(&ex->text, '\n');
}

static void add_csv(struct export *ex, const struct sync_record *r)
{
	for (size_t i = 0; i < ex->e->n_fields; i++) {
		if (ex->e->fields[i].local)
			continue;
		if (i > 0)
			sync_buf_add_char(&ex->text, ',');
		add_cell(&ex->text, &ex->e->fields[i], &r->values[i]);
	}
	sync_buf_add_char(&ex->text, '\n');
}

/* {"id": id, field: value, …}; fields that this build does not know stay where they are. */
static void add_json(struct export *ex, struct sync_record r)
{
	struct sync_buf *b = &ex->text;
	size_t brace;

	sync_buf_add_text(b, "{\"id\":");
	sync_json_write_text(b, r.id);
	brace = b->len;
	r.extra = (struct sync_view){ 0 };
	sync_fields_write(b, &r);
	if (b->status == SYNC_OK)
		b->data[brace] = ',';
	sync_buf_add_char(b, '\n');
}

static enum sync_status take_id(void *ctx, const struct sync_value *v, size_t n, struct sync_error *err)
{
	struct export *ex = ctx;
	struct sync_view id = sync_arena_copy(&ex->arena, v[0].s);

	(void)n;
	if (!id.data)
		return sync_fail(err, SYNC_ENOMEM, "exporting %s", ex->e->name);
	ex->ids[ex->n++] = id;
	return SYNC_OK;
}

/* The records after last, whose id plain SQL may have made as long as it liked. */
static enum sync_status read_page(struct export *ex, const struct sync_buf *last, struct sync_error *err)
{
	defer(sync_buf_clear) struct sync_buf sql = { .max = 1024 };

	ex->n = 0;
	sync_arena_reset(&ex->arena);
	sync_buf_addf(&sql, "SELECT id FROM \"%s\" WHERE id > $1 ORDER BY id LIMIT %d", ex->e->name, PAGE);
	TRY(sync_buf_check(&sql, err));
	TRY(sync_db_run_text(ex->db, sql.data, SYNC_ARGS(sync_string(sync_buf_view(last))), take_id, ex, err));
	return sync_records_get(ex->db, ex->e, sync_view_of(ex->e->name), ex->ids, ex->n, &ex->arena, ex->r, err);
}

static enum sync_status write_page(struct export *ex, struct sync_error *err)
{
	for (size_t i = 0; i < ex->n; i++) {
		if (ex->format == SYNC_CSV)
			add_csv(ex, &ex->r[i]);
		else
			add_json(ex, ex->r[i]);
		if (ex->text.len >= WRITE_AT)
			TRY(hand_over(ex, err));
	}
	ex->done += (int64_t)ex->n;
	return hand_over(ex, err);
}

static enum sync_status export_all(struct export *ex, struct sync_error *err)
{
	defer(sync_buf_clear) struct sync_buf last = { .max = MAX_TEXT };

	if (ex->format == SYNC_CSV)
		add_head(ex);
	do {
		TRY(read_page(ex, &last, err));
		sync_buf_reset(&last);
		if (ex->n > 0)
			sync_buf_add_view(&last, ex->ids[ex->n - 1]);
		TRY(sync_buf_check(&last, err));
		TRY(write_page(ex, err));
	} while (ex->n == PAGE);
	return SYNC_OK;
}

enum sync_status sync_export(struct sync_db *db, const struct sync_entity *e, enum sync_format format, sync_write_fn *out, void *ctx,
                             int64_t *ret_records, struct sync_error *err)
{
	defer(freep) struct export *ex = calloc(1, sizeof *ex);
	enum sync_status status;

	if (!ex)
		return sync_fail(err, SYNC_ENOMEM, "exporting %s", e->name);
	*ex = (struct export){ .db = db, .e = e, .format = format, .out = out, .ctx = ctx, .text = { .max = MAX_TEXT } };
	TRY(sync_db_begin(db, false, err));
	status = export_all(ex, err);
	sync_db_rollback(db);
	*ret_records = ex->done;
	clear_export(ex);
	return status;
}

#include "exchange/rows.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/internal.h"
#include "codec/fields.h"
#include "codec/json.h"

enum { CHUNK = 64 << 10, MAX_NUMBER = 64, NO_MORE = -1 };

/* Bytes come one after another; -1 when there are no more. */
static enum sync_status fill(struct sync_rows *rows, struct sync_error *err)
{
	size_t len = 0;
	char *to;

	sync_buf_reset(&rows->chunk);
	rows->at = 0;
	to = sync_buf_room(&rows->chunk, CHUNK);
	if (!to)
		return sync_buf_check(&rows->chunk, err);
	TRY(rows->in(rows->ctx, to, CHUNK, &len, err));
	rows->chunk.len = len;
	rows->end = len == 0;
	return SYNC_OK;
}

static enum sync_status peek(struct sync_rows *rows, int *ret, struct sync_error *err)
{
	if (rows->at == rows->chunk.len && !rows->end)
		TRY(fill(rows, err));
	*ret = rows->at < rows->chunk.len ? (unsigned char)rows->chunk.data[rows->at] : NO_MORE;
	return SYNC_OK;
}

static enum sync_status take(struct sync_rows *rows, int *ret, struct sync_error *err)
{
	TRY(peek(rows, ret, err));
	if (*ret != NO_MORE)
		rows->at++;
	if (*ret == '\n')
		rows->next_line++;
	return SYNC_OK;
}

/* Some programs begin a file with a byte order mark. */
static enum sync_status skip_mark(struct sync_rows *rows, struct sync_error *err)
{
	static const unsigned char mark[] = { 0xef, 0xbb, 0xbf }; /* part of one is no beginning either */
	int c;

	for (size_t i = 0; i < COUNT(mark); i++) {
		TRY(peek(rows, &c, err));
		if (c == mark[i])
			TRY(take(rows, &c, err));
	}
	return SYNC_OK;
}

static enum sync_status keep(struct sync_rows *rows, int c, struct sync_error *err)
{
	sync_buf_add_char(&rows->text, (char)c);
	if (rows->text.status == SYNC_ETOOBIG)
		return sync_fail(err, SYNC_EINVALID, "line %" PRId64 ": longer than %zu bytes", rows->line, rows->text.max);
	return sync_buf_check(&rows->text, err);
}

/*
 * cell = '"' (any byte but '"', or '""')* '"' | (any byte but ',', '"', CR, LF)*
 * After a cell comes ',', a line's end or the end of the file.
 */
static enum sync_status take_quoted(struct sync_rows *rows, struct sync_error *err)
{
	int c;

	TRY(take(rows, &c, err));
	for (;;) {
		TRY(take(rows, &c, err));
		if (c == NO_MORE)
			return sync_fail(err, SYNC_EINVALID, "line %" PRId64 ": a quote is not closed", rows->line);
		if (c == '"') {
			TRY(peek(rows, &c, err));
			if (c != '"')
				return SYNC_OK;
			TRY(take(rows, &c, err));
		}
		TRY(keep(rows, c, err));
	}
}

static enum sync_status take_bare(struct sync_rows *rows, struct sync_error *err)
{
	int c;

	for (;;) {
		TRY(peek(rows, &c, err));
		if (c == NO_MORE || c == ',' || c == '\r' || c == '\n')
			return SYNC_OK;
		if (c == '"')
			return sync_fail(err, SYNC_EINVALID,
					 "line %" PRId64 ": a quote inside a field that does not begin with one", rows->line);
		TRY(take(rows, &c, err));
		TRY(keep(rows, c, err));
	}
}

static enum sync_status take_cell(struct sync_rows *rows, struct sync_error *err)
{
	struct sync_cell cell = { .from = rows->text.len };
	int c;

	if (rows->n_cells == SYNC_MAX_FIELDS)
		return sync_fail(err, SYNC_EINVALID, "line %" PRId64 ": more than %d fields", rows->line, SYNC_MAX_FIELDS);
	TRY(peek(rows, &c, err));
	cell.quoted = c == '"';
	TRY(cell.quoted ? take_quoted(rows, err) : take_bare(rows, err));
	cell.len = rows->text.len - cell.from;
	rows->cells[rows->n_cells++] = cell;
	return SYNC_OK;
}

/* What stands after a cell: *ret_more when another cell of the same row follows. */
static enum sync_status take_separator(struct sync_rows *rows, bool *ret_more, struct sync_error *err)
{
	int c;

	TRY(take(rows, &c, err));
	*ret_more = c == ',';
	if (c == '\r')
		TRY(take(rows, &c, err));
	if (c == ',' || c == '\n' || c == NO_MORE)
		return SYNC_OK;
	return sync_fail(err, SYNC_EINVALID, "line %" PRId64 ": text after a closing quote or a carriage return", rows->line);
}

static bool is_empty(const struct sync_rows *rows)
{
	return rows->n_cells == 1 && rows->cells[0].len == 0 && !rows->cells[0].quoted;
}

/* The cells of one row; none at the end of the file. Empty lines are passed over. */
static enum sync_status take_row(struct sync_rows *rows, struct sync_error *err)
{
	do {
		bool more = true;
		int c;

		sync_buf_reset(&rows->text);
		rows->n_cells = 0;
		rows->line = rows->next_line;
		TRY(peek(rows, &c, err));
		if (c == NO_MORE)
			return SYNC_OK;
		while (more) {
			TRY(take_cell(rows, err));
			TRY(take_separator(rows, &more, err));
		}
	} while (is_empty(rows));
	return SYNC_OK;
}

static struct sync_view cell_text(const struct sync_rows *rows, size_t i)
{
	return (struct sync_view){ rows->text.data + rows->cells[i].from, rows->cells[i].len };
}

static enum sync_status no_field(const struct sync_rows *rows, struct sync_view name, struct sync_error *err)
{
	return sync_fail(err, SYNC_EINVALID, "line %" PRId64 ": %s has no field '%.*s'", rows->line, rows->e->name,
			 SYNC_VIEW(name));
}

/* The index of a field that travels, or -1: local fields are the database's own. */
static int find_field(const struct sync_entity *e, struct sync_view name)
{
	int i = sync_field_find(e, name);

	return i >= 0 && e->fields[i].local ? -1 : i;
}

/* What looks like another format is told as such, instead of its first odd character. */
static enum sync_status check_head(struct sync_rows *rows, struct sync_error *err)
{
	int c;

	TRY(peek(rows, &c, err));
	if (c == NO_MORE)
		return sync_fail(err, SYNC_EINVALID,
				 "line 1: the file is empty: the first line names the columns, and one of them must be 'id'");
	if (c == '{' || c == '[')
		return sync_fail(err, SYNC_EINVALID, "line 1: it begins with '%c' as JSON does: say --format json", c);
	return SYNC_OK;
}

static enum sync_status check_first_line(struct sync_rows *rows, struct sync_error *err)
{
	int c;

	TRY(peek(rows, &c, err));
	if (c == '[')
		return sync_fail(err, SYNC_EINVALID,
				 "line 1: it begins with '[' as an array does: write one object per line, without brackets");
	if (c == NO_MORE || strchr("{ \t\r\n", c))
		return SYNC_OK;
	return sync_fail(err, SYNC_EINVALID,
			 "line 1: it does not begin with '{' as a JSON object does: if it is CSV, say --format csv");
}

static enum sync_status check_separator(const struct sync_rows *rows, struct sync_error *err)
{
	struct sync_view only = cell_text(rows, 0);

	if (rows->n_cells != 1 || !memchr(only.data, ';', only.len))
		return SYNC_OK;
	return sync_fail(err, SYNC_EINVALID,
			 "line %" PRId64 ": '%.*s' is no column: are the columns separated by ';'? They must be by ','",
			 rows->line, SYNC_VIEW(only));
}

static enum sync_status read_head(struct sync_rows *rows, struct sync_error *err)
{
	bool seen[SYNC_MAX_FIELDS] = { false };

	TRY(check_head(rows, err));
	TRY(take_row(rows, err));
	TRY(check_separator(rows, err));
	for (size_t i = 0; i < rows->n_cells; i++) {
		struct sync_view name = cell_text(rows, i);
		int f = find_field(rows->e, name);

		if (f < 0)
			return no_field(rows, name, err);
		if (seen[f])
			return sync_fail(err, SYNC_EINVALID, "line %" PRId64 ": the column '%.*s' is there twice", rows->line,
					 SYNC_VIEW(name));
		seen[f] = true;
		rows->columns[i] = (size_t)f;
	}
	rows->n_columns = rows->n_cells;
	if (!seen[0])
		return sync_fail(err, SYNC_EINVALID,
				 "line %" PRId64 ": the first line names the columns, and one of them must be 'id'",
				 rows->line);
	return SYNC_OK;
}

static enum sync_status bad_cell(const struct sync_rows *rows, const struct sync_field *f, struct sync_view cell,
				 const char *wanted, struct sync_error *err)
{
	struct sync_view seen = { cell.data, cell.len < 60 ? cell.len : 60 };

	return sync_fail(err, SYNC_EINVALID, "line %" PRId64 ": %s.%s is '%.*s', not %s", rows->line, rows->e->name, f->name,
			 SYNC_VIEW(seen), wanted);
}

static bool read_boolean(struct sync_view cell, int64_t *ret)
{
	bool yes = sync_view_is(cell, "true") || sync_view_is(cell, "1");

	*ret = yes;
	return yes || sync_view_is(cell, "false") || sync_view_is(cell, "0");
}

static bool read_real(struct sync_view cell, double *ret)
{
	char text[MAX_NUMBER], *end;

	if (cell.len == 0 || cell.len >= sizeof text)
		return false;
	memcpy(text, cell.data, cell.len);
	text[cell.len] = '\0';
	if (strspn(text, "0123456789+-.eE") != cell.len)
		return false;
	*ret = strtod(text, &end);
	return *end == '\0' && isfinite(*ret);
}

static enum sync_status read_cell(const struct sync_rows *rows, const struct sync_field *f, struct sync_view cell,
				  struct sync_arena *arena, struct sync_value *ret, struct sync_error *err)
{
	switch (f->type) {
	case SYNC_ID:
	case SYNC_TEXT:
	case SYNC_ENUM:
	case SYNC_JSON:
	case SYNC_DATE:
	case SYNC_TIME:
		*ret = (struct sync_value){ .kind = SYNC_STRING, .s = sync_arena_copy(arena, cell) };
		return ret->s.data ? SYNC_OK : sync_fail(err, SYNC_ENOMEM, "reading line %" PRId64, rows->line);
	case SYNC_BOOLEAN:
		ret->kind = SYNC_INT;
		return read_boolean(cell, &ret->i) ? SYNC_OK : bad_cell(rows, f, cell, "true or false", err);
	case SYNC_INTEGER:
	case SYNC_BIGINT:
		ret->kind = SYNC_INT;
		return sync_json_int64(&ret->i, cell) ? SYNC_OK : bad_cell(rows, f, cell, "a whole number", err);
	case SYNC_REAL:
		ret->kind = SYNC_DOUBLE;
		return read_real(cell, &ret->d) ? SYNC_OK : bad_cell(rows, f, cell, "a number", err);
	}
	return SYNC_OK;
}

static enum sync_status read_cells(struct sync_rows *rows, struct sync_arena *arena, struct sync_record *r,
				   struct sync_error *err)
{
	if (rows->n_cells != rows->n_columns)
		return sync_fail(err, SYNC_EINVALID, "line %" PRId64 ": %zu fields, the first line names %zu", rows->line,
				 rows->n_cells, rows->n_columns);
	r->values = sync_arena_get(arena, rows->e->n_fields * sizeof *r->values);
	if (!r->values)
		return sync_fail(err, SYNC_ENOMEM, "reading line %" PRId64, rows->line);
	memset(r->values, 0, rows->e->n_fields * sizeof *r->values);
	for (size_t i = 0; i < rows->n_columns; i++) {
		size_t f = rows->columns[i];

		r->values[f].kind = SYNC_NULL;
		if (rows->cells[i].len > 0 || rows->cells[i].quoted)
			TRY(read_cell(rows, &rows->e->fields[f], cell_text(rows, i), arena, &r->values[f], err));
	}
	return SYNC_OK;
}

/* One line without its end; empty ones are passed over. */
static enum sync_status take_line(struct sync_rows *rows, bool *ret_found, struct sync_error *err)
{
	int c;

	do {
		sync_buf_reset(&rows->text);
		rows->line = rows->next_line;
		do {
			TRY(take(rows, &c, err));
			if (c != NO_MORE && c != '\n')
				TRY(keep(rows, c, err));
		} while (c != NO_MORE && c != '\n');
		while (rows->text.len > 0 && strchr(" \t\r", rows->text.data[rows->text.len - 1]))
			rows->text.len--;
	} while (rows->text.len == 0 && c != NO_MORE);
	*ret_found = rows->text.len > 0;
	return SYNC_OK;
}

static enum sync_status read_object(struct sync_rows *rows, struct sync_arena *arena, struct sync_record *r,
				    struct sync_error *err)
{
	struct sync_view id = { 0 };
	struct sync_json object, m;

	if (sync_json_parse(&object, sync_buf_view(&rows->text), sync_default_limits.depth, err) != SYNC_OK)
		return sync_fail(err, SYNC_EINVALID, "line %" PRId64 ": %s", rows->line, err ? err->text : "");
	if (object.type != SYNC_JSON_OBJECT)
		return sync_fail(err, SYNC_EINVALID, "line %" PRId64 ": not a JSON object", rows->line);
	for (bool more = sync_json_first(&m, &object); more; more = sync_json_next(&m)) {
		int f = find_field(rows->e, m.name);

		if (f < 0)
			return no_field(rows, m.name, err);
		if (f == 0 && m.type != SYNC_JSON_TEXT)
			return sync_fail(err, SYNC_EINVALID, "line %" PRId64 ": %s.id is not a string", rows->line,
					 rows->e->name);
		if (f == 0)
			id = sync_arena_copy(arena, m.text);
	}
	r->id = id;
	/* all of its members are fields, so the text of unknown ones is never looked for */
	return sync_fields_read(r, &object, sync_buf_view(&rows->text), 0, arena, err);
}

static enum sync_status finish_record(const struct sync_rows *rows, struct sync_arena *arena, struct sync_record *r,
				      struct sync_error *err)
{
	if (r->values[0].kind != SYNC_STRING || r->values[0].s.len == 0)
		return sync_fail(err, SYNC_EINVALID, "line %" PRId64 ": %s.id is missing: every record needs its own",
				 rows->line, rows->e->name);
	r->id = r->values[0].s;
	sync_record_finish(r, arena);
	if (r->fault)
		return sync_fail(err, SYNC_EINVALID, "line %" PRId64 ": %s", rows->line, r->fault->text);
	return SYNC_OK;
}

enum sync_status sync_rows_next(struct sync_rows *rows, struct sync_arena *arena, struct sync_record *r, bool *ret_found,
				struct sync_error *err)
{
	bool found = false;

	*r = (struct sync_record){ .entity = rows->e, .name = sync_view_of(rows->e->name), .action = SYNC_PUT, .age_ms = -1 };
	if (rows->format == SYNC_CSV) {
		TRY(take_row(rows, err));
		found = rows->n_cells > 0;
	} else {
		TRY(take_line(rows, &found, err));
	}
	*ret_found = found;
	if (!found)
		return SYNC_OK;
	TRY(rows->format == SYNC_CSV ? read_cells(rows, arena, r, err) : read_object(rows, arena, r, err));
	return finish_record(rows, arena, r, err);
}

enum sync_status sync_rows_open(struct sync_rows *ret, const struct sync_entity *e, enum sync_format format, sync_read_fn *in,
				void *ctx, struct sync_error *err)
{
	*ret = (struct sync_rows){ .e = e,
				   .format = format,
				   .in = in,
				   .ctx = ctx,
				   .chunk = { .max = CHUNK + 1 },
				   .text = { .max = sync_default_limits.line_bytes },
				   .next_line = 1 };
	TRY(skip_mark(ret, err));
	return format == SYNC_CSV ? read_head(ret, err) : check_first_line(ret, err);
}

void sync_rows_close(struct sync_rows *rows)
{
	sync_buf_clear(&rows->chunk);
	sync_buf_clear(&rows->text);
}

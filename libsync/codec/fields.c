#include "codec/fields.h"

#include <inttypes.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/internal.h"

/* Only the first fault of a record is told; it never fails the message. */
__attribute__((format(printf, 5, 6)))
static void set_fault(struct sync_record *r, struct sync_arena *arena, const char *code, const char *field,
		      const char *format, ...)
{
	static const struct sync_fault no_memory = { "no_memory", NULL, "out of memory while checking the record" };
	char text[512];
	va_list args;
	struct sync_fault *fault;
	struct sync_view copy;

	if (r->fault)
		return;
	va_start(args, format);
	vsnprintf(text, sizeof text, format, args);
	va_end(args);
	fault = sync_arena_get(arena, sizeof *fault);
	copy = sync_arena_copy(arena, sync_view_of(text));
	r->fault = fault && copy.data ? fault : &no_memory;
	if (r->fault == fault)
		*fault = (struct sync_fault){ code, field, copy.data };
}

/*
 * value = null | string (ids, text, enums, dates, times; JSON as its text; bigints as digits) | number (integers, reals)
 *       | true | false
 * False when the type has no such value: not finite, a blob, not UTF-8.
 */
static bool write_value(struct sync_buf *b, const struct sync_field *f, const struct sync_value *v)
{
	if (v->kind == SYNC_NULL) {
		sync_buf_add(b, "null", 4);
		return true;
	}
	switch (f->type) {
	case SYNC_ID:
	case SYNC_TEXT:
	case SYNC_ENUM:
	case SYNC_JSON:
	case SYNC_DATE:
	case SYNC_TIME:
		return v->kind == SYNC_STRING && sync_json_write_text(b, v->s);
	case SYNC_BOOLEAN:
		sync_buf_add_text(b, v->i ? "true" : "false");
		return v->kind == SYNC_INT;
	case SYNC_INTEGER:
		sync_buf_addf(b, "%" PRId64, v->i);
		return v->kind == SYNC_INT;
	case SYNC_BIGINT:
		sync_buf_addf(b, "\"%" PRId64 "\"", v->i);
		return v->kind == SYNC_INT;
	case SYNC_REAL:
		if (v->kind == SYNC_INT)
			sync_buf_addf(b, "%" PRId64, v->i);
		else if (v->kind == SYNC_DOUBLE && isfinite(v->d))
			sync_json_write_real(b, v->d);
		else
			return false;
		return true;
	}
	return false;
}

static void wrong_type(struct sync_record *r, struct sync_arena *arena, const struct sync_field *f, const struct sync_json *m,
		       const char *wanted)
{
	static const char *const seen[] = { "null", "a boolean", "a number", "a string", "an array", "an object" };
	struct sync_view text = { m->text.data, m->text.len < 60 ? m->text.len : 60 };

	set_fault(r, arena, "wrong_type", f->name, "%s.%s: %s%s%.*s where %s belongs", r->entity->name, f->name, seen[m->type],
		  text.len ? " " : "", SYNC_VIEW(text), wanted);
}

static enum sync_status read_text(struct sync_value *v, const struct sync_json *m, struct sync_arena *arena,
				  struct sync_error *err)
{
	*v = (struct sync_value){ .kind = SYNC_STRING, .s = sync_arena_copy(arena, m->text) };
	return v->s.data ? SYNC_OK : sync_fail(err, SYNC_ENOMEM, "reading a text of %zu bytes", m->text.len);
}

/* A JSON number that is a whole one; its range is checked with all other values. */
static bool whole(const struct sync_json *m)
{
	return m->type == SYNC_JSON_NUMBER && fabs(m->number) <= 0x1p53 && m->number == trunc(m->number);
}

static enum sync_status read_value(struct sync_record *r, const struct sync_field *f, struct sync_value *v,
				   const struct sync_json *m, struct sync_arena *arena, struct sync_error *err)
{
	int64_t i = 0;

	if (m->type == SYNC_JSON_NULL) { /* of a later field it may come from who does not know it */
		*v = f->required && f->since > 1 ? sync_field_fallback(f) : (struct sync_value){ .kind = SYNC_NULL };
		return SYNC_OK;
	}
	switch (f->type) {
	case SYNC_ID:
	case SYNC_TEXT:
	case SYNC_ENUM:
	case SYNC_JSON:
	case SYNC_DATE:
	case SYNC_TIME:
		if (m->type == SYNC_JSON_TEXT)
			return read_text(v, m, arena, err);
		wrong_type(r, arena, f, m, "a string");
		break;
	case SYNC_BOOLEAN:
		if (m->type == SYNC_JSON_BOOLEAN)
			*v = (struct sync_value){ .kind = SYNC_INT, .i = m->number != 0 };
		else
			wrong_type(r, arena, f, m, "true or false");
		break;
	case SYNC_INTEGER:
		if (whole(m))
			*v = (struct sync_value){ .kind = SYNC_INT, .i = (int64_t)m->number };
		else if (m->type == SYNC_JSON_NUMBER)
			set_fault(r, arena, "bad_value", f->name, "%s.%s: %.17g is not a whole number", r->entity->name,
				  f->name, m->number);
		else
			wrong_type(r, arena, f, m, "a whole number");
		break;
	case SYNC_BIGINT:
		if (m->type == SYNC_JSON_TEXT && sync_json_int64(&i, m->text))
			*v = (struct sync_value){ .kind = SYNC_INT, .i = i };
		else
			wrong_type(r, arena, f, m, "a 64-bit integer in a string");
		break;
	case SYNC_REAL:
		if (m->type == SYNC_JSON_NUMBER)
			*v = (struct sync_value){ .kind = SYNC_DOUBLE, .d = m->number };
		else
			wrong_type(r, arena, f, m, "a number");
		break;
	}
	return SYNC_OK;
}

/* What stands between the braces of an object; empty when only spaces do. */
static struct sync_view inside(struct sync_view object)
{
	struct sync_view v = { 0 };

	if (object.len > 2)
		v = (struct sync_view){ object.data + 1, object.len - 2 };
	while (v.len > 0 && v.data[0] == ' ') {
		v.data++;
		v.len--;
	}
	return v;
}

/*
 * d = {field: value, …}: known fields in the order of the declaration, without the id, local fields and what is absent; then
 * the fields that this build does not know, with the very text in which they came.
 */
void sync_fields_write(struct sync_buf *b, const struct sync_record *r)
{
	size_t n = r->entity && r->values ? r->entity->n_fields : 0;
	struct sync_view extra = inside(r->extra);
	const char *comma = "";

	sync_buf_add_char(b, '{');
	for (size_t i = 1; i < n; i++) {
		const struct sync_field *f = &r->entity->fields[i];
		size_t from = b->len;

		if (f->local || r->values[i].kind == SYNC_ABSENT)
			continue;
		sync_buf_add_text(b, comma);
		sync_buf_add_char(b, '"');
		sync_buf_add_text(b, f->name);
		sync_buf_add_text(b, "\":");
		if (write_value(b, f, &r->values[i]))
			comma = ",";
		else
			b->len = from;
	}
	if (extra.len > 0) {
		sync_buf_add_text(b, comma);
		sync_buf_add_view(b, extra);
	}
	sync_buf_add_char(b, '}');
}

/* Senders keep the order of the declaration, so the field after the last one is tried first. */
static int find_field(const struct sync_entity *e, size_t *next, struct sync_view name)
{
	int i = (int)*next;

	if (*next >= e->n_fields || !sync_view_is(name, e->fields[*next].name))
		i = sync_field_find(e, name);
	if (i >= 0)
		*next = (size_t)i + 1;
	return i;
}

static bool is_unknown(const struct sync_entity *e, struct sync_view name)
{
	return sync_field_find(e, name) < 0;
}

/* An object of those members of d that are no fields of r->entity, copied as they stand in its text. */
static enum sync_status read_extra(struct sync_record *r, const struct sync_json *d, struct sync_view raw,
				   struct sync_arena *arena, struct sync_error *err)
{
	char *text = sync_arena_get(arena, raw.len + 1);
	struct sync_json_raw next;
	struct sync_json m;
	size_t len = 0;

	if (!text)
		return sync_fail(err, SYNC_ENOMEM, "reading %zu bytes of unknown fields", raw.len);
	for (bool more = sync_json_first(&m, d); more && sync_json_raw_next(&next, &raw); more = sync_json_next(&m)) {
		if (!is_unknown(r->entity, m.name))
			continue;
		text[len] = len ? ',' : '{';
		memcpy(text + len + 1, next.member.data, next.member.len);
		len += 1 + next.member.len;
	}
	text[len] = '}';
	r->extra = (struct sync_view){ text, len + 1 };
	return SYNC_OK;
}

static enum sync_status read_known(struct sync_record *r, const struct sync_json *d, bool *ret_unknown,
				   struct sync_arena *arena, struct sync_error *err)
{
	const struct sync_entity *e = r->entity;
	size_t next = 1;
	struct sync_json m;

	for (bool more = sync_json_first(&m, d); more; more = sync_json_next(&m)) {
		int i = find_field(e, &next, m.name);

		if (i < 0)
			*ret_unknown = true;
		if (i <= 0 || e->fields[i].local)
			continue;
		if (r->values[i].kind != SYNC_ABSENT)
			set_fault(r, arena, "bad_value", e->fields[i].name, "%s.%s: given twice", e->name, e->fields[i].name);
		else
			TRY(read_value(r, &e->fields[i], &r->values[i], &m, arena, err));
	}
	return SYNC_OK;
}

enum sync_status sync_fields_read(struct sync_record *r, const struct sync_json *d, struct sync_view line, size_t nth,
				  struct sync_arena *arena, struct sync_error *err)
{
	bool unknown = false;

	if (!r->entity) {
		r->extra = sync_arena_copy(arena, sync_json_raw_value(line, nth));
		return r->extra.data ? SYNC_OK : sync_fail(err, SYNC_ENOMEM, "reading a record of %zu bytes", line.len);
	}
	r->values = sync_arena_get(arena, r->entity->n_fields * sizeof *r->values);
	if (!r->values)
		return sync_fail(err, SYNC_ENOMEM, "reading a record of %zu fields", r->entity->n_fields);
	memset(r->values, 0, r->entity->n_fields * sizeof *r->values);
	r->values[0] = (struct sync_value){ .kind = SYNC_STRING, .s = r->id };
	TRY(read_known(r, d, &unknown, arena, err));
	return unknown ? read_extra(r, d, sync_json_raw_value(line, nth), arena, err) : SYNC_OK;
}

/*
 * A root is its own group; a child's put names its root in the parent field, other frames of a child carry it. What is too long
 * for an id names none.
 */
static struct sync_view root_of(const struct sync_record *r)
{
	int parent = r->entity && r->entity->parent ? sync_field_find(r->entity, sync_view_of(r->entity->parent)) : -1;

	if (r->entity && !r->entity->parent)
		return r->id;
	if (r->values && parent > 0 && r->values[parent].kind == SYNC_STRING && r->values[parent].s.len <= SYNC_MAX_ID)
		return r->values[parent].s;
	return r->root.len ? r->root : r->id;
}

static void check_value(struct sync_record *r, struct sync_arena *arena, const struct sync_field *f, const struct sync_value *v)
{
	struct sync_error err = { 0 };

	if (sync_value_check(r->entity, f, v, &err) != SYNC_OK)
		set_fault(r, arena, v->kind == SYNC_NULL ? "missing_field" : "bad_value", f->name, "%s", err.text);
}

static void check_values(struct sync_record *r, struct sync_arena *arena)
{
	struct sync_value id = { .kind = SYNC_STRING, .s = r->id };

	check_value(r, arena, &r->entity->fields[0], &id);
	for (size_t i = 1; r->values && !r->fault && i < r->entity->n_fields; i++)
		if (r->values[i].kind != SYNC_ABSENT)
			check_value(r, arena, &r->entity->fields[i], &r->values[i]);
}

/* Whether its frame keeps any limit, however it is written: a byte becomes six at most, and a token has one and a comma. */
static bool is_small(const struct sync_record *r)
{
	size_t bytes = r->extra.len;

	for (size_t i = 0; r->values && i < r->entity->n_fields; i++)
		if (r->values[i].kind == SYNC_STRING)
			bytes += r->values[i].s.len;
	return r->extra.len < SYNC_JSON_TOKENS && bytes < sync_default_limits.line_bytes / 8;
}

static void check_frame(struct sync_record *r, struct sync_arena *arena)
{
	defer(sync_buf_clear) struct sync_buf line = { .max = sync_default_limits.line_bytes };
	struct sync_error err = { 0 };
	struct sync_json json;
	enum sync_status status;

	sync_record_write(&line, r);
	if (line.len > 0)
		line.len--; /* the newline */
	status = sync_buf_check(&line, &err);
	if (status == SYNC_OK)
		status = sync_json_parse(&json, sync_buf_view(&line), sync_default_limits.depth, &err);
	if (status != SYNC_OK)
		set_fault(r, arena, "too_big", NULL, "%.*s %.*s: its frame: %s", SYNC_VIEW(r->name), SYNC_VIEW(r->id),
			  err.text);
}

void sync_record_finish(struct sync_record *r, struct sync_arena *arena)
{
	r->root = root_of(r);
	if (r->entity)
		check_values(r, arena);
	if (!r->fault && !is_small(r))
		check_frame(r, arena);
}

#include "codec/frame.h"

#include <inttypes.h>
#include <limits.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include "base/internal.h"
#include "codec/fields.h"
#include "codec/json.h"

const struct sync_limits sync_default_limits = {
	.plain_bytes = 256 << 20,
	.line_bytes = 16 << 20,
	.records = 100000,
	.depth = 32,
};

/*
 * A frame is a JSON object in one line. What may stand in it is one table per frame, which its writer and its reader both
 * follow: members come in the order of the table, those with a zero value are left out, and members that the table does not
 * have (of a newer protocol) are passed over.
 */
enum form {
	NUMBER,     /* int: JSON number */
	BIG,        /* int64_t, not negative: string of decimal digits */
	AGE,        /* int64_t, -1 when absent: as BIG */
	FLAG,       /* bool: true */
	TEXT,       /* char[size]: string */
	HEX,        /* char[size]: string of size - 1 lower-case hex digits */
	CHECKPOINT, /* struct sync_checkpoint: "ORDINAL.SEQ.ID" */
	PLACE,      /* struct sync_checkpoint of a pull: "SEQ.ID" */
	LOAD,       /* struct sync_load: object */
	FORK,       /* struct sync_fork: object */
	INQUIRY,    /* struct sync_inquiry: object */
	COMMON,     /* struct sync_common: object */
	MADE,       /* checkpoints of a struct sync_inquiry: array of CHECKPOINT */
	HELD,       /* positions of a struct sync_inquiry: array of "SEQ.ID.SEQ.ID", all and own */
	VIEW,       /* struct sync_view: string */
	ID,         /* struct sync_view of at most SYNC_MAX_ID bytes: string; an index has to hold it */
	WORD,       /* const char *: string */
	NAME,       /* struct sync_view: an entity's name; sets .entity of a record as well */
	ENTITY,     /* the same of a range */
	ACTION,     /* enum sync_action: "P", "D" or "X" */
	ROOT,       /* as ID, of a record's root; left out where it follows from the rest */
	DATA,       /* fields of a record: object; there when the action is "P" */
};

enum side { REQUEST = 1, ANSWER = 2, BOTH = 3 };

struct member {
	const char *name;
	enum form form;
	size_t at, size; /* where in the struct */
	enum side side;
	bool required; /* written even when zero */
};

struct shape {
	const char *frame;
	const struct member *members;
	size_t n;
};

#define AT(type, field) offsetof(struct type, field), sizeof((struct type *)0)->field
#define SHAPE(name, rows)               \
	{                               \
		name, rows, COUNT(rows) \
	}

/* load = {"a": H of all, "o": H of own, "e": entity, "i": id, "t": total, "d": done, "w": active} */
static const struct member load_members[] = {
	{ "a", PLACE, AT(sync_load, at.all), BOTH }, { "o", PLACE, AT(sync_load, at.own), BOTH },
	{ "e", TEXT, AT(sync_load, entity), BOTH },  { "i", TEXT, AT(sync_load, id), BOTH },
	{ "t", BIG, AT(sync_load, total), BOTH },    { "d", BIG, AT(sync_load, done), BOTH },
	{ "w", FLAG, AT(sync_load, active), BOTH },
};
static const struct shape load_shape = SHAPE("load", load_members);

/* fork = {"c": common, "s": sure, "q": upto, "a": seq in all, "o": seq in own, "w": made} */
static const struct member fork_members[] = {
	{ "c", CHECKPOINT, AT(sync_fork, common), BOTH }, { "s", BIG, AT(sync_fork, sure), BOTH },
	{ "q", BIG, AT(sync_fork, upto), BOTH },          { "a", BIG, AT(sync_fork, all_seq), BOTH },
	{ "o", BIG, AT(sync_fork, own_seq), BOTH },       { "w", FLAG, AT(sync_fork, made), BOTH },
};
static const struct shape fork_shape = SHAPE("fork", fork_members);

/* inquiry = {"c": [checkpoint, …], "p": [place of all and of own, …], "w": active} */
static const struct member inquiry_members[] = {
	{ "c", MADE, AT(sync_inquiry, made), BOTH },
	{ "p", HELD, AT(sync_inquiry, held), BOTH },
	{ "w", FLAG, AT(sync_inquiry, active), BOTH },
};
static const struct shape inquiry_shape = SHAPE("inquiry", inquiry_members);

/* common = {"c": checkpoint, "a": place in all, "o": place in own, "w": active} */
static const struct member common_members[] = {
	{ "c", CHECKPOINT, AT(sync_common, made), BOTH },
	{ "a", PLACE, AT(sync_common, at.all), BOTH },
	{ "o", PLACE, AT(sync_common, at.own), BOTH },
	{ "w", FLAG, AT(sync_common, active), BOTH },
};
static const struct shape common_shape = SHAPE("common", common_members);

/*
 * header = {"p": protocol, "s": schema, "v": program, "i": site, and then
 *   request: "b": branch, "r": request, "c": base, "m": made, "a": position in all, "o": position in own, "x": rest, "u": unpushed,
 *            "w": want, "e": echo, "h": held, "f": fork, "q": inquiry, "d": offered,
 *   answer:  "a": request, "c": stored, "g": integrated, "h": highest, "r": refused, "q": common,
 *   both:    "n": verdict, "t": part and "k": cont in a request, "l": load, "y": verify, "z": loss, "j": lost in a request}
 */
static const struct member header_members[] = {
	{ "p", NUMBER, AT(sync_header, protocol), BOTH, true },
	{ "s", NUMBER, AT(sync_header, schema), BOTH, true },
	{ "v", TEXT, AT(sync_header, program), BOTH },
	{ "i", BIG, AT(sync_header, site), BOTH },
	{ "b", HEX, AT(sync_header, branch), REQUEST },
	{ "r", HEX, AT(sync_header, request), REQUEST },
	{ "a", HEX, AT(sync_header, request), ANSWER },
	{ "c", CHECKPOINT, AT(sync_header, base), REQUEST },
	{ "m", CHECKPOINT, AT(sync_header, made), REQUEST },
	{ "a", PLACE, AT(sync_header, at.all), REQUEST },
	{ "o", PLACE, AT(sync_header, at.own), REQUEST },
	{ "x", TEXT, AT(sync_header, rest), REQUEST },
	{ "u", BIG, AT(sync_header, unpushed), REQUEST },
	{ "w", BIG, AT(sync_header, want), REQUEST },
	{ "e", FLAG, AT(sync_header, echo), REQUEST },
	{ "h", FLAG, AT(sync_header, held), REQUEST },
	{ "f", FORK, AT(sync_header, fork), REQUEST },
	{ "q", INQUIRY, AT(sync_header, inquiry), REQUEST },
	{ "d", PLACE, AT(sync_header, offered), REQUEST },
	{ "c", CHECKPOINT, AT(sync_header, stored), ANSWER },
	{ "g", BIG, AT(sync_header, integrated), ANSWER },
	{ "h", BIG, AT(sync_header, highest), ANSWER },
	{ "r", FLAG, AT(sync_header, refused), ANSWER },
	{ "q", COMMON, AT(sync_header, common), ANSWER },
	{ "n", BIG, AT(sync_header, verdict), BOTH },
	{ "t", FLAG, AT(sync_header, part), REQUEST },
	{ "k", FLAG, AT(sync_header, cont), REQUEST },
	{ "l", LOAD, AT(sync_header, load), BOTH },
	{ "y", NUMBER, AT(sync_header, verify), BOTH },
	{ "z", NUMBER, AT(sync_header, loss), BOTH },
	{ "j", PLACE, AT(sync_header, lost), REQUEST },
};
static const struct shape header_shape = SHAPE("header", header_members);

/* verdict = {"v": n, "k": kind, "e": entity, "i": id, "q": seq, "c": code, "f": field, "t": text} */
static const struct member verdict_members[] = {
	{ "v", BIG, AT(sync_verdict, n), BOTH, true }, { "k", WORD, AT(sync_verdict, kind), BOTH, true },
	{ "e", VIEW, AT(sync_verdict, entity), BOTH }, { "i", VIEW, AT(sync_verdict, id), BOTH },
	{ "q", BIG, AT(sync_verdict, seq), BOTH },     { "c", VIEW, AT(sync_verdict, code), BOTH },
	{ "f", VIEW, AT(sync_verdict, field), BOTH },  { "t", VIEW, AT(sync_verdict, text), BOTH },
};
static const struct shape verdict_shape = SHAPE("verdict", verdict_members);

/*
 * record = {"e": entity, "i": id, "a": action, "q": seq, "r": root, "v": version, "b": base, "g": age in ms, "d": fields}
 * "d" is there exactly when "a" is "P". "r" is there for deletes and drops of children, and in records that the sender does
 * not know itself.
 */
static const struct member record_members[] = {
	{ "e", NAME, AT(sync_record, name), BOTH, true },     { "i", ID, AT(sync_record, id), BOTH, true },
	{ "a", ACTION, AT(sync_record, action), BOTH, true }, { "q", BIG, AT(sync_record, seq), BOTH },
	{ "r", ROOT, AT(sync_record, root), BOTH },           { "v", VIEW, AT(sync_record, version), BOTH },
	{ "b", VIEW, AT(sync_record, base), BOTH },           { "g", AGE, AT(sync_record, age_ms), BOTH },
	{ "d", DATA, AT(sync_record, values), BOTH },
};
static const struct shape record_shape = SHAPE("record", record_members);

/* range = {"y": entity, "f": from, "t": to, "n": records, "h": digest, "l": later, "k": kind} */
static const struct member range_members[] = {
	{ "y", ENTITY, AT(sync_range, name), BOTH, true }, { "f", ID, AT(sync_range, from), BOTH },
	{ "t", ID, AT(sync_range, to), BOTH },             { "n", BIG, AT(sync_range, n), BOTH },
	{ "h", HEX, AT(sync_range, sum), BOTH },           { "l", FLAG, AT(sync_range, later), BOTH },
	{ "k", WORD, AT(sync_range, kind), BOTH },
};
static const struct shape range_shape = SHAPE("range", range_members);

/*
 * end = {"n": records, "a": position in all, "o": position in own, "m": more, "f": from, "x": rest, "l": load, "h": digest}
 * The digest is XXH3-64, 16 lower-case hex digits, over every byte of the message before these digits.
 */
static const struct member end_members[] = {
	{ "n", BIG, AT(sync_end, records), BOTH, true }, { "a", PLACE, AT(sync_end, at.all), BOTH },
	{ "o", PLACE, AT(sync_end, at.own), BOTH },      { "m", BIG, AT(sync_end, more), BOTH },
	{ "f", TEXT, AT(sync_end, from), BOTH },         { "x", TEXT, AT(sync_end, rest), BOTH },
	{ "l", LOAD, AT(sync_end, load), BOTH },
};
static const struct shape end_shape = SHAPE("end", end_members);
static const char end_open[] = ",\"h\":\"", end_close[] = "\"}\n";

/* What is being read: the frame and the member in it. */
struct reading {
	const struct sync_reading *how;
	const struct shape *shape;
	const struct member *member;
	struct sync_view line; /* text of the frame */
	size_t nth;            /* place of the member in it */
	struct sync_error *err;
};

__attribute__((format(printf, 2, 3)))
static enum sync_status bad(const struct reading *in, const char *format, ...)
{
	char text[200];
	va_list args;

	va_start(args, format);
	vsnprintf(text, sizeof text, format, args);
	va_end(args);
	return sync_fail(in->err, SYNC_EBADFRAME, "member \"%s\" of the %s frame %s", in->member->name, in->shape->frame, text);
}

/* Each form: what it looks like, whether it is left out, and back. */

static bool write_members(struct sync_buf *b, const struct shape *s, const void *of, enum side side);
static enum sync_status read_members(struct reading *in, const struct shape *s, void *ret, const struct sync_json *object);

static enum sync_status read_int(const struct reading *in, int *ret, const struct sync_json *m)
{
	if (m->type != SYNC_JSON_NUMBER || m->number < 0 || m->number > INT_MAX || m->number != (int)m->number)
		return bad(in, "is not a number from 0 to %d", INT_MAX);
	*ret = (int)m->number;
	return SYNC_OK;
}

static enum sync_status read_big(const struct reading *in, int64_t *ret, const struct sync_json *m)
{
	if (m->type != SYNC_JSON_TEXT || !sync_json_int64(ret, m->text) || *ret < 0)
		return bad(in, "is not a string of decimal digits below 2^63");
	return SYNC_OK;
}

static enum sync_status read_flag(const struct reading *in, bool *ret, const struct sync_json *m)
{
	if (m->type != SYNC_JSON_BOOLEAN)
		return bad(in, "is neither true nor false");
	*ret = m->number != 0;
	return SYNC_OK;
}

static enum sync_status need_text(const struct reading *in, const struct sync_json *m, size_t max)
{
	if (m->type != SYNC_JSON_TEXT)
		return bad(in, "is not a string");
	if (max && m->text.len > max)
		return bad(in, "has %zu bytes, at most %zu may be", m->text.len, max);
	return SYNC_OK;
}

static enum sync_status read_text(const struct reading *in, char *ret, const struct sync_json *m)
{
	TRY(need_text(in, m, in->member->size - 1));
	memcpy(ret, m->text.data, m->text.len);
	ret[m->text.len] = '\0';
	return SYNC_OK;
}

static bool is_hex(struct sync_view v, size_t len)
{
	return v.len == len && strspn(v.data, "0123456789abcdef") >= len;
}

static enum sync_status read_hex(const struct reading *in, char *ret, const struct sync_json *m)
{
	TRY(read_text(in, ret, m));
	return is_hex(m->text, in->member->size - 1) ? SYNC_OK
						     : bad(in, "is not %zu hex digits: %s", in->member->size - 1, ret);
}

static bool is_start(const struct sync_checkpoint *c)
{
	return c->ordinal == 0 && c->seq == 0 && !c->id[0];
}

static void write_checkpoint(struct sync_buf *b, const struct sync_checkpoint *c, enum form form)
{
	sync_buf_add_char(b, '"');
	if (form == CHECKPOINT)
		sync_buf_addf(b, "%" PRId64 ".", c->ordinal);
	sync_buf_addf(b, "%" PRId64 ".%s\"", c->seq, c->id);
}

static void write_made(struct sync_buf *b, const struct sync_inquiry *q)
{
	char before = '[';

	for (size_t i = 0; i < q->n_made; i++, before = ',') {
		const struct sync_checkpoint *c = &q->made[i];

		sync_buf_addf(b, "%c\"%" PRId64 ".%" PRId64 ".%s\"", before, c->ordinal, c->seq, c->id);
	}
	sync_buf_add_char(b, ']');
}

static void write_held(struct sync_buf *b, const struct sync_inquiry *q)
{
	char before = '[';

	for (size_t i = 0; i < q->n_held; i++, before = ',') {
		const struct sync_position *at = &q->held[i];

		sync_buf_addf(b, "%c\"%" PRId64 ".%s.%" PRId64 ".%s\"", before, at->all.seq, at->all.id, at->own.seq,
			      at->own.id);
	}
	sync_buf_add_char(b, ']');
}

/* The part of text before the next dot, which is passed. */
static struct sync_view until_dot(struct sync_view *text)
{
	const char *dot = memchr(text->data, '.', text->len);
	struct sync_view part = { text->data, dot ? (size_t)(dot - text->data) : text->len };
	size_t passed = dot ? part.len + 1 : part.len;

	*text = (struct sync_view){ text->data + passed, text->len - passed };
	return part;
}

/* SEQ and, in front of it, the ORDINAL of a push; then ID, empty or hex digits: the rest of text, unless more is to follow. */
static bool parse_checkpoint(struct sync_checkpoint *ret, struct sync_view *text, bool push, bool more)
{
	struct sync_view id;

	*ret = (struct sync_checkpoint){ 0 };
	if ((push && !sync_json_int64(&ret->ordinal, until_dot(text))) || !sync_json_int64(&ret->seq, until_dot(text)) ||
	    ret->ordinal < 0 || ret->seq < 0)
		return false;
	id = more ? until_dot(text) : *text;
	if (id.len > 0 && !is_hex(id, SYNC_CHECKPOINT_ID))
		return false;
	memcpy(ret->id, id.data, id.len);
	return true;
}

static enum sync_status read_checkpoint(const struct reading *in, struct sync_checkpoint *ret, const struct sync_json *m)
{
	bool push = in->member->form == CHECKPOINT;
	struct sync_view rest = m->text;
	struct sync_checkpoint c;

	if (m->type != SYNC_JSON_TEXT || !parse_checkpoint(&c, &rest, push, false))
		return bad(in, "is not a checkpoint as \"%sSEQ.ID\"", push ? "ORDINAL." : "");
	*ret = c;
	return SYNC_OK;
}

/* Room for the items of an array. */
static enum sync_status open_list(const struct reading *in, const struct sync_json *m, size_t size, void **ret,
				  struct sync_json *ret_first, size_t *ret_n)
{
	*ret_n = 0;
	if (m->type != SYNC_JSON_ARRAY)
		return bad(in, "is not an array");
	for (bool more = sync_json_first(ret_first, m); more; more = sync_json_next(ret_first))
		++*ret_n;
	if (*ret_n > SYNC_INQUIRY_MAX)
		return bad(in, "has %zu items, at most %d may be", *ret_n, SYNC_INQUIRY_MAX);
	*ret = sync_arena_get(in->how->arena, (*ret_n + 1) * size);
	if (!*ret)
		return sync_fail(in->err, SYNC_ENOMEM, "reading %zu items", *ret_n);
	(void)sync_json_first(ret_first, m);
	return SYNC_OK;
}

static enum sync_status read_made(const struct reading *in, struct sync_inquiry *ret, const struct sync_json *m)
{
	struct sync_checkpoint *c = NULL;
	struct sync_json item;
	size_t n;

	TRY(open_list(in, m, sizeof *c, (void **)&c, &item, &n));
	for (size_t i = 0; i < n; i++, (void)sync_json_next(&item)) {
		struct sync_view rest = item.text;

		if (item.type != SYNC_JSON_TEXT || !parse_checkpoint(&c[i], &rest, true, false))
			return bad(in, "has an item that is not a checkpoint as \"ORDINAL.SEQ.ID\"");
	}
	ret->made = c;
	ret->n_made = n;
	return SYNC_OK;
}

static enum sync_status read_held(const struct reading *in, struct sync_inquiry *ret, const struct sync_json *m)
{
	struct sync_position *at = NULL;
	struct sync_json item;
	size_t n;

	TRY(open_list(in, m, sizeof *at, (void **)&at, &item, &n));
	for (size_t i = 0; i < n; i++, (void)sync_json_next(&item)) {
		struct sync_view rest = item.text;

		if (item.type != SYNC_JSON_TEXT || !parse_checkpoint(&at[i].all, &rest, false, true) ||
		    !parse_checkpoint(&at[i].own, &rest, false, false))
			return bad(in, "has an item that is not a place as \"SEQ.ID.SEQ.ID\"");
	}
	ret->held = at;
	ret->n_held = n;
	return SYNC_OK;
}

static const struct shape *shape_of(enum form form)
{
	switch (form) {
	case FORK:
		return &fork_shape;
	case INQUIRY:
		return &inquiry_shape;
	case COMMON:
		return &common_shape;
	default:
		return &load_shape;
	}
}

static bool is_zero(const struct member *m, const void *of);

static bool is_empty(const struct shape *s, const void *of)
{
	for (const struct member *m = s->members; m < s->members + s->n; m++)
		if (!is_zero(m, of))
			return false;
	return true;
}

static enum sync_status read_object(struct reading *in, void *ret, const struct sync_json *m)
{
	struct reading inner = *in;

	if (m->type != SYNC_JSON_OBJECT)
		return bad(in, "is not an object");
	return read_members(&inner, shape_of(in->member->form), ret, m);
}

static enum sync_status read_view(const struct reading *in, struct sync_view *ret, const struct sync_json *m, size_t max)
{
	TRY(need_text(in, m, max));
	*ret = sync_arena_copy(in->how->arena, m->text);
	return ret->data ? SYNC_OK : sync_fail(in->err, SYNC_ENOMEM, "reading a text of %zu bytes", m->text.len);
}

static enum sync_status read_word(const struct reading *in, const char **ret, const struct sync_json *m)
{
	struct sync_view v;

	TRY(read_view(in, &v, m, 32));
	*ret = v.data;
	return SYNC_OK;
}

/* A name is a table's name, so what it may consist of is settled here, even when this build has no such entity. */
static enum sync_status read_name(const struct reading *in, struct sync_view *ret, const struct sync_entity **ret_entity,
				  const struct sync_json *m)
{
	TRY(need_text(in, m, 63));
	if (m->text.len == 0 || strspn(m->text.data, "abcdefghijklmnopqrstuvwxyz_0123456789") < m->text.len)
		return bad(in, "is not the name of an entity: %s", m->text.data);
	*ret_entity = sync_entity_find(m->text);
	if (!*ret_entity)
		return read_view(in, ret, m, 0);
	*ret = sync_view_of((*ret_entity)->name);
	return SYNC_OK;
}

static enum sync_status read_action(const struct reading *in, enum sync_action *ret, const struct sync_json *m)
{
	if (m->type != SYNC_JSON_TEXT || m->text.len != 1 || !strchr("PDX", m->text.data[0]))
		return bad(in, "is neither \"P\" nor \"D\" nor \"X\"");
	*ret = (enum sync_action)m->text.data[0];
	return SYNC_OK;
}

static bool carries_root(const struct sync_record *r)
{
	return r->root.len > 0 && (r->action != SYNC_PUT || !r->entity) && !sync_view_eq(r->root, r->id);
}

static enum sync_status read_data(const struct reading *in, struct sync_record *ret, const struct sync_json *m)
{
	if (ret->action != SYNC_PUT)
		return bad(in, "is there, but the action is \"%c\"", ret->action);
	if (m->type != SYNC_JSON_OBJECT)
		return bad(in, "is not an object");
	return sync_fields_read(ret, m, in->line, in->nth, in->how->arena, in->err);
}

static bool is_zero(const struct member *m, const void *of)
{
	const void *p = (const char *)of + m->at;

	switch (m->form) {
	case NUMBER:
		return *(const int *)p == 0;
	case BIG:
		return *(const int64_t *)p == 0;
	case AGE:
		return *(const int64_t *)p < 0;
	case FLAG:
		return !*(const bool *)p;
	case TEXT:
	case HEX:
		return !*(const char *)p;
	case CHECKPOINT:
	case PLACE:
		return is_start(p);
	case LOAD:
	case FORK:
	case INQUIRY:
	case COMMON:
		return is_empty(shape_of(m->form), p);
	case MADE:
		return ((const struct sync_inquiry *)of)->n_made == 0;
	case HELD:
		return ((const struct sync_inquiry *)of)->n_held == 0;
	case VIEW:
	case ID:
	case NAME:
	case ENTITY:
		return ((const struct sync_view *)p)->len == 0;
	case WORD:
		return !*(const char *const *)p;
	case ACTION:
		return false;
	case ROOT:
		return !carries_root(of);
	case DATA:
		return ((const struct sync_record *)of)->action != SYNC_PUT;
	}
	return true;
}

/* False when a text could not be written as it is. */
static bool write_member(struct sync_buf *b, const struct member *m, const void *of, enum side side)
{
	const void *p = (const char *)of + m->at;

	switch (m->form) {
	case NUMBER:
		sync_buf_addf(b, "%d", *(const int *)p);
		return true;
	case BIG:
	case AGE:
		sync_buf_addf(b, "\"%" PRId64 "\"", *(const int64_t *)p);
		return true;
	case FLAG:
		sync_buf_add_text(b, "true");
		return true;
	case TEXT:
	case HEX:
		return sync_json_write_text(b, sync_view_of(p));
	case CHECKPOINT:
	case PLACE:
		write_checkpoint(b, p, m->form);
		return true;
	case LOAD:
	case FORK:
	case INQUIRY:
	case COMMON:
		write_members(b, shape_of(m->form), p, side);
		sync_buf_add_char(b, '}');
		return true;
	case MADE:
		write_made(b, of);
		return true;
	case HELD:
		write_held(b, of);
		return true;
	case VIEW:
	case NAME:
	case ENTITY:
		return sync_json_write_text(b, *(const struct sync_view *)p);
	case ID:
	case ROOT:
		return sync_json_write_text(b, *(const struct sync_view *)p) && ((const struct sync_view *)p)->len <= SYNC_MAX_ID;
	case WORD:
		return sync_json_write_text(b, sync_view_of(*(const char *const *)p));
	case ACTION:
		sync_buf_addf(b, "\"%c\"", *(const enum sync_action *)p);
		return true;
	case DATA:
		sync_fields_write(b, of);
		return true;
	}
	return false;
}

static enum sync_status read_member(struct reading *in, void *ret, const struct sync_json *m)
{
	void *p = (char *)ret + in->member->at;

	switch (in->member->form) {
	case NUMBER:
		return read_int(in, p, m);
	case BIG:
	case AGE:
		return read_big(in, p, m);
	case FLAG:
		return read_flag(in, p, m);
	case TEXT:
		return read_text(in, p, m);
	case HEX:
		return read_hex(in, p, m);
	case CHECKPOINT:
	case PLACE:
		return read_checkpoint(in, p, m);
	case LOAD:
	case FORK:
	case INQUIRY:
	case COMMON:
		return read_object(in, p, m);
	case MADE:
		return read_made(in, ret, m);
	case HELD:
		return read_held(in, ret, m);
	case VIEW:
		return read_view(in, p, m, 0);
	case ID:
	case ROOT:
		return read_view(in, p, m, SYNC_MAX_ID);
	case WORD:
		return read_word(in, p, m);
	case NAME:
		return read_name(in, p, &((struct sync_record *)ret)->entity, m);
	case ENTITY:
		return read_name(in, p, &((struct sync_range *)ret)->entity, m);
	case ACTION:
		return read_action(in, p, m);
	case DATA:
		return read_data(in, ret, m);
	}
	return SYNC_OK;
}

/* Everything but the closing brace. */
static bool write_members(struct sync_buf *b, const struct shape *s, const void *of, enum side side)
{
	char before = '{';
	bool exact = true;

	for (const struct member *m = s->members; m < s->members + s->n; m++) {
		if (!(m->side & side) || (!m->required && is_zero(m, of)))
			continue;
		sync_buf_add(b, (char[]){ before, '"', m->name[0], '"', ':' }, 5);
		exact = write_member(b, m, of, side) && exact;
		before = ',';
	}
	if (before == '{')
		sync_buf_add_char(b, '{');
	return exact;
}

static const struct member *find_member(const struct shape *s, const struct member *from, struct sync_view name, enum side side)
{
	while (from < s->members + s->n && (!(from->side & side) || !sync_view_is(name, from->name)))
		from++;
	return from;
}

/* No required member stands between these two. */
static enum sync_status need_none(struct reading *in, const struct member *from, const struct member *to, enum side side)
{
	for (; from < to; from++)
		if (from->required && (from->side & side))
			return sync_fail(in->err, SYNC_EBADFRAME, "the %s frame has no member \"%s\"", in->shape->frame,
					 from->name);
	return SYNC_OK;
}

static enum sync_status read_members(struct reading *in, const struct shape *s, void *ret, const struct sync_json *object)
{
	const struct member *next = s->members, *end = next + s->n, *found;
	enum side side = in->how->request ? REQUEST : ANSWER;
	struct sync_json m;

	in->shape = s;
	in->nth = 0;
	for (bool more = sync_json_first(&m, object); more; more = sync_json_next(&m), in->nth++) {
		found = find_member(s, next, m.name, side);
		in->member = found;
		if (found == end && find_member(s, s->members, m.name, side) < end)
			return sync_fail(in->err, SYNC_EBADFRAME, "the %s frame has its member \"%s\" twice or out of order",
					 s->frame, m.name.data);
		if (found == end)
			continue;
		TRY(need_none(in, next, found, side));
		TRY(read_member(in, ret, &m));
		next = found + 1;
	}
	return need_none(in, next, end, side);
}

static struct sync_view without_newline(struct sync_view line)
{
	return (struct sync_view){ line.data, line.len && line.data[line.len - 1] == '\n' ? line.len - 1 : line.len };
}

static enum sync_status read_frame(const struct shape *s, void *ret, struct sync_view line, const struct sync_reading *how,
				   struct sync_error *err)
{
	struct reading in = { .how = how, .line = without_newline(line), .err = err };
	struct sync_json top;

	if (line.len > how->limits->line_bytes)
		return sync_fail(err, SYNC_ETOOBIG, "a frame of %zu bytes, the limit is %zu", line.len,
				 how->limits->line_bytes);
	TRY(sync_json_parse(&top, in.line, how->limits->depth, err));
	if (top.type != SYNC_JSON_OBJECT)
		return sync_fail(err, SYNC_EBADFRAME, "the %s frame is not a JSON object", s->frame);
	return read_members(&in, s, ret, &top);
}

void sync_header_write(struct sync_buf *b, const struct sync_header *h, bool request)
{
	write_members(b, &header_shape, h, request ? REQUEST : ANSWER);
	sync_buf_add(b, "}\n", 2);
}

enum sync_status sync_header_read(struct sync_header *ret, struct sync_view line, const struct sync_reading *how,
				  struct sync_error *err)
{
	struct sync_header h = { 0 };

	TRY(read_frame(&header_shape, &h, line, how, err));
	if (h.protocol < 1)
		return sync_fail(err, SYNC_EBADFRAME, "protocol %d in the header", h.protocol);
	*ret = h;
	return SYNC_OK;
}

void sync_verdict_write(struct sync_buf *b, const struct sync_verdict *v)
{
	write_members(b, &verdict_shape, v, BOTH);
	sync_buf_add(b, "}\n", 2);
}

enum sync_status sync_verdict_read(struct sync_verdict *ret, struct sync_view line, const struct sync_reading *how,
				   struct sync_error *err)
{
	struct sync_verdict v = { 0 };

	TRY(read_frame(&verdict_shape, &v, line, how, err));
	*ret = v;
	return SYNC_OK;
}

void sync_record_write(struct sync_buf *b, const struct sync_record *r)
{
	size_t from = b->len;

	if (write_members(b, &record_shape, r, BOTH))
		sync_buf_add(b, "}\n", 2);
	else
		b->len = from;
}

enum sync_status sync_record_read(struct sync_record *ret, struct sync_arena *arena, struct sync_view line,
				  const struct sync_limits *limits, struct sync_error *err)
{
	struct sync_reading how = { .arena = arena, .limits = limits };
	struct sync_record r = { .age_ms = -1 };

	TRY(read_frame(&record_shape, &r, line, &how, err));
	if (r.id.len == 0)
		return sync_fail(err, SYNC_EBADFRAME, "a record of %.*s without id", SYNC_VIEW(r.name));
	if (r.action == SYNC_PUT && !r.values && !r.extra.data)
		return sync_fail(err, SYNC_EBADFRAME, "a put of %.*s %.*s without fields", SYNC_VIEW(r.name), SYNC_VIEW(r.id));
	sync_record_finish(&r, arena);
	*ret = r;
	return SYNC_OK;
}

void sync_range_write(struct sync_buf *b, const struct sync_range *r)
{
	write_members(b, &range_shape, r, BOTH);
	sync_buf_add(b, "}\n", 2);
}

enum sync_status sync_range_read(struct sync_range *ret, struct sync_view line, const struct sync_reading *how,
				 struct sync_error *err)
{
	struct sync_range r = { 0 };

	TRY(read_frame(&range_shape, &r, line, how, err));
	*ret = r;
	return SYNC_OK;
}

void sync_end_write(struct sync_buf *b, const struct sync_end *end)
{
	write_members(b, &end_shape, end, BOTH);
	sync_buf_add_text(b, end_open);
}

void sync_end_seal(struct sync_buf *b, uint64_t digest)
{
	sync_buf_addf(b, "%016" PRIx64 "%s", digest, end_close);
}

enum sync_status sync_end_read(struct sync_end *ret, struct sync_view line, uint64_t digest, const struct sync_reading *how,
			       struct sync_error *err)
{
	struct sync_view text = without_newline(line);
	struct sync_end end = { 0 };
	char sum[SYNC_END_DIGEST + 1];

	snprintf(sum, sizeof sum, "%016" PRIx64, digest);
	if (text.len < SYNC_END_TAIL || memcmp(text.data + text.len - SYNC_END_TAIL, sum, SYNC_END_DIGEST) != 0)
		return sync_fail(err, SYNC_EBADFRAME, "the message was altered: its digest is not %s", sum);
	TRY(read_frame(&end_shape, &end, line, how, err));
	*ret = end;
	return SYNC_OK;
}

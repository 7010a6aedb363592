#include <libsync/frame.h>

#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/internal.h"
#include "codec/frame.h"

/*
 * Both sides make the dictionary from their declarations: sites of the same schema have the same one, and its id, a hash,
 * tells. So everything here follows from the declarations alone, the "random" bytes of the samples included.
 */

enum {
	LEVEL = 3, /* 6 and 9 take two and three times as long and are worse on rows of ids: docs/protocol.md */
	ROUNDS = 32,
	MAX_TEXT = 8 << 20,
};

/* splitmix64, from a fixed seed */
static uint64_t draw(uint64_t *state)
{
	uint64_t z = *state += 0x9e3779b97f4a7c15u;

	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
	z = (z ^ z >> 27) * 0x94d049bb133111ebu;
	return z ^ z >> 31;
}

static struct sync_view draw_uuid(struct sync_arena *arena, uint64_t *state)
{
	uint64_t a = draw(state), b = draw(state);
	char text[40];

	snprintf(text, sizeof text, "%08" PRIx64 "-%04" PRIx64 "-4%03" PRIx64 "-a%03" PRIx64 "-%012" PRIx64, a >> 32,
		 a >> 16 & 0xffff, a & 0xfff, b >> 48 & 0xfff, b & 0xffffffffffff);
	return sync_arena_copy(arena, sync_view_of(text));
}

/* What most records have there: nothing where nothing is allowed, else the usual beginning. */
static struct sync_value usual_value(const struct sync_field *f)
{
	struct sync_value v = { .kind = SYNC_STRING };

	if (!f->required)
		return (struct sync_value){ .kind = SYNC_NULL };
	switch (f->type) {
	case SYNC_ID:
	case SYNC_TEXT:
		break;
	case SYNC_ENUM:
		v.s = sync_view_of(f->values[0]);
		break;
	case SYNC_JSON:
		v.s = sync_view_of("{}");
		break;
	case SYNC_DATE:
		v.s = sync_view_of("2026-01-01");
		break;
	case SYNC_TIME:
		v.s = sync_view_of("2026-01-01T00:00:00");
		break;
	case SYNC_BOOLEAN:
	case SYNC_INTEGER:
	case SYNC_BIGINT:
	case SYNC_REAL:
		v = (struct sync_value){ .kind = SYNC_INT };
		break;
	}
	return v;
}

/* One as a site may have it. */
static struct sync_value drawn_value(const struct sync_field *f, struct sync_arena *arena, uint64_t *state)
{
	struct sync_value v = usual_value(f);
	char text[40];

	if (v.kind == SYNC_NULL && (f->type != SYNC_ID || draw(state) % 2))
		return v;
	switch (f->type) {
	case SYNC_ID:
		return (struct sync_value){ .kind = SYNC_STRING, .s = draw_uuid(arena, state) };
	case SYNC_TEXT:
		snprintf(text, sizeof text, "Vaccine %" PRIu64 " dose vial", draw(state) % 1000);
		return (struct sync_value){ .kind = SYNC_STRING, .s = sync_arena_copy(arena, sync_view_of(text)) };
	case SYNC_DATE:
		snprintf(text, sizeof text, "202%" PRIu64 "-%02" PRIu64 "-%02" PRIu64, 4 + draw(state) % 6,
			 1 + draw(state) % 12, 1 + draw(state) % 28);
		return (struct sync_value){ .kind = SYNC_STRING, .s = sync_arena_copy(arena, sync_view_of(text)) };
	case SYNC_BOOLEAN:
	case SYNC_INTEGER:
	case SYNC_BIGINT:
	case SYNC_REAL:
		v.i = (int64_t)(draw(state) % (f->type == SYNC_BOOLEAN ? 2 : 500));
		return v;
	case SYNC_ENUM:
	case SYNC_JSON:
	case SYNC_TIME:
		break;
	}
	return v;
}

/* A put of e: the usual one, or one drawn from state. */
static void put_record(struct sync_buf *b, const struct sync_entity *e, uint64_t *state)
{
	defer(sync_arena_clear) struct sync_arena arena = { 0 };
	struct sync_value values[SYNC_MAX_FIELDS];
	struct sync_record r = {
		.entity = e, .name = sync_view_of(e->name), .action = SYNC_PUT, .age_ms = -1, .values = values
	};

	for (size_t i = 0; i < e->n_fields; i++)
		values[i] = state ? drawn_value(&e->fields[i], &arena, state) : usual_value(&e->fields[i]);
	r.id = state ? draw_uuid(&arena, state) : sync_view_of("");
	r.seq = state ? (int64_t)(draw(state) % 1000000) : 1;
	sync_record_write(b, &r);
}

/* Enum values that no usual record shows. */
static void put_enums(struct sync_buf *b, const struct sync_entity *e)
{
	for (size_t i = 0; i < e->n_fields; i++) {
		const struct sync_field *f = &e->fields[i];

		for (const char *const *value = f->values; value && *value; value++)
			sync_buf_addf(b, "\"%s\":\"%s\",", f->name, *value);
	}
	sync_buf_add_char(b, '\n');
}

static struct sync_checkpoint draw_checkpoint(uint64_t *state)
{
	struct sync_checkpoint c = { .ordinal = (int64_t)(draw(state) % 10000), .seq = (int64_t)(draw(state) % 1000000) };

	snprintf(c.id, sizeof c.id, "%016" PRIx64, draw(state));
	return c;
}

/* The frames around the records of a request, and of its answer. */
static void put_round(struct sync_buf *b, bool request, const struct sync_entity *e, uint64_t *state)
{
	struct sync_header h = {
		.protocol = SYNC_PROTOCOL, .schema = SYNC_SCHEMA_VERSION, .program = SYNC_VERSION, .want = 1 << 18
	};
	struct sync_end end = { 0 };

	h.site = (int64_t)(1 + draw(state) % 2000);
	snprintf(h.branch, sizeof h.branch, "%08" PRIx64, draw(state) >> 32);
	h.base = h.stored = draw_checkpoint(state);
	h.at = (struct sync_position){ draw_checkpoint(state), draw_checkpoint(state) };
	h.integrated = h.highest = h.stored.seq;
	h.verdict = (int64_t)(draw(state) % 100);
	if (e)
		h.made = draw_checkpoint(state);
	if (!request)
		end.at = h.at;
	sync_header_write(b, &h, request);
	for (end.records = 0; e && end.records < 2; end.records++)
		put_record(b, e, state);
	sync_end_write(b, &end);
	sync_end_seal(b, draw(state));
}

/* Samples of whole messages, for the tables of how often each byte comes. One after another in text, sizes apart. */
static enum sync_status make_samples(struct sync_buf *text, struct sync_view *ret, size_t n, struct sync_error *err)
{
	size_t n_entities, at = 0;
	const struct sync_entity *const *e = sync_entities(&n_entities);
	uint64_t state = 1;

	for (size_t i = 0; i < n; i++) {
		size_t from = text->len;

		put_round(text, i % 2 == 0, i < n_entities ? e[i] : NULL, &state);
		ret[i].len = text->len - from;
	}
	TRY(sync_buf_check(text, err));
	for (size_t i = 0; i < n; at += ret[i++].len)
		ret[i].data = text->data + at;
	return SYNC_OK;
}

/* What is nearest to the end is cheapest to refer to: the frames that every message has. */
static void put_content(struct sync_buf *text)
{
	size_t n;
	const struct sync_entity *const *e = sync_entities(&n);
	uint64_t state = 2;

	for (size_t i = 0; i < n; i++)
		put_enums(text, e[i]);
	for (size_t i = 0; i < n; i++)
		put_record(text, e[i], NULL);
	put_round(text, false, NULL, &state);
	put_round(text, true, NULL, &state);
}

static struct sync_dictionary *dictionary;

static void free_dictionary(void)
{
	sync_dictionary_free(dictionary);
	dictionary = NULL;
}

static enum sync_status make(struct sync_dictionary **ret, struct sync_error *err)
{
	defer(sync_buf_clear) struct sync_buf content = { .max = MAX_TEXT }, text = { .max = MAX_TEXT };
	defer(freep) struct sync_view *samples = NULL;
	size_t n;

	sync_entities(&n);
	n += ROUNDS;
	samples = calloc(n, sizeof *samples);
	if (!samples)
		return sync_fail(err, SYNC_ENOMEM, "making %zu samples", n);
	put_content(&content);
	TRY(sync_buf_check(&content, err));
	TRY(make_samples(&text, samples, n, err));
	return sync_dictionary_new(ret, sync_buf_view(&content), samples, n, LEVEL, err);
}

static void make_once(void)
{
	if (make(&dictionary, NULL) == SYNC_OK)
		atexit(free_dictionary);
}

const struct sync_dictionary *sync_schema_dictionary(void)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;

	pthread_once(&once, make_once);
	return dictionary;
}

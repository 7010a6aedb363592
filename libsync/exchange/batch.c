#include "exchange/batch.h"

#include <stdlib.h>

#include "base/internal.h"
#include "exchange/lot.h"

enum { MOST_VERDICTS = 1000 }; /* in one message */

void sync_batch_open(struct sync_batch *b)
{
	b->n = 0;
	b->n_verdicts = 0;
	b->verdicts = NULL;
	b->ended = false;
	b->end = (struct sync_end){ 0 };
	b->next.max = sync_default_limits.line_bytes;
	sync_buf_reset(&b->next);
	sync_arena_reset(&b->arena);
	sync_arena_reset(&b->kept);
}

void sync_batch_clear(struct sync_batch *b)
{
	free(b->r);
	free(b->lines);
	sync_arena_clear(&b->arena);
	sync_arena_clear(&b->kept);
	sync_buf_clear(&b->next);
	*b = (struct sync_batch){ 0 };
}

bool sync_record_together(const struct sync_record *a, const struct sync_record *b)
{
	struct sync_view entity_a, entity_b, id_a, id_b;

	sync_root_of(a, &entity_a, &id_a);
	sync_root_of(b, &entity_b, &id_b);
	return sync_view_eq(id_a, id_b) && sync_view_eq(entity_a, entity_b);
}

static enum sync_status grow(struct sync_batch *b, struct sync_error *err)
{
	size_t cap = b->cap ? b->cap * 2 : 64;
	struct sync_record *r = realloc(b->r, cap * sizeof *r);
	struct sync_view *lines;

	if (r)
		b->r = r;
	lines = realloc(b->lines, cap * sizeof *lines);
	if (lines)
		b->lines = lines;
	if (!r || !lines)
		return sync_fail(err, SYNC_ENOMEM, "reading %zu records", cap);
	b->cap = cap;
	return SYNC_OK;
}

static enum sync_status keep_record(struct sync_batch *b, const struct sync_record *r, struct sync_view line,
				    struct sync_error *err)
{
	struct sync_view copy = sync_arena_copy(&b->arena, line);

	if (!copy.data)
		return sync_fail(err, SYNC_ENOMEM, "reading a record of %zu bytes", line.len);
	if (b->n == b->cap)
		TRY(grow(b, err));
	b->r[b->n] = *r;
	b->lines[b->n++] = copy;
	return SYNC_OK;
}

/* Verdicts stand before the first record and outlive the batches. */
static enum sync_status keep_verdict(struct sync_batch *b, const struct sync_verdict *v, struct sync_error *err)
{
	struct sync_verdict copy = *v;
	struct sync_view kind = sync_arena_copy(&b->kept, sync_view_of(v->kind));
	struct sync_view *const views[] = { &copy.entity, &copy.id, &copy.code, &copy.field, &copy.text };
	bool whole = kind.data != NULL;

	if (!b->verdicts)
		b->verdicts = sync_arena_get(&b->kept, MOST_VERDICTS * sizeof *b->verdicts);
	if (b->n_verdicts == MOST_VERDICTS)
		return sync_fail(err, SYNC_EBADFRAME, "more than %d verdicts in one message", MOST_VERDICTS);
	for (size_t i = 0; i < COUNT(views); i++) {
		*views[i] = sync_arena_copy(&b->kept, *views[i]);
		whole = whole && views[i]->data;
	}
	if (!whole || !b->verdicts)
		return sync_fail(err, SYNC_ENOMEM, "reading a verdict");
	copy.kind = kind.data;
	b->verdicts[b->n_verdicts++] = copy;
	return SYNC_OK;
}

/* What was read too far by the batch before comes first. */
static enum sync_status take_next(struct sync_batch *b, struct sync_error *err)
{
	struct sync_record r;

	if (b->next.len == 0)
		return SYNC_OK;
	TRY(sync_record_read(&r, &b->arena, sync_buf_view(&b->next), &sync_default_limits, err));
	TRY(keep_record(b, &r, sync_buf_view(&b->next), err));
	sync_buf_reset(&b->next);
	return SYNC_OK;
}

static enum sync_status put_aside(struct sync_batch *b, struct sync_view line, struct sync_error *err)
{
	sync_buf_add_view(&b->next, line);
	return sync_buf_check(&b->next, err);
}

static bool is_enough(const struct sync_batch *b, size_t enough)
{
	return b->n >= enough || (b->n > 0 && b->arena.used > SYNC_BATCH_BYTES);
}

enum sync_status sync_batch_read(struct sync_batch *b, struct sync_reader *reader, size_t enough, size_t most,
				 struct sync_error *err)
{
	struct sync_record r;
	struct sync_verdict v;
	struct sync_view line;
	enum sync_frame kind;

	b->n = 0;
	sync_arena_reset(&b->arena);
	TRY(take_next(b, err));
	while (!b->ended && b->n < most) {
		TRY(sync_reader_next(reader, &b->arena, &kind, &r, &v, &b->end, &line, err));
		switch (kind) {
		case SYNC_FRAME_VERDICT:
			TRY(keep_verdict(b, &v, err));
			break;
		case SYNC_FRAME_RECORD:
			if (is_enough(b, enough) && !sync_record_together(&r, &b->r[b->n - 1]))
				return put_aside(b, line, err);
			TRY(keep_record(b, &r, line, err));
			break;
		case SYNC_FRAME_END:
			b->ended = true;
			break;
		}
	}
	return SYNC_OK;
}

enum sync_status sync_batch_pass(struct sync_batch *b, struct sync_reader *reader, struct sync_error *err)
{
	struct sync_record r;
	struct sync_verdict v;
	struct sync_view line;
	enum sync_frame kind;

	while (!b->ended) {
		sync_arena_reset(&b->arena);
		TRY(sync_reader_next(reader, &b->arena, &kind, &r, &v, &b->end, &line, err));
		b->ended = kind == SYNC_FRAME_END;
	}
	b->n = 0;
	sync_buf_reset(&b->next);
	return SYNC_OK;
}

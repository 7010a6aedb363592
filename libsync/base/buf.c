#include <libsync/buf.h>

#include <stdalign.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
	FIRST_CAP = 64,
	FIRST_BLOCK = 4 << 10,
	LAST_BLOCK = 256 << 10, /* blocks double until here; only a larger allocation gets a larger one */
};

struct sync_view sync_view_of(const char *text)
{
	return (struct sync_view){ text, text ? strlen(text) : 0 };
}

bool sync_view_eq(struct sync_view a, struct sync_view b)
{
	return a.len == b.len && (a.len == 0 || memcmp(a.data, b.data, a.len) == 0);
}

bool sync_view_is(struct sync_view v, const char *text)
{
	return sync_view_eq(v, sync_view_of(text));
}

int sync_view_cmp(struct sync_view a, struct sync_view b)
{
	size_t len = a.len < b.len ? a.len : b.len;
	int order = len > 0 ? memcmp(a.data, b.data, len) : 0;

	return order != 0 ? order : (a.len > b.len) - (a.len < b.len);
}

/* cap counts the NUL as well: len < cap whenever data is set. */
static bool grow(struct sync_buf *b, size_t need)
{
	size_t cap = b->cap > 0 ? b->cap : FIRST_CAP;
	char *data;

	while (cap <= need)
		cap = cap > SIZE_MAX / 2 ? SIZE_MAX : cap * 2;
	if (cap - 1 > b->max)
		cap = b->max + 1;
	data = realloc(b->data, cap);
	if (!data) {
		b->status = SYNC_ENOMEM;
		return false;
	}
	b->data = data;
	b->cap = cap;
	return true;
}

char *sync_buf_room(struct sync_buf *b, size_t len)
{
	if (b->status != SYNC_OK)
		return NULL;
	if (b->len > b->max || len > b->max - b->len || b->len + len == SIZE_MAX) {
		b->status = SYNC_ETOOBIG;
		return NULL;
	}
	if (b->len + len >= b->cap && !grow(b, b->len + len))
		return NULL;
	return b->data + b->len;
}

void sync_buf_add(struct sync_buf *b, const void *data, size_t len)
{
	char *to = sync_buf_room(b, len);

	if (!to)
		return;
	if (len > 0)
		memcpy(to, data, len);
	to[len] = '\0';
	b->len += len;
}

void sync_buf_add_view(struct sync_buf *b, struct sync_view v)
{
	sync_buf_add(b, v.data, v.len);
}

void sync_buf_add_text(struct sync_buf *b, const char *text)
{
	sync_buf_add_view(b, sync_view_of(text));
}

void sync_buf_add_char(struct sync_buf *b, char c)
{
	sync_buf_add(b, &c, 1);
}

/* Mostly there is room for it already. */
void sync_buf_addv(struct sync_buf *b, const char *format, va_list args)
{
	size_t spare = b->data && b->status == SYNC_OK ? b->cap - b->len : 0;
	va_list again;
	char *to;
	int len;

	va_copy(again, args);
	len = vsnprintf(spare ? b->data + b->len : NULL, spare, format, args);
	if (spare && (len < 0 || (size_t)len >= spare))
		b->data[b->len] = '\0';
	to = sync_buf_room(b, len > 0 ? (size_t)len : 0);
	if (to && len >= 0) {
		if ((size_t)len >= spare)
			vsnprintf(to, (size_t)len + 1, format, again);
		b->len += (size_t)len;
	}
	va_end(again);
}

void sync_buf_addf(struct sync_buf *b, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	sync_buf_addv(b, format, args);
	va_end(args);
}

void sync_buf_reset(struct sync_buf *b)
{
	b->len = 0;
	b->status = SYNC_OK;
	if (b->data)
		b->data[0] = '\0';
}

void sync_buf_clear(struct sync_buf *b)
{
	if (!b)
		return;
	free(b->data);
	*b = (struct sync_buf){ .max = b->max };
}

struct sync_view sync_buf_view(const struct sync_buf *b)
{
	return (struct sync_view){ b->data, b->len };
}

struct sync_arena_block {
	struct sync_arena_block *next;
	size_t len; /* bytes in data that are handed out */
	size_t cap;
	alignas(max_align_t) char data[];
};

static struct sync_arena_block *new_block(const struct sync_arena *a, size_t len)
{
	size_t cap = a->block ? a->block->cap * 2 : FIRST_BLOCK;
	struct sync_arena_block *block;

	if (cap > LAST_BLOCK)
		cap = LAST_BLOCK;
	if (cap < len)
		cap = len;
	block = malloc(sizeof *block + cap);
	if (!block)
		return NULL;
	block->next = a->block;
	block->len = 0;
	block->cap = cap;
	return block;
}

void *sync_arena_get(struct sync_arena *a, size_t len)
{
	const size_t align = alignof(max_align_t);
	struct sync_arena_block *block = a->block;
	void *got;

	if (len > SIZE_MAX / 2)
		return NULL;
	len = (len + align - 1) / align * align;
	if (!block || block->cap - block->len < len) {
		block = new_block(a, len);
		if (!block)
			return NULL;
		a->block = block;
	}
	got = block->data + block->len;
	block->len += len;
	a->used += len;
	return got;
}

struct sync_view sync_arena_copy(struct sync_arena *a, struct sync_view v)
{
	char *copy = v.len < SIZE_MAX ? sync_arena_get(a, v.len + 1) : NULL;

	if (!copy)
		return (struct sync_view){ 0 };
	if (v.len > 0)
		memcpy(copy, v.data, v.len);
	copy[v.len] = '\0';
	return (struct sync_view){ copy, v.len };
}

static void free_blocks(struct sync_arena_block *block)
{
	while (block) {
		struct sync_arena_block *next = block->next;

		free(block);
		block = next;
	}
}

void sync_arena_reset(struct sync_arena *a)
{
	a->used = 0;
	if (!a->block)
		return;
	free_blocks(a->block->next);
	a->block->next = NULL;
	a->block->len = 0;
}

void sync_arena_clear(struct sync_arena *a)
{
	if (!a)
		return;
	free_blocks(a->block);
	*a = (struct sync_arena){ 0 };
}

#include "exchange/set.h"

#include <string.h>

#include "base/internal.h"

enum { FIRST_CAP = 64 };

/* Ids are mostly random already; eight bytes a step keep it cheap for 36-character UUIDs. */
static uint64_t hash_of(struct sync_view v)
{
	uint64_t h = 0x9e3779b97f4a7c15 ^ v.len, word;
	size_t i = 0;

	for (; i + sizeof word <= v.len; i += sizeof word) {
		memcpy(&word, v.data + i, sizeof word);
		h = (h ^ word) * 0xff51afd7ed558ccd;
		h ^= h >> 32;
	}
	word = 0;
	if (i < v.len)
		memcpy(&word, v.data + i, v.len - i);
	h = (h ^ word) * 0xc4ceb9fe1a85ec53;
	return h ^ h >> 29;
}

/* The slot of a key, or the free one where it belongs. */
static struct sync_set_slot *slot_of(const struct sync_set *s, struct sync_view kind, struct sync_view id, uint64_t hash)
{
	size_t at = (size_t)hash & (s->cap - 1);

	while (s->slots[at].used && (s->slots[at].hash != hash || !sync_view_eq(s->slots[at].id, id) ||
	                             !sync_view_eq(s->slots[at].kind, kind)))
		at = (at + 1) & (s->cap - 1);
	return &s->slots[at];
}

static enum sync_status grow(struct sync_set *s, struct sync_error *err)
{
	struct sync_set larger = { .arena = s->arena, .cap = s->cap ? s->cap * 2 : FIRST_CAP, .n = s->n };

	larger.slots = sync_arena_get(s->arena, larger.cap * sizeof *larger.slots);
	if (!larger.slots)
		return sync_fail(err, SYNC_ENOMEM, "a table of %zu records", larger.cap);
	memset(larger.slots, 0, larger.cap * sizeof *larger.slots);
	for (size_t i = 0; i < s->cap; i++) {
		const struct sync_set_slot *from = &s->slots[i];

		if (from->used)
			*slot_of(&larger, from->kind, from->id, from->hash) = *from;
	}
	*s = larger;
	return SYNC_OK;
}

uint32_t *sync_set_find(const struct sync_set *s, struct sync_view kind, struct sync_view id)
{
	struct sync_set_slot *slot;

	if (!s->n)
		return NULL;
	slot = slot_of(s, kind, id, hash_of(id));
	return slot->used ? &slot->value : NULL;
}

enum sync_status sync_set_add(struct sync_set *s, struct sync_view kind, struct sync_view id, uint32_t value, uint32_t **ret,
                              struct sync_error *err)
{
	struct sync_set_slot *slot;
	uint64_t hash = hash_of(id);

	if (s->n * 2 >= s->cap)
		TRY(grow(s, err));
	slot = slot_of(s, kind, id, hash);
	if (!slot->used) {
		*slot = (struct sync_set_slot){ kind, id, hash, value, true };
		s->n++;
	}
	*ret = &slot->value;
	return SYNC_OK;
}

enum sync_status sync_arena_zeros(struct sync_arena *a, size_t n, size_t size, void *ret, struct sync_error *err)
{
	void *p = sync_arena_get(a, n ? n * size : 1);

	if (!p)
		return sync_fail(err, SYNC_ENOMEM, "%zu times %zu bytes", n, size);
	memset(p, 0, n * size);
	*(void **)ret = p;
	return SYNC_OK;
}

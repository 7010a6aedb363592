/** A small hash table over borrowed (kind, id) pairs: which of a batch's records is meant. Inner header of the exchange. */
#ifndef SYNC_SET_H
#define SYNC_SET_H

#include <libsync/buf.h>
#include <libsync/error.h>
#include <stdint.h>

struct sync_set_slot {
	struct sync_view kind, id;
	uint64_t hash;
	uint32_t value;
	bool used;
};

/** Keys are borrowed and never removed; values are indices into something of the caller's. */
struct sync_set {
	struct sync_arena *arena; /* keeps the slots */
	struct sync_set_slot *slots;
	size_t cap; /* a power of two, or 0 */
	size_t n;
};

/** The value of a key, or NULL. Valid until the next add. */
uint32_t *sync_set_find(const struct sync_set *s, struct sync_view kind, struct sync_view id);

/**
 * Add a key with a value, unless it is there.
 *
 * @param ret  its value: of before, or the one given; valid until the next add
 */
enum sync_status sync_set_add(struct sync_set *s, struct sync_view kind, struct sync_view id, uint32_t value, uint32_t **ret,
                              struct sync_error *err);

/** n * size zeroed bytes of an arena. */
enum sync_status sync_arena_zeros(struct sync_arena *a, size_t n, size_t size, void *ret, struct sync_error *err);

#endif

/** What a database has: columns, triggers and settings, read once and then asked many times. */
#ifndef SYNC_FACTS_H
#define SYNC_FACTS_H

#include <libsync/buf.h>

/** Texts "kind a b": "column invoice id", "trigger invoice sync_invoice_insert", "meta role site". Zeroed: there are none. */
struct sync_facts {
	struct sync_arena arena;
	struct sync_view *all;
	size_t n, cap;
};

enum sync_status sync_facts_add(struct sync_facts *f, const char *kind, struct sync_view a, struct sync_view b,
                                struct sync_error *err);
/** After the last one added, before the first one asked for. */
void sync_facts_sort(struct sync_facts *f);
/** @param max_b  bytes of b that count */
bool sync_facts_has(const struct sync_facts *f, const char *kind, const char *a, const char *b, size_t max_b);
void sync_facts_clear(struct sync_facts *f);

#endif

#include "db/facts.h"

#include <stdio.h>

#include "base/internal.h"

void sync_facts_clear(struct sync_facts *f)
{
	sync_arena_clear(&f->arena);
	free(f->all);
	*f = (struct sync_facts){ 0 };
}

enum sync_status sync_facts_add(struct sync_facts *f, const char *kind, struct sync_view a, struct sync_view b,
                                struct sync_error *err)
{
	defer(sync_buf_clear) struct sync_buf text = { .max = 1 << 20 };

	if (f->n == f->cap) {
		size_t cap = f->cap ? 2 * f->cap : 4096;
		struct sync_view *all = reallocarray(f->all, cap, sizeof(*all));
		if (!all)
			return sync_fail(err, SYNC_ENOMEM, "reading what the database has");
		f->all = all;
		f->cap = cap;
	}
	sync_buf_addf(&text, "%s %.*s %.*s", kind, SYNC_VIEW(a), SYNC_VIEW(b));
	TRY(sync_buf_check(&text, err));
	f->all[f->n] = sync_arena_copy(&f->arena, sync_buf_view(&text));
	if (!f->all[f->n].data)
		return sync_fail(err, SYNC_ENOMEM, "reading what the database has");
	f->n++;
	return SYNC_OK;
}

static int compare_views(const void *a, const void *b)
{
	return sync_view_cmp(*(const struct sync_view *)a, *(const struct sync_view *)b);
}

void sync_facts_sort(struct sync_facts *f)
{
	if (f->n > 0)
		qsort(f->all, f->n, sizeof(*f->all), compare_views);
}

bool sync_facts_has(const struct sync_facts *f, const char *kind, const char *a, const char *b, size_t max_b)
{
	char text[512];
	int len = snprintf(text, sizeof(text), "%s %s %.*s", kind, a, (int)max_b, b);
	struct sync_view key = { text, (size_t)len };

	return f->n > 0 && (size_t)len < sizeof(text) && bsearch(&key, f->all, f->n, sizeof(key), compare_views);
}

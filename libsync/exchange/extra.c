#include "exchange/extra.h"

#include <stdlib.h>

#include <libsync/records.h>

#include "base/internal.h"

static int by_entity(const void *a, const void *b)
{
	size_t x = sync_entity_order(((const struct sync_gone *)a)->entity), y = sync_entity_order(((const struct sync_gone *)b)->entity);

	return (x > y) - (x < y);
}

enum sync_status sync_extra_forget(struct sync_db *db, struct sync_gone *gone, size_t n, struct sync_error *err)
{
	defer(freep) struct sync_view *ids = NULL;

	if (!n)
		return SYNC_OK;
	ids = malloc(n * sizeof *ids);
	if (!ids)
		return sync_fail(err, SYNC_ENOMEM, "unknown fields of %zu records that are gone", n);
	qsort(gone, n, sizeof *gone, by_entity);
	for (size_t i = 0, len; i < n; i += len) {
		for (len = 0; i + len < n && gone[i + len].entity == gone[i].entity; len++)
			ids[len] = gone[i + len].id;
		TRY(sync_records_forget(db, gone[i].entity, ids, len, err));
	}
	return SYNC_OK;
}

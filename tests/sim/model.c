#include "model.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const struct kind_info kinds[KINDS] = {
	[UNIT] = { "unit", "u", { NULL }, true },
	[NAME] = { "name", "p", { "type" }, true },
	[STORE] = { "store", "s", { "site_id", "name_id" } },
	[JOIN] = { "name_store_join", "j", { "store_id", "name_id" } },
	[VISIT] = { "visit", "v", { "patient_id" } },
	[BARCODE] = { "barcode", "b", { "unit_id" }, true },
	[SETTING] = { "setting", "c", { "store_id" } },
	[LOCATION] = { "location", "l", { "store_id" }, true },
	[LOG] = { "log", "g", { "store_id" } },
	[MEMO] = { "memo", "m", { "store_id" } },
	[INVOICE] = { "invoice", "i", { "store_id", "name_id", "total" }, true },
	[LINE] = { "invoice_line", "n", { "invoice_id", "unit_id", "location_id" }, true },
};

void model_clear(struct model *m)
{
	free(m->edits);
	*m = (struct model){ 0 };
}

void model_add(struct model *m, const struct edit *e)
{
	if (m->n == m->cap) {
		m->cap = m->cap ? m->cap * 2 : 256;
		m->edits = realloc(m->edits, m->cap * sizeof *m->edits);
		if (!m->edits)
			abort();
	}
	m->edits[m->n++] = *e;
}

/* Tags rise. */
struct edit *model_find(const struct model *m, int64_t tag)
{
	size_t low = 0, high = m->n;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (m->edits[middle].tag == tag)
			return &m->edits[middle];
		if (m->edits[middle].tag > tag)
			high = middle;
		else
			low = middle + 1;
	}
	return NULL;
}

void model_decide(struct model *m, const char *table, const char *id, const char *note)
{
	int64_t tag = note[0] == '#' ? strtoll(note + 1, NULL, 10) : 0;

	for (size_t i = 0; i < m->n; i++) {
		struct edit *e = &m->edits[i];

		if (!strcmp(e->id, id) && !strcmp(kinds[e->kind].table, table) && (tag ? e->tag == tag : e->deletes))
			e->decided = true;
	}
}

const struct edit *model_deleted(const struct model *m, int node, enum kind kind, size_t skip)
{
	for (size_t i = m->n; i-- > 0;)
		if (m->edits[i].deletes && m->edits[i].node == node && m->edits[i].kind == kind && skip-- == 0)
			return &m->edits[i];
	return NULL;
}

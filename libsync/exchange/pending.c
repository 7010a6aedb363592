#include "exchange/pending.h"

#include <stdlib.h>
#include <string.h>

#include "base/internal.h"

enum { PAGE = 500 };

/* a set, by open addressing */

static size_t slot_of(const struct sync_seqs *s, int64_t seq)
{
	size_t at = (size_t)((uint64_t)seq * UINT64_C(0x9e3779b97f4a7c15) >> 20) & (s->cap - 1);

	while (s->slots[at] && s->slots[at] != seq)
		at = (at + 1) & (s->cap - 1);
	return at;
}

bool sync_seqs_has(const struct sync_seqs *s, int64_t seq)
{
	return s->cap > 0 && s->slots[slot_of(s, seq)] == seq;
}

static enum sync_status widen(struct sync_seqs *s, struct sync_error *err)
{
	struct sync_seqs wide = { .cap = s->cap ? s->cap * 2 : 64, .n = s->n };

	wide.slots = calloc(wide.cap, sizeof *wide.slots);
	if (!wide.slots)
		return sync_fail(err, SYNC_ENOMEM, "remembering %zu changes", wide.cap);
	for (size_t i = 0; i < s->cap; i++)
		if (s->slots[i])
			wide.slots[slot_of(&wide, s->slots[i])] = s->slots[i];
	free(s->slots);
	*s = wide;
	return SYNC_OK;
}

enum sync_status sync_seqs_add(struct sync_seqs *s, int64_t seq, struct sync_error *err)
{
	size_t at;

	if (s->n * 2 >= s->cap)
		TRY(widen(s, err));
	at = slot_of(s, seq);
	s->n += !s->slots[at];
	s->slots[at] = seq;
	return SYNC_OK;
}

void sync_seqs_clear(struct sync_seqs *s)
{
	free(s->slots);
	*s = (struct sync_seqs){ 0 };
}

/* growing arrays */

static enum sync_status make_room(void **array, size_t *cap, size_t n, size_t size, struct sync_error *err)
{
	size_t wide = *cap ? *cap * 2 : PAGE;
	void *grown;

	if (n < *cap)
		return SYNC_OK;
	grown = realloc(*array, wide * size);
	if (!grown)
		return sync_fail(err, SYNC_ENOMEM, "choosing %zu changes", wide);
	*array = grown;
	*cap = wide;
	return SYNC_OK;
}

#define ROOM(array, cap, n, err) make_room((void **)&(array), &(cap), n, sizeof *(array), err)

void sync_pending_clear(struct sync_pending *p)
{
	free(p->row);
	free(p->end);
	free(p->scanned);
	sync_seqs_clear(&p->taken);
	sync_arena_clear(&p->arena);
	*p = (struct sync_pending){ 0 };
}

static void forget(struct sync_pending *p)
{
	p->n = p->n_clusters = p->n_scanned = 0;
	p->all = false;
	sync_seqs_clear(&p->taken);
	sync_arena_reset(&p->arena);
}

/* rows of the changelog */

#define COLUMNS "entity, record_id, seq, action, root_id, old_root_id, at_us, base"

struct reading {
	struct sync_pending *p;
	const struct sync_seqs *sent;
	const struct sync_entity *root; /* of the group whose members are read */
};

static struct sync_view keep(struct sync_arena *arena, const struct sync_value *v, bool *whole)
{
	struct sync_view copy = { 0 };

	if (v->kind != SYNC_STRING)
		return copy;
	copy = sync_arena_copy(arena, v->s);
	*whole = *whole && copy.data;
	return copy;
}

static enum sync_status read_change(struct sync_change *ret, struct sync_arena *arena, const struct sync_value *v,
				    struct sync_error *err)
{
	bool whole = true;

	*ret = (struct sync_change){
		.entity = sync_entity_find(v[0].s),
		.name = keep(arena, &v[0], &whole),
		.id = keep(arena, &v[1], &whole),
		.seq = v[2].i,
		.action = v[3].s.len == 1 && v[3].s.data[0] == 'D' ? SYNC_DELETE : SYNC_PUT,
		.root = keep(arena, &v[4], &whole),
		.old_root = keep(arena, &v[5], &whole),
		.at_us = v[6].i,
		.base = keep(arena, &v[7], &whole),
	};
	return whole ? SYNC_OK : sync_fail(err, SYNC_ENOMEM, "reading changes");
}

static enum sync_status take_change(void *ctx, const struct sync_value *v, size_t n, struct sync_error *err)
{
	struct reading *in = ctx;
	struct sync_pending *p = in->p;
	struct sync_change c;

	(void)n;
	if (sync_seqs_has(in->sent, v[2].i) || sync_seqs_has(&p->taken, v[2].i))
		return SYNC_OK;
	TRY(read_change(&c, &p->arena, v, err));
	if (in->root && (!c.entity || sync_entity_root(c.entity) != in->root))
		return SYNC_OK;
	TRY(ROOM(p->row, p->cap, p->n, err));
	p->row[p->n++] = c;
	return SYNC_OK;
}

/* clusters */

static enum sync_status read_members(struct reading *in, struct sync_db *db, int64_t after, struct sync_view root,
				     struct sync_error *err)
{
	static const char members[] = "SELECT " COLUMNS " FROM sync_changelog WHERE root_id = $1 AND seq > $2"
				      " UNION ALL "
				      "SELECT " COLUMNS " FROM sync_changelog WHERE old_root_id = $3 AND seq > $4";

	return sync_db_run(db, members, SYNC_ARGS(sync_string(root), sync_int(after), sync_string(root), sync_int(after)),
			   take_change, in, err);
}

/* The ids of roots whose members are in the cluster, or will be. */
struct roots {
	struct sync_view *id;
	size_t n, cap;
};

static enum sync_status add_root(struct roots *roots, struct sync_view id, struct sync_error *err)
{
	if (id.len == 0)
		return SYNC_OK;
	for (size_t i = 0; i < roots->n; i++)
		if (sync_view_eq(roots->id[i], id))
			return SYNC_OK;
	TRY(ROOM(roots->id, roots->cap, roots->n, err));
	roots->id[roots->n++] = id;
	return SYNC_OK;
}

static void clear_roots(struct roots *roots)
{
	free(roots->id);
}

/* Within a cluster: group by group, puts in integration order and then deletes in reverse. */
static int by_place(const void *x, const void *y)
{
	const struct sync_change *a = x, *b = y;
	size_t order_a = a->entity ? sync_entity_order(a->entity) : 0, order_b = b->entity ? sync_entity_order(b->entity) : 0;
	int roots = sync_view_cmp(a->root, b->root);

	if (roots != 0)
		return roots;
	if (a->action != b->action)
		return a->action == SYNC_PUT ? -1 : 1;
	if (order_a != order_b)
		return (order_a < order_b) == (a->action == SYNC_PUT) ? -1 : 1;
	return (a->seq > b->seq) - (a->seq < b->seq);
}

static int by_seq(const void *x, const void *y)
{
	const struct sync_change *a = x, *b = y;

	return (a->seq > b->seq) - (a->seq < b->seq);
}

/* A record that moved is found from both of its groups. */
static void drop_repeated(struct sync_pending *p, size_t from)
{
	size_t kept = from;

	qsort(p->row + from, p->n - from, sizeof *p->row, by_seq);
	for (size_t i = from; i < p->n; i++)
		if (kept == from || p->row[i].seq != p->row[kept - 1].seq)
			p->row[kept++] = p->row[i];
	p->n = kept;
}

static enum sync_status read_cluster(struct reading *in, struct sync_db *db, int64_t after, size_t from, struct sync_error *err)
{
	struct sync_pending *p = in->p;
	defer(clear_roots) struct roots roots = { 0 };
	size_t seen = from;

	in->root = p->row[from].entity ? sync_entity_root(p->row[from].entity) : NULL;
	for (size_t done = 0; done <= roots.n; done++) {
		for (; seen < p->n; seen++) {
			TRY(add_root(&roots, p->row[seen].root, err));
			TRY(add_root(&roots, p->row[seen].old_root, err));
		}
		if (done < roots.n)
			TRY(read_members(in, db, after, roots.id[done], err));
	}
	drop_repeated(p, from);
	qsort(p->row + from, p->n - from, sizeof *p->row, by_place);
	return SYNC_OK;
}

/* Take the cluster of the row that was read last. *ret_full: it did not fit, and is not here. */
static enum sync_status take_cluster(struct reading *in, struct sync_db *db, int64_t after, size_t most, bool *ret_full,
				     struct sync_error *err)
{
	struct sync_pending *p = in->p;
	size_t from = p->n - 1;

	TRY(read_cluster(in, db, after, from, err));
	*ret_full = from > 0 && p->n > most;
	if (*ret_full) {
		p->n = from;
		return SYNC_OK;
	}
	for (size_t i = from; i < p->n; i++)
		TRY(sync_seqs_add(&p->taken, p->row[i].seq, err));
	TRY(ROOM(p->end, p->cap_clusters, p->n_clusters, err));
	p->end[p->n_clusters++] = p->n;
	return SYNC_OK;
}

/* the scan */

struct page {
	struct sync_change row[PAGE];
	size_t n;
	struct sync_arena arena;
};

static void free_page(struct page **page)
{
	if (*page)
		sync_arena_clear(&(*page)->arena);
	free(*page);
}

static enum sync_status take_row(void *ctx, const struct sync_value *v, size_t n, struct sync_error *err)
{
	struct page *page = ctx;

	(void)n;
	return read_change(&page->row[page->n++], &page->arena, v, err);
}

static enum sync_status read_page(struct sync_db *db, int64_t after, struct page *page, struct sync_error *err)
{
	static const char next[] = "SELECT " COLUMNS " FROM sync_changelog WHERE seq > $1 ORDER BY seq LIMIT $2";

	page->n = 0;
	sync_arena_reset(&page->arena);
	return sync_db_run(db, next, SYNC_ARGS(sync_int(after), sync_int(PAGE)), take_row, page, err);
}

static bool copy_change(struct sync_change *ret, struct sync_arena *arena, const struct sync_change *c)
{
	struct sync_view *views[] = { &ret->name, &ret->id, &ret->root, &ret->old_root, &ret->base };

	*ret = *c;
	for (size_t i = 0; i < COUNT(views); i++) {
		if (views[i]->data)
			*views[i] = sync_arena_copy(arena, *views[i]);
		if (!views[i]->data && views[i]->len)
			return false;
	}
	return true;
}

static enum sync_status look_at(struct reading *in, struct sync_db *db, const struct sync_change *c, int64_t after, size_t most,
				bool *ret_full, struct sync_error *err)
{
	struct sync_pending *p = in->p;

	TRY(ROOM(p->scanned, p->cap_scanned, p->n_scanned, err));
	p->scanned[p->n_scanned++] = c->seq;
	if (sync_seqs_has(in->sent, c->seq) || sync_seqs_has(&p->taken, c->seq))
		return SYNC_OK;
	TRY(ROOM(p->row, p->cap, p->n, err));
	if (!copy_change(&p->row[p->n], &p->arena, c))
		return sync_fail(err, SYNC_ENOMEM, "choosing %zu changes", p->n);
	p->n++;
	return take_cluster(in, db, after, most, ret_full, err);
}

enum sync_status sync_pending_read(struct sync_pending *p, struct sync_db *db, int64_t after, size_t most,
				   const struct sync_seqs *sent, struct sync_error *err)
{
	defer(free_page) struct page *page = calloc(1, sizeof *page);
	struct reading in = { .p = p, .sent = sent };
	int64_t at = after;
	bool full = false;

	if (!page)
		return sync_fail(err, SYNC_ENOMEM, "choosing changes");
	forget(p);
	do {
		TRY(read_page(db, at, page, err));
		for (size_t i = 0; i < page->n && !full; i++) {
			at = page->row[i].seq;
			TRY(look_at(&in, db, &page->row[i], after, most, &full, err));
		}
	} while (!full && page->n == PAGE);
	p->all = !full;
	return SYNC_OK;
}

enum sync_status sync_pending_upto(const struct sync_pending *p, size_t n, int64_t after, const struct sync_seqs *sent,
				   int64_t *ret, struct sync_error *err)
{
	defer(sync_seqs_clear) struct sync_seqs here = { 0 };
	int64_t upto = after;

	for (size_t i = 0; i < n; i++)
		TRY(sync_seqs_add(&here, p->row[i].seq, err));
	for (size_t i = 0; i < p->n_scanned; i++) {
		if (!sync_seqs_has(&here, p->scanned[i]) && !sync_seqs_has(sent, p->scanned[i]))
			break;
		upto = p->scanned[i];
	}
	*ret = upto;
	return SYNC_OK;
}

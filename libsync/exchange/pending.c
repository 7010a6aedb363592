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

/* The text of the row before where it is the same, as that of a group's members is. */
static struct sync_view share(struct sync_arena *arena, const struct sync_value *v, struct sync_view last, bool *whole)
{
	return v->kind == SYNC_STRING && last.data && sync_view_eq(v->s, last) ? last : keep(arena, v, whole);
}

static enum sync_status read_change(struct sync_change *ret, struct sync_pending *p, const struct sync_value *v,
				    struct sync_error *err)
{
	struct sync_change last = p->n > 0 ? p->row[p->n - 1] : (struct sync_change){ 0 };
	bool whole = true;

	*ret = (struct sync_change){
		.entity = sync_entity_find(v[0].s),
		.name = share(&p->arena, &v[0], last.name, &whole),
		.id = keep(&p->arena, &v[1], &whole),
		.seq = v[2].i,
		.action = v[3].s.len == 1 && v[3].s.data[0] == 'D' ? SYNC_DELETE : SYNC_PUT,
		.root = share(&p->arena, &v[4], last.root, &whole),
		.old_root = keep(&p->arena, &v[5], &whole),
		.at_us = v[6].i,
		.base = keep(&p->arena, &v[7], &whole),
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
	TRY(read_change(&c, p, v, err));
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

/* Goes through the changelog in pages; clusters are read while a page is. */
struct scan {
	struct reading in;
	struct sync_db *db;
	int64_t after, at;
	size_t most, seen; /* rows of the page */
	bool full;
};

/* The row begins a cluster, unless it is in one already, or central has it. */
static enum sync_status look_at(void *ctx, const struct sync_value *v, size_t n, struct sync_error *err)
{
	struct scan *s = ctx;
	struct sync_pending *p = s->in.p;
	size_t before = p->n;

	s->seen++;
	if (s->full)
		return SYNC_OK;
	s->at = v[2].i;
	TRY(ROOM(p->scanned, p->cap_scanned, p->n_scanned, err));
	p->scanned[p->n_scanned++] = s->at;
	s->in.root = NULL;
	TRY(take_change(&s->in, v, n, err));
	return p->n > before ? take_cluster(&s->in, s->db, s->after, s->most, &s->full, err) : SYNC_OK;
}

static enum sync_status scan_page(struct scan *s, struct sync_error *err)
{
	static const char next[] = "SELECT " COLUMNS " FROM sync_changelog WHERE seq > $1 ORDER BY seq LIMIT $2";

	s->seen = 0;
	return sync_db_run(s->db, next, SYNC_ARGS(sync_int(s->at), sync_int(PAGE)), look_at, s, err);
}

enum sync_status sync_pending_read(struct sync_pending *p, struct sync_db *db, int64_t after, size_t most,
				   const struct sync_seqs *sent, struct sync_error *err)
{
	struct scan s = { .in = { .p = p, .sent = sent }, .db = db, .after = after, .at = after, .most = most };

	forget(p);
	do
		TRY(scan_page(&s, err));
	while (!s.full && s.seen == PAGE);
	p->all = !s.full;
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
		if (!sync_seqs_has(&here, p->scanned[i]) && !sync_seqs_has(sent, p->scanned[i]) && !SYNC_FAULT(upto_ahead))
			break;
		upto = p->scanned[i];
	}
	*ret = upto;
	return SYNC_OK;
}

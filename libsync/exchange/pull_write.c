#include "exchange/router.h"

#include <string.h>

#include <libsync/records.h>

#include "base/internal.h"
#include "exchange/batch.h"

/*
 * The rows of both streams are gone through in the order of seq, a page at a time. A row stands for its group: all that is
 * pending of it is sent with the first row, and later rows of it are passed over. Nothing is kept but the groups that were
 * sent.
 */
enum {
	PAGE_ROWS = 500,
	BATCH_RECORDS = 500, /* read together, unless they are large */
	FIRST_RECORDS = 64,
	COUNT_LIMIT = 10000, /* pending rows are counted up to here */
};

/* One record of a unit: a row of the outbox, and what it stands for. */
struct member {
	struct sync_outbox_row row;
	size_t unit;
	size_t order; /* its entity's place in the integration order */
	bool wanted;  /* not superseded by another row, and not the site's own */
	bool send;
	struct sync_record record;
};

/* A group, or a record of none. */
struct unit {
	const struct sync_entity *root; /* of a group */
	struct sync_view id;
	size_t first, n; /* its members */
};

struct page {
	struct sync_arena arena;
	struct sync_outbox_row row[PAGE_ROWS];
	size_t unit[PAGE_ROWS]; /* of each row; SENT: an earlier page's */
	size_t n;
	struct unit units[PAGE_ROWS];
	size_t n_units;
	struct member *member;
	size_t n_members, cap_members;
};
enum { SENT = PAGE_ROWS };

struct pull {
	struct sync_db *db;
	int64_t site;
	size_t want;
	int64_t chunk_max;
	struct sync_writer *w;
	int64_t all_seq, own_seq;       /* how far the answer goes */
	int64_t all_newest, own_newest; /* where the streams end in this snapshot */
	bool full;
	size_t at_once; /* records that are read together: as many as SYNC_BATCH_BYTES held last time */
	struct sync_arena names; /* what sent borrows */
	struct sync_set sent;    /* groups of this answer: in which unit, counted over all pages */
	uint32_t n_sent;         /* units of earlier pages */
	struct page page;
};

static void close_pull(struct pull **p)
{
	if (!*p)
		return;
	sync_arena_clear(&(*p)->names);
	sync_arena_clear(&(*p)->page.arena);
	free((*p)->page.member);
	free(*p);
}

/* rows */

static enum sync_status keep_row(struct sync_arena *arena, const struct sync_outbox_row *from, struct sync_outbox_row *to,
				 struct sync_error *err)
{
	*to = *from;
	TRY(sync_arena_keep(arena, from->id, &to->id, err));
	return sync_arena_keep(arena, from->root, &to->root, err);
}

static enum sync_status take_row(void *ctx, const struct sync_outbox_row *row, struct sync_error *err)
{
	struct page *page = ctx;

	return keep_row(&page->arena, row, &page->row[page->n++], err);
}

static enum sync_status read_page(struct pull *p, struct sync_error *err)
{
	struct page *page = &p->page;

	sync_arena_reset(&page->arena);
	page->n = page->n_units = page->n_members = 0;
	return sync_outbox_after(p->db, p->site, p->all_seq, p->own_seq, PAGE_ROWS, take_row, page, err);
}

/* units */

static bool is_group(const struct sync_outbox_row *row)
{
	return row->entity && row->root.data && sync_entity_grouped(row->entity);
}

/* The unit of a row, made when it is the first of it. Of a record without a group only this page's rows go together. */
static enum sync_status find_unit(struct pull *p, const struct sync_outbox_row *row, size_t *ret, struct sync_error *err)
{
	struct page *page = &p->page;
	const struct sync_entity *root = is_group(row) ? sync_entity_root(row->entity) : NULL;
	struct sync_view kind = sync_view_of(root ? root->name : row->entity ? row->entity->name : "");
	struct sync_view id = root ? row->root : row->id;
	uint32_t next = p->n_sent + (uint32_t)page->n_units;
	uint32_t *found = sync_set_find(&p->sent, kind, id);

	if (!found) {
		TRY(sync_arena_keep(&p->names, id, &id, err));
		TRY(sync_set_add(&p->sent, kind, id, next, &found, err));
	} else if (*found < p->n_sent && root) {
		*ret = SENT;
		return SYNC_OK;
	} else if (*found < p->n_sent) {
		*found = next;
	}
	if (*found == next)
		page->units[page->n_units++] = (struct unit){ .root = root, .id = id };
	*ret = *found - p->n_sent;
	return SYNC_OK;
}

static enum sync_status add_member(struct page *page, const struct sync_outbox_row *row, size_t unit, struct sync_error *err)
{
	struct member *m;

	if (!row->entity)
		return SYNC_OK;
	if (page->n_members == page->cap_members) {
		size_t cap = page->cap_members ? 2 * page->cap_members : PAGE_ROWS;
		struct member *more = realloc(page->member, cap * sizeof *more);

		if (!more)
			return sync_fail(err, SYNC_ENOMEM, "%zu rows of groups", cap);
		page->member = more;
		page->cap_members = cap;
	}
	m = &page->member[page->n_members++];
	*m = (struct member){ .row = *row, .unit = unit, .order = sync_entity_order(row->entity) };
	return SYNC_OK;
}

/* Members of groups of one root entity, as they are found. */
struct gathering {
	struct page *page;
	size_t *unit; /* of each key */
};

static enum sync_status take_member(void *ctx, const struct sync_outbox_row *row, struct sync_error *err)
{
	struct gathering *g = ctx;
	struct sync_outbox_row kept;

	TRY(keep_row(&g->page->arena, row, &kept, err));
	return add_member(g->page, &kept, g->unit[row->key], err);
}

/* Of the units whose root is of this entity; those taken are marked by root = NULL. */
static enum sync_status gather(struct pull *p, const struct sync_entity *root, struct sync_error *err)
{
	struct page *page = &p->page;
	struct sync_view ids[PAGE_ROWS];
	size_t units[PAGE_ROWS], n = 0;
	struct gathering g = { page, units };

	for (size_t i = 0; i < page->n_units; i++) {
		if (page->units[i].root != root)
			continue;
		page->units[i].root = NULL;
		ids[n] = page->units[i].id;
		units[n++] = i;
	}
	TRY(sync_outbox_members(p->db, SYNC_EVERYBODY, p->all_seq, root, ids, n, take_member, &g, err));
	return sync_outbox_members(p->db, p->site, p->own_seq, root, ids, n, take_member, &g, err);
}

/* By unit and record; of rows for one record the one with the higher seq comes first. */
static int by_record(const void *a, const void *b)
{
	const struct member *x = a, *y = b;
	int order;

	if (x->unit != y->unit)
		return x->unit < y->unit ? -1 : 1;
	if (x->order != y->order)
		return x->order < y->order ? -1 : 1;
	order = sync_view_cmp(x->row.id, y->row.id);
	return order ? order : (y->row.seq > x->row.seq) - (y->row.seq < x->row.seq);
}

static bool same_record(const struct member *a, const struct member *b)
{
	return a->unit == b->unit && a->order == b->order && sync_view_eq(a->row.id, b->row.id);
}

static void sort_members(struct pull *p)
{
	struct page *page = &p->page;

	if (page->n_members)
		qsort(page->member, page->n_members, sizeof *page->member, by_record);
	for (size_t i = 0; i < page->n_members; i++) {
		struct member *m = &page->member[i];
		struct unit *unit = &page->units[m->unit];

		if (!unit->n++)
			unit->first = i;
		m->wanted = (i == 0 || !same_record(m, m - 1)) && m->row.source != p->site;
	}
}

static enum sync_status make_units(struct pull *p, struct sync_error *err)
{
	struct page *page = &p->page;

	for (size_t i = 0; i < page->n; i++) {
		TRY(find_unit(p, &page->row[i], &page->unit[i], err));
		if (page->unit[i] != SENT)
			TRY(add_member(page, &page->row[i], page->unit[i], err));
	}
	for (size_t i = 0; i < page->n_units; i++)
		if (page->units[i].root && !SYNC_FAULT(group_cut))
			TRY(gather(p, page->units[i].root, err));
	sort_members(p);
	return SYNC_OK;
}

/* records */

/* Members of one entity and what was found out about them. */
static enum sync_status read_alike(struct pull *p, struct member **m, size_t n, struct sync_arena *arena,
				   struct sync_error *err)
{
	const struct sync_entity *e = m[0]->row.entity;
	struct sync_record *records;
	struct sync_view *ids;
	bool *due;

	TRY(sync_arena_zeros(arena, n, sizeof *records, &records, err));
	TRY(sync_arena_zeros(arena, n, sizeof *ids, &ids, err));
	TRY(sync_arena_zeros(arena, n, sizeof *due, &due, err));
	for (size_t i = 0; i < n; i++)
		ids[i] = m[i]->row.id;
	TRY(sync_records_get(p->db, e, sync_view_of(e->name), ids, n, arena, records, err));
	TRY(sync_route_due(p->db, p->site, records, n, arena, due, err));
	for (size_t i = 0; i < n; i++) {
		m[i]->record = records[i];
		m[i]->send = due[i];
	}
	return SYNC_OK;
}

/* The row is a hint: what is sent is decided by what there is. What is not said here follows in a row of its own. */
static void decide(struct member *m)
{
	struct sync_record *r = &m->record;
	bool exists = r->values != NULL;
	enum sync_action hint = m->row.action;

	r->seq = m->row.seq;
	if (exists && m->send)
		return;
	m->send = hint != SYNC_PUT;
	r->action = exists || hint == SYNC_DROP ? SYNC_DROP : SYNC_DELETE;
	r->root = m->row.root;
	r->values = NULL;
	r->extra = r->version = (struct sync_view){ 0 };
}

static int by_order(const void *a, const void *b)
{
	const struct member *x = *(struct member *const *)a, *y = *(struct member *const *)b;

	if (x->order != y->order)
		return x->order < y->order ? -1 : 1;
	return (x > y) - (x < y);
}

static enum sync_status read_members(struct pull *p, struct member *m, size_t n, struct sync_arena *arena,
				     struct sync_error *err)
{
	struct member **wanted;
	size_t n_wanted = 0, end;

	TRY(sync_arena_zeros(arena, n, sizeof *wanted, &wanted, err));
	for (size_t i = 0; i < n; i++)
		if (m[i].wanted)
			wanted[n_wanted++] = &m[i];
	qsort(wanted, n_wanted, sizeof *wanted, by_order);
	for (size_t i = 0; i < n_wanted; i = end) {
		for (end = i + 1; end < n_wanted && wanted[end]->order == wanted[i]->order; end++)
			;
		TRY(read_alike(p, wanted + i, end - i, arena, err));
	}
	for (size_t i = 0; i < n_wanted; i++)
		decide(wanted[i]);
	return SYNC_OK;
}

/* writing */

static bool is_put(const struct member *m)
{
	return m->wanted && m->send && m->record.action == SYNC_PUT;
}

static bool is_removal(const struct member *m)
{
	return m->wanted && m->send && m->record.action != SYNC_PUT;
}

/* Members stand in integration order: what refers to another comes after it, and goes before it. */
static void write_unit(struct pull *p, const struct unit *unit)
{
	const struct member *m = p->page.member + unit->first;

	for (size_t i = 0; i < unit->n; i++)
		if (is_put(&m[i]))
			sync_writer_record(p->w, &m[i].record);
	for (size_t i = unit->n; i-- > 0;)
		if (is_removal(&m[i]))
			sync_writer_record(p->w, &m[i].record);
}

/* Whole groups only, and at least one. */
static bool is_full(const struct pull *p)
{
	int64_t records = sync_writer_records(p->w);

	return records > 0 && (records >= p->chunk_max || sync_writer_size(p->w) >= p->want);
}

/* How far the answer goes when the units before `done` were written. */
static void advance(struct pull *p, size_t *row, size_t done)
{
	const struct page *page = &p->page;

	for (; *row < page->n && (page->unit[*row] == SENT || page->unit[*row] < done + SYNC_FAULT(position_ahead)); ++*row) {
		if (page->row[*row].site_id == SYNC_EVERYBODY)
			p->all_seq = page->row[*row].seq;
		else
			p->own_seq = page->row[*row].seq;
	}
}

/* Units from `from` on that are read together; at least one. */
static size_t end_of_batch(const struct pull *p, size_t from)
{
	const struct page *page = &p->page;
	size_t end = from, records = 0;

	while (end < page->n_units && (end == from || records + page->units[end].n <= p->at_once))
		records += page->units[end++].n;
	return end;
}

/* Twice as many at most: records after small ones may be large. */
static void adapt(struct pull *p, size_t n, size_t bytes)
{
	size_t fit = bytes ? n * SYNC_BATCH_BYTES / bytes : BATCH_RECORDS;

	fit = fit > 2 * p->at_once ? 2 * p->at_once : fit;
	p->at_once = fit < 1 ? 1 : fit > BATCH_RECORDS ? BATCH_RECORDS : fit;
}

static enum sync_status write_batch(struct pull *p, size_t from, size_t end, size_t *row, struct sync_error *err)
{
	defer(sync_arena_clear) struct sync_arena arena = { 0 };
	const struct page *page = &p->page;
	size_t n = 0, first = page->n_members;

	for (size_t i = from; i < end; i++) {
		if (page->units[i].n && page->units[i].first < first)
			first = page->units[i].first;
		n += page->units[i].n;
	}
	TRY(read_members(p, page->member + first, n, &arena, err));
	if (n)
		adapt(p, n, arena.used);
	for (size_t i = from; i < end && !p->full; i++) {
		write_unit(p, &page->units[i]);
		advance(p, row, i + 1);
		p->full = is_full(p);
	}
	return SYNC_OK;
}

static enum sync_status write_page(struct pull *p, struct sync_error *err)
{
	size_t row = 0, end;

	advance(p, &row, 0);
	for (size_t from = 0; from < p->page.n_units && !p->full; from = end) {
		end = end_of_batch(p, from);
		TRY(write_batch(p, from, end, &row, err));
	}
	p->n_sent += (uint32_t)p->page.n_units;
	return SYNC_OK;
}

/* A position that stays keeps the id by which the site knows it. */
static enum sync_status set_position(struct sync_db *db, const struct sync_checkpoint *from, int64_t seq,
				     struct sync_checkpoint *ret, struct sync_error *err)
{
	*ret = *from;
	if (seq == from->seq)
		return SYNC_OK;
	ret->seq = seq;
	return sync_routing_id(db, seq, ret->id, err);
}

/* What is at the end of a stream and was not read is the site's own. */
static void pass_own(struct pull *p)
{
	p->all_seq = p->all_newest > p->all_seq ? p->all_newest : p->all_seq;
	p->own_seq = p->own_newest > p->own_seq ? p->own_newest : p->own_seq;
}

static enum sync_status write_all(struct pull *p, struct sync_error *err)
{
	TRY(sync_outbox_newest(p->db, p->site, &p->all_newest, &p->own_newest, err));
	if (p->all_newest <= p->all_seq && p->own_newest <= p->own_seq)
		return SYNC_OK;
	do {
		TRY(read_page(p, err));
		TRY(make_units(p, err));
		TRY(write_page(p, err));
	} while (!p->full && p->page.n == PAGE_ROWS);
	if (!p->full)
		pass_own(p);
	return SYNC_OK;
}

enum sync_status sync_pull_write(struct sync_db *db, int64_t site, const struct sync_position *from, size_t want,
				 int64_t chunk_max, struct sync_writer *w, struct sync_end *ret, struct sync_error *err)
{
	defer(close_pull) struct pull *p = calloc(1, sizeof *p);

	if (!p)
		return sync_fail(err, SYNC_ENOMEM, "a pull of site %lld", (long long)site);
	*p = (struct pull){ .db = db,
			    .site = site,
			    .want = want,
			    .chunk_max = chunk_max,
			    .at_once = FIRST_RECORDS,
			    .w = w,
			    .all_seq = from->all.seq,
			    .own_seq = from->own.seq };
	p->sent.arena = &p->names;
	TRY(write_all(p, err));
	TRY(set_position(db, &from->all, p->all_seq, &ret->at.all, err));
	TRY(set_position(db, &from->own, p->own_seq, &ret->at.own, err));
	ret->more = 0;
	return p->full ? sync_outbox_count(db, site, p->all_seq, p->own_seq, COUNT_LIMIT, &ret->more, err) : SYNC_OK;
}

/* positions */

static enum sync_status is_known(struct sync_db *db, const struct sync_checkpoint *at, bool *ret, struct sync_error *err)
{
	char id[SYNC_CHECKPOINT_ID + 1];

	TRY(sync_routing_id(db, at->seq, id, err));
	*ret = !strcmp(id, at->id);
	return SYNC_OK;
}

enum sync_status sync_pull_known(struct sync_db *db, const struct sync_position *at, bool *ret, struct sync_error *err)
{
	bool all, own;

	TRY(is_known(db, &at->all, &all, err));
	TRY(is_known(db, &at->own, &own, err));
	*ret = all && own;
	return SYNC_OK;
}

/* What is routed by now is below it in either stream. */
enum sync_status sync_pull_newest(struct sync_db *db, int64_t site, struct sync_position *ret, struct sync_error *err)
{
	struct sync_checkpoint newest;

	(void)site;
	TRY(sync_routing_newest(db, &newest, err));
	newest.ordinal = 0;
	*ret = (struct sync_position){ newest, newest };
	return SYNC_OK;
}

#include "exchange/router.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include <libsync/records.h>

#include "base/internal.h"
#include "exchange/batch.h"
#include "exchange/pull_members.h"
#include "exchange/pull_queue.h"

/*
 * The rows of both streams are gone through in the order of seq, a page at a time. A row stands for its group: all that is
 * pending of it is sent with the first row, and later rows of it are passed over. Nothing is kept but the groups that were
 * sent. The answer ends before a group of which something is not routed yet, since what is pending could be half of a change; and
 * before a record of which that is so, since its content would be later than any place: a central that loses it would not notice.
 *
 * A group that is too large for an answer goes in parts, in the order of its members. No snapshot is held between two requests,
 * so the token that the site is given, and asks with, says of what state of the group it has the beginning:
 *   rest = ROWS "." NEWEST "." ID "." DUE " " ENTITY " " RECORD_ID
 * pending rows, the newest of them with the id of its routing transaction, whether the site should have the group; and the last
 * record sent. Each change moves a row up, so that another state has another NEWEST. If the state is not found at the site's
 * position any more, the group begins again.
 */
enum {
	PAGE_ROWS = SYNC_PULL_ROWS,
	BATCH_RECORDS = 500, /* read together, unless they are large */
	FIRST_RECORDS = 64,
	COUNT_LIMIT = 10000,    /* pending rows are counted up to here */
	LEAST_PART = 128 << 10, /* bytes: to find where a part begins, all of the group is gone through */
	STATE = 80,
	NOT_A_SITE = -2,        /* no row has it as its source */
};

struct page {
	struct sync_arena arena;
	struct sync_outbox_row row[PAGE_ROWS];
	size_t unit[PAGE_ROWS]; /* of each row; SENT: an earlier page's */
	size_t n;
	size_t passed; /* rows that the position is behind */
	struct sync_unit units[PAGE_ROWS];
	size_t n_units;
};
enum { SENT = PAGE_ROWS };

struct pull {
	struct sync_db *db;
	const struct sync_ask *ask;
	struct sync_writer *w;
	int64_t all_seq, own_seq;       /* how far the answer goes */
	int64_t all_newest, own_newest; /* where the streams end in this snapshot */
	struct sync_unrouted unrouted;
	bool full;
	bool held;                       /* before what is not routed, or not wholly */
	bool asked, busy;                /* whether jobs of this site are pending, once that was asked */
	bool goes_on;                    /* with a group from where the site has it */
	bool part;                       /* ends within a group, behind the record after */
	char state[STATE];               /* of that group */
	const struct sync_entity *after; /* of the unit that is being written only what comes behind this is left; NULL: all */
	struct sync_view after_id;
	size_t at_once;          /* records that are read together: as many as SYNC_BATCH_BYTES held last time */
	struct sync_arena names; /* what sent and unrouted borrow, and after_id */
	struct sync_set sent;    /* groups of this answer: in which unit, counted over all pages */
	uint32_t n_sent;         /* units of earlier pages */
	struct page page;
	struct sync_members members;
};

static int64_t skip_of(const struct sync_ask *ask)
{
	return ask->echo && !SYNC_FAULT(restored_without_echo) ? NOT_A_SITE : ask->site;
}

static void close_pull(struct pull **p)
{
	if (!*p)
		return;
	sync_arena_clear(&(*p)->names);
	sync_arena_clear(&(*p)->page.arena);
	sync_members_clear(&(*p)->members);
	free(*p);
}

/* rows */

static enum sync_status take_row(void *ctx, const struct sync_outbox_row *row, struct sync_error *err)
{
	struct page *page = ctx;

	return sync_pull_keep(&page->arena, row, &page->row[page->n++], err);
}

static enum sync_status read_page(struct pull *p, struct sync_error *err)
{
	struct page *page = &p->page;

	sync_arena_reset(&page->arena);
	page->n = page->passed = page->n_units = 0;
	return sync_outbox_after(p->db, p->ask->site, skip_of(p->ask), p->all_seq, p->own_seq, PAGE_ROWS, take_row, page, err);
}

static void pass_row(struct pull *p)
{
	const struct sync_outbox_row *row = &p->page.row[p->page.passed++];

	if (row->site_id == SYNC_EVERYBODY)
		p->all_seq = row->seq;
	else
		p->own_seq = row->seq;
}

/* How far the answer goes when the units before `done` were written. */
static void advance(struct pull *p, size_t done)
{
	const struct page *page = &p->page;

	done += SYNC_FAULT(position_ahead);
	while (page->passed < page->n && (page->unit[page->passed] == SENT || page->unit[page->passed] < done))
		pass_row(p);
}

/* units */

/* What a row's unit is known by, and its root when it is a group. */
struct key {
	const struct sync_entity *root;
	struct sync_view kind, id;
};

static struct key key_of(const struct sync_outbox_row *row)
{
	if (row->entity && row->root.len > 0 && sync_entity_grouped(row->entity)) {
		const struct sync_entity *root = sync_entity_root(row->entity);

		return (struct key){ root, sync_view_of(root->name), row->root };
	}
	return (struct key){ NULL, sync_view_of(row->entity ? row->entity->name : ""), row->id };
}

/* The unit of a row, made when it is the first of it. Of a record without a group only this page's rows go together. */
static enum sync_status find_unit(struct pull *p, const struct sync_outbox_row *row, size_t *ret, struct sync_error *err)
{
	struct page *page = &p->page;
	struct key key = key_of(row);
	uint32_t next = p->n_sent + (uint32_t)page->n_units;
	uint32_t *found = sync_set_find(&p->sent, key.kind, key.id);

	if (!found) {
		TRY(sync_arena_keep(&p->names, key.id, &key.id, err));
		TRY(sync_set_add(&p->sent, key.kind, key.id, next, &found, err));
	} else if (*found < p->n_sent && key.root) {
		*ret = SENT;
		return SYNC_OK;
	} else if (*found < p->n_sent) {
		*found = next;
	}
	if (*found == next)
		page->units[page->n_units++] = (struct sync_unit){ .root = key.root, .id = key.id };
	*ret = *found - p->n_sent;
	return SYNC_OK;
}

static enum sync_status make_units(struct pull *p, struct sync_error *err)
{
	for (size_t i = 0; i < p->page.n; i++)
		TRY(find_unit(p, &p->page.row[i], &p->page.unit[i], err));
	return SYNC_OK;
}

/* records */

/* Members that are read together, and what was found out about each of them. */
struct slice {
	const struct sync_member *m;
	size_t n;
	struct sync_arena arena;
	struct sync_record *record;
	bool *send;
	size_t *wanted; /* of one entity: which */
};

static void clear_slice(struct slice *s)
{
	sync_arena_clear(&s->arena);
}

/* Of one entity. */
static enum sync_status read_alike(struct pull *p, struct slice *s, size_t n, struct sync_error *err)
{
	const struct sync_entity *e = s->m[s->wanted[0]].row.entity;
	struct sync_record *records;
	struct sync_view *ids;
	bool *due;

	TRY(sync_arena_zeros(&s->arena, n, sizeof *records, &records, err));
	TRY(sync_arena_zeros(&s->arena, n, sizeof *ids, &ids, err));
	TRY(sync_arena_zeros(&s->arena, n, sizeof *due, &due, err));
	for (size_t i = 0; i < n; i++)
		ids[i] = s->m[s->wanted[i]].row.id;
	TRY(sync_records_get(p->db, e, sync_view_of(e->name), ids, n, &s->arena, records, err));
	TRY(sync_route_due(p->db, p->ask->site, records, n, &s->arena, due, err));
	for (size_t i = 0; i < n; i++) {
		s->record[s->wanted[i]] = records[i];
		s->send[s->wanted[i]] = due[i];
	}
	return SYNC_OK;
}

/* The row is a hint: what is sent is decided by what there is. What is not said here follows in a row of its own. */
static bool decide(const struct sync_outbox_row *row, struct sync_record *r, bool due)
{
	bool exists = r->values != NULL;

	r->seq = row->seq;
	if (exists && due)
		return true;
	r->action = exists || row->action == SYNC_DROP ? SYNC_DROP : SYNC_DELETE;
	r->root = row->root;
	r->values = NULL;
	r->extra = r->version = (struct sync_view){ 0 };
	return row->action != SYNC_PUT;
}

static bool is_wanted(const struct pull *p, const struct sync_member *m)
{
	return m->row.source != skip_of(p->ask);
}

/* Those that the site did not make itself, entity by entity. */
static enum sync_status read_slice(struct pull *p, struct slice *s, struct sync_error *err)
{
	size_t n_entities, n;
	const struct sync_entity *const *entities = sync_entities(&n_entities);

	TRY(sync_arena_zeros(&s->arena, s->n, sizeof *s->record, &s->record, err));
	TRY(sync_arena_zeros(&s->arena, s->n, sizeof *s->send, &s->send, err));
	TRY(sync_arena_zeros(&s->arena, s->n, sizeof *s->wanted, &s->wanted, err));
	for (size_t k = 0; k < n_entities; k++) {
		n = 0;
		for (size_t i = 0; i < s->n; i++)
			if (is_wanted(p, &s->m[i]) && s->m[i].row.entity == entities[k])
				s->wanted[n++] = i;
		if (n)
			TRY(read_alike(p, s, n, err));
	}
	for (size_t i = 0; i < s->n; i++)
		s->send[i] = is_wanted(p, &s->m[i]) && decide(&s->m[i].row, &s->record[i], s->send[i]);
	return SYNC_OK;
}

/* groups in parts */

static enum sync_status is_due(struct pull *p, const struct sync_unit *unit, bool *ret, struct sync_error *err)
{
	defer(sync_arena_clear) struct sync_arena arena = { 0 };
	struct sync_record root;

	TRY(sync_records_get(p->db, unit->root, sync_view_of(unit->root->name), &unit->id, 1, &arena, &root, err));
	return sync_route_due(p->db, p->ask->site, &root, 1, &arena, ret, err);
}

/* Rows of the site's own making are no part of it: the reader does not see them either. */
static enum sync_status find_state(struct pull *p, const struct sync_unit *unit, struct sync_error *err)
{
	int64_t rows[2], newest[2], last, site = p->ask->site;
	char id[SYNC_CHECKPOINT_ID + 1];
	bool due;

	TRY(sync_outbox_group(p->db, SYNC_EVERYBODY, p->all_seq, unit->root, unit->id, site, &rows[0], &newest[0], err));
	TRY(sync_outbox_group(p->db, site, p->own_seq, unit->root, unit->id, site, &rows[1], &newest[1], err));
	last = newest[0] > newest[1] ? newest[0] : newest[1];
	TRY(sync_routing_id(p->db, last, id, err));
	TRY(is_due(p, unit, &due, err));
	snprintf(p->state, sizeof p->state, "%" PRId64 ".%" PRId64 ".%s.%d", rows[0] + rows[1], last, id, due);
	return SYNC_OK;
}

/* Whether the site's token is of the state that was found, and the record that it ends with. */
static bool read_rest(struct pull *p, const struct sync_unit *unit)
{
	size_t len = strlen(p->state);
	const char *entity, *id;
	const struct sync_entity *e;

	if (strncmp(p->ask->rest, p->state, len) != 0 || p->ask->rest[len] != ' ')
		return false;
	entity = p->ask->rest + len + 1;
	id = strchr(entity, ' ');
	e = id ? sync_entity_find((struct sync_view){ entity, (size_t)(id - entity) }) : NULL;
	if (!e || sync_entity_root(e) != unit->root)
		return false;
	p->after = e;
	p->after_id = sync_view_of(id + 1);
	return true;
}

/* The site has the beginning of a group: go on with it if it is the first one pending, and as it was then. */
static enum sync_status resume(struct pull *p, struct sync_error *err)
{
	const struct sync_unit *unit = &p->page.units[0];

	if (!p->ask->rest[0] || !p->page.n_units || !unit->root)
		return SYNC_OK;
	TRY(find_state(p, unit, err));
	p->goes_on = read_rest(p, unit);
	return SYNC_OK;
}

static void write_rest(const struct pull *p, char ret[static SYNC_REST])
{
	snprintf(ret, SYNC_REST, "%s %s %.*s", p->state, p->after->name, SYNC_VIEW(p->after_id));
}

/* writing */

static bool is_full(const struct pull *p)
{
	int64_t records = sync_writer_records(p->w);

	return records > 0 && (records >= p->ask->chunk_max || sync_writer_size(p->w) >= p->ask->want);
}

/* Within a group only when even twice as much as suits the link does not hold it. */
static bool is_too_large(const struct pull *p)
{
	size_t most = 2 * p->ask->want > LEAST_PART ? 2 * p->ask->want : LEAST_PART;
	int64_t records = sync_writer_records(p->w);

	return records > 0 && (records >= p->ask->chunk_max || sync_writer_size(p->w) >= most);
}

static bool is_unrouted(const struct pull *p, const struct sync_unit *unit)
{
	const struct sync_outbox_row *row = &p->members.m[unit->first].row;

	return unit->root ? sync_unrouted_has(&p->unrouted, unit->root, unit->id) : sync_unrouted_has(&p->unrouted, row->entity, row->id);
}

/* False: the answer ends before this unit. */
static bool begin_unit(struct pull *p, size_t at, bool open)
{
	const struct sync_unit *unit = &p->page.units[at];
	int64_t records = sync_writer_records(p->w);
	bool fits = records == 0 || (!p->members.cut && records + (int64_t)unit->n <= p->ask->chunk_max);

	advance(p, at);
	p->held = open || is_unrouted(p, unit);
	p->full = p->held || !fits;
	return !p->full;
}

static void end_unit(struct pull *p, size_t unit)
{
	advance(p, unit + 1);
	p->after = NULL;
	p->full = is_full(p) || p->goes_on;
}

static enum sync_status keep_place(struct pull *p, const struct sync_member *m, struct sync_error *err)
{
	p->after = m->row.entity;
	return sync_arena_keep(&p->names, m->row.id, &p->after_id, err);
}

static enum sync_status write_member(struct pull *p, size_t i, const struct sync_record *r, bool send, struct sync_error *err)
{
	const struct sync_member *m = &p->members.m[i];
	const struct sync_unit *unit = &p->page.units[m->unit];

	if (send)
		sync_writer_record(p->w, r);
	if (i + 1 == unit->first + unit->n && !p->members.cut) {
		end_unit(p, m->unit);
		return SYNC_OK;
	}
	if (!is_too_large(p))
		return SYNC_OK;
	p->part = p->full = true;
	return keep_place(p, m, err);
}

/* Twice as many at most: records after small ones may be large. */
static void adapt(struct pull *p, size_t n, size_t bytes)
{
	size_t fit = bytes ? n * SYNC_BATCH_BYTES / bytes : BATCH_RECORDS;

	fit = fit > 2 * p->at_once ? 2 * p->at_once : fit;
	p->at_once = fit < 1 ? 1 : fit > BATCH_RECORDS ? BATCH_RECORDS : fit;
}

static enum sync_status is_busy(struct pull *p, bool *ret, struct sync_error *err)
{
	bool queued = false;

	if (!p->asked) {
		TRY(sync_route_busy(p->db, p->ask->site, &p->busy, err));
		if (!p->busy)
			TRY(sync_route_queued(p->db, &queued, err));
		p->busy |= queued;
		p->asked = true;
	}
	*ret = p->busy;
	return SYNC_OK;
}

/* What is due differs from what the row says: a job is about to change the row. */
static bool differs(const struct sync_outbox_row *row, const struct sync_record *r, bool send)
{
	return (row->action == SYNC_PUT && !send && r->action == SYNC_DROP) ||
	       (row->action == SYNC_DROP && r->action == SYNC_PUT);
}

/*
 * Rows tell the router who holds a record, so none is passed that says something else than what is sent: the answer ends before
 * it until the job has come to it. Nor is a site told to let go of a record as long as what makes it due may be on its way from
 * there.
 */
static enum sync_status is_open(struct pull *p, const struct slice *s, size_t from, bool *ret, struct sync_error *err)
{
	*ret = false;
	for (size_t i = from; i < s->n && s->m[i].unit == s->m[from].unit && !*ret; i++) {
		const struct sync_outbox_row *row = &s->m[i].row;

		if (!is_wanted(p, &s->m[i]))
			continue;
		if (differs(row, &s->record[i], s->send[i]))
			TRY(is_busy(p, ret, err));
		else
			*ret = p->ask->pushing && row->action == SYNC_DROP;
	}
	return SYNC_OK;
}

/* *begun: the first unit is being written already. */
static enum sync_status write_slice(struct pull *p, size_t from, size_t n, bool begun, struct sync_error *err)
{
	defer(clear_slice) struct slice s = { .m = p->members.m + from, .n = n };

	TRY(read_slice(p, &s, err));
	adapt(p, n, s.arena.used);
	for (size_t i = 0; i < n && !p->full; i++) {
		size_t unit = s.m[i].unit;
		bool begins = from + i == p->page.units[unit].first && !begun, open = false;

		if (begins)
			TRY(is_open(p, &s, i, &open, err));
		if (begins && !begin_unit(p, unit, open))
			return SYNC_OK;
		TRY(write_member(p, from + i, &s.record[i], s.send[i], err));
		begun = false;
	}
	return SYNC_OK;
}

/* What was gathered of the units before `end`; if that is not all of one, there is more to gather behind it. */
static enum sync_status write_members(struct pull *p, size_t end, bool begun, struct sync_error *err)
{
	const struct sync_members *all = &p->members;
	size_t n;

	for (size_t at = 0; at < all->n && !p->full; at += n) {
		n = all->n - at < p->at_once ? all->n - at : p->at_once;
		TRY(write_slice(p, at, n, begun && at == 0, err));
	}
	if (p->full)
		return SYNC_OK;
	if (all->cut)
		return keep_place(p, &all->m[all->n - 1], err);
	end_unit(p, end - 1); /* units that have no members */
	return SYNC_OK;
}

static enum sync_status write_page(struct pull *p, struct sync_error *err)
{
	struct page *page = &p->page;
	bool begun = false;
	size_t end;

	advance(p, 0);
	for (size_t from = 0; from < page->n_units && !p->full; from = begun ? from : end) {
		const struct sync_pending_rows rows = { p->db,    p->ask->site, p->all_seq, p->own_seq, 2 * p->ask->chunk_max,
							p->after, p->after_id };

		end = page->n_units;
		TRY(sync_members_gather(&p->members, &rows, page->units, from, &end, page->row, page->unit, page->n, err));
		TRY(write_members(p, end, begun, err));
		begun = p->members.cut;
	}
	p->n_sent += (uint32_t)page->n_units;
	return SYNC_OK;
}

/* Rows of groups that were sent, however many: else these would be sent again. */
static enum sync_status pass_sent(struct pull *p, struct sync_error *err)
{
	struct page *page = &p->page;

	while (page->passed == page->n && page->n == PAGE_ROWS) {
		TRY(read_page(p, err));
		for (size_t i = 0; i < page->n && i == page->passed; i++) {
			struct key key = key_of(&page->row[i]);

			if (key.root && sync_set_find(&p->sent, key.kind, key.id))
				pass_row(p);
		}
	}
	return SYNC_OK;
}

/*
 * Where more is to come, a row that had been behind the place may have been passed because it had moved up, to where it is no more
 * if central loses that: such a place is known by the newest routing transaction that was seen, any other by its own.
 */
static enum sync_status set_place(const struct pull *p, int64_t seq, struct sync_checkpoint *ret, struct sync_error *err)
{
	if (p->full && seq > 0)
		TRY(sync_routing_newest(p->db, ret, err));
	else
		TRY(sync_routing_id(p->db, seq, ret->id, err));
	ret->ordinal = 0;
	ret->seq = seq;
	return SYNC_OK;
}

/* A position that stays keeps the ids by which the site knows it. */
static enum sync_status set_position(const struct pull *p, struct sync_position *ret, struct sync_error *err)
{
	*ret = *p->ask->at;
	if (p->all_seq == ret->all.seq && p->own_seq == ret->own.seq)
		return SYNC_OK;
	TRY(set_place(p, p->all_seq, &ret->all, err));
	return set_place(p, p->own_seq, &ret->own, err);
}

/* What is at the end of a stream and was not read is the site's own. */
static void pass_own(struct pull *p)
{
	p->all_seq = p->all_newest > p->all_seq ? p->all_newest : p->all_seq;
	p->own_seq = p->own_newest > p->own_seq ? p->own_newest : p->own_seq;
}

static enum sync_status write_all(struct pull *p, struct sync_error *err)
{
	const struct page *page = &p->page;

	TRY(sync_outbox_newest(p->db, p->ask->site, &p->all_newest, &p->own_newest, err));
	if (p->all_newest <= p->all_seq && p->own_newest <= p->own_seq)
		return SYNC_OK;
	TRY(sync_unrouted_read(&p->unrouted, p->db, err));
	do {
		TRY(read_page(p, err));
		TRY(make_units(p, err));
		if (!p->n_sent)
			TRY(resume(p, err));
		TRY(write_page(p, err));
	} while (!p->full && page->n == PAGE_ROWS);
	if (p->full)
		TRY(pass_sent(p, err));
	p->full = page->passed < page->n;
	if (!p->full)
		pass_own(p);
	return SYNC_OK;
}

/* What the answer says of a group in parts. Before what is not routed the site keeps what it has of it. */
static enum sync_status set_rest(struct pull *p, struct sync_end *ret, struct sync_error *err)
{
	bool waits = p->held && p->goes_on && !p->part;

	if (p->goes_on)
		snprintf(waits ? ret->rest : ret->from, SYNC_REST, "%s", p->ask->rest);
	if (!p->part)
		return SYNC_OK;
	if (!p->goes_on)
		TRY(find_state(p, &p->page.units[p->page.unit[p->page.passed]], err));
	write_rest(p, ret->rest);
	return SYNC_OK;
}

enum sync_status sync_pull_write(struct sync_db *db, const struct sync_ask *ask, struct sync_writer *w, struct sync_end *ret,
				 bool *ret_held, struct sync_error *err)
{
	defer(close_pull) struct pull *p = calloc(1, sizeof *p);

	if (!p)
		return sync_fail(err, SYNC_ENOMEM, "a pull of site %" PRId64, ask->site);
	*p = (struct pull){
		.db = db, .ask = ask, .at_once = FIRST_RECORDS, .w = w, .all_seq = ask->at->all.seq, .own_seq = ask->at->own.seq
	};
	p->sent.arena = p->unrouted.groups.arena = &p->names;
	TRY(write_all(p, err));
	TRY(set_rest(p, ret, err));
	TRY(set_position(p, &ret->at, err));
	ret->more = 0;
	*ret_held = p->held;
	return p->full ? sync_outbox_count(db, ask->site, skip_of(ask), p->all_seq, p->own_seq, COUNT_LIMIT, &ret->more, err) : SYNC_OK;
}

/* positions */

enum sync_status sync_pull_known(struct sync_db *db, const struct sync_position *at, bool *ret, struct sync_error *err)
{
	bool all, own;

	TRY(sync_routing_known(db, &at->all, &all, err));
	TRY(sync_routing_known(db, &at->own, &own, err));
	*ret = (all && own) || SYNC_FAULT(places_not_compared);
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

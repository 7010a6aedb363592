#include "exchange/push.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <libsync/crypto.h>
#include <libsync/records.h>
#include <libsync/time.h>

#include "base/internal.h"
#include "exchange/checkpoint.h"
#include "exchange/extra.h"
#include "exchange/integrate.h"
#include "exchange/parted.h"
#include "exchange/route.h"
#include "exchange/spool.h"
#include "exchange/stores.h"
#include "schema/capture.h"

/*
 * site: choose whole groups, commit the checkpoint (ordinal, random id, upto), send
 *   request = header {base, made, part, cont}, records, end
 * central, in one transaction: base is the newest stored? integrate or spool, store made as the newest, commit
 *   answer = header {stored, integrated, highest}, …
 */

enum {
	RUN = 200,                 /* rows whose records are read at once */
	MOST_REMEMBERED = 1 << 20, /* sent out of order; beyond, they are sent again */
	FIRST_RECORD_BYTES = 100,
};

void sync_push_clear(struct sync_push *p)
{
	sync_seqs_clear(&p->sent);
	sync_pending_clear(&p->pending);
	free(p->bad);
	*p = (struct sync_push){ .o = p->o };
}

int64_t sync_push_records(const struct sync_push *p)
{
	return (int64_t)(p->to - p->from) - (int64_t)p->n_bad;
}

/* what a site sends */

static enum sync_status note_bad(struct sync_push *p, size_t row, const struct sync_fault *why, struct sync_error *err)
{
	struct sync_view text = sync_arena_copy(&p->pending.arena, sync_view_of(why->text));

	if (p->n_bad == p->cap_bad) {
		size_t cap = p->cap_bad ? p->cap_bad * 2 : 16;
		struct sync_unsendable *bad = realloc(p->bad, cap * sizeof *bad);

		if (!bad)
			return sync_fail(err, SYNC_ENOMEM, "noting %zu edits", cap);
		p->bad = bad;
		p->cap_bad = cap;
	}
	if (!text.data)
		return sync_fail(err, SYNC_ENOMEM, "noting %zu edits", p->n_bad);
	p->bad[p->n_bad++] = (struct sync_unsendable){ row, { why->code, why->field, text.data } };
	return SYNC_OK;
}

/* Rows from..to of pending with their records. */
struct run {
	struct sync_db *db;
	const struct sync_link *link;
	int64_t now_us;
	size_t from, n;
	struct sync_record r[RUN];
	struct sync_arena arena;
};

static void free_run(struct run **run)
{
	if (*run)
		sync_arena_clear(&(*run)->arena);
	free(*run);
}

/* The records of all rows of one entity, by one statement. */
static enum sync_status read_entity(struct run *run, const struct sync_change *row, const struct sync_entity *e, bool *done,
				    struct sync_error *err)
{
	struct sync_view ids[RUN];
	size_t at[RUN], n = 0;
	struct sync_record *r;

	for (size_t i = 0; i < run->n; i++) {
		if (row[i].entity != e || done[i])
			continue;
		done[i] = true;
		at[n] = i;
		ids[n++] = row[i].id;
	}
	r = sync_arena_get(&run->arena, n * sizeof *r);
	if (!r)
		return sync_fail(err, SYNC_ENOMEM, "reading %zu records", n);
	TRY(sync_records_get(run->db, e, (struct sync_view){ 0 }, ids, n, &run->arena, r, err));
	for (size_t i = 0; i < n; i++)
		run->r[at[i]] = r[i];
	return SYNC_OK;
}

/* Version, base and age, from which central decides conflicts. */
static enum sync_status add_version(struct run *run, struct sync_record *r, const struct sync_change *row,
				    struct sync_error *err)
{
	char version[SYNC_VERSION_TEXT];

	snprintf(version, sizeof version, "%" PRId64 ".%s.%" PRId64, run->link->site_id, run->link->branch, row->seq);
	r->version = sync_arena_copy(&run->arena, sync_view_of(version));
	r->base = row->base;
	r->age_ms = run->now_us > row->at_us ? (run->now_us - row->at_us) / 1000 : 0;
	return r->version.data ? SYNC_OK : sync_fail(err, SYNC_ENOMEM, "writing a version");
}

static enum sync_status read_run(struct run *run, const struct sync_change *row, struct sync_error *err)
{
	bool done[RUN] = { false };

	sync_arena_reset(&run->arena);
	for (size_t i = 0; i < run->n; i++) {
		run->r[i] = (struct sync_record){ .entity = row[i].entity,
						  .name = row[i].name,
						  .id = row[i].id,
						  .action = row[i].action,
						  .root = row[i].root,
						  .age_ms = -1 };
		done[i] = !row[i].entity || row[i].action == SYNC_DELETE;
	}
	for (size_t i = 0; i < run->n; i++)
		if (!done[i])
			TRY(read_entity(run, row, row[i].entity, done, err));
	for (size_t i = 0; i < run->n; i++) {
		run->r[i].seq = row[i].seq;
		run->r[i].version = (struct sync_view){ 0 };
		if (row[i].entity && row[i].entity->owner == SYNC_OWNER_ANY)
			TRY(add_version(run, &run->r[i], &row[i], err));
	}
	return SYNC_OK;
}

/* Whether something that central sent is not applied, because of what was done here. */
static enum sync_status find_held(struct sync_db *db, bool *ret, struct sync_error *err)
{
	static const char any[] = "SELECT 1 FROM sync_inbox WHERE code IN ('local_edit', 'waiting_edit', 'referenced') LIMIT 1";
	int64_t some;

	TRY(sync_db_number(db, any, SYNC_NOARGS, 0, &some, err));
	*ret = some != 0;
	return SYNC_OK;
}

/* Whether all of a record's values would arrive. Central judges the other faults, and says what it thinks of them. */
static bool arrives(const struct sync_record *r, struct sync_arena *arena)
{
	defer(sync_buf_clear) struct sync_buf line = { .max = sync_default_limits.line_bytes };
	struct sync_record there;

	if (!r->fault)
		return true;
	sync_record_write(&line, r);
	if (line.status != SYNC_OK || line.len == 0 ||
	    sync_record_read(&there, arena, sync_buf_view(&line), &sync_default_limits, NULL) != SYNC_OK)
		return false;
	for (size_t i = 0; i < r->entity->n_fields; i++)
		if (r->values[i].kind != SYNC_ABSENT && there.values[i].kind == SYNC_ABSENT)
			return false;
	return true;
}

/* Why a change cannot be sent, or NULL. */
static const struct sync_fault *find_obstacle(struct run *run, const struct sync_record *r)
{
	static const struct sync_fault unknown = { "unknown_entity", NULL, "this version of the program has no such entity" };
	static const struct sync_fault missing = { "missing_record", NULL, "the record is not there, and nothing here tells that it was deleted" };

	if (!r->entity)
		return &unknown;
	if (r->action != SYNC_PUT)
		return NULL;
	if (!r->values)
		return &missing;
	return arrives(r, &run->arena) ? NULL : r->fault;
}

static enum sync_status write_run(struct sync_push *p, struct run *run, struct sync_writer *w, struct sync_error *err)
{
	static const struct sync_fault bad_id = { "bad_value", "id", "its id, or its root's, is not UTF-8 text of at most 255 bytes" };
	static_assert(SYNC_MAX_ID == 255, "as in the text");

	TRY(read_run(run, p->pending.row + run->from, err));
	for (size_t i = 0; i < run->n; i++) {
		const struct sync_fault *obstacle = find_obstacle(run, &run->r[i]);
		int64_t before = sync_writer_records(w);

		if (!obstacle)
			sync_writer_record(w, &run->r[i]);
		if (!obstacle && sync_writer_records(w) == before)
			obstacle = &bad_id;
		if (obstacle)
			TRY(note_bad(p, run->from + i, obstacle, err));
	}
	return SYNC_OK;
}

/* The end of the last cluster that ends at or before a row; from when none does. */
static size_t last_end(const struct sync_push *p, size_t row)
{
	size_t end = p->from;

	for (size_t i = 0; i < p->pending.n_clusters && p->pending.end[i] <= row; i++)
		end = p->pending.end[i] > end ? p->pending.end[i] : end;
	return end;
}

/*
 * Where a message that has become larger than it should ends instead: after the last whole cluster, or within the only one when
 * even that is too large. 0: nowhere, go on.
 */
static size_t cut_at(const struct sync_push *p, size_t written, size_t size, size_t want)
{
	size_t whole = last_end(p, written);

	if (written >= p->to)
		return 0;
	if (whole > p->from)
		return size > 2 * want ? whole : 0;
	return size > p->o->message_max / 4 * 3 ? written : 0;
}

static enum sync_status write_rows(struct sync_push *p, struct run *run, struct sync_writer *w, size_t want, size_t *ret_cut,
				   struct sync_error *err)
{
	p->n_bad = 0;
	*ret_cut = 0;
	for (size_t at = p->from; at < p->to; at += run->n) {
		run->from = at;
		run->n = p->to - at < RUN ? p->to - at : RUN;
		TRY(write_run(p, run, w, err));
		*ret_cut = cut_at(p, at + run->n, sync_writer_size(w), want);
		if (*ret_cut)
			break;
	}
	return SYNC_OK;
}

/*
 * The first cluster may have been too large for the message before. Whoever changed it meanwhile gets it sent again from its
 * start, so that all of it is of one moment.
 */
static void recognise_part(struct sync_push *p)
{
	size_t rows = p->pending.end[0];
	int64_t newest = 0;

	for (size_t i = 0; i < rows; i++)
		newest = p->pending.row[i].seq > newest ? p->pending.row[i].seq : newest;
	if (rows != p->part_rows || newest != p->part_newest)
		p->part_done = 0;
	p->part_rows = rows;
	p->part_newest = newest;
}

/* Which rows the message has if they are not too many bytes. */
static void plan(struct sync_push *p)
{
	size_t most = (size_t)p->o->chunk_max;

	p->from = 0;
	p->to = p->pending.n;
	if (p->pending.n == 0)
		return;
	recognise_part(p);
	p->from = p->part_done;
	if (p->from > 0 || p->part_rows > most)
		p->to = p->part_rows - p->from > most ? p->from + most : p->part_rows;
}

static enum sync_status count_after(struct sync_db *db, int64_t seq, int64_t *ret, struct sync_error *err)
{
	static const char count[] = "SELECT count(*) FROM sync_changelog WHERE seq > $1";

	return sync_db_number(db, count, SYNC_ARGS(sync_int(seq)), 0, ret, err);
}

enum sync_status sync_unpushed(struct sync_db *db, int64_t *ret, struct sync_error *err)
{
	struct sync_link link;

	TRY(sync_link_get(db, &link, err));
	return count_after(db, link.out.seq, ret, err);
}

/* 0 only when nothing is left; what was sent out of order is not told apart exactly. */
static enum sync_status count_left(const struct sync_push *p, struct sync_db *db, const struct sync_link *link, int64_t *ret,
				   struct sync_error *err)
{
	int64_t left;

	*ret = 0;
	if (p->pending.all && p->to == p->pending.n)
		return SYNC_OK;
	TRY(count_after(db, link->out.seq, &left, err));
	left -= (int64_t)(p->to + p->sent.n);
	*ret = left > 1 ? left : 1;
	return SYNC_OK;
}

static enum sync_status make_checkpoint(struct sync_push *p, const struct sync_link *link, struct sync_error *err)
{
	p->made = (struct sync_checkpoint){ .ordinal = link->made.ordinal + 1, .seq = link->out.seq };
	sync_random_hex(p->made.id, SYNC_CHECKPOINT_ID);
	return p->part ? SYNC_OK : sync_pending_upto(&p->pending, p->to, link->out.seq, &p->sent, &p->made.seq, err);
}

static enum sync_status write_message(struct sync_push *p, struct run *run, struct sync_header *h, struct sync_writer *w,
				      size_t want, struct sync_view *ret, struct sync_error *err)
{
	struct sync_end end = { 0 };
	size_t cut = 0;

	plan(p);
	do {
		if (cut)
			p->to = cut;
		p->part = p->pending.n > 0 && p->to < p->pending.end[0];
		TRY(make_checkpoint(p, run->link, err));
		TRY(count_left(p, run->db, run->link, &h->unpushed, err));
		h->part = p->part;
		h->cont = p->from > 0;
		h->made = p->to > 0 ? p->made : (struct sync_checkpoint){ 0 };
		sync_writer_begin(w, h, true);
		TRY(write_rows(p, run, w, want, &cut, err));
	} while (cut);
	TRY(sync_writer_end(w, &end, ret, err));
	if (end.records > 0)
		p->record_bytes = (double)ret->len / (double)end.records;
	return SYNC_OK;
}

/*
 * Until the site has caught up, all that it edits may have been overtaken; and what was edited by then goes under a later number when
 * it is edited once more before it goes.
 */
static enum sync_status set_upto(const struct run *run, struct sync_header *h, struct sync_error *err)
{
	static const char newest[] = "SELECT " SYNC_NEWEST_SEQ;

	if (!h->echo && run->link->out.seq >= h->fork.upto)
		return SYNC_OK;
	return sync_db_number(run->db, newest, SYNC_NOARGS, 0, &h->fork.upto, err);
}

static enum sync_status read_and_write(struct sync_push *p, struct run *run, struct sync_header *h, struct sync_writer *w,
				       size_t want, struct sync_view *ret, struct sync_error *err)
{
	double fit = (double)want / (p->record_bytes > 0 ? p->record_bytes : FIRST_RECORD_BYTES);
	size_t most = fit < (double)p->o->chunk_max ? (size_t)fit : (size_t)p->o->chunk_max;

	TRY(set_upto(run, h, err));
	TRY(sync_pending_read(&p->pending, run->db, run->link->out.seq, most > 0 ? most : 1, &p->sent, err));
	TRY(find_held(run->db, &h->held, err));
	return write_message(p, run, h, w, want, ret, err);
}

static enum sync_status put_checkpoint(struct sync_db *db, const struct sync_checkpoint *c, const struct sync_link *link,
				       struct sync_error *err)
{
	static const char set[] =
	    "UPDATE sync_link SET made_ordinal = $1, made_id = $2, made_upto = $3, unanswered = 1, fork_upto = $4";

	if (SYNC_FAULT(checkpoint_not_kept))
		return SYNC_OK;
	TRY(sync_checkpoint_put(db, 0, c, link->made.ordinal, err));
	return sync_db_run(db, set,
			   SYNC_ARGS(sync_int(c->ordinal), sync_text(c->id), sync_int(c->seq), sync_int(link->fork.upto)), NULL,
			   NULL, err);
}

/* Of the records whose deletes are in the message. */
static enum sync_status forget_extra(const struct sync_push *p, struct sync_db *db, struct sync_error *err)
{
	defer(freep) struct sync_gone *gone = malloc((p->to - p->from + 1) * sizeof *gone);
	size_t n = 0;

	if (!gone)
		return sync_fail(err, SYNC_ENOMEM, "unknown fields of %zu records", p->to - p->from);
	for (size_t i = p->from; i < p->to; i++)
		if (p->pending.row[i].entity && p->pending.row[i].action == SYNC_DELETE)
			gone[n++] = (struct sync_gone){ p->pending.row[i].entity, p->pending.row[i].id };
	return sync_extra_forget(db, gone, n, err);
}

static enum sync_status commit_checkpoint(const struct sync_push *p, struct sync_db *db, struct sync_link *link,
					  struct sync_error *err)
{
	const struct sync_checkpoint *c = &p->made;
	enum sync_status status;

	TRY(sync_db_begin(db, true, err));
	status = put_checkpoint(db, c, link, err);
	if (status == SYNC_OK)
		status = forget_extra(p, db, err);
	if (status != SYNC_OK) {
		sync_db_rollback(db);
		return status;
	}
	TRY(sync_db_commit(db, err));
	link->made = *c;
	link->unanswered = true;
	return SYNC_OK;
}

enum sync_status sync_push_write(struct sync_push *p, struct sync_db *db, struct sync_link *link, struct sync_header *h,
				 struct sync_writer *w, size_t want, struct sync_view *ret, struct sync_error *err)
{
	defer(free_run) struct run *run = calloc(1, sizeof *run);
	enum sync_status status;

	if (!run)
		return sync_fail(err, SYNC_ENOMEM, "writing a request");
	run->db = db;
	run->link = link;
	run->now_us = sync_now_us();
	TRY(sync_db_begin(db, false, err));
	status = read_and_write(p, run, h, w, want, ret, err);
	sync_db_rollback(db);
	if (status != SYNC_OK || p->to == 0)
		return status;
	if (h->fork.made)
		link->fork.upto = h->fork.upto;
	return commit_checkpoint(p, db, link, err);
}

/* Verdicts of the site itself have negative numbers, so they are no part of central's count. */
static enum sync_status put_bad(const struct sync_push *p, struct sync_db *db, const struct sync_unsendable *bad,
				struct sync_error *err)
{
	static const char put[] = "INSERT INTO sync_verdict(site_id, n, kind, entity, record_id, seq, code, field, text, at_us)"
				  "    VALUES (0, $1, 'refused', $2, $3, $4, $5, $6, $7, $8) ON CONFLICT DO NOTHING";
	const struct sync_change *row = &p->pending.row[bad->row];

	return sync_db_run(db, put,
			   SYNC_ARGS(sync_int(-row->seq), sync_string(row->name), sync_string(row->id), sync_int(row->seq),
				     sync_text(bad->why.code), sync_text(bad->why.field), sync_text(bad->why.text),
				     sync_int(sync_now_us())),
			   NULL, NULL, err);
}

enum sync_status sync_push_settle(struct sync_push *p, struct sync_db *db, struct sync_error *err)
{
	static const char drop[] = "DELETE FROM sync_verdict WHERE site_id = 0 AND n < 0"
				   "    AND NOT EXISTS (SELECT 1 FROM sync_changelog c WHERE c.seq = sync_verdict.seq)";

	TRY(sync_db_run(db, drop, SYNC_NOARGS, NULL, NULL, err));
	for (size_t i = 0; i < p->n_bad; i++)
		TRY(put_bad(p, db, &p->bad[i], err));
	return SYNC_OK;
}

/* What of the message, and of those before it, is above its upto; ret may be p->sent. */
static enum sync_status remember(const struct sync_push *p, struct sync_seqs *ret, struct sync_error *err)
{
	defer(sync_seqs_clear) struct sync_seqs kept = { 0 };

	for (size_t i = 0; i < p->sent.cap; i++)
		if (p->sent.slots[i] > p->made.seq)
			TRY(sync_seqs_add(&kept, p->sent.slots[i], err));
	for (size_t i = 0; i < p->to; i++)
		if (p->pending.row[i].seq > p->made.seq && kept.n < MOST_REMEMBERED)
			TRY(sync_seqs_add(&kept, p->pending.row[i].seq, err));
	sync_seqs_clear(ret);
	*ret = kept;
	kept = (struct sync_seqs){ 0 };
	return SYNC_OK;
}

enum sync_status sync_push_done(struct sync_push *p, struct sync_error *err)
{
	p->part_done = p->part ? p->to : 0;
	if (!p->part)
		TRY(remember(p, &p->sent, err));
	p->from = p->to = p->n_bad = 0;
	return SYNC_OK;
}

enum sync_status sync_push_follow(struct sync_push *next, const struct sync_push *p, struct sync_error *err)
{
	next->record_bytes = p->record_bytes;
	next->part_done = 0;
	next->from = next->to = next->n_bad = 0;
	return remember(p, &next->sent, err);
}

/* what central takes */

enum {
	AT_ONCE = 20000, /* records that are integrated before the answer */
	PER_BATCH = 5000,
	ROUTE_ROWS = 10000,
	ROUTE_STEPS = 20,
};

enum sync_status sync_route_within(struct sync_db *db, struct sync_error *err)
{
	bool more = !sync_db_dialect(db)->postgres;

	for (int i = 0; i < ROUTE_STEPS && more; i++)
		TRY(sync_route_step(db, ROUTE_ROWS, &more, err));
	return SYNC_OK;
}

/* A push being taken. */
struct taking {
	struct sync_db *db;
	const struct sync_header *h;
	struct sync_batch *b;
	struct sync_peer peer;
	int64_t now_us;
	int64_t highest;
	int64_t waiting_max;
	const struct sync_checkpoint *follows;
	struct sync_outcome outcome;
	struct sync_taken taken;
};

static enum sync_status check_made(const struct taking *t, struct sync_error *err)
{
	const struct sync_checkpoint *made = &t->h->made, *in = &t->peer.in;
	int64_t base = t->follows && t->h->base.seq < in->seq ? t->h->base.seq : in->seq;

	if (!made->id[0])
		return sync_fail(err, SYNC_EBADFRAME, "checkpoint %" PRId64 " has no id", made->ordinal);
	if (made->ordinal <= in->ordinal || made->seq < base)
		return sync_fail(err, SYNC_EBADFRAME,
				 "checkpoint %" PRId64 " upto %" PRId64 " does not follow %" PRId64 " upto %" PRId64,
				 made->ordinal, made->seq, in->ordinal, in->seq);
	return SYNC_OK;
}

static void note_records(struct taking *t)
{
	for (size_t i = 0; i < t->b->n; i++)
		t->highest = t->b->r[i].seq > t->highest ? t->b->r[i].seq : t->highest;
	t->taken.records += (int64_t)t->b->n;
}

/* An edit is no older than the exchange after which its site had nothing left. */
static struct sync_intake intake_of(const struct taking *t)
{
	return (struct sync_intake){
		.source = t->peer.site_id,
		.now_us = t->now_us,
		.last_seen_us = t->peer.unpushed == 0 ? t->peer.last_seen_us : 0,
		.branch = t->h->branch,
		.at = t->h->held ? NULL : &t->h->at,
	};
}

/* *ret_large: too many records for one transaction, which is to be rolled back. */
static enum sync_status integrate_all(struct taking *t, struct sync_reader *reader, bool *ret_large, struct sync_error *err)
{
	struct sync_intake in = intake_of(t);

	sync_batch_open(t->b);
	while (!t->b->ended) {
		size_t left = AT_ONCE + 1 - (size_t)t->taken.records;

		TRY(sync_batch_read(t->b, reader, PER_BATCH, left, err));
		note_records(t);
		*ret_large = t->taken.records > AT_ONCE;
		if (*ret_large)
			return SYNC_OK;
		if (t->b->n > 0)
			TRY(sync_integrate(t->db, &in, t->b->r, t->b->lines, t->b->n, &t->outcome, err));
	}
	return SYNC_OK;
}

static enum sync_status check_cont(struct taking *t, struct sync_error *err)
{
	static const char last[] = "SELECT part FROM sync_spool WHERE source = $1 ORDER BY n DESC LIMIT 1";
	int64_t part;

	TRY(sync_db_number(t->db, last, SYNC_ARGS(sync_int(t->peer.site_id)), 0, &part, err));
	return part ? SYNC_OK
		    : sync_fail(err, SYNC_EBADFRAME, "the request goes on with a group that no request before it began");
}

/* What is kept for later is read to its end now: a malformed message is never acknowledged. */
static enum sync_status spool_all(struct taking *t, struct sync_view body, struct sync_error *err)
{
	defer(sync_reader_freep) struct sync_reader *reader = NULL;
	struct sync_header h;

	TRY(sync_reader_new(&reader, body, &sync_default_limits, err));
	TRY(sync_reader_header(reader, &h, true, err));
	sync_batch_open(t->b);
	t->taken.records = 0;
	while (!t->b->ended) {
		TRY(sync_batch_read(t->b, reader, PER_BATCH, PER_BATCH, err));
		note_records(t);
	}
	t->taken.spooled = true;
	return sync_spool_put(t->db, t->peer.site_id, t->h->made.ordinal, body, t->taken.records, t->h->made.seq,
			      t->h->part ? SYNC_SPOOL_BEGINS : SYNC_SPOOL_WHOLE, err);
}

static enum sync_status keep_checkpoint(struct taking *t, struct sync_error *err)
{
	static const char set[] =
	    "UPDATE sync_site SET branch = $1, in_ordinal = $2, in_id = $3, in_upto = $4, in_highest = $5, in_integrated = $6,"
	    "    spooled = (SELECT count(*) FROM sync_spool WHERE source = $7) WHERE site_id = $8";
	const struct sync_checkpoint *made = &t->h->made;
	int64_t site = t->peer.site_id;

	TRY(sync_db_run(t->db, set,
			SYNC_ARGS(sync_text(t->h->branch), sync_int(made->ordinal), sync_text(made->id), sync_int(made->seq),
				  sync_int(t->highest), sync_int(t->taken.spooled && !SYNC_FAULT(integrated_early) ? t->peer.integrated : made->seq),
				  sync_int(site), sync_int(site)),
			NULL, NULL, err));
	TRY(sync_checkpoint_put(t->db, site, made, t->peer.in.ordinal, err));
	return sync_peer_note(t->db, site, t->h, t->now_us, err);
}

/* In a write transaction. *ret_large as above. */
static enum sync_status take(struct taking *t, struct sync_reader *reader, struct sync_view body, struct sync_seen *seen,
			     bool spool, bool *ret_large, struct sync_error *err)
{
	int loss;
	bool behind;

	TRY(sync_peer_get(t->db, t->peer.site_id, true, &t->peer, err));
	TRY(sync_peer_admit(&t->peer, t->h->branch, err));
	if (seen)
		sync_seen_get(seen, &t->peer);
	TRY(sync_peer_check(t->db, &t->peer, t->h, &loss, err));
	t->taken.refused = (strcmp(t->follows ? t->follows->id : t->h->base.id, t->peer.in.id) != 0 && !SYNC_FAULT(any_base)) ||
			   loss != SYNC_LOSS_NONE;
	if (t->taken.refused)
		return SYNC_OK;
	TRY(check_made(t, err));
	TRY(sync_parted_branch(t->db, &t->peer, t->h, &t->taken.copied, err));
	if (t->taken.copied)
		return SYNC_OK;
	t->highest = t->peer.highest > t->h->made.seq ? t->peer.highest : t->h->made.seq;
	TRY(t->h->cont ? check_cont(t, err) : sync_spool_drop_parts(t->db, t->peer.site_id, err));
	TRY(sync_spool_pending(t->db, t->peer.site_id, &behind, err));
	if (spool || behind || t->h->part || t->h->cont)
		TRY(spool_all(t, body, err));
	else
		TRY(integrate_all(t, reader, ret_large, err));
	if (*ret_large)
		return SYNC_OK;
	TRY(sync_waiting_check(t->db, t->peer.site_id, t->taken.spooled ? NULL : &t->outcome, t->h->unpushed == 0, t->waiting_max,
			       err));
	TRY(keep_checkpoint(t, err));
	TRY(sync_store_settle(t->db, t->peer.site_id, err));
	return sync_route_within(t->db, err);
}

enum sync_status sync_push_take(struct sync_db *db, int64_t site_id, const struct sync_header *h, struct sync_reader *reader,
				struct sync_view body, struct sync_batch *b, struct sync_seen *seen, int64_t waiting_max,
				const struct sync_checkpoint *follows, struct sync_taken *ret, struct sync_error *err)
{
	bool large = false, spool = false;

	if (h->fork.made) /* what it has not heard of is looked for in the outbox */
		TRY(sync_route_all(db, err));
	do {
		struct taking t = {
			.db = db,
			.h = h,
			.b = b,
			.peer.site_id = site_id,
			.now_us = sync_now_us(),
			.waiting_max = waiting_max,
			.follows = follows,
		};
		enum sync_status status;

		spool = large;
		large = false;
		TRY(sync_db_begin(db, true, err));
		status = take(&t, reader, body, seen, spool, &large, err);
		if (status != SYNC_OK || large || t.taken.refused)
			sync_db_rollback(db);
		else
			status = sync_db_commit(db, err);
		if (status != SYNC_OK)
			return status;
		*ret = t.taken;
		if (t.taken.copied)
			return sync_peer_admit(&t.peer, h->branch, err);
	} while (large);
	return SYNC_OK;
}

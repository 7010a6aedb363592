#include "exchange/offer.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include <libsync/crypto.h>
#include <libsync/records.h>
#include <libsync/time.h>

#include "base/internal.h"
#include "exchange/altered.h"
#include "exchange/link.h"
#include "exchange/pulled.h"
#include "exchange/verify.h"
#include "schema/capture.h"

/*
 * sync_pulled, behind the place that both know -> sync_offer        a row per transaction
 * the tables, where the log does not reach     -> sync_offer        a page per transaction
 * sync_offer -> request {loss, offered}, records, end;  answer: what is in it counts as offered
 *            -> request {loss, offered}, end;  answer: ordinary requests again, with offered
 * the answer to the last of them brings all that is left: sync_offer is emptied
 */

enum {
	PAGE = 2000, /* rows of a table */
	RUN = 500,   /* records read together */
	MOST = 5000, /* of a message: central takes it in one transaction */
	MAX_SQL = 1024,
};

/* What is offered of two histories is of neither. While offers are kept nothing else has come: they are of the one they were of. */
static void note_lost(struct sync_link *link, int loss)
{
	const struct sync_position *at = &link->at;
	const struct sync_checkpoint none = { 0 };

	if ((loss & SYNC_LOSS_CENTRAL) && !link->offered.id[0])
		link->lost = link->loss & SYNC_LOSS_CENTRAL ? none : at->all.seq > at->own.seq ? at->all : at->own;
}

enum sync_status sync_offer_begin(struct sync_db *db, struct sync_link *link, int loss, int64_t after, bool whole,
				  struct sync_error *err)
{
	static const char begin[] = "UPDATE sync_link SET offer = offer | $1, offer_after = $2, offered = 0, offered_id = $3,"
				    "    offered_entity = '', offered_record = '', offer_lost_seq = $4, offer_lost_id = $5";
	static const char rest[] = "UPDATE sync_link SET offer = offer | $1, offer_entity = '', offer_id = ''";

	note_lost(link, loss);
	link->loss |= loss;
	link->offered.seq = 0;
	sync_random_hex(link->offered.id, SYNC_CHECKPOINT_ID);
	TRY(sync_db_run(db, begin,
			SYNC_ARGS(sync_int(loss), sync_int(after), sync_text(link->offered.id), sync_int(link->lost.seq),
				  sync_text(link->lost.id)), NULL, NULL, err));
	if (whole && !(loss & SYNC_LOSS_OLD))
		return SYNC_OK;
	return sync_db_run(db, rest, SYNC_ARGS(sync_int(whole ? 0 : SYNC_OFFER_REST)), NULL, NULL, err);
}

/* collecting */

/*
 * What is pushed again is the record as it is now. If it came from central since it was pushed first, a central that finds that push
 * back has another one under the number: it is another edit, of what came, and no older than that. What a new branch moved has new
 * numbers, by which central judges it.
 */
static enum sync_status renew(struct sync_db *db, struct sync_view entity, struct sync_view id, struct sync_error *err)
{
	static const char set[] =
	    "UPDATE sync_changelog AS c SET seq = " SYNC_NEWEST_SEQ " + 1, base = coalesce(c.base, v.version),"
	    "    at_us = max(c.at_us, coalesce(v.received_us, 0))"
	    "    FROM (SELECT 1) LEFT JOIN sync_version v ON v.entity = $1 AND v.record_id = $2"
	    "    WHERE c.entity = $3 AND c.record_id = $4 AND c.seq > (SELECT max(out_upto, fork * fork_upto) FROM sync_link)";

	return sync_db_run(db, set, SYNC_ARGS(sync_string(entity), sync_string(id), sync_string(entity), sync_string(id)), NULL, NULL,
			   err);
}

/* What came last is what counts. */
static enum sync_status collect(void *ctx, struct sync_view entity, struct sync_view id, enum sync_action action, int64_t seq,
				struct sync_error *err)
{
	static const char put[] = "INSERT INTO sync_offer(entity, record_id, action, seq) VALUES ($1, $2, $3, $4)"
				  "    ON CONFLICT (entity, record_id) DO UPDATE SET action = excluded.action, seq = excluded.seq";
	const char text[] = { (char)action, '\0' };

	TRY(renew(ctx, entity, id, err));
	return sync_db_run(ctx, put, SYNC_ARGS(sync_string(entity), sync_string(id), sync_text(text), sync_int(seq)), NULL, NULL,
			   err);
}

/* How far collecting is. */
struct collecting {
	int64_t after;
	int64_t seq; /* of what is found in the tables: 1, the oldest, if it may be lost */
	bool tables; /* they are gone through, from here on: */
	char entity[64], id[SYNC_MAX_ID + 1];
};

static enum sync_status take_collecting(void *ctx, const struct sync_value *v, size_t n, struct sync_error *err)
{
	struct collecting *c = ctx;

	(void)n, (void)err;
	c->after = v[0].i;
	c->tables = v[1].kind == SYNC_STRING;
	if (c->tables)
		snprintf(c->entity, sizeof c->entity, "%.*s", SYNC_VIEW(v[1].s));
	if (v[2].kind == SYNC_STRING)
		snprintf(c->id, sizeof c->id, "%.*s", SYNC_VIEW(v[2].s));
	c->seq = (v[3].i & SYNC_OFFER_REST) != 0;
	return SYNC_OK;
}

/* The entity that is being gone through; NULL behind the last. */
static const struct sync_entity *at_entity(const struct collecting *c)
{
	size_t n;
	const struct sync_entity *const *all = sync_entities(&n);

	return c->entity[0] ? sync_entity_find(sync_view_of(c->entity)) : n ? all[0] : NULL;
}

static const struct sync_entity *next_entity(const struct sync_entity *e)
{
	size_t n, at = sync_entity_order(e) + 1;
	const struct sync_entity *const *all = sync_entities(&n);

	return at < n ? all[at] : NULL;
}

static enum sync_status keep_place(struct sync_db *db, const char *entity, const char *id, struct sync_error *err)
{
	static const char set[] = "UPDATE sync_link SET offer_entity = $1, offer_id = $2";

	return sync_db_run(db, set, SYNC_ARGS(sync_text(entity), sync_text(id)), NULL, NULL, err);
}

/* What is only in sync_extra: records of entities that this build does not know, all at once, for they are few. */
static enum sync_status collect_unknown(struct sync_db *db, const struct collecting *c, struct sync_error *err)
{
	static const char put[] = "INSERT INTO sync_offer(entity, record_id, action, seq)"
				  "    SELECT entity, record_id, 'P', $1 FROM sync_extra WHERE true"
				  "    ON CONFLICT (entity, record_id) DO UPDATE SET seq = max(seq, excluded.seq)";

	TRY(sync_db_run(db, put, SYNC_ARGS(sync_int(c->seq)), NULL, NULL, err));
	return keep_place(db, NULL, NULL, err);
}

/* NULL: the page is empty. */
static enum sync_status take_last(void *ctx, const struct sync_value *v, size_t n, struct sync_error *err)
{
	struct sync_buf *b = ctx;

	(void)n;
	if (v[0].kind == SYNC_STRING)
		sync_buf_add_view(b, v[0].s);
	return sync_buf_check(b, err);
}

static enum sync_status collect_page(struct sync_db *db, const struct collecting *c, struct sync_error *err)
{
	const struct sync_entity *e = at_entity(c);
	defer(sync_buf_clear) struct sync_buf put = { .max = MAX_SQL }, last = { .max = MAX_SQL }, id = { .max = MAX_SQL };

	if (!e)
		return collect_unknown(db, c, err);
	sync_buf_addf(&put,
		      "INSERT INTO sync_offer(entity, record_id, action, seq)"
		      "    SELECT '%s', id, 'P', $1 FROM (SELECT id FROM \"%s\" WHERE id > $2 ORDER BY id LIMIT $3) page WHERE true"
		      "    ON CONFLICT (entity, record_id) DO UPDATE SET seq = max(seq, excluded.seq)",
		      e->name, e->name);
	sync_buf_addf(&last, "SELECT max(id) FROM (SELECT id FROM \"%s\" WHERE id > $1 ORDER BY id LIMIT $2) page", e->name);
	TRY(sync_buf_check(&put, err));
	TRY(sync_buf_check(&last, err));
	TRY(sync_db_run_text(db, put.data, SYNC_ARGS(sync_int(c->seq), sync_text(c->id), sync_int(PAGE)), NULL, NULL, err));
	TRY(sync_db_run_text(db, last.data, SYNC_ARGS(sync_text(c->id), sync_int(PAGE)), take_last, &id, err));
	if (id.len > 0)
		return keep_place(db, e->name, id.data, err);
	e = next_entity(e);
	return e ? keep_place(db, e->name, "", err) : collect_unknown(db, c, err);
}

/* In a transaction. *ret_more: something was collected, and more may be. */
static enum sync_status collect_some(struct sync_db *db, bool *ret_more, struct sync_error *err)
{
	static const char get[] = "SELECT offer_after, offer_entity, offer_id, offer FROM sync_link";
	struct collecting c = { 0 };

	TRY(sync_db_run(db, get, SYNC_NOARGS, take_collecting, &c, err));
	TRY(sync_pulled_take(db, c.after, collect, db, ret_more, err));
	if (*ret_more || !c.tables)
		return SYNC_OK;
	*ret_more = true;
	return collect_page(db, &c, err);
}

/* sending */

/* One row of sync_offer. */
struct row {
	struct sync_view entity, id;
	bool edited;           /* here, and not pushed: central gets the edit */
	enum sync_action action;
	int64_t seq;
	bool waits; /* something in the inbox, which is newer than what the table has: */
	struct sync_record waiting;
};

struct run {
	struct sync_arena arena;
	struct row row[RUN];
	size_t n;
};

static void free_run(struct run **run)
{
	if (*run)
		sync_arena_clear(&(*run)->arena);
	free(*run);
}

static enum sync_status read_waiting(struct run *run, struct row *row, struct sync_view line, struct sync_error *err)
{
	struct sync_view frame = sync_arena_copy(&run->arena, line);

	if (!frame.data)
		return sync_fail(err, SYNC_ENOMEM, "reading %zu offers", run->n);
	return sync_record_read(&row->waiting, &run->arena, frame, &sync_default_limits, err);
}

static enum sync_status take_row(void *ctx, const struct sync_value *v, size_t n, struct sync_error *err)
{
	struct run *run = ctx;
	struct row *row = &run->row[run->n++];

	(void)n;
	*row = (struct row){ .entity = sync_arena_copy(&run->arena, v[0].s),
			     .id = sync_arena_copy(&run->arena, v[1].s),
			     .action = (enum sync_action)v[2].s.data[0],
			     .seq = v[3].i,
			     .edited = v[4].kind == SYNC_INT };
	row->waits = v[5].kind == SYNC_STRING;
	if (!row->entity.data || !row->id.data)
		return sync_fail(err, SYNC_ENOMEM, "reading %zu offers", run->n);
	return row->waits ? read_waiting(run, row, v[5].s, err) : SYNC_OK;
}

static enum sync_status read_rows(struct sync_db *db, const struct sync_link *link, const struct row *after, struct run *run,
				  struct sync_error *err)
{
	static const char next[] =
	    "SELECT o.entity, o.record_id, o.action, o.seq, c.seq, i.frame FROM sync_offer o"
	    "    LEFT JOIN sync_changelog c ON c.entity = o.entity AND c.record_id = o.record_id AND c.seq > $1"
	    "    LEFT JOIN sync_inbox i ON i.source = 0 AND i.entity = o.entity AND i.record_id = o.record_id"
	    "    WHERE (o.entity, o.record_id) > ($2, $3) ORDER BY o.entity, o.record_id LIMIT $4";

	sync_arena_reset(&run->arena);
	run->n = 0;
	return sync_db_run(db, next,
			   SYNC_ARGS(sync_int(link->out.seq), sync_string(after->entity), sync_string(after->id), sync_int(RUN)),
			   take_row, run, err);
}

/* A drop that waits says nothing of the content, which may be nowhere else. */
static bool is_wanted(const struct row *row)
{
	return !row->edited && (!row->waits || row->waiting.action == SYNC_DROP);
}

/* The records of all rows of one entity, by one statement; those that are not in the table have no values. */
static enum sync_status read_alike(struct sync_db *db, struct run *run, size_t from, size_t end, struct sync_record *r,
				   struct sync_error *err)
{
	const struct sync_entity *e = sync_entity_find(run->row[from].entity);
	struct sync_record *found = sync_arena_get(&run->arena, (end - from) * sizeof *found);
	struct sync_view *ids = sync_arena_get(&run->arena, (end - from) * sizeof *ids);
	size_t n = 0;

	if (!found || !ids)
		return sync_fail(err, SYNC_ENOMEM, "reading %zu records", end - from);
	for (size_t i = from; i < end; i++)
		if (is_wanted(&run->row[i]))
			ids[n++] = run->row[i].id;
	if (n)
		TRY(sync_records_get(db, e, run->row[from].entity, ids, n, &run->arena, found, err));
	for (size_t i = from, at = 0; i < end; i++)
		if (is_wanted(&run->row[i]))
			r[i] = found[at++];
	return SYNC_OK;
}

/*
 * What waits here came in the history that is lost, whatever was edited since. What is neither here nor known to be gone went in a
 * way that a later row tells.
 */
static void write_row(const struct row *row, struct sync_record *r, struct sync_writer *w)
{
	if (row->waits && !(is_wanted(row) && sync_record_exists(r)))
		*r = row->waiting;
	else if (row->edited)
		return;
	else if (!sync_record_exists(r) && row->action == SYNC_PUT)
		return;
	else if (!sync_record_exists(r))
		*r = (struct sync_record){
			.entity = sync_entity_find(row->entity), .name = row->entity, .id = row->id, .action = row->action
		};
	r->seq = row->seq;
	r->age_ms = -1;
	r->version = r->base = (struct sync_view){ 0 };
	sync_writer_record(w, r);
}

static enum sync_status write_run(struct sync_db *db, struct run *run, struct sync_writer *w, struct sync_error *err)
{
	struct sync_record r[RUN] = { 0 };

	for (size_t i = 0, end; i < run->n; i = end) {
		for (end = i + 1; end < run->n && sync_view_eq(run->row[end].entity, run->row[i].entity);)
			end++;
		TRY(read_alike(db, run, i, end, r, err));
	}
	for (size_t i = 0; i < run->n; i++)
		write_row(&run->row[i], &r[i], w);
	return SYNC_OK;
}

/* The last row that was offered; empty: none was. */
struct place {
	char entity[64], id[SYNC_MAX_ID + 1];
};

static enum sync_status take_place(void *ctx, const struct sync_value *v, size_t n, struct sync_error *err)
{
	struct place *p = ctx;

	(void)n, (void)err;
	snprintf(p->entity, sizeof p->entity, "%.*s", SYNC_VIEW(v[0].s));
	snprintf(p->id, sizeof p->id, "%.*s", SYNC_VIEW(v[1].s));
	return SYNC_OK;
}

static enum sync_status write_rows(struct sync_db *db, const struct sync_link *link, struct sync_writer *w, size_t want,
				   struct place *ret, struct sync_error *err)
{
	static const char get[] = "SELECT offered_entity, offered_record FROM sync_link";
	defer(free_run) struct run *run = calloc(1, sizeof *run);

	if (!run)
		return sync_fail(err, SYNC_ENOMEM, "writing offers");
	TRY(sync_db_run(db, get, SYNC_NOARGS, take_place, ret, err));
	do {
		struct row after = { .entity = sync_view_of(ret->entity), .id = sync_view_of(ret->id) };

		TRY(read_rows(db, link, &after, run, err));
		TRY(write_run(db, run, w, err));
		if (run->n > 0) {
			snprintf(ret->entity, sizeof ret->entity, "%.*s", SYNC_VIEW(run->row[run->n - 1].entity));
			snprintf(ret->id, sizeof ret->id, "%.*s", SYNC_VIEW(run->row[run->n - 1].id));
		}
	} while (run->n == RUN && sync_writer_size(w) < want && sync_writer_records(w) < MOST);
	return SYNC_OK;
}

static enum sync_status write_message(struct sync_db *db, const struct sync_link *link, struct sync_talk *talk, struct place *ret,
				      bool *ret_last, struct sync_view *ret_message, struct sync_error *err)
{
	struct sync_header h = sync_link_header(link);
	struct sync_end end = { 0 };
	struct sync_writer *w;
	enum sync_status status;

	h.loss = link->loss;
	h.lost = link->lost;
	TRY(sync_unpushed(db, &h.unpushed, err));
	TRY(sync_talk_writer(talk, &w, err));
	sync_writer_begin(w, &h, true);
	TRY(sync_db_begin(db, false, err));
	status = write_rows(db, link, w, talk->size, ret, err);
	sync_db_rollback(db);
	TRY(status);
	*ret_last = sync_writer_records(w) == 0;
	return sync_writer_end(w, &end, ret_message, err);
}

static enum sync_status read_answer(const struct sync_talk *talk, const struct sync_link *link, bool *ret_parted,
				    struct sync_error *err)
{
	defer(sync_reader_freep) struct sync_reader *reader = NULL;
	struct sync_header h;
	struct sync_end end;

	TRY(sync_reader_new(&reader, sync_buf_view(&talk->body), &sync_default_limits, err));
	TRY(sync_reader_header(reader, &h, false, err));
	TRY(sync_reader_end(reader, &end, err));
	if (h.site != link->site_id)
		return sync_fail(err, SYNC_EBADFRAME, "the answer is for site %" PRId64 ", this is site %" PRId64, h.site,
				 link->site_id);
	*ret_parted = h.loss != SYNC_LOSS_NONE;
	if (h.refused && !*ret_parted)
		return sync_fail(err, SYNC_EBASE, "central was changed while it looked at what this site offers, and did not take it");
	return SYNC_OK;
}

/* Who went through the tables has not told what is no longer in them: what that was shows in a comparison. */
static enum sync_status ask_to_verify(struct sync_db *db, struct sync_error *err)
{
	static const char get[] = "SELECT offer & $1 FROM sync_link";
	int64_t tables;

	TRY(sync_db_number(db, get, SYNC_ARGS(sync_int(SYNC_OFFER_REST | SYNC_LOSS_OLD)), 0, &tables, err));
	return tables ? sync_verify_asked_set(db, true, err) : SYNC_OK;
}

/* The log goes on from the place that both know, which may have no row of its own. */
static enum sync_status end_offers(struct sync_db *db, struct sync_link *link, struct sync_error *err)
{
	static const char end[] = "UPDATE sync_link SET offer = 0, offer_after = 0";
	int64_t n;
	bool whole;

	TRY(ask_to_verify(db, err));
	TRY(sync_db_run(db, end, SYNC_NOARGS, NULL, NULL, err));
	TRY(sync_pulled_find(db, &link->at, &n, &whole, err));
	return n ? SYNC_OK : sync_pulled_put(db, &link->at, NULL, 0, (struct sync_view){ 0 }, err);
}

static enum sync_status settle(struct sync_db *db, struct sync_link *link, const struct place *sent, bool last,
			       struct sync_error *err)
{
	static const char set[] = "UPDATE sync_link SET offered = offered + 1, offered_entity = $1, offered_record = $2";

	TRY(sync_db_run(db, set, SYNC_ARGS(sync_text(sent->entity), sync_text(sent->id)), NULL, NULL, err));
	return last ? end_offers(db, link, err) : SYNC_OK;
}

enum sync_status sync_offer_end(struct sync_db *db, struct sync_link *link, struct sync_error *err)
{
	static const char drop[] = "DELETE FROM sync_offer";
	static const char end[] = "UPDATE sync_link SET offered = 0, offered_id = ''";

	link->offered = (struct sync_checkpoint){ 0 };
	TRY(sync_db_run(db, drop, SYNC_NOARGS, NULL, NULL, err));
	return sync_db_run(db, end, SYNC_NOARGS, NULL, NULL, err);
}

/* A message, and once more without the dictionary if central has another one. */
static enum sync_status send_some(struct sync_db *db, struct sync_link *link, struct sync_talk *talk, bool *ret_parted,
				  struct sync_error *err)
{
	enum sync_status status = SYNC_EDICTIONARY;
	struct sync_view message;
	struct place sent;
	bool last;

	for (int i = 0; i < 2 && status == SYNC_EDICTIONARY; i++) {
		TRY(write_message(db, link, talk, &sent, &last, &message, err));
		TRY(sync_talk_start(talk, message, err));
		status = sync_talk_finish(talk, err);
	}
	TRY(status);
	TRY(read_answer(talk, link, ret_parted, err));
	if (*ret_parted)
		return SYNC_OK;
	TRY(sync_db_begin(db, true, err));
	TRY(sync_db_finish(db, settle(db, link, &sent, last, err), err));
	link->offered.seq++;
	if (last)
		link->loss = SYNC_LOSS_NONE;
	return SYNC_OK;
}

enum sync_status sync_offer_step(struct sync_db *db, struct sync_link *link, struct sync_talk *talk, bool *ret_parted,
				 struct sync_error *err)
{
	int64_t began_us = sync_tick_us();
	bool more;

	*ret_parted = false;
	TRY(sync_db_begin(db, true, err));
	TRY(sync_db_finish(db, collect_some(db, &more, err), err));
	if (!more)
		return send_some(db, link, talk, ret_parted, err);
	talk->o->pause(sync_tick_us() - began_us);
	return SYNC_OK;
}

#include "exchange/spool.h"

#include <stdlib.h>
#include <string.h>

#include <libsync/time.h>

#include "base/internal.h"
#include "exchange/batch.h"
#include "exchange/link.h"
#include "exchange/lot.h"

/*
 * Messages of a source, oldest first, are read one after another; a slice is what one transaction integrates. Where the next
 * one begins is durable with it: messages before are deleted, and of the present one the records that are done are counted.
 * The group at the end of a message that goes on in the next one (part 1) is read over both. While the next one is not there,
 * the group waits, and part 2 tells that its messages have nothing else left.
 */

enum {
	FIRST_AT_ONCE = 100,  /* records of the first slice */
	LEAST_AT_ONCE = 10,
	MOST_AT_ONCE = 5000,
	MAX_BODY = 256 << 20,
};

enum sync_status sync_spool_number(struct sync_db *db, int64_t *ret, struct sync_error *err)
{
	static const char next[] =
		"INSERT INTO sync_meta(key, value) VALUES ('spooled', '1') ON CONFLICT (key)"
		"    DO UPDATE SET value = CAST(CAST(sync_meta.value AS bigint) + 1 AS text) RETURNING CAST(value AS bigint)";

	return sync_db_number(db, next, SYNC_NOARGS, 0, ret, err);
}

enum sync_status sync_spool_put(struct sync_db *db, int64_t source, int64_t n, struct sync_view body, int64_t records,
                                int64_t upto, enum sync_spool_part part, struct sync_error *err)
{
	static const char put[] =
		"INSERT INTO sync_spool(source, n, body, done, records, upto, part, received_us)"
		"    VALUES ($1, $2, $3, 0, $4, $5, $6, $7)";

	return sync_db_run(db, put,
	                   SYNC_ARGS(sync_int(source), sync_int(n), sync_blob(body), sync_int(records), sync_int(upto),
	                             sync_int(part), sync_int(sync_now_us())),
	                   NULL, NULL, err);
}

/* Parts are the newest messages: the last one of a group is whole again. */
#define NEWER_THAN_WHOLE "n > coalesce((SELECT max(n) FROM sync_spool WHERE source = $2 AND part = 0), 0)"

enum sync_status sync_spool_drop_parts(struct sync_db *db, int64_t source, struct sync_error *err)
{
	static const char drop[] = "DELETE FROM sync_spool WHERE source = $1 AND " NEWER_THAN_WHOLE;

	return sync_db_run(db, drop, SYNC_ARGS(sync_int(source), sync_int(source)), NULL, NULL, err);
}

/* One of them. */
struct part {
	int64_t n;
	struct sync_buf body;
};

static enum sync_status take_part(void *ctx, const struct sync_value *v, size_t n, struct sync_error *err)
{
	struct part *part = ctx;

	(void)n;
	part->n = v[0].i;
	sync_buf_add_view(&part->body, v[1].s);
	return sync_buf_check(&part->body, err);
}

static enum sync_status ask_about(struct sync_lot *lot, struct sync_reader *reader, struct sync_error *err)
{
	static const struct sync_reason lost = {
		.code = "restored",
		.text = "part of a group of which the rest never came: its site was restored, and lost all of it"
	};
	enum sync_frame kind = SYNC_FRAME_RECORD;

	while (kind != SYNC_FRAME_END) {
		struct sync_record r;
		struct sync_verdict v;
		struct sync_end end;
		struct sync_question q = { .kind = "quarantine", .site = lot->in->source, .r = &r, .why = &lost };

		sync_arena_reset(lot->arena);
		TRY(sync_reader_next(reader, lot->arena, &kind, &r, &v, &end, &q.frame, err));
		if (kind == SYNC_FRAME_RECORD)
			TRY(sync_waiting_put(lot, &q, 1, err));
	}
	return SYNC_OK;
}

static enum sync_status quarantine_part(struct sync_db *db, int64_t source, struct sync_view body, struct sync_error *err)
{
	defer(sync_reader_freep) struct sync_reader *reader = NULL;
	defer(sync_arena_clear) struct sync_arena arena = { 0 };
	const struct sync_intake in = { .source = source, .now_us = sync_now_us() };
	struct sync_lot lot = { .db = db, .in = &in, .arena = &arena };
	struct sync_header h;

	TRY(sync_reader_new(&reader, body, &sync_default_limits, err));
	TRY(sync_reader_header(reader, &h, true, err));
	return ask_about(&lot, reader, err);
}

enum sync_status sync_spool_quarantine_parts(struct sync_db *db, int64_t source, struct sync_error *err)
{
	static const char next[] =
		"SELECT n, body FROM sync_spool WHERE source = $1 AND " NEWER_THAN_WHOLE " AND n > $3 ORDER BY n LIMIT 1";
	struct part part = { .body.max = MAX_BODY };
	enum sync_status status;
	int64_t last;

	do {
		last = part.n;
		sync_buf_reset(&part.body);
		status = sync_db_run(db, next, SYNC_ARGS(sync_int(source), sync_int(source), sync_int(last)), take_part, &part, err);
		if (status == SYNC_OK && part.n > last)
			status = quarantine_part(db, source, sync_buf_view(&part.body), err);
	} while (status == SYNC_OK && part.n > last);
	sync_buf_clear(&part.body);
	return status;
}

enum sync_status sync_spool_pending(struct sync_db *db, int64_t source, bool *ret, struct sync_error *err)
{
	static const char any[] = "SELECT 1 FROM sync_spool WHERE source = $1 LIMIT 1";
	int64_t some;

	TRY(sync_db_number(db, any, SYNC_ARGS(sync_int(source)), 0, &some, err));
	*ret = some != 0;
	return SYNC_OK;
}

/* A place between two records. */
struct place {
	int64_t n;    /* of the message */
	int64_t done; /* records of it before */
	int64_t upto; /* of the message before, when the slice holds the end of that */
};

struct message {
	int64_t n; /* 0: none */
	int64_t upto;
	bool part;
	int64_t received_us;
	bool held;
	struct sync_position at; /* of its header */
};

/* Draining one source. */
struct drain {
	struct sync_db *db;
	const struct sync_intake *in;
	const struct sync_options *o;
	/* the message being read */
	struct message message;
	struct sync_buf body;
	struct sync_reader *reader;
	bool ended;             /* its end frame was read */
	/* the slice */
	struct place from, to;  /* what is durable, and what will be with the slice */
	struct message first;   /* in which it begins */
	bool whole;             /* nothing is left of the message behind it */
	bool held;              /* what is left is one group, whose rest is not there */
	struct place group;     /* where its last group begins */
	size_t group_first;     /* the same in r */
	struct sync_arena arena;
	struct sync_record *r;  /* n of them, with their frames */
	struct sync_view *lines;
	size_t n, cap;
	struct sync_buf next;   /* frame of the record that was read too far; empty: none was */
	size_t at_once;         /* adapts to o->slice_us */
};

static void clear_drain(struct drain *d)
{
	sync_buf_clear(&d->body);
	sync_buf_clear(&d->next);
	sync_reader_free(d->reader);
	sync_arena_clear(&d->arena);
	free(d->r);
	free(d->lines);
}

/* messages */

struct found {
	struct drain *d;
	struct message message;
	int64_t done;
};

static enum sync_status take_message(void *ctx, const struct sync_value *v, size_t n, struct sync_error *err)
{
	struct found *found = ctx;

	(void)n;
	found->message = (struct message){ .n = v[0].i, .upto = v[2].i, .part = v[3].i != 0, .received_us = v[5].i };
	found->done = v[1].i;
	sync_buf_reset(&found->d->body);
	sync_buf_add_view(&found->d->body, v[4].s);
	return sync_buf_check(&found->d->body, err);
}

static enum sync_status open_reader(struct drain *d, int64_t done, struct sync_error *err)
{
	struct sync_header header;

	sync_reader_free(d->reader);
	d->reader = NULL;
	TRY(sync_reader_new(&d->reader, sync_buf_view(&d->body), &sync_default_limits, err));
	TRY(sync_reader_header(d->reader, &header, sync_db_role(d->db) == SYNC_CENTRAL, err));
	d->message.at = header.at;
	d->message.held = header.held;
	d->ended = false;
	return done > 0 ? sync_reader_skip(d->reader, done, err) : SYNC_OK;
}

/* Go on with the next message, or begin with the first. */
static enum sync_status open_next(struct drain *d, bool *ret_found, struct sync_error *err)
{
	static const char next[] =
		"SELECT n, done, upto, part, body, received_us FROM sync_spool WHERE source = $1 AND n > $2 ORDER BY n LIMIT 1";
	struct found found = { .d = d };

	TRY(sync_db_run(d->db, next, SYNC_ARGS(sync_int(d->in->source), sync_int(d->message.n)), take_message, &found, err));
	*ret_found = found.message.n > 0;
	if (!*ret_found)
		return SYNC_OK;
	d->to = (struct place){ found.message.n, found.done, d->n ? d->message.upto : 0 };
	if (!d->n)
		d->from = d->to;
	d->message = found.message;
	return open_reader(d, found.done, err);
}

/* reading a slice */

static enum sync_status grow(struct drain *d, struct sync_error *err)
{
	size_t cap = d->cap ? d->cap * 2 : 2 * FIRST_AT_ONCE;
	struct sync_record *r = realloc(d->r, cap * sizeof *r);
	struct sync_view *lines;

	if (r)
		d->r = r;
	lines = realloc(d->lines, cap * sizeof *lines);
	if (lines)
		d->lines = lines;
	if (!r || !lines)
		return sync_fail(err, SYNC_ENOMEM, "reading %zu records", cap);
	d->cap = cap;
	return SYNC_OK;
}

static bool goes_on(const struct drain *d, const struct sync_record *r)
{
	return d->n > 0 && sync_record_together(r, &d->r[d->n - 1]);
}

static enum sync_status keep_record(struct drain *d, const struct sync_record *r, struct sync_view line, struct sync_error *err)
{
	struct sync_view copy = sync_arena_copy(&d->arena, line);

	if (!copy.data)
		return sync_fail(err, SYNC_ENOMEM, "reading a record of %zu bytes", line.len);
	if (d->n == d->cap)
		TRY(grow(d, err));
	if (!goes_on(d, r)) {
		d->group = d->to;
		d->group_first = d->n;
	}
	d->r[d->n] = *r;
	d->lines[d->n++] = copy;
	d->to.done++;
	return SYNC_OK;
}

static enum sync_status take_next(struct drain *d, struct sync_error *err)
{
	struct sync_record r;

	if (!d->next.len)
		return SYNC_OK;
	TRY(sync_record_read(&r, &d->arena, sync_buf_view(&d->next), &sync_default_limits, err));
	TRY(keep_record(d, &r, sync_buf_view(&d->next), err));
	sync_buf_reset(&d->next);
	return SYNC_OK;
}

/* *ret_done: the record belongs to the next slice. */
static enum sync_status take_record(struct drain *d, const struct sync_record *r, struct sync_view line, bool *ret_done,
                                    struct sync_error *err)
{
	*ret_done = d->n > 0 && (d->n >= d->at_once || d->arena.used > SYNC_BATCH_BYTES) && !goes_on(d, r);
	if (!*ret_done)
		return keep_record(d, r, line, err);
	sync_buf_add_view(&d->next, line);
	return sync_buf_check(&d->next, err);
}

/* Behind a message: the slice ends there, too, unless its last group goes on. */
static enum sync_status end_message(struct drain *d, bool *ret_done, struct sync_error *err)
{
	bool found = false;

	if (d->message.part)
		TRY(open_next(d, &found, err));
	*ret_done = !found;
	d->whole = !d->message.part;
	d->held = !found && d->message.part;
	if (d->held && d->n) {
		d->to = d->group;
		d->n = d->group_first;
	}
	return SYNC_OK;
}

static enum sync_status read_frames(struct drain *d, struct sync_error *err)
{
	struct sync_record r;
	struct sync_verdict v;
	struct sync_end end;
	struct sync_view line;
	enum sync_frame kind;
	bool done = false;

	while (!done) {
		if (d->ended) {
			TRY(end_message(d, &done, err));
			continue;
		}
		TRY(sync_reader_next(d->reader, &d->arena, &kind, &r, &v, &end, &line, err));
		d->ended = kind == SYNC_FRAME_END;
		if (kind == SYNC_FRAME_RECORD)
			TRY(take_record(d, &r, line, &done, err));
	}
	return SYNC_OK;
}

/* *ret_found: there is a slice, though it may turn out to have no records. */
static enum sync_status read_slice(struct drain *d, bool *ret_found, struct sync_error *err)
{
	*ret_found = true;
	d->n = 0;
	d->from = d->to;
	d->to.upto = 0;
	sync_arena_reset(&d->arena);
	if (d->whole || !d->message.n)
		TRY(open_next(d, ret_found, err));
	d->whole = d->held = false;
	if (!*ret_found)
		return SYNC_OK;
	d->first = d->message;
	TRY(take_next(d, err));
	return read_frames(d, err);
}

/* integrating it */

/*
 * Whether what is durable is still what this drain left: nobody else drains the source, and its messages were not dropped.
 * After sync_integrate(), which has locked the source where there are several writers.
 */
static enum sync_status still_there(struct drain *d, bool *ret, struct sync_error *err)
{
	static const char get[] = "SELECT done FROM sync_spool WHERE source = $1 AND n = $2";
	int64_t done;

	TRY(sync_db_number(d->db, get, SYNC_ARGS(sync_int(d->in->source), sync_int(d->from.n)), -1, &done, err));
	*ret = done == d->from.done;
	return SYNC_OK;
}

static enum sync_status keep_place(struct drain *d, struct sync_error *err)
{
	static const char drop[] = "DELETE FROM sync_spool WHERE source = $1 AND n < $2";
	static const char set[] = "UPDATE sync_spool SET done = $1 WHERE source = $2 AND n = $3";
	static const char hold[] = "UPDATE sync_spool SET part = 2 WHERE source = $1 AND n BETWEEN $2 AND $3";
	const struct sync_value source = sync_int(d->in->source), n = sync_int(d->to.n);

	TRY(sync_db_run(d->db, drop, SYNC_ARGS(source, d->whole ? sync_int(d->to.n + 1) : n), NULL, NULL, err));
	TRY(sync_db_run(d->db, set, SYNC_ARGS(sync_int(d->to.done + SYNC_FAULT(spool_skips_one)), source, n), NULL, NULL, err));
	return d->held ? sync_db_run(d->db, hold, SYNC_ARGS(source, n, sync_int(d->message.n)), NULL, NULL, err) : SYNC_OK;
}

/* In its transaction; *ret_there false: it is to be rolled back. */
static enum sync_status integrate_slice(struct drain *d, sync_slice_fn *slice, void *ctx, struct sync_outcome *ret, bool *ret_there,
                                        struct sync_error *err)
{
	bool finished = d->whole || d->to.n > d->from.n;
	struct sync_intake in = *d->in;

	in.now_us = d->first.received_us;
	in.at = d->first.held ? NULL : &d->first.at;
	TRY(sync_integrate(d->db, &in, d->r, d->lines, d->n, ret, err));
	TRY(still_there(d, ret_there, err));
	if (!*ret_there)
		return SYNC_OK;
	TRY(keep_place(d, err));
	return slice ? slice(ctx, d->db, d->whole ? d->message.upto : d->to.upto, finished, err) : SYNC_OK;
}

static enum sync_status commit_slice(struct drain *d, sync_slice_fn *slice, void *ctx, struct sync_outcome *ret, bool *ret_there,
                                     struct sync_error *err)
{
	struct sync_outcome outcome = *ret;
	enum sync_status status;

	TRY(sync_db_begin(d->db, true, err));
	status = integrate_slice(d, slice, ctx, &outcome, ret_there, err);
	if (status != SYNC_OK || !*ret_there) {
		sync_db_rollback(d->db);
		return status;
	}
	TRY(sync_db_commit(d->db, err));
	*ret = outcome;
	return SYNC_OK;
}

/* At most twice as many, and at least a quarter: one slow commit does not make all that follow tiny. */
static void adapt(struct drain *d, int64_t took_us)
{
	int64_t n = (int64_t)d->at_once;
	int64_t wanted = took_us > 0 ? n * d->o->slice_us / took_us : 2 * n;

	wanted = wanted > 2 * n ? 2 * n : wanted < n / 4 ? n / 4 : wanted;
	d->at_once = (size_t)(wanted < LEAST_AT_ONCE ? LEAST_AT_ONCE : wanted > MOST_AT_ONCE ? MOST_AT_ONCE : wanted);
}

/* One slice. *ret_took: how long its transaction was; *ret_go_on: this drain can do more. */
static enum sync_status drain_slice(struct drain *d, sync_slice_fn *slice, void *ctx, struct sync_outcome *ret,
                                    int64_t *ret_took, bool *ret_go_on, struct sync_error *err)
{
	int64_t begun;

	TRY(read_slice(d, ret_go_on, err));
	if (!*ret_go_on)
		return SYNC_OK;
	begun = sync_tick_us();
	TRY(commit_slice(d, slice, ctx, ret, ret_go_on, err));
	*ret_took = sync_tick_us() - begun;
	*ret_go_on = *ret_go_on && !d->held;
	adapt(d, *ret_took);
	return SYNC_OK;
}

/* Whether there is anything in the spool that can go on. */
static enum sync_status has_work(struct drain *d, bool *ret, struct sync_error *err)
{
	static const char any[] = "SELECT 1 FROM sync_spool WHERE source = $1 AND part <> 2 LIMIT 1";
	int64_t some;

	TRY(sync_db_number(d->db, any, SYNC_ARGS(sync_int(d->in->source)), 0, &some, err));
	*ret = some != 0;
	return SYNC_OK;
}

static enum sync_status count_left(struct drain *d, int64_t *ret, struct sync_error *err)
{
	static const char left[] = "SELECT CAST(sum(records - done) AS bigint) FROM sync_spool WHERE source = $1";

	return sync_db_number(d->db, left, SYNC_ARGS(sync_int(d->in->source)), 0, ret, err);
}

static enum sync_status drain_all(struct drain *d, int64_t most, sync_slice_fn *slice, void *ctx, struct sync_outcome *ret,
                                  bool *ret_more, struct sync_error *err)
{
	int64_t total, took = 0, done = 0;
	bool go_on = true;

	TRY(has_work(d, ret_more, err));
	TRY(count_left(d, &total, err));
	while (*ret_more && go_on && (most <= 0 || done < most)) {
		if (done > 0)
			d->o->pause(took);
		TRY(sync_stopped(d->o, err));
		TRY(drain_slice(d, slice, ctx, ret, &took, &go_on, err));
		done += (int64_t)d->n;
		if (d->o->progress)
			d->o->progress(d->o->ctx, "integrate", done, total);
		TRY(has_work(d, ret_more, err));
	}
	if (!go_on && !d->held) /* another process goes on with it */
		*ret_more = false;
	return SYNC_OK;
}

enum sync_status sync_spool_drain(struct sync_db *db, const struct sync_intake *in, const struct sync_options *o, int64_t most,
                                  sync_slice_fn *slice, void *ctx, struct sync_outcome *ret, bool *ret_more, struct sync_error *err)
{
	const struct sync_options full = sync_options_of(o);
	defer(clear_drain) struct drain d = {
		.db = db, .in = in, .o = &full, .at_once = FIRST_AT_ONCE,
		.body.max = MAX_BODY, .next.max = sync_default_limits.line_bytes,
	};
	bool more = false;

	TRY(drain_all(&d, most, slice, ctx, ret, &more, err));
	*ret_more = more;
	return SYNC_OK;
}

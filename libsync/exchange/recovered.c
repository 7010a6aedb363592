#include "exchange/recovered.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <libsync/crypto.h>
#include <libsync/records.h>
#include <libsync/site.h>
#include <libsync/time.h>

#include "base/internal.h"
#include "db/outbox.h"
#include "exchange/altered.h"
#include "exchange/integrate.h"
#include "exchange/lot.h"
#include "exchange/parted.h"
#include "exchange/push.h"
#include "exchange/route.h"

/*
 * offer -> is it what central has, and has told the site?   nothing
 *       -> the site may have missed that it was deleted   central's version again
 *       -> central lost it                                sync_waiting, and central's version again
 */

enum {
	PER_BATCH = 500,
	FAR = 100, /* times as many as may wait otherwise: all that a site received for months may be lost */
};

static const char lost_key[] = "lost_us"; /* when it was first seen that central has lost history */

/* Offers of one entity. */
struct offers {
	struct sync_db *db;
	struct sync_arena *arena;
	int64_t site_id;
	int64_t most;  /* that may wait of a site; 0: any number */
	int loss;      /* enum sync_loss */
	char history[SYNC_HISTORY + 1]; /* that was lost, and in which seqs count; empty: unknown */
	int64_t since; /* what is routed above is of after the loss */
	const struct sync_entity *e;
	struct sync_view name;
	const struct sync_record *r;
	size_t n;
	struct sync_view *ids;
	struct sync_record *stored;
	bool *skip, *changed; /* per offer */
	bool *told;           /* per offer: the outbox has for the site what central has: that it is there, or was deleted */
	int64_t *raise;       /* per offer: the row that is of this content, too, when that was older; or 0 */
	struct sync_view *frames;
};

static size_t find_offer(const struct offers *o, struct sync_view id)
{
	size_t i = 0;

	while (i < o->n && !sync_view_eq(o->ids[i], id))
		i++;
	return i;
}

bool sync_offer_same(const struct sync_record *offered, const struct sync_record *stored)
{
	if (offered->action != SYNC_PUT)
		return !sync_record_exists(stored);
	if (!sync_record_exists(stored))
		return false;
	return offered->entity ? !sync_record_differs(offered, stored) : sync_view_eq(offered->extra, stored->extra);
}

static enum sync_status take_changed(void *ctx, const struct sync_value *v, size_t n, struct sync_error *err)
{
	struct offers *o = ctx;
	size_t i = find_offer(o, v[0].s);

	(void)n, (void)err;
	if (i < o->n)
		o->changed[i] = true;
	return SYNC_OK;
}

static enum sync_status take_skipped(void *ctx, const struct sync_value *v, size_t n, struct sync_error *err)
{
	struct offers *o = ctx;
	size_t i = find_offer(o, v[0].s);

	(void)n, (void)err;
	if (i < o->n)
		o->skip[i] = true;
	return SYNC_OK;
}

/* Which of them central has changed since the loss. A row that was only sent again has no source. */
static enum sync_status find_changed(struct offers *o, struct sync_error *err)
{
	static const char head[] = "SELECT record_id FROM sync_outbox WHERE record_id";
	const struct sync_value name = sync_string(o->name), since = sync_int(o->since);

	TRY(sync_run_ids(o->db, head, o->ids, o->n, " AND entity = $2 AND site_id = 0 AND seq > $3 AND source >= 0",
			 SYNC_ARGS(name, since), take_changed, o, err));
	TRY(sync_run_ids(o->db, head, o->ids, o->n, " AND entity = $2 AND site_id > 0 AND seq > $3 AND source >= 0",
			 SYNC_ARGS(name, since), take_changed, o, err));
	return sync_run_ids(o->db, "SELECT record_id FROM sync_changelog WHERE record_id", o->ids, o->n,
			    " AND entity = $2 AND source = 0 AND action <> 'R'", SYNC_ARGS(name), take_changed, o, err);
}

/* An edit of the same site waits here for what it needs, or for a grant: that is the site's version, and it is not lost. */
static enum sync_status find_waiting(struct offers *o, struct sync_error *err)
{
	const struct sync_value name = sync_string(o->name), site = sync_int(o->site_id);

	TRY(sync_run_ids(o->db, "SELECT record_id FROM sync_inbox WHERE record_id", o->ids, o->n, " AND entity = $2 AND source = $3",
			 SYNC_ARGS(name, site), take_skipped, o, err));
	return sync_run_ids(o->db, "SELECT record_id FROM sync_waiting WHERE record_id", o->ids, o->n,
			    " AND entity = $2 AND site_id = $3 AND kind = 'grant' AND done_us IS NULL", SYNC_ARGS(name, site),
			    take_skipped, o, err);
}

static bool same(const struct offers *o, size_t i)
{
	return sync_offer_same(&o->r[i], &o->stored[i]);
}

static enum sync_status take_told(void *ctx, const struct sync_value *v, size_t n, struct sync_error *err)
{
	struct offers *o = ctx;
	size_t i = find_offer(o, v[0].s);

	(void)n, (void)err;
	if (i < o->n)
		o->told[i] |= sync_view_is(v[1].s, sync_record_exists(&o->stored[i]) ? "P" : "D");
	return SYNC_OK;
}

/*
 * That central has the record does not say that the site is to have it still, nor that it has none, that it was deleted: the delete
 * may be lost, and be forgotten by all when whoever made the record pushes it again.
 */
static enum sync_status find_told(struct offers *o, struct sync_error *err)
{
	TRY(sync_run_ids(o->db, "SELECT record_id, action FROM sync_outbox WHERE record_id", o->ids, o->n,
			 " AND entity = $2 AND site_id IN (0, $3)", SYNC_ARGS(sync_string(o->name), sync_int(o->site_id)), take_told, o,
			 err));
	for (size_t i = 0; i < o->n; i++)
		o->skip[i] |= o->told[i] && same(o, i);
	return SYNC_OK;
}

/* The content alone, so that the same content from another site is known again. */
static enum sync_status write_frame(struct offers *o, size_t i, struct sync_error *err)
{
	struct sync_record r = o->r[i];

	r.seq = 0;
	r.age_ms = -1;
	r.version = r.base = (struct sync_view){ 0 };
	return sync_frame_of(o->arena, &r, &o->frames[i], err);
}

/* What a person decided about stands for the same content of the same history, unless that had it later once more. */
static enum sync_status take_kept(void *ctx, const struct sync_value *v, size_t n, struct sync_error *err)
{
	struct offers *o = ctx;
	size_t i = find_offer(o, v[0].s);
	bool open = v[4].kind != SYNC_INT;

	(void)n, (void)err;
	if (i == o->n || o->skip[i] || !sync_view_eq(v[1].s, o->frames[i]) || (!open && !o->history[0]))
		return SYNC_OK;
	o->skip[i] = v[3].i >= o->r[i].seq;
	if (!o->skip[i] && open)
		o->raise[i] = v[2].i;
	return SYNC_OK;
}

static enum sync_status find_kept(struct offers *o, struct sync_error *err)
{
	return sync_run_ids(o->db, "SELECT record_id, frame, id, seq, done_us FROM sync_waiting WHERE record_id", o->ids, o->n,
			    " AND entity = $2 AND kind = 'recovered' AND history = $3",
			    SYNC_ARGS(sync_string(o->name), sync_text(o->history)), take_kept, o, err);
}

static enum sync_status raise_kept(struct offers *o, struct sync_error *err)
{
	static const char set[] = "UPDATE sync_waiting SET seq = $1 WHERE id = $2";

	for (size_t i = 0; i < o->n; i++) {
		if (o->skip[i] || !o->raise[i])
			continue;
		TRY(sync_db_run(o->db, set, SYNC_ARGS(sync_int(o->r[i].seq), sync_int(o->raise[i])), NULL, NULL, err));
		o->skip[i] = true;
	}
	return SYNC_OK;
}

/* A child's is named by what it was, when it is gone. */
static struct sync_view root_of(const struct offers *o, size_t i)
{
	const struct sync_record *r = o->r[i].action == SYNC_PUT ? &o->r[i] : &o->stored[i];
	int parent = o->e && o->e->parent ? sync_field_find(o->e, sync_view_of(o->e->parent)) : -1;

	return parent >= 0 && r->values && r->values[parent].kind == SYNC_STRING ? r->values[parent].s : o->ids[i];
}

static struct sync_reason reason_of(const struct offers *o, size_t i)
{
	bool here = sync_record_exists(&o->stored[i]);

	if (o->changed[i])
		return (struct sync_reason){ .code = "changed", .text = "central lost this version, and has changed the record since" };
	if (o->r[i].action != SYNC_PUT)
		return (struct sync_reason){ .code = "deleted", .text = "central had deleted this record, and lost that" };
	return here ? (struct sync_reason){ .code = "older", .text = "central lost this version, and has an older one" }
		    : (struct sync_reason){ .code = "missing", .text = "central lost this record" };
}

static enum sync_status put_rows(const struct offers *o, struct sync_error *err)
{
	static const char *const columns[] = { "kind", "site_id", "entity", "record_id", "seq",     "frame",      "code",
					       "text", "at_us",   "since",  "history",   "root_entity", "root_id" };
	static const enum sync_type types[] = { SYNC_TEXT, SYNC_BIGINT, SYNC_TEXT, SYNC_TEXT, SYNC_BIGINT, SYNC_TEXT, SYNC_TEXT,
						SYNC_TEXT, SYNC_BIGINT, SYNC_BIGINT, SYNC_TEXT, SYNC_TEXT, SYNC_TEXT };
	static const struct sync_table table = { "sync_waiting", columns, types, COUNT(columns), 0, false };
	struct sync_value *v = sync_arena_get(o->arena, (o->n + 1) * COUNT(columns) * sizeof *v);
	int64_t now_us = sync_now_us();
	size_t rows = 0, at = 0;

	if (!v)
		return sync_fail(err, SYNC_ENOMEM, "%zu offers", o->n);
	for (size_t i = 0; i < o->n; i++) {
		struct sync_reason why = reason_of(o, i);

		if (o->skip[i])
			continue;
		v[at++] = sync_text("recovered");
		v[at++] = sync_int(o->site_id);
		v[at++] = sync_string(o->name);
		v[at++] = sync_string(o->ids[i]);
		v[at++] = sync_int(o->r[i].seq);
		v[at++] = sync_string(o->frames[i]);
		v[at++] = sync_text(why.code);
		v[at++] = sync_text(why.text);
		v[at++] = sync_int(now_us);
		v[at++] = sync_int(o->since);
		v[at++] = sync_text(o->history);
		v[at++] = o->e ? sync_text(sync_entity_root(o->e)->name) : sync_string(o->name);
		v[at++] = sync_string(root_of(o, i));
		rows++;
	}
	return sync_db_put_many(o->db, &table, v, rows, err);
}

static bool any_left(const struct offers *o)
{
	size_t i = 0;

	while (i < o->n && o->skip[i])
		i++;
	return i < o->n;
}

static enum sync_status keep_offers(struct offers *o, struct sync_error *err)
{
	if (!any_left(o) || SYNC_FAULT(offers_not_kept))
		return SYNC_OK;
	TRY(find_changed(o, err));
	for (size_t i = 0; i < o->n; i++)
		if (!o->skip[i])
			TRY(write_frame(o, i, err));
	TRY(find_kept(o, err));
	TRY(raise_kept(o, err));
	return put_rows(o, err);
}

/*
 * That a record was taken from the site says nothing of its content. A site that may have missed deletes holds records that are
 * rightly gone. What it received since the loss it knows from its log,
 * and names the seq.
 */
static void pass_over_old(struct offers *o)
{
	for (size_t i = 0; i < o->n; i++)
		o->skip[i] |= o->r[i].action == SYNC_DROP || !(o->loss & SYNC_LOSS_CENTRAL) || ((o->loss & SYNC_LOSS_OLD) && o->r[i].seq == 0);
}

/* A delete of what central has not got is no less lost. */
static void pass_over_same(struct offers *o)
{
	for (size_t i = 0; i < o->n; i++)
		o->skip[i] |= sync_record_exists(&o->stored[i]) && same(o, i);
}

/* What this build does not know has no route; what only goes up is the site's. */
static bool goes_down(const struct sync_entity *e)
{
	return e && e->routes[0].kind != SYNC_ROUTE_UP;
}

/* They get a new seq for the site, so that it converges to what central has. */
static enum sync_status send_again(const struct offers *o, struct sync_error *err)
{
	const struct sync_record **r = sync_arena_get(o->arena, (o->n + 1) * sizeof *r);
	size_t n = 0;

	if (!r)
		return sync_fail(err, SYNC_ENOMEM, "%zu offers", o->n);
	for (size_t i = 0; i < o->n && goes_down(o->e); i++)
		if (!o->skip[i] && (sync_record_exists(&o->stored[i]) || !same(o, i)))
			r[n++] = &o->r[i];
	return sync_resend_records(o->db, o->site_id, r, n, err);
}

static enum sync_status compare(struct offers *o, struct sync_error *err)
{
	TRY(sync_records_get(o->db, o->e, o->name, o->ids, o->n, o->arena, o->stored, err));
	TRY(find_waiting(o, err));
	TRY(find_told(o, err));
	TRY(send_again(o, err));
	pass_over_same(o);
	pass_over_old(o);
	return keep_offers(o, err);
}

static enum sync_status open_offers(struct offers *o, const struct sync_record *r, size_t n, struct sync_error *err)
{
	o->e = r->entity;
	o->name = r->name;
	o->r = r;
	o->n = n;
	o->ids = sync_arena_get(o->arena, n * sizeof *o->ids);
	o->stored = sync_arena_get(o->arena, n * sizeof *o->stored);
	o->skip = sync_arena_get(o->arena, n);
	o->changed = sync_arena_get(o->arena, n);
	o->told = sync_arena_get(o->arena, n);
	o->raise = sync_arena_get(o->arena, n * sizeof *o->raise);
	o->frames = sync_arena_get(o->arena, n * sizeof *o->frames);
	if (!o->ids || !o->stored || !o->skip || !o->changed || !o->told || !o->raise || !o->frames)
		return sync_fail(err, SYNC_ENOMEM, "%zu offers", n);
	memset(o->skip, 0, n);
	memset(o->changed, 0, n);
	memset(o->told, 0, n);
	memset(o->raise, 0, n * sizeof *o->raise);
	memset(o->frames, 0, n * sizeof *o->frames);
	for (size_t i = 0; i < n; i++)
		o->ids[i] = r[i].id;
	return SYNC_OK;
}

/* An offer is of a record, once. */
static enum sync_status check_offers(const struct sync_record *r, size_t n, struct sync_error *err)
{
	for (size_t i = 0; i < n; i++) {
		if (i > 0 && sync_view_eq(r[i].name, r[i - 1].name) && sync_view_cmp(r[i].id, r[i - 1].id) <= 0)
			return sync_fail(err, SYNC_EBADFRAME, "offers of %.*s are not in the order of their ids at %.*s",
					 SYNC_VIEW(r[i].name), SYNC_VIEW(r[i].id));
	}
	return SYNC_OK;
}

static enum sync_status take_batch(struct offers *o, const struct sync_batch *b, struct sync_error *err)
{
	size_t end;

	TRY(check_offers(b->r, b->n, err));
	for (size_t i = 0; i < b->n; i = end) {
		for (end = i + 1; end < b->n && sync_view_eq(b->r[end].name, b->r[i].name);)
			end++;
		TRY(open_offers(o, b->r + i, end - i, err));
		TRY(compare(o, err));
	}
	return SYNC_OK;
}

static enum sync_status check_room(struct sync_db *db, int64_t site_id, int64_t most, struct sync_error *err)
{
	static const char count[] = "SELECT count(*) FROM (SELECT id FROM sync_waiting"
				    "    WHERE site_id = $1 AND done_us IS NULL AND kind = 'recovered' LIMIT $2) w";
	int64_t n;

	if (most == 0)
		return SYNC_OK;
	TRY(sync_db_number(db, count, SYNC_ARGS(sync_int(site_id), sync_int(FAR * most)), 0, &n, err));
	if (n < FAR * most)
		return SYNC_OK;
	return sync_fail(err, SYNC_EFULL,
			 "%" PRId64 " records that this site offered wait at central, %d times as many as waiting-max: central recovered list "
			 "shows them; no more are taken until some are accepted or discarded", n, FAR);
}

/*
 * As long as ids of routing transactions begin as those of the lost history, another one begins here: what is routed from now on,
 * and what may be lost of it, is told from what was lost.
 */
static enum sync_status begin_history(const struct offers *o, bool *ret_begun, struct sync_error *err)
{
	static const char set[] = "UPDATE sync_meta SET value = $1 WHERE key = 'history' AND value = $2 RETURNING 1";
	char history[SYNC_HISTORY + 1];
	int64_t begun;

	sync_random_hex(history, SYNC_HISTORY);
	TRY(sync_db_number(o->db, set, SYNC_ARGS(sync_text(history), sync_text(o->history)), 0, &begun, err));
	*ret_begun = begun != 0;
	return SYNC_OK;
}

static enum sync_status note_loss(const struct offers *o, int64_t now_us, struct sync_error *err)
{
	static const char set[] = "UPDATE sync_site SET healed_us = $1 WHERE site_id = $2";
	static const char first[] = "INSERT INTO sync_meta(key, value) VALUES ($1, $2) ON CONFLICT (key) DO NOTHING";
	char text[24];
	bool begun;

	snprintf(text, sizeof text, "%" PRId64, now_us);
	TRY(begin_history(o, &begun, err));
	if (begun)
		TRY(sync_meta_put(o->db, lost_key, sync_view_of(text), err));
	else
		TRY(sync_db_run(o->db, first, SYNC_ARGS(sync_text(lost_key), sync_text(text)), NULL, NULL, err));
	return sync_db_run(o->db, set, SYNC_ARGS(sync_int(now_us), sync_int(o->site_id)), NULL, NULL, err);
}

/* From this place on it is waited for again. */
static enum sync_status note_return(struct sync_db *db, int64_t site_id, const struct sync_header *h, struct sync_error *err)
{
	static const char set[] = "UPDATE sync_site SET lapsed_us = NULL WHERE site_id = $1";

	TRY(sync_db_run(db, set, SYNC_ARGS(sync_int(site_id)), NULL, NULL, err));
	return sync_peer_note(db, site_id, h, sync_now_us(), err);
}

static int64_t newest_of(const struct sync_position *at)
{
	return at->all.seq > at->own.seq ? at->all.seq : at->own.seq;
}

/*
 * What the site held by what central still knows. A site that has no such place was registered after what it received was lost,
 * or never had any.
 */
static enum sync_status find_since(struct offers *o, const struct sync_header *h, const struct sync_position *before,
				   struct sync_error *err)
{
	static const char registered[] =
	    "SELECT seq FROM sync_routing WHERE at_us <= (SELECT created_us FROM sync_site WHERE site_id = $1)"
	    "    ORDER BY at_us DESC, seq DESC LIMIT 1";
	bool known;

	o->since = newest_of(&h->at);
	if (o->since > 0)
		return SYNC_OK;
	TRY(sync_db_number(o->db, registered, SYNC_ARGS(sync_int(o->site_id)), 0, &o->since, err));
	TRY(sync_pull_known(o->db, before, &known, err));
	if (known && newest_of(before) > o->since)
		o->since = newest_of(before);
	return SYNC_OK;
}

/* Nothing is lost of a history whose newest place is known. */
static enum sync_status find_history(struct offers *o, const struct sync_header *h, struct sync_error *err)
{
	bool known;

	if (!h->lost.id[0])
		return SYNC_OK;
	snprintf(o->history, sizeof o->history, "%.*s", SYNC_HISTORY, h->lost.id);
	TRY(sync_routing_known(o->db, &h->lost, &known, err));
	if (known)
		o->loss &= ~SYNC_LOSS_CENTRAL;
	return SYNC_OK;
}

static enum sync_status take(struct offers *o, const struct sync_header *h, struct sync_reader *reader, struct sync_batch *b,
			     struct sync_seen *seen, bool *ret_took, struct sync_error *err)
{
	struct sync_peer peer;
	int loss;

	TRY(sync_peer_get(o->db, o->site_id, true, &peer, err));
	TRY(sync_peer_admit(&peer, h->branch, err));
	TRY(find_since(o, h, &peer.at, err));
	if (seen)
		sync_seen_get(seen, &peer);
	TRY(sync_peer_check(o->db, &peer, h, &loss, err));
	*ret_took = !(loss & SYNC_LOSS_CENTRAL) && (o->loss & loss) == loss;
	if (!*ret_took)
		return SYNC_OK;
	TRY(check_room(o->db, o->site_id, o->most, err));
	TRY(find_history(o, h, err));
	sync_batch_open(b);
	while (!b->ended) {
		sync_arena_reset(o->arena);
		TRY(sync_batch_read(b, reader, PER_BATCH, PER_BATCH, err));
		TRY(take_batch(o, b, err));
	}
	if (o->loss & SYNC_LOSS_CENTRAL)
		TRY(note_loss(o, sync_now_us(), err));
	TRY(sync_parted_offered(o->db, o->site_id, &h->offered, err));
	if ((o->loss & SYNC_LOSS_OLD) && b->end.records == 0) /* the last of them */
		TRY(note_return(o->db, o->site_id, h, err));
	return sync_route_within(o->db, err);
}

enum sync_status sync_offer_take(struct sync_db *db, int64_t site_id, const struct sync_header *h, struct sync_reader *reader,
				 struct sync_batch *b, struct sync_seen *seen, int64_t waiting_max, bool *ret_took,
				 struct sync_error *err)
{
	defer(sync_arena_clear) struct sync_arena arena = { 0 };
	struct offers o = { .db = db, .arena = &arena, .site_id = site_id, .most = waiting_max, .loss = h->loss };
	enum sync_status status;

	*ret_took = false;
	TRY(sync_db_begin(db, true, err));
	status = take(&o, h, reader, b, seen, ret_took, err);
	if (status == SYNC_OK && *ret_took)
		return sync_db_commit(db, err);
	sync_db_rollback(db);
	return status;
}

static enum sync_status take_number(void *ctx, const struct sync_value *v, size_t n, struct sync_error *err)
{
	(void)n, (void)err;
	if (v[0].kind == SYNC_STRING)
		*(int64_t *)ctx = strtoll(v[0].s.data, NULL, 10);
	return SYNC_OK;
}

enum sync_status sync_recovered_count(struct sync_db *db, struct sync_recovery *ret, struct sync_error *err)
{
	static const char seen[] = "SELECT value FROM sync_meta WHERE key = $1";
	static const char healed[] = "SELECT count(*) FROM sync_site WHERE healed_us >= $1";
	static const char missing[] =
	    "SELECT count(*) FROM sync_site WHERE token_hash IS NOT NULL AND revoked_us IS NULL AND lapsed_us IS NULL"
	    "    AND created_us < $1 AND coalesce(last_seen_us, 0) < $2";
	static const char open[] = "SELECT count(*) FROM sync_waiting WHERE kind = 'recovered' AND done_us IS NULL";

	*ret = (struct sync_recovery){ 0 };
	TRY(sync_db_run(db, seen, SYNC_ARGS(sync_text(lost_key)), take_number, &ret->seen_us, err));
	if (!ret->seen_us)
		return SYNC_OK;
	TRY(sync_db_number(db, healed, SYNC_ARGS(sync_int(ret->seen_us)), 0, &ret->sites, err));
	TRY(sync_db_number(db, missing, SYNC_ARGS(sync_int(ret->seen_us), sync_int(ret->seen_us)), 0, &ret->missing, err));
	TRY(sync_db_number(db, open, SYNC_NOARGS, 0, &ret->open, err));
	if (ret->missing == 0 && ret->open == 0)
		*ret = (struct sync_recovery){ 0 };
	return SYNC_OK;
}

#include "exchange/verify.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <libsync/records.h>
#include <libsync/site.h>
#include <libsync/time.h>

#include "base/internal.h"
#include "db/outbox.h"
#include "exchange/digest.h"
#include "exchange/integrate.h"
#include "exchange/lot.h"
#include "exchange/route.h"

const char sync_verify_sent[] = "sent", sync_verify_yours[] = "yours", sync_verify_moving[] = "moving",
	   sync_verify_waits[] = "waits";
const char sync_verify_equal[] = "equal";
const char sync_verify_missing[] = "missing", sync_verify_extra[] = "extra", sync_verify_differs[] = "differs";

enum {
	MOST_RANGES = 256,     /* in one request */
	MOST_REPAIRS = 1000,
	MOST_ENTITIES = 512,   /* in a report */
	MOST_RECORDS = 200000, /* that are looked at for one request: others wait for a thread, too */
	PARTS = 32,            /* into which a range that differs is split */
};

/*
 * A range is read once: each record begins a part until there are PARTS of them; then each two become one, twice as large. So the
 * parts of a range of few records are single records, which tell the site all.
 */
struct part {
	struct sync_buf to; /* id of its last record */
	struct sync_tally tally;
};

struct parts {
	struct part part[PARTS];
	size_t n;
	int64_t size; /* records of each but the last */
	struct sync_tally all;
};

static void free_parts(struct parts **p)
{
	for (size_t i = 0; *p && i < PARTS; i++)
		sync_buf_clear(&(*p)->part[i].to);
	free(*p);
}

static void reset_parts(struct parts *p)
{
	p->n = 0;
	p->size = 1;
	p->all = (struct sync_tally){ 0 };
}

static void halve(struct parts *p)
{
	for (size_t i = 0; i < PARTS / 2; i++) {
		struct part *low = &p->part[2 * i], *high = low + 1, joined = *high;

		sync_tally_join(&joined.tally, &low->tally);
		*high = p->part[i]; /* its buffer is used again */
		p->part[i] = joined;
	}
	p->n = PARTS / 2;
	p->size *= 2;
}

static enum sync_status take_record(void *ctx, struct sync_view id, const struct sync_tally *t, struct sync_error *err)
{
	struct parts *p = ctx;
	struct part *last;

	if (p->n == 0 || p->part[p->n - 1].tally.n == p->size) {
		if (p->n == PARTS)
			halve(p);
		p->part[p->n].tally = (struct sync_tally){ 0 };
		p->part[p->n++].to.max = SYNC_MAX_ID;
	}
	last = &p->part[p->n - 1];
	sync_tally_join(&last->tally, t);
	sync_tally_join(&p->all, t);
	sync_buf_reset(&last->to);
	sync_buf_add_view(&last->to, id);
	return sync_buf_check(&last->to, err);
}

struct comparing {
	struct sync_db *db;
	int64_t site;
	int schema;
	int64_t left; /* records that may still be looked at */
	struct sync_writer *w;
	struct parts *parts;
};

static void write_later(struct comparing *c, const struct sync_range *asked, struct sync_view from)
{
	sync_writer_range(c->w, &(struct sync_range){ .name = asked->name, .from = from, .to = asked->to, .later = true });
}

/* The parts, up to where all of the range was looked at, and what is behind the last of them. */
static void write_parts(struct comparing *c, const struct sync_range *asked, struct sync_view last)
{
	struct sync_range r = { .name = asked->name, .from = asked->from };

	for (size_t i = 0; i < c->parts->n; i++) {
		r.to = sync_buf_view(&c->parts->part[i].to);
		sync_tally_put(&c->parts->part[i].tally, &r);
		sync_writer_range(c->w, &r);
		r.from = r.to;
	}
	r.to = last.len ? last : asked->to;
	sync_tally_put(&(struct sync_tally){ 0 }, &r);
	if (!sync_view_eq(r.from, r.to) || r.from.len == 0)
		sync_writer_range(c->w, &r);
	if (last.len)
		write_later(c, asked, last);
}

static enum sync_status compare(struct comparing *c, const struct sync_range *asked, struct sync_error *err)
{
	defer(sync_buf_clear) struct sync_buf last = { .max = SYNC_MAX_ID };
	struct sync_digester d;
	struct sync_tally theirs;
	enum sync_status status;

	if (c->left <= 0) {
		write_later(c, asked, asked->from);
		return SYNC_OK;
	}
	reset_parts(c->parts);
	sync_digester_open(&d, asked->entity, c->schema);
	status = sync_digest_due(c->db, c->site, &d, asked->from, asked->to, &c->left, &last, take_record, c->parts, err);
	sync_digester_close(&d);
	if (status != SYNC_OK)
		return status;
	if (last.len > 0 || !sync_tally_get(&theirs, asked) || !sync_tally_eq(&theirs, &c->parts->all))
		write_parts(c, asked, sync_buf_view(&last));
	return SYNC_OK;
}

enum sync_status sync_verify_compare(struct sync_db *db, int64_t site, int schema, struct sync_reader *reader,
				     struct sync_writer *w, struct sync_error *err)
{
	defer(free_parts) struct parts *parts = calloc(1, sizeof *parts);
	defer(sync_arena_clear) struct sync_arena arena = { 0 };
	struct comparing c = { db, site, schema, MOST_RECORDS, w, parts };

	if (!parts)
		return sync_fail(err, SYNC_ENOMEM, "comparing with site %lld", (long long)site);
	for (int n = 0;; n++) {
		struct sync_range asked;
		bool more;

		sync_arena_reset(&arena);
		TRY(sync_reader_range(reader, &arena, &asked, &more, err));
		if (!more)
			return SYNC_OK;
		if (n == MOST_RANGES)
			return sync_fail(err, SYNC_ETOOBIG, "more than %d ranges in one request", MOST_RANGES);
		if (asked.entity)
			TRY(compare(&c, &asked, err));
	}
}

/* repair */

/* What is known of records of one entity, that follow each other in the request. */
struct repair {
	struct sync_db *db;
	int64_t site;
	const struct sync_entity *e;
	struct sync_view *ids;
	size_t n;
	bool *moving, *waits, *known, *due;
	struct sync_record *r;
	int64_t *owner;
	bool *mark; /* what take_mark() sets */
};

static enum sync_status take_mark(void *ctx, const struct sync_value *v, size_t n, struct sync_error *err)
{
	struct repair *x = ctx;

	(void)n, (void)err;
	for (size_t i = 0; i < x->n; i++)
		if (sync_view_eq(x->ids[i], v[0].s))
			x->mark[i] = true;
	return SYNC_OK;
}

/* The ids for which a query has a row; its parameters from $2 on are v. */
static enum sync_status mark(struct repair *x, bool *ret, const char *head, const char *tail, const struct sync_value *v, size_t n,
			     struct sync_error *err)
{
	x->mark = ret;
	return sync_run_ids(x->db, head, x->ids, x->n, tail, v, n, take_mark, x, err);
}

/* A change that has not reached the site yet: routed and not pulled, or still in the queue. */
static enum sync_status find_moving(struct repair *x, const struct sync_position *at, struct sync_error *err)
{
	static const char outbox[] = "SELECT record_id FROM sync_outbox WHERE record_id";
	static const char above[] = " AND site_id = $2 AND entity = $3 AND seq > $4";
	static const char queue[] = "SELECT record_id FROM sync_changelog WHERE record_id";
	static const char queued[] = " AND entity = $2";
	const struct sync_value name = sync_text(x->e->name);

	TRY(mark(x, x->moving, outbox, above, SYNC_ARGS(sync_int(SYNC_EVERYBODY), name, sync_int(at->all.seq)), err));
	TRY(mark(x, x->moving, outbox, above, SYNC_ARGS(sync_int(x->site), name, sync_int(at->own.seq)), err));
	return mark(x, x->moving, queue, queued, SYNC_ARGS(name), err);
}

static enum sync_status find_facts(struct repair *x, const struct sync_position *at, struct sync_arena *arena,
				   struct sync_error *err)
{
	static const char inbox[] = "SELECT record_id FROM sync_inbox WHERE record_id";
	static const char outbox[] = "SELECT record_id FROM sync_outbox WHERE record_id";
	static const char of_site[] = " AND source = $2 AND entity = $3";
	static const char question[] = "SELECT record_id FROM sync_waiting WHERE record_id";
	static const char to_grant[] = " AND site_id = $2 AND entity = $3 AND kind = 'grant' AND done_us IS NULL";
	static const char to_site[] = " AND site_id = $2 AND entity = $3";
	const struct sync_value name = sync_text(x->e->name);

	TRY(find_moving(x, at, err));
	TRY(mark(x, x->waits, inbox, of_site, SYNC_ARGS(sync_int(x->site), name), err));
	TRY(mark(x, x->waits, question, to_grant, SYNC_ARGS(sync_int(x->site), name), err));
	TRY(mark(x, x->known, outbox, to_site, SYNC_ARGS(sync_int(SYNC_EVERYBODY), name), err));
	TRY(mark(x, x->known, outbox, to_site, SYNC_ARGS(sync_int(x->site), name), err));
	TRY(sync_records_get(x->db, x->e, sync_view_of(x->e->name), x->ids, x->n, arena, x->r, err));
	TRY(sync_route_due(x->db, x->site, x->r, x->n, arena, x->due, err));
	return sync_route_owners(x->db, x->e, x->r, x->n, arena, x->owner, err);
}

/*
 * The owner's version counts; of what everybody may edit, central's, since that the site's was edited nobody knows. What this site
 * was never given is the site's to push, whether central has it or not, which is not for the site to know: central judges the push.
 */
static const char *decide(const struct repair *x, size_t i)
{
	if (x->moving[i])
		return sync_verify_moving;
	if (x->waits[i])
		return sync_verify_waits;
	if (!x->known[i] && !x->due[i])
		return sync_verify_yours;
	return x->due[i] && x->owner[i] == x->site ? sync_verify_yours : sync_verify_sent;
}

/* A record that the site owns and lacks was lost there: it is sent. */
static const char *fate_of(const struct repair *x, size_t i, const char *kind)
{
	const char *fate = decide(x, i);

	return x->due[i] && fate == sync_verify_yours && !strcmp(kind, sync_verify_missing) ? sync_verify_sent : fate;
}

static enum sync_status repair_run(struct repair *x, const struct sync_range *asked, const struct sync_position *at,
				   struct sync_arena *arena, struct sync_writer *w, struct sync_error *err)
{
	defer(freep) struct sync_view *sent = calloc(x->n, sizeof *sent);
	bool *const *const flags[] = { &x->moving, &x->waits, &x->known, &x->due };
	size_t n = 0;

	x->r = sync_arena_get(arena, x->n * sizeof *x->r);
	x->owner = sync_arena_get(arena, x->n * sizeof *x->owner);
	if (!sent || !x->r || !x->owner)
		return sync_fail(err, SYNC_ENOMEM, "repairing %zu records", x->n);
	for (size_t i = 0; i < COUNT(flags); i++) {
		*(bool **)flags[i] = sync_arena_get(arena, x->n * sizeof(bool));
		if (!*flags[i])
			return sync_fail(err, SYNC_ENOMEM, "repairing %zu records", x->n);
		memset(*flags[i], 0, x->n * sizeof(bool));
	}
	TRY(find_facts(x, at, arena, err));
	for (size_t i = 0; i < x->n; i++) {
		struct sync_range fate = asked[i];

		fate.kind = fate_of(x, i, asked[i].kind);
		if (fate.kind == sync_verify_sent)
			sent[n++] = x->ids[i];
		sync_writer_range(w, &fate);
	}
	return n > 0 ? sync_resend(x->db, x->site, sync_view_of(x->e->name), sent, n, err) : SYNC_OK;
}

static enum sync_status read_repairs(struct sync_reader *reader, struct sync_arena *arena, struct sync_range *ret, size_t *ret_n,
				     struct sync_error *err)
{
	bool more;

	for (*ret_n = 0;; (*ret_n)++) {
		struct sync_range r;

		TRY(sync_reader_range(reader, arena, &r, &more, err));
		if (!more)
			return SYNC_OK;
		if (*ret_n == MOST_REPAIRS)
			return sync_fail(err, SYNC_ETOOBIG, "more than %d records to repair in one request", MOST_REPAIRS);
		if (!r.entity || !r.to.len || !r.kind)
			return sync_fail(err, SYNC_EBADFRAME, "a record to repair of entity '%.*s' without id or kind",
					 SYNC_VIEW(r.name));
		if (*ret_n > 0 && r.entity == ret[*ret_n - 1].entity && sync_view_cmp(ret[*ret_n - 1].to, r.to) >= 0)
			return sync_fail(err, SYNC_EBADFRAME, "records to repair of %s are not in the order of their ids",
					 r.entity->name);
		ret[*ret_n] = r;
	}
}

enum sync_status sync_verify_repair(struct sync_db *db, int64_t site, const struct sync_position *at,
				    struct sync_reader *reader, struct sync_writer *w, struct sync_error *err)
{
	defer(sync_arena_clear) struct sync_arena arena = { 0 };
	struct sync_range *asked = sync_arena_get(&arena, MOST_REPAIRS * sizeof *asked);
	struct sync_view *ids = sync_arena_get(&arena, MOST_REPAIRS * sizeof *ids);
	size_t n, end;

	if (!asked || !ids)
		return sync_fail(err, SYNC_ENOMEM, "repairing %d records", MOST_REPAIRS);
	TRY(read_repairs(reader, &arena, asked, &n, err));
	for (size_t i = 0; i < n; i++)
		ids[i] = asked[i].to;
	for (size_t from = 0; from < n; from = end) {
		struct repair x = { .db = db, .site = site, .e = asked[from].entity, .ids = ids + from };

		for (end = from; end < n && asked[end].entity == x.e; end++)
			;
		x.n = end - from;
		TRY(repair_run(&x, asked + from, at, &arena, w, err));
	}
	return SYNC_OK;
}

/* report */

enum sync_status sync_verify_note(struct sync_db *db, int64_t site, struct sync_reader *reader, int64_t now_us,
				  struct sync_error *err)
{
	static const char put[] =
	    "INSERT INTO sync_verified(site_id, asked_us, at_us, entities, records, digest, unequal) VALUES ($1, 0, $2, $3, $4, $5, $6)"
	    "    ON CONFLICT (site_id) DO UPDATE SET at_us = excluded.at_us, entities = excluded.entities,"
	    "    records = excluded.records, digest = excluded.digest, unequal = excluded.unequal";
	defer(sync_arena_clear) struct sync_arena arena = { 0 };
	struct sync_tally all = { 0 }, one;
	struct sync_range r = { 0 }, sum = { 0 };
	int64_t entities = 0, unequal = 0;
	bool more;

	for (;; entities++) {
		sync_arena_reset(&arena);
		TRY(sync_reader_range(reader, &arena, &r, &more, err));
		if (!more)
			break;
		if (entities == MOST_ENTITIES || r.n > INT64_MAX / MOST_ENTITIES || !sync_tally_get(&one, &r))
			return sync_fail(err, SYNC_EBADFRAME, "a report of %.*s without digest, or of too many", SYNC_VIEW(r.name));
		sync_tally_join(&all, &one);
		unequal += !r.kind || strcmp(r.kind, sync_verify_equal) != 0;
	}
	sync_tally_put(&all, &sum);
	return sync_db_run(db, put,
			   SYNC_ARGS(sync_int(site), sync_int(now_us), sync_int(entities), sync_int(all.n), sync_text(sum.sum),
				     sync_int(unequal)),
			   NULL, NULL, err);
}

/* asking for it */

static enum sync_status ask(struct sync_db *db, int64_t site, int64_t now_us, struct sync_error *err)
{
	static const char put[] =
	    "INSERT INTO sync_verified(site_id, asked_us, at_us, entities, records, digest, unequal) VALUES ($1, $2, 0, 0, 0, '', 0)"
	    "    ON CONFLICT (site_id) DO UPDATE SET asked_us = excluded.asked_us";
	static const char open[] = "SELECT 1 FROM sync_verdict v JOIN sync_site s ON s.site_id = v.site_id"
				   "    WHERE v.site_id = $1 AND v.kind = 'verify' AND v.n > s.verdict_seen LIMIT 1";
	const struct sync_record none = { .name = sync_view_of(""), .id = sync_view_of("") };
	int64_t asked;

	TRY(sync_db_run(db, put, SYNC_ARGS(sync_int(site), sync_int(now_us)), NULL, NULL, err));
	TRY(sync_db_number(db, open, SYNC_ARGS(sync_int(site)), 0, &asked, err));
	return asked ? SYNC_OK : sync_verdict_add(db, site, "verify", &none, "verify", NULL, "central asks for a verification", now_us, err);
}

enum sync_status sync_verify_ask(struct sync_db *db, int64_t site_id, struct sync_error *err)
{
	TRY(sync_db_begin(db, true, err));
	return sync_db_finish(db, ask(db, site_id, sync_now_us(), err), err);
}

static enum sync_status take_verified(void *ctx, const struct sync_value *v, size_t n, struct sync_error *err)
{
	struct sync_verified *ret = ctx;

	(void)n, (void)err;
	*ret = (struct sync_verified){
		.asked_us = v[0].i, .at_us = v[1].i, .entities = v[2].i, .records = v[3].i, .unequal = v[5].i
	};
	snprintf(ret->digest, sizeof ret->digest, "%.*s", SYNC_VIEW(v[4].s));
	return SYNC_OK;
}

enum sync_status sync_verified_get(struct sync_db *db, int64_t site_id, struct sync_verified *ret, struct sync_error *err)
{
	static const char get[] =
	    "SELECT asked_us, at_us, entities, records, digest, unequal FROM sync_verified WHERE site_id = $1";

	*ret = (struct sync_verified){ 0 };
	return sync_db_run(db, get, SYNC_ARGS(sync_int(site_id)), take_verified, ret, err);
}

#include <libsync/exchange.h>

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include <libsync/time.h>

#include "base/internal.h"
#include "exchange/batch.h"
#include "exchange/integrate.h"
#include "exchange/link.h"
#include "exchange/parted.h"
#include "exchange/peer.h"
#include "exchange/push.h"
#include "exchange/recovered.h"
#include "exchange/route.h"
#include "exchange/server.h"
#include "exchange/spool.h"
#include "exchange/verify.h"
#include "exchange/stores.h"

/*
 * request: push (its own write transaction, push.c) -> route what is in the queue -> answer from one snapshot
 * An empty round is one read transaction: the site's row, a look at the queue, the two streams of its outbox.
 */

enum {
	LEVEL = 3,
	WANT_MAX = 8 << 20, /* bytes of an answer */
	PAGE_MIN = 64 << 10,
	PAGE_MAX = 1 << 20,
	ANSWER_MAX = 64 << 20, /* a single record may be large */
	ANSWER_RECORDS = 5000,
	ANSWER_VERDICTS = 500,
	DRAIN_RECORDS = 5000, /* of one site, per step of background work */
	JOB_RECORDS = 2000,
	WAITING_RECORDS = 500,
};

struct sync_server {
	struct sync_db *db;
	struct sync_seen *seen;
	struct sync_writer *writers[2]; /* without and with the dictionary */
	struct sync_reader *reader;     /* NULL before the first request */
	struct sync_batch batch;
	int64_t waiting_max;            /* 0: any number */
	int64_t chunk_max;              /* records of an answer */
};

void sync_server_bound(struct sync_server *s, int64_t waiting_max)
{
	s->waiting_max = waiting_max;
}

void sync_server_free(struct sync_server *s)
{
	if (!s)
		return;
	sync_writer_free(s->writers[0]);
	sync_writer_free(s->writers[1]);
	sync_reader_free(s->reader);
	sync_batch_clear(&s->batch);
	sync_seen_release(s->seen);
	free(s);
}

static void free_server(struct sync_server **s)
{
	sync_server_free(*s);
}

enum sync_status sync_server_new(struct sync_server **ret, struct sync_db *db, struct sync_error *err)
{
	defer(free_server) struct sync_server *s = calloc(1, sizeof *s);

	if (!s)
		return sync_fail(err, SYNC_ENOMEM, "making a server");
	s->db = db;
	s->chunk_max = ANSWER_RECORDS;
	s->seen = sync_seen_open(sync_db_url(db));
	if (!s->seen)
		return sync_fail(err, SYNC_ENOMEM, "making a server");
	TRY(sync_writer_new(&s->writers[0], NULL, LEVEL, ANSWER_MAX, err));
	TRY(sync_writer_new(&s->writers[1], sync_schema_dictionary(), LEVEL, ANSWER_MAX, err));
	*ret = steal(s);
	return SYNC_OK;
}

void sync_server_chunk(struct sync_server *s, int64_t records)
{
	s->chunk_max = records;
}

/* One request. */
struct serving {
	struct sync_server *s;
	struct sync_db *db;
	int64_t site_id;
	struct sync_view body;
	bool recites;                        /* of a bundle: server.h */
	const struct sync_checkpoint *follows;
	struct sync_reader *reader;
	struct sync_header h;
	struct sync_peer peer;
	struct sync_taken taken;
	int loss; /* what the request says that it holds is not known here */
	bool routed; /* by itself, what was in the queue */
	bool held;   /* the answer ends before what is not routed */
	bool left;   /* parts of what its site does not go on with were looked for */
	int64_t now_us;
	struct sync_writer *w;
	struct sync_served served;
	struct sync_view answer;
};

static enum sync_status read_header(struct serving *x, struct sync_error *err)
{
	const struct sync_header *h = &x->h;

	TRY(sync_reader_header(x->reader, &x->h, true, err));
	if (h->site != x->site_id)
		return sync_fail(err, SYNC_EBADREQUEST,
				 "the request says that it is of site %" PRId64 ", its token is site %" PRId64 "'s", h->site,
				 x->site_id);
	if (!h->branch[0])
		return sync_fail(err, SYNC_EBADFRAME, "the header has no branch");
	if (h->loss > SYNC_LOSS_BOTH || (h->loss != SYNC_LOSS_NONE && h->made.ordinal > 0))
		return sync_fail(err, SYNC_EBADFRAME, "loss %d with checkpoint %" PRId64, h->loss, h->made.ordinal);
	return SYNC_OK;
}

/* A request without a checkpoint carries nothing but its header. */
static enum sync_status read_nothing(struct serving *x, struct sync_error *err)
{
	struct sync_end end;

	TRY(sync_reader_end(x->reader, &end, err));
	return end.records == 0 ? SYNC_OK
				: sync_fail(err, SYNC_EBADFRAME, "%" PRId64 " records without a checkpoint", end.records);
}

static bool asks(const struct serving *x)
{
	return x->h.load.active || x->h.inquiry.active;
}

static enum sync_status take_offer(struct serving *x, struct sync_error *err)
{
	return sync_offer_take(x->db, x->site_id, &x->h, x->reader, &x->s->batch, x->s->seen, x->s->waiting_max,
			       &x->served.wrote, err);
}

static enum sync_status take_push(struct serving *x, struct sync_error *err)
{
	if (x->h.made.ordinal == 0)
		return read_nothing(x, err);
	TRY(sync_push_take(x->db, x->site_id, &x->h, x->reader, x->body, &x->s->batch, x->s->seen, x->s->waiting_max,
			   x->follows, &x->taken, err));
	x->served.wrote = !x->taken.refused;
	x->served.pushed = x->taken.refused ? 0 : x->taken.records;
	x->served.spooled = x->taken.spooled;
	return SYNC_OK;
}

/* What a request says of its site and others act upon: which verdicts it has, that it is loaded. */
static enum sync_status note(struct serving *x, struct sync_error *err)
{
	TRY(sync_peer_get(x->db, x->site_id, true, &x->peer, err));
	TRY(sync_peer_check(x->db, &x->peer, &x->h, &x->loss, err));
	if (x->loss != SYNC_LOSS_NONE)
		return SYNC_OK;
	TRY(sync_peer_note(x->db, x->site_id, &x->h, x->now_us, err));
	x->left = sync_parted_leaves(&x->peer, &x->h);
	if (x->left)
		TRY(sync_parted_leave(x->db, &x->peer, err));
	TRY(sync_store_settle(x->db, x->site_id, err));
	return sync_route_within(x->db, err);
}

static enum sync_status note_in_transaction(struct serving *x, struct sync_error *err)
{
	enum sync_status status;

	TRY(sync_db_begin(x->db, true, err));
	status = note(x, err);
	x->served.wrote = status == SYNC_OK && x->loss == SYNC_LOSS_NONE;
	if (status == SYNC_OK)
		return sync_db_commit(x->db, err);
	sync_db_rollback(x->db);
	return status;
}

static bool needs_note(const struct serving *x)
{
	if (x->recites || asks(x) || x->served.wrote || x->taken.refused || x->loss != SYNC_LOSS_NONE || x->h.loss != SYNC_LOSS_NONE)
		return false;
	return x->h.verdict != x->peer.verdict_seen || !x->peer.loaded ||
	       (!x->left && sync_parted_leaves(&x->peer, &x->h));
}

/* Whoever has more to push is not kept waiting: its records are routed meanwhile. */
static bool is_routed_later(const struct serving *x)
{
	return x->served.wrote && (x->served.spooled || x->h.unpushed > 0);
}

static enum sync_status find_loss(struct serving *x, struct sync_error *err)
{
	sync_seen_get(x->s->seen, &x->peer);
	if (!x->h.load.active) {
		TRY(sync_peer_check(x->db, &x->peer, &x->h, &x->loss, err));
		x->loss &= ~(x->h.loss & SYNC_LOSS_OLD); /* which it offers for already */
		return SYNC_OK;
	}
	return x->h.load.entity[0] ? sync_peer_check_position(x->db, &x->peer, &x->h.load.at, &x->loss, err) : SYNC_OK;
}

/* What is there can be given although the disk takes no more. */
static bool can_be_read(enum sync_status status)
{
	return status == SYNC_EDISKFULL || status == SYNC_EREADONLY;
}

/*
 * A site that builds on another push than the newest one has more to push than it knows: the edits are not of after this exchange,
 * and its stores do not go yet.
 */
static bool is_mistaken(const struct serving *x)
{
	return x->taken.refused || (x->h.made.ordinal == 0 && strcmp(x->h.base.id, x->peer.in.id) != 0);
}

/* Begin the snapshot of the answer, once everything that it should see is written. */
static enum sync_status open_snapshot(struct serving *x, struct sync_error *err)
{
	bool routed = is_routed_later(x) || x->h.inquiry.active;
	bool noted = false;

	for (;;) {
		enum sync_status status;
		bool queued = false;

		TRY(sync_db_begin(x->db, false, err));
		TRY(sync_peer_get(x->db, x->site_id, false, &x->peer, err));
		x->peer.loaded = x->peer.loaded || x->recites;
		TRY(sync_peer_admit(&x->peer, x->h.branch, err));
		if (x->h.unpushed == 0 && is_mistaken(x))
			x->h.unpushed = 1;
		TRY(find_loss(x, err));
		if (!routed)
			TRY(sync_route_queued(x->db, &queued, err));
		if (!queued && (noted || !needs_note(x)))
			return SYNC_OK;
		sync_db_rollback(x->db);
		status = queued ? sync_route(x->db, err) : note_in_transaction(x, err);
		if (status != SYNC_OK && !can_be_read(status))
			return status;
		noted = noted || status != SYNC_OK;
		x->routed = x->routed || queued;
		routed = queued || routed;
	}
}

/* the answer */

static struct sync_header answer_header(const struct serving *x)
{
	struct sync_header h = {
		.protocol = x->h.protocol < SYNC_PROTOCOL ? x->h.protocol : SYNC_PROTOCOL,
		.schema = SYNC_SCHEMA_VERSION,
		.program = SYNC_VERSION,
		.site = x->site_id,
		.stored = x->peer.in,
		.integrated = x->peer.integrated,
		.highest = x->peer.highest,
		.verdict = x->peer.verdict,
		.refused = x->taken.refused || (x->h.loss != SYNC_LOSS_NONE && !x->served.wrote),
		.loss = x->loss,
	};

	memcpy(h.request, x->h.request, sizeof h.request);
	return h;
}

static enum sync_status give_verdict(void *ctx, const struct sync_value *v, size_t n, struct sync_error *err)
{
	struct serving *x = ctx;
	defer(sync_buf_clear) struct sync_buf kind = { .max = 32 };
	struct sync_verdict verdict = {
		.n = v[0].i,
		.entity = v[2].s,
		.id = v[3].s,
		.seq = v[4].i,
		.code = v[5].s,
		.field = v[6].kind == SYNC_STRING ? v[6].s : (struct sync_view){ 0 },
		.text = v[7].s,
	};

	(void)n;
	sync_buf_add_view(&kind, v[1].s);
	TRY(sync_buf_check(&kind, err));
	verdict.kind = kind.data;
	sync_writer_verdict(x->w, &verdict);
	return SYNC_OK;
}

static enum sync_status give_verdicts(struct serving *x, struct sync_error *err)
{
	static const char get[] = "SELECT n, kind, entity, record_id, seq, code, field, text FROM sync_verdict"
				  "    WHERE site_id = $1 AND n > $2 ORDER BY n LIMIT $3";

	if (x->peer.verdict <= x->h.verdict || x->h.loss != SYNC_LOSS_NONE)
		return SYNC_OK;
	return sync_db_run(x->db, get, SYNC_ARGS(sync_int(x->site_id), sync_int(x->h.verdict), sync_int(ANSWER_VERDICTS)),
			   give_verdict, x, err);
}

/* Records come behind all verdicts: what the site is told to wait at central holds its group back there. */
static bool has_verdicts_left(const struct serving *x)
{
	return x->peer.verdict - x->h.verdict > ANSWER_VERDICTS;
}

static enum sync_status give_records(struct serving *x, struct sync_end *end, struct sync_error *err)
{
	const struct sync_ask ask = { .site = x->site_id,
				      .at = &x->h.at,
				      .rest = x->h.rest,
				      .echo = x->h.echo,
				      .want = (size_t)(x->h.want < WANT_MAX ? x->h.want : WANT_MAX),
				      .chunk_max = x->s->chunk_max,
				      .pushing = x->h.unpushed > 0 };

	end->at = x->h.at;
	memcpy(end->rest, x->h.rest, sizeof end->rest);
	if (ask.want == 0 || x->taken.refused || x->peer.spooled > 0 || !x->peer.loaded || has_verdicts_left(x))
		return SYNC_OK;
	end->rest[0] = '\0';
	return sync_pull_write(x->db, &ask, x->w, end, &x->held, err);
}

/* In the snapshot: a header only. */
static enum sync_status answer_parted(struct serving *x, struct sync_error *err)
{
	struct sync_header h = answer_header(x);
	struct sync_end end = { .at = x->h.at };

	if (x->h.inquiry.active)
		TRY(sync_parted_answer(x->db, &x->peer, &x->h, x->loss, &h.common, err));
	sync_writer_begin(x->w, &h, false);
	return sync_writer_end(x->w, &end, &x->answer, err);
}

/* In the snapshot. */
static enum sync_status answer_pull(struct serving *x, struct sync_error *err)
{
	struct sync_header h = answer_header(x);
	struct sync_end end = { 0 };

	sync_writer_begin(x->w, &h, false);
	TRY(give_verdicts(x, err));
	TRY(give_records(x, &end, err));
	return sync_writer_end(x->w, &end, &x->answer, err);
}

/* The first page of a load fixes where ordinary pulls go on, and how much there is. */
static enum sync_status begin_load(struct serving *x, struct sync_load *load, struct sync_error *err)
{
	TRY(sync_load_worked_out(x->db, x->site_id, err));
	*load = (struct sync_load){ .active = true };
	TRY(sync_pull_newest(x->db, x->site_id, &load->at, err));
	return sync_load_total(x->db, x->site_id, &load->total, err);
}

/* In the snapshot. */
static enum sync_status answer_load(struct serving *x, struct sync_error *err)
{
	size_t want = x->h.want < PAGE_MIN ? PAGE_MIN : x->h.want > PAGE_MAX ? PAGE_MAX : (size_t)x->h.want;
	struct sync_load load = x->h.load;
	struct sync_end end = { 0 };
	struct sync_header h;

	if (!load.entity[0])
		TRY(begin_load(x, &load, err));
	h = answer_header(x);
	h.load = load;
	sync_writer_begin(x->w, &h, false);
	TRY(sync_load_write(x->db, x->site_id, &load, want, x->w, &end, err));
	return sync_writer_end(x->w, &end, &x->answer, err);
}

/* In the snapshot: whether it left work, which a request that changed nothing cannot have. */
static enum sync_status find_jobs(struct serving *x, struct sync_error *err)
{
	static const char any[] = "SELECT 1 FROM sync_job LIMIT 1";
	int64_t some = 0;

	if (x->served.wrote || x->routed || x->held)
		TRY(sync_db_number(x->db, any, SYNC_NOARGS, 0, &some, err));
	x->served.jobs = some != 0 || is_routed_later(x);
	return SYNC_OK;
}

/* verification */

static enum sync_status compare(struct serving *x, struct sync_error *err)
{
	int schema = x->h.schema < SYNC_SCHEMA_VERSION ? x->h.schema : SYNC_SCHEMA_VERSION;

	return sync_verify_compare(x->db, x->site_id, schema, x->reader, x->w, err);
}

static enum sync_status repair(struct serving *x, struct sync_error *err)
{
	return sync_verify_repair(x->db, x->site_id, &x->h.at, x->reader, x->w, err);
}

static enum sync_status note_report(struct serving *x, struct sync_error *err)
{
	return sync_verify_note(x->db, x->site_id, x->reader, x->now_us, err);
}

/* Ranges instead of records: what the site should have is read in one snapshot; what it is to be sent is routed when it hears so. */
static enum sync_status answer_verify(struct serving *x, struct sync_error *err)
{
	static enum sync_status (*const steps[])(struct serving *, struct sync_error *) = {
		[SYNC_VERIFY_COMPARE] = compare, [SYNC_VERIFY_REPAIR] = repair, [SYNC_VERIFY_REPORT] = note_report
	};
	struct sync_end end = { 0 };
	struct sync_header h;

	if (x->h.verify >= (int)COUNT(steps))
		return sync_fail(err, SYNC_EBADFRAME, "step %d of a verification", x->h.verify);
	x->served.wrote = x->h.verify != SYNC_VERIFY_COMPARE;
	x->w = x->s->writers[sync_reader_dictionary(x->reader)];
	TRY(sync_db_begin(x->db, x->served.wrote, err));
	TRY(sync_peer_get(x->db, x->site_id, x->served.wrote, &x->peer, err));
	TRY(sync_peer_admit(&x->peer, x->h.branch, err));
	TRY(sync_peer_check(x->db, &x->peer, &x->h, &x->loss, err));
	if (x->loss != SYNC_LOSS_NONE)
		return sync_fail(err, SYNC_EHISTORY, "what the site holds is not of this history: a round brings both together, verify then");
	h = answer_header(x);
	h.verify = x->h.verify;
	sync_writer_begin(x->w, &h, false);
	TRY(steps[x->h.verify](x, err));
	TRY(sync_db_finish(x->db, SYNC_OK, err));
	if (x->h.verify == SYNC_VERIFY_REPAIR)
		TRY(sync_route_all(x->db, err));
	return sync_writer_end(x->w, &end, &x->answer, err);
}

static enum sync_status take(struct serving *x, struct sync_error *err)
{
	if (asks(x))
		return read_nothing(x, err);
	return x->h.loss != SYNC_LOSS_NONE ? take_offer(x, err) : take_push(x, err);
}

static enum sync_status answer(struct serving *x, struct sync_error *err)
{
	TRY(open_snapshot(x, err));
	if (x->h.inquiry.active || x->loss != SYNC_LOSS_NONE)
		return answer_parted(x, err);
	return x->h.load.active ? answer_load(x, err) : answer_pull(x, err);
}

/* What kept the answer from having any records may have come after this request routed; it is not waited for again. */
static enum sync_status route_and_answer(struct serving *x, struct sync_error *err)
{
	sync_db_rollback(x->db);
	TRY(sync_route(x->db, err));
	x->routed = true;
	return answer(x, err);
}

static enum sync_status serve(struct serving *x, struct sync_error *err)
{
	TRY(read_header(x, err));
	if (x->h.verify)
		return answer_verify(x, err);
	TRY(take(x, err));
	if (x->served.wrote && !is_routed_later(x))
		TRY(sync_route_all(x->db, err));
	x->w = x->s->writers[sync_reader_dictionary(x->reader)];
	TRY(answer(x, err));
	if (x->held && sync_writer_records(x->w) == 0 && !is_routed_later(x))
		TRY(route_and_answer(x, err));
	TRY(find_jobs(x, err));
	x->served.pulled = sync_writer_records(x->w);
	sync_db_rollback(x->db);
	if (asks(x) || x->recites || x->loss != SYNC_LOSS_NONE || x->h.loss != SYNC_LOSS_NONE)
		return SYNC_OK;
	return sync_seen_put(x->s->seen, x->site_id, &x->h, x->now_us, !x->served.wrote, err);
}

static enum sync_status handle(struct serving *x, struct sync_error *err)
{
	struct sync_server *s = x->s;
	enum sync_status status;

	if (s->reader)
		TRY(sync_reader_reset(s->reader, x->body, &sync_default_limits, err));
	else
		TRY(sync_reader_new(&s->reader, x->body, &sync_default_limits, err));
	x->db = s->db;
	x->reader = s->reader;
	x->now_us = sync_now_us();
	status = serve(x, err);
	sync_db_rollback(s->db);
	return status;
}

enum sync_status sync_server_answer(struct sync_server *s, int64_t site_id, struct sync_view body, struct sync_view *ret,
				    struct sync_served *served, struct sync_error *err)
{
	struct serving x = { .s = s, .site_id = site_id, .body = body };

	TRY(handle(&x, err));
	*ret = x.answer;
	*served = x.served;
	return SYNC_OK;
}

/* A file asks no questions. */
static enum sync_status check_bundled(const struct serving *x, struct sync_error *err)
{
	if (x->loss == SYNC_LOSS_NONE)
		return SYNC_OK;
	return sync_fail(err, SYNC_EHISTORY,
			 "site %" PRId64 " holds what is not of this history, as after a restore, or was away for too long: let it exchange over "
			 "the network first", x->site_id);
}

enum sync_status sync_server_recite(struct sync_server *s, int64_t site_id, struct sync_view body, struct sync_view *ret,
				    struct sync_error *err)
{
	struct serving x = { .s = s, .site_id = site_id, .body = body, .recites = true };

	TRY(handle(&x, err));
	TRY(check_bundled(&x, err));
	*ret = x.answer;
	return SYNC_OK;
}

enum sync_status sync_server_take(struct sync_server *s, int64_t site_id, struct sync_view body,
				  const struct sync_checkpoint *follows, struct sync_error *err)
{
	struct serving x = { .s = s, .site_id = site_id, .body = body, .follows = follows };

	TRY(handle(&x, err));
	return check_bundled(&x, err);
}

/* background work */

/* Between processes one site is drained by one of them. */
static enum sync_status claim(struct sync_db *db, int64_t site, bool *ret, struct sync_error *err)
{
	static const char lock[] =
	    "SELECT CASE WHEN pg_try_advisory_lock(hashtext('sync_spool'), CAST($1 AS integer)) THEN 1 ELSE 0 END";
	int64_t got = 1;

	if (sync_db_dialect(db)->postgres)
		TRY(sync_db_number(db, lock, SYNC_ARGS(sync_int(site)), 0, &got, err));
	*ret = got != 0;
	return SYNC_OK;
}

static void let_go(struct sync_db *db, int64_t site)
{
	static const char unlock[] =
	    "SELECT CASE WHEN pg_advisory_unlock(hashtext('sync_spool'), CAST($1 AS integer)) THEN 1 ELSE 0 END";
	int64_t was;

	if (sync_db_dialect(db)->postgres) /* a lost connection has let go of it */
		(void)sync_db_number(db, unlock, SYNC_ARGS(sync_int(site)), 0, &was, NULL);
}

/* In the transaction of each slice. The lock comes first, so that the count sees what a push has added meanwhile. */
static enum sync_status note_slice(void *ctx, struct sync_db *db, int64_t upto, bool finished, struct sync_error *err)
{
	static const char set[] = "UPDATE sync_site SET spooled = (SELECT count(*) FROM sync_spool WHERE source = $1), "
				  "in_integrated = $2 WHERE site_id = $3";
	const int64_t *site = ctx;
	struct sync_peer peer;
	int64_t integrated;

	TRY(sync_peer_get(db, *site, true, &peer, err));
	integrated = finished && upto > peer.integrated ? upto : peer.integrated;
	TRY(sync_db_run(db, set, SYNC_ARGS(sync_int(*site), sync_int(integrated), sync_int(*site)), NULL, NULL, err));
	if (finished)
		TRY(sync_store_settle(db, *site, err));
	return sync_route_within(db, err);
}

/* Nobody waits for a slice at central as an application does at a site. */
static void no_pause(int64_t us)
{
	(void)us;
}

static enum sync_status drain_claimed(struct sync_server *s, int64_t site, bool *ret_more, struct sync_error *err)
{
	struct sync_options o = sync_options_of(&(struct sync_options){ .pause = no_pause });
	struct sync_outcome outcome = { 0 };
	struct sync_intake in = { .source = site, .now_us = sync_now_us() };
	struct sync_peer peer;

	TRY(sync_peer_get(s->db, site, false, &peer, err));
	in.branch = peer.branch;
	return sync_spool_drain(s->db, &in, &o, DRAIN_RECORDS, note_slice, &site, &outcome, ret_more, err);
}

static enum sync_status drain_site(struct sync_server *s, int64_t site, bool *ret_more, struct sync_error *err)
{
	enum sync_status status;
	bool claimed, more = false;

	TRY(claim(s->db, site, &claimed, err));
	if (!claimed)
		return SYNC_OK;
	status = drain_claimed(s, site, &more, err);
	let_go(s->db, site);
	*ret_more = *ret_more || more;
	return status;
}

struct ids {
	int64_t id[256];
	size_t n;
};

static enum sync_status take_site(void *ctx, const struct sync_value *v, size_t n, struct sync_error *err)
{
	struct ids *ids = ctx;

	(void)n, (void)err;
	ids->id[ids->n++] = v[0].i;
	return SYNC_OK;
}

/* The first failure of several things that are done one after another, whatever happens to those before. */
struct failure {
	enum sync_status status;
	struct sync_error err;
};

static void keep_first(struct failure *first, enum sync_status status, const struct sync_error *err)
{
	if (status != SYNC_OK && first->status == SYNC_OK)
		*first = (struct failure){ status, *err };
}

static void drain_some(struct sync_server *s, const struct ids *ids, bool *ret_more, struct failure *first)
{
	for (size_t i = 0; i < ids->n; i++) {
		struct sync_error err = { 0 };

		keep_first(first, drain_site(s, ids->id[i], ret_more, &err), &err);
	}
}

/* Who has waited longest is not known; each step gives every site its turn. */
static enum sync_status drain_sites(struct sync_server *s, bool *ret_more, struct sync_error *err)
{
	static const char behind[] =
	    "SELECT site_id FROM sync_site WHERE spooled > 0 AND site_id > $1 ORDER BY site_id LIMIT $2";
	struct failure first = { 0 };
	struct ids ids;
	int64_t last = 0;

	do {
		ids.n = 0;
		TRY(sync_db_run(s->db, behind, SYNC_ARGS(sync_int(last), sync_int((int64_t)COUNT(ids.id))), take_site, &ids,
				err));
		drain_some(s, &ids, ret_more, &first);
		last = ids.n ? ids.id[ids.n - 1] : last;
	} while (ids.n == COUNT(ids.id));
	if (first.status != SYNC_OK && err)
		*err = first.err;
	return first.status;
}

static enum sync_status retry_waiting(struct sync_server *s, struct sync_error *err)
{
	static const char any[] = "SELECT 1 FROM sync_inbox LIMIT 1";
	enum sync_status status;
	int64_t some;
	bool more;

	TRY(sync_db_number(s->db, any, SYNC_NOARGS, 0, &some, err));
	if (!some)
		return SYNC_OK;
	TRY(sync_db_begin(s->db, true, err));
	status = sync_integrate_waiting(s->db, sync_now_us(), WAITING_RECORDS, &more, err);
	if (status == SYNC_OK)
		status = sync_route_within(s->db, err);
	if (status == SYNC_OK)
		return sync_db_commit(s->db, err);
	sync_db_rollback(s->db);
	return status;
}

enum sync_status sync_server_work(struct sync_server *s, bool *ret_more, struct sync_error *err)
{
	struct failure first = { 0 };
	struct sync_error at = { 0 };
	bool more = false, jobs = false;

	keep_first(&first, drain_sites(s, &more, &at), &at);
	keep_first(&first, retry_waiting(s, &at), &at);
	keep_first(&first, sync_route(s->db, &at), &at);
	keep_first(&first, sync_route_job(s->db, JOB_RECORDS, &jobs, &at), &at);
	*ret_more = more || jobs;
	if (first.status != SYNC_OK && err)
		*err = first.err;
	return first.status;
}

enum sync_status sync_server_flush(struct sync_db *db, struct sync_error *err)
{
	struct sync_seen *seen = sync_seen_open(sync_db_url(db));
	enum sync_status status;

	if (!seen)
		return sync_fail(err, SYNC_ENOMEM, "writing when sites were seen");
	status = sync_seen_flush(seen, db, err);
	sync_seen_release(seen);
	return status;
}

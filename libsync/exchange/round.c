#include "exchange/round.h"

#include <inttypes.h>
#include <string.h>

#include <libsync/crypto.h>
#include <libsync/time.h>

#include "base/internal.h"
#include "exchange/heal.h"
#include "exchange/link.h"
#include "exchange/offer.h"
#include "exchange/pull.h"
#include "exchange/push.h"
#include "exchange/spool.h"
#include "exchange/talk.h"
#include "exchange/verify.h"

enum {
	FIRST_AT_ONCE = 500, /* pulled records that one transaction takes, to begin with */
	LEAST_AT_ONCE = 50,
	MOST_AT_ONCE = 20000,
	FEW = 100,            /* edits that are not worth asking first */
	MOST_UNANSWERED = 16, /* checkpoints made without an answer: fewer than are kept */
	MOST_REFUSED = 3,
	MOST_PARTED = 4, /* how often histories may part in a round */
	MOST_POLLS = 16, /* while central integrates what it has spooled */
	FIRST_POLL_US = 50000,
	LAST_POLL_US = 1000000,
	RETRIES = 1000,     /* waiting records looked at after a round */
	AHEAD_US = 2000000, /* that a message may wait to be sent: the ages in it are of when it was written */
};

/*
 * While central works on a push, the site writes the next one, as if that push were stored already:
 *   site     write 1   send 1   write 2           apply 1, send 2   write 3           …
 *   central                     store 1, answer                     store 2, answer
 * It is sent if central has stored what it follows and sent no records, which it would send again to the position in a header
 * that was written before; else it is forgotten, and its checkpoint with it: ordinals may have holes.
 */
struct ahead {
	bool ready;
	struct sync_header h;
	struct sync_view message;
	int64_t written_us;
};

struct round {
	struct sync_db *db;
	const struct sync_options *o;
	struct sync_report *report;
	struct sync_link link;
	struct sync_talk talk;
	struct sync_push pushes[2];
	struct sync_push *push, *next; /* of the message on its way, and of the one ahead */
	struct ahead ahead;
	struct sync_batch batch;
	size_t at_once; /* adapts to o->slice_us */
	int refused, polls, parted;
	struct sync_error full; /* why central does not take what there is to push: this round goes on without it */
};

static void close_round(struct round *r)
{
	if (r->talk.o)
		sync_talk_close(&r->talk, r->db);
	sync_push_clear(&r->pushes[0]);
	sync_push_clear(&r->pushes[1]);
	sync_batch_clear(&r->batch);
}

enum sync_status sync_round_drain(struct sync_db *db, const struct sync_link *link, const struct sync_options *o,
				  struct sync_report *report, struct sync_error *err)
{
	struct sync_intake in = { .source = 0, .now_us = sync_now_us(), .integrated = link->integrated, .branch = link->branch };
	struct sync_outcome outcome = { 0 };
	bool more = true;

	while (more) {
		TRY(sync_stopped(o, err));
		TRY(sync_spool_drain(db, &in, o, 0, NULL, NULL, &outcome, &more, err));
	}
	report->integrated += outcome.applied;
	return SYNC_OK;
}

static enum sync_status drain(struct round *r, struct sync_error *err)
{
	return sync_round_drain(r->db, &r->link, r->o, r->report, err);
}

static enum sync_status drain_pending(struct round *r, struct sync_error *err)
{
	bool pending;

	TRY(sync_spool_pending(r->db, 0, &pending, err));
	return pending ? drain(r, err) : SYNC_OK;
}

/*
 * After an unanswered request central's checkpoint is asked for before records are sent, unless they are few; and always when
 * so many had no answer that the one which arrived could be forgotten. Where central has no room for them, they are not sent.
 */
static enum sync_status asks_first(struct round *r, bool *ret, struct sync_error *err)
{
	int64_t unpushed;

	*ret = r->full.status != SYNC_OK;
	if (*ret || !r->link.unanswered)
		return SYNC_OK;
	TRY(sync_unpushed(r->db, &unpushed, err));
	*ret = unpushed > FEW || r->link.made.ordinal - r->link.out.ordinal >= MOST_UNANSWERED;
	return SYNC_OK;
}

static enum sync_status write_question(struct round *r, struct sync_header *h, struct sync_writer *w, struct sync_view *ret,
				       struct sync_error *err)
{
	struct sync_end end = { 0 };

	TRY(sync_unpushed(r->db, &h->unpushed, err));
	sync_writer_begin(w, h, true);
	return sync_writer_end(w, &end, ret, err);
}

/* Its id tells its answer from one that comes late, or once more: that is of other positions, and of another state of the site. */
static struct sync_header header_of(const struct round *r, const struct sync_link *link)
{
	struct sync_header h = sync_link_header(link);

	h.want = (int64_t)r->talk.size;
	sync_random_hex(h.request, SYNC_REQUEST);
	return h;
}

static enum sync_status write_request(struct round *r, struct sync_header *h, struct sync_error *err)
{
	struct sync_view message;
	struct sync_writer *w;
	bool ask;

	TRY(sync_talk_writer(&r->talk, &w, err));
	*h = header_of(r, &r->link);
	TRY(asks_first(r, &ask, err));
	if (ask)
		TRY(write_question(r, h, w, &message, err));
	else
		TRY(sync_push_write(r->push, r->db, &r->link, h, w, r->talk.size, &message, err));
	return sync_talk_start(&r->talk, message, err);
}

/* Only behind a push, with more to push, and with nothing to pull as it seems. */
static bool may_write_ahead(const struct round *r, const struct sync_header *asked)
{
	bool pulls = r->batch.end.records > 0 || r->link.more > 0;

	return asked->made.ordinal > 0 && asked->unpushed > 0 && !asked->part && !pulls && r->talk.quick;
}

static enum sync_status write_ahead(struct round *r, const struct sync_header *asked, struct sync_error *err)
{
	struct ahead *a = &r->ahead;
	struct sync_link link = r->link;
	struct sync_writer *w;

	link.out = asked->made;
	a->h = header_of(r, &link);
	TRY(sync_talk_ahead(&r->talk, &w, err));
	TRY(sync_push_follow(r->next, r->push, err));
	TRY(sync_push_write(r->next, r->db, &link, &a->h, w, r->talk.size, &a->message, err));
	r->link.made = link.made;
	a->ready = a->h.made.ordinal > 0;
	a->written_us = sync_tick_us();
	return SYNC_OK;
}

static bool can_send_ahead(const struct round *r)
{
	const struct ahead *a = &r->ahead;

	return a->ready && !strcmp(a->h.base.id, r->link.out.id) && r->batch.end.records == 0 &&
	       sync_tick_us() - a->written_us < AHEAD_US;
}

static enum sync_status send_ahead(struct round *r, struct sync_header *h, struct sync_error *err)
{
	struct sync_push *next = r->next;

	r->next = r->push;
	r->push = next;
	r->ahead.ready = false;
	*h = r->ahead.h;
	return sync_talk_start_ahead(&r->talk, r->ahead.message, err);
}

static void forget_ahead(struct round *r)
{
	if (r->ahead.ready)
		r->link.unanswered = false; /* it was never asked */
	r->ahead.ready = false;
}

static enum sync_status send(struct round *r, struct sync_header *h, struct sync_error *err)
{
	if (can_send_ahead(r))
		return send_ahead(r, h, err);
	forget_ahead(r);
	return write_request(r, h, err);
}

/* Twice as many records when a transaction took less than half of a slice, half as many when it took more than one. */
static void adapt(struct round *r, int64_t took_us)
{
	if (took_us > r->o->slice_us)
		r->at_once = r->at_once / 2 > LEAST_AT_ONCE ? r->at_once / 2 : LEAST_AT_ONCE;
	else if (took_us < r->o->slice_us / 2 && r->batch.n > r->at_once / 2)
		r->at_once = r->at_once * 2 < MOST_AT_ONCE ? r->at_once * 2 : MOST_AT_ONCE;
}

static enum sync_status read_answer(struct round *r, const struct sync_header *asked, struct sync_answer *a,
				    struct sync_applied *applied, struct sync_error *err)
{
	struct sync_view body = sync_buf_view(&r->talk.body);
	int64_t began_us;

	TRY(sync_answer_read(a, &r->batch, body, r->at_once, err));
	began_us = sync_tick_us();
	TRY(sync_answer_apply(a, &r->batch, body, r->db, &r->link, asked, r->push, applied, err));
	if (applied->parted)
		return SYNC_OK;
	adapt(r, sync_tick_us() - began_us);
	r->report->pushed += applied->pushed;
	r->report->pulled += r->batch.end.records;
	r->report->integrated += applied->outcome.applied;
	return a->spool ? drain(r, err) : SYNC_OK;
}

static enum sync_status count_refusal(struct round *r, const struct sync_answer *a, struct sync_error *err)
{
	if (!a->h.refused)
		r->refused = 0;
	else if (++r->refused > MOST_REFUSED)
		return sync_fail(err, SYNC_EBASE, "central refused %d pushes in a row; its newest checkpoint is %" PRId64,
				 r->refused, a->h.stored.ordinal);
	return SYNC_OK;
}

/* Central integrates first what it has of this site: meanwhile its answers carry no records. */
static bool poll(struct round *r)
{
	int64_t wait_us = FIRST_POLL_US << (r->polls < 5 ? r->polls : 5);

	if (r->polls++ == MOST_POLLS)
		return false;
	r->o->pause(wait_us < LAST_POLL_US ? wait_us : LAST_POLL_US);
	return true;
}

static enum sync_status goes_on(struct round *r, const struct sync_header *asked, const struct sync_answer *a,
				const struct sync_applied *applied, bool *ret, struct sync_error *err)
{
	bool pushes = asked->unpushed > 0 && r->full.status == SYNC_OK;
	bool left = pushes || a->h.refused || applied->leave || a->h.verdict > r->link.verdict;

	TRY(count_refusal(r, a, err));
	*ret = true;
	if (left || (r->batch.end.records > 0 && r->link.more > 0))
		return SYNC_OK;
	if (r->link.integrated < r->link.out.seq || r->link.more > 0)
		*ret = poll(r);
	else
		*ret = false;
	return SYNC_OK;
}

/* Central takes no push, but may well have something to give. */
static bool has_no_room(enum sync_status status)
{
	return status == SYNC_EFULL || status == SYNC_EDISKFULL || status == SYNC_EREADONLY;
}

/* *ret_again: nothing came, but another request may go better. */
static enum sync_status finish(struct round *r, const struct sync_header *asked, bool *ret_again, struct sync_error *err)
{
	struct sync_error seen = { 0 };
	enum sync_status status = sync_talk_finish(&r->talk, &seen);
	bool full = has_no_room(status) && asked->made.ordinal > 0;

	*ret_again = status == SYNC_EDICTIONARY || full;
	if (*ret_again)
		r->ahead.ready = false; /* its writer is gone, or what it follows was not stored */
	if (full)
		r->full = seen;
	else if (status != SYNC_OK && err)
		*err = seen;
	return *ret_again ? SYNC_OK : status;
}

/* Ask, and once more without the dictionary if central has another one. */
static enum sync_status ask_common(struct round *r, struct sync_answer *ret, struct sync_error *err)
{
	enum sync_status status = SYNC_EDICTIONARY;
	struct sync_view message;
	struct sync_writer *w;

	for (int i = 0; i < 2 && status == SYNC_EDICTIONARY; i++) {
		TRY(sync_talk_writer(&r->talk, &w, err));
		TRY(sync_heal_ask(r->db, &r->link, w, &message, err));
		TRY(sync_talk_start(&r->talk, message, err));
		status = sync_talk_finish(&r->talk, err);
	}
	TRY(status);
	return sync_answer_read(ret, &r->batch, sync_buf_view(&r->talk.body), r->at_once, err);
}

/* The histories have parted: what was prepared to be sent is of one that is over. */
static enum sync_status heal(struct round *r, struct sync_error *err)
{
	struct sync_answer answer;

	if (++r->parted > MOST_PARTED)
		return sync_fail(err, SYNC_EHISTORY,
				 "central and this site disagreed %d times in one round about what they have in common: its newest checkpoint "
				 "is %" PRId64 " (%s); are several copies of this site at work?",
				 MOST_PARTED, r->link.out.ordinal, r->link.out.id);
	forget_ahead(r);
	sync_push_clear(r->push);
	sync_push_clear(r->next);
	TRY(ask_common(r, &answer, err));
	return sync_heal_apply(r->db, &r->link, &answer.h, err);
}

/* Nothing is pulled, and so nothing overwritten, before central has what it lost. */
static enum sync_status offer(struct round *r, struct sync_error *err)
{
	bool parted;

	TRY(sync_offer_step(r->db, &r->link, &r->talk, &parted, err));
	return parted ? heal(r, err) : SYNC_OK;
}

static enum sync_status exchange(struct round *r, bool *ret_more, struct sync_error *err)
{
	struct sync_applied applied;
	struct sync_answer answer;
	struct sync_header asked;

	TRY(sync_stopped(r->o, err));
	*ret_more = true;
	if (r->link.loss != SYNC_LOSS_NONE)
		return offer(r, err);
	TRY(send(r, &asked, err));
	if (may_write_ahead(r, &asked))
		(void)write_ahead(r, &asked, NULL); /* what is wrong is found again when it is written in its turn */
	TRY(finish(r, &asked, ret_more, err));
	if (*ret_more)
		return SYNC_OK;
	TRY(read_answer(r, &asked, &answer, &applied, err));
	*ret_more = applied.parted;
	if (applied.parted)
		return heal(r, err);
	if (r->o->progress)
		r->o->progress(r->o->ctx, "sync", r->report->pushed + r->report->pulled,
			       r->report->pushed + r->report->pulled + asked.unpushed + r->link.more);
	return goes_on(r, &asked, &answer, &applied, ret_more, err);
}

/* What waited may have become possible. */
enum sync_status sync_round_retry(struct sync_db *db, struct sync_error *err)
{
	static const char any[] = "SELECT 1 FROM sync_inbox LIMIT 1";
	enum sync_status status;
	int64_t some;
	bool more;

	TRY(sync_db_number(db, any, SYNC_NOARGS, 0, &some, err));
	if (!some)
		return SYNC_OK;
	TRY(sync_db_begin(db, true, err));
	status = sync_integrate_waiting(db, sync_now_us(), RETRIES, &more, err);
	if (status == SYNC_OK)
		return sync_db_commit(db, err);
	sync_db_rollback(db);
	return status;
}

enum sync_status sync_round_run(struct sync_db *db, const struct sync_transport *t, const struct sync_options *o,
				struct sync_report *report, struct sync_error *err)
{
	defer(close_round) struct round r = { .db = db, .o = o, .report = report, .at_once = FIRST_AT_ONCE };
	bool more = true;

	r.push = &r.pushes[0];
	r.next = &r.pushes[1];
	r.push->o = r.next->o = o;
	TRY(sync_link_get(db, &r.link, err));
	TRY(sync_talk_open(&r.talk, db, t, o, report, o->message_max, err));
	TRY(drain_pending(&r, err));
	while (more)
		TRY(exchange(&r, &more, err));
	TRY(sync_round_retry(db, err));
	return r.full.status == SYNC_OK ? SYNC_OK : sync_fail(err, r.full.status, "%s", r.full.text);
}

enum sync_status sync_round_count(struct sync_db *db, struct sync_report *report, struct sync_error *err)
{
	static const char waiting[] = "SELECT count(*) FROM sync_inbox";
	static const char kept[] = "SELECT count(*) FROM sync_verdict WHERE site_id = 0 AND kind = 'waiting'";
	static const char refused[] = "SELECT count(*) FROM sync_verdict WHERE site_id = 0 AND kind IN ('refused', 'conflict')";
	static const char more[] = "SELECT more FROM sync_link";

	TRY(sync_db_number(db, waiting, SYNC_NOARGS, 0, &report->waiting, err));
	TRY(sync_db_number(db, kept, SYNC_NOARGS, 0, &report->waiting_at_central, err));
	TRY(sync_db_number(db, refused, SYNC_NOARGS, 0, &report->refused, err));
	TRY(sync_db_number(db, more, SYNC_NOARGS, 0, &report->more, err));
	return sync_unpushed(db, &report->unpushed, err);
}

/* When central asked for it. That it fails is no failure of the round, which went both ways: it is tried again later. */
static void verify_if_asked(struct sync_db *db, const struct sync_transport *t, const struct sync_options *o,
			    struct sync_report *report)
{
	struct sync_compared first, last;
	bool asked;

	if (sync_verify_asked(db, &asked, NULL) != SYNC_OK || !asked || sync_verify_put_off(db, NULL) != SYNC_OK)
		return;
	if (sync_verify(db, t, o, NULL, true, NULL, NULL, &first, &last, report, NULL) == SYNC_OK)
		(void)sync_verify_asked_set(db, false, NULL);
}

static enum sync_status run(struct sync_db *db, const struct sync_transport *t, const struct sync_options *o,
			    struct sync_report *report, struct sync_error *err)
{
	struct sync_load next;
	enum sync_stage stage;
	struct sync_link link;

	TRY(sync_link_get(db, &link, err));
	TRY(sync_stage_get(db, &stage, &next, err));
	if (stage != SYNC_READY)
		return sync_load_run(db, t, o, report, err);
	TRY(sync_round_run(db, t, o, report, err));
	verify_if_asked(db, t, o, report);
	return sync_round_count(db, report, err);
}

enum sync_status sync_round(struct sync_db *db, const struct sync_transport *t, const struct sync_options *o,
			    struct sync_report *report, struct sync_error *err)
{
	struct sync_options full = sync_options_of(o);
	int64_t began_us = sync_tick_us();
	enum sync_status status;

	*report = (struct sync_report){ 0 };
	status = run(db, t, &full, report, err);
	report->ms = (sync_tick_us() - began_us) / 1000;
	return status;
}

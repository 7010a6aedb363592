#include "exchange/pull.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include <libsync/time.h>

#include "base/internal.h"
#include "exchange/heal.h"
#include "exchange/offer.h"
#include "exchange/pulled.h"
#include "exchange/spool.h"
#include "exchange/verify.h"
#include "schema/capture.h"

/*
 *   answer = header {stored, integrated, highest, verdict}, verdicts, records, end {position, more, from, rest}
 * site, in one transaction: which push central has; verdicts; records, integrated or spooled; position, rest
 *
 * A group that is too large for an answer comes in parts, which are spooled; "rest" says where the next one begins, and the
 * site asks for that until the last one has come. Whenever central begins with something else instead, the group has changed:
 * then the parts that came are forgotten.
 */

enum sync_status sync_answer_read(struct sync_answer *ret, struct sync_batch *b, struct sync_view body, size_t most,
				  struct sync_error *err)
{
	defer(sync_reader_freep) struct sync_reader *reader = NULL;

	sync_batch_open(b);
	TRY(sync_reader_new(&reader, body, &sync_default_limits, err));
	TRY(sync_reader_header(reader, &ret->h, false, err));
	TRY(sync_batch_read(b, reader, most + 1, most + 1, err));
	ret->spool = !b->ended;
	if (!b->ended)
		TRY(sync_batch_pass(b, reader, err));
	ret->spool = ret->spool || b->end.from[0] || (b->end.rest[0] && b->end.records > 0);
	return SYNC_OK;
}

/* What is being applied. */
struct applying {
	const struct sync_answer *a;
	struct sync_batch *b;
	struct sync_view body;
	struct sync_db *db;
	struct sync_link *link;
	struct sync_link before;
	const struct sync_header *asked;
	struct sync_push *push;
	bool pushed; /* central has what the request carried */
	struct sync_applied *ret;
};

/* history */

static bool same(const struct sync_checkpoint *a, const struct sync_checkpoint *b)
{
	return strcmp(a->id, b->id) == 0;
}

static enum sync_status check_header(const struct applying *x, struct sync_error *err)
{
	const struct sync_header *h = &x->a->h;

	if (h->protocol > SYNC_PROTOCOL)
		return sync_fail(err, SYNC_EVERSION, "central answers in protocol %d, this program speaks upto %d: update it",
				 h->protocol, SYNC_PROTOCOL);
	if (h->site != x->link->site_id)
		return sync_fail(err, SYNC_EBADFRAME, "the answer is for site %" PRId64 ", this is site %" PRId64, h->site,
				 x->link->site_id);
	if (strcmp(h->request, x->asked->request) != 0)
		return sync_fail(err, SYNC_EBADFRAME, "the answer is to request '%s', this is '%s'", h->request, x->asked->request);
	if (x->asked->made.ordinal > 0 && !h->refused && !same(&h->stored, &x->asked->made))
		return sync_fail(err, SYNC_EBADFRAME, "central neither stored nor refused checkpoint %" PRId64,
				 x->asked->made.ordinal);
	if (x->b->end.from[0] && strcmp(x->b->end.from, x->link->rest) != 0)
		return sync_fail(err, SYNC_EBADFRAME, "the answer goes on with a group from '%s', this site has it until '%s'",
				 x->b->end.from, x->link->rest);
	return SYNC_OK;
}

/* verdicts */

static bool is(const struct sync_verdict *v, const char *kind)
{
	return strcmp(v->kind, kind) == 0;
}

/* The newest verdict on a record is the one that counts. */
static enum sync_status put_verdict(struct applying *x, const struct sync_verdict *v, struct sync_error *err)
{
	static const char drop[] =
	    "DELETE FROM sync_verdict WHERE entity = $1 AND record_id = $2 AND site_id = 0 AND n > 0 AND kind <> 'leave'";
	static const char put[] = "INSERT INTO sync_verdict(site_id, n, kind, entity, record_id, seq, code, field, text, at_us)"
				  "    VALUES (0, $1, $2, $3, $4, $5, $6, $7, $8, $9) ON CONFLICT DO NOTHING";

	if (is(v, "verify"))
		return sync_verify_asked_set(x->db, true, err);
	if (!is(v, "leave"))
		TRY(sync_db_run(x->db, drop, SYNC_ARGS(sync_string(v->entity), sync_string(v->id)), NULL, NULL, err));
	if (is(v, "resolved"))
		return SYNC_OK;
	return sync_db_run(x->db, put,
			   SYNC_ARGS(sync_int(v->n), sync_text(v->kind), sync_string(v->entity), sync_string(v->id),
				     sync_int(v->seq), sync_string(v->code), v->field.len ? sync_string(v->field) : sync_null(),
				     sync_string(v->text), sync_int(sync_now_us())),
			   NULL, NULL, err);
}

static enum sync_status put_verdicts(struct applying *x, struct sync_error *err)
{
	for (size_t i = 0; i < x->b->n_verdicts; i++) {
		const struct sync_verdict *v = &x->b->verdicts[i];

		if (v->n <= x->link->verdict)
			continue;
		TRY(put_verdict(x, v, err));
		x->link->verdict = v->n;
		x->ret->leave = x->ret->leave || is(v, "leave");
	}
	/* numbers that no verdict has any more, as after a reset of the site, are not waited for */
	if (x->b->n_verdicts == 0 && x->a->h.verdict > x->link->verdict)
		x->link->verdict = x->a->h.verdict;
	return SYNC_OK;
}

/* The request said that the notices are stored and that nothing is left to push: central lets the stores go. */
static bool confirmed(const struct applying *x)
{
	return x->asked->verdict > 0 && x->asked->unpushed == 0 && !x->a->h.refused;
}

static enum sync_status count_confirmed(const struct applying *x, int64_t *ret, struct sync_error *err)
{
	static const char count[] = "SELECT count(*) FROM sync_verdict WHERE site_id = 0 AND kind = 'leave' AND n <= $1";

	*ret = 0;
	return confirmed(x) ? sync_db_number(x->db, count, SYNC_ARGS(sync_int(x->asked->verdict)), 0, ret, err) : SYNC_OK;
}

static enum sync_status drop_confirmed(const struct applying *x, struct sync_error *err)
{
	static const char drop[] = "DELETE FROM sync_verdict WHERE site_id = 0 AND kind = 'leave' AND n <= $1";

	return confirmed(x) ? sync_db_run(x->db, drop, SYNC_ARGS(sync_int(x->asked->verdict)), NULL, NULL, err) : SYNC_OK;
}

/* positions and records */

/* Not back: a request that was written before the answer to the last one was there says an older position than is held now. */
static void move(struct sync_checkpoint *at, const struct sync_checkpoint *to)
{
	if (to->seq >= at->seq)
		*at = *to;
}

/* Nothing of the group came, but the parts that are here are still the beginning of it. */
static bool waits(const struct applying *x)
{
	return !x->a->spool && x->b->n == 0 && strcmp(x->b->end.rest, x->before.rest) == 0;
}

/* Where the group goes on whose parts are here. */
static const char *rest_of(const struct applying *x)
{
	return x->a->spool || waits(x) ? x->b->end.rest : "";
}

/* Central has nothing left for this site, and would have said so. */
static bool has_all(const struct applying *x)
{
	const struct sync_header *asked = x->asked, *h = &x->a->h;

	return asked->want > 0 && !asked->part && !h->refused && x->b->end.more == 0 && h->integrated >= h->stored.seq;
}

/* After a restore: this site has all that it lost, once nothing is left to come or to be decided. */
static bool has_caught_up(const struct applying *x)
{
	return x->asked->echo && x->asked->unpushed == 0 && has_all(x);
}

/* What is here of edits by now was made without knowing all that was lost. */
static enum sync_status end_echo(struct applying *x, struct sync_error *err)
{
	static const char newest[] = "SELECT " SYNC_NEWEST_SEQ;

	x->link->echo = false;
	return sync_db_number(x->db, newest, SYNC_NOARGS, 0, &x->link->fork.upto, err);
}

static void advance(struct applying *x)
{
	const struct sync_header *h = &x->a->h;
	struct sync_link *link = x->link;

	if (!same(&link->out, &h->stored)) /* central has a push of this branch, and with it where that began */
		link->fork.made = false;
	link->out = h->stored;
	link->integrated = h->integrated;
	/* another push was made ahead, and is sent now that this one is stored */
	link->unanswered = x->pushed && link->made.ordinal > link->out.ordinal;
	move(&link->at.all, &x->b->end.at.all);
	move(&link->at.own, &x->b->end.at.own);
	link->more = x->b->end.more;
	snprintf(link->rest, sizeof link->rest, "%s", rest_of(x));
}

static enum sync_status put_link(const struct applying *x, struct sync_error *err)
{
	static const char set[] =
	    "UPDATE sync_link SET out_ordinal = $1, out_id = $2, out_upto = $3, out_integrated = $4, unanswered = $5,"
	    "    all_seq = $6, all_id = $7, own_seq = $8, own_id = $9, verdict = $10, more = $11, rest = $12, echo = $13, fork = $14,"
	    "    fork_upto = $15";
	const struct sync_link *l = x->link;

	return sync_db_run(x->db, set,
			   SYNC_ARGS(sync_int(l->out.ordinal), sync_text(l->out.id), sync_int(l->out.seq),
				     sync_int(l->integrated), sync_int(l->unanswered), sync_int(l->at.all.seq),
				     sync_text(l->at.all.id), sync_int(l->at.own.seq), sync_text(l->at.own.id),
				     sync_int(l->verdict), sync_int(l->more), sync_text(l->rest), sync_int(l->echo),
				     sync_int(l->fork.made), sync_int(l->fork.upto)),
			   NULL, NULL, err);
}

static enum sync_spool_part part_of(const struct sync_end *end)
{
	if (!end->rest[0])
		return SYNC_SPOOL_WHOLE;
	return end->from[0] ? SYNC_SPOOL_WITHIN : SYNC_SPOOL_BEGINS;
}

static enum sync_status spool_records(struct applying *x, struct sync_error *err)
{
	const struct sync_end *end = &x->b->end;
	int64_t n;

	if (SYNC_FAULT(position_without_records))
		return SYNC_OK;
	TRY(sync_spool_number(x->db, &n, err));
	return sync_spool_put(x->db, 0, n, x->body, end->records, 0, part_of(end), err);
}

static enum sync_status take_records(struct applying *x, struct sync_error *err)
{
	struct sync_intake in = {
		.source = 0, .now_us = sync_now_us(), .integrated = x->link->integrated, .branch = x->link->branch
	};

	if (x->before.rest[0] && !x->b->end.from[0] && !waits(x))
		TRY(sync_spool_drop_parts(x->db, 0, err));
	if (x->a->spool)
		return spool_records(x, err);
	if (x->b->n == 0)
		return SYNC_OK;
	return sync_integrate(x->db, &in, x->b->r, x->b->lines, x->b->n, &x->ret->outcome, err);
}

static bool same_place(const struct sync_position *a, const struct sync_position *b)
{
	return a->all.seq == b->all.seq && a->own.seq == b->own.seq && same(&a->all, &b->all) && same(&a->own, &b->own);
}

/* From what it notes a central that loses history is offered what it lost. */
static enum sync_status note_pulled(const struct applying *x, struct sync_error *err)
{
	bool records = x->b->end.records > 0;

	if (!records && same_place(&x->before.at, &x->link->at))
		return SYNC_OK;
	return sync_pulled_put(x->db, &x->link->at, x->a->spool ? NULL : x->b->r, x->a->spool ? 0 : x->b->n,
			       records ? x->body : (struct sync_view){ 0 }, err);
}

/* An empty round writes nothing. */
static enum sync_status find_changes(const struct applying *x, bool *ret, struct sync_error *err)
{
	const struct sync_link *l = x->link;
	int64_t leaving;

	TRY(count_confirmed(x, &leaving, err));
	*ret = leaving > 0 || l->echo || l->offered.id[0] || x->b->n > 0 || x->a->spool || l->verdict != x->a->h.verdict || l->unanswered ||
	       !same(&l->out, &x->a->h.stored) || l->integrated != x->a->h.integrated || l->more != x->b->end.more ||
	       strcmp(l->rest, rest_of(x)) != 0 || !same_place(&l->at, &x->b->end.at);
	return SYNC_OK;
}

static enum sync_status apply(struct applying *x, struct sync_error *err)
{
	TRY(put_verdicts(x, err));
	TRY(drop_confirmed(x, err));
	advance(x);
	if (has_caught_up(x))
		TRY(end_echo(x, err));
	TRY(put_link(x, err));
	TRY(note_pulled(x, err));
	if (x->link->offered.id[0] && has_all(x))
		TRY(sync_offer_end(x->db, x->link, err));
	if (x->pushed)
		TRY(sync_push_settle(x->push, x->db, err));
	return take_records(x, err);
}

static enum sync_status apply_in_transaction(struct applying *x, struct sync_error *err)
{
	enum sync_status status;

	TRY(sync_db_begin(x->db, true, err));
	status = apply(x, err);
	if (status == SYNC_OK)
		return sync_db_commit(x->db, err);
	sync_db_rollback(x->db);
	return status;
}

enum sync_status sync_answer_apply(const struct sync_answer *a, struct sync_batch *b, struct sync_view body, struct sync_db *db,
				   struct sync_link *link, const struct sync_header *asked, struct sync_push *push,
				   struct sync_applied *ret, struct sync_error *err)
{
	struct applying x = {
		.a = a, .b = b, .body = body, .db = db, .link = link, .before = *link, .asked = asked, .push = push, .ret = ret
	};
	enum sync_status status;
	bool changes;

	*ret = (struct sync_applied){ 0 };
	TRY(check_header(&x, err));
	TRY(sync_heal_needed(db, link, &a->h, &ret->parted, err));
	if (ret->parted)
		return SYNC_OK;
	x.pushed = asked->made.ordinal > 0 && same(&asked->made, &a->h.stored);
	TRY(find_changes(&x, &changes, err));
	if (!changes)
		return SYNC_OK;
	status = apply_in_transaction(&x, err);
	if (status != SYNC_OK) {
		*link = x.before;
		return status;
	}
	if (!x.pushed)
		return SYNC_OK;
	ret->pushed = sync_push_records(push);
	return sync_push_done(push, err);
}

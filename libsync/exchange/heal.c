#include "exchange/heal.h"

#include <inttypes.h>
#include <string.h>

#include <libsync/crypto.h>

#include "base/internal.h"
#include "exchange/checkpoint.h"
#include "exchange/link.h"
#include "exchange/offer.h"
#include "exchange/pulled.h"
#include "exchange/spool.h"

/*
 * site:    ask {pushes made, places held}     in a request of its header only
 * central: common {push, place}, loss         with what every answer says: stored, highest, newest verdict
 * site, in one transaction:
 *   stored is older than what central confirmed   -> push again what is above it
 *   stored is not of this site                    -> a new branch from the push that is common
 *   loss                                          -> pull again from the place that is common, offer what was received since
 */

static const int64_t MOST_SEQ = INT64_MAX / 4; /* so that edits can be moved above it */

/* What central's newest checkpoint tells. */
enum course {
	GOES_ON,   /* it is what central confirmed last, or one made since: then an answer was lost */
	GOES_BACK, /* central has lost what it confirmed since */
	BRANCHES,  /* this site never made it: it was restored, or is one of two copies */
};

static bool same(const struct sync_checkpoint *a, const struct sync_checkpoint *b)
{
	return strcmp(a->id, b->id) == 0;
}

static enum sync_status check_own(const struct sync_checkpoint *stored, const struct sync_checkpoint *own, struct sync_error *err)
{
	if (own->ordinal == stored->ordinal && own->seq == stored->seq)
		return SYNC_OK;
	return sync_fail(err, SYNC_EBADFRAME,
			 "central has checkpoint %s as %" PRId64 " upto %" PRId64 ", this site made it as %" PRId64 " upto %" PRId64,
			 stored->id, stored->ordinal, stored->seq, own->ordinal, own->seq);
}

/*
 * A checkpoint that the rule has dropped here is of this site all the same, as when central took an early one of many bundles: one
 * that it did not make is of a push after it was copied, so it is hardly older than its own newest, and would be kept.
 */
static enum sync_status find_course(struct sync_db *db, const struct sync_link *link, const struct sync_checkpoint *stored,
				    enum course *ret, struct sync_error *err)
{
	struct sync_checkpoint own;
	bool found;

	*ret = same(stored, &link->out) || stored->ordinal > link->out.ordinal ? GOES_ON : GOES_BACK;
	if (same(stored, &link->out) || !stored->id[0])
		return SYNC_OK;
	TRY(sync_checkpoint_find(db, 0, stored->id, &own, &found, err));
	if (found)
		return check_own(stored, &own, err);
	if (stored->ordinal >= link->made.ordinal || sync_checkpoint_kept(stored->ordinal, link->made.ordinal))
		*ret = BRANCHES;
	return SYNC_OK;
}

enum sync_status sync_heal_needed(struct sync_db *db, const struct sync_link *link, const struct sync_header *answer, bool *ret,
				  struct sync_error *err)
{
	enum course course;

	TRY(find_course(db, link, &answer->stored, &course, err));
	*ret = course != GOES_ON || answer->loss != SYNC_LOSS_NONE;
	return SYNC_OK;
}

enum sync_status sync_heal_ask(struct sync_db *db, const struct sync_link *link, struct sync_writer *w, struct sync_view *ret,
			       struct sync_error *err)
{
	defer(sync_arena_clear) struct sync_arena arena = { 0 };
	struct sync_header h = sync_link_header(link);
	struct sync_end end = { 0 };

	h.inquiry.active = true;
	TRY(sync_unpushed(db, &h.unpushed, err));
	TRY(sync_checkpoint_list(db, 0, &arena, &h.inquiry.made, &h.inquiry.n_made, err));
	TRY(sync_pulled_places(db, &arena, &h.inquiry.held, &h.inquiry.n_held, err));
	sync_writer_begin(w, &h, true);
	return sync_writer_end(w, &end, ret, err);
}

/* An answer being acted on. */
struct healing {
	struct sync_db *db;
	const struct sync_header *a;
	struct sync_link *link; /* as it will be */
	enum course course;
};

/* pulls */

static bool is_behind(const struct sync_position *at, const struct sync_position *held)
{
	return at->all.seq <= held->all.seq && at->own.seq <= held->own.seq;
}

static enum sync_status go_back_with_pulls(struct healing *x, struct sync_error *err)
{
	static const char set[] = "UPDATE sync_link SET all_seq = $1, all_id = $2, own_seq = $3, own_id = $4, more = 0, rest = ''";
	const struct sync_position *at = &x->a->common.at;
	bool whole;
	int64_t n;

	if (!is_behind(at, &x->link->at))
		return sync_fail(err, SYNC_EBADFRAME, "central goes on from %" PRId64 " and %" PRId64 ", beyond %" PRId64 " and %" PRId64
				 ", which this site holds", at->all.seq, at->own.seq, x->link->at.all.seq, x->link->at.own.seq);
	TRY(sync_pulled_find(x->db, at, &n, &whole, err));
	TRY(sync_spool_drop_parts(x->db, 0, err)); /* of a group that will come again */
	TRY(sync_offer_begin(x->db, x->link, x->a->loss, n, whole, err));
	TRY(sync_db_run(x->db, set,
			SYNC_ARGS(sync_int(at->all.seq), sync_text(at->all.id), sync_int(at->own.seq), sync_text(at->own.id)),
			NULL, NULL, err));
	x->link->at = *at;
	x->link->more = 0;
	x->link->rest[0] = '\0';
	return SYNC_OK;
}

/* A central that lost history gives the same numbers again to other verdicts: all that it has are asked for. */
static enum sync_status forget_verdicts(struct healing *x, struct sync_error *err)
{
	static const char drop[] = "DELETE FROM sync_verdict WHERE site_id = 0 AND n > 0";
	static const char set[] = "UPDATE sync_link SET verdict = 0";

	TRY(sync_db_run(x->db, drop, SYNC_NOARGS, NULL, NULL, err));
	x->link->verdict = 0;
	return sync_db_run(x->db, set, SYNC_NOARGS, NULL, NULL, err);
}

/* pushes */

static enum sync_status put_pushes(struct healing *x, struct sync_error *err)
{
	static const char set[] = "UPDATE sync_link SET out_ordinal = $1, out_id = $2, out_upto = $3, out_integrated = $4,"
				  "    made_ordinal = $5, made_id = $6, made_upto = $7, unanswered = 0";
	struct sync_link *l = x->link;

	l->out = x->a->stored;
	l->integrated = x->a->integrated;
	l->unanswered = false;
	return sync_db_run(x->db, set,
			   SYNC_ARGS(sync_int(l->out.ordinal), sync_text(l->out.id), sync_int(l->out.seq),
				     sync_int(l->integrated), sync_int(l->made.ordinal), sync_text(l->made.id),
				     sync_int(l->made.seq)),
			   NULL, NULL, err);
}

static enum sync_status put_branch(struct healing *x, struct sync_error *err)
{
	static const char set[] =
	    "UPDATE sync_link SET branch = $1, echo = $2, fork = $3, fork_ordinal = $4, fork_id = $5, fork_seq = $6,"
	    "    fork_sure = $7, fork_upto = $8, fork_all = $9, fork_own = $10";
	const struct sync_fork *f = &x->link->fork;

	sync_random_hex(x->link->branch, SYNC_BRANCH);
	return sync_db_run(x->db, set,
			   SYNC_ARGS(sync_text(x->link->branch), sync_int(x->link->echo), sync_int(f->made), sync_int(f->common.ordinal),
				     sync_text(f->common.id), sync_int(f->common.seq), sync_int(f->sure), sync_int(f->upto),
				     sync_int(f->all_seq), sync_int(f->own_seq)),
			   NULL, NULL, err);
}

/*
 * A central that has lost edits of this branch may have lost what it was told of it. If this site was restored as well, it gives
 * numbers again that it lost: a version is named by its branch, too. An older push may reach further by its edits: after it central
 * lost that one as well, and a group that was in it went again, in parts.
 */
static enum sync_status go_back_with_pushes(struct healing *x, struct sync_error *err)
{
	const struct sync_checkpoint *stored = &x->a->stored;
	struct sync_fork *f = &x->link->fork;

	if (!f->made)
		f->common = *stored;
	f->made |= f->upto > stored->seq;
	TRY(put_branch(x, err));
	return put_pushes(x, err);
}

/* The push that is common, as this site made it. */
static enum sync_status find_common(const struct healing *x, struct sync_checkpoint *ret, struct sync_error *err)
{
	const struct sync_checkpoint *common = &x->a->common.made;
	bool found;

	*ret = (struct sync_checkpoint){ 0 };
	if (!common->id[0])
		return SYNC_OK;
	TRY(sync_checkpoint_find(x->db, 0, common->id, ret, &found, err));
	if (found && ret->seq <= x->a->stored.seq)
		return SYNC_OK;
	return sync_fail(err, SYNC_EBADFRAME, "central names checkpoint %s as common, which this site never made", common->id);
}

static int64_t larger(int64_t a, int64_t b)
{
	return a > b ? a : b;
}

/* In their order. */
static enum sync_status move_edits(const struct healing *x, int64_t common, int64_t by, struct sync_error *err)
{
	static const char move[] = "UPDATE sync_changelog SET seq = seq + $1 WHERE seq > $2";

	if (SYNC_FAULT(edits_not_moved))
		return SYNC_OK;
	return sync_db_run(x->db, move, SYNC_ARGS(sync_int(by), sync_int(common)), NULL, NULL, err);
}

/*
 * A branch that central was never told of began where it began, and what one branch has still to push, or makes before the site has
 * caught up, was overtaken since it began. What was edited before anything was pushed may have been before the first load, which
 * brought what came since. What central had confirmed is older than whatever it has besides, unless it has lost that.
 */
static void set_fork(struct healing *x, const struct sync_checkpoint *common, int64_t upto, int64_t by)
{
	struct sync_fork *f = &x->link->fork;
	const struct sync_position *at = &x->link->at;
	bool lost = x->a->stored.ordinal < x->link->out.ordinal || (x->a->loss & SYNC_LOSS_CENTRAL);
	int64_t sure = lost ? 0 : x->link->out.seq;

	if (!f->made)
		f->common = *common;
	if (!f->made && !x->link->echo && x->link->out.id[0] && x->link->out.seq >= f->upto) {
		f->all_seq = at->all.seq;
		f->own_seq = at->own.seq;
	}
	f->sure = by && sure > common->seq ? sure + by : 0;
	f->upto = upto;
	f->made = x->link->echo = true;
}

/*
 * From here on central's newest is this site's, too: exactly the moved edits are above it, and above all numbers that central has
 * seen; and so are all that follow. Pushes that central does not know stay in the list: a central that finds them back is to see
 * that this is the site that made them, and no copy of it that had left before.
 */
static enum sync_status branch(struct healing *x, struct sync_error *err)
{
	static const char last[] = "SELECT max(seq) FROM sync_changelog";
	const struct sync_checkpoint *stored = &x->a->stored;
	struct sync_checkpoint common;
	int64_t newest, top, by;

	TRY(find_common(x, &common, err));
	TRY(sync_db_number(x->db, last, SYNC_NOARGS, 0, &newest, err));
	top = larger(larger(x->a->highest, stored->seq), newest);
	if (top > MOST_SEQ)
		return sync_fail(err, SYNC_EBADFRAME, "seq %" PRId64 " is beyond what a site can have made", top);
	by = newest > common.seq ? top - common.seq : 0;
	if (by)
		TRY(move_edits(x, common.seq, by, err));
	TRY(sync_checkpoint_put(x->db, 0, stored, x->link->made.ordinal, err));
	set_fork(x, &common, by ? newest + by : top, by);
	TRY(put_branch(x, err));
	if (stored->ordinal > x->link->made.ordinal)
		x->link->made = *stored;
	return put_pushes(x, err);
}

static enum sync_status heal(struct healing *x, struct sync_error *err)
{
	if (x->a->loss != SYNC_LOSS_NONE)
		TRY(go_back_with_pulls(x, err));
	if ((x->a->loss & SYNC_LOSS_CENTRAL) || x->course == GOES_BACK)
		TRY(forget_verdicts(x, err));
	switch (x->course) {
	case GOES_ON:
		return SYNC_OK;
	case GOES_BACK:
		return go_back_with_pushes(x, err);
	case BRANCHES:
		return branch(x, err);
	}
	return SYNC_OK;
}

static enum sync_status check_answer(const struct sync_link *link, const struct sync_header *a, struct sync_error *err)
{
	if (a->protocol > SYNC_PROTOCOL)
		return sync_fail(err, SYNC_EVERSION, "central answers in protocol %d, this program speaks upto %d: update it",
				 a->protocol, SYNC_PROTOCOL);
	if (a->site != link->site_id)
		return sync_fail(err, SYNC_EBADFRAME, "the answer is for site %" PRId64 ", this is site %" PRId64, a->site,
				 link->site_id);
	if (!a->common.active)
		return sync_fail(err, SYNC_EBADFRAME, "central does not say what both have in common");
	if (a->loss > SYNC_LOSS_BOTH)
		return sync_fail(err, SYNC_EBADFRAME, "loss %d in the answer", a->loss);
	return SYNC_OK;
}

enum sync_status sync_heal_apply(struct sync_db *db, struct sync_link *link, const struct sync_header *answer,
				 struct sync_error *err)
{
	struct sync_link after = *link;
	struct healing x = { .db = db, .a = answer, .link = &after };

	TRY(check_answer(link, answer, err));
	TRY(find_course(db, link, &answer->stored, &x.course, err));
	TRY(sync_db_begin(db, true, err));
	TRY(sync_db_finish(db, heal(&x, err), err));
	*link = after;
	return SYNC_OK;
}

enum sync_status sync_heal_load(struct sync_db *db, int loss, struct sync_error *err)
{
	static const struct sync_load nothing = { 0 };
	enum sync_status status;
	struct sync_link link;

	TRY(sync_link_get(db, &link, err));
	memset(&link.at, 0, sizeof link.at); /* pages of a load are of no place */
	TRY(sync_db_begin(db, true, err));
	status = sync_offer_begin(db, &link, loss, 0, false, err);
	if (status == SYNC_OK)
		status = sync_stage_catch(db, &nothing, err);
	return sync_db_finish(db, status, err);
}

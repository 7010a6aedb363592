#include "exchange/peer.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include <libsync/time.h>

#include "base/internal.h"
#include "db/outbox.h"
#include "db/tidy.h"
#include "exchange/route.h"

static void take_id(char ret[static SYNC_CHECKPOINT_ID + 1], const struct sync_value *v)
{
	snprintf(ret, SYNC_CHECKPOINT_ID + 1, "%.*s", SYNC_VIEW(v->s));
}

static enum sync_status take_peer(void *ctx, const struct sync_value *v, size_t n, struct sync_error *err)
{
	struct sync_peer *p = ctx;

	(void)n, (void)err;
	*p = (struct sync_peer){
		.site_id = v[0].i,
		.in = { .ordinal = v[1].i, .seq = v[3].i },
		.highest = v[4].i,
		.integrated = v[5].i,
		.spooled = v[6].i,
		.at = { .all.seq = v[7].i, .own.seq = v[9].i },
		.verdict = v[11].i,
		.verdict_seen = v[12].i,
		.unpushed = v[13].i,
		.last_seen_us = v[14].kind == SYNC_INT ? v[14].i : 0,
		.loaded = v[15].i != 0,
		.lapsed = v[17].kind == SYNC_INT,
	};
	take_id(p->in.id, &v[2]);
	take_id(p->at.all.id, &v[8]);
	take_id(p->at.own.id, &v[10]);
	p->offered.seq = v[20].i;
	take_id(p->offered.id, &v[21]);
	snprintf(p->branch, sizeof p->branch, "%.*s", SYNC_VIEW(v[16].s));
	if (v[18].kind == SYNC_STRING)
		snprintf(p->rival, sizeof p->rival, "%.*s", SYNC_VIEW(v[18].s));
	if (v[19].kind == SYNC_STRING)
		snprintf(p->stopped, sizeof p->stopped, "%.*s", SYNC_VIEW(v[19].s));
	return SYNC_OK;
}

#define SELECT_PEER                                                                                                         \
	"SELECT site_id, in_ordinal, in_id, in_upto, in_highest, in_integrated, spooled, all_seq, all_id, own_seq, own_id," \
	"    verdict, verdict_seen, unpushed, last_seen_us, loaded, branch, lapsed_us, rival, stopped, offered, offered_id"     \
	"    FROM sync_site"                                                                                                \
	"    WHERE site_id = $1"

enum sync_status sync_peer_get(struct sync_db *db, int64_t site_id, bool lock, struct sync_peer *ret, struct sync_error *err)
{
	static const char get[] = SELECT_PEER;
	static const char get_locked[] = SELECT_PEER " FOR UPDATE";
	struct sync_peer peer = { 0 };

	/* where there is one writer, the write transaction is the lock */
	lock = lock && sync_db_dialect(db)->postgres;
	TRY(sync_db_run(db, lock ? get_locked : get, SYNC_ARGS(sync_int(site_id)), take_peer, &peer, err));
	if (!peer.site_id)
		return sync_fail(err, SYNC_ENOTFOUND, "there is no site %" PRId64, site_id);
	*ret = peer;
	return SYNC_OK;
}

/*
 * Deletes that a site has not had may be forgotten: it was away for too long, or names an older place than before, as after it was
 * restored, or its load rested. To begin at the beginning is always possible.
 */
static bool may_miss_deletes(const struct sync_peer *p, int64_t seq, int64_t before, int64_t forgotten)
{
	return seq > 0 && seq < forgotten && (seq < before || !p->loaded);
}

/*
 * The place of one stream: whether it was given here. It may have been, long ago, and be forgotten. That the site was there before
 * proves nothing: this process may remember what its database, restored meanwhile, does not know.
 */
static enum sync_status check_stream(struct sync_db *db, const struct sync_peer *p, const struct sync_checkpoint *at, int64_t before,
				     int *ret_loss, struct sync_error *err)
{
	int64_t forgotten = 0, thinned = 0;
	bool known;

	TRY(sync_routing_known(db, at, &known, err));
	if (known && at->seq >= before && p->loaded)
		return SYNC_OK;
	TRY(sync_tidy_upto(db, sync_now_us(), &forgotten, err));
	if (at->seq < before || p->lapsed || !p->loaded)
		TRY(sync_tidy_thinned(db, sync_now_us(), &thinned, err));
	if (may_miss_deletes(p, at->seq, before, forgotten))
		*ret_loss |= SYNC_LOSS_OLD;
	if (!known && at->seq > thinned)
		*ret_loss |= SYNC_LOSS_CENTRAL;
	return SYNC_OK;
}

enum sync_status sync_peer_check_position(struct sync_db *db, const struct sync_peer *p, const struct sync_position *at, int *ret_loss,
					  struct sync_error *err)
{
	*ret_loss = p->lapsed ? SYNC_LOSS_OLD : SYNC_LOSS_NONE;
	TRY(check_stream(db, p, &at->all, p->at.all.seq, ret_loss, err));
	return check_stream(db, p, &at->own, p->at.own.seq, ret_loss, err);
}

/* What the site believes to be taken of its offers; of the message after that it may not have had the answer. */
static bool has_offers(const struct sync_peer *p, const struct sync_checkpoint *offered)
{
	return offered->seq == 0 || (strcmp(p->offered.id, offered->id) == 0 &&
				     (p->offered.seq == offered->seq || p->offered.seq == offered->seq + 1));
}

enum sync_status sync_peer_check(struct sync_db *db, const struct sync_peer *p, const struct sync_header *h, int *ret_loss,
				 struct sync_error *err)
{
	TRY(sync_peer_check_position(db, p, &h->at, ret_loss, err));
	if (h->verdict > p->verdict || !has_offers(p, &h->offered))
		*ret_loss |= SYNC_LOSS_CENTRAL;
	return SYNC_OK;
}

enum sync_status sync_peer_admit(const struct sync_peer *p, const char *branch, struct sync_error *err)
{
	if (p->rival[0])
		return sync_fail(err, SYNC_ECOPIED,
				 "two copies of this site's database are in use, in branches %s and %s; this one is %s. Neither is "
				 "taken: central site keep NAME BRANCH says which lives on, the other keeps what it has not pushed",
				 p->branch, p->rival, branch);
	if (p->stopped[0] && strcmp(p->stopped, branch) == 0)
		return sync_fail(err, SYNC_ECOPIED,
				 "this copy of the site's database, branch %s, was stopped at central because another one lives on; "
				 "it keeps what it has not pushed", branch);
	return SYNC_OK;
}

enum sync_status sync_peer_note(struct sync_db *db, int64_t site_id, const struct sync_header *h, int64_t now_us,
				struct sync_error *err)
{
	static const char note[] =
	    "UPDATE sync_site SET all_seq = $1, all_id = $2, own_seq = $3, own_id = $4, verdict_seen = $5, unpushed = $6,"
	    "    last_seen_us = $7, version = $8, schema = $9, loaded = 1 WHERE site_id = $10";

	return sync_db_run(db, note,
			   SYNC_ARGS(sync_int(h->at.all.seq), sync_text(h->at.all.id), sync_int(h->at.own.seq),
				     sync_text(h->at.own.id), sync_int(h->verdict), sync_int(h->unpushed), sync_int(now_us),
				     sync_text(h->program), sync_int(h->schema), sync_int(site_id)),
			   NULL, NULL, err);
}

#include "exchange/peer.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include <libsync/time.h>

#include "base/internal.h"
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
	snprintf(p->branch, sizeof p->branch, "%.*s", SYNC_VIEW(v[16].s));
	return SYNC_OK;
}

#define SELECT_PEER                                                                                                         \
	"SELECT site_id, in_ordinal, in_id, in_upto, in_highest, in_integrated, spooled, all_seq, all_id, own_seq, own_id," \
	"    verdict, verdict_seen, unpushed, last_seen_us, loaded, branch, lapsed_us FROM sync_site WHERE site_id = $1"

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

static bool same_place(const struct sync_position *a, const struct sync_position *b)
{
	return a->all.seq == b->all.seq && a->own.seq == b->own.seq && strcmp(a->all.id, b->all.id) == 0 &&
	       strcmp(a->own.id, b->own.id) == 0;
}

enum sync_status sync_peer_lapsed(struct sync_db *db, struct sync_error *err)
{
	int64_t days;

	TRY(sync_keep_get(db, &days, err));
	return sync_fail(err, SYNC_EHISTORY,
			 "this site was away for longer than the %" PRId64 " days for which deletes are kept, so it cannot be brought up to "
			 "date: it begins anew with central site reset, then remote init with another file",
			 days);
}

/* Records of its pages may have been deleted since, and forgotten. */
static enum sync_status check_fresh(struct sync_db *db, const struct sync_position *at, struct sync_error *err)
{
	int64_t upto;

	TRY(sync_tidy_upto(db, sync_now_us(), &upto, err));
	return at->all.seq < upto || at->own.seq < upto ? sync_peer_lapsed(db, err) : SYNC_OK;
}

enum sync_status sync_peer_check_position(struct sync_db *db, const struct sync_peer *p, const struct sync_position *at,
					  struct sync_error *err)
{
	bool known;

	if (!p->loaded)
		TRY(check_fresh(db, at, err));
	if (p->lapsed || same_place(at, &p->at))
		return SYNC_OK;
	TRY(sync_pull_known(db, at, &known, err));
	return known ? SYNC_OK
		     : sync_fail(err, SYNC_EHISTORY,
				 "the site holds what was routed upto %" PRId64 " (%s) and %" PRId64
				 " (%s), which this database never did: central "
				 "was restored from an older backup",
				 at->all.seq, at->all.id, at->own.seq, at->own.id);
}

enum sync_status sync_peer_check(struct sync_db *db, const struct sync_peer *p, const struct sync_header *h,
				 struct sync_error *err)
{
	if (h->verdict > p->verdict)
		return sync_fail(err, SYNC_EHISTORY,
				 "the site has stored verdict %" PRId64 ", the newest here is %" PRId64
				 ": central was restored from an older backup",
				 h->verdict, p->verdict);
	return sync_peer_check_position(db, p, &h->at, err);
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

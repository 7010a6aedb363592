#include "exchange/parted.h"

#include <stdio.h>
#include <string.h>

#include <libsync/site.h>

#include "base/internal.h"
#include "db/outbox.h"
#include "exchange/checkpoint.h"
#include "exchange/route.h"
#include "exchange/spool.h"

/* the question */

/* The first of those asked for that central has. */
static enum sync_status find_made(struct sync_db *db, const struct sync_peer *p, const struct sync_inquiry *q,
				  struct sync_checkpoint *ret, struct sync_error *err)
{
	defer(sync_arena_clear) struct sync_arena arena = { 0 };
	const struct sync_checkpoint *here;
	size_t n;

	TRY(sync_checkpoint_list(db, p->site_id, &arena, &here, &n, err));
	for (size_t i = 0; i < q->n_made; i++) {
		for (size_t k = 0; k < n; k++) {
			if (strcmp(q->made[i].id, here[k].id) != 0)
				continue;
			*ret = here[k];
			return SYNC_OK;
		}
	}
	return SYNC_OK;
}

static enum sync_status find_held(struct sync_db *db, const struct sync_inquiry *q, struct sync_position *ret, struct sync_error *err)
{
	for (size_t i = 0; i < q->n_held; i++) {
		bool known;

		TRY(sync_pull_known(db, &q->held[i], &known, err));
		if (!known)
			continue;
		*ret = q->held[i];
		return SYNC_OK;
	}
	return SYNC_OK;
}

enum sync_status sync_parted_answer(struct sync_db *db, const struct sync_peer *p, const struct sync_header *h, int loss,
				    struct sync_common *ret, struct sync_error *err)
{
	bool known;

	*ret = (struct sync_common){ .active = true };
	TRY(find_made(db, p, &h->inquiry, &ret->made, err));
	TRY(sync_pull_known(db, &h->at, &known, err));
	if (!known && (loss & SYNC_LOSS_CENTRAL)) /* what was given here long ago is as good as ever */
		return find_held(db, &h->inquiry, &ret->at, err);
	ret->at = h->at;
	return SYNC_OK;
}

/* branches */

static enum sync_status put_rival(struct sync_db *db, const struct sync_peer *p, const char *branch, struct sync_error *err)
{
	static const char set[] = "UPDATE sync_site SET rival = $1 WHERE site_id = $2";

	return sync_db_run(db, set, SYNC_ARGS(sync_text(branch), sync_int(p->site_id)), NULL, NULL, err);
}

/* What is spooled of it is of before, and is yet to be routed. */
static enum sync_status put_fork(struct sync_db *db, const struct sync_peer *p, const struct sync_fork *f, struct sync_error *err)
{
	static const char set[] = "UPDATE sync_site SET fork_sure = $1, fork_upto = $2, fork_all = $3, fork_own = $4, fork_above = $5,"
				  "    fork_routed = $6 WHERE site_id = $7";
	struct sync_checkpoint routed = { .seq = INT64_MAX };

	if (p->spooled == 0)
		TRY(sync_routing_newest(db, &routed, err));
	return sync_db_run(db, set,
			   SYNC_ARGS(sync_int(f->sure), sync_int(f->upto), sync_int(f->all_seq), sync_int(f->own_seq),
				     sync_int(p->highest), sync_int(routed.seq), sync_int(p->site_id)),
			   NULL, NULL, err);
}

/* The site goes on to edit before it has caught up. */
static enum sync_status put_upto(struct sync_db *db, const struct sync_peer *p, const struct sync_fork *f, struct sync_error *err)
{
	static const char set[] = "UPDATE sync_site SET fork_upto = $1 WHERE site_id = $2 AND fork_upto < $3";

	return sync_db_run(db, set, SYNC_ARGS(sync_int(f->upto), sync_int(p->site_id), sync_int(f->upto)), NULL, NULL, err);
}

/* Once a person has stopped the branch that central has, whichever goes on in its place is no copy. */
enum sync_status sync_parted_branch(struct sync_db *db, struct sync_peer *p, const struct sync_header *h, bool *ret_copied,
				    struct sync_error *err)
{
	bool again;

	*ret_copied = false;
	if (!h->fork.made || SYNC_FAULT(branches_not_noted))
		return SYNC_OK;
	if (strcmp(h->branch, p->branch) == 0)
		return put_upto(db, p, &h->fork, err);
	TRY(sync_checkpoint_abandoned(db, p->site_id, h->fork.common.id, &again, err));
	*ret_copied = again && strcmp(p->stopped, p->branch) != 0;
	if (*ret_copied) {
		snprintf(p->rival, sizeof p->rival, "%s", h->branch);
		return put_rival(db, p, h->branch, err);
	}
	TRY(sync_checkpoint_abandon(db, p->site_id, h->fork.common.ordinal, err));
	TRY(sync_spool_quarantine_parts(db, p->site_id, err));
	return put_fork(db, p, &h->fork, err);
}

bool sync_parted_leaves(const struct sync_peer *p, const struct sync_header *h)
{
	return p->spooled > 0 && h->fork.made && h->made.ordinal == 0 && strcmp(h->branch, p->branch) != 0 &&
	       strcmp(h->base.id, p->in.id) == 0;
}

enum sync_status sync_parted_leave(struct sync_db *db, const struct sync_peer *p, struct sync_error *err)
{
	static const char set[] = "UPDATE sync_site SET spooled = (SELECT count(*) FROM sync_spool WHERE source = $1) WHERE site_id = $2";

	TRY(sync_spool_quarantine_parts(db, p->site_id, err));
	TRY(sync_spool_drop_parts(db, p->site_id, err));
	return sync_db_run(db, set, SYNC_ARGS(sync_int(p->site_id), sync_int(p->site_id)), NULL, NULL, err);
}

/* offers */

enum sync_status sync_parted_offered(struct sync_db *db, int64_t site_id, const struct sync_checkpoint *offered,
				     struct sync_error *err)
{
	static const char set[] = "UPDATE sync_site SET offered = $1, offered_id = $2 WHERE site_id = $3";

	return sync_db_run(db, set, SYNC_ARGS(sync_int(offered->seq + 1), sync_text(offered->id), sync_int(site_id)), NULL, NULL,
			   err);
}

/* what a person says */

static enum sync_status keep(struct sync_db *db, const char *name, const char *branch, struct sync_error *err)
{
	static const char set[] = "UPDATE sync_site SET stopped = $1, rival = NULL WHERE site_id = $2";
	struct sync_site s;
	struct sync_peer p;

	TRY(sync_site_find(db, name, &s, err));
	TRY(sync_peer_get(db, s.site_id, true, &p, err));
	if (!p.rival[0])
		return sync_fail(err, SYNC_EINVALID, "no two copies of site '%s' are known", name);
	if (strcmp(branch, p.branch) != 0 && strcmp(branch, p.rival) != 0)
		return sync_fail(err, SYNC_EINVALID, "the copies of site '%s' are in branches %s and %s, not in '%s'", name, p.branch,
				 p.rival, branch);
	return sync_db_run(db, set,
			   SYNC_ARGS(sync_text(strcmp(branch, p.branch) == 0 ? p.rival : p.branch), sync_int(s.site_id)), NULL, NULL,
			   err);
}

enum sync_status sync_site_keep(struct sync_db *db, const char *name, const char *branch, struct sync_error *err)
{
	TRY(sync_db_begin(db, true, err));
	return sync_db_finish(db, keep(db, name, branch, err), err);
}

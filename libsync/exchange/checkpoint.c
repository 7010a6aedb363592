#include "exchange/checkpoint.h"

#include <stdio.h>

#include "base/internal.h"

enum {
	KEPT_DENSELY = 64, /* C of the rule: so many of the newest are all kept */
	THIN_EVERY = 16,
};

bool sync_checkpoint_kept(int64_t ordinal, int64_t newest)
{
	int64_t reach = ordinal & -ordinal; /* 2 to the power of its trailing zero bits */

	return newest - ordinal <= KEPT_DENSELY || (newest - ordinal) / KEPT_DENSELY < reach;
}

static enum sync_status thin(struct sync_db *db, int64_t peer, int64_t newest, struct sync_error *err)
{
	static const char drop[] = "DELETE FROM sync_checkpoint WHERE peer = $1 AND way = 'push'"
				   "    AND (ordinal & -ordinal) * $2 < $3 - ordinal";

	return sync_db_run(db, drop, SYNC_ARGS(sync_int(peer), sync_int(KEPT_DENSELY), sync_int(newest)), NULL, NULL, err);
}

enum sync_status sync_checkpoint_put(struct sync_db *db, int64_t peer, const struct sync_checkpoint *c, int64_t previous,
				     struct sync_error *err)
{
	static const char put[] = "INSERT INTO sync_checkpoint(peer, way, ordinal, id, seq) VALUES ($1, 'push', $2, $3, $4)"
				  "    ON CONFLICT (peer, way, ordinal) DO UPDATE SET id = excluded.id, seq = excluded.seq";

	TRY(sync_db_run(db, put, SYNC_ARGS(sync_int(peer), sync_int(c->ordinal), sync_text(c->id), sync_int(c->seq)), NULL,
			NULL, err));
	return previous / THIN_EVERY == c->ordinal / THIN_EVERY ? SYNC_OK : thin(db, peer, c->ordinal, err);
}

struct found {
	struct sync_checkpoint *ret;
	const char *id;
	bool found;
};

static enum sync_status take_checkpoint(void *ctx, const struct sync_value *v, size_t n, struct sync_error *err)
{
	struct found *f = ctx;

	(void)n, (void)err;
	f->found = true;
	*f->ret = (struct sync_checkpoint){ .ordinal = v[0].i, .seq = v[1].i };
	snprintf(f->ret->id, sizeof f->ret->id, "%s", f->id);
	return SYNC_OK;
}

enum sync_status sync_checkpoint_find(struct sync_db *db, int64_t peer, const char *id, struct sync_checkpoint *ret,
				      bool *ret_found, struct sync_error *err)
{
	static const char find[] = "SELECT ordinal, seq FROM sync_checkpoint WHERE peer = $1 AND id = $2 AND way = 'push'";
	struct found f = { .ret = ret, .id = id };

	TRY(sync_db_run(db, find, SYNC_ARGS(sync_int(peer), sync_text(id)), take_checkpoint, &f, err));
	*ret_found = f.found;
	return SYNC_OK;
}

/* A list being read. */
struct list {
	struct sync_arena *arena;
	struct sync_checkpoint *c;
	size_t n;
};

static enum sync_status take_next(void *ctx, const struct sync_value *v, size_t n, struct sync_error *err)
{
	struct list *l = ctx;
	struct sync_checkpoint *c = &l->c[l->n++];

	(void)n, (void)err;
	*c = (struct sync_checkpoint){ .ordinal = v[0].i, .seq = v[1].i };
	snprintf(c->id, sizeof c->id, "%.*s", SYNC_VIEW(v[2].s));
	return SYNC_OK;
}

enum sync_status sync_checkpoint_list(struct sync_db *db, int64_t peer, struct sync_arena *arena, const struct sync_checkpoint **ret,
				      size_t *ret_n, struct sync_error *err)
{
	static const char newest[] = "SELECT ordinal, seq, id FROM sync_checkpoint WHERE peer = $1 AND way = 'push'"
				     "    ORDER BY ordinal DESC LIMIT $2";
	struct list l = { arena, sync_arena_get(arena, SYNC_INQUIRY_MAX * sizeof *l.c), 0 };

	if (!l.c)
		return sync_fail(err, SYNC_ENOMEM, "reading checkpoints");
	TRY(sync_db_run(db, newest, SYNC_ARGS(sync_int(peer), sync_int(SYNC_INQUIRY_MAX)), take_next, &l, err));
	*ret = l.c;
	*ret_n = l.n;
	return SYNC_OK;
}

enum sync_status sync_checkpoint_abandoned(struct sync_db *db, int64_t peer, const char *id, bool *ret, struct sync_error *err)
{
	static const char was[] = "SELECT abandoned FROM sync_checkpoint WHERE peer = $1 AND id = $2 AND way = 'push'";
	int64_t abandoned;

	TRY(sync_db_number(db, was, SYNC_ARGS(sync_int(peer), sync_text(id)), 0, &abandoned, err));
	*ret = abandoned != 0;
	return SYNC_OK;
}

enum sync_status sync_checkpoint_abandon(struct sync_db *db, int64_t peer, int64_t ordinal, struct sync_error *err)
{
	static const char abandon[] =
	    "UPDATE sync_checkpoint SET abandoned = 1 WHERE peer = $1 AND way = 'push' AND ordinal > $2";

	return sync_db_run(db, abandon, SYNC_ARGS(sync_int(peer), sync_int(ordinal)), NULL, NULL, err);
}

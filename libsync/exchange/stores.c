#include "exchange/stores.h"

#include <inttypes.h>
#include <stdio.h>

#include <libsync/site.h>
#include <libsync/time.h>

#include "base/internal.h"
#include "exchange/integrate.h"
#include "exchange/registry.h"
#include "exchange/route.h"

/*
 * store.site_id says where a store should be, sync_store.site_id where it is. They differ while a move waits: the old site may
 * still have edits that it made by right, so the store is its own until it has pushed everything and has stored the notice
 * that the store leaves, after which it can have made no other edit of it unknowingly.
 */
struct place {
	int64_t site_id; /* where it is active; 0: nowhere */
	bool leaving;
	int64_t next_site_id; /* when leaving; 0: to nowhere */
};

static enum sync_status take_place(void *ctx, const struct sync_value *v, size_t n, struct sync_error *err)
{
	struct place *p = ctx;

	(void)n, (void)err;
	*p = (struct place){ .site_id = v[0].i, .leaving = v[1].kind == SYNC_INT };
	if (p->leaving)
		p->next_site_id = v[1].i;
	return SYNC_OK;
}

/* Moves of one store are made one after another: its row is there and locked from here on. */
static enum sync_status lock_place(struct sync_db *db, struct sync_view store_id, struct place *ret, struct sync_error *err)
{
	static const char lock[] =
		"INSERT INTO sync_store(store_id, site_id, notice) VALUES ($1, 0, 0)"
		"    ON CONFLICT (store_id) DO UPDATE SET notice = sync_store.notice RETURNING site_id, next_site_id";

	return sync_db_run(db, lock, SYNC_ARGS(sync_string(store_id)), take_place, ret, err);
}

static enum sync_status activate(struct sync_db *db, struct sync_view store_id, int64_t site_id, struct sync_error *err)
{
	static const char set[] = "UPDATE sync_store SET site_id = $1, next_site_id = NULL, notice = 0, revision = revision + 1"
				  "    WHERE store_id = $2 RETURNING revision";
	int64_t revision;

	TRY(sync_db_number(db, set, SYNC_ARGS(sync_int(site_id), sync_string(store_id)), 0, &revision, err));
	return sync_registry_keep_store(db, store_id, site_id, revision, err);
}

static enum sync_status name_of(struct sync_db *db, int64_t site_id, struct sync_buf *ret, struct sync_error *err)
{
	static const char find[] = "SELECT name FROM sync_site WHERE site_id = $1";
	bool found;

	TRY(sync_db_text(db, find, SYNC_ARGS(sync_int(site_id)), ret, &found, err));
	return found ? SYNC_OK : sync_fail(err, SYNC_ENOTFOUND, "there is no site %" PRId64, site_id);
}

static enum sync_status say_where_to(struct sync_db *db, int64_t site_id, struct sync_buf *text, struct sync_error *err)
{
	defer(sync_buf_clear) struct sync_buf name = { .max = 256 };

	if (site_id)
		TRY(name_of(db, site_id, &name, err));
	if (site_id)
		sync_buf_addf(text, "the store moves to site '%s'", name.data);
	else
		sync_buf_add_text(text, "the store is closed");
	sync_buf_add_text(text, " once all of this site's edits are at central");
	return sync_buf_check(text, err);
}

/* Tell the site that has it that the store leaves, and remember the number of the notice. */
static enum sync_status announce(struct sync_db *db, struct sync_view store_id, int64_t from, int64_t to, struct sync_error *err)
{
	static const char set[] =
		"UPDATE sync_store SET next_site_id = $1, notice = (SELECT verdict FROM sync_site WHERE site_id = $2) WHERE store_id = $3";
	defer(sync_buf_clear) struct sync_buf text = { .max = 512 };
	struct sync_record store = { .entity = sync_entity_find(sync_view_of("store")), .name = sync_view_of("store"),
		                     .id = store_id, .action = SYNC_PUT };

	TRY(say_where_to(db, to, &text, err));
	TRY(sync_verdict_add(db, from, "leave", &store, "store_moves", "site_id", text.data, sync_now_us(), err));
	return sync_db_run(db, set, SYNC_ARGS(sync_int(to), sync_int(from), sync_string(store_id)), NULL, NULL, err);
}

/* A site that was never registered has nothing to push. */
static enum sync_status may_have_edits(struct sync_db *db, int64_t site_id, bool *ret, struct sync_error *err)
{
	static const char find[] = "SELECT count(*) FROM sync_site WHERE site_id = $1 AND installation IS NOT NULL";
	int64_t n;

	TRY(sync_db_number(db, find, SYNC_ARGS(sync_int(site_id)), 0, &n, err));
	*ret = n > 0;
	return SYNC_OK;
}

enum sync_status sync_store_place(struct sync_db *db, struct sync_view store_id, int64_t site_id, bool force, struct sync_move *ret,
                                  struct sync_error *err)
{
	struct place place = { 0 };
	bool wait = false;

	TRY(lock_place(db, store_id, &place, err));
	if (!force && place.site_id && place.site_id != site_id)
		TRY(may_have_edits(db, place.site_id, &wait, err));
	*ret = (struct sync_move){ .from = place.site_id, .to = wait ? place.site_id : site_id, .waits = wait };
	if (wait)
		return place.leaving && place.next_site_id == site_id ? SYNC_OK : announce(db, store_id, place.site_id, site_id, err);
	return place.site_id == site_id && !place.leaving ? SYNC_OK : activate(db, store_id, site_id, err);
}

/* The row stays: a store of the same id that is made anew goes on with its revisions. */
enum sync_status sync_store_close(struct sync_db *db, struct sync_view store_id, struct sync_move *ret, struct sync_error *err)
{
	struct place place = { 0 };

	TRY(lock_place(db, store_id, &place, err));
	*ret = (struct sync_move){ .from = place.site_id };
	return place.site_id || place.leaving ? activate(db, store_id, 0, err) : SYNC_OK;
}

/* Where it should be is an ordinary edit of the store's record, which goes to everybody. */
static enum sync_status say_place(struct sync_db *db, struct sync_view store_id, int64_t site_id, struct sync_error *err)
{
	static const char say[] = "UPDATE store SET site_id = $1 WHERE id = $2 AND site_id <> $3";

	return sync_db_run(db, say, SYNC_ARGS(sync_int(site_id), sync_string(store_id), sync_int(site_id)), NULL, NULL, err);
}

enum sync_status sync_store_recall(struct sync_db *db, struct sync_view store_id, int64_t site_id, int64_t revision,
                                   struct sync_error *err)
{
	static const char set[] =
		"UPDATE sync_store SET site_id = $1, next_site_id = NULL, notice = 0, revision = $2 WHERE store_id = $3";
	struct place place = { 0 };

	TRY(lock_place(db, store_id, &place, err));
	TRY(sync_db_run(db, set, SYNC_ARGS(sync_int(site_id), sync_int(revision), sync_string(store_id)), NULL, NULL, err));
	TRY(say_place(db, store_id, site_id, err));
	return sync_route_store(db, store_id, place.site_id, site_id, err);
}

/* moves that were waiting */

struct moves {
	struct sync_db *db;
	int64_t from;
};

static enum sync_status carry_out(void *ctx, const struct sync_value *v, size_t n, struct sync_error *err)
{
	const struct moves *moves = ctx;
	struct sync_view store_id = v[0].s;
	int64_t to = v[1].i;

	(void)n;
	TRY(activate(moves->db, store_id, to, err));
	return sync_route_store(moves->db, store_id, moves->from, to, err);
}

enum sync_status sync_store_let_go(struct sync_db *db, int64_t site_id, struct sync_error *err)
{
	static const char all[] =
		"SELECT store_id, next_site_id FROM sync_store WHERE site_id = $1 AND next_site_id IS NOT NULL ORDER BY store_id";

	return sync_db_run(db, all, SYNC_ARGS(sync_int(site_id)), carry_out, &(struct moves){ db, site_id }, err);
}

enum sync_status sync_store_settle(struct sync_db *db, int64_t site_id, struct sync_error *err)
{
	static const char confirmed[] =
		"SELECT t.store_id, t.next_site_id FROM sync_store t JOIN sync_site s ON s.site_id = t.site_id"
		"    WHERE t.site_id = $1 AND t.next_site_id IS NOT NULL AND t.notice <= s.verdict_seen AND s.unpushed + s.spooled = 0"
		"    ORDER BY t.store_id";

	return sync_db_run(db, confirmed, SYNC_ARGS(sync_int(site_id)), carry_out, &(struct moves){ db, site_id }, err);
}

/* a person's wish */

static enum sync_status find_store(struct sync_db *db, const char *store_id, struct place *ret, struct sync_error *err)
{
	static const char find[] = "SELECT count(*) FROM store WHERE id = $1";
	int64_t n;

	TRY(sync_db_number(db, find, SYNC_ARGS(sync_text(store_id)), 0, &n, err));
	if (!n)
		return sync_fail(err, SYNC_ENOTFOUND, "no store has the id '%s'", store_id);
	return lock_place(db, sync_view_of(store_id), ret, err);
}

static enum sync_status send_to(struct sync_db *db, const char *store_id, int64_t site_id, bool force, bool *ret_waits,
                                struct sync_error *err)
{
	struct sync_move move;

	TRY(say_place(db, sync_view_of(store_id), site_id, err));
	TRY(sync_store_place(db, sync_view_of(store_id), site_id, force, &move, err));
	*ret_waits = move.waits;
	return sync_route_store(db, sync_view_of(store_id), move.from, move.to, err);
}

enum sync_status sync_store_give(struct sync_db *db, const char *store_id, int64_t site_id, struct sync_error *err)
{
	defer(sync_buf_clear) struct sync_buf name = { .max = 256 };
	struct place place = { 0 };
	bool waits;

	TRY(find_store(db, store_id, &place, err));
	if (!place.site_id)
		return send_to(db, store_id, site_id, false, &waits, err);
	TRY(name_of(db, place.site_id, &name, err));
	return sync_fail(err, SYNC_EINVALID, "store '%s' is active at site '%s': central store move takes it from there", store_id,
	                 name.data);
}

/* A revoked site would keep the store for ever. */
static enum sync_status check_not_revoked(struct sync_db *db, int64_t site_id, struct sync_error *err)
{
	static const char find[] =
		"SELECT name FROM sync_site WHERE site_id = $1 AND revoked_us IS NOT NULL AND installation IS NOT NULL";
	defer(sync_buf_clear) struct sync_buf name = { .max = 256 };
	bool revoked;

	TRY(sync_db_text(db, find, SYNC_ARGS(sync_int(site_id)), &name, &revoked, err));
	if (!revoked)
		return SYNC_OK;
	return sync_fail(err, SYNC_EINVALID,
	                 "the store is at site '%s', which is revoked and cannot push what it still has: --force moves it without",
	                 name.data);
}

static enum sync_status move(struct sync_db *db, const char *store_id, const char *site, bool force, bool *ret_done,
                             struct sync_error *err)
{
	struct place place = { 0 };
	struct sync_site to;
	bool waits;

	TRY(sync_site_find(db, site, &to, err));
	if (to.revoked)
		return sync_fail(err, SYNC_EINVALID, "site '%s' is revoked: central site reset makes it usable again", to.name);
	TRY(find_store(db, store_id, &place, err));
	if (!force && place.site_id != to.site_id)
		TRY(check_not_revoked(db, place.site_id, err));
	TRY(send_to(db, store_id, to.site_id, force, &waits, err));
	*ret_done = !waits;
	return SYNC_OK;
}

enum sync_status sync_store_move(struct sync_db *db, const char *store_id, const char *site, bool force, bool *ret_done,
                                 struct sync_error *err)
{
	bool done = false;

	TRY(sync_db_begin(db, true, err));
	TRY(sync_db_finish(db, move(db, store_id, site, force, &done, err), err));
	*ret_done = done;
	return sync_route(db, err);
}

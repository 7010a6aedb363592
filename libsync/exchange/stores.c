#include "exchange/stores.h"

#include <inttypes.h>
#include <stdio.h>

#include <libsync/site.h>
#include <libsync/time.h>

#include "base/internal.h"
#include "exchange/integrate.h"
#include "exchange/route.h"

/*
 * store.site_id says where a store should be, sync_store.site_id where it is. They differ while a move waits: the old site may
 * still have edits that it made by right, so the store is its own until it has pushed everything and has stored the notice
 * that the store leaves, after which it can have made no other edit of it unknowingly.
 */
struct place {
	bool exists;
	int64_t site_id;      /* where it is active; 0: nowhere */
	int64_t next_site_id; /* where it goes; 0: stays */
};

static enum sync_status take_place(void *ctx, const struct sync_value *v, size_t n, struct sync_error *err)
{
	struct place *p = ctx;

	(void)n, (void)err;
	*p = (struct place){ true, v[0].i, v[1].i };
	return SYNC_OK;
}

/* Moves of one store are made one after another: its row is there and locked from here on. */
static enum sync_status find_place(struct sync_db *db, const char *store_id, struct place *ret, struct sync_error *err)
{
	static const char keep[] =
		"INSERT INTO sync_store(store_id, site_id, notice) SELECT id, 0, 0 FROM store WHERE id = $1"
		"    ON CONFLICT (store_id) DO NOTHING";
	static const char lock[] = "UPDATE sync_store SET notice = notice WHERE store_id = $1";
	static const char find[] =
		"SELECT t.site_id, coalesce(t.next_site_id, 0) FROM sync_store t JOIN store s ON s.id = t.store_id"
		"    WHERE t.store_id = $1";
	struct place place = { 0 };

	TRY(sync_db_run(db, keep, SYNC_ARGS(sync_text(store_id)), NULL, NULL, err));
	TRY(sync_db_run(db, lock, SYNC_ARGS(sync_text(store_id)), NULL, NULL, err));
	TRY(sync_db_run(db, find, SYNC_ARGS(sync_text(store_id)), take_place, &place, err));
	if (!place.exists)
		return sync_fail(err, SYNC_ENOTFOUND, "no store has the id '%s'", store_id);
	*ret = place;
	return SYNC_OK;
}

/* Where it should be: an ordinary edit of the store's record, which goes to everybody. */
static enum sync_status say_place(struct sync_db *db, const char *store_id, int64_t site_id, struct sync_error *err)
{
	static const char say[] = "UPDATE store SET site_id = $1 WHERE id = $2 AND site_id <> $3";

	return sync_db_run(db, say, SYNC_ARGS(sync_int(site_id), sync_text(store_id), sync_int(site_id)), NULL, NULL, err);
}

/* Where it is from now on, and the job that brings its records there. */
static enum sync_status activate(struct sync_db *db, const char *store_id, int64_t old_site, int64_t new_site, struct sync_error *err)
{
	static const char set[] = "UPDATE sync_store SET site_id = $1, next_site_id = NULL, notice = 0 WHERE store_id = $2";

	TRY(sync_db_run(db, set, SYNC_ARGS(sync_int(new_site), sync_text(store_id)), NULL, NULL, err));
	return old_site == new_site ? SYNC_OK : sync_route_store(db, store_id, old_site, new_site, err);
}

static enum sync_status name_of(struct sync_db *db, int64_t site_id, struct sync_buf *ret, bool *ret_found, struct sync_error *err)
{
	static const char find[] = "SELECT name FROM sync_site WHERE site_id = $1";

	return sync_db_text(db, find, SYNC_ARGS(sync_int(site_id)), ret, ret_found, err);
}

enum sync_status sync_store_give(struct sync_db *db, const char *store_id, int64_t site_id, struct sync_error *err)
{
	defer(sync_buf_clear) struct sync_buf name = { .max = 256 };
	bool elsewhere = false;
	struct place place;

	TRY(find_place(db, store_id, &place, err));
	if (place.site_id)
		TRY(name_of(db, place.site_id, &name, &elsewhere, err));
	if (elsewhere)
		return sync_fail(err, SYNC_EINVALID, "store '%s' is active at site '%s': central store move takes it from there", store_id,
		                 name.data);
	TRY(say_place(db, store_id, site_id, err));
	return activate(db, store_id, place.site_id, site_id, err);
}

struct moves {
	struct sync_db *db;
	int64_t from;
};

static enum sync_status carry_out(void *ctx, const struct sync_value *v, size_t n, struct sync_error *err)
{
	const struct moves *moves = ctx;
	char store_id[SYNC_MAX_ID + 1];

	(void)n;
	snprintf(store_id, sizeof store_id, "%.*s", SYNC_VIEW(v[0].s));
	return activate(moves->db, store_id, moves->from, v[1].i, err);
}

enum sync_status sync_store_let_go(struct sync_db *db, int64_t site_id, struct sync_error *err)
{
	static const char all[] =
		"SELECT store_id, next_site_id FROM sync_store WHERE site_id = $1 AND next_site_id IS NOT NULL ORDER BY store_id";

	return sync_db_run(db, all, SYNC_ARGS(sync_int(site_id)), carry_out, &(struct moves){ db, site_id }, err);
}

enum sync_status sync_store_settle(struct sync_db *db, int64_t site_id, int64_t unpushed, int64_t verdict_seen, struct sync_error *err)
{
	static const char confirmed[] =
		"SELECT store_id, next_site_id FROM sync_store"
		"    WHERE site_id = $1 AND next_site_id IS NOT NULL AND notice <= $2 ORDER BY store_id";

	if (unpushed > 0)
		return SYNC_OK;
	return sync_db_run(db, confirmed, SYNC_ARGS(sync_int(site_id), sync_int(verdict_seen)), carry_out,
	                   &(struct moves){ db, site_id }, err);
}

/* Tell the old site that the store leaves, and remember the number of the notice. */
static enum sync_status announce(struct sync_db *db, const char *store_id, int64_t old_site, const struct sync_site *to,
                                 struct sync_error *err)
{
	static const char set[] =
		"UPDATE sync_store SET next_site_id = $1, notice = (SELECT verdict FROM sync_site WHERE site_id = $2) WHERE store_id = $3";
	struct sync_record store = { .entity = sync_entity_find(sync_view_of("store")), .name = sync_view_of("store"),
		                     .id = sync_view_of(store_id), .action = SYNC_PUT };
	char text[256];

	snprintf(text, sizeof text, "the store moves to site '%s' once all of this site's edits are at central", to->name);
	TRY(sync_verdict_add(db, old_site, "leave", &store, "store_moves", "site_id", text, sync_now_us(), err));
	return sync_db_run(db, set, SYNC_ARGS(sync_int(to->site_id), sync_int(old_site), sync_text(store_id)), NULL, NULL, err);
}

/* Whether anything can still come from a site; a revoked one would keep the store for ever. */
static enum sync_status must_wait(struct sync_db *db, int64_t site_id, bool *ret, struct sync_error *err)
{
	defer(sync_buf_clear) struct sync_buf name = { .max = 256 };
	struct sync_site s;
	bool found;

	*ret = false;
	if (!site_id)
		return SYNC_OK;
	TRY(name_of(db, site_id, &name, &found, err));
	if (!found)
		return SYNC_OK;
	TRY(sync_site_find(db, name.data, &s, err));
	if (s.revoked && s.installation[0])
		return sync_fail(err, SYNC_EINVALID,
		                 "the store is at site '%s', which is revoked and cannot push what it still has: --force moves it without",
		                 s.name);
	*ret = s.installation[0] != '\0';
	return SYNC_OK;
}

static enum sync_status move(struct sync_db *db, const char *store_id, const char *site, bool force, bool *ret_done,
                             struct sync_error *err)
{
	struct sync_site to;
	struct place place;
	bool wait = false;

	TRY(sync_site_find(db, site, &to, err));
	if (to.revoked)
		return sync_fail(err, SYNC_EINVALID, "site '%s' is revoked: central site reset makes it usable again", to.name);
	TRY(find_place(db, store_id, &place, err));
	if (!force && place.site_id != to.site_id)
		TRY(must_wait(db, place.site_id, &wait, err));
	TRY(say_place(db, store_id, to.site_id, err));
	*ret_done = !wait;
	if (!wait)
		return activate(db, store_id, place.site_id, to.site_id, err);
	return place.next_site_id == to.site_id ? SYNC_OK : announce(db, store_id, place.site_id, &to, err);
}

enum sync_status sync_store_move(struct sync_db *db, const char *store_id, const char *site, bool force, bool *ret_done,
                                 struct sync_error *err)
{
	enum sync_status status;
	bool done = false;

	TRY(sync_db_begin(db, true, err));
	status = move(db, store_id, site, force, &done, err);
	if (status != SYNC_OK) {
		sync_db_rollback(db);
		return status;
	}
	TRY(sync_db_commit(db, err));
	*ret_done = done;
	return sync_route(db, err);
}

#include "exchange/router.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include <libsync/time.h>

#include "base/internal.h"
#include "codec/json.h"
#include "exchange/integrate.h"
#include "exchange/stores.h"

/*
 * store.site_id says where a store should be, sync_store where it is: see stores.c. Here a record of a store has changed, by
 * whatever program, and sync_store follows.
 */

/* Where a store is. */
struct place {
	bool exists;
	int64_t site_id; /* 0: nowhere */
	bool leaving;
	int64_t next_site_id; /* when leaving; 0: to nowhere */
};

static enum sync_status take_place(void *ctx, const struct sync_value *v, size_t n, struct sync_error *err)
{
	struct place *p = ctx;

	(void)n, (void)err;
	*p = (struct place){ .exists = true, .site_id = v[0].i, .leaving = v[1].kind == SYNC_INT };
	if (p->leaving)
		p->next_site_id = v[1].i;
	return SYNC_OK;
}

static enum sync_status find_place(struct sync_db *db, struct sync_view store_id, struct place *ret, struct sync_error *err)
{
	static const char find[] = "SELECT site_id, next_site_id FROM sync_store WHERE store_id = $1";

	*ret = (struct place){ 0 };
	return sync_db_run(db, find, SYNC_ARGS(sync_string(store_id)), take_place, ret, err);
}

static struct sync_view value_of(const struct sync_routed *item, const struct sync_value *values, const char *field)
{
	int slot = sync_route_slot(item->entity, field);

	return values && slot >= 0 && values[slot].kind == SYNC_STRING ? values[slot].s : (struct sync_view){ 0 };
}

/* Where the record says that the store should be; 0 also for a site that does not exist. */
static enum sync_status find_target(struct sync_db *db, const struct sync_routed *item, int64_t *ret, struct sync_error *err)
{
	static const char find[] = "SELECT site_id FROM sync_site WHERE site_id = $1";
	int64_t wanted;

	*ret = 0;
	if (!sync_json_int64(&wanted, value_of(item, item->now, "site_id")) || wanted <= 0)
		return SYNC_OK;
	return sync_db_number(db, find, SYNC_ARGS(sync_int(wanted)), 0, ret, err);
}

/* Sites that gain or lose a store's records. */
struct pair {
	int64_t site[2];
	struct sync_sites sites;
};

static void set_pair(struct pair *p, int64_t a, int64_t b)
{
	p->sites = (struct sync_sites){ .site = p->site };
	if (a > 0)
		p->site[p->sites.n++] = a;
	if (b > 0 && b != a)
		p->site[p->sites.n++] = b;
}

static enum sync_status affect_transfers(struct sync_router *r, struct sync_view name_id, const struct sync_sites *sites,
					 struct sync_error *err)
{
	return name_id.len ? sync_router_affect(r, "transfer", "name", name_id, sites, err) : SYNC_OK;
}

/* The store is somewhere else from now on. */
static enum sync_status settle(struct sync_router *r, const struct sync_routed *item, int64_t old_site, int64_t new_site,
			       struct sync_error *err)
{
	static const char set[] =
	    "INSERT INTO sync_store(store_id, site_id, next_site_id, notice) VALUES ($1, $2, NULL, 0)"
	    "    ON CONFLICT (store_id) DO UPDATE SET site_id = excluded.site_id, next_site_id = NULL, notice = 0";
	struct pair p;

	set_pair(&p, old_site, new_site);
	TRY(sync_db_run(r->db, set, SYNC_ARGS(sync_string(item->id), sync_int(new_site)), NULL, NULL, err));
	if (old_site == new_site)
		return SYNC_OK;
	TRY(sync_router_affect(r, "store", "store", item->id, &p.sites, err));
	return affect_transfers(r, value_of(item, item->now, "name_id"), &p.sites, err);
}

/* Its records stay at the site that had it only as far as other routes lead there. */
static enum sync_status close_store(struct sync_router *r, const struct sync_routed *item, int64_t old_site,
				    struct sync_error *err)
{
	static const char forget[] = "DELETE FROM sync_store WHERE store_id = $1";
	struct pair p;

	set_pair(&p, old_site, 0);
	TRY(sync_db_run(r->db, forget, SYNC_ARGS(sync_string(item->id)), NULL, NULL, err));
	if (!p.sites.n)
		return SYNC_OK;
	TRY(sync_router_affect(r, "store", "store", item->id, &p.sites, err));
	return affect_transfers(r, value_of(item, item->before, "name_id"), &p.sites, err);
}

/* Tell the old site that the store leaves, and remember the number of the notice. */
static enum sync_status announce(struct sync_router *r, const struct sync_routed *item, int64_t old_site, int64_t target,
				 struct sync_error *err)
{
	static const char set[] = "UPDATE sync_store SET next_site_id = $1, notice = (SELECT verdict FROM sync_site WHERE "
				  "site_id = $2) WHERE store_id = $3";
	struct sync_record store = {
		.entity = item->entity, .name = sync_view_of(item->entity->name), .id = item->id, .action = SYNC_PUT
	};
	char text[160];

	if (target)
		snprintf(text, sizeof text, "the store moves to site %" PRId64 " once all of this site's edits are at central",
			 target);
	else
		snprintf(text, sizeof text, "the store is closed once all of this site's edits are at central");
	TRY(sync_verdict_add(r->db, old_site, "leave", &store, "store_moves", "site_id", text, sync_now_us(), err));
	return sync_db_run(r->db, set, SYNC_ARGS(sync_int(target), sync_int(old_site), sync_string(item->id)), NULL, NULL, err);
}

/* A site that was never registered has nothing to push. */
static enum sync_status may_have_edits(struct sync_db *db, int64_t site, bool *ret, struct sync_error *err)
{
	static const char find[] = "SELECT count(*) FROM sync_site WHERE site_id = $1 AND installation IS NOT NULL";
	int64_t n;

	TRY(sync_db_number(db, find, SYNC_ARGS(sync_int(site)), 0, &n, err));
	*ret = n > 0;
	return SYNC_OK;
}

static enum sync_status move(struct sync_router *r, const struct sync_routed *item, const struct place *place, int64_t target,
			     struct sync_error *err)
{
	bool wait = false;

	if (place->leaving && place->next_site_id == target)
		return SYNC_OK;
	if (place->site_id && place->site_id != target)
		TRY(may_have_edits(r->db, place->site_id, &wait, err));
	if (wait)
		return announce(r, item, place->site_id, target, err);
	if (!place->exists || place->leaving || place->site_id != target)
		return settle(r, item, place->site_id, target, err);
	return SYNC_OK;
}

/* Another name's transfers lead to the store's site. */
static enum sync_status rename_store(struct sync_router *r, const struct sync_routed *item, int64_t site,
				     struct sync_error *err)
{
	struct sync_view before = value_of(item, item->before, "name_id"), now = value_of(item, item->now, "name_id");
	struct pair p;

	set_pair(&p, site, 0);
	if (!item->before || !p.sites.n || sync_view_eq(before, now))
		return SYNC_OK;
	TRY(affect_transfers(r, before, &p.sites, err));
	return affect_transfers(r, now, &p.sites, err);
}

enum sync_status sync_router_follow(struct sync_router *r, const struct sync_routed *item, struct sync_error *err)
{
	struct place place;
	int64_t target;

	if (strcmp(item->entity->name, "store") != 0)
		return SYNC_OK;
	TRY(find_place(r->db, item->id, &place, err));
	if (item->gone)
		return place.exists ? close_store(r, item, place.site_id, err) : SYNC_OK;
	if (!item->now)
		return SYNC_OK;
	TRY(find_target(r->db, item, &target, err));
	TRY(rename_store(r, item, place.site_id, err));
	return move(r, item, &place, target, err);
}

enum sync_status sync_route_store(struct sync_db *db, const char *store_id, int64_t old_site, int64_t new_site,
				  struct sync_error *err)
{
	static const char name_of[] = "SELECT name_id FROM store WHERE id = $1";
	defer(sync_buf_clear) struct sync_buf name = { .max = SYNC_MAX_ID };
	struct sync_effect effects[2];
	struct pair p;
	bool found;

	set_pair(&p, old_site, new_site);
	if (!p.sites.n)
		return SYNC_OK;
	TRY(sync_db_text(db, name_of, SYNC_ARGS(sync_text(store_id)), &name, &found, err));
	effects[0] =
	    (struct sync_effect){ .kind = "store", .entity = "store", .key = sync_view_of(store_id), .sites = p.sites };
	effects[1] =
	    (struct sync_effect){ .kind = "transfer", .entity = "name", .key = sync_buf_view(&name), .sites = p.sites };
	return sync_jobs_put(db, effects, found ? 2 : 1, err);
}

struct state {
	bool pending;
	int64_t unpushed, verdict_seen;
};

static enum sync_status take_state(void *ctx, const struct sync_value *v, size_t n, struct sync_error *err)
{
	(void)n, (void)err;
	*(struct state *)ctx = (struct state){ true, v[0].i, v[1].i };
	return SYNC_OK;
}

enum sync_status sync_route_moves(struct sync_db *db, int64_t site, struct sync_error *err)
{
	static const char find[] =
	    "SELECT s.unpushed + s.spooled, s.verdict_seen FROM sync_site s"
	    "    WHERE s.site_id = $1 AND EXISTS"
	    "        (SELECT 1 FROM sync_store t WHERE t.site_id = s.site_id AND t.next_site_id IS NOT NULL)";
	struct state state = { 0 };

	TRY(sync_db_run(db, find, SYNC_ARGS(sync_int(site)), take_state, &state, err));
	return state.pending ? sync_store_settle(db, site, state.unpushed, state.verdict_seen, err) : SYNC_OK;
}

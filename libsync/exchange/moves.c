#include "exchange/router.h"

#include <string.h>

#include "base/internal.h"
#include "codec/json.h"
#include "exchange/stores.h"

/* A record of a store has changed, by whatever program, or a move of one is carried out: who gains and loses its records. */

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

static enum sync_status affect_moved(struct sync_router *r, const struct sync_routed *item, const struct sync_value *values,
				     const struct sync_move *move, struct sync_error *err)
{
	struct pair p;

	if (move->from == move->to)
		return SYNC_OK;
	set_pair(&p, move->from, move->to);
	TRY(sync_router_affect(r, "store", "store", item->id, &p.sites, err));
	return affect_transfers(r, value_of(item, values, "name_id"), &p.sites, err);
}

/* Another name's transfers lead to the store's site. */
static enum sync_status affect_renamed(struct sync_router *r, const struct sync_routed *item, int64_t site,
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
	struct sync_move move;
	int64_t target;

	if (strcmp(item->entity->name, "store") != 0)
		return SYNC_OK;
	if (item->gone) {
		TRY(sync_store_close(r->db, item->id, &move, err));
		return affect_moved(r, item, item->before, &move, err);
	}
	if (!item->now)
		return SYNC_OK;
	TRY(find_target(r->db, item, &target, err));
	TRY(sync_store_place(r->db, item->id, target, false, &move, err));
	TRY(affect_renamed(r, item, move.from, err));
	return affect_moved(r, item, item->now, &move, err);
}

enum sync_status sync_route_store(struct sync_db *db, struct sync_view store_id, int64_t from, int64_t to,
				  struct sync_error *err)
{
	static const char name_of[] = "SELECT name_id FROM store WHERE id = $1";
	defer(sync_buf_clear) struct sync_buf name = { .max = SYNC_MAX_ID };
	struct sync_effect effects[2];
	struct pair p;
	bool found;

	if (from == to)
		return SYNC_OK;
	set_pair(&p, from, to);
	TRY(sync_db_text(db, name_of, SYNC_ARGS(sync_string(store_id)), &name, &found, err));
	effects[0] = (struct sync_effect){ .kind = "store", .entity = "store", .key = store_id, .sites = p.sites };
	effects[1] =
	    (struct sync_effect){ .kind = "transfer", .entity = "name", .key = sync_buf_view(&name), .sites = p.sites };
	return sync_jobs_put(db, effects, found ? 2 : 1, err);
}

/** What the parts of the router share: one routing transaction, and routes as SQL. Inner header of route.h's implementation. */
#ifndef SYNC_ROUTER_H
#define SYNC_ROUTER_H

#include "db/outbox.h"
#include "exchange/route.h"
#include "exchange/set.h"
#include "schema/declared.h"

/** A copy in an arena, data NULL only for an empty view without data. */
enum sync_status sync_arena_keep(struct sync_arena *a, struct sync_view v, struct sync_view *ret, struct sync_error *err);

/** Add a site, which may then be there twice. */
enum sync_status sync_sites_add(struct sync_arena *a, struct sync_sites *s, int64_t site, struct sync_error *err);
/** Bring sites into order, each once. */
void sync_sites_sort(struct sync_sites *s);
bool sync_sites_have(const struct sync_sites *s, int64_t site);

/** The fields whose values are routing values. */
const struct sync_routing *sync_route_fields(const struct sync_entity *e);
/**
 * The routing values of n records as they are now, as texts; ret[i] is NULL where there is no such record.
 *
 * @param ids  each may be there several times
 */
enum sync_status sync_route_values(struct sync_db *db, const struct sync_entity *e, const struct sync_view *ids, size_t n,
				   struct sync_arena *arena, const struct sync_value **ret, struct sync_error *err);
/** Place of a field among routing values, or -1. */
int sync_route_slot(const struct sync_entity *e, const char *field);
/** Whether a condition on e's own fields holds for routing values (NULL: it does not). */
bool sync_route_holds(const struct sync_when *w, const struct sync_entity *e, const struct sync_value *values);
/** Append "column is value" of a condition; its value is $number when it has one. */
void sync_route_test(struct sync_buf *sql, const struct sync_when *w, const char *column, int number);

/** Why a record is looked at. */
enum sync_cause {
	SYNC_CHANGED,  /* it changed: all who should have it get it, who no longer should is told */
	SYNC_AFFECTED, /* something that it depends on changed: only who gains or loses it is told */
	SYNC_RESENT,   /* one site is to be sent central's version, or a drop */
};

/** A record to be routed; views live as long as the arena of its batch. */
struct sync_routed {
	const struct sync_entity *entity;
	struct sync_view id;
	enum sync_cause cause;
	int64_t site;                    /* CHANGED: whose change it was; RESENT: to whom */
	const struct sync_value *before; /* CHANGED: routing values before; NULL: there were none */
	const struct sync_value *now;    /* routing values; NULL: there is no such record, or it goes nowhere */
	bool gone;                       /* CHANGED: it was deleted */
	struct sync_view root;           /* data NULL: of no group */
	bool moved;                      /* CHANGED: routing values have differed, or it is gone */
	bool told;                       /* CHANGED: its site was told to drop it; found out by the router */
	bool leads;                      /* other records go where it goes; filled by the router */
	struct sync_sites due, held;     /* found out by the router; held only where it matters */
};

/** Something that records depend on has changed; becomes a row of sync_job. */
struct sync_effect {
	const char *kind; /* as in sync_job */
	const char *entity;
	struct sync_view key;
	struct sync_sites sites; /* that may gain or lose records; 0: any */
};

enum { SYNC_MAX_OPTIONS = 8 };

/** One routing transaction. */
struct sync_router {
	struct sync_db *db;
	const char *chosen[SYNC_MAX_OPTIONS]; /* values of the options, in the order of sync_option_list */
	int64_t routed;                       /* records so far */
	int64_t before;  /* highest seq given before it */
	int64_t ordinal; /* of the newest routing transaction before it */
	struct sync_outbox_writer out;
	struct sync_arena kept; /* what the effects borrow, to the end */
	struct sync_effect *effects;
	size_t n_effects, cap_effects;
};

enum sync_status sync_router_open(struct sync_router *r, struct sync_db *db, struct sync_error *err);
/** Write what is left of the outbox' rows, the jobs, and the routing transaction itself. */
enum sync_status sync_router_end(struct sync_router *r, struct sync_error *err);
void sync_router_close(struct sync_router *r);
/** Route records, and the children of those that other sites get or lose. @param except children that are routed anyway; may be
 * NULL */
enum sync_status sync_router_route(struct sync_router *r, struct sync_routed *items, size_t n, const struct sync_set *except,
				   struct sync_arena *arena, struct sync_error *err);
/** The same without their children. */
enum sync_status sync_router_route_alone(struct sync_router *r, struct sync_routed *items, size_t n, struct sync_arena *arena,
					 struct sync_error *err);
/** Whether a route of e counts with what this installation has chosen. */
bool sync_router_follows(const struct sync_router *r, const struct sync_entity *e, const struct sync_route *route);
/** Remember an effect; copies. */
enum sync_status sync_router_affect(struct sync_router *r, const char *kind, const char *entity, struct sync_view key,
				    const struct sync_sites *sites, struct sync_error *err);
/** Let sync_store follow a store's record; nothing for other entities. Before the step's items are routed. */
enum sync_status sync_router_follow(struct sync_router *r, const struct sync_routed *item, struct sync_error *err);
/** Remember what a change means for records that depend on it through a join or a condition. After the item was routed. */
enum sync_status sync_router_consider(struct sync_router *r, const struct sync_routed *item, struct sync_error *err);

/** Become the one that routes, as sync_route_lock(), but wait for it. */
enum sync_status sync_route_wait(struct sync_db *db, struct sync_error *err);

/** Start jobs; the keys of one kind go together. Orders the effects. */
enum sync_status sync_jobs_put(struct sync_db *db, struct sync_effect *effects, size_t n, struct sync_error *err);

#endif

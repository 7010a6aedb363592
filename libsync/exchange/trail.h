/** Why a record goes where it goes: what the router looked at on the way. Inner header of the exchange. */
#ifndef SYNC_TRAIL_H
#define SYNC_TRAIL_H

#include "exchange/route.h"

/** A site that a route led to, and by what. */
struct sync_hit {
	int64_t site;
	struct sync_view store; /* active there */
	struct sync_view join;  /* THROUGH: the join's id */
};

/** A route that was looked at; what came of a parent's routes follows it, one deeper. */
struct sync_followed {
	const struct sync_entity *e;
	const struct sync_route *route;
	size_t depth;
	bool applies;           /* its condition holds, and the record exists */
	struct sync_view value; /* of its field; empty: null */
	struct sync_hit *hit;
	size_t n, cap;
};

/** All of them, in the order in which they were followed. */
struct sync_trail {
	struct sync_followed *step;
	size_t n, cap;
	size_t depth;
};

/**
 * As sync_route_sites() for one record that exists or not, and why.
 *
 * @param arena       keeps all that is returned
 * @param ret_exists  whether there is such a record
 */
enum sync_status sync_route_trail(struct sync_db *db, const struct sync_entity *e, struct sync_view id, struct sync_arena *arena,
				  struct sync_sites *ret, struct sync_trail *ret_trail, bool *ret_exists, struct sync_error *err);

#endif

/* Database handles with a server each, shared by more threads than there are handles: one thread at a time has one. */
#ifndef CENTRAL_POOL_H
#define CENTRAL_POOL_H

#include <libsync/exchange.h>

struct pool;

struct lane {
	struct sync_db *db;
	struct sync_server *server;
	struct lane *next;
};

/** @param db  outlives the pool, is only read @param most  lanes; each is opened when it is first needed
 *  @param waiting_max  as of sync_server_bound() */
enum sync_status pool_new(struct pool **ret, struct sync_db *db, size_t most, int64_t waiting_max, struct sync_error *err);
void pool_free(struct pool *p);
/** @retval SYNC_EBUSY  none has become free for wait_ms */
enum sync_status pool_take(struct pool *p, int64_t wait_ms, struct lane **ret, struct sync_error *err);
void pool_give(struct pool *p, struct lane *lane);

#endif

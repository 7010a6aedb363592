/* What central answers: the requests of the sync API, whatever server they came through. */
#ifndef CENTRAL_API_H
#define CENTRAL_API_H

#include "central.h"
#include "pool.h"
#include "worker.h"

#include <stdatomic.h>

struct api {
	const struct central_settings *settings;
	struct pool *pool;
	struct worker *worker;
	struct sync_guard *guard;
	atomic_int registering;
};

struct request {
	struct sync_view token; /* empty: none was sent */
	struct sync_view body;
};

/** What is answered: copied out of the lane, which others need while a slow client reads. */
struct answer {
	const char *type; /* of the content */
	struct sync_buf body;
};

typedef enum sync_status api_fn(struct api *api, const struct request *r, struct answer *ret, struct sync_error *err);

/** POST /sync/v1/exchange: a message of a site that a token tells. */
api_fn api_exchange;
/** Whether the token is good, before a large body is read. */
api_fn api_admit;
/** POST /sync/v1/register: a secret for a token. */
api_fn api_register;
/** GET /sync/v1/health: whether the database answers. */
api_fn api_health;

#endif

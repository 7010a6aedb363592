#include "pool.h"

#include <pthread.h>
#include <stdlib.h>
#include <time.h>

#include "base/internal.h"

struct pool {
	struct sync_db *db;
	size_t open, most;
	int64_t waiting_max;
	struct lane *idle;
	pthread_mutex_t lock;
	pthread_cond_t given;
};

enum sync_status pool_new(struct pool **ret, struct sync_db *db, size_t most, int64_t waiting_max, struct sync_error *err)
{
	struct pool *p = calloc(1, sizeof *p);
	pthread_condattr_t attr;

	if (!p)
		return sync_fail(err, SYNC_ENOMEM, "starting to serve");
	p->db = db;
	p->most = most;
	p->waiting_max = waiting_max;
	pthread_mutex_init(&p->lock, NULL);
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&p->given, &attr);
	pthread_condattr_destroy(&attr);
	*ret = p;
	return SYNC_OK;
}

static void close_lane(struct lane *lane)
{
	if (!lane)
		return;
	sync_server_free(lane->server);
	sync_db_close(lane->db);
	free(lane);
}

static void close_lanep(struct lane **lane)
{
	close_lane(*lane);
}

static enum sync_status open_lane(struct pool *p, struct lane **ret, struct sync_error *err)
{
	defer(close_lanep) struct lane *lane = calloc(1, sizeof *lane);

	if (!lane)
		return sync_fail(err, SYNC_ENOMEM, "another exchange");
	TRY(sync_db_clone(&lane->db, p->db, err));
	TRY(sync_server_new(&lane->server, lane->db, err));
	sync_server_bound(lane->server, p->waiting_max);
	*ret = steal(lane);
	return SYNC_OK;
}

static struct timespec after(int64_t ms)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	t.tv_sec += ms / 1000;
	t.tv_nsec += ms % 1000 * 1000000;
	if (t.tv_nsec >= 1000000000) {
		t.tv_sec++;
		t.tv_nsec -= 1000000000;
	}
	return t;
}

/* An idle lane, or NULL and the right to open one. */
static enum sync_status take_locked(struct pool *p, int64_t wait_ms, struct lane **ret, struct sync_error *err)
{
	struct timespec until = after(wait_ms);

	while (!p->idle && p->open == p->most)
		if (pthread_cond_timedwait(&p->given, &p->lock, &until) != 0)
			return sync_fail(err, SYNC_EBUSY, "%zu exchanges are under way, as many as may be", p->most);
	*ret = p->idle;
	if (p->idle)
		p->idle = p->idle->next;
	else
		p->open++;
	return SYNC_OK;
}

/* Its right to a lane goes to whoever waits. */
static void give_up(struct pool *p)
{
	pthread_mutex_lock(&p->lock);
	p->open--;
	pthread_cond_signal(&p->given);
	pthread_mutex_unlock(&p->lock);
}

/* To connect may take seconds, during which others take and give what there is. */
enum sync_status pool_take(struct pool *p, int64_t wait_ms, struct lane **ret, struct sync_error *err)
{
	enum sync_status status;

	pthread_mutex_lock(&p->lock);
	status = take_locked(p, wait_ms, ret, err);
	pthread_mutex_unlock(&p->lock);
	if (status != SYNC_OK || *ret)
		return status;
	status = open_lane(p, ret, err);
	if (status != SYNC_OK)
		give_up(p);
	return status;
}

void pool_give(struct pool *p, struct lane *lane)
{
	pthread_mutex_lock(&p->lock);
	lane->next = p->idle;
	p->idle = lane;
	pthread_cond_signal(&p->given);
	pthread_mutex_unlock(&p->lock);
}

void pool_free(struct pool *p)
{
	if (!p)
		return;
	while (p->idle) {
		struct lane *lane = p->idle;

		p->idle = lane->next;
		close_lane(lane);
	}
	pthread_cond_destroy(&p->given);
	pthread_mutex_destroy(&p->lock);
	free(p);
}

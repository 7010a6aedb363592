#include "worker.h"

#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <libsync/exchange.h>
#include <libsync/log.h>

#include "base/internal.h"

enum { TURN_MS = 10000, RETRY_MS = 5000, FLUSH_MS = 1000, MAX_LOGGED = 1000, VACUUM_MS = 10000, MOST_DEAD = 50000 };

struct worker {
	struct sync_db *db;
	struct sync_server *server;
	struct sync_guard *guard;
	pthread_t thread;
	pthread_mutex_t lock;
	pthread_cond_t wakened, settled;
	bool stop;
	uint64_t asked, done; /* how often there was said to be work, and up to which of these it is done */
	struct sync_exchanged *logged; /* MAX_LOGGED of them */
	size_t n_logged;
	bool unflushed;           /* requests left something in memory */
	struct timespec flush_at; /* when it is written then: all that comes until there goes along */
	struct timespec vacuum_at; /* the thread's: a transaction that stays open may keep dead rows, so not at every turn */
};

static struct timespec deadline(int64_t ms)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	t.tv_nsec += ms % 1000 * 1000000;
	t.tv_sec += ms / 1000 + t.tv_nsec / 1000000000;
	t.tv_nsec %= 1000000000;
	return t;
}

void worker_wake(struct worker *w)
{
	pthread_mutex_lock(&w->lock);
	w->asked++;
	pthread_cond_signal(&w->wakened);
	pthread_mutex_unlock(&w->lock);
}

void worker_settle(struct worker *w, int64_t ms)
{
	struct timespec until = deadline(ms);
	uint64_t mine;

	pthread_mutex_lock(&w->lock);
	mine = ++w->asked;
	pthread_cond_signal(&w->wakened);
	while (w->done < mine && !w->stop)
		if (pthread_cond_timedwait(&w->settled, &w->lock, &until) != 0)
			break;
	pthread_mutex_unlock(&w->lock);
}

static bool is_over(const struct timespec *t)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec != t->tv_sec ? now.tv_sec > t->tv_sec : now.tv_nsec >= t->tv_nsec;
}

static void note_locked(struct worker *w)
{
	if (w->unflushed)
		return;
	w->unflushed = true;
	w->flush_at = deadline(FLUSH_MS);
	pthread_cond_signal(&w->wakened);
}

void worker_note(struct worker *w)
{
	pthread_mutex_lock(&w->lock);
	note_locked(w);
	pthread_mutex_unlock(&w->lock);
}

void worker_log(struct worker *w, const struct sync_exchanged *x)
{
	pthread_mutex_lock(&w->lock);
	note_locked(w);
	if (w->n_logged < MAX_LOGGED)
		w->logged[w->n_logged++] = *x;
	pthread_mutex_unlock(&w->lock);
}

/* Take what is logged so far; the caller frees it. */
static struct sync_exchanged *take_logged(struct worker *w, size_t *ret_n)
{
	struct sync_exchanged *copy;

	pthread_mutex_lock(&w->lock);
	copy = malloc((w->n_logged + 1) * sizeof *copy);
	*ret_n = copy ? w->n_logged : 0;
	if (copy) {
		memcpy(copy, w->logged, w->n_logged * sizeof *copy);
		w->n_logged = 0;
	}
	pthread_mutex_unlock(&w->lock);
	return copy;
}

/* What troubles the database is told once by its guard. */
static void complain(struct worker *w, const char *what, const struct sync_error *err)
{
	bool told = sync_guard_saw(w->guard, err);

	sync_log(told ? SYNC_LOG_DEBUG : SYNC_LOG_WARNING, what, "code=%s text=%s", sync_status_name(err->status), err->text);
}

static void flush(struct worker *w)
{
	struct sync_error err = { 0 };
	defer(freep) struct sync_exchanged *x = NULL;
	size_t n;

	x = take_logged(w, &n);
	if (sync_exchanged_put(w->db, x, n, &err) != SYNC_OK)
		complain(w, "log failed", &err);
	if (sync_server_flush(w->db, &err) != SYNC_OK) {
		complain(w, "flush failed", &err);
		worker_note(w);
	}
}

/* What is noted from now on is flushed later. */
static bool take_flush(struct worker *w)
{
	bool due;

	pthread_mutex_lock(&w->lock);
	due = w->unflushed && is_over(&w->flush_at);
	if (due)
		w->unflushed = false;
	pthread_mutex_unlock(&w->lock);
	return due;
}

static bool stopped(struct worker *w)
{
	bool stop;

	pthread_mutex_lock(&w->lock);
	stop = w->stop;
	pthread_mutex_unlock(&w->lock);
	return stop;
}

static void vacuum(struct worker *w)
{
	struct sync_error err = { 0 };

	if (!is_over(&w->vacuum_at))
		return;
	if (sync_queue_vacuum(w->db, MOST_DEAD, &err) != SYNC_OK)
		complain(w, "vacuum failed", &err);
	w->vacuum_at = deadline(VACUUM_MS);
}

/*
 * Steps until nothing is left that can go on; false after a failure, which is tried again later. A job may take many: what requests
 * left is not kept waiting for its end.
 */
static bool work(struct worker *w)
{
	struct sync_error err = { 0 };
	bool more = true, well = true;

	while (more && !stopped(w)) {
		if (sync_server_work(w->server, &more, &err) != SYNC_OK) {
			complain(w, "work failed", &err);
			well = false;
		}
		if (take_flush(w))
			flush(w);
		vacuum(w);
	}
	return well;
}

/* Wait until there is work or something to flush, or for some time; returns up to which time work was said to be there. */
static uint64_t wait_for_work(struct worker *w, int64_t ms)
{
	struct timespec until = deadline(ms);
	uint64_t asked;

	pthread_mutex_lock(&w->lock);
	while (!w->stop && w->asked == w->done && !is_over(&until) && !(w->unflushed && is_over(&w->flush_at)))
		(void)pthread_cond_timedwait(&w->wakened, &w->lock, w->unflushed ? &w->flush_at : &until);
	asked = w->asked;
	pthread_mutex_unlock(&w->lock);
	return asked;
}

static void settle(struct worker *w, uint64_t asked)
{
	pthread_mutex_lock(&w->lock);
	w->done = asked;
	pthread_cond_broadcast(&w->settled);
	pthread_mutex_unlock(&w->lock);
}

bool worker_is_to_end(struct sync_db *db, struct sync_guard *guard)
{
	return !sync_db_dialect(db)->postgres && sync_guard_code(guard) == SYNC_ECORRUPT;
}

static void end_process(struct worker *w)
{
	pthread_mutex_lock(&w->lock);
	w->stop = true;
	pthread_mutex_unlock(&w->lock);
	kill(getpid(), SIGTERM); /* the main thread waits for it */
}

static bool is_stopping(void *ctx)
{
	return stopped(ctx);
}

/* Once a week, when there is nothing else to do. */
static void check(struct worker *w)
{
	struct sync_error err = { 0 };

	if (sync_db_check_weekly(w->db, is_stopping, w, &err) != SYNC_OK && err.status != SYNC_EBUSY)
		complain(w, "check failed", &err);
}

/* While nothing can be written nothing else is tried but that. */
static bool recover(struct worker *w)
{
	struct sync_error err = { 0 };

	if (sync_guard_code(w->guard) == SYNC_OK)
		return true;
	if (sync_db_probe(w->db, &err) != SYNC_OK) {
		(void)sync_guard_saw(w->guard, &err);
		return false;
	}
	sync_guard_well(w->guard);
	return true;
}

/* One turn; false after a failure. */
static bool take_turn(struct worker *w, bool idle)
{
	bool well;

	if (!recover(w))
		return false;
	well = work(w);
	if (idle && well)
		check(w);
	return well;
}

static void *run(void *ctx)
{
	struct worker *w = ctx;
	bool well = work(w);

	/* nobody says so when psql or another program leaves work behind, or a process dies with it */
	while (!stopped(w)) {
		uint64_t asked = wait_for_work(w, well ? TURN_MS : RETRY_MS);

		if (!worker_is_to_end(w->db, w->guard)) /* a request may have seen it */
			well = take_turn(w, asked == w->done);
		settle(w, asked);
		if (worker_is_to_end(w->db, w->guard))
			end_process(w);
	}
	if (sync_guard_code(w->guard) == SYNC_OK)
		flush(w);
	return NULL;
}

static void free_worker(struct worker *w)
{
	if (!w)
		return;
	sync_server_free(w->server);
	sync_db_close(w->db);
	free(w->logged);
	pthread_cond_destroy(&w->wakened);
	pthread_cond_destroy(&w->settled);
	pthread_mutex_destroy(&w->lock);
	free(w);
}

static void free_workerp(struct worker **w)
{
	free_worker(*w);
}

static struct worker *new_worker(void)
{
	struct worker *w = calloc(1, sizeof *w);
	pthread_condattr_t attr;

	if (!w)
		return NULL;
	w->logged = calloc(MAX_LOGGED, sizeof *w->logged);
	pthread_mutex_init(&w->lock, NULL);
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&w->wakened, &attr);
	pthread_cond_init(&w->settled, &attr);
	pthread_condattr_destroy(&attr);
	return w;
}

enum sync_status worker_start(struct worker **ret, struct sync_db *db, struct sync_guard *guard, struct sync_error *err)
{
	defer(free_workerp) struct worker *w = new_worker();

	if (!w || !w->logged)
		return sync_fail(err, SYNC_ENOMEM, "starting to serve");
	w->guard = guard;
	TRY(sync_db_clone(&w->db, db, err));
	TRY(sync_server_new(&w->server, w->db, err));
	if (pthread_create(&w->thread, NULL, run, w) != 0)
		return sync_fail(err, SYNC_ENOMEM, "no thread for background work");
	*ret = steal(w);
	return SYNC_OK;
}

void worker_stop(struct worker *w)
{
	if (!w)
		return;
	pthread_mutex_lock(&w->lock);
	w->stop = true;
	pthread_cond_signal(&w->wakened);
	pthread_cond_broadcast(&w->settled);
	pthread_mutex_unlock(&w->lock);
	pthread_join(w->thread, NULL);
	free_worker(w);
}

#include "http.h"

#include <errno.h>
#include <fcntl.h>
#include <malloc.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#include <libsync/log.h>

/* What a request needed goes back to the system: glibc would keep an arena per core and thread, and grow what it keeps. */
static void bound_memory(void)
{
	mallopt(M_ARENA_MAX, 2);
	mallopt(M_MMAP_THRESHOLD, 4 << 20);
	mallopt(M_TRIM_THRESHOLD, 8 << 20);
}

/* Blocked before any thread starts, so that only the main thread sees them. */
static sigset_t block_signals(void)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	pthread_sigmask(SIG_BLOCK, &set, NULL);
	return set;
}

static enum sync_status write_port(const char *file, int port, struct sync_error *err)
{
	FILE *f = file ? fopen(file, "we") : NULL;
	bool written;

	if (!file)
		return SYNC_OK;
	if (!f)
		return sync_fail(err, SYNC_EIO, "--port-file %s: %m", file);
	written = fprintf(f, "%d\n", port) > 0;
	return fclose(f) == 0 && written ? SYNC_OK : sync_fail(err, SYNC_EIO, "--port-file %s: %m", file);
}

static enum sync_status listen_until(struct api *api, const sigset_t *signals, struct sync_error *err)
{
	struct http *h;
	enum sync_status status;
	int signal = 0;

	TRY(http_start(&h, api, err));
	sync_log(SYNC_LOG_INFO, "listening", "url=%s", http_url(h));
	status = write_port(api->settings->port_file, http_port(h), err);
	if (status == SYNC_OK) {
		sigwait(signals, &signal);
		sync_log(SYNC_LOG_INFO, "stopping", "signal=%s", sigabbrev_np(signal));
	}
	http_stop(h);
	return status;
}

static void close_lock(const int *fd)
{
	if (*fd >= 0)
		close(*fd);
}

/* One process at a time serves a SQLite file; it locks another one beside it. */
static enum sync_status lock_file(const char *url, int *ret, struct sync_error *err)
{
	defer(sync_buf_clear) struct sync_buf name = { .max = 4096 };

	TRY(central_lock_name(url, &name, err));
	if (name.len == 0)
		return SYNC_OK;
	*ret = open(name.data, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	if (*ret < 0)
		return sync_fail(err, sync_status_of_errno(errno), "%s: %s: %s", name.data, strerror(errno),
		                 errno == ENOENT ? "the folder of the database is not there: make it first"
		                                 : "central needs to write beside its database: is this the service's user?");
	if (flock(*ret, LOCK_EX | LOCK_NB) == 0)
		return SYNC_OK;
	if (errno != EWOULDBLOCK)
		return sync_fail(err, SYNC_EIO, "%s: %s", name.data, strerror(errno));
	return sync_fail(err, SYNC_EBUSY, "another central serves %s: stop that one first; only PostgreSQL is served by several", url);
}

/* Sites would be refused one by one otherwise: whoever starts central is told. */
static enum sync_status check_writable(struct sync_db *db, struct sync_error *err)
{
	static const char touch[] = "UPDATE sync_meta SET value = value WHERE key = $1";
	enum sync_status status;

	TRY(sync_db_begin(db, true, err));
	status = sync_db_run(db, touch, SYNC_ARGS(sync_text("role")), NULL, NULL, err);
	sync_db_rollback(db);
	return status;
}

static enum sync_status serve(struct sync_db *db, const struct central_settings *s, struct sync_guard *guard, const sigset_t *signals,
                              struct sync_error *err)
{
	struct api api = { .settings = s, .guard = guard };
	enum sync_status status;

	TRY(pool_new(&api.pool, db, (size_t)s->exchanges, s->waiting_max, err));
	status = worker_start(&api.worker, db, guard, err);
	if (status == SYNC_OK)
		status = listen_until(&api, signals, err);
	worker_stop(api.worker);
	pool_free(api.pool);
	return status == SYNC_OK && worker_is_to_end(db, guard) ? sync_guard_fail(guard, err) : status;
}

/* Whoever starts central is told what is wrong with it. */
static enum sync_status open_whole(struct sync_db **ret, const struct sync_call *call, struct sync_guard *guard, struct sync_error *err)
{
	defer(sync_db_closep) struct sync_db *db = NULL;

	TRY(central_edit(&db, call, true, err));
	TRY(check_writable(db, err));
	if (sync_guard_code(guard) == SYNC_ECORRUPT) /* it was checked */
		sync_guard_well(guard);
	*ret = steal(db);
	return SYNC_OK;
}

enum sync_status cmd_serve(const struct sync_call *call, struct sync_error *err)
{
	const struct central_settings *s = call->settings;
	sigset_t signals = block_signals();
	defer(close_lock) int lock = -1;
	defer(sync_db_closep) struct sync_db *db = NULL;
	struct sync_guard guard;
	enum sync_status status;

	bound_memory();
	if (s->verbose)
		sync_log_until(SYNC_LOG_DEBUG);
	TRY(lock_file(s->database, &lock, err));
	sync_guard_open(&guard, lock);
	central_warn_of_no_registry(s);
	status = open_whole(&db, call, &guard, err);
	if (status == SYNC_OK)
		status = sync_keep_put(db, s->keep_ms / DAY_MS, err);
	if (status == SYNC_OK)
		status = serve(db, s, &guard, &signals, err);
	if (status != SYNC_OK)
		(void)sync_guard_saw(&guard, err);
	return status;
}

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
	mallopt(M_MMAP_THRESHOLD, 256 << 10);
	mallopt(M_TRIM_THRESHOLD, 1 << 20);
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

/* One process at a time serves a SQLite file, whose name is all of its URL or follows the scheme; it locks another one beside it. */
static enum sync_status lock_file(const char *url, int *ret, struct sync_error *err)
{
	defer(sync_buf_clear) struct sync_buf name = { .max = 4096 };
	const char *file = strncmp(url, "sqlite:", 7) == 0 ? url + 7 : url;
	defer(freep) char *real = realpath(file, NULL); /* NULL: it is not there yet */

	if (strncmp(url, "postgres:", 9) == 0)
		return SYNC_OK;
	sync_buf_addf(&name, "%s-central", real ? real : file);
	TRY(sync_buf_check(&name, err));
	*ret = open(name.data, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	if (*ret < 0)
		return sync_fail(err, SYNC_EIO, "%s: %s: central needs to write beside its database: is this the service's user?", name.data,
		                 strerror(errno));
	if (flock(*ret, LOCK_EX | LOCK_NB) == 0)
		return SYNC_OK;
	if (errno != EWOULDBLOCK)
		return sync_fail(err, SYNC_EIO, "%s: %s", name.data, strerror(errno));
	return sync_fail(err, SYNC_EBUSY, "another central serves %s: stop that one first; only PostgreSQL is served by several", file);
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

static enum sync_status serve(struct sync_db *db, const struct central_settings *s, const sigset_t *signals, struct sync_error *err)
{
	struct api api = { .settings = s };
	enum sync_status status;

	TRY(pool_new(&api.pool, db, (size_t)s->exchanges, s->waiting_max, err));
	status = worker_start(&api.worker, db, err);
	if (status == SYNC_OK)
		status = listen_until(&api, signals, err);
	worker_stop(api.worker);
	pool_free(api.pool);
	return status;
}

enum sync_status cmd_serve(const struct sync_call *call, struct sync_error *err)
{
	const struct central_settings *s = call->settings;
	sigset_t signals = block_signals();
	defer(close_lock) int lock = -1;
	defer(sync_db_closep) struct sync_db *db = NULL;

	bound_memory();
	if (s->verbose)
		sync_log_until(SYNC_LOG_DEBUG);
	TRY(lock_file(s->database, &lock, err));
	central_warn_of_no_registry(s);
	TRY(central_edit(&db, call, true, err));
	TRY(check_writable(db, err));
	TRY(sync_keep_put(db, s->keep_ms / DAY_MS, err));
	return serve(db, s, &signals, err);
}

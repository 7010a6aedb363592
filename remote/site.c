#include "remote.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#include <libsync/crypto.h>

volatile sig_atomic_t remote_stop;

static void on_signal(int signal)
{
	(void)signal;
	remote_stop = 1;
}

void remote_catch_signals(void)
{
	struct sigaction action = { .sa_handler = on_signal };

	sigemptyset(&action.sa_mask);
	sigaction(SIGTERM, &action, NULL);
	sigaction(SIGINT, &action, NULL);
}

static const char *file_of(const struct sync_call *call)
{
	static const char scheme[] = "sqlite:";
	const char *url = ((const struct remote_settings *)call->settings)->database;

	return strncmp(url, scheme, sizeof scheme - 1) == 0 ? url + sizeof scheme - 1 : url;
}

bool site_exists(const struct sync_call *call)
{
	return access(file_of(call), F_OK) == 0;
}

/* Whatever links lead to a file, it has one name; a new one is made, so that it has a name. */
static enum sync_status real_name(const char *file, bool create, char **ret, struct sync_error *err)
{
	int made = create ? open(file, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0660) : -1;

	if (made >= 0)
		close(made);
	*ret = realpath(file, NULL);
	return *ret ? SYNC_OK : sync_fail(err, SYNC_EIO, "%s: %s: its folder must be there, and writable", file, strerror(errno));
}

static enum sync_status lock_name(const struct site *s, bool create, struct sync_buf *ret, struct sync_error *err)
{
	defer(freep) char *real = NULL;

	TRY(real_name(s->file, create, &real, err));
	sync_buf_addf(ret, "%s-remote", real);
	return sync_buf_check(ret, err);
}

/* The database itself is locked by SQLite in its own way, so a file beside it is. */
static enum sync_status lock(struct site *s, bool create, int flags, struct sync_error *err)
{
	defer(sync_buf_clear) struct sync_buf name = { .max = 4096 };

	TRY(lock_name(s, create, &name, err));
	s->lock = open(name.data, flags | O_CLOEXEC, 0600);
	if (s->lock < 0 && errno == ENOENT && !(flags & O_CREAT))
		return SYNC_OK;
	if (s->lock < 0)
		return sync_fail(err, sync_status_of_errno(errno), "%s: %s: %s", name.data, strerror(errno),
		                 flags & O_CREAT ? "remote needs to write beside the database" : "be the user whose service it is");
	if (flock(s->lock, LOCK_EX | LOCK_NB) == 0)
		return SYNC_OK;
	if (errno != EWOULDBLOCK)
		return sync_fail(err, SYNC_EIO, "%s: %s", name.data, strerror(errno));
	return sync_fail(err, SYNC_EBUSY, "another remote is at work on %s: one at a time, please", s->file);
}

static bool is_stopping(void *unused)
{
	(void)unused;
	return remote_stop;
}

enum sync_status site_check_weekly(struct site *s, struct sync_error *err)
{
	return sync_db_check_weekly(s->db, is_stopping, NULL, err);
}

/* A file that was damaged is written again only if it is whole: it was restored, then. */
static enum sync_status check_damaged(struct site *s, struct sync_error *err)
{
	if (sync_guard_code(&s->guard) != SYNC_ECORRUPT)
		return SYNC_OK;
	TRY(sync_db_check(s->db, is_stopping, NULL, err));
	sync_guard_well(&s->guard);
	return SYNC_OK;
}

/* Whoever has it watches over it. */
static enum sync_status check_open(struct site *s, enum sync_status status, bool exclusive, struct sync_error *err)
{
	if (exclusive && status == SYNC_OK)
		status = check_damaged(s, err);
	if (exclusive && status != SYNC_OK && err)
		(void)sync_guard_saw(&s->guard, err);
	return status;
}

static enum sync_status name_file(struct site *ret, const struct sync_call *call, struct sync_error *err)
{
	ret->file = strdup(file_of(call));
	return ret->file ? SYNC_OK : sync_fail(err, SYNC_ENOMEM, "opening %s", file_of(call));
}

enum sync_status site_open(struct site *ret, const struct sync_call *call, bool create, bool exclusive, struct sync_error *err)
{
	static const struct sync_db_ops *const drivers[] = { &sync_sqlite, NULL };
	const struct remote_settings *settings = call->settings;
	enum sync_status status;

	ret->lock = -1;
	TRY(sync_crypto_init(err));
	TRY(name_file(ret, call, err));
	if (exclusive && (create || site_exists(call)))
		TRY(lock(ret, create, O_RDWR | O_CREAT, err));
	sync_guard_open(&ret->guard, ret->lock);
	status = sync_db_open(&ret->db, settings->database, drivers, SYNC_SITE, create, err);
	status = check_open(ret, status, exclusive, err);
	if (status == SYNC_ENOTFOUND)
		return sync_fail(err, status, "%s: remote init makes one; is --database or --config missing?", err->text);
	return status;
}

/* Nothing is written beside a file whose disk may be damaged or read-only; nobody has had it who left no lock. */
enum sync_status site_hold(struct site *ret, const struct sync_call *call, struct sync_error *err)
{
	ret->lock = -1;
	TRY(sync_crypto_init(err));
	TRY(name_file(ret, call, err));
	return site_exists(call) ? lock(ret, false, O_RDONLY, err) : SYNC_OK;
}

size_t site_troubles(const struct site *s, struct sync_trouble ret[static 2])
{
	defer(sync_buf_clear) struct sync_buf name = { .max = 4096 };

	return lock_name(s, false, &name, NULL) == SYNC_OK ? sync_trouble_gather(name.data, s->file, ret) : 0;
}

void site_close(struct site *s)
{
	sync_db_close(s->db);
	if (s->file && s->lock >= 0)
		close(s->lock);
	free(s->file);
	*s = (struct site){ 0 };
}

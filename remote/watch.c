#include "watch.h"

#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdalign.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <time.h>
#include <unistd.h>

#include <libsync/time.h>

#include "base/internal.h"
#include "remote.h"

enum sync_status watch_open(struct watch *ret, const char *file, struct sync_error *err)
{
	char path[PATH_MAX], *slash;

	ret->fd = -1;
	if (!realpath(file, path))
		return sync_fail(err, SYNC_EIO, "%s: %m", file);
	slash = strrchr(path, '/');
	snprintf(ret->name, sizeof ret->name, "%s", slash + 1);
	slash[slash == path] = '\0';
	ret->fd = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
	if (ret->fd < 0 || inotify_add_watch(ret->fd, path, IN_MODIFY | IN_CREATE | IN_MOVED_TO) < 0)
		return sync_fail(err, SYNC_EIO, "watching %s: %m", path);
	return SYNC_OK;
}

void watch_close(struct watch *w)
{
	if (w->fd >= 0)
		close(w->fd);
}

/* The database, its -wal or its -journal; -shm changes with every reader. */
static bool concerns(const struct watch *w, const char *name)
{
	size_t len = strlen(w->name);

	return strncmp(name, w->name, len) == 0 &&
	       (!name[len] || strcmp(name + len, "-wal") == 0 || strcmp(name + len, "-journal") == 0);
}

/* Read all that the kernel has; true when any of it concerns us, or some of it was lost. */
static bool read_events(const struct watch *w)
{
	alignas(struct inotify_event) char events[4096];
	bool any = false;
	ssize_t n;

	while ((n = read(w->fd, events, sizeof events)) > 0) {
		for (char *p = events; p < events + n;) {
			const struct inotify_event *e = (const struct inotify_event *)(void *)p;

			any = any || (e->mask & IN_Q_OVERFLOW) || (e->len > 0 && concerns(w, e->name));
			p += sizeof *e + e->len;
		}
	}
	return any;
}

void watch_drain(struct watch *w)
{
	if (w->fd >= 0)
		(void)read_events(w);
}

bool watch_wait(struct watch *w, int64_t ms)
{
	int64_t until = sync_tick_us() + ms * 1000;
	struct pollfd p = { .fd = w->fd, .events = POLLIN };
	sigset_t blocked, none;
	bool changed = false;

	/* a signal that comes between the look at remote_stop and the wait must end the wait */
	sigemptyset(&blocked);
	sigaddset(&blocked, SIGTERM);
	sigaddset(&blocked, SIGINT);
	sigprocmask(SIG_BLOCK, &blocked, &none);
	while (!changed && !remote_stop) {
		int64_t left = until - sync_tick_us();
		struct timespec t = { left / 1000000, left % 1000000 * 1000 };

		if (left <= 0 || ppoll(&p, w->fd >= 0 ? 1 : 0, &t, &none) == 0)
			break;
		changed = w->fd >= 0 && read_events(w);
	}
	sigprocmask(SIG_SETMASK, &none, NULL);
	return changed;
}

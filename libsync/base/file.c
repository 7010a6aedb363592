#include "base/file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/internal.h"

enum sync_status sync_file_failed(const char *path, struct sync_error *err)
{
	return sync_fail(err, sync_status_of_errno(errno), "%s: %s", path, strerror(errno));
}

void sync_fd_close(const int *fd)
{
	if (*fd >= 0)
		close(*fd);
}

enum sync_status sync_fd_write(int fd, const char *path, struct sync_view data, struct sync_error *err)
{
	while (data.len > 0) {
		ssize_t put = write(fd, data.data, data.len);

		if (put < 0 && errno == EINTR)
			continue;
		if (put < 0)
			return sync_file_failed(path, err);
		data.data += put;
		data.len -= (size_t)put;
	}
	return SYNC_OK;
}

bool sync_fd_is(int fd, const char *path)
{
	struct stat mine, theirs;

	return fstat(fd, &mine) == 0 && stat(path, &theirs) == 0 && mine.st_dev == theirs.st_dev && mine.st_ino == theirs.st_ino;
}

enum sync_status sync_file_named(const char *path, struct sync_error *err)
{
	const char *slash = strrchr(path, '/');
	char folder[SYNC_PATH];
	defer(sync_fd_close) int fd = -1;

	(void)snprintf(folder, sizeof folder, "%.*s", slash ? (int)(slash - path) + 1 : 1, slash ? path : ".");
	fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return fd >= 0 && fsync(fd) == 0 ? SYNC_OK : sync_file_failed(folder, err);
}

/* Somebody else's may have been finished, and have another name by now. */
static enum sync_status claim(const struct sync_part *p, struct sync_error *err)
{
	bool mine = flock(p->fd, LOCK_EX | LOCK_NB) == 0;

	if (!mine && errno != EWOULDBLOCK)
		return sync_file_failed(p->name, err);
	if (!mine || !sync_fd_is(p->fd, p->name))
		return sync_fail(err, SYNC_EBUSY, "%s is being written by somebody else", p->name);
	return fchmod(p->fd, 0600) == 0 && ftruncate(p->fd, 0) == 0 ? SYNC_OK : sync_file_failed(p->name, err);
}

enum sync_status sync_part_open(struct sync_part *ret, const char *path, struct sync_error *err)
{
	enum sync_status status;

	*ret = (struct sync_part){ .path = path, .fd = -1 };
	if ((size_t)snprintf(ret->name, sizeof ret->name, "%s.part", path) >= sizeof ret->name)
		return sync_fail(err, SYNC_EIO, "%.100s…: the name is too long", path);
	ret->fd = open(ret->name, O_WRONLY | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (ret->fd < 0)
		return sync_file_failed(ret->name, err);
	status = claim(ret, err);
	if (status != SYNC_OK) {
		close(ret->fd); /* it is another's */
		ret->fd = -1;
	}
	return status;
}

enum sync_status sync_part_finish(struct sync_part *p, struct sync_error *err)
{
	if (fsync(p->fd) != 0 || rename(p->name, p->path) != 0)
		return sync_file_failed(p->name, err);
	close(p->fd);
	p->fd = -1;
	return sync_file_named(p->path, err);
}

void sync_part_close(struct sync_part *p)
{
	if (p->fd < 0)
		return;
	(void)unlink(p->name);
	close(p->fd);
	p->fd = -1;
}

#include "base/journal.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "base/internal.h"

enum { PIECE = 1 << 20, WINDOW = 64 << 10 };

void sync_journal_close(struct sync_journal *j)
{
	if (j->fd >= 0)
		close(j->fd); /* the lock goes with it */
	j->fd = -1;
}

static enum sync_status find_length(struct sync_journal *j, struct sync_error *err)
{
	struct stat st;

	if (fstat(j->fd, &st) != 0)
		return sync_file_failed(j->path, err);
	if (!S_ISREG(st.st_mode))
		return sync_fail(err, SYNC_EIO, "%s: not a regular file", j->path);
	if (st.st_size > SYNC_JOURNAL_MAX)
		return sync_fail(err, SYNC_ETOOBIG, "%s: %lld bytes, at most %d are read", j->path, (long long)st.st_size,
		                 (int)SYNC_JOURNAL_MAX);
	j->len = (size_t)st.st_size;
	return SYNC_OK;
}

static enum sync_status read_at(const struct sync_journal *j, char *ret, size_t len, size_t at, struct sync_error *err)
{
	while (len > 0) {
		ssize_t got = pread(j->fd, ret, len < PIECE ? len : PIECE, (off_t)at);

		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			return sync_file_failed(j->path, err);
		if (got == 0)
			return sync_fail(err, SYNC_EIO, "%s: it became shorter while it was read", j->path);
		ret += got;
		at += (size_t)got;
		len -= (size_t)got;
	}
	return SYNC_OK;
}

static enum sync_status find_end(struct sync_journal *j, struct sync_error *err)
{
	char tail[SYNC_JOURNAL_LINE];
	size_t n = j->len < sizeof tail ? j->len : sizeof tail;
	const char *end;

	TRY(read_at(j, tail, n, j->len - n, err));
	end = n ? memrchr(tail, '\n', n) : NULL;
	if (!end && j->len > sizeof tail)
		return sync_fail(err, SYNC_EINVALID, "%s: no line ends in its last %zu bytes: this is another file", j->path, n);
	j->end = end ? j->len - n + (size_t)(end + 1 - tail) : 0;
	return SYNC_OK;
}

static enum sync_status open_locked(const char *path, int *ret, struct sync_error *err)
{
	defer(sync_fd_close) int fd = open(path, O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC, 0600);

	if (fd < 0 || flock(fd, LOCK_EX) != 0)
		return sync_file_failed(path, err);
	*ret = fd;
	fd = -1;
	return SYNC_OK;
}

enum sync_status sync_journal_open(struct sync_journal *ret, const char *path, struct sync_error *err)
{
	defer(sync_journal_close) struct sync_journal j = { .path = path, .fd = -1 };
	bool made = access(path, F_OK) != 0;

	do {
		sync_journal_close(&j);
		TRY(open_locked(path, &j.fd, err));
	} while (!sync_fd_is(j.fd, path));
	TRY(find_length(&j, err));
	TRY(find_end(&j, err));
	if (made)
		TRY(sync_file_named(path, err));
	*ret = j;
	j.fd = -1;
	return SYNC_OK;
}

enum sync_status sync_journal_read(const struct sync_journal *j, struct sync_buf *ret, struct sync_error *err)
{
	char *room = sync_buf_room(ret, j->end);

	if (!room)
		return sync_buf_check(ret, err);
	TRY(read_at(j, room, j->end, 0, err));
	ret->len += j->end;
	return SYNC_OK;
}

/* The end of each piece stands before the next one: the text may begin in it. */
enum sync_status sync_journal_has(const struct sync_journal *j, struct sync_view text, bool *ret, struct sync_error *err)
{
	char window[WINDOW];
	size_t kept = 0, len;

	assert(text.len > 0 && text.len < sizeof window);
	*ret = false;
	for (size_t at = 0; at < j->end && !*ret; at += len) {
		size_t have, room = sizeof window - kept;

		len = j->end - at < room ? j->end - at : room;
		TRY(read_at(j, window + kept, len, at, err));
		have = kept + len;
		*ret = memmem(window, have, text.data, text.len) != NULL;
		kept = have < text.len ? have : text.len - 1;
		memmove(window, window + have - kept, kept);
	}
	return SYNC_OK;
}

static enum sync_status write_all(int fd, const char *path, struct sync_view text, struct sync_error *err)
{
	TRY(sync_fd_write(fd, path, text, err));
	return fsync(fd) == 0 ? SYNC_OK : sync_file_failed(path, err);
}

enum sync_status sync_journal_add(struct sync_journal *j, struct sync_view lines, struct sync_error *err)
{
	enum sync_status status;

	if (SYNC_FAULT(registry_not_written))
		return SYNC_OK;
	if (j->end < j->len && ftruncate(j->fd, (off_t)j->end) != 0)
		return sync_file_failed(j->path, err);
	status = write_all(j->fd, j->path, lines, err);
	if (status != SYNC_OK) {
		(void)!ftruncate(j->fd, (off_t)j->end);
		return status;
	}
	j->len = j->end += lines.len;
	return SYNC_OK;
}

enum sync_status sync_journal_replace(const struct sync_journal *j, struct sync_view content, struct sync_error *err)
{
	defer(freep) char *real = realpath(j->path, NULL);
	defer(sync_fd_close) int fd = -1;
	char name[SYNC_PATH];
	struct stat st;

	if (!real || fstat(j->fd, &st) != 0)
		return sync_file_failed(j->path, err);
	if (st.st_uid != geteuid())
		return SYNC_OK;
	if ((size_t)snprintf(name, sizeof name, "%s.new", real) >= sizeof name)
		return sync_fail(err, SYNC_EIO, "%s: the name is too long", real);
	fd = open(name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	if (fd < 0)
		return sync_file_failed(name, err);
	TRY(write_all(fd, name, content, err));
	if (rename(name, real) != 0)
		return sync_file_failed(name, err);
	return sync_file_named(real, err);
}

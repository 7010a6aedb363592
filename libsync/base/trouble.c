#include <libsync/trouble.h>

#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <libsync/command.h>
#include <libsync/log.h>
#include <libsync/time.h>

#include "base/internal.h"

enum {
	KEPT = 640,        /* bytes of the file, always all of them */
	LITTLE = 1 << 20,  /* bytes of a disk that is as good as full */
};

static bool is_trouble(enum sync_status status)
{
	return status == SYNC_ECORRUPT || status == SYNC_EDISKFULL || status == SYNC_EREADONLY;
}

/* kept = code ' ' since_us ' ' text, padded with spaces, and a newline; all spaces: there is none */

static void write_kept(int fd, const struct sync_trouble *t)
{
	char line[KEPT] = "", kept[KEPT];
	int len = 0;

	if (fd < 0)
		return;
	if (t->code != SYNC_OK)
		len = snprintf(line, sizeof line, "%s %" PRId64 " %s", sync_status_name(t->code), t->since_us, t->text);
	memset(kept, ' ', sizeof kept);
	memcpy(kept, line, (size_t)len);
	kept[KEPT - 1] = '\n';
	if (pwrite(fd, kept, sizeof kept, 0) == KEPT) /* a disk that cannot be written is found so by whoever looks */
		(void)fdatasync(fd);
}

static void read_kept(int fd, struct sync_trouble *ret)
{
	char kept[KEPT + 1], code[16];
	ssize_t len = pread(fd, kept, KEPT, 0);
	int text = 0;

	*ret = (struct sync_trouble){ 0 };
	if (len <= 0)
		return;
	while (len > 0 && (kept[len - 1] == ' ' || kept[len - 1] == '\n'))
		len--;
	kept[len] = '\0';
	if (sscanf(kept, "%15s %" SCNd64 " %n", code, &ret->since_us, &text) < 2 || text == 0)
		return;
	ret->code = sync_status_of_name(code);
	snprintf(ret->text, sizeof ret->text, "%.*s", (int)sizeof ret->text - 1, kept + text);
	if (!is_trouble(ret->code))
		*ret = (struct sync_trouble){ 0 };
}

void sync_guard_open(struct sync_guard *g, int fd)
{
	*g = (struct sync_guard){ .fd = fd };
	pthread_mutex_init(&g->lock, NULL);
	if (fd < 0)
		return;
	read_kept(fd, &g->now);
	write_kept(fd, &g->now); /* so that it has its room before the disk is full */
}

static void find_kept(const char *path, struct sync_trouble *ret)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);

	*ret = (struct sync_trouble){ 0 };
	if (fd < 0)
		return;
	read_kept(fd, ret);
	close(fd);
}

static void begin(struct sync_guard *g, const struct sync_error *err)
{
	g->now = (struct sync_trouble){ .code = err->status, .since_us = sync_now_us() };
	snprintf(g->now.text, sizeof g->now.text, "%s", err->text);
	sync_log(SYNC_LOG_ERROR, "trouble", "code=%s text=%s", sync_status_name(err->status), err->text);
	write_kept(g->fd, &g->now);
}

/* What is damaged stays so, whatever else is seen. */
bool sync_guard_saw(struct sync_guard *g, const struct sync_error *err)
{
	if (!is_trouble(err->status))
		return false;
	pthread_mutex_lock(&g->lock);
	if (g->now.code != err->status && g->now.code != SYNC_ECORRUPT)
		begin(g, err);
	pthread_mutex_unlock(&g->lock);
	return true;
}

void sync_guard_well(struct sync_guard *g)
{
	pthread_mutex_lock(&g->lock);
	if (g->now.code != SYNC_OK) {
		sync_log(SYNC_LOG_NOTICE, "trouble over", "code=%s", sync_status_name(g->now.code));
		g->now = (struct sync_trouble){ 0 };
		write_kept(g->fd, &g->now);
	}
	pthread_mutex_unlock(&g->lock);
}

enum sync_status sync_guard_code(struct sync_guard *g)
{
	enum sync_status code;

	pthread_mutex_lock(&g->lock);
	code = g->now.code;
	pthread_mutex_unlock(&g->lock);
	return code;
}

enum sync_status sync_guard_fail(struct sync_guard *g, struct sync_error *err)
{
	enum sync_status status;

	pthread_mutex_lock(&g->lock);
	status = g->now.code == SYNC_OK ? SYNC_OK : sync_fail(err, g->now.code, "%s", g->now.text);
	pthread_mutex_unlock(&g->lock);
	return status;
}

static void look_at(struct sync_trouble *ret, enum sync_status code, const char *file, const char *text)
{
	*ret = (struct sync_trouble){ .code = code };
	snprintf(ret->text, sizeof ret->text, "%.300s: %s", file, text);
}

static void look(const char *file, struct sync_trouble *ret)
{
	struct statvfs disk;

	*ret = (struct sync_trouble){ 0 };
	if (statvfs(file, &disk) != 0)
		return;
	if (disk.f_flag & ST_RDONLY)
		look_at(ret, SYNC_EREADONLY, file, "its disk is mounted read-only: look into the kernel's log for why, check the disk, and mount it anew");
	else if (access(file, W_OK) != 0)
		look_at(ret, SYNC_EREADONLY, file, "it cannot be written by this user: check its permissions and who runs this");
	else if (disk.f_bavail * disk.f_frsize < LITTLE)
		look_at(ret, SYNC_EDISKFULL, file, "its disk is full: free some space; nothing is lost");
}

size_t sync_trouble_gather(const char *lock, const char *file, struct sync_trouble ret[static 2])
{
	struct sync_trouble seen;
	size_t n;

	find_kept(lock, &ret[0]);
	n = ret[0].code != SYNC_OK;
	look(file, &seen);
	if (seen.code != SYNC_OK && (n == 0 || seen.code != ret[0].code))
		ret[n++] = seen;
	return n;
}

static const char *name_of(const struct sync_trouble *t)
{
	return t->name ? t->name : sync_status_name(t->code);
}

void sync_trouble_list(struct sync_buf *b, const struct sync_trouble *t, size_t n)
{
	sync_show_open(b, "trouble", '[');
	for (size_t i = 0; i < n; i++) {
		sync_show_open(b, NULL, '{');
		sync_show_text(b, "code", sync_view_of(name_of(&t[i])));
		sync_show_time(b, "since", t[i].since_us);
		sync_show_text(b, "text", sync_view_of(t[i].text));
		sync_show_close(b, '}');
	}
	sync_show_close(b, ']');
}

void sync_trouble_text(struct sync_buf *b, const struct sync_trouble *t)
{
	char since[21];
	size_t from = b->len;

	sync_time_text(since, t->since_us);
	sync_buf_addf(b, "trouble   %s%s%s: %s", name_of(t), t->since_us ? " since " : "", t->since_us ? since : "", t->text);
	sync_show_plain(b, from);
	sync_buf_add_char(b, '\n');
}

#include "db/wreck_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "base/internal.h"

/*
 * https://www.sqlite.org/fileformat2.html, with numbers' highest bytes first:
 * page 1 = "SQLite format 3" NUL, bytes of a page (2), 2 bytes, bytes of a page that are not used (1), …
 * log    = header, frames
 * header = magic (4), 4 bytes, bytes of a page (4), 4 bytes, salt (8), sums (8)
 * frame  = page (4), pages of the database after a commit, else 0 (4), salt (8), sums (8), the page
 * Sums go on from those of the frame before, those of the first from the header's; they read words in the order that the magic tells.
 */
enum {
	LEAST_PAGE = 512,
	MOST_PAGE = 65536,
	USUAL_PAGE = 4096,
	LOG_HEADER = 32,
	FRAME_HEADER = 24,
	LOG_MAGIC = 0x377f0682, /* and the next: words have their highest byte first */
};

bool sync_wreck_page(struct sync_wreck_file *f, uint32_t page, unsigned char *ret)
{
	int64_t frame_bytes = FRAME_HEADER + (int64_t)f->page_bytes;
	uint32_t frame;

	if (page < 1 || page > f->pages)
		return false;
	f->reads++;
	frame = f->frame[page];
	if (frame > 0)
		return pread(f->log, ret, f->page_bytes, LOG_HEADER + (frame - 1) * frame_bytes + FRAME_HEADER) == (ssize_t)f->page_bytes;
	return pread(f->fd, ret, f->page_bytes, (page - 1) * (int64_t)f->page_bytes) == (ssize_t)f->page_bytes;
}

/* the log */

struct log {
	const struct sync_wreck_file *f;
	unsigned char header[LOG_HEADER];
	bool high_first;
	uint32_t sum[2];       /* of what has been read */
	uint32_t frames;       /* upto and with the last commit that can be trusted */
	uint32_t pages;        /* that the database has after it */
	uint32_t later;        /* commits that follow a frame that cannot be trusted */
	unsigned char *buffer; /* a frame */
};

static void add_sum(struct log *l, const unsigned char *p, size_t len)
{
	for (size_t i = 0; i < len; i += 8) {
		uint32_t word[2];

		for (size_t k = 0; k < 2; k++) {
			const unsigned char *at = p + i + 4 * k;

			word[k] = l->high_first ? sync_wreck_u32(at) : at[0] | (uint32_t)at[1] << 8 | (uint32_t)at[2] << 16 | (uint32_t)at[3] << 24;
		}
		l->sum[0] += word[0] + l->sum[1];
		l->sum[1] += word[1] + l->sum[0];
	}
}

static bool is_sum(const struct log *l, const unsigned char *p)
{
	return l->sum[0] == sync_wreck_u32(p) && l->sum[1] == sync_wreck_u32(p + 4);
}

static bool is_page_size(size_t bytes)
{
	return bytes >= LEAST_PAGE && bytes <= MOST_PAGE && (bytes & (bytes - 1)) == 0;
}

static bool read_log_header(struct log *l)
{
	uint32_t magic;

	if (pread(l->f->log, l->header, LOG_HEADER, 0) != LOG_HEADER)
		return false;
	magic = sync_wreck_u32(l->header);
	l->high_first = magic & 1;
	add_sum(l, l->header, LOG_HEADER - 8);
	return (magic & ~1u) == LOG_MAGIC && is_page_size(sync_wreck_u32(l->header + 8)) && is_sum(l, l->header + LOG_HEADER - 8);
}

/* Whether a frame is of this log: those behind its end are of earlier ones. */
static bool read_frame(struct log *l, uint32_t n)
{
	int64_t bytes = FRAME_HEADER + (int64_t)l->f->page_bytes;

	return pread(l->f->log, l->buffer, (size_t)bytes, LOG_HEADER + n * bytes) == (ssize_t)bytes && !memcmp(l->buffer + 8, l->header + 16, 8);
}

/* A crash may leave one commit of which not every frame is there; more behind such a frame were durable. */
static void find_end(struct log *l)
{
	bool trusted = true;

	for (uint32_t n = 0; read_frame(l, n); n++) {
		uint32_t pages = sync_wreck_u32(l->buffer + 4);

		add_sum(l, l->buffer, 8);
		add_sum(l, l->buffer + FRAME_HEADER, l->f->page_bytes);
		trusted = trusted && is_sum(l, l->buffer + 16);
		if (pages && trusted) {
			l->frames = n + 1;
			l->pages = pages;
		}
		l->later += pages && !trusted;
	}
}

/* The newest frame of each page. */
static void map_frames(struct log *l, struct sync_wreck_file *f)
{
	for (uint32_t n = 0; n < l->frames && read_frame(l, n); n++) {
		uint32_t page = sync_wreck_u32(l->buffer);

		if (page >= 1 && page <= f->pages)
			f->frame[page] = n + 1;
	}
}

static enum sync_status make_map(struct sync_wreck_file *f, off_t bytes, uint32_t pages, struct sync_error *err)
{
	f->pages = pages ? pages : (uint32_t)((bytes + (off_t)f->page_bytes - 1) / (off_t)f->page_bytes);
	f->frame = calloc((size_t)f->pages + 1, sizeof *f->frame);
	return f->frame ? SYNC_OK : sync_fail(err, SYNC_ENOMEM, "reading %u pages", f->pages);
}

static void free_buffer(struct log *l)
{
	free(l->buffer);
}

static enum sync_status read_log(struct sync_wreck_file *f, off_t bytes, struct sync_error *err)
{
	defer(free_buffer) struct log l = { .f = f };
	struct stat st;

	if (f->log < 0 || fstat(f->log, &st) != 0 || st.st_size == 0)
		return make_map(f, bytes, 0, err);
	f->log_damaged = !read_log_header(&l);
	if (f->log_damaged)
		return make_map(f, bytes, 0, err);
	f->page_bytes = sync_wreck_u32(l.header + 8);
	l.buffer = malloc(FRAME_HEADER + f->page_bytes);
	if (!l.buffer)
		return sync_fail(err, SYNC_ENOMEM, "reading a log");
	find_end(&l);
	f->log_damaged = l.later > 1;
	TRY(make_map(f, bytes, l.pages, err));
	map_frames(&l, f);
	return SYNC_OK;
}

/* opening */

static size_t page_size_of(const struct sync_wreck_file *f)
{
	unsigned char header[SYNC_WRECK_HEADER];
	size_t bytes = pread(f->fd, header, sizeof header, 0) == sizeof header ? sync_wreck_u16(header + 16) : 0;

	bytes = bytes == 1 ? MOST_PAGE : bytes;
	return is_page_size(bytes) ? bytes : USUAL_PAGE;
}

static enum sync_status find_usable(struct sync_wreck_file *f, struct sync_error *err)
{
	defer(freep) unsigned char *page = malloc(f->page_bytes);

	if (!page)
		return sync_fail(err, SYNC_ENOMEM, "reading a page");
	f->usable = f->page_bytes;
	if (sync_wreck_page(f, 1, page) && !memcmp(page, "SQLite format 3", 16) && page[20] < 32)
		f->usable -= page[20];
	return SYNC_OK;
}

static enum sync_status open_files(struct sync_wreck_file *f, const char *path, off_t *ret_bytes, struct sync_error *err)
{
	char log[SYNC_PATH];
	struct stat st;

	if ((size_t)snprintf(log, sizeof log, "%s-wal", path) >= sizeof log)
		return sync_fail(err, SYNC_EIO, "%.100s…: the name is too long", path);
	f->fd = open(path, O_RDONLY | O_CLOEXEC);
	if (f->fd < 0 && errno == ENOENT)
		return sync_fail(err, SYNC_ENOTFOUND, "%s: there is no such file", path);
	if (f->fd < 0 || fstat(f->fd, &st) != 0)
		return sync_file_failed(path, err);
	if (!S_ISREG(st.st_mode))
		return sync_fail(err, SYNC_EINVALID, "%s is no file", path);
	*ret_bytes = st.st_size;
	f->log = open(log, O_RDONLY | O_CLOEXEC);
	return f->log >= 0 || errno == ENOENT ? SYNC_OK : sync_file_failed(log, err);
}

enum sync_status sync_wreck_file_open(struct sync_wreck_file *ret, const char *path, struct sync_error *err)
{
	off_t bytes;

	*ret = (struct sync_wreck_file){ .fd = -1, .log = -1 };
	TRY(open_files(ret, path, &bytes, err));
	ret->page_bytes = page_size_of(ret);
	TRY(read_log(ret, bytes, err));
	if (ret->pages == 0)
		return sync_fail(err, SYNC_ENOTFOUND, "%s is empty", path);
	return find_usable(ret, err);
}

void sync_wreck_file_close(struct sync_wreck_file *f)
{
	sync_fd_close(&f->fd);
	sync_fd_close(&f->log);
	free(f->frame);
}

#include "central.h"
#include "report.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <libsync/log.h>

/* A file that is imported, and how much of it is read. */
struct input {
	int fd;
	int64_t done, total; /* bytes; total is 0 where it is not known */
	struct sync_progress progress;
};

static enum sync_status read_input(void *ctx, char *ret, size_t len, size_t *ret_len, struct sync_error *err)
{
	struct input *in = ctx;
	ssize_t n;

	do
		n = read(in->fd, ret, len);
	while (n < 0 && errno == EINTR);
	if (n < 0)
		return sync_fail(err, SYNC_EIO, "reading: %s", strerror(errno));
	*ret_len = (size_t)n;
	in->done += n;
	sync_progress_show(&in->progress, "bytes imported", in->done, in->total);
	return SYNC_OK;
}

static enum sync_status write_fd(void *ctx, const char *data, size_t len, struct sync_error *err)
{
	while (len > 0) {
		ssize_t n = write(*(const int *)ctx, data, len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return sync_fail(err, SYNC_EIO, "writing: %s", strerror(errno));
		data += n;
		len -= (size_t)n;
	}
	return SYNC_OK;
}

/* The option, else the file's suffix, else CSV. */
static enum sync_status find_format(const char *format, const char *file, enum sync_format *ret, struct sync_error *err)
{
	static const struct {
		const char *name;
		enum sync_format format;
	} names[] = { { "csv", SYNC_CSV }, { "json", SYNC_JSON_LINES }, { "jsonl", SYNC_JSON_LINES }, { "ndjson", SYNC_JSON_LINES } };
	const char *dot = file ? strrchr(file, '.') : NULL;
	const char *name = format ? format : dot ? dot + 1 : "csv";

	if (!format && file && strcmp(file, "-") == 0)
		name = "csv";
	for (size_t i = 0; i < COUNT(names); i++) {
		if (strcmp(name, names[i].name) == 0) {
			*ret = names[i].format;
			return SYNC_OK;
		}
	}
	return sync_fail(err, SYNC_EUSAGE, format ? "--format is csv or json, not '%s'" : "what is in a file '.%s'? say --format csv or json",
	                 name);
}

static void close_input(struct input *in)
{
	sync_progress_end(&in->progress);
	if (in->fd > STDERR_FILENO)
		close(in->fd);
}

static enum sync_status open_input(const char *file, struct input *ret, struct sync_error *err)
{
	struct stat st;

	ret->fd = strcmp(file, "-") == 0 ? STDIN_FILENO : open(file, O_RDONLY | O_CLOEXEC);
	if (ret->fd < 0)
		return sync_fail(err, SYNC_EIO, "%s: %s", file, strerror(errno));
	if (fstat(ret->fd, &st) == 0 && S_ISREG(st.st_mode))
		ret->total = st.st_size;
	return SYNC_OK;
}

static enum sync_status report_import(int64_t records, bool json, struct sync_error *err)
{
	defer(sync_buf_clear) struct sync_buf b = { .max = MAX_REPORT };

	if (json) {
		sync_show_open(&b, NULL, '{');
		sync_show_bool(&b, "ok", true);
		sync_show_int(&b, "records", records);
		sync_show_close(&b, '}');
	} else {
		sync_buf_addf(&b, "%" PRId64 " record%s imported", records, plural(records));
	}
	return sync_show_print(&b, err);
}

enum sync_status cmd_import(const struct sync_call *call, struct sync_error *err)
{
	const struct central_settings *s = call->settings;
	defer(sync_db_closep) struct sync_db *db = NULL;
	defer(close_input) struct input in = { .fd = -1 };
	const struct sync_entity *e;
	enum sync_format format;
	int64_t records;

	TRY(sync_entity_named(call->args[0], &e, err));
	TRY(find_format(s->format, call->args[1], &format, err));
	TRY(open_input(call->args[1], &in, err));
	TRY(central_edit(&db, call, false, err));
	TRY(sync_import(db, e, format, read_input, &in, &records, err));
	sync_progress_end(&in.progress);
	return report_import(records, call->json, err);
}

enum sync_status cmd_export(const struct sync_call *call, struct sync_error *err)
{
	const struct central_settings *s = call->settings;
	defer(sync_db_closep) struct sync_db *db = NULL;
	const struct sync_entity *e;
	enum sync_format format;
	int64_t records;
	int fd = STDOUT_FILENO;

	TRY(sync_entity_named(call->args[0], &e, err));
	TRY(find_format(call->json && !s->format ? "json" : s->format, NULL, &format, err));
	TRY(central_open(&db, call, false, err));
	return sync_export(db, e, format, write_fd, &fd, &records, err);
}

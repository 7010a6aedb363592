/*
 * Writes a request as a site would, for tests that alter it: message NAME=VALUE… < RECORDS > BODY
 * RECORDS are record frames, a line each.
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include <libsync/frame.h>

#include "base/internal.h"

enum { MAX_BODY = 64 << 20, MAX_PLAIN = 512 << 20, BLOCK = 1 << 20 };

struct message {
	struct sync_header h;
	bool plain;       /* not compressed */
	int64_t bomb;     /* instead: so many MiB of nothing */
};

static bool read_checkpoint(struct sync_checkpoint *c, const char *value)
{
	return sscanf(value, "%" SCNd64 ".%" SCNd64 ".%16[0-9a-f]", &c->ordinal, &c->seq, c->id) >= 2;
}

static bool read_number(int64_t *ret, const char *value)
{
	return sscanf(value, "%" SCNd64, ret) == 1;
}

static bool read_argument(struct message *m, const char *arg)
{
	const char *value = strchr(arg, '=');
	size_t len = value ? (size_t)(value++ - arg) : 0;
	struct sync_view name = { arg, len };
	int64_t n;

	if (sync_view_is(name, "site"))
		return read_number(&m->h.site, value);
	if (sync_view_is(name, "want"))
		return read_number(&m->h.want, value);
	if (sync_view_is(name, "bomb"))
		return read_number(&m->bomb, value);
	if (sync_view_is(name, "base"))
		return read_checkpoint(&m->h.base, value);
	if (sync_view_is(name, "made"))
		return read_checkpoint(&m->h.made, value);
	if (sync_view_is(name, "plain"))
		return read_number(&n, value) && (m->plain = n != 0, true);
	if (sync_view_is(name, "protocol"))
		return read_number(&n, value) && (m->h.protocol = (int)n, true);
	if (!sync_view_is(name, "branch") || strlen(value) != SYNC_BRANCH)
		return false;
	memcpy(m->h.branch, value, SYNC_BRANCH);
	return true;
}

static enum sync_status write_records(struct sync_writer *w, struct sync_error *err)
{
	defer(sync_arena_clear) struct sync_arena arena = { 0 };
	defer(freep) char *line = NULL;
	size_t size = 0;
	ssize_t len;

	while ((len = getline(&line, &size, stdin)) > 0) {
		struct sync_record r;

		TRY(sync_record_read(&r, &arena, (struct sync_view){ line, (size_t)len }, &sync_default_limits, err));
		sync_writer_record(w, &r);
	}
	return SYNC_OK;
}

static enum sync_status print(struct sync_view body, struct sync_error *err)
{
	return fwrite(body.data, 1, body.len, stdout) == body.len ? SYNC_OK : sync_fail(err, SYNC_EIO, "writing: %m");
}

static enum sync_status print_plain(struct sync_view body, struct sync_error *err)
{
	defer(sync_decompressor_freep) struct sync_decompressor *d = NULL;
	static char block[BLOCK];
	size_t len = 1;

	TRY(sync_decompressor_new(&d, (const struct sync_dictionary *[]){ NULL }, body, MAX_PLAIN, err));
	while (len > 0) {
		TRY(sync_decompressor_read(d, block, sizeof block, &len, err));
		TRY(print((struct sync_view){ block, len }, err));
	}
	return SYNC_OK;
}

static enum sync_status print_bomb(int64_t mib, struct sync_error *err)
{
	defer(sync_compressor_freep) struct sync_compressor *c = NULL;
	defer(sync_buf_clear) struct sync_buf b = { .max = MAX_BODY };
	static char block[BLOCK];

	memset(block, ' ', sizeof block);
	TRY(sync_compressor_new(&c, NULL, 3, err));
	sync_compressor_reset(c, &b);
	while (mib-- > 0)
		sync_compressor_add(c, (struct sync_view){ block, sizeof block });
	TRY(sync_compressor_end(c, err));
	return print(sync_buf_view(&b), err);
}

static enum sync_status write_message(const struct message *m, struct sync_error *err)
{
	defer(sync_writer_freep) struct sync_writer *w = NULL;
	struct sync_end end = { 0 };
	struct sync_view body;

	if (m->bomb)
		return print_bomb(m->bomb, err);
	TRY(sync_writer_new(&w, NULL, 3, MAX_BODY, err));
	sync_writer_begin(w, &m->h, true);
	TRY(write_records(w, err));
	TRY(sync_writer_end(w, &end, &body, err));
	return m->plain ? print_plain(body, err) : print(body, err);
}

int main(int argc, char **argv)
{
	struct message m = { .h = { .protocol = SYNC_PROTOCOL, .schema = SYNC_SCHEMA_VERSION, .program = "test", .branch = "00000000" } };
	struct sync_error err;

	for (int i = 1; i < argc; i++) {
		if (!read_argument(&m, argv[i])) {
			fprintf(stderr, "message: what is %s?\n", argv[i]);
			return 64;
		}
	}
	if (write_message(&m, &err) == SYNC_OK)
		return 0;
	fprintf(stderr, "message: %s\n", err.text);
	return 1;
}

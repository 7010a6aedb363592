/*
 * Writes a request as a site would, for tests that alter it: message NAME=VALUE… < RECORDS > BODY
 * RECORDS are record frames, a line each.
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include <libsync/crypto.h>
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

/* The header as our writer has it, without the end that follows it. */
static enum sync_status write_header(const struct message *m, struct sync_buf *b, struct sync_error *err)
{
	defer(sync_writer_freep) struct sync_writer *w = NULL;
	defer(sync_decompressor_freep) struct sync_decompressor *d = NULL;
	struct sync_end end = { 0 };
	struct sync_view body;
	char plain[4096];
	size_t len;

	TRY(sync_writer_new(&w, NULL, 3, MAX_BODY, err));
	sync_writer_begin(w, &m->h, true);
	TRY(sync_writer_end(w, &end, &body, err));
	TRY(sync_decompressor_new(&d, (const struct sync_dictionary *[]){ NULL }, body, MAX_PLAIN, err));
	TRY(sync_decompressor_read(d, plain, sizeof plain, &len, err));
	sync_buf_add(b, plain, (size_t)((char *)memchr(plain, '\n', len) - plain) + 1);
	return SYNC_OK;
}

/* Records as they are given, whatever they say: what a well-behaved site would never send. */
static enum sync_status write_text(const struct message *m, struct sync_buf *b, struct sync_error *err)
{
	defer(sync_digest_close) struct sync_digest digest = { 0 };
	defer(freep) char *line = NULL;
	size_t size = 0;
	ssize_t len;
	int64_t n = 0;

	TRY(write_header(m, b, err));
	for (; (len = getline(&line, &size, stdin)) > 0; n++)
		sync_buf_add(b, line, (size_t)len);
	sync_buf_addf(b, "{\"n\":\"%" PRId64 "\",\"h\":\"", n);
	TRY(sync_buf_check(b, err));
	TRY(sync_digest_open(&digest, err));
	sync_digest_add(&digest, sync_buf_view(b));
	sync_buf_addf(b, "%016" PRIx64 "\"}\n", sync_digest_value(&digest));
	return sync_buf_check(b, err);
}

static enum sync_status print(struct sync_view body, struct sync_error *err)
{
	return fwrite(body.data, 1, body.len, stdout) == body.len ? SYNC_OK : sync_fail(err, SYNC_EIO, "writing: %m");
}

static enum sync_status print_compressed(struct sync_view text, struct sync_error *err)
{
	defer(sync_compressor_freep) struct sync_compressor *c = NULL;
	defer(sync_buf_clear) struct sync_buf b = { .max = MAX_BODY };

	TRY(sync_compressor_new(&c, NULL, 3, err));
	sync_compressor_reset(c, &b);
	sync_compressor_add(c, text);
	TRY(sync_compressor_end(c, err));
	return print(sync_buf_view(&b), err);
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
	defer(sync_buf_clear) struct sync_buf text = { .max = MAX_PLAIN };

	if (m->bomb)
		return print_bomb(m->bomb, err);
	TRY(write_text(m, &text, err));
	return m->plain ? print(sync_buf_view(&text), err) : print_compressed(sync_buf_view(&text), err);
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

#include <libsync/compress.h>

#include <stdlib.h>
#include <string.h>
#include <zdict.h>
#include <zstd.h>
#include <zstd_errors.h>

#include <libsync/crypto.h>
#include "base/internal.h"

enum {
	WINDOW_LOG = 21,           /* 2 MiB: what we compress with, at any level */
	WINDOW_LOG_MAX = 22,       /* what we accept: with its buffers a frame costs at most 4.2 MiB of memory */
	OUT_STEP = 16 << 10,       /* bytes of output asked for at a time */
	DICTIONARY_ROOM = 4 << 10, /* for entropy tables, which stand before the content */
	ID_AT = 4,                 /* where the id stands in a dictionary, little-endian */
};

struct sync_dictionary {
	ZSTD_CDict *compress;
	ZSTD_DDict *decompress;
	uint32_t id;
};

/* zstd leaves ids below 2^15 and from 2^31 on to others. Derived from the finished bytes, not from the text: should
   another release of zstd make other tables from the same text, the two sides notice instead of misreading. */
static enum sync_status derive_id(uint32_t *ret, struct sync_view bytes, struct sync_error *err)
{
	const uint32_t first = UINT32_C(1) << 15, end = UINT32_C(1) << 31;
	defer(sync_digest_close) struct sync_digest digest = { 0 };

	TRY(sync_digest_open(&digest, err));
	sync_digest_add(&digest, bytes);
	*ret = first + (uint32_t)(sync_digest_value(&digest) % (end - first));
	return SYNC_OK;
}

static enum sync_status finalize(struct sync_buf *bytes, struct sync_view text, const struct sync_buf *samples,
				 const size_t *sizes, size_t n, int level, struct sync_error *err)
{
	ZDICT_params_t params = { .compressionLevel = level, .dictID = UINT32_C(1) << 15 };
	size_t room = text.len + DICTIONARY_ROOM, len;
	char *to = sync_buf_room(bytes, room);

	if (!to)
		return sync_buf_check(bytes, err);
	len = ZDICT_finalizeDictionary(to, room, text.data, text.len, samples->data, sizes, (unsigned)n, params);
	if (ZDICT_isError(len))
		return sync_fail(err, SYNC_ENOMEM, "dictionary from %zu bytes and %zu samples: %s", text.len, n,
				 ZDICT_getErrorName(len));
	bytes->len = len;
	return SYNC_OK;
}

static enum sync_status make_bytes(struct sync_buf *bytes, struct sync_view text, const struct sync_view *samples, size_t n,
				   int level, struct sync_error *err)
{
	defer(sync_buf_clear) struct sync_buf joined = { .max = SIZE_MAX / 2 };
	defer(freep) size_t *sizes = calloc(n + 1, sizeof *sizes);

	if (!sizes)
		return sync_fail(err, SYNC_ENOMEM, "dictionary from %zu samples", n);
	for (size_t i = 0; i < n; i++) {
		sizes[i] = samples[i].len;
		sync_buf_add_view(&joined, samples[i]);
	}
	TRY(sync_buf_check(&joined, err));
	return finalize(bytes, text, &joined, sizes, n, level, err);
}

enum sync_status sync_dictionary_new(struct sync_dictionary **ret, struct sync_view text, const struct sync_view *samples,
				     size_t n, int level, struct sync_error *err)
{
	defer(sync_buf_clear) struct sync_buf bytes = { .max = SIZE_MAX / 2 };
	struct sync_dictionary *d;
	uint32_t id;

	TRY(make_bytes(&bytes, text, samples, n, level, err));
	TRY(derive_id(&id, sync_buf_view(&bytes), err));
	for (unsigned i = 0; i < sizeof id; i++)
		bytes.data[ID_AT + i] = (char)(id >> 8 * i & 0xff);

	d = calloc(1, sizeof *d);
	if (d) {
		d->id = id;
		d->compress = ZSTD_createCDict(bytes.data, bytes.len, level);
		d->decompress = ZSTD_createDDict(bytes.data, bytes.len);
	}
	if (!d || !d->compress || !d->decompress) {
		sync_dictionary_free(d);
		return sync_fail(err, SYNC_ENOMEM, "dictionary of %zu bytes", bytes.len);
	}
	*ret = d;
	return SYNC_OK;
}

void sync_dictionary_free(struct sync_dictionary *d)
{
	if (!d)
		return;
	ZSTD_freeCDict(d->compress);
	ZSTD_freeDDict(d->decompress);
	free(d);
}

uint32_t sync_dictionary_id(const struct sync_dictionary *d)
{
	return d ? d->id : 0;
}

struct sync_compressor {
	ZSTD_CCtx *ctx;
	struct sync_buf *out;
};

enum sync_status sync_compressor_new(struct sync_compressor **ret, const struct sync_dictionary *d, int level,
				     struct sync_error *err)
{
	defer(sync_compressor_freep) struct sync_compressor *c = calloc(1, sizeof *c);

	if (c)
		c->ctx = ZSTD_createCCtx();
	if (!c || !c->ctx)
		return sync_fail(err, SYNC_ENOMEM, "compressor");
	(void)ZSTD_CCtx_setParameter(c->ctx, ZSTD_c_windowLog, WINDOW_LOG);
	if (d)
		(void)ZSTD_CCtx_refCDict(c->ctx, d->compress);
	else
		(void)ZSTD_CCtx_setParameter(c->ctx, ZSTD_c_compressionLevel, level);
	*ret = steal(c);
	return SYNC_OK;
}

void sync_compressor_free(struct sync_compressor *c)
{
	if (!c)
		return;
	ZSTD_freeCCtx(c->ctx);
	free(c);
}

void sync_compressor_freep(struct sync_compressor **c)
{
	sync_compressor_free(*c);
}

void sync_compressor_reset(struct sync_compressor *c, struct sync_buf *out)
{
	(void)ZSTD_CCtx_reset(c->ctx, ZSTD_reset_session_only);
	c->out = out;
}

/* What may still be written to out at once. With nothing left it asks for one byte, so that the failure sticks. */
static size_t step(const struct sync_buf *out)
{
	size_t left = out->max > out->len ? out->max - out->len : 1;

	return left < OUT_STEP ? left : OUT_STEP;
}

/* One step into out: false when out failed. *ret_more tells whether zstd has more to do for this directive. */
static bool compress_step(struct sync_compressor *c, ZSTD_inBuffer *in, ZSTD_EndDirective how, bool *ret_more)
{
	size_t room = step(c->out), rest;
	char *to = sync_buf_room(c->out, room);
	ZSTD_outBuffer out = { to, room, 0 };

	if (!to)
		return false;
	rest = ZSTD_compressStream2(c->ctx, &out, in, how);
	if (ZSTD_isError(rest)) {
		c->out->status = SYNC_ENOMEM;
		return false;
	}
	to[out.pos] = '\0';
	c->out->len += out.pos;
	*ret_more = how == ZSTD_e_continue ? in->pos < in->size : rest > 0;
	return true;
}

static void compress(struct sync_compressor *c, struct sync_view v, ZSTD_EndDirective how)
{
	ZSTD_inBuffer in = { v.data, v.len, 0 };
	bool more = true;

	while (more && compress_step(c, &in, how, &more))
		;
}

void sync_compressor_add(struct sync_compressor *c, struct sync_view v)
{
	if (v.len > 0)
		compress(c, v, ZSTD_e_continue);
}

void sync_compressor_flush(struct sync_compressor *c)
{
	compress(c, (struct sync_view){ 0 }, ZSTD_e_flush);
}

enum sync_status sync_compressor_end(struct sync_compressor *c, struct sync_error *err)
{
	compress(c, (struct sync_view){ 0 }, ZSTD_e_end);
	return sync_buf_check(c->out, err);
}

struct sync_decompressor {
	ZSTD_DCtx *ctx;
	const struct sync_dictionary *const *dictionaries;
	ZSTD_inBuffer in;
	size_t max; /* bytes of output allowed */
	size_t len; /* bytes of output so far */
	bool begun;
	bool ended;
};

enum sync_status sync_decompressor_new(struct sync_decompressor **ret, const struct sync_dictionary *const *dictionaries,
				       struct sync_view in, size_t max_bytes, struct sync_error *err)
{
	defer(sync_decompressor_freep) struct sync_decompressor *d = calloc(1, sizeof *d);

	if (d)
		d->ctx = ZSTD_createDCtx();
	if (!d || !d->ctx)
		return sync_fail(err, SYNC_ENOMEM, "decompressor");
	sync_decompressor_reset(d, dictionaries, in, max_bytes);
	*ret = steal(d);
	return SYNC_OK;
}

void sync_decompressor_reset(struct sync_decompressor *d, const struct sync_dictionary *const *dictionaries, struct sync_view in,
			     size_t max_bytes)
{
	(void)ZSTD_DCtx_reset(d->ctx, ZSTD_reset_session_and_parameters);
	(void)ZSTD_DCtx_setParameter(d->ctx, ZSTD_d_windowLogMax, WINDOW_LOG_MAX);
	*d = (struct sync_decompressor){
		.ctx = d->ctx, .dictionaries = dictionaries, .in = { in.data, in.len, 0 }, .max = max_bytes
	};
}

void sync_decompressor_free(struct sync_decompressor *d)
{
	if (!d)
		return;
	ZSTD_freeDCtx(d->ctx);
	free(d);
}

void sync_decompressor_freep(struct sync_decompressor **d)
{
	sync_decompressor_free(*d);
}

static const struct sync_dictionary *find(const struct sync_dictionary *const *dictionaries, uint32_t id)
{
	for (; dictionaries && *dictionaries; dictionaries++)
		if ((*dictionaries)->id == id)
			return *dictionaries;
	return NULL;
}

/* Look at the header: how much it announces, and which dictionary it wants. */
static enum sync_status begin(struct sync_decompressor *d, struct sync_error *err)
{
	unsigned long long announced = ZSTD_getFrameContentSize(d->in.src, d->in.size);
	uint32_t id = ZSTD_getDictID_fromFrame(d->in.src, d->in.size);
	const struct sync_dictionary *dictionary = id != 0 ? find(d->dictionaries, id) : NULL;

	if (announced == ZSTD_CONTENTSIZE_ERROR)
		return sync_fail(err, SYNC_EBADFRAME, "%zu bytes that do not begin with a zstd header", d->in.size);
	if (announced != ZSTD_CONTENTSIZE_UNKNOWN && announced > d->max)
		return sync_fail(err, SYNC_ETOOBIG, "announces %llu bytes, allowed are %zu", announced, d->max);
	if (id != 0 && !dictionary)
		return sync_fail(err, SYNC_EDICTIONARY, "compressed with dictionary %u, which is not one of ours", id);
	if (dictionary)
		(void)ZSTD_DCtx_refDDict(d->ctx, dictionary->decompress);
	d->begun = true;
	return SYNC_OK;
}

static enum sync_status refuse(size_t code, const struct sync_decompressor *d, struct sync_error *err)
{
	switch (ZSTD_getErrorCode(code)) {
	case ZSTD_error_frameParameter_windowTooLarge:
		return sync_fail(err, SYNC_ETOOBIG, "needs a window of more than %u bytes", 1U << WINDOW_LOG_MAX);
	case ZSTD_error_memory_allocation:
		return sync_fail(err, SYNC_ENOMEM, "decompressing");
	default:
		return sync_fail(err, SYNC_EBADFRAME, "zstd after %zu of %zu bytes: %s", d->in.pos, d->in.size,
				 ZSTD_getErrorName(code));
	}
}

/* One step of zstd; afterwards out has something, or the frame ended, or it was cut short. */
static enum sync_status decompress(struct sync_decompressor *d, ZSTD_outBuffer *out, struct sync_error *err)
{
	size_t rest = ZSTD_decompressStream(d->ctx, out, &d->in);

	if (ZSTD_isError(rest))
		return refuse(rest, d, err);
	d->ended = rest == 0;
	if (d->ended && d->in.pos < d->in.size)
		return sync_fail(err, SYNC_EBADFRAME, "%zu bytes after the end of the zstd frame", d->in.size - d->in.pos);
	if (!d->ended && out->pos == 0 && d->in.pos == d->in.size)
		return sync_fail(err, SYNC_EBADFRAME, "zstd frame cut short after %zu bytes", d->in.size);
	return SYNC_OK;
}

enum sync_status sync_decompressor_read(struct sync_decompressor *d, char *ret, size_t len, size_t *ret_len,
					struct sync_error *err)
{
	size_t left = d->max - d->len;
	ZSTD_outBuffer out = { ret, len > left ? left + 1 : len, 0 }; /* the byte too many tells that there is more */

	if (!d->begun)
		TRY(begin(d, err));
	while (len > 0 && out.pos == 0 && !d->ended)
		TRY(decompress(d, &out, err));
	if (out.pos > left)
		return sync_fail(err, SYNC_ETOOBIG, "decompresses to more than the allowed %zu bytes", d->max);
	d->len += out.pos;
	*ret_len = out.pos;
	return SYNC_OK;
}

#include <libsync/frame.h>

#include <assert.h>
#include <inttypes.h>
#include <string.h>

#include <libsync/crypto.h>

#include "base/internal.h"
#include "codec/frame.h"

/*
 * message = header, verdicts, records, end
 *         | header, ranges, end: one frame per line. The first member tells the frame, so that lines can be told
 * apart without being parsed.
 */
static const char header_open[] = "{\"p\":", verdict_open[] = "{\"v\":", record_open[] = "{\"e\":", range_open[] = "{\"y\":", end_open[] = "{\"n\":";

/* What is assumed of what zstd holds back: it comes out later, about this many times smaller. */
enum { HELD_BACK_RATIO = 6 };

struct sync_writer {
	struct sync_compressor *compressor;
	struct sync_digest digest;
	struct sync_buf out;
	struct sync_buf line; /* the frame being written */
	size_t held_back;     /* bytes given to the compressor since it last put something out */
	int64_t records;
	struct sync_error err; /* the first failure of this message */
};

enum sync_status sync_writer_new(struct sync_writer **ret, const struct sync_dictionary *d, int level, size_t max_bytes,
				 struct sync_error *err)
{
	defer(sync_writer_freep) struct sync_writer *w = calloc(1, sizeof *w);

	if (!w)
		return sync_fail(err, SYNC_ENOMEM, "making a writer");
	w->out.max = max_bytes;
	w->line.max = sync_default_limits.line_bytes;
	TRY(sync_compressor_new(&w->compressor, d, level, err));
	TRY(sync_digest_open(&w->digest, err));
	*ret = steal(w);
	return SYNC_OK;
}

void sync_writer_free(struct sync_writer *w)
{
	if (!w)
		return;
	sync_compressor_free(w->compressor);
	sync_digest_close(&w->digest);
	sync_buf_clear(&w->out);
	sync_buf_clear(&w->line);
	free(w);
}

void sync_writer_freep(struct sync_writer **w)
{
	sync_writer_free(*w);
}

/* Compress the frame in w->line and begin the next; what names it when it is too long. */
static void put_line(struct sync_writer *w, const char *what, struct sync_view id)
{
	struct sync_view line = sync_buf_view(&w->line);
	size_t before = w->out.len;

	if (w->line.status != SYNC_OK && w->err.status == SYNC_OK)
		sync_fail(&w->err, w->line.status, "%s%s%.*s: %s after %zu bytes", what, id.len ? " " : "", SYNC_VIEW(id),
			  sync_status_text(w->line.status), line.len);
	if (w->err.status == SYNC_OK) {
		sync_digest_add(&w->digest, line);
		sync_compressor_add(w->compressor, line);
	}
	w->held_back = w->out.len > before ? 0 : w->held_back + line.len;
	sync_buf_reset(&w->line);
}

void sync_writer_begin(struct sync_writer *w, const struct sync_header *h, bool request)
{
	w->err = (struct sync_error){ 0 };
	w->records = 0;
	w->held_back = 0;
	sync_buf_reset(&w->out);
	sync_buf_reset(&w->line);
	sync_digest_reset(&w->digest);
	sync_compressor_reset(w->compressor, &w->out);
	sync_header_write(&w->line, h, request);
	put_line(w, "the header", (struct sync_view){ 0 });
}

void sync_writer_verdict(struct sync_writer *w, const struct sync_verdict *v)
{
	sync_verdict_write(&w->line, v);
	put_line(w, "the verdict on", v->id);
}

void sync_writer_record(struct sync_writer *w, const struct sync_record *r)
{
	sync_record_write(&w->line, r);
	if (w->line.len == 0 && w->line.status == SYNC_OK)
		return;
	put_line(w, "the record", r->id);
	w->records++;
}

void sync_writer_range(struct sync_writer *w, const struct sync_range *r)
{
	sync_range_write(&w->line, r);
	put_line(w, "the range of", r->name);
}

size_t sync_writer_size(const struct sync_writer *w)
{
	return w->out.len + w->held_back / HELD_BACK_RATIO;
}

int64_t sync_writer_records(const struct sync_writer *w)
{
	return w->records;
}

enum sync_status sync_writer_end(struct sync_writer *w, struct sync_end *end, struct sync_view *ret, struct sync_error *err)
{
	end->records = w->records;
	sync_end_write(&w->line, end);
	put_line(w, "the end", (struct sync_view){ 0 });
	sync_end_seal(&w->line, sync_digest_value(&w->digest));
	put_line(w, "the end", (struct sync_view){ 0 });
	if (w->err.status != SYNC_OK)
		return sync_fail(err, w->err.status, "%s", w->err.text);
	TRY(sync_compressor_end(w->compressor, err));
	*ret = sync_buf_view(&w->out);
	return SYNC_OK;
}

enum { READ_STEP = 64 << 10 };

struct sync_reader {
	struct sync_decompressor *decompressor; /* NULL until a body was compressed */
	const struct sync_dictionary *dictionaries[2];
	struct sync_limits limits;
	struct sync_digest digest;
	struct sync_view rest; /* text that is not yet read: in the body, or in text */
	size_t searched;       /* bytes of rest known to have no newline */
	struct sync_buf text;  /* decompressed */
	struct sync_arena lists; /* of the header */
	int64_t frames, records;
	bool compressed, dictionary, began, ended;
};

static bool is_zstd(struct sync_view body)
{
	return body.len >= 4 && memcmp(body.data, "\x28\xb5\x2f\xfd", 4) == 0;
}

/* RFC 8878: the two lowest bits of the frame header's descriptor, behind the magic number, are the size of a dictionary's id.
 */
static bool names_dictionary(struct sync_view body)
{
	return body.len >= 5 && (body.data[4] & 3) != 0;
}

static enum sync_status open_body(struct sync_reader *r, struct sync_view body, struct sync_error *err)
{
	if (!is_zstd(body)) {
		r->rest = body;
		return body.len <= r->limits.plain_bytes
			   ? SYNC_OK
			   : sync_fail(err, SYNC_ETOOBIG, "%zu bytes, the limit is %zu", body.len, r->limits.plain_bytes);
	}
	r->compressed = true;
	r->dictionary = names_dictionary(body);
	r->dictionaries[0] = r->dictionary ? sync_schema_dictionary() : NULL;
	if (!r->decompressor)
		return sync_decompressor_new(&r->decompressor, r->dictionaries, body, r->limits.plain_bytes, err);
	sync_decompressor_reset(r->decompressor, r->dictionaries, body, r->limits.plain_bytes);
	return SYNC_OK;
}

enum sync_status sync_reader_new(struct sync_reader **ret, struct sync_view body, const struct sync_limits *limits,
				 struct sync_error *err)
{
	defer(sync_reader_freep) struct sync_reader *r = calloc(1, sizeof *r);

	if (!r)
		return sync_fail(err, SYNC_ENOMEM, "making a reader");
	TRY(sync_digest_open(&r->digest, err));
	TRY(sync_reader_reset(r, body, limits, err));
	*ret = steal(r);
	return SYNC_OK;
}

enum sync_status sync_reader_reset(struct sync_reader *r, struct sync_view body, const struct sync_limits *limits,
				   struct sync_error *err)
{
	*r = (struct sync_reader){ .decompressor = r->decompressor,
				   .digest = r->digest,
				   .text = r->text,
				   .lists = r->lists,
				   .limits = *limits };
	sync_arena_reset(&r->lists);
	r->text.max = limits->line_bytes + READ_STEP;
	sync_buf_reset(&r->text);
	sync_digest_reset(&r->digest);
	return open_body(r, body, err);
}

void sync_reader_free(struct sync_reader *r)
{
	if (!r)
		return;
	sync_decompressor_free(r->decompressor);
	sync_digest_close(&r->digest);
	sync_buf_clear(&r->text);
	sync_arena_clear(&r->lists);
	free(r);
}

void sync_reader_freep(struct sync_reader **r)
{
	sync_reader_free(*r);
}

bool sync_reader_dictionary(const struct sync_reader *r)
{
	return r->dictionary;
}

/* Decompress a step more, behind what rest still has. *ret_len is 0 at the end. */
static enum sync_status more_text(struct sync_reader *r, size_t *ret_len, struct sync_error *err)
{
	struct sync_buf *text = &r->text;
	char *to;

	*ret_len = 0;
	if (!r->compressed)
		return SYNC_OK;
	if (r->rest.len > 0)
		memmove(text->data, r->rest.data, r->rest.len);
	text->len = r->rest.len;
	to = sync_buf_room(text, READ_STEP);
	if (!to)
		return sync_buf_check(text, err);
	TRY(sync_decompressor_read(r->decompressor, to, READ_STEP, ret_len, err));
	text->len += *ret_len;
	r->rest = sync_buf_view(text);
	return SYNC_OK;
}

static enum sync_status cut(const struct sync_reader *r, struct sync_error *err)
{
	return sync_fail(err, SYNC_EBADFRAME, "the message is cut in frame %" PRId64 ": no end frame after %" PRId64 " records",
			 r->frames + 1, r->records);
}

static enum sync_status too_long(const struct sync_reader *r, struct sync_error *err)
{
	return sync_fail(err, SYNC_ETOOBIG, "frame %" PRId64 " is longer than the limit of %zu bytes", r->frames + 1,
			 r->limits.line_bytes);
}

/* The next line with its newline, valid until the next call. */
static enum sync_status next_line(struct sync_reader *r, struct sync_view *ret, struct sync_error *err)
{
	const char *newline = NULL;
	size_t got;

	for (;;) {
		if (r->rest.len > r->searched)
			newline = memchr(r->rest.data + r->searched, '\n', r->rest.len - r->searched);
		if (newline)
			break;
		if (r->rest.len > r->limits.line_bytes)
			return too_long(r, err);
		r->searched = r->rest.len;
		TRY(more_text(r, &got, err));
		if (got == 0)
			return cut(r, err);
	}
	*ret = (struct sync_view){ r->rest.data, (size_t)(newline + 1 - r->rest.data) };
	if (ret->len > r->limits.line_bytes)
		return too_long(r, err);
	r->rest = (struct sync_view){ newline + 1, r->rest.len - ret->len };
	r->searched = 0;
	r->frames++;
	return SYNC_OK;
}

static bool opens(struct sync_view line, const char *with)
{
	size_t len = strlen(with);

	return line.len >= len && memcmp(line.data, with, len) == 0;
}

/* Say in which frame of the message it went wrong. */
static enum sync_status in_frame(const struct sync_reader *r, const struct sync_error *inner, struct sync_error *err)
{
	return sync_fail(err, inner->status, "frame %" PRId64 ": %s", r->frames, inner->text);
}

enum sync_status sync_reader_header(struct sync_reader *r, struct sync_header *ret, bool request, struct sync_error *err)
{
	struct sync_reading how = { .arena = &r->lists, .limits = &r->limits, .request = request };
	struct sync_error inner = { 0 };
	struct sync_view line;

	TRY(next_line(r, &line, err));
	if (!opens(line, header_open))
		return sync_fail(err, SYNC_EBADFRAME, "the first frame is no header");
	if (sync_header_read(ret, line, &how, &inner) != SYNC_OK)
		return in_frame(r, &inner, err);
	sync_digest_add(&r->digest, line);
	r->began = true;
	return SYNC_OK;
}

/* Counts a line that is no end and tells what it is, by how it begins. */
static enum sync_status take_frame(struct sync_reader *r, struct sync_view line, enum sync_frame *ret_kind,
				   struct sync_error *err)
{
	sync_digest_add(&r->digest, line);
	if (opens(line, verdict_open) && r->records == 0) {
		*ret_kind = SYNC_FRAME_VERDICT;
		return SYNC_OK;
	}
	if (!opens(line, record_open))
		return sync_fail(err, SYNC_EBADFRAME, "frame %" PRId64 " is neither a record nor the end%s", r->frames,
				 opens(line, verdict_open) ? ", but a verdict, which stands before records" : "");
	if (++r->records > r->limits.records)
		return sync_fail(err, SYNC_ETOOBIG, "more than %" PRId64 " records", r->limits.records);
	*ret_kind = SYNC_FRAME_RECORD;
	return SYNC_OK;
}

static enum sync_status read_end(struct sync_reader *r, struct sync_view line, struct sync_end *ret, struct sync_error *err)
{
	struct sync_reading how = { .limits = &r->limits };
	struct sync_view covered = { line.data, line.len > SYNC_END_TAIL ? line.len - SYNC_END_TAIL - 1 : 0 };
	struct sync_error inner = { 0 };
	size_t more = 0;

	sync_digest_add(&r->digest, covered);
	if (sync_end_read(ret, line, sync_digest_value(&r->digest), &how, &inner) != SYNC_OK)
		return in_frame(r, &inner, err);
	if (ret->records != r->records)
		return sync_fail(err, SYNC_EBADFRAME, "the end counts %" PRId64 " records, there were %" PRId64, ret->records,
				 r->records);
	if (r->rest.len == 0)
		TRY(more_text(r, &more, err));
	if (r->rest.len > 0)
		return sync_fail(err, SYNC_EBADFRAME, "more text after the end frame");
	r->ended = true;
	return SYNC_OK;
}

enum sync_status sync_reader_next(struct sync_reader *r, struct sync_arena *arena, enum sync_frame *ret_kind,
				  struct sync_record *ret_record, struct sync_verdict *ret_verdict, struct sync_end *ret_end,
				  struct sync_view *ret_line, struct sync_error *err)
{
	struct sync_reading how = { .arena = arena, .limits = &r->limits };
	struct sync_error inner = { 0 };
	enum sync_status status;

	assert(r->began && !r->ended);
	TRY(next_line(r, ret_line, err));
	if (opens(*ret_line, end_open)) {
		*ret_kind = SYNC_FRAME_END;
		return read_end(r, *ret_line, ret_end, err);
	}
	TRY(take_frame(r, *ret_line, ret_kind, err));
	if (*ret_kind == SYNC_FRAME_RECORD)
		status = sync_record_read(ret_record, arena, *ret_line, &r->limits, &inner);
	else
		status = sync_verdict_read(ret_verdict, *ret_line, &how, &inner);
	return status == SYNC_OK ? SYNC_OK : in_frame(r, &inner, err);
}

enum sync_status sync_reader_range(struct sync_reader *r, struct sync_arena *arena, struct sync_range *ret, bool *ret_more,
				   struct sync_error *err)
{
	struct sync_reading how = { .arena = arena, .limits = &r->limits };
	struct sync_error inner = { 0 };
	struct sync_view line;
	struct sync_end end;

	assert(r->began && !r->ended);
	TRY(next_line(r, &line, err));
	*ret_more = !opens(line, end_open);
	if (!*ret_more)
		return read_end(r, line, &end, err);
	if (!opens(line, range_open))
		return sync_fail(err, SYNC_EBADFRAME, "frame %" PRId64 " is neither a range nor the end", r->frames);
	sync_digest_add(&r->digest, line);
	return sync_range_read(ret, line, &how, &inner) == SYNC_OK ? SYNC_OK : in_frame(r, &inner, err);
}

enum sync_status sync_reader_end(struct sync_reader *r, struct sync_end *ret, struct sync_error *err)
{
	struct sync_view line;
	enum sync_frame kind;

	assert(r->began && !r->ended);
	for (;;) {
		TRY(next_line(r, &line, err));
		if (opens(line, end_open))
			return read_end(r, line, ret, err);
		TRY(take_frame(r, line, &kind, err));
	}
}

enum sync_status sync_reader_skip(struct sync_reader *r, int64_t n, struct sync_error *err)
{
	struct sync_view line;
	enum sync_frame kind;

	assert(r->began && !r->ended);
	for (int64_t last = r->records + n; r->records < last;) {
		TRY(next_line(r, &line, err));
		if (opens(line, end_open))
			return sync_fail(err, SYNC_EBADFRAME,
					 "the message has %" PRId64 " records, not the %" PRId64 " to skip", r->records, last);
		TRY(take_frame(r, line, &kind, err));
	}
	return SYNC_OK;
}

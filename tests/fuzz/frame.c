/* Messages and frames from anywhere: nothing may crash, and what is read and written again must be read as the same. */
#include <libsync/frame.h>

#include <stdlib.h>
#include <string.h>

#include "base/internal.h"
#include "codec/frame.h"
#include "fuzz.h"

static const struct sync_limits limits = { .plain_bytes = 1 << 20, .line_bytes = 1 << 16, .records = 1000, .depth = 8 };

static void read_message(struct sync_view body, bool request)
{
	defer(sync_reader_freep) struct sync_reader *r = NULL;
	defer(sync_arena_clear) struct sync_arena arena = { 0 };
	enum sync_frame kind = SYNC_FRAME_RECORD;
	struct sync_header header;
	struct sync_record record;
	struct sync_verdict verdict;
	struct sync_end end;
	struct sync_view line;

	if (sync_reader_new(&r, body, &limits, NULL) != SYNC_OK || sync_reader_header(r, &header, request, NULL) != SYNC_OK)
		return;
	while (kind != SYNC_FRAME_END)
		if (sync_reader_next(r, &arena, &kind, &record, &verdict, &end, &line, NULL) != SYNC_OK)
			return;
}

/* Numbers and escapes may be written in another way than they came, so the first writing is compared with the second. */
static void read_record(struct sync_view line)
{
	defer(sync_arena_clear) struct sync_arena arena = { 0 };
	defer(sync_buf_clear) struct sync_buf first = { .max = 1 << 20 }, second = { .max = 1 << 20 };
	struct sync_record r;
	struct sync_error err = { 0 };

	if (sync_record_read(&r, &arena, line, &limits, &err) != SYNC_OK) {
		CHECK(err.text[0]);
		return;
	}
	sync_record_write(&first, &r);
	CHECK(sync_record_read(&r, &arena, sync_buf_view(&first), &sync_default_limits, &err) == SYNC_OK);
	sync_record_write(&second, &r);
	CHECK(sync_view_eq(sync_buf_view(&first), sync_buf_view(&second)));
	if (r.extra.len > 0) {
		sync_buf_reset(&second);
		sync_json_merge(&second, r.extra, r.extra);
		CHECK(second.status == SYNC_OK);
	}
}

static void read_others(struct sync_view line)
{
	defer(sync_arena_clear) struct sync_arena arena = { 0 };
	struct sync_reading how = { .arena = &arena, .limits = &limits, .request = true };
	struct sync_header header;
	struct sync_verdict verdict;

	(void)sync_header_read(&header, line, &how, NULL);
	how.request = false;
	(void)sync_header_read(&header, line, &how, NULL);
	(void)sync_verdict_read(&verdict, line, &how, NULL);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	const char *p = (const char *)data, *end = p + len;

	read_message((struct sync_view){ p, len }, true);
	read_message((struct sync_view){ p, len }, false);
	while (p < end) {
		const char *newline = memchr(p, '\n', (size_t)(end - p));
		struct sync_view line = { p, (size_t)((newline ? newline : end) - p) };

		read_record(line);
		read_others(line);
		p += line.len + 1;
	}
	return 0;
}

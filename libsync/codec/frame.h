/** One frame at a time; sync_writer and sync_reader put them together. Inner header of codec. */
#ifndef SYNC_FRAME_H
#define SYNC_FRAME_H

#include <libsync/frame.h>

/** Everything that a frame's reader needs besides the frame. */
struct sync_reading {
	struct sync_arena *arena;
	const struct sync_limits *limits;
	bool request; /* which members a header has */
};

void sync_header_write(struct sync_buf *b, const struct sync_header *h, bool request);
enum sync_status sync_header_read(struct sync_header *ret, struct sync_view line, const struct sync_reading *how,
				  struct sync_error *err);

void sync_verdict_write(struct sync_buf *b, const struct sync_verdict *v);
enum sync_status sync_verdict_read(struct sync_verdict *ret, struct sync_view line, const struct sync_reading *how,
				   struct sync_error *err);

void sync_range_write(struct sync_buf *b, const struct sync_range *r);
enum sync_status sync_range_read(struct sync_range *ret, struct sync_view line, const struct sync_reading *how,
				 struct sync_error *err);

/** Length of the end frame from behind the last byte that its digest covers: 16 digits, quote, brace. */
enum { SYNC_END_DIGEST = 16, SYNC_END_TAIL = SYNC_END_DIGEST + 2 };

/** Up to the digest, which the caller adds with sync_end_seal(). */
void sync_end_write(struct sync_buf *b, const struct sync_end *end);
void sync_end_seal(struct sync_buf *b, uint64_t digest);
/** The digest is checked first. */
enum sync_status sync_end_read(struct sync_end *ret, struct sync_view line, uint64_t digest, const struct sync_reading *how,
			       struct sync_error *err);

#endif

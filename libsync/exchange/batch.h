/** A message read in batches of whole groups. Inner header of the exchange. */
#ifndef SYNC_BATCH_H
#define SYNC_BATCH_H

#include <libsync/frame.h>

/* Memory that whole groups, read to be worked on together, take: a group that is larger is read all the same. */
enum { SYNC_BATCH_BYTES = 8 << 20 };

/** Records of a message, as many as were asked for. Zeroed it is ready; its memory is kept between messages. */
struct sync_batch {
	struct sync_record *r; /* n of them, with lines[i] the text of r[i] */
	struct sync_view *lines;
	size_t n, cap;
	struct sync_arena arena;       /* what they borrow from: until the next read */
	struct sync_verdict *verdicts; /* all of the message so far: until the next open */
	size_t n_verdicts;
	struct sync_arena kept;
	struct sync_buf next; /* text of the record that opens the next group; empty: none was read */
	bool ended;           /* the message was whole, and no records follow */
	struct sync_end end;
};

/** Begin another message. */
void sync_batch_open(struct sync_batch *b);
/** Free the memory. */
void sync_batch_clear(struct sync_batch *b);

/**
 * Read on: until the end of the message, or the first end of a group after `enough` records or SYNC_BATCH_BYTES, or `most` records.
 *
 * @retval SYNC_EBADFRAME  anything wrong with the message
 */
enum sync_status sync_batch_read(struct sync_batch *b, struct sync_reader *reader, size_t enough, size_t most,
				 struct sync_error *err);

/** Read the rest of the message, keep nothing of it: whether it is whole and every frame well-formed. */
enum sync_status sync_batch_pass(struct sync_batch *b, struct sync_reader *reader, struct sync_error *err);

/** Whether two records belong to one group. */
bool sync_record_together(const struct sync_record *a, const struct sync_record *b);

#endif

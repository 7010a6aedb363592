/** A file of lines that several processes add to: what was added is durable and is never overwritten. Inner header. */
#ifndef SYNC_JOURNAL_H
#define SYNC_JOURNAL_H

#include <libsync/buf.h>
#include <libsync/error.h>

enum { SYNC_JOURNAL_LINE = 64 << 10, SYNC_JOURNAL_MAX = 256 << 20 }; /* bytes: of one line, of all */

/** An open one; nobody else writes until it is closed. */
struct sync_journal {
	const char *path;
	int fd;     /* -1: not open */
	size_t len; /* bytes when it was opened */
	size_t end; /* where the last line ends; what follows is what a crash left of an addition that was never reported as made */
};

/**
 * Open and lock it; a missing one is made, for its owner alone (0600). Whoever has it locked closes it within milliseconds and
 * waits for nothing else meanwhile.
 *
 * @param path  outlives the journal
 * @retval SYNC_EIO  it cannot be opened or made: the text has the path and why
 */
enum sync_status sync_journal_open(struct sync_journal *ret, const char *path, struct sync_error *err);
/** For defer(); a zeroed one that was never opened has to have fd -1. */
void sync_journal_close(struct sync_journal *j);

/** Append its lines to ret, without what follows the last one's end. */
enum sync_status sync_journal_read(const struct sync_journal *j, struct sync_buf *ret, struct sync_error *err);
/** Whether a short text stands in its lines; takes no memory, however many there are. */
enum sync_status sync_journal_has(const struct sync_journal *j, struct sync_view text, bool *ret, struct sync_error *err);
/** Add lines, each with its end, after the last one; durable when it returns SYNC_OK, and not there when it fails. */
enum sync_status sync_journal_add(struct sync_journal *j, struct sync_view lines, struct sync_error *err);
/** Put other content in its place, all of it or nothing. Whoever is not the file's owner leaves it as it is. */
enum sync_status sync_journal_replace(const struct sync_journal *j, struct sync_view content, struct sync_error *err);

#endif

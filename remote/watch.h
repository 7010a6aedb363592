/* Whether the files of a database change, told by the kernel. */
#ifndef WATCH_H
#define WATCH_H

#include <libsync/error.h>
#include <stdbool.h>
#include <stdint.h>

struct watch {
	int fd;
	char name[256]; /* of the database's file; those that begin with it are watched */
};

/** Watch the folder of the database, since -wal comes and goes. @retval SYNC_EIO  the kernel has no watches left */
enum sync_status watch_open(struct watch *ret, const char *file, struct sync_error *err);
void watch_close(struct watch *w);
/** Wait until a file changes, for at most ms, or until a signal. */
bool watch_wait(struct watch *w, int64_t ms);
/** Forget what has changed so far. */
void watch_drain(struct watch *w);

#endif

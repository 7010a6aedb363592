/** Files that are to be durable, whole and for their owner alone. Inner header. */
#ifndef SYNC_FILE_H
#define SYNC_FILE_H

#include <libsync/buf.h>
#include <libsync/error.h>
#include <stdbool.h>

enum { SYNC_PATH = 4096 };

/** errno as a failure with the path, as sync_status_of_errno() names it. */
enum sync_status sync_file_failed(const char *path, struct sync_error *err);
/** For defer(): close a file descriptor that is not -1. */
void sync_fd_close(const int *fd);
/** Write all of it. @param path  for the text of a failure */
enum sync_status sync_fd_write(int fd, const char *path, struct sync_view data, struct sync_error *err);
/** Whether that name leads to this file: it may have been replaced while its lock was waited for. */
bool sync_fd_is(int fd, const char *path);
/** The name of a file is as durable as its folder: make it so. */
enum sync_status sync_file_named(const char *path, struct sync_error *err);

/** A file on its way: PATH.part (0600) until it is whole. */
struct sync_part {
	const char *path;
	char name[SYNC_PATH];
	int fd; /* -1: none */
};
/**
 * Begin it, instead of what an earlier attempt has left.
 *
 * @param path  outlives it
 * @retval SYNC_EBUSY  somebody else is writing it
 */
enum sync_status sync_part_open(struct sync_part *ret, const char *path, struct sync_error *err);
/** It is whole: durable under its name, in place of what had that name. */
enum sync_status sync_part_finish(struct sync_part *p, struct sync_error *err);
/** For defer(): forget it unless it is finished. It has to have fd -1 when it was never opened. */
void sync_part_close(struct sync_part *p);

#endif

/** Files of one test program, in a folder of its own. */
#ifndef TESTS_FOLDER_H
#define TESTS_FOLDER_H

#include "test.h"

#include <libsync/buf.h>

/** Set-up and tear-down of a group. */
int folder_make(void **state);
int folder_drop(void **state);
/** A name in it; one of eight that are good at the same time. */
const char *folder_path(const char *name);
/** Append the whole of a file; it must fit. */
void file_read(struct sync_buf *ret, const char *name);
void file_write(const char *name, struct sync_view v);

#endif

/* A table of text for people: columns as wide as their widest cell. */
#ifndef CENTRAL_TABLE_H
#define CENTRAL_TABLE_H

#include <libsync/buf.h>
#include <stdint.h>

struct table {
	struct sync_buf text;  /* cells, each with a NUL */
	size_t columns, cells;
};

/** Begin with the heads of the columns, a NULL-ended list. */
void table_open(struct table *t, const char *const *heads);
/** The next cell; empty ones show as "-". */
void table_text(struct table *t, const char *text);
void table_int(struct table *t, int64_t i);
/** A time, or "never". */
void table_time(struct table *t, int64_t at_us);
/** Append the lines, without the last one's end. */
void table_write(const struct table *t, struct sync_buf *ret);
void table_clear(struct table *t);

#endif

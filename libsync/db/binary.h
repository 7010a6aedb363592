/** Rows of a batch as PostgreSQL takes them in binary, and keys that come twice. Knows nothing of libpq. */
#ifndef SYNC_BINARY_H
#define SYNC_BINARY_H

#include <libsync/db.h>

/** Rows after which another has the same key: one INSERT cannot update a row twice. NULL rows: there are none. */
struct sync_shadows {
	unsigned char *rows;
};
enum sync_status sync_shadows_find(struct sync_shadows *s, const struct sync_table *t, const struct sync_value *v, size_t rows,
                                   struct sync_error *err);
void sync_shadows_clear(struct sync_shadows *s);
/** Whether this row is left out, for a later one counts. */
bool sync_shadowed(const struct sync_shadows *s, size_t row);

/** @retval SYNC_EINVALID  the text has a NUL character, which PostgreSQL cannot store */
enum sync_status sync_storable(struct sync_view text, struct sync_error *err);

/** Type of an array of a column's values, by PostgreSQL's number. */
uint32_t sync_array_oid(enum sync_type type);
/** One column of all rows as an array. */
enum sync_status sync_array_add(struct sync_buf *b, const struct sync_table *t, size_t column, const struct sync_value *v,
                                size_t rows, const struct sync_shadows *s, struct sync_error *err);

/** COPY in binary: begin, rows, end. */
void sync_copy_begin(struct sync_buf *b);
enum sync_status sync_copy_add(struct sync_buf *b, const struct sync_table *t, const struct sync_value *row,
                               struct sync_error *err);
void sync_copy_end(struct sync_buf *b);

#endif

/** Rows of a file as records: CSV or JSON lines, one at a time. Inner header of the exchange. */
#ifndef SYNC_ROWS_H
#define SYNC_ROWS_H

#include <libsync/frame.h>
#include <libsync/site.h>

/** One CSV cell as it stood in the file. */
struct sync_cell {
	size_t from, len; /* in struct sync_rows.text */
	bool quoted;
};

/** A file being read. */
struct sync_rows {
	const struct sync_entity *e;
	enum sync_format format;
	sync_read_fn *in;
	void *ctx;
	struct sync_buf chunk;   /* bytes read, from `at` on still to be looked at */
	size_t at;
	bool end;                /* nothing follows the chunk */
	int64_t next_line;       /* number of the line at which `at` stands */
	int64_t line;            /* number of the line at which the last row began */
	struct sync_buf text;    /* of that row, CSV: its cells one after another */
	size_t columns[SYNC_MAX_FIELDS]; /* CSV: index of each column's field */
	size_t n_columns;
	struct sync_cell cells[SYNC_MAX_FIELDS];
	size_t n_cells;
};

/**
 * Begin; of CSV the header line is read.
 *
 * @param ret  cleared with sync_rows_close(), also after a failure
 * @retval SYNC_EINVALID  a column that is no field of e, one given twice, or none for the id
 */
enum sync_status sync_rows_open(struct sync_rows *ret, const struct sync_entity *e, enum sync_format format, sync_read_fn *in,
                                void *ctx, struct sync_error *err);
void sync_rows_close(struct sync_rows *rows);

/**
 * The next row as a put with those fields that it has.
 *
 * @param arena      keeps what r borrows
 * @param ret_found  false: there was none
 * @retval SYNC_EINVALID  the text begins with "line N: " and names the field and the value
 */
enum sync_status sync_rows_next(struct sync_rows *rows, struct sync_arena *arena, struct sync_record *r, bool *ret_found,
                                struct sync_error *err);

#endif

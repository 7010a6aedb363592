/** What arrived and cannot be integrated yet, record by record. Inner header of db. */
#ifndef SYNC_INBOX_H
#define SYNC_INBOX_H

#include <libsync/db.h>

/** One record that waits; all borrowed. */
struct sync_inbox_row {
	int64_t source; /* site that sent it; 0 is central */
	struct sync_view entity, record_id, root_id;
	int64_t seq;
	struct sync_view frame;
	struct sync_view code, field;            /* field may be empty */
	struct sync_view needs_entity, needs_id; /* or empty */
	struct sync_view text;
	int64_t received_us;
};

/** Sees one row, which lasts until it returns. */
typedef enum sync_status sync_inbox_fn(void *ctx, const struct sync_inbox_row *row, struct sync_error *err);

/** Whether anything waits at all, of any source. */
enum sync_status sync_inbox_any(struct sync_db *db, bool *ret, struct sync_error *err);

/** Keep rows; one that is there already for its source and record is replaced. */
enum sync_status sync_inbox_put(struct sync_db *db, const struct sync_inbox_row *rows, size_t n, struct sync_error *err);

/** Take out all that waits of one source in groups of these roots. */
enum sync_status sync_inbox_take_roots(struct sync_db *db, int64_t source, const struct sync_view *roots, size_t n,
                                       sync_inbox_fn *fn, void *ctx, struct sync_error *err);
/** Take out what waits of one source of these records. */
enum sync_status sync_inbox_take(struct sync_db *db, int64_t source, struct sync_view entity, const struct sync_view *ids,
                                 size_t n, sync_inbox_fn *fn, void *ctx, struct sync_error *err);

/** Show what waits for one of these records, of any source: source, entity, record_id and root_id are set. */
enum sync_status sync_inbox_waiting_for(struct sync_db *db, struct sync_view entity, const struct sync_view *ids, size_t n,
                                        sync_inbox_fn *fn, void *ctx, struct sync_error *err);

/**
 * Show what may go on by now, whoever made it possible: what it names has come, or what named it has gone. As above.
 *
 * @param limit  rows at most; *ret_more tells that there were as many
 */
enum sync_status sync_inbox_ready(struct sync_db *db, int64_t limit, sync_inbox_fn *fn, void *ctx, bool *ret_more,
                                  struct sync_error *err);

/** Show what waits for no record: of a site, what waited for its own edits that central has integrated upto this seq; what was adopted. As above. */
enum sync_status sync_inbox_settled(struct sync_db *db, int64_t integrated, sync_inbox_fn *fn, void *ctx,
                                    struct sync_error *err);

#endif

/** The outbox' SQL: what each site holds or has still to receive, and the numbers of routing transactions. Inner header. */
#ifndef SYNC_OUTBOX_H
#define SYNC_OUTBOX_H

#include <libsync/db.h>
#include <libsync/frame.h>

/* In sync_outbox.site_id and .source. */
enum { SYNC_EVERYBODY = 0, SYNC_NOBODY = -1 };

/** One row of it. */
struct sync_outbox_row {
	int64_t site_id;
	const struct sync_entity *entity; /* NULL: this build does not know it */
	struct sync_view id;
	int64_t seq;
	enum sync_action action;
	int64_t source;
	struct sync_view root; /* data NULL: of no group */
	size_t key;            /* of sync_outbox_members(): place of the group's id */
};

/** Rows on their way into the outbox. Zeroed but for db and seq it is ready. */
struct sync_outbox_writer {
	struct sync_db *db;
	int64_t seq; /* highest given; the next row gets the next one */
	struct sync_value *values;
	size_t rows;
};
/** Add a row, whose seq is set here; what it borrows lives until the next flush. */
enum sync_status sync_outbox_add(struct sync_outbox_writer *w, const struct sync_outbox_row *row, struct sync_error *err);
/** Write what was added. */
enum sync_status sync_outbox_flush(struct sync_outbox_writer *w, struct sync_error *err);
void sync_outbox_clear(struct sync_outbox_writer *w);

/** Who has each of n records (P), or was told to drop it (X): rows of (index in ids, site, action), site 0 being every site. */
enum sync_status sync_outbox_holders(struct sync_db *db, const struct sync_entity *e, const struct sync_view *ids, size_t n,
				     sync_row_fn *fn, void *ctx, struct sync_error *err);

/** Sees one row, borrowed until it returns. */
typedef enum sync_status sync_outbox_fn(void *ctx, const struct sync_outbox_row *row, struct sync_error *err);

/** The rows of both streams above a position whose source is not skip, the site itself, in the order of seq, at most limit. */
enum sync_status sync_outbox_after(struct sync_db *db, int64_t site, int64_t skip, int64_t all_seq, int64_t own_seq, int64_t limit,
				   sync_outbox_fn *fn, void *ctx, struct sync_error *err);
/** Where both streams end, the site's own doing included; 0 when there is nothing. */
enum sync_status sync_outbox_newest(struct sync_db *db, int64_t site, int64_t *ret_all, int64_t *ret_own,
				    struct sync_error *err);
/** How many there are; when more than limit in one stream, limit of it. */
enum sync_status sync_outbox_count(struct sync_db *db, int64_t site, int64_t skip, int64_t all_seq, int64_t own_seq, int64_t limit,
				   int64_t *ret, struct sync_error *err);
/** Groups with a root of one entity. */
struct sync_outbox_groups {
	const struct sync_entity *root;
	const struct sync_view *ids; /* of n roots */
	size_t n;
	const struct sync_entity *after; /* of the first group only what comes behind this record; NULL: all of it */
	struct sync_view after_id;
};
/**
 * The first rows of one stream above seq that belong to groups: by place in ids, the root before its children, then by entity and
 * id; of one record, which may be there more than once, the newest row first.
 */
enum sync_status sync_outbox_members(struct sync_db *db, int64_t site_id, int64_t seq, const struct sync_outbox_groups *g,
				     int64_t limit, sync_outbox_fn *fn, void *ctx, struct sync_error *err);
/** How many rows of one stream above seq belong to a group, counted as above, and the newest of them; none of a source. */
enum sync_status sync_outbox_group(struct sync_db *db, int64_t site_id, int64_t seq, const struct sync_entity *root,
				   struct sync_view id, int64_t except, int64_t *ret_rows, int64_t *ret_newest,
				   struct sync_error *err);

/** The newest routing transaction: its highest seq, its id and its number; zeros before the first. */
enum sync_status sync_routing_newest(struct sync_db *db, struct sync_checkpoint *ret, struct sync_error *err);
/** Record a routing transaction, and from time to time forget those that nothing needs any more, and tombstones. */
enum sync_status sync_routing_put(struct sync_db *db, int64_t seq, int64_t ordinal, int64_t now_us, struct sync_error *err);
/** The id of the routing transaction that gave seq; empty for 0 and when it is not known. */
enum sync_status sync_routing_id(struct sync_db *db, int64_t seq, char ret[static SYNC_CHECKPOINT_ID + 1],
				 struct sync_error *err);
/** Whether there is a routing transaction of a place's id, and the place is not beyond it; or the place is the beginning. */
enum sync_status sync_routing_known(struct sync_db *db, const struct sync_checkpoint *at, bool *ret, struct sync_error *err);

#endif

/** What a site has still to push, as whole groups. Inner header of the exchange. */
#ifndef SYNC_PENDING_H
#define SYNC_PENDING_H

#include <libsync/db.h>
#include <libsync/frame.h>

/** A set of sequence numbers (above 0). Zeroed it is empty. */
struct sync_seqs {
	int64_t *slots;
	size_t cap, n;
};
bool sync_seqs_has(const struct sync_seqs *s, int64_t seq);
enum sync_status sync_seqs_add(struct sync_seqs *s, int64_t seq, struct sync_error *err);
void sync_seqs_clear(struct sync_seqs *s);

/** One row of the changelog. */
struct sync_change {
	const struct sync_entity *entity; /* NULL: no longer declared */
	struct sync_view name, id, root, old_root, base;
	enum sync_action action;
	int64_t seq, at_us;
};

/**
 * Changes in the order in which they are sent. They come in clusters, each one group, or several between which a record moved:
 * those go together.
 */
struct sync_pending {
	struct sync_change *row;
	size_t n, cap;
	size_t *end; /* end[i]: rows before the end of cluster i */
	size_t n_clusters, cap_clusters;
	int64_t *scanned; /* the seqs that were looked at, ascending */
	size_t n_scanned, cap_scanned;
	bool all; /* nothing pending is missing here */
	struct sync_seqs taken;
	struct sync_arena arena;
};
void sync_pending_clear(struct sync_pending *p);

/**
 * Read what is pending, the oldest first: clusters until the next would make more than `most` rows; one there is in any case.
 *
 * @param db     in a transaction of the caller
 * @param after  the seq upto which central has everything
 * @param sent   central has these as well
 */
enum sync_status sync_pending_read(struct sync_pending *p, struct sync_db *db, int64_t after, size_t most,
				   const struct sync_seqs *sent, struct sync_error *err);

/** The largest seq such that every change at or below it is at or below `after`, in `sent`, or among the first n rows. */
enum sync_status sync_pending_upto(const struct sync_pending *p, size_t n, int64_t after, const struct sync_seqs *sent,
				   int64_t *ret, struct sync_error *err);

#endif

/** A site as central's side of an exchange sees it: its row, and what is known of it between two writes. Inner header. */
#ifndef SYNC_PEER_H
#define SYNC_PEER_H

#include <libsync/db.h>
#include <libsync/frame.h>

/** Its row in sync_site. */
struct sync_peer {
	int64_t site_id;
	struct sync_checkpoint in; /* newest stored */
	int64_t highest, integrated;
	int64_t spooled;         /* messages */
	struct sync_position at; /* what it said that it holds */
	int64_t verdict, verdict_seen;
	int64_t unpushed;
	int64_t last_seen_us; /* 0: never */
	bool loaded, lapsed;
	struct sync_checkpoint offered; /* messages of its offers that were taken, and the id of the offering */
	char branch[SYNC_BRANCH + 1]; /* of the last stored push */
	char rival[SYNC_BRANCH + 1], stopped[SYNC_BRANCH + 1]; /* of copies; or empty */
};

/**
 * Read it.
 *
 * @param lock  keep others from writing it until the end of the transaction, which is a write transaction
 * @retval SYNC_ENOTFOUND  no such site
 */
enum sync_status sync_peer_get(struct sync_db *db, int64_t site_id, bool lock, struct sync_peer *ret, struct sync_error *err);

/** Write what a request says of the site itself: positions, verdicts, what it still has, versions; in the caller's transaction.
 */
enum sync_status sync_peer_note(struct sync_db *db, int64_t site_id, const struct sync_header *h, int64_t now_us,
				struct sync_error *err);

/** Whether who asks is not stopped as a copy. @retval SYNC_ECOPIED  it is: the text says what to do */
enum sync_status sync_peer_admit(const struct sync_peer *p, const char *branch, struct sync_error *err);

/** Whether what a request says that it holds was ever given here: enum sync_loss. With a loss nothing of it is to be kept. */
enum sync_status sync_peer_check(struct sync_db *db, const struct sync_peer *p, const struct sync_header *h,
				 int *ret_loss, struct sync_error *err);
/** The same of a position alone. */
enum sync_status sync_peer_check_position(struct sync_db *db, const struct sync_peer *p, const struct sync_position *at,
					  int *ret_loss, struct sync_error *err);

/**
 * Requests that wrote nothing, of all servers of this process on one database; thread-safe. What is in it is lost with the
 * process, and said again by the next request.
 */
struct sync_seen;
/** The one of that database; released as often as it was opened. NULL when memory is out. */
struct sync_seen *sync_seen_open(const char *url);
/** NULL does nothing. */
void sync_seen_release(struct sync_seen *s);
/** A request was answered. dirty: nothing of it was written. */
enum sync_status sync_seen_put(struct sync_seen *s, int64_t site_id, const struct sync_header *h, int64_t now_us, bool dirty,
			       struct sync_error *err);
/** When the site was last seen and what it then had left, if that is newer than the row says. */
void sync_seen_get(struct sync_seen *s, struct sync_peer *peer);
/** Write what is dirty. */
enum sync_status sync_seen_flush(struct sync_seen *s, struct sync_db *db, struct sync_error *err);

#endif

/** Central's half of a verification. Inner header of the exchange; the site's is in libsync/exchange.h. */
#ifndef SYNC_VERIFY_H
#define SYNC_VERIFY_H

#include <libsync/db.h>
#include <libsync/frame.h>

/**
 * Answer the ranges of a request that compares: those that differ, in smaller ranges.
 *
 * @param db      in a read transaction
 * @param reader  its header was read
 * @param w       the answer's header is written; the caller ends it
 * @retval SYNC_EBADFRAME  what was written is to be forgotten
 */
enum sync_status sync_verify_compare(struct sync_db *db, int64_t site, int schema, struct sync_reader *reader,
				     struct sync_writer *w, struct sync_error *err);

/**
 * Answer a request that repairs, in a write transaction: let the router send the site what it should have, and say of each
 * record what happens to it.
 *
 * @param at  what the site holds
 */
enum sync_status sync_verify_repair(struct sync_db *db, int64_t site, const struct sync_position *at,
				    struct sync_reader *reader, struct sync_writer *w, struct sync_error *err);

/** Keep what a site reports, in a write transaction. */
enum sync_status sync_verify_note(struct sync_db *db, int64_t site, struct sync_reader *reader, int64_t now_us,
				  struct sync_error *err);

/** At a site: whether a verification that central, or healing, asked for is due; that it was asked for, or has been answered; not within the next hour. */
enum sync_status sync_verify_asked(struct sync_db *db, bool *ret, struct sync_error *err);
enum sync_status sync_verify_put_off(struct sync_db *db, struct sync_error *err);
enum sync_status sync_verify_asked_set(struct sync_db *db, bool asked, struct sync_error *err);

/* What a report says of an entity. */
extern const char sync_verify_equal[];

/* What a repair says of a record. */
extern const char sync_verify_sent[];  /* central's version comes with an ordinary pull, or a delete or drop */
extern const char sync_verify_yours[]; /* the site's version counts: it is to be put up again */
extern const char sync_verify_moving[];/* what changed it is on its way */
extern const char sync_verify_waits[]; /* the site's edit waits at central */

/* What a site says of a record. */
extern const char sync_verify_missing[], sync_verify_extra[], sync_verify_differs[];

#endif

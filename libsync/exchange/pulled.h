/** What a site received, answer by answer: the log from which it is offered when central has lost it. Inner header of the exchange. */
#ifndef SYNC_PULLED_H
#define SYNC_PULLED_H

#include <libsync/db.h>
#include <libsync/frame.h>

/**
 * An answer has moved the place, or brought records: note both, in the transaction that does so. The newest 4096 rows, with at
 * most a million records, are complete; of older ones the places are thinned as checkpoints are.
 *
 * @param at  what is held after it
 * @param r   n records; NULL: they are in body
 */
enum sync_status sync_pulled_put(struct sync_db *db, const struct sync_position *at, const struct sync_record *r, size_t n,
				 struct sync_view body, struct sync_error *err);

/** The places to ask for, newest first, in an arena: as many as the rule keeps. */
enum sync_status sync_pulled_places(struct sync_db *db, struct sync_arena *arena, const struct sync_position **ret, size_t *ret_n,
				    struct sync_error *err);

/**
 * The row of a place.
 *
 * @param ret_n      0: there is none
 * @param ret_whole  what was received behind it is known, record by record
 */
enum sync_status sync_pulled_find(struct sync_db *db, const struct sync_position *at, int64_t *ret_n, bool *ret_whole,
				  struct sync_error *err);

/** Sees one record of a row; action as it was received, seq as central had it. */
typedef enum sync_status sync_pulled_fn(void *ctx, struct sync_view entity, struct sync_view id, enum sync_action action,
					int64_t seq, struct sync_error *err);

/** Take the oldest row above n out of the log, in the caller's transaction. *ret_found false: there is none. */
enum sync_status sync_pulled_take(struct sync_db *db, int64_t n, sync_pulled_fn *fn, void *ctx, bool *ret_found,
				  struct sync_error *err);

#endif

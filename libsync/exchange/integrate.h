/** From what arrived to the entity tables: groups, rights, references, conflicts, the inbox. Inner header of the exchange. */
#ifndef SYNC_INTEGRATE_H
#define SYNC_INTEGRATE_H

#include <libsync/db.h>
#include <libsync/exchange.h>
#include <libsync/frame.h>

/** What is being integrated, and under which rules. */
struct sync_intake {
	int64_t source;       /* site that sent it; 0: central sent it to this site */
	int64_t now_us;       /* time of receipt */
	int64_t last_seen_us; /* source's last exchange: no edit of it is older (0: unknown) */
	int64_t integrated;   /* at a site: seq upto which central has integrated our edits */
	const struct sync_position *at; /* at central: all upto here was applied at the site when it made its edits; NULL: unknown */
	const char *branch;   /* of the source */
};

/** What came of it: records, added to what is there. Applied ones may have waited before; waiting ones have come now. */
struct sync_outcome {
	int64_t applied, waiting, refused, conflicts;
	int64_t arriving, deciding; /* how many more rows of the source wait: for something to arrive (or fewer), for a person */
};

/**
 * Integrate whole groups: records that follow each other with the same root entity and root id are one group.
 *
 * What can be applied is (puts in integration order, deletes and drops in reverse); a group with a record that cannot be is put
 * into the inbox as a whole with the reason, joined with what of the same group waits there already; at central, what its sender
 * may not do is quarantined (sync_waiting) and central's own version is sent again; verdicts are numbered for the sender.
 * What waited for something that arrives here is retried in the same call, until nothing more can be applied or some thousand
 * records were looked at; sync_integrate_waiting() finds the rest.
 *
 * @param db     in a write transaction of the caller
 * @param r      n records in the order received; lines[i] is r[i]'s frame as text, for the inbox
 * @see design.md, invariants 2, 5, 7, 8; section 7
 */
enum sync_status sync_integrate(struct sync_db *db, const struct sync_intake *in, const struct sync_record *r,
                                const struct sync_view *lines, size_t n, struct sync_outcome *ret, struct sync_error *err);

/**
 * Retry what waits in the inbox of any source and whose reason has gone, whoever made it go; in the caller's write transaction.
 * A site also lets go here of what waited for its own edits, once central has integrated them.
 *
 * @param limit     records after which it ends
 * @param ret_more  whether there may be more
 */
enum sync_status sync_integrate_waiting(struct sync_db *db, int64_t now_us, int64_t limit, bool *ret_more,
                                        struct sync_error *err);

/**
 * Apply records to the tables with echo marks: what triggers capture carries source. References, rights and conflicts are the
 * caller's. Used by the integrator and by waiting_accept (source 0: captured as central's own edit).
 *
 * @param fresh  per record: it was judged as one that is not there; NULL: of none is known
 * @retval SYNC_EBUSY  one that was not there is there by now
 */
enum sync_status sync_apply(struct sync_db *db, int64_t source, const struct sync_record *const *r, const bool *fresh, size_t n,
                            struct sync_error *err);

/**
 * Central: whether what a push of a site left waiting has room, in its transaction.
 *
 * @param o     what came of the push; NULL: nobody knows yet
 * @param last  the site has nothing else to push: what waits does not wait for that
 * @param most  rows that may wait for something to arrive, and for a person; 0: any number
 * @retval SYNC_EFULL  it has not: nothing of the push is to be kept
 */
enum sync_status sync_waiting_check(struct sync_db *db, int64_t site, const struct sync_outcome *o, bool last, int64_t most,
                                    struct sync_error *err);

/** Number a verdict for a site (central), in the caller's transaction. */
enum sync_status sync_verdict_add(struct sync_db *db, int64_t site, const char *kind, const struct sync_record *r,
                                  const char *code, const char *field, const char *text, int64_t now_us,
                                  struct sync_error *err);

/** Ask the router to send this site central's version of records, or their drop, whatever their source (central). */
enum sync_status sync_resend(struct sync_db *db, int64_t site, struct sync_view entity, const struct sync_view *ids, size_t n,
                             struct sync_error *err);
/** The same of records as the site has them: central need not have them, and yet they stay in their groups. */
enum sync_status sync_resend_records(struct sync_db *db, int64_t site, const struct sync_record *const *r, size_t n,
                                     struct sync_error *err);
/** Put deletes of what central does not have into the queue, as a trigger does with those of what it has. */
enum sync_status sync_queue_deletes(struct sync_db *db, int64_t source, const struct sync_record *const *r, size_t n,
                                    struct sync_error *err);

#endif

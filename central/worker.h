/* The thread that integrates what is spooled, routes, runs expansion jobs, and writes what requests left in memory. */
#ifndef CENTRAL_WORKER_H
#define CENTRAL_WORKER_H

#include <libsync/site.h>
#include <libsync/trouble.h>

struct worker;

/**
 * Start it on a handle of its own; it begins with whatever an earlier process left to do.
 *
 * @param guard  told what goes wrong; outlives the worker
 */
enum sync_status worker_start(struct worker **ret, struct sync_db *db, struct sync_guard *guard, struct sync_error *err);
/** Whether a file is damaged, so that nothing more may be written: the worker ends the process by SIGTERM. PostgreSQL decides itself. */
bool worker_is_to_end(struct sync_db *db, struct sync_guard *guard);
/** There is work. */
void worker_wake(struct worker *w);
/** There is work; wait until all that there is now is done, but at most ms. */
void worker_settle(struct worker *w, int64_t ms);
/** A request left something in memory that status shows: it is written about a second later. */
void worker_note(struct worker *w);
/** Remember an exchange, for status; when too many are waiting to be written, it is left out. */
void worker_log(struct worker *w, const struct sync_exchanged *x);
/** Finish the step under way, write what is in memory, end. NULL does nothing. */
void worker_stop(struct worker *w);

#endif

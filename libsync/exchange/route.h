/** From central's changelog to the outboxes, and the question which sites get a record. Inner header of the exchange. */
#ifndef SYNC_ROUTE_H
#define SYNC_ROUTE_H

#include <libsync/db.h>
#include <libsync/frame.h>

/** Ascending site ids without repetition; 0 means every site. */
struct sync_sites {
	int64_t *site;
	size_t n;
};

/**
 * Where each of n records of one entity goes by the routes, now. Bulk: a handful of statements for the whole batch.
 *
 * @param values  per record the routing values (sync_entity_routing order); NULL: nowhere
 * @param arena   keeps ret
 */
enum sync_status sync_route_sites(struct sync_db *db, const struct sync_entity *e, const struct sync_value *const *values, size_t n,
                                  struct sync_arena *arena, struct sync_sites *ret, struct sync_error *err);

/** Whether anything of an entity goes from central to sites: some kinds only go up. */
bool sync_route_down(const struct sync_entity *e);

/** Whether each of n full records (values of all fields) is due at site, now: it or "every site" is among its sites. */
enum sync_status sync_route_due(struct sync_db *db, int64_t site, const struct sync_record *r, size_t n, struct sync_arena *arena,
                                bool *ret, struct sync_error *err);

/**
 * At which site the owning store of each of n records is active (through the parent for children); 0: nowhere or no store.
 * Records of one entity; values of all fields.
 */
enum sync_status sync_route_owners(struct sync_db *db, const struct sync_entity *e, const struct sync_record *r, size_t n,
                                   struct sync_arena *arena, int64_t *ret, struct sync_error *err);

/**
 * One routing step inside the caller's write transaction: take up to limit rows of the queue, write outbox rows with new seqs and
 * one random id for this transaction, start expansion jobs. With PostgreSQL the caller holds the router's advisory lock.
 * Also effects of changes to stores: sync_store follows store.site_id (moves wait, see stores.h).
 *
 * @param ret_more  whether the queue still has rows
 */
enum sync_status sync_route_step(struct sync_db *db, int64_t limit, bool *ret_more, struct sync_error *err);

/** Route all that is visible, outside any transaction: steps in transactions of their own; PostgreSQL: nothing if another process
 *  routes at this moment. Ends when a fresh snapshot shows none. */
enum sync_status sync_route(struct sync_db *db, struct sync_error *err);

/** The same, and what was committed before the call is routed when it returns: another process that routes is waited for. */
enum sync_status sync_route_all(struct sync_db *db, struct sync_error *err);
/** Whether anything waits to be routed. */
enum sync_status sync_route_queued(struct sync_db *db, bool *ret, struct sync_error *err);

/** Become the one that routes, until the transaction ends; false: another process does. SQLite: a write transaction is enough. */
enum sync_status sync_route_lock(struct sync_db *db, bool *ret, struct sync_error *err);

/** Run a bounded chunk of expansion jobs, in a transaction of its own. *ret_more: jobs are left. */
enum sync_status sync_route_job(struct sync_db *db, int64_t limit, bool *ret_more, struct sync_error *err);
/** Whether a job is left that concerns this site (a first load waits for it). */
enum sync_status sync_route_busy(struct sync_db *db, int64_t site, bool *ret, struct sync_error *err);
/** Start the jobs that bring a store's records to a site and take them from another (0: none); the caller's transaction. */
enum sync_status sync_route_store(struct sync_db *db, struct sync_view store_id, int64_t from, int64_t to, struct sync_error *err);

/** What a site asks a pull for. */
struct sync_ask {
	int64_t site;
	const struct sync_position *at; /* what it holds */
	const char *rest;               /* and of a group that goes on; empty: nothing */
	size_t want;                    /* bytes that suit the link */
	int64_t chunk_max;              /* records at most */
	bool echo;                      /* what it made itself, too */
	bool pushing;                   /* it has more to push */
};
/**
 * Central's part of a pull: write what is pending of a site into an answer, whole groups until about want bytes, or a part of one
 * that is too large.
 *
 * @param db        in a read transaction of the caller
 * @param w         begun by the caller, header and verdicts written
 * @param ret       position after it, records still to come, and of a group in parts from where it goes on and where the next does
 * @param ret_held  it ends before a group that is not wholly routed, or before a row that a job is about to change
 */
enum sync_status sync_pull_write(struct sync_db *db, const struct sync_ask *ask, struct sync_writer *w, struct sync_end *ret,
                                 bool *ret_held, struct sync_error *err);

/** Whether central knows the routing transactions that a position names (section 9). */
enum sync_status sync_pull_known(struct sync_db *db, const struct sync_position *at, bool *ret, struct sync_error *err);

/** The newest position of a site: what a first load is fixed at. */
enum sync_status sync_pull_newest(struct sync_db *db, int64_t site, struct sync_position *ret, struct sync_error *err);

/** Whether a first load may go on. @retval SYNC_EBUSY  jobs of the site are pending; err->retry_after_s */
enum sync_status sync_load_worked_out(struct sync_db *db, int64_t site, struct sync_error *err);
/**
 * Central's part of a first load: one page from load->entity and load->id on, in dependency order, current state, due records only;
 * null fields are left out. Sets the next token in ret->load (active false: that was the last page).
 */
enum sync_status sync_load_write(struct sync_db *db, int64_t site, const struct sync_load *load, size_t want, struct sync_writer *w,
                                 struct sync_end *ret, struct sync_error *err);
/** How many records a site's first load has at most. */
enum sync_status sync_load_total(struct sync_db *db, int64_t site, int64_t *ret, struct sync_error *err);

#endif

/** The registrations of sites, and where stores are, kept in a file besides central's database. Inner header of the exchange. */
#ifndef SYNC_REGISTRY_H
#define SYNC_REGISTRY_H

#include <libsync/db.h>

#include "base/journal.h"
#include "exchange/set.h"

/*
 * Rows of sync_site and sync_store have a revision, which rises with each change of what the file has of them. The line is durable
 * before the change is committed, so what the database says was never more than the file does, whichever backup it is of: of the
 * two, the higher revision is right.
 */

/** What a line says: a site, or where a store is. */
struct sync_registered {
	int64_t line;           /* its number in the file, from 1 */
	struct sync_view whole; /* the line with its end */
	int64_t revision;
	int64_t site_id;        /* of the site; of a store: where it is, 0: nowhere */
	struct sync_view store; /* empty: this is a site */
	struct sync_view name, secret, token, installation; /* empty: none */
	int64_t created_us, revoked_us;
};

/** All that a file says. Zeroed it is ready. */
struct sync_registry {
	struct sync_arena arena;
	struct sync_set set;        /* ("site" or "store", id): index in entry */
	struct sync_registered *entry; /* the highest revision of each; among equals the last */
	size_t n, cap;
	int64_t lines;
	bool cut;                   /* it ended within a line */
};

/** The newest entry of a site, or of a store; NULL: there is none. */
const struct sync_registered *sync_registered_site(const struct sync_registry *r, int64_t site_id);
const struct sync_registered *sync_registered_store(const struct sync_registry *r, struct sync_view store_id);

/**
 * Read all entries of an open file.
 *
 * @param instance  of the database, which the first line must name
 * @retval SYNC_EWRONGDB  another database's
 * @retval SYNC_EINVALID  a line that is no entry, or was altered: the text has path and number
 */
enum sync_status sync_registry_read(struct sync_registry *ret, const struct sync_journal *j, struct sync_view instance,
                                    struct sync_error *err);
void sync_registry_clear(struct sync_registry *r);

/** Append an entry as a line. */
enum sync_status sync_registered_line(struct sync_buf *b, const struct sync_registered *entry, struct sync_error *err);
/** Add lines to the file of a database, and first its first line when it has none. */
enum sync_status sync_registry_add(struct sync_db *db, struct sync_journal *j, struct sync_view lines, struct sync_error *err);
/** Leave only the newest entries when most are not. */
enum sync_status sync_registry_compact(const struct sync_registry *r, struct sync_db *db, const struct sync_journal *j,
                                       struct sync_error *err);

/** Add lines that a transaction noted; a sync_beside_fn. @retval SYNC_EIO, SYNC_EDISKFULL, SYNC_EREADONLY  not kept: the text says what to do */
enum sync_status sync_registry_write(struct sync_db *db, const char *path, struct sync_view lines, struct sync_error *err);

/*
 * Keep a change, in the caller's transaction, after the change with its higher revision; its line is written before the commit.
 * Nothing where the database has no such file.
 */

/** A site's registration as its row is now. */
enum sync_status sync_registry_keep_site(struct sync_db *db, int64_t site_id, struct sync_error *err);
/** Where a store is. */
enum sync_status sync_registry_keep_store(struct sync_db *db, struct sync_view store_id, int64_t site_id, int64_t revision,
                                          struct sync_error *err);

/**
 * Whose token nobody in the database has may be in the file, when the database was restored a moment ago: bring both together.
 *
 * @param ret_later  it is, and cannot be restored yet
 */
enum sync_status sync_registry_recall(struct sync_db *db, const char *token_hash, bool *ret_later, struct sync_error *err);

#endif

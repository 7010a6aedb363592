/** Bundles: an exchange in a file, sealed for one site. */
#ifndef LIBSYNC_BUNDLE_H
#define LIBSYNC_BUNDLE_H

#include <libsync/exchange.h>

/** What a command did with a bundle. */
struct sync_bundled {
	char kind[8];                       /* "load" and "news" of central, "edits" of a site */
	char site[128];
	char made_at[21];                   /* by the clock of whoever made it */
	int64_t messages, records;          /* in it */
	int64_t known;                      /* of the messages: they were here before */
	int64_t bytes;
};

/** What a file says of itself. @retval SYNC_EBADFRAME  no bundle @retval SYNC_EIO  it cannot be read */
enum sync_status sync_bundle_look(const char *path, struct sync_bundled *ret, struct sync_error *err);
/** Append it, as members of a JSON object. */
void sync_bundled_json(struct sync_buf *b, const struct sync_bundled *x);

/**
 * Central writes a file for a site: its first load, or what is new since what it said that it holds.
 *
 * @param db      central's, opened to change something
 * @param path    written when all of it is there; what it takes the place of is a bundle
 * @param secret  of a site that never registered: it is spent, and the file makes the site's installation; else NULL
 * @retval SYNC_EUNAUTHORIZED  a secret is needed, or is the wrong one
 * @retval SYNC_ETAKEN         a secret, but the site is at work already
 * @retval SYNC_EINVALID       path is there, and is no bundle
 */
enum sync_status sync_bundle_give(struct sync_db *db, const char *site, const char *path, const char *secret, struct sync_bundled *ret,
                                  struct sync_error *err);
/**
 * Central takes the edits of a site. What is altered, cut or for another is refused before anything is changed; what was here
 * before is passed over.
 *
 * @param waiting_max  as of sync_server_bound()
 * @param ret          as far as it got
 * @retval SYNC_EBADFRAME  no bundle, altered or cut short
 * @retval SYNC_EINVALID   of another kind, site or installation
 * @retval SYNC_EBASE      what it goes on from is not here
 */
enum sync_status sync_bundle_accept(struct sync_db *db, const char *path, int64_t waiting_max, struct sync_bundled *ret,
                                    struct sync_error *err);

/** A site writes its unpushed edits into a file; with none, it tells what the site holds. */
enum sync_status sync_bundle_pack(struct sync_db *db, const char *path, struct sync_bundled *ret, struct sync_error *err);
/**
 * A site takes what is new; failures as of sync_bundle_accept(). Interrupted, it goes on where it was.
 *
 * @param report  added to
 */
enum sync_status sync_bundle_take(struct sync_db *db, const char *path, const struct sync_options *o, struct sync_bundled *ret,
                                  struct sync_report *report, struct sync_error *err);
/** Who a new site is to be. */
struct sync_bundle_site {
	const char *secret; /* NULL: it registered before */
	const char *name;   /* NULL: as the file says */
	const char *url;    /* of central; NULL: none yet */
};
/** A new site registers with a file, if it has not, and loads from it. Interrupted, it goes on where it was. */
enum sync_status sync_bundle_init(struct sync_db *db, const char *path, const struct sync_bundle_site *site, const struct sync_options *o,
                                  struct sync_bundled *ret, struct sync_report *report, struct sync_error *err);

/** What was saved of a damaged database. */
struct sync_salvaged {
	struct sync_bundled bundle; /* its records are the edits that were saved */
	int64_t lost;               /* edits that are known, and of which the record cannot be read or sent */
	bool incomplete;            /* what names edits is damaged as well: there may have been others */
};
/** Sees an edit that is lost; borrowed until it returns. */
typedef enum sync_status sync_lost_fn(void *ctx, struct sync_view entity, struct sync_view id, const char *why, struct sync_error *err);
/**
 * Write what can still be read of the unpushed edits of a site's damaged database into a bundle for central. Nothing is written to
 * the database, and nobody may have it open; memory grows with the edits.
 *
 * @param file  of SQLite; its -wal is read as well
 * @param o     progress and stop count; may be NULL
 * @param fn    may be NULL
 * @retval SYNC_OK         the bundle is there; ret says what is not in it
 * @retval SYNC_ENOTFOUND  there is no such file, or it is of no site
 * @retval SYNC_EWRONGDB   it is central's
 * @retval SYNC_ECORRUPT   not even who the site is can be read
 */
enum sync_status sync_salvage(const char *file, const char *path, const struct sync_options *o, sync_lost_fn *fn, void *ctx,
                              struct sync_salvaged *ret, struct sync_error *err);

#endif

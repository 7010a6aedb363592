/* What is told about a site, for people and as JSON. */
#ifndef CENTRAL_REPORT_H
#define CENTRAL_REPORT_H

#include <libsync/site.h>

enum { MAX_REPORT = 64 << 20 };

/** All sites, gathered so that more can be asked about each. */
struct sites {
	struct sync_site *site;
	size_t n, cap;
};
enum sync_status sites_get(struct sync_db *db, struct sites *ret, struct sync_error *err);
/** A site's name; "central" for 0, "?" for one that is not there. */
const char *sites_name(const struct sites *s, int64_t site_id);
void sites_clear(struct sites *s);

/** "new" (not registered), "loading", "ok" or "revoked". */
const char *site_state(const struct sync_site *s);

/** The members of a site's JSON object: what is in its row, what is pending, its last exchange. */
enum sync_status site_show(struct sync_db *db, const struct sync_site *s, struct sync_buf *b, struct sync_error *err);

/** "40 up, 3 down, 2.1 KiB" or why it failed; size bytes. */
void exchanged_text(char *ret, size_t size, const struct sync_exchanged *x, bool found);

enum { PENDING_LIMIT = 10000 };
/** A number that was counted up to PENDING_LIMIT: "10000+" when there are more. */
void pending_text(char ret[static 24], int64_t n);

/** {"ok": true, …}: a report without more to tell. */
enum sync_status report_done(const char *key, const char *value, const char *text, bool json, struct sync_error *err);

#endif

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

/** "new" (not registered), "loading", "ok", "lapsed", "copied" or "revoked". */
const char *site_state(const struct sync_site *s);

/** What is told of a site besides its row. */
struct figures {
	int64_t pending;           /* counted up to PENDING_LIMIT */
	int64_t waiting, decisions;
	struct sync_exchanged last;
	bool exchanged;            /* there was one */
};
enum sync_status figures_get(struct sync_db *db, const struct sync_site *s, struct figures *ret, struct sync_error *err);

/** The members of a site's JSON object: what is in its row, and the figures. */
enum sync_status site_show(struct sync_db *db, const struct sync_site *s, struct sync_buf *b, struct sync_error *err);
struct table;
/** What a list shows of each that waits, from its site on. */
void waiting_cells(struct table *t, const struct sync_waiting *w);
/** For fn of sync_waiting_each(): append an object to the report in ctx, a struct sync_buf. */
enum sync_status waiting_json(void *ctx, const struct sync_waiting *w, struct sync_error *err);

/** "40 up, 3 down, 2000 bytes in, 900 out", or why it failed, in short where a column has to do; size bytes. */
void exchanged_text(char *ret, size_t size, const struct figures *f, bool brief);

enum { PENDING_LIMIT = 10000 };
/** A number that was counted up to PENDING_LIMIT: "10000+" when there are more. */
void pending_text(char ret[static 24], int64_t n);

/** {"ok": true, …}: a report without more to tell. */
enum sync_status report_done(const char *key, const char *value, const char *text, bool json, struct sync_error *err);

#endif

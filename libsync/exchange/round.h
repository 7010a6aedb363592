/** A round of a site whose pages are loaded. Inner header of the exchange. */
#ifndef SYNC_ROUND_H
#define SYNC_ROUND_H

#include <libsync/exchange.h>

/** Push, pull and integrate until nothing is left. @param o  with defaults filled in @param report  added to */
enum sync_status sync_round_run(struct sync_db *db, const struct sync_transport *t, const struct sync_options *o,
				struct sync_report *report, struct sync_error *err);

/** Integrate what is spooled. @param report  added to */
enum sync_status sync_round_drain(struct sync_db *db, const struct sync_link *link, const struct sync_options *o,
				  struct sync_report *report, struct sync_error *err);
/** What waited may have become possible. */
enum sync_status sync_round_retry(struct sync_db *db, struct sync_error *err);

/** What is left, for the report. */
enum sync_status sync_round_count(struct sync_db *db, struct sync_report *report, struct sync_error *err);

#endif

/** The halves of a first load. Inner header of the exchange. */
#ifndef SYNC_LOAD_H
#define SYNC_LOAD_H

#include <libsync/exchange.h>

/** The pages, from the token next on. @param o  with defaults filled in @param report  added to */
enum sync_status sync_load_pages(struct sync_db *db, const struct sync_transport *t, const struct sync_options *o,
				 struct sync_report *report, struct sync_load *next, struct sync_error *err);
/** What changed meanwhile is here: look at references, and the site is operational. */
enum sync_status sync_load_ready(struct sync_db *db, struct sync_report *report, struct sync_error *err);

#endif

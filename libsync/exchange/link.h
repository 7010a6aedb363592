/** What the site's row says besides struct sync_link: its first load. Inner header of the exchange. */
#ifndef SYNC_LINK_H
#define SYNC_LINK_H

#include <libsync/exchange.h>

/** How far a first load is. */
enum sync_stage {
	SYNC_LOADING,  /* pages, from the token on */
	SYNC_CATCHING, /* pages are over: what changed meanwhile is pulled */
	SYNC_READY,    /* operational */
};

/** Read the stage, and while pages are loaded the token of the next one (all zero but .active before the first). */
enum sync_status sync_stage_get(struct sync_db *db, enum sync_stage *ret, struct sync_load *ret_next, struct sync_error *err);
/** Keep the token of the next page, in the caller's transaction. */
enum sync_status sync_stage_next(struct sync_db *db, const struct sync_load *next, struct sync_error *err);
/** The last page is applied: ordinary pulls go on from H; in the caller's transaction. */
enum sync_status sync_stage_catch(struct sync_db *db, const struct sync_load *last, struct sync_error *err);
/** The site is operational; in the caller's transaction. */
enum sync_status sync_stage_ready(struct sync_db *db, struct sync_error *err);

/** The options with every default filled in. */
struct sync_options sync_options_of(const struct sync_options *o);
/** What all requests of a site have in common. */
struct sync_header sync_link_header(const struct sync_link *link);
/** SYNC_EBUSY when the caller asked to stop. */
enum sync_status sync_stopped(const struct sync_options *o, struct sync_error *err);

#endif

/* What commands that exchange have in common. */
#ifndef ROUND_H
#define ROUND_H

#include <libsync/log.h>

#include "link_http.h"

/** An open site with its link to central. */
struct session {
	struct site site;
	struct sync_link link;
	struct link_http http;
	char ca_file[4096]; /* of the link; empty: the system's authorities */
	struct sync_progress progress;
	struct sync_options options; /* borrows from the session: do not copy it */
};
/** Open the site and its link. @retval SYNC_ENOTFOUND  it is not registered @retval SYNC_EBUSY  its first load is not over */
enum sync_status session_open(struct session *ret, const struct sync_call *call, struct sync_error *err);
/**
 * Open the link by the settings, and by what was kept of earlier ones.
 *
 * @param token  NULL: the site is not registered yet
 */
enum sync_status session_connect(struct session *s, const struct remote_settings *settings, const char *token, struct sync_error *err);
/** Keep the authority that a setting names, as the link's address is kept: later commands need not name it. */
enum sync_status session_keep_authority(struct session *s, const struct remote_settings *settings, struct sync_error *err);
/** Options that show progress and end on a signal. */
void session_options(struct session *s);
void session_close(struct session *s);

/** One round, kept for status unless it found nothing to do and all was well before. */
enum sync_status session_round(struct session *s, struct sync_report *ret, struct sync_error *err);

/** Wait for some time, or until a signal. @retval SYNC_EBUSY  a signal */
enum sync_status wait_ms(int64_t ms, struct sync_error *err);

/** Append what a round did, as members of a JSON object. */
void report_json(struct sync_buf *b, const struct sync_report *r, const struct session *s);

#endif

/** What this installation has chosen, for those that follow routes. Inner header of the exchange. */
#ifndef SYNC_OPTION_H
#define SYNC_OPTION_H

#include <libsync/db.h>
#include <libsync/entity.h>

/**
 * The value that an option has now, or its first one; one look-up by key. It is read wherever routes are followed, and kept
 * nowhere, so that all processes on a database agree: who sets it waits until nobody routes.
 *
 * @param option  its name, or NULL
 * @param ret     as declared; NULL for NULL
 */
enum sync_status sync_option_value(struct sync_db *db, const char *option, const char **ret, struct sync_error *err);

#endif

/** What waits for a person, inside a transaction of the caller. Inner header of the exchange. */
#ifndef SYNC_WAITING_H
#define SYNC_WAITING_H

#include <libsync/db.h>

/** Accept one if it is possible by now. *ret_done false: it is not, and nothing was changed. */
enum sync_status sync_waiting_try(struct sync_db *db, int64_t id, bool *ret_done, struct sync_error *err);

#endif

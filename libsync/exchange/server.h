/** Central's side of requests that do not come over a line. Inner header of the exchange. */
#ifndef SYNC_SERVER_H
#define SYNC_SERVER_H

#include <libsync/exchange.h>

/**
 * Answer what a site would ask, whom the answer may reach later or never: nothing is noted of what the request says, and a site that
 * is loading is answered as one that is loaded.
 */
enum sync_status sync_server_recite(struct sync_server *s, int64_t site_id, struct sync_view body, struct sync_view *ret,
                                    struct sync_error *err);

/**
 * Take a request that was under way for long.
 *
 * @param follows  the newest checkpoint here, when the site has shown that what is pushed follows it, whatever its base is; or NULL
 */
enum sync_status sync_server_take(struct sync_server *s, int64_t site_id, struct sync_view body, const struct sync_checkpoint *follows,
                                  struct sync_error *err);

#endif

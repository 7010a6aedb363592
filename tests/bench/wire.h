/** HTTP as it is on the wire: a load of no-op rounds, an empty server as their floor, a relay that counts bytes. */
#ifndef BENCH_WIRE_H
#define BENCH_WIRE_H

#include <libsync/error.h>
#include <stddef.h>

/**
 * Send each site's no-op request again and again over a kept-alive connection of its own.
 *
 * @param sites   SQLite files of loaded sites, n of them: one connection each
 * @param ret     rounds per second
 */
enum sync_status wire_noop(int port, const char *const *sites, size_t n, double seconds, double *ret, struct sync_error *err);

/** Serve POST on a free port with an empty handler that answers as many bytes as a no-op round; prints the port; until killed. */
enum sync_status wire_empty(size_t answer_bytes, struct sync_error *err);

/** Pass everything on between a free port and port; prints the port at once and "in=… out=…" when its standard input ends. */
enum sync_status wire_relay(int port, struct sync_error *err);

#endif

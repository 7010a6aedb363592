/** Other processes as they are measured: an application that works while a site integrates, and the peak memory of a command. */
#ifndef BENCH_PROCESS_H
#define BENCH_PROCESS_H

#include <libsync/error.h>

/**
 * 20 one-row transactions a second on a site's file until a process has ended, as an application makes them: BEGIN IMMEDIATE,
 * busy_timeout 1000. Prints {"transactions": n, "failed": n, "p50_ms": x, "p99_ms": x, "max_ms": x}.
 */
enum sync_status process_application(const char *file, int pid, struct sync_error *err);

/** Run a command and print {"peak_kib": n} after what it printed. */
enum sync_status process_peak(char **command, struct sync_error *err);

#endif

/** Floors: what the bare packages need for the same rows, with nothing of sync. Each prints seconds. */
#ifndef BENCH_FLOOR_H
#define BENCH_FLOOR_H

#include <libsync/error.h>

/** The rows of a loaded site by prepared upserts into the same tables and indices of a new file, no triggers, one transaction. */
enum sync_status floor_load(const char *site, const char *out, double *ret_s, struct sync_error *err);
/** The invoice lines of a site by prepared upserts into a copy of central's file, with an append-only log row each, one transaction. */
enum sync_status floor_take_sqlite(const char *site, const char *central, double *ret_s, struct sync_error *err);
/** The same with PostgreSQL: COPY to a temporary table, upsert, append-only log. */
enum sync_status floor_take_postgres(const char *site, const char *conninfo, double *ret_s, struct sync_error *err);

#endif

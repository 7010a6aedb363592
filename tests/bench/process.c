#include "process.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <sqlite3.h>

#include <libsync/time.h>

#include "base/internal.h"

enum { EVERY_US = 50 * 1000, MOST = 1 << 20 };

static int by_number(const void *a, const void *b)
{
	const double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

/* Milliseconds of one transaction, or -1 when it failed. */
static double transaction(sqlite3 *db, sqlite3_stmt *insert)
{
	const int64_t start = sync_tick_us();
	bool ok = sqlite3_exec(db, "BEGIN IMMEDIATE", NULL, NULL, NULL) == SQLITE_OK;

	if (!ok)
		return -1;
	ok = sqlite3_step(insert) == SQLITE_DONE;
	sqlite3_reset(insert);
	ok = sqlite3_exec(db, ok ? "COMMIT" : "ROLLBACK", NULL, NULL, NULL) == SQLITE_OK && ok;
	return ok ? (double)(sync_tick_us() - start) / 1e3 : -1;
}

static bool runs(int pid)
{
	char path[64], state = 'X';
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%d/stat", pid);
	f = fopen(path, "r");
	if (!f)
		return false;
	if (fscanf(f, "%*d %*s %c", &state) != 1)
		state = 'X';
	fclose(f);
	return state != 'Z' && state != 'X';
}

enum sync_status process_application(const char *file, int pid, struct sync_error *err)
{
	static double ms[MOST];
	size_t n = 0, failed = 0;
	sqlite3 *db = NULL;
	sqlite3_stmt *insert = NULL;

	if (sqlite3_open(file, &db) || sqlite3_busy_timeout(db, 1000) ||
	    sqlite3_prepare_v2(db,
	                       "INSERT INTO system_log(id, type, datetime, is_error)"
	                       " VALUES (lower(hex(randomblob(16))), 'PROCESSOR_ERROR', '2026-01-01T00:00:00', 0)",
	                       -1, &insert, NULL))
		return sync_fail(err, SYNC_EDB, "%s: %s", file, sqlite3_errmsg(db));
	for (int64_t next = sync_tick_us(); runs(pid) && n < MOST; next += EVERY_US) {
		const int64_t wait_us = next - sync_tick_us();
		double took;

		if (wait_us > 0)
			usleep((useconds_t)wait_us);
		took = transaction(db, insert);
		if (took < 0)
			failed++;
		else
			ms[n++] = took;
	}
	qsort(ms, n, sizeof(ms[0]), by_number);
	printf("{\"transactions\": %zu, \"failed\": %zu, \"p50_ms\": %.1f, \"p99_ms\": %.1f, \"max_ms\": %.1f}\n", n, failed,
	       n ? ms[n / 2] : 0, n ? ms[n * 99 / 100] : 0, n ? ms[n - 1] : 0);
	sqlite3_finalize(insert);
	sqlite3_close(db);
	return SYNC_OK;
}

enum sync_status process_peak(char **command, struct sync_error *err)
{
	const pid_t child = fork();
	struct rusage usage;
	int status;

	if (child == 0) {
		execv(command[0], command);
		_exit(127);
	}
	if (child < 0 || wait4(child, &status, 0, &usage) < 0)
		return sync_fail(err, SYNC_EIO, "%s: %s", command[0], strerror(errno));
	printf("{\"peak_kib\": %ld}\n", usage.ru_maxrss);
	return WIFEXITED(status) && WEXITSTATUS(status) == 0 ? SYNC_OK : sync_fail(err, SYNC_EIO, "%s: status %d", command[0], status);
}

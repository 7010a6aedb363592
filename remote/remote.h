/* What the files of remote share. */
#ifndef REMOTE_H
#define REMOTE_H

#include <libsync/command.h>
#include <libsync/exchange.h>
#include <libsync/settings.h>
#include <libsync/trouble.h>
#include <signal.h>

#include "base/internal.h"

struct remote_settings {
	const char *config, *database, *url, *site, *secret_file, *bundle, *ca_file;
	int64_t interval_ms, debounce_ms, idle_ms;
	bool allow_plain, json, dry_run;
};

/** Set by SIGTERM and SIGINT: ends between two transactions. */
extern volatile sig_atomic_t remote_stop;
/** Let SIGTERM and SIGINT set it. */
void remote_catch_signals(void);

/** A site's database, which no other remote may have open: the lock goes with the process. */
struct site {
	struct sync_db *db;
	char *file; /* of the database */
	int lock;
	struct sync_guard guard; /* kept in the lock file */
};
/** Whether the database's file is there. */
bool site_exists(const struct sync_call *call);
/** @param exclusive  false: only read, whoever has it @retval SYNC_EBUSY  another remote has it
 *  @retval SYNC_ECORRUPT  it is damaged, or was and still is */
enum sync_status site_open(struct site *ret, const struct sync_call *call, bool create, bool exclusive, struct sync_error *err);
/** Its file alone, unopened, while no other remote has it. @retval SYNC_EBUSY  another remote has it */
enum sync_status site_hold(struct site *ret, const struct sync_call *call, struct sync_error *err);
/** Close it; a zeroed one as well. */
void site_close(struct site *s);
/** Read the whole file when a week has gone by. @retval SYNC_ECORRUPT  it is damaged @retval SYNC_EBUSY  a signal */
enum sync_status site_check_weekly(struct site *s, struct sync_error *err);
/** What troubles the database's file: what whoever has it keeps, and what can be seen; up to 2. */
size_t site_troubles(const struct site *s, struct sync_trouble ret[static 2]);

sync_command_fn cmd_init, cmd_sync, cmd_run, cmd_status, cmd_show, cmd_verify, cmd_explain, cmd_bundle, cmd_accept, cmd_salvage;

#endif

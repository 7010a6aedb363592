/* What the files of central share. */
#ifndef CENTRAL_H
#define CENTRAL_H

#include <libsync/command.h>
#include <libsync/db.h>
#include <libsync/entity.h>
#include <libsync/error.h>
#include <libsync/settings.h>
#include <libsync/trouble.h>

#include "base/internal.h"

#define DAY_MS INT64_C(86400000)

struct central_settings {
	const char *config, *database, *registry, *listen, *tls_cert, *tls_key, *port_file, *format, *site, *secret_file;
	int64_t body_max, memory_max;                    /* bytes: of one request, of all that are being read */
	int64_t connections, exchanges, registrations;   /* at the same time */
	int64_t waiting_max;                             /* rows of one site, of either kind */
	int64_t after, limit;                            /* of a list: numbers above, rows */
	int64_t idle_ms, keep_alive_ms, busy_ms, keep_ms, wait_ms;
	struct sync_texts store;
	bool all, allow_plain, force, json, verbose;
};

/** Open central's database; create: a new one may be made. */
enum sync_status central_open(struct sync_db **ret, const struct sync_call *call, bool create, struct sync_error *err);

/**
 * The same, to change something: registrations are kept in the registry besides, and what the two lacked of each other is brought
 * over first.
 *
 * @retval SYNC_ECORRUPT  a SQLite file was found damaged, and still is
 */
enum sync_status central_edit(struct sync_db **ret, const struct sync_call *call, bool create, struct sync_error *err);
/** The file that whoever serves a SQLite database locks, beside it; empty for PostgreSQL. */
enum sync_status central_lock_name(const char *url, struct sync_buf *ret, struct sync_error *err);
/** What troubles a SQLite file: what whoever serves it keeps, and what can be seen. @return how many */
size_t central_troubles(const char *url, struct sync_trouble ret[static 2]);
/** Whoever serves PostgreSQL without a registry is told. */
void central_warn_of_no_registry(const struct central_settings *s);

/** How one thing that waits is decided. */
typedef enum sync_status decide_fn(struct sync_db *db, int64_t id, struct sync_error *err);
extern const char decided_accepted[], decided_discarded[]; /* texts for it */
/** Decide what the arguments number in "central LIST list", one after the other until one is impossible; see cmd_waiting.c. */
enum sync_status decide_each(const struct sync_call *call, const char *list, decide_fn *how, const char *what, struct sync_error *err);

sync_command_fn cmd_serve;
sync_command_fn cmd_site_add, cmd_site_list, cmd_site_show, cmd_site_reset, cmd_site_keep, cmd_site_revoke;
sync_command_fn cmd_store_move;
sync_command_fn cmd_option;
sync_command_fn cmd_recovered_list, cmd_recovered_accept, cmd_recovered_discard;
sync_command_fn cmd_waiting_list, cmd_waiting_accept, cmd_waiting_discard;
sync_command_fn cmd_import, cmd_export;
sync_command_fn cmd_bundle, cmd_accept;
sync_command_fn cmd_status, cmd_verify, cmd_explain;

#endif

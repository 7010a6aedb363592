#include "central.h"

#include <libsync/crypto.h>

#define AT(field) offsetof(struct central_settings, field)

static const char *const serve[] = { "serve", NULL };
static const char *const taking[] = { "serve", "accept", "status", NULL };
static const char *const bundle[] = { "bundle", NULL };
static const char *const site_add[] = { "site add", NULL };
static const char *const recovered_all[] = { "recovered accept", "recovered discard", NULL };
static const char *const recovered_list[] = { "recovered list", NULL };
static const char *const store_move[] = { "store move", NULL };
static const char *const explain[] = { "explain", NULL };
static const char *const verify[] = { "verify", NULL };
static const char *const files[] = { "import", "export", NULL };

static const struct sync_setting settings[] = {
	{ "config", AT(config), NULL, "FILE", "where settings are read from" },
	{ "database", AT(database), "sqlite:central.db", "URL", "where records live: sqlite:FILE or postgres:CONNINFO" },
	{ "registry", AT(registry), NULL, "FILE", "where registrations of sites are kept besides, out of reach of a restore; SQLite: beside "
	  "the database, FILE.sites" },
	{ "json", AT(json), .help = "report as JSON", .type = SYNC_SETTING_FLAG },
	{ "listen", AT(listen), "127.0.0.1:8440", "ADDR:PORT", "where sites reach central; port 0: any free one", serve },
	{ "port-file", AT(port_file), NULL, "FILE", "where the port is written once central listens", serve },
	{ "tls-cert", AT(tls_cert), NULL, "FILE", "certificate with its chain, PEM: central speaks HTTPS", serve },
	{ "tls-key", AT(tls_key), NULL, "FILE", "its key, PEM; not needed when the certificate's file has it", serve },
	{ "allow-plain", AT(allow_plain), NULL, NULL, "plain HTTP on other addresses than loopback", serve, SYNC_SETTING_FLAG },
	{ "body-max", AT(body_max), "9MiB", "BYTES", "of one request", serve, SYNC_SETTING_BYTES, 64 << 10, 256 << 20 },
	{ "memory-max", AT(memory_max), "256MiB", "BYTES", "of all requests that are being received", serve, SYNC_SETTING_BYTES, 1 << 20,
	  INT64_C(64) << 30 },
	{ "connections", AT(connections), "128", "N", "at the same time, each a thread", serve, SYNC_SETTING_NUMBER, 1, 4096 },
	{ "exchanges", AT(exchanges), "16", "N", "at the same time, each a database handle", serve, SYNC_SETTING_NUMBER, 1, 512 },
	{ "registrations", AT(registrations), "2", "N", "at the same time, each 19 MiB", serve, SYNC_SETTING_NUMBER, 1, 64 },
	{ "idle", AT(idle_ms), "30s", "TIME", "without a byte from a client until it is given up", serve, SYNC_SETTING_TIME, 100, 3600000 },
	{ "keep-alive", AT(keep_alive_ms), "5s", "TIME", "for which an idle connection is kept", serve, SYNC_SETTING_TIME, 10, 3600000 },
	{ "busy", AT(busy_ms), "2s", "TIME", "for which a request waits for its turn until it is told to come later", serve,
	  SYNC_SETTING_TIME, 1, 60000 },
	{ "waiting-max", AT(waiting_max), "10000", "N", "records of one site that wait for something to arrive, and as many edits of it that "
	  "wait for a person; beyond, its pushes that add to them are not taken", taking, SYNC_SETTING_NUMBER, 1, 100000000 },
	{ "keep", AT(keep_ms), "90d", "TIME", "in days, for which deletes and what is settled are kept; a site that is away longer shows all that it holds when it "
	  "comes back", serve,
	  SYNC_SETTING_TIME, DAY_MS, SYNC_KEEP_MOST * DAY_MS },
	{ "verbose", AT(verbose), .help = "log rounds that only found nothing new, too", .commands = serve, .type = SYNC_SETTING_FLAG },
	{ "store", AT(store), NULL, "ID", "a store of the new site; may be repeated", site_add, SYNC_SETTING_TEXTS },
	{ "site", AT(site), NULL, "NAME", "only this site, and why it has the record or not", explain },
	{ "all", AT(all), NULL, NULL, "accept: what needs no person to look at it; discard: everything", recovered_all, SYNC_SETTING_FLAG },
	{ "limit", AT(limit), "1000", "N", "records that are shown", recovered_list, SYNC_SETTING_NUMBER, 1, 50000 },
	{ "after", AT(after), "0", "ID", "those behind this number", recovered_list, SYNC_SETTING_NUMBER, 0, INT64_C(1) << 53 },
	{ "force", AT(force), NULL, NULL, "at once: what the old site has not pushed yet will be quarantined", store_move,
	  SYNC_SETTING_FLAG },
	{ "wait", AT(wait_ms), "0s", "TIME", "for the site's answer", verify, SYNC_SETTING_TIME, 0, 86400000 },
	{ "secret-file", AT(secret_file), NULL, "FILE", "with the one-time secret of a site that never registered; - is standard input", bundle },
	{ "format", AT(format), NULL, "csv|json", "of the file; else its name tells, and of a pipe it is CSV", files },
	{ 0 },
};

#define ENTITIES                                                                                                                \
	"Entities, such as name, store or item, and their fields: docs/entities.md, installed in share/doc/libsync-central. " \
	"`central export ENTITY` of an empty table prints its columns."

static const struct sync_command commands[] = {
	{ "serve", NULL, cmd_serve, "answer sites until SIGTERM" },
	{ "site add", "NAME", cmd_site_add, "create a site and print its one-time secret" },
	{ "site list", NULL, cmd_site_list, "all sites" },
	{ "site show", "NAME", cmd_site_show, "one site with its stores" },
	{ "site reset", "NAME", cmd_site_reset, "a new secret for a site whose machine was replaced" },
	{ "site keep", "NAME BRANCH", cmd_site_keep, "of two copies of a site's database, the one that lives on" },
	{ "site revoke", "NAME", cmd_site_revoke, "no exchange with this site any more" },
	{ "store move", "STORE SITE", cmd_store_move, "move a store to another site" },
	{ "option", "[NAME] [VALUE]", cmd_option, "what this installation has chosen; with a value, choose it" },
	{ "recovered list", NULL, cmd_recovered_list, "what central lost and sites have offered, after a restore" },
	{ "recovered accept", "[ID...]", cmd_recovered_accept, "apply it as central's own edit" },
	{ "recovered discard", "[ID...]", cmd_recovered_discard, "close it without effect" },
	{ "waiting list", NULL, cmd_waiting_list, "what waits for a person" },
	{ "waiting accept", "ID...", cmd_waiting_accept, "apply it as central's own edit" },
	{ "waiting discard", "ID...", cmd_waiting_discard, "close it without effect" },
	{ "verify", "SITE", cmd_verify, "how its last verification went, and ask for another" },
	{ "import", "ENTITY FILE", cmd_import, "records from CSV or JSON lines, all or none", "- is standard input. " ENTITIES },
	{ "export", "ENTITY", cmd_export, "records as CSV or JSON lines to standard output", ENTITIES },
	{ "explain", "ENTITY ID", cmd_explain, "a record's journey: who wrote it, who has it and why, what it waits for" },
	{ "bundle", "SITE FILE", cmd_bundle, "write a site's first load, or what is new for it, into a file" },
	{ "accept", "FILE", cmd_accept, "take a site's edits from a file that remote bundle wrote" },
	{ "status", NULL, cmd_status, "per site: last exchange, what is pending or waits" },
	{ 0 },
};

enum sync_status central_open(struct sync_db **ret, const struct sync_call *call, bool create, struct sync_error *err)
{
	static const struct sync_db_ops *const drivers[] = { &sync_postgres, &sync_sqlite, NULL };
	const struct central_settings *s = call->settings;
	enum sync_status status;

	TRY(sync_crypto_init(err));
	status = sync_db_open(ret, s->database, drivers, SYNC_CENTRAL, create, err);
	if (status == SYNC_ENOTFOUND)
		return sync_fail(err, status, "%s: central serve makes one; is --database or --config missing?", err->text);
	return status;
}

int main(int argc, char **argv)
{
	struct central_settings values = { 0 };
	const struct sync_program program = { "central", "the central server of libsync", settings, commands, &values };

	sync_sqlite_alone();
	return sync_command_main(&program, argc, argv);
}

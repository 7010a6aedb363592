#include "remote.h"

#include <stddef.h>

#define AT(field) offsetof(struct remote_settings, field)

static const char *const init[] = { "init", NULL };
static const char *const online[] = { "init", "sync", "run", "verify", NULL };
static const char *const run[] = { "run", NULL };
static const char *const verify[] = { "verify", NULL };

static const struct sync_setting settings[] = {
	{ "config", AT(config), NULL, "FILE", "where settings are read from" },
	{ "database", AT(database), "sqlite:site.db", "URL", "where records live: sqlite:FILE" },
	{ "json", AT(json), .help = "report as JSON", .type = SYNC_SETTING_FLAG },
	{ "url", AT(url), NULL, "URL", "central's address, such as https://central.example.org", online },
	{ "site", AT(site), NULL, "NAME", "which site this is, as central knows it", init },
	{ "secret-file", AT(secret_file), NULL, "FILE", "with the one-time secret that central site add printed; - is standard input", init },
	{ "bundle", AT(bundle), NULL, "FILE", "register and load from what central bundle wrote, instead of over the network", init },
	{ "ca-file", AT(ca_file), NULL, "FILE", "authority of central's certificate, PEM, kept by init; else the system's", online },
	{ "allow-plain", AT(allow_plain), NULL, NULL, "plain HTTP to other hosts than this machine", online, SYNC_SETTING_FLAG },
	{ "idle", AT(idle_ms), "2m", "TIME", "without a byte from central until the link counts as down", online, SYNC_SETTING_TIME, 1000,
	  3600000 },
	{ "interval", AT(interval_ms), "5m", "TIME", "between two rounds", run, SYNC_SETTING_TIME, 100, 86400000 },
	{ "debounce", AT(debounce_ms), "500ms", "TIME", "for which more edits are waited for after one", run, SYNC_SETTING_TIME, 1, 60000 },
	{ "dry-run", AT(dry_run), NULL, NULL, "list what differs and leave it", verify, SYNC_SETTING_FLAG },
	{ 0 },
};

static const struct sync_command commands[] = {
	{ "init", NULL, cmd_init, "register this site and load its records; repeated, it goes on" },
	{ "sync", NULL, cmd_sync, "one round now; succeeds only if everything went both ways" },
	{ "run", NULL, cmd_run, "rounds on an interval and after local edits, until SIGTERM" },
	{ "status", NULL, cmd_status, "last exchange, what is pending, waits or was refused" },
	{ "verify", "[ENTITY]", cmd_verify, "compare digests with central and repair what differs" },
	{ "explain", "ENTITY ID", cmd_explain, "a record's journey as this site knows it" },
	{ "bundle", "FILE", cmd_bundle, "write unpushed edits into a file for central accept" },
	{ "accept", "FILE", cmd_accept, "take what is new from a file that central bundle wrote" },
	{ "salvage", "FILE", cmd_salvage, "write what can be read of unpushed edits of a damaged database into a file for central accept",
	  "Nothing is written to the database. Stop remote and the applications that use it first. Exit code 1 also when some edits "
	  "are lost: FILE has the others, and each one that is lost is named." },
	{ "show", NULL, cmd_show, "the records that the next round would push, a JSON line each" },
	{ 0 },
};

int main(int argc, char **argv)
{
	struct remote_settings values = { 0 };
	const struct sync_program program = { "remote", "a site of libsync", settings, commands, &values };

	sync_sqlite_alone();
	return sync_command_main(&program, argc, argv);
}

/* bench: what tests/bench/run calls. Prints one number or one line per call. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <libsync/crypto.h>
#include <libsync/db.h>

#include "base/internal.h"
#include "country.h"
#include "exchange/route.h"
#include "floor.h"
#include "process.h"
#include "wire.h"

static const struct sync_db_ops *const drivers[] = { &sync_sqlite, &sync_postgres, NULL };

static enum sync_status cmd_country(char **a, struct sync_error *err)
{
	defer(sync_db_closep) struct sync_db *db = NULL;
	int64_t records;

	TRY(sync_db_open(&db, a[0], drivers, SYNC_CENTRAL, true, err));
	TRY(country_make(db, strtoull(a[1], NULL, 10), &records, err));
	TRY(sync_route(db, err));
	printf("%lld\n", (long long)records);
	return SYNC_OK;
}

/* Central records by the hundred thousand, routed as they come. */
static enum sync_status cmd_grow(char **a, struct sync_error *err)
{
	defer(sync_db_closep) struct sync_db *db = NULL;
	const uint64_t seed = strtoull(a[1], NULL, 10);
	const int64_t n = strtoll(a[2], NULL, 10);

	TRY(sync_db_open(&db, a[0], drivers, SYNC_CENTRAL, true, err));
	for (int64_t done = 0; done < n; done += 100000) {
		TRY(country_grow(db, seed + (uint64_t)done, n - done < 100000 ? n - done : 100000, err));
		TRY(sync_route(db, err));
	}
	return SYNC_OK;
}

static enum sync_status cmd_others(char **a, struct sync_error *err)
{
	defer(sync_db_closep) struct sync_db *db = NULL;

	TRY(sync_db_open(&db, a[0], drivers, SYNC_CENTRAL, true, err));
	return country_others(db, strtoull(a[1], NULL, 10), a[2], strtoll(a[3], NULL, 10), err);
}

static enum sync_status cmd_invoices(char **a, struct sync_error *err)
{
	defer(sync_db_closep) struct sync_db *db = NULL;

	TRY(sync_db_open(&db, a[0], drivers, SYNC_SITE, false, err));
	return country_invoices(db, strtoull(a[1], NULL, 10), strtoll(a[2], NULL, 10), err);
}

static enum sync_status cmd_lines(char **a, struct sync_error *err)
{
	defer(sync_db_closep) struct sync_db *db = NULL;

	TRY(sync_db_open(&db, a[0], drivers, SYNC_SITE, false, err));
	return country_lines(db, strtoull(a[1], NULL, 10), strtoll(a[2], NULL, 10), err);
}

static enum sync_status cmd_floor_load(char **a, struct sync_error *err)
{
	double s;

	TRY(floor_load(a[0], a[1], &s, err));
	printf("%.4f\n", s);
	return SYNC_OK;
}

static enum sync_status cmd_floor_take(char **a, struct sync_error *err)
{
	double s;

	if (!strncmp(a[1], "postgres:", 9))
		TRY(floor_take_postgres(a[0], a[1] + 9, &s, err));
	else
		TRY(floor_take_sqlite(a[0], a[1], &s, err));
	printf("%.4f\n", s);
	return SYNC_OK;
}

static enum sync_status cmd_noop(char **a, struct sync_error *err)
{
	size_t n = 0;
	double per_s;

	while (a[2 + n])
		n++;
	TRY(wire_noop(atoi(a[0]), (const char *const *)a + 2, n, atof(a[1]), &per_s, err));
	printf("%.0f\n", per_s);
	return SYNC_OK;
}

static enum sync_status cmd_empty(char **a, struct sync_error *err)
{
	return wire_empty(strtoul(a[0], NULL, 10), err);
}

static enum sync_status cmd_relay(char **a, struct sync_error *err)
{
	return wire_relay(atoi(a[0]), err);
}

static enum sync_status cmd_application(char **a, struct sync_error *err)
{
	return process_application(a[0], atoi(a[1]), err);
}

static enum sync_status cmd_peak(char **a, struct sync_error *err)
{
	return process_peak(a, err);
}

static const struct {
	const char *name;
	int args;
	enum sync_status (*run)(char **a, struct sync_error *err);
	const char *help;
} commands[] = {
	{ "country", 2, cmd_country, "URL SEED: make central's country" },
	{ "grow", 3, cmd_grow, "URL SEED N: N more central records" },
	{ "others", 4, cmd_others, "URL SEED STORE N: N records of another site's store" },
	{ "invoices", 3, cmd_invoices, "SITE SEED N: invoices at a site" },
	{ "lines", 3, cmd_lines, "SITE SEED N: lines for its invoices" },
	{ "floor-load", 2, cmd_floor_load, "SITE OUT: seconds of bare upserts" },
	{ "floor-take", 2, cmd_floor_take, "SITE CENTRAL: seconds of bare upserts and a log" },
	{ "noop", 3, cmd_noop, "PORT SECONDS SITE…: no-op rounds per second" },
	{ "empty", 1, cmd_empty, "BYTES: an empty civetweb handler" },
	{ "application", 2, cmd_application, "SITE PID: waits of an application while PID works" },
	{ "peak", 1, cmd_peak, "COMMAND…: its peak memory" },
	{ "relay", 1, cmd_relay, "PORT: count the bytes that pass" },
};

int main(int argc, char **argv)
{
	struct sync_error err = { 0 };

	if (sync_crypto_init(&err) != SYNC_OK)
		return 1;
	for (size_t i = 0; argc > 1 && i < COUNT(commands); i++) {
		if (strcmp(argv[1], commands[i].name) != 0 || argc - 2 < commands[i].args)
			continue;
		if (commands[i].run(argv + 2, &err) == SYNC_OK)
			return 0;
		fprintf(stderr, "bench %s: %s\n", argv[1], err.text);
		return 1;
	}
	for (size_t i = 0; i < COUNT(commands); i++)
		fprintf(stderr, "bench %s %s\n", commands[i].name, commands[i].help);
	return 64;
}

#include "db/postgres.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/internal.h"

/* errors */

/* By SQLSTATE, of which the first characters count; the first that fits. */
static const struct failure {
	const char *state;
	enum sync_status status;
	const char *advice;
} failures[] = {
	{ "40", SYNC_EBUSY, ": another transaction was first" },
	{ "55P03", SYNC_EBUSY, ": another transaction has not let go of it" },
	{ "57014", SYNC_EBUSY, ": the server's time limit" },
	{ "53300", SYNC_EBUSY, ": raise max_connections, or run fewer programs" },
	{ "53100", SYNC_EDISKFULL, ": free some space on the server; nothing is lost" },
	{ "53200", SYNC_ENOMEM, ": on the server" },
	{ "58", SYNC_EIO, ": check the server's disk" },
	{ "57P", SYNC_ENET, "" },
	{ "XX001", SYNC_ECORRUPT, ": restore it from a backup" },
	{ "XX002", SYNC_ECORRUPT, ": restore it from a backup, or reindex" },
	{ "25006", SYNC_EREADONLY, ": the server is a standby, or was made read-only" },
	{ "22021", SYNC_EINVALID, "" },
	{ "", SYNC_EDB, "" },
};

/* What a transaction that only reads refuses is no trouble of the server's, but a mistake of whoever writes in it. */
static const struct failure *find_failure(const struct sync_pg *db, const char *state)
{
	const struct failure *f = failures;
	bool reads = db->base.in_transaction && !db->writing;

	while (strncmp(f->state, state, strlen(f->state)) != 0)
		f++;
	return f->status == SYNC_EREADONLY && reads ? &failures[COUNT(failures) - 1] : f;
}

/* libpq's text on one line. */
static void flatten(char *ret, size_t size, const char *text)
{
	size_t n = 0;

	for (; *text && n + 1 < size; text++)
		if (*text != '\n' || text[1])
			ret[n++] = *text == '\n' || *text == '\t' ? ' ' : *text;
	ret[n] = '\0';
}

/* What the server or libpq last reported; result may be NULL. */
enum sync_status sync_pg_fail(struct sync_pg *db, const PGresult *result, struct sync_error *err)
{
	const char *state = PQresultErrorField(result, PG_DIAG_SQLSTATE);
	const char *primary = PQresultErrorField(result, PG_DIAG_MESSAGE_PRIMARY);
	const struct failure *f = find_failure(db, state ? state : "");
	char text[300];

	db->base.failed = true;
	(void)snprintf(db->state, sizeof(db->state), "%s", state ? state : "");
	flatten(text, sizeof(text), primary ? primary : PQerrorMessage(db->conn));
	if (PQstatus(db->conn) == CONNECTION_BAD)
		return sync_fail(err, SYNC_ENET, "%s: %s", db->name, text);
	return sync_fail(err, f->status, "%s: %s%s", db->name, text, f->advice);
}

/* What this file refuses itself. */
__attribute__((format(printf, 4, 5)))
enum sync_status sync_pg_refuse(struct sync_pg *db, struct sync_error *err, enum sync_status status, const char *format, ...)
{
	char text[300];
	va_list args;

	db->base.failed = true;
	va_start(args, format);
	(void)vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	return sync_fail(err, status, "%s: %s", db->name, text);
}

enum sync_status sync_pg_check(struct sync_pg *db, const PGresult *result, struct sync_error *err)
{
	ExecStatusType status = PQresultStatus(result);

	return status == PGRES_COMMAND_OK || status == PGRES_TUPLES_OK ? SYNC_OK : sync_pg_fail(db, result, err);
}

enum sync_status sync_pg_execute(struct sync_pg *db, const char *sql, struct sync_error *err)
{
	defer(sync_pg_clear_result) PGresult *result = PQexec(db->conn, sql);

	return sync_pg_check(db, result, err);
}

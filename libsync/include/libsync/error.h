/** What can go wrong, in one list: the status, what central answers, and whether a site tries again. */
#ifndef LIBSYNC_ERROR_H
#define LIBSYNC_ERROR_H

#include <stdbool.h>

/** The list: X is called with each row. */
#define SYNC_ERRORS(X) /* code     name            HTTP retry  text */                                  \
	X(EBADFRAME,     "badframe",     400, false, "malformed frame")                                 \
	X(EBADREQUEST,   "badrequest",   400, false, "malformed request")                               \
	X(EDICTIONARY,   "dictionary",   400, true,  "unknown dictionary")                              \
	X(EUNAUTHORIZED, "unauthorized", 401, false, "not authorized")                                  \
	X(EREVOKED,      "revoked",      403, false, "this site has been revoked")                      \
	X(ENOTFOUND,     "notfound",     404, false, "not found")                                       \
	X(ETAKEN,        "taken",        409, false, "another installation is registered as this site") \
	X(EINCOMPLETE,   "incomplete",   409, true,  "not everything went both ways")                   \
	X(EBASE,         "base",         409, true,  "the base is not the newest checkpoint")           \
	X(EHISTORY,      "history",      409, false, "the two histories have parted")                   \
	X(ECOPIED,       "copied",       409, false, "two copies of this site are in use")              \
	X(ETOOBIG,       "toobig",       413, false, "larger than the agreed limit")                    \
	X(EMEDIATYPE,    "mediatype",    415, false, "unsupported content type")                        \
	X(EINVALID,      "invalid",      422, false, "not valid")                                       \
	X(EVERSION,      "version",      426, false, "unsupported version")                             \
	X(EDB,           "db",           500, true,  "the database refused")                            \
	X(EWRONGDB,      "wrongdb",      500, false, "not a usable database")                           \
	X(ECORRUPT,      "corrupt",      500, false, "the database is damaged")                         \
	X(EIO,           "io",           500, true,  "input or output failed")                          \
	X(EBUSY,         "busy",         503, true,  "busy")                                            \
	X(ENOMEM,        "nomem",        503, true,  "out of memory")                                   \
	X(EFULL,         "full",         507, true,  "as much waits as may")                            \
	X(EDISKFULL,     "diskfull",     507, true,  "no space left on the disk")                       \
	X(EREADONLY,     "readonly",     507, true,  "the database cannot be written")                  \
	X(ENET,          "net",          502, true,  "the peer cannot be reached")                      \
	X(ETLS,          "tls",          502, false, "the peer's certificate is not trusted")           \
	X(EUSAGE,        "usage",        400, false, "wrong usage")

/** SYNC_OK, or one code for each failure that a caller can act on. */
enum sync_status {
	SYNC_OK = 0,
#define X(code, name, http, retry, text) SYNC_##code,
	SYNC_ERRORS(X)
#undef X
};

/** The detail of a failure; lives on the caller's stack, owns nothing. */
struct sync_error {
	enum sync_status status;
	unsigned retry_after_s; /* with EBUSY: when to come again; 0 when unknown */
	char text[512];         /* one line: what was seen, and what to do next */
};

/**
 * Report and return a failure in one statement.
 *
 * @param err     filled when not NULL; text is cut to fit, and made one line
 * @param status  never SYNC_OK
 * @param format  printf format of what was seen, with the value; arguments may point into err
 * @return status
 */
__attribute__((format(printf, 3, 4)))
enum sync_status sync_fail(struct sync_error *err, enum sync_status status, const char *format, ...);

/** The code's name ("badframe"; "ok" for SYNC_OK), as it appears in answers and --json. */
const char *sync_status_name(enum sync_status status);

/** The status of that name; SYNC_EIO when this build does not know it. */
enum sync_status sync_status_of_name(const char *name);

/** The status of a system call that failed on a file with this errno: a full disk and one that cannot be written have their own. */
enum sync_status sync_status_of_errno(int errnum);

/** The general text of a code ("malformed frame"). */
const char *sync_status_text(enum sync_status status);

/** The HTTP status with which central answers it; 200 for SYNC_OK. */
int sync_status_http(enum sync_status status);

/** Whether the same request may succeed later without anybody doing anything. */
bool sync_status_retry(enum sync_status status);

#endif

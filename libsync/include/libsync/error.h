/** What can go wrong, in one list: the status, what central answers, and whether a site tries again. */
#ifndef LIBSYNC_ERROR_H
#define LIBSYNC_ERROR_H

#include <stdbool.h>

#define SYNC_ERRORS(X) /* name     HTTP  retry  text */                                  \
	X(EBADFRAME,     400, false, "malformed frame")                                  \
	X(EBADREQUEST,   400, false, "malformed request")                                \
	X(EDICTIONARY,   400, true,  "unknown dictionary")                               \
	X(EUNAUTHORIZED, 401, false, "not authorized")                                   \
	X(EREVOKED,      403, false, "this site has been revoked")                       \
	X(ENOTFOUND,     404, false, "not found")                                        \
	X(ETAKEN,        409, false, "another installation is registered as this site")  \
	X(EBASE,         409, true,  "the base is not the newest checkpoint")            \
	X(EHISTORY,      409, false, "the two histories have parted")                    \
	X(ETOOBIG,       413, false, "larger than the agreed limit")                     \
	X(EMEDIATYPE,    415, false, "unsupported content type")                         \
	X(EINVALID,      422, false, "not valid")                                        \
	X(EVERSION,      426, false, "unsupported version")                              \
	X(EDB,           500, true,  "the database refused")                             \
	X(EWRONGDB,      500, false, "not a usable database")                            \
	X(EIO,           500, true,  "input or output failed")                           \
	X(EBUSY,         503, true,  "busy")                                             \
	X(ENOMEM,        503, true,  "out of memory")                                    \
	X(EFULL,         507, true,  "no space left")                                    \
	X(ENET,          502, true,  "the peer cannot be reached")                       \
	X(ETLS,          502, false, "the peer's certificate is not trusted")            \
	X(EUSAGE,        400, false, "wrong usage")

/** SYNC_OK, or one code for each failure that a caller can act on. */
enum sync_status {
	SYNC_OK = 0,
#define X(name, http, retry, text) SYNC_##name,
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
 * @param err     filled when not NULL; text is cut to fit
 * @param status  never SYNC_OK
 * @param format  printf format of what was seen, with the value
 * @return status
 */
__attribute__((format(printf, 3, 4)))
enum sync_status sync_fail(struct sync_error *err, enum sync_status status, const char *format, ...);

/** The code's name without prefix in lower case ("badframe"), as it appears in answers and --json. */
const char *sync_status_name(enum sync_status status);

/** The status of that name; SYNC_EIO when this build does not know it. */
enum sync_status sync_status_of_name(const char *name);

/** The general text of a code ("malformed frame"). */
const char *sync_status_text(enum sync_status status);

/** The HTTP status with which central answers it; 200 for SYNC_OK. */
int sync_status_http(enum sync_status status);

/** Whether the same request may succeed later without anybody doing anything. */
bool sync_status_retry(enum sync_status status);

#endif

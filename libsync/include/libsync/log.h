/** The programs' log and progress bar, both on stderr. Any thread may call the log. */
#ifndef LIBSYNC_LOG_H
#define LIBSYNC_LOG_H

#include <stdint.h>

/** As in syslog. */
enum sync_level {
	SYNC_LOG_ERROR = 3,
	SYNC_LOG_WARNING = 4,
	SYNC_LOG_NOTICE = 5,
	SYNC_LOG_INFO = 6,
	SYNC_LOG_DEBUG = 7
};

/** Write nothing less urgent than this; SYNC_LOG_INFO at first. Set before threads start. */
void sync_log_until(enum sync_level level);

/**
 * One line: the level, the event, and fields, as in "info push ok site=7 sent=120 ms=84".
 *
 * @param event   a word or two: "push ok"
 * @param format  "site=%d name=%s": values of %s are quoted where they need it. Known are %s and %.*s, the integer
 *                conversions with their length modifiers, %g and %f, %c and %%; without widths
 */
__attribute__((format(printf, 3, 4)))
void sync_log(enum sync_level level, const char *event, const char *format, ...);

/** A progress bar, zeroed at first; nothing is shown unless stderr is a terminal. */
struct sync_progress {
	const char *what; /* "first load"; NULL: nothing is shown yet */
	int64_t first;    /* done when it began: work that is resumed does not count for the rate */
	int64_t started_us, drawn_us;
};

/** Show done of total (0: not known), at most ten times a second; another `what`, a static text, starts another bar. */
void sync_progress_show(struct sync_progress *p, const char *what, int64_t done, int64_t total);
/** Leave the line. */
void sync_progress_end(struct sync_progress *p);

#endif

/** Clocks. Both can be replaced, so that tests own the time. */
#ifndef LIBSYNC_TIME_H
#define LIBSYNC_TIME_H

#include <stdint.h>

/** Microseconds since 1970-01-01 UTC, by the wall clock. */
int64_t sync_now_us(void);
/** Microseconds of a clock that never goes back; only differences mean anything. */
int64_t sync_tick_us(void);
/** Replace both clocks by one (NULL: the real ones again). For tests; set before threads start. */
void sync_set_clock(int64_t (*now_us)(void));
/** Write at_us as "2026-01-31T12:00:00Z" (21 bytes with NUL); times outside 1970 to 9999 show the nearest one inside. */
void sync_time_text(char ret[static 21], int64_t at_us);

#endif

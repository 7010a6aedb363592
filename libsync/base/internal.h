/** What all of our own files share: cleanup, TRY. Not installed. */
#ifndef SYNC_INTERNAL_H
#define SYNC_INTERNAL_H

#include <libsync/buf.h>
#include <libsync/error.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>

#define defer(fn) __attribute__((cleanup(fn)))
#define steal(p)                       \
	({                             \
		__typeof__(p) p_ = (p); \
		(p) = NULL;            \
		p_;                    \
	})
/* The one macro that may return: passes a failure up as it is. */
#define TRY(call)                                   \
	do {                                        \
		enum sync_status try_ = (call);     \
		if (try_ != SYNC_OK)                \
			return try_;                \
	} while (0)
#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

/** Whether a deliberate fault is switched on, by which the simulator proves itself (tests/sim/faults); false in every other build. */
#ifdef SYNC_FAULTS
bool sync_faulty(const char *name);
#define SYNC_FAULT(name) sync_faulty(#name)
#else
#define SYNC_FAULT(name) false
#endif

static inline void freep(void *p)
{
	free(*(void **)p);
}

/** "1 record", but "2 records". */
static inline const char *plural(int64_t n)
{
	return n == 1 ? "" : "s";
}

/** sync_buf_clear and sync_arena_clear fit defer() as they are: defer(sync_buf_clear) struct sync_buf b = { .max = … }; */

/** The status of a buffer as an error with its text. */
static inline enum sync_status sync_buf_check(const struct sync_buf *b, struct sync_error *err)
{
	if (b->status == SYNC_OK)
		return SYNC_OK;
	return sync_fail(err, b->status, "%s after %zu bytes", b->status == SYNC_ETOOBIG ? "too big" : "out of memory", b->len);
}

#endif

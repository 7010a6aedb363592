/** Borrowed bytes, growing bytes, and an arena for many small allocations with one end. */
#ifndef LIBSYNC_BUF_H
#define LIBSYNC_BUF_H

#include <libsync/error.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/** Borrowed bytes, by value; never assumed to end in NUL. data may be NULL when len is 0. */
struct sync_view {
	const char *data;
	size_t len;
};

/** A view of a C string (NULL gives an empty view). */
struct sync_view sync_view_of(const char *text);
/** Whether both have the same bytes. */
bool sync_view_eq(struct sync_view a, struct sync_view b);
/** Whether v has the bytes of text. */
bool sync_view_is(struct sync_view v, const char *text);
/** Order of bytes, then of lengths; like strcmp(). */
int sync_view_cmp(struct sync_view a, struct sync_view b);

/** For printf: "%.*s" with SYNC_VIEW(v). */
#define SYNC_VIEW(v) (int)(v).len, (v).data

/**
 * Bytes that grow up to max. The first failure sticks (status), later appends do nothing, the caller asks once.
 * Zero-initialised with a max it is ready: struct sync_buf b = { .max = 1 << 20 }.
 */
struct sync_buf {
	char *data;  /* NUL-terminated after any successful append */
	size_t len;
	size_t cap;
	size_t max;              /* bytes beyond which appends fail with SYNC_ETOOBIG */
	enum sync_status status; /* SYNC_OK, SYNC_ETOOBIG or SYNC_ENOMEM */
};

/** Append len bytes. */
void sync_buf_add(struct sync_buf *b, const void *data, size_t len);
/** Append a view. */
void sync_buf_add_view(struct sync_buf *b, struct sync_view v);
/** Append a C string. */
void sync_buf_add_text(struct sync_buf *b, const char *text);
/** Append one byte. */
void sync_buf_add_char(struct sync_buf *b, char c);
/** Append formatted text. */
__attribute__((format(printf, 2, 3)))
void sync_buf_addf(struct sync_buf *b, const char *format, ...);
/** The same of arguments that a caller has. */
__attribute__((format(printf, 2, 0)))
void sync_buf_addv(struct sync_buf *b, const char *format, va_list args);
/** Make room for len more bytes and return where they go (NULL on failure); the caller then raises len itself. */
char *sync_buf_room(struct sync_buf *b, size_t len);
/** Forget the content and the failure, keep the memory and max. */
void sync_buf_reset(struct sync_buf *b);
/** Free the memory; the struct may be used again. NULL and zeroed structs do nothing. */
void sync_buf_clear(struct sync_buf *b);
/** The content as a view. */
struct sync_view sync_buf_view(const struct sync_buf *b);

/** Many small allocations, freed together. Zero-initialised it is ready. */
struct sync_arena {
	struct sync_arena_block *block;
	size_t used; /* bytes handed out since the last reset, all blocks */
};

/** len bytes, aligned for any type, not zeroed; NULL when memory is out. */
void *sync_arena_get(struct sync_arena *a, size_t len);
/** A copy of v that lives as long as the arena, followed by a NUL; an empty view with data NULL when memory is out. */
struct sync_view sync_arena_copy(struct sync_arena *a, struct sync_view v);
/** Forget everything handed out; keep one block for reuse. */
void sync_arena_reset(struct sync_arena *a);
/** Free everything; the struct may be used again. */
void sync_arena_clear(struct sync_arena *a);

#endif

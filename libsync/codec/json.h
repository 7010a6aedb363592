/** JSON as frames use it: strict, one line at a time. Inner header of codec. */
#ifndef SYNC_JSON_H
#define SYNC_JSON_H

#include <libsync/buf.h>
#include <libsync/error.h>
#include <stdbool.h>
#include <stdint.h>

/* Values, names and objects of one line together, and characters of one number, that are read. */
enum { SYNC_JSON_TOKENS = 10000, SYNC_JSON_DIGITS = 63 };

/** Append text as a JSON string. What JSON cannot carry (bytes that are not UTF-8, NUL) becomes U+FFFD, and false is returned.
 */
bool sync_json_write_text(struct sync_buf *b, struct sync_view text);
/** Append a finite number with as few digits as read back as the same double. */
void sync_json_write_real(struct sync_buf *b, double d);

enum sync_json_type { SYNC_JSON_NULL, SYNC_JSON_BOOLEAN, SYNC_JSON_NUMBER, SYNC_JSON_TEXT, SYNC_JSON_ARRAY, SYNC_JSON_OBJECT };

/** One value of the line that was parsed last on this thread; borrowed until the next is. */
struct sync_json {
	enum sync_json_type type;
	struct sync_view name; /* of the member; empty in arrays and at the top */
	struct sync_view text; /* of a string */
	double number;         /* of a number; 1 for true */
	const void *node;
};

/**
 * Parse one line. Raw control characters, anything but UTF-8, U+0000, lone surrogates, and what follows the value are refused.
 *
 * @param depth  of nesting that is read
 * @retval SYNC_EBADFRAME  not JSON, too deep, or more than SYNC_JSON_TOKENS
 */
enum sync_status sync_json_parse(struct sync_json *ret, struct sync_view line, int depth, struct sync_error *err);
/** The first member of an object or an array; false when it has none. */
bool sync_json_first(struct sync_json *ret, const struct sync_json *of);
/** Move on to the next member; false after the last. */
bool sync_json_next(struct sync_json *member);

/** One member as it stands in the text of its object. */
struct sync_json_raw {
	struct sync_view member; /* "name": value */
	struct sync_view name;   /* with its quotes */
	struct sync_view value;
};

/** The next member, taken from the front of rest, which at first is the text of an object that was parsed; false after the
 * last. */
bool sync_json_raw_next(struct sync_json_raw *ret, struct sync_view *rest);
/** The text of the value of an object's nth member, from 0. */
struct sync_view sync_json_raw_value(struct sync_view object, size_t nth);

/** Whether text is the decimal form of a 64-bit integer, without needless zeros or signs. */
bool sync_json_int64(int64_t *ret, struct sync_view text);

#endif

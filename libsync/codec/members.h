/** A flat JSON object of few members: registrations, problems, the front of a bundle. Inner header of codec. */
#ifndef SYNC_MEMBERS_H
#define SYNC_MEMBERS_H

#include <libsync/buf.h>
#include <libsync/error.h>
#include <stdint.h>

/** A member: text of at most size - 1 bytes, or an id, from 1 to INT32_MAX, when text is NULL. */
struct sync_member {
	const char *name;
	char *text;
	size_t size;
	int64_t *number;
};

/** Append the object. */
void sync_members_write(struct sync_buf *b, const struct sync_member *m, size_t n);
/**
 * Read it. All of them must be there; others may be, for a later version of the other side.
 *
 * @param wrong  the status when it is not such an object
 */
enum sync_status sync_members_read(const struct sync_member *m, size_t n, struct sync_view body, enum sync_status wrong,
                                   struct sync_error *err);

#endif

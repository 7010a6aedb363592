/** The fields of a record as the member "d" of its frame. Inner header of codec. */
#ifndef SYNC_FIELDS_H
#define SYNC_FIELDS_H

#include <libsync/frame.h>

#include "codec/json.h"

/** Append {field: value, …} and r->extra; values that JSON cannot carry are left out. */
void sync_fields_write(struct sync_buf *b, const struct sync_record *r);
/**
 * Read it: r->values and r->extra, or r->extra alone when r->entity is NULL. A wrong value is absent, and r->fault.
 *
 * @param d     the object, parsed
 * @param line  the text of the frame, in which d is the value of the nth member
 * @retval SYNC_ENOMEM  the only failure
 */
enum sync_status sync_fields_read(struct sync_record *r, const struct sync_json *d, struct sync_view line, size_t nth,
				  struct sync_arena *arena, struct sync_error *err);

#endif

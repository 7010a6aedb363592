/** What the generated table of declarations needs. */
#ifndef SYNC_DECLARED_H
#define SYNC_DECLARED_H

#include <libsync/entity.h>
#include <stddef.h>

/** One per file in schema/entities, NULL-ended, in the order of their names. */
extern const struct sync_entity *const sync_declared[];

/** For a declaration: .FIELDS of a static array. */
#define FIELDS(array) .fields = (array), .n_fields = sizeof(array) / sizeof((array)[0])

#endif

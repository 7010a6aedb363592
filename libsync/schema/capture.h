/** What the SQL of capture has in common: triggers.c, recapture.c. Inner header of the schema. */
#ifndef SYNC_CAPTURE_H
#define SYNC_CAPTURE_H

#include <libsync/ddl.h>

/** The newest seq of a site's edits. The site may have lost what it pushed, and the row of what was dropped is gone, so what central has counts. */
#define SYNC_NEWEST_SEQ                                            \
	"max(coalesce((SELECT max(seq) FROM sync_changelog), 0),"  \
	" coalesce((SELECT max(out_upto, fork_upto) FROM sync_link), 0))"

/** Id of the root record of the row's group, or NULL; row is NEW, OLD or an alias. */
void sync_capture_root(struct sync_buf *b, const struct sync_entity *e, const char *row);
/** Text of a JSON array of a row's routing values, each as text or null; function makes the array. */
void sync_capture_routing(struct sync_buf *b, const struct sync_entity *e, const char *function, const char *row);

#endif

/** What is pending of groups, as much of it as is worked on at once. Inner header of pull_write.c. */
#ifndef SYNC_PULL_MEMBERS_H
#define SYNC_PULL_MEMBERS_H

#include "db/outbox.h"

/* Rows of the outbox that are looked at together, and so the most units. */
enum { SYNC_PULL_ROWS = 500 };

/** A group, or a record of none. */
struct sync_unit {
	const struct sync_entity *root; /* NULL: no group */
	struct sync_view id;
	size_t first, n; /* its members, once gathered */
};

/** One record of a unit: the newest of its rows in the outbox. */
struct sync_member {
	struct sync_outbox_row row;
	size_t unit;
};

/** Which rows are meant: those of a site above a position. */
struct sync_pending_rows {
	struct sync_db *db;
	int64_t site;
	int64_t all_seq, own_seq;
	int64_t most; /* in memory, of each stream and entity */
	/* of the first unit gathered only what comes behind this record; NULL: all of it */
	const struct sync_entity *after;
	struct sync_view after_id;
};

/** Members in order: unit by unit, the root first, then by entity and id. Zeroed it is ready; its memory is kept. */
struct sync_members {
	struct sync_arena arena;
	struct sync_member *m;
	size_t n, cap;
	bool cut;                /* of the only unit there is more behind them */
	struct sync_member last; /* behind it something may be missing, when cut */
};
void sync_members_clear(struct sync_members *s);

/**
 * Gather the units from .. *end.
 *
 * @param row, unit  n rows that are known, and which unit each is of
 * @param end        brought down to what there is room for, at least one unit
 */
enum sync_status sync_members_gather(struct sync_members *s, const struct sync_pending_rows *p, struct sync_unit *units,
				     size_t from, size_t *end, const struct sync_outbox_row *row, const size_t *unit, size_t n,
				     struct sync_error *err);

/** Keep a row whose views live no longer than its reading. */
enum sync_status sync_pull_keep(struct sync_arena *arena, const struct sync_outbox_row *from, struct sync_outbox_row *to,
				struct sync_error *err);

#endif

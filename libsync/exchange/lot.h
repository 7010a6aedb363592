/** Whole groups on their way to the tables: what the integrator's files share. Inner header of the exchange. */
#ifndef SYNC_LOT_H
#define SYNC_LOT_H

#include <libsync/db.h>
#include <libsync/frame.h>

#include "exchange/integrate.h"
#include "exchange/set.h"

/** What becomes of a group; what is worse stays. */
enum sync_fate {
	SYNC_OPEN,   /* nothing speaks against it so far */
	SYNC_WAITS,  /* into the inbox, as a whole */
	SYNC_REFUSED /* its sender may not do that: into sync_waiting, as a whole */
};

/** What an edit of an "any" entity is worth beside central's version. */
enum sync_merit {
	SYNC_APPLIES,
	SYNC_WINS,   /* applies, and what central has is kept as a conflict copy */
	SYNC_LOSES,  /* is kept as a conflict copy itself */
	SYNC_REPEATS, /* central has had it before */
	SYNC_OVERTAKEN /* central has a later one, of which its site, having been restored, does not know */
};

/** Why a record waits or is refused; code NULL: it is not at fault itself. */
struct sync_reason {
	const char *code;
	const char *field;                       /* or NULL */
	struct sync_view needs_entity, needs_id; /* what has to change before a retry makes sense; or empty */
	const char *text;
};

/** Central's present version of a record of an "any" entity. */
struct sync_current {
	struct sync_view version, base;
	int64_t edited_us;
	int64_t creator;
	bool deleted;
};

/** One record. */
struct sync_item {
	const struct sync_record *r;
	struct sync_view line;   /* its frame; empty: to be written from r */
	int64_t received_us;
	uint32_t group;
	bool waited;             /* it comes out of the inbox */
	const char *was_code;    /* why it, or an older edit that it replaces, waited there; or NULL */
	int64_t was_seq;
	const struct sync_record *was; /* that older edit, or NULL; and its frame */
	struct sync_view was_line;
	struct sync_reason why;
	enum sync_fate fate;     /* what that reason speaks for */
	bool exists;             /* central: a version is stored */
	enum sync_merit merit;
	bool merged;             /* central: it has more of the record than the sender, who left that as it was */
	bool replaces;           /* central: a later edit, of which its site, having been restored, does not know */
	int64_t replaced_of;     /* whose that is */
	const struct sync_current *current; /* central, "any" entities: or NULL */
	struct sync_view version;           /* of the edit; "any" entities */
	int64_t edited_us;                  /* the same */
};

/** Groups of one source. Each record and each root is in it once. */
struct sync_lot {
	struct sync_db *db;
	const struct sync_intake *in;
	struct sync_arena *arena;  /* everything here lives in it */
	struct sync_item *items;
	size_t n, cap;
	enum sync_fate *fates;     /* per group; as many as items have room */
	size_t n_groups;
	struct sync_set index;     /* (entity, id): item */
	struct sync_set roots;     /* (root's entity, root's id): group */
	struct sync_item **sorted; /* by entity, in integration order; unknown ones last */
	size_t failures;           /* how often a group ceased to be open */
	int64_t questions;         /* about edits of the source that were put to a person */
};

/** Whether records of this lot are edits of a site that central has to judge. */
static inline bool sync_lot_judged(const struct sync_lot *lot)
{
	return lot->in->source != 0 && sync_db_role(lot->db) == SYNC_CENTRAL;
}

/** An empty lot with room for n records. */
enum sync_status sync_lot_open(struct sync_lot *ret, struct sync_db *db, const struct sync_intake *in, struct sync_arena *arena,
                               size_t n, struct sync_error *err);
/**
 * Add a record to its group.
 *
 * @param ret  where it is now; with *ret_new false: it was there before, and nothing was changed
 */
enum sync_status sync_lot_add(struct sync_lot *lot, const struct sync_record *r, struct sync_view line, int64_t received_us,
                              struct sync_item **ret, bool *ret_new, struct sync_error *err);
/** No more is added: bring them in order for sync_lot_next(). */
enum sync_status sync_lot_sort(struct sync_lot *lot, struct sync_error *err);
/** Which group a record belongs to: the entity and id of its root. */
void sync_root_of(const struct sync_record *r, struct sync_view *ret_entity, struct sync_view *ret_id);

/** The records of one entity in a lot. */
struct sync_run {
	const struct sync_entity *e; /* NULL: unknown ones */
	struct sync_item **items;
	size_t n;
};
/** The next entity's records; zeroed at first. False after the last. */
bool sync_lot_next(const struct sync_lot *lot, struct sync_run *run);

/** The record of that entity and id, or NULL. */
struct sync_item *sync_lot_find(const struct sync_lot *lot, struct sync_view entity, struct sync_view id);
/** Whether nothing speaks against its group so far. */
static inline bool sync_item_open(const struct sync_lot *lot, const struct sync_item *item)
{
	return lot->fates[item->group] == SYNC_OPEN;
}
/** Whether it goes into the tables, as far as is known. */
static inline bool sync_item_applies(const struct sync_lot *lot, const struct sync_item *item)
{
	return sync_item_open(lot, item) && item->merit <= SYNC_WINS;
}

/** Its group waits, or worse. Of a record's reasons the first of the worst stays. */
void sync_item_fail(struct sync_lot *lot, struct sync_item *item, enum sync_fate fate, struct sync_reason why);
/** Make room for one more in an array in an arena. */
enum sync_status sync_larger(struct sync_arena *arena, void **array, size_t n, size_t *cap, size_t size,
                             struct sync_error *err);
/** Text in an arena; "out of memory" when that is so. */
__attribute__((format(printf, 2, 3)))
const char *sync_say(struct sync_arena *arena, const char *format, ...);

/** Copy a row's text; anything else gives an empty view. */
enum sync_status sync_keep_text(struct sync_arena *arena, const struct sync_value *v, struct sync_view *ret,
                                struct sync_error *err);

/**
 * Run head, a list of ids as $1, and tail, whose parameters start with $2.
 *
 * @param head  ends with IN, or where else a query fits
 * @param fn    may be NULL
 */
enum sync_status sync_run_ids(struct sync_db *db, const char *head, const struct sync_view *ids, size_t n, const char *tail,
                              const struct sync_value *v, size_t n_v, sync_row_fn *fn, void *ctx, struct sync_error *err);

/** Which of a run's records a question is about. */
typedef bool sync_item_fn(const struct sync_lot *lot, const struct sync_item *item);
/** About all of them. */
bool sync_item_any(const struct sync_lot *lot, const struct sync_item *item);
/** Their ids, in the lot's arena. */
enum sync_status sync_run_select(const struct sync_lot *lot, const struct sync_run *run, sync_item_fn *fn,
                                 struct sync_view **ret, size_t *ret_n, struct sync_error *err);

/* The steps; integrate.c calls them in this order. */

/** A site: what came from central waits for edits that were made here (local_edits.c). */
enum sync_status sync_check_local_edits(struct sync_lot *lot, struct sync_error *err);
/** Central: what its sites may do, also with what is malformed (rights.c); what they may change is held from here on. */
enum sync_status sync_check_rights(struct sync_lot *lot, struct sync_error *err);
/** Central: what its sites sent without knowing that the rest of its group was refused (refused.c). */
enum sync_status sync_check_refused(struct sync_lot *lot, struct sync_error *err);
/** A part of the rights: central's versions of "any" records (conflict.c). */
enum sync_status sync_load_current(struct sync_lot *lot, struct sync_error *err);
/** Central: what each edit of an "any" record is worth (conflict.c). */
enum sync_status sync_weigh_edits(struct sync_lot *lot, struct sync_error *err);
/** Central: edits of a site that was restored which are older than what it does not know of; may fail groups (restored.c). */
enum sync_status sync_find_overtaken(struct sync_lot *lot, struct sync_error *err);
/** What a put names exists, and what a delete removes is not named; after all that may fail groups (references.c). */
enum sync_status sync_check_references(struct sync_lot *lot, struct sync_error *err);
/** Central: keep the losers of conflicts that are decided, before the winners are applied (conflict.c). */
enum sync_status sync_keep_losers(struct sync_lot *lot, struct sync_error *err);
/** Central: keep what a restored site replaces without knowing it, before that is applied (restored.c). */
enum sync_status sync_keep_replaced(struct sync_lot *lot, struct sync_error *err);
/** Central: a delete of what it does not have is noted, too (restored.c). */
enum sync_status sync_keep_deletes(struct sync_lot *lot, struct sync_error *err);
/** Remember the versions of what was applied (conflict.c). */
enum sync_status sync_keep_versions(struct sync_lot *lot, struct sync_error *err);
/** Central: which of the records that were applied its sender does not have as they are now (merged.c). */
enum sync_status sync_find_merged(struct sync_lot *lot, struct sync_error *err);
/** Central: quarantine what is refused (verdict.c). */
enum sync_status sync_keep_refused(struct sync_lot *lot, struct sync_error *err);
/** Central: tell the sender what became of its edits (verdict.c). */
enum sync_status sync_tell_sender(struct sync_lot *lot, struct sync_error *err);

/** Something about which a person is asked: a row of sync_waiting. */
struct sync_question {
	const char *kind;
	int64_t site;
	const struct sync_record *r;
	struct sync_view frame;
	const struct sync_reason *why;
};
enum sync_status sync_waiting_put(struct sync_lot *lot, const struct sync_question *q, size_t n, struct sync_error *err);
/** A record's frame: as it came, or written anew into the arena. */
enum sync_status sync_item_frame(const struct sync_lot *lot, const struct sync_item *item, struct sync_view *ret,
                                 struct sync_error *err);
/** The frame of any record, written into the arena. */
enum sync_status sync_frame_of(struct sync_arena *arena, const struct sync_record *r, struct sync_view *ret,
                               struct sync_error *err);

#endif

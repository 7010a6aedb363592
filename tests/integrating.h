/** Edits received by central or by a site, for tests of integration. */
#ifndef SYNC_INTEGRATING_H
#define SYNC_INTEGRATING_H

#include "testdb.h"

#include <libsync/records.h>

#include "exchange/integrate.h"

enum { MOST = 64, NOW = 1000 };
#define US(minutes) ((int64_t)(minutes) * 60 * 1000000)

/** One record frame. What `set` does not mention gets some value where the declaration requires one, unless the edit is bare. */
struct edit {
	enum sync_action action;
	const char *entity, *id;
	const char *set[13]; /* field, value, …; "" is null */
	int64_t seq;
	const char *root;    /* of deletes and drops */
	const char *version, *base;
	int64_t age_ms;
	bool bare;
};

/** Edits as a receiver has them. */
struct message {
	struct sync_arena arena;
	struct sync_record r[MOST];
	struct sync_view lines[MOST];
	size_t n;
};
void clear_message(struct message *m);
void add_edit(struct message *m, const struct edit *edit);
/** The same of a frame as it is written. */
void add_line(struct message *m, const char *line);

/** What comes of a site, or of central: 0. */
struct sync_intake from(int64_t source);
/** Integrate in a transaction of its own. */
enum sync_status take(struct sync_db *db, const struct sync_intake *in, const struct message *m, struct sync_outcome *ret,
		      struct sync_error *err);
/** The same of edits, which must work. */
struct sync_outcome receive(struct sync_db *db, struct sync_intake in, const struct edit *edits, size_t n);
#define RECEIVE(db, in, ...) \
	receive(db, in, (const struct edit[]){ __VA_ARGS__ }, COUNT(((const struct edit[]){ __VA_ARGS__ })))
/** Integrate what waits and can be. */
void retry(struct sync_db *db);

/**
 * Central has two sites, 7 with the stores s1 and s3 and 8 with s2; the item i1, the supplier n1 and the patient p8, whom site 8
 * made and sees.
 */
struct sync_db *central(void **state);
/** The same in a database that is open. */
void make_central(struct sync_db *db);
/** Show that patient to site 7 too. */
void make_visible(struct sync_db *db);
/** An edit of that patient, made so many minutes ago. */
struct edit patient(const char *name, const char *version, const char *base, int64_t minutes);
/** Site 7, with the store s1, the item i1 and the supplier n1. */
struct sync_db *site(void **state);
/** Nothing that was to be rolled back, taken or consumed is left. */
void assert_clean(struct sync_db *db);

#endif

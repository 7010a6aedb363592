/** A record's journey, told from what is stored anyway: where it was written, what became of it, who has it and why. */
#ifndef LIBSYNC_EXPLAIN_H
#define LIBSYNC_EXPLAIN_H

#include <libsync/db.h>

/** Something that happened to a record, or that it waits for. */
struct sync_told {
	const char *what; /* written, pushed, received, queued, routed, pulled, waits, needed, decision, verdict, spooled, pending */
	int64_t at_us;    /* 0: nobody knows when */
	const char *site; /* whose doing it was or for whom it is: "central", or a site's name; "" at a site */
	const char *code; /* of what waits, a decision or a verdict; else "" */
	const char *text; /* in words, without time and site */
};

/** One site, as far as the record is concerned (central only). */
struct sync_holder {
	const char *site;
	int64_t site_id;
	const char *state; /* has, waits, coming, leaving, dropped, deleted, no */
	bool due;          /* the routes lead there now */
	int64_t routed_us; /* when that was decided; 0: nobody knows */
	int64_t pulled_us; /* when it fetched it, as far as the log of exchanges reaches back; 0: nobody knows */
	const char *text;  /* what it has, in words */
	const char *why;   /* by which route and which record, in words; "" when it was not asked for */
};

/** All that is known of a record. */
struct sync_explanation {
	struct sync_arena arena; /* keeps everything */
	const char *entity, *record_id;
	const char *state; /* present, deleted, absent */
	bool central;
	struct sync_told *told; /* in the order of their times */
	size_t n_told, cap_told;
	struct sync_holder *holder; /* sites by name */
	size_t n_holders, cap_holders;
};

/**
 * Tell all that this database knows of a record, in one snapshot.
 *
 * @param entity  any name
 * @param site    central: only this site; NULL: all
 * @param ret     zeroed; cleared by the caller, also after a failure
 * @retval SYNC_EUSAGE     no such entity: sync_entity_named()
 * @retval SYNC_ENOTFOUND  no such site or record: the text has what was probably meant
 */
enum sync_status sync_explain(struct sync_db *db, const char *entity, const char *record_id, const char *site,
                              struct sync_explanation *ret, struct sync_error *err);
/** Free what it points to. */
void sync_explanation_clear(struct sync_explanation *x);
/** Append it for people, a line for each thing, without the last one's end. */
void sync_explanation_text(struct sync_buf *b, const struct sync_explanation *x);
/** Append it as a JSON object. */
void sync_explanation_json(struct sync_buf *b, const struct sync_explanation *x);

#endif

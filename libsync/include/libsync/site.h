/** Central's administration: sites, stores, what waits for a person, import and export, status. */
#ifndef LIBSYNC_SITE_H
#define LIBSYNC_SITE_H

#include <libsync/db.h>
#include <libsync/frame.h>

/** A site as central knows it. */
struct sync_site {
	int64_t site_id;
	char name[128];
	char installation[40]; /* empty: not registered yet */
	char version[32];
	char branch[SYNC_BRANCH + 1];
	bool revoked, loaded, secret; /* secret: a one-time secret is still good */
	bool lapsed;                  /* it was away for longer than deletes are kept: it shows all that it holds when it comes back */
	bool copied;                  /* two copies of its database are in use, and both are refused: sync_site_keep() */
	struct sync_checkpoint stored; /* newest push checkpoint */
	int64_t highest, integrated, spooled;
	struct sync_position at; /* what it holds */
	int64_t verdict, verdict_seen;
	int64_t unpushed;
	int64_t created_us, last_seen_us; /* 0: never */
	int64_t schema;
};

/**
 * Create a site and give it stores that are active nowhere yet.
 *
 * @param name        1 to 100 bytes: letters, digits, space, '.', '-', '_'
 * @param stores      ids of store records, n of them
 * @param ret_secret  to be shown once; only its hash is kept
 * @retval SYNC_ETAKEN     a site of that name exists
 * @retval SYNC_ENOTFOUND  no such store
 * @retval SYNC_EINVALID   a name that cannot be, or a store that is active elsewhere (use store move)
 */
enum sync_status sync_site_add(struct sync_db *db, const char *name, const char *const *stores, size_t n, char ret_secret[static 30],
                               int64_t *ret_site_id, struct sync_error *err);
/** A new secret for a site whose machine was replaced; its token stops working, it loads anew. */
enum sync_status sync_site_reset(struct sync_db *db, const char *name, char ret_secret[static 30], struct sync_error *err);
/**
 * Two copies of a site's database were in use, and both are refused: let the one in this branch live on.
 *
 * @retval SYNC_EINVALID  there are none, or none of them is in this branch
 */
enum sync_status sync_site_keep(struct sync_db *db, const char *name, const char *branch, struct sync_error *err);
/** No exchange any more. */
enum sync_status sync_site_revoke(struct sync_db *db, const char *name, struct sync_error *err);
/** By name. */
enum sync_status sync_site_find(struct sync_db *db, const char *name, struct sync_site *ret, struct sync_error *err);
/** All, by name; fn's failure ends it. */
enum sync_status sync_site_each(struct sync_db *db, enum sync_status (*fn)(void *ctx, const struct sync_site *s, struct sync_error *err),
                                void *ctx, struct sync_error *err);
/** The stores of a site; fn sees id, code, name and, when it is on its way, the site it moves to (else 0). */
enum sync_status sync_site_stores(struct sync_db *db, int64_t site_id, sync_row_fn *fn, void *ctx, struct sync_error *err);
/** Records routed to a site that it does not hold yet, counted up to limit. */
enum sync_status sync_site_pending(struct sync_db *db, const struct sync_site *s, int64_t limit, int64_t *ret, struct sync_error *err);

/**
 * Trade a one-time secret for a token bound to an installation. The same installation may repeat it with the same secret.
 *
 * @retval SYNC_EUNAUTHORIZED  unknown site or wrong secret: one text for both
 * @retval SYNC_EREVOKED       revoked
 * @retval SYNC_ETAKEN         the secret was used by another installation: site reset
 */
enum sync_status sync_site_register(struct sync_db *db, struct sync_view name, struct sync_view secret, struct sync_view installation,
                                    struct sync_view version, char ret_token[static 44], int64_t *ret_site_id, struct sync_error *err);
/** What bringing the registry and the database together did. */
struct sync_registry_report {
	int64_t sites, stores; /* restored into the database */
	int64_t kept;          /* written to the file, which lacked them */
	int64_t later;         /* sites that are restored once what they pushed is integrated */
	char warning[400];     /* what a person should see to; empty: nothing */
};
/**
 * Keep registrations besides central's database, in a file that a restore of the database leaves alone: sites with what they
 * authenticate by, revocations, and where stores are. From now on every change made through this handle, or through one that is
 * cloned from it later, is in the file before it is committed; what the two lack of each other is brought over at once, so no site
 * is locked out by a restore, and no number is given again.
 *
 * @param path  made when it is not there
 * @param ret   filled on success
 * @retval SYNC_EIO, SYNC_EDISKFULL, SYNC_EREADONLY  it cannot be read or written
 * @retval SYNC_EINVALID  a line is damaged: the text has path and number; nothing was changed
 * @retval SYNC_EWRONGDB  it is another database's
 */
enum sync_status sync_registry_open(struct sync_db *db, const char *path, struct sync_registry_report *ret, struct sync_error *err);

/** Who sends a request. */
struct sync_caller {
	int64_t site_id;
	char name[128];
};
/**
 * Whose token it is.
 *
 * @param ret  filled also with SYNC_EREVOKED
 * @retval SYNC_EUNAUTHORIZED  nobody's
 * @retval SYNC_EREVOKED       a revoked site's
 */
enum sync_status sync_site_authenticate(struct sync_db *db, struct sync_view token, struct sync_caller *ret, struct sync_error *err);

/** What a site sends to be registered, and what it gets; both are one JSON object. */
struct sync_registration {
	char site[128], secret[64], installation[40], version[32]; /* request */
	int64_t site_id;                                           /* answer */
	char token[64];
};
/** Append a request. */
void sync_registration_write(struct sync_buf *b, const struct sync_registration *r);
/** @retval SYNC_EBADREQUEST  not such an object */
enum sync_status sync_registration_read(struct sync_registration *ret, struct sync_view body, struct sync_error *err);
/** Append the answer. */
void sync_registered_write(struct sync_buf *b, const struct sync_registration *r);
/** @retval SYNC_EBADFRAME  not such an object */
enum sync_status sync_registered_read(struct sync_registration *ret, struct sync_view body, struct sync_error *err);

/** Append a failure as central answers it: {"error": name, "text": text}. */
void sync_problem_write(struct sync_buf *b, const struct sync_error *problem);
/**
 * Make a failure of central's answer.
 *
 * @param http           its HTTP status, for the text when something else than central answered
 * @param retry_after_s  as the answer said
 * @return the status, never SYNC_OK
 */
enum sync_status sync_problem_read(struct sync_view body, int http, unsigned retry_after_s, struct sync_error *err);

/** One exchange, for status. */
struct sync_exchanged {
	int64_t site_id; /* at a site 0 */
	int64_t at_us, ms;
	int64_t pushed, pulled, bytes_in, bytes_out;
	enum sync_status code;
	char text[240];  /* of a failure */
};
enum { SYNC_EXCHANGES_KEPT = 100 /* per site */ };

/** Keep what n exchanges did, in one transaction; the oldest of their sites beyond SYNC_EXCHANGES_KEPT go. One that went well and
 *  carried nothing is kept only where it ends a failure. */
enum sync_status sync_exchanged_put(struct sync_db *db, const struct sync_exchanged *x, size_t n, struct sync_error *err);
/** The newest that is kept of a site. *ret_found false: there was none. */
enum sync_status sync_exchanged_last(struct sync_db *db, int64_t site_id, struct sync_exchanged *ret, bool *ret_found,
                                     struct sync_error *err);
/** Append it to a report, as the member "last_exchange". */
void sync_exchanged_json(struct sync_buf *b, const struct sync_exchanged *x);

/**
 * Move a store to another site: once the old one has pushed everything and confirmed, or at once by force.
 *
 * @param ret_done  false: it waits for the old site
 */
enum sync_status sync_store_move(struct sync_db *db, const char *store_id, const char *site, bool force, bool *ret_done,
                                 struct sync_error *err);

/** How a site's last verification went. */
struct sync_verified {
	int64_t asked_us;          /* when central last asked for one; 0: never */
	int64_t at_us;             /* when the site last reported; 0: never */
	int64_t entities, records; /* that it holds in the end */
	char digest[33];           /* over all of them */
	int64_t unequal;           /* entities in which differences were left */
};
/** Ask a site for a verification, which it makes after its next round. */
enum sync_status sync_verify_ask(struct sync_db *db, int64_t site_id, struct sync_error *err);
/** The last one; zeros when there was none. */
enum sync_status sync_verified_get(struct sync_db *db, int64_t site_id, struct sync_verified *ret, struct sync_error *err);

/**
 * What an installation has chosen of an option (sync_option_list), in a transaction of its own.
 *
 * @param ret_under_way  records are still being brought where they belong since it was last set
 */
enum sync_status sync_option_get(struct sync_db *db, const struct sync_option *o, const struct sync_option_value **ret,
                                 bool *ret_under_way, struct sync_error *err);
/**
 * Choose. All that is routed from now on goes by it; a job brings what sites lack now and takes what they no longer are to have.
 *
 * @param v            of o
 * @param ret_changed  false: it was chosen already, nothing was done
 */
enum sync_status sync_option_set(struct sync_db *db, const struct sync_option *o, const struct sync_option_value *v, bool *ret_changed,
                                 struct sync_error *err);

/** Something that waits for a person. */
struct sync_waiting {
	int64_t id;
	const char *kind; /* quarantine, grant, conflict, recovered */
	const char *site;
	const char *entity, *record_id, *code, *field, *text; /* field may be empty */
	int64_t at_us;
};
/** All that is open, oldest first. */
enum sync_status sync_waiting_each(struct sync_db *db, enum sync_status (*fn)(void *ctx, const struct sync_waiting *w, struct sync_error *err),
                                   void *ctx, struct sync_error *err);
/** Apply it as central's own edit (a grant: record it and integrate the join). @retval SYNC_EINVALID still impossible: text says why */
enum sync_status sync_waiting_accept(struct sync_db *db, int64_t id, struct sync_error *err);
/** Close it without effect; it stays on record. */
enum sync_status sync_waiting_discard(struct sync_db *db, int64_t id, struct sync_error *err);

/** How many records of a site wait at central for something to arrive, and edits of it for a person; each is counted up to limit. */
enum sync_status sync_waiting_count(struct sync_db *db, int64_t site_id, int64_t limit, int64_t *ret_arriving, int64_t *ret_deciding,
                                    struct sync_error *err);

/** After central was restored: what became of what sites offered it of the history that it lost. */
struct sync_recovered {
	int64_t accepted;
	int64_t equal; /* central had them again by itself */
	int64_t left;  /* still open */
};
/** At most limit of those that are open, from behind a number: kind is "recovered", code missing, older, changed or deleted. */
enum sync_status sync_recovered_each(struct sync_db *db, int64_t after, int64_t limit, enum sync_status (*fn)(void *ctx, const struct sync_waiting *w, struct sync_error *err),
                                     void *ctx, struct sync_error *err);
/** Close those that central has by now. */
enum sync_status sync_recovered_settle(struct sync_db *db, struct sync_recovered *ret, struct sync_error *err);
/**
 * Accept all that are possible, whole groups, of each record the latest version. What central has changed since the loss, and versions of
 * which nobody knows which is the latest, are left to a person, with their group.
 */
enum sync_status sync_recovered_accept_all(struct sync_db *db, struct sync_recovered *ret, struct sync_error *err);
/** Close all without effect. @param ret_n  how many */
enum sync_status sync_recovered_discard_all(struct sync_db *db, int64_t *ret_n, struct sync_error *err);
/** As sync_waiting_accept(), of one that was offered. */
enum sync_status sync_recovered_accept(struct sync_db *db, int64_t id, struct sync_error *err);
/** As sync_waiting_discard(), of one that was offered. */
enum sync_status sync_recovered_discard(struct sync_db *db, int64_t id, struct sync_error *err);

/** Whether central has lost history, as far as its sites have said; until all of them were here and nothing is open. */
struct sync_recovery {
	int64_t seen_us; /* when that was first seen; 0: never, or it is over */
	int64_t sites;   /* that have offered what they had of it */
	int64_t missing; /* that were not here since */
	int64_t open;    /* records that wait for a person */
};
/** Count them. */
enum sync_status sync_recovered_count(struct sync_db *db, struct sync_recovery *ret, struct sync_error *err);

/** Records that wait in an inbox for something to arrive (both roles); fn sees source, entity, record_id, code, field, needs_entity,
 *  needs_id, text, received_us. */
enum sync_status sync_inbox_each(struct sync_db *db, sync_row_fn *fn, void *ctx, struct sync_error *err);

/** For fn of sync_inbox_each(): append the row as an object to the report in ctx, a struct sync_buf. */
enum sync_status sync_inbox_json(void *ctx, const struct sync_value *v, size_t n, struct sync_error *err);

/** Open verdicts on this site's edits; fn sees kind, entity, record_id, code, field, text, at_us. */
enum sync_status sync_verdict_each(struct sync_db *db, sync_row_fn *fn, void *ctx, struct sync_error *err);

/** Where import reads and export writes: bytes, so that no memory grows with the file. */
typedef enum sync_status sync_read_fn(void *ctx, char *ret, size_t len, size_t *ret_len, struct sync_error *err);
/** Takes all len bytes. */
typedef enum sync_status sync_write_fn(void *ctx, const char *data, size_t len, struct sync_error *err);

/** The records that this site has still to push, as frames, a line each. */
enum sync_status sync_unpushed_each(struct sync_db *db, sync_write_fn *out, void *ctx, struct sync_error *err);

/** What a file of records looks like: CSV with a header line of field names, or one JSON object per line. */
enum sync_format { SYNC_CSV, SYNC_JSON_LINES };

/**
 * Import records of one entity as central's own edits, in one transaction: all lines or none.
 *
 * @param ret_records  how many
 * @retval SYNC_EINVALID  names the first bad line's number, its field and value
 */
enum sync_status sync_import(struct sync_db *db, const struct sync_entity *e, enum sync_format format, sync_read_fn *in, void *ctx,
                             int64_t *ret_records, struct sync_error *err);
/** Export all records of one entity, by id; what import reads back unchanged. */
enum sync_status sync_export(struct sync_db *db, const struct sync_entity *e, enum sync_format format, sync_write_fn *out, void *ctx,
                             int64_t *ret_records, struct sync_error *err);

#endif

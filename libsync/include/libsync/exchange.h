/** The exchange: what a site and central say to each other, over any transport. Opens no socket, reads no file. */
#ifndef LIBSYNC_EXCHANGE_H
#define LIBSYNC_EXCHANGE_H

#include <libsync/db.h>
#include <libsync/frame.h>
#include <signal.h>

/** How messages travel: HTTPS, a file, or a test's loopback. finish() follows each start(). */
struct sync_transport {
	/* Send one message; returns when all of it is on its way. */
	enum sync_status (*start)(void *ctx, struct sync_view body, struct sync_error *err);
	/* Wait for its answer; ret is reset first. */
	enum sync_status (*finish)(void *ctx, struct sync_buf *ret, struct sync_error *err);
	void *ctx;
};

/** What a round did, for status and logs. */
struct sync_report {
	int64_t requests;
	int64_t pushed;      /* records that central now holds */
	int64_t pulled;      /* records received */
	int64_t integrated;  /* of them applied here */
	int64_t waiting;     /* records here that wait in the inbox, after the round */
	int64_t waiting_at_central; /* edits that central keeps until what they need arrives, after the round */
	int64_t refused;     /* edits that central did not take, after the round */
	int64_t unpushed;    /* edits not yet at central, after the round */
	int64_t more;        /* records at central for this site, not yet pulled */
	int64_t dangling;    /* after a first load: references that must hold here, to records that central did not send */
	int64_t bytes_out, bytes_in; /* bodies */
	int64_t ms;
};

/** How a site exchanges. Zeroed: the defaults in brackets. */
struct sync_options {
	size_t message_min, message_max; /* bytes between which sizes adapt to the link [64 KiB, 8 MiB] */
	int64_t chunk_max;               /* records per message [20000]; tests use 1 */
	int64_t slice_us;                /* longest write transaction, and the pause after it [50 ms] */
	void (*progress)(void *ctx, const char *what, int64_t done, int64_t total); /* may be NULL */
	void *ctx;
	const volatile sig_atomic_t *stop; /* ends between two transactions with SYNC_EBUSY; may be NULL */
	void (*pause)(int64_t us);         /* how to wait between transactions [nanosleep]; tests do not wait */
};

/**
 * Make a site of an empty database after central registered it.
 *
 * @param site_id, token  as central's registration answered
 * @param url  empty: not known yet
 * @retval SYNC_ETAKEN  it is a site already, under another name or address
 */
enum sync_status sync_link_put(struct sync_db *db, int64_t site_id, const char *name, const char *url, const char *token,
                               const char *installation, struct sync_error *err);

/** What a site knows of its link; empty strings when it has none. */
struct sync_link {
	int64_t site_id;
	char name[128], url[512], token[64], installation[40];
	bool operational;       /* first load is over */
	int64_t load_total, load_done;
	char branch[SYNC_BRANCH + 1];
	struct sync_checkpoint made, out; /* our newest push checkpoint; central's as it last said */
	int64_t integrated;               /* seq upto which central has integrated ours */
	bool unanswered;
	struct sync_position at;
	int64_t verdict;
	int64_t more;
	char rest[SYNC_REST]; /* of a group whose beginning came in parts; else empty */
	bool echo;              /* restored, and not caught up yet */
	struct sync_fork fork;
	int loss;               /* enum sync_loss: what was received is offered to central first */
	struct sync_checkpoint offered; /* messages of that which central has, and a random id; empty once what it sent again has come */
	struct sync_checkpoint lost; /* the newest place that was held of it; without id when that is not known */
};
/** @retval SYNC_ENOTFOUND  not registered yet: remote init */
enum sync_status sync_link_get(struct sync_db *db, struct sync_link *ret, struct sync_error *err);

/**
 * First load, from wherever it stands: pages in dependency order straight into the tables, the next one on its way while one is
 * applied; then capture is switched on, what changed meanwhile is pulled, references are checked and the site is operational.
 *
 * @param db      of a site
 * @param report  filled as far as it got, also on failure
 * @retval SYNC_EBUSY  central is still preparing (err->retry_after_s)
 * @see design.md, section 8
 */
enum sync_status sync_load_run(struct sync_db *db, const struct sync_transport *t, const struct sync_options *o,
                               struct sync_report *report, struct sync_error *err);

/**
 * One round: push what is new, pull what is new, integrate; a site that is not operational is loaded first. What fails leaves
 * both sides as they were or further. SYNC_OK: nothing is left but what the report says.
 *
 * @retval SYNC_EHISTORY  central and this site did not find together again, several times in a row
 * @retval SYNC_ECOPIED   another copy of this database is at work as the same site
 */
enum sync_status sync_round(struct sync_db *db, const struct sync_transport *t, const struct sync_options *o,
                            struct sync_report *report, struct sync_error *err);

/** A record that is not the same at both sides. */
struct sync_difference {
	const struct sync_entity *entity;
	struct sync_view id;
	const char *kind; /* "missing": here; "extra": here, "differs" */
	const char *fate; /* "sent": central's version comes; "yours": this site's is put up again; "moving": what changed it is on its
	                     way; "waits": it waits, status tells why; NULL: not asked */
};
/** Sees one; borrowed until it returns. */
typedef enum sync_status sync_difference_fn(void *ctx, const struct sync_difference *d, struct sync_error *err);

/** What a comparison found. */
struct sync_compared {
	int64_t entities, records; /* compared; records as the site holds them */
	char sum[33];              /* digest over all of them, 32 hex digits */
	int64_t missing, extra, differs;
	int64_t sent, yours, moving, waits; /* what happens to these; with repair */
	int64_t unequal;           /* entities with differences */
};

/**
 * Compare what routing gives this site with what it holds, by digests of ranges of ids: round trips and bytes grow with the
 * differences, not with the records. Run a round before, so that what is on its way is not taken for a difference, and one
 * after a repair, which goes the ordinary ways.
 *
 * @param only    the entity to compare; NULL: all
 * @param repair  let central send, and put up again, what differs
 * @param fn      may be NULL
 * @param report  requests and bytes are added to it
 */
enum sync_status sync_compare(struct sync_db *db, const struct sync_transport *t, const struct sync_options *o,
                              const struct sync_entity *only, bool repair, sync_difference_fn *fn, void *ctx,
                              struct sync_compared *ret, struct sync_report *report, struct sync_error *err);

/**
 * A whole verification: a round, a comparison, and after a repair another of both. Of all entities central is told the outcome.
 *
 * @param fn         sees what the first comparison found
 * @param ret_first  of it
 * @param ret_last   of the last; the same where nothing was repaired
 */
enum sync_status sync_verify(struct sync_db *db, const struct sync_transport *t, const struct sync_options *o,
                             const struct sync_entity *only, bool repair, sync_difference_fn *fn, void *ctx,
                             struct sync_compared *ret_first, struct sync_compared *ret_last, struct sync_report *report,
                             struct sync_error *err);

/** By how much this machine's clock is wrong, when that is more than an hour. */
struct sync_clock {
	int64_t ahead_s;  /* of central's; 0: it is right */
	int64_t since_us; /* when that was first seen, by central's clock */
};
/** More than an hour. */
bool sync_clock_is_off(int64_t ahead_s);
/**
 * A site compares its clock with central's.
 *
 * @param ret_changed  it became wrong, or right, or was set by more than an hour: kept, and to be told
 */
enum sync_status sync_clock_note(struct sync_db *db, int64_t ahead_s, bool *ret_changed, struct sync_error *err);
/** What was noted. */
enum sync_status sync_clock_get(struct sync_db *db, struct sync_clock *ret, struct sync_error *err);
/** In words: "2 h 5 min ahead of central's". */
void sync_clock_text(char ret[static 64], int64_t ahead_s);

/** Edits not yet at central; what `remote run` asks when the file changed. */
enum sync_status sync_unpushed(struct sync_db *db, int64_t *ret, struct sync_error *err);

/** Central's side: one per thread, with its own database handle. */
struct sync_server;

/** @param db  central's; stays the caller's and outlives the server */
enum sync_status sync_server_new(struct sync_server **ret, struct sync_db *db, struct sync_error *err);
/**
 * Bound what one site can make wait [any number]: a push that leaves more waiting than before, and more than this, is refused
 * with SYNC_EFULL.
 *
 * @param waiting_max  records that wait for something to arrive, and as many that wait for a person
 */
void sync_server_bound(struct sync_server *s, int64_t waiting_max);
/** Records of an answer, and of a part of a group that is larger [5000]; tests use 1. */
void sync_server_chunk(struct sync_server *s, int64_t records);
/** NULL does nothing. */
void sync_server_free(struct sync_server *s);

/** What one request did, for the log. */
struct sync_served {
	int64_t pushed, pulled;
	bool spooled;     /* stored, to be integrated in the background: wake the worker */
	bool jobs;        /* rows of the queue or expansion jobs wait: wake the worker */
	bool wrote;       /* false: an empty round that wrote nothing */
};

/**
 * Answer one request of a site that the caller has authenticated.
 *
 * @param site_id  by token
 * @param body     decompressed within limits by the reader
 * @param ret      the answer, borrowed from the server until the next call
 * @param served   filled on success
 * @retval SYNC_OK         also when the push was refused because of its base: the answer says so
 * @retval SYNC_EBADFRAME  nothing was kept
 * @retval SYNC_EBUSY      a first load whose expansion is not ready; err->retry_after_s
 * @retval SYNC_EFULL      a push for which sync_server_bound() leaves no room; nothing was kept
 */
enum sync_status sync_server_answer(struct sync_server *s, int64_t site_id, struct sync_view body, struct sync_view *ret,
                                    struct sync_served *served, struct sync_error *err);

/**
 * Central's background work, a bounded step: integrate spooled requests, route what is in the queue, run expansion jobs, retry what
 * waits. Several processes may run it on one PostgreSQL. What fails does not keep the rest from being done; the first failure is
 * returned.
 *
 * @param ret_more  whether to call again at once: what did not fail has more to do
 */
enum sync_status sync_server_work(struct sync_server *s, bool *ret_more, struct sync_error *err);

/** Write last-seen times and positions that empty rounds left in memory (of all servers of this process). Every few seconds, and at the end. */
enum sync_status sync_server_flush(struct sync_db *db, struct sync_error *err);

#endif

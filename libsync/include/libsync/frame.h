/** The messages of an exchange: header, verdicts, records, end. Grammar and limits: docs/protocol.md. */
#ifndef LIBSYNC_FRAME_H
#define LIBSYNC_FRAME_H

#include <libsync/buf.h>
#include <libsync/compress.h>
#include <libsync/entity.h>
#include <libsync/error.h>
#include <stdbool.h>
#include <stdint.h>

enum {
	SYNC_PROTOCOL = 1,
	SYNC_CHECKPOINT_ID = 16,
	SYNC_BRANCH = 8,
	SYNC_REQUEST = 8,
	SYNC_VERSION_TEXT = 64,
	SYNC_REST = 384,
	SYNC_HISTORY = 8,
};

/** A put, a delete, or a drop: no longer this site's, but it exists. */
enum sync_action { SYNC_PUT = 'P', SYNC_DELETE = 'D', SYNC_DROP = 'X' };

/** A position with the random id that its sender gave it. Zeroed: nothing yet. */
struct sync_checkpoint {
	int64_t ordinal;                 /* of a push; 0 in pull positions */
	int64_t seq;                     /* upto, or the pull position */
	char id[SYNC_CHECKPOINT_ID + 1]; /* hex, or empty */
};

/** Both streams of a pull. */
struct sync_position {
	struct sync_checkpoint all; /* what goes to everybody (site 0) */
	struct sync_checkpoint own; /* what goes to this site */
};

/** Where a first load stands; entity is empty before the first page. Sent as received by the site. */
struct sync_load {
	struct sync_position at; /* H: ordinary pulls go on from here */
	char entity[64];
	char id[SYNC_MAX_ID + 1];
	int64_t total;           /* records of the whole load */
	int64_t done;            /* of them sent before this point */
	bool active;             /* request: wants this page; answer: there is a next one */
};

/** Why a site cannot simply go on from what it holds; both may be. */
enum sync_loss {
	SYNC_LOSS_NONE = 0,
	SYNC_LOSS_CENTRAL = 1, /* central lost history: it never gave this, or such a verdict */
	SYNC_LOSS_OLD = 2,     /* deletes that the site has not had are forgotten */
	SYNC_LOSS_BOTH = 3,
};

/** Where a site that lost history began its present branch, until central has stored what it made before it had caught up. */
struct sync_fork {
	struct sync_checkpoint common; /* newest that both had */
	int64_t sure;                  /* edits at or below had been confirmed before, whatever became of their checkpoints */
	int64_t upto;                  /* those at or below may have been overtaken by what the site lost */
	int64_t all_seq, own_seq;      /* what it held of each stream */
	bool made;                     /* there was one */
};

enum { SYNC_INQUIRY_MAX = 2000 /* of either list */ };

/** Question after two histories have parted: what of this do you know? Newest first. */
struct sync_inquiry {
	const struct sync_checkpoint *made; /* pushes that the site has made */
	size_t n_made;
	const struct sync_position *held; /* places that it has held */
	size_t n_held;
	bool active;
};

/** The answer: the newest of either list that central knows; zeroed where it knows none. */
struct sync_common {
	struct sync_checkpoint made;
	struct sync_position at;
	bool active;
};

/** First frame of a request or an answer; each side reads what the other writes. */
struct sync_header {
	int protocol;
	int schema;
	char program[32];            /* version of the sending program */
	int64_t site;                /* request: who; answer: to whom */
	char branch[SYNC_BRANCH + 1];/* of the site's history */
	char request[SYNC_REQUEST + 1];/* random id of a request that moves the site's positions; its answer repeats it */
	/* request */
	struct sync_checkpoint base; /* what the site believes central's newest to be */
	struct sync_checkpoint made; /* of this push; ordinal 0 when it carries no records */
	struct sync_position at;     /* what the site durably holds */
	int64_t verdict;             /* highest verdict stored; answer: newest there is */
	int64_t unpushed;            /* records that the site still has after this request */
	int64_t want;                /* body bytes of the answer that suit the link; 0: no records please */
	bool echo;                   /* what this site made is wanted, too */
	bool held;                   /* something that central sent waits for what was done at the site */
	struct sync_fork fork;
	struct sync_inquiry inquiry;         /* a request with it has nothing else to ask; borrowed from the reader */
	struct sync_checkpoint offered;      /* messages of this offering that central has taken (seq), and the id of the offering */
	bool part;                   /* all of it is of one group that goes on in the next request */
	bool cont;                   /* its first group goes on from the request before */
	char rest[SYNC_REST];        /* what the site has of a group that goes on; as sync_end.rest gave it */
	struct sync_load load;       /* in both */
	int loss;                    /* enum sync_loss; request: its records are what the site received, an offer; answer: of what the request says */
	struct sync_checkpoint lost; /* request with loss: the newest place that the site held */
	/* answer */
	struct sync_checkpoint stored; /* central's newest of this site */
	int64_t integrated;            /* seq upto which the site's records are integrated */
	int64_t highest;               /* highest seq seen from it */
	bool refused;                  /* the push was not read: base is not stored */
	struct sync_common common;     /* answer to inquiry */
	int verify;                    /* in both: enum sync_verify_step; the message has ranges instead of records */
};

/** What a message with ranges is about. */
enum sync_verify_step {
	SYNC_VERIFY_NONE,
	SYNC_VERIFY_COMPARE, /* request: what the site has; answer: what central has where that differs, in smaller ranges */
	SYNC_VERIFY_REPAIR,  /* request: records that differ, .to is the id; answer: what happens to each */
	SYNC_VERIFY_REPORT,  /* request: what the site holds of each entity in the end, .kind whether it is "equal"; no answer */
};

/** Records of one entity whose ids are above from and at most to, in the order of their bytes; one frame. */
struct sync_range {
	struct sync_view name;           /* of the entity */
	const struct sync_entity *entity;/* NULL: this build does not know it */
	struct sync_view from, to;       /* empty: from the start, to the end */
	int64_t n;                       /* records in it */
	char sum[33];                    /* their digest, 32 hex digits, or empty: not given */
	bool later;                      /* answer: not looked at yet, ask again */
	const char *kind;                /* REPAIR: what differs, or what happens; NULL otherwise */
};

/** What central decided about one edit of the site. */
struct sync_verdict {
	int64_t n; /* rises per site */
	const char *kind; /* "refused", "waiting", "conflict", "resolved", "leave", "verify" */
	struct sync_view entity, id;
	int64_t seq;
	struct sync_view code, field, text; /* field may be empty */
};

/** Why a record cannot be integrated; NULL in a record that is well-formed. */
struct sync_fault {
	const char *code;  /* "wrong_type", "bad_value", "missing_field", … */
	const char *field; /* or NULL */
	const char *text;
};

/** One record; all views borrow from what it was read from. */
struct sync_record {
	const struct sync_entity *entity; /* NULL: this build does not know it */
	struct sync_view name;            /* of the entity */
	struct sync_view id;
	enum sync_action action;
	int64_t seq;                      /* the sender's; 0 when it has none (first load) */
	struct sync_view root;            /* id of the group's root; derived for puts, carried for deletes and drops of children */
	struct sync_view version;         /* "any" entities: of this content, "site.branch.seq" */
	struct sync_view base;            /* the version that the edit changed */
	int64_t age_ms;                   /* of the edit when it was sent; -1 unknown */
	struct sync_value *values;        /* entity->n_fields of them; NULL unless a put of a known entity */
	struct sync_view extra;           /* JSON object: fields this build does not know, or all of an unknown entity; or empty */
	const struct sync_fault *fault;
};

/** Last frame. */
struct sync_end {
	int64_t records;         /* that the message carries; checked by the reader */
	struct sync_position at; /* answer: position once its records are durable */
	int64_t more;            /* answer: records still to come */
	char from[SYNC_REST];    /* answer: its first group goes on from there, which is the rest that the site had */
	char rest[SYNC_REST];    /* answer: its last group goes on from there in the next one; text that means something to central */
	struct sync_load load;   /* answer to a load request: the next page */
};

/** Limits of a message; a breach is SYNC_ETOOBIG or SYNC_EBADFRAME with the figure. */
struct sync_limits {
	size_t plain_bytes;    /* decompressed */
	size_t line_bytes;     /* one frame */
	int64_t records;
	int depth;             /* of JSON nesting */
};
/** 256 MiB, 16 MiB, 100000, 32. */
extern const struct sync_limits sync_default_limits;

/** The dictionary of this build's schema; made at the first call, freed at exit. Thread-safe. NULL if zstd refuses. */
const struct sync_dictionary *sync_schema_dictionary(void);

/**
 * One record frame: a JSON object and a newline. Absent values are left out, extra is merged into "d". What JSON cannot carry
 * (not UTF-8, not finite, a blob) is left out as well, and with such an id or name nothing is written: r->fault tells before,
 * after sync_record_finish().
 */
void sync_record_write(struct sync_buf *b, const struct sync_record *r);
/**
 * Read one record frame.
 *
 * @param arena  keeps what r borrows
 * @param line   without or with its newline
 * @retval SYNC_EBADFRAME  not JSON, too deep, a missing or impossible member; a wrong *field* is r->fault and SYNC_OK
 */
enum sync_status sync_record_read(struct sync_record *r, struct sync_arena *arena, struct sync_view line,
                                  const struct sync_limits *limits, struct sync_error *err);
/**
 * Merge two JSON objects by member: those of newer replace those of older with the same name; values keep their exact text.
 * An empty view is an empty object. Both are well-formed, as sync_record_read() leaves them.
 */
void sync_json_merge(struct sync_buf *ret, struct sync_view older, struct sync_view newer);
/** Whether that would change a value of the older one; either may be empty. True when memory is out. */
bool sync_json_changes(struct sync_view older, struct sync_view newer);
/**
 * Set r->root (for puts, from the parent field; roots: the id) and r->fault, after r->values were filled in. Besides wrong values a
 * fault is what no reader would take, "too_big"; so a record without fault spoils no message.
 */
void sync_record_finish(struct sync_record *r, struct sync_arena *arena);

/** Writes one message after another into its own buffer. */
struct sync_writer;

/** @param d  dictionary or NULL @param level  of compression without one @param max_bytes  of the compressed message */
enum sync_status sync_writer_new(struct sync_writer **ret, const struct sync_dictionary *d, int level, size_t max_bytes,
                                 struct sync_error *err);
/** NULL does nothing. */
void sync_writer_free(struct sync_writer *w);
/** For defer(). */
void sync_writer_freep(struct sync_writer **w);
/** Start a message; request tells which members of the header are written. */
void sync_writer_begin(struct sync_writer *w, const struct sync_header *h, bool request);
/** Put a verdict, before any record. */
void sync_writer_verdict(struct sync_writer *w, const struct sync_verdict *v);
/** Put a record. */
void sync_writer_record(struct sync_writer *w, const struct sync_record *r);
/** Put a range, in a message whose header says so. */
void sync_writer_range(struct sync_writer *w, const struct sync_range *r);
/** Compressed bytes so far, an estimate that lags by at most what zstd holds back. */
size_t sync_writer_size(const struct sync_writer *w);
/** Records so far. */
int64_t sync_writer_records(const struct sync_writer *w);
/** End it. *ret borrows from the writer until the next begin; end->records is filled in. Earlier failures surface here. */
enum sync_status sync_writer_end(struct sync_writer *w, struct sync_end *end, struct sync_view *ret, struct sync_error *err);

/** What a reader found. */
enum sync_frame { SYNC_FRAME_VERDICT, SYNC_FRAME_RECORD, SYNC_FRAME_END };

/** Reads one message; grows with a line, not with the message. */
struct sync_reader;

/** @param body  borrowed: zstd when it starts with zstd's magic number, else plain JSON lines */
enum sync_status sync_reader_new(struct sync_reader **ret, struct sync_view body, const struct sync_limits *limits,
                                 struct sync_error *err);
/** NULL does nothing. */
/** Read another message in the memory of the one before. */
enum sync_status sync_reader_reset(struct sync_reader *r, struct sync_view body, const struct sync_limits *limits,
                                   struct sync_error *err);
/** NULL does nothing. */
void sync_reader_free(struct sync_reader *r);
/** For defer(). */
void sync_reader_freep(struct sync_reader **r);
/** The header; first; the lists in it live as long as the message. Whether the body used the dictionary: sync_reader_dictionary(). */
enum sync_status sync_reader_header(struct sync_reader *r, struct sync_header *ret, bool request, struct sync_error *err);
/** Whether the body was made with the dictionary of this build. */
bool sync_reader_dictionary(const struct sync_reader *r);
/**
 * The next frame.
 *
 * @param arena       keeps what the record borrows, until the caller resets it
 * @param ret_line    the frame's text, valid until the next call
 * @retval SYNC_EBADFRAME  anything wrong with the message, count and digest of its end included; say nothing was read
 */
enum sync_status sync_reader_next(struct sync_reader *r, struct sync_arena *arena, enum sync_frame *ret_kind,
                                  struct sync_record *ret_record, struct sync_verdict *ret_verdict, struct sync_end *ret_end,
                                  struct sync_view *ret_line, struct sync_error *err);
/**
 * The next range of a message whose header says that it has ranges.
 *
 * @param arena  keeps what ret borrows
 * @param ret_more  false: that was the end, there is no range
 */
enum sync_status sync_reader_range(struct sync_reader *r, struct sync_arena *arena, struct sync_range *ret, bool *ret_more,
                                   struct sync_error *err);
/** Skip what is left without parsing it, and read the end: whether the message is whole, and what the end says. */
enum sync_status sync_reader_end(struct sync_reader *r, struct sync_end *ret, struct sync_error *err);
/** Skip n records without parsing them. */
enum sync_status sync_reader_skip(struct sync_reader *r, int64_t n, struct sync_error *err);

#endif

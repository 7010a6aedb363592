/** The file that a bundle is; what is in it is the exchange's. Grammar: docs/protocol.md. Inner header of the exchange. */
#ifndef SYNC_EXCHANGE_BUNDLE_H
#define SYNC_EXCHANGE_BUNDLE_H

#include <libsync/bundle.h>
#include <libsync/crypto.h>
#include <libsync/frame.h>
#include <stdio.h>

#include "base/file.h"

enum {
	SYNC_BUNDLE_FORMAT = 1,
	SYNC_BUNDLE_CHUNK = 64 << 10,
	SYNC_BUNDLE_CLEAR = 2048,          /* bytes of the line that is not sealed */
	SYNC_BUNDLE_MESSAGE = 64 << 20,    /* bytes of a message */
	SYNC_BUNDLE_PLACES = 32,           /* ends of earlier bundles that one names */
	SYNC_BUNDLE_PLACE = 80,            /* bytes of a place as text */
};

extern const char sync_bundle_load[], sync_bundle_news[], sync_bundle_edits[]; /* kinds */
extern const char sync_bundle_by_secret[], sync_bundle_by_token[];             /* keys */

/** What anybody may read who holds the file, and nobody may alter. */
struct sync_bundle_clear {
	char kind[8], site[128], installation[40], made_at[21], program[32], key[8], salt[33];
	int64_t site_id;
};

/** What comes before the messages. */
struct sync_bundle_head {
	char token[64];                      /* load by secret: what the site authenticates by from now on */
	char from[SYNC_BUNDLE_PLACE];        /* news: the place behind which they begin */
	char places[SYNC_BUNDLE_PLACES * SYNC_BUNDLE_PLACE]; /* from central: where earlier bundles ended, and a blank behind each */
	char pushes[4096];                   /* edits: ids of pushes that the site made since the one that central confirmed, blanks behind */
};

/** A place in the two streams, as text without blanks: two of the same history are equal when their texts are. */
void sync_place_text(char ret[static SYNC_BUNDLE_PLACE], const struct sync_position *at);
/** Everything of both streams upto this seq is held at that place: a site reads them in the order of seq. */
int64_t sync_place_seq(const struct sync_position *at);
/** Whether a list of words with a blank behind each has this one. */
bool sync_words_have(const char *words, const char *word);
/** Add a word to such a list, of so many bytes; the oldest make room. */
void sync_words_add(char *words, size_t size, const char *word);

/** A bundle being written. */
struct sync_bundle_out {
	struct sync_part part;
	struct sync_seal seal;
	struct sync_bundle_clear clear;
	char text[SYNC_BUNDLE_CLEAR]; /* the clear line; it is sealed with the first chunk */
	unsigned char key[SYNC_SEAL_KEY];
	size_t used;
	int64_t bytes;
	char chunk[SYNC_BUNDLE_CHUNK];
};
/** Set salt, time and program. */
void sync_bundle_sign(struct sync_bundle_clear *c);
/** What it says of itself, for the report. */
void sync_bundle_tell(struct sync_bundled *ret, const struct sync_bundle_clear *c);
/** What is to be written must not take the place of anything else. @retval SYNC_EINVALID  path is there, and is no bundle */
enum sync_status sync_bundle_spare(const char *path, struct sync_error *err);
/** Begin one. @param path  outlives it @retval SYNC_EINVALID  see sync_bundle_spare */
enum sync_status sync_bundle_new(struct sync_bundle_out **ret, const char *path, struct sync_error *err);
/** Its front. @param clear  signed; its key is in b */
enum sync_status sync_bundle_front(struct sync_bundle_out *b, const struct sync_bundle_clear *clear, const struct sync_bundle_head *head,
                                   struct sync_error *err);
/** Put a message. */
enum sync_status sync_bundle_put(struct sync_bundle_out *b, struct sync_view message, struct sync_error *err);
/** It is whole. */
enum sync_status sync_bundle_finish(struct sync_bundle_out *b, struct sync_error *err);
/** For defer(): forget it unless it is finished. */
void sync_bundle_freep(struct sync_bundle_out **b);

/** A bundle being read. */
struct sync_bundle_in {
	const char *path;
	FILE *f;
	struct sync_seal seal;
	struct sync_bundle_clear clear;
	struct sync_bundle_head head;
	struct sync_buf text; /* the clear line */
	unsigned char key[SYNC_SEAL_KEY];
	long front;           /* where what is sealed begins */
	bool first, last;     /* the next chunk is the first; the last was read */
	size_t at, n;         /* of the chunk */
	struct sync_buf message;
	char chunk[SYNC_BUNDLE_CHUNK], sealed[SYNC_BUNDLE_CHUNK + SYNC_SEAL_MORE];
};
/**
 * Open it and read what is not sealed.
 *
 * @param path  outlives it
 * @retval SYNC_EBADFRAME  no bundle, or cut short
 * @retval SYNC_EVERSION   made by a newer version
 */
enum sync_status sync_bundle_open(struct sync_bundle_in **ret, const char *path, struct sync_error *err);
/** For defer(). */
void sync_bundle_closep(struct sync_bundle_in **b);
/** Whether it is of a kind that the caller takes, for this site and its installation. */
enum sync_status sync_bundle_check(const struct sync_bundle_in *b, const char *const *kinds, int64_t site_id, const char *site,
                                   const char *installation, struct sync_error *err);
/** Read the head; its key is set. At first, and to begin again. @retval SYNC_EBADFRAME  altered, or another key */
enum sync_status sync_bundle_begin(struct sync_bundle_in *b, struct sync_error *err);
/** The next message, in b->message; *ret_more: there was one. @retval SYNC_EBADFRAME  altered, or cut short */
enum sync_status sync_bundle_next(struct sync_bundle_in *b, bool *ret_more, struct sync_error *err);

#endif

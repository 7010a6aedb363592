/** Requests and answers over a transport, in sizes that suit the link. Inner header of the exchange. */
#ifndef SYNC_TALK_H
#define SYNC_TALK_H

#include <libsync/exchange.h>

/** A site talking to central. */
struct sync_talk {
	const struct sync_transport *t;
	const struct sync_options *o;
	struct sync_report *report;
	struct sync_writer *writers[2]; /* of the message on its way, or next, and of the one after; NULL until needed */
	struct sync_buf body;           /* the last answer */
	bool dictionary;                /* until central says that it has another one */
	bool waiting;                   /* a request is on its way */
	size_t size, max;               /* bytes that suit the link, between o->message_min and max */
	size_t kept_size;               /* as the database has it */
	size_t sent;
	int64_t began_us;
	bool quick; /* the last answer came soon */
};

/** Begin with the size that suited last time. @param max  bytes of a message at most */
enum sync_status sync_talk_open(struct sync_talk *talk, struct sync_db *db, const struct sync_transport *t,
				const struct sync_options *o, struct sync_report *report, size_t max, struct sync_error *err);
/** Wait for what is on its way, keep the size, free the rest. Outside any transaction. */
void sync_talk_close(struct sync_talk *talk, struct sync_db *db);

/** What to write the next message with. */
enum sync_status sync_talk_writer(struct sync_talk *talk, struct sync_writer **ret, struct sync_error *err);
/** Give its memory back, and with it that message, until the next one is written. */
void sync_talk_rest(struct sync_talk *talk);
/** Send a message; it is read until its answer is there. */
enum sync_status sync_talk_start(struct sync_talk *talk, struct sync_view message, struct sync_error *err);
/** While it is on its way, and its writer with it: a writer for the one after. */
enum sync_status sync_talk_ahead(struct sync_talk *talk, struct sync_writer **ret, struct sync_error *err);
/** Send what that one wrote. */
enum sync_status sync_talk_start_ahead(struct sync_talk *talk, struct sync_view message, struct sync_error *err);
/**
 * Wait for its answer, which is then in talk->body.
 *
 * @retval SYNC_EDICTIONARY  the writer is another one now: write the message again
 */
enum sync_status sync_talk_finish(struct sync_talk *talk, struct sync_error *err);

#endif

/** A transport in memory between a site and central, with a fault for one message. */
#ifndef SYNC_LOOPBACK_H
#define SYNC_LOOPBACK_H

#include <libsync/exchange.h>

/** What happens to a message. Whatever the site cannot read as an answer it sees as SYNC_ENET or as the bytes that came. */
enum loopback_fault {
	LOOPBACK_NONE,
	LOOPBACK_CUT_REQUEST, /* central gets its first bytes */
	LOOPBACK_CUT_ANSWER,  /* the site gets its first bytes */
	LOOPBACK_CUT_END,     /* the site gets all but its last bytes: no two answers are equally long */
	LOOPBACK_LOSE_REQUEST,
	LOOPBACK_LOSE_ANSWER,
	LOOPBACK_REPEAT,     /* central gets it twice, the site gets the second answer */
	LOOPBACK_DELAY,      /* the site gives up; central gets it in loopback_deliver() */
	LOOPBACK_OLD_ANSWER, /* the site gets the answer of the message before */
};

struct loopback {
	struct sync_transport transport;
	struct sync_db *db; /* central's */
	struct sync_server *server;
	int64_t site_id;
	enum loopback_fault fault;
	int64_t fault_at;                   /* number of the message, from 1 */
	size_t cut;                         /* bytes that arrive, or do not */
	int64_t messages;                   /* sent so far */
	size_t request_bytes, answer_bytes; /* of the last message, before any cut */
	enum sync_status answered;          /* what central made of the last message that it got */
	struct sync_served served;          /* what it did when that went well */
	struct sync_buf request, answer, delayed;
};

/** @param db  central's; stays open until the loopback is closed */
void loopback_open(struct loopback *l, struct sync_db *db, int64_t site_id);
void loopback_close(struct loopback *l);
/** Let this happen to the n-th message from now on. */
void loopback_arm(struct loopback *l, enum loopback_fault fault, int64_t nth, size_t cut);
/** Bring what was delayed to central; what it answers reaches nobody. */
enum sync_status loopback_deliver(struct loopback *l);
/** Let central do all of its background work. */
void loopback_work(struct loopback *l);

#endif

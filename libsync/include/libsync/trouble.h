/**
 * What keeps a database's file from being written or trusted: logged when it begins and when it is over, and kept for others to
 * see in the lock file of the program that has the database. It is written in place, since a full disk has no room for more and a
 * damaged database is not written. Only programs use it.
 */
#ifndef LIBSYNC_TROUBLE_H
#define LIBSYNC_TROUBLE_H

#include <libsync/buf.h>
#include <libsync/error.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

struct sync_trouble {
	enum sync_status code; /* SYNC_ECORRUPT, SYNC_EDISKFULL or SYNC_EREADONLY; SYNC_OK: there is none of these */
	const char *name;      /* of another trouble than of the file, for reports; NULL: the code's */
	int64_t since_us;      /* 0: nobody knows */
	char text[512];        /* what was seen, and what to do */
};

/** The present trouble of one database; any thread may use it. */
struct sync_guard {
	pthread_mutex_t lock;
	int fd; /* where it is kept; -1: nowhere */
	struct sync_trouble now;
};

/** Begin with what is kept at fd, borrowed; -1: with none, and keep it nowhere. */
void sync_guard_open(struct sync_guard *g, int fd);

/** Whether a failure is such a trouble; it is logged and kept when it is another one than before. */
bool sync_guard_saw(struct sync_guard *g, const struct sync_error *err);
/** Something was written: it is over. */
void sync_guard_well(struct sync_guard *g);
/** The present one's code. */
enum sync_status sync_guard_code(struct sync_guard *g);
/** Pass the present one up. */
enum sync_status sync_guard_fail(struct sync_guard *g, struct sync_error *err);

/**
 * For those who only read: what the program that has the lock file, or last had it, keeps there, and what can be seen of the
 * database's file without writing: that it, or its disk, is read-only, or the disk full.
 *
 * @return how many
 */
size_t sync_trouble_gather(const char *lock, const char *file, struct sync_trouble ret[static 2]);
/** Append them to a report: "trouble": [{"code": …, "since": …, "text": …}, …]. */
void sync_trouble_list(struct sync_buf *b, const struct sync_trouble *t, size_t n);
/** Append a line for people. */
void sync_trouble_text(struct sync_buf *b, const struct sync_trouble *t);

#endif

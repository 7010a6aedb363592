/** HTTP requests to one peer over a connection that is kept. A handle belongs to one thread. */
#ifndef LIBSYNC_HTTP_H
#define LIBSYNC_HTTP_H

#include <libsync/buf.h>
#include <libsync/error.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>

struct sync_http;

/** How to reach the peer. Zeroed: the system's certificates, HTTPS only, waiting for ever. */
struct sync_http_options {
	const char *ca_file;               /* PEM; NULL: the system's certificates */
	unsigned idle_timeout_s;           /* give up when nothing moves for so long; 0: never */
	bool allow_plain;                  /* plain HTTP to other hosts than loopback */
	const volatile sig_atomic_t *stop; /* not zero: give up with SYNC_EBUSY, within a quarter second; may be NULL */
};

/** A POST. All of it is borrowed, until finish(). */
struct sync_http_request {
	const char *url;
	const char *content_type;
	const char *token; /* bearer token, or NULL */
	struct sync_view body;
};

/** What came back. The caller sets body, the rest is filled. */
struct sync_http_answer {
	struct sync_buf *body; /* reset first; its max is the limit */
	int status;
	unsigned retry_after_s;          /* 0 when not said; at most a day */
	int64_t date_s;                  /* the peer's clock, since 1970; 0 when not said */
	char content_type[64];           /* as sent, cut to fit; empty when not said */
	int64_t sent_bytes, read_bytes;  /* HTTP messages with their headers; without TLS */
	int64_t first_byte_ms, total_ms; /* since start() began */
	int64_t waited_ms;               /* part of total_ms that start() and finish() took */
};

/**
 * @param o    copied; the strings in it must outlive the handle
 * @retval SYNC_ENOMEM  libcurl could not
 */
enum sync_status sync_http_new(struct sync_http **ret, const struct sync_http_options *o, struct sync_error *err);
/** Closes the connection, cancels a request that is under way. NULL does nothing. */
void sync_http_free(struct sync_http *h);
/** For defer(). */
void sync_http_freep(struct sync_http **h);

/**
 * Send a request; returns when all of it has left, or the answer has begun. finish() or cancel() must follow when it
 * succeeds; after a failure nothing is under way.
 *
 * @retval SYNC_EUSAGE  not an http or https URL, or plain HTTP that is not allowed: nothing was sent
 * @retval SYNC_ENET    not reachable, cut, or idle for too long; the text names the host
 * @retval SYNC_ETLS    the certificate is not trusted; the text tells by which authorities
 * @retval SYNC_EBUSY   stopped by options.stop
 */
enum sync_status sync_http_start(struct sync_http *h, const struct sync_http_request *r, struct sync_error *err);
/**
 * Wait for the answer, whatever its HTTP status is. Redirects are not followed.
 *
 * @retval SYNC_ENET    cut, or idle for too long
 * @retval SYNC_ETOOBIG more than answer->body->max; the connection is closed
 * @retval SYNC_EBUSY   stopped by options.stop
 */
enum sync_status sync_http_finish(struct sync_http *h, struct sync_http_answer *answer, struct sync_error *err);
/** Drop what is under way, and its connection. Nothing under way: does nothing. */
void sync_http_cancel(struct sync_http *h);
/** start() and finish() in one. */
enum sync_status sync_http_post(struct sync_http *h, const struct sync_http_request *r, struct sync_http_answer *answer,
                                struct sync_error *err);

#endif

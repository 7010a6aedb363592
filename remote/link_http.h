/* Messages over HTTP. */
#ifndef LINK_HTTP_H
#define LINK_HTTP_H

#include <libsync/http.h>
#include <libsync/site.h>

#include "remote.h"

enum { URL_MAX = 600 };

struct link_http {
	struct sync_http *http;
	char exchange_url[URL_MAX], register_url[URL_MAX];
	char token[64];
	int64_t sent_bytes, read_bytes; /* HTTP messages, headers included */
	enum sync_status told;          /* the failure that central last answered; SYNC_OK again when a round begins */
	int64_t date_s;                 /* central's clock as it last said, when this machine's was at dated_s; 0: not yet */
	int64_t dated_s;
	struct sync_transport transport;
};

/** @param url  of central @param ca_file  NULL: the system's authorities; outlives the link */
enum sync_status link_http_open(struct link_http *ret, const struct remote_settings *s, const char *url, const char *ca_file,
                                const char *token, struct sync_error *err);
void link_http_close(struct link_http *l);
/** Trade the secret for a token: r's request members are set, its answer is filled. */
enum sync_status link_http_register(struct link_http *l, struct sync_registration *r, struct sync_error *err);

#endif

/* The HTTP server: civetweb, its guards and the table of routes. */
#ifndef CENTRAL_HTTP_H
#define CENTRAL_HTTP_H

#include "api.h"

struct http;

/** Listen. @retval SYNC_EUSAGE  an address that cannot be, plain HTTP that is not allowed @retval SYNC_EIO  it is taken */
enum sync_status http_start(struct http **ret, struct api *api, struct sync_error *err);
/** "http://127.0.0.1:8440", with the port that was chosen. */
const char *http_url(const struct http *h);
int http_port(const struct http *h);
/** Accept nothing more, let what is under way finish. NULL does nothing. */
void http_stop(struct http *h);

#endif

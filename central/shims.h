/* What Debian's civetweb needs to be given: an OpenSSL that it finds, and threads with room enough. */
#ifndef CENTRAL_SHIMS_H
#define CENTRAL_SHIMS_H

#include <libsync/error.h>

/**
 * Load a certificate with its chain, and its key, into OpenSSL's SSL_CTX.
 *
 * @param key  NULL: it stands in the file of the certificate
 * @retval SYNC_ETLS  why OpenSSL will not have them
 */
enum sync_status shims_load_certificate(void *ssl_ctx, const char *cert, const char *key, struct sync_error *err);

#endif

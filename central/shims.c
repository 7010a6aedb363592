#include "shims.h"

#include <dlfcn.h>
#include <pthread.h>
#include <stddef.h>
#include <string.h>

#include "base/internal.h"

/*
 * Debian's libcivetweb opens libssl.so and libcrypto.so at run time, which only libssl-dev has, and looks for a function that
 * OpenSSL 3 has renamed. The functions below stand in the executable, are exported, and so come before those of the libraries:
 * civetweb's dlopen() gets the whole program, with OpenSSL 3 in it, and finds SSL_get_peer_certificate() here.
 */
#define EXPORT __attribute__((visibility("default")))

enum { STACK_BYTES = 512 << 10, PEM = 1 /* SSL_FILETYPE_PEM */ };

EXPORT void *SSL_get_peer_certificate(const void *ssl);

static void *openssl(void *(*real_dlopen)(const char *file, int mode), int mode)
{
	if (!real_dlopen("libcrypto.so.3", RTLD_NOW | RTLD_GLOBAL) || !real_dlopen("libssl.so.3", RTLD_NOW | RTLD_GLOBAL))
		return NULL;
	return real_dlopen(NULL, mode);
}

EXPORT void *dlopen(const char *file, int mode)
{
	void *(*real)(const char *file, int mode) = (void *(*)(const char *, int))dlsym(RTLD_NEXT, "dlopen");

	if (file && (strcmp(file, "libssl.so") == 0 || strcmp(file, "libcrypto.so") == 0))
		return openssl(real, mode);
	return real(file, mode);
}

EXPORT void *SSL_get_peer_certificate(const void *ssl)
{
	void *(*get1)(const void *ssl) = (void *(*)(const void *))dlsym(RTLD_DEFAULT, "SSL_get1_peer_certificate");

	return get1 ? get1(ssl) : NULL;
}

/* civetweb asks for 100 KiB, which an exchange inside a database's library may need more of; only what is touched is memory. */
EXPORT int pthread_attr_setstacksize(pthread_attr_t *attr, size_t size)
{
	int (*real)(pthread_attr_t *attr, size_t size) = (int (*)(pthread_attr_t *, size_t))dlsym(RTLD_NEXT, "pthread_attr_setstacksize");

	return real(attr, size < STACK_BYTES ? STACK_BYTES : size);
}

static enum sync_status refused(const char *what, const char *file, const char *next, struct sync_error *err)
{
	unsigned long (*get_error)(void) = (unsigned long (*)(void))dlsym(RTLD_DEFAULT, "ERR_get_error");
	const char *(*reason)(unsigned long e) = (const char *(*)(unsigned long))dlsym(RTLD_DEFAULT, "ERR_reason_error_string");
	const char *text = get_error && reason ? reason(get_error()) : NULL;

	return sync_fail(err, SYNC_ETLS, "%s %s: %s: %s", what, file, text ? text : "not usable", next);
}

enum sync_status shims_load_certificate(void *ssl_ctx, const char *cert, const char *key, struct sync_error *err)
{
	int (*use_chain)(void *ctx, const char *file) = (int (*)(void *, const char *))dlsym(RTLD_DEFAULT, "SSL_CTX_use_certificate_chain_file");
	int (*use_key)(void *ctx, const char *file, int type) =
		(int (*)(void *, const char *, int))dlsym(RTLD_DEFAULT, "SSL_CTX_use_PrivateKey_file");

	if (!use_chain || !use_key)
		return sync_fail(err, SYNC_ETLS, "OpenSSL is not to be found");
	if (use_chain(ssl_ctx, cert) != 1)
		return refused("--tls-cert", cert, "it must be a certificate with its chain, in PEM", err);
	if (!key && use_key(ssl_ctx, cert, PEM) != 1)
		return refused("--tls-cert", cert, "it has no key: name the key's file as --tls-key", err);
	if (key && use_key(ssl_ctx, key, PEM) != 1)
		return refused("--tls-key", key, "it must be the key of the certificate, in PEM and without a passphrase", err);
	return SYNC_OK;
}

/** Random ids, digests, secrets and tokens, over libsodium. Call sync_crypto_init() once per process. */
#ifndef LIBSYNC_CRYPTO_H
#define LIBSYNC_CRYPTO_H

#include <libsync/buf.h>
#include <libsync/error.h>
#include <stdbool.h>
#include <stdint.h>

/** @retval SYNC_EIO  libsodium could not start */
enum sync_status sync_crypto_init(struct sync_error *err);
/** n random lower-case hex digits and a NUL. */
void sync_random_hex(char *ret, size_t n);
/** A random UUID, 36 characters and a NUL. */
void sync_random_uuid(char ret[static 37]);
/** A random number below bound (for jitter). */
uint32_t sync_random_below(uint32_t bound);
/** A random secret for a person to copy: 5 groups of 5 from an alphabet without look-alikes, and a NUL (30 bytes). */
void sync_random_secret(char ret[static 30]);
/** A random token: 32 bytes as unpadded URL-safe base64 and a NUL (44 bytes). */
void sync_random_token(char ret[static 44]);

/** argon2id with 19 MiB and 2 passes, as text with its parameters (128 bytes). */
enum sync_status sync_secret_hash(char ret[static 128], struct sync_view secret, struct sync_error *err);
/** Whether secret has that hash; false for a hash that cannot be read. Takes tens of milliseconds on purpose. */
bool sync_secret_verify(const char *hash, struct sync_view secret);
/** BLAKE2b-256 of a token as 64 hex digits and a NUL: how tokens are stored. */
void sync_token_hash(char ret[static 65], struct sync_view token);

/** How much longer than its text a sealed piece is, and the bytes of a key and of what opens a stream. */
enum { SYNC_SEAL_MORE = 17, SYNC_SEAL_KEY = 32, SYNC_SEAL_START = 24 };
/** A key for one stream. @param token_hash  as sync_token_hash() gives it @param salt  random text, not secret */
void sync_seal_key(unsigned char ret[static SYNC_SEAL_KEY], const char *token_hash, const char *salt);
/** The same from a one-time secret, as slow as sync_secret_hash(). @retval SYNC_ENOMEM  no 19 MiB */
enum sync_status sync_seal_secret_key(unsigned char ret[static SYNC_SEAL_KEY], struct sync_view secret, const char *salt,
                                      struct sync_error *err);
/** A stream of sealed pieces: whoever has not the key can neither read them, nor alter, leave out, repeat or move one unseen. */
struct sync_seal {
	uint64_t state[8];
};
/** Begin to seal. @param ret_start  for the reader */
void sync_seal_open(struct sync_seal *s, const unsigned char key[static SYNC_SEAL_KEY], unsigned char ret_start[static SYNC_SEAL_START]);
/** Seal a piece. @param ret  has room for SYNC_SEAL_MORE bytes more than text @param beside  what is not sealed, yet must not be altered */
void sync_seal_put(struct sync_seal *s, unsigned char *ret, struct sync_view text, struct sync_view beside, bool last);
/** Begin to read. */
void sync_unseal_open(struct sync_seal *s, const unsigned char key[static SYNC_SEAL_KEY], const unsigned char start[static SYNC_SEAL_START]);
/** Read a piece. @param ret  has room for it @return false: altered, or with another key */
bool sync_unseal_get(struct sync_seal *s, unsigned char *ret, struct sync_view sealed, struct sync_view beside, bool *ret_last);
/** Forget it, and the key in it. */
void sync_seal_clear(struct sync_seal *s);

/** A running XXH3 64-bit digest over bytes, for frames: not for security. */
struct sync_digest {
	void *state;
};
/** Start with no bytes; closed by sync_digest_close(). */
enum sync_status sync_digest_open(struct sync_digest *d, struct sync_error *err);
/** Take in more bytes. */
void sync_digest_add(struct sync_digest *d, struct sync_view v);
/** Of all bytes so far. */
uint64_t sync_digest_value(const struct sync_digest *d);
/** Start over. */
void sync_digest_reset(struct sync_digest *d);
/** Free its memory; a zeroed or closed digest does nothing. */
void sync_digest_close(struct sync_digest *d);

/** An order-independent digest of a set: the sum, modulo 2^128, of the XXH3-128 of its members. Zeroed: of the empty set. */
struct sync_sum {
	uint64_t high, low;
};
/** Add a member, given by its bytes. */
void sync_sum_add(struct sync_sum *sum, struct sync_view member);
/** Add all members of another set. */
void sync_sum_join(struct sync_sum *sum, const struct sync_sum *other);
/** Whether two are equal. */
bool sync_sum_eq(const struct sync_sum *a, const struct sync_sum *b);

#endif

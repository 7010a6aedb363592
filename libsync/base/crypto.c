#include <libsync/crypto.h>

#include <sodium.h>
#include <string.h>
#include <uuid/uuid.h>
#include <xxhash.h>

#include "base/internal.h"

/* One of OWASP's recommended pairs for argon2id. */
enum { SECRET_MEMORY = 19 * 1024 * 1024, SECRET_PASSES = 2 };

_Static_assert(crypto_pwhash_STRBYTES == 128, "a secret's hash fits what the header promises");

enum sync_status sync_crypto_init(struct sync_error *err)
{
	if (sodium_init() < 0)
		return sync_fail(err, SYNC_EIO, "libsodium finds no source of random numbers");
	return SYNC_OK;
}

void sync_random_hex(char *ret, size_t n)
{
	for (size_t i = 0; i < n; i++)
		ret[i] = "0123456789abcdef"[randombytes_uniform(16)];
	ret[n] = '\0';
}

void sync_random_uuid(char ret[static 37])
{
	uuid_t id;

	uuid_generate_random(id);
	uuid_unparse_lower(id, ret);
}

uint32_t sync_random_below(uint32_t bound)
{
	return randombytes_uniform(bound);
}

void sync_random_secret(char ret[static 30])
{
	static const char alphabet[] = "ABCDEFGHJKMNPQRSTUVWXYZ23456789"; /* without I, L, O, 0 and 1 */

	for (unsigned i = 0; i < 29; i++)
		ret[i] = i % 6 == 5 ? '-' : alphabet[randombytes_uniform(sizeof alphabet - 1)];
	ret[29] = '\0';
}

void sync_random_token(char ret[static 44])
{
	unsigned char bytes[32];

	randombytes_buf(bytes, sizeof bytes);
	sodium_bin2base64(ret, 44, bytes, sizeof bytes, sodium_base64_VARIANT_URLSAFE_NO_PADDING);
	sodium_memzero(bytes, sizeof bytes);
}

enum sync_status sync_secret_hash(char ret[static 128], struct sync_view secret, struct sync_error *err)
{
	if (crypto_pwhash_str_alg(ret, secret.data, secret.len, SECRET_PASSES, SECRET_MEMORY, crypto_pwhash_ALG_ARGON2ID13) !=
	    0)
		return sync_fail(err, SYNC_ENOMEM, "hashing a secret needs %d MiB", SECRET_MEMORY >> 20);
	return SYNC_OK;
}

bool sync_secret_verify(const char *hash, struct sync_view secret)
{
	return crypto_pwhash_str_verify(hash, secret.data, secret.len) == 0;
}

void sync_token_hash(char ret[static 65], struct sync_view token)
{
	unsigned char sum[32];

	crypto_generichash(sum, sizeof sum, (const unsigned char *)token.data, token.len, NULL, 0);
	sodium_bin2hex(ret, 65, sum, sizeof sum);
}

typedef crypto_secretstream_xchacha20poly1305_state sealing;
_Static_assert(sizeof(sealing) <= sizeof(struct sync_seal) && _Alignof(sealing) <= _Alignof(struct sync_seal), "it fits");
_Static_assert(crypto_secretstream_xchacha20poly1305_ABYTES == SYNC_SEAL_MORE &&
                   crypto_secretstream_xchacha20poly1305_KEYBYTES == SYNC_SEAL_KEY &&
                   crypto_secretstream_xchacha20poly1305_HEADERBYTES == SYNC_SEAL_START,
               "as the header promises");

static sealing *state_of(struct sync_seal *s)
{
	return (sealing *)s->state;
}

void sync_seal_key(unsigned char ret[static SYNC_SEAL_KEY], const char *token_hash, const char *salt)
{
	static const unsigned char purpose[] = "libsync bundle";
	crypto_generichash_state hash;

	crypto_generichash_init(&hash, (const unsigned char *)token_hash, strnlen(token_hash, crypto_generichash_KEYBYTES_MAX),
	                        SYNC_SEAL_KEY);
	crypto_generichash_update(&hash, purpose, sizeof purpose);
	crypto_generichash_update(&hash, (const unsigned char *)salt, strlen(salt));
	crypto_generichash_final(&hash, ret, SYNC_SEAL_KEY);
	sodium_memzero(&hash, sizeof hash);
}

enum sync_status sync_seal_secret_key(unsigned char ret[static SYNC_SEAL_KEY], struct sync_view secret, const char *salt,
                                      struct sync_error *err)
{
	unsigned char bytes[crypto_pwhash_SALTBYTES];

	crypto_generichash(bytes, sizeof bytes, (const unsigned char *)salt, strlen(salt), NULL, 0);
	if (crypto_pwhash(ret, SYNC_SEAL_KEY, secret.data, secret.len, bytes, SECRET_PASSES, SECRET_MEMORY,
	                  crypto_pwhash_ALG_ARGON2ID13) != 0)
		return sync_fail(err, SYNC_ENOMEM, "a key from a secret needs %d MiB", SECRET_MEMORY >> 20);
	return SYNC_OK;
}

void sync_seal_open(struct sync_seal *s, const unsigned char key[static SYNC_SEAL_KEY], unsigned char ret_start[static SYNC_SEAL_START])
{
	crypto_secretstream_xchacha20poly1305_init_push(state_of(s), ret_start, key);
}

void sync_seal_put(struct sync_seal *s, unsigned char *ret, struct sync_view text, struct sync_view beside, bool last)
{
	crypto_secretstream_xchacha20poly1305_push(state_of(s), ret, NULL, (const unsigned char *)text.data, text.len,
	                                           (const unsigned char *)beside.data, beside.len,
	                                           last ? crypto_secretstream_xchacha20poly1305_TAG_FINAL : 0);
}

void sync_unseal_open(struct sync_seal *s, const unsigned char key[static SYNC_SEAL_KEY], const unsigned char start[static SYNC_SEAL_START])
{
	(void)crypto_secretstream_xchacha20poly1305_init_pull(state_of(s), start, key);
}

bool sync_unseal_get(struct sync_seal *s, unsigned char *ret, struct sync_view sealed, struct sync_view beside, bool *ret_last)
{
	unsigned char tag = 0;

	if (sealed.len < SYNC_SEAL_MORE ||
	    crypto_secretstream_xchacha20poly1305_pull(state_of(s), ret, NULL, &tag, (const unsigned char *)sealed.data, sealed.len,
	                                               (const unsigned char *)beside.data, beside.len) != 0)
		return false;
	*ret_last = tag == crypto_secretstream_xchacha20poly1305_TAG_FINAL;
	return true;
}

void sync_seal_clear(struct sync_seal *s)
{
	sodium_memzero(s, sizeof *s);
}

enum sync_status sync_digest_open(struct sync_digest *d, struct sync_error *err)
{
	d->state = XXH3_createState();
	if (!d->state)
		return sync_fail(err, SYNC_ENOMEM, "digest");
	sync_digest_reset(d);
	return SYNC_OK;
}

void sync_digest_add(struct sync_digest *d, struct sync_view v)
{
	if (v.len > 0)
		XXH3_64bits_update(d->state, v.data, v.len);
}

uint64_t sync_digest_value(const struct sync_digest *d)
{
	return XXH3_64bits_digest(d->state);
}

void sync_digest_reset(struct sync_digest *d)
{
	XXH3_64bits_reset(d->state);
}

void sync_digest_close(struct sync_digest *d)
{
	if (!d)
		return;
	XXH3_freeState(d->state);
	d->state = NULL;
}

void sync_sum_join(struct sync_sum *sum, const struct sync_sum *other)
{
	uint64_t low = sum->low + other->low;

	sum->high += other->high + (low < sum->low);
	sum->low = low;
}

void sync_sum_add(struct sync_sum *sum, struct sync_view member)
{
	XXH128_hash_t h = XXH3_128bits(member.data, member.len);

	sync_sum_join(sum, &(struct sync_sum){ h.high64, h.low64 });
}

bool sync_sum_eq(const struct sync_sum *a, const struct sync_sum *b)
{
	return a->high == b->high && a->low == b->low;
}

#include <libsync/crypto.h>

#include <sodium.h>
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

#include <libsync/crypto.h>

#include "test.h"

static int init(void **state)
{
	(void)state;
	return sync_crypto_init(NULL) != SYNC_OK || sync_crypto_init(NULL) != SYNC_OK;
}

static void random_hex_has_the_length_asked_for(void **state)
{
	char hex[33];

	(void)state;
	for (size_t n = 0; n < sizeof hex; n++) {
		memset(hex, '?', sizeof hex);
		sync_random_hex(hex, n);
		assert_int_equal(n, strlen(hex));
		assert_int_equal(n, strspn(hex, "0123456789abcdef"));
	}
}

static void uuids_are_of_version_4_and_differ(void **state)
{
	char a[37], b[37];

	(void)state;
	sync_random_uuid(a);
	sync_random_uuid(b);
	assert_string_not_equal(a, b);
	assert_int_equal(36, strlen(a));
	assert_int_equal('-', a[8]);
	assert_int_equal('4', a[14]);
	assert_non_null(strchr("89ab", a[19]));
	assert_int_equal(36, strspn(a, "0123456789abcdef-"));
}

static void a_random_number_stays_below_its_bound(void **state)
{
	bool seen[7] = { false };

	(void)state;
	for (int i = 0; i < 1000; i++)
		seen[sync_random_below(COUNT(seen))] = true;
	for (size_t i = 0; i < COUNT(seen); i++)
		assert_true(seen[i]);
}

static void a_secret_can_be_read_over_the_telephone(void **state)
{
	char a[30], b[30];

	(void)state;
	sync_random_secret(a);
	sync_random_secret(b);
	assert_string_not_equal(a, b);
	assert_int_equal(29, strlen(a));
	for (size_t i = 0; i < 29; i++) {
		if (i % 6 == 5)
			assert_int_equal('-', a[i]);
		else
			assert_non_null(strchr("ABCDEFGHJKMNPQRSTUVWXYZ23456789", a[i]));
	}
}

static void a_token_fits_a_header(void **state)
{
	char a[44], b[44];

	(void)state;
	sync_random_token(a);
	sync_random_token(b);
	assert_string_not_equal(a, b);
	assert_int_equal(43, strlen(a));
	assert_int_equal(43, strspn(a, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"));
}

static void only_the_right_secret_is_verified(void **state)
{
	char hash[128];

	(void)state;
	assert_ok(sync_secret_hash(hash, sync_view_of("ABCDE-FGHJK"), err));
	assert_memory_equal("$argon2id$v=19$m=19456,t=2,p=1$", hash, 31);
	assert_true(sync_secret_verify(hash, sync_view_of("ABCDE-FGHJK")));
	assert_false(sync_secret_verify(hash, sync_view_of("ABCDE-FGHJL")));
	assert_false(sync_secret_verify(hash, sync_view_of("")));
}

static void equal_secrets_have_different_hashes(void **state)
{
	char a[128], b[128];

	(void)state;
	assert_ok(sync_secret_hash(a, sync_view_of("same"), err));
	assert_ok(sync_secret_hash(b, sync_view_of("same"), err));
	assert_string_not_equal(a, b);
}

static void a_hash_that_is_none_verifies_nothing(void **state)
{
	static const char *const hashes[] = { "", "x", "$argon2id$", "$argon2id$v=19$m=19456,t=2,p=1$", "$6$abc$def" };

	(void)state;
	for (size_t i = 0; i < COUNT(hashes); i++)
		assert_false(sync_secret_verify(hashes[i], sync_view_of("")));
}

static void a_token_hash_is_blake2b(void **state)
{
	char hash[65];

	(void)state;
	sync_token_hash(hash, sync_view_of("abc"));
	assert_string_equal("bddd813c634239723171ef3fee98579b94964e3bb1cb3e427262c8c068d52319", hash);
}

static void a_digest_does_not_depend_on_the_pieces(void **state)
{
	defer(sync_digest_close) struct sync_digest d = { 0 };
	char bytes[1000];
	uint64_t whole;

	(void)state;
	memset(bytes, 'x', sizeof bytes);
	assert_ok(sync_digest_open(&d, err));
	assert_true(sync_digest_value(&d) == UINT64_C(0x2d06800538d394c2)); /* of nothing */
	sync_digest_add(&d, (struct sync_view){ bytes, sizeof bytes });
	whole = sync_digest_value(&d);
	sync_digest_reset(&d);
	for (size_t i = 0; i < sizeof bytes; i += 8)
		sync_digest_add(&d, (struct sync_view){ bytes + i, 8 });
	sync_digest_add(&d, (struct sync_view){ 0 });
	assert_true(whole == sync_digest_value(&d));
	sync_digest_add(&d, sync_view_of("x"));
	assert_true(whole != sync_digest_value(&d));
}

enum { PIECES = 3, PIECE = 100 };

/* Pieces sealed with one key, the first with something beside it. */
static void seal(unsigned char ret[PIECES][PIECE + SYNC_SEAL_MORE], unsigned char start[static SYNC_SEAL_START],
                 const unsigned char key[static SYNC_SEAL_KEY])
{
	struct sync_seal s;
	char text[PIECE];

	sync_seal_open(&s, key, start);
	for (int i = 0; i < PIECES; i++) {
		memset(text, 'a' + i, sizeof text);
		sync_seal_put(&s, ret[i], (struct sync_view){ text, sizeof text }, sync_view_of(i ? "" : "beside"), i == PIECES - 1);
	}
}

static bool unseal(struct sync_seal *s, const unsigned char piece[static PIECE + SYNC_SEAL_MORE], const char *beside, bool *ret_last)
{
	unsigned char text[PIECE];
	const struct sync_view sealed = { (const char *)piece, PIECE + SYNC_SEAL_MORE };

	return sync_unseal_get(s, text, sealed, sync_view_of(beside), ret_last);
}

static void sealed_pieces_come_back_in_their_order_only(void **state)
{
	unsigned char sealed[PIECES][PIECE + SYNC_SEAL_MORE], start[SYNC_SEAL_START], key[SYNC_SEAL_KEY] = "0123456789abcdef0123456789abcde";
	struct sync_seal s;
	bool last;

	(void)state;
	seal(sealed, start, key);
	sync_unseal_open(&s, key, start);
	assert_true(unseal(&s, sealed[0], "beside", &last) && !last);
	assert_false(unseal(&s, sealed[2], "", &last));
	assert_true(unseal(&s, sealed[1], "", &last) && !last);
	assert_true(unseal(&s, sealed[2], "", &last) && last);
	sync_unseal_open(&s, key, start);
	assert_false(unseal(&s, sealed[0], "besides", &last));
	sealed[0][50] ^= 1;
	assert_false(unseal(&s, sealed[0], "beside", &last));
	sealed[0][50] ^= 1;
	key[31] ^= 1;
	sync_unseal_open(&s, key, start);
	assert_false(unseal(&s, sealed[0], "beside", &last));
	assert_false(sync_unseal_get(&s, sealed[1], sync_view_of("short"), sync_view_of(""), &last));
}

static void keys_follow_from_what_they_are_made_of(void **state)
{
	unsigned char a[SYNC_SEAL_KEY], b[SYNC_SEAL_KEY];
	char hash[65];

	(void)state;
	sync_token_hash(hash, sync_view_of("token"));
	sync_seal_key(a, hash, "salt");
	sync_seal_key(b, hash, "salt");
	assert_memory_equal(a, b, sizeof a);
	sync_seal_key(b, hash, "another");
	assert_memory_not_equal(a, b, sizeof a);
	sync_token_hash(hash, sync_view_of("another"));
	sync_seal_key(b, hash, "salt");
	assert_memory_not_equal(a, b, sizeof a);
	assert_ok(sync_seal_secret_key(a, sync_view_of("secret"), "salt", err));
	assert_ok(sync_seal_secret_key(b, sync_view_of("secret"), "salt", err));
	assert_memory_equal(a, b, sizeof a);
	assert_ok(sync_seal_secret_key(b, sync_view_of("secret"), "another", err));
	assert_memory_not_equal(a, b, sizeof a);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(random_hex_has_the_length_asked_for),
		cmocka_unit_test(uuids_are_of_version_4_and_differ),
		cmocka_unit_test(a_random_number_stays_below_its_bound),
		cmocka_unit_test(a_secret_can_be_read_over_the_telephone),
		cmocka_unit_test(a_token_fits_a_header),
		cmocka_unit_test(only_the_right_secret_is_verified),
		cmocka_unit_test(equal_secrets_have_different_hashes),
		cmocka_unit_test(a_hash_that_is_none_verifies_nothing),
		cmocka_unit_test(a_token_hash_is_blake2b),
		cmocka_unit_test(a_digest_does_not_depend_on_the_pieces),
		cmocka_unit_test(sealed_pieces_come_back_in_their_order_only),
		cmocka_unit_test(keys_follow_from_what_they_are_made_of),
	};

	return cmocka_run_group_tests(tests, init, NULL);
}

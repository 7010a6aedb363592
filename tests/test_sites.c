#include "testdb.h"

#include <libsync/crypto.h>
#include <libsync/site.h>

/* Sites, their secrets and tokens, and where stores are, on central's database. */

static struct sync_db *central(void **state)
{
	struct testdb *t = testdb_of(state);

	testdb_open(t, SYNC_CENTRAL);
	return t->db;
}

static void run(struct sync_db *db, const char *sql)
{
	assert_ok(sync_db_script(db, sql, err));
}

static int64_t number(struct sync_db *db, const char *sql)
{
	int64_t n = -1;

	assert_ok(sync_db_run_text(db, sql, SYNC_NOARGS, NULL, NULL, err));
	assert_ok(sync_db_number(db, sql, SYNC_NOARGS, -1, &n, err));
	return n;
}

static void add_stores(struct sync_db *db)
{
	run(db, "INSERT INTO name(id, name, code, type, is_customer, is_supplier, is_manufacturer, is_donor, on_hold, is_deceased)"
	        " VALUES ('n1', 'District', 'D', 'STORE', true, true, false, false, false, false),"
	        "        ('n2', 'Post', 'P', 'STORE', true, true, false, false, false, false)");
	run(db, "INSERT INTO store(id, code, site_id, store_mode, is_disabled, name_id)"
	        " VALUES ('s1', 'D', 0, 'STORE', false, 'n1'), ('s2', 'P', 0, 'STORE', false, 'n2')");
}

static int64_t add(struct sync_db *db, const char *name, const char *store, char secret[static 30])
{
	int64_t site_id;

	assert_ok(sync_site_add(db, name, &store, store ? 1 : 0, secret, &site_id, err));
	return site_id;
}

static const char first_machine[] = "0123456789abcdef0123456789abcdef", second_machine[] = "fedcba9876543210fedcba9876543210";

static enum sync_status sign_in(struct sync_db *db, const char *name, const char *secret, const char *installation, char token[static 44],
                                struct sync_error *err)
{
	int64_t site_id;

	return sync_site_register(db, sync_view_of(name), sync_view_of(secret), sync_view_of(installation), sync_view_of("1.0"), token,
	                          &site_id, err);
}

static void a_site_is_found_by_its_name_and_its_secret_is_stored_hashed(void **state)
{
	struct sync_db *db = central(state);
	char secret[30];
	struct sync_site s;

	assert_int_equal(1, add(db, "Post 1", NULL, secret));
	assert_ok(sync_site_find(db, "Post 1", &s, err));
	assert_int_equal(1, s.site_id);
	assert_true(s.secret);
	assert_false(s.revoked || s.loaded);
	assert_int_equal(1, number(db, "SELECT count(*) FROM sync_site WHERE secret_hash LIKE '$argon2id$%m=19456,t=2,%'"));
	assert_int_equal(SYNC_ENOTFOUND, sync_site_find(db, "Post 2", &s, NULL));
}

static void a_name_is_taken_once_and_may_not_be_odd(void **state)
{
	struct sync_db *db = central(state);
	struct sync_error seen;
	char secret[30], longest[110];
	int64_t id;

	add(db, "Post 1", NULL, secret);
	assert_int_equal(SYNC_ETAKEN, sync_site_add(db, "Post 1", NULL, 0, secret, &id, &seen));
	assert_string_equal("a site called 'Post 1' exists", seen.text);
	assert_int_equal(SYNC_EINVALID, sync_site_add(db, "", NULL, 0, secret, &id, NULL));
	assert_int_equal(SYNC_EINVALID, sync_site_add(db, "Post\n1", NULL, 0, secret, &id, NULL));
	memset(longest, 'x', sizeof longest);
	longest[101] = '\0';
	assert_int_equal(SYNC_EINVALID, sync_site_add(db, longest, NULL, 0, secret, &id, NULL));
	assert_int_equal(1, number(db, "SELECT count(*) FROM sync_site"));
}

static void a_secret_gives_a_token_to_one_installation(void **state)
{
	struct sync_db *db = central(state);
	struct sync_caller caller;
	struct sync_error seen;
	char secret[30], token[44], again[44], other[44];

	add(db, "Post 1", NULL, secret);
	assert_ok(sign_in(db, "Post 1", secret, first_machine, token, err));
	assert_ok(sync_site_authenticate(db, sync_view_of(token), &caller, err));
	assert_int_equal(1, caller.site_id);
	assert_string_equal("Post 1", caller.name);
	assert_int_equal(0, number(db, "SELECT count(*) FROM sync_site WHERE token_hash NOT LIKE '________________________________________________________________'"));

	/* the answer was lost: the same machine asks again, and its older token is void */
	assert_ok(sign_in(db, "Post 1", secret, first_machine, again, err));
	assert_int_equal(SYNC_EUNAUTHORIZED, sync_site_authenticate(db, sync_view_of(token), &caller, NULL));
	assert_ok(sync_site_authenticate(db, sync_view_of(again), &caller, err));

	assert_int_equal(SYNC_ETAKEN, sign_in(db, "Post 1", secret, second_machine, other, &seen));
	assert_non_null(strstr(seen.text, "central site reset 'Post 1'"));
	run(db, "UPDATE sync_site SET loaded = 1");
	assert_int_equal(SYNC_ETAKEN, sign_in(db, "Post 1", secret, first_machine, other, NULL));
	assert_ok(sync_site_authenticate(db, sync_view_of(again), &caller, err));
}

static void a_wrong_secret_and_an_unknown_site_look_alike(void **state)
{
	struct sync_db *db = central(state);
	struct sync_error wrong, unknown;
	char secret[30], token[44];

	add(db, "Post 1", NULL, secret);
	assert_int_equal(SYNC_EUNAUTHORIZED, sign_in(db, "Post 1", "AAAAA-BBBBB-CCCCC-DDDDD-EEEEE", first_machine, token, &wrong));
	assert_int_equal(SYNC_EUNAUTHORIZED, sign_in(db, "Post 9", "AAAAA-BBBBB-CCCCC-DDDDD-EEEEE", first_machine, token, &unknown));
	assert_string_equal(wrong.text, unknown.text);
	assert_int_equal(SYNC_EBADREQUEST, sign_in(db, "Post 1", secret, "short", token, NULL));
}

static void a_revoked_site_is_told_so_and_nobody_else_is(void **state)
{
	struct sync_db *db = central(state);
	struct sync_caller caller;
	struct sync_error seen;
	char secret[30], token[44];

	add(db, "Post 1", NULL, secret);
	assert_ok(sign_in(db, "Post 1", secret, first_machine, token, err));
	assert_ok(sync_site_revoke(db, "Post 1", err));
	assert_int_equal(SYNC_EREVOKED, sync_site_authenticate(db, sync_view_of(token), &caller, &seen));
	assert_string_equal("site 'Post 1' has been revoked", seen.text);
	assert_int_equal(SYNC_EREVOKED, sign_in(db, "Post 1", secret, first_machine, token, NULL));
	assert_int_equal(SYNC_EUNAUTHORIZED, sign_in(db, "Post 1", "wrong", first_machine, token, NULL));
	assert_int_equal(SYNC_ENOTFOUND, sync_site_revoke(db, "Post 2", NULL));
}

static void a_reset_voids_the_token_at_once_and_starts_the_site_anew(void **state)
{
	struct sync_db *db = central(state);
	struct sync_caller caller;
	struct sync_site s;
	char secret[30], fresh[30], token[44];

	add(db, "Post 1", NULL, secret);
	assert_ok(sign_in(db, "Post 1", secret, first_machine, token, err));
	run(db, "UPDATE sync_site SET loaded = 1, in_ordinal = 4, in_id = 'abc', in_upto = 9, verdict = 7, revoked_us = 1");
	assert_ok(sync_site_reset(db, "Post 1", fresh, err));
	assert_string_not_equal(secret, fresh);
	assert_int_equal(SYNC_EUNAUTHORIZED, sync_site_authenticate(db, sync_view_of(token), &caller, NULL));
	assert_int_equal(SYNC_EUNAUTHORIZED, sign_in(db, "Post 1", secret, second_machine, token, NULL));
	assert_ok(sign_in(db, "Post 1", fresh, second_machine, token, err));
	assert_ok(sync_site_find(db, "Post 1", &s, err));
	assert_false(s.loaded || s.revoked);
	assert_int_equal(0, s.stored.ordinal);
	assert_int_equal(7, s.verdict);
	assert_int_equal(7, s.verdict_seen);
}

static void a_reset_waits_until_what_is_spooled_is_integrated(void **state)
{
	struct sync_db *db = central(state);
	struct sync_error seen;
	char secret[30];

	add(db, "Post 1", NULL, secret);
	run(db, "INSERT INTO sync_spool(source, n, body, done, records, upto, part, received_us) VALUES (1, 1, 'x', 0, 1, 1, 0, 0), (1, 2, 'x', 0, 1, 1, 1, 0)");
	assert_int_equal(SYNC_EBUSY, sync_site_reset(db, "Post 1", secret, &seen));
	assert_non_null(strstr(seen.text, "1 requests of site 'Post 1'"));
	run(db, "DELETE FROM sync_spool WHERE n = 1");
	assert_ok(sync_site_reset(db, "Post 1", secret, err));
	assert_int_equal(0, number(db, "SELECT count(*) FROM sync_spool"));
}

static void a_store_is_given_to_one_site(void **state)
{
	struct sync_db *db = central(state);
	const char *s1 = "s1", *none = "s9";
	struct sync_error seen;
	char secret[30];
	int64_t id;

	add_stores(db);
	add(db, "District", "s1", secret);
	assert_int_equal(1, number(db, "SELECT site_id FROM store WHERE id = 's1'"));
	assert_int_equal(1, number(db, "SELECT site_id FROM sync_store WHERE store_id = 's1'"));
	assert_int_equal(SYNC_EINVALID, sync_site_add(db, "Post", &s1, 1, secret, &id, &seen));
	assert_string_equal("store 's1' is active at site 'District': central store move takes it from there", seen.text);
	assert_int_equal(SYNC_ENOTFOUND, sync_site_add(db, "Post", &none, 1, secret, &id, &seen));
	assert_string_equal("no store has the id 's9'", seen.text);
	assert_int_equal(1, number(db, "SELECT count(*) FROM sync_site"));
}

static enum sync_status take_store(void *ctx, const struct sync_value *v, size_t n, struct sync_error *err)
{
	(void)err;
	assert_int_equal(4, n);
	snprintf(ctx, 100, "%.*s %.*s %.*s %d", SYNC_VIEW(v[0].s), SYNC_VIEW(v[1].s), SYNC_VIEW(v[2].s), (int)v[3].i);
	return SYNC_OK;
}

static void a_move_waits_until_the_old_site_has_pushed_and_confirmed(void **state)
{
	struct sync_db *db = central(state);
	char secret[30], token[44], text[100] = "";
	bool done = true;

	add_stores(db);
	add(db, "District", "s1", secret);
	assert_ok(sign_in(db, "District", secret, first_machine, token, err));
	add(db, "Post", "s2", secret);
	assert_ok(sync_store_move(db, "s1", "Post", false, &done, err));
	assert_false(done);
	assert_int_equal(2, number(db, "SELECT site_id FROM store WHERE id = 's1'"));
	assert_int_equal(1, number(db, "SELECT site_id FROM sync_store WHERE store_id = 's1'"));
	assert_int_equal(1, number(db, "SELECT count(*) FROM sync_verdict WHERE site_id = 1 AND kind = 'leave' AND record_id = 's1'"));
	assert_ok(sync_site_stores(db, 1, take_store, text, err));
	assert_string_equal("s1 D District 2", text);

	/* asking again tells the site nothing new */
	assert_ok(sync_store_move(db, "s1", "Post", false, &done, err));
	assert_false(done);
	assert_int_equal(1, number(db, "SELECT count(*) FROM sync_verdict"));

	assert_ok(sync_store_move(db, "s1", "Post", true, &done, err));
	assert_true(done);
	assert_int_equal(2, number(db, "SELECT site_id FROM sync_store WHERE store_id = 's1' AND next_site_id IS NULL"));
	assert_true(number(db, "SELECT count(*) FROM sync_job") > 0);
}

static void a_move_from_a_site_that_was_never_registered_is_done_at_once(void **state)
{
	struct sync_db *db = central(state);
	char secret[30];
	bool done = false;

	add_stores(db);
	add(db, "District", "s1", secret);
	add(db, "Post", NULL, secret);
	assert_ok(sync_store_move(db, "s1", "Post", false, &done, err));
	assert_true(done);
	assert_int_equal(2, number(db, "SELECT site_id FROM sync_store WHERE store_id = 's1'"));
}

static void a_move_needs_force_when_the_old_site_is_revoked(void **state)
{
	struct sync_db *db = central(state);
	struct sync_error seen;
	char secret[30], token[44];
	bool done = false;

	add_stores(db);
	add(db, "District", "s1", secret);
	assert_ok(sign_in(db, "District", secret, first_machine, token, err));
	add(db, "Post", NULL, secret);
	assert_ok(sync_site_revoke(db, "District", err));
	assert_int_equal(SYNC_EINVALID, sync_store_move(db, "s1", "Post", false, &done, &seen));
	assert_non_null(strstr(seen.text, "--force"));
	assert_int_equal(1, number(db, "SELECT site_id FROM store WHERE id = 's1'"));
	assert_ok(sync_store_move(db, "s1", "Post", true, &done, err));
	assert_int_equal(SYNC_ENOTFOUND, sync_store_move(db, "s9", "Post", false, &done, NULL));
	assert_int_equal(SYNC_ENOTFOUND, sync_store_move(db, "s1", "Nowhere", false, &done, NULL));
	assert_int_equal(SYNC_EINVALID, sync_store_move(db, "s2", "District", false, &done, NULL));
}

static void a_reset_lets_go_of_stores_that_were_leaving(void **state)
{
	struct sync_db *db = central(state);
	char secret[30], token[44];
	bool done;

	add_stores(db);
	add(db, "District", "s1", secret);
	assert_ok(sign_in(db, "District", secret, first_machine, token, err));
	add(db, "Post", NULL, secret);
	assert_ok(sync_store_move(db, "s1", "Post", false, &done, err));
	assert_false(done);
	assert_ok(sync_site_reset(db, "District", secret, err));
	assert_int_equal(2, number(db, "SELECT site_id FROM sync_store WHERE store_id = 's1'"));
}

static void the_newest_exchange_that_tells_something_is_kept_and_old_ones_go(void **state)
{
	struct sync_db *db = central(state);
	struct sync_exchanged x = { .site_id = 3, .at_us = 5, .pushed = 2, .bytes_in = 210 }, last;
	bool found;

	assert_ok(sync_exchanged_last(db, 3, &last, &found, err));
	assert_false(found);
	for (int i = 0; i < SYNC_EXCHANGES_KEPT + 20; i++)
		assert_ok(sync_exchanged_put(db, &x, 1, err));
	x.code = SYNC_EBADFRAME;
	snprintf(x.text, sizeof x.text, "not JSON");
	assert_ok(sync_exchanged_put(db, &x, 1, err));
	assert_ok(sync_exchanged_last(db, 3, &last, &found, err));
	assert_true(found);
	assert_int_equal(SYNC_EBADFRAME, last.code);
	assert_string_equal("not JSON", last.text);
	assert_int_equal(210, last.bytes_in);
	x = (struct sync_exchanged){ .site_id = 3, .at_us = 6 };
	assert_ok(sync_exchanged_put(db, &x, 1, err));
	assert_ok(sync_exchanged_last(db, 3, &last, &found, err));
	assert_int_equal(SYNC_OK, last.code);
	x.at_us = 7;
	assert_ok(sync_exchanged_put(db, &x, 1, err));
	assert_ok(sync_exchanged_last(db, 3, &last, &found, err));
	assert_int_equal(6, last.at_us);
	assert_int_equal(SYNC_EXCHANGES_KEPT, number(db, "SELECT count(*) FROM sync_exchange"));
}

static void pending_counts_what_is_routed_above_the_position_and_not_its_own(void **state)
{
	struct sync_db *db = central(state);
	struct sync_site s;
	char secret[30];
	int64_t n;

	add(db, "Post 1", NULL, secret);
	run(db, "INSERT INTO sync_outbox(site_id, entity, record_id, seq, action, source) VALUES"
	        " (0, 'item', 'a', 1, 'P', 0), (0, 'item', 'b', 2, 'P', 0), (0, 'item', 'c', 3, 'P', 1), (1, 'invoice', 'd', 4, 'P', 0)");
	assert_ok(sync_site_find(db, "Post 1", &s, err));
	s.at.all.seq = 1;
	assert_ok(sync_site_pending(db, &s, 100, &n, err));
	assert_int_equal(2, n);
	assert_ok(sync_site_pending(db, &s, 1, &n, err));
	assert_int_equal(1, n);
}

static void registrations_and_problems_read_back_as_written(void **state)
{
	struct sync_registration r = { .site = "Post \"1\"", .secret = "S", .installation = "I", .version = "1" }, back = { 0 };
	defer(sync_buf_clear) struct sync_buf b = { .max = 4096 };
	struct sync_error seen;

	(void)state;
	sync_registration_write(&b, &r);
	assert_ok(sync_registration_read(&back, sync_buf_view(&b), err));
	assert_memory_equal(&r, &back, sizeof r);
	assert_int_equal(SYNC_EBADREQUEST, sync_registration_read(&back, sync_view_of("{\"site\":\"x\"}"), &seen));
	assert_string_equal("'secret' is missing", seen.text);
	assert_int_equal(SYNC_EBADREQUEST, sync_registration_read(&back, sync_view_of("[[[[[[]]]]]]"), NULL));
	assert_int_equal(SYNC_EBADFRAME, sync_registered_read(&back, sync_view_of("{\"site_id\":1.5,\"token\":\"t\"}"), NULL));
	assert_int_equal(SYNC_EBADFRAME, sync_registered_read(&back, sync_view_of("{\"site_id\":1e300,\"token\":\"t\"}"), NULL));
	assert_int_equal(SYNC_EBADFRAME, sync_registered_read(&back, sync_view_of("{\"site_id\":\"1\",\"token\":\"t\"}"), NULL));

	sync_buf_reset(&b);
	sync_problem_write(&b, &(struct sync_error){ .status = SYNC_EREVOKED, .text = "site 'x' has been revoked" });
	assert_string_equal("{\"error\":\"revoked\",\"text\":\"site 'x' has been revoked\"}", b.data);
	assert_int_equal(SYNC_EREVOKED, sync_problem_read(sync_buf_view(&b), 403, 0, &seen));
	assert_string_equal("central: site 'x' has been revoked", seen.text);
	assert_int_equal(SYNC_EBUSY, sync_problem_read(sync_view_of("<html>"), 503, 7, &seen));
	assert_int_equal(7, seen.retry_after_s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TESTDB_BOTH(a_site_is_found_by_its_name_and_its_secret_is_stored_hashed),
		TESTDB_BOTH(a_name_is_taken_once_and_may_not_be_odd),
		TESTDB_BOTH(a_secret_gives_a_token_to_one_installation),
		TESTDB_BOTH(a_wrong_secret_and_an_unknown_site_look_alike),
		TESTDB_BOTH(a_revoked_site_is_told_so_and_nobody_else_is),
		TESTDB_BOTH(a_reset_voids_the_token_at_once_and_starts_the_site_anew),
		TESTDB_BOTH(a_reset_waits_until_what_is_spooled_is_integrated),
		TESTDB_BOTH(a_store_is_given_to_one_site),
		TESTDB_BOTH(a_move_waits_until_the_old_site_has_pushed_and_confirmed),
		TESTDB_BOTH(a_move_from_a_site_that_was_never_registered_is_done_at_once),
		TESTDB_BOTH(a_move_needs_force_when_the_old_site_is_revoked),
		TESTDB_BOTH(a_reset_lets_go_of_stores_that_were_leaving),
		TESTDB_BOTH(the_newest_exchange_that_tells_something_is_kept_and_old_ones_go),
		TESTDB_BOTH(pending_counts_what_is_routed_above_the_position_and_not_its_own),
		cmocka_unit_test(registrations_and_problems_read_back_as_written),
	};
	struct sync_error err;

	if (sync_crypto_init(&err) != SYNC_OK)
		return 1;
	return cmocka_run_group_tests(tests, NULL, NULL);
}

#include "testdb.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <libsync/crypto.h>
#include <libsync/site.h>

/* Registrations outlive the database that they were made in: "lose" is what a restore of an older backup does to it. */

struct kept {
	struct testdb *t;
	struct sync_db *db;
	char path[64];
	struct sync_registry_report report;
};

static void meet(struct kept *k)
{
	assert_ok(sync_registry_open(k->db, k->path, &k->report, err));
}

static void open_kept(struct kept *k, void **state)
{
	int fd;

	*k = (struct kept){ .t = testdb_of(state) };
	testdb_open(k->t, SYNC_CENTRAL);
	k->db = k->t->db;
	snprintf(k->path, sizeof k->path, "/tmp/sync-registry.XXXXXX");
	fd = mkstemp(k->path);
	assert_true(fd >= 0);
	close(fd);
	meet(k);
}

static void close_kept(struct kept *k)
{
	if (k->path[0])
		(void)unlink(k->path);
}

static void run(struct sync_db *db, const char *sql)
{
	assert_ok(sync_db_script(db, sql, err));
}

static int64_t number(struct sync_db *db, const char *sql)
{
	int64_t n = -1;

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

static int64_t add(struct kept *k, const char *name, const char *store, char secret[static 30])
{
	int64_t site_id;

	assert_ok(sync_site_add(k->db, name, &store, store ? 1 : 0, secret, &site_id, err));
	return site_id;
}

static const char first_machine[] = "0123456789abcdef0123456789abcdef", second_machine[] = "fedcba9876543210fedcba9876543210";

static void sign_in(struct kept *k, const char *name, const char *secret, const char *installation, char token[static 44])
{
	int64_t site_id;

	assert_ok(sync_site_register(k->db, sync_view_of(name), sync_view_of(secret), sync_view_of(installation), sync_view_of("1.0"), token,
	                             &site_id, err));
}

static enum sync_status who(struct kept *k, const char *token, int64_t *ret, struct sync_error *err)
{
	struct sync_caller caller = { 0 };
	enum sync_status status = sync_site_authenticate(k->db, sync_view_of(token), &caller, err);

	*ret = caller.site_id;
	return status;
}

/* As a backup of before any registration has it. */
static void lose_all(struct kept *k)
{
	run(k->db, "DELETE FROM sync_site; DELETE FROM sync_store; UPDATE store SET site_id = 0; DELETE FROM sync_changelog; DELETE FROM sync_job");
}

/* The file's text; the caller frees it. */
static char *text_of(const char *path)
{
	char *text = calloc(1, 1 << 16);
	int fd = open(path, O_RDONLY);

	assert_true(fd >= 0 && text);
	assert_true(read(fd, text, (1 << 16) - 1) >= 0);
	close(fd);
	return text;
}

static void write_text(const char *path, const char *text, size_t len)
{
	int fd = open(path, O_WRONLY | O_TRUNC);

	assert_true(fd >= 0);
	assert_int_equal(len, write(fd, text, len));
	close(fd);
}

static void a_site_that_the_database_lost_is_not_locked_out(void **state)
{
	defer(close_kept) struct kept k;
	char secret[30], token[44];
	int64_t id;
	struct stat st;

	open_kept(&k, state);
	add_stores(k.db);
	add(&k, "Post", "s2", secret);
	sign_in(&k, "Post", secret, first_machine, token);
	assert_int_equal(0, stat(k.path, &st));
	assert_int_equal(0600, st.st_mode & 0777);
	lose_all(&k);

	/* the running server meets it with the first token that it does not know */
	assert_ok(who(&k, token, &id, err));
	assert_int_equal(1, id);
	assert_int_equal(1, number(k.db, "SELECT site_id FROM sync_store WHERE store_id = 's2'"));
	assert_int_equal(1, number(k.db, "SELECT site_id FROM store WHERE id = 's2'"));

	/* and so does whoever opens it */
	lose_all(&k);
	meet(&k);
	assert_int_equal(1, k.report.sites);
	assert_int_equal(1, k.report.stores);
	assert_ok(who(&k, token, &id, err));
	meet(&k);
	assert_int_equal(0, k.report.sites + k.report.stores + k.report.kept);
}

static void an_unknown_token_stays_nobodys(void **state)
{
	defer(close_kept) struct kept k;
	char secret[30], token[44];
	int64_t id;

	open_kept(&k, state);
	add(&k, "Post", NULL, secret);
	sync_random_token(token);
	assert_int_equal(SYNC_EUNAUTHORIZED, who(&k, token, &id, NULL));
}

static void a_lost_sites_number_and_name_are_not_given_again(void **state)
{
	defer(close_kept) struct kept k;
	char secret[30];
	struct sync_error seen;
	int64_t id;

	open_kept(&k, state);
	add(&k, "One", NULL, secret);
	add(&k, "Two", NULL, secret);
	run(k.db, "DELETE FROM sync_site WHERE site_id = 2");
	meet(&k);
	assert_int_equal(SYNC_ETAKEN, sync_site_add(k.db, "Two", NULL, 0, secret, &id, &seen));
	assert_int_equal(3, add(&k, "Three", NULL, secret));
}

static void what_is_revoked_stays_so(void **state)
{
	defer(close_kept) struct kept k;
	char secret[30], token[44];
	int64_t id;

	open_kept(&k, state);
	add(&k, "Post", NULL, secret);
	sign_in(&k, "Post", secret, first_machine, token);
	run(k.db, "CREATE TABLE backup AS SELECT * FROM sync_site");
	assert_ok(sync_site_revoke(k.db, "Post", err));
	run(k.db, "DELETE FROM sync_site; INSERT INTO sync_site SELECT * FROM backup");
	meet(&k);
	assert_int_equal(1, k.report.sites);
	assert_int_equal(SYNC_EREVOKED, who(&k, token, &id, NULL));
	run(k.db, "DROP TABLE backup");
}

static void a_reset_after_the_backup_voids_the_token_of_before(void **state)
{
	defer(close_kept) struct kept k;
	char secret[30], fresh[30], old[44], token[44];
	int64_t id;

	open_kept(&k, state);
	add(&k, "Post", NULL, secret);
	sign_in(&k, "Post", secret, first_machine, old);
	run(k.db, "UPDATE sync_site SET loaded = 1, in_ordinal = 4, in_id = 'abc', in_upto = 9, verdict = 7");
	run(k.db, "CREATE TABLE backup AS SELECT * FROM sync_site");
	assert_ok(sync_site_reset(k.db, "Post", fresh, err));
	sign_in(&k, "Post", fresh, second_machine, token);
	run(k.db, "DELETE FROM sync_site; INSERT INTO sync_site SELECT * FROM backup");

	/* what the old installation pushed is integrated first */
	run(k.db, "INSERT INTO sync_spool(source, n, body, done, records, upto, part, received_us) VALUES (1, 1, 'x', 0, 1, 1, 0, 0)");
	assert_int_equal(SYNC_EBUSY, who(&k, token, &id, NULL));
	run(k.db, "DELETE FROM sync_spool");
	assert_ok(who(&k, token, &id, err));
	assert_int_equal(SYNC_EUNAUTHORIZED, who(&k, old, &id, NULL));
	assert_int_equal(0, number(k.db, "SELECT in_ordinal + loaded FROM sync_site"));
	assert_int_equal(7, number(k.db, "SELECT verdict FROM sync_site"));
	run(k.db, "DROP TABLE backup");
}

static void a_move_outlives_the_database(void **state)
{
	defer(close_kept) struct kept k;
	char secret[30];
	bool done;

	open_kept(&k, state);
	add_stores(k.db);
	add(&k, "District", "s1", secret);
	add(&k, "Post", "s2", secret);
	run(k.db, "CREATE TABLE backup AS SELECT * FROM sync_store");
	assert_ok(sync_store_move(k.db, "s1", "Post", false, &done, err));
	assert_true(done);
	run(k.db, "DELETE FROM sync_store; INSERT INTO sync_store SELECT * FROM backup; UPDATE store SET site_id = 1 WHERE id = 's1'; DELETE FROM sync_job");
	meet(&k);
	assert_int_equal(1, k.report.stores);
	assert_int_equal(2, number(k.db, "SELECT site_id FROM sync_store WHERE store_id = 's1'"));
	assert_int_equal(2, number(k.db, "SELECT site_id FROM store WHERE id = 's1'"));
	assert_int_equal(2, number(k.db, "SELECT count(*) FROM sync_job"));
	run(k.db, "DROP TABLE backup");
}

static void a_store_that_is_deleted_and_made_anew_is_where_it_was_put_last(void **state)
{
	defer(close_kept) struct kept k;
	char secret[30];
	bool done;

	open_kept(&k, state);
	add_stores(k.db);
	add(&k, "Post", "s2", secret);
	run(k.db, "DELETE FROM store WHERE id = 's2'");
	assert_ok(sync_db_begin(k.db, true, err));
	sync_db_rollback(k.db);
	run(k.db, "INSERT INTO store(id, code, site_id, store_mode, is_disabled, name_id) VALUES ('s2', 'P', 0, 'STORE', false, 'n2')");
	assert_ok(sync_store_move(k.db, "s2", "Post", false, &done, err));
	meet(&k);
	assert_int_equal(0, k.report.stores);
	assert_int_equal(1, number(k.db, "SELECT site_id FROM sync_store WHERE store_id = 's2'"));
}

static void what_fails_leaves_nothing_in_the_file(void **state)
{
	defer(close_kept) struct kept k;
	const char *stores[] = { "s1", "s9" };
	char secret[30];
	int64_t id;

	open_kept(&k, state);
	add_stores(k.db);
	assert_int_equal(SYNC_ENOTFOUND, sync_site_add(k.db, "Post", stores, 2, secret, &id, NULL));
	meet(&k);
	assert_int_equal(0, k.report.sites + k.report.stores);
	assert_int_equal(0, number(k.db, "SELECT count(*) FROM sync_site"));
}

static void a_file_that_is_gone_is_written_anew(void **state)
{
	defer(close_kept) struct kept k;
	char secret[30], token[44];
	int64_t id;

	open_kept(&k, state);
	add_stores(k.db);
	add(&k, "Post", "s2", secret);
	sign_in(&k, "Post", secret, first_machine, token);
	assert_int_equal(0, unlink(k.path));
	assert_ok(sync_site_revoke(k.db, "Post", err));
	meet(&k);
	assert_int_equal(1, k.report.kept);
	lose_all(&k);
	meet(&k);
	assert_int_equal(1, k.report.sites);
	assert_int_equal(SYNC_EREVOKED, who(&k, token, &id, NULL));
}

static void a_file_that_cannot_be_written_stops_a_registration_and_says_what_to_do(void **state)
{
	defer(close_kept) struct kept k;
	struct sync_error seen;
	char secret[30], token[44];
	int64_t id;

	open_kept(&k, state);
	add(&k, "Post", NULL, secret);
	assert_int_equal(0, unlink(k.path));
	assert_int_equal(0, mkdir(k.path, 0700));
	assert_int_equal(SYNC_EIO, sync_site_add(k.db, "Other", NULL, 0, secret, &id, &seen));
	assert_non_null(strstr(seen.text, k.path));
	assert_non_null(strstr(seen.text, "name another file in the setting registry"));
	assert_int_equal(SYNC_EIO, sync_site_revoke(k.db, "Post", &seen));
	assert_int_equal(SYNC_EIO, sync_site_reset(k.db, "Post", secret, &seen));
	assert_int_equal(1, number(k.db, "SELECT count(*) FROM sync_site WHERE revoked_us IS NULL AND revision = 1"));
	assert_int_equal(SYNC_EIO, who(&k, "a token that nobody has", &id, &seen));
	assert_int_equal(0, rmdir(k.path));
	(void)token;
}

static void a_damaged_line_is_named_and_nothing_is_changed(void **state)
{
	defer(close_kept) struct kept k;
	defer(freep) char *text = NULL;
	struct sync_registry_report report;
	struct sync_error seen;
	char secret[30], expected[160];
	char *name;

	open_kept(&k, state);
	add(&k, "One", NULL, secret);
	add(&k, "Two", NULL, secret);
	text = text_of(k.path);
	name = strstr(text, "\"Two\"");
	assert_non_null(name);
	name[1] = 'P';
	write_text(k.path, text, strlen(text));
	run(k.db, "DELETE FROM sync_site");
	assert_int_equal(SYNC_EINVALID, sync_registry_open(k.db, k.path, &report, &seen));
	snprintf(expected, sizeof expected, "%s:3: the line is not what was written there", k.path);
	assert_memory_equal(expected, seen.text, strlen(expected));
	assert_int_equal(0, number(k.db, "SELECT count(*) FROM sync_site"));

	write_text(k.path, "hello\n", 6);
	assert_int_equal(SYNC_EINVALID, sync_registry_open(k.db, k.path, &report, &seen));
	snprintf(expected, sizeof expected, "%s:1: this is no line of a registry", k.path);
	assert_memory_equal(expected, seen.text, strlen(expected));
}

static void wherever_a_file_is_cut_the_lines_before_count_and_the_cut_is_told(void **state)
{
	defer(close_kept) struct kept k;
	defer(freep) char *text = NULL;
	char secret[30], expected[160];
	size_t len;

	open_kept(&k, state);
	add(&k, "One", NULL, secret);
	add(&k, "Two", NULL, secret);
	text = text_of(k.path);
	len = strlen(text);
	snprintf(expected, sizeof expected, "%s:3: the last line is cut off", k.path);
	for (size_t cut = len - 20; cut < len; cut++) {
		run(k.db, "DELETE FROM sync_site");
		write_text(k.path, text, cut);
		meet(&k);
		assert_memory_equal(expected, k.report.warning, strlen(expected));
		assert_int_equal(1, number(k.db, "SELECT count(*) FROM sync_site"));
	}
	/* what the database has is not lost with the line: the next addition takes its place */
	add(&k, "Two", NULL, secret);
	meet(&k);
	assert_string_equal("", k.report.warning);
	run(k.db, "DELETE FROM sync_site");
	meet(&k);
	assert_int_equal(2, k.report.sites);
}

static void another_databases_file_is_refused(void **state)
{
	defer(close_kept) struct kept k;
	struct sync_registry_report report;
	struct sync_error seen;

	open_kept(&k, state);
	run(k.db, "UPDATE sync_meta SET value = 'another' WHERE key = 'instance'");
	assert_int_equal(SYNC_EWRONGDB, sync_registry_open(k.db, k.path, &report, &seen));
	assert_non_null(strstr(seen.text, ":1: this is the registry of another database"));
}

static void two_sites_of_one_number_are_told_and_neither_is_overwritten(void **state)
{
	defer(close_kept) struct kept k;
	char secret[30], token[44];

	open_kept(&k, state);
	add(&k, "Post", NULL, secret);
	sign_in(&k, "Post", secret, first_machine, token);
	run(k.db, "UPDATE sync_site SET name = 'Clinic', created_us = 5, revision = 1, token_hash = NULL");
	meet(&k);
	assert_non_null(strstr(k.report.warning, "site 1 is 'Post' there and 'Clinic' in the database"));
	assert_int_equal(1, number(k.db, "SELECT count(*) FROM sync_site WHERE name = 'Clinic' AND token_hash IS NULL"));
}

static void a_file_of_old_lines_becomes_short(void **state)
{
	defer(close_kept) struct kept k;
	defer(freep) char *text = NULL;
	char secret[30], token[44];
	int64_t id;
	size_t lines = 0;

	open_kept(&k, state);
	add(&k, "Post", NULL, secret);
	sign_in(&k, "Post", secret, first_machine, token);
	for (int i = 0; i < 80; i++)
		assert_ok(sync_site_revoke(k.db, "Post", err));
	meet(&k);
	text = text_of(k.path);
	for (const char *p = text; (p = strchr(p, '\n')); p++)
		lines++;
	assert_int_equal(2, lines);
	run(k.db, "DELETE FROM sync_site");
	assert_int_equal(SYNC_EREVOKED, who(&k, token, &id, NULL));
}

/* A folder that the service's user may not write, or a file that is mounted by itself. */
static void a_file_that_cannot_be_replaced_is_used_as_it_is(void **state)
{
	defer(close_kept) struct kept k;
	char secret[30], blocked[80];

	open_kept(&k, state);
	add(&k, "Post", NULL, secret);
	for (int i = 0; i < 80; i++)
		assert_ok(sync_site_revoke(k.db, "Post", err));
	snprintf(blocked, sizeof blocked, "%s.new", k.path);
	assert_int_equal(0, mkdir(blocked, 0700));
	meet(&k);
	assert_int_equal(0, rmdir(blocked));
	assert_non_null(strstr(k.report.warning, "it only grows"));
	assert_ok(sync_site_reset(k.db, "Post", secret, err));
	meet(&k);
	assert_string_equal("", k.report.warning);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TESTDB_BOTH(a_site_that_the_database_lost_is_not_locked_out),
		TESTDB_BOTH(an_unknown_token_stays_nobodys),
		TESTDB_BOTH(a_lost_sites_number_and_name_are_not_given_again),
		TESTDB_BOTH(what_is_revoked_stays_so),
		TESTDB_BOTH(a_reset_after_the_backup_voids_the_token_of_before),
		TESTDB_BOTH(a_move_outlives_the_database),
		TESTDB_BOTH(a_store_that_is_deleted_and_made_anew_is_where_it_was_put_last),
		TESTDB_BOTH(what_fails_leaves_nothing_in_the_file),
		TESTDB_BOTH(a_file_that_is_gone_is_written_anew),
		TESTDB_BOTH(a_file_that_cannot_be_written_stops_a_registration_and_says_what_to_do),
		TESTDB_BOTH(a_damaged_line_is_named_and_nothing_is_changed),
		TESTDB_BOTH(wherever_a_file_is_cut_the_lines_before_count_and_the_cut_is_told),
		TESTDB_BOTH(another_databases_file_is_refused),
		TESTDB_BOTH(two_sites_of_one_number_are_told_and_neither_is_overwritten),
		TESTDB_BOTH(a_file_of_old_lines_becomes_short),
		TESTDB_BOTH(a_file_that_cannot_be_replaced_is_used_as_it_is),
	};
	struct sync_error err;

	if (sync_crypto_init(&err) != SYNC_OK)
		return 1;
	return cmocka_run_group_tests(tests, NULL, NULL);
}

#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <sqlite3.h>

#include <libsync/ddl.h>
#include <libsync/exchange.h>

#include "contract_db.h"
#include "db/driver.h"
#include "faulty_db.h"
#include "testdb.h"

static int64_t number(struct sync_db *db, const char *sql)
{
	int64_t n = 0;

	assert_ok(sync_db_number(db, sql, SYNC_NOARGS, -1, &n, err));
	return n;
}

static void run(struct sync_db *db, const char *sql)
{
	assert_ok(sync_db_script(db, sql, err));
}

/* Whether a setting has this value; NULL: is not there. */
static void assert_meta(struct sync_db *db, const char *key, const char *value)
{
	defer(sync_buf_clear) struct sync_buf b = { .max = 1000 };
	bool found;

	assert_ok(sync_meta_get(db, key, &b, &found, err));
	assert_int_equal(value != NULL, found);
	if (value)
		assert_string_equal(value, b.data);
}

static enum sync_status open_again(struct testdb *t, enum sync_role role, bool create, struct sync_error *err)
{
	sync_db_close(t->db);
	t->db = NULL;
	return sync_db_open(&t->db, t->url, testdb_drivers, role, create, err);
}

static void reopen(struct testdb *t, enum sync_role role)
{
	assert_ok(open_again(t, role, false, err));
}

/* names of databases */

static enum sync_status open_nothing(struct sync_db **ret, const char *rest, bool create, struct sync_error *err)
{
	(void)rest, (void)create, (void)err;
	*ret = calloc(1, sizeof(**ret));
	assert_non_null(*ret);
	return SYNC_OK;
}

static void close_nothing(struct sync_db *db)
{
	free(db);
}

static const struct sync_db_ops nothing = { .scheme = "fake", .open = open_nothing, .close = close_nothing };

static void passwords_are_not_shown(void **state)
{
	static const struct {
		const char *url, *shown;
	} cases[] = {
		{ "fake:host=a password=secret dbname=b", "fake:host=a password=*** dbname=b" },
		{ "fake:password = 'se \\' cret' dbname=b", "fake:password = *** dbname=b" },
		{ "fake:sslpassword=x password=y", "fake:sslpassword=*** password=***" },
		{ "fake://user:se@cret@host/db?password=x&a=b", "fake://user:***@host/db?password=***&a=b" },
		{ "fake://user@host/db", "fake://user@host/db" },
		{ "fake:/a/password", "fake:/a/password" },
	};
	const struct sync_db_ops *drivers[] = { &nothing, NULL };

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		defer(sync_db_closep) struct sync_db *db = NULL;
		assert_ok(sync_db_connect(&db, cases[i].url, drivers, true, err));
		assert_string_equal(cases[i].shown, sync_db_url(db));
	}
}

static void a_malformed_connection_shows_no_password(void **state)
{
	struct sync_error e = { 0 };
	struct sync_db *db;

	(void)state;
	assert_int_equal(SYNC_EUSAGE, sync_db_connect(&db, "postgres:password=my secret", testdb_drivers, true, &e));
	assert_null(strstr(e.text, "secret"));
}

static void an_unknown_scheme_is_refused_with_those_that_are_known(void **state)
{
	struct sync_error e = { 0 };
	struct sync_db *db;

	(void)state;
	assert_int_equal(SYNC_EUSAGE, sync_db_connect(&db, "mysql:host=secret", testdb_drivers, true, &e));
	assert_string_equal("no driver for a database 'mysql:…'; this program has sqlite:, postgres:", e.text);
}

static void a_bare_path_is_a_sqlite_file(void **state)
{
	defer(sync_db_closep) struct sync_db *db = NULL;
	struct testdb *t = testdb_of(state);

	assert_ok(sync_db_connect(&db, strchr(t->url, ':') + 1, testdb_drivers, true, err));
	assert_false(sync_db_dialect(db)->postgres);
}

/* what is opened */

static void a_new_database_gets_our_tables_and_those_of_all_entities(void **state)
{
	struct testdb *t = testdb_of(state);
	char sql[100];
	size_t n;

	testdb_open(t, SYNC_CENTRAL);
	assert_int_equal(0, number(t->db, "SELECT count(*) FROM sync_outbox"));
	assert_meta(t->db, "role", "central");
	for (const struct sync_entity *const *e = sync_entities(&n); n > 0; n--, e++) {
		(void)snprintf(sql, sizeof(sql), "DELETE FROM \"%s\"", (*e)->name);
		run(t->db, sql);
	}
	run(t->db, "INSERT INTO abbreviation(id, text, expansion) VALUES ('a', 'b', 'c')");
	assert_int_equal(1, number(t->db, "SELECT count(*) FROM sync_changelog WHERE record_id = 'a'"));
}

/* As the disk has it for sure: without the log, of which a power cut may leave nothing. */
static int64_t units_without_log(const struct testdb *t)
{
	char url[300];
	sqlite3_stmt *stmt;
	sqlite3 *db;
	int64_t n;

	(void)snprintf(url, sizeof url, "file:%s?immutable=1", strchr(t->url, ':') + 1);
	assert_int_equal(SQLITE_OK, sqlite3_open_v2(url, &db, SQLITE_OPEN_READONLY | SQLITE_OPEN_URI, NULL));
	assert_int_equal(SQLITE_OK, sqlite3_prepare_v2(db, "SELECT count(*) FROM unit", -1, &stmt, NULL));
	assert_int_equal(SQLITE_ROW, sqlite3_step(stmt));
	n = sqlite3_column_int64(stmt, 0);
	(void)sqlite3_finalize(stmt);
	(void)sqlite3_close(db);
	return n;
}

/* Of a process that died in its COMMIT the log may have what no disk has yet; nobody may act by what is lost with the power. */
static void what_the_log_has_is_durable_once_the_database_is_open(void **state)
{
	defer(sync_db_closep) struct sync_db *again = NULL;
	struct testdb *t = testdb_of(state);

	testdb_open(t, SYNC_CENTRAL);
	run(t->db, "INSERT INTO unit(id, name, \"index\", is_active) VALUES ('u1', 'box', 1, 1)");
	assert_int_equal(0, units_without_log(t));
	assert_ok(sync_db_connect(&again, t->url, testdb_drivers, false, err));
	assert_int_equal(1, units_without_log(t));
}

static void an_empty_database_is_not_found_and_stays_empty_unless_it_is_to_be_made(void **state)
{
	struct testdb *t = testdb_of(state);
	struct sync_error e = { 0 };

	assert_int_equal(SYNC_ENOTFOUND, open_again(t, SYNC_CENTRAL, false, &e));
	assert_null(t->db);
	assert_ok(sync_db_connect(&t->db, t->url, testdb_drivers, true, err));
	assert_int_not_equal(SYNC_OK, sync_db_run(t->db, "SELECT 1 FROM sync_meta", SYNC_NOARGS, NULL, NULL, NULL));
}

static void a_missing_file_is_not_found_and_not_made(void **state)
{
	struct sync_error e = { 0 };
	struct sync_db *db;

	(void)state;
	assert_int_equal(SYNC_ENOTFOUND, sync_db_open(&db, "sqlite:/nowhere/site.db", testdb_drivers, SYNC_SITE, false, &e));
	assert_string_equal("/nowhere/site.db: there is no database", e.text);
}

/* There are patients in it, and a site's token. */
static void a_new_file_is_closed_to_others(void **state)
{
	static const char *const suffixes[] = { "", "-wal", "-shm" };
	struct testdb *t = testdb_of(state);
	mode_t before = umask(0);

	assert_int_equal(0, unlink(strchr(t->url, ':') + 1));
	testdb_open(t, SYNC_SITE);
	run(t->db, "CREATE TABLE a(b integer)");
	umask(before);
	for (size_t i = 0; i < COUNT(suffixes); i++) {
		char path[300];
		struct stat st;

		snprintf(path, sizeof path, "%s%s", strchr(t->url, ':') + 1, suffixes[i]);
		assert_int_equal(0, stat(path, &st));
		assert_int_equal(0660, st.st_mode & 0777);
	}
}

static void a_file_that_is_no_database_is_refused_and_stays_as_it_is(void **state)
{
	static const char text[] = "Dear Sir or Madam, this is a letter and no database, however long it may become.\n";
	struct testdb *t = testdb_of(state);
	const char *path = strchr(t->url, ':') + 1;
	struct sync_error e = { 0 };
	char got[sizeof(text)] = "";

	FILE *f = fopen(path, "w");
	assert_true(f && fputs(text, f) >= 0 && fclose(f) == 0);
	assert_int_equal(SYNC_ECORRUPT, open_again(t, SYNC_SITE, true, &e));
	assert_non_null(strstr(e.text, path));
	f = fopen(path, "r");
	assert_true(f && fread(got, 1, sizeof(got), f) == strlen(text) && fclose(f) == 0);
	assert_string_equal(text, got);
}

static void a_database_of_the_other_role_is_refused(void **state)
{
	struct testdb *t = testdb_of(state);
	struct sync_error e = { 0 };

	testdb_open(t, SYNC_SITE);
	assert_int_equal(SYNC_EWRONGDB, open_again(t, SYNC_CENTRAL, true, &e));
	assert_non_null(strstr(e.text, "is the database of a site, not of a central"));
}

static void a_site_has_no_postgresql(void **state)
{
	struct testdb *t = testdb_of(state);
	struct sync_error e = { 0 };

	assert_int_equal(SYNC_EUSAGE, open_again(t, SYNC_SITE, true, &e));
	assert_non_null(strstr(e.text, "a site's database is a SQLite file"));
}

static void a_newer_database_is_refused_and_both_versions_are_named(void **state)
{
	static const char *const keys[] = { "format", "schema" };
	struct testdb *t = testdb_of(state);

	for (size_t i = 0; i < COUNT(keys); i++) {
		struct sync_error e = { 0 };
		char sql[200];
		testdb_open(t, SYNC_CENTRAL);
		(void)snprintf(sql, sizeof(sql), "UPDATE sync_meta SET value = '77' WHERE key = '%s';"
		               "UPDATE sync_meta SET value = '9.9' WHERE key = 'program'", keys[i]);
		run(t->db, sql);
		assert_int_equal(SYNC_EWRONGDB, open_again(t, SYNC_CENTRAL, true, &e));
		assert_non_null(strstr(e.text, "libsync 9.9"));
		assert_non_null(strstr(e.text, "77"));
		assert_non_null(strstr(e.text, "this is " SYNC_VERSION));
		assert_non_null(strstr(e.text, "upgrade this program"));
		assert_ok(sync_db_connect(&t->db, t->url, testdb_drivers, false, err));
		(void)snprintf(sql, sizeof(sql), "UPDATE sync_meta SET value = '1' WHERE key = '%s'", keys[i]);
		run(t->db, sql);
		sync_db_close(steal(t->db));
	}
}

static void tables_of_an_application_stay(void **state)
{
	struct testdb *t = testdb_of(state);

	assert_ok(sync_db_connect(&t->db, t->url, testdb_drivers, true, err));
	run(t->db, "CREATE TABLE recipes(id text); INSERT INTO recipes VALUES ('soup')");
	sync_db_close(steal(t->db));
	testdb_open(t, SYNC_CENTRAL);
	assert_int_equal(1, number(t->db, "SELECT count(*) FROM recipes"));
}

/* Several processes open a new database at once: all succeed, and what they open is whole. */
static void processes_that_open_at_once_do_not_disturb_each_other(void **state)
{
	struct testdb *t = testdb_of(state);
	pid_t children[4];

	for (size_t i = 0; i < COUNT(children); i++) {
		children[i] = fork();
		if (children[i] == 0) {
			struct sync_error e = { 0 };
			struct sync_db *db = NULL;
			enum sync_status status = sync_db_open(&db, t->url, testdb_drivers, SYNC_CENTRAL, true, &e);
			if (status != SYNC_OK)
				fprintf(stderr, "%s\n", e.text);
			sync_db_close(db);
			_exit(status != SYNC_OK);
		}
	}
	for (size_t i = 0; i < COUNT(children); i++) {
		int status = -1;
		assert_int_equal(children[i], waitpid(children[i], &status, 0));
		assert_int_equal(0, status);
	}
	reopen(t, SYNC_CENTRAL);
}

/* migrations */

static const struct sync_migration newer[] = {
	{ 2, "-- before any section: not run\n-- @ both\nCREATE TABLE sync_both(id @serial, data @blob);\n" },
	{ 5, "-- @ central\nALTER TABLE sync_both ADD COLUMN central text;\n-- @ site\nALTER TABLE sync_both ADD COLUMN site "
	     "text;\n" },
	{ 0 },
};

static void restore_migrations(const struct sync_migration **kept)
{
	sync_migrations = *kept;
}

static void an_older_database_is_migrated_step_by_step_and_once(void **state)
{
	defer(restore_migrations) const struct sync_migration *kept = sync_migrations;
	struct testdb *t = testdb_of(state);
	struct sync_error e = { 0 };

	testdb_open(t, SYNC_CENTRAL);
	assert_meta(t->db, "format", "1");
	sync_migrations = newer;
	reopen(t, SYNC_CENTRAL);
	assert_meta(t->db, "format", "5");
	run(t->db, "INSERT INTO sync_both(central) VALUES ('x')");
	reopen(t, SYNC_CENTRAL);
	assert_int_equal(1, number(t->db, "SELECT count(*) FROM sync_both WHERE central = 'x' AND id = 1"));
	sync_migrations = kept;
	assert_int_equal(SYNC_EWRONGDB, open_again(t, SYNC_CENTRAL, false, &e));
	assert_non_null(strstr(e.text, "format 5"));
}

static void a_migration_that_fails_changes_nothing(void **state)
{
	static const struct sync_migration broken[] = {
		{ 2, "-- @ both\nCREATE TABLE sync_both(id text);\n" },
		{ 3, "-- @ both\nCREATE TABLE sync_both(id text);\n" },
		{ 0 },
	};
	defer(restore_migrations) const struct sync_migration *kept = sync_migrations;
	struct testdb *t = testdb_of(state);

	testdb_open(t, SYNC_CENTRAL);
	sync_migrations = broken;
	assert_int_equal(SYNC_EDB, open_again(t, SYNC_CENTRAL, false, NULL));
	sync_migrations = kept;
	reopen(t, SYNC_CENTRAL);
	assert_meta(t->db, "format", "1");
	run(t->db, "CREATE TABLE sync_both(id text)");
}

/* entity tables, triggers, and what was unknown */

static void drop_triggers(struct sync_db *db, const char *entity)
{
	defer(sync_buf_clear) struct sync_buf sql = { .max = 10000 };

	sync_ddl_drop_triggers(&sql, sync_entity_find(sync_view_of(entity)), sync_db_dialect(db));
	run(db, sql.data);
}

static void what_central_missed_without_triggers_is_queued(void **state)
{
	struct testdb *t = testdb_of(state);

	testdb_open(t, SYNC_CENTRAL);
	run(t->db, "INSERT INTO abbreviation(id, text, expansion) VALUES ('a', 'b', 'c'), ('f', 'b', 'c')");
	run(t->db, "INSERT INTO barcode(id, gtin, item_id) VALUES ('x', '1', 'i')");
	run(t->db, "DELETE FROM sync_changelog; INSERT INTO sync_outbox(site_id, entity, record_id, seq, action, source) VALUES"
	           "    (0, 'abbreviation', 'a', 1, 'P', 0), (7, 'abbreviation', 'gone', 2, 'P', 0), (8, 'abbreviation', 'gone', 3, 'P', 0),"
	           "    (0, 'abbreviation', 'long gone', 4, 'D', 0), (0, 'barcode', 'gone', 5, 'P', 0)");
	reopen(t, SYNC_CENTRAL);
	assert_int_equal(0, number(t->db, "SELECT count(*) FROM sync_changelog"));
	drop_triggers(t->db, "abbreviation");
	run(t->db, "UPDATE abbreviation SET text = 'd' WHERE id = 'a'");
	reopen(t, SYNC_CENTRAL);
	assert_int_equal(2, number(t->db, "SELECT count(*) FROM sync_changelog WHERE action = 'P' AND source = 0 AND record_id IN ('a', 'f')"));
	assert_int_equal(1, number(t->db, "SELECT count(*) FROM sync_changelog WHERE action = 'D' AND source = 0 AND record_id = 'gone'"
	                                  "    AND new IS NULL"));
	assert_int_equal(3, number(t->db, "SELECT count(*) FROM sync_changelog"));
	run(t->db, "INSERT INTO abbreviation(id, text, expansion) VALUES ('d', 'b', 'c')");
	reopen(t, SYNC_CENTRAL);
	assert_int_equal(4, number(t->db, "SELECT count(*) FROM sync_changelog"));
}

/* Site 7 with store s1; s2 is elsewhere. What is pulled is not captured; what is edited has rows up to 4, of which central has 2. */
static void make_site(struct testdb *t)
{
	testdb_open(t, SYNC_SITE);
	assert_ok(sync_link_put(t->db, 7, "Seven", "http://x", "t", "i", err));
	run(t->db, "UPDATE sync_link SET out_integrated = 2, load = NULL;"
	           "INSERT INTO store(id, code, site_id, store_mode, is_disabled, name_id) VALUES ('s1', 'A', 7, 'STORE', 0, 'n'),"
	           "    ('s2', 'B', 8, 'STORE', 0, 'n');"
	           "INSERT INTO item(id, name, code, ven_category, default_pack_size, type, is_active, is_vaccine, vaccine_doses,"
	           "    volume_per_pack, legacy_record) VALUES ('i1', 'Item', 'I', 'NOT_ASSIGNED', 1, 'STOCK', 1, 0, 0, 0, '{}');"
	           "INSERT INTO location(id, name, code, on_hold, store_id, volume) VALUES ('theirs', 'n', 'c', 0, 's2', 1);"
	           "INSERT INTO barcode(id, gtin, item_id) VALUES ('b1', '1', 'i1');"
	           "INSERT INTO sync_version VALUES ('barcode', 'b1', '8.x.1', 0, 0, 8, 0, '');"
	           "DELETE FROM sync_changelog;"
	           "INSERT INTO barcode(id, gtin, item_id) VALUES ('b3', '2', 'i1');"
	           "INSERT INTO location(id, name, code, on_hold, store_id, volume) VALUES ('old', 'n', 'c', 0, 's1', 1),"
	           "    ('gone', 'n', 'c', 0, 's1', 1);"
	           "INSERT INTO barcode(id, gtin, item_id) VALUES ('b2', '2', 'i1');"
	           "UPDATE sync_link SET out_upto = 2");
}

static void what_a_site_missed_without_triggers_is_pending(void **state)
{
	struct testdb *t = testdb_of(state);
	static const char *const rebuilt[] = { "location", "barcode", "stocktake", "stocktake_line", "item" };

	make_site(t);
	for (size_t i = 0; i < COUNT(rebuilt); i++)
		drop_triggers(t->db, rebuilt[i]);
	run(t->db, "DELETE FROM location WHERE id = 'gone'; DELETE FROM barcode WHERE id IN ('b2', 'b3');"
	           "INSERT INTO location(id, name, code, on_hold, store_id, volume) VALUES ('new', 'n', 'c', 0, 's1', 1);"
	           "INSERT INTO stocktake(id, store_id, user_id, stocktake_number, status, created_datetime, is_locked, is_initial_stocktake)"
	           "    VALUES ('t1', 's1', 'u', 1, 'NEW', '2024-02-29T12:00:00', 0, 0), ('t2', 's2', 'u', 1, 'NEW', '2024-02-29T12:00:00', 0, 0);"
	           "INSERT INTO stocktake_line(id, stocktake_id, snapshot_number_of_packs, item_id, item_name, volume_per_pack)"
	           "    VALUES ('l1', 't1', 1, 'i1', 'Item', 0), ('l2', 't2', 1, 'i1', 'Item', 0)");
	reopen(t, SYNC_SITE);
	assert_int_equal(2, number(t->db, "SELECT count(*) FROM sync_changelog WHERE entity = 'location' AND action = 'P' AND seq > 4"
	                                  "    AND record_id IN ('old', 'new')"));
	assert_int_equal(1, number(t->db, "SELECT count(*) FROM sync_changelog WHERE record_id = 'gone' AND action = 'D' AND seq > 4"));
	assert_int_equal(1, number(t->db, "SELECT count(*) FROM sync_changelog WHERE record_id = 'b1' AND base = '8.x.1' AND at_us = 0"));
	assert_int_equal(2, number(t->db, "SELECT count(*) FROM sync_changelog WHERE record_id IN ('b2', 'b3') AND action = 'D' AND seq > 4"));
	assert_int_equal(2, number(t->db, "SELECT count(*) FROM sync_changelog WHERE record_id IN ('t1', 'l1') AND root_id = 't1'"));
	assert_int_equal(0, number(t->db, "SELECT count(*) FROM sync_changelog WHERE record_id IN ('i1', 'theirs', 't2', 'l2')"));
	assert_int_equal(8, number(t->db, "SELECT count(*) FROM sync_changelog"));
	/* triggers go on behind it, and nothing is put up twice */
	run(t->db, "UPDATE location SET code = 'd' WHERE id = 'new'");
	assert_int_equal(number(t->db, "SELECT max(seq) FROM sync_changelog"), number(t->db, "SELECT seq FROM sync_changelog WHERE record_id = 'new'"));
	int64_t newest = number(t->db, "SELECT max(seq) FROM sync_changelog");
	reopen(t, SYNC_SITE);
	assert_int_equal(newest, number(t->db, "SELECT max(seq) FROM sync_changelog"));
}

/* Every declaration gives statements that run. */
static void every_entity_can_be_captured_again(void **state)
{
	struct testdb *t = testdb_of(state);
	enum sync_role role = t->kind == TESTDB_SQLITE ? SYNC_SITE : SYNC_CENTRAL;
	size_t n;

	testdb_open(t, role);
	for (const struct sync_entity *const *e = sync_entities(&n); n > 0; n--, e++) {
		defer(sync_buf_clear) struct sync_buf sql = { .max = 100000 };

		sync_ddl_recapture(&sql, *e, sync_db_dialect(t->db), role);
		assert_int_equal(role == SYNC_SITE && (*e)->owner == SYNC_OWNER_CENTRAL, sql.len == 0);
		if (sql.len)
			run(t->db, sql.data);
	}
}

static void triggers_of_an_older_build_are_replaced_without_a_scan(void **state)
{
	struct testdb *t = testdb_of(state);

	testdb_open(t, SYNC_CENTRAL);
	run(t->db, "INSERT INTO abbreviation(id, text, expansion) VALUES ('a', 'b', 'c'); DELETE FROM sync_changelog");
	run(t->db, "UPDATE sync_meta SET value = 'older' WHERE key = 'triggers:abbreviation'");
	reopen(t, SYNC_CENTRAL);
	assert_int_equal(0, number(t->db, "SELECT count(*) FROM sync_meta WHERE value = 'older'"));
}

static void what_a_first_load_writes_is_not_captured_and_what_an_application_writes_is(void **state)
{
	struct testdb *t = testdb_of(state);
	defer(sync_db_closep) struct sync_db *application = NULL;

	testdb_open(t, SYNC_SITE);
	assert_ok(sync_db_clone(&application, t->db, err));
	assert_ok(sync_db_use(t->db, SYNC_USE_LOAD, err));
	run(t->db, "INSERT INTO abbreviation(id, text, expansion) VALUES ('a', 'b', 'c')");
	assert_int_equal(0, number(t->db, "SELECT count(*) FROM sync_changelog"));
	run(application, "INSERT INTO abbreviation(id, text, expansion) VALUES ('d', 'b', 'c')");
	assert_int_equal(1, number(t->db, "SELECT count(*) FROM sync_changelog"));
	assert_ok(sync_db_use(t->db, SYNC_USE_SHARED, err));
	run(t->db, "INSERT INTO abbreviation(id, text, expansion) VALUES ('e', 'b', 'c')");
	assert_int_equal(2, number(t->db, "SELECT count(*) FROM sync_changelog"));
}

/* As an older build would have left it, that did not know the field pack_size. */
static void forget_pack_size(struct testdb *t)
{
	drop_triggers(t->db, "barcode");
	run(t->db, "ALTER TABLE barcode DROP COLUMN pack_size; DELETE FROM sync_meta WHERE key = 'triggers:barcode';"
	           "INSERT INTO barcode(id, gtin, item_id) VALUES ('a', '1', 'i'), ('b', '2', 'i'), ('c', '3', 'i');"
	           "DELETE FROM sync_changelog;"
	           "INSERT INTO sync_extra(entity, record_id, data) VALUES"
	           "    ('barcode', 'a', '{\"pack_size\":2.5,\"later\":\"x\"}'),"
	           "    ('barcode', 'b', '{\"pack_size\":10}'), ('barcode', 'c', '{\"pack_size\":\"ten\",\"later\":1}'),"
	           "    ('barcode', 'gone', '{\"pack_size\":1}')");
}

static void check_pack_size(struct sync_db *db)
{
	assert_int_equal(1, number(db, "SELECT count(*) FROM barcode WHERE id = 'a' AND pack_size = 2.5 AND gtin = '1'"));
	assert_int_equal(1, number(db, "SELECT count(*) FROM barcode WHERE id = 'b' AND pack_size = 10"));
	assert_int_equal(1, number(db, "SELECT count(*) FROM barcode WHERE id = 'c' AND pack_size IS NULL"));
	assert_int_equal(1, number(db, "SELECT count(*) FROM sync_extra WHERE record_id = 'a' AND data = '{\"later\":\"x\"}'"));
	assert_int_equal(0, number(db, "SELECT count(*) FROM sync_extra WHERE record_id = 'b'"));
	assert_int_equal(1, number(db, "SELECT count(*) FROM sync_extra WHERE record_id = 'c' AND data = '{\"later\":1}'"));
	assert_int_equal(1, number(db, "SELECT count(*) FROM sync_extra WHERE record_id = 'gone'"));
	assert_int_equal(1, number(db, "SELECT count(*) FROM sync_inbox WHERE record_id = 'c' AND source = 0"
	                               "    AND code = 'wrong_type' AND field = 'pack_size' AND frame LIKE '%\"ten\"%'"));
}

static void a_field_that_was_unknown_moves_into_its_new_column(void **state)
{
	struct testdb *t = testdb_of(state);

	testdb_open(t, SYNC_CENTRAL);
	forget_pack_size(t);
	reopen(t, SYNC_CENTRAL);
	check_pack_size(t->db);
	assert_int_equal(2, number(t->db, "SELECT count(*) FROM sync_changelog WHERE source = -1")); /* nobody's edit */
	assert_int_equal(0, number(t->db, "SELECT count(*) FROM sync_mark"));
	run(t->db, "UPDATE barcode SET pack_size = 1 WHERE id = 'a'");
	assert_int_equal(1, number(t->db, "SELECT count(*) FROM sync_changelog WHERE source = 0"));
	assert_int_equal(3, number(t->db, "SELECT count(*) FROM sync_changelog"));
}

static void at_a_site_that_is_no_edit(void **state)
{
	struct testdb *t = testdb_of(state);

	testdb_open(t, SYNC_SITE);
	forget_pack_size(t);
	reopen(t, SYNC_SITE);
	check_pack_size(t->db);
	assert_int_equal(0, number(t->db, "SELECT count(*) FROM sync_changelog"));
	run(t->db, "UPDATE barcode SET pack_size = 1 WHERE id = 'a'");
	assert_int_equal(1, number(t->db, "SELECT count(*) FROM sync_changelog"));
}

/* More of them than a page holds. */
static void add_unknown(struct sync_db *db, int n)
{
	static const char put[] =
		"INSERT INTO sync_extra(entity, record_id, data, root_id) VALUES ('abbreviation', $1, $2, $3)";
	char id[20];

	assert_ok(sync_db_begin(db, true, err));
	for (int i = 0; i < n; i++) {
		(void)snprintf(id, sizeof(id), "a%d", i);
		assert_ok(sync_db_run(db, put,
		                      SYNC_ARGS(sync_text(id), sync_text("{\"text\":\"b\",\"expansion\":\"ü\",\"more\":null}"),
		                                sync_text(id)),
		                      NULL, NULL, err));
	}
	assert_ok(
		sync_db_run(db, put, SYNC_ARGS(sync_text("bad"), sync_text("{\"text\":\"b\"}"), sync_null()), NULL, NULL, err));
	assert_ok(sync_db_commit(db, err));
}

static void records_of_an_entity_that_was_unknown_move_into_its_table(void **state)
{
	struct testdb *t = testdb_of(state);

	testdb_open(t, SYNC_CENTRAL);
	run(t->db, "DROP TABLE abbreviation; DELETE FROM sync_meta WHERE key = 'triggers:abbreviation'");
	add_unknown(t->db, 1203);
	run(t->db, "INSERT INTO sync_extra(entity, record_id, data, source) VALUES ('abbreviation', 's', '{\"text\":\"b\"}', 7)");
	run(t->db, "INSERT INTO sync_extra(entity, record_id, data, source) VALUES ('abbreviation', 'gone', '', 7)");
	reopen(t, SYNC_CENTRAL);
	assert_int_equal(1, number(t->db, "SELECT count(*) FROM sync_inbox WHERE record_id = 's' AND code = 'adopted' AND source = 7"));
	assert_int_equal(1, number(t->db, "SELECT count(*) FROM sync_inbox WHERE record_id = 'gone' AND code = 'adopted' AND source = 7"
	                                  "    AND frame LIKE '%%\"a\":\"D\"%%'"));
	assert_int_equal(0, number(t->db, "SELECT count(*) FROM sync_extra WHERE record_id IN ('s', 'gone')"));
	assert_int_equal(1203, number(t->db, "SELECT count(*) FROM abbreviation WHERE expansion = 'ü'"));
	assert_int_equal(1203,
	                 number(t->db, "SELECT count(*) FROM sync_extra WHERE data = '{\"more\":null}' AND root_id IS NULL"));
	assert_int_equal(1203, number(t->db, "SELECT count(*) FROM sync_changelog WHERE action = 'P' AND old IS NULL"));
	assert_int_equal(1, number(t->db, "SELECT count(*) FROM sync_inbox WHERE record_id = 'bad' AND code = 'missing_field'"
	                                  "    AND field = 'expansion'"));
}

/* failures */

static void a_full_disk_is_told_and_loses_nothing(void **state)
{
	struct testdb *t = testdb_of(state);
	defer(freep) char *big = calloc(1, 1 << 20);
	struct sync_view blob = { big, 1 << 20 };
	struct sync_error e = { 0 };
	static const char put[] = "INSERT INTO big VALUES ($1)";

	assert_ok(sync_db_connect(&t->db, t->url, testdb_drivers, true, err));
	run(t->db, "CREATE TABLE big(data blob)");
	run(t->db, "PRAGMA max_page_count = 20");
	assert_ok(sync_db_begin(t->db, true, err));
	assert_int_equal(SYNC_EDISKFULL, sync_db_run(t->db, put, SYNC_ARGS(sync_blob(blob)), NULL, NULL, &e));
	assert_non_null(strstr(e.text, "free some space; nothing is lost"));
	assert_int_equal(SYNC_EDB, sync_db_commit(t->db, NULL));
	assert_false(sync_db_in_transaction(t->db));
	blob.len = 10;
	assert_ok(sync_db_run(t->db, put, SYNC_ARGS(sync_blob(blob)), NULL, NULL, err));
	assert_int_equal(1, number(t->db, "SELECT count(*) FROM big"));
}

/* The disk refuses when the transaction, in memory so far, is written. */
static void a_commit_that_cannot_be_written_leaves_no_transaction(void **state)
{
	static const char put[] = "INSERT INTO big VALUES ($1)";
	struct testdb *t = testdb_of(state);
	defer(freep) char *big = calloc(1, 1 << 20);
	struct rlimit all, little;
	struct sync_error e = { 0 };

	assert_ok(sync_db_connect(&t->db, t->url, testdb_drivers, true, err));
	run(t->db, "PRAGMA journal_mode = WAL; CREATE TABLE big(data blob)");
	assert_ok(sync_db_begin(t->db, true, err));
	assert_ok(sync_db_run(t->db, put, SYNC_ARGS(sync_blob((struct sync_view){ big, 1 << 20 })), NULL, NULL, err));
	(void)signal(SIGXFSZ, SIG_IGN);
	assert_int_equal(0, getrlimit(RLIMIT_FSIZE, &all));
	little = (struct rlimit){ 1 << 19, all.rlim_max };
	assert_int_equal(0, setrlimit(RLIMIT_FSIZE, &little));
	enum sync_status status = sync_db_commit(t->db, &e);
	assert_int_equal(0, setrlimit(RLIMIT_FSIZE, &all));
	assert_int_equal(SYNC_EDISKFULL, status);
	assert_false(sync_db_in_transaction(t->db));
	assert_int_equal(0, number(t->db, "SELECT count(*) FROM big"));
	assert_ok(sync_db_run(t->db, put, SYNC_ARGS(sync_blob((struct sync_view){ big, 10 })), NULL, NULL, err));
}

static void a_locked_file_is_busy(void **state)
{
	struct testdb *t = testdb_of(state);
	defer(sync_db_closep) struct sync_db *other = NULL;
	struct sync_error e = { 0 };

	assert_ok(sync_db_connect(&t->db, t->url, testdb_drivers, true, err));
	run(t->db, "CREATE TABLE a(b)");
	assert_ok(sync_db_clone(&other, t->db, err));
	run(other, "PRAGMA busy_timeout = 0");
	assert_ok(sync_db_begin(t->db, true, err));
	assert_int_equal(SYNC_EBUSY, sync_db_begin(other, true, &e));
	assert_false(sync_db_in_transaction(other));
	sync_db_rollback(t->db);
	assert_ok(sync_db_begin(other, true, err));
}

static void a_locked_row_is_busy(void **state)
{
	static const char change[] = "UPDATE a SET b = b + 1";
	struct testdb *t = testdb_of(state);
	defer(sync_db_closep) struct sync_db *other = NULL;
	struct sync_error e = { 0 };

	assert_ok(sync_db_connect(&t->db, t->url, testdb_drivers, true, err));
	run(t->db, "CREATE TABLE a(b integer); INSERT INTO a VALUES (1)");
	assert_ok(sync_db_clone(&other, t->db, err));
	run(other, "SET lock_timeout = '1ms'");
	assert_ok(sync_db_begin(t->db, true, err));
	assert_ok(sync_db_run(t->db, change, SYNC_NOARGS, NULL, NULL, err));
	assert_ok(sync_db_begin(other, true, err));
	assert_int_equal(SYNC_EBUSY, sync_db_run(other, change, SYNC_NOARGS, NULL, NULL, &e));
}

/* Statistics reach the server's tables at once. */
static void tell_statistics(struct sync_db *db)
{
	assert_ok(sync_db_run(db, "SELECT pg_stat_force_next_flush()", SYNC_NOARGS, NULL, NULL, err));
}

static int64_t vacuums(struct sync_db *db)
{
	return number(db, "SELECT vacuum_count FROM pg_stat_user_tables WHERE relname = 'sync_changelog'");
}

static void a_queue_with_many_dead_rows_is_vacuumed(void **state)
{
	struct testdb *t = testdb_of(state);
	defer(sync_db_closep) struct sync_db *other = NULL;
	struct sync_error e = { 0 };

	testdb_open(t, SYNC_CENTRAL);
	assert_ok(sync_db_clone(&other, t->db, err));
	run(other, "INSERT INTO sync_changelog(entity, record_id, action, source, at_us)"
	           "    SELECT 'unit', n, 'P', 0, 0 FROM generate_series(1, 100) n; DELETE FROM sync_changelog");
	tell_statistics(other);
	assert_ok(sync_queue_vacuum(t->db, 100, err));
	assert_int_equal(0, vacuums(t->db));

	/* whoever finds another at it leaves it to that one */
	run(other, "BEGIN; LOCK TABLE sync_changelog IN SHARE UPDATE EXCLUSIVE MODE");
	assert_ok(sync_queue_vacuum(t->db, 99, err));
	assert_int_equal(0, vacuums(t->db));
	run(other, "COMMIT");

	assert_ok(sync_queue_vacuum(t->db, 99, err));
	assert_int_equal(1, vacuums(t->db));
	assert_ok(sync_queue_vacuum(t->db, 99, err));
	assert_int_equal(1, vacuums(t->db));

	assert_ok(sync_db_begin(t->db, true, err));
	assert_int_equal(SYNC_EDB, sync_queue_vacuum(t->db, -1, &e));
	sync_db_rollback(t->db);
}

static void a_nul_character_is_refused_by_postgresql(void **state)
{
	static const char put[] = "INSERT INTO a(id, b) VALUES ('x', $1)";
	static const char *const columns[] = { "id", "b" };
	static const enum sync_type types[] = { SYNC_ID, SYNC_TEXT };
	const struct sync_table table = { .name = "a", .columns = columns, .types = types, .n_columns = 2, .n_key = 1 };
	const struct sync_value cut = sync_string((struct sync_view){ "a\0b", 3 });
	struct testdb *t = testdb_of(state);
	struct sync_error e = { 0 };

	assert_ok(sync_db_connect(&t->db, t->url, testdb_drivers, true, err));
	run(t->db, "CREATE TABLE a(id text PRIMARY KEY, b text)");
	assert_int_equal(SYNC_EINVALID, sync_db_run(t->db, put, &cut, 1, NULL, NULL, &e));
	assert_non_null(strstr(e.text, "NUL"));
	assert_int_equal(SYNC_EINVALID,
	                 sync_db_put_many(t->db, &table, (const struct sync_value[]){ sync_text("x"), cut }, 1, &e));
	assert_int_equal(0, number(t->db, "SELECT count(*) FROM a"));
}

static void end_connection(struct sync_db *of, struct sync_db *by)
{
	static const char end[] = "SELECT pg_terminate_backend($1, 5000)";
	int64_t pid = number(of, "SELECT pg_backend_pid()");

	assert_ok(sync_db_run(by, end, SYNC_ARGS(sync_int(pid)), NULL, NULL, err));
}

static void a_lost_connection_is_made_anew(void **state)
{
	static const char put[] = "INSERT INTO a(b) VALUES ($1)";
	struct testdb *t = testdb_of(state);
	defer(sync_db_closep) struct sync_db *other = NULL;
	struct sync_error e = { 0 };

	assert_ok(sync_db_connect(&t->db, t->url, testdb_drivers, true, err));
	run(t->db, "CREATE TABLE a(b integer)");
	assert_ok(sync_db_clone(&other, t->db, err));
	assert_ok(sync_db_run(t->db, put, SYNC_ARGS(sync_int(1)), NULL, NULL, err));

	assert_ok(sync_db_begin(t->db, true, err));
	end_connection(t->db, other);
	assert_int_equal(SYNC_ENET, sync_db_run(t->db, put, SYNC_ARGS(sync_int(2)), NULL, NULL, &e));
	assert_int_equal(SYNC_EDB, sync_db_commit(t->db, &e));
	assert_ok(sync_db_begin(t->db, true, err));
	assert_ok(sync_db_run(t->db, put, SYNC_ARGS(sync_int(3)), NULL, NULL, err));
	assert_ok(sync_db_commit(t->db, err));

	end_connection(t->db, other);
	assert_ok(sync_db_begin(t->db, false, err));
	assert_int_equal(4, number(t->db, "SELECT sum(b) FROM a"));
	assert_ok(sync_db_commit(t->db, err));

	/* outside a transaction as well: each request begins by asking who sends it */
	end_connection(t->db, other);
	assert_int_equal(4, number(t->db, "SELECT sum(b) FROM a"));
	end_connection(t->db, other);
	assert_ok(sync_db_run(t->db, put, SYNC_ARGS(sync_int(5)), NULL, NULL, err));
	assert_int_equal(9, number(t->db, "SELECT sum(b) FROM a"));
}

/* Whichever call of an opening fails, the database can be opened later and is whole. */
static void an_opening_may_fail_at_any_call(void **state)
{
	struct testdb *t = testdb_of(state);
	long n, step = 1;

	for (n = 0;; n += step) {
		const struct sync_db_ops *drivers[] = { faulty_db(t->kind == TESTDB_SQLITE ? &sync_sqlite : &sync_postgres),
			                                NULL };
		struct sync_error e = { 0 };
		step = n < 10 ? 1 : 23;
		faulty_db_arm(n);
		enum sync_status status = sync_db_open(&t->db, t->url, drivers, SYNC_CENTRAL, true, &e);
		if (!faulty_db_disarm())
			break;
		assert_int_equal(SYNC_EIO, status);
		assert_null(t->db);
		assert_int_equal(SYNC_ENOTFOUND, open_again(t, SYNC_CENTRAL, false, &e));
	}
	assert_true(n > 100);
	reopen(t, SYNC_CENTRAL);
	assert_meta(t->db, "role", "central");
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(passwords_are_not_shown),
		cmocka_unit_test(a_malformed_connection_shows_no_password),
		cmocka_unit_test(an_unknown_scheme_is_refused_with_those_that_are_known),
		TESTDB_ON(a_bare_path_is_a_sqlite_file, TESTDB_SQLITE, "SQLite"),
		TESTDB_BOTH(a_new_database_gets_our_tables_and_those_of_all_entities),
		TESTDB_ON(what_the_log_has_is_durable_once_the_database_is_open, TESTDB_SQLITE, "SQLite"),
		TESTDB_BOTH(an_empty_database_is_not_found_and_stays_empty_unless_it_is_to_be_made),
		cmocka_unit_test(a_missing_file_is_not_found_and_not_made),
		TESTDB_ON(a_new_file_is_closed_to_others, TESTDB_SQLITE, "SQLite"),
		TESTDB_ON(a_file_that_is_no_database_is_refused_and_stays_as_it_is, TESTDB_SQLITE, "SQLite"),
		TESTDB_ON(a_database_of_the_other_role_is_refused, TESTDB_SQLITE, "SQLite"),
		TESTDB_ON(a_site_has_no_postgresql, TESTDB_POSTGRES, "PostgreSQL"),
		TESTDB_BOTH(a_newer_database_is_refused_and_both_versions_are_named),
		TESTDB_BOTH(tables_of_an_application_stay),
		TESTDB_BOTH(processes_that_open_at_once_do_not_disturb_each_other),
		TESTDB_BOTH(an_older_database_is_migrated_step_by_step_and_once),
		TESTDB_BOTH(a_migration_that_fails_changes_nothing),
		TESTDB_BOTH(what_central_missed_without_triggers_is_queued),
		TESTDB_ON(what_a_site_missed_without_triggers_is_pending, TESTDB_SQLITE, "SQLite"),
		TESTDB_BOTH(every_entity_can_be_captured_again),
		TESTDB_BOTH(triggers_of_an_older_build_are_replaced_without_a_scan),
		TESTDB_ON(what_a_first_load_writes_is_not_captured_and_what_an_application_writes_is, TESTDB_SQLITE, "SQLite"),
		TESTDB_BOTH(a_field_that_was_unknown_moves_into_its_new_column),
		TESTDB_ON(at_a_site_that_is_no_edit, TESTDB_SQLITE, "SQLite"),
		TESTDB_BOTH(records_of_an_entity_that_was_unknown_move_into_its_table),
		TESTDB_ON(a_full_disk_is_told_and_loses_nothing, TESTDB_SQLITE, "SQLite"),
		TESTDB_ON(a_commit_that_cannot_be_written_leaves_no_transaction, TESTDB_SQLITE, "SQLite"),
		TESTDB_ON(a_locked_file_is_busy, TESTDB_SQLITE, "SQLite"),
		TESTDB_ON(a_locked_row_is_busy, TESTDB_POSTGRES, "PostgreSQL"),
		TESTDB_ON(a_queue_with_many_dead_rows_is_vacuumed, TESTDB_POSTGRES, "PostgreSQL"),
		TESTDB_ON(a_nul_character_is_refused_by_postgresql, TESTDB_POSTGRES, "PostgreSQL"),
		TESTDB_ON(a_lost_connection_is_made_anew, TESTDB_POSTGRES, "PostgreSQL"),
		TESTDB_BOTH(an_opening_may_fail_at_any_call),
	};

	return contract_db_run() + cmocka_run_group_tests_name("databases", tests, NULL, NULL);
}

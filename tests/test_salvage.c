#include <libsync/bundle.h>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <libsync/crypto.h>

#include "country.h"
#include "folder.h"

/* What can be read of a damaged file arrives at central as it was, and what cannot is told. */

enum { PAGE = 4096, MOST_FILE = 1 << 25, LINES = 40, SHELVES = 300 };

static const char *file_of(const struct testdb *t)
{
	return t->url + strlen("sqlite:");
}

static struct sync_db *site_db(const struct country *c)
{
	return c->site[0].db.db;
}

/* A site with records that central has, and edits of every kind that it has not; the number of edits, and of pages before it had any. */
static int64_t open_edited(struct country *c, void **state, int64_t *ret_pages)
{
	struct sync_db *db;

	country_open(c, testdb_of(state), 1);
	*ret_pages = number(site_db(c), "PRAGMA page_count");
	country_load(c, 0);
	db = site_db(c);
	for (int i = 0; i < SHELVES; i++) {
		char id[16];

		snprintf(id, sizeof id, "s%d", i);
		put_location(db, id, 1, "a shelf of which central knows, with a name that fills pages");
	}
	put_stocktake(db, "t1", 1, LINES);
	put_barcode(db, "b1", "123");
	country_settle(c);
	run(db, "UPDATE location SET name = 'moved' WHERE id IN ('s3', 's7', 's150', 's299')");
	run(db, "DELETE FROM location WHERE id IN ('s4', 's200')");
	run(db, "INSERT INTO location(id, name, code, on_hold, store_id, volume) VALUES ('long', '%s' || hex(zeroblob(6000)), 'long', 0, 'store1', 1.5)",
	    "a name of several pages ");
	put_stocktake(db, "t1", 1, 3);
	run(db, "DELETE FROM stocktake_line WHERE id = 't1-9'");
	put_stocktake(db, "t2", 1, LINES);
	put_barcode(db, "b1", "456");
	put_barcode(db, "b2", "789");
	return number(db, "SELECT count(*) FROM sync_changelog WHERE seq > (SELECT out_upto FROM sync_link)");
}

/* All of a site in one file, without its log. */
static void put_aside(struct country *c, struct sync_buf *ret)
{
	sync_db_close(site_db(c));
	c->site[0].db.db = NULL;
	file_read(ret, file_of(&c->site[0].db));
}

struct lost {
	char text[200];
	struct sync_buf rows; /* SQL: VALUES of entity and id */
};

static enum sync_status note_lost(void *ctx, struct sync_view entity, struct sync_view id, const char *why, struct sync_error *err)
{
	struct lost *lost = ctx;

	(void)err;
	snprintf(lost->text, sizeof lost->text, "%s", why);
	sync_buf_addf(&lost->rows, "%s('%.*s', '%.*s')", lost->rows.len ? ", " : "", SYNC_VIEW(entity), SYNC_VIEW(id));
	return SYNC_OK;
}

/* Salvage these bytes; the file is as it was. */
static enum sync_status salvage(struct sync_view bytes, struct lost *lost, struct sync_salvaged *ret, struct sync_error *err)
{
	defer(sync_buf_clear) struct sync_buf after = { .max = MOST_FILE };
	enum sync_status status;

	lost->rows.max = 1 << 20;
	sync_buf_reset(&lost->rows);
	file_write(folder_path("site.db"), bytes);
	status = sync_salvage(folder_path("site.db"), folder_path("edits"), NULL, note_lost, lost, ret, err);
	file_read(&after, folder_path("site.db"));
	assert_true(sync_view_eq(bytes, sync_buf_view(&after)));
	return status;
}

static struct sync_bundled accept(struct country *c)
{
	struct sync_bundled done;

	assert_ok(sync_bundle_accept(c->central->db, folder_path("edits"), 0, &done, err));
	return done;
}

/* Central as it was before, with what the site had attached to it as w, and what it has itself as b. */
static void begin_anew(struct country *c, const struct testdb *before)
{
	loopback_close(&c->site[0].line);
	sync_db_close(c->central->db);
	c->central->db = NULL;
	testdb_restore(c->central, before);
	assert_ok(sync_db_open(&c->central->db, c->central->url, testdb_drivers, SYNC_CENTRAL, false, err));
	loopback_open(&c->site[0].line, c->central->db, 1);
	run(c->central->db, "ATTACH '%s' AS w", folder_path("whole.db"));
	run(c->central->db, "ATTACH '%s' AS b", file_of(before));
}

static void fill_lost(struct sync_db *db, const struct lost *lost)
{
	defer(sync_buf_clear) struct sync_buf sql = { .max = 1 << 21 };

	sync_buf_addf(&sql, "CREATE TEMP TABLE lost(entity, id);%s%s", lost->rows.len ? "INSERT INTO lost VALUES " : "",
	              lost->rows.len ? lost->rows.data : "");
	assert_ok(sync_db_script(db, sql.data, err));
}

/* What is not as the site had it is as central has had it before, and was told to be lost; lines without their stocktake wait. */
static void assert_arrived(struct country *c, const struct lost *lost, bool incomplete)
{
	static const char *const tables[] = { "location", "stocktake", "stocktake_line", "barcode" };
	struct sync_db *db = c->central->db;

	fill_lost(db, lost);
	for (size_t i = 0; i < COUNT(tables); i++) {
		const char *t = tables[i];

		assert_int_equal(0, number(db, "SELECT count(*) FROM (SELECT * FROM main.%s EXCEPT SELECT * FROM w.%s EXCEPT SELECT * FROM b.%s)",
		                           t, t, t));
		if (incomplete)
			continue;
		assert_int_equal(0, number(db,
		                           "SELECT count(*) FROM (SELECT * FROM w.%s EXCEPT SELECT * FROM main.%s)"
		                           "    WHERE id NOT IN (SELECT id FROM lost WHERE entity = '%s')"
		                           "    AND id NOT IN (SELECT record_id FROM sync_inbox WHERE entity = '%s')",
		                           t, t, t, t));
		assert_int_equal(0, number(db,
		                           "SELECT count(*) FROM main.%s WHERE id NOT IN (SELECT id FROM w.%s)"
		                           "    AND id NOT IN (SELECT id FROM lost WHERE entity = '%s')",
		                           t, t, t));
	}
}

/* Central before the edits, as a backup, and the site's file as it is. */
struct before {
	struct testdb central;
	struct sync_buf site;
	int64_t edits, empty_pages;
	bool root[1 << 12]; /* pages with which tables and indices of interest begin */
};

static enum sync_status note_root(void *ctx, const struct sync_value *v, size_t n, struct sync_error *err)
{
	bool *root = ctx;

	(void)n, (void)err;
	root[v[0].i] = true;
	return SYNC_OK;
}

static void open_before(struct before *b, struct country *c, void **state)
{
	static const char roots[] = "SELECT rootpage FROM sqlite_schema WHERE tbl_name IN"
	                            " ('sync_link', 'sync_changelog', 'sync_checkpoint', 'sync_extra', 'location', 'stocktake', 'stocktake_line', 'barcode')";

	*b = (struct before){ .site.max = MOST_FILE };
	b->edits = open_edited(c, state, &b->empty_pages);
	assert_ok(sync_db_run(site_db(c), roots, SYNC_NOARGS, note_root, b->root, err));
	put_aside(c, &b->site);
	file_write(folder_path("whole.db"), sync_buf_view(&b->site));
	loopback_close(&c->site[0].line);
	sync_db_close(c->central->db);
	c->central->db = NULL;
	testdb_copy(&b->central, c->central);
	begin_anew(c, &b->central);
}

static void close_before(struct before *b, struct country *c)
{
	testdb_drop(&b->central);
	sync_buf_clear(&b->site);
	country_close(c);
}

/* Zeros, bytes that are nothing, or in the second half other bytes than there were. */
static void damage(char *page, size_t how)
{
	if (how == 0)
		memset(page, 0, PAGE);
	else if (how == 1)
		memset(page, 0xa5, PAGE);
	else
		for (size_t i = PAGE / 2; i < PAGE; i++)
			page[i] = (char)(i * 7919 >> 3);
}

static void whatever_page_is_damaged_nothing_is_lost_unsaid(void **state)
{
	struct lost lost = { 0 };
	static struct before before;
	struct country c;
	size_t saved = 0, partly = 0, failed = 0;

	open_before(&before, &c, state);
	for (size_t at = 0; at < before.site.len; at += PAGE) {
		struct sync_salvaged x;
		int64_t page = (int64_t)(at / PAGE) + 1;
		struct sync_error e = { 0 };
		char kept[PAGE];
		enum sync_status status;

		if (page < before.empty_pages && !before.root[page] && page % 61 != 1)
			continue; /* most is schema, one page of which is like another */
		memcpy(kept, before.site.data + at, PAGE);
		damage(before.site.data + at, at / PAGE % 3);
		status = salvage(sync_buf_view(&before.site), &lost, &x, &e);
		memcpy(before.site.data + at, kept, PAGE);
		if (status != SYNC_OK) {
			assert_int_equal(SYNC_ECORRUPT, status);
			assert_non_null(strstr(e.text, "sync_link"));
			failed++;
			continue;
		}
		if (x.bundle.records == before.edits && !x.incomplete) {
			assert_int_equal(0, x.lost);
			saved++;
			continue;
		}
		partly++;
		assert_true(x.incomplete || x.bundle.records + x.lost == before.edits);
		accept(&c);
		assert_arrived(&c, &lost, x.incomplete);
		begin_anew(&c, &before.central);
	}
	assert_int_equal(1, failed); /* the page of sync_link */
	assert_true(partly > 5 && saved > partly);
	sync_buf_clear(&lost.rows);
	close_before(&before, &c);
}

/* Central's handle has the whole file attached. */
static void damage_root(struct before *b, const struct country *c, const char *name)
{
	int64_t page = number(c->central->db, "SELECT rootpage FROM w.sqlite_schema WHERE name = '%s'", name);

	assert_true(page > 1);
	damage(b->site.data + (page - 1) * PAGE, 0);
}

static void a_table_that_nothing_leads_to_any_more_is_found_page_by_page(void **state)
{
	static struct before before;
	struct sync_salvaged x;
	struct lost lost = { 0 };
	struct country c;

	open_before(&before, &c, state);
	damage_root(&before, &c, "location");
	assert_ok(salvage(sync_buf_view(&before.site), &lost, &x, err));
	assert_int_equal(before.edits, x.bundle.records);
	assert_int_equal(0, x.lost + x.incomplete);
	accept(&c);
	assert_arrived(&c, &lost, false);
	close_before(&before, &c);
}

static void what_the_changelog_lacks_its_index_names(void **state)
{
	static struct before before;
	struct sync_salvaged x;
	struct lost lost = { 0 };
	struct country c;

	open_before(&before, &c, state);
	damage_root(&before, &c, "sync_changelog");
	assert_ok(salvage(sync_buf_view(&before.site), &lost, &x, err));
	assert_false(x.incomplete);
	assert_int_equal(before.edits - 3, x.bundle.records);
	assert_string_equal("('location', 's200'), ('location', 's4'), ('stocktake_line', 't1-9')", lost.rows.data); /* deletes are not guessed */
	accept(&c);
	assert_arrived(&c, &lost, false);
	damage_root(&before, &c, "sync_changelog_seq");
	assert_ok(salvage(sync_buf_view(&before.site), &lost, &x, err));
	assert_true(x.incomplete);
	sync_buf_clear(&lost.rows);
	close_before(&before, &c);
}

static void find_text(struct before *b, const char *text, size_t *at)
{
	size_t len = strlen(text);

	while (*at + len <= b->site.len && memcmp(b->site.data + *at, text, len) != 0)
		++*at;
	assert_true(*at + len <= b->site.len);
}

/* A name of a column that is another by one letter, and the end of the text that is none any more. */
static void columns_are_not_taken_from_a_text_that_is_damaged(void **state)
{
	static const char *const texts[] = { "\"volume\" real", "root_id     text", "\"volume\" real NOT NULL\n) STRICT" };
	static const size_t places[] = { 1, 0, 25 };
	static struct before before;
	struct lost lost = { 0 };
	struct country c;

	open_before(&before, &c, state);
	for (size_t i = 0; i < COUNT(texts); i++) {
		struct sync_salvaged x;
		size_t at = 0;
		char kept;

		find_text(&before, texts[i], &at);
		at += places[i];
		kept = before.site.data[at];
		before.site.data[at] = 'x';
		assert_ok(salvage(sync_buf_view(&before.site), &lost, &x, err));
		before.site.data[at] = kept;
		assert_int_equal(before.edits, x.bundle.records);
		accept(&c);
		assert_arrived(&c, &lost, x.incomplete);
		begin_anew(&c, &before.central);
	}
	sync_buf_clear(&lost.rows);
	close_before(&before, &c);
}

static void without_its_beginning_a_file_still_has_its_edits(void **state)
{
	static struct before before;
	struct sync_salvaged x;
	struct lost lost = { 0 };
	struct country c;

	open_before(&before, &c, state);
	memset(before.site.data, 0x5a, PAGE);
	assert_ok(salvage(sync_buf_view(&before.site), &lost, &x, err));
	assert_int_equal(before.edits, x.bundle.records);
	assert_int_equal(0, x.lost + x.incomplete);
	close_before(&before, &c);
}

/* Where it is cut is where pages are missing; the edits are the newest of it. */
static void a_file_that_was_cut_short_gives_what_it_has(void **state)
{
	static struct before before;
	struct lost lost = { 0 };
	struct country c;

	open_before(&before, &c, state);
	for (size_t part = 0; part < 8; part++) {
		struct sync_salvaged x;
		struct sync_error e = { 0 };
		struct sync_view cut = { before.site.data, before.site.len / 8 * part + part * 100 };

		switch (salvage(cut, &lost, &x, &e)) {
		case SYNC_OK:
			assert_true(x.incomplete || x.bundle.records + x.lost == before.edits);
			accept(&c);
			assert_arrived(&c, &lost, x.incomplete);
			begin_anew(&c, &before.central);
			break;
		case SYNC_ENOTFOUND:
			assert_int_equal(0, part);
			break;
		default:
			fail_msg("%zu eighths: %s", part, e.text);
		}
	}
	sync_buf_clear(&lost.rows);
	close_before(&before, &c);
}

/* Central got the push whose answer the site never had. */
static void a_push_that_was_on_its_way_is_not_taken_twice(void **state)
{
	struct sync_buf site = { .max = MOST_FILE };
	struct sync_salvaged x;
	struct lost lost = { 0 };
	struct country c;

	country_open(&c, testdb_of(state), 1);
	country_load(&c, 0);
	put_location(site_db(&c), "l1", 1, "Fridge");
	loopback_arm(&c.site[0].line, LOOPBACK_LOSE_ANSWER, 1, 0);
	assert_int_equal(SYNC_ENET, country_round(&c, 0));
	assert_int_equal(1, number(c.central->db, "SELECT count(*) FROM location"));
	put_location(site_db(&c), "l1", 1, "Shelf");
	put_location(site_db(&c), "l2", 1, "Room");
	put_aside(&c, &site);
	assert_ok(salvage(sync_buf_view(&site), &lost, &x, err));
	assert_int_equal(2, x.bundle.records);
	assert_int_equal(0, accept(&c).known);
	country_reopen_site(&c, 0, testdb_drivers);
	assert_converged(&c, 0);
	assert_int_equal(accept(&c).messages, accept(&c).known);
	assert_int_equal(0, number(c.central->db, "SELECT count(*) FROM sync_waiting"));
	assert_ok(salvage(sync_buf_view(&site), &lost, &x, err)); /* it may have more than what was accepted */
	assert_int_equal(SYNC_EBASE, sync_bundle_accept(c.central->db, folder_path("edits"), 0, &x.bundle, NULL));
	sync_buf_clear(&site);
	country_close(&c);
}

/* A frame is 24 bytes and a page, behind the log's 32. */
static void a_damaged_log_is_told_of_but_not_one_that_a_crash_has_cut(void **state)
{
	struct sync_buf site = { .max = MOST_FILE }, log = { .max = MOST_FILE };
	char name[600];
	struct sync_salvaged x;
	struct lost lost = { 0 };
	struct country c;

	country_open(&c, testdb_of(state), 1);
	country_load(&c, 0);
	assert_ok(sync_db_script(site_db(&c), "PRAGMA wal_checkpoint(TRUNCATE)", err));
	for (int i = 0; i < 10; i++) {
		char id[8];

		snprintf(id, sizeof id, "l%d", i);
		put_location(site_db(&c), id, 1, "Fridge");
	}
	file_read(&site, file_of(&c.site[0].db));
	snprintf(name, sizeof name, "%s-wal", file_of(&c.site[0].db));
	file_read(&log, name);
	file_write(folder_path("site.db-wal"), sync_buf_view(&log));
	assert_ok(salvage(sync_buf_view(&site), &lost, &x, err));
	assert_int_equal(10, x.bundle.records);
	assert_false(x.incomplete);
	file_write(folder_path("site.db-wal"), (struct sync_view){ log.data, log.len - 2000 });
	assert_ok(salvage(sync_buf_view(&site), &lost, &x, err));
	assert_int_equal(9, x.bundle.records);
	assert_false(x.incomplete);
	log.data[32 + log.len / 2] ^= 1;
	file_write(folder_path("site.db-wal"), sync_buf_view(&log));
	assert_ok(salvage(sync_buf_view(&site), &lost, &x, err));
	assert_in_range(x.bundle.records, 2, 7);
	assert_true(x.incomplete);
	log.data[8] ^= 1;
	file_write(folder_path("site.db-wal"), sync_buf_view(&log));
	assert_ok(salvage(sync_buf_view(&site), &lost, &x, err));
	assert_int_equal(0, x.bundle.records);
	assert_true(x.incomplete);
	assert_int_equal(0, unlink(folder_path("site.db-wal")));
	sync_buf_clear(&site);
	sync_buf_clear(&log);
	country_close(&c);
}

static void an_applications_own_table_is_read_as_it_was_made(void **state)
{
	struct sync_buf site = { .max = MOST_FILE };
	struct sync_salvaged x;
	struct lost lost = { 0 };
	struct country c;

	country_open(&c, testdb_of(state), 1);
	country_load(&c, 0);
	run_sql(site_db(&c), "DROP TABLE location;"
	                     "CREATE TABLE location(volume real NOT NULL, more text, store_id text NOT NULL, name text NOT NULL, id text PRIMARY KEY NOT NULL,"
	                     "    code text NOT NULL, on_hold integer NOT NULL, later integer GENERATED ALWAYS AS (volume + 1) VIRTUAL) WITHOUT ROWID");
	country_reopen_site(&c, 0, testdb_drivers);
	put_location(site_db(&c), "l1", 1, "Fridge");
	put_aside(&c, &site);
	assert_ok(salvage(sync_buf_view(&site), &lost, &x, err));
	assert_int_equal(1, x.bundle.records);
	accept(&c);
	assert_int_equal(1, number(c.central->db, "SELECT count(*) FROM location WHERE id = 'l1' AND code = 'l1' AND name = 'Fridge' AND volume = 1"));
	sync_buf_clear(&site);
	country_close(&c);
}

static void an_edit_that_no_message_can_carry_is_told(void **state)
{
	struct sync_buf site = { .max = MOST_FILE };
	struct sync_salvaged x;
	struct lost lost = { 0 };
	struct country c;

	country_open(&c, testdb_of(state), 1);
	country_load(&c, 0);
	put_location(site_db(&c), "l1", 1, "Fridge");
	put_location(site_db(&c), "l2", 1, "Shelf");
	run(site_db(&c), "UPDATE location SET volume = 9e999 WHERE id = 'l2'");
	put_aside(&c, &site);
	assert_ok(salvage(sync_buf_view(&site), &lost, &x, err));
	assert_int_equal(1, x.bundle.records);
	assert_int_equal(1, x.lost);
	assert_string_equal("('location', 'l2')", lost.rows.data);
	assert_non_null(strstr(lost.text, "volume"));
	sync_buf_clear(&lost.rows);
	sync_buf_clear(&site);
	country_close(&c);
}

static void assert_refused(enum sync_status expected, const char *text, const char *file, const char *to)
{
	struct sync_error e = { 0 };
	struct sync_salvaged x;
	enum sync_status got = sync_salvage(file, to, NULL, NULL, NULL, &x, &e);

	if (got != expected || !strstr(e.text, text))
		fail_msg("%s instead of %s with '%s': %s", sync_status_name(got), sync_status_name(expected), text, e.text);
}

static void what_is_no_sites_database_is_refused_by_what_it_is(void **state)
{
	struct testdb site;
	struct country c;

	country_open(&c, testdb_of(state), 1);
	assert_refused(SYNC_ENOTFOUND, "there is no such file", folder_path("none.db"), folder_path("out"));
	file_write(folder_path("text"), sync_view_of(""));
	assert_refused(SYNC_ENOTFOUND, "is empty", folder_path("text"), folder_path("out"));
	file_write(folder_path("text"), sync_view_of("not a database, but long enough to have a page of its own, if that is what pages are"));
	assert_refused(SYNC_ECORRUPT, "it is no SQLite database", folder_path("text"), folder_path("out"));
	assert_refused(SYNC_EINVALID, "is no file", folder_path(""), folder_path("out"));
	assert_refused(SYNC_EWRONGDB, "is the database of a central", file_of(c.central), folder_path("out"));
	assert_refused(SYNC_EINVALID, "first load of site 'post1' was not over", file_of(&c.site[0].db), folder_path("out"));
	testdb_make(&site, TESTDB_SQLITE);
	testdb_open(&site, SYNC_SITE);
	assert_refused(SYNC_ENOTFOUND, "it never registered", file_of(&site), folder_path("out"));
	testdb_drop(&site);
	country_load(&c, 0);
	assert_refused(SYNC_EIO, "No such file", file_of(&c.site[0].db), folder_path("nowhere/out"));
	assert_int_equal(-1, access(folder_path("out"), F_OK));
	country_close(&c);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TESTDB_ON(whatever_page_is_damaged_nothing_is_lost_unsaid, TESTDB_SQLITE, "SQLite"),
		TESTDB_ON(a_table_that_nothing_leads_to_any_more_is_found_page_by_page, TESTDB_SQLITE, "SQLite"),
		TESTDB_ON(what_the_changelog_lacks_its_index_names, TESTDB_SQLITE, "SQLite"),
		TESTDB_ON(columns_are_not_taken_from_a_text_that_is_damaged, TESTDB_SQLITE, "SQLite"),
		TESTDB_ON(without_its_beginning_a_file_still_has_its_edits, TESTDB_SQLITE, "SQLite"),
		TESTDB_ON(a_file_that_was_cut_short_gives_what_it_has, TESTDB_SQLITE, "SQLite"),
		TESTDB_BOTH(a_push_that_was_on_its_way_is_not_taken_twice),
		TESTDB_ON(a_damaged_log_is_told_of_but_not_one_that_a_crash_has_cut, TESTDB_SQLITE, "SQLite"),
		TESTDB_BOTH(an_applications_own_table_is_read_as_it_was_made),
		TESTDB_ON(an_edit_that_no_message_can_carry_is_told, TESTDB_SQLITE, "SQLite"),
		TESTDB_ON(what_is_no_sites_database_is_refused_by_what_it_is, TESTDB_SQLITE, "SQLite"),
	};

	return cmocka_run_group_tests(tests, folder_make, folder_drop);
}

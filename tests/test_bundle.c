#include <libsync/bundle.h>

#include <inttypes.h>
#include <sys/stat.h>
#include <unistd.h>

#include <libsync/crypto.h>
#include <libsync/site.h>

#include "country.h"
#include "faulty_db.h"
#include "folder.h"

enum { UNITS = 30000, MANY = 25000, LINES = 12000, MOST_FILE = 1 << 24 };

static struct sync_db *site_db(const struct country *c)
{
	return c->site[0].db.db;
}

static struct sync_bundled give(struct country *c, const char *name)
{
	struct sync_bundled done;

	assert_ok(sync_bundle_give(c->central->db, "post1", folder_path(name), NULL, &done, err));
	return done;
}

static struct sync_bundled pack(struct country *c, const char *name)
{
	struct sync_bundled done;

	assert_ok(sync_bundle_pack(site_db(c), folder_path(name), &done, err));
	return done;
}

static enum sync_status try_accept(struct country *c, const char *file, struct sync_bundled *done, struct sync_error *err)
{
	return sync_bundle_accept(c->central->db, file, 0, done, err);
}

static struct sync_bundled accept(struct country *c, const char *name)
{
	struct sync_bundled done;

	assert_ok(try_accept(c, folder_path(name), &done, err));
	return done;
}

static enum sync_status try_take(struct country *c, const char *file, struct sync_bundled *done, struct sync_error *err)
{
	c->site[0].report = (struct sync_report){ 0 };
	return sync_bundle_take(site_db(c), file, &c->o, done, &c->site[0].report, err);
}

static struct sync_bundled take(struct country *c, const char *name)
{
	struct sync_bundled done;

	assert_ok(try_take(c, folder_path(name), &done, err));
	return done;
}

static enum sync_status try_init(struct country *c, const char *file, struct sync_error *err)
{
	const struct sync_bundle_site site = { 0 };
	struct sync_bundled done;

	c->site[0].report = (struct sync_report){ 0 };
	return sync_bundle_init(site_db(c), file, &site, &c->o, &done, &c->site[0].report, err);
}

static void assert_refused(enum sync_status expected, const char *text, enum sync_status got, const struct sync_error *err)
{
	if (got != expected || !strstr(err->text, text))
		fail_msg("%s instead of %s with '%s': %s", sync_status_name(got), sync_status_name(expected), text, err->text);
}

#define REFUSED(expected, text, call)                                \
	do {                                                         \
		struct sync_error err_ = { 0 }, *err = &err_;        \
		struct sync_bundled done_, *ignored = &done_;        \
		(void)ignored;                                       \
		assert_refused(expected, text, call, err);           \
	} while (0)

/* Names that hardly compress: a load of several pages. */
static void put_units(struct sync_db *db, int n)
{
	bool postgres = sync_db_dialect(db)->postgres;

	run(db,
	    "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < %d)"
	    " INSERT INTO unit(id, name, \"index\", is_active) SELECT 'u' || (1000000 + i), %s, i, %s FROM n",
	    n, postgres ? "md5('a' || i) || md5('b' || i)" : "lower(hex(randomblob(32)))", postgres ? "true" : "1");
}

/* A site that was loaded and has a few records of its own. */
static void open_settled(struct country *c, void **state)
{
	country_open(c, testdb_of(state), 1);
	country_load(c, 0);
	put_location(site_db(c), "l1", 1, "Fridge");
	put_stocktake(site_db(c), "t1", 1, 3);
	country_settle(c);
}

/* No site of a country ever meets central, but in files. */
static void a_site_lives_by_bundles_alone(void **state)
{
	struct country c;

	country_open(&c, testdb_of(state), 1);
	put_barcode(c.central->db, "b1", "123");
	assert_string_equal("load", give(&c, "load").kind);
	assert_ok(try_init(&c, folder_path("load"), err));
	assert_converged(&c, 0);
	put_location(site_db(&c), "l1", 1, "Fridge");
	put_barcode(site_db(&c), "b1", "456");
	assert_int_equal(2, pack(&c, "edits").records);
	accept(&c, "edits");
	assert_converged(&c, 0);
	run(c.central->db, "UPDATE item SET name = 'OPV'");
	assert_int_equal(1, give(&c, "news").records);
	take(&c, "news");
	assert_converged(&c, 0);
	assert_int_equal(0, c.site[0].report.unpushed);
	country_settle(&c);
	assert_int_equal(1, c.site[0].line.messages);
	assert_int_equal(0, c.site[0].report.pushed + c.site[0].report.pulled);
	assert_converged(&c, 0);
	country_close(&c);
}

static void a_first_load_registers_with_the_secret_and_spends_it(void **state)
{
	char secret[30], token[44];
	struct sync_bundled done;
	struct testdb fresh;
	struct sync_report report = { 0 };
	struct sync_bundle_site site = { secret, NULL, NULL };
	struct sync_link link;
	struct sync_site row;
	struct country c;
	int64_t id;

	country_open(&c, testdb_of(state), 1);
	assert_ok(sync_site_add(c.central->db, "lake", NULL, 0, secret, &id, err));
	REFUSED(SYNC_EUNAUTHORIZED, "one-time secret is needed", sync_bundle_give(c.central->db, "lake", folder_path("new"), NULL, ignored, err));
	REFUSED(SYNC_EUNAUTHORIZED, "secret is wrong", sync_bundle_give(c.central->db, "lake", folder_path("new"), "ABCDE", ignored, err));
	assert_ok(sync_bundle_give(c.central->db, "lake", folder_path("void"), secret, &done, err));
	assert_ok(sync_bundle_give(c.central->db, "lake", folder_path("new"), secret, &done, err));
	testdb_make(&fresh, TESTDB_SQLITE);
	testdb_open(&fresh, SYNC_SITE);
	assert_ok(sync_bundle_init(fresh.db, folder_path("new"), &site, &c.o, &done, &report, err));
	assert_same(c.central->db, fresh.db, "item", NULL);
	assert_ok(sync_link_get(fresh.db, &link, err));
	assert_true(link.operational);
	assert_string_equal("lake", link.name);
	assert_ok(sync_site_find(c.central->db, "lake", &row, err));
	assert_string_equal(row.installation, link.installation);
	assert_ok(sync_bundle_pack(fresh.db, folder_path("hello"), &done, err));
	accept(&c, "hello");
	REFUSED(SYNC_ETAKEN, "at work already", sync_bundle_give(c.central->db, "lake", folder_path("new"), secret, ignored, err));
	REFUSED(SYNC_ETAKEN, "another installation",
	        sync_site_register(c.central->db, sync_view_of("lake"), sync_view_of(secret), sync_view_of(row.installation),
	                           sync_view_of("0"), token, &id, err));
	REFUSED(SYNC_ETAKEN, "remote accept", sync_bundle_init(fresh.db, folder_path("new"), &site, &c.o, ignored, &report, err));
	testdb_drop(&fresh);
	country_close(&c);
}

/* Every byte of a file altered, and the file cut there: refused, and nothing is changed. */
static void assert_guarded(struct country *c, const char *file, enum sync_status (*fn)(struct country *, const char *, struct sync_bundled *,
                                                                                       struct sync_error *),
                           struct sync_db *db, const char *watched)
{
	struct sync_buf b = { .max = MOST_FILE };
	int64_t before = number(db, "%s", watched);
	struct sync_bundled done;

	file_read(&b, file);
	for (size_t i = 0; i < b.len; i++) {
		b.data[i] = (char)(b.data[i] ^ 1 << i % 8);
		file_write(folder_path("harmed"), sync_buf_view(&b));
		if (fn(c, folder_path("harmed"), &done, NULL) == SYNC_OK)
			fail_msg("byte %zu was altered unseen", i);
		b.data[i] = (char)(b.data[i] ^ 1 << i % 8);
		file_write(folder_path("harmed"), (struct sync_view){ b.data, i });
		if (fn(c, folder_path("harmed"), &done, NULL) == SYNC_OK)
			fail_msg("cut unseen at byte %zu", i);
	}
	assert_int_equal(before, number(db, "%s", watched));
	sync_buf_clear(&b);
}

static void no_byte_can_be_altered_or_cut_off(void **state)
{
	struct country c;

	open_settled(&c, state);
	put_location(site_db(&c), "l2", 1, "Shelf");
	pack(&c, "edits");
	assert_guarded(&c, folder_path("edits"), try_accept, c.central->db, "SELECT in_ordinal FROM sync_site WHERE site_id = 1");
	accept(&c, "edits");
	run(c.central->db, "UPDATE item SET name = 'OPV'");
	give(&c, "news");
	assert_guarded(&c, folder_path("news"), try_take, site_db(&c), "SELECT all_seq + own_seq + out_ordinal FROM sync_link");
	take(&c, "news");
	assert_converged(&c, 0);
	country_close(&c);
}

/* Chunks are whole, so a file of several may end at the end of one. */
static void a_large_bundle_is_guarded_in_every_chunk(void **state)
{
	struct sync_buf b = { .max = MOST_FILE };
	struct country c;
	size_t front;

	country_open(&c, testdb_of(state), 1);
	put_units(c.central->db, UNITS);
	give(&c, "load");
	file_read(&b, folder_path("load"));
	front = (size_t)(strchr(strchr(b.data, '\n') + 1, '\n') + 1 - b.data) + SYNC_SEAL_START;
	assert_true(b.len > front + 3 * (65536 + SYNC_SEAL_MORE));
	for (size_t at = front; at < b.len; at += 65536 + SYNC_SEAL_MORE) {
		file_write(folder_path("harmed"), (struct sync_view){ b.data, at });
		REFUSED(SYNC_EBADFRAME, "cut short", try_init(&c, folder_path("harmed"), err));
		b.data[at] ^= 1;
		file_write(folder_path("harmed"), sync_buf_view(&b));
		REFUSED(SYNC_EBADFRAME, "altered", try_init(&c, folder_path("harmed"), err));
		b.data[at] ^= 1;
	}
	assert_int_equal(0, number(site_db(&c), "SELECT count(*) FROM unit"));
	sync_buf_clear(&b);
	country_close(&c);
}

static void others_bundles_are_refused_by_name(void **state)
{
	struct country c;
	struct sync_bundled done;
	struct sync_db *other;

	country_open(&c, testdb_of(state), 2);
	country_load(&c, 0);
	country_load(&c, 1);
	country_settle(&c);
	other = c.site[1].db.db;
	give(&c, "news");
	assert_ok(sync_bundle_give(c.central->db, "post2", folder_path("theirs"), NULL, &done, err));
	REFUSED(SYNC_EINVALID, "is of site 'post1' (1), this is site 'post2' (2)",
	        sync_bundle_take(other, folder_path("news"), &c.o, ignored, &c.site[1].report, err));
	REFUSED(SYNC_EINVALID, "is of site 'post2'", try_take(&c, folder_path("theirs"), ignored, err));
	REFUSED(SYNC_EINVALID, "remote accept takes it", try_accept(&c, folder_path("news"), ignored, err));
	pack(&c, "edits");
	REFUSED(SYNC_EINVALID, "central accept takes it", try_take(&c, folder_path("edits"), ignored, err));
	run(c.central->db, "UPDATE sync_site SET installation = 'of another central' WHERE site_id = 1");
	REFUSED(SYNC_EINVALID, "another installation of site 'post1'", try_accept(&c, folder_path("edits"), ignored, err));
	run(c.central->db, "UPDATE sync_site SET revoked_us = 1 WHERE site_id = 1");
	REFUSED(SYNC_EREVOKED, "revoked", try_accept(&c, folder_path("edits"), ignored, err));
	REFUSED(SYNC_EREVOKED, "revoked", sync_bundle_give(c.central->db, "post1", folder_path("news"), NULL, ignored, err));
	country_close(&c);
}

static void what_is_newer_or_no_bundle_is_told_apart(void **state)
{
	struct country c;

	open_settled(&c, state);
	file_write(folder_path("text"), sync_view_of("libsync\n"));
	REFUSED(SYNC_EBADFRAME, "is not a bundle", try_take(&c, folder_path("text"), ignored, err));
	file_write(folder_path("text"), sync_view_of(""));
	REFUSED(SYNC_EBADFRAME, "is not a bundle", try_accept(&c, folder_path("text"), ignored, err));
	file_write(folder_path("text"), sync_view_of("libsync bundle 2\nwhatever comes"));
	REFUSED(SYNC_EVERSION, "newer version", try_take(&c, folder_path("text"), ignored, err));
	REFUSED(SYNC_EIO, "No such file", try_accept(&c, folder_path("none"), ignored, err));
	country_close(&c);
}

static void a_bundle_is_its_owners_and_whole_or_not_there(void **state)
{
	struct sync_bundled done;
	struct stat st;
	struct country c;

	open_settled(&c, state);
	file_write(folder_path("notes"), sync_view_of("libsync"));
	REFUSED(SYNC_EINVALID, "exists and is no bundle", sync_bundle_pack(site_db(&c), folder_path("notes"), ignored, err));
	file_write(folder_path("edits"), sync_view_of("libsync bundle 1\nan older one"));
	file_write(folder_path("edits.part"), sync_view_of("what a crash has left, longer than the bundle that follows it will be…"));
	pack(&c, "edits");
	assert_int_equal(0, stat(folder_path("edits"), &st));
	assert_int_equal(0600, st.st_mode & 0777);
	assert_int_equal(-1, access(folder_path("edits.part"), F_OK));
	accept(&c, "edits");
	REFUSED(SYNC_EIO, "No such file", sync_bundle_pack(site_db(&c), folder_path("nowhere/edits"), ignored, err));
	assert_ok(sync_bundle_pack(site_db(&c), folder_path("edits"), &done, err));
	country_close(&c);
}

static void edits_may_come_twice_and_in_any_order(void **state)
{
	struct sync_bundled done;
	struct country c;

	open_settled(&c, state);
	for (int i = 2; i < 5; i++) {
		char id[16], name[16];

		snprintf(id, sizeof id, "l%d", i);
		snprintf(name, sizeof name, "edits%d", i);
		put_location(site_db(&c), id, 1, "Shelf");
		put_location(site_db(&c), "l1", 1, id);
		assert_int_equal(i, pack(&c, name).records); /* all that central has not confirmed */
	}
	assert_int_equal(0, accept(&c, "edits3").known);
	assert_int_equal(3, number(c.central->db, "SELECT count(*) FROM location"));
	done = accept(&c, "edits2");
	assert_int_equal(done.messages, done.known);
	done = accept(&c, "edits3");
	assert_int_equal(done.messages, done.known);
	assert_int_equal(0, accept(&c, "edits4").known);
	assert_converged(&c, 0);
	assert_int_equal(0, number(c.central->db, "SELECT count(*) FROM sync_waiting"));
	/* over the network the site finds all of it there */
	country_settle(&c);
	assert_int_equal(0, number(site_db(&c), "SELECT count(*) FROM sync_changelog WHERE seq > (SELECT out_upto FROM sync_link)"));
	put_location(site_db(&c), "l1", 1, "last");
	country_settle(&c);
	assert_converged(&c, 0);
	country_close(&c);
}

static void a_lost_bundle_harms_nobody(void **state)
{
	struct country c;

	open_settled(&c, state);
	put_location(site_db(&c), "l2", 1, "Shelf");
	pack(&c, "lost");
	put_location(site_db(&c), "l3", 1, "Shelf");
	pack(&c, "edits");
	accept(&c, "edits");
	assert_converged(&c, 0);
	country_close(&c);
}

static void what_went_over_the_network_meanwhile_is_known(void **state)
{
	struct sync_bundled done;
	struct country c;

	open_settled(&c, state);
	put_location(site_db(&c), "l2", 1, "Shelf");
	pack(&c, "edits");
	put_location(site_db(&c), "l2", 1, "newer");
	country_settle(&c);
	done = accept(&c, "edits");
	assert_int_equal(done.messages, done.known);
	assert_int_equal(1, number(c.central->db, "SELECT count(*) FROM location WHERE name = 'newer'"));
	country_settle(&c);
	assert_converged(&c, 0);
	country_close(&c);
}

static void an_edit_that_no_bundle_can_carry_is_told_at_the_site(void **state)
{
	struct country c;

	open_settled(&c, state);
	put_location(site_db(&c), "l2", 1, "Shelf");
	run(site_db(&c), "UPDATE location SET volume = 9e999 WHERE id = 'l2'");
	put_location(site_db(&c), "l3", 1, "Shelf");
	assert_int_equal(1, pack(&c, "edits").records);
	assert_int_equal(1, number(site_db(&c), "SELECT count(*) FROM sync_verdict WHERE kind = 'refused' AND record_id = 'l2'"));
	run(site_db(&c), "UPDATE location SET volume = 1 WHERE id = 'l2'");
	assert_int_equal(2, pack(&c, "edits").records);
	assert_int_equal(0, number(site_db(&c), "SELECT count(*) FROM sync_verdict"));
	accept(&c, "edits");
	assert_converged(&c, 0);
	country_close(&c);
}

/* A page at a time is taken, so central may stop between any two messages, and another bundle may come then. */
static void many_edits_are_taken_wherever_central_stopped(void **state)
{
	const struct sync_db_ops *drivers[] = { faulty_db(&sync_sqlite), NULL };
	struct sync_bundled done;
	struct country c;
	bool failed = true;

	open_settled(&c, state);
	run(site_db(&c),
	    "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < %d)"
	    " INSERT INTO location(id, name, code, on_hold, store_id, volume) SELECT 'm' || i, 'Shelf', 'm' || i, 0, 'store1', 1 FROM n",
	    MANY);
	assert_int_equal(2, pack(&c, "edits1").messages);
	run(site_db(&c), "UPDATE location SET name = 'again' WHERE id LIKE 'm%%7'");
	assert_int_equal(2, pack(&c, "edits2").messages);
	country_reopen_central(&c, drivers);
	for (long n = 400; failed; n += 997) {
		faulty_db_arm(n);
		(void)try_accept(&c, folder_path(n % 2 ? "edits1" : "edits2"), &done, NULL);
		failed = faulty_db_disarm();
	}
	country_reopen_central(&c, testdb_drivers);
	accept(&c, "edits2");
	assert_converged(&c, 0);
	country_settle(&c);
	assert_converged(&c, 0);
	country_close(&c);
}

/* A copy of a file while nothing is open on it. */
static void copy_site(struct country *c, const char *to)
{
	assert_ok(sync_db_script(site_db(c), "PRAGMA wal_checkpoint(TRUNCATE)", err));
	{
		struct sync_buf b = { .max = MOST_FILE };

		file_read(&b, c->site[0].db.url + strlen("sqlite:"));
		file_write(to, sync_buf_view(&b));
		sync_buf_clear(&b);
	}
}

/* Ordinals and seqs are given again after a restore at the site: central tells by the ids. */
static void edits_of_a_restored_site_are_refused(void **state)
{
	struct sync_db *restored = NULL;
	struct sync_bundled done;
	struct country c;
	char url[160];

	open_settled(&c, state);
	copy_site(&c, folder_path("backup.db"));
	put_location(site_db(&c), "l2", 1, "lost");
	pack(&c, "edits");
	accept(&c, "edits");
	snprintf(url, sizeof url, "sqlite:%s", folder_path("backup.db"));
	assert_ok(sync_db_open(&restored, url, testdb_drivers, SYNC_SITE, false, err));
	put_location(restored, "l3", 1, "new");
	put_location(restored, "l4", 1, "new");
	assert_ok(sync_bundle_pack(restored, folder_path("first"), &done, err));
	put_location(restored, "l5", 1, "new");
	assert_ok(sync_bundle_pack(restored, folder_path("second"), &done, err));
	REFUSED(SYNC_EBASE, "as after a restore at the site", try_accept(&c, folder_path("first"), ignored, err));
	REFUSED(SYNC_EBASE, "as after a restore at the site", try_accept(&c, folder_path("second"), ignored, err));
	assert_int_equal(2, number(c.central->db, "SELECT count(*) FROM location"));
	sync_db_close(restored);
	country_close(&c);
}

static void edits_that_go_on_from_what_central_lost_are_refused(void **state)
{
	struct country c;

	open_settled(&c, state);
	put_location(site_db(&c), "l2", 1, "Shelf");
	pack(&c, "edits");
	run(c.central->db, "UPDATE sync_site SET in_ordinal = 0, in_id = '', in_upto = 0");
	REFUSED(SYNC_EBASE, "the newest here is 0: accept the bundle before it", try_accept(&c, folder_path("edits"), ignored, err));
	assert_int_equal(1, number(c.central->db, "SELECT count(*) FROM location"));
	country_close(&c);
}

static void news_may_come_twice_and_older_ones_late(void **state)
{
	struct sync_bundled done;
	struct country c;

	open_settled(&c, state);
	run(c.central->db, "UPDATE item SET name = 'first'");
	give(&c, "news1");
	run(c.central->db, "UPDATE item SET name = 'second'");
	run(c.central->db, "INSERT INTO unit(id, name, \"index\", is_active) SELECT 'unit2', 'box', 2, is_active FROM unit");
	give(&c, "news2");
	run(c.central->db, "DELETE FROM unit WHERE id = 'unit2'");
	give(&c, "news3");
	take(&c, "news1");
	take(&c, "news2");
	assert_int_equal(1, number(site_db(&c), "SELECT count(*) FROM item WHERE name = 'second'"));
	done = take(&c, "news1");
	assert_int_equal(done.messages, done.known);
	done = take(&c, "news2");
	assert_int_equal(done.messages, done.known);
	take(&c, "news3");
	done = take(&c, "news2");
	assert_int_equal(done.messages, done.known);
	assert_converged(&c, 0);
	country_close(&c);
}

/* The site tells central through a bundle of its own where it is, and the next bundle begins there. */
static void news_that_begin_where_the_site_is_not_yet_are_refused(void **state)
{
	struct sync_bundled done;
	struct country c;

	open_settled(&c, state);
	copy_site(&c, folder_path("backup.db"));
	run(c.central->db, "UPDATE item SET name = 'first'");
	give(&c, "news1");
	take(&c, "news1");
	pack(&c, "hello");
	accept(&c, "hello");
	run(c.central->db, "UPDATE item SET name = 'second'");
	assert_int_equal(1, give(&c, "news2").records);
	{
		struct sync_db *behind = NULL;
		struct sync_report report = { 0 };
		char url[160];

		snprintf(url, sizeof url, "sqlite:%s", folder_path("backup.db"));
		assert_ok(sync_db_open(&behind, url, testdb_drivers, SYNC_SITE, false, err));
		REFUSED(SYNC_EBASE, "a place that this site has not reached", sync_bundle_take(behind, folder_path("news2"), &c.o, ignored, &report, err));
		assert_ok(sync_bundle_take(behind, folder_path("news1"), &c.o, &done, &report, err));
		assert_ok(sync_bundle_take(behind, folder_path("news2"), &c.o, &done, &report, err));
		assert_same(c.central->db, behind, "item", NULL);
		sync_db_close(behind);
	}
	take(&c, "news2");
	assert_converged(&c, 0);
	country_close(&c);
}

/* Its numbers would fit: central was restored and has given them to something else. */
static void news_of_a_central_that_lost_what_the_site_holds_are_refused(void **state)
{
	struct country c;

	open_settled(&c, state);
	run(c.central->db, "UPDATE item SET name = 'first'");
	give(&c, "news1");
	take(&c, "news1");
	run(c.central->db, "UPDATE sync_site SET given = NULL");
	run(c.central->db, "UPDATE item SET name = 'second'");
	give(&c, "news2");
	REFUSED(SYNC_EBASE, "does not know the place that this site holds", try_take(&c, folder_path("news2"), ignored, err));
	assert_int_equal(1, number(site_db(&c), "SELECT count(*) FROM item WHERE name = 'first'"));
	country_settle(&c);
	assert_converged(&c, 0);
	country_close(&c);
}

/* By the rule the site has forgotten by then that it made the push at which central is. */
static void of_many_bundles_central_may_have_taken_an_early_one(void **state)
{
	struct country c;
	char id[8];
	int64_t taken;

	open_settled(&c, state);
	for (int i = 0; i < 90; i++) {
		(void)snprintf(id, sizeof id, "n%d", i);
		put_location(site_db(&c), id, 1, "Shelf");
		pack(&c, i == 1 ? "taken" : "lost");
	}
	accept(&c, "taken");
	taken = number(c.central->db, "SELECT in_ordinal FROM sync_site");
	assert_int_equal(0, number(site_db(&c), "SELECT count(*) FROM sync_checkpoint WHERE ordinal = %" PRId64, taken));
	country_settle(&c);
	assert_converged(&c, 0);
	assert_int_equal(91, number(c.central->db, "SELECT count(*) FROM location"));
	country_close(&c);
}

/* What is in the file is from before the edit, which central has by now and would not send back. */
static void news_from_before_the_sites_edit_was_taken_do_not_undo_it(void **state)
{
	struct country c;

	open_settled(&c, state);
	put_barcode(site_db(&c), "b1", "1");
	country_settle(&c);
	run(c.central->db, "UPDATE barcode SET gtin = '2'");
	give(&c, "news");
	put_barcode(site_db(&c), "b1", "3");
	put_location(site_db(&c), "l2", 1, "Shelf");
	pack(&c, "edits");
	accept(&c, "edits");
	/* central's word on the edits comes without its records */
	run(site_db(&c), "UPDATE sync_link SET out_ordinal = made_ordinal, out_id = made_id, out_upto = made_upto, out_integrated = made_upto");
	REFUSED(SYNC_EBASE, "older than what this site has heard", try_take(&c, folder_path("news"), ignored, err));
	assert_int_equal(1, number(site_db(&c), "SELECT count(*) FROM barcode WHERE gtin = '3'"));
	country_settle(&c);
	assert_converged(&c, 0);
	country_close(&c);
}

/* An edit that is not at central yet stays, as in any exchange, and central decides. */
static void an_edit_made_while_a_bundle_travels_is_protected(void **state)
{
	struct country c;

	open_settled(&c, state);
	put_barcode(site_db(&c), "b1", "1");
	country_settle(&c);
	run(c.central->db, "UPDATE barcode SET gtin = '2'");
	give(&c, "news");
	put_barcode(site_db(&c), "b1", "3");
	take(&c, "news");
	assert_int_equal(1, number(site_db(&c), "SELECT count(*) FROM barcode WHERE gtin = '3'"));
	country_settle(&c);
	assert_converged(&c, 0);
	country_close(&c);
}

static void a_bundle_brings_what_central_made_of_edits(void **state)
{
	struct country c;

	open_settled(&c, state);
	run(site_db(&c), "UPDATE unit SET name = 'not ours'");
	pack(&c, "edits");
	accept(&c, "edits");
	give(&c, "news");
	take(&c, "news");
	assert_int_equal(0, c.site[0].report.unpushed);
	assert_int_equal(1, c.site[0].report.refused);
	assert_converged(&c, 0);
	country_settle(&c);
	assert_int_equal(1, c.site[0].report.refused);
	country_close(&c);
}

/* The site has heard of it by a file, and confirms it only when it says so. */
static void a_store_waits_until_its_old_site_says_that_it_lets_go(void **state)
{
	bool moved;
	struct country c;

	country_open(&c, testdb_of(state), 2);
	country_load(&c, 0);
	country_load(&c, 1);
	country_settle(&c);
	assert_ok(sync_store_move(c.central->db, "store1", "post2", false, &moved, err));
	assert_false(moved);
	give(&c, "news");
	take(&c, "news");
	assert_int_equal(1, number(c.central->db, "SELECT site_id FROM sync_store WHERE store_id = 'store1'"));
	put_location(site_db(&c), "l1", 1, "the last edit");
	pack(&c, "edits");
	accept(&c, "edits");
	assert_int_equal(2, number(c.central->db, "SELECT site_id FROM sync_store WHERE store_id = 'store1'"));
	assert_int_equal(0, number(c.central->db, "SELECT count(*) FROM sync_waiting"));
	country_settle(&c);
	assert_int_equal(1, number(c.site[1].db.db, "SELECT count(*) FROM location"));
	assert_int_equal(0, number(site_db(&c), "SELECT count(*) FROM location"));
	country_close(&c);
}

static volatile sig_atomic_t stop;

static void stop_soon(void *ctx, const char *what, int64_t done, int64_t total)
{
	(void)what, (void)done, (void)total;
	if (--*(int *)ctx <= 0)
		stop = 1;
}

/* How often it had to be begun. */
static int init_in_pieces(struct country *c, const char *file, int steps)
{
	enum sync_status status = SYNC_EBUSY;
	int n = 0;

	c->o.progress = stop_soon;
	c->o.stop = &stop;
	for (; status == SYNC_EBUSY && n < 100; n++) {
		int left = steps;
		struct sync_error err = { 0 };

		c->o.ctx = &left;
		stop = 0;
		status = try_init(c, file, &err);
		if (status != SYNC_OK && status != SYNC_EBUSY)
			fail_msg("%s: %s", sync_status_name(status), err.text);
	}
	c->o.progress = NULL;
	c->o.stop = NULL;
	return n;
}

static void a_load_that_was_interrupted_goes_on(void **state)
{
	struct country c;

	country_open(&c, testdb_of(state), 1);
	put_units(c.central->db, UNITS);
	put_stocktake(c.central->db, "t1", 1, 3);
	give(&c, "load");
	assert_true(init_in_pieces(&c, folder_path("load"), 1) > 2);
	assert_converged(&c, 0);
	put_location(site_db(&c), "l1", 1, "captured");
	country_settle(&c);
	assert_converged(&c, 0);
	country_close(&c);
}

static void a_load_that_a_bundle_began_goes_on_over_the_network(void **state)
{
	int left = 1;
	struct country c;

	country_open(&c, testdb_of(state), 1);
	put_units(c.central->db, UNITS);
	give(&c, "load");
	c.o.progress = stop_soon;
	c.o.ctx = &left;
	c.o.stop = &stop;
	stop = 0;
	REFUSED(SYNC_EBUSY, "asked to stop", try_init(&c, folder_path("load"), err));
	c.o.progress = NULL;
	c.o.stop = NULL;
	assert_true(number(site_db(&c), "SELECT load_done FROM sync_link") > 0);
	run(c.central->db, "DELETE FROM unit WHERE id = 'u1000001'");
	give(&c, "another");
	REFUSED(SYNC_EBASE, "with which it began", try_init(&c, folder_path("another"), err));
	assert_int_equal(SYNC_OK, country_round(&c, 0));
	assert_converged(&c, 0);
	country_close(&c);
}

static void news_that_were_interrupted_go_on(void **state)
{
	struct sync_bundled done;
	struct country c;
	int n = 0;

	open_settled(&c, state);
	put_units(c.central->db, UNITS);
	assert_true(give(&c, "news").messages > 2);
	c.o.progress = stop_soon;
	c.o.stop = &stop;
	for (enum sync_status status = SYNC_EBUSY; status != SYNC_OK; n++) {
		int left = n + 1;

		assert_true(n < 30);
		c.o.ctx = &left;
		stop = 0;
		status = try_take(&c, folder_path("news"), &done, NULL);
	}
	assert_true(n > 2);
	assert_converged(&c, 0);
	c.o.progress = NULL;
	c.o.stop = NULL;
	country_settle(&c);
	assert_converged(&c, 0);
	country_close(&c);
}

/* Groups larger than an answer go in parts, which wait for the last one. */
static void a_group_in_parts_comes_whole_wherever_it_was_interrupted(void **state)
{
	struct sync_bundled done;
	struct country c;
	int n = 0;

	open_settled(&c, state);
	put_stocktake(c.central->db, "t2", 1, 1);
	run(c.central->db,
	    "WITH RECURSIVE n(i) AS (SELECT 2 UNION ALL SELECT i + 1 FROM n WHERE i < %d)"
	    " INSERT INTO stocktake_line(id, stocktake_id, snapshot_number_of_packs, item_id, item_name, volume_per_pack)"
	    " SELECT 't2-' || i, 't2', i, 'item1', 'BCG', 0 FROM n",
	    LINES);
	put_stocktake(c.central->db, "t3", 1, 1);
	assert_true(give(&c, "news").messages > 3);
	c.o.progress = stop_soon;
	c.o.stop = &stop;
	for (enum sync_status status = SYNC_EBUSY; status != SYNC_OK; n++) {
		int left = n + 1;

		assert_true(n < 30);
		c.o.ctx = &left;
		stop = 0;
		status = try_take(&c, folder_path("news"), &done, NULL);
		if (number(site_db(&c), "SELECT count(*) FROM stocktake WHERE id = 't2'"))
			assert_int_equal(LINES, number(site_db(&c), "SELECT count(*) FROM stocktake_line WHERE stocktake_id = 't2'"));
	}
	assert_true(n > 3);
	c.o.progress = NULL;
	c.o.stop = NULL;
	assert_converged(&c, 0);
	country_settle(&c);
	assert_converged(&c, 0);
	country_close(&c);
}

static void after_a_bundle_only_what_is_newer_goes_over_the_network(void **state)
{
	struct country c;

	country_open(&c, testdb_of(state), 1);
	put_units(c.central->db, UNITS);
	give(&c, "load");
	run(c.central->db, "UPDATE unit SET name = 'newer' WHERE id = 'u1000007'");
	assert_ok(try_init(&c, folder_path("load"), err));
	put_location(site_db(&c), "l1", 1, "Fridge");
	assert_int_equal(SYNC_OK, country_round(&c, 0));
	assert_int_equal(1, c.site[0].report.pulled);
	assert_int_equal(1, c.site[0].report.pushed);
	assert_true(c.site[0].report.bytes_in + c.site[0].report.bytes_out < 2000);
	assert_converged(&c, 0);
	country_close(&c);
}

static void what_a_bundle_was_written_for_is_not_held_before_its_site_says_so(void **state)
{
	struct sync_site before, after;
	struct country c;

	open_settled(&c, state);
	run(c.central->db, "UPDATE item SET name = 'OPV'");
	assert_ok(sync_server_flush(c.central->db, err));
	assert_ok(sync_site_find(c.central->db, "post1", &before, err));
	give(&c, "lost");
	assert_ok(sync_server_flush(c.central->db, err));
	assert_ok(sync_site_find(c.central->db, "post1", &after, err));
	assert_int_equal(before.at.all.seq, after.at.all.seq);
	assert_int_equal(before.last_seen_us, after.last_seen_us);
	assert_int_equal(SYNC_OK, country_round(&c, 0));
	assert_int_equal(1, c.site[0].report.pulled);
	country_close(&c);
}

#define ON_SQLITE(test) TESTDB_ON(test, TESTDB_SQLITE, "SQLite")

int main(void)
{
	const struct CMUnitTest tests[] = {
		TESTDB_BOTH(a_site_lives_by_bundles_alone),
		TESTDB_BOTH(a_first_load_registers_with_the_secret_and_spends_it),
		TESTDB_BOTH(no_byte_can_be_altered_or_cut_off),
		ON_SQLITE(a_large_bundle_is_guarded_in_every_chunk),
		TESTDB_BOTH(others_bundles_are_refused_by_name),
		ON_SQLITE(what_is_newer_or_no_bundle_is_told_apart),
		ON_SQLITE(a_bundle_is_its_owners_and_whole_or_not_there),
		TESTDB_BOTH(edits_may_come_twice_and_in_any_order),
		TESTDB_BOTH(a_lost_bundle_harms_nobody),
		TESTDB_BOTH(an_edit_that_no_bundle_can_carry_is_told_at_the_site),
		TESTDB_BOTH(what_went_over_the_network_meanwhile_is_known),
		ON_SQLITE(many_edits_are_taken_wherever_central_stopped),
		TESTDB_BOTH(edits_of_a_restored_site_are_refused),
		TESTDB_BOTH(edits_that_go_on_from_what_central_lost_are_refused),
		TESTDB_BOTH(news_may_come_twice_and_older_ones_late),
		TESTDB_BOTH(news_that_begin_where_the_site_is_not_yet_are_refused),
		TESTDB_BOTH(news_of_a_central_that_lost_what_the_site_holds_are_refused),
		TESTDB_BOTH(news_from_before_the_sites_edit_was_taken_do_not_undo_it),
		TESTDB_BOTH(an_edit_made_while_a_bundle_travels_is_protected),
		TESTDB_BOTH(of_many_bundles_central_may_have_taken_an_early_one),
		TESTDB_BOTH(a_bundle_brings_what_central_made_of_edits),
		TESTDB_BOTH(a_store_waits_until_its_old_site_says_that_it_lets_go),
		TESTDB_BOTH(a_load_that_was_interrupted_goes_on),
		TESTDB_BOTH(a_load_that_a_bundle_began_goes_on_over_the_network),
		TESTDB_BOTH(news_that_were_interrupted_go_on),
		TESTDB_BOTH(a_group_in_parts_comes_whole_wherever_it_was_interrupted),
		TESTDB_BOTH(after_a_bundle_only_what_is_newer_goes_over_the_network),
		TESTDB_BOTH(what_a_bundle_was_written_for_is_not_held_before_its_site_says_so),
	};

	return cmocka_run_group_tests(tests, folder_make, folder_drop);
}

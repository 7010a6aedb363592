#include <libsync/settings.h>

#include <unistd.h>

#include "test.h"

struct config {
	const char *config, *database, *note;
	struct sync_texts stores;
	bool json, force;
	int64_t threads, limit, interval;
};

#define AT(field) offsetof(struct config, field)

static const char *const site_add[] = { "site add", "site reset", NULL };

static const struct sync_setting table[] = {
	{ "config", AT(config), NULL, "FILE", "settings file" },
	{ "database", AT(database), "sqlite:site.db", "URL", "where records live" },
	{ "note", AT(note), NULL, "TEXT", "without a fallback" },
	{ "store", AT(stores), NULL, "ID", "a store of the site", site_add, SYNC_SETTING_TEXTS },
	{ "json", AT(json), NULL, NULL, "report as JSON", NULL, SYNC_SETTING_FLAG },
	{ "force-it", AT(force), "yes", NULL, "a flag that is on", NULL, SYNC_SETTING_FLAG },
	{ "threads", AT(threads), "4", "N", "a number", NULL, SYNC_SETTING_NUMBER, 1, 64 },
	{ "limit", AT(limit), "64KiB", "SIZE", "a size", NULL, SYNC_SETTING_BYTES, 1024, 1 << 20 },
	{ "interval", AT(interval), "5m", "TIME", "a time", NULL, SYNC_SETTING_TIME, 1000, 86400000 },
	{ 0 },
};

/* A program's settings, empty before each test; and a file that is gone after it. */
static struct config config;
static struct sync_settings settings;
static char path[] = "/tmp/test_settings.XXXXXX";

static int open_settings(void **state)
{
	int fd;

	(void)state;
	memcpy(path + sizeof path - 7, "XXXXXX", 6);
	fd = mkstemp(path);
	config = (struct config){ 0 };
	clearenv();
	return fd < 0 || close(fd) || sync_settings_open(&settings, table, &config, NULL) != SYNC_OK;
}

static int close_settings(void **state)
{
	(void)state;
	sync_settings_clear(&settings);
	sync_settings_clear(NULL);
	return unlink(path);
}

static void write_file(const char *text)
{
	FILE *f = fopen(path, "w");

	assert_non_null(f);
	assert_true(fputs(text, f) >= 0);
	assert_int_equal(0, fclose(f));
}

static enum sync_status option(const char *name, const char *value, struct sync_error *err)
{
	char where[40];

	snprintf(where, sizeof where, "--%s", name);
	return sync_settings_set(&settings, sync_setting_find(table, name), value, SYNC_FROM_OPTION, where, err);
}

static enum sync_status read_file(const char *text, struct sync_error *err)
{
	write_file(text);
	return sync_settings_file(&settings, path, "remote", err);
}

static void what_nobody_sets_has_its_fallback(void **state)
{
	(void)state;
	assert_ok(sync_settings_finish(&settings, "remote", err));
	assert_string_equal("sqlite:site.db", config.database);
	assert_null(config.note);
	assert_int_equal(0, config.stores.n);
	assert_false(config.json);
	assert_true(config.force);
	assert_int_equal(4, config.threads);
	assert_int_equal(65536, config.limit);
	assert_int_equal(300000, config.interval);
}

static void the_option_wins_then_the_environment_then_the_file(void **state)
{
	(void)state;
	write_file("threads = 10\nlimit = 10KiB\ninterval = 10s\nnote = from the file\n");
	setenv("SYNC_CONFIG", path, 1);
	setenv("SYNC_THREADS", "20", 1);
	setenv("SYNC_LIMIT", "20KiB", 1);
	setenv("SYNC_NOTE", "", 1);
	assert_ok(option("threads", "30", err));
	assert_ok(sync_settings_finish(&settings, "remote", err));
	assert_int_equal(30, config.threads);
	assert_int_equal(20480, config.limit);
	assert_int_equal(10000, config.interval);
	assert_string_equal("from the file", config.note);
}

static void a_repeated_option_is_collected_and_hides_the_others(void **state)
{
	(void)state;
	setenv("SYNC_STORE", "of the environment", 1);
	assert_ok(option("store", "A", err));
	assert_ok(option("store", "B", err));
	assert_ok(option("store", "C", err));
	assert_ok(sync_settings_finish(&settings, "remote", err));
	assert_int_equal(3, config.stores.n);
	assert_string_equal("A", config.stores.at[0]);
	assert_string_equal("C", config.stores.at[2]);
}

static void a_flag_can_be_given_and_taken_back(void **state)
{
	(void)state;
	setenv("SYNC_FORCE_IT", "off", 1);
	assert_ok(option("json", NULL, err));
	assert_ok(sync_settings_finish(&settings, "remote", err));
	assert_true(config.json);
	assert_false(config.force);
}

static void the_section_of_another_program_is_passed_over(void **state)
{
	(void)state;
	assert_ok(read_file("[central]\nlisten = 0.0.0.0:80\nlimit = 2KiB\n[remote]\nlimit = 3KiB\n", err));
	assert_int_equal(3 << 10, config.limit);
}

static void a_file_may_have_comments_and_our_section(void **state)
{
	(void)state;
	assert_ok(
	    read_file("\xef\xbb\xbf# ours\n\nthreads = 7 ; inline\n[remote]\n; more\nstore = A\nstore=B\njson = true\n", err));
	assert_int_equal(7, config.threads);
	assert_int_equal(2, config.stores.n);
	assert_string_equal("B", config.stores.at[1]);
	assert_true(config.json);
}

/* Each line stands after three good ones; the text begins with file and line. */
static void a_wrong_line_is_named_with_file_and_line(void **state)
{
	static const struct {
		const char *line, *text;
	} cases[] = {
		{ "databse = x\n", ":4: unknown setting 'databse', see --help" },
		{ "config = other\n", ":4: unknown setting 'config', see --help" },
		{ "[sites]\nlimit = 2KiB\n", ":5: section [sites] is not ours, which is [remote]" },
		{ "threads = 8\n", ":4: 'threads' for the second time (an indented line continues the one before)" },
		{ "limit = much\n", ":4: limit: 'much' is not a number and B, KiB, MiB or GiB, such as 64KiB" },
		{ "json = maybe\n", ":4: json: 'maybe' is not yes or no" },
		{ "limit 5\n", ":4: neither 'name = value' nor a comment" },
		{ "[remote\n", ":4: neither 'name = value' nor a comment" },
	};
	struct sync_error seen = { 0 };
	char text[200];

	for (size_t i = 0; i < COUNT(cases); i++) {
		snprintf(text, sizeof text, "# one\nthreads = 7\n\n%sinterval = 3s\n", cases[i].line);
		assert_int_equal(SYNC_EUSAGE, read_file(text, &seen));
		assert_memory_equal(path, seen.text, strlen(path));
		assert_string_equal(cases[i].text, seen.text + strlen(path));
		close_settings(state);
		open_settings(state);
	}
}

static void a_line_that_is_too_long_is_not_cut_in_two(void **state)
{
	struct sync_error seen = { 0 };
	char line[400];

	(void)state;
	snprintf(line, sizeof line, "threads = 7\nnote = %0300d\nlimit = 2KiB\n", 1);
	assert_int_equal(SYNC_EUSAGE, read_file(line, &seen));
	assert_non_null(strstr(seen.text, ":2: longer than 198 bytes: give this setting as an option or in the environment"));
}

static void a_missing_file_is_named(void **state)
{
	struct sync_error seen = { 0 };

	(void)state;
	assert_ok(option("config", "/nowhere/remote.conf", err));
	assert_int_equal(SYNC_EUSAGE, sync_settings_finish(&settings, "remote", &seen));
	assert_string_equal("settings file /nowhere/remote.conf: No such file or directory", seen.text);
}

static void sizes_and_times_take_their_units(void **state)
{
	static const struct {
		const char *name, *value;
		int64_t amount;
	} cases[] = {
		{ "limit", "1024B", 1024 },     { "limit", "1KiB", 1024 },      { "limit", "1MiB", 1 << 20 },
		{ "interval", "1500ms", 1500 }, { "interval", "300s", 300000 }, { "interval", "2m", 120000 },
		{ "interval", "1h", 3600000 },  { "interval", "1d", 86400000 }, { "threads", "64", 64 },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		const struct sync_setting *row = sync_setting_find(table, cases[i].name);

		assert_ok(option(cases[i].name, cases[i].value, err));
		assert_true(*(int64_t *)((char *)&config + row->offset) == cases[i].amount);
	}
}

static void a_wrong_value_is_shown_with_what_is_expected(void **state)
{
	static const struct {
		const char *name, *value, *text;
	} cases[] = {
		{ "threads", "0", "--threads: 0 is out of range, possible is 1 to 64" },
		{ "threads", "65", "--threads: 65 is out of range, possible is 1 to 64" },
		{ "threads", "-1", "--threads: -1 is out of range, possible is 1 to 64" },
		{ "threads", "4x", "--threads: '4x' is not a whole number" },
		{ "threads", "", "--threads: '' is not a whole number" },
		{ "threads", " 4", "--threads: ' 4' is not a whole number" },
		{ "threads", "99999999999999999999", "--threads: '99999999999999999999' is not a whole number" },
		{ "limit", "5", "--limit: '5' is not a number and B, KiB, MiB or GiB, such as 64KiB" },
		{ "limit", "5kb", "--limit: '5kb' is not a number and B, KiB, MiB or GiB, such as 64KiB" },
		{ "limit", "2MiB", "--limit: 2MiB is out of range, possible is 1KiB to 1MiB" },
		{ "limit", "99999999999GiB",
		  "--limit: '99999999999GiB' is not a number and B, KiB, MiB or GiB, such as 64KiB" },
		{ "interval", "300", "--interval: '300' is not a number and ms, s, m, h or d, such as 5m" },
		{ "interval", "25h", "--interval: 25h is out of range, possible is 1s to 1d" },
	};
	struct sync_error seen = { 0 };

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		assert_int_equal(SYNC_EUSAGE, option(cases[i].name, cases[i].value, &seen));
		assert_string_equal(cases[i].text, seen.text);
	}
	assert_int_equal(0, config.threads);
}

static void a_wrong_variable_is_named(void **state)
{
	struct sync_error seen = { 0 };

	(void)state;
	setenv("SYNC_FORCE_IT", "perhaps", 1);
	assert_int_equal(SYNC_EUSAGE, sync_settings_finish(&settings, "remote", &seen));
	assert_string_equal("SYNC_FORCE_IT: 'perhaps' is not yes or no", seen.text);
}

static void an_option_belongs_to_its_commands(void **state)
{
	const struct sync_setting *store = sync_setting_find(table, "store");

	(void)state;
	assert_true(sync_setting_for(store, "site add"));
	assert_true(sync_setting_for(store, NULL));
	assert_false(sync_setting_for(store, "site"));
	assert_true(sync_setting_for(sync_setting_find(table, "database"), "anything"));
	assert_null(sync_setting_find(table, "stores"));
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, open_settings, close_settings)

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(what_nobody_sets_has_its_fallback),
		CASE(the_option_wins_then_the_environment_then_the_file),
		CASE(a_repeated_option_is_collected_and_hides_the_others),
		CASE(a_flag_can_be_given_and_taken_back),
		CASE(a_file_may_have_comments_and_our_section),
		CASE(the_section_of_another_program_is_passed_over),
		CASE(a_wrong_line_is_named_with_file_and_line),
		CASE(a_line_that_is_too_long_is_not_cut_in_two),
		CASE(a_missing_file_is_named),
		CASE(sizes_and_times_take_their_units),
		CASE(a_wrong_value_is_shown_with_what_is_expected),
		CASE(a_wrong_variable_is_named),
		CASE(an_option_belongs_to_its_commands),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

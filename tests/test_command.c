#include <libsync/command.h>

#include <sys/wait.h>
#include <unistd.h>

#include "test.h"

struct config {
	const char *config, *database;
	struct sync_texts stores;
	bool json;
};

#define AT(field) offsetof(struct config, field)

static const char *const site_add[] = { "site add", NULL };

static const struct sync_setting settings[] = {
	{ "config", AT(config), NULL, "FILE", "settings file" },
	{ "database", AT(database), "sqlite:site.db", "URL", "where records live" },
	{ "store", AT(stores), NULL, "ID", "a store of the site", site_add, SYNC_SETTING_TEXTS },
	{ "json", AT(json), NULL, NULL, "report as JSON", NULL, SYNC_SETTING_FLAG },
	{ 0 },
};

static enum sync_status add_site(const struct sync_call *call, struct sync_error *err)
{
	const struct config *config = call->settings;

	(void)err;
	printf("%s has %zu stores in %s\n", call->args[0], config->stores.n, config->database);
	return SYNC_OK;
}

static enum sync_status export_entity(const struct sync_call *call, struct sync_error *err)
{
	(void)err;
	printf("%s to %s\n", call->args[0], call->n_args > 1 ? call->args[1] : "stdout");
	return SYNC_OK;
}

static enum sync_status refuse(const struct sync_call *call, struct sync_error *err)
{
	(void)call;
	return sync_fail(err, SYNC_ETAKEN, "a \"site\" of that name exists");
}

static enum sync_status misuse(const struct sync_call *call, struct sync_error *err)
{
	(void)call;
	return sync_fail(err, SYNC_EUSAGE, "--url is needed the first time");
}

static const struct sync_command commands[] = {
	{ "site add", "NAME", add_site, "create a site" },
	{ "site list", NULL, refuse, "all sites" },
	{ "export", "ENTITY [FILE]", export_entity, "write records" },
	{ "init", NULL, misuse, "register" },
	{ 0 },
};

/* What a run of the program left. */
static struct {
	int code;
	struct sync_buf out, err;
} got = { .out.max = 1 << 16, .err.max = 1 << 16 };

static void run_program(char **argv, FILE *out, FILE *err)
{
	struct config config = { 0 };
	const struct sync_program program = { "central", "serves sites", settings, commands, &config };
	int argc = 0;

	while (argv[argc])
		argc++;
	dup2(fileno(out), STDOUT_FILENO);
	dup2(fileno(err), STDERR_FILENO);
	exit(sync_command_main(&program, argc, argv));
}

static void read_all(struct sync_buf *b, FILE *f)
{
	char *to = sync_buf_room(b, b->max);

	assert_non_null(to);
	rewind(f);
	b->len = fread(to, 1, b->max, f);
	to[b->len] = '\0';
	fclose(f);
}

static void run(char **argv)
{
	FILE *out = tmpfile(), *err = tmpfile();
	int status;
	pid_t child;

	assert_non_null(out);
	assert_non_null(err);
	fflush(NULL);
	child = fork();
	assert_true(child >= 0);
	if (child == 0)
		run_program(argv, out, err);
	assert_int_equal(child, waitpid(child, &status, 0));
	assert_true(WIFEXITED(status));
	got.code = WEXITSTATUS(status);
	sync_buf_reset(&got.out);
	sync_buf_reset(&got.err);
	read_all(&got.out, out);
	read_all(&got.err, err);
}

#define RUN(...) run((char *[]){ (char[]){ "/usr/bin/central" }, __VA_ARGS__, NULL })

static int forget(void **state)
{
	(void)state;
	sync_buf_clear(&got.out);
	sync_buf_clear(&got.err);
	return 0;
}

static void a_command_gets_its_arguments_and_options(void **state)
{
	(void)state;
	RUN("site", "add", "--store", "A", "Kaya", "--store=B", "--database", "x.db");
	assert_string_equal("Kaya has 2 stores in x.db\n", got.out.data);
	assert_string_equal("", got.err.data);
	assert_int_equal(0, got.code);
}

static void options_may_stand_before_the_command(void **state)
{
	(void)state;
	RUN("--database", "x.db", "site", "add", "--", "--odd");
	assert_string_equal("--odd has 0 stores in x.db\n", got.out.data);
	assert_int_equal(0, got.code);
}

static void an_argument_in_brackets_may_be_missing(void **state)
{
	(void)state;
	RUN("export", "item");
	assert_string_equal("item to stdout\n", got.out.data);
	RUN("export", "item", "item.csv");
	assert_string_equal("item to item.csv\n", got.out.data);
}

static void misuse_is_explained_and_ends_with_64(void **state)
{
	static const struct {
		const char *argv[5], *text;
	} cases[] = {
		{ { "central" }, "central: no command given\n" },
		{ { "central", "sit" }, "central: no command 'sit'\n" },
		{ { "central", "sit", "ad" }, "central: no command 'sit'\n" },
		{ { "central", "site", "ad" }, "central: no command 'site ad': there are site add, site list\n" },
		{ { "central", "site", "add" }, "central site add: arguments are missing, expected: NAME\n" },
		{ { "central", "site", "add", "A", "B" }, "central site add: 'B' is one argument too many\n" },
		{ { "central", "site", "list", "--store=A" }, "central site list: unrecognized option '--store=A'\n" },
		{ { "central", "--nonsense" }, "central: unrecognized option '--nonsense'\n" },
		{ { "central", "export", "item", "--json=1" }, "central export: option '--json' doesn't allow an argument\n" },
		{ { "central", "export", "item", "--config=/no" }, "central: settings file /no: No such file or directory\n" },
		{ { "central", "init" }, "central: --url is needed the first time\n" },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		char *argv[6] = { 0 };

		for (size_t n = 0; n < 5 && cases[i].argv[n]; n++)
			argv[n] = (char *)(uintptr_t)cases[i].argv[n];
		run(argv);
		assert_int_equal(64, got.code);
		assert_string_equal("", got.out.data);
		*strchr(got.err.data, '\n') = '\0';
		assert_memory_equal(cases[i].text, got.err.data, strlen(got.err.data));
		assert_int_equal(strlen(cases[i].text), strlen(got.err.data) + 1);
	}
}

static void a_failure_is_one_line_and_ends_with_1(void **state)
{
	(void)state;
	RUN("site", "list");
	assert_int_equal(1, got.code);
	assert_string_equal("", got.out.data);
	assert_string_equal("central: a \"site\" of that name exists\n", got.err.data);
}

static void a_failure_with_json_is_an_object(void **state)
{
	(void)state;
	RUN("site", "list", "--json");
	assert_int_equal(1, got.code);
	assert_string_equal("{\"ok\":false,\"error\":\"taken\",\"text\":\"a \\\"site\\\" of that name exists\"}\n",
			    got.out.data);
	assert_string_equal("", got.err.data);
}

static void help_lists_commands_and_settings(void **state)
{
	(void)state;
	RUN("--help");
	assert_int_equal(0, got.code);
	assert_non_null(strstr(got.out.data, "Usage: central [OPTION...] COMMAND\n"));
	assert_non_null(strstr(got.out.data, "  site add NAME         create a site\n"));
	assert_non_null(strstr(got.out.data, "--database=URL         where records live (SYNC_DATABASE, default"));
	assert_non_null(strstr(got.out.data, "--store=ID"));
}

static void help_of_a_command_has_only_its_options(void **state)
{
	(void)state;
	RUN("export", "--help");
	assert_int_equal(0, got.code);
	assert_non_null(strstr(got.out.data, "Usage: central export [OPTION...] ENTITY [FILE]\n"));
	assert_null(strstr(got.out.data, "--store=ID"));
	RUN("site", "add", "--help");
	assert_non_null(strstr(got.out.data, "--store=ID"));
}

static void help_of_a_first_word_lists_what_may_follow(void **state)
{
	(void)state;
	RUN("site", "--help");
	assert_int_equal(0, got.code);
	assert_non_null(strstr(got.out.data, "  site add NAME "));
	assert_non_null(strstr(got.out.data, "  site list "));
	assert_null(strstr(got.out.data, "export"));
	assert_non_null(strstr(got.out.data, "--store=ID"));
}

static void misuse_with_json_is_an_object(void **state)
{
	(void)state;
	RUN("site", "add", "--json");
	assert_int_equal(64, got.code);
	assert_string_equal("{\"ok\":false,\"error\":\"usage\",\"text\":\"arguments are missing, expected: NAME\"}\n", got.out.data);
	assert_string_equal("", got.err.data);
}

static void an_option_that_cannot_be_read_is_an_object_with_json(void **state)
{
	static const struct {
		const char *argv[6], *text;
	} cases[] = {
		{ { "central", "site", "list", "--fly", "--json" }, "unrecognized option '--fly': see central site list --help" },
		{ { "central", "--json", "--fly" }, "unrecognized option '--fly': see central --help" },
		{ { "central", "site", "list", "--json", "-x" }, "invalid option -- 'x': see central site list --help" },
		{ { "central", "site", "list", "--json", "--database" },
		  "option '--database' requires an argument: see central site list --help" },
		{ { "central", "fly", "--json" }, "no command 'fly'" },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		char *argv[7] = { 0 }, expected[200];

		for (size_t n = 0; n < 6 && cases[i].argv[n]; n++)
			argv[n] = (char *)(uintptr_t)cases[i].argv[n];
		run(argv);
		snprintf(expected, sizeof expected, "{\"ok\":false,\"error\":\"usage\",\"text\":\"%s\"}\n", cases[i].text);
		assert_int_equal(64, got.code);
		assert_string_equal(expected, got.out.data);
		assert_string_equal("", got.err.data);
	}
}

static void help_is_text_with_json_too(void **state)
{
	(void)state;
	RUN("export", "--json", "--help");
	assert_int_equal(0, got.code);
	assert_non_null(strstr(got.out.data, "Usage: central export"));
}

static void the_version_is_told(void **state)
{
	(void)state;
	RUN("--version");
	assert_int_equal(0, got.code);
	assert_string_equal("central " SYNC_VERSION "\n", got.out.data);
}

static void reports_nest_and_escape(void **state)
{
	defer(sync_buf_clear) struct sync_buf b = { .max = 1000 };

	(void)state;
	sync_show_open(&b, NULL, '{');
	sync_show_text(&b, "name", sync_view_of("a\"b\\c\n{ é"));
	sync_show_open(&b, "sites", '[');
	sync_show_open(&b, NULL, '{');
	sync_show_int(&b, "id", INT64_MIN);
	sync_show_close(&b, '}');
	sync_show_open(&b, NULL, '{');
	sync_show_close(&b, '}');
	sync_show_text(&b, NULL, sync_view_of(""));
	sync_show_close(&b, ']');
	sync_show_bool(&b, "ok", true);
	sync_show_null(&b, "last");
	sync_show_close(&b, '}');
	assert_string_equal(
	    "{\"name\":\"a\\\"b\\\\c\\u000a{ é\",\"sites\":[{\"id\":-9223372036854775808},{},\"\"],\"ok\":true,\"last\":null}",
	    b.data);
}

static void bytes_that_are_not_utf8_are_replaced(void **state)
{
	static const struct {
		const char *bytes, *shown;
	} cases[] = {
		{ "\xff", "\"\xef\xbf\xbd\"" },
		{ "a\xc3", "\"a\xef\xbf\xbd\"" },
		{ "\xc0\xaf", "\"\xef\xbf\xbd\xef\xbf\xbd\"" },
		{ "\xed\xa0\x80", "\"\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\"" },
		{ "\xf0\x9f\x98\x80", "\"\xf0\x9f\x98\x80\"" },
	};
	defer(sync_buf_clear) struct sync_buf b = { .max = 100 };

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		sync_buf_reset(&b);
		sync_show_text(&b, NULL, sync_view_of(cases[i].bytes));
		assert_string_equal(cases[i].shown, b.data);
	}
}

static void text_for_people_has_no_control_characters(void **state)
{
	defer(sync_buf_clear) struct sync_buf b = { .max = 100 };

	(void)state;
	sync_buf_add_text(&b, "a\n");
	sync_buf_add_text(&b, "b\x1b[2J\r\n\x7f\xc2\x9b é");
	sync_show_plain(&b, 2);
	assert_string_equal("a\nb?[2J????? é", b.data);
}

static void a_time_that_never_was_is_null(void **state)
{
	defer(sync_buf_clear) struct sync_buf b = { .max = 100 };

	(void)state;
	sync_show_time(&b, "at", 0);
	sync_show_time(&b, "since", 1000000);
	assert_string_equal("\"at\":null,\"since\":\"1970-01-01T00:00:01Z\"", b.data);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_command_gets_its_arguments_and_options),
		cmocka_unit_test(options_may_stand_before_the_command),
		cmocka_unit_test(an_argument_in_brackets_may_be_missing),
		cmocka_unit_test(misuse_is_explained_and_ends_with_64),
		cmocka_unit_test(a_failure_is_one_line_and_ends_with_1),
		cmocka_unit_test(a_failure_with_json_is_an_object),
		cmocka_unit_test(help_lists_commands_and_settings),
		cmocka_unit_test(help_of_a_command_has_only_its_options),
		cmocka_unit_test(help_of_a_first_word_lists_what_may_follow),
		cmocka_unit_test(misuse_with_json_is_an_object),
		cmocka_unit_test(an_option_that_cannot_be_read_is_an_object_with_json),
		cmocka_unit_test(help_is_text_with_json_too),
		cmocka_unit_test(the_version_is_told),
		cmocka_unit_test(text_for_people_has_no_control_characters),
		cmocka_unit_test(a_time_that_never_was_is_null),
		cmocka_unit_test(reports_nest_and_escape),
		cmocka_unit_test(bytes_that_are_not_utf8_are_replaced),
	};

	clearenv();
	return cmocka_run_group_tests(tests, NULL, forget);
}

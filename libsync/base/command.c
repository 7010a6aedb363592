#include <libsync/command.h>

#include <argp.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <libsync/time.h>

#include "base/internal.h"

enum {
	FIRST_KEY = 0x1000, /* of our options: beyond characters, so that none has a short form */
	TEXT_MAX = 64 << 10,
	WORDS = 2, /* that a command's name may have */
	MAX_SECRET_LINE = 200,
};

/* A program's call while it is being understood. */
struct run {
	const struct sync_program *p;
	const struct sync_command *command; /* NULL until found */
	char *words[WORDS];                 /* the first that are no options */
	size_t n_words;
	struct sync_settings settings;
	size_t n_settings;
	char **args; /* what follows the command's name */
	size_t n_args, to_skip;
	bool json;    /* --json stands among the options, wherever the first mistake is */
	struct sync_buf name, doc; /* "central site add"; what the help says around the options */
};

static size_t count_words(const char *text)
{
	size_t n = 1;

	for (; *text; text++)
		n += *text == ' ';
	return n;
}

static bool is_called(const struct sync_command *command, const struct run *r)
{
	size_t n = count_words(command->name);
	size_t first = strcspn(command->name, " ");

	if (r->n_words < n || strlen(r->words[0]) != first || strncmp(command->name, r->words[0], first) != 0)
		return false;
	return n == 1 || strcmp(command->name + first + 1, r->words[1]) == 0;
}

static void find_command(struct run *r)
{
	for (const struct sync_command *command = r->p->commands; command->name && !r->command; command++)
		if (is_called(command, r))
			r->command = command;
}

/* Whether the command is one of those that begin with the first word: "site add" with "site". */
static bool in_group(const struct sync_command *command, const struct run *r)
{
	size_t first = r->n_words > 0 ? strlen(r->words[0]) : 0;

	return first > 0 && strncmp(command->name, r->words[0], first) == 0 && command->name[first] == ' ';
}

static bool has_group(const struct run *r)
{
	for (const struct sync_command *command = r->p->commands; command->name; command++)
		if (in_group(command, r))
			return true;
	return false;
}

/* How many arguments a command takes: words, those in brackets may be missing. */
static void count_args(const struct sync_command *command, size_t *ret_least, size_t *ret_most)
{
	const char *args = command->args ? command->args : "";

	*ret_least = *ret_most = 0;
	while (*args) {
		size_t len = strcspn(args, " ");

		*ret_most = memmem(args, len, "...", 3) ? SIZE_MAX : *ret_most + 1;
		*ret_least += args[0] != '[';
		args += len + (args[len] == ' ');
	}
}

static error_t on_word(int key, char *arg, struct argp_state *state)
{
	struct run *r = state->input;

	if (key == ARGP_KEY_ARG && r->n_words < WORDS)
		r->words[r->n_words++] = arg;
	return 0;
}

/* Whether an option stands there word for word. */
static bool is_given(char **argv, const char *option)
{
	while (*argv && strcmp(*argv, "--") != 0 && strcmp(*argv, option) != 0)
		argv++;
	return *argv && strcmp(*argv, option) == 0;
}

static bool wants_json(const struct run *r)
{
	const struct sync_setting *row = sync_setting_find(r->p->settings, "json");

	return row && (r->json || *(const bool *)((const char *)r->p->values + row->offset));
}

static void report_failure(const struct run *r, const struct sync_error *err)
{
	defer(sync_buf_clear) struct sync_buf b = { .max = TEXT_MAX };
	const char *text = err->text[0] ? err->text : sync_status_text(err->status);

	if (!wants_json(r)) {
		fprintf(stderr, "%s: %s\n", r->p->name, text);
		return;
	}
	sync_show_open(&b, NULL, '{');
	sync_show_bool(&b, "ok", false);
	sync_show_text(&b, "error", sync_view_of(sync_status_name(err->status)));
	sync_show_text(&b, "text", sync_view_of(text));
	sync_show_close(&b, '}');
	(void)sync_show_print(&b, NULL);
}

/* Say what is wrong with the words of the call, and exit as argp does. */
__attribute__((format(printf, 3, 4))) static _Noreturn void misused(const struct run *r, const struct argp_state *state,
								    const char *format, ...)
{
	struct sync_error err = { .status = SYNC_EUSAGE };
	va_list args;

	va_start(args, format);
	(void)vsnprintf(err.text, sizeof err.text, format, args);
	va_end(args);
	if (wants_json(r))
		report_failure(r, &err);
	else
		argp_error(state, "%s", err.text);
	exit(SYNC_EXIT_MISUSED);
}

/* "no command 'site ad': site add, site list" */
static _Noreturn void refuse_command(const struct run *r, const struct argp_state *state)
{
	defer(sync_buf_clear) struct sync_buf b = { .max = TEXT_MAX };

	if (r->n_words == 0)
		misused(r, state, "no command given");
	for (const struct sync_command *command = r->p->commands; command->name; command++)
		if (in_group(command, r))
			sync_buf_addf(&b, "%s%s", b.len > 0 ? ", " : ": there are ", command->name);
	if (b.len == 0)
		misused(r, state, "no command '%s'", r->words[0]);
	misused(r, state, "no command '%s%s%s'%s", r->words[0], r->n_words > 1 ? " " : "", r->n_words > 1 ? r->words[1] : "", b.data);
}

static void check_args(const struct run *r, const struct argp_state *state)
{
	size_t least, most;

	if (!r->command)
		refuse_command(r, state);
	count_args(r->command, &least, &most);
	if (r->n_args < least)
		misused(r, state, "arguments are missing, expected: %s", r->command->args);
	if (r->n_args > most)
		misused(r, state, "'%s' is one argument too many", r->args[most]);
}

static error_t set_option(struct run *r, const struct sync_setting *row, const char *arg, const struct argp_state *state)
{
	defer(sync_buf_clear) struct sync_buf where = { .max = TEXT_MAX };
	struct sync_error err;

	sync_buf_addf(&where, "--%s", row->name);
	if (sync_buf_check(&where, &err) != SYNC_OK ||
	    sync_settings_set(&r->settings, row, arg, SYNC_FROM_OPTION, where.data, &err) != SYNC_OK)
		misused(r, state, "%s", err.text);
	return 0;
}

static error_t on_option(int key, char *arg, struct argp_state *state)
{
	struct run *r = state->input;

	if (key >= FIRST_KEY && key < FIRST_KEY + (int)r->n_settings)
		return set_option(r, &r->p->settings[key - FIRST_KEY], arg, state);
	switch (key) {
	case ARGP_KEY_ARG:
		if (r->to_skip > 0)
			r->to_skip--;
		else
			r->args[r->n_args++] = arg;
		return 0;
	case ARGP_KEY_END:
		check_args(r, state);
		return 0;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

/* "where the API listens (SYNC_LISTEN, default 127.0.0.1:8440)" */
static const char *option_doc(struct run *r, const struct sync_setting *row)
{
	defer(sync_buf_clear) struct sync_buf b = { .max = TEXT_MAX };

	sync_buf_addf(&b, "%s (", row->help);
	sync_setting_environment_name(&b, row->name);
	if (row->fallback)
		sync_buf_addf(&b, ", default %s", row->fallback);
	sync_buf_add_char(&b, ')');
	return sync_arena_copy(&r->settings.arena, sync_buf_view(&b)).data;
}

/* Rows of the same commands are a group, named by the first of them; those of all commands come first, as argp sorts them. */
static int group_of(const struct run *r, const struct sync_setting *row)
{
	const struct sync_setting *first = r->p->settings;

	while (row->commands && first->commands != row->commands)
		first++;
	return row->commands ? (int)(first - r->p->settings) + 2 : 1;
}

/* "For import, export:" */
static const char *group_head(struct run *r, const struct sync_setting *row)
{
	defer(sync_buf_clear) struct sync_buf b = { .max = TEXT_MAX };

	sync_buf_add_text(&b, row->commands ? "For " : "For all commands:");
	for (const char *const *name = row->commands; name && *name; name++)
		sync_buf_addf(&b, "%s%s", *name, name[1] ? ", " : ":");
	return sync_arena_copy(&r->settings.arena, sync_buf_view(&b)).data;
}

/* Whether the command takes it, or one of those that the first word may mean, or any while nothing is known. */
static bool applies(const struct run *r, const struct sync_setting *row)
{
	if (r->command || !has_group(r))
		return sync_setting_for(row, r->command ? r->command->name : NULL);
	for (const struct sync_command *command = r->p->commands; command->name; command++)
		if (in_group(command, r) && sync_setting_for(row, command->name))
			return true;
	return false;
}

/* The rows that apply; without a command in groups with a head each. */
static struct argp_option *make_options(struct run *r)
{
	struct argp_option *options = calloc(2 * r->n_settings + 1, sizeof *options);
	size_t used = 0;
	int group, last = 0;

	for (size_t i = 0; options && i < r->n_settings; i++) {
		const struct sync_setting *row = &r->p->settings[i];

		if (!applies(r, row))
			continue;
		group = r->command ? 0 : group_of(r, row);
		if (group > last)
			options[used++] = (struct argp_option){ .doc = group_head(r, row), .group = group };
		last = group > last ? group : last;
		options[used++] = (struct argp_option){
			.name = row->name, .key = FIRST_KEY + (int)i, .arg = row->arg, .doc = option_doc(r, row), .group = group
		};
	}
	return options;
}

static int command_width(const struct sync_command *command)
{
	return (int)(strlen(command->name) + (command->args ? strlen(command->args) + 1 : 0));
}

/* What stands after '\v' follows the options. After the first word of several commands only those are listed. */
static void write_doc(struct run *r)
{
	bool all = !has_group(r);
	int width = 0;

	if (r->command) {
		sync_buf_addf(&r->doc, "%s%s%s", r->command->help, r->command->more ? "\v" : "", r->command->more ? r->command->more : "");
		return;
	}
	sync_buf_addf(&r->doc, "%s\n\nCommands:\n", r->p->description);
	for (const struct sync_command *command = r->p->commands; command->name; command++)
		width = command_width(command) > width ? command_width(command) : width;
	for (const struct sync_command *command = r->p->commands; command->name; command++)
		if (all || in_group(command, r))
			sync_buf_addf(&r->doc, "  %s%s%s%*s  %s\n", command->name, command->args ? " " : "",
				      command->args ? command->args : "", width - command_width(command), "", command->help);
	sync_buf_addf(&r->doc, "\vOptions of a command: %s COMMAND --help", r->p->name);
}

static enum sync_status find_words(struct run *r, int argc, char **argv, struct sync_error *err)
{
	defer(freep) struct argp_option *options = make_options(r);
	const struct argp argp = { options, on_word, NULL, NULL, NULL, NULL, NULL };

	if (!options)
		return sync_fail(err, SYNC_ENOMEM, "options");
	/* What is wrong is reported when all is known; until then --help ends the scan like any unknown option. */
	(void)argp_parse(&argp, argc, argv, ARGP_IN_ORDER | ARGP_SILENT, NULL, r);
	find_command(r);
	return SYNC_OK;
}

static enum sync_status unreadable(const struct run *r, const char *text, struct sync_error *err)
{
	size_t name = strlen(r->name.data);

	if (strncmp(text, r->name.data, name) == 0 && text[name] == ':')
		text += name + 2;
	return sync_fail(err, SYNC_EUSAGE, "%.*s: see %s --help", (int)strcspn(text, "\n"), text, r->name.data);
}

/* getopt tells what it cannot read on stderr only, which in glibc is a variable. */
static enum sync_status parse_for_json(struct run *r, const struct argp *argp, int argc, char **argv, struct sync_error *err)
{
	defer(freep) char *text = NULL;
	size_t len;
	FILE *terminal = stderr, *f = open_memstream(&text, &len);
	error_t failed;

	if (!f)
		return sync_fail(err, SYNC_ENOMEM, "options");
	stderr = f;
	failed = argp_parse(argp, argc, argv, ARGP_NO_EXIT | ARGP_NO_HELP, NULL, r);
	stderr = terminal;
	if (fclose(f) != 0)
		return sync_fail(err, SYNC_ENOMEM, "options");
	return failed ? unreadable(r, text, err) : SYNC_OK;
}

/* Help is for people. */
static bool asks_for_help(char **argv)
{
	return is_given(argv, "--help") || is_given(argv, "-?") || is_given(argv, "--usage") || is_given(argv, "--version");
}

static enum sync_status parse(struct run *r, const struct argp *argp, int argc, char **argv, struct sync_error *err)
{
	if (r->json && !asks_for_help(argv))
		return parse_for_json(r, argp, argc, argv, err);
	if (argp_parse(argp, argc, argv, 0, NULL, r) != 0)
		return sync_fail(err, SYNC_EUSAGE, "options cannot be read, see %s --help", r->name.data);
	return SYNC_OK;
}

static enum sync_status read_options(struct run *r, int argc, char **argv, struct sync_error *err)
{
	defer(freep) struct argp_option *options = make_options(r);
	struct argp argp = { options, on_option, "COMMAND", NULL, NULL, NULL, NULL };

	sync_buf_add_text(&r->name, r->p->name);
	if (r->command) {
		sync_buf_addf(&r->name, " %s", r->command->name);
		argp.args_doc = r->command->args ? r->command->args : "";
		r->to_skip = count_words(r->command->name);
	}
	write_doc(r);
	r->args = calloc((size_t)argc + 1, sizeof *r->args);
	if (!options || !r->args || r->name.status != SYNC_OK || r->doc.status != SYNC_OK)
		return sync_fail(err, SYNC_ENOMEM, "options");
	argp.doc = r->doc.data;
	argv[0] = r->name.data; /* what argp and getopt call us in their messages */
	TRY(parse(r, &argp, argc, argv, err));
	return sync_settings_finish(&r->settings, r->p->name, err);
}

static enum sync_status run_command(struct run *r, int argc, char **argv, struct sync_error *err)
{
	struct sync_call call = { .settings = r->p->values };

	while (r->p->settings[r->n_settings].name)
		r->n_settings++;
	TRY(sync_settings_open(&r->settings, r->p->settings, r->p->values, err));
	TRY(find_words(r, argc, argv, err));
	TRY(read_options(r, argc, argv, err));
	call.args = r->args;
	call.n_args = r->n_args;
	call.json = wants_json(r);
	return r->command->run(&call, err);
}

static void clear_run(struct run *r)
{
	sync_settings_clear(&r->settings);
	sync_buf_clear(&r->name);
	sync_buf_clear(&r->doc);
	free(r->args);
}

int sync_command_main(const struct sync_program *p, int argc, char **argv)
{
	defer(clear_run) struct run r = { .p = p, .name.max = TEXT_MAX, .doc.max = TEXT_MAX };
	struct sync_error err = { 0 };
	char version[100];
	enum sync_status status;

	r.json = is_given(argv, "--json");
	snprintf(version, sizeof version, "%s %s", p->name, SYNC_VERSION);
	argp_program_version = version;
	argp_err_exit_status = SYNC_EXIT_MISUSED;
	status = run_command(&r, argc, argv, &err);
	if (status == SYNC_OK)
		return SYNC_EXIT_DONE;
	err.status = status;
	report_failure(&r, &err);
	return status == SYNC_EUSAGE ? SYNC_EXIT_MISUSED : SYNC_EXIT_FAILED;
}

/* A comma, unless nothing stands before on this level; then the key. */
static void put_key(struct sync_buf *b, const char *key)
{
	if (b->len > 0 && !strchr("{[\n", b->data[b->len - 1]))
		sync_buf_add_char(b, ',');
	if (key)
		sync_buf_addf(b, "\"%s\":", key);
}

void sync_show_open(struct sync_buf *b, const char *key, char bracket)
{
	put_key(b, key);
	sync_buf_add_char(b, bracket);
}

void sync_show_close(struct sync_buf *b, char bracket)
{
	sync_buf_add_char(b, bracket);
}

/* Bytes of the UTF-8 character at the start of v; 0 when there is none. */
static size_t character(struct sync_view v)
{
	const unsigned char *c = (const unsigned char *)v.data;
	size_t len = c[0] < 0x80 ? 1 : c[0] < 0xc2 ? 0 : c[0] < 0xe0 ? 2 : c[0] < 0xf0 ? 3 : c[0] < 0xf5 ? 4 : 0;

	if (len == 0 || len > v.len)
		return 0;
	for (size_t i = 1; i < len; i++)
		if ((c[i] & 0xc0) != 0x80)
			return 0;
	/* Longer than needed, surrogates, beyond U+10FFFF. */
	if ((c[0] == 0xe0 && c[1] < 0xa0) || (c[0] == 0xed && c[1] > 0x9f) || (c[0] == 0xf0 && c[1] < 0x90) ||
	    (c[0] == 0xf4 && c[1] > 0x8f))
		return 0;
	return len;
}

static void put_character(struct sync_buf *b, struct sync_view v)
{
	unsigned char c = (unsigned char)v.data[0];

	if (v.len == 0)
		sync_buf_add_text(b, "\xef\xbf\xbd");
	else if (c == '"' || c == '\\')
		sync_buf_addf(b, "\\%c", c);
	else if (c < ' ')
		sync_buf_addf(b, "\\u%04x", c);
	else
		sync_buf_add_view(b, v);
}

void sync_show_text(struct sync_buf *b, const char *key, struct sync_view v)
{
	put_key(b, key);
	sync_buf_add_char(b, '"');
	while (v.len > 0) {
		size_t len = character(v), step = len > 0 ? len : 1;

		put_character(b, (struct sync_view){ v.data, len });
		v = (struct sync_view){ v.data + step, v.len - step };
	}
	sync_buf_add_char(b, '"');
}

void sync_show_time(struct sync_buf *b, const char *key, int64_t at_us)
{
	char text[21];

	if (!at_us) {
		sync_show_null(b, key);
		return;
	}
	sync_time_text(text, at_us);
	sync_show_text(b, key, sync_view_of(text));
}

void sync_show_int(struct sync_buf *b, const char *key, int64_t i)
{
	put_key(b, key);
	sync_buf_addf(b, "%" PRId64, i);
}

void sync_show_bool(struct sync_buf *b, const char *key, bool yes)
{
	put_key(b, key);
	sync_buf_add_text(b, yes ? "true" : "false");
}

void sync_show_null(struct sync_buf *b, const char *key)
{
	put_key(b, key);
	sync_buf_add_text(b, "null");
}

/* A terminal would obey them: C0, DEL, and C1, which is two bytes in UTF-8. */
void sync_show_plain(struct sync_buf *b, size_t from)
{
	for (size_t i = from; i < b->len; i++) {
		unsigned char c = (unsigned char)b->data[i];
		bool pair = c == 0xc2 && i + 1 < b->len && (unsigned char)b->data[i + 1] < 0xa0;

		if (c < ' ' || c == 0x7f || pair)
			b->data[i] = '?';
		if (pair)
			b->data[i + 1] = '?';
	}
}

enum sync_status sync_show_print(struct sync_buf *b, struct sync_error *err)
{
	sync_buf_add_char(b, '\n');
	TRY(sync_buf_check(b, err));
	if (fwrite(b->data, 1, b->len, stdout) != b->len || fflush(stdout) != 0)
		return sync_fail(err, SYNC_EIO, "standard output cannot be written: %m");
	return SYNC_OK;
}

enum sync_status sync_secret_read(const char *file, char ret[static 64], struct sync_error *err)
{
	FILE *f = strcmp(file, "-") == 0 ? stdin : fopen(file, "re");
	char text[MAX_SECRET_LINE] = "", *end;
	const char *from;

	if (!f)
		return sync_fail(err, SYNC_EUSAGE, "--secret-file %s: %m", file);
	if (!fgets(text, sizeof text, f))
		text[0] = '\0';
	if (f != stdin)
		fclose(f);
	from = text + strspn(text, " \t");
	end = text + strcspn(text, "\r\n");
	while (end > from && (end[-1] == ' ' || end[-1] == '\t'))
		end--;
	*end = '\0';
	if (!*from || strlen(from) >= 64)
		return sync_fail(err, SYNC_EUSAGE, "--secret-file %s: its first line is no secret", file);
	snprintf(ret, 64, "%s", from);
	return SYNC_OK;
}

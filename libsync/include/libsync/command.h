/** What makes a program: a table of settings and one of commands. Only programs use it; it prints and may exit. */
#ifndef LIBSYNC_COMMAND_H
#define LIBSYNC_COMMAND_H

#include <libsync/buf.h>
#include <libsync/error.h>
#include <libsync/settings.h>

/** Exit codes. */
enum sync_exit { SYNC_EXIT_DONE = 0, SYNC_EXIT_FAILED = 1, SYNC_EXIT_MISUSED = 64 };

/** What a command gets. */
struct sync_call {
	const void *settings; /* the program's struct, filled */
	char *const *args;    /* NULL-ended, as many as the command's row says */
	size_t n_args;
	bool json;            /* --json was given: report one JSON object on stdout */
};

/**
 * A command does its work and prints its report.
 *
 * @retval SYNC_OK      exit code 0
 * @retval SYNC_EUSAGE  exit code 64, as for options and arguments that are wrong
 * @return anything else is exit code 1; in both cases the text of err is printed by the caller
 */
typedef enum sync_status sync_command_fn(const struct sync_call *call, struct sync_error *err);

/** A command: a row of a table that ends with a zeroed one. */
struct sync_command {
	const char *name;     /* one or two words: "site add" */
	const char *args;     /* "STORE SITE", "[ENTITY]": one word each, optional ones in brackets and last, "ID..." as many as there are; NULL: none */
	sync_command_fn *run;
	const char *help;     /* one line */
	const char *more;     /* what its --help says after the options; NULL: nothing */
};

/** A program. */
struct sync_program {
	const char *name;        /* also the section of the settings file */
	const char *description; /* one line */
	const struct sync_setting *settings;
	const struct sync_command *commands;
	void *values;            /* the zeroed struct that the settings' offsets point into */
};

/**
 * Find the command, gather the settings, run it, report a failure: one line on stderr, or with --json an object
 * {"ok":false,"error":code,"text":text} on stdout. --help, --version and --usage print and exit.
 *
 * @return the exit code
 */
int sync_command_main(const struct sync_program *p, int argc, char **argv);

/**
 * The first line of a file as a one-time secret.
 *
 * @param file  "-" is standard input
 * @retval SYNC_EUSAGE  it cannot be read, or has none
 */
enum sync_status sync_secret_read(const char *file, char ret[static 64], struct sync_error *err);

/*
 * JSON for reports. Nothing keeps the nesting: a comma is put wherever the byte before asks for one.
 *
 *	sync_show_open(&b, NULL, '{');
 *	sync_show_text(&b, "site", sync_view_of("Ouagadougou"));
 *	sync_show_close(&b, '}');
 */

/** Begin an object '{' or an array '['; key is NULL in arrays and at the top. */
void sync_show_open(struct sync_buf *b, const char *key, char bracket);
/** End it with '}' or ']'. */
void sync_show_close(struct sync_buf *b, char bracket);
/** A string, escaped; bytes that are not UTF-8 become U+FFFD. */
void sync_show_text(struct sync_buf *b, const char *key, struct sync_view v);
/** A time as text; null for 0, which is never. */
void sync_show_time(struct sync_buf *b, const char *key, int64_t at_us);
/** A number. */
void sync_show_int(struct sync_buf *b, const char *key, int64_t i);
/** true or false. */
void sync_show_bool(struct sync_buf *b, const char *key, bool yes);
/** null. */
void sync_show_null(struct sync_buf *b, const char *key);
/** What was appended from that byte on is for people: control characters, which may come from outside, become '?'. */
void sync_show_plain(struct sync_buf *b, size_t from);
/** Write b and a newline to stdout, all of it. @retval SYNC_EIO  stdout is closed or full */
enum sync_status sync_show_print(struct sync_buf *b, struct sync_error *err);

#endif

/** One table of settings is the file, the environment, the options and the help. Only programs use it. */
#ifndef LIBSYNC_SETTINGS_H
#define LIBSYNC_SETTINGS_H

#include <libsync/buf.h>
#include <libsync/error.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/** How a setting is written, and what it becomes. */
enum sync_setting_type {
	SYNC_SETTING_TEXT,   /* const char * */
	SYNC_SETTING_TEXTS,  /* struct sync_texts; the option may be repeated, the key in the file as well */
	SYNC_SETTING_FLAG,   /* bool; an option without a value; elsewhere yes/no, true/false, on/off, 1/0 */
	SYNC_SETTING_NUMBER, /* int64_t */
	SYNC_SETTING_BYTES,  /* int64_t; "64KiB": a number and B, KiB, MiB or GiB */
	SYNC_SETTING_TIME,   /* int64_t, milliseconds; "5m": a number and ms, s, m, h or d */
};

/** Several texts, in the order given. */
struct sync_texts {
	const char **at;
	size_t n;
};

/**
 * A setting: a row of a table that ends with a zeroed one. Two names mean more: "config" names the settings file, and
 * "json" makes the report of a failure an object.
 */
struct sync_setting {
	const char *name;            /* "ca-file": --ca-file, SYNC_CA_FILE, and ca-file in the file */
	size_t offset;               /* of the value in the program's struct: offsetof() */
	const char *fallback;        /* written like any value; NULL: NULL, no texts, false or 0 */
	const char *arg;             /* "FILE", as the help calls the value; NULL for flags */
	const char *help;            /* one line; name, environment and fallback are added */
	const char *const *commands; /* NULL-ended names of commands that take the option; NULL: all */
	enum sync_setting_type type;
	int64_t min, max;            /* of numbers, bytes and times, both included; max 0: no limits */
};

/** Where a value comes from; a later one wins. */
enum sync_source { SYNC_FROM_NOWHERE, SYNC_FROM_FALLBACK, SYNC_FROM_FILE, SYNC_FROM_ENVIRONMENT, SYNC_FROM_OPTION };

/** Settings that are being gathered; what values point to lives until clear(). */
struct sync_settings {
	const struct sync_setting *table;
	void *values;             /* the struct that the offsets point into */
	enum sync_source *source; /* per row */
	struct sync_arena arena;
};

/**
 * @param s       cleared by the caller, also after a failure
 * @param values  zeroed; filled by what follows
 */
enum sync_status sync_settings_open(struct sync_settings *s, const struct sync_setting *table, void *values,
                                    struct sync_error *err);
/** Free what the values point to. NULL does nothing. */
void sync_settings_clear(struct sync_settings *s);

/**
 * Set one value, unless it has one from a source that wins. Texts of one source are collected.
 *
 * @param row    of the table
 * @param value  as written; NULL is a flag that is given; copied
 * @param where  what the error calls it: "--interval"
 * @retval SYNC_EUSAGE  cannot be read, or out of range: the text has where, value and what is expected
 */
enum sync_status sync_settings_set(struct sync_settings *s, const struct sync_setting *row, const char *value,
                                   enum sync_source source, const char *where, struct sync_error *err);
/** Every SYNC_NAME that is set and not empty. */
enum sync_status sync_settings_environment(struct sync_settings *s, struct sync_error *err);
/**
 * Lines "name = value" of an INI file, in no section or in the section of that name; [central] and [remote] are passed over
 * when they are another program's.
 *
 * @retval SYNC_EUSAGE  cannot be opened, an unknown name, a name twice, a bad value: the text has file and line
 */
enum sync_status sync_settings_file(struct sync_settings *s, const char *path, const char *section, struct sync_error *err);
/** The environment, then the file that "config" names, if any, then the fallbacks: call it when the options are set. */
enum sync_status sync_settings_finish(struct sync_settings *s, const char *section, struct sync_error *err);

/** The row of that name; NULL when there is none. */
const struct sync_setting *sync_setting_find(const struct sync_setting *table, const char *name);
/** Whether the command (NULL: no particular one) takes this option. */
bool sync_setting_for(const struct sync_setting *row, const char *command);
/** Append the name in the environment: "SYNC_CA_FILE". */
void sync_setting_environment_name(struct sync_buf *b, const char *name);

#endif

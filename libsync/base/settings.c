#include <libsync/settings.h>

#include <ctype.h>
#include <errno.h>
#include <ini.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/internal.h"

struct unit {
	const char *name;
	int64_t factor;
};

/* Largest first: formatting takes the first that divides. */
static const struct unit bytes[] = { { "GiB", 1 << 30 }, { "MiB", 1 << 20 }, { "KiB", 1 << 10 }, { "B", 1 }, { 0 } };
static const struct unit times[] = { { "d", 86400000 }, { "h", 3600000 }, { "m", 60000 }, { "s", 1000 }, { "ms", 1 }, { 0 } };
static const struct unit plain[] = { { "", 1 }, { 0 } };

static const struct unit *units(enum sync_setting_type type)
{
	return type == SYNC_SETTING_BYTES ? bytes : type == SYNC_SETTING_TIME ? times : plain;
}

static const char *expected(enum sync_setting_type type)
{
	switch (type) {
	case SYNC_SETTING_TEXT:
	case SYNC_SETTING_TEXTS:
		return "a text";
	case SYNC_SETTING_FLAG:
		return "yes or no";
	case SYNC_SETTING_NUMBER:
		return "a whole number";
	case SYNC_SETTING_BYTES:
		return "a number and B, KiB, MiB or GiB, such as 64KiB";
	case SYNC_SETTING_TIME:
		return "a number and ms, s, m, h or d, such as 5m";
	}
	return "";
}

static bool read_amount(int64_t *ret, const struct unit *u, const char *value)
{
	char *end;
	long long n;

	if (!isdigit((unsigned char)value[0]) && value[0] != '-')
		return false;
	errno = 0;
	n = strtoll(value, &end, 10);
	if (errno != 0 || end == value)
		return false;
	if (n == 0 && !*end) {
		*ret = 0; /* of any unit: whether it may be is a question of range */
		return true;
	}
	for (; u->name; u++)
		if (strcmp(end, u->name) == 0)
			return !__builtin_mul_overflow(n, u->factor, ret);
	return false;
}

static bool read_flag(bool *ret, const char *value)
{
	static const char *const words[] = { "no", "yes", "false", "true", "off", "on", "0", "1" };

	for (size_t i = 0; i < COUNT(words); i++) {
		if (strcasecmp(value, words[i]) == 0) {
			*ret = i % 2 == 1;
			return true;
		}
	}
	return false;
}

/* "5m", as it would be written. */
static void write_amount(struct sync_buf *b, enum sync_setting_type type, int64_t n)
{
	const struct unit *u = units(type);

	while (u[1].name && (n == 0 || n % u->factor != 0))
		u++;
	sync_buf_addf(b, "%" PRId64 "%s", n / u->factor, u->name);
}

static enum sync_status unreadable(const struct sync_setting *row, const char *value, const char *where, struct sync_error *err)
{
	return sync_fail(err, SYNC_EUSAGE, "%s: '%s' is not %s", where, value, expected(row->type));
}

static enum sync_status set_amount(int64_t *to, const struct sync_setting *row, const char *value, const char *where,
				   struct sync_error *err)
{
	defer(sync_buf_clear) struct sync_buf range = { .max = 100 };
	int64_t n;

	if (!read_amount(&n, units(row->type), value))
		return unreadable(row, value, where, err);
	if (row->max != 0 && (n < row->min || n > row->max)) {
		write_amount(&range, row->type, row->min);
		sync_buf_add_text(&range, " to ");
		write_amount(&range, row->type, row->max);
		TRY(sync_buf_check(&range, err));
		return sync_fail(err, SYNC_EUSAGE, "%s: %s is out of range, possible is %s", where, value, range.data);
	}
	*to = n;
	return SYNC_OK;
}

static enum sync_status set_flag(bool *to, const struct sync_setting *row, const char *value, const char *where,
				 struct sync_error *err)
{
	*to = true;
	if (value && !read_flag(to, value))
		return unreadable(row, value, where, err);
	return SYNC_OK;
}

static enum sync_status copy_text(struct sync_settings *s, const char *value, const char **ret, struct sync_error *err)
{
	struct sync_view copy = sync_arena_copy(&s->arena, sync_view_of(value));

	if (!copy.data)
		return sync_fail(err, SYNC_ENOMEM, "settings");
	*ret = copy.data;
	return SYNC_OK;
}

static enum sync_status add_text(struct sync_settings *s, struct sync_texts *to, const char *value, struct sync_error *err)
{
	const char **longer = sync_arena_get(&s->arena, (to->n + 1) * sizeof *longer);

	if (!longer)
		return sync_fail(err, SYNC_ENOMEM, "settings");
	if (to->n > 0)
		memcpy(longer, to->at, to->n * sizeof *longer);
	TRY(copy_text(s, value, &longer[to->n], err));
	to->at = longer;
	to->n++;
	return SYNC_OK;
}

static void *value_of(const struct sync_settings *s, const struct sync_setting *row)
{
	return (char *)s->values + row->offset;
}

static enum sync_status set_value(struct sync_settings *s, const struct sync_setting *row, const char *value, const char *where,
				  struct sync_error *err)
{
	void *to = value_of(s, row);

	switch (row->type) {
	case SYNC_SETTING_TEXT:
		return copy_text(s, value, to, err);
	case SYNC_SETTING_TEXTS:
		return add_text(s, to, value, err);
	case SYNC_SETTING_FLAG:
		return set_flag(to, row, value, where, err);
	case SYNC_SETTING_NUMBER:
	case SYNC_SETTING_BYTES:
	case SYNC_SETTING_TIME:
		return set_amount(to, row, value, where, err);
	}
	return SYNC_OK;
}

static size_t count_rows(const struct sync_setting *table)
{
	size_t n = 0;

	while (table[n].name)
		n++;
	return n;
}

enum sync_status sync_settings_open(struct sync_settings *s, const struct sync_setting *table, void *values,
				    struct sync_error *err)
{
	size_t n = count_rows(table);

	*s = (struct sync_settings){ .table = table, .values = values };
	s->source = sync_arena_get(&s->arena, n * sizeof *s->source);
	if (!s->source)
		return sync_fail(err, SYNC_ENOMEM, "settings");
	for (size_t i = 0; i < n; i++)
		s->source[i] = SYNC_FROM_NOWHERE;
	return SYNC_OK;
}

void sync_settings_clear(struct sync_settings *s)
{
	if (!s)
		return;
	sync_arena_clear(&s->arena);
	*s = (struct sync_settings){ 0 };
}

enum sync_status sync_settings_set(struct sync_settings *s, const struct sync_setting *row, const char *value,
				   enum sync_source source, const char *where, struct sync_error *err)
{
	enum sync_source *known = &s->source[row - s->table];

	if (*known > source)
		return SYNC_OK;
	if (*known < source && row->type == SYNC_SETTING_TEXTS)
		((struct sync_texts *)value_of(s, row))->n = 0;
	TRY(set_value(s, row, value, where, err));
	*known = source;
	return SYNC_OK;
}

void sync_setting_environment_name(struct sync_buf *b, const char *name)
{
	sync_buf_add_text(b, "SYNC_");
	for (; *name; name++)
		sync_buf_add_char(b, *name == '-' ? '_' : (char)toupper((unsigned char)*name));
}

enum sync_status sync_settings_environment(struct sync_settings *s, struct sync_error *err)
{
	defer(sync_buf_clear) struct sync_buf name = { .max = 100 };
	const char *value;

	for (const struct sync_setting *row = s->table; row->name; row++) {
		sync_buf_reset(&name);
		sync_setting_environment_name(&name, row->name);
		TRY(sync_buf_check(&name, err));
		value = getenv(name.data);
		if (value && value[0])
			TRY(sync_settings_set(s, row, value, SYNC_FROM_ENVIRONMENT, name.data, err));
	}
	return SYNC_OK;
}

/* What inih's callbacks share. Lines are counted here: this build of inih does not tell them to the handler. */
struct file {
	struct sync_settings *s;
	FILE *stream;
	const char *path, *section;
	unsigned line;
	enum sync_status status; /* of the first line that is wrong */
	struct sync_error error;
};

/* One file may serve the programs of a machine: what stands in the section of another one is not looked at. */
static bool is_others(const char *section)
{
	return strcmp(section, "central") == 0 || strcmp(section, "remote") == 0;
}

static enum sync_status set_line(struct file *f, const char *section, const char *name, const char *value)
{
	const struct sync_setting *row = sync_setting_find(f->s->table, name);
	char where[200];

	if (section[0] && strcmp(section, f->section) != 0 && is_others(section))
		return SYNC_OK;
	if (section[0] && strcmp(section, f->section) != 0)
		return sync_fail(&f->error, SYNC_EUSAGE, "%s:%u: section [%s] is not ours, which is [%s]", f->path, f->line,
				 section, f->section);
	if (!row || strcmp(name, "config") == 0)
		return sync_fail(&f->error, SYNC_EUSAGE, "%s:%u: unknown setting '%s', see --help", f->path, f->line, name);
	if (row->type != SYNC_SETTING_TEXTS && f->s->source[row - f->s->table] == SYNC_FROM_FILE)
		return sync_fail(&f->error, SYNC_EUSAGE,
				 "%s:%u: '%s' for the second time (an indented line continues the one before)", f->path,
				 f->line, name);
	snprintf(where, sizeof where, "%s:%u: %s", f->path, f->line, name);
	return sync_settings_set(f->s, row, value, SYNC_FROM_FILE, where, &f->error);
}

static int on_setting(void *ctx, const char *section, const char *name, const char *value)
{
	struct file *f = ctx;

	if (f->status == SYNC_OK)
		f->status = set_line(f, section, name, value);
	return f->status == SYNC_OK;
}

/* fgets(), but a line that does not fit ends the reading: inih would take its rest for another line. */
static char *read_line(char *to, int size, void *ctx)
{
	struct file *f = ctx;
	size_t len;

	if (f->status != SYNC_OK || !fgets(to, size, f->stream))
		return NULL;
	f->line++;
	len = strlen(to);
	if (len + 1 == (size_t)size && to[len - 1] != '\n' && !feof(f->stream)) {
		f->status = sync_fail(&f->error, SYNC_EUSAGE,
				      "%s:%u: longer than %d bytes: give this setting as an option or in the "
				      "environment",
				      f->path, f->line, size - 2);
		return NULL;
	}
	return to;
}

static void closep(FILE **stream)
{
	if (*stream)
		fclose(*stream);
}

enum sync_status sync_settings_file(struct sync_settings *s, const char *path, const char *section, struct sync_error *err)
{
	defer(closep) FILE *stream = fopen(path, "re");
	struct file f = { .s = s, .stream = stream, .path = path, .section = section };
	int wrong;

	if (!stream)
		return sync_fail(err, SYNC_EUSAGE, "settings file %s: %s", path, strerror(errno));
	wrong = ini_parse_stream(read_line, &f, on_setting, &f);
	if (f.status != SYNC_OK)
		return sync_fail(err, f.status, "%s", f.error.text);
	if (ferror(stream))
		return sync_fail(err, SYNC_EUSAGE, "settings file %s cannot be read", path);
	if (wrong != 0)
		return sync_fail(err, SYNC_EUSAGE, "%s:%d: neither 'name = value' nor a comment", path, wrong);
	return SYNC_OK;
}

static enum sync_status set_fallbacks(struct sync_settings *s, struct sync_error *err)
{
	for (const struct sync_setting *row = s->table; row->name; row++)
		if (row->fallback)
			TRY(sync_settings_set(s, row, row->fallback, SYNC_FROM_FALLBACK, row->name, err));
	return SYNC_OK;
}

enum sync_status sync_settings_finish(struct sync_settings *s, const char *section, struct sync_error *err)
{
	const struct sync_setting *config = sync_setting_find(s->table, "config");
	const char *path;

	TRY(sync_settings_environment(s, err));
	path = config ? *(const char **)value_of(s, config) : NULL;
	if (path)
		TRY(sync_settings_file(s, path, section, err));
	return set_fallbacks(s, err);
}

const struct sync_setting *sync_setting_find(const struct sync_setting *table, const char *name)
{
	for (; table->name; table++)
		if (strcmp(table->name, name) == 0)
			return table;
	return NULL;
}

bool sync_setting_for(const struct sync_setting *row, const char *command)
{
	if (!command || !row->commands)
		return true;
	for (const char *const *name = row->commands; *name; name++)
		if (strcmp(*name, command) == 0)
			return true;
	return false;
}

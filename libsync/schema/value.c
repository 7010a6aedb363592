#include <libsync/entity.h>

#include <ctype.h>
#include <inttypes.h>
#include <math.h>
#include <string.h>

#include "base/internal.h"

/* Nesting of JSON in a field: what reads it may recurse. */
enum { MAX_DEPTH = 32 };

/* How much of a wrong value an error shows, and how many values of an enum. */
enum { SHOWN = 48, LISTED = 12 };

/* Length of the well-formed UTF-8 character at s, 0 when there is none: no overlong forms, surrogates or NUL. */
static size_t utf8_length(const unsigned char *s, size_t len)
{
	unsigned char first = s[0];
	unsigned char low = 0x80, high = 0xbf; /* of the second byte */
	size_t n = first < 0x80 ? 1 : first < 0xe0 ? 2 : first < 0xf0 ? 3 : 4;

	if (!first || (first >= 0x80 && first < 0xc2) || first > 0xf4 || n > len)
		return 0;
	if (first == 0xe0)
		low = 0xa0;
	else if (first == 0xed)
		high = 0x9f;
	else if (first == 0xf0)
		low = 0x90;
	else if (first == 0xf4)
		high = 0x8f;
	if (n > 1 && (s[1] < low || s[1] > high))
		return 0;
	for (size_t i = 2; i < n; i++)
		if (s[i] < 0x80 || s[i] > 0xbf)
			return 0;
	return n;
}

/* Bytes up to the first that is no UTF-8, or is NUL, which no database takes in text. */
static size_t utf8_prefix(struct sync_view v)
{
	size_t i = 0;

	while (i < v.len) {
		size_t n = utf8_length((const unsigned char *)v.data + i, v.len - i);

		if (!n)
			break;
		i += n;
	}
	return i;
}

/* What is shown of a text: whole characters only. */
static struct sync_view excerpt(struct sync_view v)
{
	size_t shown = v.len;

	if (shown > SHOWN)
		for (shown = SHOWN; shown && ((unsigned char)v.data[shown] & 0xc0) == 0x80; shown--)
			;
	return (struct sync_view){ v.data, shown };
}

/* Reads n digits. */
static bool get_digits(const char **s, const char *end, int n, int *ret)
{
	*ret = 0;
	for (; n; n--, (*s)++) {
		if (*s == end || **s < '0' || **s > '9')
			return false;
		*ret = *ret * 10 + (**s - '0');
	}
	return true;
}

static bool get_char(const char **s, const char *end, char c)
{
	if (*s == end || **s != c)
		return false;
	(*s)++;
	return true;
}

static int days_in_month(int year, int month)
{
	static const int days[] = { 31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31 };
	bool leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;

	return days[month - 1] + (month == 2 && leap);
}

/* date = YYYY-MM-DD, a day that exists, from year 1 on */
static bool get_date(const char **s, const char *end)
{
	int year, month, day;

	if (!get_digits(s, end, 4, &year) || !get_char(s, end, '-') || !get_digits(s, end, 2, &month) ||
	    !get_char(s, end, '-') || !get_digits(s, end, 2, &day))
		return false;
	return year >= 1 && month >= 1 && month <= 12 && day >= 1 && day <= days_in_month(year, month);
}

/* fraction = "." and one to nine digits, or nothing */
static bool get_fraction(const char **s, const char *end)
{
	int n = 0;

	if (!get_char(s, end, '.'))
		return true;
	for (; *s < end && **s >= '0' && **s <= '9'; n++)
		(*s)++;
	return n >= 1 && n <= 9;
}

/* time = date "T" HH:MM:SS fraction, and an optional Z */
static bool get_time(const char **s, const char *end)
{
	int hour, minute, second;

	if (!get_date(s, end) || !get_char(s, end, 'T') || !get_digits(s, end, 2, &hour) || !get_char(s, end, ':') ||
	    !get_digits(s, end, 2, &minute) || !get_char(s, end, ':') || !get_digits(s, end, 2, &second) ||
	    hour > 23 || minute > 59 || second > 59 || !get_fraction(s, end))
		return false;
	(void)get_char(s, end, 'Z');
	return true;
}

static bool get_word(const char **s, const char *end, const char *word)
{
	size_t len = strlen(word);

	if ((size_t)(end - *s) < len || memcmp(*s, word, len) != 0)
		return false;
	*s += len;
	return true;
}

static void skip_blanks(const char **s, const char *end)
{
	while (*s < end && (**s == ' ' || **s == '\t' || **s == '\n' || **s == '\r'))
		(*s)++;
}

static size_t skip_digits(const char **s, const char *end)
{
	const char *start = *s;

	while (*s < end && **s >= '0' && **s <= '9')
		(*s)++;
	return (size_t)(*s - start);
}

static bool get_json_number(const char **s, const char *end)
{
	(void)get_char(s, end, '-');
	if (!get_char(s, end, '0') && !skip_digits(s, end))
		return false;
	if (get_char(s, end, '.') && !skip_digits(s, end))
		return false;
	if (get_char(s, end, 'e') || get_char(s, end, 'E')) {
		if (!get_char(s, end, '+'))
			(void)get_char(s, end, '-');
		return skip_digits(s, end) > 0;
	}
	return true;
}

/* code = four hexadecimal digits */
static bool get_json_code(const char **s, const char *end, unsigned *ret)
{
	*ret = 0;
	for (int i = 0; i < 4; i++, (*s)++) {
		const char *digits = "0123456789abcdef", *digit;

		if (*s == end || !(digit = strchr(digits, tolower((unsigned char)**s))))
			return false;
		*ret = *ret * 16 + (unsigned)(digit - digits);
	}
	return true;
}

/* What follows a backslash. Halves of a surrogate pair come in twos; \u0000 would end the text in what reads it. */
static bool get_json_escape(const char **s, const char *end)
{
	char c = *s < end ? *(*s)++ : 0;
	unsigned code;

	if (c != 'u')
		return c && strchr("\"\\/bfnrt", c);
	if (!get_json_code(s, end, &code) || !code || (code >= 0xdc00 && code <= 0xdfff))
		return false;
	if (code < 0xd800 || code > 0xdfff)
		return true;
	return get_word(s, end, "\\u") && get_json_code(s, end, &code) && code >= 0xdc00 && code <= 0xdfff;
}

static bool get_json_string(const char **s, const char *end)
{
	if (!get_char(s, end, '"'))
		return false;
	while (*s < end && **s != '"') {
		char c = *(*s)++;

		if ((unsigned char)c < 0x20 || (c == '\\' && !get_json_escape(s, end)))
			return false;
	}
	return get_char(s, end, '"');
}

static bool get_json(const char **s, const char *end, int depth);

/* member = string ":" value */
static bool get_json_member(const char **s, const char *end, int depth)
{
	if (!get_json_string(s, end))
		return false;
	skip_blanks(s, end);
	return get_char(s, end, ':') && get_json(s, end, depth);
}

/* What follows "[" or "{": elements or members, separated by commas. */
static bool get_json_list(const char **s, const char *end, char close, int depth)
{
	bool (*element)(const char **, const char *, int) = close == '}' ? get_json_member : get_json;

	if (depth > MAX_DEPTH)
		return false;
	skip_blanks(s, end);
	if (get_char(s, end, close))
		return true;
	do {
		skip_blanks(s, end);
		if (!element(s, end, depth))
			return false;
	} while (get_char(s, end, ','));
	return get_char(s, end, close);
}

/* value and the blanks around it; the text is known to be UTF-8 without NUL */
static bool get_json(const char **s, const char *end, int depth)
{
	bool ok;

	skip_blanks(s, end);
	if (get_char(s, end, '{'))
		ok = get_json_list(s, end, '}', depth + 1);
	else if (get_char(s, end, '['))
		ok = get_json_list(s, end, ']', depth + 1);
	else if (*s < end && **s == '"')
		ok = get_json_string(s, end);
	else
		ok = get_word(s, end, "true") || get_word(s, end, "false") || get_word(s, end, "null") ||
		     get_json_number(s, end);
	skip_blanks(s, end);
	return ok;
}

static bool is_whole(struct sync_view v, enum sync_type type)
{
	const char *s = v.data, *end = v.data + v.len;
	bool ok = type == SYNC_DATE ? get_date(&s, end) : type == SYNC_TIME ? get_time(&s, end) : get_json(&s, end, 0);

	return ok && s == end;
}

static bool is_listed(const char *const *values, struct sync_view v)
{
	for (; *values; values++)
		if (sync_view_is(v, *values))
			return true;
	return false;
}

static bool is_number(enum sync_type type)
{
	return type == SYNC_BOOLEAN || type == SYNC_INTEGER || type == SYNC_BIGINT || type == SYNC_REAL;
}

static const char *in_words(enum sync_type type)
{
	static const char *const words[] = {
		[SYNC_ID] = "an id of 1 to 255 bytes",
		[SYNC_TEXT] = "a text",
		[SYNC_ENUM] = "one of the field's values",
		[SYNC_JSON] = "JSON nested at most 32 deep",
		[SYNC_DATE] = "a date, YYYY-MM-DD",
		[SYNC_TIME] = "a time, YYYY-MM-DDTHH:MM:SS",
		[SYNC_BOOLEAN] = "true or false",
		[SYNC_INTEGER] = "a whole number of 32 bits",
		[SYNC_BIGINT] = "a whole number of 64 bits",
		[SYNC_REAL] = "a finite number",
	};

	return words[type];
}

static bool fits_text(const struct sync_field *f, struct sync_view s)
{
	switch (f->type) {
	case SYNC_ID:
		return s.len >= 1 && s.len <= SYNC_MAX_ID;
	case SYNC_TEXT:
		return true;
	case SYNC_ENUM:
		return is_listed(f->values, s);
	case SYNC_JSON:
	case SYNC_DATE:
	case SYNC_TIME:
		return s.len && is_whole(s, f->type);
	case SYNC_BOOLEAN:
	case SYNC_INTEGER:
	case SYNC_BIGINT:
	case SYNC_REAL:
		return false;
	}
	return false;
}

static bool fits_integer(const struct sync_field *f, int64_t i)
{
	switch (f->type) {
	case SYNC_BOOLEAN:
		return i == 0 || i == 1;
	case SYNC_INTEGER:
		return i >= INT32_MIN && i <= INT32_MAX;
	case SYNC_BIGINT:
		return true;
	case SYNC_ID:
	case SYNC_TEXT:
	case SYNC_ENUM:
	case SYNC_JSON:
	case SYNC_DATE:
	case SYNC_TIME:
	case SYNC_REAL:
		return false;
	}
	return false;
}

/* A few values are told; more would not fit a line. */
static enum sync_status not_listed(const struct sync_entity *e, const struct sync_field *f, struct sync_view shown, const char *cut,
                                   struct sync_error *err)
{
	defer(sync_buf_clear) struct sync_buf list = { .max = 400 };
	size_t n = 0;

	while (f->values[n])
		sync_buf_addf(&list, "%s%s", n > 0 ? ", " : "", f->values[n]), n++;
	if (n > LISTED || list.status != SYNC_OK)
		return sync_fail(err, SYNC_EINVALID, "%s.%s: '%.*s'%s is not %s", e->name, f->name, SYNC_VIEW(shown), cut, in_words(f->type));
	return sync_fail(err, SYNC_EINVALID, "%s.%s: '%.*s'%s is not one of %s", e->name, f->name, SYNC_VIEW(shown), cut, list.data);
}

static enum sync_status check_text(const struct sync_entity *e, const struct sync_field *f, struct sync_view s,
                                   struct sync_error *err)
{
	size_t good = utf8_prefix(s);
	struct sync_view shown = excerpt(s);

	if (is_number(f->type))
		return sync_fail(err, SYNC_EINVALID, "%s.%s: a text where %s belongs", e->name, f->name, in_words(f->type));
	if (good < s.len)
		return sync_fail(err, SYNC_EINVALID, "%s.%s: byte %zu of %zu, 0x%02x, is not UTF-8 text", e->name, f->name,
		                 good + 1, s.len, (unsigned)(unsigned char)s.data[good]);
	if (f->type == SYNC_ENUM && !fits_text(f, s))
		return not_listed(e, f, shown, shown.len < s.len ? "…" : "", err);
	if (!fits_text(f, s))
		return sync_fail(err, SYNC_EINVALID, "%s.%s: '%.*s'%s is not %s", e->name, f->name, SYNC_VIEW(shown),
		                 shown.len < s.len ? "…" : "", in_words(f->type));
	return SYNC_OK;
}

enum sync_status sync_value_check(const struct sync_entity *e, const struct sync_field *f, const struct sync_value *v,
                                  struct sync_error *err)
{
	switch (v->kind) {
	case SYNC_ABSENT:
		return SYNC_OK;
	case SYNC_NULL:
		if (!f->required)
			return SYNC_OK;
		return sync_fail(err, SYNC_EINVALID, "%s.%s: null in a field that is required", e->name, f->name);
	case SYNC_INT:
		if (fits_integer(f, v->i))
			return SYNC_OK;
		return sync_fail(err, SYNC_EINVALID, "%s.%s: %" PRId64 " is not %s", e->name, f->name, v->i, in_words(f->type));
	case SYNC_DOUBLE:
		if (f->type == SYNC_REAL && isfinite(v->d))
			return SYNC_OK;
		return sync_fail(err, SYNC_EINVALID, "%s.%s: %.17g is not %s", e->name, f->name, v->d, in_words(f->type));
	case SYNC_STRING:
		return check_text(e, f, v->s, err);
	case SYNC_BLOB:
		return sync_fail(err, SYNC_EINVALID, "%s.%s: %zu bytes of binary data, not %s", e->name, f->name, v->s.len,
		                 in_words(f->type));
	}
	return SYNC_OK;
}

/* Of the literals of SQL: 'text' without quotes inside, true, false, a number. */
struct sync_value sync_field_fallback(const struct sync_field *f)
{
	const char *literal = f->fallback;
	size_t len = literal ? strlen(literal) : 0;

	if (!len)
		return (struct sync_value){ .kind = SYNC_NULL };
	if (literal[0] == '\'')
		return (struct sync_value){ .kind = SYNC_STRING, .s = { literal + 1, len - 2 } };
	if (f->type == SYNC_REAL)
		return (struct sync_value){ .kind = SYNC_DOUBLE, .d = strtod(literal, NULL) };
	return (struct sync_value){ .kind = SYNC_INT, .i = strcmp(literal, "true") == 0 ? 1 : strtoll(literal, NULL, 10) };
}

#include "codec/json.h"

#include <libsync/frame.h>

#include <inttypes.h>
#include <math.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cJSON.h>

#include "base/internal.h"

/* Bytes that stand for themselves inside a string. */
static const bool plain[256] = { [0x20 ... 0x21] = true, [0x23 ... 0x5b] = true, [0x5d ... 0x7f] = true };

/* Length of the UTF-8 character at p; 0 for overlong forms, surrogates, what lies beyond U+10FFFF, and broken bytes. */
static size_t utf8_length(const unsigned char *p, const unsigned char *end)
{
	static const uint32_t least[] = { 0, 0, 0x80, 0x800, 0x10000 };
	size_t n = p[0] < 0x80 ? 1 : p[0] < 0xc0 ? 0 : p[0] < 0xe0 ? 2 : p[0] < 0xf0 ? 3 : p[0] < 0xf8 ? 4 : 0;
	uint32_t c = n > 1 ? p[0] & (0x7fu >> n) : p[0];

	if (n == 0 || (size_t)(end - p) < n)
		return 0;
	for (size_t i = 1; i < n; i++) {
		if ((p[i] & 0xc0) != 0x80)
			return 0;
		c = c << 6 | (p[i] & 0x3f);
	}
	return c < least[n] || c > 0x10ffff || (c >= 0xd800 && c <= 0xdfff) ? 0 : n;
}

static void write_escape(struct sync_buf *b, char c)
{
	static const char letters[] = "\"\"\\\\\bb\ff\nn\rr\tt";

	for (const char *p = letters; *p; p += 2)
		if (*p == c) {
			sync_buf_add(b, (char[]){ '\\', p[1] }, 2);
			return;
		}
	sync_buf_addf(b, "\\u%04x", (unsigned char)c);
}

bool sync_json_write_text(struct sync_buf *b, struct sync_view text)
{
	const char *p = text.len ? text.data : "", *end = p + text.len;
	bool exact = true;

	sync_buf_add_char(b, '"');
	while (p < end) {
		const char *from = p;
		size_t n = 1;

		while (p < end && plain[(unsigned char)*p])
			p++;
		if (p > from)
			sync_buf_add(b, from, (size_t)(p - from));
		if (p == end)
			break;
		if ((unsigned char)*p < 0x80 && *p != '\0')
			write_escape(b, *p);
		else if (*p != '\0' && (n = utf8_length((const unsigned char *)p, (const unsigned char *)end)) > 0)
			sync_buf_add(b, p, n);
		else {
			sync_buf_add_text(b, "\xef\xbf\xbd");
			exact = false;
			n = 1;
		}
		p += n;
	}
	sync_buf_add_char(b, '"');
	return exact;
}

/*
 * Most quantities and prices have few decimals: an integer below 2^53 divided by a power of ten is rounded like the decimal
 * text itself, so when the quotient is d, the text is exact, and the first power that fits gives the shortest.
 */
static bool write_decimal(struct sync_buf *b, double d)
{
	static const int64_t powers[] = { 1, 10, 100, 1000, 10000, 100000, 1000000 };

	if (fabs(d) >= 1e9 || (d == 0 && signbit(d)))
		return false;
	for (size_t places = 0; places < COUNT(powers); places++) {
		int64_t n = llrint(d * (double)powers[places]);

		if ((double)n / (double)powers[places] != d)
			continue;
		if (places == 0)
			sync_buf_addf(b, "%" PRId64, n);
		else
			sync_buf_addf(b, "%s%" PRId64 ".%0*" PRId64, d < 0 ? "-" : "", labs(n) / powers[places], (int)places,
				      labs(n) % powers[places]);
		return true;
	}
	return false;
}

void sync_json_write_real(struct sync_buf *b, double d)
{
	char text[32];
	char *comma;

	if (write_decimal(b, d))
		return;
	for (int digits = 15; digits <= 17; digits++) {
		snprintf(text, sizeof text, "%.*g", digits, d);
		if (strtod(text, NULL) == d)
			break;
	}
	comma = strchr(text, ','); /* a program may have set a locale */
	if (comma)
		*comma = '.';
	sync_buf_add_text(b, text);
}

bool sync_json_int64(int64_t *ret, struct sync_view text)
{
	bool negative = text.len > 0 && text.data[0] == '-';
	size_t from = negative ? 1 : 0;
	int64_t n = 0;

	if (text.len == from || (text.data[from] == '0' && text.len > 1))
		return false;
	for (size_t i = from; i < text.len; i++) {
		int digit = text.data[i] - '0';

		if (digit < 0 || digit > 9 || __builtin_mul_overflow(n, 10, &n) ||
		    __builtin_add_overflow(n, negative ? -digit : digit, &n))
			return false;
	}
	*ret = n;
	return true;
}

/*
 * cJSON is lenient and recurses, so a line is looked through first: what remains for it is structure, literals and surrogates.
 * The tokens are counted as well, so the memory that cJSON will need is known beforehand.
 */
struct scan {
	const unsigned char *p, *end;
	size_t tokens;
	int depth, deepest;
	const char *wrong; /* what was found, or NULL */
};

static bool is_digit(const struct scan *s)
{
	return s->p < s->end && *s->p >= '0' && *s->p <= '9';
}

static void scan_digits(struct scan *s)
{
	if (!is_digit(s))
		s->wrong = "a malformed number";
	while (is_digit(s))
		s->p++;
}

static bool at_any(const struct scan *s, const char *set)
{
	return s->p < s->end && *s->p && strchr(set, *s->p);
}

/* number = -? (0 | [1-9][0-9]*) (. [0-9]+)? ([eE] [+-]? [0-9]+)? */
static void scan_number(struct scan *s)
{
	const unsigned char *from = s->p;

	if (*s->p == '-')
		s->p++;
	if (at_any(s, "0"))
		s->p++;
	else
		scan_digits(s);
	if (at_any(s, ".")) {
		s->p++;
		scan_digits(s);
	}
	if (at_any(s, "eE")) {
		s->p++;
		if (at_any(s, "+-"))
			s->p++;
		scan_digits(s);
	}
	if (at_any(s, "0123456789+-.eE"))
		s->wrong = "a malformed number";
	if (s->p - from > SYNC_JSON_DIGITS)
		s->wrong = "a number that is too long";
}

/* At the backslash. cJSON takes bad digits for zeros and cuts strings at U+0000. */
static void scan_escape(struct scan *s)
{
	unsigned code = 0;

	s->p += 2;
	if (s->p > s->end || s->p[-1] != 'u')
		return;
	for (int i = 0; i < 4; i++, s->p++) {
		const char *hex = "0123456789abcdef", *digit = NULL;

		if (s->p < s->end && *s->p)
			digit = strchr(hex, *s->p >= 'A' && *s->p <= 'F' ? *s->p + 'a' - 'A' : *s->p);
		if (!digit) {
			s->wrong = "a malformed escape";
			return;
		}
		code = code * 16 + (unsigned)(digit - hex);
	}
	if (code == 0)
		s->wrong = "the character U+0000";
}

/* At the opening quote. */
static void scan_string(struct scan *s)
{
	s->p++;
	while (!s->wrong) {
		size_t n;

		while (s->p < s->end && plain[*s->p])
			s->p++;
		if (s->p >= s->end) {
			s->wrong = "a string without end";
		} else if (*s->p == '"') {
			s->p++;
			return;
		} else if (*s->p == '\\') {
			scan_escape(s);
		} else if (*s->p < 0x20) {
			s->wrong = "a raw control character";
		} else {
			n = utf8_length(s->p, s->end);
			s->p += n;
			if (n == 0)
				s->wrong = "bytes that are not UTF-8";
		}
	}
}

static void scan_token(struct scan *s)
{
	s->tokens++;
	switch (*s->p) {
	case '"':
		scan_string(s);
		break;
	case '{':
	case '[':
		s->p++;
		if (++s->depth > s->deepest)
			s->wrong = "too deep nesting";
		break;
	case '-':
	case '0' ... '9':
		scan_number(s);
		break;
	case 'a' ... 'z':
		while (s->p < s->end && *s->p >= 'a' && *s->p <= 'z')
			s->p++;
		break;
	default:
		s->wrong = *s->p < 0x20 ? "a raw control character" : "a character that begins nothing";
	}
	if (s->tokens > SYNC_JSON_TOKENS)
		s->wrong = "too many values";
}

static enum sync_status scan(struct sync_view line, int depth, size_t *ret_tokens, struct sync_error *err)
{
	const unsigned char *from = (const unsigned char *)line.data;
	struct scan s = { .p = from, .end = from + line.len, .deepest = depth };

	while (s.p < s.end && !s.wrong) {
		switch (*s.p) {
		case '}':
		case ']':
			s.depth--;
			s.p++;
			break;
		case ' ':
		case ',':
		case ':':
			s.p++;
			break;
		default:
			scan_token(&s);
		}
	}
	if (s.wrong)
		return sync_fail(err, SYNC_EBADFRAME, "%s at byte %td", s.wrong, (s.p < s.end ? s.p : s.end) - from);
	*ret_tokens = s.tokens;
	return SYNC_OK;
}

/*
 * Where cJSON's nodes and strings of the present line live, per thread, used again for the next, so that parsing a line costs
 * no malloc. Outside of a parse, and for whoever else uses cJSON, the hooks are malloc and free.
 */
struct scratch {
	char *data;
	size_t size, used;
	bool parsing;
};

enum { SCRATCH_KEEP = 1 << 20, ALIGN = 16 };

static _Thread_local struct scratch scratch;
static pthread_key_t scratch_key;
static pthread_once_t hooked = PTHREAD_ONCE_INIT;

static void *take(size_t size)
{
	char *p = scratch.data + scratch.used;

	if (!scratch.parsing)
		return malloc(size);
	size = (size + ALIGN - 1) & ~(size_t)(ALIGN - 1);
	if (size > scratch.size - scratch.used)
		return NULL;
	scratch.used += size;
	return p;
}

static void give_back(void *p)
{
	uintptr_t at = (uintptr_t)p, from = (uintptr_t)scratch.data;

	if (at < from || at >= from + scratch.size)
		free(p);
}

static void free_scratch(void *s)
{
	free(((struct scratch *)s)->data);
	*(struct scratch *)s = (struct scratch){ 0 };
}

static void hook(void)
{
	cJSON_Hooks hooks = { .malloc_fn = take, .free_fn = give_back };

	pthread_key_create(&scratch_key, free_scratch);
	cJSON_InitHooks(&hooks);
}

/* Empty, with at least size bytes; what one huge line needed is not kept. */
static bool make_scratch(size_t size)
{
	pthread_once(&hooked, hook);
	scratch.used = 0;
	if (scratch.size >= size && (scratch.size <= SCRATCH_KEEP || size > SCRATCH_KEEP))
		return true;
	free_scratch(&scratch);
	size = size < 64 * 1024 ? 64 * 1024 : size;
	scratch.data = malloc(size);
	scratch.size = scratch.data ? size : 0;
	return scratch.data && pthread_setspecific(scratch_key, &scratch) == 0;
}

static bool fill(struct sync_json *ret, const cJSON *node)
{
	static const struct {
		int cjson;
		enum sync_json_type type;
	} types[] = { { cJSON_String, SYNC_JSON_TEXT },  { cJSON_Number, SYNC_JSON_NUMBER }, { cJSON_NULL, SYNC_JSON_NULL },
		      { cJSON_True, SYNC_JSON_BOOLEAN }, { cJSON_False, SYNC_JSON_BOOLEAN }, { cJSON_Object, SYNC_JSON_OBJECT },
		      { cJSON_Array, SYNC_JSON_ARRAY } };
	size_t i = 0;

	if (!node)
		return false;
	while (types[i].cjson != (node->type & 0xff))
		i++;
	*ret = (struct sync_json){ .type = types[i].type, .name = sync_view_of(node->string), .node = node };
	if (ret->type == SYNC_JSON_TEXT)
		ret->text = sync_view_of(node->valuestring);
	else
		ret->number = ret->type == SYNC_JSON_NUMBER ? node->valuedouble : (node->type & 0xff) == cJSON_True;
	return true;
}

enum sync_status sync_json_parse(struct sync_json *ret, struct sync_view line, int depth, struct sync_error *err)
{
	const char *end = NULL;
	cJSON *node;
	size_t tokens = 0;

	TRY(scan(line, depth, &tokens, err));
	if (!make_scratch(tokens * (sizeof(cJSON) + 2 * ALIGN) + line.len))
		return sync_fail(err, SYNC_ENOMEM, "parsing %zu bytes of JSON", line.len);
	scratch.parsing = true;
	node = cJSON_ParseWithLengthOpts(line.data, line.len, &end, false);
	scratch.parsing = false;
	if (!node)
		return sync_fail(err, SYNC_EBADFRAME, "not JSON at byte %td", end ? end - line.data : 0);
	if (end != line.data + line.len)
		return sync_fail(err, SYNC_EBADFRAME, "text after the JSON value at byte %td", end - line.data);
	fill(ret, node);
	return SYNC_OK;
}

bool sync_json_first(struct sync_json *ret, const struct sync_json *of)
{
	return fill(ret, ((const cJSON *)of->node)->child);
}

bool sync_json_next(struct sync_json *member)
{
	return fill(member, ((const cJSON *)member->node)->next);
}

/* Just behind the string at p. */
static const char *skip_string(const char *p, const char *end)
{
	for (p++; p < end && *p != '"'; p++)
		if (*p == '\\')
			p++;
	return p < end ? p + 1 : end;
}

/* Just behind the value at p: where, outside of strings, the nesting is back and something ends it. */
static const char *skip_value(const char *p, const char *end)
{
	int depth = 0;

	while (p < end) {
		if (depth == 0 && (*p == ',' || *p == '}' || *p == ' '))
			break;
		if (*p == '{' || *p == '[')
			depth++;
		if (*p == '}' || *p == ']')
			depth--;
		p = *p == '"' ? skip_string(p, end) : p + 1;
	}
	return p;
}

bool sync_json_raw_next(struct sync_json_raw *ret, struct sync_view *rest)
{
	const char *p = rest->len ? rest->data : "", *end = p + rest->len, *from, *value;

	while (p < end && *p != '"' && *p != '}')
		p++;
	if (p == end || *p == '}')
		return false;
	from = p;
	p = skip_string(p, end);
	ret->name = (struct sync_view){ from, (size_t)(p - from) };
	while (p < end && (*p == ' ' || *p == ':'))
		p++;
	value = p;
	p = skip_value(p, end);
	ret->member = (struct sync_view){ from, (size_t)(p - from) };
	ret->value = (struct sync_view){ value, (size_t)(p - value) };
	*rest = (struct sync_view){ p, (size_t)(end - p) };
	return true;
}

struct sync_view sync_json_raw_value(struct sync_view object, size_t nth)
{
	struct sync_json_raw raw = { 0 };

	for (size_t i = 0; i <= nth; i++)
		sync_json_raw_next(&raw, &object);
	return raw.value;
}

static int by_name(const void *a, const void *b)
{
	return sync_view_cmp(((const struct sync_json_raw *)a)->name, ((const struct sync_json_raw *)b)->name);
}

/* Yours to free; NULL when memory is out. */
static struct sync_json_raw *sorted_members(struct sync_view object, size_t *ret_n)
{
	struct sync_json_raw *members = malloc((SYNC_JSON_TOKENS + 1) * sizeof *members);
	size_t n = 0;

	while (members && n < SYNC_JSON_TOKENS && sync_json_raw_next(&members[n], &object))
		n++;
	if (members)
		qsort(members, n, sizeof *members, by_name);
	*ret_n = n;
	return members;
}

static void add_member(struct sync_buf *ret, const char **before, struct sync_view member)
{
	sync_buf_add_text(ret, *before);
	sync_buf_add_view(ret, member);
	*before = ",";
}

void sync_json_merge(struct sync_buf *ret, struct sync_view older, struct sync_view newer)
{
	size_t n;
	defer(freep) struct sync_json_raw *replaced = sorted_members(newer, &n);
	const char *before = "{";
	struct sync_json_raw raw;

	if (!replaced) {
		ret->status = SYNC_ENOMEM;
		return;
	}
	while (sync_json_raw_next(&raw, &older))
		if (!bsearch(&raw, replaced, n, sizeof *replaced, by_name))
			add_member(ret, &before, raw.member);
	while (sync_json_raw_next(&raw, &newer))
		add_member(ret, &before, raw.member);
	sync_buf_add_text(ret, *before == '{' ? "{}" : "}");
}

bool sync_json_changes(struct sync_view older, struct sync_view newer)
{
	size_t n;
	defer(freep) struct sync_json_raw *members = NULL;
	struct sync_json_raw raw;

	if (!newer.len || sync_view_eq(older, newer))
		return false;
	members = sorted_members(older, &n);
	while (members && sync_json_raw_next(&raw, &newer)) {
		const struct sync_json_raw *was = bsearch(&raw, members, n, sizeof *members, by_name);

		if (!was || !sync_view_eq(was->value, raw.value))
			return true;
	}
	return !members;
}

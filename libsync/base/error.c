#include <libsync/error.h>

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static const struct row {
	const char *name;
	int http;
	bool retry;
	const char *text;
} rows[] = { { "ok", 200, false, "done" },
#define X(code, name, http, retry, text) { name, http, retry, text },
	     SYNC_ERRORS(X)
#undef X
};

enum { N_ROWS = sizeof rows / sizeof rows[0] };

static const struct row *row(enum sync_status status)
{
	return &rows[(unsigned)status < N_ROWS ? status : SYNC_EIO];
}

/* Database drivers and TLS libraries report in several lines. */
static void make_one_line(char *text)
{
	size_t len = strlen(text);

	for (size_t i = 0; i < len; i++)
		if ((unsigned char)text[i] < ' ')
			text[i] = ' ';
	while (len > 0 && text[len - 1] == ' ')
		text[--len] = '\0';
}

/* A text that filled its buffer may end in the middle of a UTF-8 character, which no JSON reader would accept. */
static void drop_half_character(char *text, size_t len)
{
	size_t start = len;
	unsigned char lead;
	size_t want;

	while (start > 0 && len - start < 3 && ((unsigned char)text[start - 1] & 0xc0) == 0x80)
		start--;
	if (start == 0)
		return;
	lead = (unsigned char)text[start - 1];
	want = lead >= 0xf0 ? 4 : lead >= 0xe0 ? 3 : lead >= 0xc0 ? 2 : 1;
	if (len - start + 1 < want)
		text[start - 1] = '\0';
}

enum sync_status sync_fail(struct sync_error *err, enum sync_status status, const char *format, ...)
{
	struct sync_error made = { .status = status };
	va_list args;
	int len;

	if (!err)
		return status;
	va_start(args, format);
	len = vsnprintf(made.text, sizeof made.text, format, args);
	va_end(args);
	if (len < 0)
		snprintf(made.text, sizeof made.text, "%s", sync_status_text(status));
	else if ((size_t)len >= sizeof made.text)
		drop_half_character(made.text, sizeof made.text - 1);
	make_one_line(made.text);
	*err = made; /* only now: what was formatted may stand in it */
	return status;
}

const char *sync_status_name(enum sync_status status)
{
	return row(status)->name;
}

enum sync_status sync_status_of_name(const char *name)
{
	for (unsigned i = 0; i < N_ROWS; i++)
		if (strcmp(name, rows[i].name) == 0)
			return (enum sync_status)i;
	return SYNC_EIO;
}

enum sync_status sync_status_of_errno(int errnum)
{
	switch (errnum) {
	case ENOSPC:
	case EDQUOT:
	case EFBIG:
		return SYNC_EDISKFULL;
	case EROFS:
		return SYNC_EREADONLY;
	default:
		return SYNC_EIO;
	}
}

const char *sync_status_text(enum sync_status status)
{
	return row(status)->text;
}

int sync_status_http(enum sync_status status)
{
	return row(status)->http;
}

bool sync_status_retry(enum sync_status status)
{
	return row(status)->retry;
}

#include <libsync/log.h>

#include <inttypes.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#include <libsync/time.h>
#include "base/internal.h"

enum { LINE_MAX_BYTES = 4000, BAR_WIDTH = 20, REDRAW_US = 100000 };

static enum sync_level until = SYNC_LOG_INFO;
static atomic_bool bar_on_screen;

void sync_log_until(enum sync_level level)
{
	until = level;
}

static const char *level_name(enum sync_level level)
{
	switch (level) {
	case SYNC_LOG_ERROR:
		return "error";
	case SYNC_LOG_WARNING:
		return "warning";
	case SYNC_LOG_NOTICE:
		return "notice";
	case SYNC_LOG_INFO:
		return "info";
	case SYNC_LOG_DEBUG:
		return "debug";
	}
	return "?";
}

/* The variable is inherited by programs whose stderr goes elsewhere, so it names the stream. */
static bool journal_reads(void)
{
	const char *stream = getenv("JOURNAL_STREAM");
	uintmax_t device, inode;
	struct stat st;

	return stream && sscanf(stream, "%ju:%ju", &device, &inode) == 2 && fstat(STDERR_FILENO, &st) == 0 &&
	       st.st_dev == device && st.st_ino == inode;
}

static void add_prefix(struct sync_buf *b, enum sync_level level)
{
	char at[21];

	if (journal_reads()) {
		sync_buf_addf(b, "<%d>", (int)level);
		return;
	}
	sync_time_text(at, sync_now_us());
	sync_buf_addf(b, "%s %s ", at, level_name(level));
}

static bool needs_quotes(struct sync_view v)
{
	for (size_t i = 0; i < v.len; i++)
		if ((unsigned char)v.data[i] <= ' ' || strchr("\"\\=\x7f", v.data[i]))
			return true;
	return v.len == 0;
}

/* Escapes keep a line one line, and keep what came from outside from driving a terminal. */
static void add_value(struct sync_buf *b, struct sync_view v)
{
	if (!needs_quotes(v)) {
		sync_buf_add_view(b, v);
		return;
	}
	sync_buf_add_char(b, '"');
	for (size_t i = 0; i < v.len; i++) {
		unsigned char c = (unsigned char)v.data[i];

		if (c == '"' || c == '\\')
			sync_buf_addf(b, "\\%c", c);
		else if (c < ' ' || c == 0x7f)
			sync_buf_addf(b, "\\x%02x", c);
		else
			sync_buf_add_char(b, (char)c);
	}
	sync_buf_add_char(b, '"');
}

/* A conversion without its percent sign: {precision, length modifier} and what it converts. */
struct conversion {
	int precision; /* -1: none */
	bool wide;     /* l, ll, z or j: 64 bits on every machine we run on */
	char type;
};

static const char *read_conversion(struct conversion *c, const char *at, va_list *args)
{
	c->precision = -1;
	if (at[0] == '.' && at[1] == '*') {
		c->precision = va_arg(*args, int);
		at += 2;
	} else if (at[0] == '.') {
		c->precision = (int)strtol(at + 1, (char **)&at, 10);
	}
	c->wide = *at && strchr("lzj", *at);
	while (*at && strchr("hlzj", *at))
		at++;
	c->type = *at;
	return *at ? at + 1 : at;
}

static void add_text(struct sync_buf *b, const struct conversion *c, const char *text)
{
	if (c->precision >= 0)
		add_value(b, (struct sync_view){ text, text ? strnlen(text, (size_t)c->precision) : 0 });
	else
		add_value(b, sync_view_of(text));
}

static void add_conversion(struct sync_buf *b, const struct conversion *c, va_list *args)
{
	int precision = c->precision >= 0 ? c->precision : 6;

	switch (c->type) {
	case '%':
		sync_buf_add_char(b, '%');
		break;
	case 'c':
		sync_buf_add_char(b, (char)va_arg(*args, int));
		break;
	case 's':
		add_text(b, c, va_arg(*args, const char *));
		break;
	case 'd':
	case 'i':
		sync_buf_addf(b, "%" PRId64, c->wide ? va_arg(*args, int64_t) : va_arg(*args, int));
		break;
	case 'u':
		sync_buf_addf(b, "%" PRIu64, c->wide ? va_arg(*args, uint64_t) : va_arg(*args, unsigned));
		break;
	case 'x':
		sync_buf_addf(b, "%" PRIx64, c->wide ? va_arg(*args, uint64_t) : va_arg(*args, unsigned));
		break;
	case 'f':
		sync_buf_addf(b, "%.*f", precision, va_arg(*args, double));
		break;
	case 'g':
		sync_buf_addf(b, "%.*g", precision, va_arg(*args, double));
		break;
	}
}

static void add_fields(struct sync_buf *b, const char *format, va_list *args)
{
	struct conversion c;

	while (*format) {
		size_t text = strcspn(format, "%");

		sync_buf_add(b, format, text);
		format += text;
		if (*format) {
			format = read_conversion(&c, format + 1, args);
			add_conversion(b, &c, args);
		}
	}
}

void sync_log(enum sync_level level, const char *event, const char *format, ...)
{
	defer(sync_buf_clear) struct sync_buf line = { .max = LINE_MAX_BYTES };
	const char *before = atomic_exchange(&bar_on_screen, false) ? "\r\033[K" : "";
	struct iovec parts[3];
	va_list args;

	if (level > until)
		return;
	add_prefix(&line, level);
	sync_buf_add_text(&line, event);
	if (format[0])
		sync_buf_add_char(&line, ' ');
	va_start(args, format);
	add_fields(&line, format, &args);
	va_end(args);

	/* One call, so that lines of several threads do not mix. */
	parts[0] = (struct iovec){ (void *)(uintptr_t)before, strlen(before) };
	parts[1] = (struct iovec){ line.data, line.len };
	parts[2] = (struct iovec){ (void *)(uintptr_t) "\n", 1 };
	if (writev(STDERR_FILENO, parts, COUNT(parts)) < 0)
		return; /* nobody is left to be told */
}

/* "12,345" */
static void add_count(struct sync_buf *b, int64_t n)
{
	if (n >= 1000) {
		add_count(b, n / 1000);
		sync_buf_addf(b, ",%03d", (int)(n % 1000));
	} else {
		sync_buf_addf(b, "%d", (int)n);
	}
}

static void add_bar(struct sync_buf *b, int64_t done, int64_t total)
{
	double share = done < total ? (double)done / (double)total : 1;
	int filled = (int)(share * BAR_WIDTH);

	sync_buf_add_text(b, " [");
	for (int i = 0; i < BAR_WIDTH; i++)
		sync_buf_add_char(b, i < filled ? '#' : '.');
	sync_buf_addf(b, "] %3d %%", (int)(share * 100));
}

/* "4,321/s, 0:19 left" */
static void add_rate(struct sync_buf *b, const struct sync_progress *p, int64_t done, int64_t total)
{
	double s = (double)(sync_tick_us() - p->started_us) / 1e6;
	double rate = s > 0 ? (double)(done - p->first) / s : 0;
	int64_t left_s;

	if (rate < 1)
		return;
	sync_buf_add_text(b, ", ");
	add_count(b, (int64_t)rate);
	sync_buf_add_text(b, "/s");
	if (total > done) {
		left_s = (int64_t)((double)(total - done) / rate);
		sync_buf_addf(b, ", %" PRId64 ":%02d left", left_s / 60, (int)(left_s % 60));
	}
}

static void draw(struct sync_progress *p, int64_t done, int64_t total)
{
	defer(sync_buf_clear) struct sync_buf line = { .max = LINE_MAX_BYTES };

	sync_buf_addf(&line, "\r%s", p->what);
	if (total > 0)
		add_bar(&line, done, total);
	sync_buf_add_char(&line, ' ');
	add_count(&line, done);
	if (total > 0) {
		sync_buf_add_text(&line, " of ");
		add_count(&line, total);
	}
	add_rate(&line, p, done, total);
	sync_buf_add_text(&line, "\033[K");
	atomic_store(&bar_on_screen, write(STDERR_FILENO, line.data, line.len) > 0);
}

void sync_progress_show(struct sync_progress *p, const char *what, int64_t done, int64_t total)
{
	int64_t now_us = sync_tick_us();

	if (!isatty(STDERR_FILENO))
		return;
	if (!p->what || strcmp(p->what, what) != 0) {
		sync_progress_end(p);
		*p = (struct sync_progress){ .what = what, .first = done, .started_us = now_us };
	} else if (done != total && now_us - p->drawn_us < REDRAW_US) {
		return;
	}
	p->drawn_us = now_us;
	draw(p, done, total);
}

void sync_progress_end(struct sync_progress *p)
{
	if (atomic_exchange(&bar_on_screen, false) && write(STDERR_FILENO, "\n", 1) < 0)
		return;
	p->what = NULL;
}

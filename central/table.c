#include "table.h"

#include <inttypes.h>
#include <string.h>

#include <libsync/command.h>
#include <libsync/time.h>

enum { MAX_TEXT = 64 << 20, MAX_COLUMNS = 16, GAP = 2 };

void table_open(struct table *t, const char *const *heads)
{
	*t = (struct table){ .text = { .max = MAX_TEXT } };
	for (; heads[t->columns]; t->columns++)
		table_text(t, heads[t->columns]);
}

void table_text(struct table *t, const char *text)
{
	size_t from = t->text.len;

	sync_buf_add_text(&t->text, text && *text ? text : "-");
	sync_show_plain(&t->text, from);
	sync_buf_add_char(&t->text, '\0');
	t->cells++;
}

void table_int(struct table *t, int64_t i)
{
	sync_buf_addf(&t->text, "%" PRId64, i);
	sync_buf_add_char(&t->text, '\0');
	t->cells++;
}

void table_time(struct table *t, int64_t at_us)
{
	char text[21];

	if (at_us)
		sync_time_text(text, at_us);
	table_text(t, at_us ? text : "never");
}

/* Characters, not bytes. */
static size_t width(const char *text)
{
	size_t n = 0;

	for (; *text; text++)
		n += ((unsigned char)*text & 0xc0) != 0x80;
	return n;
}

void table_write(const struct table *t, struct sync_buf *ret)
{
	size_t wide[MAX_COLUMNS] = { 0 };
	const char *cell = t->text.data;

	if (t->text.status != SYNC_OK) {
		ret->status = t->text.status;
		return;
	}
	for (size_t i = 0; i < t->cells; i++, cell += strlen(cell) + 1)
		if (width(cell) > wide[i % t->columns])
			wide[i % t->columns] = width(cell);
	cell = t->text.data;
	for (size_t i = 0; i < t->cells; i++, cell += strlen(cell) + 1) {
		bool last = i % t->columns == t->columns - 1;

		sync_buf_add_text(ret, cell);
		for (size_t n = width(cell); !last && n < wide[i % t->columns] + GAP; n++)
			sync_buf_add_char(ret, ' ');
		if (last && i + 1 < t->cells)
			sync_buf_add_char(ret, '\n');
	}
}

void table_clear(struct table *t)
{
	sync_buf_clear(&t->text);
}

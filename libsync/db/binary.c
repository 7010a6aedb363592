#include "db/binary.h"

#include <endian.h>
#include <string.h>

#include "base/internal.h"

/* keys that come twice */

static uint64_t hash_key(const struct sync_value *v, size_t n)
{
	uint64_t h = 0xcbf29ce484222325;

	for (size_t i = 0; i < n; i++) {
		bool text = v[i].kind == SYNC_STRING;
		const char *data = text ? v[i].s.data : (const char *)&v[i].i;
		size_t len = text ? v[i].s.len : sizeof(v[i].i);
		for (size_t k = 0; k < len; k++)
			h = (h ^ (unsigned char)data[k]) * 0x100000001b3;
	}
	return h ^ h >> 32;
}

static bool same_key(const struct sync_value *a, const struct sync_value *b, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (a[i].kind != b[i].kind || (a[i].kind == SYNC_STRING ? !sync_view_eq(a[i].s, b[i].s) : a[i].i != b[i].i))
			return false;
	return true;
}

static size_t power_above(size_t n)
{
	size_t power = 1;

	while (power <= n)
		power *= 2;
	return power;
}

/* Goes through the rows from the last to the first, with a hash table of those seen (as row + 1). */
enum sync_status sync_shadows_find(struct sync_shadows *s, const struct sync_table *t, const struct sync_value *v, size_t rows,
                                   struct sync_error *err)
{
	size_t size = power_above(2 * rows);
	defer(freep) size_t *seen = NULL;

	if (t->keep || !t->n_key || t->n_key == t->n_columns || rows == 1)
		return SYNC_OK;
	seen = calloc(size, sizeof(*seen));
	s->rows = calloc(rows, 1);
	if (!seen || !s->rows)
		return sync_fail(err, SYNC_ENOMEM, "a batch of %zu rows", rows);
	for (size_t row = rows; row-- > 0;) {
		const struct sync_value *key = v + row * t->n_columns;
		size_t at = hash_key(key, t->n_key) & (size - 1);
		while (seen[at] && !same_key(key, v + (seen[at] - 1) * t->n_columns, t->n_key))
			at = (at + 1) & (size - 1);
		s->rows[row] = seen[at] != 0;
		if (!seen[at])
			seen[at] = row + 1;
	}
	return SYNC_OK;
}

void sync_shadows_clear(struct sync_shadows *s)
{
	free(s->rows);
	s->rows = NULL;
}

bool sync_shadowed(const struct sync_shadows *s, size_t row)
{
	return s->rows && s->rows[row];
}

/* values */

enum sync_status sync_storable(struct sync_view text, struct sync_error *err)
{
	if (!text.len || !memchr(text.data, '\0', text.len))
		return SYNC_OK;
	return sync_fail(err, SYNC_EINVALID, "a text with a NUL character cannot be stored in PostgreSQL: %.40s…", text.data);
}

/* One value as both COPY and arrays have it: its length in 4 bytes, -1 for null, and its bytes. */
static void add_bytes(struct sync_buf *b, const void *data, size_t len)
{
	uint32_t size = htobe32((uint32_t)len);
	char *to = sync_buf_room(b, sizeof(size) + len);

	if (!to)
		return;
	memcpy(to, &size, sizeof(size));
	if (len)
		memcpy(to + sizeof(size), data, len);
	b->len += sizeof(size) + len;
}

static void add_int16(struct sync_buf *b, int16_t i)
{
	uint16_t be = htobe16((uint16_t)i);

	sync_buf_add(b, &be, sizeof(be));
}

static void add_int32(struct sync_buf *b, int32_t i)
{
	uint32_t be = htobe32((uint32_t)i);

	sync_buf_add(b, &be, sizeof(be));
}

static void add_long(struct sync_buf *b, int64_t i)
{
	uint64_t be = htobe64((uint64_t)i);

	add_bytes(b, &be, sizeof(be));
}

static void add_int(struct sync_buf *b, int32_t i)
{
	uint32_t be = htobe32((uint32_t)i);

	add_bytes(b, &be, sizeof(be));
}

static void add_double(struct sync_buf *b, double d)
{
	uint64_t bits;

	memcpy(&bits, &d, sizeof(bits));
	add_long(b, (int64_t)bits);
}

static bool fits(enum sync_type type, const struct sync_value *v)
{
	switch (type) {
	case SYNC_ID:
	case SYNC_TEXT:
	case SYNC_ENUM:
	case SYNC_JSON:
	case SYNC_DATE:
	case SYNC_TIME:
		return v->kind == SYNC_STRING;
	case SYNC_BOOLEAN:
	case SYNC_BIGINT:
		return v->kind == SYNC_INT;
	case SYNC_INTEGER:
		return v->kind == SYNC_INT && v->i >= INT32_MIN && v->i <= INT32_MAX;
	case SYNC_REAL:
		return v->kind == SYNC_INT || v->kind == SYNC_DOUBLE;
	}
	return false;
}

static void add_fitting(struct sync_buf *b, enum sync_type type, const struct sync_value *v)
{
	switch (type) {
	case SYNC_ID:
	case SYNC_TEXT:
	case SYNC_ENUM:
	case SYNC_JSON:
	case SYNC_DATE:
	case SYNC_TIME:
		add_bytes(b, v->s.data, v->s.len);
		return;
	case SYNC_BOOLEAN:
		add_bytes(b, v->i ? "\1" : "\0", 1);
		return;
	case SYNC_INTEGER:
		add_int(b, (int32_t)v->i);
		return;
	case SYNC_BIGINT:
		add_long(b, v->i);
		return;
	case SYNC_REAL:
		add_double(b, v->kind == SYNC_INT ? (double)v->i : v->d);
		return;
	}
}

static enum sync_status add_value(struct sync_buf *b, const struct sync_table *t, size_t column, const struct sync_value *v,
                                  struct sync_error *err)
{
	if (v->kind == SYNC_NULL || v->kind == SYNC_ABSENT) {
		add_int32(b, -1);
		return SYNC_OK;
	}
	if (!fits(t->types[column], v))
		return sync_fail(err, SYNC_EINVALID, "%s.%s: a value does not fit the column", t->name, t->columns[column]);
	if (v->kind == SYNC_STRING)
		TRY(sync_storable(v->s, err));
	add_fitting(b, t->types[column], v);
	return SYNC_OK;
}

/* arrays */

/* Numbers of the types of one value and of an array, from pg_type.dat. */
static const struct {
	uint32_t element, array;
} oids[] = {
	[SYNC_ID] = { 25, 1009 },     [SYNC_TEXT] = { 25, 1009 },  [SYNC_ENUM] = { 25, 1009 },    [SYNC_JSON] = { 25, 1009 },
	[SYNC_DATE] = { 25, 1009 },   [SYNC_TIME] = { 25, 1009 },  [SYNC_BOOLEAN] = { 16, 1000 }, [SYNC_INTEGER] = { 23, 1007 },
	[SYNC_BIGINT] = { 20, 1016 }, [SYNC_REAL] = { 701, 1022 },
};

uint32_t sync_array_oid(enum sync_type type)
{
	return oids[type].array;
}

/* array = dimensions (1), whether there may be nulls, type, count, first index (1), values */
enum sync_status sync_array_add(struct sync_buf *b, const struct sync_table *t, size_t column, const struct sync_value *v,
                                size_t rows, const struct sync_shadows *s, struct sync_error *err)
{
	int32_t n = 0;

	for (size_t row = 0; row < rows; row++)
		n += !sync_shadowed(s, row);
	add_int32(b, 1);
	add_int32(b, 1);
	add_int32(b, (int32_t)oids[t->types[column]].element);
	add_int32(b, n);
	add_int32(b, 1);
	for (size_t row = 0; row < rows; row++)
		if (!sync_shadowed(s, row))
			TRY(add_value(b, t, column, v + row * t->n_columns + column, err));
	return SYNC_OK;
}

/* COPY = signature, flags, length of extensions; for each row the number of columns and its values; -1 */

void sync_copy_begin(struct sync_buf *b)
{
	static const char signature[11] = "PGCOPY\n\377\r\n";

	sync_buf_add(b, signature, sizeof(signature));
	add_int32(b, 0);
	add_int32(b, 0);
}

enum sync_status sync_copy_add(struct sync_buf *b, const struct sync_table *t, const struct sync_value *row,
                               struct sync_error *err)
{
	add_int16(b, (int16_t)t->n_columns);
	for (size_t i = 0; i < t->n_columns; i++)
		TRY(add_value(b, t, i, &row[i], err));
	return SYNC_OK;
}

void sync_copy_end(struct sync_buf *b)
{
	add_int16(b, -1);
}

#include "db/wreck.h"

#include <string.h>

#include "base/internal.h"
#include "db/driver.h"
#include "db/wreck_file.h"

/*
 * https://www.sqlite.org/fileformat2.html, with numbers' highest bytes first; a varint has 7 bits in each byte, the 9th has 8:
 * page    = type (1), 2 bytes, cells (2), 3 bytes, within a tree: the page behind the last cell (4), where each cell is (2 each)
 * cell    = within a tree: the page before it (4); but within a table: bytes of the row (varint); of a table: rowid (varint); the row,
 *           of a long one the beginning, and the page where it goes on (4)
 * row     = bytes of this and the types (varint), a type for each value (varint), the values
 * type    = 0: null; 1 to 6: a whole number of 1, 2, 3, 4, 6, 8 bytes; 7: a double; 8, 9: the numbers 0 and 1;
 *           from 12 on: a blob of (type - 12) / 2 bytes when it is even, else a text
 * unused  = at byte 32 of page 1: the first trunk (4), how many pages are unused (4); trunk = the next (4), n (4), n pages (4 each)
 */
enum page_type { INDEX_WITHIN = 2, TABLE_WITHIN = 5, INDEX_LEAF = 10, TABLE_LEAF = 13 };

enum {
	MOST_DEPTH = 20,
	MOST_ROW = 64 << 20,
	SCHEMA_COLUMNS = 5, /* type, name, table, first page, text */
	SCHEMA_PAGE = 1,
};

/* A table or an index. */
struct thing {
	struct sync_view name;
	const char *sql; /* NULL: an index that SQLite made itself */
	uint32_t root;
};

struct sync_wreck {
	struct sync_wreck_file file;
	sync_wreck_watch_fn *watch;
	void *ctx;
	bool *seen; /* pages 1 …: that the walks under way have come to */
	struct sync_arena arena;
	struct thing *things;
	size_t n, cap;
	bool schema_whole;
};

/* What goes through a tree. */
struct walk {
	struct sync_wreck *w;
	sync_row_fn *fn; /* NULL: only where the tree is, is of interest */
	void *ctx;
	bool whole;
	bool index;
	struct sync_buf row;
};

static void clear_walk(struct walk *k)
{
	sync_buf_clear(&k->row);
}

/* bytes: whatever they say is checked before it is believed */

struct bytes {
	const unsigned char *at, *end;
	bool bad; /* it was not as it should be; what follows is 0 */
};

static uint64_t get_number(struct bytes *b, size_t len)
{
	uint64_t n = 0;

	b->bad = b->bad || (size_t)(b->end - b->at) < len;
	for (size_t i = 0; i < len && !b->bad; i++)
		n = n << 8 | *b->at++;
	return n;
}

static uint64_t get_varint(struct bytes *b)
{
	uint64_t n = 0, byte = 0x80;

	for (int i = 0; i < 8 && byte & 0x80; i++) {
		byte = get_number(b, 1);
		n = n << 7 | (byte & 0x7f);
	}
	return byte & 0x80 ? n << 8 | get_number(b, 1) : n;
}

static int64_t get_signed(struct bytes *b, size_t len)
{
	uint64_t n = get_number(b, len);

	return (int64_t)(n << (64 - 8 * len)) >> (64 - 8 * len);
}

static double get_double(struct bytes *b)
{
	uint64_t n = get_number(b, 8);
	double d;

	memcpy(&d, &n, sizeof d);
	return d;
}

static struct sync_view get_bytes(struct bytes *b, uint64_t len)
{
	struct sync_view v = { (const char *)b->at, len };

	b->bad = b->bad || (uint64_t)(b->end - b->at) < len;
	if (b->bad)
		return (struct sync_view){ 0 };
	b->at += len;
	return v;
}

/* rows */

static struct sync_value get_value(struct bytes *b, uint64_t type)
{
	static const size_t lengths[] = { 0, 1, 2, 3, 4, 6, 8 };

	switch (type) {
	case 0:
		return sync_null();
	case 7:
		return (struct sync_value){ .kind = SYNC_DOUBLE, .d = get_double(b) };
	case 8:
	case 9:
		return sync_int((int64_t)type - 8);
	case 10:
	case 11:
		b->bad = true;
		return sync_null();
	default:
		if (type < COUNT(lengths))
			return sync_int(get_signed(b, lengths[type]));
		return type % 2 ? sync_string(get_bytes(b, (type - 13) / 2)) : sync_blob(get_bytes(b, (type - 12) / 2));
	}
}

/* Not a byte may be left over. */
static bool read_row(struct sync_view row, struct sync_value v[static SYNC_MAX_COLUMNS], size_t *ret_n)
{
	const unsigned char *start = (const unsigned char *)row.data, *end = start + row.len;
	struct bytes types = { start, end, false }, values = { end, end, false };
	uint64_t header = get_varint(&types);

	if (types.bad || header > row.len || header < (uint64_t)(types.at - start))
		return false;
	types.end = values.at = start + header;
	for (*ret_n = 0; types.at < types.end && *ret_n < SYNC_MAX_COLUMNS && !types.bad && !values.bad; ++*ret_n)
		v[*ret_n] = get_value(&values, get_varint(&types));
	return !types.bad && !values.bad && types.at == types.end && values.at == end;
}

/* How many of a row's bytes are in its cell. */
static size_t bytes_in_cell(const struct walk *k, uint64_t len)
{
	size_t usable = k->w->file.usable;
	size_t most = k->index ? (usable - 12) * 64 / 255 - 23 : usable - 35;
	size_t least = (usable - 12) * 32 / 255 - 23;
	size_t some = least + (len - least) % (usable - 4);

	return len <= most ? len : some <= most ? some : least;
}

static enum sync_status tell(const struct sync_wreck *w, struct sync_error *err)
{
	return w->watch ? w->watch(w->ctx, w->file.reads, err) : SYNC_OK;
}

/* A page is of one tree, and once. */
static bool come_to(struct sync_wreck *w, uint32_t page, unsigned char *ret)
{
	if (page < 1 || page > w->file.pages || w->seen[page])
		return false;
	w->seen[page] = true;
	return sync_wreck_page(&w->file, page, ret);
}

static bool read_rest(struct walk *k, uint32_t page, uint64_t len)
{
	defer(freep) unsigned char *bytes = malloc(k->w->file.page_bytes);
	size_t room = k->w->file.usable - 4;

	while (bytes && k->row.len < len) {
		size_t n = len - k->row.len < room ? len - k->row.len : room;

		if (!come_to(k->w, page, bytes))
			return false;
		sync_buf_add(&k->row, bytes + 4, n);
		if (k->row.status != SYNC_OK)
			return false;
		page = sync_wreck_u32(bytes);
	}
	return bytes && page == 0;
}

static bool read_bytes(struct walk *k, struct bytes *cell, uint64_t len)
{
	size_t here;

	sync_buf_reset(&k->row);
	if (cell->bad || len > MOST_ROW)
		return false;
	here = bytes_in_cell(k, len);
	sync_buf_add_view(&k->row, get_bytes(cell, here));
	if (cell->bad || k->row.status != SYNC_OK)
		return false;
	return here == len || read_rest(k, (uint32_t)get_number(cell, 4), len);
}

static enum sync_status give_row(struct walk *k, struct bytes *cell, uint64_t len, bool *ret_good, struct sync_error *err)
{
	struct sync_value v[SYNC_MAX_COLUMNS];
	size_t n;

	*ret_good = read_bytes(k, cell, len) && read_row(sync_buf_view(&k->row), v, &n);
	k->whole = k->whole && *ret_good;
	return *ret_good && k->fn ? k->fn(k->ctx, v, n, err) : SYNC_OK;
}

/* pages */

struct page {
	const unsigned char *start, *header, *end;
	enum page_type type;
	bool within;
	size_t cells;
	const unsigned char *where; /* of the first cell */
};

static bool read_page(const struct walk *k, uint32_t number, const unsigned char *bytes, struct page *ret)
{
	*ret = (struct page){ .start = bytes, .header = bytes + (number == 1 ? SYNC_WRECK_HEADER : 0), .end = bytes + k->w->file.usable };
	ret->type = ret->header[0];
	ret->within = ret->type == TABLE_WITHIN || ret->type == INDEX_WITHIN;
	ret->cells = sync_wreck_u16(ret->header + 3);
	ret->where = ret->header + (ret->within ? 12 : 8);
	if (!ret->within && ret->type != TABLE_LEAF && ret->type != INDEX_LEAF)
		return false;
	return 2 * ret->cells <= (size_t)(ret->end - ret->where);
}

static bool is_index(enum page_type type)
{
	return type == INDEX_WITHIN || type == INDEX_LEAF;
}

/*
 * Between which rowids a page of a table is, and where they rise: one that is not in order may be an old one that was never written
 * again. In an index only the values tell, which are not looked at.
 */
struct range {
	int64_t above, upto;
};

static const struct range everything = { INT64_MIN, INT64_MAX };

static enum sync_status walk_tree(struct walk *k, uint32_t number, int depth, struct range *range, struct sync_error *err);

static enum sync_status walk_cell(struct walk *k, const struct page *p, size_t n, int depth, struct range *range, struct sync_error *err)
{
	size_t at = sync_wreck_u16(p->where + 2 * n);
	struct bytes cell = { p->start + at, p->end, at < (size_t)(p->where - p->start) + 2 * p->cells || p->start + at >= p->end };
	uint32_t child = p->within ? (uint32_t)get_number(&cell, 4) : 0;
	uint64_t len = p->type != TABLE_WITHIN ? get_varint(&cell) : 0;
	int64_t rowid = !k->index ? (int64_t)get_varint(&cell) : 0;
	struct range before = { range->above, k->index ? range->upto : rowid };
	bool good = true;

	if (cell.bad || (!k->index && (rowid <= range->above || rowid > range->upto))) {
		k->whole = false;
		return SYNC_OK;
	}
	if (p->within)
		TRY(walk_tree(k, child, depth + 1, &before, err));
	if (p->type != TABLE_WITHIN)
		TRY(give_row(k, &cell, len, &good, err));
	if (good && !k->index)
		range->above = rowid;
	return SYNC_OK;
}

static enum sync_status walk_page(struct walk *k, const struct page *p, int depth, struct range *range, struct sync_error *err)
{
	for (size_t i = 0; i < p->cells; i++)
		TRY(walk_cell(k, p, i, depth, range, err));
	return p->within ? walk_tree(k, sync_wreck_u32(p->header + 8), depth + 1, range, err) : SYNC_OK;
}

static enum sync_status walk_tree(struct walk *k, uint32_t number, int depth, struct range *range, struct sync_error *err)
{
	defer(freep) unsigned char *bytes = malloc(k->w->file.page_bytes);
	struct page p;

	if (!bytes)
		return sync_fail(err, SYNC_ENOMEM, "reading page %u", number);
	TRY(tell(k->w, err));
	if (depth > MOST_DEPTH || !come_to(k->w, number, bytes) || !read_page(k, number, bytes, &p) ||
	    (depth > 0 && is_index(p.type) != k->index)) {
		k->whole = false;
		return SYNC_OK;
	}
	k->index = is_index(p.type);
	return walk_page(k, &p, depth, range, err);
}

static enum sync_status walk_root(struct walk *k, uint32_t root, struct sync_error *err)
{
	struct range all = everything;

	k->whole = true;
	return walk_tree(k, root, 0, &all, err);
}

static void forget_seen(struct sync_wreck *w)
{
	memset(w->seen, 0, ((size_t)w->file.pages + 1) * sizeof *w->seen);
}

/* strays */

/* Leaves of tables on pages that were not seen. */
static enum sync_status walk_strays(struct sync_wreck *w, sync_row_fn *fn, void *ctx, struct sync_error *err)
{
	defer(clear_walk) struct walk k = { .w = w, .fn = fn, .ctx = ctx, .row.max = MOST_ROW };
	defer(freep) unsigned char *bytes = malloc(w->file.page_bytes);
	struct page p;

	if (!bytes)
		return sync_fail(err, SYNC_ENOMEM, "reading pages");
	for (uint32_t number = 1; number <= w->file.pages && number > 0; number++) {
		struct range all = everything;

		TRY(tell(w, err));
		if (w->seen[number] || !sync_wreck_page(&w->file, number, bytes) || !read_page(&k, number, bytes, &p) || p.type != TABLE_LEAF)
			continue;
		TRY(walk_page(&k, &p, 0, &all, err));
	}
	return SYNC_OK;
}

static bool see_trunk(struct sync_wreck *w, unsigned char *bytes, uint32_t *trunk, uint32_t *left)
{
	uint32_t n;

	if (!come_to(w, *trunk, bytes))
		return false;
	n = sync_wreck_u32(bytes + 4);
	if (n > w->file.usable / 4 - 2 || n >= *left)
		return false;
	for (uint32_t i = 0; i < n; i++) {
		uint32_t page = sync_wreck_u32(bytes + 8 + 4 * (size_t)i);

		if (page < 1 || page > w->file.pages)
			return false;
		w->seen[page] = true;
	}
	*left -= n + 1;
	*trunk = sync_wreck_u32(bytes);
	return true;
}

/* Whether all unused pages are known, and seen. */
static bool see_unused(struct sync_wreck *w)
{
	defer(freep) unsigned char *bytes = malloc(w->file.page_bytes);
	uint32_t trunk, left;

	if (!bytes || !sync_wreck_page(&w->file, SCHEMA_PAGE, bytes) || memcmp(bytes, "SQLite format 3", 16) != 0)
		return false;
	trunk = sync_wreck_u32(bytes + 32);
	left = sync_wreck_u32(bytes + 36);
	while (trunk != 0)
		if (!see_trunk(w, bytes, &trunk, &left))
			return false;
	return left == 0;
}

enum sync_status sync_wreck_each_stray(struct sync_wreck *w, sync_row_fn *fn, void *ctx, struct sync_error *err)
{
	defer(clear_walk) struct walk k = { .w = w, .row.max = MOST_ROW };

	forget_seen(w);
	TRY(walk_root(&k, SCHEMA_PAGE, err));
	for (size_t i = 0; i < w->n; i++)
		TRY(walk_root(&k, w->things[i].root, err));
	return see_unused(w) ? walk_strays(w, fn, ctx, err) : SYNC_OK;
}

/* the schema */

static const struct thing *find_thing(const struct sync_wreck *w, struct sync_view name)
{
	for (size_t i = 0; i < w->n; i++)
		if (sync_view_eq(w->things[i].name, name))
			return &w->things[i];
	return NULL;
}

static enum sync_status add_thing(struct sync_wreck *w, struct thing thing, struct sync_view sql, struct sync_error *err)
{
	if (w->n == w->cap) {
		size_t cap = w->cap ? 2 * w->cap : 256;
		struct thing *things = realloc(w->things, cap * sizeof *things);

		if (!things)
			return sync_fail(err, SYNC_ENOMEM, "noting %zu tables", cap);
		w->things = things;
		w->cap = cap;
	}
	thing.name = sync_arena_copy(&w->arena, thing.name);
	thing.sql = sync_arena_copy(&w->arena, sql).data;
	if (!thing.name.data || !thing.sql)
		return sync_fail(err, SYNC_ENOMEM, "noting a table");
	w->things[w->n++] = thing;
	return SYNC_OK;
}

/* A row of the schema, or of a page that looks like one of it; the first of a name counts. */
static enum sync_status take_thing(void *ctx, const struct sync_value *v, size_t n, struct sync_error *err)
{
	struct sync_wreck *w = ctx;

	if (n != SCHEMA_COLUMNS || v[0].kind != SYNC_STRING || v[1].kind != SYNC_STRING || v[3].kind != SYNC_INT || v[3].i < 2 ||
	    v[3].i > w->file.pages || (!sync_view_is(v[0].s, "table") && !sync_view_is(v[0].s, "index")) || find_thing(w, v[1].s))
		return SYNC_OK;
	return add_thing(w, (struct thing){ .name = v[1].s, .root = (uint32_t)v[3].i }, v[4].s, err);
}

/* What is damaged of it may be found in pages that it does not lead to any more. */
static enum sync_status read_schema(struct sync_wreck *w, struct sync_error *err)
{
	defer(clear_walk) struct walk k = { .w = w, .fn = take_thing, .ctx = w, .row.max = MOST_ROW };

	TRY(walk_root(&k, SCHEMA_PAGE, err));
	w->schema_whole = k.whole;
	return k.whole ? SYNC_OK : walk_strays(w, take_thing, w, err);
}

/* opening */

void sync_wreck_closep(struct sync_wreck **w)
{
	if (!*w)
		return;
	sync_wreck_file_close(&(*w)->file);
	free((*w)->seen);
	free((*w)->things);
	sync_arena_clear(&(*w)->arena);
	free(*w);
}

enum sync_status sync_wreck_open(struct sync_wreck **ret, const char *path, sync_wreck_watch_fn *watch, void *ctx, struct sync_error *err)
{
	defer(sync_wreck_closep) struct sync_wreck *w = calloc(1, sizeof *w);

	if (!w)
		return sync_fail(err, SYNC_ENOMEM, "opening %s", path);
	w->watch = watch;
	w->ctx = ctx;
	TRY(sync_wreck_file_open(&w->file, path, err));
	w->seen = calloc((size_t)w->file.pages + 1, sizeof *w->seen);
	if (!w->seen)
		return sync_fail(err, SYNC_ENOMEM, "opening %s", path);
	TRY(read_schema(w, err));
	if (w->n == 0)
		return sync_fail(err, SYNC_ECORRUPT,
		                 "%s: none of its %u pages says what tables there are: it is no SQLite database, or nothing is left of it", path,
		                 w->file.pages);
	*ret = steal(w);
	return SYNC_OK;
}

bool sync_wreck_log_damaged(const struct sync_wreck *w)
{
	return w->file.log_damaged;
}

const char *sync_wreck_sql(const struct sync_wreck *w, const char *table)
{
	const struct thing *t = find_thing(w, sync_view_of(table));

	return t ? t->sql : NULL;
}

enum sync_status sync_wreck_each(struct sync_wreck *w, const char *name, sync_row_fn *fn, void *ctx, bool *ret_whole,
                                 struct sync_error *err)
{
	defer(clear_walk) struct walk k = { .w = w, .fn = fn, .ctx = ctx, .row.max = MOST_ROW };
	const struct thing *t = find_thing(w, sync_view_of(name));

	*ret_whole = w->schema_whole;
	if (!t)
		return SYNC_OK;
	forget_seen(w);
	TRY(walk_root(&k, t->root, err));
	*ret_whole = k.whole;
	return SYNC_OK;
}

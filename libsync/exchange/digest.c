#include "exchange/digest.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <libsync/records.h>

#include "base/internal.h"
#include "db/outbox.h"
#include "exchange/route.h"

enum {
	MAX_SQL = 8192,
	MAX_FORM = 64 << 20, /* of one record; a frame is smaller */
	PAGE_ROWS = 2000,
};

void sync_tally_join(struct sync_tally *t, const struct sync_tally *other)
{
	t->n += other->n;
	sync_sum_join(&t->sum, &other->sum);
}

bool sync_tally_eq(const struct sync_tally *a, const struct sync_tally *b)
{
	return a->n == b->n && sync_sum_eq(&a->sum, &b->sum);
}

void sync_tally_put(const struct sync_tally *t, struct sync_range *ret)
{
	ret->n = t->n;
	snprintf(ret->sum, sizeof ret->sum, "%016" PRIx64 "%016" PRIx64, t->sum.high, t->sum.low);
}

bool sync_tally_get(struct sync_tally *ret, const struct sync_range *r)
{
	char half[17];

	*ret = (struct sync_tally){ .n = r->n };
	if (!r->sum[0])
		return false;
	snprintf(half, sizeof half, "%.16s", r->sum);
	ret->sum.high = strtoull(half, NULL, 16);
	ret->sum.low = strtoull(r->sum + 16, NULL, 16);
	return true;
}

/*
 * form = entity, NUL, {name of a field, NUL, value}, for the fields that are not null, in the order of their names
 * value = "s" length ":" bytes | "i" decimal ";" | "d" the 16 hex digits of a double ";"
 */
static void add_field(struct sync_digester *d, const struct sync_entity *e, size_t field)
{
	size_t at = d->n_fields++;

	for (; at > 0 && strcmp(e->fields[d->field[at - 1]].name, e->fields[field].name) > 0; at--)
		d->field[at] = d->field[at - 1];
	d->field[at] = field;
}

void sync_digester_open(struct sync_digester *d, const struct sync_entity *e, int schema)
{
	*d = (struct sync_digester){ .e = e, .form.max = MAX_FORM };
	for (size_t i = 0; i < e->n_fields; i++)
		if (!e->fields[i].local && (int)e->fields[i].since <= schema)
			add_field(d, e, i);
}

void sync_digester_close(struct sync_digester *d)
{
	sync_buf_clear(&d->form);
}

static void add_double(struct sync_buf *b, double real)
{
	uint64_t bits;

	real = real == 0 ? 0 : real; /* -0 is 0 */
	memcpy(&bits, &real, sizeof bits);
	sync_buf_addf(b, "d%016" PRIx64 ";", bits);
}

static void add_value(struct sync_buf *b, enum sync_type type, const struct sync_value *v)
{
	switch (v->kind) {
	case SYNC_ABSENT:
	case SYNC_NULL:
		break;
	case SYNC_INT:
		if (type == SYNC_REAL)
			add_double(b, (double)v->i);
		else
			sync_buf_addf(b, "i%" PRId64 ";", v->i);
		break;
	case SYNC_DOUBLE:
		add_double(b, v->d);
		break;
	case SYNC_STRING:
	case SYNC_BLOB:
		sync_buf_addf(b, "s%zu:", v->s.len);
		sync_buf_add_view(b, v->s);
		break;
	}
}

enum sync_status sync_digester_record(struct sync_digester *d, const struct sync_value *values, struct sync_tally *ret,
				      struct sync_error *err)
{
	sync_buf_reset(&d->form);
	sync_buf_add(&d->form, d->e->name, strlen(d->e->name) + 1);
	for (size_t i = 0; i < d->n_fields; i++) {
		const struct sync_field *f = &d->e->fields[d->field[i]];
		const struct sync_value *v = &values[d->field[i]];

		if (v->kind == SYNC_ABSENT || v->kind == SYNC_NULL)
			continue;
		sync_buf_add(&d->form, f->name, strlen(f->name) + 1);
		add_value(&d->form, f->type, v);
	}
	TRY(sync_buf_check(&d->form, err));
	*ret = (struct sync_tally){ .n = 1 };
	sync_sum_add(&ret->sum, sync_buf_view(&d->form));
	return SYNC_OK;
}

/* What no bytes stand for, as a parameter: an empty text, not null. */
static struct sync_view after(struct sync_view from)
{
	return from.len ? from : sync_view_of("");
}

/* what a site holds */

struct table {
	struct sync_digester *d;
	sync_digest_fn *fn;
	void *ctx;
};

static enum sync_status take_row(void *ctx, const struct sync_value *v, size_t n, struct sync_error *err)
{
	const struct table *t = ctx;
	struct sync_value values[SYNC_MAX_FIELDS];
	struct sync_tally tally;

	for (size_t i = 0; i < n; i++)
		values[t->d->field[i]] = v[i];
	TRY(sync_digester_record(t->d, values, &tally, err));
	return t->fn(t->ctx, values[0].s, &tally, err);
}

enum sync_status sync_digest_table(struct sync_db *db, struct sync_digester *d, struct sync_view from, struct sync_view to,
				   sync_digest_fn *fn, void *ctx, struct sync_error *err)
{
	defer(sync_buf_clear) struct sync_buf sql = { .max = MAX_SQL };
	struct table t = { d, fn, ctx };

	for (size_t i = 0; i < d->n_fields; i++)
		sync_buf_addf(&sql, "%s\"%s\"", i ? ", " : "SELECT ", d->e->fields[d->field[i]].name);
	sync_buf_addf(&sql, " FROM \"%s\" WHERE id > $1%s ORDER BY id", d->e->name, to.len ? " AND id <= $2" : "");
	TRY(sync_buf_check(&sql, err));
	return sync_db_run_text(db, sql.data, (const struct sync_value[]){ sync_string(after(from)), sync_string(to) },
				to.len ? 2 : 1, take_row, &t, err);
}

/* what routing gives it */

struct page {
	struct sync_arena arena;
	struct sync_view id[PAGE_ROWS];
	size_t n;
};

static void free_page(struct page **page)
{
	if (*page)
		sync_arena_clear(&(*page)->arena);
	free(*page);
}

static enum sync_status take_id(void *ctx, const struct sync_value *v, size_t n, struct sync_error *err)
{
	struct page *page = ctx;
	struct sync_view id = sync_arena_copy(&page->arena, v[0].s);

	(void)n;
	if (!id.data)
		return sync_fail(err, SYNC_ENOMEM, "reading %d ids", PAGE_ROWS);
	page->id[page->n++] = id;
	return SYNC_OK;
}

/* One stream, in the order of its index; parameters go on from *n. */
static void add_stream(struct sync_buf *sql, struct sync_value *v, size_t *n, const struct sync_value *site,
		       const struct sync_entity *e, struct sync_view from, struct sync_view to)
{
	sync_buf_addf(sql, "SELECT record_id FROM (SELECT record_id FROM sync_outbox WHERE site_id = $%zu", *n + 1);
	v[(*n)++] = *site;
	sync_buf_addf(sql, " AND entity = $%zu AND record_id > $%zu", *n + 1, *n + 2);
	v[(*n)++] = sync_text(e->name);
	v[(*n)++] = sync_string(from);
	if (to.len) {
		sync_buf_addf(sql, " AND record_id <= $%zu", *n + 1);
		v[(*n)++] = sync_string(to);
	}
	sync_buf_addf(sql, " AND action = 'P' ORDER BY record_id LIMIT %d) AS stream", PAGE_ROWS);
}

/* A record may be in both streams. */
static enum sync_status read_page(struct sync_db *db, int64_t site, const struct sync_entity *e, struct sync_view from,
				  struct sync_view to, struct page *page, struct sync_error *err)
{
	defer(sync_buf_clear) struct sync_buf sql = { .max = MAX_SQL };
	struct sync_value v[8];
	size_t n = 0;

	sync_arena_reset(&page->arena);
	page->n = 0;
	add_stream(&sql, v, &n, &(struct sync_value){ .kind = SYNC_INT, .i = SYNC_EVERYBODY }, e, from, to);
	sync_buf_add_text(&sql, " UNION ");
	add_stream(&sql, v, &n, &(struct sync_value){ .kind = SYNC_INT, .i = site }, e, from, to);
	sync_buf_addf(&sql, " ORDER BY record_id LIMIT %d", PAGE_ROWS);
	TRY(sync_buf_check(&sql, err));
	return sync_db_run_text(db, sql.data, v, n, take_id, page, err);
}

static enum sync_status digest_page(struct sync_db *db, int64_t site, struct sync_digester *d, struct page *page,
				    sync_digest_fn *fn, void *ctx, struct sync_error *err)
{
	struct sync_record *r = sync_arena_get(&page->arena, page->n * sizeof *r);
	bool *due = sync_arena_get(&page->arena, page->n * sizeof *due);

	if (!r || !due)
		return sync_fail(err, SYNC_ENOMEM, "reading %zu records", page->n);
	TRY(sync_records_get(db, d->e, sync_view_of(d->e->name), page->id, page->n, &page->arena, r, err));
	TRY(sync_route_due(db, site, r, page->n, &page->arena, due, err));
	for (size_t i = 0; i < page->n; i++) {
		struct sync_tally t;

		if (!due[i] || !r[i].values)
			continue;
		TRY(sync_digester_record(d, r[i].values, &t, err));
		TRY(fn(ctx, page->id[i], &t, err));
	}
	return SYNC_OK;
}

static enum sync_status keep_last(struct sync_buf *ret, struct sync_view id, struct sync_error *err)
{
	sync_buf_reset(ret);
	sync_buf_add_view(ret, id);
	return sync_buf_check(ret, err);
}

enum sync_status sync_digest_due(struct sync_db *db, int64_t site, struct sync_digester *d, struct sync_view from,
				 struct sync_view to, int64_t *limit, struct sync_buf *ret_last, sync_digest_fn *fn, void *ctx,
				 struct sync_error *err)
{
	defer(free_page) struct page *page = calloc(1, sizeof *page);
	int64_t rows = PAGE_ROWS;

	if (!page)
		return sync_fail(err, SYNC_ENOMEM, "reading %d ids", PAGE_ROWS);
	TRY(keep_last(ret_last, from, err));
	while (rows == PAGE_ROWS && *limit > 0) {
		TRY(read_page(db, site, d->e, after(sync_buf_view(ret_last)), to, page, err));
		rows = (int64_t)page->n;
		*limit -= rows;
		if (rows == 0)
			break;
		TRY(digest_page(db, site, d, page, fn, ctx, err));
		TRY(keep_last(ret_last, page->id[rows - 1], err));
	}
	if (rows < PAGE_ROWS)
		sync_buf_reset(ret_last);
	return SYNC_OK;
}

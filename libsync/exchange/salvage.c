#include <libsync/bundle.h>

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/internal.h"
#include "codec/json.h"
#include "db/driver.h"
#include "db/wreck.h"
#include "exchange/bundle.h"
#include "exchange/link.h"
#include "schema/capture.h"

/*
 * What can be read of the unpushed edits goes into a site's database of its own, in memory, from which a bundle is packed like any
 * other: who the site is, its changelog above what central has confirmed, the records that it names, and the pushes that central may
 * have. A row that is no such row, or whose text is none, was damaged, whatever its page looks like.
 */

enum { MOST_TEXT = 1 << 30 };

/* Rows that go from the damaged file into ours: those for which the filter holds, which sees them as n. */
struct part {
	const char *from;           /* its table, or index */
	const char *to;             /* our table */
	const char *columns;        /* of an index: a JSON array; NULL: as the text that made the table says */
	const char *fixed, *values; /* further columns of ours, and what they get; each with ", " before it, or empty */
	const char *filter;
};

static const struct part link_row = { "sync_link", "sync_link", NULL, "", "", "n.id = 1" };
static const struct part changes = { "sync_changelog", "sync_changelog", NULL, "", "", "n.seq > (SELECT out_upto FROM sync_link)" };
/* What the changelog lacks, its index may name. Whether it was put or deleted is seen later; as nobody knows when, it wins no conflict. */
static const struct part named = { "sync_changelog_seq", "sync_changelog", "[\"seq\", \"entity\", \"record_id\"]",
	                           ", action, at_us", ", '?', 0", "n.seq > (SELECT out_upto FROM sync_link)" };
static const struct part unknown_fields = { "sync_extra", "sync_extra", NULL, "", "",
	                                    "json_valid(n.data) AND EXISTS (SELECT 1 FROM sync_changelog c"
	                                    "    WHERE c.entity = n.entity AND c.record_id = n.record_id)" };
static const struct part pushes = { "sync_checkpoint", "sync_checkpoint", NULL, "", "",
	                            "n.peer = 0 AND n.way = 'push' AND n.ordinal >= (SELECT out_ordinal FROM sync_link)" };

struct salvage {
	const char *file;
	struct sync_wreck *wreck;
	struct sync_db *db;      /* ours */
	struct sync_db *scratch; /* where texts that made tables are understood */
	struct sync_options o;
	struct sync_link link;
	sync_lost_fn *fn;
	void *ctx;
	struct sync_salvaged *ret;
};

static void close_salvage(struct salvage *s)
{
	sync_wreck_closep(&s->wreck);
	sync_db_close(s->db);
	sync_db_close(s->scratch);
}

/* columns */

struct column {
	struct sync_view name;
	enum sync_kind kind; /* of its values; SYNC_ABSENT: we have no such column */
	bool nullable;
	bool spared;         /* it may be missing at the end of a row */
};

/* One part being copied. */
struct copying {
	struct salvage *s;
	const struct part *part;
	struct column c[SYNC_MAX_COLUMNS]; /* in the order of the file */
	size_t n, known;                   /* known: of them to us */
	size_t ours, needed;               /* columns of ours; those of them without which there is no row, and which the file lacks */
	struct sync_arena arena;
	struct sync_buf sql;  /* for rows of so many columns: */
	size_t sql_n;
	struct sync_buf text; /* to try what is one */
	bool whole;           /* all rows that there were have been copied */
};

static void clear_copying(struct copying *k)
{
	sync_arena_clear(&k->arena);
	sync_buf_clear(&k->sql);
	sync_buf_clear(&k->text);
}

static enum sync_status take_name(void *ctx, const struct sync_value *v, size_t n, struct sync_error *err)
{
	struct copying *k = ctx;
	struct column *c = &k->c[k->n];

	(void)n;
	if (k->n == COUNT(k->c))
		return SYNC_OK;
	*c = (struct column){ .name = sync_arena_copy(&k->arena, v[0].s) };
	k->n++;
	return c->name.data ? SYNC_OK : sync_fail(err, SYNC_ENOMEM, "the columns of %s", k->part->from);
}

static enum sync_kind kind_of(struct sync_view type)
{
	if (sync_view_is(type, "text"))
		return SYNC_STRING;
	return sync_view_is(type, "real") ? SYNC_DOUBLE : SYNC_INT;
}

static struct column *find_column(struct copying *k, struct sync_view name)
{
	for (size_t i = 0; i < k->n; i++)
		if (sync_view_eq(k->c[i].name, name))
			return &k->c[i];
	return NULL;
}

static enum sync_status take_ours(void *ctx, const struct sync_value *v, size_t n, struct sync_error *err)
{
	struct copying *k = ctx;
	struct column *c = find_column(k, v[0].s);
	bool nullable = v[2].i == 0, spared = nullable || v[3].kind != SYNC_NULL;

	(void)n, (void)err;
	k->ours++;
	k->known += c != NULL;
	k->needed += !c && !spared;
	if (!c)
		return SYNC_OK;
	c->kind = kind_of(v[1].s);
	c->nullable = nullable;
	c->spared = spared;
	return SYNC_OK;
}

/* Columns stand as they were declared, but those of the key first where rows live in it. */
static enum sync_status list_columns(struct copying *k, struct sync_db *db, struct sync_error *err)
{
	static const char names[] = "SELECT c.name FROM pragma_table_list($1) t, pragma_table_xinfo(t.name) c"
	                            "    WHERE t.schema = 'main' AND c.hidden <> 2"
	                            "    ORDER BY CASE WHEN t.wr = 1 AND c.pk > 0 THEN c.pk ELSE 1000 + c.cid END";

	return sync_db_run(db, names, SYNC_ARGS(sync_text(k->part->from)), take_name, k, err);
}

static enum sync_status match_columns(struct copying *k, struct sync_error *err)
{
	static const char ours[] = "SELECT name, lower(type), \"notnull\", dflt_value FROM pragma_table_info($1)";

	k->known = k->ours = k->needed = 0;
	return sync_db_run(k->s->db, ours, SYNC_ARGS(sync_text(k->part->to)), take_ours, k, err);
}

/* Names that we do not know in the place of some that we miss: the text is damaged. One that only lacks some is of an older version. */
static bool is_damaged(const struct copying *k)
{
	return k->needed > 0 || (k->known < k->n && k->known < k->ours);
}

static enum sync_status take_for_ours(struct copying *k, struct sync_error *err)
{
	k->n = 0;
	TRY(list_columns(k, k->s->db, err));
	return match_columns(k, err);
}

/*
 * An application may have made the table, with its columns in any order, so the text that made it says what they are. Without it, or if
 * as many are in a damaged one, it is taken to be as we make it; else no row of it is understood.
 */
static enum sync_status find_columns(struct copying *k, struct sync_error *err)
{
	const char *sql = sync_wreck_sql(k->s->wreck, k->part->from);

	if (sql && !strncmp(sql, "CREATE TABLE ", 13) && sync_db_run_text(k->s->scratch, sql, SYNC_NOARGS, NULL, NULL, NULL) == SYNC_OK)
		TRY(list_columns(k, k->s->scratch, err));
	TRY(match_columns(k, err));
	if (k->n == 0 || (is_damaged(k) && k->n == k->ours))
		return take_for_ours(k, err);
	k->n = is_damaged(k) ? 0 : k->n;
	return SYNC_OK;
}

/* Those of an index are named by the part. */
static enum sync_status name_columns(struct copying *k, struct sync_error *err)
{
	static const char listed[] = "SELECT value FROM json_each($1)";

	if (!k->part->columns)
		return find_columns(k, err);
	TRY(sync_db_run(k->s->db, listed, SYNC_ARGS(sync_text(k->part->columns)), take_name, k, err));
	return match_columns(k, err);
}

/* rows */

static bool fits(struct copying *k, const struct column *c, const struct sync_value *v)
{
	switch (v->kind) {
	case SYNC_ABSENT:
	case SYNC_NULL:
		return c->nullable;
	case SYNC_INT:
		return c->kind == SYNC_INT || c->kind == SYNC_DOUBLE;
	case SYNC_DOUBLE:
		return c->kind == SYNC_DOUBLE;
	case SYNC_STRING:
		sync_buf_reset(&k->text);
		return c->kind == SYNC_STRING && sync_json_write_text(&k->text, v->s);
	case SYNC_BLOB:
		break;
	}
	return false;
}

static bool all_fit(struct copying *k, const struct sync_value *v, size_t n)
{
	for (size_t i = 0; i < k->n; i++) {
		const struct column *c = &k->c[i];
		const struct sync_value *given = i < n ? &v[i] : NULL;

		if (c->kind && !(given ? fits(k, c, given) : c->spared))
			return false;
	}
	return n <= k->n;
}

static void add_names(struct sync_buf *b, const struct copying *k, size_t n, bool values)
{
	size_t at = 0;

	for (size_t i = 0; i < n; i++) {
		if (!k->c[i].kind)
			continue;
		sync_buf_add_text(b, at++ ? ", " : "");
		if (values)
			sync_buf_addf(b, "$%zu AS ", at);
		sync_buf_addf(b, "\"%.*s\"", SYNC_VIEW(k->c[i].name));
	}
}

/* What is there stays: of two rows with one key, one is an old one, and that of the tree comes first. */
static void write_sql(struct copying *k, size_t n)
{
	struct sync_buf *b = &k->sql;

	if (b->len > 0 && k->sql_n == n)
		return;
	k->sql_n = n;
	sync_buf_reset(b);
	sync_buf_addf(b, "INSERT INTO \"%s\"(", k->part->to);
	add_names(b, k, n, false);
	sync_buf_addf(b, "%s) SELECT ", k->part->fixed);
	add_names(b, k, n, false);
	sync_buf_addf(b, "%s FROM (SELECT ", k->part->values);
	add_names(b, k, n, true);
	sync_buf_addf(b, ") n WHERE %s ON CONFLICT DO NOTHING", k->part->filter);
}

static enum sync_status put_row(struct copying *k, const struct sync_value *v, size_t n, struct sync_error *err)
{
	struct sync_value ours[SYNC_MAX_COLUMNS];
	size_t n_ours = 0;

	for (size_t i = 0; i < n; i++)
		if (k->c[i].kind)
			ours[n_ours++] = v[i];
	write_sql(k, n);
	TRY(sync_buf_check(&k->sql, err));
	return sync_db_run_text(k->s->db, k->sql.data, ours, n_ours, NULL, NULL, err);
}

static enum sync_status take_row(void *ctx, const struct sync_value *v, size_t n, struct sync_error *err)
{
	struct copying *k = ctx;

	if (all_fit(k, v, n))
		return put_row(k, v, n, err);
	k->whole = false;
	return SYNC_OK;
}

static enum sync_status copy_with(struct copying *k, struct sync_error *err)
{
	bool whole;

	TRY(name_columns(k, err));
	TRY(sync_wreck_each(k->s->wreck, k->part->from, take_row, k, &whole, err));
	k->whole = k->whole && whole;
	return SYNC_OK;
}

static struct copying copying_of(struct salvage *s, const struct part *part)
{
	return (struct copying){ .s = s, .part = part, .whole = true, .sql.max = SYNC_MAX_SQL, .text.max = MOST_TEXT };
}

static enum sync_status copy(struct salvage *s, const struct part *part, bool *ret_whole, struct sync_error *err)
{
	defer(clear_copying) struct copying k = copying_of(s, part);

	TRY(copy_with(&k, err));
	*ret_whole = k.whole;
	return SYNC_OK;
}

/* who the site is */

static enum sync_status no_link(const struct salvage *s, bool whole, struct sync_error *err)
{
	if (!sync_wreck_sql(s->wreck, "sync_link") && sync_wreck_sql(s->wreck, "sync_site"))
		return sync_fail(err, SYNC_EWRONGDB, "%s is the database of a central, not of a site", s->file);
	if (whole)
		return sync_fail(err, SYNC_ENOTFOUND,
		                 "%s names no site (sync_link is empty): it never registered at a central server, and nothing of it can be sent there",
		                 s->file);
	return sync_fail(err, SYNC_ECORRUPT,
	                 "%s: sync_link cannot be read, which says whose edits these are and has the key of a bundle. Keep the file: a person may "
	                 "find more in it with sqlite3 %s .recover",
	                 s->file, s->file);
}

static enum sync_status read_link(struct salvage *s, struct sync_error *err)
{
	const struct sync_link *l = &s->link;
	struct sync_error inner;
	bool whole;

	TRY(copy(s, &link_row, &whole, err));
	if (sync_link_get(s->db, &s->link, &inner) != SYNC_OK || !l->name[0] || !l->token[0] || !l->installation[0] || !l->branch[0])
		return no_link(s, whole, err);
	if (!l->operational)
		return sync_fail(err, SYNC_EINVALID, "the first load of site '%s' was not over: central has all that it had, begin anew with "
		                 "central site reset", l->name);
	return SYNC_OK;
}

static enum sync_status put_push(struct salvage *s, const struct sync_checkpoint *c, struct sync_error *err)
{
	static const char put[] = "INSERT INTO sync_checkpoint(peer, way, ordinal, id, seq) VALUES (0, 'push', $1, $2, $3)"
	                          "    ON CONFLICT DO NOTHING";

	if (c->ordinal == 0)
		return SYNC_OK;
	return sync_db_run(s->db, put, SYNC_ARGS(sync_int(c->ordinal), sync_text(c->id), sync_int(c->seq)), NULL, NULL, err);
}

/* Central may have got a push of which the site did not hear any more. */
static enum sync_status read_pushes(struct salvage *s, struct sync_error *err)
{
	bool whole;

	TRY(copy(s, &pushes, &whole, err));
	TRY(put_push(s, &s->link.out, err));
	return put_push(s, &s->link.made, err);
}

/* what was edited */

/* Either of the two names all edits, when it is whole; what is not is not always seen. */
static enum sync_status read_changes(struct salvage *s, struct sync_error *err)
{
	bool whole, index_whole;

	TRY(copy(s, &changes, &whole, err));
	TRY(copy(s, &named, &index_whole, err));
	s->ret->incomplete = (!whole && !index_whole) || sync_wreck_log_damaged(s->wreck);
	return SYNC_OK;
}

/* The records of one entity. */
struct records {
	const struct sync_entity *e;
	char filter[256];
	struct part part;
	struct copying k;
};

/* Of the entities of which records are needed. */
struct needed {
	struct salvage *s;
	struct records *r;
	size_t n;
};

static void clear_needed(struct needed *all)
{
	for (size_t i = 0; i < all->n; i++)
		clear_copying(&all->r[i].k);
	free(all->r);
}

static enum sync_status copy_records(struct needed *all, const struct sync_entity *e, struct sync_error *err)
{
	static const char some[] = "SELECT 1 FROM sync_changelog WHERE entity = $1 AND action <> 'D' LIMIT 1";
	struct records *r = &all->r[all->n];
	int64_t needed;

	TRY(sync_db_number(all->s->db, some, SYNC_ARGS(sync_text(e->name)), 0, &needed, err));
	if (!needed)
		return SYNC_OK;
	all->n++;
	r->e = e;
	snprintf(r->filter, sizeof r->filter,
	         "EXISTS (SELECT 1 FROM sync_changelog c WHERE c.entity = '%s' AND c.record_id = n.id AND c.action <> 'D')", e->name);
	r->part = (struct part){ e->name, e->name, NULL, "", "", r->filter };
	r->k = copying_of(all->s, &r->part);
	return copy_with(&r->k, err);
}

static enum sync_status take_stray(void *ctx, const struct sync_value *v, size_t n, struct sync_error *err)
{
	struct needed *all = ctx;

	for (size_t i = 0; i < all->n; i++)
		if (!all->r[i].k.whole && all_fit(&all->r[i].k, v, n))
			TRY(put_row(&all->r[i].k, v, n, err));
	return SYNC_OK;
}

static enum sync_status copy_strays(struct needed *all, struct sync_error *err)
{
	bool whole = true;

	for (size_t i = 0; i < all->n; i++)
		whole = whole && all->r[i].k.whole;
	return whole ? SYNC_OK : sync_wreck_each_stray(all->s->wreck, take_stray, all, err);
}

/* what became of each edit */

/* Of edits that only the index names: those whose record is there put it. */
static void write_put(struct sync_buf *b, const struct sync_entity *e)
{
	sync_buf_addf(b, "UPDATE sync_changelog SET action = 'P', root_id = (SELECT ");
	sync_capture_root(b, e, "t");
	sync_buf_addf(b, " FROM \"%s\" t WHERE t.id = record_id) WHERE entity = '%s' AND action = '?' AND record_id IN (SELECT id FROM \"%s\")",
	              e->name, e->name, e->name);
}

/* An edit that only the index names may have been a delete. Nobody guesses that: it would delete the record everywhere. */
static void write_lost(struct sync_buf *b, const struct sync_entity *e)
{
	sync_buf_addf(b,
	              "DELETE FROM sync_changelog AS c WHERE entity = '%s' AND (action = '?' OR (action = 'P'"
	              "    AND NOT EXISTS (SELECT 1 FROM \"%s\" t WHERE t.id = c.record_id))) RETURNING record_id, action",
	              e->name, e->name);
}

static enum sync_status run_made(struct salvage *s, void (*write)(struct sync_buf *, const struct sync_entity *),
                                 const struct sync_entity *e, sync_row_fn *fn, void *ctx, struct sync_error *err)
{
	defer(sync_buf_clear) struct sync_buf sql = { .max = SYNC_MAX_SQL };

	write(&sql, e);
	TRY(sync_buf_check(&sql, err));
	return sync_db_run_text(s->db, sql.data, SYNC_NOARGS, fn, ctx, err);
}

static enum sync_status lose(struct salvage *s, struct sync_view entity, struct sync_view id, const char *why, struct sync_error *err)
{
	s->ret->lost++;
	return s->fn ? s->fn(s->ctx, entity, id, why, err) : SYNC_OK;
}

static enum sync_status take_lost(void *ctx, const struct sync_value *v, size_t n, struct sync_error *err)
{
	const struct records *r = ctx;
	const char *why = !r->k.whole ? "its table is damaged, and no part of it that can be read has this record"
	                  : sync_view_is(v[1].s, "?") ? "it is not in its table, and nothing is left that says whether it was deleted"
	                                              : "it is not in its table any more";

	(void)n;
	return lose(r->k.s, sync_view_of(r->e->name), v[0].s, why, err);
}

static enum sync_status settle(struct records *r, struct sync_error *err)
{
	TRY(run_made(r->k.s, write_put, r->e, NULL, NULL, err));
	return run_made(r->k.s, write_lost, r->e, take_lost, r, err);
}

static enum sync_status read_records(struct salvage *s, struct sync_error *err)
{
	size_t n;
	const struct sync_entity *const *e = sync_entities(&n);
	defer(clear_needed) struct needed all = { .s = s, .r = calloc(n, sizeof *all.r) };

	if (!all.r)
		return sync_fail(err, SYNC_ENOMEM, "reading records of %zu entities", n);
	for (size_t i = 0; i < n; i++)
		TRY(copy_records(&all, e[i], err));
	TRY(copy_strays(&all, err));
	for (size_t i = 0; i < all.n; i++)
		TRY(settle(&all.r[i], err));
	return SYNC_OK;
}

/* What is lost of unknown fields is not missed: they came from central, and absent ones stay there as they are. */
static enum sync_status read_all(struct salvage *s, struct sync_error *err)
{
	bool ignored;

	TRY(read_link(s, err));
	TRY(read_pushes(s, err));
	TRY(read_changes(s, err));
	TRY(copy(s, &unknown_fields, &ignored, err));
	return read_records(s, err);
}

/* the bundle */

static enum sync_status take_unsendable(void *ctx, const struct sync_value *v, size_t n, struct sync_error *err)
{
	char why[240];

	(void)n;
	snprintf(why, sizeof why, "%.*s", SYNC_VIEW(v[2].s));
	return lose(ctx, v[0].s, v[1].s, why, err);
}

static enum sync_status pack(struct salvage *s, const char *path, struct sync_error *err)
{
	static const char unsendable[] = "SELECT entity, record_id, text FROM sync_verdict WHERE site_id = 0 AND n < 0 ORDER BY n DESC";

	TRY(sync_bundle_pack(s->db, path, &s->ret->bundle, err));
	return sync_db_run(s->db, unsendable, SYNC_NOARGS, take_unsendable, s, err);
}

static enum sync_status watch(void *ctx, int64_t pages, struct sync_error *err)
{
	const struct salvage *s = ctx;

	if (s->o.progress)
		s->o.progress(s->o.ctx, "reading pages", pages, 0);
	return sync_stopped(&s->o, err);
}

static enum sync_status open_all(struct salvage *s, struct sync_error *err)
{
	static const struct sync_db_ops *const drivers[] = { &sync_sqlite, NULL };
	static const char memory[] = "sqlite::memory:";

	TRY(sync_wreck_open(&s->wreck, s->file, watch, s, err));
	TRY(sync_db_connect(&s->scratch, memory, drivers, true, err));
	TRY(sync_db_open(&s->db, memory, drivers, SYNC_SITE, true, err));
	return sync_db_use(s->db, SYNC_USE_LOAD, err); /* what is put is no edit */
}

enum sync_status sync_salvage(const char *file, const char *path, const struct sync_options *o, sync_lost_fn *fn, void *ctx,
                              struct sync_salvaged *ret, struct sync_error *err)
{
	struct sync_salvaged done = { 0 };
	defer(close_salvage) struct salvage s = { .file = file, .o = sync_options_of(o), .fn = fn, .ctx = ctx, .ret = &done };

	TRY(sync_bundle_spare(path, err));
	TRY(open_all(&s, err));
	TRY(sync_db_begin(s.db, true, err));
	TRY(sync_db_finish(s.db, read_all(&s, err), err));
	TRY(pack(&s, path, err));
	*ret = done;
	return SYNC_OK;
}

#include "exchange/pulled.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include <libsync/compress.h>
#include <libsync/time.h>

#include "base/internal.h"

/*
 * ids = {ACTION SEQ NUL ENTITY NUL ID NUL}, compressed when that pays; no text of the three has a NUL.
 */

enum {
	KEPT_DENSELY = 64, /* C of the rule, design.md section 9 */
	ROWS = 4096,       /* with their ids */
	RECORDS = 1000000, /* of all of them */
	THIN_EVERY = 64,
	SMALL = 2048, /* bytes that are not worth compressing */
	LEVEL = 3,
	MOST_IDS = 64 << 20,
};

static const char magic[] = "\x28\xb5\x2f\xfd"; /* of zstd; an action is a letter */

static void add_id(struct sync_buf *b, const struct sync_record *r)
{
	sync_buf_addf(b, "%c%" PRId64, r->action, r->seq);
	sync_buf_add_char(b, '\0');
	sync_buf_add_view(b, r->name);
	sync_buf_add_char(b, '\0');
	sync_buf_add_view(b, r->id);
	sync_buf_add_char(b, '\0');
}

static enum sync_status add_body(struct sync_buf *b, struct sync_view body, int64_t *ret_records, struct sync_error *err)
{
	defer(sync_reader_freep) struct sync_reader *reader = NULL;
	defer(sync_arena_clear) struct sync_arena arena = { 0 };
	enum sync_frame kind = SYNC_FRAME_RECORD;
	struct sync_header h;
	struct sync_record r;
	struct sync_verdict v;
	struct sync_end end;
	struct sync_view line;

	TRY(sync_reader_new(&reader, body, &sync_default_limits, err));
	TRY(sync_reader_header(reader, &h, false, err));
	while (kind != SYNC_FRAME_END) {
		sync_arena_reset(&arena);
		TRY(sync_reader_next(reader, &arena, &kind, &r, &v, &end, &line, err));
		if (kind == SYNC_FRAME_RECORD)
			add_id(b, &r);
	}
	*ret_records = end.records;
	return SYNC_OK;
}

static enum sync_status squeeze(struct sync_buf *ids, struct sync_error *err)
{
	defer(sync_compressor_freep) struct sync_compressor *c = NULL;
	struct sync_buf out = { .max = ids->max };
	enum sync_status status;

	if (ids->len < SMALL)
		return SYNC_OK;
	TRY(sync_compressor_new(&c, NULL, LEVEL, err));
	sync_compressor_reset(c, &out);
	sync_compressor_add(c, sync_buf_view(ids));
	status = sync_compressor_end(c, err);
	if (status == SYNC_OK) {
		sync_buf_clear(ids);
		*ids = out;
	} else {
		sync_buf_clear(&out);
	}
	return status;
}

/* Rows below which nothing complete is kept. */
static enum sync_status find_edge(struct sync_db *db, int64_t newest, int64_t *ret, struct sync_error *err)
{
	static const char over[] =
	    "SELECT max(n) FROM (SELECT n, sum(records) OVER (ORDER BY n DESC) AS sum FROM sync_pulled) s WHERE sum > $1";
	int64_t full;

	TRY(sync_db_number(db, over, SYNC_ARGS(sync_int(RECORDS)), 0, &full, err));
	*ret = newest - ROWS > full ? newest - ROWS : full;
	return SYNC_OK;
}

static enum sync_status thin(struct sync_db *db, int64_t newest, struct sync_error *err)
{
	static const char forget[] = "UPDATE sync_pulled SET ids = NULL, records = 0 WHERE n <= $1 AND ids IS NOT NULL";
	static const char drop[] = "DELETE FROM sync_pulled WHERE n <= $1 AND (n & -n) * $2 < $3 - n";
	int64_t edge;

	TRY(find_edge(db, newest, &edge, err));
	TRY(sync_db_run(db, forget, SYNC_ARGS(sync_int(edge)), NULL, NULL, err));
	return sync_db_run(db, drop, SYNC_ARGS(sync_int(edge), sync_int(KEPT_DENSELY), sync_int(newest)), NULL, NULL, err);
}

static enum sync_status newest_row(struct sync_db *db, int64_t *ret, struct sync_error *err)
{
	static const char newest[] = "SELECT max(n) FROM sync_pulled";

	return sync_db_number(db, newest, SYNC_NOARGS, 0, ret, err);
}

enum sync_status sync_pulled_put(struct sync_db *db, const struct sync_position *at, const struct sync_record *r, size_t n,
				 struct sync_view body, struct sync_error *err)
{
	static const char put[] = "INSERT INTO sync_pulled(n, all_seq, all_id, own_seq, own_id, at_us, records, ids)"
				  "    VALUES ($1, $2, $3, $4, $5, $6, $7, $8)";
	defer(sync_buf_clear) struct sync_buf ids = { .max = MOST_IDS };
	int64_t newest, records = (int64_t)n;

	for (size_t i = 0; r && i < n; i++)
		add_id(&ids, &r[i]);
	if (!r && body.len > 0)
		TRY(add_body(&ids, body, &records, err));
	TRY(sync_buf_check(&ids, err));
	TRY(squeeze(&ids, err));
	TRY(newest_row(db, &newest, err));
	TRY(sync_db_run(db, put,
			SYNC_ARGS(sync_int(newest + 1), sync_int(at->all.seq), sync_text(at->all.id), sync_int(at->own.seq),
				  sync_text(at->own.id), sync_int(sync_now_us()), sync_int(records),
				  sync_blob(ids.len ? sync_buf_view(&ids) : sync_view_of(""))),
			NULL, NULL, err));
	return (newest + 1) % THIN_EVERY ? SYNC_OK : thin(db, newest + 1, err);
}

/* places */

struct places {
	struct sync_position *at;
	size_t n;
};

static enum sync_status take_place(void *ctx, const struct sync_value *v, size_t n, struct sync_error *err)
{
	struct places *p = ctx;
	struct sync_position *at = &p->at[p->n++];

	(void)n, (void)err;
	*at = (struct sync_position){ .all.seq = v[0].i, .own.seq = v[2].i };
	snprintf(at->all.id, sizeof at->all.id, "%.*s", SYNC_VIEW(v[1].s));
	snprintf(at->own.id, sizeof at->own.id, "%.*s", SYNC_VIEW(v[3].s));
	return SYNC_OK;
}

enum sync_status sync_pulled_places(struct sync_db *db, struct sync_arena *arena, const struct sync_position **ret, size_t *ret_n,
				    struct sync_error *err)
{
	static const char newest[] = "SELECT all_seq, all_id, own_seq, own_id FROM sync_pulled"
				     "    WHERE (n & -n) * $1 >= (SELECT max(n) FROM sync_pulled) - n ORDER BY n DESC LIMIT $2";
	struct places p = { sync_arena_get(arena, SYNC_INQUIRY_MAX * sizeof *p.at), 0 };

	if (!p.at)
		return sync_fail(err, SYNC_ENOMEM, "reading places");
	TRY(sync_db_run(db, newest, SYNC_ARGS(sync_int(KEPT_DENSELY), sync_int(SYNC_INQUIRY_MAX)), take_place, &p, err));
	*ret = p.at;
	*ret_n = p.n;
	return SYNC_OK;
}

enum sync_status sync_pulled_find(struct sync_db *db, const struct sync_position *at, int64_t *ret_n, bool *ret_whole,
				  struct sync_error *err)
{
	static const char find[] =
	    "SELECT max(n) FROM sync_pulled WHERE all_seq = $1 AND all_id = $2 AND own_seq = $3 AND own_id = $4";
	static const char known[] = "SELECT count(ids) FROM sync_pulled WHERE n > $1";
	int64_t newest, with_ids;

	TRY(sync_db_number(db, find,
			   SYNC_ARGS(sync_int(at->all.seq), sync_text(at->all.id), sync_int(at->own.seq),
				     sync_text(at->own.id)),
			   0, ret_n, err));
	TRY(newest_row(db, &newest, err));
	TRY(sync_db_number(db, known, SYNC_ARGS(sync_int(*ret_n)), 0, &with_ids, err));
	*ret_whole = *ret_n > 0 && with_ids == newest - *ret_n;
	return SYNC_OK;
}

/* taking rows out */

struct taken {
	struct sync_buf ids;
	int64_t n;
};

static enum sync_status take_row(void *ctx, const struct sync_value *v, size_t n, struct sync_error *err)
{
	struct taken *t = ctx;

	(void)n;
	t->n = v[0].i;
	if (v[1].kind == SYNC_BLOB)
		sync_buf_add_view(&t->ids, v[1].s);
	return sync_buf_check(&t->ids, err);
}

static enum sync_status expand(struct sync_buf *ids, struct sync_error *err)
{
	static const struct sync_dictionary *const none[] = { NULL };
	defer(sync_decompressor_freep) struct sync_decompressor *d = NULL;
	defer(sync_buf_clear) struct sync_buf out = { .max = ids->max };
	size_t got = 1;

	if (ids->len < sizeof magic - 1 || memcmp(ids->data, magic, sizeof magic - 1) != 0)
		return SYNC_OK;
	TRY(sync_decompressor_new(&d, none, sync_buf_view(ids), MOST_IDS, err));
	while (got > 0) {
		char *to = sync_buf_room(&out, SMALL);

		if (!to)
			return sync_buf_check(&out, err);
		TRY(sync_decompressor_read(d, to, SMALL, &got, err));
		out.len += got;
	}
	sync_buf_clear(ids);
	*ids = out;
	out = (struct sync_buf){ 0 };
	return SYNC_OK;
}

/* The bytes before the next NUL, which is passed. */
static bool next_text(struct sync_view *rest, struct sync_view *ret)
{
	const char *end = rest->len ? memchr(rest->data, '\0', rest->len) : NULL;

	if (!end)
		return false;
	*ret = (struct sync_view){ rest->data, (size_t)(end - rest->data) };
	*rest = (struct sync_view){ end + 1, rest->len - ret->len - 1 };
	return true;
}

static enum sync_status give_ids(struct sync_view rest, sync_pulled_fn *fn, void *ctx, struct sync_error *err)
{
	struct sync_view how, entity, id;

	while (next_text(&rest, &how) && next_text(&rest, &entity) && next_text(&rest, &id))
		TRY(fn(ctx, entity, id, (enum sync_action)how.data[0], strtoll(how.data + 1, NULL, 10), err));
	return rest.len == 0 ? SYNC_OK : sync_fail(err, SYNC_EWRONGDB, "sync_pulled has %zu bytes that are no ids", rest.len);
}

enum sync_status sync_pulled_take(struct sync_db *db, int64_t n, sync_pulled_fn *fn, void *ctx, bool *ret_found,
				  struct sync_error *err)
{
	static const char oldest[] = "SELECT n, ids FROM sync_pulled WHERE n > $1 ORDER BY n LIMIT 1";
	static const char drop[] = "DELETE FROM sync_pulled WHERE n = $1";
	struct taken t = { .ids.max = MOST_IDS };
	enum sync_status status = sync_db_run(db, oldest, SYNC_ARGS(sync_int(n)), take_row, &t, err);

	*ret_found = t.n > 0;
	if (status == SYNC_OK)
		status = expand(&t.ids, err);
	if (status == SYNC_OK && t.ids.len > 0)
		status = give_ids(sync_buf_view(&t.ids), fn, ctx, err);
	sync_buf_clear(&t.ids);
	TRY(status);
	return *ret_found ? sync_db_run(db, drop, SYNC_ARGS(sync_int(t.n)), NULL, NULL, err) : SYNC_OK;
}

#include "db/outbox.h"

#include <inttypes.h>
#include <stdio.h>

#include <libsync/crypto.h>

#include "base/internal.h"
#include "db/keys.h"
#include "db/tidy.h"

enum {
	FLUSH_ROWS = 10000,
	MAX_SQL = 4096,
	TIDY_EVERY = 1024, /* routing transactions */
};

/* writing */

enum column { SITE_ID, ENTITY, RECORD_ID, SEQ, ACTION, SOURCE, ROOT_ID, N_COLUMNS };

static const char *const columns[N_COLUMNS] = { "site_id", "entity", "record_id", "seq", "action", "source", "root_id" };
static const enum sync_type types[N_COLUMNS] = { SYNC_BIGINT, SYNC_TEXT,   SYNC_TEXT, SYNC_BIGINT,
						 SYNC_TEXT,   SYNC_BIGINT, SYNC_TEXT };
static const struct sync_table outbox = {
	.name = "sync_outbox",
	.columns = columns,
	.types = types,
	.n_columns = N_COLUMNS,
	.n_key = 3,
};

static struct sync_value action_value(enum sync_action action)
{
	switch (action) {
	case SYNC_PUT:
		return sync_text("P");
	case SYNC_DELETE:
		return sync_text("D");
	case SYNC_DROP:
		return sync_text("X");
	}
	return sync_null();
}

enum sync_status sync_outbox_add(struct sync_outbox_writer *w, const struct sync_outbox_row *row, struct sync_error *err)
{
	struct sync_value *v;

	if (w->rows == FLUSH_ROWS)
		TRY(sync_outbox_flush(w, err));
	if (!w->values)
		w->values = malloc(FLUSH_ROWS * N_COLUMNS * sizeof *w->values);
	if (!w->values)
		return sync_fail(err, SYNC_ENOMEM, "%d rows of the outbox", FLUSH_ROWS);
	v = w->values + w->rows++ * N_COLUMNS;
	v[SITE_ID] = sync_int(row->site_id);
	v[ENTITY] = sync_text(row->entity->name);
	v[RECORD_ID] = sync_string(row->id);
	v[SEQ] = sync_int(++w->seq);
	v[ACTION] = action_value(row->action);
	v[SOURCE] = sync_int(row->source);
	v[ROOT_ID] = row->root.data ? sync_string(row->root) : sync_null();
	return SYNC_OK;
}

/* By key, and of one key by seq. */
static int by_key(const void *a, const void *b)
{
	const struct sync_value *x = a, *y = b;
	int order = (x[SITE_ID].i > y[SITE_ID].i) - (x[SITE_ID].i < y[SITE_ID].i);

	if (!order)
		order = sync_view_cmp(x[ENTITY].s, y[ENTITY].s);
	if (!order)
		order = sync_view_cmp(x[RECORD_ID].s, y[RECORD_ID].s);
	return order ? order : (x[SEQ].i > y[SEQ].i) - (x[SEQ].i < y[SEQ].i);
}

/* In the order of the table, because the places of random ids are far apart. */
enum sync_status sync_outbox_flush(struct sync_outbox_writer *w, struct sync_error *err)
{
	size_t rows = w->rows;

	w->rows = 0;
	if (rows)
		qsort(w->values, rows, N_COLUMNS * sizeof *w->values, by_key);
	return sync_db_put_many(w->db, &outbox, w->values, rows, err);
}

void sync_outbox_clear(struct sync_outbox_writer *w)
{
	free(w->values);
}

/* reading */

enum sync_status sync_outbox_holders(struct sync_db *db, const struct sync_entity *e, const struct sync_view *ids, size_t n,
				     sync_row_fn *fn, void *ctx, struct sync_error *err)
{
	defer(sync_buf_clear) struct sync_buf sql = { .max = MAX_SQL };
	const char *keys = sync_keys_sql(db);

	sync_buf_addf(&sql, "SELECT k.key, o.site_id, o.action FROM %s", keys);
	sync_keys_look(&sql, db, "sync_outbox", "o", "o.site_id = 0 AND o.entity = $2 AND o.record_id = k.value AND o.action = 'P'");
	sync_buf_addf(&sql, " UNION ALL SELECT k.key, o.site_id, o.action FROM %s", keys);
	sync_keys_look(&sql, db, "sync_outbox", "o", "o.site_id > 0 AND o.entity = $2 AND o.record_id = k.value AND o.action <> 'D'");
	return sync_keys_run(db, &sql, ids, n, (const struct sync_value[]){ sync_text(e->name) }, 1, fn, ctx, err);
}

struct each {
	sync_outbox_fn *fn;
	void *ctx;
};

/* Columns in the order of the table, and the key by which the row was found, if by one. */
static enum sync_status give_row(void *ctx, const struct sync_value *v, size_t n, struct sync_error *err)
{
	const struct each *each = ctx;
	struct sync_outbox_row row = {
		.site_id = v[SITE_ID].i,
		.entity = sync_entity_find(v[ENTITY].s),
		.id = v[RECORD_ID].s,
		.seq = v[SEQ].i,
		.action = (enum sync_action)v[ACTION].s.data[0],
		.source = v[SOURCE].i,
	};

	if (v[ROOT_ID].kind == SYNC_STRING)
		row.root = v[ROOT_ID].s;
	if (n > N_COLUMNS)
		row.key = (size_t)v[N_COLUMNS].i;
	return each->fn(each->ctx, &row, err);
}

#define COLUMNS(of) of "site_id, " of "entity, " of "record_id, " of "seq, " of "action, " of "source, " of "root_id"

/* $n and $n+1 site, $n+2 seq, $n+3 whose, $n+4 how many. An array for PostgreSQL: see in_list there. */
static void add_stream(struct sync_buf *sql, const struct sync_db *db, int n)
{
	bool postgres = sync_db_dialect(db)->postgres;

	sync_buf_addf(sql,
		      "SELECT " COLUMNS("") " FROM sync_outbox WHERE site_id = $%d AND seq %s("
		      "SELECT seq FROM sync_outbox WHERE site_id = $%d AND seq > $%d AND source <> $%d ORDER BY seq LIMIT $%d)%s", n,
		      postgres ? "= ANY (ARRAY" : "IN ", n + 1, n + 2, n + 3, n + 4, postgres ? ")" : "");
}

/* After a push the site's own doing is most of what follows: it is passed over in the index, without its rows. */
enum sync_status sync_outbox_after(struct sync_db *db, int64_t site, int64_t skip, int64_t all_seq, int64_t own_seq, int64_t limit,
				   sync_outbox_fn *fn, void *ctx, struct sync_error *err)
{
	const struct sync_value v[] = { sync_int(0),    sync_int(0),    sync_int(all_seq), sync_int(skip), sync_int(limit),
					sync_int(site), sync_int(site), sync_int(own_seq), sync_int(skip), sync_int(limit), sync_int(limit) };
	defer(sync_buf_clear) struct sync_buf sql = { .max = MAX_SQL };
	struct each each = { fn, ctx };

	add_stream(&sql, db, 1);
	sync_buf_add_text(&sql, " UNION ALL ");
	add_stream(&sql, db, 6);
	sync_buf_add_text(&sql, " ORDER BY 4 LIMIT $11");
	TRY(sync_buf_check(&sql, err));
	return sync_db_run_text(db, sql.data, v, COUNT(v), give_row, &each, err);
}

static enum sync_status take_pair(void *ctx, const struct sync_value *v, size_t n, struct sync_error *err)
{
	int64_t *pair = ctx;

	(void)n, (void)err;
	pair[0] = v[0].kind == SYNC_INT ? v[0].i : 0;
	pair[1] = v[1].kind == SYNC_INT ? v[1].i : 0;
	return SYNC_OK;
}

enum sync_status sync_outbox_newest(struct sync_db *db, int64_t site, int64_t *ret_all, int64_t *ret_own,
				    struct sync_error *err)
{
	static const char newest[] = "SELECT (SELECT max(seq) FROM sync_outbox WHERE site_id = 0), (SELECT max(seq) FROM "
				     "sync_outbox WHERE site_id = $1)";
	int64_t pair[2] = { 0 };

	TRY(sync_db_run(db, newest, SYNC_ARGS(sync_int(site)), take_pair, pair, err));
	*ret_all = pair[0];
	*ret_own = pair[1];
	return SYNC_OK;
}

enum sync_status sync_outbox_count(struct sync_db *db, int64_t site, int64_t skip, int64_t all_seq, int64_t own_seq, int64_t limit,
				   int64_t *ret, struct sync_error *err)
{
	static const char count[] =
	    "SELECT count(*) FROM ("
	    "    SELECT * FROM (SELECT seq FROM sync_outbox WHERE site_id = 0 AND seq > $1 AND source <> $2 LIMIT $3) everybody"
	    "    UNION ALL"
	    "    SELECT * FROM (SELECT seq FROM sync_outbox WHERE site_id = $4 AND seq > $5 AND source <> $6 LIMIT $7) own) "
	    "pending";

	return sync_db_number(db, count,
			      SYNC_ARGS(sync_int(all_seq), sync_int(skip), sync_int(limit), sync_int(site), sync_int(own_seq),
					sync_int(skip), sync_int(limit)),
			      0, ret, err);
}

static void add_columns(struct sync_buf *sql, const struct sync_db *db, int place)
{
	sync_buf_addf(sql, "SELECT " COLUMNS("o.") ", k.key, %d AS place FROM %s", place, sync_keys_sql(db));
}

/* The root's own row. */
static void add_root(struct sync_buf *sql, const struct sync_db *db)
{
	add_columns(sql, db, 0);
	sync_keys_look(sql, db, "sync_outbox", "o", "o.site_id = $2 AND o.entity = $3 AND o.record_id = k.value AND o.seq > $4");
}

/* Those of children that exist, and of those that do not, or are another's by now. */
static void add_children(struct sync_buf *sql, const struct sync_db *db, const struct sync_entity *child)
{
	sync_buf_add_text(sql, " UNION ALL ");
	add_columns(sql, db, 1);
	sync_keys_look(sql, db, child->name, "c", "c.\"%s\" = k.value", child->parent);
	sync_keys_look(sql, db, "sync_outbox", "o", "o.site_id = $2 AND o.entity = '%s' AND o.record_id = c.id AND o.seq > $4",
		       child->name);
	sync_buf_add_text(sql, " UNION ALL ");
	add_columns(sql, db, 1);
	sync_keys_look(sql, db, "sync_outbox", "o",
		       "o.site_id = $2 AND o.root_id = k.value AND o.entity = '%s' AND o.action <> 'P' AND o.seq > $4", child->name);
}

/* The rows of groups; $1 ids of their roots, $2 stream, $3 the root's entity, $4 seq. A row may be there twice. */
static void add_groups(struct sync_buf *sql, const struct sync_db *db, const struct sync_entity *root)
{
	size_t n_entities;
	const struct sync_entity *const *entities = sync_entities(&n_entities);

	add_root(sql, db);
	for (size_t i = 0; i < n_entities; i++)
		if (entities[i]->parent && sync_entity_root(entities[i]) == root)
			add_children(sql, db, entities[i]);
}

enum sync_status sync_outbox_members(struct sync_db *db, int64_t site_id, int64_t seq, const struct sync_outbox_groups *g,
				     int64_t limit, sync_outbox_fn *fn, void *ctx, struct sync_error *err)
{
	defer(sync_buf_clear) struct sync_buf sql = { .max = MAX_SQL };
	const struct sync_entity *after = g->after;
	struct each each = { fn, ctx };

	sync_buf_add_text(&sql, "SELECT site_id, entity, record_id, seq, action, source, root_id, key FROM (");
	add_groups(&sql, db, g->root);
	sync_buf_add_text(&sql, ") pending WHERE (key, place, entity, record_id) > (0, $5, $6, $7)"
				"    ORDER BY key, place, entity, record_id, seq DESC LIMIT $8");
	return sync_keys_run(db, &sql, g->ids, g->n,
			     SYNC_ARGS(sync_int(site_id), sync_text(g->root->name), sync_int(seq),
				       sync_int(after ? after->parent != NULL : -1), sync_text(after ? after->name : ""),
				       after ? sync_string(g->after_id) : sync_text(""), sync_int(limit)),
			     give_row, &each, err);
}

enum sync_status sync_outbox_group(struct sync_db *db, int64_t site_id, int64_t seq, const struct sync_entity *root,
				   struct sync_view id, int64_t except, int64_t *ret_rows, int64_t *ret_newest,
				   struct sync_error *err)
{
	defer(sync_buf_clear) struct sync_buf sql = { .max = MAX_SQL };
	int64_t pair[2] = { 0 };

	sync_buf_add_text(&sql, "SELECT count(*), max(seq) FROM (");
	add_groups(&sql, db, root);
	sync_buf_add_text(&sql, ") pending WHERE source <> $5");
	TRY(sync_keys_run(db, &sql, &id, 1,
			  SYNC_ARGS(sync_int(site_id), sync_text(root->name), sync_int(seq), sync_int(except)), take_pair, pair,
			  err));
	*ret_rows = pair[0];
	*ret_newest = pair[1];
	return SYNC_OK;
}

/* routing transactions */

static enum sync_status take_newest(void *ctx, const struct sync_value *v, size_t n, struct sync_error *err)
{
	struct sync_checkpoint *newest = ctx;

	(void)n, (void)err;
	newest->seq = v[0].i;
	(void)snprintf(newest->id, sizeof newest->id, "%.*s", SYNC_VIEW(v[1].s));
	newest->ordinal = v[2].i;
	return SYNC_OK;
}

enum sync_status sync_routing_newest(struct sync_db *db, struct sync_checkpoint *ret, struct sync_error *err)
{
	static const char newest[] = "SELECT seq, id, ordinal FROM sync_routing ORDER BY seq DESC LIMIT 1";

	*ret = (struct sync_checkpoint){ 0 };
	return sync_db_run(db, newest, SYNC_NOARGS, take_newest, ret, err);
}

enum sync_status sync_routing_id(struct sync_db *db, int64_t seq, char ret[static SYNC_CHECKPOINT_ID + 1],
				 struct sync_error *err)
{
	static const char find[] = "SELECT seq, id, ordinal FROM sync_routing WHERE seq >= $1 ORDER BY seq LIMIT 1";
	struct sync_checkpoint found = { 0 };

	if (seq > 0)
		TRY(sync_db_run(db, find, SYNC_ARGS(sync_int(seq)), take_newest, &found, err));
	(void)snprintf(ret, SYNC_CHECKPOINT_ID + 1, "%s", found.id);
	return SYNC_OK;
}

enum sync_status sync_routing_known(struct sync_db *db, const struct sync_checkpoint *at, bool *ret, struct sync_error *err)
{
	static const char find[] = "SELECT 1 FROM sync_routing WHERE id = $1 AND seq >= $2";
	int64_t found = at->seq == 0 && !at->id[0];

	if (at->id[0])
		TRY(sync_db_number(db, find, SYNC_ARGS(sync_text(at->id), sync_int(at->seq)), 0, &found, err));
	*ret = found != 0;
	return SYNC_OK;
}

enum sync_status sync_routing_put(struct sync_db *db, int64_t seq, int64_t ordinal, int64_t now_us, struct sync_error *err)
{
	static const char put[] = "INSERT INTO sync_routing(seq, id, at_us, ordinal)"
				  "    SELECT CAST($1 AS bigint), value || $2, CAST($3 AS bigint), CAST($4 AS bigint) FROM sync_meta"
				  "    WHERE key = 'history'";
	const struct sync_checkpoint made = { .ordinal = ordinal, .seq = seq };
	char own[SYNC_CHECKPOINT_ID - SYNC_HISTORY + 1];

	sync_random_hex(own, SYNC_CHECKPOINT_ID - SYNC_HISTORY);
	TRY(sync_db_run(db, put, SYNC_ARGS(sync_int(seq), sync_text(own), sync_int(now_us), sync_int(ordinal)), NULL, NULL, err));
	return ordinal % TIDY_EVERY ? SYNC_OK : sync_tidy(db, &made, now_us, err);
}

#include "exchange/pull_queue.h"

#include "base/internal.h"
#include "codec/json.h"
#include "exchange/router.h"

enum {
	PAGE_ROWS = 5000,
	MOST_ROWS = 100000, /* that are looked at */
	MOST_GROUPS = 10000,
	MAX_SQL = 8192,
};

/* Going through the queue. */
struct reading {
	struct sync_unrouted *u;
	int64_t rows, last; /* so far, and the number of the last one */
};

static enum sync_status add(struct sync_unrouted *u, const struct sync_entity *root, struct sync_view id,
			    struct sync_error *err)
{
	struct sync_view kind = sync_view_of(root->name);
	uint32_t *found;

	if (sync_unrouted_has(u, root, id))
		return SYNC_OK;
	u->all = u->groups.n == MOST_GROUPS;
	TRY(sync_arena_keep(u->groups.arena, id, &id, err));
	return sync_set_add(&u->groups, kind, id, 0, &found, err);
}

/* Routing values are a JSON array, whose order the build of the trigger knew: whatever may be the parent is taken for it. */
static enum sync_status add_parents(struct sync_unrouted *u, const struct sync_entity *child, const struct sync_value *values,
				    struct sync_error *err)
{
	struct sync_json array, member;

	if (values->kind != SYNC_STRING || sync_json_parse(&array, values->s, 1, NULL) != SYNC_OK)
		return SYNC_OK;
	for (bool more = sync_json_first(&member, &array); more; more = sync_json_next(&member))
		if (member.type == SYNC_JSON_TEXT)
			TRY(add(u, sync_entity_root(child), member.text, err));
	return SYNC_OK;
}

/* Columns: seq, entity, record_id, old, new, and the parent of a record that is to be sent again. */
static enum sync_status take_row(void *ctx, const struct sync_value *v, size_t n, struct sync_error *err)
{
	struct reading *r = ctx;
	const struct sync_entity *e = sync_entity_find(v[1].s);

	(void)n;
	r->rows++;
	r->last = v[0].i;
	if (!e)
		return SYNC_OK;
	if (!e->parent)
		return add(r->u, e, v[2].s, err);
	TRY(add_parents(r->u, e, &v[3], err));
	TRY(add_parents(r->u, e, &v[4], err));
	return v[5].kind == SYNC_STRING ? add(r->u, sync_entity_root(e), v[5].s, err) : SYNC_OK;
}

static void add_select(struct sync_buf *sql)
{
	size_t n;
	const struct sync_entity *const *all = sync_entities(&n);

	sync_buf_add_text(sql, "SELECT q.seq, q.entity, q.record_id, q.old, q.new, CASE WHEN q.action <> 'R' THEN NULL");
	for (size_t i = 0; i < n; i++)
		if (all[i]->parent)
			sync_buf_addf(sql,
				      " WHEN q.entity = '%s' THEN (SELECT t.\"%s\" FROM \"%s\" t WHERE t.id = q.record_id)",
				      all[i]->name, all[i]->parent, all[i]->name);
	sync_buf_add_text(sql, " END FROM sync_changelog q WHERE q.seq > $1 ORDER BY q.seq LIMIT $2");
}

enum sync_status sync_unrouted_read(struct sync_unrouted *u, struct sync_db *db, struct sync_error *err)
{
	struct reading r = { .u = u };
	defer(sync_buf_clear) struct sync_buf sql = { .max = MAX_SQL };
	bool more;

	TRY(sync_route_queued(db, &more, err));
	if (!more)
		return SYNC_OK;
	add_select(&sql);
	TRY(sync_buf_check(&sql, err));
	while (more && !u->all) {
		int64_t before = r.rows;

		TRY(sync_db_run_text(db, sql.data, SYNC_ARGS(sync_int(r.last), sync_int(PAGE_ROWS)), take_row, &r, err));
		more = r.rows - before == PAGE_ROWS;
		u->all = u->all || (more && r.rows >= MOST_ROWS);
	}
	return SYNC_OK;
}

bool sync_unrouted_has(const struct sync_unrouted *u, const struct sync_entity *root, struct sync_view id)
{
	return u->all || sync_set_find(&u->groups, sync_view_of(root->name), id);
}

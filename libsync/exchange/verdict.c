#include <inttypes.h>
#include <string.h>

#include <libsync/time.h>

#include "base/internal.h"
#include "db/keys.h"
#include "exchange/extra.h"
#include "exchange/lot.h"

enum { MAX_SQL = 1024 };

/* What a site is told about one edit. */
struct news {
	const char *kind;
	const struct sync_record *r;
	const char *code, *field, *text;
};

/* Numbers are given in a row; the site's row is locked from here on, so nobody else's come between. */
static enum sync_status take_numbers(struct sync_db *db, int64_t site, size_t n, int64_t *ret_first, struct sync_error *err)
{
	static const char take[] = "UPDATE sync_site SET verdict = verdict + $1 WHERE site_id = $2 RETURNING verdict";
	int64_t last;

	TRY(sync_db_number(db, take, SYNC_ARGS(sync_int((int64_t)n), sync_int(site)), 0, &last, err));
	if (!last)
		return sync_fail(err, SYNC_ENOTFOUND, "there is no site %" PRId64, site);
	*ret_first = last - (int64_t)n + 1;
	return SYNC_OK;
}

static enum sync_status tell(struct sync_db *db, int64_t site, const struct news *news, size_t n, int64_t now_us,
                             struct sync_error *err)
{
	static const char *const columns[] = { "site_id", "n",    "kind",  "entity", "record_id",
		                               "seq",     "code", "field", "text",   "at_us" };
	static const enum sync_type types[] = { SYNC_BIGINT, SYNC_BIGINT, SYNC_TEXT, SYNC_TEXT, SYNC_TEXT,
		                                SYNC_BIGINT, SYNC_TEXT,   SYNC_TEXT, SYNC_TEXT, SYNC_BIGINT };
	static const struct sync_table table = { "sync_verdict", columns, types, COUNT(columns), 2, false };
	defer(freep) struct sync_value *v = NULL;
	size_t at = 0;
	int64_t first;

	if (!n)
		return SYNC_OK;
	v = malloc(n * COUNT(columns) * sizeof *v);
	if (!v)
		return sync_fail(err, SYNC_ENOMEM, "%zu verdicts", n);
	TRY(take_numbers(db, site, n, &first, err));
	for (size_t i = 0; i < n; i++) {
		v[at++] = sync_int(site);
		v[at++] = sync_int(first + (int64_t)i);
		v[at++] = sync_text(news[i].kind);
		v[at++] = sync_string(news[i].r->name);
		v[at++] = sync_string(news[i].r->id);
		v[at++] = sync_int(news[i].r->seq);
		v[at++] = sync_text(news[i].code);
		v[at++] = sync_text(news[i].field);
		v[at++] = sync_text(news[i].text);
		v[at++] = sync_int(now_us);
	}
	return sync_db_put_many(db, &table, v, n, err);
}

enum sync_status sync_verdict_add(struct sync_db *db, int64_t site, const char *kind, const struct sync_record *r,
                                  const char *code, const char *field, const char *text, int64_t now_us, struct sync_error *err)
{
	return tell(db, site, &(struct news){ kind, r, code, field, text }, 1, now_us, err);
}

enum sync_status sync_resend(struct sync_db *db, int64_t site, struct sync_view entity, const struct sync_view *ids, size_t n,
                             struct sync_error *err)
{
	const struct sync_value more[] = { sync_string(entity), sync_int(site), sync_int(sync_now_us()) };
	defer(sync_buf_clear) struct sync_buf sql = { .max = MAX_SQL };

	sync_buf_addf(&sql,
	              "WITH list AS (SELECT k.value FROM %s)"
	              " INSERT INTO sync_changelog(entity, record_id, action, source, at_us)"
	              " SELECT CAST($2 AS text), value, 'R', CAST($3 AS bigint), CAST($4 AS bigint) FROM list",
	              sync_keys_sql(db));
	return sync_keys_run(db, &sql, ids, n, more, COUNT(more), NULL, NULL, err);
}

/* The queue's rows of records as a site has them. */
static enum sync_status queue(struct sync_db *db, const char *action, int64_t source, const struct sync_record *const *r, size_t n,
                              struct sync_error *err)
{
	static const char *const columns[] = { "entity", "record_id", "action", "source", "at_us", "new" };
	static const enum sync_type types[] = { SYNC_TEXT, SYNC_TEXT, SYNC_TEXT, SYNC_BIGINT, SYNC_BIGINT, SYNC_TEXT };
	static const struct sync_table table = { "sync_changelog", columns, types, COUNT(columns), 0, false };
	defer(freep) struct sync_value *v = NULL;
	int64_t now_us;
	size_t at = 0;

	if (n == 0)
		return SYNC_OK;
	v = malloc(n * COUNT(columns) * sizeof *v);
	if (!v)
		return sync_fail(err, SYNC_ENOMEM, "%zu rows of the queue", n);
	now_us = sync_now_us();
	for (size_t i = 0; i < n; i++) {
		v[at++] = sync_string(r[i]->name);
		v[at++] = sync_string(r[i]->id);
		v[at++] = sync_text(action);
		v[at++] = sync_int(source);
		v[at++] = sync_int(now_us);
		v[at++] = r[i]->root.len ? sync_string(r[i]->root) : sync_null();
	}
	return sync_db_put_many(db, &table, v, n, err);
}

enum sync_status sync_resend_records(struct sync_db *db, int64_t site, const struct sync_record *const *r, size_t n,
                                     struct sync_error *err)
{
	return queue(db, "R", site, r, n, err);
}

enum sync_status sync_queue_deletes(struct sync_db *db, int64_t source, const struct sync_record *const *r, size_t n,
                                    struct sync_error *err)
{
	return queue(db, "D", source, r, n, err);
}

enum sync_status sync_waiting_put(struct sync_lot *lot, const struct sync_question *q, size_t n, struct sync_error *err)
{
	static const char *const columns[] = { "kind", "site_id", "entity", "record_id", "seq",         "frame",
		                               "code", "field",   "text",   "at_us",     "root_entity", "root_id" };
	static const enum sync_type types[] = { SYNC_TEXT, SYNC_BIGINT, SYNC_TEXT, SYNC_TEXT,   SYNC_BIGINT, SYNC_TEXT,
		                                SYNC_TEXT, SYNC_TEXT,   SYNC_TEXT, SYNC_BIGINT, SYNC_TEXT,   SYNC_TEXT };
	static const struct sync_table table = { "sync_waiting", columns, types, COUNT(columns), 0, false };
	defer(freep) struct sync_value *v = malloc((n + 1) * COUNT(columns) * sizeof *v);
	size_t at = 0;

	if (!v)
		return sync_fail(err, SYNC_ENOMEM, "%zu questions", n);
	for (size_t i = 0; i < n; i++) {
		struct sync_view root_entity, root_id;

		sync_root_of(q[i].r, &root_entity, &root_id);
		lot->questions += q[i].site == lot->in->source;
		v[at++] = sync_text(q[i].kind);
		v[at++] = sync_int(q[i].site);
		v[at++] = sync_string(q[i].r->name);
		v[at++] = sync_string(q[i].r->id);
		v[at++] = sync_int(q[i].r->seq);
		v[at++] = sync_string(q[i].frame);
		v[at++] = sync_text(q[i].why->code);
		v[at++] = sync_text(q[i].why->field);
		v[at++] = sync_text(q[i].why->text);
		v[at++] = sync_int(lot->in->now_us);
		v[at++] = sync_string(root_entity);
		v[at++] = sync_string(root_id);
	}
	return sync_db_put_many(lot->db, &table, v, SYNC_FAULT(nothing_quarantined) ? 0 : n, err);
}

static bool is_refused(const struct sync_lot *lot, const struct sync_item *item)
{
	return lot->fates[item->group] == SYNC_REFUSED;
}

static bool asks_grant(const struct sync_item *item)
{
	return item->why.code && !strcmp(item->why.code, "needs_grant");
}

/* A refused edit is undone at its site; one that a person may still grant stays there. */
static bool is_undone(const struct sync_lot *lot, const struct sync_item *item)
{
	bool lost = item->merit == SYNC_LOSES || item->merit == SYNC_OVERTAKEN;

	return (is_refused(lot, item) && !asks_grant(item)) || (sync_item_open(lot, item) && lost);
}

/*
 * An edit that waited counts as integrated at its site, which may have pulled another version meanwhile. The row that this edit
 * gets in the outbox would be skipped for whom it comes from.
 */
static bool is_sent_again(const struct sync_lot *lot, const struct sync_item *item)
{
	return is_undone(lot, item) || ((item->waited || item->merged) && sync_item_applies(lot, item));
}

/* Rows of sync_waiting that are open for the sender: the same edit, sent again with its group, is not shown twice. */
struct open_rows {
	const struct sync_lot *lot;
	struct sync_set seen; /* (entity, id): index of its newest seq */
	int64_t *seqs;
	size_t n, cap;
};

static enum sync_status take_open(void *ctx, const struct sync_value *v, size_t n, struct sync_error *err)
{
	struct open_rows *open = ctx;
	const struct sync_item *item = sync_lot_find(open->lot, v[0].s, v[1].s);
	uint32_t *at;

	(void)n;
	if (!item || open->n == open->cap)
		return SYNC_OK;
	TRY(sync_set_add(&open->seen, item->r->name, item->r->id, (uint32_t)open->n, &at, err));
	if (*at == open->n)
		open->n++;
	open->seqs[*at] = v[2].i;
	return SYNC_OK;
}

static enum sync_status find_open(struct sync_lot *lot, struct open_rows *open, struct sync_error *err)
{
	static const char find[] =
		"SELECT entity, record_id, seq FROM sync_waiting WHERE site_id = $1 AND done_us IS NULL AND kind <> 'recovered'"
		"    ORDER BY id";

	*open = (struct open_rows){ .lot = lot, .cap = lot->n };
	open->seen.arena = lot->arena;
	open->seqs = sync_arena_get(lot->arena, (lot->n + 1) * sizeof *open->seqs);
	if (!open->seqs)
		return sync_fail(err, SYNC_ENOMEM, "%zu edits that are refused", lot->n);
	return sync_db_run(lot->db, find, SYNC_ARGS(sync_int(lot->in->source)), take_open, open, err);
}

static bool is_open_already(const struct open_rows *open, const struct sync_record *r)
{
	const uint32_t *at = sync_set_find(&open->seen, r->name, r->id);

	return at && open->seqs[*at] == r->seq;
}

static const struct sync_reason *reason_of(const struct sync_item *item)
{
	static const struct sync_reason of_group = { .code = "group", .text = "another record of its group is refused" };

	return item->why.code ? &item->why : &of_group;
}

static enum sync_status quarantine(const struct sync_lot *lot, const struct sync_item *item, struct sync_question *ret,
                                   struct sync_error *err)
{
	const char *kind = asks_grant(item) ? "grant" : "quarantine";

	*ret = (struct sync_question){ .kind = kind, .site = lot->in->source, .r = item->r, .why = reason_of(item) };
	return sync_item_frame(lot, item, &ret->frame, err);
}

enum sync_status sync_keep_refused(struct sync_lot *lot, struct sync_error *err)
{
	struct sync_question *questions = sync_arena_get(lot->arena, (lot->n + 1) * sizeof *questions);
	struct open_rows open = { 0 };
	size_t n = 0;

	if (!questions)
		return sync_fail(err, SYNC_ENOMEM, "%zu edits that are refused", lot->n);
	for (size_t i = 0; i < lot->n; i++) {
		const struct sync_item *item = &lot->items[i];

		if (!is_refused(lot, item))
			continue;
		if (!open.lot)
			TRY(find_open(lot, &open, err));
		if (!is_open_already(&open, item->r))
			TRY(quarantine(lot, item, &questions[n++], err));
	}
	return sync_waiting_put(lot, questions, n, err);
}

/* What this build does not know has no route. */
static enum sync_status send_again(struct sync_lot *lot, struct sync_error *err)
{
	const struct sync_record **r = sync_arena_get(lot->arena, (lot->n + 1) * sizeof(*r));
	size_t n = 0;

	if (!r)
		return sync_fail(err, SYNC_ENOMEM, "sending %zu records again", lot->n);
	for (size_t i = 0; i < lot->n; i++) {
		const struct sync_item *item = &lot->items[i];

		if (!item->r->entity || !is_sent_again(lot, item))
			continue;
		r[n++] = item->r;
		if (is_undone(lot, item))
			TRY(sync_extra_deny(lot->db, item->r, err));
	}
	return sync_resend_records(lot->db, lot->in->source, r, n, err);
}

/* Verdicts that a site was given for records of the lot: which are still open. */
struct given {
	const struct sync_lot *lot;
	bool *open; /* per item */
};

static enum sync_status take_given(void *ctx, const struct sync_value *v, size_t n, struct sync_error *err)
{
	struct given *given = ctx;
	const struct sync_item *item = sync_lot_find(given->lot, v[0].s, v[1].s);

	(void)n, (void)err;
	if (item)
		given->open[item - given->lot->items] = !sync_view_is(v[2].s, "resolved");
	return SYNC_OK;
}

static enum sync_status find_given(const struct sync_lot *lot, struct given *given, struct sync_error *err)
{
	static const char any[] = "SELECT 1 FROM sync_verdict WHERE site_id = $1 LIMIT 1";
	const int64_t source = lot->in->source;
	struct sync_run run = { 0 };
	struct sync_view *ids;
	int64_t some;
	size_t n;

	*given = (struct given){ lot, sync_arena_get(lot->arena, lot->n) };
	if (!given->open && lot->n)
		return sync_fail(err, SYNC_ENOMEM, "verdicts on %zu records", lot->n);
	memset(given->open, 0, lot->n);
	TRY(sync_db_number(lot->db, any, SYNC_ARGS(sync_int(source)), 0, &some, err));
	while (some && sync_lot_next(lot, &run)) {
		if (!run.e)
			continue;
		TRY(sync_run_select(lot, &run, sync_item_applies, &ids, &n, err));
		TRY(sync_run_ids(lot->db, "SELECT entity, record_id, kind FROM sync_verdict WHERE record_id", ids, n,
		                 " AND entity = $2 AND site_id = $3"
		                 " AND kind IN ('refused', 'waiting', 'conflict', 'resolved') ORDER BY n",
		                 SYNC_ARGS(sync_text(run.e->name), sync_int(source)), take_given, given, err));
	}
	return SYNC_OK;
}

/* The same edit waits for the same reason as when the sender was told. */
static bool is_told(const struct sync_item *item)
{
	return item->was_code && item->was_seq == item->r->seq && !strcmp(item->was_code, item->why.code);
}

/* What there is to tell about one record; kind NULL: nothing. */
static struct news news_of(const struct sync_lot *lot, const struct sync_item *item, bool open)
{
	const struct sync_reason *why = reason_of(item);
	struct news news = { NULL, item->r, why->code, why->field, why->text };

	switch (lot->fates[item->group]) {
	case SYNC_REFUSED:
		news.kind = asks_grant(item) ? "waiting" : "refused";
		break;
	case SYNC_WAITS: /* what is not at fault itself goes along with what is */
		if (item->why.code && !is_told(item))
			news.kind = "waiting";
		break;
	case SYNC_OPEN:
		if (item->merit == SYNC_LOSES)
			news = (struct news){ "conflict", item->r, "conflict", NULL, "a later edit from elsewhere has won" };
		else if (item->merit <= SYNC_WINS && open)
			news = (struct news){ "resolved", item->r, "integrated", NULL, "integrated at central" };
		break;
	}
	return news;
}

enum sync_status sync_tell_sender(struct sync_lot *lot, struct sync_error *err)
{
	struct news *news = sync_arena_get(lot->arena, (lot->n + 1) * sizeof *news);
	struct given given;
	size_t n = 0;

	if (!news)
		return sync_fail(err, SYNC_ENOMEM, "verdicts on %zu records", lot->n);
	TRY(find_given(lot, &given, err));
	for (size_t i = 0; i < lot->n; i++) {
		news[n] = news_of(lot, &lot->items[i], given.open[i]);
		if (news[n].kind)
			n++;
	}
	TRY(tell(lot->db, lot->in->source, news, n, lot->in->now_us, err));
	return send_again(lot, err);
}

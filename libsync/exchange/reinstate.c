#include <libsync/site.h>

#include <stdlib.h>

#include <libsync/records.h>
#include <libsync/time.h>

#include "base/internal.h"
#include "exchange/lot.h"
#include "exchange/recovered.h"
#include "exchange/route.h"
#include "exchange/waiting.h"

/*
 * What sites offered is looked at again before anybody decides: central may have it by now, because whoever made it has pushed it
 * again, or may have changed the record otherwise.
 */

enum { PAGE = 200 };

/* An offer that is open. */
struct offer {
	int64_t id, since;
	struct sync_record r;
	bool same;
};

/* Offers of one entity, in the order of their numbers. */
struct page {
	struct sync_db *db;
	struct sync_arena arena;
	struct offer offer[PAGE];
	size_t n;
	int64_t last;
	struct sync_recovered *ret;
};

static enum sync_status close_offer(struct sync_db *db, int64_t id, const char *verdict, struct sync_error *err)
{
	static const char close[] = "UPDATE sync_waiting SET done_us = $1, verdict = $2 WHERE id = $3";

	return sync_db_run(db, close, SYNC_ARGS(sync_int(sync_now_us()), sync_text(verdict), sync_int(id)), NULL, NULL, err);
}

static enum sync_status take_offer(void *ctx, const struct sync_value *v, size_t n, struct sync_error *err)
{
	struct page *p = ctx;
	struct offer *o = &p->offer[p->n++];
	struct sync_view frame = sync_arena_copy(&p->arena, v[1].s);

	(void)n;
	if (!frame.data)
		return sync_fail(err, SYNC_ENOMEM, "reading %zu offers", p->n);
	*o = (struct offer){ .id = v[0].i, .since = v[2].i };
	p->last = v[0].i;
	return sync_record_read(&o->r, &p->arena, frame, &sync_default_limits, err);
}

/* Those that a later version of the same record, offered as well, does not make out of date. */
static enum sync_status read_page(struct page *p, struct sync_view entity, bool newest, struct sync_error *err)
{
	static const char all[] = "SELECT w.id, w.frame, w.since FROM sync_waiting w"
				  "    WHERE w.kind = 'recovered' AND w.done_us IS NULL AND w.entity = $1 AND w.id > $2"
				  "    ORDER BY w.id LIMIT $3";
	static const char latest[] =
	    "SELECT w.id, w.frame, w.since FROM sync_waiting w"
	    "    WHERE w.kind = 'recovered' AND w.done_us IS NULL AND w.entity = $1 AND w.id > $2 AND w.code <> 'changed'"
	    "    AND NOT EXISTS (SELECT 1 FROM sync_waiting o WHERE o.kind = 'recovered' AND o.done_us IS NULL"
	    "        AND o.entity = w.entity AND o.record_id = w.record_id"
	    "        AND (o.seq > w.seq OR (o.seq = w.seq AND o.id > w.id)))"
	    "    ORDER BY w.id LIMIT $3";

	sync_arena_reset(&p->arena);
	p->n = 0;
	return sync_db_run(p->db, newest ? latest : all, SYNC_ARGS(sync_string(entity), sync_int(p->last), sync_int(PAGE)),
			   take_offer, p, err);
}

static int by_id(const void *a, const void *b)
{
	const struct offer *x = *(struct offer *const *)a, *y = *(struct offer *const *)b;
	int order = sync_view_cmp(x->r.id, y->r.id);

	return order ? order : (x->id > y->id) - (x->id < y->id);
}

/* Each record is read once, however many versions of it are offered. */
static enum sync_status compare(struct page *p, struct sync_error *err)
{
	struct offer *sorted[PAGE] = { 0 };
	struct sync_view ids[PAGE];
	struct sync_record stored[PAGE];
	size_t n = 0;

	for (size_t i = 0; i < p->n; i++)
		sorted[i] = &p->offer[i];
	qsort(sorted, p->n, sizeof *sorted, by_id);
	for (size_t i = 0; i < p->n; i++)
		if (i == 0 || !sync_view_eq(sorted[i]->r.id, sorted[i - 1]->r.id))
			ids[n++] = sorted[i]->r.id;
	TRY(sync_records_get(p->db, p->offer[0].r.entity, p->offer[0].r.name, ids, n, &p->arena, stored, err));
	for (size_t i = 0, at = 0; i < p->n; i++) {
		if (!sync_view_eq(sorted[i]->r.id, ids[at]))
			at++;
		sorted[i]->same = sync_offer_same(&sorted[i]->r, &stored[at]);
	}
	return SYNC_OK;
}

static enum sync_status close_same(struct page *p, struct sync_error *err)
{
	if (p->n == 0)
		return SYNC_OK;
	TRY(compare(p, err));
	for (size_t i = 0; i < p->n; i++) {
		if (!p->offer[i].same)
			continue;
		TRY(close_offer(p->db, p->offer[i].id, "equal", err));
		p->ret->equal++;
	}
	return SYNC_OK;
}

static enum sync_status was_changed(struct sync_db *db, const struct offer *o, bool *ret, struct sync_error *err)
{
	static const char routed[] =
	    "SELECT count(*) FROM sync_outbox WHERE entity = $1 AND record_id = $2 AND seq > $3 AND source >= 0 AND site_id = 0";
	static const char own[] =
	    "SELECT count(*) FROM sync_outbox WHERE entity = $1 AND record_id = $2 AND seq > $3 AND source >= 0 AND site_id > 0";
	static const char queued[] =
	    "SELECT count(*) FROM sync_changelog WHERE record_id = $1 AND entity = $2 AND source = 0 AND action <> 'R'";
	const struct sync_value name = sync_string(o->r.name), id = sync_string(o->r.id), since = sync_int(o->since);
	int64_t n, m, k;

	TRY(sync_db_number(db, routed, SYNC_ARGS(name, id, since), 0, &n, err));
	TRY(sync_db_number(db, own, SYNC_ARGS(name, id, since), 0, &m, err));
	TRY(sync_db_number(db, queued, SYNC_ARGS(id, name), 0, &k, err));
	*ret = n + m + k > 0;
	return SYNC_OK;
}

/* Left to a person. */
static enum sync_status mark_changed(struct sync_db *db, int64_t id, struct sync_error *err)
{
	static const char set[] = "UPDATE sync_waiting SET code = 'changed', text = $1 WHERE id = $2";

	return sync_db_run(db, set,
			   SYNC_ARGS(sync_text("central lost this version, and has changed the record since"), sync_int(id)), NULL,
			   NULL, err);
}

static enum sync_status close_older(struct sync_db *db, const struct offer *o, struct sync_error *err)
{
	static const char close[] = "UPDATE sync_waiting SET done_us = $1, verdict = 'superseded'"
				    "    WHERE kind = 'recovered' AND done_us IS NULL AND entity = $2 AND record_id = $3";

	return sync_db_run(db, close, SYNC_ARGS(sync_int(sync_now_us()), sync_string(o->r.name), sync_string(o->r.id)), NULL, NULL,
			   err);
}

static enum sync_status accept_one(struct page *p, const struct offer *o, struct sync_error *err)
{
	bool changed, done;

	TRY(was_changed(p->db, o, &changed, err));
	if (changed)
		return mark_changed(p->db, o->id, err);
	TRY(sync_waiting_try(p->db, o->id, &done, err));
	if (!done)
		return SYNC_OK;
	p->ret->accepted++;
	return close_older(p->db, o, err);
}

static enum sync_status accept_puts(struct page *p, struct sync_error *err)
{
	for (size_t i = 0; i < p->n; i++)
		if (p->offer[i].r.action == SYNC_PUT)
			TRY(accept_one(p, &p->offer[i], err));
	return SYNC_OK;
}

static enum sync_status accept_deletes(struct page *p, struct sync_error *err)
{
	for (size_t i = 0; i < p->n; i++)
		if (p->offer[i].r.action != SYNC_PUT)
			TRY(accept_one(p, &p->offer[i], err));
	return SYNC_OK;
}

/* All open offers of one entity, a page per transaction. */
static enum sync_status each_page(struct page *p, struct sync_view entity, bool newest,
				  enum sync_status (*fn)(struct page *p, struct sync_error *err), struct sync_error *err)
{
	enum sync_status status;

	p->last = 0;
	do {
		TRY(sync_db_begin(p->db, true, err));
		status = read_page(p, entity, newest, err);
		if (status == SYNC_OK)
			status = fn(p, err);
		TRY(sync_db_finish(p->db, status, err));
	} while (p->n == PAGE);
	return SYNC_OK;
}

/* entities */

struct names {
	struct sync_arena *arena;
	struct sync_view *name;
	size_t n, cap;
};

static enum sync_status take_name(void *ctx, const struct sync_value *v, size_t n, struct sync_error *err)
{
	struct names *names = ctx;

	(void)n;
	TRY(sync_larger(names->arena, (void **)&names->name, names->n, &names->cap, sizeof *names->name, err));
	return sync_keep_text(names->arena, &v[0], &names->name[names->n++], err);
}

/* In integration order; unknown ones last. */
static int by_order(const void *a, const void *b)
{
	const struct sync_entity *x = sync_entity_find(*(const struct sync_view *)a), *y = sync_entity_find(*(const struct sync_view *)b);
	size_t order_x = x ? sync_entity_order(x) : SIZE_MAX, order_y = y ? sync_entity_order(y) : SIZE_MAX;

	return (order_x > order_y) - (order_x < order_y);
}

static enum sync_status read_names(struct sync_db *db, struct names *names, struct sync_error *err)
{
	static const char all[] = "SELECT DISTINCT entity FROM sync_waiting WHERE kind = 'recovered' AND done_us IS NULL";

	TRY(sync_db_run(db, all, SYNC_NOARGS, take_name, names, err));
	if (names->n)
		qsort(names->name, names->n, sizeof *names->name, by_order);
	return SYNC_OK;
}

static enum sync_status count_left(struct sync_db *db, int64_t *ret, struct sync_error *err)
{
	static const char left[] = "SELECT count(*) FROM sync_waiting WHERE kind = 'recovered' AND done_us IS NULL";

	return sync_db_number(db, left, SYNC_NOARGS, 0, ret, err);
}

static enum sync_status settle(struct page *p, const struct names *names, struct sync_error *err)
{
	for (size_t i = 0; i < names->n; i++)
		TRY(each_page(p, names->name[i], false, close_same, err));
	return SYNC_OK;
}

static enum sync_status accept_in_order(struct page *p, const struct names *names, struct sync_error *err)
{
	for (size_t i = 0; i < names->n; i++)
		TRY(each_page(p, names->name[i], true, accept_puts, err));
	for (size_t i = names->n; i-- > 0;)
		TRY(each_page(p, names->name[i], true, accept_deletes, err));
	return SYNC_OK;
}

/* What names another record of its own entity may come before that. */
static enum sync_status accept_all(struct page *p, const struct names *names, struct sync_error *err)
{
	int64_t before;

	do {
		before = p->ret->accepted;
		TRY(accept_in_order(p, names, err));
	} while (p->ret->accepted > before);
	return SYNC_OK;
}

static enum sync_status run(struct sync_db *db, bool accept, struct sync_recovered *ret, struct sync_error *err)
{
	defer(sync_arena_clear) struct sync_arena kept = { 0 };
	struct names names = { .arena = &kept };
	struct page *p = calloc(1, sizeof *p);
	enum sync_status status;

	if (!p)
		return sync_fail(err, SYNC_ENOMEM, "looking at offers");
	*ret = (struct sync_recovered){ 0 };
	p->db = db;
	p->ret = ret;
	status = sync_route_all(db, err);
	if (status == SYNC_OK)
		status = read_names(db, &names, err);
	if (status == SYNC_OK)
		status = settle(p, &names, err);
	if (status == SYNC_OK && accept)
		status = accept_all(p, &names, err);
	sync_arena_clear(&p->arena);
	free(p);
	TRY(status);
	TRY(count_left(db, &ret->left, err));
	return accept ? sync_route(db, err) : SYNC_OK;
}

enum sync_status sync_recovered_settle(struct sync_db *db, struct sync_recovered *ret, struct sync_error *err)
{
	return run(db, false, ret, err);
}

enum sync_status sync_recovered_accept(struct sync_db *db, struct sync_recovered *ret, struct sync_error *err)
{
	return run(db, true, ret, err);
}

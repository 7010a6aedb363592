#include <libsync/site.h>

#include <stdio.h>
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
 * again, or may have changed the record otherwise. Then whole groups are accepted, each in one transaction:
 *   of each record the latest version     one whose seq, in the same lost history, is above those of all others
 *   no member that a person has to see    versions in no known order; changed since the loss; edits of the group that were refused
 *   no member that is impossible          as a line whose item is missing
 */

enum {
	PAGE = 200,  /* offers that are looked at together */
	GROUPS = 50, /* groups that are accepted together */
};

/* An offer that is open. */
struct offer {
	int64_t id, since, seq;
	struct sync_view history, root;
	bool changed; /* a person is asked */
	bool same;    /* as central has it */
	struct sync_record r;
};

/* Some of them, in one transaction. */
struct page {
	struct sync_db *db;
	struct sync_arena arena;
	struct offer *offer;
	size_t n, cap;
	int64_t last;                   /* number of the last offer that was looked at */
	char last_root[SYNC_MAX_ID + 1]; /* the same of groups */
	int64_t accepted;
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
	struct sync_view frame = sync_arena_copy(&p->arena, v[1].s);
	struct offer *o;

	(void)n;
	TRY(sync_larger(&p->arena, (void **)&p->offer, p->n, &p->cap, sizeof *p->offer, err));
	o = &p->offer[p->n++];
	*o = (struct offer){ .id = v[0].i, .since = v[2].i, .seq = v[3].i, .changed = sync_view_is(v[5].s, "changed") };
	if (!frame.data)
		return sync_fail(err, SYNC_ENOMEM, "reading %zu offers", p->n);
	TRY(sync_keep_text(&p->arena, &v[4], &o->history, err));
	TRY(sync_keep_text(&p->arena, &v[6], &o->root, err));
	return sync_record_read(&o->r, &p->arena, frame, &sync_default_limits, err);
}

#define SELECT_OFFERS                                                              \
	"SELECT id, frame, since, seq, history, code, root_id FROM sync_waiting" \
	"    WHERE kind = 'recovered' AND done_us IS NULL "

static enum sync_status read_page(struct page *p, const char *sql, const struct sync_value *v, size_t n, struct sync_error *err)
{
	sync_arena_reset(&p->arena);
	p->offer = NULL;
	p->n = p->cap = 0;
	return sync_db_run(p->db, sql, v, n, take_offer, p, err);
}

/* what central has by now */

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
	p->last = p->offer[p->n - 1].id;
	TRY(compare(p, err));
	for (size_t i = 0; i < p->n; i++) {
		if (!p->offer[i].same)
			continue;
		TRY(close_offer(p->db, p->offer[i].id, "equal", err));
		p->ret->equal++;
	}
	return SYNC_OK;
}

static enum sync_status settle_page(struct page *p, struct sync_view entity, struct sync_error *err)
{
	static const char next[] = SELECT_OFFERS "AND entity = $1 AND id > $2 ORDER BY id LIMIT $3";

	TRY(read_page(p, next, SYNC_ARGS(sync_string(entity), sync_int(p->last), sync_int(PAGE)), err));
	return close_same(p, err);
}

static enum sync_status settle_entity(struct page *p, struct sync_view entity, struct sync_error *err)
{
	p->last = 0;
	do {
		TRY(sync_db_begin(p->db, true, err));
		TRY(sync_db_finish(p->db, settle_page(p, entity, err), err));
	} while (p->n == PAGE);
	return SYNC_OK;
}

/* accepting */

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

	if (o->changed) {
		*ret = true;
		return SYNC_OK;
	}
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

/* Versions of one record stand together, the one that may be the latest first. */
static int by_version(const void *a, const void *b)
{
	const struct offer *x = a, *y = b;
	size_t order_x = x->r.entity ? sync_entity_order(x->r.entity) : SIZE_MAX;
	size_t order_y = y->r.entity ? sync_entity_order(y->r.entity) : SIZE_MAX;
	int order = order_x != order_y ? (order_x > order_y) - (order_x < order_y) : sync_view_cmp(x->r.id, y->r.id);

	return order ? order : (x->seq < y->seq) - (x->seq > y->seq);
}

static bool of_one_record(const struct offer *a, const struct offer *b)
{
	return sync_view_eq(a->r.name, b->r.name) && sync_view_eq(a->r.id, b->r.id);
}

/* What a site could not say when it received has seq 1. */
static bool is_later(const struct offer *a, const struct offer *b)
{
	return a->history.len > 0 && sync_view_eq(a->history, b->history) && b->seq > 1 && a->seq > b->seq;
}

/* Moves the latest version of each record to the front; 0 when the order of some is not known. */
static size_t keep_latest(struct offer *o, size_t n)
{
	size_t kept = 0;

	qsort(o, n, sizeof *o, by_version);
	for (size_t i = 0; i < n; i++) {
		if (kept == 0 || !of_one_record(&o[kept - 1], &o[i]))
			o[kept++] = o[i];
		else if (!is_later(&o[kept - 1], &o[i]))
			return 0;
	}
	return kept;
}

/* Whether a person has to look at one of them. */
static enum sync_status find_changed(struct page *p, const struct offer *o, size_t n, bool *ret, struct sync_error *err)
{
	*ret = false;
	for (size_t i = 0; i < n; i++) {
		bool changed;

		TRY(was_changed(p->db, &o[i], &changed, err));
		if (changed && !o[i].changed)
			TRY(mark_changed(p->db, o[i].id, err));
		*ret = *ret || changed;
	}
	return SYNC_OK;
}

/* What was refused because the rest of its group is offered only (refused.c): together they are whole. */
static enum sync_status was_refused(struct sync_db *db, struct sync_view entity, struct sync_view root, bool *ret, struct sync_error *err)
{
	static const char refused[] = "SELECT 1 FROM sync_waiting WHERE root_entity = $1 AND root_id = $2"
				      "    AND done_us IS NULL AND kind = 'quarantine' AND code = 'incomplete' LIMIT 1";
	int64_t some;

	TRY(sync_db_number(db, refused, SYNC_ARGS(sync_string(entity), sync_string(root)), 0, &some, err));
	*ret = some != 0;
	return SYNC_OK;
}

static enum sync_status accept_one(struct page *p, const struct offer *o, bool *ret_possible, struct sync_error *err)
{
	TRY(sync_waiting_try(p->db, o->id, ret_possible, err));
	if (!*ret_possible)
		return SYNC_OK;
	p->accepted++;
	return close_older(p->db, o, err);
}

/* *ret_possible false: the transaction is to be rolled back. */
static enum sync_status accept_group(struct page *p, struct sync_view entity, struct offer *o, size_t n, bool *ret_possible,
				     struct sync_error *err)
{
	size_t latest = keep_latest(o, n);
	bool changed, refused;

	TRY(find_changed(p, o, latest, &changed, err));
	TRY(was_refused(p->db, entity, o->root, &refused, err));
	if (changed || refused)
		return SYNC_OK;
	for (size_t i = 0; i < latest && *ret_possible; i++)
		if (o[i].r.action == SYNC_PUT)
			TRY(accept_one(p, &o[i], ret_possible, err));
	for (size_t i = latest; i-- > 0 && *ret_possible;)
		if (o[i].r.action != SYNC_PUT)
			TRY(accept_one(p, &o[i], ret_possible, err));
	return SYNC_OK;
}

/* All that is open of the next groups. */
static enum sync_status read_groups(struct page *p, struct sync_view entity, int64_t groups, struct sync_error *err)
{
	static const char next[] = SELECT_OFFERS
	    "AND root_entity = $1 AND root_id > $2 AND root_id <= (SELECT max(root_id) FROM (SELECT DISTINCT root_id FROM sync_waiting"
	    "        WHERE kind = 'recovered' AND done_us IS NULL AND root_entity = $3 AND root_id > $4 ORDER BY root_id LIMIT $5) g)"
	    "    ORDER BY root_id";
	const struct sync_value name = sync_string(entity), after = sync_text(p->last_root);

	return read_page(p, next, SYNC_ARGS(name, after, name, after, sync_int(groups)), err);
}

static enum sync_status accept_groups(struct page *p, struct sync_view entity, int64_t groups, bool *ret_possible, struct sync_error *err)
{
	TRY(read_groups(p, entity, groups, err));
	for (size_t i = 0, end; i < p->n && *ret_possible; i = end) {
		for (end = i + 1; end < p->n && sync_view_eq(p->offer[end].root, p->offer[i].root);)
			end++;
		TRY(accept_group(p, entity, p->offer + i, end - i, ret_possible, err));
	}
	return SYNC_OK;
}

/* In one transaction, of which nothing stays if one group is impossible. */
static enum sync_status try_groups(struct page *p, struct sync_view entity, int64_t groups, bool *ret_possible, struct sync_error *err)
{
	enum sync_status status;

	p->accepted = 0;
	*ret_possible = true;
	TRY(sync_db_begin(p->db, true, err));
	status = accept_groups(p, entity, groups, ret_possible, err);
	if (status != SYNC_OK || !*ret_possible) {
		sync_db_rollback(p->db);
		return status;
	}
	TRY(sync_db_commit(p->db, err));
	p->ret->accepted += p->accepted;
	return SYNC_OK;
}

/* Where one group is impossible they are tried one by one. */
static enum sync_status accept_entity(struct page *p, struct sync_view entity, struct sync_error *err)
{
	int64_t alone = 0;
	bool possible;

	p->last_root[0] = '\0';
	do {
		TRY(try_groups(p, entity, alone > 0 ? 1 : GROUPS, &possible, err));
		if (!possible && alone == 0) {
			alone = GROUPS;
			continue;
		}
		alone -= alone > 0;
		if (p->n > 0)
			snprintf(p->last_root, sizeof p->last_root, "%.*s", SYNC_VIEW(p->offer[p->n - 1].root));
	} while (p->n > 0);
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

static enum sync_status read_names(struct sync_db *db, const char *sql, struct names *names, struct sync_error *err)
{
	names->n = 0;
	TRY(sync_db_run(db, sql, SYNC_NOARGS, take_name, names, err));
	if (names->n)
		qsort(names->name, names->n, sizeof *names->name, by_order);
	return SYNC_OK;
}

static enum sync_status count_left(struct sync_db *db, int64_t *ret, struct sync_error *err)
{
	static const char left[] = "SELECT count(*) FROM sync_waiting WHERE kind = 'recovered' AND done_us IS NULL";

	return sync_db_number(db, left, SYNC_NOARGS, 0, ret, err);
}

static enum sync_status settle(struct page *p, struct names *names, struct sync_error *err)
{
	static const char all[] = "SELECT DISTINCT entity FROM sync_waiting WHERE kind = 'recovered' AND done_us IS NULL";

	TRY(sync_route_all(p->db, err));
	TRY(read_names(p->db, all, names, err));
	for (size_t i = 0; i < names->n; i++)
		TRY(settle_entity(p, names->name[i], err));
	return SYNC_OK;
}

/* What is put may need what another group puts; what is deleted, that another one deletes first. */
static enum sync_status accept_all(struct page *p, struct names *names, struct sync_error *err)
{
	static const char all[] = "SELECT DISTINCT root_entity FROM sync_waiting WHERE kind = 'recovered' AND done_us IS NULL";
	int64_t before;

	TRY(read_names(p->db, all, names, err));
	do {
		before = p->ret->accepted;
		for (size_t i = 0; i < names->n; i++)
			TRY(accept_entity(p, names->name[i], err));
		for (size_t i = names->n; i-- > 0;)
			TRY(accept_entity(p, names->name[i], err));
	} while (p->ret->accepted > before);
	return SYNC_OK;
}

static void clear_page(struct page *p)
{
	sync_arena_clear(&p->arena);
}

static enum sync_status run(struct sync_db *db, bool accept, struct sync_recovered *ret, struct sync_error *err)
{
	defer(sync_arena_clear) struct sync_arena kept = { 0 };
	defer(clear_page) struct page p = { .db = db, .ret = ret };
	struct names names = { .arena = &kept };

	*ret = (struct sync_recovered){ 0 };
	TRY(settle(&p, &names, err));
	if (accept)
		TRY(accept_all(&p, &names, err));
	TRY(count_left(db, &ret->left, err));
	return accept ? sync_route(db, err) : SYNC_OK;
}

enum sync_status sync_recovered_settle(struct sync_db *db, struct sync_recovered *ret, struct sync_error *err)
{
	return run(db, false, ret, err);
}

enum sync_status sync_recovered_accept_all(struct sync_db *db, struct sync_recovered *ret, struct sync_error *err)
{
	return run(db, true, ret, err);
}

static enum sync_status discard_all(struct sync_db *db, int64_t *ret_n, struct sync_error *err)
{
	static const char close[] = "UPDATE sync_waiting SET done_us = $1, verdict = 'discarded'"
				    "    WHERE kind = 'recovered' AND done_us IS NULL";

	TRY(count_left(db, ret_n, err));
	return sync_db_run(db, close, SYNC_ARGS(sync_int(sync_now_us())), NULL, NULL, err);
}

enum sync_status sync_recovered_discard_all(struct sync_db *db, int64_t *ret_n, struct sync_error *err)
{
	TRY(sync_db_begin(db, true, err));
	return sync_db_finish(db, discard_all(db, ret_n, err), err);
}

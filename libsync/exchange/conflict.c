#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include <libsync/records.h>

#include "base/internal.h"
#include "exchange/lot.h"
#include "exchange/version.h"

static bool is_any(const struct sync_run *run)
{
	return run->e && run->e->owner == SYNC_OWNER_ANY;
}

/* "7." of site 7: how its versions begin. */
struct prefix {
	char text[24];
	size_t len;
};

static struct prefix prefix_of(int64_t site)
{
	struct prefix p;

	p.len = (size_t)snprintf(p.text, sizeof p.text, "%" PRId64 ".", site);
	return p;
}

static bool is_from(struct sync_view version, int64_t site)
{
	struct prefix p = prefix_of(site);

	return version.len > p.len && memcmp(version.data, p.text, p.len) == 0;
}

/* A version names who made it; what a site says of itself counts for itself only. */
static struct sync_view version_of(const struct sync_lot *lot, const struct sync_item *item)
{
	const struct sync_intake *in = lot->in;

	if (is_from(item->r->version, in->source) && item->r->version.len <= SYNC_VERSION_TEXT)
		return item->r->version;
	return sync_view_of(sync_say(lot->arena, "%s%s.%" PRId64, prefix_of(in->source).text, in->branch, item->r->seq));
}

/* What is longer is no version. */
static struct sync_view base_of(const struct sync_item *item)
{
	return item->r->base.len <= SYNC_VERSION_TEXT ? item->r->base : (struct sync_view){ 0 };
}

/*
 * When the edit was made by central's clock. Only its age counts, so a wrong clock cancels out, and it lies between the site's
 * last exchange, which would have carried it, and now. An unknown age is the greatest possible. What comes out of the inbox
 * arrived before exchanges that are not remembered: it has no lower bound, which favours nobody but the others.
 */
static int64_t edited_at(const struct sync_intake *in, const struct sync_item *item)
{
	int64_t oldest = item->waited || in->last_seen_us <= 0 ? 0 : in->last_seen_us;
	int64_t most = item->received_us > oldest ? item->received_us - oldest : 0;
	int64_t age_ms = item->r->age_ms;

	if (age_ms < 0)
		return oldest ? item->received_us - most : item->received_us;
	return item->received_us - (age_ms > most / 1000 ? most : age_ms * 1000);
}

static enum sync_status take_current(void *ctx, const struct sync_value *v, size_t n, struct sync_error *err)
{
	const struct sync_lot *lot = ctx;
	struct sync_item *item = sync_lot_find(lot, v[0].s, v[1].s);
	struct sync_current *current;

	(void)n;
	if (!item)
		return SYNC_OK;
	current = sync_arena_get(lot->arena, sizeof *current);
	if (!current)
		return sync_fail(err, SYNC_ENOMEM, "the version of a record");
	TRY(sync_keep_text(lot->arena, &v[2], &current->version, err));
	current->edited_us = v[3].i;
	current->creator = v[4].i;
	current->deleted = v[5].i != 0;
	item->current = current;
	return sync_keep_text(lot->arena, &v[6], &current->base, err);
}

/* What central itself did to records of the lot and the router has not taken yet: the last edit of each. */
struct own {
	struct sync_lot *lot;
	struct sync_own_edit *edits;
	size_t n;
};

static enum sync_status take_own(void *ctx, const struct sync_value *v, size_t n, struct sync_error *err)
{
	struct own *own = ctx;
	const struct sync_item *item = sync_lot_find(own->lot, v[0].s, v[1].s);
	struct sync_own_edit *last = own->n ? &own->edits[own->n - 1] : NULL;

	(void)n, (void)err;
	if (!item)
		return SYNC_OK;
	if (!last || last->entity != item->r->entity || !sync_view_eq(last->id, item->r->id))
		last = &own->edits[own->n++];
	*last = (struct sync_own_edit){ item->r->entity, item->r->id, v[2].i, v[3].i, sync_view_is(v[4].s, "D") };
	return SYNC_OK;
}

/* They become versions now, so that what is judged is an edit of another version. */
static enum sync_status make_own(struct sync_lot *lot, struct sync_error *err)
{
	static const char any[] = "SELECT 1 FROM sync_changelog WHERE source = 0 ORDER BY record_id LIMIT 1";
	struct own own = { .lot = lot };
	struct sync_run run = { 0 };
	struct sync_view *ids;
	int64_t some;
	size_t n;

	TRY(sync_db_number(lot->db, any, SYNC_NOARGS, 0, &some, err));
	if (!some)
		return SYNC_OK;
	own.edits = sync_arena_get(lot->arena, (lot->n + 1) * sizeof *own.edits);
	if (!own.edits)
		return sync_fail(err, SYNC_ENOMEM, "central's edits of %zu records", lot->n);
	while (sync_lot_next(lot, &run)) {
		if (!is_any(&run))
			continue;
		TRY(sync_run_select(lot, &run, sync_item_open, &ids, &n, err));
		TRY(sync_run_ids(lot->db, "SELECT entity, record_id, seq, at_us, action FROM sync_changelog WHERE record_id", ids, n,
		                 " AND entity = $2 AND source = 0 ORDER BY record_id, seq", SYNC_ARGS(sync_text(run.e->name)),
		                 take_own, &own, err));
	}
	return sync_own_versions(lot->db, own.edits, own.n, err);
}

static bool has_any(const struct sync_lot *lot)
{
	struct sync_run run = { 0 };

	while (sync_lot_next(lot, &run))
		if (is_any(&run))
			return true;
	return false;
}

/*
 * What an edit made at central became is in the queue, or else a version: the queue is looked at first. Whoever integrates another
 * edit of one of the records waits until this one is decided; all lock in the same order.
 */
enum sync_status sync_load_current(struct sync_lot *lot, struct sync_error *err)
{
	static const char head[] =
		"SELECT entity, record_id, version, edited_us, creator, deleted, base FROM sync_version WHERE record_id";
	const char *tail = sync_say(lot->arena, " AND entity = $2 ORDER BY record_id%s", sync_db_dialect(lot->db)->for_update);
	struct sync_run run = { 0 };
	struct sync_view *ids;
	size_t n;

	if (!has_any(lot))
		return SYNC_OK;
	TRY(make_own(lot, err));
	while (sync_lot_next(lot, &run)) {
		if (!is_any(&run))
			continue;
		TRY(sync_run_select(lot, &run, sync_item_open, &ids, &n, err));
		TRY(sync_run_ids(lot->db, head, ids, n, tail, SYNC_ARGS(sync_text(run.e->name)), take_current, lot, err));
	}
	return SYNC_OK;
}

/* A version that central has had before. */
static enum sync_status take_seen(void *ctx, const struct sync_value *v, size_t n, struct sync_error *err)
{
	struct sync_item *item = sync_lot_find(ctx, v[0].s, v[1].s);

	(void)n, (void)err;
	if (item && sync_view_eq(item->version, v[2].s))
		item->merit = SYNC_REPEATS;
	return SYNC_OK;
}

static bool may_repeat(const struct sync_lot *lot, const struct sync_item *item)
{
	return sync_item_open(lot, item) && item->current;
}

static enum sync_status find_repeats(struct sync_lot *lot, const struct sync_run *run, struct sync_error *err)
{
	struct sync_view *ids;
	const char *like;
	size_t n;

	TRY(sync_run_select(lot, run, may_repeat, &ids, &n, err));
	like = sync_say(lot->arena, "%s%%", prefix_of(lot->in->source).text);
	return sync_run_ids(lot->db, "SELECT entity, record_id, version FROM sync_seen WHERE record_id", ids, n,
	                    " AND entity = $2 AND version LIKE $3", SYNC_ARGS(sync_text(run->e->name), sync_text(like)),
	                    take_seen, lot, err);
}

/*
 * A site is not sent what it made itself, so its edits go on from the same base until it receives the record. What it has received
 * since is behind the current version if that is its own: only a central that was restored has the older of the two.
 */
static bool goes_on(const struct sync_lot *lot, const struct sync_item *item)
{
	return is_from(item->current->version, lot->in->source) && sync_view_eq(base_of(item), item->current->base);
}

static enum sync_merit weigh(const struct sync_lot *lot, const struct sync_item *item)
{
	const struct sync_current *current = item->current;

	if (!current || sync_view_eq(item->r->base, current->version) || goes_on(lot, item))
		return SYNC_APPLIES;
	return item->edited_us > current->edited_us ? SYNC_WINS : SYNC_LOSES;
}

enum sync_status sync_weigh_edits(struct sync_lot *lot, struct sync_error *err)
{
	struct sync_run run = { 0 };

	while (sync_lot_next(lot, &run)) {
		if (!is_any(&run) || SYNC_FAULT(conflicts_not_seen))
			continue;
		for (size_t i = 0; i < run.n; i++) {
			run.items[i]->version = version_of(lot, run.items[i]);
			run.items[i]->edited_us = edited_at(lot->in, run.items[i]);
		}
		TRY(find_repeats(lot, &run, err));
		for (size_t i = 0; i < run.n; i++)
			if (run.items[i]->merit == SYNC_APPLIES)
				run.items[i]->merit = weigh(lot, run.items[i]);
	}
	return SYNC_OK;
}

/* losers */

static const struct sync_reason incoming_lost = { .code = "conflict", .text = "a later edit has won" };
static const struct sync_reason stored_lost = { .code = "conflict", .text = "central's version lost to a later edit" };

static bool has_won(const struct sync_lot *lot, const struct sync_item *item)
{
	return sync_item_open(lot, item) && item->merit == SYNC_WINS;
}

/* The site in "site.branch.seq"; 0 where it has another form. */
static int64_t site_of(struct sync_view version)
{
	int64_t site = 0;

	for (size_t i = 0; i < version.len && version.data[i] >= '0' && version.data[i] <= '9' && site < INT64_MAX / 100; i++)
		site = site * 10 + (version.data[i] - '0');
	return site;
}

/* What central has of a record that an incoming edit overwrites; a delete is kept as one. */
static enum sync_status keep_stored(const struct sync_lot *lot, const struct sync_item *item, struct sync_record *stored,
                                    struct sync_question *ret, struct sync_error *err)
{
	if (!stored->values) {
		stored->action = SYNC_DELETE;
		stored->root = item->r->root;
	}
	stored->version = item->current->version;
	*ret = (struct sync_question){ .kind = "conflict", .site = site_of(stored->version), .r = stored, .why = &stored_lost };
	return sync_frame_of(lot->arena, stored, &ret->frame, err);
}

static enum sync_status keep_overwritten(struct sync_lot *lot, const struct sync_run *run, struct sync_error *err)
{
	struct sync_question *questions;
	struct sync_record *stored;
	struct sync_view *ids;
	size_t n;

	TRY(sync_run_select(lot, run, has_won, &ids, &n, err));
	if (!n)
		return SYNC_OK;
	questions = sync_arena_get(lot->arena, n * sizeof *questions);
	stored = sync_arena_get(lot->arena, n * sizeof *stored);
	if (!stored || !questions)
		return sync_fail(err, SYNC_ENOMEM, "%zu conflicts", n);
	TRY(sync_records_get(lot->db, run->e, (struct sync_view){ 0 }, ids, n, lot->arena, stored, err));
	for (size_t i = 0; i < n; i++)
		TRY(keep_stored(lot, sync_lot_find(lot, stored[i].name, stored[i].id), &stored[i], &questions[i], err));
	return sync_waiting_put(lot, questions, n, err);
}

static enum sync_status keep_incoming(struct sync_lot *lot, const struct sync_run *run, struct sync_error *err)
{
	struct sync_question *questions = sync_arena_get(lot->arena, run->n * sizeof *questions);
	size_t n = 0;

	if (!questions)
		return sync_fail(err, SYNC_ENOMEM, "%zu conflicts", run->n);
	for (size_t i = 0; i < run->n; i++) {
		const struct sync_item *item = run->items[i];

		if (!sync_item_open(lot, item) || item->merit != SYNC_LOSES || SYNC_FAULT(loser_not_kept))
			continue;
		questions[n] = (struct sync_question){ .kind = "conflict", .site = lot->in->source, .r = item->r, .why = &incoming_lost };
		TRY(sync_item_frame(lot, item, &questions[n++].frame, err));
	}
	return sync_waiting_put(lot, questions, n, err);
}

enum sync_status sync_keep_losers(struct sync_lot *lot, struct sync_error *err)
{
	struct sync_run run = { 0 };

	while (sync_lot_next(lot, &run)) {
		if (!is_any(&run))
			continue;
		TRY(keep_overwritten(lot, &run, err));
		TRY(keep_incoming(lot, &run, err));
	}
	return SYNC_OK;
}

/* versions */

static enum sync_status put_versions(struct sync_lot *lot, const struct sync_run *run, struct sync_error *err)
{
	struct sync_version *v = sync_arena_get(lot->arena, run->n * sizeof *v);
	size_t n = 0;

	if (!v)
		return sync_fail(err, SYNC_ENOMEM, "%zu versions of %s", run->n, run->e->name);
	for (size_t i = 0; i < run->n; i++) {
		const struct sync_item *item = run->items[i];
		struct sync_view version = sync_lot_judged(lot) ? item->version : item->r->version;

		if (!sync_item_applies(lot, item) || !version.len)
			continue;
		v[n++] = (struct sync_version){
			.entity = item->r->name, .id = item->r->id, .version = version,
			.edited_us = item->edited_us, .received_us = item->received_us,
			.creator = item->current ? item->current->creator : item->exists ? 0 : lot->in->source,
			.deleted = item->r->action == SYNC_DELETE,
			.base = sync_lot_judged(lot) ? base_of(item) : (struct sync_view){ 0 },
		};
	}
	return sync_versions_put(lot->db, v, n, err);
}

/* Also of those that lost: the same edit, sent again, would be kept twice. */
static enum sync_status put_seen(struct sync_lot *lot, const struct sync_run *run, struct sync_error *err)
{
	struct sync_version *v = sync_arena_get(lot->arena, run->n * sizeof *v);
	size_t n = 0;

	if (!v)
		return sync_fail(err, SYNC_ENOMEM, "%zu versions of %s", run->n, run->e->name);
	for (size_t i = 0; i < run->n; i++) {
		const struct sync_item *item = run->items[i];

		if (!sync_item_open(lot, item) || item->merit == SYNC_REPEATS)
			continue;
		v[n++] = (struct sync_version){ .entity = item->r->name, .id = item->r->id, .version = item->version };
	}
	return sync_versions_had(lot->db, v, n, lot->in->now_us, err);
}

/* A site: the next edit begins from what came now, so the base of edits that central has integrated is forgotten. */
static enum sync_status clear_bases(struct sync_lot *lot, const struct sync_run *run, struct sync_error *err)
{
	struct sync_view *ids;
	size_t n;

	TRY(sync_run_select(lot, run, sync_item_applies, &ids, &n, err));
	return sync_run_ids(lot->db, "UPDATE sync_changelog SET base = NULL WHERE record_id", ids, n,
	                    " AND entity = $2 AND base IS NOT NULL", SYNC_ARGS(sync_text(run->e->name)), NULL, NULL, err);
}

enum sync_status sync_keep_versions(struct sync_lot *lot, struct sync_error *err)
{
	struct sync_run run = { 0 };

	while (sync_lot_next(lot, &run)) {
		if (!is_any(&run))
			continue;
		TRY(put_versions(lot, &run, err));
		if (sync_lot_judged(lot))
			TRY(put_seen(lot, &run, err));
		else if (sync_db_role(lot->db) == SYNC_SITE)
			TRY(clear_bases(lot, &run, err));
	}
	return SYNC_OK;
}

#include "exchange/integrate.h"

#include <string.h>

#include <libsync/records.h>

#include "base/internal.h"
#include "db/inbox.h"
#include "exchange/collect.h"
#include "exchange/lot.h"

/*
 * arrived -> lot: whole groups of one source, joined with what waits of them
 *         -> faults, rights | local edits, missing fields, conflicts, references: each may fail groups
 *         -> tables | inbox | sync_waiting, verdicts
 *         -> groups that waited for what is in the tables now: the next lot
 */

enum {
	LOT_ROOTS = 500,    /* groups retried together */
	RETRY_MOST = 2000,  /* records retried in one call, unless one lot has more; sync_integrate_waiting() finds the rest */
};

/* A group in the inbox that may go on. */
struct ready {
	struct ready *next;
	int64_t source;
	struct sync_view root_id;
};

/* One call. */
struct work {
	struct sync_db *db;
	const struct sync_intake *in;
	struct sync_outcome *out;
	struct sync_arena arena; /* of the present lot */
	struct sync_arena kept;  /* of the whole call */
	bool inbox;              /* whether anything waits there, of any source */
	struct ready *ready;
	int64_t left;            /* of RETRY_MOST */
};

static void clear_work(struct work *w)
{
	sync_arena_clear(&w->arena);
	sync_arena_clear(&w->kept);
}

/* checks */

static void check_faults(struct sync_lot *lot)
{
	for (size_t i = 0; i < lot->n; i++) {
		const struct sync_fault *fault = lot->items[i].r->fault;

		if (fault)
			sync_item_fail(lot, &lot->items[i], SYNC_WAITS,
			               (struct sync_reason){ .code = fault->code, .field = fault->field, .text = fault->text });
	}
}

/* A required field that a put does not have, or -1: only a record that exists may omit it. */
static int missing_field(const struct sync_record *r)
{
	for (size_t i = 1; i < r->entity->n_fields; i++) {
		const struct sync_field *f = &r->entity->fields[i];

		if (r->values[i].kind == SYNC_ABSENT && f->required && !f->fallback && !f->local)
			return (int)i;
	}
	return -1;
}

static bool is_incomplete(const struct sync_lot *lot, const struct sync_item *item)
{
	return sync_item_applies(lot, item) && item->r->values && missing_field(item->r) >= 0;
}

static void fail_incomplete(struct sync_lot *lot, struct sync_item *item)
{
	const struct sync_field *f = &item->r->entity->fields[missing_field(item->r)];
	const char *text = sync_say(lot->arena, "%s is required, and the record does not exist yet", f->name);

	sync_item_fail(lot, item, SYNC_WAITS,
	               (struct sync_reason){ "missing_field", f->name, item->r->name, item->r->id, text });
}

static enum sync_status check_complete(struct sync_lot *lot, struct sync_error *err)
{
	struct sync_run run = { 0 };
	struct sync_view *ids;
	bool *exist;
	size_t n;

	while (sync_lot_next(lot, &run)) {
		if (!run.e)
			continue;
		TRY(sync_run_select(lot, &run, is_incomplete, &ids, &n, err));
		if (!n)
			continue;
		exist = sync_arena_get(lot->arena, n);
		if (!exist)
			return sync_fail(err, SYNC_ENOMEM, "%zu incomplete records", n);
		TRY(sync_records_exist(lot->db, run.e, ids, n, exist, err));
		for (size_t i = 0; i < n; i++)
			if (!exist[i])
				fail_incomplete(lot, sync_lot_find(lot, sync_view_of(run.e->name), ids[i]));
	}
	return SYNC_OK;
}

static enum sync_status judge(struct sync_lot *lot, struct sync_error *err)
{
	check_faults(lot);
	if (sync_db_role(lot->db) == SYNC_SITE && !SYNC_FAULT(local_edit_overwritten))
		TRY(sync_check_local_edits(lot, err));
	if (sync_lot_judged(lot)) {
		if (!SYNC_FAULT(rights_not_checked))
			TRY(sync_check_rights(lot, err));
		TRY(sync_check_refused(lot, err));
		TRY(sync_weigh_edits(lot, err));
		TRY(sync_find_overtaken(lot, err));
	}
	TRY(check_complete(lot, err));
	return sync_check_references(lot, err);
}

/* effects */

static enum sync_status apply(struct work *w, struct sync_lot *lot, struct sync_error *err)
{
	const struct sync_record **r = sync_arena_get(lot->arena, (lot->n + 1) * sizeof(*r));
	bool *fresh = sync_arena_get(lot->arena, lot->n + 1);
	size_t n = 0;

	if (!r || !fresh)
		return sync_fail(err, SYNC_ENOMEM, "applying %zu records", lot->n);
	for (size_t i = 0; i < lot->n; i++) {
		const struct sync_item *item = &lot->items[i];

		if (!sync_item_applies(lot, item))
			continue;
		fresh[n] = sync_lot_judged(lot) && !item->exists;
		r[n++] = item->r;
	}
	w->out->applied += (int64_t)n;
	return sync_apply(lot->db, lot->in->source, r, fresh, n, err);
}

static enum sync_status inbox_row(const struct sync_lot *lot, const struct sync_item *item, struct sync_inbox_row *ret,
                                  struct sync_error *err)
{
	static const struct sync_reason of_group = { .code = "group", .text = "another record of its group waits" };
	const struct sync_reason *why = item->why.code ? &item->why : &of_group;
	struct sync_view root_entity;

	*ret = (struct sync_inbox_row){
		.source = lot->in->source, .entity = item->r->name, .record_id = item->r->id, .seq = item->r->seq,
		.code = sync_view_of(why->code), .field = sync_view_of(why->field), .text = sync_view_of(why->text),
		.needs_entity = why->needs_entity, .needs_id = why->needs_id, .received_us = item->received_us,
	};
	sync_root_of(item->r, &root_entity, &ret->root_id);
	return sync_item_frame(lot, item, &ret->frame, err);
}

/* What there is nothing left to do with does not wait with its group. */
static bool is_to_wait(const struct sync_lot *lot, const struct sync_item *item)
{
	return lot->fates[item->group] == SYNC_WAITS && item->merit != SYNC_REPEATS;
}

static enum sync_status keep_waiting(struct work *w, struct sync_lot *lot, struct sync_error *err)
{
	struct sync_inbox_row *rows;
	size_t n = 0;

	if (!lot->failures || SYNC_FAULT(inbox_not_kept))
		return SYNC_OK;
	rows = sync_arena_get(lot->arena, lot->n * sizeof *rows);
	if (!rows)
		return sync_fail(err, SYNC_ENOMEM, "%zu records for the inbox", lot->n);
	for (size_t i = 0; i < lot->n; i++)
		if (is_to_wait(lot, &lot->items[i]))
			TRY(inbox_row(lot, &lot->items[i], &rows[n++], err));
	w->inbox |= n > 0;
	return sync_inbox_put(lot->db, rows, n, err);
}

/* How many more rows of the call's source wait now: was_code tells of those that were taken out of the inbox. */
static void count_rows(struct work *w, const struct sync_lot *lot)
{
	if (lot->in->source != w->in->source)
		return;
	w->out->deciding += lot->questions;
	for (size_t i = 0; i < lot->n; i++)
		w->out->arriving += is_to_wait(lot, &lot->items[i]) - (lot->items[i].was_code != NULL);
}

static void count(struct work *w, const struct sync_lot *lot)
{
	count_rows(w, lot);
	for (size_t i = 0; i < lot->n; i++) {
		const struct sync_item *item = &lot->items[i];

		if (is_to_wait(lot, item) && !item->waited)
			w->out->waiting++;
		if (lot->fates[item->group] == SYNC_REFUSED)
			w->out->refused++;
		if (sync_item_open(lot, item) && (item->merit == SYNC_WINS || item->merit == SYNC_LOSES))
			w->out->conflicts++;
	}
}

static enum sync_status add_ready(struct work *w, int64_t source, struct sync_view root_id, struct sync_error *err)
{
	struct ready *ready = sync_arena_get(&w->kept, sizeof *ready);

	if (!ready)
		return sync_fail(err, SYNC_ENOMEM, "a group to retry");
	*ready = (struct ready){ w->ready, source, sync_arena_copy(&w->kept, root_id) };
	if (!ready->root_id.data)
		return sync_fail(err, SYNC_ENOMEM, "a group to retry");
	w->ready = ready;
	return SYNC_OK;
}

static enum sync_status note_ready(void *ctx, const struct sync_inbox_row *row, struct sync_error *err)
{
	return add_ready(ctx, row->source, row->root_id, err);
}

static enum sync_status find_ready(struct work *w, const struct sync_lot *lot, struct sync_error *err)
{
	struct sync_run run = { 0 };
	struct sync_view *ids;
	size_t n;

	while (w->inbox && sync_lot_next(lot, &run)) {
		if (!run.e)
			continue;
		TRY(sync_run_select(lot, &run, sync_item_applies, &ids, &n, err));
		TRY(sync_inbox_waiting_for(lot->db, sync_view_of(run.e->name), ids, n, note_ready, w, err));
	}
	return SYNC_OK;
}

static enum sync_status integrate_lot(struct work *w, struct sync_lot *lot, struct sync_error *err)
{
	TRY(sync_lot_sort(lot, err));
	TRY(judge(lot, err));
	if (sync_lot_judged(lot)) {
		TRY(sync_keep_losers(lot, err));
		TRY(sync_keep_replaced(lot, err));
		TRY(sync_keep_deletes(lot, err));
	}
	TRY(apply(w, lot, err));
	TRY(sync_keep_versions(lot, err));
	TRY(keep_waiting(w, lot, err));
	if (sync_lot_judged(lot)) {
		TRY(sync_keep_refused(lot, err));
		TRY(sync_find_merged(lot, err));
		TRY(sync_tell_sender(lot, err));
	}
	count(w, lot);
	return find_ready(w, lot, err);
}

/* calls */

static enum sync_status integrate_some(struct work *w, const struct sync_record *r, const struct sync_view *lines, size_t n,
                                       size_t *ret_fits, struct sync_error *err)
{
	struct sync_lot lot;
	struct sync_collect collect = { &lot, note_ready, w };
	size_t fits;

	sync_arena_reset(&w->arena);
	TRY(sync_lot_open(&lot, w->db, w->in, &w->arena, n, err));
	TRY(sync_collect_arrived(&lot, r, lines, n, &fits, err));
	if (fits < n) {
		sync_arena_reset(&w->arena);
		TRY(sync_lot_open(&lot, w->db, w->in, &w->arena, fits, err));
		TRY(sync_collect_arrived(&lot, r, lines, fits, &fits, err));
	}
	if (w->inbox)
		TRY(sync_collect_waiting(&collect, err));
	*ret_fits = fits;
	return integrate_lot(w, &lot, err);
}

/* The next groups of one source from the list of those that are ready. */
static size_t next_ready(struct work *w, int64_t *ret_source, struct sync_view *ret_roots)
{
	size_t n = 0;

	for (struct ready **at = &w->ready; *at && n < LOT_ROOTS;) {
		struct ready *ready = *at;

		if (n == 0)
			*ret_source = ready->source;
		if (ready->source != *ret_source) {
			at = &ready->next;
			continue;
		}
		ret_roots[n++] = ready->root_id;
		*at = ready->next;
	}
	return n;
}

/*
 * One transaction at a time takes a site's groups out of the inbox and puts them back: with SQLite there is no other. Whoever
 * came because of another site's record does not wait for it; what is ready stays so.
 */
static enum sync_status lock_source(struct sync_db *db, int64_t source, bool wait, bool *ret, struct sync_error *err)
{
	static const char wait_for[] = "SELECT 1 FROM sync_site WHERE site_id = $1 FOR UPDATE";
	static const char try_once[] = "SELECT 1 FROM sync_site WHERE site_id = $1 FOR UPDATE SKIP LOCKED";
	int64_t locked = 1;

	if (source != 0 && sync_db_dialect(db)->postgres)
		TRY(sync_db_number(db, wait ? wait_for : try_once, SYNC_ARGS(sync_int(source)), 0, &locked, err));
	*ret = locked != 0;
	return SYNC_OK;
}

static enum sync_status retry_some(struct work *w, struct sync_error *err)
{
	struct sync_view roots[LOT_ROOTS];
	struct sync_intake in = *w->in;
	struct sync_lot lot;
	struct sync_collect collect = { &lot, note_ready, w };
	size_t n = next_ready(w, &in.source, roots);
	bool locked;

	TRY(lock_source(w->db, in.source, false, &locked, err));
	if (!locked)
		return SYNC_OK;
	in.at = NULL;
	if (in.source != w->in->source)
		in.branch = "";
	sync_arena_reset(&w->arena);
	TRY(sync_lot_open(&lot, w->db, &in, &w->arena, n, err));
	TRY(sync_collect_roots(&collect, roots, n, err));
	w->left -= (int64_t)lot.n;
	return lot.n ? integrate_lot(w, &lot, err) : SYNC_OK;
}

/* What is ready may make more ready. */
static enum sync_status retry(struct work *w, struct sync_error *err)
{
	while (w->ready && w->left > 0)
		TRY(retry_some(w, err));
	return SYNC_OK;
}

enum sync_status sync_integrate(struct sync_db *db, const struct sync_intake *in, const struct sync_record *r,
                                const struct sync_view *lines, size_t n, struct sync_outcome *ret, struct sync_error *err)
{
	defer(clear_work) struct work w = { .db = db, .in = in, .out = ret, .left = RETRY_MOST };
	bool locked;

	TRY(lock_source(db, in->source, true, &locked, err));
	TRY(sync_inbox_any(db, &w.inbox, err));
	for (size_t fits; n > 0; r += fits, lines += fits, n -= fits)
		TRY(integrate_some(&w, r, lines, n, &fits, err));
	return retry(&w, err);
}

/* A site: how far central has integrated its edits. */
static enum sync_status integrated_upto(struct sync_db *db, int64_t *ret, struct sync_error *err)
{
	static const char get[] = "SELECT out_integrated FROM sync_link";

	*ret = 0;
	return sync_db_role(db) == SYNC_SITE ? sync_db_number(db, get, SYNC_NOARGS, 0, ret, err) : SYNC_OK;
}

enum sync_status sync_integrate_waiting(struct sync_db *db, int64_t now_us, int64_t limit, bool *ret_more,
                                        struct sync_error *err)
{
	struct sync_outcome outcome = { 0 };
	struct sync_intake in = { .now_us = now_us, .branch = "" };
	defer(clear_work) struct work w = { .db = db, .in = &in, .out = &outcome, .left = limit };
	bool more = false;

	TRY(sync_inbox_any(db, &w.inbox, err));
	if (w.inbox && !SYNC_FAULT(never_retried)) {
		TRY(integrated_upto(db, &in.integrated, err));
		TRY(sync_inbox_settled(db, in.integrated, note_ready, &w, err));
		TRY(sync_inbox_ready(db, limit, note_ready, &w, &more, err));
		TRY(retry(&w, err));
	}
	*ret_more = more || w.ready;
	return SYNC_OK;
}

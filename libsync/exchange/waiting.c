#include <libsync/site.h>

#include <inttypes.h>

#include <libsync/command.h>
#include <libsync/records.h>
#include <libsync/time.h>

#include "base/internal.h"
#include "exchange/integrate.h"
#include "exchange/route.h"
#include "exchange/waiting.h"

enum { MAX_SQL = 1024 };

struct each {
	enum sync_status (*fn)(void *ctx, const struct sync_waiting *w, struct sync_error *err);
	void *ctx;
	struct sync_arena arena;
};

static const char *text_of(struct sync_arena *arena, const struct sync_value *v)
{
	struct sync_view copy = { 0 };

	if (v->kind == SYNC_STRING)
		copy = sync_arena_copy(arena, v->s);
	return copy.data ? copy.data : "";
}

static enum sync_status show(void *ctx, const struct sync_value *v, size_t n, struct sync_error *err)
{
	struct each *each = ctx;
	struct sync_waiting w = { .id = v[0].i, .at_us = v[8].i };

	(void)n;
	sync_arena_reset(&each->arena);
	w.kind = text_of(&each->arena, &v[1]);
	w.site = text_of(&each->arena, &v[2]);
	w.entity = text_of(&each->arena, &v[3]);
	w.record_id = text_of(&each->arena, &v[4]);
	w.code = text_of(&each->arena, &v[5]);
	w.field = text_of(&each->arena, &v[6]);
	w.text = text_of(&each->arena, &v[7]);
	return each->fn(each->ctx, &w, err);
}

#define SELECT_OPEN                                                                                                    \
	"SELECT w.id, w.kind, coalesce(s.name, ''), w.entity, w.record_id, w.code, w.field, w.text, w.at_us"           \
	"    FROM sync_waiting w LEFT JOIN sync_site s ON s.site_id = w.site_id WHERE w.done_us IS NULL AND w.kind "

enum sync_status sync_waiting_each(struct sync_db *db,
                                   enum sync_status (*fn)(void *ctx, const struct sync_waiting *w, struct sync_error *err), void *ctx,
                                   struct sync_error *err)
{
	static const char open[] = SELECT_OPEN "<> 'recovered' ORDER BY w.id";
	struct each each = { .fn = fn, .ctx = ctx };
	enum sync_status status = sync_db_run(db, open, SYNC_NOARGS, show, &each, err);

	sync_arena_clear(&each.arena);
	return status;
}

enum sync_status sync_recovered_each(struct sync_db *db, int64_t after, int64_t limit,
                                     enum sync_status (*fn)(void *ctx, const struct sync_waiting *w, struct sync_error *err), void *ctx,
                                     struct sync_error *err)
{
	static const char open[] = SELECT_OPEN "= 'recovered' AND w.id > $1 ORDER BY w.id LIMIT $2";
	struct each each = { .fn = fn, .ctx = ctx };
	enum sync_status status = sync_db_run(db, open, SYNC_ARGS(sync_int(after), sync_int(limit)), show, &each, err);

	sync_arena_clear(&each.arena);
	return status;
}

/* One row that waits, read again in the transaction that decides it. */
struct wait {
	int64_t id, site_id;
	bool recovered; /* it is to be one that was offered; else none of those */
	bool found, done;
	struct sync_view kind, line;
	struct sync_record record;
	struct sync_arena arena;
};

static void clear_wait(struct wait *w)
{
	sync_arena_clear(&w->arena);
}

static enum sync_status take_wait(void *ctx, const struct sync_value *v, size_t n, struct sync_error *err)
{
	struct wait *w = ctx;

	(void)n;
	w->found = true;
	w->site_id = v[0].i;
	w->kind = sync_arena_copy(&w->arena, v[1].s);
	w->line = sync_arena_copy(&w->arena, v[2].s);
	w->done = v[3].kind == SYNC_INT;
	if (!w->kind.data || !w->line.data)
		return sync_fail(err, SYNC_ENOMEM, "reading what waits as %" PRId64, w->id);
	return SYNC_OK;
}

static enum sync_status read_wait(struct sync_db *db, struct wait *w, struct sync_error *err)
{
	static const char find[] = "SELECT site_id, kind, frame, done_us FROM sync_waiting WHERE id = $1";

	TRY(sync_db_run(db, find, SYNC_ARGS(sync_int(w->id)), take_wait, w, err));
	if (!w->found || sync_view_is(w->kind, "recovered") != w->recovered)
		return sync_fail(err, SYNC_ENOTFOUND, "nothing waits as %" PRId64 ": central %s list shows what does", w->id,
		                 w->recovered ? "recovered" : "waiting");
	if (w->done)
		return sync_fail(err, SYNC_EINVALID, "%" PRId64 " has been decided before", w->id);
	return sync_record_read(&w->record, &w->arena, w->line, &sync_default_limits, err);
}

/* Decided once: of two people only the first. */
static enum sync_status close_wait(struct sync_db *db, const struct wait *w, const char *verdict, struct sync_error *err)
{
	static const char close[] =
		"UPDATE sync_waiting SET done_us = $1, verdict = $2 WHERE id = $3 AND done_us IS NULL RETURNING id";
	int64_t closed;

	TRY(sync_db_number(db, close, SYNC_ARGS(sync_int(sync_now_us()), sync_text(verdict), sync_int(w->id)), 0, &closed, err));
	return closed ? SYNC_OK : sync_fail(err, SYNC_EINVALID, "%" PRId64 " has been decided before", w->id);
}

/* What the site was told is settled. Nobody was told that an edit of central itself has lost, or that something was offered. */
static enum sync_status tell_site(struct sync_db *db, const struct wait *w, const char *code, const char *text, struct sync_error *err)
{
	if (w->site_id == 0 || sync_view_is(w->kind, "recovered"))
		return SYNC_OK;
	return sync_verdict_add(db, w->site_id, "resolved", &w->record, code, NULL, text, sync_now_us(), err);
}

static enum sync_status check_reference(struct sync_db *db, const struct sync_field *f, const struct sync_value *v, struct sync_error *err)
{
	const struct sync_entity *target = sync_field_target(f);
	bool exists;

	if (!target || f->soft || v->kind != SYNC_STRING)
		return SYNC_OK;
	TRY(sync_records_exist(db, target, &v->s, 1, &exists, err));
	if (!exists)
		return sync_fail(err, SYNC_EINVALID, "%s names %s '%.*s', which does not exist", f->name, target->name, SYNC_VIEW(v->s));
	return SYNC_OK;
}

/* A new record needs every required field; of one that exists, what did not come stays as it is. */
static enum sync_status check_complete(struct sync_db *db, const struct sync_record *r, struct sync_error *err)
{
	bool exists;

	TRY(sync_records_exist(db, r->entity, &r->id, 1, &exists, err));
	for (size_t i = 0; !exists && i < r->entity->n_fields; i++) {
		const struct sync_field *f = &r->entity->fields[i];

		if (f->required && !f->fallback && !f->local && r->values[i].kind == SYNC_ABSENT)
			return sync_fail(err, SYNC_EINVALID, "%s.%s is required, and missing", r->entity->name, f->name);
	}
	return SYNC_OK;
}

static enum sync_status refuse_named(void *ctx, const struct sync_value *v, size_t n, struct sync_error *err)
{
	const struct sync_field *f = ctx;

	(void)n;
	return sync_fail(err, SYNC_EINVALID, "%s of %.*s '%.*s' still names it: that has to go first", f->name, SYNC_VIEW(v[0].s),
	                 SYNC_VIEW(v[1].s));
}

static enum sync_status check_referrer(struct sync_db *db, const struct sync_record *r, const struct sync_entity *e,
                                       const struct sync_field *f, struct sync_error *err)
{
	defer(sync_buf_clear) struct sync_buf sql = { .max = MAX_SQL };

	sync_buf_addf(&sql, "SELECT '%s', id FROM \"%s\" WHERE \"%s\" = $1 LIMIT 1", e->name, e->name, f->name);
	TRY(sync_buf_check(&sql, err));
	return sync_db_run_text(db, sql.data, SYNC_ARGS(sync_string(r->id)), refuse_named, (void *)(uintptr_t)f, err);
}

/* What is deleted has no children, and nothing else names it. */
static enum sync_status check_unnamed(struct sync_db *db, const struct sync_record *r, struct sync_error *err)
{
	size_t n;
	const struct sync_entity *const *all = sync_entities(&n);

	for (size_t i = 0; i < n; i++) {
		for (size_t k = 0; k < all[i]->n_fields; k++) {
			const struct sync_field *f = &all[i]->fields[k];

			if (sync_field_target(f) == r->entity && !f->soft && !f->local)
				TRY(check_referrer(db, r, all[i], f, err));
		}
	}
	return SYNC_OK;
}

/* Whether central itself could make this edit. */
static enum sync_status check_possible(struct sync_db *db, const struct sync_record *r, struct sync_error *err)
{
	if (r->fault)
		return sync_fail(err, SYNC_EINVALID, "still impossible: %s", r->fault->text);
	if (r->action == SYNC_DROP)
		return sync_fail(err, SYNC_EINVALID, "a site keeps a record or deletes it, what is dropped central decides: discard it");
	if (!r->entity)
		return SYNC_OK;
	if (r->action == SYNC_DELETE)
		return check_unnamed(db, r, err);
	TRY(check_complete(db, r, err));
	for (size_t i = 0; i < r->entity->n_fields; i++)
		TRY(check_reference(db, &r->entity->fields[i], &r->values[i], err));
	return SYNC_OK;
}

static enum sync_status accept_edit(struct sync_db *db, const struct wait *w, struct sync_error *err)
{
	const struct sync_record *r = &w->record;

	TRY(check_possible(db, r, err));
	TRY(sync_apply(db, 0, &r, NULL, 1, err));
	return tell_site(db, w, "accepted", "central has accepted this edit", err);
}

static enum sync_status take_source(void *ctx, const struct sync_value *v, size_t n, struct sync_error *err)
{
	struct sync_intake *in = ctx;

	(void)n, (void)err;
	in->last_seen_us = v[0].kind == SYNC_INT ? v[0].i : 0;
	return SYNC_OK;
}

/* From here on this site may make that record visible to its stores; the join that asked for it is its own edit. */
static enum sync_status accept_grant(struct sync_db *db, const struct wait *w, struct sync_error *err)
{
	static const char grant[] =
		"INSERT INTO sync_grant(site_id, entity, record_id, at_us) VALUES ($1, $2, $3, $4)"
		"    ON CONFLICT (site_id, entity, record_id) DO NOTHING";
	static const char source[] = "SELECT last_seen_us FROM sync_site WHERE site_id = $1";
	const struct sync_record *r = &w->record;
	struct sync_intake in = { .source = w->site_id, .now_us = sync_now_us(), .branch = "" };
	struct sync_outcome outcome = { 0 };
	int i = r->entity && r->entity->creator_grants ? sync_field_find(r->entity, sync_view_of(r->entity->creator_grants)) : -1;

	if (i < 0 || !r->values || r->values[i].kind != SYNC_STRING)
		return sync_fail(err, SYNC_EINVALID, "%.*s '%.*s' makes nothing visible", SYNC_VIEW(r->name), SYNC_VIEW(r->id));
	TRY(sync_db_run(db, grant,
	                SYNC_ARGS(sync_int(w->site_id), sync_text(sync_field_target(&r->entity->fields[i])->name),
	                          sync_string(r->values[i].s), sync_int(in.now_us)),
	                NULL, NULL, err));
	TRY(sync_db_run(db, source, SYNC_ARGS(sync_int(w->site_id)), take_source, &in, err));
	TRY(sync_integrate(db, &in, r, &w->line, 1, &outcome, err));
	if (outcome.refused > 0)
		return sync_fail(err, SYNC_EINVALID, "still impossible: site may not edit %.*s '%.*s'", SYNC_VIEW(r->name), SYNC_VIEW(r->id));
	return outcome.applied > 0 ? tell_site(db, w, "granted", "central has granted this", err) : SYNC_OK;
}

static enum sync_status accept(struct sync_db *db, struct wait *w, struct sync_error *err)
{
	TRY(read_wait(db, w, err));
	TRY(close_wait(db, w, "accepted", err));
	return sync_view_is(w->kind, "grant") ? accept_grant(db, w, err) : accept_edit(db, w, err);
}

enum sync_status sync_waiting_try(struct sync_db *db, int64_t id, bool *ret_done, struct sync_error *err)
{
	defer(clear_wait) struct wait w = { .id = id, .recovered = true };
	const struct sync_record *r = &w.record;
	enum sync_status possible;

	TRY(read_wait(db, &w, err));
	possible = check_possible(db, r, err);
	*ret_done = possible == SYNC_OK;
	if (possible != SYNC_OK)
		return possible == SYNC_EINVALID ? SYNC_OK : possible;
	TRY(close_wait(db, &w, "accepted", err));
	return sync_apply(db, 0, &r, NULL, 1, err);
}

static enum sync_status discard(struct sync_db *db, struct wait *w, struct sync_error *err)
{
	TRY(read_wait(db, w, err));
	TRY(close_wait(db, w, "discarded", err));
	return tell_site(db, w, "discarded", "central has decided against this edit", err);
}

static enum sync_status decide(struct sync_db *db, int64_t id, bool recovered,
                               enum sync_status (*how)(struct sync_db *db, struct wait *w, struct sync_error *err),
                               struct sync_error *err)
{
	defer(clear_wait) struct wait w = { .id = id, .recovered = recovered };

	TRY(sync_db_begin(db, true, err));
	TRY(sync_db_finish(db, how(db, &w, err), err));
	return sync_route(db, err);
}

enum sync_status sync_waiting_accept(struct sync_db *db, int64_t id, struct sync_error *err)
{
	return decide(db, id, false, accept, err);
}

enum sync_status sync_waiting_discard(struct sync_db *db, int64_t id, struct sync_error *err)
{
	return decide(db, id, false, discard, err);
}

enum sync_status sync_recovered_accept(struct sync_db *db, int64_t id, struct sync_error *err)
{
	return decide(db, id, true, accept, err);
}

enum sync_status sync_recovered_discard(struct sync_db *db, int64_t id, struct sync_error *err)
{
	return decide(db, id, true, discard, err);
}

enum sync_status sync_waiting_count(struct sync_db *db, int64_t site_id, int64_t limit, int64_t *ret_arriving, int64_t *ret_deciding,
                                    struct sync_error *err)
{
	static const char arriving[] = "SELECT count(*) FROM (SELECT root_id FROM sync_inbox WHERE source = $1 LIMIT $2) w";
	static const char deciding[] =
		"SELECT count(*) FROM (SELECT site_id FROM sync_waiting WHERE site_id = $1 AND done_us IS NULL"
		"    AND kind <> 'recovered' LIMIT $2) w";
	const struct sync_value site = sync_int(site_id), most = sync_int(limit);

	TRY(sync_db_number(db, arriving, SYNC_ARGS(site, most), 0, ret_arriving, err));
	return sync_db_number(db, deciding, SYNC_ARGS(site, most), 0, ret_deciding, err);
}

enum { FAR = 10 };

static enum sync_status too_many_arriving(int64_t most, struct sync_error *err)
{
	return sync_fail(err, SYNC_EFULL,
	                 "more than %" PRId64 " record%s of this site would wait at central for something to arrive (waiting-max): "
	                 "central status shows them; not taken until they are corrected or what they name is there", most, plural(most));
}

/*
 * What waits for something to arrive may wait for what the site sends next, so the limit counts when nothing follows; that more
 * follows is only what the site says, so FAR times as many are too many in any case. Rows are counted only when there are more
 * than before: what corrects or completes is always taken.
 */
enum sync_status sync_waiting_check(struct sync_db *db, int64_t site, const struct sync_outcome *o, bool last, int64_t most,
                                    struct sync_error *err)
{
	bool asks = !o || o->deciding > 0, waits = !o || o->arriving > 0;
	int64_t arriving, deciding, most_arriving = o && last ? most : FAR * most;

	if (most == 0 || (!asks && !waits))
		return SYNC_OK;
	TRY(sync_waiting_count(db, site, FAR * most + 1, &arriving, &deciding, err));
	if (asks && deciding > most)
		return sync_fail(err, SYNC_EFULL,
		                 "more than %" PRId64 " edit%s of this site would wait for a person at central (waiting-max): central waiting "
		                 "list shows them; not taken until some are accepted or discarded", most, plural(most));
	if (waits && arriving > most_arriving)
		return too_many_arriving(most_arriving, err);
	return SYNC_OK;
}

enum sync_status sync_inbox_each(struct sync_db *db, sync_row_fn *fn, void *ctx, struct sync_error *err)
{
	static const char all[] =
		"SELECT source, entity, record_id, code, field, needs_entity, needs_id, text, received_us FROM sync_inbox"
		"    ORDER BY received_us, source, entity, record_id";

	return sync_db_run(db, all, SYNC_NOARGS, fn, ctx, err);
}

enum sync_status sync_inbox_json(void *ctx, const struct sync_value *v, size_t n, struct sync_error *err)
{
	static const char *const keys[] = { NULL, "entity", "record_id", "code", "field", "needs_entity", "needs_id", "text" };
	struct sync_buf *b = ctx;

	(void)n;
	sync_show_open(b, NULL, '{');
	if (v[0].i) /* at a site all come from central */
		sync_show_int(b, "site_id", v[0].i);
	for (size_t i = 1; i < COUNT(keys); i++)
		sync_show_text(b, keys[i], v[i].kind == SYNC_STRING ? v[i].s : (struct sync_view){ 0 });
	sync_show_time(b, "since", v[8].i);
	sync_show_close(b, '}');
	return sync_buf_check(b, err);
}

enum sync_status sync_verdict_each(struct sync_db *db, sync_row_fn *fn, void *ctx, struct sync_error *err)
{
	static const char open[] =
		"SELECT kind, entity, record_id, code, field, text, at_us FROM sync_verdict"
		"    WHERE site_id = 0 AND kind IN ('refused', 'waiting', 'conflict') ORDER BY n";

	return sync_db_run(db, open, SYNC_NOARGS, fn, ctx, err);
}

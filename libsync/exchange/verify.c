#include "exchange/verify.h"

#include <libsync/exchange.h>

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <libsync/time.h>

#include "base/internal.h"
#include "exchange/digest.h"
#include "exchange/link.h"
#include "exchange/lot.h"
#include "exchange/round.h"
#include "exchange/talk.h"

/*
 *   site      compare {ranges with digests}                compare {those parts that differ here}   …   repair {records}
 *   central                       {parts of those that differ}                                 {parts}             {fates}
 * A range that differs comes back in at most 33 parts, with one record each when it has no more; what the site has in such a part
 * tells the difference. Ranges wait on a stack, so that the smallest are asked about first and there are never many.
 */

enum {
	ASK_RANGES = 100,
	MOST_REQUESTS = 100000,
	REPAIR_AT_ONCE = 500,
	MESSAGE_MAX = 8 << 20,
};

/* A range to be compared. */
struct todo {
	const struct sync_entity *e;
	char from[SYNC_MAX_ID + 1], to[SYNC_MAX_ID + 1];
	bool counted;            /* tally is of it */
	bool differs;            /* known already: it is not counted */
	struct sync_tally tally; /* of the site */
};

/* A record that differs. */
struct found {
	const struct sync_entity *e;
	char id[SYNC_MAX_ID + 1];
	const char *kind, *fate;
};

struct verify {
	struct sync_db *db;
	const struct sync_options *o;
	struct sync_link link;
	struct sync_talk talk;
	bool repair;
	sync_difference_fn *fn;
	void *ctx;
	struct sync_compared *ret;
	struct sync_tally *held; /* of each entity, by its order; n is -1 of those that are not compared */
	bool *unequal;
	struct todo *todo, *asked; /* the stack; what the last request asked */
	size_t n_todo, cap_todo, n_asked;
	struct found *found;       /* REPAIR_AT_ONCE, or fewer */
	size_t n_found;
	int schema;                /* the lower of both sides' */
	int64_t requests;
};

static void close_verify(struct verify *v)
{
	if (v->talk.o)
		sync_talk_close(&v->talk, v->db);
	free(v->todo);
	free(v->asked);
	free(v->found);
	free(v->held);
	free(v->unequal);
}

static void take_id(char ret[static SYNC_MAX_ID + 1], struct sync_view id)
{
	snprintf(ret, SYNC_MAX_ID + 1, "%.*s", SYNC_VIEW(id));
}

static enum sync_status push_todo(struct verify *v, const struct todo *t, struct sync_error *err)
{
	if (v->n_todo == v->cap_todo) {
		size_t cap = v->cap_todo ? v->cap_todo * 2 : 256;
		struct todo *more = realloc(v->todo, cap * sizeof *more);

		if (!more)
			return sync_fail(err, SYNC_ENOMEM, "%zu ranges to compare", cap);
		v->todo = more;
		v->cap_todo = cap;
	}
	v->todo[v->n_todo++] = *t;
	return SYNC_OK;
}

/* what the site has */

static enum sync_status add_tally(void *ctx, struct sync_view id, const struct sync_tally *t, struct sync_error *err)
{
	(void)id, (void)err;
	sync_tally_join(ctx, t);
	return SYNC_OK;
}

static enum sync_status scan(struct verify *v, const struct todo *t, sync_digest_fn *fn, void *ctx, struct sync_error *err)
{
	struct sync_digester d;
	enum sync_status status;

	sync_digester_open(&d, t->e, v->schema);
	status = sync_digest_table(v->db, &d, sync_view_of(t->from), sync_view_of(t->to), fn, ctx, err);
	sync_digester_close(&d);
	return status;
}

static enum sync_status count(struct verify *v, struct todo *t, struct sync_error *err)
{
	t->tally = (struct sync_tally){ 0 };
	t->counted = true;
	TRY(scan(v, t, add_tally, &t->tally, err));
	if (t->from[0] || t->to[0])
		return SYNC_OK;
	v->held[sync_entity_order(t->e)] = t->tally;
	v->ret->records += t->tally.n;
	v->ret->entities++;
	return SYNC_OK;
}

/* differences */

static bool is_full(const struct verify *v)
{
	return v->n_found == REPAIR_AT_ONCE;
}

static void note(struct verify *v, const struct sync_entity *e, struct sync_view id, const char *kind)
{
	struct found *f = &v->found[v->n_found++];

	*f = (struct found){ .e = e, .kind = kind };
	take_id(f->id, id);
	v->unequal[sync_entity_order(e)] = true;
	v->ret->missing += kind == sync_verify_missing;
	v->ret->extra += kind == sync_verify_extra;
	v->ret->differs += kind == sync_verify_differs;
}

/* A part of at most one record at central, whose id is then its end. */
struct leaf {
	struct verify *v;
	struct todo part; /* what is left of it */
	const struct sync_tally *theirs;
	bool met;         /* central's record is here, equal or not */
	bool stopped;     /* there was no room: the rest is compared once more */
};

static enum sync_status take_leaf(void *ctx, struct sync_view id, const struct sync_tally *t, struct sync_error *err)
{
	struct leaf *l = ctx;
	bool met = l->theirs->n == 1 && sync_view_is(id, l->part.to);

	(void)err;
	l->stopped = l->stopped || is_full(l->v);
	if (l->stopped)
		return SYNC_OK;
	if (!met)
		note(l->v, l->part.e, id, sync_verify_extra);
	else if (!sync_tally_eq(t, l->theirs))
		note(l->v, l->part.e, id, sync_verify_differs);
	l->met = l->met || met;
	take_id(l->part.from, id);
	return SYNC_OK;
}

static enum sync_status settle_leaf(struct verify *v, const struct todo *part, const struct sync_tally *theirs,
				    struct sync_error *err)
{
	struct leaf l = { .v = v, .part = *part, .theirs = theirs };
	bool missing;

	TRY(scan(v, part, take_leaf, &l, err));
	missing = theirs->n == 1 && !l.met;
	if (l.stopped || (missing && is_full(v)))
		return push_todo(v, &l.part, err);
	if (missing)
		note(v, part->e, sync_view_of(part->to), sync_verify_missing);
	return SYNC_OK;
}

/* talking */

static enum sync_status start(struct verify *v, enum sync_verify_step step, struct sync_writer **ret, struct sync_error *err)
{
	struct sync_header h = sync_link_header(&v->link);

	if (v->requests++ == MOST_REQUESTS)
		return sync_fail(err, SYNC_EBADFRAME, "central's answers do not come to an end after %d requests", MOST_REQUESTS);
	TRY(sync_stopped(v->o, err));
	h.verify = step;
	TRY(sync_talk_writer(&v->talk, ret, err));
	sync_writer_begin(*ret, &h, true);
	return SYNC_OK;
}

/* *ret_again: central has another dictionary, the message is to be written once more. */
static enum sync_status send(struct verify *v, struct sync_writer *w, bool *ret_again, struct sync_error *err)
{
	struct sync_end end = { 0 };
	struct sync_view message;
	enum sync_status status;

	TRY(sync_writer_end(w, &end, &message, err));
	TRY(sync_talk_start(&v->talk, message, err));
	status = sync_talk_finish(&v->talk, err);
	*ret_again = status == SYNC_EDICTIONARY;
	return *ret_again ? SYNC_OK : status;
}

static enum sync_status open_answer(struct verify *v, enum sync_verify_step step, struct sync_reader **ret,
				    struct sync_error *err)
{
	struct sync_header h;

	TRY(sync_reader_new(ret, sync_buf_view(&v->talk.body), &sync_default_limits, err));
	TRY(sync_reader_header(*ret, &h, false, err));
	if (h.site != v->link.site_id || h.verify != (int)step)
		return sync_fail(err, SYNC_EVERSION, "central did not compare: its version '%s' does not know how", h.program);
	v->schema = h.schema < v->schema ? h.schema : v->schema;
	return SYNC_OK;
}

/* repair */

static enum sync_status see(struct verify *v, const struct found *f, struct sync_error *err)
{
	const struct sync_difference d = { f->e, sync_view_of(f->id), f->kind, f->fate };

	v->ret->sent += f->fate == sync_verify_sent;
	v->ret->yours += f->fate == sync_verify_yours;
	v->ret->moving += f->fate == sync_verify_moving;
	v->ret->waits += f->fate == sync_verify_waits;
	return v->fn ? v->fn(v->ctx, &d, err) : SYNC_OK;
}

static int by_record(const void *a, const void *b)
{
	const struct found *x = a, *y = b;
	size_t i = sync_entity_order(x->e), j = sync_entity_order(y->e);

	return i != j ? (i > j) - (i < j) : strcmp(x->id, y->id);
}

/* What this site knows of it already. */
static enum sync_status find_fate(struct verify *v, struct found *f, struct sync_error *err)
{
	static const char inbox[] = "SELECT 1 FROM sync_inbox WHERE source = 0 AND entity = $1 AND record_id = $2";
	static const char changelog[] = "SELECT 1 FROM sync_changelog WHERE entity = $1 AND record_id = $2 AND seq > $3";
	const struct sync_value e = sync_text(f->e->name), id = sync_text(f->id);
	int64_t some;

	TRY(sync_db_number(v->db, inbox, SYNC_ARGS(e, id), 0, &some, err));
	if (some)
		f->fate = sync_verify_waits;
	if (!some)
		TRY(sync_db_number(v->db, changelog, SYNC_ARGS(e, id, sync_int(v->link.integrated)), 0, &some, err));
	if (some && !f->fate)
		f->fate = sync_verify_moving;
	return SYNC_OK;
}

static const char *known_fate(const char *kind)
{
	const char *const fates[] = { sync_verify_sent, sync_verify_yours, sync_verify_moving, sync_verify_waits };

	for (size_t i = 0; i < COUNT(fates); i++)
		if (kind && !strcmp(kind, fates[i]))
			return fates[i];
	return NULL;
}

static enum sync_status read_fates(struct verify *v, struct sync_error *err)
{
	defer(sync_reader_freep) struct sync_reader *reader = NULL;
	defer(sync_arena_clear) struct sync_arena arena = { 0 };
	struct found *f = v->found;
	struct sync_range r;
	bool more;

	TRY(open_answer(v, SYNC_VERIFY_REPAIR, &reader, err));
	for (;;) {
		sync_arena_reset(&arena);
		TRY(sync_reader_range(reader, &arena, &r, &more, err));
		if (!more)
			return SYNC_OK;
		while (f < v->found + v->n_found && (f->e != r.entity || !sync_view_is(r.to, f->id)))
			f++;
		if (f == v->found + v->n_found || !known_fate(r.kind))
			return sync_fail(err, SYNC_EBADFRAME, "central says '%s' of %.*s %.*s, which was not asked",
					 r.kind ? r.kind : "", SYNC_VIEW(r.name), SYNC_VIEW(r.to));
		f->fate = known_fate(r.kind);
	}
}

static enum sync_status ask_fates(struct verify *v, struct sync_error *err)
{
	bool again = true;

	while (again) {
		struct sync_writer *w;

		TRY(start(v, SYNC_VERIFY_REPAIR, &w, err));
		for (size_t i = 0; i < v->n_found; i++)
			if (!v->found[i].fate)
				sync_writer_range(w, &(struct sync_range){ .name = sync_view_of(v->found[i].e->name),
									   .to = sync_view_of(v->found[i].id),
									   .kind = v->found[i].kind });
		TRY(send(v, w, &again, err));
	}
	return read_fates(v, err);
}

/* An edit that changes nothing is an edit: the trigger puts the record up again. */
static enum sync_status put_up(struct verify *v, struct sync_error *err)
{
	for (size_t i = 0; i < v->n_found; i++) {
		const struct found *f = &v->found[i];
		char sql[256];

		if (f->fate != sync_verify_yours)
			continue;
		snprintf(sql, sizeof sql, "UPDATE \"%s\" SET id = id WHERE id = $1", f->e->name);
		TRY(sync_db_run_text(v->db, sql, (const struct sync_value[]){ sync_text(f->id) }, 1, NULL, NULL, err));
	}
	return SYNC_OK;
}

static enum sync_status settle_found(struct verify *v, struct sync_error *err)
{
	bool ask = false;

	qsort(v->found, v->n_found, sizeof *v->found, by_record);
	for (size_t i = 0; i < v->n_found; i++) {
		TRY(find_fate(v, &v->found[i], err));
		ask = ask || !v->found[i].fate;
	}
	if (!v->repair || !ask)
		return SYNC_OK;
	TRY(ask_fates(v, err));
	TRY(sync_db_begin(v->db, true, err));
	return sync_db_finish(v->db, put_up(v, err), err);
}

static enum sync_status flush_found(struct verify *v, struct sync_error *err)
{
	if (v->n_found == 0)
		return SYNC_OK;
	TRY(settle_found(v, err));
	for (size_t i = 0; i < v->n_found; i++)
		TRY(see(v, &v->found[i], err));
	v->n_found = 0;
	return SYNC_OK;
}

/* compare */

/* What was asked from there, or NULL. */
static const struct todo *find_asked(const struct verify *v, const struct sync_range *r)
{
	for (size_t i = 0; i < v->n_asked; i++)
		if (v->asked[i].e == r->entity && sync_view_is(r->from, v->asked[i].from) && sync_view_is(r->to, v->asked[i].to))
			return &v->asked[i];
	return NULL;
}

static enum sync_status take_part(struct verify *v, const struct sync_range *r, struct sync_error *err)
{
	const struct todo *asked = r->later ? find_asked(v, r) : NULL;
	struct todo part = { .e = r->entity, .differs = true };
	struct sync_tally theirs;

	if (!r->entity)
		return sync_fail(err, SYNC_EBADFRAME, "central compares '%.*s', which was not asked", SYNC_VIEW(r->name));
	take_id(part.from, r->from);
	take_id(part.to, r->to);
	if (r->later)
		return push_todo(v, asked ? asked : &part, err);
	if (!sync_tally_get(&theirs, r))
		return sync_fail(err, SYNC_EBADFRAME, "a range of %s without digest", r->entity->name);
	if (r->n <= 1)
		return settle_leaf(v, &part, &theirs, err);
	TRY(scan(v, &part, add_tally, &part.tally, err));
	return sync_tally_eq(&part.tally, &theirs) ? SYNC_OK : push_todo(v, &part, err);
}

static enum sync_status read_parts(struct verify *v, struct sync_error *err)
{
	defer(sync_reader_freep) struct sync_reader *reader = NULL;
	defer(sync_arena_clear) struct sync_arena arena = { 0 };
	struct sync_range r;
	bool more;

	TRY(open_answer(v, SYNC_VERIFY_COMPARE, &reader, err));
	for (;;) {
		sync_arena_reset(&arena);
		TRY(sync_reader_range(reader, &arena, &r, &more, err));
		if (!more)
			return SYNC_OK;
		TRY(take_part(v, &r, err));
	}
}

static enum sync_status take_from_stack(struct verify *v, struct sync_error *err)
{
	v->n_asked = v->n_todo < ASK_RANGES ? v->n_todo : ASK_RANGES;
	v->n_todo -= v->n_asked;
	memcpy(v->asked, v->todo + v->n_todo, v->n_asked * sizeof *v->asked);
	for (size_t i = 0; i < v->n_asked; i++)
		if (!v->asked[i].differs && !v->asked[i].counted)
			TRY(count(v, &v->asked[i], err));
	return SYNC_OK;
}

static enum sync_status ask_parts(struct verify *v, struct sync_error *err)
{
	bool again = true;

	while (again) {
		struct sync_writer *w;

		TRY(start(v, SYNC_VERIFY_COMPARE, &w, err));
		for (size_t i = 0; i < v->n_asked; i++) {
			const struct todo *t = &v->asked[i];
			struct sync_range r = { .name = sync_view_of(t->e->name),
						.from = sync_view_of(t->from),
						.to = sync_view_of(t->to) };

			if (t->counted)
				sync_tally_put(&t->tally, &r);
			sync_writer_range(w, &r);
		}
		TRY(send(v, w, &again, err));
	}
	return read_parts(v, err);
}

/* What travels only up is nobody's to hold, and what does not travel is nobody else's business. */
static bool comes_to_sites(const struct sync_entity *e)
{
	return e->routes[0].kind != SYNC_ROUTE_NONE && e->routes[0].kind != SYNC_ROUTE_UP;
}

/* The last entity first: a stack gives them in their order. */
static enum sync_status begin(struct verify *v, const struct sync_entity *only, struct sync_error *err)
{
	size_t n;
	const struct sync_entity *const *entities = sync_entities(&n);

	v->asked = calloc(ASK_RANGES, sizeof *v->asked);
	v->found = calloc(REPAIR_AT_ONCE, sizeof *v->found);
	v->held = calloc(n, sizeof *v->held);
	v->unequal = calloc(n, sizeof *v->unequal);
	if (!v->asked || !v->found || !v->held || !v->unequal)
		return sync_fail(err, SYNC_ENOMEM, "comparing");
	while (n-- > 0) {
		v->held[n].n = -1;
		if (comes_to_sites(entities[n]) && (!only || only == entities[n]))
			TRY(push_todo(v, &(struct todo){ .e = entities[n] }, err));
	}
	return SYNC_OK;
}

/* The whole of what is compared. */
static void sum_up(struct verify *v)
{
	struct sync_range all = { 0 };
	struct sync_tally sum = { 0 };
	size_t n;

	sync_entities(&n);
	for (size_t i = 0; i < n; i++) {
		if (v->held[i].n > 0)
			sync_tally_join(&sum, &v->held[i]);
		v->ret->unequal += v->unequal[i];
	}
	sync_tally_put(&sum, &all);
	snprintf(v->ret->sum, sizeof v->ret->sum, "%s", all.sum);
}

static enum sync_status run(struct verify *v, const struct sync_entity *only, struct sync_error *err)
{
	size_t total;

	TRY(begin(v, only, err));
	total = v->n_todo;
	while (v->n_todo > 0) {
		TRY(take_from_stack(v, err));
		TRY(ask_parts(v, err));
		if (v->o->progress)
			v->o->progress(v->o->ctx, "verify", v->ret->entities, (int64_t)total);
		if (is_full(v))
			TRY(flush_found(v, err));
	}
	TRY(flush_found(v, err));
	sum_up(v);
	return SYNC_OK;
}

/* Central is told what each entity holds in the end, and whether it is equal. */
static enum sync_status tell(struct verify *v, struct sync_error *err)
{
	defer(sync_reader_freep) struct sync_reader *reader = NULL;
	size_t n;
	const struct sync_entity *const *entities = sync_entities(&n);
	bool again = true;

	while (again) {
		struct sync_writer *w;

		TRY(start(v, SYNC_VERIFY_REPORT, &w, err));
		for (size_t i = 0; i < n; i++) {
			struct sync_range r = { .name = sync_view_of(entities[i]->name),
						.kind = v->unequal[i] ? sync_verify_differs : sync_verify_equal };

			if (v->held[i].n < 0)
				continue;
			sync_tally_put(&v->held[i], &r);
			sync_writer_range(w, &r);
		}
		TRY(send(v, w, &again, err));
	}
	return open_answer(v, SYNC_VERIFY_REPORT, &reader, err);
}

static enum sync_status compare(struct sync_db *db, const struct sync_transport *t, const struct sync_options *o,
				const struct sync_entity *only, bool repair, bool report_it, sync_difference_fn *fn, void *ctx,
				struct sync_compared *ret, struct sync_report *report, struct sync_error *err)
{
	defer(close_verify) struct verify v = {
		.db = db, .o = o, .repair = repair, .fn = fn, .ctx = ctx, .ret = ret, .schema = SYNC_SCHEMA_VERSION
	};

	*ret = (struct sync_compared){ 0 };
	TRY(sync_link_get(db, &v.link, err));
	if (!v.link.operational)
		return sync_fail(err, SYNC_EBUSY, "the first load of site '%s' is not over: there is nothing to compare yet",
				 v.link.name);
	TRY(sync_talk_open(&v.talk, db, t, o, report, MESSAGE_MAX, err));
	TRY(run(&v, only, err));
	return report_it && (!repair || ret->unequal == 0) ? tell(&v, err) : SYNC_OK;
}

enum sync_status sync_compare(struct sync_db *db, const struct sync_transport *t, const struct sync_options *o,
			      const struct sync_entity *only, bool repair, sync_difference_fn *fn, void *ctx,
			      struct sync_compared *ret, struct sync_report *report, struct sync_error *err)
{
	struct sync_options full = sync_options_of(o);

	return compare(db, t, &full, only, repair, false, fn, ctx, ret, report, err);
}

enum sync_status sync_verify(struct sync_db *db, const struct sync_transport *t, const struct sync_options *o,
			     const struct sync_entity *only, bool repair, sync_difference_fn *fn, void *ctx,
			     struct sync_compared *ret_first, struct sync_compared *ret_last, struct sync_report *report,
			     struct sync_error *err)
{
	struct sync_options full = sync_options_of(o);

	TRY(sync_round_run(db, t, &full, report, err));
	TRY(compare(db, t, &full, only, repair, !only, fn, ctx, ret_first, report, err));
	*ret_last = *ret_first;
	if (!repair || ret_first->unequal == 0)
		return SYNC_OK;
	TRY(sync_round_run(db, t, &full, report, err));
	return compare(db, t, &full, only, false, !only, NULL, NULL, ret_last, report, err);
}

/* asked for by central */

static const char asked_key[] = "verify_at_us"; /* when it is due; 0: not asked for */
static const int64_t put_off_us = INT64_C(3600) * 1000000;

enum sync_status sync_verify_asked(struct sync_db *db, bool *ret, struct sync_error *err)
{
	static const char due[] = "SELECT CAST(value AS bigint) FROM sync_meta WHERE key = $1";
	int64_t at_us;

	TRY(sync_db_number(db, due, SYNC_ARGS(sync_text(asked_key)), 0, &at_us, err));
	*ret = at_us > 0 && at_us <= sync_now_us();
	return SYNC_OK;
}

static enum sync_status set_due(struct sync_db *db, int64_t at_us, struct sync_error *err)
{
	char text[24];

	snprintf(text, sizeof text, "%" PRId64, at_us);
	return sync_meta_put(db, asked_key, sync_view_of(text), err);
}

enum sync_status sync_verify_put_off(struct sync_db *db, struct sync_error *err)
{
	return set_due(db, sync_now_us() + put_off_us, err);
}

enum sync_status sync_verify_asked_set(struct sync_db *db, bool asked, struct sync_error *err)
{
	return set_due(db, asked ? 1 : 0, err);
}

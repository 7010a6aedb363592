#include <libsync/exchange.h>

#include <inttypes.h>
#include <string.h>

#include <libsync/records.h>
#include <libsync/time.h>

#include "base/internal.h"
#include "exchange/batch.h"
#include "exchange/heal.h"
#include "exchange/link.h"
#include "exchange/load.h"
#include "exchange/lot.h"
#include "exchange/pulled.h"
#include "exchange/round.h"
#include "exchange/talk.h"

/*
 * site:    load {token}          token of the next page      token …
 * central:        page 1, token          page 2, token              the last page, no token
 * site:                  applies page 1 meanwhile, and keeps its token with it
 * Pages go straight into the tables, without triggers. Then what changed at central meanwhile is pulled, and the site is
 * operational.
 */

enum {
	RUN = 500, /* records in memory at once, besides the page */
	PAGE_MAX = 768 << 10, /* a page and what it is cut too late by fit a buffer of 1 MiB */
	MOST_REQUEST = 4096,
	MAX_SQL = 1024,
	RETRY_S = 2,
};

struct load {
	struct sync_db *db;
	const struct sync_options *o;
	struct sync_report *report;
	struct sync_link link;
	struct sync_talk talk;
	struct sync_buf request;
	struct sync_batch batch;
	const struct sync_record *put[RUN];
	size_t n_put;
	bool edited; /* an application has edited something meanwhile */
	int loss;    /* of the last answer: the moment that this load is of is not known, or too old */
};

static void close_load(struct load *l)
{
	if (l->talk.o)
		sync_talk_close(&l->talk, l->db);
	sync_buf_clear(&l->request);
	sync_batch_clear(&l->batch);
}

/* pages */

/* A writer has a few MiB, as a reader has: they are not kept while the page before is read. */
static enum sync_status ask(struct load *l, const struct sync_load *next, struct sync_error *err)
{
	struct sync_header h = sync_link_header(&l->link);
	struct sync_end end = { 0 };
	struct sync_view message;
	struct sync_writer *w;

	h.load = *next;
	h.want = (int64_t)l->talk.size;
	TRY(sync_talk_writer(&l->talk, &w, err));
	sync_writer_begin(w, &h, true);
	TRY(sync_writer_end(w, &end, &message, err));
	sync_buf_reset(&l->request);
	sync_buf_add_view(&l->request, message);
	sync_talk_rest(&l->talk);
	TRY(sync_buf_check(&l->request, err));
	return sync_talk_start(&l->talk, sync_buf_view(&l->request), err);
}

static enum sync_status open_page(struct load *l, struct sync_reader **ret, struct sync_error *err)
{
	struct sync_header h;

	TRY(sync_reader_new(ret, sync_buf_view(&l->talk.body), &sync_default_limits, err));
	TRY(sync_reader_header(*ret, &h, false, err));
	l->loss = h.loss & SYNC_LOSS_BOTH;
	if (h.protocol > SYNC_PROTOCOL)
		return sync_fail(err, SYNC_EVERSION, "central answers in protocol %d, this program speaks upto %d: update it",
				 h.protocol, SYNC_PROTOCOL);
	if (h.site != l->link.site_id)
		return sync_fail(err, SYNC_EBADFRAME, "the page is for site %" PRId64 ", this is site %" PRId64, h.site,
				 l->link.site_id);
	return SYNC_OK;
}

/* The end of the page says where the next one begins; it is asked for before this one is applied. */
static enum sync_status find_next(struct load *l, struct sync_load *ret, struct sync_error *err)
{
	defer(sync_reader_freep) struct sync_reader *reader = NULL;
	struct sync_end end;

	TRY(open_page(l, &reader, err));
	TRY(sync_reader_end(reader, &end, err));
	if (end.load.active && !end.load.entity[0] && l->loss == SYNC_LOSS_NONE)
		return sync_fail(err, SYNC_EBADFRAME, "the page does not say where the next one begins");
	*ret = end.load;
	return SYNC_OK;
}

/* A page leaves nulls out, and fields that central does not know yet; and may replace rows of an earlier attempt. */
static void fill_in(const struct sync_record *r)
{
	for (size_t i = 1; i < r->entity->n_fields; i++) {
		const struct sync_field *f = &r->entity->fields[i];

		if (r->values[i].kind == SYNC_ABSENT && !f->local)
			r->values[i] = f->required ? sync_field_fallback(f) : (struct sync_value){ .kind = SYNC_NULL };
	}
}

static enum sync_status put_versions(struct load *l, size_t n, struct sync_error *err)
{
	static const char *const columns[] = { "entity",      "record_id", "version", "edited_us",
					       "received_us", "creator",   "deleted" };
	static const enum sync_type types[] = { SYNC_TEXT,   SYNC_TEXT,   SYNC_TEXT,  SYNC_BIGINT,
						SYNC_BIGINT, SYNC_BIGINT, SYNC_BIGINT };
	static const struct sync_table table = { "sync_version", columns, types, COUNT(columns), 2, false };
	struct sync_value *v = sync_arena_get(&l->batch.arena, n * COUNT(columns) * sizeof *v);
	size_t rows = 0;

	if (!v)
		return sync_fail(err, SYNC_ENOMEM, "keeping %zu versions", n);
	for (size_t i = 0; i < n; i++) {
		const struct sync_value row[] = { sync_string(l->put[i]->name),
						  sync_string(l->put[i]->id),
						  sync_string(l->put[i]->version),
						  sync_int(0),
						  sync_int(sync_now_us()),
						  sync_int(0),
						  sync_int(0) };

		if (l->put[i]->version.len > 0)
			memcpy(&v[rows++ * COUNT(columns)], row, sizeof row);
	}
	return sync_db_put_many(l->db, &table, v, rows, err);
}

/* What is wrong with it is found out again whenever it is retried. */
static enum sync_status put_aside(struct load *l, size_t i, struct sync_error *err)
{
	static const char put[] =
	    "INSERT INTO sync_inbox(source, entity, record_id, root_id, seq, frame, code, field, text, received_us)"
	    "    VALUES (0, $1, $2, $3, $4, $5, $6, $7, $8, $9)"
	    "    ON CONFLICT (source, entity, record_id) DO UPDATE SET frame = excluded.frame, code = excluded.code,"
	    "    field = excluded.field, text = excluded.text";
	const struct sync_record *r = &l->batch.r[i];

	return sync_db_run(l->db, put,
			   SYNC_ARGS(sync_string(r->name), sync_string(r->id), sync_string(r->root.len ? r->root : r->id),
				     sync_int(r->seq), sync_string(l->batch.lines[i]), sync_text(r->fault->code),
				     sync_text(r->fault->field), sync_text(r->fault->text), sync_int(sync_now_us())),
			   NULL, NULL, err);
}

static enum sync_status leave_out(void *ctx, const struct sync_value *v, size_t n, struct sync_error *err)
{
	struct load *l = ctx;

	(void)n, (void)err;
	for (size_t i = 0; i < l->n_put; i++)
		if (sync_view_eq(l->put[i]->id, v[0].s))
			l->put[i--] = l->put[--l->n_put];
	return SYNC_OK;
}

/* What an application has edited meanwhile stays as it is, and central decides on it as on any edit. */
static enum sync_status leave_edited(struct load *l, const struct sync_entity *e, struct sync_error *err)
{
	struct sync_view ids[RUN];

	for (size_t i = 0; i < l->n_put; i++)
		ids[i] = l->put[i]->id;
	return sync_run_ids(l->db, "SELECT record_id FROM sync_changelog WHERE record_id", ids, l->n_put, " AND entity = $2",
			    SYNC_ARGS(sync_text(e->name)), leave_out, l, err);
}

/* Records of one entity, from one place of the batch on. */
static enum sync_status put_entity(struct load *l, size_t from, size_t *ret_end, struct sync_error *err)
{
	const struct sync_entity *e = l->batch.r[from].entity;
	size_t i;

	l->n_put = 0;
	for (i = from; i < l->batch.n && l->batch.r[i].entity == e; i++) {
		const struct sync_record *r = &l->batch.r[i];

		if (r->action != SYNC_PUT)
			return sync_fail(err, SYNC_EBADFRAME, "a page of a first load that deletes %.*s %.*s",
					 SYNC_VIEW(r->name), SYNC_VIEW(r->id));
		if (r->fault) {
			TRY(put_aside(l, i, err));
			continue;
		}
		if (e)
			fill_in(r);
		l->put[l->n_put++] = r;
	}
	*ret_end = i;
	if (l->edited && e)
		TRY(leave_edited(l, e, err));
	l->report->integrated += (int64_t)l->n_put;
	TRY(sync_records_put(l->db, e, l->put, l->n_put, err));
	return e && e->owner == SYNC_OWNER_ANY ? put_versions(l, l->n_put, err) : SYNC_OK;
}

static enum sync_status put_page(struct load *l, struct sync_error *err)
{
	static const char any[] = "SELECT 1 FROM sync_changelog LIMIT 1";
	defer(sync_reader_freep) struct sync_reader *reader = NULL;
	int64_t edited;

	TRY(sync_db_number(l->db, any, SYNC_NOARGS, 0, &edited, err));
	l->edited = edited != 0;
	TRY(open_page(l, &reader, err));
	sync_batch_open(&l->batch);
	while (!l->batch.ended) {
		TRY(sync_batch_read(&l->batch, reader, RUN, RUN, err));
		for (size_t at = 0; at < l->batch.n;)
			TRY(put_entity(l, at, &at, err));
	}
	l->report->pulled += l->batch.end.records;
	return SYNC_OK;
}

/* What is pulled from now on is noted from here on. */
static enum sync_status catch(struct sync_db *db, const struct sync_load *last, struct sync_error *err)
{
	TRY(sync_stage_catch(db, last, err));
	return sync_pulled_put(db, &last->at, NULL, 0, (struct sync_view){ 0 }, err);
}

static enum sync_status apply_page(struct load *l, const struct sync_load *next, struct sync_error *err)
{
	enum sync_status status;

	TRY(sync_db_begin(l->db, true, err));
	status = put_page(l, err);
	if (status == SYNC_OK)
		status = next->active ? sync_stage_next(l->db, next, err) : catch(l->db, next, err);
	if (status == SYNC_OK)
		return sync_db_commit(l->db, err);
	sync_db_rollback(l->db);
	return status;
}

/* Ask, and once more without the dictionary if central has another one. */
static enum sync_status first_page(struct load *l, const struct sync_load *next, struct sync_error *err)
{
	enum sync_status status;

	TRY(ask(l, next, err));
	status = sync_talk_finish(&l->talk, err);
	if (status != SYNC_EDICTIONARY)
		return status;
	TRY(ask(l, next, err));
	return sync_talk_finish(&l->talk, err);
}

static enum sync_status load_pages(struct load *l, struct sync_load *next, struct sync_error *err)
{
	TRY(first_page(l, next, err));
	for (;;) {
		TRY(find_next(l, next, err));
		if (l->loss != SYNC_LOSS_NONE)
			return sync_heal_load(l->db, l->loss, err);
		TRY(sync_stopped(l->o, err));
		if (next->active)
			TRY(ask(l, next, err));
		TRY(apply_page(l, next, err));
		if (l->o->progress)
			l->o->progress(l->o->ctx, "load", next->done, next->total);
		if (!next->active)
			return SYNC_OK;
		TRY(sync_talk_finish(&l->talk, err));
	}
}

/* the end */

static enum sync_status add_number(void *ctx, const struct sync_value *v, size_t n, struct sync_error *err)
{
	int64_t *sum = ctx;

	(void)n, (void)err;
	*sum += v[0].i;
	return SYNC_OK;
}

static enum sync_status count_dangling(struct sync_db *db, const struct sync_entity *e, const struct sync_field *f,
				       int64_t *ret, struct sync_error *err)
{
	defer(sync_buf_clear) struct sync_buf sql = { .max = MAX_SQL };

	sync_buf_addf(&sql,
		      "SELECT count(*) FROM %s r WHERE r.%s IS NOT NULL AND NOT EXISTS (SELECT 1 FROM %s t WHERE t.id = r.%s)",
		      e->name, f->name, f->refers, f->name);
	TRY(sync_buf_check(&sql, err));
	return sync_db_run_text(db, sql.data, SYNC_NOARGS, add_number, ret, err);
}

static enum sync_status check_references(struct sync_db *db, int64_t *ret, struct sync_error *err)
{
	size_t n;
	const struct sync_entity *const *all = sync_entities(&n);

	*ret = 0;
	for (size_t i = 0; i < n; i++)
		for (size_t k = 0; k < all[i]->n_fields; k++)
			if (sync_field_hard_at_site(all[i], &all[i]->fields[k]))
				TRY(count_dangling(db, all[i], &all[i]->fields[k], ret, err));
	return SYNC_OK;
}

/* Without what central had to keep back, a group may be here by half. */
static enum sync_status check_caught_up(struct sync_db *db, struct sync_error *err)
{
	struct sync_link link;

	TRY(sync_link_get(db, &link, err));
	if (link.more == 0)
		return SYNC_OK;
	sync_fail(err, SYNC_EBUSY, "central is still working on %" PRId64 " record%s for this site: come again in %d seconds",
		  link.more, plural(link.more), RETRY_S);
	if (err)
		err->retry_after_s = RETRY_S;
	return SYNC_EBUSY;
}

enum sync_status sync_load_ready(struct sync_db *db, struct sync_report *report, struct sync_error *err)
{
	enum sync_status status;

	TRY(check_caught_up(db, err));
	TRY(check_references(db, &report->dangling, err));
	TRY(sync_db_begin(db, true, err));
	status = sync_stage_ready(db, err);
	if (status == SYNC_OK)
		return sync_db_commit(db, err);
	sync_db_rollback(db);
	return status;
}

enum sync_status sync_load_pages(struct sync_db *db, const struct sync_transport *t, const struct sync_options *o,
				 struct sync_report *report, struct sync_load *next, struct sync_error *err)
{
	defer(close_load) struct load l = { .db = db, .o = o, .report = report, .request.max = MOST_REQUEST };
	size_t max = o->message_max < PAGE_MAX ? o->message_max : PAGE_MAX;
	enum sync_status status;

	TRY(sync_link_get(db, &l.link, err));
	TRY(sync_talk_open(&l.talk, db, t, o, report, max, err));
	TRY(sync_db_use(db, SYNC_USE_LOAD, err));
	status = load_pages(&l, next, err);
	if (status != SYNC_OK) {
		(void)sync_db_use(db, SYNC_USE_SHARED, NULL);
		return status;
	}
	return sync_db_use(db, SYNC_USE_SHARED, err);
}

static enum sync_status load(struct sync_db *db, const struct sync_transport *t, const struct sync_options *o,
			     struct sync_report *report, struct sync_error *err)
{
	struct sync_link link;
	struct sync_load next;
	enum sync_stage stage;

	TRY(sync_link_get(db, &link, err));
	TRY(sync_stage_get(db, &stage, &next, err));
	if (stage == SYNC_LOADING)
		TRY(sync_load_pages(db, t, o, report, &next, err));
	if (stage != SYNC_READY) {
		TRY(sync_round_run(db, t, o, report, err));
		TRY(sync_load_ready(db, report, err));
	}
	return sync_round_count(db, report, err);
}

enum sync_status sync_load_run(struct sync_db *db, const struct sync_transport *t, const struct sync_options *o,
			       struct sync_report *report, struct sync_error *err)
{
	struct sync_options full = sync_options_of(o);
	int64_t began_us = sync_tick_us();
	enum sync_status status;

	*report = (struct sync_report){ 0 };
	status = load(db, t, &full, report, err);
	report->ms = (sync_tick_us() - began_us) / 1000;
	return status;
}

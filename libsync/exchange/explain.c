#include "exchange/explain.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <libsync/exchange.h>
#include <libsync/records.h>

#include "base/internal.h"
#include "exchange/lot.h"

enum { ALIKE = 5 /* ids that are offered */ };

void sync_explanation_clear(struct sync_explanation *x)
{
	sync_arena_clear(&x->arena);
	*x = (struct sync_explanation){ 0 };
}

enum sync_status sync_tell(struct sync_explaining *g, struct sync_told told, struct sync_error *err)
{
	struct sync_explanation *x = g->x;

	TRY(sync_larger(&x->arena, (void **)&x->told, x->n_told, &x->cap_told, sizeof told, err));
	told.site = told.site ? told.site : "";
	told.code = told.code ? told.code : "";
	x->told[x->n_told++] = told;
	return SYNC_OK;
}

const char *sync_explain_site(const struct sync_explaining *g, int64_t site_id)
{
	for (size_t i = 0; i < g->n_sites; i++)
		if (g->site[i].site_id == site_id)
			return g->site[i].name;
	return site_id ? "a site that is unknown" : "central";
}

const char *sync_explain_text(struct sync_explaining *g, const struct sync_value *v)
{
	return v->kind == SYNC_STRING ? sync_say(&g->x->arena, "%.*s", SYNC_VIEW(v->s)) : "";
}

/* the inbox */

static enum sync_status tell_waiting(void *ctx, const struct sync_value *v, size_t n, struct sync_error *err)
{
	struct sync_explaining *g = ctx;
	const char *needs_entity = sync_explain_text(g, &v[2]), *needs_id = sync_explain_text(g, &v[3]);
	const char *needs = needs_entity[0] ? sync_say(&g->x->arena, "; it waits for %s %s", needs_entity, needs_id) : "";

	(void)n;
	return sync_tell(g,
	                 (struct sync_told){ .what = "waits",
	                                     .at_us = v[5].i,
	                                     .site = g->x->central || v[0].i ? sync_explain_site(g, v[0].i) : "central",
	                                     .code = sync_explain_text(g, &v[1]),
	                                     .text = sync_say(&g->x->arena, "arrived and waits to be applied: %.*s%s", SYNC_VIEW(v[4].s), needs) },
	                 err);
}

enum sync_status sync_explain_inbox(struct sync_explaining *g, struct sync_error *err)
{
	static const char own[] = "SELECT source, code, needs_entity, needs_id, text, received_us FROM sync_inbox"
				  "    WHERE entity = $1 AND record_id = $2 ORDER BY received_us, source";
	static const char needing[] = "SELECT count(*) FROM sync_inbox WHERE needs_entity = $1 AND needs_id = $2";
	int64_t n;

	TRY(sync_db_run(g->db, own, SYNC_ARGS(sync_string(g->entity), sync_string(g->id)), tell_waiting, g, err));
	TRY(sync_db_number(g->db, needing, SYNC_ARGS(sync_string(g->entity), sync_string(g->id)), 0, &n, err));
	if (!n)
		return SYNC_OK;
	return sync_tell(g,
	                 (struct sync_told){ .what = "needed", .text = sync_say(&g->x->arena, "%" PRId64 " other record%s wait%s for it", n,
	                                                                        plural(n), n == 1 ? "s" : "") },
	                 err);
}

/* the log of exchanges */

static enum sync_status take_pair(void *ctx, const struct sync_value *v, size_t n, struct sync_error *err)
{
	int64_t *pair = ctx;

	(void)n, (void)err;
	pair[0] = v[0].i;
	pair[1] = v[1].i;
	return SYNC_OK;
}

enum sync_status sync_explain_pushed(struct sync_explaining *g, int64_t site_id, int64_t at_us, int64_t *ret_us, int64_t *ret_records,
                                     struct sync_error *err)
{
	static const char last[] = "SELECT at_us, pushed FROM sync_exchange WHERE site_id = $1 AND pushed > 0 AND code IS NULL"
				   "    AND at_us - ms * 1000 <= $2 ORDER BY id DESC LIMIT 1";
	int64_t pair[2] = { 0 };

	TRY(sync_db_run(g->db, last, SYNC_ARGS(sync_int(site_id), sync_int(at_us)), take_pair, pair, err));
	*ret_us = pair[0];
	*ret_records = pair[1];
	return SYNC_OK;
}

enum sync_status sync_explain_pulled(struct sync_explaining *g, int64_t site_id, int64_t at_us, int64_t *ret_us, struct sync_error *err)
{
	static const char first[] =
		"SELECT at_us FROM sync_exchange WHERE site_id = $1 AND pulled > 0 AND code IS NULL AND at_us >= $2 ORDER BY id LIMIT 1";
	static const char all[] = "SELECT count(*) FROM sync_exchange WHERE site_id = $1";
	static const char before[] = "SELECT count(*) FROM sync_exchange WHERE site_id = $1 AND at_us < $2";
	int64_t kept, older;

	*ret_us = 0;
	TRY(sync_db_number(g->db, all, SYNC_ARGS(sync_int(site_id)), 0, &kept, err));
	TRY(sync_db_number(g->db, before, SYNC_ARGS(sync_int(site_id), sync_int(at_us)), 0, &older, err));
	if (kept >= SYNC_EXCHANGES_KEPT && !older)
		return SYNC_OK; /* the one that brought it may be forgotten */
	return sync_db_number(g->db, first, SYNC_ARGS(sync_int(site_id), sync_int(at_us)), 0, ret_us, err);
}

/* what is meant */

static enum sync_status exists(struct sync_db *db, const struct sync_entity *e, struct sync_view id, bool *ret, struct sync_error *err)
{
	return sync_records_exist(db, e, &id, 1, ret, err);
}

/* The same id in other tables: the entity was mixed up. */
static enum sync_status find_elsewhere(struct sync_explaining *g, struct sync_buf *ret, struct sync_error *err)
{
	size_t n;
	const struct sync_entity *const *all = sync_entities(&n);
	bool found;

	for (size_t i = 0; i < n; i++) {
		TRY(exists(g->db, all[i], g->id, &found, err));
		if (found)
			sync_buf_addf(ret, "%s%s", ret->len ? ", " : "; of that id there is: ", all[i]->name);
	}
	return SYNC_OK;
}

static enum sync_status add_alike(void *ctx, const struct sync_value *v, size_t n, struct sync_error *err)
{
	struct sync_buf *b = ctx;

	(void)n, (void)err;
	sync_buf_addf(b, "%s%.*s", b->len ? ", " : "; ids that begin so are: ", SYNC_VIEW(v[0].s));
	return SYNC_OK;
}

/* Ids that begin as the one given: people shorten what is long. */
static enum sync_status find_longer(struct sync_explaining *g, struct sync_buf *ret, struct sync_error *err)
{
	defer(sync_buf_clear) struct sync_buf sql = { .max = 300 }, end = { .max = SYNC_MAX_ID + 8 };

	sync_buf_addf(&sql, "SELECT id FROM \"%s\" WHERE id > $1 AND id < $2 ORDER BY id LIMIT %d", g->e->name, ALIKE);
	sync_buf_add_view(&end, g->id);
	sync_buf_add_text(&end, "\xf4\x8f\xbf\xbf"); /* the last character that there is */
	TRY(sync_buf_check(&end, err));
	return sync_db_run_text(g->db, sql.data, SYNC_ARGS(sync_string(g->id), sync_string(sync_buf_view(&end))), add_alike, ret, err);
}

static enum sync_status no_record(struct sync_explaining *g, struct sync_error *err)
{
	defer(sync_buf_clear) struct sync_buf alike = { .max = 300 };
	struct sync_link link = { 0 };

	TRY(find_elsewhere(g, &alike, err));
	if (!alike.len && g->id.len)
		TRY(find_longer(g, &alike, err));
	if (alike.len || g->x->central)
		return sync_fail(err, SYNC_ENOTFOUND, "nothing was ever seen here of %.*s '%.*s'%s", SYNC_VIEW(g->entity), SYNC_VIEW(g->id),
		                 alike.len ? alike.data : "; a site that has not pushed it yet may have it");
	TRY(sync_link_get(g->db, &link, err));
	return sync_fail(err, SYNC_ENOTFOUND,
	                 "nothing was ever seen here of %.*s '%.*s': at central, central explain %.*s %.*s --site '%s' tells whether it comes "
	                 "here and why (%" PRId64 " record%s still to come)",
	                 SYNC_VIEW(g->entity), SYNC_VIEW(g->id), SYNC_VIEW(g->entity), SYNC_VIEW(g->id), link.name, link.more,
	                 plural(link.more));
}

static enum sync_status take_site(void *ctx, const struct sync_site *s, struct sync_error *err)
{
	struct sync_explaining *g = ctx;

	TRY(sync_larger(&g->x->arena, (void **)&g->site, g->n_sites, &g->cap_sites, sizeof *s, err));
	g->site[g->n_sites++] = *s;
	return SYNC_OK;
}

static enum sync_status find_sites(struct sync_explaining *g, const char *only, struct sync_error *err)
{
	TRY(sync_site_each(g->db, take_site, g, err));
	for (size_t i = 0; only && i < g->n_sites; i++)
		if (!strcmp(g->site[i].name, only))
			g->only = &g->site[i];
	if (only && !g->only)
		return sync_fail(err, SYNC_ENOTFOUND, "no site is called '%s': central site list shows all", only);
	return SYNC_OK;
}

/* What has no time was before everything, or is yet to come. */
static int64_t place_in_time(const struct sync_told *t)
{
	bool past = !strcmp(t->what, "written") || !strcmp(t->what, "received") || !strcmp(t->what, "pushed");

	return t->at_us || past ? t->at_us : INT64_MAX;
}

/* Of those of one time, the order in which they were found stays. */
static void sort_told(struct sync_explanation *x)
{
	for (size_t i = 1; i < x->n_told; i++) {
		struct sync_told one = x->told[i];
		size_t k = i;

		for (; k > 0 && place_in_time(&x->told[k - 1]) > place_in_time(&one); k--)
			x->told[k] = x->told[k - 1];
		x->told[k] = one;
	}
}

static enum sync_status tell_active(void *ctx, const struct sync_value *v, size_t n, struct sync_error *err)
{
	struct sync_explaining *g = ctx;
	struct sync_arena *a = &g->x->arena;
	const char *where = v[0].i ? sync_say(a, "is active at site '%s'", sync_explain_site(g, v[0].i)) : "is active at no site";
	const char *next = v[1].i ? sync_say(a, ", and waits to move to site '%s'", sync_explain_site(g, v[1].i)) : "";

	(void)n;
	return sync_tell(g, (struct sync_told){ .what = "active", .text = sync_say(a, "%s%s", where, next) }, err);
}

/* Where a store counts as being, which its own site_id may be ahead of. */
static enum sync_status tell_store(struct sync_explaining *g, struct sync_error *err)
{
	static const char find[] = "SELECT site_id, coalesce(next_site_id, 0) FROM sync_store WHERE store_id = $1";

	if (strcmp(g->e->name, "store") != 0)
		return SYNC_OK;
	return sync_db_run(g->db, find, SYNC_ARGS(sync_string(g->id)), tell_active, g, err);
}

static enum sync_status gather(struct sync_explaining *g, const char *site, struct sync_error *err)
{
	bool central = g->x->central, was_deleted;

	TRY(exists(g->db, g->e, g->id, &g->exists, err));
	if (central)
		TRY(find_sites(g, site, err));
	TRY((central ? sync_explain_central : sync_explain_local)(g, err));
	TRY(sync_explain_inbox(g, err));
	was_deleted = g->x->state && !strcmp(g->x->state, "deleted");
	if (!g->exists && !g->x->n_told && !was_deleted)
		return no_record(g, err);
	g->x->state = g->exists ? "present" : was_deleted ? "deleted" : "absent";
	if (central) {
		TRY(tell_store(g, err));
		TRY(sync_explain_spool(g, err));
		TRY(sync_explain_holders(g, err));
	}
	sort_told(g->x);
	return SYNC_OK;
}

enum sync_status sync_explain(struct sync_db *db, const char *entity, const char *record_id, const char *site,
                              struct sync_explanation *ret, struct sync_error *err)
{
	struct sync_explaining g = { .db = db, .x = ret };
	enum sync_status status;

	TRY(sync_entity_named(entity, &g.e, err));
	ret->central = sync_db_role(db) == SYNC_CENTRAL;
	ret->entity = g.e->name;
	ret->record_id = sync_say(&ret->arena, "%s", record_id);
	g.entity = sync_view_of(g.e->name);
	g.id = sync_view_of(ret->record_id);
	TRY(sync_db_begin(db, false, err));
	status = gather(&g, site, err);
	sync_db_rollback(db);
	return status;
}

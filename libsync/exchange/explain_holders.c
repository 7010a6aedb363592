#include "exchange/explain.h"

#include <stdio.h>
#include <string.h>

#include "base/internal.h"
#include "db/outbox.h"
#include "exchange/lot.h"
#include "exchange/router.h"
#include "exchange/trail.h"

/* Who has a record, by the outbox, and who should have it, by the routes; the words come from what the router looked at. */

enum { WHY_NOT = 20 /* with more sites than that, those that have nothing to do with a record are not told why, unless asked for */ };

/* The newest row of the outbox about a record, for one site or for every site. */
struct row {
	int64_t seq, source, routed_us;
	char action; /* P, D, X; 0: there is none */
};

struct holders {
	struct sync_explaining *g;
	struct row everybody;
	struct row *own; /* per site, as in g->site */
	bool *waits;     /* per site: an edit of its own waits at central */
	struct sync_sites due;
	struct sync_trail trail;
};

static enum sync_status take_row(void *ctx, const struct sync_value *v, size_t n, struct sync_error *err)
{
	struct holders *h = ctx;
	struct row row = { .seq = v[1].i, .source = v[3].i, .routed_us = v[4].i, .action = v[2].s.data[0] };

	(void)n, (void)err;
	if (v[0].i == SYNC_EVERYBODY)
		h->everybody = row;
	for (size_t i = 0; i < h->g->n_sites; i++)
		if (h->g->site[i].site_id == v[0].i)
			h->own[i] = row;
	return SYNC_OK;
}

static enum sync_status read_rows(struct holders *h, struct sync_error *err)
{
	static const char rows[] =
		"SELECT o.site_id, o.seq, o.action, o.source, coalesce((SELECT r.at_us FROM sync_routing r WHERE r.seq >= o.seq"
		"        ORDER BY r.seq LIMIT 1), 0)"
		"    FROM sync_outbox o WHERE o.entity = $1 AND o.record_id = $2"
		"    AND (o.site_id = 0 OR o.site_id IN (SELECT site_id FROM sync_site))";

	TRY(sync_arena_zeros(&h->g->x->arena, h->g->n_sites, sizeof *h->own, &h->own, err));
	return sync_db_run(h->g->db, rows, SYNC_ARGS(sync_string(h->g->entity), sync_string(h->g->id)), take_row, h, err);
}

static enum sync_status take_waiting(void *ctx, const struct sync_value *v, size_t n, struct sync_error *err)
{
	struct holders *h = ctx;

	(void)n, (void)err;
	for (size_t i = 0; i < h->g->n_sites; i++)
		h->waits[i] = h->waits[i] || h->g->site[i].site_id == v[0].i;
	return SYNC_OK;
}

/* Of such an edit the outbox knows nothing. */
static enum sync_status read_waiting(struct holders *h, struct sync_error *err)
{
	static const char waiting[] =
		"SELECT source FROM sync_inbox WHERE entity = $1 AND record_id = $2"
		"    UNION SELECT site_id FROM sync_waiting WHERE entity = $3 AND record_id = $4 AND done_us IS NULL"
		"        AND kind IN ('quarantine', 'grant')";
	const struct sync_value entity = sync_string(h->g->entity), id = sync_string(h->g->id);

	TRY(sync_arena_zeros(&h->g->x->arena, h->g->n_sites, sizeof *h->waits, &h->waits, err));
	return sync_db_run(h->g->db, waiting, SYNC_ARGS(entity, id, entity, id), take_waiting, h, err);
}

/* what a site has */

/* Of a site's own row and that of everybody the one with the higher seq counts. */
static const struct row *newest(const struct holders *h, size_t i, const struct row **ret_held)
{
	const struct row *own = h->own[i].action ? &h->own[i] : NULL;
	const struct row *all = h->everybody.action ? &h->everybody : NULL;
	const struct row *row = !own || (all && all->seq > own->seq) ? all : own;

	*ret_held = row && row->action == 'P' ? row : NULL;
	return row;
}

/* Whether a site has done what a row says: it said that it has come that far, or the row is its own doing. */
static bool is_done(const struct holders *h, const struct sync_site *s, const struct row *row)
{
	return row->source == s->site_id || row->seq <= (row == &h->everybody ? s->at.all.seq : s->at.own.seq);
}

struct state {
	const char *state, *text;
};

static struct state state_of(const struct holders *h, size_t i, bool due)
{
	const struct sync_site *s = &h->g->site[i];
	const struct row *put, *row = newest(h, i, &put);
	bool done = row && is_done(h, s, row);

	if (h->waits[i])
		return (struct state){ "waits", "has it: what it made of it waits here" };
	if (due && !s->loaded && (!put || put->source != s->site_id))
		return (struct state){ "coming", s->installation[0] ? "comes with its first load, which is not over" : "comes when the site registers" };
	if (due && put)
		return !done                         ? (struct state){ "coming", "comes with its next exchange; until then it has an older version or none" }
		       : row->source == s->site_id ? (struct state){ "has", "has it: made the last change itself" }
		                                   : (struct state){ "has", "has it: fetched and confirmed" };
	if (due)
		return (struct state){ "coming", "is due there: central is still working out what goes to this site" };
	if (put)
		return (struct state){ "leaving", "has it, and loses it: central is still working that out" };
	if (!row || !s->loaded)
		return (struct state){ "no", "does not have it" };
	if (row->action == 'D')
		return done ? (struct state){ "deleted", "had it, and has deleted it" }
		            : (struct state){ "leaving", "may have it: deletes it with its next exchange" };
	return done ? (struct state){ "dropped", "had it, and has dropped it" }
	            : (struct state){ "leaving", "may have it: drops it with its next exchange" };
}

/* why */

static const char *site_name(const struct holders *h, int64_t site)
{
	return sync_explain_site(h->g, site);
}

/* A store for people: its id, and its name where it has one. */
static const char *say_store(const struct holders *h, struct sync_view store_id)
{
	static const char name_of[] = "SELECT n.name FROM store s JOIN name n ON n.id = s.name_id WHERE s.id = $1";
	defer(sync_buf_clear) struct sync_buf name = { .max = 1 << 10 };
	bool found = false;

	if (sync_db_text(h->g->db, name_of, SYNC_ARGS(sync_string(store_id)), &name, &found, NULL) != SYNC_OK || !found)
		return sync_say(&h->g->x->arena, "store %.*s", SYNC_VIEW(store_id));
	return sync_say(&h->g->x->arena, "store %.*s '%.*s'", SYNC_VIEW(store_id), SYNC_VIEW(sync_buf_view(&name)));
}

/* Where a route leads, for a site that it does lead to. */
static const char *say_hit(const struct holders *h, const struct sync_followed *f, const struct sync_hit *hit)
{
	struct sync_arena *a = &h->g->x->arena;
	const struct sync_route *r = f->route;

	switch (r->kind) {
	case SYNC_ROUTE_STORE:
		return sync_say(a, "%s (%s.%s) is active there", say_store(h, hit->store), f->e->name, r->field);
	case SYNC_ROUTE_TRANSFER:
		return sync_say(a, "name %.*s (%s.%s) is that of %s, which is active there", SYNC_VIEW(f->value), f->e->name, r->field,
		                say_store(h, hit->store));
	case SYNC_ROUTE_THROUGH:
		return sync_say(a, "%s %.*s ties %s %.*s to %s, which is active there", r->join, SYNC_VIEW(hit->join), f->e->name,
		                SYNC_VIEW(f->value), say_store(h, hit->store));
	case SYNC_ROUTE_CENTRAL:
	case SYNC_ROUTE_PARENT:
	case SYNC_ROUTE_UP:
	case SYNC_ROUTE_NONE:
		break;
	}
	return "";
}

/* Where it leads instead. */
static const char *say_miss(const struct holders *h, const struct sync_followed *f)
{
	struct sync_arena *a = &h->g->x->arena;
	const struct sync_route *r = f->route;
	const char *at = f->n ? sync_say(a, "is active at site '%s'", site_name(h, f->hit[0].site)) : "is active at no site";

	if (r->kind == SYNC_ROUTE_UP)
		return sync_say(a, "%s goes from its site to central only", f->e->name);
	if (!f->applies && r->when.field)
		return sync_say(a, "%s.%s%s%s is not what would send it there", f->e->name, r->when.field, r->when.refers_field ? "." : "",
		                r->when.refers_field ? r->when.refers_field : "");
	if (!f->value.len)
		return sync_say(a, "%s.%s names nothing", f->e->name, r->field ? r->field : "id");
	switch (r->kind) {
	case SYNC_ROUTE_STORE:
		return sync_say(a, "%s (%s.%s) %s", say_store(h, f->value), f->e->name, r->field, at);
	case SYNC_ROUTE_TRANSFER:
		return f->n ? sync_say(a, "name %.*s (%s.%s) is that of %s, which %s", SYNC_VIEW(f->value), f->e->name, r->field,
		                       say_store(h, f->hit[0].store), at)
		            : sync_say(a, "name %.*s (%s.%s) is that of no active store", SYNC_VIEW(f->value), f->e->name, r->field);
	case SYNC_ROUTE_THROUGH:
		return sync_say(a, "no %s ties %s %.*s to a store of this site", r->join, f->e->name, SYNC_VIEW(f->value));
	case SYNC_ROUTE_CENTRAL:
	case SYNC_ROUTE_PARENT:
	case SYNC_ROUTE_UP:
	case SYNC_ROUTE_NONE:
		break;
	}
	return "";
}

static const struct sync_hit *hit_of(const struct sync_followed *f, int64_t site)
{
	for (size_t i = 0; i < f->n; i++)
		if (f->hit[i].site == site)
			return &f->hit[i];
	return NULL;
}

static void add_part(struct sync_buf *b, const char *text)
{
	if (text[0])
		sync_buf_addf(b, "%s%s", b->len ? "; " : "", text);
}

/* "goes as its invoice i7 (invoice_line.invoice_id): ", for steps of a parent's */
static const char *say_parent(const struct holders *h, size_t step)
{
	const struct sync_followed *f = &h->trail.step[step], *parent = NULL;

	for (size_t i = step; i-- > 0 && f->depth > 0;)
		if (h->trail.step[i].depth == f->depth - 1) {
			parent = &h->trail.step[i];
			break;
		}
	if (!parent)
		return "";
	return sync_say(&h->g->x->arena, "goes as its %s %.*s (%s.%s): ", f->e->name, SYNC_VIEW(parent->value), parent->e->name,
	                parent->route->field);
}

/* Every reason for which a site should have it, or why no route leads there. */
static const char *say_why(const struct holders *h, int64_t site, bool due)
{
	struct sync_arena *a = &h->g->x->arena;
	defer(sync_buf_clear) struct sync_buf b = { .max = 4096 };

	for (size_t i = 0; h->g->exists && i < h->trail.n; i++) {
		const struct sync_followed *f = &h->trail.step[i];
		const struct sync_hit *hit = hit_of(f, site);

		if (due && f->route->kind == SYNC_ROUTE_CENTRAL && f->applies)
			add_part(&b, sync_say(a, "%severy site gets this %s", say_parent(h, i), f->e->name));
		else if (due && hit)
			add_part(&b, sync_say(a, "%s%s", say_parent(h, i), say_hit(h, f, hit)));
		else if (!due && f->route->kind != SYNC_ROUTE_CENTRAL)
			add_part(&b, f->route->kind == SYNC_ROUTE_PARENT && f->value.len ? ""
			                                                                 : sync_say(a, "%s%s", say_parent(h, i), say_miss(h, f)));
	}
	if (!b.len)
		return due || !h->g->exists ? "" : "no route leads anywhere: it stays at central";
	return sync_say(a, "%.*s", SYNC_VIEW(sync_buf_view(&b)));
}

/* one line per site */

static bool is_concerned(const struct holders *h, size_t i, bool due)
{
	return due || h->own[i].action || h->g->only || h->g->n_sites <= WHY_NOT;
}

static enum sync_status add_holder(struct holders *h, size_t i, struct sync_error *err)
{
	struct sync_explanation *x = h->g->x;
	const struct sync_site *s = &h->g->site[i];
	bool due = sync_sites_have(&h->due, SYNC_EVERYBODY) || sync_sites_have(&h->due, s->site_id);
	struct state state = state_of(h, i, due);
	const struct row *put, *row = newest(h, i, &put);
	struct sync_holder *holder;

	TRY(sync_larger(&x->arena, (void **)&x->holder, x->n_holders, &x->cap_holders, sizeof *holder, err));
	holder = &x->holder[x->n_holders++];
	*holder = (struct sync_holder){ .site = s->name, .site_id = s->site_id, .state = state.state, .due = due, .text = state.text,
		                        .routed_us = row ? row->routed_us : 0, .why = "" };
	if (is_concerned(h, i, due))
		holder->why = say_why(h, s->site_id, due);
	if (strcmp(state.state, "has") != 0 || row->source == s->site_id || !row->routed_us)
		return SYNC_OK;
	TRY(sync_explain_pulled(h->g, s->site_id, row->routed_us, &holder->pulled_us, err));
	if (!holder->pulled_us)
		return SYNC_OK;
	return sync_tell(h->g, (struct sync_told){ .what = "pulled", .at_us = holder->pulled_us, .site = s->name, .text = "fetched it" }, err);
}

enum sync_status sync_explain_holders(struct sync_explaining *g, struct sync_error *err)
{
	struct holders h = { .g = g };
	bool exists;

	TRY(read_rows(&h, err));
	TRY(read_waiting(&h, err));
	TRY(sync_route_trail(g->db, g->e, g->id, &g->x->arena, &h.due, &h.trail, &exists, err));
	for (size_t i = 0; i < g->n_sites; i++)
		if (!g->only || g->only == &g->site[i])
			TRY(add_holder(&h, i, err));
	return SYNC_OK;
}

#include <string.h>

#include <libsync/records.h>

#include "base/internal.h"
#include "exchange/lot.h"
#include "exchange/owner.h"
#include "exchange/route.h"

/*
 * What a site may do at central (design.md section 7, "Who may do what").
 *
 * The sender must own what is stored and what it makes of it, each through the parent that it has. What a decision needs of the
 * database besides owners is a question, asked for the whole lot.
 *
 * What is malformed is judged by what it is about: what its sender may never write does not wait for better values.
 *
 * A record of a store that names none belongs to nobody: a site may create it, and may change it as long as it names none and
 * came from no other site.
 */

enum { MOST_REQUESTS = 200 }; /* for grants, of one site, that wait for a person */

enum question {
	SEES,     /* the record is visible at the site */
	MAY_SHOW, /* the site may make it visible to its stores: it sees or created it, or has a grant */
	ITS_OWN,  /* a record without a store came from no other site */
};

struct asked {
	enum question question;
	struct sync_item *item;
	uint32_t fact;
};

struct rights {
	struct sync_owners o;
	struct asked *asked;
	size_t n_asked, cap_asked;
	size_t requests; /* for grants, of the sender, that are open */
	bool *repeated;  /* per item: it is one of them */
};

/* Rows about facts of one entity. */
struct reading {
	struct rights *rights;
	const struct sync_owning *kind;
};

/* decisions */

static void refuse(const struct rights *rights, struct sync_item *item, const char *code, const char *field, const char *text)
{
	sync_item_fail(rights->o.lot, item, SYNC_REFUSED, (struct sync_reason){ .code = code, .field = field, .text = text });
}

static void wait_for(const struct rights *rights, struct sync_item *item, const struct sync_ownership *owner)
{
	struct sync_arena *arena = rights->o.lot->arena;

	sync_item_fail(rights->o.lot, item, SYNC_WAITS,
	               (struct sync_reason){ "missing_reference", owner->field->name, sync_view_of(owner->entity->name), owner->id,
	                                     sync_say(arena, "%s names %s '%.*s', which has not arrived", owner->field->name,
	                                              owner->entity->name, SYNC_VIEW(owner->id)) });
}

static enum sync_status ask(struct rights *rights, enum question question, struct sync_item *item,
                            const struct sync_fact *about, struct sync_error *err)
{
	void *asked = rights->asked;

	TRY(sync_larger(rights->o.lot->arena, &asked, rights->n_asked, &rights->cap_asked, sizeof *rights->asked, err));
	rights->asked = asked;
	rights->asked[rights->n_asked++] = (struct asked){ question, item, (uint32_t)(about - rights->o.facts) };
	return SYNC_OK;
}

/* One version of a record; which is said in the text. */
static enum sync_status decide(struct rights *rights, struct sync_item *item, const struct sync_fact *fact, bool now,
                               struct sync_error *err)
{
	const struct sync_intake *in = rights->o.lot->in;
	const struct sync_ownership owner = sync_owner_of(&rights->o, fact, now);
	const char *which = now ? "" : "as central has it, ";
	struct sync_arena *arena = rights->o.lot->arena;
	const struct sync_entity *e = fact->kind->e;

	switch (owner.whose) {
	case SYNC_CENTRALS:
		refuse(rights, item, "not_owner", e->owner_when.field,
		       sync_say(arena, "%sthis %s is edited at central only", which, e->name));
		break;
	case SYNC_A_STORES:
		if (sync_owner_site(&rights->o, owner.store) != in->source)
			refuse(rights, item, "not_owner", e->owner_field,
			       sync_say(arena, "%sthis %s belongs to store '%.*s', which is not active at this site", which,
			                e->name, SYNC_VIEW(owner.store)));
		break;
	case SYNC_NOBODYS:
		if (now && fact->stored && sync_owner_of(&rights->o, fact, false).whose != SYNC_NOBODYS)
			refuse(rights, item, "not_owner", e->owner_field,
			       sync_say(arena, "this %s cannot leave its store", e->name));
		else if (!now)
			return ask(rights, ITS_OWN, item, fact, err);
		break;
	case SYNC_ANYBODYS:
		if (!now)
			return ask(rights, SEES, item, fact, err);
		break;
	case SYNC_UNKNOWN:
		wait_for(rights, item, &owner);
		break;
	}
	return SYNC_OK;
}

/* A child of a record that any site edits is a part of it. */
static enum sync_status decide_parent(struct rights *rights, struct sync_item *item, const struct sync_fact *fact,
                                      struct sync_error *err)
{
	const struct sync_owning *k = fact->kind;
	const struct sync_fact *parent;
	struct sync_view id;

	if (k->e->owner != SYNC_OWNER_ANY || k->parent.field < 0)
		return SYNC_OK;
	parent = sync_fact_target(&rights->o, fact, k->parent, true, &id);
	return parent && parent->stored ? ask(rights, SEES, item, parent, err) : SYNC_OK;
}

/* A join that makes something visible, unless it does so already. */
static enum sync_status decide_grant(struct rights *rights, struct sync_item *item, const struct sync_fact *fact,
                                     struct sync_error *err)
{
	const struct sync_deciding grants = fact->kind->grants;
	const struct sync_value *before;
	const struct sync_fact *target;
	struct sync_view id;

	if (grants.field < 0)
		return SYNC_OK;
	before = sync_fact_field(&rights->o, fact, grants.field, false);
	target = sync_fact_target(&rights->o, fact, grants, true, &id);
	if (before && before->kind == SYNC_STRING && sync_view_eq(before->s, id))
		return SYNC_OK;
	if (target && target->stored)
		return ask(rights, MAY_SHOW, item, target, err);
	if (!target && id.len) {
		const struct sync_ownership missing = sync_owner_unknown(fact, grants, id);

		wait_for(rights, item, &missing);
	}
	return SYNC_OK;
}

static enum sync_status decide_put(struct rights *rights, struct sync_item *item, const struct sync_fact *fact,
                                   struct sync_error *err)
{
	TRY(decide(rights, item, fact, true, err));
	TRY(decide_parent(rights, item, fact, err));
	if (!fact->stored && item->current) /* deleted meanwhile: only who had it may bring it back */
		TRY(ask(rights, SEES, item, fact, err));
	return decide_grant(rights, item, fact, err);
}

static enum sync_status decide_item(struct rights *rights, struct sync_item *item, struct sync_error *err)
{
	const struct sync_entity *e = item->r->entity;
	const struct sync_fact *fact;

	if (item->r->action == SYNC_DROP) {
		refuse(rights, item, "drop", NULL, "a site deletes a record or keeps it; what is dropped, central decides");
		return SYNC_OK;
	}
	if (!e)
		return SYNC_OK;
	if (e->owner == SYNC_OWNER_CENTRAL) {
		refuse(rights, item, "not_owner", NULL, sync_say(rights->o.lot->arena, "%s is edited at central only", e->name));
		return SYNC_OK;
	}
	if (!sync_item_owned(rights->o.lot, item))
		return SYNC_OK;
	fact = sync_fact_of(&rights->o, e, item->r->id);
	if (fact->stored)
		TRY(decide(rights, item, fact, false, err));
	return item->r->action == SYNC_PUT && !item->r->fault ? decide_put(rights, item, fact, err) : SYNC_OK;
}

/* questions */

static bool is_asked(const struct sync_fact *fact)
{
	return fact->asked && !fact->seen;
}

static bool is_asked_and_stored(const struct sync_fact *fact)
{
	return is_asked(fact) && fact->stored;
}

static bool is_asked_and_gone(const struct sync_fact *fact)
{
	return is_asked(fact) && !fact->stored;
}

static enum sync_status take_seen(void *ctx, const struct sync_value *v, size_t n, struct sync_error *err)
{
	const struct reading *reading = ctx;
	struct sync_fact *fact = sync_fact_of(&reading->rights->o, reading->kind->e, v[0].s);

	(void)n, (void)err;
	if (fact)
		fact->seen = true;
	return SYNC_OK;
}

static enum sync_status see_due(struct rights *rights, const struct sync_entity *e, const struct sync_view *ids, size_t n,
                                struct sync_error *err)
{
	struct sync_arena *arena = rights->o.lot->arena;
	struct sync_record *r = sync_arena_get(arena, n * sizeof *r);
	bool *due = sync_arena_get(arena, n * sizeof *due);

	if (!n)
		return SYNC_OK;
	if (!r || !due)
		return sync_fail(err, SYNC_ENOMEM, "where %zu records of %s go", n, e->name);
	TRY(sync_records_get(rights->o.lot->db, e, (struct sync_view){ 0 }, ids, n, arena, r, err));
	TRY(sync_route_due(rights->o.lot->db, rights->o.lot->in->source, r, n, arena, due, err));
	for (size_t i = 0; i < n; i++)
		if (due[i])
			sync_fact_of(&rights->o, e, ids[i])->seen = true;
	return SYNC_OK;
}

/* Visible is what the site created, what routing gives it now and, of deleted records, what routing once gave it. */
static enum sync_status see(struct rights *rights, size_t from, struct sync_error *err)
{
	const struct sync_value source = sync_int(rights->o.lot->in->source);
	struct reading reading = { rights, rights->o.facts[from].kind };
	const struct sync_value name = sync_text(reading.kind->e->name);
	struct sync_view *ids;
	size_t n;

	TRY(sync_fact_ids(&rights->o, from, is_asked, &ids, &n, err));
	TRY(sync_run_ids(rights->o.lot->db, "SELECT record_id FROM sync_version WHERE record_id", ids, n,
	                 " AND entity = $2 AND creator = $3", SYNC_ARGS(name, source), take_seen, &reading, err));
	TRY(sync_fact_ids(&rights->o, from, is_asked_and_gone, &ids, &n, err));
	TRY(sync_run_ids(rights->o.lot->db, "SELECT record_id FROM sync_outbox WHERE record_id", ids, n,
	                 " AND entity = $2 AND site_id IN (0, $3)", SYNC_ARGS(name, source), take_seen, &reading, err));
	TRY(sync_fact_ids(&rights->o, from, is_asked_and_stored, &ids, &n, err));
	return see_due(rights, reading.kind->e, ids, n, err);
}

static enum sync_status see_all(struct rights *rights, struct sync_error *err)
{
	for (size_t i = 0; i < rights->n_asked; i++)
		if (rights->asked[i].question != ITS_OWN)
			rights->o.facts[rights->asked[i].fact].asked = true;
	for (size_t i = 0; i < rights->o.n; i++) {
		const struct sync_owning *kind = rights->o.facts[i].kind;

		if (!rights->o.facts[i].asked)
			continue;
		TRY(see(rights, i, err));
		for (size_t k = i; k < rights->o.n; k++)
			if (rights->o.facts[k].kind == kind)
				rights->o.facts[k].asked = false;
	}
	return SYNC_OK;
}

static bool same_kind(const struct rights *rights, const struct asked *a, const struct asked *b)
{
	return a->question == b->question && rights->o.facts[a->fact].kind == rights->o.facts[b->fact].kind;
}

/* Ids of what all questions like this one are about. */
static enum sync_status asked_ids(const struct rights *rights, const struct asked *like, struct sync_view **ret, size_t *ret_n,
                                  struct sync_error *err)
{
	struct sync_view *ids = sync_arena_get(rights->o.lot->arena, rights->n_asked * sizeof *ids);
	size_t n = 0;

	if (!ids)
		return sync_fail(err, SYNC_ENOMEM, "a list of %zu ids", rights->n_asked);
	for (size_t i = 0; i < rights->n_asked; i++)
		if (same_kind(rights, &rights->asked[i], like))
			ids[n++] = rights->o.facts[rights->asked[i].fact].id;
	*ret = ids;
	*ret_n = n;
	return SYNC_OK;
}

static enum sync_status take_found(void *ctx, const struct sync_value *v, size_t n, struct sync_error *err)
{
	const struct reading *reading = ctx;
	struct sync_fact *fact = sync_fact_of(&reading->rights->o, reading->kind->e, v[0].s);

	(void)n, (void)err;
	if (fact)
		fact->found = true;
	return SYNC_OK;
}

/* A grant for what it may show; for what it may change, that it came from another site. */
static enum sync_status look_up(struct rights *rights, const struct asked *like, struct sync_error *err)
{
	struct reading reading = { rights, rights->o.facts[like->fact].kind };
	const struct sync_value name = sync_text(reading.kind->e->name), source = sync_int(rights->o.lot->in->source);
	struct sync_view *ids;
	size_t n;

	TRY(asked_ids(rights, like, &ids, &n, err));
	if (like->question == MAY_SHOW)
		return sync_run_ids(rights->o.lot->db, "SELECT record_id FROM sync_grant WHERE record_id", ids, n,
		                    " AND entity = $2 AND site_id = $3", SYNC_ARGS(name, source), take_found, &reading, err);
	return sync_run_ids(rights->o.lot->db, "SELECT record_id FROM sync_outbox WHERE record_id", ids, n,
	                    " AND entity = $2 AND site_id IN (0, $3) AND source <> $4", SYNC_ARGS(name, source, source),
	                    take_found, &reading, err);
}

static enum sync_status look_up_all(struct rights *rights, struct sync_error *err)
{
	for (size_t i = 0; i < rights->n_asked; i++) {
		bool first = rights->asked[i].question != SEES;

		for (size_t k = 0; k < i && first; k++)
			first = !same_kind(rights, &rights->asked[k], &rights->asked[i]);
		if (first)
			TRY(look_up(rights, &rights->asked[i], err));
	}
	return SYNC_OK;
}

static bool lacks_grant(const struct rights *rights, const struct asked *asked)
{
	const struct sync_fact *fact = &rights->o.facts[asked->fact];

	return asked->question == MAY_SHOW && !fact->seen && !fact->found;
}

static enum sync_status take_request(void *ctx, const struct sync_value *v, size_t n, struct sync_error *err)
{
	struct rights *rights = ctx;
	const struct sync_item *item = sync_lot_find(rights->o.lot, v[0].s, v[1].s);

	(void)n, (void)err;
	rights->requests++;
	if (item && item->r->seq == v[2].i)
		rights->repeated[item - rights->o.lot->items] = true;
	return SYNC_OK;
}

static enum sync_status find_requests(struct rights *rights, struct sync_error *err)
{
	static const char find[] =
		"SELECT entity, record_id, seq FROM sync_waiting WHERE site_id = $1 AND kind = 'grant' AND done_us IS NULL";
	const struct sync_lot *lot = rights->o.lot;
	size_t i = 0;

	while (i < rights->n_asked && !lacks_grant(rights, &rights->asked[i]))
		i++;
	if (i == rights->n_asked)
		return SYNC_OK;
	rights->repeated = sync_arena_get(lot->arena, lot->n);
	if (!rights->repeated)
		return sync_fail(err, SYNC_ENOMEM, "requests for grants");
	memset(rights->repeated, 0, lot->n);
	return sync_db_run(lot->db, find, SYNC_ARGS(sync_int(lot->in->source)), take_request, rights, err);
}

/* Nobody reads thousands of requests; a site that asks for everything is not to be answered by habit. */
static void ask_for_grant(struct rights *rights, struct sync_item *item, const struct sync_fact *fact)
{
	struct sync_arena *arena = rights->o.lot->arena;
	const char *field = item->r->entity->creator_grants;
	bool repeated = rights->repeated[item - rights->o.lot->items];

	if (!repeated && rights->requests >= MOST_REQUESTS) {
		refuse(rights, item, "too_many_grants", field,
		       sync_say(arena, "%zu requests of this site wait for a grant; central has to decide those first",
		                rights->requests));
		return;
	}
	rights->requests += !repeated;
	refuse(rights, item, "needs_grant", field,
	       sync_say(arena, "%s '%.*s' was made elsewhere: central has to grant that this site sees it", fact->kind->e->name,
	                SYNC_VIEW(fact->id)));
}

static void answer(struct rights *rights, const struct asked *asked)
{
	const struct sync_fact *fact = &rights->o.facts[asked->fact];
	struct sync_item *item = asked->item;
	struct sync_arena *arena = rights->o.lot->arena;
	const struct sync_entity *e = fact->kind->e;
	const char *name = e->name;

	switch (asked->question) {
	case SEES:
		if (!fact->seen)
			refuse(rights, item, "not_visible", NULL,
			       sync_say(arena, "%s '%.*s' is not visible at this site", name, SYNC_VIEW(fact->id)));
		break;
	case MAY_SHOW:
		if (lacks_grant(rights, asked))
			ask_for_grant(rights, item, fact);
		break;
	case ITS_OWN:
		if (fact->found)
			refuse(rights, item, "not_owner", e->owner_field,
			       sync_say(arena, "this %s belongs to no store and comes from another site", name));
		break;
	}
}

static enum sync_status take_unknown(void *ctx, const struct sync_value *v, size_t n, struct sync_error *err)
{
	struct sync_lot *lot = ctx;
	struct sync_item *item = sync_lot_find(lot, v[0].s, v[1].s);

	(void)n, (void)err;
	if (!item || item->r->entity)
		return SYNC_OK;
	item->exists = true;
	if (v[2].i != lot->in->source)
		sync_item_fail(lot, item, SYNC_REFUSED,
		               (struct sync_reason){ .code = "not_owner", .text = "this record of an unknown entity comes from elsewhere" });
	return SYNC_OK;
}

/* Of an entity that this build does not know, a site may change what it has brought itself. */
static enum sync_status check_unknown(struct sync_lot *lot, const struct sync_run *run, struct sync_error *err)
{
	const char *held = sync_say(lot->arena, " ORDER BY record_id, entity%s", sync_db_dialect(lot->db)->for_change);
	struct sync_view *ids;
	size_t n;

	TRY(sync_run_select(lot, run, sync_item_open, &ids, &n, err));
	return sync_run_ids(lot->db, "SELECT entity, record_id, coalesce(source, 0) FROM sync_extra WHERE record_id", ids, n, held,
	                    SYNC_NOARGS, take_unknown, lot, err);
}

enum sync_status sync_check_rights(struct sync_lot *lot, struct sync_error *err)
{
	struct rights rights = { .n_asked = 0 };
	struct sync_run run = { 0 };

	TRY(sync_owners_open(&rights.o, lot, err));
	TRY(sync_load_current(lot, err)); /* of records that are held by now */
	while (sync_lot_next(lot, &run)) {
		for (size_t i = 0; i < run.n; i++)
			TRY(decide_item(&rights, run.items[i], err));
		if (!run.e)
			TRY(check_unknown(lot, &run, err));
	}
	if (!rights.n_asked)
		return SYNC_OK;
	TRY(see_all(&rights, err));
	TRY(look_up_all(&rights, err));
	TRY(find_requests(&rights, err));
	for (size_t i = 0; i < rights.n_asked; i++)
		answer(&rights, &rights.asked[i]);
	return SYNC_OK;
}

#include <string.h>

#include <libsync/records.h>

#include "base/internal.h"
#include "exchange/lot.h"

/*
 * Hard references, for the whole lot at once: what the tables will hold after it is what they hold now, with the puts that are
 * accepted and without the deletes. A group that fails may take others with it, so the check repeats until nothing fails. Of
 * two transactions, one of which deletes what the other comes to name, the second waits for the first: what is named is held,
 * and what is to go is locked, before it is asked who names it.
 */

/* A record that something in the lot refers to and that the lot itself does not bring. */
struct target {
	const struct sync_entity *e;
	struct sync_view id;
	bool looked_up;
	bool exists;
};

struct check {
	struct sync_lot *lot;
	bool at_site;
	struct sync_set known; /* (entity, id): target */
	struct target *targets;
	size_t n, cap;
};

/* The hard references of one entity. */
struct hard {
	size_t field[SYNC_MAX_FIELDS];
	const struct sync_entity *target[SYNC_MAX_FIELDS];
	struct sync_view name[SYNC_MAX_FIELDS]; /* of the target */
	size_t n;
};

static bool is_hard(const struct check *c, const struct sync_entity *e, const struct sync_field *f)
{
	if (!f->refers || f->soft || f->local)
		return false;
	return !c->at_site || sync_field_hard_at_site(e, f);
}

static void hard_of(const struct check *c, const struct sync_entity *e, struct hard *ret)
{
	ret->n = 0;
	for (size_t i = 0; i < e->n_fields; i++) {
		const struct sync_entity *target = is_hard(c, e, &e->fields[i]) ? sync_field_target(&e->fields[i]) : NULL;

		if (!target)
			continue;
		ret->field[ret->n] = i;
		ret->target[ret->n] = target;
		ret->name[ret->n++] = sync_view_of(target->name);
	}
}

/* Puts that are accepted so far. */
static bool is_put(const struct sync_lot *lot, const struct sync_item *item)
{
	return item->r->action == SYNC_PUT && item->r->values && sync_item_applies(lot, item);
}

static bool is_removal(const struct sync_lot *lot, const struct sync_item *item)
{
	return item->r->action != SYNC_PUT && sync_item_applies(lot, item);
}

/* forward: what puts name */

static struct target *target_of(const struct check *c, struct sync_view entity, struct sync_view id)
{
	const uint32_t *at = sync_set_find(&c->known, entity, id);

	return at ? &c->targets[*at] : NULL;
}

static enum sync_status want(struct check *c, const struct sync_entity *e, struct sync_view name, struct sync_view id,
			     struct sync_error *err)
{
	const struct sync_item *item = sync_lot_find(c->lot, name, id);
	uint32_t *at;
	void *targets;

	if (item && is_put(c->lot, item))
		return SYNC_OK;
	TRY(sync_set_add(&c->known, name, id, (uint32_t)c->n, &at, err));
	if (*at < c->n)
		return SYNC_OK;
	targets = c->targets;
	TRY(sync_larger(c->lot->arena, &targets, c->n, &c->cap, sizeof *c->targets, err));
	c->targets = targets;
	c->targets[c->n++] = (struct target){ .e = e, .id = id };
	return SYNC_OK;
}

static enum sync_status want_all(struct check *c, struct sync_error *err)
{
	struct sync_run run = { 0 };
	struct hard hard;

	while (sync_lot_next(c->lot, &run)) {
		if (!run.e)
			continue;
		hard_of(c, run.e, &hard);
		for (size_t i = 0; hard.n && i < run.n; i++) {
			const struct sync_item *item = run.items[i];

			if (!is_put(c->lot, item))
				continue;
			for (size_t k = 0; k < hard.n; k++) {
				const struct sync_value *v = &item->r->values[hard.field[k]];

				if (v->kind == SYNC_STRING)
					TRY(want(c, hard.target[k], hard.name[k], v->s, err));
			}
		}
	}
	return SYNC_OK;
}

/* Look up all targets of one entity that are not looked up yet, from the first of them on. */
static enum sync_status look_up(struct check *c, size_t first, struct sync_error *err)
{
	const struct sync_entity *e = c->targets[first].e;
	struct sync_view *ids = sync_arena_get(c->lot->arena, (c->n - first) * sizeof *ids);
	bool *exist = sync_arena_get(c->lot->arena, c->n - first);
	size_t n = 0;

	if (!ids || !exist)
		return sync_fail(err, SYNC_ENOMEM, "%zu references", c->n);
	for (size_t i = first; i < c->n; i++)
		if (c->targets[i].e == e && !c->targets[i].looked_up)
			ids[n++] = c->targets[i].id;
	TRY(sync_records_hold(c->lot->db, e, ids, n, exist, err));
	for (size_t i = first, k = 0; i < c->n; i++) {
		struct target *t = &c->targets[i];

		if (t->e != e || t->looked_up)
			continue;
		t->looked_up = true;
		t->exists = exist[k++];
	}
	return SYNC_OK;
}

static enum sync_status look_up_all(struct check *c, size_t first, struct sync_error *err)
{
	for (size_t i = first; i < c->n; i++)
		if (!c->targets[i].looked_up)
			TRY(look_up(c, i, err));
	return SYNC_OK;
}

static bool will_exist(const struct check *c, struct sync_view entity, struct sync_view id)
{
	const struct sync_item *item = sync_lot_find(c->lot, entity, id);
	const struct target *t;

	if (item && is_put(c->lot, item))
		return true;
	if (item && is_removal(c->lot, item))
		return false;
	t = target_of(c, entity, id);
	return t && t->exists;
}

static void check_item(struct check *c, struct sync_item *item, const struct hard *hard)
{
	for (size_t k = 0; k < hard->n; k++) {
		const struct sync_value *v = &item->r->values[hard->field[k]];
		const char *field = item->r->entity->fields[hard->field[k]].name;

		if (v->kind != SYNC_STRING || will_exist(c, hard->name[k], v->s))
			continue;
		sync_item_fail(c->lot, item, SYNC_WAITS,
			       (struct sync_reason){ "missing_reference", field, hard->name[k], v->s,
						     sync_say(c->lot->arena, "%s names %s '%.*s', which has not arrived", field,
							      hard->target[k]->name, SYNC_VIEW(v->s)) });
		return;
	}
}

static void check_puts(struct check *c)
{
	struct sync_run run = { 0 };
	struct hard hard;

	while (sync_lot_next(c->lot, &run)) {
		if (!run.e)
			continue;
		hard_of(c, run.e, &hard);
		for (size_t i = 0; hard.n && i < run.n; i++)
			if (is_put(c->lot, run.items[i]))
				check_item(c, run.items[i], &hard);
	}
}

/* reverse: who names what is removed */

struct referrer {
	struct check *c;
	const struct sync_entity *e; /* whose records refer */
	const struct sync_field *f;
	size_t field;
	const struct sync_entity *target;
};

/* A row (id, what its field names): it holds that back, unless the lot removes it or makes it name something else. */
static enum sync_status take_referrer(void *ctx, const struct sync_value *v, size_t n, struct sync_error *err)
{
	const struct referrer *r = ctx;
	struct sync_lot *lot = r->c->lot;
	const struct sync_item *by = sync_lot_find(lot, sync_view_of(r->e->name), v[0].s);
	struct sync_item *item = sync_lot_find(lot, sync_view_of(r->target->name), v[1].s);
	struct sync_view id;
	const char *text;

	(void)n;
	if (!item || !is_removal(lot, item) || (by && is_removal(lot, by)))
		return SYNC_OK;
	if (by && is_put(lot, by) && by->r->values[r->field].kind != SYNC_ABSENT) {
		const struct sync_value *now = &by->r->values[r->field];

		if (now->kind != SYNC_STRING || !sync_view_eq(now->s, v[1].s))
			return SYNC_OK;
	}
	TRY(sync_keep_text(lot->arena, &v[0], &id, err));
	text = sync_say(lot->arena, "%s of %s '%.*s' still names it", r->f->name, r->e->name, SYNC_VIEW(id));
	sync_item_fail(lot, item, SYNC_WAITS,
		       (struct sync_reason){ "referenced", r->f->name, sync_view_of(r->e->name), id, text });
	return SYNC_OK;
}

/*
 * At most as many rows as the lot has records can be explained by the lot, so one more is enough to fail a group; what was not
 * seen is asked for again when it did.
 */
static enum sync_status check_referrers(const struct referrer *r, const struct sync_view *ids, size_t n, struct sync_error *err)
{
	struct sync_lot *lot = r->c->lot;
	const char *head = sync_say(lot->arena, "SELECT id, \"%s\" FROM \"%s\" WHERE \"%s\"", r->f->name, r->e->name,
				    r->f->name);

	return sync_run_ids(lot->db, head, ids, n, " LIMIT $2", SYNC_ARGS(sync_int((int64_t)lot->n + 1)), take_referrer,
			    (void *)(uintptr_t)r, err);
}

/* In one order, and with SQLite not at all. */
static enum sync_status lock_removed(const struct check *c, const struct sync_entity *e, const struct sync_view *ids, size_t n,
				     struct sync_error *err)
{
	const struct sync_dialect *d = sync_db_dialect(c->lot->db);
	const char *head = sync_say(c->lot->arena, "SELECT id FROM \"%s\" WHERE id", e->name);

	if (!*d->for_update)
		return SYNC_OK;
	return sync_run_ids(c->lot->db, head, ids, n, sync_say(c->lot->arena, " ORDER BY id%s", d->for_update), NULL, 0, NULL,
			    NULL, err);
}

static enum sync_status check_removed(struct check *c, const struct sync_run *run, struct sync_error *err)
{
	size_t n_entities, n;
	const struct sync_entity *const *all = sync_entities(&n_entities);
	struct sync_view *ids;

	TRY(sync_run_select(c->lot, run, is_removal, &ids, &n, err));
	TRY(lock_removed(c, run->e, ids, n, err));
	for (size_t i = 0; n && i < n_entities; i++) {
		for (size_t k = 0; k < all[i]->n_fields; k++) {
			const struct sync_field *f = &all[i]->fields[k];

			if (!f->refers || strcmp(f->refers, run->e->name) != 0 || !is_hard(c, all[i], f))
				continue;
			TRY(check_referrers(&(struct referrer){ c, all[i], f, k, run->e }, ids, n, err));
		}
	}
	return SYNC_OK;
}

static enum sync_status check_removals(struct check *c, struct sync_error *err)
{
	struct sync_run run = { 0 };

	while (sync_lot_next(c->lot, &run))
		if (run.e)
			TRY(check_removed(c, &run, err));
	return SYNC_OK;
}

enum sync_status sync_check_references(struct sync_lot *lot, struct sync_error *err)
{
	struct check c = { .lot = lot, .at_site = sync_db_role(lot->db) == SYNC_SITE };
	size_t failures, first;

	c.known.arena = lot->arena;
	do {
		failures = lot->failures;
		first = c.n;
		TRY(want_all(&c, err));
		TRY(look_up_all(&c, first, err));
		check_puts(&c);
		TRY(check_removals(&c, err));
	} while (lot->failures > failures);
	return SYNC_OK;
}

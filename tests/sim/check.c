#include "check.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/internal.h"

/*
 * Central's tables say where every record belongs, by rules that are written here once more, for the entities of entities.c.
 * What a record waits for, at central or at the site, excuses that it is not yet there; whether it really waits is checked.
 */

enum { MARK = 5, CELLS };

/* A table as a node has it, by id. */
struct row {
	char cell[CELLS][MODEL_ID]; /* id, note, and the kind's columns; its mark */
};
struct table {
	struct row *rows;
	size_t n;
};

/* Everything of a node. */
struct copy {
	struct table table[KINDS];
};

static int64_t tag_in(const char *frame)
{
	const char *at = strchr(frame, '#');

	return at ? strtoll(at + 1, NULL, 10) : 0;
}

static sqlite3_stmt *prepare(struct world *w, int node, const char *sql)
{
	sqlite3_stmt *stmt;

	if (sqlite3_prepare_v2(w->node[node].app, sql, -1, &stmt, NULL) != SQLITE_OK)
		abort();
	return stmt;
}

static const char *text(sqlite3_stmt *stmt, int column)
{
	const char *got = (const char *)sqlite3_column_text(stmt, column);

	return got ? got : "";
}

static void read_table(struct world *w, int node, enum kind kind, struct table *ret)
{
	const struct kind_info *k = &kinds[kind];
	sqlite3_stmt *stmt;
	char sql[200];
	size_t len = (size_t)snprintf(sql, sizeof sql, "SELECT id, note");
	int columns = 2;

	for (; k->columns[columns - 2]; columns++)
		len += (size_t)snprintf(sql + len, sizeof sql - len, ", %s", k->columns[columns - 2]);
	(void)snprintf(sql + len, sizeof sql - len, "%s FROM %s ORDER BY id", world_marks(w, node, kind) ? ", coalesce(mark, '') || level" : "", k->table);
	ret->rows = calloc((size_t)ask(w, node, "SELECT count(*) + 1 FROM %s", k->table), sizeof *ret->rows);
	if (!ret->rows)
		abort();
	stmt = prepare(w, node, sql);
	for (; sqlite3_step(stmt) == SQLITE_ROW; ret->n++)
		for (int i = 0; i < sqlite3_column_count(stmt); i++)
			(void)snprintf(ret->rows[ret->n].cell[i < columns ? i : MARK], MODEL_ID, "%s", text(stmt, i));
	(void)sqlite3_finalize(stmt);
}

static void read_copy(struct world *w, int node, struct copy *ret)
{
	*ret = (struct copy){ 0 };
	for (enum kind k = 0; k < KINDS; k++)
		if (world_knows(w, node, k))
			read_table(w, node, k, &ret->table[k]);
}

static void clear_copy(struct copy *c)
{
	for (enum kind k = 0; k < KINDS; k++)
		free(c->table[k].rows);
}

static const struct row *find(const struct copy *c, enum kind kind, const char *id)
{
	const struct table *t = &c->table[kind];

	for (size_t i = 0; i < t->n; i++)
		if (!strcmp(t->rows[i].cell[0], id))
			return &t->rows[i];
	return NULL;
}

/* where records belong */

static bool store_at(const struct copy *c, const char *store, int64_t site)
{
	const struct row *r = find(c, STORE, store);

	return r && strtoll(r->cell[2], NULL, 10) == site;
}

/* Some join shows the name to a store of the site. */
static bool shown_to(const struct copy *c, const char *name, int64_t site)
{
	const struct table *joins = &c->table[JOIN];

	for (size_t i = 0; i < joins->n; i++)
		if (!strcmp(joins->rows[i].cell[3], name) && store_at(c, joins->rows[i].cell[2], site))
			return true;
	return false;
}

static bool is_patient(const struct copy *c, const char *name)
{
	const struct row *r = find(c, NAME, name);

	return r && !strcmp(r->cell[2], "PATIENT");
}

/* A store that goes by this name is at the site. */
static bool names_store_at(const struct copy *c, const char *name, int64_t site)
{
	const struct table *stores = &c->table[STORE];

	for (size_t i = 0; i < stores->n; i++)
		if (!strcmp(stores->rows[i].cell[3], name) && strtoll(stores->rows[i].cell[2], NULL, 10) == site)
			return true;
	return false;
}

static bool invoice_at(const struct copy *c, const struct row *r, int64_t site)
{
	return store_at(c, r->cell[2], site) || names_store_at(c, r->cell[3], site) ||
	       (is_patient(c, r->cell[3]) && shown_to(c, r->cell[3], site));
}

static bool belongs(const struct copy *c, enum kind kind, const struct row *r, int64_t site)
{
	const struct row *invoice;

	switch (kind) {
	case UNIT:
	case STORE:
	case BARCODE:
		return true;
	case NAME:
		return strcmp(r->cell[2], "PATIENT") != 0 || shown_to(c, r->cell[0], site);
	case VISIT:
		return shown_to(c, r->cell[2], site);
	case SETTING:
		return !r->cell[2][0] || store_at(c, r->cell[2], site);
	case JOIN:
	case LOCATION:
	case MEMO:
		return store_at(c, r->cell[2], site);
	case INVOICE:
		return invoice_at(c, r, site);
	case LINE:
		invoice = find(c, INVOICE, r->cell[2]);
		return invoice && invoice_at(c, invoice, site);
	case LOG:
	case KINDS:
		break;
	}
	return false;
}

/* what excuses */

static bool waits(struct world *w, int site, enum kind kind, const char *id)
{
	const char *entity = kinds[kind].table;
	bool here = ask(w, site, "SELECT count(*) FROM sync_inbox WHERE entity = '%s' AND record_id = '%s'", entity, id) > 0;
	bool central = ask(w, CENTRAL,
			   "SELECT count(*) FROM sync_inbox WHERE source = %" PRId64 " AND entity = '%s' AND record_id = '%s'",
			   w->node[site].site_id, entity, id) > 0;
	bool asked = ask(w, CENTRAL,
			 "SELECT count(*) FROM sync_waiting WHERE kind = 'grant' AND site_id = %" PRId64
			 " AND entity = '%s' AND record_id = '%s' AND done_us IS NULL",
			 w->node[site].site_id, entity, id) > 0;

	w->figures->waiting += here || central || asked;
	return here || central || asked;
}

static bool exists(struct world *w, int node, const char *entity, const char *id)
{
	return ask(w, node, "SELECT count(*) FROM %s WHERE id = '%s'", entity, id) > 0;
}

/* What a node's inbox says is so. */
static void check_inbox(struct world *w, int node)
{
	sqlite3_stmt *stmt = prepare(
	    w, node,
	    "SELECT source, entity, record_id, root_id, code, coalesce(needs_entity, ''), coalesce(needs_id, '')"
	    " FROM sync_inbox ORDER BY source, entity, record_id");

	while (sqlite3_step(stmt) == SQLITE_ROW) {
		const char *entity = text(stmt, 1), *id = text(stmt, 2), *code = text(stmt, 4);
		bool so = false;

		if (!strcmp(code, "missing_reference"))
			so = !exists(w, node, text(stmt, 5), text(stmt, 6));
		else if (!strcmp(code, "referenced"))
			so = exists(w, node, entity, id);
		else if (!strcmp(code, "group"))
			so = ask(w, node,
				 "SELECT count(*) FROM sync_inbox WHERE source = %d AND root_id = '%s' AND code <> 'group'",
				 sqlite3_column_int(stmt, 0), text(stmt, 3)) > 0;
		else if (!strcmp(code, "waiting_edit"))
			so = ask(w, CENTRAL,
				 "SELECT (SELECT count(*) FROM sync_inbox WHERE source = %d AND entity = '%s' AND record_id = '%s')"
				 " + (SELECT count(*) FROM sync_waiting WHERE site_id = %d AND entity = '%s' AND record_id = '%s')",
				 (int)w->node[node].site_id, text(stmt, 5), text(stmt, 6), (int)w->node[node].site_id, text(stmt, 5),
				 text(stmt, 6)) > 0;
		if (!so)
			violate(w, 2, "node %d lets %s '%s' wait with %s (%s '%s'), for which there is no reason", node, entity,
				id, code, text(stmt, 5), text(stmt, 6));
	}
	(void)sqlite3_finalize(stmt);
}

/* What both sides have of a record, for the trace. */
static void tell(struct world *w, int node, const char *sql, const char *entity, const char *id)
{
	sqlite3_stmt *stmt = prepare(w, node, sql);

	(void)sqlite3_bind_text(stmt, 1, entity, -1, SQLITE_STATIC);
	(void)sqlite3_bind_text(stmt, 2, id, -1, SQLITE_STATIC);
	while (sqlite3_step(stmt) == SQLITE_ROW)
		trace(w, "  node %d: %s", node, text(stmt, 0));
	(void)sqlite3_finalize(stmt);
}

static void tell_record(struct world *w, int site, const char *entity, const char *id)
{
	tell(w, CENTRAL,
	     "SELECT 'outbox of site ' || site_id || ': ' || action || ' seq ' || seq || ' source ' || source"
	     "    FROM sync_outbox WHERE entity = $1 AND record_id = $2 ORDER BY site_id",
	     entity, id);
	tell(w, CENTRAL,
	     "SELECT 'waiting, ' || kind || ' of site ' || site_id || ': ' || code || ' ' || frame"
	     "    FROM sync_waiting WHERE entity = $1 AND record_id = $2 ORDER BY id",
	     entity, id);
	tell(w, CENTRAL,
	     "SELECT 'verdict ' || n || ' for site ' || site_id || ': ' || kind || ' ' || code || ' seq ' || seq"
	     "    FROM sync_verdict WHERE entity = $1 AND record_id = $2 ORDER BY n",
	     entity, id);
	tell(w, site,
	     "SELECT 'changelog: ' || action || ' seq ' || seq FROM sync_changelog WHERE entity = $1 AND record_id = $2",
	     entity, id);
	tell(w, site,
	     "SELECT 'at all ' || all_seq || ' own ' || own_seq || ', integrated ' || out_integrated"
	     "    FROM sync_link WHERE $1 <> $2",
	     entity, id);
}

/* Converges, no leaks. */

static void check_row(struct world *w, int site, enum kind kind, const char *id, const struct row *at_central,
		      const struct row *at_site, bool due)
{
	const char *entity = kinds[kind].table;

	if (due == !!at_site && (!due || !memcmp(at_central, at_site, sizeof *at_site)))
		return;
	if (waits(w, site, kind, id))
		return;
	if (!w->violation[0])
		tell_record(w, site, entity, id);
	if (!at_site)
		violate(w, 10, "site %d lacks %s '%s' %s", site, entity, id, at_central->cell[1]);
	else if (!due)
		violate(w, 7, "site %d has %s '%s' %s, which is %s", site, entity, id, at_site->cell[1],
			at_central ? "not for it" : "not at central");
	else
		violate(w, 10, "site %d has %s '%s' %s (%s %s %s)%s, central %s (%s %s %s)%s", site, entity, id, at_site->cell[1],
			at_site->cell[2], at_site->cell[3], at_site->cell[4], at_site->cell[MARK], at_central->cell[1],
			at_central->cell[2], at_central->cell[3], at_central->cell[4], at_central->cell[MARK]);
}

/* Both are in the order of their ids. */
static void compare(struct world *w, int site, enum kind kind, const struct copy *central, const struct copy *copy)
{
	const struct table *a = &central->table[kind], *b = &copy->table[kind];
	size_t i = 0, k = 0;

	while (i < a->n || k < b->n) {
		int order = i == a->n ? 1 : k == b->n ? -1 : strcmp(a->rows[i].cell[0], b->rows[k].cell[0]);
		const struct row *at_central = order <= 0 ? &a->rows[i++] : NULL;
		const struct row *at_site = order >= 0 ? &b->rows[k++] : NULL;
		bool due = at_central && belongs(central, kind, at_central, w->node[site].site_id);

		check_row(w, site, kind, at_central ? at_central->cell[0] : at_site->cell[0], at_central, at_site, due);
	}
}

/* What was not known where an edit was made is as it was in what was edited. */
static void check_marks(struct world *w, const struct copy *central, enum kind kind)
{
	const struct table *t = &central->table[kind];
	char mark[MODEL_ID];

	for (size_t i = 0; world_marks(w, CENTRAL, kind) && i < t->n; i++) {
		const struct edit *e = model_find(&w->model, tag_in(t->rows[i].cell[1]));

		if (!e || !e->mark)
			continue;
		(void)snprintf(mark, sizeof mark, "~%" PRId64 ";%" PRId64, e->mark, e->mark % 10);
		if (strcmp(mark, t->rows[i].cell[MARK]) != 0)
			violate(w, 8, "%s '%s' %s has the mark '%s', not %s", kinds[kind].table, e->id, t->rows[i].cell[1],
				t->rows[i].cell[MARK], mark);
	}
}

/* Logs only go up, so sites differ in what they have of them. */
static void check_sites(struct world *w)
{
	struct copy central, copy;

	read_copy(w, CENTRAL, &central);
	for (enum kind k = 0; k < KINDS; k++)
		check_marks(w, &central, k);
	for (int site = 1; site <= w->sites; site++) {
		read_copy(w, site, &copy);
		for (enum kind k = 0; k < KINDS; k++)
			if (k != LOG)
				compare(w, site, k, &central, &copy);
		clear_copy(&copy);
	}
	clear_copy(&central);
}

/* Nothing is lost. */

static bool is_of(const struct edit *e, const char *entity, const char *id)
{
	return !strcmp(e->id, id) && !strcmp(kinds[e->kind].table, entity);
}

static bool deletes(const struct world *w, const struct edit *e, int64_t site_id, const char *entity, const char *id)
{
	return e->deletes && is_of(e, entity, id) && (site_id < 0 || w->node[e->node].site_id == site_id);
}

/*
 * A site's deletes of a record; -1: anybody's. A site that has never deleted it was told to, and says so once more to a central that
 * has lost both the delete and what the site had made of the record.
 */
static void account_deletes(struct world *w, int64_t site_id, const char *entity, const char *id)
{
	size_t own = 0;

	for (size_t i = 0; i < w->model.n; i++)
		own += deletes(w, &w->model.edits[i], site_id, entity, id);
	for (size_t i = 0; i < w->model.n; i++)
		w->model.edits[i].accounted |= deletes(w, &w->model.edits[i], own ? site_id : -1, entity, id);
}

/* What came before the first edit of a record that was not there. */
static void account_before(struct world *w, const struct edit *first)
{
	for (size_t i = 0; i < w->model.n && w->model.edits[i].tag < first->tag; i++) {
		struct edit *e = &w->model.edits[i];

		if ((e->deletes || e->node == first->node) && is_of(e, kinds[first->kind].table, first->id))
			e->accounted = true;
	}
}

/* Two deleted the same: the one that made it anew knew of one of them, and that is as good. */
static void account_same(struct world *w, const struct edit *deleted)
{
	for (size_t i = 0; i < w->model.n; i++) {
		struct edit *e = &w->model.edits[i];

		if (e->deletes && e->parent == deleted->parent && is_of(e, kinds[deleted->kind].table, deleted->id))
			e->accounted = true;
	}
}

static void account_tag(struct world *w, int64_t tag)
{
	struct edit *e = model_find(&w->model, tag);

	if (e)
		e->accounted = true;
}

/* What is kept where a person can see it. */
static void account_kept(struct world *w, int node, const char *sql)
{
	sqlite3_stmt *stmt = prepare(w, node, sql);

	while (sqlite3_step(stmt) == SQLITE_ROW) {
		int64_t tag = tag_in(text(stmt, 3));

		w->figures->kept++;
		if (tag)
			account_tag(w, tag);
		else
			account_deletes(w, sqlite3_column_int64(stmt, 0), text(stmt, 1), text(stmt, 2));
	}
	(void)sqlite3_finalize(stmt);
}

static void account_present(struct world *w)
{
	char note[MODEL_ID];

	for (size_t i = 0; i < w->model.n; i++) {
		struct edit *e = &w->model.edits[i];
		const char *entity = kinds[e->kind].table;

		if (!exists(w, CENTRAL, entity, e->id))
			e->accounted = e->accounted || e->deletes;
		else
			account_tag(w,
				    tag_in(ask_text(w, CENTRAL, note, "SELECT note FROM %s WHERE id = '%s'", entity, e->id)));
	}
}

/* Who made an edit knew what it changed; who made a record anew knew that it was deleted, and what it had made of it before. */
static void account_known(struct world *w)
{
	for (size_t i = w->model.n; i-- > 0;) {
		const struct edit *e = &w->model.edits[i];

		if (!e->accounted)
			continue;
		if (e->deletes)
			account_same(w, e);
		if (e->parent)
			account_tag(w, e->parent);
		else
			account_before(w, e);
	}
}

static void check_edits(struct world *w)
{
	for (size_t i = 0; i < w->model.n; i++)
		w->model.edits[i].accounted = w->model.edits[i].decided;
	account_present(w);
	account_kept(w, CENTRAL,
		     "SELECT iif(kind = 'recovered', -1, site_id), entity, record_id, frame FROM sync_waiting ORDER BY id");
	for (int node = 0; node <= w->sites; node++)
		account_kept(w, node,
			     "SELECT source, entity, record_id, frame FROM sync_inbox ORDER BY source, entity, record_id");
	account_known(w);
	for (size_t i = 0; i < w->model.n; i++) {
		const struct edit *e = &w->model.edits[i];

		if (!e->accounted && !e->lost)
			violate(w, 2, "edit #%" PRId64 " of step %d is lost: node %d %s %s '%s' after #%" PRId64, e->tag,
				e->step, e->node, e->deletes ? "deleted" : "wrote", kinds[e->kind].table, e->id, e->parent);
	}
}

/* A site's edit of what only central edits is nowhere but in quarantine. */
static void check_owners(struct world *w)
{
	static const enum kind centrals[] = { UNIT, STORE, SETTING };
	char note[MODEL_ID];

	for (size_t i = 0; i < COUNT(centrals); i++) {
		const char *table = kinds[centrals[i]].table;
		const struct edit *e;

		for (int64_t n = ask(w, CENTRAL, "SELECT count(*) FROM %s", table); n-- > 0;) {
			ask_text(w, CENTRAL, note, "SELECT note FROM %s ORDER BY id LIMIT 1 OFFSET %" PRId64, table, n);
			e = model_find(&w->model, tag_in(note));
			if (e && e->node != CENTRAL)
				violate(w, 7, "%s '%s' has what site %d wrote: #%" PRId64, table, e->id, e->node, e->tag);
		}
	}
}

/* What is only there while work goes on. */
static void check_rest(struct world *w)
{
	static const char *const of_all[] = { "sync_mark", "sync_spool" };
	static const char *const of_central[] = { "sync_changelog", "sync_job" };

	for (int node = 0; node <= w->sites; node++)
		for (size_t i = 0; i < COUNT(of_all); i++)
			if (ask(w, node, "SELECT count(*) FROM %s", of_all[i]))
				violate(w, 10, "node %d has rows in %s", node, of_all[i]);
	for (int node = 0; w->mixed && node <= w->sites; node++)
		if (ask(w, node, "SELECT count(*) FROM sync_extra"))
			violate(w, 8, "node %d keeps as unknown what it knows", node);
	for (size_t i = 0; i < COUNT(of_central); i++)
		if (ask(w, CENTRAL, "SELECT count(*) FROM %s", of_central[i]))
			violate(w, 10, "central has rows in %s", of_central[i]);
	if (ask(w, CENTRAL, "SELECT count(*) FROM sync_store WHERE next_site_id IS NOT NULL"))
		violate(w, 10, "a store's move does not end");
}

void check_all(struct world *w)
{
	check_rest(w);
	for (int node = 0; node <= w->sites; node++) {
		check_groups(w, node);
		check_inbox(w, node);
	}
	check_sites(w);
	check_owners(w);
	check_edits(w);
}

#include "edits.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/internal.h"

/*
 * An application reads what its database has and changes some of it. It keeps its own database in order: it names only what is
 * there, deletes only what nothing names, and keeps an invoice's total. What it may not do, it does sometimes.
 */

enum { COLUMNS = 3, LITERAL = MODEL_ID + 2, MOST_LINES = 4, MOST_ERASED = 9 };

/* One transaction of an application. */
struct txn {
	struct world *w;
	int node;
	struct dice *d;
	struct unknown *made;
	bool failed;
};

/* A record: its columns as SQL literals, as they are or as they shall be. */
struct row {
	enum kind kind;
	char id[MODEL_ID], note[MODEL_ID];
	bool exists;
	char value[COLUMNS][LITERAL];
};

/* statements */

static void run(struct txn *t, const char *format, ...)
{
	char sql[1000];
	va_list args;

	if (t->failed)
		return;
	va_start(args, format);
	(void)vsnprintf(sql, sizeof sql, format, args);
	va_end(args);
	trace(t->w, "    %s", sql);
	if (sqlite3_exec(t->w->node[t->node].app, sql, NULL, NULL, NULL) == SQLITE_OK)
		return;
	t->failed = true;
	if (!disk_armed(t->node))
		violate(t->w, 0, "node %d: %s: %s (%d)", t->node, sql, sqlite3_errmsg(t->w->node[t->node].app),
			sqlite3_extended_errcode(t->w->node[t->node].app));
}

static struct row read_row(struct txn *t, enum kind kind, const char *id)
{
	const struct kind_info *k = &kinds[kind];
	struct row r = { .kind = kind };

	(void)snprintf(r.id, sizeof r.id, "%s", id);
	r.exists = ask(t->w, t->node, "SELECT count(*) FROM %s WHERE id = '%s'", k->table, id) > 0;
	ask_text(t->w, t->node, r.note, "SELECT note FROM %s WHERE id = '%s'", k->table, id);
	for (size_t i = 0; k->columns[i]; i++)
		ask_text(t->w, t->node, r.value[i], "SELECT quote(%s) FROM %s WHERE id = '%s'", k->columns[i], k->table, id);
	return r;
}

__attribute__((format(printf, 3, 4))) static void set(struct row *r, size_t column, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	(void)vsnprintf(r->value[column], LITERAL, format, args);
	va_end(args);
}

static int64_t tag_of(const char *note)
{
	return note[0] == '#' ? strtoll(note + 1, NULL, 10) : 0;
}

/* A field that is not known where an edit is made goes with what was edited. */
static int64_t mark_of(const struct txn *t, const struct row *r, int64_t tag)
{
	int64_t parent = tag_of(r->note);
	const struct edit *e = parent ? model_find(&t->w->model, parent) : NULL;

	if (world_marks(t->w, t->node, r->kind))
		return tag;
	for (size_t i = 0; i < t->made->n; i++)
		if (t->made->edits[i].tag == parent)
			e = &t->made->edits[i];
	return e ? e->mark : 0;
}

static int64_t note_edit(struct txn *t, const struct row *r, bool deletes)
{
	struct edit e = { .tag = ++t->w->model.tags,
			  .node = t->node == CLONE ? t->w->clone_of : t->node,
			  .step = t->w->step,
			  .kind = r->kind,
			  .deletes = deletes,
			  .parent = tag_of(r->note) };

	e.mark = mark_of(t, r, e.tag);
	memcpy(e.id, r->id, sizeof e.id);
	if (t->made->n == COUNT(t->made->edits))
		abort(); /* a larger transaction than was thought of */
	t->made->edits[t->made->n++] = e;
	trace(t->w, "  node %d %s %s '%s' #%" PRId64 " after #%" PRId64, t->node,
	      deletes     ? "deletes"
	      : r->exists ? "changes"
			  : "makes",
	      kinds[r->kind].table, r->id, e.tag, e.parent);
	return e.tag;
}

static void erase(struct txn *t, enum kind kind, const char *id)
{
	struct row r = read_row(t, kind, id);

	if (!r.exists)
		return;
	(void)note_edit(t, &r, true);
	run(t, "DELETE FROM %s WHERE id = '%s'", kinds[kind].table, id);
}

static void update(struct txn *t, const struct row *r, int64_t tag)
{
	const struct kind_info *k = &kinds[r->kind];
	char sets[300] = "";
	size_t len = 0;

	for (size_t i = 0; k->columns[i]; i++)
		len += (size_t)snprintf(sets + len, sizeof sets - len, ", %s = %s", k->columns[i], r->value[i]);
	if (world_marks(t->w, t->node, r->kind))
		(void)snprintf(sets + len, sizeof sets - len, ", mark = '~%" PRId64 ";', level = %" PRId64, tag, tag % 10);
	run(t, "UPDATE %s SET note = '#%" PRId64 ";'%s WHERE id = '%s'", k->table, tag, sets, r->id);
}

/* What an INSERT says of an existing record. */
static void insert(struct txn *t, const struct row *r, int64_t tag, const char *verb, bool upsert)
{
	const struct kind_info *k = &kinds[r->kind];
	char columns[200] = "", values[200] = "", sets[300] = "";
	size_t c = 0, v = 0, s = 0;

	for (size_t i = 0; k->columns[i]; i++) {
		c += (size_t)snprintf(columns + c, sizeof columns - c, ", %s", k->columns[i]);
		v += (size_t)snprintf(values + v, sizeof values - v, ", %s", r->value[i]);
		s += (size_t)snprintf(sets + s, sizeof sets - s, ", %s = excluded.%s", k->columns[i], k->columns[i]);
	}
	if (world_marks(t->w, t->node, r->kind)) {
		(void)snprintf(columns + c, sizeof columns - c, ", mark, level");
		(void)snprintf(values + v, sizeof values - v, ", '~%" PRId64 ";', %" PRId64, tag, tag % 10);
		(void)snprintf(sets + s, sizeof sets - s, ", mark = excluded.mark, level = excluded.level");
	}
	run(t, "%s INTO %s(id, note%s) VALUES ('%s', '#%" PRId64 ";'%s)%s%s", verb, k->table, columns, r->id, tag, values,
	    upsert ? " ON CONFLICT (id) DO UPDATE SET note = excluded.note" : "", upsert ? sets : "");
}

static int64_t put(struct txn *t, const struct row *r)
{
	int64_t tag = note_edit(t, r, false);

	switch (dice_below(t->d, 4)) {
	case 0:
		insert(t, r, tag, "INSERT OR REPLACE", false);
		break;
	case 1:
		insert(t, r, tag, "INSERT", true);
		break;
	case 2:
		if (r->exists)
			run(t, "DELETE FROM %s WHERE id = '%s'", kinds[r->kind].table, r->id);
		insert(t, r, tag, "INSERT", false);
		break;
	default:
		if (r->exists)
			update(t, r, tag);
		else
			insert(t, r, tag, "INSERT", false);
	}
	return tag;
}

/* choices */

/* Some record of a kind, or "". */
__attribute__((format(printf, 4, 5))) static const char *pick(struct txn *t, char ret[static MODEL_ID], enum kind kind,
							      const char *format, ...)
{
	char where[300];
	int64_t n;
	va_list args;

	va_start(args, format);
	(void)vsnprintf(where, sizeof where, format, args);
	va_end(args);
	n = ask(t->w, t->node, "SELECT count(*) FROM %s WHERE %s", kinds[kind].table, where);
	return ask_text(t->w, t->node, ret, "SELECT id FROM %s WHERE %s ORDER BY id LIMIT 1 OFFSET %zu", kinds[kind].table,
			where, dice_below(t->d, (size_t)n));
}

/* An id for a new record; sometimes that of one that was deleted here. */
static struct row new_row(struct txn *t, enum kind kind)
{
	bool again = dice_percent(t->d, 30) && kind != LINE;
	const struct edit *old = again ? model_deleted(&t->w->model, t->node, kind, dice_below(t->d, 3)) : NULL;
	char id[MODEL_ID];

	if (old && old->tag && !read_row(t, kind, old->id).exists)
		return read_row(t, kind, old->id);
	(void)snprintf(id, sizeof id, "%s%d-%" PRId64, kinds[kind].prefix, t->node, t->w->model.tags + 1);
	return read_row(t, kind, id);
}

/* An own store that is open. */
static bool own_store(struct txn *t, char ret[static MODEL_ID])
{
	pick(t, ret, STORE, "site_id = %" PRId64, t->w->node[t->node].site_id);
	return ret[0] && (t->w->node[t->node].open & store_bit(ret));
}

static bool names_nothing(struct txn *t, enum kind kind, const char *column, const char *id)
{
	return ask(t->w, t->node, "SELECT count(*) FROM %s WHERE %s = '%s'", kinds[kind].table, column, id) == 0;
}

/* All that name a record, a few at most. */
static bool erase_all(struct txn *t, enum kind kind, const char *column, const char *id)
{
	char found[MODEL_ID];

	if (ask(t->w, t->node, "SELECT count(*) FROM %s WHERE %s = '%s'", kinds[kind].table, column, id) > MOST_ERASED)
		return false;
	while (!t->failed && ask_text(t->w, t->node, found, "SELECT id FROM %s WHERE %s = '%s' ORDER BY id", kinds[kind].table,
				      column, id)[0])
		erase(t, kind, found);
	return true;
}

/* edits of single records */

static void edit_of_store(struct txn *t, enum kind kind)
{
	char store[MODEL_ID], id[MODEL_ID];
	struct row r;

	if (!own_store(t, store))
		return;
	if (dice_percent(t->d, 50) || !pick(t, id, kind, "store_id = '%s'", store)[0]) {
		r = new_row(t, kind);
		set(&r, 0, "'%s'", store);
	} else if (dice_percent(t->d, 25)) {
		if (names_nothing(t, LINE, "location_id", id))
			erase(t, kind, id);
		return;
	} else {
		r = read_row(t, kind, id);
		if (own_store(t, store) && dice_percent(t->d, 30))
			set(&r, 0, "'%s'", store);
	}
	(void)put(t, &r);
}

static void edit_location(struct txn *t)
{
	edit_of_store(t, LOCATION);
}

static void edit_log(struct txn *t)
{
	edit_of_store(t, LOG);
}

static void edit_memo(struct txn *t)
{
	edit_of_store(t, MEMO);
}

static void edit_barcode(struct txn *t)
{
	char id[MODEL_ID], unit[MODEL_ID];
	struct row r;

	if (dice_percent(t->d, 30) || !pick(t, id, BARCODE, "true")[0]) {
		r = new_row(t, BARCODE);
	} else if (dice_percent(t->d, 20)) {
		erase(t, BARCODE, id);
		return;
	} else {
		r = read_row(t, BARCODE, id);
	}
	if (pick(t, unit, UNIT, "true")[0])
		set(&r, 0, "'%s'", unit);
	else
		set(&r, 0, "NULL");
	(void)put(t, &r);
}

/* patients */

static void show_patient(struct txn *t, const char *patient, const char *store)
{
	struct row r = new_row(t, JOIN);

	set(&r, 0, "'%s'", store);
	set(&r, 1, "'%s'", patient);
	(void)put(t, &r);
}

static void make_visit(struct txn *t, const char *patient)
{
	struct row r = new_row(t, VISIT);

	set(&r, 0, "'%s'", patient);
	(void)put(t, &r);
}

static void make_patient(struct txn *t)
{
	struct row r = new_row(t, NAME);
	char store[MODEL_ID];

	if (t->node == CENTRAL ? !pick(t, store, STORE, "true")[0] : !own_store(t, store))
		return;
	set(&r, 0, "'PATIENT'");
	(void)put(t, &r);
	show_patient(t, r.id, store);
	if (dice_percent(t->d, 50))
		make_visit(t, r.id);
}

static bool pick_patient(struct txn *t, char ret[static MODEL_ID])
{
	return pick(t, ret, NAME, "type = 'PATIENT'")[0];
}

static void edit_patient(struct txn *t)
{
	char id[MODEL_ID];
	struct row r;

	if (!pick_patient(t, id))
		return;
	r = read_row(t, NAME, id);
	(void)put(t, &r);
}

static void edit_visit(struct txn *t)
{
	char id[MODEL_ID], patient[MODEL_ID];
	struct row r;

	if (!pick_patient(t, patient))
		return;
	if (dice_percent(t->d, 40) || !pick(t, id, VISIT, "true")[0]) {
		make_visit(t, patient);
	} else if (dice_percent(t->d, 20)) {
		erase(t, VISIT, id);
	} else {
		r = read_row(t, VISIT, id);
		if (dice_percent(t->d, 20))
			set(&r, 0, "'%s'", patient);
		(void)put(t, &r);
	}
}

/* Shows a patient to another store, or to one no more. */
static void edit_join(struct txn *t)
{
	char id[MODEL_ID], store[MODEL_ID];

	if (t->node == CENTRAL ? !pick(t, store, STORE, "true")[0] : !own_store(t, store))
		return;
	if (dice_percent(t->d, 60)) {
		if (pick_patient(t, id))
			show_patient(t, id, store);
	} else if (pick(t, id, JOIN, "store_id = '%s'", store)[0]) {
		erase(t, JOIN, id);
	}
}

/* Everything of a patient that is here goes. */
static void forget_patient(struct txn *t)
{
	char patient[MODEL_ID];

	if (!pick_patient(t, patient) || !names_nothing(t, INVOICE, "name_id", patient))
		return;
	if (erase_all(t, VISIT, "patient_id", patient) && erase_all(t, JOIN, "name_id", patient))
		erase(t, NAME, patient);
}

/* A patient that this site was never shown. */
static void ask_for_patient(struct txn *t)
{
	const struct model *m = &t->w->model;
	char store[MODEL_ID];
	const struct edit *e;

	if (!m->n || !own_store(t, store))
		return;
	e = &m->edits[dice_below(t->d, m->n)];
	if (e->kind == NAME && !e->deletes)
		show_patient(t, e->id, store);
}

/* invoices */

static void put_line(struct txn *t, struct row *line, const char *invoice, const char *store)
{
	char unit[MODEL_ID], location[MODEL_ID];

	if (!pick(t, unit, UNIT, "true")[0])
		return;
	set(line, 0, "'%s'", invoice);
	set(line, 1, "'%s'", unit);
	if (dice_percent(t->d, 50) && pick(t, location, LOCATION, "store_id = '%s'", store)[0])
		set(line, 2, "'%s'", location);
	else
		set(line, 2, "NULL");
	(void)put(t, line);
}

static void add_lines(struct txn *t, const char *invoice, const char *store, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		struct row line = new_row(t, LINE);

		put_line(t, &line, invoice, store);
	}
}

static void put_total(struct txn *t, struct row *invoice)
{
	set(invoice, 2, "%" PRId64,
	    ask(t->w, t->node,
		"SELECT coalesce(sum(CAST(substr(note, 2) AS integer)), 0) FROM invoice_line WHERE invoice_id = '%s'",
		invoice->id));
	(void)put(t, invoice);
}

static void make_invoice(struct txn *t)
{
	struct row invoice = new_row(t, INVOICE);
	char store[MODEL_ID], name[MODEL_ID];

	if (!own_store(t, store) || !pick(t, name, NAME, "true")[0])
		return;
	set(&invoice, 0, "'%s'", store);
	set(&invoice, 1, "'%s'", name);
	add_lines(t, invoice.id, store, dice_below(t->d, MOST_LINES + 1));
	put_total(t, &invoice);
}

/* One that this site's stores have; *ret_store is which. */
static bool pick_invoice(struct txn *t, char ret[static MODEL_ID], char ret_store[static MODEL_ID])
{
	return own_store(t, ret_store) && pick(t, ret, INVOICE, "store_id = '%s'", ret_store)[0];
}

static void change_lines(struct txn *t, const char *invoice, const char *store)
{
	char id[MODEL_ID];

	for (size_t i = dice_below(t->d, 3); i > 0; i--) {
		if (!pick(t, id, LINE, "invoice_id = '%s'", invoice)[0])
			return;
		if (dice_percent(t->d, 30)) {
			erase(t, LINE, id);
		} else {
			struct row line = read_row(t, LINE, id);

			put_line(t, &line, invoice, store);
		}
	}
}

static void edit_invoice(struct txn *t)
{
	char id[MODEL_ID], store[MODEL_ID], name[MODEL_ID];
	struct row r;

	if (!pick_invoice(t, id, store))
		return;
	r = read_row(t, INVOICE, id);
	change_lines(t, id, store);
	if (ask(t->w, t->node, "SELECT count(*) FROM invoice_line WHERE invoice_id = '%s'", id) < 6)
		add_lines(t, id, store, dice_below(t->d, 3));
	if (dice_percent(t->d, 20) && pick(t, name, NAME, "true")[0])
		set(&r, 1, "'%s'", name);
	if (dice_percent(t->d, 20) && own_store(t, store))
		set(&r, 0, "'%s'", store);
	put_total(t, &r);
}

static void delete_invoice(struct txn *t)
{
	char id[MODEL_ID], store[MODEL_ID];

	if (pick_invoice(t, id, store) && erase_all(t, LINE, "invoice_id", id))
		erase(t, INVOICE, id);
}

static void move_line(struct txn *t)
{
	char from[MODEL_ID], to[MODEL_ID], id[MODEL_ID], store[MODEL_ID];
	struct row line, invoice;

	if (!pick_invoice(t, from, store) || !pick(t, id, LINE, "invoice_id = '%s'", from)[0] || !pick_invoice(t, to, store) ||
	    !strcmp(from, to))
		return;
	line = read_row(t, LINE, id);
	put_line(t, &line, to, store);
	invoice = read_row(t, INVOICE, from);
	put_total(t, &invoice);
	invoice = read_row(t, INVOICE, to);
	put_total(t, &invoice);
}

/* what a site may not do */

static void trespass(struct txn *t)
{
	static const enum kind others[] = { UNIT, SETTING, STORE, NAME, LOCATION, INVOICE };
	enum kind kind = others[dice_below(t->d, COUNT(others))];
	char id[MODEL_ID];
	struct row r;

	if (kind == LOCATION) {
		r = new_row(t, kind);
		if (!pick(t, id, STORE, "true")[0])
			return;
		set(&r, 0, "'%s'", id);
	} else {
		if (!pick(t, id, kind, "true")[0])
			return;
		r = read_row(t, kind, id);
	}
	(void)put(t, &r);
}

/* what only central does */

static void edit_unit(struct txn *t)
{
	char id[MODEL_ID];
	struct row r;

	if (dice_percent(t->d, 30) || !pick(t, id, UNIT, "true")[0]) {
		r = new_row(t, UNIT);
	} else if (dice_percent(t->d, 20)) {
		if (names_nothing(t, BARCODE, "unit_id", id) && names_nothing(t, LINE, "unit_id", id))
			erase(t, UNIT, id);
		return;
	} else {
		r = read_row(t, UNIT, id);
	}
	(void)put(t, &r);
}

static void edit_setting(struct txn *t)
{
	char id[MODEL_ID], store[MODEL_ID];
	struct row r;

	if (dice_percent(t->d, 30) || !pick(t, id, SETTING, "true")[0]) {
		r = new_row(t, SETTING);
	} else if (dice_percent(t->d, 20)) {
		erase(t, SETTING, id);
		return;
	} else {
		r = read_row(t, SETTING, id);
	}
	if (dice_percent(t->d, 60) && pick(t, store, STORE, "true")[0])
		set(&r, 0, "'%s'", store);
	else
		set(&r, 0, "NULL");
	(void)put(t, &r);
}

static void edit_store_or_name(struct txn *t)
{
	enum kind kind = dice_percent(t->d, 50) ? STORE : NAME;
	char id[MODEL_ID];
	struct row r;

	if (!pick(t, id, kind, kind == NAME ? "type = 'STORE'" : "true")[0])
		return;
	r = read_row(t, kind, id);
	(void)put(t, &r);
}

/* which */

struct choice {
	unsigned weight;
	void (*make)(struct txn *t);
	bool newer; /* only newer programs do it */
};

static const struct choice of_sites[] = {
	{ 10, edit_location }, { 5, edit_log },       { 10, make_invoice },   { 15, edit_invoice }, { 4, delete_invoice },
	{ 0, move_line },      { 12, edit_barcode },  { 8, make_patient },    { 10, edit_patient }, { 10, edit_visit },
	{ 5, edit_join },      { 2, forget_patient }, { 3, ask_for_patient }, { 4, trespass },      { 10, edit_memo, true },
	{ 0, NULL },
};

static const struct choice of_central[] = {
	{ 10, edit_unit },   { 10, edit_setting }, { 6, edit_store_or_name }, { 8, edit_barcode }, { 4, make_patient },
	{ 6, edit_patient }, { 6, edit_visit },    { 10, edit_join },         { 0, NULL },
};

static void choose(struct txn *t, const struct choice *c)
{
	bool older = t->w->node[t->node].older;
	size_t all = 0, drawn;

	for (const struct choice *i = c; i->make; i++)
		all += i->newer && older ? 0 : i->weight;
	drawn = dice_below(t->d, all);
	while (drawn >= c->weight)
		drawn -= (c++)->weight;
	c->make(t);
}

static void keep(struct world *w, int node)
{
	struct unknown *u = &w->unknown[node];

	for (size_t i = 0; i < u->n; i++)
		model_add(&w->model, &u->edits[i]);
	w->figures->edits += (int64_t)u->n;
	w->figures->transactions++;
	u->n = 0;
}

void edit(struct world *w, int node, struct dice *d)
{
	struct txn t = { .w = w, .node = node, .d = d, .made = &w->unknown[node] };

	run(&t, "BEGIN IMMEDIATE");
	if (!t.failed)
		choose(&t, node ? of_sites : of_central);
	run(&t, "COMMIT");
	if (!t.failed)
		keep(w, node);
	else
		(void)sqlite3_exec(w->node[node].app, "ROLLBACK", NULL, NULL, NULL);
	if (t.failed && !disk_dead(node))
		t.made->n = 0;
}

void edits_settle(struct world *w, int node)
{
	struct unknown *u = &w->unknown[node];
	const struct edit *e = &u->edits[0];
	char note[MODEL_ID];
	bool there;

	if (!u->n)
		return;
	ask_text(w, node, note, "SELECT note FROM %s WHERE id = '%s'", kinds[e->kind].table, e->id);
	there = e->deletes ? !ask(w, node, "SELECT count(*) FROM %s WHERE id = '%s'", kinds[e->kind].table, e->id)
			   : tag_of(note) == e->tag;
	trace(w, "  the transaction of #%" PRId64 " is %s", e->tag, there ? "there" : "not there");
	w->figures->unknown++;
	if (there)
		keep(w, node);
	u->n = 0;
}

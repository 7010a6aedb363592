#include "db/driver.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include <libsync/crypto.h>
#include <libsync/ddl.h>
#include <libsync/frame.h>
#include <libsync/records.h>
#include <libsync/time.h>

#include "base/internal.h"

extern const char sync_tables_sql[];

enum {
	FORMAT = 1,        /* of our own tables: what tables.sql has when there are no migrations */
	POSTGRES_NAME = 63, /* bytes that PostgreSQL keeps of a name */
	ADOPT_ROWS = 500,  /* records that were unknown, in memory at a time */
	FRAME_BYTES = 16 << 20,
};

static const struct sync_migration none[] = { { 0 } };
const struct sync_migration *sync_migrations = none;

static int newest_format(void)
{
	int format = FORMAT;

	for (const struct sync_migration *m = sync_migrations; m->format; m++)
		format = m->format;
	return format;
}

/* what the database has */

/* Sorted texts "kind table name", and "meta key value". */
struct facts {
	struct sync_arena arena;
	struct sync_view *all;
	size_t n, cap;
};

static void clear_facts(struct facts *f)
{
	sync_arena_clear(&f->arena);
	free(f->all);
	*f = (struct facts){ 0 };
}

static enum sync_status add_fact(struct facts *f, const char *kind, struct sync_view a, struct sync_view b, struct sync_error *err)
{
	defer(sync_buf_clear) struct sync_buf text = { .max = 1 << 20 };

	if (f->n == f->cap) {
		size_t cap = f->cap ? 2 * f->cap : 4096;
		struct sync_view *all = reallocarray(f->all, cap, sizeof(*all));
		if (!all)
			return sync_fail(err, SYNC_ENOMEM, "reading what the database has");
		f->all = all;
		f->cap = cap;
	}
	sync_buf_addf(&text, "%s %.*s %.*s", kind, SYNC_VIEW(a), SYNC_VIEW(b));
	TRY(sync_buf_check(&text, err));
	f->all[f->n] = sync_arena_copy(&f->arena, sync_buf_view(&text));
	if (!f->all[f->n].data)
		return sync_fail(err, SYNC_ENOMEM, "reading what the database has");
	f->n++;
	return SYNC_OK;
}

static int compare_views(const void *a, const void *b)
{
	return sync_view_cmp(*(const struct sync_view *)a, *(const struct sync_view *)b);
}

static void sort_facts(struct facts *f)
{
	if (f->n > 0)
		qsort(f->all, f->n, sizeof(*f->all), compare_views);
}

static bool has_fact(const struct facts *f, const char *kind, const char *a, const char *b, size_t max_b)
{
	char text[512];
	int len = snprintf(text, sizeof(text), "%s %s %.*s", kind, a, (int)max_b, b);
	struct sync_view key = { text, (size_t)len };

	return f->n > 0 && (size_t)len < sizeof(text) && bsearch(&key, f->all, f->n, sizeof(key), compare_views);
}

/* A database being opened. */
struct opening {
	struct sync_db *db;
	const struct sync_dialect *sql;
	enum sync_role role;
	struct facts facts;
	/* from sync_meta; has_role is false when it is not ours yet */
	bool has_role, other_role, loading;
	int64_t format, schema;
	char program[32];
};

static void close_opening(struct opening *o)
{
	clear_facts(&o->facts);
}

static const char *role_name(enum sync_role role)
{
	return role == SYNC_SITE ? "site" : "central";
}

static enum sync_status take_catalog(void *ctx, const struct sync_value *v, size_t n, struct sync_error *err)
{
	struct opening *o = ctx;

	(void)n;
	return add_fact(&o->facts, v[0].i == SYNC_HAS_COLUMN ? "column" : "trigger", v[1].s, v[2].s, err);
}

static int64_t number_of(struct sync_view v)
{
	char text[24];

	(void)snprintf(text, sizeof(text), "%.*s", SYNC_VIEW(v));
	return strtoll(text, NULL, 10);
}

static enum sync_status take_meta(void *ctx, const struct sync_value *v, size_t n, struct sync_error *err)
{
	struct opening *o = ctx;
	struct sync_view value = v[1].s;

	(void)n;
	if (sync_view_is(v[0].s, "role")) {
		o->has_role = true;
		o->other_role = !sync_view_is(value, role_name(o->role));
	}
	if (sync_view_is(v[0].s, "format"))
		o->format = number_of(value);
	if (sync_view_is(v[0].s, "schema"))
		o->schema = number_of(value);
	if (sync_view_is(v[0].s, "loading"))
		o->loading = sync_view_is(value, "1");
	if (sync_view_is(v[0].s, "program"))
		(void)snprintf(o->program, sizeof(o->program), "%.*s", SYNC_VIEW(value));
	return add_fact(&o->facts, "meta", v[0].s, value, err);
}

static enum sync_status inspect(struct opening *o, struct sync_error *err)
{
	static const char list_meta[] = "SELECT key, value FROM sync_meta WHERE length(value) < 200";

	clear_facts(&o->facts);
	TRY(o->db->ops->catalog(o->db, take_catalog, o, err));
	sort_facts(&o->facts);
	if (!has_fact(&o->facts, "column", "sync_meta", "key", POSTGRES_NAME))
		return SYNC_OK;
	TRY(sync_db_run(o->db, list_meta, SYNC_NOARGS, take_meta, o, err));
	sort_facts(&o->facts);
	return SYNC_OK;
}

static bool has_column(const struct opening *o, const char *table, const char *column)
{
	return has_fact(&o->facts, "column", table, column, o->sql->postgres ? POSTGRES_NAME : SYNC_MAX_SQL);
}

static bool has_trigger(const struct opening *o, const char *table, const char *trigger)
{
	return has_fact(&o->facts, "trigger", table, trigger, o->sql->postgres ? POSTGRES_NAME : SYNC_MAX_SQL);
}

/* Whether it may be opened: ours, of this role, no newer than this build; or to become ours. */
static enum sync_status admit(const struct opening *o, bool create, struct sync_error *err)
{
	const char *url = sync_db_url(o->db);

	if (!o->has_role && !create)
		return sync_fail(err, SYNC_ENOTFOUND, "%s is not set up for libsync yet", url);
	if (!o->has_role)
		return SYNC_OK;
	if (o->other_role)
		return sync_fail(err, SYNC_EWRONGDB, "%s is the database of a %s, not of a %s", url,
		                 role_name(o->role == SYNC_SITE ? SYNC_CENTRAL : SYNC_SITE), role_name(o->role));
	if (o->format > newest_format() || o->schema > SYNC_SCHEMA_VERSION)
		return sync_fail(err, SYNC_EWRONGDB,
		                 "%s was made by libsync %s (format %" PRId64 ", schema %" PRId64 "); this is %s (format %d, "
		                 "schema %d): upgrade this program", url, o->program, o->format, o->schema, SYNC_VERSION,
		                 newest_format(), SYNC_SCHEMA_VERSION);
	return SYNC_OK;
}

/* our own tables */

/* Append a line of tables.sql, with the dialect's words for @serial, @blob and @clustered. */
static void add_line(struct sync_buf *b, const char *line, size_t len, const struct sync_dialect *sql)
{
	const struct {
		const char *token, *word;
	} tokens[] = { { "@serial", sql->serial }, { "@blob", sql->blob }, { "@clustered", sql->clustered } };

	for (const char *end = line + len; line < end;) {
		size_t i = 0;
		while (i < COUNT(tokens) && strncmp(line, tokens[i].token, strlen(tokens[i].token)) != 0)
			i++;
		if (i == COUNT(tokens)) {
			sync_buf_add_char(b, *line++);
			continue;
		}
		sync_buf_add_text(b, tokens[i].word);
		line += strlen(tokens[i].token);
	}
	sync_buf_add_char(b, '\n');
}

/* Append those sections of a text like tables.sql that this database has. */
static void add_sections(struct sync_buf *b, const char *text, const struct opening *o)
{
	static const char mark[] = "-- @ ";
	bool wanted = false;

	for (const char *line = text; *line;) {
		size_t len = strcspn(line, "\n");
		struct sync_view section = { line + strlen(mark), len > strlen(mark) ? len - strlen(mark) : 0 };
		if (!strncmp(line, mark, strlen(mark)))
			wanted = sync_view_is(section, "both") || sync_view_is(section, role_name(o->role));
		else if (wanted)
			add_line(b, line, len, o->sql);
		line += len + (line[len] == '\n');
	}
}

static enum sync_status run_sections(const struct opening *o, const char *text, struct sync_error *err)
{
	defer(sync_buf_clear) struct sync_buf sql = { .max = SYNC_MAX_SQL };

	add_sections(&sql, text, o);
	TRY(sync_buf_check(&sql, err));
	return sql.len ? sync_db_script(o->db, sql.data, err) : SYNC_OK;
}

static enum sync_status put_number(const struct opening *o, const char *key, int number, struct sync_error *err)
{
	char text[16];

	(void)snprintf(text, sizeof(text), "%d", number);
	return sync_meta_put(o->db, key, sync_view_of(text), err);
}

static enum sync_status make_tables(const struct opening *o, struct sync_error *err)
{
	char instance[17];

	if (o->facts.n == 0 && o->sql->stamp)
		TRY(sync_db_script(o->db, o->sql->stamp, err));
	TRY(run_sections(o, sync_tables_sql, err));
	TRY(sync_crypto_init(err));
	sync_random_hex(instance, sizeof(instance) - 1);
	TRY(sync_meta_put(o->db, "instance", sync_view_of(instance), err));
	return sync_meta_put(o->db, "role", sync_view_of(role_name(o->role)), err);
}

static enum sync_status migrate(const struct opening *o, struct sync_error *err)
{
	for (const struct sync_migration *m = sync_migrations; m->format; m++)
		if (m->format > o->format)
			TRY(run_sections(o, m->sql, err));
	return SYNC_OK;
}

static bool tables_current(const struct opening *o)
{
	return o->has_role && o->format == newest_format() && o->schema == SYNC_SCHEMA_VERSION;
}

static enum sync_status bring_up_tables(const struct opening *o, struct sync_error *err)
{
	if (tables_current(o))
		return SYNC_OK;
	TRY(o->has_role ? migrate(o, err) : make_tables(o, err));
	TRY(put_number(o, "format", newest_format(), err));
	TRY(put_number(o, "schema", SYNC_SCHEMA_VERSION, err));
	return sync_meta_put(o->db, "program", sync_view_of(SYNC_VERSION), err);
}

/* triggers */

/* What the setting "triggers:ENTITY" says while the triggers of this build are there: a digest of their text. */
static enum sync_status triggers_digest(const struct opening *o, const struct sync_entity *e, char ret[static 17],
                                        struct sync_error *err)
{
	defer(sync_buf_clear) struct sync_buf text = { .max = SYNC_MAX_SQL };
	defer(sync_digest_close) struct sync_digest digest = { 0 };

	sync_ddl_triggers(&text, e, o->sql, o->role);
	TRY(sync_buf_check(&text, err));
	TRY(sync_digest_open(&digest, err));
	sync_digest_add(&digest, sync_buf_view(&text));
	(void)snprintf(ret, 17, "%016" PRIx64, sync_digest_value(&digest));
	return SYNC_OK;
}

static void triggers_key(char ret[static 96], const struct sync_entity *e, const char *what)
{
	(void)snprintf(ret, 96, "%s:%s", what, e->name);
}

static bool has_all_triggers(const struct opening *o, const struct sync_entity *e)
{
	char name[SYNC_TRIGGER_NAME];

	for (size_t i = 0; sync_ddl_trigger_name(name, e, o->sql, o->role, i); i++)
		if (!has_trigger(o, e->name, name))
			return false;
	return true;
}

static enum sync_status triggers_current(const struct opening *o, const struct sync_entity *e, bool *ret, struct sync_error *err)
{
	char digest[17], key[96];

	*ret = o->loading;
	if (o->loading)
		return SYNC_OK;
	TRY(triggers_digest(o, e, digest, err));
	triggers_key(key, e, "triggers");
	*ret = has_fact(&o->facts, "meta", key, digest, sizeof(digest)) && has_all_triggers(o, e);
	return SYNC_OK;
}

static enum sync_status make_triggers(const struct opening *o, const struct sync_entity *e, struct sync_error *err)
{
	defer(sync_buf_clear) struct sync_buf sql = { .max = SYNC_MAX_SQL };
	char digest[17], key[96];

	sync_ddl_triggers(&sql, e, o->sql, o->role);
	TRY(sync_buf_check(&sql, err));
	TRY(sync_db_script(o->db, sql.data, err));
	TRY(triggers_digest(o, e, digest, err));
	triggers_key(key, e, "triggers");
	return sync_meta_put(o->db, key, sync_view_of(digest), err);
}

static enum sync_status drop_triggers(const struct opening *o, const struct sync_entity *e, struct sync_error *err)
{
	defer(sync_buf_clear) struct sync_buf sql = { .max = SYNC_MAX_SQL };

	sync_ddl_drop_triggers(&sql, e, o->sql);
	TRY(sync_buf_check(&sql, err));
	return sync_db_script(o->db, sql.data, err);
}

/*
 * Triggers that were made once and are gone were taken by somebody who rebuilt the table: what was edited meanwhile is not in
 * the changelog. The setting "recapture:ENTITY" asks for a scan.
 */
static enum sync_status mark_recapture(const struct opening *o, const struct sync_entity *e, struct sync_error *err)
{
	static const char count_key[] = "SELECT count(*) FROM sync_meta WHERE key = $1";
	char key[96];
	int64_t made;

	if (has_all_triggers(o, e))
		return SYNC_OK;
	triggers_key(key, e, "triggers");
	TRY(sync_db_number(o->db, count_key, SYNC_ARGS(sync_text(key)), 0, &made, err));
	if (!made)
		return SYNC_OK;
	triggers_key(key, e, "recapture");
	return sync_meta_put(o->db, key, sync_view_of("1"), err);
}

/* what was kept as unknown becomes ordinary */

/* A page of sync_extra: records of one entity, by id. */
struct page {
	const struct opening *o;
	const struct sync_entity *e;
	bool whole; /* the entity itself was unknown, so these are complete records */
	struct sync_arena arena;
	struct sync_view ids[ADOPT_ROWS], data[ADOPT_ROWS], roots[ADOPT_ROWS];
	bool exist[ADOPT_ROWS];
	size_t n;
};

static void free_page(struct page **p)
{
	if (*p)
		sync_arena_clear(&(*p)->arena);
	free(*p);
}

static enum sync_status take_extra(void *ctx, const struct sync_value *v, size_t n, struct sync_error *err)
{
	struct page *p = ctx;

	(void)n;
	p->ids[p->n] = sync_arena_copy(&p->arena, v[0].s);
	p->data[p->n] = sync_arena_copy(&p->arena, v[1].s);
	p->roots[p->n] = v[2].kind == SYNC_STRING ? sync_arena_copy(&p->arena, v[2].s) : (struct sync_view){ 0 };
	if (!p->ids[p->n].data || !p->data[p->n].data)
		return sync_fail(err, SYNC_ENOMEM, "reading unknown fields of %s", p->e->name);
	p->n++;
	return SYNC_OK;
}

/* The next page; after is the last id of the one before. */
static enum sync_status read_page(struct page *p, struct sync_buf *after, struct sync_error *err)
{
	static const char list_extra[] =
		"SELECT record_id, data, root_id FROM sync_extra WHERE entity = $1 AND record_id > $2"
		"    ORDER BY record_id LIMIT $3";

	sync_arena_reset(&p->arena);
	p->n = 0;
	TRY(sync_db_run(p->o->db, list_extra,
	                SYNC_ARGS(sync_text(p->e->name), sync_string(sync_buf_view(after)), sync_int(ADOPT_ROWS)), take_extra, p, err));
	if (p->n == 0)
		return SYNC_OK;
	sync_buf_reset(after);
	sync_buf_add_view(after, p->ids[p->n - 1]);
	TRY(sync_buf_check(after, err));
	return sync_records_exist(p->o->db, p->e, p->ids, p->n, p->exist, err);
}

/* The frame of the i-th record, as it would have been received. */
static void write_unknown(struct sync_buf *line, const struct page *p, size_t i)
{
	const struct sync_record r = {
		.name = sync_view_of(p->e->name), .id = p->ids[i], .action = SYNC_PUT, .root = p->roots[i], .extra = p->data[i], .age_ms = -1,
	};

	sync_record_write(line, &r);
}

/* What keeps a record out of its table, or NULL: a wrong value, or a required field that it has not. */
static const struct sync_fault *find_fault(const struct page *p, const struct sync_record *r, struct sync_fault *space)
{
	if (r->fault || !p->whole)
		return r->fault;
	for (size_t i = 0; i < r->entity->n_fields; i++) {
		const struct sync_field *f = &r->entity->fields[i];
		if (!f->required || f->fallback || f->local || r->values[i].kind != SYNC_ABSENT)
			continue;
		*space = (struct sync_fault){ "missing_field", f->name, "a required field is missing" };
		return space;
	}
	return NULL;
}

/* It waits like any received record that cannot be integrated, unless a newer one waits already. */
static enum sync_status put_inbox(const struct page *p, const struct sync_record *r, const struct sync_fault *fault,
                                  struct sync_view line, struct sync_error *err)
{
	static const char put[] =
		"INSERT INTO sync_inbox(source, entity, record_id, root_id, seq, frame, code, field, text, received_us)"
		"    VALUES (0, $1, $2, $3, 0, $4, $5, $6, $7, $8)"
		"    ON CONFLICT (source, entity, record_id) DO NOTHING";

	return sync_db_run(p->o->db, put,
	                   SYNC_ARGS(sync_string(r->name), sync_string(r->id), sync_string(r->root), sync_string(line),
	                             sync_text(fault->code), sync_text(fault->field), sync_text(fault->text), sync_int(sync_now_us())),
	                   NULL, NULL, err);
}

/* The fields that the record has; the row is there, so that required ones are no matter. */
static enum sync_status update_row(const struct page *p, const struct sync_record *r, struct sync_error *err)
{
	defer(sync_buf_clear) struct sync_buf sql = { .max = SYNC_MAX_SQL };
	struct sync_value v[SYNC_MAX_FIELDS + 1];
	size_t n = 0;

	sync_buf_addf(&sql, "UPDATE \"%s\" SET ", p->e->name);
	for (size_t i = 1; i < p->e->n_fields; i++) {
		if (r->values[i].kind == SYNC_ABSENT || p->e->fields[i].local)
			continue;
		v[n++] = r->values[i];
		sync_buf_addf(&sql, "%s\"%s\" = $%zu", n > 1 ? ", " : "", p->e->fields[i].name, n);
	}
	if (n == 0)
		return SYNC_OK;
	v[n++] = sync_string(r->id);
	sync_buf_addf(&sql, " WHERE id = $%zu", n);
	TRY(sync_buf_check(&sql, err));
	return sync_db_run_text(p->o->db, sql.data, v, n, NULL, NULL, err);
}

static enum sync_status insert_row(const struct page *p, const struct sync_record *r, struct sync_error *err)
{
	struct sync_record known = *r;
	const struct sync_record *one = &known;

	known.extra = (struct sync_view){ 0 };
	return sync_records_put(p->o->db, p->e, &one, 1, err);
}

static enum sync_status keep_rest(const struct page *p, const struct sync_record *r, struct sync_error *err)
{
	static const char update[] = "UPDATE sync_extra SET data = $1, root_id = NULL WHERE entity = $2 AND record_id = $3";
	static const char delete[] = "DELETE FROM sync_extra WHERE entity = $1 AND record_id = $2";

	if (r->extra.len)
		return sync_db_run(p->o->db, update, SYNC_ARGS(sync_string(r->extra), sync_string(r->name), sync_string(r->id)), NULL,
		                   NULL, err);
	return sync_db_run(p->o->db, delete, SYNC_ARGS(sync_string(r->name), sync_string(r->id)), NULL, NULL, err);
}

static enum sync_status adopt_record(const struct page *p, size_t i, struct sync_arena *arena, struct sync_error *err)
{
	defer(sync_buf_clear) struct sync_buf line = { .max = FRAME_BYTES };
	const struct sync_fault *fault;
	struct sync_fault missing;
	struct sync_record r;

	if (!p->whole && !p->exist[i])
		return SYNC_OK; /* the record itself waits in the inbox */
	write_unknown(&line, p, i);
	TRY(sync_buf_check(&line, err));
	TRY(sync_record_read(&r, arena, sync_buf_view(&line), &sync_default_limits, err));
	fault = find_fault(p, &r, &missing);
	if (fault)
		TRY(put_inbox(p, &r, fault, sync_buf_view(&line), err));
	else if (p->exist[i])
		TRY(update_row(p, &r, err));
	else
		TRY(insert_row(p, &r, err));
	return keep_rest(p, &r, err);
}

static enum sync_status adopt(const struct opening *o, const struct sync_entity *e, bool whole, struct sync_error *err)
{
	defer(sync_buf_clear) struct sync_buf after = { .max = 1024 };
	defer(sync_arena_clear) struct sync_arena arena = { 0 };
	defer(free_page) struct page *p = calloc(1, sizeof(*p));

	if (!p)
		return sync_fail(err, SYNC_ENOMEM, "reading unknown fields of %s", e->name);
	p->o = o;
	p->e = e;
	p->whole = whole;
	do {
		TRY(read_page(p, &after, err));
		for (size_t i = 0; i < p->n; i++) {
			sync_arena_reset(&arena);
			TRY(adopt_record(p, i, &arena, err));
		}
	} while (p->n == ADOPT_ROWS);
	return SYNC_OK;
}

/* entity tables */

static bool has_table(const struct opening *o, const struct sync_entity *e)
{
	return has_column(o, e->name, e->fields[0].name);
}

static bool has_all_columns(const struct opening *o, const struct sync_entity *e)
{
	for (size_t i = 0; i < e->n_fields; i++)
		if (!has_column(o, e->name, e->fields[i].name))
			return false;
	return true;
}

/* The table, or the columns that it lacks. */
static enum sync_status make_columns(const struct opening *o, const struct sync_entity *e, struct sync_error *err)
{
	defer(sync_buf_clear) struct sync_buf sql = { .max = SYNC_MAX_SQL };

	if (!has_table(o, e))
		sync_ddl_table(&sql, e, o->sql);
	else
		for (size_t i = 0; i < e->n_fields; i++)
			if (!has_column(o, e->name, e->fields[i].name))
				sync_ddl_column(&sql, e, &e->fields[i], o->sql);
	TRY(sync_buf_check(&sql, err));
	return sync_db_script(o->db, sql.data, err);
}

/*
 * What was unknown came from central, so a site takes it over before it has triggers: it is no edit. At central it is one, for
 * routes may depend on it.
 */
static enum sync_status bring_up_entity(const struct opening *o, const struct sync_entity *e, struct sync_error *err)
{
	bool columns = has_all_columns(o, e);
	bool triggers;

	TRY(triggers_current(o, e, &triggers, err));
	if (!columns)
		TRY(make_columns(o, e, err));
	if (!triggers && has_table(o, e))
		TRY(mark_recapture(o, e, err));
	if (!columns && o->role == SYNC_SITE) {
		TRY(drop_triggers(o, e, err));
		TRY(adopt(o, e, !has_table(o, e), err));
	}
	if ((!triggers || !columns) && !o->loading)
		TRY(make_triggers(o, e, err));
	if (!columns && o->role == SYNC_CENTRAL)
		TRY(adopt(o, e, !has_table(o, e), err));
	return SYNC_OK;
}

static enum sync_status is_current(const struct opening *o, bool *ret, struct sync_error *err)
{
	size_t n;
	const struct sync_entity *const *all = sync_entities(&n);

	*ret = tables_current(o);
	for (size_t i = 0; *ret && i < n; i++) {
		TRY(triggers_current(o, all[i], ret, err));
		*ret = *ret && has_all_columns(o, all[i]);
	}
	return SYNC_OK;
}

static enum sync_status bring_up(struct opening *o, bool create, struct sync_error *err)
{
	size_t n;
	const struct sync_entity *const *all = sync_entities(&n);

	if (o->sql->lock)
		TRY(sync_db_run(o->db, o->sql->lock, SYNC_NOARGS, NULL, NULL, err));
	TRY(inspect(o, err)); /* another process may have been first */
	TRY(admit(o, create, err));
	TRY(bring_up_tables(o, err));
	for (size_t i = 0; i < n; i++)
		TRY(bring_up_entity(o, all[i], err));
	return SYNC_OK;
}

/* opening */

static enum sync_status look(struct opening *o, struct sync_error *err)
{
	TRY(sync_db_begin(o->db, false, err));
	return sync_db_finish(o->db, inspect(o, err), err);
}

/* A database that is up to date is only read. */
static enum sync_status open_up(struct sync_db *db, bool create, struct sync_error *err)
{
	defer(close_opening) struct opening o = { .db = db, .sql = sync_db_dialect(db), .role = sync_db_role(db) };
	bool current;

	TRY(look(&o, err));
	TRY(admit(&o, create, err));
	if (o.sql->mode)
		TRY(sync_db_script(db, o.sql->mode, err));
	TRY(is_current(&o, &current, err));
	if (current)
		return SYNC_OK;
	TRY(sync_db_begin(db, true, err));
	return sync_db_finish(db, bring_up(&o, create, err), err);
}

enum sync_status sync_db_open(struct sync_db **ret, const char *url, const struct sync_db_ops *const *drivers,
                              enum sync_role role, bool create, struct sync_error *err)
{
	defer(sync_db_closep) struct sync_db *db = NULL;

	TRY(sync_db_connect(&db, url, drivers, create, err));
	if (role == SYNC_SITE && sync_db_dialect(db)->postgres)
		return sync_fail(err, SYNC_EUSAGE, "%s: a site's database is a SQLite file", sync_db_url(db));
	db->role = role;
	TRY(open_up(db, create, err));
	*ret = steal(db);
	return SYNC_OK;
}

static enum sync_status capture(const struct opening *o, bool on, struct sync_error *err)
{
	static const char forget[] = "DELETE FROM sync_meta WHERE key LIKE 'triggers:%'";
	size_t n;
	const struct sync_entity *const *all = sync_entities(&n);

	for (size_t i = 0; i < n; i++)
		TRY(on ? make_triggers(o, all[i], err) : drop_triggers(o, all[i], err));
	return on ? SYNC_OK : sync_db_run(o->db, forget, SYNC_NOARGS, NULL, NULL, err);
}

enum sync_status sync_db_capture(struct sync_db *db, bool on, struct sync_error *err)
{
	const struct opening o = { .db = db, .sql = sync_db_dialect(db), .role = sync_db_role(db) };

	if (sync_db_in_transaction(db))
		return capture(&o, on, err);
	TRY(sync_db_begin(db, true, err));
	return sync_db_finish(db, capture(&o, on, err), err);
}

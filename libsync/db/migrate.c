#include "db/driver.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include <libsync/crypto.h>
#include <libsync/ddl.h>
#include <libsync/frame.h>

#include "base/internal.h"
#include "db/adopt.h"
#include "db/facts.h"

extern const char sync_tables_sql[];

enum {
	FORMAT = 1,         /* of our own tables: what tables.sql has when there are no migrations */
	POSTGRES_NAME = 63, /* bytes that PostgreSQL keeps of a name */
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

/* A database being opened. */
struct opening {
	struct sync_db *db;
	const struct sync_dialect *sql;
	enum sync_role role;
	struct sync_facts facts;
	/* from sync_meta; has_role is false when it is not ours yet */
	bool has_role, other_role;
	int64_t format, schema;
	char program[32];
};

static void close_opening(struct opening *o)
{
	sync_facts_clear(&o->facts);
}

static const char *role_name(enum sync_role role)
{
	return role == SYNC_SITE ? "site" : "central";
}

static enum sync_status take_catalog(void *ctx, const struct sync_value *v, size_t n, struct sync_error *err)
{
	static const char *const kinds[] = { [SYNC_HAS_COLUMN] = "column", [SYNC_HAS_TRIGGER] = "trigger", [SYNC_HAS_ID] = "id" };
	struct opening *o = ctx;

	(void)n;
	return sync_facts_add(&o->facts, kinds[v[0].i], v[1].s, v[2].s, err);
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
	if (sync_view_is(v[0].s, "program"))
		(void)snprintf(o->program, sizeof(o->program), "%.*s", SYNC_VIEW(value));
	return sync_facts_add(&o->facts, "meta", v[0].s, value, err);
}

static enum sync_status inspect(struct opening *o, struct sync_error *err)
{
	static const char list_meta[] = "SELECT key, value FROM sync_meta WHERE length(value) < 200";

	sync_facts_clear(&o->facts);
	TRY(o->db->ops->catalog(o->db, take_catalog, o, err));
	sync_facts_sort(&o->facts);
	if (!sync_facts_has(&o->facts, "column", "sync_meta", "key", POSTGRES_NAME))
		return SYNC_OK;
	TRY(sync_db_run(o->db, list_meta, SYNC_NOARGS, take_meta, o, err));
	sync_facts_sort(&o->facts);
	return SYNC_OK;
}

static bool has_column(const struct opening *o, const char *table, const char *column)
{
	return sync_facts_has(&o->facts, "column", table, column, o->sql->postgres ? POSTGRES_NAME : SYNC_MAX_SQL);
}

static bool has_trigger(const struct opening *o, const char *table, const char *trigger)
{
	return sync_facts_has(&o->facts, "trigger", table, trigger, o->sql->postgres ? POSTGRES_NAME : SYNC_MAX_SQL);
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

static bool has_table(const struct opening *o, const struct sync_entity *e)
{
	return has_column(o, e->name, e->fields[0].name);
}

/* our own tables */

/* Append a line of tables.sql, with the dialect's words for those with a @. */
static void add_line(struct sync_buf *b, const char *line, size_t len, const struct sync_dialect *sql)
{
	const struct {
		const char *token, *word;
	} tokens[] = { { "@serial", sql->serial }, { "@blob", sql->blob },   { "@clustered", sql->clustered },
		       { "@queue", sql->queue },   { "@updated", sql->updated }, { "@id", sql->types[SYNC_ID] } };

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
	char random[17];

	if (o->facts.n == 0 && o->sql->stamp)
		TRY(sync_db_script(o->db, o->sql->stamp, err));
	TRY(run_sections(o, sync_tables_sql, err));
	TRY(sync_crypto_init(err));
	sync_random_hex(random, sizeof(random) - 1);
	TRY(sync_meta_put(o->db, "instance", sync_view_of(random), err));
	sync_random_hex(random, SYNC_HISTORY);
	TRY(sync_meta_put(o->db, "history", (struct sync_view){ random, SYNC_HISTORY }, err));
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

static void triggers_key(char ret[static 96], const struct sync_entity *e)
{
	(void)snprintf(ret, 96, "triggers:%s", e->name);
}

static bool has_all_triggers(const struct opening *o, const struct sync_entity *e)
{
	char name[SYNC_TRIGGER_NAME];

	for (size_t i = 0; sync_ddl_trigger_name(name, e, o->sql, o->role, i); i++)
		if (!has_trigger(o, e->name, name))
			return false;
	return true;
}

static enum sync_status triggers_current(const struct opening *o, const struct sync_entity *e, bool *ret,
                                         struct sync_error *err)
{
	char digest[17], key[96];

	TRY(triggers_digest(o, e, digest, err));
	triggers_key(key, e);
	*ret = sync_facts_has(&o->facts, "meta", key, digest, sizeof(digest)) && has_all_triggers(o, e);
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
	triggers_key(key, e);
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
 * the changelog.
 */
static enum sync_status were_lost(const struct opening *o, const struct sync_entity *e, bool *ret, struct sync_error *err)
{
	static const char count_key[] = "SELECT count(*) FROM sync_meta WHERE key = $1";
	char key[96];
	int64_t made = 0;

	triggers_key(key, e);
	if (has_table(o, e) && !has_all_triggers(o, e))
		TRY(sync_db_number(o->db, count_key, SYNC_ARGS(sync_text(key)), 0, &made, err));
	*ret = made > 0;
	return SYNC_OK;
}

static enum sync_status recapture(const struct opening *o, const struct sync_entity *e, struct sync_error *err)
{
	defer(sync_buf_clear) struct sync_buf sql = { .max = SYNC_MAX_SQL };

	sync_ddl_recapture(&sql, e, o->sql, o->role);
	TRY(sync_buf_check(&sql, err));
	return sql.len ? sync_db_script(o->db, sql.data, err) : SYNC_OK;
}

/* entity tables */

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

/* Whether ids and references are compared by bytes: so pages, ranges and digests agree between databases. */
static bool has_ids(const struct opening *o, const struct sync_entity *e)
{
	for (size_t i = 0; o->sql->postgres && i < e->n_fields; i++)
		if (e->fields[i].type == SYNC_ID && !sync_facts_has(&o->facts, "id", e->name, e->fields[i].name, POSTGRES_NAME))
			return false;
	return true;
}

/* Of a table that an application has made, with its database's collation, or with uuids. */
static enum sync_status make_ids(const struct opening *o, const struct sync_entity *e, struct sync_error *err)
{
	defer(sync_buf_clear) struct sync_buf sql = { .max = SYNC_MAX_SQL };
	struct sync_error why = { 0 };
	enum sync_status status;

	sync_ddl_ids(&sql, e, o->sql);
	TRY(sync_buf_check(&sql, err));
	status = sync_db_script(o->db, sql.data, &why);
	if (status == SYNC_OK)
		return SYNC_OK;
	return sync_fail(err, status, "the ids of table %s cannot be made '%s' (drop what depends on them, and make it again "
	                 "afterwards): %s", e->name, o->sql->types[SYNC_ID], why.text);
}

/*
 * What was unknown came from central, so a site takes it over before it has triggers: it is no edit. At central it is captured,
 * for routes may depend on it.
 */
static enum sync_status bring_up_entity(const struct opening *o, const struct sync_entity *e, struct sync_error *err)
{
	bool columns = has_all_columns(o, e);
	bool triggers, lost = false;

	TRY(triggers_current(o, e, &triggers, err));
	if (!columns)
		TRY(make_columns(o, e, err));
	if (has_table(o, e) && !has_ids(o, e))
		TRY(make_ids(o, e, err));
	if (!triggers)
		TRY(were_lost(o, e, &lost, err));
	if (!columns && o->role == SYNC_SITE) {
		TRY(drop_triggers(o, e, err));
		TRY(sync_adopt(o->db, e, !has_table(o, e), err));
	}
	if (!triggers || !columns)
		TRY(make_triggers(o, e, err));
	if (!columns && o->role == SYNC_CENTRAL)
		TRY(sync_adopt(o->db, e, !has_table(o, e), err));
	return lost ? recapture(o, e, err) : SYNC_OK;
}

static enum sync_status is_current(const struct opening *o, bool *ret, struct sync_error *err)
{
	size_t n;
	const struct sync_entity *const *all = sync_entities(&n);

	*ret = tables_current(o);
	for (size_t i = 0; *ret && i < n; i++) {
		TRY(triggers_current(o, all[i], ret, err));
		*ret = *ret && has_all_columns(o, all[i]) && has_ids(o, all[i]);
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
	TRY(sync_db_use(db, role == SYNC_CENTRAL ? SYNC_USE_SERVER : SYNC_USE_SHARED, err));
	*ret = steal(db);
	return SYNC_OK;
}

#include "db/driver.h"

#include <assert.h>
#include <string.h>

#include "base/internal.h"

/* opening */

/* What stands between start and the end of a password: a quoted value, or one that a space or '&' ends. */
static const char *password_end(const char *p)
{
	if (*p != '\'')
		return p + strcspn(p, " \t\r\n&");
	for (p++; *p && *p != '\''; p++)
		if (*p == '\\' && p[1])
			p++;
	return *p ? p + 1 : p;
}

/* The next password in p: its start, and its end in *ret_end; NULL when there is none. */
static const char *find_password(const char *p, const char **ret_end)
{
	static const char word[] = "password";

	while ((p = strstr(p, word)) != NULL) {
		p += strlen(word);
		const char *value = p + strspn(p, " \t\r\n");
		if (*value != '=')
			continue;
		value++;
		value += strspn(value, " \t\r\n");
		*ret_end = password_end(value);
		return value;
	}
	return NULL;
}

/* The URL for people: every password in it, "//user:PASSWORD@" or "password=PASSWORD", is replaced by "***". */
static void mask_url(struct sync_buf *b, const char *url)
{
	const char *authority = strstr(url, "//");
	const char *at = authority ? strrchr(url, '@') : NULL;
	const char *colon = at ? memchr(authority, ':', (size_t)(at - authority)) : NULL;
	const char *password, *end = NULL;

	if (colon) {
		sync_buf_add(b, url, (size_t)(colon + 1 - url));
		sync_buf_add_text(b, "***");
		url = at;
	}
	for (; (password = find_password(url, &end)) != NULL; url = end) {
		sync_buf_add(b, url, (size_t)(password - url));
		sync_buf_add_text(b, "***");
	}
	sync_buf_add_text(b, url);
}

/* The length of "scheme:" at the start of a URL, or 0; one letter is no scheme. */
static size_t scheme_length(const char *url)
{
	size_t n = strspn(url, "abcdefghijklmnopqrstuvwxyz");

	return n > 1 && url[n] == ':' ? n : 0;
}

static const struct sync_db_ops *find_driver(const struct sync_db_ops *const *drivers, const char *scheme, size_t n)
{
	for (; *drivers; drivers++)
		if (strlen((*drivers)->scheme) == n && !memcmp((*drivers)->scheme, scheme, n))
			return *drivers;
	return NULL;
}

static enum sync_status no_driver(const char *url, const struct sync_db_ops *const *drivers, struct sync_error *err)
{
	defer(sync_buf_clear) struct sync_buf known = { .max = 256 };

	for (; *drivers; drivers++)
		sync_buf_addf(&known, "%s%s:", known.len ? ", " : "", (*drivers)->scheme);
	return sync_fail(err, SYNC_EUSAGE, "no driver for a database '%.*s…'; this program has %s", (int)scheme_length(url) + 1,
	                 url, known.data ? known.data : "none");
}

static enum sync_status open_with(struct sync_db **ret, const struct sync_db_ops *ops, const char *rest, const char *masked,
                                  bool create, struct sync_error *err)
{
	defer(sync_db_closep) struct sync_db *db = NULL;

	TRY(ops->open(&db, rest, create, err));
	db->ops = ops;
	db->rest = strdup(rest);
	db->url = strdup(masked);
	if (!db->rest || !db->url)
		return sync_fail(err, SYNC_ENOMEM, "opening %s", masked);
	*ret = steal(db);
	return SYNC_OK;
}

enum sync_status sync_db_connect(struct sync_db **ret, const char *url, const struct sync_db_ops *const *drivers, bool create,
                                 struct sync_error *err)
{
	static const char fallback[] = "sqlite";
	defer(sync_buf_clear) struct sync_buf masked = { .max = 4096 };
	size_t n = scheme_length(url);
	const struct sync_db_ops *ops = n ? find_driver(drivers, url, n) : find_driver(drivers, fallback, strlen(fallback));

	if (!ops)
		return no_driver(n ? url : "sqlite:", drivers, err);
	mask_url(&masked, url);
	TRY(sync_buf_check(&masked, err));
	return open_with(ret, ops, n ? url + n + 1 : url, masked.data, create, err);
}

enum sync_status sync_db_clone(struct sync_db **ret, const struct sync_db *db, struct sync_error *err)
{
	enum sync_status status;
	struct sync_db *clone;

	TRY(open_with(&clone, db->ops, db->rest, db->url, false, err));
	clone->role = db->role;
	status = sync_db_use(clone, db->role == SYNC_CENTRAL ? SYNC_USE_SERVER : SYNC_USE_SHARED, err);
	if (status == SYNC_OK)
		status = sync_beside_copy(clone, db, err);
	if (status != SYNC_OK)
		sync_db_close(clone);
	else
		*ret = clone;
	return status;
}

void sync_db_close(struct sync_db *db)
{
	if (!db)
		return;
	sync_db_rollback(db);
	for (size_t i = 0; i < COUNT(db->kept); i++)
		free(db->kept[i].sql);
	sync_beside_clear(db);
	free(db->rest);
	free(db->url);
	db->ops->close(db);
}

void sync_db_closep(struct sync_db **db)
{
	sync_db_close(*db);
}

const char *sync_db_url(const struct sync_db *db)
{
	return db->url;
}

const struct sync_dialect *sync_db_dialect(const struct sync_db *db)
{
	return db->ops->sql;
}

enum sync_status sync_db_use(struct sync_db *db, enum sync_use use, struct sync_error *err)
{
	return db->ops->use ? db->ops->use(db, use, err) : SYNC_OK;
}

enum sync_role sync_db_role(const struct sync_db *db)
{
	return db->role;
}

/* transactions */

enum sync_status sync_db_begin(struct sync_db *db, bool write, struct sync_error *err)
{
	assert(!db->in_transaction);
	TRY(db->ops->begin(db, write, err));
	db->in_transaction = true;
	db->failed = false;
	return SYNC_OK;
}

static enum sync_status write_beside(struct sync_db *db, struct sync_error *err)
{
	enum sync_status status = sync_beside_write(db, err);

	if (status != SYNC_OK)
		sync_db_rollback(db);
	return status;
}

enum sync_status sync_db_commit(struct sync_db *db, struct sync_error *err)
{
	assert(db->in_transaction);
	if (db->failed) {
		sync_db_rollback(db);
		return sync_fail(err, SYNC_EDB, "%s: nothing was kept, because a statement of the transaction failed", db->url);
	}
	TRY(write_beside(db, err));
	db->in_transaction = false;
	return db->ops->end(db, true, err);
}

void sync_db_rollback(struct sync_db *db)
{
	if (!db->in_transaction)
		return;
	db->in_transaction = false;
	db->failed = false;
	sync_beside_forget(db);
	(void)db->ops->end(db, false, NULL);
}

enum sync_status sync_db_finish(struct sync_db *db, enum sync_status status, struct sync_error *err)
{
	if (status == SYNC_OK)
		return sync_db_commit(db, err);
	sync_db_rollback(db);
	return status;
}

bool sync_db_in_transaction(const struct sync_db *db)
{
	return db->in_transaction;
}

/* statements */

static uint64_t hash_text(const char *text)
{
	uint64_t h = 0xcbf29ce484222325;

	for (; *text; text++)
		h = (h ^ (unsigned char)*text) * 0x100000001b3;
	return h;
}

/* The place of the text in db->kept, or else the one to put it: the first free, or the one that was used longest ago. */
static struct sync_kept *place_of_text(struct sync_db *db, const char *sql, uint64_t hash)
{
	struct sync_kept *oldest = NULL;

	for (struct sync_kept *k = db->kept; k < db->kept + COUNT(db->kept); k++) {
		if (k->sql && k->hash == hash && !strcmp(k->sql, sql))
			return k;
		if (!k->running && (!oldest || k->used < oldest->used))
			oldest = k;
	}
	return oldest;
}

enum sync_status sync_use_text(struct sync_db *db, const char *sql, struct sync_kept **ret, struct sync_error *err)
{
	uint64_t hash = hash_text(sql);
	struct sync_kept *k = place_of_text(db, sql, hash);

	assert(k); /* statements nest a few deep, never as many as are kept */
	if (!k->sql || k->hash != hash || strcmp(k->sql, sql)) {
		char *copy = strdup(sql);
		if (!copy)
			return sync_fail(err, SYNC_ENOMEM, "keeping a statement of %zu bytes", strlen(sql));
		if (k->sql)
			db->ops->forget(db, k->sql);
		free(k->sql);
		*k = (struct sync_kept){ .sql = copy, .hash = hash };
	}
	k->used = ++db->uses;
	k->running++;
	*ret = k;
	return SYNC_OK;
}

void sync_unuse_text(struct sync_kept **kept)
{
	if (*kept)
		(*kept)->running--;
}

enum sync_status sync_db_run(struct sync_db *db, const char *sql, const struct sync_value *v, size_t n, sync_row_fn *fn,
                             void *ctx, struct sync_error *err)
{
	return db->ops->run(db, sql, v, n, fn, ctx, err);
}

enum sync_status sync_db_run_text(struct sync_db *db, const char *sql, const struct sync_value *v, size_t n, sync_row_fn *fn,
                                  void *ctx, struct sync_error *err)
{
	defer(sync_unuse_text) struct sync_kept *kept = NULL;

	TRY(sync_use_text(db, sql, &kept, err));
	return db->ops->run(db, kept->sql, v, n, fn, ctx, err);
}

enum sync_status sync_db_script(struct sync_db *db, const char *sql, struct sync_error *err)
{
	return db->ops->script(db, sql, err);
}

struct number {
	int64_t value;
	bool found;
};

static enum sync_status take_number(void *ctx, const struct sync_value *v, size_t n, struct sync_error *err)
{
	struct number *first = ctx;

	if (first->found || n == 0)
		return SYNC_OK;
	switch (v[0].kind) {
	case SYNC_INT:
		*first = (struct number){ v[0].i, true };
		return SYNC_OK;
	case SYNC_NULL:
		return SYNC_OK;
	case SYNC_ABSENT:
	case SYNC_DOUBLE:
	case SYNC_STRING:
	case SYNC_BLOB:
		break;
	}
	return sync_fail(err, SYNC_EDB, "a statement that asks for a whole number yields something else");
}

enum sync_status sync_db_number(struct sync_db *db, const char *sql, const struct sync_value *v, size_t n, int64_t fallback,
                                int64_t *ret, struct sync_error *err)
{
	struct number first = { .value = fallback };

	TRY(sync_db_run(db, sql, v, n, take_number, &first, err));
	*ret = first.value;
	return SYNC_OK;
}

struct text {
	struct sync_buf *ret;
	bool found;
};

static enum sync_status take_text(void *ctx, const struct sync_value *v, size_t n, struct sync_error *err)
{
	struct text *first = ctx;

	if (first->found || n == 0 || (v[0].kind != SYNC_STRING && v[0].kind != SYNC_BLOB))
		return SYNC_OK;
	first->found = true;
	sync_buf_add_view(first->ret, v[0].s);
	return sync_buf_check(first->ret, err);
}

enum sync_status sync_db_text(struct sync_db *db, const char *sql, const struct sync_value *v, size_t n, struct sync_buf *ret,
                              bool *ret_found, struct sync_error *err)
{
	struct text first = { .ret = ret };

	TRY(sync_db_run(db, sql, v, n, take_text, &first, err));
	*ret_found = first.found;
	return SYNC_OK;
}

/* batches */

enum sync_status sync_db_put_many(struct sync_db *db, const struct sync_table *t, const struct sync_value *v, size_t rows,
                                  struct sync_error *err)
{
	assert(t->n_columns > 0 && t->n_columns <= SYNC_MAX_COLUMNS && t->n_key <= t->n_columns);
	if (rows == 0)
		return SYNC_OK;
	if (db->in_transaction)
		return db->ops->put_many(db, t, v, rows, err);
	TRY(sync_db_begin(db, true, err));
	return sync_db_finish(db, db->ops->put_many(db, t, v, rows, err), err);
}

static void add_names(struct sync_buf *b, const char *const *names, size_t n)
{
	for (size_t i = 0; i < n; i++)
		sync_buf_addf(b, "%s\"%s\"", i ? ", " : "", names[i]);
}

void sync_sql_columns(struct sync_buf *b, const struct sync_table *t)
{
	add_names(b, t->columns, t->n_columns);
}

void sync_sql_conflict(struct sync_buf *b, const struct sync_table *t)
{
	if (!t->n_key || t->fresh)
		return;
	sync_buf_add_text(b, " ON CONFLICT (");
	add_names(b, t->columns, t->n_key);
	if (t->keep || t->n_key == t->n_columns) {
		sync_buf_add_text(b, ") DO NOTHING");
		return;
	}
	sync_buf_add_text(b, ") DO UPDATE SET ");
	for (size_t i = t->n_key; i < t->n_columns; i++)
		sync_buf_addf(b, "%s\"%s\" = excluded.\"%s\"", i > t->n_key ? ", " : "", t->columns[i], t->columns[i]);
}

/* statements by address */

static size_t head_of(const char *sql)
{
	return (size_t)((uint64_t)(uintptr_t)sql * 0x9e3779b97f4a7c15 >> 56);
}

struct sync_statement *sync_statement_find(const struct sync_statements *all, const char *sql)
{
	struct sync_statement *s = all->heads[head_of(sql)];

	while (s && s->sql != sql)
		s = s->next;
	return s;
}

void sync_statement_add(struct sync_statements *all, struct sync_statement *s)
{
	struct sync_statement **head = &all->heads[head_of(s->sql)];

	s->next = *head;
	*head = s;
}

struct sync_statement *sync_statement_take(struct sync_statements *all, const char *sql)
{
	for (struct sync_statement **at = &all->heads[head_of(sql)]; *at; at = &(*at)->next) {
		struct sync_statement *s = *at;
		if (s->sql == sql) {
			*at = s->next;
			return s;
		}
	}
	return NULL;
}

struct sync_statement *sync_statement_take_any(struct sync_statements *all)
{
	for (size_t i = 0; i < COUNT(all->heads); i++) {
		struct sync_statement *s = all->heads[i];
		if (s) {
			all->heads[i] = s->next;
			return s;
		}
	}
	return NULL;
}

/* settings */

enum sync_status sync_meta_get(struct sync_db *db, const char *key, struct sync_buf *ret, bool *ret_found,
                               struct sync_error *err)
{
	static const char get_meta[] = "SELECT value FROM sync_meta WHERE key = $1";

	return sync_db_text(db, get_meta, SYNC_ARGS(sync_text(key)), ret, ret_found, err);
}

enum sync_status sync_meta_put(struct sync_db *db, const char *key, struct sync_view value, struct sync_error *err)
{
	static const char put_meta[] =
		"INSERT INTO sync_meta(key, value) VALUES ($1, $2)"
		"    ON CONFLICT (key) DO UPDATE SET value = excluded.value";

	return sync_db_run(db, put_meta, SYNC_ARGS(sync_text(key), sync_string(value)), NULL, NULL, err);
}

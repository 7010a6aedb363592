#include "exchange/registry.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include <libsync/crypto.h>

#include "base/internal.h"
#include "codec/json.h"
#include "db/beside.h"
#include "exchange/lot.h"
#include "exchange/router.h"

/*
 * file  = first, lines
 * first = {"registry": "1", "of": instance of the database, "h": digest}
 * line  = {"site": id, "revision": n, "name": text, "secret": hash, "token": hash, "installation": id, "created_us": n,
 *          "revoked_us": n, "h": digest}
 *       | {"store": id, "revision": n, "at": id of a site, "h": digest}
 * Numbers are strings of digits; what is 0 or empty is left out. The digest is that of frames: XXH3-64 over the line until there.
 */

enum { DEPTH = 2, FORMAT = 1, DIGITS = 16, SPARE_LINES = 64 };

static const struct sync_view site_kind = { "site", 4 }, store_kind = { "store", 5 };

/* writing */

static void open_line(struct sync_buf *b, const char *key, struct sync_view value)
{
	sync_buf_addf(b, "{\"%s\":", key);
	sync_json_write_text(b, value);
}

static void add_text(struct sync_buf *b, const char *key, struct sync_view value)
{
	if (!value.len)
		return;
	sync_buf_addf(b, ",\"%s\":", key);
	sync_json_write_text(b, value);
}

static void add_number(struct sync_buf *b, const char *key, int64_t value)
{
	if (value)
		sync_buf_addf(b, ",\"%s\":\"%" PRId64 "\"", key, value);
}

static enum sync_status digest_of(struct sync_view text, uint64_t *ret, struct sync_error *err)
{
	defer(sync_digest_close) struct sync_digest d = { 0 };

	TRY(sync_digest_open(&d, err));
	sync_digest_add(&d, text);
	*ret = sync_digest_value(&d);
	return SYNC_OK;
}

static enum sync_status close_line(struct sync_buf *b, size_t from, struct sync_error *err)
{
	uint64_t digest;

	sync_buf_add_text(b, ",\"h\":\"");
	TRY(sync_buf_check(b, err));
	TRY(digest_of((struct sync_view){ b->data + from, b->len - from }, &digest, err));
	sync_buf_addf(b, "%016" PRIx64 "\"}\n", digest);
	return sync_buf_check(b, err);
}

enum sync_status sync_registered_line(struct sync_buf *b, const struct sync_registered *entry, struct sync_error *err)
{
	size_t from = b->len;
	char id[24];

	(void)snprintf(id, sizeof id, "%" PRId64, entry->site_id);
	open_line(b, entry->store.len ? "store" : "site", entry->store.len ? entry->store : sync_view_of(id));
	add_number(b, "revision", entry->revision);
	if (entry->store.len)
		add_number(b, "at", entry->site_id);
	add_text(b, "name", entry->name);
	add_text(b, "secret", entry->secret);
	add_text(b, "token", entry->token);
	add_text(b, "installation", entry->installation);
	add_number(b, "created_us", entry->created_us);
	add_number(b, "revoked_us", entry->revoked_us);
	return close_line(b, from, err);
}

static enum sync_status add_first(struct sync_db *db, struct sync_buf *b, struct sync_error *err)
{
	defer(sync_buf_clear) struct sync_buf instance = { .max = 64 };
	bool found;

	TRY(sync_meta_get(db, "instance", &instance, &found, err));
	open_line(b, "registry", sync_view_of("1"));
	add_text(b, "of", sync_buf_view(&instance));
	return close_line(b, 0, err);
}

enum sync_status sync_registry_add(struct sync_db *db, struct sync_journal *j, struct sync_view lines, struct sync_error *err)
{
	defer(sync_buf_clear) struct sync_buf b = { .max = SYNC_JOURNAL_MAX };

	if (j->end == 0)
		TRY(add_first(db, &b, err));
	sync_buf_add_view(&b, lines);
	TRY(sync_buf_check(&b, err));
	return b.len ? sync_journal_add(j, sync_buf_view(&b), err) : SYNC_OK;
}

enum sync_status sync_registry_compact(const struct sync_registry *r, struct sync_db *db, const struct sync_journal *j,
                                       struct sync_error *err)
{
	defer(sync_buf_clear) struct sync_buf b = { .max = SYNC_JOURNAL_MAX };

	if (r->lines < 2 * (int64_t)r->n + SPARE_LINES)
		return SYNC_OK;
	TRY(add_first(db, &b, err));
	for (size_t i = 0; i < r->n; i++)
		sync_buf_add_view(&b, r->entry[i].whole);
	TRY(sync_buf_check(&b, err));
	return sync_journal_replace(j, sync_buf_view(&b), err);
}

/* reading */

/* Where reading is; a line's fault names both. */
struct place {
	const char *path;
	int64_t line;
};

static enum sync_status damaged(const struct place *at, const char *what, struct sync_error *err)
{
	return sync_fail(err, SYNC_EINVALID,
	                 "%s:%" PRId64 ": %s: put back a copy of this file; without one, and if the database is no older than it, move the "
	                 "file away, and it is written anew", at->path, at->line, what);
}

/* The line without its end is what it was when it was written. */
static enum sync_status check_digest(const struct place *at, struct sync_view line, struct sync_error *err)
{
	static const char close[] = "\"}";
	uint64_t digest;
	char text[DIGITS + 1];

	if (line.len < DIGITS + 2 || memcmp(line.data + line.len - 2, close, 2) != 0)
		return damaged(at, "this is no line of a registry", err);
	TRY(digest_of((struct sync_view){ line.data, line.len - DIGITS - 2 }, &digest, err));
	(void)snprintf(text, sizeof text, "%016" PRIx64, digest);
	return memcmp(text, line.data + line.len - DIGITS - 2, DIGITS) == 0
	           ? SYNC_OK
	           : damaged(at, "the line is not what was written there (its digest differs)", err);
}

/* A member of a line: a text, or a number when that is not NULL. */
struct member {
	const char *name;
	struct sync_view *text;
	int64_t *number;
};

static enum sync_status read_members(const struct place *at, struct sync_view line, const struct member *m, size_t n,
                                     struct sync_arena *arena, struct sync_error *err)
{
	struct sync_json object, member;

	if (sync_json_parse(&object, line, DEPTH, err) != SYNC_OK)
		return damaged(at, err ? err->text : "", err);
	for (bool more = sync_json_first(&member, &object); more; more = sync_json_next(&member))
		for (size_t i = 0; i < n; i++) {
			if (!sync_view_is(member.name, m[i].name))
				continue;
			if (member.type != SYNC_JSON_TEXT || (m[i].number && !sync_json_int64(m[i].number, member.text)))
				return damaged(at, "a value that cannot be", err);
			if (m[i].text)
				TRY(sync_arena_keep(arena, member.text, m[i].text, err));
		}
	return SYNC_OK;
}

static enum sync_status read_first(struct sync_registry *r, const struct place *at, struct sync_view line, struct sync_view instance,
                                   struct sync_error *err)
{
	struct sync_view of = { 0 };
	int64_t format = 0;
	const struct member members[] = { { "registry", NULL, &format }, { "of", &of, NULL } };

	TRY(check_digest(at, line, err));
	TRY(read_members(at, line, members, COUNT(members), &r->arena, err));
	if (!format)
		return damaged(at, "this is no registry: its first line says nothing of it", err);
	if (format > FORMAT)
		return sync_fail(err, SYNC_EWRONGDB, "%s:1: a newer version wrote this registry (format %" PRId64 ", known is %d)", at->path,
		                 format, FORMAT);
	if (!sync_view_eq(of, instance))
		return sync_fail(err, SYNC_EWRONGDB,
		                 "%s:1: this is the registry of another database (%.*s; this one is %.*s): name this one's own file in the "
		                 "setting registry", at->path, SYNC_VIEW(of), SYNC_VIEW(instance));
	return SYNC_OK;
}

static enum sync_status read_entry(struct sync_registry *r, const struct place *at, struct sync_view line,
                                   struct sync_registered *ret, struct sync_error *err)
{
	int64_t site = 0, store_at = 0;
	const struct member members[] = {
		{ "site", NULL, &site },
		{ "store", &ret->store, NULL },
		{ "revision", NULL, &ret->revision },
		{ "at", NULL, &store_at },
		{ "name", &ret->name, NULL },
		{ "secret", &ret->secret, NULL },
		{ "token", &ret->token, NULL },
		{ "installation", &ret->installation, NULL },
		{ "created_us", NULL, &ret->created_us },
		{ "revoked_us", NULL, &ret->revoked_us },
	};

	TRY(check_digest(at, line, err));
	TRY(read_members(at, line, members, COUNT(members), &r->arena, err));
	ret->site_id = ret->store.len ? store_at : site;
	if (ret->revision <= 0 || ret->site_id < 0 || (!ret->store.len && (!site || !ret->name.len)))
		return damaged(at, "it names no site and no store", err);
	return SYNC_OK;
}

/* A site's id as the set's key. */
static struct sync_view key_of(char text[static 24], int64_t site_id)
{
	(void)snprintf(text, 24, "%" PRId64, site_id);
	return sync_view_of(text);
}

static enum sync_status find_slot(struct sync_registry *r, const struct sync_registered *entry, uint32_t **ret, struct sync_error *err)
{
	struct sync_view key = entry->store;
	char text[24];

	if (!key.len)
		TRY(sync_arena_keep(&r->arena, key_of(text, entry->site_id), &key, err));
	return sync_set_add(&r->set, entry->store.len ? store_kind : site_kind, key, (uint32_t)r->n, ret, err);
}

static enum sync_status keep_entry(struct sync_registry *r, const struct sync_registered *entry, struct sync_error *err)
{
	uint32_t *slot;

	TRY(find_slot(r, entry, &slot, err));
	if (*slot < r->n) {
		if (entry->revision >= r->entry[*slot].revision)
			r->entry[*slot] = *entry;
		return SYNC_OK;
	}
	TRY(sync_larger(&r->arena, (void **)&r->entry, r->n, &r->cap, sizeof *r->entry, err));
	r->entry[r->n++] = *entry;
	return SYNC_OK;
}

static enum sync_status read_line(struct sync_registry *r, const struct place *at, struct sync_view whole, struct sync_view instance,
                                  struct sync_error *err)
{
	struct sync_registered entry = { .line = at->line };
	struct sync_view line = { whole.data, whole.len - 1 };

	if (at->line == 1)
		return read_first(r, at, line, instance, err);
	TRY(read_entry(r, at, line, &entry, err));
	TRY(sync_arena_keep(&r->arena, whole, &entry.whole, err));
	return keep_entry(r, &entry, err);
}

enum sync_status sync_registry_read(struct sync_registry *ret, const struct sync_journal *j, struct sync_view instance,
                                    struct sync_error *err)
{
	defer(sync_buf_clear) struct sync_buf text = { .max = SYNC_JOURNAL_MAX + 1 };
	struct place at = { .path = j->path };
	struct sync_view rest;
	const char *end;

	TRY(sync_journal_read(j, &text, err));
	ret->set.arena = &ret->arena;
	for (rest = sync_buf_view(&text); rest.len && (end = memchr(rest.data, '\n', rest.len)) != NULL;) {
		size_t len = (size_t)(end + 1 - rest.data);

		at.line++;
		TRY(read_line(ret, &at, (struct sync_view){ rest.data, len }, instance, err));
		rest = (struct sync_view){ rest.data + len, rest.len - len };
	}
	ret->lines = at.line;
	ret->cut = j->end < j->len;
	return SYNC_OK;
}

void sync_registry_clear(struct sync_registry *r)
{
	sync_arena_clear(&r->arena);
	*r = (struct sync_registry){ 0 };
}

const struct sync_registered *sync_registered_site(const struct sync_registry *r, int64_t site_id)
{
	char text[24];
	const uint32_t *at = r->n ? sync_set_find(&r->set, site_kind, key_of(text, site_id)) : NULL;

	return at ? &r->entry[*at] : NULL;
}

const struct sync_registered *sync_registered_store(const struct sync_registry *r, struct sync_view store_id)
{
	const uint32_t *at = r->n ? sync_set_find(&r->set, store_kind, store_id) : NULL;

	return at ? &r->entry[*at] : NULL;
}

/* keeping changes */

static enum sync_status add_lines(struct sync_db *db, const char *path, struct sync_view lines, struct sync_error *err)
{
	defer(sync_journal_close) struct sync_journal j = { .fd = -1 };

	TRY(sync_journal_open(&j, path, err));
	return sync_registry_add(db, &j, lines, err);
}

enum sync_status sync_registry_write(struct sync_db *db, const char *path, struct sync_view lines, struct sync_error *err)
{
	struct sync_error seen = { 0 };

	if (add_lines(db, path, lines, &seen) == SYNC_OK)
		return SYNC_OK;
	return sync_fail(err, seen.status,
	                 "%s: registrations are kept in this file besides the database, and without it nothing is registered or moved: "
	                 "make room, let the service's user write it, or name another file in the setting registry", seen.text);
}

static enum sync_status keep(struct sync_db *db, const struct sync_registered *entry, struct sync_error *err)
{
	defer(sync_buf_clear) struct sync_buf line = { .max = SYNC_JOURNAL_LINE };

	TRY(sync_registered_line(&line, entry, err));
	return sync_beside_add(db, sync_buf_view(&line), err);
}

static struct sync_view text_of(const struct sync_value *v)
{
	return v->kind == SYNC_STRING ? v->s : (struct sync_view){ 0 };
}

static enum sync_status keep_row(void *ctx, const struct sync_value *v, size_t n, struct sync_error *err)
{
	(void)n;
	return keep(ctx,
	            &(struct sync_registered){ .site_id = v[0].i, .revision = v[1].i, .name = text_of(&v[2]), .secret = text_of(&v[3]),
	                                       .token = text_of(&v[4]), .installation = text_of(&v[5]), .created_us = v[6].i,
	                                       .revoked_us = v[7].kind == SYNC_INT ? v[7].i : 0 },
	            err);
}

enum sync_status sync_registry_keep_site(struct sync_db *db, int64_t site_id, struct sync_error *err)
{
	static const char row[] =
		"SELECT site_id, revision, name, secret_hash, token_hash, installation, created_us, revoked_us FROM sync_site WHERE site_id = $1";

	return sync_db_run(db, row, SYNC_ARGS(sync_int(site_id)), keep_row, db, err);
}

enum sync_status sync_registry_keep_store(struct sync_db *db, struct sync_view store_id, int64_t site_id, int64_t revision,
                                          struct sync_error *err)
{
	return keep(db, &(struct sync_registered){ .store = store_id, .site_id = site_id, .revision = revision }, err);
}

#include <libsync/site.h>

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include <libsync/crypto.h>
#include <libsync/time.h>

#include "base/internal.h"
#include "exchange/registry.h"
#include "exchange/route.h"
#include "exchange/sites.h"
#include "exchange/stores.h"

enum { MAX_NAME = 100 };

/* A site's row in the order of struct sync_site; the callers add WHERE or ORDER BY. */
#define SELECT_SITE                                                                                        \
	"SELECT site_id, name, coalesce(installation, ''), coalesce(version, ''), branch,"                 \
	"       revoked_us, loaded, secret_hash, in_ordinal, in_upto, in_id, in_highest, in_integrated, spooled," \
	"       all_seq, all_id, own_seq, own_id, verdict, verdict_seen, unpushed, created_us, last_seen_us, schema, lapsed_us, rival" \
	"    FROM sync_site"

static void copy_text(char *ret, size_t size, const struct sync_value *v)
{
	snprintf(ret, size, "%.*s", SYNC_VIEW(v->s));
}

static int64_t number(const struct sync_value *v)
{
	return v->kind == SYNC_INT ? v->i : 0;
}

static void read_site(struct sync_site *s, const struct sync_value *v)
{
	memset(s, 0, sizeof *s);
	s->site_id = v[0].i;
	copy_text(s->name, sizeof s->name, &v[1]);
	copy_text(s->installation, sizeof s->installation, &v[2]);
	copy_text(s->version, sizeof s->version, &v[3]);
	copy_text(s->branch, sizeof s->branch, &v[4]);
	s->revoked = v[5].kind == SYNC_INT;
	s->loaded = v[6].i != 0;
	s->secret = v[7].kind == SYNC_STRING && !s->installation[0];
	s->stored.ordinal = v[8].i;
	s->stored.seq = v[9].i;
	copy_text(s->stored.id, sizeof s->stored.id, &v[10]);
	s->highest = v[11].i;
	s->integrated = v[12].i;
	s->spooled = v[13].i;
	s->at.all.seq = v[14].i;
	copy_text(s->at.all.id, sizeof s->at.all.id, &v[15]);
	s->at.own.seq = v[16].i;
	copy_text(s->at.own.id, sizeof s->at.own.id, &v[17]);
	s->verdict = v[18].i;
	s->verdict_seen = v[19].i;
	s->unpushed = v[20].i;
	s->created_us = v[21].i;
	s->last_seen_us = number(&v[22]);
	s->schema = number(&v[23]);
	s->lapsed = v[24].kind == SYNC_INT;
	s->copied = v[25].kind == SYNC_STRING;
}

static enum sync_status take_site(void *ctx, const struct sync_value *v, size_t n, struct sync_error *err)
{
	(void)n, (void)err;
	read_site(ctx, v);
	return SYNC_OK;
}

enum sync_status sync_site_find(struct sync_db *db, const char *name, struct sync_site *ret, struct sync_error *err)
{
	static const char find[] = SELECT_SITE " WHERE name = $1";
	struct sync_site s = { 0 };

	TRY(sync_db_run(db, find, SYNC_ARGS(sync_text(name)), take_site, &s, err));
	if (!s.site_id)
		return sync_fail(err, SYNC_ENOTFOUND, "no site is called '%s': central site list shows all", name);
	*ret = s;
	return SYNC_OK;
}

struct each {
	enum sync_status (*fn)(void *ctx, const struct sync_site *s, struct sync_error *err);
	void *ctx;
};

static enum sync_status show_site(void *ctx, const struct sync_value *v, size_t n, struct sync_error *err)
{
	const struct each *each = ctx;
	struct sync_site s;

	(void)n;
	read_site(&s, v);
	return each->fn(each->ctx, &s, err);
}

enum sync_status sync_site_each(struct sync_db *db,
                                enum sync_status (*fn)(void *ctx, const struct sync_site *s, struct sync_error *err), void *ctx,
                                struct sync_error *err)
{
	static const char all[] = SELECT_SITE " ORDER BY name";

	return sync_db_run(db, all, SYNC_NOARGS, show_site, &(struct each){ fn, ctx }, err);
}

enum sync_status sync_site_stores(struct sync_db *db, int64_t site_id, sync_row_fn *fn, void *ctx, struct sync_error *err)
{
	static const char stores[] =
		"SELECT t.store_id, coalesce(s.code, ''), coalesce(n.name, ''), coalesce(t.next_site_id, 0)"
		"    FROM sync_store t LEFT JOIN store s ON s.id = t.store_id LEFT JOIN name n ON n.id = s.name_id"
		"    WHERE t.site_id = $1 ORDER BY 2, 1";

	return sync_db_run(db, stores, SYNC_ARGS(sync_int(site_id)), fn, ctx, err);
}

enum sync_status sync_site_pending(struct sync_db *db, const struct sync_site *s, int64_t limit, int64_t *ret, struct sync_error *err)
{
	static const char pending[] =
		"SELECT count(*) FROM (SELECT 1 FROM sync_outbox WHERE site_id = $1 AND seq > $2 AND source <> $3 LIMIT $4) pending";
	int64_t all, own;

	TRY(sync_db_number(db, pending, SYNC_ARGS(sync_int(0), sync_int(s->at.all.seq), sync_int(s->site_id), sync_int(limit)), 0,
	                   &all, err));
	TRY(sync_db_number(db, pending,
	                   SYNC_ARGS(sync_int(s->site_id), sync_int(s->at.own.seq), sync_int(s->site_id), sync_int(limit - all)), 0,
	                   &own, err));
	*ret = all + own;
	return SYNC_OK;
}

static enum sync_status check_name(const char *name, struct sync_error *err)
{
	static const char allowed[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789 .-_";
	size_t good = strspn(name, allowed);

	if (!name[0])
		return sync_fail(err, SYNC_EINVALID, "a site's name may not be empty");
	if (name[good])
		return sync_fail(err, SYNC_EINVALID,
		                 "a site's name may have letters, digits, spaces, '.', '-' and '_': '%s' has another character at %zu",
		                 name, good + 1);
	if (good > MAX_NAME)
		return sync_fail(err, SYNC_EINVALID, "a site's name may have %d bytes, this one has %zu", MAX_NAME, good);
	return SYNC_OK;
}

/* Ids are never used again: no site is ever removed. */
static enum sync_status insert_site(struct sync_db *db, const char *name, const char *hash, int64_t *ret_site_id, struct sync_error *err)
{
	static const char taken[] = "SELECT count(*) FROM sync_site WHERE name = $1";
	static const char insert[] =
		"INSERT INTO sync_site(site_id, revision, name, secret_hash, created_us, branch, in_ordinal, in_id, in_upto, in_highest,"
		"                      in_integrated, spooled, all_seq, all_id, own_seq, own_id, verdict, verdict_seen, loaded, unpushed)"
		"    SELECT coalesce(max(site_id), 0) + 1, 1, $1, $2, $3, '', 0, '', 0, 0, 0, 0, 0, '', 0, '', 0, 0, 0, 0 FROM sync_site"
		"    RETURNING site_id";
	int64_t n;

	TRY(sync_db_number(db, taken, SYNC_ARGS(sync_text(name)), 0, &n, err));
	if (n > 0)
		return sync_fail(err, SYNC_ETAKEN, "a site called '%s' exists", name);
	return sync_db_number(db, insert, SYNC_ARGS(sync_text(name), sync_text(hash), sync_int(sync_now_us())), 0, ret_site_id, err);
}

static enum sync_status add_site(struct sync_db *db, const char *name, const char *hash, const char *const *stores, size_t n,
                                 int64_t *ret_site_id, struct sync_error *err)
{
	TRY(insert_site(db, name, hash, ret_site_id, err));
	for (size_t i = 0; i < n; i++)
		TRY(sync_store_give(db, stores[i], *ret_site_id, err));
	return sync_registry_keep_site(db, *ret_site_id, err);
}

enum sync_status sync_site_add(struct sync_db *db, const char *name, const char *const *stores, size_t n, char ret_secret[static 30],
                               int64_t *ret_site_id, struct sync_error *err)
{
	char secret[30], hash[128];
	int64_t site_id = 0;

	TRY(check_name(name, err));
	sync_random_secret(secret);
	TRY(sync_secret_hash(hash, sync_view_of(secret), err));
	TRY(sync_db_begin(db, true, err));
	TRY(sync_db_finish(db, add_site(db, name, hash, stores, n, &site_id, err), err));
	memcpy(ret_secret, secret, sizeof secret);
	*ret_site_id = site_id;
	return sync_route(db, err);
}

/*
 * Nothing that was acknowledged may be lost with the old installation: what is complete in the spool is integrated first, by
 * whoever serves. The rest of a group that was cut in the middle can never come.
 */
static enum sync_status check_spool(struct sync_db *db, const struct sync_site *s, struct sync_error *err)
{
	static const char complete[] = "SELECT count(*) FROM sync_spool WHERE source = $1 AND part = 0";
	int64_t n;

	TRY(sync_db_number(db, complete, SYNC_ARGS(sync_int(s->site_id)), 0, &n, err));
	if (n > 0)
		return sync_fail(err, SYNC_EBUSY,
		                 "%" PRId64 " requests of site '%s' are still being integrated: repeat this when central status shows none",
		                 n, s->name);
	return SYNC_OK;
}

/* The numbers of verdicts go on: what a new installation knows is below all that it will be sent. */
enum sync_status sync_site_forget(struct sync_db *db, int64_t site_id, struct sync_error *err)
{
	static const char *const history[] = {
		"DELETE FROM sync_spool WHERE source = $1",
		"DELETE FROM sync_checkpoint WHERE peer = $1",
		"DELETE FROM sync_verdict WHERE site_id = $1",
		"UPDATE sync_site SET token_hash = NULL, installation = NULL, revoked_us = NULL, lapsed_us = NULL, rival = NULL, stopped = NULL, fork_upto = 0, branch = '',"
		"       in_ordinal = 0, in_id = '', in_upto = 0, in_highest = 0, in_integrated = 0, spooled = 0, all_seq = 0, all_id = '',"
		"       own_seq = 0, own_id = '', verdict_seen = verdict, loaded = 0, unpushed = 0, given = NULL, version = NULL, schema = NULL"
		"    WHERE site_id = $1",
	};

	for (size_t i = 0; i < COUNT(history); i++)
		TRY(sync_db_run(db, history[i], SYNC_ARGS(sync_int(site_id)), NULL, NULL, err));
	return sync_store_let_go(db, site_id, err);
}

static enum sync_status reset_site(struct sync_db *db, const char *name, const char *hash, struct sync_error *err)
{
	static const char set[] = "UPDATE sync_site SET secret_hash = $1, revision = revision + 1 WHERE site_id = $2";
	struct sync_site s;

	TRY(sync_site_find(db, name, &s, err));
	TRY(check_spool(db, &s, err));
	TRY(sync_site_forget(db, s.site_id, err));
	TRY(sync_db_run(db, set, SYNC_ARGS(sync_text(hash), sync_int(s.site_id)), NULL, NULL, err));
	return sync_registry_keep_site(db, s.site_id, err);
}

enum sync_status sync_site_reset(struct sync_db *db, const char *name, char ret_secret[static 30], struct sync_error *err)
{
	char secret[30], hash[128];

	sync_random_secret(secret);
	TRY(sync_secret_hash(hash, sync_view_of(secret), err));
	TRY(sync_db_begin(db, true, err));
	TRY(sync_db_finish(db, reset_site(db, name, hash, err), err));
	memcpy(ret_secret, secret, sizeof secret);
	return sync_route(db, err);
}

static enum sync_status revoke_site(struct sync_db *db, const char *name, struct sync_error *err)
{
	static const char revoke[] =
		"UPDATE sync_site SET revoked_us = coalesce(revoked_us, $1), revision = revision + 1 WHERE name = $2 RETURNING site_id";
	int64_t site_id;

	TRY(sync_db_number(db, revoke, SYNC_ARGS(sync_int(sync_now_us()), sync_text(name)), 0, &site_id, err));
	if (!site_id)
		return sync_fail(err, SYNC_ENOTFOUND, "no site is called '%s': central site list shows all", name);
	return sync_registry_keep_site(db, site_id, err);
}

enum sync_status sync_site_revoke(struct sync_db *db, const char *name, struct sync_error *err)
{
	TRY(sync_db_begin(db, true, err));
	return sync_db_finish(db, revoke_site(db, name, err), err);
}

/* What registration needs of a site. */
struct candidate {
	int64_t site_id;
	char name[128], hash[128], installation[40];
	bool revoked, loaded;
};

static enum sync_status take_candidate(void *ctx, const struct sync_value *v, size_t n, struct sync_error *err)
{
	struct candidate *c = ctx;

	(void)n, (void)err;
	c->site_id = v[0].i;
	copy_text(c->name, sizeof c->name, &v[1]);
	copy_text(c->hash, sizeof c->hash, &v[2]);
	copy_text(c->installation, sizeof c->installation, &v[3]);
	c->revoked = v[4].kind == SYNC_INT;
	c->loaded = v[5].i != 0;
	return SYNC_OK;
}

/* An unknown site costs the same time as a wrong secret, so that neither answer tells which it is. */
static bool secret_fits(const struct candidate *c, struct sync_view secret)
{
	static const char nobodys[] =
		"$argon2id$v=19$m=19456,t=2,p=1$c29tZSBvdGhlciBzYWx0IQ$3PdOGX0jVbv4Dn2aTWcZHxWmM2o7gE9bQ5rXnUyLkTs";

	return sync_secret_verify(c->site_id ? c->hash : nobodys, secret) && c->site_id;
}

static enum sync_status taken(const struct candidate *c, struct sync_error *err)
{
	return sync_fail(err, SYNC_ETAKEN,
	                 "another installation is registered as '%s': when it is gone for good, central site reset '%s' makes a new secret",
	                 c->name, c->name);
}

/* Whoever has a secret may be told more than who has none. */
static enum sync_status check_candidate(const struct candidate *c, struct sync_view secret, struct sync_view installation,
                                        struct sync_error *err)
{
	bool same = sync_view_is(installation, c->installation);

	if (!secret_fits(c, secret))
		return sync_fail(err, SYNC_EUNAUTHORIZED,
		                 "the site's name or its secret is wrong: compare the name with central site list; if both are right, "
		                 "central site reset makes a new secret");
	if (c->revoked)
		return sync_fail(err, SYNC_EREVOKED, "site '%s' has been revoked", c->name);
	/* the same installation asks again only while it may not have had the answer */
	if (c->installation[0] && (!same || c->loaded))
		return taken(c, err);
	return SYNC_OK;
}

/* Checked again: somebody else may have registered while the secret was compared. */
static enum sync_status bind(struct sync_db *db, const struct candidate *c, const char *token_hash, struct sync_view installation,
                             struct sync_view version, struct sync_error *err)
{
	static const char bind[] =
		"UPDATE sync_site SET token_hash = $1, installation = $2, version = $3, revision = revision + 1"
		"    WHERE site_id = $4 AND secret_hash = $5 AND coalesce(installation, $6) = $7 AND revoked_us IS NULL"
		"    RETURNING site_id";
	int64_t bound;

	TRY(sync_db_number(db, bind,
	                   SYNC_ARGS(sync_text(token_hash), sync_string(installation), sync_string(version), sync_int(c->site_id),
	                             sync_text(c->hash), sync_string(installation), sync_string(installation)),
	                   0, &bound, err));
	return bound ? sync_registry_keep_site(db, bound, err) : taken(c, err);
}

enum sync_status sync_site_register(struct sync_db *db, struct sync_view name, struct sync_view secret, struct sync_view installation,
                                    struct sync_view version, char ret_token[static 44], int64_t *ret_site_id, struct sync_error *err)
{
	static const char find[] =
		"SELECT site_id, name, coalesce(secret_hash, ''), coalesce(installation, ''), revoked_us, loaded FROM sync_site WHERE name = $1";
	char token[44], hash[65];
	struct candidate c = { 0 };

	if (installation.len < 16 || installation.len >= sizeof c.installation)
		return sync_fail(err, SYNC_EBADREQUEST, "an installation's id has 16 to 39 bytes, this one has %zu", installation.len);
	TRY(sync_db_run(db, find, SYNC_ARGS(sync_string(name)), take_candidate, &c, err));
	TRY(check_candidate(&c, secret, installation, err));
	sync_random_token(token);
	sync_token_hash(hash, sync_view_of(token));
	TRY(sync_db_begin(db, true, err));
	TRY(sync_db_finish(db, bind(db, &c, hash, installation, version, err), err));
	memcpy(ret_token, token, sizeof token);
	*ret_site_id = c.site_id;
	return SYNC_OK;
}

struct owner {
	struct sync_caller caller;
	bool revoked;
};

static enum sync_status take_owner(void *ctx, const struct sync_value *v, size_t n, struct sync_error *err)
{
	struct owner *owner = ctx;

	(void)n, (void)err;
	owner->caller.site_id = v[0].i;
	copy_text(owner->caller.name, sizeof owner->caller.name, &v[1]);
	owner->revoked = v[2].kind == SYNC_INT;
	return SYNC_OK;
}

static enum sync_status find_owner(struct sync_db *db, const char *token_hash, struct owner *ret, struct sync_error *err)
{
	static const char find[] = "SELECT site_id, name, revoked_us FROM sync_site WHERE token_hash = $1";

	*ret = (struct owner){ 0 };
	return sync_db_run(db, find, SYNC_ARGS(sync_text(token_hash)), take_owner, ret, err);
}

enum sync_status sync_site_authenticate(struct sync_db *db, struct sync_view token, struct sync_caller *ret, struct sync_error *err)
{
	struct owner owner;
	char hash[65];
	bool later = false;

	sync_token_hash(hash, token);
	TRY(find_owner(db, hash, &owner, err));
	if (!owner.caller.site_id) {
		TRY(sync_registry_recall(db, hash, &later, err));
		TRY(find_owner(db, hash, &owner, err));
	}
	if (!owner.caller.site_id && later)
		return sync_fail(err, SYNC_EBUSY, "central was restored, and what this site pushed before is still being integrated");
	if (!owner.caller.site_id)
		return sync_fail(err, SYNC_EUNAUTHORIZED,
		                 "this token is nobody's: if central site reset was used, remote init makes a new installation with the new secret and a new file");
	*ret = owner.caller;
	if (owner.revoked)
		return sync_fail(err, SYNC_EREVOKED, "site '%s' has been revoked", owner.caller.name);
	return SYNC_OK;
}

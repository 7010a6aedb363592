#include "exchange/bundle.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include <libsync/site.h>

#include "base/internal.h"
#include "exchange/checkpoint.h"
#include "exchange/peer.h"
#include "exchange/server.h"

/*
 * A bundle for a site has the answers that it would get if it asked from the place which it last said that it holds: the pages of a
 * first load, if it is not loaded, then pulls until nothing is left. Central notes where it ended, so that the next one can name that
 * place; that the site holds it is noted only when it says so.
 */

enum {
	LEVEL = 3,
	MOST_QUESTION = 4096,
	WANT = 8 << 20, /* bytes of an answer */
	TRIES = 5,
};

/* keys */

static enum sync_status token_key(struct sync_db *db, int64_t site_id, const char *salt, unsigned char ret[static SYNC_SEAL_KEY],
                                  struct sync_error *err)
{
	static const char get[] = "SELECT token_hash FROM sync_site WHERE site_id = $1";
	defer(sync_buf_clear) struct sync_buf hash = { .max = 64 };
	bool found;

	TRY(sync_db_text(db, get, SYNC_ARGS(sync_int(site_id)), &hash, &found, err));
	if (!found)
		return sync_fail(err, SYNC_EUNAUTHORIZED, "site %" PRId64 " has no token yet", site_id);
	sync_seal_key(ret, hash.data, salt);
	return SYNC_OK;
}

/* A bundle is being made. */
struct giving {
	struct sync_db *db;
	struct sync_site site;
	struct sync_bundle_clear clear;
	struct sync_bundle_head head;
	struct sync_server *server;
	struct sync_writer *writer; /* of questions */
	struct sync_reader *reader;
	struct sync_bundle_out *out;
	struct sync_header h;       /* of the next question */
	struct sync_header answered;
	struct sync_end end;
	struct sync_bundled *ret;
};

static void close_giving(struct giving *g)
{
	sync_server_free(g->server);
	sync_writer_free(g->writer);
	sync_reader_free(g->reader);
	sync_bundle_freep(&g->out);
	explicit_bzero(&g->head, sizeof g->head);
}

/* The site never registered, or could not finish its first load: the file makes its installation, and any earlier one is void. */
static enum sync_status register_site(struct giving *g, const char *secret, struct sync_error *err)
{
	char installation[40], token[44];
	int64_t site_id;

	snprintf(installation, sizeof installation, "%s", g->site.installation);
	if (!installation[0])
		sync_random_hex(installation, 32);
	TRY(sync_site_register(g->db, sync_view_of(g->site.name), sync_view_of(secret), sync_view_of(installation),
	                       sync_view_of(SYNC_VERSION), token, &site_id, err));
	snprintf(g->head.token, sizeof g->head.token, "%s", token);
	explicit_bzero(token, sizeof token);
	return sync_site_find(g->db, g->site.name, &g->site, err);
}

static enum sync_status find_key(struct giving *g, const char *secret, struct sync_error *err)
{
	const char *by = secret ? sync_bundle_by_secret : sync_bundle_by_token;

	if (g->site.revoked)
		return sync_fail(err, SYNC_EREVOKED, "site '%s' has been revoked", g->site.name);
	if (!secret && !g->site.installation[0])
		return sync_fail(err, SYNC_EUNAUTHORIZED,
		                 "site '%s' has not registered: its one-time secret is needed, with --secret-file", g->site.name);
	if (secret && g->site.loaded)
		return sync_fail(err, SYNC_ETAKEN, "site '%s' is at work already: without --secret-file what is new for it is written",
		                 g->site.name);
	if (secret)
		TRY(register_site(g, secret, err));
	snprintf(g->clear.key, sizeof g->clear.key, "%s", by);
	sync_bundle_sign(&g->clear);
	if (secret)
		return sync_seal_secret_key(g->out->key, sync_view_of(secret), g->clear.salt, err);
	return token_key(g->db, g->site.site_id, g->clear.salt, g->out->key, err);
}

static enum sync_status read_given(struct giving *g, struct sync_error *err)
{
	static const char get[] = "SELECT given FROM sync_site WHERE site_id = $1";
	defer(sync_buf_clear) struct sync_buf given = { .max = sizeof g->head.places - 1 };
	bool found;

	TRY(sync_db_text(g->db, get, SYNC_ARGS(sync_int(g->site.site_id)), &given, &found, err));
	snprintf(g->head.places, sizeof g->head.places, "%s", found ? given.data : "");
	return SYNC_OK;
}

static enum sync_status keep_given(struct giving *g, struct sync_error *err)
{
	static const char set[] = "UPDATE sync_site SET given = $1 WHERE site_id = $2";
	char place[SYNC_BUNDLE_PLACE];

	sync_place_text(place, &g->h.at);
	if (!sync_words_have(g->head.places, place))
		sync_words_add(g->head.places, sizeof g->head.places, place);
	return sync_db_run(g->db, set, SYNC_ARGS(sync_text(g->head.places), sync_int(g->site.site_id)), NULL, NULL, err);
}

/* questions and answers */

static struct sync_header question_of(const struct sync_site *s)
{
	struct sync_header h = {
		.protocol = SYNC_PROTOCOL,
		.schema = SYNC_SCHEMA_VERSION,
		.program = SYNC_VERSION,
		.site = s->site_id,
		.base = s->stored,
		.at = s->at,
		.verdict = s->verdict_seen,
		.want = WANT,
		.load.active = !s->loaded,
	};

	snprintf(h.branch, sizeof h.branch, "%s", s->branch[0] ? s->branch : "00000000");
	return h;
}

/* What the answer says of the next question: where it ends, and its last verdict. */
static enum sync_status read_answer(struct giving *g, struct sync_view answer, struct sync_error *err)
{
	defer(sync_arena_clear) struct sync_arena arena = { 0 };
	enum sync_frame kind = SYNC_FRAME_VERDICT;
	struct sync_record record;
	struct sync_verdict verdict;
	struct sync_view line;

	if (!g->reader)
		TRY(sync_reader_new(&g->reader, answer, &sync_default_limits, err));
	else
		TRY(sync_reader_reset(g->reader, answer, &sync_default_limits, err));
	TRY(sync_reader_header(g->reader, &g->answered, false, err));
	while (kind == SYNC_FRAME_VERDICT) {
		TRY(sync_reader_next(g->reader, &arena, &kind, &record, &verdict, &g->end, &line, err));
		if (kind == SYNC_FRAME_VERDICT)
			g->h.verdict = verdict.n;
	}
	return kind == SYNC_FRAME_RECORD ? sync_reader_end(g->reader, &g->end, err) : SYNC_OK;
}

static enum sync_status ask(struct giving *g, struct sync_error *err)
{
	struct sync_end end = { 0 };
	struct sync_view question, answer;

	sync_writer_begin(g->writer, &g->h, true);
	TRY(sync_writer_end(g->writer, &end, &question, err));
	TRY(sync_server_recite(g->server, g->site.site_id, question, &answer, err));
	TRY(read_answer(g, answer, err));
	g->ret->messages++;
	g->ret->records += g->end.records;
	return sync_bundle_put(g->out, answer, err);
}

static enum sync_status give_pages(struct giving *g, struct sync_error *err)
{
	while (g->h.load.active) {
		TRY(ask(g, err));
		g->h.load = g->end.load;
	}
	g->h.at = g->end.at;
	return SYNC_OK;
}

/* Whatever waits to be routed: a first load waits for it, and pulls end before it. */
static enum sync_status settle(struct giving *g, struct sync_error *err)
{
	bool more = true;

	while (more)
		TRY(sync_server_work(g->server, &more, err));
	return SYNC_OK;
}

static enum sync_status give_pulls(struct giving *g, struct sync_error *err)
{
	int64_t verdict;

	do {
		verdict = g->h.verdict;
		TRY(ask(g, err));
		g->h.at = g->end.at;
		memcpy(g->h.rest, g->end.rest, sizeof g->h.rest);
	} while (g->end.records > 0 || g->h.verdict > verdict);
	return SYNC_OK;
}

/* Once at least: what central has of the site's edits is said in any case. */
static enum sync_status give_news(struct giving *g, struct sync_error *err)
{
	for (int i = 0; i < TRIES; i++) {
		TRY(give_pulls(g, err));
		if (g->end.more == 0 && !g->end.rest[0])
			return SYNC_OK;
		TRY(settle(g, err));
	}
	return sync_fail(err, SYNC_EBUSY, "what site '%s' is to receive is still being worked out: repeat this in a while", g->site.name);
}

static enum sync_status write_messages(struct giving *g, struct sync_error *err)
{
	if (g->h.load.active) {
		TRY(settle(g, err));
		TRY(give_pages(g, err));
	}
	TRY(give_news(g, err));
	TRY(keep_given(g, err));
	return sync_bundle_finish(g->out, err);
}

static void set_clear(struct giving *g)
{
	struct sync_bundle_clear *c = &g->clear;

	snprintf(c->kind, sizeof c->kind, "%s", g->site.loaded ? sync_bundle_news : sync_bundle_load);
	memcpy(c->site, g->site.name, sizeof c->site);
	memcpy(c->installation, g->site.installation, sizeof c->installation);
	c->site_id = g->site.site_id;
}

static enum sync_status give(struct giving *g, const char *name, const char *path, const char *secret, struct sync_error *err)
{
	TRY(sync_server_flush(g->db, err));
	TRY(sync_site_find(g->db, name, &g->site, err));
	TRY(sync_bundle_new(&g->out, path, err));
	TRY(find_key(g, secret, err));
	set_clear(g);
	sync_bundle_tell(g->ret, &g->clear);
	TRY(read_given(g, err));
	g->h = question_of(&g->site);
	if (g->site.loaded)
		sync_place_text(g->head.from, &g->site.at);
	TRY(sync_server_new(&g->server, g->db, err));
	TRY(sync_writer_new(&g->writer, NULL, LEVEL, MOST_QUESTION, err)); /* without a dictionary: whoever reads it cannot ask for another */
	TRY(sync_bundle_front(g->out, &g->clear, &g->head, err));
	TRY(write_messages(g, err));
	g->ret->bytes = g->out->bytes;
	return SYNC_OK;
}

enum sync_status sync_bundle_give(struct sync_db *db, const char *site, const char *path, const char *secret, struct sync_bundled *ret,
                                  struct sync_error *err)
{
	struct sync_bundled done = { 0 };
	defer(close_giving) struct giving g = { .db = db, .ret = &done };

	TRY(give(&g, site, path, secret, err));
	*ret = done;
	return SYNC_OK;
}

/* taking edits */

struct accepting {
	struct sync_db *db;
	struct sync_bundle_in *in;
	struct sync_server *server;
	struct sync_reader *reader;
	struct sync_header h; /* of the message at hand */
	struct sync_peer peer;
	struct sync_bundled *ret;
};

static void close_accepting(struct accepting *a)
{
	sync_bundle_closep(&a->in);
	sync_server_free(a->server);
	sync_reader_free(a->reader);
}

static enum sync_status open_bundle(struct accepting *a, struct sync_error *err)
{
	const char *const kinds[] = { sync_bundle_edits, NULL };
	const struct sync_bundle_clear *c = &a->in->clear;
	struct sync_site site;

	sync_bundle_tell(a->ret, c);
	TRY(sync_bundle_check(a->in, kinds, c->site_id, c->site, c->installation, err));
	TRY(sync_site_find(a->db, c->site, &site, err));
	if (site.revoked)
		return sync_fail(err, SYNC_EREVOKED, "site '%s' has been revoked", site.name);
	TRY(sync_bundle_check(a->in, kinds, site.site_id, site.name, site.installation, err));
	TRY(token_key(a->db, site.site_id, c->salt, a->in->key, err));
	return sync_bundle_begin(a->in, err);
}

static enum sync_status read_header(struct accepting *a, struct sync_error *err)
{
	struct sync_view body = sync_buf_view(&a->in->message);

	if (!a->reader)
		TRY(sync_reader_new(&a->reader, body, &sync_default_limits, err));
	else
		TRY(sync_reader_reset(a->reader, body, &sync_default_limits, err));
	TRY(sync_reader_header(a->reader, &a->h, true, err));
	if (a->h.site != a->in->clear.site_id || a->h.load.active || a->h.verify)
		return sync_fail(err, SYNC_EBADFRAME, "message %" PRId64 " of %s is no push of site %" PRId64, a->ret->messages + 1,
		                 a->in->path, a->in->clear.site_id);
	return SYNC_OK;
}

/* All of it, before anything is changed. */
static enum sync_status survey(struct accepting *a, struct sync_error *err)
{
	struct sync_end end;
	bool more;

	for (;;) {
		TRY(sync_bundle_next(a->in, &more, err));
		if (!more)
			break;
		TRY(read_header(a, err));
		TRY(sync_reader_end(a->reader, &end, err));
		a->ret->messages++;
		a->ret->records += end.records;
	}
	a->ret->bytes = ftell(a->in->f);
	return SYNC_OK;
}

/* A message without records only tells what the site holds; the site may have told of more since. */
static bool is_old_news(const struct accepting *a)
{
	return sync_place_seq(&a->h.at) < sync_place_seq(&a->peer.at) || a->h.verdict < a->peer.verdict_seen;
}

static enum sync_status out_of_place(const struct accepting *a, struct sync_error *err)
{
	const struct sync_checkpoint *base = &a->h.base, *in = &a->peer.in;

	if (base->ordinal > in->ordinal)
		return sync_fail(err, SYNC_EBASE,
		                 "%s of %s goes on from push %" PRId64 " of site '%s', the newest here is %" PRId64
		                 ": accept the bundle before it, or make a new one when the site has exchanged",
		                 a->in->path, a->in->clear.made_at, base->ordinal, a->in->clear.site, in->ordinal);
	return sync_fail(err, SYNC_EBASE,
	                 "%s of %s was made by a database of site '%s' that does not know push %" PRId64
	                 ", the newest here, as after a restore at the site: let it exchange over the network, then make a new one",
	                 a->in->path, a->in->clear.made_at, a->in->clear.site, in->ordinal);
}

/*
 * *ret: what counts as its base, or NULL. Ordinals of one site rise with every push, so a later one has all that this one has; another
 * push of the same ordinal is of another history.
 */
static enum sync_status find_place(struct accepting *a, bool *ret_known, const struct sync_checkpoint **ret, struct sync_error *err)
{
	const struct sync_checkpoint *made = &a->h.made, *in = &a->peer.in;

	*ret = NULL;
	*ret_known = made->ordinal > 0 ? made->ordinal <= in->ordinal : is_old_news(a);
	if (made->ordinal > 0 && made->ordinal == in->ordinal && strcmp(made->id, in->id) != 0)
		return out_of_place(a, err);
	if (*ret_known || made->ordinal == 0 || !strcmp(a->h.base.id, in->id))
		return SYNC_OK;
	if (!sync_words_have(a->in->head.pushes, in->id))
		return out_of_place(a, err);
	*ret = in;
	return SYNC_OK;
}

static enum sync_status accept_message(struct accepting *a, struct sync_error *err)
{
	int64_t site = a->in->clear.site_id;
	const struct sync_checkpoint *follows;
	bool known;

	TRY(read_header(a, err));
	TRY(sync_peer_get(a->db, site, false, &a->peer, err));
	TRY(find_place(a, &known, &follows, err));
	a->ret->known += known;
	if (known)
		return SYNC_OK;
	TRY(sync_server_take(a->server, site, sync_buf_view(&a->in->message), follows, err));
	TRY(sync_peer_get(a->db, site, false, &a->peer, err));
	if (a->h.made.ordinal > 0 && strcmp(a->h.made.id, a->peer.in.id) != 0)
		return sync_fail(err, SYNC_EBUSY, "site '%s' has exchanged meanwhile: repeat this", a->in->clear.site);
	return SYNC_OK;
}

static enum sync_status accept_messages(struct accepting *a, struct sync_error *err)
{
	bool more;

	TRY(sync_bundle_begin(a->in, err));
	for (;;) {
		TRY(sync_bundle_next(a->in, &more, err));
		if (!more)
			return SYNC_OK;
		TRY(accept_message(a, err));
	}
}

/* What was stored is integrated, and all of it is written: nobody else may be at work here. */
static enum sync_status finish(struct accepting *a, struct sync_error *err)
{
	bool more = true;

	while (more)
		TRY(sync_server_work(a->server, &more, err));
	return sync_server_flush(a->db, err);
}

enum sync_status sync_bundle_accept(struct sync_db *db, const char *path, int64_t waiting_max, struct sync_bundled *ret,
                                    struct sync_error *err)
{
	defer(close_accepting) struct accepting a = { .db = db, .ret = ret };

	*ret = (struct sync_bundled){ 0 };
	TRY(sync_server_flush(db, err));
	TRY(sync_bundle_open(&a.in, path, err));
	TRY(open_bundle(&a, err));
	TRY(survey(&a, err));
	TRY(sync_server_new(&a.server, db, err));
	sync_server_bound(a.server, waiting_max);
	TRY(accept_messages(&a, err));
	return finish(&a, err);
}

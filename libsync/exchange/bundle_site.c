#include "exchange/bundle.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include <libsync/time.h>

#include "base/internal.h"
#include "exchange/batch.h"
#include "exchange/link.h"
#include "exchange/load.h"
#include "exchange/pull.h"
#include "exchange/push.h"
#include "exchange/round.h"

enum {
	LEVEL = 3,
	AT_ONCE = 500, /* records that one transaction takes; what has more goes through the spool */
};

static void token_key(const struct sync_link *link, const char *salt, unsigned char ret[static SYNC_SEAL_KEY])
{
	char hash[65];

	sync_token_hash(hash, sync_view_of(link->token));
	sync_seal_key(ret, hash, salt);
}

/* packing edits */

struct packing {
	struct sync_db *db;
	struct sync_options o;
	struct sync_link link;
	struct sync_push push;
	struct sync_writer *writer;
	struct sync_bundle_out *out;
	struct sync_bundled *ret;
};

static void close_packing(struct packing *p)
{
	sync_push_clear(&p->push);
	sync_writer_free(p->writer);
	sync_bundle_freep(&p->out);
}

static enum sync_status take_push(void *ctx, const struct sync_value *v, size_t n, struct sync_error *err)
{
	struct sync_bundle_head *head = ctx;
	char id[SYNC_CHECKPOINT_ID + 1];

	(void)n, (void)err;
	snprintf(id, sizeof id, "%.*s", SYNC_VIEW(v[0].s));
	sync_words_add(head->pushes, sizeof head->pushes, id);
	return SYNC_OK;
}

/* Earlier bundles may have brought central further than it has said so far. */
static enum sync_status read_pushes(struct packing *p, struct sync_bundle_head *ret, struct sync_error *err)
{
	static const char get[] = "SELECT id FROM sync_checkpoint WHERE peer = 0 AND way = 'push' AND ordinal >= $1 ORDER BY ordinal";

	return sync_db_run(p->db, get, SYNC_ARGS(sync_int(p->link.out.ordinal)), take_push, ret, err);
}

/* What cannot be sent is told here: no answer will come that could be taken together with it. */
static enum sync_status settle(struct packing *p, struct sync_error *err)
{
	TRY(sync_db_begin(p->db, true, err));
	return sync_db_finish(p->db, sync_push_settle(&p->push, p->db, err), err);
}

/* Each message as if central had stored the one before; none asks for records. */
static enum sync_status pack_message(struct packing *p, bool *ret_more, struct sync_error *err)
{
	struct sync_header h = sync_link_header(&p->link);
	struct sync_view message;

	TRY(sync_push_write(&p->push, p->db, &p->link, &h, p->writer, p->o.message_max, &message, err));
	TRY(sync_bundle_put(p->out, message, err));
	p->ret->messages++;
	p->ret->records += sync_push_records(&p->push);
	*ret_more = h.made.ordinal > 0 && h.unpushed > 0;
	if (h.made.ordinal == 0)
		return SYNC_OK;
	p->link.out = h.made;
	TRY(settle(p, err));
	return sync_push_done(&p->push, err);
}

static enum sync_status pack_all(struct packing *p, struct sync_error *err)
{
	bool more = true;

	while (more)
		TRY(pack_message(p, &more, err));
	TRY(sync_bundle_finish(p->out, err));
	p->ret->bytes = p->out->bytes;
	return SYNC_OK;
}

static void set_clear(struct sync_bundle_clear *c, const struct sync_link *link)
{
	snprintf(c->kind, sizeof c->kind, "%s", sync_bundle_edits);
	snprintf(c->key, sizeof c->key, "%s", sync_bundle_by_token);
	memcpy(c->site, link->name, sizeof c->site);
	memcpy(c->installation, link->installation, sizeof c->installation);
	c->site_id = link->site_id;
	sync_bundle_sign(c);
}

static enum sync_status pack(struct packing *p, const char *path, struct sync_error *err)
{
	struct sync_bundle_clear clear = { 0 };
	struct sync_bundle_head head = { 0 };

	p->push.o = &p->o;
	TRY(sync_link_get(p->db, &p->link, err));
	if (!p->link.operational)
		return sync_fail(err, SYNC_EBUSY, "the first load of site '%s' is not over: remote init goes on with it", p->link.name);
	TRY(sync_bundle_new(&p->out, path, err));
	set_clear(&clear, &p->link);
	sync_bundle_tell(p->ret, &clear);
	TRY(read_pushes(p, &head, err));
	token_key(&p->link, clear.salt, p->out->key);
	TRY(sync_writer_new(&p->writer, NULL, LEVEL, SYNC_BUNDLE_MESSAGE, err)); /* see bundle_central.c */
	TRY(sync_bundle_front(p->out, &clear, &head, err));
	return pack_all(p, err);
}

enum sync_status sync_bundle_pack(struct sync_db *db, const char *path, struct sync_bundled *ret, struct sync_error *err)
{
	struct sync_bundled done = { 0 };
	defer(close_packing) struct packing p = { .db = db, .o = sync_options_of(NULL), .ret = &done };

	TRY(pack(&p, path, err));
	*ret = done;
	return SYNC_OK;
}

/* taking what central wrote */

struct taking {
	struct sync_db *db;
	struct sync_options o;
	struct sync_link link;
	struct sync_bundle_in *in;
	struct sync_reader *reader;
	struct sync_batch batch;
	struct sync_load wanted; /* the page that the load asks for */
	struct sync_header h;    /* of the message at hand */
	/* of the survey */
	bool pulls, later;       /* there are messages besides pages; one of them brings something */
	bool here;               /* the place that the site holds is the end of one of the messages, or of the pages */
	struct sync_position end;
	struct sync_header said; /* the first header of them */
	struct sync_report *report;
	struct sync_bundled *ret;
};

static void close_taking(struct taking *t)
{
	sync_bundle_closep(&t->in);
	sync_reader_free(t->reader);
	sync_batch_clear(&t->batch);
}

static enum sync_status read_header(struct taking *t, struct sync_error *err)
{
	struct sync_view body = sync_buf_view(&t->in->message);

	if (!t->reader)
		TRY(sync_reader_new(&t->reader, body, &sync_default_limits, err));
	else
		TRY(sync_reader_reset(t->reader, body, &sync_default_limits, err));
	TRY(sync_reader_header(t->reader, &t->h, false, err));
	if (t->h.protocol > SYNC_PROTOCOL)
		return sync_fail(err, SYNC_EVERSION, "%s speaks protocol %d, this program upto %d: update it", t->in->path, t->h.protocol,
		                 SYNC_PROTOCOL);
	return SYNC_OK;
}

static bool same_place(const struct sync_position *a, const struct sync_position *b)
{
	char x[SYNC_BUNDLE_PLACE], y[SYNC_BUNDLE_PLACE];

	sync_place_text(x, a);
	sync_place_text(y, b);
	return !strcmp(x, y);
}

/* Whether central has said more of this site's edits than it had when the site last heard of it. */
static bool tells(const struct taking *t)
{
	const struct sync_header *h = &t->h;
	const struct sync_link *l = &t->link;
	bool newer = h->stored.ordinal > l->out.ordinal || h->integrated > l->integrated || h->verdict > l->verdict;

	return newer && h->stored.ordinal >= l->out.ordinal && h->integrated >= l->integrated;
}

/*
 * Whether a pull brings anything: records from behind what the site holds, or a part of the group that begins there. Whoever has some of
 * its parts gets them again, from the first one.
 */
static bool brings(const struct taking *t, const struct sync_end *end)
{
	int64_t to = sync_place_seq(&end->at), held = sync_place_seq(&t->link.at);

	if (to != held)
		return to > held;
	return end->from[0] ? !strcmp(end->from, t->link.rest) : end->rest[0] || tells(t);
}

static enum sync_status note_pull(struct taking *t, struct sync_error *err)
{
	struct sync_end end;

	TRY(sync_reader_end(t->reader, &end, err));
	if (!t->pulls)
		t->said = t->h;
	t->pulls = true;
	t->end = end.at;
	t->here = t->here || same_place(&end.at, &t->link.at);
	t->later = t->later || brings(t, &end);
	t->ret->records += end.records;
	return SYNC_OK;
}

/* All of it, before anything is changed. Of pages only the place is of interest: there may be many. */
static enum sync_status survey(struct taking *t, struct sync_error *err)
{
	bool more;

	TRY(sync_bundle_begin(t->in, err));
	for (;;) {
		TRY(sync_bundle_next(t->in, &more, err));
		if (!more)
			break;
		TRY(read_header(t, err));
		t->ret->messages++;
		t->here = t->here || (t->h.load.active && same_place(&t->h.load.at, &t->link.at));
		if (!t->h.load.active)
			TRY(note_pull(t, err));
	}
	t->ret->bytes = ftell(t->in->f);
	return t->pulls ? SYNC_OK : sync_fail(err, SYNC_EBADFRAME, "%s has no end", t->in->path);
}

/* The numbers alone prove nothing: after a restore central gives them again. */
static enum sync_status check_place(const struct taking *t, struct sync_error *err)
{
	const struct sync_bundle_head *head = &t->in->head;
	const struct sync_bundle_clear *c = &t->in->clear;
	char held[SYNC_BUNDLE_PLACE];
	int64_t from = 0, own = 0;

	sync_place_text(held, &t->link.at);
	if (t->here || !strcmp(head->from, held))
		return SYNC_OK;
	(void)sscanf(head->from, "%" SCNd64 ".%*[0-9a-f]/%" SCNd64, &from, &own);
	if ((from > own ? from : own) > sync_place_seq(&t->link.at))
		return sync_fail(err, SYNC_EBASE,
		                 "%s of %s goes on from a place that this site has not reached: take the bundles before it first, or have a new "
		                 "one made after central has accepted a bundle of this site",
		                 t->in->path, c->made_at);
	return sync_words_have(head->places, held)
	           ? SYNC_OK
	           : sync_fail(err, SYNC_EBASE,
	                       "%s of %s does not know the place that this site holds, %s: take the bundle again that was interrupted, or "
	                       "have a new one made after an exchange, or after central has accepted a bundle of this site",
	                       t->in->path, c->made_at, held);
}

static enum sync_status check_heard(const struct taking *t, struct sync_error *err)
{
	const struct sync_link *l = &t->link;

	if (t->said.stored.ordinal >= l->out.ordinal && t->said.integrated >= l->integrated)
		return SYNC_OK;
	return sync_fail(err, SYNC_EBASE,
	                 "%s of %s is older than what this site has heard from central since: make a new one, or exchange over the network",
	                 t->in->path, t->in->clear.made_at);
}

static enum sync_status apply_message(struct taking *t, struct sync_error *err)
{
	struct sync_view body = sync_buf_view(&t->in->message);
	struct sync_header asked = sync_link_header(&t->link);
	struct sync_applied applied;
	struct sync_answer answer;

	asked.unpushed = 1; /* nothing was asked, so the answer confirms nothing */
	TRY(sync_answer_read(&answer, &t->batch, body, AT_ONCE, err));
	t->h = answer.h;
	if (!brings(t, &t->batch.end)) {
		t->ret->known++;
		return SYNC_OK;
	}
	TRY(sync_answer_apply(&answer, &t->batch, body, t->db, &t->link, &asked, NULL, &applied, err));
	if (applied.parted)
		return sync_fail(err, SYNC_EHISTORY,
		                 "%s of %s is not of the history of this site, as after a restore of either side: exchange over the network first",
		                 t->in->path, t->in->clear.made_at);
	t->report->pulled += t->batch.end.records;
	t->report->integrated += applied.outcome.applied;
	return answer.spool ? sync_round_drain(t->db, &t->link, &t->o, t->report, err) : SYNC_OK;
}

/* From wherever the file is read: pages are passed over. */
static enum sync_status apply_pulls(struct taking *t, struct sync_error *err)
{
	bool more;

	for (;;) {
		TRY(sync_stopped(&t->o, err));
		TRY(sync_bundle_next(t->in, &more, err));
		if (!more)
			return SYNC_OK;
		TRY(read_header(t, err));
		if (!t->h.load.active)
			TRY(apply_message(t, err));
		if (t->o.progress)
			t->o.progress(t->o.ctx, "bundle", t->report->pulled, t->ret->records);
	}
}

static enum sync_status open_bundle(struct taking *t, const char *kind, struct sync_error *err)
{
	const char *const kinds[] = { kind, NULL };

	sync_bundle_tell(t->ret, &t->in->clear);
	TRY(sync_link_get(t->db, &t->link, err));
	return sync_bundle_check(t->in, kinds, t->link.site_id, t->link.name, t->link.installation, err);
}

static enum sync_status take_news(struct taking *t, struct sync_error *err)
{
	TRY(open_bundle(t, sync_bundle_news, err));
	token_key(&t->link, t->in->clear.salt, t->in->key);
	TRY(survey(t, err));
	if (!t->link.operational)
		return sync_fail(err, SYNC_EBUSY, "the first load of site '%s' is not over: remote init goes on with it", t->link.name);
	if (t->link.offered.id[0])
		return sync_fail(err, SYNC_EBUSY,
		                 "this site has yet to tell central what that lost when it was restored, before anything here is replaced: exchange "
		                 "over the network first");
	TRY(sync_round_drain(t->db, &t->link, &t->o, t->report, err)); /* what an earlier attempt has left */
	if (!t->later) {
		t->ret->known = t->ret->messages;
		return SYNC_OK;
	}
	TRY(check_place(t, err));
	TRY(check_heard(t, err));
	TRY(sync_bundle_begin(t->in, err));
	TRY(apply_pulls(t, err));
	return sync_round_retry(t->db, err);
}

enum sync_status sync_bundle_take(struct sync_db *db, const char *path, const struct sync_options *o, struct sync_bundled *ret,
                                  struct sync_report *report, struct sync_error *err)
{
	defer(close_taking) struct taking t = { .db = db, .o = sync_options_of(o), .report = report, .ret = ret };

	*ret = (struct sync_bundled){ 0 };
	TRY(sync_bundle_open(&t.in, path, err));
	TRY(take_news(&t, err));
	return sync_round_count(db, report, err);
}

/* a first load: the file answers its questions */

static enum sync_status start(void *ctx, struct sync_view body, struct sync_error *err)
{
	defer(sync_reader_freep) struct sync_reader *reader = NULL;
	struct taking *t = ctx;
	struct sync_header h;

	TRY(sync_reader_new(&reader, body, &sync_default_limits, err));
	TRY(sync_reader_header(reader, &h, true, err));
	t->wanted = h.load;
	return SYNC_OK;
}

static bool is_wanted(const struct taking *t)
{
	const struct sync_load *page = &t->h.load, *wanted = &t->wanted;

	return page->active && !strcmp(page->entity, wanted->entity) && !strcmp(page->id, wanted->id) &&
	       (!wanted->entity[0] || same_place(&page->at, &wanted->at));
}

/* Another load's pages would leave records behind that were deleted between the two. */
static enum sync_status parted(const struct taking *t, struct sync_error *err)
{
	return sync_fail(err, SYNC_EBASE,
	                 "%s does not go on where the first load of this site stands: go on with the bundle with which it began, or over the "
	                 "network",
	                 t->in->path);
}

/* Pages before it were taken by an earlier attempt. */
static enum sync_status finish(void *ctx, struct sync_buf *ret, struct sync_error *err)
{
	struct taking *t = ctx;
	bool more;

	do {
		TRY(sync_bundle_next(t->in, &more, err));
		if (!more)
			return parted(t, err);
		TRY(read_header(t, err));
	} while (!is_wanted(t));
	sync_reader_free(t->reader); /* a few MiB, which whoever reads the page needs */
	t->reader = NULL;
	sync_buf_reset(ret);
	sync_buf_add_view(ret, sync_buf_view(&t->in->message));
	return sync_buf_check(ret, err);
}

static enum sync_status take_pages(struct taking *t, struct sync_load *next, struct sync_error *err)
{
	const struct sync_transport transport = { start, finish, t };
	struct sync_options o = t->o;

	o.message_min = o.message_max = SYNC_BUNDLE_MESSAGE; /* what suits the link is not learned from a file */
	TRY(sync_load_pages(t->db, &transport, &o, t->report, next, err));
	return sync_link_get(t->db, &t->link, err);
}

static enum sync_status load(struct taking *t, struct sync_error *err)
{
	struct sync_load next;
	enum sync_stage stage;

	TRY(sync_stage_get(t->db, &stage, &next, err));
	TRY(sync_bundle_begin(t->in, err));
	if (stage == SYNC_LOADING)
		TRY(take_pages(t, &next, err));
	else if (!t->here)
		return parted(t, err);
	TRY(sync_round_drain(t->db, &t->link, &t->o, t->report, err));
	TRY(apply_pulls(t, err));
	TRY(sync_round_retry(t->db, err));
	return sync_load_ready(t->db, t->report, err);
}

/* The head of a bundle that is sealed with a secret says who the site is from now on. */
static enum sync_status register_site(struct taking *t, const struct sync_bundle_site *site, struct sync_error *err)
{
	const struct sync_bundle_clear *c = &t->in->clear;
	struct sync_link link;
	const char *url = site->url ? site->url : "";

	if (!t->in->head.token[0])
		return sync_fail(err, SYNC_EBADFRAME, "%s has no token", t->in->path);
	if (sync_link_get(t->db, &link, NULL) == SYNC_OK)
		url = link.url;
	return sync_link_put(t->db, c->site_id, c->site, url, t->in->head.token, c->installation, err);
}

static enum sync_status find_key(struct taking *t, const struct sync_bundle_site *site, struct sync_error *err)
{
	const struct sync_bundle_clear *c = &t->in->clear;

	if (!strcmp(c->key, sync_bundle_by_token)) {
		TRY(open_bundle(t, sync_bundle_load, err));
		token_key(&t->link, c->salt, t->in->key);
		return SYNC_OK;
	}
	if (!site->secret)
		return sync_fail(err, SYNC_EUNAUTHORIZED, "%s is sealed with the one-time secret of site '%s': --secret-file names it",
		                 t->in->path, c->site);
	return sync_seal_secret_key(t->in->key, sync_view_of(site->secret), c->salt, err);
}

static enum sync_status check_site(struct taking *t, const struct sync_bundle_site *site, struct sync_error *err)
{
	const char *const kinds[] = { sync_bundle_load, NULL };
	const struct sync_bundle_clear *c = &t->in->clear;

	sync_bundle_tell(t->ret, c);
	if (sync_link_get(t->db, &t->link, NULL) == SYNC_OK && t->link.operational)
		return sync_fail(err, SYNC_ETAKEN, "site '%s' is operational already: remote accept takes what is new for it", t->link.name);
	return sync_bundle_check(t->in, kinds, c->site_id, site->name ? site->name : c->site,
	                         t->link.site_id ? t->link.installation : c->installation, err);
}

static enum sync_status init(struct taking *t, const struct sync_bundle_site *site, struct sync_error *err)
{
	TRY(check_site(t, site, err));
	TRY(find_key(t, site, err));
	TRY(survey(t, err));
	if (!strcmp(t->in->clear.key, sync_bundle_by_secret))
		TRY(register_site(t, site, err));
	TRY(open_bundle(t, sync_bundle_load, err));
	return load(t, err);
}

enum sync_status sync_bundle_init(struct sync_db *db, const char *path, const struct sync_bundle_site *site, const struct sync_options *o,
                                  struct sync_bundled *ret, struct sync_report *report, struct sync_error *err)
{
	defer(close_taking) struct taking t = { .db = db, .o = sync_options_of(o), .report = report, .ret = ret };

	*ret = (struct sync_bundled){ 0 };
	TRY(sync_bundle_open(&t.in, path, err));
	TRY(init(&t, site, err));
	return sync_round_count(db, report, err);
}

#include "exchange/link.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include <libsync/crypto.h>

#include "base/internal.h"

static void take_text(char *ret, size_t size, const struct sync_value *v)
{
	snprintf(ret, size, "%.*s", SYNC_VIEW(v->s));
}

static enum sync_status take_link(void *ctx, const struct sync_value *v, size_t n, struct sync_error *err)
{
	struct sync_link *l = ctx;

	(void)n, (void)err;
	*l = (struct sync_link){
		.site_id = v[0].i,
		.made = { .ordinal = v[6].i, .seq = v[8].i },
		.out = { .ordinal = v[9].i, .seq = v[11].i },
		.integrated = v[12].i,
		.unanswered = v[13].i != 0,
		.at = { .all.seq = v[14].i, .own.seq = v[16].i },
		.verdict = v[18].i,
		.operational = v[19].kind == SYNC_NULL,
		.load_total = v[20].i,
		.load_done = v[21].i,
		.more = v[22].i,
		.echo = v[24].i != 0,
		.fork = { .made = v[25].i != 0,
			  .common = { .ordinal = v[26].i, .seq = v[28].i },
			  .sure = v[29].i,
			  .upto = v[30].i,
			  .all_seq = v[31].i,
			  .own_seq = v[32].i },
		.loss = (int)v[33].i & SYNC_LOSS_BOTH,
		.offered.seq = v[34].i,
		.lost.seq = v[36].i,
	};
	take_text(l->name, sizeof l->name, &v[1]);
	take_text(l->url, sizeof l->url, &v[2]);
	take_text(l->token, sizeof l->token, &v[3]);
	take_text(l->installation, sizeof l->installation, &v[4]);
	take_text(l->branch, sizeof l->branch, &v[5]);
	take_text(l->made.id, sizeof l->made.id, &v[7]);
	take_text(l->out.id, sizeof l->out.id, &v[10]);
	take_text(l->at.all.id, sizeof l->at.all.id, &v[15]);
	take_text(l->at.own.id, sizeof l->at.own.id, &v[17]);
	take_text(l->rest, sizeof l->rest, &v[23]);
	take_text(l->fork.common.id, sizeof l->fork.common.id, &v[27]);
	take_text(l->offered.id, sizeof l->offered.id, &v[35]);
	take_text(l->lost.id, sizeof l->lost.id, &v[37]);
	return SYNC_OK;
}

static enum sync_status find_link(struct sync_db *db, struct sync_link *ret, struct sync_error *err)
{
	static const char get[] = "SELECT site_id, name, url, token, installation, branch, made_ordinal, made_id, made_upto, "
				  "out_ordinal, out_id, out_upto,"
				  "    out_integrated, unanswered, all_seq, all_id, own_seq, own_id, verdict, load, "
				  "load_total, load_done, more, rest, echo, fork, fork_ordinal, fork_id, fork_seq, fork_sure,"
				  "    fork_upto, fork_all, fork_own, offer, offered, offered_id, offer_lost_seq, offer_lost_id FROM sync_link";

	*ret = (struct sync_link){ 0 };
	return sync_db_run(db, get, SYNC_NOARGS, take_link, ret, err);
}

enum sync_status sync_link_get(struct sync_db *db, struct sync_link *ret, struct sync_error *err)
{
	struct sync_link link;

	TRY(find_link(db, &link, err));
	if (!link.site_id)
		return sync_fail(err, SYNC_ENOTFOUND, "%s is not registered at a central server: remote init does that",
				 sync_db_url(db));
	*ret = link;
	return SYNC_OK;
}

static enum sync_status check_fits(const char *what, const char *text, size_t size, struct sync_error *err)
{
	if (text[0] && strlen(text) < size)
		return SYNC_OK;
	return sync_fail(err, SYNC_EINVALID, "the %s has %zu bytes, 1 to %zu may be", what, strlen(text), size - 1);
}

/* The same registration again brings its new token; the rest stays. */
static enum sync_status renew(struct sync_db *db, const struct sync_link *old, int64_t site_id, const char *name,
			      const char *url, const char *token, const char *installation, struct sync_error *err)
{
	static const char set[] = "UPDATE sync_link SET token = $1";

	if (old->site_id != site_id || strcmp(old->name, name) != 0 || strcmp(old->url, url) != 0 ||
	    strcmp(old->installation, installation) != 0)
		return sync_fail(err, SYNC_ETAKEN, "%s is site '%s' of %s: use another file for site '%s' of %s",
				 sync_db_url(db), old->name, old->url, name, url);
	return sync_db_run(db, set, SYNC_ARGS(sync_text(token)), NULL, NULL, err);
}

static enum sync_status begin_link(struct sync_db *db, int64_t site_id, const char *name, const char *url, const char *token,
				   const char *installation, struct sync_error *err)
{
	static const char put[] =
	    "INSERT INTO sync_link(id, site_id, name, url, token, installation, branch, made_ordinal, made_id, made_upto, "
	    "out_ordinal,"
	    "    out_id, out_upto, out_integrated, unanswered, all_seq, all_id, own_seq, own_id, verdict, load, load_total, "
	    "load_done, more, rest)"
	    "    VALUES (1, $1, $2, $3, $4, $5, $6, 0, '', 0, 0, '', 0, 0, 0, 0, '', 0, '', 0, '', 0, 0, 0, '')";
	char branch[SYNC_BRANCH + 1];

	sync_random_hex(branch, SYNC_BRANCH);
	return sync_db_run(db, put,
			   SYNC_ARGS(sync_int(site_id), sync_text(name), sync_text(url), sync_text(token),
				     sync_text(installation), sync_text(branch)),
			   NULL, NULL, err);
}

static enum sync_status put_link(struct sync_db *db, int64_t site_id, const char *name, const char *url, const char *token,
				 const char *installation, struct sync_error *err)
{
	struct sync_link old;

	TRY(find_link(db, &old, err));
	if (old.site_id)
		return renew(db, &old, site_id, name, url, token, installation, err);
	return begin_link(db, site_id, name, url, token, installation, err);
}

enum sync_status sync_link_put(struct sync_db *db, int64_t site_id, const char *name, const char *url, const char *token,
			       const char *installation, struct sync_error *err)
{
	enum sync_status status;

	TRY(check_fits("site's name", name, sizeof((struct sync_link *)0)->name, err));
	if (url[0])
		TRY(check_fits("url", url, sizeof((struct sync_link *)0)->url, err));
	TRY(check_fits("token", token, sizeof((struct sync_link *)0)->token, err));
	TRY(check_fits("installation", installation, sizeof((struct sync_link *)0)->installation, err));
	TRY(sync_db_begin(db, true, err));
	status = put_link(db, site_id, name, url, token, installation, err);
	if (status == SYNC_OK)
		return sync_db_commit(db, err);
	sync_db_rollback(db);
	return status;
}

/*
 * load = "" before the first page
 *      | ALL_SEQ ALL_ID OWN_SEQ OWN_ID TOTAL DONE ENTITY ID: the next page; ids of checkpoints are "-" when empty, ID is the
 * rest | "catching": pages are over | null: operational
 */
static const char catching[] = "catching";

struct stage {
	enum sync_stage stage;
	struct sync_load next;
};

static enum sync_status take_stage(void *ctx, const struct sync_value *v, size_t n, struct sync_error *err)
{
	struct stage *s = ctx;
	struct sync_load *l = &s->next;
	char text[512];
	int at = 0;

	(void)n;
	*s = (struct stage){ .stage = v[0].kind == SYNC_NULL ? SYNC_READY : SYNC_LOADING, .next.active = true };
	if (s->stage == SYNC_READY || v[0].s.len == 0)
		return SYNC_OK;
	if (sync_view_is(v[0].s, catching)) {
		s->stage = SYNC_CATCHING;
		return SYNC_OK;
	}
	take_text(text, sizeof text, &v[0]);
	if (sscanf(text, "%" SCNd64 " %16s %" SCNd64 " %16s %" SCNd64 " %" SCNd64 " %63s%n", &l->at.all.seq, l->at.all.id,
		   &l->at.own.seq, l->at.own.id, &l->total, &l->done, l->entity, &at) != 7 ||
	    text[at] != ' ')
		return sync_fail(err, SYNC_EWRONGDB, "sync_link.load is '%s', which is no place in a first load", text);
	l->at.all.id[strcmp(l->at.all.id, "-") == 0 ? 0 : SYNC_CHECKPOINT_ID] = '\0';
	l->at.own.id[strcmp(l->at.own.id, "-") == 0 ? 0 : SYNC_CHECKPOINT_ID] = '\0';
	snprintf(l->id, sizeof l->id, "%s", text + at + 1);
	return SYNC_OK;
}

enum sync_status sync_stage_get(struct sync_db *db, enum sync_stage *ret, struct sync_load *ret_next, struct sync_error *err)
{
	static const char get[] = "SELECT load FROM sync_link";
	struct stage s = { .stage = SYNC_READY };

	TRY(sync_db_run(db, get, SYNC_NOARGS, take_stage, &s, err));
	*ret = s.stage;
	*ret_next = s.next;
	return SYNC_OK;
}

static const char *or_dash(const char *id)
{
	return id[0] ? id : "-";
}

enum sync_status sync_stage_next(struct sync_db *db, const struct sync_load *next, struct sync_error *err)
{
	static const char set[] = "UPDATE sync_link SET load = $1, load_total = $2, load_done = $3";
	char text[512];

	snprintf(text, sizeof text, "%" PRId64 " %s %" PRId64 " %s %" PRId64 " %" PRId64 " %s %s", next->at.all.seq,
		 or_dash(next->at.all.id), next->at.own.seq, or_dash(next->at.own.id), next->total, next->done, next->entity,
		 next->id);
	return sync_db_run(db, set, SYNC_ARGS(sync_text(text), sync_int(next->total), sync_int(next->done)), NULL, NULL, err);
}

enum sync_status sync_stage_catch(struct sync_db *db, const struct sync_load *last, struct sync_error *err)
{
	static const char set[] = "UPDATE sync_link SET load = $1, load_total = $2, load_done = $3, all_seq = $4, all_id = $5, "
				  "own_seq = $6, own_id = $7";

	return sync_db_run(db, set,
			   SYNC_ARGS(sync_text(catching), sync_int(last->total), sync_int(last->done),
				     sync_int(last->at.all.seq), sync_text(last->at.all.id), sync_int(last->at.own.seq),
				     sync_text(last->at.own.id)),
			   NULL, NULL, err);
}

enum sync_status sync_stage_ready(struct sync_db *db, struct sync_error *err)
{
	static const char set[] = "UPDATE sync_link SET load = NULL";

	return sync_db_run(db, set, SYNC_NOARGS, NULL, NULL, err);
}

static void sleep_us(int64_t us)
{
	struct timespec left = { .tv_sec = us / 1000000, .tv_nsec = us % 1000000 * 1000 };

	while (nanosleep(&left, &left) != 0)
		;
}

struct sync_options sync_options_of(const struct sync_options *o)
{
	struct sync_options full = o ? *o : (struct sync_options){ 0 };

	full.message_min = full.message_min ? full.message_min : 64 << 10;
	full.message_max = full.message_max ? full.message_max : 8 << 20;
	full.chunk_max = full.chunk_max ? full.chunk_max : 20000;
	full.slice_us = full.slice_us ? full.slice_us : 50000;
	full.pause = full.pause ? full.pause : sleep_us;
	return full;
}

/* Until central knows where the branch began, and which of its edits were made before the site had caught up. */
static bool tells_fork(const struct sync_link *link)
{
	return link->fork.made || link->echo || link->out.seq < link->fork.upto;
}

struct sync_header sync_link_header(const struct sync_link *link)
{
	struct sync_header h = {
		.protocol = SYNC_PROTOCOL,
		.schema = SYNC_SCHEMA_VERSION,
		.program = SYNC_VERSION,
		.site = link->site_id,
		.base = link->out,
		.at = link->at,
		.verdict = link->verdict,
		.echo = link->echo,
		.fork = link->fork,
		.offered = link->offered,
	};

	h.fork.made = tells_fork(link);
	if (!h.fork.made)
		h.fork = (struct sync_fork){ 0 };
	memcpy(h.branch, link->branch, sizeof h.branch);
	memcpy(h.rest, link->rest, sizeof h.rest);
	return h;
}

enum sync_status sync_stopped(const struct sync_options *o, struct sync_error *err)
{
	return o->stop && *o->stop ? sync_fail(err, SYNC_EBUSY, "asked to stop") : SYNC_OK;
}

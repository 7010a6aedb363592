#include "exchange/explain.h"

#include <inttypes.h>
#include <string.h>

#include <libsync/exchange.h>

#include "base/internal.h"
#include "exchange/lot.h"

/* What a site keeps of a record's way: its changelog, its link, verdicts, versions. */
struct here {
	struct sync_explaining *g;
	struct sync_link link;
};

static enum sync_status tell_push(const struct here *h, int64_t seq, int64_t at_us, struct sync_error *err)
{
	struct sync_explaining *g = h->g;
	int64_t pushed_us;
	static const char first[] = "SELECT at_us FROM sync_exchange WHERE site_id = 0 AND pushed > 0 AND code IS NULL"
				    "    AND at_us + ms * 1000 >= $1 ORDER BY id LIMIT 1";

	if (seq > h->link.out.seq)
		return sync_tell(g, (struct sync_told){ .what = "pending", .text = "not at central yet: goes with the next exchange" }, err);
	TRY(sync_db_number(g->db, first, SYNC_ARGS(sync_int(at_us)), 0, &pushed_us, err));
	return sync_tell(g,
	                 (struct sync_told){ .what = "pushed", .at_us = pushed_us > at_us ? pushed_us : 0, .site = "central",
	                                     .text = seq <= h->link.integrated ? "is at central, which has looked at it"
	                                                                       : "is at central, which has stored it and not yet applied" },
	                 err);
}

static enum sync_status tell_edit(void *ctx, const struct sync_value *v, size_t n, struct sync_error *err)
{
	const struct here *h = ctx;
	bool deleted = sync_view_is(v[1].s, "D");

	(void)n;
	if (deleted && !h->g->exists)
		h->g->x->state = "deleted";
	TRY(sync_tell(h->g,
	              (struct sync_told){ .what = "written", .at_us = v[2].i,
	                                  .site = sync_say(&h->g->x->arena, "%s", h->link.name), /* outlives the link */
	                                  .text = deleted ? "deleted here" : "last edited here" },
	              err));
	return tell_push(h, v[0].i, v[2].i, err);
}

static enum sync_status tell_version(void *ctx, const struct sync_value *v, size_t n, struct sync_error *err)
{
	struct here *h = ctx;
	struct sync_view version = v[0].s;
	const char *dot = memchr(version.data, '.', version.len);
	struct sync_view site = { version.data, dot ? (size_t)(dot - version.data) : version.len };

	(void)n;
	return sync_tell(h->g,
	                 (struct sync_told){ .what = "received", .at_us = v[1].i, .site = "central",
	                                     .text = sync_say(&h->g->x->arena, "applied here as version %.*s, made at %s%.*s", SYNC_VIEW(version),
	                                                      sync_view_is(site, "0") ? "central" : "site ",
	                                                      sync_view_is(site, "0") ? 0 : (int)site.len, site.data) },
	                 err);
}

static enum sync_status tell_verdict(void *ctx, const struct sync_value *v, size_t n, struct sync_error *err)
{
	struct here *h = ctx;

	(void)n;
	return sync_tell(h->g,
	                 (struct sync_told){ .what = "verdict", .at_us = v[3].i, .site = "central", .code = sync_explain_text(h->g, &v[1]),
	                                     .text = sync_say(&h->g->x->arena, "central said: %.*s: %.*s", SYNC_VIEW(v[0].s),
	                                                      SYNC_VIEW(v[2].s)) },
	                 err);
}

/* Nothing here says where it is from: what arrived is not logged record by record. */
static enum sync_status tell_origin(const struct here *h, struct sync_error *err)
{
	if (!h->g->exists || h->g->x->n_told > 0)
		return SYNC_OK;
	return sync_tell(h->g, (struct sync_told){ .what = "received", .site = "central", .text = "came from central, and was not edited here" },
	                 err);
}

enum sync_status sync_explain_local(struct sync_explaining *g, struct sync_error *err)
{
	static const char edit[] = "SELECT seq, action, at_us FROM sync_changelog WHERE entity = $1 AND record_id = $2";
	static const char version[] = "SELECT version, received_us FROM sync_version WHERE entity = $1 AND record_id = $2";
	static const char verdicts[] =
		"SELECT kind, code, text, at_us FROM sync_verdict WHERE entity = $1 AND record_id = $2 AND site_id = 0 ORDER BY n";
	struct here h = { .g = g };

	TRY(sync_link_get(g->db, &h.link, err));
	TRY(sync_db_run(g->db, edit, SYNC_ARGS(sync_string(g->entity), sync_string(g->id)), tell_edit, &h, err));
	TRY(sync_db_run(g->db, version, SYNC_ARGS(sync_string(g->entity), sync_string(g->id)), tell_version, &h, err));
	TRY(sync_db_run(g->db, verdicts, SYNC_ARGS(sync_string(g->entity), sync_string(g->id)), tell_verdict, &h, err));
	return tell_origin(&h, err);
}

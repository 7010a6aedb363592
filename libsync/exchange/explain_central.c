#include "exchange/explain.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/internal.h"
#include "db/outbox.h"
#include "exchange/lot.h"

/* What central keeps of a record's way: versions, the queue, decisions, verdicts, the outbox' routing, the log of exchanges. */

/* versions, which only records that any site may edit have */

/* The site that a version, "SITE.BRANCH.SEQ", was made at. */
static int64_t maker(const struct sync_value *version)
{
	char text[24] = "";

	memcpy(text, version->s.data, version->s.len < sizeof text - 1 ? version->s.len : sizeof text - 1);
	return strtoll(text, NULL, 10);
}

/* Between when it was written and when it was applied, whatever the clocks of the log say. */
static enum sync_status tell_pushed(struct sync_explaining *g, int64_t site_id, int64_t written_us, int64_t at_us, struct sync_error *err)
{
	int64_t pushed_us, records;

	if (site_id <= 0 || !at_us)
		return SYNC_OK;
	TRY(sync_explain_pushed(g, site_id, at_us, &pushed_us, &records, err));
	if (!pushed_us)
		return SYNC_OK;
	pushed_us = pushed_us < written_us ? written_us : pushed_us;
	return sync_tell(g,
	                 (struct sync_told){ .what = "pushed",
	                                     .at_us = pushed_us < at_us ? pushed_us : at_us,
	                                     .site = sync_explain_site(g, site_id),
	                                     .text = sync_say(&g->x->arena, "reached central with an exchange that pushed %" PRId64 " record%s",
	                                                      records, plural(records)) },
	                 err);
}

static enum sync_status tell_version(void *ctx, const struct sync_value *v, size_t n, struct sync_error *err)
{
	struct sync_explaining *g = ctx;
	int64_t site = maker(&v[0]), edited_us = v[1].i, received_us = v[2].i;
	bool deleted = v[4].i != 0;
	const char *name = sync_explain_site(g, site);

	(void)n;
	if (deleted && !g->exists)
		g->x->state = "deleted";
	TRY(sync_tell(g,
	              (struct sync_told){ .what = "written", .at_us = edited_us, .site = name,
	                                  .text = sync_say(&g->x->arena, "%s (version %.*s; created at %s)", deleted ? "deleted" : "written",
	                                                   SYNC_VIEW(v[0].s), sync_explain_site(g, v[3].i)) },
	              err));
	if (!site)
		return SYNC_OK;
	TRY(tell_pushed(g, site, edited_us, received_us, err));
	return sync_tell(g, (struct sync_told){ .what = "received", .at_us = received_us, .site = name, .text = "received and applied at central" },
	                 err);
}

static enum sync_status tell_had(void *ctx, const struct sync_value *v, size_t n, struct sync_error *err)
{
	struct sync_explaining *g = ctx;

	(void)n;
	return sync_tell(g,
	                 (struct sync_told){ .what = "received", .at_us = v[1].i, .site = sync_explain_site(g, maker(&v[0])),
	                                     .text = sync_say(&g->x->arena, "central had version %.*s, which another has replaced since",
	                                                      SYNC_VIEW(v[0].s)) },
	                 err);
}

static enum sync_status explain_versions(struct sync_explaining *g, struct sync_error *err)
{
	static const char present[] = "SELECT version, edited_us, received_us, creator, deleted FROM sync_version"
				      "    WHERE entity = $1 AND record_id = $2";
	static const char had[] = "SELECT s.version, s.at_us FROM sync_seen s WHERE s.entity = $1 AND s.record_id = $2 AND NOT EXISTS ("
				  "    SELECT 1 FROM sync_version v WHERE v.entity = s.entity AND v.record_id = s.record_id"
				  "        AND v.version = s.version) ORDER BY s.at_us";

	TRY(sync_db_run(g->db, had, SYNC_ARGS(sync_string(g->entity), sync_string(g->id)), tell_had, g, err));
	return sync_db_run(g->db, present, SYNC_ARGS(sync_string(g->entity), sync_string(g->id)), tell_version, g, err);
}

/* the queue */

static enum sync_status tell_queued(void *ctx, const struct sync_value *v, size_t n, struct sync_error *err)
{
	struct sync_explaining *g = ctx;
	const char *what = sync_view_is(v[0].s, "R")   ? "is to be sent to this site again, and is not yet routed"
	                   : sync_view_is(v[0].s, "D") ? "deleted, and not yet routed"
	                                               : "changed, and not yet routed";

	(void)n;
	return sync_tell(g, (struct sync_told){ .what = "queued", .at_us = v[2].i, .site = sync_explain_site(g, v[1].i), .text = what }, err);
}

static enum sync_status explain_queue(struct sync_explaining *g, struct sync_error *err)
{
	static const char queued[] = "SELECT action, source, at_us FROM sync_changelog WHERE entity = $1 AND record_id = $2 ORDER BY seq";

	return sync_db_run(g->db, queued, SYNC_ARGS(sync_string(g->entity), sync_string(g->id)), tell_queued, g, err);
}

/* what a person decides, and what sites were told */

static const char *meaning(struct sync_view kind)
{
	static const char *const meanings[][2] = {
		{ "quarantine", "an edit that the site may not make was kept apart" },
		{ "grant", "the site asked to see another's record" },
		{ "conflict", "the older of two edits was kept as a copy" },
		{ "recovered", "a version that central lost was offered back" },
	};

	for (size_t i = 0; i < COUNT(meanings); i++)
		if (sync_view_is(kind, meanings[i][0]))
			return meanings[i][1];
	return "kept for a person";
}

static enum sync_status tell_decision(void *ctx, const struct sync_value *v, size_t n, struct sync_error *err)
{
	struct sync_explaining *g = ctx;
	const char *site = sync_explain_site(g, v[2].i), *code = sync_explain_text(g, &v[3]);
	const char *verdict = sync_explain_text(g, &v[7]);
	bool done = v[6].kind == SYNC_INT;

	(void)n;
	TRY(sync_tell(g,
	              (struct sync_told){ .what = "decision", .at_us = v[5].i, .site = site, .code = code,
	                                  .text = sync_say(&g->x->arena, "%s: %.*s%s", meaning(v[1].s), SYNC_VIEW(v[4].s),
	                                                   done ? ""
	                                                        : sync_say(&g->x->arena, ": waits for a person: central waiting accept %" PRId64
	                                                                                 ", or discard", v[0].i)) },
	              err));
	if (!done)
		return SYNC_OK;
	return sync_tell(g,
	                 (struct sync_told){ .what = "decision", .at_us = v[6].i, .site = "central", .code = code,
	                                     .text = sync_say(&g->x->arena, "a person %s what site '%s' had sent",
	                                                      verdict[0] ? verdict : "decided on", site) },
	                 err);
}

static enum sync_status tell_verdict(void *ctx, const struct sync_value *v, size_t n, struct sync_error *err)
{
	struct sync_explaining *g = ctx;
	bool stored = v[5].i != 0;

	(void)n;
	return sync_tell(g,
	                 (struct sync_told){ .what = "verdict", .at_us = v[4].i, .site = sync_explain_site(g, v[0].i),
	                                     .code = sync_explain_text(g, &v[2]),
	                                     .text = sync_say(&g->x->arena, "the site %s told: %.*s: %.*s", stored ? "was" : "is to be",
	                                                      SYNC_VIEW(v[1].s), SYNC_VIEW(v[3].s)) },
	                 err);
}

static enum sync_status explain_decisions(struct sync_explaining *g, struct sync_error *err)
{
	static const char decisions[] = "SELECT id, kind, site_id, code, text, at_us, done_us, verdict FROM sync_waiting"
					"    WHERE entity = $1 AND record_id = $2 ORDER BY id";
	static const char verdicts[] =
		"SELECT v.site_id, v.kind, v.code, v.text, v.at_us, CASE WHEN v.n <= s.verdict_seen THEN 1 ELSE 0 END"
		"    FROM sync_verdict v JOIN sync_site s ON s.site_id = v.site_id"
		"    WHERE v.entity = $1 AND v.record_id = $2 ORDER BY v.at_us, v.n";

	TRY(sync_db_run(g->db, decisions, SYNC_ARGS(sync_string(g->entity), sync_string(g->id)), tell_decision, g, err));
	return sync_db_run(g->db, verdicts, SYNC_ARGS(sync_string(g->entity), sync_string(g->id)), tell_verdict, g, err);
}

/* routing */

/* The last change that was routed, and by whom it was made. */
struct routed {
	struct sync_explaining *g;
	int64_t at_us, source;
	int64_t sites;  /* that it was routed to */
	bool everybody, deleted;
};

static enum sync_status take_routed(void *ctx, const struct sync_value *v, size_t n, struct sync_error *err)
{
	struct routed *r = ctx;

	(void)n, (void)err;
	r->deleted |= sync_view_is(v[1].s, "D");
	r->everybody |= v[0].i == 0;
	r->sites += v[0].i > 0 && sync_view_is(v[1].s, "P");
	if (v[3].i > r->at_us)
		r->at_us = v[3].i;
	if (v[2].i != SYNC_NOBODY)
		r->source = v[2].i;
	return SYNC_OK;
}

static const char *to_whom(const struct routed *r)
{
	struct sync_arena *arena = &r->g->x->arena;

	if (r->deleted && !r->g->exists)
		return "its deletion was routed to all who had it";
	if (r->everybody)
		return "routed to every site";
	return r->sites ? sync_say(arena, "routed to %" PRId64 " site%s", r->sites, plural(r->sites)) : "routed: whoever had it is told to drop it";
}

/* Of other entities than those with versions, who made the last change is known by the outbox alone. */
static enum sync_status explain_routing(struct sync_explaining *g, struct sync_error *err)
{
	static const char rows[] =
		"SELECT o.site_id, o.action, o.source, coalesce((SELECT min(r.at_us) FROM sync_routing r WHERE r.seq = ("
		"        SELECT min(q.seq) FROM sync_routing q WHERE q.seq >= o.seq)), 0)"
		"    FROM sync_outbox o WHERE o.entity = $1 AND o.record_id = $2"
		"    AND (o.site_id = 0 OR o.site_id IN (SELECT site_id FROM sync_site)) ORDER BY o.seq";
	struct routed r = { .g = g, .source = SYNC_NOBODY };
	bool versioned = g->x->n_told > 0;

	TRY(sync_db_run(g->db, rows, SYNC_ARGS(sync_string(g->entity), sync_string(g->id)), take_routed, &r, err));
	if (!r.everybody && !r.sites && !r.at_us && !r.deleted)
		return SYNC_OK;
	if (r.deleted && !g->exists)
		g->x->state = "deleted";
	if (!versioned && r.source >= 0) {
		TRY(sync_tell(g,
		              (struct sync_told){ .what = "written", .site = sync_explain_site(g, r.source),
		                                  .text = r.deleted && !g->exists ? "deleted there" : "its last change was made there" },
		              err));
		TRY(tell_pushed(g, r.source, 0, r.at_us, err));
	}
	return sync_tell(g, (struct sync_told){ .what = "routed", .at_us = r.at_us, .site = "central", .text = to_whom(&r) }, err);
}

/* What is stored as it came, and not looked into yet: it may have a newer edit. */
enum sync_status sync_explain_spool(struct sync_explaining *g, struct sync_error *err)
{
	for (size_t i = 0; i < g->n_sites; i++) {
		const struct sync_site *s = &g->site[i];

		if (!s->spooled || (g->only && g->only != s))
			continue;
		TRY(sync_tell(g,
		              (struct sync_told){ .what = "spooled", .site = s->name,
		                                  .text = sync_say(&g->x->arena,
		                                                   "%" PRId64 " request%s of the site %s stored at central and not yet applied, and may "
		                                                   "have more of it", s->spooled, plural(s->spooled), s->spooled == 1 ? "is" : "are") },
		              err));
	}
	return SYNC_OK;
}

enum sync_status sync_explain_central(struct sync_explaining *g, struct sync_error *err)
{
	TRY(explain_versions(g, err));
	TRY(explain_routing(g, err));
	TRY(explain_queue(g, err));
	return explain_decisions(g, err);
}

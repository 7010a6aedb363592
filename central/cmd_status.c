#include "central.h"
#include "report.h"
#include "table.h"

#include <inttypes.h>
#include <stdio.h>

#include <libsync/time.h>

enum { SHOWN = 50 /* records that wait, to people */ };

static enum sync_status recovery_json(struct sync_db *db, struct sync_buf *b, struct sync_error *err)
{
	struct sync_recovery r;

	TRY(sync_recovered_count(db, &r, err));
	sync_show_open(b, "recovered", '{');
	sync_show_time(b, "lost_seen", r.seen_us);
	sync_show_int(b, "sites_healed", r.sites);
	sync_show_int(b, "sites_missing", r.missing);
	sync_show_int(b, "waiting", r.open);
	sync_show_close(b, '}');
	return SYNC_OK;
}

/* Nothing as long as central has lost nothing, or has it back. */
static enum sync_status recovery_text(struct sync_db *db, struct sync_buf *b, struct sync_error *err)
{
	struct sync_recovery r;
	char at[21];

	TRY(sync_recovered_count(db, &r, err));
	if (!r.seen_us)
		return SYNC_OK;
	sync_time_text(at, r.seen_us);
	sync_buf_addf(b, "\ncentral lost history, as was first seen %s: %" PRId64 " site%s healed, %" PRId64 " record%s in central recovered", at,
	              r.sites, r.sites == 1 ? " has" : "s have", r.open, r.open == 1 ? " waits" : "s wait");
	if (r.missing)
		sync_buf_addf(b, ", %" PRId64 " site%s not here since", r.missing, r.missing == 1 ? " was" : "s were");
	sync_buf_add_char(b, '\n');
	return SYNC_OK;
}

static enum sync_status status_json(struct sync_db *db, const struct sites *sites, int64_t most, struct sync_buf *b,
                                    struct sync_error *err)
{
	struct sync_trouble troubles[2];
	int64_t checked_us;

	TRY(sync_db_checked(db, &checked_us, err));
	sync_show_open(b, NULL, '{');
	sync_show_bool(b, "ok", true);
	sync_show_text(b, "version", sync_view_of(SYNC_VERSION));
	sync_show_int(b, "schema", SYNC_SCHEMA_VERSION);
	sync_show_text(b, "database", sync_view_of(sync_db_url(db)));
	sync_show_time(b, "checked", checked_us);
	sync_trouble_list(b, troubles, central_troubles(sync_db_url(db), troubles));
	sync_show_int(b, "waiting_max", most);
	sync_show_open(b, "sites", '[');
	for (size_t i = 0; i < sites->n; i++) {
		sync_show_open(b, NULL, '{');
		TRY(site_show(db, &sites->site[i], b, err));
		sync_show_close(b, '}');
	}
	sync_show_close(b, ']');
	sync_show_open(b, "waiting", '[');
	TRY(sync_inbox_each(db, sync_inbox_json, b, err));
	sync_show_close(b, ']');
	TRY(recovery_json(db, b, err));
	sync_show_open(b, "decisions", '[');
	TRY(sync_waiting_each(db, waiting_json, b, err));
	sync_show_close(b, ']');
	sync_show_close(b, '}');
	return SYNC_OK;
}

/* "3", or "10000, full": what would add to it is not taken. */
static void waiting_text(char ret[static 32], const struct figures *f, int64_t most)
{
	snprintf(ret, 32, "%" PRId64 "%s", f->waiting + f->decisions, f->waiting >= most || f->decisions >= most ? ", full" : "");
}

static enum sync_status sites_text(struct sync_db *db, const struct sites *sites, int64_t most, struct sync_buf *b, struct sync_error *err)
{
	static const char *const heads[] = { "SITE", "STATE", "LAST SEEN", "TO SITE", "FROM SITE", "TO INTEGRATE", "WAITING", "VERSION",
		                             "LAST EXCHANGE", NULL };
	defer(table_clear) struct table t;

	table_open(&t, heads);
	for (size_t i = 0; i < sites->n; i++) {
		const struct sync_site *s = &sites->site[i];
		char pending[24], waiting[32], text[300];
		struct figures f;

		TRY(figures_get(db, s, &f, err));
		pending_text(pending, f.pending);
		waiting_text(waiting, &f, most);
		exchanged_text(text, sizeof text, &f, true);
		table_text(&t, s->name);
		table_text(&t, site_state(s));
		table_time(&t, s->last_seen_us);
		table_text(&t, pending);
		table_int(&t, s->unpushed);
		table_int(&t, s->spooled);
		table_text(&t, waiting);
		table_text(&t, s->version);
		table_text(&t, text);
	}
	table_write(&t, b);
	return SYNC_OK;
}

/* At most SHOWN of what waits; all are counted. */
struct shown {
	struct sync_buf *b;
	const struct sites *sites;
	int64_t n;
};

static enum sync_status inbox_text(void *ctx, const struct sync_value *v, size_t n, struct sync_error *err)
{
	struct shown *s = ctx;
	size_t from = s->b->len;

	(void)n;
	if (s->n++ >= SHOWN)
		return SYNC_OK;
	sync_buf_addf(s->b, "  from %s: %.*s %.*s: %.*s: %.*s", sites_name(s->sites, v[0].i), SYNC_VIEW(v[1].s), SYNC_VIEW(v[2].s),
	              SYNC_VIEW(v[3].s), SYNC_VIEW(v[7].s));
	sync_show_plain(s->b, from);
	sync_buf_add_char(s->b, '\n');
	return sync_buf_check(s->b, err);
}

static enum sync_status decision_text(void *ctx, const struct sync_waiting *w, struct sync_error *err)
{
	struct shown *s = ctx;
	size_t from = s->b->len;

	if (s->n++ >= SHOWN)
		return SYNC_OK;
	sync_buf_addf(s->b, "  %" PRId64 ": %s from %s: %s %s: %s: %s", w->id, w->kind, w->site, w->entity, w->record_id, w->code, w->text);
	sync_show_plain(s->b, from);
	sync_buf_add_char(s->b, '\n');
	return sync_buf_check(s->b, err);
}

static void add_rest(const struct shown *s)
{
	if (s->n > SHOWN)
		sync_buf_addf(s->b, "  and %" PRId64 " more: --json shows all\n", s->n - SHOWN);
}

static enum sync_status status_text(struct sync_db *db, const struct sites *sites, int64_t most, struct sync_buf *b,
                                    struct sync_error *err)
{
	defer(sync_buf_clear) struct sync_buf list = { .max = MAX_REPORT };
	struct shown inbox = { .b = &list, .sites = sites }, decisions = { .b = &list };
	struct sync_trouble troubles[2];
	size_t n = central_troubles(sync_db_url(db), troubles);

	sync_buf_addf(b, "central %s, schema %d, %s\n", SYNC_VERSION, SYNC_SCHEMA_VERSION, sync_db_url(db));
	for (size_t i = 0; i < n; i++)
		sync_trouble_text(b, &troubles[i]);
	sync_buf_add_char(b, '\n');
	TRY(sites_text(db, sites, most, b, err));
	TRY(sync_inbox_each(db, inbox_text, &inbox, err));
	add_rest(&inbox);
	sync_buf_addf(b, "\n\n%" PRId64 " record%s waiting for something to arrive\n", inbox.n, plural(inbox.n));
	sync_buf_add_view(b, sync_buf_view(&list));
	sync_buf_reset(&list);
	TRY(sync_waiting_each(db, decision_text, &decisions, err));
	add_rest(&decisions);
	TRY(recovery_text(db, b, err));
	sync_buf_addf(b, "\n%" PRId64 " edit%s waiting for a person: central waiting accept ID, or discard ID\n", decisions.n, plural(decisions.n));
	sync_buf_add_view(b, sync_buf_view(&list));
	b->len -= b->len > 0 && b->data[b->len - 1] == '\n';
	return SYNC_OK;
}

enum sync_status cmd_status(const struct sync_call *call, struct sync_error *err)
{
	const struct central_settings *s = call->settings;
	defer(sync_db_closep) struct sync_db *db = NULL;
	defer(sites_clear) struct sites sites = { 0 };
	defer(sync_buf_clear) struct sync_buf b = { .max = MAX_REPORT };

	TRY(central_open(&db, call, false, err));
	TRY(sites_get(db, &sites, err));
	TRY((call->json ? status_json : status_text)(db, &sites, s->waiting_max, &b, err));
	return sync_show_print(&b, err);
}

#include "central.h"
#include "report.h"
#include "table.h"

#include <inttypes.h>
#include <stdio.h>

#include <libsync/time.h>

/* The secret stands alone on standard output, so that a shell can redirect it to a file. */
static enum sync_status print_secret(const struct sync_call *call, const char *name, const char *secret, struct sync_error *err)
{
	defer(sync_buf_clear) struct sync_buf b = { .max = MAX_REPORT };

	if (call->json) {
		sync_show_open(&b, NULL, '{');
		sync_show_bool(&b, "ok", true);
		sync_show_text(&b, "site", sync_view_of(name));
		sync_show_text(&b, "secret", sync_view_of(secret));
		sync_show_close(&b, '}');
	} else {
		fprintf(stderr, "The secret of site '%s' is good for one installation and is not shown again:\n", name);
		sync_buf_add_text(&b, secret);
	}
	return sync_show_print(&b, err);
}

enum sync_status cmd_site_add(const struct sync_call *call, struct sync_error *err)
{
	const struct central_settings *s = call->settings;
	defer(sync_db_closep) struct sync_db *db = NULL;
	char secret[30];
	int64_t site_id;

	TRY(central_edit(&db, call, false, err));
	TRY(sync_site_add(db, call->args[0], s->store.at, s->store.n, secret, &site_id, err));
	return print_secret(call, call->args[0], secret, err);
}

enum sync_status cmd_site_reset(const struct sync_call *call, struct sync_error *err)
{
	defer(sync_db_closep) struct sync_db *db = NULL;
	char secret[30];

	TRY(central_edit(&db, call, false, err));
	TRY(sync_site_reset(db, call->args[0], secret, err));
	return print_secret(call, call->args[0], secret, err);
}

enum sync_status cmd_site_keep(const struct sync_call *call, struct sync_error *err)
{
	defer(sync_db_closep) struct sync_db *db = NULL;

	TRY(central_open(&db, call, false, err));
	TRY(sync_site_keep(db, call->args[0], call->args[1], err));
	return report_done("site", call->args[0], "goes on: the other copy of its database is refused from now on", call->json, err);
}

enum sync_status cmd_site_revoke(const struct sync_call *call, struct sync_error *err)
{
	defer(sync_db_closep) struct sync_db *db = NULL;

	TRY(central_edit(&db, call, false, err));
	TRY(sync_site_revoke(db, call->args[0], err));
	return report_done("site", call->args[0], "revoked: central refuses this site from now on", call->json, err);
}

static void list_json(const struct sites *sites, struct sync_buf *b)
{
	sync_show_open(b, NULL, '{');
	sync_show_bool(b, "ok", true);
	sync_show_open(b, "sites", '[');
	for (size_t i = 0; i < sites->n; i++) {
		const struct sync_site *s = &sites->site[i];

		sync_show_open(b, NULL, '{');
		sync_show_text(b, "name", sync_view_of(s->name));
		sync_show_int(b, "site_id", s->site_id);
		sync_show_text(b, "state", sync_view_of(site_state(s)));
		sync_show_time(b, "last_seen", s->last_seen_us);
		sync_show_text(b, "version", sync_view_of(s->version));
		sync_show_close(b, '}');
	}
	sync_show_close(b, ']');
	sync_show_close(b, '}');
}

static void list_text(const struct sites *sites, struct sync_buf *b)
{
	static const char *const heads[] = { "SITE", "ID", "STATE", "LAST SEEN", "VERSION", NULL };
	defer(table_clear) struct table t;

	table_open(&t, heads);
	for (size_t i = 0; i < sites->n; i++) {
		const struct sync_site *s = &sites->site[i];

		table_text(&t, s->name);
		table_int(&t, s->site_id);
		table_text(&t, site_state(s));
		table_time(&t, s->last_seen_us);
		table_text(&t, s->version);
	}
	table_write(&t, b);
}

enum sync_status cmd_site_list(const struct sync_call *call, struct sync_error *err)
{
	defer(sync_db_closep) struct sync_db *db = NULL;
	defer(sites_clear) struct sites sites = { 0 };
	defer(sync_buf_clear) struct sync_buf b = { .max = MAX_REPORT };

	TRY(central_open(&db, call, false, err));
	TRY(sites_get(db, &sites, err));
	(call->json ? list_json : list_text)(&sites, &b);
	return sync_show_print(&b, err);
}

static enum sync_status store_json(void *ctx, const struct sync_value *v, size_t n, struct sync_error *err)
{
	struct sync_buf *b = ctx;

	(void)n, (void)err;
	sync_show_open(b, NULL, '{');
	sync_show_text(b, "id", v[0].s);
	sync_show_text(b, "code", v[1].s);
	sync_show_text(b, "name", v[2].s);
	sync_show_int(b, "moves_to", v[3].i);
	sync_show_close(b, '}');
	return SYNC_OK;
}

/* Where stores are listed, and what their next sites are called. */
struct listing {
	struct sync_buf *b;
	struct sites sites;
};

static enum sync_status store_text(void *ctx, const struct sync_value *v, size_t n, struct sync_error *err)
{
	const struct listing *l = ctx;
	struct sync_buf *b = l->b;
	size_t from = b->len;

	(void)n;
	sync_buf_addf(b, "store      %.*s %.*s (%.*s)", SYNC_VIEW(v[1].s), SYNC_VIEW(v[2].s), SYNC_VIEW(v[0].s));
	if (v[3].i)
		sync_buf_addf(b, ", waits to move to site '%s'", sites_name(&l->sites, v[3].i));
	sync_show_plain(b, from);
	sync_buf_add_char(b, '\n');
	return sync_buf_check(b, err);
}

static enum sync_status list_stores(struct sync_db *db, int64_t site_id, struct sync_buf *b, struct sync_error *err)
{
	struct listing l = { .b = b };
	enum sync_status status = sites_get(db, &l.sites, err);

	if (status == SYNC_OK)
		status = sync_site_stores(db, site_id, store_text, &l, err);
	sites_clear(&l.sites);
	return status;
}

static enum sync_status show_json(struct sync_db *db, const struct sync_site *s, struct sync_buf *b, struct sync_error *err)
{
	sync_show_open(b, NULL, '{');
	sync_show_bool(b, "ok", true);
	TRY(site_show(db, s, b, err));
	sync_show_open(b, "stores", '[');
	TRY(sync_site_stores(db, s->site_id, store_json, b, err));
	sync_show_close(b, ']');
	sync_show_close(b, '}');
	return SYNC_OK;
}

static void add_time(struct sync_buf *b, const char *label, int64_t at_us)
{
	char text[21] = "never";

	if (at_us)
		sync_time_text(text, at_us);
	sync_buf_addf(b, "%s%s\n", label, text);
}

static enum sync_status show_text(struct sync_db *db, const struct sync_site *s, struct sync_buf *b, struct sync_error *err)
{
	char pending[24], text[300];
	struct figures f;

	TRY(figures_get(db, s, &f, err));
	pending_text(pending, f.pending);
	exchanged_text(text, sizeof text, &f, false);
	sync_buf_addf(b, "site       %s (%" PRId64 "), %s\n", s->name, s->site_id, site_state(s));
	add_time(b, "created    ", s->created_us);
	add_time(b, "last seen  ", s->last_seen_us);
	sync_buf_addf(b, "exchange   %s\n", text);
	sync_buf_addf(b, "pending    %s record%s to this site, %" PRId64 " from it, %" PRId64 " request%s to integrate\n", pending,
	              plural(f.pending), s->unpushed, s->spooled, plural(s->spooled));
	sync_buf_addf(b, "waiting    %" PRId64 " record%s of it for something to arrive, %" PRId64 " edit%s for a person\n", f.waiting,
	              plural(f.waiting), f.decisions, plural(f.decisions));
	sync_buf_addf(b, "version    %s, schema %" PRId64 "\n", s->version[0] ? s->version : "unknown", s->schema);
	TRY(list_stores(db, s->site_id, b, err));
	if (b->len > 0 && b->data[b->len - 1] == '\n')
		b->len--;
	return SYNC_OK;
}

enum sync_status cmd_site_show(const struct sync_call *call, struct sync_error *err)
{
	defer(sync_db_closep) struct sync_db *db = NULL;
	defer(sync_buf_clear) struct sync_buf b = { .max = MAX_REPORT };
	struct sync_site s;

	TRY(central_open(&db, call, false, err));
	TRY(sync_site_find(db, call->args[0], &s, err));
	TRY((call->json ? show_json : show_text)(db, &s, &b, err));
	return sync_show_print(&b, err);
}

#include "report.h"
#include "table.h"

#include <inttypes.h>
#include <stdio.h>

#include <libsync/command.h>

#include "base/internal.h"

static enum sync_status take(void *ctx, const struct sync_site *s, struct sync_error *err)
{
	struct sites *sites = ctx;

	if (sites->n == sites->cap) {
		size_t cap = sites->cap ? sites->cap * 2 : 64;
		struct sync_site *more = reallocarray(sites->site, cap, sizeof *more);

		if (!more)
			return sync_fail(err, SYNC_ENOMEM, "%zu sites", cap);
		sites->site = more;
		sites->cap = cap;
	}
	sites->site[sites->n++] = *s;
	return SYNC_OK;
}

enum sync_status sites_get(struct sync_db *db, struct sites *ret, struct sync_error *err)
{
	return sync_site_each(db, take, ret, err);
}

const char *sites_name(const struct sites *s, int64_t site_id)
{
	for (size_t i = 0; i < s->n; i++)
		if (s->site[i].site_id == site_id)
			return s->site[i].name;
	return site_id ? "?" : "central";
}

void sites_clear(struct sites *s)
{
	free(s->site);
	*s = (struct sites){ 0 };
}

const char *site_state(const struct sync_site *s)
{
	if (s->revoked || !s->installation[0])
		return s->revoked ? "revoked" : "new";
	return s->copied ? "copied" : !s->loaded ? "loading" : s->lapsed ? "lapsed" : "ok";
}

enum sync_status figures_get(struct sync_db *db, const struct sync_site *s, struct figures *ret, struct sync_error *err)
{
	*ret = (struct figures){ 0 };
	TRY(sync_site_pending(db, s, PENDING_LIMIT, &ret->pending, err));
	TRY(sync_waiting_count(db, s->site_id, INT64_MAX, &ret->waiting, &ret->decisions, err));
	return sync_exchanged_last(db, s->site_id, &ret->last, &ret->exchanged, err);
}

enum sync_status site_show(struct sync_db *db, const struct sync_site *s, struct sync_buf *b, struct sync_error *err)
{
	struct figures f;

	TRY(figures_get(db, s, &f, err));
	sync_show_text(b, "name", sync_view_of(s->name));
	sync_show_int(b, "site_id", s->site_id);
	sync_show_text(b, "state", sync_view_of(site_state(s)));
	sync_show_bool(b, "secret_unused", s->secret);
	sync_show_time(b, "created", s->created_us);
	sync_show_time(b, "last_seen", s->last_seen_us);
	sync_show_text(b, "version", sync_view_of(s->version));
	sync_show_int(b, "schema", s->schema);
	sync_show_int(b, "pending", f.pending);
	sync_show_int(b, "unpushed", s->unpushed);
	sync_show_int(b, "spooled", s->spooled);
	sync_show_int(b, "waiting", f.waiting);
	sync_show_int(b, "decisions", f.decisions);
	sync_show_int(b, "pushed_upto", s->stored.seq);
	sync_show_int(b, "integrated_upto", s->integrated);
	if (f.exchanged)
		sync_exchanged_json(b, &f.last);
	else
		sync_show_null(b, "last_exchange");
	return SYNC_OK;
}

void waiting_cells(struct table *t, const struct sync_waiting *w)
{
	table_text(t, w->site);
	table_text(t, w->entity);
	table_text(t, w->record_id);
	table_text(t, w->code);
	table_time(t, w->at_us);
	table_text(t, w->text);
}

enum sync_status waiting_json(void *ctx, const struct sync_waiting *w, struct sync_error *err)
{
	const struct {
		const char *key, *text;
	} texts[] = { { "kind", w->kind }, { "site", w->site }, { "entity", w->entity }, { "record_id", w->record_id },
		      { "code", w->code }, { "field", w->field }, { "text", w->text } };
	struct sync_buf *b = ctx;

	sync_show_open(b, NULL, '{');
	sync_show_int(b, "id", w->id);
	for (size_t i = 0; i < COUNT(texts); i++)
		sync_show_text(b, texts[i].key, sync_view_of(texts[i].text));
	sync_show_time(b, "at", w->at_us);
	sync_show_close(b, '}');
	return sync_buf_check(b, err);
}

void exchanged_text(char *ret, size_t size, const struct figures *f, bool brief)
{
	const struct sync_exchanged *x = &f->last;

	if (!f->exchanged)
		snprintf(ret, size, "none with records");
	else if (x->code != SYNC_OK)
		snprintf(ret, size, "%s: %s", sync_status_name(x->code), brief ? sync_status_text(x->code) : x->text);
	else
		snprintf(ret, size, "%" PRId64 " up, %" PRId64 " down, %" PRId64 " bytes in, %" PRId64 " out", x->pushed, x->pulled, x->bytes_in,
		         x->bytes_out);
}

void pending_text(char ret[static 24], int64_t n)
{
	snprintf(ret, 24, "%" PRId64 "%s", n, n >= PENDING_LIMIT ? "+" : "");
}

enum sync_status report_done(const char *key, const char *value, const char *text, bool json, struct sync_error *err)
{
	defer(sync_buf_clear) struct sync_buf b = { .max = MAX_REPORT };

	if (json) {
		sync_show_open(&b, NULL, '{');
		sync_show_bool(&b, "ok", true);
		sync_show_text(&b, key, sync_view_of(value));
		sync_show_text(&b, "text", sync_view_of(text));
		sync_show_close(&b, '}');
	} else {
		sync_buf_add_text(&b, text);
	}
	return sync_show_print(&b, err);
}

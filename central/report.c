#include "report.h"

#include <inttypes.h>
#include <stdio.h>

#include <libsync/command.h>
#include <libsync/time.h>

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
	return s->revoked ? "revoked" : !s->installation[0] ? "new" : !s->loaded ? "loading" : "ok";
}

static void show_time(struct sync_buf *b, const char *key, int64_t at_us)
{
	char text[21];

	if (!at_us) {
		sync_show_null(b, key);
		return;
	}
	sync_time_text(text, at_us);
	sync_show_text(b, key, sync_view_of(text));
}

static void show_exchanged(struct sync_buf *b, const struct sync_exchanged *x)
{
	sync_show_open(b, "last_exchange", '{');
	show_time(b, "at", x->at_us);
	sync_show_int(b, "ms", x->ms);
	sync_show_int(b, "pushed", x->pushed);
	sync_show_int(b, "pulled", x->pulled);
	sync_show_int(b, "bytes_in", x->bytes_in);
	sync_show_int(b, "bytes_out", x->bytes_out);
	sync_show_text(b, "code", sync_view_of(sync_status_name(x->code)));
	sync_show_text(b, "text", sync_view_of(x->text));
	sync_show_close(b, '}');
}

enum sync_status site_show(struct sync_db *db, const struct sync_site *s, struct sync_buf *b, struct sync_error *err)
{
	struct sync_exchanged last = { 0 };
	int64_t pending;
	bool found;

	TRY(sync_site_pending(db, s, PENDING_LIMIT, &pending, err));
	TRY(sync_exchanged_last(db, s->site_id, &last, &found, err));
	sync_show_text(b, "name", sync_view_of(s->name));
	sync_show_int(b, "site_id", s->site_id);
	sync_show_text(b, "state", sync_view_of(site_state(s)));
	sync_show_bool(b, "secret_unused", s->secret);
	show_time(b, "created", s->created_us);
	show_time(b, "last_seen", s->last_seen_us);
	sync_show_text(b, "version", sync_view_of(s->version));
	sync_show_int(b, "schema", s->schema);
	sync_show_int(b, "pending", pending);
	sync_show_int(b, "unpushed", s->unpushed);
	sync_show_int(b, "spooled", s->spooled);
	sync_show_int(b, "pushed_upto", s->stored.seq);
	sync_show_int(b, "integrated_upto", s->integrated);
	if (found)
		show_exchanged(b, &last);
	else
		sync_show_null(b, "last_exchange");
	return SYNC_OK;
}

void exchanged_text(char *ret, size_t size, const struct sync_exchanged *x, bool found)
{
	if (!found)
		snprintf(ret, size, "none with records");
	else if (x->code != SYNC_OK)
		snprintf(ret, size, "%s: %s", sync_status_name(x->code), x->text);
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

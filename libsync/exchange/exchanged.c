#include <libsync/site.h>

#include <stdio.h>

#include <libsync/command.h>

#include "base/internal.h"

struct last {
	struct sync_exchanged *x;
	bool found;
};

static void take_text(char *ret, size_t size, const struct sync_value *v)
{
	if (v->kind == SYNC_STRING)
		snprintf(ret, size, "%.*s", SYNC_VIEW(v->s));
}

static enum sync_status take_last(void *ctx, const struct sync_value *v, size_t n, struct sync_error *err)
{
	struct last *last = ctx;
	char code[32] = "ok";

	(void)n, (void)err;
	last->found = true;
	*last->x = (struct sync_exchanged){ .site_id = v[0].i, .at_us = v[1].i, .ms = v[2].i, .pushed = v[3].i, .pulled = v[4].i,
		                            .bytes_in = v[5].i, .bytes_out = v[6].i };
	take_text(code, sizeof code, &v[7]);
	last->x->code = sync_status_of_name(code);
	take_text(last->x->text, sizeof last->x->text, &v[8]);
	return SYNC_OK;
}

enum sync_status sync_exchanged_last(struct sync_db *db, int64_t site_id, struct sync_exchanged *ret, bool *ret_found,
                                     struct sync_error *err)
{
	static const char find[] =
		"SELECT site_id, at_us, ms, pushed, pulled, bytes_in, bytes_out, code, text FROM sync_exchange"
		"    WHERE site_id = $1 ORDER BY id DESC LIMIT 1";
	struct last last = { .x = ret };

	TRY(sync_db_run(db, find, SYNC_ARGS(sync_int(site_id)), take_last, &last, err));
	*ret_found = last.found;
	return SYNC_OK;
}

static enum sync_status put(struct sync_db *db, const struct sync_exchanged *x, struct sync_error *err)
{
	static const char insert[] =
		"INSERT INTO sync_exchange(site_id, at_us, ms, pushed, pulled, bytes_in, bytes_out, code, text)"
		"    VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)";
	bool ok = x->code == SYNC_OK;

	return sync_db_run(db, insert,
	                   SYNC_ARGS(sync_int(x->site_id), sync_int(x->at_us), sync_int(x->ms), sync_int(x->pushed), sync_int(x->pulled),
	                             sync_int(x->bytes_in), sync_int(x->bytes_out), sync_text(ok ? NULL : sync_status_name(x->code)),
	                             sync_text(ok ? NULL : x->text)),
	                   NULL, NULL, err);
}

static enum sync_status thin(struct sync_db *db, int64_t site_id, struct sync_error *err)
{
	static const char old[] =
		"DELETE FROM sync_exchange WHERE site_id = $1 AND id <="
		"    (SELECT id FROM sync_exchange WHERE site_id = $2 ORDER BY id DESC LIMIT 1 OFFSET $3)";

	return sync_db_run(db, old, SYNC_ARGS(sync_int(site_id), sync_int(site_id), sync_int(SYNC_EXCHANGES_KEPT)), NULL, NULL, err);
}

/* An empty one that went well tells nothing, unless that the failure before it is over. */
static enum sync_status tells(struct sync_db *db, const struct sync_exchanged *x, bool *ret, struct sync_error *err)
{
	struct sync_exchanged before;

	*ret = x->pushed > 0 || x->pulled > 0 || x->code != SYNC_OK;
	if (*ret)
		return SYNC_OK;
	TRY(sync_exchanged_last(db, x->site_id, &before, ret, err));
	*ret = *ret && before.code != SYNC_OK;
	return SYNC_OK;
}

static enum sync_status put_all(struct sync_db *db, const struct sync_exchanged *x, size_t n, struct sync_error *err)
{
	for (size_t i = 0; i < n; i++) {
		bool kept;

		TRY(tells(db, &x[i], &kept, err));
		if (!kept)
			continue;
		TRY(put(db, &x[i], err));
		TRY(thin(db, x[i].site_id, err));
	}
	return SYNC_OK;
}

enum sync_status sync_exchanged_put(struct sync_db *db, const struct sync_exchanged *x, size_t n, struct sync_error *err)
{
	enum sync_status status;

	if (n == 0)
		return SYNC_OK;
	TRY(sync_db_begin(db, true, err));
	status = put_all(db, x, n, err);
	if (status == SYNC_OK)
		return sync_db_commit(db, err);
	sync_db_rollback(db);
	return status;
}

void sync_exchanged_json(struct sync_buf *b, const struct sync_exchanged *x)
{
	const struct {
		const char *key;
		int64_t n;
	} figures[] = { { "ms", x->ms }, { "pushed", x->pushed }, { "pulled", x->pulled }, { "bytes_in", x->bytes_in },
		        { "bytes_out", x->bytes_out } };

	sync_show_open(b, "last_exchange", '{');
	sync_show_time(b, "at", x->at_us);
	for (size_t i = 0; i < COUNT(figures); i++)
		sync_show_int(b, figures[i].key, figures[i].n);
	sync_show_text(b, "code", sync_view_of(sync_status_name(x->code)));
	sync_show_text(b, "text", sync_view_of(x->text));
	sync_show_close(b, '}');
}

#include "exchange/option.h"

#include <stdio.h>

#include <libsync/site.h>

#include "base/internal.h"
#include "exchange/router.h"

/* "option:master-lists" in sync_meta; not there: its first value. */
enum { MAX_KEY = 64, MAX_VALUE = 64 };

static void key_of(char ret[static MAX_KEY], const char *option)
{
	(void)snprintf(ret, MAX_KEY, "option:%s", option);
}

static enum sync_status get(struct sync_db *db, const struct sync_option *o, const struct sync_option_value **ret,
                            struct sync_error *err)
{
	defer(sync_buf_clear) struct sync_buf text = { .max = MAX_VALUE };
	char key[MAX_KEY];
	bool found;

	key_of(key, o->name);
	TRY(sync_meta_get(db, key, &text, &found, err));
	*ret = found ? sync_option_value_find(o, sync_buf_view(&text)) : o->values;
	if (!*ret)
		return sync_fail(err, SYNC_EWRONGDB, "the option %s has the value '%.*s', which this version does not know: update it", o->name,
		                 SYNC_VIEW(sync_buf_view(&text)));
	return SYNC_OK;
}

enum sync_status sync_option_value(struct sync_db *db, const char *option, const char **ret, struct sync_error *err)
{
	const struct sync_option_value *v;

	*ret = NULL;
	if (!option)
		return SYNC_OK;
	TRY(get(db, sync_option_find(option), &v, err));
	*ret = v->name;
	return SYNC_OK;
}

static enum sync_status is_under_way(struct sync_db *db, const struct sync_option *o, bool *ret, struct sync_error *err)
{
	static const char any[] = "SELECT 1 FROM sync_job WHERE kind = 'option' AND entity = $1";
	int64_t some;

	TRY(sync_db_number(db, any, SYNC_ARGS(sync_text(o->name)), 0, &some, err));
	*ret = some != 0;
	return SYNC_OK;
}

static enum sync_status get_both(struct sync_db *db, const struct sync_option *o, const struct sync_option_value **ret,
                                 bool *ret_under_way, struct sync_error *err)
{
	TRY(get(db, o, ret, err));
	return is_under_way(db, o, ret_under_way, err);
}

enum sync_status sync_option_get(struct sync_db *db, const struct sync_option *o, const struct sync_option_value **ret,
                                 bool *ret_under_way, struct sync_error *err)
{
	TRY(sync_db_begin(db, false, err));
	return sync_db_finish(db, get_both(db, o, ret, ret_under_way, err), err);
}

/* What an earlier choice has still to do, the new one's job does again: it goes through everything from the beginning. */
static enum sync_status start_job(struct sync_db *db, const struct sync_option *o, struct sync_error *err)
{
	static const char end_earlier[] = "DELETE FROM sync_job WHERE kind = 'option' AND entity = $1";
	struct sync_effect effect = { .kind = "option", .entity = o->name, .key = sync_view_of(o->name),
		                      .sites = { .site = (int64_t[]){ SYNC_EVERYBODY }, .n = 1 } };

	TRY(sync_db_run(db, end_earlier, SYNC_ARGS(sync_text(o->name)), NULL, NULL, err));
	return sync_jobs_put(db, &effect, 1, err);
}

/* While the router's lock is held nobody routes: what was routed before is looked at by the job, the rest goes by the new value. */
static enum sync_status set(struct sync_db *db, const struct sync_option *o, const struct sync_option_value *v, bool *ret_changed,
                            struct sync_error *err)
{
	const struct sync_option_value *before;
	char key[MAX_KEY];

	TRY(sync_route_wait(db, err));
	TRY(get(db, o, &before, err));
	*ret_changed = v != before;
	if (!*ret_changed)
		return SYNC_OK;
	key_of(key, o->name);
	TRY(sync_meta_put(db, key, sync_view_of(v->name), err));
	return start_job(db, o, err);
}

enum sync_status sync_option_set(struct sync_db *db, const struct sync_option *o, const struct sync_option_value *v,
                                 bool *ret_changed, struct sync_error *err)
{
	TRY(sync_db_begin(db, true, err));
	return sync_db_finish(db, set(db, o, v, ret_changed, err), err);
}

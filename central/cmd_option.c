#include "central.h"
#include "report.h"
#include "table.h"

#include <stdio.h>

static enum sync_status no_option(const char *name, struct sync_error *err)
{
	defer(sync_buf_clear) struct sync_buf all = { .max = MAX_REPORT };

	for (const struct sync_option *o = sync_option_list; o->name; o++)
		sync_buf_addf(&all, "%s%s", o == sync_option_list ? "" : ", ", o->name);
	return sync_fail(err, SYNC_EUSAGE, "no option '%s': there is %.*s", name, SYNC_VIEW(sync_buf_view(&all)));
}

static enum sync_status no_value(const struct sync_option *o, const char *name, struct sync_error *err)
{
	defer(sync_buf_clear) struct sync_buf all = { .max = MAX_REPORT };

	for (const struct sync_option_value *v = o->values; v->name; v++)
		sync_buf_addf(&all, "%s%s", v == o->values ? "" : " or ", v->name);
	return sync_fail(err, SYNC_EUSAGE, "%s is %.*s, not '%s'", o->name, SYNC_VIEW(sync_buf_view(&all)), name);
}

/* What stands in the list for an option. */
struct chosen {
	const struct sync_option *o;
	const struct sync_option_value *now;
	bool under_way;
};

static void show_json(const struct chosen *c, struct sync_buf *b)
{
	sync_show_open(b, NULL, '{');
	sync_show_text(b, "name", sync_view_of(c->o->name));
	sync_show_text(b, "value", sync_view_of(c->now->name));
	sync_show_bool(b, "under_way", c->under_way);
	sync_show_text(b, "about", sync_view_of(c->o->about));
	sync_show_open(b, "values", '[');
	for (const struct sync_option_value *v = c->o->values; v->name; v++) {
		sync_show_open(b, NULL, '{');
		sync_show_text(b, "name", sync_view_of(v->name));
		sync_show_text(b, "about", sync_view_of(v->about));
		sync_show_close(b, '}');
	}
	sync_show_close(b, ']');
	sync_show_close(b, '}');
}

static void show_rows(const struct chosen *c, struct table *t)
{
	for (const struct sync_option_value *v = c->o->values; v->name; v++) {
		table_text(t, c->o->name);
		table_text(t, v->name);
		table_text(t, v != c->now ? "" : c->under_way ? "yes, under way" : "yes");
		table_text(t, v->about);
	}
}

/* All options, or one. */
static enum sync_status list_json(struct sync_db *db, const struct sync_option *only, struct sync_buf *b, struct sync_error *err)
{
	sync_show_open(b, NULL, '{');
	sync_show_bool(b, "ok", true);
	sync_show_open(b, "options", '[');
	for (const struct sync_option *o = sync_option_list; o->name; o++) {
		struct chosen c = { .o = o };

		if (only && o != only)
			continue;
		TRY(sync_option_get(db, o, &c.now, &c.under_way, err));
		show_json(&c, b);
	}
	sync_show_close(b, ']');
	sync_show_close(b, '}');
	return SYNC_OK;
}

static enum sync_status list_table(struct sync_db *db, const struct sync_option *only, struct sync_buf *b, struct sync_error *err)
{
	static const char *const heads[] = { "OPTION", "VALUE", "CHOSEN", "MEANING", NULL };
	defer(table_clear) struct table t;

	table_open(&t, heads);
	for (const struct sync_option *o = sync_option_list; o->name; o++) {
		struct chosen c = { .o = o };

		if (only && o != only)
			continue;
		TRY(sync_option_get(db, o, &c.now, &c.under_way, err));
		show_rows(&c, &t);
	}
	table_write(&t, b);
	return SYNC_OK;
}

static enum sync_status list(struct sync_db *db, const struct sync_option *only, bool json, struct sync_error *err)
{
	defer(sync_buf_clear) struct sync_buf b = { .max = MAX_REPORT };

	TRY(json ? list_json(db, only, &b, err) : list_table(db, only, &b, err));
	return sync_show_print(&b, err);
}

static enum sync_status choose(struct sync_db *db, const struct sync_option *o, const struct sync_option_value *v, bool json,
                               struct sync_error *err)
{
	char text[300];
	bool changed;

	TRY(sync_option_set(db, o, v, &changed, err));
	if (changed)
		snprintf(text, sizeof text, "chosen: %s; sites get what they lack, and lose the rest, with their next exchanges", v->about);
	else
		snprintf(text, sizeof text, "nothing to do: %s is %s already", o->name, v->name);
	return report_done("state", changed ? "changed" : "unchanged", text, json, err);
}

enum sync_status cmd_option(const struct sync_call *call, struct sync_error *err)
{
	defer(sync_db_closep) struct sync_db *db = NULL;
	const struct sync_option *o = call->n_args > 0 ? sync_option_find(call->args[0]) : NULL;
	const struct sync_option_value *v = o && call->n_args > 1 ? sync_option_value_find(o, sync_view_of(call->args[1])) : NULL;

	if (call->n_args > 0 && !o)
		return no_option(call->args[0], err);
	if (call->n_args > 1 && !v)
		return no_value(o, call->args[1], err);
	TRY(central_open(&db, call, false, err));
	return v ? choose(db, o, v, call->json, err) : list(db, o, call->json, err);
}

#include <libsync/explain.h>

#include <inttypes.h>
#include <string.h>

#include <libsync/command.h>
#include <libsync/time.h>

#include "base/internal.h"

enum { SHOWN = 50 /* sites that do not have it, to people */ };

static void add_time(struct sync_buf *b, int64_t at_us)
{
	char text[21] = "";

	if (at_us)
		sync_time_text(text, at_us);
	sync_buf_addf(b, "\n  %-20s  ", text);
}

static void add_told(struct sync_buf *b, const struct sync_told *t)
{
	size_t from;

	add_time(b, t->at_us);
	from = b->len;
	if (t->site[0])
		sync_buf_addf(b, "%s: ", t->site);
	sync_buf_add_text(b, t->text);
	sync_show_plain(b, from);
}

static const char *presence(const struct sync_explanation *x)
{
	if (!strcmp(x->state, "present"))
		return x->central ? "is at central" : "is here";
	if (!strcmp(x->state, "deleted"))
		return x->central ? "was deleted" : "was deleted here";
	return x->central ? "is not at central" : "is not here";
}

static void add_holder(struct sync_buf *b, const struct sync_holder *h)
{
	size_t from;

	sync_buf_addf(b, "\n  %s %s", h->site, h->text);
	if (!h->why[0])
		return;
	sync_buf_add_text(b, "\n      ");
	from = b->len;
	sync_buf_addf(b, "%s: %s", h->due ? "because" : "no route leads there", h->why);
	sync_show_plain(b, from);
}

static void add_holders(struct sync_buf *b, const struct sync_explanation *x)
{
	int64_t without = 0;

	sync_buf_add_text(b, "\nSites:");
	for (size_t i = 0; i < x->n_holders; i++) {
		bool no = !strcmp(x->holder[i].state, "no");

		without += no;
		if (!no || without <= SHOWN)
			add_holder(b, &x->holder[i]);
	}
	if (without > SHOWN)
		sync_buf_addf(b, "\n  and %" PRId64 " more that do not have it: --site NAME tells why", without - SHOWN);
	if (!x->n_holders)
		sync_buf_add_text(b, " there are none");
}

void sync_explanation_text(struct sync_buf *b, const struct sync_explanation *x)
{
	size_t from = b->len;

	sync_buf_addf(b, "%s %s %s", x->entity, x->record_id, presence(x));
	sync_show_plain(b, from);
	for (size_t i = 0; i < x->n_told; i++)
		add_told(b, &x->told[i]);
	if (x->central)
		add_holders(b, x);
}

static void show_text(struct sync_buf *b, const char *key, const char *text)
{
	sync_show_text(b, key, sync_view_of(text));
}

static void show_told(struct sync_buf *b, const struct sync_told *t)
{
	sync_show_open(b, NULL, '{');
	sync_show_time(b, "at", t->at_us);
	show_text(b, "what", t->what);
	show_text(b, "site", t->site);
	show_text(b, "code", t->code);
	show_text(b, "text", t->text);
	sync_show_close(b, '}');
}

static void show_holder(struct sync_buf *b, const struct sync_holder *h)
{
	sync_show_open(b, NULL, '{');
	show_text(b, "site", h->site);
	sync_show_int(b, "site_id", h->site_id);
	show_text(b, "state", h->state);
	sync_show_bool(b, "due", h->due);
	sync_show_time(b, "routed", h->routed_us);
	sync_show_time(b, "pulled", h->pulled_us);
	show_text(b, "text", h->text);
	show_text(b, "why", h->why);
	sync_show_close(b, '}');
}

void sync_explanation_json(struct sync_buf *b, const struct sync_explanation *x)
{
	sync_show_open(b, NULL, '{');
	sync_show_bool(b, "ok", true);
	show_text(b, "entity", x->entity);
	show_text(b, "record_id", x->record_id);
	show_text(b, "state", x->state);
	sync_show_open(b, "journey", '[');
	for (size_t i = 0; i < x->n_told; i++)
		show_told(b, &x->told[i]);
	sync_show_close(b, ']');
	if (x->central) {
		sync_show_open(b, "sites", '[');
		for (size_t i = 0; i < x->n_holders; i++)
			show_holder(b, &x->holder[i]);
		sync_show_close(b, ']');
	}
	sync_show_close(b, '}');
}

#include "round.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include <libsync/bundle.h>
#include <libsync/crypto.h>
#include <libsync/time.h>

enum { INSTALLATION = 32, DEFAULT_WAIT_S = 2 };

/* Random, and kept before it is first sent, so that registering again after a lost answer is the same installation. */
static enum sync_status find_installation(struct sync_db *db, char ret[static 40], struct sync_error *err)
{
	static const char key[] = "installation";
	defer(sync_buf_clear) struct sync_buf kept = { .max = 39 };
	bool found;

	TRY(sync_meta_get(db, key, &kept, &found, err));
	if (found) {
		snprintf(ret, 40, "%s", kept.data);
		return SYNC_OK;
	}
	sync_random_hex(ret, INSTALLATION);
	return sync_meta_put(db, key, sync_view_of(ret), err);
}

static enum sync_status check_options(const struct remote_settings *s, struct sync_error *err)
{
	const struct {
		const char *name, *value;
	} needed[] = { { "--url", s->url }, { "--site", s->site }, { "--secret-file", s->secret_file } };
	defer(sync_buf_clear) struct sync_buf missing = { .max = 100 };

	for (size_t i = 0; i < COUNT(needed); i++)
		if (!needed[i].value)
			sync_buf_addf(&missing, "%s%s", missing.len > 0 ? ", " : "", needed[i].name);
	if (missing.len == 0)
		return SYNC_OK;
	TRY(sync_buf_check(&missing, err));
	return sync_fail(err, SYNC_EUSAGE, "%s is not registered yet, and for that %s %s missing", s->database, missing.data,
	                 strchr(missing.data, ',') ? "are" : "is");
}

/* As long as central says that it is busy: nothing has gone wrong then. */
static bool come_again(enum sync_status status, const struct sync_error *err, int64_t *ret_ms)
{
	*ret_ms = 1000 * (int64_t)(err->retry_after_s ? err->retry_after_s : DEFAULT_WAIT_S);
	return status == SYNC_EBUSY && !remote_stop;
}

static enum sync_status trade_secret(struct session *s, struct sync_registration *r, struct sync_error *err)
{
	int64_t ms;

	for (;;) {
		enum sync_status status = link_http_register(&s->http, r, err);

		if (!come_again(status, err, &ms))
			return status;
		TRY(wait_ms(ms, err));
	}
}

/* What the options say of it. */
static enum sync_status read_registration(const struct remote_settings *settings, struct sync_registration *ret, struct sync_error *err)
{
	TRY(check_options(settings, err));
	if (snprintf(ret->site, sizeof ret->site, "%s", settings->site) >= (int)sizeof ret->site)
		return sync_fail(err, SYNC_EUSAGE, "--site has %zu bytes", strlen(settings->site));
	return sync_secret_read(settings->secret_file, ret->secret, err);
}

static enum sync_status register_site(struct session *s, const struct remote_settings *settings, struct sync_registration *r,
                                      struct sync_error *err)
{
	if (!r->site[0])
		TRY(read_registration(settings, r, err));
	TRY(find_installation(s->site.db, r->installation, err));
	TRY(session_connect(s, settings, NULL, err));
	TRY(trade_secret(s, r, err));
	explicit_bzero(r->secret, sizeof r->secret);
	TRY(sync_link_put(s->site.db, r->site_id, r->site, settings->url, r->token, r->installation, err));
	link_http_close(&s->http);
	return sync_link_get(s->site.db, &s->link, err);
}

static enum sync_status check_same(const struct sync_link *link, const struct remote_settings *settings, struct sync_error *err)
{
	if (settings->site && strcmp(settings->site, link->name) != 0)
		return sync_fail(err, SYNC_ETAKEN, "%s is site '%s' already: use another file for site '%s'", settings->database, link->name,
		                 settings->site);
	return SYNC_OK;
}

static enum sync_status load(struct session *s, struct sync_report *report, struct sync_error *err)
{
	int64_t ms;

	for (;;) {
		enum sync_status status = session_round(s, report, err); /* of a site that is not loaded, that is the load */

		if (!come_again(status, err, &ms))
			return status;
		TRY(wait_ms(ms, err));
	}
}

static enum sync_status print_report(const struct session *s, const struct sync_report *r, bool json, struct sync_error *err)
{
	defer(sync_buf_clear) struct sync_buf b = { .max = 4096 };

	if (json) {
		sync_show_open(&b, NULL, '{');
		sync_show_bool(&b, "ok", true);
		sync_show_text(&b, "site", sync_view_of(s->link.name));
		sync_show_int(&b, "site_id", s->link.site_id);
		report_json(&b, r, s);
		sync_show_close(&b, '}');
	} else {
		sync_buf_addf(&b, "site '%s' is operational: %" PRId64 " record%s in %" PRId64 " ms, %" PRId64 " bytes", s->link.name, r->pulled,
		              plural(r->pulled), r->ms, r->bytes_in);
	}
	return sync_show_print(&b, err);
}

static enum sync_status disowned(const struct session *s, const struct remote_settings *settings, struct sync_error *err)
{
	int64_t unpushed;

	TRY(sync_unpushed(s->site.db, &unpushed, err));
	return sync_fail(err, SYNC_EUNAUTHORIZED,
	                 "%.80s is of an installation that central no longer knows, with %" PRId64
	                 " edit%s that central has not (remote show prints them): a new secret needs a new file",
	                 settings->database, unpushed, plural(unpushed));
}

/* Whoever has a secret wants to be registered: central says whether this file is. */
static enum sync_status confirm(struct session *s, const struct remote_settings *settings, struct sync_error *err)
{
	struct sync_report report;
	enum sync_status status = session_round(s, &report, err);

	return status == SYNC_EUNAUTHORIZED ? disowned(s, settings, err) : status;
}

/* Without the network: a file registers the site and has its records. */
static enum sync_status init_bundle(struct session *s, const struct sync_call *call, struct sync_error *err)
{
	const struct remote_settings *settings = call->settings;
	char secret[64] = "";
	const struct sync_bundle_site site = { settings->secret_file ? secret : NULL, settings->site, settings->url };
	struct sync_report report = { 0 };
	struct sync_bundled done;
	int64_t began_us = sync_tick_us();
	enum sync_status status;

	if (settings->secret_file)
		TRY(sync_secret_read(settings->secret_file, secret, err));
	TRY(sync_bundle_look(settings->bundle, &done, err)); /* a call that is none makes no file */
	TRY(site_open(&s->site, call, true, true, err));
	session_options(s);
	status = sync_bundle_init(s->site.db, settings->bundle, &site, &s->options, &done, &report, err);
	explicit_bzero(secret, sizeof secret);
	TRY(status);
	TRY(session_keep_authority(s, settings, err));
	TRY(sync_link_get(s->site.db, &s->link, err));
	sync_progress_end(&s->progress);
	report.ms = (sync_tick_us() - began_us) / 1000;
	report.bytes_in = done.bytes;
	return print_report(s, &report, call->json, err);
}

static enum sync_status init(struct session *s, const struct sync_call *call, struct sync_error *err)
{
	const struct remote_settings *settings = call->settings;
	struct sync_registration registration = { .version = SYNC_VERSION };
	struct sync_report report = { 0 };
	enum sync_status status;

	if (!site_exists(call))
		TRY(read_registration(settings, &registration, err)); /* a call that is none makes no file */
	TRY(site_open(&s->site, call, true, true, err));
	status = sync_link_get(s->site.db, &s->link, err);
	if (status == SYNC_ENOTFOUND)
		status = register_site(s, settings, &registration, err);
	TRY(status);
	TRY(check_same(&s->link, settings, err));
	session_options(s);
	TRY(session_connect(s, settings, s->link.token, err));
	TRY(session_keep_authority(s, settings, err));
	if (!s->link.operational)
		TRY(load(s, &report, err));
	else if (settings->secret_file)
		TRY(confirm(s, settings, err));
	sync_progress_end(&s->progress);
	return print_report(s, &report, call->json, err);
}

enum sync_status cmd_init(const struct sync_call *call, struct sync_error *err)
{
	const struct remote_settings *settings = call->settings;
	defer(session_close) struct session s = { 0 };

	remote_catch_signals();
	return (settings->bundle ? init_bundle : init)(&s, call, err);
}

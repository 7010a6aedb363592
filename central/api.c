#include "api.h"

#include <inttypes.h>
#include <stdio.h>

#include <libsync/log.h>
#include <libsync/site.h>
#include <libsync/time.h>

static enum sync_status authenticate(struct sync_db *db, const struct request *r, struct sync_caller *ret, struct sync_error *err)
{
	if (r->token.len == 0)
		return sync_fail(err, SYNC_EUNAUTHORIZED, "no token: the header 'Authorization: Bearer TOKEN' is missing");
	return sync_site_authenticate(db, r->token, ret, err);
}

enum sync_status api_admit(struct api *api, const struct request *r, struct answer *ret, struct sync_error *err)
{
	struct sync_caller caller = { 0 };
	struct lane *lane;
	enum sync_status status;

	(void)ret;
	TRY(pool_take(api->pool, api->settings->busy_ms, &lane, err));
	status = authenticate(lane->db, r, &caller, err);
	pool_give(api->pool, lane);
	return status;
}

/* One line per exchange, and a row for status: unless it only said that there is nothing new. */
static void record(struct api *api, const struct sync_caller *caller, const struct request *r, const struct answer *a,
                   const struct sync_served *served, int64_t began_us, const struct sync_error *err)
{
	struct sync_exchanged x = { .site_id = caller->site_id, .at_us = sync_now_us(), .ms = (sync_tick_us() - began_us) / 1000,
		                    .pushed = served->pushed, .pulled = served->pulled, .bytes_in = (int64_t)r->body.len,
		                    .bytes_out = (int64_t)a->body.len, .code = err->status };
	bool moved = served->wrote || served->pushed > 0 || served->pulled > 0;
	bool told = sync_guard_saw(api->guard, err); /* in a line of its own, once for all sites */

	if (err->status == SYNC_EBUSY) {
		sync_log(SYNC_LOG_INFO, "exchange later", "site=%" PRId64 " name=%s ms=%" PRId64 " text=%s", caller->site_id, caller->name, x.ms,
		         err->text);
		return;
	}
	if (err->status != SYNC_OK) {
		snprintf(x.text, sizeof x.text, "%.*s", (int)sizeof x.text - 1, err->text);
		sync_log(told ? SYNC_LOG_DEBUG : SYNC_LOG_WARNING, "exchange refused", "site=%" PRId64 " name=%s code=%s in=%" PRId64 " ms=%" PRId64 " text=%s",
		         caller->site_id, caller->name, sync_status_name(err->status), x.bytes_in, x.ms, err->text);
	} else {
		sync_log(moved ? SYNC_LOG_INFO : SYNC_LOG_DEBUG, "exchange ok",
		         "site=%" PRId64 " name=%s pushed=%" PRId64 " pulled=%" PRId64 " in=%" PRId64 " out=%" PRId64 " ms=%" PRId64,
		         caller->site_id, caller->name, x.pushed, x.pulled, x.bytes_in, x.bytes_out, x.ms);
	}
	if (told)
		worker_wake(api->worker);
	else if (caller->site_id && (moved || err->status != SYNC_OK))
		worker_log(api->worker, &x);
}

static enum sync_status exchange(struct lane *lane, const struct request *r, struct sync_caller *caller, struct answer *ret,
                                 struct sync_served *served, struct sync_error *err)
{
	struct sync_view body;

	TRY(authenticate(lane->db, r, caller, err));
	TRY(sync_server_answer(lane->server, caller->site_id, r->body, &body, served, err));
	ret->type = "application/x-libsync";
	ret->body.max = body.len;
	sync_buf_add_view(&ret->body, body);
	return sync_buf_check(&ret->body, err);
}

static enum sync_status exchange_once(struct api *api, const struct request *r, struct sync_caller *caller, struct answer *ret,
                                      struct sync_served *served, struct sync_error *err)
{
	struct lane *lane;
	enum sync_status status;

	TRY(pool_take(api->pool, api->settings->busy_ms, &lane, err));
	status = exchange(lane, r, caller, ret, served, err);
	pool_give(api->pool, lane);
	return status;
}

enum sync_status api_exchange(struct api *api, const struct request *r, struct answer *ret, struct sync_error *err)
{
	int64_t began_us = sync_tick_us();
	struct sync_caller caller = { 0 };
	struct sync_served served = { 0 };

	err->status = exchange_once(api, r, &caller, ret, &served, err);
	/* what a first load waits for is often done in a moment */
	if (err->status == SYNC_EBUSY && caller.site_id) {
		worker_settle(api->worker, api->settings->busy_ms);
		err->status = exchange_once(api, r, &caller, ret, &served, err);
	}
	if (served.spooled || served.jobs)
		worker_wake(api->worker);
	if (caller.site_id)
		worker_note(api->worker);
	record(api, &caller, r, ret, &served, began_us, err);
	return err->status;
}

static enum sync_status trade(struct lane *lane, struct sync_registration *r, struct sync_error *err)
{
	return sync_site_register(lane->db, sync_view_of(r->site), sync_view_of(r->secret), sync_view_of(r->installation),
	                          sync_view_of(r->version), r->token, &r->site_id, err);
}

static enum sync_status register_site(struct api *api, struct sync_registration *r, struct sync_error *err)
{
	struct lane *lane;
	enum sync_status status;

	TRY(pool_take(api->pool, api->settings->busy_ms, &lane, err));
	status = trade(lane, r, err);
	pool_give(api->pool, lane);
	return status;
}

enum sync_status api_register(struct api *api, const struct request *r, struct answer *ret, struct sync_error *err)
{
	struct sync_registration registration;
	enum sync_status status;

	TRY(sync_registration_read(&registration, r->body, err));
	/* each takes 19 MiB and tens of milliseconds of a core on purpose: guessing must not take all of them */
	if (atomic_fetch_add(&api->registering, 1) >= api->settings->registrations)
		status = sync_fail(err, SYNC_EBUSY, "%" PRId64 " registrations are under way, as many as may be",
		                   api->settings->registrations);
	else
		status = register_site(api, &registration, err);
	atomic_fetch_sub(&api->registering, 1);
	sync_log(status == SYNC_OK ? SYNC_LOG_INFO : SYNC_LOG_WARNING, status == SYNC_OK ? "register ok" : "register refused",
	         "name=%s code=%s", registration.site, sync_status_name(status));
	TRY(status);
	ret->type = "application/json";
	sync_registered_write(&ret->body, &registration);
	return sync_buf_check(&ret->body, err);
}

enum sync_status api_health(struct api *api, const struct request *r, struct answer *ret, struct sync_error *err)
{
	static const char any[] = "SELECT count(*) FROM sync_meta WHERE key = $1";
	struct lane *lane;
	enum sync_status status;
	int64_t n;

	(void)r;
	TRY(pool_take(api->pool, api->settings->busy_ms, &lane, err));
	status = sync_db_number(lane->db, any, SYNC_ARGS(sync_text("role")), 0, &n, err);
	pool_give(api->pool, lane);
	TRY(status);
	ret->type = "application/json";
	sync_buf_addf(&ret->body, "{\"ok\":true,\"version\":\"%s\"}", SYNC_VERSION);
	return sync_buf_check(&ret->body, err);
}

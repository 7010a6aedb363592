#include "link_http.h"

#include <stdio.h>
#include <string.h>

#include <libsync/time.h>

enum { JSON_MAX = 4 << 10 };

static void count(struct link_http *l, const struct sync_http_answer *a)
{
	l->sent_bytes += a->sent_bytes;
	l->read_bytes += a->read_bytes;
}

static void take_date(struct link_http *l, const struct sync_http_answer *a)
{
	l->date_s = a->date_s;
	l->dated_s = sync_now_us() / 1000000;
}

/* Whatever stands between here and central may answer as well. */
static enum sync_status check(const struct sync_http_answer *a, const char *type, struct sync_error *err)
{
	if (a->status != 200)
		return sync_problem_read(sync_buf_view(a->body), a->status, a->retry_after_s, err);
	if (strcmp(a->content_type, type) != 0)
		return sync_fail(err, SYNC_ENET, "the answer is not from central: its content type is '%s': check the url", a->content_type);
	return SYNC_OK;
}

static enum sync_status start(void *ctx, struct sync_view body, struct sync_error *err)
{
	struct link_http *l = ctx;
	const struct sync_http_request request = { l->exchange_url, "application/x-libsync", l->token, body };

	return sync_http_start(l->http, &request, err);
}

static enum sync_status finish(void *ctx, struct sync_buf *ret, struct sync_error *err)
{
	struct link_http *l = ctx;
	struct sync_http_answer a = { .body = ret };
	enum sync_status status = sync_http_finish(l->http, &a, err);

	count(l, &a);
	TRY(status);
	status = check(&a, "application/x-libsync", err);
	if (a.status != 200)
		l->told = status;
	else if (status == SYNC_OK)
		take_date(l, &a);
	return status;
}

static enum sync_status make_url(char ret[static URL_MAX], const char *base, const char *path, struct sync_error *err)
{
	size_t len = strlen(base);

	while (len > 0 && base[len - 1] == '/')
		len--;
	if (snprintf(ret, URL_MAX, "%.*s%s", (int)len, base, path) >= URL_MAX)
		return sync_fail(err, SYNC_EUSAGE, "the url has %zu bytes", len);
	return SYNC_OK;
}

enum sync_status link_http_open(struct link_http *ret, const struct remote_settings *s, const char *url, const char *ca_file,
                                const char *token, struct sync_error *err)
{
	const struct sync_http_options options = { .ca_file = ca_file, .idle_timeout_s = (unsigned)(s->idle_ms / 1000),
		                                   .allow_plain = s->allow_plain, .stop = &remote_stop };

	TRY(make_url(ret->exchange_url, url, "/sync/v1/exchange", err));
	TRY(make_url(ret->register_url, url, "/sync/v1/register", err));
	snprintf(ret->token, sizeof ret->token, "%s", token ? token : "");
	ret->transport = (struct sync_transport){ start, finish, ret };
	return sync_http_new(&ret->http, &options, err);
}

void link_http_close(struct link_http *l)
{
	sync_http_free(l->http);
	*l = (struct link_http){ 0 };
}

enum sync_status link_http_register(struct link_http *l, struct sync_registration *r, struct sync_error *err)
{
	defer(sync_buf_clear) struct sync_buf body = { .max = JSON_MAX }, answer = { .max = JSON_MAX };
	struct sync_http_answer a = { .body = &answer };
	struct sync_http_request request = { l->register_url, "application/json", NULL, { 0 } };

	sync_registration_write(&body, r);
	TRY(sync_buf_check(&body, err));
	request.body = sync_buf_view(&body);
	TRY(sync_http_post(l->http, &request, &a, err));
	count(l, &a);
	TRY(check(&a, "application/json", err));
	return sync_registered_read(r, sync_buf_view(&answer), err);
}

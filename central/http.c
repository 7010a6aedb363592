#include "http.h"

#include <arpa/inet.h>
#include <civetweb.h>
#include <errno.h>
#include <inttypes.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include <libsync/crypto.h>
#include <libsync/log.h>
#include <libsync/site.h>
#include <libsync/time.h>

#include "shims.h"

enum {
	STEP = 64 << 10,      /* bytes read at once, and what is read before the token is looked at */
	JSON_MAX = 4 << 10,
	HEAD_MAX = 512,
	RETRY_AFTER_S = 2,
};

struct http {
	struct api *api;
	struct mg_context *mg;
	int port;
	char url[300];
	_Atomic int64_t in_flight; /* bytes of requests and answers in memory */
	struct sync_error err;     /* of on_tls(), which civetweb calls while it starts */
};

struct route {
	const char *method, *path;
	const char *type;     /* of the content; NULL: there is none */
	int64_t body_max;     /* 0: the setting */
	api_fn *admit;        /* decides before a large body is read; may be NULL */
	api_fn *run;
};

/* Paths are compared whole; civetweb's own handlers match prefixes. */
static const struct route routes[] = {
	{ "POST", "/sync/v1/exchange", "application/x-libsync", 0, api_admit, api_exchange },
	{ "POST", "/sync/v1/register", "application/json", JSON_MAX, NULL, api_register },
	{ "GET", "/sync/v1/health", NULL, 0, NULL, api_health },
	{ 0 },
};

/* One request on its way. */
struct call {
	struct http *h;
	struct mg_connection *mg;
	const struct mg_request_info *info;
	const struct route *route;
	struct sync_buf body;
	int64_t reserved; /* of in_flight */
	bool read;        /* the body, so that the connection can be kept */
};

static void clear_call(struct call *c)
{
	sync_buf_clear(&c->body);
	atomic_fetch_sub(&c->h->in_flight, c->reserved);
}

static enum sync_status find_route(struct call *c, int *ret_http, struct sync_error *err)
{
	const char *path = c->info->local_uri ? c->info->local_uri : "";
	const struct route *r = routes;

	while (r->path && strcmp(r->path, path) != 0)
		r++;
	if (!r->path)
		return sync_fail(err, SYNC_ENOTFOUND, "nothing is at '%s'", path);
	if (strcmp(r->method, c->info->request_method) != 0) {
		*ret_http = 405;
		return sync_fail(err, SYNC_EBADREQUEST, "%s takes %s, not %s", path, r->method, c->info->request_method);
	}
	c->route = r;
	return SYNC_OK;
}

static const char *header(const struct call *c, const char *name)
{
	return mg_get_header(c->mg, name);
}

static enum sync_status check_type(const struct call *c, struct sync_error *err)
{
	const char *type = header(c, "Content-Type");
	size_t len = type ? strcspn(type, "; ") : 0;

	if (len == strlen(c->route->type) && strncasecmp(type, c->route->type, len) == 0)
		return SYNC_OK;
	return sync_fail(err, SYNC_EMEDIATYPE, "the content type is '%s', not %s", type ? type : "", c->route->type);
}

/* A length told in two ways is how requests are smuggled past proxies; ours always know theirs. */
static enum sync_status check_length(const struct call *c, struct sync_error *err)
{
	int64_t max = c->route->body_max ? c->route->body_max : c->h->api->settings->body_max;

	if (header(c, "Transfer-Encoding"))
		return sync_fail(err, SYNC_EBADREQUEST, "Transfer-Encoding is not taken: send Content-Length alone");
	if (!c->route->type)
		return c->info->content_length > 0 ? sync_fail(err, SYNC_EBADREQUEST, "%s takes no body", c->route->path) : SYNC_OK;
	if (!header(c, "Content-Length") || c->info->content_length < 0)
		return sync_fail(err, SYNC_EBADREQUEST, "Content-Length is missing");
	if (c->info->content_length > max)
		return sync_fail(err, SYNC_ETOOBIG, "the body has %lld bytes, at most %" PRId64 " are taken", c->info->content_length, max);
	return SYNC_OK;
}

static enum sync_status reserve(struct call *c, struct sync_error *err)
{
	c->reserved = c->info->content_length > 0 ? c->info->content_length : 0;
	if (atomic_fetch_add(&c->h->in_flight, c->reserved) + c->reserved > c->h->api->settings->memory_max)
		return sync_fail(err, SYNC_EBUSY, "too many requests are being received");
	return SYNC_OK;
}

/* civetweb does not answer it, and the client would wait. */
static enum sync_status answer_expect(struct call *c, struct sync_error *err)
{
	static const char go_on[] = "HTTP/1.1 100 Continue\r\n\r\n";
	const char *expect = header(c, "Expect");

	if (!expect)
		return SYNC_OK;
	if (strcasecmp(expect, "100-continue") != 0)
		return sync_fail(err, SYNC_EBADREQUEST, "Expect: %s is not known", expect);
	if (c->info->content_length > 0)
		mg_write(c->mg, go_on, sizeof go_on - 1);
	return SYNC_OK;
}

/* A client that sends slowly is waited for; one that sends nothing for the setting's time is not. */
static enum sync_status read_body(struct call *c, struct sync_error *err)
{
	size_t want = c->route->type ? (size_t)c->info->content_length : 0;

	c->body.max = want;
	while (c->body.len < want) {
		size_t step = want - c->body.len < STEP ? want - c->body.len : STEP;
		char *to = sync_buf_room(&c->body, step);
		int n = to ? mg_read(c->mg, to, step) : 0;

		TRY(sync_buf_check(&c->body, err));
		if (n <= 0)
			return sync_fail(err, SYNC_EBADREQUEST, "the body ended after %zu of %zu bytes", c->body.len, want);
		c->body.len += (size_t)n;
	}
	c->read = true;
	return SYNC_OK;
}

static struct sync_view token_of(const struct call *c)
{
	static const char scheme[] = "Bearer ";
	const char *text = header(c, "Authorization");

	return sync_view_of(text && strncasecmp(text, scheme, sizeof scheme - 1) == 0 ? text + sizeof scheme - 1 : NULL);
}

static enum sync_status serve(struct call *c, struct answer *a, int *ret_http, struct sync_error *err)
{
	struct request r;

	TRY(find_route(c, ret_http, err));
	TRY(check_length(c, err));
	if (c->route->type)
		TRY(check_type(c, err));
	TRY(reserve(c, err));
	r = (struct request){ .token = token_of(c) };
	if (c->route->admit && c->info->content_length > STEP)
		TRY(c->route->admit(c->h->api, &r, a, err));
	TRY(answer_expect(c, err));
	TRY(read_body(c, err));
	r.body = sync_buf_view(&c->body);
	return c->route->run(c->h->api, &r, a, err);
}

/* By which sites see that their clock is wrong. */
static void add_date(struct sync_buf *b)
{
	time_t now = (time_t)(sync_now_us() / 1000000);
	char text[40];
	struct tm tm;

	strftime(text, sizeof text, "%a, %d %b %Y %H:%M:%S GMT", gmtime_r(&now, &tm));
	sync_buf_addf(b, "Date: %s\r\n", text);
}

/* All of an answer leaves in one write. */
static void send_answer(struct call *c, int http, const struct answer *a, unsigned retry_after_s, bool close)
{
	defer(sync_buf_clear) struct sync_buf b = { .max = a->body.len + HEAD_MAX };

	if (close)
		mg_disable_connection_keep_alive(c->mg);
	sync_buf_room(&b, b.max);
	sync_buf_addf(&b, "HTTP/1.1 %d %s\r\nContent-Type: %s\r\nContent-Length: %zu\r\n", http, mg_get_response_code_text(c->mg, http),
	              a->type, a->body.len);
	add_date(&b);
	if (retry_after_s > 0)
		sync_buf_addf(&b, "Retry-After: %u\r\n", retry_after_s);
	if (http == 401)
		sync_buf_add_text(&b, "WWW-Authenticate: Bearer\r\n");
	if (close)
		sync_buf_add_text(&b, "Connection: close\r\n");
	sync_buf_add_text(&b, "\r\n");
	sync_buf_add_view(&b, sync_buf_view(&a->body));
	if (b.status == SYNC_OK)
		mg_write(c->mg, b.data, b.len);
	else
		mg_disable_connection_keep_alive(c->mg);
}

/* Sites that were refused together must not come back together. */
static unsigned retry_after(const struct sync_error *err)
{
	unsigned s = err->retry_after_s ? err->retry_after_s : RETRY_AFTER_S;

	return s + sync_random_below(s + 1);
}

static void send_problem(struct call *c, int http, struct answer *a, struct sync_error *err)
{
	a->type = "application/json";
	a->body.max = JSON_MAX;
	sync_buf_reset(&a->body);
	sync_problem_write(&a->body, err);
	send_answer(c, http ? http : sync_status_http(err->status), a, err->status == SYNC_EBUSY ? retry_after(err) : 0, !c->read);
}

static void clear_answer(struct answer *a)
{
	sync_buf_clear(&a->body);
}

static int on_request(struct mg_connection *mg)
{
	const struct mg_request_info *info = mg_get_request_info(mg);
	defer(clear_call) struct call c = { .h = info->user_data, .mg = mg, .info = info };
	defer(clear_answer) struct answer a = { .body.max = JSON_MAX };
	struct sync_error err = { 0 };
	int http = 0;

	err.status = serve(&c, &a, &http, &err);
	if (err.status == SYNC_OK) {
		c.reserved += (int64_t)a.body.len;
		atomic_fetch_add(&c.h->in_flight, (int64_t)a.body.len);
		send_answer(&c, 200, &a, 0, false);
		return 200;
	}
	if (!c.route || c.route->run != api_exchange || !c.read)
		sync_log(SYNC_LOG_WARNING, "request refused", "from=%s code=%s text=%s", info->remote_addr, sync_status_name(err.status), err.text);
	send_problem(&c, http, &a, &err);
	return http ? http : sync_status_http(err.status);
}

/* What civetweb itself refuses: a request that is none, headers that are too long. */
static int on_error(struct mg_connection *mg, int http, const char *text)
{
	const struct mg_request_info *info = mg_get_request_info(mg);
	struct call c = { .h = info->user_data, .mg = mg, .info = info };
	defer(clear_answer) struct answer a = { 0 };
	struct sync_error err = { 0 };

	(void)sync_fail(&err, http == 413 ? SYNC_ETOOBIG : SYNC_EBADREQUEST, "%s", text && *text ? text : "not a request");
	send_problem(&c, http, &a, &err);
	return 0;
}

static int on_message(const struct mg_connection *mg, const char *text)
{
	(void)mg;
	sync_log(SYNC_LOG_DEBUG, "http", "text=%s", text);
	return 1;
}

/* listen = IPv4 address ':' port; the name localhost is understood as well. */
static enum sync_status read_address(const char *listen, char ret_host[static 16], int *ret_port, struct sync_error *err)
{
	const char *colon = strrchr(listen, ':');
	char host[64], *end = NULL;
	struct in_addr address;
	long port = colon ? strtol(colon + 1, &end, 10) : -1;

	if (!colon || end == colon + 1 || *end || port < 0 || port > 65535)
		return sync_fail(err, SYNC_EUSAGE, "--listen is ADDR:PORT, not '%s'", listen);
	snprintf(host, sizeof host, "%.*s", (int)(colon - listen), listen);
	if (strcmp(host, "localhost") == 0)
		snprintf(host, sizeof host, "127.0.0.1");
	if (inet_pton(AF_INET, host, &address) != 1)
		return sync_fail(err, SYNC_EUSAGE, "--listen '%s': the address is an IPv4 one, such as 0.0.0.0 for all of this machine", listen);
	inet_ntop(AF_INET, &address, ret_host, 16);
	*ret_port = (int)port;
	return SYNC_OK;
}

static enum sync_status check_plain(const struct central_settings *s, const char *host, struct sync_error *err)
{
	if (s->tls_cert || s->allow_plain || strncmp(host, "127.", 4) == 0)
		return SYNC_OK;
	return sync_fail(err, SYNC_EUSAGE,
	                 "--listen %s without --tls-cert would send tokens and records in the clear: give a certificate, listen on 127.0.0.1 behind "
	                 "a proxy, or ask for it by --allow-plain",
	                 s->listen);
}

/* civetweb finds out about a certificate only when it starts, and tells nobody why. */
static enum sync_status check_tls(const struct central_settings *s, struct sync_error *err)
{
	if (s->tls_key && !s->tls_cert)
		return sync_fail(err, SYNC_EUSAGE, "--tls-key is of no use without --tls-cert");
	if (!s->tls_cert)
		return SYNC_OK;
	if (access(s->tls_cert, R_OK) != 0)
		return sync_fail(err, SYNC_EUSAGE, "--tls-cert %s: %m", s->tls_cert);
	if (s->tls_key && access(s->tls_key, R_OK) != 0)
		return sync_fail(err, SYNC_EUSAGE, "--tls-key %s: %m", s->tls_key);
	if (!(mg_init_library(MG_FEATURES_TLS) & MG_FEATURES_TLS))
		return sync_fail(err, SYNC_ETLS, "libcivetweb cannot use OpenSSL here: let a proxy in front do TLS");
	return SYNC_OK;
}

/* The certificate is loaded here, so that what is wrong with it can be told. */
static int on_tls(void *ssl_ctx, void *user_data)
{
	struct http *h = user_data;
	const struct central_settings *s = h->api->settings;

	return shims_load_certificate(ssl_ctx, s->tls_cert, s->tls_key, &h->err) == SYNC_OK ? 1 : -1;
}

/* civetweb says why to a log only: the system does as well, when it is asked once more. */
static enum sync_status cannot_listen(const char *listen, const char *host, int port, struct sync_error *err)
{
	static const struct {
		int code;
		const char *text;
	} reasons[] = {
		{ EACCES, "permission denied: ports below 1024 are for root and for who has CAP_NET_BIND_SERVICE, as the systemd unit central" },
		{ EADDRINUSE, "something else listens there: is another central running? ss -ltnp tells" },
		{ EADDRNOTAVAIL, "this machine has no such address; 0.0.0.0 stands for all that it has" },
		{ 0, "serve --verbose tells why" },
	};
	struct sockaddr_in at = { .sin_family = AF_INET, .sin_port = htons((uint16_t)port), .sin_addr.s_addr = inet_addr(host) };
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	int code = fd < 0 || bind(fd, (struct sockaddr *)&at, sizeof at) != 0 ? errno : 0;
	const char *why = strerror(code);

	if (fd >= 0)
		close(fd);
	for (size_t i = 0; i < COUNT(reasons); i++)
		if (reasons[i].code == code)
			why = reasons[i].text;
	return sync_fail(err, SYNC_EIO, "cannot listen on %s: %s", listen, why);
}

static enum sync_status listen_at(struct http *h, const char *host, int port, struct sync_error *err)
{
	const struct central_settings *s = h->api->settings;
	const struct mg_callbacks callbacks = { .begin_request = on_request, .http_error = on_error, .log_message = on_message,
		                                .init_ssl = on_tls };
	struct mg_server_port ports[1];
	char at[64], threads[24], idle[24], keep_alive[24];
	const char *options[] = { "listening_ports", at, "num_threads", threads, "request_timeout_ms", idle, "keep_alive_timeout_ms", keep_alive,
		                  "enable_keep_alive", "yes", "tcp_nodelay", "1", "ssl_protocol_version", "4", "listen_backlog", "1024",
		                  "connection_queue", "256", NULL };

	snprintf(at, sizeof at, "%s:%d%s", host, port, s->tls_cert ? "s" : "");
	snprintf(threads, sizeof threads, "%" PRId64, s->connections);
	snprintf(idle, sizeof idle, "%" PRId64, s->idle_ms);
	snprintf(keep_alive, sizeof keep_alive, "%" PRId64, s->keep_alive_ms);
	h->mg = mg_start(&callbacks, h, options);
	if (!h->mg)
		return h->err.status != SYNC_OK ? sync_fail(err, h->err.status, "%s", h->err.text)
		                                : cannot_listen(s->listen, host, port, err);
	if (mg_get_server_ports(h->mg, 1, ports) != 1)
		return sync_fail(err, SYNC_EIO, "cannot tell which port was chosen");
	h->port = ports[0].port;
	snprintf(h->url, sizeof h->url, "%s://%s:%d", s->tls_cert ? "https" : "http", host, h->port);
	return SYNC_OK;
}

static void stop_http(struct http **h)
{
	http_stop(*h);
}

enum sync_status http_start(struct http **ret, struct api *api, struct sync_error *err)
{
	defer(stop_http) struct http *h = calloc(1, sizeof *h);
	char host[16];
	int port;

	if (!h)
		return sync_fail(err, SYNC_ENOMEM, "starting to serve");
	h->api = api;
	TRY(read_address(api->settings->listen, host, &port, err));
	TRY(check_plain(api->settings, host, err));
	TRY(check_tls(api->settings, err));
	TRY(listen_at(h, host, port, err));
	*ret = steal(h);
	return SYNC_OK;
}

const char *http_url(const struct http *h)
{
	return h->url;
}

int http_port(const struct http *h)
{
	return h->port;
}

void http_stop(struct http *h)
{
	if (!h)
		return;
	if (h->mg)
		mg_stop(h->mg);
	free(h);
}

#include <libsync/http.h>

#include <arpa/inet.h>
#include <assert.h>
#include <curl/curl.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include <libsync/time.h>
#include "base/internal.h"

enum {
	CONNECT_TIMEOUT_S = 30,
	LONGEST_WAIT_MS = 250, /* how late a stop is noticed */
	RETRY_AFTER_MAX_S = 24 * 3600,
	UNSENT_BYTES = 128 << 10, /* what the kernel may hold unsent, so that a slow link is not taken for an idle one */
};

struct sync_http {
	struct sync_http_options o;
	CURL *easy;
	CURLM *multi;
	struct curl_slist *headers;
	char host[256];
	char text[CURL_ERROR_SIZE];
	/* the request under way */
	struct sync_buf *body; /* NULL until finish(): what arrives earlier waits in curl */
	int64_t body_bytes;    /* to be sent */
	int64_t sent_head, sent_body, read_bytes;
	int64_t started_us, waited_us;
	bool plain; /* not TLS */
	bool busy, done;
	bool head_read; /* the empty line after the headers has come */
	CURLcode code;  /* what became of it */
};

static size_t on_body(char *data, size_t size, size_t n, void *ctx)
{
	struct sync_http *h = ctx;

	if (!h->body)
		return CURL_WRITEFUNC_PAUSE;
	sync_buf_add(h->body, data, size * n);
	return h->body->status == SYNC_OK ? size * n : 0;
}

/* The only place where curl tells every byte of a message, headers and chunk marks included. */
static int on_traffic(CURL *easy, curl_infotype type, char *data, size_t len, void *ctx)
{
	struct sync_http *h = ctx;

	(void)easy;
	switch (type) {
	case CURLINFO_HEADER_OUT:
		h->sent_head += (int64_t)len;
		break;
	case CURLINFO_DATA_OUT:
		h->sent_body += (int64_t)len;
		break;
	case CURLINFO_HEADER_IN:
		h->head_read = h->head_read || (len > 0 && (data[0] == '\r' || data[0] == '\n'));
		h->read_bytes += (int64_t)len;
		break;
	case CURLINFO_DATA_IN:
		h->read_bytes += (int64_t)len;
		break;
	default:
		break;
	}
	return 0;
}

static int on_socket(void *ctx, curl_socket_t fd, curlsocktype purpose)
{
	int bytes = UNSENT_BYTES;

	(void)ctx;
	(void)purpose;
	(void)setsockopt(fd, IPPROTO_TCP, TCP_NOTSENT_LOWAT, &bytes, sizeof bytes);
	return CURL_SOCKOPT_OK;
}

/* A macro, because curl_easy_setopt() checks its argument's type at compile time. */
#define SET(option, value) ok = ok && curl_easy_setopt(h->easy, CURLOPT_##option, value) == CURLE_OK

static bool set_options(struct sync_http *h)
{
	bool ok = true;

	SET(PROTOCOLS_STR, "http,https");
	SET(HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
	SET(SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
	SET(FOLLOWLOCATION, 0L);
	SET(NOSIGNAL, 1L);
	SET(TCP_NODELAY, 1L);
	SET(TCP_KEEPALIVE, 1L);
	SET(CONNECTTIMEOUT, (long)CONNECT_TIMEOUT_S);
	SET(LOW_SPEED_LIMIT, 1L);
	SET(LOW_SPEED_TIME, (long)h->o.idle_timeout_s);
	SET(ERRORBUFFER, h->text);
	SET(WRITEFUNCTION, on_body);
	SET(WRITEDATA, h);
	SET(DEBUGFUNCTION, on_traffic);
	SET(DEBUGDATA, h);
	SET(VERBOSE, 1L);
	SET(SOCKOPTFUNCTION, on_socket);
	if (h->o.ca_file) {
		/* Without the system's folder as well: it would be trusted, and costs 20 ms per connection. */
		SET(CAINFO, h->o.ca_file);
		SET(CAPATH, NULL);
	}
	return ok;
}

enum sync_status sync_http_new(struct sync_http **ret, const struct sync_http_options *o, struct sync_error *err)
{
	defer(sync_http_freep) struct sync_http *h = NULL;

	if (curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK)
		return sync_fail(err, SYNC_ENOMEM, "libcurl cannot start");
	h = calloc(1, sizeof *h);
	if (!h)
		return sync_fail(err, SYNC_ENOMEM, "HTTP client");
	h->o = *o;
	h->easy = curl_easy_init();
	h->multi = curl_multi_init();
	if (!h->easy || !h->multi || !set_options(h))
		return sync_fail(err, SYNC_ENOMEM, "libcurl %s cannot be set up", curl_version());
	*ret = steal(h);
	return SYNC_OK;
}

void sync_http_free(struct sync_http *h)
{
	if (!h)
		return;
	sync_http_cancel(h);
	curl_easy_cleanup(h->easy);
	curl_multi_cleanup(h->multi);
	curl_slist_free_all(h->headers);
	free(h);
}

void sync_http_freep(struct sync_http **h)
{
	sync_http_free(*h);
}

void sync_http_cancel(struct sync_http *h)
{
	if (h->busy)
		curl_multi_remove_handle(h->multi, h->easy);
	h->busy = false;
	h->body = NULL;
}

static bool is_loopback(const char *host)
{
	struct in_addr v4;

	if (strcmp(host, "localhost") == 0 || strcmp(host, "[::1]") == 0)
		return true;
	return inet_pton(AF_INET, host, &v4) == 1 && ntohl(v4.s_addr) >> 24 == 127;
}

/* Of a URL what names the peer: the path is ours. */
static int origin_len(const char *url)
{
	const char *colon = strstr(url, "://");
	const char *host = colon ? colon + 3 : url;

	return (int)(host - url + (ptrdiff_t)strcspn(host, "/"));
}

/* Keep the host for messages, and see to it that nothing secret travels in the clear. */
static enum sync_status check_parts(struct sync_http *h, const char *url, const char *scheme, const char *host,
				    struct sync_error *err)
{
	bool loopback = is_loopback(host);

	h->plain = strcmp(scheme, "http") == 0;
	if (!h->plain && strcmp(scheme, "https") != 0)
		return sync_fail(err, SYNC_EUSAGE, "'%.*s' begins with '%s:', expected is https:", origin_len(url), url, scheme);
	if (h->plain && !loopback && !h->o.allow_plain)
		return sync_fail(err, SYNC_EUSAGE,
				 "'%.*s' would send everything in the clear: use https, or ask for it by --allow-plain",
				 origin_len(url), url);
	/* A proxy from the environment would take what is meant for this machine to another one. */
	if (curl_easy_setopt(h->easy, CURLOPT_PROXY, loopback ? "" : NULL) != CURLE_OK)
		return sync_fail(err, SYNC_ENOMEM, "%s", url);
	snprintf(h->host, sizeof h->host, "%s", host);
	return SYNC_OK;
}

static void free_parts(CURLU **parts)
{
	curl_url_cleanup(*parts);
}

static void free_text(char **text)
{
	curl_free(*text);
}

static enum sync_status check_url(struct sync_http *h, const char *url, struct sync_error *err)
{
	defer(free_parts) CURLU *parts = curl_url();
	defer(free_text) char *scheme = NULL;
	defer(free_text) char *host = NULL;
	CURLUcode code = CURLUE_OUT_OF_MEMORY;

	if (parts)
		code = curl_url_set(parts, CURLUPART_URL, url, CURLU_NON_SUPPORT_SCHEME);
	if (code == CURLUE_OK)
		code = curl_url_get(parts, CURLUPART_SCHEME, &scheme, 0);
	if (code == CURLUE_OK)
		code = curl_url_get(parts, CURLUPART_HOST, &host, 0);
	if (code == CURLUE_OUT_OF_MEMORY)
		return sync_fail(err, SYNC_ENOMEM, "%s", url);
	if (code != CURLUE_OK)
		return sync_fail(err, SYNC_EUSAGE, "'%.*s' is no URL such as https://central.example.org (%s)",
				 origin_len(url), url, curl_url_strerror(code));
	return check_parts(h, url, scheme, host, err);
}

static bool add_header(struct curl_slist **list, const char *name, const char *value)
{
	defer(sync_buf_clear) struct sync_buf line = { .max = 4096 };
	struct curl_slist *longer;

	sync_buf_addf(&line, "%s%s", name, value);
	longer = line.status == SYNC_OK ? curl_slist_append(*list, line.data) : NULL;
	if (longer)
		*list = longer;
	return longer != NULL;
}

/* A line break in a value would begin another header. */
static bool is_printable(const char *value)
{
	for (; *value; value++)
		if (*value < ' ' || *value > '~')
			return false;
	return true;
}

static enum sync_status set_headers(struct sync_http *h, const struct sync_http_request *r, struct sync_error *err)
{
	bool ok;

	if (!is_printable(r->content_type) || (r->token && !is_printable(r->token)))
		return sync_fail(err, SYNC_EUSAGE, "content type or token for %s has characters that a header cannot have",
				 h->host);
	curl_slist_free_all(h->headers);
	h->headers = NULL;
	ok = add_header(&h->headers, "Content-Type: ", r->content_type);
	ok = ok && add_header(&h->headers, "Accept:", "");
	ok = ok && add_header(&h->headers, "Expect:", "");
	if (r->token)
		ok = ok && add_header(&h->headers, "Authorization: Bearer ", r->token);
	SET(HTTPHEADER, h->headers);
	return ok ? SYNC_OK : sync_fail(err, SYNC_ENOMEM, "headers for %s", h->host);
}

static enum sync_status set_request(struct sync_http *h, const struct sync_http_request *r, struct sync_error *err)
{
	bool ok = true;

	TRY(check_url(h, r->url, err));
	TRY(set_headers(h, r, err));
	SET(URL, r->url);
	SET(POST, 1L);
	SET(POSTFIELDSIZE_LARGE, (curl_off_t)r->body.len);
	SET(POSTFIELDS, r->body.len > 0 ? r->body.data : "");
	return ok ? SYNC_OK : sync_fail(err, SYNC_ENOMEM, "request to %s", h->host);
}

/* curl's own words where it has some. */
static const char *curl_text(const struct sync_http *h)
{
	return h->text[0] ? h->text : curl_easy_strerror(h->code);
}

static enum sync_status untrusted(const struct sync_http *h, struct sync_error *err)
{
	if (h->o.ca_file)
		return sync_fail(err, SYNC_ETLS,
				 "%s is not who the certificates in %s vouch for (%s): is that the right ca-file?", h->host,
				 h->o.ca_file, curl_text(h));
	return sync_fail(err, SYNC_ETLS,
			 "%s is not who the system's certificates vouch for (%s): if it has an authority of its own, name that "
			 "one's certificate as ca-file",
			 h->host, curl_text(h));
}

/* What a peer that speaks the other of the two looks like; "" for any other failure. */
static const char *scheme_hint(const struct sync_http *h)
{
	bool silent = h->code == CURLE_GOT_NOTHING || h->code == CURLE_RECV_ERROR;

	if (!h->plain && strstr(curl_text(h), "wrong version number"))
		return ": there is no TLS at this port: is it plain http?";
	return h->plain && silent ? ": is it https?" : "";
}

/* What curl reports, as one of ours. */
static enum sync_status outcome(const struct sync_http *h, struct sync_error *err)
{
	switch (h->code) {
	case CURLE_OK:
		/* curl takes a connection that ends within the headers for an empty answer. */
		if (!h->head_read)
			return sync_fail(err, SYNC_ENET, "%s: the answer was cut within its headers", h->host);
		return SYNC_OK;
	case CURLE_PEER_FAILED_VERIFICATION:
	case CURLE_SSL_ISSUER_ERROR:
	case CURLE_SSL_CRL_BADFILE:
		return untrusted(h, err);
	case CURLE_SSL_CACERT_BADFILE:
		return sync_fail(err, SYNC_ETLS, "ca-file %s cannot be used: it must be readable and hold a PEM certificate",
				 h->o.ca_file ? h->o.ca_file : "of the system");
	case CURLE_WRITE_ERROR:
		if (h->body && h->body->status == SYNC_ETOOBIG)
			return sync_fail(err, SYNC_ETOOBIG, "the answer of %s is larger than %zu bytes", h->host, h->body->max);
		return sync_fail(err, SYNC_ENOMEM, "answer of %s", h->host);
	case CURLE_OUT_OF_MEMORY:
		return sync_fail(err, SYNC_ENOMEM, "talking to %s", h->host);
	case CURLE_OPERATION_TIMEDOUT:
		if (h->sent_head > 0)
			return sync_fail(err, SYNC_ENET, "%s: nothing moved for %u s", h->host, h->o.idle_timeout_s);
		return sync_fail(err, SYNC_ENET, "%s: no connection within %d s", h->host, CONNECT_TIMEOUT_S);
	default:
		return sync_fail(err, SYNC_ENET, "%s: %s%s", h->host, curl_text(h), scheme_hint(h));
	}
}

static bool is_sent(const struct sync_http *h)
{
	return h->read_bytes > 0 || (h->sent_head > 0 && h->sent_body >= h->body_bytes);
}

static bool is_done(const struct sync_http *h)
{
	return h->done;
}

static enum sync_status perform(struct sync_http *h, struct sync_error *err)
{
	int running, left;
	CURLMcode code = curl_multi_perform(h->multi, &running);
	const CURLMsg *m;

	if (code != CURLM_OK)
		return sync_fail(err, SYNC_ENOMEM, "%s: %s", h->host, curl_multi_strerror(code));
	while ((m = curl_multi_info_read(h->multi, &left)) != NULL) {
		if (m->msg == CURLMSG_DONE) {
			h->done = true;
			h->code = m->data.result;
		}
	}
	return SYNC_OK;
}

static enum sync_status drive(struct sync_http *h, bool (*until)(const struct sync_http *), struct sync_error *err)
{
	for (;;) {
		TRY(perform(h, err));
		if (h->done)
			return outcome(h, err);
		if (until(h))
			return SYNC_OK;
		if (h->o.stop && *h->o.stop)
			return sync_fail(err, SYNC_EBUSY, "stopped while talking to %s", h->host);
		(void)curl_multi_poll(h->multi, NULL, 0, LONGEST_WAIT_MS, NULL);
	}
}

static enum sync_status begin(struct sync_http *h, const struct sync_http_request *r, struct sync_error *err)
{
	TRY(set_request(h, r, err));
	h->text[0] = '\0';
	h->body_bytes = (int64_t)r->body.len;
	h->sent_head = h->sent_body = h->read_bytes = 0;
	h->done = h->head_read = false;
	if (curl_multi_add_handle(h->multi, h->easy) != CURLM_OK)
		return sync_fail(err, SYNC_ENOMEM, "request to %s", h->host);
	h->busy = true;
	return drive(h, is_sent, err);
}

enum sync_status sync_http_start(struct sync_http *h, const struct sync_http_request *r, struct sync_error *err)
{
	enum sync_status status;

	assert(!h->busy);
	h->started_us = sync_tick_us();
	status = begin(h, r, err);
	if (status != SYNC_OK)
		sync_http_cancel(h);
	h->waited_us = sync_tick_us() - h->started_us;
	return status;
}

static enum sync_status receive(struct sync_http *h, struct sync_http_answer *answer, struct sync_error *err)
{
	h->body = answer->body;
	sync_buf_reset(h->body);
	if (h->done)
		return outcome(h, err);
	/* What came before is handed over in this call, which alone tells whether that went well. */
	h->code = curl_easy_pause(h->easy, CURLPAUSE_CONT);
	return h->code != CURLE_OK ? outcome(h, err) : drive(h, is_done, err);
}

static int64_t date_of(const struct sync_http *h)
{
	struct curl_header *date;
	time_t at;

	if (curl_easy_header(h->easy, "Date", 0, CURLH_HEADER, -1, &date) != CURLHE_OK)
		return 0;
	at = curl_getdate(date->value, NULL);
	return at > 0 ? (int64_t)at : 0;
}

static void describe(const struct sync_http *h, struct sync_http_answer *answer)
{
	long status = 0;
	curl_off_t retry_after_s = 0, first_byte_us = 0;
	const char *type = NULL;

	(void)curl_easy_getinfo(h->easy, CURLINFO_RESPONSE_CODE, &status);
	(void)curl_easy_getinfo(h->easy, CURLINFO_RETRY_AFTER, &retry_after_s);
	(void)curl_easy_getinfo(h->easy, CURLINFO_STARTTRANSFER_TIME_T, &first_byte_us);
	(void)curl_easy_getinfo(h->easy, CURLINFO_CONTENT_TYPE, &type);
	answer->status = (int)status;
	answer->retry_after_s = (unsigned)(retry_after_s < RETRY_AFTER_MAX_S ? retry_after_s : RETRY_AFTER_MAX_S);
	answer->date_s = date_of(h);
	answer->first_byte_ms = first_byte_us / 1000;
	answer->sent_bytes = h->sent_head + h->sent_body;
	answer->read_bytes = h->read_bytes;
	snprintf(answer->content_type, sizeof answer->content_type, "%s", type ? type : "");
}

enum sync_status sync_http_finish(struct sync_http *h, struct sync_http_answer *answer, struct sync_error *err)
{
	int64_t now_us = sync_tick_us();
	enum sync_status status;

	assert(h->busy);
	status = receive(h, answer, err);
	h->waited_us += sync_tick_us() - now_us;
	if (status == SYNC_OK) {
		describe(h, answer);
		answer->waited_ms = h->waited_us / 1000;
		answer->total_ms = (sync_tick_us() - h->started_us) / 1000;
	}
	sync_http_cancel(h);
	return status;
}

enum sync_status sync_http_post(struct sync_http *h, const struct sync_http_request *r, struct sync_http_answer *answer,
				struct sync_error *err)
{
	TRY(sync_http_start(h, r, err));
	return sync_http_finish(h, answer, err);
}

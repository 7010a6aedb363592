#include <libsync/http.h>

#include <arpa/inet.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <sys/socket.h>
#include <unistd.h>

#include "test.h"

/* A server for one test: it reads whole requests and sends a canned answer to each, one connection after the other. */
static struct server {
	int fd;
	pthread_t thread;
	char url[64];
	pthread_mutex_t lock;
	struct sync_buf answer; /* under the lock; empty: none, until the client goes */
	atomic_int connection;  /* the one being served, or -1 */
	atomic_int connections; /* so far */
	atomic_bool close;      /* after each answer */
	atomic_bool hold;       /* wait for `go` before each answer */
	atomic_bool early;      /* answer as soon as the headers are there */
	sem_t read, go;         /* a request is read; the answer may be sent */
	struct sync_buf last;   /* the last whole request, headers and all; look after `read` */
} server;

static bool read_some(int fd, struct sync_buf *b)
{
	char *to = sync_buf_room(b, 65536);
	ssize_t n = to ? recv(fd, to, 65536, 0) : -1;

	if (n <= 0)
		return false;
	b->len += (size_t)n;
	b->data[b->len] = '\0';
	return true;
}

static bool read_request(int fd, struct sync_buf *b)
{
	const char *end, *length;

	sync_buf_reset(b);
	do {
		if (!read_some(fd, b))
			return false;
		end = strstr(b->data, "\r\n\r\n");
	} while (!end);
	length = server.early ? NULL : strstr(b->data, "Content-Length: ");
	while (length && b->len < (size_t)(end + 4 - b->data) + strtoul(length + 16, NULL, 10)) {
		if (!read_some(fd, b))
			return false;
		end = strstr(b->data, "\r\n\r\n");
		length = strstr(b->data, "Content-Length: ");
	}
	return true;
}

/* Whether the connection goes on. */
static bool send_answer(int fd)
{
	defer(sync_buf_clear) struct sync_buf copy = { .max = 32 << 20 };

	pthread_mutex_lock(&server.lock);
	sync_buf_add_view(&copy, sync_buf_view(&server.answer));
	pthread_mutex_unlock(&server.lock);
	return (copy.len == 0 || send(fd, copy.data, copy.len, MSG_NOSIGNAL) > 0) && !server.close;
}

static void serve(int fd)
{
	defer(sync_buf_clear) struct sync_buf got = { .max = 32 << 20 };
	bool more = true;

	while (more && read_request(fd, &got)) {
		sync_buf_reset(&server.last);
		sync_buf_add_view(&server.last, sync_buf_view(&got));
		sem_post(&server.read);
		if (server.hold)
			sem_wait(&server.go);
		more = send_answer(fd);
	}
}

static void *run_server(void *unused)
{
	int fd;

	(void)unused;
	while ((fd = accept(server.fd, NULL, NULL)) >= 0) {
		server.connection = fd;
		server.connections++;
		serve(fd);
		server.connection = -1;
		close(fd);
	}
	return NULL;
}

static int open_server(void **state)
{
	struct sockaddr_in at = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t len = sizeof at;

	(void)state;
	server = (struct server){ .connection = -1, .last.max = 32 << 20, .answer.max = 1 << 20 };
	pthread_mutex_init(&server.lock, NULL);
	server.fd = socket(AF_INET, SOCK_STREAM, 0);
	if (server.fd < 0 || bind(server.fd, (struct sockaddr *)&at, len) || listen(server.fd, 5) ||
	    getsockname(server.fd, (struct sockaddr *)&at, &len))
		return -1;
	snprintf(server.url, sizeof server.url, "http://127.0.0.1:%d/sync/v1/exchange", ntohs(at.sin_port));
	sem_init(&server.read, 0, 0);
	sem_init(&server.go, 0, 0);
	return pthread_create(&server.thread, NULL, run_server, NULL);
}

static int close_server(void **state)
{
	(void)state;
	/* A test that failed has left its client open. */
	shutdown(server.fd, SHUT_RDWR);
	shutdown(server.connection, SHUT_RDWR);
	sem_post(&server.go);
	pthread_join(server.thread, NULL);
	close(server.fd);
	sync_buf_clear(&server.last);
	sync_buf_clear(&server.answer);
	return 0;
}

static size_t will_answer_bytes(const char *answer, size_t len)
{
	pthread_mutex_lock(&server.lock);
	sync_buf_reset(&server.answer);
	sync_buf_add(&server.answer, answer, len);
	pthread_mutex_unlock(&server.lock);
	return len;
}

static size_t will_answer(const char *answer)
{
	return will_answer_bytes(answer, strlen(answer));
}

static struct sync_http *client(const struct sync_http_options *o)
{
	struct sync_http *h = NULL;

	assert_ok(sync_http_new(&h, o, err));
	return h;
}

static struct sync_http_request request(const char *body)
{
	return (struct sync_http_request){ server.url, "application/x-sync", "secret-token", sync_view_of(body) };
}

static const struct sync_http_options plain = { .idle_timeout_s = 30 };

static void a_post_brings_the_answer(void **state)
{
	defer(sync_http_freep) struct sync_http *h = client(&plain);
	defer(sync_buf_clear) struct sync_buf body = { .max = 100 };
	struct sync_http_answer answer = { .body = &body };
	struct sync_http_request r = request("hello");

	(void)state;
	will_answer("HTTP/1.1 200 OK\r\nContent-Type: application/x-sync\r\nContent-Length: 5\r\n\r\nworld");
	assert_ok(sync_http_post(h, &r, &answer, err));
	assert_string_equal("world", body.data);
	assert_int_equal(200, answer.status);
	assert_int_equal(0, answer.retry_after_s);
	assert_string_equal("application/x-sync", answer.content_type);
	assert_true(answer.total_ms >= answer.first_byte_ms && answer.total_ms >= answer.waited_ms);
}

static void a_request_has_no_needless_byte(void **state)
{
	defer(sync_http_freep) struct sync_http *h = client(&plain);
	defer(sync_buf_clear) struct sync_buf body = { .max = 100 };
	struct sync_http_answer answer = { .body = &body };
	struct sync_http_request r = request("hello");
	char expected[300];
	size_t len;

	(void)state;
	len = will_answer("HTTP/1.1 204 No Content\r\n\r\n");
	assert_ok(sync_http_post(h, &r, &answer, err));
	sem_wait(&server.read);
	snprintf(expected, sizeof expected,
		 "POST /sync/v1/exchange HTTP/1.1\r\nHost: %.*s\r\nContent-Type: application/x-sync\r\n"
		 "Authorization: Bearer secret-token\r\nContent-Length: 5\r\n\r\nhello",
		 (int)strcspn(server.url + 7, "/"), server.url + 7);
	assert_string_equal(expected, server.last.data);
	assert_int_equal(strlen(expected), answer.sent_bytes);
	assert_int_equal(len, answer.read_bytes);
	assert_int_equal(0, body.len);
}

static void one_connection_serves_many_requests(void **state)
{
	defer(sync_http_freep) struct sync_http *h = client(&plain);
	defer(sync_buf_clear) struct sync_buf body = { .max = 100 };
	struct sync_http_answer answer = { .body = &body };
	struct sync_http_request r = request("again");

	(void)state;
	will_answer("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
	for (int i = 0; i < 5; i++) {
		assert_ok(sync_http_post(h, &r, &answer, err));
		assert_string_equal("ok", body.data);
	}
	assert_int_equal(1, server.connections);
}

static void a_connection_that_the_peer_closed_is_replaced(void **state)
{
	defer(sync_http_freep) struct sync_http *h = client(&plain);
	defer(sync_buf_clear) struct sync_buf body = { .max = 100 };
	struct sync_http_answer answer = { .body = &body };
	struct sync_http_request r = request("again");

	(void)state;
	server.close = true;
	will_answer("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
	assert_ok(sync_http_post(h, &r, &answer, err));
	assert_ok(sync_http_post(h, &r, &answer, err));
	assert_int_equal(2, server.connections);
}

static void start_sends_all_before_it_returns(void **state)
{
	defer(sync_http_freep) struct sync_http *h = client(&plain);
	defer(sync_buf_clear) struct sync_buf big = { .max = 16 << 20 }, body = { .max = 100 };
	struct sync_http_answer answer = { .body = &body };
	struct sync_http_request r = request("");

	(void)state;
	memset(sync_buf_room(&big, 8 << 20), 'x', 8 << 20);
	big.len = 8 << 20;
	r.body = sync_buf_view(&big);
	server.hold = true;
	will_answer("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
	for (int i = 0; i < 3; i++) {
		assert_ok(sync_http_start(h, &r, err));
		sem_wait(&server.read); /* would wait for ever if a part were still here */
		sem_post(&server.go);
		assert_ok(sync_http_finish(h, &answer, err));
		assert_string_equal("ok", body.data);
		assert_true(answer.sent_bytes > 8 << 20);
	}
}

static void an_answer_that_came_before_finish_is_kept(void **state)
{
	defer(sync_http_freep) struct sync_http *h = client(&plain);
	defer(sync_buf_clear) struct sync_buf body = { .max = 1 << 20 };
	defer(sync_buf_clear) struct sync_buf big = { .max = 1 << 20 };
	struct sync_http_answer answer = { .body = &body };
	struct sync_http_request r = request("a");

	(void)state;
	sync_buf_addf(&big, "HTTP/1.1 200 OK\r\nContent-Length: 200000\r\n\r\n");
	for (int i = 0; i < 20000; i++)
		sync_buf_addf(&big, "%09d\n", i);
	will_answer(big.data);
	assert_ok(sync_http_start(h, &r, err));
	sem_wait(&server.read);
	assert_ok(sync_http_finish(h, &answer, err));
	assert_int_equal(200000, body.len);
	assert_memory_equal(strstr(big.data, "\r\n\r\n") + 4, body.data, body.len);
	assert_int_equal(big.len, answer.read_bytes);
}

static void a_chunked_answer_is_counted_with_its_marks(void **state)
{
	defer(sync_http_freep) struct sync_http *h = client(&plain);
	defer(sync_buf_clear) struct sync_buf body = { .max = 100 };
	struct sync_http_answer answer = { .body = &body };
	struct sync_http_request r = request("a");
	size_t len;

	(void)state;
	len = will_answer("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n6\r\n world\r\n0\r\n\r\n");
	assert_ok(sync_http_post(h, &r, &answer, err));
	assert_string_equal("hello world", body.data);
	assert_int_equal(len, answer.read_bytes);
}

static void a_refusal_is_an_answer(void **state)
{
	defer(sync_http_freep) struct sync_http *h = client(&plain);
	defer(sync_buf_clear) struct sync_buf body = { .max = 100 };
	struct sync_http_answer answer = { .body = &body };
	struct sync_http_request r = request("a");

	(void)state;
	will_answer("HTTP/1.1 503 Busy\r\nRetry-After: 17\r\nContent-Length: 4\r\n\r\nbusy");
	assert_ok(sync_http_post(h, &r, &answer, err));
	assert_int_equal(503, answer.status);
	assert_int_equal(17, answer.retry_after_s);
	assert_string_equal("", answer.content_type);
	assert_string_equal("busy", body.data);
}

static void an_endless_retry_after_is_a_day(void **state)
{
	defer(sync_http_freep) struct sync_http *h = client(&plain);
	defer(sync_buf_clear) struct sync_buf body = { .max = 100 };
	struct sync_http_answer answer = { .body = &body };
	struct sync_http_request r = request("a");

	(void)state;
	will_answer("HTTP/1.1 503 Busy\r\nRetry-After: 99999999999\r\nContent-Length: 0\r\n\r\n");
	assert_ok(sync_http_post(h, &r, &answer, err));
	assert_int_equal(86400, answer.retry_after_s);
}

static void a_redirect_is_not_followed(void **state)
{
	defer(sync_http_freep) struct sync_http *h = client(&plain);
	defer(sync_buf_clear) struct sync_buf body = { .max = 100 };
	struct sync_http_answer answer = { .body = &body };
	struct sync_http_request r = request("a");

	(void)state;
	will_answer("HTTP/1.1 307 Elsewhere\r\nLocation: http://127.0.0.1:1/\r\nContent-Length: 0\r\n\r\n");
	assert_ok(sync_http_post(h, &r, &answer, err));
	assert_int_equal(307, answer.status);
}

static void an_answer_cut_anywhere_is_a_network_failure(void **state)
{
	static const char whole[] = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nworld";
	defer(sync_http_freep) struct sync_http *h = client(&plain);
	defer(sync_buf_clear) struct sync_buf body = { .max = 100 };
	struct sync_http_answer answer = { .body = &body };
	struct sync_http_request r = request("a");
	struct sync_error seen = { 0 };

	(void)state;
	server.close = true;
	for (size_t n = 0; n < sizeof whole - 1; n++) {
		will_answer_bytes(whole, n);
		assert_int_equal(SYNC_ENET, sync_http_post(h, &r, &answer, &seen));
		assert_memory_equal("127.0.0.1: ", seen.text, 11);
	}
}

static void an_answer_that_is_too_large_is_refused(void **state)
{
	defer(sync_http_freep) struct sync_http *h = client(&plain);
	defer(sync_buf_clear) struct sync_buf body = { .max = 4 };
	struct sync_http_answer answer = { .body = &body };
	struct sync_http_request r = request("a");
	struct sync_error seen = { 0 };

	(void)state;
	will_answer("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nworld");
	assert_int_equal(SYNC_ETOOBIG, sync_http_post(h, &r, &answer, &seen));
	assert_string_equal("the answer of 127.0.0.1 is larger than 4 bytes", seen.text);
	will_answer("HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nwell");
	assert_ok(sync_http_post(h, &r, &answer, err));
	assert_string_equal("well", body.data);
}

static void an_early_refusal_ends_the_sending(void **state)
{
	defer(sync_http_freep) struct sync_http *h = client(&plain);
	defer(sync_buf_clear) struct sync_buf big = { .max = 24 << 20 }, body = { .max = 9 };
	struct sync_http_answer answer = { .body = &body };
	struct sync_http_request r = request("");
	struct sync_error seen = { 0 };

	(void)state;
	memset(sync_buf_room(&big, 24 << 20), 'x', 24 << 20);
	big.len = 24 << 20;
	r.body = sync_buf_view(&big);
	server.early = true;
	will_answer("HTTP/1.1 413 Large\r\nContent-Length: 9\r\n\r\ntoo large");
	assert_ok(sync_http_post(h, &r, &answer, err));
	assert_int_equal(413, answer.status);
	assert_string_equal("too large", body.data);
	assert_true(answer.sent_bytes < 24 << 20);
	body.max = 8;
	assert_int_equal(SYNC_ETOOBIG, sync_http_post(h, &r, &answer, &seen));
}

static void a_silent_peer_is_given_up(void **state)
{
	const struct sync_http_options impatient = { .idle_timeout_s = 1 };
	defer(sync_http_freep) struct sync_http *h = client(&impatient);
	defer(sync_buf_clear) struct sync_buf body = { .max = 100 };
	struct sync_http_answer answer = { .body = &body };
	struct sync_http_request r = request("a");
	struct sync_error seen = { 0 };

	(void)state;
	assert_int_equal(SYNC_ENET, sync_http_post(h, &r, &answer, &seen));
	assert_string_equal("127.0.0.1: nothing moved for 1 s", seen.text);
}

static void nobody_listening_is_a_network_failure(void **state)
{
	defer(sync_http_freep) struct sync_http *h = client(&plain);
	struct sync_http_request r = request("a");
	struct sync_error seen = { 0 };

	(void)state;
	r.url = "http://127.0.0.1:1/";
	assert_int_equal(SYNC_ENET, sync_http_start(h, &r, &seen));
	assert_memory_equal("127.0.0.1: Failed to connect", seen.text, 28);
	r.url = "https://no-such-host.invalid/";
	assert_int_equal(SYNC_ENET, sync_http_start(h, &r, &seen));
	assert_memory_equal("no-such-host.invalid: Could not resolve host", seen.text, 44);
}

static void a_stop_ends_the_waiting(void **state)
{
	volatile sig_atomic_t stop = 0;
	const struct sync_http_options stoppable = { .stop = &stop };
	defer(sync_http_freep) struct sync_http *h = client(&stoppable);
	defer(sync_buf_clear) struct sync_buf body = { .max = 100 };
	struct sync_http_answer answer = { .body = &body };
	struct sync_http_request r = request("a");
	struct sync_error seen = { 0 };

	(void)state;
	assert_ok(sync_http_start(h, &r, err));
	stop = 1;
	assert_int_equal(SYNC_EBUSY, sync_http_finish(h, &answer, &seen));
	assert_string_equal("stopped while talking to 127.0.0.1", seen.text);
}

static void a_cancelled_request_leaves_the_handle_usable(void **state)
{
	defer(sync_http_freep) struct sync_http *h = client(&plain);
	defer(sync_buf_clear) struct sync_buf body = { .max = 100 };
	struct sync_http_answer answer = { .body = &body };
	struct sync_http_request r = request("a");

	(void)state;
	assert_ok(sync_http_start(h, &r, err));
	sem_wait(&server.read);
	sync_http_cancel(h);
	sync_http_cancel(h);
	will_answer("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
	assert_ok(sync_http_post(h, &r, &answer, err));
	assert_string_equal("ok", body.data);
}

static void plain_http_leaves_this_machine_only_by_permission(void **state)
{
	static const char *const far[] = {
		"http://central.example.org/", "http://localhost.example.org/", "http://10.0.0.1:8440/",
		"http://[2001:db8::1]/",       "http://127.0.0.1@10.0.0.1/",    "HTTP://central.example.org/",
	};
	defer(sync_http_freep) struct sync_http *h = client(&plain);
	struct sync_http_request r = request("a");
	struct sync_error seen = { 0 };

	(void)state;
	for (size_t i = 0; i < COUNT(far); i++) {
		r.url = far[i];
		assert_int_equal(SYNC_EUSAGE, sync_http_start(h, &r, &seen));
		assert_non_null(strstr(seen.text, "would send everything in the clear: use https, or ask for it by --allow-plain"));
	}
}

static void only_http_urls_are_taken(void **state)
{
	static const char *const bad[] = {
		"ftp://example.org/", "file:///etc/passwd", "central", "", "https://", "https://a b/"
	};
	defer(sync_http_freep) struct sync_http *h = client(&plain);
	struct sync_http_request r = request("a");
	struct sync_error seen = { 0 };

	(void)state;
	for (size_t i = 0; i < COUNT(bad); i++) {
		r.url = bad[i];
		assert_int_equal(SYNC_EUSAGE, sync_http_start(h, &r, &seen));
	}
}

static void a_token_with_a_line_break_is_refused(void **state)
{
	defer(sync_http_freep) struct sync_http *h = client(&plain);
	struct sync_http_request r = request("a");
	struct sync_error seen = { 0 };

	(void)state;
	r.token = "abc\r\nX-Other: 1";
	assert_int_equal(SYNC_EUSAGE, sync_http_start(h, &r, &seen));
	assert_int_equal(0, server.connections);
}

static void a_ca_file_that_is_not_there_is_named(void **state)
{
	const struct sync_http_options o = { .ca_file = "/nowhere/ca.pem", .idle_timeout_s = 30 };
	defer(sync_http_freep) struct sync_http *h = client(&o);
	struct sync_http_request r = request("a");
	struct sync_error seen = { 0 };
	defer(sync_buf_clear) struct sync_buf url = { .max = 100 };

	(void)state;
	sync_buf_addf(&url, "https%s", server.url + 4);
	r.url = url.data;
	assert_int_equal(SYNC_ETLS, sync_http_start(h, &r, &seen));
	assert_string_equal("ca-file /nowhere/ca.pem cannot be used: it must be readable and hold a PEM certificate",
			    seen.text);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, open_server, close_server)

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(a_post_brings_the_answer),
		CASE(a_request_has_no_needless_byte),
		CASE(one_connection_serves_many_requests),
		CASE(a_connection_that_the_peer_closed_is_replaced),
		CASE(start_sends_all_before_it_returns),
		CASE(an_answer_that_came_before_finish_is_kept),
		CASE(a_chunked_answer_is_counted_with_its_marks),
		CASE(a_refusal_is_an_answer),
		CASE(an_endless_retry_after_is_a_day),
		CASE(a_redirect_is_not_followed),
		CASE(an_answer_cut_anywhere_is_a_network_failure),
		CASE(an_answer_that_is_too_large_is_refused),
		CASE(an_early_refusal_ends_the_sending),
		CASE(a_silent_peer_is_given_up),
		CASE(nobody_listening_is_a_network_failure),
		CASE(a_stop_ends_the_waiting),
		CASE(a_cancelled_request_leaves_the_handle_usable),
		CASE(plain_http_leaves_this_machine_only_by_permission),
		CASE(only_http_urls_are_taken),
		CASE(a_token_with_a_line_break_is_refused),
		CASE(a_ca_file_that_is_not_there_is_named),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

#include "wire.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <civetweb.h>

#include <libsync/exchange.h>
#include <libsync/time.h>

#include "base/internal.h"

enum { MOST = 64, ROOM = 65536, SMALL = 4096 };

static enum sync_status failed(struct sync_error *err, const char *what)
{
	return sync_fail(err, SYNC_ENET, "%s: %s", what, strerror(errno));
}

static struct sockaddr_in loopback(int port)
{
	return (struct sockaddr_in){ .sin_family = AF_INET, .sin_port = htons((uint16_t)port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
}

static int dial(int port)
{
	struct sockaddr_in at = loopback(port);
	int fd = socket(AF_INET, SOCK_STREAM, 0), on = 1;

	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	return connect(fd, (struct sockaddr *)&at, sizeof(at)) ? -1 : fd;
}

/* A connection and the request that it repeats. */
struct caller {
	int fd;
	struct sync_buf request;
	char in[ROOM];
	size_t len;
	long rounds;
};

static enum sync_status keep_body(void *ctx, struct sync_view body, struct sync_error *err)
{
	(void)err;
	sync_buf_add_view(ctx, body);
	return SYNC_OK;
}

static enum sync_status no_answer(void *ctx, struct sync_buf *ret, struct sync_error *err)
{
	(void)ctx, (void)ret;
	return sync_fail(err, SYNC_ENET, "only the request was wanted");
}

/* The request that `remote sync` sends when nothing is new. */
static enum sync_status noop_request(struct sync_buf *ret, const char *site, struct sync_error *err)
{
	static const struct sync_db_ops *const drivers[] = { &sync_sqlite, NULL };
	defer(sync_db_closep) struct sync_db *db = NULL;
	defer(sync_buf_clear) struct sync_buf body = { .max = ROOM };
	const struct sync_transport t = { keep_body, no_answer, &body };
	const struct sync_options o = { 0 };
	struct sync_report report;
	struct sync_link link;

	TRY(sync_db_open(&db, site, drivers, SYNC_SITE, false, err));
	TRY(sync_link_get(db, &link, err));
	(void)sync_round(db, &t, &o, &report, NULL);
	if (!body.len)
		return sync_fail(err, SYNC_EINVALID, "%s: no request was made", site);
	sync_buf_addf(ret, "POST /sync/v1/exchange HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer %s\r\n"
	              "Content-Type: application/x-libsync\r\nContent-Length: %zu\r\n\r\n", link.token, body.len);
	sync_buf_add_view(ret, sync_buf_view(&body));
	return sync_buf_check(ret, err);
}

/* Bytes of the whole answer when it is complete, else 0; -1 for anything but 200. */
static long complete(const char *in, size_t len)
{
	const char *end = memmem(in, len, "\r\n\r\n", 4), *length;
	size_t head;

	if (!end)
		return 0;
	if (len < 12 || memcmp(in + 9, "200", 3) != 0)
		return -1;
	head = (size_t)(end - in) + 4;
	length = memmem(in, head, "Content-Length: ", 16);
	if (!length)
		return -1;
	head += strtoul(length + 16, NULL, 10);
	return len >= head ? (long)head : 0;
}

static enum sync_status turn(struct caller *c, struct sync_error *err)
{
	ssize_t n = read(c->fd, c->in + c->len, sizeof(c->in) - c->len);
	long done;

	if (n <= 0)
		return failed(err, "the server closed a kept connection");
	c->len += (size_t)n;
	done = complete(c->in, c->len);
	if (done < 0)
		return sync_fail(err, SYNC_EINVALID, "answer: %.60s", c->in);
	if (!done)
		return SYNC_OK;
	c->len = 0;
	c->rounds++;
	return write(c->fd, c->request.data, c->request.len) == (ssize_t)c->request.len ? SYNC_OK : failed(err, "write");
}

enum sync_status wire_noop(int port, const char *const *sites, size_t n, double seconds, double *ret, struct sync_error *err)
{
	static struct caller callers[MOST];
	struct pollfd fds[MOST];
	int64_t start, end;
	long rounds = 0;

	for (size_t i = 0; i < n && i < MOST; i++) {
		callers[i] = (struct caller){ .fd = dial(port), .request = { .max = ROOM } };
		TRY(noop_request(&callers[i].request, sites[i], err));
		fds[i] = (struct pollfd){ .fd = callers[i].fd, .events = POLLIN };
		if (write(callers[i].fd, callers[i].request.data, callers[i].request.len) < 0)
			return failed(err, "write");
	}
	start = sync_tick_us();
	end = start + (int64_t)(seconds * 1e6);
	while (sync_tick_us() < end) {
		if (poll(fds, n, 1000) < 0)
			return failed(err, "poll");
		for (size_t i = 0; i < n; i++)
			if (fds[i].revents)
				TRY(turn(&callers[i], err));
	}
	for (size_t i = 0; i < n; i++) {
		rounds += callers[i].rounds;
		close(callers[i].fd);
		sync_buf_clear(&callers[i].request);
	}
	*ret = (double)rounds / ((double)(sync_tick_us() - start) / 1e6);
	return SYNC_OK;
}

static int empty_handler(struct mg_connection *c, void *ctx)
{
	const size_t bytes = *(const size_t *)ctx;
	char body[SMALL], answer[SMALL]; /* a worker's stack has 100 KiB */
	int n;

	while (mg_read(c, body, sizeof(body)) > 0)
		;
	n = snprintf(answer, sizeof(answer), "HTTP/1.1 200 OK\r\nContent-Length: %zu\r\n\r\n", bytes);
	memset(answer + n, 'x', bytes);
	mg_write(c, answer, (size_t)n + bytes);
	return 200;
}

enum sync_status wire_empty(size_t answer_bytes, struct sync_error *err)
{
	const char *options[] = { "listening_ports", "127.0.0.1:0", "num_threads", "32", "enable_keep_alive", "yes", "tcp_nodelay", "1",
		                  "keep_alive_timeout_ms", "5000", NULL };
	struct mg_callbacks callbacks = { 0 };
	struct mg_server_port port;
	struct mg_context *context;

	mg_init_library(0);
	context = mg_start(&callbacks, NULL, options);
	if (!context || answer_bytes > SMALL / 2)
		return sync_fail(err, SYNC_ENET, "civetweb did not start");
	mg_set_request_handler(context, "/sync/v1/exchange$", empty_handler, &answer_bytes);
	mg_get_server_ports(context, 1, &port);
	printf("%d\n", port.port);
	fflush(stdout);
	for (;;)
		pause();
}

/* Move what is there from one side to the other. */
static ssize_t pass(int from, int to, long long *count)
{
	char bytes[ROOM];
	ssize_t n = read(from, bytes, sizeof(bytes));

	for (ssize_t at = 0; at < n;) {
		ssize_t w = write(to, bytes + at, (size_t)(n - at));

		if (w <= 0)
			return -1;
		at += w;
	}
	if (n > 0)
		*count += n;
	return n;
}

/* One client after another; remote keeps one connection. */
static void relay_one(int client, int server, long long *in, long long *out)
{
	struct pollfd fds[3] = { { .fd = client, .events = POLLIN }, { .fd = server, .events = POLLIN } };

	while (poll(fds, 2, -1) >= 0) {
		if (fds[0].revents && pass(client, server, in) <= 0)
			break;
		if (fds[1].revents && pass(server, client, out) <= 0)
			break;
	}
	close(client);
	close(server);
}

enum sync_status wire_relay(int port, struct sync_error *err)
{
	struct sockaddr_in at = loopback(0);
	socklen_t len = sizeof(at);
	int fd = socket(AF_INET, SOCK_STREAM, 0);
	struct pollfd fds[2] = { { .fd = fd, .events = POLLIN }, { .fd = 0, .events = POLLIN } };
	long long in = 0, out = 0;
	char c;

	if (bind(fd, (struct sockaddr *)&at, sizeof(at)) || listen(fd, 16) || getsockname(fd, (struct sockaddr *)&at, &len))
		return failed(err, "listen");
	printf("%d\n", ntohs(at.sin_port));
	fflush(stdout);
	while (poll(fds, 2, -1) > 0) {
		if (fds[0].revents)
			relay_one(accept(fd, NULL, NULL), dial(port), &in, &out);
		else if (read(0, &c, 1) <= 0)
			break;
	}
	printf("in=%lld out=%lld\n", in, out);
	close(fd);
	return SYNC_OK;
}

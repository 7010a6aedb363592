#include "loopback.h"

#include "test.h"

enum { MOST = 64 << 20 };

static void keep(struct sync_buf *b, struct sync_view v)
{
	sync_buf_reset(b);
	sync_buf_add_view(b, v);
	assert_int_equal(SYNC_OK, b->status);
}

static enum sync_status start(void *ctx, struct sync_view body, struct sync_error *err)
{
	struct loopback *l = ctx;

	(void)err;
	l->messages++;
	l->request_bytes = body.len;
	keep(&l->request, body);
	return SYNC_OK;
}

/* The answer replaces the one of the message before only when it is there. */
static enum sync_status serve(struct loopback *l, struct sync_view body, struct sync_error *err)
{
	struct sync_view answer;

	l->answered = sync_server_answer(l->server, l->site_id, body, &answer, &l->served, err);
	if (l->answered != SYNC_OK)
		return l->answered;
	l->answer_bytes = answer.len;
	keep(&l->answer, answer);
	return SYNC_OK;
}

static enum sync_status gone(struct sync_error *err)
{
	return sync_fail(err, SYNC_ENET, "the line went dead");
}

/* How much of the answer. */
static size_t arriving(const struct loopback *l, enum loopback_fault fault)
{
	size_t cut = l->cut < l->answer.len ? l->cut : l->answer.len;

	if (fault == LOOPBACK_CUT_ANSWER)
		return cut;
	return fault == LOOPBACK_CUT_END ? l->answer.len - cut : l->answer.len;
}

static enum sync_status finish(void *ctx, struct sync_buf *ret, struct sync_error *err)
{
	struct loopback *l = ctx;
	enum loopback_fault fault = l->messages == l->fault_at ? l->fault : LOOPBACK_NONE;
	struct sync_view body = sync_buf_view(&l->request);
	defer(sync_buf_clear) struct sync_buf old = { .max = MOST };

	sync_buf_reset(ret);
	switch (fault) {
	case LOOPBACK_CUT_REQUEST:
		body.len = l->cut < body.len ? l->cut : body.len;
		(void)serve(l, body, NULL);
		return gone(err);
	case LOOPBACK_LOSE_REQUEST:
		return gone(err);
	case LOOPBACK_DELAY:
		keep(&l->delayed, body);
		return gone(err);
	case LOOPBACK_OLD_ANSWER:
		keep(&old, sync_buf_view(&l->answer));
		(void)serve(l, body, NULL);
		keep(&l->answer, sync_buf_view(&old));
		break;
	case LOOPBACK_REPEAT:
		TRY(serve(l, body, err));
		TRY(serve(l, body, err));
		break;
	case LOOPBACK_NONE:
	case LOOPBACK_CUT_ANSWER:
	case LOOPBACK_CUT_END:
	case LOOPBACK_LOSE_ANSWER:
		TRY(serve(l, body, err));
		break;
	}
	if (fault == LOOPBACK_LOSE_ANSWER)
		return gone(err);
	sync_buf_add(ret, l->answer.data, arriving(l, fault));
	return ret->status;
}

void loopback_open(struct loopback *l, struct sync_db *db, int64_t site_id)
{
	*l = (struct loopback){ .transport = { start, finish, l },
				.db = db,
				.site_id = site_id,
				.request.max = MOST,
				.answer.max = MOST,
				.delayed.max = MOST };
	assert_ok(sync_server_new(&l->server, db, err));
}

void loopback_close(struct loopback *l)
{
	sync_server_free(l->server);
	sync_buf_clear(&l->request);
	sync_buf_clear(&l->answer);
	sync_buf_clear(&l->delayed);
	*l = (struct loopback){ 0 };
}

void loopback_arm(struct loopback *l, enum loopback_fault fault, int64_t nth, size_t cut)
{
	l->fault = fault;
	l->fault_at = l->messages + nth;
	l->cut = cut;
}

enum sync_status loopback_deliver(struct loopback *l)
{
	return serve(l, sync_buf_view(&l->delayed), NULL);
}

void loopback_work(struct loopback *l)
{
	bool more = true;

	while (more)
		assert_ok(sync_server_work(l->server, &more, err));
}

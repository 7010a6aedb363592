#include "conformance_forge.h"

#include <libsync/crypto.h>
#include <libsync/site.h>

enum { MESSAGE = 64 << 20 };

static void take_verdict(struct verdicts *ret, const struct sync_verdict *v)
{
	if (!ret)
		return;
	if (ret->n == ret->cap) {
		size_t cap = ret->cap ? 2 * ret->cap : 64;
		struct sync_verdict *more = sync_arena_get(&ret->arena, cap * sizeof *more);

		assert_non_null(more);
		if (ret->n)
			memcpy(more, ret->v, ret->n * sizeof *more);
		ret->v = more;
		ret->cap = cap;
	}
	ret->v[ret->n++] = *v;
}

static void read_answer(struct sync_view answer, struct verdicts *ret)
{
	defer(sync_reader_freep) struct sync_reader *reader = NULL;
	defer(sync_arena_clear) struct sync_arena own = { 0 };
	enum sync_frame kind = SYNC_FRAME_VERDICT;
	struct sync_header h;
	struct sync_record r;
	struct sync_verdict v;
	struct sync_end end;
	struct sync_view line;

	assert_ok(sync_reader_new(&reader, answer, &sync_default_limits, err));
	assert_ok(sync_reader_header(reader, &h, false, err));
	assert_false(h.refused);
	while (kind != SYNC_FRAME_END) {
		assert_ok(sync_reader_next(reader, ret ? &ret->arena : &own, &kind, &r, &v, &end, &line, err));
		if (kind == SYNC_FRAME_VERDICT)
			take_verdict(ret, &v);
	}
}

/* As if the site went on from what central has of it, with n more edits. */
static struct sync_header next_push(struct country *c, size_t site, size_t n)
{
	struct sync_header h = { .protocol = SYNC_PROTOCOL, .schema = SYNC_SCHEMA_VERSION, .program = "forged" };
	struct sync_link link;
	struct sync_site known;

	assert_ok(sync_link_get(c->site[site].db.db, &link, err));
	assert_ok(sync_site_find(c->central->db, link.name, &known, err));
	h.site = link.site_id;
	memcpy(h.branch, link.branch, sizeof h.branch);
	h.base = known.stored;
	h.made = (struct sync_checkpoint){ .ordinal = known.stored.ordinal + 1, .seq = known.highest + (int64_t)n };
	sync_random_hex(h.made.id, SYNC_CHECKPOINT_ID);
	h.at = known.at;
	h.verdict = known.verdict;
	return h;
}

void forge_push(struct country *c, size_t site, struct sync_record *r, size_t n, struct verdicts *ret)
{
	defer(sync_writer_freep) struct sync_writer *w = NULL;
	struct loopback *line = &c->site[site].line;
	struct sync_header h = next_push(c, site, n);
	struct sync_end end = { 0 };
	struct sync_served served;
	struct sync_view request, answer;

	assert_ok(sync_writer_new(&w, NULL, 3, MESSAGE, err));
	sync_writer_begin(w, &h, true);
	for (size_t i = 0; i < n; i++) {
		r[i].seq = h.made.seq - (int64_t)(n - 1 - i);
		sync_writer_record(w, &r[i]);
	}
	assert_ok(sync_writer_end(w, &end, &request, err));
	assert_ok(sync_server_answer(line->server, line->site_id, request, &answer, &served, err));
	assert_false(served.spooled);
	read_answer(answer, ret);
}

/* A transport that adds to the first answer. */
struct forger {
	const struct sync_transport *real;
	const struct sync_record *r;
	size_t n;
};

static enum sync_status start(void *ctx, struct sync_view body, struct sync_error *err)
{
	const struct forger *f = ctx;

	return f->real->start(f->real->ctx, body, err);
}

static enum sync_status copy_frames(struct forger *f, struct sync_reader *reader, struct sync_writer *w, struct sync_end *end,
                                    struct sync_error *err)
{
	defer(sync_arena_clear) struct sync_arena arena = { 0 };
	struct sync_verdict v;
	struct sync_record r;
	struct sync_view line;
	enum sync_frame kind;

	for (;;) {
		sync_arena_reset(&arena);
		TRY(sync_reader_next(reader, &arena, &kind, &r, &v, end, &line, err));
		if (kind == SYNC_FRAME_END)
			break;
		if (kind == SYNC_FRAME_VERDICT)
			sync_writer_verdict(w, &v);
		else
			sync_writer_record(w, &r);
	}
	for (; f->n > 0; f->r++, f->n--)
		sync_writer_record(w, f->r);
	return SYNC_OK;
}

static enum sync_status finish(void *ctx, struct sync_buf *ret, struct sync_error *err)
{
	defer(sync_buf_clear) struct sync_buf real = { .max = MESSAGE };
	defer(sync_reader_freep) struct sync_reader *reader = NULL;
	defer(sync_writer_freep) struct sync_writer *w = NULL;
	struct forger *f = ctx;
	struct sync_header h;
	struct sync_end end;
	struct sync_view forged;

	TRY(f->real->finish(f->real->ctx, &real, err));
	TRY(sync_reader_new(&reader, sync_buf_view(&real), &sync_default_limits, err));
	TRY(sync_reader_header(reader, &h, false, err));
	TRY(sync_writer_new(&w, NULL, 3, MESSAGE, err));
	sync_writer_begin(w, &h, false);
	TRY(copy_frames(f, reader, w, &end, err));
	TRY(sync_writer_end(w, &end, &forged, err));
	sync_buf_reset(ret);
	sync_buf_add_view(ret, forged);
	return sync_buf_check(ret, err);
}

void forge_pull(struct country *c, size_t site, const struct sync_record *r, size_t n)
{
	struct country_site *s = &c->site[site];
	struct forger f = { &s->line.transport, r, n };
	struct sync_transport transport = { start, finish, &f };

	assert_ok(sync_round(s->db.db, &transport, &c->o, &s->report, err));
	assert_int_equal(0, f.n);
}

const struct sync_verdict *forge_verdict(const struct verdicts *v, const struct sync_record *r)
{
	for (size_t i = 0; i < v->n; i++)
		if (sync_view_eq(v->v[i].entity, r->name) && sync_view_eq(v->v[i].id, r->id) && v->v[i].seq == r->seq)
			return &v->v[i];
	fail_msg("central says nothing to %.*s '%.*s'", SYNC_VIEW(r->name), SYNC_VIEW(r->id));
	return NULL;
}

void forge_clear(struct verdicts *v)
{
	sync_arena_clear(&v->arena);
	*v = (struct verdicts){ 0 };
}

#include "world.h"

#include <inttypes.h>
#include <stdio.h>

#include "base/internal.h"
#include "edits.h"

/*
 * A line between a site and central. What happens to a message is drawn when it is sent; central answers it while the site
 * waits, and meanwhile applications at both ends may edit.
 */

enum { MOST_MESSAGES = 1000 /* of a round */ };

enum happening {
	NOTHING,
	CUT_REQUEST, /* central gets its first bytes */
	CUT_ANSWER,  /* the site gets its first bytes */
	LOSE_REQUEST,
	LOSE_ANSWER,
	REPEAT,     /* central gets it twice, the site gets the second answer */
	OLD_ANSWER, /* the site gets the answer of the message before */
	DELAY,      /* the site gives up; central may get it much later */
	CRASH,      /* central stops while it works on it */
	BREAK,      /* a call of central's database fails */
	FILL,       /* central's disk is full */
	HAPPENINGS
};

static enum sync_status gone(struct sync_error *err)
{
	return sync_fail(err, SYNC_ENET, "the line went dead");
}

static void keep(struct sync_buf *b, struct sync_view v)
{
	sync_buf_reset(b);
	sync_buf_add_view(b, v);
}

/* The frames of a message, for whoever reads the trace. */
static void show_frames(struct world *w, const char *who, struct sync_view body, bool request)
{
	defer(sync_reader_freep) struct sync_reader *reader = NULL;
	defer(sync_arena_clear) struct sync_arena arena = { 0 };
	enum sync_frame kind = SYNC_FRAME_VERDICT;
	struct sync_header header;
	struct sync_verdict verdict;
	struct sync_record record;
	struct sync_view line;
	struct sync_end end;

	if (!w->trace || sync_reader_new(&reader, body, &sync_default_limits, NULL) != SYNC_OK ||
	    sync_reader_header(reader, &header, request, NULL) != SYNC_OK)
		return;
	(void)printf("      %s: base %" PRId64 " made %" PRId64 " upto %" PRId64 ", stored %" PRId64 " integrated %" PRId64
		     ", unpushed %" PRId64 "%s%s%s\n",
		     who, header.base.ordinal, header.made.ordinal, header.made.seq, header.stored.ordinal, header.integrated,
		     header.unpushed, header.part ? ", part" : "", header.cont ? ", goes on" : "",
		     header.refused ? ", refused" : "");
	while (kind != SYNC_FRAME_END &&
	       sync_reader_next(reader, &arena, &kind, &record, &verdict, &end, &line, NULL) == SYNC_OK)
		(void)printf("        %.*s", SYNC_VIEW(line));
}

/* The answer replaces the one of the message before only when it is there. */
static enum sync_status serve(struct world *w, struct node *n, struct sync_view body, struct sync_error *err)
{
	int64_t left = disk_calls(CENTRAL);
	struct sync_served served;
	struct sync_view answer;
	enum sync_status status;
	int actor = w->actor;

	world_act(w, CENTRAL);
	show_frames(w, "request", body, true);
	status = sync_server_answer(w->server, n->site_id, body, &answer, &served, err);
	if (status == SYNC_OK) {
		keep(&n->answer, answer);
		show_frames(w, "answer", answer, false);
	}
	if (disk_dead(CENTRAL))
		status = gone(err);
	trace(w, "  central answers site %d: %s, %zu bytes, %lld calls", n->n, sync_status_name(status),
	      status == SYNC_OK ? answer.len : 0, (long long)(disk_calls(CENTRAL) - left));
	check_groups(w, CENTRAL);
	(void)world_recover(w, CENTRAL, &n->line);
	world_act(w, actor);
	return status;
}

/* What the site gets of the last answer. */
static enum sync_status answer(struct node *n, size_t cut, struct sync_buf *ret)
{
	sync_buf_add(ret, n->answer.data, cut < n->answer.len ? cut : n->answer.len);
	return ret->status;
}

/* Central serves while something is wrong with its machine. */
static enum sync_status serve_badly(struct world *w, struct node *n, enum disk_fault fault, struct sync_buf *ret,
				    struct sync_error *err)
{
	enum sync_status status;

	disk_arm(CENTRAL, fault, dice_range(&n->line, 0, dice_percent(&n->line, 50) ? 40 : 400));
	status = serve(w, n, sync_buf_view(&n->request), err);
	(void)disk_disarm(CENTRAL);
	return status == SYNC_OK ? answer(n, SIZE_MAX, ret) : status;
}

static void keep_late(struct world *w, struct node *n)
{
	struct late *l = &w->late[dice_below(&n->line, LATE)];

	l->site = n->n;
	keep(&l->body, sync_buf_view(&n->request));
}

static void meanwhile(struct world *w, struct node *n)
{
	int who = dice_percent(&n->line, 60) ? n->n : CENTRAL;
	int actor = w->actor;

	if (!dice_percent(&n->line, n->busy) || disk_dead(n->n) || disk_armed(who))
		return;
	w->figures->meanwhile++;
	world_act(w, who);
	if (who == CENTRAL && dice_percent(&n->line, 40))
		world_work(w, 1);
	else
		edit(w, who, &n->line);
	world_act(w, actor);
}

static enum sync_status start(void *ctx, struct sync_view body, struct sync_error *err)
{
	struct node *n = ctx;
	struct world *w = n->world;

	if (disk_dead(n->n))
		return gone(err);
	if (++n->messages > MOST_MESSAGES) {
		violate(w, 10, "a round of site %d does not end after %d messages", n->n, MOST_MESSAGES);
		return gone(err);
	}
	w->figures->messages++;
	keep(&n->request, body);
	w->now_us += dice_range(&n->line, 1000, dice_percent(&n->line, 5) ? 20000000 : 500000);
	return SYNC_OK;
}

static enum sync_status carry(struct world *w, struct node *n, enum happening what, struct sync_buf *ret,
			      struct sync_error *err)
{
	struct sync_view body = sync_buf_view(&n->request);

	switch (what) {
	case CUT_REQUEST:
		w->figures->cut_requests++;
		body.len = dice_below(&n->line, body.len);
		(void)serve(w, n, body, NULL);
		return gone(err);
	case CUT_ANSWER:
		w->figures->cut_answers++;
		TRY(serve(w, n, body, err));
		return answer(n, dice_below(&n->line, n->answer.len), ret);
	case LOSE_REQUEST:
		w->figures->lost_requests++;
		return gone(err);
	case LOSE_ANSWER:
		w->figures->lost_answers++;
		(void)serve(w, n, body, NULL);
		return gone(err);
	case REPEAT:
		w->figures->repeats++;
		TRY(serve(w, n, body, err));
		break;
	case OLD_ANSWER:
		w->figures->old_answers++;
		TRY(answer(n, SIZE_MAX, ret));
		return serve(w, n, body, err);
	case DELAY:
		w->figures->delays++;
		keep_late(w, n);
		return gone(err);
	case CRASH:
		return serve_badly(w, n, DISK_CRASH, ret, err);
	case BREAK:
		w->figures->io_errors++;
		return serve_badly(w, n, DISK_IOERR, ret, err);
	case FILL:
		w->figures->full_disks++;
		return serve_badly(w, n, DISK_FULL, ret, err);
	case NOTHING:
	case HAPPENINGS:
		break;
	}
	TRY(serve(w, n, body, err));
	return answer(n, SIZE_MAX, ret);
}

static enum sync_status finish(void *ctx, struct sync_buf *ret, struct sync_error *err)
{
	struct node *n = ctx;
	struct world *w = n->world;
	enum happening what = NOTHING;

	sync_buf_reset(ret);
	meanwhile(w, n);
	if (disk_dead(n->n))
		return gone(err);
	if (dice_percent(&n->line, n->trouble))
		what = (enum happening)dice_range(&n->line, NOTHING + 1, HAPPENINGS - 1);
	if (n->trouble && dice_percent(&n->line, 10))
		keep_late(w, n);
	TRY(carry(w, n, what, ret, err));
	meanwhile(w, n);
	return SYNC_OK;
}

enum sync_status world_round(struct world *w, int site, const struct sync_options *o, struct sync_report *report,
			     struct sync_error *err)
{
	struct node *n = &w->node[site];
	const struct sync_transport t = { start, finish, n };
	enum sync_status status;

	world_act(w, site);
	n->messages = 0;
	w->figures->rounds++;
	status = sync_round(n->db, &t, o, report, err);
	world_act(w, CENTRAL);
	return status;
}

void world_deliver(struct world *w, size_t late)
{
	struct late *l = &w->late[late];
	struct node *n = &w->node[l->site];

	if (!l->body.len)
		return;
	w->figures->late++;
	(void)serve(w, n, sync_buf_view(&l->body), NULL);
}

void world_work(struct world *w, int steps)
{
	struct sync_error err = { 0 };
	bool more = true;

	while (more && steps-- > 0) {
		w->figures->work++;
		if (sync_server_work(w->server, &more, &err) != SYNC_OK) {
			trace(w, "  central's work: %s: %s", sync_status_name(err.status), err.text);
			break;
		}
	}
	check_groups(w, CENTRAL);
}

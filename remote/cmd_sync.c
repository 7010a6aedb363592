#include "round.h"

#include <inttypes.h>

/* What is left after a round that went well. */
static enum sync_status check_complete(const struct sync_report *r, struct sync_error *err)
{
	if (!r->unpushed && !r->more && !r->waiting && !r->waiting_at_central && !r->refused)
		return SYNC_OK;
	return sync_fail(err, SYNC_EINCOMPLETE,
	                 "not everything went both ways: %" PRId64 " edit%s not at central, %" PRId64 " record%s not here, %" PRId64
	                 " waiting here, %" PRId64 " edit%s waiting at central, %" PRId64 " not taken: remote status tells which",
	                 r->unpushed, plural(r->unpushed), r->more, plural(r->more), r->waiting, r->waiting_at_central,
	                 plural(r->waiting_at_central), r->refused);
}

static enum sync_status print_report(const struct session *s, const struct sync_report *r, bool json, bool ok, struct sync_error *err)
{
	defer(sync_buf_clear) struct sync_buf b = { .max = 4096 };

	if (json) {
		sync_show_open(&b, NULL, '{');
		sync_show_bool(&b, "ok", ok);
		report_json(&b, r, s);
		sync_show_close(&b, '}');
	} else {
		sync_buf_addf(&b, "%" PRId64 " record%s pushed, %" PRId64 " pulled, %" PRId64 " bytes sent, %" PRId64 " received, %" PRId64 " ms",
		              r->pushed, plural(r->pushed), r->pulled, s->http.sent_bytes, s->http.read_bytes, r->ms);
	}
	return sync_show_print(&b, err);
}

enum sync_status cmd_sync(const struct sync_call *call, struct sync_error *err)
{
	defer(session_close) struct session s = { 0 };
	struct sync_report r;
	struct sync_error left;
	enum sync_status complete;

	remote_catch_signals();
	TRY(session_open(&s, call, err));
	TRY(session_round(&s, &r, err));
	complete = check_complete(&r, &left);
	TRY(print_report(&s, &r, call->json, complete == SYNC_OK, err));
	return complete == SYNC_OK ? SYNC_OK : sync_fail(err, left.status, "%s", left.text);
}

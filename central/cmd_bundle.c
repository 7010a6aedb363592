#include "central.h"
#include "report.h"

#include <inttypes.h>
#include <string.h>

#include <libsync/bundle.h>

static enum sync_status print_report(const struct sync_bundled *x, const char *file, bool json, struct sync_error *err)
{
	defer(sync_buf_clear) struct sync_buf b = { .max = MAX_REPORT };

	if (json) {
		sync_show_open(&b, NULL, '{');
		sync_show_bool(&b, "ok", true);
		sync_bundled_json(&b, x);
		sync_show_close(&b, '}');
	} else {
		sync_buf_addf(&b, "%s for site '%s' in %s: %" PRId64 " record%s, %" PRId64 " bytes",
		              !strcmp(x->kind, "load") ? "the first load" : "what is new", x->site, file, x->records, plural(x->records), x->bytes);
	}
	return sync_show_print(&b, err);
}

enum sync_status cmd_bundle(const struct sync_call *call, struct sync_error *err)
{
	const struct central_settings *s = call->settings;
	defer(sync_db_closep) struct sync_db *db = NULL;
	struct sync_bundled done;
	char secret[64] = "";
	enum sync_status status;

	if (s->secret_file)
		TRY(sync_secret_read(s->secret_file, secret, err));
	TRY(central_edit(&db, call, false, err));
	status = sync_bundle_give(db, call->args[0], call->args[1], s->secret_file ? secret : NULL, &done, err);
	explicit_bzero(secret, sizeof secret);
	TRY(status);
	return print_report(&done, call->args[1], call->json, err);
}

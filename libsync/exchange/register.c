#include <libsync/site.h>

#include <stdio.h>
#include <string.h>

#include "base/internal.h"
#include "codec/members.h"

/* request = {"site": name, "secret": text, "installation": id, "version": of the program} */
#define REQUEST(r)                                                                                                   \
	{ { "site", (r)->site, sizeof (r)->site, NULL }, { "secret", (r)->secret, sizeof (r)->secret, NULL },        \
	  { "installation", (r)->installation, sizeof (r)->installation, NULL },                                     \
	  { "version", (r)->version, sizeof (r)->version, NULL } }

/* answer = {"site_id": number, "token": text} */
#define ANSWER(r) { { "site_id", NULL, 0, &(r)->site_id }, { "token", (r)->token, sizeof (r)->token, NULL } }

void sync_registration_write(struct sync_buf *b, const struct sync_registration *r)
{
	struct sync_registration copy = *r;
	const struct sync_member members[] = REQUEST(&copy);

	sync_members_write(b, members, COUNT(members));
}

enum sync_status sync_registration_read(struct sync_registration *ret, struct sync_view body, struct sync_error *err)
{
	struct sync_registration r = { 0 };
	const struct sync_member members[] = REQUEST(&r);

	TRY(sync_members_read(members, COUNT(members), body, SYNC_EBADREQUEST, err));
	*ret = r;
	return SYNC_OK;
}

void sync_registered_write(struct sync_buf *b, const struct sync_registration *r)
{
	struct sync_registration copy = *r;
	const struct sync_member members[] = ANSWER(&copy);

	sync_members_write(b, members, COUNT(members));
}

enum sync_status sync_registered_read(struct sync_registration *ret, struct sync_view body, struct sync_error *err)
{
	struct sync_registration r = *ret;
	const struct sync_member members[] = ANSWER(&r);

	TRY(sync_members_read(members, COUNT(members), body, SYNC_EBADFRAME, err));
	*ret = r;
	return SYNC_OK;
}

/* problem = {"error": name of the status, "text": what was seen} */
void sync_problem_write(struct sync_buf *b, const struct sync_error *problem)
{
	char name[32], text[sizeof problem->text];
	const struct sync_member members[] = { { "error", name, sizeof name, NULL }, { "text", text, sizeof text, NULL } };

	snprintf(name, sizeof name, "%s", sync_status_name(problem->status));
	snprintf(text, sizeof text, "%s", problem->text);
	sync_members_write(b, members, COUNT(members));
}

/* What a proxy in front of central, or no central at all, may answer. */
static enum sync_status status_of_http(int http)
{
	switch (http) {
	case 401:
		return SYNC_EUNAUTHORIZED;
	case 413:
		return SYNC_ETOOBIG;
	case 429:
	case 503:
		return SYNC_EBUSY;
	default:
		return SYNC_ENET;
	}
}

enum sync_status sync_problem_read(struct sync_view body, int http, unsigned retry_after_s, struct sync_error *err)
{
	char name[32], text[sizeof err->text];
	const struct sync_member members[] = { { "error", name, sizeof name, NULL }, { "text", text, sizeof text, NULL } };
	enum sync_status status;

	if (sync_members_read(members, COUNT(members), body, SYNC_ENET, NULL) == SYNC_OK) {
		status = sync_status_of_name(name);
		status = sync_fail(err, status == SYNC_OK ? SYNC_EIO : status, "central: %s", text);
	} else {
		status = sync_fail(err, status_of_http(http), "the answer is not from central: HTTP status %d%s", http,
		                   http == 503 || http == 429 ? ", come again later" : ": check the url");
	}
	if (err)
		err->retry_after_s = retry_after_s;
	return status;
}

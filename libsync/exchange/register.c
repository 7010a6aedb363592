#include <libsync/site.h>

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/internal.h"
#include "codec/json.h"

enum { DEPTH = 2 };

/* A member of one of the objects below: text, or an id, from 1 to INT32_MAX, when text is NULL. */
struct member {
	const char *name;
	char *text;
	size_t size;
	int64_t *number;
};

static void write_members(struct sync_buf *b, const struct member *m, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		sync_buf_addf(b, "%s\"%s\":", i ? "," : "{", m[i].name);
		if (m[i].text)
			sync_json_write_text(b, sync_view_of(m[i].text));
		else
			sync_buf_addf(b, "%lld", (long long)*m[i].number);
	}
	sync_buf_add_char(b, '}');
}

static bool read_member(const struct member *m, const struct sync_json *json)
{
	if (!m->text) {
		if (json->type != SYNC_JSON_NUMBER || json->number < 1 || json->number > INT32_MAX || fmod(json->number, 1) != 0)
			return false;
		*m->number = (int64_t)json->number;
		return true;
	}
	if (json->type != SYNC_JSON_TEXT || json->text.len >= m->size)
		return false;
	memcpy(m->text, json->text.data, json->text.len);
	m->text[json->text.len] = '\0';
	return true;
}

/* All of them must be there; others may be, for a later version of the other side. */
static enum sync_status read_members(const struct member *m, size_t n, struct sync_view body, enum sync_status wrong,
                                     struct sync_error *err)
{
	struct sync_json object, member;
	unsigned seen = 0;

	if (sync_json_parse(&object, body, DEPTH, err) != SYNC_OK)
		return sync_fail(err, wrong, "%s", err ? err->text : "");
	for (bool more = sync_json_first(&member, &object); more; more = sync_json_next(&member)) {
		for (size_t i = 0; i < n; i++) {
			if (!sync_view_is(member.name, m[i].name))
				continue;
			if (!read_member(&m[i], &member))
				return sync_fail(err, wrong, "'%s' is not a value that it can have", m[i].name);
			seen |= 1u << i;
		}
	}
	for (size_t i = 0; i < n; i++)
		if (!(seen & 1u << i))
			return sync_fail(err, wrong, "'%s' is missing", m[i].name);
	return SYNC_OK;
}

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
	const struct member members[] = REQUEST(&copy);

	write_members(b, members, COUNT(members));
}

enum sync_status sync_registration_read(struct sync_registration *ret, struct sync_view body, struct sync_error *err)
{
	struct sync_registration r = { 0 };
	const struct member members[] = REQUEST(&r);

	TRY(read_members(members, COUNT(members), body, SYNC_EBADREQUEST, err));
	*ret = r;
	return SYNC_OK;
}

void sync_registered_write(struct sync_buf *b, const struct sync_registration *r)
{
	struct sync_registration copy = *r;
	const struct member members[] = ANSWER(&copy);

	write_members(b, members, COUNT(members));
}

enum sync_status sync_registered_read(struct sync_registration *ret, struct sync_view body, struct sync_error *err)
{
	struct sync_registration r = *ret;
	const struct member members[] = ANSWER(&r);

	TRY(read_members(members, COUNT(members), body, SYNC_EBADFRAME, err));
	*ret = r;
	return SYNC_OK;
}

/* problem = {"error": name of the status, "text": what was seen} */
void sync_problem_write(struct sync_buf *b, const struct sync_error *problem)
{
	char name[32], text[sizeof problem->text];
	const struct member members[] = { { "error", name, sizeof name, NULL }, { "text", text, sizeof text, NULL } };

	snprintf(name, sizeof name, "%s", sync_status_name(problem->status));
	snprintf(text, sizeof text, "%s", problem->text);
	write_members(b, members, COUNT(members));
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
	const struct member members[] = { { "error", name, sizeof name, NULL }, { "text", text, sizeof text, NULL } };
	enum sync_status status;

	if (read_members(members, COUNT(members), body, SYNC_ENET, NULL) == SYNC_OK) {
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

#include "codec/members.h"

#include <math.h>
#include <string.h>

#include "base/internal.h"
#include "codec/json.h"

enum { DEPTH = 2 };

void sync_members_write(struct sync_buf *b, const struct sync_member *m, size_t n)
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

static bool read_member(const struct sync_member *m, const struct sync_json *json)
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

enum sync_status sync_members_read(const struct sync_member *m, size_t n, struct sync_view body, enum sync_status wrong,
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

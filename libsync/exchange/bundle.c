#include "exchange/bundle.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include <libsync/command.h>
#include <libsync/time.h>

#include "base/file.h"
#include "base/internal.h"
#include "codec/members.h"

/*
 * bundle  = "libsync bundle 1" newline, clear newline, start, chunks
 * clear   = {"kind", "site", "site_id", "installation", "made_at", "program", "key", "salt"}
 * chunks  = sealed pieces of 64 KiB of text, the last one shorter and marked as the last; the first is sealed with clear
 * text    = head and messages, each with its length before it, 4 bytes, the highest first
 * head    = {"token", "from", "places", "pushes"}
 */
static const char magic[] = "libsync bundle ";
const char sync_bundle_load[] = "load", sync_bundle_news[] = "news", sync_bundle_edits[] = "edits";
const char sync_bundle_by_secret[] = "secret", sync_bundle_by_token[] = "token";

#define CLEAR(c)                                                                                                             \
	{ { "kind", (c)->kind, sizeof (c)->kind, NULL }, { "site", (c)->site, sizeof (c)->site, NULL },                      \
	  { "site_id", NULL, 0, &(c)->site_id }, { "installation", (c)->installation, sizeof (c)->installation, NULL },      \
	  { "made_at", (c)->made_at, sizeof (c)->made_at, NULL }, { "program", (c)->program, sizeof (c)->program, NULL },    \
	  { "key", (c)->key, sizeof (c)->key, NULL }, { "salt", (c)->salt, sizeof (c)->salt, NULL } }

#define HEAD(h)                                                                                                        \
	{ { "token", (h)->token, sizeof (h)->token, NULL }, { "from", (h)->from, sizeof (h)->from, NULL },             \
	  { "places", (h)->places, sizeof (h)->places, NULL }, { "pushes", (h)->pushes, sizeof (h)->pushes, NULL } }

enum { LENGTH = 4, MOST_HEAD = 16 << 10 };

void sync_place_text(char ret[static SYNC_BUNDLE_PLACE], const struct sync_position *at)
{
	snprintf(ret, SYNC_BUNDLE_PLACE, "%" PRId64 ".%s/%" PRId64 ".%s", at->all.seq, at->all.id, at->own.seq, at->own.id);
}

int64_t sync_place_seq(const struct sync_position *at)
{
	return at->all.seq > at->own.seq ? at->all.seq : at->own.seq;
}

bool sync_words_have(const char *words, const char *word)
{
	size_t len = strlen(word);

	for (const char *at = words, *end; len > 0 && (end = strchr(at, ' ')) != NULL; at = end + 1)
		if ((size_t)(end - at) == len && !strncmp(at, word, len))
			return true;
	return false;
}

void sync_words_add(char *words, size_t size, const char *word)
{
	size_t len = strlen(words), more = strlen(word) + 1;

	while (len + more >= size) {
		const char *blank = strchr(words, ' ');
		size_t oldest = blank ? (size_t)(blank + 1 - words) : len;

		if (oldest == 0)
			return;
		len -= oldest;
		memmove(words, words + oldest, len + 1);
	}
	snprintf(words + len, size - len, "%s ", word);
}

void sync_bundled_json(struct sync_buf *b, const struct sync_bundled *x)
{
	const struct {
		const char *key;
		int64_t n;
	} figures[] = { { "messages", x->messages }, { "known", x->known }, { "records", x->records }, { "bytes", x->bytes } };

	sync_show_text(b, "kind", sync_view_of(x->kind));
	sync_show_text(b, "site", sync_view_of(x->site));
	sync_show_text(b, "made_at", sync_view_of(x->made_at));
	for (size_t i = 0; i < COUNT(figures); i++)
		sync_show_int(b, figures[i].key, figures[i].n);
}

/* writing */

void sync_bundle_freep(struct sync_bundle_out **b)
{
	if (!*b)
		return;
	sync_part_close(&(*b)->part);
	sync_seal_clear(&(*b)->seal);
	explicit_bzero((*b)->key, sizeof (*b)->key);
	free(*b);
}

void sync_bundle_sign(struct sync_bundle_clear *c)
{
	sync_random_hex(c->salt, sizeof c->salt - 1);
	sync_time_text(c->made_at, sync_now_us());
	snprintf(c->program, sizeof c->program, "%s", SYNC_VERSION);
}

void sync_bundle_tell(struct sync_bundled *ret, const struct sync_bundle_clear *c)
{
	memcpy(ret->kind, c->kind, sizeof ret->kind);
	memcpy(ret->site, c->site, sizeof ret->site);
	memcpy(ret->made_at, c->made_at, sizeof ret->made_at);
}

static enum sync_status write_out(struct sync_bundle_out *b, struct sync_view data, struct sync_error *err)
{
	b->bytes += (int64_t)data.len;
	return sync_fd_write(b->part.fd, b->part.name, data, err);
}

static enum sync_status put_chunk(struct sync_bundle_out *b, bool last, struct sync_error *err)
{
	unsigned char sealed[SYNC_BUNDLE_CHUNK + SYNC_SEAL_MORE];

	sync_seal_put(&b->seal, sealed, (struct sync_view){ b->chunk, b->used }, sync_view_of(b->text), last);
	b->text[0] = '\0';
	TRY(write_out(b, (struct sync_view){ (const char *)sealed, b->used + SYNC_SEAL_MORE }, err));
	b->used = 0;
	return SYNC_OK;
}

static enum sync_status put_bytes(struct sync_bundle_out *b, struct sync_view v, struct sync_error *err)
{
	while (v.len > 0) {
		size_t room = sizeof b->chunk - b->used, n = v.len < room ? v.len : room;

		memcpy(b->chunk + b->used, v.data, n);
		b->used += n;
		v = (struct sync_view){ v.data + n, v.len - n };
		if (b->used == sizeof b->chunk)
			TRY(put_chunk(b, false, err));
	}
	return SYNC_OK;
}

enum sync_status sync_bundle_put(struct sync_bundle_out *b, struct sync_view message, struct sync_error *err)
{
	char length[LENGTH] = { (char)(message.len >> 24), (char)(message.len >> 16), (char)(message.len >> 8), (char)message.len };

	if (message.len > SYNC_BUNDLE_MESSAGE)
		return sync_fail(err, SYNC_ETOOBIG, "a message of %zu bytes, a bundle takes %d", message.len, (int)SYNC_BUNDLE_MESSAGE);
	TRY(put_bytes(b, (struct sync_view){ length, sizeof length }, err));
	return put_bytes(b, message, err);
}

static enum sync_status write_clear(struct sync_bundle_out *b, struct sync_error *err)
{
	defer(sync_buf_clear) struct sync_buf line = { .max = sizeof b->text - 1 };
	const struct sync_member members[] = CLEAR(&b->clear);
	char first[32];

	sync_members_write(&line, members, COUNT(members));
	TRY(sync_buf_check(&line, err));
	memcpy(b->text, line.data, line.len + 1);
	snprintf(first, sizeof first, "%s%d\n", magic, (int)SYNC_BUNDLE_FORMAT);
	TRY(write_out(b, sync_view_of(first), err));
	TRY(write_out(b, sync_buf_view(&line), err));
	return write_out(b, sync_view_of("\n"), err);
}

static enum sync_status write_head(struct sync_bundle_out *b, const struct sync_bundle_head *head, struct sync_error *err)
{
	defer(sync_buf_clear) struct sync_buf line = { .max = MOST_HEAD };
	struct sync_bundle_head copy = *head;
	const struct sync_member members[] = HEAD(&copy);

	sync_members_write(&line, members, COUNT(members));
	TRY(sync_buf_check(&line, err));
	return sync_bundle_put(b, sync_buf_view(&line), err);
}

enum sync_status sync_bundle_spare(const char *path, struct sync_error *err)
{
	char text[sizeof magic] = "";
	FILE *f = fopen(path, "re");
	bool is_bundle;

	if (!f)
		return errno == ENOENT ? SYNC_OK : sync_file_failed(path, err);
	is_bundle = fgets(text, sizeof text, f) && strcmp(text, magic) == 0;
	fclose(f);
	return is_bundle ? SYNC_OK : sync_fail(err, SYNC_EINVALID, "%s exists and is no bundle: name another file, or remove it", path);
}

enum sync_status sync_bundle_new(struct sync_bundle_out **ret, const char *path, struct sync_error *err)
{
	defer(sync_bundle_freep) struct sync_bundle_out *b = calloc(1, sizeof *b);

	TRY(sync_bundle_spare(path, err));
	if (!b)
		return sync_fail(err, SYNC_ENOMEM, "writing %s", path);
	TRY(sync_part_open(&b->part, path, err));
	*ret = steal(b);
	return SYNC_OK;
}

enum sync_status sync_bundle_front(struct sync_bundle_out *b, const struct sync_bundle_clear *clear, const struct sync_bundle_head *head,
                                   struct sync_error *err)
{
	unsigned char start[SYNC_SEAL_START];

	b->clear = *clear;
	sync_seal_open(&b->seal, b->key, start);
	TRY(write_clear(b, err));
	TRY(write_out(b, (struct sync_view){ (const char *)start, sizeof start }, err));
	return write_head(b, head, err);
}

enum sync_status sync_bundle_finish(struct sync_bundle_out *b, struct sync_error *err)
{
	TRY(put_chunk(b, true, err));
	return sync_part_finish(&b->part, err);
}

/* reading */

void sync_bundle_closep(struct sync_bundle_in **b)
{
	if (!*b)
		return;
	if ((*b)->f)
		fclose((*b)->f);
	sync_buf_clear(&(*b)->text);
	sync_buf_clear(&(*b)->message);
	explicit_bzero(*b, sizeof **b);
	free(*b);
}

static enum sync_status unreadable(const struct sync_bundle_in *b, struct sync_error *err)
{
	return sync_fail(err, SYNC_EIO, "%s: %s", b->path, strerror(errno));
}

static enum sync_status cut_short(const struct sync_bundle_in *b, struct sync_error *err)
{
	return sync_fail(err, SYNC_EBADFRAME, "%s was cut short after %ld bytes: copy it again, whole", b->path, ftell(b->f));
}

static enum sync_status altered(const struct sync_bundle_in *b, struct sync_error *err)
{
	return sync_fail(err, SYNC_EBADFRAME, "%s was altered before byte %ld: copy it again, or make a new one", b->path, ftell(b->f));
}

/* A line of at most max bytes, without its end. */
static enum sync_status read_line(struct sync_bundle_in *b, struct sync_buf *ret, struct sync_error *err)
{
	int c;

	while ((c = getc(b->f)) != EOF && c != '\n') {
		if (ret->len >= ret->max)
			return altered(b, err);
		sync_buf_add_char(ret, (char)c);
	}
	if (ferror(b->f))
		return unreadable(b, err);
	TRY(sync_buf_check(ret, err));
	return c == '\n' ? SYNC_OK : cut_short(b, err);
}

static enum sync_status read_magic(struct sync_bundle_in *b, struct sync_error *err)
{
	char text[sizeof magic - 1 + 5] = "";
	size_t len = sizeof magic - 1;
	int format;

	if (!fgets(text, sizeof text, b->f) && ferror(b->f))
		return unreadable(b, err);
	if (strncmp(text, magic, len) != 0 || sscanf(text + len, "%3d", &format) != 1 || text[strlen(text) - 1] != '\n' || format < 1)
		return sync_fail(err, SYNC_EBADFRAME, "%s is not a bundle", b->path);
	if (format > SYNC_BUNDLE_FORMAT)
		return sync_fail(err, SYNC_EVERSION, "%s was made by a newer version, in format %d; this one reads upto %d: update it first",
		                 b->path, format, (int)SYNC_BUNDLE_FORMAT);
	return SYNC_OK;
}

static enum sync_status read_clear(struct sync_bundle_in *b, struct sync_error *err)
{
	const struct sync_member members[] = CLEAR(&b->clear);
	struct sync_error inner = { 0 };

	TRY(read_line(b, &b->text, err));
	if (sync_members_read(members, COUNT(members), sync_buf_view(&b->text), SYNC_EBADFRAME, &inner) != SYNC_OK)
		return sync_fail(err, SYNC_EBADFRAME, "%s was altered: its second line: %s", b->path, inner.text);
	b->front = ftell(b->f);
	return SYNC_OK;
}

enum sync_status sync_bundle_open(struct sync_bundle_in **ret, const char *path, struct sync_error *err)
{
	defer(sync_bundle_closep) struct sync_bundle_in *b = calloc(1, sizeof *b);

	if (!b)
		return sync_fail(err, SYNC_ENOMEM, "opening %s", path);
	b->path = path;
	b->text.max = SYNC_BUNDLE_CLEAR - 1;
	b->message.max = SYNC_BUNDLE_MESSAGE + 1;
	b->f = fopen(path, "re");
	if (!b->f)
		return unreadable(b, err);
	TRY(read_magic(b, err));
	TRY(read_clear(b, err));
	*ret = steal(b);
	return SYNC_OK;
}

enum sync_status sync_bundle_look(const char *path, struct sync_bundled *ret, struct sync_error *err)
{
	defer(sync_bundle_closep) struct sync_bundle_in *b = NULL;

	*ret = (struct sync_bundled){ 0 };
	TRY(sync_bundle_open(&b, path, err));
	sync_bundle_tell(ret, &b->clear);
	return SYNC_OK;
}

/* What to do with a bundle of that kind. */
static const char *way_of(const char *kind)
{
	if (!strcmp(kind, sync_bundle_load))
		return "it is a first load: remote init --bundle takes it";
	if (!strcmp(kind, sync_bundle_news))
		return "it is from central for a site: remote accept takes it";
	return !strcmp(kind, sync_bundle_edits) ? "it has a site's edits: central accept takes it" : "its kind is not known here: update first";
}

enum sync_status sync_bundle_check(const struct sync_bundle_in *b, const char *const *kinds, int64_t site_id, const char *site,
                                   const char *installation, struct sync_error *err)
{
	const struct sync_bundle_clear *c = &b->clear;

	while (*kinds && strcmp(*kinds, c->kind) != 0)
		kinds++;
	if (!*kinds)
		return sync_fail(err, SYNC_EINVALID, "%s is not for this: %s", b->path, way_of(c->kind));
	if (strcmp(c->site, site) != 0 || c->site_id != site_id)
		return sync_fail(err, SYNC_EINVALID, "%s is of site '%s' (%" PRId64 "), this is site '%s' (%" PRId64 ")", b->path, c->site,
		                 c->site_id, site, site_id);
	if (strcmp(c->installation, installation) != 0)
		return sync_fail(err, SYNC_EINVALID,
		                 "%s is of another installation of site '%s': of another central, or from before the site began anew", b->path,
		                 site);
	return SYNC_OK;
}

static enum sync_status read_chunk(struct sync_bundle_in *b, struct sync_error *err)
{
	struct sync_view beside = b->first ? sync_buf_view(&b->text) : (struct sync_view){ 0 };
	size_t got = fread(b->sealed, 1, sizeof b->sealed, b->f);

	if (ferror(b->f))
		return unreadable(b, err);
	if (got < SYNC_SEAL_MORE)
		return cut_short(b, err);
	if (!sync_unseal_get(&b->seal, (unsigned char *)b->chunk, (struct sync_view){ b->sealed, got }, beside, &b->last))
		return got < sizeof b->sealed ? sync_fail(err, SYNC_EBADFRAME, "%s was altered or cut short before byte %ld%s", b->path, ftell(b->f),
		                                          b->first ? ", or is sealed with another secret or token than this site's" : "")
		       : b->first             ? sync_fail(err, SYNC_EBADFRAME,
		                                          "%s was altered at its front, or is sealed with another secret or token than this site's", b->path)
		                              : altered(b, err);
	b->first = false;
	b->at = 0;
	b->n = got - SYNC_SEAL_MORE;
	if (b->last && getc(b->f) != EOF)
		return sync_fail(err, SYNC_EBADFRAME, "%s has bytes after its end: copy it again", b->path);
	return b->last || got == sizeof b->sealed ? SYNC_OK : cut_short(b, err);
}

/* *ret_len is less than len only at the end. */
static enum sync_status get_bytes(struct sync_bundle_in *b, char *ret, size_t len, size_t *ret_len, struct sync_error *err)
{
	for (*ret_len = 0; *ret_len < len;) {
		size_t n = b->n - b->at < len - *ret_len ? b->n - b->at : len - *ret_len;

		if (n == 0 && b->last)
			break;
		if (n == 0)
			TRY(read_chunk(b, err));
		memcpy(ret + *ret_len, b->chunk + b->at, n);
		b->at += n;
		*ret_len += n;
	}
	return SYNC_OK;
}

enum sync_status sync_bundle_next(struct sync_bundle_in *b, bool *ret_more, struct sync_error *err)
{
	unsigned char l[LENGTH];
	size_t got, len;
	char *to;

	TRY(get_bytes(b, (char *)l, sizeof l, &got, err));
	*ret_more = got > 0;
	if (got == 0)
		return SYNC_OK;
	len = got < sizeof l ? SIZE_MAX : (size_t)l[0] << 24 | (size_t)l[1] << 16 | (size_t)l[2] << 8 | l[3];
	if (len > SYNC_BUNDLE_MESSAGE)
		return sync_fail(err, SYNC_EBADFRAME, "%s has a message of more than %d bytes", b->path, (int)SYNC_BUNDLE_MESSAGE);
	sync_buf_reset(&b->message);
	to = sync_buf_room(&b->message, len);
	if (!to)
		return sync_buf_check(&b->message, err);
	TRY(get_bytes(b, to, len, &got, err));
	b->message.len = got;
	return got == len ? SYNC_OK : sync_fail(err, SYNC_EBADFRAME, "the last message of %s has %zu of %zu bytes", b->path, got, len);
}

enum sync_status sync_bundle_begin(struct sync_bundle_in *b, struct sync_error *err)
{
	const struct sync_member members[] = HEAD(&b->head);
	unsigned char start[SYNC_SEAL_START];
	bool more;

	if (fseek(b->f, b->front, SEEK_SET) != 0)
		return unreadable(b, err);
	if (fread(start, 1, sizeof start, b->f) != sizeof start)
		return ferror(b->f) ? unreadable(b, err) : cut_short(b, err);
	b->first = true;
	b->last = false;
	b->at = b->n = 0;
	sync_unseal_open(&b->seal, b->key, start);
	TRY(sync_bundle_next(b, &more, err));
	return sync_members_read(members, COUNT(members), sync_buf_view(&b->message), SYNC_EBADFRAME, err);
}

#include "exchange/peer.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "base/internal.h"

enum { PER_TRANSACTION = 100 };

struct row {
	int64_t site_id;
	int64_t at_us;
	int64_t unpushed;
	int64_t schema;
	struct sync_position at;
	char version[32];
	bool dirty;
};

struct sync_seen {
	struct sync_seen *next;
	char *url;
	unsigned users;
	struct row *rows; /* by site */
	size_t n, cap;
};

/* One lock for all: it is held for less than a microsecond at a time. */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct sync_seen *all;

static struct sync_seen *new_seen(const char *url)
{
	struct sync_seen *s = calloc(1, sizeof *s);

	if (!s)
		return NULL;
	s->url = strdup(url);
	if (!s->url) {
		free(s);
		return NULL;
	}
	s->next = all;
	all = s;
	return s;
}

struct sync_seen *sync_seen_open(const char *url)
{
	struct sync_seen *s;

	pthread_mutex_lock(&lock);
	for (s = all; s && strcmp(s->url, url) != 0; s = s->next)
		;
	if (!s)
		s = new_seen(url);
	if (s)
		s->users++;
	pthread_mutex_unlock(&lock);
	return s;
}

static bool is_dirty(const struct sync_seen *s)
{
	for (size_t i = 0; i < s->n; i++)
		if (s->rows[i].dirty)
			return true;
	return false;
}

/* What is dirty stays for the flush that follows the last server. */
void sync_seen_release(struct sync_seen *s)
{
	struct sync_seen **at = &all;

	if (!s)
		return;
	pthread_mutex_lock(&lock);
	s->users--;
	if (s->users == 0 && !is_dirty(s)) {
		while (*at != s)
			at = &(*at)->next;
		*at = s->next;
		free(s->rows);
		free(s->url);
		free(s);
	}
	pthread_mutex_unlock(&lock);
}

/* The row of a site, or where it belongs. */
static size_t place_of(const struct sync_seen *s, int64_t site_id)
{
	size_t low = 0, high = s->n;

	while (low < high) {
		size_t mid = low + (high - low) / 2;

		if (s->rows[mid].site_id < site_id)
			low = mid + 1;
		else
			high = mid;
	}
	return low;
}

static struct row *find_row(const struct sync_seen *s, int64_t site_id)
{
	size_t at = place_of(s, site_id);

	return at < s->n && s->rows[at].site_id == site_id ? &s->rows[at] : NULL;
}

static struct row *add_row(struct sync_seen *s, int64_t site_id)
{
	size_t at = place_of(s, site_id);

	if (s->n == s->cap) {
		size_t cap = s->cap ? s->cap * 2 : 64;
		struct row *rows = realloc(s->rows, cap * sizeof *rows);

		if (!rows)
			return NULL;
		s->rows = rows;
		s->cap = cap;
	}
	memmove(&s->rows[at + 1], &s->rows[at], (s->n - at) * sizeof *s->rows);
	s->n++;
	s->rows[at] = (struct row){ .site_id = site_id };
	return &s->rows[at];
}

enum sync_status sync_seen_put(struct sync_seen *s, int64_t site_id, const struct sync_header *h, int64_t now_us, bool dirty,
			       struct sync_error *err)
{
	struct row *row;

	pthread_mutex_lock(&lock);
	row = find_row(s, site_id);
	if (!row)
		row = add_row(s, site_id);
	if (row) {
		*row = (struct row){ .site_id = site_id,
				     .at_us = now_us,
				     .unpushed = h->unpushed,
				     .schema = h->schema,
				     .at = h->at,
				     .dirty = dirty };
		memcpy(row->version, h->program, sizeof row->version);
	}
	pthread_mutex_unlock(&lock);
	return row ? SYNC_OK : sync_fail(err, SYNC_ENOMEM, "remembering that a site was here");
}

void sync_seen_get(struct sync_seen *s, struct sync_peer *peer)
{
	const struct row *row;

	pthread_mutex_lock(&lock);
	row = find_row(s, peer->site_id);
	if (row && row->at_us > peer->last_seen_us) {
		peer->last_seen_us = row->at_us;
		peer->unpushed = row->unpushed;
		peer->at = row->at;
	}
	pthread_mutex_unlock(&lock);
}

/* Copy the next dirty rows from a site on, and call them clean. */
static size_t take_dirty(struct sync_seen *s, int64_t from, struct row ret[static PER_TRANSACTION])
{
	size_t n = 0;

	pthread_mutex_lock(&lock);
	for (size_t i = place_of(s, from); i < s->n && n < PER_TRANSACTION; i++) {
		if (!s->rows[i].dirty)
			continue;
		ret[n++] = s->rows[i];
		s->rows[i].dirty = false;
	}
	pthread_mutex_unlock(&lock);
	return n;
}

/* They could not be written: the next flush tries again. */
static void give_back(struct sync_seen *s, const struct row *rows, size_t n)
{
	pthread_mutex_lock(&lock);
	for (size_t i = 0; i < n; i++) {
		struct row *row = find_row(s, rows[i].site_id);

		if (row)
			row->dirty = true;
	}
	pthread_mutex_unlock(&lock);
}

/* Another process may have seen the site later. */
static enum sync_status write_row(struct sync_db *db, const struct row *row, struct sync_error *err)
{
	static const char put[] =
	    "UPDATE sync_site SET all_seq = $1, all_id = $2, own_seq = $3, own_id = $4, unpushed = $5, last_seen_us = $6,"
	    "    version = $7, schema = $8 WHERE site_id = $9 AND (last_seen_us IS NULL OR last_seen_us < $10)";

	return sync_db_run(db, put,
			   SYNC_ARGS(sync_int(row->at.all.seq), sync_text(row->at.all.id), sync_int(row->at.own.seq),
				     sync_text(row->at.own.id), sync_int(row->unpushed), sync_int(row->at_us),
				     sync_text(row->version), sync_int(row->schema), sync_int(row->site_id),
				     sync_int(row->at_us)),
			   NULL, NULL, err);
}

static enum sync_status write_rows(struct sync_db *db, const struct row *rows, size_t n, struct sync_error *err)
{
	TRY(sync_db_begin(db, true, err));
	for (size_t i = 0; i < n; i++) {
		enum sync_status status = write_row(db, &rows[i], err);

		if (status != SYNC_OK) {
			sync_db_rollback(db);
			return status;
		}
	}
	return sync_db_commit(db, err);
}

enum sync_status sync_seen_flush(struct sync_seen *s, struct sync_db *db, struct sync_error *err)
{
	struct row rows[PER_TRANSACTION];
	int64_t from = 0;
	size_t n;

	while ((n = take_dirty(s, from, rows)) > 0) {
		enum sync_status status = write_rows(db, rows, n, err);

		if (status != SYNC_OK) {
			give_back(s, rows, n);
			return status;
		}
		from = rows[n - 1].site_id + 1;
	}
	return SYNC_OK;
}

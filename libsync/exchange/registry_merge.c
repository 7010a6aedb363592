#include <libsync/site.h>

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/internal.h"
#include "db/beside.h"
#include "exchange/registry.h"
#include "exchange/sites.h"
#include "exchange/stores.h"

/*
 * Bring file and database together: whichever has the higher revision of a site or a store is right. What the database lacks, because
 * it was restored from a backup, is put into it; what the file lacks, because it is new or was put back too, is added to it.
 */
struct merge {
	struct sync_db *db;
	const char *path;
	struct sync_registry file;
	struct sync_registry_report *report;
	bool *known;           /* per entry of the file: the database has it as new, or newer */
	struct sync_buf lines; /* what the file lacks */
};

static void clear_merge(struct merge *m)
{
	sync_registry_clear(&m->file);
	sync_buf_clear(&m->lines);
}

__attribute__((format(printf, 2, 3)))
static void warn(struct merge *m, const char *format, ...)
{
	va_list args;

	if (m->report->warning[0])
		return;
	va_start(args, format);
	(void)vsnprintf(m->report->warning, sizeof m->report->warning, format, args);
	va_end(args);
}

static struct sync_view text_of(const struct sync_value *v)
{
	return v->kind == SYNC_STRING ? v->s : (struct sync_view){ 0 };
}

static int64_t number_of(const struct sync_value *v)
{
	return v->kind == SYNC_INT ? v->i : 0;
}

/* what each has */

/* A row of the database: which of the two is newer. */
static enum sync_status compare(struct merge *m, const struct sync_registered *row, const struct sync_registered *entry,
                                struct sync_error *err)
{
	if (entry && row->revision >= entry->revision)
		m->known[entry - m->file.entry] = true;
	if (row->revision <= (entry ? entry->revision : 0))
		return SYNC_OK;
	m->report->kept++;
	return sync_registered_line(&m->lines, row, err);
}

static enum sync_status compare_site(void *ctx, const struct sync_value *v, size_t n, struct sync_error *err)
{
	struct merge *m = ctx;
	struct sync_registered row = { .site_id = v[0].i, .revision = v[1].i, .name = text_of(&v[2]), .secret = text_of(&v[3]),
		                       .token = text_of(&v[4]), .installation = text_of(&v[5]), .created_us = v[6].i,
		                       .revoked_us = number_of(&v[7]) };

	(void)n;
	return compare(m, &row, sync_registered_site(&m->file, row.site_id), err);
}

static enum sync_status compare_store(void *ctx, const struct sync_value *v, size_t n, struct sync_error *err)
{
	struct merge *m = ctx;
	struct sync_registered row = { .store = v[0].s, .site_id = v[1].i, .revision = v[2].i };

	(void)n;
	return compare(m, &row, sync_registered_store(&m->file, row.store), err);
}

static enum sync_status compare_all(struct merge *m, struct sync_error *err)
{
	static const char sites[] =
		"SELECT site_id, revision, name, secret_hash, token_hash, installation, created_us, revoked_us FROM sync_site ORDER BY site_id";
	static const char stores[] = "SELECT store_id, site_id, revision FROM sync_store ORDER BY store_id";

	m->known = sync_arena_get(&m->file.arena, m->file.n + 1);
	if (!m->known)
		return sync_fail(err, SYNC_ENOMEM, "%zu registrations", m->file.n);
	memset(m->known, 0, m->file.n + 1);
	TRY(sync_db_run(m->db, sites, SYNC_NOARGS, compare_site, m, err));
	return sync_db_run(m->db, stores, SYNC_NOARGS, compare_store, m, err);
}

/* from the file into the database */

/* A site as the database has it. */
struct present {
	bool exists, spooled;
	int64_t created_us;
	char name[128], installation[40];
};

static enum sync_status take_present(void *ctx, const struct sync_value *v, size_t n, struct sync_error *err)
{
	struct present *p = ctx;

	(void)n, (void)err;
	p->exists = true;
	(void)snprintf(p->name, sizeof p->name, "%.*s", SYNC_VIEW(v[0].s));
	(void)snprintf(p->installation, sizeof p->installation, "%.*s", SYNC_VIEW(v[1].s));
	p->spooled = v[2].i > 0;
	p->created_us = v[3].i;
	return SYNC_OK;
}

/* Names are unique; whoever lost a name to another site meanwhile is told apart by its number. */
static enum sync_status insert_site(struct merge *m, const struct sync_registered *entry, struct sync_error *err)
{
	static const char taken[] = "SELECT count(*) FROM sync_site WHERE name = $1";
	static const char insert[] =
		"INSERT INTO sync_site(site_id, name, created_us, branch, in_ordinal, in_id, in_upto, in_highest, in_integrated, spooled,"
		"                      all_seq, all_id, own_seq, own_id, verdict, verdict_seen, loaded, unpushed)"
		"    VALUES ($1, $2, $3, '', 0, '', 0, 0, 0, 0, 0, '', 0, '', 0, 0, 0, 0)";
	defer(sync_buf_clear) struct sync_buf name = { .max = 256 };
	int64_t n;

	TRY(sync_db_number(m->db, taken, SYNC_ARGS(sync_string(entry->name)), 0, &n, err));
	sync_buf_add_view(&name, entry->name);
	if (n > 0)
		sync_buf_addf(&name, " (%" PRId64 ")", entry->site_id);
	TRY(sync_buf_check(&name, err));
	return sync_db_run(m->db, insert,
	                   SYNC_ARGS(sync_int(entry->site_id), sync_string(sync_buf_view(&name)), sync_int(entry->created_us)), NULL, NULL,
	                   err);
}

static struct sync_value text_or_null(struct sync_view v)
{
	return v.len ? sync_string(v) : sync_null();
}

static enum sync_status set_site(struct merge *m, const struct sync_registered *entry, struct sync_error *err)
{
	static const char set[] =
		"UPDATE sync_site SET secret_hash = $1, token_hash = $2, installation = $3, revoked_us = $4, revision = $5 WHERE site_id = $6";

	m->report->sites++;
	return sync_db_run(m->db, set,
	                   SYNC_ARGS(text_or_null(entry->secret), text_or_null(entry->token), text_or_null(entry->installation),
	                             entry->revoked_us ? sync_int(entry->revoked_us) : sync_null(), sync_int(entry->revision),
	                             sync_int(entry->site_id)),
	                   NULL, NULL, err);
}

/* Two sites of one number: the database was changed after it was restored and before it met the file. */
static enum sync_status pass_over(struct merge *m, const struct sync_registered *entry, const struct present *p)
{
	warn(m,
	     "%s:%" PRId64 ": site %" PRId64 " is '%.*s' there and '%s' in the database, which was changed without this file after it was "
	     "restored: '%.*s' has to be added anew under another name",
	     m->path, entry->line, entry->site_id, SYNC_VIEW(entry->name), p->name, SYNC_VIEW(entry->name));
	return SYNC_OK;
}

static enum sync_status restore_site(struct merge *m, const struct sync_registered *entry, struct sync_error *err)
{
	static const char find[] =
		"SELECT s.name, coalesce(s.installation, ''), (SELECT count(*) FROM sync_spool p WHERE p.source = s.site_id AND p.part = 0),"
		"    s.created_us FROM sync_site s WHERE s.site_id = $1";
	struct present p = { 0 };

	TRY(sync_db_run(m->db, find, SYNC_ARGS(sync_int(entry->site_id)), take_present, &p, err));
	if (!p.exists) {
		TRY(insert_site(m, entry, err));
		return set_site(m, entry, err);
	}
	if (p.created_us != entry->created_us)
		return pass_over(m, entry, &p);
	if (sync_view_is(entry->installation, p.installation) || !p.installation[0])
		return set_site(m, entry, err);
	if (p.spooled) {
		m->report->later++; /* what the old installation had acknowledged is integrated first */
		return SYNC_OK;
	}
	TRY(sync_site_forget(m->db, entry->site_id, err));
	return set_site(m, entry, err);
}

static enum sync_status restore_store(struct merge *m, const struct sync_registered *entry, struct sync_error *err)
{
	static const char exists[] = "SELECT count(*) FROM sync_site WHERE site_id = $1";
	int64_t n = 1;

	if (entry->site_id)
		TRY(sync_db_number(m->db, exists, SYNC_ARGS(sync_int(entry->site_id)), 0, &n, err));
	if (!n)
		return SYNC_OK; /* its site was passed over */
	m->report->stores++;
	return sync_store_recall(m->db, entry->store, entry->site_id, entry->revision, err);
}

static enum sync_status restore(struct merge *m, struct sync_error *err)
{
	for (size_t i = 0; i < m->file.n; i++)
		if (!m->known[i] && !m->file.entry[i].store.len)
			TRY(restore_site(m, &m->file.entry[i], err));
	for (size_t i = 0; i < m->file.n; i++)
		if (!m->known[i] && m->file.entry[i].store.len)
			TRY(restore_store(m, &m->file.entry[i], err));
	return SYNC_OK;
}

static bool lacks_any(const struct merge *m)
{
	for (size_t i = 0; i < m->file.n; i++)
		if (!m->known[i])
			return true;
	return false;
}

/* Once more compared, now that nobody else writes. */
static enum sync_status restore_compared(struct merge *m, struct sync_error *err)
{
	sync_buf_reset(&m->lines);
	m->report->kept = 0;
	TRY(compare_all(m, err));
	return restore(m, err);
}

/* the file */

static enum sync_status read_file(struct merge *m, struct sync_error *err)
{
	defer(sync_journal_close) struct sync_journal j = { .fd = -1 };
	defer(sync_buf_clear) struct sync_buf instance = { .max = 64 };
	struct sync_error longer = { 0 };
	bool found;

	TRY(sync_meta_get(m->db, "instance", &instance, &found, err));
	TRY(sync_journal_open(&j, m->path, err));
	TRY(sync_registry_read(&m->file, &j, sync_buf_view(&instance), err));
	if (m->file.cut)
		warn(m,
		     "%s:%" PRId64 ": the last line is cut off and does not count: a crash did that to a registration that never took effect, "
		     "or the file is a copy that was cut short", m->path, m->file.lines + 1);
	if (sync_registry_compact(&m->file, m->db, &j, &longer) != SYNC_OK)
		warn(m, "%s: it only grows, since no other file can be put in its place: %s", m->path, longer.text);
	return SYNC_OK;
}

static enum sync_status add_to_file(struct merge *m, struct sync_error *err)
{
	defer(sync_journal_close) struct sync_journal j = { .fd = -1 };

	if (!m->lines.len && m->file.lines > 0)
		return SYNC_OK;
	TRY(sync_journal_open(&j, m->path, err));
	return sync_registry_add(m->db, &j, sync_buf_view(&m->lines), err);
}

static enum sync_status run_merge(struct merge *m, struct sync_error *err)
{
	*m->report = (struct sync_registry_report){ 0 };
	TRY(read_file(m, err));
	TRY(compare_all(m, err));
	if (lacks_any(m)) {
		TRY(sync_db_begin(m->db, true, err));
		TRY(sync_db_finish(m->db, restore_compared(m, err), err));
	}
	return add_to_file(m, err);
}

static enum sync_status merge(struct sync_db *db, const char *path, struct sync_registry_report *ret, struct sync_error *err)
{
	defer(clear_merge) struct merge m = { .db = db, .path = path, .report = ret, .lines = { .max = SYNC_JOURNAL_MAX } };

	return run_merge(&m, err);
}

enum sync_status sync_registry_open(struct sync_db *db, const char *path, struct sync_registry_report *ret, struct sync_error *err)
{
	TRY(merge(db, path, ret, err));
	return sync_beside_set(db, path, sync_registry_write, err);
}

/* Anybody may send tokens that nobody has: a look at the file is all that they cost. */
static enum sync_status is_in_file(const char *path, const char *text, bool *ret, struct sync_error *err)
{
	defer(sync_journal_close) struct sync_journal j = { .fd = -1 };

	TRY(sync_journal_open(&j, path, err));
	return sync_journal_has(&j, sync_view_of(text), ret, err);
}

enum sync_status sync_registry_recall(struct sync_db *db, const char *token_hash, bool *ret_later, struct sync_error *err)
{
	const char *path = sync_beside_path(db);
	struct sync_registry_report report = { 0 };
	bool in_file = false;

	*ret_later = false;
	if (path)
		TRY(is_in_file(path, token_hash, &in_file, err));
	if (in_file)
		TRY(merge(db, path, &report, err));
	*ret_later = report.later > 0;
	return SYNC_OK;
}

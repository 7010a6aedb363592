#include "lost.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/internal.h"
#include "entities.h"
#include "exchange/pulled.h"

/*
 * A node has an edit whose tag is in a table, or in a frame that is kept, waits or is spooled. It knows of a delete what its
 * changelog or outbox says, or the log of what it received. Read is a copy of its disk, which counts as no call.
 */

struct scan {
	struct world *w;
	int node;
	bool before;
	sqlite3 *app; /* of the copy */
};

static void expect(enum sync_status status, const struct sync_error *err)
{
	if (status == SYNC_OK)
		return;
	(void)fprintf(stderr, "reading what a node has: %s: %s\n", sync_status_name(status), err->text);
	abort();
}

static void mark(const struct scan *s, struct edit *e)
{
	if (s->before)
		e->had = true;
	else
		e->has = true;
}

static sqlite3_stmt *prepare(const struct scan *s, const char *format, ...)
{
	sqlite3_stmt *stmt = NULL;
	va_list args;
	char *sql;

	va_start(args, format);
	sql = sqlite3_vmprintf(format, args);
	va_end(args);
	if (!sql || sqlite3_prepare_v2(s->app, sql, -1, &stmt, NULL) != SQLITE_OK) {
		(void)fprintf(stderr, "%s: %s\n", sql, sqlite3_errmsg(s->app));
		abort();
	}
	sqlite3_free(sql);
	return stmt;
}

/* Of an entity that a node does not know, it keeps the records as they came. */
static bool is_there(const struct scan *s, const char *entity, const char *id)
{
	bool known = !s->w->node[s->node].older || strcmp(entity, kinds[MEMO].table) != 0;
	sqlite3_stmt *stmt = known ? prepare(s, "SELECT 1 FROM %s WHERE id = %Q", entity, id)
				   : prepare(s, "SELECT 1 FROM sync_extra WHERE entity = %Q AND record_id = %Q", entity, id);
	bool there = sqlite3_step(stmt) == SQLITE_ROW;

	(void)sqlite3_finalize(stmt);
	return there;
}

static void mark_tag(const struct scan *s, struct sync_view text)
{
	const char *at = memchr(text.data, '#', text.len);
	struct edit *e = at ? model_find(&s->w->model, strtoll(at + 1, NULL, 10)) : NULL;

	if (e)
		mark(s, e);
}

static bool is_delete(const struct edit *e, const char *entity, const char *id)
{
	return e->deletes && !strcmp(e->id, id) && !strcmp(kinds[e->kind].table, entity);
}

/* The delete of a record, where it is plain whose it was: there was one, or one of a site that is named. */
static void mark_delete(const struct scan *s, const char *entity, const char *id, int64_t site_id)
{
	struct edit *found = NULL;

	for (size_t i = 0; i < s->w->model.n; i++) {
		struct edit *e = &s->w->model.edits[i];

		if (!is_delete(e, entity, id) || (site_id >= 0 && s->w->node[e->node].site_id != site_id))
			continue;
		if (found)
			return;
		found = e;
	}
	if (found)
		mark(s, found);
}

/*
 * A row that a node has not pushed is of the last change that it made, however often it had deleted the record before; or of one that
 * was made before it was copied.
 */
static void mark_last_delete(const struct scan *s, const char *entity, const char *id)
{
	for (size_t i = s->w->model.n; i-- > 0;) {
		struct edit *e = &s->w->model.edits[i];

		if (e->node != s->node || !is_delete(e, entity, id))
			continue;
		mark(s, e);
		return;
	}
	mark_delete(s, entity, id, s->w->node[s->node].site_id);
}

/* what a disk has */

static void scan_notes(const struct scan *s, const char *format, const char *table)
{
	sqlite3_stmt *stmt = prepare(s, format, table);

	while (sqlite3_step(stmt) == SQLITE_ROW)
		mark_tag(s, sync_view_of((const char *)sqlite3_column_text(stmt, 0)));
	(void)sqlite3_finalize(stmt);
}

static void scan_tables(const struct scan *s)
{
	for (enum kind k = 0; k < KINDS; k++)
		if (world_knows(s->w, s->node, k))
			scan_notes(s, "SELECT note FROM %s WHERE note <> ''", kinds[k].table);
	scan_notes(s, "SELECT data FROM sync_extra WHERE entity = '%s'", kinds[MEMO].table);
}

/* Rows of entity, id, site and frame. */
static void scan_frames(const struct scan *s, const char *sql)
{
	sqlite3_stmt *stmt = prepare(s, "%s", sql);

	while (sqlite3_step(stmt) == SQLITE_ROW) {
		const char *frame = (const char *)sqlite3_column_text(stmt, 3);

		if (strchr(frame, '#'))
			mark_tag(s, sync_view_of(frame));
		else
			mark_delete(s, (const char *)sqlite3_column_text(stmt, 0), (const char *)sqlite3_column_text(stmt, 1),
				    sqlite3_column_int64(stmt, 2));
	}
	(void)sqlite3_finalize(stmt);
}

static void scan_message(const struct scan *s, struct sync_view body, bool request)
{
	defer(sync_reader_freep) struct sync_reader *reader = NULL;
	defer(sync_arena_clear) struct sync_arena arena = { 0 };
	enum sync_frame kind = SYNC_FRAME_VERDICT;
	struct sync_header header;
	struct sync_verdict verdict;
	struct sync_record record;
	struct sync_view line;
	struct sync_end end;

	if (sync_reader_new(&reader, body, &sync_default_limits, NULL) != SYNC_OK ||
	    sync_reader_header(reader, &header, request, NULL) != SYNC_OK)
		return;
	while (kind != SYNC_FRAME_END &&
	       sync_reader_next(reader, &arena, &kind, &record, &verdict, &end, &line, NULL) == SYNC_OK)
		if (kind == SYNC_FRAME_RECORD)
			mark_tag(s, line);
}

static void scan_spool(const struct scan *s)
{
	sqlite3_stmt *stmt = prepare(s, "SELECT body FROM sync_spool");

	while (sqlite3_step(stmt) == SQLITE_ROW)
		scan_message(s, (struct sync_view){ sqlite3_column_blob(stmt, 0), (size_t)sqlite3_column_bytes(stmt, 0) },
			     s->node == CENTRAL);
	(void)sqlite3_finalize(stmt);
}

/* What was received last of a record. */
struct received {
	char entity[MODEL_ID], id[MODEL_ID];
	enum sync_action action;
};

struct log {
	struct received *r;
	size_t n, cap;
};

static enum sync_status take_received(void *ctx, struct sync_view entity, struct sync_view id, enum sync_action action,
				      int64_t seq, struct sync_error *err)
{
	struct log *log = ctx;
	size_t i = 0;

	(void)seq, (void)err;
	if (entity.len == 4 && !memcmp(entity.data, "unit", 4) && id.data[0] == 'w') /* many, and nobody deletes them */
		return SYNC_OK;
	while (i < log->n && !(sync_view_is(entity, log->r[i].entity) && sync_view_is(id, log->r[i].id)))
		i++;
	if (i == log->cap) {
		log->cap = log->cap ? 2 * log->cap : 64;
		log->r = realloc(log->r, log->cap * sizeof *log->r);
		if (!log->r)
			abort();
	}
	(void)snprintf(log->r[i].entity, MODEL_ID, "%.*s", SYNC_VIEW(entity));
	(void)snprintf(log->r[i].id, MODEL_ID, "%.*s", SYNC_VIEW(id));
	log->r[i].action = action;
	log->n += i == log->n;
	return SYNC_OK;
}

/* The copy's log is used up. */
static void scan_received(struct scan *s)
{
	struct sync_error err = { 0 };
	struct log log = { 0 };
	struct sync_db *db;
	bool found = true;

	entities_use(s->w->node[s->node].older);
	db = world_open_disk(SCRATCH, SYNC_SITE);
	expect(sync_db_begin(db, true, &err), &err);
	while (found)
		expect(sync_pulled_take(db, 0, take_received, &log, &found, &err), &err);
	sync_db_rollback(db);
	sync_db_close(db);
	entities_use(s->w->node[s->w->actor].older);
	for (size_t i = 0; i < log.n; i++)
		if (log.r[i].action == SYNC_DELETE && !is_there(s, log.r[i].entity, log.r[i].id))
			mark_delete(s, log.r[i].entity, log.r[i].id, -1);
	free(log.r);
}

/* Rows of entity, id and site. */
static void scan_deletes(const struct scan *s, const char *sql)
{
	sqlite3_stmt *stmt = prepare(s, "%s", sql);

	while (sqlite3_step(stmt) == SQLITE_ROW) {
		const char *entity = (const char *)sqlite3_column_text(stmt, 0),
			   *id = (const char *)sqlite3_column_text(stmt, 1);

		if (!is_there(s, entity, id))
			mark_delete(s, entity, id, sqlite3_column_int64(stmt, 2));
	}
	(void)sqlite3_finalize(stmt);
}

/* Whatever it may have known. */
static void scan_absent(const struct scan *s)
{
	for (size_t i = 0; i < s->w->model.n; i++) {
		struct edit *e = &s->w->model.edits[i];

		if (e->deletes && !is_there(s, kinds[e->kind].table, e->id))
			mark(s, e);
	}
}

static struct scan open_scan(struct world *w, int node, bool before)
{
	struct scan s = { .w = w, .node = node, .before = before };

	disk_copy(SCRATCH, node);
	if (sqlite3_open(disk_path(SCRATCH), &s.app) != SQLITE_OK)
		abort();
	return s;
}

static void scan_node(struct world *w, int node, bool before)
{
	struct scan s = open_scan(w, node, before);
	char sql[100];

	scan_tables(&s);
	scan_spool(&s);
	scan_frames(&s, "SELECT entity, record_id, source, frame FROM sync_inbox");
	if (node == CENTRAL)
		scan_frames(&s, "SELECT entity, record_id, iif(kind = 'recovered', -1, site_id), frame FROM sync_waiting");
	if (before) {
		scan_absent(&s);
	} else if (node == CENTRAL) {
		scan_deletes(&s, "SELECT entity, record_id, -1 FROM sync_outbox WHERE action = 'D'");
		scan_deletes(&s, "SELECT entity, record_id, -1 FROM sync_changelog WHERE action = 'D'");
	} else {
		(void)snprintf(sql, sizeof sql, "SELECT entity, record_id, %" PRId64 " FROM sync_changelog WHERE action = 'D'",
			       w->node[node].site_id);
		scan_deletes(&s, sql);
		scan_received(&s);
	}
	(void)sqlite3_close(s.app);
}

static void forget_scans(struct world *w)
{
	for (size_t i = 0; i < w->model.n; i++)
		w->model.edits[i].had = w->model.edits[i].has = false;
}

void lost_before(struct world *w, int node)
{
	forget_scans(w);
	scan_node(w, node, true);
}

void lost_unpushed(struct world *w, int node)
{
	struct scan s = open_scan(w, node, true);
	sqlite3_stmt *stmt = prepare(&s, "SELECT entity, record_id FROM sync_changelog, sync_link WHERE seq > out_upto");

	forget_scans(w);
	while (sqlite3_step(stmt) == SQLITE_ROW) {
		const char *entity = (const char *)sqlite3_column_text(stmt, 0),
			   *id = (const char *)sqlite3_column_text(stmt, 1);
		sqlite3_stmt *note = prepare(&s, "SELECT note FROM %s WHERE id = %Q", entity, id);

		if (sqlite3_step(note) == SQLITE_ROW)
			mark_tag(&s, sync_view_of((const char *)sqlite3_column_text(note, 0)));
		else
			mark_last_delete(&s, entity, id);
		(void)sqlite3_finalize(note);
	}
	(void)sqlite3_finalize(stmt);
	(void)sqlite3_close(s.app);
}

/* What the maker of an edit that is lost changed, or knew when it made the record anew, is known to nobody through it. */
static void mark_known(struct world *w, const struct edit *lost)
{
	struct edit *parent = lost->parent ? model_find(&w->model, lost->parent) : NULL;

	if (parent)
		parent->had = true;
	for (size_t i = 0; !lost->parent && i < w->model.n && w->model.edits[i].tag < lost->tag; i++) {
		struct edit *e = &w->model.edits[i];

		if (e->kind == lost->kind && !strcmp(e->id, lost->id))
			e->had = true;
	}
}

void lost_after(struct world *w)
{
	for (int node = 0; node < NODES; node++)
		if (world_has(w, node))
			scan_node(w, node, false);
	for (size_t i = w->model.n; i-- > 0;) {
		struct edit *e = &w->model.edits[i];

		if (!e->had || e->has || e->lost)
			continue;
		e->lost = true;
		w->figures->lost++;
		trace(w, "  #%" PRId64 " is lost", e->tag);
		mark_known(w, e);
	}
}

/** A small central for tests of routing and pulls: sites, records by plain SQL, and what outboxes and pulls have. */
#ifndef SYNC_TEST_ROUTING_H
#define SYNC_TEST_ROUTING_H

#include "testdb.h"

#include <inttypes.h>

#include <libsync/entity.h>
#include <libsync/time.h>

#include "exchange/route.h"

/* A site that is registered, has loaded and was just here. */
static inline void add_site(struct sync_db *db, int site)
{
	char sql[600];

	snprintf(
	    sql, sizeof sql,
	    "INSERT INTO sync_site(site_id, name, installation, created_us, branch, in_ordinal, in_id, in_upto, in_highest,"
	    "    in_integrated, spooled, all_seq, all_id, own_seq, own_id, verdict, verdict_seen, loaded, unpushed,"
	    "    last_seen_us) VALUES (%d, 'site %d', 'machine', 0, '', 0, '', 0, 0, 0, 0, 0, '', 0, '', 0, 0, 1, 0, %" PRId64 ")",
	    site, site, sync_now_us());
	run_sql(db, sql);
}

/* Something that fits a required field. */
static inline const char *fitting(const struct sync_field *f)
{
	switch (f->type) {
	case SYNC_ENUM:
		return f->values[0];
	case SYNC_JSON:
		return "{}";
	case SYNC_DATE:
		return "2026-01-31";
	case SYNC_TIME:
		return "2026-01-31T12:00:00";
	case SYNC_BOOLEAN:
	case SYNC_INTEGER:
	case SYNC_BIGINT:
	case SYNC_REAL:
		return "0";
	case SYNC_ID:
	case SYNC_TEXT:
		break;
	}
	return "none";
}

/* Insert or update a record by plain SQL: its id, then names and values of fields in turn, ended by NULL; "" is null. */
static inline void put(struct sync_db *db, const char *entity, const char *const *record)
{
	const char *id = record[0];
	const char *const *fields = record + 1;
	const struct sync_entity *e = sync_entity_find(sync_view_of(entity));
	defer(sync_buf_clear) struct sync_buf sql = { .max = 65536 }, values = { .max = 65536 }, updates = { .max = 65536 };
	const char *comma = "";

	assert_non_null(e);
	sync_buf_addf(&sql, "INSERT INTO \"%s\"(id", entity);
	sync_buf_addf(&values, "'%s'", id);
	for (size_t i = 1; i < e->n_fields; i++) {
		const struct sync_field *f = &e->fields[i];
		const char *value = f->required ? fitting(f) : NULL;

		for (size_t k = 0; fields[k]; k += 2) {
			if (strcmp(fields[k], f->name) != 0)
				continue;
			value = fields[k + 1];
			sync_buf_addf(&updates, "%s\"%s\" = excluded.\"%s\"", comma, f->name, f->name);
			comma = ", ";
		}
		if (!value)
			continue;
		sync_buf_addf(&sql, ", \"%s\"", f->name);
		if (f->type == SYNC_BOOLEAN)
			sync_buf_addf(&values, sync_db_dialect(db)->postgres ? ", %s <> 0" : ", %s", value);
		else
			sync_buf_addf(&values, !*value ? ", NULL" : f->type > SYNC_TIME ? ", %s" : ", '%s'", value);
	}
	sync_buf_addf(&sql, ") VALUES (%s) ON CONFLICT (id) DO UPDATE SET %s", values.data,
		      updates.len ? updates.data : "id = excluded.id");
	run_sql(db, sql.data);
}
#define PUT(db, entity, ...) put(db, entity, (const char *const[]){ __VA_ARGS__, NULL })

static inline void del(struct sync_db *db, const char *entity, const char *id)
{
	char sql[300];

	snprintf(sql, sizeof sql, "DELETE FROM \"%s\" WHERE id = '%s'", entity, id);
	run_sql(db, sql);
}

/* A site with one store, which goes by the store's name. */
static inline void add_store(struct sync_db *db, int site, const char *store, const char *name)
{
	char site_id[20];

	snprintf(site_id, sizeof site_id, "%d", site);
	add_site(db, site);
	PUT(db, "name", name, "type", "STORE");
	PUT(db, "store", store, "site_id", site_id, "name_id", name);
}

/* Pretend that what waits in the queue was pushed by a site. */
static inline void made_by(struct sync_db *db, int site)
{
	char sql[100];

	snprintf(sql, sizeof sql, "UPDATE sync_changelog SET source = %d", site);
	run_sql(db, sql);
}

/* Route what is there, and run all jobs in chunks of so many records. */
static inline void settle_by(struct sync_db *db, int64_t chunk)
{
	bool more = true;

	assert_ok(sync_route(db, err));
	while (more)
		assert_ok(sync_route_job(db, chunk, &more, err));
}

static inline void settle(struct sync_db *db)
{
	settle_by(db, 1000);
}

static inline int64_t newest_seq(struct sync_db *db)
{
	return number_of(db, "SELECT coalesce(max(seq), 0) FROM sync_routing");
}

static inline enum sync_status take_words(void *ctx, const struct sync_value *v, size_t n, struct sync_error *err)
{
	struct sync_buf *b = ctx;

	if (b->len)
		sync_buf_add_text(b, ", ");
	for (size_t i = 0; i < n; i++)
		sync_buf_addf(b, "%s%.*s", i ? " " : "", SYNC_VIEW(v[i].s));
	return sync_buf_check(b, err);
}

/* The rows of a site's outbox above seq, as "P invoice i1, X name n1", by entity and id. */
static inline void assert_outbox(struct sync_db *db, int site, int64_t above, const char *expected)
{
	static const char rows[] =
	    "SELECT action, entity, record_id FROM sync_outbox WHERE site_id = $1 AND seq > $2 ORDER BY entity, record_id";
	defer(sync_buf_clear) struct sync_buf b = { .max = 1 << 20 };

	assert_ok(sync_db_run(db, rows, SYNC_ARGS(sync_int(site), sync_int(above)), take_words, &b, err));
	assert_string_equal(b.len ? b.data : "", expected);
}

#endif

#include "faulty_db.h"

#include "base/internal.h"
#include "db/driver.h"

static const struct sync_db_ops *good;
static struct sync_db_ops faulty;
static long left = -1; /* calls until the one that fails; -1: none will */
static bool failed;

/* Whether this is the call; db is NULL when there is none yet. */
static enum sync_status fail_sometimes(struct sync_db *db, const char *call, struct sync_error *err)
{
	if (left < 0 || left-- > 0)
		return SYNC_OK;
	failed = true;
	if (db)
		db->failed = true;
	return sync_fail(err, SYNC_EIO, "%s was made to fail", call);
}

static enum sync_status open_db(struct sync_db **ret, const char *rest, bool create, struct sync_error *err)
{
	TRY(fail_sometimes(NULL, "open", err));
	return good->open(ret, rest, create, err);
}

static enum sync_status run(struct sync_db *db, const char *sql, const struct sync_value *v, size_t n, sync_row_fn *fn,
                            void *ctx, struct sync_error *err)
{
	TRY(fail_sometimes(db, sql, err));
	return good->run(db, sql, v, n, fn, ctx, err);
}

static enum sync_status script(struct sync_db *db, const char *sql, struct sync_error *err)
{
	TRY(fail_sometimes(db, sql, err));
	return good->script(db, sql, err);
}

static enum sync_status put_many(struct sync_db *db, const struct sync_table *t, const struct sync_value *v, size_t rows,
                                 struct sync_error *err)
{
	TRY(fail_sometimes(db, t->name, err));
	return good->put_many(db, t, v, rows, err);
}

static enum sync_status begin(struct sync_db *db, bool write, struct sync_error *err)
{
	TRY(fail_sometimes(NULL, "begin", err));
	return good->begin(db, write, err);
}

static enum sync_status end(struct sync_db *db, bool commit, struct sync_error *err)
{
	enum sync_status status = commit ? fail_sometimes(NULL, "commit", err) : SYNC_OK;

	if (status == SYNC_OK)
		return good->end(db, commit, err);
	(void)good->end(db, false, NULL);
	return status;
}

static enum sync_status catalog(struct sync_db *db, sync_row_fn *fn, void *ctx, struct sync_error *err)
{
	TRY(fail_sometimes(db, "catalog", err));
	return good->catalog(db, fn, ctx, err);
}

const struct sync_db_ops *faulty_db(const struct sync_db_ops *inner)
{
	good = inner;
	faulty = *inner;
	faulty.open = open_db;
	faulty.run = run;
	faulty.script = script;
	faulty.put_many = put_many;
	faulty.begin = begin;
	faulty.end = end;
	faulty.catalog = catalog;
	return &faulty;
}

void faulty_db_arm(long n)
{
	left = n;
	failed = false;
}

bool faulty_db_disarm(void)
{
	left = -1;
	return failed;
}

#include "db/beside.h"

#include <assert.h>
#include <string.h>

#include "base/internal.h"
#include "db/driver.h"

enum { MAX_LINES = 16 << 20 };

enum sync_status sync_beside_set(struct sync_db *db, const char *path, sync_beside_fn *write, struct sync_error *err)
{
	char *copy = strdup(path);

	if (!copy)
		return sync_fail(err, SYNC_ENOMEM, "opening %s", path);
	free(db->beside.path);
	db->beside.path = copy;
	db->beside.write = write;
	db->beside.lines.max = MAX_LINES;
	return SYNC_OK;
}

const char *sync_beside_path(const struct sync_db *db)
{
	return db->beside.path;
}

enum sync_status sync_beside_add(struct sync_db *db, struct sync_view lines, struct sync_error *err)
{
	if (!db->beside.path)
		return SYNC_OK;
	assert(db->in_transaction);
	sync_buf_add_view(&db->beside.lines, lines);
	return sync_buf_check(&db->beside.lines, err);
}

enum sync_status sync_beside_write(struct sync_db *db, struct sync_error *err)
{
	enum sync_status status = SYNC_OK;

	if (db->beside.lines.len)
		status = db->beside.write(db, db->beside.path, sync_buf_view(&db->beside.lines), err);
	sync_beside_forget(db);
	return status;
}

void sync_beside_forget(struct sync_db *db)
{
	sync_buf_reset(&db->beside.lines);
}

enum sync_status sync_beside_copy(struct sync_db *to, const struct sync_db *from, struct sync_error *err)
{
	return from->beside.path ? sync_beside_set(to, from->beside.path, from->beside.write, err) : SYNC_OK;
}

void sync_beside_clear(struct sync_db *db)
{
	free(db->beside.path);
	sync_buf_clear(&db->beside.lines);
}

#include "db/keys.h"

#include <assert.h>
#include <stdarg.h>
#include <string.h>

#include <libsync/records.h>

#include "base/internal.h"

enum { MAX_KEYS = 64 * 1024 * 1024, MAX_MORE = 8 };

const char *sync_keys_sql(const struct sync_db *db)
{
	return sync_db_dialect(db)->postgres
		   ? "(SELECT n - 1 AS key, value FROM json_array_elements_text($1) WITH ORDINALITY AS list(value, n)) k"
		   : "json_each($1) k";
}

void sync_keys_look(struct sync_buf *sql, const struct sync_db *db, const char *table, const char *alias, const char *on, ...)
{
	bool postgres = sync_db_dialect(db)->postgres;
	va_list args;

	if (postgres)
		sync_buf_addf(sql, " CROSS JOIN LATERAL (SELECT * FROM \"%s\" %s WHERE ", table, alias);
	else
		sync_buf_addf(sql, " CROSS JOIN \"%s\" %s ON ", table, alias);
	va_start(args, on);
	sync_buf_addv(sql, on, args);
	va_end(args);
	if (postgres)
		sync_buf_addf(sql, " OFFSET 0) %s", alias); /* which keeps it a query of its own */
}

enum sync_status sync_keys_run(struct sync_db *db, const struct sync_buf *sql, const struct sync_view *keys, size_t n,
			       const struct sync_value *more, size_t n_more, sync_row_fn *fn, void *ctx, struct sync_error *err)
{
	defer(sync_buf_clear) struct sync_buf list = { .max = MAX_KEYS };
	struct sync_value values[1 + MAX_MORE];

	assert(n_more <= MAX_MORE);
	if (!n)
		return SYNC_OK;
	sync_ids_json(&list, keys, n);
	TRY(sync_buf_check(&list, err));
	TRY(sync_buf_check(sql, err));
	values[0] = sync_string(sync_buf_view(&list));
	if (n_more)
		memcpy(&values[1], more, n_more * sizeof *more);
	return sync_db_run_text(db, sql->data, values, 1 + n_more, fn, ctx, err);
}

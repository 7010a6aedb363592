#include <libsync/db.h>
#include <stdio.h>

int main(void)
{
	static const struct sync_db_ops *const drivers[] = { &sync_sqlite, NULL };
	struct sync_db *db = NULL;
	struct sync_error e = { 0 };

	if (sync_db_open(&db, "consumer.db", drivers, SYNC_SITE, true, &e) != SYNC_OK)
		fprintf(stderr, "%s\n", e.text);
	sync_db_close(db);
	return e.status == SYNC_OK ? 0 : 1;
}

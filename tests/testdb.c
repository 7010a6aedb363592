#include "testdb.h"

#include <sys/stat.h>
#include <unistd.h>

#include <libsync/crypto.h>

#include "db/driver.h"

const struct sync_db_ops *const testdb_drivers[] = { &sync_sqlite, &sync_postgres, NULL };
const enum testdb_kind testdb_kinds[] = { TESTDB_SQLITE, TESTDB_POSTGRES };

/* The URL of a server's database from which others can be made, or NULL. */
static const char *server(void)
{
	const char *url = getenv("SYNC_TEST_POSTGRES");

	return url ? url : getenv("PGHOST") ? "postgres:dbname=postgres" : NULL;
}

static void on_server(const char *sql)
{
	defer(sync_db_closep) struct sync_db *db = NULL;

	assert_ok(sync_db_connect(&db, server(), testdb_drivers, false, err));
	assert_ok(sync_db_script(db, sql, err));
}

static void make_file(struct testdb *t)
{
	static const char scheme[] = "sqlite:";
	const char *folder = getenv("TMPDIR");

	(void)snprintf(t->url, sizeof(t->url), "%s%s/sync-test.XXXXXX", scheme, folder ? folder : "/tmp");
	int fd = mkstemp(t->url + strlen(scheme));
	assert_true(fd >= 0);
	(void)close(fd);
}

/* Texts are ordered as people do it, so that whatever counts on the order of bytes has to say so. */
static void make_database(struct testdb *t)
{
	static unsigned made;
	char sql[200], name[40];

	(void)snprintf(name, sizeof(name), "sync_test_%d_%u", (int)getpid(), ++made);
	(void)snprintf(sql, sizeof(sql), "CREATE DATABASE %s TEMPLATE template0 ENCODING 'UTF8' LOCALE 'C'"
	               " LOCALE_PROVIDER icu ICU_LOCALE 'en-US'", name);
	on_server(sql);
	(void)snprintf(t->url, sizeof(t->url), "%s dbname=%s", server(), name);
}

static void make(struct testdb *t, enum testdb_kind kind)
{
	t->kind = kind;
	if (kind == TESTDB_SQLITE)
		make_file(t);
	else
		make_database(t);
}

void testdb_make(struct testdb *t, enum testdb_kind kind)
{
	*t = (struct testdb){ 0 };
	if (kind == TESTDB_POSTGRES && !server())
		skip();
	make(t, kind);
}

/*
 * A database of ours has hundreds of tables and triggers: it is made once per program and role, and copied. Copies differ in the
 * id by which databases are told apart.
 */
static struct testdb templates[2][2]; /* by kind and role; url is empty until it is made */

static void drop_templates(void)
{
	for (size_t i = 0; i < 4; i++)
		testdb_drop(&templates[i / 2][i % 2]);
}

static const struct testdb *template_of(enum testdb_kind kind, enum sync_role role)
{
	struct testdb *t = &templates[kind][role];

	if (t->url[0])
		return t;
	if (!templates[0][0].url[0] && !templates[0][1].url[0] && !templates[1][0].url[0] && !templates[1][1].url[0])
		(void)atexit(drop_templates);
	make(t, kind);
	assert_ok(sync_db_open(&t->db, t->url, testdb_drivers, role, true, err));
	sync_db_close(t->db);
	t->db = NULL;
	return t;
}

static const char *path_of(const struct testdb *t)
{
	return strchr(t->url, ':') + 1;
}

static void copy_file(const struct testdb *from, const struct testdb *to)
{
	FILE *in = fopen(path_of(from), "rb"), *out = fopen(path_of(to), "wb");
	char bytes[65536];
	size_t n;

	assert_true(in && out);
	while ((n = fread(bytes, 1, sizeof bytes, in)) > 0)
		assert_int_equal(n, fwrite(bytes, 1, n, out));
	assert_int_equal(0, fclose(in) | fclose(out));
}

static void copy_database(const struct testdb *from, const struct testdb *to)
{
	const char *name = strrchr(to->url, '=') + 1;
	char sql[200];

	(void)snprintf(sql, sizeof(sql), "DROP DATABASE %s", name);
	on_server(sql);
	(void)snprintf(sql, sizeof(sql), "CREATE DATABASE %s TEMPLATE %s STRATEGY file_copy", name, strrchr(from->url, '=') + 1);
	on_server(sql);
}

static bool is_empty(const struct testdb *t)
{
	defer(sync_db_closep) struct sync_db *db = NULL;
	static const char tables[] = "SELECT count(*) FROM information_schema.tables WHERE table_schema = 'public'";
	struct stat file;
	int64_t n;

	if (t->kind == TESTDB_SQLITE)
		return stat(path_of(t), &file) == 0 && file.st_size == 0;
	assert_ok(sync_db_connect(&db, t->url, testdb_drivers, false, err));
	assert_ok(sync_db_number(db, tables, SYNC_NOARGS, 0, &n, err));
	return n == 0;
}

void testdb_open(struct testdb *t, enum sync_role role)
{
	char instance[33];

	assert_null(t->db);
	if (!is_empty(t)) {
		assert_ok(sync_db_open(&t->db, t->url, testdb_drivers, role, true, err));
		return;
	}
	(t->kind == TESTDB_SQLITE ? copy_file : copy_database)(template_of(t->kind, role), t);
	assert_ok(sync_db_open(&t->db, t->url, testdb_drivers, role, false, err));
	sync_random_hex(instance, sizeof instance - 1);
	assert_ok(sync_meta_put(t->db, "instance", sync_view_of(instance), err));
}

static void copy_content(const struct testdb *to, const struct testdb *from)
{
	static const char *const suffixes[] = { "-wal", "-shm" };
	char log[600];

	assert_null(to->db);
	assert_null(from->db);
	for (size_t i = 0; to->kind == TESTDB_SQLITE && i < COUNT(suffixes); i++) {
		(void)snprintf(log, sizeof(log), "%s%s", path_of(to), suffixes[i]);
		(void)unlink(log);
	}
	(to->kind == TESTDB_SQLITE ? copy_file : copy_database)(from, to);
}

void testdb_copy(struct testdb *to, const struct testdb *from)
{
	testdb_make(to, from->kind);
	copy_content(to, from);
}

void testdb_restore(struct testdb *t, const struct testdb *from)
{
	copy_content(t, from);
}

void run_sql(struct sync_db *db, const char *sql)
{
	assert_ok(sync_db_script(db, sql, err));
}

int64_t number_of(struct sync_db *db, const char *sql)
{
	int64_t n = -1;

	assert_ok(sync_db_number(db, sql, SYNC_NOARGS, -1, &n, err));
	return n;
}

void testdb_drop(struct testdb *t)
{
	char text[600];

	sync_db_close(t->db);
	t->db = NULL;
	if (t->url[0] && t->kind == TESTDB_SQLITE) {
		static const char *const suffixes[] = { "", "-wal", "-shm", "-journal" };
		for (size_t i = 0; i < COUNT(suffixes); i++) {
			(void)snprintf(text, sizeof(text), "%s%s", strchr(t->url, ':') + 1, suffixes[i]);
			(void)unlink(text);
		}
	} else if (t->url[0]) {
		(void)snprintf(text, sizeof(text), "DROP DATABASE IF EXISTS %s WITH (FORCE)", strrchr(t->url, '=') + 1);
		on_server(text);
	}
	t->url[0] = '\0';
}

int testdb_setup(void **state)
{
	enum testdb_kind kind = *(const enum testdb_kind *)*state;
	struct testdb *t = calloc(1, sizeof(*t));

	*state = t;
	if (t && (kind == TESTDB_SQLITE || server()))
		make(t, kind);
	return t ? 0 : -1;
}

int testdb_teardown(void **state)
{
	testdb_drop(*state);
	free(*state);
	return 0;
}

struct testdb *testdb_of(void **state)
{
	struct testdb *t = *state;

	if (!t->url[0])
		skip();
	return t;
}

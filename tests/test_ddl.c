#include <postgresql/libpq-fe.h>
#include <sqlite3.h>

#include <libsync/ddl.h>

#include "test.h"

static const struct sync_entity *entity(const char *name)
{
	const struct sync_entity *e = sync_entity_find(sync_view_of(name));

	assert_non_null(e);
	return e;
}

static void read_tables(struct sync_buf *b)
{
	FILE *f = fopen(SYNC_SOURCE_DIR "/libsync/db/tables.sql", "r");
	char *room;

	assert_non_null(f);
	room = sync_buf_room(b, 1 << 16);
	assert_non_null(room);
	b->len += fread(room, 1, (1 << 16) - 1, f);
	b->data[b->len] = '\0';
	fclose(f);
}

static void add_word(struct sync_buf *b, const char **text, const struct sync_dialect *sql)
{
	const char *const words[][2] = { { "@serial", sql->serial }, { "@blob", sql->blob },       { "@clustered", sql->clustered },
					 { "@queue", sql->queue },   { "@updated", sql->updated }, { "@id", sql->types[SYNC_ID] } };

	for (size_t i = 0; i < COUNT(words); i++) {
		size_t len = strlen(words[i][0]);

		if (strncmp(*text, words[i][0], len) != 0)
			continue;
		sync_buf_add_text(b, words[i][1]);
		*text += len;
		return;
	}
	fail_msg("unknown word %.20s", *text);
}

/* The sections of tables.sql for one role, in one dialect. */
static void add_our_tables(struct sync_buf *b, const struct sync_dialect *sql, enum sync_role role)
{
	defer(sync_buf_clear) struct sync_buf all = { .max = 1 << 17 };
	const char *wanted = role == SYNC_SITE ? "site" : "central";
	bool use = false;

	read_tables(&all);
	for (const char *p = all.data; *p;) {
		size_t line = strcspn(p, "\n");

		if (!strncmp(p, "-- @ ", 5)) {
			use = !strncmp(p + 5, "both", 4) || !strncmp(p + 5, wanted, strlen(wanted));
			p += line;
		} else if (!use || !strncmp(p, "--", 2)) {
			p += line + (p[line] == '\n');
		} else if (*p == '@') {
			add_word(b, &p, sql);
		} else {
			sync_buf_add_char(b, *p++);
		}
	}
}

static void add_schema(struct sync_buf *b, const struct sync_dialect *sql, enum sync_role role)
{
	size_t n;
	const struct sync_entity *const *e = sync_entities(&n);

	add_our_tables(b, sql, role);
	for (size_t i = 0; i < n; i++) {
		sync_ddl_table(b, e[i], sql);
		sync_ddl_triggers(b, e[i], sql, role);
	}
	assert_int_equal(SYNC_OK, b->status);
}

static void run(sqlite3 *db, const char *sql)
{
	char *text = NULL;

	if (sqlite3_exec(db, sql, NULL, NULL, &text) != SQLITE_OK)
		fail_msg("%s: %s", text, sql);
}

static int add_row(void *ctx, int n, char **v, char **names)
{
	struct sync_buf *b = ctx;

	(void)names;
	sync_buf_add_text(b, b->len ? "; " : "");
	for (int i = 0; i < n; i++)
		sync_buf_addf(b, "%s%s", i ? " " : "", v[i] ? v[i] : "-");
	return 0;
}

static void assert_rows(sqlite3 *db, const char *sql, const char *expected)
{
	defer(sync_buf_clear) struct sync_buf b = { .max = 1 << 16 };

	sync_buf_add(&b, "", 0);
	assert_int_equal(SQLITE_OK, sqlite3_exec(db, sql, add_row, &b, NULL));
	assert_string_equal(expected, b.len ? b.data : "");
}

/* What is in the changelog, oldest first, which is then emptied. */
static void assert_captured(sqlite3 *db, const char *expected)
{
	assert_rows(db, "SELECT entity || '/' || record_id || ' ' || action FROM sync_changelog ORDER BY seq", expected);
	run(db, "DELETE FROM sync_changelog");
}

static void assert_roots(sqlite3 *db, const char *expected)
{
	assert_rows(db, "SELECT record_id || ' ' || action, root_id, old_root_id FROM sync_changelog ORDER BY seq", expected);
	run(db, "DELETE FROM sync_changelog");
}

/* Old and new routing values: a route's question. */
static void assert_routed(sqlite3 *db, const char *expected)
{
	assert_rows(db, "SELECT record_id || ' ' || action, source, old, new FROM sync_changelog ORDER BY seq", expected);
	run(db, "DELETE FROM sync_changelog");
}

static sqlite3 *open_as(enum sync_role role)
{
	defer(sync_buf_clear) struct sync_buf b = { .max = 1 << 22 };
	sqlite3 *db = NULL;

	assert_int_equal(SQLITE_OK, sqlite3_open(":memory:", &db));
	add_schema(&b, sync_sqlite.sql, role);
	run(db, b.data);
	run(db, "PRAGMA recursive_triggers = off");
	return db;
}

static int open_site(void **state)
{
	*state = open_as(SYNC_SITE);
	return 0;
}

static int open_central(void **state)
{
	*state = open_as(SYNC_CENTRAL);
	return 0;
}

static int close_db(void **state)
{
	return sqlite3_close(*state) != SQLITE_OK;
}

#define UNIT(id) "INTO unit(id, name, \"index\", is_active) VALUES ('" id "', 'Tube', 1, 1)"
#define LINE(id, form)                                                                                                 \
	"INTO rnr_form_line(id, rnr_form_id, item_id, previous_monthly_consumption_values, average_monthly_consumption,"   \
	" initial_balance, snapshot_quantity_received, snapshot_quantity_consumed, snapshot_adjustments,"                  \
	" adjusted_quantity_consumed, stock_out_duration, final_balance, minimum_quantity, maximum_quantity,"              \
	" calculated_requested_quantity, low_stock, confirmed)"                                                            \
	" VALUES ('" id "', '" form "', 'i', '', 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 'OK', 0)"
#define LOCATION(id, store) \
	"INTO location(id, name, code, on_hold, volume, store_id) VALUES ('" id "', 'Shelf', 'S', 0, 1.5, '" store "')"
#define BARCODE(id) "INTO barcode(id, gtin, item_id) VALUES ('" id "', '0123', 'i')"
#define MARK(entity, id) "INSERT INTO sync_mark VALUES ('" entity "', '" id "', 7)"

static void inserts_updates_and_deletes_are_captured(void **state)
{
	run(*state, "INSERT " UNIT("a"));
	assert_captured(*state, "unit/a P");
	run(*state, "UPDATE unit SET name = 'Vial'");
	assert_captured(*state, "unit/a P");
	run(*state, "DELETE FROM unit");
	assert_captured(*state, "unit/a D");
}

static void a_record_has_one_row_whose_number_rises(void **state)
{
	run(*state, "INSERT " UNIT("a") "; INSERT " UNIT("b") "; UPDATE unit SET name = 'Vial' WHERE id = 'a'");
	assert_rows(*state, "SELECT record_id, seq FROM sync_changelog ORDER BY seq", "b 2; a 3");
}

static void the_time_of_an_edit_is_kept_in_microseconds(void **state)
{
	run(*state, "INSERT " UNIT("a"));
	assert_rows(*state, "SELECT abs(at_us - strftime('%s') * 1000000) < 60000000 FROM sync_changelog", "1");
}

static void a_replaced_record_is_captured_as_a_put(void **state)
{
	run(*state, "INSERT " UNIT("a") "; DELETE FROM sync_changelog");
	run(*state, "INSERT OR REPLACE " UNIT("a"));
	assert_captured(*state, "unit/a P");
	run(*state, "PRAGMA recursive_triggers = on; REPLACE " UNIT("a"));
	assert_captured(*state, "unit/a P");
}

static void other_conflict_clauses_do_not_change_what_is_captured(void **state)
{
	run(*state, "INSERT " UNIT("a") "; INSERT " UNIT("b"));
	run(*state, "UPDATE OR IGNORE unit SET name = 'Vial' WHERE id = 'a'");
	run(*state, "UPDATE OR REPLACE unit SET name = 'Vial' WHERE id = 'b'");
	assert_rows(*state, "SELECT record_id, seq FROM sync_changelog ORDER BY seq", "a 3; b 4");
	run(*state, "INSERT OR IGNORE " UNIT("a"));
	assert_rows(*state, "SELECT record_id, seq FROM sync_changelog ORDER BY seq", "a 3; b 4");
	run(*state, "INSERT " UNIT("a") " ON CONFLICT DO UPDATE SET name = 'Ampoule'");
	assert_captured(*state, "unit/b P; unit/a P");
}

static void a_changed_id_is_a_delete_and_a_put(void **state)
{
	run(*state, "INSERT " UNIT("a") "; DELETE FROM sync_changelog");
	run(*state, "UPDATE unit SET id = 'b'");
	assert_rows(*state, "SELECT record_id, action FROM sync_changelog ORDER BY record_id", "a D; b P");
}

static void an_update_of_the_same_id_is_no_delete(void **state)
{
	run(*state, "INSERT " UNIT("a") "; UPDATE unit SET id = id");
	assert_captured(*state, "unit/a P");
}

static void a_mark_is_consumed_by_the_first_firing(void **state)
{
	run(*state, MARK("unit", "a") "; INSERT " UNIT("a"));
	assert_captured(*state, "");
	run(*state, "UPDATE unit SET name = 'Vial'");
	assert_captured(*state, "unit/a P");
	run(*state, MARK("unit", "a") "; DELETE FROM unit");
	assert_captured(*state, "");
	assert_rows(*state, "SELECT count(*) FROM sync_mark", "0");
}

static void a_mark_is_for_one_entity_and_one_record(void **state)
{
	run(*state, MARK("item", "a") ";" MARK("unit", "b") "; INSERT " UNIT("a"));
	assert_captured(*state, "unit/a P");
}

static void what_an_applications_trigger_does_in_answer_is_an_edit(void **state)
{
	run(*state, "INSERT " UNIT("b") ";"
	            "CREATE TRIGGER theirs AFTER INSERT ON unit BEGIN"
	            "    UPDATE unit SET description = 'seen' WHERE id IN (NEW.id, 'b');"
	            "END; DELETE FROM sync_changelog");
	run(*state, MARK("unit", "a") "; INSERT " UNIT("a"));
	assert_rows(*state, "SELECT record_id, action FROM sync_changelog ORDER BY record_id", "a P; b P");
}

static void a_record_that_an_applications_trigger_removes_at_once_is_captured_as_deleted(void **state)
{
	run(*state, "CREATE TRIGGER theirs AFTER INSERT ON unit BEGIN DELETE FROM unit WHERE id = NEW.id; END");
	run(*state, MARK("unit", "a") "; INSERT " UNIT("a"));
	assert_captured(*state, "unit/a D");
}

static void what_stays_at_home_is_not_captured(void **state)
{
	run(*state, "INSERT INTO sync_file_reference(id, table_name, record_id, file_name, total_bytes, created_datetime)"
	            "    VALUES ('f', 'item', 'i', 'a.jpg', 10, '2026-01-31T12:00:00'); DELETE FROM sync_changelog");
	run(*state, "UPDATE sync_file_reference SET downloaded_bytes = 5, status = 'IN_PROGRESS'");
	assert_captured(*state, "");
	run(*state, "UPDATE sync_file_reference SET downloaded_bytes = 10, file_name = 'b.jpg'");
	assert_captured(*state, "sync_file_reference/f P");
}

static void a_received_record_needs_no_value_for_what_stays_at_home(void **state)
{
	run(*state, "INSERT INTO user_account(id, username, language, is_active) VALUES ('u', 'ana', 'SPANISH', 1)");
	assert_rows(*state, "SELECT hashed_password = '' FROM user_account", "1");
}

static void lines_are_captured_with_their_root(void **state)
{
	run(*state, "INSERT " LINE("l", "f"));
	assert_roots(*state, "l P f -");
	run(*state, "UPDATE rnr_form_line SET comment = 'x'");
	assert_roots(*state, "l P f -");
	run(*state, "DELETE FROM rnr_form_line");
	assert_roots(*state, "l D f -");
}

static void roots_are_their_own_root_and_others_have_none(void **state)
{
	run(*state, "INSERT INTO rnr_form(id, store_id, period_id, program_id, created_datetime, status, name_id)"
	            "    VALUES ('f', 's', 'p', 'g', '2026-01-31T12:00:00', 'DRAFT', 'n')");
	run(*state, "INSERT " UNIT("a"));
	assert_roots(*state, "f P f -; a P - -");
}

static void a_line_that_moves_keeps_its_old_root(void **state)
{
	run(*state, "INSERT " LINE("l", "f") "; DELETE FROM sync_changelog");
	run(*state, "UPDATE rnr_form_line SET rnr_form_id = 'g'");
	run(*state, "UPDATE rnr_form_line SET comment = 'edited again'");
	assert_roots(*state, "l P g f");
}

static void a_line_that_moves_by_being_replaced_keeps_its_old_root(void **state)
{
	run(*state, "INSERT " LINE("l", "f") "; DELETE FROM sync_changelog");
	run(*state, "INSERT OR REPLACE " LINE("l", "g"));
	assert_roots(*state, "l P g f");
}

static void the_base_is_the_version_that_the_first_edit_changed(void **state)
{
	run(*state, "INSERT INTO sync_version VALUES ('barcode', 'b', '3.aa.9', 0, 0, 0, 0, '');" MARK("barcode", "b"));
	run(*state, "INSERT " BARCODE("b") "; UPDATE barcode SET gtin = '1'");
	assert_rows(*state, "SELECT base FROM sync_changelog", "3.aa.9");
	run(*state, "UPDATE sync_version SET version = '4.bb.1'; UPDATE barcode SET gtin = '2'");
	assert_rows(*state, "SELECT base FROM sync_changelog", "3.aa.9");
}

static void a_new_record_has_no_base(void **state)
{
	run(*state, "INSERT " BARCODE("b") "; INSERT " UNIT("a"));
	assert_rows(*state, "SELECT base FROM sync_changelog", "-; -");
}

static void wrong_types_and_missing_values_are_refused_by_the_table(void **state)
{
	const char *missing = "INSERT INTO unit(id, name, is_active) VALUES ('a', 'Tube', 1)";
	const char *wrong = "INSERT INTO unit(id, name, \"index\", is_active) VALUES ('a', 'Tube', 'first', 1)";

	assert_int_equal(SQLITE_CONSTRAINT, sqlite3_exec(*state, missing, NULL, NULL, NULL));
	assert_int_equal(SQLITE_CONSTRAINT, sqlite3_exec(*state, wrong, NULL, NULL, NULL));
	assert_captured(*state, "");
}

static void dropped_triggers_can_be_made_again(void **state)
{
	defer(sync_buf_clear) struct sync_buf b = { .max = 1 << 16 };

	sync_ddl_drop_triggers(&b, entity("rnr_form_line"), sync_sqlite.sql);
	run(*state, b.data);
	assert_rows(*state, "SELECT name FROM sqlite_schema WHERE type = 'trigger' AND tbl_name = 'rnr_form_line'", "");
	sync_buf_reset(&b);
	sync_ddl_triggers(&b, entity("rnr_form_line"), sync_sqlite.sql, SYNC_SITE);
	sync_ddl_triggers(&b, entity("rnr_form_line"), sync_sqlite.sql, SYNC_SITE);
	run(*state, b.data);
	run(*state, "INSERT " LINE("l", "f"));
	assert_captured(*state, "rnr_form_line/l P");
}

static void every_trigger_has_the_name_that_is_told(void **state)
{
	size_t n, told = 0;
	const struct sync_entity *const *e = sync_entities(&n);
	char name[SYNC_TRIGGER_NAME], sql[200], total[20];

	for (size_t i = 0; i < n; i++) {
		for (size_t k = 0; sync_ddl_trigger_name(name, e[i], sync_sqlite.sql, SYNC_SITE, k); k++, told++) {
			snprintf(sql, sizeof sql, "SELECT tbl_name FROM sqlite_schema WHERE name = '%s'", name);
			assert_rows(*state, sql, e[i]->name);
		}
	}
	snprintf(total, sizeof total, "%zu", told);
	assert_rows(*state, "SELECT count(*) FROM sqlite_schema WHERE type = 'trigger'", total);
}

static void a_column_can_be_added_and_is_then_captured(void **state)
{
	static const char *const colours[] = { "RED", "BLUE", NULL };
	static const struct sync_field fields[] = {
		{ "id", SYNC_ID, .required = true },
		{ "colour", SYNC_ENUM, .required = true, .values = colours, .since = 2, .fallback = "'RED'" },
		{ "unit_id", SYNC_ID, .refers = "unit", .since = 2 },
	};
	static const struct sync_entity thing = { .name = "thing", .fields = fields, .n_fields = 3 };
	defer(sync_buf_clear) struct sync_buf b = { .max = 1 << 16 };

	run(*state, "CREATE TABLE thing (id text PRIMARY KEY NOT NULL) STRICT; INSERT INTO thing VALUES ('t')");
	sync_ddl_column(&b, &thing, &fields[1], sync_sqlite.sql);
	sync_ddl_column(&b, &thing, &fields[2], sync_sqlite.sql);
	sync_ddl_triggers(&b, &thing, sync_sqlite.sql, SYNC_SITE);
	run(*state, b.data);
	assert_rows(*state, "SELECT * FROM thing", "t RED -");
	run(*state, "UPDATE thing SET colour = 'BLUE'");
	assert_captured(*state, "thing/t P");
}

static void hard_references_and_what_routes_use_are_indexed(void **state)
{
	assert_rows(*state, "SELECT name FROM sqlite_schema WHERE type = 'index' AND tbl_name = 'asset_internal_location'"
	                    " AND sql IS NOT NULL ORDER BY 1",
	            "asset_internal_location.asset_id; asset_internal_location.location_id");
	assert_rows(*state, "SELECT sql FROM sqlite_schema WHERE name = 'sensor.location_id'",
	            "CREATE INDEX \"sensor.location_id\" ON \"sensor\"(\"location_id\") WHERE \"location_id\" IS NOT NULL");
}

static void no_table_has_another_key_than_the_id(void **state)
{
	size_t n;
	const struct sync_entity *const *e = sync_entities(&n);
	char sql[200];

	for (size_t i = 0; i < n; i++) {
		snprintf(sql, sizeof sql, "SELECT origin FROM pragma_index_list('%s') WHERE \"unique\"", e[i]->name);
		assert_rows(*state, sql, "pk");
	}
	assert_rows(*state, "SELECT m.name FROM sqlite_schema m, pragma_foreign_key_list(m.name) f WHERE m.type = 'table'", "");
}

static void central_keeps_routing_values_from_before_and_after(void **state)
{
	run(*state, "INSERT " LOCATION("l", "s1") "; UPDATE location SET store_id = 's2'; DELETE FROM location");
	assert_routed(*state, "l P 0 - [\"s1\"]; l P 0 [\"s1\"] [\"s2\"]; l D 0 [\"s2\"] -");
}

static void central_sees_the_store_that_a_replaced_record_had(void **state)
{
	run(*state, "INSERT " LOCATION("l", "s1") "; DELETE FROM sync_changelog");
	run(*state, "REPLACE " LOCATION("l", "s2"));
	assert_routed(*state, "l P 0 [\"s1\"] [\"s2\"]; l P 0 - [\"s2\"]");
	run(*state, "REPLACE " LOCATION("l", "s2"));
	assert_routed(*state, "l P 0 - [\"s2\"]");
}

static void central_treats_a_changed_id_as_two_records(void **state)
{
	run(*state, "INSERT " LOCATION("l", "s1") "; DELETE FROM sync_changelog; UPDATE location SET id = 'm'");
	assert_rows(*state, "SELECT record_id, action, old, new FROM sync_changelog ORDER BY record_id",
	            "l D [\"s1\"] -; m P - [\"s1\"]");
}

static void central_names_the_source_of_the_first_firing_only(void **state)
{
	run(*state, MARK("location", "l") "; INSERT " LOCATION("l", "s1") "; UPDATE location SET name = 'Box'");
	assert_routed(*state, "l P 7 - [\"s1\"]; l P 0 [\"s1\"] [\"s1\"]");
}

static void central_keeps_a_stores_site_as_text(void **state)
{
	run(*state, "INSERT INTO store(id, code, site_id, store_mode, is_disabled, name_id)"
	            "    VALUES ('s', 'S', 12, 'STORE', 0, 'n')");
	assert_routed(*state, "s P 0 - [\"12\",\"n\"]");
}

static void pg_run(PGconn *pg, const char *sql)
{
	PGresult *r = PQexec(pg, sql);

	if (PQresultStatus(r) != PGRES_COMMAND_OK && PQresultStatus(r) != PGRES_TUPLES_OK)
		fail_msg("%s: %s", PQresultErrorMessage(r), sql);
	PQclear(r);
}

static void pg_assert_rows(PGconn *pg, const char *sql, const char *expected)
{
	defer(sync_buf_clear) struct sync_buf b = { .max = 1 << 16 };
	PGresult *r = PQexec(pg, sql);

	sync_buf_add(&b, "", 0);
	if (PQresultStatus(r) != PGRES_TUPLES_OK)
		fail_msg("%s: %s", PQresultErrorMessage(r), sql);
	for (int row = 0; row < PQntuples(r); row++) {
		sync_buf_add_text(&b, row ? "; " : "");
		for (int i = 0; i < PQnfields(r); i++)
			sync_buf_addf(&b, "%s%s", i ? " " : "", PQgetisnull(r, row, i) ? "-" : PQgetvalue(r, row, i));
	}
	PQclear(r);
	assert_string_equal(expected, b.len ? b.data : "");
}

static void pg_assert_routed(PGconn *pg, const char *expected)
{
	pg_assert_rows(pg, "SELECT record_id || ' ' || action, source, old, new FROM sync_changelog ORDER BY record_id, seq",
	               expected);
	pg_run(pg, "DELETE FROM sync_changelog");
}

static void ignore_notice(void *ctx, const PGresult *r)
{
	(void)ctx, (void)r;
}

/* A schema of its own on the server that PGHOST and the like name; none: NULL, and the cases are skipped. */
static int open_postgres(void **state)
{
	defer(sync_buf_clear) struct sync_buf b = { .max = 1 << 22 };
	PGconn *pg;

	*state = NULL;
	if (!getenv("PGHOST"))
		return 0;
	pg = PQconnectdb("");
	if (PQstatus(pg) != CONNECTION_OK) {
		print_error("%s", PQerrorMessage(pg));
		PQfinish(pg);
		return -1;
	}
	PQsetNoticeReceiver(pg, ignore_notice, NULL);
	pg_run(pg, "DROP SCHEMA IF EXISTS test_ddl CASCADE; CREATE SCHEMA test_ddl; SET search_path = test_ddl");
	add_schema(&b, sync_postgres.sql, SYNC_CENTRAL);
	pg_run(pg, b.data);
	*state = pg;
	return 0;
}

static int close_postgres(void **state)
{
	if (!*state)
		return 0;
	pg_run(*state, "DROP SCHEMA test_ddl CASCADE");
	PQfinish(*state);
	return 0;
}

static int begin_case(void **state)
{
	if (*state)
		pg_run(*state, "BEGIN");
	return 0;
}

static int end_case(void **state)
{
	if (*state)
		pg_run(*state, "ROLLBACK");
	return 0;
}

static PGconn *server(void **state)
{
	if (!*state)
		skip();
	return *state;
}

#define PG_LOCATION(id, store) \
	"INTO location(id, name, code, on_hold, volume, store_id) VALUES ('" id "', 'Shelf', 'S', false, 1.5, '" store "')"

static void postgres_keeps_routing_values_from_before_and_after(void **state)
{
	PGconn *pg = server(state);

	pg_run(pg, "INSERT " PG_LOCATION("l", "s1") "; UPDATE location SET store_id = 's2'; DELETE FROM location");
	pg_assert_routed(pg, "l P 0 - [\"s1\"]; l P 0 [\"s1\"] [\"s2\"]; l D 0 [\"s2\"] -");
}

static void postgres_captures_every_row_of_a_statement(void **state)
{
	PGconn *pg = server(state);

	pg_run(pg, "INSERT " PG_LOCATION("a", "s") ", ('b', 'Box', 'B', false, 1, 's')");
	pg_assert_routed(pg, "a P 0 - [\"s\"]; b P 0 - [\"s\"]");
	pg_run(pg, "INSERT " PG_LOCATION("b", "t") ", ('c', 'Box', 'B', false, 1, 't')"
	           " ON CONFLICT (id) DO UPDATE SET store_id = excluded.store_id");
	pg_assert_routed(pg, "b P 0 [\"s\"] [\"t\"]; c P 0 - [\"t\"]");
}

static void postgres_treats_a_changed_id_as_two_records(void **state)
{
	PGconn *pg = server(state);

	pg_run(pg, "INSERT " PG_LOCATION("l", "s1") "; DELETE FROM sync_changelog; UPDATE location SET id = 'm'");
	pg_assert_routed(pg, "l D 0 [\"s1\"] -; m P 0 - [\"s1\"]");
}

static void postgres_takes_the_source_from_the_setting(void **state)
{
	PGconn *pg = server(state);

	pg_run(pg, "SET LOCAL sync.source = '7'; INSERT " PG_LOCATION("l", "s1"));
	pg_assert_routed(pg, "l P 7 - [\"s1\"]");
	pg_run(pg, "SET LOCAL sync.source = ''; UPDATE location SET name = 'Box'");
	pg_assert_routed(pg, "l P 0 [\"s1\"] [\"s1\"]");
}

static void postgres_sees_an_applications_answer_as_centrals_own_edit(void **state)
{
	PGconn *pg = server(state);

	pg_run(pg, "CREATE FUNCTION answer() RETURNS trigger LANGUAGE plpgsql AS"
	           " $$BEGIN UPDATE location SET code = 'seen' WHERE id = NEW.id; RETURN NULL; END$$;"
	           "CREATE TRIGGER theirs AFTER INSERT ON location FOR EACH ROW EXECUTE FUNCTION answer();"
	           "SET LOCAL sync.source = '7'; INSERT " PG_LOCATION("l", "s1"));
	pg_assert_rows(pg, "SELECT source FROM sync_changelog ORDER BY source", "0; 7");
}

static void postgres_refuses_truncate(void **state)
{
	PGconn *pg = server(state);
	PGresult *r = PQexec(pg, "TRUNCATE location");

	assert_int_equal(PGRES_FATAL_ERROR, PQresultStatus(r));
	assert_non_null(strstr(PQresultErrorMessage(r), "TRUNCATE of location is refused: its rows would not be captured"));
	PQclear(r);
}

static void postgres_leaves_out_what_stays_at_home(void **state)
{
	PGconn *pg = server(state);

	pg_run(pg, "INSERT INTO sync_file_reference(id, table_name, record_id, file_name, total_bytes, created_datetime)"
	           "    VALUES ('f', 'item', 'i', 'a.jpg', 10, '2026-01-31T12:00:00'); DELETE FROM sync_changelog");
	pg_run(pg, "UPDATE sync_file_reference SET downloaded_bytes = 5, status = 'IN_PROGRESS'");
	pg_assert_routed(pg, "");
	pg_run(pg, "UPDATE sync_file_reference SET downloaded_bytes = 10, file_name = 'b.jpg'");
	pg_assert_routed(pg, "f P 0 [] []");
}

static void postgres_works_for_the_entity_that_is_called_as_a_type(void **state)
{
	PGconn *pg = server(state);

	pg_run(pg, "INSERT INTO name(id, name, code, type, is_customer, is_supplier, is_manufacturer, is_donor, on_hold,"
	           "                 is_deceased)"
	           "    VALUES ('n', 'Ana', 'A', 'PATIENT', true, false, false, false, false, false)");
	pg_assert_routed(pg, "n P 0 - [\"n\", \"PATIENT\"]");
}

static void postgres_takes_triggers_and_columns_again(void **state)
{
	PGconn *pg = server(state);
	defer(sync_buf_clear) struct sync_buf b = { .max = 1 << 16 };

	sync_ddl_table(&b, entity("store_preference"), sync_postgres.sql);
	for (size_t i = 0; i < entity("store_preference")->n_fields; i++)
		sync_ddl_column(&b, entity("store_preference"), &entity("store_preference")->fields[i], sync_postgres.sql);
	sync_ddl_triggers(&b, entity("store_preference"), sync_postgres.sql, SYNC_CENTRAL);
	sync_ddl_drop_triggers(&b, entity("store_preference"), sync_postgres.sql);
	pg_run(pg, b.data);
	pg_assert_rows(pg, "SELECT count(*) FROM pg_trigger WHERE tgrelid = 'store_preference'::regclass", "0");
}

static void a_batch_has_the_id_first_and_what_is_asked_for(void **state)
{
	const char *columns[SYNC_MAX_FIELDS];
	enum sync_type types[SYNC_MAX_FIELDS];
	struct sync_table t;

	(void)state;
	sync_ddl_batch(&t, entity("unit"), (const uint64_t[]){ 1 << 3, 0 }, columns, types);
	assert_string_equal("unit", t.name);
	assert_int_equal(2, t.n_columns);
	assert_int_equal(1, t.n_key);
	assert_string_equal("id", t.columns[0]);
	assert_string_equal("index", t.columns[1]);
	assert_int_equal(SYNC_INTEGER, t.types[1]);
}

static void a_batch_leaves_out_what_stays_at_home(void **state)
{
	const char *columns[SYNC_MAX_FIELDS];
	enum sync_type types[SYNC_MAX_FIELDS];
	struct sync_table t;

	(void)state;
	sync_ddl_batch(&t, entity("user_account"), (const uint64_t[]){ UINT64_MAX, UINT64_MAX }, columns, types);
	for (size_t i = 0; i < t.n_columns; i++)
		assert_string_not_equal("hashed_password", t.columns[i]);
	assert_int_equal(entity("user_account")->n_fields - 2, t.n_columns);
}

static void a_name_that_postgres_cuts_is_still_that_field(void **state)
{
	const struct sync_entity *e = entity("store_preference");
	const char *name = "keep_requisition_lines_with_zero_requested_quantity_on_finalised";
	const struct sync_field *f = &e->fields[sync_field_find(e, sync_view_of(name))];

	(void)state;
	assert_true(sync_ddl_is_column(f, sync_view_of(name)));
	assert_true(sync_ddl_is_column(f, (struct sync_view){ name, 63 }));
	assert_false(sync_ddl_is_column(f, (struct sync_view){ name, 62 }));
	assert_false(sync_ddl_is_column(&e->fields[0], sync_view_of("type")));
}

#define AT_SITE(test)    cmocka_unit_test_setup_teardown(test, open_site, close_db)
#define AT_CENTRAL(test) cmocka_unit_test_setup_teardown(test, open_central, close_db)
#define ON_SERVER(test)  cmocka_unit_test_setup_teardown(test, begin_case, end_case)

int main(void)
{
	const struct CMUnitTest sqlite[] = {
		AT_SITE(inserts_updates_and_deletes_are_captured),
		AT_SITE(a_record_has_one_row_whose_number_rises),
		AT_SITE(the_time_of_an_edit_is_kept_in_microseconds),
		AT_SITE(a_replaced_record_is_captured_as_a_put),
		AT_SITE(other_conflict_clauses_do_not_change_what_is_captured),
		AT_SITE(a_changed_id_is_a_delete_and_a_put),
		AT_SITE(an_update_of_the_same_id_is_no_delete),
		AT_SITE(a_mark_is_consumed_by_the_first_firing),
		AT_SITE(a_mark_is_for_one_entity_and_one_record),
		AT_SITE(what_an_applications_trigger_does_in_answer_is_an_edit),
		AT_SITE(a_record_that_an_applications_trigger_removes_at_once_is_captured_as_deleted),
		AT_SITE(what_stays_at_home_is_not_captured),
		AT_SITE(a_received_record_needs_no_value_for_what_stays_at_home),
		AT_SITE(lines_are_captured_with_their_root),
		AT_SITE(roots_are_their_own_root_and_others_have_none),
		AT_SITE(a_line_that_moves_keeps_its_old_root),
		AT_SITE(a_line_that_moves_by_being_replaced_keeps_its_old_root),
		AT_SITE(the_base_is_the_version_that_the_first_edit_changed),
		AT_SITE(a_new_record_has_no_base),
		AT_SITE(wrong_types_and_missing_values_are_refused_by_the_table),
		AT_SITE(dropped_triggers_can_be_made_again),
		AT_SITE(every_trigger_has_the_name_that_is_told),
		AT_SITE(a_column_can_be_added_and_is_then_captured),
		AT_SITE(hard_references_and_what_routes_use_are_indexed),
		AT_SITE(no_table_has_another_key_than_the_id),
		AT_CENTRAL(central_keeps_routing_values_from_before_and_after),
		AT_CENTRAL(central_sees_the_store_that_a_replaced_record_had),
		AT_CENTRAL(central_treats_a_changed_id_as_two_records),
		AT_CENTRAL(central_names_the_source_of_the_first_firing_only),
		AT_CENTRAL(central_keeps_a_stores_site_as_text),
		cmocka_unit_test(a_batch_has_the_id_first_and_what_is_asked_for),
		cmocka_unit_test(a_batch_leaves_out_what_stays_at_home),
		cmocka_unit_test(a_name_that_postgres_cuts_is_still_that_field),
	};
	const struct CMUnitTest server_cases[] = {
		ON_SERVER(postgres_keeps_routing_values_from_before_and_after),
		ON_SERVER(postgres_captures_every_row_of_a_statement),
		ON_SERVER(postgres_treats_a_changed_id_as_two_records),
		ON_SERVER(postgres_takes_the_source_from_the_setting),
		ON_SERVER(postgres_sees_an_applications_answer_as_centrals_own_edit),
		ON_SERVER(postgres_refuses_truncate),
		ON_SERVER(postgres_leaves_out_what_stays_at_home),
		ON_SERVER(postgres_works_for_the_entity_that_is_called_as_a_type),
		ON_SERVER(postgres_takes_triggers_and_columns_again),
	};

	return cmocka_run_group_tests(sqlite, NULL, NULL) +
	       cmocka_run_group_tests(server_cases, open_postgres, close_postgres);
}

/** A country to measure with: tables of the sizes that open-mSupply measured, drawn from a seed. */
#ifndef BENCH_COUNTRY_H
#define BENCH_COUNTRY_H

#include <libsync/db.h>

/** xorshift: the same country from the same seed. */
struct draw {
	uint64_t state;
};

uint64_t draw(struct draw *d);
/** 0 to n - 1. */
uint64_t draw_below(struct draw *d, uint64_t n);
/** A random UUID, 36 characters and a NUL. */
void draw_uuid(struct draw *d, char ret[static 37]);

/** Rows of one entity on their way into a table. */
struct rows {
	struct sync_db *db;
	const struct sync_entity *e;
	struct sync_table table;
	const char *columns[SYNC_MAX_FIELDS];
	enum sync_type types[SYNC_MAX_FIELDS];
	struct sync_arena arena;
	struct sync_value *values; /* of BATCH rows */
	size_t n;
	int64_t total;
};

/** Start rows of an entity; every required field has a plain value, every other one is null. */
enum sync_status rows_open(struct rows *r, struct sync_db *db, const char *entity, struct sync_error *err);
/** Add a row with this id; set() changes it until the next one. */
enum sync_status rows_next(struct rows *r, const char *id, struct sync_error *err);
void set_text(struct rows *r, const char *field, const char *format, ...) __attribute__((format(printf, 3, 4)));
void set_int(struct rows *r, const char *field, int64_t i);
void set_real(struct rows *r, const char *field, double d);
/** Write what is left. */
enum sync_status rows_close(struct rows *r, struct sync_error *err);

/** Fill central's database; *ret_records without the few master lists that the lines need. The first store is for the site. */
enum sync_status country_make(struct sync_db *db, uint64_t seed, int64_t *ret_records, struct sync_error *err);
/** More central records (items) until n: for a first load of any size. */
enum sync_status country_grow(struct sync_db *db, uint64_t seed, int64_t n, struct sync_error *err);
/** At central: n small records of a store that is another site's, routed as they come. */
enum sync_status country_others(struct sync_db *db, uint64_t seed, const char *store, int64_t n, struct sync_error *err);
/** At a site, as an application: n_invoices of the store without lines. */
enum sync_status country_invoices(struct sync_db *db, uint64_t seed, int64_t n_invoices, struct sync_error *err);
/** At a site, as an application: lines for its invoices, evenly. */
enum sync_status country_lines(struct sync_db *db, uint64_t seed, int64_t n_lines, struct sync_error *err);

#endif

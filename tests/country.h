/** A small country for tests of exchanges: central and a few sites, each with one store. */
#ifndef SYNC_COUNTRY_H
#define SYNC_COUNTRY_H

#include "loopback.h"
#include "testdb.h"

enum { COUNTRY_SITES = 3 };

/** A site: its store is "store1" and so on, after the names "name1" … */
struct country_site {
	struct testdb db;
	struct loopback line;
	struct sync_report report; /* of the last load or round */
	struct sync_error err;     /* its failure */
};

struct country {
	struct testdb *central; /* the caller's */
	struct country_site site[COUNTRY_SITES];
	size_t n;
	struct sync_options o; /* of all rounds; pauses let central work */
};

/** Central opens with a unit, an item and n stores at n registered sites, whose databases are there but not loaded. */
void country_open(struct country *c, struct testdb *central, size_t n);
void country_close(struct country *c);
/** Close and open the database of a site, or central's, with these drivers: as after a crash. */
void country_reopen_site(struct country *c, size_t site, const struct sync_db_ops *const *drivers);
void country_reopen_central(struct country *c, const struct sync_db_ops *const *drivers);
/** First load of a site, which works. */
void country_load(struct country *c, size_t site);
/** One round of a site. */
enum sync_status country_round(struct country *c, size_t site);
/** Rounds of all sites until nothing moves any more; all of them work. */
void country_settle(struct country *c);

/** A routing transaction that tidies up; those before it are as old as they can be. */
void country_tidy(struct country *c);

/** Run SQL that must work. */
void run(struct sync_db *db, const char *format, ...) __attribute__((format(printf, 2, 3)));
/** Its first number; 0 without a row. */
int64_t number(struct sync_db *db, const char *format, ...) __attribute__((format(printf, 2, 3)));

/** Edits as an application makes them: a location of a store, a stocktake with n lines, a barcode. */
void put_location(struct sync_db *db, const char *id, int store, const char *name);
void put_stocktake(struct sync_db *db, const char *id, int store, int n);
void put_barcode(struct sync_db *db, const char *id, const char *gtin);

/** Every record of these entities that is in one database is in the other with the same content. */
void assert_same(struct sync_db *a, struct sync_db *b, const char *entity, const char *where);
/** Nothing of the country's entities differs between central and a site's store. */
void assert_converged(struct country *c, size_t site);

#endif

/** Records in a form that both sides make alike, whatever the database and the build; digests over it. Inner header of the exchange. */
#ifndef SYNC_DIGEST_H
#define SYNC_DIGEST_H

#include <libsync/crypto.h>
#include <libsync/db.h>
#include <libsync/frame.h>

/** Records and their digest. */
struct sync_tally {
	int64_t n;
	struct sync_sum sum;
};
void sync_tally_join(struct sync_tally *t, const struct sync_tally *other);
bool sync_tally_eq(const struct sync_tally *a, const struct sync_tally *b);
/** Into a range's frame, and out of it; false: the frame has no digest. */
void sync_tally_put(const struct sync_tally *t, struct sync_range *ret);
bool sync_tally_get(struct sync_tally *ret, const struct sync_range *r);

/** What digests the records of one entity. */
struct sync_digester {
	const struct sync_entity *e;
	size_t field[SYNC_MAX_FIELDS]; /* those that both sides know and that travel, in the order of their names */
	size_t n_fields;
	struct sync_buf form; /* of one record */
};
/** @param schema  the lower of both sides': fields that appeared later do not count */
void sync_digester_open(struct sync_digester *d, const struct sync_entity *e, int schema);
void sync_digester_close(struct sync_digester *d);
/** One record. @param values  of all fields; nulls and absent ones are alike */
enum sync_status sync_digester_record(struct sync_digester *d, const struct sync_value *values, struct sync_tally *ret,
				      struct sync_error *err);

/** Sees a record's id and its digest. */
typedef enum sync_status sync_digest_fn(void *ctx, struct sync_view id, const struct sync_tally *t, struct sync_error *err);

/** What a site holds of an entity with ids above from and at most to (empty: to the end), in the order of ids. */
enum sync_status sync_digest_table(struct sync_db *db, struct sync_digester *d, struct sync_view from, struct sync_view to,
				   sync_digest_fn *fn, void *ctx, struct sync_error *err);
/**
 * What central's routing gives a site of it, in the order of ids.
 *
 * @param limit     records that may still be looked at; a page more is; lowered by what was
 * @param ret_last  id of the last record looked at; empty: all of the range was
 */
enum sync_status sync_digest_due(struct sync_db *db, int64_t site, struct sync_digester *d, struct sync_view from,
				 struct sync_view to, int64_t *limit, struct sync_buf *ret_last, sync_digest_fn *fn, void *ctx,
				 struct sync_error *err);

#endif

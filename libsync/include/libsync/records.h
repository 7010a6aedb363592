/** Records of entity tables, many at a time. */
#ifndef LIBSYNC_RECORDS_H
#define LIBSYNC_RECORDS_H

#include <libsync/db.h>
#include <libsync/entity.h>
#include <libsync/frame.h>

/** Append a JSON array of texts, for the parameter of struct sync_dialect.in_list. */
void sync_ids_json(struct sync_buf *b, const struct sync_view *ids, size_t n);

/**
 * Read records by id, one statement for all of them.
 *
 * @param e      NULL together with name: an entity that this build does not know, kept in sync_extra
 * @param ids    n of them, each once
 * @param arena  keeps what ret borrows
 * @param ret    n records in the order of ids: action, entity, name, id, values, extra, version ("any" entities) and root are set;
 *               values is NULL (and for unknown entities extra is empty) where there is no such record
 */
enum sync_status sync_records_get(struct sync_db *db, const struct sync_entity *e, struct sync_view name,
                                  const struct sync_view *ids, size_t n, struct sync_arena *arena, struct sync_record *ret,
                                  struct sync_error *err);

/**
 * Put records of one entity, whatever fields each has (absent ones stay as they are); those with the same fields go together.
 * Unknown fields (extra) are kept too. No echo marks: the caller makes them.
 */
enum sync_status sync_records_put(struct sync_db *db, const struct sync_entity *e, const struct sync_record *const *r, size_t n,
                                  struct sync_error *err);

/**
 * The same for records that were not there when the caller looked.
 *
 * @retval SYNC_EBUSY  PostgreSQL: another transaction has put one of them meanwhile; roll back and look again
 */
enum sync_status sync_records_add(struct sync_db *db, const struct sync_entity *e, const struct sync_record *const *r, size_t n,
                                  struct sync_error *err);

/** Delete records and their unknown fields by id. */
enum sync_status sync_records_delete(struct sync_db *db, const struct sync_entity *e, const struct sync_view *ids, size_t n,
                                     struct sync_error *err);

/** Forget the unknown fields of those of n ids, each once, that do not exist: their records were deleted by plain SQL. */
enum sync_status sync_records_forget(struct sync_db *db, const struct sync_entity *e, const struct sync_view *ids, size_t n,
                                     struct sync_error *err);

/** Tell which of n ids exist (ret[i]). */
enum sync_status sync_records_exist(struct sync_db *db, const struct sync_entity *e, const struct sync_view *ids, size_t n,
                                    bool *ret, struct sync_error *err);
/** The same, and until the transaction ends nobody else deletes those that do. */
enum sync_status sync_records_hold(struct sync_db *db, const struct sync_entity *e, const struct sync_view *ids, size_t n,
                                   bool *ret, struct sync_error *err);

#endif

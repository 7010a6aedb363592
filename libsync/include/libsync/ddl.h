/** SQL that follows from the declarations: tables, indices, triggers, and what an upgrade adds. */
#ifndef LIBSYNC_DDL_H
#define LIBSYNC_DDL_H

#include <libsync/db.h>
#include <libsync/entity.h>

/**
 * CREATE TABLE IF NOT EXISTS and its indices: one per reference that is hard or that a route, a parent or a join uses; a
 * nullable one is partial (WHERE … IS NOT NULL). SQLite tables are STRICT.
 */
void sync_ddl_table(struct sync_buf *ret, const struct sync_entity *e, const struct sync_dialect *sql);
/** ALTER TABLE … ADD COLUMN for one field, and its index. PostgreSQL leaves a column alone that is there already. */
void sync_ddl_column(struct sync_buf *ret, const struct sync_entity *e, const struct sync_field *f,
                     const struct sync_dialect *sql);
/** ALTER TABLE … for a table that somebody else has made: its ids and references get the type of ids. PostgreSQL only. */
void sync_ddl_ids(struct sync_buf *ret, const struct sync_entity *e, const struct sync_dialect *sql);
/** The capture triggers of one entity (design.md section 6), replacing older ones. A site has SQLite only. */
void sync_ddl_triggers(struct sync_buf *ret, const struct sync_entity *e, const struct sync_dialect *sql, enum sync_role role);
/** Longest name of a trigger, with its NUL. */
enum { SYNC_TRIGGER_NAME = 80 };
/** Name of the n-th of them, from 0 on, so that a missing one can be noticed; false when there are no more. */
bool sync_ddl_trigger_name(char ret[static SYNC_TRIGGER_NAME], const struct sync_entity *e, const struct sync_dialect *sql,
                           enum sync_role role, size_t n);
/** DROP TRIGGER for all of them, for the first load. */
void sync_ddl_drop_triggers(struct sync_buf *ret, const struct sync_entity *e, const struct sync_dialect *sql);
/**
 * What triggers have missed: statements that put up all of an entity that this database may say anything about, and delete what
 * is gone. Nothing for what a site may not edit.
 */
void sync_ddl_recapture(struct sync_buf *ret, const struct sync_entity *e, const struct sync_dialect *sql, enum sync_role role);
/**
 * Central: INSERT into the queue, as edits made here at that time, the records t of the entity for which a WHERE holds that
 * may follow. What routing values they had before is not known.
 */
void sync_ddl_queue(struct sync_buf *ret, const struct sync_entity *e, const struct sync_dialect *sql, int64_t at_us);
/** Whether a column of the database is this field: PostgreSQL keeps the first 63 bytes of a name. */
bool sync_ddl_is_column(const struct sync_field *f, struct sync_view column);

/**
 * The table of an entity for sync_db_put_many(): id and those of its columns that travel and are in mask.
 *
 * @param mask  bit i: fields[i] is in the batch; SYNC_MAX_FIELDS bits
 * @param ret_columns, ret_types  space for the arrays that ret points to
 */
void sync_ddl_batch(struct sync_table *ret, const struct sync_entity *e, const uint64_t mask[static 2],
                    const char *ret_columns[static SYNC_MAX_FIELDS], enum sync_type ret_types[static SYNC_MAX_FIELDS]);

#endif

/** What the generated table of declarations needs, and sets of declarations under look-up. */
#ifndef SYNC_DECLARED_H
#define SYNC_DECLARED_H

#include <libsync/entity.h>
#include <stddef.h>

enum {
	SYNC_MAX_ENTITIES = 512,
	SYNC_MAX_NAME = 64 /* of an entity or a field; PostgreSQL keeps 63 bytes, so these must differ within an entity */
};

/** One per file in schema/entities, NULL-ended, in the order of their names. */
extern const struct sync_entity *const sync_declared[];

/** For a declaration: .FIELDS of a static array. */
#define FIELDS(array) .fields = (array), .n_fields = sizeof(array) / sizeof((array)[0])

/** The fields of an entity whose values are routing values, as sync_entity_routing() has them. */
struct sync_routing {
	size_t n;
	size_t field[SYNC_MAX_FIELDS];
};

/** Declarations by name and in integration order. */
struct sync_catalogue {
	const struct sync_entity *by_name[SYNC_MAX_ENTITIES];
	const struct sync_entity *ordered[SYNC_MAX_ENTITIES + 1]; /* NULL-ended */
	size_t n;
	size_t n_ordered; /* less than n when references form a cycle: the rest cannot be ordered */
	struct sync_routing routing[SYNC_MAX_ENTITIES]; /* in integration order, once routed */
	bool routed;
};

/**
 * Sort declarations. References to entities that are not among them are passed over.
 *
 * @param declared  NULL-ended; at most SYNC_MAX_ENTITIES, more is a mistake of ours
 */
void sync_catalogue_fill(struct sync_catalogue *ret, const struct sync_entity *const *declared);
/** The entity of that name, or NULL. */
const struct sync_entity *sync_catalogue_find(const struct sync_catalogue *c, struct sync_view name);
/** Whether the declarations are complete and consistent; see sync_entities_check(). */
enum sync_status sync_catalogue_check(const struct sync_catalogue *c, struct sync_error *err);
/** All that this build declares, with routing; made at the first call. Thread-safe. */
const struct sync_catalogue *sync_catalogue(void);
/**
 * Let the calling thread work as another build would: so the simulator has peers of different schema versions. Their dictionary is
 * one. A database is opened and used under the same declarations.
 *
 * @param c  consistent; lasts as long as it is used. NULL: what this build declares
 */
void sync_catalogue_use(struct sync_catalogue *c);

#endif

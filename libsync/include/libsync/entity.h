/** What a record is: the declarations of all entities, and look-ups in them. One file per entity in schema/entities. */
#ifndef LIBSYNC_ENTITY_H
#define LIBSYNC_ENTITY_H

#include <libsync/buf.h>
#include <libsync/error.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/** Type of a field. How each looks in SQL and JSON stands in docs/protocol.md. */
enum sync_type {
	SYNC_ID,      /* text of 1 to 255 bytes, usually a UUID */
	SYNC_TEXT,
	SYNC_ENUM,    /* text, one of the field's values */
	SYNC_JSON,    /* text that is one JSON value */
	SYNC_DATE,    /* text, YYYY-MM-DD */
	SYNC_TIME,    /* text, YYYY-MM-DDTHH:MM:SS with an optional fraction and an optional Z */
	SYNC_BOOLEAN, /* SQLite: integer 0 or 1; PostgreSQL: boolean */
	SYNC_INTEGER, /* 32 bits */
	SYNC_BIGINT,  /* 64 bits; in JSON a string of decimal digits */
	SYNC_REAL,    /* a finite double */
};

/** What a value is at run time. */
enum sync_kind {
	SYNC_ABSENT, /* not in the frame: unchanged */
	SYNC_NULL,
	SYNC_INT,    /* booleans, integers, bigints */
	SYNC_DOUBLE,
	SYNC_STRING, /* all text types */
	SYNC_BLOB,
};

/** One value; text and blobs are borrowed. */
struct sync_value {
	enum sync_kind kind;
	union {
		int64_t i;
		double d;
		struct sync_view s;
	};
};

/** How a value of the legacy server maps to the field; what the legacy codec will need. NULL name: legacy has no such key. */
struct sync_legacy_field {
	const char *name;  /* key in the legacy record, "a.b" when nested, "a + b" for two keys */
	const char *codec; /* how the value is written there */
};

/** One field, which is one column. */
struct sync_field {
	const char *name;
	enum sync_type type;
	bool required;             /* never null */
	const char *refers;        /* entity whose id it holds, or NULL */
	bool soft;                 /* the reference may dangle */
	const char *const *values; /* SYNC_ENUM: NULL-ended list */
	unsigned since;            /* schema version it appeared in; 0 and 1 both mean the first */
	const char *fallback;      /* SQL literal for rows made before it existed; required when .required and .since > 1 */
	bool local;                /* stays in this database: not captured, not sent */
	struct sync_legacy_field legacy;
};

/** A condition on a record: field (or, with refers_field, the field of that name in the record it refers to) is value. */
struct sync_when {
	const char *field;        /* NULL: always true */
	const char *refers_field; /* NULL: field itself is compared */
	const char *value;        /* NULL: the value is null */
	bool not;                 /* the opposite */
};

/** Where a record travels; several may hold (design.md section 4). */
enum sync_route_kind {
	SYNC_ROUTE_NONE,    /* ends the list */
	SYNC_ROUTE_CENTRAL, /* to every site */
	SYNC_ROUTE_STORE,   /* to the site where the store in field is active */
	SYNC_ROUTE_TRANSFER,/* to the site of the store whose name is in field */
	SYNC_ROUTE_THROUGH, /* to the sites whose stores a join entity ties to what field names */
	SYNC_ROUTE_PARENT,  /* wherever the record that field refers to goes */
	SYNC_ROUTE_UP,      /* to central only, never back */
};

/** One rule. */
struct sync_route {
	enum sync_route_kind kind;
	const char *field;    /* the deciding field of this entity ("id" for itself) */
	const char *join;     /* THROUGH: the join entity, e.g. "name_store_join" */
	const char *join_key; /* THROUGH: its field that names what field names, e.g. "name_id" */
	struct sync_when when;
	const char *join_store; /* THROUGH: its field that names the store, or the name that stores have; NULL: "store_id" */
	const char *chosen;     /* counts only where the entity's option has this value; NULL: whatever it has */
};

/** A value that an option may have. */
struct sync_option_value {
	const char *name;
	const char *about; /* what it means: half a sentence */
};

enum { SYNC_MAX_OPTION_VALUES = 4 };

/** Something that each installation chooses about where records travel. Kept in central's database (sync_option_set). */
struct sync_option {
	const char *name;
	const char *about; /* what is chosen: half a sentence */
	struct sync_option_value values[SYNC_MAX_OPTION_VALUES + 1]; /* the first counts unless another is chosen; ends with a zeroed one */
};

/** Who may edit. */
enum sync_owner {
	SYNC_OWNER_CENTRAL,
	SYNC_OWNER_STORE, /* the site where its store (owner_field, through the parent if it is a child) is active */
	SYNC_OWNER_ANY,   /* any site that can see it */
};

enum { SYNC_MAX_ROUTES = 4, SYNC_MAX_FIELDS = 96, SYNC_SCHEMA_VERSION = 1, SYNC_MAX_ID = 255 };

/** One kind of record. */
struct sync_entity {
	const char *name;   /* also the table */
	const char *legacy; /* table name in the legacy server, or NULL */
	const char *about;  /* one sentence for docs/entities.md */
	const struct sync_field *fields; /* fields[0] is id */
	size_t n_fields;
	enum sync_owner owner;
	const char *owner_field;      /* OWNER_STORE: the field with the store's id; NULL: as the parent */
	struct sync_when owner_when;  /* where it does not hold, central owns the record */
	const char *parent;           /* field that refers to the root of its group, or NULL for a root */
	const char *creator_grants;   /* a join that makes data visible: the field that names it; only its creator, or a grant, may */
	const char *option;           /* the option by which some of the routes are chosen, or NULL */
	struct sync_route routes[SYNC_MAX_ROUTES + 1]; /* ends with a zeroed one */
	unsigned since;               /* schema version; 0 and 1 both mean the first */
};

/** All entities in integration order: what a hard reference names stands before what refers to it. */
const struct sync_entity *const *sync_entities(size_t *ret_n);
/** The entity of that name, or NULL. */
const struct sync_entity *sync_entity_find(struct sync_view name);
/** The same for what a person has typed. @retval SYNC_EUSAGE  there is none: the text has the nearest one */
enum sync_status sync_entity_named(const char *name, const struct sync_entity **ret, struct sync_error *err);
/** Its place in the integration order. */
size_t sync_entity_order(const struct sync_entity *e);
/** Index of the field of that name, or -1. */
int sync_field_find(const struct sync_entity *e, struct sync_view name);
/** The entity that a field refers to; NULL when it refers to none. */
const struct sync_entity *sync_field_target(const struct sync_field *f);
/** The root entity of e's group: what .parent refers to, or e itself. */
const struct sync_entity *sync_entity_root(const struct sync_entity *e);

/** Whether e belongs to a group of several entities: it has a parent, or is some entity's parent. */
bool sync_entity_grouped(const struct sync_entity *e);

/** All options, ended by a zeroed one. */
extern const struct sync_option sync_option_list[];
/** The option of that name, or NULL. */
const struct sync_option *sync_option_find(const char *name);
/** Its value of that name, or NULL. */
const struct sync_option_value *sync_option_value_find(const struct sync_option *o, struct sync_view name);
/** Whether a route counts where its entity's option has this value (NULL: the entity has none). */
bool sync_route_counts(const struct sync_route *r, const char *value);
/** THROUGH: the field of the join that names the store, or the name that stores have. */
const char *sync_route_join_store(const struct sync_route *r);

/**
 * Whether a site may insist that the record named by a declared hard reference exists there. Central holds everything, so
 * it always may; a site holds only what travels to it, so the target must provably travel wherever e goes, whatever an
 * installation has chosen:
 * - it goes to every site, whatever it says;
 * - it is the root of e's group;
 * - both go by store and only e's store decides: what a store's record names is taken to be of that store.
 * Anything else is soft at sites, as a patient's name is: the value is kept and may dangle.
 *
 * @param f  a field of e
 * @return false also for soft references and for fields that refer to nothing
 */
bool sync_field_hard_at_site(const struct sync_entity *e, const struct sync_field *f);

/**
 * The fields on which any route depends, own or another entity's (a join's key and store, a name's type): their old and new
 * values stand in central's changelog as a JSON array in this order.
 *
 * @param ret  indices into e->fields, ascending
 * @return how many
 */
size_t sync_entity_routing(const struct sync_entity *e, size_t ret[static SYNC_MAX_FIELDS]);

/** What a field has in rows made before it existed, borrowed from the declaration; SYNC_NULL where it has no fallback. */
struct sync_value sync_field_fallback(const struct sync_field *f);

/**
 * Whether a value may stand in a field: kind, range, format, enum, length, UTF-8 and null.
 *
 * @param v    SYNC_ABSENT passes
 * @param err  names entity and field and the value seen
 * @retval SYNC_EINVALID  it may not
 */
enum sync_status sync_value_check(const struct sync_entity *e, const struct sync_field *f, const struct sync_value *v,
                                  struct sync_error *err);

/**
 * Whether the condition holds for a record's values (those of e, as many as it has fields); absent counts as null.
 * refers_field is not followed: such a condition is the caller's to decide, and false here.
 */
bool sync_when_holds(const struct sync_when *w, const struct sync_entity *e, const struct sync_value *values);

/** Whether the declarations are complete and consistent; err names entity and field of the first fault. */
enum sync_status sync_entities_check(struct sync_error *err);

/** Write docs/entities.md from the declarations. */
void sync_entities_document(struct sync_buf *ret);

#endif

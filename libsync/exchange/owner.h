/** Whose records are: what decides about it, read for a whole lot at once. Inner header of the exchange. */
#ifndef SYNC_OWNER_H
#define SYNC_OWNER_H

#include "exchange/lot.h"

/** A field that decides, and what it refers to. */
struct sync_deciding {
	int field;                        /* -1: the entity has none */
	const struct sync_entity *target; /* NULL: it refers to nothing */
};

/** How the owner of an entity's records is found. */
struct sync_owning {
	const struct sync_entity *e;
	struct sync_deciding owner, parent, grants;
	struct sync_deciding when; /* target only when the condition is on a field of that */
	int when_field;            /* that field */
	size_t read[8];            /* all fields to be read, each once: also those that conditions of other entities are on */
	size_t n_read;
	struct sync_owning *next;
};

/** What decides about one record, in the lot or not. */
struct sync_fact {
	const struct sync_owning *kind;
	struct sync_view id;
	const struct sync_value *stored; /* only the fields that decide are set; NULL: there is no such record */
	struct sync_item *item;          /* of the lot, or NULL */
	bool read;
	bool asked;                      /* whether the site sees it; the answer is: */
	bool seen;
	bool found;                      /* what another question looked for is there: a grant, another site */
};

/** The facts of a lot: its records, their parents, and what conditions and joins that make visible refer to. */
struct sync_owners {
	struct sync_lot *lot;
	struct sync_owning *kinds; /* the last used first */
	struct sync_set known;   /* (entity, id): fact */
	struct sync_fact *facts;
	size_t n, cap;
	struct sync_set stores;  /* ("store", id): index into sites */
	int64_t *sites;          /* where they are active */
};

/** Whether it matters whose a record is: of what is malformed, as it is stored. */
static inline bool sync_item_owned(const struct sync_lot *lot, const struct sync_item *item)
{
	return sync_item_open(lot, item) || item->r->fault;
}

/** Read all facts of those records of a lot, in a handful of statements; says of items whether they exist. */
enum sync_status sync_owners_open(struct sync_owners *ret, struct sync_lot *lot, struct sync_error *err);

/** What is known of a record, or NULL. */
struct sync_fact *sync_fact_of(const struct sync_owners *o, const struct sync_entity *e, struct sync_view id);
/**
 * A deciding field as it is stored, or (now) as the lot would leave it, as far as its group is open.
 *
 * @return NULL: there is no such record
 */
const struct sync_value *sync_fact_field(const struct sync_owners *o, const struct sync_fact *fact, int field, bool now);
/** The record that a field names, or NULL when there is none; *ret_id: its id, also then. */
const struct sync_fact *sync_fact_target(const struct sync_owners *o, const struct sync_fact *fact, struct sync_deciding d,
                                         bool now, struct sync_view *ret_id);

/** Which facts are meant. */
typedef bool sync_fact_fn(const struct sync_fact *fact);
/** Their ids, among those of from's entity from there on; in the arena. */
enum sync_status sync_fact_ids(const struct sync_owners *o, size_t from, sync_fact_fn *fn, struct sync_view **ret,
                               size_t *ret_n, struct sync_error *err);

enum sync_whose {
	SYNC_CENTRALS,
	SYNC_A_STORES,
	SYNC_NOBODYS,  /* a store's, but it names none */
	SYNC_ANYBODYS,
	SYNC_UNKNOWN,  /* what would tell does not exist */
};

struct sync_ownership {
	enum sync_whose whose;
	struct sync_view store;           /* SYNC_A_STORES */
	const struct sync_entity *entity; /* SYNC_UNKNOWN: what field names */
	struct sync_view id;
	const struct sync_field *field;
};

/** Whose a record is, as stored or as the lot would leave it. */
struct sync_ownership sync_owner_of(const struct sync_owners *o, const struct sync_fact *fact, bool now);
/** That a field names a record that does not exist. */
struct sync_ownership sync_owner_unknown(const struct sync_fact *fact, struct sync_deciding d, struct sync_view id);
/** Where a store that owns anything here is active; 0: nowhere. */
int64_t sync_owner_site(const struct sync_owners *o, struct sync_view store);

#endif

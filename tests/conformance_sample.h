/** One valid record of each entity after the other, made from the declarations alone, and where each belongs. */
#ifndef SYNC_CONFORMANCE_SAMPLE_H
#define SYNC_CONFORMANCE_SAMPLE_H

#include "country.h"

#include <libsync/frame.h>

/** What the fields hold that a record is free to choose. */
enum content {
	MINIMAL,  /* what is required, and as little of it as possible */
	FULL,     /* every field, texts in all scripts, the least numbers */
	LONGEST,  /* every field, the longest id, a text of 100 KiB, the greatest numbers */
	CONTENTS
};

/** What is chosen of every option: the value that counts by default, or the last one. */
enum choice { FIRST_VALUES, LAST_VALUES };

/** By which of its entity's routes a record travels; of one that goes where another goes, also by which that one does. */
struct aim {
	const struct sync_route *route, *parent;
};

/** A record as it should be. */
struct made {
	const struct sync_entity *e;
	struct aim aim;
	struct sync_view id;
	struct sync_value *values; /* of all fields */
	struct sync_view extra;    /* fields that this build does not know */
	enum content content;
	bool gone;                 /* it was deleted */
};

/** Records in an order in which they can be made: what one names stands before it. */
struct sample {
	struct sync_arena arena;
	struct made **all;
	size_t n;
	enum choice choice;
};

/** The country's places: central, the site whose store owns what stores own, a bystander's, and that of the other party. */
enum place { CENTRAL, OWNER, BYSTANDER, PARTNER, PLACES };

/** Records of all entities, by each of their routes, with these contents, and what they refer to. */
void sample_fill(struct sample *s, enum choice choice, enum content first, enum content last);
/** The value that an option has. */
const struct sync_option_value *sample_choice(const struct sample *s, const struct sync_option *o);
void sample_clear(struct sample *s);
/** Change what the record is free to choose; unknown fields stay as they are. */
void sample_change(struct sample *s, struct made *m, enum content content);
/** Another record like m, with the least that it can have of what it is free to choose. */
struct made *sample_copy(struct sample *s, const struct made *m);
/** Whether a field neither is the id nor refers to something nor decides where a record belongs. */
bool sample_is_free(const struct sync_entity *e, const struct sync_field *f);
/** Where the record is edited: CENTRAL or OWNER. */
enum place sample_owner(const struct sample *s, const struct made *m);
/** Whether its routes lead it to a place. */
bool sample_is_due(const struct sample *s, const struct made *m, enum place place);
/** Whether a place has it, once nothing moves: it is due there or was made there. */
bool sample_is_at(const struct sample *s, const struct made *m, enum place place);
/** The record to be put. */
struct sync_record sample_record(const struct made *m);

#endif

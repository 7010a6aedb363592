/** Messages that neither end would write: records added to what a site sends, and to what central answers. */
#ifndef SYNC_CONFORMANCE_FORGE_H
#define SYNC_CONFORMANCE_FORGE_H

#include "country.h"

/** What stood in an answer; id and texts live in the arena. */
struct verdicts {
	struct sync_arena arena;
	struct sync_verdict *v;
	size_t n, cap;
};

/**
 * Push records in the name of a site, which must not exchange afterwards: this is not in its own history.
 *
 * @param r    their seqs are set
 * @param ret  what central says to them; may be NULL
 */
void forge_push(struct country *c, size_t site, struct sync_record *r, size_t n, struct verdicts *ret);
/** A round of a site, with records added to what central answers. */
void forge_pull(struct country *c, size_t site, const struct sync_record *r, size_t n);
/** The verdict on one edit. */
const struct sync_verdict *forge_verdict(const struct verdicts *v, const struct sync_record *r);
void forge_clear(struct verdicts *v);

#endif

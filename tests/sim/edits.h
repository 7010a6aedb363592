/** Edits by plain SQL, as applications make them. */
#ifndef SIM_EDITS_H
#define SIM_EDITS_H

#include "world.h"

/** One transaction of a node's application, drawn from d. */
void edit(struct world *w, int node, struct dice *d);
/** After a crash: find out whether the transaction that it met was committed. */
void edits_settle(struct world *w, int node);

#endif

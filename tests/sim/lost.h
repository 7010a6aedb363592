/** What exists nowhere any more after a disk went back to an earlier state: the model does not ask for it. */
#ifndef SIM_LOST_H
#define SIM_LOST_H

#include "world.h"

/** Before a node's disk goes back: what it has. Its machine may have stopped. */
void lost_before(struct world *w, int node);
/** The same before a node goes away: what it has not pushed. */
void lost_unpushed(struct world *w, int node);
/** After: of what it had, what no node has any more is lost, and so is what only its makers knew. */
void lost_after(struct world *w);

#endif

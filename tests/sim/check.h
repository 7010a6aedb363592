/** What must hold when everything has settled: nothing is lost, and every site holds exactly what routing gives it. */
#ifndef SIM_CHECK_H
#define SIM_CHECK_H

#include "world.h"

/** Checks the invariants; what is broken is in w->violation. */
void check_all(struct world *w);

#endif

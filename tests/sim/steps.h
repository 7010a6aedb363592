/** A run: steps drawn from a seed, then peace, then the checks. */
#ifndef SIM_STEPS_H
#define SIM_STEPS_H

#include "world.h"

enum { STEPS = 120 };

/** How many steps a seed has, at most STEPS. */
int steps_of(uint64_t seed);
/**
 * Run a seed.
 *
 * @param skip      steps to leave out; NULL: none
 * @param restores  with the steps that let disks go back
 * @return whether all invariants held; else w->violation says what did not. The world is open in either case.
 */
bool steps_run(struct world *w, uint64_t seed, const bool *skip, struct figures *figures, bool print, bool restores);

#endif

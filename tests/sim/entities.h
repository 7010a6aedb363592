/** What the builds of the simulated country declare: an older one knows less. */
#ifndef SIM_ENTITIES_H
#define SIM_ENTITIES_H

#include <stdbool.h>

#include "schema/declared.h"

/** Once per process. */
void entities_prepare(void);
/** Whose library calls follow: those of an older build, or of a newer one. */
void entities_use(bool of_older);

#endif

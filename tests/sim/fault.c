#include <stdlib.h>
#include <string.h>

#include "base/internal.h"

/* The one deliberate fault of this process, named by the environment. */
bool sync_faulty(const char *name)
{
	static const char *on;

	if (!on) {
		on = getenv("SYNC_FAULT");
		on = on ? on : "";
	}
	return !strcmp(on, name);
}

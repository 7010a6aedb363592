/** What fuzz targets share. */
#ifndef SYNC_FUZZ_H
#define SYNC_FUZZ_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

/** What always holds, in release builds as well. */
#define CHECK(condition)                                                    \
	do {                                                                \
		if (!(condition)) {                                         \
			fprintf(stderr, "does not hold: %s\n", #condition); \
			abort();                                            \
		}                                                           \
	} while (0)

/** One input; called by libFuzzer, or by replay.c for each file that is kept. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

#endif

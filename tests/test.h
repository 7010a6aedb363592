/** cmocka with what it needs first, and a few helpers for all tests. */
#ifndef SYNC_TEST_H
#define SYNC_TEST_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "base/internal.h"

/** The call succeeds, or the test fails with the error's text. */
#define assert_ok(call)                                                         \
	do {                                                                    \
		struct sync_error err_ = { 0 };                                 \
		struct sync_error *err = &err_;                                 \
		enum sync_status got_ = (call);                                 \
		if (got_ != SYNC_OK)                                            \
			fail_msg("%s: %s: %s", #call, sync_status_name(got_), err_.text); \
	} while (0)

#endif

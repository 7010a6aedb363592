/* Preloaded into a program, its wall clock is SHIFT seconds ahead. */
#include <stdlib.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

int clock_gettime(clockid_t clock, struct timespec *ret)
{
	const char *shift = getenv("SHIFT");
	int status = (int)syscall(SYS_clock_gettime, clock, ret);

	if (status == 0 && clock == CLOCK_REALTIME && shift)
		ret->tv_sec += strtol(shift, NULL, 10);
	return status;
}

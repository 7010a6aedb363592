#include <libsync/time.h>

#include <stddef.h>
#include <time.h>

enum { US_PER_S = 1000000 };

static int64_t (*replaced)(void);

static int64_t read_clock(clockid_t clock)
{
	struct timespec now;

	clock_gettime(clock, &now);
	return (int64_t)now.tv_sec * US_PER_S + now.tv_nsec / 1000;
}

int64_t sync_now_us(void)
{
	return replaced ? replaced() : read_clock(CLOCK_REALTIME);
}

int64_t sync_tick_us(void)
{
	return replaced ? replaced() : read_clock(CLOCK_MONOTONIC);
}

void sync_set_clock(int64_t (*now_us)(void))
{
	replaced = now_us;
}

void sync_time_text(char ret[static 21], int64_t at_us)
{
	const time_t last_s = 253402300799; /* 9999-12-31T23:59:59Z: more digits would not fit */
	time_t at_s = at_us < 0 ? 0 : at_us / US_PER_S;
	struct tm tm;

	if (at_s > last_s)
		at_s = last_s;
	gmtime_r(&at_s, &tm);
	strftime(ret, 21, "%Y-%m-%dT%H:%M:%SZ", &tm);
}

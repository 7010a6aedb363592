/** Numbers drawn from a seed. Each part of a run has dice of its own, so that leaving one out does not change the others. */
#ifndef SIM_DICE_H
#define SIM_DICE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct dice {
	uint64_t state;
};

/** splitmix64. */
static inline uint64_t dice_next(struct dice *d)
{
	uint64_t z = d->state += 0x9e3779b97f4a7c15;

	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
	z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
	return z ^ (z >> 31);
}

/** The dice of part n of a seed. */
static inline struct dice dice_of(uint64_t seed, uint64_t n)
{
	struct dice d = { seed * 0x2545f4914f6cdd1d + n };

	(void)dice_next(&d);
	return d;
}

/** 0 to below - 1; 0 when below is 0. */
static inline size_t dice_below(struct dice *d, size_t below)
{
	return below ? (size_t)(dice_next(d) % below) : 0;
}

/** low to high, both included. */
static inline int64_t dice_range(struct dice *d, int64_t low, int64_t high)
{
	return low + (int64_t)dice_below(d, (size_t)(high - low + 1));
}

static inline bool dice_percent(struct dice *d, unsigned chance)
{
	return dice_below(d, 100) < chance;
}

#endif

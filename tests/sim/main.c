#include <getopt.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "steps.h"

/* sim: many sites and central in one process, from one seed; see docs/testing.md. */

struct settings {
	uint64_t first, last;
	int64_t seconds; /* instead of last; 0: none */
	bool trace, twice, json, whole;
	int most; /* broken seeds, after which it ends */
};

static struct figures figures;
static bool restores;
static struct world world;

static void usage(FILE *out)
{
	(void)fputs("usage: sim [--seed N | --seeds A..B | --minutes M] [--restores] [--trace] [--twice] [--whole] [--broken N] [--json]\n"
		    "  --seed N       run one seed\n"
		    "  --seeds A..B   run these, 1..200 unless told\n"
		    "  --minutes M    run seeds until the time is over\n"
		    "  --restores     disks go back and lie, sites are copied, too\n"
		    "  --trace        print a line per step and per message\n"
		    "  --twice        run each seed twice: both runs must be the same\n"
		    "  --whole        leave a failing seed as it is, do not look for fewer steps\n"
		    "  --broken N     end with the N-th seed that fails, the third unless told\n"
		    "  --json         print the figures as JSON\n",
		    out);
}

static bool parse(struct settings *s, int argc, char **argv)
{
	static const struct option options[] = {
		{ "seed", required_argument, NULL, 's' },
		{ "seeds", required_argument, NULL, 'S' },
		{ "minutes", required_argument, NULL, 'm' },
		{ "trace", no_argument, NULL, 't' },
		{ "twice", no_argument, NULL, '2' },
		{ "whole", no_argument, NULL, 'w' },
		{ "broken", required_argument, NULL, 'b' },
		{ "restores", no_argument, NULL, 'r' },
		{ "json", no_argument, NULL, 'j' },
		{ NULL, 0, NULL, 0 },
	};
	int c;

	while ((c = getopt_long(argc, argv, "", options, NULL)) != -1) {
		switch (c) {
		case 's':
			s->first = s->last = strtoull(optarg, NULL, 10);
			break;
		case 'S':
			if (sscanf(optarg, "%" SCNu64 "..%" SCNu64, &s->first, &s->last) != 2)
				return false;
			break;
		case 'm':
			s->seconds = (int64_t)(strtod(optarg, NULL) * 60);
			s->last = UINT64_MAX;
			break;
		case 't':
			s->trace = true;
			break;
		case '2':
			s->twice = true;
			break;
		case 'w':
			s->whole = true;
			break;
		case 'b':
			s->most = atoi(optarg);
			break;
		case 'r':
			restores = true;
			break;
		case 'j':
			s->json = true;
			break;
		default:
			return false;
		}
	}
	return optind == argc;
}

static void print_figures(bool json, double seconds)
{
	const char *comma = json ? ", " : " ";

	(void)printf(json ? "{\"seconds\": %.1f" : "seconds=%.1f", seconds);
#define X(name) (void)printf(json ? "%s\"%s\": %" PRId64 : "%s%s=%" PRId64, comma, #name, figures.name);
	FIGURES(X)
#undef X
	(void)puts(json ? "}" : "");
}

/* A run that ends the process says at least which it was. */
static void tell_seed(int signal_number)
{
	char text[100];
	int n = snprintf(text, sizeof text, "\nsim: stopped in seed %" PRIu64 " at step %d\n", world.seed, world.step);

	(void)!write(STDERR_FILENO, text, (size_t)n);
	(void)signal(signal_number, SIG_DFL);
	(void)raise(signal_number);
}

static bool run(uint64_t seed, const bool *skip, bool print, char violation[static sizeof world.violation], uint64_t *ret_hash)
{
	bool held = steps_run(&world, seed, skip, &figures, print, restores);

	memcpy(violation, world.violation, sizeof world.violation);
	*ret_hash = world.hash;
	world_close(&world);
	return held;
}

/* The same number of the same invariant. */
static bool same_violation(const char *a, const char *b)
{
	return !strncmp(a, b, strlen("invariant 10"));
}

/* Whether a run without these steps breaks the invariant as well; then they stay out. */
static bool leave_out(uint64_t seed, bool *skip, int from, int n, const char *violation)
{
	char other[sizeof world.violation];
	bool kept[STEPS];
	uint64_t hash;

	memcpy(kept, skip, sizeof kept);
	memset(skip + from, true, (size_t)n);
	if (!memcmp(kept, skip, sizeof kept))
		return false;
	if (!run(seed, skip, false, other, &hash) && same_violation(violation, other))
		return true;
	memcpy(skip, kept, sizeof kept);
	return false;
}

/* Fewer steps that break the same invariant. */
static void shrink(uint64_t seed, const char *violation, bool *skip)
{
	bool again = true;

	while (again) {
		again = false;
		for (int n = STEPS / 2; n > 0; n /= 2)
			for (int from = STEPS - n; from >= 0; from -= n)
				again |= leave_out(seed, skip, from, n, violation);
	}
}

static void report(const struct settings *s, uint64_t seed, const char *violation)
{
	struct figures before = figures;
	bool skip[STEPS] = { false };
	char text[sizeof world.violation];
	uint64_t hash;

	(void)printf("seed %" PRIu64 ": %s\n", seed, violation);
	if (!s->whole) {
		shrink(seed, violation, skip);
		(void)printf("the least of it that was found:\n");
		(void)run(seed, skip, true, text, &hash);
	}
	(void)printf("again: sim --seed %" PRIu64 " --trace\n", seed);
	figures = before;
}

static bool run_seed(const struct settings *s, uint64_t seed)
{
	char violation[sizeof world.violation];
	uint64_t hash, again;

	if (!run(seed, NULL, s->trace, violation, &hash)) {
		report(s, seed, violation);
		return false;
	}
	if (!s->twice)
		return true;
	(void)run(seed, NULL, false, violation, &again);
	if (hash != again)
		(void)printf("seed %" PRIu64 ": two runs differ: sim --seed %" PRIu64 " --trace, twice, shows where\n", seed,
			     seed);
	return hash == again;
}

static double now_s(void)
{
	struct timespec t;

	(void)clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

int main(int argc, char **argv)
{
	struct settings s = { .first = 1, .last = 200, .most = 3 };
	double began = now_s();
	int broken = 0;

	if (!parse(&s, argc, argv)) {
		usage(stderr);
		return 64;
	}
	(void)setvbuf(stdout, NULL, _IOLBF, 0);
	(void)signal(SIGABRT, tell_seed);
	world_prepare();
	for (uint64_t seed = s.first; seed <= s.last && broken < s.most; seed++) {
		broken += !run_seed(&s, seed);
		if (s.seconds && now_s() - began > (double)s.seconds)
			break;
	}
	print_figures(s.json, now_s() - began);
	return broken ? 1 : 0;
}

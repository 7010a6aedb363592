/** The simulated country: central, its sites, the lines between them, and a clock. */
#ifndef SIM_WORLD_H
#define SIM_WORLD_H

#include "dice.h"
#include "disk.h"
#include "model.h"

#include <libsync/exchange.h>

enum {
	SITES = 6,
	CENTRAL = 0,
	CLONE = SITES + 1, /* a second copy of some site, at work at the same time */
	NODES,
	LATE = 6,
	IMAGES = 3, /* of a node's disk */
	SCRATCH = NODES,
	CENTRAL_TEMPLATE,
	SITE_TEMPLATE,
	FIRST_IMAGE,
};

/** Counted over all runs. */
#define FIGURES(X)                                                                                                             \
	X(seeds)                                                                                                               \
	X(steps)                                                                                                               \
	X(rounds)                                                                                                              \
	X(messages)                                                                                                            \
	X(loads)                                                                                                               \
	X(edits)                                                                                                               \
	X(transactions)                                                                                                        \
	X(meanwhile)                                                                                                           \
	X(work) X(moves) X(forced) X(absences) X(clock_jumps) X(cut_requests) X(cut_answers) X(lost_requests) X(lost_answers)  \
	    X(repeats) X(old_answers) X(delays) X(late) X(crashes) X(power_cuts) X(io_errors) X(full_disks) X(kept) X(waiting) \
		X(unknown) X(images) X(site_restores) X(central_restores) X(lies) X(lost) X(recovered) \
		    X(clones) X(copies_told) X(late_sites) X(upgrades)
struct figures {
#define X(name) int64_t name;
	FIGURES(X)
#undef X
};

struct world;

/** Central (0) or a site. Each has an application with a connection of its own. */
struct node {
	struct world *world;
	int n;
	char name[16]; /* of the site */
	bool older;    /* its programs know an older schema */
	struct sync_db *db;
	sqlite3 *app;
	int64_t skew_us; /* of its clock */
	int64_t site_id;
	struct dice line; /* what happens to its messages */
	unsigned trouble; /* percent of messages to which something happens */
	int messages;     /* of the round */
	unsigned busy;    /* percent of messages during which something else happens */
	struct sync_buf request, answer;
	uint64_t open; /* stores in which its application works: stores_at() */
	int forks;     /* how often its history was left for another one; the same copy again is the same */
	int last_image;
};

/** A request that arrives once more, or only now. */
struct late {
	int site;
	struct sync_buf body;
};

/** A transaction of which a crash left open whether it was committed. */
struct unknown {
	struct edit edits[24];
	size_t n;
};

/** A copy of a node's disk. */
struct image {
	bool taken;
	uint64_t open; /* see struct node */
};

struct world {
	uint64_t seed;
	int sites;
	int clone_of; /* the site; 0: there is no clone */
	struct node node[NODES];
	struct sync_server *server;
	int64_t now_us;
	int actor; /* whose clock is read */
	int step;
	struct model model;
	struct unknown unknown[NODES];
	struct image image[NODES][IMAGES];
	struct late late[LATE];
	struct figures *figures;
	bool restores; /* disks go back, too */
	bool mixed;    /* schema versions differ; else all are older */
	bool trace;    /* print it */
	uint64_t hash; /* of the trace */
	char violation[600];
};

/** Once per process: the clock, random numbers, the VFS and the databases that every run begins with. */
void world_prepare(void);
/** A country of a seed. */
void world_open(struct world *w, uint64_t seed, int sites, struct figures *figures, bool trace, bool restores);
void world_close(struct world *w);

/** A line of the trace. */
void trace(struct world *w, const char *format, ...) __attribute__((format(printf, 2, 3)));
/** An invariant is broken; the first one counts. */
void violate(struct world *w, int invariant, const char *format, ...) __attribute__((format(printf, 3, 4)));

/** Close a node's database and open it again, after its machine has stopped if it has. @param power see disk_restart() */
void world_restart(struct world *w, int node, bool power, struct dice *d);
/** Copy a node's disk while it is in use. */
void world_copy(struct world *w, int node, int image);
/** Let a node's disk be what a copy of it is, between two runs of its programs. */
void world_go_back(struct world *w, int node, int image);
/** One more site is registered and gets stores. */
void world_add(struct world *w);
/** Let a copy of a site go on beside it. */
void world_clone(struct world *w, int site);
/** From now on a node has newer programs. */
void world_upgrade(struct world *w, int node);
/** Whose clock is read, and whose programs run. */
void world_act(struct world *w, int node);
/** Whether a node has this kind's table, and marks. */
bool world_knows(const struct world *w, int node, enum kind kind);
bool world_marks(const struct world *w, int node, enum kind kind);
/** Only one of a site and its clone goes on. */
void world_keep(struct world *w, bool clone);
/** Whether there is such a node. */
bool world_has(const struct world *w, int node);
/** Restart a node if its machine has stopped. Whether it had. */
bool world_recover(struct world *w, int node, struct dice *d);

/** The database of a disk, for whoever reads it. */
struct sync_db *world_open_disk(int disk, enum sync_role role);

/** One round of a site, or its first load. */
enum sync_status world_round(struct world *w, int site, const struct sync_options *o, struct sync_report *report,
			     struct sync_error *err);
/** For sync_options: time passes between two transactions of a site, in which central works and others read. */
void world_pause(int64_t us);
/** Central's background work: so many steps at most. */
void world_work(struct world *w, int steps);
/** A request that was kept reaches central. */
void world_deliver(struct world *w, size_t late);

/** First number and first text of a query on a node's database, as its application sees it; 0 and "" when there is none. */
int64_t ask(struct world *w, int node, const char *format, ...) __attribute__((format(printf, 3, 4)));
const char *ask_text(struct world *w, int node, char ret[static MODEL_ID], const char *format, ...)
    __attribute__((format(printf, 4, 5)));
/** The stores that a site takes for its own, a bit per store. */
uint64_t stores_at(struct world *w, int site);
/** The bit of a store. */
uint64_t store_bit(const char *store);
/** Whether a site's first load is over. */
bool is_operational(struct world *w, int site);

/** No reader of a node may see half a group. */
void check_groups(struct world *w, int node);

#endif

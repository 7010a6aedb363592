#include "steps.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <libsync/site.h>

#include "base/internal.h"
#include "check.h"
#include "edits.h"

enum { LEAST_STEPS = 30, MOST_PEACE = 40, FEW_CALLS = 60, MANY_CALLS = 1500, MOST_TRIES = 100, MOST_RECOVERED = 10000 };

static const int64_t second_us = 1000000, day_us = 86400000000;

static int some_site(struct world *w, struct dice *d)
{
	int site = (int)dice_range(d, 1, w->sites);

	return site == w->clone_of && dice_percent(d, 50) ? CLONE : site;
}

static int some_node(struct world *w, struct dice *d)
{
	return (int)dice_range(d, 0, w->sites);
}

/* A call not far from now, or any. */
static int64_t some_call(struct dice *d)
{
	return dice_range(d, 0, dice_percent(d, 60) ? FEW_CALLS : MANY_CALLS);
}

/* rounds */

/* Central has not worked out yet who is to have what. */
static bool is_behind(struct world *w)
{
	return ask(w, CENTRAL, "SELECT (SELECT count(*) FROM sync_job) + (SELECT count(*) FROM sync_changelog)") > 0;
}

/* An application opens a store that has come to its site once everything of it is there. */
static void open_stores(struct world *w, int site, const struct sync_report *r)
{
	if (!is_behind(w) && r->more == 0)
		w->node[site].open = stores_at(w, site);
}

static struct sync_options draw_options(struct dice *d)
{
	static const int64_t chunks[] = { 1, 2, 3, 10, 20000 };
	struct sync_options o = { .pause = world_pause };

	o.chunk_max = chunks[dice_below(d, COUNT(chunks))];
	if (dice_percent(d, 50)) {
		o.message_min = (size_t)dice_range(d, 10, dice_percent(d, 50) ? 100 : 3000);
		o.message_max = o.message_min * 4;
	}
	return o;
}

/* What somebody who looks for a cause wants to see of a site after each of its rounds. */
static void watch(struct world *w, int site)
{
	const char *sql = getenv("SIM_WATCH");
	char got[MODEL_ID];

	if (sql && w->trace && !disk_dead(site))
		(void)printf("  site %d: %s\n", site, ask_text(w, site, got, "%s", sql));
}

/* Central lets the copy that a node is go on. */
static bool keep_branch(struct world *w, int site, int node)
{
	struct sync_error err = { 0 };
	char branch[MODEL_ID];

	ask_text(w, node, branch, "SELECT branch FROM sync_link");
	if (sync_site_keep(w->node[CENTRAL].db, w->node[site].name, branch, &err) == SYNC_OK)
		return true;
	trace(w, "  %s", err.text);
	return false;
}

/*
 * Somebody was told of copies: a person looks which there are, and which is to go on. A site that was set to one copy of its
 * disk and then to another looks like two that are at work, and a person knows better; as one does where central has lost what
 * was said of a copy before.
 */
static void decide(struct world *w, int site, struct dice *d)
{
	bool clone = dice_percent(d, 50);

	w->figures->copies_told++;
	if (site != CLONE && site != w->clone_of) {
		if (w->node[site].forks < 2 || !keep_branch(w, site, site))
			violate(w, 11, "site %d is told that there is a copy of it, and there is none", site);
		return;
	}
	if (keep_branch(w, w->clone_of, clone ? CLONE : w->clone_of))
		world_keep(w, clone);
	else if (keep_branch(w, w->clone_of, clone ? w->clone_of : CLONE))
		world_keep(w, !clone);
}

static enum sync_status round_of(struct world *w, int site, struct dice *d, struct sync_report *report)
{
	const struct sync_options o = draw_options(d);
	bool loads = !is_operational(w, site);
	struct sync_error err = { 0 };
	enum sync_status status;

	w->node[site].line = dice_of(dice_next(d), 0);
	status = world_round(w, site, &o, report, &err);
	w->figures->loads += loads;
	trace(w,
	      "  site %d %s by %" PRId64 ": %s%s%s, %" PRId64 " requests, %" PRId64 " pushed, %" PRId64 " pulled, %" PRId64
	      " left",
	      site, loads ? "loads" : "exchanges", o.chunk_max, sync_status_name(status), status ? ": " : "", err.text,
	      report->requests, report->pushed, report->pulled, report->unpushed);
	watch(w, site);
	if (status == SYNC_OK)
		open_stores(w, site, report);
	if (status == SYNC_EHISTORY || status == SYNC_EWRONGDB || status == SYNC_ECORRUPT || status == SYNC_EDB)
		violate(w, 11, "site %d: %s: %s", site, sync_status_name(status), err.text);
	if (status == SYNC_ECOPIED)
		decide(w, site, d);
	return status;
}

static void exchange(struct world *w, struct dice *d, unsigned trouble, unsigned busy, enum disk_fault fault)
{
	int site = some_site(w, d);
	struct sync_report report = { 0 };

	w->node[site].trouble = trouble;
	w->node[site].busy = busy;
	if (fault != DISK_FINE)
		disk_arm(site, fault, some_call(d));
	(void)round_of(w, site, d, &report);
	if (!world_has(w, site))
		return;
	if (disk_disarm(site) && fault != DISK_CRASH)
		trace(w, "  the disk had a fault");
	if (!world_recover(w, site, d))
		check_groups(w, site);
}

static void calm_round(struct world *w, struct dice *d)
{
	exchange(w, d, 0, 10, DISK_FINE);
}

static void troubled_round(struct world *w, struct dice *d)
{
	exchange(w, d, 30, 20, DISK_FINE);
}

static void crashing_round(struct world *w, struct dice *d)
{
	exchange(w, d, 5, 20, DISK_CRASH);
}

static void failing_round(struct world *w, struct dice *d)
{
	w->figures->io_errors++;
	exchange(w, d, 5, 20, DISK_IOERR);
}

static void full_round(struct world *w, struct dice *d)
{
	w->figures->full_disks++;
	exchange(w, d, 5, 20, DISK_FULL);
}

/* edits */

static void edit_site(struct world *w, struct dice *d)
{
	int site = some_site(w, d);

	for (int64_t n = dice_range(d, 1, 3); n > 0; n--)
		edit(w, site, d);
}

static void edit_central(struct world *w, struct dice *d)
{
	for (int64_t n = dice_range(d, 1, 3); n > 0; n--)
		edit(w, CENTRAL, d);
}

/* More than a site integrates in one transaction. They have no tags: nobody else edits them. */
static void edit_much(struct world *w, struct dice *d)
{
	(void)d;
	(void)ask(w, CENTRAL,
		  "INSERT INTO unit(id, note)"
		  "    WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 600)"
		  "    SELECT 'w%d-' || i, '' FROM n",
		  w->step);
}

static void crash_while_editing(struct world *w, struct dice *d)
{
	int node = some_node(w, d);

	disk_arm(node, DISK_CRASH, dice_range(d, 0, FEW_CALLS));
	edit(w, node, d);
	(void)disk_disarm(node);
	(void)world_recover(w, node, d);
}

/* central */

static void work(struct world *w, struct dice *d)
{
	world_work(w, (int)dice_range(d, 1, 5));
}

static void crash_while_working(struct world *w, struct dice *d)
{
	disk_arm(CENTRAL, DISK_CRASH, some_call(d));
	world_work(w, (int)dice_range(d, 1, 5));
	(void)disk_disarm(CENTRAL);
	(void)world_recover(w, CENTRAL, d);
}

static void deliver_late(struct world *w, struct dice *d)
{
	world_deliver(w, dice_below(d, LATE));
}

static void move_store(struct world *w, struct dice *d)
{
	int from = (int)dice_range(d, 1, w->sites), to = (int)dice_range(d, 1, w->sites);
	bool force = dice_percent(d, 30), done = false;
	struct sync_error err = { 0 };
	enum sync_status status;
	const char *site = w->node[to].name;
	char store[16];

	(void)snprintf(store, sizeof store, "%c%d", dice_percent(d, 50) ? 's' : 't', from);
	status = sync_store_move(w->node[CENTRAL].db, store, site, force, &done, &err);
	trace(w, "  store %s to %s%s: %s %s", store, site, force ? " by force" : "", sync_status_name(status),
	      status ? err.text
	      : done ? "done"
		     : "waits");
	w->figures->moves++;
	w->figures->forced += force;
}

/* the world */

static void restart(struct world *w, struct dice *d)
{
	int node = some_node(w, d);

	world_restart(w, node, dice_percent(d, 50), d);
}

static void jump_clock(struct world *w, struct dice *d)
{
	int site = some_site(w, d);

	w->node[site].skew_us = dice_range(d, -400, 400) * day_us / dice_range(d, 1, 1000);
	w->figures->clock_jumps++;
}

static void be_absent(struct world *w, struct dice *d)
{
	w->now_us += dice_range(d, 1, 20) * day_us;
	w->figures->absences++;
}

/* disks */

static void copy_disk(struct world *w, struct dice *d)
{
	world_copy(w, dice_percent(d, 30) ? CENTRAL : some_site(w, d), (int)dice_below(d, IMAGES));
}

static bool go_back(struct world *w, int node, struct dice *d)
{
	int image = (int)dice_below(d, IMAGES);

	if (!w->image[node][image].taken)
		return false;
	world_go_back(w, node, image);
	return true;
}

static void restore_site(struct world *w, struct dice *d)
{
	w->figures->site_restores += go_back(w, some_site(w, d), d);
}

static void restore_central(struct world *w, struct dice *d)
{
	w->figures->central_restores += go_back(w, CENTRAL, d);
}

/* A tablet that is set to one image every night. */
static void reset_nightly(struct world *w, struct dice *d)
{
	int site = some_site(w, d), image = (int)dice_below(d, IMAGES);
	struct sync_report report;

	for (int64_t n = dice_range(d, 2, 4); n > 0 && world_has(w, site) && w->image[site][image].taken; n--) {
		world_go_back(w, site, image);
		w->figures->site_restores++;
		edit(w, site, d);
		report = (struct sync_report){ 0 };
		(void)round_of(w, site, d, &report);
		w->now_us += day_us;
	}
}

/* It acknowledges what it does not do, until the power goes. */
static void begin_to_lie(struct world *w, struct dice *d)
{
	int node = some_node(w, d);

	disk_arm(node, DISK_LIES, dice_range(d, 0, FEW_CALLS));
	edit(w, node, d);
	(void)disk_disarm(node);
}

static void lose_power(struct world *w, struct dice *d)
{
	for (int node = 0; node <= w->sites; node++)
		if (disk_lies(node) && dice_percent(d, 70))
			world_restart(w, node, true, d);
}

static void clone_site(struct world *w, struct dice *d)
{
	int site = (int)dice_range(d, 1, w->sites);

	if (!w->clone_of)
		world_clone(w, site);
}

static void add_site(struct world *w, struct dice *d)
{
	(void)d;
	if (w->sites < SITES)
		world_add(w);
}

/* What a person accepts takes the place of what central has. */
struct replaced {
	int64_t id; /* of the row that may be accepted */
	char entity[MODEL_ID], record[MODEL_ID], note[MODEL_ID];
};

static size_t list_recovered(struct world *w, struct replaced *r, size_t max)
{
	static const char nth[] =
	    "FROM sync_waiting WHERE kind = 'recovered' AND done_us IS NULL ORDER BY id LIMIT 1 OFFSET %zu";
	char sql[200];
	size_t n = 0;

	for (; n < max; n++) {
		(void)snprintf(sql, sizeof sql, nth, n);
		r[n].id = ask(w, CENTRAL, "SELECT id %s", sql);
		if (!r[n].id)
			break;
		ask_text(w, CENTRAL, r[n].entity, "SELECT entity %s", sql);
		ask_text(w, CENTRAL, r[n].record, "SELECT record_id %s", sql);
		if (!w->node[CENTRAL].older || strcmp(r[n].entity, kinds[MEMO].table) != 0)
			ask_text(w, CENTRAL, r[n].note, "SELECT note FROM %s WHERE id = '%s'", r[n].entity, r[n].record);
	}
	return n;
}

static void note_accepted(struct world *w, const struct replaced *r)
{
	if (!ask(w, CENTRAL, "SELECT count(*) FROM sync_waiting WHERE id = %" PRId64 " AND verdict = 'accepted'", r->id))
		return;
	w->figures->recovered++;
	model_decide(&w->model, r->entity, r->record, r->note);
}

static void accept_recovered(struct world *w, struct dice *d)
{
	static struct replaced replaced[MOST_RECOVERED];
	size_t n = list_recovered(w, replaced, COUNT(replaced));
	struct sync_recovered r = { 0 };
	struct sync_error err = { 0 };
	enum sync_status status = sync_recovered_accept_all(w->node[CENTRAL].db, &r, &err);

	(void)d;
	trace(w, "  %s%s%s: %" PRId64 " accepted, %" PRId64 " equal, %" PRId64 " left", sync_status_name(status),
	      status ? ": " : "", err.text, r.accepted, r.equal, r.left);
	for (size_t i = 0; i < n; i++)
		note_accepted(w, &replaced[i]);
}

static void upgrade(struct world *w, struct dice *d)
{
	world_upgrade(w, dice_percent(d, 30) ? CENTRAL : some_site(w, d));
}

/* In which runs a step is drawn. */
enum runs { ALL, WITH_RESTORES, OF_MIXED };

struct step {
	unsigned weight;
	const char *name;
	void (*run)(struct world *w, struct dice *d);
	enum runs runs;
};

static const struct step all_steps[] = {
	{ 30, "edit at a site", edit_site },
	{ 10, "edit at central", edit_central },
	{ 1, "many edits at central", edit_much },
	{ 4, "crash while editing", crash_while_editing },
	{ 16, "round", calm_round },
	{ 20, "round with trouble", troubled_round },
	{ 8, "round with a crash", crashing_round },
	{ 3, "round with an I/O error", failing_round },
	{ 3, "round with a full disk", full_round },
	{ 5, "background work", work },
	{ 3, "background work with a crash", crash_while_working },
	{ 5, "late request", deliver_late },
	{ 4, "store move", move_store },
	{ 2, "restart", restart },
	{ 2, "clock jump", jump_clock },
	{ 2, "absence", be_absent },
	{ 8, "copy of a disk", copy_disk, WITH_RESTORES },
	{ 2, "restore of a site", restore_site, WITH_RESTORES },
	{ 2, "restore of central", restore_central, WITH_RESTORES },
	{ 1, "resets to one copy", reset_nightly, WITH_RESTORES },
	{ 2, "disk that lies", begin_to_lie, WITH_RESTORES },
	{ 2, "power cut where disks lie", lose_power, WITH_RESTORES },
	{ 1, "one more site", add_site, WITH_RESTORES },
	{ 1, "clone of a site", clone_site, WITH_RESTORES },
	{ 2, "accepting what was recovered", accept_recovered, WITH_RESTORES },
	{ 5, "upgrade", upgrade, OF_MIXED },
};

static unsigned weight_of(const struct world *w, const struct step *s)
{
	bool drawn = s->runs == ALL || (s->runs == WITH_RESTORES ? w->restores : w->mixed);

	return drawn ? s->weight : 0;
}

static const struct step *choose(struct world *w, struct dice *d)
{
	const struct step *s = all_steps;
	size_t all = 0, drawn;

	for (size_t i = 0; i < COUNT(all_steps); i++)
		all += weight_of(w, &all_steps[i]);
	drawn = dice_below(d, all);
	while (drawn >= weight_of(w, s))
		drawn -= weight_of(w, s++);
	return s;
}

int steps_of(uint64_t seed)
{
	struct dice d = dice_of(seed, 1);

	return (int)dice_range(&d, LEAST_STEPS, STEPS);
}

static int sites_of(uint64_t seed)
{
	struct dice d = dice_of(seed, 2);

	return (int)dice_range(&d, 2, SITES);
}

/* Most sites are loaded before anything else happens. */
static void first_load(struct world *w, struct dice *d)
{
	struct sync_report report;

	for (int site = 1; site <= w->sites; site++)
		if (dice_percent(d, 80))
			(void)round_of(w, site, d, &report);
}

static void run_step(struct world *w, uint64_t seed, int i)
{
	struct dice d = dice_of(seed, 10 + (uint64_t)i);
	const struct step *s = choose(w, &d);

	w->step = i;
	w->figures->steps++;
	world_act(w, CENTRAL);
	w->now_us += dice_range(&d, 0, dice_percent(&d, 20) ? 10000 : 60) * second_us;
	trace(w, "%d %s", i, s->name);
	s->run(w, &d);
}

/* An application may find nothing to edit. */
static void edit_surely(struct world *w, int site, struct dice *d)
{
	static const char unpushed[] = "SELECT count(*) FROM sync_changelog, sync_link WHERE seq > out_upto";

	for (int n = 0; n < MOST_TRIES && !ask(w, site, unpushed); n++)
		edit(w, site, d);
}

/* Two copies that both push are found out. */
static void find_clone(struct world *w, struct dice *d)
{
	struct sync_report report;

	for (int n = 0; w->clone_of && !w->violation[0]; n++) {
		int site = n % 2 ? CLONE : w->clone_of;

		world_work(w, 100); /* a first load waits for it */
		edit_surely(w, site, d);
		report = (struct sync_report){ 0 };
		(void)round_of(w, site, d, &report);
		if (n == 4 * MOST_PEACE)
			violate(w, 11, "site %d and a copy of it go on, and nobody is told", w->clone_of);
	}
}

/* What an older central keeps for who knows it reaches nobody; the last sites have all that they lacked already. */
static void upgrade_some(struct world *w, struct dice *d)
{
	if (!w->mixed)
		return;
	world_upgrade(w, CENTRAL);
	for (int site = 1; site <= w->sites; site++)
		if (dice_percent(d, 50))
			world_upgrade(w, site);
}

static void upgrade_rest(struct world *w)
{
	for (int site = 1; w->mixed && site <= w->sites; site++)
		world_upgrade(w, site);
}

/* Rounds of all until nothing moves any more. */
static void make_peace(struct world *w, struct dice *d)
{
	int64_t moved = 1;

	for (int i = 1; i < NODES; i++)
		w->node[i].trouble = w->node[i].busy = 0;
	trace(w, "peace");
	w->step = STEPS;
	find_clone(w, d);
	upgrade_some(w, d);
	for (int n = 0; moved && !w->violation[0]; n++) {
		moved = 0;
		world_work(w, 100);
		for (int site = 1; site <= w->sites; site++) {
			struct sync_report r = { 0 };
			enum sync_status status = round_of(w, site, d, &r);

			moved += status != SYNC_OK || r.pushed + r.pulled + r.unpushed + r.more > 0;
		}
		moved += is_behind(w);
		w->now_us += 10 * second_us;
		if (n == MOST_PEACE)
			violate(w, 10, "after %d rounds of all sites something moves still", n);
	}
}

bool steps_run(struct world *w, uint64_t seed, const bool *skip, struct figures *figures, bool print, bool restores)
{
	struct dice d = dice_of(seed, 3);

	world_open(w, seed, sites_of(seed), figures, print, restores);
	figures->seeds++;
	first_load(w, &d);
	for (int i = 0; i < steps_of(seed) && !w->violation[0]; i++)
		if (!skip || !skip[i])
			run_step(w, seed, i);
	if (!w->violation[0])
		make_peace(w, &d);
	if (!w->violation[0])
		upgrade_rest(w);
	if (!w->violation[0])
		check_all(w);
	return !w->violation[0];
}

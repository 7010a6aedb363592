#include "world.h"

#include <inttypes.h>
#include <sodium.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <libsync/crypto.h>
#include <libsync/site.h>
#include <libsync/time.h>

#include "base/internal.h"
#include "edits.h"
#include "entities.h"
#include "exchange/peer.h"
#include "lost.h"

enum {
	MESSAGE_MAX = 64 << 20,
	UNITS = 3,
};

static const int64_t beginning_us = 1800000000000000; /* some day in 2027 */
static const struct sync_db_ops *const drivers[] = { &sync_sqlite, NULL };

/* The world whose clock is read; one at a time. */
static struct world *here;
static struct dice chance;
/* What central keeps besides its disk; the one file of all. */
static char registry_path[64];
/* How every run's sites are registered. */
static struct sync_registration registered[NODES];

/* What the machines are made of. */

static int64_t read_clock(void)
{
	here->now_us += 5;
	return here->now_us + here->node[here->actor].skew_us;
}

static void pass_time(int64_t us)
{
	here->now_us += us;
}

static uint32_t draw_number(void)
{
	return (uint32_t)dice_next(&chance);
}

static void draw_bytes(void *const ret, const size_t n)
{
	for (size_t i = 0; i < n; i++)
		((unsigned char *)ret)[i] = (unsigned char)dice_next(&chance);
}

static const char *name_dice(void)
{
	return "dice";
}

static struct randombytes_implementation random_source = {
	.implementation_name = name_dice,
	.random = draw_number,
	.buf = draw_bytes,
};

static void seed_all(uint64_t seed)
{
	chance = dice_of(seed, 0);
	disk_seed(seed);
}

/* failures of the simulator itself */

static void expect(enum sync_status status, const struct sync_error *err, const char *what)
{
	if (status == SYNC_OK)
		return;
	(void)fprintf(stderr, "%s: %s: %s\n", what, sync_status_name(status), err->text);
	abort();
}

/* databases */

struct sync_db *world_open_disk(int disk, enum sync_role role)
{
	struct sync_db *db = NULL;
	struct sync_error err = { 0 };
	char url[64];

	(void)snprintf(url, sizeof url, "sqlite:%s", disk_path(disk));
	expect(sync_db_open(&db, url, drivers, role, true, &err), &err, "opening a database");
	return db;
}

static void run_all(struct sync_db *db, struct sync_buf *sql)
{
	struct sync_error err = { 0 };

	expect(sync_db_script(db, sql->data, &err), &err, "filling a database");
}

/* Each site has two stores, s1 and t1 and so on; their names are called as they are. */
static void fill_central(struct sync_db *db)
{
	defer(sync_buf_clear) struct sync_buf sql = { .max = 1 << 20 };

	for (int i = 1; i <= UNITS; i++)
		sync_buf_addf(&sql, "INSERT INTO unit(id, note) VALUES ('u%d', '');", i);
	for (int i = 1; i <= SITES; i++)
		for (const char *letter = "st"; *letter; letter++)
			sync_buf_addf(&sql,
				      "INSERT INTO name(id, note, type) VALUES ('n%c%d', '', 'STORE');"
				      "INSERT INTO store(id, note, site_id, name_id) VALUES ('%c%d', '', 0, 'n%c%d');",
				      *letter, i, *letter, i, *letter, i);
	run_all(db, &sql);
}

static void register_site(struct sync_db *db, struct sync_registration *r, const char *const *stores, size_t n)
{
	struct sync_error err = { 0 };
	char secret[30];
	int64_t id;

	(void)snprintf(r->installation, sizeof r->installation, "%032d", (int)(r->site[4] - '0'));
	expect(sync_site_add(db, r->site, stores, n, secret, &id, &err), &err, "adding a site");
	expect(sync_site_register(db, sync_view_of(r->site), sync_view_of(secret), sync_view_of(r->installation),
				  sync_view_of("0"), r->token, &r->site_id, &err),
	       &err, "registering a site");
}

static void register_first(struct sync_db *db, int site)
{
	char first[16], second[16];
	const char *const stores[] = { first, second };

	(void)snprintf(first, sizeof first, "s%d", site);
	(void)snprintf(second, sizeof second, "t%d", site);
	(void)snprintf(registered[site].site, sizeof registered[site].site, "site%d", site);
	register_site(db, &registered[site], stores, 2);
}

static void work_all(struct sync_db *db)
{
	struct sync_server *server = NULL;
	struct sync_error err = { 0 };
	bool more = true;

	expect(sync_server_new(&server, db, &err), &err, "making a server");
	while (more)
		expect(sync_server_work(server, &more, &err), &err, "background work");
	sync_server_free(server);
}

static void make_central_template(void)
{
	struct sync_db *db = world_open_disk(CENTRAL_TEMPLATE, SYNC_CENTRAL);

	fill_central(db);
	for (int i = 1; i <= SITES; i++)
		register_first(db, i);
	work_all(db);
	sync_db_close(db);
}

static void make_site_template(void)
{
	sync_db_close(world_open_disk(SITE_TEMPLATE, SYNC_SITE));
}

/* The dictionary of messages is that of the older build, whoever writes. */
static void prepare_entities(void)
{
	entities_prepare();
	entities_use(true);
	(void)sync_schema_dictionary();
}

void world_prepare(void)
{
	struct world w = { .now_us = beginning_us };
	struct sync_error err = { 0 };

	here = &w;
	(void)randombytes_set_implementation(&random_source);
	expect(sync_crypto_init(&err), &err, "cryptography");
	disk_install(read_clock, pass_time);
	sync_set_clock(read_clock);
	seed_all(0);
	prepare_entities();
	make_central_template();
	make_site_template();
	here = NULL;
}

/* nodes */

void world_act(struct world *w, int node)
{
	w->actor = node;
	entities_use(w->node[node].older);
}

static void open_db(struct node *n)
{
	entities_use(n->older);
	n->db = world_open_disk(n->n, n->n ? SYNC_SITE : SYNC_CENTRAL);
	entities_use(here->node[here->actor].older);
}

static void open_node(struct node *n)
{
	struct sync_error err = { 0 };

	open_db(n);
	if (sqlite3_open(disk_path(n->n), &n->app) != SQLITE_OK)
		abort();
	if (n->n != CENTRAL)
		return;
	if (here->restores)
		expect(sync_registry_open(n->db, registry_path, &(struct sync_registry_report){ 0 }, &err), &err,
		       "opening the registry");
	expect(sync_server_new(&here->server, n->db, &err), &err, "making a server");
}

/* What central's process had in memory only goes with it. */
static void forget_seen(const struct sync_db *db)
{
	struct sync_seen *seen = sync_seen_open(sync_db_url(db));
	struct sync_db *nowhere;

	disk_copy(SCRATCH, CENTRAL_TEMPLATE);
	entities_use(true);
	nowhere = world_open_disk(SCRATCH, SYNC_CENTRAL);
	(void)sync_seen_flush(seen, nowhere, NULL);
	sync_seen_release(seen);
	sync_db_close(nowhere);
	entities_use(here->node[here->actor].older);
}

static void close_node(struct node *n)
{
	if (n->n == CENTRAL) {
		forget_seen(n->db);
		sync_server_free(here->server);
		here->server = NULL;
	}
	(void)sqlite3_close(n->app);
	sync_db_close(n->db);
	n->app = NULL;
	n->db = NULL;
}

static void make_node(struct world *w, int i, const struct sync_registration *r, bool older)
{
	struct node *n = &w->node[i];
	struct sync_error err = { 0 };

	*n = (struct node){ .world = w,
			    .n = i,
			    .older = older,
			    .site_id = r->site_id,
			    .request.max = MESSAGE_MAX,
			    .answer.max = MESSAGE_MAX };
	(void)snprintf(n->name, sizeof n->name, "%.15s", r->site);
	disk_copy(i, i ? SITE_TEMPLATE : CENTRAL_TEMPLATE);
	open_node(n);
	if (i == CENTRAL)
		return;
	expect(sync_link_put(n->db, r->site_id, r->site, "line", r->token, r->installation, &err), &err, "making a site");
}

void world_open(struct world *w, uint64_t seed, int sites, struct figures *figures, bool print, bool restores)
{
	struct dice d = dice_of(seed, 4);

	*w = (struct world){ .seed = seed,
			     .sites = sites,
			     .now_us = beginning_us,
			     .figures = figures,
			     .trace = print,
			     .restores = restores,
			     .mixed = seed % 3 == 2 };
	for (size_t i = 0; i < LATE; i++)
		w->late[i].body.max = MESSAGE_MAX;
	here = w;
	seed_all(seed);
	(void)snprintf(registry_path, sizeof registry_path, "/dev/shm/sim-%d.registry", (int)getpid());
	(void)unlink(registry_path);
	for (int i = 0; i <= sites; i++)
		make_node(w, i, &registered[i], !w->mixed || dice_percent(&d, 50));
}

static void move_by_force(struct world *w, char letter, int n)
{
	const char store[] = { letter, (char)('0' + n), '\0' };
	struct sync_error err = { 0 };
	bool done;

	expect(sync_store_move(w->node[CENTRAL].db, store, w->node[n].name, true, &done, &err), &err, "moving a store");
}

/* The stores are those of a site that never was at work. */
void world_add(struct world *w)
{
	struct sync_registration r = { 0 };
	int i = w->sites + 1;

	(void)snprintf(r.site, sizeof r.site, "late%d", i);
	trace(w, "  %s is registered", r.site);
	register_site(w->node[CENTRAL].db, &r, NULL, 0);
	make_node(w, i, &r, !w->mixed || i % 2);
	w->sites = i;
	w->figures->late_sites++;
	move_by_force(w, 's', i);
	move_by_force(w, 't', i);
}

bool world_has(const struct world *w, int node)
{
	return node <= w->sites || (node == CLONE && w->clone_of);
}

static void drop_node(struct node *n)
{
	close_node(n);
	sync_buf_clear(&n->request);
	sync_buf_clear(&n->answer);
}

void world_close(struct world *w)
{
	for (int i = NODES - 1; i >= 0; i--)
		if (world_has(w, i))
			drop_node(&w->node[i]);
	for (size_t i = 0; i < LATE; i++)
		sync_buf_clear(&w->late[i].body);
	(void)unlink(registry_path);
	model_clear(&w->model);
	here = NULL;
}

static void start_again(struct world *w, int node, bool power, struct dice *d)
{
	close_node(&w->node[node]);
	disk_restart(node, power, d);
	open_node(&w->node[node]);
}

void world_restart(struct world *w, int node, bool power, struct dice *d)
{
	struct node *n = &w->node[node];

	trace(w, "  %s %d starts again%s", node ? "site" : "central", node, power ? " after a power cut" : "");
	w->figures->crashes++;
	w->figures->power_cuts += power;
	if (!power || !disk_lies(node)) {
		start_again(w, node, power, d);
		edits_settle(w, node);
		return;
	}
	trace(w, "  its disk goes back to when it began to lie");
	n->forks++;
	w->figures->lies++;
	lost_before(w, node);
	start_again(w, node, power, d);
	w->unknown[node].n = 0;
	n->open = 0;
	lost_after(w);
}

void world_copy(struct world *w, int node, int image)
{
	trace(w, "  copy %d of the disk of node %d", image, node);
	w->figures->images++;
	disk_copy(FIRST_IMAGE + node * IMAGES + image, node);
	w->image[node][image] = (struct image){ .taken = true, .open = w->node[node].open };
}

void world_go_back(struct world *w, int node, int image)
{
	struct node *n = &w->node[node];

	trace(w, "  the disk of node %d is again what copy %d is", node, image);
	n->forks += n->forks == 0 || n->last_image != image;
	n->last_image = image;
	lost_before(w, node);
	close_node(n);
	disk_copy(node, FIRST_IMAGE + node * IMAGES + image);
	open_node(n);
	n->open = w->image[node][image].open;
	lost_after(w);
}

bool world_recover(struct world *w, int node, struct dice *d)
{
	if (!disk_dead(node))
		return false;
	world_restart(w, node, dice_percent(d, 70), d);
	return true;
}

void world_clone(struct world *w, int site)
{
	struct node *n = &w->node[CLONE];

	trace(w, "  site %d goes on twice, also as %d", site, CLONE);
	w->figures->clones++;
	disk_copy(CLONE, site);
	*n = (struct node){ .world = w,
			    .n = CLONE,
			    .older = w->node[site].older,
			    .site_id = w->node[site].site_id,
			    .request.max = MESSAGE_MAX,
			    .answer.max = MESSAGE_MAX,
			    .open = w->node[site].open };
	memcpy(n->name, w->node[site].name, sizeof n->name);
	memset(w->image[CLONE], 0, sizeof w->image[CLONE]);
	open_node(n);
	w->clone_of = site;
	w->node[site].forks++;
}

void world_upgrade(struct world *w, int node)
{
	struct node *n = &w->node[node];

	if (!n->older)
		return;
	trace(w, "  node %d has newer programs", node);
	w->figures->upgrades++;
	close_node(n);
	n->older = false;
	open_node(n);
	world_act(w, w->actor);
}

bool world_knows(const struct world *w, int node, enum kind kind)
{
	return kind != MEMO || !w->node[node].older;
}

bool world_marks(const struct world *w, int node, enum kind kind)
{
	return kinds[kind].marked && !w->node[node].older;
}

/* What the other one has not pushed was told to a person; and it may be the last that has what central has lost. */
void world_keep(struct world *w, bool clone)
{
	struct node *site = &w->node[w->clone_of];
	void (*lose)(struct world *w, int node) = w->node[CENTRAL].forks ? lost_before : lost_unpushed;

	trace(w, "  %s goes on alone", clone ? "the clone" : "the site");
	lose(w, clone ? site->n : CLONE);
	if (clone) {
		close_node(site);
		disk_copy(site->n, CLONE);
		site->older = w->node[CLONE].older;
		open_node(site);
		site->open = w->node[CLONE].open;
		memset(w->image[site->n], 0, sizeof w->image[site->n]);
	}
	drop_node(&w->node[CLONE]);
	w->clone_of = 0;
	site->forks++;
	lost_after(w);
}

/* words */

void trace(struct world *w, const char *format, ...)
{
	char text[600];
	va_list args;

	va_start(args, format);
	(void)vsnprintf(text, sizeof text, format, args);
	va_end(args);
	for (const char *c = text; *c; c++)
		w->hash = (w->hash ^ (unsigned char)*c) * 0x100000001b3;
	if (w->trace)
		(void)printf("%s\n", text);
}

void violate(struct world *w, int invariant, const char *format, ...)
{
	char text[500];
	va_list args;

	if (w->violation[0])
		return;
	va_start(args, format);
	(void)vsnprintf(text, sizeof text, format, args);
	va_end(args);
	(void)snprintf(w->violation, sizeof w->violation, "invariant %d at step %d: %s", invariant, w->step, text);
	trace(w, "%s", w->violation);
}

static sqlite3_stmt *prepare(struct world *w, int node, const char *format, va_list args)
{
	sqlite3_stmt *stmt = NULL;
	char sql[1000];

	(void)vsnprintf(sql, sizeof sql, format, args);
	if (sqlite3_prepare_v2(w->node[node].app, sql, -1, &stmt, NULL) != SQLITE_OK && !disk_armed(node)) {
		(void)fprintf(stderr, "%s: %s\n", sql, sqlite3_errmsg(w->node[node].app));
		abort();
	}
	return stmt;
}

int64_t ask(struct world *w, int node, const char *format, ...)
{
	sqlite3_stmt *stmt;
	int64_t got = 0;
	va_list args;

	va_start(args, format);
	stmt = prepare(w, node, format, args);
	va_end(args);
	if (sqlite3_step(stmt) == SQLITE_ROW)
		got = sqlite3_column_int64(stmt, 0);
	(void)sqlite3_finalize(stmt);
	return got;
}

const char *ask_text(struct world *w, int node, char ret[static MODEL_ID], const char *format, ...)
{
	sqlite3_stmt *stmt;
	va_list args;

	va_start(args, format);
	stmt = prepare(w, node, format, args);
	va_end(args);
	ret[0] = '\0';
	if (sqlite3_step(stmt) == SQLITE_ROW && sqlite3_column_text(stmt, 0))
		(void)snprintf(ret, MODEL_ID, "%s", (const char *)sqlite3_column_text(stmt, 0));
	(void)sqlite3_finalize(stmt);
	return ret;
}

uint64_t store_bit(const char *store)
{
	return UINT64_C(1) << ((store[0] == 't') * SITES + store[1] - '1');
}

/* It has the store's record, and the move has taken place. */
static bool has_store(struct world *w, int site, const char *store)
{
	int64_t id = w->node[site].site_id;

	return ask(w, site, "SELECT site_id FROM store WHERE id = '%s'", store) == id &&
	       ask(w, CENTRAL, "SELECT site_id FROM sync_store WHERE store_id = '%s'", store) == id;
}

uint64_t stores_at(struct world *w, int site)
{
	uint64_t got = 0;

	for (int i = 1; i <= SITES; i++)
		for (const char *letter = "st"; *letter; letter++) {
			const char store[] = { *letter, (char)('0' + i), '\0' };

			if (has_store(w, site, store))
				got |= store_bit(store);
		}
	return got;
}

bool is_operational(struct world *w, int site)
{
	return ask(w, site, "SELECT load IS NULL FROM sync_link") != 0;
}

void world_pause(int64_t us)
{
	struct world *w = here;
	int actor = w->actor;

	pass_time(us);
	check_groups(w, actor);
	if (disk_armed(CENTRAL))
		return;
	world_act(w, CENTRAL);
	world_work(w, 1);
	world_act(w, actor);
}

void check_groups(struct world *w, int node)
{
	static const char half[] = "SELECT i.id FROM invoice i WHERE i.total <>"
				   "    (SELECT coalesce(sum(CAST(substr(l.note, 2) AS integer)), 0)"
				   "        FROM invoice_line l WHERE l.invoice_id = i.id)"
				   " UNION ALL "
				   "SELECT l.invoice_id FROM invoice_line l"
				   "    WHERE NOT EXISTS (SELECT 1 FROM invoice i WHERE i.id = l.invoice_id)";
	static const char shown[] =
	    "SELECT coalesce((SELECT note || ' ' || total FROM invoice WHERE id = '%s'), 'none') || ':' ||"
	    "    coalesce((SELECT group_concat(id || note) FROM invoice_line WHERE invoice_id = '%s'), '')";
	char id[MODEL_ID], what[MODEL_ID];

	if (node != CENTRAL && !is_operational(w, node))
		return;
	ask_text(w, node, id, "%s LIMIT 1", half);
	if (id[0] && !disk_dead(node)) {
		ask_text(w, node, what, shown, id, id);
		violate(w, 5, "node %d shows half of the group of '%s': %s", node, id, what);
	}
}

#include "disk.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
	FILES = 3, /* the database, its log, its rollback journal */
	SECTOR = 512,
	SHM_LOCKS = 8,
	SHM_REGIONS = 64,
	MAX_PATH = 64,
	FIRST_LETTER = 'A',
};

static const char folder[] = "/dev/null/disk"; /* no file can be made there; a letter for each disk */
static const char *const suffixes[FILES] = { "", "-wal", "-journal" };

struct handle;

struct bytes {
	unsigned char *data;
	size_t len, cap;
};

/* A write since the last sync; its bytes follow in the list. len is -1 where the file was truncated at offset. */
struct change {
	int64_t offset, len;
};

/* What the system has in memory, what the disk has, and the list of changes between the two. */
struct file {
	bool exists;
	struct bytes now, durable, changes;
};

/* Locks on the database file, and the shared memory of its log; as SQLite's documentation describes both. */
struct locks {
	int shared; /* holders */
	const struct handle *reserved, *exclusive;
	int shm_shared[SHM_LOCKS];
	bool shm_exclusive[SHM_LOCKS];
	int maps;
	void *region[SHM_REGIONS];
};

/* A file as it was durable when its disk began to lie. */
struct honest {
	bool exists;
	struct bytes bytes;
};

struct disk {
	struct file file[FILES];
	struct honest honest[FILES];
	struct locks locks;
	enum disk_fault fault;
	int64_t left; /* calls until the fault */
	int64_t calls;
	bool happened, dead, lies;
};

/* An open file. */
struct handle {
	sqlite3_file base;
	struct disk *disk;
	struct file *file;
	struct file temporary; /* what has no name */
	int level;
	bool mapped;
	unsigned shm_shared, shm_exclusive; /* bits */
};

static struct disk disks[DISKS];
static struct dice random_bytes;
static int64_t (*clock_us)(void);
static void (*wait_us)(int64_t us);

/* bytes */

static void resize(struct bytes *b, size_t len)
{
	if (len > b->cap) {
		b->cap = len * 2;
		b->data = realloc(b->data, b->cap);
		if (!b->data)
			abort();
	}
	if (len > b->len)
		memset(b->data + b->len, 0, len - b->len);
	b->len = len;
}

static void write_at(struct bytes *b, size_t offset, const void *data, size_t len)
{
	if (offset + len > b->len)
		resize(b, offset + len);
	memcpy(b->data + offset, data, len);
}

static void copy_bytes(struct bytes *b, const struct bytes *from)
{
	b->len = 0;
	if (from->len)
		write_at(b, 0, from->data, from->len);
}

static void free_file(struct file *f)
{
	free(f->now.data);
	free(f->durable.data);
	free(f->changes.data);
	*f = (struct file){ 0 };
}

/* what is durable */

static void remember(struct file *f, int64_t offset, const void *data, int64_t len)
{
	const struct change c = { offset, len };

	write_at(&f->changes, f->changes.len, &c, sizeof c);
	if (len > 0)
		write_at(&f->changes, f->changes.len, data, (size_t)len);
}

/* Which parts of a change reach the disk. */
enum fate { WHOLE, LOST, TORN };

static void apply_torn(struct bytes *b, const struct change *c, const unsigned char *data, struct dice *d)
{
	for (int64_t at = 0; at < c->len; at += SECTOR)
		if (dice_percent(d, 50))
			write_at(b, (size_t)(c->offset + at), data + at, (size_t)(c->len - at < SECTOR ? c->len - at : SECTOR));
}

static void apply_change(struct bytes *b, const struct change *c, const unsigned char *data, enum fate fate, struct dice *d)
{
	if (fate == LOST)
		return;
	if (c->len < 0)
		resize(b, (size_t)c->offset < b->len ? (size_t)c->offset : b->len);
	else if (fate == TORN)
		apply_torn(b, c, data, d);
	else
		write_at(b, (size_t)c->offset, data, (size_t)c->len);
}

/* A power cut leaves a first part of what was written in order, or any of it in no order. */
struct outage {
	struct dice *d; /* NULL: no outage, all of it arrives */
	bool ordered;
	unsigned chance;
	bool over;
};

static enum fate draw_fate(struct outage *o)
{
	if (!o->d)
		return WHOLE;
	if (o->ordered && o->over)
		return LOST;
	if (dice_percent(o->d, o->chance))
		return WHOLE;
	o->over = true;
	return dice_percent(o->d, 50) ? LOST : TORN;
}

static void settle_changes(struct file *f, struct outage *o)
{
	size_t at = 0;

	while (at < f->changes.len) {
		const unsigned char *data = f->changes.data + at + sizeof(struct change);
		struct change c;

		memcpy(&c, f->changes.data + at, sizeof c);
		apply_change(&f->durable, &c, data, draw_fate(o), o->d);
		at += sizeof c + (c.len > 0 ? (size_t)c.len : 0);
	}
	f->changes.len = 0;
}

static void make_durable(struct file *f)
{
	settle_changes(f, &(struct outage){ 0 });
}

/* faults */

static void begin_to_lie(struct disk *disk)
{
	if (disk->lies)
		return;
	disk->lies = true;
	for (size_t i = 0; i < FILES; i++) {
		disk->honest[i].exists = disk->file[i].exists;
		copy_bytes(&disk->honest[i].bytes, &disk->file[i].durable);
	}
}

/* Every call that a fault may meet begins here. */
static int call(struct disk *disk)
{
	if (!disk)
		return SQLITE_OK;
	if (disk->dead)
		return SQLITE_IOERR;
	disk->calls++;
	if (disk->fault == DISK_FINE || disk->happened || disk->left-- > 0)
		return SQLITE_OK;
	disk->happened = true;
	if (disk->fault == DISK_CRASH)
		disk->dead = true;
	if (disk->fault == DISK_LIES)
		begin_to_lie(disk);
	return disk->fault == DISK_CRASH || disk->fault == DISK_IOERR ? SQLITE_IOERR : SQLITE_OK;
}

static bool acts(const struct disk *disk, enum disk_fault fault)
{
	return disk && disk->fault == fault && disk->happened;
}

/* files */

static struct handle *handle_of(sqlite3_file *f)
{
	return (struct handle *)f;
}

static int close_file(sqlite3_file *f)
{
	free_file(&handle_of(f)->temporary);
	return SQLITE_OK;
}

static int read_file(sqlite3_file *f, void *ret, int n, sqlite3_int64 offset)
{
	const struct bytes *b = &handle_of(f)->file->now;
	size_t from = (size_t)offset, len = (size_t)n, there;

	if (call(handle_of(f)->disk) != SQLITE_OK)
		return SQLITE_IOERR_READ;
	there = from >= b->len ? 0 : b->len - from < len ? b->len - from : len;
	if (there)
		memcpy(ret, b->data + from, there);
	memset((char *)ret + there, 0, len - there);
	return there == len ? SQLITE_OK : SQLITE_IOERR_SHORT_READ;
}

static int write_file(sqlite3_file *f, const void *data, int n, sqlite3_int64 offset)
{
	struct handle *h = handle_of(f);
	size_t end = (size_t)offset + (size_t)n;

	if (call(h->disk) != SQLITE_OK)
		return SQLITE_IOERR_WRITE;
	if (acts(h->disk, DISK_FULL) && end > h->file->now.len)
		return SQLITE_FULL;
	write_at(&h->file->now, (size_t)offset, data, (size_t)n);
	if (h->disk)
		remember(h->file, offset, data, n);
	return SQLITE_OK;
}

static int truncate_file(sqlite3_file *f, sqlite3_int64 size)
{
	struct handle *h = handle_of(f);

	if (call(h->disk) != SQLITE_OK)
		return SQLITE_IOERR_TRUNCATE;
	if ((size_t)size < h->file->now.len)
		resize(&h->file->now, (size_t)size);
	if (h->disk)
		remember(h->file, size, NULL, -1);
	return SQLITE_OK;
}

static int sync_file(sqlite3_file *f, int flags)
{
	struct handle *h = handle_of(f);

	(void)flags;
	if (call(h->disk) != SQLITE_OK)
		return SQLITE_IOERR_FSYNC;
	if (!h->disk || !h->disk->lies)
		make_durable(h->file);
	return SQLITE_OK;
}

static int file_size(sqlite3_file *f, sqlite3_int64 *ret)
{
	*ret = (sqlite3_int64)handle_of(f)->file->now.len;
	return SQLITE_OK;
}

/* locks */

static int lock_file(sqlite3_file *f, int level)
{
	struct handle *h = handle_of(f);
	struct locks *l = h->disk ? &h->disk->locks : NULL;

	if (!l || h->level >= level) {
		h->level = h->level < level ? level : h->level;
		return SQLITE_OK;
	}
	if (l->exclusive || (level >= SQLITE_LOCK_RESERVED && l->reserved && l->reserved != h))
		return SQLITE_BUSY;
	if (level == SQLITE_LOCK_EXCLUSIVE && l->shared > 1)
		return SQLITE_BUSY;
	l->shared += level == SQLITE_LOCK_SHARED;
	if (level == SQLITE_LOCK_RESERVED)
		l->reserved = h;
	if (level == SQLITE_LOCK_EXCLUSIVE)
		l->exclusive = h;
	h->level = level;
	return SQLITE_OK;
}

static int unlock_file(sqlite3_file *f, int level)
{
	struct handle *h = handle_of(f);
	struct locks *l = h->disk ? &h->disk->locks : NULL;

	if (l && h->level > level) {
		l->exclusive = l->exclusive == h ? NULL : l->exclusive;
		l->reserved = l->reserved == h ? NULL : l->reserved;
		l->shared -= level == SQLITE_LOCK_NONE;
	}
	h->level = h->level > level ? level : h->level;
	return SQLITE_OK;
}

static int is_reserved(sqlite3_file *f, int *ret)
{
	struct handle *h = handle_of(f);

	*ret = h->disk && h->disk->locks.reserved;
	return SQLITE_OK;
}

static int shm_map(sqlite3_file *f, int region, int size, int extend, void volatile **ret)
{
	struct handle *h = handle_of(f);
	struct locks *l = &h->disk->locks;

	*ret = NULL;
	if (call(h->disk) != SQLITE_OK)
		return SQLITE_IOERR_SHMMAP;
	if (!h->mapped) {
		h->mapped = true;
		l->maps++;
	}
	if (region >= SHM_REGIONS)
		return SQLITE_IOERR_SHMSIZE;
	if (!l->region[region] && extend)
		l->region[region] = calloc(1, (size_t)size);
	*ret = l->region[region];
	return SQLITE_OK;
}

static bool shm_free(const struct locks *l, const struct handle *h, int i, bool exclusive)
{
	bool mine = h->shm_exclusive & 1u << i;
	int others = l->shm_shared[i] - !!(h->shm_shared & 1u << i);

	if (l->shm_exclusive[i] && !mine)
		return false;
	return !exclusive || others == 0;
}

static void shm_release(struct locks *l, struct handle *h, int i)
{
	if (h->shm_shared & 1u << i)
		l->shm_shared[i]--;
	if (h->shm_exclusive & 1u << i)
		l->shm_exclusive[i] = false;
	h->shm_shared &= ~(1u << i);
	h->shm_exclusive &= ~(1u << i);
}

static void shm_take(struct locks *l, struct handle *h, int i, bool exclusive)
{
	if (exclusive) {
		l->shm_exclusive[i] = true;
		h->shm_exclusive |= 1u << i;
	} else if (!(h->shm_shared & 1u << i)) {
		l->shm_shared[i]++;
		h->shm_shared |= 1u << i;
	}
}

static int shm_lock(sqlite3_file *f, int from, int n, int flags)
{
	struct handle *h = handle_of(f);
	struct locks *l = &h->disk->locks;
	bool exclusive = flags & SQLITE_SHM_EXCLUSIVE;

	if (flags & SQLITE_SHM_UNLOCK) {
		for (int i = from; i < from + n; i++)
			shm_release(l, h, i);
		return SQLITE_OK;
	}
	if (call(h->disk) != SQLITE_OK)
		return SQLITE_IOERR_SHMLOCK;
	for (int i = from; i < from + n; i++)
		if (!shm_free(l, h, i, exclusive))
			return SQLITE_BUSY;
	for (int i = from; i < from + n; i++)
		shm_take(l, h, i, exclusive);
	return SQLITE_OK;
}

static void shm_barrier(sqlite3_file *f)
{
	(void)f;
}

static int shm_unmap(sqlite3_file *f, int erase)
{
	struct handle *h = handle_of(f);
	struct locks *l = &h->disk->locks;

	(void)erase;
	for (int i = 0; i < SHM_LOCKS; i++)
		shm_release(l, h, i);
	l->maps -= h->mapped;
	h->mapped = false;
	for (int i = 0; !l->maps && i < SHM_REGIONS; i++) {
		free(l->region[i]);
		l->region[i] = NULL;
	}
	return SQLITE_OK;
}

static int file_control(sqlite3_file *f, int op, void *arg)
{
	(void)f, (void)op, (void)arg;
	return SQLITE_NOTFOUND;
}

static int sector_size(sqlite3_file *f)
{
	(void)f;
	return SECTOR;
}

static int characteristics(sqlite3_file *f)
{
	(void)f;
	return SQLITE_IOCAP_POWERSAFE_OVERWRITE;
}

static const sqlite3_io_methods methods = {
	.iVersion = 2,
	.xClose = close_file,
	.xRead = read_file,
	.xWrite = write_file,
	.xTruncate = truncate_file,
	.xSync = sync_file,
	.xFileSize = file_size,
	.xLock = lock_file,
	.xUnlock = unlock_file,
	.xCheckReservedLock = is_reserved,
	.xFileControl = file_control,
	.xSectorSize = sector_size,
	.xDeviceCharacteristics = characteristics,
	.xShmMap = shm_map,
	.xShmLock = shm_lock,
	.xShmBarrier = shm_barrier,
	.xShmUnmap = shm_unmap,
};

/* the file system */

static struct file *find_file(const char *path, struct disk **ret_disk)
{
	const char *rest = path + sizeof folder;
	int disk;

	assert(!strncmp(path, folder, sizeof folder - 1));
	disk = path[sizeof folder - 1] - FIRST_LETTER;
	assert(disk >= 0 && disk < DISKS);
	*ret_disk = &disks[disk];
	for (size_t i = 0; i < FILES; i++)
		if (!strcmp(rest, suffixes[i]))
			return &disks[disk].file[i];
	abort(); /* SQLite makes no other files */
}

static int open_file(sqlite3_vfs *vfs, const char *path, sqlite3_file *f, int flags, int *ret_flags)
{
	struct handle *h = handle_of(f);

	(void)vfs;
	*h = (struct handle){ .base.pMethods = NULL };
	if (!path) {
		h->file = &h->temporary;
	} else {
		h->file = find_file(path, &h->disk);
		if (call(h->disk) != SQLITE_OK || (!h->file->exists && !(flags & SQLITE_OPEN_CREATE)))
			return SQLITE_CANTOPEN;
		h->file->exists = true;
	}
	if (ret_flags)
		*ret_flags = flags;
	h->base.pMethods = &methods;
	return SQLITE_OK;
}

static int delete_file(sqlite3_vfs *vfs, const char *path, int dir_sync)
{
	struct disk *disk;
	struct file *f = find_file(path, &disk);

	(void)vfs, (void)dir_sync;
	if (call(disk) != SQLITE_OK)
		return SQLITE_IOERR_DELETE;
	if (!f->exists)
		return SQLITE_IOERR_DELETE_NOENT;
	f->exists = false;
	f->now.len = f->durable.len = f->changes.len = 0;
	return SQLITE_OK;
}

static int access_file(sqlite3_vfs *vfs, const char *path, int flags, int *ret)
{
	struct disk *disk;
	const struct file *f = find_file(path, &disk);

	(void)vfs, (void)flags;
	*ret = f->exists && (flags != SQLITE_ACCESS_EXISTS || f->now.len > 0);
	return disk->dead ? SQLITE_IOERR_ACCESS : SQLITE_OK;
}

static int full_path(sqlite3_vfs *vfs, const char *path, int n, char *ret)
{
	(void)vfs;
	(void)snprintf(ret, (size_t)n, "%s", path);
	return SQLITE_OK;
}

static int give_random(sqlite3_vfs *vfs, int n, char *ret)
{
	(void)vfs;
	for (int i = 0; i < n; i++)
		ret[i] = (char)dice_next(&random_bytes);
	return n;
}

static int sleep_us(sqlite3_vfs *vfs, int us)
{
	(void)vfs;
	wait_us(us);
	return us;
}

static int current_time(sqlite3_vfs *vfs, sqlite3_int64 *ret)
{
	(void)vfs;
	*ret = 210866760000000 + clock_us() / 1000; /* milliseconds of the Julian day */
	return SQLITE_OK;
}

static int last_error(sqlite3_vfs *vfs, int n, char *ret)
{
	(void)vfs, (void)n, (void)ret;
	return 0;
}

void disk_install(int64_t (*now_us)(void), void (*sleep)(int64_t us))
{
	static sqlite3_vfs vfs = {
		.iVersion = 2,
		.szOsFile = sizeof(struct handle),
		.mxPathname = MAX_PATH,
		.zName = "disk",
		.xOpen = open_file,
		.xDelete = delete_file,
		.xAccess = access_file,
		.xFullPathname = full_path,
		.xRandomness = give_random,
		.xSleep = sleep_us,
		.xGetLastError = last_error,
		.xCurrentTimeInt64 = current_time,
	};

	clock_us = now_us;
	wait_us = sleep;
	(void)sqlite3_config(SQLITE_CONFIG_SINGLETHREAD);
	(void)sqlite3_config(SQLITE_CONFIG_MEMSTATUS, 0);
	if (sqlite3_initialize() != SQLITE_OK || sqlite3_vfs_register(&vfs, 1) != SQLITE_OK)
		abort();
}

void disk_seed(uint64_t seed)
{
	random_bytes = dice_of(seed, 0);
	sqlite3_randomness(0, NULL);
}

const char *disk_path(int disk)
{
	static char paths[DISKS][sizeof folder + 1];

	(void)snprintf(paths[disk], sizeof paths[disk], "%s%c", folder, FIRST_LETTER + disk);
	return paths[disk];
}

/* machines */

void disk_wipe(int disk)
{
	for (size_t i = 0; i < FILES; i++)
		free_file(&disks[disk].file[i]);
	for (size_t i = 0; i < FILES; i++)
		free(disks[disk].honest[i].bytes.data);
	for (size_t i = 0; i < SHM_REGIONS; i++)
		free(disks[disk].locks.region[i]);
	disks[disk] = (struct disk){ 0 };
}

void disk_copy(int disk, int from)
{
	struct disk *to = &disks[disk];

	for (size_t i = 0; i < FILES; i++) {
		to->file[i].exists = disks[from].file[i].exists;
		to->file[i].changes.len = 0;
		copy_bytes(&to->file[i].now, &disks[from].file[i].now);
		copy_bytes(&to->file[i].durable, &disks[from].file[i].now);
	}
	to->fault = DISK_FINE;
	to->dead = to->happened = to->lies = false;
	to->calls = 0;
}

void disk_arm(int disk, enum disk_fault fault, int64_t n)
{
	disks[disk].fault = fault;
	disks[disk].left = n;
	disks[disk].happened = false;
}

bool disk_armed(int disk)
{
	return disks[disk].fault != DISK_FINE;
}

bool disk_disarm(int disk)
{
	bool happened = disks[disk].happened;

	disks[disk].fault = DISK_FINE;
	disks[disk].happened = false;
	return happened;
}

bool disk_dead(int disk)
{
	return disks[disk].dead;
}

bool disk_lies(int disk)
{
	return disks[disk].lies;
}

int64_t disk_calls(int disk)
{
	return disks[disk].calls;
}

static void lose_power(struct disk *k, struct dice *d)
{
	struct outage o = { .d = d, .ordered = dice_percent(d, 50), .chance = (unsigned)dice_range(d, 0, 100) };

	for (size_t i = 0; i < FILES; i++) {
		o.over = false;
		settle_changes(&k->file[i], &o);
		copy_bytes(&k->file[i].now, &k->file[i].durable);
	}
}

/* What was written since the disk began to lie was only in its memory. */
static void lose_since_it_lies(struct disk *k)
{
	for (size_t i = 0; i < FILES; i++) {
		struct file *f = &k->file[i];

		f->exists = k->honest[i].exists;
		f->changes.len = 0;
		copy_bytes(&f->durable, &k->honest[i].bytes);
		copy_bytes(&f->now, &f->durable);
	}
	k->lies = false;
}

void disk_restart(int disk, bool power, struct dice *d)
{
	struct disk *k = &disks[disk];

	assert(!k->locks.shared && !k->locks.maps);
	k->locks = (struct locks){ 0 };
	if (power && k->lies)
		lose_since_it_lies(k);
	else if (power)
		lose_power(k, d);
	k->dead = false;
	k->fault = DISK_FINE;
	k->happened = false;
}

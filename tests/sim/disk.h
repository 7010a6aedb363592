/** Disks in memory, as an SQLite VFS: what was not synced is lost or torn when the power goes. */
#ifndef SIM_DISK_H
#define SIM_DISK_H

#include "dice.h"

#include <sqlite3.h>

enum { DISKS = 40 };

/** What happens at the n-th call of the database to a disk. */
enum disk_fault {
	DISK_FINE,
	DISK_CRASH, /* the machine stops: nothing works any more until disk_restart() */
	DISK_IOERR, /* that call fails */
	DISK_FULL,  /* from then on nothing that makes a file longer works */
	DISK_LIES,  /* from then on a sync does nothing, and says that it did, until the power goes */
};

/** Make it the VFS that SQLite uses; once. @param now_us  what SQLite takes for the time @param sleep  how it waits */
void disk_install(int64_t (*now_us)(void), void (*sleep)(int64_t us));
/** What SQLite's own random numbers come from, from now on. */
void disk_seed(uint64_t seed);
/** The path of the database file of a disk; no other file system has it. */
const char *disk_path(int disk);

/** An empty disk. */
void disk_wipe(int disk);
/** A disk, of which no file is open, with what another one has now, all of it durable. */
void disk_copy(int disk, int from);
/** Let this happen at the n-th call from now on, counted from 0. */
void disk_arm(int disk, enum disk_fault fault, int64_t n);
/** Whether something is about to happen, or has and goes on. */
bool disk_armed(int disk);
/** Nothing happens any more. Whether it has happened. */
bool disk_disarm(int disk);
/** Whether the machine has stopped. */
bool disk_dead(int disk);
/** Whether it has not kept what it was told to sync. */
bool disk_lies(int disk);
/** Calls so far. */
int64_t disk_calls(int disk);
/**
 * Start the machine again, after all files were closed.
 *
 * @param power  whether the power was gone: of what was not synced only some is there, drawn from d, and nothing of what was
 *               written since the disk lies; else all of it
 */
void disk_restart(int disk, bool power, struct dice *d);

#endif

/** The pages of a SQLite file and of its write-ahead log as they are on disk. Inner header of wreck.c. */
#ifndef SYNC_WRECK_FILE_H
#define SYNC_WRECK_FILE_H

#include <libsync/error.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { SYNC_WRECK_HEADER = 100 /* bytes of page 1 before it is a page like the others */ };

/** Nothing of it is ever written, nor is it locked: nobody may have it open. */
struct sync_wreck_file {
	int fd, log; /* -1: there is no log */
	size_t page_bytes;
	size_t usable;    /* of a page */
	uint32_t pages;
	uint32_t *frame;  /* of pages 1 …: in the log, from 1 on; 0: the page is in the file */
	bool log_damaged; /* commits that were durable may be missing */
	int64_t reads;
};

/** @retval SYNC_ENOTFOUND  it is not there, or empty */
enum sync_status sync_wreck_file_open(struct sync_wreck_file *ret, const char *path, struct sync_error *err);
/** Close it; one that failed to open as well. */
void sync_wreck_file_close(struct sync_wreck_file *f);
/** Read a page of page_bytes. @return false  it cannot be read, or there is none */
bool sync_wreck_page(struct sync_wreck_file *f, uint32_t page, unsigned char *ret);

/** Numbers of the format have their highest byte first. */
static inline uint32_t sync_wreck_u16(const unsigned char *p)
{
	return (uint32_t)p[0] << 8 | p[1];
}
static inline uint32_t sync_wreck_u32(const unsigned char *p)
{
	return sync_wreck_u16(p) << 16 | sync_wreck_u16(p + 2);
}

#endif

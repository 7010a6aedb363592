/* SQLite files from anywhere: nothing may crash, and every value that is given can be read to its end. */
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/internal.h"
#include "db/wreck.h"
#include "fuzz.h"

static enum sync_status take_row(void *ctx, const struct sync_value *v, size_t n, struct sync_error *err)
{
	size_t *sum = ctx;

	(void)err;
	for (size_t i = 0; i < n; i++)
		for (size_t k = 0; (v[i].kind == SYNC_STRING || v[i].kind == SYNC_BLOB) && k < v[i].s.len; k++)
			*sum += (unsigned char)v[i].s.data[k];
	return SYNC_OK;
}

static void read_all(const char *path)
{
	static const char *const names[] = { "t", "w", "i", "sqlite_autoindex_t_1" };
	defer(sync_wreck_closep) struct sync_wreck *w = NULL;
	size_t sum = 0;
	bool whole;

	if (sync_wreck_open(&w, path, NULL, NULL, NULL) != SYNC_OK)
		return;
	for (size_t i = 0; i < COUNT(names); i++)
		CHECK(sync_wreck_each(w, names[i], take_row, &sum, &whole, NULL) == SYNC_OK);
	CHECK(sync_wreck_each_stray(w, take_row, &sum, NULL) == SYNC_OK);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	int fd = memfd_create("wreck", MFD_CLOEXEC);
	char path[64];

	CHECK(fd >= 0 && write(fd, data, size) == (ssize_t)size);
	snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
	read_all(path);
	close(fd);
	return 0;
}

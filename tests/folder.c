#include "folder.h"

#include <stdio.h>
#include <stdlib.h>

static char folder[] = "/tmp/sync_test.XXXXXX";

int folder_make(void **state)
{
	(void)state;
	return mkdtemp(folder) ? 0 : 1;
}

int folder_drop(void **state)
{
	char command[160];

	(void)state;
	snprintf(command, sizeof command, "rm -r %s", folder);
	return system(command);
}

const char *folder_path(const char *name)
{
	static char paths[8][160];
	static size_t next;
	char *at = paths[next++ % COUNT(paths)];

	snprintf(at, sizeof paths[0], "%s/%s", folder, name);
	return at;
}

void file_read(struct sync_buf *ret, const char *name)
{
	FILE *f = fopen(name, "re");
	char *to = sync_buf_room(ret, ret->max - ret->len);

	assert_non_null(f);
	assert_non_null(to);
	ret->len += fread(to, 1, ret->max - ret->len, f);
	fclose(f);
}

void file_write(const char *name, struct sync_view v)
{
	FILE *f = fopen(name, "we");

	assert_non_null(f);
	assert_int_equal(v.len, fwrite(v.data, 1, v.len, f));
	fclose(f);
}

#include "central.h"

#include <stdlib.h>
#include <string.h>

/* All of the URL, or what follows the scheme; NULL: it is PostgreSQL's. */
static const char *file_of(const char *url)
{
	if (strncmp(url, "postgres:", 9) == 0)
		return NULL;
	return strncmp(url, "sqlite:", 7) == 0 ? url + 7 : url;
}

enum sync_status central_lock_name(const char *url, struct sync_buf *ret, struct sync_error *err)
{
	const char *file = file_of(url);
	defer(freep) char *real = file ? realpath(file, NULL) : NULL; /* NULL: it is not there yet */

	if (file)
		sync_buf_addf(ret, "%s-central", real ? real : file);
	return sync_buf_check(ret, err);
}

size_t central_troubles(const char *url, struct sync_trouble ret[static 2])
{
	defer(sync_buf_clear) struct sync_buf lock = { .max = 4096 };

	if (central_lock_name(url, &lock, NULL) != SYNC_OK || lock.len == 0)
		return 0;
	return sync_trouble_gather(lock.data, file_of(url), ret);
}

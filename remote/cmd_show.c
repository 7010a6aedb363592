#include <stdio.h>

#include <libsync/site.h>

#include "remote.h"

static enum sync_status print(void *ctx, const char *data, size_t len, struct sync_error *err)
{
	(void)ctx;
	return fwrite(data, 1, len, stdout) == len ? SYNC_OK : sync_fail(err, SYNC_EIO, "standard output cannot be written: %m");
}

enum sync_status cmd_show(const struct sync_call *call, struct sync_error *err)
{
	defer(site_close) struct site site = { 0 };

	TRY(site_open(&site, call, false, false, err));
	TRY(sync_unpushed_each(site.db, print, NULL, err));
	return fflush(stdout) == 0 ? SYNC_OK : sync_fail(err, SYNC_EIO, "standard output cannot be written: %m");
}

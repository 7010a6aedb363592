/* Without libFuzzer: every file of a folder, once. */
#include <dirent.h>
#include <limits.h>
#include <string.h>

#include "base/internal.h"
#include "fuzz.h"

enum { INPUT_BYTES = 1 << 20 };

static int replay(const char *folder, const char *name)
{
	defer(freep) uint8_t *data = malloc(INPUT_BYTES);
	char path[PATH_MAX];
	FILE *file;
	size_t len;

	snprintf(path, sizeof path, "%s/%s", folder, name);
	file = fopen(path, "rb");
	if (!file || !data) {
		perror(path);
		return 1;
	}
	len = fread(data, 1, INPUT_BYTES, file);
	fclose(file);
	return LLVMFuzzerTestOneInput(data, len);
}

int main(int argc, char **argv)
{
	DIR *folder = argc == 2 ? opendir(argv[1]) : NULL;
	int failed = 0, n = 0;

	if (!folder) {
		fprintf(stderr, "usage: %s FOLDER\n", argv[0]);
		return 64;
	}
	for (struct dirent *entry = readdir(folder); entry; entry = readdir(folder))
		if (entry->d_name[0] != '.') {
			failed += replay(argv[1], entry->d_name);
			n++;
		}
	closedir(folder);
	printf("%d inputs\n", n);
	return failed || n == 0;
}

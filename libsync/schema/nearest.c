#include <libsync/entity.h>

#include <string.h>

enum { LONGEST = 64, FAR = 4 /* edits that make a name another one */ };

/* How many letters to put, drop or change until a is b. */
static size_t distance(const char *a, const char *b)
{
	size_t row[LONGEST + 1], len = strlen(b);

	if (len > LONGEST)
		return FAR;
	for (size_t j = 0; j <= len; j++)
		row[j] = j;
	for (; *a; a++) {
		size_t corner = row[0]++;

		for (size_t j = 1; j <= len; j++) {
			size_t change = corner + (*a != b[j - 1]);
			size_t other = (row[j] < row[j - 1] ? row[j] : row[j - 1]) + 1;

			corner = row[j];
			row[j] = change < other ? change : other;
		}
	}
	return row[len];
}

/* What was probably meant; NULL when nothing is near. */
static const struct sync_entity *nearest(const char *name)
{
	size_t n, best = FAR;
	const struct sync_entity *const *all = sync_entities(&n), *found = NULL;

	for (size_t i = 0; strlen(name) <= LONGEST && i < n; i++) {
		size_t away = distance(name, all[i]->name);

		if (away < best) {
			best = away;
			found = all[i];
		}
	}
	return found;
}

enum sync_status sync_entity_named(const char *name, const struct sync_entity **ret, struct sync_error *err)
{
	const struct sync_entity *near;

	*ret = sync_entity_find(sync_view_of(name));
	if (*ret)
		return SYNC_OK;
	near = nearest(name);
	if (near)
		return sync_fail(err, SYNC_EUSAGE, "no entity is called '%s': is it %s?", name, near->name);
	return sync_fail(err, SYNC_EUSAGE, "no entity is called '%s': docs/entities.md lists all", name);
}

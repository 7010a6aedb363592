#include <libsync/entity.h>

#include <string.h>

#include "base/internal.h"

const struct sync_option sync_option_list[] = {
	{ "master-lists", "which sites have a master list with its lines",
	  { { "everywhere", "every site has every list" },
	    { "joined", "a site has the lists that master_list_name_join gives to the names of its stores" } } },
	{ 0 },
};

const struct sync_option *sync_option_find(const char *name)
{
	for (const struct sync_option *o = sync_option_list; o->name; o++)
		if (!strcmp(o->name, name))
			return o;
	return NULL;
}

const struct sync_option_value *sync_option_value_find(const struct sync_option *o, struct sync_view name)
{
	for (const struct sync_option_value *v = o->values; v->name; v++)
		if (sync_view_is(name, v->name))
			return v;
	return NULL;
}

bool sync_route_counts(const struct sync_route *r, const char *value)
{
	return !r->chosen || (value && !strcmp(r->chosen, value));
}

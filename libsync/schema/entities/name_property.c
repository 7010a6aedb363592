#include "schema/declared.h"

static const struct sync_field fields[] = {
	{ "id",              SYNC_ID,      .required = true },
	{ "property_id",     SYNC_ID,      .required = true, .refers = "property" },
	{ "remote_editable", SYNC_BOOLEAN, .required = true },
};

const struct sync_entity sync_name_property = {
	.name = "name_property", FIELDS(fields),
	.about = "A property that names have.",
	.owner = SYNC_OWNER_CENTRAL,
	.routes = { { SYNC_ROUTE_CENTRAL } },
};

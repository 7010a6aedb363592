/** What the parts of an explanation share. Inner header of the exchange. */
#ifndef SYNC_EXPLAIN_INNER_H
#define SYNC_EXPLAIN_INNER_H

#include <libsync/entity.h>
#include <libsync/explain.h>
#include <libsync/site.h>

/** One that is being gathered. */
struct sync_explaining {
	struct sync_db *db;
	const struct sync_entity *e; /* NULL: this build does not know it */
	struct sync_view entity, id;
	struct sync_site *site;       /* all sites of central, by name */
	size_t n_sites, cap_sites;
	const struct sync_site *only; /* NULL: all of them */
	bool exists;
	struct sync_explanation *x;
};

/** One thing more; text is made by sync_say() in x->arena. */
enum sync_status sync_tell(struct sync_explaining *g, struct sync_told told, struct sync_error *err);
/** A site's name; "central" for 0. */
const char *sync_explain_site(const struct sync_explaining *g, int64_t site_id);
/** A column's text in the arena, "" for null. */
const char *sync_explain_text(struct sync_explaining *g, const struct sync_value *v);

/** Events that both roles keep: what waits in the inbox, and what waits for this record. */
enum sync_status sync_explain_inbox(struct sync_explaining *g, struct sync_error *err);
/** The exchange of a site (at a site 0) that took or brought something: the last with pushes that began before at_us, or the first
 *  with pulls that ended after it; 0 when the log has none. *ret_records: how many it carried. */
enum sync_status sync_explain_pushed(struct sync_explaining *g, int64_t site_id, int64_t at_us, int64_t *ret_us, int64_t *ret_records,
                                     struct sync_error *err);
enum sync_status sync_explain_pulled(struct sync_explaining *g, int64_t site_id, int64_t at_us, int64_t *ret_us, struct sync_error *err);

/** What central, or a site, knows besides. */
enum sync_status sync_explain_central(struct sync_explaining *g, struct sync_error *err);
enum sync_status sync_explain_local(struct sync_explaining *g, struct sync_error *err);
/** Sites of which central has requests that it has not looked into (central). */
enum sync_status sync_explain_spool(struct sync_explaining *g, struct sync_error *err);
/** Who has it and why (central). */
enum sync_status sync_explain_holders(struct sync_explaining *g, struct sync_error *err);

#endif

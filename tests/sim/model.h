/** Every edit ever made: what no exchange may lose. */
#ifndef SIM_MODEL_H
#define SIM_MODEL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { MODEL_ID = 160 };

/** The kinds of records; in the order in which they may be written. */
enum kind { UNIT, NAME, STORE, JOIN, VISIT, BARCODE, SETTING, LOCATION, LOG, MEMO, INVOICE, LINE, KINDS };

/** A kind's table and its columns after id and note. */
struct kind_info {
	const char *table, *prefix; /* of its ids */
	const char *columns[4];     /* NULL-ended */
	bool marked;                /* where it is known it has a mark */
};
extern const struct kind_info kinds[KINDS];

/** One edit of one record. Its tag is the note of what it wrote: "#12;". */
struct edit {
	int64_t tag;
	int node; /* 0 is central */
	int step;
	enum kind kind;
	char id[MODEL_ID];
	bool deletes;
	int64_t parent; /* tag of what it changed; 0: there was nothing */
	int64_t mark;   /* tag that its mark has; 0: nobody knows */
	bool accounted; /* see check.c */
	bool had, has;  /* see lost.c */
	bool decided;   /* a person has replaced it */
	bool lost;      /* with a disk that went back; nobody is asked for it */
};

struct model {
	struct edit *edits;
	size_t n, cap;
	int64_t tags; /* given so far */
};

void model_clear(struct model *m);
/** Keep an edit that was committed. */
void model_add(struct model *m, const struct edit *e);
/** The edit of that tag, or NULL. */
struct edit *model_find(const struct model *m, int64_t tag);
/** A person has replaced what a record had: the tag of its note, or, where there was no record, whoever had deleted it. */
void model_decide(struct model *m, const char *table, const char *id, const char *note);
/** The last record of a kind that a node has deleted and nobody has made again as far as it knows; NULL: there is none. */
const struct edit *model_deleted(const struct model *m, int node, enum kind kind, size_t skip);

#endif

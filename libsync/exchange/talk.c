#include "exchange/talk.h"

#include <stdio.h>
#include <stdlib.h>

#include <libsync/time.h>

#include "base/internal.h"

enum {
	FIRST_SIZE = 256 << 10,
	SLOW_US = 8000000, /* a message that takes longer is too large for the link */
	FAST_US = 2000000, /* one that takes less may be larger */
	LEVEL = 3,
	MOST_BYTES = 64 << 20, /* of one message; a single record may be large */
};

static const char size_key[] = "message_bytes";

static enum sync_status get_writer(struct sync_talk *talk, size_t i, struct sync_writer **ret, struct sync_error *err)
{
	const struct sync_dictionary *dictionary = talk->dictionary ? sync_schema_dictionary() : NULL;

	if (!talk->writers[i])
		TRY(sync_writer_new(&talk->writers[i], dictionary, LEVEL, MOST_BYTES, err));
	*ret = talk->writers[i];
	return SYNC_OK;
}

enum sync_status sync_talk_writer(struct sync_talk *talk, struct sync_writer **ret, struct sync_error *err)
{
	return get_writer(talk, 0, ret, err);
}

enum sync_status sync_talk_ahead(struct sync_talk *talk, struct sync_writer **ret, struct sync_error *err)
{
	return get_writer(talk, 1, ret, err);
}

void sync_talk_rest(struct sync_talk *talk)
{
	for (size_t i = 0; i < COUNT(talk->writers); i++) {
		sync_writer_free(talk->writers[i]);
		talk->writers[i] = NULL;
	}
}

static size_t within(const struct sync_talk *talk, size_t size)
{
	size_t least = talk->o->message_min < talk->max ? talk->o->message_min : talk->max;

	return size < least ? least : size > talk->max ? talk->max : size;
}

enum sync_status sync_talk_open(struct sync_talk *talk, struct sync_db *db, const struct sync_transport *t,
				const struct sync_options *o, struct sync_report *report, size_t max, struct sync_error *err)
{
	defer(sync_buf_clear) struct sync_buf text = { .max = 32 };
	bool found;

	*talk = (struct sync_talk){
		.t = t, .o = o, .report = report, .dictionary = true, .max = max, .body.max = MOST_BYTES, .quick = true
	};
	TRY(sync_meta_get(db, size_key, &text, &found, err));
	talk->kept_size = found ? (size_t)strtoull(text.data, NULL, 10) : FIRST_SIZE;
	talk->size = within(talk, talk->kept_size);
	return SYNC_OK;
}

static void keep_size(const struct sync_talk *talk, struct sync_db *db)
{
	char text[32];

	if (talk->size == within(talk, talk->kept_size))
		return;
	snprintf(text, sizeof text, "%zu", talk->size);
	(void)sync_meta_put(db, size_key, sync_view_of(text), NULL); /* a hint: the next round begins as well without it */
}

void sync_talk_close(struct sync_talk *talk, struct sync_db *db)
{
	if (talk->waiting)
		(void)talk->t->finish(talk->t->ctx, &talk->body, NULL);
	if (talk->size > 0)
		keep_size(talk, db);
	sync_talk_rest(talk);
	sync_buf_clear(&talk->body);
	*talk = (struct sync_talk){ 0 };
}

static void adapt(struct sync_talk *talk, bool failed)
{
	int64_t took_us = sync_tick_us() - talk->began_us;
	size_t moved = talk->sent > talk->body.len ? talk->sent : talk->body.len;

	talk->quick = !failed && took_us < FAST_US;
	if (failed || took_us > SLOW_US)
		talk->size = within(talk, talk->size / 2);
	else if (talk->quick && moved >= talk->size / 2)
		talk->size = within(talk, talk->size * 2);
}

enum sync_status sync_talk_start(struct sync_talk *talk, struct sync_view message, struct sync_error *err)
{
	enum sync_status status;

	talk->began_us = sync_tick_us();
	talk->sent = message.len;
	talk->report->requests++;
	talk->report->bytes_out += (int64_t)message.len;
	status = talk->t->start(talk->t->ctx, message, err);
	talk->waiting = status == SYNC_OK;
	if (status != SYNC_OK)
		adapt(talk, true);
	return status;
}

enum sync_status sync_talk_start_ahead(struct sync_talk *talk, struct sync_view message, struct sync_error *err)
{
	struct sync_writer *ahead = talk->writers[1];

	talk->writers[1] = talk->writers[0];
	talk->writers[0] = ahead;
	return sync_talk_start(talk, message, err);
}

enum sync_status sync_talk_finish(struct sync_talk *talk, struct sync_error *err)
{
	enum sync_status status;

	talk->waiting = false;
	status = talk->t->finish(talk->t->ctx, &talk->body, err);
	if (status == SYNC_EDICTIONARY && talk->dictionary) {
		talk->dictionary = false;
		sync_talk_rest(talk);
		return SYNC_EDICTIONARY;
	}
	adapt(talk, status != SYNC_OK);
	if (status == SYNC_OK)
		talk->report->bytes_in += (int64_t)talk->body.len;
	return status;
}

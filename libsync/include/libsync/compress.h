/** zstd, with a dictionary that follows from the schema. Output is bounded. */
#ifndef LIBSYNC_COMPRESS_H
#define LIBSYNC_COMPRESS_H

#include <libsync/buf.h>
#include <libsync/error.h>

/** A dictionary, made once per process and shared between threads; NULL means none wherever one is asked for. */
struct sync_dictionary;

/**
 * Make a dictionary from text that messages are likely to contain; equal text gives equal bytes everywhere.
 *
 * @param text     content, what is likeliest last
 * @param samples  example messages for the entropy tables, n of them
 * @param level    of compression with it
 * @retval SYNC_ENOMEM  zstd could not
 */
enum sync_status sync_dictionary_new(struct sync_dictionary **ret, struct sync_view text, const struct sync_view *samples,
                                     size_t n, int level, struct sync_error *err);
/** NULL does nothing. */
void sync_dictionary_free(struct sync_dictionary *d);
/** Its id, part of a hash over its bytes; stands in every zstd frame made with it. */
uint32_t sync_dictionary_id(const struct sync_dictionary *d);

/** A stream being compressed into a buffer. */
struct sync_compressor;

/** @param level  1 to 19; ignored with a dictionary, which has its own */
enum sync_status sync_compressor_new(struct sync_compressor **ret, const struct sync_dictionary *d, int level,
                                     struct sync_error *err);
/** NULL does nothing. */
void sync_compressor_free(struct sync_compressor *c);
/** For defer(). */
void sync_compressor_freep(struct sync_compressor **c);
/** Start over with a new output; out->max bounds it. */
void sync_compressor_reset(struct sync_compressor *c, struct sync_buf *out);
/** Compress more; a failure sticks to out. */
void sync_compressor_add(struct sync_compressor *c, struct sync_view v);
/** Flush what is held back into out, so that out->len tells the size so far; costs ratio: rarely. */
void sync_compressor_flush(struct sync_compressor *c);
/** End the zstd frame. */
enum sync_status sync_compressor_end(struct sync_compressor *c, struct sync_error *err);

/** A stream being decompressed from borrowed bytes. */
struct sync_decompressor;

/**
 * @param dictionaries  NULL-ended; which one is used follows from the id in the data
 * @param max_bytes     more output than this is SYNC_ETOOBIG: a decompression bomb
 */
enum sync_status sync_decompressor_new(struct sync_decompressor **ret, const struct sync_dictionary *const *dictionaries,
                                       struct sync_view in, size_t max_bytes, struct sync_error *err);
/** Start over with other bytes, in the memory that there is. */
void sync_decompressor_reset(struct sync_decompressor *d, const struct sync_dictionary *const *dictionaries, struct sync_view in,
                             size_t max_bytes);
/** NULL does nothing. */
void sync_decompressor_free(struct sync_decompressor *d);
/** For defer(). */
void sync_decompressor_freep(struct sync_decompressor **d);
/**
 * Decompress up to len bytes.
 *
 * @param ret_len  0 at the end
 * @retval SYNC_EBADFRAME    not zstd, cut short, or bytes after its end
 * @retval SYNC_EDICTIONARY  made with a dictionary that is not among ours
 * @retval SYNC_ETOOBIG      more than max_bytes
 */
enum sync_status sync_decompressor_read(struct sync_decompressor *d, char *ret, size_t len, size_t *ret_len,
                                        struct sync_error *err);

#endif

/* The layer's tar stream: the blob up to its watermark, decompressed and hashed. */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "common/error.h"

struct source;

/* blob and watermark stay the caller's. The compression is known by the first bytes: gzip, zstd or none. */
struct error *source_open(int blob, int watermark, struct source **ret) __attribute__((warn_unused_result));
void source_free(struct source *source);
DEFINE_AUTOPTR(source)

/* The next bytes of the tar stream, valid until the next call; *ret_size 0 is its end, reached only when the whole blob was sound. Waits
 * for the watermark. ABORTED: the blob was given up. DATA_LOSS: the compressed stream is damaged. */
struct error *source_read(struct source *source, const void **ret_data, size_t *ret_size) __attribute__((warn_unused_result));

/* After the end: "sha256:..." of all that source_read gave. The caller frees it. */
struct error *source_diff_id(struct source *source, char **ret) __attribute__((warn_unused_result));

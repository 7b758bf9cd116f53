/* SPDY's header blocks: names and values, compressed with the protocol's own dictionary (Draft 3.1, section 2.6.10). */
#pragma once

#include <stddef.h>
#include <stdint.h>
#include <zlib.h>

#include "common/error.h"

enum { SPDY_BLOCK_MAX = 64 << 10, SPDY_NAMES_MAX = 100 };

/* One direction each: every block depends on those before it. */
struct spdy_inflater {
    z_stream stream;
};
struct spdy_deflater {
    z_stream stream;
};

struct spdy_pair {
    char *name; /* both lie in spdy_headers.text, and end with a NUL, which a value may also hold as a separator */
    char *value;
};

struct spdy_headers {
    char *text;
    struct spdy_pair pairs[SPDY_NAMES_MAX];
    size_t count;
};

void spdy_inflater_init(struct spdy_inflater *inflater);
void spdy_inflater_fini(struct spdy_inflater *inflater);
void spdy_deflater_init(struct spdy_deflater *deflater);
void spdy_deflater_fini(struct spdy_deflater *deflater);

/* Uncompresses a block, of SPDY_BLOCK_MAX bytes at most. An error is the end of the session: no later block can be
 * read. The caller frees the block. */
struct error *spdy_inflate(struct spdy_inflater *inflater, const uint8_t *data, size_t size, uint8_t **ret,
                           size_t *ret_size) __attribute__((warn_unused_result));

/* Compresses a block of at most SPDY_BLOCK_MAX bytes; the caller frees the result. */
uint8_t *spdy_deflate(struct spdy_deflater *deflater, const uint8_t *block, size_t size, size_t *ret_size);

/* Reads the names and values of a plain block. INVALID_ARGUMENT: malformed, a name that is empty, not in lower case, or
 * there twice; RESOURCE_EXHAUSTED: more than SPDY_NAMES_MAX. */
struct error *spdy_headers_parse(const uint8_t *block, size_t size, struct spdy_headers **ret)
    __attribute__((warn_unused_result));
void spdy_headers_free(struct spdy_headers *headers);
DEFINE_AUTOPTR(spdy_headers)

/* The value of that name, or "". */
const char *spdy_headers_find(const struct spdy_headers *headers, const char *name);

/* How zlib packs header blocks, and how names and values lie in them. */
#include "services/criapi/stream/spdy_headers.h"

#include <ctype.h>
#include <stdbool.h>
#include <string.h>

#include "common/memory.h"
#include "services/criapi/stream/spdy_dictionary.h"
#include "services/criapi/stream/spdy_frame.h"

/* Small: our own blocks hold next to nothing. */
enum { DEFLATE_WINDOW_BITS = 11, DEFLATE_MEMORY_LEVEL = 1 };

void spdy_inflater_init(struct spdy_inflater *inflater)
{
    *inflater = (struct spdy_inflater){0};
    if (inflateInit(&inflater->stream) != Z_OK)
        abort(); /* out of memory */
}

void spdy_inflater_fini(struct spdy_inflater *inflater)
{
    inflateEnd(&inflater->stream);
}

void spdy_deflater_init(struct spdy_deflater *deflater)
{
    *deflater = (struct spdy_deflater){0};
    if (deflateInit2(&deflater->stream, Z_DEFAULT_COMPRESSION, Z_DEFLATED, DEFLATE_WINDOW_BITS, DEFLATE_MEMORY_LEVEL,
                     Z_DEFAULT_STRATEGY) != Z_OK ||
        deflateSetDictionary(&deflater->stream, spdy_dictionary, SPDY_DICTIONARY_SIZE) != Z_OK)
        abort();
}

void spdy_deflater_fini(struct spdy_deflater *deflater)
{
    deflateEnd(&deflater->stream);
}

static int inflate_step(z_stream *stream)
{
    int code = inflate(stream, Z_SYNC_FLUSH);

    if (code == Z_NEED_DICT) {
        code = inflateSetDictionary(stream, spdy_dictionary, SPDY_DICTIONARY_SIZE);
        if (code == Z_OK)
            code = inflate(stream, Z_SYNC_FLUSH);
    }
    return code;
}

struct error *spdy_inflate(struct spdy_inflater *inflater, const uint8_t *data, size_t size, uint8_t **ret,
                           size_t *ret_size)
{
    autofree uint8_t *block = xmalloc(SPDY_BLOCK_MAX);
    z_stream *stream = &inflater->stream;

    stream->next_in = (Bytef *)data;
    stream->avail_in = (uInt)size;
    stream->next_out = block;
    stream->avail_out = SPDY_BLOCK_MAX;
    int code = inflate_step(stream);
    if (code != Z_OK && !(code == Z_BUF_ERROR && stream->avail_in == 0))
        return error_new(ERROR_INVALID_ARGUMENT, "a header block cannot be uncompressed");
    if (stream->avail_in > 0 || stream->avail_out == 0)
        return error_new(ERROR_RESOURCE_EXHAUSTED, "a header block has more than %d bytes", SPDY_BLOCK_MAX);
    *ret_size = SPDY_BLOCK_MAX - stream->avail_out;
    *ret = xrealloc(TAKE(block), *ret_size + 1);
    return NULL;
}

uint8_t *spdy_deflate(struct spdy_deflater *deflater, const uint8_t *block, size_t size, size_t *ret_size)
{
    z_stream *stream = &deflater->stream;
    size_t room = deflateBound(stream, (uLong)size) + 64;
    uint8_t *result = xmalloc(room);

    stream->next_in = (Bytef *)block;
    stream->avail_in = (uInt)size;
    stream->next_out = result;
    stream->avail_out = (uInt)room;
    if (deflate(stream, Z_SYNC_FLUSH) != Z_OK || stream->avail_in > 0)
        abort(); /* there was room */
    *ret_size = room - stream->avail_out;
    return result;
}

struct cursor {
    const uint8_t *data;
    size_t left;
};

static bool number_take(struct cursor *cursor, uint32_t *ret)
{
    if (cursor->left < 4)
        return false;
    *ret = spdy_number(cursor->data);
    cursor->data += 4;
    cursor->left -= 4;
    return true;
}

/* Copies a text of the block to *to, which moves behind its NUL. */
static bool text_take(struct cursor *cursor, char **to, char **ret)
{
    uint32_t length;

    if (!number_take(cursor, &length) || length > cursor->left)
        return false;
    memcpy(*to, cursor->data, length);
    (*to)[length] = '\0';
    cursor->data += length;
    cursor->left -= length;
    *ret = *to;
    *to += length + 1;
    return true;
}

static struct error *name_check(const struct spdy_headers *headers, const char *name)
{
    if (name[0] == '\0')
        return error_new(ERROR_INVALID_ARGUMENT, "an empty name in a header block");
    for (const char *c = name; *c; c++)
        if (isupper((unsigned char)*c))
            return error_new(ERROR_INVALID_ARGUMENT, "a name in a header block has capitals");
    for (size_t i = 0; i < headers->count; i++)
        if (strcmp(headers->pairs[i].name, name) == 0)
            return error_new(ERROR_INVALID_ARGUMENT, "a name is twice in a header block");
    return NULL;
}

struct error *spdy_headers_parse(const uint8_t *block, size_t size, struct spdy_headers **ret)
{
    autoptr(spdy_headers) headers = xcalloc(1, sizeof(*headers));
    struct cursor cursor = {block, size};
    uint32_t count;

    if (!number_take(&cursor, &count) || count > cursor.left / 8)
        return error_new(ERROR_INVALID_ARGUMENT, "a header block is cut short");
    if (count > SPDY_NAMES_MAX)
        return error_new(ERROR_RESOURCE_EXHAUSTED, "a header block has %u names", count);
    char *to = headers->text = xmalloc(size + 1); /* each length of 4 bytes makes room for a NUL */
    for (uint32_t i = 0; i < count; i++) {
        struct spdy_pair pair;
        if (!text_take(&cursor, &to, &pair.name) || !text_take(&cursor, &to, &pair.value))
            return error_new(ERROR_INVALID_ARGUMENT, "a header block is cut short");
        TRY(name_check(headers, pair.name));
        headers->pairs[headers->count++] = pair;
    }
    *ret = TAKE(headers);
    return NULL;
}

void spdy_headers_free(struct spdy_headers *headers)
{
    if (headers)
        free(headers->text);
    free(headers);
}

const char *spdy_headers_find(const struct spdy_headers *headers, const char *name)
{
    for (size_t i = 0; i < headers->count; i++)
        if (strcmp(headers->pairs[i].name, name) == 0)
            return headers->pairs[i].value;
    return "";
}

/* How the bytes of a blob that is still arriving become the bytes of a tar archive. */
#include "services/imaged/unpack/source.h"

#include <errno.h>
#include <isa-l/igzip_lib.h>
#include <stdbool.h>
#include <string.h>
#include <unistd.h>
#include <zstd.h>

#include "common/memory.h"
#include "services/imaged/digest.h"
#include "services/imaged/unpack/report.h"

enum { INPUT_SIZE = 256 << 10, OUTPUT_SIZE = 256 << 10 };

enum compression { COMPRESSION_NONE, COMPRESSION_GZIP, COMPRESSION_ZSTD };

struct source {
    int blob;
    int watermark;
    uint64_t offset;    /* of the blob: what was read */
    uint64_t available; /* of the blob: what may be read */
    bool is_complete;   /* available is all there is */
    enum compression compression;
    bool is_member_open; /* inside of a gzip member or zstd frame */
    struct inflate_state gzip;
    ZSTD_DStream *zstd;
    struct digest *digest;
    size_t input_start, input_size; /* what is left of input */
    uint8_t input[INPUT_SIZE];
    uint8_t output[OUTPUT_SIZE];
};

static struct error *watermark_wait(struct source *source)
{
    uint64_t marks[512];
    ssize_t size;

    do {
        size = read(source->watermark, marks, sizeof(marks));
    } while (size < 0 && errno == EINTR);
    if (size < 0)
        return error_errno(errno, "read watermark");
    if (size == 0)
        return error_new(ERROR_ABORTED, "the blob was given up at byte %llu", (unsigned long long)source->available);
    if (size % sizeof(marks[0]) != 0)
        return error_new(ERROR_INTERNAL, "a torn watermark");
    uint64_t mark = marks[size / sizeof(marks[0]) - 1];
    source->is_complete = (mark & UNPACK_WATERMARK_END) != 0;
    source->available = mark & ~UNPACK_WATERMARK_END;
    return NULL;
}

/* Puts more behind what is left of the input; nothing is added only at the blob's end. */
static struct error *input_fill(struct source *source)
{
    if (source->input_size > 0 && source->input_start > 0)
        memmove(source->input, source->input + source->input_start, source->input_size);
    source->input_start = 0;
    while (source->offset >= source->available && !source->is_complete)
        TRY(watermark_wait(source));
    size_t room = INPUT_SIZE - source->input_size;
    uint64_t left = source->available - source->offset;
    ssize_t size = pread(source->blob, source->input + source->input_size, left < room ? left : room, (off_t)source->offset);
    if (size < 0)
        return error_errno(errno, "read blob");
    if (size == 0 && left > 0)
        return error_new(ERROR_INTERNAL, "the blob is shorter than its watermark");
    source->offset += (uint64_t)size;
    source->input_size += (size_t)size;
    return NULL;
}

static void input_take(struct source *source, size_t left)
{
    source->input_start += source->input_size - left;
    source->input_size = left;
}

static struct error *input_need(struct source *source, size_t size)
{
    for (size_t before = SIZE_MAX; source->input_size < size && before != source->input_size;) {
        before = source->input_size;
        TRY(input_fill(source));
    }
    return NULL;
}

static bool input_starts_with(const struct source *source, const char *magic, size_t size)
{
    return source->input_size >= size && memcmp(source->input + source->input_start, magic, size) == 0;
}

struct error *source_open(int blob, int watermark, struct source **ret)
{
    autoptr(source) source = xcalloc(1, sizeof(*source));

    source->blob = blob;
    source->watermark = watermark;
    source->digest = digest_new();
    TRY(input_need(source, 4));
    if (input_starts_with(source, "\x1f\x8b", 2))
        source->compression = COMPRESSION_GZIP;
    else if (input_starts_with(source, "\x28\xb5\x2f\xfd", 4))
        source->compression = COMPRESSION_ZSTD;
    if (source->compression == COMPRESSION_ZSTD)
        source->zstd = ZSTD_createDStream();
    *ret = TAKE(source);
    return NULL;
}

void source_free(struct source *source)
{
    if (!source)
        return;
    ZSTD_freeDStream(source->zstd);
    digest_free(source->digest);
    free(source);
}

static struct error *none_read(struct source *source, size_t *ret_size)
{
    if (source->input_size == 0)
        TRY(input_fill(source));
    *ret_size = source->input_size;
    memcpy(source->output, source->input + source->input_start, source->input_size);
    input_take(source, 0);
    return NULL;
}

/* A gzip file may have several members, one behind the other. */
static struct error *gzip_member_open(struct source *source, bool *ret_end)
{
    TRY(input_need(source, 2));
    *ret_end = source->input_size == 0;
    if (*ret_end)
        return NULL;
    if (!input_starts_with(source, "\x1f\x8b", 2))
        return error_new(ERROR_DATA_LOSS, "something that is no gzip follows the gzip stream");
    isal_inflate_init(&source->gzip);
    source->gzip.crc_flag = ISAL_GZIP;
    source->is_member_open = true;
    return NULL;
}

static struct error *gzip_step(struct source *source, size_t *ret_size)
{
    if (source->input_size == 0)
        TRY(input_fill(source));
    size_t before = source->input_size;
    source->gzip.next_in = source->input + source->input_start;
    source->gzip.avail_in = (uint32_t)source->input_size;
    source->gzip.next_out = source->output;
    source->gzip.avail_out = OUTPUT_SIZE;
    int result = isal_inflate(&source->gzip);
    if (result != ISAL_DECOMP_OK && result != ISAL_END_INPUT)
        return error_new(ERROR_DATA_LOSS, "the gzip stream is damaged (%d)", result);
    input_take(source, source->gzip.avail_in);
    *ret_size = OUTPUT_SIZE - source->gzip.avail_out;
    if (source->gzip.block_state == ISAL_BLOCK_FINISH)
        source->is_member_open = false;
    else if (*ret_size == 0 && before == 0)
        return error_new(ERROR_DATA_LOSS, "the gzip stream is cut");
    return NULL;
}

static struct error *gzip_read(struct source *source, size_t *ret_size)
{
    bool is_end = false;

    for (*ret_size = 0; *ret_size == 0;) {
        if (!source->is_member_open)
            TRY(gzip_member_open(source, &is_end));
        if (is_end)
            return NULL;
        TRY(gzip_step(source, ret_size));
    }
    return NULL;
}

static struct error *zstd_step(struct source *source, size_t *ret_size)
{
    ZSTD_outBuffer output = {source->output, OUTPUT_SIZE, 0};
    ZSTD_inBuffer input = {source->input + source->input_start, source->input_size, 0};
    size_t result = ZSTD_decompressStream(source->zstd, &output, &input);

    if (ZSTD_isError(result))
        return error_new(ERROR_DATA_LOSS, "the zstd stream is damaged: %s", ZSTD_getErrorName(result));
    if (source->input_size == 0 && output.pos == 0 && source->is_member_open)
        return error_new(ERROR_DATA_LOSS, "the zstd stream is cut");
    input_take(source, source->input_size - input.pos);
    source->is_member_open = result != 0;
    *ret_size = output.pos;
    return NULL;
}

static struct error *zstd_read(struct source *source, size_t *ret_size)
{
    for (*ret_size = 0; *ret_size == 0;) {
        if (source->input_size == 0)
            TRY(input_fill(source));
        if (source->input_size == 0 && !source->is_member_open)
            return NULL;
        TRY(zstd_step(source, ret_size));
    }
    return NULL;
}

struct error *source_read(struct source *source, const void **ret_data, size_t *ret_size)
{
    static struct error *(*const reads[])(struct source *, size_t *) = {
        [COMPRESSION_NONE] = none_read,
        [COMPRESSION_GZIP] = gzip_read,
        [COMPRESSION_ZSTD] = zstd_read,
    };

    TRY(reads[source->compression](source, ret_size));
    digest_add(source->digest, source->output, *ret_size);
    *ret_data = source->output;
    return NULL;
}

struct error *source_diff_id(struct source *source, char **ret)
{
    char text[DIGEST_TEXT_SIZE];

    digest_finish(source->digest, text);
    *ret = xstrdup(text);
    return NULL;
}

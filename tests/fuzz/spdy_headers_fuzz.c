/* SPDY's header blocks: compressed as they come, and plain, as what a fuzzer hardly ever compresses rightly. */
#include <stdlib.h>
#include <string.h>

#include "services/criapi/stream/spdy_headers.h"
#include "tests/fuzz/fuzz.h"

static void block_read(const uint8_t *block, size_t size)
{
    struct spdy_headers *headers = NULL;
    struct error *failure = spdy_headers_parse(block, size, &headers);

    if (!failure == !headers)
        abort();
    for (size_t i = 0; headers && i < headers->count; i++)
        if (spdy_headers_find(headers, headers->pairs[i].name) != headers->pairs[i].value)
            abort();
    error_free(failure);
    spdy_headers_free(headers);
}

/* Two blocks one after the other: the second needs what the first has left in the dictionary. */
static void blocks_inflate(const uint8_t *data, size_t size)
{
    struct spdy_inflater inflater;
    struct error *failure = NULL;

    spdy_inflater_init(&inflater);
    for (int i = 0; i < 2 && !failure; i++) {
        size_t half = i == 0 ? size / 2 : size - size / 2, block_size = 0;
        uint8_t *block = NULL;
        failure = spdy_inflate(&inflater, data + (i == 0 ? 0 : size / 2), half, &block, &block_size);
        if (!failure)
            block_read(block, block_size);
        free(block);
    }
    error_free(failure);
    spdy_inflater_fini(&inflater);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    block_read(data, size);
    blocks_inflate(data, size);
    return 0;
}

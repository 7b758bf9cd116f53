/* The resize channel's messages. */
#include <stdlib.h>

#include "services/criapi/stream/resize.h"
#include "tests/fuzz/fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct winsize found;
    size_t used = 0;

    while (resize_parse(data, size, &used, &found) == RESIZE_FOUND) {
        if (used == 0 || used > size)
            abort();
        data += used;
        size -= used;
    }
    return 0;
}

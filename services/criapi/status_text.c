/* Where to cut an error's text for gRPC's trailers. */
#include "services/criapi/status_text.h"

#include <string.h>

size_t status_text_size(const char *text)
{
    size_t size = strnlen(text, STATUS_TEXT_MAX + 1);

    if (size <= STATUS_TEXT_MAX)
        return size;
    size = STATUS_TEXT_MAX;
    while (size > 0 && ((unsigned char)text[size] & 0xc0) == 0x80)
        size--;
    return size;
}

/* Where a list may be cut: each reply of CRI that is a list has nothing but its items, as field 1. So has the message of the
 * stream, and a part of the one's bytes is the other. */
#include "services/criapi/list_piece.h"

enum {
    ITEM_TAG = 1 << 3 | 2, /* protobuf's: field 1, with a length */
    VARINT_MAX = 10,       /* bytes */
};

/* The size of the item at the beginning of data, with its tag and length; 0 if there is none whole. */
static size_t item_size(const uint8_t *data, size_t size)
{
    uint64_t length = 0;
    size_t at = 1;

    if (size < 2 || data[0] != ITEM_TAG)
        return 0;
    for (;; at++) {
        if (at >= size || at > VARINT_MAX)
            return 0;
        length |= (uint64_t)(data[at] & 0x7f) << 7 * (at - 1);
        if (data[at] < 0x80)
            break;
    }
    at++;
    return length <= size - at ? at + (size_t)length : 0;
}

struct error *list_piece_size(const uint8_t *data, size_t size, size_t *ret_size)
{
    size_t taken = 0;

    while (taken < size) {
        size_t item = item_size(data + taken, size - taken);
        if (item == 0)
            return error_new(ERROR_INTERNAL, "byte %zu of the reply begins no item of a list", taken);
        if (taken > 0 && taken + item > LIST_PIECE_MAX)
            break;
        taken += item;
    }
    *ret_size = taken;
    return NULL;
}

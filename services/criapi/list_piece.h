/* A list's reply, cut into the messages of a stream. */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "common/error.h"

/* Bytes of a message that has more than one item: a quarter of what gRPC clients take by default. */
enum { LIST_PIECE_MAX = 1 << 20 };

/* The size of the next message: as many whole items from the beginning of data as fit LIST_PIECE_MAX, and one at least.
 * 0 when size is 0. INTERNAL for bytes that are no list's reply. */
struct error *list_piece_size(const uint8_t *data, size_t size, size_t *ret_size) __attribute__((warn_unused_result));

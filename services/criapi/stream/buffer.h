/* Bytes on their way: appended at the end, consumed at the head. Whoever appends keeps the bound. */
#pragma once

#include <stddef.h>
#include <stdint.h>

struct buffer {
    uint8_t *data;
    size_t start; /* of what is left */
    size_t size;  /* of what is left */
    size_t room;  /* allocated */
};

void buffer_append(struct buffer *buffer, const void *data, size_t size);

/* What is left, buffer->size bytes; valid until the next call. */
const uint8_t *buffer_head(const struct buffer *buffer);

/* Drops size bytes at the head; the memory goes with the last of them. */
void buffer_consume(struct buffer *buffer, size_t size);
void buffer_fini(struct buffer *buffer);

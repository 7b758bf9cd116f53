/* How a buffer's memory grows, moves together and goes. */
#include "services/criapi/stream/buffer.h"

#include <stdlib.h>
#include <string.h>

#include "common/memory.h"

static void buffer_make_room(struct buffer *buffer, size_t size)
{
    size_t wanted = buffer->size + size, room = buffer->room ? buffer->room : 4096;

    if (buffer->start + wanted <= buffer->room)
        return;
    if (buffer->start > 0)
        memmove(buffer->data, buffer->data + buffer->start, buffer->size);
    buffer->start = 0;
    while (room < wanted)
        room *= 2;
    if (room != buffer->room)
        buffer->data = xrealloc(buffer->data, room);
    buffer->room = room;
}

void buffer_append(struct buffer *buffer, const void *data, size_t size)
{
    if (size == 0)
        return;
    buffer_make_room(buffer, size);
    memcpy(buffer->data + buffer->start + buffer->size, data, size);
    buffer->size += size;
}

const uint8_t *buffer_head(const struct buffer *buffer)
{
    return buffer->data ? buffer->data + buffer->start : (const uint8_t *)"";
}

void buffer_consume(struct buffer *buffer, size_t size)
{
    buffer->start += size;
    buffer->size -= size;
    if (buffer->size == 0)
        buffer_fini(buffer);
}

void buffer_fini(struct buffer *buffer)
{
    free(buffer->data);
    *buffer = (struct buffer){0};
}

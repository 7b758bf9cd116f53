/* How events wait for a client that takes one at a time. */
#include "services/criapi/event_listener.h"

#include <stdlib.h>
#include <string.h>

#include "common/memory.h"

struct event_bytes *event_bytes_new(const uint8_t *data, size_t size)
{
    struct event_bytes *bytes = xmalloc(sizeof(*bytes) + size);

    bytes->references = 1;
    bytes->size = size;
    if (size)
        memcpy(bytes->data, data, size);
    return bytes;
}

void event_bytes_release(struct event_bytes *bytes)
{
    if (--bytes->references == 0)
        free(bytes);
}

struct event_listener *event_listener_new(struct event_hub *hub, const struct event_sink *sink, void *argument)
{
    struct event_listener *listener = xcalloc(1, sizeof(*listener));

    listener->hub = hub;
    listener->sink = sink;
    listener->argument = argument;
    return listener;
}

static struct event_bytes *queue_take(struct event_listener *listener)
{
    struct event_bytes *bytes = listener->queue[listener->first];

    listener->first = (listener->first + 1) % LISTENER_EVENTS_MAX;
    listener->count--;
    listener->bytes -= bytes->size;
    return bytes;
}

/* An event larger than the limit still goes alone. */
static bool queue_put(struct event_listener *listener, struct event_bytes *bytes)
{
    if (listener->count == LISTENER_EVENTS_MAX ||
        (listener->count > 0 && listener->bytes + bytes->size > LISTENER_BYTES_MAX))
        return false;
    bytes->references++;
    listener->queue[(listener->first + listener->count++) % LISTENER_EVENTS_MAX] = bytes;
    listener->bytes += bytes->size;
    return true;
}

void event_listener_free(struct event_listener *listener)
{
    if (!listener)
        return;
    while (listener->count > 0)
        event_bytes_release(queue_take(listener));
    event_table_free(listener->seen);
    free(listener);
}

void event_listener_tell(struct event_listener *listener, struct event_bytes *bytes, const struct event_table *table)
{
    if (listener->has_begun && !listener->seen && !queue_put(listener, bytes))
        listener->seen = event_table_copy(table);
}

bool event_listener_catch_up(struct event_listener *listener, struct event_bytes *bytes)
{
    return queue_put(listener, bytes);
}

void event_listener_pump(struct event_listener *listener)
{
    if (listener->is_busy || listener->is_closed)
        return;
    if (listener->is_ending) {
        listener->is_closed = true;
        listener->sink->end(listener->argument,
                            error_new(ERROR_UNAVAILABLE, "GetContainerEvents: criapi is ending; call again"));
        return;
    }
    if (!listener->has_begun || listener->count == 0)
        return;
    struct event_bytes *bytes = queue_take(listener);
    listener->is_busy = true;
    listener->sink->send(listener->argument, bytes->data, bytes->size);
    event_bytes_release(bytes);
}

bool event_listener_is_due(const struct event_listener *listener)
{
    return listener->seen && listener->count == 0 && !listener->is_busy && !listener->is_closed;
}

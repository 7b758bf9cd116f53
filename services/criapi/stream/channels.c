/* The list of a transport's channels. */
#include "services/criapi/stream/channels.h"

#include <stdlib.h>

#include "common/memory.h"

struct channel *transport_channel_add(struct transport *transport, uint32_t id)
{
    struct channel *channel = xcalloc(1, sizeof(*channel));

    channel->id = id;
    channel->next = transport->channels;
    transport->channels = channel;
    transport->count++;
    return channel;
}

struct channel *transport_channel_find(const struct transport *transport, uint32_t id)
{
    for (struct channel *channel = transport->channels; channel; channel = channel->next)
        if (channel->id == id)
            return channel;
    return NULL;
}

void transport_channel_remove(struct transport *transport, struct channel *channel)
{
    for (struct channel **place = &transport->channels; *place; place = &(*place)->next) {
        if (*place != channel)
            continue;
        *place = channel->next;
        transport->count--;
        buffer_fini(&channel->in);
        free(channel);
        return;
    }
}

void transport_channels_free(struct transport *transport)
{
    while (transport->channels)
        transport_channel_remove(transport, transport->channels);
}

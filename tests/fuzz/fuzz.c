/* What a transport owes its owner, whatever the client sends. */
#include "tests/fuzz/fuzz.h"

#include <stdlib.h>
#include <string.h>

static void sink_write(void *argument, const void *data, size_t size)
{
    struct fuzz_world *world = argument;
    uint8_t sum = 0;

    for (size_t i = 0; i < size; i++) /* every byte is there */
        sum ^= ((const uint8_t *)data)[i];
    world->written += size + (sum & 0);
}

static size_t sink_pending(const void *argument)
{
    return ((const struct fuzz_world *)argument)->written % (2 * TRANSPORT_OUT_MAX);
}

static struct error *owner_opened(void *argument, struct channel *channel, const struct channel_request *request)
{
    (void)argument;
    channel->is_ignored = strcmp(request->type, "error") == 0;
    if (strcmp(request->type, "refused") == 0 || strlen(request->port) > 100 || strlen(request->request_id) > 100)
        return error_new(ERROR_INVALID_ARGUMENT, "refused");
    return NULL;
}

void fuzz_world_init(struct fuzz_world *world)
{
    *world = (struct fuzz_world){0};
    world->sink = (struct byte_sink){.write = sink_write, .pending = sink_pending, .argument = world};
    world->owner = (struct channel_owner){.opened = owner_opened, .argument = world};
}

static void must(bool is_so)
{
    if (!is_so)
        abort();
}

static void channel_use(struct transport *transport, struct channel *channel, unsigned dice)
{
    static const uint8_t answer[4096];
    size_t room = transport->functions->room(transport, channel);

    must(channel->in.size <= CHANNEL_IN_MAX + 65536);
    must(room <= TRANSPORT_OUT_MAX);
    if (channel->in.size > 0 && dice % 3 == 0)
        transport->functions->consume(transport, channel, 1 + dice % channel->in.size);
    if (!channel->out_ended && room > 0)
        transport->functions->send(transport, channel, answer, room < sizeof(answer) ? room : sizeof(answer));
    if (dice % 11 == 0)
        transport->functions->end(transport, channel);
    if (dice % 13 == 0)
        transport->functions->reset(transport, channel);
    if (dice % 7 == 0)
        transport->functions->release(transport, channel);
}

static void channels_use(struct transport *list, struct transport *transport, unsigned dice)
{
    struct channel *next;

    for (struct channel *channel = list->channels; channel; channel = next, dice = dice * 5 + 1) {
        next = channel->next;
        channel_use(transport, channel, dice);
    }
}

void fuzz_transport(struct transport *transport, const uint8_t *data, size_t size)
{
    unsigned dice = size > 0 ? data[0] : 0;
    bool is_over = false;

    for (size_t used = 0, idle = 0; used < size && !is_over && idle < 100;) {
        size_t part = 1 + dice % 61, taken = 0;
        if (part > size - used)
            part = size - used;
        struct error *failure = transport->functions->feed(transport, data + used, part, &taken);
        must(taken <= part);
        must(failure || taken == part || transport->is_over || transport->held > 0 ||
             transport->functions->is_full(transport));
        used += taken;
        idle = taken > 0 ? 0 : idle + 1;
        is_over = failure || transport->is_over;
        error_free(failure);
        dice = dice * 31 + data[used < size ? used : size - 1];
        channels_use(transport, transport, dice);
    }
    transport->functions->goodbye(transport);
    transport->functions->free(transport);
}

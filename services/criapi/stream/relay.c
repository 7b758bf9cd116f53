/* How much is read and written in one turn, and what the errors of pipes, terminals and sockets mean. */
#include "services/criapi/stream/relay.h"

#include <errno.h>

#include "common/clock.h"

void relay_out_watch(const struct transport *transport, const struct channel *channel, struct watch *watch,
                     struct poll_set *set)
{
    watch->ready = 0;
    if (channel->is_reset || transport->functions->room(transport, channel) > 0)
        poll_set_add(set, watch, POLLIN);
}

/* A pty master says EIO when the last slave has been closed. */
static enum relay read_failed(void)
{
    if (errno == EAGAIN || errno == EINTR)
        return RELAY_OPEN;
    return errno == EIO ? RELAY_ENDED : RELAY_BROKEN;
}

enum relay relay_out(struct transport *transport, struct channel *channel, struct watch *watch, int64_t *moved_ns)
{
    uint8_t data[TRANSPORT_OUT_MAX];

    if (channel->is_reset)
        return RELAY_BROKEN;
    if (!watch->ready)
        return RELAY_OPEN;
    size_t room = transport->functions->room(transport, channel);
    if (room == 0)
        return RELAY_OPEN;
    ssize_t count = read(watch->fd, data, room < sizeof(data) ? room : sizeof(data));
    if (count < 0)
        return read_failed();
    if (count == 0)
        return RELAY_ENDED;
    transport->functions->send(transport, channel, data, (size_t)count);
    if (moved_ns)
        *moved_ns = clock_boottime_ns();
    return RELAY_OPEN;
}

void relay_in_watch(const struct channel *channel, struct watch *watch, struct poll_set *set)
{
    watch->ready = 0;
    if (channel->in.size > 0)
        poll_set_add(set, watch, POLLOUT);
}

enum relay relay_in(struct transport *transport, struct channel *channel, const struct watch *watch)
{
    while (channel->in.size > 0) {
        ssize_t count = write(watch->fd, buffer_head(&channel->in), channel->in.size);
        if (count < 0 && errno == EINTR)
            continue;
        if (count < 0)
            return errno == EAGAIN ? RELAY_OPEN : RELAY_BROKEN;
        transport->functions->consume(transport, channel, (size_t)count);
    }
    return channel->in_ended ? RELAY_ENDED : RELAY_OPEN;
}

void relay_ignore(struct transport *transport, struct channel *channel)
{
    if (!channel || channel->is_ignored)
        return;
    channel->is_ignored = true;
    if (channel->in.size > 0)
        transport->functions->consume(transport, channel, channel->in.size);
}

/* How a SPDY session is wrapped in a WebSocket. */
#include "services/criapi/stream/tunnel.h"

#include "common/memory.h"
#include "services/criapi/stream/spdy_session.h"
#include "services/criapi/stream/websocket.h"

struct tunnel {
    struct transport transport; /* its channels are `inner`'s */
    struct websocket *websocket;
    struct transport *inner;
    struct buffer in; /* bytes of the inner session that it has not taken yet */
    struct error *failure;
};

static struct tunnel *tunnel_of(struct transport *transport)
{
    return (struct tunnel *)transport;
}

static void inner_feed(struct tunnel *tunnel)
{
    size_t taken = 0;

    if (tunnel->failure || tunnel->in.size == 0)
        return;
    tunnel->failure = tunnel->inner->functions->feed(tunnel->inner, buffer_head(&tunnel->in), tunnel->in.size, &taken);
    buffer_consume(&tunnel->in, taken);
}

static void on_begin(void *argument)
{
    (void)argument;
}

static bool on_data(void *argument, const uint8_t *data, size_t size)
{
    struct tunnel *tunnel = argument;

    buffer_append(&tunnel->in, data, size);
    inner_feed(tunnel);
    return true;
}

static bool on_end(void *argument)
{
    (void)argument;
    return true;
}

static bool on_is_full(const void *argument)
{
    const struct tunnel *tunnel = argument;

    return tunnel->in.size > 0 || tunnel->failure;
}

static bool tunnel_is_full(const struct transport *transport)
{
    const struct tunnel *tunnel = (const struct tunnel *)transport;

    return tunnel->inner->functions->is_full(tunnel->inner);
}

static struct error *tunnel_feed(struct transport *transport, const uint8_t *data, size_t size, size_t *ret_taken)
{
    struct tunnel *tunnel = tunnel_of(transport);

    inner_feed(tunnel);
    struct error *failure = websocket_feed(tunnel->websocket, data, size, ret_taken);
    transport->is_over = websocket_is_closed(tunnel->websocket);
    transport->held = tunnel->in.size;
    if (!failure && tunnel->failure) {
        websocket_close(tunnel->websocket);
        return TAKE(tunnel->failure);
    }
    return failure;
}

static size_t tunnel_room(const struct transport *transport, const struct channel *channel)
{
    const struct tunnel *tunnel = (const struct tunnel *)transport;

    return tunnel->inner->functions->room(tunnel->inner, channel);
}

static void tunnel_send(struct transport *transport, struct channel *channel, const void *data, size_t size)
{
    struct transport *inner = tunnel_of(transport)->inner;

    inner->functions->send(inner, channel, data, size);
}

static void tunnel_end(struct transport *transport, struct channel *channel)
{
    struct transport *inner = tunnel_of(transport)->inner;

    inner->functions->end(inner, channel);
}

static void tunnel_reset(struct transport *transport, struct channel *channel)
{
    struct transport *inner = tunnel_of(transport)->inner;

    inner->functions->reset(inner, channel);
}

static void tunnel_consume(struct transport *transport, struct channel *channel, size_t size)
{
    struct transport *inner = tunnel_of(transport)->inner;

    inner->functions->consume(inner, channel, size);
}

static void tunnel_release(struct transport *transport, struct channel *channel)
{
    struct transport *inner = tunnel_of(transport)->inner;

    inner->functions->release(inner, channel);
}

static void tunnel_goodbye(struct transport *transport)
{
    struct tunnel *tunnel = tunnel_of(transport);

    tunnel->inner->functions->goodbye(tunnel->inner);
    websocket_close(tunnel->websocket);
}

static void tunnel_free(struct transport *transport)
{
    struct tunnel *tunnel = tunnel_of(transport);

    tunnel->inner->functions->free(tunnel->inner);
    websocket_free(tunnel->websocket);
    buffer_fini(&tunnel->in);
    error_free(tunnel->failure);
    free(tunnel);
}

static void sink_write(void *argument, const void *data, size_t size)
{
    struct tunnel *tunnel = argument;

    if (size > 0)
        websocket_send(tunnel->websocket, false, data, size);
}

static size_t sink_pending(const void *argument)
{
    const struct tunnel *tunnel = argument;

    return websocket_pending(tunnel->websocket);
}

struct transport *tunnel_new(const struct byte_sink *sink, const struct channel_owner *owner)
{
    static const struct transport_functions functions = {.feed = tunnel_feed,
                                                         .is_full = tunnel_is_full,
                                                         .room = tunnel_room,
                                                         .send = tunnel_send,
                                                         .end = tunnel_end,
                                                         .reset = tunnel_reset,
                                                         .consume = tunnel_consume,
                                                         .release = tunnel_release,
                                                         .goodbye = tunnel_goodbye,
                                                         .free = tunnel_free};
    struct tunnel *tunnel = xcalloc(1, sizeof(*tunnel));
    struct websocket_receiver receiver = {
        .begin = on_begin, .data = on_data, .end = on_end, .is_full = on_is_full, .argument = tunnel};
    struct byte_sink inner_sink = {.write = sink_write, .pending = sink_pending, .argument = tunnel};

    tunnel->transport.functions = &functions;
    tunnel->websocket = websocket_new(sink, &receiver);
    tunnel->inner = spdy_session_new(&inner_sink, owner);
    return &tunnel->transport;
}

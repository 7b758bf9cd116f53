/* Which message of a WebSocket belongs to which channel, plain or in base64, and how v5 ends one. */
#include "services/criapi/stream/websocket_channels.h"

#include <nettle/base64.h>
#include <string.h>

#include "common/memory.h"
#include "common/stream_protocol.h"
#include "services/criapi/stream/websocket.h"

/* Numbers of exec's and attach's channels; 255 is v5's CLOSE. */
enum { NUMBER_STDOUT = 1, NUMBER_STDERR = 2, NUMBER_ERROR = 3, NUMBER_CLOSE = 255, SEND_MAX = 32 << 10 };

struct websocket_channels {
    struct transport transport;
    struct websocket *websocket;
    struct channel_owner owner;
    bool is_base64, has_close;
    struct channel *full;
    /* the message that is being read */
    size_t position; /* bytes of it so far */
    uint8_t number;
    uint8_t closing; /* the channel that a CLOSE names */
    struct channel *channel;
    struct base64_decode_ctx decoder;
};

static struct websocket_channels *channels_of(struct transport *transport)
{
    return (struct websocket_channels *)transport;
}

/* ---- receiving ---- */

static void on_begin(void *argument)
{
    struct websocket_channels *channels = argument;

    channels->position = 0;
    channels->channel = NULL;
    base64_decode_init(&channels->decoder);
}

static void data_append(struct websocket_channels *channels, const uint8_t *data, size_t size)
{
    struct channel *channel = channels->channel;

    if (!channel || channel->is_ignored || channel->in_ended)
        return;
    buffer_append(&channel->in, data, size);
    if (channel->in.size >= CHANNEL_IN_MAX)
        channels->full = channel;
}

static bool payload_take(struct websocket_channels *channels, const uint8_t *data, size_t size)
{
    uint8_t plain[BASE64_DECODE_LENGTH(4096)];

    if (!channels->is_base64) {
        data_append(channels, data, size);
        return true;
    }
    for (size_t part; size > 0; data += part, size -= part) {
        size_t plain_size = sizeof(plain);
        part = size < 4096 ? size : 4096;
        if (!base64_decode_update(&channels->decoder, &plain_size, plain, part, (const char *)data))
            return false;
        data_append(channels, plain, plain_size);
    }
    return true;
}

static void number_take(struct websocket_channels *channels, uint8_t byte)
{
    channels->number = channels->is_base64 ? (uint8_t)(byte - '0') : byte;
    if (!channels->has_close || channels->number != NUMBER_CLOSE)
        channels->channel = transport_channel_find(&channels->transport, channels->number);
}

static bool on_data(void *argument, const uint8_t *data, size_t size)
{
    struct websocket_channels *channels = argument;

    if (size == 0)
        return true;
    bool is_first = channels->position == 0;
    channels->position += size;
    if (is_first) {
        number_take(channels, *data++);
        size--;
    }
    if (channels->has_close && channels->number == NUMBER_CLOSE) {
        if (size > 0)
            channels->closing = *data;
        return channels->position <= 2;
    }
    return payload_take(channels, data, size);
}

static bool on_end(void *argument)
{
    struct websocket_channels *channels = argument;

    if (channels->position == 0)
        return true;
    if (channels->has_close && channels->number == NUMBER_CLOSE) {
        struct channel *channel = transport_channel_find(&channels->transport, channels->closing);
        if (channels->position != 2)
            return false;
        if (channel)
            channel->in_ended = true;
        return true;
    }
    return !channels->is_base64 || base64_decode_final(&channels->decoder);
}

static bool on_is_full(const void *argument)
{
    const struct websocket_channels *channels = argument;

    return channels->full && channels->full->in.size >= CHANNEL_IN_MAX;
}

static bool channels_is_full(const struct transport *transport)
{
    return on_is_full(transport);
}

static struct error *channels_feed(struct transport *transport, const uint8_t *data, size_t size, size_t *ret_taken)
{
    struct websocket_channels *channels = channels_of(transport);
    struct error *failure = websocket_feed(channels->websocket, data, size, ret_taken);

    transport->is_over = websocket_is_closed(channels->websocket);
    return failure;
}

/* ---- sending ---- */

static size_t channels_room(const struct transport *transport, const struct channel *channel)
{
    const struct websocket_channels *channels = (const struct websocket_channels *)transport;
    size_t pending = websocket_pending(channels->websocket);

    (void)channel;
    return pending < TRANSPORT_OUT_MAX ? TRANSPORT_OUT_MAX - pending : 0;
}

static void message_send(struct websocket_channels *channels, uint32_t number, const uint8_t *data, size_t size)
{
    autofree uint8_t *message = xmalloc(1 + BASE64_ENCODE_RAW_LENGTH(size) + 1);
    size_t length = 1 + size;

    message[0] = (uint8_t)(channels->is_base64 ? '0' + number : number);
    if (channels->is_base64) {
        base64_encode_raw((char *)message + 1, size, data);
        length = 1 + BASE64_ENCODE_RAW_LENGTH(size);
    } else if (size > 0) {
        memcpy(message + 1, data, size);
    }
    websocket_send(channels->websocket, channels->is_base64, message, length);
}

static void channels_send(struct transport *transport, struct channel *channel, const void *data, size_t size)
{
    const uint8_t *from = data;

    for (size_t part; size > 0 && !channel->out_ended; from += part, size -= part) {
        part = size < SEND_MAX ? size : SEND_MAX;
        message_send(channels_of(transport), channel->id, from, part);
    }
}

/* No version has a message by which a server ends one channel: the end of all is the connection's. */
static void channels_end(struct transport *transport, struct channel *channel)
{
    (void)transport;
    channel->out_ended = true;
}

static void channels_reset(struct transport *transport, struct channel *channel)
{
    (void)transport;
    channel->in_ended = channel->out_ended = channel->is_ignored = true;
}

static void channels_consume(struct transport *transport, struct channel *channel, size_t size)
{
    (void)transport;
    buffer_consume(&channel->in, size);
}

static void channels_release(struct transport *transport, struct channel *channel)
{
    struct websocket_channels *channels = channels_of(transport);

    if (channels->full == channel)
        channels->full = NULL;
    if (channels->channel == channel)
        channels->channel = NULL;
    transport_channel_remove(transport, channel);
}

static void channels_goodbye(struct transport *transport)
{
    websocket_close(channels_of(transport)->websocket);
}

static void channels_free(struct transport *transport)
{
    struct websocket_channels *channels = channels_of(transport);

    transport_channels_free(transport);
    websocket_free(channels->websocket);
    free(channels);
}

struct transport *websocket_channels_new(const struct byte_sink *sink, const struct channel_owner *owner,
                                         const struct upgrade *upgrade)
{
    static const struct transport_functions functions = {.feed = channels_feed,
                                                         .is_full = channels_is_full,
                                                         .room = channels_room,
                                                         .send = channels_send,
                                                         .end = channels_end,
                                                         .reset = channels_reset,
                                                         .consume = channels_consume,
                                                         .release = channels_release,
                                                         .goodbye = channels_goodbye,
                                                         .free = channels_free};
    struct websocket_channels *channels = xcalloc(1, sizeof(*channels));
    struct websocket_receiver receiver = {
        .begin = on_begin, .data = on_data, .end = on_end, .is_full = on_is_full, .argument = channels};

    channels->transport.functions = &functions;
    channels->owner = *owner;
    channels->is_base64 = upgrade->is_base64;
    channels->has_close = upgrade->has_close;
    channels->websocket = websocket_new(sink, &receiver);
    return &channels->transport;
}

/* ---- opening ---- */

static void channel_open(struct websocket_channels *channels, uint32_t number, const struct channel_request *request)
{
    struct channel *channel = transport_channel_add(&channels->transport, number);
    autoptr(error) refusal = channels->owner.opened(channels->owner.argument, channel, request);

    if (refusal)
        transport_channel_remove(&channels->transport, channel);
}

void websocket_channels_open_remote(struct transport *transport, uint32_t flags)
{
    static const struct {
        const char *type;
        uint32_t flag; /* 0: always */
    } types[] = {
        {"stdin", STREAM_STDIN}, {"stdout", STREAM_STDOUT}, {"stderr", STREAM_STDERR}, {"error", 0}, {"resize", 0}};
    struct websocket_channels *channels = channels_of(transport);
    uint32_t lowest = flags & STREAM_STDOUT ? NUMBER_STDOUT : flags & STREAM_STDERR ? NUMBER_STDERR : NUMBER_ERROR;

    for (uint32_t i = 0; i < sizeof(types) / sizeof(types[0]); i++) {
        struct channel_request request = {.id = i, .type = types[i].type, .port = "", .request_id = ""};
        if (types[i].flag == 0 || flags & types[i].flag)
            channel_open(channels, i, &request);
    }
    message_send(channels, lowest, NULL, 0);
}

void websocket_channels_open_ports(struct transport *transport, const uint16_t *ports, size_t count)
{
    struct websocket_channels *channels = channels_of(transport);

    for (uint32_t i = 0; i < 2 * count; i++) {
        uint16_t number = ports[i / 2];
        uint8_t little_endian[2] = {(uint8_t)number, (uint8_t)(number >> 8)};
        autofree char *port = xasprintf("%u", number), *id = xasprintf("%u", i / 2);
        struct channel_request request = {
            .id = i, .type = i % 2 == 0 ? "data" : "error", .port = port, .request_id = id};
        message_send(channels, i, little_endian, sizeof(little_endian));
        channel_open(channels, i, &request);
    }
}

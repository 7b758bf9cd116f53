/* What SPDY's frames do to a session's channels: streams open, end and are reset, and windows that are kept. */
#include "services/criapi/stream/spdy_session.h"

#include <string.h>

#include "common/memory.h"
#include "services/criapi/stream/spdy_frame.h"
#include "services/criapi/stream/spdy_headers.h"

/* The clients of Kubernetes (moby/spdystream) neither send WINDOW_UPDATE nor heed it. So a window counts only once the
 * client has shown that it keeps one, by a SETTINGS with an initial window or a WINDOW_UPDATE; until then TCP alone
 * slows us down. Bytes sent before count against it all the same. */
enum { CONTROL_MAX = 16 << 10, INITIAL_WINDOW = 64 << 10, DATA_MAX = 32 << 10 };

struct spdy_session {
    struct transport transport;
    struct byte_sink sink;
    struct channel_owner owner;
    struct spdy_inflater inflater;
    struct spdy_deflater deflater;
    uint8_t head[SPDY_HEAD_SIZE];
    size_t head_size;
    struct spdy_frame frame; /* the one that is being read, once its head is whole */
    size_t frame_left;       /* bytes of it to come */
    bool in_frame;
    struct buffer control; /* of a control frame */
    struct channel *full;  /* the one that made us stop reading */
    size_t waiting;        /* bytes in all channels */
    uint32_t last_stream;  /* the client's highest */
    int64_t initial_window;
    int64_t window; /* of the whole session (3.1) */
    int64_t unacknowledged;
    bool has_windows, has_session_window;
    bool is_away; /* we have said so */
};

static struct spdy_session *session_of(struct transport *transport)
{
    return (struct spdy_session *)transport;
}

/* ---- sending ---- */

static void frame_send(struct spdy_session *session, enum spdy_type type, uint8_t flags, const void *payload,
                       size_t size)
{
    struct spdy_frame frame = {
        .is_control = true, .version = SPDY_VERSION, .type = type, .flags = flags, .length = (uint32_t)size};
    uint8_t head[SPDY_HEAD_SIZE];

    spdy_frame_format(&frame, head);
    session->sink.write(session->sink.argument, head, sizeof(head));
    session->sink.write(session->sink.argument, payload, size);
}

static void two_numbers_send(struct spdy_session *session, enum spdy_type type, uint32_t first, uint32_t second)
{
    uint8_t payload[8];

    spdy_number_format(first, payload);
    spdy_number_format(second, payload + 4);
    frame_send(session, type, 0, payload, sizeof(payload));
}

static void reset_send(struct spdy_session *session, uint32_t stream, enum spdy_status status)
{
    two_numbers_send(session, SPDY_RST_STREAM, stream, status);
}

static void reply_send(struct spdy_session *session, uint32_t stream)
{
    static const uint8_t no_names[4] = {0};
    size_t size;
    autofree uint8_t *block = spdy_deflate(&session->deflater, no_names, sizeof(no_names), &size);
    autofree uint8_t *payload = xmalloc(4 + size);

    spdy_number_format(stream, payload);
    memcpy(payload + 4, block, size);
    frame_send(session, SPDY_SYN_REPLY, 0, payload, 4 + size);
}

static void away_send(struct spdy_session *session, uint32_t status)
{
    if (!session->is_away)
        two_numbers_send(session, SPDY_GOAWAY, session->last_stream, status);
    session->is_away = true;
}

static void data_send(struct spdy_session *session, struct channel *channel, uint8_t flags, const void *data,
                      size_t size)
{
    struct spdy_frame frame = {.flags = flags, .length = (uint32_t)size, .stream_id = channel->id};
    uint8_t head[SPDY_HEAD_SIZE];

    spdy_frame_format(&frame, head);
    session->sink.write(session->sink.argument, head, sizeof(head));
    session->sink.write(session->sink.argument, data, size);
    channel->window -= (int64_t)size;
    session->window -= (int64_t)size;
}

/* ---- channels ---- */

static size_t spdy_room(const struct transport *transport, const struct channel *channel)
{
    const struct spdy_session *session = (const struct spdy_session *)transport;
    size_t pending = session->sink.pending(session->sink.argument);
    int64_t room = pending < TRANSPORT_OUT_MAX ? (int64_t)(TRANSPORT_OUT_MAX - pending) : 0;

    if (session->has_windows && channel->window < room)
        room = channel->window;
    if (session->has_session_window && session->window < room)
        room = session->window;
    return room > 0 ? (size_t)room : 0;
}

static void spdy_send(struct transport *transport, struct channel *channel, const void *data, size_t size)
{
    const uint8_t *from = data;

    for (size_t part; size > 0 && !channel->out_ended; from += part, size -= part) {
        part = size < DATA_MAX ? size : DATA_MAX;
        data_send(session_of(transport), channel, 0, from, part);
    }
}

static void spdy_end(struct transport *transport, struct channel *channel)
{
    if (!channel->out_ended)
        data_send(session_of(transport), channel, SPDY_FLAG_FIN, "", 0);
    channel->out_ended = true;
}

static void spdy_reset(struct transport *transport, struct channel *channel)
{
    if (!channel->out_ended || !channel->in_ended)
        reset_send(session_of(transport), channel->id, SPDY_CANCEL);
    channel->in_ended = channel->out_ended = channel->is_ignored = true;
}

/* size bytes of data have gone on: gives the client their room back, half a window at a time. channel may be NULL. */
static void acknowledge(struct spdy_session *session, struct channel *channel, size_t size)
{
    session->unacknowledged += (int64_t)size;
    if (session->unacknowledged >= CHANNEL_WINDOW / 2) {
        two_numbers_send(session, SPDY_WINDOW_UPDATE, 0, (uint32_t)session->unacknowledged);
        session->unacknowledged = 0;
    }
    if (!channel || channel->in_ended)
        return;
    channel->unacknowledged += (int64_t)size;
    if (channel->unacknowledged >= CHANNEL_WINDOW / 2) {
        two_numbers_send(session, SPDY_WINDOW_UPDATE, channel->id, (uint32_t)channel->unacknowledged);
        channel->unacknowledged = 0;
    }
}

static void spdy_consume(struct transport *transport, struct channel *channel, size_t size)
{
    buffer_consume(&channel->in, size);
    session_of(transport)->waiting -= size;
    acknowledge(session_of(transport), channel, size);
}

static void spdy_release(struct transport *transport, struct channel *channel)
{
    struct spdy_session *session = session_of(transport);

    spdy_reset(transport, channel); /* nothing where both directions have ended */
    session->waiting -= channel->in.size;
    acknowledge(session, NULL, channel->in.size);
    if (session->full == channel)
        session->full = NULL;
    transport_channel_remove(transport, channel);
}

static void spdy_goodbye(struct transport *transport)
{
    away_send(session_of(transport), SPDY_GOAWAY_OK);
}

static void spdy_free(struct transport *transport)
{
    struct spdy_session *session = session_of(transport);

    transport_channels_free(transport);
    spdy_inflater_fini(&session->inflater);
    spdy_deflater_fini(&session->deflater);
    buffer_fini(&session->control);
    free(session);
}

/* ---- receiving: control frames ---- */

static struct error *headers_read(struct spdy_session *session, const uint8_t *data, size_t size, uint8_t **ret_block,
                                  size_t *ret_size)
{
    return spdy_inflate(&session->inflater, data, size, ret_block, ret_size);
}

static void stream_open(struct spdy_session *session, uint32_t stream, const struct spdy_headers *headers)
{
    struct channel_request request = {.id = stream,
                                      .type = spdy_headers_find(headers, "streamtype"),
                                      .port = spdy_headers_find(headers, "port"),
                                      .request_id = spdy_headers_find(headers, "requestid")};
    struct channel *channel = transport_channel_add(&session->transport, stream);

    channel->window = session->initial_window;
    channel->in_ended = session->frame.flags & SPDY_FLAG_FIN;
    channel->out_ended = session->frame.flags & SPDY_FLAG_UNIDIRECTIONAL;
    autoptr(error) refusal = session->owner.opened(session->owner.argument, channel, &request);
    if (!refusal) {
        reply_send(session, stream);
        return;
    }
    reset_send(session, stream, SPDY_REFUSED_STREAM);
    transport_channel_remove(&session->transport, channel);
}

static struct error *syn_stream(struct spdy_session *session, const uint8_t *payload, size_t size)
{
    autofree uint8_t *block = NULL;
    autoptr(spdy_headers) headers = NULL;
    size_t block_size;

    if (size < 10)
        return error_new(ERROR_INVALID_ARGUMENT, "a SYN_STREAM of %zu bytes", size);
    uint32_t stream = spdy_number(payload) & SPDY_STREAM_MAX;
    TRY(headers_read(session, payload + 10, size - 10, &block, &block_size));
    if (session->is_away)
        return NULL;
    if (stream % 2 == 0 || stream <= session->last_stream) {
        reset_send(session, stream, SPDY_PROTOCOL_ERROR);
        return NULL;
    }
    session->last_stream = stream;
    autoptr(error) malformed = spdy_headers_parse(block, block_size, &headers);
    if (malformed)
        reset_send(session, stream, SPDY_PROTOCOL_ERROR);
    else if (session->transport.count >= CHANNELS_MAX)
        reset_send(session, stream, SPDY_REFUSED_STREAM);
    else
        stream_open(session, stream, headers);
    return NULL;
}

/* SYN_REPLY is for streams of ours, and there are none; HEADERS say nothing that is used. But each block must be read.
 */
static struct error *other_headers(struct spdy_session *session, const uint8_t *payload, size_t size)
{
    autofree uint8_t *block = NULL;
    size_t block_size;

    if (size < 4)
        return error_new(ERROR_INVALID_ARGUMENT, "a header frame of %zu bytes", size);
    TRY(headers_read(session, payload + 4, size - 4, &block, &block_size));
    struct channel *channel = transport_channel_find(&session->transport, spdy_number(payload) & SPDY_STREAM_MAX);
    if (channel && session->frame.flags & SPDY_FLAG_FIN)
        channel->in_ended = true;
    return NULL;
}

static struct error *rst_stream(struct spdy_session *session, const uint8_t *payload, size_t size)
{
    if (size != 8)
        return error_new(ERROR_INVALID_ARGUMENT, "a RST_STREAM of %zu bytes", size);
    struct channel *channel = transport_channel_find(&session->transport, spdy_number(payload) & SPDY_STREAM_MAX);
    if (channel)
        channel->in_ended = channel->out_ended = channel->is_reset = true;
    return NULL;
}

static struct error *settings(struct spdy_session *session, const uint8_t *payload, size_t size)
{
    uint32_t window;

    if (!spdy_setting_find(payload, size, SPDY_SETTING_INITIAL_WINDOW, &window))
        return NULL;
    if (window > INT32_MAX)
        return error_new(ERROR_INVALID_ARGUMENT, "an initial window of %u bytes", window);
    for (struct channel *channel = session->transport.channels; channel; channel = channel->next)
        channel->window += (int64_t)window - session->initial_window;
    session->initial_window = window;
    session->has_windows = true;
    return NULL;
}

static struct error *window_update(struct spdy_session *session, const uint8_t *payload, size_t size)
{
    if (size != 8)
        return error_new(ERROR_INVALID_ARGUMENT, "a WINDOW_UPDATE of %zu bytes", size);
    uint32_t stream = spdy_number(payload) & SPDY_STREAM_MAX, delta = spdy_number(payload + 4) & INT32_MAX;
    session->has_windows = true;
    if (stream == 0) {
        session->has_session_window = true;
        session->window += delta;
        if (session->window > INT32_MAX)
            return error_new(ERROR_INVALID_ARGUMENT, "the session's window has overflowed");
        return NULL;
    }
    struct channel *channel = transport_channel_find(&session->transport, stream);
    if (!channel)
        return NULL;
    channel->window += delta;
    if (channel->window > INT32_MAX) {
        reset_send(session, stream, SPDY_FLOW_CONTROL_ERROR);
        channel->in_ended = channel->out_ended = channel->is_reset = true;
    }
    return NULL;
}

/* Pings of odd number are the client's, and come back as they are. */
static struct error *ping(struct spdy_session *session, const uint8_t *payload, size_t size)
{
    if (size != 4)
        return error_new(ERROR_INVALID_ARGUMENT, "a PING of %zu bytes", size);
    if (spdy_number(payload) % 2 == 1)
        frame_send(session, SPDY_PING, 0, payload, size);
    return NULL;
}

static struct error *control_frame(struct spdy_session *session, const uint8_t *payload, size_t size)
{
    switch (session->frame.type) {
    case SPDY_SYN_STREAM:
        return syn_stream(session, payload, size);
    case SPDY_SYN_REPLY:
    case SPDY_HEADERS:
        return other_headers(session, payload, size);
    case SPDY_RST_STREAM:
        return rst_stream(session, payload, size);
    case SPDY_SETTINGS:
        return settings(session, payload, size);
    case SPDY_PING:
        return ping(session, payload, size);
    case SPDY_WINDOW_UPDATE:
        return window_update(session, payload, size);
    default: /* GOAWAY: no more streams, but these go on. What is unknown is to be ignored (section 2.2.1) */
        return NULL;
    }
}

/* ---- receiving: the bytes ---- */

static struct error *frame_begin(struct spdy_session *session)
{
    spdy_frame_parse(session->head, &session->frame);
    session->head_size = 0;
    session->frame_left = session->frame.length;
    session->in_frame = true;
    if (session->frame.is_control && session->frame.version != SPDY_VERSION)
        return error_new(ERROR_INVALID_ARGUMENT, "a frame of SPDY version %u", session->frame.version);
    if (session->frame.is_control && session->frame.length > CONTROL_MAX)
        return error_new(ERROR_RESOURCE_EXHAUSTED, "a control frame of %u bytes", session->frame.length);
    if (!session->frame.is_control &&
        (session->frame.stream_id == 0 || session->frame.stream_id > session->last_stream))
        return error_new(ERROR_INVALID_ARGUMENT, "data for stream %u, which does not exist", session->frame.stream_id);
    return NULL;
}

static struct error *frame_end(struct spdy_session *session)
{
    session->in_frame = false;
    if (session->frame.is_control) {
        struct error *failure = control_frame(session, buffer_head(&session->control), session->control.size);
        buffer_fini(&session->control);
        return failure;
    }
    struct channel *channel = transport_channel_find(&session->transport, session->frame.stream_id);
    if (channel && session->frame.flags & SPDY_FLAG_FIN)
        channel->in_ended = true;
    return NULL;
}

/* Data of a stream that has ended on our side may still be on its way: it is dropped. */
static void data_take(struct spdy_session *session, const uint8_t *data, size_t size)
{
    struct channel *channel = transport_channel_find(&session->transport, session->frame.stream_id);

    if (!channel || channel->in_ended || channel->is_ignored) {
        acknowledge(session, channel, size);
        return;
    }
    buffer_append(&channel->in, data, size);
    session->waiting += size;
    if (channel->in.size >= CHANNEL_IN_MAX)
        session->full = channel;
}

/* One step: some bytes of a head or of a frame. */
static struct error *bytes_take(struct spdy_session *session, const uint8_t *data, size_t size, size_t *ret_taken)
{
    size_t wanted = session->in_frame ? session->frame_left : SPDY_HEAD_SIZE - session->head_size;
    size_t part = size < wanted ? size : wanted;

    *ret_taken = part;
    if (!session->in_frame) {
        memcpy(session->head + session->head_size, data, part);
        session->head_size += part;
        if (session->head_size < SPDY_HEAD_SIZE)
            return NULL;
        TRY(frame_begin(session));
    } else {
        session->frame_left -= part;
        if (session->frame.is_control)
            buffer_append(&session->control, data, part);
        else
            data_take(session, data, part);
    }
    return session->frame_left == 0 ? frame_end(session) : NULL;
}

static bool spdy_is_full(const struct transport *transport)
{
    const struct spdy_session *session = (const struct spdy_session *)transport;

    return (session->full && session->full->in.size >= CHANNEL_IN_MAX) || session->waiting >= SESSION_IN_MAX;
}

static struct error *spdy_feed(struct transport *transport, const uint8_t *data, size_t size, size_t *ret_taken)
{
    struct spdy_session *session = session_of(transport);
    struct error *failure = NULL;
    size_t taken = 0;

    while (!failure && taken < size && !spdy_is_full(transport)) {
        size_t part;
        failure = bytes_take(session, data + taken, size - taken, &part);
        taken += part;
    }
    if (failure)
        away_send(session, SPDY_GOAWAY_PROTOCOL_ERROR);
    *ret_taken = taken;
    return failure;
}

struct transport *spdy_session_new(const struct byte_sink *sink, const struct channel_owner *owner)
{
    static const struct transport_functions functions = {.feed = spdy_feed,
                                                         .is_full = spdy_is_full,
                                                         .room = spdy_room,
                                                         .send = spdy_send,
                                                         .end = spdy_end,
                                                         .reset = spdy_reset,
                                                         .consume = spdy_consume,
                                                         .release = spdy_release,
                                                         .goodbye = spdy_goodbye,
                                                         .free = spdy_free};
    struct spdy_session *session = xcalloc(1, sizeof(*session));

    session->transport.functions = &functions;
    session->sink = *sink;
    session->owner = *owner;
    session->initial_window = session->window = INITIAL_WINDOW;
    spdy_inflater_init(&session->inflater);
    spdy_deflater_init(&session->deflater);
    return &session->transport;
}

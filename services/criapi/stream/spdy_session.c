/* How a SPDY session's bytes become frames and data of its channels, and the reverse, within windows and bounds. */
#include "services/criapi/stream/spdy_session.h"

#include <string.h>

#include "common/memory.h"
#include "services/criapi/stream/spdy_control.h"

enum { CONTROL_MAX = 16 << 10, INITIAL_WINDOW = 64 << 10, DATA_MAX = 32 << 10 };

static struct spdy_session *session_of(struct transport *transport)
{
    return (struct spdy_session *)transport;
}

/* ---- sending ---- */

static void away_send(struct spdy_session *session, uint32_t status)
{
    if (!session->is_away)
        spdy_control_send_two(session, SPDY_GOAWAY, session->last_stream, status);
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
        spdy_reset_send(session_of(transport), channel->id, SPDY_CANCEL);
    channel->in_ended = channel->out_ended = channel->is_ignored = true;
}

/* size bytes of data have gone on: gives the client their room back, half a window at a time. channel may be NULL. */
static void acknowledge(struct spdy_session *session, struct channel *channel, size_t size)
{
    session->unacknowledged += (int64_t)size;
    if (session->unacknowledged >= CHANNEL_WINDOW / 2) {
        spdy_control_send_two(session, SPDY_WINDOW_UPDATE, 0, (uint32_t)session->unacknowledged);
        session->unacknowledged = 0;
    }
    if (!channel || channel->in_ended)
        return;
    channel->unacknowledged += (int64_t)size;
    if (channel->unacknowledged >= CHANNEL_WINDOW / 2) {
        spdy_control_send_two(session, SPDY_WINDOW_UPDATE, channel->id, (uint32_t)channel->unacknowledged);
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
        struct error *failure = spdy_control(session, buffer_head(&session->control), session->control.size);
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

/* What SPDY's control frames do to a session: streams open, end and are reset, and windows open. */
#include "services/criapi/stream/spdy_control.h"

#include <string.h>

#include "common/memory.h"

/* ---- sending ---- */

void spdy_control_send(struct spdy_session *session, enum spdy_type type, uint8_t flags, const void *payload,
                       size_t size)
{
    struct spdy_frame frame = {
        .is_control = true, .version = SPDY_VERSION, .type = type, .flags = flags, .length = (uint32_t)size};
    uint8_t head[SPDY_HEAD_SIZE];

    spdy_frame_format(&frame, head);
    session->sink.write(session->sink.argument, head, sizeof(head));
    session->sink.write(session->sink.argument, payload, size);
}

void spdy_control_send_two(struct spdy_session *session, enum spdy_type type, uint32_t first, uint32_t second)
{
    uint8_t payload[8];

    spdy_number_format(first, payload);
    spdy_number_format(second, payload + 4);
    spdy_control_send(session, type, 0, payload, sizeof(payload));
}

void spdy_reset_send(struct spdy_session *session, uint32_t stream, enum spdy_status status)
{
    spdy_control_send_two(session, SPDY_RST_STREAM, stream, status);
}

static void reply_send(struct spdy_session *session, uint32_t stream)
{
    static const uint8_t no_names[4] = {0};
    size_t size;
    autofree uint8_t *block = spdy_deflate(&session->deflater, no_names, sizeof(no_names), &size);
    autofree uint8_t *payload = xmalloc(4 + size);

    spdy_number_format(stream, payload);
    memcpy(payload + 4, block, size);
    spdy_control_send(session, SPDY_SYN_REPLY, 0, payload, 4 + size);
}

/* ---- receiving ---- */

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
    spdy_reset_send(session, stream, SPDY_REFUSED_STREAM);
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
        spdy_reset_send(session, stream, SPDY_PROTOCOL_ERROR);
        return NULL;
    }
    session->last_stream = stream;
    autoptr(error) malformed = spdy_headers_parse(block, block_size, &headers);
    if (malformed)
        spdy_reset_send(session, stream, SPDY_PROTOCOL_ERROR);
    else if (session->transport.count >= CHANNELS_MAX)
        spdy_reset_send(session, stream, SPDY_REFUSED_STREAM);
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
        spdy_reset_send(session, stream, SPDY_FLOW_CONTROL_ERROR);
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
        spdy_control_send(session, SPDY_PING, 0, payload, size);
    return NULL;
}

struct error *spdy_control(struct spdy_session *session, const uint8_t *payload, size_t size)
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

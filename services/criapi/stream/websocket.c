/* How libwslay is driven from bytes that have come and to bytes that go. */
#include "services/criapi/stream/websocket.h"

#include <stdlib.h>
#include <string.h>
#include <wslay/wslay.h>

#include "common/memory.h"

struct websocket {
    wslay_event_context_ptr context;
    struct byte_sink sink;
    struct websocket_receiver receiver;
    const uint8_t *data; /* what is being fed */
    size_t size;
    bool in_control; /* the frame is a ping, a pong or a close */
    bool is_last;    /* the frame ends its message */
    bool is_invalid;
};

static ssize_t on_recv(wslay_event_context_ptr context, uint8_t *to, size_t room, int flags, void *argument)
{
    struct websocket *websocket = argument;
    size_t size = websocket->size < room ? websocket->size : room;

    (void)flags;
    if (size == 0 || websocket->is_invalid || websocket->receiver.is_full(websocket->receiver.argument)) {
        wslay_event_set_error(context, WSLAY_ERR_WOULDBLOCK);
        return -1;
    }
    memcpy(to, websocket->data, size);
    websocket->data += size;
    websocket->size -= size;
    return (ssize_t)size;
}

static ssize_t on_send(wslay_event_context_ptr context, const uint8_t *data, size_t size, int flags, void *argument)
{
    struct websocket *websocket = argument;

    (void)context;
    (void)flags;
    websocket->sink.write(websocket->sink.argument, data, size);
    return (ssize_t)size;
}

static void on_frame_start(wslay_event_context_ptr context, const struct wslay_event_on_frame_recv_start_arg *frame,
                           void *argument)
{
    struct websocket *websocket = argument;

    (void)context;
    websocket->in_control = wslay_is_ctrl_frame(frame->opcode);
    if (websocket->in_control)
        return;
    websocket->is_last = frame->fin;
    if (frame->opcode != WSLAY_CONTINUATION_FRAME)
        websocket->receiver.begin(websocket->receiver.argument);
}

static void on_frame_chunk(wslay_event_context_ptr context, const struct wslay_event_on_frame_recv_chunk_arg *chunk,
                           void *argument)
{
    struct websocket *websocket = argument;

    (void)context;
    if (websocket->in_control || websocket->is_invalid)
        return;
    if (!websocket->receiver.data(websocket->receiver.argument, chunk->data, chunk->data_length))
        websocket->is_invalid = true;
}

static void on_frame_end(wslay_event_context_ptr context, void *argument)
{
    struct websocket *websocket = argument;

    (void)context;
    if (websocket->in_control || !websocket->is_last || websocket->is_invalid)
        return;
    if (!websocket->receiver.end(websocket->receiver.argument))
        websocket->is_invalid = true;
}

struct websocket *websocket_new(const struct byte_sink *sink, const struct websocket_receiver *receiver)
{
    static const struct wslay_event_callbacks callbacks = {.recv_callback = on_recv,
                                                           .send_callback = on_send,
                                                           .on_frame_recv_start_callback = on_frame_start,
                                                           .on_frame_recv_chunk_callback = on_frame_chunk,
                                                           .on_frame_recv_end_callback = on_frame_end};
    struct websocket *websocket = xcalloc(1, sizeof(*websocket));

    websocket->sink = *sink;
    websocket->receiver = *receiver;
    if (wslay_event_context_server_init(&websocket->context, &callbacks, websocket) != 0)
        abort();                                                /* out of memory */
    wslay_event_config_set_no_buffering(websocket->context, 1); /* a message may be of any length */
    wslay_event_config_set_max_recv_msg_length(websocket->context, (uint64_t)1 << 62);
    return websocket;
}

void websocket_free(struct websocket *websocket)
{
    if (!websocket)
        return;
    wslay_event_context_free(websocket->context);
    free(websocket);
}

/* Everything that is queued goes to the sink, which takes all. */
static void flush(struct websocket *websocket)
{
    while (wslay_event_want_write(websocket->context) && wslay_event_send(websocket->context) == 0)
        ;
}

struct error *websocket_feed(struct websocket *websocket, const uint8_t *data, size_t size, size_t *ret_taken)
{
    websocket->data = data;
    websocket->size = size;
    int code = wslay_event_recv(websocket->context);
    if (websocket->is_invalid)
        wslay_event_queue_close(websocket->context, WSLAY_CODE_INVALID_FRAME_PAYLOAD_DATA, NULL, 0);
    bool is_refused = wslay_event_get_close_sent(websocket->context) == 0 &&
                      !wslay_event_get_read_enabled(websocket->context) &&
                      !wslay_event_get_close_received(websocket->context);
    flush(websocket);
    *ret_taken = size - websocket->size;
    if (code != 0 || websocket->is_invalid || is_refused)
        return error_new(ERROR_INVALID_ARGUMENT, "the client breaks the WebSocket protocol");
    return NULL;
}

void websocket_send(struct websocket *websocket, bool is_text, const void *data, size_t size)
{
    struct wslay_event_msg message = {
        .opcode = is_text ? WSLAY_TEXT_FRAME : WSLAY_BINARY_FRAME, .msg = data, .msg_length = size};

    if (wslay_event_queue_msg(websocket->context, &message) == 0) /* refused only after the close */
        flush(websocket);
}

void websocket_close(struct websocket *websocket)
{
    if (wslay_event_queue_close(websocket->context, WSLAY_CODE_NORMAL_CLOSURE, NULL, 0) == 0)
        flush(websocket);
}

bool websocket_is_closed(const struct websocket *websocket)
{
    return wslay_event_get_close_received(websocket->context);
}

size_t websocket_pending(const struct websocket *websocket)
{
    return websocket->sink.pending(websocket->sink.argument);
}

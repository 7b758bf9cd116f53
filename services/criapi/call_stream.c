/* How an answer of many messages goes out: one at a time, each when the client has taken the one before. */
#include "services/criapi/call_internal.h"

#include <stdlib.h>

#include <grpc/byte_buffer.h>

#include "proto/cri.pb-c.h"
#include "services/criapi/event_hub.h"
#include "services/criapi/list_piece.h"

/* Sends a message; call_piece_complete() comes when it has gone out. */
static void message_send(struct call *call, const uint8_t *bytes, size_t size)
{
    grpc_op operations[2];
    size_t count = 0;
    grpc_slice slice = grpc_slice_from_copied_buffer((const char *)bytes, size);

    if (call->reply)
        grpc_byte_buffer_destroy(call->reply);
    call->reply = grpc_raw_byte_buffer_create(&slice, 1);
    grpc_slice_unref(slice);
    if (!call->has_headers)
        operations[count++] = (grpc_op){.op = GRPC_OP_SEND_INITIAL_METADATA};
    call->has_headers = true;
    operations[count++] = (grpc_op){.op = GRPC_OP_SEND_MESSAGE, .data.send_message.send_message = call->reply};
    call_start(call, operations, count, &call->piece);
}

/* ---- lists ---- */

/* The end of a stream: its status. Owns error, NULL for OK. */
static void stream_end(struct call *call, struct error *error)
{
    call_finish(call, error ? error->code : ERROR_OK, error ? error->text : "", NULL, 0);
    error_free(error);
}

static void list_send_next(struct call *call)
{
    const uint8_t *rest = call->list + call->list_sent;
    size_t size = 0;
    struct error *error = list_piece_size(rest, call->list_size - call->list_sent, &size);

    if (!error && size > CALL_MESSAGE_MAX)
        error = error_new(ERROR_RESOURCE_EXHAUSTED, "%s: an item has %zu bytes, clients take no more than %d",
                          route_method(call->route), size, CALL_MESSAGE_MAX);
    if (error || size == 0) {
        stream_end(call, error);
        return;
    }
    call->list_sent += size;
    message_send(call, rest, size);
}

/* What waits for slow clients has a limit, all of it together. */
static struct error *list_admit(struct call *call, size_t size)
{
    struct calls *calls = call->calls;

    pthread_mutex_lock(&calls->lock);
    bool fits = size <= LISTS_BYTES_MAX - calls->list_bytes;
    if (fits) {
        calls->list_bytes += size;
        call->list_counted = size;
    }
    pthread_mutex_unlock(&calls->lock);
    if (fits)
        return NULL;
    return error_new(ERROR_RESOURCE_EXHAUSTED, "%s: lists of %d bytes wait for their clients already",
                     route_method(call->route), LISTS_BYTES_MAX);
}

void call_stream_list(struct call *call, uint8_t *reply, size_t size)
{
    struct error *error = list_admit(call, size);

    if (error || atomic_exchange(&call->is_answered, true)) {
        free(reply);
        if (error)
            call_answer(call, error, NULL, 0);
        return;
    }
    call->list = reply;
    call->list_size = size;
    list_send_next(call);
}

/* ---- events ---- */

static void sink_begin(void *argument)
{
    struct call *call = argument;

    call->has_headers = true;
    call_start(call, &(grpc_op){.op = GRPC_OP_SEND_INITIAL_METADATA}, 1, &call->piece);
}

static void sink_send(void *argument, const uint8_t *data, size_t size)
{
    message_send(argument, data, size);
}

static void sink_end(void *argument, struct error *error)
{
    call_answer(argument, error, NULL, 0);
}

static const struct event_sink sink = {sink_begin, sink_send, sink_end};

static struct error *events_request_check(const uint8_t *request, size_t size)
{
    Runtime__V1__GetEventsRequest *asked = runtime__v1__get_events_request__unpack(NULL, size, request);

    if (!asked)
        return error_new(ERROR_INVALID_ARGUMENT, "the GetEventsRequest does not parse");
    runtime__v1__get_events_request__free_unpacked(asked, NULL);
    return NULL;
}

void call_stream_events(struct call *call, const uint8_t *request, size_t size)
{
    struct event_listener *listener = event_listener_new(call->calls->events, &sink, call);
    struct error *error = events_request_check(request, size);

    pthread_mutex_lock(&call->calls->lock);
    call->listener = listener;
    bool is_closed = call->is_closed; /* else call_stream_closed() finds the listener */
    pthread_mutex_unlock(&call->calls->lock);
    if (!error && !is_closed)
        error = event_hub_join(listener);
    if (error)
        call_answer(call, error, NULL, 0);
}

void call_stream_closed(struct call *call)
{
    pthread_mutex_lock(&call->calls->lock);
    struct event_listener *listener = call->listener;
    pthread_mutex_unlock(&call->calls->lock);
    if (listener)
        event_hub_leave(listener);
}

/* ---- both ---- */

void call_piece_complete(struct call *call, bool ok)
{
    if (!ok)
        return;
    if (call->route->target == ROUTE_EVENTS)
        event_hub_sent(call->listener);
    else
        list_send_next(call);
}

void call_stream_fini(struct call *call)
{
    free(call->list);
    event_listener_free(call->listener);
    if (call->list_counted == 0)
        return;
    pthread_mutex_lock(&call->calls->lock);
    call->calls->list_bytes -= call->list_counted;
    pthread_mutex_unlock(&call->calls->lock);
}

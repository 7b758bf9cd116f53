/* How an answer of many messages goes out: one at a time, each when the client has taken the one before. */
#include "services/criapi/call_internal.h"

#include <stdlib.h>

#include <grpc/byte_buffer.h>

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

void call_piece_complete(struct call *call, bool ok)
{
    if (ok)
        list_send_next(call);
}

void call_stream_fini(struct call *call)
{
    free(call->list);
    if (call->list_counted == 0)
        return;
    pthread_mutex_lock(&call->calls->lock);
    call->calls->list_bytes -= call->list_counted;
    pthread_mutex_unlock(&call->calls->lock);
}

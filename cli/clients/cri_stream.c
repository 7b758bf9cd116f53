/* How a streaming call is read: one receive under way at most, and only when the test asks. */
#include "cli/clients/cri_stream.h"

#include <stdbool.h>
#include <string.h>

#include <grpc/byte_buffer.h>
#include <grpc/byte_buffer_reader.h>
#include <grpc/grpc.h>

#include "cli/clients/cri_client_channel.h"

/* The operations under way, each with its own place as the tag. */
enum { OPENING, HEADERS, MESSAGE, STATUS, TAG_COUNT };

struct cri_stream {
    grpc_completion_queue *queue;
    grpc_call *call;
    grpc_byte_buffer *request, *message;
    grpc_metadata_array initial, trailing;
    grpc_status_code status;
    grpc_slice text;
    bool is_under_way[TAG_COUNT];
    char tags[TAG_COUNT];
};

static gpr_timespec after(int64_t milliseconds)
{
    if (milliseconds < 0)
        return gpr_inf_future(GPR_CLOCK_MONOTONIC);
    return gpr_time_add(gpr_now(GPR_CLOCK_MONOTONIC), gpr_time_from_millis(milliseconds, GPR_TIMESPAN));
}

static struct error *start(struct cri_stream *stream, const grpc_op *operations, size_t count, int tag)
{
    if (grpc_call_start_batch(stream->call, operations, count, &stream->tags[tag], NULL) != GRPC_CALL_OK)
        return error_new(ERROR_INTERNAL, "gRPC takes no operation %d", tag);
    stream->is_under_way[tag] = true;
    return NULL;
}

/* False: it did not complete for so long. */
static bool await(struct cri_stream *stream, int tag, int64_t patience_ms)
{
    if (stream->is_under_way[tag] &&
        grpc_completion_queue_pluck(stream->queue, &stream->tags[tag], after(patience_ms), NULL).type ==
            GRPC_OP_COMPLETE)
        stream->is_under_way[tag] = false;
    return !stream->is_under_way[tag];
}

static struct error *stream_start(struct cri_stream *stream)
{
    grpc_op opening[] = {
        {.op = GRPC_OP_SEND_INITIAL_METADATA},
        {.op = GRPC_OP_SEND_MESSAGE, .data.send_message.send_message = stream->request},
        {.op = GRPC_OP_SEND_CLOSE_FROM_CLIENT},
    };
    grpc_op headers = {.op = GRPC_OP_RECV_INITIAL_METADATA,
                       .data.recv_initial_metadata.recv_initial_metadata = &stream->initial};
    grpc_op status = {.op = GRPC_OP_RECV_STATUS_ON_CLIENT,
                      .data.recv_status_on_client = {.trailing_metadata = &stream->trailing,
                                                     .status = &stream->status,
                                                     .status_details = &stream->text}};

    TRY(start(stream, opening, sizeof(opening) / sizeof(*opening), OPENING));
    TRY(start(stream, &headers, 1, HEADERS));
    return start(stream, &status, 1, STATUS);
}

struct error *cri_stream_open(struct cri_client *client, const char *service, const char *method, const void *request,
                              size_t size, int64_t timeout_ms, struct cri_stream **ret)
{
    autofree char *path = xasprintf("/%s%s/%s", strchr(service, '.') ? "" : "runtime.v1.", service, method);
    struct cri_stream *stream = xcalloc(1, sizeof(*stream));
    grpc_slice name = grpc_slice_from_copied_string(path);
    grpc_slice bytes = grpc_slice_from_copied_buffer(request, size);

    stream->queue = grpc_completion_queue_create_for_pluck(NULL);
    grpc_metadata_array_init(&stream->initial);
    grpc_metadata_array_init(&stream->trailing);
    stream->text = grpc_empty_slice();
    stream->request = grpc_raw_byte_buffer_create(&bytes, 1);
    stream->call = grpc_channel_create_call(cri_client_channel(client), NULL, GRPC_PROPAGATE_DEFAULTS, stream->queue,
                                            name, NULL, after(timeout_ms), NULL);
    grpc_slice_unref(bytes);
    grpc_slice_unref(name);
    struct error *error = stream_start(stream);
    if (error) {
        cri_stream_close(stream);
        return error;
    }
    *ret = stream;
    return NULL;
}

void cri_stream_close(struct cri_stream *stream)
{
    if (!stream)
        return;
    grpc_call_cancel(stream->call, NULL);
    for (int tag = 0; tag < TAG_COUNT; tag++)
        await(stream, tag, -1);
    grpc_call_unref(stream->call);
    grpc_completion_queue_shutdown(stream->queue);
    grpc_completion_queue_destroy(stream->queue);
    grpc_byte_buffer_destroy(stream->request);
    if (stream->message)
        grpc_byte_buffer_destroy(stream->message);
    grpc_metadata_array_destroy(&stream->initial);
    grpc_metadata_array_destroy(&stream->trailing);
    grpc_slice_unref(stream->text);
    free(stream);
}

struct error *cri_stream_headers(struct cri_stream *stream, int64_t patience_ms)
{
    if (!await(stream, HEADERS, patience_ms))
        return error_new(ERROR_DEADLINE_EXCEEDED, "no headers");
    return NULL;
}

static struct error *stream_ended(struct cri_stream *stream)
{
    await(stream, STATUS, -1);
    if (stream->status == GRPC_STATUS_OK)
        return NULL;
    return error_new((enum error_code)stream->status, "%.*s", (int)GRPC_SLICE_LENGTH(stream->text),
                     (const char *)GRPC_SLICE_START_PTR(stream->text));
}

static struct error *message_take(struct cri_stream *stream, uint8_t **ret, size_t *ret_size)
{
    grpc_byte_buffer_reader reader;

    if (!grpc_byte_buffer_reader_init(&reader, stream->message))
        return error_new(ERROR_INTERNAL, "a message that cannot be read");
    grpc_slice bytes = grpc_byte_buffer_reader_readall(&reader);
    grpc_byte_buffer_reader_destroy(&reader);
    *ret_size = GRPC_SLICE_LENGTH(bytes);
    *ret = xmalloc(*ret_size + 1);
    memcpy(*ret, GRPC_SLICE_START_PTR(bytes), *ret_size);
    grpc_slice_unref(bytes);
    grpc_byte_buffer_destroy(stream->message);
    stream->message = NULL;
    return NULL;
}

struct error *cri_stream_next(struct cri_stream *stream, int64_t patience_ms, uint8_t **ret, size_t *ret_size)
{
    grpc_op receive = {.op = GRPC_OP_RECV_MESSAGE, .data.recv_message.recv_message = &stream->message};

    *ret = NULL;
    *ret_size = 0;
    if (!stream->is_under_way[MESSAGE])
        TRY(start(stream, &receive, 1, MESSAGE));
    if (!await(stream, MESSAGE, patience_ms))
        return error_new(ERROR_DEADLINE_EXCEEDED, "no message");
    return stream->message ? message_take(stream, ret, ret_size) : stream_ended(stream);
}

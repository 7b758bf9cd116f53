/* How a client speaks gRPC: it knows the core library's client side, one pluck queue for each call. */
#include "cli/clients/cri_client.h"

#include <string.h>

#include <grpc/byte_buffer.h>
#include <grpc/byte_buffer_reader.h>
#include <grpc/grpc.h>
#include <grpc/grpc_security.h>
#include <grpc/support/alloc.h>

#include "cli/clients/cri_client_channel.h"

enum { MESSAGE_MAX = 16 << 20, BACKOFF_MS = 100 };

struct cri_client {
    grpc_channel *channel;
};

/* A call under way and what it has received. */
struct call {
    grpc_completion_queue *queue;
    grpc_call *call;
    grpc_byte_buffer *request;
    grpc_byte_buffer *reply;
    grpc_metadata_array initial, trailing;
    grpc_status_code status;
    grpc_slice text;
};

struct error *cri_client_open(const char *address, struct cri_client **ret)
{
    return cri_client_open_as(address, "localhost", ret);
}

struct error *cri_client_open_as(const char *address, const char *authority, struct cri_client **ret)
{
    grpc_arg arguments[] = {
        {GRPC_ARG_STRING, GRPC_ARG_DEFAULT_AUTHORITY, {.string = (char *)authority}},
        {GRPC_ARG_INTEGER, GRPC_ARG_MAX_RECEIVE_MESSAGE_LENGTH, {.integer = MESSAGE_MAX}},
        {GRPC_ARG_INTEGER, GRPC_ARG_INITIAL_RECONNECT_BACKOFF_MS, {.integer = BACKOFF_MS}},
        {GRPC_ARG_INTEGER, GRPC_ARG_MAX_RECONNECT_BACKOFF_MS, {.integer = BACKOFF_MS}},
        {GRPC_ARG_INTEGER, GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, {.integer = 1}},
        {GRPC_ARG_INTEGER, GRPC_ARG_ENABLE_RETRIES, {.integer = 0}},
        {GRPC_ARG_INTEGER, GRPC_ARG_ENABLE_HTTP_PROXY, {.integer = 0}},
    };
    grpc_channel_args list = {sizeof(arguments) / sizeof(*arguments), arguments};
    const char *path = strncmp(address, "unix://", 7) == 0 ? address + 7 : address;
    autofree char *target = xasprintf("unix:%s", path);
    struct cri_client *client = xcalloc(1, sizeof(*client));

    grpc_init();
    grpc_channel_credentials *credentials = grpc_insecure_credentials_create();
    client->channel = grpc_channel_create(target, credentials, &list);
    grpc_channel_credentials_release(credentials);
    *ret = client;
    return NULL;
}

void cri_client_close(struct cri_client *client)
{
    if (!client)
        return;
    grpc_channel_destroy(client->channel);
    grpc_shutdown();
    free(client);
}

grpc_channel *cri_client_channel(struct cri_client *client)
{
    return client->channel;
}

static char *call_path(const char *service, const char *method)
{
    return xasprintf("/%s%s/%s", strchr(service, '.') ? "" : "runtime.v1.", service, method);
}

static gpr_timespec deadline_after(int64_t milliseconds)
{
    return gpr_time_add(gpr_now(GPR_CLOCK_MONOTONIC), gpr_time_from_millis(milliseconds, GPR_TIMESPAN));
}

static void call_init(struct call *call, struct cri_client *client, const char *path, const void *request, size_t size,
                      gpr_timespec deadline)
{
    grpc_slice name = grpc_slice_from_copied_string(path);
    grpc_slice bytes = grpc_slice_from_copied_buffer(request, size);

    *call = (struct call){.queue = grpc_completion_queue_create_for_pluck(NULL)};
    grpc_metadata_array_init(&call->initial);
    grpc_metadata_array_init(&call->trailing);
    call->text = grpc_empty_slice();
    call->request = grpc_raw_byte_buffer_create(&bytes, 1);
    call->call = grpc_channel_create_call(client->channel, NULL, GRPC_PROPAGATE_DEFAULTS, call->queue, name, NULL,
                                          deadline, NULL);
    grpc_slice_unref(bytes);
    grpc_slice_unref(name);
}

static void call_fini(struct call *call)
{
    grpc_call_unref(call->call);
    grpc_completion_queue_shutdown(call->queue);
    grpc_completion_queue_destroy(call->queue);
    grpc_byte_buffer_destroy(call->request);
    if (call->reply)
        grpc_byte_buffer_destroy(call->reply);
    grpc_metadata_array_destroy(&call->initial);
    grpc_metadata_array_destroy(&call->trailing);
    grpc_slice_unref(call->text);
}

static grpc_call_error call_start(struct call *call)
{
    grpc_op operations[] = {
        {.op = GRPC_OP_SEND_INITIAL_METADATA},
        {.op = GRPC_OP_SEND_MESSAGE, .data.send_message.send_message = call->request},
        {.op = GRPC_OP_SEND_CLOSE_FROM_CLIENT},
        {.op = GRPC_OP_RECV_INITIAL_METADATA, .data.recv_initial_metadata.recv_initial_metadata = &call->initial},
        {.op = GRPC_OP_RECV_MESSAGE, .data.recv_message.recv_message = &call->reply},
        {.op = GRPC_OP_RECV_STATUS_ON_CLIENT,
         .data.recv_status_on_client = {.trailing_metadata = &call->trailing,
                                        .status = &call->status,
                                        .status_details = &call->text}},
    };

    return grpc_call_start_batch(call->call, operations, sizeof(operations) / sizeof(*operations), call, NULL);
}

static void call_wait(struct call *call, int64_t cancel_after_ms)
{
    gpr_timespec end = cancel_after_ms < 0 ? gpr_inf_future(GPR_CLOCK_MONOTONIC) : deadline_after(cancel_after_ms);

    if (grpc_completion_queue_pluck(call->queue, call, end, NULL).type == GRPC_QUEUE_TIMEOUT) {
        grpc_call_cancel(call->call, NULL);
        grpc_completion_queue_pluck(call->queue, call, gpr_inf_future(GPR_CLOCK_MONOTONIC), NULL);
    }
}

static struct error *call_result(struct call *call, uint8_t **ret_reply, size_t *ret_size)
{
    grpc_byte_buffer_reader reader;

    if (call->status != GRPC_STATUS_OK)
        return error_new((enum error_code)call->status, "%.*s", (int)GRPC_SLICE_LENGTH(call->text),
                         (const char *)GRPC_SLICE_START_PTR(call->text));
    if (!call->reply || !grpc_byte_buffer_reader_init(&reader, call->reply))
        return error_new(ERROR_INTERNAL, "OK without a readable reply");
    grpc_slice bytes = grpc_byte_buffer_reader_readall(&reader);
    *ret_size = GRPC_SLICE_LENGTH(bytes);
    *ret_reply = xmalloc(*ret_size + 1);
    memcpy(*ret_reply, GRPC_SLICE_START_PTR(bytes), *ret_size);
    grpc_slice_unref(bytes);
    grpc_byte_buffer_reader_destroy(&reader);
    return NULL;
}

static struct error *call_run(struct cri_client *client, const char *path, const void *request, size_t size,
                              gpr_timespec deadline, int64_t cancel_after_ms, uint8_t **ret_reply, size_t *ret_size)
{
    struct error *error;
    struct call call;

    call_init(&call, client, path, request, size, deadline);
    if (call_start(&call) == GRPC_CALL_OK) {
        call_wait(&call, cancel_after_ms);
        error = call_result(&call, ret_reply, ret_size);
    } else {
        error = error_new(ERROR_INTERNAL, "gRPC takes no call to %s", path);
    }
    call_fini(&call);
    return error;
}

struct error *cri_client_call(struct cri_client *client, const char *service, const char *method, const void *request,
                              size_t size, int64_t timeout_ms, uint8_t **ret_reply, size_t *ret_size)
{
    autofree char *path = call_path(service, method);

    return call_run(client, path, request, size, deadline_after(timeout_ms), -1, ret_reply, ret_size);
}

struct error *cri_client_call_cancelled(struct cri_client *client, const char *service, const char *method,
                                        const void *request, size_t size, int64_t cancel_after_ms)
{
    autofree char *path = call_path(service, method);
    autofree uint8_t *reply = NULL;
    size_t reply_size = 0;

    return call_run(client, path, request, size, gpr_inf_future(GPR_CLOCK_MONOTONIC), cancel_after_ms, &reply,
                    &reply_size);
}

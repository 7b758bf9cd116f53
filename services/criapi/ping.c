/* How criapi is its own client: one connection and one call, over a socket pair. */
#include "services/criapi/ping.h"

#include <errno.h>
#include <sys/socket.h>

#include <grpc/byte_buffer.h>
#include <grpc/grpc.h>
#include <grpc/grpc_posix.h>
#include <grpc/grpc_security.h>

/* The call and what comes back. */
struct ping_call {
    grpc_completion_queue *queue;
    grpc_call *call;
    grpc_byte_buffer *request, *reply;
    grpc_metadata_array initial, trailing;
    grpc_status_code status;
    grpc_slice text;
};

static void call_init(struct ping_call *ping, grpc_channel *channel)
{
    grpc_slice path = grpc_slice_from_static_string("/runtime.v1.RuntimeService/Version");
    gpr_timespec deadline =
        gpr_time_add(gpr_now(GPR_CLOCK_MONOTONIC), gpr_time_from_millis(PING_LIMIT_MS, GPR_TIMESPAN));

    *ping = (struct ping_call){.queue = grpc_completion_queue_create_for_pluck(NULL), .text = grpc_empty_slice()};
    grpc_metadata_array_init(&ping->initial);
    grpc_metadata_array_init(&ping->trailing);
    ping->request = grpc_raw_byte_buffer_create(NULL, 0); /* an empty VersionRequest */
    ping->call =
        grpc_channel_create_call(channel, NULL, GRPC_PROPAGATE_DEFAULTS, ping->queue, path, NULL, deadline, NULL);
}

static void call_fini(struct ping_call *ping)
{
    grpc_call_unref(ping->call);
    grpc_completion_queue_shutdown(ping->queue);
    grpc_completion_queue_destroy(ping->queue);
    grpc_byte_buffer_destroy(ping->request);
    if (ping->reply)
        grpc_byte_buffer_destroy(ping->reply);
    grpc_metadata_array_destroy(&ping->initial);
    grpc_metadata_array_destroy(&ping->trailing);
    grpc_slice_unref(ping->text);
}

static struct error *call_run(struct ping_call *ping)
{
    grpc_op operations[] = {
        {.op = GRPC_OP_SEND_INITIAL_METADATA},
        {.op = GRPC_OP_SEND_MESSAGE, .data.send_message.send_message = ping->request},
        {.op = GRPC_OP_SEND_CLOSE_FROM_CLIENT},
        {.op = GRPC_OP_RECV_INITIAL_METADATA, .data.recv_initial_metadata.recv_initial_metadata = &ping->initial},
        {.op = GRPC_OP_RECV_MESSAGE, .data.recv_message.recv_message = &ping->reply},
        {.op = GRPC_OP_RECV_STATUS_ON_CLIENT,
         .data.recv_status_on_client = {.trailing_metadata = &ping->trailing,
                                        .status = &ping->status,
                                        .status_details = &ping->text}},
    };
    grpc_call_error result =
        grpc_call_start_batch(ping->call, operations, sizeof(operations) / sizeof(*operations), ping, NULL);

    if (result != GRPC_CALL_OK)
        return error_new(ERROR_INTERNAL, "gRPC refused the call: %d", (int)result);
    grpc_completion_queue_pluck(ping->queue, ping, gpr_inf_future(GPR_CLOCK_MONOTONIC),
                                NULL); /* its deadline ends it */
    if (ping->status != GRPC_STATUS_OK || !ping->reply)
        return error_new((enum error_code)ping->status, "%.*s", (int)GRPC_SLICE_LENGTH(ping->text),
                         (const char *)GRPC_SLICE_START_PTR(ping->text));
    return NULL;
}

/* Owns fd. */
static struct error *ping_over(int fd)
{
    grpc_channel_credentials *credentials = grpc_insecure_credentials_create();
    grpc_channel *channel = grpc_channel_create_from_fd("criapi", fd, credentials, NULL);
    struct ping_call call;

    call_init(&call, channel);
    struct error *error = call_run(&call);
    call_fini(&call);
    grpc_channel_destroy(channel);
    grpc_channel_credentials_release(credentials);
    return error;
}

struct error *ping(struct acceptor *acceptor)
{
    int fds[2];

    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds) < 0)
        return error_errno(errno, "make a connection to itself");
    struct error *error = acceptor_add(acceptor, fds[1]);
    if (error) {
        close(fds[0]);
        return error;
    }
    error = ping_over(fds[0]);
    return error ? error_wrap(error, "call Version of itself") : NULL;
}

/* The start and the end of gRPC: its server object, its queue's threads, its log. */
#include "services/criapi/server.h"

#include <errno.h>
#include <pthread.h>
#include <stdbool.h>
#include <time.h>

#include <grpc/grpc.h>
#include <grpc/grpc_posix.h>
#include <grpc/grpc_security.h>
#include <grpc/support/log.h>

#include "common/log.h"
#include "common/memory.h"
#include "services/criapi/call.h"
#include "services/criapi/event_hub.h"

enum {
    THREADS = 2,       /* handlers never block */
    AWAITED = 16,      /* calls that may arrive before a thread looks */
    ABANDON_MS = 2000, /* for the answers of the drain's end to go out */
};

struct server {
    struct calls calls;
    grpc_server_credentials *credentials;
    pthread_t threads[THREADS];
    size_t thread_count;
    bool is_shut_down; /* under calls.lock */
};

/* gRPC's own lines, as ours. */
static void grpc_logged(gpr_log_func_args *line)
{
    if (line->severity == GPR_LOG_SEVERITY_ERROR)
        log_warn("gRPC", "text=%s", log_quote(line->message));
    else
        log_debug("gRPC", "text=%s", log_quote(line->message));
}

static void shut_down_complete(struct server *server)
{
    pthread_mutex_lock(&server->calls.lock);
    server->is_shut_down = true;
    pthread_cond_broadcast(&server->calls.ended);
    pthread_mutex_unlock(&server->calls.lock);
}

static void *server_run(void *argument)
{
    struct server *server = argument;

    for (;;) {
        grpc_event event = grpc_completion_queue_next(server->calls.queue, gpr_inf_future(GPR_CLOCK_MONOTONIC), NULL);
        if (event.type == GRPC_QUEUE_SHUTDOWN)
            return NULL;
        if (event.tag == server)
            shut_down_complete(server);
        else
            call_tag_complete(event.tag, event.success != 0);
    }
}

static grpc_server *grpc_server_new(void)
{
    grpc_arg arguments[] = {
        {GRPC_ARG_INTEGER, GRPC_ARG_MAX_RECEIVE_MESSAGE_LENGTH, {.integer = CALL_MESSAGE_MAX}},
        {GRPC_ARG_INTEGER, GRPC_ARG_ENABLE_PER_MESSAGE_DECOMPRESSION, {.integer = 0}}, /* see request_read() */
        /* kubelets ping idle connections; a strict server would close them */
        {GRPC_ARG_INTEGER, GRPC_ARG_HTTP2_MIN_RECV_PING_INTERVAL_WITHOUT_DATA_MS, {.integer = 1000}},
        {GRPC_ARG_INTEGER, GRPC_ARG_KEEPALIVE_PERMIT_WITHOUT_CALLS, {.integer = 1}},
    };
    grpc_channel_args list = {sizeof(arguments) / sizeof(*arguments), arguments};

    return grpc_server_create(&list, NULL);
}

static struct error *server_start(struct server *server)
{
    for (; server->thread_count < THREADS; server->thread_count++) {
        int failure = pthread_create(&server->threads[server->thread_count], NULL, server_run, server);
        if (failure)
            return error_errno(failure, "start gRPC's threads");
    }
    for (int i = 0; i < AWAITED; i++)
        call_await(&server->calls);
    return NULL;
}

struct error *server_open(const struct server_options *options, struct server **ret)
{
    struct server *server = xcalloc(1, sizeof(*server));

    gpr_set_log_function(grpc_logged);
    grpc_init();
    calls_init(&server->calls);
    server->calls.sandboxd = options->sandboxd;
    server->calls.imaged = options->imaged;
    server->calls.events = options->events;
    server->calls.page = options->page;
    server->calls.queue = grpc_completion_queue_create_for_next(NULL);
    server->calls.grpc = grpc_server_new();
    server->credentials = grpc_insecure_server_credentials_create();
    grpc_server_register_completion_queue(server->calls.grpc, server->calls.queue, NULL);
    grpc_server_start(server->calls.grpc);
    struct error *error = server_start(server);
    if (error) {
        server_drain(server);
        server_free(server);
        return error;
    }
    *ret = server;
    return NULL;
}

void server_add_connection(struct server *server, int fd)
{
    grpc_server_add_channel_from_fd(server->calls.grpc, fd, server->credentials);
}

/* Waits until gRPC has shut down, or so long. */
static bool wait_shut_down(struct server *server, int64_t milliseconds)
{
    struct timespec end;

    clock_gettime(CLOCK_MONOTONIC, &end);
    end.tv_sec += milliseconds / 1000;
    pthread_mutex_lock(&server->calls.lock);
    while (!server->is_shut_down &&
           pthread_cond_timedwait(&server->calls.ended, &server->calls.lock, &end) != ETIMEDOUT)
        ;
    bool is_shut_down = server->is_shut_down;
    pthread_mutex_unlock(&server->calls.lock);
    return is_shut_down;
}

void server_drain(struct server *server)
{
    pthread_mutex_lock(&server->calls.lock);
    server->calls.is_draining = true;
    pthread_mutex_unlock(&server->calls.lock);
    grpc_server_shutdown_and_notify(server->calls.grpc, server->calls.queue, server);
    event_hub_end(server->calls.events);
    if (wait_shut_down(server, SERVER_DRAIN_MS))
        return;
    calls_abandon(&server->calls);
    if (wait_shut_down(server, ABANDON_MS))
        return;
    grpc_server_cancel_all_calls(server->calls.grpc);
    if (!wait_shut_down(server, ABANDON_MS))
        log_warn("gRPC does not shut down", "calls=%u", server->calls.count);
}

void server_free(struct server *server)
{
    if (!server)
        return;
    grpc_completion_queue_shutdown(server->calls.queue);
    for (size_t i = 0; i < server->thread_count; i++)
        pthread_join(server->threads[i], NULL);
    grpc_server_destroy(server->calls.grpc);
    grpc_completion_queue_destroy(server->calls.queue);
    grpc_server_credentials_release(server->credentials);
    calls_fini(&server->calls);
    grpc_shutdown();
    free(server);
}

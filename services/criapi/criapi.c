/* The order in which criapi's parts start and end. */
#include "services/criapi/criapi.h"

#include <malloc.h>
#include <stdio.h>

#include "common/clock.h"
#include "common/log.h"
#include "services/criapi/ping.h"

enum {
    LARGE_BYTES = 1 << 20, /* of what the allocator maps by itself */
    CLOSE_LIMIT_S = 12,    /* the drain has limits of its own; this is for a drain that hangs */
};

struct error *criapi_open(void *state, const struct service_context *context)
{
    struct criapi *criapi = state;

    mallopt(M_MMAP_THRESHOLD, LARGE_BYTES); /* large lists go back to the kernel; glibc would raise this with the first one */
    return listener_open(&criapi->listener, context);
}

/* A keeper that has just started knows nothing of the socket: gives it a copy, to hand to criapi's successor. */
static void give_to_keeper(void *argument, struct keeper_client *client)
{
    struct criapi *criapi = argument;
    struct keeper_message request = {.version = KEEPER_VERSION, .type = KEEPER_STORE_PUT, .fd_count = 1}, reply;
    size_t count = 0;

    snprintf(request.name, sizeof(request.name), "listener");
    snprintf(request.fd_names[0], sizeof(request.fd_names[0]), "cri");
    struct error *error = keeper_client_call(client, &request, &criapi->listener.fd, 1, 0, &reply, NULL, &count);
    if (error)
        log_warn("the keeper did not take the socket", "error=%s", log_quote(error->text));
    error_free(error);
}

static struct error *keeper_connect(struct criapi *criapi, const struct config *config)
{
    return keeper_client_open(
        &(struct keeper_client_options){
            .state_directory = config->state, .connected = give_to_keeper, .subscribe = -2, .argument = criapi},
        &criapi->keeper);
}

static void connected(void *argument, int fd)
{
    server_add_connection(argument, fd);
}

static struct error *daemon_dial(const struct config *config, const char *name, struct ipc_client **ret)
{
    autofree char *directory = config_state_path(config, name);

    return ipc_client_open(directory, ret);
}

static struct error *events_dial(struct criapi *criapi, const struct config *config)
{
    autofree char *directory = config_state_path(config, "sandboxd");

    return event_hub_open(directory, criapi->sandboxd, &criapi->events);
}

struct error *criapi_recover(void *state, const struct service_context *context)
{
    struct criapi *criapi = state;

    if (criapi->listener.is_inherited)
        TRY(keeper_connect(criapi, context->config));
    TRY(daemon_dial(context->config, "sandboxd", &criapi->sandboxd));
    TRY(daemon_dial(context->config, "imaged", &criapi->imaged));
    TRY(events_dial(criapi, context->config));
    TRY(server_open(
        &(struct server_options){criapi->sandboxd, criapi->imaged, criapi->events, context->page}, &criapi->server));
    return acceptor_open(&(struct acceptor_options){.listen_fd = criapi->listener.fd,
                                                    .idle_ms = ACCEPTOR_IDLE_MS,
                                                    .connected = connected,
                                                    .argument = criapi->server},
                         &criapi->acceptor);
}

/* While it ends there is no way in any more: it is alive as long as its end is within its limit. */
static struct error *ping_closing(const struct criapi *criapi)
{
    if (clock_boottime_ns() - criapi->closing_ns < CLOSE_LIMIT_S * INT64_C(1000000000))
        return NULL;
    return error_new(ERROR_DEADLINE_EXCEEDED, "the end takes more than %d s", CLOSE_LIMIT_S);
}

struct error *criapi_ping(void *state)
{
    struct criapi *criapi = state;

    pthread_mutex_lock(&criapi->heartbeat);
    struct error *error = criapi->closing_ns ? ping_closing(criapi) : ping(criapi->acceptor);
    pthread_mutex_unlock(&criapi->heartbeat);
    return error;
}

/* Whoever connects from here on waits in the socket's backlog for the successor. */
void criapi_close(void *state)
{
    struct criapi *criapi = state;

    pthread_mutex_lock(&criapi->heartbeat);
    criapi->closing_ns = clock_boottime_ns();
    pthread_mutex_unlock(&criapi->heartbeat);
    acceptor_close(criapi->acceptor);
    if (criapi->server)
        server_drain(criapi->server);
    ipc_client_close(criapi->sandboxd);
    ipc_client_close(criapi->imaged);
    server_free(criapi->server);
    event_hub_close(criapi->events);
    keeper_client_close(criapi->keeper);
    listener_close(&criapi->listener);
}

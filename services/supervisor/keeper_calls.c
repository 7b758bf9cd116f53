/* How the supervisor's wishes are put into the keeper's messages. */
#include "services/supervisor/keeper_calls.h"

#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "common/clock.h"
#include "common/fd.h"

static const int64_t limit_ns = 2000000000;

static struct error *call(struct supervisor *supervisor, struct keeper_message *request, const int *fds, size_t count,
                          struct keeper_message *ret)
{
    int got[KEEPER_SPAWN_FDS];
    size_t got_count = 0;

    struct error *failure = keeper_client_call(supervisor->keeper, request, fds, count, clock_boottime_ns() + limit_ns,
                                               ret, got, &got_count);
    if (!failure)
        fds_close(got, got_count);
    return failure;
}

struct error *keeper_spawn_daemon(struct supervisor *supervisor, struct daemon *daemon, struct keeper_message *ret)
{
    struct keeper_message request = {
        .type = KEEPER_SPAWN,
        .program = (int32_t)daemon->program,
        .generation = daemon->generation + 1, /* the keeper takes a higher one if it knows of one */
        .last_death = daemon->last_death,
        .fd_count = 1,
    };

    snprintf(request.fd_names[0], KEEPER_NAME_SIZE, "page");
    return call(supervisor, &request, &daemon->page_fd, 1, ret);
}

struct error *keeper_spawn_stream(struct supervisor *supervisor, struct keeper_message *ret)
{
    struct keeper_message request = {.type = KEEPER_SPAWN, .program = KEEPER_STREAM};

    snprintf(request.name, sizeof(request.name), "%jx", (intmax_t)clock_boottime_ns());
    return call(supervisor, &request, NULL, 0, ret);
}

struct error *keeper_put_listener(struct supervisor *supervisor)
{
    struct keeper_message reply, request = {.type = KEEPER_STORE_PUT, .name = "listener", .fd_count = 1};

    if (supervisor->sessions.listener < 0)
        return NULL;
    snprintf(request.fd_names[0], KEEPER_NAME_SIZE, "stream");
    return call(supervisor, &request, &supervisor->sessions.listener, 1, &reply);
}

struct error *keeper_kill(struct supervisor *supervisor, const struct process_id *process, int signal)
{
    struct keeper_message reply, request = {.type = KEEPER_KILL, .process = *process, .signal = signal};

    return call(supervisor, &request, NULL, 0, &reply);
}

void keeper_drop_exit(struct supervisor *supervisor, const struct process_id *process)
{
    struct keeper_message reply, request = {.type = KEEPER_DROP_EXIT, .process = *process};

    error_free(call(supervisor, &request, NULL, 0, &reply)); /* else it is swept after a minute */
}

struct each_child {
    void (*each)(void *argument, const struct keeper_message *child);
    void *argument;
};

static void child_listed(void *argument, const struct keeper_message *reply, const int *fds, size_t fd_count)
{
    const struct each_child *listing = argument;

    fds_close(fds, fd_count);
    if (reply->found)
        listing->each(listing->argument, reply);
}

struct error *keeper_list(struct supervisor *supervisor, void (*each)(void *argument, const struct keeper_message *child),
                          void *argument)
{
    struct keeper_message request = {.type = KEEPER_LIST, .program = -1};
    struct each_child listing = {.each = each, .argument = argument};

    return keeper_client_call_each(supervisor->keeper, &request, clock_boottime_ns() + limit_ns, child_listed, &listing);
}

static void page_got(void *argument, const struct keeper_message *reply, const int *fds, size_t fd_count)
{
    struct supervisor *supervisor = argument;

    for (size_t i = 0; i < fd_count; i++) {
        int fd = fds[i];
        for (size_t d = 0; d < SUPERVISOR_DAEMONS; d++)
            if (supervisor->daemons[d].page_fd < 0 && strcmp(supervisor->daemons[d].name, reply->fd_names[i]) == 0)
                supervisor->daemons[d].page_fd = TAKE_FD(fd);
        cleanup_close(&fd);
    }
}

struct error *keeper_sync_pages(struct supervisor *supervisor)
{
    struct keeper_message reply, get = {.type = KEEPER_STORE_GET, .name = "page"};
    struct keeper_message put = {.type = KEEPER_STORE_PUT, .name = "page", .fd_count = SUPERVISOR_DAEMONS};
    int fds[SUPERVISOR_DAEMONS];

    TRY(keeper_client_call_each(supervisor->keeper, &get, clock_boottime_ns() + limit_ns, page_got, supervisor));
    for (size_t i = 0; i < SUPERVISOR_DAEMONS; i++) {
        struct daemon *daemon = &supervisor->daemons[i];
        if (daemon->page_fd < 0)
            TRY(request_page_create(&daemon->page_fd));
        fds[i] = daemon->page_fd;
        snprintf(put.fd_names[i], KEEPER_NAME_SIZE, "%s", daemon->name);
    }
    return call(supervisor, &put, fds, SUPERVISOR_DAEMONS, &reply);
}

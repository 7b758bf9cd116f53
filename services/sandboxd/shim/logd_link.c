/* How the shim talks to logd. */
#include "services/sandboxd/shim/logd_link.h"

#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>

#include "common/fd.h"
#include "common/log.h"
#include "common/logd_protocol.h"
#include "common/memory.h"
#include "services/sandboxd/shim/container.h"
#include "services/sandboxd/shim/shim.h"

enum { RETRY_MS = 20, SEND_LIMIT_MS = 100 };

static void logd_disconnect(struct shim *shim)
{
    int fd = shim->logd.source.fd;

    loop_forget(&shim->loop, &shim->logd.source);
    if (fd >= 0)
        close(fd);
    loop_arm(&shim->loop, &shim->logd.retry, RETRY_MS);
}

static void logd_send(struct shim *shim, const char *id, struct logd_message *message, const int *fds, size_t count)
{
    int fd = shim->logd.source.fd;

    message->version = LOGD_VERSION;
    snprintf(message->id, sizeof(message->id), "%s", id);
    if (fd < 0)
        return;
    autoptr(error) failure = fd_send(fd, message, sizeof(*message), fds, count);
    if (failure && failure->code == ERROR_RESOURCE_EXHAUSTED) { /* a burst: logd reads in a moment, or is stuck */
        poll(&(struct pollfd){.fd = fd, .events = POLLOUT}, 1, SEND_LIMIT_MS);
        error_free(failure);
        failure = fd_send(fd, message, sizeof(*message), fds, count);
    }
    if (failure)
        logd_disconnect(shim);
}

void logd_link_add(struct shim *shim, const struct container *container)
{
    const int *have = container->fds;
    bool is_terminal = container->record.flags & SHIM_FLAG_TERMINAL;
    struct logd_message message = {
        .type = LOGD_ADD,
        .flags = is_terminal ? LOGD_TERMINAL : 0,
        .generation = container->record.log_generation,
    };
    int fds[] = {have[CONTAINER_NOTE], have[CONTAINER_STAGE_READ], have[CONTAINER_STAGE_WRITE], have[CONTAINER_LOG],
                 have[is_terminal ? CONTAINER_TERMINAL : CONTAINER_OUT], have[CONTAINER_ERR]};
    size_t count = is_terminal ? 5 : 6;

    for (size_t i = 0; i < count; i++)
        if (fds[i] < 0)
            return; /* nothing to log, or what it needs was lost with all its holders */
    logd_send(shim, container->id, &message, fds, count);
}

void logd_link_drain(struct shim *shim, const struct container *container)
{
    logd_send(shim, container->id, &(struct logd_message){.type = LOGD_DRAIN}, NULL, 0);
}

void logd_link_remove(struct shim *shim, const struct container *container)
{
    logd_send(shim, container->id, &(struct logd_message){.type = LOGD_REMOVE}, NULL, 0);
}

void logd_link_next_file(struct shim *shim, const struct container *container)
{
    struct logd_message message = {.type = LOGD_NEXT_FILE, .generation = container->record.log_generation + 1};

    logd_send(shim, container->id, &message, &container->fds[CONTAINER_LOG_NEXT], 1);
}

static void logd_take(struct shim *shim, const struct logd_message *message)
{
    struct container *container = container_find(shim, message->id);

    if (message->type == LOGD_ERROR)
        log_warn("logd refused", "container=%s text=%s", message->id, log_quote(message->text));
    if (!container)
        return;
    if (message->type == LOGD_DRAINED)
        container_drained(shim, container);
    else if (message->type == LOGD_FILE_IS)
        container_log_moved(shim, container, message->generation);
    else if (message->type == LOGD_REMOVED)
        container_log_removed(shim, container);
}

static void logd_ready(struct shim *shim, void *owner, uint32_t events)
{
    struct logd_message message;
    size_t size, count = 0;
    int fds[FD_PASS_MAX];

    (void)owner;
    (void)events;
    autoptr(error) failure = fd_receive(shim->logd.source.fd, &message, sizeof(message), &size, fds, &count);
    if (failure && failure->code == ERROR_ABORTED)
        return;
    if (failure || size != sizeof(message)) {
        logd_disconnect(shim);
        return;
    }
    fds_close(fds, count);
    message.id[sizeof(message.id) - 1] = '\0';
    message.text[sizeof(message.text) - 1] = '\0';
    logd_take(shim, &message);
}

static void logd_say_all(struct shim *shim)
{
    for (const struct container *container = shim->containers; container; container = container->next) {
        if (!container_has_log(container) || container->record.state == SHIM_CONTAINER_CREATING)
            continue; /* what comes through its pipes before it is CREATED are a failing runtime's words, not the container's */
        logd_link_add(shim, container);
        if (container->fds[CONTAINER_LOG_NEXT] >= 0)
            logd_link_next_file(shim, container);
        if (container->is_draining)
            logd_link_drain(shim, container);
        if (container->is_log_leaving)
            logd_link_remove(shim, container);
    }
}

static void logd_retry(struct shim *shim, void *owner)
{
    struct logd_link *link = owner;
    autofree char *path = xasprintf("%s/logd/log.sock", shim->state);
    int fd;

    autoptr(error) failure = socket_connect(path, &fd);
    if (failure) {
        loop_arm(&shim->loop, &link->retry, RETRY_MS);
        return;
    }
    fcntl(fd, F_SETFL, O_NONBLOCK);
    link->source.fd = fd;
    error_free(loop_watch(&shim->loop, &link->source, EPOLLIN));
    logd_send(shim, shim->pod_id, &(struct logd_message){.type = LOGD_HELLO}, NULL, 0);
    logd_say_all(shim);
}

void logd_link_open(struct shim *shim)
{
    struct logd_link *link = &shim->logd;

    link->source = (struct source){.fd = -1, .ready = logd_ready, .owner = link};
    link->retry = (struct timer){.fire = logd_retry, .owner = link};
    logd_retry(shim, link);
}

/* The connection to logd: made by name, proven by HELLO, and made again. */
#include "services/sandboxd/shim/logd_link.h"

#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <sys/epoll.h>

#include "common/fd.h"
#include "common/log.h"
#include "common/logd_protocol.h"
#include "common/memory.h"
#include "services/sandboxd/shim/container.h"
#include "services/sandboxd/shim/shim.h"

enum { RETRY_MS = 20, SEND_LIMIT_MS = 100, HELLO_MS = 1000, ANSWER_MS = 300, SILENCES_MAX = 4 };

static void logd_disconnect(struct shim *shim)
{
    int fd = shim->logd.source.fd;

    loop_forget(&shim->loop, &shim->logd.source);
    if (fd >= 0)
        close(fd);
    loop_disarm(&shim->loop, &shim->logd.hello);
    loop_arm(&shim->loop, &shim->logd.retry, RETRY_MS);
}

void logd_link_send(struct shim *shim, const char *id, struct logd_message *message, const int *fds, size_t count)
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

/* A dead logd with a thread that hangs in the kernel keeps its connections open: only an answer is proof. One that is slow
 * gets more time each time. */
static void logd_hello(struct shim *shim, void *owner)
{
    struct logd_link *link = owner;

    if (link->is_awaited) {
        log_info("logd does not answer", "pod=%s", shim->pod_id);
        link->silences += link->silences < SILENCES_MAX;
        logd_disconnect(shim);
        return;
    }
    link->is_awaited = true;
    loop_arm(&shim->loop, &link->hello, (int64_t)ANSWER_MS << link->silences);
    logd_link_send(shim, shim->pod_id, &(struct logd_message){.type = LOGD_HELLO}, NULL, 0);
}

static void logd_answered(struct shim *shim)
{
    shim->logd.is_awaited = false;
    shim->logd.silences = 0;
    loop_arm(&shim->loop, &shim->logd.hello, HELLO_MS);
}

static void logd_take(struct shim *shim, const struct logd_message *message)
{
    struct container *container = container_find(shim, message->id);

    if (message->type == LOGD_HELLO)
        logd_answered(shim);
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
    else if (message->type == LOGD_ATTACHED)
        session_attach_attached(shim, container->id, message->generation);
    else if (message->type == LOGD_DETACHED)
        session_attach_detached(shim, container->id, message->generation, message->dropped_bytes);
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

static void logd_tell_all(struct shim *shim)
{
    for (struct container *container = shim->containers; container; container = container->next)
        if (container_has_log(container) && container->record.state != SHIM_CONTAINER_CREATING)
            logd_tell(shim, container); /* what comes through its pipes before it is CREATED are a failing runtime's words */
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
    link->is_awaited = false;
    logd_hello(shim, link);
    logd_tell_all(shim);
}

void logd_link_open(struct shim *shim)
{
    struct logd_link *link = &shim->logd;

    link->source = (struct source){.fd = -1, .ready = logd_ready, .owner = link};
    link->retry = (struct timer){.fire = logd_retry, .owner = link};
    link->hello = (struct timer){.fire = logd_hello, .owner = link};
    link->untold = (struct timer){.fire = logd_tell_untold, .owner = link};
    logd_retry(shim, link);
}

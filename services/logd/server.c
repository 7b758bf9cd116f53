/* Which lists a container stands in, and what epoll knows of it. */
#include "services/logd/server.h"

#include <errno.h>
#include <string.h>
#include <sys/epoll.h>

#include "common/log.h"

static void timed_remove(struct container *container)
{
    if (container->due_ns != 0 && !container->own_thread)
        LIST_REMOVE(container, timed);
    container->due_ns = 0;
}

void logd_wake(struct logd *logd, struct container *container)
{
    if (container->working) {
        container->wake_again = true;
        return;
    }
    if (container->queued || container->removed || container->awaited_sessions)
        return;
    container->queued = true;
    timed_remove(container);
    if (container->own_thread)
        pthread_cond_signal(&container->wake);
    else
        TAILQ_INSERT_TAIL(&logd->busy, container, busy);
}

void logd_set_due(struct logd *logd, struct container *container, int64_t due_ns)
{
    timed_remove(container);
    container->due_ns = due_ns;
    if (due_ns != 0 && !container->own_thread)
        LIST_INSERT_HEAD(&logd->timed, container, timed);
}

struct container *logd_find(struct logd *logd, const char *id)
{
    struct container *container;

    LIST_FOREACH(container, &logd->containers, all)
        if (strcmp(container->id, id) == 0)
            return container;
    return NULL;
}

void logd_add(struct logd *logd, struct container *container)
{
    LIST_INSERT_HEAD(&logd->containers, container, all);
    logd_wake(logd, container);
}

/* epoll's registration outlives our descriptor (the shim has copies), so it must go by hand. */
static void unregister(struct logd *logd, struct container *container, int stream)
{
    if (container->registered[stream] < 0)
        return;
    epoll_ctl(logd->epoll, EPOLL_CTL_DEL, container->registered[stream], NULL);
    container->registered[stream] = -1;
}

void logd_forget(struct logd *logd, struct container *container)
{
    for (int i = 0; i < LOG_NOTE_STREAMS; i++)
        unregister(logd, container, i);
    timed_remove(container);
    if (container->queued && !container->own_thread)
        TAILQ_REMOVE(&logd->busy, container, busy);
    container->queued = false;
    if (!container->removed)
        LIST_REMOVE(container, all);
    container->removed = true;
    container->connection = NULL;
    if (!container->working)
        LIST_INSERT_HEAD(&logd->dead_containers, container, all);
}

static void arm_stream(struct logd *logd, struct container *container, int stream)
{
    int fd = container->pipes.from[stream];
    struct epoll_event event = {.events = EPOLLIN | EPOLLONESHOT, .data.ptr = &container->source};

    if (fd < 0 || container->ended[stream]) {
        unregister(logd, container, stream);
        return;
    }
    int operation = container->registered[stream] < 0 ? EPOLL_CTL_ADD : EPOLL_CTL_MOD;
    if (epoll_ctl(logd->epoll, operation, fd, &event) < 0)
        log_error("a container's output can't be watched", "container=%s stream=%d error=%s", container->id, stream,
                  log_quote(strerror(errno)));
    else
        container->registered[stream] = fd;
}

void logd_arm(struct logd *logd, struct container *container)
{
    for (int i = 0; i < LOG_NOTE_STREAMS; i++)
        arm_stream(logd, container, i);
}

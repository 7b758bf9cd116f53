/* logd writes what containers say into their log files. */
#include <errno.h>
#include <stdio.h>
#include <sys/epoll.h>

#include "common/memory.h"
#include "common/service.h"
#include "services/logd/privileges.h"
#include "services/logd/server.h"

/* Each generation has its own socket: a dead one that hangs in the kernel keeps its own, and is asked by nobody. */
static struct error *logd_open(void *state, const struct service_context *context)
{
    struct logd *logd = state;
    autofree char *name = xasprintf("%s/logd/log.sock", context->config->state);
    autofree char *own = xasprintf("%s.%llu", name, (unsigned long long)context->generation);
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = &logd->source};

    TRY(socket_listen(own, 0666, (uid_t)-1, &logd->listener));
    if (rename(own, name) < 0)
        return error_errno(errno, "rename %s", own);
    logd->epoll = epoll_create1(EPOLL_CLOEXEC);
    if (logd->epoll < 0 || epoll_ctl(logd->epoll, EPOLL_CTL_ADD, logd->listener, &event) < 0)
        return error_errno(errno, "watch %s", name);
    return NULL;
}

int main(int argc, char **argv)
{
    struct logd logd = {.source.kind = SOURCE_LISTENER, .lock = PTHREAD_MUTEX_INITIALIZER};

    TAILQ_INIT(&logd.busy);
    return service_main(argc, argv, &(struct service){
        .name = "logd",
        .privileges = &logd_privileges,
        .state = &logd,
        .open = logd_open,
        .run = logd_run,
    });
}

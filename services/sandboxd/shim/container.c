/* How a container's record moves and is kept. */
#include "services/sandboxd/shim/container.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/failpoint.h"
#include "common/fd.h"
#include "common/log.h"
#include "common/memory.h"
#include "common/record.h"
#include "services/sandboxd/shim/shim.h"

static const char *const suffixes[CONTAINER_FD_COUNT] = {
    [CONTAINER_OUT] = "out",         [CONTAINER_ERR] = "err",          [CONTAINER_IN] = "in",
    [CONTAINER_STAGE_READ] = "sr",   [CONTAINER_STAGE_WRITE] = "sw",   [CONTAINER_NOTE] = "note",
    [CONTAINER_LOG] = "log",         [CONTAINER_LOG_NEXT] = "next",    [CONTAINER_TERMINAL] = "tty",
    [CONTAINER_PIDFD] = "pidfd",     [CONTAINER_PID_NAMESPACE] = "pidns",
};

const char *container_fd_suffix(enum container_fd which)
{
    return suffixes[which];
}

struct container *container_new(struct shim *shim, const char *id)
{
    struct container *container = xcalloc(1, sizeof(*container));

    snprintf(container->id, sizeof(container->id), "%s", id);
    for (int i = 0; i < CONTAINER_FD_COUNT; i++)
        container->fds[i] = -1;
    container->death.fd = -1;
    container->next = shim->containers;
    shim->containers = container;
    return container;
}

struct container *container_find(const struct shim *shim, const char *id)
{
    struct container *container = shim->containers;

    while (container && strcmp(container->id, id) != 0)
        container = container->next;
    return container;
}

void container_forget(struct shim *shim, struct container *container)
{
    struct container **at = &shim->containers;

    for (int i = 0; i < CONTAINER_FD_COUNT; i++)
        container_drop_fd(shim, container, (enum container_fd)i);
    if (container->record.process.pid)
        store_drop_exit(shim, &container->record.process);
    session_attach_container_ended(shim, container);
    tokens_container_gone(shim, container->id);
    FAILPOINT("shim.container.before_unlink");
    error_free(record_remove(shim->containers_fd, container->id)); /* the next delete tries again */
    while (*at != container)
        at = &(*at)->next;
    *at = container->next;
    loop_disarm(&shim->loop, &container->dying);
    free(container);
}

struct error *container_save(struct shim *shim, const struct container *container)
{
    return record_save(shim->containers_fd, container->id, "container", CONTAINER_VERSION, &container->record,
                       sizeof(container->record));
}

static bool move_is_allowed(uint32_t from, uint32_t to)
{
    static const uint32_t allowed[] = {
        [0] = 1u << SHIM_CONTAINER_CREATING,
        [SHIM_CONTAINER_CREATING] = 1u << SHIM_CONTAINER_CREATED,
        [SHIM_CONTAINER_CREATED] = 1u << SHIM_CONTAINER_STARTING | 1u << SHIM_CONTAINER_EXITED,
        [SHIM_CONTAINER_STARTING] =
            1u << SHIM_CONTAINER_CREATED | 1u << SHIM_CONTAINER_RUNNING | 1u << SHIM_CONTAINER_EXITED,
        [SHIM_CONTAINER_RUNNING] = 1u << SHIM_CONTAINER_EXITED,
        [SHIM_CONTAINER_EXITED] = 0,
    };

    return from <= SHIM_CONTAINER_EXITED && (allowed[from] & 1u << to);
}

struct error *container_move(struct shim *shim, struct container *container, uint32_t state)
{
    static const char *const names[] = {"none", "creating", "created", "starting", "running", "exited"};
    uint32_t old = container->record.state;

    if (!move_is_allowed(old, state))
        return error_new(ERROR_INTERNAL, "container %s can't go from %s to %s", container->id, names[old], names[state]);
    container->record.state = state;
    struct error *failure = container_save(shim, container);
    if (failure && state != SHIM_CONTAINER_EXITED) { /* an exit is a fact, even where the disk is full */
        container->record.state = old;
        return error_wrap(failure, "note that container %s is %s", container->id, names[state]);
    }
    log_info("container moved", "container=%s from=%s to=%s pid=%d", container->id, names[old], names[state],
             container->record.process.pid);
    return failure;
}

void container_keep_fd(struct shim *shim, struct container *container, enum container_fd which, int fd)
{
    if (container->fds[which] >= 0)
        close(container->fds[which]);
    container->fds[which] = fd;
    store_put(shim, container->id, suffixes[which], fd);
}

void container_drop_fd(struct shim *shim, struct container *container, enum container_fd which)
{
    if (container->fds[which] < 0)
        return;
    if (which == CONTAINER_PIDFD)
        loop_forget(&shim->loop, &container->death);
    close(container->fds[which]);
    container->fds[which] = -1;
    store_drop(shim, container->id, suffixes[which]);
}

void container_store(struct shim *shim, const struct container *container)
{
    for (int i = 0; i < CONTAINER_FD_COUNT; i++)
        store_put(shim, container->id, suffixes[i], container->fds[i]);
}

bool container_has_log(const struct container *container)
{
    return container->fds[CONTAINER_NOTE] >= 0 && !container->is_log_gone;
}

bool container_lives(const struct container *container)
{
    return container->record.process.pid != 0 && container->record.state != SHIM_CONTAINER_EXITED;
}

char *container_fifo_path(const struct shim *shim, const struct container *container)
{
    return shim_path(shim, "rt/%s/%s/exec.fifo", container->record.handler, container->id);
}

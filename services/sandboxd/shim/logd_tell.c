/* What logd is told of a container. The shim holds log files as paths alone (O_PATH): closing one never waits for its
 * file system, be it here, in a child, in the keeper's store or at any one's death. They are opened for logd by a
 * helper process. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/log.h"
#include "common/logd_protocol.h"
#include "common/memory.h"
#include "services/sandboxd/shim/container.h"
#include "services/sandboxd/shim/job.h"
#include "services/sandboxd/shim/logd_link.h"
#include "services/sandboxd/shim/shim.h"

enum { OPEN_LIMIT_MS = 30000, UNTOLD_RETRY_MS = 1000, AWAITED_RETRY_MS = 10, LOG_INDEX = 3, ADD_FDS_MAX = 6 };

/* Descriptors of its own: their numbers stay theirs until the helper has ended. */
struct telling {
    unsigned number;
    char id[72];
    pid_t shim;
    int paths[2]; /* the log file, the next one (-1: none) */
};

static void telling_free(struct telling *telling)
{
    for (int i = 0; i < 2; i++)
        if (telling->paths[i] >= 0)
            close(telling->paths[i]);
    free(telling);
}

/* A task: the files may hang. */
static struct error *log_files_open(const struct shim *shim, void *input, struct task_output *output)
{
    const struct telling *telling = input;

    (void)shim;
    for (int i = 0; i < 2 && telling->paths[i] >= 0; i++) {
        autofree char *path = xasprintf("/proc/%d/fd/%d", telling->shim, telling->paths[i]);
        int fd = open(path, O_WRONLY | O_APPEND | O_CLOEXEC | O_NONBLOCK);
        if (fd < 0)
            return error_errno(errno, "open the log file");
        output->fds[output->fd_count++] = fd;
    }
    return NULL;
}

/* Everything but the log file, in the contract's order; 0: something was lost with all its holders, or nothing is to be
 * logged. */
static size_t add_descriptors(const struct container *container, int fds[ADD_FDS_MAX])
{
    const int *have = container->fds;
    bool is_terminal = container->record.flags & SHIM_FLAG_TERMINAL;
    const int all[ADD_FDS_MAX] = {
        have[CONTAINER_NOTE],
        have[CONTAINER_STAGE_READ],
        have[CONTAINER_STAGE_WRITE],
        have[CONTAINER_LOG],
        have[is_terminal ? CONTAINER_TERMINAL : CONTAINER_OUT],
        have[CONTAINER_ERR],
    };
    size_t count = is_terminal ? ADD_FDS_MAX - 1 : ADD_FDS_MAX;

    for (size_t i = 0; i < count; i++)
        if (all[i] < 0)
            return 0;
    memcpy(fds, all, sizeof(all));
    return count;
}

static void say_all(struct shim *shim, const struct container *container, int file, int next)
{
    int fds[ADD_FDS_MAX];
    size_t count = add_descriptors(container, fds);
    struct logd_message add = {
        .type = LOGD_ADD,
        .flags = container->record.flags & SHIM_FLAG_TERMINAL ? LOGD_TERMINAL : 0,
        .generation = container->record.log_generation,
        .sessions = (uint32_t)session_attach_count(shim, container),
    };
    struct logd_message next_file = {.type = LOGD_NEXT_FILE, .generation = container->record.log_generation + 1};

    if (count == 0)
        return;
    fds[LOG_INDEX] = file;
    logd_link_send(shim, container->id, &add, fds, count);
    session_attach_tell_logd(shim, container);
    if (next >= 0)
        logd_link_send(shim, container->id, &next_file, &next, 1);
    if (container->is_draining)
        logd_link_drain(shim, container);
    if (container->is_log_leaving)
        logd_link_remove(shim, container);
}

static void tell_later(struct shim *shim, struct container *container, const char *error)
{
    if (!container->is_untold)
        log_warn("a log file can't be opened for logd", "container=%s error=%s", container->id, log_quote(error));
    container->is_untold = true;
    loop_arm(&shim->loop, &shim->logd.untold, UNTOLD_RETRY_MS);
}

static void files_opened(struct shim *shim, struct job *job)
{
    struct telling *telling = job->argument;
    struct container *container = container_find(shim, telling->id);
    bool is_current = container && container->telling == telling->number;

    telling_free(telling);
    if (!is_current)
        return;
    container->telling = 0;
    if (container->tells_again) {
        logd_tell(shim, container);
    } else if (job->error) {
        tell_later(shim, container, job->error->text);
    } else if (container_has_log(container)) {
        container->is_untold = false;
        say_all(shim, container, job->fds[0], job->fd_count > 1 ? job->fds[1] : -1);
    }
}

static struct telling *telling_new(struct shim *shim, const struct container *container)
{
    static const enum container_fd files[] = {CONTAINER_LOG, CONTAINER_LOG_NEXT};
    struct telling *telling = xcalloc(1, sizeof(*telling));

    telling->number = ++shim->logd.tellings ? shim->logd.tellings : ++shim->logd.tellings;
    snprintf(telling->id, sizeof(telling->id), "%s", container->id);
    telling->shim = getpid();
    for (int i = 0; i < 2; i++) {
        int fd = container->fds[files[i]];
        telling->paths[i] = fd >= 0 ? fcntl(fd, F_DUPFD_CLOEXEC, 3) : -1;
    }
    return telling;
}

void logd_tell(struct shim *shim, struct container *container)
{
    int fds[ADD_FDS_MAX];

    container->tells_again = container->telling != 0;
    if (container->telling || shim->logd.source.fd < 0 || add_descriptors(container, fds) == 0)
        return;
    if (session_attach_is_awaited(shim, container)) {
        container->is_untold = true;
        loop_arm(&shim->loop, &shim->logd.untold, AWAITED_RETRY_MS);
        return;
    }
    struct telling *telling = telling_new(shim, container);
    container->telling = telling->number;
    struct error *failure = job_task_run(shim, log_files_open, telling, OPEN_LIMIT_MS, files_opened, telling);
    if (!failure)
        return;
    container->telling = 0;
    telling_free(telling);
    tell_later(shim, container, failure->text);
    error_free(failure);
}

void logd_tell_untold(struct shim *shim, void *owner)
{
    (void)owner;
    for (struct container *container = shim->containers; container; container = container->next)
        if (container->is_untold && container_has_log(container))
            logd_tell(shim, container);
}

void logd_link_drain(struct shim *shim, const struct container *container)
{
    if (!container->telling)
        logd_link_send(shim, container->id, &(struct logd_message){.type = LOGD_DRAIN}, NULL, 0);
}

void logd_link_remove(struct shim *shim, const struct container *container)
{
    if (!container->telling)
        logd_link_let_go(shim, container);
}

void logd_link_let_go(struct shim *shim, const struct container *container)
{
    logd_link_send(shim, container->id, &(struct logd_message){.type = LOGD_REMOVE}, NULL, 0);
}

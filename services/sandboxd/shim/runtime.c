/* How an OCI runtime is called, and how its words are found. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "common/fd.h"
#include "common/log.h"
#include "common/memory.h"
#include "services/sandboxd/shim/container.h"
#include "services/sandboxd/shim/mounts.h"
#include "services/sandboxd/shim/shim.h"

enum { RUNTIME_ARGUMENTS_MAX = 24, RUNTIME_TEXT_MAX = 4096 };

/* What a pod with a user namespace has for stdio belongs to its root: so the runtimes can hand it on to the container's user,
 * and /dev/stdout can be opened. */
static void streams_give(const struct shim *shim, const int stdio[3])
{
    const struct user_map *map = &shim->pod.record.user;

    for (int i = 0; user_map_is_set(map) && i < 3; i++)
        if (stdio[i] >= 0 && fchown(stdio[i], map->uid_first, map->gid_first) < 0)
            log_debug("stream not given to the pod", "stream=%d errno=%d", i, errno);
}

static int stream_or_null(const struct shim *shim, int fd)
{
    return fd >= 0 ? fd : shim->null_fd;
}

struct error *runtime_run(struct shim *shim, const struct container *container, char *const *arguments,
                          const int stdio[3], int64_t timeout_ms, job_done *done, void *argument, unsigned *ret_log,
                          struct job **ret_job)
{
    char *argv[RUNTIME_ARGUMENTS_MAX] = {0};
    unsigned number = ++shim->serial;
    size_t count = 0;
    autofree char *root = shim_path(shim, "rt/%s", container->record.handler);
    autofree char *log = shim_path(shim, "tmp/%d.%u.log", getpid(), number);

    TRY(directories_make(root, 0711));
    argv[count++] = (char *)container->record.runtime;
    argv[count++] = "--root";
    argv[count++] = root;
    argv[count++] = "--log";
    argv[count++] = log;
    if (container->record.flags & SHIM_FLAG_SYSTEMD_CGROUP)
        argv[count++] = "--systemd-cgroup";
    for (size_t i = 0; arguments[i] && count < RUNTIME_ARGUMENTS_MAX - 1; i++)
        argv[count++] = arguments[i];
    bool is_exec = strcmp(arguments[0], "exec") == 0;
    streams_give(shim, stdio);
    struct program program = {
        .argv = argv,
        .stdio = {stream_or_null(shim, stdio[0]), stream_or_null(shim, stdio[1]), stream_or_null(shim, stdio[2])},
        .oom_score_of = is_exec ? container->record.process.pid : 0,
        .is_awaited = is_exec || strcmp(arguments[0], "start") == 0,
    };
    *ret_log = number;
    return job_run(shim, &program, timeout_ms, done, argument, ret_job);
}

/* The first 4 KiB, on one line. */
static char *log_read(struct shim *shim, unsigned number)
{
    char name[32], text[RUNTIME_TEXT_MAX + 1];

    snprintf(name, sizeof(name), "%d.%u.log", getpid(), number);
    autoclose int fd = openat(shim->work_fd, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    unlinkat(shim->work_fd, name, 0);
    ssize_t size = fd < 0 ? 0 : read(fd, text, RUNTIME_TEXT_MAX);
    while (size > 0 && text[size - 1] == '\n')
        size--;
    text[size > 0 ? size : 0] = '\0';
    return xstrdup(text);
}

struct error *runtime_result(struct shim *shim, const struct job *job, unsigned log, const char *verb)
{
    autofree char *text = log_read(shim, log);
    autofree char *status = wait_status_text(job->status);

    if (job->is_timed_out)
        return error_new(ERROR_DEADLINE_EXCEEDED, "the OCI runtime's %s was killed at its limit: %s", verb, text);
    if (WIFEXITED(job->status) && WEXITSTATUS(job->status) == 0)
        return NULL;
    return error_new(ERROR_INTERNAL, "the OCI runtime's %s ended with %s: %s", verb, status, text);
}

/* How the shim comes at namespaces of its containers. */
#include <errno.h>
#include <fcntl.h>
#include <sched.h>

#include "common/failpoint.h"
#include "common/memory.h"
#include "services/sandboxd/shim/container.h"
#include "services/sandboxd/shim/shim.h"

/* By number a process may be another one by now; opened first and found alive afterwards, it is the one. */
static struct error *namespace_open(const struct process_id *process, int *ret)
{
    autofree char *path = xasprintf("/proc/%d/ns/pid", process->pid);
    autoclose int fd = open(path, O_RDONLY | O_CLOEXEC);

    if (fd < 0 || !process_id_is_alive(process))
        return error_new(ERROR_FAILED_PRECONDITION, "its first process has ended");
    *ret = TAKE_FD(fd);
    return NULL;
}

struct error *container_pid_namespace(struct shim *shim, const char *id, int *ret_fd)
{
    struct container *container = container_find(shim, id);
    int fd = -1;

    if (!container || container->record.state != SHIM_CONTAINER_RUNNING)
        return error_new(ERROR_FAILED_PRECONDITION, "target container %s is not running", id);
    if (container->fds[CONTAINER_PID_NAMESPACE] < 0) {
        TRY_TO(namespace_open(&container->record.process, &fd), "target container %s is not running", id);
        container_keep_fd(shim, container, CONTAINER_PID_NAMESPACE, fd);
        FAILPOINT("shim.setup.after_target");
    }
    *ret_fd = container->fds[CONTAINER_PID_NAMESPACE];
    return NULL;
}

struct error *container_enter_mounts(const struct shim *shim, const char *id)
{
    const struct container *container = container_find(shim, id);

    if (!container || !container_lives(container))
        return error_new(ERROR_NOT_FOUND, "container %s does not live", id);
    autofree char *path = xasprintf("/proc/%d/ns/mnt", container->record.process.pid);
    autoclose int namespace = open(path, O_RDONLY | O_CLOEXEC);
    if (namespace < 0 || setns(namespace, CLONE_NEWNS) < 0)
        return error_errno(errno, "enter the mount namespace of container %s", id);
    return NULL;
}

/* SHIM_NET_FILE: how the pod's interface counters become readable to sandboxd, which may not enter the namespace. */
#include <errno.h>
#include <fcntl.h>
#include <sched.h>

#include "common/memory.h"
#include "services/sandboxd/shim/shim.h"
#include "services/sandboxd/shim/task_step.h"

/* An open file of /proc/net stays that of the namespace in which it was opened, whoever reads it. */
static struct error *net_file(const struct shim *shim, void *input, struct task_output *output)
{
    autofree char *path = shim_path(shim, "netns");
    autoclose int netns = open(path, O_RDONLY | O_CLOEXEC);

    (void)input;
    if (netns < 0 || setns(netns, CLONE_NEWNET) < 0)
        return error_errno(errno, "enter the pod's network namespace");
    int fd = open("/proc/self/net/dev", O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return error_errno(errno, "open /proc/self/net/dev");
    output->fds[output->fd_count++] = fd;
    return NULL;
}

void net_file_open(struct shim *shim, struct step *step)
{
    if (shim->pod.record.netns_mode == SHIM_NAMESPACE_OWN && shim->pod.record.state & SHIM_POD_IS_SET_UP)
        task_step_run(shim, step, net_file, "the counters of interfaces");
    else
        step_finish(shim, step, error_new(ERROR_FAILED_PRECONDITION, "the pod has no network namespace of its own"));
}

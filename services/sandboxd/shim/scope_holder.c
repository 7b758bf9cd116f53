/* Why a scope needs a process of ours: systemd removes it when its last process ends, and what the kernel counted there (who was killed for
 * want of memory) goes with it before a shim that is slow, stopped or being replaced has read it. */
#include "services/sandboxd/shim/scope_holder.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/sched.h>
#include <signal.h>
#include <stdint.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "common/log.h"
#include "common/memory.h"
#include "services/sandboxd/shim/container.h"
#include "services/sandboxd/shim/first_process.h"
#include "services/sandboxd/shim/shim.h"

/* Of a limit that kills the whole group (memory.oom.group) it shall be left. */
static void oom_score_lower(void)
{
    autoclose int fd = open("/proc/self/oom_score_adj", O_WRONLY | O_CLOEXEC);

    if (fd >= 0 && write(fd, "-1000", 5) < 0)
        return; /* without the right it may be killed with the rest */
}

/* A child that begins its life in that group (directory fd). */
static pid_t fork_into(int group)
{
    struct clone_args arguments = {.flags = CLONE_INTO_CGROUP, .exit_signal = SIGCHLD, .cgroup = (uint64_t)group};

    return (pid_t)syscall(SYS_clone3, &arguments, sizeof(arguments));
}

void scope_hold(const struct shim *shim, const struct container *container)
{
    const struct cgroups *cgroups = &shim->cgroups;
    autofree char *path = xasprintf("%s%s/hold", cgroups->tracking, container->record.cgroup);
    pid_t pid = -1;

    if (cgroups->is_unified && (mkdir(path, 0755) == 0 || errno == EEXIST)) {
        autoclose int group = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        pid = group < 0 ? -1 : fork_into(group);
    }
    if (pid == 0) {
        oom_score_lower();
        first_process_become("--hold-scope");
    }
    if (pid < 0)
        log_warn("nothing holds a container's scope", "container=%s errno=%d", container->id, cgroups->is_unified ? errno : ENOTSUP);
}

/* The making of namespaces: unshare, `lo`, sysctls, pins. */
#include "services/sandboxd/shim/namespaces.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include "common/failpoint.h"
#include "common/fd.h"
#include "common/loopback.h"
#include "common/memory.h"
#include "services/sandboxd/shim/first_process.h"
#include "services/sandboxd/shim/shim.h"
#include "services/sandboxd/shim/sysctls.h"

static struct error *network_pin(const char *path)
{
    autoclose int fd = open(path, O_RDONLY | O_CREAT | O_CLOEXEC, 0444);

    if (fd < 0)
        return error_errno(errno, "make %s", path);
    if (mount("/proc/self/ns/net", path, NULL, MS_BIND, NULL) < 0)
        return error_errno(errno, "pin the network namespace at %s", path);
    return NULL;
}

static struct error *shm_mount(const struct namespaces_wanted *wanted)
{
    const char *path = wanted->shm_path;
    autofree char *options = xasprintf("mode=1777,size=%llu,uid=%u,gid=%u", (unsigned long long)wanted->shm_size,
                                       wanted->user.uid_first, wanted->user.gid_first);

    if (mkdir(path, 0755) < 0 && errno != EEXIST)
        return error_errno(errno, "make %s", path);
    if (mount("shm", path, "tmpfs", MS_NOSUID | MS_NODEV | MS_NOEXEC, options) < 0)
        return error_errno(errno, "mount the pod's /dev/shm");
    return NULL;
}

static void hand_over(struct task_output *output, const char *path)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);

    if (fd >= 0)
        output->fds[output->fd_count++] = fd;
}

/* Where it may be, whoever it is by then. */
static void first_process_enter(int procs)
{
    if (write(procs, "0", 1) != 1)
        _exit(1);
}

/* The child is told by clone which pid it has in our namespace; it is orphaned to the shim at our exit. */
static struct error *first_process_start(const struct namespaces_wanted *wanted, int user_fd, struct task_output *output)
{
    autoclose int procs = open(wanted->first_cgroup, O_WRONLY | O_CLOEXEC);

    if (procs < 0)
        return error_errno(errno, "open %s", wanted->first_cgroup);
    if (user_fd >= 0) /* nothing is left to do here but this, and the containers may touch that process */
        TRY(user_namespace_become(user_fd));
    if (unshare(CLONE_NEWPID) < 0)
        return error_errno(errno, "unshare the PID namespace");
    pid_t pid = fork();
    if (pid < 0)
        return error_errno(errno, "fork the pod's first process");
    if (pid == 0) {
        first_process_enter(procs);
        first_process_become("--first-process");
    }
    wire_put_u64(&output->fields, SHIM_TAG_PID, (uint64_t)pid);
    return NULL;
}

/* Into the new ones. A network namespace that is there already knows the user namespace that owns it. */
static struct error *namespaces_unshare(const struct namespaces_wanted *wanted, int *ret_user_fd)
{
    int flags = (wanted->net ? CLONE_NEWNET : 0) | (wanted->ipc ? CLONE_NEWIPC : 0) | (wanted->uts ? CLONE_NEWUTS : 0);

    if (!user_map_is_set(&wanted->user))
        return unshare(flags) < 0 ? error_errno(errno, "unshare the pod's namespaces") : NULL;
    if (wanted->net)
        TRY(user_namespace_make(&wanted->user, ret_user_fd));
    else
        TRY(user_namespace_of(wanted->netns_path, ret_user_fd));
    FAILPOINT("shim.setup.after_user");
    return flags ? user_namespace_unshare(*ret_user_fd, flags) : NULL;
}

/* Newer kernels have those of ipc belong to the user namespace's root, older ones to the host's. */
static struct error *sysctl_set_as(const char *setting, uid_t owner)
{
    struct error *failure = sysctl_set(setting);

    if (!failure || failure->code != ERROR_PERMISSION_DENIED || !owner)
        return failure;
    error_free(failure);
    if (seteuid(owner) < 0)
        return error_errno(errno, "become user %u", owner);
    failure = sysctl_set(setting);
    return seteuid(0) < 0 && !failure ? error_errno(errno, "become root") : failure;
}

/* A namespace that is there has its parameters, and we are not in it; those of the network wait for its interfaces. */
static bool is_made(const struct namespaces_wanted *wanted, const char *sysctl)
{
    enum sysctl_namespace namespace = sysctl_setting_namespace(sysctl);

    return (namespace == SYSCTL_OF_IPC && wanted->ipc) || (namespace == SYSCTL_OF_UTS && wanted->uts);
}

struct error *namespaces_make(const struct shim *shim, void *input, struct task_output *output)
{
    const struct namespaces_wanted *wanted = input;
    autoclose int user_fd = -1;

    (void)shim;
    if (wanted->shm_path)
        TRY(shm_mount(wanted));
    FAILPOINT("shim.setup.after_shm");
    TRY(namespaces_unshare(wanted, &user_fd));
    if (wanted->uts && sethostname(wanted->hostname, strlen(wanted->hostname)) < 0)
        return error_errno(errno, "set the host name");
    if (wanted->net)
        TRY(loopback_up());
    for (char *const *sysctl = wanted->sysctls; *sysctl; sysctl++)
        if (is_made(wanted, *sysctl))
            TRY(sysctl_set_as(*sysctl, wanted->user.uid_first));
    if (wanted->net)
        TRY(network_pin(wanted->netns_path));
    FAILPOINT("shim.setup.after_pin");
    if (wanted->ipc)
        hand_over(output, "/proc/self/ns/ipc");
    if (wanted->uts)
        hand_over(output, "/proc/self/ns/uts");
    return wanted->pid ? first_process_start(wanted, user_fd, output) : NULL;
}

/* How chaos gets a world of its own, and what is swept away after it. */
#include <errno.h>
#include <ftw.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "cli/chaos/cgroups.h"
#include "cli/chaos/node.h"
#include "common/loopback.h"
#include "common/memory.h"

enum { SWEEP_ROUNDS = 50, SWEEP_PAUSE_US = 100000 };

/* crun refuses hybrid cgroups; with the version 2 tree hidden the host is a plain version 1 host. */
static struct error *mounts_make(void)
{
    if (mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 || mount(NULL, "/", NULL, MS_REC | MS_SHARED, NULL) < 0)
        return error_errno(errno, "make the mounts ours");
    if (mount("proc", "/proc", "proc", MS_NOSUID | MS_NODEV | MS_NOEXEC, NULL) < 0)
        return error_errno(errno, "mount /proc");
    if (access("/sys/fs/cgroup/unified/cgroup.controllers", F_OK) == 0 &&
        mount("none", "/sys/fs/cgroup/unified", "tmpfs", 0, NULL) < 0)
        return error_errno(errno, "hide the version 2 cgroups");
    return NULL;
}

static struct error *child_begin(const struct options *options)
{
    if (prctl(PR_SET_PDEATHSIG, SIGKILL) < 0)
        return error_errno(errno, "prctl");
    TRY(mounts_make());
    return options->keeps_network ? NULL : loopback_up();
}

/* ---- the parent ---- */

static int entry_remove(const char *path, const struct stat *info, int type, struct FTW *where)
{
    (void)info, (void)where;
    if (type == FTW_DP)
        rmdir(path);
    else
        unlink(path);
    return 0;
}

/* The last processes may be on their way out yet. */
static void cgroups_sweep(const char *directory)
{
    autofree char *state = xasprintf("%s/s", directory);
    autofree char *parent = cgroup_parent_of(directory);

    for (unsigned i = 0; i < SWEEP_ROUNDS; i++) {
        if (cgroups_remove(parent) + cgroups_remove_tree(state) == 0)
            return;
        usleep(SWEEP_PAUSE_US);
    }
}

/* Passes a first SIGINT or SIGTERM on: the run ends in order, with its report. */
static int child_wait(pid_t child)
{
    sigset_t signals;
    int status = 0;

    sigemptyset(&signals);
    sigaddset(&signals, SIGINT);
    sigaddset(&signals, SIGTERM);
    sigaddset(&signals, SIGCHLD);
    while (waitpid(child, &status, WNOHANG) == 0) {
        int signal = sigwaitinfo(&signals, NULL);
        if (signal == SIGINT || signal == SIGTERM)
            kill(child, SIGTERM);
    }
    return WIFEXITED(status) ? WEXITSTATUS(status) : 2;
}

static void signals_block(void)
{
    sigset_t signals;

    sigemptyset(&signals);
    sigaddset(&signals, SIGINT);
    sigaddset(&signals, SIGTERM);
    sigaddset(&signals, SIGCHLD);
    sigprocmask(SIG_BLOCK, &signals, NULL);
}

struct error *node_enter(const struct options *options, char **ret_directory)
{
    char template[] = "/tmp/bhc.XXXXXX";
    int namespaces = CLONE_NEWNS | CLONE_NEWIPC | CLONE_NEWPID | (options->keeps_network ? 0 : CLONE_NEWNET);

    if (!mkdtemp(template) || chmod(template, 0755) < 0) /* the daemons have users of their own */
        return error_errno(errno, "make a directory");
    signals_block();
    if (unshare(namespaces) < 0)
        return error_errno(errno, "make namespaces");
    pid_t child = fork();
    if (child < 0)
        return error_errno(errno, "fork");
    if (child == 0) {
        *ret_directory = xstrdup(template);
        return child_begin(options);
    }
    int status = child_wait(child);
    cgroups_sweep(template);
    if (status == 0)
        nftw(template, entry_remove, 16, FTW_DEPTH | FTW_PHYS);
    else
        fprintf(stderr, "chaos: the runtime's log and files: %s\n", template);
    exit(status);
}

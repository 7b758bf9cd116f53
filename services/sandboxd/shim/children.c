/* Which end is whose: of programs, containers, execs, the pod's first process, or of an orphan that came to us. */
#include "services/sandboxd/shim/children.h"

#include <errno.h>
#include <signal.h>
#include <stddef.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/failpoint.h"
#include "services/sandboxd/shim/container.h"
#include "services/sandboxd/shim/exec.h"
#include "services/sandboxd/shim/handlers.h"
#include "services/sandboxd/shim/job.h"
#include "services/sandboxd/shim/shim.h"

static bool is_zombie(pid_t pid)
{
    siginfo_t info = {0};

    return pid > 0 && waitid(P_PID, (id_t)pid, &info, WEXITED | WNOHANG | WNOWAIT) == 0 && info.si_pid == pid;
}

static struct job *dead_job(const struct shim *shim)
{
    struct job *job = shim->jobs;

    while (job && !is_zombie(job->pid))
        job = job->next;
    return job;
}

static bool is_own_child(const struct container *container)
{
    return container_lives(container) && !container->is_adopted;
}

static struct container *dead_container(const struct shim *shim)
{
    struct container *container = shim->containers;

    while (container && !(is_own_child(container) && is_zombie(container->record.process.pid)))
        container = container->next;
    return container;
}

static bool is_known(const struct shim *shim, pid_t pid)
{
    for (const struct job *job = shim->jobs; job; job = job->next)
        if (job->pid == pid)
            return true;
    for (const struct container *container = shim->containers; container; container = container->next)
        if (is_own_child(container) && container->record.process.pid == pid)
            return true;
    return false;
}

/* An orphan that came to us. While a program runs, it may be one that the program's pid file will name: it waits. */
static bool reap_orphan(struct shim *shim)
{
    siginfo_t info = {0};

    FAILPOINT("shim.children.looked");
    if (waitid(P_ALL, 0, &info, WEXITED | WNOHANG | WNOWAIT) < 0 || info.si_pid == 0)
        return false;
    if (is_known(shim, info.si_pid))
        return true; /* it ended after it was looked for */
    if (exec_is_own_child(shim, info.si_pid) || pod_first_exited(shim, info.si_pid))
        return true;
    if (job_has_program(shim))
        return false;
    waitpid(info.si_pid, NULL, 0);
    return true;
}

/* Programs first: their results name the containers and execs that may be dead already. */
void children_look(struct shim *shim)
{
    struct job *job;
    struct container *container;

    for (;;) {
        if ((job = dead_job(shim)))
            job_exited(shim, job);
        else if ((container = dead_container(shim)))
            container_exited(shim, container);
        else if (!reap_orphan(shim))
            return;
    }
}

static void children_ready(struct shim *shim, void *owner, uint32_t events)
{
    struct signalfd_siginfo info;

    (void)owner;
    (void)events;
    while (read(shim->children.fd, &info, sizeof(info)) > 0)
        continue;
    children_look(shim);
}

struct error *children_open(struct shim *shim)
{
    sigset_t set;

    sigemptyset(&set);
    sigaddset(&set, SIGCHLD);
    sigprocmask(SIG_BLOCK, &set, NULL);
    signal(SIGPIPE, SIG_IGN);
    if (prctl(PR_SET_CHILD_SUBREAPER, 1) < 0)
        return error_errno(errno, "become a subreaper");
    shim->children = (struct source){
        .fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK), .ready = children_ready, .owner = shim,
    };
    if (shim->children.fd < 0)
        return error_errno(errno, "signalfd");
    return loop_watch(&shim->loop, &shim->children, EPOLLIN);
}

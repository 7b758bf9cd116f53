/* bulkhead-shim: the parent of one pod's processes, and all that root does for that pod. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "common/failpoint.h"
#include "common/log.h"
#include "common/memory.h"
#include "services/sandboxd/shim/adopt.h"
#include "services/sandboxd/shim/container.h"
#include "services/sandboxd/shim/job.h"
#include "services/sandboxd/shim/mounts.h"
#include "services/sandboxd/shim/options.h"
#include "services/sandboxd/shim/server.h"
#include "services/sandboxd/shim/shim.h"

enum { EXIT_LOCKED = 3, FLUSH_TRIES = 200 };

/* --- children ----------------------------------------------------------------------------------------------------- */

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
static void children_look(struct shim *shim)
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

static struct error *children_open(struct shim *shim)
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

/* --- start -------------------------------------------------------------------------------------------------------- */

static struct error *directory_open(struct shim *shim, const char *name, mode_t mode, int *ret_fd)
{
    autofree char *path = *name ? shim_path(shim, "%s", name) : xstrdup(shim->directory);

    TRY(directories_make(path, 0755));
    *ret_fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (*ret_fd < 0 || fchmod(*ret_fd, mode) < 0)
        return error_errno(errno, "open %s", path);
    return NULL;
}

/* fcntl's lock: no child inherits it. Held: another shim of this pod runs. */
static struct error *lock_take(struct shim *shim)
{
    struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET};

    shim->lock_fd = openat(shim->directory_fd, "lock", O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (shim->lock_fd < 0)
        return error_errno(errno, "open the pod's lock");
    if (fcntl(shim->lock_fd, F_SETLK, &lock) < 0)
        return error_new(ERROR_ALREADY_EXISTS, "another shim of pod %s runs", shim->pod_id);
    return NULL;
}

static struct error *shim_open(struct shim *shim, const struct options *options)
{
    shim->directory = xasprintf("%s/shim/%s", shim->state, shim->pod_id);
    shim->storage = xasprintf("%s/shim/%s", shim->root, shim->pod_id);
    TRY(directory_open(shim, "", 0755, &shim->directory_fd));
    TRY(lock_take(shim));
    TRY(directory_open(shim, "ctr", 0755, &shim->containers_fd));
    TRY(directory_open(shim, "exec", 0700, &shim->execs_fd));
    TRY(directory_open(shim, "tmp", 0700, &shim->work_fd));
    TRY(loop_init(&shim->loop));
    TRY(cgroups_init(&shim->cgroups, "/sys/fs/cgroup"));
    TRY(pod_load(shim));
    TRY(children_open(shim));
    FAILPOINT("shim.open.before_socket");
    TRY(server_open(shim)); /* callers wait in it while the rest goes on */
    TRY(adopt_load(shim, options->adopt));
    store_open(shim);
    logd_link_open(shim);
    adopt_begin(shim);
    log_info("shim is up", "pod=%s pid=%d adopt=%d", shim->pod_id, getpid(), options->adopt);
    return NULL;
}

static struct error *shim_run(struct shim *shim)
{
    while (!shim->is_quitting)
        TRY(loop_once(&shim->loop, shim));
    for (int i = 0; i < FLUSH_TRIES && !(server_is_flushed(shim) && store_is_flushed(shim)); i++)
        TRY(loop_once(&shim->loop, shim));
    return NULL;
}

static void nofile_raise(struct shim *shim)
{
    getrlimit(RLIMIT_NOFILE, &shim->nofile);
    struct rlimit raised = {.rlim_cur = shim->nofile.rlim_max, .rlim_max = shim->nofile.rlim_max};
    setrlimit(RLIMIT_NOFILE, &raised);
}

int main(int argc, char **argv)
{
    struct shim shim = {.directory_fd = -1};
    struct options options;

    if (argc == 2 && strcmp(argv[1], "--first-process") == 0)
        return first_process_main();
    struct error *failure = options_parse(argc, argv, &options);
    log_open("shim", failure ? LOG_LEVEL_INFO : options.level);
    if (!failure) {
        shim.state = options.state;
        shim.root = options.root;
        shim.pod_id = options.pod;
        shim.sandboxd_uid = options.sandboxd_uid;
        setsid(); /* no terminal's signals; fails where it leads a group already */
        umask(022);
        nofile_raise(&shim);
        failure = shim_open(&shim, &options);
    }
    if (!failure)
        failure = shim_run(&shim);
    if (!failure)
        return EXIT_SUCCESS;
    int status = failure->code == ERROR_ALREADY_EXISTS ? EXIT_LOCKED : EXIT_FAILURE;
    log_error("shim ends", "error=%s", log_quote(failure->text));
    error_free(failure);
    return status;
}

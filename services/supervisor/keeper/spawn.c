/* What a process of the table is given at its start: arguments, environment, descriptors, cgroup. */
#include "services/supervisor/keeper/spawn.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/close_range.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include "common/failpoint.h"
#include "common/memory.h"
#include "services/supervisor/keeper/cgroup.h"
#include "services/supervisor/keeper/children.h"
#include "services/supervisor/keeper/programs.h"
#include "services/supervisor/keeper/store.h"

enum { ARGUMENTS_MAX = 24, ENVIRONMENT_MAX = 32, FIRST_FD = 3, PASSED_FDS_MAX = KEEPER_SPAWN_FDS + 1, HIGH_FD = 64 };

/* All that the child needs between fork and exec, made before the fork. */
struct launch {
    char *arguments[ARGUMENTS_MAX];
    size_t argument_count;
    char *environment[ENVIRONMENT_MAX];
    size_t environment_count;
    int fds[PASSED_FDS_MAX];
    size_t fd_count;
    int program_fd;
    int cgroup_procs[CGROUP_HIERARCHIES];
    struct rlimit nofile;
    pid_t keeper_pid;
};

static void launch_fini(struct launch *launch)
{
    for (size_t i = 0; i < launch->argument_count; i++)
        free(launch->arguments[i]);
    for (size_t i = 0; i < launch->environment_count; i++)
        free(launch->environment[i]);
    for (size_t i = 0; i < CGROUP_HIERARCHIES; i++)
        if (launch->cgroup_procs[i] >= 0)
            close(launch->cgroup_procs[i]);
}

static void argument_add(struct launch *launch, const char *text)
{
    launch->arguments[launch->argument_count++] = xstrdup(text);
}

static void option_add(struct launch *launch, const char *flag, const char *value)
{
    if (!value)
        return;
    argument_add(launch, flag);
    argument_add(launch, value);
}

static void arguments_make(struct launch *launch, const struct keeper *keeper, const struct spawn_request *request)
{
    const struct keeper_options *options = keeper->options;

    launch->arguments[launch->argument_count++] = xasprintf("bulkhead-%s", program_get(request->program)->name);
    option_add(launch, "--config", options->config);
    option_add(launch, "--root", options->root);
    option_add(launch, "--state", options->state);
    option_add(launch, "--address", options->address);
    option_add(launch, "--log-level", options->log_level);
    option_add(launch, "--programs", options->programs);
    if (request->flags & KEEPER_ADOPT)
        argument_add(launch, "--adopt");
    if (program_get(request->program)->has_instance)
        argument_add(launch, request->name);
}

static void environment_pass(struct launch *launch, const char *name)
{
    const char *value = getenv(name);

    if (value)
        launch->environment[launch->environment_count++] = xasprintf("%s=%s", name, value);
}

static const char *notify_directory(enum keeper_program program)
{
    if (program == KEEPER_SUPERVISOR)
        return "keeper";
    return program_get(program)->has_notify ? "supervisor" : NULL;
}

static void environment_make(struct launch *launch, const struct keeper *keeper, const struct spawn_request *request,
                             uint64_t generation)
{
    static const char *const passed[] = {"PATH", "TZ", "JOURNAL_STREAM", "BULKHEAD_FAILPOINT_DIR", "HTTP_PROXY",
                                         "HTTPS_PROXY", "NO_PROXY", "http_proxy", "https_proxy", "no_proxy",
                                         "ASAN_OPTIONS", "UBSAN_OPTIONS"};
    const char *notify = notify_directory(request->program);

    for (size_t i = 0; i < sizeof(passed) / sizeof(passed[0]); i++)
        environment_pass(launch, passed[i]);
    if (!getenv("PATH"))
        launch->environment[launch->environment_count++] =
            xstrdup("PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin");
    launch->environment[launch->environment_count++] =
        xasprintf("BULKHEAD_GENERATION=%llu", (unsigned long long)generation);
    launch->environment[launch->environment_count++] = xasprintf("BULKHEAD_LAST_DEATH=%d", (int)request->last_death);
    if (notify)
        launch->environment[launch->environment_count++] =
            xasprintf("NOTIFY_SOCKET=%s/%s/notify", keeper->options->state, notify);
}

static void descriptor_add(struct launch *launch, char *names, size_t size, int fd, const char *name)
{
    size_t used = strlen(names);

    if (fd < 0)
        return;
    launch->fds[launch->fd_count++] = fd;
    snprintf(names + used, size - used, "%s%s", used ? ":" : "", name);
}

/* The request's descriptors, and the listening socket of who accepts at it. The supervisor keeps that of the sessions, to
 * look whether somebody waits there, and for a keeper that has lost it. */
static void descriptors_make(struct launch *launch, const struct keeper *keeper, const struct spawn_request *request)
{
    char names[PASSED_FDS_MAX * (KEEPER_NAME_SIZE + 1)] = "";

    for (size_t i = 0; i < request->fd_count; i++)
        descriptor_add(launch, names, sizeof(names), request->fds[i], request->fd_names[i]);
    if (request->program == KEEPER_CRIAPI)
        descriptor_add(launch, names, sizeof(names), store_find(keeper, "listener", "cri"), "cri");
    if (request->program == KEEPER_STREAM || request->program == KEEPER_SUPERVISOR)
        descriptor_add(launch, names, sizeof(names), store_find(keeper, "listener", "stream"), "stream");
    launch->environment[launch->environment_count++] = xasprintf("LISTEN_FDS=%zu", launch->fd_count);
    launch->environment[launch->environment_count++] = xasprintf("LISTEN_FDNAMES=%s", names);
}

/* The child has one thread and may allocate: the keeper has no other. Says why it failed, and ends. */
static _Noreturn void launch_fail(const char *what)
{
    dprintf(STDERR_FILENO, "%s: %s\n", what, strerror(errno));
    _exit(127);
}

static void signals_reset(void)
{
    struct sigaction standard = {.sa_handler = SIG_DFL};
    sigset_t none;

    for (int signal = 1; signal < NSIG; signal++)
        sigaction(signal, &standard, NULL);
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
}

/* Moves into the cgroup such that, whenever the keeper dies, this process is either dead or found there. */
static void cgroup_enter(const struct launch *launch)
{
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != launch->keeper_pid)
        _exit(127);
    for (size_t i = 0; i < CGROUP_HIERARCHIES; i++)
        if (launch->cgroup_procs[i] >= 0 && write(launch->cgroup_procs[i], "0", 1) != 1)
            launch_fail("enter the cgroup");
    FAILPOINT("keeper.spawn.in_cgroup");
    prctl(PR_SET_PDEATHSIG, 0);
}

/* Descriptors 3 and up, in order; nothing else is inherited. Above them stays only the program, until exec. */
static void descriptors_set(struct launch *launch)
{
    int null = open("/dev/null", O_RDONLY);

    if (null < 0 || dup2(null, STDIN_FILENO) < 0 || dup2(STDERR_FILENO, STDOUT_FILENO) < 0)
        launch_fail("standard descriptors");
    for (size_t i = 0; i < launch->fd_count; i++)
        launch->fds[i] = fcntl(launch->fds[i], F_DUPFD_CLOEXEC, HIGH_FD);
    launch->program_fd = fcntl(launch->program_fd, F_DUPFD_CLOEXEC, HIGH_FD);
    for (size_t i = 0; i < launch->fd_count; i++)
        if (dup2(launch->fds[i], FIRST_FD + (int)i) < 0)
            launch_fail("pass a descriptor");
    if (syscall(SYS_close_range, FIRST_FD + (unsigned)launch->fd_count, ~0U, CLOSE_RANGE_CLOEXEC) < 0)
        launch_fail("close_range");
}

static _Noreturn void launch_exec(struct launch *launch)
{
    setsid();
    signals_reset();
    umask(022);
    cgroup_enter(launch);
    descriptors_set(launch);
    launch->environment[launch->environment_count++] = xasprintf("LISTEN_PID=%d", getpid());
    setrlimit(RLIMIT_NOFILE, &launch->nofile);
    syscall(SYS_execveat, launch->program_fd, "", launch->arguments, launch->environment, AT_EMPTY_PATH);
    launch_fail(launch->arguments[0]);
}

static struct error *launch_start(struct keeper *keeper, struct launch *launch, struct child *child)
{
    FAILPOINT("keeper.spawn.intended");
    pid_t pid = fork();

    if (pid == 0)
        launch_exec(launch);
    if (pid < 0) {
        struct error *failure = error_errno(errno, "fork for %s", program_get(child->program)->name);
        child_forget(keeper, child);
        return failure;
    }
    FAILPOINT("keeper.spawn.forked");
    return child_started(keeper, child, pid);
}

struct error *spawn(struct keeper *keeper, const struct spawn_request *request, struct child **ret_child)
{
    struct launch launch = {.nofile = keeper->nofile, .keeper_pid = getpid()};
    struct child *child = NULL;

    TRY(program_open(keeper, request->program));
    if (request->program == KEEPER_SHIM)
        TRY(shim_directories_make(keeper, request->name));
    TRY(child_intend(keeper, request->program, request->name, request->generation, request->flags, &child));
    launch.program_fd = keeper->program_fds[request->program];
    cgroup_make(keeper, child->program, child->serial, launch.cgroup_procs);
    arguments_make(&launch, keeper, request);
    environment_make(&launch, keeper, request, child->generation);
    descriptors_make(&launch, keeper, request);
    struct error *failure = launch_start(keeper, &launch, child);
    launch_fini(&launch);
    if (!failure)
        *ret_child = child;
    return failure;
}

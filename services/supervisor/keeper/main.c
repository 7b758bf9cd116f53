/* The keeper's start, its loop, and its orderly end. */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include "common/clock.h"
#include "common/log.h"
#include "common/memory.h"
#include "common/record.h"
#include "services/supervisor/keeper/cgroup.h"
#include "services/supervisor/keeper/children.h"
#include "services/supervisor/keeper/exits.h"
#include "services/supervisor/keeper/identity.h"
#include "services/supervisor/keeper/programs.h"
#include "services/supervisor/keeper/reap.h"
#include "services/supervisor/keeper/server.h"
#include "services/supervisor/keeper/store.h"
#include "services/supervisor/keeper/supervisor.h"

enum { TICK_MS = 250, BUSY_TICK_MS = 10, NS_PER_MS = 1000000 };
static const int64_t sweep_interval_ns = 10000000000;
static const int64_t unclaimed_ns = 60000000000;
static const int64_t stop_kill_ns = 3000000000;   /* from TERM to KILL */
static const int64_t stop_give_up_ns = 6000000000; /* what is stuck in the kernel then stays */

static const struct option flags[] = {
    {"config", required_argument, NULL, 'c'},      {"root", required_argument, NULL, 'r'},
    {"state", required_argument, NULL, 's'},       {"address", required_argument, NULL, 'a'},
    {"log-level", required_argument, NULL, 'l'},   {"programs", required_argument, NULL, 'p'},
    {"uid-first", required_argument, NULL, 'u'},   {"cni-conf-dir", required_argument, NULL, 'n'},
    {"seccomp-dir", required_argument, NULL, 'e'}, {"certs-dir", required_argument, NULL, 'C'},
    {"listener-fd", required_argument, NULL, 'f'}, {"last-death", required_argument, NULL, 'd'},
    {"stream-fd", required_argument, NULL, 't'},   {"stop", no_argument, NULL, 'S'},              {NULL, 0, NULL, 0},
};

static bool options_parse(int argc, char **argv, struct keeper_options *options)
{
    for (int flag; (flag = getopt_long(argc, argv, "", flags, NULL)) != -1;) {
        switch (flag) {
        case 'c': options->config = optarg; break;
        case 'r': options->root = optarg; break;
        case 's': options->state = optarg; break;
        case 'a': options->address = optarg; break;
        case 'l': options->log_level = optarg; break;
        case 'p': options->programs = optarg; break;
        case 'u': options->uid_first = (uid_t)strtoul(optarg, NULL, 10); break;
        case 'n': options->directories[KEEPER_DIRECTORY_CNI] = optarg; break;
        case 'e': options->directories[KEEPER_DIRECTORY_SECCOMP] = optarg; break;
        case 'C': options->directories[KEEPER_DIRECTORY_CERTS] = optarg; break;
        case 'f': options->listener_fd = (int)strtol(optarg, NULL, 10); break;
        case 't': options->stream_fd = (int)strtol(optarg, NULL, 10); break;
        case 'd': options->last_death = (enum death_reason)strtoul(optarg, NULL, 10); break;
        case 'S': options->stop = true; break;
        default: return false;
        }
    }
    if (!options->log_level)
        options->log_level = "info";
    return optind == argc && options->root && options->state && options->address && options->programs &&
           options->uid_first;
}

void keeper_watch(struct keeper *keeper, int fd, uint32_t events, struct watch *watch)
{
    struct epoll_event event = {.events = events, .data.ptr = watch};

    if (epoll_ctl(keeper->epoll, EPOLL_CTL_ADD, fd, &event) < 0)
        abort();
}

static struct error *directory_open(const char *parent, const char *name, mode_t mode, int *ret_fd)
{
    autofree char *path = xasprintf("%s/%s", parent, name);

    if (mkdir(path, mode) < 0 && errno != EEXIST)
        return error_errno(errno, "mkdir %s", path);
    *ret_fd = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    return *ret_fd < 0 ? error_errno(errno, "open %s", path) : NULL;
}

static struct error *keeper_directories_open(struct keeper *keeper)
{
    const char *state = keeper->options->state;

    TRY(program_directories_make(keeper));
    TRY(directory_open(state, "keeper", 0711, &keeper->keeper_dir));
    TRY(directory_open(state, "keeper/children", 0700, &keeper->children_dir));
    return directory_open(state, "keeper/exits", 0755, &keeper->exits_dir);
}

/* A POSIX lock: it names its holder, and goes with the process. */
static struct error *lock_take(struct keeper *keeper)
{
    struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET};

    keeper->lock_fd = openat(keeper->keeper_dir, "lock", O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (keeper->lock_fd < 0 || fcntl(keeper->lock_fd, F_SETLK, &lock) < 0)
        return error_errno(errno, "another keeper of %s lives", keeper->options->state);
    return NULL;
}

static void keeper_stop(struct keeper *keeper, int signal)
{
    if (!keeper->stopping_since_ns)
        keeper->stopping_since_ns = clock_boottime_ns();
    for (const struct child *child = keeper->children; child; child = child->next)
        if (!program_get(child->program)->outlives_keeper)
            syscall(SYS_pidfd_send_signal, child->pidfd, signal, NULL, 0);
}

static void signal_ready(struct keeper *keeper, struct watch *watch, uint32_t events)
{
    struct signalfd_siginfo info;

    (void)watch;
    (void)events;
    while (read(keeper->signal_fd, &info, sizeof(info)) == sizeof(info)) {
        if (info.ssi_signo == SIGCHLD)
            reap_children(keeper);
        else
            keeper_stop(keeper, SIGTERM);
    }
}

static struct error *signals_open(struct keeper *keeper)
{
    sigset_t watched;

    sigemptyset(&watched);
    sigaddset(&watched, SIGCHLD);
    sigaddset(&watched, SIGTERM);
    sigaddset(&watched, SIGINT);
    sigprocmask(SIG_BLOCK, &watched, NULL);
    signal(SIGPIPE, SIG_IGN);
    keeper->signal_fd = signalfd(-1, &watched, SFD_CLOEXEC | SFD_NONBLOCK);
    if (keeper->signal_fd < 0)
        return error_errno(errno, "signalfd");
    keeper->signal_watch.ready = signal_ready;
    keeper_watch(keeper, keeper->signal_fd, EPOLLIN, &keeper->signal_watch);
    return NULL;
}

/* The store may hold ten descriptors for each container. */
static void limits_raise(struct keeper *keeper)
{
    getrlimit(RLIMIT_NOFILE, &keeper->nofile);
    struct rlimit raised = {.rlim_cur = keeper->nofile.rlim_max, .rlim_max = keeper->nofile.rlim_max};
    setrlimit(RLIMIT_NOFILE, &raised);
}

static struct error *listener_keep(struct keeper *keeper, const char *name, int fd)
{
    if (fd < 0)
        return NULL;
    fcntl(fd, F_SETFD, FD_CLOEXEC);
    return store_put(keeper, "listener", name, fd);
}

static struct error *keeper_open(struct keeper *keeper)
{
    if (prctl(PR_SET_CHILD_SUBREAPER, 1) < 0)
        return error_errno(errno, "become the subreaper");
    limits_raise(keeper);
    keeper->epoll = epoll_create1(EPOLL_CLOEXEC);
    TRY(keeper_directories_open(keeper));
    TRY(lock_take(keeper));
    TRY(process_id_read(getpid(), &keeper->process));
    TRY(signals_open(keeper));
    programs_open(keeper);
    TRY(listener_keep(keeper, "cri", keeper->options->listener_fd));
    TRY(listener_keep(keeper, "stream", keeper->options->stream_fd));
    TRY(children_load(keeper));
    TRY(identity_save(keeper->keeper_dir, "self", keeper->options->last_death));
    TRY(supervisor_watch_open(keeper));
    if (keeper->options->stop)
        keeper_stop(keeper, SIGTERM);
    return server_open(keeper);
}

static void stop_tick(struct keeper *keeper, int64_t now_ns)
{
    bool is_empty = true;

    for (const struct child *child = keeper->children; child; child = child->next)
        is_empty = is_empty && program_get(child->program)->outlives_keeper;
    if (now_ns - keeper->stopping_since_ns > stop_kill_ns)
        keeper_stop(keeper, SIGKILL);
    bool is_late = now_ns - keeper->stopping_since_ns > stop_give_up_ns;
    if (is_empty || is_late) {
        if (!is_empty)
            log_error("processes are stuck and stay", "state=%s", keeper->options->state);
        cgroup_sweep(keeper);
        keeper->is_finished = true;
    }
}

static void sweep_tick(struct keeper *keeper, int64_t now_ns)
{
    if (keeper->cgroups_dirty)
        keeper->cgroups_dirty = !cgroup_sweep(keeper);
    if (now_ns < keeper->next_sweep_ns)
        return;
    keeper->next_sweep_ns = now_ns + sweep_interval_ns;
    if (server_has_peer(keeper, keeper_uid(keeper, CONFIG_USER_SANDBOXD)))
        exits_sweep(keeper->exits_dir, unclaimed_ns);
}

static bool keeper_is_busy(const struct keeper *keeper)
{
    return keeper->stopping_since_ns || reap_is_pending(keeper);
}

static void keeper_tick(struct keeper *keeper)
{
    int64_t now_ns = clock_boottime_ns();
    int64_t late_ns = now_ns - keeper->last_tick_ns - 2 * (int64_t)TICK_MS * NS_PER_MS;

    keeper->last_tick_ns = now_ns;
    reap_dying(keeper);
    supervisor_tick(keeper, late_ns > 0 ? late_ns : 0);
    sweep_tick(keeper, now_ns);
    if (keeper->stopping_since_ns)
        stop_tick(keeper, now_ns);
}

/* One event a turn: a handler may free what a later event of the same batch would point to. */
static int64_t keeper_timeout_ms(const struct keeper *keeper)
{
    int64_t tick_ms = keeper_is_busy(keeper) ? BUSY_TICK_MS : TICK_MS;
    int64_t since_ms = (clock_boottime_ns() - keeper->last_tick_ns) / NS_PER_MS;

    return since_ms >= tick_ms ? 0 : tick_ms - since_ms;
}

static void keeper_loop(struct keeper *keeper)
{
    struct epoll_event event;

    keeper->last_tick_ns = clock_boottime_ns();
    keeper_tick(keeper);
    while (!keeper->is_finished) {
        int64_t timeout_ms = keeper_timeout_ms(keeper);
        if (epoll_wait(keeper->epoll, &event, 1, (int)timeout_ms) == 1) {
            struct watch *watch = event.data.ptr;
            watch->ready(keeper, watch, event.events);
            if (!child_find_program(keeper, KEEPER_SUPERVISOR))
                supervisor_tick(keeper, 0); /* at once, not at the next tick */
        }
        if (keeper_timeout_ms(keeper) == 0)
            keeper_tick(keeper);
    }
}

static void keeper_close(struct keeper *keeper)
{
    server_close(keeper);
    unlinkat(keeper->keeper_dir, "notify", 0);
    identity_end(keeper->keeper_dir, "self");
    children_leave(keeper);
    while (keeper->store)
        store_drop(keeper, keeper->store->owner, NULL);
}

static enum log_level log_level_of(const char *name)
{
    static const char *const names[] = {"error", "warn", "info", "debug"};

    for (unsigned i = 0; i < sizeof(names) / sizeof(names[0]); i++)
        if (strcmp(names[i], name) == 0)
            return (enum log_level)i;
    return LOG_LEVEL_INFO;
}

int main(int argc, char **argv)
{
    struct keeper_options options = {.listener_fd = -1, .stream_fd = -1};
    struct keeper keeper = {.options = &options};

    if (!options_parse(argc, argv, &options)) {
        fprintf(stderr, "bulkhead-keeper is started by `bulkhead run`\n");
        return 2;
    }
    umask(022);
    log_open("keeper", log_level_of(options.log_level));
    struct error *failure = keeper_open(&keeper);
    if (failure) {
        log_error("cannot start", "error=%s", log_quote(failure->text));
        error_free(failure);
        return 1;
    }
    log_info("ready", "pid=%d programs=%s", getpid(), options.programs);
    keeper_loop(&keeper);
    keeper_close(&keeper);
    return 0;
}

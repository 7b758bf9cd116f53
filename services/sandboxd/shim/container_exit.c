/* What follows a container's end: the record before the reaping, the cgroup's kill, the drain, and the telling. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/wait.h>

#include "common/clock.h"
#include "common/failpoint.h"
#include "common/fd.h"
#include "common/keeper_protocol.h"
#include "common/log.h"
#include "common/memory.h"
#include "common/record.h"
#include "services/sandboxd/shim/container.h"
#include "services/sandboxd/shim/server.h"
#include "services/sandboxd/shim/shim.h"

enum { KILL_LIMIT_MS = 2000, DRAIN_LIMIT_MS = 2000, START_LIMIT_MS = 2000, EXIT_RECORD_VERSION = 1, NS_PER_MS = 1000000 };

/* linux/pidfd.h of 6.15: what PIDFD_GET_INFO tells after the reaping. */
struct pidfd_exit_info {
    uint64_t mask;
    uint64_t cgroup;
    uint32_t ids[11];
    int32_t exit_code;
};
#define PIDFD_EXIT_INFO _IOWR(0xFF, 11, struct pidfd_exit_info)
enum { PIDFD_EXIT_INFO_MASK = 1 << 3 };

/* --- told, and acknowledged --------------------------------------------------------------------------------------- */

static void container_publish(struct shim *shim, struct container *container)
{
    loop_disarm(&shim->loop, &container->dying);
    container->is_draining = false;
    if (container->is_published)
        return;
    container->is_published = true;
    if (!container->record.is_acknowledged && !container->is_undone)
        server_tell_exit(shim, container);
    session_attach_container_ended(shim, container);
    if (container->record.is_acknowledged)
        container_log_leave(shim, container);
}

void container_drained(struct shim *shim, struct container *container)
{
    if (container->is_draining)
        container_publish(shim, container);
}

static void drain_limit(struct shim *shim, void *owner)
{
    struct container *container = owner;

    log_warn("output not drained in time", "container=%s limit_ms=%d", container->id, DRAIN_LIMIT_MS);
    container_publish(shim, container);
}

static void container_drain(struct shim *shim, struct container *container)
{
    if (!container_has_log(container)) {
        container_publish(shim, container);
        return;
    }
    container->is_draining = true;
    container->dying = (struct timer){.fire = drain_limit, .owner = container};
    loop_arm(&shim->loop, &container->dying, DRAIN_LIMIT_MS);
    FAILPOINT("shim.exit.before_drain");
    logd_link_drain(shim, container);
}

static void kill_rest(struct shim *shim, void *owner)
{
    struct container *container = owner;
    bool is_empty = cgroup_kill(&shim->cgroups, container->record.cgroup);

    if (is_empty || clock_boottime_ns() >= container->limit_ns)
        container_drain(shim, container);
    else
        loop_arm(&shim->loop, &container->dying, CONTAINER_RETRY_MS);
}

void container_finish_exit(struct shim *shim, struct container *container)
{
    loop_disarm(&shim->loop, &container->dying);
    container->dying = (struct timer){.fire = kill_rest, .owner = container};
    container->limit_ns = clock_boottime_ns() + (int64_t)KILL_LIMIT_MS * NS_PER_MS;
    FAILPOINT("shim.exit.before_kill");
    kill_rest(shim, container);
}

void container_acknowledge(struct shim *shim, struct container *container)
{
    if (container->record.state != SHIM_CONTAINER_EXITED || container->record.is_acknowledged)
        return;
    FAILPOINT("shim.ack_exit.before_record");
    container->record.is_acknowledged = 1;
    error_free(container_save(shim, container)); /* else it is told, and acknowledged, once more */
    FAILPOINT("shim.ack_exit.after_record");
    store_drop_exit(shim, &container->record.process);
    if (container->is_published)
        container_log_leave(shim, container);
}

/* --- noted -------------------------------------------------------------------------------------------------------- */

static void container_note_exit(struct shim *shim, struct container *container, int status, int64_t time_ns,
                                bool is_unknown)
{
    struct container_record *record = &container->record;

    record->status = status;
    record->exited_ns = time_ns;
    record->is_unknown = is_unknown;
    record->is_oom = cgroup_oom_kills(&shim->cgroups, record->cgroup) > 0;
    FAILPOINT("shim.exit.before_record");
    struct error *failure = container_move(shim, container, SHIM_CONTAINER_EXITED);
    if (failure)
        log_error("exit not on record", "container=%s error=%s", container->id, log_quote(failure->text));
    error_free(failure);
    FAILPOINT("shim.exit.after_record");
}

void container_exited(struct shim *shim, struct container *container)
{
    siginfo_t info = {0};
    pid_t pid = container->record.process.pid;

    if (waitid(P_PID, (id_t)pid, &info, WEXITED | WNOHANG | WNOWAIT) < 0 || info.si_pid != pid)
        return;
    container_note_exit(shim, container, wait_status_of(&info), clock_realtime_ns(), false);
    waitpid(pid, NULL, 0);
    FAILPOINT("shim.exit.after_reap");
    container_drop_fd(shim, container, CONTAINER_PIDFD);
    if (container->runtime) /* a start that has nothing to start any more */
        job_hurry(shim, container->runtime, START_LIMIT_MS);
    container_finish_exit(shim, container);
}

/* --- an adopted one: whoever reaped it knows ---------------------------------------------------------------------- */

static bool exit_from_record(struct shim *shim, const struct process_id *process, int *ret_status, int64_t *ret_time_ns)
{
    autofree char *path = xasprintf("%s/keeper/exits", shim->state);
    autofree char *name = xasprintf("%d.%llu", process->pid, (unsigned long long)process->start_ticks);
    autofree void *data = NULL;
    uint32_t version;
    size_t size;

    autoclose int directory = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (directory < 0)
        return false;
    autoptr(error) failure = record_load(directory, name, "exit", EXIT_RECORD_VERSION, &version, &data, &size);
    if (failure || size != sizeof(struct keeper_exit_record))
        return false;
    const struct keeper_exit_record *record = data;
    if (strcmp(record->process.boot_id, process->boot_id) != 0 ||
        (record->process.pidfd_inode && process->pidfd_inode && record->process.pidfd_inode != process->pidfd_inode))
        return false;
    *ret_status = record->wait_status;
    *ret_time_ns = record->time_ns;
    return true;
}

/* A test takes the kernel for one before 6.15 by a file among its failpoints. */
static bool has_exit_info(void)
{
#ifdef BULKHEAD_FAILPOINTS
    const char *directory = getenv("BULKHEAD_FAILPOINT_DIR");
    autofree char *path = xasprintf("%s/no-exit-info", directory ? directory : "");

    return access(path, F_OK) < 0;
#else
    return true;
#endif
}

static bool exit_from_pidfd(int pidfd, int *ret_status)
{
    struct pidfd_exit_info info = {.mask = PIDFD_EXIT_INFO_MASK};

    if (pidfd < 0 || !has_exit_info() || ioctl(pidfd, PIDFD_EXIT_INFO, &info) < 0 || !(info.mask & PIDFD_EXIT_INFO_MASK))
        return false;
    *ret_status = info.exit_code;
    return true;
}

bool exit_status_find(struct shim *shim, const struct process_id *process, int pidfd, int *ret_status,
                      int64_t *ret_time_ns)
{
    *ret_time_ns = clock_realtime_ns();
    return exit_from_record(shim, process, ret_status, ret_time_ns) || exit_from_pidfd(pidfd, ret_status);
}

/* Field 52 of a zombie's stat, which root may read: it helps where its parent dies before it can write a record. */
static void remember_zombie(struct container *container)
{
    autofree char *path = xasprintf("/proc/%d/stat", container->record.process.pid);
    autofree char *text = NULL;
    size_t size;

    autoptr(error) failure = file_read_all(path, 4096, &text, &size);
    const char *at = failure ? NULL : strrchr(text, ')');
    if (!at || at[1] != ' ' || at[2] != 'Z')
        return;
    const char *last = strrchr(text, ' ');
    autoclose int pidfd = -1; /* still the same process, so that was its own */
    autoptr(error) gone = process_id_open(&container->record.process, &pidfd);
    if (gone || !last)
        return;
    container->zombie_status = atoi(last + 1);
    container->has_zombie_status = true;
}

static void adopted_reaped(struct shim *shim, struct container *container)
{
    int status = 255 << 8;
    int64_t time_ns;

    bool is_known = exit_status_find(shim, &container->record.process, container->fds[CONTAINER_PIDFD], &status, &time_ns);
    if (!is_known && container->has_zombie_status) {
        status = container->zombie_status;
        is_known = true;
    }
    container_note_exit(shim, container, status, time_ns, !is_known);
    container_drop_fd(shim, container, CONTAINER_PIDFD);
    container_finish_exit(shim, container);
}

/* Nobody but its parent sees the reaping before 6.15, so the process is looked at until it is gone. */
static void await_reaping(struct shim *shim, void *owner)
{
    struct container *container = owner;
    autoclose int pidfd = -1;

    autoptr(error) failure = process_id_open(&container->record.process, &pidfd);
    if (failure && failure->code == ERROR_NOT_FOUND) {
        adopted_reaped(shim, container);
        return;
    }
    if (!container->has_zombie_status)
        remember_zombie(container);
    loop_arm(&shim->loop, &container->dying, CONTAINER_RETRY_MS);
}

static void adopted_died(struct shim *shim, void *owner, uint32_t events)
{
    struct container *container = owner;

    (void)events;
    loop_forget(&shim->loop, &container->death);
    FAILPOINT("shim.adopted.died");
    await_reaping(shim, container);
}

void container_watch(struct shim *shim, struct container *container)
{
    container->dying = (struct timer){.fire = await_reaping, .owner = container};
    container->death = (struct source){
        .fd = container->fds[CONTAINER_PIDFD], .ready = adopted_died, .owner = container,
    };
    struct error *failure = loop_watch(&shim->loop, &container->death, EPOLLIN | EPOLLONESHOT);
    if (failure) {
        container->death.fd = -1;
        await_reaping(shim, container);
    }
    error_free(failure);
}

/* SHIM_EXEC: an exec whose output is kept in memory until it is acknowledged, and that ends at its limit. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "common/clock.h"
#include "common/failpoint.h"
#include "common/memory.h"
#include "services/sandboxd/shim/container.h"
#include "services/sandboxd/shim/exec.h"
#include "services/sandboxd/shim/exec_sync.h"
#include "services/sandboxd/shim/handlers.h"
#include "services/sandboxd/shim/process_tree.h"
#include "services/sandboxd/shim/shim.h"

enum {
    LINGER_MS = 2000, /* for pipes that a child of the exec still holds */
    KEEP_MS = 60000,  /* an unacknowledged result, beyond its deadline */
    KILL_POLL_MS = 3,
    COPY_SIZE = 1 << 20,
    NS_PER_MS = 1000000,
};

struct exec_sync {
    struct exec exec;
    struct source streams[2];
    bool is_truncated;
    struct timer limit;  /* the deadline */
    struct timer linger; /* after the end, for the pipes */
    struct timer expiry;
};

static struct exec *sync_find(const struct shim *shim, uint64_t step)
{
    autofree char *name = xasprintf("%0*llx", EXEC_SYNC_NAME_LENGTH, (unsigned long long)step);

    return exec_find(shim, name);
}

static void sync_drop_stream(struct shim *shim, struct exec_sync *sync, enum exec_fd which)
{
    if (sync->streams[which].ready)
        loop_forget(&shim->loop, &sync->streams[which]);
    exec_drop_fd(shim, &sync->exec, which);
}

static void sync_closing(struct shim *shim, struct exec *exec)
{
    struct exec_sync *sync = (struct exec_sync *)exec;

    sync_drop_stream(shim, sync, EXEC_OUT);
    sync_drop_stream(shim, sync, EXEC_ERR);
    loop_disarm(&shim->loop, &sync->limit);
    loop_disarm(&shim->loop, &sync->linger);
    loop_disarm(&shim->loop, &sync->expiry);
}

void exec_acknowledge(struct shim *shim, uint64_t step)
{
    struct exec *exec = sync_find(shim, step);

    if (exec)
        exec_forget(shim, exec);
}

static void sync_expire(struct shim *shim, void *owner)
{
    struct exec *exec = owner;
    struct step *step = step_find(shim, exec->record.step);

    if (step && step->is_done)
        step_forget(shim, step);
    exec_forget(shim, exec);
}

static void sync_arm_expiry(struct shim *shim, struct exec_sync *sync, int64_t in_ms)
{
    loop_disarm(&shim->loop, &sync->expiry);
    sync->expiry = (struct timer){.fire = sync_expire, .owner = sync};
    loop_arm(&shim->loop, &sync->expiry, in_ms);
}

/* --- its result --------------------------------------------------------------------------------------------------- */

static void sync_put_result(struct exec_sync *sync, struct step *step)
{
    wire_put_u64(&step->result, SHIM_TAG_STATUS, (uint64_t)(uint32_t)sync->exec.record.status);
    if (sync->is_truncated)
        wire_put_u64(&step->result, SHIM_TAG_TRUNCATED, 1);
    for (int i = EXEC_OUT_FILE; i <= EXEC_ERR_FILE; i++) {
        autofree char *path = xasprintf("/proc/self/fd/%d", sync->exec.fds[i]);
        int fd = open(path, O_RDONLY | O_CLOEXEC); /* a position of its own */
        if (fd >= 0)
            step->fds[step->fd_count++] = fd;
    }
}

static void sync_answer(struct shim *shim, struct exec_sync *sync)
{
    const struct exec_record *record = &sync->exec.record;
    struct step *step = step_find(shim, record->step);
    int64_t left_ms = record->deadline_ns ? (record->deadline_ns - clock_boottime_ns()) / NS_PER_MS : 0;

    sync_arm_expiry(shim, sync, (left_ms > 0 ? left_ms : 0) + KEEP_MS);
    if (!step || step->is_done)
        return;
    sync_put_result(sync, step);
    step_finish(shim, step,
                record->is_timed_out ? error_new(ERROR_DEADLINE_EXCEEDED, "the command was killed at its limit")
                                     : NULL);
}

static void sync_finish(struct shim *shim, struct exec_sync *sync)
{
    struct exec *exec = &sync->exec;

    if (exec->record.state == EXEC_DONE)
        return;
    loop_disarm(&shim->loop, &sync->limit);
    loop_disarm(&shim->loop, &sync->linger);
    exec->record.state = EXEC_DONE;
    FAILPOINT("shim.exec.before_done");
    error_free(exec_save(shim, exec)); /* a successor would find it dead and finish it again, by the pidfd */
    FAILPOINT("shim.exec.after_done");
    sync_drop_stream(shim, sync, EXEC_OUT);
    sync_drop_stream(shim, sync, EXEC_ERR);
    exec_drop_fd(shim, exec, EXEC_PIDFD);
    sync_answer(shim, sync);
}

static bool has_streams(const struct exec_sync *sync)
{
    return sync->exec.fds[EXEC_OUT] >= 0 || sync->exec.fds[EXEC_ERR] >= 0;
}

static void sync_linger_over(struct shim *shim, void *owner)
{
    sync_finish(shim, owner);
}

static void sync_ended(struct shim *shim, struct exec *exec)
{
    struct exec_sync *sync = (struct exec_sync *)exec;

    if (!has_streams(sync)) {
        sync_finish(shim, sync);
        return;
    }
    loop_disarm(&shim->loop, &sync->linger);
    sync->linger = (struct timer){.fire = sync_linger_over, .owner = sync};
    loop_arm(&shim->loop, &sync->linger, LINGER_MS);
}

/* --- its output --------------------------------------------------------------------------------------------------- */

static uint64_t file_size(int fd)
{
    struct stat about;

    return fd >= 0 && fstat(fd, &about) == 0 ? (uint64_t)about.st_size : 0;
}

/* A splice moves bytes from pipe to file in one step: a kill leaves each in one of them. */
static ssize_t sync_copy(struct exec_sync *sync, enum exec_fd from)
{
    const int *fds = sync->exec.fds;
    int file = fds[from == EXEC_OUT ? EXEC_OUT_FILE : EXEC_ERR_FILE];
    uint64_t used = file_size(fds[EXEC_OUT_FILE]) + file_size(fds[EXEC_ERR_FILE]);
    uint64_t room = used < SHIM_EXEC_OUTPUT_MAX ? SHIM_EXEC_OUTPUT_MAX - used : 0;
    char waste[65536];

    if (room == 0) {
        ssize_t size = read(fds[from], waste, sizeof(waste));
        sync->is_truncated |= size > 0;
        return size;
    }
    loff_t offset = (loff_t)file_size(file);
    return splice(fds[from], NULL, file, &offset, room < COPY_SIZE ? room : COPY_SIZE, SPLICE_F_NONBLOCK);
}

static void sync_stream_ready(struct shim *shim, struct exec_sync *sync, enum exec_fd which)
{
    ssize_t size = sync_copy(sync, which);

    if (size > 0 || (size < 0 && (errno == EAGAIN || errno == EINTR)))
        return;
    sync_drop_stream(shim, sync, which);
    if (sync->exec.record.is_ended && !has_streams(sync))
        sync_finish(shim, sync);
}

static void sync_out_ready(struct shim *shim, void *owner, uint32_t events)
{
    (void)events;
    sync_stream_ready(shim, owner, EXEC_OUT);
}

static void sync_err_ready(struct shim *shim, void *owner, uint32_t events)
{
    (void)events;
    sync_stream_ready(shim, owner, EXEC_ERR);
}

static void sync_watch_streams(struct shim *shim, struct exec_sync *sync)
{
    for (int i = EXEC_OUT; i <= EXEC_ERR; i++) {
        int fd = sync->exec.fds[i];
        if (fd < 0)
            continue;
        fcntl(fd, F_SETFL, O_NONBLOCK);
        sync->streams[i] = (struct source){
            .fd = fd,
            .ready = i == EXEC_OUT ? sync_out_ready : sync_err_ready,
            .owner = sync,
        };
        error_free(loop_watch(&shim->loop, &sync->streams[i], EPOLLIN));
    }
}

/* --- its limit ---------------------------------------------------------------------------------------------------- */

static void sync_timeout(struct shim *shim, void *owner)
{
    struct exec_sync *sync = owner;
    struct exec_record *record = &sync->exec.record;
    const struct container *container = container_find(shim, record->container);

    record->is_timed_out = 1;
    if (record->state == EXEC_RUNS && !record->is_ended)
        process_tree_kill(&shim->cgroups, container ? container->record.cgroup : NULL, record->process.pid);
    if (record->is_ended)
        sync_finish(shim, sync);
    else
        loop_arm(&shim->loop, &sync->limit, KILL_POLL_MS); /* what was forked meanwhile too */
}

static void sync_arm_limit(struct shim *shim, struct exec *exec)
{
    struct exec_sync *sync = (struct exec_sync *)exec;
    int64_t left_ms = (exec->record.deadline_ns - clock_boottime_ns()) / NS_PER_MS;

    loop_disarm(&shim->loop, &sync->limit);
    sync->limit = (struct timer){.fire = sync_timeout, .owner = sync};
    if (exec->record.deadline_ns)
        loop_arm(&shim->loop, &sync->limit, left_ms > 0 ? left_ms : 0);
}

static void sync_failed(struct shim *shim, struct exec *exec, struct error *failure)
{
    struct step *step = step_find(shim, exec->record.step);

    exec_forget(shim, exec);
    if (step)
        step_finish(shim, step, error_wrap(failure, "exec"));
    else
        error_free(failure);
}

static void sync_resumed(struct shim *shim, struct exec *exec)
{
    struct exec_sync *sync = (struct exec_sync *)exec;

    if (exec->record.state != EXEC_RUNS) {
        sync_arm_expiry(shim, sync, KEEP_MS);
        return;
    }
    loop_disarm(&shim->loop, &sync->expiry);
    sync_watch_streams(shim, sync);
    sync_arm_limit(shim, exec);
}

const struct exec_user exec_sync_user = {
    .size = sizeof(struct exec_sync),
    .began = sync_arm_limit,
    .failed = sync_failed,
    .ended = sync_ended,
    .resumed = sync_resumed,
    .closing = sync_closing,
};

/* --- the request -------------------------------------------------------------------------------------------------- */

static struct error *sync_make_stream(struct shim *shim, struct exec *exec, enum exec_fd which, int *ret_write)
{
    int ends[2];

    if (pipe2(ends, O_CLOEXEC) < 0)
        return error_errno(errno, "make a pipe");
    *ret_write = ends[1];
    exec_keep_fd(shim, exec, which, ends[0]);
    int file = memfd_create("exec-output", MFD_CLOEXEC);
    if (file < 0)
        return error_errno(errno, "memfd_create");
    exec_keep_fd(shim, exec, which == EXEC_OUT ? EXEC_OUT_FILE : EXEC_ERR_FILE, file);
    return NULL;
}

static struct error *sync_start(struct shim *shim, struct exec *exec, const struct step *step,
                                struct container *container)
{
    const char *process = step_string(step, SHIM_TAG_PROCESS);
    autoclose int out = -1;
    autoclose int err = -1;

    if (!process)
        return error_new(ERROR_INVALID_ARGUMENT, "no process is given");
    TRY(exec_write_process(shim, exec->name, process));
    TRY(sync_make_stream(shim, exec, EXEC_OUT, &out));
    TRY(sync_make_stream(shim, exec, EXEC_ERR, &err));
    const int stdio[3] = {-1, out, err};
    TRY(exec_begin(shim, exec, container, stdio, NULL));
    sync_watch_streams(shim, (struct exec_sync *)exec);
    return NULL;
}

static struct error *sync_begin(struct shim *shim, const struct step *step)
{
    const char *id;
    uint64_t timeout_ms = step_u64(step, SHIM_TAG_TIMEOUT_MS, 0);
    autofree char *name = xasprintf("%0*llx", EXEC_SYNC_NAME_LENGTH, (unsigned long long)step->id);

    TRY(step_container_name(step, &id));
    struct container *container = container_find(shim, id);
    if (!container || container->is_deleting)
        return error_new(ERROR_NOT_FOUND, "no container %s", id);
    if (container->record.state != SHIM_CONTAINER_RUNNING)
        return error_new(ERROR_FAILED_PRECONDITION, "container %s does not run", id);
    struct exec *exec = exec_new(shim, name);
    exec->record.step = step->id;
    if (timeout_ms)
        exec->record.deadline_ns = clock_boottime_ns() + (int64_t)timeout_ms * NS_PER_MS;
    struct error *failure = sync_start(shim, exec, step, container);
    if (failure)
        exec_forget(shim, exec);
    return failure;
}

/* A successor's turn. */
static struct error *sync_begin_again(struct shim *shim, struct exec *exec, struct step *step)
{
    TRY(exec_check_lost(shim, exec));
    exec_forget(shim, exec);
    return sync_begin(shim, step);
}

/* One that a predecessor began is joined, never run twice. */
void exec_run(struct shim *shim, struct step *step)
{
    struct exec *exec = sync_find(shim, step->id);
    struct error *failure = NULL;

    if (!exec)
        failure = sync_begin(shim, step);
    else if (exec->record.state == EXEC_BEGUN && exec->is_adopted && shim->is_adopting)
        step_wait(shim, step); /* see execs_settle() */
    else if (exec->record.state == EXEC_BEGUN && exec->is_adopted)
        failure = sync_begin_again(shim, exec, step);
    else if (exec->record.state == EXEC_DONE)
        sync_answer(shim, (struct exec_sync *)exec);
    if (failure)
        step_finish(shim, step, error_wrap(failure, "exec"));
}

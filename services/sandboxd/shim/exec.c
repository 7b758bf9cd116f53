/* SHIM_EXEC: at most once, over a shim's death too: what runs is on record (exec/STEP), its pipes and output in the store. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "common/clock.h"
#include "common/failpoint.h"
#include "common/fd.h"
#include "common/log.h"
#include "common/memory.h"
#include "common/record.h"
#include "services/sandboxd/shim/container.h"
#include "services/sandboxd/shim/handlers.h"
#include "services/sandboxd/shim/process_tree.h"
#include "services/sandboxd/shim/shim.h"

enum {
    EXEC_VERSION = 1,
    RUNTIME_LIMIT_MS = 60000,
    LINGER_MS = 2000,      /* for pipes that a child of the exec still holds */
    KEEP_MS = 60000,       /* an unacknowledged result, beyond its deadline */
    REAP_POLL_MS = 3,
    COPY_SIZE = 1 << 20,
    NS_PER_MS = 1000000,
};

enum exec_state { EXEC_BEGUN = 1, EXEC_RUNS, EXEC_DONE };

struct exec_record {
    uint64_t step;
    uint32_t state;         /* enum exec_state */
    int32_t status;
    uint32_t is_timed_out;
    uint32_t is_ended;      /* the process is reaped, or about to be: status is its own */
    int64_t deadline_ns;    /* BOOTTIME; 0: none */
    int64_t begun_ns;       /* BOOTTIME */
    struct process_id process;
    char container[72];
    int32_t shim_pid;       /* the runtime's log is tmp/SHIM_PID.LOG.log: it makes it before all else */
    uint32_t log;
    char step_cgroup[JOB_CGROUP_SIZE]; /* where the runtime's exec runs */
};

enum exec_fd { EXEC_OUT, EXEC_ERR, EXEC_OUT_FILE, EXEC_ERR_FILE, EXEC_PIDFD, EXEC_FD_COUNT };
static const char *const suffixes[EXEC_FD_COUNT] = {"xo", "xe", "xof", "xef", "xpid"};

struct exec {
    struct exec *next;
    struct exec_record record;
    int fds[EXEC_FD_COUNT];    /* the pipes' read ends, the memfds, the pidfd */
    struct source streams[2];
    bool is_adopted;
    bool is_truncated;
    unsigned log;              /* of the runtime */
    struct timer limit;        /* the deadline */
    struct timer linger;       /* after the end, for the pipes; adopted: until it is reaped */
    struct timer expiry;
};

/* --- what is kept of it ------------------------------------------------------------------------------------------- */

static char *exec_name(uint64_t step)
{
    return xasprintf("%016llx", (unsigned long long)step);
}

static struct error *exec_save(struct shim *shim, const struct exec *exec)
{
    autofree char *name = exec_name(exec->record.step);

    return record_save(shim->execs_fd, name, "exec", EXEC_VERSION, &exec->record, sizeof(exec->record));
}

static struct exec *exec_find(const struct shim *shim, uint64_t step)
{
    struct exec *exec = shim->execs;

    while (exec && exec->record.step != step)
        exec = exec->next;
    return exec;
}

static struct exec *exec_new(struct shim *shim, uint64_t step)
{
    struct exec *exec = xcalloc(1, sizeof(*exec));

    exec->record.step = step;
    for (int i = 0; i < EXEC_FD_COUNT; i++)
        exec->fds[i] = -1;
    exec->streams[0].fd = exec->streams[1].fd = -1;
    exec->next = shim->execs;
    shim->execs = exec;
    return exec;
}

static void exec_keep_fd(struct shim *shim, struct exec *exec, enum exec_fd which, int fd)
{
    autofree char *name = exec_name(exec->record.step);

    exec->fds[which] = fd;
    store_put(shim, name, suffixes[which], fd);
}

static void exec_drop_fd(struct shim *shim, struct exec *exec, enum exec_fd which)
{
    autofree char *name = exec_name(exec->record.step);

    if (exec->fds[which] < 0)
        return;
    if (which <= EXEC_ERR)
        loop_forget(&shim->loop, &exec->streams[which]);
    close(exec->fds[which]);
    exec->fds[which] = -1;
    store_drop(shim, name, suffixes[which]);
}

static void exec_forget(struct shim *shim, struct exec *exec)
{
    autofree char *name = exec_name(exec->record.step);
    struct exec **at = &shim->execs;

    for (int i = 0; i < EXEC_FD_COUNT; i++)
        exec_drop_fd(shim, exec, (enum exec_fd)i);
    if (exec->is_adopted)
        store_drop_exit(shim, &exec->record.process);
    loop_disarm(&shim->loop, &exec->limit);
    loop_disarm(&shim->loop, &exec->linger);
    loop_disarm(&shim->loop, &exec->expiry);
    error_free(record_remove(shim->execs_fd, name));
    while (*at != exec)
        at = &(*at)->next;
    *at = exec->next;
    free(exec);
}

void exec_acknowledge(struct shim *shim, uint64_t step)
{
    struct exec *exec = exec_find(shim, step);

    if (exec)
        exec_forget(shim, exec);
}

void exec_store_all(struct shim *shim)
{
    for (const struct exec *exec = shim->execs; exec; exec = exec->next) {
        autofree char *name = exec_name(exec->record.step);
        for (int i = 0; i < EXEC_FD_COUNT; i++)
            store_put(shim, name, suffixes[i], exec->fds[i]);
    }
}

static void exec_expire(struct shim *shim, void *owner)
{
    struct exec *exec = owner;
    struct step *step = step_find(shim, exec->record.step);

    if (step && step->is_done)
        step_forget(shim, step);
    exec_forget(shim, exec);
}

/* --- its result --------------------------------------------------------------------------------------------------- */

static void exec_put_result(struct exec *exec, struct step *step)
{
    wire_put_u64(&step->result, SHIM_TAG_STATUS, (uint64_t)(uint32_t)exec->record.status);
    if (exec->is_truncated)
        wire_put_u64(&step->result, SHIM_TAG_TRUNCATED, 1);
    for (int i = EXEC_OUT_FILE; i <= EXEC_ERR_FILE; i++) {
        autofree char *path = xasprintf("/proc/self/fd/%d", exec->fds[i]);
        int fd = open(path, O_RDONLY | O_CLOEXEC); /* a position of its own */
        if (fd >= 0)
            step->fds[step->fd_count++] = fd;
    }
}

static void exec_answer(struct shim *shim, struct exec *exec)
{
    struct step *step = step_find(shim, exec->record.step);
    int64_t left_ms = exec->record.deadline_ns ? (exec->record.deadline_ns - clock_boottime_ns()) / NS_PER_MS : 0;

    exec->expiry = (struct timer){.fire = exec_expire, .owner = exec};
    loop_arm(&shim->loop, &exec->expiry, (left_ms > 0 ? left_ms : 0) + KEEP_MS);
    if (!step || step->is_done)
        return;
    exec_put_result(exec, step);
    step_finish(shim, step, exec->record.is_timed_out
                                ? error_new(ERROR_DEADLINE_EXCEEDED, "the command was killed at its limit")
                                : NULL);
}

static void exec_finish(struct shim *shim, struct exec *exec)
{
    if (exec->record.state == EXEC_DONE)
        return;
    loop_disarm(&shim->loop, &exec->limit);
    loop_disarm(&shim->loop, &exec->linger);
    exec->record.state = EXEC_DONE;
    FAILPOINT("shim.exec.before_done");
    error_free(exec_save(shim, exec)); /* a successor would find it dead and finish it again, by the pidfd */
    FAILPOINT("shim.exec.after_done");
    exec_drop_fd(shim, exec, EXEC_OUT);
    exec_drop_fd(shim, exec, EXEC_ERR);
    exec_drop_fd(shim, exec, EXEC_PIDFD);
    exec_answer(shim, exec);
}

static void exec_linger_over(struct shim *shim, void *owner)
{
    exec_finish(shim, owner);
}

static void exec_ended(struct shim *shim, struct exec *exec, int status)
{
    exec->record.status = status;
    exec->record.is_ended = 1;
    loop_disarm(&shim->loop, &exec->linger);
    if (exec->fds[EXEC_OUT] < 0 && exec->fds[EXEC_ERR] < 0) {
        exec_finish(shim, exec);
        return;
    }
    exec->linger = (struct timer){.fire = exec_linger_over, .owner = exec};
    loop_arm(&shim->loop, &exec->linger, LINGER_MS);
}

/* --- its output --------------------------------------------------------------------------------------------------- */

static uint64_t file_size(int fd)
{
    struct stat about;

    return fd >= 0 && fstat(fd, &about) == 0 ? (uint64_t)about.st_size : 0;
}

/* A splice moves bytes from pipe to file in one step: a kill leaves each in one of them. */
static ssize_t exec_copy(struct exec *exec, enum exec_fd from)
{
    int file = exec->fds[from == EXEC_OUT ? EXEC_OUT_FILE : EXEC_ERR_FILE];
    uint64_t used = file_size(exec->fds[EXEC_OUT_FILE]) + file_size(exec->fds[EXEC_ERR_FILE]);
    uint64_t room = used < SHIM_EXEC_OUTPUT_MAX ? SHIM_EXEC_OUTPUT_MAX - used : 0;
    char waste[65536];

    if (room == 0) {
        ssize_t size = read(exec->fds[from], waste, sizeof(waste));
        exec->is_truncated |= size > 0;
        return size;
    }
    loff_t offset = (loff_t)file_size(file);
    return splice(exec->fds[from], NULL, file, &offset, room < COPY_SIZE ? room : COPY_SIZE, SPLICE_F_NONBLOCK);
}

static void exec_stream_ready(struct shim *shim, struct exec *exec, enum exec_fd which)
{
    ssize_t size = exec_copy(exec, which);

    if (size > 0 || (size < 0 && (errno == EAGAIN || errno == EINTR)))
        return;
    exec_drop_fd(shim, exec, which);
    if (exec->record.is_ended && exec->fds[EXEC_OUT] < 0 && exec->fds[EXEC_ERR] < 0)
        exec_finish(shim, exec);
}

static void exec_out_ready(struct shim *shim, void *owner, uint32_t events)
{
    (void)events;
    exec_stream_ready(shim, owner, EXEC_OUT);
}

static void exec_err_ready(struct shim *shim, void *owner, uint32_t events)
{
    (void)events;
    exec_stream_ready(shim, owner, EXEC_ERR);
}

static void exec_watch_streams(struct shim *shim, struct exec *exec)
{
    for (int i = EXEC_OUT; i <= EXEC_ERR; i++) {
        if (exec->fds[i] < 0)
            continue;
        fcntl(exec->fds[i], F_SETFL, O_NONBLOCK);
        exec->streams[i] = (struct source){
            .fd = exec->fds[i], .ready = i == EXEC_OUT ? exec_out_ready : exec_err_ready, .owner = exec,
        };
        error_free(loop_watch(&shim->loop, &exec->streams[i], EPOLLIN));
    }
}

/* --- its process -------------------------------------------------------------------------------------------------- */

static void exec_timeout(struct shim *shim, void *owner)
{
    struct exec *exec = owner;
    const struct container *container = container_find(shim, exec->record.container);

    exec->record.is_timed_out = 1;
    if (exec->record.state == EXEC_RUNS && !exec->record.is_ended)
        process_tree_kill(&shim->cgroups, container ? container->record.cgroup : NULL, exec->record.process.pid);
    if (exec->record.is_ended)
        exec_finish(shim, exec);
    else
        loop_arm(&shim->loop, &exec->limit, REAP_POLL_MS); /* what was forked meanwhile too */
}

static void exec_arm_limit(struct shim *shim, struct exec *exec)
{
    int64_t left_ms = (exec->record.deadline_ns - clock_boottime_ns()) / NS_PER_MS;

    exec->limit = (struct timer){.fire = exec_timeout, .owner = exec};
    if (exec->record.deadline_ns)
        loop_arm(&shim->loop, &exec->limit, left_ms > 0 ? left_ms : 0);
}

/* On record before it is reaped, as nobody else can tell it then (before Linux 6.15). */
static void exec_reap(struct shim *shim, struct exec *exec)
{
    siginfo_t info = {0};
    pid_t pid = exec->record.process.pid;

    if (waitid(P_PID, (id_t)pid, &info, WEXITED | WNOHANG | WNOWAIT) < 0 || info.si_pid != pid)
        return;
    exec->record.status = wait_status_of(&info);
    exec->record.is_ended = 1;
    error_free(exec_save(shim, exec));
    waitpid(pid, NULL, 0);
    FAILPOINT("shim.exec.after_reap");
    exec_ended(shim, exec, exec->record.status);
}

bool exec_is_own_child(struct shim *shim, pid_t pid)
{
    for (struct exec *exec = shim->execs; exec; exec = exec->next)
        if (exec->record.process.pid == pid && exec->record.state == EXEC_RUNS && !exec->is_adopted && !exec->record.is_ended) {
            exec_reap(shim, exec);
            return true;
        }
    return false;
}

static void exec_fail(struct shim *shim, uint64_t id, struct error *failure)
{
    struct exec *exec = exec_find(shim, id);
    struct step *step = step_find(shim, id);

    if (exec)
        exec_forget(shim, exec);
    if (step)
        step_finish(shim, step, error_wrap(failure, "exec"));
    else
        error_free(failure);
}

static struct error *exec_take_process(struct shim *shim, struct exec *exec)
{
    autofree char *name = exec_name(exec->record.step);
    autofree char *path = shim_path(shim, "tmp/%s.xpid", name);
    autofree char *text = NULL;
    size_t size;
    int pidfd;

    TRY(file_read_all(path, 64, &text, &size));
    pid_t pid = (pid_t)strtol(text, NULL, 10);
    if (pid <= 0 || !process_is_child(pid))
        return error_new(ERROR_INTERNAL, "process %d of the pid file is no child of the shim", pid);
    TRY(process_id_read(pid, &exec->record.process));
    TRY(process_id_open(&exec->record.process, &pidfd));
    exec_keep_fd(shim, exec, EXEC_PIDFD, pidfd);
    exec->record.state = EXEC_RUNS;
    return exec_save(shim, exec);
}

static void exec_remove_files(struct shim *shim, uint64_t step)
{
    autofree char *name = exec_name(step);
    autofree char *process = xasprintf("%s.json", name);
    autofree char *pid = xasprintf("%s.xpid", name);

    unlinkat(shim->work_fd, process, 0);
    unlinkat(shim->work_fd, pid, 0);
}

/* A runtime that was killed may have begun the command before: then its pid file names it. */
static struct error *exec_begun(struct shim *shim, struct job *job, struct exec *exec)
{
    bool was_killed = WIFSIGNALED(job->status);
    autoptr(error) failure = runtime_result(shim, job, exec->log, "exec");

    if (failure && !was_killed)
        return TAKE(failure);
    struct error *not_taken = exec_take_process(shim, exec);
    if (!failure || !not_taken)
        return not_taken;
    error_free(not_taken);
    return TAKE(failure);
}

static void exec_ran(struct shim *shim, struct job *job)
{
    struct step *step = job->argument;
    uint64_t id = step->id;
    struct exec *exec = exec_find(shim, id);
    struct error *failure = exec_begun(shim, job, exec);

    FAILPOINT("shim.exec.after_running");
    exec_remove_files(shim, id);
    if (failure)
        exec_fail(shim, id, failure);
    else
        exec_arm_limit(shim, exec);
}

/* --- the request -------------------------------------------------------------------------------------------------- */

static struct error *exec_write_process(struct shim *shim, const struct step *step, const char *name)
{
    const char *process = step_string(step, SHIM_TAG_PROCESS);
    autofree char *path = shim_path(shim, "tmp/%s.json", name);

    if (!process)
        return error_new(ERROR_INVALID_ARGUMENT, "no process is given");
    autoclose int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (fd < 0)
        return error_errno(errno, "make %s", path);
    return fd_write_all(fd, process, strlen(process));
}

static struct error *exec_make_stream(struct shim *shim, struct exec *exec, enum exec_fd which, int *ret_write)
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

static struct error *exec_start(struct shim *shim, struct exec *exec, struct step *step, struct container *container)
{
    autofree char *name = exec_name(step->id);
    autofree char *process = shim_path(shim, "tmp/%s.json", name);
    autofree char *pid = shim_path(shim, "tmp/%s.xpid", name);
    char *arguments[] = {"exec", "--detach", "--process", process, "--pid-file", pid, container->id, NULL};
    autoclose int out = -1;
    autoclose int err = -1;

    TRY(exec_write_process(shim, step, name));
    TRY(exec_make_stream(shim, exec, EXEC_OUT, &out));
    TRY(exec_make_stream(shim, exec, EXEC_ERR, &err));
    /* The next program's cgroup is known beforehand: a successor waits for exactly it. */
    snprintf(exec->record.step_cgroup, sizeof(exec->record.step_cgroup), "%s/step/%d.%u" JOB_AWAITED_SUFFIX,
             shim->pod.record.cgroup, getpid(), shim->serial + 2);
    exec->record.begun_ns = clock_boottime_ns();
    exec->record.shim_pid = getpid();
    exec->record.log = shim->serial + 1;
    FAILPOINT("shim.exec.before_begun");
    TRY(exec_save(shim, exec));
    FAILPOINT("shim.exec.after_begun");
    const int stdio[3] = {-1, out, err};
    TRY(runtime_run(shim, container, arguments, stdio, RUNTIME_LIMIT_MS, exec_ran, step, &exec->log, NULL));
    exec_watch_streams(shim, exec);
    return NULL;
}

static struct error *exec_begin(struct shim *shim, struct step *step)
{
    const char *id;
    uint64_t timeout_ms = step_u64(step, SHIM_TAG_TIMEOUT_MS, 0);

    TRY(step_container_name(step, &id));
    struct container *container = container_find(shim, id);
    if (!container || container->is_deleting)
        return error_new(ERROR_NOT_FOUND, "no container %s", id);
    if (container->record.state != SHIM_CONTAINER_RUNNING)
        return error_new(ERROR_FAILED_PRECONDITION, "container %s does not run", id);
    struct exec *exec = exec_new(shim, step->id);
    exec->record.state = EXEC_BEGUN;
    snprintf(exec->record.container, sizeof(exec->record.container), "%s", id);
    if (timeout_ms)
        exec->record.deadline_ns = clock_boottime_ns() + (int64_t)timeout_ms * NS_PER_MS;
    struct error *failure = exec_start(shim, exec, step, container);
    if (failure)
        exec_forget(shim, exec);
    return failure;
}

/* A successor's turn. The runtime's log is proof that it ran; without it the child died before it became the runtime. */
static void exec_begin_again(struct shim *shim, struct exec *exec, struct step *step)
{
    char log[64];

    snprintf(log, sizeof(log), "%d.%u.log", exec->record.shim_pid, exec->record.log);
    if (faccessat(shim->work_fd, log, F_OK, 0) == 0) {
        step_finish(shim, step, error_new(ERROR_ABORTED, "exec lost with its shim"));
        return;
    }
    exec_forget(shim, exec);
    struct error *failure = exec_begin(shim, step);
    if (failure)
        step_finish(shim, step, error_wrap(failure, "exec"));
}

/* One that a predecessor began is joined, never run twice. */
void exec_run(struct shim *shim, struct step *step)
{
    struct exec *exec = exec_find(shim, step->id);

    if (!exec) {
        struct error *failure = exec_begin(shim, step);
        if (failure)
            step_finish(shim, step, error_wrap(failure, "exec"));
    } else if (exec->record.state == EXEC_BEGUN && exec->is_adopted && shim->is_adopting) {
        step_wait(shim, step); /* see execs_settle() */
    } else if (exec->record.state == EXEC_BEGUN && exec->is_adopted) {
        exec_begin_again(shim, exec, step);
    } else if (exec->record.state == EXEC_DONE) {
        loop_disarm(&shim->loop, &exec->expiry);
        exec_answer(shim, exec);
    }
}

/* --- a successor -------------------------------------------------------------------------------------------------- */

void exec_take_fd(struct shim *shim, const char *name, int fd)
{
    char *suffix;
    uint64_t step = strtoull(name, &suffix, 16);
    struct exec *exec = exec_find(shim, step);

    for (int i = 0; exec && i < EXEC_FD_COUNT; i++)
        if (*suffix == '.' && strcmp(suffix + 1, suffixes[i]) == 0 && exec->fds[i] < 0) {
            exec->fds[i] = fd;
            return;
        }
    close(fd);
}

static void exec_await_reaping(struct shim *shim, void *owner)
{
    struct exec *exec = owner;
    autoclose int pidfd = -1;
    int status = 255 << 8;
    int64_t time_ns;

    autoptr(error) failure = process_id_open(&exec->record.process, &pidfd);
    if (!failure || failure->code != ERROR_NOT_FOUND) {
        loop_arm(&shim->loop, &exec->linger, REAP_POLL_MS);
        return;
    }
    if (!exit_status_find(shim, &exec->record.process, exec->fds[EXEC_PIDFD], &status, &time_ns))
        log_warn("an exec's status is lost", "container=%s pid=%d", exec->record.container, exec->record.process.pid);
    exec_ended(shim, exec, status);
}

static void exec_adopt(struct shim *shim, const char *name)
{
    autofree void *data = NULL;
    uint32_t version;
    size_t size;

    autoptr(error) failure = record_load(shim->execs_fd, name, "exec", EXEC_VERSION, &version, &data, &size);
    if (failure || size != sizeof(struct exec_record)) {
        log_warn("exec record set aside", "name=%s error=%s", name, log_quote(failure ? failure->text : "its size"));
        return;
    }
    const struct exec_record *record = data;
    struct exec *exec = exec_new(shim, record->step);
    exec->record = *record;
    exec->is_adopted = true;
}

void exec_adopt_all(struct shim *shim)
{
    int fd = openat(shim->execs_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *directory = fd < 0 ? NULL : fdopendir(fd);

    if (!directory)
        return;
    for (const struct dirent *entry; (entry = readdir(directory));)
        if (entry->d_name[0] != '.')
            exec_adopt(shim, entry->d_name);
    closedir(directory);
}

static void exec_resume(struct shim *shim, struct exec *exec)
{
    loop_disarm(&shim->loop, &exec->expiry);
    exec_watch_streams(shim, exec);
    exec_arm_limit(shim, exec);
    if (exec->record.is_ended) {
        exec_ended(shim, exec, exec->record.status);
        return;
    }
    exec->linger = (struct timer){.fire = exec_await_reaping, .owner = exec};
    loop_arm(&shim->loop, &exec->linger, 0);
}

void exec_resume_all(struct shim *shim)
{
    for (struct exec *exec = shim->execs; exec; exec = exec->next) {
        if (exec->record.state == EXEC_RUNS) {
            exec_resume(shim, exec);
            continue;
        }
        exec->expiry = (struct timer){.fire = exec_expire, .owner = exec};
        loop_arm(&shim->loop, &exec->expiry, KEEP_MS);
    }
}

/* The runtime has ended without its shim: its pid file says whether the command was begun, and by which process. */
static struct error *exec_find_process(struct shim *shim, struct exec *exec)
{
    autofree char *name = exec_name(exec->record.step);
    autofree char *path = shim_path(shim, "tmp/%s.xpid", name);
    autofree char *text = NULL;
    size_t size;
    int pidfd = -1;

    TRY(file_read_all(path, 64, &text, &size));
    TRY(exec_process_find(shim, (pid_t)strtol(text, NULL, 10), exec->record.begun_ns, &exec->record.process));
    error_free(process_id_open(&exec->record.process, &pidfd)); /* it may have been reaped: then there is a record */
    if (pidfd >= 0)
        exec_keep_fd(shim, exec, EXEC_PIDFD, pidfd);
    exec->record.state = EXEC_RUNS;
    return exec_save(shim, exec);
}

void execs_settle(struct shim *shim)
{
    for (struct exec *exec = shim->execs; exec; exec = exec->next) {
        if (exec->record.state != EXEC_BEGUN || !exec->is_adopted)
            continue;
        if (!cgroup_is_empty(&shim->cgroups, exec->record.step_cgroup))
            continue;
        autoptr(error) failure = exec_find_process(shim, exec);
        if (!failure)
            exec_resume(shim, exec);
    }
}

/* How a runtime is made to begin a command, and how its process is known. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/failpoint.h"
#include "common/fd.h"
#include "common/memory.h"
#include "services/sandboxd/shim/container.h"
#include "services/sandboxd/shim/exec.h"
#include "services/sandboxd/shim/shim.h"

enum { LOG_MAX = 4096, RUNTIME_LIMIT_MS = 60000, ARGUMENTS_MAX = 12 };

struct error *exec_write_process(struct shim *shim, const char *name, const char *process)
{
    autofree char *path = shim_path(shim, "tmp/%s.json", name);

    autoclose int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (fd < 0)
        return error_errno(errno, "make %s", path);
    return fd_write_all(fd, process, strlen(process));
}

/* Beside the pods' directories, and with half of the name: sun_path ends at 108 bytes. Not by our /proc/PID/fd, as the
 * runtime may look for it when this shim is dead. */
char *exec_console_path(const struct shim *shim, const char *name)
{
    return xasprintf("%s/shim/.%.16s", shim->state, name);
}

void exec_remove_files(struct shim *shim, const char *name)
{
    static const char *const kinds[] = {"json", "xpid"};
    autofree char *console = exec_console_path(shim, name);

    unlink(console);
    for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
        autofree char *file = xasprintf("%s.%s", name, kinds[i]);
        unlinkat(shim->work_fd, file, 0);
    }
}

static struct error *exec_take_process(struct shim *shim, struct exec *exec)
{
    autofree char *path = shim_path(shim, "tmp/%s.xpid", exec->name);
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
    autofree char *name = job->argument;
    struct exec *exec = exec_find(shim, name);
    struct error *failure = exec ? exec_begun(shim, job, exec) : NULL;

    FAILPOINT("shim.exec.after_running");
    exec_remove_files(shim, name);
    if (failure)
        exec->user->failed(shim, exec, failure);
    else if (exec)
        exec->user->began(shim, exec);
}

static struct error *exec_note(struct shim *shim, struct exec *exec, const struct container *container)
{
    struct exec_record *record = &exec->record;

    record->state = EXEC_BEGUN;
    snprintf(record->container, sizeof(record->container), "%s", container->id);
    /* The next program's cgroup is known beforehand: a successor waits for exactly it. */
    snprintf(record->step_cgroup, sizeof(record->step_cgroup), "%s/step/%d.%u" JOB_AWAITED_SUFFIX,
             shim->pod.record.cgroup, getpid(), shim->serial + 2);
    record->begun_ns = clock_boottime_ns();
    record->shim_pid = getpid();
    record->log = shim->serial + 1;
    FAILPOINT("shim.exec.before_begun");
    TRY(exec_save(shim, exec));
    FAILPOINT("shim.exec.after_begun");
    return NULL;
}

struct error *exec_begin(struct shim *shim, struct exec *exec, struct container *container, const int stdio[3],
                         const char *console)
{
    autofree char *process = shim_path(shim, "tmp/%s.json", exec->name);
    autofree char *pid = shim_path(shim, "tmp/%s.xpid", exec->name);
    char *arguments[ARGUMENTS_MAX] = {"exec", "--detach", "--process", process, "--pid-file", pid};
    size_t count = 6;

    if (console) {
        arguments[count++] = "--console-socket";
        arguments[count++] = (char *)console;
    }
    arguments[count++] = container->id;
    TRY(exec_note(shim, exec, container));
    autofree char *name = xstrdup(exec->name);
    TRY(runtime_run(shim, container, arguments, stdio, RUNTIME_LIMIT_MS, exec_ran, name, &exec->log, NULL));
    TAKE(name);
    return NULL;
}

/* The runtime's log is proof that it ran; without it the child died before it became the runtime. */
bool exec_may_have_run(const struct shim *shim, const struct exec *exec)
{
    autofree char *log = xasprintf("%d.%u.log", exec->record.shim_pid, exec->record.log);

    return faccessat(shim->work_fd, log, F_OK, 0) == 0;
}

struct error *exec_check_lost(const struct shim *shim, const struct exec *exec)
{
    autofree char *log = shim_path(shim, "tmp/%d.%u.log", exec->record.shim_pid, exec->record.log);
    autofree char *text = NULL;
    size_t size;

    if (!exec_may_have_run(shim, exec))
        return NULL;
    autoptr(error) unreadable = file_read_all(log, LOG_MAX, &text, &size);
    return error_new(ERROR_ABORTED, "exec lost with its shim; its runtime's log: \"%s\"", unreadable ? unreadable->text : text);
}
